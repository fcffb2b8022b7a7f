/* SPDX-License-Identifier: MIT */
/*
 * ws_deflate_test.c - permessage-deflate: the examples of RFC 7692, round trips under every parameter,
 * streams of other peers, damage, bombs, and a budget that fails each allocation in turn. All memory is
 * counted: every test ends with nothing taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ws/deflate.h"
#include <peregrine/types.h>
#include <zlib.h>

/* --- memory that counts ----------------------------------------------------------------------- */

struct budget {
	struct per__deflate_memory memory;
	size_t bytes, bytes_max; /* taken now; at most at any time */
	unsigned taken, fail_at; /* allocations so far; which one fails, from 1; 0: none */
	uint8_t fill;            /* what blocks hold: they are not promised to be zeroed */
};

static void *budget_take(void *arg, size_t bytes)
{
	struct budget *budget = arg;
	size_t *block;

	if (++budget->taken == budget->fail_at)
		return NULL;
	block = malloc(16 + bytes);
	assert_non_null(block);
	memset(block, budget->fill, 16 + bytes);
	*block = bytes;
	budget->bytes += bytes;
	budget->bytes_max = PER_MAX(budget->bytes, budget->bytes_max);
	return (uint8_t *)block + 16;
}

static void budget_give(void *arg, void *ptr)
{
	struct budget *budget = arg;
	size_t *block = (size_t *)(void *)((uint8_t *)ptr - 16);

	budget->bytes -= *block;
	free(block);
}

static void budget_init(struct budget *budget)
{
	*budget = (struct budget){ .memory = { .take = budget_take, .give = budget_give, .arg = budget },
				   .fill = 0xa5 };
}

/* --- messages --------------------------------------------------------------------------------- */

struct bytes {
	uint8_t *data;
	size_t len;
};

static uint32_t random_next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static struct bytes bytes_new(size_t cap)
{
	struct bytes bytes = { malloc(cap > 0 ? cap : 1), 0 };

	assert_non_null(bytes.data);
	return bytes;
}

static struct bytes bytes_from(const void *data, size_t len)
{
	struct bytes bytes = bytes_new(len);

	if (len > 0)
		memcpy(bytes.data, data, len);
	bytes.len = len;
	return bytes;
}

enum kind { TEXT, NOISE, HIGH_NOISE, ZEROS, DISTANT, KINDS };

/* DISTANT: three bytes that were there before, thousands of bytes ago, again and again. */
static struct bytes message(enum kind kind, size_t len, uint32_t seed)
{
	struct bytes bytes = bytes_new(len);

	bytes.len = len;
	for (size_t i = 0; i < len; i++) {
		const uint32_t random = random_next(&seed);
		static const char text[] = "{\"name\":\"value\",\"count\":12345,\"list\":[true,false,null]}";

		bytes.data[i] = 0;
		if (kind == TEXT)
			bytes.data[i] =
				(uint8_t)text[(i + (random % 29 == 0 ? random >> 8 : 0)) % sizeof(text)];
		else if (kind == HIGH_NOISE)
			bytes.data[i] = (uint8_t)(144 + (random >> 4) % 112);
		else if (kind == NOISE || (kind == DISTANT && i < 30000))
			bytes.data[i] = (uint8_t)(random >> 4);
	}
	for (size_t i = 30000; kind == DISTANT && i + 3 <= len; i += 3)
		memcpy(bytes.data + i, bytes.data + i - 5000 - random_next(&seed) % 24990, 3);
	return bytes;
}

/* Compresses with exactly the promised room. */
static struct bytes deflated(struct per__deflater *deflater, struct bytes plain)
{
	struct bytes out = bytes_new(per__deflate_bound(plain.len));
	const int64_t n = per__deflate_message(deflater, out.data, per__deflate_bound(plain.len), plain.data,
					       plain.len);

	if (n < 1)
		fail_msg("%zu bytes do not fit into %zu", plain.len, per__deflate_bound(plain.len));
	out.len = (size_t)n;
	return out;
}

/*
 * Decompresses a message that arrives in pieces of in_step bytes, out_step bytes at a time. out has room for
 * out_cap; more is a failure of the test.
 */
