/* SPDX-License-Identifier: MIT */
/* ctest: timeout=240
 * sim_ws_time_test.c - WebSockets on the virtual clock: readers that are too slow under each policy, pings on
 * silence, pongs that stay away, close frames that nobody answers. Times are exact but for one tick of the
 * timer wheel.
 */
#include "sim/sim_ws.h"

#include "core/timer.h"
#include "ws/ws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SEEDS 40u
#define QUEUE_BYTES 20000u
#define MESSAGES 300
#define EVERY_NS (4 * SIM_WS_MS_NS)               /* 250,000 bytes per second */
#define LATE_NS (2 * PER__TICK_MS * SIM_WS_MS_NS) /* a tick, rounded up, and the turns */
#define IDLE_MS 5000
#define PONG_MS 2000
#define CLOSE_MS 3000

static void wait_ms(struct sim_ws *world, int64_t ms)
{
	int64_t end_ns = sim_now_ns(world->http.sim) + ms * SIM_WS_MS_NS;

	while (sim_now_ns(world->http.sim) < end_ns) {
		SIM_WS_CHECK(world, per_server_poll(world->http.server, 10) == 1);
		for (uint32_t i = 0; i < world->client_cnt; i++)
			sim_ws_client_read(world->clients[i]);
	}
}

/* --- readers that are too slow ---------------------------------------------------------------- */

/* What came: numbers, and messages without one. */
struct reading {
	struct sim_ws world;
	struct sim_ws_client *client;
	struct sim_ws_bytes numbers;
	int64_t next; /* to be ordered */
	uint32_t empty;
};

static void number_arrived(struct sim_ws_client *client, unsigned opcode, const uint8_t *data, size_t len)
{
	struct reading *reading = PER_CONTAINER_OF(client->world, struct reading, world);
	char text[13] = { 0 };
	int64_t number;

	SIM_WS_CHECK(client->world, opcode == SIM_WS_BINARY);
	SIM_WS_CHECK(client->world, len == 0 || len == SIM_WS_NUMBERED_BYTES);
	if (len == 0) {
		reading->empty++;
		return;
	}
	memcpy(text, data, 12);
	number = atoll(text);
	sim_ws_append(&reading->numbers, &number, sizeof(number));
}

static int64_t number_at(const struct sim_ws_bytes *numbers, size_t i)
{
	int64_t number;

	memcpy(&number, numbers->data + i * sizeof(number), sizeof(number));
	return number;
}

static size_t number_count(const struct sim_ws_bytes *numbers)
{
	return numbers->len / sizeof(int64_t);
}

static void feed_script(struct per__sim *sim, void *arg)
{
	struct reading *reading = arg;

	if (reading->next == MESSAGES)
		return;
	sim_ws_order(reading->client, 0, SIM_WS_ORDER_SEND, reading->next++);
	sim_after(sim, EVERY_NS, feed_script, reading);
}

/* A client that reads a part of what the application sends, until the application has sent everything. */
static void reading_begin(struct reading *reading, uint64_t seed, per_ws_policy policy, uint64_t rate)
{
	const per_ws_config config = { .queue_bytes = QUEUE_BYTES, .policy = policy };
	struct sim_ws *world = &reading->world;

	memset(reading, 0, sizeof(*reading));
	sim_ws_begin(world, seed, &config, 0);
	sim_faults_random(world->http.sim, false);
	sim_faults(world->http.sim)->send_bytes_max = 0;
	sim_faults(world->http.sim)->sndbuf_bytes = 500 + seed % 10 * 1000;
	reading->client = sim_ws_client_new(world, NULL);
	reading->client->wants_anything = true;
	reading->client->on_frame = number_arrived;
	sim_ws_send(reading->client);
	SIM_WS_RUN_UNTIL(world, reading->client->is_upgraded);
	sim_peer_set_read_rate(reading->client->peer, rate);
	feed_script(world->http.sim, reading);
	SIM_WS_RUN_UNTIL(world, reading->next == MESSAGES && world->http.posted == world->http.posts_run);
}

static void reading_end(struct reading *reading)
{
	if (!reading->client->saw_close) {
		sim_ws_close(reading->client, 1000, "");
		sim_ws_send(reading->client);
	}
	sim_ws_end(&reading->world);
	free(reading->numbers.data);
}

