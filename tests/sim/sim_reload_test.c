/* SPDX-License-Identifier: MIT */
/*
 * sim_reload_test.c - per_server_reload() at odd moments: in the middle of a head, of a rate window, of a
 * deadline. Virtual time throughout.
 */
#include "sim/sim_http.h"

#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SEED 0x4eu

static struct {
	unsigned requests, dones, logs;
	size_t line_bytes; /* of what on_log could read */
	struct sim_http http;
} app;

static int on_request(per_req *req, void *user)
{
	static char big[60000];

	(void)user;
	app.requests++;
	if (per_str_equal(per_req_path(req), PER_S("/big")))
		return per_reply(req, 200, PER_S(""), per_str_make(big, sizeof(big)));
	return per_reply(req, 200, PER_S(""), PER_S("ok"));
}

static void on_done(per_req *req, int error, void *user)
{
	(void)req;
	(void)error;
	(void)user;
	app.dones++;
}

static void on_log(per_req *req, int error, void *user)
{
	const per_str parts[] = { per_req_target(req), per_req_header(req, PER_S("host")) };

	(void)error;
	(void)user;
	app.logs++;
	for (size_t i = 0; i < PER_ARRAY_LEN(parts); i++) {
		for (size_t k = 0; k < parts[i].len; k++) /* a sanitizer sees each */
			app.line_bytes += parts[i].ptr[k] != '\0';
	}
}

static const per_handler handler = { .on_request = on_request, .on_done = on_done, .on_log = on_log };

static void use_app(per_config *config, uint64_t seed)
{
	(void)seed;
	config->handler = handler;
	config->body_rate_min = 100; /* 1,000 bytes in a window of ten seconds */
	config->write_rate_min = 100;
}

static void begin(void)
{
	memset(&app, 0, sizeof(app));
	sim_http_begin(&app.http, SEED, use_app);
}

static void send_text(struct per__sim_peer *peer, const char *text)
{
	sim_peer_send(peer, text, strlen(text));
}

static bool has_text(struct per__sim_peer *peer, const char *text)
{
	size_t len;
	const uint8_t *data = sim_peer_received(peer, &len);

	return len > 0 && memmem(data, len, text, strlen(text)) != NULL;
}

static void reload(const per_config *config)
{
	assert_int_equal(per_server_reload(app.http.server, config), 0);
}

static void reload_script(struct per__sim *sim, void *arg)
{
	(void)sim;
	reload(arg);
}

/* Turns for things to arrive in. */
static void settle(void)
{
	for (int i = 0; i < 5; i++)
		assert_int_equal(per_server_poll(app.http.server, 0), 1);
}

/* A head that is longer already than it may be is refused, wherever it was interrupted. */
static void test_reload_shorter_head_in_the_middle_of_one(void **state)
{
	static const char head[] = "GET /a/path?and=query HTTP/1.1\r\nHost: a.host\r\nName: value\r\n"
				   "Other-Name: another value, which is longer\r\n\r\n";
	const size_t len = sizeof(head) - 1;
	const per_config small = { .head_bytes_max = 64, .target_bytes_max = 10 }, usual = { 0 };

	(void)state;
	begin();
	for (size_t cut = 1; cut < len; cut++) {
		struct per__sim_peer *peer;

		reload(&usual);
		settle();
		peer = sim_connect(app.http.sim, 0);
		sim_peer_send(peer, head, cut);
		settle();
		reload(&small);
		settle();
		sim_peer_send(peer, head + cut, len - cut);
		SIM_HTTP_RUN_UNTIL(&app.http, has_text(peer, "\r\n\r\n"));
		/* a target that was read to the space behind it is not looked at again */
		assert_true(has_text(peer, cut < 22 ? "HTTP/1.1 414 " : "HTTP/1.1 431 "));
		sim_peer_close_write(peer);
		SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
		assert_int_equal(app.logs, cut);
	}
	assert_int_equal(app.requests, 0);
	sim_http_end(&app.http);
}

