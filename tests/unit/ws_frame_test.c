/* SPDX-License-Identifier: MIT */
/*
 * ws_frame_test.c - WebSocket frame headers against a plain reading of RFC 6455 section 5.2, at every byte
 * where they can be cut; masking against one byte at a time, at all lengths, alignments and offsets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ws/frame.h"

/* --- reading headers -------------------------------------------------------------------------- */

/* The smallest extended length that may follow, as the model sees it: 0 for the 7-bit form. */
static size_t model_extra(uint8_t second)
{
	return (second & 0x7f) == 126 ? 2 : (second & 0x7f) == 127 ? 8 : 0;
}

static bool model_is_wrong(const uint8_t *buf, size_t len)
{
	static const bool known[16] = {
		[0] = true, [1] = true, [2] = true, [8] = true, [9] = true, [10] = true
	};
	bool is_control;

	if (len == 0)
		return false;
	is_control = (buf[0] & 0x08) != 0;
	if ((buf[0] & 0x30) != 0 || !known[buf[0] & 0x0f])
		return true;
	if (is_control && (buf[0] & 0xf0) != 0x80)
		return true;
	if (len == 1)
		return false;
	if (buf[1] < 0x80 || (is_control && (buf[1] & 0x7f) >= 126))
		return true;
	if ((buf[1] & 0x7f) == 126)
		return len >= 4 && buf[2] == 0 && buf[3] < 126;
	if ((buf[1] & 0x7f) == 127)
		return (len >= 3 && buf[2] >= 0x80) || (len >= 8 && memcmp(buf + 2, "\0\0\0\0\0\0", 6) == 0);
	return false;
}

/* Every prefix of the bytes, each in memory of its own size. */
static void check_prefixes(const uint8_t *bytes, size_t len)
{
	for (size_t n = 0; n <= len; n++) {
		const size_t head_len = n < 2 ? 0 : 2 + model_extra(bytes[1]) + 4;
		struct per__ws_frame frame;
		uint8_t *copy = malloc(n > 0 ? n : 1);
		int expected = 0, result;

		assert_non_null(copy);
		memcpy(copy, bytes, n);
		if (model_is_wrong(bytes, n))
			expected = -1002;
		else if (n >= 2 && n >= head_len)
			expected = (int)head_len;
		result = per__ws_frame_parse(&frame, copy, n);
		if (result != expected)
			fail_msg("%02x %02x, %zu bytes: %d, expected %d", bytes[0], bytes[1], n, result,
				 expected);
		if (result > 0)
			assert_int_equal(frame.head_len, result);
		free(copy);
	}
}

static void test_frame_parse_every_first_two_bytes_judged_as_soon_as_possible(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 256; first++) {
		for (unsigned second = 0; second < 256; second++) {
			uint8_t bytes[16] = { (uint8_t)first, (uint8_t)second, 0, 1, 2, 3, 4, 5, 6, 7, 8 };

			check_prefixes(bytes, PER__WS_HEAD_MAX + 1);
		}
	}
}

static void test_frame_parse_extended_lengths_must_be_shortest(void **state)
{
	static const uint64_t lengths[] = { 0,
					    1,
					    125,
					    126,
					    127,
					    255,
					    256,
					    65535,
					    65536,
					    65537,
					    0xffffff,
					    UINT32_MAX,
					    (uint64_t)UINT32_MAX + 1,
					    (uint64_t)1 << 56,
					    INT64_MAX,
					    (uint64_t)INT64_MAX + 1,
					    UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(lengths); i++) {
		uint8_t bytes[16] = { 0x82, 0xff };
		struct per__ws_frame frame;

		for (unsigned k = 0; k < 8; k++)
			bytes[2 + k] = (uint8_t)(lengths[i] >> (56 - 8 * k));
		check_prefixes(bytes, 14);
		if (lengths[i] > 65535 && lengths[i] <= INT64_MAX) {
			assert_int_equal(per__ws_frame_parse(&frame, bytes, 14), 14);
			assert_true(frame.len == lengths[i]);
		} else {
			assert_int_equal(per__ws_frame_parse(&frame, bytes, 14), -1002);
		}
		if (lengths[i] > 65535)
			continue;
		bytes[1] = 0xfe;
		memcpy(bytes + 2, bytes + 8, 2);
		check_prefixes(bytes, 14);
		if (lengths[i] >= 126) {
			assert_int_equal(per__ws_frame_parse(&frame, bytes, 14), 8);
			assert_true(frame.len == lengths[i]);
		} else {
			assert_int_equal(per__ws_frame_parse(&frame, bytes, 14), -1002);
		}
	}
}