static void test_sim_ws_slow_reader_policy_close_is_1008_behind_what_was_queued(void **state)
{
	struct reading reading;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct sim_ws *world = &reading.world;
		size_t count;

		reading_begin(&reading, seed, PER_WS_POLICY_CLOSE, 1000 + seed * 2000);
		SIM_WS_RUN_UNTIL(world, sim_ws_all_over(world));
		count = number_count(&reading.client->taken);
		SIM_WS_CHECK(world, reading.client->close_code == 1008);
		SIM_WS_CHECK(world, reading.client->code == 1008);
		SIM_WS_CHECK(world, reading.client->send_error == PER_ESTATE);
		SIM_WS_CHECK(world, count >= QUEUE_BYTES / SIM_WS_NUMBERED_BYTES && count < MESSAGES);
		SIM_WS_CHECK(world, reading.numbers.len == reading.client->taken.len);
		for (size_t i = 0; i < count; i++)
			SIM_WS_CHECK(world, number_at(&reading.numbers, i) == (int64_t)i);
		reading_end(&reading);
	}
}

static void test_sim_ws_slow_reader_policy_drop_has_exactly_what_was_taken(void **state)
{
	struct reading reading;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct sim_ws *world = &reading.world;
		struct sim_ws_client *client;

		reading_begin(&reading, seed, PER_WS_POLICY_DROP, 5000 + seed * 2000);
		client = reading.client;
		SIM_WS_CHECK(world, number_count(&client->taken) < MESSAGES && client->again > 0);
		SIM_WS_RUN_UNTIL(world, reading.numbers.len >= client->taken.len);
		SIM_WS_CHECK(world, reading.numbers.len == client->taken.len);
		SIM_WS_CHECK(world, memcmp(reading.numbers.data, client->taken.data, client->taken.len) == 0);
		SIM_WS_RUN_UNTIL(world, client->drains > 0);
		SIM_WS_CHECK(world, client->drains <= client->again);
		reading_end(&reading);
	}
}

static void test_sim_ws_slow_reader_policy_latest_ends_with_the_last(void **state)
{
	struct reading reading;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct sim_ws *world = &reading.world;
		size_t count;

		reading_begin(&reading, seed, PER_WS_POLICY_LATEST, 5000 + seed * 2000);
		SIM_WS_RUN_UNTIL(world, number_count(&reading.numbers) > 0 &&
						number_at(&reading.numbers, number_count(&reading.numbers) -
										    1) == MESSAGES - 1);
		count = number_count(&reading.numbers);
		SIM_WS_CHECK(world, count < MESSAGES);
		for (size_t i = 1; i < count; i++)
			SIM_WS_CHECK(world,
				     number_at(&reading.numbers, i - 1) < number_at(&reading.numbers, i));
		SIM_WS_RUN_UNTIL(world, reading.client->drains > 0);
		reading_end(&reading);
	}
}

static void test_sim_ws_close_while_the_latest_waits_sends_it_first(void **state)
{
	struct reading reading;
	struct sim_ws *world = &reading.world;

	(void)state;
	reading_begin(&reading, 1, PER_WS_POLICY_LATEST, 1000);
	sim_ws_order(reading.client, 0, SIM_WS_ORDER_CLOSE, 1000);
	sim_peer_set_read_rate(reading.client->peer, SIM_RATE_UNLIMITED);
	SIM_WS_RUN_UNTIL(world, sim_ws_all_over(world));
	SIM_WS_CHECK(world, reading.client->close_code == 1000);
	SIM_WS_CHECK(world, number_at(&reading.numbers, number_count(&reading.numbers) - 1) == MESSAGES - 1);
	reading_end(&reading);
}

static void test_sim_ws_abort_while_the_latest_waits_leaves_nothing(void **state)
{
	struct reading reading;
	struct sim_ws *world = &reading.world;

	(void)state;
	reading_begin(&reading, 1, PER_WS_POLICY_LATEST, 1000);
	SIM_WS_CHECK(world, reading.client->send_error == PER_EAGAIN);
	sim_ws_order(reading.client, 0, SIM_WS_ORDER_ABORT, 0);
	SIM_WS_RUN_UNTIL(world, sim_ws_all_over(world));
	sim_ws_check_empty(world);
	reading.client->saw_close = true; /* none is to come */
	reading_end(&reading);
}

