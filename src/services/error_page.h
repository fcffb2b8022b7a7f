/* SPDX-License-Identifier: MIT */
/*
 * error_page.h - the body of an answer that is an error, in the form that the client reads: a page for a
 * browser, an object for a program that asked for JSON, else a line of text.
 */
#ifndef PER_SERVICES_ERROR_PAGE_H
#define PER_SERVICES_ERROR_PAGE_H

#include "base/text.h"
#include "http/accept.h"

#define PER__ERROR_PAGE_BYTES_MAX 4096u /* enough for every status and form */

/**
 * Adds the body.
 *
 * status   100 to 999; one without a known reason is called "Error"
 * returns  the field lines of that form: Content-Type, and for a page what it may load
 */
per_str per__error_page(struct per__text *text, int status, enum per__media media);

#endif
