/* SPDX-License-Identifier: MIT */
/*
 * access_writer.c - the thread of an access log: takes lines out of the workers' rings and writes them, many
 * at a time. What the file does not take stays in the rings, so that workers drop new lines, whole ones.
 * Invariant: while a line is written in part, its rest is what is written next.
 */
#include "services/access.h"

#include "base/clock.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define RETRY_NS (INT64_C(250) * 1000000)  /* after a write that failed */
#define TELL_NS (INT64_C(10) * 1000000000) /* dropped lines are told of that often */

enum drained { DRAINED_NOTHING, DRAINED_SOME, DRAINED_STUCK };

static struct per__access_ring *ring_at(struct per_access_log *log, unsigned index)
{
	return atomic_load_explicit(&log->slots[index].ring, memory_order_acquire);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void failure_tell(struct per_access_log *log)
{
	per__count(&log->write_errors, 1);
	if (log->is_failing)
		return;
	log->is_failing = true;
	per__log(&log->log, PER_LOG_WARN,
		 "access log %s: %s; lines wait, and are dropped when there is no room", log->out.path,
		 strerror(errno));
}

/* One write from a ring. Returns false when the file takes nothing. */
static bool ring_write(struct per_access_log *log, struct per__access_ring *ring, size_t max, size_t *written)
{
	struct iovec iov[2];
	enum per__access_result result;

	if (per__access_ring_look(ring, max, iov) == 0)
		return true;
	result = per__access_out_write(&log->out, iov, written);
	if (result == PER__ACCESS_FAILED)
		failure_tell(log);
	if (result != PER__ACCESS_WRITTEN)
		return false;
	per__count(&log->writes, 1);
	per__count(&log->bytes, *written);
	log->torn = per__access_ring_take(ring, *written) ? ring : NULL;
	if (PER_UNLIKELY(log->is_failing)) {
		log->is_failing = false;
		per__log(&log->log, PER_LOG_INFO, "access log %s: writing again", log->out.path);
	}
	return true;
}

/* Writes what waits in a ring now; what comes meanwhile has to wait until the others had their turn. */
static enum drained ring_drain(struct per_access_log *log, struct per__access_ring *ring)
{
	size_t left = (size_t)per__access_ring_waiting(ring);
	size_t max = per__access_out_max(&log->out), written;
	enum drained result = DRAINED_NOTHING;

	while (left > 0) {
		written = 0;
		if (!ring_write(log, ring, PER_MIN(max, left), &written))
			return DRAINED_STUCK;
		left -= written;
		result = DRAINED_SOME;
	}
	return result;
}

static enum drained drain(struct per_access_log *log)
{
	unsigned cnt = atomic_load_explicit(&log->slot_cnt, memory_order_acquire);
	enum drained result = DRAINED_NOTHING;

