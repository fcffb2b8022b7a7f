/* SPDX-License-Identifier: MIT */
/*
 * text.h - text that is put together in memory of a fixed size. What does not fit is counted, not written:
 * with no memory at all it measures. Invariant: nothing is written at or behind ptr + cap.
 */
#ifndef PER_BASE_TEXT_H
#define PER_BASE_TEXT_H

#include "base/base.h"
#include <peregrine/types.h>

struct per__text {
	char *ptr;  /* not ended by a NUL; NULL with a cap of 0: only measures */
	size_t cap; /* bytes */
	size_t len; /* bytes added so far, also those that did not fit */
};

PER_INLINE struct per__text per__text_make(char *ptr, size_t cap)
{
	return (struct per__text){ ptr, cap, 0 };
}

/** Is everything there that was added? */
PER_INLINE bool per__text_fits(const struct per__text *text)
{
	return text->len <= text->cap;
}

PER_INLINE void per__text_byte(struct per__text *text, char byte)
{
	if (text->len < text->cap)
		text->ptr[text->len] = byte;
	text->len++;
}

/** Adds bytes; when they do not fit whole, as many as fit. */
void per__text_add(struct per__text *text, per_str str);

/** Adds a number in decimal. */
void per__text_number(struct per__text *text, uint64_t number);

/** Adds a number in decimal, with zeros in front up to that many digits (at most PER__NUM_DEC_MAX). */
void per__text_digits(struct per__text *text, uint64_t number, size_t digits);

#endif
