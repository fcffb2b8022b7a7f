/* SPDX-License-Identifier: MIT */
/*
 * embed.c - a server in a program that has its own event loop: here poll(2) on the server and the keyboard.
 * One thread does both, so the message they share needs no lock.
 * Try it: embed 8080    and then: curl localhost:8080/
 * Type a line: it is the answer from now on. "quit" ends the program.
 */
#include <peregrine/peregrine.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct app {
	per_server *server;
	char message[1024];
	size_t message_len; /* bytes */
	int keyboard;       /* descriptor, -1 after its end */
};

static int on_request(per_req *req, void *user)
{
	const struct app *app = user;
	return per_reply(req, 200, PER_S("text/plain"), per_str_make(app->message, app->message_len));
}

/* The application's own event: what was typed. poll(2) ignores a descriptor of -1. */
static void keyboard_read(struct app *app)
{
	char line[sizeof(app->message)];
	const ssize_t len = read(app->keyboard, line, sizeof(line));
	if (len <= 0)
		app->keyboard = -1;
	else if (len == 5 && memcmp(line, "quit\n", 5) == 0)
		per_server_stop(app->server);
	else
		memcpy(app->message, line, app->message_len = (size_t)len);
}

/* Returns 0 after per_server_stop(), or a negative PER_E*. */
static int app_run(struct app *app)
{
	int more;
	while ((more = per_server_poll(app->server, 0)) > 0) {
		struct pollfd fds[] = {
			{ .fd = per_server_poll_fd(app->server), .events = POLLIN },
			{ .fd = app->keyboard, .events = POLLIN },
		};
		poll(fds, 2, per_server_poll_timeout_ms(app->server));
		if (fds[1].revents != 0)
			keyboard_read(app);
	}
	return more;
}

int main(int argc, char **argv)
{
	struct app app = { .message = "Kawww\n", .message_len = 6, .keyboard = STDIN_FILENO };
	const per_config config = {
		.port = argc > 1 ? (uint16_t)atoi(argv[1]) : 3000,
		.workers = 1, /* per_server_poll() drives one */
		.handler = { .on_request = on_request, .user = &app },
	};
	int err = per_server_new(&app.server, &config);
	if (err == 0) {
		printf("listening on %s\n", per_server_address(app.server, 0));
		err = app_run(&app);
	}
	per_server_free(app.server);
	if (err != 0)
		fprintf(stderr, "embed: %s\n", per_strerror(err));
	return err != 0;
}
