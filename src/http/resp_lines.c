/* SPDX-License-Identifier: MIT */
/*
 * resp_lines.c - answers of services, whose fields are text already. Called by src/services/, on the worker
 * that owns req.
 */
#include "http/resp.h"

#include "core/out.h"
#include "http/resp_head.h"

/* Up to here copying bytes into the queue is cheaper than lending them. */
#define WHOLE_COPY_MAX 2048u

/* The head with lines in the place of a Content-Type, and room for more behind it; NULL: no memory. */
static uint8_t *lines_begin(struct per_req *req, int status, const per_str *lines, unsigned cnt,
			    int64_t length, size_t more, uint8_t **begin)
{
	size_t bytes = more;
	uint8_t *pos;

	for (unsigned i = 0; i < cnt; i++)
		bytes += lines[i].len;
	*begin = per__out_reserve(req->conn, head_bytes_max(req, PER_S("")) + bytes);
	if (*begin == NULL)
		return NULL;
	head_decide(req, status, length);
	pos = put_status_line(*begin, req->status);
	pos = put_str(pos, per__worker_date(req->conn->worker));
	for (unsigned i = 0; i < cnt; i++)
		pos = put_str(pos, lines[i]);
	pos = put_framing(req, pos, length);
	return put_rest(req, pos);
}

int per__resp_lines(struct per_req *req, int status, const per_str *lines, unsigned cnt, per_str body)
{
	int err = answer_check(req, status, PER_S(""));
	uint8_t *begin, *pos;

	if (err != 0)
		return err;
	answer_is_whole(req);
	pos = lines_begin(req, status, lines, cnt, (int64_t)body.len, body.len, &begin);
	if (pos == NULL)
		return PER_ENOMEM;
	if ((req->flags & PER__REQ_NO_BODY_OUT) == 0 && body.len > 0) {
		pos = put_str(pos, body);
		req->body_out = body.len;
	}
	per__out_commit(req->conn, (size_t)(pos - begin));
	head_count(req);
	answer_ended(req);
	return 0;
}

int per__resp_begin(struct per_req *req, int status, const per_str *lines, unsigned cnt, int64_t length)
{
	int err = answer_check(req, status, PER_S(""));
	uint8_t *begin, *pos;

	if (err != 0)
		return err;
	pos = lines_begin(req, status, lines, cnt, length, 0, &begin);
	if (pos == NULL)
		return PER_ENOMEM;
	per__out_commit(req->conn, (size_t)(pos - begin));
	head_count(req);
	req->resp = PER__RESP_BEGUN;
	req->resp_left = length;
	return 0;
}

int per__resp_whole(struct per_req *req, const struct per__whole *whole)
{
	int err = answer_check(req, 200, PER_S(""));
	struct per__worker *worker = req->conn->worker;
	size_t len = whole->head_len;
	size_t copied;
	uint8_t *begin, *pos;

	if (PER_UNLIKELY(err != 0)) {
		release_now(whole->release, whole->arg);
		return err;
	}
	answer_is_whole(req);
	head_decide(req, 200, (int64_t)whole->body_len);
	if ((req->flags & PER__REQ_NO_BODY_OUT) == 0)
		len += whole->body_len;
	copied = len <= WHOLE_COPY_MAX ? len : 0;
	begin = per__out_reserve(req->conn, head_bytes_max(req, PER_S("")) + copied);
	if (PER_UNLIKELY(begin == NULL)) {
		req->status = 0; /* not answered yet */
		release_now(whole->release, whole->arg);
		return PER_ENOMEM;
	}
	pos = put(begin, "HTTP/1.1 200 OK\r\n", 17);
	pos = put_str(pos, per__worker_date(worker));
	pos = put_optional(req, pos);
	pos = put(pos, whole->ptr, copied);
	per__out_commit(req->conn, (size_t)(pos - begin));
	head_count(req);
	if (copied == len) {
		release_now(whole->release, whole->arg);
	} else {
		err = per__out_lend(req->conn, whole->ptr, len, whole->release, whole->arg);
		if (err != 0) /* the head is incomplete */
			per__conn_close(req->conn, PER__CLOSE_RESET);
	}
	if (PER_LIKELY(err == 0)) {
		req->body_out = len - whole->head_len;
		answer_ended(req);
	}
	return err;
}
