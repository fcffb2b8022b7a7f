/* SPDX-License-Identifier: MIT */
/*
 * base_clock_test.c - clocks that go forward; HTTP dates in three forms against the C library's calendar.
 */
#include "base/clock.h"

#include <time.h>
#include "support/unit.h"

#define NOW 1700000000 /* Tue, 14 Nov 2023 */

static void test_clock_goes_forward_and_knows_the_year(void **state)
{
	int64_t before_ns = per__clock_now_ns(), wall_s = per__clock_wall_s();

	(void)state;
	assert_true(before_ns >= 0);
	for (int i = 0; i < 1000; i++) {
		int64_t now_ns = per__clock_now_ns();

		assert_true(now_ns >= before_ns);
		before_ns = now_ns;
	}
	assert_true(per__clock_wall_ms() / 1000 >= wall_s &&
		    per__clock_wall_ms() / 1000 <= per__clock_wall_s() + 1);
	assert_true(per__clock_wall_s() >= (int64_t)time(NULL) - 5 &&
		    per__clock_wall_s() <= (int64_t)time(NULL) + 5);
}

static void check_format(int64_t wall_s, const char *expected)
{
	char text[PER__DATE_LEN + 2] = "##############################";

	per__date_format(text, wall_s);
	assert_int_equal(text[PER__DATE_LEN], '#'); /* exactly that many bytes */
	text[PER__DATE_LEN] = '\0';
	assert_string_equal(text, expected);
}