/* The same of trailers. When the limit rises, those that have begun keep the room they have. */
static void test_reload_other_head_limit_in_the_middle_of_trailers(void **state)
{
	static const char
		request[] = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
			    "0\r\nName: value\r\nOther: ",
		rest[] = "a value that is longer, and longer, and longer, than what there was\r\n\r\n";
	static const struct {
		per_config before, after;
		const char *answer;
	} cases[] = {
		{ { .head_bytes_max = 16384 }, { .head_bytes_max = 64 }, "HTTP/1.1 431 " },
		{ { .head_bytes_max = 16384 }, { .head_bytes_max = 65535 }, "HTTP/1.1 200 " },
		{ { .head_bytes_max = 64 }, { .head_bytes_max = 65535 }, "HTTP/1.1 431 " },
	};

	(void)state;
	begin();
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++) {
		struct per__sim_peer *peer = sim_connect(app.http.sim, 0);

		reload(&cases[i].before);
		settle();
		send_text(peer, request);
		settle();
		reload(&cases[i].after);
		settle();
		send_text(peer, rest);
		SIM_HTTP_RUN_UNTIL(&app.http, has_text(peer, "\r\n\r\n"));
		assert_true(has_text(peer, cases[i].answer));
		sim_peer_close_write(peer);
		SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
	}
	sim_http_end(&app.http);
}

/* What is open takes the new limits with its next request. */
static void test_reload_connection_goes_on_under_new_limits(void **state)
{
	static const char post[] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab";
	const per_config small = { .body_bytes_max = 1 }, usual = { .requests_per_connection_max = 2 },
			 bad = { .body_bytes_max = 1, .head_bytes_max = 1 };
	struct per__sim_peer *peer;

	(void)state;
	begin();
	peer = sim_connect(app.http.sim, 0);
	send_text(peer, post);
	SIM_HTTP_RUN_UNTIL(&app.http, app.requests == 1);
	assert_int_equal(per_server_reload(app.http.server, &bad), PER_EINVAL);
	assert_int_equal(per_server_reload(app.http.server, NULL), PER_EINVAL);
	settle();
	send_text(peer, post);
	SIM_HTTP_RUN_UNTIL(&app.http, app.requests == 2);
	reload(&small);
	reload(&usual); /* before anybody has taken the first */
	settle();
	send_text(peer, post);
	SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
	assert_int_equal(app.requests, 3);
	assert_true(has_text(peer, "Connection: close"));
	peer = sim_connect(app.http.sim, 0);
	reload(&small);
	send_text(peer, post);
	SIM_HTTP_RUN_UNTIL(&app.http, has_text(peer, "\r\n\r\n"));
	assert_true(has_text(peer, "HTTP/1.1 413 "));
	sim_peer_close_write(peer);
	SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
	reload(&usual); /* nobody takes it any more */
	sim_http_end(&app.http);
}

