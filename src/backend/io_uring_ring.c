/* SPDX-License-Identifier: MIT */
/*
 * io_uring_ring.c - one ring: creating it, entering the kernel, and never losing an SQE.
 * Knows nothing of sockets. Called by the other io_uring*.c files.
 * Invariant: while a backlog exists sq_room is 0, so that SQEs reach the kernel in the order they were
 * asked for.
 */
#include "backend/io_uring_internal.h"

#include "base/mem.h"

#include <errno.h>

#define RUNG_COMMON (IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL)

/*
 * Best first. DEFER_TASKRUN (6.1): completions are worked off only when we enter, in batches, never by
 * interrupting us.
 */
const struct uring_rung per__uring_ladder[] = {
	{ RUNG_COMMON | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	  "single issuer, deferred task work" },
	{ RUNG_COMMON | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
	  "single issuer, cooperative task work" },
	{ RUNG_COMMON | IORING_SETUP_COOP_TASKRUN, "cooperative task work" },
	{ RUNG_COMMON, "plain ring" },
	{ 0, NULL },
};

int per__uring_create(struct io_uring *ring, unsigned sq_entries, unsigned cq_entries, int rung)
{
	int err = -EINVAL;

	for (; per__uring_ladder[rung].name != NULL; rung++) {
		struct io_uring_params params = { .flags = per__uring_ladder[rung].flags,
						  .cq_entries = cq_entries };

		err = io_uring_queue_init_params(sq_entries, ring, &params);
		if (err == 0)
			return rung;
		if (err != -EINVAL) /* only an unknown flag is a reason to ask for less */
			return err;
	}
	return err;
}

/*
 * liburing maps and unmaps with system calls that ThreadSanitizer does not see: a ring where another thread's
 * has been would look like a race. The kernel orders the two, so we say so.
 */
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define MAPS_ORDER ((void *)(uintptr_t)per__uring_ladder) /* any address */
#define MAPS_MADE() __tsan_acquire(MAPS_ORDER)
#define MAPS_GO() __tsan_release(MAPS_ORDER)
#else
#define MAPS_MADE() ((void)0)
#define MAPS_GO() ((void)0)
#endif

/* Slot n of the SQ always names SQE n, so that the index array is written once and never again. */
static void map_sqes(struct io_uring *ring)
{
	if (ring->flags & URING_SETUP_NO_SQARRAY)
		return;
	for (unsigned i = 0; i < ring->sq.ring_entries; i++)
		ring->sq.array[i] = i;
}

int per__uring_open(struct uring *u, unsigned cq_entries, int rung)
{
	int used = per__uring_create(&u->ring, URING_SQ_ENTRIES, cq_entries, rung);

	if (used < 0)
		return used;
	MAPS_MADE();
	map_sqes(&u->ring);
	(void)io_uring_ring_dontfork(&u->ring); /* a child would only keep the pages alive */
	u->enter_fd = u->ring.ring_fd;
	u->enter_flags = IORING_ENTER_GETEVENTS;
	if (io_uring_register_ring_fd(&u->ring) == 1) { /* saves looking the descriptor up at each enter */
		u->enter_fd = u->ring.enter_ring_fd;
		u->enter_flags |= IORING_ENTER_REGISTERED_RING;
	}
	u->cqes = u->ring.cq.cqes;
	u->cq_khead = u->ring.cq.khead;
	u->cq_ktail = u->ring.cq.ktail;
	u->cq_mask = u->ring.cq.ring_mask;
	u->cq_head = *u->cq_khead;
	u->sqes = u->ring.sq.sqes;
	u->sq_khead = u->ring.sq.khead;
	u->sq_ktail = u->ring.sq.ktail;
	u->sq_kflags = u->ring.sq.kflags;
	u->sq_mask = u->ring.sq.ring_mask;
	u->sq_tail = *u->sq_ktail;
	u->sq_room = u->ring.sq.ring_entries;
	PER_ASSERT(u->ring.sq.ring_entries <= URING_SQ_ENTRIES);
	return used;
}

void per__uring_close(struct uring *u)
{
	MAPS_GO();
	io_uring_queue_exit(&u->ring);
}

static unsigned sq_used(const struct uring *u)
{
	return u->sq_tail - IO_URING_READ_ONCE(*u->sq_khead);
}

/* Moves what was put aside into the ring, as far as it fits. An enter follows, which counts the room anew. */
static PER_COLD void backlog_move(struct uring *u)
{
	unsigned room = u->ring.sq.ring_entries - sq_used(u);

	while (room != 0 && u->backlog_count != 0) {
		unsigned slot = u->sq_tail++ & u->sq_mask;
		const struct uring_backlog_entry *entry = &u->backlog[u->backlog_head];

		u->sqes[slot] = entry->sqe;
		if (entry->sqe.opcode == IORING_OP_SENDMSG) {
			u->msgs[slot] = entry->msg;
			u->sqes[slot].addr = (uint64_t)(uintptr_t)&u->msgs[slot];
		}
		u->backlog_head = (u->backlog_head + 1) % u->backlog_cap;
		u->backlog_count--;
		room--;
	}
}

