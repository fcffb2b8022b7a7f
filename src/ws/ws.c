/* SPDX-License-Identifier: MIT */
/*
 * ws.c - the life of a WebSocket: open, idle, closing handshake, end; and what can be asked of it.
 * Reads no frames (in.c) and sends no messages (out.c). Called by conn.c through per__proto_ws, and by the
 * application.
 */
#include "ws/ws.h"

#include "core/out.h"
#include "ws/pubsub.h"
#include <string.h>

#define MS_NS INT64_C(1000000)
#define CODE_NONE 1005     /* the close frame had no code (RFC 6455 section 7.1.5) */
#define CODE_ABNORMAL 1006 /* there was no close frame */

static inline struct per_ws *ws_of(const struct per__conn *conn)
{
	return conn->proto_state;
}

static int64_t timeout_ns(unsigned configured_ms, unsigned default_ms)
{
	return (int64_t)(configured_ms != 0 ? configured_ms : default_ms) * MS_NS;
}

size_t per__ws_message_max(const struct per_ws *ws)
{
	return ws->config->message_bytes_max != 0 ? ws->config->message_bytes_max : (size_t)16 << 20;
}

size_t per__ws_queue_max(const struct per_ws *ws)
{
	return ws->config->queue_bytes != 0 ? ws->config->queue_bytes : (size_t)1 << 20;
}

/* --- deadlines -------------------------------------------------------------------------------- */

/*
 * The deadline of a connection that has nothing to send: of its silence, of our ping, or of the peer's
 * close frame.
 */
static void idle_timer_set(struct per_ws *ws)
{
	const per_ws_config *config = ws->config;
	int64_t ns = timeout_ns(config->idle_timeout_ms, 30000);

	if (ws->state != PER__WS_OPEN)
		ns = timeout_ns(config->close_timeout_ms, 5000);
	else if ((ws->flags & PER__WS_PINGED) != 0)
		ns = timeout_ns(config->pong_timeout_ms, 20000);
	ws->due_ns = ws->conn->worker->loop.now_ns + ns;
	per__conn_set_timer(ws->conn, PER__TIMER_IDLE, ns);
}

/* Has anything come since the deadline was set? Then the peer is there, and a new one begins. */
static bool is_heard(struct per_ws *ws)
{
	if (ws->conn->sock.bytes_in == ws->in_mark)
		return false;
	ws->in_mark = ws->conn->sock.bytes_in;
	ws->flags &= (uint16_t)~PER__WS_PINGED;
	return true;
}

static void ws_on_timeout(struct per__conn *conn)
{
	struct per_ws *ws = ws_of(conn);
	bool is_listening = (conn->flags & PER__CONN_HOLD) == 0;

	if (ws->state == PER__WS_OPEN && is_heard(ws)) {
		idle_timer_set(ws);
		return;
	}
	if (ws->state != PER__WS_OPEN || (is_listening && (ws->flags & PER__WS_PINGED) != 0) ||
	    per__ws_control(ws, PER__WS_PING, NULL, 0) != 0) {
		per__conn_cut(conn);
		return;
	}
	ws->flags &= (uint16_t)~PER__WS_PINGED;
	if (is_listening) /* else no pong can be seen: the ping finds out no more than a reset */
		ws->flags |= PER__WS_PINGED;
	idle_timer_set(ws);
}

/* What we send says nothing about the peer: its deadline stays, unless it was heard. */
static void ws_on_drained(struct per__conn *conn)
{
	struct per_ws *ws = ws_of(conn);
	int64_t left_ns = ws->due_ns - conn->worker->loop.now_ns;

	if (ws->due_ns == 0 || is_heard(ws))
		idle_timer_set(ws);
	else
		per__conn_set_timer(conn, PER__TIMER_IDLE, PER_MAX(left_ns, INT64_C(0)));
}

/* --- beginning and end ------------------------------------------------------------------------ */

