/* SPDX-License-Identifier: MIT */
/*
 * utf8.c - UTF-8 checked as it arrives. ASCII is skipped eight bytes at a time; the rest goes byte by byte through the ranges
 * of RFC 3629 section 4.
 * State: the number of continuation bytes to come in bits 0-7, the range of the next one in bits 8-15 (low) and 16-23 (high).
 */
#include "ws/utf8.h"

#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

static inline per__utf8_state state_make(unsigned left, unsigned low, unsigned high)
{
	return left | low << 8 | high << 16;
}

/* The state behind a first byte that is not ASCII, or PER__UTF8_OK when no character begins with it. */
static per__utf8_state lead(uint8_t byte)
{
	if (byte < 0xc2) /* continuation bytes, and overlong forms of ASCII */
		return PER__UTF8_OK;
	if (byte < 0xe0)
		return state_make(1, 0x80, 0xbf);
	if (byte < 0xf0) /* no overlong forms behind E0, no surrogates behind ED */
		return state_make(2, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf);
	if (byte < 0xf5) /* no overlong forms behind F0, nothing above U+10FFFF behind F4 */
		return state_make(3, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf);
	return PER__UTF8_OK;
}

static size_t skip_ascii(const uint8_t *data, size_t len)
{
	size_t i = 0;

	for (; i + 8 <= len; i += 8) {
		uint64_t word;

		memcpy(&word, data + i, sizeof(word));
		if ((word & HIGH_BITS) != 0)
			break;
	}
	while (i < len && data[i] < 0x80)
		i++;
	return i;
}

bool per__utf8_feed(per__utf8_state *state, const uint8_t *data, size_t len)
{
	per__utf8_state now = *state;
	size_t i = 0;

	while (i < len) {
		if (now == PER__UTF8_OK) {
			i += skip_ascii(data + i, len - i);
			if (i == len)
				break;
			now = lead(data[i++]);
			if (now == PER__UTF8_OK)
				return false;
		} else {
			unsigned left = (now & 0xff) - 1;

			if (data[i] < (now >> 8 & 0xff) || data[i] > (now >> 16 & 0xff))
				return false;
			i++;
			now = left == 0 ? PER__UTF8_OK : state_make(left, 0x80, 0xbf);
		}
	}
	*state = now;
	return true;
}
