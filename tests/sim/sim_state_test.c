/* SPDX-License-Identifier: MIT */
/*
 * sim_state_test.c - an exchange at odd moments: bodies paused and resumed around their end, answers complete
 * before the request is, deadlines that come in the same turn as what they wait for. Virtual time throughout.
 */
#include "sim/sim_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SEED 0x57u

/* What the application does in this test, and what it has seen. */
static struct {
	bool streams, pauses, defers;
	per_req *req;
	per_ref ref;
	unsigned bodies, requests, dones;
	bool is_answered;
	unsigned hooks_behind_answer; /* hooks but on_done, for an exchange whose answer was complete */
	struct sim_http http;
} app;

static int on_head(per_req *req, void *user)
{
	(void)user;
	app.req = req;
	if (app.streams)
		(void)per_req_stream_body(req);
	return app.defers ? per_defer(req, &app.ref) : 0;
}

static int on_body(per_req *req, const void *data, size_t len, void *user)
{
	(void)data;
	(void)len;
	(void)user;
	app.bodies++;
	app.hooks_behind_answer += app.is_answered;
	if (app.pauses)
		per_req_pause_body(req);
	return 0;
}

static int on_request(per_req *req, void *user)
{
	static char big[6000];

	(void)user;
	app.requests++;
	app.hooks_behind_answer += app.is_answered;
	if (app.is_answered)
		return 0;
	if (app.defers && per_req_method(req) == PER_METHOD_POST)
		return 0;
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
	app.req = NULL;
	app.is_answered = false;
}

