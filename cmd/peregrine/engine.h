/* SPDX-License-Identifier: MIT */
/*
 * engine.h - from a configuration to what the library is told: listeners, limits, TLS. And what of it
 * cannot be changed while the server runs.
 */
#ifndef CMD_PEREGRINE_ENGINE_H
#define CMD_PEREGRINE_ENGINE_H

#include "activation.h"
#include "config.h"
#include "logger.h"

#include <peregrine/tls.h>

/* What a per_config points to. Not to be moved. */
struct engine {
	per_config config;
	per_listen listen[CONFIG_LISTEN_MAX];
	char fds[CONFIG_LISTEN_MAX][16]; /* "fd:3", of sockets that were passed */
	char *proxies;
	per_tls_config tls;
	per_tls_cert *certs;
	char **cert_names; /* as many as certs */
};

/**
 * Makes what the library is told; handler and log are the caller's to set.
 *
 * config   has to outlive it
 * returns  true, or false after a line in the log; engine_free() in any case
 */
bool engine_make(struct engine *engine, const struct config *config, const struct activation *activation,
		 struct logger *logger);
void engine_free(struct engine *engine);

/**
 * Only its TLS, for a check: engine.tls, with no certificates when the configuration has none. The same
 * otherwise.
 */
bool engine_make_tls(struct engine *engine, const struct config *config);

/** What a server that runs can take of another configuration: its TLS, and what per_server_reload() uses. */
bool engine_make_again(struct engine *engine, const struct config *config);

/** Calls fn with the name of everything in which two configurations differ, and which needs a new process. */
void engine_compare(const struct config *a, const struct config *b, void (*fn)(const char *what, void *user),
		    void *user);

#endif
