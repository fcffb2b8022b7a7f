/* SPDX-License-Identifier: MIT */
/*
 * timer.c - a ring of buckets, each a doubly linked list. Reads no clock. Called by worker.c and conn.c.
 * Tick t stands for start + t * PER__TICK_MS. Deadlines are rounded up, the present down: nothing is early.
 * Invariant: next_tick is not after any timer's tick, nor after soonest[] of any busy bucket.
 */
#include "core/timer.h"

#include <string.h>

#define TICK_NS ((int64_t)PER__TICK_MS * 1000000)
#define BUCKET_MASK (PER__WHEEL_BUCKETS - 1)
#define NEVER UINT64_MAX

_Static_assert((PER__WHEEL_BUCKETS & BUCKET_MASK) == 0 && PER__WHEEL_BUCKETS >= 64,
	       "buckets are found by masking");

PER_INLINE struct per__timer *timer_at(const struct per__wheel *wheel, uint32_t slot)
{
	return (struct per__timer *)(void *)(wheel->base + (size_t)slot * wheel->stride);
}

/* The last tick that has begun at ns. */
static uint64_t tick_begun(const struct per__wheel *wheel, int64_t ns)
{
	return ns > wheel->start_ns ? (uint64_t)(ns - wheel->start_ns) / (uint64_t)TICK_NS : 0;
}

/* How far behind tick the 32 bits of a timer lie; negative: before it. */
static int32_t ticks_after(uint32_t low, uint64_t tick)
{
	return (int32_t)(low - (uint32_t)tick);
}

/*
 * The tick from which on a deadline is due: after everything that is being expired just now, so that a timer
 * set by an expiry's handler cannot come back in the same pass; near enough for 32 bits; not the number that
 * says "not set".
 */
static uint64_t tick_due(const struct per__wheel *wheel, int64_t deadline_ns)
{
	uint64_t first = wheel->seen_tick + 1;
	uint64_t tick = 0;

	if (deadline_ns > wheel->start_ns)
		tick = ((uint64_t)deadline_ns - (uint64_t)wheel->start_ns + (uint64_t)TICK_NS - 1) /
		       (uint64_t)TICK_NS;
	tick = PER_MAX(tick, first);
	tick = PER_MIN(tick, first + INT32_MAX / 2);
	return tick + ((uint32_t)tick == 0);
}

void per__wheel_init(struct per__wheel *wheel, void *base, size_t stride, int64_t now_ns)
{
	memset(wheel, 0, sizeof(*wheel));
	wheel->base = base;
	wheel->stride = stride;
	wheel->start_ns = now_ns;
	wheel->next_tick = NEVER;
}

static void timer_unlink(struct per__wheel *wheel, struct per__timer *timer, uint32_t slot)
{
	uint32_t bucket = timer->tick & BUCKET_MASK;

	if (wheel->scan_slot == slot + 1)
		wheel->scan_slot = timer->next;
	if (timer->next != 0)
		timer_at(wheel, timer->next - 1)->prev = timer->prev;
	if (timer->prev != 0) {
		timer_at(wheel, timer->prev - 1)->next = timer->next;
		return;
	}
	PER_DEBUG_ASSERT(wheel->bucket[bucket] == slot + 1);
	wheel->bucket[bucket] = timer->next;
	if (timer->next == 0)
		wheel->busy[bucket / 64] &= ~((uint64_t)1 << bucket % 64);
}

static void timer_link(struct per__wheel *wheel, struct per__timer *timer, uint32_t slot, uint64_t tick)
{
	uint32_t bucket = (uint32_t)tick & BUCKET_MASK;
	uint32_t head = wheel->bucket[bucket];

	timer->tick = (uint32_t)tick;
	timer->next = head;
	timer->prev = 0;
	wheel->bucket[bucket] = slot + 1;
	if (head != 0)
		timer_at(wheel, head - 1)->prev = slot + 1;
	else
		wheel->busy[bucket / 64] |= (uint64_t)1 << bucket % 64;
	if (head == 0 || ticks_after(wheel->soonest[bucket], tick) > 0)
		wheel->soonest[bucket] = (uint32_t)tick;
	if (tick < wheel->next_tick)
		wheel->next_tick = tick;
}

void per__wheel_set(struct per__wheel *wheel, uint32_t slot, int64_t deadline_ns)
{
	struct per__timer *timer = timer_at(wheel, slot);
	uint64_t tick = tick_due(wheel, deadline_ns);

	if (timer->tick == (uint32_t)tick)
		return;
	if (timer->tick != 0)
		timer_unlink(wheel, timer, slot);
	else
		wheel->set_cnt++;
	timer_link(wheel, timer, slot, tick);
}

