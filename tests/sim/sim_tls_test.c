/* SPDX-License-Identifier: MIT */
/* ctest: timeout=240
 * sim_tls_test.c - HTTP over TLS under simulation, at random: clients of OpenSSL, each kind of handshake,
 * requests in records of any size, key updates, slow readers, every way to end, cut and shortened anywhere.
 * The plaintext has to be the expected one, and nothing may be left. PER_SEED=0x... runs that schedule alone;
 * PER_SIM_SECONDS says for how long new seeds are tried (default 5).
 */
#include "sim/sim_tls.h"

#include "server.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define VISITS_MAX 5u
#define DEPTH_MAX 8u
#define SECONDS_DEFAULT 5
#define RECORD_MAX 16384u

enum how { BOTH, ONLY_FIN, ONLY_CLOSE_NOTIFY, NOTHING };

/* One connection of a schedule. */
struct visit {
	struct sim_tls_client *client;
	uint8_t kinds[DEPTH_MAX];
	size_t count;
	enum how how; /* it ends */
	bool is_sent;
};

static int64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void visit_choose(struct visit *visit, struct per__sim *sim)
{
	const struct sim_http_case *cases = sim_http_cases();
	bool is_last = false;

	visit->count = 1 + (size_t)sim_random_below(sim, DEPTH_MAX);
	for (size_t i = 0; i < visit->count && !is_last; i++) {
		visit->kinds[i] = (uint8_t)sim_random_below(sim, SIM_HTTP_KINDS);
		is_last = cases[visit->kinds[i]].is_last;
		if (is_last)
			visit->count = i + 1;
	}
	visit->how = (enum how)sim_random_below(sim, is_last ? NOTHING + 1 : NOTHING);
}

static void visit_begin(struct sim_tls *world, struct visit *visit)
{
	struct per__sim *sim = world->http.sim;
	struct sim_tls_wish wish = {
		.is_old = sim_chance(sim, SIM_MILLION / 3),
		.is_retried = sim_chance(sim, SIM_MILLION / 10),
		.max_fragment = sim_chance(sim, SIM_MILLION / 8) ? TLSEXT_max_fragment_length_512 : 0,
		.cuts_randomly = sim_chance(sim, SIM_MILLION / 2),
	};

	*visit = (struct visit){ 0 };
	visit_choose(visit, sim);
	wish.is_resuming = !wish.is_old && world->session != NULL && sim_chance(sim, SIM_MILLION / 2);
	if (wish.is_resuming && world->http.server->conf.tls_early_data_max > 0 &&
	    sim_chance(sim, SIM_MILLION / 2)) {
		wish.early = sim_http_cases()[visit->kinds[0]].request;
		wish.early_len = sim_http_cases()[visit->kinds[0]].request_len;
		/* OpenSSL's server cannot skip a full record before a retry */
		if (wish.early_len > (wish.is_retried ? 16000 : world->http.server->conf.tls_early_data_max))
			wish.early_len = 0;
	}
	visit->client = sim_tls_connect(world, &wish);
	if (sim_chance(sim, SIM_MILLION / 4))
		sim_peer_set_read_rate(visit->client->peer, 20000 + sim_random_below(sim, 1000000));
}

/* In records of any size, with new keys in between now and then. */
static void visit_send(struct sim_tls *world, struct visit *visit)
{
	struct per__sim *sim = world->http.sim;
	struct sim_tls_client *client = visit->client;
	size_t most = sim_chance(sim, SIM_MILLION / 4) ? 100 : RECORD_MAX;

	for (size_t i = client->is_early ? 1 : 0; i < visit->count; i++) {
		const struct sim_http_case *one = &sim_http_cases()[visit->kinds[i]];
		const uint8_t *data = one->request;
		size_t left = one->request_len;

		while (left > 0) {
			size_t part = 1 + (size_t)sim_random_below(sim, PER_MIN(left, most));

			sim_tls_write(client, data, part);
			data += part;
			left -= part;
			if (!client->wish.is_old && sim_chance(sim, SIM_MILLION / 20))
				sim_tls_update(client, sim_chance(sim, SIM_MILLION / 2));
		}
	}
	if (visit->how == BOTH || visit->how == ONLY_CLOSE_NOTIFY)
		sim_tls_send_close_notify(client);
	if (visit->how == BOTH || visit->how == ONLY_FIN)
		sim_tls_send_fin(client);
	visit->is_sent = true;
}

