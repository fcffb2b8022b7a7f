/* SPDX-License-Identifier: MIT */
/*
 * path_fuzz.c - any bytes as a path: what comes out never leaves a root, and is what an independent, slower
 * decoding says.
 */
#include "http/path.h"

#include <peregrine/request.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The promises of path.h about a result. */
static void result_check(const struct per__path *path, const char *dst)
{
	const char *segment = dst;
	bool has_dotfile = false;

	PER_ASSERT(path->len < PER__PATH_CAP && strlen(dst) == path->len);
	PER_ASSERT(dst[0] != '/' && (path->len == 0 || dst[path->len - 1] != '/'));
	PER_ASSERT(strstr(dst, "//") == NULL && strchr(dst, '\\') == NULL);
	while (path->len > 0 && segment != NULL) {
		const size_t len = strcspn(segment, "/");

		PER_ASSERT(len > 0 && !(len == 1 && segment[0] == '.'));
		PER_ASSERT(!(len == 2 && segment[0] == '.' && segment[1] == '.'));
		if (segment[0] == '.' &&
		    !(segment == dst && len == 11 && memcmp(segment, ".well-known", 11) == 0))
			has_dotfile = true;
		PER_ASSERT(segment[len] != '\0' || segment == dst + path->name_off);
		segment = segment[len] == '/' ? segment + len + 1 : NULL;
	}
	PER_ASSERT(has_dotfile == path->has_dotfile);
	PER_ASSERT(path->ext_off == path->len ||
		   (path->ext_off >= path->name_off + 2u && dst[path->ext_off - 1] == '.' &&
		    strchr(dst + path->ext_off, '.') == NULL));
}

/* The decoded bytes, slashes dropped by hand, are the result. */
static void decoding_check(const struct per__path *path, const char *dst, per_str src)
{
	char *whole = malloc(src.len);
	int64_t len;
	size_t out = 0;

	PER_ASSERT(whole != NULL);
	len = per_percent_decode(whole, src.len, src, false);
	PER_ASSERT(len > 0);
	PER_ASSERT((whole[len - 1] == '/') == path->ends_in_slash);
	for (size_t i = 0; i < (size_t)len; i++) {
		if (whole[i] == '/' && (out == 0 || whole[out - 1] == '/'))
			continue;
		whole[out++] = whole[i];
	}
	if (out > 0 && whole[out - 1] == '/')
		out--;
	PER_ASSERT(out == path->len && memcmp(whole, dst, out) == 0);
	free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char dst[PER__PATH_CAP];
	struct per__path path, again;
	per_str src = per_str_make((const char *)data, PER_MIN(size, (size_t)16384));

	if (size == 0 || per__path_parse(&path, dst, sizeof(dst), src) != 0)
		return 0;
	result_check(&path, dst);
	decoding_check(&path, dst, src);
	PER_ASSERT(per__path_parse(&again, dst, (size_t)path.len + 1, src) == 0);
	PER_ASSERT(path.len == 0 || per__path_parse(&again, dst, path.len, src) == -414);
	return 0;
}
