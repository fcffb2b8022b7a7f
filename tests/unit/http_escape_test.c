/* SPDX-License-Identifier: MIT */
/*
 * http_escape_test.c - names of files as HTML, JSON and addresses; UTF-8 and what is none.
 */
#include "http/escape.h"

#include "http/path.h"
#include "support/unit.h"

#define BAD "\xef\xbf\xbd"

typedef void (*escape_fn)(struct per__text *text, per_str str);

/* Escapes memory of the exact size, so that a sanitizer sees a read beyond it. */
static const char *escaped(escape_fn escape, per_str str)
{
	static char buf[2048];
	struct per__text text = per__text_make(buf, sizeof(buf) - 1);
	char *exact = malloc(str.len + (str.len == 0));

	assert_non_null(exact);
	memcpy(exact, str.ptr, str.len);
	escape(&text, per_str_make(exact, str.len));
	free(exact);
	assert_true(per__text_fits(&text));
	buf[text.len] = '\0';
	return buf;
}

static void test_escape_html_names_what_means_something(void **state)
{
	(void)state;
	assert_string_equal(escaped(per__escape_html, PER_S("")), "");
	assert_string_equal(escaped(per__escape_html, PER_S("plain.txt")), "plain.txt");
	assert_string_equal(escaped(per__escape_html, PER_S("<a href=\"x\">&'b'")),
			    "&lt;a href=&quot;x&quot;&gt;&amp;&#39;b&#39;");
	assert_string_equal(escaped(per__escape_html, PER_S("a\nb\0c\x7f"
							    "d\x1b[0m")),
			    "a" BAD "b" BAD "c" BAD "d" BAD "[0m");
	assert_string_equal(escaped(per__escape_html, PER_S("\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80")),
			    "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80");
	/* U+0085, U+2028, U+202E and U+2069 would change lines and directions; U+00A0 and U+2027 do not */
	assert_string_equal(escaped(per__escape_html, PER_S("\xc2\x85\xe2\x80\xa8\xe2\x80\xae\xe2\x81\xa9")),
			    BAD BAD BAD BAD);
	assert_string_equal(escaped(per__escape_html, PER_S("\xc2\xa0\xe2\x80\xa7\xe2\x81\xaa")),
			    "\xc2\xa0\xe2\x80\xa7\xe2\x81\xaa");
}

static void test_escape_replaces_what_is_no_utf8_byte_by_byte(void **state)
{
	static const struct {
		const char *src;
		unsigned bad; /* how many replacements */
	} cases[] = {
		{ "\x80", 1 },
		{ "\xff", 1 },
		{ "\xc3", 1 },
		{ "\xe2\x82", 2 },
		{ "\xc0\xaf", 2 },
		{ "\xc1\xbf", 2 },
		{ "\xe0\x9f\xbf", 3 },
		{ "\xf0\x8f\xbf\xbf", 4 },
		{ "\xed\xa0\x80", 3 },
		{ "\xf4\x90\x80\x80", 4 },
		{ "\xf5\x80\x80\x80", 4 },
		{ "\xf8\x88\x80\x80\x80", 5 },
		{ "\xf0\x9f\x98", 3 },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++) {
		char expected[64] = "";

		for (unsigned k = 0; k < cases[i].bad; k++)
			(void)snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), BAD);
		assert_string_equal(escaped(per__escape_html, per_str_from(cases[i].src)), expected);
		assert_string_equal(escaped(per__escape_json, per_str_from(cases[i].src)), expected);
	}
	/* the first and last of each length */
	assert_string_equal(escaped(per__escape_json, PER_S("\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf")),
			    "\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf");
	assert_string_equal(
		escaped(per__escape_json, PER_S("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80")),
		"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80");
}

static void test_escape_json_gives_the_inside_of_a_string(void **state)
{
	(void)state;
	assert_string_equal(escaped(per__escape_json, PER_S("")), "");
	assert_string_equal(escaped(per__escape_json, PER_S("a\"b\\c/d<e>")), "a\\\"b\\\\c/d<e>");
	assert_string_equal(escaped(per__escape_json, PER_S("\n\t\0\x1f\x7f")),
			    "\\u000a\\u0009\\u0000\\u001f\\u007f");
}

static void test_escape_segment_keeps_what_means_itself(void **state)
{
	(void)state;
	assert_string_equal(escaped(per__escape_segment, PER_S("a b.txt")), "a%20b.txt");
	assert_string_equal(escaped(per__escape_segment, PER_S("\xc3\xbc\xff")), "%C3%BC%FF");
	assert_string_equal(escaped(per__escape_segment, PER_S("a:b/c?d#e&f'g\"h<i>%20\\")),
			    "a%3Ab%2Fc%3Fd%23e%26f%27g%22h%3Ci%3E%2520%5C");
	assert_string_equal(escaped(per__escape_segment, PER_S("a\0b")), "a%00b");
	assert_string_equal(escaped(per__escape_segment, PER_S("-._~!$()*+,;=@")), "-._~!$()*+,;=@");
}

/* What an escaped name leads to is that name. */
static void test_escape_segment_of_every_byte_leads_back(void **state)
{
	(void)state;
	for (int byte = 1; byte < 256; byte++) {
		const char name[] = { 'x', (char)byte, '\0' };
		struct per__path path;
		char src[16], dst[16];

		(void)snprintf(src, sizeof(src), "/%s", escaped(per__escape_segment, per_str_make(name, 2)));
		if (byte == '/' || !per__path_name_is_reachable(name))
			continue;
		assert_int_equal(per__path_parse(&path, dst, sizeof(dst), per_str_from(src)), 0);
		assert_string_equal(dst, name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape_html_names_what_means_something),
		cmocka_unit_test(test_escape_replaces_what_is_no_utf8_byte_by_byte),
		cmocka_unit_test(test_escape_json_gives_the_inside_of_a_string),
		cmocka_unit_test(test_escape_segment_keeps_what_means_itself),
		cmocka_unit_test(test_escape_segment_of_every_byte_leads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
