/* SPDX-License-Identifier: MIT */
/*
 * list.c - comma-separated lists in fields, and weights.
 */
#include "http/list.h"

#include <string.h>

void per__lines_add(struct per__lines *lines, per_str value)
{
	if (lines->count == PER__LINES_MAX)
		lines->has_more = true;
	else
		lines->at[lines->count++] = value;
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

per_str per__trim(per_str str)
{
	while (str.len > 0 && is_blank(str.ptr[0])) {
		str.ptr++;
		str.len--;
	}
	while (str.len > 0 && is_blank(str.ptr[str.len - 1]))
		str.len--;
	return str;
}

/* Where the part at the beginning of str ends. */
static size_t part_len(per_str str, char separator)
{
	bool is_quoted = false;
	size_t i = 0;

	for (; i < str.len && (is_quoted || str.ptr[i] != separator); i++) {
		if (str.ptr[i] == '"')
			is_quoted = !is_quoted;
		else if (is_quoted && str.ptr[i] == '\\' && i + 1 < str.len)
			i++; /* a quoted pair */
	}
	return i;
}

bool per__list_next(per_str *rest, char separator, per_str *part)
{
	size_t len;

	if (rest->ptr == NULL)
		return false;
	len = part_len(*rest, separator);
	*part = per__trim(per_str_make(rest->ptr, len));
	if (len < rest->len)
		*rest = per_str_make(rest->ptr + len + 1, rest->len - len - 1);
	else
		*rest = per_str_make(NULL, 0);
	return true;
}

/* qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ) */
static int qvalue_parse(per_str text)
{
	int value;

	if (text.len == 0 || text.len > 5 || (text.ptr[0] != '0' && text.ptr[0] != '1'))
		return -1;
	if (text.len > 1 && text.ptr[1] != '.')
		return -1;
	value = (text.ptr[0] - '0') * 1000;
	for (size_t i = 2, unit = 100; i < text.len; i++, unit /= 10) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return -1;
		value += (text.ptr[i] - '0') * (int)unit;
	}
	return value <= 1000 ? value : -1;
}

int per__weight_parse(per_str parameters)
{
	per_str part;

	while (per__list_next(&parameters, ';', &part)) {
		if (part.len >= 2 && (part.ptr[0] | 0x20) == 'q' && part.ptr[1] == '=')
			return qvalue_parse(per_str_make(part.ptr + 2, part.len - 2));
	}
	return 1000;
}
