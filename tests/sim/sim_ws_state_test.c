/* SPDX-License-Identifier: MIT */
/*
 * sim_ws_state_test.c - a WebSocket at odd moments: paused, closing, silent, opened while the server stops,
 * subscribed in its last hook. The client's frames are written by hand, masked with zeros. Virtual time.
 */
#include "server.h"
#include "sim/sim_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SEED 0x77u
#define HANDSHAKE                                                                    \
	"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define FRAME(head, len, payload) "" head len "\0\0\0\0" payload
#define FRAME_CLOSE FRAME("\x88", "\x82", "\x03\xe9")

static struct {
	bool defers, pauses, subscribes_in_close;
	per_ws_config config;
	per_req *req;
	per_ws *ws;
	unsigned opened, closed, messages;
	int code;
	struct sim_http http;
} app;

static int on_request(per_req *req, void *user)
{
	(void)user;
	app.req = req;
	if (app.defers)
		return per_defer(req, NULL);
	return per_ws_accept(req, &app.config, PER_S(""), NULL);
}

static void ws_opened(per_ws *ws, void *user)
{
	(void)user;
	app.opened++;
	app.ws = ws;
	if (app.pauses)
		per_ws_pause(ws);
}

static void ws_message(per_ws *ws, per_ws_type type, void *data, size_t len, void *user)
{
	(void)ws;
	(void)type;
	(void)data;
	(void)len;
	(void)user;
	app.messages++;
}

static void ws_closed(per_ws *ws, int code, per_str reason, void *user)
{
	(void)reason;
	(void)user;
	app.closed++;
	app.code = code;
	app.ws = NULL;
	if (app.subscribes_in_close)
		(void)per_ws_subscribe(ws, PER_S("topic"));
}

static void use_app(per_config *config, uint64_t seed)
{
	(void)seed;
	config->handler = (per_handler){ .on_request = on_request };
}

static void begin(void)
{
	memset(&app, 0, sizeof(app));
	app.config.handler =
		(per_ws_handler){ .on_open = ws_opened, .on_message = ws_message, .on_close = ws_closed };
	sim_http_begin(&app.http, SEED, use_app);
}

#define SEND(peer, literal) sim_peer_send((peer), literal, sizeof(literal) - 1)

static struct per__sim_peer *connect_and_open(void)
{
	struct per__sim_peer *peer = sim_connect(app.http.sim, 0);
	unsigned before = app.opened;

	SEND(peer, HANDSHAKE);
	SIM_HTTP_RUN_UNTIL(&app.http, app.opened > before);
	return peer;
}

/* Where in what has come a text begins, or -1. */
static long find(struct per__sim_peer *peer, const void *text, size_t text_len)
{
	size_t len;
	const uint8_t *data = sim_peer_received(peer, &len);
	const uint8_t *pos = len > 0 ? memmem(data, len, text, text_len) : NULL;

	return pos != NULL ? (long)(pos - data) : -1;
}

static void nothing_script(struct per__sim *sim, void *arg)
{
	(void)sim;
	(void)arg;
}

static void run_for(int64_t ns)
{
	int64_t end_ns = sim_now_ns(app.http.sim) + ns;

	while (sim_now_ns(app.http.sim) < end_ns) {
		sim_after(app.http.sim, PER_MIN(SIM_HTTP_SECOND_NS, end_ns - sim_now_ns(app.http.sim)),
			  nothing_script, NULL);
		sim_http_turn(&app.http);
	}
}

/* --- tests ------------------------------------------------------------------------------------ */

/* The message that waits is older than one that is sent at once: it must not follow it. */
static void test_ws_state_latest_the_newest_comes_last(void **state)
{
	static char block[1500];
	struct per__sim_peer *peer;

	(void)state;
	begin();
	app.config.policy = PER_WS_POLICY_LATEST;
	app.config.queue_bytes = 4096;
	sim_faults(app.http.sim)->sndbuf_bytes = 256;
	peer = connect_and_open();
	SIM_HTTP_RUN_UNTIL(&app.http, per_ws_queued(app.ws) == 0);
	sim_peer_set_read_rate(peer, 500);
	assert_int_equal(per_ws_send(app.ws, PER_WS_BINARY, block, sizeof(block)), 0);
	assert_int_equal(per_server_poll(app.http.server, 0), 1);
	assert_int_equal(per_ws_send(app.ws, PER_WS_BINARY, block, sizeof(block)), 0);
	assert_int_equal(per_ws_send(app.ws, PER_WS_BINARY, block, sizeof(block)), PER_EAGAIN);
	assert_int_equal(per_ws_send(app.ws, PER_WS_TEXT, "older", 5), PER_EAGAIN);
	SIM_HTTP_RUN_UNTIL(&app.http, per_ws_queued(app.ws) < 4000);
	assert_int_equal(per_ws_send(app.ws, PER_WS_TEXT, "newer", 5), 0);
	SIM_HTTP_RUN_UNTIL(&app.http, per_ws_queued(app.ws) == 0);
	run_for(SIM_HTTP_SECOND_NS);
	assert_true(find(peer, "newer", 5) >= 0);
	assert_true(find(peer, "older", 5) < find(peer, "newer", 5));
	sim_peer_reset(peer);
	sim_http_end(&app.http);
}

