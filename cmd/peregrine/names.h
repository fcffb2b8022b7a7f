/* SPDX-License-Identifier: MIT */
/*
 * names.h - which host a request is for, by the name that it asks for. A table that never changes.
 */
#ifndef CMD_PEREGRINE_NAMES_H
#define CMD_PEREGRINE_NAMES_H

#include "config.h"

/* One name; a wildcard stands without its "*". */
struct name {
	const char *text; /* lent by the configuration */
	size_t len;
	unsigned host;
};

struct names {
	struct name *exact, *wild; /* sorted */
	size_t exact_count, wild_count;
	unsigned fallback; /* the host for everybody else */
	bool is_tls;       /* names of handshakes */
};

/**
 * Makes the table of a configuration, which has to outlive it.
 *
 * is_tls   as TLS sees it: only hosts that have certificates, stars for one label (RFC 9525 section 6.3),
 *          and the first certificate for everybody else
 * returns  true, or false when out of memory; names_free() in any case
 */
bool names_make(struct names *names, const struct config *config, bool is_tls);
void names_free(struct names *names);

/**
 * Finds a host. Exact names come before wildcards, longer wildcards before shorter ones; "*.example.org" is
 * for every name that ends in ".example.org".
 *
 * host     as in a Host field, or for TLS as in a handshake: compared without case, without port (not for
 *          TLS) and without a dot at its end; absent: the fallback
 * returns  the index of a host
 */
unsigned names_find(const struct names *names, per_str host);

/** The part of a Host field that is no port; "[::1]" keeps its brackets. */
per_str names_without_port(per_str host);

#endif
