/* SPDX-License-Identifier: MIT */
/* ctest: timeout=240
 * sim_ws_test.c - WebSockets under random schedules: conversations cut anywhere, short writes, starvation,
 * pauses, resets, little memory, fifty subscribers. Every frame has to be the one that is due, and nothing
 * may be left. PER_SEED=0x... runs that schedule alone; PER_SIM_SECONDS says for how long new seeds are tried
 * (default 3, each test).
 */
#include "sim/sim_ws.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define SECONDS_DEFAULT 3
#define PEERS_MAX 4u
#define MESSAGES_MAX 12u
#define MESSAGE_BYTES_MAX 200000u
#define LIMIT_BYTES 250000u /* message_bytes_max: above all that is sent */
#define SUBSCRIBERS 50u
#define TALKS 8u /* messages of each subscriber, echoed between those that are published */

static const char *const offers[] = {
	"permessage-deflate",
	"permessage-deflate; client_max_window_bits",
	"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
	"permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
	"x-unknown, permessage-deflate; client_max_window_bits=11",
};

/* How a conversation ends. */
enum ending {
	END_CLIENT_CLOSE,
	END_EMPTY_CLOSE,
	END_FIN,
	END_HALF_FRAME,
	END_SERVER_CLOSE,
	END_ABORT,
	END_VIOLATION,
	ENDINGS
};

struct visit {
	struct sim_ws_client *client;
	enum ending ending;
	unsigned code; /* that both sides have to see */
};

static int64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static size_t one_of(struct per__sim *sim, const size_t *values, size_t count)
{
	return values[sim_random_below(sim, count)];
}

/* --- a conversation --------------------------------------------------------------------------- */

/* How many bytes a conversation may have: some faults take a turn for each byte or two. */
static size_t budget_bytes(struct per__sim *sim)
{
	const struct per__sim_faults *faults = sim_faults(sim);
	size_t cap = 1000;

	if (faults->recv_bytes_max != 0)
		cap = PER_MIN(cap, faults->recv_bytes_max);
	if (faults->send_bytes_max != 0)
		cap = PER_MIN(cap, faults->send_bytes_max);
	if (faults->sndbuf_bytes != 0)
		cap = PER_MIN(cap, faults->sndbuf_bytes);
	return cap * (sim_chance(sim, SIM_MILLION / 10) ? 400 : 20);
}

static size_t random_len(struct per__sim *sim, size_t most)
{
	static const size_t ceiling[] = { 1, 20, 128, 600, 5000, 66000, MESSAGE_BYTES_MAX };
	static const size_t edge[] = { 125, 126, 127, 4000, 65535, 65536 };
	size_t len = (size_t)sim_random_below(sim, one_of(sim, ceiling, PER_ARRAY_LEN(ceiling)) + 1);

	if (sim_chance(sim, SIM_MILLION / 10))
		len = one_of(sim, edge, PER_ARRAY_LEN(edge));
	return PER_MIN(len, most);
}

static void messages_make(struct sim_ws_client *client)
{
	static uint8_t data[MESSAGE_BYTES_MAX];
	struct per__sim *sim = client->world->http.sim;
	size_t left = budget_bytes(sim), count = (size_t)sim_random_below(sim, MESSAGES_MAX + 1);

	if (sim_chance(sim, SIM_MILLION / 8))
		count += 50;
	for (size_t i = 0; i < count; i++) {
		unsigned opcode = sim_chance(sim, SIM_MILLION / 2) ? SIM_WS_TEXT : SIM_WS_BINARY;
		size_t len = sim_ws_payload(sim, opcode, data, random_len(sim, left));
		size_t frames = sim_chance(sim, SIM_MILLION / 2) ? 1 : 1 + (size_t)sim_random_below(sim, 9);

		left -= len;
		sim_ws_message(client, opcode, data, len, frames, SIM_MILLION / 3);
		if (sim_chance(sim, SIM_MILLION / 6))
			sim_ws_ping(client, data, PER_MIN(len, (size_t)125));
		if (sim_chance(sim, SIM_MILLION / 10))
			sim_ws_frame(client, 0x80 | SIM_WS_PONG, data, PER_MIN(len, (size_t)125));
	}
}

