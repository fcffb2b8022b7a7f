/* SPDX-License-Identifier: MIT */
/*
 * range.h - ranges of bytes (RFC 9110 section 14): which parts of a representation a field asks for, and the
 * text around them in an answer. Pure. Whether the field counts at all (method, If-Range) is the caller's
 * to know. Invariant: ranges are inside of the size, not empty, and do not touch one another.
 */
#ifndef PER_HTTP_RANGE_H
#define PER_HTTP_RANGE_H

#include "base/text.h"

#define PER__RANGES_MAX 16u /* ranges of one field; with more of them it is ignored */

struct per__range {
	uint64_t first, last; /* offsets in bytes; last belongs to it */
};

struct per__ranges {
	uint32_t count; /* 1: a plain answer; more: multipart/byteranges */
	struct per__range at[PER__RANGES_MAX];
};

enum per__range_result {
	PER__RANGE_WHOLE = 200,   /* ignore the field: everything is sent */
	PER__RANGE_PART = 206,    /* of ranges, in the order asked for */
	PER__RANGE_OUTSIDE = 416, /* "Content-Range: bytes * / size" */
};

PER_INLINE uint64_t per__range_bytes(const struct per__range *range)
{
	return range->last - range->first + 1;
}

/**
 * Reads the value of a Range field.
 *
 * Ranges that overlap or touch are made one (section 15.3.7.2), so that no byte is ever sent twice and many
 * ranges cost at most PER__RANGES_MAX part heads. Ignored, as section 14.2 allows: other units, values that
 * break the grammar, more than PER__RANGES_MAX ranges, and a suffix of an empty representation (no
 * Content-Range could say it).
 *
 * size     of the representation, in bytes; at most INT64_MAX
 * out      with PER__RANGE_PART: at least one range
 * source   RFC 9110 sections 14.1.1, 14.1.2, 14.2
 */
enum per__range_result per__range_parse(struct per__ranges *out, per_str value, uint64_t size);

/** Adds a Content-Range value, "bytes 0-99/1234" (section 14.4). */
void per__range_value(struct per__text *text, const struct per__range *range, uint64_t size);

/** Adds the Content-Range value of a 416: "bytes", a space, a '*', a '/' and the size. */
void per__range_outside_value(struct per__text *text, uint64_t size);

/* What the parts of a multipart/byteranges body have in common (section 14.6). */
struct per__multipart {
	per_str boundary;     /* 1 to 70 bytes that must not be in the parts (RFC 2046 section 5.1.1) */
	per_str content_type; /* absent: the parts do not tell */
	uint64_t size;        /* of the whole representation, in bytes */
};

/** Adds what stands before the bytes of the part at index: its delimiter and its fields. */
void per__multipart_head(struct per__text *text, const struct per__multipart *multipart,
			 const struct per__ranges *ranges, uint32_t index);

/** Adds what stands behind the last part. */
void per__multipart_end(struct per__text *text, const struct per__multipart *multipart);

/** The Content-Length of the whole body. */
uint64_t per__multipart_bytes(const struct per__multipart *multipart, const struct per__ranges *ranges);

/** Adds the Content-Type of the answer, "multipart/byteranges; boundary=...". */
void per__multipart_type(struct per__text *text, const struct per__multipart *multipart);

#endif
