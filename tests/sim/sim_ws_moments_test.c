/* SPDX-License-Identifier: MIT */
/* ctest: timeout=240
 * sim_ws_moments_test.c - WebSockets at every moment, one after the other: a conversation cut at every byte,
 * reset, closed by either side, stopped. What it does not try at random is in sim_ws_test.c, what takes
 * virtual time in sim_ws_time_test.c.
 */
#include "sim/sim_ws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define OFFER "permessage-deflate"
#define CUT_NS 1000
#define SEED_FIXED 0x52u
#define OWN_CODE 4000 /* of the server's close */

static const per_ws_config with_deflate = { .deflate = true, .deflate_min_bytes = 20 };

static uint64_t seed_of_run(void)
{
	bool is_replay;
	uint64_t seed = sim_seed_from_env(&is_replay);

	return is_replay ? seed : SEED_FIXED;
}

/* Every kind of frame, in little space. */
static void conversation_make(struct sim_ws_client *client)
{
	static const char text[] = "gr\xc3\xbc\xc3\x9f"
				   "e \xf0\x9f\x90\xa6 again and again and again and again";
	uint8_t noise[127];

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)(i * i * 7);
	sim_ws_message(client, SIM_WS_TEXT, text, sizeof(text) - 1, 1, 0);
	sim_ws_message(client, SIM_WS_BINARY, noise, sizeof(noise), 1, 0);
	sim_ws_ping(client, "are you there?", 14);
	sim_ws_message(client, SIM_WS_TEXT, text, sizeof(text) - 1, 4, SIM_MILLION);
	sim_ws_frame(client, 0x80 | SIM_WS_PONG, NULL, 0);
	sim_ws_message(client, SIM_WS_TEXT, "", 0, 2, SIM_MILLION);
	sim_ws_ping(client, "", 0);
}

/* Until the connection is gone on both sides; then nothing may be left of it. */
static void visit_end(struct sim_ws *world, struct sim_ws_client *client)
{
	SIM_WS_RUN_UNTIL(world, sim_ws_all_over(world));
	SIM_WS_CHECK(world, client->opened <= 1);
	sim_ws_check_empty(world);
	sim_ws_client_free(client);
}

static void visit_end_exact(struct sim_ws *world, struct sim_ws_client *client)
{
	SIM_WS_RUN_UNTIL(world, sim_ws_all_over(world));
	SIM_WS_CHECK(world, sim_ws_client_has_all(client));
	SIM_WS_CHECK(world, client->close_code == 1000);
	SIM_WS_CHECK(world, client->code == 1000);
	SIM_WS_CHECK(world, strcmp(client->reason, "bye") == 0);
	visit_end(world, client);
}

static struct sim_ws_client *visit_make(struct sim_ws *world, bool is_deflated)
{
	struct sim_ws_client *client = sim_ws_client_new(world, is_deflated ? OFFER : NULL);

	conversation_make(client);
	return client;
}

/* --- cuts ------------------------------------------------------------------------------------- */

static void cuts_run(bool is_deflated, bool in_pieces)
{
	struct sim_ws world;

	sim_ws_begin(&world, seed_of_run(), &with_deflate, 0);
	world.in_pieces = in_pieces;
	for (size_t cut = 1;; cut++) {
		struct sim_ws_client *client = visit_make(&world, is_deflated);
		size_t len;

		sim_ws_close(client, 1000, "bye");
		len = client->out.len;
		sim_peer_send(client->peer, client->out.data, PER_MIN(cut, len));
		if (cut < len)
			sim_peer_send_after(client->peer, CUT_NS, client->out.data + cut, len - cut);
		visit_end_exact(&world, client);
		if (cut > len)
			break;
	}
	SIM_WS_CHECK(&world, sim_http_stats(&world.http).timeouts == 0);
	sim_ws_end(&world);
}

static void test_sim_ws_conversation_cut_at_every_byte_same_frames(void **state)
{
	(void)state;
	cuts_run(false, false);
	cuts_run(true, false);
	cuts_run(true, true);
}

static void test_sim_ws_one_byte_at_a_time_same_frames(void **state)
{
	static uint8_t data[70000];
	struct sim_ws world;

	(void)state;
	sim_ws_begin(&world, seed_of_run(), &with_deflate, 0);
	sim_faults(world.http.sim)->recv_bytes_max = 1;
	for (int i = 0; i < 4; i++) {
		struct sim_ws_client *client = visit_make(&world, (i & 1) != 0);

		world.in_pieces = (i & 2) != 0;
		if (i == 0) /* a length in eight bytes */
			sim_ws_message(client, SIM_WS_BINARY, data, sizeof(data), 1, 0);
		sim_ws_close(client, 1000, "bye");
		sim_ws_send(client);
		visit_end_exact(&world, client);
	}
	sim_ws_end(&world);
}

