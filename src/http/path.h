/* SPDX-License-Identifier: MIT */
/*
 * path.h - from the path of a request to the name of a file below a root: decoded once, checked, relative.
 * Pure: knows no file. Called by static files. Invariant: a result never leaves the root, whatever is there:
 * it has no empty segment, no "." or "..", no NUL, and does not begin with '/'.
 */
#ifndef PER_HTTP_PATH_H
#define PER_HTTP_PATH_H

#include "base/base.h"
#include <peregrine/types.h>

#define PER__PATH_CAP 4096u /* bytes with the NUL: Linux takes no longer name (PATH_MAX) */

/* What per__path_parse() found. Offsets count from the beginning of dst. */
struct per__path {
	uint16_t len;       /* bytes, without the NUL; 0: the root itself */
	uint16_t name_off;  /* where the last segment begins */
	uint16_t ext_off;   /* behind the last dot of the last segment; len when it has no extension */
	bool ends_in_slash; /* as sent: a folder is meant; dst has no such slash */
	bool is_canonical;  /* as sent: no empty segment was dropped */
	bool has_dotfile;   /* a segment begins with a dot, other than a first ".well-known" (RFC 8615) */
};

/**
 * Decodes and checks a path as it was sent, that is before percent-decoding and without its query.
 *
 * What clients resolve themselves before they send it (RFC 3986 section 6.2.2.3) and what no page links to is
 * refused rather than repaired, so that there is one reading only: "." and ".." as segments however encoded;
 * encoded slashes (they are data, not separators: RFC 3986 section 2.2, and no file name has one); NUL,
 * control characters and DEL; backslashes (separators elsewhere); a '%' without two digits; '?' and '#'. Any
 * other byte is a byte of the name; there is no second decoding and no character set.
 *
 * Empty segments are dropped: "//a///b" names the same file as "/a/b". Whoever redirects has to build the
 * target from the result, never from src: "//host/" is another host's address.
 *
 * dst, cap  where to; ended by a NUL; cap counts that NUL and is 1 to PER__PATH_CAP; may not overlap src
 * returns   0; -400 refused, or src does not begin with '/'; -414 when dst is too small
 * source    RFC 3986 sections 2.1 and 3.3, RFC 9110 section 4.2.3
 */
int per__path_parse(struct per__path *out, char *dst, size_t cap, per_str src);

/** Can any path lead to a file of that name? Not when per__path_parse() refuses a byte of it. */
bool per__path_name_is_reachable(const char *name);

/** The extension: what is behind the last dot of the last segment, empty when there is none. */
PER_INLINE per_str per__path_ext(const struct per__path *path, const char *dst)
{
	return per_str_make(dst + path->ext_off, (size_t)(path->len - path->ext_off));
}

#endif
