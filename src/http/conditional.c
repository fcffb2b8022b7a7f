/* SPDX-License-Identifier: MIT */
/*
 * conditional.c - preconditions of requests against the validators of a representation. Pure.
 */
#include "http/conditional.h"
#include "base/clock.h"

#include <string.h>

/* --- entity-tags ------------------------------------------------------------------------------ */

/* "W/" has a capital letter (section 8.8.3). */
static bool etag_is_weak(per_str etag)
{
	return etag.len >= 2 && etag.ptr[0] == 'W' && etag.ptr[1] == '/';
}

static per_str opaque_of(per_str etag)
{
	return etag_is_weak(etag) ? per_str_make(etag.ptr + 2, etag.len - 2) : etag;
}

static bool bytes_equal(per_str a, per_str b)
{
	return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

/* Section 8.8.3.2. */
static bool etags_match(per_str a, per_str b, bool is_weak)
{
	if (is_weak)
		return bytes_equal(opaque_of(a), opaque_of(b));
	return !etag_is_weak(a) && bytes_equal(a, b);
}

bool per__etag_is_valid(per_str etag)
{
	const per_str opaque = opaque_of(etag);

	if (opaque.len < 2 || opaque.ptr[0] != '"' || opaque.ptr[opaque.len - 1] != '"')
		return false;
	for (size_t i = 1; i < opaque.len - 1; i++) {
		const uint8_t byte = (uint8_t)opaque.ptr[i];

		if (byte < 0x21 || byte == '"' || byte == 0x7f)
			return false;
	}
	return true;
}

/*
 * Takes the next entity-tag off a list. Commas may be in tags, and a backslash is nothing special there, so
 * this is no list of list.h. What is in the quotes is not judged: only the same bytes match. False at the end
 * and where no tag can be read.
 */
static bool etag_next(per_str *rest, per_str *etag)
{
	const char *begin = rest->ptr, *end = rest->ptr + rest->len;
	const char *open, *close;

	while (begin < end && (*begin == ',' || *begin == ' ' || *begin == '\t'))
		begin++;
	open = begin + (etag_is_weak(per_str_make(begin, (size_t)(end - begin))) ? 2 : 0);
	if (open == end || *open != '"')
		return false;
	close = memchr(open + 1, '"', (size_t)(end - open) - 1);
	if (close == NULL)
		return false;
	*etag = per_str_make(begin, (size_t)(close + 1 - begin));
	*rest = per_str_make(close + 1, (size_t)(end - close) - 1);
	return true;
}

/* Behind a tag comes a comma or the end. */
static bool etag_is_ended(per_str rest)
{
	rest = per__trim(rest);
	return rest.len == 0 || rest.ptr[0] == ',';
}

bool per__etag_list_matches(per_str list, per_str etag, bool is_weak)
{
	per_str found;

	list = per__trim(list);
	if (list.len == 1 && list.ptr[0] == '*')
		return true;
	if (etag.ptr == NULL || list.len == 0)
		return false;
	if (bytes_equal(list, etag)) /* what a browser sends */
		return is_weak || !etag_is_weak(etag);
	while (etag_next(&list, &found) && etag_is_ended(list)) {
		if (etags_match(found, etag, is_weak))
			return true;
	}
	return false;
}

static bool lines_match(const struct per__lines *lines, per_str etag, bool is_weak)
{
	for (unsigned i = 0; i < lines->count; i++) {
		if (per__etag_list_matches(lines->at[i], etag, is_weak))
			return true;
	}
	return false;
}

/* --- dates ------------------------------------------------------------------------------------ */

/*
 * Reads the date that the representation is compared with. False when there is no such condition: no
 * field, no date in it, or nothing to compare. Most clients send our own date back, which needs no
 * parsing.
 */
static bool date_get(per_str field, const struct per__validators *validators, int64_t now_s, int64_t *out)
{
	if (field.ptr == NULL || validators->last_modified.ptr == NULL)
		return false;
	if (bytes_equal(field, validators->last_modified)) {
		*out = validators->modified_s;
		return true;
	}
	return per__date_parse(field.ptr, field.len, now_s, out);
}

/* --- preconditions ---------------------------------------------------------------------------- */

/* Steps 1 and 2 of section 13.2.2: the state that a change was made for is still there. */
static bool is_unchanged(const struct per__conditions *conditions, const struct per__validators *validators,
			 int64_t now_s)
{
	int64_t since;

	if (conditions->if_match.count > 0)
		return lines_match(&conditions->if_match, validators->etag, false);
	if (date_get(conditions->if_unmodified_since, validators, now_s, &since))
		return validators->modified_s <= since;
	return true;
}

enum per__verdict per__conditional_judge(const struct per__conditions *conditions,
					 const struct per__validators *validators, bool is_safe,
					 int64_t now_s)
{
	int64_t since;

	if (!is_unchanged(conditions, validators, now_s))
		return PER__PRECONDITION_FAILED;
	/* step 3 */
	if (conditions->if_none_match.count > 0) {
		if (!lines_match(&conditions->if_none_match, validators->etag, true))
			return PER__PROCEED;
		return is_safe ? PER__NOT_MODIFIED : PER__PRECONDITION_FAILED;
	}
	/* step 4 */
	if (is_safe && date_get(conditions->if_modified_since, validators, now_s, &since) &&
	    validators->modified_s <= since)
		return PER__NOT_MODIFIED;
	return PER__PROCEED;
}

bool per__if_range_holds(per_str if_range, const struct per__validators *validators, int64_t now_s)
{
	if (if_range.ptr == NULL)
		return true;
	if (per__etag_is_valid(if_range))
		return validators->etag.ptr != NULL && etags_match(if_range, validators->etag, false);
	return validators->last_modified.ptr != NULL && bytes_equal(if_range, validators->last_modified) &&
	       validators->modified_s < now_s;
}