static void test_sim_ws_every_form_of_length_same_frames(void **state)
{
	static const size_t len[] = { 0, 1, 125, 126, 127, 65535, 65536, 200000 };
	static uint8_t data[200000];
	struct sim_ws world;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * i >> 3);
	sim_ws_begin(&world, seed_of_run(), &with_deflate, 0);
	for (size_t frames = 1; frames < 4; frames++) {
		struct sim_ws_client *client = sim_ws_client_new(&world, frames == 2 ? OFFER : NULL);

		for (size_t i = 0; i < PER_ARRAY_LEN(len); i++)
			sim_ws_message(client, SIM_WS_BINARY, data, len[i], frames, SIM_MILLION / 2);
		sim_ws_close(client, 1000, "bye");
		sim_ws_send(client);
		visit_end_exact(&world, client);
	}
	sim_ws_end(&world);
}

static void one_read_run(uint32_t frames)
{
	struct sim_ws world;
	struct sim_ws_client *client;
	char text[40];

	sim_ws_begin(&world, SEED_FIXED, &with_deflate, 0);
	client = sim_ws_client_new(&world, NULL);
	sim_ws_send(client);
	SIM_WS_RUN_UNTIL(&world, client->is_upgraded);
	for (uint32_t i = 0; i < frames; i++) {
		snprintf(text, sizeof(text), "message %u", (unsigned)i);
		sim_ws_message(client, SIM_WS_TEXT, text, strlen(text), 1, 0);
	}
	sim_ws_send(client);
	SIM_WS_RUN_UNTIL(&world, client->messages > 0);
	SIM_WS_CHECK(&world, client->messages == frames); /* all in the turn of the first */
	sim_ws_turn(&world);
	SIM_WS_CHECK(&world, sim_ws_client_has_all(client)); /* and all answers in one send */
	sim_ws_close(client, 1000, "bye");
	sim_ws_send(client);
	visit_end_exact(&world, client);
	sim_ws_end(&world);
}

static void test_sim_ws_two_and_fifty_frames_in_one_read_answered_in_order_together(void **state)
{
	(void)state;
	one_read_run(2);
	one_read_run(50);
}

/* --- resets and ends of stream ---------------------------------------------------------------- */

static void resets_run(bool is_deflated, bool is_out)
{
	struct sim_ws world;
	uint64_t bytes = 1;

	sim_ws_begin(&world, seed_of_run(), &with_deflate, 0);
	world.topic = "all";
	for (uint64_t at = 0; at <= bytes; at++) {
		struct sim_ws_client *client = visit_make(&world, is_deflated);

		if (is_out)
			sim_peer_reset_at_out(client->peer, at);
		else
			sim_peer_reset_at_in(client->peer, at);
		sim_ws_close(client, 1000, "bye");
		bytes = PER_MAX(bytes, is_out ? 600 : client->out.len);
		sim_ws_send(client);
		visit_end(&world, client);
	}
	sim_ws_end(&world);
}

static void test_sim_ws_reset_at_every_byte_received_leaves_nothing(void **state)
{
	(void)state;
	resets_run(false, false);
	resets_run(true, false);
}

static void test_sim_ws_reset_at_every_byte_sent_leaves_nothing(void **state)
{
	(void)state;
	resets_run(false, true);
	resets_run(true, true);
}

static void test_sim_ws_end_of_stream_at_every_byte_is_1006_at_once(void **state)
{
	struct sim_ws world;
	size_t len = 1;

	(void)state;
	sim_ws_begin(&world, seed_of_run(), &with_deflate, 0);
	for (size_t at = 0; at <= len; at++) {
		struct sim_ws_client *client = visit_make(&world, true);
		int64_t begin_ns = sim_now_ns(world.http.sim);

		len = PER_MAX(len, client->out.len);
		sim_peer_send(client->peer, client->out.data, PER_MIN(at, client->out.len));
		sim_ws_fin(client);
		SIM_WS_RUN_UNTIL(&world, sim_ws_all_over(&world));
		SIM_WS_CHECK(&world, at < client->out.len || sim_ws_client_has_all(client));
		SIM_WS_CHECK(&world, client->opened == 0 || client->code == SIM_WS_LOST);
		SIM_WS_CHECK(&world, sim_now_ns(world.http.sim) - begin_ns < SIM_HTTP_SECOND_NS);
		visit_end(&world, client);
	}
	sim_ws_end(&world);
}

