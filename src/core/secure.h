/* SPDX-License-Identifier: MIT */
/*
 * secure.h - TLS on a connection: records opened on their way in, sealed on their way out. What is opened
 * goes the way that plain input goes; the queue of out.h stays plaintext, and records are made of it only
 * when the connection may send. OpenSSL is behind tls/tls.h.
 *
 *   (raw bytes kept) -> queued -> begun -> established -> ended          core/handshake.c, then core/secure.c
 *                          \--------\---------\-> failed
 *
 * Invariant: conn->secure exists from the first byte of a handshake to per__on_closed(); records in
 * wire_first are lent to the backend while the connection is sending.
 */
#ifndef PER_CORE_SECURE_H
#define PER_CORE_SECURE_H

#include "base/slab.h"
#include "core/conn.h"
#include "tls/tls.h"

#define PER__SEAL_BYTES (64u * 1024u)          /* most records of one send, header of the block included */
#define PER__WIRE_BYTES_MAX (192u * 1024u)     /* most records in memory of one connection */
#define PER__HANDSHAKE_BYTES_MAX (32u * 1024u) /* handshake input kept before the peer has to wait */
#define PER__SECURE_OPEN_BYTES (32u * 1024u)   /* plaintext offered at once */

/* Records on their way to the peer. */
struct per__wire {
	struct per__wire *next;
	uint32_t used, cap; /* bytes of data */
	uint32_t plain;     /* how much of conn->out_bytes they carry */
	struct iovec iov;   /* lent to the backend with the data */
	uint8_t data[];
};

enum {
	PER__SECURE_ESTABLISHED = 1 << 0,
	PER__SECURE_COUNTED = 1 << 1, /* one of worker->secure->in_progress */
	PER__SECURE_QUEUED = 1 << 2,  /* waits for its turn of the handshake */
	PER__SECURE_FAILED = 1 << 3,  /* nothing is opened or sealed any more */
	PER__SECURE_ENDED = 1 << 4,   /* close_notify was put out */
	PER__SECURE_CARRIED = 1 << 5, /* bytes of the queue have been sent since the wire was empty */
};

/* One for each connection of TLS: worker->secure->slab. */
struct per__secure {
	struct per__tls *tls; /* NULL until the handshake has begun */
	struct per__conn *conn;
	struct per__wire *wire_first, *wire_last;
	union {
		struct { /* not established */
			struct per__secure *queue_next, *queue_prev;
		};
		struct {                     /* established */
			int64_t sealed_ns;   /* when something was sealed last */
			uint32_t ramp_bytes; /* sealed since the beginning, or since the last pause */
			uint32_t record_cnt; /* sealed with the present key */
		};
	};
	uint32_t wire_bytes; /* in wire_first and behind it */
	uint32_t flags;      /* PER__SECURE_* */
};

_Static_assert(sizeof(struct per__secure) <= PER_CACHE_LINE, "one cache line beside the connection's");

struct per__secure_queue {
	struct per__secure *first, *last;
};

/* What a worker has for TLS. */
struct per__secure_worker {
	struct per__tls_line line;
	struct per__slab slab;
	struct per__secure_queue begun, fresh; /* handshakes that wait for their turn */
	uint32_t in_progress;                  /* handshakes, waiting for their turn or for the peer */
	uint8_t gather[PER__TLS_RECORD_MAX];   /* plaintext of a record, from several places */
	uint8_t opened[PER__SECURE_OPEN_BYTES];
};

/** Makes worker->secure. Returns 0 or PER_ENOMEM. */
int per__secure_init(struct per__worker *worker);
void per__secure_fini(struct per__worker *worker);

/** The first protocol of connections that speak TLS: the handshake. */
extern const struct per__proto per__proto_handshake;

/** Goes on with handshakes that wait, within a budget. Called at the end of a turn. */
void per__handshakes_run(struct per__worker *worker);
bool per__handshakes_wait(const struct per__worker *worker);

/** Ciphertext has arrived on an established connection. data is lent until the return. */
void per__secure_input(struct per__conn *conn, uint8_t *data, size_t len);

/**
 * Is what the protocol is given now 0-RTT? conn speaks TLS. Such a connection cannot be ended before the
 * handshake is complete, for which it goes on reading.
 */
bool per__secure_is_early(const struct per__conn *conn);

/** The peer has ended its side: without close_notify, that is a truncation. */
void per__secure_eof(struct per__conn *conn);

/**
 * Seals what is queued, as far as one send goes, and hands it to the backend unless a send is outstanding.
 * Behind the last byte of a connection that finishes close_notify is put out, then the connection ended.
 */
void per__secure_flush(struct per__conn *conn);

/**
 * wire_first is with the kernel. Returns true when the wire is empty and bytes of the queue were in it:
 * behind them TLS may have put something of its own.
 */
bool per__secure_sent(struct per__conn *conn);

/** The connection is gone: frees what it had. */
void per__secure_drop(struct per__conn *conn);

/** The peer has broken the protocol: sends the alert that was put out, if any, and ends the connection. */
void per__secure_fail(struct per__conn *conn);

/** What was negotiated. Returns 0, or PER_ENOTSUP without TLS. */
int per__secure_info(const struct per__conn *conn, per_tls_info *out);

/** Makes the worker's line read data and write to conn, for the next call of tls.h. */
void per__secure_aim(struct per__conn *conn, uint8_t *data, size_t len);

#endif
