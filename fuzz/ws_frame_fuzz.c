/* SPDX-License-Identifier: MIT */
/*
 * ws_frame_fuzz.c - any bytes as a client's frames: the verdict on a header does not depend on where it is
 * cut, a header that is written again is the same, and a payload is unmasked the same whole, in pieces, and
 * one byte at a time.
 */
#include "ws/frame.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool claim)
{
	if (!claim)
		abort();
}

static uint8_t *copy_of(const uint8_t *src, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	require(copy != NULL);
	if (len > 0)
		memcpy(copy, src, len);
	return copy;
}

/* Every prefix, each in memory of its own size: once a verdict is there it stays. */
static int header_parse(struct per__ws_frame *frame, const uint8_t *src, size_t len)
{
	int verdict = 0;

	for (size_t n = 0; n <= PER_MIN(len, PER__WS_HEAD_MAX + 2); n++) {
		uint8_t *copy = copy_of(src, n);
		const int now = per__ws_frame_parse(frame, copy, n);

		require(verdict == 0 || now == verdict);
		require(now == 0 || now == -1002 || (now > 0 && (size_t)now <= n && frame->head_len == now));
		verdict = now;
		free(copy);
	}
	return verdict;
}

static void header_check(const struct per__ws_frame *frame, const uint8_t *src)
{
	const bool is_control = frame->opcode >= PER__WS_CLOSE;
	uint8_t again[PER__WS_HEAD_MAX];
	size_t len = per__ws_frame_head(again, frame->opcode, frame->is_fin, frame->is_rsv1, frame->len);

	again[1] |= 0x80;
	memcpy(again + len, frame->mask, 4);
	require(len + 4 == frame->head_len && memcmp(again, src, len + 4) == 0);
	require(frame->len <= INT64_MAX);
	require(!is_control || (frame->is_fin && !frame->is_rsv1 && frame->len <= PER__WS_CONTROL_MAX));
}

static void payload_check(const struct per__ws_frame *frame, const uint8_t *src, size_t len)
{
	const size_t cut = len > 0 ? (size_t)((src[0] * 257u + src[len - 1]) % (len + 1)) : 0;
	uint8_t *whole = copy_of(src, len), *pieces = copy_of(src, len);

	per__ws_mask(whole, len, frame->mask, 0);
	per__ws_mask(pieces, cut, frame->mask, 0);
	per__ws_mask(pieces + cut, len - cut, frame->mask, cut);
	require(memcmp(whole, pieces, len) == 0);
	for (size_t i = 0; i < len; i++)
		require(whole[i] == (src[i] ^ frame->mask[i % 4]));
	free(whole);
	free(pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t pos = 0;

	for (unsigned frames = 0; frames < 64; frames++) {
		struct per__ws_frame frame;
		const int head_len = header_parse(&frame, data + pos, size - pos);
		size_t payload_len;

		if (head_len <= 0)
			break;
		header_check(&frame, data + pos);
		pos += (size_t)head_len;
		payload_len = (size_t)PER_MIN(frame.len, (uint64_t)(size - pos));
		payload_check(&frame, data + pos, payload_len);
		if (frame.opcode == PER__WS_CLOSE && payload_len >= 2)
			(void)per__ws_close_code_is_valid((unsigned)data[pos] << 8 | data[pos + 1]);
		pos += payload_len;
	}
	return 0;
}
