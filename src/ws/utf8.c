/* SPDX-License-Identifier: MIT */
/*
 * utf8.c - UTF-8 checked as it arrives: long pieces 32 bytes at a time where there is AVX2, else whole
 * characters at a time, and byte by byte through the ranges of RFC 3629 section 4 where a piece is cut.
 * State: the number of continuation bytes to come in bits 0-7, the range of the next one in bits 8-15 (low)
 * and 16-23 (high).
 */
#include "ws/utf8.h"

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Little-endian, so that the first byte is the lowest. */
static inline uint64_t load64(const uint8_t *src)
{
	uint64_t word;

	memcpy(&word, src, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

static inline uint32_t load32(const uint8_t *src)
{
	uint32_t word;

	memcpy(&word, src, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap32(word);
#endif
	return word;
}

/* How many bytes at the beginning are ASCII. */
static inline size_t ascii_skip(const uint8_t *data, size_t len)
{
	size_t i = 0;

	for (; i + 32 <= len; i += 32) {
		const uint8_t *const at = data + i;

		if (((load64(at) | load64(at + 8) | load64(at + 16) | load64(at + 24)) & HIGH_BITS) != 0)
			break;
	}
	for (; i + 8 <= len; i += 8) {
		const uint64_t high = load64(data + i) & HIGH_BITS;

		if (high != 0)
			return i + (size_t)(__builtin_ctzll(high) >> 3);
	}
	while (i < len && data[i] < 0x80)
		i++;
	return i;
}

/* --- byte by byte ----------------------------------------------------------------------------- */

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

static inline bool byte_feed(per__utf8_state *state, uint8_t byte)
{
	const per__utf8_state now = *state;
	const unsigned left = (now & 0xff) - 1;

	if (now == PER__UTF8_OK) {
		*state = byte < 0x80 ? PER__UTF8_OK : lead(byte);
		return byte < 0x80 || *state != PER__UTF8_OK;
	}
	if (byte < (now >> 8 & 0xff) || byte > (now >> 16 & 0xff))
		return false;
	*state = left == 0 ? PER__UTF8_OK : state_make(left, 0x80, 0xbf);
	return true;
}

/* --- character by character ------------------------------------------------------------------- */

/*
 * Length of the whole character of two to four bytes at src, from which four may be read; 0 when it is not
 * valid. Only as much of the code point is put together as tells the ranges apart.
 */
static inline size_t character_len(const uint8_t *src)
{
	const uint32_t word = load32(src);

	if ((word & 0xc0e0) == 0x80c0)
		return (word & 0x1e) != 0 ? 2 : 0; /* from U+0080 */
	if ((word & 0xc0c0f0) == 0x8080e0) {
		const uint32_t top = (word & 0x0f) << 1 | (word >> 13 & 1); /* bits 11 to 15 */

		return top != 0 && top != 0xd800 >> 11 ? 3 : 0;
	}
	if ((word & 0xc0c0c0f8) == 0x808080f0) {
		const uint32_t plane = (word & 7) << 2 | (word >> 12 & 3); /* bits 16 to 20 */

		return plane >= 1 && plane <= 0x10 ? 4 : 0;
	}
	return 0;
}

/* As many whole characters as can be seen to be valid with four bytes in reach. Returns their length. */
static inline size_t characters_skip(const uint8_t *data, size_t len)
{
	size_t i = 0;

	while (len - i >= 4) {
		const size_t n = data[i] < 0x80 ? ascii_skip(data + i, len - i) : character_len(data + i);

		if (n == 0)
			break;
		i += n;
	}
	return i;
}

bool per__utf8_feed_scalar(per__utf8_state *state, const uint8_t *data, size_t len)
{
	per__utf8_state now = *state;
	size_t i = 0;

	while (i < len) {
		if (now == PER__UTF8_OK)
			i += characters_skip(data + i, len - i);
		if (i < len && !byte_feed(&now, data[i++]))
			return false;
	}
	*state = now;
	return true;
}

/* --- 32 bytes at a time ----------------------------------------------------------------------- */

#ifdef __x86_64__
#define WIDE_MIN_BYTES 64u

/*
 * What two bytes in a row can be wrong about, as bits: a table says it for each half of the first byte and
 * one for the upper half of the second; a bit set in all three is an error. The method is J. Keiser's and
 * D. Lemire's ("Validating UTF-8 in less than one instruction per byte", 2021).
 */
enum {
	SHORT = 1 << 0,           /* a first byte, and no continuation */
	LONG = 1 << 1,            /* ASCII, and a continuation */
	OVERLONG3 = 1 << 2,       /* E0, 80 to 9F */
	LARGE = 1 << 3,           /* F4 and above, 90 to BF */
	SURROGATE = 1 << 4,       /* ED, A0 to BF */
	OVERLONG2 = 1 << 5,       /* C0 or C1, any */
	OVERLONG4 = 1 << 6,       /* F0, 80 to 8F; and F5 and above, 80 to 8F */
	TWO = 1 << 7,             /* two continuations: right as the third or fourth byte only */
	ANY = SHORT | LONG | TWO, /* these do not depend on the lower half */
};

struct tables {
	uint8_t first_high[16], first_low[16], second_high[16];
};

static const struct tables tables = {
	{ LONG, LONG, LONG, LONG, LONG, LONG, LONG, LONG, TWO, TWO, TWO, TWO, SHORT | OVERLONG2, SHORT,
	  SHORT | OVERLONG3 | SURROGATE, SHORT | LARGE | OVERLONG4 },
	{ ANY | OVERLONG2 | OVERLONG3 | OVERLONG4, ANY | OVERLONG2, ANY, ANY, ANY | LARGE,
	  ANY | LARGE | OVERLONG4, ANY | LARGE | OVERLONG4, ANY | LARGE | OVERLONG4, ANY | LARGE | OVERLONG4,
	  ANY | LARGE | OVERLONG4, ANY | LARGE | OVERLONG4, ANY | LARGE | OVERLONG4, ANY | LARGE | OVERLONG4,
	  ANY | LARGE | OVERLONG4 | SURROGATE, ANY | LARGE | OVERLONG4, ANY | LARGE | OVERLONG4 },
	{ SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT,
	  LONG | TWO | OVERLONG2 | OVERLONG3 | OVERLONG4, LONG | TWO | OVERLONG2 | OVERLONG3 | LARGE,
	  LONG | TWO | OVERLONG2 | SURROGATE | LARGE, LONG | TWO | OVERLONG2 | SURROGATE | LARGE, SHORT,
	  SHORT, SHORT, SHORT },
};

#define AVX2 __attribute__((target("avx2")))

/* The tables in both halves of a register. */
struct wide_tables {
	__m256i first_high, first_low, second_high;
};

PER_INLINE AVX2 __m256i table_load(const uint8_t table[16])
{
	return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)table));
}

