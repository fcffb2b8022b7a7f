/* SPDX-License-Identifier: MIT */
/*
 * access.h - an access log as its own files see it: a ring for each worker that has written, the thread's
 * state, and the flag by which a worker knows whether the thread has to be woken. Shared by access_log.c
 * (any worker's thread) and access_writer.c (the log's thread).
 *
 *   awake -> napping (flush_ms; wake it when a ring is half full) -> awake
 *   awake -> sleeping (nothing waits; wake it for any line) -> awake
 *
 * No wake is lost: the thread stores the state and then looks at every ring, a worker puts its line and then
 * looks at the state, all four sequentially consistent, so at least one of the two sees the other.
 */
#ifndef PER_SERVICES_ACCESS_H
#define PER_SERVICES_ACCESS_H

#include "base/log.h"
#include "services/access_out.h"
#include "services/access_ring.h"
#include <pthread.h>

#define PER__ACCESS_RINGS_MAX 2048u /* workers that have ever written, of all servers */

enum per__access_state { PER__ACCESS_AWAKE, PER__ACCESS_NAPPING, PER__ACCESS_SLEEPING };

struct per__access_slot {
	_Atomic(const void *) owner; /* the worker that puts; NULL: free. Set once */
	_Atomic(struct per__access_ring *) ring;
};

struct per_access_log {
	/* read by workers */
	per_access_format format;
	size_t ring_bytes;
	int pipe_read, pipe_write; /* a byte: look around */
	_Atomic int state;         /* enum per__access_state */

	/* asked of the thread */
	atomic_bool reopen_wanted, close_wanted;

	/* the thread's own */
	struct per__access_out out __attribute__((aligned(PER_CACHE_LINE)));
	struct per__access_ring *torn; /* whose line is written in part, or NULL */
	struct per__log log;
	pthread_t thread;
	int64_t flush_ns, close_timeout_ns;
	bool is_failing;         /* and `log` was told */
	bool has_lost_the_rest;  /* the end came before the file took everything */
	uint64_t dropped_told;   /* lines of which `log` knows */
	int64_t dropped_told_ns; /* when it was told */
	per__counter bytes, writes, write_errors, reopens, reopen_errors;
	per__counter lost; /* lines that were taken and then given up */

	_Atomic uint64_t wakes;
	_Atomic uint64_t homeless; /* lines dropped because there was no ring */
	_Atomic unsigned slot_cnt; /* slots in use, some of them perhaps not yet */
	struct per__access_slot slots[PER__ACCESS_RINGS_MAX];
};

/** The thread: runs until close_wanted; arg is the log. */
void *per__access_writer_main(void *arg);

/** Warns of a FIFO that has just been opened and that nobody reads. The thread, or before there is one. */
void per__access_reader_check(const struct per_access_log *log);

/** Makes the thread look around. Any thread, a signal handler too. */
void per__access_poke(struct per_access_log *log);

/** Lines that were dropped for want of room. Any thread. */
uint64_t per__access_dropped(const struct per_access_log *log);

#endif