static void push_script(struct per__sim *sim, void *arg)
{
	(void)sim;
	(void)arg;
	if (app.ws != NULL)
		(void)per_ws_send(app.ws, PER_WS_TEXT, "tick", 4);
}

/* That we send says nothing about the client: its silence counts all the same. */
static void test_ws_state_silent_client_is_pinged_and_closed_while_it_is_sent_to(void **state)
{
	struct per__sim_peer *peer;

	(void)state;
	begin();
	peer = connect_and_open();
	for (int i = 1; i < 100; i++)
		sim_after(app.http.sim, i * SIM_HTTP_SECOND_NS, push_script, NULL);
	run_for(40 * SIM_HTTP_SECOND_NS);
	assert_true(find(peer, "\x89\x00", 2) >= 0);
	run_for(20 * SIM_HTTP_SECOND_NS);
	assert_int_equal(app.closed, 1);
	run_for(60 * SIM_HTTP_SECOND_NS);
	sim_http_end(&app.http);
}

/* While nothing is read, silence is our doing. */
static void test_ws_state_paused_for_minutes_goes_on(void **state)
{
	struct per__sim_peer *peer;

	(void)state;
	begin();
	app.pauses = true;
	peer = connect_and_open();
	SEND(peer, FRAME("\x81", "\x82", "hi"));
	run_for(200 * SIM_HTTP_SECOND_NS);
	assert_int_equal(app.closed, 0);
	assert_int_equal(app.messages, 0);
	per_ws_resume(app.ws);
	SIM_HTTP_RUN_UNTIL(&app.http, app.messages == 1);
	SEND(peer, FRAME_CLOSE);
	sim_peer_close_write(peer);
	SIM_HTTP_RUN_UNTIL(&app.http, app.closed == 1);
	assert_int_equal(app.code, 1001);
	sim_http_end(&app.http);
}

/* The peer's close frame is waited for, so it has to be read. */
static void test_ws_state_closed_while_paused_reads_the_answer(void **state)
{
	struct per__sim_peer *peer;
	int64_t begin_ns;

	(void)state;
	begin();
	app.pauses = true;
	peer = connect_and_open();
	SEND(peer, FRAME("\x81", "\x82", "hi"));
	run_for(SIM_HTTP_SECOND_NS);
	begin_ns = sim_now_ns(app.http.sim);
	assert_int_equal(per_ws_close(app.ws, 1001, PER_S("")), 0);
	per_ws_pause(app.ws);
	SEND(peer, FRAME_CLOSE);
	sim_peer_close_write(peer);
	SIM_HTTP_RUN_UNTIL(&app.http, app.closed == 1);
	assert_true(sim_now_ns(app.http.sim) - begin_ns < SIM_HTTP_SECOND_NS);
	assert_int_equal(app.messages, 0);
	assert_true(sim_peer_saw_fin(peer));
	sim_http_end(&app.http);
}

/* A subscription made in the last hook does not pass to the next connection. */
static void test_ws_state_subscribed_in_on_close_the_next_hears_nothing(void **state)
{
	struct per__sim_peer *peer;

	(void)state;
	begin();
	app.subscribes_in_close = true;
	peer = connect_and_open();
	sim_peer_reset(peer);
	SIM_HTTP_RUN_UNTIL(&app.http, app.closed == 1);
	app.subscribes_in_close = false;
	peer = connect_and_open();
	assert_int_equal(per_ws_publish(app.http.server, PER_S("topic"), PER_WS_TEXT, "secret", 6), 0);
	run_for(SIM_HTTP_SECOND_NS);
	assert_true(find(peer, "secret", 6) < 0);
	sim_peer_reset(peer);
	SIM_HTTP_RUN_UNTIL(&app.http, app.closed == 2);
	sim_http_end(&app.http);
}

/* A handshake that is accepted while the server stops: told so at once. */
static void test_ws_state_opened_while_stopping_1001(void **state)
{
	struct per__sim_peer *peer;
	int64_t begin_ns;

	(void)state;
	begin();
	app.defers = true;
	peer = sim_connect(app.http.sim, 0);
	SEND(peer, HANDSHAKE);
	SIM_HTTP_RUN_UNTIL(&app.http, app.req != NULL);
	per_server_stop(app.http.server);
	sim_http_turn(&app.http);
	begin_ns = sim_now_ns(app.http.sim);
	assert_int_equal(per_ws_accept(app.req, &app.config, PER_S(""), NULL), 0);
	SIM_HTTP_RUN_UNTIL(&app.http, find(peer, "\x88\x02\x03\xe9", 4) >= 0);
	SEND(peer, FRAME_CLOSE);
	sim_peer_close_write(peer);
	while (!app.http.is_stopped)
		sim_http_turn(&app.http);
	assert_true(sim_now_ns(app.http.sim) - begin_ns < SIM_HTTP_SECOND_NS);
	assert_int_equal(app.closed, 1);
	sim_http_end(&app.http);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ws_state_latest_the_newest_comes_last),
		cmocka_unit_test(test_ws_state_silent_client_is_pinged_and_closed_while_it_is_sent_to),
		cmocka_unit_test(test_ws_state_paused_for_minutes_goes_on),
		cmocka_unit_test(test_ws_state_closed_while_paused_reads_the_answer),
		cmocka_unit_test(test_ws_state_subscribed_in_on_close_the_next_hears_nothing),
		cmocka_unit_test(test_ws_state_opened_while_stopping_1001),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
