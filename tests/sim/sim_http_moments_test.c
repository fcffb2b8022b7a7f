/* SPDX-License-Identifier: MIT */
/* ctest: timeout=300
 * sim_http_moments_test.c - the same server at every moment, one after the other: each request cut at every
 * byte, each answer stopped at every byte, a reset at every byte of both; and what only a virtual clock can
 * test: timeouts, slow readers, full tables, the stop. Afterwards nothing may be left.
 */
#include "sim/sim_http.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define EDGE_BYTES 420u /* every byte at both ends of what is long, a sample in between */
#define SAMPLE_STEP 487u
#define CUT_NS 1000
#define SEED_FIXED 0x51u
#define CROWD 80u

/* The next moment to try: all of the first and the last bytes, some of the others. */
static size_t moment_next(size_t moment, size_t len)
{
	if (moment < EDGE_BYTES || moment + EDGE_BYTES >= len)
		return moment + 1;
	return PER_MIN(moment + SAMPLE_STEP, len - EDGE_BYTES);
}

static uint64_t seed_of_run(void)
{
	bool is_replay;
	uint64_t seed = sim_seed_from_env(&is_replay);

	return is_replay ? seed : SEED_FIXED;
}

/* Until the peer has its answer and the connection is over. */
static void visit_end(struct sim_http *http, struct per__sim_peer *peer, uint8_t kind, bool is_prefix)
{
	SIM_HTTP_RUN_UNTIL(http, sim_peer_is_over(peer) && !sim_peer_is_attached(peer));
	sim_http_expect(http, peer, &kind, 1, is_prefix);
	SIM_HTTP_RUN_UNTIL(http, http->posted == http->posts_run && http->begun == http->done);
	sim_peer_free(peer);
	sim_http_check_empty(http);
}

static void test_sim_http_request_cut_at_every_byte_same_answer(void **state)
{
	const struct sim_http_case *cases = sim_http_cases();
	struct sim_http http;

	(void)state;
	sim_http_begin(&http, seed_of_run(), NULL);
	for (uint8_t kind = 0; kind < SIM_HTTP_KINDS; kind++) {
		const struct sim_http_case *one = &cases[kind];

		for (size_t cut = 1; cut < one->request_len; cut = moment_next(cut, one->request_len)) {
			struct per__sim_peer *peer = sim_connect(http.sim, 0);

			sim_peer_send(peer, one->request, cut);
			sim_peer_send_after(peer, CUT_NS, one->request + cut, one->request_len - cut);
			sim_peer_close_write(peer);
			visit_end(&http, peer, kind, false);
		}
	}
	SIM_HTTP_CHECK(&http, sim_http_stats(&http).timeouts == 0);
	sim_http_end(&http);
}

static void test_sim_http_one_byte_at_a_time_same_answer(void **state)
{
	const struct sim_http_case *cases = sim_http_cases();
	struct sim_http http;

	(void)state;
	sim_http_begin(&http, seed_of_run(), NULL);
	sim_faults(http.sim)->recv_bytes_max = 1;
	for (uint8_t kind = 0; kind < SIM_HTTP_KINDS; kind++) {
		struct per__sim_peer *peer = sim_connect(http.sim, 0);

		sim_peer_send(peer, cases[kind].request, cases[kind].request_len);
		sim_peer_close_write(peer);
		visit_end(&http, peer, kind, false);
	}
	sim_http_end(&http);
}

static void test_sim_http_every_short_write_same_answer(void **state)
{
	const struct sim_http_case *cases = sim_http_cases();
	struct sim_http http;

	(void)state;
	sim_http_begin(&http, seed_of_run(), NULL);
	sim_faults(http.sim)->send_delay = SIM_MILLION / 2;
	for (uint8_t kind = 0; kind < SIM_HTTP_KINDS; kind++) {
		const struct sim_http_case *one = &cases[kind];

		for (size_t cut = 1; cut < one->answer_len; cut = moment_next(cut, one->answer_len)) {
			struct per__sim_peer *peer = sim_connect(http.sim, 0);

			sim_peer_cut_out(peer, cut);
			sim_peer_send(peer, one->request, one->request_len);
			sim_peer_close_write(peer);
			visit_end(&http, peer, kind, false);
		}
	}
	sim_http_end(&http);
}

