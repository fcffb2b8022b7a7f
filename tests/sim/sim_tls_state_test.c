/* SPDX-License-Identifier: MIT */
/* ctest: timeout=240
 * sim_tls_state_test.c - TLS where only a virtual clock or a hostile client gets: timeouts, limits of
 * handshakes and memory, renegotiation, floods of key updates, the stop at every turn. Nothing may be left.
 */
#include "sim/sim_tls.h"

#include "server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SEED_FIXED 0x53u
#define CROWD 80u
#define SECOND_NS SIM_HTTP_SECOND_NS

enum { GET = 0, POST_LARGE = 5, BIG = 10, PIECES = 11, LATER = 12, CLOSE = 15 };

static uint64_t seed_of_run(void)
{
	bool is_replay;
	uint64_t seed = sim_seed_from_env(&is_replay);

	return is_replay ? seed : SEED_FIXED;
}

static void request(struct sim_tls_client *client, uint8_t kind)
{
	sim_tls_write(client, sim_http_cases()[kind].request, sim_http_cases()[kind].request_len);
}

static struct sim_tls_client *establish(struct sim_tls *world, const struct sim_tls_wish *wish)
{
	struct sim_tls_client *client = sim_tls_connect(world, wish);

	SIM_TLS_RUN_UNTIL(world, client->is_established);
	return client;
}

/* Memory that the server's one worker has taken. */
static size_t memory_used(const struct sim_tls *world)
{
	const struct per__worker *worker = world->http.server->workers[0];

	return (size_t)worker->blocks.used * PER__BLOCK_BYTES + worker->overflow.used_bytes;
}

/* --- time ------------------------------------------------------------------------------------- */

static void test_sim_tls_silence_between_requests_ends_with_close_notify(void **state)
{
	struct sim_tls world;

	(void)state;
	sim_tls_begin(&world, seed_of_run(), NULL);
	for (int is_asked = 0; is_asked <= 1; is_asked++) {
		struct sim_tls_client *client = establish(&world, NULL);
		int64_t begin_ns = sim_now_ns(world.http.sim);

		if (is_asked)
			request(client, GET);
		SIM_TLS_RUN_UNTIL(&world, sim_tls_is_over(client));
		SIM_HTTP_CHECK(&world.http, client->has_ended && sim_peer_saw_fin(client->peer));
		assert_in_range(sim_now_ns(world.http.sim) - begin_ns, (is_asked ? 60 : 15) * SECOND_NS,
				(is_asked ? 61 : 16) * SECOND_NS);
	}
	sim_tls_end(&world);
}

/* Neither silence nor a byte now and then is waited for. */
static void test_sim_tls_handshake_has_its_time(void **state)
{
	struct sim_tls world;
	struct sim_tls_client *client;

	(void)state;
	sim_tls_begin(&world, seed_of_run(), NULL);
	for (uint64_t cut = 0; cut <= 200; cut += 50) {
		int64_t begin_ns = sim_now_ns(world.http.sim);

		client = sim_tls_connect(&world, &(struct sim_tls_wish){ .stalls_at = cut + 1 });
		SIM_TLS_RUN_UNTIL(&world, sim_tls_is_over(client));
		assert_in_range(sim_now_ns(world.http.sim) - begin_ns, 10 * SECOND_NS, 11 * SECOND_NS);
		SIM_HTTP_CHECK(&world.http, !client->is_established);
		sim_tls_client_free(client);
	}
	assert_int_equal(sim_http_stats(&world.http).timeouts, 5);
	assert_int_equal(sim_http_stats(&world.http).tls_failed, 5);
	sim_tls_end(&world);
}

