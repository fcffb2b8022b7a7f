/* SPDX-License-Identifier: MIT */
/*
 * h1.c - HTTP/1.x on a connection: which bytes are head, body, trailers; when hooks are called; how an
 * exchange ends. Parses nothing itself (h1_parse.c, chunked.c) and writes no response (resp.c). Called by
 * conn.c through per__proto_h1. Invariant: conn->req is the one exchange in progress; input is held while
 * it waits for its answer.
 */
#include "http/h1.h"

#include "core/out.h"
#include "core/secure.h"
#include "http/h1_body.h"
#include "http/resp.h"

void per__h1_conf_init(struct per__h1_conf *h1)
{
	const char *name;

	h1->parse = per__h1_parse_best(&name);
}

static inline const struct per__h1_conf *h1_conf(const struct per__conn *conn)
{
	return conn->worker->upper.proto_conf;
}

static inline struct per__h1_limits limits_of(const struct per__conn *conn)
{
	const struct per__worker *worker = conn->worker;

	return (struct per__h1_limits){
		.head_bytes_max = worker->policy.head_bytes_max,
		.target_bytes_max = worker->policy.target_bytes_max,
		.fields_max = worker->conf->head_fields_max,
	};
}

static inline const per_handler *handler_of(const struct per_req *req)
{
	return &req->conn->worker->conf->handler;
}

/* --- the life of an exchange ------------------------------------------------------------------ */

static struct per_req *exchange_begin(struct per__conn *conn)
{
	struct per_req *req = per__slab_take(&conn->worker->reqs);

	PER_ASSERT(req != NULL); /* as many as connections */
	per__zero(&req->base, sizeof(*req) - offsetof(struct per_req, base));
	req->conn = conn;
	req->begin_ns = conn->worker->loop.now_ns;
	if (PER_UNLIKELY(req->generation == 0))
		req->generation = 1; /* a zeroed per_ref names nothing */
	per__h1_head_init(&req->head, req->fields, (uint16_t)conn->worker->conf->head_fields_max);
	conn->req = req;
	if (PER_UNLIKELY((conn->flags & PER__CONN_TLS) != 0) && per__secure_is_early(conn))
		req->flags |= PER__REQ_EARLY;
	return req;
}

static __attribute__((noinline)) void exchange_log(struct per_req *req, int error)
{
	const per_handler *handler = handler_of(req);

	if (PER_UNLIKELY(req->phase == PER__REQ_HEAD))
		per__h1_head_expose(req);
	handler->on_log(req, error, handler->user);
}

/* The application hears of it, the memory goes back, references are void. */
static void exchange_end(struct per_req *req, int error)
{
	struct per__conn *conn = req->conn;
	struct per__worker *worker = conn->worker;
	const per_handler *handler = &worker->conf->handler;

	req->resp = PER__RESP_ENDED;
	if (PER_UNLIKELY(req->source != NULL))
		req->source->on_end(req);
	if (handler->on_log != NULL)
		exchange_log(req, error);
	if (handler->on_done != NULL && (req->flags & PER__REQ_SEEN) != 0)
		handler->on_done(req, error, handler->user);
	if (PER_UNLIKELY((req->flags & PER__REQ_HEAD_OWNED) != 0))
		per__block_give(worker, (void *)(uintptr_t)req->base);
	if (PER_UNLIKELY((req->flags & PER__REQ_BODY_OWNED) != 0))
		per__block_give(worker, req->body);
	if (PER_UNLIKELY(req->trailers != NULL))
		per__block_give(worker, req->trailers);
	if (PER_UNLIKELY(req->extra != NULL))
		per__block_give(worker, req->extra);
	req->generation++;
	conn->req = NULL;
	per__slab_give(&worker->reqs, req);
}