/* A window that began as a shorter one is not measured by what a longer one asks for; the next is. */
static void test_reload_body_in_a_shorter_window_is_not_cut(void **state)
{
	static const per_config longer = { .rate_window_ms = 60000, .body_rate_min = 200 };
	static const char piece[700];
	struct per__sim_peer *peer;
	int64_t begin_ns;

	(void)state;
	begin();
	peer = sim_connect(app.http.sim, 0);
	begin_ns = sim_now_ns(app.http.sim);
	send_text(peer, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
	for (int i = 1; i <= 60; i++)
		sim_peer_send_after(peer, i * SIM_HTTP_SECOND_NS, piece, sizeof(piece));
	sim_after(app.http.sim, 5 * SIM_HTTP_SECOND_NS, reload_script, (void *)(uintptr_t)&longer);
	SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
	assert_true(has_text(peer, "HTTP/1.1 408 "));
	/* ten seconds, sixty that brought 42,000 bytes, sixty that brought 7,000 */
	assert_in_range(sim_now_ns(app.http.sim) - begin_ns, 125 * SIM_HTTP_SECOND_NS,
			140 * SIM_HTTP_SECOND_NS);
	sim_http_end(&app.http);
}

/* And who reads slowly. */
static void test_reload_answer_in_a_shorter_window_is_not_cut(void **state)
{
	static const per_config longer = { .rate_window_ms = 60000, .write_rate_min = 200 };
	struct per__sim_peer *peer;
	size_t len;

	(void)state;
	begin();
	sim_faults(app.http.sim)->sndbuf_bytes = 256;
	peer = sim_connect(app.http.sim, 0);
	sim_peer_set_read_rate(peer, 700);
	send_text(peer, "GET /big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	sim_after(app.http.sim, 5 * SIM_HTTP_SECOND_NS, reload_script, (void *)(uintptr_t)&longer);
	SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
	assert_false(sim_peer_saw_rst(peer));
	assert_non_null(sim_peer_received(peer, &len));
	assert_true(len > 60000);
	sim_http_end(&app.http);
}

/* A deadline that runs is kept; the next is the new one. */
static void test_reload_next_deadline_is_the_new_one(void **state)
{
	const per_config shorter = { .idle_timeout_ms = 5000 };
	struct per__sim_peer *peer;
	int64_t begin_ns;

	(void)state;
	begin();
	peer = sim_connect(app.http.sim, 0);
	send_text(peer, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	SIM_HTTP_RUN_UNTIL(&app.http, has_text(peer, "ok"));
	settle();
	reload(&shorter);
	settle();
	sim_advance_ns(app.http.sim, 50 * SIM_HTTP_SECOND_NS);
	settle();
	assert_false(sim_peer_is_over(peer));
	send_text(peer, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	SIM_HTTP_RUN_UNTIL(&app.http, app.requests == 2);
	begin_ns = sim_now_ns(app.http.sim);
	SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_saw_fin(peer));
	assert_in_range(sim_now_ns(app.http.sim) - begin_ns, 5 * SIM_HTTP_SECOND_NS, 7 * SIM_HTTP_SECOND_NS);
	sim_peer_close_write(peer);
	sim_http_end(&app.http);
}

/* Who has connected and said nothing yet gets the second that a stop gives: no less, and no more. */
static void test_reload_then_stop_waits_a_second_for_the_new(void **state)
{
	static const per_config timeouts[] = { { .head_timeout_ms = 2000 }, { .head_timeout_ms = 600000 } };

	(void)state;
	for (size_t i = 0; i < 2 * PER_ARRAY_LEN(timeouts); i++) {
		const bool asks = i % 2 != 0;
		struct per__sim_peer *peer;
		int64_t begin_ns;

		begin();
		peer = sim_connect(app.http.sim, 0);
		settle();
		reload(&timeouts[i / 2]);
		settle();
		begin_ns = sim_now_ns(app.http.sim);
		if (asks)
			sim_peer_send_after(peer, SIM_HTTP_SECOND_NS / 2, "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
					    27);
		per_server_stop(app.http.server);
		while (!app.http.is_stopped)
			sim_http_turn(&app.http);
		assert_true(sim_now_ns(app.http.sim) - begin_ns <= 3 * SIM_HTTP_SECOND_NS);
		assert_int_equal(app.requests, asks);
		assert_int_equal(has_text(peer, "HTTP/1.1 200 "), asks);
		sim_http_end(&app.http);
	}
}

/* Reloads that change no time and no rate do not keep a slow client alive. */
static void test_reload_of_the_same_rate_is_no_excuse(void **state)
{
	static const per_config same = { .body_bytes_max = 200000,
					 .body_rate_min = 100,
					 .write_rate_min = 100 };
	struct per__sim_peer *peer;
	int64_t begin_ns;

	(void)state;
	begin();
	peer = sim_connect(app.http.sim, 0);
	begin_ns = sim_now_ns(app.http.sim);
	send_text(peer, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
	for (int i = 1; i <= 5; i++)
		sim_after(app.http.sim, i * 9 * SIM_HTTP_SECOND_NS, reload_script, (void *)(uintptr_t)&same);
	SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
	assert_true(has_text(peer, "HTTP/1.1 408 "));
	assert_true(sim_now_ns(app.http.sim) - begin_ns < 15 * SIM_HTTP_SECOND_NS);
	sim_http_end(&app.http);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reload_shorter_head_in_the_middle_of_one),
		cmocka_unit_test(test_reload_other_head_limit_in_the_middle_of_trailers),
		cmocka_unit_test(test_reload_connection_goes_on_under_new_limits),
		cmocka_unit_test(test_reload_body_in_a_shorter_window_is_not_cut),
		cmocka_unit_test(test_reload_answer_in_a_shorter_window_is_not_cut),
		cmocka_unit_test(test_reload_next_deadline_is_the_new_one),
		cmocka_unit_test(test_reload_then_stop_waits_a_second_for_the_new),
		cmocka_unit_test(test_reload_of_the_same_rate_is_no_excuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
