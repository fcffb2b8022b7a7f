/* SPDX-License-Identifier: MIT */
/*
 * http_conditional_test.c - entity-tags, the order of preconditions, If-Range; and the walk that collects
 * them.
 */
#include "http/wants.h"

#include "support/unit.h"

#define MODIFIED_S 784111777 /* the example date of RFC 9110 section 5.6.7 */
#define MODIFIED "Sun, 06 Nov 1994 08:49:37 GMT"
#define EARLIER "Sun, 06 Nov 1994 08:49:36 GMT"
#define LATER "Sun, 06 Nov 1994 08:49:38 GMT"
#define NOW_S 1718000000

static const struct per__validators strong = { { "\"abc\"", 5 }, { MODIFIED, 29 }, MODIFIED_S };
static const struct per__validators weak = { { "W/\"abc\"", 7 }, { MODIFIED, 29 }, MODIFIED_S };
static const struct per__validators none = { { NULL, 0 }, { NULL, 0 }, 0 };

static void test_etag_is_valid_as_the_grammar_says(void **state)
{
	static const char *const good[] = { "\"\"",      "W/\"\"",       "\"a\"",
					    "\"a,b\\\"", "\"\x80\xff\"", "W/\"!#~\"" };
	static const char *const bad[] = { "",          "a",  "\"",     "\"a",      "a\"",     "w/\"a\"",
					   "W\"a\"",    "W/", "W/\"",   "\"a\"b\"", "\"a b\"", "\"a\"b",
					   "\"a\x7f\"", "*",  " \"a\"", "\"a\" ",   "\"\t\"" };

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(good); i++)
		assert_true(per__etag_is_valid(per_str_from(good[i])));
	for (size_t i = 0; i < PER_ARRAY_LEN(bad); i++)
		assert_false(per__etag_is_valid(per_str_from(bad[i])));
	assert_false(per__etag_is_valid(per_str_from(NULL)));
}

/* From memory of the exact size, so that a sanitizer sees a read beyond it. */
static bool matches(const char *list, const char *etag, bool is_weak)
{
	const size_t len = strlen(list);
	char *exact = malloc(len + (len == 0));
	bool result;

	assert_non_null(exact);
	memcpy(exact, list, len);
	result = per__etag_list_matches(per_str_make(exact, len), per_str_from(etag), is_weak);
	free(exact);
	return result;
}

/* The table of RFC 9110 section 8.8.3.2. */
static void test_etag_comparison_is_weak_or_strong(void **state)
{
	(void)state;
	assert_false(matches("W/\"1\"", "W/\"1\"", false));
	assert_true(matches("W/\"1\"", "W/\"1\"", true));
	assert_false(matches("W/\"1\"", "W/\"2\"", false));
	assert_false(matches("W/\"1\"", "W/\"2\"", true));
	assert_false(matches("W/\"1\"", "\"1\"", false));
	assert_false(matches("\"1\"", "W/\"1\"", false));
	assert_true(matches("W/\"1\"", "\"1\"", true));
	assert_true(matches("\"1\"", "W/\"1\"", true));
	assert_true(matches("\"1\"", "\"1\"", false));
	assert_true(matches("\"1\"", "\"1\"", true));
}

static void test_etag_list_is_read_to_its_first_error(void **state)
{
	static const char *const yes[] = { "\"x\"",     "\"a\",\"x\"",    "\"a\" , W/\"x\"",
					   ",, \"x\",", "\"a,b\", \"x\"", "*",
					   " * ",       "W/\"x\"",        "\"a\\\",\"x\"",
					   "\"x\", !",  "\"a b\", \"x\"" };
	static const char *const no[] = { "",         "x",           "\"x",      "\"X\"",         "\"xx\"",
					  "w/\"x\"",  "\"a\" \"x\"", "!, \"x\"", "\"a\"b, \"x\"", "*, \"x\"",
					  "W/ \"x\"", "W/",          "W",        "\"a, \"x\"",    "\"\"",
					  "x, \"x\"" };

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(yes); i++)
		assert_true(matches(yes[i], "\"x\"", true));
	for (size_t i = 0; i < PER_ARRAY_LEN(no); i++)
		assert_false(matches(no[i], "\"x\"", true));
	assert_true(matches("*", NULL, false));
	assert_false(matches("\"x\"", NULL, true));
}