/* Breaks a rule; returns the code that it costs. */
static unsigned violation_make(struct sim_ws_client *client)
{
	static const uint8_t huge[] = { 0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4 };

	switch (sim_random_below(client->world->http.sim, 9)) {
	case 0:
		sim_ws_frame(client, 0x83, "x", 1);
		return 1002;
	case 1:
		sim_ws_frame(client, 0x80, "x", 1); /* continues nothing */
		return 1002;
	case 2:
		sim_ws_frame(client, 0xa1, "x", 1);
		return 1002;
	case 3:
		sim_ws_append(&client->out, "\x81\x01x", 3); /* not masked */
		return 1002;
	case 4:
		sim_ws_frame(client, 0x01, "a\xe2\x82", 3); /* ends within a letter */
		sim_ws_frame(client, 0x80, "", 0);
		return 1007;
	case 5:
		sim_ws_frame(client, 0x01, "a", 1);
		sim_ws_frame(client, 0x81, "b", 1);
		return 1002;
	case 6:
		sim_ws_append(&client->out, huge, sizeof(huge));
		return 1009;
	case 7:
		sim_ws_frame(client, 0x88, "\x03\xed", 2); /* 1005 is not for the wire */
		return 1002;
	default:
		sim_ws_frame(client, 0xc2, "\x07\xff\xff", 3); /* a block of type 3 */
		return client->params.is_on ? 1007 : 1002;
	}
}

static void ending_make(struct visit *visit)
{
	static const unsigned codes[] = { 1000, 1001, 1011, 3000, 4999 };
	struct sim_ws_client *client = visit->client;
	struct per__sim *sim = client->world->http.sim;
	char command[20];

	visit->ending = (enum ending)sim_random_below(sim, ENDINGS);
	visit->code = codes[sim_random_below(sim, PER_ARRAY_LEN(codes))];
	switch (visit->ending) {
	case END_CLIENT_CLOSE:
		sim_ws_close(client, visit->code, "tired \xe2\x98\x82");
		break;
	case END_EMPTY_CLOSE:
		sim_ws_close(client, 0, "");
		break;
	case END_SERVER_CLOSE:
		snprintf(command, sizeof(command), "!close %u", visit->code);
		sim_ws_command(client, command);
		break;
	case END_ABORT:
		sim_ws_command(client, "!abort");
		break;
	case END_VIOLATION:
		visit->code = violation_make(client);
		break;
	case END_HALF_FRAME:
		sim_ws_append(&client->out, "\x82\x85pqrsxy", 8);
		break;
	case END_FIN:
	case ENDINGS:
		break;
	}
	if (visit->ending >= END_SERVER_CLOSE && sim_chance(sim, SIM_MILLION / 2)) {
		for (int i = 0; i < 40; i++) /* is read past */
			sim_ws_frame(client, 0x82, "behind the end of the conversation", 34);
	}
}

static void visit_open(struct sim_ws *world, struct visit *visit)
{
	struct per__sim *sim = world->http.sim;
	const char *offer = sim_chance(sim, SIM_MILLION / 2)
				    ? offers[sim_random_below(sim, PER_ARRAY_LEN(offers))]
				    : NULL;

	visit->client = sim_ws_client_new(world, offer);
	if (sim_chance(sim, SIM_MILLION / 4))
		sim_peer_set_read_rate(visit->client->peer, 20000 + sim_random_below(sim, 1000000));
}

static void visit_talk(struct visit *visit)
{
	struct per__sim *sim = visit->client->world->http.sim;
	bool fin_now;

	messages_make(visit->client);
	ending_make(visit);
	sim_ws_send_cut(visit->client);
	fin_now = visit->ending == END_FIN || visit->ending == END_HALF_FRAME;
	if (visit->ending != END_SERVER_CLOSE && visit->ending != END_ABORT)
		fin_now |= sim_chance(sim, SIM_MILLION / 4);
	if (fin_now)
		sim_ws_fin(visit->client);
}