/* An answer of TLS itself behind the last answer does not keep the idle timeout from running. */
static void test_sim_tls_alert_behind_an_answer_idle_timeout_runs(void **state)
{
	struct sim_tls world;
	struct sim_tls_client *client;
	int64_t begin_ns;
	uint64_t before;

	(void)state;
	sim_tls_begin(&world, seed_of_run(), NULL);
	client = establish(&world, &(struct sim_tls_wish){ .is_old = true });
	before = sim_peer_bytes_out(client->peer);
	sim_faults(world.http.sim)->sndbuf_bytes = 1000;
	sim_peer_set_read_rate(client->peer, 0);
	request(client, BIG);
	SIM_TLS_RUN_UNTIL(&world, sim_peer_bytes_out(client->peer) == before + 1000);
	SIM_HTTP_CHECK(&world.http, SSL_renegotiate(client->ssl) == 1);
	(void)SSL_do_handshake(client->ssl);
	before = client->sent;
	sim_tls_flush(client);
	SIM_HTTP_CHECK(&world.http, client->sent > before);
	sim_peer_set_read_rate(client->peer, 100000);
	client->is_broken =
		true; /* OpenSSL's client would end the connection itself when it reads the alert */
	begin_ns = sim_now_ns(world.http.sim);
	SIM_TLS_RUN_UNTIL(&world, sim_tls_is_over(client));
	assert_in_range(sim_now_ns(world.http.sim) - begin_ns, 60 * SECOND_NS, 65 * SECOND_NS);
	assert_int_equal(sim_http_stats(&world.http).tls_handshakes, 1);
	sim_tls_end(&world);
}

static void want_rate(per_config *config, uint64_t seed)
{
	(void)seed;
	config->write_rate_min = 240;
}

static void test_sim_tls_reader_that_stops_is_cut_and_a_slow_one_is_not(void **state)
{
	const uint8_t big = BIG;
	struct sim_tls_client *stopped, *slow;
	struct sim_tls world;

	(void)state;
	sim_tls_begin(&world, seed_of_run(), want_rate);
	stopped = establish(&world, NULL);
	slow = establish(&world, NULL);
	sim_faults(world.http.sim)->sndbuf_bytes = 3000;
	sim_peer_set_read_rate(stopped->peer, 0);
	sim_peer_set_read_rate(slow->peer, 600);
	request(stopped, BIG);
	request(slow, BIG);
	SIM_TLS_RUN_UNTIL(&world, !sim_peer_is_attached(stopped->peer));
	assert_true(sim_peer_saw_rst(stopped->peer));
	assert_true(sim_peer_is_attached(slow->peer));
	sim_tls_send_fin(slow);
	SIM_TLS_RUN_UNTIL(&world, sim_tls_is_over(slow));
	sim_tls_expect(slow, &big, 1, false);
	assert_int_equal(sim_http_stats(&world.http).timeouts, 1);
	sim_tls_end(&world);
}

/* --- limits ----------------------------------------------------------------------------------- */

static void want_two_handshakes(per_config *config, uint64_t seed)
{
	(void)seed;
	((per_tls_config *)(uintptr_t)config->tls)->handshakes_max = 2;
}

static void test_sim_tls_handshakes_above_the_limit_are_refused(void **state)
{
	const uint8_t kind = CLOSE;
	struct sim_tls_client *stalled[2], *client;
	struct sim_tls world;

	(void)state;
	sim_tls_begin(&world, seed_of_run(), want_two_handshakes);
	for (int i = 0; i < 2; i++)
		stalled[i] = sim_tls_connect(&world, &(struct sim_tls_wish){ .stalls_at = 100 });
	SIM_TLS_RUN_UNTIL(&world, sim_peer_bytes_in(stalled[1]->peer) == 100);
	client = sim_tls_connect(&world, NULL);
	SIM_TLS_RUN_UNTIL(&world, sim_tls_is_over(client));
	assert_false(client->is_established);
	assert_int_equal(sim_http_stats(&world.http).tls_refused, 1);
	sim_peer_reset(stalled[0]->peer);
	SIM_TLS_RUN_UNTIL(&world, !sim_peer_is_attached(stalled[0]->peer));
	client = establish(&world, NULL);
	request(client, CLOSE);
	sim_tls_send_fin(client);
	SIM_TLS_RUN_UNTIL(&world, sim_tls_is_over(client));
	sim_tls_expect(client, &kind, 1, false);
	sim_peer_reset(stalled[1]->peer);
	sim_tls_end(&world);
}

