/* SPDX-License-Identifier: MIT */
/*
 * h1_parse.h - the head of an HTTP/1.x request (RFC 9112): bytes to offsets. Pure: no connection, no syscall,
 * no allocation.
 *
 * Incremental: called again with the same buffer, longer, it goes on where it stopped, so a head that arrives
 * one byte at a time costs as much as one that arrives whole. The verdict (complete, or which status) depends
 * on the bytes alone and never on where they were cut; what is wrong is said at the first byte that makes it
 * wrong, never only when the head is complete.
 */
#ifndef PER_HTTP_H1_PARSE_H
#define PER_HTTP_H1_PARSE_H

#include "base/base.h"
#include <peregrine/request.h>

/*
 * A field: offsets from the first byte of the buffer given to the parser. Values have OWS removed at both
 * ends.
 */
struct per__field {
	uint16_t name_off, name_len;
	uint16_t value_off, value_len;
};

struct per__h1_limits {
	uint32_t head_bytes_max;   /* 1 to 65,535: 431 above (414 while still inside the target) */
	uint32_t target_bytes_max; /* 414 above */
	uint32_t fields_max;       /* 431 above */
};

/* Where the request target is (RFC 9112 section 3.2). */
enum per__h1_target_form {
	PER__H1_ORIGIN_FORM,
	PER__H1_ABSOLUTE_FORM,
	PER__H1_AUTHORITY_FORM, /* CONNECT only */
	PER__H1_ASTERISK_FORM,  /* OPTIONS only */
};

/* What the fields say, found while they are scanned. */
enum {
	PER__H1_HAS_HOST = 1 << 0,
	PER__H1_HAS_LENGTH = 1 << 1,
	PER__H1_CHUNKED = 1 << 2,         /* Transfer-Encoding: chunked */
	PER__H1_CLOSE = 1 << 3,           /* Connection: close */
	PER__H1_KEEP_ALIVE = 1 << 4,      /* Connection: keep-alive */
	PER__H1_UPGRADE = 1 << 5,         /* Connection: upgrade, and an Upgrade field */
	PER__H1_EXPECT_CONTINUE = 1 << 6, /* Expect: 100-continue */
};

/*
 * One head, partial or complete. The caller owns it and the fields array; per__h1_head_init() before the
 * first byte.
 */
struct per__h1_head {
	/* the result, valid after per__h1_parse() returned a length */
	uint8_t method;  /* per_method */
	uint8_t version; /* 10 or 11; a higher minor version counts as 11 (RFC 9110 section 2.5) */
	uint8_t target_form;
	uint8_t method_len;
	uint16_t method_off; /* 0, or 2 behind an empty line */
	uint16_t flags;      /* PER__H1_* */
	uint16_t target_off, target_len;
	/* of the target, without the query; len 0 for an authority-form or an absolute-form without path */
	uint16_t path_off, path_len;
	uint16_t query_off, query_len; /* query_off 0: there is no '?' */
	/* effective host: the authority of an absolute-form, else the Host field; off 0: none */
	uint16_t host_off, host_len;
	uint16_t field_cnt;
	uint16_t fields_cap;     /* entries of fields */
	uint64_t content_length; /* with PER__H1_HAS_LENGTH: 0 to INT64_MAX */
	struct per__field *fields;

	/* private: where the scan stands */
	uint8_t state;
	uint8_t notes; /* PER__H1_NOTE_* of h1_fields.h: what the fields said that counts only at the end */
	uint16_t pos;  /* next byte to look at */
	uint16_t mark; /* where the method or the version begins */
	uint16_t line_cnt; /* field lines so far, trailers that were dropped included */
};

/**
 * Prepares a head for its first byte. fields has fields_cap entries and must live as long as the head is
 * used.
 */
void per__h1_head_init(struct per__h1_head *head, struct per__field *fields, uint16_t fields_cap);

/*
 * What a parse says: a length above 0, PER__H1_MORE, or a negative status: -400 malformed, -414, -417 (an
 * expectation other than 100-continue), -431, -501 (an unknown transfer coding before chunked, a method
 * longer than any), -505 (another major version). After a length or a status the head is not parsed any
 * further: init it again.
 */
#define PER__H1_MORE 0

/**
 * Goes on with a head.
 *
 * buf, len  all bytes since the head's first one; those seen before must be unchanged (their address may
 *           differ)
 * returns   the length of the head in bytes, its last CRLF included; PER__H1_MORE; or a negative status
 * source    RFC 9112 sections 2.2, 3, 5, 6, 7.1, 9.3; RFC 9110 sections 5, 7.2, 10.1.1
 */
typedef int (*per__h1_parse_fn)(struct per__h1_head *head, const struct per__h1_limits *limits,
				const uint8_t *buf, size_t len);

int per__h1_parse_scalar(struct per__h1_head *head, const struct per__h1_limits *limits, const uint8_t *buf,
			 size_t len);

/**
 * The fastest parser this CPU can run (AVX2, SSE4.2, NEON or scalar) and its name. Asked once, at server
 * start.
 */
per__h1_parse_fn per__h1_parse_best(const char **name);

/** Every parser that this CPU can run, for tests and benchmarks: index 0 is scalar; NULL after the last. */
per__h1_parse_fn per__h1_parse_at(unsigned index, const char **name);

/**
 * Goes on with a trailer section (RFC 9112 section 7.1.2): fields up to an empty line, nothing else. Same
 * rules, same incremental behaviour; init with per__h1_trailers_init(). Only fields, field_cnt are results.
 * Fields that would change framing, routing, authentication or the meaning of the content are checked like
 * any other, then left out (RFC 9110 section 6.5.1). limits->target_bytes_max is not used.
 *
 * returns  the length in bytes with the last CRLF; PER__H1_MORE; -400 or -431
 */
void per__h1_trailers_init(struct per__h1_head *head, struct per__field *fields, uint16_t fields_cap);
int per__h1_parse_trailers(struct per__h1_head *head, const struct per__h1_limits *limits, const uint8_t *buf,
			   size_t len);

/** Is every byte of it a tchar, and is there one (RFC 9110 section 5.6.2)? */
bool per__is_token(const char *src, size_t len);

/**
 * May it be a field value: empty, or VCHAR, obs-text, SP, HTAB, without whitespace at either end (RFC 9110
 * section 5.5)?
 */
bool per__is_field_value(const char *src, size_t len);

/**
 * Is it uri-host [ ":" port ] (RFC 9110 section 7.2)? An empty one is, as the Host field of a target without
 * authority must be empty; a port behind an empty host and a port above 65,535 are not.
 */
bool per__is_host(const char *src, size_t len);

/** The method's number; PER_METHOD_OTHER for any other token. */
per_method per__method_from(const char *src, size_t len);

#endif
