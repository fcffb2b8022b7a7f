/* SPDX-License-Identifier: MIT */
/*
 * ws_utf8_test.c - UTF-8 against a model that works on code points: every sequence of up to three bytes and
 * all kinds of four, cut everywhere, alone and at every place of a longer text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ws/utf8.h"

typedef bool (*feed_fn)(per__utf8_state *state, const uint8_t *data, size_t len);

static const feed_fn feeds[] = { per__utf8_feed, per__utf8_feed_scalar };

/* One byte of each kind that anything distinguishes. */
static const uint8_t kinds[] = { 0x00, 0x41, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xaf, 0xb0,
				 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
				 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xfe, 0xff };
#define KINDS PER_ARRAY_LEN(kinds)

/* --- the model -------------------------------------------------------------------------------- */

enum verdict { WRONG, OPEN, WHOLE };

/* Is there a code point from low to high that takes len bytes and is none of the surrogates? */
static bool model_has_scalar(uint32_t low, uint32_t high, unsigned len)
{
	static const uint32_t first[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	static const uint32_t last[5] = { 0, 0x7f, 0x7ff, 0xffff, 0x10ffff };

	low = PER_MAX(low, first[len]);
	high = PER_MIN(high, last[len]);
	if (low >= 0xd800 && low <= 0xdfff)
		low = 0xe000;
	return low <= high;
}

/* The character at src, of which n bytes are there. Sets used to its length when it is WHOLE. */
static enum verdict model_character(const uint8_t *src, size_t n, size_t *used)
{
	const unsigned len = src[0] < 0x80   ? 1
			     : src[0] < 0xc0 ? 0
			     : src[0] < 0xe0 ? 2
			     : src[0] < 0xf0 ? 3
					     : 4;
	uint32_t low, high;

	if (len == 0 || src[0] >= 0xf8)
		return WRONG;
	low = high = len == 1 ? src[0] : src[0] & (0x7fu >> len);
	for (unsigned i = 1; i < len; i++) {
		if (i < n && (src[i] & 0xc0) != 0x80)
			return WRONG;
		low = low << 6 | (i < n ? src[i] & 0x3fu : 0);
		high = high << 6 | (i < n ? src[i] & 0x3fu : 0x3f);
	}
	if (!model_has_scalar(low, high, len))
		return WRONG;
	*used = len;
	return n < len ? OPEN : WHOLE;
}

static enum verdict model(const uint8_t *src, size_t len)
{
	enum verdict verdict = WHOLE;
	size_t used = 0;

	for (size_t pos = 0; pos < len && verdict == WHOLE; pos += used)
		verdict = model_character(src + pos, len - pos, &used);
	return verdict;
}

static enum verdict fed(feed_fn feed, const uint8_t *src, size_t len, size_t cut)
{
	per__utf8_state state = PER__UTF8_OK;

	if (!feed(&state, src, cut) || !feed(&state, src + cut, len - cut))
		return WRONG;
	return state == PER__UTF8_OK ? WHOLE : OPEN;
}

static void complain(const uint8_t *src, size_t len, size_t cut, enum verdict got, enum verdict expected)
{
	char text[3 * 8 + 1] = "";

	for (size_t i = 0; i < PER_MIN(len, 8u); i++)
		snprintf(text + 3 * i, 4, "%02x ", src[i]);
	fail_msg("%s(%zu bytes, cut at %zu): %d, expected %d", text, len, cut, (int)got, (int)expected);
}

/* Whole, and cut at every byte. */
static inline void check(const uint8_t *src, size_t len)
{
	const enum verdict expected = model(src, len);

	for (size_t cut = 0; cut < len; cut++) {
		const enum verdict got = fed(per__utf8_feed_scalar, src, len, cut);

		if (got != expected)
			complain(src, len, cut, got, expected);
	}
}

/* --- short sequences -------------------------------------------------------------------------- */

static void test_utf8_every_sequence_of_one_to_three_bytes_equals_model(void **state)
{
	uint8_t src[3];

	(void)state;
	for (uint32_t word = 0; word < 1u << 24; word++) {
		src[0] = (uint8_t)(word >> 16);
		src[1] = (uint8_t)(word >> 8);
		src[2] = (uint8_t)word;
		if ((word & 0xffff) == 0)
			check(src, 1);
		if ((word & 0xff) == 0)
			check(src, 2);
		check(src, 3);
	}
}

static void test_utf8_four_bytes_with_every_kind_of_last_equal_model(void **state)
{
	(void)state;
	for (uint32_t word = 0xe0u << 16; word < 0xf6u << 16; word++) {
		for (size_t i = 0; i < KINDS; i += 1 + (word >= 0xf0u << 16 ? 0 : KINDS / 4)) {
			const uint8_t src[4] = { (uint8_t)(word >> 16), (uint8_t)(word >> 8), (uint8_t)word,
						 kinds[i] };

			check(src, 4);
		}
	}
}

static void test_utf8_every_kind_of_five_bytes_equals_model(void **state)
{
	uint8_t src[5];

	(void)state;
	for (size_t i = 0; i < KINDS * KINDS * KINDS * KINDS; i++) {
		src[0] = kinds[i / (KINDS * KINDS * KINDS)];
		src[1] = kinds[i / (KINDS * KINDS) % KINDS];
		src[2] = kinds[i / KINDS % KINDS];
		src[3] = kinds[i % KINDS];
		src[4] = kinds[i % 17 * 5 % KINDS];
		check(src, 5);
	}
}

static void test_utf8_every_code_point_is_valid_but_surrogates(void **state)
{
	(void)state;
	for (uint32_t code = 0x80; code < 0x120000; code++) {
		uint8_t src[4] = { (uint8_t)(0xf0 | code >> 18), (uint8_t)(0x80 | (code >> 12 & 0x3f)),
				   (uint8_t)(0x80 | (code >> 6 & 0x3f)), (uint8_t)(0x80 | (code & 0x3f)) };
		size_t len = 4, begin = 0;

		if (code < 0x800) {
			begin = 2;
			src[2] = (uint8_t)(0xc0 | code >> 6);
		} else if (code < 0x10000) {
			begin = 1;
			src[1] = (uint8_t)(0xe0 | code >> 12);
		}
		len -= begin;
		if (per__utf8_is_valid(src + begin, len) != (code <= 0x10ffff && code >> 11 != 0x1b))
			fail_msg("U+%04x", code);
	}
}

static void test_utf8_nothing_is_valid_even_without_memory(void **state)
{
	(void)state;
	assert_true(per__utf8_is_valid(NULL, 0));
	for (size_t i = 0; i < PER_ARRAY_LEN(feeds); i++) {
		per__utf8_state inside = PER__UTF8_OK;

		assert_true(feeds[i](&inside, (const uint8_t *)"\xe2\x82", 2));
		assert_int_not_equal(inside, PER__UTF8_OK);
		assert_true(feeds[i](&inside, NULL, 0));
		assert_int_not_equal(inside, PER__UTF8_OK);
		assert_true(feeds[i](&inside, (const uint8_t *)"\xac", 1));
		assert_int_equal(inside, PER__UTF8_OK);
	}
	assert_false(per__utf8_is_valid((const uint8_t *)"\xe2\x82", 2));
}

/* --- inside longer texts ---------------------------------------------------------------------- */

#define TEXT_BYTES 108u

/* What surrounds: characters of one, two, three and four bytes, so that all steps are taken everywhere. */
static const char *const fillers[] = { "a", "\u00e9", "\u20ac", "\U0001f600" };

/* Whole fillers, the sequence at begin, ASCII, and fillers again. */
static void embed(uint8_t text[TEXT_BYTES], const char *filler, size_t begin, const uint8_t *src, size_t len)
{
	const size_t filler_len = strlen(filler);

	memset(text, 'a', TEXT_BYTES);
	for (size_t pos = 0; pos + filler_len <= begin; pos += filler_len)
		memcpy(text + begin - pos - filler_len, filler, filler_len);
	memcpy(text + begin, src, len);
	for (size_t pos = begin + len + 40; pos + filler_len <= TEXT_BYTES; pos += filler_len)
		memcpy(text + pos, filler, filler_len);
}

static void check_embedded(const uint8_t *src, size_t len, size_t begin, bool is_last)
{
	for (size_t i = 0; i < PER_ARRAY_LEN(fillers); i++) {
		uint8_t text[TEXT_BYTES];
		size_t text_len = is_last ? begin + len : TEXT_BYTES;
		enum verdict expected, got;

		embed(text, fillers[i], begin, src, len);
		expected = is_last ? model(text, text_len) : model(src, len) == WHOLE ? WHOLE : WRONG;
		got = fed(per__utf8_feed, text, text_len, 0);
		if (got != expected)
			complain(src, len, begin, got, expected);
	}
}

static void test_utf8_two_bytes_at_every_place_of_a_text_equal_model(void **state)
{
	(void)state;
	for (uint32_t word = 0; word < 1u << 16; word++) {
		const uint8_t src[2] = { (uint8_t)(word >> 8), (uint8_t)word };

		for (size_t begin = 0; begin < 68; begin += 1 + (word % 3 ? 11 : 0))
			check_embedded(src, 2, begin, false);
	}
}

static void test_utf8_four_bytes_across_every_block_boundary_equal_model(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS * KINDS * KINDS * KINDS; i++) {
		const uint8_t src[4] = { kinds[i / (KINDS * KINDS * KINDS)],
					 kinds[i / (KINDS * KINDS) % KINDS], kinds[i / KINDS % KINDS],
					 kinds[i % KINDS] };

		if (src[0] < 0x80 && i % 5 != 0)
			continue;
		check_embedded(src, 4, 28 + i % 5, false);
		check_embedded(src, 1 + i % 4, 64 - i % 5, true);
	}
}