/* The one system call. Everything the kernel may want to see is published first. */
static int enter(struct uring *u, unsigned wait_cnt, unsigned flags, int64_t timeout_ns)
{
	struct __kernel_timespec ts;
	struct io_uring_getevents_arg arg = { .sigmask_sz = 8 }; /* the kernel's _NSIG / 8 */
	int ret;

	io_uring_smp_store_release(&u->br->tail, u->br_tail);
	io_uring_smp_store_release(u->cq_khead, u->cq_head);
	io_uring_smp_store_release(u->sq_ktail, u->sq_tail);
	per__count(&u->loop->counters.syscalls, 1);
	if (wait_cnt != 0 && timeout_ns >= 0) {
		ts.tv_sec = timeout_ns / 1000000000;
		ts.tv_nsec = timeout_ns % 1000000000;
		arg.ts = (uint64_t)(uintptr_t)&ts;
		ret = io_uring_enter2((unsigned)u->enter_fd, sq_used(u), wait_cnt,
				      flags | IORING_ENTER_EXT_ARG, (void *)&arg, sizeof(arg));
	} else {
		ret = io_uring_enter2((unsigned)u->enter_fd, sq_used(u), wait_cnt, flags, NULL, 8);
	}
	u->sq_room = u->backlog_count != 0 ? 0 : u->ring.sq.ring_entries - sq_used(u);
	return ret;
}

/*
 * Errors that the next turn heals: a signal, the timeout, no memory for requests, completions that must be
 * reaped first.
 */
static bool is_passing(int err)
{
	return err == -EINTR || err == -ETIME || err == -EAGAIN || err == -EBUSY || err == -ENOMEM;
}

/*
 * The kernel had no memory for a request and did not wait: it would say so again at once, and again. What was
 * submitted before is waited for meanwhile.
 */
static PER_COLD void rest(struct uring *u, int64_t timeout_ns)
{
	struct __kernel_timespec ts = { .tv_nsec = URING_STARVED_NS };
	struct io_uring_getevents_arg arg = { .sigmask_sz = 8, .ts = (uint64_t)(uintptr_t)&ts };

	if (timeout_ns >= 0)
		ts.tv_nsec = PER_MIN(timeout_ns, URING_STARVED_NS);
	per__count(&u->loop->counters.syscalls, 1);
	(void)io_uring_enter2((unsigned)u->enter_fd, 0, 1, u->enter_flags | IORING_ENTER_EXT_ARG,
			      (void *)&arg, sizeof(arg));
}

int per__uring_enter(struct uring *u, unsigned wait_cnt, int64_t timeout_ns)
{
	bool may_wait = wait_cnt != 0;
	int ret;

	while (PER_UNLIKELY(u->backlog_count != 0)) {
		backlog_move(u);
		if (u->backlog_count == 0)
			break;
		if (enter(u, 0, u->enter_flags, 0) <= 0) {
			wait_cnt = 0; /* the kernel wants its completions to be read first */
			break;
		}
	}
	u->sends_queued = 0;
	ret = enter(u, wait_cnt, u->enter_flags, timeout_ns);
	if (ret == -ETIME) /* so much has passed at least, though the cheap clock may learn of it late */
		u->loop->now_ns += timeout_ns;
	if (PER_LIKELY(ret >= 0))
		return 0;
	if ((ret == -EAGAIN || ret == -ENOMEM) && may_wait && !uring_cq_ready(u))
		rest(u, timeout_ns);
	if (is_passing(ret))
		return 0;
	per__log(u->log, PER_LOG_ERROR, "io_uring_enter: %s", strerror(-ret));
	return PER_ESYS;
}

PER_COLD struct io_uring_sqe *per__uring_sqe_slow(struct uring *u)
{
	struct uring_backlog_entry *entry;

	if (u->backlog_count == 0) {
		(void)enter(u, 0, u->enter_flags & ~IORING_ENTER_GETEVENTS, 0);
		if (PER_LIKELY(u->sq_room != 0)) {
			u->sq_room--;
			return &u->sqes[u->sq_tail++ & u->sq_mask];
		}
	}
	PER_ASSERT(u->backlog_count < u->backlog_cap); /* each socket has at most URING_SQES_PER_SOCK */
	entry = &u->backlog[(u->backlog_head + u->backlog_count) % u->backlog_cap];
	u->backlog_count++;
	return &entry->sqe;
}

struct msghdr *per__uring_msg_of(struct uring *u, struct io_uring_sqe *sqe)
{
	if (PER_LIKELY(sqe >= u->sqes && sqe <= u->sqes + u->sq_mask))
		return &u->msgs[sqe - u->sqes];
	return &PER_CONTAINER_OF(sqe, struct uring_backlog_entry, sqe)->msg;
}
