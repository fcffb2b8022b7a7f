/* SPDX-License-Identifier: MIT */
/*
 * tls_names_test.c - src/tls/names.c: what is a name, exact and wildcard look-up, many names.
 */
#include "support/unit.h"

#include "tls/names.h"
#include <peregrine/types.h>

#define LABEL63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

static int reads_as(const char *src, const char *expected)
{
	char name[PER__TLS_NAME_MAX + 1];
	const char *why;
	int len = per__tls_name_read(name, src, strlen(src), &why);

	return len == (int)strlen(expected) && strcmp(name, expected) == 0 && why == NULL;
}

static const char *refusal(const char *src, size_t len)
{
	char name[PER__TLS_NAME_MAX + 1];
	const char *why;

	return per__tls_name_read(name, src, len, &why) == PER_EINVAL && why != NULL ? why : "";
}

static void test_name_read_good_is_lowered(void **state)
{
	(void)state;
	assert_true(reads_as("example.com", "example.com"));
	assert_true(reads_as("EXAMPLE.Com.", "example.com"));
	assert_true(reads_as("*.Example.com", "*.example.com"));
	assert_true(reads_as("localhost", "localhost"));
	assert_true(reads_as("*.local", "*.local"));
	assert_true(reads_as("_a.b-c.1x", "_a.b-c.1x"));
	assert_true(reads_as("1.2.3.4a", "1.2.3.4a"));
	assert_true(reads_as("xn--bcher-kva.example", "xn--bcher-kva.example"));
	assert_true(reads_as(LABEL63 ".a", LABEL63 ".a"));
}

