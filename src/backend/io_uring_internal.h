/* SPDX-License-Identifier: MIT */
/*
 * io_uring_internal.h - the state of one ring, shared by the io_uring*.c files only.
 * A completion is named by user_data: a pointer to a 64-byte aligned struct, with the kind of operation in
 * the low six bits. Invariant: a socket's slot is not given back before every one of its operations,
 * cancels included, has completed, so a completion never meets a socket that was reused.
 */
#ifndef PER_BACKEND_IO_URING_INTERNAL_H
#define PER_BACKEND_IO_URING_INTERNAL_H

#include "backend/backend.h"
#include "backend/uring_compat.h"

#include <peregrine/types.h>
#include <string.h>
#include <sys/socket.h>

#define URING_SQ_ENTRIES 256u /* small: the slots are used in turn, so all of them compete for the cache */
#define URING_CQ_ENTRIES_MIN 1024u /* a larger burst overflows, which costs time and loses nothing */
#define URING_CQ_ENTRIES_MAX 8192u
#define URING_SPARE_FACTOR 5u      /* receive buffers in all, for each one that can be in the ring */
#define URING_BUFS_MAX 65535u      /* ids are 16 bits; the hold lists store id + 1 */
#define URING_RING_BUFS_MAX 32768u /* the kernel's limit for one buffer ring */
#define URING_TARGET_FIRST 64u     /* buffers kept in the ring at first; doubled whenever the ring runs dry */
#define URING_LISTENERS_MAX 256u
#define URING_SQES_PER_SOCK 7u /* recv, send, watch, a cancel for each, close */
#define URING_FDS_MAX (1u << 26)
#define URING_BUF_GROUP 0
/*
 * A busy worker that enters the kernel for every second request spends most of its time entering. So a loop
 * that has lately received from many sockets waits for several completions at once, though never longer
 * than this (docs/benchmarks.md: 0.07 system calls per request at 64 connections, where a loop that takes
 * what is there needs 0.53). A quiet one is not delayed.
 */
#define URING_BATCH_WAIT_NS 100000
#define URING_BATCH_MIN 4u   /* fewer receives expected in that time: not worth waiting for */
#define URING_BATCH_SHARE 4u /* of the sockets that are active, this part is waited for */
#define URING_BATCH_MAX 64u
#define URING_SPAN_NS 1000000     /* activity is looked at over at least this long */
#define URING_CAREFUL_ACCEPTS 64u /* accepts made one by one after a refusal */
#define URING_CAREFUL_RECVS 16    /* receives made one by one after a pause */
#define URING_STARVED_NS \
	10000000            /* a submission that the kernel has no memory for is tried again after this */
#define URING_TARGET_LOW 8u /* buffers kept in the ring while spares are scarce */

/* The kind of an operation, in the low bits of user_data. */
enum uring_op {
	URING_OP_NONE = 0, /* nobody waits for it */
	URING_OP_RECV = 1,
	URING_OP_SEND = 2,
	URING_OP_CLOSE = 3,
	URING_OP_CANCEL_RECV = 4,
	URING_OP_CANCEL_SEND = 5,
	URING_OP_ACCEPT = 6,
	URING_OP_CANCEL_ACCEPT = 7,
	URING_OP_WAKE = 8,
	URING_OP_CANCEL_ALL = 9,
	URING_OP_WATCH = 10,
	URING_OP_CANCEL_WATCH = 11,
};
#define URING_OP_MASK 63u
_Static_assert(URING_OP_MASK < PER_CACHE_LINE, "operations fit below the alignment of a socket");

/* per__sock.flags */
enum {
	SOCK_RECV = 1,     /* a receive is in flight */
	SOCK_CANCEL = 2,   /* so is its cancel */
	SOCK_PAUSED = 4,   /* by the owner: arriving bytes are held */
	SOCK_RESUMED = 8,  /* in the list of those whose held bytes are due at the end of the turn */
	SOCK_STARVED = 16, /* in the list of those that wait for a buffer */
	SOCK_EOF = 32,     /* the stream has ended */
	SOCK_EOF_DUE = 64, /* and the owner has not been told */
	SOCK_SEND = 128,   /* a send is in flight */
};

