/* SPDX-License-Identifier: MIT */
/*
 * base_slab_test.c - fixed-size objects: capacity, order, contents, and what a wrong give does.
 */
#include "base/slab.h"

#include <peregrine/types.h>
#include "support/unit.h"

#define OBJECTS_MAX 64u

static void test_slab_gives_capacity_objects_and_not_one_more(void **state)
{
	struct per__slab slab;
	void *object[OBJECTS_MAX];

	(void)state;
	assert_int_equal(per__slab_init(&slab, 100, 64, OBJECTS_MAX), 0);
	assert_int_equal(slab.object_bytes, 128);
	for (uint32_t i = 0; i < OBJECTS_MAX; i++) {
		object[i] = per__slab_take(&slab);
		assert_non_null(object[i]);
		assert_int_equal((uintptr_t)object[i] % 64, 0);
		assert_int_equal(per__slab_index(&slab, object[i]), i);
		assert_ptr_equal(per__slab_at(&slab, i), object[i]);
	}
	assert_null(per__slab_take(&slab));
	assert_int_equal(slab.used, OBJECTS_MAX);
	per__slab_give(&slab, object[5]);
	assert_ptr_equal(per__slab_take(&slab), object[5]);
	assert_null(per__slab_take(&slab));
	assert_int_equal(slab.used_high, OBJECTS_MAX);
	per__slab_fini(&slab);
}

static void test_slab_last_given_comes_next_with_its_contents(void **state)
{
	struct per__slab slab;
	uint64_t *a, *b;

	(void)state;
	assert_int_equal(per__slab_init(&slab, sizeof(*a), 8, 4), 0);
	a = per__slab_take(&slab);
	b = per__slab_take(&slab);
	assert_int_equal(*a, 0);
	*a = 111;
	*b = 222;
	per__slab_give(&slab, a);
	per__slab_give(&slab, b);
	assert_int_equal(slab.used, 0);
	assert_ptr_equal(per__slab_take(&slab), b);
	assert_int_equal(*b, 222);
	assert_ptr_equal(per__slab_take(&slab), a);
	assert_int_equal(*a, 111);
	assert_int_equal(slab.used_high, 2);
	per__slab_fini(&slab);
}

static void test_slab_index_is_right_for_every_stride(void **state)
{
	static const size_t strides[] = { 1,   2,   3,    8,    24,    56,    64,   192,
					  256, 320, 1000, 4096, 12288, 16448, 65537 };

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(strides); i++) {
		struct per__slab slab;

		assert_int_equal(per__slab_init(&slab, strides[i], 1, 1000), 0);
		for (uint32_t index = 0; index < 1000; index++)
			assert_int_equal(per__slab_index(&slab, per__slab_take(&slab)), index);
		per__slab_fini(&slab);
	}
}

static void test_slab_random_use_never_hands_out_twice(void **state)
{
	struct per__slab slab;
	void *out[OBJECTS_MAX] = { NULL };
	uint32_t used = 0;
	uint64_t random = 42;

	(void)state;
	assert_int_equal(per__slab_init(&slab, 40, 8, OBJECTS_MAX), 0);
	for (int step = 0; step < 50000; step++) {
		if (test_random(&random) % 2 == 0) {
			uint64_t *object = per__slab_take(&slab);

			assert_true((object == NULL) == (used == OBJECTS_MAX));
			if (object == NULL)
				continue;
			assert_null(out[per__slab_index(&slab, object)]);
			out[per__slab_index(&slab, object)] = object;
			memset(object, 0xab, 40);
			used++;
		} else {
			uint32_t which = (uint32_t)(test_random(&random) % OBJECTS_MAX);

			if (out[which] == NULL)
				continue;
			per__slab_give(&slab, out[which]);
			out[which] = NULL;
			used--;
		}
		assert_int_equal(slab.used, used);
	}
	per__slab_fini(&slab);
}

static void test_slab_without_capacity_gives_nothing(void **state)
{
	struct per__slab slab;

	(void)state;
	assert_int_equal(per__slab_init(&slab, 64, 64, 0), 0);
	assert_null(per__slab_take(&slab));
	assert_int_equal(per__slab_bytes(&slab), 0);
	per__slab_fini(&slab);
}

static void test_slab_larger_than_the_address_space_is_refused(void **state)
{
	struct per__slab slab;

	(void)state;
	assert_int_equal(per__slab_init(&slab, (size_t)1 << 40, 64, 1u << 30), PER_ENOMEM);
	assert_int_equal(per__slab_init(&slab, (size_t)1 << 31, 64, 1u << 31), PER_ENOMEM);
	per__slab_fini(&slab);
}

static void test_slab_fini_of_zeroes_is_harmless(void **state)
{
	struct per__slab slab = { 0 };

	(void)state;
	per__slab_fini(&slab);
	per__slab_fini(&slab);
}

static void give_twice(void *arg)
{
	struct per__slab *slab = arg;
	void *object = per__slab_take(slab);

	per__slab_give(slab, object);
	per__slab_give(slab, object);
}

static void give_inside(void *arg)
{
	struct per__slab *slab = arg;

	per__slab_give(slab, (char *)per__slab_take(slab) + 8);
}

static void give_foreign(void *arg)
{
	uint64_t mine = 0;

	per__slab_give(arg, &mine);
}

static void give_never_taken(void *arg)
{
	struct per__slab *slab = arg;

	per__slab_give(slab, per__slab_at(slab, 7));
}

static void test_slab_wrong_give_ends_the_process(void **state)
{
	struct per__slab slab;

	(void)state;
	assert_int_equal(per__slab_init(&slab, 48, 8, 16), 0);
	assert_non_null(per__slab_take(&slab));
	assert_true(test_dies(give_twice, &slab));
	assert_true(test_dies(give_inside, &slab));
	assert_true(test_dies(give_foreign, &slab));
	assert_true(test_dies(give_never_taken, &slab));
	per__slab_fini(&slab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slab_gives_capacity_objects_and_not_one_more),
		cmocka_unit_test(test_slab_last_given_comes_next_with_its_contents),
		cmocka_unit_test(test_slab_index_is_right_for_every_stride),
		cmocka_unit_test(test_slab_random_use_never_hands_out_twice),
		cmocka_unit_test(test_slab_without_capacity_gives_nothing),
		cmocka_unit_test(test_slab_larger_than_the_address_space_is_refused),
		cmocka_unit_test(test_slab_fini_of_zeroes_is_harmless),
		cmocka_unit_test(test_slab_wrong_give_ends_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