static void test_utf8_cut_anywhere_in_a_long_text_equals_whole(void **state)
{
	const char *const texts[] = { "plain ASCII and nothing else, ",
				      "Zw\u00f6lf gro\u00dfe Boxk\u00e4mpfer \u2013 \u20ac ",
				      "\u654f\u6377\u7684\u68d5\u8272\u72d0\u72f8",
				      "\U0001f600\u00e9a\u20ac" };

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(texts); i++) {
		const size_t len = strlen(texts[i]) * 8;
		uint8_t *text = malloc(len);

		assert_non_null(text);
		for (size_t pos = 0; pos < len; pos += len / 8)
			memcpy(text + pos, texts[i], len / 8);
		for (size_t cut = 0; cut <= len; cut++) {
			per__utf8_state inside = PER__UTF8_OK;

			assert_int_equal(fed(per__utf8_feed, text, len, cut), WHOLE);
			assert_true(per__utf8_feed(&inside, text, cut));
			assert_int_equal(inside != PER__UTF8_OK, model(text, cut) == OPEN);
		}
		free(text);
	}
}

static void test_utf8_one_wrong_byte_anywhere_is_found(void **state)
{
	static const uint8_t wrong[] = { 0x80, 0xbf, 0xc0, 0xc1, 0xe0, 0xed, 0xf0, 0xf4, 0xf5, 0xff, 'a' };
	uint8_t text[200];

	(void)state;
	for (size_t i = 0; i < sizeof(text) * PER_ARRAY_LEN(wrong) * PER_ARRAY_LEN(fillers); i++) {
		const size_t at = i % sizeof(text);
		const char *filler = fillers[i / sizeof(text) % PER_ARRAY_LEN(fillers)];

		for (size_t pos = 0; pos < sizeof(text); pos += strlen(filler))
			memcpy(text + pos, filler, PER_MIN(strlen(filler), sizeof(text) - pos));
		text[at] = wrong[i / sizeof(text) / PER_ARRAY_LEN(fillers)];
		for (size_t k = 0; k < PER_ARRAY_LEN(feeds); k++) {
			const enum verdict expected = model(text, sizeof(text));

			assert_int_equal(fed(feeds[k], text, sizeof(text), 0), expected);
			assert_int_equal(fed(feeds[k], text, sizeof(text), at), expected);
			assert_int_equal(fed(feeds[k], text, sizeof(text), at / 3), expected);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8_every_sequence_of_one_to_three_bytes_equals_model),
		cmocka_unit_test(test_utf8_four_bytes_with_every_kind_of_last_equal_model),
		cmocka_unit_test(test_utf8_every_kind_of_five_bytes_equals_model),
		cmocka_unit_test(test_utf8_every_code_point_is_valid_but_surrogates),
		cmocka_unit_test(test_utf8_nothing_is_valid_even_without_memory),
		cmocka_unit_test(test_utf8_two_bytes_at_every_place_of_a_text_equal_model),
		cmocka_unit_test(test_utf8_four_bytes_across_every_block_boundary_equal_model),
		cmocka_unit_test(test_utf8_cut_anywhere_in_a_long_text_equals_whole),
		cmocka_unit_test(test_utf8_one_wrong_byte_anywhere_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
