/* SPDX-License-Identifier: MIT */
/*
 * http_h1_limits_test.c - the limits of a request head at their maximum and one above, what wins when a limit
 * and an error meet, and generated input that puts every byte at every place of a SIMD block.
 */
#include "support/h1_harness.h"

/* Every limit on the bytes of a head: within the target it is the target that is too long. */
static void test_h1_limits_head_bytes_give_414_or_431(void **state)
{
	static const char head[] = "GET /path?query HTTP/1.1\r\nHost: h\r\nName: value\r\n\r\n";
	const uint32_t len = sizeof(head) - 1;
	struct per__h1_limits limits = { len, 8192, 100 };

	(void)state;
	h1_check_with(&(struct h1_case){ head, len, H1_TEST_WHOLE, NULL, __LINE__ }, &limits, 100);
	for (limits.head_bytes_max = 1; limits.head_bytes_max < len; limits.head_bytes_max++) {
		const uint32_t max = limits.head_bytes_max;
		const int expect =
			max >= 4 && max <= 15 ? -414 : -431; /* the space behind the target is byte 15 */

		h1_check_with(&(struct h1_case){ head, len, expect, NULL, __LINE__ }, &limits, 100);
		h1_check_with(&(struct h1_case){ head, max, expect, NULL, __LINE__ }, &limits, 100);
		h1_check_with(&(struct h1_case){ head, max - 1, PER__H1_MORE, NULL, __LINE__ }, &limits, 100);
	}
}

/* A reload between two calls: a head that is longer already is refused, and not looked at any further. */
static void test_h1_limits_shrink_between_two_calls(void **state)
{
	static const char text[] =
		"GET /path?query HTTP/1.1\r\nHost: h\r\nName: value\r\nOther: more\r\n\r\n";
	const size_t len = sizeof(text) - 1;
	struct per__field fields[H1_TEST_FIELDS_MAX];
	struct per__h1_head head;
	per__h1_parse_fn parse;
	int result;

	(void)state;
	for (unsigned i = 0; (parse = per__h1_parse_at(i, NULL)) != NULL; i++) {
		for (size_t cut = 1; cut < len; cut++) {
			for (uint32_t max = 1; max <= cut; max++) {
				const struct per__h1_limits small = { max, 8192, 100 };
				const uint8_t *bytes = h1_guarded(text, cut);

				per__h1_head_init(&head, fields, H1_TEST_FIELDS_MAX);
				assert_int_equal(parse(&head, &h1_test_limits, bytes, cut), PER__H1_MORE);
				result = parse(&head, &small, h1_guarded(text, len), len);
				/* the space behind the target is byte 15 */
				if (result != -431 && (result != -414 || max > 15))
					fail_msg("parser %u, cut at %zu, then at most %u: %d", i, cut, max,
						 result);
			}
		}
	}
}

/* The largest head that 16-bit offsets can hold. */
static void test_h1_limits_largest_head_is_parsed(void **state)
{
	static char head[65536 + 1];
	const struct per__h1_limits limits = { 65535, 65535, 100 };
	const struct per__h1_limits small = { 65534, 65535, 100 };
	const size_t start = (size_t)snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: h\r\na: ");

	(void)state;
	memset(head + start, 'x', 65535 - start);
	memcpy(head + 65535 - 4, "\r\n\r\n", 5);
	h1_check_whole(&(struct h1_case){ head, 65535, H1_TEST_WHOLE, NULL, __LINE__ }, &limits);
	h1_check_whole(&(struct h1_case){ head, 65535, -431, NULL, __LINE__ }, &small);
	memset(head + 65535 - 4, 'x', 4);
	memcpy(head + 65536 - 4, "\r\n\r\n", 5);
	h1_check_whole(&(struct h1_case){ head, 65536, -431, NULL, __LINE__ }, &limits);
	/* a target of the same size */
	memset(head, 'x', 65536);
	memcpy(head, "GET /", 5);
	h1_check_whole(&(struct h1_case){ head, 65536, -414, NULL, __LINE__ }, &limits);
}