struct sample {
	const char *if_match, *if_unmodified_since, *if_none_match, *if_modified_since;
	const struct per__validators *validators;
	int get, put; /* verdicts for a safe method and for another one */
};

static void lines_set(struct per__lines *lines, const char *value)
{
	if (value != NULL)
		per__lines_add(lines, per_str_from(value));
}

static void check_samples(const struct sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct per__conditions conditions = {
			.if_modified_since = per_str_from(samples[i].if_modified_since),
			.if_unmodified_since = per_str_from(samples[i].if_unmodified_since),
		};
		const struct per__validators *validators = samples[i].validators;

		lines_set(&conditions.if_match, samples[i].if_match);
		lines_set(&conditions.if_none_match, samples[i].if_none_match);
		assert_int_equal(per__conditional_judge(&conditions, validators, true, NOW_S),
				 samples[i].get);
		assert_int_equal(per__conditional_judge(&conditions, validators, false, NOW_S),
				 samples[i].put);
	}
}

static void test_conditional_judge_of_one_condition(void **state)
{
	static const struct sample samples[] = {
		{ NULL, NULL, NULL, NULL, &strong, 200, 200 },
		/* step 1 */
		{ "\"abc\"", NULL, NULL, NULL, &strong, 200, 200 },
		{ "\"x\", \"abc\"", NULL, NULL, NULL, &strong, 200, 200 },
		{ "\"x\"", NULL, NULL, NULL, &strong, 412, 412 },
		{ "W/\"abc\"", NULL, NULL, NULL, &strong, 412, 412 },
		{ "W/\"abc\"", NULL, NULL, NULL, &weak, 412, 412 },
		{ "*", NULL, NULL, NULL, &none, 200, 200 },
		{ "\"abc\"", NULL, NULL, NULL, &none, 412, 412 },
		{ "abc", NULL, NULL, NULL, &strong, 412, 412 },
		{ "", NULL, NULL, NULL, &strong, 412, 412 },
		/* step 2 */
		{ NULL, MODIFIED, NULL, NULL, &strong, 200, 200 },
		{ NULL, LATER, NULL, NULL, &strong, 200, 200 },
		{ NULL, EARLIER, NULL, NULL, &strong, 412, 412 },
		{ NULL, "Sunday, 06-Nov-94 08:49:36 GMT", NULL, NULL, &strong, 412, 412 },
		{ NULL, "Sun Nov  6 08:49:36 1994", NULL, NULL, &strong, 412, 412 },
		{ NULL, "yesterday", NULL, NULL, &strong, 200, 200 },
		{ NULL, EARLIER, NULL, NULL, &none, 200, 200 },
		/* step 3 */
		{ NULL, NULL, "\"abc\"", NULL, &strong, 304, 412 },
		{ NULL, NULL, "W/\"abc\"", NULL, &strong, 304, 412 },
		{ NULL, NULL, "\"abc\"", NULL, &weak, 304, 412 },
		{ NULL, NULL, "\"x\"", NULL, &strong, 200, 200 },
		{ NULL, NULL, "*", NULL, &none, 304, 412 },
		{ NULL, NULL, "\"abc\"", NULL, &none, 200, 200 },
		{ NULL, NULL, "", NULL, &strong, 200, 200 },
		/* step 4 */
		{ NULL, NULL, NULL, MODIFIED, &strong, 304, 200 },
		{ NULL, NULL, NULL, LATER, &strong, 304, 200 },
		{ NULL, NULL, NULL, EARLIER, &strong, 200, 200 },
		{ NULL, NULL, NULL, "Sun Nov  6 08:49:37 1994", &strong, 304, 200 },
		{ NULL, NULL, NULL, "06 Nov 2024", &strong, 200, 200 },
		{ NULL, NULL, NULL, MODIFIED ", " MODIFIED, &strong, 200, 200 },
		{ NULL, NULL, NULL, "", &strong, 200, 200 },
		{ NULL, NULL, NULL, MODIFIED, &none, 200, 200 },
	};

	(void)state;
	check_samples(samples, PER_ARRAY_LEN(samples));
}