/* per__sock.be_flags */
enum {
	SOCK_WATCH = 1,   /* a poll for errors is in flight: from the first pause to the end of the socket */
	SOCK_HUNG_UP = 2, /* it has told of the end of both directions */
	SOCK_SHUT = 4,    /* one of them is our own */
};

/* A listener's own record: completions that come after unlisten find this, never the listener. */
struct uring_acceptor {
	_Alignas(PER_CACHE_LINE) struct per__listener *listener; /* NULL: dead, or the record is free */
	int fd;
	uint16_t cancels;     /* cancels in flight */
	uint8_t is_armed;     /* an accept is in flight */
	uint8_t careful_left; /* accepts still to be made one by one */
};

/* An SQE that found no room, and the message header it may point to. */
struct uring_backlog_entry {
	struct io_uring_sqe sqe;
	struct msghdr msg;
};

/* Sockets in the order they came, linked by per__sock.next. */
struct uring_list {
	struct per__sock *head, *tail;
};

struct uring {
	/* Touched for every completion. */
	struct io_uring_cqe *cqes;
	unsigned *cq_khead, *cq_ktail;
	unsigned cq_head, cq_mask;
	struct io_uring_sqe *sqes;
	unsigned sq_tail, sq_mask;
	unsigned sq_room; /* SQEs that fit; 0 while a backlog exists, which goes first */
	uint16_t br_tail, br_mask;
	struct io_uring_buf_ring *br;
	uint8_t *bufs;
	uint32_t buf_bytes;
	uint32_t buf_level;  /* buffers the kernel has or will have, less those whose completions were seen */
	uint32_t buf_target; /* what buf_level is kept at */
	uint32_t free_count; /* entries of free_ids */
	uint64_t turn_bytes_in, turn_bytes_out;
	struct per__loop *loop;
	uint32_t sends_queued; /* since the last enter: as many completions come at once */
	uint32_t span_recvs;   /* since span_start_ns */
	uint32_t span_socks;   /* different sockets among them */
	uint32_t span_mark;    /* number of the span: a socket with another be_mark was not counted yet */
	uint32_t batch;        /* receives worth waiting for, 1: do not wait for more than one */
	int64_t span_start_ns;

	/* Touched for every turn. */
	unsigned *sq_khead, *sq_ktail, *sq_kflags;
	int enter_fd;
	unsigned enter_flags;
	bool is_polling;
	bool is_embedded; /* somebody waits on poll_fd: what is queued outside poll leaves at once */
	bool is_due;      /* turn_end has something to do; a poll must not block before it did */
	bool is_accept_paused;
	struct uring_list resumed, starved;
	int64_t accept_retry_ns; /* 0: none */

	/* Written by other threads. */
	_Alignas(PER_CACHE_LINE) uint32_t is_wake_pending;
	int wake_fd;
	int poll_fd; /* an eventfd that is told of completions, -1: nobody has asked for it */

	/* Cold. */
	_Alignas(PER_CACHE_LINE) struct io_uring ring;
	const struct per__log *log;
	uint16_t *free_ids;  /* a stack */
	uint16_t *hold_next; /* id + 1 of the next buffer held for the same socket */
	uint32_t *hold_len;
	uint32_t buf_count, ring_count;
	uint32_t free_low; /* below this many spares, buffers are scarce */
	size_t bufs_bytes, br_bytes, ids_bytes;
	struct uring_backlog_entry *backlog; /* a ring, for when the kernel cannot take more */
	uint32_t backlog_cap, backlog_head, backlog_count;
	uint64_t *fds;     /* a bit for each descriptor that is ours: what fini has to close */
	unsigned fds_high; /* above the largest of them */
	uint32_t acceptors_used;
	uint32_t sock_count; /* open or closing */
	struct msghdr
		msgs[URING_SQ_ENTRIES]; /* beside the SQEs: needed until the SQE is submitted, not longer */
	struct uring_acceptor acceptors[URING_LISTENERS_MAX];
};

/* --- io_uring_ring.c: the ring itself --------------------------------------------------------- */

/** What a ring was created with. */
struct uring_rung {
	unsigned flags;
	const char *name;
};
extern const struct uring_rung per__uring_ladder[];

