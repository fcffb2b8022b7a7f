/* SPDX-License-Identifier: MIT */
/*
 * base_num_test.c - numbers from and to text, of every length and at the limits, against the C library.
 */
#include "base/num.h"

#include <inttypes.h>
#include "support/unit.h"

static void check_text(uint64_t value)
{
	char mine[PER__NUM_DEC_MAX + 1], theirs[32];

	mine[per__num_to_dec(mine, value)] = '\0';
	(void)snprintf(theirs, sizeof(theirs), "%" PRIu64, value);
	assert_string_equal(mine, theirs);
	mine[per__num_to_hex(mine, value)] = '\0';
	(void)snprintf(theirs, sizeof(theirs), "%" PRIx64, value);
	assert_string_equal(mine, theirs);
}

static void test_num_to_text_matches_printf(void **state)
{
	uint64_t random = 1;

	(void)state;
	check_text(0);
	check_text(UINT64_MAX);
	for (uint64_t power = 1; power <= UINT64_MAX / 10; power *= 10) {
		check_text(power - 1);
		check_text(power);
		check_text(10 * power - 1);
	}
	for (unsigned bit = 0; bit < 64; bit++) {
		check_text((uint64_t)1 << bit);
		check_text(((uint64_t)1 << bit) - 1);
		check_text(test_random(&random) >> bit);
	}
}

static bool read_dec(const char *text, uint64_t *out)
{
	return per__num_from_dec(text, strlen(text), out);
}

static void test_num_from_dec_reads_what_fits(void **state)
{
	uint64_t value = 0;

	(void)state;
	assert_true(read_dec("0", &value) && value == 0);
	assert_true(read_dec("7", &value) && value == 7);
	assert_true(read_dec("0000000000000000000000000000000000000042", &value) && value == 42);
	assert_true(read_dec("9223372036854775807", &value) && value == INT64_MAX);
	assert_true(read_dec("9223372036854775799", &value) && value == INT64_MAX - 8);
}

static void test_num_from_dec_refuses_everything_else(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"-1",
		"+1",
		" 1",
		"1 ",
		"1.0",
		"0x1",
		"1e3",
		"a",
		"/",
		":",
		"1,",
		"\xb2",
		"9223372036854775808",
		"9223372036854775810",
		"18446744073709551615",
		"18446744073709551616",
		"99999999999999999999999",
	};
	uint64_t value = 77;

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(bad); i++)
		assert_false(read_dec(bad[i], &value));
	assert_false(per__num_from_dec("1\0", 2, &value));
	assert_int_equal(value, 77);
}

static void test_num_from_dec_reads_only_len_bytes(void **state)
{
	uint64_t value;

	(void)state;
	assert_true(per__num_from_dec("12345", 3, &value));
	assert_int_equal(value, 123);
}

static void test_num_hex_digit_knows_all_bytes(void **state)
{
	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		const char *digits = "0123456789abcdefABCDEF";
		const char *at = byte != 0 ? strchr(digits, byte) : NULL;
		int expected = -1;

		if (at != NULL)
			expected = at - digits < 16 ? (int)(at - digits) : (int)(at - digits) - 6;
		assert_int_equal(per__num_hex_digit((uint8_t)byte), expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_num_to_text_matches_printf),
		cmocka_unit_test(test_num_from_dec_reads_what_fits),
		cmocka_unit_test(test_num_from_dec_refuses_everything_else),
		cmocka_unit_test(test_num_from_dec_reads_only_len_bytes),
		cmocka_unit_test(test_num_hex_digit_knows_all_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