/* RFC 9110 section 13.2.2: which condition hides which. */
static void test_conditional_judge_keeps_the_order(void **state)
{
	static const struct sample samples[] = {
		/* If-Match hides If-Unmodified-Since */
		{ "\"abc\"", EARLIER, NULL, NULL, &strong, 200, 200 },
		{ "\"x\"", LATER, NULL, NULL, &strong, 412, 412 },
		/* If-None-Match hides If-Modified-Since */
		{ NULL, NULL, "\"x\"", MODIFIED, &strong, 200, 200 },
		{ NULL, NULL, "\"abc\"", EARLIER, &strong, 304, 412 },
		/* 412 comes before 304 */
		{ "\"x\"", NULL, "\"abc\"", NULL, &strong, 412, 412 },
		{ NULL, EARLIER, "\"abc\"", NULL, &strong, 412, 412 },
		{ "\"x\"", NULL, NULL, MODIFIED, &strong, 412, 412 },
		/* and a true one goes on to the next */
		{ "\"abc\"", NULL, "\"abc\"", NULL, &strong, 304, 412 },
		{ "\"abc\"", NULL, NULL, MODIFIED, &strong, 304, 200 },
		{ NULL, MODIFIED, NULL, MODIFIED, &strong, 304, 200 },
		{ "*", EARLIER, "\"x\"", MODIFIED, &strong, 200, 200 },
	};

	(void)state;
	check_samples(samples, PER_ARRAY_LEN(samples));
}

static void test_conditional_judge_reads_every_line(void **state)
{
	struct per__conditions conditions = { .if_modified_since = { NULL, 0 } };

	(void)state;
	for (unsigned i = 1; i < PER__LINES_MAX; i++)
		per__lines_add(&conditions.if_none_match, PER_S("\"x\""));
	assert_int_equal(per__conditional_judge(&conditions, &strong, true, NOW_S), PER__PROCEED);
	per__lines_add(&conditions.if_none_match, PER_S("\"abc\""));
	assert_int_equal(per__conditional_judge(&conditions, &strong, true, NOW_S), PER__NOT_MODIFIED);
}

static bool range_holds(const char *if_range, const struct per__validators *validators, int64_t now_s)
{
	return per__if_range_holds(per_str_from(if_range), validators, now_s);
}

static void test_if_range_holds_for_strong_validators_only(void **state)
{
	(void)state;
	assert_true(range_holds(NULL, &none, NOW_S));
	assert_true(range_holds("\"abc\"", &strong, NOW_S));
	assert_false(range_holds("\"x\"", &strong, NOW_S));
	assert_false(range_holds("W/\"abc\"", &strong, NOW_S));
	assert_false(range_holds("W/\"abc\"", &weak, NOW_S));
	assert_false(range_holds("\"abc\"", &weak, NOW_S));
	assert_false(range_holds("\"abc\", \"abc\"", &strong, NOW_S));
	assert_false(range_holds("*", &strong, NOW_S));
	assert_false(range_holds("", &strong, NOW_S));
	assert_false(range_holds("\"abc\"", &none, NOW_S));

	assert_true(range_holds(MODIFIED, &strong, NOW_S));
	assert_false(range_holds(EARLIER, &strong, NOW_S));
	assert_false(range_holds(LATER, &strong, NOW_S)); /* the very date, no later one */
	assert_false(range_holds("Sun Nov  6 08:49:37 1994", &strong, NOW_S));
	assert_false(range_holds(MODIFIED, &none, NOW_S));
	assert_true(range_holds(MODIFIED, &strong, MODIFIED_S + 1));
	assert_false(range_holds(MODIFIED, &strong, MODIFIED_S)); /* it may change within this second */
}