static void visit_check(struct sim_ws *world, const struct visit *visit)
{
	struct sim_ws_client *client = visit->client;
	const char *reason = visit->ending == END_CLIENT_CLOSE ? "tired \xe2\x98\x82" : "";
	bool has_close =
		visit->ending != END_FIN && visit->ending != END_HALF_FRAME && visit->ending != END_ABORT;
	unsigned code = has_close ? visit->code : SIM_WS_LOST;

	SIM_WS_CHECK(world, client->opened == 1);
	SIM_WS_CHECK(world, client->closed == 1);
	SIM_WS_CHECK(world, client->saw_close == has_close);
	SIM_WS_CHECK(world, sim_peer_saw_rst(client->peer) || visit->ending != END_ABORT);
	SIM_WS_CHECK(world, visit->ending == END_ABORT || sim_ws_client_has_all(client));
	if (visit->ending == END_EMPTY_CLOSE)
		code = 1005;
	SIM_WS_CHECK(world, client->code == (int)code);
	SIM_WS_CHECK(world, client->reason_len == strlen(reason));
	SIM_WS_CHECK(world, memcmp(client->reason, reason, client->reason_len) == 0);
	if (has_close)
		SIM_WS_CHECK(world, client->close_code == (visit->ending == END_EMPTY_CLOSE ? 0 : code));
}

/* --- schedules -------------------------------------------------------------------------------- */

static void config_random(struct sim_ws *world)
{
	static const size_t queue[] = { 300, 5000, 100000, 1 << 20 };
	struct per__sim *sim = world->http.sim;
	per_ws_config *config = &world->config;

	config->queue_bytes = one_of(sim, queue, PER_ARRAY_LEN(queue));
	config->policy = (per_ws_policy)sim_random_below(sim, 3);
	config->message_bytes_max = LIMIT_BYTES;
	config->deflate = sim_chance(sim, SIM_MILLION * 3 / 4);
	config->deflate_level = (int)sim_random_below(sim, 10);
	config->deflate_min_bytes = 1 + (size_t)sim_random_below(sim, 100);
	config->server_window_bits = sim_chance(sim, SIM_MILLION / 4) ? 9 : 0;
	config->client_window_bits = sim_chance(sim, SIM_MILLION / 4) ? 10 : 0;
	config->server_no_context_takeover = sim_chance(sim, SIM_MILLION / 4);
	config->client_no_context_takeover = sim_chance(sim, SIM_MILLION / 4);
	/* Delays may add up to minutes where every byte comes by itself. */
	config->idle_timeout_ms = config->close_timeout_ms = 3600 * 1000;
	world->accept_ns = sim_chance(sim, SIM_MILLION / 4) ? (int64_t)sim_random_below(sim, 200000) : 0;
	world->in_pieces = sim_chance(sim, SIM_MILLION / 3);
	world->pause_chance = sim_chance(sim, SIM_MILLION / 2) ? SIM_MILLION / 5 : 0;
}

static void world_begin(struct sim_ws *world, uint64_t seed, size_t memory, bool with_resets)
{
	const per_ws_config nothing = { 0 };
	struct per__sim_faults *faults;

	sim_ws_begin(world, seed, &nothing, memory);
	sim_faults_random(world->http.sim, with_resets);
	faults = sim_faults(world->http.sim);
	faults->rst_loses = with_resets ? SIM_MILLION / 2 : 0;
	config_random(world);
}

static void schedule_run(uint64_t seed, bool with_resets)
{
	struct sim_ws world;
	struct visit visits[PEERS_MAX];
	size_t count;

	world_begin(&world, seed, 0, with_resets);
	count = 1 + (size_t)sim_random_below(world.http.sim, PEERS_MAX);
	for (size_t i = 0; i < count; i++) {
		visit_open(&world, &visits[i]);
		visit_talk(&visits[i]); /* data right behind the request */
	}
	SIM_WS_RUN_UNTIL(&world, sim_ws_all_over(&world));
	for (size_t i = 0; i < count && !with_resets; i++)
		visit_check(&world, &visits[i]);
	if (!with_resets)
		SIM_WS_CHECK(&world, sim_http_stats(&world.http).timeouts == 0);
	SIM_WS_CHECK(&world, world.queued_over_most < 400);
	sim_ws_end(&world);
}

static void schedule_exact(uint64_t seed)
{
	schedule_run(seed, false);
}

static void schedule_resets(uint64_t seed)
{
	schedule_run(seed, true);
}

/*
 * Little memory: a conversation ends early or is exact; afterwards everything is back, and the next one goes
 * well.
 */
