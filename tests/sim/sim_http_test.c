/* SPDX-License-Identifier: MIT */
/* ctest: timeout=240
 * sim_http_test.c - the whole server above the backend line, under simulation: pipelined mixtures of requests
 * cut anywhere, short writes, starvation, resets. The response stream has to be the expected one, byte for
 * byte, and nothing may be left. PER_SEED=0x... runs that schedule alone; PER_SIM_SECONDS says for how long
 * new seeds are tried (default 5).
 */
#include "sim/sim_http.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define PEERS_MAX 6u
#define DEPTH_MAX 10u
#define SECONDS_DEFAULT 5

/* One connection of a schedule. */
struct visit {
	struct per__sim_peer *peer;
	uint8_t kinds[DEPTH_MAX];
	size_t count;
};

static int64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Sends bytes in random pieces at random times. */
static void send_cut(struct per__sim *sim, struct per__sim_peer *peer, const uint8_t *data, size_t len)
{
	static const size_t piece[] = { 1, 10, 200, 5000, 50000 };
	size_t most = piece[sim_random_below(sim, PER_ARRAY_LEN(piece))];
	int64_t at = 0;

	if (len > 3000)
		most = PER_MAX(most, (size_t)200);
	while (len != 0) {
		size_t part = 1 + (size_t)sim_random_below(sim, PER_MIN(len, most));

		if (sim_chance(sim, SIM_MILLION / 2))
			at += (int64_t)sim_random_below(sim, 20000);
		sim_peer_send_after(peer, at, data, part);
		data += part;
		len -= part;
	}
}

static void visit_begin(struct sim_http *http, struct visit *visit)
{
	const struct sim_http_case *cases = sim_http_cases();
	struct per__sim *sim = http->sim;

	visit->peer = sim_connect(sim, 0);
	visit->count = 1 + (size_t)sim_random_below(sim, DEPTH_MAX);
	if (sim_chance(sim, SIM_MILLION / 4))
		sim_peer_set_read_rate(visit->peer, 20000 + sim_random_below(sim, 1000000));
	for (size_t i = 0; i < visit->count; i++) {
		const struct sim_http_case *one;

		visit->kinds[i] = (uint8_t)sim_random_below(sim, SIM_HTTP_KINDS);
		one = &cases[visit->kinds[i]];
		send_cut(sim, visit->peer, one->request, one->request_len);
		if (one->is_last)
			visit->count = i + 1;
	}
	if (!cases[visit->kinds[visit->count - 1]].is_last || sim_chance(sim, SIM_MILLION / 2))
		sim_peer_close_write(visit->peer);
}

/* Other sizes of buffers for each seed: nothing in a stream may depend on them. */
static void want_other_sizes(per_config *config, uint64_t seed)
{
	config->recv_buf_bytes = 1024u << (seed % 5);
	config->write_queue_bytes = (size_t)4096 << (seed / 5 % 5);
}

/* One schedule. Everything that happens is chosen by the seed. */
static void schedule_run(uint64_t seed, bool with_resets)
{
	struct sim_http http;
	struct visit visits[PEERS_MAX];
	size_t count;

	sim_http_begin(&http, seed, want_other_sizes);
	sim_faults_random(http.sim, with_resets);
	sim_faults(http.sim)->rst_loses = with_resets ? SIM_MILLION / 2 : 0;
	if (sim_faults(http.sim)->send_bytes_max != 0)
		sim_faults(http.sim)->send_bytes_max += 200; /* 50,000 bytes one by one tell nothing new */
	if (sim_faults(http.sim)->recv_bytes_max == 1 && sim_chance(http.sim, SIM_MILLION / 2))
		sim_faults(http.sim)->recv_bytes_max = 100;
	count = 1 + (size_t)sim_random_below(http.sim, PEERS_MAX);
	for (size_t i = 0; i < count; i++)
		visit_begin(&http, &visits[i]);
	for (size_t i = 0; i < count; i++)
		SIM_HTTP_RUN_UNTIL(&http,
				   sim_peer_is_over(visits[i].peer) && !sim_peer_is_attached(visits[i].peer));
	for (size_t i = 0; i < count; i++)
		sim_http_expect(&http, visits[i].peer, visits[i].kinds, visits[i].count, with_resets);
	if (!with_resets)
		SIM_HTTP_CHECK(&http, sim_http_stats(&http).timeouts == 0);
	sim_http_end(&http);
}

static void schedules_run(bool with_resets)
{
	const char *text = getenv("PER_SIM_SECONDS");
	int64_t limit_ns = real_ns() + (text != NULL ? atoi(text) : SECONDS_DEFAULT) * INT64_C(1000000000);
	bool is_replay;
	uint64_t seed = sim_seed_from_env(&is_replay), count = 0;

	do
		schedule_run(seed + count++, with_resets);
	while (!is_replay && real_ns() < limit_ns);
	print_message("%" PRIu64 " schedules from PER_SEED=0x%" PRIx64 "\n", count, seed);
}

static void test_sim_http_random_schedules_streams_are_exact(void **state)
{
	(void)state;
	schedules_run(false);
}

static void test_sim_http_random_schedules_with_resets_leave_nothing(void **state)
{
	(void)state;
	schedules_run(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sim_http_random_schedules_streams_are_exact),
		cmocka_unit_test(test_sim_http_random_schedules_with_resets_leave_nothing),
	};

	(void)sim_http_cases();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