/* The response is complete: on to the next request, or to the end of the connection. */
static void exchange_finish(struct per_req *req)
{
	struct per__conn *conn = req->conn;
	bool is_short = req->resp_left > 0 && (req->flags & PER__REQ_NO_BODY_OUT) == 0;
	bool goes_on = (req->flags & PER__REQ_KEEP_ALIVE) != 0 && req->phase == PER__REQ_ANSWER && !is_short;

	conn->flags &= ~(uint32_t)PER__CONN_WANT_BODY;
	exchange_end(req, is_short ? PER_EPROTO : 0);
	if (PER_UNLIKELY(conn->proto_next != NULL)) {
		per__conn_switch(conn);
	} else if (PER_UNLIKELY(!goes_on)) {
		/*
		 * A peer that announced its last request may have sent more all the same (RFC 9112 section
		 * 9.6).
		 */
		per__conn_finish(conn, !is_short);
	} else if (PER_UNLIKELY(conn->out_bytes >= conn->worker->conf->write_queue_bytes)) {
		per__conn_hold(conn); /* the peer does not read what it asked for */
		conn->flags |= PER__CONN_WANT_WRITABLE;
	} else if (PER_UNLIKELY((conn->flags & PER__CONN_HOLD) != 0)) {
		per__conn_unhold(conn);
	}
}

/*
 * The request cannot be answered by the application: say so if nothing was said yet, and end the
 * connection.
 */
static void exchange_fail(struct per__conn *conn, int status, int error)
{
	struct per_req *req = conn->req;
	bool has_begun = req != NULL && req->resp != PER__RESP_NONE;
	/* Only the end of the connection ends such a body: an orderly one would make it look whole. */
	bool must_reset = has_begun && req->resp == PER__RESP_BEGUN && req->resp_left == PER_LENGTH_UNKNOWN &&
			  (req->flags & PER__REQ_CHUNKED_OUT) == 0;
	int err = 0;

	if (!has_begun) {
		conn->worker->may_use_reserve = true; /* for such answers blocks are set aside */
		err = per__resp_error(conn, status);
		conn->worker->may_use_reserve = false;
	}
	if (err != 0) {
		per__conn_close(conn, PER__CLOSE_RESET);
		return;
	}
	if (req != NULL)
		exchange_end(req, error);
	if (must_reset)
		per__conn_close(conn, PER__CLOSE_RESET);
	else
		per__conn_finish(conn, true);
}

static void bad_request(struct per__conn *conn, int status)
{
	per__count(&conn->worker->counters.bad_requests, 1);
	exchange_fail(conn, status, status == 413 ? PER_ETOOBIG : PER_EPROTO);
}

void per__h1_resp_ended(struct per_req *req)
{
	if ((req->flags & PER__REQ_IN_HOOK) == 0)
		per__conn_mark_dirty(req->conn);
}

/* --- calling the application ------------------------------------------------------------------ */

static inline void hook_enter(struct per_req *req, uint16_t more)
{
	req->flags |= (uint16_t)(PER__REQ_IN_HOOK | PER__REQ_SEEN | more);
}

/*
 * A hook has returned. A failed one is answered with 500, or cuts a response that had begun.
 * Returns true when the exchange goes on: nothing has ended.
 */
static bool hook_leave(struct per_req *req, int result)
{
	req->flags &= (uint16_t) ~(PER__REQ_IN_HOOK | PER__REQ_IN_HEAD_HOOK);
	if (PER_UNLIKELY(!per__req_is_open(req)))
		return false;
	if (PER_UNLIKELY(result < 0 && req->resp != PER__RESP_ENDED)) {
		if (req->resp == PER__RESP_BEGUN ||
		    per_reply(req, 500, PER_S("text/plain"), PER_S("Internal Server Error\n")) != 0)
			per__conn_close(req->conn, PER__CLOSE_RESET);
	}
	if (!per__req_is_open(req))
		return false;
	if (req->resp == PER__RESP_ENDED) {
		exchange_finish(req);
		return false;
	}
	return true;
}

/* RFC 9110 section 9.3.7: a question to the server as a whole. */
static int answer_asterisk(struct per_req *req)
{
	return per_reply(req, 200, PER_S(""), PER_S(""));
}

/* The request is complete. */
static void request_dispatch(struct per_req *req)
{
	const per_handler *handler = handler_of(req);
	int result;

	req->phase = PER__REQ_ANSWER;
	req->conn->flags &= ~(uint32_t)PER__CONN_WANT_BODY;
	if (PER_UNLIKELY(req->head.target_form == PER__H1_ASTERISK_FORM)) {
		req->flags |= PER__REQ_IN_HOOK; /* but not seen: on_done is not due */
		result = answer_asterisk(req);
	} else {
		hook_enter(req, 0);
		result = handler->on_request(req, handler->user);
	}
	if (PER_LIKELY(req->resp == PER__RESP_ENDED && result >= 0 && per__req_is_open(req))) {
		req->flags &= (uint16_t)~PER__REQ_IN_HOOK;
		exchange_finish(req);
		return;
	}
	if (result >= 0 && req->resp == PER__RESP_NONE && (req->flags & PER__REQ_DEFERRED) == 0 &&
	    per__req_is_open(req)) {
		per__log(&req->conn->worker->conf->log, PER_LOG_ERROR,
			 "a handler returned without an answer: 500");
		result = PER_ESTATE;
	}
	if (hook_leave(req, result))
		per__conn_hold(req->conn);
}

