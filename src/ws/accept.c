/* SPDX-License-Identifier: MIT */
/*
 * accept.c - the opening handshake (RFC 6455 section 4.2): from a request to a WebSocket, or to an error
 * answer. Called by the application, in a request hook.
 */
#include "http/h1.h"
#include "http/req.h"
#include "ws/pubsub.h"
#include "ws/ws.h"

#include <string.h>

/* Is the token in one of the fields of that name? */
static bool fields_have(const per_req *req, per_str name, per_str token, bool nocase)
{
	per_str field, value;

	for (size_t i = 0; per_req_header_at(req, i, &field, &value) == 0; i++) {
		if (per_str_equal_nocase(field, name) && per__list_has(value, token, nocase))
			return true;
	}
	return false;
}

/* The value of a field that must be there once; absent otherwise. */
static per_str field_once(const per_req *req, per_str name)
{
	per_str field, value, found = { NULL, 0 };

	for (size_t i = 0; per_req_header_at(req, i, &field, &value) == 0; i++) {
		if (!per_str_equal_nocase(field, name))
			continue;
		if (found.ptr != NULL)
			return (per_str){ NULL, 0 };
		found = value;
	}
	return found;
}

bool per_ws_is_upgrade(const per_req *req)
{
	return per_req_method(req) == PER_METHOD_GET && per_req_version(req) >= 11 &&
	       (req->head.flags & PER__H1_UPGRADE) != 0 &&
	       fields_have(req, PER_S("upgrade"), PER_S("websocket"), true);
}

bool per_ws_offers_protocol(const per_req *req, per_str protocol)
{
	return fields_have(req, PER_S("sec-websocket-protocol"), protocol, false);
}

/* Answers a request that is no opening handshake. Returns true if it is one. */
static bool handshake_check(per_req *req, per_str *key)
{
	per_str version = field_once(req, PER_S("sec-websocket-version"));

	*key = field_once(req, PER_S("sec-websocket-key"));
	if (!per_ws_is_upgrade(req)) {
		(void)per_reply(req, 400, PER_S("text/plain"),
				PER_S("This is a WebSocket: an upgrade is required.\n"));
		return false;
	}
	if (!per_str_equal(version, PER_S("13"))) {
		(void)per_header(req, PER_S("Sec-WebSocket-Version"), PER_S("13"));
		(void)per_header(req, PER_S("Upgrade"), PER_S("websocket")); /* RFC 9110 section 15.5.22 */
		(void)per_reply(req, 426, PER_S("text/plain"), PER_S("Only version 13 is spoken here.\n"));
		return false;
	}
	if (key->ptr == NULL || !per__ws_key_is_valid(*key)) {
		(void)per_reply(req, 400, PER_S("text/plain"),
				PER_S("Sec-WebSocket-Key is missing or malformed.\n"));
		return false;
	}
	return true;
}

static uint8_t window_bits(unsigned configured)
{
	return (uint8_t)(configured >= 9 && configured <= 15 ? configured : 15);
}

/* The first offer that can be accepted. Writes the value of the answer's field. */
static size_t negotiate(const per_req *req, const per_ws_config *config, struct per__deflate_params *params,
			char *answer, size_t cap)
{
	struct per__deflate_wish wish = {
		.server_bits = window_bits(config->server_window_bits),
		.client_bits = window_bits(config->client_window_bits),
		.server_no_takeover = config->server_no_context_takeover,
		.client_no_takeover = config->client_no_context_takeover,
	};
	per_str field, value;
	size_t len = 0;

	for (size_t i = 0; config->deflate && len == 0 && per_req_header_at(req, i, &field, &value) == 0;
	     i++) {
		if (per_str_equal_nocase(field, PER_S("sec-websocket-extensions")))
			len = per__deflate_negotiate(params, &wish, value, answer, cap);
	}
	if (len > 0 && !per__contexts_reserve(req->conn->worker, config, params->client_bits)) {
		params->is_on = false; /* no memory for it: better declined than broken later */
		len = 0;
	}
	return len;
}

static struct per_ws *ws_make(struct per__conn *conn, const per_ws_config *config, void *data)
{
	struct per_ws *ws = per__slab_take(&conn->worker->exts);

	PER_ASSERT(ws != NULL); /* as many as connections */
	memset(&ws->config, 0, sizeof(*ws) - offsetof(struct per_ws, config));
	ws->conn = conn;
	if (ws->generation == 0)
		ws->generation = 1; /* a zeroed per_ref names nothing */
	ws->config = config;
	ws->data = data;
	return ws;
}

static int add_fields(per_req *req, per_str key, per_str protocol, per_str extensions)
{
	char accept[PER__WS_ACCEPT_LEN];
	int err;

	per__ws_accept_value(accept, key);
	err = per_header(req, PER_S("Upgrade"), PER_S("websocket"));
	if (err == 0)
		err = per_header(req, PER_S("Sec-WebSocket-Accept"), per_str_make(accept, sizeof(accept)));
	if (err == 0 && protocol.len > 0)
		err = per_header(req, PER_S("Sec-WebSocket-Protocol"), protocol);
	if (err == 0 && extensions.len > 0)
		err = per_header(req, PER_S("Sec-WebSocket-Extensions"), extensions);
	return err;
}

int per_ws_accept(per_req *req, const per_ws_config *config, per_str protocol, void *data)
{
	struct per__conn *conn = req->conn;
	struct per__ws_shared *shared = conn->worker->upper.shared;
	struct per__deflate_params params = { 0 };
	char extensions[160];
	struct per_ws *ws;
	per_str key;
	size_t n;
	int err;

	if (config == NULL || (protocol.len > 0 && !per_ws_offers_protocol(req, protocol)))
		return PER_EINVAL;
	if (!per__req_is_open(req))
		return PER_EGONE;
	if (req->resp != PER__RESP_NONE || req->phase != PER__REQ_ANSWER)
		return PER_ESTATE;
	if (!handshake_check(req, &key))
		return PER_EPROTO;
	n = negotiate(req, config, &params, extensions, sizeof(extensions));
	err = add_fields(req, key, protocol, per_str_make(extensions, n));
	if (err == 0) {
		ws = ws_make(conn, config, data);
		ws->params = params;
		err = per__h1_upgrade(req, &per__proto_ws, ws);
		if (err != 0)
			per__slab_give(&conn->worker->exts, ws);
	}
	if (err != 0 && params.is_on)
		per__contexts_unreserve(conn->worker, params.client_bits);
	else if (params.is_on)
		atomic_store(&shared->wants_deflate, true);
	return err;
}