static void use_app(per_config *config, uint64_t seed)
{
	(void)seed;
	config->handler = (per_handler){
		.on_head = on_head, .on_body = on_body, .on_request = on_request, .on_done = on_done
	};
	config->body_rate_min = 100; /* 1,000 bytes in a window of ten seconds */
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

static bool has_text(struct per__sim_peer *peer, const char *text, unsigned times)
{
	size_t len;
	const uint8_t *data = sim_peer_received(peer, &len);
	const uint8_t *pos = data;

	while (times > 0 && pos != NULL) {
		pos = memmem(pos, len - (size_t)(pos - data), text, strlen(text));
		if (pos != NULL) {
			pos++;
			times--;
		}
	}
	return times == 0;
}

/* --- what other threads would do -------------------------------------------------------------- */

static void resume(per_req *req, void *arg)
{
	(void)arg;
	if (req != NULL)
		per_req_resume_body(req);
}

static void answer(per_req *req, void *arg)
{
	(void)arg;
	if (req == NULL)
		return;
	assert_int_equal(per_reply(req, 200, PER_S(""), PER_S("late")), 0);
	app.is_answered = true;
}

static void post(per_post_fn fn)
{
	assert_int_equal(per_post(app.http.server, app.ref, fn, NULL), 0);
}

/* Resumes a body within the same thread, as an application with a loop of its own does. */
static void resume_script(struct per__sim *sim, void *arg)
{
	(void)sim;
	(void)arg;
	if (app.req != NULL)
		per_req_resume_body(app.req);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_state_body_resumed_behind_its_end_next_request_waits(void **state)
{
	struct per__sim_peer *peer;

	(void)state;
	begin();
	app.streams = app.pauses = app.defers = true;
	peer = sim_connect(app.http.sim, 0);
	send_text(peer, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
	send_text(peer, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
	sim_peer_close_write(peer);
	SIM_HTTP_RUN_UNTIL(&app.http, app.requests == 1);
	post(resume);
	for (int i = 0; i < 10; i++)
		sim_http_turn(&app.http);
	assert_int_equal(app.requests, 1);
	app.defers = false;
	post(answer);
	SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
	assert_true(has_text(peer, "HTTP/1.1 200 OK", 2));
	assert_int_equal(app.dones, 2);
	sim_http_end(&app.http);
}

static void test_state_body_resumed_client_stalls_408(void **state)
{
	struct per__sim_peer *peer;

	(void)state;
	begin();
	app.streams = app.pauses = app.defers = true;
	peer = sim_connect(app.http.sim, 0);
	send_text(peer, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\nbody");
	SIM_HTTP_RUN_UNTIL(&app.http, app.bodies == 1);
	post(resume);
	SIM_HTTP_RUN_UNTIL(&app.http, app.dones == 1);
	SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
	assert_true(has_text(peer, "HTTP/1.1 408 ", 1));
	sim_http_end(&app.http);
}

static void test_state_body_trickles_into_pauses_408(void **state)
{
	struct per__sim_peer *peer;

	(void)state;
	begin();
	app.streams = app.pauses = true;
	peer = sim_connect(app.http.sim, 0);
	send_text(peer, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 400\r\n\r\n");
	for (int i = 1; i <= 400; i++) {
		sim_peer_send_after(peer, i * SIM_HTTP_SECOND_NS, "x", 1);
		sim_after(app.http.sim, i * SIM_HTTP_SECOND_NS + SIM_HTTP_SECOND_NS / 1000, resume_script,
			  NULL);
	}
	SIM_HTTP_RUN_UNTIL(&app.http, app.dones == 1);
	assert_int_equal(app.requests, 0);
	assert_true(app.bodies < 40);
	SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
	assert_true(has_text(peer, "HTTP/1.1 408 ", 1));
	sim_http_end(&app.http);
}

/* The application's pause is not the client's: it does not count against it. */
static void test_state_body_paused_for_long_then_steady_200(void **state)
{
	static char body[1200];
	struct per__sim_peer *peer;

	(void)state;
	begin();
	app.streams = app.pauses = true;
	peer = sim_connect(app.http.sim, 0);
	send_text(peer, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1204\r\n\r\nbody");
	sim_peer_send_after(peer, 18 * SIM_HTTP_SECOND_NS, body, sizeof(body));
	sim_after(app.http.sim, 9 * SIM_HTTP_SECOND_NS + SIM_HTTP_SECOND_NS / 2, resume_script, NULL);
	SIM_HTTP_RUN_UNTIL(&app.http, app.dones == 1);
	assert_int_equal(app.requests, 1);
	sim_peer_close_write(peer);
	SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
	assert_true(has_text(peer, "HTTP/1.1 200 OK", 1));
	sim_http_end(&app.http);
}

/* A body that begins while an answer is still leaving has a whole window to arrive in. */
static void test_state_body_begins_within_a_window_200(void **state)
{
	static char body[1200];
	struct per__sim_peer *peer;
	char head[100];

	(void)state;
	begin();
	sim_faults(app.http.sim)->sndbuf_bytes = 256;
	peer = sim_connect(app.http.sim, 0);
	sim_peer_set_read_rate(peer, 700);
	send_text(peer, "GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
	snprintf(head, sizeof(head), "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n",
		 sizeof(body));
	sim_peer_send_after(peer, 5 * SIM_HTTP_SECOND_NS, head, strlen(head));
	sim_peer_send_after(peer, 12 * SIM_HTTP_SECOND_NS, body, sizeof(body));
	SIM_HTTP_RUN_UNTIL(&app.http, app.dones == 2);
	assert_int_equal(app.requests, 2);
	sim_peer_close_write(peer);
	SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
	assert_true(has_text(peer, "HTTP/1.1 200 OK", 2));
	sim_http_end(&app.http);
}

static void test_state_deadline_in_the_turn_of_the_answer_is_answered(void **state)
{
	struct per__sim_peer *peer;

	(void)state;
	begin();
	peer = sim_connect(app.http.sim, 0);
	send_text(peer, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
	SIM_HTTP_RUN_UNTIL(&app.http, has_text(peer, "200 OK", 1));
	for (int i = 0; i < 5; i++)
		assert_int_equal(per_server_poll(app.http.server, 0), 1);
	send_text(peer, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
	sim_advance_ns(app.http.sim, 61 * SIM_HTTP_SECOND_NS);
	SIM_HTTP_RUN_UNTIL(&app.http, app.dones == 2);
	SIM_HTTP_RUN_UNTIL(&app.http, has_text(peer, "200 OK", 2) || sim_peer_is_over(peer));
	assert_true(has_text(peer, "200 OK", 2));
	sim_http_end(&app.http);
}

static void answer_script(struct per__sim *sim, void *arg)
{
	(void)sim;
	(void)arg;
	answer(app.req, NULL);
}

static void test_state_answer_before_the_body_no_hook_but_on_done(void **state)
{
	struct per__sim_peer *peer;

	(void)state;
	begin();
	app.streams = app.defers = true;
	peer = sim_connect(app.http.sim, 0);
	send_text(peer, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\nbody");
	sim_after(app.http.sim, SIM_HTTP_SECOND_NS, answer_script, NULL);
	sim_peer_send_after(peer, SIM_HTTP_SECOND_NS, "rest", 4);
	SIM_HTTP_RUN_UNTIL(&app.http, app.dones == 1);
	assert_int_equal(app.hooks_behind_answer, 0);
	assert_int_equal(app.requests, 0);
	SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
	assert_true(has_text(peer, "late", 1));
	sim_http_end(&app.http);
}

/* Announcing a body takes no memory from those who send theirs. */
static void test_state_bodies_announced_by_many_others_are_served(void **state)
{
	static char body[20000];
	struct per__sim_peer *crowd[12], *peer;

	(void)state;
	begin();
	for (unsigned i = 0; i < PER_ARRAY_LEN(crowd); i++) {
		crowd[i] = sim_connect(app.http.sim, 0);
		send_text(crowd[i], "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nx");
	}
	for (int i = 0; i < 30; i++)
		assert_int_equal(per_server_poll(app.http.server, 0), 1);
	peer = sim_connect(app.http.sim, 0);
	send_text(peer, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n");
	sim_peer_send(peer, body, sizeof(body));
	sim_peer_close_write(peer);
	SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
	assert_true(has_text(peer, "200 OK", 1));
	for (unsigned i = 0; i < PER_ARRAY_LEN(crowd); i++) {
		assert_false(sim_peer_is_over(crowd[i]));
		sim_peer_reset(crowd[i]);
	}
	sim_http_end(&app.http);
}

static int init_positive(unsigned worker, void **state, void *user)
{
	(void)worker;
	(void)state;
	(void)user;
	return 1;
}

static void use_init(per_config *config, uint64_t seed)
{
	use_app(config, seed);
	config->handler.worker_init = init_positive;
}

/* Only a negative number keeps a server from starting. */
static void test_state_worker_init_positive_server_starts(void **state)
{
	struct per__sim_peer *peer;

	(void)state;
	memset(&app, 0, sizeof(app));
	sim_http_begin(&app.http, SEED, use_init);
	peer = sim_connect(app.http.sim, 0);
	send_text(peer, "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	sim_peer_close_write(peer);
	SIM_HTTP_RUN_UNTIL(&app.http, sim_peer_is_over(peer));
	assert_true(has_text(peer, "200 OK", 1));
	sim_http_end(&app.http);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_state_body_resumed_behind_its_end_next_request_waits),
		cmocka_unit_test(test_state_body_resumed_client_stalls_408),
		cmocka_unit_test(test_state_body_trickles_into_pauses_408),
		cmocka_unit_test(test_state_body_paused_for_long_then_steady_200),
		cmocka_unit_test(test_state_body_begins_within_a_window_200),
		cmocka_unit_test(test_state_deadline_in_the_turn_of_the_answer_is_answered),
		cmocka_unit_test(test_state_answer_before_the_body_no_hook_but_on_done),
		cmocka_unit_test(test_state_bodies_announced_by_many_others_are_served),
		cmocka_unit_test(test_state_worker_init_positive_server_starts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