/* A client may ask for fragments of 512 bytes (RFC 6066 section 4): long answers are many records. */
static void want_long_queue(per_config *config, uint64_t seed)
{
	(void)seed;
	config->write_queue_bytes = 1u << 20;
}

static void test_sim_tls_small_fragments_long_answers_are_whole(void **state)
{
	uint8_t kinds[12];
	struct sim_tls world;

	(void)state;
	for (int is_old = 0; is_old <= 1; is_old++) {
		struct sim_tls_client *client;

		sim_tls_begin(&world, seed_of_run(), want_long_queue);
		client = establish(&world,
				   &(struct sim_tls_wish){ .is_old = is_old == 1,
							   .max_fragment = TLSEXT_max_fragment_length_512 });
		memset(kinds, BIG, sizeof(kinds));
		for (size_t i = 0; i < sizeof(kinds); i++)
			request(client, BIG);
		sim_tls_send_fin(client);
		SIM_TLS_RUN_UNTIL(&world, sim_tls_is_over(client));
		sim_tls_expect(client, kinds, sizeof(kinds), false);
		sim_tls_end(&world);
	}
}

/* Whoever asks without reading is slowed down: what is kept for it stays small, whatever it sends. */
static void test_sim_tls_sender_that_does_not_read_takes_bounded_memory(void **state)
{
	struct sim_tls world;
	struct sim_tls_client *client;
	uint64_t unread = 0;
	size_t most = 0;

	(void)state;
	sim_tls_begin(&world, seed_of_run(), NULL);
	client = establish(&world, NULL);
	sim_peer_set_read_rate(client->peer, 0);
	sim_faults(world.http.sim)->sndbuf_bytes = 4000;
	for (int i = 0; i < 200; i++)
		request(client, POST_LARGE);
	while (sim_peer_is_attached(client->peer)) { /* until a timeout cuts it */
		unread = sim_peer_unread(client->peer);
		sim_tls_turn(&world);
		most = PER_MAX(most, memory_used(&world));
	}
	SIM_HTTP_CHECK(&world.http, unread > 2000000);
	assert_in_range(most, 1000, 200000);
	sim_peer_reset(client->peer);
	sim_tls_end(&world);
}

/* Key updates, in both directions, without end, from a client that does not read. */
static void test_sim_tls_flood_of_key_updates_takes_bounded_memory(void **state)
{
	struct sim_tls world;
	struct sim_tls_client *client;
	size_t most = 0;

	(void)state;
	sim_tls_begin(&world, seed_of_run(), NULL);
	client = establish(&world, NULL);
	sim_peer_set_read_rate(client->peer, 0);
	sim_faults(world.http.sim)->sndbuf_bytes = 1;
	request(client, GET);
	for (int i = 0; i < 20000 && sim_peer_is_attached(client->peer); i++) {
		sim_tls_update(client, true);
		if (i % 20 == 0)
			sim_tls_turn(&world);
		most = PER_MAX(most, memory_used(&world));
	}
	assert_in_range(most, 1000, 300000);
	sim_peer_reset(client->peer);
	sim_tls_end(&world);
}

/* --- memory ----------------------------------------------------------------------------------- */

static void want_little_memory(per_config *config, uint64_t seed)
{
	(void)seed;
	config->connections_max = CROWD;
	config->memory_bytes = 1u << 20;
}

