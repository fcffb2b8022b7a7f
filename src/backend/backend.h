/* SPDX-License-Identifier: MIT */
/*
 * backend.h - the line between Peregrine and the kernel: a connection's byte stream, completion-shaped.
 *
 * Down-calls go from the core to a backend (struct per__backend); up-calls come back from inside poll only.
 * Receive buffers belong to the backend and are lent for one up-call; bytes to send belong to the core and
 * are lent until on_sent or on_closed. Nothing else crosses the line. tests/contract/ runs the rules on
 * every backend:
 *
 *  B1  Down-calls never up-call. Up-calls come only from inside poll, which is not re-entrant.
 *  B2  At most one send is outstanding per socket.
 *  B3  The lent bytes and the iovec array are the backend's until on_sent or on_closed; it may change the
 *      array. Partial transfers, EAGAIN and the like are its own affair.
 *  B4  Bytes given to on_recv are valid until it returns and may be changed in place.
 *  B5  on_closed comes exactly once per accepted socket, asked for or not (a fatal error closes by itself).
 *      After close it is the only up-call still to come for that socket.
 *  B6  on_closed comes only when no kernel operation refers to the socket or its memory.
 *  B7  After recv_pause returns there is no on_recv until recv_resume; bytes that had arrived are held, in
 *      order. While paused, the end of the stream is held too. A reset is not: it closes, and what was held
 *      is dropped. So an owner that waits for something else than bytes pauses, to hear of it.
 *  B8  Stream order holds; the end of the stream is the last on_recv (len 0); it does not close. A socket
 *      that is paused behind it closes when it is reset, or when nobody can read at the other end any more
 *      and the kernel says so: a unix socket that was closed, not one that was shut down.
 *  B9  ENOBUFS, full queues, CQ overflow, short writes and EAGAIN never leave the backend.
 *  B10 When on_accept refuses, the new descriptor is closed and accepting pauses until a socket of this
 *      loop is closed; EMFILE and its kin pause it too, and a retry comes at most PER__ACCEPT_RETRY_MS
 *      later. Never a busy loop.
 *  B11 listen, unlisten, adopt, send, recv_pause, recv_resume, shutdown and close may be called from inside
 *      up-calls and between polls. A socket on which on_closed was delivered must not be named again.
 */
#ifndef PER_BACKEND_BACKEND_H
#define PER_BACKEND_BACKEND_H

#include "base/base.h"
#include "base/log.h"
#include <sys/uio.h>

struct per__loop;

#define PER__ACCEPT_RETRY_MS 100 /* how long accepting rests after EMFILE, ENFILE, ENOBUFS or ENOMEM */
#define PER__SEND_MAX_BYTES (1u << 30)
/* In per__sock.out_cnt: the entry behind the last of out_iov points to a struct per__file_part. */
#define PER__SOCK_FILE (1u << 31)

/* A part of a file that is sent behind other bytes. */
struct per__file_part {
	uint64_t off, len; /* bytes */
	int fd;
};

/* State of a socket, kept by the backend. */
enum per__sock_state {
	PER__SOCK_FREE = 0,    /* not in use */
	PER__SOCK_OPEN = 1,    /* both directions */
	PER__SOCK_CLOSING = 2, /* close was called or the socket broke; on_closed is to come */
};

/*
 * First member of struct per__conn and the only part of a connection that a backend may touch. One cache
 * line. The owner zeroes it (but for gen) before it returns it from on_accept or passes it to adopt.
 */
