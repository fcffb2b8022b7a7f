/* SPDX-License-Identifier: MIT */
/*
 * site.h - which answer a request gets. One site per server; read-only while the server runs.
 */
#ifndef CMD_PEREGRINE_SITE_H
#define CMD_PEREGRINE_SITE_H

#include "welcome.h"

struct site {
	struct welcome welcome;
};

/** The hooks that serve a site, for per_config.handler. site has to outlive the server. */
per_handler site_handler(struct site *site);

/** Prepares what depends on the server: to be called between per_server_new() and per_server_run(). */
void site_open(struct site *site, const per_server *server);

#endif
