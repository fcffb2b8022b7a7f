/* SPDX-License-Identifier: MIT */
/*
 * text.c - a text that grows. Used where a few kilobytes are put together once in a while; never for files.
 */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

char *text_reserve(struct text *text, size_t bytes)
{
	size_t cap = text->cap > 0 ? text->cap : 1024;
	char *grown;

	if (text->is_failed)
		return NULL;
	while (cap - text->len < bytes)
		cap *= 2;
	if (cap != text->cap) {
		grown = realloc(text->buf, cap);
		if (grown == NULL) {
			text->is_failed = true;
			return NULL;
		}
		text->buf = grown;
		text->cap = cap;
	}
	return text->buf + text->len;
}

void text_commit(struct text *text, size_t bytes)
{
	text->len += bytes;
}

void text_add(struct text *text, const char *format, ...)
{
	va_list args, again;
	char *room;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	room = len >= 0 ? text_reserve(text, (size_t)len + 1) : NULL;
	if (room != NULL) {
		(void)vsnprintf(room, (size_t)len + 1, format, again);
		text->len += (size_t)len;
	}
	va_end(again);
	va_end(args);
}
