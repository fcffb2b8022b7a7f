/* SPDX-License-Identifier: MIT */
/*
 * http_mime_test.c - extensions that a web server meets, their case, and what is no extension; the order of
 * the table, without which the search would miss.
 */
#include "http/mime.h"

#include "base/base.h"
#include "http/mime_table.h"
#include "support/unit.h"

static void expect(const char *extension, const char *type)
{
	const per_str found = per__mime_type(per_str_from(extension));

	if (!per_str_equal(found, per_str_from(type)))
		fail_msg("%s gives %.*s instead of %s", extension, (int)found.len, found.ptr, type);
}

static void test_mime_known_extension_gives_its_type(void **state)
{
	(void)state;
	expect("html", "text/html; charset=utf-8");
	expect("css", "text/css; charset=utf-8");
	expect("js", "text/javascript; charset=utf-8");
	expect("mjs", "text/javascript; charset=utf-8");
	expect("txt", "text/plain; charset=utf-8");
	expect("md", "text/markdown; charset=utf-8");
	expect("xml", "application/xml; charset=utf-8");
	expect("json", "application/json");
	expect("webmanifest", "application/manifest+json");
	expect("wasm", "application/wasm");
	expect("svg", "image/svg+xml");
	expect("png", "image/png");
	expect("jpg", "image/jpeg");
	expect("jpeg", "image/jpeg");
	expect("avif", "image/avif");
	expect("ico", "image/vnd.microsoft.icon");
	expect("woff2", "font/woff2");
	expect("mp4", "video/mp4");
	expect("pdf", "application/pdf");
	expect("gz", "application/gzip");
}

static void test_mime_case_of_extension_does_not_count(void **state)
{
	(void)state;
	expect("HTML", "text/html; charset=utf-8");
	expect("Js", "text/javascript; charset=utf-8");
	expect("PNG", "image/png");
}

static void test_mime_unknown_extension_gives_nothing(void **state)
{
	(void)state;
	expect("", NULL);
	expect("no-such-type", NULL);
	expect("htmlhtmlhtmlhtmlhtml", NULL);
	expect(".html", NULL);
	assert_null(per__mime_type(PER_S("html\0")).ptr);
	assert_null(per__mime_type(PER_S("\0")).ptr);
	assert_null(per__mime_type(PER_S("\xc3\xa9")).ptr);
}

static void test_mime_table_is_in_order_and_every_entry_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(mime_extensions); i++) {
		if (i > 0)
			assert_true(strcmp(mime_extensions[i - 1].extension, mime_extensions[i].extension) <
				    0);
		assert_true(mime_extensions[i].type < PER_ARRAY_LEN(mime_types));
		expect(mime_extensions[i].extension, mime_types[mime_extensions[i].type]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mime_known_extension_gives_its_type),
		cmocka_unit_test(test_mime_case_of_extension_does_not_count),
		cmocka_unit_test(test_mime_unknown_extension_gives_nothing),
		cmocka_unit_test(test_mime_table_is_in_order_and_every_entry_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