static void ws_on_open(struct per__conn *conn)
{
	struct per_ws *ws = ws_of(conn);
	const per_ws_handler *handler = &ws->config->handler;

	conn->out_low = per__ws_queue_max(ws) / 2;
	ws->in_mark = conn->sock.bytes_in;
	ws->flags |= PER__WS_TOLD_OPEN;
	if (handler->on_open != NULL)
		handler->on_open(ws, handler->user);
}

static void blocks_drop(struct per_ws *ws)
{
	struct per__worker *worker = ws->conn->worker;

	if (ws->msg != NULL)
		per__block_give(worker, ws->msg);
	if (ws->latest != NULL)
		per__block_give(worker, ws->latest);
	per__ws_contexts_free(ws);
	ws->msg = ws->latest = NULL;
}

static void ws_on_close(struct per__conn *conn, int error)
{
	struct per_ws *ws = ws_of(conn);
	struct per__worker *worker = conn->worker;
	const per_ws_handler *handler = &ws->config->handler;
	bool has_reason = (ws->flags & PER__WS_REASON) != 0;

	(void)error;
	ws->state = PER__WS_CLOSED;
	if (handler->on_close != NULL && (ws->flags & PER__WS_TOLD_OPEN) != 0)
		handler->on_close(ws, ws->close_code != 0 ? ws->close_code : CODE_ABNORMAL,
				  has_reason ? per_str_make((char *)ws->msg, ws->msg_len) : PER_S(""),
				  handler->user);
	per__pubsub_leave_all(ws); /* also what on_close has joined */
	blocks_drop(ws);
	ws->generation++;
	conn->proto_state = NULL;
	per__slab_give(&worker->exts, ws);
}

/*
 * Nothing more is read; the connection ends when the close frame is with the kernel and the peer has
 * closed.
 */
static void finish(struct per_ws *ws)
{
	ws->state = PER__WS_CLOSED;
	per__conn_finish(ws->conn, true);
}

static int close_frame(struct per_ws *ws, unsigned code, const void *reason, size_t reason_len)
{
	uint8_t payload[PER__WS_CONTROL_MAX] = { (uint8_t)(code >> 8), (uint8_t)code };

	if (reason_len > 0)
		memcpy(payload + 2, reason, reason_len);
	return per__ws_control(ws, PER__WS_CLOSE, payload, code != 0 ? 2 + reason_len : 0);
}

void per__ws_fail(struct per_ws *ws, unsigned code)
{
	if (ws->state == PER__WS_CLOSED || !per__conn_is_open(ws->conn))
		return;
	if (ws->close_code == 0)
		ws->close_code = (uint16_t)code;
	if (ws->state == PER__WS_OPEN && close_frame(ws, code, NULL, 0) != 0)
		per__conn_close(ws->conn, PER__CLOSE_RESET);
	finish(ws);
}

/* Keeps the reason for on_close, in the place of the message in progress, which is void. */
static void reason_keep(struct per_ws *ws, const uint8_t *reason, size_t len)
{
	if (len == 0)
		return;
	if (ws->msg == NULL)
		ws->msg = per__block_take(ws->conn->worker, len, &ws->msg_cap);
	if (ws->msg == NULL)
		return;
	memcpy(ws->msg, reason, len);
	ws->msg_len = len;
	ws->flags |= PER__WS_REASON;
}

void per__ws_peer_closed(struct per_ws *ws, const uint8_t *payload, size_t len)
{
	unsigned code = len >= 2 ? (unsigned)payload[0] << 8 | payload[1] : 0;

	if (len == 1 || (len >= 2 && !per__ws_close_code_is_valid(code))) {
		per__ws_fail(ws, 1002);
		return;
	}
	if (len > 2 && !per__utf8_is_valid(payload + 2, len - 2)) {
		per__ws_fail(ws, 1007);
		return;
	}
	if (ws->state == PER__WS_OPEN) {
		ws->close_code = (uint16_t)(code != 0 ? code : CODE_NONE);
		if (len > 2)
			reason_keep(ws, payload + 2, len - 2);
		if (close_frame(ws, code, NULL, 0) != 0)
			per__conn_close(ws->conn, PER__CLOSE_RESET);
	}
	finish(ws);
}

