/* SPDX-License-Identifier: MIT */
/*
 * options.h - the command line: what it asks for, in words that config.h understands. Checks the form only;
 * starts nothing.
 */
#ifndef CMD_PEREGRINE_OPTIONS_H
#define CMD_PEREGRINE_OPTIONS_H

#include "activation.h"
#include "config.h"

#define OPTIONS_LISTEN_MAX 16u

enum action { ACTION_SERVE, ACTION_CHECK, ACTION_DUMP, ACTION_PROBE, ACTION_VERSION, ACTION_HELP };

/* A NULL, a false: not given. */
struct options {
	enum action action;
	bool is_verbose, is_quiet, is_welcome, is_pinned;
	const char *root, *config;
	const char *host, *port;
	const char *listen[OPTIONS_LISTEN_MAX];
	unsigned listen_count;
	const char *backend, *workers, *accept_threads;
	const char *tls_cert, *tls_key;
	const char *access_log, *metrics, *user;
};

/**
 * Reads the command line.
 *
 * argv     has to live as long as options
 * returns  true, or false after a message on stderr
 */
bool options_parse(struct options *options, int argc, char **argv);

/**
 * The configuration that the command line asks for, from the file that it names: complete and checked. Also
 * called to read it again.
 *
 * activation  sockets that were passed to the process
 * returns     to be freed with config_free(); NULL after complaints
 */
struct config *options_config(const struct options *options, const struct activation *activation,
			      struct complaints *complaints);

/** The text of --help. */
extern const char options_help[];

#endif