static void crowd_run(struct sim_tls *world)
{
	static const uint8_t kinds[] = { 5, 6, 10, 11, 0 };
	struct sim_tls_client *client[CROWD];
	bool is_sent[CROWD] = { false };
	size_t over = 0;

	for (size_t i = 0; i < CROWD; i++) {
		client[i] = sim_tls_connect(world, &(struct sim_tls_wish){ .is_old = i % 3 == 0 });
		sim_peer_set_read_rate(client[i]->peer, 5000 + sim_random_below(world->http.sim, 50000));
	}
	for (uint32_t turns = 0; over < CROWD; turns++) {
		SIM_HTTP_CHECK(&world->http, turns < 3000000);
		sim_tls_turn(world);
		over = 0;
		for (size_t i = 0; i < CROWD; i++) {
			over += sim_tls_is_over(client[i]);
			if (is_sent[i] || !client[i]->is_established)
				continue;
			is_sent[i] = true;
			for (size_t k = 0; k < PER_ARRAY_LEN(kinds); k++)
				request(client[i], kinds[(i + k) % PER_ARRAY_LEN(kinds)]);
			sim_tls_send_fin(client[i]);
		}
	}
	for (size_t i = 0; i < CROWD; i++)
		SIM_HTTP_CHECK(&world->http, client[i]->plain_len > 0 || sim_peer_saw_rst(client[i]->peer));
}

static void test_sim_tls_without_memory_nobody_hangs_and_nothing_is_left(void **state)
{
	uint64_t failures = 0;
	struct sim_tls world;

	(void)state;
	for (uint64_t seed = 1; seed < 5; seed++) {
		sim_tls_begin(&world, seed_of_run() + seed, want_little_memory);
		sim_faults_random(world.http.sim, false);
		sim_faults(world.http.sim)->recv_bytes_max = 0;
		sim_faults(world.http.sim)->send_bytes_max = 0;
		sim_faults(world.http.sim)->rst_loses = 0;
		crowd_run(&world);
		failures += sim_http_stats(&world.http).overflow_failures;
		SIM_HTTP_CHECK(&world.http, sim_http_stats(&world.http).timeouts == 0);
		sim_tls_end(&world);
	}
	assert_true(failures > 0); /* else this test has tested nothing */
}

/* --- the end ---------------------------------------------------------------------------------- */

/* HTTP without TLS gets an answer that it can read, wherever it is cut. */
static void test_sim_tls_plain_http_is_told_so(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
	static const char wanted[] = "HTTP/1.1 400 ";
	struct sim_tls world;

	(void)state;
	sim_tls_begin(&world, seed_of_run(), NULL);
	for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
		struct per__sim_peer *peer = sim_connect(world.http.sim, 0);
		const uint8_t *data;
		size_t len;

		sim_peer_send(peer, text, cut);
		sim_peer_send_after(peer, SIM_TLS_CUT_NS, text + cut, sizeof(text) - 1 - cut);
		sim_peer_close_write(peer);
		SIM_TLS_RUN_UNTIL(&world, sim_peer_is_over(peer) && !sim_peer_is_attached(peer));
		data = sim_peer_received(peer, &len);
		SIM_HTTP_CHECK(&world.http, len > sizeof(wanted) && memcmp(data, wanted, 13) == 0);
		sim_peer_free(peer);
	}
	sim_tls_end(&world);
}

/* Stop at every turn of a run: it comes to its end before the deadline, and nothing is left. */
static void test_sim_tls_stop_at_every_turn_finishes_what_was_begun(void **state)
{
	static const uint8_t kinds[] = { GET, LATER, PIECES };
	struct sim_tls world;

	(void)state;
	for (uint32_t turn = 0; turn < 120; turn++) {
		struct sim_tls_client *client[3];
		bool is_sent[3] = { false };

		sim_tls_begin(&world, seed_of_run() + turn, NULL);
		sim_faults_random(world.http.sim, false);
		for (size_t i = 0; i < 3; i++)
			client[i] = sim_tls_connect(&world, &(struct sim_tls_wish){ .is_old = i == 2 });
		for (uint32_t i = 0; i < 100000 && !world.http.is_stopped; i++) {
			if (i == turn)
				per_server_stop(world.http.server);
			for (size_t k = 0; k < 3; k++) {
				if (!client[k]->is_established || is_sent[k])
					continue;
				is_sent[k] = true;
				for (size_t j = 0; j < PER_ARRAY_LEN(kinds); j++)
					request(client[k], kinds[j]);
			}
			sim_tls_turn(&world);
		}
		SIM_HTTP_CHECK(&world.http, world.http.is_stopped);
		for (size_t k = 0; k < 3; k++)
			SIM_HTTP_CHECK(&world.http, client[k]->plain_len == 0 || client[k]->has_ended);
		sim_tls_end(&world);
	}
}

