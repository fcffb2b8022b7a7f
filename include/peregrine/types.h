/* SPDX-License-Identifier: MIT */
/*
 * types.h - the small types that every part of the public interface shares: strings, errors, version.
 */
#ifndef PEREGRINE_TYPES_H
#define PEREGRINE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PER_VERSION_MAJOR 0
#define PER_VERSION_MINOR 1
#define PER_VERSION_PATCH 0
#define PER_VERSION "0.1.0"

#if defined(__GNUC__)
#define PER_API __attribute__((visibility("default")))
#else
#define PER_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** A server: its listeners, its workers, its configuration. Made by per_server_new(). */
typedef struct per_server per_server;

/** One exchange: a request and its response. Lent to the handler; never freed by the application. */
typedef struct per_req per_req;

/**
 * A slice of bytes: not terminated by NUL, not owned. `ptr == NULL` says "absent", which is different
 * from "present and empty" (`ptr != NULL, len == 0`).
 */
typedef struct per_str {
	const char *ptr;
	size_t len; /* bytes */
} per_str;

/** A per_str from a string literal; its length is counted by the compiler. */
#define PER_S(literal) ((per_str){ "" literal, sizeof(literal) - 1 })

/** A per_str from a pointer and a length in bytes. */
static inline per_str per_str_make(const char *ptr, size_t len)
{
	per_str str = { ptr, len };
	return str;
}

/** A per_str from a C string; NULL gives the absent string. */
PER_API per_str per_str_from(const char *cstr);

/** Are a and b the same bytes? An absent string equals only an absent one. */
PER_API bool per_str_equal(per_str a, per_str b);

/** Are a and b the same, ASCII letters compared without case (RFC 9110 section 5.1)? */
PER_API bool per_str_equal_nocase(per_str a, per_str b);

/**
 * Everything that can go wrong. Functions return 0 or one of these, which are negative; per_strerror()
 * says them in words.
 */
#define PER_ERRORS(X)                                                                            \
	X(PER_EINVAL, 1, "invalid argument or configuration")                                    \
	X(PER_ENOMEM, 2, "out of memory, or above the memory budget")                            \
	X(PER_EAGAIN, 3, "not now: above the high-water mark, or a queue is full")               \
	X(PER_EGONE, 4, "the connection or the exchange has ended")                              \
	X(PER_ESTATE, 5, "called in the wrong state: already answered, not started, or running") \
	X(PER_EADDR, 6, "the address cannot be parsed or resolved")                              \
	X(PER_EADDRINUSE, 7, "the address is in use")                                            \
	X(PER_EACCES, 8, "permission denied")                                                    \
	X(PER_ENOTSUP, 9, "not supported by this build or this machine")                         \
	X(PER_ESYS, 10, "a system call failed; the log has the details")                         \
	X(PER_ETOOBIG, 11, "larger than a limit allows")                                         \
	X(PER_ETIMEDOUT, 12, "a timeout has passed")                                             \
	X(PER_EPROTO, 13, "the peer broke the protocol")                                         \
	X(PER_EMFILE, 14, "no file descriptor left")

enum per_error {
	PER_OK = 0,
#define X(name, number, text) name = -number,
	PER_ERRORS(X)
#undef X
};

/**
 * Says an error in words.
 *
 * error    0 or a negative PER_E*
 * returns  a static string, never NULL; "unknown error" for any other number
 * threads  any
 */
PER_API const char *per_strerror(int error);

/** The version of the library that is linked, "major.minor.patch". */
PER_API const char *per_version(void);

#ifdef __cplusplus
}
#endif

#endif