static void reset_run(bool is_out)
{
	const struct sim_http_case *cases = sim_http_cases();
	struct sim_http http;

	sim_http_begin(&http, seed_of_run(), NULL);
	for (uint8_t kind = 0; kind < SIM_HTTP_KINDS; kind++) {
		const struct sim_http_case *one = &cases[kind];
		size_t len = is_out ? one->answer_len : one->request_len;

		for (size_t at = 0; at <= len; at = moment_next(at, len)) {
			struct per__sim_peer *peer = sim_connect(http.sim, 0);

			if (is_out)
				sim_peer_reset_at_out(peer, at);
			else
				sim_peer_reset_at_in(peer, at);
			sim_peer_send(peer, one->request, one->request_len);
			visit_end(&http, peer, kind, true);
		}
	}
	sim_http_end(&http);
}

static void test_sim_http_reset_at_every_byte_of_the_request_leaves_nothing(void **state)
{
	(void)state;
	reset_run(false);
}

static void test_sim_http_reset_at_every_byte_of_the_answer_leaves_nothing(void **state)
{
	(void)state;
	reset_run(true);
}

static void test_sim_http_end_of_stream_at_every_byte_of_the_request_ends(void **state)
{
	const struct sim_http_case *cases = sim_http_cases();
	struct sim_http http;

	(void)state;
	sim_http_begin(&http, seed_of_run(), NULL);
	for (uint8_t kind = 0; kind < SIM_HTTP_KINDS; kind++) {
		const struct sim_http_case *one = &cases[kind];

		for (size_t at = 0; at < one->request_len; at = moment_next(at, one->request_len)) {
			struct per__sim_peer *peer = sim_connect(http.sim, 0);
			int64_t begin_ns = sim_now_ns(http.sim);

			sim_peer_send(peer, one->request, at);
			sim_peer_close_write(peer);
			SIM_HTTP_RUN_UNTIL(&http, sim_peer_is_over(peer) && !sim_peer_is_attached(peer));
			SIM_HTTP_RUN_UNTIL(&http, http.posted == http.posts_run);
			SIM_HTTP_CHECK(&http, sim_now_ns(http.sim) - begin_ns <
						      SIM_HTTP_SECOND_NS); /* no timeout was needed */
			sim_peer_free(peer);
			sim_http_check_empty(&http);
		}
	}
	sim_http_end(&http);
}

/* --- errors are readable ---------------------------------------------------------------------- */

static bool begins_with(struct per__sim_peer *peer, const char *text)
{
	size_t len;
	const uint8_t *data = sim_peer_received(peer, &len);

	return len >= strlen(text) && memcmp(data, text, strlen(text)) == 0;
}

static void error_run(const char *head, const char *status)
{
	static uint8_t junk[300000];
	struct sim_http http;

	for (uint64_t seed = 1; seed < 60; seed++) {
		struct per__sim_peer *peer;

		sim_http_begin(&http, seed, NULL);
		sim_faults_random(http.sim, false);
		sim_faults(http.sim)->rst_loses =
			SIM_MILLION; /* whoever closes with input unread loses its answer */
		sim_faults(http.sim)->recv_bytes_max = 0;
		memset(junk, 'j', sizeof(junk));
		peer = sim_connect(http.sim, 0);
		sim_peer_set_read_rate(peer, 100000);
		sim_peer_send(peer, head, strlen(head));
		for (size_t i = 0; i < 10; i++)
			sim_peer_send_after(peer, (int64_t)i * 100000000, junk + i * 30000, 30000);
		sim_peer_close_write(peer);
		SIM_HTTP_RUN_UNTIL(&http, sim_peer_is_over(peer) && !sim_peer_is_attached(peer));
		SIM_HTTP_CHECK(&http, begins_with(peer, status));
		SIM_HTTP_CHECK(&http, sim_peer_saw_fin(peer));
		sim_http_end(&http);
	}
}