/* A handshake that a stop meets ends in an answer; who says nothing is not waited for. */
static void test_sim_tls_stop_waits_for_new_connections(void **state)
{
	struct sim_tls world;
	struct sim_tls_client *client;
	struct per__sim_peer *silent, *halfway;
	int64_t begin_ns;

	(void)state;
	for (int is_old = 0; is_old <= 1; is_old++) {
		sim_tls_begin(&world, seed_of_run(), NULL);
		silent = sim_connect(world.http.sim, 0);
		halfway = sim_connect(world.http.sim, 0);
		sim_peer_send(halfway, "\x16", 1);
		sim_peer_send_after(halfway, SECOND_NS * 3 / 2, "\x03", 1);
		SIM_TLS_RUN_UNTIL(&world, sim_peer_bytes_in(halfway) == 2);
		client = sim_tls_connect(&world, &(struct sim_tls_wish){ .is_old = is_old });
		SIM_TLS_RUN_UNTIL(&world, sim_http_open(&world.http) == 3);
		begin_ns = sim_now_ns(world.http.sim);
		per_server_stop(world.http.server);
		SIM_TLS_RUN_UNTIL(&world, client->is_established && sim_peer_saw_fin(silent));
		request(client, GET);
		SIM_HTTP_CHECK(&world.http, sim_now_ns(world.http.sim) < begin_ns + SECOND_NS / 2);
		SIM_TLS_RUN_UNTIL(&world, sim_peer_saw_fin(halfway));
		SIM_HTTP_CHECK(&world.http, sim_now_ns(world.http.sim) > begin_ns + SECOND_NS * 3 / 4);
		SIM_HTTP_CHECK(&world.http, sim_now_ns(world.http.sim) < begin_ns + SECOND_NS * 5 / 4);
		for (uint32_t i = 0; i < 100000 && !world.http.is_stopped; i++)
			sim_tls_turn(&world);
		SIM_HTTP_CHECK(&world.http, world.http.is_stopped && client->has_ended);
		SIM_HTTP_CHECK(&world.http,
			       client->plain_len > 13 && memcmp(client->plain, "HTTP/1.1 200 ", 13) == 0);
		SIM_HTTP_CHECK(&world.http, sim_http_stats(&world.http).timeouts == 0);
		sim_tls_end(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sim_tls_silence_between_requests_ends_with_close_notify),
		cmocka_unit_test(test_sim_tls_handshake_has_its_time),
		cmocka_unit_test(test_sim_tls_alert_behind_an_answer_idle_timeout_runs),
		cmocka_unit_test(test_sim_tls_reader_that_stops_is_cut_and_a_slow_one_is_not),
		cmocka_unit_test(test_sim_tls_handshakes_above_the_limit_are_refused),
		cmocka_unit_test(test_sim_tls_small_fragments_long_answers_are_whole),
		cmocka_unit_test(test_sim_tls_sender_that_does_not_read_takes_bounded_memory),
		cmocka_unit_test(test_sim_tls_flood_of_key_updates_takes_bounded_memory),
		cmocka_unit_test(test_sim_tls_without_memory_nobody_hangs_and_nothing_is_left),
		cmocka_unit_test(test_sim_tls_plain_http_is_told_so),
		cmocka_unit_test(test_sim_tls_stop_at_every_turn_finishes_what_was_begun),
		cmocka_unit_test(test_sim_tls_stop_waits_for_new_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