static void schedule_memory(uint64_t seed)
{
	struct sim_ws world;
	struct visit visits[PEERS_MAX * 2];

	world_begin(&world, seed, ((size_t)1 << 20) + ((size_t)seed % 8 << 18), false);
	world.config.deflate_memory_bytes = sim_chance(world.http.sim, SIM_MILLION / 2) ? 150000 : 0;
	for (size_t i = 0; i < PER_ARRAY_LEN(visits); i++) {
		visit_open(&world, &visits[i]);
		visits[i].client->may_be_declined = true;
		sim_ws_send_cut(visits[i].client);
		SIM_WS_RUN_UNTIL(&world, visits[i].client->is_upgraded);
		visit_talk(&visits[i]);
	}
	SIM_WS_RUN_UNTIL(&world, sim_ws_all_over(&world));
	sim_ws_check_empty(&world);
	for (size_t i = 0; i < PER_ARRAY_LEN(visits); i++) {
		const struct sim_ws_client *client = visits[i].client;
		bool is_short =
			client->code == 1009 || client->code == 1011 || sim_peer_saw_rst(client->peer);

		SIM_WS_CHECK(&world, client->opened == 1);
		SIM_WS_CHECK(&world, is_short || sim_ws_client_has_all(client));
	}
	visits[0].client = sim_ws_client_new(&world, NULL);
	sim_ws_message(visits[0].client, SIM_WS_TEXT, "after the storm", 15, 3, SIM_MILLION);
	sim_ws_close(visits[0].client, 1000, "");
	sim_ws_send_cut(visits[0].client);
	SIM_WS_RUN_UNTIL(&world, sim_ws_all_over(&world));
	SIM_WS_CHECK(&world, sim_ws_client_has_all(visits[0].client));
	SIM_WS_CHECK(&world, visits[0].client->close_code == 1000);
	sim_ws_end(&world);
}

/* --- publishing ------------------------------------------------------------------------------- */

struct subscriber {
	struct sim_ws_client *client;
	bool is_reset, has_any;
	uint32_t next; /* number of the message that is due */
	uint32_t talks;
};

struct publishing {
	struct sim_ws world;
	struct subscriber subscriber[SUBSCRIBERS];
	uint32_t total;
};

/* The message of that number: the same on both sides. */
static size_t news_make(uint8_t *data, uint32_t number)
{
	size_t len = 4 + number * 7919u % (number % 10 == 9 ? 70000u : 1500u);

	for (size_t i = 4; i < len; i++)
		data[i] = (uint8_t)(number + i / 16);
	memcpy(data, &number, 4);
	return len;
}

/* Worth compressing, with what came before in sight. */
static const char talk[] =
	"all the news that fits the window, all the news that fits the frame, and none of it new";

static void news_arrived(struct sim_ws_client *client, unsigned opcode, const uint8_t *data, size_t len)
{
	static uint8_t want[80000];
	struct publishing *all = PER_CONTAINER_OF(client->world, struct publishing, world);
	struct subscriber *subscriber = &all->subscriber[client->index];
	uint32_t number = 0;

	if (opcode == SIM_WS_TEXT) {
		SIM_WS_CHECK(client->world, len == sizeof(talk) - 1 && memcmp(data, talk, len) == 0);
		subscriber->talks++;
		return;
	}
	SIM_WS_CHECK(client->world, opcode == SIM_WS_BINARY && len >= 4);
	memcpy(&number, data, 4);
	if (!subscriber->has_any)
		SIM_WS_CHECK(client->world, number <= client->open_mark);
	else
		SIM_WS_CHECK(client->world, number == subscriber->next);
	subscriber->has_any = true;
	subscriber->next = number + 1;
	SIM_WS_CHECK(client->world, len == news_make(want, number));
	SIM_WS_CHECK(client->world, memcmp(data, want, len) == 0);
}

static void publish_script(struct per__sim *sim, void *arg)
{
	static uint8_t data[80000];
	struct publishing *all = arg;
	uint32_t burst = 1 + (uint32_t)sim_random_below(sim, 4);

	for (uint32_t i = 0; i < burst && all->world.published < all->total; i++) {
		size_t len = news_make(data, all->world.published++);

		SIM_WS_CHECK(&all->world, per_ws_publish(all->world.http.server, PER_S("news"), PER_WS_BINARY,
							 data, len) == 0);
	}
	if (all->world.published < all->total)
		sim_after(sim, (int64_t)sim_random_below(sim, 500000), publish_script, all);
}