static void test_name_read_bad_says_why(void **state)
{
	static const struct {
		const char *name, *why;
	} cases[] = {
		{ "", "empty" },
		{ ".", "empty" },
		{ "*", "first certificate" },
		{ "*.", "first certificate" },
		{ "*..", "empty" },
		{ "a..b", "empty label" },
		{ ".a", "empty label" },
		{ "*.*.a", "star" },
		{ "f*.example.com", "star" },
		{ "a.*.com", "star" },
		{ "127.0.0.1", "addresses" },
		{ "::1", "addresses" },
		{ "example.com:443", "addresses and ports" },
		{ "b\xc3\xbc"
		  "cher.example",
		  "ASCII" },
		{ "a b", "character" },
		{ "a/b", "character" },
		{ LABEL63 "x.a", "63 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++) {
		const char *why = refusal(cases[i].name, strlen(cases[i].name));

		if (strstr(why, cases[i].why) == NULL)
			fail_msg("'%s': '%s'", cases[i].name, why);
	}
	assert_non_null(strstr(refusal("a\0b", 3), "character"));
}

static void test_name_read_longest_and_one_more(void **state)
{
	char name[PER__TLS_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 2 == 1 ? '.' : 'a';
	name[PER__TLS_NAME_MAX] = 'b';
	assert_string_equal(refusal(name, PER__TLS_NAME_MAX), "");
	assert_non_null(strstr(refusal(name, PER__TLS_NAME_MAX + 1), "253 bytes"));
}

static void put(struct per__tls_names *names, const char *name, uint32_t value)
{
	uint32_t *place = per__tls_names_put(names, name, strlen(name));

	assert_non_null(place);
	*place = value;
}

static uint32_t find(const struct per__tls_names *names, const char *name)
{
	return per__tls_names_find(names, name, strlen(name));
}

static void test_find_exact_before_wildcard_one_label_only(void **state)
{
	struct per__tls_names names = { 0 };

	(void)state;
	assert_int_equal(find(&names, "a"), PER__TLS_NAME_NONE);
	put(&names, "*.example.com", 1);
	put(&names, "www.example.com", 2);
	put(&names, "localhost", 3);
	assert_int_equal(find(&names, "www.example.com"), 2);
	assert_int_equal(find(&names, "WWW.example.COM."), 2);
	assert_int_equal(find(&names, "a.example.com"), 1);
	assert_int_equal(find(&names, "_.EXAMPLE.com"), 1);
	assert_int_equal(find(&names, "example.com"), PER__TLS_NAME_NONE);
	assert_int_equal(find(&names, "a.b.example.com"), PER__TLS_NAME_NONE);
	assert_int_equal(find(&names, "b.www.example.com"), PER__TLS_NAME_NONE);
	assert_int_equal(find(&names, "localhost"), 3);
	per__tls_names_free(&names);
}

static void test_find_odd_questions_find_nothing(void **state)
{
	static const char *const odd[] = { "",
					   ".",
					   "..",
					   ".example.com",
					   "*.example.com",
					   "*",
					   "www.example.com..",
					   "\xff",
					   "www.example.com/" };
	struct per__tls_names names = { 0 };
	char big[70000];

	(void)state;
	put(&names, "*.example.com", 1);
	put(&names, "www.example.com", 2);
	for (size_t i = 0; i < PER_ARRAY_LEN(odd); i++)
		assert_int_equal(find(&names, odd[i]), PER__TLS_NAME_NONE);
	assert_int_equal(per__tls_names_find(&names, "www.example.com\0", 16), PER__TLS_NAME_NONE);
	memset(big, 'a', sizeof(big));
	for (size_t len = 250; len < 260; len++)
		assert_int_equal(per__tls_names_find(&names, big, len), PER__TLS_NAME_NONE);
	assert_int_equal(per__tls_names_find(&names, big, sizeof(big)), PER__TLS_NAME_NONE);
	per__tls_names_free(&names);
}

static void test_put_again_gives_the_same(void **state)
{
	struct per__tls_names names = { 0 };

	(void)state;
	assert_int_equal(*per__tls_names_put(&names, "a", 1), PER__TLS_NAME_NONE);
	put(&names, "a", 7);
	assert_int_equal(*per__tls_names_put(&names, "a", 1), 7);
	assert_int_equal(names.cnt, 1);
	per__tls_names_free(&names);
}

static void test_many_names_are_all_found(void **state)
{
	struct per__tls_names names = { 0 };
	char name[64];

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		(void)snprintf(name, sizeof(name), i % 3 == 0 ? "*.h%u.example" : "h%u.example", i);
		put(&names, name, i);
	}
	assert_int_equal(names.cnt, 20000);
	for (uint32_t i = 0; i < 20000; i++) {
		(void)snprintf(name, sizeof(name), i % 3 == 0 ? "x.h%u.example" : "H%u.example.", i);
		assert_int_equal(find(&names, name), i);
	}
	assert_int_equal(find(&names, "h20000.example"), PER__TLS_NAME_NONE);
	per__tls_names_free(&names);
}

static void test_extension_good_gives_its_name(void **state)
{
	static const uint8_t one[] = "\0\x04\0\0\x01"
				     "a",
			     more[] = "\0\x08\0\0\x03"
				      "a.bxx";
	const char *name;
	size_t len;

	(void)state;
	assert_true(per__tls_name_extract(one, sizeof(one) - 1, &name, &len));
	assert_ptr_equal(name, one + 5);
	assert_int_equal(len, 1);
	assert_true(per__tls_name_extract(more, sizeof(more) - 1, &name, &len)); /* another entry behind it */
	assert_int_equal(len, 3);
}

static void test_extension_bad_gives_none(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		{ "", 0 },
		{ "\0\x03\0\0", 4 },   /* cut */
		{ "\0\x03\0\0\0", 5 }, /* an empty name */
		{ "\0\x05\0\0\x01"
		  "a",
		  6 }, /* the list is longer than the extension */
		{ "\0\x03\0\0\x01"
		  "a",
		  6 }, /* shorter */
		{ "\0\x04\x01\0\x01"
		  "a",
		  6 }, /* no host name */
		{ "\0\x04\0\0\x02"
		  "a",
		  6 }, /* the name is longer than the list */
		{ "\0\x04\0\xff\xff"
		  "a",
		  6 },
	};
	const char *name;
	size_t len;

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++)
		assert_false(
			per__tls_name_extract((const uint8_t *)cases[i].bytes, cases[i].len, &name, &len));
}

static void test_number_ignores_case_and_last_dot(void **state)
{
	(void)state;
	assert_true(per__tls_name_number("a.b", 3) == per__tls_name_number("A.B.", 4));
	assert_true(per__tls_name_number("a.b", 3) != per__tls_name_number("a.c", 3));
	assert_true(per__tls_name_number(NULL, 0) != per__tls_name_number("a", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_read_good_is_lowered),
		cmocka_unit_test(test_name_read_bad_says_why),
		cmocka_unit_test(test_name_read_longest_and_one_more),
		cmocka_unit_test(test_find_exact_before_wildcard_one_label_only),
		cmocka_unit_test(test_find_odd_questions_find_nothing),
		cmocka_unit_test(test_put_again_gives_the_same),
		cmocka_unit_test(test_many_names_are_all_found),
		cmocka_unit_test(test_extension_good_gives_its_name),
		cmocka_unit_test(test_extension_bad_gives_none),
		cmocka_unit_test(test_number_ignores_case_and_last_dot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
