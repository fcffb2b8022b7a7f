/* SPDX-License-Identifier: MIT */
/*
 * core_timer_test.c - the timer wheel under a virtual clock, alone and against a model: a plain array.
 */
#include "core/timer.h"

#include "support/unit.h"

#define TICK_NS ((int64_t)PER__TICK_MS * 1000000)
#define ROUND_NS (TICK_NS * PER__WHEEL_BUCKETS)
#define SLOTS 300u

struct owner { /* a timer inside something larger, as in a connection */
	uint64_t before;
	struct per__timer timer;
	uint32_t behind;
};

struct world {
	struct per__wheel wheel;
	struct owner owner[SLOTS];
	int64_t deadline_ns[SLOTS]; /* the model; -1: not set */
	int64_t set_at_ns[SLOTS];
	int64_t now_ns;
	uint32_t set_cnt;
};

static void world_init(struct world *world, int64_t now_ns)
{
	memset(world, 0, sizeof(*world));
	world->now_ns = now_ns;
	per__wheel_init(&world->wheel, &world->owner[0].timer, sizeof(world->owner[0]), now_ns);
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		world->deadline_ns[slot] = -1;
}

static void world_set(struct world *world, uint32_t slot, int64_t deadline_ns)
{
	per__wheel_set(&world->wheel, slot, deadline_ns);
	world->set_cnt += world->deadline_ns[slot] < 0;
	world->deadline_ns[slot] = PER_MAX(0, deadline_ns);
	world->set_at_ns[slot] = world->now_ns;
}

static void world_clear(struct world *world, uint32_t slot)
{
	per__wheel_clear(&world->wheel, slot);
	world->set_cnt -= world->deadline_ns[slot] >= 0;
	world->deadline_ns[slot] = -1;
}

/* Checks one expired slot against the model: set, not early, at most a tick late against the turn before. */
static void world_fired(struct world *world, uint32_t slot, int64_t turn_before_ns)
{
	int64_t deadline_ns = world->deadline_ns[slot];

	assert_true(slot < SLOTS);
	assert_true(deadline_ns >= 0);
	assert_true(deadline_ns <= world->now_ns);
	assert_true(turn_before_ns < PER_MAX(deadline_ns, world->set_at_ns[slot]) + TICK_NS);
	assert_false(per__wheel_is_set(&world->wheel, slot));
	world->deadline_ns[slot] = -1;
	world->set_cnt--;
}

static int64_t soonest_ns(const struct world *world)
{
	int64_t soonest = INT64_MAX;

	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		if (world->deadline_ns[slot] >= 0)
			soonest = PER_MIN(soonest, PER_MAX(world->deadline_ns[slot], world->set_at_ns[slot]));
	}
	return soonest;
}

static void test_timer_empty_never_wakes(void **state)
{
	struct world *world = *state;

	world_init(world, 5);
	assert_int_equal(per__wheel_wait_ns(&world->wheel, 5), -1);
	assert_int_equal(per__wheel_expire(&world->wheel, 100 * ROUND_NS), -1);
	assert_int_equal(per__wheel_wait_ns(&world->wheel, 100 * ROUND_NS), -1);
	per__wheel_set(&world->wheel, 7, 101 * ROUND_NS);
	assert_true(per__wheel_wait_ns(&world->wheel, 100 * ROUND_NS) > 0);
	per__wheel_clear(&world->wheel, 7);
	assert_int_equal(per__wheel_wait_ns(&world->wheel, 100 * ROUND_NS), -1);
}

static void test_timer_one_deadline_fires_within_a_tick(void **state)
{
	struct world *world = *state;

	for (int64_t delay_ns = 0; delay_ns < 3 * TICK_NS; delay_ns += TICK_NS / 7) {
		world_init(world, 12345);
		per__wheel_set(&world->wheel, 3, 12345 + delay_ns);
		if (delay_ns > 0)
			assert_int_equal(per__wheel_expire(&world->wheel, 12345 + delay_ns - 1), -1);
		assert_true(per__wheel_is_set(&world->wheel, 3));
		assert_int_equal(per__wheel_expire(&world->wheel, 12345 + delay_ns + TICK_NS), 3);
		assert_int_equal(per__wheel_expire(&world->wheel, 12345 + delay_ns + TICK_NS), -1);
		assert_false(per__wheel_is_set(&world->wheel, 3));
	}
}

