/* SPDX-License-Identifier: MIT */
/*
 * wants.c - collects the fields that choose what is sent of a representation. Hot: called for each field of a
 * request, so names are told apart by their length first.
 */
#include "http/wants.h"

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

/* The fields that have_conditions speaks of. */
static void condition_take(struct per__wants *wants, per_str name, per_str value)
{
	struct per__conditions *conditions = &wants->conditions;

	if (per_str_equal_nocase(name, PER_S("if-none-match")))
		per__lines_add(&conditions->if_none_match, value);
	else if (per_str_equal_nocase(name, PER_S("if-match")))
		per__lines_add(&conditions->if_match, value);
	else if (per_str_equal_nocase(name, PER_S("if-modified-since")))
		single_take(&conditions->if_modified_since, value);
	else if (per_str_equal_nocase(name, PER_S("if-unmodified-since")))
		single_take(&conditions->if_unmodified_since, value);
	else
		return;
	wants->has_conditions = true;
}

void per__wants_take(struct per__wants *wants, per_str name, per_str value)
{
	switch (name.len) {
	case 5:
		if (per_str_equal_nocase(name, PER_S("range")))
			single_take(&wants->range, value);
		return;
	case 6:
		if (per_str_equal_nocase(name, PER_S("accept")))
			per__lines_add(&wants->accept, value);
		return;
	case 8:
		if (per_str_equal_nocase(name, PER_S("if-range")))
			single_take(&wants->if_range, value);
		else
			condition_take(wants, name, value);
		return;
	case 15:
		if (per_str_equal_nocase(name, PER_S("accept-encoding")))
			per__lines_add(&wants->accept_encoding, value);
		return;
	case 13:
	case 17:
	case 19:
		condition_take(wants, name, value);
		return;
	default:
		return;
	}
}