static enum per__inflate_result inflated(struct per__inflater *inflater, struct bytes src, size_t in_step,
					 size_t out_step, struct bytes *out, size_t out_cap)
{
	enum per__inflate_result result;
	size_t pos = 0;

	*out = bytes_new(out_cap);
	do {
		const size_t piece_len = PER_MIN(in_step, src.len - pos);
		struct bytes piece = bytes_from(src.data + pos, piece_len);
		const uint8_t *rest = piece.data;
		size_t left = piece_len;

		pos += piece_len;
		do {
			const size_t room = PER_MAX(PER_MIN(out_step, out_cap - out->len), 1u);
			uint8_t *dst = malloc(room);
			size_t out_len = SIZE_MAX;

			assert_non_null(dst);
			result = per__inflate_piece(inflater, &rest, &left, pos == src.len, dst, room,
						    &out_len);
			assert_true(out_len <= room && rest + left == piece.data + piece_len);
			assert_true(result != PER__INFLATE_FULL || out_len == room);
			assert_true(result != PER__INFLATE_MORE || left == 0);
			if (out_len > out_cap - out->len)
				fail_msg("more than %zu bytes", out_cap);
			memcpy(out->data + out->len, dst, out_len);
			out->len += out_len;
			free(dst);
		} while (result == PER__INFLATE_FULL);
		free(piece.data);
	} while (result == PER__INFLATE_MORE && pos < src.len);
	return result;
}

static void check_inflated(struct per__inflater *inflater, struct bytes src, size_t in_step, size_t out_step,
			   struct bytes expected)
{
	struct bytes out;

	assert_int_equal(inflated(inflater, src, in_step, out_step, &out, expected.len), PER__INFLATE_MORE);
	assert_int_equal(out.len, expected.len);
	assert_memory_equal(out.data, expected.data, expected.len);
	free(out.data);
}

static void check_bad(struct per__inflater *inflater, struct bytes src, size_t step)
{
	struct bytes out;

	assert_int_equal(inflated(inflater, src, step, step, &out, 1u << 20), PER__INFLATE_BAD);
	free(out.data);
}

#define BYTES(literal)                                                 \
	(struct bytes)                                                 \
	{                                                              \
		(uint8_t *)(uintptr_t) "" literal, sizeof(literal) - 1 \
	}

/* --- what RFC 7692 shows ---------------------------------------------------------------------- */

static const size_t steps[] = { 1, 2, 3, 7, 64, 100000 };