/* --- closing ---------------------------------------------------------------------------------- */

/* The server closes after ns of a conversation of about 100 us, at whose end the client closes. */
static unsigned both_close(struct sim_ws *world, int64_t ns, bool is_deflated)
{
	struct sim_ws_client *client = visit_make(world, is_deflated);
	int64_t begin_ns = sim_now_ns(world->http.sim), at = 0;
	unsigned code;

	sim_ws_close(client, 1000, "bye");
	for (size_t pos = 0; pos < client->out.len; pos += 7, at += CUT_NS)
		sim_peer_send_after(client->peer, at, client->out.data + pos,
				    PER_MIN((size_t)7, client->out.len - pos));
	client->out.len = 0;
	sim_ws_order(client, ns, SIM_WS_ORDER_CLOSE, OWN_CODE);
	SIM_WS_RUN_UNTIL(world, sim_ws_all_over(world));
	code = client->close_code;
	SIM_WS_CHECK(world, client->closed == 1);
	SIM_WS_CHECK(world, client->saw_close);
	SIM_WS_CHECK(world, code == 1000 || code == OWN_CODE);
	SIM_WS_CHECK(world, client->code == (int)code); /* both sides agree on who was first */
	SIM_WS_CHECK(world, code == OWN_CODE || sim_ws_client_has_all(client));
	SIM_WS_CHECK(world, sim_peer_saw_fin(client->peer));
	SIM_WS_CHECK(world, sim_now_ns(world->http.sim) - begin_ns < SIM_HTTP_SECOND_NS);
	visit_end(world, client);
	return code;
}

static void closes_run(bool is_deflated, uint32_t pause_chance)
{
	uint32_t own = 0, theirs = 0;
	struct sim_ws world;

	sim_ws_begin(&world, seed_of_run(), &with_deflate, 0);
	world.pause_chance = pause_chance;
	for (int64_t ns = 0; ns < 150 * CUT_NS; ns += CUT_NS / 3) {
		if (both_close(&world, ns, is_deflated) == OWN_CODE)
			own++;
		else
			theirs++;
	}
	SIM_WS_CHECK(&world, own > 20 && theirs > 20);
	SIM_WS_CHECK(&world, sim_http_stats(&world.http).timeouts == 0);
	sim_ws_end(&world);
}

static void test_sim_ws_both_sides_close_at_every_moment_one_code_no_timeout(void **state)
{
	(void)state;
	closes_run(false, 0);
	closes_run(true, 0);
}

static void test_sim_ws_close_while_paused_needs_no_timeout(void **state)
{
	(void)state;
	closes_run(false, SIM_MILLION / 3);
}

static void test_sim_ws_abort_at_every_moment_is_1006_and_reset(void **state)
{
	struct sim_ws world;

	(void)state;
	sim_ws_begin(&world, seed_of_run(), &with_deflate, 0);
	for (int64_t ns = 0; ns < 150 * CUT_NS; ns += CUT_NS) {
		struct sim_ws_client *client = visit_make(&world, ns % 2 != 0);
		int64_t at = 0;

		for (size_t pos = 0; pos < client->out.len; pos += 7, at += CUT_NS)
			sim_peer_send_after(client->peer, at, client->out.data + pos,
					    PER_MIN((size_t)7, client->out.len - pos));
		sim_ws_order(client, ns, SIM_WS_ORDER_ABORT, 0);
		sim_ws_order(client, 400 * CUT_NS, SIM_WS_ORDER_ABORT,
			     0); /* the first may come before it opens */
		SIM_WS_RUN_UNTIL(&world, sim_ws_all_over(&world));
		SIM_WS_CHECK(&world, client->closed == 1 && client->code == SIM_WS_LOST);
		SIM_WS_CHECK(&world, sim_peer_saw_rst(client->peer));
		visit_end(&world, client);
	}
	sim_ws_end(&world);
}

/* --- stopping --------------------------------------------------------------------------------- */

