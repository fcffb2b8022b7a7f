/* SPDX-License-Identifier: MIT */
/*
 * config.h - what a server is told before it starts. In every structure here zero means "the default",
 * so `{ .port = 8080, .handler.on_request = hello }` is a complete configuration.
 */
#ifndef PEREGRINE_CONFIG_H
#define PEREGRINE_CONFIG_H

#include <peregrine/tls.h>
#include <peregrine/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How the server talks to the kernel. */
typedef enum per_backend {
	PER_BACKEND_AUTO = 0, /* the first of io_uring, kqueue, epoll that works here; the reason is logged */
	PER_BACKEND_IO_URING = 1,
	PER_BACKEND_EPOLL = 2,
	PER_BACKEND_KQUEUE = 3,
} per_backend;

/** Log levels, most important first. */
typedef enum per_log_level {
	PER_LOG_ERROR = 0,
	PER_LOG_WARN = 1,
	PER_LOG_INFO = 2,
	PER_LOG_DEBUG = 3,
} per_log_level;

/**
 * Receives one log line.
 *
 * level    how important it is
 * line     the text, terminated by NUL, without a newline; valid until the callback returns
 * user     per_config.log_user
 * threads  called from any thread, several at once; it must not call back into the server
 */
typedef void (*per_log_fn)(per_log_level level, const char *line, void *user);

/** Bits of per_listen.flags. */
enum {
	PER_LISTEN_PROXY = 1 << 0,  /* connections from trusted peers begin with a PROXY protocol header */
	PER_LISTEN_V6ONLY = 1 << 1, /* an IPv6 wildcard does not accept IPv4 */
	PER_LISTEN_TLS = 1 << 2,    /* connections speak TLS (behind their PROXY header): per_config.tls */
};

/** One place to listen. */
typedef struct per_listen {
	/*
	 * "127.0.0.1:8080", "[::1]:8080", "*:8080" or ":8080" (IPv6 and IPv4), "localhost:8080" (resolved
	 * once), "unix:/run/peregrine.sock", "unix:@abstract" (Linux), "fd:3" (an inherited listening
	 * socket). Port 0 takes a free port; per_server_port() tells which. Copied.
	 */
	const char *address;
	unsigned flags;     /* PER_LISTEN_* */
	int backlog;        /* connections waiting to be accepted; default 4096 */
	unsigned unix_mode; /* permission bits of a unix socket's file; default 0666 */
	void *reserved[6];  /* must be NULL */
} per_listen;

/**
 * What the application does with requests. Only on_request is required. Hooks are called on worker threads:
 * several requests at once on several threads, one at a time on each. A hook must not block.
 *
 * A hook that returns a negative number makes the server answer 500 if nothing was answered yet, or cut
 * the connection if a response had begun.
 */
typedef struct per_handler {
	/*
	 * The request is complete: its body is in per_req_body(), or was delivered by on_body. Answer with
	 * per_reply() and its kin, begin a streamed answer with per_begin(), or take a reference with
	 * per_defer() to answer later. Returning 0 without having done any of these is answered with 500.
	 */
	int (*on_request)(per_req *req, void *user);

	/*
	 * The head has arrived and the body has not been read yet. May answer at once (a refusal:
	 * on_request is not called then), change the limit with per_req_set_body_max(), or choose delivery
	 * in pieces with per_req_stream_body(). "100 Continue" leaves only after this hook agreed by not
	 * answering.
	 */
	int (*on_head)(per_req *req, void *user);

	/* A piece of a streamed body; data is valid until the hook returns. len is at least 1. */
	int (*on_body)(per_req *req, const void *data, size_t len, void *user);

	/* A streamed answer that met PER_EAGAIN, or filled the queue, can go on. */
	void (*on_writable)(per_req *req, void *user);

	/*
	 * The exchange is over; req is not valid after this returns. Called exactly once for each request
	 * that any other hook has seen. error is 0 when the whole answer was handed to the connection, else
	 * PER_EGONE (the peer has left), PER_ETIMEDOUT, PER_EPROTO (a broken body, or an answer that ended
	 * short of its length), PER_ENOMEM, PER_ETOOBIG.
	 */
	void (*on_done)(per_req *req, int error, void *user);

	/*
	 * Run on each worker's own thread before its first request and after its last. *state is the
	 * worker's own pointer, read with per_req_worker_state() and per_ws_worker_state(). A negative
	 * return keeps the server from starting: per_server_run() returns it.
	 */
	int (*worker_init)(unsigned worker, void **state, void *user);
	void (*worker_exit)(unsigned worker, void *state, void *user);

	void *user; /* passed to every hook */

	/*
	 * For an access log: called exactly once for each request, just before on_done, and also for those
	 * that the library ends by itself and no other hook hears of: a head that is wrong (400, 414, 431,
	 * 501 ...), too slow (408) or cut off, CONNECT, "OPTIONS *". Of a head that is not complete, what has
	 * come can be read: per_req_line() gives the bytes, method, target and fields are there if they were
	 * complete, else empty. Nothing can be answered here. error is as in on_done.
	 */
	void (*on_log)(per_req *req, int error, void *user);

	void (*reserved[7])(void);
} per_handler;

