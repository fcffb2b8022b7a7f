/* SPDX-License-Identifier: MIT */
/*
 * server.h - the life of a server: make, run, stop, free; its counters and its account of memory.
 */
#ifndef PEREGRINE_SERVER_H
#define PEREGRINE_SERVER_H

#include <peregrine/config.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * per_server_new() for a caller that was compiled with a per_config of another size: fields that one side
 * does not know are zero. Use per_server_new().
 */
PER_API int per_server_new_sized(per_server **out, const per_config *config, size_t config_bytes);

/**
 * Makes a server: checks the configuration, opens the listening sockets (clients may connect from here on and
 * wait), allocates all memory. Starts nothing.
 *
 * out      the new server, to be given back with per_server_free(); NULL after an error
 * config   copied; may be changed or freed afterwards
 * returns  0; PER_EINVAL with the reason in the log; PER_EADDR, PER_EADDRINUSE, PER_EACCES, PER_EMFILE for a
 *          listener; PER_ENOMEM; PER_ENOTSUP when the chosen backend does not work here; PER_EAGAIN when
 *          too many servers want signals; PER_ESYS with the reason in the log
 * threads  any
 */
static inline int per_server_new(per_server **out, const per_config *config)
{
	return per_server_new_sized(out, config, sizeof(*config));
}

/** per_config_check() for a caller compiled with a per_config of another size. Use per_config_check(). */
PER_API int per_config_check_sized(const per_config *config, size_t config_bytes);

/**
 * Checks a configuration as per_server_new() would, ranges and the form of addresses, and opens nothing: an
 * address may be in use, a backend missing. Names in addresses are resolved.
 *
 * returns  0; PER_EINVAL or PER_EADDR with the reason in the log
 * threads  any
 */
static inline int per_config_check(const per_config *config)
{
	return per_config_check_sized(config, sizeof(*config));
}

/**
 * Runs the server: starts the worker threads, returns when it has been stopped and all of them have ended.
 *
 * returns  0 after per_server_stop() or a signal; a negative PER_E* when a worker could not start (then none
 *          goes on); PER_ESTATE when it has run before, or is polled
 * threads  one call per server; the calling thread only waits
 */
PER_API int per_server_run(per_server *server);

/**
 * Drives a server with one worker from the application's own loop, instead of per_server_run(). Always from
 * the same thread.
 *
 * timeout_ms  how long to wait for something to do: 0 not at all, -1 without limit
 * returns     1 when there is more to come, 0 when the server has been stopped and has finished, or a
 *             negative PER_E*; PER_EINVAL when the server was made with more than one worker or with
 *             acceptors; PER_ESTATE when it is run by per_server_run()
 * threads     the one that made the first call
 */
PER_API int per_server_poll(per_server *server, int timeout_ms);

/**
 * A descriptor that is readable whenever per_server_poll() has something to do, for select, poll or epoll.
 * Owned by the server. Also ask per_server_poll_timeout_ms().
 *
 * returns  the descriptor, or a negative PER_E*
 * threads  the one that calls per_server_poll()
 */
PER_API int per_server_poll_fd(per_server *server);

/**
 * Milliseconds until per_server_poll() has to be called for its timers, -1: no timer is running. Same thread
 * as per_server_poll().
 */
PER_API int per_server_poll_timeout_ms(per_server *server);

/** per_server_reload() for a caller compiled with a per_config of another size. Use per_server_reload(). */
PER_API int per_server_reload_sized(per_server *server, const per_config *config, size_t config_bytes);

/**
 * Takes new limits for a server that runs: of config, the limits but head_fields_max and write_queue_bytes,
 * the timeouts and rates, proxy_trusted, and of config->tls handshake_timeout_ms and handshakes_max. All else
 * in it is neither used nor checked; certificates are per_tls_reload()'s. Each worker uses the new ones
 * within a turn of its loop, also for connections that are open. What is too long for a new limit is refused,
 * also when it has begun to come (a body is judged at its head). A deadline that runs is kept; a rate is not
 * judged before a whole window has passed under the new ones.
 *
 * config   copied; 0 means the default, as with per_server_new(); without config->tls, what stands there is
 *          as at the start
 * returns  0; PER_EINVAL with the reason in the log, or when config is NULL; PER_ENOMEM. After an error
 *          nothing has changed.
 * threads  any, while the server object exists
 */
static inline int per_server_reload(per_server *server, const per_config *config)
{
	return per_server_reload_sized(server, config, sizeof(*config));
}

/** Run on a worker's own thread by per_worker_post(). */
typedef void (*per_worker_fn)(unsigned worker, void *arg);

/**
 * Runs a function on a worker, soon: for data that belongs to one worker, such as a configuration that every
 * worker keeps a pointer to.
 *
 * worker   0 to per_server_workers() - 1
 * fn, arg  called exactly once if this returns 0
 * returns  0; PER_EAGAIN when the worker's queue is full; PER_EGONE when the worker has not started or has
 *          ended; PER_EINVAL. After an error fn is not called.
 * threads  any, while the server object exists
 */
PER_API int per_worker_post(per_server *server, unsigned worker, per_worker_fn fn, void *arg);

/**
 * Stops the server gracefully: no new connection, requests in flight are finished, idle connections closed,
 * those that had no request yet when they are a second old; what is left after stop_timeout_ms is cut.
 * Returns at once; per_server_run() returns when it is done. A second call cuts at once.
 *
 * threads  any, also a signal handler
 */
