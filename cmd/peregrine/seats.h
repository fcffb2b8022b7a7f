/* SPDX-License-Identifier: MIT */
/*
 * seats.h - what each worker works with: its pointers to the site and the access log, read and written by
 * that worker only, so no request ever takes a lock and none sees half of a reload.
 */
#ifndef CMD_PEREGRINE_SEATS_H
#define CMD_PEREGRINE_SEATS_H

#include "site.h"

#include <peregrine/access_log.h>
#include <pthread.h>

#define SEAT_BYTES 64u /* a cache line each */

/* What a worker works with. */
struct work {
	const struct site *site;
	per_access_log *log; /* NULL: none is wanted */
};

struct seat {
	struct work work;
	char rest[SEAT_BYTES - sizeof(struct work)];
};

struct seats {
	struct seat *list;
	unsigned count;
	pthread_mutex_t mutex; /* guards what is below */
	pthread_cond_t changed;
	unsigned started;               /* workers that run */
	bool is_over;                   /* none will start any more */
	void (*on_started)(void *user); /* called once, when all of them run, by the last one */
	void *user;
};

/** The hooks of a server whose workers sit here. seats has to outlive it. */
per_handler seats_handler(struct seats *seats);

/**
 * A seat for each worker of a server that has been made, all with the same work. Returns false when out of
 * memory.
 */
bool seats_make(struct seats *seats, const per_server *server, struct work work);
void seats_free(struct seats *seats);

/** Waits until every worker runs. Returns false when that will not happen any more. */
bool seats_wait(struct seats *seats);

/** The workers have ended, or never started: seats_wait() returns. */
void seats_end(struct seats *seats);

/**
 * Gives every worker other work, and returns when none of them knows the old any more. After seats_wait()
 * only, from one thread at a time, not from a worker.
 */
void seats_change(struct seats *seats, per_server *server, struct work work);

/** Calls fn on every worker, and returns when all have done it, or have ended. The same rules. */
void seats_each(struct seats *seats, per_server *server, void (*fn)(unsigned worker, void *arg), void *arg);

#endif
