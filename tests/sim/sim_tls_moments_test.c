/* SPDX-License-Identifier: MIT */
/* ctest: timeout=300
 * sim_tls_moments_test.c - TLS at every moment, one after the other: each kind of handshake and the request
 * behind it cut, ended, reset and falsified at every byte, the server's side shortened and reset at each.
 * Afterwards nothing may be left, and an answer is whole or the client knows that it is not.
 */
#include "sim/sim_tls.h"

#include "server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SEED_FIXED 0x52u
#define FLAVOURS 5u

static const uint8_t kind = 4; /* "post" */

static uint64_t seed_of_run(void)
{
	bool is_replay;
	uint64_t seed = sim_seed_from_env(&is_replay);

	return is_replay ? seed : SEED_FIXED;
}

/* The kinds of handshakes; the last has the request in its 0-RTT. */
static struct sim_tls_wish flavour_wish(unsigned flavour)
{
	static const struct sim_tls_wish flavours[FLAVOURS] = { { .is_old = false },
								{ .is_old = true },
								{ .is_retried = true },
								{ .is_resuming = true },
								{ .is_resuming = true } };
	struct sim_tls_wish wish = flavours[flavour];

	if (flavour == FLAVOURS - 1) {
		wish.early = sim_http_cases()[kind].request;
		wish.early_len = sim_http_cases()[kind].request_len;
	}
	return wish;
}

/* Sends the request and every kind of end, as soon as that is possible; until the connection is over. */
static void visit_run(struct sim_tls *world, struct sim_tls_client *client)
{
	const struct sim_http_case *one = &sim_http_cases()[kind];
	bool is_sent = false;

	for (uint32_t turns = 0; !sim_tls_is_over(client); turns++) {
		SIM_HTTP_CHECK(&world->http, turns < 100000);
		if (client->is_established && !client->is_broken && !is_sent) {
			if (!client->is_early)
				sim_tls_write(client, one->request, one->request_len);
			sim_tls_send_close_notify(client);
			sim_tls_send_fin(client);
			is_sent = true;
		}
		sim_tls_turn(world);
	}
}

static void visit_end(struct sim_tls_client *client)
{
	struct sim_tls *world = client->world;

	sim_tls_client_free(client);
	SIM_TLS_RUN_UNTIL(world, world->http.begun == world->http.done);
	sim_http_check_empty(&world->http);
}

struct lengths {
	uint64_t in, out;
};

/* One connection on which nothing goes wrong; it says how many bytes there are. */
static struct lengths visit_learn(struct sim_tls *world, const struct sim_tls_wish *wish)
{
	struct sim_tls_client *client = sim_tls_connect(world, wish);
	struct lengths lengths;

	visit_run(world, client);
	sim_tls_expect(client, &kind, 1, false);
	SIM_HTTP_CHECK(&world->http, client->has_ended && client->is_resumed == wish->is_resuming);
	SIM_HTTP_CHECK(&world->http, client->is_early == (wish->early_len > 0));
	lengths = (struct lengths){ client->sent, sim_peer_bytes_out(client->peer) };
	visit_end(client);
	return lengths;
}

static void world_learn(struct sim_tls *world)
{
	const struct sim_tls_wish nothing = { .is_old = false };

	sim_tls_begin(world, seed_of_run(), sim_tls_want_early);
	(void)visit_learn(world, &nothing); /* for a ticket */
	SIM_HTTP_CHECK(&world->http, world->session != NULL);
}

static void test_sim_tls_handshake_cut_at_every_byte_same_answer(void **state)
{
	struct sim_tls world;

	(void)state;
	world_learn(&world);
	for (unsigned flavour = 0; flavour < FLAVOURS; flavour++) {
		struct sim_tls_wish wish = flavour_wish(flavour);
		uint64_t end = visit_learn(&world, &wish).in;

		for (wish.cut_at = 1; wish.cut_at < end; wish.cut_at++) {
			struct sim_tls_client *client = sim_tls_connect(&world, &wish);

			visit_run(&world, client);
			sim_tls_expect(client, &kind, 1, false);
			SIM_HTTP_CHECK(&world.http, client->has_ended);
			visit_end(client);
		}
	}
	SIM_HTTP_CHECK(&world.http, sim_http_stats(&world.http).tls_failed == 0);
	SIM_HTTP_CHECK(&world.http, sim_http_stats(&world.http).timeouts == 0);
	SIM_HTTP_CHECK(&world.http, sim_http_stats(&world.http).tls_truncated == 0);
	sim_tls_end(&world);
}