static bool publishing_is_done(struct publishing *all)
{
	if (all->world.published < all->total)
		return false;
	for (size_t i = 0; i < SUBSCRIBERS; i++) {
		struct subscriber *subscriber = &all->subscriber[i];
		struct sim_ws_client *client = subscriber->client;

		if (sim_ws_client_is_over(client) || (subscriber->is_reset && client->closed > 0))
			continue;
		if (client->opened == 0 || (client->open_mark < all->total && subscriber->next < all->total))
			return false;
	}
	return true;
}

/* Everybody who stays gets every message from the one on that was published next, in order. */
static void schedule_publish(uint64_t seed)
{
	static struct publishing all;
	struct per__sim *sim;

	memset(&all, 0, sizeof(all));
	world_begin(&all.world, seed, 0, false);
	sim = all.world.http.sim;
	sim_faults(sim)->recv_bytes_max = sim_faults(sim)->send_bytes_max = 0;
	sim_faults(sim)->sndbuf_bytes += 500;
	all.world.config.queue_bytes = (size_t)8 << 20;
	all.world.accept_ns = 0;
	all.world.topic = "news";
	all.total = 1 + (uint32_t)sim_random_below(sim, 30);
	for (size_t i = 0; i < SUBSCRIBERS; i++) {
		struct sim_ws_client *client =
			sim_ws_client_new(&all.world, i % 3 == 0 ? offers[i % 5] : NULL);

		all.subscriber[i].client = client;
		client->wants_anything = true;
		client->on_frame = news_arrived;
		all.subscriber[i].is_reset = sim_chance(sim, SIM_MILLION / 3);
		if (all.subscriber[i].is_reset)
			sim_peer_reset_after(client->peer, (int64_t)sim_random_below(sim, 6000000));
		for (size_t j = 0; j < TALKS; j++) {
			sim_ws_send_cut(client);
			sim_ws_message(client, SIM_WS_TEXT, talk, sizeof(talk) - 1, 1, 0);
		}
		sim_ws_send_cut(client);
	}
	publish_script(sim, &all);
	SIM_WS_RUN_UNTIL(&all.world, publishing_is_done(&all));
	for (size_t i = 0; i < SUBSCRIBERS; i++) {
		SIM_WS_CHECK(&all.world, all.subscriber[i].is_reset || all.subscriber[i].client->closed == 0);
		sim_ws_close(all.subscriber[i].client, 1000, "");
		sim_ws_send(all.subscriber[i].client);
	}
	SIM_WS_RUN_UNTIL(&all.world, sim_ws_all_over(&all.world));
	for (size_t i = 0; i < SUBSCRIBERS; i++) {
		const struct subscriber *subscriber = &all.subscriber[i];

		SIM_WS_CHECK(&all.world, subscriber->is_reset || subscriber->client->close_code == 1000);
		SIM_WS_CHECK(&all.world, subscriber->is_reset || subscriber->talks == TALKS);
	}
	sim_ws_end(&all.world);
}

/* --- running ---------------------------------------------------------------------------------- */

static void schedules_run(void (*run)(uint64_t seed))
{
	const char *text = getenv("PER_SIM_SECONDS");
	int64_t limit_ns = real_ns() + (text != NULL ? atoi(text) : SECONDS_DEFAULT) * INT64_C(1000000000);
	bool is_replay;
	uint64_t seed = sim_seed_from_env(&is_replay), count = 0;

	do
		run(seed + count++);
	while (!is_replay && real_ns() < limit_ns);
	print_message("%" PRIu64 " schedules from PER_SEED=0x%" PRIx64 "\n", count, seed);
}

static void test_sim_ws_random_schedules_every_frame_is_the_one_due(void **state)
{
	(void)state;
	schedules_run(schedule_exact);
}

static void test_sim_ws_random_schedules_with_resets_leave_nothing(void **state)
{
	(void)state;
	schedules_run(schedule_resets);
}

static void test_sim_ws_little_memory_ends_some_and_spoils_none(void **state)
{
	(void)state;
	schedules_run(schedule_memory);
}

static void test_sim_ws_publish_to_fifty_all_who_stay_get_all_in_order(void **state)
{
	(void)state;
	schedules_run(schedule_publish);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sim_ws_random_schedules_every_frame_is_the_one_due),
		cmocka_unit_test(test_sim_ws_random_schedules_with_resets_leave_nothing),
		cmocka_unit_test(test_sim_ws_little_memory_ends_some_and_spoils_none),
		cmocka_unit_test(test_sim_ws_publish_to_fifty_all_who_stay_get_all_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
