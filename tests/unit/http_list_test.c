/* SPDX-License-Identifier: MIT */
/*
 * http_list_test.c - parts of lists, quoted separators, weights.
 */
#include "http/list.h"

#include "support/unit.h"

/* All parts as text, each ended by ';'. */
static const char *parts(const char *list, char separator)
{
	static char text[256];
	per_str rest = per_str_from(list), part;

	text[0] = '\0';
	while (per__list_next(&rest, separator, &part))
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s;", (int)part.len,
			       part.ptr);
	assert_null(rest.ptr);
	return text;
}

static void test_list_next_takes_part_by_part(void **state)
{
	static const char *const cases[][2] = {
		{ "a", "a;" },
		{ "", ";" },
		{ ",", ";;" },
		{ "a,b", "a;b;" },
		{ " a\t,\t b ,, c,", "a;b;;c;;" },
		{ "a b, c", "a b;c;" },
		{ "\"a,b\",c", "\"a,b\";c;" },
		{ "\"a\\\",b\",c", "\"a\\\",b\";c;" },
		{ "\"a,b", "\"a,b;" },
		{ "\"a\\", "\"a\\;" },
		{ "a\\,b", "a\\;b;" }, /* outside of quotes a backslash is nothing special */
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++)
		assert_string_equal(parts(cases[i][0], ','), cases[i][1]);
	assert_string_equal(parts(NULL, ','), "");
	assert_string_equal(parts("q=1|x", '|'), "q=1;x;");
}

static void test_weight_parse_reads_thousandths(void **state)
{
	static const struct {
		const char *parameters;
		int weight;
	} cases[] = {
		{ NULL, 1000 },      { "q=1", 1000 },      { "q=0", 0 },
		{ "q=0.5", 500 },    { "Q=0.123", 123 },   { " q=0.9 ", 900 },
		{ "q=1.000", 1000 }, { "q=0.", 0 },        { "q=1.", 1000 },
		{ "q=0.05", 50 },    { "a=b;q=0.1", 100 }, { "a=\"q=0.2;\";q=0.1", 100 },
		{ "a=b", 1000 },     { "", 1000 },         { "q=0.1;q=0.2", 100 },
		{ "qq=0.1", 1000 },  { "q=1.001", -1 },    { "q=2", -1 },
		{ "q=", -1 },        { "q=0.1234", -1 },   { "q=.5", -1 },
		{ "q=-1", -1 },      { "q=0,5", -1 },      { "q=0.x", -1 },
		{ "q = 0.5", 1000 }, { "q= 0.5", -1 },     { "q=00", -1 },
		{ "q=1.0001", -1 },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++)
		assert_int_equal(per__weight_parse(per_str_from(cases[i].parameters)), cases[i].weight);
}

static void test_lines_add_keeps_the_first_lines(void **state)
{
	struct per__lines lines = { .count = 0 };

	(void)state;
	for (unsigned i = 0; i < PER__LINES_MAX; i++) {
		per__lines_add(&lines, per_str_make("abcdefgh", i));
		assert_int_equal(lines.count, i + 1);
		assert_false(lines.has_more);
	}
	per__lines_add(&lines, PER_S("one too many"));
	assert_int_equal(lines.count, PER__LINES_MAX);
	assert_true(lines.has_more);
	for (unsigned i = 0; i < PER__LINES_MAX; i++)
		assert_int_equal(lines.at[i].len, i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list_next_takes_part_by_part),
		cmocka_unit_test(test_weight_parse_reads_thousandths),
		cmocka_unit_test(test_lines_add_keeps_the_first_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
