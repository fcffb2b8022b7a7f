/* SPDX-License-Identifier: MIT */
/*
 * http_path_test.c - paths that name files, paths that are refused, and the bounds of both.
 */
#include "http/path.h"

#include "support/unit.h"

/* Parses from memory of the exact size, so that a sanitizer sees a read beyond it. */
static int parse(struct per__path *out, char *dst, size_t cap, const char *src, size_t len)
{
	char *exact = malloc(len + (len == 0));
	int err;

	assert_non_null(exact);
	memcpy(exact, src, len);
	err = per__path_parse(out, dst, cap, per_str_make(exact, len));
	free(exact);
	return err;
}

/* The result as text: the name, then '/' if the path ended so; "-400" and "-414" as they are. */
static const char *result_of(const char *src)
{
	static char text[PER__PATH_CAP + 1];
	struct per__path path;
	const int err = parse(&path, text, PER__PATH_CAP, src, strlen(src));

	if (err != 0)
		(void)snprintf(text, sizeof(text), "%d", err);
	else if (path.ends_in_slash)
		(void)snprintf(text + path.len, sizeof(text) - path.len, "/");
	return text;
}

static void test_path_parse_gives_the_relative_name(void **state)
{
	static const char *const cases[][2] = {
		{ "/", "/" },
		{ "/a", "a" },
		{ "/a/", "a/" },
		{ "/a/b/c.html", "a/b/c.html" },
		{ "/a%20b/%c3%BC.txt", "a b/\xc3\xbc.txt" },
		{ "/%61%62/%2d", "ab/-" },
		{ "/a:b@c!$&'()*+,;=~_-", "a:b@c!$&'()*+,;=~_-" },
		{ "/a+b", "a+b" },
		{ "/%252e%252e/x", "%2e%2e/x" }, /* decoded once, not twice */
		{ "/%3fa%23b", "?a#b" },
		{ "/...", "..." },
		{ "/..a", "..a" },
		{ "/.a/b", ".a/b" },
		{ "/a.", "a." },
		{ "/a../b", "a../b" },
		{ "/%c0%ae%c0%ae/x", "\xc0\xae\xc0\xae/x" }, /* an overlong '.' is two other bytes */
		{ "/%ff", "\xff" },
		{ "/\xc3\xbc", "\xc3\xbc" },
		{ "/a|b\"<>^`{}", "a|b\"<>^`{}" },
		{ "/C:/x", "C:/x" },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++)
		assert_string_equal(result_of(cases[i][0]), cases[i][1]);
}

static void test_path_parse_drops_empty_segments(void **state)
{
	static const char *const cases[][2] = {
		{ "//", "/" },
		{ "///a", "a" },
		{ "//host/%68", "host/h" },
		{ "/a//b///", "a/b/" },
	};
	struct per__path path;
	char dst[64];

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++) {
		assert_string_equal(result_of(cases[i][0]), cases[i][1]);
		assert_int_equal(parse(&path, dst, sizeof(dst), cases[i][0], strlen(cases[i][0])), 0);
		assert_false(path.is_canonical);
	}
	assert_int_equal(parse(&path, dst, sizeof(dst), "/a/b/", 5), 0);
	assert_true(path.is_canonical);
}

static void test_path_parse_refuses_dot_segments_however_encoded(void **state)
{
	static const char *const dots[] = { ".",    "..",     "%2e",    "%2E",  "%2e.",
					    ".%2e", "%2e%2E", "%2E%2e", ".%2E", "%2E." };
	static const char *const around[][2] = { { "/", "" },     { "/", "/" },      { "/a/", "" },
						 { "/a/", "/b" }, { "//", "//etc" }, { "/%61/", "/" } };

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(dots); i++) {
		for (size_t k = 0; k < PER_ARRAY_LEN(around); k++) {
			char src[64];

			(void)snprintf(src, sizeof(src), "%s%s%s", around[k][0], dots[i], around[k][1]);
			assert_string_equal(result_of(src), "-400");
		}
	}
}

static void test_path_parse_refuses_what_is_no_name(void **state)
{
	static const char *const cases[] = {
		"",           "*",      "a",     "a/b",       "%2fa",         "http://h/", "/a%2fb",
		"/%2F",       "/..%2f", "/a%00", "/a%00.png", "/a\\b",        "/..\\x",    "/%5c",
		"/a%5C..%5c", "/%",     "/a%4",  "/%g0",      "/%0g",         "/%%32%65",  "/%u002e",
		"/%+1",       "/a?b",   "/a#b",  "/a%0a",     "/a%0D%0aX: y", "/%7f",      "/a\tb",
	};
	struct per__path path;
	char dst[64];

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++)
		assert_string_equal(result_of(cases[i]), "-400");
	assert_int_equal(parse(&path, dst, sizeof(dst), "/a\0b", 4), -400);
	assert_int_equal(parse(&path, dst, sizeof(dst), "/%41", 3), -400); /* the digit is not ours */
	assert_int_equal(per__path_parse(&path, dst, sizeof(dst), per_str_make(NULL, 0)), -400);
}

/* Each byte as it is and encoded, against the rule in words. */
static void test_path_parse_of_every_byte(void **state)
{
	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		const bool is_refused = byte < 0x20 || byte == 0x7f || byte == '\\';
		const bool is_plain = !is_refused && strchr("?#%/", byte) == NULL;
		const char plain[3] = { '/', 'x', (char)byte };
		struct per__path path;
		char dst[8], escaped[8];

		assert_int_equal(parse(&path, dst, sizeof(dst), plain, 3) == 0, is_plain || byte == '/');
		if (is_plain)
			assert_int_equal((uint8_t)dst[1], byte);
		(void)snprintf(escaped, sizeof(escaped), "/x%%%02x", (unsigned)byte);
		assert_int_equal(parse(&path, dst, sizeof(dst), escaped, 5) == 0, !is_refused && byte != '/');
		if (!is_refused && byte != '/')
			assert_int_equal((uint8_t)dst[1], byte);
	}
}