static void test_h1_limits_target_bytes_give_414(void **state)
{
	static const char head[] = "GET /123?567 HTTP/1.1\r\nHost: h\r\n\r\n";
	struct per__h1_limits limits = { 65535, 0, 100 };

	(void)state;
	for (limits.target_bytes_max = 1; limits.target_bytes_max < 12; limits.target_bytes_max++) {
		const int expect = limits.target_bytes_max < 8 ? -414 : H1_TEST_WHOLE;

		h1_check_with(&(struct h1_case){ head, sizeof(head) - 1, expect, NULL, __LINE__ }, &limits,
			      100);
	}
	/*
	 * the byte above the limit decides, whatever it is, unless it ends the target; those before it count
	 * first
	 */
	limits.target_bytes_max = 4;
	h1_check_with(&(struct h1_case)MORE("GET /123"), &limits, 100);
	h1_check_with(&(struct h1_case)MORE("GET /123 "), &limits, 100);
	h1_check_with(&(struct h1_case)BAD(414, "GET /1234"), &limits, 100);
	h1_check_with(&(struct h1_case)BAD(414, "GET /1234 HTTP/9"), &limits, 100);
	h1_check_with(&(struct h1_case)BAD(414, "GET /123?"), &limits, 100);
	h1_check_with(&(struct h1_case)BAD(414, "GET /123\x01"), &limits, 100);
	h1_check_with(&(struct h1_case)BAD(414, "GET /123\r\n"), &limits, 100);
	h1_check_with(&(struct h1_case)BAD(414, "GET /12345678901234567890123456789012345678901234567890#"),
		      &limits, 100);
	h1_check_with(&(struct h1_case)BAD(400, "GET /12\x01 56"), &limits, 100);
	h1_check_with(&(struct h1_case)BAD(400, "GET x123456"), &limits, 100);
	h1_check_with(&(struct h1_case)BAD(400, "GET /12#456"), &limits, 100);
}

static void test_h1_limits_fields_give_431(void **state)
{
	struct per__h1_limits limits = { 65535, 8192, 3 };

	(void)state;
	h1_check_with(&(struct h1_case)OK(FIELDS("a: b\r\nc: d\r\n"), NULL), &limits, 100);
	h1_check_with(&(struct h1_case)OK(FIELDS("a: b\r\nc: d\r\n"), NULL), &limits, 3);
	h1_check_with(&(struct h1_case)BAD(431, FIELDS("a: b\r\nc: d\r\ne: f\r\n")), &limits, 100);
	h1_check_with(&(struct h1_case)BAD(431, FIELDS("a: b\r\nc: d\r\ne")), &limits, 100);
	h1_check_with(&(struct h1_case)BAD(431, FIELDS("a: b\r\nc: d\r\n")), &limits,
		      2); /* no room in the array */
	h1_check_with(&(struct h1_case)BAD(400, FIELDS("a: b\r\nc: d\r\n folded\r\n")), &limits, 100);
	h1_check_with(&(struct h1_case)BAD(400, FIELDS("a: b\r\nc: d\r\n:")), &limits, 100);
	limits.fields_max = 0;
	h1_check_with(&(struct h1_case)OK("GET / HTTP/1.0\r\n\r\n", NULL), &limits, 0);
	h1_check_with(&(struct h1_case)BAD(431, "GET / HTTP/1.0\r\na: b\r\n\r\n"), &limits, 0);
}

/* An error before the limit is the verdict, one at or behind it is not. */
static void test_h1_limits_and_errors_come_in_byte_order(void **state)
{
	static const char head[] = "GET / HTTP/1.1\r\nHost: h\r\na: \x01\r\n\r\n";
	struct per__h1_limits limits = { 0, 8192, 100 };

	(void)state;
	for (limits.head_bytes_max = 20; limits.head_bytes_max < 34; limits.head_bytes_max++) {
		const int expect = limits.head_bytes_max <= 28 ? -431 : -400; /* the bad byte is byte 28 */

		h1_check_with(&(struct h1_case){ head, sizeof(head) - 1, expect, NULL, __LINE__ }, &limits,
			      100);
	}
}

/* --- every byte at every place ---------------------------------------------------------------- */

