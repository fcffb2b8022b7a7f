/* SPDX-License-Identifier: MIT */
/*
 * test_app_plain.h - answers that are complete when the hook returns: fields, statuses, what a request
 * looks like, counters.
 * Part of test_app.c.
 */
#ifndef PER_TESTS_TEST_APP_PLAIN_H
#define PER_TESTS_TEST_APP_PLAIN_H

#include "test_app.h"

/* --- simple answers --------------------------------------------------------------------------- */

static int on_hello(per_req *req, struct app *app)
{
	(void)app;
	return per_reply(req, 200, PER_S("text/plain"), PER_S("hello\n"));
}

static int on_empty(per_req *req, struct app *app)
{
	(void)app;
	return per_reply(req, 200, (per_str){ NULL, 0 }, PER_S(""));
}

static int on_status(per_req *req, struct app *app)
{
	int err = per_reply(req, (int)path_number(req, 0), PER_S("text/plain"), PER_S("status body\n"));
	char text[64];

	(void)app;
	if (err == 0)
		return 0;
	snprintf(text, sizeof(text), "refused %d\n", err);
	return reply_text(req, text);
}

static int on_error(per_req *req, struct app *app)
{
	int err = per_header(req, PER_S("X-Before"), PER_S("kept"));
	char text[64];

	(void)app;
	if (err == 0)
		err = per_reply_error(req, (int)path_number(req, 0));
	if (err == 0)
		return 0;
	snprintf(text, sizeof(text), "refused %d\n", err);
	return reply_text(req, text);
}

static int on_header(per_req *req, struct app *app)
{
	size_t len = (size_t)path_number(req, 0);
	int64_t count = number(query(req, "count"), 1);
	char *value = malloc(len + 1);
	char text[64];
	int err = 0;

	(void)app;
	if (value == NULL)
		abort();
	memset(value, 'v', len);
	for (int64_t i = 0; i < count && err == 0; i++)
		err = per_header(req, PER_S("X-Long"), per_str_make(value, len));
	free(value);
	snprintf(text, sizeof(text), "rc=%d\n", err);
	return reply_text(req, text);
}

/* Tries every field that would break the message; none may get through. */
static int on_hostile(per_req *req, struct app *app)
{
	const struct {
		per_str name, value;
	} tries[] = {
		{ PER_S("X-Cr"), PER_S("a\rb") },
		{ PER_S("X-Lf"), PER_S("a\nb") },
		{ PER_S("X-Nul"), PER_S("a\0b") },
		{ PER_S("X-Crlf"), PER_S("a\r\nInjected: yes") },
		{ PER_S("X-End"), PER_S("a\r\n\r\nbody") },
		{ PER_S("X-Cr-End"), PER_S("a\r") },
		{ PER_S("X-Lf-Start"), PER_S("\na") },
		{ PER_S("X Name"), PER_S("a") },
		{ PER_S("X-Name:"), PER_S("a") },
		{ PER_S(""), PER_S("a") },
		{ PER_S("X-N\r\nInjected"), PER_S("yes") },
		{ PER_S("X-N\0l"), PER_S("a") },
		{ PER_S("Content-Length"), PER_S("5") },
		{ PER_S("content-length"), PER_S("5") },
		{ PER_S("Transfer-Encoding"), PER_S("chunked") },
		{ PER_S("TRANSFER-ENCODING"), PER_S("gzip") },
		{ PER_S("Date"), PER_S("Mon, 01 Jan 2024 00:00:00 GMT") },
		{ PER_S("X-\xc3\xa9"), PER_S("a") },
	};
	char text[1024];
	int len = 0;

	(void)app;
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%d ",
				per_header(req, tries[i].name, tries[i].value));
	per_header(req, PER_S("X-Good"), PER_S("still here"));
	per_header(req, PER_S("X-Empty"), PER_S(""));
	return per_reply(req, 200, PER_S("text/plain"), per_str_make(text, (size_t)len));
}

