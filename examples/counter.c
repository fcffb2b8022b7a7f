/* SPDX-License-Identifier: MIT */
/*
 * counter.c - one number shared by all worker threads. Handlers run on several threads at once, so what
 * they share must be atomic (or locked); everything else about a request belongs to one thread.
 * Try it: counter 8080    and then, a few times: curl localhost:8080/
 */
#include <peregrine/peregrine.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static int count(per_req *req, void *user)
{
	atomic_ulong *visits = user;
	const unsigned long number = atomic_fetch_add_explicit(visits, 1, memory_order_relaxed) + 1;

	char text[64];
	const int len = snprintf(text, sizeof(text), "You are visitor number %lu.\n", number);
	return per_reply(req, 200, PER_S("text/plain"), per_str_make(text, (size_t)len)); /* text is copied */
}

int main(int argc, char **argv)
{
	atomic_ulong visits = 0;
	const per_config config = {
		.port = argc > 1 ? (uint16_t)atoi(argv[1]) : 3000,
		.handler = { .on_request = count, .user = &visits }, /* user is handed to every hook */
		.handle_signals = true,
	};
	per_server *server;
	int err = per_server_new(&server, &config);
	if (err == 0) {
		printf("listening on %s, %u workers\n", per_server_address(server, 0),
		       per_server_workers(server));
		err = per_server_run(server);
	}
	per_server_free(server);
	if (err != 0)
		fprintf(stderr, "counter: %s\n", per_strerror(err));
	return err != 0;
}