static void test_timer_wait_leads_to_the_expiry(void **state)
{
	struct world *world = *state;
	int64_t wait_ns;

	world_init(world, 0);
	per__wheel_set(&world->wheel, 0, 30 * TICK_NS + 1);
	wait_ns = per__wheel_wait_ns(&world->wheel, 0);
	assert_int_equal(wait_ns, 31 * TICK_NS);
	assert_int_equal(per__wheel_expire(&world->wheel, wait_ns - 1), -1);
	assert_int_equal(per__wheel_wait_ns(&world->wheel, wait_ns - 1), PER__WHEEL_WAIT_MIN_NS);
	assert_int_equal(per__wheel_wait_ns(&world->wheel, wait_ns), 0);
	assert_int_equal(per__wheel_expire(&world->wheel, wait_ns), 0);
}

static void test_timer_far_deadlines_wake_nobody_early(void **state)
{
	struct world *world = *state;
	int turns = 0;

	world_init(world, 1000);
	for (uint32_t slot = 0; slot < SLOTS; slot++) /* in every third bucket, four to six rounds ahead */
		world_set(world, slot, 1000 + (4 + slot % 3) * ROUND_NS + 3 * slot * TICK_NS);
	while (world->set_cnt > 0) {
		int64_t before_ns = world->now_ns;
		int64_t wait_ns = per__wheel_wait_ns(&world->wheel, before_ns);
		int64_t slot;

		assert_true(wait_ns > 0);
		world->now_ns += wait_ns;
		assert_true(world->now_ns >= soonest_ns(world));
		while ((slot = per__wheel_expire(&world->wheel, world->now_ns)) >= 0)
			world_fired(world, (uint32_t)slot, before_ns);
		turns++;
	}
	assert_int_equal(turns, SLOTS); /* each wake-up had its timer */
}

static void test_timer_earlier_ticks_come_first(void **state)
{
	struct world *world = *state;
	int64_t last_ns = 0;
	int64_t slot;

	world_init(world, 0);
	for (uint32_t i = 0; i < SLOTS; i++)
		world_set(world, i, (int64_t)(i * 7919 % 1000) * TICK_NS);
	world->now_ns = 1001 * TICK_NS;
	for (uint32_t fired = 0; fired < SLOTS; fired++) {
		slot = per__wheel_expire(&world->wheel, world->now_ns);
		assert_in_range(slot, 0, SLOTS - 1);
		assert_true(PER_MAX(TICK_NS, world->deadline_ns[slot]) >= last_ns);
		last_ns = world->deadline_ns[slot];
	}
	assert_int_equal(per__wheel_expire(&world->wheel, world->now_ns), -1);
}

static void test_timer_moved_fires_once_at_the_last_deadline(void **state)
{
	struct world *world = *state;

	world_init(world, 0);
	per__wheel_set(&world->wheel, 9, 10 * TICK_NS);
	per__wheel_set(&world->wheel, 9, 50 * TICK_NS);
	per__wheel_set(&world->wheel, 9, 20 * TICK_NS);
	assert_int_equal(per__wheel_expire(&world->wheel, 19 * TICK_NS), -1);
	assert_int_equal(per__wheel_expire(&world->wheel, 20 * TICK_NS), 9);
	assert_int_equal(per__wheel_expire(&world->wheel, 60 * TICK_NS), -1);
}

static void test_timer_cleared_is_not_fired_and_clearing_twice_is_harmless(void **state)
{
	struct world *world = *state;

	world_init(world, 0);
	for (uint32_t slot = 0; slot < 3;
	     slot++) /* the middle, the last and the first of one bucket's list */
		per__wheel_set(&world->wheel, slot, 5 * TICK_NS);
	per__wheel_clear(&world->wheel, 1);
	per__wheel_clear(&world->wheel, 1);
	per__wheel_clear(&world->wheel, 0);
	assert_int_equal(per__wheel_expire(&world->wheel, 5 * TICK_NS), 2);
	assert_int_equal(per__wheel_expire(&world->wheel, 5 * TICK_NS), -1);
	assert_int_equal(per__wheel_wait_ns(&world->wheel, 5 * TICK_NS), -1);
}

