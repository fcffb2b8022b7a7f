/* SPDX-License-Identifier: MIT */
/*
 * req.h - one exchange: the request as it was parsed, the body as far as it has come, the response as far
 * as it has gone. Owned by the connection (conn->req) from the first byte of the head to on_done. Filled by
 * h1.c, read by req.c, answered by resp.c.
 *
 *   head -> body -> trailers -> answer -> (done)      the request side, req->phase
 *   none -> begun -> ended                            the response side, req->resp
 */
#ifndef PER_HTTP_REQ_H
#define PER_HTTP_REQ_H

#include "core/conn.h"
#include "core/worker.h"
#include "http/chunked.h"
#include "http/h1_parse.h"
#include <peregrine/request.h>
#include <peregrine/response.h>

enum per__req_phase {
	PER__REQ_HEAD,     /* the head is incomplete */
	PER__REQ_BODY,     /* the body is incomplete */
	PER__REQ_TRAILERS, /* the trailer section of a chunked body is incomplete */
	PER__REQ_ANSWER,   /* the request is complete */
};

enum per__resp_state {
	PER__RESP_NONE,
	PER__RESP_BEGUN, /* the head is queued, the body is to come */
	PER__RESP_ENDED,
};

enum {
	PER__REQ_IN_HEAD_HOOK = 1 << 0, /* inside on_head */
	PER__REQ_STREAMED = 1 << 1,     /* the body goes to on_body */
	PER__REQ_PAUSED = 1 << 2,       /* by per_req_pause_body() */
	PER__REQ_SEEN = 1 << 3,         /* the application knows it: on_done is due */
	PER__REQ_DEFERRED = 1 << 4,
	PER__REQ_KEEP_ALIVE = 1 << 5,  /* the connection goes on behind this exchange */
	PER__REQ_CHUNKED_OUT = 1 << 6, /* the response body is chunked */
	PER__REQ_NO_BODY_OUT = 1 << 7, /* HEAD, 204, 304: body bytes are counted and dropped */
	PER__REQ_HEAD_OWNED = 1 << 8,  /* base is a block of ours */
	PER__REQ_BODY_OWNED = 1 << 9,  /* body is a block of ours */
	PER__REQ_BODY_MAX_SET = 1 << 10,
	PER__REQ_IN_HOOK = 1 << 11, /* inside a hook: what it ends is finished when it has returned */
	PER__REQ_EARLY = 1 << 12,   /* it began in 0-RTT */
};

struct per_req;

/* Who goes on with an answer in the application's place: a service, such as static files. */
struct per__source {
	void (*on_writable)(struct per_req *req); /* as of per_handler */
	void (*on_end)(struct per_req *req);      /* the exchange is over, whether it was answered or not */
};

struct per_req {
	struct per__conn *conn;
	uint64_t generation; /* bumped when the exchange is over; kept while the slot is free */

	const uint8_t *base; /* first byte of the head */
	struct per__h1_head head;
	uint32_t head_len;
	uint16_t flags;   /* PER__REQ_* */
	uint8_t phase;    /* enum per__req_phase */
	uint8_t resp;     /* enum per__resp_state */
	uint16_t status;  /* of the answer, 0: none yet */
	int64_t begin_ns; /* time of the turn in which the head began */

	uint8_t *body; /* what was collected of the body */
	size_t body_len, body_cap;
	uint64_t body_left; /* with Content-Length: bytes to come */
	uint64_t body_max;
	uint64_t body_seen; /* bytes of content so far */
	int64_t paused_ns;  /* when the application paused the body */
	struct per__chunked chunked;
	struct per__trailers *trailers; /* of a chunked request, or NULL */

	int64_t resp_left; /* bytes of the announced length still to be written, or PER_LENGTH_UNKNOWN */
	uint64_t body_out; /* bytes of the response's body that were queued */
	char *extra;       /* response fields (or trailers) added so far, a block, or NULL */
	size_t extra_len, extra_cap;
	void *data;                       /* the application's */
	const struct per__source *source; /* NULL: the application answers by itself */
	void *source_state;

	struct per__field fields[]; /* head_fields_max entries */
};

/* The trailer section of a request: a block of its own. */
struct per__trailers {
	struct per__h1_head head;
	size_t len, cap; /* bytes of text */
	uint8_t *text;   /* behind the fields */
	struct per__field fields[];
};

static inline per_str per__req_slice(const struct per_req *req, size_t off, size_t len)
{
	return per_str_make((const char *)req->base + off, len);
}

static inline bool per__req_is_open(const struct per_req *req)
{
	return per__conn_is_open(req->conn);
}

/** The size of an exchange with room for fields_max fields, in bytes. */
size_t per__req_bytes(uint32_t fields_max);

#endif
