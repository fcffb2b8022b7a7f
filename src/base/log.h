/* SPDX-License-Identifier: MIT */
/*
 * log.h - one formatted line to the application's log callback. Never allocates; a line longer than the
 * buffer is cut. Unprintable bytes of what came from a peer are the caller's to escape: use
 * per__log_escape().
 */
#ifndef PER_BASE_LOG_H
#define PER_BASE_LOG_H

#include "base/base.h"
#include <peregrine/config.h>

#define PER__LOG_LINE_BYTES 1024u

struct per__log {
	per_log_fn fn; /* NULL: nothing is logged */
	void *user;
	per_log_level level; /* lines above it are dropped before they are formatted */
};

void per__log(const struct per__log *log, per_log_level level, const char *format, ...) PER_PRINTF(3, 4);

/** The default callback: "peregrine: warning: ..." to stderr in one write; lost when that would wait. */
void per__log_stderr(per_log_level level, const char *line, void *user);

/**
 * Copies src into dst (cap bytes with the NUL), bytes outside 0x20..0x7e as \xNN, "..." when cut. Returns
 * dst.
 */
const char *per__log_escape(char *dst, size_t cap, const void *src, size_t len);

#endif