PER_API void per_server_stop(per_server *server);

/**
 * Frees a server that is not running: after per_server_run() has returned, or on the thread that polls it.
 * NULL is allowed. Its connections, if any, are cut. No other thread may use the server from here on.
 */
PER_API void per_server_free(per_server *server);

/**
 * The TCP port of a listener.
 *
 * listener  0 for the first
 * returns   the port in host order, 0 for a unix socket, PER_EINVAL when there is no such listener
 * threads   any
 */
PER_API int per_server_port(const per_server *server, size_t listener);

/**
 * The address of a listener in a form a person can read, for example "http://127.0.0.1:3000"; NULL after
 * the last. Owned by the server, and so are the next two. Any thread.
 */
PER_API const char *per_server_address(const per_server *server, size_t listener);

/** The name of the backend in use ("io_uring", "epoll", "kqueue"). */
PER_API const char *per_server_backend(const per_server *server);

/** Why this backend: "using io_uring", "io_uring: EPERM, blocked by seccomp; using epoll". */
PER_API const char *per_server_backend_reason(const per_server *server);

/** How many workers the server has. */
PER_API unsigned per_server_workers(const per_server *server);

/**
 * Counters of one worker or their sum. All count from the start of the server, except those called "now".
 * Read without stopping the workers: each number is exact, together they are a moment's blur.
 */
typedef struct per_stats {
	uint64_t requests;          /* heads that were parsed and handed on */
	uint64_t responses[6];      /* by first digit of the status; [0] is unused */
	uint64_t connections;       /* accepted */
	uint64_t connections_now;   /* open at this moment */
	uint64_t bytes_in;          /* received, bytes */
	uint64_t bytes_out;         /* handed to the kernel, bytes */
	uint64_t syscalls;          /* system calls made by the backend */
	uint64_t turns;             /* loop turns */
	uint64_t events;            /* completions or readiness events handled */
	uint64_t recv_rearms;       /* io_uring: multishot receives that had to be started again */
	uint64_t recv_starved;      /* io_uring: times a receive found no buffer */
	uint64_t recv_bufs_high;    /* io_uring: most receive buffers in use at once */
	uint64_t cq_overflows;      /* io_uring: times the completion queue overflowed */
	uint64_t accept_errors;     /* EMFILE, ENFILE, ENOBUFS, ENOMEM and the like while accepting */
	uint64_t accept_refused;    /* connections closed at once: no free slot */
	uint64_t accept_pauses;     /* times accepting was suspended for either reason */
	uint64_t bad_requests;      /* refused by the library: 4xx but 408, 501, 505, a bad PROXY header */
	uint64_t timeouts;          /* connections ended by a timeout */
	uint64_t overflow_blocks;   /* buffers larger than a block that had to be taken */
	uint64_t overflow_failures; /* such buffers that were refused: above the memory budget */
	uint64_t posts;             /* functions run by per_post() and its kin */
	uint64_t tls_handshakes;    /* TLS handshakes that were completed */
	uint64_t tls_resumed;       /* of them, those that went on with a ticket */
	uint64_t tls_failed;        /* handshakes that failed, and connections that broke TLS later */
	uint64_t tls_refused;       /* connections closed at once: too many handshakes in progress */
	uint64_t tls_truncated;     /* streams that ended without close_notify */
	uint64_t stop_cuts; /* connections cut by a stop: by its second call, or stop_timeout_ms later */
	uint64_t reserved[6];
} per_stats;

/** per_server_stats() for a caller compiled with a per_stats of another size. Use per_server_stats(). */
PER_API int per_server_stats_sized(const per_server *server, int worker, per_stats *out, size_t stats_bytes);

/**
 * Reads the counters.
 *
 * worker   0 to per_server_workers() - 1, or -1 for the sum over all
 * returns  0 or PER_EINVAL
 * threads  any
 */
static inline int per_server_stats(const per_server *server, int worker, per_stats *out)
{
	return per_server_stats_sized(server, worker, out, sizeof(*out));
}

/**
 * Writes the counters as Prometheus text (exposition format 0.0.4), one series per worker.
 *
 * buf, cap  where to; the text is terminated by NUL
 * returns   the length in bytes without the NUL, or PER_ETOOBIG when cap is too small
 * threads   any
 */
PER_API int per_server_prometheus(const per_server *server, char *buf, size_t cap);

/**
 * The account of the memory that was reserved at startup: one line per purpose, with counts and bytes. The
 * memory is reserved as address space; a page costs nothing until it is first used.
 *
 * buf, cap  where to; the text is terminated by NUL
 * returns   the length in bytes without the NUL, or PER_ETOOBIG when cap is too small
 * threads   any
 */
PER_API int per_server_memory(const per_server *server, char *buf, size_t cap);

/**
 * What this machine supports, tried out rather than guessed from version numbers: one line per backend,
 * with the reason when one does not work and the features that were found.
 *
 * buf, cap  where to; the text is terminated by NUL
 * returns   the length in bytes without the NUL, or PER_ETOOBIG when cap is too small
 * threads   any
 */
PER_API int per_probe(char *buf, size_t cap);

#ifdef __cplusplus
}
#endif

#endif
