/* SPDX-License-Identifier: MIT */
/*
 * readiness.h - what epoll and kqueue share: completion (backend.h, B1-B11) made from readiness.
 * Knows sockets and lists, not how readiness is learnt: that is behind struct per__ready_ops. Called by
 * epoll.c, kqueue.c. Invariant: a socket is on at most one of the lists work, turn and closed, and is on
 * one exactly while it has F_LISTED.
 */
#ifndef PER_BACKEND_READINESS_H
#define PER_BACKEND_READINESS_H

#include "backend/backend.h"

#define PER__READY_ACCEPTS_PER_TURN 64u /* per listener; the rest is reported again by the next wait */
#define PER__READY_READS_PER_TURN 4u    /* full buffers per socket; then the others have their turn */
#define PER__READY_IOV_MAX 1024u        /* most entries of one sendmsg: IOV_MAX of every system we run on */
#define PER__READY_STARVED_MS 10 /* a send or read that met ENOBUFS or ENOMEM is tried again after this */

/* Bits of per__sock.flags. */
enum per__ready_flag {
	PER__READY_F_LISTED = 1 << 0,   /* on one of the lists */
	PER__READY_F_READABLE = 1 << 1, /* an edge was seen and has not been used up: read when not paused */
	PER__READY_F_PAUSED = 1 << 2,   /* recv_pause */
	PER__READY_F_ENDING = 1 << 3,  /* the peer has ended or broken it: a short read is not the last one */
	PER__READY_F_ENDED = 1 << 4,   /* the end was delivered; never read again */
	PER__READY_F_BLOCKED = 1 << 5, /* the send in progress waits for the edge of writability */
	PER__READY_F_SENT = 1 << 6,    /* on_sent is due */
	PER__READY_F_WANTS_WRITE = 1 << 7 /* writability is being watched; stays so once it was needed */
};

/* Bits of per__sock.be_flags. */
#define PER__READY_B_SHUT 1u    /* shutdown was called: the end of both directions is no news */
#define PER__READY_B_STARVED 2u /* a read has met ENOBUFS or ENOMEM: the next poll waits before another */

/* What a wait reports about a socket. */
enum per__ready_event {
	PER__READY_IN = 1 << 0,
	PER__READY_OUT = 1 << 1,
	PER__READY_END = 1 << 2,  /* the peer has sent FIN */
	PER__READY_FAIL = 1 << 3, /* SO_ERROR may be set */
	PER__READY_HUP = 1 << 4,  /* both directions have ended */
};

/* What epoll and kqueue do differently, off the hot path. The int ones return 0 or a negative errno. */
struct per__ready_ops {
	/** Edge-triggered interest in reading; data that has arrived already is reported too. */
	int (*sock_add)(struct per__loop *loop, struct per__sock *sock);
	/**
	 * Adds interest in writing; if it is writable by now, that is reported, and so is an error or hang-up
	 * that was reported before.
	 */
	int (*sock_want_write)(struct per__loop *loop, struct per__sock *sock);
	/** The descriptor is about to be closed. */
	void (*sock_forget)(struct per__loop *loop, struct per__sock *sock);
	/**
	 * Level-triggered interest in a listener, and its end: an event of it that was fetched already is
	 * forgotten.
	 */
	int (*listener_add)(struct per__loop *loop, struct per__listener *listener);
	void (*listener_del)(struct per__loop *loop, struct per__listener *listener);
	/** Makes the next wait return at once. */
	void (*kick)(struct per__loop *loop);
};

#define PER__READY_NS_PER_MS INT64_C(1000000)
#define PER__READY_UNTIL_CLOSE INT64_MAX /* accept_retry_ns: until a socket of this loop is closed */

struct per__ready_list {
	struct per__sock *head, *tail;
};