static void test_inflate_examples_of_section_7_2_3(void **state)
{
	const struct bytes messages[] = {
		BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"),                         /* 7.2.3.1 */
		BYTES("\xf2\x00\x11\x00\x00"),                                 /* 7.2.3.2: looks back */
		BYTES("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),         /* 7.2.3.3: stored */
		BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),                     /* 7.2.3.4: a final block */
		BYTES("\xf2\x00\x11\x00\x00"),                                 /* and looks back behind it */
		BYTES("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), /* 7.2.3.5: two blocks */
	};
	struct budget budget;

	(void)state;
	budget_init(&budget);
	for (size_t i = 0; i < PER_ARRAY_LEN(steps) * PER_ARRAY_LEN(steps); i++) {
		struct per__inflater *inflater = per__inflater_new(&budget.memory, 15, false);

		assert_non_null(inflater);
		for (size_t k = 0; k < PER_ARRAY_LEN(messages); k++)
			check_inflated(inflater, messages[k], steps[i / PER_ARRAY_LEN(steps)],
				       steps[i % PER_ARRAY_LEN(steps)], BYTES("Hello"));
		per__inflater_free(inflater);
	}
	assert_int_equal(budget.bytes, 0);
}

static void test_deflate_hello_is_that_of_section_7_2_3(void **state)
{
	struct per__deflater *deflater;
	struct bytes first, second;
	struct budget budget;

	(void)state;
	budget_init(&budget);
	deflater = per__deflater_new(&budget.memory, 15, 6, false);
	assert_non_null(deflater);
	first = deflated(deflater, BYTES("Hello"));
	second = deflated(deflater, BYTES("Hello"));
	assert_int_equal(first.len, 7);
	assert_memory_equal(first.data, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
	assert_int_equal(second.len, 5);
	assert_memory_equal(second.data, "\xf2\x00\x11\x00\x00", 5);
	free(first.data);
	free(second.data);
	per__deflater_free(deflater);
	assert_int_equal(budget.bytes, 0);
}

/* --- round trips ------------------------------------------------------------------------------ */

struct pair {
	struct per__deflater *deflater;
	struct per__inflater *inflater;
};

static struct pair pair_new(struct budget *budget, uint8_t bits, int level, bool no_takeover)
{
	struct pair pair = { per__deflater_new(&budget->memory, bits, level, no_takeover),
			     per__inflater_new(&budget->memory, bits, no_takeover) };

	assert_non_null(pair.deflater);
	assert_non_null(pair.inflater);
	return pair;
}

static void pair_free(struct pair pair)
{
	per__deflater_free(pair.deflater);
	per__inflater_free(pair.inflater);
}

/* Returns the compressed length. */
static size_t round_trip(struct pair pair, struct bytes plain, size_t in_step, size_t out_step)
{
	struct bytes packed = deflated(pair.deflater, plain);

	check_inflated(pair.inflater, packed, in_step, out_step, plain);
	free(packed.data);
	return packed.len;
}

static void test_round_trip_every_window_level_and_kind_fits_the_bound(void **state)
{
	static const size_t lengths[] = { 1, 2, 63, 300, 1100, 5000, 20000, 0, 140000, 64 };
	struct budget budget;

	(void)state;
	budget_init(&budget);
	for (unsigned i = 0; i < 7 * 2 * 3; i++) {
		static const int levels[] = { 1, 6, 9 };
		const struct pair pair =
			pair_new(&budget, (uint8_t)(9 + i % 7), levels[i / 14], i / 7 % 2 != 0);

		for (unsigned k = 0; k < KINDS * PER_ARRAY_LEN(lengths); k++) {
			const size_t len = lengths[k / KINDS];
			struct bytes plain = message((enum kind)(k % KINDS), len, i * 1000 + k);

			round_trip(pair, plain, len > 10000 ? 4000 : 1 + k, len > 10000 ? 4096 : 11 + k);
			free(plain.data);
		}
		pair_free(pair);
	}
	assert_int_equal(budget.bytes, 0);
}

static void test_round_trip_one_byte_at_a_time(void **state)
{
	struct budget budget;

	(void)state;
	budget_init(&budget);
	for (unsigned k = 0; k < KINDS * 2; k++) {
		const struct pair pair = pair_new(&budget, 12, 1, k >= KINDS);
		struct bytes plain = message((enum kind)(k % KINDS), 3000, k);

		round_trip(pair, plain, 1, 1);
		round_trip(pair, BYTES(""), 1, 1);
		round_trip(pair, plain, 1, 100);
		round_trip(pair, plain, 100, 1);
		round_trip(pair, plain, SIZE_MAX, 1);
		round_trip(pair, plain, SIZE_MAX, 3000);
		free(plain.data);
		pair_free(pair);
	}
	assert_int_equal(budget.bytes, 0);
}

static void test_takeover_makes_the_second_message_shorter(void **state)
{
	struct bytes plain = message(NOISE, 400, 1);
	struct budget budget;

	(void)state;
	budget_init(&budget);
	for (int no_takeover = 0; no_takeover < 2; no_takeover++) {
		const struct pair pair = pair_new(&budget, 15, 1, no_takeover != 0);
		const size_t first = round_trip(pair, plain, 100, 100);
		const size_t second = round_trip(pair, plain, 100, 100);

		if (no_takeover)
			assert_int_equal(second, first);
		else
			assert_true(second < first / 10);
		pair_free(pair);
	}
	free(plain.data);
	assert_int_equal(budget.bytes, 0);
}

static void test_deflate_empty_messages_are_one_byte_and_change_nothing(void **state)
{
	struct bytes plain = message(NOISE, 400, 1);
	struct budget budget;

	(void)state;
	budget_init(&budget);
	for (int no_takeover = 0; no_takeover < 2; no_takeover++) {
		const struct pair pair = pair_new(&budget, 15, 1, no_takeover != 0);
		struct bytes out = { (uint8_t[8]){ 0xff }, 0 };

		assert_int_equal(per__deflate_message(pair.deflater, out.data, 1, NULL, 0), 1);
		assert_int_equal(out.data[0], 0);
		assert_int_equal(round_trip(pair, BYTES(""), 1, 1), 1);
		round_trip(pair, plain, 100, 100);
		assert_int_equal(round_trip(pair, BYTES(""), 1, 1), 1);
		assert_int_equal(round_trip(pair, BYTES(""), 1, 1), 1);
		assert_int_equal(round_trip(pair, plain, 100, 100) < 100, !no_takeover);
		pair_free(pair);
	}
	free(plain.data);
	assert_int_equal(budget.bytes, 0);
}

static void test_deflate_without_room_fails_and_the_next_message_is_right(void **state)
{
	struct bytes text = message(TEXT, 3000, 2);
	struct budget budget;
	struct pair pair;
	uint8_t dst[3000];

	(void)state;
	budget_init(&budget);
	pair = pair_new(&budget, 15, 1, false);
	for (uint32_t cap = 1; cap <= sizeof(dst); cap += 97) {
		struct bytes noise = message(NOISE, sizeof(dst), cap); /* not yet in the window */

		round_trip(pair, text, 1000, 1000);
		assert_int_equal(per__deflate_message(pair.deflater, dst, cap, noise.data, noise.len),
				 PER_ENOMEM);
		round_trip(pair, noise, 1000, 1000);
		free(noise.data);
	}
	pair_free(pair);
	free(text.data);
	assert_int_equal(budget.bytes, 0);
}

/* Messages of a second compressor go to the same peer; the first must not look back over them. */
static void test_deflater_forget_lets_another_compressor_in_between(void **state)
{
	struct per__deflater *shared;
	struct budget budget;
	struct pair pair;
	uint32_t seed = 7;

	(void)state;
	budget_init(&budget);
	pair = pair_new(&budget, 15, 1, false);
	shared = per__deflater_new(&budget.memory, 15, 1, true);
	assert_non_null(shared);
	for (unsigned i = 0; i < 300; i++) {
		const uint32_t random = random_next(&seed);
		struct bytes plain = message((enum kind)(random % KINDS), random / 8 % 700, random % 4);

		if (random / 64 % 3 == 0) {
			struct bytes packed = deflated(shared, plain);

			per__deflater_forget(pair.deflater);
			check_inflated(pair.inflater, packed, 50, 50, plain);
			free(packed.data);
		} else {
			round_trip(pair, plain, 50, 50);
		}
		free(plain.data);
	}
	per__deflater_free(shared);
	pair_free(pair);
	assert_int_equal(budget.bytes, 0);
}

/* --- other peers ------------------------------------------------------------------------------ */

/* What a peer makes with zlib itself: dictionary is what it sent before. */
static struct bytes peer_deflated(struct bytes dictionary, struct bytes plain, int flush)
{
	struct bytes out = bytes_new(plain.len * 2 + 100);
	z_stream stream = { 0 };

	assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
	if (dictionary.len > 0)
		assert_int_equal(deflateSetDictionary(&stream, dictionary.data, (uInt)dictionary.len), Z_OK);
	stream.next_in = plain.data;
	stream.avail_in = (uInt)plain.len;
	stream.next_out = out.data;
	stream.avail_out = (uInt)(plain.len * 2 + 100);
	deflate(&stream, flush);
	out.len = stream.total_out;
	deflateEnd(&stream);
	return out;
}

static struct bytes joined(struct bytes a, struct bytes b)
{
	struct bytes out = bytes_new(a.len + b.len);

	memcpy(out.data, a.data, a.len);
	memcpy(out.data + a.len, b.data, b.len);
	out.len = a.len + b.len;
	return out;
}

/*
 * Messages that end with a final block: with the zero byte behind it that section 7.2.3.4 asks for, and
 * without. The window goes on, also over several final blocks in one message.
 */
static void test_inflate_final_blocks_keep_the_window(void **state)
{
	struct bytes plain = message(NOISE, 500, 3), none = { NULL, 0 };
	struct bytes first = peer_deflated(none, plain, Z_FINISH),
		     again = peer_deflated(plain, plain, Z_FINISH);
	struct bytes twice = joined(first, again), twice_plain = joined(plain, plain);
	struct bytes padded = joined(twice, BYTES("\0"));
	struct budget budget;

	(void)state;
	budget_init(&budget);
	assert_true(again.len < 50);
	for (size_t i = 0; i < PER_ARRAY_LEN(steps) * PER_ARRAY_LEN(steps); i++) {
		const size_t in = steps[i / PER_ARRAY_LEN(steps)], out = steps[i % PER_ARRAY_LEN(steps)];
		struct per__inflater *inflater = per__inflater_new(&budget.memory, 15, false);

		assert_non_null(inflater);
		check_inflated(inflater, padded, in, out, twice_plain);
		check_inflated(inflater, again, in, out, plain);
		check_inflated(inflater, BYTES(""), in, out, BYTES(""));
		check_inflated(inflater, twice, in, out, twice_plain);
		check_inflated(inflater, BYTES("\0"), in, out, BYTES(""));
		check_inflated(inflater, again, in, out, plain);
		check_inflated(inflater, BYTES("\x03\0\0"), in, out, BYTES("")); /* an empty final block */
		check_inflated(inflater, BYTES("\x01"), in, out, BYTES("")); /* stored: the tail ends it */
		check_inflated(inflater, again, in, out, plain);
		per__inflater_free(inflater);
	}
	free(first.data);
	free(again.data);
	free(twice.data);
	free(twice_plain.data);
	free(padded.data);
	free(plain.data);
	assert_int_equal(budget.bytes, 0);
}

/* Nothing at all, compressed: some send that for an empty message. */
static void test_inflate_nothing_is_an_empty_message(void **state)
{
	struct budget budget;

	(void)state;
	for (unsigned fill = 0; fill < 256; fill += 5) {
		struct per__inflater *inflater;

		budget_init(&budget);
		budget.fill = (uint8_t)fill;
		inflater = per__inflater_new(&budget.memory, 15, false);
		assert_non_null(inflater);
		for (size_t i = 0; i < 3; i++) {
			check_inflated(inflater, BYTES(""), 1, 1, BYTES(""));
			check_inflated(inflater, BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), 1, 1, BYTES("Hello"));
		}
		per__inflater_free(inflater);
		assert_int_equal(budget.bytes, 0);
	}
}

static void test_inflate_looking_back_beyond_what_was_agreed_is_bad(void **state)
{
	struct bytes noise = message(NOISE, 600, 3), zeros = message(ZEROS, 1000, 3);
	struct bytes far = joined(noise, zeros), plain = joined(far, noise);
	struct bytes packed = peer_deflated((struct bytes){ NULL, 0 }, plain, Z_FINISH);
	struct bytes again = peer_deflated(noise, noise, Z_FINISH);
	struct budget budget;

	(void)state;
	budget_init(&budget);
	for (uint8_t bits = 8; bits <= 15; bits++) {
		struct per__inflater *inflater = per__inflater_new(&budget.memory, bits, true);

		assert_non_null(inflater);
		if (1u << bits < far.len)
			check_bad(inflater, packed, 64);
		else
			check_inflated(inflater, packed, 64, 64, plain);
		per__inflater_free(inflater);
		inflater = per__inflater_new(&budget.memory, bits, true);
		assert_non_null(inflater);
		check_inflated(inflater, BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), 64, 64, BYTES("Hello"));
		check_bad(inflater, BYTES("\xf2\x00\x11\x00\x00"), 64); /* the message before is forgotten */
		per__inflater_free(inflater);
	}
	free(noise.data);
	free(zeros.data);
	free(far.data);
	free(plain.data);
	free(packed.data);
	free(again.data);
	assert_int_equal(budget.bytes, 0);
}