static void test_wants_take_collects_the_fields_that_matter(void **state)
{
	static const char *const others[] = {
		"rango",         "accepts",           "if-matcha",           "accept-language",
		"if-none-mitch", "if-modified-sinbe", "if-unmodified-sinbe", "",
		"host",          "if-rango"
	};
	struct per__wants wants;

	(void)state;
	memset(&wants, 0xa5, sizeof(wants));
	per__wants_init(&wants);
	for (size_t i = 0; i < PER_ARRAY_LEN(others); i++)
		per__wants_take(&wants, per_str_from(others[i]), PER_S("value"));
	assert_false(wants.has_conditions);
	assert_int_equal(wants.accept.count + wants.accept_encoding.count, 0);
	assert_null(wants.range.ptr);
	assert_null(wants.if_range.ptr);

	per__wants_take(&wants, PER_S("Range"), PER_S("1"));
	per__wants_take(&wants, PER_S("IF-RANGE"), PER_S("2"));
	per__wants_take(&wants, PER_S("Accept"), PER_S("3"));
	per__wants_take(&wants, PER_S("Accept-Encoding"), PER_S("4"));
	per__wants_take(&wants, PER_S("accept-encoding"), PER_S("5"));
	assert_false(wants.has_conditions);
	per__wants_take(&wants, PER_S("If-Match"), PER_S("6"));
	assert_true(wants.has_conditions);
	per__wants_take(&wants, PER_S("If-None-Match"), PER_S("7"));
	per__wants_take(&wants, PER_S("If-Modified-Since"), PER_S("8"));
	per__wants_take(&wants, PER_S("If-Unmodified-Since"), PER_S("9"));
	assert_int_equal(wants.range.ptr[0], '1');
	assert_int_equal(wants.if_range.ptr[0], '2');
	assert_int_equal(wants.accept.at[0].ptr[0], '3');
	assert_int_equal(wants.accept_encoding.at[0].ptr[0], '4');
	assert_int_equal(wants.accept_encoding.at[1].ptr[0], '5');
	assert_int_equal(wants.accept_encoding.count, 2);
	assert_int_equal(wants.conditions.if_match.at[0].ptr[0], '6');
	assert_int_equal(wants.conditions.if_none_match.at[0].ptr[0], '7');
	assert_int_equal(wants.conditions.if_modified_since.ptr[0], '8');
	assert_int_equal(wants.conditions.if_unmodified_since.ptr[0], '9');
}

static void test_wants_take_of_a_single_field_twice_is_malformed(void **state)
{
	struct per__wants wants;

	(void)state;
	per__wants_init(&wants);
	for (unsigned i = 0; i < 3; i++) {
		per__wants_take(&wants, PER_S("Range"), PER_S("bytes=0-1"));
		per__wants_take(&wants, PER_S("If-Modified-Since"), PER_S(MODIFIED));
		per__wants_take(&wants, PER_S("If-Range"), PER_S("\"abc\""));
	}
	assert_non_null(wants.range.ptr);
	assert_int_equal(wants.range.len, 0);
	assert_false(per__if_range_holds(wants.if_range, &strong, NOW_S));
	assert_int_equal(per__conditional_judge(&wants.conditions, &strong, true, NOW_S), PER__PROCEED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_etag_is_valid_as_the_grammar_says),
		cmocka_unit_test(test_etag_comparison_is_weak_or_strong),
		cmocka_unit_test(test_etag_list_is_read_to_its_first_error),
		cmocka_unit_test(test_conditional_judge_of_one_condition),
		cmocka_unit_test(test_conditional_judge_keeps_the_order),
		cmocka_unit_test(test_conditional_judge_reads_every_line),
		cmocka_unit_test(test_if_range_holds_for_strong_validators_only),
		cmocka_unit_test(test_wants_take_collects_the_fields_that_matter),
		cmocka_unit_test(test_wants_take_of_a_single_field_twice_is_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
