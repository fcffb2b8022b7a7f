/* SPDX-License-Identifier: MIT */
/*
 * uri.c - queries and percent-encoding (RFC 3986 section 2.1, the WHATWG form encoding for '+'). Pure: holds
 * no state, allocates nothing, and reads nothing but the slices it is given. Called by applications.
 */
#include <peregrine/request.h>

#include "base/num.h"
#include <string.h>

bool per_query_next(per_str *rest, per_str *name, per_str *value)
{
	while (rest->len > 0) {
		const char *begin = rest->ptr;
		const char *amp = memchr(begin, '&', rest->len);
		size_t len = amp != NULL ? (size_t)(amp - begin) : rest->len;
		const char *equals = memchr(begin, '=', len);

		rest->ptr += len + (amp != NULL);
		rest->len -= len + (amp != NULL);
		if (len == 0)
			continue;
		*name = per_str_make(begin, equals != NULL ? (size_t)(equals - begin) : len);
		*value = equals != NULL ? per_str_make(equals + 1, len - name->len - 1)
					: per_str_make(NULL, 0);
		return true;
	}
	return false;
}

per_str per_query_get(per_str query, per_str name)
{
	per_str found, value;

	while (per_query_next(&query, &found, &value)) {
		if (per_str_equal(found, name))
			return value;
	}
	return per_str_make(NULL, 0);
}

/* The byte that stands at src ("%41", "+", or itself), or -1; *used gets how many bytes it took. */
static int decode_one(const char *src, size_t len, bool plus_is_space, size_t *used)
{
	int high, low;

	*used = 1;
	if (src[0] == '+' && plus_is_space)
		return ' ';
	if (src[0] != '%')
		return (uint8_t)src[0];
	if (len < 3)
		return -1;
	high = per__num_hex_digit((uint8_t)src[1]);
	low = per__num_hex_digit((uint8_t)src[2]);
	*used = 3;
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

int64_t per_percent_decode(char *dst, size_t cap, per_str src, bool plus_is_space)
{
	size_t out = 0;
	size_t used;

	for (size_t i = 0; i < src.len; i += used) {
		int byte = decode_one(src.ptr + i, src.len - i, plus_is_space, &used);

		if (byte < 0)
			return PER_EINVAL;
		if (out == cap)
			return PER_ETOOBIG;
		dst[out++] = (char)byte; /* never ahead of i: dst may be src */
	}
	return (int64_t)out;
}