/* --- damage ----------------------------------------------------------------------------------- */

static void test_inflate_a_message_cut_off_anywhere_is_bad(void **state)
{
	struct bytes plain = message(TEXT, 600, 5);
	struct budget budget;
	struct pair pair;

	(void)state;
	budget_init(&budget);
	for (int level = 1; level <= 9; level += 4) {
		struct bytes packed;

		pair = pair_new(&budget, 15, level, false);
		packed = deflated(pair.deflater, plain);
		pair_free(pair);
		for (size_t len = 1; len < packed.len; len++) {
			for (size_t i = 0; i < PER_ARRAY_LEN(steps); i++) {
				struct per__inflater *inflater = per__inflater_new(&budget.memory, 15, false);

				assert_non_null(inflater);
				check_bad(inflater, (struct bytes){ packed.data, len }, steps[i]);
				per__inflater_free(inflater);
			}
		}
		free(packed.data);
	}
	free(plain.data);
	assert_int_equal(budget.bytes, 0);
}

static void test_inflate_damaged_data_is_bad_at_every_cut(void **state)
{
	const struct bytes damaged[] = {
		BYTES("\x06"),                     /* a block of the reserved kind */
		BYTES("\x00\x05\x00\xfa\xfe"),     /* lengths that do not agree */
		BYTES("\xf2\x00\x11\x00\x00"),     /* looks back to nothing */
		BYTES("\x00\x05\x00\xfa\xffHell"), /* the tail would be data */
		BYTES("\x00\x00\x00"),             /* within a length */
		BYTES("\xf2\x48\xcd\xc9\xc9\x07"), /* the last byte is missing */
		BYTES("\xfc\xff\xff\xff\xff"),     /* trees that are none */
		BYTES("\x4b\x04\x00\xff\xff"),
	};
	struct budget budget;

	(void)state;
	budget_init(&budget);
	for (size_t i = 0; i < PER_ARRAY_LEN(damaged) * PER_ARRAY_LEN(steps); i++) {
		struct per__inflater *inflater = per__inflater_new(&budget.memory, 15, false);

		assert_non_null(inflater);
		check_bad(inflater, damaged[i / PER_ARRAY_LEN(steps)], steps[i % PER_ARRAY_LEN(steps)]);
		per__inflater_free(inflater);
	}
	assert_int_equal(budget.bytes, 0);
}