/* --- the head --------------------------------------------------------------------------------- */

static inline bool has_body(const struct per_req *req)
{
	return (req->head.flags & PER__H1_CHUNKED) != 0 || req->head.content_length > 0;
}

/* Does the connection go on after this request (RFC 9112 section 9.3)? */
static void decide_persistence(struct per_req *req)
{
	const struct per__conn *conn = req->conn;
	uint32_t requests_max = conn->worker->policy.requests_per_connection_max;
	bool peer_wants = (req->head.flags & PER__H1_CLOSE) == 0 &&
			  (req->head.version >= 11 || (req->head.flags & PER__H1_KEEP_ALIVE) != 0);

	if (PER_LIKELY(peer_wants && (requests_max == 0 || conn->requests < requests_max) &&
		       !conn->worker->is_stopping))
		req->flags |= PER__REQ_KEEP_ALIVE;
}

/* The application sees the head before the body. Returns true when the body is to be read. */
static bool head_offer(struct per_req *req)
{
	const per_handler *handler = handler_of(req);

	if (PER_LIKELY(handler->on_head == NULL) || req->head.target_form == PER__H1_ASTERISK_FORM)
		return true;
	hook_enter(req, PER__REQ_IN_HEAD_HOOK);
	return hook_leave(req, handler->on_head(req, handler->user));
}

/* A body is announced: may it come? */
static void body_begin(struct per_req *req, size_t arrived)
{
	struct per__conn *conn = req->conn;
	bool is_limited = (req->flags & PER__REQ_STREAMED) == 0 || (req->flags & PER__REQ_BODY_MAX_SET) != 0;

	if (!is_limited)
		req->body_max = UINT64_MAX;
	if (req->head.content_length > req->body_max) {
		bad_request(conn, 413);
		return;
	}
	req->body_left = req->head.content_length;
	per__chunked_init(&req->chunked);
	if ((req->head.flags & PER__H1_EXPECT_CONTINUE) != 0 && arrived == 0 && req->resp == PER__RESP_NONE &&
	    per__resp_continue(conn) != 0)
		per__conn_close(conn, PER__CLOSE_RESET);
}

/* The head is complete; arrived bytes behind it are there already. */
static void head_complete(struct per_req *req, size_t arrived)
{
	struct per__conn *conn = req->conn;

	conn->requests++;
	per__count(&conn->worker->counters.requests, 1);
	if (PER_UNLIKELY(req->head.method == PER_METHOD_CONNECT)) {
		bad_request(conn, 501);
		return;
	}
	decide_persistence(req);
	req->phase = has_body(req) ? PER__REQ_BODY : PER__REQ_ANSWER;
	req->body_max = conn->worker->policy.body_bytes_max;
	if (!head_offer(req))
		return;
	if (PER_LIKELY(req->phase == PER__REQ_ANSWER))
		request_dispatch(req);
	else
		body_begin(req, arrived);
}

static size_t head_step(struct per__conn *conn, const uint8_t *data, size_t len)
{
	struct per_req *req = conn->req != NULL ? conn->req : exchange_begin(conn);
	const struct per__h1_limits limits = limits_of(conn);
	int n = h1_conf(conn)->parse(&req->head, &limits, data, len);

	if (PER_UNLIKELY(n == 0))
		return 0;
	req->base = data;
	if (PER_UNLIKELY(n < 0)) {
		req->head_len = per__h1_head_cut(req, len);
		bad_request(conn, -n);
		return 0;
	}
	req->head_len = (uint32_t)n;
	head_complete(req, len - (size_t)n);
	return (size_t)n;
}

/* --- the body --------------------------------------------------------------------------------- */

