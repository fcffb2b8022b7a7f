/* SPDX-License-Identifier: MIT */
/*
 * base_mem_test.c - heap and pages: zeroed, counted, given back.
 */
#include "base/mem.h"

#include "support/unit.h"

static void test_mem_alloc_gives_zeros_and_is_counted(void **state)
{
	uint64_t before = per__mem_alloc_count();
	unsigned char *ptr = per__mem_alloc(1000);

	(void)state;
	assert_non_null(ptr);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(ptr[i], 0);
	assert_int_equal(per__mem_alloc_count(), before + 1);
	per__mem_free(ptr);
	per__mem_free(NULL);
	assert_int_equal(per__mem_alloc_count(), before + 1);
}

static void test_mem_alloc_of_nothing_gives_a_pointer(void **state)
{
	void *ptr = per__mem_alloc(0);

	(void)state;
	assert_non_null(ptr);
	per__mem_free(ptr);
}

static void test_mem_strdup_copies_and_null_stays_null(void **state)
{
	char text[] = "peregrine";
	char *copy = per__mem_strdup(text);

	(void)state;
	text[0] = 'x';
	assert_string_equal(copy, "peregrine");
	per__mem_free(copy);
	assert_null(per__mem_strdup(NULL));
}

static void test_mem_reserve_gives_zeroed_pages_of_any_number(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = (size_t)1 << 36; /* far more than the machine has: it is address space only */
	uint64_t before = per__mem_alloc_count();
	unsigned char *ptr = per__mem_reserve(bytes);

	(void)state;
	assert_non_null(ptr);
	assert_int_equal((uintptr_t)ptr % page, 0);
	assert_int_equal(ptr[0] | ptr[bytes / 2] | ptr[bytes - 1], 0);
	ptr[bytes - 1] = 1;
	assert_int_equal(per__mem_alloc_count(), before + 1);
	per__mem_release(ptr, bytes);
	per__mem_release(NULL, bytes);
}

static void test_mem_reserve_beyond_the_address_space_is_refused(void **state)
{
	(void)state;
	assert_null(per__mem_reserve(SIZE_MAX / 2));
}

static void test_mem_unused_leaves_the_partial_pages_alone(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *ptr = per__mem_reserve(4 * page);

	(void)state;
	memset(ptr, 7, 4 * page);
	per__mem_unused(ptr + 1, 2 * page); /* only the second page lies wholly inside */
	assert_int_equal(ptr[page - 1], 7);
	assert_true(ptr[page] == 0 || ptr[page] == 7);
#ifdef __linux__
	assert_int_equal(ptr[page], 0);
	assert_int_equal(ptr[2 * page - 1], 0);
#endif
	assert_int_equal(ptr[2 * page], 7);
	per__mem_unused(ptr + 3 * page + 1, page - 1); /* no whole page: nothing happens */
	assert_int_equal(ptr[3 * page + 1], 7);
	per__mem_release(ptr, 4 * page);
}

static void test_mem_unpoisoned_is_usable_again(void **state)
{
	unsigned char *ptr = per__mem_alloc(64);

	(void)state;
	per__mem_poison(ptr, 64);
	per__mem_unpoison(ptr, 64);
	ptr[63] = 1;
	assert_int_equal(ptr[63], 1);
	per__mem_free(ptr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mem_alloc_gives_zeros_and_is_counted),
		cmocka_unit_test(test_mem_alloc_of_nothing_gives_a_pointer),
		cmocka_unit_test(test_mem_strdup_copies_and_null_stays_null),
		cmocka_unit_test(test_mem_reserve_gives_zeroed_pages_of_any_number),
		cmocka_unit_test(test_mem_reserve_beyond_the_address_space_is_refused),
		cmocka_unit_test(test_mem_unused_leaves_the_partial_pages_alone),
		cmocka_unit_test(test_mem_unpoisoned_is_usable_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