static void test_timer_set_while_expiring_waits_for_the_next_tick(void **state)
{
	struct world *world = *state;
	int fired = 0;

	world_init(world, 0);
	per__wheel_set(&world->wheel, 1, 1);
	per__wheel_set(&world->wheel, 2, 1);
	while (per__wheel_expire(&world->wheel, 100 * TICK_NS) >= 0) {
		per__wheel_set(&world->wheel, 3, 0); /* has passed already */
		fired++;
	}
	assert_int_equal(fired, 2);
	assert_int_equal(per__wheel_expire(&world->wheel, 101 * TICK_NS), 3);
}

static void test_timer_all_gone_in_the_middle_of_a_pass_loses_nothing(void **state)
{
	struct world *world = *state;

	world_init(world, 0);
	per__wheel_set(&world->wheel, 1, 5 * TICK_NS);
	per__wheel_set(&world->wheel, 2, 5 * TICK_NS);
	assert_in_range(per__wheel_expire(&world->wheel, 9 * TICK_NS), 1, 2);
	per__wheel_clear(&world->wheel, 1);
	per__wheel_clear(&world->wheel, 2);
	per__wheel_set(&world->wheel, 4, 10 * TICK_NS);
	assert_int_equal(per__wheel_expire(&world->wheel, 9 * TICK_NS), -1);
	assert_int_equal(per__wheel_expire(&world->wheel, 10 * TICK_NS), 4);
}

static void test_timer_silence_of_many_rounds_fires_everything(void **state)
{
	struct world *world = *state;
	uint32_t fired = 0;

	world_init(world, 0);
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		world_set(world, slot, (int64_t)slot * ROUND_NS / 50 + 1);
	world->now_ns = 1000 * ROUND_NS;
	while (per__wheel_expire(&world->wheel, world->now_ns) >= 0)
		fired++;
	assert_int_equal(fired, SLOTS);
	assert_int_equal(per__wheel_wait_ns(&world->wheel, world->now_ns), -1);
}

static void test_timer_absurd_deadlines_are_kept_and_clamped(void **state)
{
	struct world *world = *state;

	world_init(world, 1000);
	per__wheel_set(&world->wheel, 0, INT64_MAX);
	per__wheel_set(&world->wheel, 1, INT64_MIN);
	assert_int_equal(per__wheel_expire(&world->wheel, 1000 + TICK_NS), 1);
	assert_int_equal(per__wheel_expire(&world->wheel, 1000 + TICK_NS), -1);
	assert_true(per__wheel_wait_ns(&world->wheel, 1000) > 2ll * 365 * 86400 * 1000000000);
	assert_int_equal(per__wheel_expire(&world->wheel, 1000 + TICK_NS * (INT32_MAX / 4)), -1);
	assert_true(per__wheel_is_set(&world->wheel, 0));
}

