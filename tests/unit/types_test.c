/* SPDX-License-Identifier: MIT */
/*
 * types_test.c - comparing strings, saying errors, the version.
 */
#include <peregrine/types.h>

#include "support/unit.h"

static void test_str_from_counts_and_null_is_absent(void **state)
{
	(void)state;
	assert_int_equal(per_str_from("abc").len, 3);
	assert_non_null(per_str_from("").ptr);
	assert_int_equal(per_str_from("").len, 0);
	assert_null(per_str_from(NULL).ptr);
	assert_int_equal(per_str_from(NULL).len, 0);
	assert_int_equal(PER_S("a\0b").len, 3);
}

static void test_str_equal_compares_bytes(void **state)
{
	(void)state;
	assert_true(per_str_equal(PER_S("abc"), per_str_from("abc")));
	assert_false(per_str_equal(PER_S("abc"), PER_S("abC")));
	assert_false(per_str_equal(PER_S("abc"), PER_S("abcd")));
	assert_true(per_str_equal(PER_S("a\0b"), PER_S("a\0b")));
	assert_false(per_str_equal(PER_S("a\0b"), PER_S("a\0c")));
	assert_true(per_str_equal(PER_S(""), PER_S("")));
}

static void test_str_equal_absent_equals_only_absent(void **state)
{
	per_str absent = per_str_from(NULL);

	(void)state;
	assert_true(per_str_equal(absent, absent));
	assert_false(per_str_equal(absent, PER_S("")));
	assert_false(per_str_equal(PER_S(""), absent));
	assert_true(per_str_equal_nocase(absent, absent));
	assert_false(per_str_equal_nocase(absent, PER_S("")));
	assert_false(per_str_equal_nocase(PER_S(""), absent));
}

static void test_str_equal_nocase_folds_ascii_letters_only(void **state)
{
	(void)state;
	assert_true(per_str_equal_nocase(PER_S("Content-Length"), PER_S("cOnTENT-lENGTH")));
	assert_false(per_str_equal_nocase(PER_S("abc"), PER_S("abcd")));
	for (int a = 0; a < 256; a++) {
		for (int b = 0; b < 256; b++) {
			char x = (char)a, y = (char)b;
			int is_letter = (a >= 'A' && a <= 'Z') || (a >= 'a' && a <= 'z');
			bool expected = a == b || (is_letter && (a ^ 0x20) == b);

			assert_true(per_str_equal_nocase(per_str_make(&x, 1), per_str_make(&y, 1)) ==
				    expected);
		}
	}
}

static void test_strerror_knows_every_error_and_is_never_null(void **state)
{
	(void)state;
#define X(name, number, text)              \
	assert_int_equal(name, -(number)); \
	assert_string_equal(per_strerror(name), text);
	PER_ERRORS(X)
#undef X
	assert_string_equal(per_strerror(0), "no error");
	assert_string_equal(per_strerror(1), "unknown error");
	assert_string_equal(per_strerror(-10000), "unknown error");
	assert_string_equal(per_strerror(INT32_MIN), "unknown error");
}

static void test_version_is_made_of_its_numbers(void **state)
{
	char text[32];

	(void)state;
	(void)snprintf(text, sizeof(text), "%d.%d.%d", PER_VERSION_MAJOR, PER_VERSION_MINOR,
		       PER_VERSION_PATCH);
	assert_string_equal(per_version(), text);
	assert_string_equal(PER_VERSION, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_str_from_counts_and_null_is_absent),
		cmocka_unit_test(test_str_equal_compares_bytes),
		cmocka_unit_test(test_str_equal_absent_equals_only_absent),
		cmocka_unit_test(test_str_equal_nocase_folds_ascii_letters_only),
		cmocka_unit_test(test_strerror_knows_every_error_and_is_never_null),
		cmocka_unit_test(test_version_is_made_of_its_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
