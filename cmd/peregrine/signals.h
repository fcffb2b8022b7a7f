/* SPDX-License-Identifier: MIT */
/*
 * signals.h - signals as ordinary calls: one thread waits for them, all others have them blocked.
 */
#ifndef CMD_PEREGRINE_SIGNALS_H
#define CMD_PEREGRINE_SIGNALS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct program;

struct signals {
	struct program *program;
	pthread_t thread;
	uint64_t watchdog_ms; /* how often a sign of life is due; 0: never */
	bool is_running;
	bool has_terminal; /* started from one: its SIGHUP may mean that it has gone */
	_Atomic bool is_over;
};

/** Blocks them in this thread, and so in all that it will start. SIGPIPE is ignored from here on. */
void signals_block(void);

/** Starts the thread. Returns false when there is none to be had. */
bool signals_start(struct signals *signals, struct program *program);

/** Ends it; what it was doing is finished first. Harmless when it was not started. */
void signals_end(struct signals *signals);

#endif
