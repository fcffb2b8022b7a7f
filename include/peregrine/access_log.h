/* SPDX-License-Identifier: MIT */
/*
 * access_log.h - a file with a line for each request. A worker puts its line into memory of its own and goes
 * on; a thread of the log writes the file. A slow disk costs lines, which are counted, never time:
 *
 *     static void on_log(per_req *req, int error, void *user) { per_access_log_write(user, req, error); }
 *
 * In every structure here zero means "the default", so { .path = "access.log" } is a complete configuration.
 */
#ifndef PEREGRINE_ACCESS_LOG_H
#define PEREGRINE_ACCESS_LOG_H

#include <peregrine/config.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A log and its thread. Made by per_access_log_open(). */
typedef struct per_access_log per_access_log;

/** How a line looks. Times are UTC. Every line is ASCII, whatever bytes a client has sent. */
typedef enum per_access_format {
	/*
	 * What Apache and nginx call "combined": remote - - [time] "request line" status bytes "referer"
	 * "user agent". What is missing is "-", the status too when nothing was answered. Quotes,
	 * backslashes and bytes that cannot be printed are \xHH.
	 */
	PER_ACCESS_COMBINED = 0,
	PER_ACCESS_COMMON = 1, /* the same without the last two */
	/*
	 * One JSON object: time (RFC 3339 with milliseconds), remote, host, method, target, version, tls,
	 * status (0: nothing was answered), bytes, duration_ms, referer, user_agent, error. What is missing
	 * is null. With "line", the bytes that came, when the request line is not complete. A byte from 0x7f
	 * on is the character with that number, so encoding a value as ISO 8859-1 gives the bytes that were
	 * sent.
	 */
	PER_ACCESS_JSON = 2,
} per_access_format;

/** The configuration of a log. Everything is copied by per_access_log_open(). */
typedef struct per_access_log_config {
	/*
	 * The file: lines are appended, and it is made if it is not there. It may be a FIFO, with or without
	 * a reader. "-" is the standard output, which stays open.
	 */
	const char *path;
	per_access_format format;
	unsigned file_mode; /* permission bits of a file that is made; default 0640 */
	/* memory of one worker for lines that wait; default 1 MiB, a power of two, 64 KiB to 1 GiB */
	size_t ring_bytes;
	/* how long the thread collects before it writes again; default 100, 1 to 60,000 */
	unsigned flush_ms;
	/* per_access_log_close() tries that long to write what is left; default 1,000, 1 to 600,000 */
	unsigned close_timeout_ms;

	per_log_fn log; /* what goes wrong; default: errors and warnings to stderr */
	void *log_user;
	/* what reaches `log`; 0 (errors) is raised to PER_LOG_WARN unless log_errors_only */
	per_log_level log_level;
	bool log_errors_only;
	void *reserved[8]; /* must be NULL */
} per_access_log_config;

/**
 * per_access_log_open() for a caller that was compiled with a per_access_log_config of another size: fields
 * that one side does not know are zero. Use per_access_log_open().
 */
PER_API int per_access_log_open_sized(per_access_log **out, const per_access_log_config *config,
				      size_t config_bytes);

/**
 * Opens the file and starts the thread, which has all signals blocked. In a process that forks into the
 * background, after that. A worker's memory is reserved at its first line.
 *
 * out      to be given back with per_access_log_close(); NULL after an error
 * config   copied; may be changed or freed afterwards
 * returns  0; PER_EINVAL; PER_EACCES, PER_EMFILE, PER_ESYS for the file; PER_ENOMEM. The log has the reason
 * threads  any
 */
static inline int per_access_log_open(per_access_log **out, const per_access_log_config *config)
{
	return per_access_log_open_sized(out, config, sizeof(*config));
}

/**
 * Writes the line of a request: from on_log, or from on_done for those that the application has seen. Never
 * waits: when the worker's memory is full of lines that the file did not take, the line is dropped and
 * counted. Makes a system call only to wake a thread that sleeps, so at most once for each time it sleeps.
 *
 * error    as the hook was given it
 * threads  the worker that owns req; workers of any number of servers at once
 */
PER_API void per_access_log_write(per_access_log *log, per_req *req, int error);

/**
 * Opens the file anew, soon: after it was renamed. What is waiting goes to the new one; no line is lost or
 * divided between the two. When the path cannot be opened, the old file stays in use and `log` is told.
 *
 * threads  any, also a signal handler
 */
PER_API void per_access_log_reopen(per_access_log *log);

/** What a log has done. Counts from per_access_log_open() on, except those called "now". */
typedef struct per_access_log_stats {
	uint64_t lines;        /* taken, and not lost later */
	uint64_t dropped;      /* not taken for want of room, or given up by a reopen or the end */
	uint64_t bytes;        /* written to the file */
	uint64_t bytes_now;    /* waiting */
	uint64_t writes;       /* system calls that wrote something */
	uint64_t write_errors; /* those that failed, but for a pipe that is full */
	uint64_t wakes;        /* times that a worker has woken the thread */
	uint64_t reopens;      /* times that the file was opened anew */
	uint64_t reopen_errors;
	uint64_t reserved[7];
} per_access_log_stats;

/** per_access_log_stats_read() for a caller compiled with a structure of another size. Use that. */
PER_API void per_access_log_stats_sized(const per_access_log *log, per_access_log_stats *out,
					size_t stats_bytes);

/** Reads the counters. Any thread. */
static inline void per_access_log_stats_read(const per_access_log *log, per_access_log_stats *out)
{
	per_access_log_stats_sized(log, out, sizeof(*out));
}

/**
 * Writes what is waiting and ends the thread: once no worker will write any more, so after per_server_run()
 * has returned. NULL is allowed.
 *
 * returns  0; PER_ESYS when lines could not be written within close_timeout_ms and are lost
 */
PER_API int per_access_log_close(per_access_log *log);

#ifdef __cplusplus
}
#endif

#endif