static void check_parts(const char *src, const char *name, const char *ext, bool has_dotfile)
{
	struct per__path path;
	char dst[64];

	assert_int_equal(parse(&path, dst, sizeof(dst), src, strlen(src)), 0);
	assert_int_equal(strlen(dst), path.len);
	assert_string_equal(dst + path.name_off, name);
	assert_true(per_str_equal(per__path_ext(&path, dst), per_str_from(ext)));
	assert_int_equal(path.has_dotfile, has_dotfile);
}

static void test_path_parse_tells_name_extension_and_dotfiles(void **state)
{
	(void)state;
	check_parts("/", "", "", false);
	check_parts("/index.html", "index.html", "html", false);
	check_parts("/a.b/c.tar.gz", "c.tar.gz", "gz", false);
	check_parts("/a.b/c", "c", "", false);
	check_parts("/a.b/", "a.b", "b", false);
	check_parts("/a%2Ehtml", "a.html", "html", false);
	check_parts("/a.%68tml", "a.html", "html", false);
	check_parts("/name.", "name.", "", false);
	check_parts("/.bashrc", ".bashrc", "", true);
	check_parts("/.a.txt", ".a.txt", "txt", true);
	check_parts("/%2egit/config", "config", "", true);
	check_parts("/a/.git/b", "b", "", true);
	check_parts("/.git/", ".git", "", true);
	check_parts("/...", "...", "", true);
	check_parts("/.well-known/x", "x", "", false);
	check_parts("/.well-known", ".well-known", "", false);
	check_parts("//%2Ewell-known/security.txt", "security.txt", "txt", false);
	check_parts("/.well-known/.git", ".git", "", true);
	check_parts("/a/.well-known", ".well-known", "", true);
	check_parts("/.well-knowns/x", "x", "", true);
	check_parts("/.well-know/x", "x", "", true);
}

static void test_path_parse_fits_exactly_or_is_too_long(void **state)
{
	static char src[PER__PATH_CAP + 1], dst[PER__PATH_CAP];
	struct per__path path;

	(void)state;
	assert_int_equal(parse(&path, dst, 4, "/abc", 4), 0);
	assert_int_equal(parse(&path, dst, 3, "/abc", 4), -414);
	assert_int_equal(parse(&path, dst, 4, "/a/b", 4), 0);
	assert_int_equal(parse(&path, dst, 3, "/a/b", 4), -414);
	assert_int_equal(parse(&path, dst, 2, "/a/b", 4), -414);
	assert_int_equal(parse(&path, dst, 3, "/a%20//", 7), 0);
	assert_int_equal(parse(&path, dst, 1, "///", 3), 0);
	assert_int_equal(parse(&path, dst, 1, "/a", 2), -414);
	assert_int_equal(parse(&path, dst, 4, "/ab%63", 6), 0);
	assert_int_equal(parse(&path, dst, 3, "/ab%63", 6), -414);
	assert_int_equal(parse(&path, dst, 3, "/ab%63/%64", 10), -414);

	memset(src, 'a', sizeof(src));
	src[0] = '/';
	assert_int_equal(parse(&path, dst, sizeof(dst), src, PER__PATH_CAP), 0);
	assert_int_equal(path.len, PER__PATH_CAP - 1);
	assert_int_equal(parse(&path, dst, sizeof(dst), src, PER__PATH_CAP + 1), -414);
}

static void cap_too_large(void *arg)
{
	struct per__path path;
	static char dst[PER__PATH_CAP + 1];

	(void)per__path_parse(&path, dst, *(size_t *)arg, PER_S("/"));
}

static void test_path_parse_with_a_wrong_cap_is_our_error(void **state)
{
	size_t caps[] = { 0, PER__PATH_CAP + 1, PER__PATH_CAP };

	(void)state;
	assert_true(test_dies(cap_too_large, &caps[0]));
	assert_true(test_dies(cap_too_large, &caps[1]));
	assert_false(test_dies(cap_too_large, &caps[2]));
}

static void test_path_name_is_reachable_as_parse_says(void **state)
{
	(void)state;
	for (int byte = 1; byte < 256; byte++) {
		const char name[] = { 'x', (char)byte, '\0' };
		struct per__path path;
		char dst[8], escaped[8];

		if (byte == '/')
			continue;
		(void)snprintf(escaped, sizeof(escaped), "/x%%%02X", (unsigned)byte);
		assert_int_equal(per__path_name_is_reachable(name), parse(&path, dst, 8, escaped, 5) == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_parse_gives_the_relative_name),
		cmocka_unit_test(test_path_parse_drops_empty_segments),
		cmocka_unit_test(test_path_parse_refuses_dot_segments_however_encoded),
		cmocka_unit_test(test_path_parse_refuses_what_is_no_name),
		cmocka_unit_test(test_path_parse_of_every_byte),
		cmocka_unit_test(test_path_parse_tells_name_extension_and_dotfiles),
		cmocka_unit_test(test_path_parse_fits_exactly_or_is_too_long),
		cmocka_unit_test(test_path_parse_with_a_wrong_cap_is_our_error),
		cmocka_unit_test(test_path_name_is_reachable_as_parse_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