static void test_inflate_noise_ends_the_same_however_it_is_cut(void **state)
{
	struct budget budget;

	(void)state;
	budget_init(&budget);
	for (uint32_t seed = 0; seed < 3000; seed++) {
		struct bytes src = message(NOISE, seed % 97, seed), whole, cut;
		struct per__inflater *a = per__inflater_new(&budget.memory, 15, false);
		struct per__inflater *b = per__inflater_new(&budget.memory, 15, false);
		enum per__inflate_result result;

		assert_non_null(a);
		assert_non_null(b);
		result = inflated(a, src, SIZE_MAX, SIZE_MAX, &whole, 1u << 18);
		assert_int_equal(inflated(b, src, 1 + seed % 3, 1 + seed % 5, &cut, 1u << 18), result);
		if (result == PER__INFLATE_MORE)
			assert_true(cut.len == whole.len && memcmp(cut.data, whole.data, cut.len) == 0);
		free(whole.data);
		free(cut.data);
		free(src.data);
		per__inflater_free(a);
		per__inflater_free(b);
	}
	assert_int_equal(budget.bytes, 0);
}

/* 64 MiB in 64 KiB: nobody is made to take more at once than there is room for. */
static void test_inflate_bomb_comes_in_pieces_of_the_room_given(void **state)
{
	const size_t bomb_len = (size_t)64 << 20;
	struct bytes zeros = { calloc(1, bomb_len), bomb_len }, packed;
	struct per__inflater *inflater;
	struct budget budget;
	struct pair pair;
	uint8_t dst[4096];
	size_t total = 0, out_len, left;
	const uint8_t *rest;

	(void)state;
	assert_non_null(zeros.data);
	budget_init(&budget);
	pair = pair_new(&budget, 15, 9, false);
	packed = deflated(pair.deflater, zeros);
	pair_free(pair);
	assert_true(packed.len < bomb_len / 900);
	inflater = per__inflater_new(&budget.memory, 15, false);
	assert_non_null(inflater);
	rest = packed.data;
	left = packed.len;
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(per__inflate_piece(inflater, &rest, &left, true, dst, sizeof(dst), &out_len),
				 PER__INFLATE_FULL);
		assert_int_equal(out_len, sizeof(dst));
		total += out_len;
	}
	assert_true(left > packed.len / 2 && total < bomb_len / 100);
	assert_true(budget.bytes < 50000);
	per__inflater_free(inflater); /* enough of it */
	free(zeros.data);
	free(packed.data);
	assert_int_equal(budget.bytes, 0);
}

