/* SPDX-License-Identifier: MIT */
/*
 * access_line.h - one line of an access log: from what is known of a request to text. Pure: no clock, no
 * system call, no allocation. Called by access_log.c. Invariant: a line is ASCII without control bytes, and
 * ends in its only newline.
 */
#ifndef PER_SERVICES_ACCESS_LINE_H
#define PER_SERVICES_ACCESS_LINE_H

#include "base/addr.h"
#include "base/clock.h"
#include <peregrine/access_log.h>

/* Most bytes of text, escaped, that a client chooses; a longer one ends in "...". */
#define PER__ACCESS_TARGET_MAX 8320u /* a target of the default limit in one piece, with method and version */
#define PER__ACCESS_FIELD_MAX 2048u
#define PER__ACCESS_NAME_MAX 320u /* a method, a host */

#define PER__ACCESS_LINE_MAX 24576u

/* What a line tells. Absent and empty texts are both "missing". */
struct per__access_entry {
	int64_t wall_ms;
	const struct per__peer *peer;
	per_str line, host, method, target, referer, agent;
	const char *tls; /* "TLSv1.3", or NULL */
	int version;     /* 0, 10, 11 */
	int status;      /* 0: not answered */
	int error;       /* 0 or a negative PER_E* */
	bool is_whole;   /* the request line is complete: method, target and version are known */
	uint64_t bytes;
	int64_t duration_ns;
};

/* The text of the second that the last line was for. Zeroed at first. */
struct per__access_date {
	int64_t wall_s;
	bool is_set;
	char common[26];             /* "10/Oct/2000:13:55:36 +0000" */
	char iso[PER__DATE_ISO_LEN]; /* "2000-10-10T13:55:36" */
};

/**
 * Writes a line with its newline.
 *
 * dst      room for PER__ACCESS_LINE_MAX bytes
 * returns  its length in bytes
 */
size_t per__access_line(char *dst, per_access_format format, const struct per__access_entry *entry,
			struct per__access_date *date);

#endif