static bool all_are_over(struct sim_tls *world, struct visit *visits, size_t count)
{
	size_t over = 0;

	for (size_t i = 0; i < count; i++) {
		struct visit *visit = &visits[i];

		if (visit->client->is_established && !visit->is_sent && !visit->client->is_broken)
			visit_send(world, visit);
		over += sim_tls_is_over(visit->client);
	}
	return over == count;
}

/* Other sizes of buffers for each seed: nothing in a stream may depend on them. */
static void want_other_sizes(per_config *config, uint64_t seed)
{
	static per_tls_config slow;

	config->recv_buf_bytes = 1024u << (seed % 5);
	config->write_queue_bytes = (size_t)4096 << (seed / 5 % 5);
	/* some networks here are slow, and a record shows nothing of a head in it before its last byte */
	config->head_timeout_ms = config->idle_timeout_ms = 3600 * 1000;
	slow = *config->tls;
	slow.handshake_timeout_ms = 3600 * 1000;
	config->tls = &slow;
	if (seed / 25 % 2 == 1)
		sim_tls_want_early(config, seed);
}

static void world_begin(struct sim_tls *world, uint64_t seed, bool with_resets)
{
	struct per__sim_faults *faults;

	sim_tls_begin(world, seed, want_other_sizes);
	sim_faults_random(world->http.sim, with_resets);
	faults = sim_faults(world->http.sim);
	faults->rst_loses = with_resets ? SIM_MILLION / 2 : 0;
	if (faults->send_bytes_max != 0)
		faults->send_bytes_max += 200; /* 50,000 bytes one by one tell nothing new */
	if (faults->recv_bytes_max == 1 && sim_chance(world->http.sim, SIM_MILLION / 2))
		faults->recv_bytes_max = 100;
}

/* Without resets every byte has come, and the end was said. */
static void visit_check(struct sim_tls *world, const struct visit *visit, bool with_resets)
{
	const struct sim_tls_client *client = visit->client;

	sim_tls_expect(visit->client, visit->kinds, visit->count, with_resets);
	if (with_resets)
		return;
	SIM_HTTP_CHECK(&world->http, client->is_established && !client->is_broken);
	SIM_HTTP_CHECK(&world->http, client->has_ended);
	SIM_HTTP_CHECK(&world->http, client->is_resumed == client->wish.is_resuming);
	SIM_HTTP_CHECK(&world->http,
		       client->is_early == (client->wish.early_len > 0 && !client->wish.is_retried));
}

/* One schedule: two rounds, so that sessions can be resumed. Everything is chosen by the seed. */
static void schedule_run(uint64_t seed, bool with_resets)
{
	struct sim_tls world;
	struct visit visits[VISITS_MAX];
	per_stats stats;

	world_begin(&world, seed, with_resets);
	for (int round = 0; round < 2; round++) {
		size_t count = 1 + (size_t)sim_random_below(world.http.sim, VISITS_MAX);

		for (size_t i = 0; i < count; i++)
			visit_begin(&world, &visits[i]);
		SIM_TLS_RUN_UNTIL(&world, all_are_over(&world, visits, count));
		for (size_t i = 0; i < count; i++)
			visit_check(&world, &visits[i], with_resets);
	}
	stats = sim_http_stats(&world.http);
	if (!with_resets) {
		SIM_HTTP_CHECK(&world.http, stats.timeouts == 0);
		SIM_HTTP_CHECK(&world.http, stats.tls_failed == 0);
		SIM_HTTP_CHECK(&world.http, stats.tls_handshakes == world.client_cnt);
	}
	sim_tls_end(&world);
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

static void test_sim_tls_random_schedules_streams_are_exact(void **state)
{
	(void)state;
	schedules_run(false);
}

static void test_sim_tls_random_schedules_with_resets_leave_nothing(void **state)
{
	(void)state;
	schedules_run(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sim_tls_random_schedules_streams_are_exact),
		cmocka_unit_test(test_sim_tls_random_schedules_with_resets_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
