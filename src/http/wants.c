/* SPDX-License-Identifier: MIT */
/*
 * wants.c - collects the fields that choose what is sent of a representation. Hot: called for each field of a
 * request, so names are told apart by their length first.
 */
#include "http/wants.h"
#include "http/h1_fields.h"

void per__wants_init(struct per__wants *wants)
{
	const per_str absent = { NULL, 0 };

	/* not the lines themselves: their number says which of them are there */
	wants->conditions.if_match.count = 0;
	wants->conditions.if_match.has_more = false;
	wants->conditions.if_none_match.count = 0;
	wants->conditions.if_none_match.has_more = false;
	wants->conditions.if_modified_since = absent;
	wants->conditions.if_unmodified_since = absent;
	wants->accept.count = 0;
	wants->accept.has_more = false;
	wants->accept_encoding.count = 0;
	wants->accept_encoding.has_more = false;
	wants->range = absent;
	wants->if_range = absent;
	wants->has_conditions = false;
}

static void single_take(per_str *field, per_str value)
{
	*field = field->ptr == NULL ? value : per_str_make("", 0);
}

/* Is name, of n (16 to 24) bytes, the lower-case text? Letters without case, as per__h1_equals(). */
static bool equals_long(per_str name, const char *lower, size_t n)
{
	const uint8_t *src = (const uint8_t *)name.ptr;

	return per__h1_equals(src, lower, 16) &&
	       (per__h1_word64(src + n - 8) | PER__H1_LOWER64) == per__h1_word64(lower + n - 8);
}

/* The fields that has_conditions speaks of. */
static bool condition_take(struct per__conditions *conditions, per_str name, per_str value)
{
	const uint8_t *src = (const uint8_t *)name.ptr;

	if (name.len == 8 && per__h1_equals(src, "if-match", 8))
		per__lines_add(&conditions->if_match, value);
	else if (name.len == 13 && per__h1_equals(src, "if-none-match", 13))
		per__lines_add(&conditions->if_none_match, value);
	else if (name.len == 17 && equals_long(name, "if-modified-since", 17))
		single_take(&conditions->if_modified_since, value);
	else if (name.len == 19 && equals_long(name, "if-unmodified-since", 19))
		single_take(&conditions->if_unmodified_since, value);
	else
		return false;
	return true;
}

void per__wants_take(struct per__wants *wants, per_str name, per_str value)
{
	const uint8_t *src = (const uint8_t *)name.ptr;

	switch (name.len) {
	case 5:
		if (per_str_equal_nocase(name, PER_S("range")))
			single_take(&wants->range, value);
		return;
	case 6:
		if ((per__h1_word32(src) | PER__H1_LOWER32) == per__h1_word32("acce") &&
		    (per__h1_word32(src + 2) | PER__H1_LOWER32) == per__h1_word32("cept"))
			per__lines_add(&wants->accept, value);
		return;
	case 15:
		if (per__h1_equals(src, "accept-encoding", 15))
			per__lines_add(&wants->accept_encoding, value);
		return;
	case 8:
		if (per__h1_equals(src, "if-range", 8)) {
			single_take(&wants->if_range, value);
			return;
		}
		break;
	case 13:
	case 17:
	case 19:
		break;
	default:
		return;
	}
	if (condition_take(&wants->conditions, name, value))
		wants->has_conditions = true;
}