/* The message that waits has taken the memory that sending it would need: one close frame says so. */
static void latest_without_memory(bool closes)
{
	const per_ws_config config = { .queue_bytes = QUEUE_BYTES, .policy = PER_WS_POLICY_LATEST };
	static const uint8_t data[300000];
	struct sim_ws_client *client;
	struct sim_ws world;

	sim_ws_begin(&world, 1, &config, (size_t)1 << 20);
	sim_faults(world.http.sim)->sndbuf_bytes = 5000;
	world.topic = "news";
	client = sim_ws_client_new(&world, NULL);
	client->wants_anything = true;
	sim_ws_send(client);
	SIM_WS_RUN_UNTIL(&world, client->is_upgraded);
	sim_peer_set_read_rate(client->peer, 1000);
	for (int i = 0; i < 2; i++)
		SIM_WS_CHECK(&world, per_ws_publish(world.http.server, PER_S("news"), PER_WS_BINARY, data,
						    i == 0 ? 2 * QUEUE_BYTES : sizeof(data)) == 0);
	wait_ms(&world, 100);
	SIM_WS_CHECK(&world, per_ws_queued(client->ws) > sizeof(data));
	if (closes)
		sim_ws_order(client, 0, SIM_WS_ORDER_CLOSE, 1000);
	wait_ms(&world, 100);
	sim_peer_set_read_rate(client->peer, SIM_RATE_UNLIMITED);
	SIM_WS_RUN_UNTIL(&world, sim_ws_all_over(&world));
	SIM_WS_CHECK(&world, client->close_code == 1011);
	SIM_WS_CHECK(&world, client->code == 1011);
	sim_ws_end(&world);
}

static void test_sim_ws_latest_without_memory_is_1011_once(void **state)
{
	(void)state;
	latest_without_memory(false);
	latest_without_memory(true);
}

static void test_sim_ws_latest_may_be_empty(void **state)
{
	struct reading reading;
	struct sim_ws *world = &reading.world;

	(void)state;
	reading_begin(&reading, 1, PER_WS_POLICY_LATEST, 1000);
	sim_ws_order(reading.client, 0, SIM_WS_ORDER_SEND, -1);
	SIM_WS_RUN_UNTIL(world, reading.empty == 1);
	SIM_WS_CHECK(world, number_at(&reading.numbers, number_count(&reading.numbers) - 1) < MESSAGES - 1);
	reading_end(&reading);
}

/* It asks and does not read the answers: it has to wait, and its pongs come in order when it reads. */
static void test_sim_ws_flood_of_pings_unread_queue_is_bounded(void **state)
{
	const per_ws_config config = { .queue_bytes = QUEUE_BYTES };
	struct sim_ws_client *client;
	struct sim_ws world;

	(void)state;
	sim_ws_begin(&world, 1, &config, 0);
	sim_faults(world.http.sim)->sndbuf_bytes = 5000;
	client = sim_ws_client_new(&world, NULL);
	sim_ws_send(client);
	SIM_WS_RUN_UNTIL(&world, client->is_upgraded);
	sim_peer_set_read_rate(client->peer, 1000);
	for (int i = 0; i < 5000; i++)
		sim_ws_ping(client, "0123456789012345678901234567890123456789", (size_t)i % 41);
	sim_ws_send(client);
	for (int i = 0; i < 1000; i++) {
		wait_ms(&world, 10);
		SIM_WS_CHECK(&world, per_ws_queued(client->ws) <= QUEUE_BYTES + 2 + 40);
	}
	SIM_WS_CHECK(&world, sim_peer_unread(client->peer) > 50000);
	SIM_WS_CHECK(&world, per_ws_queued(client->ws) > QUEUE_BYTES / 4);
	sim_peer_set_read_rate(client->peer, SIM_RATE_UNLIMITED);
	sim_ws_close(client, 1000, "");
	sim_ws_send(client);
	SIM_WS_RUN_UNTIL(&world, sim_ws_all_over(&world));
	SIM_WS_CHECK(&world, sim_ws_client_has_all(client));
	SIM_WS_CHECK(&world, client->close_code == 1000);
	sim_ws_end(&world);
}

