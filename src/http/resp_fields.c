/* SPDX-License-Identifier: MIT */
/*
 * resp_fields.c - the fields and trailers that the application adds to a response: checked, and collected
 * as text until the head (or the end) is written. Called by the application; resp.c uses the text up.
 */
#include "http/req.h"

#include <string.h>

#define EXTRA_BYTES_MAX (64u * 1024u)

/* Fields that frame the message or come with every one: the library's own. */
static bool name_is_ours(per_str name)
{
	return per_str_equal_nocase(name, PER_S("content-length")) ||
	       per_str_equal_nocase(name, PER_S("transfer-encoding")) ||
	       per_str_equal_nocase(name, PER_S("date"));
}

/* Fields that a recipient must not take from a trailer section (RFC 9110 section 6.5.1). */
static bool name_is_for_heads(per_str name)
{
	static const per_str names[] = {
		{ "host", 4 },
		{ "connection", 10 },
		{ "trailer", 7 },
		{ "te", 2 },
		{ "content-type", 12 },
		{ "set-cookie", 10 },
		{ "content-encoding", 16 },
		{ "content-range", 13 },
		{ "cache-control", 13 },
		{ "authorization", 13 },
		{ "upgrade", 7 },
	};

	for (size_t i = 0; i < PER_ARRAY_LEN(names); i++) {
		if (per_str_equal_nocase(name, names[i]))
			return true;
	}
	return false;
}

static int extra_grow(struct per_req *req, size_t bytes)
{
	struct per__worker *worker = req->conn->worker;
	size_t cap;
	char *extra;

	if (req->extra_len + bytes > EXTRA_BYTES_MAX)
		return PER_ETOOBIG;
	extra = per__block_take(worker, PER_MAX(req->extra_len + bytes, 2 * req->extra_len), &cap);
	if (extra == NULL)
		return PER_ENOMEM;
	if (req->extra != NULL) {
		memcpy(extra, req->extra, req->extra_len);
		per__block_give(worker, req->extra);
	}
	req->extra = extra;
	req->extra_cap = cap;
	return 0;
}

static char *put(char *pos, per_str str)
{
	memcpy(pos, str.ptr, str.len);
	return pos + str.len;
}

/* Appends "name: value CRLF". */
static int extra_add(struct per_req *req, per_str name, per_str value)
{
	size_t bytes = name.len + value.len + 4;
	char *pos;

	if (req->extra_cap - req->extra_len < bytes) {
		int err = extra_grow(req, bytes);

		if (err != 0)
			return err;
	}
	pos = put(req->extra + req->extra_len, name);
	pos = put(pos, PER_S(": "));
	pos = put(pos, value);
	put(pos, PER_S("\r\n"));
	req->extra_len += bytes;
	return 0;
}

static bool field_is_valid(per_str name, per_str value)
{
	return name.ptr != NULL && value.ptr != NULL && per__is_token(name.ptr, name.len) &&
	       per__is_field_value(value.ptr, value.len);
}

int per_header(per_req *req, per_str name, per_str value)
{
	if (!field_is_valid(name, value) || name_is_ours(name))
		return PER_EINVAL;
	if (!per__req_is_open(req))
		return PER_EGONE;
	if (req->resp != PER__RESP_NONE)
		return PER_ESTATE;
	if (!per_str_equal_nocase(name, PER_S("connection")))
		return extra_add(req, name, value);
	if (per_str_equal_nocase(value, PER_S("close"))) {
		req->flags &= (uint16_t)~PER__REQ_KEEP_ALIVE;
		return 0;
	}
	return per_str_equal_nocase(value, PER_S("keep-alive")) ? 0 : PER_EINVAL;
}

int per_trailer(per_req *req, per_str name, per_str value)
{
	if (!field_is_valid(name, value) || name_is_ours(name) || name_is_for_heads(name))
		return PER_EINVAL;
	if (!per__req_is_open(req))
		return PER_EGONE;
	if (req->resp != PER__RESP_BEGUN)
		return PER_ESTATE;
	if ((req->flags & PER__REQ_CHUNKED_OUT) == 0)
		return req->resp_left == PER_LENGTH_UNKNOWN ? 0 : PER_ESTATE;
	return extra_add(req, name, value);
}
