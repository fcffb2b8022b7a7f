/* SPDX-License-Identifier: MIT */
/*
 * ws_utf8_fuzz.c - any bytes as UTF-8: whole, without wide steps, byte by byte and cut where the input says,
 * all as a model that decodes code points has it. The first byte says how often the rest is repeated.
 */
#include "ws/utf8.h"
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX 4096u

enum verdict { WRONG, OPEN, WHOLE };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool claim)
{
	if (!claim)
		abort();
}

static uint32_t code_point(const uint8_t *src, size_t n, unsigned len, uint8_t fill)
{
	uint32_t code = len == 1 ? src[0] : src[0] & (0x7fu >> len);

	for (unsigned i = 1; i < len; i++)
		code = code << 6 | ((i < n ? src[i] : fill) & 0x3fu);
	return code;
}

/* Of n bytes that are there; the rest can be filled up from all zeros to all ones. */
static enum verdict character(const uint8_t *src, size_t n, size_t *used)
{
	static const uint32_t first[] = { 0, 0, 0x80, 0x800, 0x10000 };
	static const uint32_t last[] = { 0, 0x7f, 0x7ff, 0xffff, 0x10ffff };
	const unsigned len = src[0] < 0x80   ? 1
			     : src[0] < 0xc0 ? 0
			     : src[0] < 0xe0 ? 2
			     : src[0] < 0xf0 ? 3
					     : 4;
	uint32_t low, high;

	if (len == 0 || src[0] >= 0xf8)
		return WRONG;
	for (unsigned i = 1; i < len && i < n; i++) {
		if (src[i] >> 6 != 2)
			return WRONG;
	}
	low = PER_MAX(code_point(src, n, len, 0), first[len]);
	high = PER_MIN(code_point(src, n, len, 0xff), last[len]);
	if (low > high || (low >= 0xd800 && high <= 0xdfff))
		return WRONG;
	*used = len;
	return n < len ? OPEN : WHOLE;
}

static enum verdict model(const uint8_t *src, size_t len)
{
	enum verdict verdict = WHOLE;
	size_t used = 0;

	for (size_t pos = 0; pos < len && verdict == WHOLE; pos += used)
		verdict = character(src + pos, len - pos, &used);
	return verdict;
}

static void check(const uint8_t *src, size_t len, size_t step, enum verdict expected, bool is_scalar)
{
	per__utf8_state state = PER__UTF8_OK;
	bool is_right = true;

	for (size_t pos = 0; pos < len && is_right; pos += step) {
		const size_t n = PER_MIN(step, len - pos);

		is_right = is_scalar ? per__utf8_feed_scalar(&state, src + pos, n)
				     : per__utf8_feed(&state, src + pos, n);
	}
	require(is_right == (expected != WRONG));
	require(!is_right || (state == PER__UTF8_OK) == (expected == WHOLE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t times, len = 0;
	enum verdict expected;
	uint8_t *text;

	if (size < 2)
		return 0;
	times = data[0] % 16u + 1;
	text = malloc(PER_MIN((size - 1) * times, TEXT_BYTES_MAX));
	require(text != NULL);
	for (size_t i = 0; i < times; i++) {
		const size_t n = PER_MIN(size - 1, PER_MIN((size - 1) * times, TEXT_BYTES_MAX) - len);

		memcpy(text + len, data + 1, n);
		len += n;
	}
	expected = model(text, len);
	check(text, len, len, expected, false);
	check(text, len, len, expected, true);
	check(text, len, 1, expected, false);
	check(text, len, 1 + data[0] / 2u, expected, false);
	check(text, len, 65 + data[0], expected, false);
	free(text);
	return 0;
}
