/* SPDX-License-Identifier: MIT */
/*
 * chunked_fuzz.c - any bytes through the chunked decoder, whole and cut: same verdict at the same byte, same
 * data. With an odd first byte the rest is encoded first, in chunks whose sizes it chooses, and must come out
 * as it was.
 */
#include "http/chunked.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_RANDOM 0u /* as a step: sizes from the seed */

struct outcome {
	enum per__chunked_result result;
	size_t used; /* up to the verdict */
	uint8_t *data;
	size_t data_len;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool claim)
{
	if (!claim)
		abort();
}

static void *take(size_t bytes)
{
	void *block = malloc(bytes > 0 ? bytes : 1);

	require(block != NULL);
	return block;
}

/* One piece, from memory of the exact size. */
static void decode_piece(struct per__chunked *chunked, struct outcome *out, const uint8_t *src, size_t len)
{
	uint8_t *copy = take(len);
	size_t pos = 0;

	if (len > 0)
		memcpy(copy, src, len);
	do {
		const uint8_t *data = NULL;
		size_t data_len = 0, used = SIZE_MAX;

		out->result = per__chunked_decode(chunked, copy + pos, len - pos, &used, &data, &data_len);
		require(used <= len - pos);
		if (out->result == PER__CHUNKED_DATA) {
			require(data_len > 0 && data_len <= used && data + data_len == copy + pos + used);
			memcpy(out->data + out->data_len, data, data_len);
			out->data_len += data_len;
		}
		pos += used;
	} while (out->result == PER__CHUNKED_DATA);
	require(out->result != PER__CHUNKED_MORE || pos == len);
	out->used += pos;
	free(copy);
}

static struct outcome decode(const uint8_t *src, size_t len, size_t step, uint32_t seed)
{
	struct outcome out = { .data = take(len) };
	struct per__chunked chunked;

	per__chunked_init(&chunked);
	for (;;) {
		size_t piece = step;

		if (step == PIECE_RANDOM) {
			seed = seed * 1664525u + 1013904223u;
			piece = 1 + (seed >> 24) % 29;
		}
		if (piece > len - out.used)
			piece = len - out.used;
		decode_piece(&chunked, &out, src + out.used, piece);
		if (out.result != PER__CHUNKED_MORE || out.used == len)
			return out;
	}
}

static void require_same(const struct outcome *whole, struct outcome cut)
{
	require(whole->result == cut.result && whole->used == cut.used && whole->data_len == cut.data_len);
	require(memcmp(whole->data, cut.data, cut.data_len) == 0);
	free(cut.data);
}

/* Returns how many bytes there are in dst: chunks of 1 to 32 bytes, some with an extension. */
static size_t encode(uint8_t *dst, const uint8_t *src, size_t len)
{
	size_t out = 0, ext_bytes = 0;

	for (size_t pos = 0; pos < len;) {
		const size_t chunk = PER_MIN(len - pos, src[pos] % 32u + 1u);
		const char *ext = src[pos] >= 192 && ext_bytes < PER__CHUNK_EXT_MAX - 8 ? " ;a=\"\\\"\"" : "";

		ext_bytes += strlen(ext);
		out += (size_t)snprintf((char *)dst + out, 32, src[pos] & 32 ? "%zX%s\r\n" : "0%zx%s\r\n",
					chunk, ext);
		memcpy(dst + out, src + pos, chunk);
		memcpy(dst + out + chunk, "\r\n", 2);
		out += chunk + 2;
		pos += chunk;
	}
	memcpy(dst + out, "0\r\n", 3);
	return out + 3;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *encoded = NULL;
	const uint8_t *src = data + 1;
	size_t len = size - 1;
	uint32_t seed = (uint32_t)size;
	struct outcome whole;

	if (size == 0)
		return 0;
	for (size_t i = 0; i < size; i++)
		seed = (seed ^ data[i]) * 16777619u;
	if (data[0] & 1) {
		encoded = take(len * 20 + 16);
		len = encode(encoded, src, len);
		src = encoded;
	}
	whole = decode(src, len, len + 1, 0);
	if (encoded != NULL) {
		require(whole.result == PER__CHUNKED_LAST && whole.used == len && whole.data_len == size - 1);
		require(memcmp(whole.data, data + 1, whole.data_len) == 0);
	}
	require_same(&whole, decode(src, len, 1, 0));
	require_same(&whole, decode(src, len, PIECE_RANDOM, seed));
	require_same(&whole, decode(src, len, PIECE_RANDOM, seed + 1));
	free(whole.data);
	free(encoded);
	return 0;
}
