/* SPDX-License-Identifier: MIT */
/*
 * deflate.c - permessage-deflate on zlib (RFC 7692 section 7.2).
 * A message is a raw deflate stream flushed to a byte boundary, without the four bytes 00 00 FF FF that every
 * flush ends with. Invariant: between two messages an inflater stands between two blocks.
 */
#include "ws/deflate.h"

#include <peregrine/types.h>
#include <string.h>
#include <zlib.h>

#define TAIL_LEN 4u

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
	bool is_between;  /* two blocks, on a byte boundary, with nothing left to write */
	uint8_t tail_pos; /* bytes of the tail that were fed */
};

/* Not zeroed: zlib does not ask for that, and pages that are never written cost nothing. */
static void *zlib_take(void *opaque, unsigned items, unsigned size)
{
	const struct per__deflate_memory *memory = opaque;

	return memory->take(memory->arg, (size_t)items * size);
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

/* --- compressing ------------------------------------------------------------------------------ */

/*
 * The rest of a compressor's memory shrinks with its window: 32 KiB for 12 bits instead of 144, for messages
 * that are about 2 % longer (JSON, level 1). 15 bits go with zlib's default.
 */
static int memory_level(uint8_t window_bits)
{
	return window_bits - 7;
}

struct per__deflater *per__deflater_new(const struct per__deflate_memory *memory, uint8_t window_bits,
					int level, bool no_takeover)
{
	struct per__deflater *deflater;

	PER_ASSERT(window_bits >= 9 && window_bits <= 15);
	deflater = memory->take(memory->arg, sizeof(*deflater));
	if (deflater == NULL)
		return NULL;
	deflater->memory = memory;
	deflater->no_takeover = no_takeover;
	deflater->must_reset = false;
	stream_init(&deflater->stream, memory);
	if (deflateInit2(&deflater->stream, level, Z_DEFLATED, -(int)window_bits, memory_level(window_bits),
			 Z_DEFAULT_STRATEGY) == Z_OK)
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
	/*
	 * At worst a byte is a symbol of nine bits: a block that is longer than the window can no longer be
	 * stored as it is. A block of at least 255 symbols (memory level 2) costs ten bits, the flush a few
	 * bytes.
	 */
	return len + len / 8 + len / 64 + 16;
}

int64_t per__deflate_message(struct per__deflater *deflater, uint8_t *dst, size_t cap, const void *data,
			     size_t len)
{
	z_stream *stream = &deflater->stream;
	size_t room = PER_MIN(cap, (size_t)UINT32_MAX);
	size_t written;

	PER_ASSERT(len <= UINT32_MAX);
	PER_ASSERT(cap > 0);
	if (len == 0) { /* zlib has nothing to flush, and refuses to flush that twice (section 7.2.3.6) */
		dst[0] = 0;
		return 1;
	}
	if (deflater->must_reset)
		deflateReset(stream);
	deflater->must_reset = true; /* if it fails the context is not the peer's */
	stream->next_in = (Bytef *)(uintptr_t)data;
	stream->avail_in = (uInt)len;
	stream->next_out = dst;
	stream->avail_out = (uInt)room;
	if (deflate(stream, Z_SYNC_FLUSH) != Z_OK || stream->avail_in != 0 || stream->avail_out == 0)
		return PER_ENOMEM;
	written = room - stream->avail_out;
	PER_ASSERT(written > TAIL_LEN && memcmp(dst + written - TAIL_LEN, tail, TAIL_LEN) == 0);
	deflater->must_reset = deflater->no_takeover;
	return (int64_t)(written - TAIL_LEN);
}

/* --- decompressing ---------------------------------------------------------------------------- */

struct per__inflater *per__inflater_new(const struct per__deflate_memory *memory, uint8_t window_bits,
					bool no_takeover)
{
	struct per__inflater *inflater;

	PER_ASSERT(window_bits >= 8 && window_bits <= 15);
	inflater = memory->take(memory->arg, sizeof(*inflater));
	if (inflater == NULL)
		return NULL;
	inflater->memory = memory;
	inflater->no_takeover = no_takeover;
	inflater->is_between = true;
	inflater->tail_pos = 0;
	stream_init(&inflater->stream, memory);
	/* Peers with an old zlib say 8 and use 9. */
	if (inflateInit2(&inflater->stream, -(int)PER_MAX(window_bits, 9)) == Z_OK)
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

/*
 * To the end of a block, of the input or of the room. A final block ends its stream; what follows begins a
 * new one with the same window (section 7.2.3.4).
 */
static enum per__inflate_result inflate_some(struct per__inflater *inflater)
{
	z_stream *stream = &inflater->stream;
	int result = inflate(stream, Z_BLOCK);

	/* data_type: 128 at the end of a block, 64 if it is the last, and how many bits of a byte are left */
	inflater->is_between = result == Z_STREAM_END || (stream->data_type & 0xff) == 128;
	if (result == Z_STREAM_END)
		result = inflateResetKeep(stream);
	if (result == Z_MEM_ERROR)
		return PER__INFLATE_NOMEM;
	if (result != Z_OK && result != Z_BUF_ERROR)
		return PER__INFLATE_BAD;
	return stream->avail_out == 0 ? PER__INFLATE_FULL : PER__INFLATE_MORE;
}

/* Feeds input until it is used up or the room is. */
static enum per__inflate_result feed(struct per__inflater *inflater, const uint8_t **data, size_t *len)
{
	z_stream *stream = &inflater->stream;
	enum per__inflate_result result = PER__INFLATE_MORE;

	while (*len > 0 || !inflater->is_between) {
		const size_t piece = PER_MIN(*len, (size_t)UINT32_MAX);

		stream->next_in = (Bytef *)(uintptr_t)*data;
		stream->avail_in = (uInt)piece;
		result = inflate_some(inflater);
		*len -= piece - stream->avail_in;
		*data = stream->next_in;
		if (result != PER__INFLATE_MORE)
			break;
		if (*len == 0 &&
		    (stream->data_type & 128) == 0) /* else it goes on with the bits that are left */
			break;
	}
	return result;
}

/*
 * The tail, unless the message ends where a block ends: then it was flushed by other means. It has to end
 * there with the tail at the latest; what was cut off within a block would swallow the beginning of the next
 * message.
 */
static enum per__inflate_result feed_tail(struct per__inflater *inflater)
{
	const uint8_t *pos = tail + inflater->tail_pos;
	size_t left = TAIL_LEN - inflater->tail_pos;
	enum per__inflate_result result;

	if (inflater->is_between && inflater->tail_pos == 0)
		return PER__INFLATE_MORE;
	result = feed(inflater, &pos, &left);
	inflater->tail_pos = (uint8_t)(TAIL_LEN - left);
	return result == PER__INFLATE_MORE && !inflater->is_between ? PER__INFLATE_BAD : result;
}

enum per__inflate_result per__inflate_piece(struct per__inflater *inflater, const uint8_t **data, size_t *len,
					    bool is_end, uint8_t *dst, size_t cap, size_t *out_len)
{
	z_stream *stream = &inflater->stream;
	const size_t room = PER_MIN(cap, (size_t)UINT32_MAX);
	enum per__inflate_result result;

	PER_ASSERT(cap > 0);
	stream->next_out = dst;
	stream->avail_out = (uInt)room;
	result = feed(inflater, data, len);
	if (result == PER__INFLATE_MORE && is_end) {
		result = feed_tail(inflater);
		if (result == PER__INFLATE_MORE) {
			inflater->tail_pos = 0;
			if (inflater->no_takeover)
				inflateReset(stream);
		}
	}
	*out_len = room - stream->avail_out;
	return result;
}
