/* SPDX-License-Identifier: MIT */
/*
 * base_text_test.c - text that fits, text that is cut at every length, text that is only measured.
 */
#include "base/text.h"

#include "support/unit.h"

static void add_everything(struct per__text *text)
{
	per__text_add(text, PER_S("one "));
	per__text_add(text, per_str_make(NULL, 0));
	per__text_byte(text, '2');
	per__text_number(text, UINT64_MAX);
	per__text_digits(text, 7, 2);
	per__text_digits(text, 1234, 2);
	per__text_digits(text, 0, 1);
}

static const char whole[] = "one 2184467440737095516150712340";

static void test_text_is_whole_when_it_fits_and_cut_at_any_length(void **state)
{
	(void)state;
	for (size_t cap = 0; cap <= sizeof(whole); cap++) {
		char *exact = malloc(cap + (cap == 0));
		struct per__text text = per__text_make(exact, cap);

		assert_non_null(exact);
		add_everything(&text);
		assert_int_equal(text.len, sizeof(whole) - 1);
		assert_memory_equal(exact, whole, PER_MIN(cap, sizeof(whole) - 1));
		assert_int_equal(per__text_fits(&text), cap >= sizeof(whole) - 1);
		free(exact);
	}
}

static void test_text_without_memory_measures(void **state)
{
	struct per__text text = per__text_make(NULL, 0);

	(void)state;
	assert_true(per__text_fits(&text));
	add_everything(&text);
	assert_int_equal(text.len, sizeof(whole) - 1);
	assert_false(per__text_fits(&text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_is_whole_when_it_fits_and_cut_at_any_length),
		cmocka_unit_test(test_text_without_memory_measures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
