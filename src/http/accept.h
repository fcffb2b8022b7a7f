/* SPDX-License-Identifier: MIT */
/*
 * accept.h - what a client can read: the coding and the kind of page that suit its Accept-Encoding and Accept
 * (RFC 9110 section 12.5). Pure.
 */
#ifndef PER_HTTP_ACCEPT_H
#define PER_HTTP_ACCEPT_H

#include "http/list.h"

/* Content codings as a bit set. Of those that a client likes equally the highest bit is chosen. */
enum per__coding {
	PER__CODING_IDENTITY = 1 << 0,
	PER__CODING_GZIP = 1 << 1, /* x-gzip too (section 8.4.1.3) */
	PER__CODING_ZSTD = 1 << 2, /* RFC 8878 */
	PER__CODING_BR = 1 << 3,   /* RFC 7932 */
};
#define PER__CODINGS 4u

/**
 * Chooses the coding of an answer: the available one with the highest weight, identity when none has one
 * above zero. That is also what a client gets that refuses identity and everything else: section 12.5.3
 * would allow 415 or 406 too, but bytes that it may well understand help it more. Elements that are
 * malformed do not count; of a coding that is named twice the first does.
 *
 * lines      of Accept-Encoding; none: identity, for then nothing is known about the client
 * available  PER__CODING_* bits; identity always is
 * returns    one bit
 */
enum per__coding per__accept_coding(const struct per__lines *lines, unsigned available);

enum per__media {
	PER__MEDIA_ANY,  /* names neither, or only by "*" "/" "*": text will do */
	PER__MEDIA_HTML, /* a browser */
	PER__MEDIA_JSON, /* named, and liked better than HTML, or equally but named more precisely */
};

/** Which of HTML and JSON do these Accept lines ask for (section 12.5.1)? */
enum per__media per__accept_media(const struct per__lines *lines);

#endif
