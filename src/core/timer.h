/* SPDX-License-Identifier: MIT */
/*
 * timer.h - the timer wheel of one worker: one deadline for each slot number, constant time to set, move and clear.
 * Pure: time enters as an argument, expired slots are handed out one by one. Resolution PER__TICK_MS; a deadline never
 * fires early, and at most one tick (plus the turn) late. Without deadlines it never asks to be woken.
 */
#ifndef PER_CORE_TIMER_H
#define PER_CORE_TIMER_H

#include "base/base.h"

#define PER__TICK_MS 64
#define PER__WHEEL_BUCKETS 1024u /* about 65 s; a later deadline goes round again */

/* Lives in the owner's slot (a connection); found through the callback-free accessor given at init. */
struct per__timer {
	uint32_t next, prev; /* slot + 1 of the neighbours in the bucket, 0: none */
	uint32_t tick;       /* deadline in ticks since the wheel's start; 0: not set */
};

struct per__wheel {
	uint8_t *base;       /* address of slot 0's struct per__timer */
	size_t stride;       /* bytes from one slot's timer to the next */
	int64_t start_ns;
	uint32_t now_tick;   /* every bucket up to this tick has been looked at */
	uint32_t set_cnt;
	uint32_t bucket[PER__WHEEL_BUCKETS]; /* slot + 1 of the first, 0: empty */
	uint64_t busy[PER__WHEEL_BUCKETS / 64]; /* bit set: bucket not empty */
};

/** base is the address of the timer in slot 0, stride the distance to the next slot's. Untouched slots must read as zero. */
void per__wheel_init(struct per__wheel *wheel, void *base, size_t stride, int64_t now_ns);

/** Sets or moves the slot's deadline. */
void per__wheel_set(struct per__wheel *wheel, uint32_t slot, int64_t deadline_ns);
void per__wheel_clear(struct per__wheel *wheel, uint32_t slot);
bool per__wheel_is_set(const struct per__wheel *wheel, uint32_t slot);

/** Nanoseconds from now_ns until the wheel wants to be looked at: -1 when nothing is set, 0 when something is due. */
int64_t per__wheel_wait_ns(const struct per__wheel *wheel, int64_t now_ns);

/** Takes the next slot whose deadline has passed, or returns -1. The slot's timer is then not set. Call until -1. */
int64_t per__wheel_expire(struct per__wheel *wheel, int64_t now_ns);

#endif
