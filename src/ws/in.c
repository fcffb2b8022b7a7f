/* SPDX-License-Identifier: MIT */
/*
 * in.c - from bytes to messages: frames, fragments, control frames between them, UTF-8, inflating.
 * A message that lies whole in one receive buffer is unmasked there and handed on without a copy.
 * Invariant: what was handed on is a prefix of valid messages; nothing is read behind a close frame or a
 * failure.
 */
#include "ws/ws.h"

#include <string.h>

#define INFLATE_FIRST_BYTES 4096u

static inline bool goes_on(const struct per_ws *ws)
{
	return ws->state != PER__WS_CLOSED && per__conn_is_open(ws->conn);
}

/* --- delivering ------------------------------------------------------------------------------- */

static void deliver(struct per_ws *ws, uint8_t *data, size_t len, bool is_last)
{
	const per_ws_handler *handler = &ws->config->handler;
	per_ws_type type = (ws->flags & PER__WS_IS_TEXT) != 0 ? PER_WS_TEXT : PER_WS_BINARY;

	if (ws->state != PER__WS_OPEN)
		return; /* after our close frame messages are read past */
	if (handler->on_piece == NULL && handler->on_message != NULL)
		handler->on_message(ws, type, data, len, handler->user);
	else if (handler->on_piece != NULL && (len > 0 || is_last)) /* an empty fragment is no piece */
		handler->on_piece(ws, type, data, len, is_last, handler->user);
}

static void msg_drop(struct per_ws *ws)
{
	if (ws->msg != NULL)
		per__block_give(ws->conn->worker, ws->msg);
	ws->msg = NULL;
	ws->msg_len = ws->msg_cap = 0;
}

/* Makes room for bytes more in the message that is collected. Returns false after failing the connection. */
static bool msg_grow(struct per_ws *ws, size_t bytes)
{
	struct per__worker *worker = ws->conn->worker;
	size_t cap;
	uint8_t *msg;

	if (bytes <= ws->msg_cap - ws->msg_len)
		return true;
	msg = per__block_take(worker, PER_MAX(ws->msg_len + bytes, 2 * ws->msg_len), &cap);
	if (msg == NULL)
		msg = per__block_take(worker, ws->msg_len + bytes, &cap);
	if (msg == NULL) {
		per__ws_fail(ws, 1009);
		return false;
	}
	if (ws->msg_len > 0)
		memcpy(msg, ws->msg, ws->msg_len);
	if (ws->msg != NULL)
		per__block_give(worker, ws->msg);
	ws->msg = msg;
	ws->msg_cap = cap;
	return true;
}

/* Checks a piece of content that is ready: size and UTF-8. Returns false after failing the connection. */
static bool content_check(struct per_ws *ws, const uint8_t *data, size_t len, bool is_last)
{
	ws->msg_seen += len;
	if (ws->msg_seen > per__ws_message_max(ws)) {
		per__ws_fail(ws, 1009);
		return false;
	}
	if ((ws->flags & PER__WS_IS_TEXT) == 0)
		return true;
	if (per__utf8_feed(&ws->utf8, data, len) && (!is_last || ws->utf8 == PER__UTF8_OK))
		return true;
	per__ws_fail(ws, 1007);
	return false;
}

static void message_end(struct per_ws *ws)
{
	ws->flags &= (uint16_t) ~(PER__WS_IN_MESSAGE | PER__WS_DEFLATED | PER__WS_IS_TEXT);
	ws->fragments = 0;
	ws->msg_seen = 0;
	ws->utf8 = PER__UTF8_OK;
}

/* A piece of content that is not compressed. */
static void content_arrived(struct per_ws *ws, uint8_t *data, size_t len, bool is_last)
{
	bool is_streamed = ws->config->handler.on_piece != NULL;

	if (!content_check(ws, data, len, is_last))
		return;
	if (is_streamed || (is_last && ws->msg_len == 0)) {
		deliver(ws, data, len, is_last);
	} else {
		if (!msg_grow(ws, len))
			return;
		if (len > 0)
			memcpy(ws->msg + ws->msg_len, data, len);
		ws->msg_len += len;
		if (is_last)
			deliver(ws, ws->msg, ws->msg_len, true);
	}
	if (is_last && (ws->flags & PER__WS_REASON) == 0) {
		msg_drop(ws);
		message_end(ws);
	}
}

/* --- inflating -------------------------------------------------------------------------------- */

/* What was inflated into msg since before: checked, and handed on when the application takes pieces. */
static bool inflated(struct per_ws *ws, size_t before, bool is_last)
{
	if (!content_check(ws, ws->msg + before, ws->msg_len - before, is_last))
		return false;
	if (ws->config->handler.on_piece != NULL) {
		if (ws->msg_len > 0 || is_last)
			deliver(ws, ws->msg, ws->msg_len, is_last);
		ws->msg_len = 0;
	} else if (is_last) {
		deliver(ws, ws->msg, ws->msg_len, true);
	}
	return goes_on(ws);
}