/* Steps of all sizes, sets, moves, clears, expiries that set again; every promise is checked every time. */
static void random_run(struct world *world, uint64_t seed, int64_t start_ns)
{
	uint64_t random = seed;

	world_init(world, start_ns);
	for (int step = 0; step < 1500; step++) {
		int64_t before_ns = world->now_ns;
		int64_t wait_ns, slot;

		for (uint64_t change = test_random(&random) % 8; change > 0; change--) {
			uint32_t which = (uint32_t)(test_random(&random) % SLOTS);
			int64_t delay_ns = (int64_t)(test_random(&random) % (uint64_t)(3 * ROUND_NS));

			if (test_random(&random) % 4 == 0)
				world_clear(world, which);
			else
				world_set(world, which,
					  before_ns + (delay_ns >> test_random(&random) % 16) - TICK_NS);
		}
		wait_ns = per__wheel_wait_ns(&world->wheel, before_ns);
		assert_true((wait_ns < 0) == (world->set_cnt == 0));
		if (wait_ns < 0 || test_random(&random) % 3 == 0)
			wait_ns = (int64_t)(test_random(&random) % (uint64_t)(TICK_NS * 5));
		else
			assert_true(before_ns + wait_ns <=
				    soonest_ns(world) + TICK_NS + PER__WHEEL_WAIT_MIN_NS);
		world->now_ns += wait_ns;
		while ((slot = per__wheel_expire(&world->wheel, world->now_ns)) >= 0) {
			world_fired(world, (uint32_t)slot, before_ns);
			if (test_random(&random) % 4 == 0)
				world_set(world, (uint32_t)slot,
					  world->now_ns + (int64_t)(test_random(&random) % 9) * TICK_NS);
			if (test_random(&random) % 4 == 0)
				world_clear(world, (uint32_t)(test_random(&random) % SLOTS));
			if (test_random(&random) % 4 == 0)
				world_set(world, (uint32_t)(test_random(&random) % SLOTS),
					  world->now_ns - 3 * TICK_NS);
		}
		assert_int_equal(world->wheel.set_cnt, world->set_cnt);
		assert_true(soonest_ns(world) >
			    world->now_ns - TICK_NS); /* nothing overdue was left behind */
	}
}

static void test_timer_random_operations_match_the_model(void **state)
{
	for (uint64_t seed = 1; seed <= 60; seed++)
		random_run(*state, seed, (int64_t)seed * 1234567);
}

static void test_timer_random_operations_match_after_32_bits_of_ticks(void **state)
{
	struct world *world = *state;
	uint64_t random = 99;

	world_init(world, 0);
	world->now_ns = TICK_NS * ((1ll << 32) - 300); /* more than eight years of uptime */
	assert_int_equal(per__wheel_expire(&world->wheel, world->now_ns), -1);
	for (int step = 0; step < 3000; step++) {
		uint32_t which = (uint32_t)(test_random(&random) % SLOTS);
		int64_t before_ns = world->now_ns;
		int64_t slot;

		world_set(world, which, world->now_ns + (int64_t)(test_random(&random) % 200) * TICK_NS);
		world->now_ns += TICK_NS / 3;
		while ((slot = per__wheel_expire(&world->wheel, world->now_ns)) >= 0) {
			assert_true(world->deadline_ns[slot] <= world->now_ns);
			/* The number 0 says "not set": what falls on it is one tick later still. */
			assert_true(before_ns < world->deadline_ns[slot] + 2 * TICK_NS);
			world->deadline_ns[slot] = -1;
			world->set_cnt--;
		}
		assert_int_equal(world->wheel.set_cnt, world->set_cnt);
	}
}

static int world_make(void **state)
{
	*state = malloc(sizeof(struct world));
	return *state != NULL ? 0 : -1;
}

static int world_free(void **state)
{
	free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timer_empty_never_wakes),
		cmocka_unit_test(test_timer_one_deadline_fires_within_a_tick),
		cmocka_unit_test(test_timer_wait_leads_to_the_expiry),
		cmocka_unit_test(test_timer_far_deadlines_wake_nobody_early),
		cmocka_unit_test(test_timer_earlier_ticks_come_first),
		cmocka_unit_test(test_timer_moved_fires_once_at_the_last_deadline),
		cmocka_unit_test(test_timer_cleared_is_not_fired_and_clearing_twice_is_harmless),
		cmocka_unit_test(test_timer_set_while_expiring_waits_for_the_next_tick),
		cmocka_unit_test(test_timer_all_gone_in_the_middle_of_a_pass_loses_nothing),
		cmocka_unit_test(test_timer_silence_of_many_rounds_fires_everything),
		cmocka_unit_test(test_timer_absurd_deadlines_are_kept_and_clamped),
		cmocka_unit_test(test_timer_random_operations_match_the_model),
		cmocka_unit_test(test_timer_random_operations_match_after_32_bits_of_ticks),
	};

	return cmocka_run_group_tests(tests, world_make, world_free);
}
