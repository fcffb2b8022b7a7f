/* SPDX-License-Identifier: MIT */
/*
 * deflate.h - permessage-deflate (RFC 7692) on zlib: one message in, one message out. No connection, no
 * frames. Memory comes from the caller's functions, so that it is bounded and nothing is on the heap.
 * zlib.h is included by deflate.c only.
 */
#ifndef PER_WS_DEFLATE_H
#define PER_WS_DEFLATE_H

#include "base/base.h"
#include "ws/handshake.h"

/* Where contexts take their memory from. take returns NULL above the budget. */
struct per__deflate_memory {
	void *(*take)(void *arg, size_t bytes);
	void (*give)(void *arg, void *block);
	void *arg;
};

struct per__deflater; /* compresses */
struct per__inflater; /* decompresses */

/**
 * Makes a context. memory is borrowed for its life. window_bits are 9 to 15 to compress, 8 to 15 to
 * decompress. Returns NULL above the budget.
 */
struct per__deflater *per__deflater_new(const struct per__deflate_memory *memory, uint8_t window_bits,
					int level, bool no_takeover);
struct per__inflater *per__inflater_new(const struct per__deflate_memory *memory, uint8_t window_bits,
					bool no_takeover);
void per__deflater_free(struct per__deflater *deflater);
void per__inflater_free(struct per__inflater *inflater);

/**
 * The next message is compressed without looking back: another compressor's message went to the same peer.
 */
void per__deflater_forget(struct per__deflater *deflater);

/** An upper bound for the compressed size of len bytes. */
size_t per__deflate_bound(size_t len);

/**
 * Compresses one whole message; the four bytes of section 7.2.1 are already removed.
 *
 * dst, cap  cap is at least per__deflate_bound(len)
 * data      len below 4 GiB; may be NULL when len is 0
 * returns   the compressed length in bytes, at least 1; PER_ENOMEM when cap was not enough: the next message
 *           is compressed without looking back, as after per__deflater_forget()
 */
int64_t per__deflate_message(struct per__deflater *deflater, uint8_t *dst, size_t cap, const void *data,
			     size_t len);

/*
 * Decompression is incremental: pieces of a message in, pieces of output out.
 */
enum per__inflate_result {
	PER__INFLATE_MORE = 0, /* all input used; dst has room */
	PER__INFLATE_FULL = 1, /* dst is full; call again with the rest and new room */
	PER__INFLATE_BAD = -1, /* no valid data, or a message that ends within a block: 1007 */
	PER__INFLATE_NOMEM = -2,
};

/**
 * Decompresses a piece.
 *
 * data, len  in and out: what is left of the input; after FULL the same is_end goes with the rest
 * dst, cap   where to; cap at least 1
 * out_len    receives the bytes written
 * is_end     this is the end of the message: the four bytes of section 7.2.2 are added behind the input, once
 * returns    MORE at the end: the message is whole, the next may begin. After BAD and NOMEM: free the context
 */
enum per__inflate_result per__inflate_piece(struct per__inflater *inflater, const uint8_t **data, size_t *len,
					    bool is_end, uint8_t *dst, size_t cap, size_t *out_len);

#endif
