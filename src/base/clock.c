/* SPDX-License-Identifier: MIT */
/*
 * clock.c - the system's clocks, in their cheap form where there is one.
 */
#include "base/clock.h"

#include <time.h>

#if defined(CLOCK_MONOTONIC_COARSE)
#define CLOCK_CHEAP CLOCK_MONOTONIC_COARSE
#elif defined(CLOCK_MONOTONIC_FAST)
#define CLOCK_CHEAP CLOCK_MONOTONIC_FAST
#else
#define CLOCK_CHEAP CLOCK_MONOTONIC
#endif

#if defined(CLOCK_REALTIME_COARSE)
#define CLOCK_CHEAP_WALL CLOCK_REALTIME_COARSE
#elif defined(CLOCK_REALTIME_FAST)
#define CLOCK_CHEAP_WALL CLOCK_REALTIME_FAST
#else
#define CLOCK_CHEAP_WALL CLOCK_REALTIME
#endif

int64_t per__clock_now_ns(void)
{
	struct timespec now;

	PER_ASSERT(clock_gettime(CLOCK_CHEAP, &now) == 0);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t per__clock_wall_s(void)
{
	struct timespec now;

	PER_ASSERT(clock_gettime(CLOCK_CHEAP_WALL, &now) == 0);
	return (int64_t)now.tv_sec;
}

int64_t per__clock_wall_ms(void)
{
	struct timespec now;

	PER_ASSERT(clock_gettime(CLOCK_CHEAP_WALL, &now) == 0);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
