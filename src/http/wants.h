/* SPDX-License-Identifier: MIT */
/*
 * wants.h - what a request for a representation says besides its path: conditions, a range, what the
 * client can read. Collected in one walk over the fields. Pure: keeps slices, judges nothing.
 */
#ifndef PER_HTTP_WANTS_H
#define PER_HTTP_WANTS_H

#include "http/conditional.h"

struct per__wants {
	struct per__conditions conditions;
	struct per__lines accept, accept_encoding;
	per_str range, if_range;
	bool has_conditions; /* one of conditions is there */
};

void per__wants_init(struct per__wants *wants);

/**
 * Takes a field, if it is one of those. A field that is no list but comes twice says nothing that can be
 * relied on (RFC 9110 section 5.3): it becomes empty, which its reader takes for malformed.
 *
 * name     a token: per__is_token()
 * value    has to live as long as wants
 */
void per__wants_take(struct per__wants *wants, per_str name, per_str value);

#endif
