/* SPDX-License-Identifier: MIT */
/*
 * sim_log_test.c - what on_log and on_done can read of an exchange, above all of those that no other hook has
 * seen: wrong heads, slow ones, cut ones, and exchanges whose input is long gone when they end.
 */
#include "sim/sim_http.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SEED 0x109u
#define TEXT_BYTES 2048

/* What the application does in this test, and what it has been told. */
static struct {
	struct sim_http http;
	unsigned logged, done, logged_before_done;
	char text[TEXT_BYTES]; /* of the last on_log */
	int64_t duration_ns;
	bool done_is_same; /* on_done read the same as on_log */
} app;

static void text_of(per_req *req, int error, char *text)
{
	per_str line = per_req_line(req), method = per_req_method_str(req), target = per_req_target(req);
	per_str host = per_req_host(req), agent = per_req_header(req, PER_S("User-Agent"));

	snprintf(text, TEXT_BYTES, "%d %d %" PRIu64 " [%.*s] m=%.*s t=%.*s v=%d h=%.*s ua=%.*s", error,
		 per_req_status(req), per_req_bytes_sent(req), (int)line.len, line.ptr, (int)method.len,
		 method.ptr, (int)target.len, target.ptr, per_req_version(req), (int)host.len, host.ptr,
		 (int)agent.len, agent.ptr);
}

static void on_log(per_req *req, int error, void *user)
{
	(void)user;
	text_of(req, error, app.text);
	app.duration_ns = per_req_duration_ns(req);
	app.logged++;
}

static void on_done(per_req *req, int error, void *user)
{
	char text[TEXT_BYTES];

	(void)user;
	text_of(req, error, text);
	app.done_is_same = strcmp(text, app.text) == 0;
	app.done++;
	app.logged_before_done += app.logged == app.done;
}

static bool path_is(per_req *req, const char *path)
{
	return per_str_equal(per_req_path(req), per_str_from(path));
}

static void reply_later(per_req *req, void *arg)
{
	(void)arg;
	if (req != NULL)
		(void)per_reply(req, 203, PER_S(""), PER_S("late"));
}

static void later_script(struct per__sim *sim, void *arg)
{
	per_ref *ref = arg;

	(void)sim;
	assert_int_equal(per_post(app.http.server, *ref, reply_later, NULL), 0);
}

static int on_head(per_req *req, void *user)
{
	(void)user;
	if (path_is(req, "/refuse"))
		return per_reply(req, 403, PER_S(""), PER_S("no"));
	if (path_is(req, "/abort"))
		per_abort(req);
	return 0;
}

static int on_request(per_req *req, void *user)
{
	static per_ref ref;
	static const char body[5000];

	(void)user;
	if (path_is(req, "/later")) {
		sim_after(app.http.sim, 3 * SIM_HTTP_SECOND_NS, later_script, &ref);
		return per_defer(req, &ref);
	}
	if (path_is(req, "/never"))
		return per_defer(req, NULL);
	if (path_is(req, "/fail"))
		return PER_ENOMEM;
	if (path_is(req, "/ref"))
		return per_reply_ref(req, 200, PER_S(""), per_str_make(body, sizeof(body)), NULL, NULL);
	if (path_is(req, "/chunks") || path_is(req, "/short")) {
		assert_int_equal(per_begin(req, 200, path_is(req, "/short") ? 5000 : PER_LENGTH_UNKNOWN), 0);
		assert_int_equal(per_req_status(req), 200);
		assert_int_equal(per_write(req, body, 1000), 0);
		assert_int_equal(per_write_ref(req, body, 2000, NULL, NULL), 0);
		return per_end(req);
	}
	assert_int_equal(per_req_status(req), 0);
	return per_reply(req, 200, PER_S(""), PER_S("hello"));
}

static void use_app(per_config *config, uint64_t seed)
{
	(void)seed;
	config->handler = (per_handler){
		.on_head = on_head, .on_request = on_request, .on_done = on_done, .on_log = on_log
	};
	config->head_bytes_max = 600;
	config->target_bytes_max = 100;
	config->head_fields_max = 8;
	config->body_bytes_max = 64;
	config->body_rate_min = 100;
}

