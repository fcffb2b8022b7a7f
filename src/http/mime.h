/* SPDX-License-Identifier: MIT */
/*
 * mime.h - the media type that a file's extension says (RFC 9110 section 8.3). Pure: a table in read-only
 * memory.
 */
#ifndef PER_HTTP_MIME_H
#define PER_HTTP_MIME_H

#include <peregrine/types.h>

/**
 * The value of Content-Type for an extension: with a charset for types that are text.
 *
 * extension  without its dot; letters compared without case
 * returns    a string that lives for ever; absent for an unknown extension
 * source     Debian's database of media types, with what tools/mime_table.py adds to it
 */
per_str per__mime_type(per_str extension);

#endif
