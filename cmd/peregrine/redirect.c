/* SPDX-License-Identifier: MIT */
/*
 * redirect.c - requests that are sent elsewhere. Called by site.c on worker threads; writes on its own
 * stack only.
 */
#include "redirect.h"

#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCATION_BYTES_MAX 16384u
#define TEXT PER_S("text/plain")

/* --- rules ------------------------------------------------------------------------------------ */

static int path_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	const int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int exact_compare(const void *left, const void *right)
{
	const struct config_redirect *const *a = left, *const *b = right;

	return path_compare((*a)->path, strlen((*a)->path), (*b)->path, strlen((*b)->path));
}

static int prefix_compare(const void *left, const void *right)
{
	const struct config_redirect *const *a = left, *const *b = right;
	const size_t a_len = strlen((*a)->prefix), b_len = strlen((*b)->prefix);

	return (a_len < b_len) - (a_len > b_len);
}

bool redirects_make(struct redirects *redirects, const struct config_host *host)
{
	*redirects = (struct redirects){ 0 };
	redirects->exact = calloc(host->redirects_count + 1u, sizeof(*redirects->exact));
	redirects->prefix = calloc(host->redirects_count + 1u, sizeof(*redirects->prefix));
	if (redirects->exact == NULL || redirects->prefix == NULL)
		return false;
	for (unsigned i = 0; i < host->redirects_count; i++) {
		if (host->redirects[i].path != NULL)
			redirects->exact[redirects->exact_count++] = &host->redirects[i];
		else
			redirects->prefix[redirects->prefix_count++] = &host->redirects[i];
	}
	qsort(redirects->exact, redirects->exact_count, sizeof(*redirects->exact), exact_compare);
	qsort(redirects->prefix, redirects->prefix_count, sizeof(*redirects->prefix), prefix_compare);
	return true;
}

void redirects_free(struct redirects *redirects)
{
	free(redirects->exact);
	free(redirects->prefix);
}

static int key_compare(const void *key, const void *entry)
{
	const per_str *path = key;
	const struct config_redirect *const *redirect = entry;

	return path_compare(path->ptr, path->len, (*redirect)->path, strlen((*redirect)->path));
}

static bool has_prefix(per_str path, const char *prefix)
{
	const size_t len = strlen(prefix);

	return path.len >= len && memcmp(path.ptr, prefix, len) == 0 &&
	       (path.len == len || prefix[len - 1] == '/' || path.ptr[len] == '/');
}

const struct config_redirect *redirects_find(const struct redirects *redirects, per_str path)
{
	const struct config_redirect **found = bsearch(&path, redirects->exact, redirects->exact_count,
						       sizeof(*redirects->exact), key_compare);

	if (found != NULL)
		return *found;
	for (size_t i = 0; i < redirects->prefix_count; i++) {
		if (has_prefix(path, redirects->prefix[i]->prefix))
			return redirects->prefix[i];
	}
	return NULL;
}

/* --- answers ---------------------------------------------------------------------------------- */

struct location {
	char text[LOCATION_BYTES_MAX];
	size_t len;
	bool is_cut;
};

static void add(struct location *location, per_str part)
{
	if (part.len > sizeof(location->text) - location->len) {
		location->is_cut = true;
		return;
	}
	if (part.len > 0)
		memcpy(location->text + location->len, part.ptr, part.len);
	location->len += part.len;
}

static void add_query(struct location *location, per_str query)
{
	if (query.ptr == NULL)
		return;
	add(location, memchr(location->text, '?', location->len) == NULL ? PER_S("?") : PER_S("&"));
	add(location, query);
}

/*
 * A path that begins with two slashes would lead to another server, whose name the client may have chosen
 * (RFC 3986 section 4.2); browsers take a backslash for a slash.
 */
static void keep_here(struct location *location)
{
	size_t slashes = 0;

	while (slashes < location->len && (location->text[slashes] == '/' || location->text[slashes] == '\\'))
		slashes++;
	if (slashes < 2)
		return;
	memmove(location->text + 1, location->text + slashes, location->len - slashes);
	location->text[0] = '/';
	location->len -= slashes - 1;
}

/* "https://example.org": what is added to it could become a part of the server's name. */
static bool ends_in_server(const char *to)
{
	const char *server = strstr(to, "://");

	return to[0] != '/' && server != NULL && strpbrk(server + 3, "/?#") == NULL;
}

static int reply(per_req *req, int status, const struct location *location)
{
	const per_str reason = per_reason(status);
	char body[64];
	int len, err;

	if (location->is_cut)
		return per_reply(req, 414, TEXT, PER_S("URI Too Long\n"));
	err = per_header(req, PER_S("Location"), per_str_make(location->text, location->len));
	if (err == PER_EINVAL) /* bytes that cannot stand in a field */
		return per_reply(req, 400, TEXT, PER_S("Bad Request\n"));
	if (err != 0)
		return err;
	len = snprintf(body, sizeof(body), "%.*s\n", (int)reason.len, reason.ptr);
	return per_reply(req, status, TEXT, per_str_make(body, (size_t)len));
}

int redirect_reply(const struct config_redirect *redirect, per_req *req)
{
	const per_str path = per_req_path(req);
	struct location location;

	location.len = 0;
	location.is_cut = false;
	add(&location, per_str_from(redirect->to));
	if (redirect->prefix != NULL) {
		size_t used = strlen(redirect->prefix);

		/* "/a" to "/b/": the slash is not doubled */
		if (location.len > 0 && location.text[location.len - 1] == '/' && used < path.len &&
		    path.ptr[used] == '/')
			used++;
		if (used < path.len && path.ptr[used] != '/' && ends_in_server(redirect->to))
			add(&location, PER_S("/"));
		add(&location, per_str_make(path.ptr + used, path.len - used));
	}
	if (redirect->to[0] == '/')
		keep_here(&location);
	if (*redirect->keep_query)
		add_query(&location, per_req_query(req));
	return reply(req, (int)redirect->status, &location);
}

int redirect_to_https(per_req *req, const char *name, const char *port)
{
	const per_str host = names_without_port(per_req_host(req));
	const per_str path = per_req_path(req);
	struct location location;

	location.len = 0;
	location.is_cut = false;
	if (host.len == 0 && name == NULL)
		return per_reply(req, 400, TEXT, PER_S("Bad Request\n"));
	add(&location, PER_S("https://"));
	add(&location, host.len > 0 ? host : per_str_from(name));
	if (strcmp(port, "443") != 0) {
		add(&location, PER_S(":"));
		add(&location, per_str_from(port));
	}
	add(&location, path.len > 0 && path.ptr[0] == '/' ? path : PER_S("/"));
	add_query(&location, per_req_query(req));
	return reply(req, 308, &location);
}
