/* SPDX-License-Identifier: MIT */
/*
 * post.c - what other threads can ask of a server: run a function for an exchange or a WebSocket, send,
 * publish. Never touches a connection: leaves a letter in the mailbox of the worker that owns it.
 */
#include "base/mem.h"
#include "server.h"
#include "ws/ws.h"
#include <string.h>

static int post(per_server *server, struct per__mail mail)
{
	struct per__worker *worker;

	if (mail.fn == NULL || mail.ref.worker >= server->conf.workers)
		return PER_EINVAL;
	worker = server->workers[mail.ref.worker];
	return per__mailbox_put(&worker->mailbox, &mail, per__worker_wake, worker);
}

int per_post(per_server *server, per_ref ref, per_post_fn fn, void *arg)
{
	return post(server, (struct per__mail){
				    .run = per__h1_run_post, .fn = fn, .arg = arg, .ref = ref, .fd = -1 });
}

int per_ws_post(per_server *server, per_ref ref, per_ws_post_fn fn, void *arg)
{
	per_post_fn stored = (per_post_fn)(void (*)(void))fn; /* called as what it is by per__ws_run_post() */

	return post(server,
		    (struct per__mail){
			    .run = per__ws_run_post, .fn = stored, .arg = arg, .ref = ref, .fd = -1 });
}

static void worker_run_post(struct per__worker *worker, const struct per__mail *mail)
{
	per_worker_fn fn = (per_worker_fn)(void (*)(void))mail->fn;

	per__count(&worker->counters.posts, 1);
	fn(worker->index, mail->arg);
}

int per_worker_post(per_server *server, unsigned worker, per_worker_fn fn, void *arg)
{
	per_post_fn stored = (per_post_fn)(void (*)(void))fn; /* called as what it is by worker_run_post() */

	return post(server, (struct per__mail){ .run = worker_run_post,
						.fn = stored,
						.arg = arg,
						.ref = { .worker = worker },
						.fd = -1 });
}

/* A message on its way to one connection. */
struct letter {
	per_ws_type type;
	size_t len;
	uint8_t data[];
};

static void letter_send(per_ws *ws, void *arg)
{
	struct letter *letter = arg;

	if (ws != NULL)
		(void)per_ws_send(ws, letter->type, letter->data, letter->len);
	per__mem_free(letter);
}

int per_ws_send_to(per_server *server, per_ref ref, per_ws_type type, const void *data, size_t len)
{
	struct letter *letter = per__mem_alloc(sizeof(*letter) + len);
	int err;

	if (letter == NULL)
		return PER_ENOMEM;
	letter->type = type;
	letter->len = len;
	if (len > 0)
		memcpy(letter->data, data, len);
	err = per_ws_post(server, ref, letter_send, letter);
	if (err != 0)
		per__mem_free(letter);
	return err;
}

int per_ws_publish(per_server *server, per_str topic, per_ws_type type, const void *data, size_t len)
{
	return per__pubsub_publish(&server->ws, topic, type, data, len);
}