static void test_frame_parse_fields_are_those_of_the_bytes(void **state)
{
	static const uint8_t hello[] = { 0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58 };
	static const uint8_t part[] = { 0x42, 0xfe, 0x01, 0x00, 1, 2, 3, 4 };
	static const uint8_t ping[] = { 0x89, 0x80, 9, 8, 7, 6 };
	static const uint8_t large[] = { 0x00, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4 };
	struct per__ws_frame frame;

	(void)state;
	assert_int_equal(per__ws_frame_parse(&frame, hello, sizeof(hello)), 6); /* RFC 6455 section 5.7 */
	assert_true(frame.is_fin && !frame.is_rsv1 && frame.opcode == PER__WS_TEXT && frame.len == 5);
	assert_memory_equal(frame.mask, "\x37\xfa\x21\x3d", 4);
	assert_int_equal(per__ws_frame_parse(&frame, part, sizeof(part)), 8);
	assert_true(!frame.is_fin && frame.is_rsv1 && frame.opcode == PER__WS_BINARY && frame.len == 256);
	assert_memory_equal(frame.mask, "\1\2\3\4", 4);
	assert_int_equal(per__ws_frame_parse(&frame, ping, sizeof(ping)), 6);
	assert_true(frame.is_fin && !frame.is_rsv1 && frame.opcode == PER__WS_PING && frame.len == 0);
	assert_int_equal(per__ws_frame_parse(&frame, large, sizeof(large)), 14);
	assert_true(!frame.is_fin && frame.opcode == PER__WS_CONTINUATION && frame.len == 65536);
	assert_memory_equal(frame.mask, "\1\2\3\4", 4);
}

/* --- writing headers -------------------------------------------------------------------------- */

struct head_case {
	uint8_t opcode;
	bool is_fin, is_rsv1;
	uint64_t len;
	const char *bytes;
	size_t bytes_len;
};

static void test_frame_head_every_length_form_is_the_shortest(void **state)
{
	static const struct head_case cases[] = {
		{ PER__WS_TEXT, true, false, 0, "\x81\x00", 2 },
		{ PER__WS_TEXT, true, false, 125, "\x81\x7d", 2 },
		{ PER__WS_BINARY, true, true, 126, "\xc2\x7e\x00\x7e", 4 },
		{ PER__WS_BINARY, false, false, 256, "\x02\x7e\x01\x00", 4 },
		{ PER__WS_CONTINUATION, true, false, 65535, "\x80\x7e\xff\xff", 4 },
		{ PER__WS_BINARY, true, false, 65536, "\x82\x7f\0\0\0\0\0\1\0\0", 10 },
		{ PER__WS_TEXT, false, true, INT64_MAX, "\x41\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10 },
		{ PER__WS_CLOSE, true, false, 2, "\x88\x02", 2 },
		{ PER__WS_PONG, true, false, 125, "\x8a\x7d", 2 },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++) {
		uint8_t *dst = malloc(PER__WS_SERVER_HEAD_MAX);

		assert_non_null(dst);
		assert_int_equal(per__ws_frame_head(dst, cases[i].opcode, cases[i].is_fin, cases[i].is_rsv1,
						    cases[i].len),
				 cases[i].bytes_len);
		assert_memory_equal(dst, cases[i].bytes, cases[i].bytes_len);
		free(dst);
	}
}

static void test_frame_head_with_a_mask_added_is_read_back(void **state)
{
	static const uint64_t lengths[] = { 0, 1, 125, 126, 127, 65535, 65536, (uint64_t)1 << 40, INT64_MAX };

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(lengths); i++) {
		uint8_t bytes[PER__WS_HEAD_MAX];
		struct per__ws_frame frame;
		size_t len = per__ws_frame_head(bytes, PER__WS_BINARY, false, true, lengths[i]);

		bytes[1] |= 0x80;
		memcpy(bytes + len, "mask", 4);
		assert_int_equal(per__ws_frame_parse(&frame, bytes, len + 4), len + 4);
		assert_true(frame.len == lengths[i] && frame.opcode == PER__WS_BINARY);
		assert_true(!frame.is_fin && frame.is_rsv1);
		assert_memory_equal(frame.mask, "mask", 4);
	}
}

/* --- masking ---------------------------------------------------------------------------------- */

#define MASK_BYTES_MAX 1400u
#define GUARD 64u

