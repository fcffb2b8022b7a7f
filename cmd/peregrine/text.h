/* SPDX-License-Identifier: MIT */
/*
 * text.h - a text that grows. Once memory was missing it stays failed, so that only its end has to be
 * checked.
 */
#ifndef CMD_PEREGRINE_TEXT_H
#define CMD_PEREGRINE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* All zero: empty. buf is the owner's to free. */
struct text {
	char *buf;
	size_t len, cap;
	bool is_failed;
};

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Room for so many bytes behind the text, until it is next used; NULL when there is none. */
char *text_reserve(struct text *text, size_t bytes);

/** That many of them were written. */
void text_commit(struct text *text, size_t bytes);

#endif