/* --- the budget ------------------------------------------------------------------------------- */

/* Everything once, as far as memory allows. Returns whether it got to the end. */
static bool use_all(struct budget *budget, struct bytes plain)
{
	struct per__deflater *deflater = per__deflater_new(&budget->memory, 15, 1, false);
	struct per__inflater *inflater = NULL;
	bool is_done = false;

	if (deflater == NULL)
		return false;
	inflater = per__inflater_new(&budget->memory, 15, false);
	if (inflater != NULL) {
		struct bytes packed = deflated(deflater, plain), out;
		enum per__inflate_result result = inflated(inflater, packed, 10, 10, &out, plain.len);

		is_done = result == PER__INFLATE_MORE;
		if (!is_done)
			assert_int_equal(result, PER__INFLATE_NOMEM);
		free(packed.data);
		free(out.data);
		per__inflater_free(inflater);
	}
	per__deflater_free(deflater);
	return is_done;
}

static void test_every_allocation_that_fails_leaves_nothing_behind(void **state)
{
	struct bytes plain = message(TEXT, 500, 1);
	struct budget budget;
	unsigned total;

	(void)state;
	budget_init(&budget);
	assert_true(use_all(&budget, plain));
	assert_int_equal(budget.bytes, 0);
	total = budget.taken;
	assert_true(total >= 6);
	for (unsigned fail_at = 1; fail_at <= total; fail_at++) {
		budget_init(&budget);
		budget.fail_at = fail_at;
		assert_false(use_all(&budget, plain));
		assert_int_equal(budget.bytes, 0);
	}
	free(plain.data);
}