/* One subscriber reads nothing; the other has every message in the turn it was published in, or the next. */
static void test_sim_ws_slow_subscriber_delays_nobody(void **state)
{
	const per_ws_config config = { .queue_bytes = QUEUE_BYTES, .policy = PER_WS_POLICY_DROP };
	static const uint8_t data[2000];
	struct sim_ws_client *slow, *fast;
	struct sim_ws world;

	(void)state;
	sim_ws_begin(&world, 1, &config, 0);
	sim_faults(world.http.sim)->sndbuf_bytes = 5000;
	world.topic = "news";
	slow = sim_ws_client_new(&world, NULL);
	fast = sim_ws_client_new(&world, NULL);
	slow->wants_anything = fast->wants_anything = true;
	sim_ws_send(slow);
	sim_ws_send(fast);
	SIM_WS_RUN_UNTIL(&world, slow->is_upgraded && fast->is_upgraded);
	sim_peer_set_read_rate(slow->peer, 10);
	for (uint32_t i = 1; i <= 100; i++) {
		int64_t begin_ns = sim_now_ns(world.http.sim);

		SIM_WS_CHECK(&world, per_ws_publish(world.http.server, PER_S("news"), PER_WS_TEXT, data,
						    sizeof(data)) == 0);
		SIM_WS_RUN_UNTIL(&world, fast->frames == i);
		SIM_WS_CHECK(&world, fast->frame_ns - begin_ns < SIM_WS_MS_NS);
		SIM_WS_CHECK(&world, per_ws_queued(slow->ws) <= QUEUE_BYTES + sizeof(data) + 10);
	}
	sim_ws_order(slow, 0, SIM_WS_ORDER_ABORT, 0);
	sim_ws_order(fast, 0, SIM_WS_ORDER_ABORT, 0);
	sim_ws_end(&world);
}

/* --- silence ---------------------------------------------------------------------------------- */

static const per_ws_config timeouts = {
	.idle_timeout_ms = IDLE_MS,
	.pong_timeout_ms = PONG_MS,
	.close_timeout_ms = CLOSE_MS,
};

static struct sim_ws_client *open_one(struct sim_ws *world, uint64_t seed)
{
	struct sim_ws_client *client;

	sim_ws_begin(world, seed, &timeouts, 0);
	client = sim_ws_client_new(world, NULL);
	client->wants_anything = true;
	sim_ws_send(client);
	SIM_WS_RUN_UNTIL(world, client->is_upgraded);
	return client;
}

/* ns from then on, but for a tick. */
static bool is_after(int64_t then_ns, int64_t ms, int64_t now_ns)
{
	return now_ns - then_ns >= ms * SIM_WS_MS_NS && now_ns - then_ns <= ms * SIM_WS_MS_NS + LATE_NS;
}

static void test_sim_ws_silence_is_pinged_and_a_pong_is_enough(void **state)
{
	struct sim_ws world;
	struct sim_ws_client *client = open_one(&world, 1);

	(void)state;
	SIM_WS_RUN_UNTIL(&world, client->pings == 1);
	SIM_WS_CHECK(&world, is_after(client->open_ns, IDLE_MS, client->frame_ns));
	for (uint32_t i = 2; i < 20; i++) {
		int64_t before_ns = client->frame_ns;

		SIM_WS_RUN_UNTIL(&world, client->pings == i);
		/* The pong came at once, and is noticed when its time is over. */
		SIM_WS_CHECK(&world, client->frame_ns - before_ns >= IDLE_MS * SIM_WS_MS_NS);
		SIM_WS_CHECK(&world, client->frame_ns - before_ns <=
					     (IDLE_MS + PONG_MS) * SIM_WS_MS_NS + 2 * LATE_NS);
		SIM_WS_CHECK(&world, client->pongs == i - 1);
	}
	SIM_WS_CHECK(&world, client->closed == 0);
	sim_ws_fin(client);
	sim_ws_end(&world);
}