static void test_sim_tls_one_byte_at_a_time_same_answer(void **state)
{
	struct sim_tls world;

	(void)state;
	world_learn(&world);
	sim_faults(world.http.sim)->recv_bytes_max = 1;
	sim_faults(world.http.sim)->send_bytes_max = 1;
	for (unsigned flavour = 0; flavour < FLAVOURS; flavour++) {
		struct sim_tls_wish wish = flavour_wish(flavour);

		(void)visit_learn(&world, &wish);
	}
	sim_tls_end(&world);
}

static void test_sim_tls_every_short_write_same_answer(void **state)
{
	struct sim_tls world;

	(void)state;
	world_learn(&world);
	sim_faults(world.http.sim)->send_delay = SIM_MILLION / 2;
	for (unsigned flavour = 0; flavour < FLAVOURS; flavour++) {
		struct sim_tls_wish wish = flavour_wish(flavour);
		uint64_t end = visit_learn(&world, &wish).out;

		for (uint64_t cut = 1; cut < end; cut++) {
			struct sim_tls_client *client = sim_tls_connect(&world, &wish);

			sim_peer_cut_out(client->peer, cut);
			visit_run(&world, client);
			sim_tls_expect(client, &kind, 1, false);
			visit_end(client);
		}
	}
	sim_tls_end(&world);
}

static void reset_run(bool is_out)
{
	struct sim_tls world;

	world_learn(&world);
	for (unsigned flavour = 0; flavour < FLAVOURS; flavour++) {
		struct sim_tls_wish wish = flavour_wish(flavour);
		struct lengths lengths = visit_learn(&world, &wish);
		uint64_t end = is_out ? lengths.out : lengths.in;

		for (uint64_t at = 0; at <= end; at++) {
			struct sim_tls_client *client = sim_tls_connect(&world, &wish);

			if (is_out)
				sim_peer_reset_at_out(client->peer, at);
			else
				sim_peer_reset_at_in(client->peer, at);
			visit_run(&world, client);
			sim_tls_expect(client, &kind, 1, true);
			visit_end(client);
		}
	}
	sim_tls_end(&world);
}

static void test_sim_tls_reset_at_every_byte_of_the_client_leaves_nothing(void **state)
{
	(void)state;
	reset_run(false);
}

static void test_sim_tls_reset_at_every_byte_of_the_server_leaves_nothing(void **state)
{
	(void)state;
	reset_run(true);
}

/* No timeout is needed, and who ends within a record has ended without close_notify. */
static void test_sim_tls_end_of_stream_at_every_byte_ends(void **state)
{
	struct sim_tls world;

	(void)state;
	world_learn(&world);
	for (unsigned flavour = 0; flavour < FLAVOURS; flavour++) {
		struct sim_tls_wish wish = flavour_wish(flavour);
		uint64_t end = visit_learn(&world, &wish).in;
		per_stats before = sim_http_stats(&world.http), after;

		wish.ends_at_cut = true;
		for (wish.cut_at = 1; wish.cut_at < end; wish.cut_at++) {
			struct sim_tls_client *client = sim_tls_connect(&world, &wish);
			int64_t begin_ns = sim_now_ns(world.http.sim);

			visit_run(&world, client);
			SIM_HTTP_CHECK(&world.http,
				       sim_now_ns(world.http.sim) - begin_ns < SIM_HTTP_SECOND_NS);
			visit_end(client);
		}
		after = sim_http_stats(&world.http);
		SIM_HTTP_CHECK(&world.http, after.tls_failed - before.tls_failed + after.tls_truncated -
							    before.tls_truncated ==
						    end - 1);
	}
	sim_tls_end(&world);
}

