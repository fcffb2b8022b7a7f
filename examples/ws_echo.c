/* SPDX-License-Identifier: MIT */
/*
 * ws_echo.c - the smallest WebSocket server: every message comes back, compressed if the client can.
 * Try it: ws_echo 8080    and then, in the console of a browser:
 *         s = new WebSocket('ws://localhost:8080'); s.onmessage = e => console.log(e.data)
 *         s.send('hello')
 */
#include <peregrine/peregrine.h>

#include <stdio.h>
#include <stdlib.h>

static void on_message(per_ws *ws, per_ws_type type, void *data, size_t len, void *user)
{
	(void)user;
	(void)per_ws_send(ws, type, data, len); /* fails only when the connection is already over */
}

static const per_ws_config echo = {
	.handler.on_message = on_message,
	.deflate = true,
};

/* A WebSocket begins as a request, so cookies, Origin and the path can be looked at before it is accepted. */
static int on_request(per_req *req, void *user)
{
	(void)user;
	if (!per_ws_is_upgrade(req))
		return per_reply(req, 200, PER_S("text/plain"), PER_S("Come back as a WebSocket.\n"));
	const int err = per_ws_accept(req, &echo, PER_S(""), NULL);
	return err == PER_EPROTO ? 0 : err; /* a malformed handshake has been answered already */
}

int main(int argc, char **argv)
{
	const per_config config = {
		.port = argc > 1 ? (uint16_t)atoi(argv[1]) : 3000,
		.handler.on_request = on_request,
		.handle_signals = true,
	};
	per_server *server;
	int err = per_server_new(&server, &config);
	if (err == 0) {
		printf("listening on %s\n", per_server_address(server, 0));
		fflush(stdout);
		err = per_server_run(server);
	}
	per_server_free(server);
	if (err != 0)
		fprintf(stderr, "ws_echo: %s\n", per_strerror(err));
	return err != 0;
}
