/* SPDX-License-Identifier: MIT */
/*
 * frame.c - WebSocket frames (RFC 6455 section 5): headers and masking. Pure.
 */
#include "ws/frame.h"

#include <string.h>

#define BIT_FIN 0x80u
#define BIT_RSV1 0x40u
#define BITS_RSV23 0x30u
#define BIT_MASK 0x80u
#define LEN_16 126u
#define LEN_64 127u

static bool opcode_is_known(uint8_t opcode)
{
	return opcode <= PER__WS_BINARY || (opcode >= PER__WS_CLOSE && opcode <= PER__WS_PONG);
}

static bool first_byte_is_valid(uint8_t byte)
{
	uint8_t opcode = byte & 0x0f;
	bool is_control = opcode >= PER__WS_CLOSE;

	if ((byte & BITS_RSV23) != 0 || !opcode_is_known(opcode))
		return false;
	return !is_control || (byte & (BIT_FIN | BIT_RSV1)) == BIT_FIN;
}

static bool second_byte_is_valid(uint8_t first, uint8_t byte)
{
	bool is_control = (first & 0x0f) >= PER__WS_CLOSE;

	return (byte & BIT_MASK) != 0 && (!is_control || (byte & 0x7f) <= PER__WS_CONTROL_MAX);
}

static uint64_t read_be(const uint8_t *src, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | src[i];
	return value;
}

/*
 * Can an extended length of which seen bytes are there be the shortest form, and below 2^63 (section 5.2)?
 * The 16-bit form shows it with its last byte, the 64-bit form with its first (too large) or its sixth (too
 * small).
 */
static bool length_is_valid(const uint8_t *src, size_t bytes, size_t seen)
{
	if (bytes == 2)
		return seen < 2 || read_be(src, 2) >= LEN_16;
	return (seen < 1 || (src[0] & 0x80) == 0) && (seen < 6 || read_be(src, 6) != 0);
}

int per__ws_frame_parse(struct per__ws_frame *frame, const uint8_t *buf, size_t len)
{
	size_t len_bytes, head_len;

	if (len >= 1 && !first_byte_is_valid(buf[0]))
		return -1002;
	if (len < 2)
		return 0;
	if (!second_byte_is_valid(buf[0], buf[1]))
		return -1002;
	len_bytes = (buf[1] & 0x7f) == LEN_16 ? 2 : (buf[1] & 0x7f) == LEN_64 ? 8 : 0;
	head_len = 2 + len_bytes + 4;
	if (len_bytes != 0 && !length_is_valid(buf + 2, len_bytes, len - 2))
		return -1002;
	if (len < head_len)
		return 0;
	frame->is_fin = (buf[0] & BIT_FIN) != 0;
	frame->is_rsv1 = (buf[0] & BIT_RSV1) != 0;
	frame->opcode = buf[0] & 0x0f;
	frame->head_len = (uint8_t)head_len;
	frame->len = len_bytes != 0 ? read_be(buf + 2, len_bytes) : (uint64_t)(buf[1] & 0x7f);
	memcpy(frame->mask, buf + 2 + len_bytes, 4);
	return (int)head_len;
}

static void write_be(uint8_t *dst, uint64_t value, size_t bytes)
{
	for (size_t i = bytes; i-- > 0; value >>= 8)
		dst[i] = (uint8_t)value;
}

size_t per__ws_frame_head(uint8_t *dst, uint8_t opcode, bool is_fin, bool is_rsv1, uint64_t len)
{
	dst[0] = (uint8_t)((is_fin ? BIT_FIN : 0) | (is_rsv1 ? BIT_RSV1 : 0) | opcode);
	if (len < LEN_16) {
		dst[1] = (uint8_t)len;
		return 2;
	}
	if (len <= UINT16_MAX) {
		dst[1] = LEN_16;
		write_be(dst + 2, len, 2);
		return 4;
	}
	dst[1] = LEN_64;
	write_be(dst + 2, len, 8);
	return 10;
}

/* --- masking ---------------------------------------------------------------------------------- */

/* What the compiler makes of these is SSE2 or NEON; at any address. */
typedef uint64_t vector __attribute__((vector_size(16), aligned(1), may_alias));

/* The mask as it lies over data: a word whose first byte in memory goes with the first of data. */
static inline uint32_t mask_turned(const uint8_t mask[4], uint64_t offset)
{
	const unsigned bits = (unsigned)(offset & 3) * 8;
	uint32_t word;

	memcpy(&word, mask, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return word << bits | word >> (-bits & 31);
#else
	return word >> bits | word << (-bits & 31);
#endif
}

/* What is left below 16 bytes. */
static inline void mask_tail(uint8_t *data, size_t len, uint64_t wide)
{
	uint8_t bytes[4];

	if (len & 8) {
		uint64_t word;

		memcpy(&word, data, sizeof(word));
		word ^= wide;
		memcpy(data, &word, sizeof(word));
		data += sizeof(word);
	}
	if (len & 4) {
		uint32_t word;

		memcpy(&word, data, sizeof(word));
		word ^= (uint32_t)wide; /* both halves are the same */
		memcpy(data, &word, sizeof(word));
		data += sizeof(word);
	}
	memcpy(bytes, &wide, sizeof(bytes));
	for (size_t i = 0; i < (len & 3); i++)
		data[i] ^= bytes[i];
}

#ifdef __x86_64__
#define WIDE_MIN_BYTES 512u /* below, 16 bytes a step are as fast */

typedef uint64_t vector32 __attribute__((vector_size(32), aligned(1), may_alias));

/*
 * 128 bytes a step with AVX2: 1.4 to 1.7 times as fast as 64 with SSE2 from 4 KiB to 1 MiB
 * (bench/ws_bench.c). Returns how many it did.
 */
static __attribute__((target("avx2"), noinline)) size_t mask_avx2(uint8_t *data, size_t len, uint64_t wide)
{
	const vector32 pattern = { wide, wide, wide, wide };
	const size_t end = len & ~(size_t)127;

	for (size_t i = 0; i < end; i += 128) {
		vector32 *const at = (vector32 *)(data + i);
		const vector32 a = at[0] ^ pattern, b = at[1] ^ pattern, c = at[2] ^ pattern,
			       d = at[3] ^ pattern;

		at[0] = a;
		at[1] = b;
		at[2] = c;
		at[3] = d;
	}
	return end;
}
#endif

void per__ws_mask(uint8_t *data, size_t len, const uint8_t mask[4], uint64_t offset)
{
	const uint32_t word = mask_turned(mask, offset);
	const uint64_t wide = (uint64_t)word << 32 | word;
	const vector pattern = { wide, wide };

#ifdef __x86_64__
	if (len >= WIDE_MIN_BYTES && __builtin_cpu_supports("avx2")) {
		const size_t done = mask_avx2(data, len, wide);

		data += done;
		len -= done;
	}
#endif
	for (; len >= 64; data += 64, len -= 64) {
		vector *const at = (vector *)data;
		const vector a = at[0] ^ pattern, b = at[1] ^ pattern, c = at[2] ^ pattern,
			     d = at[3] ^ pattern;

		at[0] = a;
		at[1] = b;
		at[2] = c;
		at[3] = d;
	}
	for (; len >= sizeof(vector); data += sizeof(vector), len -= sizeof(vector))
		*(vector *)data ^= pattern;
	mask_tail(data, len, wide);
}

bool per__ws_close_code_is_valid(unsigned code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
	       (code >= 3000 && code <= 4999);
}