int per_ws_close(per_ws *ws, int code, per_str reason)
{
	int err;

	if (code < 0 || (code != 0 && !per__ws_close_code_is_valid((unsigned)code)) ||
	    reason.len > PER__WS_CONTROL_MAX - 2 || (code == 0 && reason.len > 0) ||
	    !per__utf8_is_valid((const uint8_t *)reason.ptr, reason.len))
		return PER_EINVAL;
	if (!per__ws_is_open(ws))
		return PER_ESTATE;
	per__ws_latest_send(ws); /* it was sent before the close */
	if (!per__ws_is_open(ws))
		return PER_ENOMEM; /* that has ended the connection */
	err = close_frame(ws, (unsigned)code, reason.ptr, reason.len);
	if (err != 0)
		return err;
	ws->state = PER__WS_CLOSING;
	ws->close_code = (uint16_t)(code != 0 ? code : CODE_NONE);
	ws->due_ns = 0; /* the time for the peer's answer begins when ours is with the kernel */
	per_ws_resume(ws);
	return 0;
}

void per_ws_abort(per_ws *ws)
{
	per__conn_close(ws->conn, PER__CLOSE_RESET);
}

static void ws_on_stop(struct per__conn *conn)
{
	struct per_ws *ws = ws_of(conn);

	if (ws->state == PER__WS_OPEN)
		(void)per_ws_close(ws, 1001, PER_S(""));
}

static void ws_on_nomem(struct per__conn *conn)
{
	per__ws_fail(ws_of(conn), 1011);
}

static void ws_on_eof(struct per__conn *conn)
{
	per__conn_finish(conn, false);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void ws_on_turn(struct per__conn *conn)
{
	(void)conn;
}

static void ws_on_writable(struct per__conn *conn)
{
	per__ws_drained(ws_of(conn));
}

void per_ws_pause(per_ws *ws)
{
	if (ws->state != PER__WS_OPEN)
		return; /* no message comes any more, and the peer's close frame is waited for */
	ws->flags |= PER__WS_PAUSED;
	per__conn_hold(ws->conn);
}

void per_ws_resume(per_ws *ws)
{
	ws->flags &= (uint16_t)~PER__WS_PAUSED;
	if ((ws->flags & PER__WS_FULL) == 0)
		per__conn_unhold(ws->conn);
}

size_t per_ws_queued(const per_ws *ws)
{
	return ws->conn->out_bytes + ws->latest_len;
}

void per_ws_set_data(per_ws *ws, void *data)
{
	ws->data = data;
}

void *per_ws_data(const per_ws *ws)
{
	return ws->data;
}

void *per_ws_worker_state(const per_ws *ws)
{
	return ws->conn->worker->user_state;
}

per_server *per_ws_server(const per_ws *ws)
{
	return ws->conn->worker->server;
}

per_ref per_ws_ref(const per_ws *ws)
{
	const struct per__worker *worker = ws->conn->worker;

	return (per_ref){ worker->index, per__slab_index(&worker->exts, ws), ws->generation };
}

void per__ws_run_post(struct per__worker *worker, const struct per__mail *mail)
{
	per_ws_post_fn fn = (per_ws_post_fn)(void (*)(void))mail->fn;
	struct per_ws *ws = NULL;

	per__count(&worker->counters.posts, 1);
	if (mail->ref.slot < worker->exts.touched)
		ws = per__slab_at(&worker->exts, mail->ref.slot);
	if (ws != NULL && (ws->generation != mail->ref.generation || !per__conn_is_open(ws->conn)))
		ws = NULL;
	fn(ws, mail->arg);
}

const struct per__proto per__proto_ws = {
	.name = "websocket",
	.on_open = ws_on_open,
	.on_data = per__ws_on_data,
	.on_eof = ws_on_eof,
	.on_turn = ws_on_turn,
	.on_writable = ws_on_writable,
	.on_drained = ws_on_drained,
	.on_timeout = ws_on_timeout,
	.on_nomem = ws_on_nomem,
	.on_stop = ws_on_stop,
	.on_close = ws_on_close,
};