/**
 * Creates a ring with the first set of flags at or after rung that the kernel takes. Returns the rung used,
 * or -errno.
 */
int per__uring_create(struct io_uring *ring, unsigned sq_entries, unsigned cq_entries, int rung);
int per__uring_open(struct uring *u, unsigned cq_entries, int rung);
void per__uring_close(struct uring *u);

/**
 * Submits everything queued; waits for wait_cnt completions (0: does not wait), up to timeout_ns (< 0:
 * without limit).
 */
int per__uring_enter(struct uring *u, unsigned wait_cnt, int64_t timeout_ns);
/** An SQE when the ring is full: submits early, or puts it into the backlog. */
struct io_uring_sqe *per__uring_sqe_slow(struct uring *u);
/** The message header that belongs to an SQE. */
struct msghdr *per__uring_msg_of(struct uring *u, struct io_uring_sqe *sqe);

/* --- io_uring_recv.c: buffers, and everything about receiving that is not the straight path --- */

int per__uring_bufs_open(struct uring *u, const struct per__be_conf *conf);
void per__uring_bufs_close(struct uring *u);
void per__uring_buf_spare(struct uring *u, unsigned id);
void per__uring_recv_arm(struct uring *u, struct per__sock *sock);
/** Arms again what ended, unless something else will. */
void per__uring_recv_again(struct uring *u, struct per__sock *sock);
void per__uring_recv_other(struct uring *u, struct per__sock *sock, int res, unsigned cqe_flags);
void per__uring_recv_cancelled(struct uring *u, struct per__sock *sock, int res);
void per__uring_recv_pause(struct per__loop *loop, struct per__sock *sock);
void per__uring_recv_resume(struct per__loop *loop, struct per__sock *sock);
void per__uring_held_drop(struct uring *u, struct per__sock *sock);
/** What is left to the end of a turn: held bytes, buffers, starved sockets. */
void per__uring_recv_turn_end(struct uring *u);

/* --- io_uring_accept.c: listeners ------------------------------------------------------------- */

int per__uring_listen(struct per__loop *loop, struct per__listener *listener);
void per__uring_unlisten(struct per__loop *loop, struct per__listener *listener);
void per__uring_accepted(struct uring *u, struct uring_acceptor *acceptor, int res, unsigned cqe_flags);
void per__uring_accept_cancelled(struct uring *u, struct uring_acceptor *acceptor, int res);
/** A socket was closed, or the rest after an error is over. */
void per__uring_accept_resume(struct uring *u);
/**
 * Makes a new descriptor a socket of this loop and begins to receive. Returns false when its number is out
 * of range.
 */
bool per__uring_sock_start(struct uring *u, struct per__sock *sock, int fd);

/* --- io_uring.c: the rest of a socket's life -------------------------------------------------- */

int per__uring_init_at(struct per__loop *loop, const struct per__be_conf *conf, int rung);
/** Ends a socket: cancels what is in flight and closes; on_closed(error) follows. */
void per__uring_sock_end(struct uring *u, struct per__sock *sock, int error);
/** Delivers on_closed if nothing refers to the socket any more. */
void per__uring_sock_finish(struct uring *u, struct per__sock *sock);
void per__uring_cancel(struct uring *u, struct per__sock *sock, enum uring_op target, enum uring_op op);

/* --- io_uring_watch.c: resets of sockets that do not receive ---------------------------------- */

/** The socket has just been paused: its end is to be told all the same, though no receive will see it. */
void per__uring_watch(struct uring *u, struct per__sock *sock);
void per__uring_watched(struct uring *u, struct per__sock *sock, int res, unsigned cqe_flags);
void per__uring_watch_cancelled(struct uring *u, struct per__sock *sock, int res);

/* --- io_uring_file.c: parts of files ---------------------------------------------------------- */

void per__uring_send_file(struct per__loop *loop, struct per__sock *sock, struct iovec *iov, uint32_t cnt);
/** The completion of a send that has a file part. */
void per__uring_file_event(struct uring *u, struct per__sock *sock);

/* --- io_uring_wake.c: other threads, and an application's own loop ---------------------------- */

