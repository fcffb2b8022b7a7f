/* SPDX-License-Identifier: MIT */
/*
 * types.c - strings, errors and the version of the public interface. Pure; any thread.
 */
#include <peregrine/types.h>

#include <string.h>

per_str per_str_from(const char *cstr)
{
	return per_str_make(cstr, cstr != NULL ? strlen(cstr) : 0);
}

bool per_str_equal(per_str a, per_str b)
{
	if (a.ptr == NULL || b.ptr == NULL)
		return a.ptr == b.ptr;
	return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

bool per_str_equal_nocase(per_str a, per_str b)
{
	if (a.ptr == NULL || b.ptr == NULL)
		return a.ptr == b.ptr;
	if (a.len != b.len)
		return false;
	if (memcmp(a.ptr, b.ptr, a.len) == 0)
		return true; /* most names are sent as everybody writes them */
	for (size_t i = 0; i < a.len; i++) {
		if (lower(a.ptr[i]) != lower(b.ptr[i]))
			return false;
	}
	return true;
}

const char *per_strerror(int error)
{
	switch (error) {
	case PER_OK:
		return "no error";
#define X(name, number, text) \
	case name:            \
		return text;
		PER_ERRORS(X)
#undef X
	}
	return "unknown error";
}

const char *per_version(void)
{
	return PER_VERSION;
}
