/* SPDX-License-Identifier: MIT */
/*
 * ws_deflate_fuzz.c - any bytes as compressed messages: the same end and the same output however they are
 * cut; and any bytes compressed, in messages the input cuts, with another compressor's between them, come out
 * as they were.
 */
#include "ws/deflate.h"
#include <stdlib.h>
#include <string.h>

#define OUT_BYTES_MAX (1u << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool claim)
{
	if (!claim)
		abort();
}

/* Counts down *arg allocations, then refuses. */
static void *take(void *arg, size_t bytes)
{
	unsigned *left = arg;
	void *block;

	if (*left == 0)
		return NULL;
	--*left;
	block = malloc(bytes);
	require(block != NULL);
	memset(block, 0xa5, PER_MIN(bytes, 16384u)); /* not promised to be zeroed */
	return block;
}

static void give(void *arg, void *block)
{
	(void)arg;
	free(block);
}

struct output {
	uint8_t *data;
	size_t len;
	enum per__inflate_result result;
};

/* A message in pieces of in_step bytes, out_step bytes at a time, up to OUT_BYTES_MAX. */
static void message_inflate(struct per__inflater *inflater, struct output *out, const uint8_t *src,
			    size_t len, const size_t step[2])
{
	size_t pos = 0;

	out->len = 0;
	do {
		const size_t piece_len = PER_MIN(step[0], len - pos);
		uint8_t *piece = malloc(piece_len > 0 ? piece_len : 1);
		const uint8_t *rest = piece;
		size_t left = piece_len;

		require(piece != NULL);
		if (piece_len > 0)
			memcpy(piece, src + pos, piece_len);
		pos += piece_len;
		do {
			const size_t room = PER_MIN(step[1], OUT_BYTES_MAX - out->len);
			size_t n = SIZE_MAX;

			if (room == 0)
				break;
			out->result = per__inflate_piece(inflater, &rest, &left, pos == len,
							 out->data + out->len, room, &n);
			require(n <= room && rest + left == piece + piece_len);
			require((out->result == PER__INFLATE_FULL) <= (n == room));
			require(out->result != PER__INFLATE_MORE || left == 0);
			out->len += n;
		} while (out->result == PER__INFLATE_FULL);
		free(piece);
	} while (out->result == PER__INFLATE_MORE && pos < len);
}

static struct output output_new(void)
{
	struct output out = { malloc(OUT_BYTES_MAX), 0, PER__INFLATE_MORE };

	require(out.data != NULL);
	return out;
}

/* The input as messages, each with its length in front; two inflaters that are fed differently. */
static void inflate_check(const uint8_t *src, size_t len, uint8_t choice)
{
	const size_t whole[2] = { SIZE_MAX, OUT_BYTES_MAX },
		     cut[2] = { 1 + choice % 7u, 1 + choice / 7u % 5u };
	unsigned budget_a = 100, budget_b = 100;
	const struct per__deflate_memory memory_a = { take, give, &budget_a },
					 memory_b = { take, give, &budget_b };
	const uint8_t bits = (uint8_t)(8 + choice % 8);
	struct per__inflater *a = per__inflater_new(&memory_a, bits, choice >= 128);
	struct per__inflater *b = per__inflater_new(&memory_b, bits, choice >= 128);
	struct output out_a = output_new(), out_b = output_new();

	while (len > 0 && out_a.result == PER__INFLATE_MORE) {
		const size_t n = PER_MIN((size_t)src[0], len - 1);

		message_inflate(a, &out_a, src + 1, n, whole);
		message_inflate(b, &out_b, src + 1, n, cut);
		require(out_a.result == out_b.result);
		if (out_a.result == PER__INFLATE_MORE)
			require(out_a.len == out_b.len && memcmp(out_a.data, out_b.data, out_a.len) == 0);
		src += n + 1;
		len -= n + 1;
	}
	per__inflater_free(a);
	per__inflater_free(b);
	free(out_a.data);
	free(out_b.data);
}

/* Returns false when there was not enough memory. */
static bool message_check(struct per__deflater *deflater, struct per__inflater *inflater, struct output *out,
			  const uint8_t *src, size_t len)
{
	const size_t bound = per__deflate_bound(len), step[2] = { 1 + len % 97, 1 + len % 61 };
	uint8_t *packed = malloc(bound);
	int64_t n;

	require(packed != NULL);
	n = per__deflate_message(deflater, packed, bound, src, len);
	require(n >= 1);
	message_inflate(inflater, out, packed, (size_t)n, step);
	free(packed);
	if (out->result == PER__INFLATE_NOMEM)
		return false;
	require(out->result == PER__INFLATE_MORE && out->len == len && memcmp(out->data, src, len) == 0);
	return true;
}

/* Returns how many bytes the next message takes; repeats make it longer than the input. */
static size_t message_make(uint8_t *dst, const uint8_t *src, size_t len)
{
	const size_t n = PER_MIN((size_t)src[0] >> 2, len - 1), times = 1 + (src[0] & 3u) * 20;

	for (size_t i = 0; i < times; i++) {
		memcpy(dst + i * n, src + 1, n);
		if (n > 0)
			dst[i * n] = (uint8_t)(dst[i * n] + i * 37);
	}
	return n * times;
}

static void round_trip_check(const uint8_t *src, size_t len, uint8_t choice)
{
	unsigned budget = choice >= 224 ? choice - 224u : 100;
	const struct per__deflate_memory memory = { take, give, &budget };
	const uint8_t bits = (uint8_t)(9 + choice % 7);
	struct per__deflater *own = per__deflater_new(&memory, bits, 1 + choice % 9, choice % 2 != 0);
	struct per__deflater *shared = per__deflater_new(&memory, bits, 1, true);
	struct per__inflater *inflater = per__inflater_new(&memory, bits, false);
	struct output out = output_new();
	uint8_t *plain = malloc(64u * 61u);
	bool goes_on = own != NULL && shared != NULL && inflater != NULL;

	require(plain != NULL);
	while (len > 0 && goes_on) {
		const bool is_shared = src[0] % 5 == 0;
		const size_t plain_len = message_make(plain, src, len),
			     n = PER_MIN((size_t)src[0] >> 2, len - 1);

		goes_on = message_check(is_shared ? shared : own, inflater, &out, plain, plain_len);
		if (is_shared)
			per__deflater_forget(own);
		src += n + 1;
		len -= n + 1;
	}
	if (own != NULL)
		per__deflater_free(own);
	if (shared != NULL)
		per__deflater_free(shared);
	if (inflater != NULL)
		per__inflater_free(inflater);
	free(out.data);
	free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	if (data[0] % 2 == 0)
		inflate_check(data + 2, size - 2, data[1]);
	else
		round_trip_check(data + 2, size - 2, data[1]);
	return 0;
}
