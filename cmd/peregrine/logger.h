/* SPDX-License-Identifier: MIT */
/*
 * logger.h - the program's own log: lines with a time, to stderr or to a file that can be opened again. Any
 * thread may say something, and none ever waits for a reader or a disk: lines go into a queue, and a thread
 * of the log's own writes them. A line that finds no room is lost, and counted.
 */
#ifndef CMD_PEREGRINE_LOGGER_H
#define CMD_PEREGRINE_LOGGER_H

#include <peregrine/peregrine.h>
#include <pthread.h>
#include <stdatomic.h>

#define LOGGER_PATH_MAX 8192u
#define LOGGER_QUEUE_MAX ((size_t)256 << 10) /* about two thousand lines */

struct logger {
	_Atomic int level;         /* per_log_level: what is less important is dropped */
	_Atomic bool has_priority; /* it goes to the journal: that has a clock, and wants to know the level */
	_Atomic uint64_t lost;     /* lines for which there was no room */
	pthread_t thread;
	pthread_mutex_t mutex;        /* guards what follows; held for a copy, never for a system call */
	pthread_cond_t said, written; /* there is something to do for the thread; it has done something */
	bool is_running, is_over, has_ended;
	int fd;                     /* the thread's. -1: a FIFO that nobody reads */
	int next_fd;                /* to take its place when the thread comes by; -2: none */
	char path[LOGGER_PATH_MAX]; /* "-": stderr */
	uint64_t lost_untold;       /* lines lost of which the log does not tell yet */
	size_t len;                 /* bytes that wait, whole lines; the first of them may be in a write(2) */
	char queue[LOGGER_QUEUE_MAX];
};

/** Begins with stderr. Until logger_start() there is one thread, and lines are written at once. */
void logger_init(struct logger *logger, per_log_level level);

/** Starts the thread. Returns false, after a line, when there is none to be had. */
bool logger_start(struct logger *logger);

/**
 * Ends it, once it has written what waits, or after a second.
 *
 * returns  true; or false when somebody who reads stderr holds the thread up: then the logger has to stay
 *          where it is until the process ends
 */
bool logger_end(struct logger *logger);

/** A per_log_fn; user is the logger. */
void logger_line(per_log_level level, const char *line, void *user);

/** The same, formatted. */
void logger_say(struct logger *logger, per_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** Waits until everything said so far is written, at most for a second. Not on a worker. */
void logger_flush(struct logger *logger);

/**
 * From now on to this file; "-" is stderr. With the path that it has already: opens it again, after
 * somebody has renamed it. A FIFO that nobody reads gets a warning in the old place; lines wait for a
 * reader. Not on a worker, and on one thread at a time.
 *
 * returns  true; or false after a line in the old place, where lines go on going
 */
bool logger_open(struct logger *logger, const char *path);

#endif
