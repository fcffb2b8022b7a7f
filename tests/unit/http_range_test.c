/* SPDX-License-Identifier: MIT */
/*
 * http_range_test.c - what Range fields ask for, by hand and against a map of bytes; the answers' text.
 */
#include "http/range.h"

#include "support/unit.h"

/* The result as text: "200", "416", or the ranges one by one. */
static const char *result_of(const char *value, uint64_t size)
{
	static char text[1024];
	struct per__ranges ranges;
	const size_t len = strlen(value);
	char *exact = malloc(len + (len == 0));
	enum per__range_result result;

	assert_non_null(exact);
	memcpy(exact, value, len);
	result = per__range_parse(&ranges, per_str_make(exact, len), size);
	free(exact);
	if (result != PER__RANGE_PART) {
		(void)snprintf(text, sizeof(text), "%d", (int)result);
		return text;
	}
	text[0] = '\0';
	for (uint32_t i = 0; i < ranges.count; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%llu-%llu",
			       i > 0 ? " " : "", (unsigned long long)ranges.at[i].first,
			       (unsigned long long)ranges.at[i].last);
	return text;
}

struct sample {
	const char *value;
	uint64_t size;
	const char *result;
};

static void check_samples(const struct sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_string_equal(result_of(samples[i].value, samples[i].size), samples[i].result);
}

/* The first six are the examples of RFC 9110 section 14.1.2. */
static void test_range_parse_of_one_range(void **state)
{
	static const struct sample samples[] = {
		{ "bytes=0-499", 10000, "0-499" },
		{ "bytes=500-999", 10000, "500-999" },
		{ "bytes=-500", 10000, "9500-9999" },
		{ "bytes=9500-", 10000, "9500-9999" },
		{ "bytes=0-0,-1", 10000, "0-0 9999-9999" },
		{ "bytes= 0-999, 4500-5499, -1000", 10000, "0-999 4500-5499 9000-9999" },
		{ "bytes=0-", 10000, "0-9999" },
		{ "bytes=0-9999", 10000, "0-9999" },
		{ "bytes=0-10000", 10000, "0-9999" },
		{ "bytes=9999-", 10000, "9999-9999" },
		{ "bytes=9999-9999", 10000, "9999-9999" },
		{ "bytes=-10000", 10000, "0-9999" },
		{ "bytes=-10001", 10000, "0-9999" },
		{ "BYTES=0-1", 10000, "0-1" },
		{ "bytes=000-0001", 10000, "0-1" },
		{ "bytes=0-99999999999999999999999999", 10, "0-9" },
		{ "bytes=-99999999999999999999999999", 10, "0-9" },
		{ "bytes=0-9223372036854775807", 10, "0-9" },
		{ "bytes=9223372036854775806-", INT64_MAX, "9223372036854775806-9223372036854775806" },
		{ "bytes=0-", INT64_MAX, "0-9223372036854775806" },
		{ "bytes=0-", 1, "0-0" },
	};

	(void)state;
	check_samples(samples, PER_ARRAY_LEN(samples));
}

static void test_range_parse_outside_of_the_size_is_416(void **state)
{
	static const struct sample samples[] = {
		{ "bytes=10-", 10, "416" },
		{ "bytes=10-20", 10, "416" },
		{ "bytes=11-", 10, "416" },
		{ "bytes=-0", 10, "416" },
		{ "bytes=0-", 0, "416" },
		{ "bytes=0-0", 0, "416" },
		{ "bytes=-0", 0, "416" },
		{ "bytes=99999999999999999999-", 10, "416" },
		{ "bytes=20-30,-0", 10, "416" },
		{ "bytes=20-30,0-1", 10, "0-1" }, /* one that can be satisfied is enough */
		{ "bytes=0-1,20-", 10, "0-1" },
	};

	(void)state;
	check_samples(samples, PER_ARRAY_LEN(samples));
}

