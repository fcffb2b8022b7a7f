/* SPDX-License-Identifier: MIT */
/*
 * uri_fuzz.c - queries and percent-decoding: slices stay inside the input, decoding in place changes nothing.
 */
#include "base/base.h"

#include <peregrine/request.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(per_str part, per_str whole)
{
	PER_ASSERT(part.ptr >= whole.ptr && part.len <= whole.len);
	PER_ASSERT((size_t)(part.ptr - whole.ptr) <= whole.len - part.len);
}

static void check_query(per_str query)
{
	per_str rest = query, name, value;
	size_t pairs = 0;

	while (per_query_next(&rest, &name, &value)) {
		per_str found = per_query_get(query, name);

		check_inside(name, query);
		PER_ASSERT(name.len + value.len + (value.ptr != NULL) > 0);
		PER_ASSERT(memchr(name.ptr, '&', name.len) == NULL &&
			   memchr(name.ptr, '=', name.len) == NULL);
		if (value.ptr != NULL) {
			check_inside(value, query);
			PER_ASSERT(memchr(value.ptr, '&', value.len) == NULL);
		}
		PER_ASSERT(pairs > 0 || per_str_equal(found, value));
		PER_ASSERT(++pairs <= query.len);
	}
	PER_ASSERT(rest.len == 0);
}

static void check_decode(per_str src, bool plus_is_space)
{
	char *apart = malloc(src.len + 1);
	char *place = malloc(src.len + 1);
	int64_t len;

	PER_ASSERT(apart != NULL && place != NULL);
	memcpy(place, src.ptr, src.len);
	len = per_percent_decode(apart, src.len, src, plus_is_space);
	PER_ASSERT(len == PER_EINVAL || (len >= 0 && (size_t)len <= src.len));
	PER_ASSERT(per_percent_decode(place, src.len, per_str_make(place, src.len), plus_is_space) == len);
	if (len > 0) {
		PER_ASSERT(memcmp(apart, place, (size_t)len) == 0);
		PER_ASSERT(per_percent_decode(apart, (size_t)len - 1, src, plus_is_space) == PER_ETOOBIG);
	}
	free(apart);
	free(place);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	per_str input = per_str_make((const char *)data, PER_MIN(size, (size_t)4096));

	if (input.ptr == NULL)
		return 0;
	check_query(input);
	check_decode(input, false);
	check_decode(input, true);
	return 0;
}
