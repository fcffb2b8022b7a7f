/* SPDX-License-Identifier: MIT */
/*
 * clock.h - time. Only the backends call per__clock_now_ns(); everything else uses the time of the loop's
 * turn, so that the simulator can own it.
 */
#ifndef PER_BASE_CLOCK_H
#define PER_BASE_CLOCK_H

#include "base/base.h"

/** Monotonic nanoseconds, as cheap as the system has it (resolution of some milliseconds is enough). */
int64_t per__clock_now_ns(void);

/** Seconds since 1970, UTC. */
int64_t per__clock_wall_s(void);

/** Milliseconds since 1970, UTC; as cheap and as coarse as the others. */
int64_t per__clock_wall_ms(void);

#define PER__DATE_LEN 29u

/**
 * Writes an IMF-fixdate, "Sun, 06 Nov 1994 08:49:37 GMT": exactly PER__DATE_LEN bytes, no NUL (RFC 9110
 * section 5.6.7).
 */
void per__date_format(char *dst, int64_t wall_s);

#define PER__DATE_ISO_LEN 19u

/** Writes the date of RFC 3339 without fraction and zone, "1994-11-06T08:49:37": no NUL. */
void per__date_format_iso(char *dst, int64_t wall_s);

/**
 * Parses an HTTP-date in its three forms (RFC 9110 section 5.6.7): IMF-fixdate, RFC 850, asctime.
 *
 * now_s    the present, to place the two-digit years of RFC 850
 * returns  true and seconds since 1970, or false
 */
bool per__date_parse(const char *src, size_t len, int64_t now_s, int64_t *out);

#endif