static void test_sim_ws_ping_without_pong_is_cut_in_time(void **state)
{
	struct sim_ws world;
	struct sim_ws_client *client = open_one(&world, 1);

	(void)state;
	client->keeps_pings = true;
	SIM_WS_RUN_UNTIL(&world, sim_ws_all_over(&world));
	SIM_WS_CHECK(&world, client->pings == 1);
	SIM_WS_CHECK(&world, is_after(client->open_ns, IDLE_MS, client->frame_ns));
	SIM_WS_CHECK(&world, is_after(client->frame_ns, PONG_MS, client->close_ns));
	SIM_WS_CHECK(&world, client->code == SIM_WS_LOST);
	SIM_WS_CHECK(&world, sim_peer_saw_rst(client->peer));
	SIM_WS_CHECK(&world, sim_http_stats(&world.http).timeouts == 1);
	sim_ws_end(&world);
}

static void test_sim_ws_what_the_server_sends_does_not_count_as_heard(void **state)
{
	struct sim_ws world;
	struct sim_ws_client *client = open_one(&world, 1);

	(void)state;
	client->keeps_pings = true;
	for (int i = 0; client->closed == 0; i++) {
		sim_ws_order(client, 0, SIM_WS_ORDER_SEND, i);
		wait_ms(&world, 300);
		SIM_WS_CHECK(&world, i < 40);
	}
	SIM_WS_CHECK(&world, client->pings == 1);
	SIM_WS_CHECK(&world,
		     is_after(client->open_ns, IDLE_MS + PONG_MS, client->close_ns) ||
			     is_after(client->open_ns + LATE_NS, IDLE_MS + PONG_MS, client->close_ns));
	sim_ws_end(&world);
}

static void test_sim_ws_whoever_talks_is_not_pinged(void **state)
{
	struct sim_ws world;
	struct sim_ws_client *client = open_one(&world, 1);
	int64_t last_ns;

	(void)state;
	for (int i = 0; i < 40; i++) {
		sim_ws_command(client, "!quiet");
		sim_ws_send(client);
		wait_ms(&world, 1000);
		SIM_WS_CHECK(&world, client->pings == 0);
	}
	last_ns = sim_now_ns(world.http.sim) - 1000 * SIM_WS_MS_NS;
	SIM_WS_RUN_UNTIL(&world, client->pings == 1);
	SIM_WS_CHECK(&world, client->frame_ns - last_ns >= IDLE_MS * SIM_WS_MS_NS);
	SIM_WS_CHECK(&world, client->frame_ns - last_ns <= 2 * IDLE_MS * SIM_WS_MS_NS + LATE_NS);
	sim_ws_fin(client);
	sim_ws_end(&world);
}

/* Its pongs cannot be read: that is not the peer's fault. */
static void test_sim_ws_long_pause_of_ours_does_not_cut_the_peer(void **state)
{
	struct sim_ws world;
	struct sim_ws_client *client = open_one(&world, 1);

	(void)state;
	client->wants_anything = false;
	sim_ws_order(client, 0, SIM_WS_ORDER_PAUSE, 0);
	wait_ms(&world, 10);
	sim_ws_message(client, SIM_WS_TEXT, "patience", 8, 1, 0);
	sim_ws_send(client);
	wait_ms(&world, 60000);
	SIM_WS_CHECK(&world, client->closed == 0 && client->messages == 0);
	sim_ws_order(client, 0, SIM_WS_ORDER_RESUME, 0);
	SIM_WS_RUN_UNTIL(&world, sim_ws_client_has_all(client));
	sim_ws_close(client, 1000, "");
	sim_ws_send(client);
	SIM_WS_RUN_UNTIL(&world, sim_ws_all_over(&world));
	SIM_WS_CHECK(&world, client->code == 1000);
	sim_ws_end(&world);
}

/* --- closing ---------------------------------------------------------------------------------- */

/* Nobody answers the close frame, though the peer goes on talking or not. */
static void close_unanswered(bool talks, bool is_paused)
{
	struct sim_ws world;
	struct sim_ws_client *client = open_one(&world, 1);

	client->keeps_silent = true;
	if (is_paused)
		sim_ws_order(client, 0, SIM_WS_ORDER_PAUSE, 0);
	sim_ws_order(client, 1000, SIM_WS_ORDER_CLOSE, 4321);
	SIM_WS_RUN_UNTIL(&world, client->saw_close);
	for (int i = 0; client->closed == 0; i++) {
		if (talks)
			sim_ws_frame(client, 0x81, "but", 3);
		sim_ws_send(client);
		wait_ms(&world, 100);
		SIM_WS_CHECK(&world, i < 100);
	}
	SIM_WS_CHECK(&world, is_after(client->frame_ns, CLOSE_MS, client->close_ns));
	SIM_WS_CHECK(&world, client->code == 4321);
	SIM_WS_CHECK(&world, client->messages == 0);
	SIM_WS_CHECK(&world, sim_peer_saw_rst(client->peer));
	sim_ws_end(&world);
}