/* What was changed on the way is never taken for what was sent. */
static void test_sim_tls_false_byte_anywhere_is_never_believed(void **state)
{
	const struct sim_http_case *one = &sim_http_cases()[kind];
	struct sim_tls world;

	(void)state;
	world_learn(&world);
	for (unsigned flavour = 0; flavour < FLAVOURS; flavour++) {
		struct sim_tls_wish wish = flavour_wish(flavour);
		uint64_t end = visit_learn(&world, &wish).in;

		for (wish.flip_at = 0; wish.flip_at < end; wish.flip_at++) {
			struct sim_tls_client *client;

			wish.flip_bits = (uint8_t)(1u << wish.flip_at % 8);
			client = sim_tls_connect(&world, &wish);
			visit_run(&world, client);
			SIM_HTTP_CHECK(&world.http,
				       client->plain_len == 0 || client->plain_len == one->answer_len);
			if (client->plain_len > 0)
				sim_tls_expect(client, &kind, 1, false);
			visit_end(client);
		}
	}
	SIM_HTTP_CHECK(&world.http,
		       sim_http_stats(&world.http).bad_requests <= 8); /* HTTP of a changed first byte */
	sim_tls_end(&world);
}

/* Behind its alert nothing is waited for, although the handshake is incomplete and never will be complete. */
static void test_sim_tls_false_early_record_is_followed_by_fin(void **state)
{
	struct sim_tls world;
	struct sim_tls_wish wish = flavour_wish(FLAVOURS - 1);
	struct sim_tls_client *client;
	int64_t begin_ns;

	(void)state;
	world_learn(&world);
	client = sim_tls_connect(&world, &wish);
	wish.flip_at = client->sent - 1; /* of the tag */
	wish.flip_bits = 1;
	visit_run(&world, client);
	visit_end(client);
	begin_ns = sim_now_ns(world.http.sim);
	client = sim_tls_connect(&world, &wish);
	SIM_TLS_RUN_UNTIL(&world, sim_peer_saw_fin(client->peer));
	SIM_HTTP_CHECK(&world.http, sim_now_ns(world.http.sim) - begin_ns <
					    world.http.server->conf.policy.linger_timeout_ns);
	visit_run(&world, client);
	SIM_HTTP_CHECK(&world.http, sim_http_stats(&world.http).tls_failed == 1);
	visit_end(client);
	sim_tls_end(&world);
}

static void test_sim_tls_client_that_does_not_trust_us_leaves_nothing(void **state)
{
	struct sim_tls world;

	(void)state;
	world_learn(&world);
	for (unsigned flavour = 0; flavour < FLAVOURS - 2; flavour++) {
		struct sim_tls_wish wish = flavour_wish(flavour);
		struct sim_tls_client *client;

		wish.distrusts = true;
		client = sim_tls_connect(&world, &wish);
		SIM_TLS_RUN_UNTIL(&world, client->is_broken);
		sim_tls_send_fin(client);
		visit_run(&world, client);
		visit_end(client);
	}
	assert_int_equal(sim_http_stats(&world.http).tls_failed, FLAVOURS - 2);
	sim_tls_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sim_tls_handshake_cut_at_every_byte_same_answer),
		cmocka_unit_test(test_sim_tls_one_byte_at_a_time_same_answer),
		cmocka_unit_test(test_sim_tls_every_short_write_same_answer),
		cmocka_unit_test(test_sim_tls_reset_at_every_byte_of_the_client_leaves_nothing),
		cmocka_unit_test(test_sim_tls_reset_at_every_byte_of_the_server_leaves_nothing),
		cmocka_unit_test(test_sim_tls_end_of_stream_at_every_byte_ends),
		cmocka_unit_test(test_sim_tls_false_byte_anywhere_is_never_believed),
		cmocka_unit_test(test_sim_tls_false_early_record_is_followed_by_fin),
		cmocka_unit_test(test_sim_tls_client_that_does_not_trust_us_leaves_nothing),
	};

	if (getenv("F"))
		cmocka_set_test_filter(getenv("F"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