/* Not zero where a byte of now cannot stand behind those before it, of which the last are in before. */
PER_INLINE AVX2 __m256i block_errors(const struct wide_tables *wide, __m256i before, __m256i now)
{
	const __m256i half = _mm256_set1_epi8(15);
	const __m256i joint = _mm256_permute2x128_si256(before, now, 0x21);
	const __m256i back1 = _mm256_alignr_epi8(now, joint, 15);
	const __m256i back2 = _mm256_alignr_epi8(now, joint, 14);
	const __m256i back3 = _mm256_alignr_epi8(now, joint, 13);
	const __m256i first_high = _mm256_and_si256(_mm256_srli_epi16(back1, 4), half);
	const __m256i second_high = _mm256_and_si256(_mm256_srli_epi16(now, 4), half);
	const __m256i pair =
		_mm256_and_si256(_mm256_shuffle_epi8(wide->first_high, first_high),
				 _mm256_shuffle_epi8(wide->first_low, _mm256_and_si256(back1, half)));
	const __m256i wrong = _mm256_and_si256(pair, _mm256_shuffle_epi8(wide->second_high, second_high));
	/* The top bit is set where a byte must be the third or fourth of a character: where TWO is right. */
	const __m256i third = _mm256_subs_epu8(back2, _mm256_set1_epi8(0xe0 - 0x80));
	const __m256i fourth = _mm256_subs_epu8(back3, _mm256_set1_epi8(0xf0 - 0x80));
	const __m256i two = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8((char)0x80));

	return _mm256_xor_si256(two, wrong);
}

/* Are blocks of 32 bytes, from the beginning of a character, right but for a cut at their end? */
static AVX2 __attribute__((noinline)) bool blocks_are_valid(const uint8_t *data, size_t len)
{
	/* What exceeds this in the last three bytes begins a character that goes on in the next block. */
	const __m256i whole =
		_mm256_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
				 -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, (char)0xef, (char)0xdf, (char)0xbf);
	const struct wide_tables wide = { table_load(tables.first_high), table_load(tables.first_low),
					  table_load(tables.second_high) };
	__m256i before = _mm256_setzero_si256(), cut = before, errors = before;

	for (size_t i = 0; i < len; i += 32) {
		const __m256i now = _mm256_loadu_si256((const __m256i *)(const void *)(data + i));

		if (_mm256_movemask_epi8(now) == 0) {
			errors = _mm256_or_si256(errors, cut); /* ASCII goes on with nothing */
		} else {
			errors = _mm256_or_si256(errors, block_errors(&wide, before, now));
			cut = _mm256_subs_epu8(now, whole);
		}
		before = now;
	}
	return _mm256_testz_si256(errors, errors) != 0;
}

/*
 * Checks whole blocks. Returns how many bytes are done, all of them whole characters; SIZE_MAX when something
 * is not valid.
 */
static size_t blocks_skip(const uint8_t *data, size_t len)
{
	const size_t end = len & ~(size_t)31;

	if (!blocks_are_valid(data, end))
		return SIZE_MAX;
	if (data[end - 1] >= 0xc0)
		return end - 1;
	if (data[end - 2] >= 0xe0)
		return end - 2;
	return data[end - 3] >= 0xf0 ? end - 3 : end;
}

/* Six to eight times as fast as whole characters at a time, unless all is ASCII (bench/ws_bench.c). */
bool per__utf8_feed(per__utf8_state *state, const uint8_t *data, size_t len)
{
	size_t i = 0;

	if (len < WIDE_MIN_BYTES)
		return per__utf8_feed_scalar(state, data, len);
	while (i < len && *state != PER__UTF8_OK) {
		if (!byte_feed(state, data[i++]))
			return false;
	}
	i += ascii_skip(data + i, len - i);
	if (len - i >= WIDE_MIN_BYTES && __builtin_cpu_supports("avx2")) {
		const size_t done = blocks_skip(data + i, len - i);

		if (done == SIZE_MAX)
			return false;
		i += done;
	}
	return per__utf8_feed_scalar(state, data + i, len - i);
}
#else
bool per__utf8_feed(per__utf8_state *state, const uint8_t *data, size_t len)
{
	return per__utf8_feed_scalar(state, data, len);
}
#endif
