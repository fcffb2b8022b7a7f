/* SPDX-License-Identifier: MIT */
/*
 * escape.h - bytes that anybody may have chosen (names of files, say) as text in HTML, in JSON and in
 * addresses. Pure. Invariant: what is added means itself there and nothing else, whatever the bytes are.
 */
#ifndef PER_HTTP_ESCAPE_H
#define PER_HTTP_ESCAPE_H

#include "base/text.h"

/**
 * Adds text for HTML, between tags or in a quoted attribute. What cannot be shown or would change how its
 * neighbours are shown becomes U+FFFD: bytes that are no UTF-8, controls, marks that turn the direction of
 * writing.
 */
void per__escape_html(struct per__text *text, per_str str);

/** Adds the inside of a JSON string (RFC 8259 section 7). Bytes that are no UTF-8 become U+FFFD. */
void per__escape_json(struct per__text *text, per_str str);

/**
 * Adds one segment of a path (RFC 3986 section 3.3), any byte of it: everything is percent-encoded that is
 * not unreserved or of "!$()*+,;=@". So it holds no character of HTML or JSON either, and no ':' that
 * could make a scheme of it. "." and ".." stay what they are.
 */
void per__escape_segment(struct per__text *text, per_str str);

#endif
