/* SPDX-License-Identifier: MIT */
/*
 * resp.c - answering a request: the head, the framing of the body, the end. Writes into the connection's
 * queue and never calls the backend. Called by the application and by h1.c, on the worker that owns req.
 * Invariant: what is queued for an exchange is a prefix of one well-formed response.
 */
#include "http/resp.h"

#include "core/out.h"
#include "http/resp_head.h"

/* What is taken of the queue for reading into it. */
#define RESERVE_BYTES (60u * 1024u)
#define RESERVE_BYTES_MIN 2048u
/* Most bytes around a chunk: size line and CRLF behind it. */
#define CHUNK_FRAME_BYTES 20u

/* --- answers in one piece --------------------------------------------------------------------- */

int per_reply(per_req *req, int status, per_str content_type, per_str body)
{
	int err = answer_check(req, status, content_type);
	uint8_t *begin, *pos;

	if (PER_UNLIKELY(err != 0))
		return err;
	begin = per__out_reserve(req->conn, head_bytes_max(req, content_type) + body.len);
	if (PER_UNLIKELY(begin == NULL))
		return PER_ENOMEM;
	head_decide(req, status, (int64_t)body.len);
	answer_is_whole(req);
	pos = put_head(req, begin, content_type, (int64_t)body.len);
	if ((req->flags & PER__REQ_NO_BODY_OUT) == 0 && body.len > 0) {
		pos = put(pos, body.ptr, body.len);
		req->body_out = body.len;
	}
	per__out_commit(req->conn, (size_t)(pos - begin));
	head_count(req);
	answer_ended(req);
	return 0;
}

/* Queues a head by itself. */
static int head_queue(struct per_req *req, int status, per_str type, int64_t length)
{
	uint8_t *begin = per__out_reserve(req->conn, head_bytes_max(req, type));

	if (begin == NULL)
		return PER_ENOMEM;
	head_decide(req, status, length);
	per__out_commit(req->conn, (size_t)(put_head(req, begin, type, length) - begin));
	head_count(req);
	return 0;
}

int per_reply_ref(per_req *req, int status, per_str content_type, per_str body, per_release_fn release,
		  void *arg)
{
	int err = answer_check(req, status, content_type);

	if (err == 0) {
		answer_is_whole(req);
		err = head_queue(req, status, content_type, (int64_t)body.len);
	}
	if (err != 0 || (req->flags & PER__REQ_NO_BODY_OUT) != 0) {
		release_now(release, arg);
	} else {
		err = per__out_lend(req->conn, body.ptr, body.len, release, arg);
		if (err != 0) /* the head has promised a body */
			per__conn_close(req->conn, PER__CLOSE_RESET);
		else
			req->body_out = body.len;
	}
	if (err == 0)
		answer_ended(req);
	return err;
}

/* --- streamed answers ------------------------------------------------------------------------- */

int per_begin(per_req *req, int status, int64_t length)
{
	int err = answer_check(req, status, PER_S(""));

	if (err != 0)
		return err;
	if (length < PER_LENGTH_UNKNOWN)
		return PER_EINVAL;
	err = head_queue(req, status, PER_S(""), length);
	if (err != 0)
		return err;
	req->resp = PER__RESP_BEGUN;
	req->resp_left = length;
	return 0;
}

/* May len bytes of the body be queued now? 1: they are to be dropped. */
static int write_check(struct per_req *req, size_t len)
{
	struct per__conn *conn = req->conn;

	if (!per__req_is_open(req))
		return PER_EGONE;
	if (req->resp != PER__RESP_BEGUN)
		return PER_ESTATE;
	if (req->resp_left != PER_LENGTH_UNKNOWN && len > (uint64_t)req->resp_left)
		return PER_ETOOBIG;
	if (len >= PER__SEND_MAX_BYTES / 2)
		return PER_ETOOBIG;
	if (conn->out_bytes >= conn->worker->conf->write_queue_bytes) {
		conn->flags |= PER__CONN_WANT_WRITABLE;
		return PER_EAGAIN;
	}
	return (req->flags & PER__REQ_NO_BODY_OUT) != 0 || len == 0 ? 1 : 0;
}

/* len bytes of the body are on their way. */
static void write_count(struct per_req *req, size_t len)
{
	struct per__conn *conn = req->conn;

	if (req->resp_left != PER_LENGTH_UNKNOWN)
		req->resp_left -= (int64_t)len;
	if ((req->flags & PER__REQ_NO_BODY_OUT) == 0)
		req->body_out += len;
	if (conn->out_bytes >= conn->worker->conf->write_queue_bytes)
		conn->flags |= PER__CONN_WANT_WRITABLE;
}