/* A piece of a compressed message (RFC 7692 section 7.2.2). */
static void compressed_arrived(struct per_ws *ws, const uint8_t *data, size_t len, bool is_last)
{
	struct per__inflater *inflater = per__ws_inflater(ws);
	enum per__inflate_result result;

	if (inflater == NULL) {
		per__ws_fail(ws, 1011); /* above the budget of contexts */
		return;
	}
	do {
		size_t before = ws->msg_len, out = 0;

		if (!msg_grow(ws, ws->msg_len == ws->msg_cap ? PER_MAX(INFLATE_FIRST_BYTES, ws->msg_len) : 1))
			return;
		result = per__inflate_piece(inflater, &data, &len, is_last, ws->msg + before,
					    ws->msg_cap - before, &out);
		if (result == PER__INFLATE_BAD || result == PER__INFLATE_NOMEM) {
			per__ws_fail(ws, result == PER__INFLATE_BAD ? 1007 : 1011);
			return;
		}
		ws->msg_len += out;
		if (!inflated(ws, before, is_last && result == PER__INFLATE_MORE))
			return;
	} while (result == PER__INFLATE_FULL);
	if (is_last && (ws->flags & PER__WS_REASON) == 0) {
		msg_drop(ws);
		message_end(ws);
	}
}

/* --- frames ----------------------------------------------------------------------------------- */

static void control_arrived(struct per_ws *ws, const struct per__ws_frame *frame, const uint8_t *payload)
{
	const per_ws_handler *handler = &ws->config->handler;
	size_t len = (size_t)frame->len;

	if (frame->opcode == PER__WS_CLOSE) {
		per__ws_peer_closed(ws, payload, len);
	} else if (frame->opcode == PER__WS_PONG) {
		if (handler->on_pong != NULL && ws->state == PER__WS_OPEN)
			handler->on_pong(ws, payload, len, handler->user);
	} else if (ws->state == PER__WS_OPEN) {
		if (per__ws_control(ws, PER__WS_PONG, payload, len) != 0)
			per__conn_close(ws->conn, PER__CLOSE_RESET);
	}
}

/* A data frame begins: is it allowed here? Returns 0 or the code to fail with. */
static unsigned data_frame_check(struct per_ws *ws, const struct per__ws_frame *frame)
{
	uint32_t fragments_max = ws->config->fragments_max != 0 ? ws->config->fragments_max : 1u << 20;
	bool is_continuation = frame->opcode == PER__WS_CONTINUATION;
	bool in_message = (ws->flags & PER__WS_IN_MESSAGE) != 0;

	if (is_continuation != in_message)
		return 1002;
	if (frame->is_rsv1 && (is_continuation || !ws->params.is_on))
		return 1002;
	if (++ws->fragments > fragments_max)
		return 1008;
	if ((ws->flags & PER__WS_DEFLATED) == 0 && !frame->is_rsv1 &&
	    ws->msg_seen + frame->len > per__ws_message_max(ws))
		return 1009;
	return 0;
}

static void data_frame_begin(struct per_ws *ws, const struct per__ws_frame *frame)
{
	ws->frame = *frame;
	ws->frame_left = frame->len;
	ws->flags |= PER__WS_IN_FRAME | PER__WS_IN_MESSAGE;
	if (frame->opcode == PER__WS_TEXT)
		ws->flags |= PER__WS_IS_TEXT;
	if (frame->is_rsv1)
		ws->flags |= PER__WS_DEFLATED;
}

/* Payload of a data frame. */
static size_t payload_step(struct per_ws *ws, uint8_t *data, size_t len)
{
	size_t n = (size_t)PER_MIN((uint64_t)len, ws->frame_left);
	bool is_last;

	per__ws_mask(data, n, ws->frame.mask, ws->frame.len - ws->frame_left);
	ws->frame_left -= n;
	is_last = ws->frame_left == 0 && ws->frame.is_fin;
	if (ws->frame_left == 0)
		ws->flags &= (uint16_t)~PER__WS_IN_FRAME;
	if ((ws->flags & PER__WS_DEFLATED) != 0)
		compressed_arrived(ws, data, n, is_last);
	else
		content_arrived(ws, data, n, is_last);
	return n;
}

/*
 * The header of a frame, with all of the payload if it is a control frame. Returns bytes used, 0: more is
 * needed.
 */
static size_t frame_step(struct per_ws *ws, uint8_t *data, size_t len)
{
	struct per__ws_frame frame;
	int n = per__ws_frame_parse(&frame, data, len);
	unsigned code;

	if (n < 0)
		per__ws_fail(ws, (unsigned)-n);
	if (n <= 0)
		return 0;
	if (frame.opcode >= PER__WS_CLOSE) {
		if (len - (size_t)n < frame.len)
			return 0;
		per__ws_mask(data + n, (size_t)frame.len, frame.mask, 0);
		control_arrived(ws, &frame, data + n);
		return (size_t)n + (size_t)frame.len;
	}
	code = data_frame_check(ws, &frame);
	if (code != 0) {
		per__ws_fail(ws, code);
		return 0;
	}
	data_frame_begin(ws, &frame);
	if (frame.len == 0)
		payload_step(ws, data + n, 0);
	return (size_t)n;
}

size_t per__ws_on_data(struct per__conn *conn, uint8_t *data, size_t len)
{
	struct per_ws *ws = conn->proto_state;
	size_t used = 0;

	while (used < len && goes_on(ws) && (conn->flags & PER__CONN_HOLD) == 0) {
		size_t n;

		if ((ws->flags & PER__WS_IN_FRAME) != 0)
			n = payload_step(ws, data + used, len - used);
		else
			n = frame_step(ws, data + used, len - used);
		if (n == 0)
			break;
		used += n;
		if (PER_UNLIKELY(conn->out_bytes > per__ws_queue_max(ws)) && goes_on(ws)) {
			ws->flags |= PER__WS_FULL; /* what it sends makes us send: it has to read first */
			conn->flags |= PER__CONN_WANT_WRITABLE;
			per__conn_hold(conn);
		}
	}
	return used;
}