static void begin(void)
{
	memset(&app, 0, sizeof(app));
	sim_http_begin(&app.http, SEED, use_app);
}

#define UA "User-Agent: x\r\n"
#define HOST "Host: h\r\n"
#define NAME64 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

static const struct {
	const char *bytes;
	const char *logged;
	bool is_seen;  /* by another hook, so on_done comes too */
	bool is_reset; /* the peer resets behind its bytes, else it ends its side */
} cases[] = {
	/* good ones */
	{ "GET /a?b HTTP/1.1\r\n" HOST UA "\r\n", "0 200 5 [GET /a?b HTTP/1.1] m=GET t=/a?b v=11 h=h ua=x",
	  true, 0 },
	{ "\r\nHEAD /a HTTP/1.0\r\n\r\n", "0 200 0 [HEAD /a HTTP/1.0] m=HEAD t=/a v=10 h= ua=", true, 0 },
	{ "GET /ref HTTP/1.1\r\n" HOST "\r\n",
	  "0 200 5000 [GET /ref HTTP/1.1] m=GET t=/ref v=11 h=h ua=", true, 0 },
	{ "HEAD /ref HTTP/1.1\r\n" HOST "\r\n",
	  "0 200 0 [HEAD /ref HTTP/1.1] m=HEAD t=/ref v=11 h=h ua=", true, 0 },
	{ "GET /chunks HTTP/1.1\r\n" HOST "\r\n",
	  "0 200 3000 [GET /chunks HTTP/1.1] m=GET t=/chunks v=11 h=h ua=", true, 0 },
	{ "HEAD /chunks HTTP/1.1\r\n" HOST "\r\n",
	  "0 200 0 [HEAD /chunks HTTP/1.1] m=HEAD t=/chunks v=11 h=h ua=", true, 0 },
	{ "GET /short HTTP/1.1\r\n" HOST "\r\n",
	  "-13 200 3000 [GET /short HTTP/1.1] m=GET t=/short v=11 h=h ua=", true, 0 },
	{ "GET http://o/a HTTP/1.1\r\n" HOST "\r\n",
	  "0 200 5 [GET http://o/a HTTP/1.1] m=GET t=http://o/a v=11 h=o ua=", true, 0 },
	{ "OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
	  "0 200 0 [OPTIONS * HTTP/1.1] m=OPTIONS t=* v=11 h=h ua=", false, 0 },
	/* the application's failures */
	{ "GET /fail HTTP/1.1\r\n" HOST UA "\r\n",
	  "0 500 22 [GET /fail HTTP/1.1] m=GET t=/fail v=11 h=h ua=x", true, 0 },
	{ "POST /refuse HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nbo",
	  "0 403 2 [POST /refuse HTTP/1.1] m=POST t=/refuse v=11 h=h ua=", true, 0 },
	{ "GET /abort HTTP/1.1\r\n" HOST UA "\r\n",
	  "-4 0 0 [GET /abort HTTP/1.1] m=GET t=/abort v=11 h=h ua=x", true, 0 },
	{ "GET /never HTTP/1.1\r\n" HOST UA "\r\n",
	  "-4 0 0 [GET /never HTTP/1.1] m=GET t=/never v=11 h=h ua=x", true, 1 },
	/* refused by the library, known to the application */
	{ "POST /a HTTP/1.1\r\n" HOST "Content-Length: 99\r\n\r\n",
	  "-11 413 18 [POST /a HTTP/1.1] m=POST t=/a v=11 h=h ua=", true, 0 },
	{ "HEAD /a HTTP/1.1\r\n" HOST "Content-Length: 99\r\n\r\n",
	  "-11 413 0 [HEAD /a HTTP/1.1] m=HEAD t=/a v=11 h=h ua=", true, 0 },
	{ "POST /a HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nbod",
	  "-13 400 12 [POST /a HTTP/1.1] m=POST t=/a v=11 h=h ua=", true, 0 },
	{ "POST /a HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nbod",
	  "-4 0 0 [POST /a HTTP/1.1] m=POST t=/a v=11 h=h ua=", true, 1 },
	/* refused by the library, and known to nobody */
	{ "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n",
	  "-13 501 16 [CONNECT h:1 HTTP/1.1] m=CONNECT t=h:1 v=11 h=h:1 ua=", false, 0 },
	{ "GET /a HTTP/1.1\r\n" UA "\r\n", "-13 400 12 [GET /a HTTP/1.1] m=GET t=/a v=11 h= ua=x", false, 0 },
	{ "GET /a HTTP/3.0\r\n" HOST "\r\n", "-13 505 27 [GET /a HTTP/3.0] m=GET t=/a v=10 h= ua=", false,
	  0 },
	{ "GET /a HTTP/1.1\r\n" HOST UA "bad\r\n\r\n",
	  "-13 400 12 [GET /a HTTP/1.1] m=GET t=/a v=11 h=h ua=x", false, 0 },
	{ "GET  /a HTTP/1.1\r\n" HOST UA "\r\n", "-13 400 12 [GET  /a HTTP/1.1] m=GET t= v=0 h= ua=", false,
	  0 },
	{ "GET /" NAME64 NAME64 " HTTP/1.1\r\n" HOST "\r\n",
	  "-13 414 13 [GET /" NAME64 NAME64 " HTTP/1.1] m=GET t= v=0 h= ua=", false, 0 },
	{ "GET /a HTTP/1.1\r\n" HOST UA "a:1\r\nb:1\r\nc:1\r\nd:1\r\ne:1\r\nf:1\r\ng:1\r\n\r\n",
	  "-13 431 32 [GET /a HTTP/1.1] m=GET t=/a v=11 h=h ua=x", false, 0 },
	{ "\x16\x03\x01\x02", "-13 400 12 [\x16\x03\x01\x02] m= t= v=0 h= ua=", false, 0 },
	{ "\r\n\r\n", "-13 400 12 [] m= t= v=0 h= ua=", false, 0 },
	{ "GE", "-13 400 12 [GE] m= t= v=0 h= ua=", false, 0 },
	{ "GET /a HTTP/1.1\r\n" HOST UA, "-13 400 12 [GET /a HTTP/1.1] m=GET t=/a v=11 h=h ua=x", false, 0 },
	{ "GET /a HTTP/1.1\r\n" HOST UA, "-4 0 0 [GET /a HTTP/1.1] m=GET t=/a v=11 h=h ua=x", false, 1 },
};

