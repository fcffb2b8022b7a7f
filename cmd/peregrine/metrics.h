/* SPDX-License-Identifier: MIT */
/*
 * metrics.h - counters for Prometheus, on a small server of their own: it answers also while the other one
 * is full or stops.
 */
#ifndef CMD_PEREGRINE_METRICS_H
#define CMD_PEREGRINE_METRICS_H

#include <peregrine/peregrine.h>
#include <pthread.h>

struct program;

struct metrics {
	struct program *program;
	per_server *server; /* NULL: none is wanted */
	pthread_t thread;
	bool is_running;
};

/**
 * Opens the listener, if the configuration has an address for it.
 *
 * returns  true, or false after a line in the log
 */
bool metrics_open(struct metrics *metrics, struct program *program);

/** Starts its thread. Returns false when there is none to be had. */
bool metrics_start(struct metrics *metrics);

/** Stops and frees it. Harmless when it was not opened. */
void metrics_close(struct metrics *metrics);

#endif
