/* SPDX-License-Identifier: MIT */
/*
 * chunked.h - the chunked transfer coding of a request body (RFC 9112 section 7.1), decoded in place. Pure
 * and incremental. The trailer section is not its business: it stops before it (per__h1_parse_trailers() goes
 * on).
 */
#ifndef PER_HTTP_CHUNKED_H
#define PER_HTTP_CHUNKED_H

#include "base/base.h"

#define PER__CHUNK_EXT_MAX \
	4096u /* bytes of chunk extensions in one whole body; 400 above (RFC 9112 section 7.1.1) */

struct per__chunked {
	uint64_t left;      /* bytes of the current chunk still to come */
	uint32_t ext_bytes; /* bytes of extensions so far */
	uint8_t state;
	uint8_t digits; /* hexadecimal digits of the current size */
};

/* Results of per__chunked_decode(). */
enum per__chunked_result {
	PER__CHUNKED_MORE = 0, /* all input used; the body goes on */
	PER__CHUNKED_DATA = 1, /* *data, *data_len is a piece of the body; call again with the rest */
	PER__CHUNKED_LAST = 2, /* the last chunk's line is over; the trailer section begins at *used */
	PER__CHUNKED_BAD = -1, /* malformed: 400 and close */
};

void per__chunked_init(struct per__chunked *chunked);

/**
 * Decodes up to the next piece of data.
 *
 * buf, len  input; bare CR, bare LF, missing or empty sizes, sizes above INT64_MAX, signs, bad extensions are
 *           PER__CHUNKED_BAD
 * used      receives how many bytes were used up (those of a piece of data included)
 * data      with PER__CHUNKED_DATA: a slice of buf
 */
enum per__chunked_result per__chunked_decode(struct per__chunked *chunked, const uint8_t *buf, size_t len,
					     size_t *used, const uint8_t **data, size_t *data_len);

#endif