struct per__sock {
	int32_t fd;        /* the descriptor; the owner may ask it for addresses while the socket is open */
	uint32_t gen;      /* owner's: bumped each time the slot is freed */
	uint16_t inflight; /* kernel operations that have not ended */
	uint8_t state;     /* enum per__sock_state */
	uint8_t flags;     /* backend's own bits */
	uint32_t
		out_cnt; /* the send in progress: entries of out_iov that are left, 0: none; PER__SOCK_FILE */
	struct iovec *out_iov;  /* lent by the owner until on_sent */
	uint64_t bytes_in;      /* totals, read by rate timeouts and metrics */
	uint64_t bytes_out;     /* bytes the kernel has taken */
	struct per__sock *next; /* backend's private lists */
	union {                 /* backend's own */
		struct {
			uint16_t head, tail; /* io_uring: buffers held while paused, id + 1 */
			int32_t error;
		} held;
		struct {
			uint32_t index; /* epoll, kqueue: place in the table of open sockets */
			int32_t error;  /* why it broke, for on_closed */
		} ready;
		void *ptr; /* simulator: its peer */
	} be;
	uint32_t be_mark; /* backend's own; zeroed with the rest */
	uint8_t be_flags; /* likewise: bits that are not needed for every event */
} __attribute__((aligned(PER_CACHE_LINE)));

_Static_assert(sizeof(struct per__sock) == PER_CACHE_LINE, "a socket is one cache line");

/*
 * A listening socket, already bound and listening (backend/listen.h). Owned by the core; one per loop and
 * address.
 */
struct per__listener {
	int fd;
	uint16_t index; /* which listener of the server */
	uint8_t flags;  /* backend's own bits; zero at first */
	bool is_unix;
	bool is_proxy;              /* core's: connections may begin with a PROXY header */
	bool is_tls;                /* core's: they speak TLS, behind that header if there is one */
	struct per__listener *next; /* backend's private list */
	void *be_data;              /* backend's own */
	uint32_t inflight;          /* backend's own */
};

/* What a backend is told at init. */
struct per__be_conf {
	uint32_t sockets_max;    /* most sockets open at once */
	uint32_t recv_buf_bytes; /* most bytes of one on_recv */
	uint32_t recv_buf_count; /* io_uring: receive buffers, a power of two */
	const struct per__log *log;
	bool is_acceptor; /* this loop only accepts and hands on */
};

/* What a probe found. */
struct per__probe {
	char reason[160];   /* "works here", or why not, in words a user can act on */
	char features[240]; /* what was found, for --probe; may be empty */
};

enum per__close_how {
	PER__CLOSE_NORMAL = 0, /* FIN; bytes already with the kernel are still delivered */
	PER__CLOSE_RESET = 1,  /* RST: SO_LINGER 0; for peers that are cut */
};

/** Names in the log and in counters. */
struct per__be_counters {
	per__counter syscalls, turns, events;
	per__counter recv_rearms, recv_starved, recv_bufs_high, cq_overflows;
	per__counter accept_errors, accept_refused, accept_pauses;
	per__counter bytes_in, bytes_out;
};

/* The down-calls. Each backend defines one const instance of this. */
struct per__backend {
	const char *name;
	int id; /* per_backend */
	/* receive buffers that init reserves for each one of recv_buf_count; 0: one for all sockets */
	uint32_t recv_bufs_each;

	/** Tries the real thing: 0 when it works here, else a negative PER_E*; always fills out. */
	int (*probe)(struct per__probe *out);

	/**
	 * Prepares loop for the calling thread, which is the one that will poll. All allocation happens
	 * here.
	 */
	int (*init)(struct per__loop *loop, const struct per__be_conf *conf);
	/**
	 * Every socket must be closed (on_closed delivered), every listener unlistened; else they are cut
	 * without up-calls.
	 */
	void (*fini)(struct per__loop *loop);

	/**
	 * Starts accepting; listener stays the caller's and must live until unlisten, whose fd the caller
	 * closes afterwards.
	 */
	int (*listen)(struct per__loop *loop, struct per__listener *listener);
	/**
	 * Stops accepting. When it returns no on_accept will come and no kernel operation refers to
	 * listener.
	 */
	void (*unlisten)(struct per__loop *loop, struct per__listener *listener);
	/** Takes over a connected descriptor that was accepted elsewhere and begins to receive. Returns 0
	 * or -error (fd stays the
	 *  caller's). */
	int (*adopt)(struct per__loop *loop, struct per__sock *sock, int fd);

