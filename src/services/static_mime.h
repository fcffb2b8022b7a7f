/* SPDX-License-Identifier: MIT */
/*
 * static_mime.h - a few media types, until http/mime.h has all of them.
 */
#ifndef PER_SERVICES_STATIC_MIME_H
#define PER_SERVICES_STATIC_MIME_H

#include <peregrine/types.h>

static inline per_str per__mime_type(per_str extension)
{
	static const char *const types[][2] = {
		{ "html", "text/html; charset=utf-8" },
		{ "css", "text/css; charset=utf-8" },
		{ "js", "text/javascript; charset=utf-8" },
		{ "txt", "text/plain; charset=utf-8" },
		{ "json", "application/json" },
		{ "svg", "image/svg+xml" },
		{ "png", "image/png" },
		{ "jpg", "image/jpeg" },
		{ "xml", "application/xml; charset=utf-8" },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (per_str_equal_nocase(extension, per_str_from(types[i][0])))
			return per_str_from(types[i][1]);
	}
	return (per_str){ NULL, 0 };
}

#endif
