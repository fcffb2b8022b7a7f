/* SPDX-License-Identifier: MIT */
/*
 * program.h - everything that lives while the program serves. Made and ended by program.c; reload.c changes
 * it from the thread of the signals, metrics.c reads it from its own.
 */
#ifndef CMD_PEREGRINE_PROGRAM_H
#define CMD_PEREGRINE_PROGRAM_H

#include "engine.h"
#include "logger.h"
#include "metrics.h"
#include "notify.h"
#include "options.h"
#include "seats.h"
#include "signals.h"

#include <pthread.h>
#include <stdatomic.h>

/* What reloads have done; read by metrics. */
struct reloads {
	_Atomic uint64_t good, bad;
	_Atomic int64_t last_good_s; /* seconds since 1970; the start counts */
	_Atomic bool is_last_good;
};

struct program {
	const struct options *options;
	const struct activation *activation;
	struct config *started; /* what the server was made from */
	struct engine engine;
	struct logger logger;
	struct notify notify;
	struct welcome welcome;
	per_server *server;
	struct seats seats;
	pthread_mutex_t mutex;         /* guards the next five against metrics.c */
	struct config *current;        /* of the site; started, or a later one */
	struct site *site;             /* what answers */
	per_access_log *access_log;    /* NULL: none is wanted */
	per_static_stats past_files;   /* counters of sites that are gone */
	per_access_log_stats past_log; /* and of logs */
	struct reloads reloads;
	struct signals signals;
	struct metrics metrics;
	int64_t start_s; /* seconds since 1970 */
	unsigned stops;  /* times it was told to; only for the thread of the signals */
};

/**
 * Serves until it is told to stop.
 *
 * config   taken
 * returns  the exit status
 */
int program_run(const struct options *options, const struct activation *activation, struct config *config);

/** SIGHUP: reads the configuration again, and uses it if it is good. On the thread of the signals. */
void program_reload(struct program *program);

/** SIGUSR1: opens the logs again. On the thread of the signals. */
void program_reopen(struct program *program);

/** SIGTERM, SIGINT: stops gracefully, the second time at once. On the thread of the signals. */
void program_stop(struct program *program);

/**
 * Asks every worker for a sign of life; does not return before they have given it. On the thread of the
 * signals.
 */
void program_watch(struct program *program);

/**
 * Opens the access log of a configuration; *out becomes NULL when it has none. Returns false after a line in
 * the log.
 */
bool program_access_log(struct program *program, const struct config *config, per_access_log **out);

#endif
