/* SPDX-License-Identifier: MIT */
/*
 * context.c - the compression contexts of a connection: made when first needed, out of the worker's blocks,
 * within a budget for all connections of the worker. Called by accept.c, in.c, out.c and ws.c.
 * Invariant: what was agreed on in a handshake can be inflated; compressing takes only what that leaves.
 */
#include "ws/context.h"

#include "ws/pubsub.h"
#include "ws/ws.h"

#define INFLATE_STATE_BYTES (12u * 1024u) /* besides its window, in blocks */
#define BUDGET_DEFAULT ((size_t)64 << 20)

static struct per__contexts *contexts_of(struct per__worker *worker)
{
	return &((struct per__topics *)worker->upper_state)->contexts;
}

static void *inflate_take(void *arg, size_t bytes)
{
	size_t cap;

	return per__block_take(arg, bytes, &cap); /* accounted for by the handshake */
}

static void inflate_give(void *arg, void *block)
{
	per__block_give(arg, block);
}

static void *deflate_take(void *arg, size_t bytes)
{
	struct per__contexts *contexts = contexts_of(arg);
	size_t cap;
	void *block;

	if (contexts->inflate_bytes + contexts->deflate_bytes + bytes > contexts->bytes_max)
		return NULL;
	block = per__block_take(arg, bytes, &cap);
	if (block != NULL)
		contexts->deflate_bytes += cap;
	return block;
}

static void deflate_give(void *arg, void *block)
{
	contexts_of(arg)->deflate_bytes -= per__block_size(arg, block);
	per__block_give(arg, block);
}

void per__contexts_init(struct per__contexts *contexts, struct per__worker *worker)
{
	contexts->for_inflate =
		(struct per__deflate_memory){ .take = inflate_take, .give = inflate_give, .arg = worker };
	contexts->for_deflate =
		(struct per__deflate_memory){ .take = deflate_take, .give = deflate_give, .arg = worker };
}

static size_t inflate_bytes(uint8_t client_bits)
{
	return INFLATE_STATE_BYTES + PER_MAX((size_t)1 << client_bits, (size_t)8192);
}

/* The budget is a setting of the endpoint; the largest one in use holds for the worker. */
bool per__contexts_reserve(struct per__worker *worker, const per_ws_config *config, uint8_t client_bits)
{
	struct per__contexts *contexts = contexts_of(worker);
	size_t budget = config->deflate_memory_bytes != 0 ? config->deflate_memory_bytes : BUDGET_DEFAULT;
	size_t bytes = inflate_bytes(client_bits);

	contexts->bytes_max = PER_MAX(contexts->bytes_max, budget);
	if (contexts->inflate_bytes + contexts->deflate_bytes + bytes > contexts->bytes_max)
		return false;
	contexts->inflate_bytes += bytes;
	return true;
}

void per__contexts_unreserve(struct per__worker *worker, uint8_t client_bits)
{
	contexts_of(worker)->inflate_bytes -= inflate_bytes(client_bits);
}

void per__ws_contexts_free(struct per_ws *ws)
{
	if (ws->deflater != NULL)
		per__deflater_free(ws->deflater);
	if (ws->inflater != NULL)
		per__inflater_free(ws->inflater);
	if (ws->params.is_on)
		per__contexts_unreserve(ws->conn->worker, ws->params.client_bits);
	ws->deflater = NULL;
	ws->inflater = NULL;
	ws->params.is_on = false;
}

struct per__deflater *per__ws_deflater(struct per_ws *ws)
{
	const struct per__deflate_memory *memory = &contexts_of(ws->conn->worker)->for_deflate;
	int level = ws->config->deflate_level != 0 ? ws->config->deflate_level : 1;

	if (ws->deflater == NULL)
		ws->deflater = per__deflater_new(memory, ws->params.server_bits, level,
						 ws->params.server_no_takeover);
	return ws->deflater;
}

struct per__inflater *per__ws_inflater(struct per_ws *ws)
{
	const struct per__deflate_memory *memory = &contexts_of(ws->conn->worker)->for_inflate;

	if (ws->inflater == NULL)
		ws->inflater =
			per__inflater_new(memory, ws->params.client_bits, ws->params.client_no_takeover);
	return ws->inflater;
}