/* Whoever has become a WebSocket hears 1001, whatever is in progress; the stop needs no timeout. */
static void stop_check(struct sim_ws *world)
{
	int64_t begin_ns = sim_now_ns(world->http.sim);

	per_server_stop(world->http.server);
	for (uint32_t i = 0; i < 300000 && !world->http.is_stopped; i++)
		sim_ws_turn(world);
	SIM_WS_CHECK(world, world->http.is_stopped);
	SIM_WS_CHECK(world, sim_now_ns(world->http.sim) - begin_ns < 5 * SIM_HTTP_SECOND_NS);
	for (uint32_t i = 0; i < world->client_cnt; i++) {
		const struct sim_ws_client *client = world->clients[i];

		SIM_WS_CHECK(world, client->closed == client->opened);
		SIM_WS_CHECK(world, client->opened == 0 || client->code == 1001);
		SIM_WS_CHECK(world, client->opened == 0 || client->close_code == 1001);
	}
}

static void stop_run(uint64_t seed, uint32_t turn, uint32_t pause_chance)
{
	struct sim_ws world;

	sim_ws_begin(&world, seed, &with_deflate, 0);
	sim_faults_random(world.http.sim, false);
	sim_faults(world.http.sim)->rst_loses = 0;
	world.pause_chance = pause_chance;
	for (size_t i = 0; i < 3; i++)
		sim_ws_send_cut(visit_make(&world, i == 1));
	for (uint32_t i = 0; i < turn; i++)
		sim_ws_turn(&world);
	stop_check(&world);
	sim_ws_end(&world);
}

static void test_sim_ws_stop_at_every_turn_is_1001(void **state)
{
	(void)state;
	for (uint32_t turn = 0; turn < 200; turn++)
		stop_run(seed_of_run() + turn, turn / 2, turn % 2 == 0 ? 0 : SIM_MILLION / 3);
}

/* The rest of the request comes when the stop has begun: refused, or answered and told 1001. */
static void test_sim_ws_stop_at_every_byte_of_the_request_is_1001_or_refused(void **state)
{
	(void)state;
	for (size_t cut = 1, len = 2; cut < len; cut++) {
		struct sim_ws world;
		struct sim_ws_client *client;

		sim_ws_begin(&world, seed_of_run(), &with_deflate, 0);
		client = sim_ws_client_new(&world, NULL);
		len = client->out.len;
		sim_peer_send(client->peer, client->out.data, cut);
		SIM_WS_RUN_UNTIL(&world, sim_peer_bytes_in(client->peer) == cut);
		sim_peer_send_after(client->peer, 5 * CUT_NS, client->out.data + cut, len - cut);
		stop_check(&world);
		sim_ws_end(&world);
	}
}

/* The request was deferred, and is accepted when the stop has begun. */
static void test_sim_ws_accept_behind_the_stop_is_1001(void **state)
{
	struct sim_ws world;
	struct sim_ws_client *client;

	(void)state;
	sim_ws_begin(&world, seed_of_run(), &with_deflate, 0);
	world.accept_ns = 50 * CUT_NS;
	client = visit_make(&world, true);
	sim_ws_send(client);
	SIM_WS_RUN_UNTIL(&world, world.later > 0);
	stop_check(&world);
	SIM_WS_CHECK(&world, client->opened == 1);
	sim_ws_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sim_ws_conversation_cut_at_every_byte_same_frames),
		cmocka_unit_test(test_sim_ws_one_byte_at_a_time_same_frames),
		cmocka_unit_test(test_sim_ws_every_form_of_length_same_frames),
		cmocka_unit_test(test_sim_ws_two_and_fifty_frames_in_one_read_answered_in_order_together),
		cmocka_unit_test(test_sim_ws_reset_at_every_byte_received_leaves_nothing),
		cmocka_unit_test(test_sim_ws_reset_at_every_byte_sent_leaves_nothing),
		cmocka_unit_test(test_sim_ws_end_of_stream_at_every_byte_is_1006_at_once),
		cmocka_unit_test(test_sim_ws_both_sides_close_at_every_moment_one_code_no_timeout),
		cmocka_unit_test(test_sim_ws_close_while_paused_needs_no_timeout),
		cmocka_unit_test(test_sim_ws_abort_at_every_moment_is_1006_and_reset),
		cmocka_unit_test(test_sim_ws_stop_at_every_turn_is_1001),
		cmocka_unit_test(test_sim_ws_stop_at_every_byte_of_the_request_is_1001_or_refused),
		cmocka_unit_test(test_sim_ws_accept_behind_the_stop_is_1001),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