static void test_sim_http_bad_request_with_much_behind_it_reads_its_400(void **state)
{
	(void)state;
	error_run("GET / HTTP/1.1\r\nHost : h\r\n\r\n", "HTTP/1.1 400 ");
}

static void test_sim_http_body_above_the_limit_reads_its_413(void **state)
{
	(void)state;
	error_run("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99000000\r\n\r\n", "HTTP/1.1 413 ");
}

static void test_sim_http_refused_body_reads_its_403(void **state)
{
	(void)state;
	error_run("POST /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n", "HTTP/1.1 403 ");
}

/* --- time ------------------------------------------------------------------------------------- */

/* Sends head, then nothing; returns after how many virtual seconds it was over. */
static int64_t silence_run(struct sim_http *http, const char *head, const char *status)
{
	struct per__sim_peer *peer = sim_connect(http->sim, 0);
	int64_t begin_ns = sim_now_ns(http->sim);
	size_t len;

	sim_peer_send(peer, head, strlen(head));
	SIM_HTTP_RUN_UNTIL(http, sim_peer_is_over(peer) && !sim_peer_is_attached(peer));
	(void)sim_peer_received(peer, &len);
	if (status == NULL)
		SIM_HTTP_CHECK(http, len == 0);
	else
		SIM_HTTP_CHECK(http, begins_with(peer, status));
	sim_peer_free(peer);
	sim_http_check_empty(http);
	return (sim_now_ns(http->sim) - begin_ns) / SIM_HTTP_SECOND_NS;
}

