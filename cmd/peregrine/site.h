/* SPDX-License-Identifier: MIT */
/*
 * site.h - everything that answers requests, made from one configuration. A reload makes a new one; no part
 * of it ever changes, so all workers may read it.
 */
#ifndef CMD_PEREGRINE_SITE_H
#define CMD_PEREGRINE_SITE_H

#include "host.h"
#include "names.h"

struct site {
	const struct config *config;
	const struct welcome *welcome;
	struct names names;
	struct names tls_names; /* which host's certificates a handshake has got */
	bool needs_clients;     /* some host answers only clients whose certificate was verified */
	bool is_asked_alike;    /* on every host the same is asked of clients */
	struct host *hosts;
	unsigned host_count;
	per_str health; /* path of the health check; absent: none */
};

/**
 * Makes a site.
 *
 * config, welcome  have to outlive it
 * returns          NULL after a line in the log
 */
struct site *site_new(const struct config *config, const struct welcome *welcome, struct logger *logger);

/** Once no worker will give it a request any more. NULL is allowed. Any thread. */
void site_free(struct site *site);

/** Answers a request. Returns as per_reply(). */
int site_answer(const struct site *site, per_req *req);

#endif
