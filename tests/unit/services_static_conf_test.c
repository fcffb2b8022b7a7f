/* SPDX-License-Identifier: MIT */
/*
 * services_static_conf_test.c - what per_static_new() accepts, and which fields a path gets.
 */
#include "services/static_conf.h"

#include "support/unit.h"

static int made(const per_static_config *config)
{
	per_static_config copy = *config;
	per_static *files = NULL;
	int err;

	copy.log_level = PER_LOG_ERROR;
	copy.log_errors_only = true;
	if (copy.root == NULL)
		copy.root = "/tmp";
	err = per_static_new(&files, &copy);
	assert_true((err == 0) == (files != NULL));
	per_static_free(files);
	return err;
}

static void ignore(per_log_level level, const char *line, void *user)
{
	(void)level;
	(void)line;
	(void)user;
}

#define MADE(...) made(&(per_static_config){ .log = ignore, __VA_ARGS__ })

static void test_conf_defaults_are_enough(void **state)
{
	(void)state;
	assert_int_equal(MADE(.root = "/tmp"), 0);
	assert_int_equal(MADE(.root = "."), 0);
	assert_int_equal(per_static_new(NULL, NULL), PER_EINVAL);
}

static void test_conf_roots_that_are_none(void **state)
{
	(void)state;
	assert_int_equal(MADE(.root = ""), PER_EINVAL);
	assert_int_equal(MADE(.root = "/not/there"), PER_EINVAL);
	assert_int_equal(MADE(.root = "/dev/null"), PER_EINVAL);
}

static void test_conf_bounds_hold_at_the_limit_and_one_above(void **state)
{
	const char *names[17];
	per_static_field fields[65];
	static per_static_type types[1025];
	per_static_error_page pages[65];

	(void)state;
	for (int i = 0; i < 17; i++)
		names[i] = "index.html";
	for (int i = 0; i < 65; i++)
		fields[i] = (per_static_field){ .pattern = "*", .name = "X-A", .value = "b" };
	for (int i = 0; i < 1025; i++)
		types[i] = (per_static_type){ "x", "text/x" };
	for (int i = 0; i < 65; i++)
		pages[i] = (per_static_error_page){ 404, "404.html" };
	assert_int_equal(MADE(.index_names = names, .index_count = 16), 0);
	assert_int_equal(MADE(.index_names = names, .index_count = 17), PER_EINVAL);
	assert_int_equal(MADE(.fields = fields, .field_count = 64), 0);
	assert_int_equal(MADE(.fields = fields, .field_count = 65), PER_EINVAL);
	assert_int_equal(MADE(.cache_control = fields, .cache_control_count = 64), 0);
	assert_int_equal(MADE(.cache_control = fields, .cache_control_count = 65), PER_EINVAL);
	assert_int_equal(MADE(.types = types, .type_count = 1024), 0);
	assert_int_equal(MADE(.types = types, .type_count = 1025), PER_EINVAL);
	assert_int_equal(MADE(.error_pages = pages, .error_page_count = 64), 0);
	assert_int_equal(MADE(.error_pages = pages, .error_page_count = 65), PER_EINVAL);
	assert_int_equal(MADE(.disk_threads = 64), 0);
	assert_int_equal(MADE(.disk_threads = 65), PER_EINVAL);
	assert_int_equal(MADE(.field_count = 1), PER_EINVAL); /* no array */
	assert_int_equal(MADE(.reserved = { &names }), PER_EINVAL);
}

static void test_conf_names_stay_below_the_root(void **state)
{
	static const char *const bad[] = { "",   "/",    "/a",     "a/",  "a//b", ".",
					   "..", "../a", "a/../b", "a/.", "./a" };
	static const char *const slash[] = { "a/b" };

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(bad); i++) {
		per_static_error_page page = { 404, bad[i] };

		assert_int_equal(MADE(.fallback = bad[i]), PER_EINVAL);
		assert_int_equal(MADE(.index_names = &bad[i], .index_count = 1), PER_EINVAL);
		assert_int_equal(MADE(.error_pages = &page, .error_page_count = 1), PER_EINVAL);
	}
	assert_int_equal(MADE(.fallback = "a/b.html"), 0);
	assert_int_equal(MADE(.fallback = "..a/b..c"), 0);
	assert_int_equal(MADE(.index_names = slash, .index_count = 1), PER_EINVAL);
}