/* The shared part of a loop's state: the first member of epoll's and kqueue's. */
struct per__ready {
	const struct per__ready_ops *ops;
	uint8_t *buf; /* the one receive buffer, lent to on_recv */
	size_t buf_bytes;
	struct per__ready_list work;   /* something to do, from the next poll on */
	struct per__ready_list turn;   /* up-calls due in this poll */
	struct per__ready_list closed; /* closed before this poll's wait: no event can name them */
	struct per__sock **open;       /* open sockets, densely; a socket knows its place */
	uint32_t open_count, open_max;
	struct per__listener *listeners;
	struct per__listener *accepting; /* whose connections are being accepted now; NULL once unlistened */
	int64_t accept_retry_ns;         /* 0: accepting; else resting until then */
	bool is_polling;
	bool is_watched; /* the descriptor of poll_fd is polled by someone else */
	bool is_starved;
	uint32_t is_woken; /* atomic: wake was called and on_wake is due */
};

PER_INLINE struct per__ready *per__ready_of(struct per__loop *loop)
{
	return loop->be_state;
}

PER_INLINE void per__ready_count_syscall(struct per__loop *loop)
{
	per__count(&loop->counters.syscalls, 1);
}

/** Returns 0 or PER_ENOMEM. fini closes what is still open, without up-calls. */
int per__ready_init(struct per__loop *loop, struct per__ready *ready, const struct per__be_conf *conf);
void per__ready_fini(struct per__loop *loop);

/*
 * A poll is: begin, wait, arrive, every event, finish.
 *
 * begin    tries the sends that were queued since the last poll; returns the timeout to wait with
 * arrive   sets the clock; up-calls what is due without an event. waited_ns: the timeout if it passed, else 0
 * finish   tries the sends that were queued in this poll, with their on_sent: one send for each socket and
 *          turn
 */
int64_t per__ready_begin(struct per__loop *loop, int64_t timeout_ns);
void per__ready_arrive(struct per__loop *loop, int64_t waited_ns);
void per__ready_finish(struct per__loop *loop);

/** One event. Sockets that were closed in the meantime are ignored. events: enum per__ready_event. */
void per__ready_sock_event(struct per__loop *loop, struct per__sock *sock, unsigned events);
/** Accepts up to count connections, never more than PER__READY_ACCEPTS_PER_TURN. */
void per__ready_listener_event(struct per__loop *loop, struct per__listener *listener, uint32_t count);
void per__ready_wake_event(struct per__loop *loop);

/** Begins to receive. Returns 0, or a negative errno with the descriptor still the caller's. */
int per__ready_sock_open(struct per__loop *loop, struct per__sock *sock, int fd);

/** Ends a socket: error 0 or a negative errno for on_closed. Ignored when it has ended. */
void per__ready_sock_end(struct per__loop *loop, struct per__sock *sock, int error);

/** Sees to it that the socket is looked at by the next poll, or by the rest of this one. */
void per__ready_work_add(struct per__loop *loop, struct per__sock *sock);

/** Watches writability from here on, and has errors and ends that were reported before reported again. */
void per__ready_look_again(struct per__loop *loop, struct per__sock *sock);

/** There may be room for connections again. */
void per__ready_accept_resume(struct per__loop *loop);

/** True for the first of several wakes: the caller has to kick. Any thread. */
bool per__ready_wake_begin(struct per__ready *ready);

/* The down-calls that are the same everywhere. */
int per__ready_listen(struct per__loop *loop, struct per__listener *listener);
void per__ready_unlisten(struct per__loop *loop, struct per__listener *listener);
int per__ready_adopt(struct per__loop *loop, struct per__sock *sock, int fd);
void per__ready_send(struct per__loop *loop, struct per__sock *sock, struct iovec *iov, uint32_t cnt);
void per__ready_send_file(struct per__loop *loop, struct per__sock *sock, struct iovec *iov, uint32_t cnt);
void per__ready_recv_pause(struct per__loop *loop, struct per__sock *sock);
void per__ready_recv_resume(struct per__loop *loop, struct per__sock *sock);
void per__ready_shutdown(struct per__loop *loop, struct per__sock *sock);
void per__ready_close(struct per__loop *loop, struct per__sock *sock, enum per__close_how how);

/** A negative PER_E* for a negative errno. */
int per__ready_error(int error);

#endif
