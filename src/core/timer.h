/* SPDX-License-Identifier: MIT */
/*
 * timer.h - the timer wheel of one worker: one deadline for each slot number, constant time to set, move and
 * clear. Pure: time enters as an argument, expired slots are handed out one by one. Resolution PER__TICK_MS;
 * a deadline never fires early, and at most one tick (plus the turn) late. Without deadlines it never asks to
 * be woken.
 */
#ifndef PER_CORE_TIMER_H
#define PER_CORE_TIMER_H

#include "base/base.h"

#define PER__TICK_MS 64
#define PER__WHEEL_WAIT_MIN_NS 1000000
#define PER__WHEEL_BUCKETS 1024u /* about 65 s; a later deadline goes round again */

/* Lives in the owner's slot (a connection); found through the base and stride given at init. */
struct per__timer {
	uint32_t next, prev; /* slot + 1 of the neighbours in the bucket, 0: none */
	uint32_t tick;       /* low bits of the tick from which on it is due; 0: not set */
};

/*
 * Ticks are counted from the wheel's start in 64 bits; a bucket holds the timers whose ticks are equal modulo
 * its number.
 */
struct per__wheel {
	uint8_t *base; /* address of slot 0's struct per__timer */
	size_t stride; /* bytes from one slot's timer to the next */
	int64_t start_ns;
	uint64_t seen_tick; /* the present, as the last per__wheel_expire() knew it */
	uint64_t done_tick; /* every bucket up to this tick has been looked at */
	uint64_t next_tick; /* no timer is due before this tick; above done_tick */
	uint64_t scan_tick; /* done_tick + 1: that tick's bucket has been looked at up to scan_slot */
	uint32_t scan_slot; /* slot + 1 of the next to look at, 0: none left */
	uint32_t set_cnt;
	uint32_t bucket[PER__WHEEL_BUCKETS];    /* slot + 1 of the first, 0: empty */
	uint32_t soonest[PER__WHEEL_BUCKETS];   /* no tick in that bucket is before this one (low bits) */
	uint64_t busy[PER__WHEEL_BUCKETS / 64]; /* bit set: bucket not empty */
};

/**
 * base is the address of the timer in slot 0, stride the distance to the next slot's. Untouched slots must
 * read as zero.
 */
void per__wheel_init(struct per__wheel *wheel, void *base, size_t stride, int64_t now_ns);

/**
 * Sets or moves the slot's deadline: some dozen instructions, less within the same tick. A deadline that has
 * passed is due at the next tick; one that is more than two years ahead counts as two years ahead.
 */
void per__wheel_set(struct per__wheel *wheel, uint32_t slot, int64_t deadline_ns);
void per__wheel_clear(struct per__wheel *wheel, uint32_t slot);
bool per__wheel_is_set(const struct per__wheel *wheel, uint32_t slot);

/**
 * Nanoseconds from now_ns until the wheel wants to be looked at: -1 when nothing is set, 0 when something is
 * due, else at least PER__WHEEL_WAIT_MIN_NS, because a clock of some milliseconds' resolution stands still
 * over shorter waits.
 */
int64_t per__wheel_wait_ns(const struct per__wheel *wheel, int64_t now_ns);

/**
 * Takes the next slot whose deadline has passed, or returns -1. The slot's timer is then not set. Call until
 * -1; any slot may be set, moved or cleared between the calls. Earlier ticks come first, unless nobody asked
 * for a whole round.
 */
int64_t per__wheel_expire(struct per__wheel *wheel, int64_t now_ns);

#endif
