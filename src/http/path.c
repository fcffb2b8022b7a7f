/* SPDX-License-Identifier: MIT */
/*
 * path.c - from the path of a request to the name of a file. Pure; one pass, each byte is looked at once.
 */
#include "http/path.h"
#include "base/num.h"

#include <string.h>

enum byte_class {
	ENDS_RUN = 1 << 0, /* cannot be copied just so: '/', '%', '?', '#', and what is refused */
	REFUSED = 1 << 1,  /* neither as it is nor encoded: controls, DEL, backslash */
};

/* Bits as in enum byte_class; a unit test tries every byte. */
static const uint8_t class_of[256] = {
	3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
	0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};

static const char well_known[] = ".well-known";

struct cursor {
	const char *src, *end;
	char *dst;   /* where the next byte goes */
	char *limit; /* the NUL's last possible place */
};

/* src is at a '%'. Returns the byte, or -1 when it is malformed or may not be in a name. */
static int escape_decode(const char *src, const char *end)
{
	int high, low, byte;

	if (end - src < 3)
		return -1;
	high = per__num_hex_digit((uint8_t)src[1]);
	low = per__num_hex_digit((uint8_t)src[2]);
	if (high < 0 || low < 0)
		return -1;
	byte = high << 4 | low;
	return byte == '/' || class_of[byte] & REFUSED ? -1 : byte;
}

/* Copies what means itself. Hot: in locals, for a store of a char could change what at points to. */
static void run_copy(struct cursor *at)
{
	const size_t room = (size_t)(at->limit - at->dst), left = (size_t)(at->end - at->src);
	const size_t most = PER_MIN(room, left);
	const char *src = at->src;
	char *dst = at->dst;
	size_t i = 0;

	for (; i < most && !(class_of[(uint8_t)src[i]] & ENDS_RUN); i++)
		dst[i] = src[i];
	at->src += i;
	at->dst += i;
}

/* Decodes up to the next slash or the end. Returns 0, -400 or -414. */
static int segment_decode(struct cursor *at)
{
	for (;;) {
		int byte;

		run_copy(at);
		if (at->src == at->end || *at->src == '/')
			return 0;
		if (!(class_of[(uint8_t)*at->src] & ENDS_RUN))
			return -414; /* what stopped the run is that there is no room */
		byte = *at->src == '%' ? escape_decode(at->src, at->end) : -1;
		if (byte < 0)
			return -400;
		if (at->dst == at->limit)
			return -414;
		*at->dst++ = (char)byte;
		at->src += 3;
	}
}

/* A segment that begins with a dot. Returns 0, or -400 for "." and "..". */
static int dotted_check(struct per__path *out, const char *segment, size_t len, bool is_first)
{
	if (len == 1 || (len == 2 && segment[1] == '.'))
		return -400;
	if (!is_first || len != sizeof(well_known) - 1 || memcmp(segment, well_known, len) != 0)
		out->has_dotfile = true;
	return 0;
}

/* Takes one segment, which is not empty, and what separates it from the one before. */
static int segment_take(struct per__path *out, struct cursor *at, const char *dst)
{
	const bool is_first = at->dst == dst;
	const char *segment;
	int err;

	if (!is_first) {
		if (at->dst == at->limit)
			return -414;
		*at->dst++ = '/';
	}
	segment = at->dst;
	err = segment_decode(at);
	if (err != 0)
		return err;
	out->name_off = (uint16_t)(segment - dst);
	return segment[0] == '.' ? dotted_check(out, segment, (size_t)(at->dst - segment), is_first) : 0;
}

/* ".bashrc" and "name." have no extension. */
static void extension_find(struct per__path *out, const char *dst)
{
	size_t i = out->len;

	out->ext_off = out->len;
	while (i > out->name_off && dst[i - 1] != '.')
		i--;
	if (i > out->name_off + 1u)
		out->ext_off = (uint16_t)i;
}

int per__path_parse(struct per__path *out, char *dst, size_t cap, per_str src)
{
	struct cursor at = { src.ptr, src.ptr + src.len, dst, dst + cap - 1 };

	PER_ASSERT(cap > 0 && cap <= PER__PATH_CAP);
	*out = (struct per__path){ .is_canonical = true };
	if (src.len == 0 || src.ptr[0] != '/')
		return -400;
	while (at.src < at.end) {
		at.src++; /* the slash before a segment */
		if (at.src == at.end) {
			out->ends_in_slash = true;
		} else if (*at.src == '/') {
			out->is_canonical = false;
		} else {
			const int err = segment_take(out, &at, dst);

			if (err != 0)
				return err;
		}
	}
	*at.dst = '\0';
	out->len = (uint16_t)(at.dst - dst);
	extension_find(out, dst);
	return 0;
}

bool per__path_name_is_reachable(const char *name)
{
	for (; *name != '\0'; name++) {
		if (class_of[(uint8_t)*name] & REFUSED)
			return false;
	}
	return true;
}