void per__wheel_clear(struct per__wheel *wheel, uint32_t slot)
{
	struct per__timer *timer = timer_at(wheel, slot);

	if (timer->tick == 0)
		return;
	timer_unlink(wheel, timer, slot);
	timer->tick = 0;
	wheel->set_cnt--;
}

bool per__wheel_is_set(const struct per__wheel *wheel, uint32_t slot)
{
	return timer_at(wheel, slot)->tick != 0;
}

int64_t per__wheel_wait_ns(const struct per__wheel *wheel, int64_t now_ns)
{
	int64_t wait_ns;

	if (wheel->set_cnt == 0)
		return -1;
	wait_ns = wheel->start_ns + (int64_t)wheel->next_tick * TICK_NS - now_ns;
	if (wait_ns <= 0)
		return 0;
	return PER_MAX(wait_ns, PER__WHEEL_WAIT_MIN_NS);
}

/*
 * The first tick from the given one on, within a round, whose bucket is not empty; a round later when all
 * are.
 */
static uint64_t busy_tick(const struct per__wheel *wheel, uint64_t from)
{
	uint64_t end = from + PER__WHEEL_BUCKETS;

	for (uint64_t tick = from; tick < end; tick = (tick | 63) + 1) {
		uint32_t bucket = (uint32_t)tick & BUCKET_MASK;
		uint64_t bits = wheel->busy[bucket / 64] >> bucket % 64;

		if (bits != 0)
			return PER_MIN(tick + (uint64_t)__builtin_ctzll(bits), end);
	}
	return end;
}

/* The next tick at which a timer may be due, after done_tick. */
static uint64_t next_tick_find(const struct per__wheel *wheel)
{
	uint64_t end = wheel->done_tick + 1 + PER__WHEEL_BUCKETS;
	uint64_t found = NEVER;

	for (uint64_t tick = busy_tick(wheel, wheel->done_tick + 1); tick < end;
	     tick = busy_tick(wheel, tick + 1)) {
		int32_t after = ticks_after(wheel->soonest[tick & BUCKET_MASK], wheel->done_tick);

		PER_DEBUG_ASSERT(after > 0);
		if (wheel->done_tick + (uint64_t)after <= tick)
			return tick; /* in this round: nothing that is looked at later can be sooner */
		found = PER_MIN(found, wheel->done_tick + (uint64_t)after);
	}
	return found;
}

/*
 * Begins the bucket of the next tick; what is left in it when it has been looked at makes up its new soonest.
 */
static void scan_begin(struct per__wheel *wheel)
{
	uint32_t bucket;

	wheel->scan_tick = wheel->done_tick + 1;
	bucket = (uint32_t)wheel->scan_tick & BUCKET_MASK;
	wheel->scan_slot = wheel->bucket[bucket];
	wheel->soonest[bucket] = (uint32_t)wheel->scan_tick + INT32_MAX;
}

/* Goes on in the bucket that was begun: the next timer that is due, -1 at its end. */
static int64_t scan_take(struct per__wheel *wheel)
{
	uint32_t bucket = (uint32_t)wheel->scan_tick & BUCKET_MASK;

	while (wheel->scan_slot != 0) {
		uint32_t slot = wheel->scan_slot - 1;
		struct per__timer *timer = timer_at(wheel, slot);

		if (ticks_after(timer->tick, wheel->scan_tick) <= 0) {
			per__wheel_clear(wheel, slot);
			return slot;
		}
		if (ticks_after(wheel->soonest[bucket], timer->tick) > 0)
			wheel->soonest[bucket] = timer->tick;
		wheel->scan_slot = timer->next;
	}
	return -1;
}

int64_t per__wheel_expire(struct per__wheel *wheel, int64_t now_ns)
{
	uint64_t now_tick = PER_MAX(tick_begun(wheel, now_ns), wheel->seen_tick);

	wheel->seen_tick = now_tick;
	if (PER_LIKELY(wheel->set_cnt == 0 || now_tick < wheel->next_tick)) {
		wheel->done_tick = now_tick; /* invalidates a scan that was begun, too */
		if (wheel->set_cnt == 0)
			wheel->next_tick = NEVER;
		return -1;
	}
	if (now_tick - wheel->done_tick > PER__WHEEL_BUCKETS) /* one round sees every timer */
		wheel->done_tick = now_tick - PER__WHEEL_BUCKETS;
	while (wheel->done_tick < now_tick) {
		int64_t slot;

		if (wheel->scan_tick != wheel->done_tick + 1) {
			uint64_t skip = busy_tick(wheel, wheel->done_tick + 1) - 1;

			wheel->done_tick = PER_MIN(skip, now_tick);
			if (wheel->done_tick == now_tick)
				break;
			scan_begin(wheel);
		}
		slot = scan_take(wheel);
		if (slot >= 0)
			return slot;
		wheel->done_tick++;
	}
	wheel->next_tick = next_tick_find(wheel);
	return -1;
}