/* A piece of content has arrived. Returns false when the exchange is over. */
static bool content_arrived(struct per_req *req, uint8_t *data, size_t len)
{
	const per_handler *handler = handler_of(req);
	int err = 0;

	req->body_seen += len;
	if (req->body_seen > req->body_max) {
		bad_request(req->conn, 413);
		return false;
	}
	if ((req->flags & PER__REQ_STREAMED) == 0) {
		err = per__h1_body_collect(req, data, len);
		if (err != 0)
			exchange_fail(req->conn, 503, err);
		return err == 0;
	}
	if (handler->on_body == NULL)
		return true;
	hook_enter(req, 0);
	return hook_leave(req, handler->on_body(req, data, len, handler->user));
}

static size_t body_step_length(struct per_req *req, uint8_t *data, size_t len)
{
	size_t n = (size_t)PER_MIN((uint64_t)len, req->body_left);

	req->body_left -= n;
	if (content_arrived(req, data, n) && req->body_left == 0)
		request_dispatch(req);
	return n;
}

static size_t body_step_chunked(struct per_req *req, uint8_t *data, size_t len)
{
	const uint8_t *piece = NULL;
	size_t used = 0, piece_len = 0;

	switch (per__chunked_decode(&req->chunked, data, len, &used, &piece, &piece_len)) {
	case PER__CHUNKED_MORE:
		break;
	case PER__CHUNKED_DATA:
		content_arrived(req, data + (piece - data), piece_len);
		break;
	case PER__CHUNKED_LAST:
		req->phase = PER__REQ_TRAILERS;
		break;
	case PER__CHUNKED_BAD:
		bad_request(req->conn, 400);
		break;
	}
	return used;
}

static size_t trailers_step(struct per_req *req, const uint8_t *data, size_t len)
{
	size_t used = 0;
	const struct per__h1_limits limits = limits_of(req->conn);
	int result = per__h1_trailers_feed(req, &limits, data, len, &used);

	if (result == PER_ENOMEM)
		exchange_fail(req->conn, 503, PER_ENOMEM);
	else if (result < 0)
		bad_request(req->conn, -result);
	else if (result > 0)
		request_dispatch(req);
	return used;
}

/* --- called by the connection ----------------------------------------------------------------- */

static size_t h1_step(struct per__conn *conn, uint8_t *data, size_t len)
{
	struct per_req *req = conn->req;

	if (PER_LIKELY(req == NULL || req->phase == PER__REQ_HEAD))
		return head_step(conn, data, len);
	if (req->phase == PER__REQ_TRAILERS)
		return trailers_step(req, data, len);
	PER_ASSERT(req->phase == PER__REQ_BODY);
	if ((req->head.flags & PER__H1_CHUNKED) != 0)
		return body_step_chunked(req, data, len);
	return body_step_length(req, data, len);
}

/*
 * An exchange outlives the input it was read from: what it needs of it is copied, and the right deadline
 * runs. Not for an incomplete head, which stays with the connection's input.
 */
static void exchange_suspend(struct per_req *req)
{
	struct per__conn *conn = req->conn;

	if (req->phase == PER__REQ_HEAD) {
		if (conn->timer_kind == PER__TIMER_IDLE && conn->requests == 0)
			conn->timer_kind = PER__TIMER_HEAD; /* it runs since the accept */
		else if (conn->timer_kind == PER__TIMER_IDLE || conn->timer_kind == PER__TIMER_NONE)
			per__conn_set_timer(conn, PER__TIMER_HEAD, conn->worker->policy.head_timeout_ns);
		return;
	}
	if (per__h1_req_own(req) != 0) {
		exchange_fail(conn, 503, PER_ENOMEM);
		return;
	}
	if (conn->timer_kind != PER__TIMER_RATE)
		conn->timer_kind = PER__TIMER_NONE; /* the application's time is its own */
	if (req->phase == PER__REQ_ANSWER || (req->flags & PER__REQ_PAUSED) != 0)
		return;
	if ((conn->flags & PER__CONN_WANT_BODY) == 0)
		conn->timer_kind = PER__TIMER_NONE; /* a body that begins has a whole window */
	per__conn_want_body(conn, 0);
}

/* The answer was completed outside of the hooks that this file calls. */
static void h1_on_turn(struct per__conn *conn)
{
	struct per_req *req = conn->req;

	if (req != NULL && req->resp == PER__RESP_ENDED)
		exchange_finish(req);
}

