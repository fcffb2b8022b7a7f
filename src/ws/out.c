/* SPDX-License-Identifier: MIT */
/*
 * out.c - from messages to bytes: frames, compressing, and what happens when the peer reads too slowly.
 * Everything queued in one turn leaves in one send. Called by the application, by ws.c and pubsub.c, on the
 * owning worker.
 */
#include "core/out.h"
#include "ws/pubsub.h"
#include "ws/ws.h"

#include <string.h>

#define MESSAGE_BYTES_MAX ((size_t)512 << 20)

int per__ws_control(struct per_ws *ws, uint8_t opcode, const void *data, size_t len)
{
	uint8_t *begin;
	size_t head_len;

	if (!per__conn_is_open(ws->conn))
		return PER_EGONE;
	begin = per__out_reserve(ws->conn, PER__WS_SERVER_HEAD_MAX + PER__WS_CONTROL_MAX);
	if (begin == NULL)
		return PER_ENOMEM;
	head_len = per__ws_frame_head(begin, opcode, true, false, len);
	if (len > 0)
		memcpy(begin + head_len, data, len);
	per__out_commit(ws->conn, head_len + len);
	return 0;
}

/* --- messages --------------------------------------------------------------------------------- */

static int queue_plain(struct per_ws *ws, per_ws_type type, const void *data, size_t len)
{
	uint8_t *begin = per__out_reserve(ws->conn, PER__WS_SERVER_HEAD_MAX + len);
	size_t head_len;

	if (begin == NULL)
		return PER_ENOMEM;
	head_len = per__ws_frame_head(begin, (uint8_t)type, true, false, len);
	if (len > 0)
		memcpy(begin + head_len, data, len);
	per__out_commit(ws->conn, head_len + len);
	return 0;
}

/*
 * Compresses behind the room for the largest header, then closes the gap. Returns false to send it as it
 * is.
 */
static bool queue_compressed(struct per_ws *ws, per_ws_type type, const void *data, size_t len)
{
	struct per__deflater *deflater = per__ws_deflater(ws);
	size_t bound = per__deflate_bound(len);
	uint8_t *begin, *body;
	size_t head_len;
	int64_t n;

	if (deflater == NULL)
		return false;
	begin = per__out_reserve(ws->conn, PER__WS_SERVER_HEAD_MAX + bound);
	if (begin == NULL)
		return false;
	body = begin + PER__WS_SERVER_HEAD_MAX;
	n = per__deflate_message(deflater, body, bound, data, len);
	if (n < 0 || (size_t)n >= len) {
		per__deflater_forget(deflater); /* the peer will not see what it remembers */
		return false;
	}
	head_len = per__ws_frame_head(begin, (uint8_t)type, true, true, (uint64_t)n);
	memmove(begin + head_len, body, (size_t)n);
	per__out_commit(ws->conn, head_len + (size_t)n);
	return true;
}

static int queue_message(struct per_ws *ws, per_ws_type type, const void *data, size_t len)
{
	size_t deflate_min = ws->config->deflate_min_bytes != 0 ? ws->config->deflate_min_bytes : 64;

	if (ws->params.is_on && len >= deflate_min && queue_compressed(ws, type, data, len))
		return 0;
	return queue_plain(ws, type, data, len);
}

/* --- slow readers ----------------------------------------------------------------------------- */

static void latest_drop(struct per_ws *ws)
{
	if (ws->latest != NULL)
		per__block_give(ws->conn->worker, ws->latest);
	ws->latest = NULL;
	ws->latest_len = 0;
}

static int latest_keep(struct per_ws *ws, per_ws_type type, const void *data, size_t len)
{
	size_t cap;
	uint8_t *block = per__block_take(ws->conn->worker, PER_MAX(len, (size_t)1), &cap);

	if (block == NULL)
		return PER_ENOMEM;
	latest_drop(ws);
	if (len > 0)
		memcpy(block, data, len);
	ws->latest = block;
	ws->latest_len = len;
	ws->flags &= (uint16_t)~PER__WS_LATEST_TEXT;
	if (type == PER_WS_TEXT)
		ws->flags |= PER__WS_LATEST_TEXT;
	return 0;
}

