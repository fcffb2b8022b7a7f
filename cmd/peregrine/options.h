/* SPDX-License-Identifier: MIT */
/*
 * options.h - the command line of the program. Fills a per_config; starts nothing. Called by main.c.
 */
#ifndef CMD_PEREGRINE_OPTIONS_H
#define CMD_PEREGRINE_OPTIONS_H

#include <peregrine/peregrine.h>

#define OPTIONS_LISTEN_MAX 16u

enum action { ACTION_SERVE, ACTION_PROBE, ACTION_VERSION, ACTION_HELP };

struct options {
	enum action action;
	bool is_verbose;
	const char *host; /* NULL: every address */
	unsigned port;
	char address[320]; /* of host and port */
	per_listen listen[OPTIONS_LISTEN_MAX];
	per_config config; /* points into this structure: do not copy it */
};

/**
 * Reads the command line.
 *
 * argv     has to live as long as options
 * returns  true, or false after a message on stderr
 */
bool options_parse(struct options *options, int argc, char **argv);

/** The text of --help. */
extern const char options_help[];

#endif
