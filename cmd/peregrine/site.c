/* SPDX-License-Identifier: MIT */
/*
 * site.c - which answer a request gets: the health check, the welcome page, or an error. Files, hosts and
 * redirects get their place in site_answer(). Called by the library on worker threads.
 */
#include "site.h"

#include <string.h>

#define TEXT PER_S("text/plain")

static bool path_is(per_str path, per_str wanted)
{
	return path.len == wanted.len && memcmp(path.ptr, wanted.ptr, wanted.len) == 0;
}

static int refuse_method(per_req *req)
{
	const int err = per_header(req, PER_S("Allow"), PER_S("GET, HEAD"));

	return err != 0 ? err : per_reply(req, 405, TEXT, PER_S("Method Not Allowed\n"));
}

static int site_answer(per_req *req, void *user)
{
	const struct site *site = user;
	const per_method method = per_req_method(req);
	const per_str path = per_req_path(req);
	const bool is_welcome = path_is(path, PER_S("/"));

	if (!is_welcome && !path_is(path, PER_S("/healthz")))
		return per_reply(req, 404, TEXT, PER_S("Not Found\n"));
	if (method != PER_METHOD_GET && method != PER_METHOD_HEAD)
		return refuse_method(req);
	return is_welcome ? welcome_reply(&site->welcome, req) : per_reply(req, 200, TEXT, PER_S("ok\n"));
}

per_handler site_handler(struct site *site)
{
	return (per_handler){ .on_request = site_answer, .user = site };
}

void site_open(struct site *site, const per_server *server)
{
	welcome_render(&site->welcome, server);
}