static void test_sim_http_silence_is_ended_by_its_timeout(void **state)
{
	struct sim_http http;
	int64_t seconds;

	(void)state;
	sim_http_begin(&http, seed_of_run(), NULL);
	seconds = silence_run(&http, "GET / HTTP/1.1\r\nHo", "HTTP/1.1 408 ");
	assert_in_range(seconds, 15, 18); /* head_timeout_ms, and up to linger_timeout_ms */
	seconds = silence_run(&http, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc",
			      "HTTP/1.1 408 ");
	assert_in_range(seconds, 10, 23); /* rate_window_ms: two windows at most */
	seconds = silence_run(&http, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 ");
	assert_in_range(seconds, 60, 61); /* idle_timeout_ms */
	assert_true(sim_http_stats(&http).timeouts >= 2);
	sim_http_end(&http);
}

static void test_sim_http_byte_a_minute_head_is_cut(void **state)
{
	struct sim_http http;
	struct per__sim_peer *peer;
	int64_t begin_ns;

	(void)state;
	sim_http_begin(&http, seed_of_run(), NULL);
	peer = sim_connect(http.sim, 0);
	begin_ns = sim_now_ns(http.sim);
	for (int i = 0; i < 20; i++)
		sim_peer_send_after(peer, i * 10 * SIM_HTTP_SECOND_NS, "G", 1);
	SIM_HTTP_RUN_UNTIL(&http, sim_peer_is_over(peer) && !sim_peer_is_attached(peer));
	assert_true(sim_now_ns(http.sim) - begin_ns < 60 * SIM_HTTP_SECOND_NS);
	sim_http_end(&http);
}

static void want_rate(per_config *config, uint64_t seed)
{
	(void)seed;
	config->write_rate_min = 240;
}

static void test_sim_http_reader_that_stops_is_cut_and_a_slow_one_is_not(void **state)
{
	const struct sim_http_case *cases = sim_http_cases();
	const uint8_t big = 10;
	struct per__sim_peer *stopped, *slow;
	struct sim_http http;

	(void)state;
	sim_http_begin(&http, seed_of_run(), want_rate);
	sim_faults(http.sim)->sndbuf_bytes = 3000;
	stopped = sim_connect(http.sim, 0);
	slow = sim_connect(http.sim, 0);
	sim_peer_set_read_rate(stopped, 0);
	sim_peer_set_read_rate(slow, 600);
	sim_peer_send(stopped, cases[big].request, cases[big].request_len);
	sim_peer_send(slow, cases[big].request, cases[big].request_len);
	SIM_HTTP_RUN_UNTIL(&http, !sim_peer_is_attached(stopped) && sim_peer_is_accepted(stopped));
	assert_true(sim_peer_saw_rst(stopped));
	assert_true(sim_peer_is_attached(slow));
	sim_peer_close_write(slow);
	SIM_HTTP_RUN_UNTIL(&http, sim_peer_is_over(slow));
	sim_http_expect(&http, slow, &big, 1, false);
	assert_int_equal(sim_http_stats(&http).timeouts, 1);
	sim_http_end(&http);
}

/* --- a full table, and the stop --------------------------------------------------------------- */

static void want_small_table(per_config *config, uint64_t seed)
{
	(void)seed;
	config->connections_max = 3;
}

static void test_sim_http_full_table_refuses_and_recovers(void **state)
{
	const struct sim_http_case *cases = sim_http_cases();
	const uint8_t kind = 0;
	struct sim_http http;

	(void)state;
	for (uint64_t seed = 1; seed < 40; seed++) {
		struct per__sim_peer *peer[12];
		uint32_t served = 0;

		sim_http_begin(&http, seed, want_small_table);
		sim_faults_random(http.sim, false);
		for (size_t i = 0; i < 12; i++) {
			peer[i] = sim_connect(http.sim, 0);
			sim_peer_send(peer[i], cases[kind].request, cases[kind].request_len);
			sim_peer_close_write(peer[i]);
		}
		for (size_t i = 0; i < 12; i++) {
			SIM_HTTP_RUN_UNTIL(&http, sim_peer_is_over(peer[i]));
			sim_http_expect(&http, peer[i], &kind, sim_peer_was_refused(peer[i]) ? 0 : 1, false);
			served += !sim_peer_was_refused(peer[i]);
		}
		SIM_HTTP_CHECK(&http, served >= 3);
		SIM_HTTP_CHECK(&http, sim_http_stats(&http).timeouts == 0);
		sim_http_end(&http);
	}
}

static void want_little_memory(per_config *config, uint64_t seed)
{
	(void)seed;
	config->connections_max = CROWD;
	config->memory_bytes = 1u << 20;
}

/* More bodies and answers than there is memory for: refused or cut, but nobody hangs, nothing is left. */
static void test_sim_http_without_memory_nobody_hangs_and_nothing_is_left(void **state)
{
	static const uint8_t kinds[] = { 5, 6, 10, 11, 0 };
	const struct sim_http_case *cases = sim_http_cases();
	uint64_t failures = 0;
	struct sim_http http;

	(void)state;
	for (uint64_t seed = 1; seed < 5; seed++) {
		struct per__sim_peer *peer[CROWD];

		sim_http_begin(&http, seed_of_run() + seed, want_little_memory);
		sim_faults_random(http.sim, false);
		sim_faults(http.sim)->recv_bytes_max = 0;
		sim_faults(http.sim)->send_bytes_max = 0;
		sim_faults(http.sim)->rst_loses = 0;
		for (size_t i = 0; i < CROWD; i++) {
			peer[i] = sim_connect(http.sim, 0);
			sim_peer_set_read_rate(peer[i], 5000 + sim_random_below(http.sim, 50000));
			for (size_t j = 0; j < PER_ARRAY_LEN(kinds); j++) {
				const struct sim_http_case *one =
					&cases[kinds[(i + j) % PER_ARRAY_LEN(kinds)]];

				sim_peer_send(peer[i], one->request, one->request_len / 2);
				sim_peer_send_after(peer[i], CUT_NS, one->request + one->request_len / 2,
						    one->request_len - one->request_len / 2);
			}
			sim_peer_close_write(peer[i]);
		}
		for (size_t i = 0; i < CROWD; i++) {
			SIM_HTTP_RUN_UNTIL(&http,
					   sim_peer_is_over(peer[i]) && !sim_peer_is_attached(peer[i]));
			SIM_HTTP_CHECK(&http, begins_with(peer[i], "HTTP/1.1 ") || sim_peer_saw_rst(peer[i]));
		}
		failures += sim_http_stats(&http).overflow_failures;
		SIM_HTTP_CHECK(&http, sim_http_stats(&http).timeouts == 0);
		sim_http_end(&http);
	}
	assert_true(failures > 0); /* else this test has tested nothing */
}

/* Stop at every turn of a run: it comes to its end before the deadline, and nothing is left. */
static void test_sim_http_stop_at_every_turn_finishes_what_was_begun(void **state)
{
	const struct sim_http_case *cases = sim_http_cases();
	const uint8_t kinds[] = { 0, 4, 12, 11 };
	struct sim_http http;

	(void)state;
	for (uint32_t turn = 0; turn < 120; turn++) {
		struct per__sim_peer *peer[3];

		sim_http_begin(&http, seed_of_run() + turn, NULL);
		sim_faults_random(http.sim, false);
		for (size_t i = 0; i < 3; i++) {
			peer[i] = sim_connect(http.sim, 0);
			for (size_t j = 0; j < PER_ARRAY_LEN(kinds); j++)
				sim_peer_send_after(peer[i], (int64_t)(i + j) * 5000, cases[kinds[j]].request,
						    cases[kinds[j]].request_len);
		}
		for (uint32_t i = 0; i < turn; i++)
			sim_http_turn(&http);
		per_server_stop(http.server);
		for (uint32_t i = 0; i < 100000 && !http.is_stopped; i++)
			sim_http_turn(&http);
		SIM_HTTP_CHECK(&http, http.is_stopped);
		SIM_HTTP_CHECK(&http, sim_http_stats(&http).stop_cuts == 0);
		sim_http_end(&http);
	}
}

static bool says_close(struct per__sim_peer *peer)
{
	static const char field[] = "\r\nConnection: close\r\n";
	size_t len;
	const uint8_t *data = sim_peer_received(peer, &len);

	return begins_with(peer, "HTTP/1.1 200 ") && memmem(data, len, field, sizeof(field) - 1) != NULL;
}

/* What was sent before anybody could know of the stop is answered; nobody else is waited for. */
static void test_sim_http_stop_waits_for_the_first_request_of_new_connections(void **state)
{
	const struct sim_http_case *one = &sim_http_cases()[0];
	enum { AGED, SERVED, SILENT, ASKS, HALF, PEERS };
	struct per__sim_peer *peer[PEERS];
	const uint8_t kind = 0;
	struct sim_http http;
	int64_t begin_ns;

	(void)state;
	sim_http_begin(&http, seed_of_run(), NULL);
	peer[AGED] = sim_connect(http.sim, 0);
	peer[SERVED] = sim_connect(http.sim, 0);
	sim_peer_send_after(peer[SERVED], SIM_HTTP_SECOND_NS * 3 / 2, one->request, one->request_len);
	SIM_HTTP_RUN_UNTIL(&http, sim_http_has_all(peer[SERVED], &kind, 1));
	for (int i = SILENT; i < PEERS; i++)
		peer[i] = sim_connect(http.sim, 0);
	sim_peer_send(peer[HALF], one->request, one->request_len / 2);
	SIM_HTTP_RUN_UNTIL(&http, sim_http_open(&http) == PEERS && http.begun == 1 &&
					  sim_peer_bytes_in(peer[HALF]) == one->request_len / 2);
	sim_peer_send_after(peer[ASKS], SIM_HTTP_SECOND_NS * 4 / 5, one->request, one->request_len);
	sim_peer_send_after(peer[HALF], SIM_HTTP_SECOND_NS * 2, one->request + one->request_len / 2,
			    one->request_len - one->request_len / 2);
	begin_ns = sim_now_ns(http.sim);
	per_server_stop(http.server);
	SIM_HTTP_RUN_UNTIL(&http, sim_peer_saw_fin(peer[AGED]) && sim_peer_saw_fin(peer[SERVED]));
	SIM_HTTP_CHECK(&http, sim_now_ns(http.sim) < begin_ns + SIM_HTTP_SECOND_NS / 2);
	SIM_HTTP_CHECK(&http, sim_http_open(&http) == 3);
	SIM_HTTP_RUN_UNTIL(&http, sim_peer_saw_fin(peer[SILENT]) && sim_peer_saw_fin(peer[ASKS]));
	SIM_HTTP_CHECK(&http, says_close(peer[ASKS]));
	SIM_HTTP_CHECK(&http, sim_now_ns(http.sim) < begin_ns + SIM_HTTP_SECOND_NS * 5 / 4);
	for (uint32_t i = 0; i < 100000 && !http.is_stopped; i++)
		sim_http_turn(&http);
	SIM_HTTP_CHECK(&http, http.is_stopped && says_close(peer[HALF]));
	SIM_HTTP_CHECK(&http, sim_http_stats(&http).timeouts == 0);
	sim_http_end(&http);
}

static void test_sim_http_second_stop_cuts_at_once(void **state)
{
	struct sim_http http;
	struct per__sim_peer *peer;

	(void)state;
	sim_http_begin(&http, seed_of_run(), NULL);
	peer = sim_connect(http.sim, 0);
	sim_peer_set_read_rate(peer, 0);
	sim_faults(http.sim)->sndbuf_bytes = 100;
	sim_peer_send(peer, sim_http_cases()[10].request, sim_http_cases()[10].request_len);
	SIM_HTTP_RUN_UNTIL(&http, sim_peer_bytes_out(peer) == 100);
	per_server_stop(http.server);
	per_server_stop(http.server);
	for (int i = 0; i < 100 && !http.is_stopped; i++)
		sim_http_turn(&http);
	SIM_HTTP_CHECK(&http, http.is_stopped);
	SIM_HTTP_CHECK(&http, sim_http_stats(&http).stop_cuts == 1);
	sim_http_end(&http);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sim_http_request_cut_at_every_byte_same_answer),
		cmocka_unit_test(test_sim_http_one_byte_at_a_time_same_answer),
		cmocka_unit_test(test_sim_http_every_short_write_same_answer),
		cmocka_unit_test(test_sim_http_reset_at_every_byte_of_the_request_leaves_nothing),
		cmocka_unit_test(test_sim_http_reset_at_every_byte_of_the_answer_leaves_nothing),
		cmocka_unit_test(test_sim_http_end_of_stream_at_every_byte_of_the_request_ends),
		cmocka_unit_test(test_sim_http_bad_request_with_much_behind_it_reads_its_400),
		cmocka_unit_test(test_sim_http_body_above_the_limit_reads_its_413),
		cmocka_unit_test(test_sim_http_refused_body_reads_its_403),
		cmocka_unit_test(test_sim_http_silence_is_ended_by_its_timeout),
		cmocka_unit_test(test_sim_http_byte_a_minute_head_is_cut),
		cmocka_unit_test(test_sim_http_reader_that_stops_is_cut_and_a_slow_one_is_not),
		cmocka_unit_test(test_sim_http_full_table_refuses_and_recovers),
		cmocka_unit_test(test_sim_http_without_memory_nobody_hangs_and_nothing_is_left),
		cmocka_unit_test(test_sim_http_stop_at_every_turn_finishes_what_was_begun),
		cmocka_unit_test(test_sim_http_stop_waits_for_the_first_request_of_new_connections),
		cmocka_unit_test(test_sim_http_second_stop_cuts_at_once),
	};

	(void)sim_http_cases();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
