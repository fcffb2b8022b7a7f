/* SPDX-License-Identifier: MIT */
/*
 * conn.h - one connection: its socket, its queue of output, the input that could not be used yet, its
 * deadline. Knows no protocol: what the bytes mean is the business of the struct per__proto that it points
 * to.
 *
 *   open ----------------------> closing ----> (slot free)
 *     \-- finishing -- lingering --/
 *
 * finishing: the queue is sent, then the connection ends. lingering: our FIN is sent and input is thrown
 * away, so that the peer can read our last answer. closing: the backend was told; only on_closed is to come.
 */
#ifndef PER_CORE_CONN_H
#define PER_CORE_CONN_H

#include "backend/backend.h"
#include "base/addr.h"
#include "core/conf.h"
#include "core/timer.h"

struct per__conn;
struct per__worker;
struct per__out_block;
struct per__secure;
struct per_req;

/* The rules of a protocol. Called by conn.c only, on the connection's worker. */
struct per__proto {
	const char *name;
	/**
	 * The connection was switched to this protocol; input behind it comes to on_data. Not for a new
	 * connection.
	 */
	void (*on_open)(struct per__conn *conn);
	/**
	 * Uses input. What is not used is kept and given again with more behind it, unless PER__CONN_HOLD
	 * is set: then again only after per__conn_unhold(). data may be changed in place and is lent until
	 * the return.
	 *
	 * returns  bytes used, 0 to len
	 */
	size_t (*on_data)(struct per__conn *conn, uint8_t *data, size_t len);
	/** The peer has ended its side, and all input was used or is incomplete for ever. */
	void (*on_eof)(struct per__conn *conn);
	/** Once in a turn in which per__conn_mark_dirty() was called, outside of any application hook. */
	void (*on_turn)(struct per__conn *conn);
	/** The queue has shrunk to out_low bytes or less after PER__CONN_WANT_WRITABLE was set. */
	void (*on_writable)(struct per__conn *conn);
	/** All output is with the kernel. */
	void (*on_drained)(struct per__conn *conn);
	/** The deadline set with per__conn_set_timer() has passed. */
	void (*on_timeout)(struct per__conn *conn);
	/** Input could not be kept: the memory budget is used up. Ends the connection. */
	void (*on_nomem)(struct per__conn *conn);
	/**
	 * The server stops: end as soon as what is in progress is done, and what was sent before anybody
	 * could know. Also called for a connection that comes while the server stops.
	 */
	void (*on_stop)(struct per__conn *conn);
	/** The connection is gone; error is 0 or a negative PER_E*. Last call. */
	void (*on_close)(struct per__conn *conn, int error);
};

enum per__timer_kind {
	PER__TIMER_NONE = 0,
	PER__TIMER_IDLE,   /* nothing is in progress */
	PER__TIMER_HEAD,   /* a head (or a PROXY header) is incomplete */
	PER__TIMER_RATE,   /* a body or a response is in progress: looked at once per window */
	PER__TIMER_LINGER, /* conn.c's own */
};

enum {
	PER__CONN_SENDING = 1 << 0,   /* the first block is with the backend */
	PER__CONN_HOLD = 1 << 1,      /* the protocol takes no input now */
	PER__CONN_PAUSED = 1 << 2,    /* receiving is paused at the backend */
	PER__CONN_EOF = 1 << 3,       /* the peer has ended its side */
	PER__CONN_EOF_TOLD = 1 << 4,  /* and the protocol knows */
	PER__CONN_FINISHING = 1 << 5, /* end when the queue is sent */
	PER__CONN_LINGER = 1 << 6,    /* by lingering */
	PER__CONN_LINGERING = 1 << 7,
	PER__CONN_CLOSING = 1 << 8, /* the backend was told to close, or has broken */
	PER__CONN_DIRTY = 1 << 9,   /* on the worker's dirty list */
	PER__CONN_WANT_WRITABLE = 1 << 10,
	PER__CONN_WANT_BODY = 1 << 11, /* the protocol waits for input at a minimum rate */
	PER__CONN_TIMED_OUT = 1 << 12, /* ended by a timeout */
	PER__CONN_GONE = 1 << 13,      /* closed, but still on the dirty list */
	PER__CONN_TLS = 1 << 14,       /* has a struct per__secure: bytes are opened and sealed */
};

#define PER__CONN_BYTES 256u
#define PER__CONN_FRESH_NS \
	INT64_C(1000000000) /* so long a stop waits for the first request of a new connection */

struct per__conn {
	struct per__sock sock; /* first: the backend's line */

	struct per__worker *worker; /* second line: touched by every request */
	const struct per__proto *proto;
	struct per_req *req;              /* the protocol's exchange in progress, NULL between two */
	struct per__out_block *out_first; /* oldest */
	struct per__out_block *out_last;  /* being filled */
	size_t out_bytes;                 /* queued and not yet with the kernel */
	int64_t deadline_ns;              /* of timer_kind */
	uint32_t flags;                   /* PER__CONN_* */
	uint8_t timer_kind;
	uint8_t listener; /* index of the listener it came from */