static uint8_t *put_chunk_size(uint8_t *pos, size_t len)
{
	pos += per__num_to_hex((char *)pos, len);
	return put(pos, "\r\n", 2);
}

int per_write(per_req *req, const void *data, size_t len)
{
	bool is_chunked = (req->flags & PER__REQ_CHUNKED_OUT) != 0;
	int err = write_check(req, len);
	uint8_t *begin, *pos;

	if (err < 0)
		return err;
	if (err == 0) {
		begin = pos = per__out_reserve(req->conn, len + CHUNK_FRAME_BYTES);
		if (begin == NULL)
			return PER_ENOMEM;
		if (is_chunked)
			pos = put_chunk_size(pos, len);
		pos = put(pos, data, len);
		if (is_chunked)
			pos = put(pos, "\r\n", 2);
		per__out_commit(req->conn, (size_t)(pos - begin));
	}
	write_count(req, len);
	return 0;
}

int per__resp_reserve(struct per_req *req, uint8_t **pos, size_t *room)
{
	int err = write_check(req, 1);

	PER_ASSERT((req->flags & (PER__REQ_CHUNKED_OUT | PER__REQ_NO_BODY_OUT)) == 0);
	if (err != 0)
		return err;
	*room = PER_MIN((size_t)RESERVE_BYTES, (size_t)req->resp_left);
	*pos = per__out_reserve(req->conn, *room);
	if (*pos == NULL) {
		*room = PER_MIN((size_t)RESERVE_BYTES_MIN, *room);
		*pos = per__out_reserve(req->conn, *room);
	}
	if (*pos != NULL)
		return 0;
	if (req->conn->out_bytes == 0)
		return PER_ENOMEM;
	req->conn->flags |= PER__CONN_WANT_WRITABLE; /* what is queued will leave, and leave room */
	return PER_EAGAIN;
}

void per__resp_commit(struct per_req *req, size_t bytes)
{
	if (bytes > 0)
		per__out_commit(req->conn, bytes);
	else
		per__out_unreserve(req->conn);
	write_count(req, bytes);
}

bool per__resp_can_send_file(const struct per_req *req)
{
	const struct per__conn *conn = req->conn;

	return conn->worker->may_send_file && conn->worker->loop.be->send_file != NULL &&
	       (conn->flags & PER__CONN_TLS) == 0;
}

int per__resp_check(struct per_req *req, size_t len)
{
	int err = write_check(req, len);

	return PER_MIN(err, 0);
}

int per__resp_file(struct per_req *req, int fd, uint64_t off, uint64_t len, per_release_fn release, void *arg)
{
	const struct per__file_part file = { .off = off, .len = len, .fd = fd };
	int err = write_check(req, (size_t)len);

	if (err != 0) {
		release_now(release, arg);
		return PER_MIN(err, 0);
	}
	err = per__out_file(req->conn, &file, release, arg);
	if (err == 0)
		write_count(req, (size_t)len);
	return err;
}

/* A chunk around lent bytes. A failure in its middle cannot be mended. */
static int chunk_lend(struct per_req *req, const void *data, size_t len, per_release_fn release, void *arg)
{
	uint8_t *begin = per__out_reserve(req->conn, CHUNK_FRAME_BYTES);
	int err;

	if (begin == NULL) {
		release_now(release, arg);
		return PER_ENOMEM;
	}
	per__out_commit(req->conn, (size_t)(put_chunk_size(begin, len) - begin));
	err = per__out_lend(req->conn, data, len, release, arg);
	if (err == 0)
		err = per__out_copy(req->conn, "\r\n", 2);
	if (err != 0)
		per__conn_close(req->conn, PER__CLOSE_RESET);
	return err;
}

int per_write_ref(per_req *req, const void *data, size_t len, per_release_fn release, void *arg)
{
	int err = write_check(req, len);

	if (err != 0) {
		release_now(release, arg);
		if (err > 0)
			write_count(req, len);
		return PER_MIN(err, 0);
	}
	if ((req->flags & PER__REQ_CHUNKED_OUT) != 0)
		err = chunk_lend(req, data, len, release, arg);
	else
		err = per__out_lend(req->conn, data, len, release, arg);
	if (err == 0)
		write_count(req, len);
	return err;
}

/* The last chunk and the trailer section. */
static int chunks_end(struct per_req *req)
{
	uint8_t *begin = per__out_reserve(req->conn, req->extra_len + 8);
	uint8_t *pos;

	if (begin == NULL)
		return PER_ENOMEM;
	pos = put(begin, "0\r\n", 3);
	if (req->extra_len > 0)
		pos = put(pos, req->extra, req->extra_len);
	pos = put(pos, "\r\n", 2);
	per__out_commit(req->conn, (size_t)(pos - begin));
	return 0;
}