static void test_date_format_known_dates(void **state)
{
	(void)state;
	check_format(784111777, "Sun, 06 Nov 1994 08:49:37 GMT"); /* RFC 9110 section 5.6.7 */
	check_format(0, "Thu, 01 Jan 1970 00:00:00 GMT");
	check_format(-1, "Wed, 31 Dec 1969 23:59:59 GMT");
	check_format(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
	check_format(951868800, "Wed, 01 Mar 2000 00:00:00 GMT");
	check_format(4107542399, "Sun, 28 Feb 2100 23:59:59 GMT");
	check_format(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
	check_format(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void test_date_format_clamps_to_four_digits(void **state)
{
	(void)state;
	check_format(INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
	check_format(INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT");
}

static void check_iso(int64_t wall_s, const char *expected)
{
	char text[PER__DATE_ISO_LEN + 2] = "####################";

	per__date_format_iso(text, wall_s);
	assert_int_equal(text[PER__DATE_ISO_LEN], '#'); /* exactly that many bytes */
	text[PER__DATE_ISO_LEN] = '\0';
	assert_string_equal(text, expected);
}

static void test_date_format_iso_known_dates(void **state)
{
	(void)state;
	check_iso(784111777, "1994-11-06T08:49:37");
	check_iso(0, "1970-01-01T00:00:00");
	check_iso(-1, "1969-12-31T23:59:59");
	check_iso(951782400, "2000-02-29T00:00:00");
	check_iso(INT64_MAX, "9999-12-31T23:59:59");
	check_iso(INT64_MIN, "0000-01-01T00:00:00");
}

/* All three forms of one moment, made by the C library. */
static void check_round_trip(int64_t wall_s)
{
	static const char *const forms[] = { "%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
					     "%a %b %e %H:%M:%S %Y" };
	time_t moment = (time_t)wall_s;
	struct tm calendar;
	char text[64];
	int64_t parsed;

	assert_non_null(gmtime_r(&moment, &calendar));
	for (size_t i = 0; i < PER_ARRAY_LEN(forms); i++) {
		size_t len = strftime(text, sizeof(text), forms[i], &calendar);

		if (i == 0)
			check_format(wall_s, text);
		parsed = -77;
		assert_true(per__date_parse(text, len, wall_s, &parsed));
		assert_true(parsed == wall_s);
	}
}

static void test_date_every_day_of_three_centuries_round_trips(void **state)
{
	uint64_t random = 5;

	(void)state;
	for (int64_t day = 0; day < 110000; day++)
		check_round_trip(day * 86400 + (int64_t)(test_random(&random) % 86400));
}

static void test_date_imf_and_asctime_of_any_year_round_trip(void **state)
{
	char text[64];
	int64_t parsed;

	(void)state;
	for (int64_t wall_s = -62167219200; wall_s < 253402300800; wall_s += 86400ll * 97 + 12345) {
		per__date_format(text, wall_s);
		assert_true(per__date_parse(text, PER__DATE_LEN, NOW, &parsed));
		assert_true(parsed == wall_s);
	}
}

static bool parse(const char *text, int64_t now_s, int64_t *out)
{
	size_t len = strlen(text);
	char *exact = malloc(len + 1); /* no NUL behind it: reading too far is an error a sanitizer sees */
	bool ok;

	memcpy(exact, text, len);
	exact = realloc(exact, len > 0 ? len : 1);
	ok = per__date_parse(exact, len, now_s, out);
	free(exact);
	return ok;
}

static void test_date_two_digit_years_are_at_most_fifty_years_ahead(void **state)
{
	static const struct {
		const char *now, *text, *expected;
	} cases[] = {
		{ "Tue, 14 Nov 2023 00:00:00 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
		  "Sun, 06 Nov 1994 08:49:37 GMT" },
		{ "Tue, 14 Nov 2023 00:00:00 GMT", "Sunday, 06-Nov-05 08:49:37 GMT",
		  "Sun, 06 Nov 2005 08:49:37 GMT" },
		{ "Tue, 14 Nov 2023 00:00:00 GMT", "Monday, 06-Nov-72 08:49:37 GMT",
		  "Sun, 06 Nov 2072 08:49:37 GMT" },
		{ "Tue, 14 Nov 2023 00:00:00 GMT", "Monday, 06-Nov-74 08:49:37 GMT",
		  "Wed, 06 Nov 1974 08:49:37 GMT" },
		{ "Sat, 14 Nov 2099 00:00:00 GMT", "Monday, 06-Nov-05 08:49:37 GMT",
		  "Fri, 06 Nov 2105 08:49:37 GMT" },
		{ "Wed, 01 Mar 2000 00:00:00 GMT", "Tuesday, 29-Feb-00 00:00:00 GMT",
		  "Tue, 29 Feb 2000 00:00:00 GMT" },
		{ "Thu, 01 Jan 1970 00:00:00 GMT", "Monday, 06-Nov-69 08:49:37 GMT",
		  "Thu, 06 Nov 1969 08:49:37 GMT" },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++) {
		int64_t now_s, out;

		assert_true(parse(cases[i].now, 0, &now_s));
		assert_true(parse(cases[i].text, now_s, &out));
		check_format(out, cases[i].expected);
	}
}

static void test_date_present_of_any_value_ends(void **state)
{
	int64_t out;

	(void)state;
	assert_true(parse("Sunday, 06-Nov-94 08:49:37 GMT", INT64_MAX, &out));
	assert_true(parse("Sunday, 06-Nov-94 08:49:37 GMT", INT64_MIN, &out));
}

static void test_date_accepts_what_the_grammar_allows(void **state)
{
	int64_t out;

	(void)state;
	assert_true(parse("Sun Nov 06 08:49:37 1994", NOW, &out) && out == 784111777);
	assert_true(parse("Sat, 31 Dec 2016 23:59:60 GMT", NOW, &out) &&
		    out == 1483228800); /* a leap second */
	assert_true(parse("Tue, 29 Feb 2000 00:00:00 GMT", NOW, &out) && out == 951782400);
	assert_true(parse("Thu, 29 Feb 2024 00:00:00 GMT", NOW, &out) && out == 1709164800);
}

static void test_date_refuses_everything_else(void **state)
{
	static const char *const bad[] = {
		"",
		"GMT",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 06 Nov 1994 08:49:37 gmt",
		"sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 GMT ",
		" Sun, 06 Nov 1994 08:49:37 GMT",
		"Sun,06 Nov 1994 08:49:37 GMT",
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:00:00 GMT",
		"Sun, 06 Nov 1994 08:60:00 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT",
		"Sun, 32 Dec 1994 08:49:37 GMT",
		"Sun, 29 Feb 2023 08:49:37 GMT",
		"Sun, 29 Feb 2100 08:49:37 GMT",
		"Sun, 29 Feb 1900 08:49:37 GMT",
		"Sun, 06 Foo 1994 08:49:37 GMT",
		"Xyz, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov -994 08:49:37 GMT",
		"Sun, 06 Nov 19x4 08:49:37 GMT",
		"Sun, 06-Nov-94 08:49:37 GMT",
		"Sunda, 06-Nov-94 08:49:37 GMT",
		"Sunday, 06-Nov-1994 08:49:37 GMT",
		"Sunday, 06 Nov 94 08:49:37 GMT",
		"Sunday, 31-Feb-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994 GMT",
		"Sun Nov 6 08:49:37 1994",
		"Sun Nov  0 08:49:37 1994",
		"Sun Nov 40 08:49:37 1994",
		"Sun Nov  x 08:49:37 1994",
		"Sun Xyz  6 08:49:37 1994",
		",",
		"Sunday,",
		"784111777",
		"1994-11-06T08:49:37Z",
		"Sunday, 06-Nov-94 08:49:37 GMT0",
	};
	int64_t out = 77;

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(bad); i++) {
		if (parse(bad[i], NOW, &out))
			fail_msg("accepted '%s'", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock_goes_forward_and_knows_the_year),
		cmocka_unit_test(test_date_format_known_dates),
		cmocka_unit_test(test_date_format_clamps_to_four_digits),
		cmocka_unit_test(test_date_format_iso_known_dates),
		cmocka_unit_test(test_date_every_day_of_three_centuries_round_trips),
		cmocka_unit_test(test_date_imf_and_asctime_of_any_year_round_trip),
		cmocka_unit_test(test_date_two_digit_years_are_at_most_fifty_years_ahead),
		cmocka_unit_test(test_date_present_of_any_value_ends),
		cmocka_unit_test(test_date_accepts_what_the_grammar_allows),
		cmocka_unit_test(test_date_refuses_everything_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