static int on_hostile_type(per_req *req, struct app *app)
{
	char text[64];
	int err = per_reply(req, 200, PER_S("text/plain\r\nInjected: yes"), PER_S("bad"));

	(void)app;
	snprintf(text, sizeof(text), "%d\n", err);
	return reply_text(req, text);
}

static int on_close(per_req *req, struct app *app)
{
	int err = per_header(req, PER_S("Connection"), PER_S("close"));

	return err != 0 ? err : on_hello(req, app);
}

static int on_interim(per_req *req, struct app *app)
{
	char text[128];
	int first, second, bad[4];

	(void)app;
	per_header(req, PER_S("Link"), PER_S("</a.css>; rel=preload"));
	first = per_interim(req, 103);
	second = per_interim(req, 102);
	bad[0] = per_interim(req, 100);
	bad[1] = per_interim(req, 101);
	bad[2] = per_interim(req, 200);
	bad[3] = per_interim(req, 99);
	snprintf(text, sizeof(text), "%d %d %d %d %d %d\n", first, second, bad[0], bad[1], bad[2], bad[3]);
	return reply_text(req, text);
}

static int on_twice(per_req *req, struct app *app)
{
	int first = reply_text(req, "first\n");
	int second = reply_text(req, "second\n");

	(void)app;
	return first == 0 && second == PER_ESTATE ? 0 : PER_EINVAL;
}

static int on_never(per_req *req, struct app *app)
{
	(void)req, (void)app;
	return 0;
}

static int on_fail(per_req *req, struct app *app)
{
	(void)req, (void)app;
	return PER_EINVAL;
}

static int on_fail_begun(per_req *req, struct app *app)
{
	(void)app;
	per_begin(req, 200, 1000);
	per_write(req, "begun", 5);
	return PER_EINVAL;
}

static int on_abort(per_req *req, struct app *app)
{
	(void)app;
	per_abort(req);
	return 0;
}

static int on_stop(per_req *req, struct app *app)
{
	(void)app;
	per_server_stop(per_req_server(req));
	return reply_text(req, "stopping\n");
}

/* --- what a request looks like ---------------------------------------------------------------- */

static int put(char *text, size_t cap, int len, const char *name, per_str value)
{
	if (value.ptr == NULL)
		return len + snprintf(text + len, cap - (size_t)len, "%s -\n", name);
	return len + snprintf(text + len, cap - (size_t)len, "%s [%.*s]\n", name, (int)value.len, value.ptr);
}

static int on_info(per_req *req, struct app *app)
{
	char text[8192], peer[64];
	int len = 0, err = per_req_peer(req, peer, sizeof(peer));

	(void)app;
	len = put(text, sizeof(text), len, "method", per_req_method_str(req));
	len = put(text, sizeof(text), len, "target", per_req_target(req));
	len = put(text, sizeof(text), len, "path", per_req_path(req));
	len = put(text, sizeof(text), len, "query", per_req_query(req));
	len = put(text, sizeof(text), len, "host", per_req_host(req));
	len = put(text, sizeof(text), len, "x", per_req_header(req, PER_S("x")));
	len = put(text, sizeof(text), len, "cookie", per_req_header(req, PER_S("Cookie")));
	len = put(text, sizeof(text), len, "trailer", per_req_trailer(req, PER_S("x-sum")));
	len = put(text, sizeof(text), len, "body", per_req_body(req));
	len = put(text, sizeof(text), len, "peer",
		  err < 0 ? (per_str){ NULL, 0 } : per_str_make(peer, (size_t)err));
	len += snprintf(text + len, sizeof(text) - (size_t)len,
			"number [%d]\nversion [%d]\nfields [%zu]\nlength [%jd]\nworker [%u]\n",
			(int)per_req_method(req), per_req_version(req), per_req_header_count(req),
			(intmax_t)per_req_content_length(req), per_req_worker(req));
	return per_reply(req, 200, PER_S("text/plain"), per_str_make(text, (size_t)len));
}