void per__uring_wake_arm(struct uring *u);
void per__uring_wake(struct per__loop *loop);
void per__uring_woken(struct uring *u, unsigned cqe_flags);
int per__uring_poll_fd(struct per__loop *loop);
/** Submits what an embedding application has caused between two polls; makes poll_fd readable if need be. */
void per__uring_submit_outside(struct uring *u);
/** What was announced until now is about to be handled. */
void per__uring_outside_begin(const struct uring *u);

int per__uring_probe(struct per__probe *out);

/* --- inline ----------------------------------------------------------------------------------- */

PER_INLINE uint64_t uring_tag(const void *ptr, enum uring_op op)
{
	return (uint64_t)(uintptr_t)ptr | (uint64_t)op;
}

/** A cleared SQE with the fields every operation has. Never fails. */
PER_INLINE struct io_uring_sqe *uring_sqe(struct uring *u, int opcode, int fd, uint64_t user_data)
{
	struct io_uring_sqe *sqe;

	if (PER_LIKELY(u->sq_room != 0)) {
		u->sq_room--;
		sqe = &u->sqes[u->sq_tail++ & u->sq_mask];
	} else {
		sqe = per__uring_sqe_slow(u);
	}
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = (uint8_t)opcode;
	sqe->fd = fd;
	sqe->user_data = user_data;
	return sqe;
}

PER_INLINE bool uring_cq_ready(const struct uring *u)
{
	return u->cq_head != io_uring_smp_load_acquire(u->cq_ktail);
}

/**
 * After a down-call: outside poll, an embedding application would otherwise wait on the descriptor in vain.
 */
PER_INLINE void uring_submit_if_outside(struct uring *u)
{
	if (PER_UNLIKELY(u->is_embedded) && !u->is_polling)
		per__uring_submit_outside(u);
}

PER_INLINE uint8_t *uring_buf(const struct uring *u, unsigned id)
{
	return u->bufs + (size_t)id * u->buf_bytes;
}

#if defined(__SANITIZE_ADDRESS__)
#define URING_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define URING_POISONS 1
#endif
#endif
#ifdef URING_POISONS
#include "base/mem.h"
#define URING_POISON(ptr, bytes) per__mem_poison(ptr, bytes)
#define URING_UNPOISON(ptr, bytes) per__mem_unpoison(ptr, bytes)
#else /* not even a call: this is once per receive */
#define URING_POISON(ptr, bytes) ((void)0)
#define URING_UNPOISON(ptr, bytes) ((void)0)
#endif

/** Writes a buffer into the ring; the kernel sees it when the tail is published, before the next enter. */
PER_INLINE void uring_buf_put(struct uring *u, unsigned id)
{
	struct io_uring_buf *slot = &u->br->bufs[u->br_tail++ & u->br_mask];

	slot->addr = (uint64_t)(uintptr_t)uring_buf(u, id);
	slot->len = u->buf_bytes;
	slot->bid = (uint16_t)id; /* not resv: in slot 0 that is the tail */
	u->buf_level++;
}

/**
 * A buffer that nobody uses any more goes back to the ring, or aside when the ring is as full as it should
 * be.
 */
PER_INLINE void uring_buf_give(struct uring *u, unsigned id)
{
	URING_POISON(uring_buf(u, id), u->buf_bytes);
	if (PER_LIKELY(u->buf_level < u->buf_target))
		uring_buf_put(u, id);
	else
		per__uring_buf_spare(u, id);
}

/*
 * Receives of an open socket still to be made one by one. A multishot receive may fill dozens of buffers
 * before a pause takes effect, and all of them have to be held; an owner that has paused once is likely to
 * do it again.
 */
PER_INLINE int32_t *uring_careful(struct per__sock *sock)
{
	return &sock->be.held.error; /* has no other meaning until the socket ends */
}

PER_INLINE void uring_list_add(struct uring_list *list, struct per__sock *sock)
{
	sock->next = NULL;
	if (list->head == NULL)
		list->head = sock;
	else
		list->tail->next = sock;
	list->tail = sock;
}

PER_INLINE struct per__sock *uring_list_take(struct uring_list *list)
{
	struct per__sock *sock = list->head;

	list->head = sock->next;
	sock->next = NULL;
	return sock;
}

#endif
