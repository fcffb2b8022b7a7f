/* SPDX-License-Identifier: MIT */
/*
 * mime.c - from a file's extension to its media type: a binary search. Called when a file is looked up for
 * the first time, not for each request.
 */
#include "http/mime.h"

#include "base/base.h"
#include "http/mime_table.h"
#include <string.h>

per_str per__mime_type(per_str extension)
{
	char lower[MIME_EXTENSION_MAX + 1];
	size_t from = 0, to = PER_ARRAY_LEN(mime_extensions);

	if (extension.len == 0 || extension.len > MIME_EXTENSION_MAX)
		return (per_str){ NULL, 0 };
	for (size_t i = 0; i < extension.len; i++) {
		const char byte = extension.ptr[i];

		if (byte == '\0')
			return (per_str){ NULL, 0 };
		lower[i] = (char)(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
	}
	lower[extension.len] = '\0';
	while (from < to) {
		const size_t middle = from + (to - from) / 2;
		const int order = strcmp(lower, mime_extensions[middle].extension);

		if (order == 0)
			return per_str_from(mime_types[mime_extensions[middle].type]);
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return (per_str){ NULL, 0 };
}