static void test_range_parse_ignores_what_is_no_range_of_bytes(void **state)
{
	static const char *const values[] = {
		"",
		"bytes",
		"bytes=",
		"bytes=,",
		"bytes=-",
		"bytes=a-b",
		"bytes=1-0",
		"bytes=0",
		"items=0-1",
		"bytes 0-1",
		"bytes =0-1",
		"byte=0-1",
		"bytes=0-1;",
		"bytes=0-1-2",
		"bytes=--1",
		"bytes=+0-1",
		"bytes=0x0-1",
		"bytes=0-1 2-3",
		"bytes=0 - 1",
		"bytes=0-1,x",
		"bytes=0-1,5-4",
		"bytes=-1-",
		"bytes=0-1,-",
		"0-1",
		"bytes:0-1",
		"bytes=\"0-1\"",
		"bytes=0-\xb2",
		"bytes==0-1",
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(values); i++)
		assert_string_equal(result_of(values[i], 10), "200");
	assert_string_equal(result_of("bytes=-5", 0), "200");
	assert_string_equal(result_of("bytes=0-0,-5", 0), "200");
	assert_int_equal(per__range_parse(&(struct per__ranges){ 0 }, per_str_make(NULL, 0), 10), 200);
}

static void test_range_parse_joins_what_overlaps_or_touches(void **state)
{
	static const struct sample samples[] = {
		{ "bytes=0-4,5-9", 100, "0-9" },
		{ "bytes=5-9,0-4", 100, "0-9" },
		{ "bytes=0-4,6-9", 100, "0-4 6-9" },
		{ "bytes=6-9,0-4", 100, "6-9 0-4" }, /* the order asked for stays */
		{ "bytes=0-9,2-3", 100, "0-9" },
		{ "bytes=2-3,0-9", 100, "0-9" },
		{ "bytes=0-1,10-11,20-21,2-9", 100, "0-11 20-21" },
		{ "bytes=20-21,0-1,10-11,30-31,2-9", 100, "20-21 0-11 30-31" },
		{ "bytes=10-11,20-21,0-1,12-19", 100, "10-21 0-1" },
		{ "bytes=0-,0-,0-,0-,0-,0-", 100, "0-99" },
		{ "bytes=,,0-1, ,4-5,,", 100, "0-1 4-5" },
		{ "bytes=50-,-60", 100, "40-99" },
	};

	(void)state;
	check_samples(samples, PER_ARRAY_LEN(samples));
}

static void test_range_parse_takes_ranges_up_to_the_bound(void **state)
{
	char value[512] = "bytes=";
	struct per__ranges ranges;

	(void)state;
	for (unsigned i = 0; i < PER__RANGES_MAX; i++)
		(void)snprintf(value + strlen(value), sizeof(value) - strlen(value), "%u-%u,", i * 10,
			       i * 10 + 1);
	assert_int_equal(per__range_parse(&ranges, per_str_from(value), 1000), PER__RANGE_PART);
	assert_int_equal(ranges.count, PER__RANGES_MAX);
	(void)snprintf(value + strlen(value), sizeof(value) - strlen(value), "500-");
	assert_int_equal(per__range_parse(&ranges, per_str_from(value), 1000), PER__RANGE_WHOLE);
	assert_int_equal(per__range_parse(&ranges, per_str_from(value), 100), PER__RANGE_WHOLE);
}

#define MAP_BYTES 24u

