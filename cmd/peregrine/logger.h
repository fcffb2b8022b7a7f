/* SPDX-License-Identifier: MIT */
/*
 * logger.h - the program's own log: lines with a time, to stderr or to a file that can be opened again. Any
 * thread may write; the others belong to whoever reads the configuration.
 */
#ifndef CMD_PEREGRINE_LOGGER_H
#define CMD_PEREGRINE_LOGGER_H

#include <peregrine/peregrine.h>
#include <stdatomic.h>

#define LOGGER_PATH_MAX 8192u

struct logger {
	_Atomic int level; /* per_log_level: what is less important is dropped */
	_Atomic int fd;    /* where lines go: stderr, or file_fd */
	int file_fd;       /* kept open, so that its number stays: another file takes its place. -1: none */
	bool has_priority; /* stderr is the journal: it has a clock, and wants to know the level */
	char path[LOGGER_PATH_MAX]; /* "-": stderr */
};

/** Begins with stderr. */
void logger_init(struct logger *logger, per_log_level level);

/** A per_log_fn; user is the logger. */
void logger_line(per_log_level level, const char *line, void *user);

/** The same, formatted. */
void logger_say(struct logger *logger, per_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * From now on to this file; "-" is stderr. With the path that it has already: opens it again, after
 * somebody has renamed it.
 *
 * returns  true; or false after a line in the old place, where lines go on going
 */
bool logger_open(struct logger *logger, const char *path);

#endif
