/* SPDX-License-Identifier: MIT */
/*
 * page.h - what the built-in pages look like: one self-contained HTML document, light or dark as the
 * reader likes it, without a script and without anything from elsewhere. The program's welcome page has
 * the same looks.
 */
#ifndef PER_SERVICES_PAGE_H
#define PER_SERVICES_PAGE_H

#include "base/text.h"

/* The fields of an answer with such a page: what it is, and that it needs nothing but itself. */
#define PER__PAGE_LINES                                 \
	"Content-Type: text/html; charset=utf-8\r\n"    \
	"Content-Security-Policy: default-src 'none'; " \
	"style-src 'unsafe-inline'; img-src data:\r\n"

/**
 * Adds everything up to the inside of <main>.
 *
 * title    any bytes; escaped here
 * style    more CSS, without anything from outside
 */
void per__page_begin(struct per__text *text, per_str title, per_str style);

/** Adds the falcon as a picture. */
void per__page_bird(struct per__text *text);

/** Adds everything from the end of <main>. */
void per__page_end(struct per__text *text);

#endif