static void test_contexts_of_small_windows_are_small(void **state)
{
	(void)state;
	for (uint8_t bits = 9; bits <= 15; bits++) {
		struct bytes plain = message(TEXT, 5000, 1);
		struct budget budget;
		struct pair pair;

		budget_init(&budget);
		pair = pair_new(&budget, bits, 1, false);
		assert_true(budget.bytes < ((size_t)8 << bits) + 24000);
		round_trip(pair, plain, SIZE_MAX, 100);
		assert_true(budget.bytes_max < ((size_t)9 << bits) + 24000);
		pair_free(pair);
		assert_int_equal(budget.bytes, 0);
		free(plain.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inflate_examples_of_section_7_2_3),
		cmocka_unit_test(test_deflate_hello_is_that_of_section_7_2_3),
		cmocka_unit_test(test_round_trip_every_window_level_and_kind_fits_the_bound),
		cmocka_unit_test(test_round_trip_one_byte_at_a_time),
		cmocka_unit_test(test_takeover_makes_the_second_message_shorter),
		cmocka_unit_test(test_deflate_empty_messages_are_one_byte_and_change_nothing),
		cmocka_unit_test(test_deflate_without_room_fails_and_the_next_message_is_right),
		cmocka_unit_test(test_deflater_forget_lets_another_compressor_in_between),
		cmocka_unit_test(test_inflate_final_blocks_keep_the_window),
		cmocka_unit_test(test_inflate_nothing_is_an_empty_message),
		cmocka_unit_test(test_inflate_looking_back_beyond_what_was_agreed_is_bad),
		cmocka_unit_test(test_inflate_a_message_cut_off_anywhere_is_bad),
		cmocka_unit_test(test_inflate_damaged_data_is_bad_at_every_cut),
		cmocka_unit_test(test_inflate_noise_ends_the_same_however_it_is_cut),
		cmocka_unit_test(test_inflate_bomb_comes_in_pieces_of_the_room_given),
		cmocka_unit_test(test_every_allocation_that_fails_leaves_nothing_behind),
		cmocka_unit_test(test_contexts_of_small_windows_are_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
