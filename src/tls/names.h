/* SPDX-License-Identifier: MIT */
/*
 * names.h - which number belongs to a host name: exact names, and wildcards for one left-most label. Knows
 * nothing of certificates. Filled before it is used; looking up takes the same time whatever it holds.
 */
#ifndef PER_TLS_NAMES_H
#define PER_TLS_NAMES_H

#include "base/base.h"

#define PER__TLS_NAME_MAX 253u /* bytes of a name without its last dot (RFC 1035 section 2.3.4) */
#define PER__TLS_NAME_NONE UINT32_MAX
#define PER__TLS_NAMES_MAX (1u << 20)

struct per__tls_name {
	char *text; /* lower case, not terminated; a wildcard begins with "*." */
	uint32_t hash;
	uint32_t value;
	uint8_t len;
};

struct per__tls_names {
	struct per__tls_name *slots; /* a power of two, at most half of them in use; text NULL: free */
	uint32_t cap, cnt;
};

/**
 * Reads a name as a configuration or a certificate has it: a host name, or "*." and a host name (RFC 9525
 * section 6.3). Upper case and one dot at the end are forgiven; addresses and bytes above ASCII are not.
 *
 * dst      receives it in lower case, terminated
 * why      receives what is wrong with it
 * returns  its length, or PER_EINVAL
 */
int per__tls_name_read(char dst[PER__TLS_NAME_MAX + 1], const char *src, size_t len, const char **why);

/**
 * The value of a name from per__tls_name_read(); a name that is new begins with PER__TLS_NAME_NONE. Valid
 * until the next put.
 *
 * returns  NULL when there is no memory, or PER__TLS_NAMES_MAX names
 */
uint32_t *per__tls_names_put(struct per__tls_names *names, const char *name, size_t len);

/**
 * Looks up a name as a client sends it (RFC 6066 section 3): exact before wildcard. Anything may be asked.
 *
 * returns  the value, or PER__TLS_NAME_NONE
 */
uint32_t per__tls_names_find(const struct per__tls_names *names, const char *name, size_t len);

/**
 * The name in a server_name extension (RFC 6066 section 3).
 *
 * name, name_len  receive a slice of ext
 * returns         false when there is none, or the extension is malformed: OpenSSL refuses that later
 */
bool per__tls_name_extract(const uint8_t *ext, size_t len, const char **name, size_t *name_len);

/** A number for a name as a client sends it; upper case and a dot at the end make no difference. */
uint64_t per__tls_name_number(const char *name, size_t len);

/** Safe on a zeroed table. */
void per__tls_names_free(struct per__tls_names *names);

#endif