static size_t h1_on_data(struct per__conn *conn, uint8_t *data, size_t len)
{
	size_t used = 0;

	h1_on_turn(conn);
	while (used < len && conn->proto == &per__proto_h1 &&
	       (conn->flags & (PER__CONN_HOLD | PER__CONN_CLOSING)) == 0) {
		size_t n = h1_step(conn, data + used, len - used);

		if (n == 0)
			break;
		used += n;
	}
	if (PER_UNLIKELY(conn->req != NULL)) {
		if (per__conn_is_open(conn))
			exchange_suspend(conn->req);
		if (conn->req != NULL && !per__conn_is_open(conn))
			per__h1_req_keep(conn->req);
	}
	return used;
}

static void h1_on_open(struct per__conn *conn)
{
	(void)conn;
}

static void h1_on_eof(struct per__conn *conn)
{
	h1_on_turn(conn);
	if (conn->req == NULL)
		per__conn_finish(conn, false);
	else
		bad_request(conn, 400); /* incomplete for ever */
}

static void h1_on_writable(struct per__conn *conn)
{
	struct per_req *req = conn->req;
	const per_handler *handler;

	if (req == NULL) {
		per__conn_unhold(conn);
		return;
	}
	handler = handler_of(req);
	if (req->resp != PER__RESP_BEGUN || (handler->on_writable == NULL && req->source == NULL))
		return;
	hook_enter(req, 0);
	if (req->source != NULL)
		req->source->on_writable(req);
	else
		handler->on_writable(req, handler->user);
	req->flags &= (uint16_t)~PER__REQ_IN_HOOK;
	if (per__req_is_open(req))
		per__conn_mark_dirty(conn);
}

static void h1_on_drained(struct per__conn *conn)
{
	const struct per__policy *policy = &conn->worker->policy;

	if (PER_LIKELY(conn->req == NULL))
		per__conn_set_timer(conn, PER__TIMER_IDLE, policy->idle_timeout_ns);
	else if (conn->req->phase == PER__REQ_HEAD)
		per__conn_set_timer(conn, PER__TIMER_HEAD, policy->head_timeout_ns);
}

static void h1_on_timeout(struct per__conn *conn)
{
	struct per_req *req = conn->req;

	if (req != NULL && req->phase == PER__REQ_ANSWER)
		return;
	if (req == NULL && conn->out_first != NULL)
		return; /* the request came just in time: its answer leaves at the end of this turn */
	if (req == NULL && conn->worker->is_stopping) {
		per__conn_finish(conn, false); /* no request came to a fresh connection */
		return;
	}
	conn->flags |= PER__CONN_TIMED_OUT;
	per__count(&conn->worker->counters.timeouts, 1);
	if (req == NULL)
		per__conn_finish(conn, false);
	else
		exchange_fail(conn, 408, PER_ETIMEDOUT);
}

/*
 * Between two requests there is nothing to wait for: whoever asks just then can ask again (RFC 9112 section
 * 9.3.1). A client that has just connected gets its answer. An exchange in progress says "Connection: close"
 * by itself.
 */
static void h1_on_stop(struct per__conn *conn)
{
	if (conn->req != NULL)
		conn->req->flags &= (uint16_t)~PER__REQ_KEEP_ALIVE;
	else if (conn->requests > 0 || !per__conn_stay_fresh(conn, conn->worker->policy.head_timeout_ns))
		per__conn_finish(conn, false);
}

/* Input could not be kept: the memory budget is used up. */
static void h1_on_nomem(struct per__conn *conn)
{
	exchange_fail(conn, 503, PER_ENOMEM);
}

static void h1_on_close(struct per__conn *conn, int error)
{
	if (conn->req != NULL)
		exchange_end(conn->req, error != 0 ? error : PER_EGONE);
}

const struct per__proto per__proto_h1 = {
	.name = "http/1.1",
	.on_open = h1_on_open,
	.on_data = h1_on_data,
	.on_eof = h1_on_eof,
	.on_turn = h1_on_turn,
	.on_writable = h1_on_writable,
	.on_drained = h1_on_drained,
	.on_timeout = h1_on_timeout,
	.on_nomem = h1_on_nomem,
	.on_stop = h1_on_stop,
	.on_close = h1_on_close,
};
