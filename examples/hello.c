/* SPDX-License-Identifier: MIT */
/*
 * hello.c - the smallest complete server: one handler, one configuration, one call to run.
 * Try it: hello 8080    and then: curl -i localhost:8080/
 */
#include <peregrine/peregrine.h>

#include <stdio.h>
#include <stdlib.h>

static int hello(per_req *req, void *user)
{
	(void)user;
	return per_reply(req, 200, PER_S("text/plain"), PER_S("Kawww\n"));
}

int main(int argc, char **argv)
{
	const per_config config = {
		.port = argc > 1 ? (uint16_t)atoi(argv[1]) : 3000,
		.handler.on_request = hello,
		.handle_signals = true, /* Ctrl-C and SIGTERM end per_server_run() */
	};
	per_server *server;
	int err = per_server_new(&server, &config);
	if (err == 0) {
		printf("listening on %s\n", per_server_address(server, 0));
		err = per_server_run(server); /* blocks until stopped */
	}
	per_server_free(server);
	if (err != 0)
		fprintf(stderr, "hello: %s\n", per_strerror(err));
	return err != 0;
}
