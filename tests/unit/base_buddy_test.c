/* SPDX-License-Identifier: MIT */
/*
 * base_buddy_test.c - blocks of 2^n bytes: sizes, limits, and random use against a map of what is taken.
 */
#include "base/buddy.h"

#include <peregrine/types.h>
#include "support/unit.h"

#define BLOCK ((size_t)1 << PER__BUDDY_MIN_SHIFT)
#define BLOCKS_MAX 300u

static void test_buddy_take_rounds_up_to_a_power_of_two(void **state)
{
	static const struct {
		size_t bytes, cap;
	} cases[] = {
		{ 1, BLOCK },
		{ BLOCK - 1, BLOCK },
		{ BLOCK, BLOCK },
		{ BLOCK + 1, 2 * BLOCK },
		{ 3 * BLOCK, 4 * BLOCK },
		{ 16 * BLOCK, 16 * BLOCK },
	};
	struct per__buddy buddy;
	size_t cap = 0;

	(void)state;
	assert_int_equal(per__buddy_init(&buddy, 16 * BLOCK), 0);
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++) {
		void *block = per__buddy_take(&buddy, cases[i].bytes, &cap);

		assert_non_null(block);
		assert_int_equal(cap, cases[i].cap);
		assert_int_equal(buddy.used_bytes, cap);
		assert_true(per__buddy_owns(&buddy, block));
		assert_true(per__buddy_owns(&buddy, (char *)block + cap - 1));
		memset(block, 0x5a, cap);
		per__buddy_give(&buddy, block);
		assert_int_equal(buddy.used_bytes, 0);
	}
	assert_int_equal(buddy.used_bytes_high, 16 * BLOCK);
	assert_null(per__buddy_take(&buddy, 16 * BLOCK + 1, &cap));
	assert_null(per__buddy_take(&buddy, SIZE_MAX, &cap));
	per__buddy_fini(&buddy);
}

static void test_buddy_full_region_refuses_and_recovers(void **state)
{
	struct per__buddy buddy;
	void *block[16];
	size_t cap;

	(void)state;
	assert_int_equal(per__buddy_init(&buddy, 16 * BLOCK), 0);
	for (size_t i = 0; i < 16; i++) {
		block[i] = per__buddy_take(&buddy, BLOCK, &cap);
		assert_non_null(block[i]);
	}
	assert_null(per__buddy_take(&buddy, 1, &cap));
	assert_int_equal(buddy.used_bytes, 16 * BLOCK);
	for (size_t i = 0; i < 16; i += 2) /* every other one: half is free, but no two are buddies */
		per__buddy_give(&buddy, block[i]);
	assert_null(per__buddy_take(&buddy, BLOCK + 1, &cap));
	for (size_t i = 1; i < 16; i += 2)
		per__buddy_give(&buddy, block[i]);
	block[0] = per__buddy_take(&buddy, 16 * BLOCK, &cap);
	assert_non_null(block[0]);
	per__buddy_give(&buddy, block[0]);
	per__buddy_fini(&buddy);
}

static void test_buddy_without_region_gives_nothing(void **state)
{
	struct per__buddy buddy;
	size_t cap;
	int local = 0;

	(void)state;
	assert_int_equal(per__buddy_init(&buddy, 0), 0);
	assert_null(per__buddy_take(&buddy, 1, &cap));
	assert_false(per__buddy_owns(&buddy, &local));
	assert_false(per__buddy_owns(&buddy, NULL));
	per__buddy_fini(&buddy);
}

static void test_buddy_region_of_one_byte_is_one_block(void **state)
{
	struct per__buddy buddy;
	size_t cap;

	(void)state;
	assert_int_equal(per__buddy_init(&buddy, 1), 0);
	assert_int_equal(buddy.region_bytes, BLOCK);
	assert_non_null(per__buddy_take(&buddy, BLOCK, &cap));
	assert_null(per__buddy_take(&buddy, 1, &cap));
	per__buddy_fini(&buddy);
}

static void test_buddy_absurd_region_is_refused(void **state)
{
	struct per__buddy buddy;

	(void)state;
	assert_int_equal(per__buddy_init(&buddy, SIZE_MAX), PER_ENOMEM);
	assert_int_equal(per__buddy_init(&buddy, SIZE_MAX / 4), PER_ENOMEM);
	per__buddy_fini(&buddy);
}

static void test_buddy_large_block_comes_back_without_its_pages(void **state)
{
	struct per__buddy buddy;
	unsigned char *block;
	size_t cap;

	(void)state;
	assert_int_equal(per__buddy_init(&buddy, 4 * PER__BUDDY_TRIM_BYTES), 0);
	block = per__buddy_take(&buddy, PER__BUDDY_TRIM_BYTES, &cap);
	memset(block, 9, cap);
	per__buddy_give(&buddy, block);
	block = per__buddy_take(&buddy, PER__BUDDY_TRIM_BYTES, &cap);
#ifdef __linux__
	assert_int_equal(block[0] | block[cap - 1], 0);
#endif
	per__buddy_give(&buddy, block);
	per__buddy_fini(&buddy);
}

