/* SPDX-License-Identifier: MIT */
/*
 * h1_fields.h - what the parts of an HTTP/1 head mean, once h1_parse has found where they are. Private to
 * h1_parse.c and h1_fields.c. Pure: bytes, offsets and one struct per__h1_head.
 */
#ifndef PER_HTTP_H1_FIELDS_H
#define PER_HTTP_H1_FIELDS_H

#include "http/h1_parse.h"

/* Bits of per__h1_class[byte]: the sets of bytes that a token of each kind may consist of. */
enum per__h1_class {
	PER__H1_TCHAR = 1 << 0,   /* RFC 9110 section 5.6.2 */
	PER__H1_PATH = 1 << 1,    /* 0x21 to 0x7e but '#' and '?': a target up to its query */
	PER__H1_QUERY = 1 << 2,   /* 0x21 to 0x7e but '#' */
	PER__H1_VALUE = 1 << 3,   /* VCHAR, obs-text, SP, HTAB (RFC 9110 section 5.5) */
	PER__H1_REGNAME = 1 << 4, /* unreserved and sub-delims (RFC 3986 section 2) */
};

extern const uint8_t per__h1_class[256];

/* Fields that the parser itself understands. */
enum per__h1_known {
	PER__H1_UNKNOWN,
	PER__H1_HOST,
	PER__H1_CONNECTION,
	PER__H1_CONTENT_LENGTH,
	PER__H1_TRANSFER_ENCODING,
	PER__H1_EXPECT,
	PER__H1_UPGRADE_FIELD,
};

/* Bits of per__h1_head.notes. */
enum {
	PER__H1_NOTE_TRANSFER_ENCODING = 1 << 0, /* there was such a field */
	PER__H1_NOTE_CODING_UNKNOWN = 1 << 1,    /* a coding other than chunked was in it */
	PER__H1_NOTE_WANTS_UPGRADE = 1 << 2,     /* Connection: upgrade */
	PER__H1_NOTE_UPGRADE_FIELD = 1 << 3,     /* there was an Upgrade field */
};

/*
 * Unaligned words of text: compared with one another only, so byte order does not matter. Setting bit 5
 * lowers letters; of the other tchars it changes only '^' and '_', and no name that is looked for holds what
 * those become.
 */
#define PER__H1_LOWER32 0x20202020u
#define PER__H1_LOWER64 0x2020202020202020u

PER_INLINE uint16_t per__h1_word16(const void *src)
{
	uint16_t word;

	__builtin_memcpy(&word, src, sizeof(word));
	return word;
}

PER_INLINE uint32_t per__h1_word32(const void *src)
{
	uint32_t word;

	__builtin_memcpy(&word, src, sizeof(word));
	return word;
}

PER_INLINE uint64_t per__h1_word64(const void *src)
{
	uint64_t word;

	__builtin_memcpy(&word, src, sizeof(word));
	return word;
}

/* Do n (8 to 16) bytes equal the lower-case text, letters compared without case? The two words overlap. */
PER_INLINE bool per__h1_equals(const uint8_t *src, const char *lower, size_t n)
{
	return (per__h1_word64(src) | PER__H1_LOWER64) == per__h1_word64(lower) &&
	       (per__h1_word64(src + n - 8) | PER__H1_LOWER64) == per__h1_word64(lower + n - 8);
}

/* Which field is it? By length first; name consists of tchars only. */
PER_INLINE enum per__h1_known per__h1_known_from(const uint8_t *name, size_t len)
{
	switch (len) {
	case 4:
		if ((per__h1_word32(name) | PER__H1_LOWER32) == per__h1_word32("host"))
			return PER__H1_HOST;
		break;
	case 6:
		if ((per__h1_word32(name) | PER__H1_LOWER32) == per__h1_word32("expe") &&
		    (per__h1_word32(name + 2) | PER__H1_LOWER32) == per__h1_word32("pect"))
			return PER__H1_EXPECT;
		break;
	case 7:
		if ((per__h1_word32(name) | PER__H1_LOWER32) == per__h1_word32("upgr") &&
		    (per__h1_word32(name + 3) | PER__H1_LOWER32) == per__h1_word32("rade"))
			return PER__H1_UPGRADE_FIELD;
		break;
	case 10:
		if (per__h1_equals(name, "connection", 10))
			return PER__H1_CONNECTION;
		break;
	case 14:
		if (per__h1_equals(name, "content-length", 14))
			return PER__H1_CONTENT_LENGTH;
		break;
	case 17:
		if (per__h1_equals(name, "transfer-encodin", 16) && (name[16] | 0x20) == 'g')
			return PER__H1_TRANSFER_ENCODING;
		break;
	default:
		break;
	}
	return PER__H1_UNKNOWN;
}

/*
 * Takes the value of a Host field, already judged, unless it is the second one: -400 (RFC 9112 section 3.2).
 */
PER_INLINE int per__h1_host_set(struct per__h1_head *head, const struct per__field *field)
{
	if (head->flags & PER__H1_HAS_HOST)
		return -400;
	head->flags |= PER__H1_HAS_HOST;
	/* Section 3.2.2: with an absolute-form the target's authority counts. */
	if (head->target_form != PER__H1_ABSOLUTE_FORM) {
		head->host_off = field->value_off;
		head->host_len = field->value_len;
	}
	return 0;
}

/** Notes what a known field says in head. Returns 0, -400 or -417. */
int per__h1_field_apply(struct per__h1_head *head, enum per__h1_known known, const uint8_t *buf,
			const struct per__field *field);

/** Judges the end of the head, where there were fields other than one Host. Returns 0, -400 or -501. */
int per__h1_fields_judge(struct per__h1_head *head);

/** Splits a target whose end (and query, if any) is known into authority and path. Returns 0 or -400. */
int per__h1_target_split(struct per__h1_head *head, const uint8_t *buf);

/** Is it the name of a field that must not come from a trailer section? */
bool per__h1_trailer_is_dropped(const uint8_t *name, size_t len);

#endif
