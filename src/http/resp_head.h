/* SPDX-License-Identifier: MIT */
/*
 * resp_head.h - the head of a response, written in place. Private to resp.c and resp_lines.c, which queue
 * what follows it. Invariant: whoever writes a head has reserved head_bytes_max() for it.
 */
#ifndef PER_HTTP_RESP_HEAD_H
#define PER_HTTP_RESP_HEAD_H

#include "base/num.h"
#include "http/h1.h"
#include "http/resp.h"
#include <string.h>

/* Most bytes of a head besides Content-Type, the application's fields and the date line. */
#define HEAD_FIXED_BYTES 192u

static inline uint8_t *put(uint8_t *pos, const void *data, size_t len)
{
	memcpy(pos, data, len);
	return pos + len;
}

static inline uint8_t *put_str(uint8_t *pos, per_str str)
{
	return put(pos, str.ptr, str.len);
}

static inline uint8_t *put_status_line(uint8_t *pos, int status)
{
	per_str line;

	if (PER_LIKELY(status == 200))
		return put(pos, "HTTP/1.1 200 OK\r\n", 17);
	line = per__status_line(status);
	if (line.ptr != NULL)
		return put_str(pos, line);
	pos = put(pos, "HTTP/1.1 ", 9);
	pos += per__num_to_dec((char *)pos, (uint64_t)status);
	return put(pos, " \r\n", 3);
}

static inline uint8_t *put_content_length(uint8_t *pos, uint64_t length)
{
	pos = put(pos, "Content-Length: ", 16);
	pos += per__num_to_dec((char *)pos, length);
	return put(pos, "\r\n", 2);
}

/*
 * Content-Length or Transfer-Encoding (RFC 9112 section 6, RFC 9110 section 8.6), and what that means for
 * later.
 */
static inline uint8_t *put_framing(struct per_req *req, uint8_t *pos, int64_t length)
{
	bool is_chunked = length == PER_LENGTH_UNKNOWN && req->head.version >= 11;

	if (req->status == 204 || (req->status == 304 && length <= 0))
		return pos;
	if (length != PER_LENGTH_UNKNOWN)
		return put_content_length(pos, (uint64_t)length);
	if (!is_chunked)
		return pos; /* HTTP/1.0: the close is the end */
	if ((req->flags & PER__REQ_NO_BODY_OUT) == 0)
		req->flags |= PER__REQ_CHUNKED_OUT;
	return put(pos, "Transfer-Encoding: chunked\r\n", 28);
}

static inline uint8_t *put_connection(const struct per_req *req, uint8_t *pos)
{
	if (PER_UNLIKELY((req->flags & PER__REQ_KEEP_ALIVE) == 0))
		return put(pos, "Connection: close\r\n", 19);
	if (PER_UNLIKELY(req->head.version == 10))
		return put(pos, "Connection: keep-alive\r\n", 24);
	return pos;
}

static inline void extra_drop(struct per_req *req)
{
	if (req->extra == NULL)
		return;
	per__block_give(req->conn->worker, req->extra);
	req->extra = NULL;
	req->extra_len = req->extra_cap = 0;
}

/* What the status, the method and the connection's future decide before the first byte is written. */
static inline void head_decide(struct per_req *req, int status, int64_t length)
{
	const struct per__worker *worker = req->conn->worker;

	req->status = (uint16_t)status;
	if (req->head.method == PER_METHOD_HEAD || status == 204 || status == 304)
		req->flags |= PER__REQ_NO_BODY_OUT;
	if ((length == PER_LENGTH_UNKNOWN && req->head.version == 10) || worker->is_stopping ||
	    (req->phase != PER__REQ_ANSWER && (req->flags & PER__REQ_STREAMED) == 0))
		req->flags &= (uint16_t)~PER__REQ_KEEP_ALIVE;
}

static inline size_t head_bytes_max(const struct per_req *req, per_str type)
{
	return HEAD_FIXED_BYTES + req->conn->worker->date_line_len + type.len + req->extra_len;
}

/* The fields that not every answer has: Connection, and what the application has added. */
static inline uint8_t *put_optional(struct per_req *req, uint8_t *pos)
{
	pos = put_connection(req, pos);
	if (PER_UNLIKELY(req->extra_len > 0)) {
		pos = put(pos, req->extra, req->extra_len);
		extra_drop(req);
	}
	return pos;
}

static inline uint8_t *put_rest(struct per_req *req, uint8_t *pos)
{
	return put(put_optional(req, pos), "\r\n", 2);
}

/* Writes the whole head at pos and returns its end. */
static inline uint8_t *put_head(struct per_req *req, uint8_t *pos, per_str type, int64_t length)
{
	pos = put_status_line(pos, req->status);
	pos = put_str(pos, per__worker_date(req->conn->worker));
	if (type.len > 0) {
		pos = put(pos, "Content-Type: ", 14);
		pos = put_str(pos, type);
		pos = put(pos, "\r\n", 2);
	}
	pos = put_framing(req, pos, length);
	return put_rest(req, pos);
}

static inline int answer_check(const struct per_req *req, int status, per_str type)
{
	if (status < 200 || status > 599 || (type.len > 0 && !per__is_field_value(type.ptr, type.len)))
		return PER_EINVAL;
	if (!per__req_is_open(req))
		return PER_EGONE;
	return req->resp == PER__RESP_NONE ? 0 : PER_ESTATE;
}

static inline void head_count(const struct per_req *req)
{
	per__count(&req->conn->worker->counters.responses[req->status / 100], 1);
}

static inline void answer_ended(struct per_req *req)
{
	req->resp = PER__RESP_ENDED;
	per__h1_resp_ended(req);
}

/* A complete answer before the request is complete: the rest of the request cannot be waited for. */
static inline void answer_is_whole(struct per_req *req)
{
	if (PER_UNLIKELY(req->phase != PER__REQ_ANSWER))
		req->flags &= (uint16_t)~PER__REQ_KEEP_ALIVE;
}

static inline void release_now(per_release_fn release, void *arg)
{
	if (release != NULL)
		release(arg);
}

#endif
