/* SPDX-License-Identifier: MIT */
/*
 * io_uring_wake.c - being woken: by another thread, and by an application's own loop that waits on poll_fd.
 * per__uring_wake() is the only function of the backend that another thread may call.
 * Invariant: is_embedded is false until poll_fd was asked for; until then nothing here costs a turn
 * anything.
 */
#include "backend/io_uring_internal.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Edge-triggered: each write completes once and nobody reads, so the counter of the eventfd only grows. */
void per__uring_wake_arm(struct uring *u)
{
	struct io_uring_sqe *sqe =
		uring_sqe(u, IORING_OP_POLL_ADD, u->wake_fd, uring_tag(NULL, URING_OP_WAKE));

	sqe->len = IORING_POLL_ADD_MULTI;
	sqe->poll32_events = POLLIN;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	sqe->poll32_events = (sqe->poll32_events << 16) | (sqe->poll32_events >> 16);
#endif
}

static void signal_fd(int fd)
{
	uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

/* Any number of calls between two turns is one write. */
void per__uring_wake(struct per__loop *loop)
{
	struct uring *u = loop->be_state;
	int poll_fd;

	if (__atomic_exchange_n(&u->is_wake_pending, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	signal_fd(u->wake_fd);
	poll_fd = __atomic_load_n(&u->poll_fd,
				  __ATOMIC_ACQUIRE); /* not earlier: it may be asked for just now */
	if (poll_fd >= 0) /* the kernel does not signal one eventfd from the write to another */
		signal_fd(poll_fd);
}

void per__uring_woken(struct uring *u, unsigned cqe_flags)
{
	if ((cqe_flags & IORING_CQE_F_MORE) == 0)
		per__uring_wake_arm(u);
	if (__atomic_exchange_n(&u->is_wake_pending, 0, __ATOMIC_ACQ_REL) != 0)
		per__on_wake(u->loop);
}

/*
 * With deferred task work the ring's own descriptor becomes readable only when somebody enters; an eventfd
 * that is registered is told when there is work to enter for.
 */
static int poll_fd_open(struct uring *u)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return PER_EMFILE;
	if (io_uring_register_eventfd(&u->ring, fd) != 0) {
		(void)close(fd);
		return PER_ENOTSUP;
	}
	__atomic_store_n(&u->poll_fd, fd, __ATOMIC_RELEASE);
	return 0;
}

int per__uring_poll_fd(struct per__loop *loop)
{
	struct uring *u = loop->be_state;
	int err = u->poll_fd < 0 ? poll_fd_open(u) : 0;

	if (err != 0)
		return err;
	u->is_embedded = true;
	if (!u->is_polling) {
		(void)per__uring_enter(u, 0, 0); /* what came before the descriptor was registered */
		per__uring_submit_outside(u);
	}
	return u->poll_fd;
}

void per__uring_submit_outside(struct uring *u)
{
	if (u->sq_tail != IO_URING_READ_ONCE(*u->sq_khead))
		(void)per__uring_enter(u, 0, 0);
	if (u->is_due || uring_cq_ready(u)) /* no completion will announce what is there already */
		signal_fd(u->poll_fd);
}

void per__uring_outside_begin(const struct uring *u)
{
	uint64_t count;

	(void)!read(u->poll_fd, &count, sizeof(count));
}