	/** Submits what was queued, waits up to timeout_ns (-1: without limit, 0: not at all), updates
	 * loop->now_ns, up-calls.
	 *  Returns 0, or a negative PER_E* when the loop cannot go on. */
	int (*poll)(struct per__loop *loop, int64_t timeout_ns);
	/** Makes a poll that waits, or the next one, call on_wake. The only call another thread may make. */
	void (*wake)(struct per__loop *loop);
	/** A descriptor that is readable when poll has something to do, or PER_ENOTSUP. */
	int (*poll_fd)(struct per__loop *loop);

	/**
	 * Sends all bytes of iov[0..cnt), then on_sent. cnt is 1 or more, bytes are 1 to
	 * PER__SEND_MAX_BYTES.
	 */
	void (*send)(struct per__loop *loop, struct per__sock *sock, struct iovec *iov, uint32_t cnt);
	/**
	 * As send, and behind the bytes of iov[0..cnt), where cnt may be 0, a part of a file:
	 * iov[cnt].iov_base points to a struct per__file_part with a len of 1 or more. It is lent and
	 * changed as iov is. The part should be in the system's memory: else this call, or a poll, waits
	 * for the disk. A file that ends before the part does, or cannot be read, resets the socket.
	 * SIGPIPE has to be blocked or ignored on this thread. NULL: this backend cannot.
	 */
	void (*send_file)(struct per__loop *loop, struct per__sock *sock, struct iovec *iov, uint32_t cnt);
	void (*recv_pause)(struct per__loop *loop, struct per__sock *sock);
	void (*recv_resume)(struct per__loop *loop, struct per__sock *sock);
	/** Sends FIN. No send may be outstanding, none may follow. Receiving goes on. */
	void (*shutdown)(struct per__loop *loop, struct per__sock *sock);
	/**
	 * Ends the socket; on_closed follows from a later poll. A second call is ignored. Unsent bytes are
	 * dropped.
	 */
	void (*close)(struct per__loop *loop, struct per__sock *sock, enum per__close_how how);
};

/* What a backend sees of a worker: the first member of struct per__worker. */
struct per__loop {
	const struct per__backend *be;
	void *be_state; /* the backend's own */
	int64_t now_ns; /* monotonic time of this turn, set by poll and init */
	int64_t wall_s; /* seconds since 1970 of this turn, set by poll and init */
	struct per__be_counters counters;
};

/* --- up-calls: defined once, in core/conn.c (contract tests define their own) ----------------- */

/** on_accept's answer when the core has taken fd for another worker. */
#define PER__SOCK_TAKEN ((struct per__sock *)1)

/**
 * A connection has arrived. Returns a zeroed socket to receive on, NULL to refuse (B10), or
 * PER__SOCK_TAKEN.
 */
struct per__sock *per__on_accept(struct per__loop *loop, struct per__listener *listener, int fd);

/**
 * len bytes have arrived; 0: the peer has ended its side. data may be changed in place and is lent until
 * the return.
 */
void per__on_recv(struct per__loop *loop, struct per__sock *sock, uint8_t *data, size_t len);

/** Every byte of the send is with the kernel; iov and bytes are the owner's again. */
void per__on_sent(struct per__loop *loop, struct per__sock *sock);

/**
 * The socket is gone and the slot is free. error is 0 after close(), else the negative errno that broke it.
 */
void per__on_closed(struct per__loop *loop, struct per__sock *sock, int error);

/** wake was called at least once since the last time. */
void per__on_wake(struct per__loop *loop);

/* --- selection: backend/select.c -------------------------------------------------------------- */

/** The compiled backends in the order auto tries them, ended by NULL. */
extern const struct per__backend *const per__backends[];

/** The compiled backend with that per_backend id, or NULL. */
const struct per__backend *per__backend_by_id(int id);

/**
 * Chooses a backend by probing.
 *
 * id       PER_BACKEND_AUTO or one that must be used: no silent fall-back then
 * reason   receives the choice in words, "io_uring: EPERM, blocked by seccomp; using epoll"
 * returns  0, or PER_ENOTSUP when none works or the one asked for is not compiled in
 */
int per__backend_select(int id, const struct per__backend **out, char *reason, size_t cap);

extern const struct per__backend per__backend_io_uring;
extern const struct per__backend per__backend_epoll;
extern const struct per__backend per__backend_kqueue;

#endif