	if (log->torn != NULL && ring_drain(log, log->torn) == DRAINED_STUCK)
		return DRAINED_STUCK;
	for (unsigned i = 0; i < cnt && result != DRAINED_STUCK; i++) {
		struct per__access_ring *ring = ring_at(log, i);
		enum drained one = ring != NULL ? ring_drain(log, ring) : DRAINED_NOTHING;

		result = PER_MAX(result, one);
	}
	return result;
}

/* --- opening anew ----------------------------------------------------------------------------- */

void per__access_reader_check(const struct per_access_log *log)
{
	if (log->out.fd < 0)
		per__log(&log->log, PER_LOG_WARN,
			 "access log %s: nobody reads this FIFO; lines wait for a reader", log->out.path);
}

/* The line that is written in part: to its end in the old file, or given up. */
static void torn_end(struct per_access_log *log)
{
	struct per__access_ring *ring = log->torn;
	size_t len, written;

	while (log->torn != NULL) {
		len = per__access_ring_line(ring);
		written = 0;
		if (ring_write(log, ring, PER_MIN(len, per__access_out_max(&log->out)), &written))
			continue;
		(void)per__access_ring_take(ring, len);
		per__count(&log->lost, 1);
		log->out.needs_newline = true;
		log->torn = NULL;
	}
}

static void reopen(struct per_access_log *log)
{
	int err;

	torn_end(log);
	err = per__access_out_reopen(&log->out);
	per__count(err == 0 ? &log->reopens : &log->reopen_errors, 1);
	if (err == 0)
		per__access_reader_check(log);
	else
		per__log(&log->log, PER_LOG_ERROR,
			 "access log %s cannot be opened anew: %s; the old file stays", log->out.path,
			 strerror(err));
}

/* --- waiting ---------------------------------------------------------------------------------- */

/* Waits for a poke, for the file if it is full, or for some time (-1: for ever). */
static void wait_for(struct per_access_log *log, int64_t ns, bool for_file)
{
	struct pollfd waiting[2] = { { .fd = log->pipe_read, .events = POLLIN },
				     { .fd = for_file ? log->out.fd : -1, .events = POLLOUT } };
	char pokes[64];

	(void)poll(waiting, 2, ns < 0 ? -1 : (int)((ns + 999999) / 1000000));
	if ((waiting[0].revents & POLLIN) != 0)
		while (read(log->pipe_read, pokes, sizeof(pokes)) > 0)
			;
}

/* May the thread rest, with the state already stored? */
static bool may_rest(struct per_access_log *log, enum per__access_state state)
{
	unsigned cnt = atomic_load(&log->slot_cnt);

	for (unsigned i = 0; i < cnt; i++) {
		struct per__access_ring *ring = ring_at(log, i);
		uint64_t waiting = ring != NULL ? per__access_ring_waiting(ring) : 0;

		if (waiting > (state == PER__ACCESS_NAPPING ? log->ring_bytes / 2 : 0))
			return false;
	}
	return true;
}

static void rest(struct per_access_log *log, enum per__access_state state)
{
	atomic_store(&log->state, state);
	if (may_rest(log, state))
		wait_for(log, state == PER__ACCESS_NAPPING ? log->flush_ns : -1, false);
	atomic_store(&log->state, PER__ACCESS_AWAKE);
}

/* A pipe or terminal that is full is waited for; another reason is tried again after a while. */
static void wait_stuck(struct per_access_log *log, int64_t ns)
{
	wait_for(log, ns, !log->is_failing);
}

/* --- the thread ------------------------------------------------------------------------------- */

static void dropped_tell(struct per_access_log *log)
{
	uint64_t dropped = per__access_dropped(log);
	int64_t now_ns;

	if (PER_LIKELY(dropped == log->dropped_told))
		return;
	now_ns = per__clock_now_ns();
	if (log->dropped_told > 0 && now_ns - log->dropped_told_ns < TELL_NS)
		return;
	per__log(&log->log, PER_LOG_WARN, "access log %s: %llu lines were dropped for want of room so far",
		 log->out.path, (unsigned long long)dropped);
	log->dropped_told = dropped;
	log->dropped_told_ns = now_ns;
}

/* The end: writes what is left as long as the file takes it, and counts the rest as lost. */
static void finish(struct per_access_log *log)
{
	int64_t end_ns = per__clock_now_ns() + log->close_timeout_ns;
	enum drained result;
	unsigned cnt = atomic_load(&log->slot_cnt);

	while ((result = drain(log)) != DRAINED_NOTHING) {
		int64_t left_ns = end_ns - per__clock_now_ns();

		if (result == DRAINED_STUCK && left_ns <= 0)
			break;
		if (result == DRAINED_STUCK)
			wait_stuck(log, PER_MIN(left_ns, RETRY_NS));
	}
	for (unsigned i = 0; i < cnt; i++) {
		struct per__access_ring *ring = ring_at(log, i);
		size_t len;

		while (ring != NULL && (len = per__access_ring_line(ring)) > 0) {
			(void)per__access_ring_take(ring, len);
			per__count(&log->lost, 1);
			log->has_lost_the_rest = true;
		}
	}
	dropped_tell(log);
}

void *per__access_writer_main(void *arg)
{
	struct per_access_log *log = arg;

	while (!atomic_load(&log->close_wanted)) {
		enum drained result;

		if (atomic_exchange(&log->reopen_wanted, false))
			reopen(log);
		result = drain(log);
		dropped_tell(log);
		if (result == DRAINED_STUCK)
			wait_stuck(log, RETRY_NS);
		else
			rest(log, result == DRAINED_SOME ? PER__ACCESS_NAPPING : PER__ACCESS_SLEEPING);
	}
	if (atomic_exchange(&log->reopen_wanted, false))
		reopen(log);
	finish(log);
	return NULL;
}