/** The configuration of a server. Everything is copied by per_server_new(). */
typedef struct per_config {
	/* --- where to listen ------------------------------------------------------------------------- */
	const char *host; /* with port: the address to listen on; default: every address */
	/* used when there are no listeners below; default 3000; a free port: a listener with ":0" */
	uint16_t port;
	const per_listen *listen; /* listeners, at most 64 */
	size_t listen_count;
	/* "10.0.0.0/8, ::1, unix": peers whose PROXY header is believed; default none */
	const char *proxy_trusted;

	/* --- what to do ------------------------------------------------------------------------------ */
	per_handler handler;
	per_log_fn log; /* default: errors and warnings to stderr; lost when a full pipe does not take them */
	void *log_user;
	/* what reaches `log`; 0 (errors) is raised to PER_LOG_WARN unless log_errors_only */
	per_log_level log_level;
	bool log_errors_only;
	/*
	 * SIGINT and SIGTERM call per_server_stop(), from per_server_new() until per_server_free(); never
	 * done unless asked for, and for at most 16 servers of a process
	 */
	bool handle_signals;

	/* --- engine ---------------------------------------------------------------------------------- */
	per_backend backend;
	/* event loops, one thread each; default: CPUs this process may use (affinity, cgroup) */
	unsigned workers;
	bool pin; /* pin worker n to the n-th CPU this process may use */
	/* > 0: that many acceptors hand each connection to the least loaded worker */
	unsigned accept_threads;
	size_t stack_bytes;       /* stack of a worker thread; default: the system's */
	unsigned connections_max; /* open at once, over all workers; default 65,536 */
	/*
	 * most memory for input that waits, bodies, output and compression, over all workers; default
	 * 512 MiB; connections and receive buffers are beside it, see per_server_memory()
	 */
	size_t memory_bytes;
	unsigned recv_buf_bytes; /* one receive buffer; default 16 KiB; 1 KiB to 1 MiB */
	/*
	 * receive buffers of one worker that the kernel may have at a time (io_uring; some more are
	 * reserved); default 512, a power of two, 8 to 16,384
	 */
	unsigned recv_buf_count;

	/* --- limits ---------------------------------------------------------------------------------- */
	/* request line and fields together, else 431; default 16 KiB; at most 65,535 */
	unsigned head_bytes_max;
	unsigned head_fields_max;  /* fields of a head or of trailers, else 431; default 100 */
	unsigned target_bytes_max; /* request target, else 414; default 8 KiB */
	/* a buffered body, else 413; default 1 MiB; per_req_set_body_max() overrides */
	uint64_t body_bytes_max;
	unsigned requests_per_connection_max; /* then the connection is closed politely; default: no limit */
	/* per connection, where PER_EAGAIN begins and the next pipelined request waits; default 256 KiB */
	size_t write_queue_bytes;

	/* --- timeouts, in milliseconds ----------------------------------------------------------------- */
	/*
	 * from the first byte of a head (of the first one: from the accept) to its end, else 408, or a close
	 * when nothing was sent; default 15,000
	 */
	unsigned head_timeout_ms;
	unsigned idle_timeout_ms; /* between requests of a connection; default 60,000 */
	/* how long a body or a response may fall short of its rate; default 10,000 */
	unsigned rate_window_ms;
	unsigned body_rate_min; /* bytes/s a request body has to arrive at, else 408; default 240 */
	/* bytes/s a client has to take a response at, else it is cut; default 240 */
	unsigned write_rate_min;
	/* after the last answer: how long the peer may be silent before it closes; default 2,000 */
	unsigned linger_timeout_ms;
	unsigned stop_timeout_ms; /* per_server_stop(): requests in flight get this long; default 10,000 */

	/* --- looks ----------------------------------------------------------------------------------- */
	const char *server_name; /* value of a Server field in every response; default: no such field */

	/* --- TLS ------------------------------------------------------------------------------------- */
	/*
	 * certificates and the like, for the listeners with PER_LISTEN_TLS; without a list of listeners, host
	 * and port are one of them. Default: no TLS
	 */
	const per_tls_config *tls;
} per_config;

#ifdef __cplusplus
}
#endif

#endif
