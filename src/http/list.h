/* SPDX-License-Identifier: MIT */
/*
 * list.h - comma-separated lists in fields (RFC 9110 section 5.6.1), which may come in several lines of one
 * name (section 5.3), and their elements' parameters. Pure.
 */
#ifndef PER_HTTP_LIST_H
#define PER_HTTP_LIST_H

#include "base/base.h"
#include <peregrine/types.h>

#define PER__LINES_MAX 4u /* lines of one name that count; more are not read */

/* The values of all lines of one list field, in the order sent. */
struct per__lines {
	per_str at[PER__LINES_MAX];
	uint8_t count;
	bool has_more; /* there were more than count */
};

void per__lines_add(struct per__lines *lines, per_str value);

/** Without the spaces and tabs around it (OWS, RFC 9110 section 5.6.3). */
per_str per__trim(per_str str);

/**
 * Takes what stands before the next separator off rest, trimmed; separators in quoted strings are hidden (RFC
 * 9110 section 5.6.4). Empty parts of a list are to be skipped by the caller (section 5.6.1.2).
 *
 * rest     in: what is left; out: what is left now, absent (ptr == NULL) after the last part
 * returns  false when rest was absent
 */
bool per__list_next(per_str *rest, char separator, per_str *part);

/**
 * Reads a weight (RFC 9110 section 12.4.2) from the parameters of an element.
 *
 * parameters  what stands behind the element's first ';', absent for none
 * returns     thousandths, 0 to 1000; 1000 without a q; -1 when it is malformed. Skips other parameters.
 */
int per__weight_parse(per_str parameters);

#endif
