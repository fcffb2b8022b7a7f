/* SPDX-License-Identifier: MIT */
/*
 * conditional.h - conditional requests (RFC 9110 section 13): what the preconditions of a request say about a
 * representation. Pure. Called for requests that would be answered with 2xx without them (section 13.2.1).
 */
#ifndef PER_HTTP_CONDITIONAL_H
#define PER_HTTP_CONDITIONAL_H

#include "http/list.h"

/* The values of the fields of a request; absent (no lines, ptr == NULL) where there is no such field. */
struct per__conditions {
	struct per__lines if_match, if_none_match;
	per_str if_modified_since, if_unmodified_since;
};

/* What the selected representation would be sent with (section 8.8). */
struct per__validators {
	per_str etag;          /* as sent: "\"...\"" or "W/\"...\""; absent: none */
	per_str last_modified; /* modified_s as an IMF-fixdate; absent: none, and modified_s does not count */
	int64_t modified_s;    /* since 1970 */
};

enum per__verdict {
	PER__PROCEED = 200,
	PER__NOT_MODIFIED = 304,
	PER__PRECONDITION_FAILED = 412,
};

/**
 * Evaluates the preconditions in the order of section 13.2.2. The representation exists, so "*" matches it.
 * A date that cannot be read is no condition (sections 13.1.3, 13.1.4); a tag that cannot be read matches
 * nothing, nor does what follows it in its line.
 *
 * is_safe  the method is GET or HEAD
 * now_s    the present, since 1970: for dates with a year of two digits
 */
enum per__verdict per__conditional_judge(const struct per__conditions *conditions,
					 const struct per__validators *validators, bool is_safe,
					 int64_t now_s);

/**
 * Does a Range count that came with this If-Range (section 13.1.5)? By strong comparison of tags; by dates
 * only when the very date is sent, and the representation has been as it is for a second or more (a change
 * within the same second would not show: section 8.8.2.2).
 *
 * if_range  absent: true
 */
bool per__if_range_holds(per_str if_range, const struct per__validators *validators, int64_t now_s);

/** Is it an entity-tag (section 8.8.3)? */
bool per__etag_is_valid(per_str etag);

/** Is one of a list of entity-tags, or "*", the etag? is_weak: compared as section 8.8.3.2 says. */
bool per__etag_list_matches(per_str list, per_str etag, bool is_weak);

#endif
