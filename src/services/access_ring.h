/* SPDX-License-Identifier: MIT */
/*
 * access_ring.h - lines on their way from one worker to the log's thread: a ring of bytes with one who puts
 * and one who takes, without a lock. Whole lines only, so that what is there always ends in a newline.
 * Positions only grow; their difference is what waits. Called by access_log.c (worker) and access_writer.c.
 */
#ifndef PER_SERVICES_ACCESS_RING_H
#define PER_SERVICES_ACCESS_RING_H

#include "services/access_line.h"
#include <stdatomic.h>
#include <sys/uio.h>

struct per__access_ring {
	/* the worker's line */
	_Atomic uint64_t tail; /* bytes put so far */
	uint64_t head_seen;    /* what the worker knows of head */
	per__counter lines, dropped;
	struct per__access_date date;

	_Atomic uint64_t head
		__attribute__((aligned(PER_CACHE_LINE))); /* bytes taken so far; the thread's line */

	size_t bytes __attribute__((aligned(PER_CACHE_LINE))); /* of data, a power of two; read by both */
	char *data;
	char *scratch; /* the worker's: PER__ACCESS_LINE_MAX bytes for the line that is being made */
};

/** Reserves a ring. bytes is a power of two. NULL when there is no memory. */
struct per__access_ring *per__access_ring_new(size_t bytes);
void per__access_ring_free(struct per__access_ring *ring);

/**
 * Puts a line in, with its newline. The worker only.
 *
 * returns  false when there is no room: nothing was put
 */
bool per__access_ring_put(struct per__access_ring *ring, const char *line, size_t len);

/** Is more than half of it in use? The worker asks with its own knowledge first. */
bool per__access_ring_is_half_full(struct per__access_ring *ring);

/** Bytes that wait. Any thread. */
static inline uint64_t per__access_ring_waiting(struct per__access_ring *ring)
{
	uint64_t head = atomic_load(&ring->head); /* first: the tail is never behind it */

	return atomic_load(&ring->tail) - head;
}

/**
 * What waits, whole lines of at most max bytes; a longer line, or the rest of one, by itself and cut at max.
 * The thread only.
 *
 * iov      receives one or two pieces
 * returns  bytes in all, 0: nothing waits
 */
size_t per__access_ring_look(struct per__access_ring *ring, size_t max, struct iovec iov[2]);

/**
 * The first len bytes are written, or given up. The thread only.
 *
 * returns  true when that ended inside a line
 */
bool per__access_ring_take(struct per__access_ring *ring, size_t len);

/** Bytes up to and with the next newline; 0: nothing waits. The thread only. */
size_t per__access_ring_line(struct per__access_ring *ring);

#endif