static void test_sim_ws_close_unanswered_is_cut_in_time(void **state)
{
	(void)state;
	close_unanswered(false, false);
	close_unanswered(true, false);
	close_unanswered(true, true);
}

/* Whoever pauses and closes hears the peer's answer at once. */
static void test_sim_ws_close_while_paused_hears_the_answer(void **state)
{
	struct sim_ws world;
	struct sim_ws_client *client = open_one(&world, 1);

	(void)state;
	sim_ws_order(client, 0, SIM_WS_ORDER_PAUSE, 0);
	wait_ms(&world, 10);
	sim_ws_frame(client, 0x81, "unheard", 7);
	sim_ws_send(client);
	wait_ms(&world, 10);
	sim_ws_order(client, 0, SIM_WS_ORDER_CLOSE, 4321);
	wait_ms(&world, 10);
	SIM_WS_CHECK(&world, sim_ws_all_over(&world));
	SIM_WS_CHECK(&world, client->close_code == 4321);
	SIM_WS_CHECK(&world, client->code == 4321 && client->messages == 0);
	sim_ws_end(&world);
}

/* The time of the peer begins when our close frame is on its way. */
static void test_sim_ws_close_behind_a_slow_queue_waits_for_the_queue(void **state)
{
	struct sim_ws world;
	struct sim_ws_client *client = open_one(&world, 1);

	(void)state;
	sim_faults(world.http.sim)->sndbuf_bytes = 1000;
	sim_peer_set_read_rate(client->peer, 1000);
	for (int i = 0; i < 10; i++)
		sim_ws_order(client, 0, SIM_WS_ORDER_SEND, i);
	sim_ws_order(client, 1000, SIM_WS_ORDER_CLOSE, 4321);
	SIM_WS_RUN_UNTIL(&world, sim_ws_all_over(&world));
	SIM_WS_CHECK(&world, client->frames == 11);
	SIM_WS_CHECK(&world, client->close_code == 4321);
	SIM_WS_CHECK(&world, client->close_ns - client->open_ns > 9 * SIM_HTTP_SECOND_NS);
	SIM_WS_CHECK(&world, sim_peer_saw_fin(client->peer));
	SIM_WS_CHECK(&world, sim_http_stats(&world.http).timeouts == 0);
	sim_ws_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sim_ws_slow_reader_policy_close_is_1008_behind_what_was_queued),
		cmocka_unit_test(test_sim_ws_slow_reader_policy_drop_has_exactly_what_was_taken),
		cmocka_unit_test(test_sim_ws_slow_reader_policy_latest_ends_with_the_last),
		cmocka_unit_test(test_sim_ws_close_while_the_latest_waits_sends_it_first),
		cmocka_unit_test(test_sim_ws_abort_while_the_latest_waits_leaves_nothing),
		cmocka_unit_test(test_sim_ws_latest_without_memory_is_1011_once),
		cmocka_unit_test(test_sim_ws_latest_may_be_empty),
		cmocka_unit_test(test_sim_ws_flood_of_pings_unread_queue_is_bounded),
		cmocka_unit_test(test_sim_ws_slow_subscriber_delays_nobody),
		cmocka_unit_test(test_sim_ws_silence_is_pinged_and_a_pong_is_enough),
		cmocka_unit_test(test_sim_ws_ping_without_pong_is_cut_in_time),
		cmocka_unit_test(test_sim_ws_what_the_server_sends_does_not_count_as_heard),
		cmocka_unit_test(test_sim_ws_whoever_talks_is_not_pinged),
		cmocka_unit_test(test_sim_ws_long_pause_of_ours_does_not_cut_the_peer),
		cmocka_unit_test(test_sim_ws_close_unanswered_is_cut_in_time),
		cmocka_unit_test(test_sim_ws_close_while_paused_hears_the_answer),
		cmocka_unit_test(test_sim_ws_close_behind_a_slow_queue_waits_for_the_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
