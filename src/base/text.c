/* SPDX-License-Identifier: MIT */
/*
 * text.c - text that is put together in memory of a fixed size.
 */
#include "base/text.h"
#include "base/num.h"

#include <string.h>

void per__text_add(struct per__text *text, per_str str)
{
	if (text->len < text->cap && str.len > 0)
		memcpy(text->ptr + text->len, str.ptr, PER_MIN(str.len, text->cap - text->len));
	text->len += str.len;
}

void per__text_number(struct per__text *text, uint64_t number)
{
	char digits[PER__NUM_DEC_MAX];

	per__text_add(text, per_str_make(digits, per__num_to_dec(digits, number)));
}

void per__text_digits(struct per__text *text, uint64_t number, size_t digits)
{
	char found[PER__NUM_DEC_MAX];
	const size_t len = per__num_to_dec(found, number);

	PER_ASSERT(digits <= PER__NUM_DEC_MAX);
	for (size_t i = len; i < digits; i++)
		per__text_byte(text, '0');
	per__text_add(text, per_str_make(found, len));
}
