/* SPDX-License-Identifier: MIT */
/*
 * deflate.c - permessage-deflate on zlib (RFC 7692 section 7.2).
 * A message is a raw deflate stream flushed to a byte boundary, without the four bytes 00 00 FF FF that every flush ends with.
 */
#include "ws/deflate.h"

#include <peregrine/types.h>
#include <string.h>
#include <zlib.h>

#define TAIL_LEN 4u
#define MEM_LEVEL 8

static const uint8_t tail[TAIL_LEN] = { 0x00, 0x00, 0xff, 0xff };

struct per__deflater {
	z_stream stream;
	const struct per__deflate_memory *memory;
	bool no_takeover, must_reset;
};

struct per__inflater {
	z_stream stream;
	const struct per__deflate_memory *memory;
	bool no_takeover;
	uint8_t tail_pos; /* bytes of the tail that were fed */
};

static void *zlib_take(void *opaque, unsigned items, unsigned size)
{
	const struct per__deflate_memory *memory = opaque;
	size_t bytes = (size_t)items * size;
	void *block = memory->take(memory->arg, bytes);

	if (block != NULL)
		memset(block, 0, bytes);
	return block;
}

static void zlib_give(void *opaque, void *block)
{
	const struct per__deflate_memory *memory = opaque;

	memory->give(memory->arg, block);
}

static void stream_init(z_stream *stream, const struct per__deflate_memory *memory)
{
	memset(stream, 0, sizeof(*stream));
	stream->zalloc = zlib_take;
	stream->zfree = zlib_give;
	stream->opaque = (void *)(uintptr_t)memory;
}

/* --- compressing ---------------------------------------------------------------------------------------------------- */

struct per__deflater *per__deflater_new(const struct per__deflate_memory *memory, uint8_t window_bits, int level,
                                        bool no_takeover)
{
	struct per__deflater *deflater = memory->take(memory->arg, sizeof(*deflater));

	if (deflater == NULL)
		return NULL;
	deflater->memory = memory;
	deflater->no_takeover = no_takeover;
	deflater->must_reset = false;
	stream_init(&deflater->stream, memory);
	if (deflateInit2(&deflater->stream, level, Z_DEFLATED, -(int)window_bits, MEM_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK)
		return deflater;
	memory->give(memory->arg, deflater);
	return NULL;
}

void per__deflater_free(struct per__deflater *deflater)
{
	const struct per__deflate_memory *memory = deflater->memory;

	deflateEnd(&deflater->stream);
	memory->give(memory->arg, deflater);
}

void per__deflater_forget(struct per__deflater *deflater)
{
	deflater->must_reset = true;
}

size_t per__deflate_bound(size_t len)
{
	/* stored blocks cost 5 bytes for each 16,383 at the least memory; the flush and the last block a few more */
	return len + len / 1000 + (len >> 12) + 64;
}

int64_t per__deflate_message(struct per__deflater *deflater, uint8_t *dst, size_t cap, const void *data, size_t len)
{
	z_stream *stream = &deflater->stream;
	size_t written;

	if (deflater->must_reset)
		deflateReset(stream);
	deflater->must_reset = deflater->no_takeover;
	stream->next_in = (Bytef *)(uintptr_t)data;
	stream->avail_in = (uInt)len;
	stream->next_out = dst;
	stream->avail_out = (uInt)cap;
	if (deflate(stream, Z_SYNC_FLUSH) != Z_OK || stream->avail_in != 0 || stream->avail_out == 0)
		return PER_ENOMEM;
	written = cap - stream->avail_out;
	if (written < TAIL_LEN || memcmp(dst + written - TAIL_LEN, tail, TAIL_LEN) != 0)
		return PER_ENOMEM;
	written -= TAIL_LEN;
	if (written == 0)
		dst[written++] = 0; /* an empty message is one byte (section 7.2.3.6) */
	return (int64_t)written;
}

/* --- decompressing -------------------------------------------------------------------------------------------------- */

struct per__inflater *per__inflater_new(const struct per__deflate_memory *memory, uint8_t window_bits, bool no_takeover)
{
	struct per__inflater *inflater = memory->take(memory->arg, sizeof(*inflater));

	if (inflater == NULL)
		return NULL;
	inflater->memory = memory;
	inflater->no_takeover = no_takeover;
	inflater->tail_pos = 0;
	stream_init(&inflater->stream, memory);
	/* A window of 256 bytes is inflated with one of 512: zlib's smallest. */
	if (inflateInit2(&inflater->stream, -(window_bits > 9 ? (int)window_bits : 9)) == Z_OK)
		return inflater;
	memory->give(memory->arg, inflater);
	return NULL;
}

void per__inflater_free(struct per__inflater *inflater)
{
	const struct per__deflate_memory *memory = inflater->memory;

	inflateEnd(&inflater->stream);
	memory->give(memory->arg, inflater);
}

/* One call of inflate. A final block ends its stream; what follows begins a new one with the same window. */
static enum per__inflate_result inflate_some(z_stream *stream)
{
	int result = inflate(stream, Z_SYNC_FLUSH);

	if (result == Z_STREAM_END)
		result = inflateResetKeep(stream);
	if (result == Z_MEM_ERROR)
		return PER__INFLATE_NOMEM;
	if (result != Z_OK && result != Z_BUF_ERROR)
		return PER__INFLATE_BAD;
	return stream->avail_out == 0 ? PER__INFLATE_FULL : PER__INFLATE_MORE;
}

/* Feeds input until it is used up or dst is full. */
static enum per__inflate_result feed(z_stream *stream, const uint8_t **data, size_t *len)
{
	enum per__inflate_result result;

	do {
		size_t before = *len, room = stream->avail_out;

		stream->next_in = (Bytef *)(uintptr_t)*data;
		stream->avail_in = (uInt)PER_MIN(*len, (size_t)UINT32_MAX);
		result = inflate_some(stream);
		*data = stream->next_in;
		*len -= before - stream->avail_in;
		if (result == PER__INFLATE_MORE && *len == before && stream->avail_out == room)
			break;
	} while (result == PER__INFLATE_MORE && *len > 0);
	return result;
}

enum per__inflate_result per__inflate_piece(struct per__inflater *inflater, const uint8_t **data, size_t *len, bool is_end,
                                            uint8_t *dst, size_t cap, size_t *out_len)
{
	z_stream *stream = &inflater->stream;
	enum per__inflate_result result = PER__INFLATE_MORE;

	stream->next_out = dst;
	stream->avail_out = (uInt)cap;
	if (*len > 0 || !is_end)
		result = feed(stream, data, len);
	if (result == PER__INFLATE_MORE && is_end) {
		const uint8_t *pos = tail + inflater->tail_pos;
		size_t left = TAIL_LEN - inflater->tail_pos;

		result = feed(stream, &pos, &left);
		inflater->tail_pos = (uint8_t)(TAIL_LEN - left);
		if (result == PER__INFLATE_MORE) {
			inflater->tail_pos = 0;
			if (inflater->no_takeover)
				inflateReset(stream);
		}
	}
	*out_len = cap - stream->avail_out;
	return result;
}
