/* SPDX-License-Identifier: MIT */
/*
 * worker.h - one loop and everything that belongs to it: connections, exchanges, buffers, timers, mailbox.
 * Shares nothing with other workers; only the mailbox, the stop request and reading the counters cross
 * threads.
 */
#ifndef PER_CORE_WORKER_H
#define PER_CORE_WORKER_H

#include "backend/backend.h"
#include "base/buddy.h"
#include "base/slab.h"
#include "core/conf.h"
#include "core/mailbox.h"
#include "core/timer.h"
#include <stdatomic.h>

struct per__conn;
struct per__proto;
struct per__secure_worker;
struct per__tls_ctx;
struct per__worker;

#define PER__BLOCK_BYTES 4160u /* not a power of two: blocks spread over the sets of a cache */
#define PER__STATUS_CLASSES 6u

struct per__counters {
	per__counter requests, responses[PER__STATUS_CLASSES];
	per__counter connections, connections_now;
	per__counter bad_requests, timeouts, stop_cuts, posts;
	per__counter overflow_blocks, overflow_failures;
	per__counter tls_handshakes, tls_resumed, tls_failed, tls_refused, tls_truncated;
};

/* What a worker asks of the layers above it; one const instance, installed by server.c. */
struct per__upper {
	const struct per__proto *first;       /* of a new connection */
	const struct per__proto *first_proxy; /* of a connection that begins with a PROXY header */
	/* queues an answer for who speaks without TLS where TLS is spoken; 0 or PER_ENOMEM */
	int (*not_tls)(struct per__conn *conn);
	const void *proto_conf; /* the first protocol's own, shared by all workers */
	size_t req_bytes;       /* size of one exchange */
	size_t ext_bytes;       /* size of what an upgraded protocol keeps per connection */
	void *shared;           /* the upgraded protocols' own, shared by all workers */
	/* around a worker's life, and when another thread woke it; may allocate in begin only */
	int (*begin)(struct per__worker *worker);
	void (*end)(struct per__worker *worker);
	void (*on_wake)(struct per__worker *worker);
	/* the worker accepts no more at this listener: its socket may be closed */
	void (*unlistened)(struct per__worker *worker, size_t listener);
};

/* What a service keeps on a worker, from per__worker_attach() until it detaches itself or the worker ends. */
struct per__attached {
	struct per__attached *next;
	void (*on_wake)(struct per__attached *attached); /* another thread has woken the worker; may detach */
	void (*on_end)(struct per__attached *attached);  /* the connections are closed: the last call */
	/* the time of per__worker_due() has come; may ask for another one, not detach */
	void (*on_due)(struct per__attached *attached);
	/* no descriptor was left for a connection: what is open and not in use is to be closed */
	void (*on_short)(struct per__attached *attached);
	int64_t due_ns; /* of per__worker_due(); INT64_MAX: never */
};

struct per__worker {
	struct per__loop loop; /* first: the backend's view */
	unsigned index;
	bool is_acceptor;
	bool is_stopping;
	bool is_done;
	bool may_send_file;   /* SIGPIPE is blocked on its thread */
	bool may_use_reserve; /* what is taken now is for an error answer */
	const struct per__conf *conf;
	struct per__policy policy;
	int64_t policy_ns;                       /* when its times and rates were changed; INT64_MIN: never */
	struct per__policy *_Atomic policy_next; /* what replaces it, from another thread; NULL: nothing */
	struct per__upper upper;
	per_server *server;
	void *user_state;  /* from worker_init */
	void *upper_state; /* the upper layers' own, from begin */
	struct per__attached *attached;
	int64_t due_ns; /* nothing that is attached is due before; INT64_MAX: never */
	/* what new connections of TLS begin with (tls/context.h); NULL: no TLS, or an acceptor */
	struct per__tls_ctx *tls;
	struct per__tls_ctx *_Atomic tls_next; /* what replaces it, from another thread; NULL: nothing */
	struct per__secure_worker *secure;     /* what they share; NULL: no TLS */

