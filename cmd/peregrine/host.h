/* SPDX-License-Identifier: MIT */
/*
 * host.h - one name, or several, with its files, redirects and fields. Made from its section of the
 * configuration; never changes.
 */
#ifndef CMD_PEREGRINE_HOST_H
#define CMD_PEREGRINE_HOST_H

#include "logger.h"
#include "redirect.h"
#include "welcome.h"

#include <peregrine/static.h>
#include <peregrine/tls.h>

struct host {
	const struct config_host *config;
	per_static *files; /* NULL: the host has none */
	struct redirects redirects;
	const char *name; /* the first that is no wildcard; NULL: there is none */
	char hsts[96];    /* value of Strict-Transport-Security (RFC 6797 section 6.1); "": none */
};

/**
 * Makes the host of a section.
 *
 * share    the part of the budgets of files that it gets: 1 / share
 * returns  true, or false after a line in the log; host_free() in any case
 */
bool host_make(struct host *host, const struct config *config, const struct config_host *section,
	       unsigned share, struct logger *logger);

/** Once no request will be given to it any more. Any thread. */
void host_free(struct host *host);

/** Answers a request. Returns as per_reply(). */
int host_answer(const struct host *host, per_req *req, const struct welcome *welcome);

#endif
