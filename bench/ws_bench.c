/* SPDX-License-Identifier: MIT */
/*
 * ws_bench.c - what masking and checking UTF-8 cost, by length and kind of text, next to plainer ways of
 * doing it: nanoseconds per call and bytes per nanosecond (GB/s). Medians of many short rounds, the ways
 * taken in turn. Not a test: it asserts no timing. Run by hand on an idle core.
 */
#include "ws/frame.h"
#include "ws/utf8.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 51u
#define WAYS 3u
#define ROUND_BYTES 1000000u /* per round, so that rounds take about equally long */
#define CALL_BYTES 20u       /* what a call costs, counted in bytes */
#define BUF_BYTES ((1u << 20) + 64u)
#define PAYLOAD_AT 14u /* as behind a long header: not aligned */

static const size_t lengths[] = { 16, 125, 4096, 1u << 20 };

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
	const double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* --- the ways --------------------------------------------------------------------------------- */

typedef void (*run_fn)(uint8_t *data, size_t len);

static const uint8_t mask[4] = { 0x12, 0x34, 0x56, 0x78 };

static void mask_bytes(uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		data[i] ^= mask[i & 3];
		__asm__ volatile(""); /* as the compiler would have it without vectors */
	}
}

static void mask_words(uint8_t *data, size_t len)
{
	uint64_t wide, word;
	size_t i = 0;

	memcpy(&wide, mask, 4);
	wide |= wide << 32;
	for (; i + 8 <= len; i += 8) {
		memcpy(&word, data + i, 8);
		word ^= wide;
		memcpy(data + i, &word, 8);
	}
	for (; i < len; i++)
		data[i] ^= mask[i & 3];
}

static void mask_library(uint8_t *data, size_t len)
{
	per__ws_mask(data, len, mask, 0);
}

static void require(bool claim)
{
	if (!claim)
		abort();
}

/* Only whether continuations come where they have to: less than is asked for. */
static void utf8_bytes(uint8_t *data, size_t len)
{
	unsigned left = 0;

	for (size_t i = 0; i < len; i++) {
		const uint8_t byte = data[i];

		require((byte >> 6 == 2) == (left > 0));
		if (left > 0)
			left--;
		else if (byte >= 0xc0)
			left = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
	}
}

static void utf8_scalar(uint8_t *data, size_t len)
{
	per__utf8_state state = PER__UTF8_OK;

	require(per__utf8_feed_scalar(&state, data, len));
}

static void utf8_library(uint8_t *data, size_t len)
{
	per__utf8_state state = PER__UTF8_OK;

	require(per__utf8_feed(&state, data, len));
}

/* --- measuring -------------------------------------------------------------------------------- */

struct way {
	const char *name;
	run_fn run;
};

static double round_ns(run_fn run, uint8_t *data, size_t len)
{
	const size_t count = ROUND_BYTES / (len + CALL_BYTES) + 1;
	const int64_t start = now_ns();

	for (size_t i = 0; i < count; i++) {
		run(data, len);
		__asm__ volatile("" : : "r"(data) : "memory");
	}
	return (double)(now_ns() - start) / (double)count;
}

static void measure(const char *what, const struct way ways[WAYS], uint8_t *data)
{
	double ns[WAYS][ROUNDS];

	for (size_t at = 0; at < PER_ARRAY_LEN(lengths); at++) {
		const size_t len = lengths[at];

		for (unsigned round = 0; round < ROUNDS; round++) {
			for (unsigned i = 0; i < WAYS; i++)
				ns[i][round] = round_ns(ways[i].run, data, len);
		}
		for (unsigned i = 0; i < WAYS; i++) {
			qsort(ns[i], ROUNDS, sizeof(ns[i][0]), compare_doubles);

			const double median = ns[i][ROUNDS / 2];

			printf("%-14s %8zu bytes  %-8s %10.1f ns  %6.2f GB/s  (fastest %.1f ns)\n", what, len,
			       ways[i].name, median, (double)len / median, ns[i][0]);
		}
	}
}

int main(void)
{
	static const struct way masks[WAYS] = { { "bytes", mask_bytes },
						{ "words", mask_words },
						{ "library", mask_library } };
	static const struct way checks[WAYS] = { { "bytes", utf8_bytes },
						 { "scalar", utf8_scalar },
						 { "library", utf8_library } };
	static const struct {
		const char *name, *text;
	} texts[] = {
		{ "utf8 ASCII", "The quick brown fox jumps over the lazy dog. " },
		{ "utf8 Latin",
		  "Zw\u00f6lf Boxk\u00e4mpfer jagen Viktor quer \u00fcber den gro\u00dfen Deich. " },
		{ "utf8 CJK",
		  "\u654f\u6377\u7684\u68d5\u8272\u72d0\u72f8\u8df3\u8fc7\u4e86\u61d2\u72d7\u3002" },
	};
	uint8_t *buf = malloc(BUF_BYTES);

	require(buf != NULL);
	memset(buf, 0x55, BUF_BYTES);
	measure("mask", masks, buf + PAYLOAD_AT);
	for (size_t i = 0; i < PER_ARRAY_LEN(texts); i++) {
		const size_t text_len = strlen(texts[i].text);

		for (size_t pos = 0; pos + text_len <= BUF_BYTES; pos += text_len)
			memcpy(buf + pos, texts[i].text, text_len);
		measure(texts[i].name, checks, buf);
	}
	free(buf);
	return 0;
}
