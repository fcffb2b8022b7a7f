/* SPDX-License-Identifier: MIT */
/*
 * h1_body.c - the memory of a request that is larger or lives longer than the input it came in.
 * Copies only what it must: an exchange that begins and ends within one input buffer is never copied.
 */
#include "http/h1_body.h"

#include <string.h>

#define GROWTH_KNOWN 4u /* while a body of known length arrives: copied a third more, for a quarter in vain */

/* Moves the body into a block of at least bytes. */
static int body_move(struct per_req *req, size_t bytes)
{
	struct per__worker *worker = req->conn->worker;
	size_t cap;
	uint8_t *block = per__block_take(worker, bytes, &cap);

	if (block == NULL)
		return PER_ENOMEM;
	if (req->body_len > 0)
		memcpy(block, req->body, req->body_len);
	if ((req->flags & PER__REQ_BODY_OWNED) != 0)
		per__block_give(worker, req->body);
	req->flags |= PER__REQ_BODY_OWNED;
	req->body = block;
	req->body_cap = cap;
	return 0;
}

/*
 * How large a block to take: a few times what has come. A length that was only announced takes no memory, or
 * a crowd that announces much and sends nothing would use up the budget of all others.
 */
static size_t body_bytes_wanted(const struct per_req *req, size_t needed)
{
	if ((req->head.flags & PER__H1_CHUNKED) == 0)
		return (size_t)PER_MIN(req->head.content_length,
				       (uint64_t)needed * GROWTH_KNOWN + PER__BLOCK_BYTES);
	return (size_t)PER_MAX((uint64_t)needed, PER_MIN(req->body_max, (uint64_t)2 * needed));
}

int per__h1_body_collect(struct per_req *req, uint8_t *data, size_t len)
{
	size_t needed = req->body_len + len;
	int err;

	if ((req->flags & PER__REQ_BODY_OWNED) == 0) {
		if (req->body == NULL)
			req->body = data;
		else
			memmove(req->body + req->body_len, data, len); /* chunks close up */
		req->body_len = needed;
		return 0;
	}
	if (needed > req->body_cap) {
		err = body_move(req, body_bytes_wanted(req, needed));
		if (err != 0)
			return err;
	}
	memcpy(req->body + req->body_len, data, len);
	req->body_len = needed;
	return 0;
}

static int head_own(struct per_req *req)
{
	size_t cap;
	uint8_t *copy = per__block_take(req->conn->worker, req->head_len, &cap);

	if (copy == NULL)
		return PER_ENOMEM;
	memcpy(copy, req->base, req->head_len);
	req->base = copy;
	req->flags |= PER__REQ_HEAD_OWNED;
	return 0;
}

int per__h1_req_own(struct per_req *req)
{
	int err = 0;

	if ((req->flags & PER__REQ_HEAD_OWNED) == 0)
		err = head_own(req);
	if (err == 0 && req->body != NULL && (req->flags & PER__REQ_BODY_OWNED) == 0)
		err = body_move(req, body_bytes_wanted(req, req->body_len));
	return err;
}

static void head_forget(struct per_req *req)
{
	req->base = (const uint8_t *)"";
	req->head_len = 0;
	per__h1_head_init(&req->head, req->fields, req->head.fields_cap);
}

void per__h1_req_keep(struct per_req *req)
{
	if (req->base == NULL || per__h1_req_own(req) == 0)
		return; /* an incomplete head lies in the connection's input or nowhere */
	if ((req->flags & PER__REQ_HEAD_OWNED) == 0)
		head_forget(req);
	if ((req->flags & PER__REQ_BODY_OWNED) == 0) {
		req->body = NULL;
		req->body_len = 0;
	}
}

void per__h1_head_expose(struct per_req *req)
{
	const struct per__conn *conn = req->conn;

	if (req->base != NULL)
		return;
	if (conn->in == NULL || conn->in_len < req->head.pos) {
		head_forget(req); /* the memory to keep it was not there */
		return;
	}
	req->base = conn->in + conn->in_pos;
	req->head_len = per__h1_head_cut(req, conn->in_len);
}

static struct per__trailers *trailers_begin(struct per_req *req, const struct per__h1_limits *limits)
{
	size_t fields_bytes = limits->fields_max * sizeof(struct per__field);
	size_t cap;
	struct per__trailers *trailers = per__block_take(
		req->conn->worker, sizeof(*trailers) + fields_bytes + limits->head_bytes_max, &cap);

	if (trailers == NULL)
		return NULL;
	per__h1_trailers_init(&trailers->head, trailers->fields, (uint16_t)limits->fields_max);
	trailers->text = (uint8_t *)trailers->fields + fields_bytes;
	trailers->cap = limits->head_bytes_max;
	trailers->len = 0;
	req->trailers = trailers;
	return trailers;
}

int per__h1_trailers_feed(struct per_req *req, const struct per__h1_limits *limits, const uint8_t *data,
			  size_t len, size_t *used)
{
	struct per__trailers *trailers = req->trailers;
	size_t before, portion;
	int n;

	*used = 0;
	if (trailers == NULL && len >= 2 && data[0] == '\r' && data[1] == '\n') {
		*used = 2; /* none, as almost always */
		return 1;
	}
	if (trailers == NULL)
		trailers = trailers_begin(req, limits);
	if (trailers == NULL)
		return PER_ENOMEM;
	before = trailers->len;
	portion = PER_MIN(len, trailers->cap - before);
	memcpy(trailers->text + before, data, portion);
	trailers->len += portion;
	n = per__h1_parse_trailers(&trailers->head, limits, trailers->text, trailers->len);
	if (n < 0)
		return n;
	*used = n > 0 ? (size_t)n - before : portion;
	if (n == 0 && trailers->len == trailers->cap)
		return -431;
	return n > 0 ? 1 : 0;
}