/* Random lists over a few bytes: the ranges do not touch and are exactly the bytes asked for. */
static void test_range_parse_gives_exactly_the_bytes_asked_for(void **state)
{
	uint64_t seed = 14;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		char wanted[MAP_BYTES + 2] = "", got[MAP_BYTES + 2] = "", value[512] = "bytes=";
		const unsigned count = 1 + (unsigned)(test_random(&seed) % PER__RANGES_MAX);
		struct per__ranges ranges;
		bool is_found = false;

		for (unsigned i = 0; i < count; i++) {
			const unsigned first = (unsigned)(test_random(&seed) % (MAP_BYTES + 4));
			const unsigned last = first + (unsigned)(test_random(&seed) % 4);

			(void)snprintf(value + strlen(value), sizeof(value) - strlen(value), "%u-%u,", first,
				       last);
			for (unsigned at = first; at <= last && at < MAP_BYTES; at++) {
				wanted[at] = 1;
				is_found = true;
			}
		}
		assert_int_equal(per__range_parse(&ranges, per_str_from(value), MAP_BYTES),
				 is_found ? 206 : 416);
		for (uint32_t i = 0; is_found && i < ranges.count; i++) {
			assert_true(ranges.at[i].first <= ranges.at[i].last && ranges.at[i].last < MAP_BYTES);
			for (uint64_t at = ranges.at[i].first; at <= ranges.at[i].last; at++) {
				assert_int_equal(got[at], 0);
				got[at] = 1;
			}
			for (uint32_t k = 0; k < i; k++)
				assert_true(ranges.at[i].first > ranges.at[k].last + 1 ||
					    ranges.at[k].first > ranges.at[i].last + 1);
		}
		if (is_found)
			assert_memory_equal(got, wanted, sizeof(got));
	}
}

static void test_range_values_are_those_of_the_rfc(void **state)
{
	static const struct per__range range = { 42, 1233 };
	char buf[128];
	struct per__text text = per__text_make(buf, sizeof(buf));

	(void)state;
	per__range_value(&text, &range, 1234);
	per__text_byte(&text, '\n');
	per__range_outside_value(&text, 1234);
	per__text_byte(&text, '\0');
	assert_string_equal(buf, "bytes 42-1233/1234\nbytes */1234");
	assert_int_equal(per__range_bytes(&range), 1192);
}

/* As in RFC 9110 section 14.6, with the bytes of the parts in place of the text there. */
static void test_multipart_is_laid_out_and_measured(void **state)
{
	static const char representation[] = "0123456789";
	static const char expected[] =
		"--SEP\r\nContent-Type: text/plain\r\nContent-Range: bytes 7-8/10\r\n\r\n78"
		"\r\n--SEP\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-2/10\r\n\r\n012"
		"\r\n--SEP--\r\n";
	struct per__multipart multipart = { PER_S("SEP"), PER_S("text/plain"), 10 };
	struct per__ranges ranges;
	char buf[512];
	struct per__text text = per__text_make(buf, sizeof(buf));

	(void)state;
	assert_int_equal(per__range_parse(&ranges, PER_S("bytes=7-8,0-2"), 10), PER__RANGE_PART);
	for (uint32_t i = 0; i < ranges.count; i++) {
		per__multipart_head(&text, &multipart, &ranges, i);
		per__text_add(&text, per_str_make(representation + ranges.at[i].first,
						  (size_t)per__range_bytes(&ranges.at[i])));
	}
	per__multipart_end(&text, &multipart);
	assert_int_equal(text.len, sizeof(expected) - 1);
	assert_memory_equal(buf, expected, text.len);
	assert_int_equal(per__multipart_bytes(&multipart, &ranges), text.len);

	text = per__text_make(buf, sizeof(buf));
	multipart.content_type = per_str_make(NULL, 0);
	per__multipart_head(&text, &multipart, &ranges, 0);
	per__multipart_type(&text, &multipart);
	per__text_byte(&text, '\0');
	assert_string_equal(buf,
			    "--SEP\r\nContent-Range: bytes 7-8/10\r\n\r\nmultipart/byteranges; boundary=SEP");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_range_parse_of_one_range),
		cmocka_unit_test(test_range_parse_outside_of_the_size_is_416),
		cmocka_unit_test(test_range_parse_ignores_what_is_no_range_of_bytes),
		cmocka_unit_test(test_range_parse_joins_what_overlaps_or_touches),
		cmocka_unit_test(test_range_parse_takes_ranges_up_to_the_bound),
		cmocka_unit_test(test_range_parse_gives_exactly_the_bytes_asked_for),
		cmocka_unit_test(test_range_values_are_those_of_the_rfc),
		cmocka_unit_test(test_multipart_is_laid_out_and_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
