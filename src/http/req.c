/* SPDX-License-Identifier: MIT */
/*
 * req.c - reading a request: the public functions of request.h that need an exchange. Looks things up in
 * what the parser found; copies nothing. Called by the application, on the worker that owns req.
 */
#include "http/req.h"

#include "core/secure.h"
#include <string.h>

size_t per__req_bytes(uint32_t fields_max)
{
	return sizeof(struct per_req) + (size_t)fields_max * sizeof(struct per__field);
}

per_method per_req_method(const per_req *req)
{
	return (per_method)req->head.method;
}

per_str per_req_method_str(const per_req *req)
{
	return per__req_slice(req, req->head.method_off, req->head.method_len);
}

per_str per_req_target(const per_req *req)
{
	return per__req_slice(req, req->head.target_off, req->head.target_len);
}

per_str per_req_path(const per_req *req)
{
	if (req->head.path_len == 0 && req->head.target_form == PER__H1_ABSOLUTE_FORM)
		return PER_S("/");
	return per__req_slice(req, req->head.path_off, req->head.path_len);
}

per_str per_req_query(const per_req *req)
{
	if (req->head.query_off == 0)
		return (per_str){ NULL, 0 };
	return per__req_slice(req, req->head.query_off, req->head.query_len);
}

per_str per_req_host(const per_req *req)
{
	if (req->head.host_off == 0)
		return (per_str){ NULL, 0 };
	return per__req_slice(req, req->head.host_off, req->head.host_len);
}

per_str per_req_line(const per_req *req)
{
	const struct per__h1_head *head = &req->head;
	size_t begin = head->method_off, end;

	if (head->version != 0) /* one space and "HTTP/1.1" behind the target */
		return per__req_slice(req, begin, (size_t)head->target_off + head->target_len + 9 - begin);
	if (req->head_len >= 2 && req->base[0] == '\r' && req->base[1] == '\n')
		begin = 2; /* an empty line before it is skipped (RFC 9112 section 2.2) */
	for (end = begin; end < req->head_len && req->base[end] != '\r' && req->base[end] != '\n'; end++)
		;
	return per__req_slice(req, begin, end - begin);
}

int per_req_version(const per_req *req)
{
	return req->head.version;
}

/* The value of the first of cnt fields with that name, in text. */
static per_str field_find(const struct per__field *fields, size_t cnt, const uint8_t *text, per_str name)
{
	for (size_t i = 0; i < cnt; i++) {
		const struct per__field *field = &fields[i];

		/* the first letter without a call: not many names share it and the length */
		if (field->name_len == name.len &&
		    ((text[field->name_off] ^ (uint8_t)name.ptr[0]) & 0x5f) == 0 &&
		    per_str_equal_nocase(per_str_make((const char *)text + field->name_off, name.len), name))
			return per_str_make((const char *)text + field->value_off, field->value_len);
	}
	return (per_str){ NULL, 0 };
}

per_str per_req_header(const per_req *req, per_str name)
{
	return field_find(req->fields, req->head.field_cnt, req->base, name);
}

size_t per_req_header_count(const per_req *req)
{
	return req->head.field_cnt;
}

int per_req_header_at(const per_req *req, size_t index, per_str *name, per_str *value)
{
	const struct per__field *field;

	if (index >= req->head.field_cnt)
		return PER_EINVAL;
	field = &req->fields[index];
	*name = per__req_slice(req, field->name_off, field->name_len);
	*value = per__req_slice(req, field->value_off, field->value_len);
	return 0;
}

per_str per_req_trailer(const per_req *req, per_str name)
{
	const struct per__trailers *trailers = req->trailers;

	if (trailers == NULL || req->phase != PER__REQ_ANSWER)
		return (per_str){ NULL, 0 };
	return field_find(trailers->fields, trailers->head.field_cnt, trailers->text, name);
}

per_str per_req_body(const per_req *req)
{
	if (req->body == NULL)
		return PER_S("");
	return per_str_make((const char *)req->body, req->body_len);
}

int64_t per_req_content_length(const per_req *req)
{
	if ((req->head.flags & PER__H1_CHUNKED) != 0)
		return -1;
	return (int64_t)req->head.content_length;
}

int per_req_stream_body(per_req *req)
{
	if ((req->flags & PER__REQ_IN_HEAD_HOOK) == 0)
		return PER_ESTATE;
	req->flags |= PER__REQ_STREAMED;
	return 0;
}

int per_req_set_body_max(per_req *req, uint64_t bytes)
{
	if ((req->flags & PER__REQ_IN_HEAD_HOOK) == 0)
		return PER_ESTATE;
	req->body_max = bytes;
	req->flags |= PER__REQ_BODY_MAX_SET;
	return 0;
}

void per_req_pause_body(per_req *req)
{
	if (req->phase == PER__REQ_ANSWER || (req->flags & PER__REQ_PAUSED) != 0 || !per__req_is_open(req))
		return;
	req->flags |= PER__REQ_PAUSED;
	req->paused_ns = req->conn->worker->loop.now_ns;
	req->conn->flags &= ~(uint32_t)PER__CONN_WANT_BODY;
	per__conn_hold(req->conn);
}

void per_req_resume_body(per_req *req)
{
	if ((req->flags & PER__REQ_PAUSED) == 0 || !per__req_is_open(req))
		return;
	req->flags &= (uint16_t)~PER__REQ_PAUSED;
	if (req->phase == PER__REQ_ANSWER)
		return; /* the body has ended meanwhile: what follows waits for the answer */
	per__conn_unhold(req->conn);
	per__conn_want_body(req->conn, req->conn->worker->loop.now_ns - req->paused_ns);
}

void per_req_set_data(per_req *req, void *data)
{
	req->data = data;
}

void *per_req_data(const per_req *req)
{
	return req->data;
}

int per_req_status(const per_req *req)
{
	return req->status;
}

uint64_t per_req_bytes_sent(const per_req *req)
{
	return req->body_out;
}

int64_t per_req_duration_ns(const per_req *req)
{
	return req->conn->worker->loop.now_ns - req->begin_ns;
}

unsigned per_req_worker(const per_req *req)
{
	return req->conn->worker->index;
}

void *per_req_worker_state(const per_req *req)
{
	return req->conn->worker->user_state;
}

per_server *per_req_server(const per_req *req)
{
	return req->conn->worker->server;
}

int per_req_peer(per_req *req, char *buf, size_t cap)
{
	return per__peer_format(per__conn_peer(req->conn), buf, cap);
}

/* --- TLS -------------------------------------------------------------------------------------- */

bool per_req_is_tls(const per_req *req)
{
	return (req->conn->flags & PER__CONN_TLS) != 0;
}

int per_req_tls(const per_req *req, per_tls_info *out)
{
	int err = per__secure_info(req->conn, out);

	if (err == 0)
		out->is_early = (req->flags & PER__REQ_EARLY) != 0;
	return err;
}