static uint8_t noise(size_t i)
{
	return (uint8_t)((i * 2654435761u) >> 13);
}

/* Masks len bytes at begin; everything around them must stay. */
static void check_mask(uint8_t *buf, size_t begin, size_t len, uint64_t offset)
{
	static const uint8_t mask[4] = { 0xa1, 0x5b, 0x0f, 0xe8 };

	for (size_t i = 0; i < GUARD + len + GUARD; i++)
		buf[i] = noise(i);
	per__ws_mask(buf + begin, len, mask, offset);
	for (size_t i = 0; i < GUARD + len + GUARD; i++) {
		const bool is_inside = i >= begin && i < begin + len;
		const uint8_t expected = is_inside ? noise(i) ^ mask[(offset + i - begin) % 4] : noise(i);

		if (buf[i] != expected)
			fail_msg("begin %zu, len %zu, offset %llu: byte %zu", begin, len,
				 (unsigned long long)offset, i);
	}
}

static void test_mask_every_length_and_alignment_equals_bytewise(void **state)
{
	uint8_t *buf = malloc(GUARD + MASK_BYTES_MAX + GUARD);

	(void)state;
	assert_non_null(buf);
	for (size_t len = 0; len <= 300; len++) {
		for (size_t align = 0; align < 8; align++)
			check_mask(buf, align, len, len + align);
	}
	for (size_t len = 300; len <= MASK_BYTES_MAX; len += 1 + len % 7)
		check_mask(buf, 1 + len % 33, len, len / 5);
	free(buf);
}

static void test_mask_every_offset_equals_bytewise(void **state)
{
	uint8_t *buf = malloc(GUARD + MASK_BYTES_MAX + GUARD);

	(void)state;
	assert_non_null(buf);
	for (uint64_t offset = 0; offset < 9; offset++) {
		check_mask(buf, 14, 7, offset);
		check_mask(buf, 14, 1021, offset);
		check_mask(buf, 3, 77, UINT64_MAX - 7 - offset);
		check_mask(buf, 3, 77, ((uint64_t)1 << 32) + offset);
	}
	free(buf);
}

static void test_mask_cut_anywhere_equals_whole(void **state)
{
	static const uint8_t mask[4] = { 1, 2, 4, 8 };
	uint8_t whole[700] = { 0 }, cut[700];

	(void)state;
	per__ws_mask(whole, sizeof(whole), mask, 0);
	for (size_t at = 0; at <= sizeof(cut); at++) {
		memset(cut, 0, sizeof(cut));
		per__ws_mask(cut, at, mask, 0);
		per__ws_mask(cut + at, sizeof(cut) - at, mask, at);
		assert_memory_equal(cut, whole, sizeof(cut));
	}
}

static void test_mask_ends_with_its_memory(void **state)
{
	static const uint8_t mask[4] = { 1, 2, 4, 8 };

	(void)state;
	for (size_t len = 1; len < 1200; len += len < 140 ? 1 : 61) {
		uint8_t *data = calloc(1, len);

		assert_non_null(data);
		per__ws_mask(data, len, mask, 0);
		assert_int_equal(data[len - 1], mask[(len - 1) & 3]);
		free(data);
	}
	per__ws_mask(NULL, 0, mask, 3);
}

/* --- close codes ------------------------------------------------------------------------------ */

static void test_close_code_ranges_of_section_7_4(void **state)
{
	(void)state;
	for (unsigned code = 0; code <= 70000; code++) {
		bool expected = code >= 3000 && code < 5000;

		if (code >= 1000 && code <= 1014)
			expected = code != 1004 && code != 1005 && code != 1006;
		if (per__ws_close_code_is_valid(code) != expected)
			fail_msg("%u", code);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame_parse_every_first_two_bytes_judged_as_soon_as_possible),
		cmocka_unit_test(test_frame_parse_extended_lengths_must_be_shortest),
		cmocka_unit_test(test_frame_parse_fields_are_those_of_the_bytes),
		cmocka_unit_test(test_frame_head_every_length_form_is_the_shortest),
		cmocka_unit_test(test_frame_head_with_a_mask_added_is_read_back),
		cmocka_unit_test(test_mask_every_length_and_alignment_equals_bytewise),
		cmocka_unit_test(test_mask_every_offset_equals_bytewise),
		cmocka_unit_test(test_mask_cut_anywhere_equals_whole),
		cmocka_unit_test(test_mask_ends_with_its_memory),
		cmocka_unit_test(test_close_code_ranges_of_section_7_4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