int per_end(per_req *req)
{
	if (!per__req_is_open(req))
		return PER_EGONE;
	if (req->resp != PER__RESP_BEGUN)
		return PER_ESTATE;
	if ((req->flags & PER__REQ_CHUNKED_OUT) != 0 && chunks_end(req) != 0)
		per__conn_close(req->conn, PER__CLOSE_RESET);
	if (req->resp_left > 0 && (req->flags & PER__REQ_NO_BODY_OUT) == 0)
		req->flags &= (uint16_t)~PER__REQ_KEEP_ALIVE; /* the close tells the peer */
	answer_ended(req);
	return 0;
}

/* --- the rest --------------------------------------------------------------------------------- */

int per_interim(per_req *req, int status)
{
	uint8_t *begin, *pos;

	if (status < 102 || status > 199)
		return PER_EINVAL;
	if (!per__req_is_open(req))
		return PER_EGONE;
	if (req->resp != PER__RESP_NONE)
		return PER_ESTATE;
	if (req->head.version >= 11) {
		begin = per__out_reserve(req->conn, HEAD_FIXED_BYTES + req->extra_len);
		if (begin == NULL)
			return PER_ENOMEM;
		pos = put_status_line(begin, status);
		if (req->extra_len > 0)
			pos = put(pos, req->extra, req->extra_len);
		pos = put(pos, "\r\n", 2);
		per__out_commit(req->conn, (size_t)(pos - begin));
	}
	extra_drop(req);
	return 0;
}

int per__h1_upgrade(struct per_req *req, const struct per__proto *proto, void *state)
{
	uint8_t *begin, *pos;

	if (!per__req_is_open(req))
		return PER_EGONE;
	if (req->resp != PER__RESP_NONE)
		return PER_ESTATE;
	begin = per__out_reserve(req->conn, HEAD_FIXED_BYTES + req->extra_len);
	if (begin == NULL)
		return PER_ENOMEM;
	pos = put_status_line(begin, 101);
	pos = put_str(pos, PER_S("Connection: Upgrade\r\n"));
	pos = put(pos, req->extra, req->extra_len);
	pos = put(pos, "\r\n", 2);
	per__out_commit(req->conn, (size_t)(pos - begin));
	extra_drop(req);
	req->status = 101;
	head_count(req);
	req->conn->proto_next = proto;
	req->conn->proto_state = state;
	answer_ended(req);
	return 0;
}

void per_abort(per_req *req)
{
	per__conn_close(req->conn, PER__CLOSE_RESET);
}

int per_defer(per_req *req, per_ref *out)
{
	const struct per__worker *worker = req->conn->worker;

	if (req->resp == PER__RESP_ENDED)
		return PER_ESTATE;
	req->flags |= PER__REQ_DEFERRED;
	if (out != NULL)
		*out = (per_ref){ worker->index, per__slab_index(&worker->reqs, req), req->generation };
	return 0;
}

/* An answer of the library's own with a line of text; the connection ends behind it. */
static int answer_put(struct per__conn *conn, int status, per_str text)
{
	struct per__worker *worker = conn->worker;
	struct per_req *req = conn->req;
	bool is_head = req != NULL && req->head.method == PER_METHOD_HEAD;
	per_str line = per__status_line(status);
	uint8_t *begin =
		per__out_reserve(conn, HEAD_FIXED_BYTES + worker->date_line_len + line.len + text.len);
	uint8_t *pos;

	if (begin == NULL)
		return PER_ENOMEM;
	pos = put_str(begin, line);
	pos = put_str(pos, per__worker_date(worker));
	pos = put_str(pos, PER_S("Content-Type: text/plain\r\n"));
	pos = put_content_length(pos, text.len + 1);
	pos = put_str(pos, PER_S("Connection: close\r\n\r\n"));
	if (!is_head) {
		pos = put_str(pos, text);
		pos = put(pos, "\n", 1);
	}
	per__out_commit(conn, (size_t)(pos - begin));
	if (req != NULL) {
		req->status = (uint16_t)status;
		req->body_out = is_head ? 0 : text.len + 1;
	}
	return 0;
}

int per__resp_error(struct per__conn *conn, int status)
{
	int err = answer_put(conn, status, per_reason(status));

	if (err == 0)
		per__count(&conn->worker->counters.responses[status / 100], 1);
	return err;
}

/* To a request that was never read: it counts as a bad one, and there is no exchange to log. */
int per__resp_not_tls(struct per__conn *conn)
{
	return answer_put(conn, 400,
			  PER_S("This port speaks HTTPS: ask again with https:// instead of http://"));
}

int per__resp_continue(struct per__conn *conn)
{
	return per__out_copy(conn, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}