/* Whole, and byte by byte: it depends on the bytes alone. A wrong line ends where it was found wrong. */
static void run_case(size_t index, size_t recv_bytes_max)
{
	struct per__sim_peer *peer;
	const char *text;

	begin();
	sim_faults(app.http.sim)->recv_bytes_max = recv_bytes_max;
	peer = sim_connect(app.http.sim, 0);
	sim_peer_send(peer, cases[index].bytes, strlen(cases[index].bytes));
	if (cases[index].is_reset)
		sim_peer_reset_at_in(peer, strlen(cases[index].bytes));
	else
		sim_peer_close_write(peer);
	SIM_HTTP_RUN_UNTIL(&app.http, app.logged > 0);
	SIM_HTTP_RUN_UNTIL(&app.http, !sim_peer_is_attached(peer));
	text = app.text;
	if (recv_bytes_max == 1 && strstr(cases[index].logged, " v=0 ") != NULL) {
		size_t same = strcspn(text, "]");

		assert_memory_equal(text, cases[index].logged, same);
		assert_string_equal(strchr(text, ']'), strchr(cases[index].logged, ']'));
	} else {
		assert_string_equal(text, cases[index].logged);
	}
	assert_int_equal(app.logged, 1);
	assert_int_equal(app.done, cases[index].is_seen);
	assert_int_equal(app.logged_before_done, app.done);
	assert_true(!cases[index].is_seen || app.done_is_same);
	sim_http_end(&app.http);
}

static void test_log_every_kind_of_request_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++) {
		run_case(i, 0);
		run_case(i, 1);
	}
}

