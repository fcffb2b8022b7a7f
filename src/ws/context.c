/* SPDX-License-Identifier: MIT */
/*
 * context.c - the compression contexts of a connection: made when first needed, out of the worker's blocks,
 * within a budget for all connections of the worker. Called by in.c and out.c.
 */
#include "ws/pubsub.h"
#include "ws/ws.h"

/* A block carries its size in front, so that giving it back keeps the account. */
struct block_head {
	size_t cap;
	size_t reserved; /* keeps what follows aligned to 16 bytes */
};

static void *context_take(void *arg, size_t bytes)
{
	struct per__worker *worker = arg;
	struct per__topics *topics = worker->upper_state;
	struct block_head *head;
	size_t cap;

	if (topics->context_bytes + bytes > topics->context_bytes_max)
		return NULL;
	head = per__block_take(worker, bytes + sizeof(*head), &cap);
	if (head == NULL)
		return NULL;
	head->cap = cap;
	topics->context_bytes += cap;
	return head + 1;
}

static void context_give(void *arg, void *block)
{
	struct per__worker *worker = arg;
	struct per__topics *topics = worker->upper_state;
	struct block_head *head = (struct block_head *)block - 1;

	topics->context_bytes -= head->cap;
	per__block_give(worker, head);
}

void per__context_memory_init(struct per__deflate_memory *memory, struct per__worker *worker)
{
	*memory = (struct per__deflate_memory){ .take = context_take, .give = context_give, .arg = worker };
}

/* The budget is a setting of the endpoint; the largest one in use holds for the worker. */
static const struct per__deflate_memory *memory_of(struct per_ws *ws)
{
	struct per__topics *topics = ws->conn->worker->upper_state;
	size_t wanted =
		ws->config->deflate_memory_bytes != 0 ? ws->config->deflate_memory_bytes : (size_t)64 << 20;

	topics->context_bytes_max = PER_MAX(topics->context_bytes_max, wanted);
	return &topics->context_memory;
}

struct per__deflater *per__ws_deflater(struct per_ws *ws)
{
	int level = ws->config->deflate_level != 0 ? ws->config->deflate_level : 1;

	if (ws->deflater == NULL)
		ws->deflater = per__deflater_new(memory_of(ws), ws->params.server_bits, level,
						 ws->params.server_no_takeover);
	return ws->deflater;
}

struct per__inflater *per__ws_inflater(struct per_ws *ws)
{
	if (ws->inflater == NULL)
		ws->inflater = per__inflater_new(memory_of(ws), ws->params.client_bits,
						 ws->params.client_no_takeover);
	return ws->inflater;
}