/* A head whose target, name and value are long enough for several blocks; where each begins. */
static const char long_head[] =
	"GET /pathpathpathpathpathpathpathpathpathpathpathpathpathpathpathpathpathpathpathpathpath "
	"HTTP/1.1\r\n"
	"Host: hosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthost\r\n"
	"namenamenamenamenamenamenamenamenamenamenamenamenamenamenamenamenamenamenamename: "
	"valuevaluevaluevaluevaluevaluevaluevaluevaluevaluevaluevaluevaluevaluevaluevalue\r\n"
	"\r\n";

static int expect_in_target(unsigned byte)
{
	if (byte <= 0x20 || byte >= 0x7f || byte == '#')
		return -400;
	return H1_TEST_WHOLE;
}

/* A colon cuts the name short, which is fine. */
static int expect_in_name(unsigned byte)
{
	return byte == ':' || per__is_token(&(char){ (char)byte }, 1) ? H1_TEST_WHOLE : -400;
}

static int expect_in_value(unsigned byte)
{
	return byte == '\t' || (byte >= 0x20 && byte != 0x7f) ? H1_TEST_WHOLE : -400;
}

/* No digit may follow a colon here, and none of these letters a percent sign. */
static int expect_in_host(unsigned byte)
{
	const bool is_alnum = (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');

	return is_alnum || (byte != 0 && strchr("-._~!$&'()*+,;=", (int)byte) != NULL) ? H1_TEST_WHOLE : -400;
}

/* Puts every byte at every place from the second byte of a part on. */
static void check_part(const char *part, size_t part_len, int (*expect_for)(unsigned))
{
	char head[sizeof(long_head)];
	const size_t start = (size_t)(strstr(long_head, part) - long_head);

	for (size_t at = start + 1; at < start + part_len; at++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			memcpy(head, long_head, sizeof(head));
			head[at] = (char)byte;
			h1_check_whole(
				&(struct h1_case){ head, sizeof(head) - 1, expect_for(byte), NULL, __LINE__ },
				&h1_test_limits);
		}
	}
}

static void test_h1_limits_every_byte_at_every_place_is_judged(void **state)
{
	(void)state;
	check_part("/path", 85, expect_in_target);
	check_part("hosthost", 63, expect_in_host);
	check_part("name", 80, expect_in_name);
	check_part("value", 80, expect_in_value);
}

/* Names, values and targets of every length up to several blocks, so that every tail is met. */
static void test_h1_limits_every_length_is_found(void **state)
{
	char head[512], dump[512], text[101];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (int len = 0; len <= 100; len++) {
		const int head_len = snprintf(head, sizeof(head),
					      "GET /%.*s?%.*s HTTP/1.1\r\nHost: h\r\nn%.*s:%.*s\r\n\r\n", len,
					      text, len, text, len, text, len, text);

		snprintf(dump, sizeof(dump), "1o11 p=/%.*s q=%.*s h=h l=- : [Host=h] [n%.*s=%.*s]", len, text,
			 len, text, len, text, len, text);
		h1_check(&(struct h1_case){ head, (size_t)head_len, H1_TEST_WHOLE, dump, __LINE__ });
	}
}

static void test_h1_limits_parsers_have_distinct_names_and_best_is_last(void **state)
{
	const char *best = NULL, *name = NULL, *before = NULL;
	unsigned count = 0;

	(void)state;
	assert_ptr_equal(per__h1_parse_at(0, &name), per__h1_parse_scalar);
	assert_string_equal(name, "scalar");
	for (; per__h1_parse_at(count, &name) != NULL; count++) {
		assert_true(before == NULL || strcmp(before, name) != 0);
		before = name;
	}
	assert_ptr_equal(per__h1_parse_best(&best), per__h1_parse_at(count - 1, NULL));
	assert_string_equal(best, name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_h1_limits_head_bytes_give_414_or_431),
		cmocka_unit_test(test_h1_limits_shrink_between_two_calls),
		cmocka_unit_test(test_h1_limits_largest_head_is_parsed),
		cmocka_unit_test(test_h1_limits_target_bytes_give_414),
		cmocka_unit_test(test_h1_limits_fields_give_431),
		cmocka_unit_test(test_h1_limits_and_errors_come_in_byte_order),
		cmocka_unit_test(test_h1_limits_every_byte_at_every_place_is_judged),
		cmocka_unit_test(test_h1_limits_every_length_is_found),
		cmocka_unit_test(test_h1_limits_parsers_have_distinct_names_and_best_is_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