static int on_fields(per_req *req, struct app *app)
{
	char text[16384];
	per_str name, value;
	int len = 0;

	(void)app;
	for (size_t i = 0; per_req_header_at(req, i, &name, &value) == 0 && len < 12000; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%.*s=[%.*s]\n", (int)name.len,
				name.ptr, (int)(value.len < 2000 ? value.len : 2000), value.ptr);
	return per_reply(req, 200, PER_S("text/plain"), per_str_make(text, (size_t)len));
}

static int on_query(per_req *req, struct app *app)
{
	char text[8192], plain[1024];
	per_str rest = per_req_query(req), name, value;
	int len = 0;

	(void)app;
	while (per_query_next(&rest, &name, &value) && len < 6000) {
		int64_t n = value.ptr == NULL ? -100 : per_percent_decode(plain, sizeof(plain), value, true);

		len += snprintf(text + len, sizeof(text) - (size_t)len, "%.*s=%jd[%.*s]\n", (int)name.len,
				name.ptr, (intmax_t)n, n > 0 ? (int)n : 0, plain);
	}
	return per_reply(req, 200, PER_S("text/plain"), per_str_make(text, (size_t)len));
}

static int on_stats(per_req *req, struct app *app)
{
	per_stats s;
	char text[2048];
	int err = per_server_stats(per_req_server(req), (int)number(query(req, "worker"), -1), &s);

	(void)app;
	if (err != 0)
		return err;
#define LINE(name) #name " %" PRIu64 "\n"
	snprintf(text, sizeof(text),
		 LINE(requests) LINE(connections) LINE(connections_now) LINE(bytes_in) LINE(bytes_out)
			 LINE(syscalls) LINE(turns) LINE(accept_errors) LINE(accept_refused)
				 LINE(accept_pauses) LINE(bad_requests) LINE(timeouts) LINE(overflow_blocks)
					 LINE(overflow_failures) LINE(posts) LINE(r2) LINE(r4) LINE(r5),
		 s.requests, s.connections, s.connections_now, s.bytes_in, s.bytes_out, s.syscalls, s.turns,
		 s.accept_errors, s.accept_refused, s.accept_pauses, s.bad_requests, s.timeouts,
		 s.overflow_blocks, s.overflow_failures, s.posts, s.responses[2], s.responses[4],
		 s.responses[5]);
#undef LINE
	return reply_text(req, text);
}

static int counts_print(const struct app *app, char *text, size_t cap)
{
	const struct counts *c = &app->counts;
	int len = snprintf(text, cap,
			   "seen=%" PRIu64 " done=%" PRIu64 " stray=%" PRIu64 " lent=%" PRIu64
			   " released=%" PRIu64 " posted=%" PRIu64 " ran=%" PRIu64 " gone=%" PRIu64
			   " writable=%" PRIu64 " init=%" PRIu64 " exit=%" PRIu64,
			   READ(c->seen), READ(c->done), READ(c->stray), READ(c->lent), READ(c->released),
			   READ(c->posted), READ(c->ran), READ(c->gone), READ(c->writable), READ(c->init),
			   READ(c->exit));

	for (int i = 0; i < ERRORS_MAX; i++)
		len += snprintf(text + len, cap - (size_t)len, " error%d=%" PRIu64, i, READ(c->errors[i]));
	return len;
}

static int on_counts(per_req *req, struct app *app)
{
	char text[2048];

	counts_print(app, text, sizeof(text));
	return reply_text(req, text);
}

static int on_text(per_req *req, struct app *app)
{
	static const struct {
		const char *path;
		int (*print)(const per_server *server, char *buf, size_t cap);
	} texts[] = { { "/text/prometheus", per_server_prometheus }, { "/text/memory", per_server_memory } };
	char text[65536];
	int len = PER_EINVAL;

	(void)app;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (per_str_equal(per_req_path(req), per_str_from(texts[i].path)))
			len = texts[i].print(per_req_server(req), text, sizeof(text));
	}
	if (per_str_equal(per_req_path(req), PER_S("/text/probe")))
		len = per_probe(text, sizeof(text));
	return len < 0 ? len : per_reply(req, 200, PER_S("text/plain"), per_str_make(text, (size_t)len));
}

#endif