	uint8_t *in;     /* input that could not be used yet, or NULL */
	uint32_t in_pos; /* used bytes at its beginning */
	uint32_t in_len; /* unused bytes behind them */
	uint32_t in_cap;
	uint32_t requests; /* begun on this connection */
	struct per__conn *dirty_next;
	size_t out_low;             /* where on_writable is called */
	uint64_t rate_in, rate_out; /* totals when the current rate window began */
	int64_t wheel_ns;           /* the deadline that the wheel knows: deadline_ns or earlier */
	union {
		uint64_t rate_taken;   /* bytes that had left the kernel's buffer at its last end */
		int64_t linger_end_ns; /* lingering: when that ends whatever arrives */
	};
	struct per__secure *secure;          /* of a connection of TLS */
	const struct per__proto *proto_next; /* where per__conn_switch() goes, or NULL */
	void *proto_state;                   /* of an upgraded protocol */
	struct per__timer timer;
	struct per__peer peer; /* family 0: not asked yet */
} __attribute__((aligned(PER_CACHE_LINE)));

_Static_assert(sizeof(struct per__conn) == PER__CONN_BYTES, "an idle connection is four cache lines");

static inline struct per__conn *per__conn_of(struct per__sock *sock)
{
	return PER_CONTAINER_OF(sock, struct per__conn, sock);
}

/** Is it still possible to answer? */
static inline bool per__conn_is_open(const struct per__conn *conn)
{
	return (conn->flags & PER__CONN_CLOSING) == 0;
}

/** Has it work for the end of this turn: output to send, an exchange to finish? */
void per__conn_mark_dirty(struct per__conn *conn);

/**
 * The end of a turn for one connection: the protocol's on_turn, kept input, then one send. Called by
 * worker.c.
 */
void per__conn_turn(struct per__conn *conn);

/**
 * The protocol takes no input from now on; what arrives is kept, and the peer slowed down when it sends
 * more.
 */
static inline void per__conn_hold(struct per__conn *conn)
{
	conn->flags |= PER__CONN_HOLD;
}

/** The protocol takes input again, from the end of this turn on. */
void per__conn_unhold(struct per__conn *conn);

/** Goes over to proto_next: the request to upgrade is answered. */
void per__conn_switch(struct per__conn *conn);

/**
 * Ends the connection when the queue is sent; with_linger so that the peer can read it although it is still
 * sending.
 */
void per__conn_finish(struct per__conn *conn, bool with_linger);

/** Ends the connection now. What is queued is dropped. A second call is ignored. */
void per__conn_close(struct per__conn *conn, enum per__close_how how);

/** As per__conn_close(), with RST, counted as a timeout. */
void per__conn_cut(struct per__conn *conn);

/** Sets the connection's one deadline, in nanoseconds from the time of this turn. */
void per__conn_set_timer(struct per__conn *conn, enum per__timer_kind kind, int64_t timeout_ns);

/**
 * The server stops and nothing was asked yet: a request may be on its way, and is waited for until the
 * connection is PER__CONN_FRESH_NS old.
 *
 * timeout_ns  what its deadline was set with, when it was new
 * returns     false when that time is over: nobody is waited for
 */
bool per__conn_stay_fresh(struct per__conn *conn, int64_t timeout_ns);

/** Begins a rate window unless one is running. */
void per__conn_watch_rate(struct per__conn *conn);

/** Input has to come at a minimum rate from here on; the window that is running lasts that much longer. */
void per__conn_want_body(struct per__conn *conn, int64_t longer_ns);

/** The deadline in the wheel has come: called by worker.c. */
void per__conn_expired(struct per__conn *conn);

/**
 * Plaintext has arrived; data is lent until the return. Called by secure.c, and inside conn.c for connections
 * without TLS.
 */
void per__conn_input(struct per__conn *conn, uint8_t *data, size_t len);

/** The end of the stream has arrived, in plaintext: the protocol hears of it behind all input. */
void per__conn_input_end(struct per__conn *conn);

/** Frees the input that is kept. */
void per__conn_input_drop(struct per__conn *conn);

/** Receives again if that was paused. */
void per__conn_recv_go_on(struct per__conn *conn);

/** Of a connection that finishes: everything is sent and nothing more is to come. */
void per__conn_finish_now(struct per__conn *conn);

/** Hands what can be sent to the backend, unless a send is outstanding. */
void per__conn_flush(struct per__conn *conn);

/** The peer's address; asks the kernel the first time. */
const struct per__peer *per__conn_peer(struct per__conn *conn);

/** What a new connection speaks, behind its PROXY header if it begins with one. */
const struct per__proto *per__conn_first_proto(const struct per__conn *conn);

/** Takes over a descriptor that an acceptor hands over; closes it when there is no slot. */
void per__conn_adopt(struct per__worker *worker, int fd, uint8_t listener);

#endif
