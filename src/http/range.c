/* SPDX-License-Identifier: MIT */
/*
 * range.c - ranges of bytes: the field that asks for them, the text around those that are sent. Pure.
 */
#include "http/range.h"
#include "http/list.h"

#include <string.h>

/* --- parsing ---------------------------------------------------------------------------------- */

enum spec {
	SPEC_BAD,     /* breaks the grammar */
	SPEC_OUTSIDE, /* asks for nothing that is there */
	SPEC_EMPTY,   /* a suffix of nothing */
	SPEC_FOUND,
};

/* 1*DIGIT, any number of them: what is above INT64_MAX becomes it, for no size reaches that. */
static bool position_parse(per_str text, uint64_t *out)
{
	const uint64_t most = INT64_MAX;
	uint64_t value = 0;

	for (size_t i = 0; i < text.len; i++) {
		const unsigned digit = (unsigned)(uint8_t)text.ptr[i] - '0';

		if (digit > 9)
			return false;
		value = value > (most - digit) / 10 ? most : value * 10 + digit;
	}
	*out = value;
	return text.len > 0;
}

/* "-500": the last 500 bytes, or all of them when there are fewer (section 14.1.2). */
static enum spec suffix_parse(per_str length, uint64_t size, struct per__range *out)
{
	uint64_t bytes;

	if (!position_parse(length, &bytes))
		return SPEC_BAD;
	if (bytes == 0)
		return SPEC_OUTSIDE;
	if (size == 0)
		return SPEC_EMPTY;
	*out = (struct per__range){ size - PER_MIN(bytes, size), size - 1 };
	return SPEC_FOUND;
}

/* "0-499", "500-", "-500" (section 14.1.1). */
static enum spec spec_parse(per_str text, uint64_t size, struct per__range *out)
{
	const char *dash = memchr(text.ptr, '-', text.len);
	uint64_t first, last = INT64_MAX;
	per_str before, behind;

	if (dash == NULL)
		return SPEC_BAD;
	before = per_str_make(text.ptr, (size_t)(dash - text.ptr));
	behind = per_str_make(dash + 1, text.len - before.len - 1);
	if (before.len == 0)
		return suffix_parse(behind, size, out);
	if (!position_parse(before, &first) || (behind.len > 0 && !position_parse(behind, &last)))
		return SPEC_BAD;
	if (last < first)
		return SPEC_BAD;
	if (first >= size)
		return SPEC_OUTSIDE;
	*out = (struct per__range){ first, PER_MIN(last, size - 1) };
	return SPEC_FOUND;
}

/* Neither has a byte between them that belongs to none. Positions are below INT64_MAX, so +1 is no wrap. */
static bool ranges_touch(const struct per__range *a, const struct per__range *b)
{
	return a->first <= b->last + 1 && b->first <= a->last + 1;
}

/*
 * Joins one range to those that it touches; the joint one stands where the first of them stood. One pass is
 * enough: what touches neither the range nor one that it has taken in does not touch both together.
 */
static void range_add(struct per__ranges *out, struct per__range range)
{
	uint32_t place = out->count;
	uint32_t i = 0;

	while (i < out->count) {
		if (!ranges_touch(&out->at[i], &range)) {
			i++;
			continue;
		}
		range.first = PER_MIN(range.first, out->at[i].first);
		range.last = PER_MAX(range.last, out->at[i].last);
		place = PER_MIN(place, i);
		out->count--;
		memmove(&out->at[i], &out->at[i + 1], (out->count - i) * sizeof(out->at[0]));
	}
	place = PER_MIN(place, out->count);
	memmove(&out->at[place + 1], &out->at[place], (out->count - place) * sizeof(out->at[0]));
	out->at[place] = range;
	out->count++;
}

/* Takes the unit and the '=' off. Units are compared without case (section 14.1). */
static bool unit_is_bytes(per_str *value)
{
	if (value->len < 6 || !per_str_equal_nocase(per_str_make(value->ptr, 6), PER_S("bytes=")))
		return false;
	*value = per_str_make(value->ptr + 6, value->len - 6);
	return true;
}

enum per__range_result per__range_parse(struct per__ranges *out, per_str value, uint64_t size)
{
	bool has_empty = false;
	uint32_t count = 0;
	struct per__range range;
	per_str part;

	PER_ASSERT(size <= INT64_MAX);
	out->count = 0;
	if (!unit_is_bytes(&value))
		return PER__RANGE_WHOLE;
	while (per__list_next(&value, ',', &part)) {
		enum spec spec;

		if (part.len == 0)
			continue;
		if (count++ == PER__RANGES_MAX)
			return PER__RANGE_WHOLE;
		spec = spec_parse(part, size, &range);
		if (spec == SPEC_BAD)
			return PER__RANGE_WHOLE;
		if (spec == SPEC_FOUND)
			range_add(out, range);
		has_empty = has_empty || spec == SPEC_EMPTY;
	}
	if (count == 0 || has_empty)
		return PER__RANGE_WHOLE;
	return out->count > 0 ? PER__RANGE_PART : PER__RANGE_OUTSIDE;
}

/* --- text ------------------------------------------------------------------------------------- */

void per__range_value(struct per__text *text, const struct per__range *range, uint64_t size)
{
	per__text_add(text, PER_S("bytes "));
	per__text_number(text, range->first);
	per__text_byte(text, '-');
	per__text_number(text, range->last);
	per__text_byte(text, '/');
	per__text_number(text, size);
}

void per__range_outside_value(struct per__text *text, uint64_t size)
{
	per__text_add(text, PER_S("bytes */"));
	per__text_number(text, size);
}

void per__multipart_head(struct per__text *text, const struct per__multipart *multipart,
			 const struct per__ranges *ranges, uint32_t index)
{
	PER_ASSERT(index < ranges->count);
	/* The line end before a delimiter belongs to it (RFC 2046 section 5.1.1); the first needs none. */
	per__text_add(text, index > 0 ? PER_S("\r\n--") : PER_S("--"));
	per__text_add(text, multipart->boundary);
	if (multipart->content_type.ptr != NULL) {
		per__text_add(text, PER_S("\r\nContent-Type: "));
		per__text_add(text, multipart->content_type);
	}
	per__text_add(text, PER_S("\r\nContent-Range: "));
	per__range_value(text, &ranges->at[index], multipart->size);
	per__text_add(text, PER_S("\r\n\r\n"));
}

void per__multipart_end(struct per__text *text, const struct per__multipart *multipart)
{
	per__text_add(text, PER_S("\r\n--"));
	per__text_add(text, multipart->boundary);
	per__text_add(text, PER_S("--\r\n"));
}

uint64_t per__multipart_bytes(const struct per__multipart *multipart, const struct per__ranges *ranges)
{
	struct per__text text = per__text_make(NULL, 0);
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < ranges->count; i++) {
		per__multipart_head(&text, multipart, ranges, i);
		bytes += per__range_bytes(&ranges->at[i]);
	}
	per__multipart_end(&text, multipart);
	return bytes + text.len;
}

void per__multipart_type(struct per__text *text, const struct per__multipart *multipart)
{
	per__text_add(text, PER_S("multipart/byteranges; boundary="));
	per__text_add(text, multipart->boundary);
}