static void test_log_timeouts(void **state)
{
	static const struct {
		const char *bytes, *logged;
	} slow[] = {
		{ "GET /a HTTP/1.1\r\n" HOST "X: ", "-12 408 16 [GET /a HTTP/1.1] m=GET t=/a v=11 h=h ua=" },
		{ "GE", "-12 408 16 [GE] m= t= v=0 h= ua=" },
		{ "POST /a HTTP/1.1\r\n" HOST UA "Content-Length: 9\r\n\r\nbod",
		  "-12 408 16 [POST /a HTTP/1.1] m=POST t=/a v=11 h=h ua=x" },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(slow); i++) {
		struct per__sim_peer *peer;

		begin();
		peer = sim_connect(app.http.sim, 0);
		sim_peer_send(peer, slow[i].bytes, strlen(slow[i].bytes));
		SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
		assert_string_equal(app.text, slow[i].logged);
		assert_true(app.duration_ns >= 9 * SIM_HTTP_SECOND_NS);
		assert_int_equal(app.logged, 1);
		sim_http_end(&app.http);
	}
}

static void test_log_idle_connection_says_nothing(void **state)
{
	struct per__sim_peer *peer;

	(void)state;
	begin();
	peer = sim_connect(app.http.sim, 0);
	SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
	assert_int_equal(app.logged, 0);
	sim_http_end(&app.http);
}

/* From the first byte of the head to the answer, by the worker's clock. */
static void test_log_duration_of_a_slow_head_and_a_late_answer(void **state)
{
	struct per__sim_peer *peer;

	(void)state;
	begin();
	peer = sim_connect(app.http.sim, 0);
	sim_peer_send_after(peer, 5 * SIM_HTTP_SECOND_NS, "GET /la", 7);
	sim_peer_send_after(peer, 7 * SIM_HTTP_SECOND_NS, "ter HTTP/1.1\r\nHost: h\r\n\r\n", 25);
	SIM_HTTP_RUN_UNTIL(&app.http, app.logged == 1);
	assert_string_equal(app.text, "0 203 4 [GET /later HTTP/1.1] m=GET t=/later v=11 h=h ua=");
	assert_true(app.duration_ns >= 5 * SIM_HTTP_SECOND_NS);
	assert_true(app.duration_ns < 6 * SIM_HTTP_SECOND_NS);
	sim_peer_close_write(peer);
	sim_http_end(&app.http);
}

/* Nothing is left of the input, and no block to keep it in: the exchange is told all the same. */
static void use_little_memory(per_config *config, uint64_t seed)
{
	use_app(config, seed);
	config->memory_bytes = 1u << 20;
	config->connections_max = 2000;
}

static void test_log_no_memory_every_exchange_is_told(void **state)
{
	enum { CROWD = 600 };
	static struct per__sim_peer *crowd[CROWD];
	static const char request[] = "GET /abort HTTP/1.1\r\n" HOST "\r\n";

	(void)state;
	memset(&app, 0, sizeof(app));
	sim_http_begin(&app.http, SEED, use_little_memory);
	for (unsigned i = 0; i < CROWD; i++) { /* takes every block */
		crowd[i] = sim_connect(app.http.sim, 0);
		sim_peer_send(crowd[i], "GET /", 5);
	}
	for (int i = 0; i < 60; i++)
		assert_int_equal(per_server_poll(app.http.server, 0), 1);
	crowd[0] = sim_connect(app.http.sim, 0);
	sim_peer_send(crowd[0], request, sizeof(request) - 1);
	app.done = 0;
	SIM_HTTP_RUN_UNTIL(&app.http, app.done == 1);
	assert_string_equal(app.text, "-4 0 0 [] m= t= v=0 h= ua=");
	assert_true(app.done_is_same);
	for (unsigned i = 1; i < CROWD; i++)
		sim_peer_reset(crowd[i]);
	SIM_HTTP_RUN_UNTIL(&app.http, sim_http_open(&app.http) == 0);
	assert_int_equal(app.logged, CROWD + 1);
	sim_http_end(&app.http);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_every_kind_of_request_once),
		cmocka_unit_test(test_log_timeouts),
		cmocka_unit_test(test_log_idle_connection_says_nothing),
		cmocka_unit_test(test_log_duration_of_a_slow_head_and_a_late_answer),
		cmocka_unit_test(test_log_no_memory_every_exchange_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