/* What the region could give at once, as one number: the free blocks of every class. */
static void count_free(const struct per__buddy *buddy, uint32_t count[PER__BUDDY_CLASSES])
{
	for (unsigned order = 0; order < PER__BUDDY_CLASSES; order++) {
		count[order] = 0;
		for (uint32_t i = buddy->free_head[order]; i != 0; i = buddy->links[2 * (size_t)(i - 1)])
			count[order]++;
	}
}

struct taken {
	unsigned char *block;
	size_t cap;
	unsigned char fill;
};

static void take_one(struct per__buddy *buddy, struct taken *taken, uint8_t *map, uint64_t *random)
{
	size_t bytes = (size_t)(test_random(random) % (BLOCK * 64) >> test_random(random) % 8) + 1;
	size_t first;

	taken->block = per__buddy_take(buddy, bytes, &taken->cap);
	if (taken->block == NULL)
		return;
	assert_true(taken->cap >= bytes);
	assert_true(taken->cap == BLOCK || taken->cap / 2 < bytes);
	first = (size_t)(taken->block - buddy->base) / BLOCK;
	for (size_t i = 0; i < taken->cap / BLOCK; i++) {
		assert_int_equal(map[first + i], 0);
		map[first + i] = 1;
	}
	taken->fill = (unsigned char)test_random(random);
	taken->block[0] = taken->fill; /* the ends suffice: any overlap shows in the map */
	taken->block[taken->cap - 1] = taken->fill;
}

static void give_one(struct per__buddy *buddy, struct taken *taken, uint8_t *map)
{
	assert_int_equal(taken->block[0], taken->fill);
	assert_int_equal(taken->block[taken->cap - 1], taken->fill);
	memset(map + (size_t)(taken->block - buddy->base) / BLOCK, 0, taken->cap / BLOCK);
	per__buddy_give(buddy, taken->block);
	taken->block = NULL;
}

static void random_run(uint64_t seed, size_t blocks)
{
	struct per__buddy buddy;
	struct taken taken[40] = { { NULL, 0, 0 } };
	uint8_t map[BLOCKS_MAX] = { 0 };
	uint32_t fresh[PER__BUDDY_CLASSES], after[PER__BUDDY_CLASSES];
	uint64_t random = seed;

	assert_int_equal(per__buddy_init(&buddy, blocks * BLOCK), 0);
	count_free(&buddy, fresh);
	for (int step = 0; step < 2000; step++) {
		struct taken *one = &taken[test_random(&random) % PER_ARRAY_LEN(taken)];
		size_t used = 0;

		if (one->block == NULL)
			take_one(&buddy, one, map, &random);
		else
			give_one(&buddy, one, map);
		for (size_t i = 0; i < blocks; i++)
			used += map[i] * BLOCK;
		assert_int_equal(buddy.used_bytes, used);
		assert_true(buddy.used_bytes_high >= used);
	}
	for (size_t i = 0; i < PER_ARRAY_LEN(taken); i++) {
		if (taken[i].block != NULL)
			give_one(&buddy, &taken[i], map);
	}
	count_free(&buddy, after);
	assert_memory_equal(fresh, after, sizeof(fresh)); /* everything has grown together again */
	per__buddy_fini(&buddy);
}

static void test_buddy_random_use_never_overlaps_and_grows_together(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++)
		random_run(seed, 1 + (size_t)(seed * 7919 % BLOCKS_MAX));
	random_run(1000, 256);
}

static void give_twice(void *arg)
{
	size_t cap;
	void *block = per__buddy_take(arg, BLOCK, &cap);

	per__buddy_give(arg, block);
	per__buddy_give(arg, block);
}

static void give_inside(void *arg)
{
	size_t cap;

	per__buddy_give(arg, (char *)per__buddy_take(arg, 4 * BLOCK, &cap) + BLOCK);
}

static void give_unaligned(void *arg)
{
	size_t cap;

	per__buddy_give(arg, (char *)per__buddy_take(arg, BLOCK, &cap) + 1);
}

static void give_foreign(void *arg)
{
	per__buddy_give(arg, arg);
}

static void take_nothing(void *arg)
{
	size_t cap;

	(void)per__buddy_take(arg, 0, &cap);
}

static void test_buddy_wrong_use_ends_the_process(void **state)
{
	struct per__buddy buddy;

	(void)state;
	assert_int_equal(per__buddy_init(&buddy, 16 * BLOCK), 0);
	assert_true(test_dies(give_twice, &buddy));
	assert_true(test_dies(give_inside, &buddy));
	assert_true(test_dies(give_unaligned, &buddy));
	assert_true(test_dies(give_foreign, &buddy));
	assert_true(test_dies(take_nothing, &buddy));
	per__buddy_fini(&buddy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buddy_take_rounds_up_to_a_power_of_two),
		cmocka_unit_test(test_buddy_full_region_refuses_and_recovers),
		cmocka_unit_test(test_buddy_without_region_gives_nothing),
		cmocka_unit_test(test_buddy_region_of_one_byte_is_one_block),
		cmocka_unit_test(test_buddy_absurd_region_is_refused),
		cmocka_unit_test(test_buddy_large_block_comes_back_without_its_pages),
		cmocka_unit_test(test_buddy_random_use_never_overlaps_and_grows_together),
		cmocka_unit_test(test_buddy_wrong_use_ends_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