/* Is the connection above its limit? Then on_drain will be called. */
static bool is_full(struct per_ws *ws)
{
	if (PER_LIKELY(ws->conn->out_bytes <= per__ws_queue_max(ws)))
		return false;
	ws->conn->flags |= PER__CONN_WANT_WRITABLE;
	return true;
}

/* The message does not fit. */
static int policy_apply(struct per_ws *ws, per_ws_type type, const void *data, size_t len)
{
	int err = 0;

	switch (ws->config->policy) {
	case PER_WS_POLICY_CLOSE:
		per__ws_fail(ws, 1008);
		return PER_ESTATE;
	case PER_WS_POLICY_DROP:
		break;
	case PER_WS_POLICY_LATEST:
		err = latest_keep(ws, type, data, len);
		break;
	}
	return err != 0 ? err : PER_EAGAIN;
}

int per_ws_send(per_ws *ws, per_ws_type type, const void *data, size_t len)
{
	int err;

	if (PER_UNLIKELY(!per__conn_is_open(ws->conn)))
		return PER_EGONE;
	if (PER_UNLIKELY(ws->state != PER__WS_OPEN))
		return PER_ESTATE;
	if ((type != PER_WS_TEXT && type != PER_WS_BINARY) || len > MESSAGE_BYTES_MAX)
		return PER_EINVAL;
	if (PER_UNLIKELY(is_full(ws)))
		return policy_apply(ws, type, data, len);
	err = queue_message(ws, type, data, len);
	if (err != 0)
		return err;
	latest_drop(ws); /* an older one must not come behind it */
	return is_full(ws) ? PER_EAGAIN : 0;
}

int per_ws_ping(per_ws *ws, const void *data, size_t len)
{
	if (len > PER__WS_CONTROL_MAX)
		return PER_EINVAL;
	if (ws->state != PER__WS_OPEN)
		return PER_ESTATE;
	return per__ws_control(ws, PER__WS_PING, data, len);
}

void per__ws_latest_send(struct per_ws *ws)
{
	per_ws_type type = (ws->flags & PER__WS_LATEST_TEXT) != 0 ? PER_WS_TEXT : PER_WS_BINARY;

	if (ws->latest == NULL || !per__ws_is_open(ws))
		return;
	if (queue_message(ws, type, ws->latest, ws->latest_len) != 0)
		per__ws_fail(ws, 1011); /* no memory, and nothing would call again */
	latest_drop(ws);
}

void per__ws_drained(struct per_ws *ws)
{
	const per_ws_handler *handler = &ws->config->handler;

	if ((ws->flags & PER__WS_FULL) != 0) {
		ws->flags &= (uint16_t)~PER__WS_FULL;
		if ((ws->flags & PER__WS_PAUSED) == 0)
			per__conn_unhold(ws->conn);
	}
	per__ws_latest_send(ws);
	if (handler->on_drain != NULL && per__ws_is_open(ws))
		handler->on_drain(ws, handler->user);
}

/* --- published messages ----------------------------------------------------------------------- */

void per__ws_send_shared(struct per_ws *ws, struct per__publication *pub)
{
	const struct per__pub_frame *frame = &pub->plain;
	struct per__pub_local *local = &pub->local[ws->conn->worker->index];

	if (!per__ws_is_open(ws))
		return;
	if (is_full(ws)) {
		(void)policy_apply(ws, pub->type, pub->payload, pub->payload_len);
		return;
	}
	/*
	 * The shared compressor has a window of its own: ours must not refer to anything before its
	 * message.
	 */
	if (pub->deflated.len > 0 && ws->params.is_on && ws->params.server_bits == 15) {
		frame = &pub->deflated;
		if (ws->deflater != NULL)
			per__deflater_forget(ws->deflater);
	}
	local->refs++;
	if (per__out_lend(ws->conn, frame->data, frame->len, per__pub_release, local) != 0)
		(void)policy_apply(ws, pub->type, pub->payload, pub->payload_len); /* no memory for it */
	else
		latest_drop(ws);
}