static int field_made(const char *pattern, const char *name, const char *value)
{
	per_static_field field = { .pattern = pattern, .name = name, .value = value };

	return MADE(.fields = &field, .field_count = 1);
}

static void test_conf_fields_cannot_break_the_message(void **state)
{
	(void)state;
	assert_int_equal(field_made(NULL, "X-A", "b"), 0);
	assert_int_equal(field_made("/a/*.css", "X-A", ""), 0);
	assert_int_equal(field_made("*", "X-A", "b\r\nX-C: d"), PER_EINVAL);
	assert_int_equal(field_made("*", "X A", "b"), PER_EINVAL);
	assert_int_equal(field_made("*", "", "b"), PER_EINVAL);
	assert_int_equal(field_made("*", NULL, "b"), PER_EINVAL);
	assert_int_equal(field_made("*", "X-A", NULL), PER_EINVAL);
	assert_int_equal(field_made("*", "content-LENGTH", "1"), PER_EINVAL);
	assert_int_equal(field_made("*", "ETag", "\"x\""), PER_EINVAL);
	assert_int_equal(field_made("**", "X-A", "b"), PER_EINVAL);
	assert_int_equal(field_made("a/*", "X-A", "b"), PER_EINVAL); /* no path begins so */
	assert_int_equal(field_made("", "X-A", "b"), PER_EINVAL);
	assert_int_equal(MADE(.default_type = "text/\nplain"), PER_EINVAL);
}

static void test_patterns(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool matches;
	} rows[] = {
		{ "*", "/", true },
		{ "*", "/a/b", true },
		{ "/a", "/a", true },
		{ "/a", "/ab", false },
		{ "/a", "/", false },
		{ "*.css", "/a.css", true },
		{ "*.css", "/a.css.gz", false },
		{ "*.css", "/x/.css", true },
		{ "/a/*", "/a/", true },
		{ "/a/*", "/a", false },
		{ "/a/*", "/a/b/c", true },
		{ "/a/*.js", "/a/b/c.js", true },
		{ "/a/*.js", "/a/.js", true },
		{ "/aa*aa", "/aa", false }, /* the two must not overlap */
		{ "/aa*aa", "/aaa", false },
		{ "/aa*aa", "/aaaa", true },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(rows); i++) {
		if (per__pattern_matches(rows[i].pattern, per_str_from(rows[i].path)) != rows[i].matches)
			fail_msg("%s and %s", rows[i].pattern, rows[i].path);
	}
}

static void test_conf_lines_of_a_path(void **state)
{
	const per_static_field rules[] = { { .pattern = "/a/*", .value = "one" },
					   { .pattern = NULL, .value = "two" } };
	const per_static_field fields[] = { { .pattern = NULL, .name = "X-All", .value = "1" },
					    { .pattern = "*.js", .name = "X-Js", .value = "2" } };
	const per_static_config config = { .root = "/tmp",
					   .cache_control = rules,
					   .cache_control_count = 2,
					   .fields = fields,
					   .field_count = 2,
					   .nosniff = true };
	struct per__static_conf conf = { 0 };
	struct per__text text;
	char memory[512];

	(void)state;
	assert_int_equal(per__static_conf_init(&conf, &config), 0);
	text = per__text_make(memory, sizeof(memory) - 1);
	per__static_conf_lines(&conf, &text, PER_S("/a/x.js"));
	memory[text.len] = '\0';
	assert_string_equal(
		memory, "Cache-Control: one\r\nX-Content-Type-Options: nosniff\r\nX-All: 1\r\nX-Js: 2\r\n");
	text = per__text_make(memory, sizeof(memory) - 1);
	per__static_conf_lines(&conf, &text, PER_S("/b"));
	memory[text.len] = '\0';
	assert_string_equal(memory, "Cache-Control: two\r\nX-Content-Type-Options: nosniff\r\nX-All: 1\r\n");
	per__static_conf_fini(&conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conf_defaults_are_enough),
		cmocka_unit_test(test_conf_roots_that_are_none),
		cmocka_unit_test(test_conf_bounds_hold_at_the_limit_and_one_above),
		cmocka_unit_test(test_conf_names_stay_below_the_root),
		cmocka_unit_test(test_conf_fields_cannot_break_the_message),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_conf_lines_of_a_path),
	};

	return cmocka_run_group_tests_name("static_conf", tests, NULL, NULL);
}
