/* SPDX-License-Identifier: MIT */
/*
 * http_uri_test.c - queries pair by pair, look-up by name, percent-decoding in place and into too little.
 */
#include <peregrine/request.h>

#include "support/unit.h"

/* All pairs as text: name, then "=value" if there is one, each ended by ';'. */
static const char *pairs(const char *query)
{
	static char text[256];
	per_str rest = per_str_from(query), name, value;

	text[0] = '\0';
	while (per_query_next(&rest, &name, &value)) {
		assert_non_null(name.ptr);
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s%s%.*s;", (int)name.len,
			       name.ptr, value.ptr != NULL ? "=" : "", (int)value.len,
			       value.ptr != NULL ? value.ptr : "");
	}
	assert_int_equal(rest.len, 0);
	return text;
}

static void test_query_next_takes_pair_by_pair(void **state)
{
	static const char *const cases[][2] = {
		{ "a=1&b&c=", "a=1;b;c=;" },
		{ "", "" },
		{ "&", "" },
		{ "&&a=1&&&b=2&&", "a=1;b=2;" },
		{ "a", "a;" },
		{ "=", "=;" },
		{ "=x", "=x;" },
		{ "a=b=c", "a=b=c;" },
		{ "a=%26&b=+", "a=%26;b=+;" },
		{ "a;b=1", "a;b=1;" },
		{ "?a=1", "?a=1;" },
		{ "a==&=", "a==;=;" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(pairs(cases[i][0]), cases[i][1]);
	assert_string_equal(pairs(NULL), "");
}

static void check_get(const char *query, const char *name, const char *expected)
{
	per_str value = per_query_get(per_str_from(query), per_str_from(name));

	assert_true(per_str_equal(value, per_str_from(expected)));
}

static void test_query_get_finds_the_first_of_that_name(void **state)
{
	(void)state;
	check_get("a=13&b=42", "a", "13");
	check_get("a=13&b=42", "b", "42");
	check_get("a=13&b=42", "c", NULL);
	check_get("a=1&a=2", "a", "1");
	check_get("a&a=2", "a", NULL);
	check_get("a=&a=2", "a", "");
	check_get("A=1", "a", NULL);
	check_get("ab=1&a=2", "a", "2");
	check_get("%61=1", "a", NULL); /* names are compared as sent */
	check_get("=5", "", "5");
	check_get("", "a", NULL);
	check_get(NULL, "a", NULL);
}

static void check_decode(per_str src, bool plus_is_space, const char *expected, size_t expected_len)
{
	char *exact = malloc(src.len + (src.len == 0));
	char out[64];

	assert_non_null(exact);
	memcpy(exact, src.ptr, src.len);
	assert_int_equal(per_percent_decode(out, sizeof(out), per_str_make(exact, src.len), plus_is_space),
			 expected_len);
	assert_memory_equal(out, expected, expected_len);
	assert_int_equal(per_percent_decode(exact, src.len, per_str_make(exact, src.len), plus_is_space),
			 expected_len);
	assert_memory_equal(exact, expected, expected_len);
	free(exact);
}

static void test_percent_decode_gives_bytes_also_in_place(void **state)
{
	(void)state;
	check_decode(PER_S(""), false, "", 0);
	check_decode(PER_S("plain"), false, "plain", 5);
	check_decode(PER_S("a%20b%2fc%2F"), false, "a b/c/", 6);
	check_decode(PER_S("%00%ff%C3%a4"), false, "\0\xff\xc3\xa4", 4);
	check_decode(PER_S("%2541"), false, "%41", 3); /* once, not twice */
	check_decode(PER_S("a+b%2B"), false, "a+b+", 4);
	check_decode(PER_S("a+b%2B"), true, "a b+", 4);
}

static void test_percent_decode_of_every_byte_round_trips(void **state)
{
	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		char lower[4], upper[4], out[1];

		(void)snprintf(lower, sizeof(lower), "%%%02x", (unsigned)byte);
		(void)snprintf(upper, sizeof(upper), "%%%02X", (unsigned)byte);
		assert_int_equal(per_percent_decode(out, 1, per_str_make(lower, 3), true), 1);
		assert_int_equal((unsigned char)out[0], byte);
		assert_int_equal(per_percent_decode(out, 1, per_str_make(upper, 3), false), 1);
		assert_int_equal((unsigned char)out[0], byte);
	}
}

static void test_percent_decode_refuses_half_an_escape(void **state)
{
	static const char *const bad[] = { "%",    "a%",  "%4",  "a%4", "%g0",   "%0g",
					   "%%41", "% 1", "%+1", "%-1", "%0x41", "a%4\xff" };
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(per_percent_decode(out, sizeof(out), per_str_from(bad[i]), false),
				 PER_EINVAL);
	assert_int_equal(per_percent_decode(out, sizeof(out), per_str_make("%41", 2), false), PER_EINVAL);
}

static void test_percent_decode_fits_exactly_or_is_too_big(void **state)
{
	char out[4] = "###";

	(void)state;
	assert_int_equal(per_percent_decode(out, 3, PER_S("%41b%43"), false), 3);
	assert_memory_equal(out, "AbC", 4);
	assert_int_equal(per_percent_decode(out, 2, PER_S("%41b%43"), false), PER_ETOOBIG);
	assert_int_equal(per_percent_decode(out, 0, PER_S("a"), false), PER_ETOOBIG);
	assert_int_equal(per_percent_decode(NULL, 0, PER_S(""), false), 0);
	assert_int_equal(per_percent_decode(NULL, 0, per_str_from(NULL), false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query_next_takes_pair_by_pair),
		cmocka_unit_test(test_query_get_finds_the_first_of_that_name),
		cmocka_unit_test(test_percent_decode_gives_bytes_also_in_place),
		cmocka_unit_test(test_percent_decode_of_every_byte_round_trips),
		cmocka_unit_test(test_percent_decode_refuses_half_an_escape),
		cmocka_unit_test(test_percent_decode_fits_exactly_or_is_too_big),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
