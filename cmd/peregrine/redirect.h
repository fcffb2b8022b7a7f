/* SPDX-License-Identifier: MIT */
/*
 * redirect.h - requests that are sent elsewhere: the redirects of a host, and the one to https.
 */
#ifndef CMD_PEREGRINE_REDIRECT_H
#define CMD_PEREGRINE_REDIRECT_H

#include "config.h"

/* The rules of a host, sorted. Never changes. */
struct redirects {
	const struct config_redirect **exact;  /* by path */
	const struct config_redirect **prefix; /* longest first */
	size_t exact_count, prefix_count;
};

/**
 * Makes the rules of a host, which has to outlive them. Returns false when out of memory; redirects_free()
 * in any case.
 */
bool redirects_make(struct redirects *redirects, const struct config_host *host);
void redirects_free(struct redirects *redirects);

/** The rule for a path, as sent; NULL: there is none. A prefix ends where a segment of the path does. */
const struct config_redirect *redirects_find(const struct redirects *redirects, per_str path);

/** Answers with a rule that was found. Returns as per_reply(). */
int redirect_reply(const struct config_redirect *redirect, per_req *req);

/**
 * Answers with 308 (RFC 9110 section 15.4.9) to the same place by https.
 *
 * name     the host's own name, for a request without one; may be NULL
 * port     of the https listener, as text
 */
int redirect_to_https(per_req *req, const char *name, const char *port);

#endif