	struct per__conn *dirty_first, *dirty_last;
	struct per__slab conns, reqs, exts, blocks;
	struct per__buddy overflow;
	struct per__wheel wheel;
	int64_t stop_deadline_ns; /* when what is left is cut; 0: not stopping */

	uint64_t accept_errors; /* as on_short has last heard of them */
	int64_t date_wall_s;    /* the second that date_line is for */
	char date_line[240];    /* "Date: ...\r\n" and the Server field */
	size_t date_line_len;

	struct per__counters counters;
	struct per__mailbox mailbox;
	uint64_t handed_over;  /* connections in the mailbox; atomic */
	atomic_int stop_level; /* 0 run, 1 stop gracefully, 2 cut */

	struct per__listener *listeners; /* array, one for each listener of the server */
	size_t listener_cnt;
	struct per__worker **targets; /* acceptors: the workers they hand to */
	unsigned target_cnt;
};

static inline struct per__worker *per__worker_of(struct per__loop *loop)
{
	return PER_CONTAINER_OF(loop, struct per__worker, loop);
}

/**
 * Reserves a worker's memory. index, conf, upper, server, loop.be are set by the caller. Returns 0 or
 * PER_ENOMEM.
 */
int per__worker_init(struct per__worker *worker);
void per__worker_fini(struct per__worker *worker);

/** Starts the loop on the calling thread, which is the one that will run it, and begins to accept. */
int per__worker_start(struct per__worker *worker);

/** Makes the lines that every response carries, for the present second. */
void per__worker_date_make(struct per__worker *worker);

/** These lines, "Date: ...\r\n" and the Server field: as long in every second. */
static inline per_str per__worker_date(struct per__worker *worker)
{
	if (PER_UNLIKELY(worker->loop.wall_s != worker->date_wall_s))
		per__worker_date_make(worker);
	return per_str_make(worker->date_line, worker->date_line_len);
}

/**
 * One turn: wait up to timeout_ns (-1: as long as there is nothing to do), handle, send. Sets is_done when
 * stopped and empty.
 */
int per__worker_turn(struct per__worker *worker, int64_t timeout_ns);

/** Ends the work: cuts what is left, runs what is in the mailbox with "gone". On the same thread as start. */
void per__worker_end(struct per__worker *worker);

/** Gives the loop of a worker that has ended back to the backend: it cannot be woken from here on. */
void per__worker_release(struct per__worker *worker);

/** Nanoseconds until a timer of the worker is due; -1: never. */
int64_t per__worker_wait_ns(const struct per__worker *worker);

/** Asks the worker to stop; level 1 gracefully, 2 at once. Any thread, while the loop runs. */
void per__worker_stop(struct per__worker *worker, int level);

/** Wakes the loop of a struct per__worker: for the mailbox. Any thread, while the loop exists. */
void per__worker_wake(void *worker);

/** Adds something to what is told of wakes and of the end; takes it off. On the worker's thread. */
void per__worker_attach(struct per__worker *worker, struct per__attached *attached);
void per__worker_detach(struct per__worker *worker, struct per__attached *attached);

/** Asks for on_due of what is attached, once, soon after that time. On the worker's thread. */
void per__worker_due(struct per__worker *worker, struct per__attached *attached, int64_t due_ns);

/** Calls on_short of what is attached. On the worker's thread. */
void per__worker_short(struct per__worker *worker);

/** Takes the policy that another thread has left in policy_next, if there is one. On the worker's thread. */
void per__worker_take_policy(struct per__worker *worker);

/** Wakes the worker's loop unless it has ended: on_wake of what is attached is called. Any thread. */
void per__worker_poke(struct per__worker *worker);

/** Runs what other threads have asked for. Called by on_wake. */
void per__worker_mail(struct per__worker *worker);

/**
 * A block of memory for buffers: an ordinary one up to PER__BLOCK_BYTES, else one from the bounded overflow
 * region.
 *
 * cap      receives its size in bytes
 * returns  NULL when the budget is used up (counted)
 */
void *per__block_take(struct per__worker *worker, size_t bytes, size_t *cap);
void per__block_give(struct per__worker *worker, void *block);

/** The cap in bytes that taking the block said. */
size_t per__block_size(const struct per__worker *worker, const void *block);

#endif
