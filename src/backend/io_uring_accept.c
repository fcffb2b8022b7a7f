/* SPDX-License-Identifier: MIT */
/*
 * io_uring_accept.c - listeners: one multishot accept each; pausing when slots or descriptors run out;
 * unlisten. The kernel is given a record of ours, never the listener, so that what completes after unlisten
 * finds a dead record. After a refusal accepts are made one by one for a while: a multishot accept would
 * empty the whole backlog into refusals.
 */
#include "backend/io_uring_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define UNLISTEN_TRIES 16

static bool is_free(const struct uring_acceptor *acceptor)
{
	return acceptor->listener == NULL && !acceptor->is_armed && acceptor->cancels == 0;
}

static void acceptor_arm(struct uring *u, struct uring_acceptor *acceptor)
{
	struct io_uring_sqe *sqe;

	if (acceptor->listener == NULL || acceptor->is_armed || u->is_accept_paused)
		return;
	sqe = uring_sqe(u, IORING_OP_ACCEPT, acceptor->fd, uring_tag(acceptor, URING_OP_ACCEPT));
	sqe->accept_flags = SOCK_CLOEXEC;
	if (acceptor->careful_left == 0)
		sqe->ioprio = IORING_ACCEPT_MULTISHOT;
	acceptor->is_armed = 1;
}

static void acceptor_cancel(struct uring *u, struct uring_acceptor *acceptor)
{
	struct io_uring_sqe *sqe;

	sqe = uring_sqe(u, IORING_OP_ASYNC_CANCEL, -1, uring_tag(acceptor, URING_OP_CANCEL_ACCEPT));
	sqe->addr = uring_tag(acceptor, URING_OP_ACCEPT);
	acceptor->cancels++;
}

int per__uring_listen(struct per__loop *loop, struct per__listener *listener)
{
	struct uring *u = loop->be_state;
	struct uring_acceptor *acceptor = u->acceptors;

	while (acceptor < u->acceptors + u->acceptors_used && !is_free(acceptor))
		acceptor++;
	if (acceptor == u->acceptors + URING_LISTENERS_MAX)
		return PER_ENOMEM;
	u->acceptors_used = PER_MAX(u->acceptors_used, (uint32_t)(acceptor - u->acceptors) + 1);
	acceptor->listener = listener;
	acceptor->fd = listener->fd;
	acceptor->careful_left = 0;
	listener->be_data = acceptor;
	acceptor_arm(u, acceptor);
	uring_submit_if_outside(u);
	return 0;
}

/*
 * Is the last completion of this accept waiting to be dispatched? Nothing is taken out: we may be inside an
 * up-call.
 */
static bool has_ended_unseen(const struct uring *u, const struct uring_acceptor *acceptor)
{
	unsigned tail = io_uring_smp_load_acquire(u->cq_ktail);

	for (unsigned head = u->cq_head; head != tail; head++) {
		const struct io_uring_cqe *cqe = &u->cqes[head & u->cq_mask];

		if (cqe->user_data == uring_tag(acceptor, URING_OP_ACCEPT) &&
		    (cqe->flags & IORING_CQE_F_MORE) == 0)
			return true;
	}
	return false;
}

void per__uring_unlisten(struct per__loop *loop, struct per__listener *listener)
{
	struct uring *u = loop->be_state;
	struct uring_acceptor *acceptor = listener->be_data;

	if (acceptor == NULL)
		return;
	acceptor->listener = NULL;
	listener->be_data = NULL;
	/*
	 * The kernel lets go of the listening socket when the accept has ended, which takes an enter for
	 * its task work.
	 */
	for (int i = 0; acceptor->is_armed && i < UNLISTEN_TRIES && !has_ended_unseen(u, acceptor); i++) {
		acceptor_cancel(u, acceptor);
		(void)per__uring_enter(u, 0, 0);
	}
}

static void close_fd(struct uring *u, int fd)
{
	(void)uring_sqe(u, IORING_OP_CLOSE, fd, uring_tag(NULL, URING_OP_NONE));
}

static void accept_retry_later(struct uring *u)
{
	if (u->accept_retry_ns == 0)
		u->accept_retry_ns = u->loop->now_ns + PER__ACCEPT_RETRY_MS * INT64_C(1000000);
}

static void accept_pause(struct uring *u)
{
	if (u->sock_count == 0) /* no close will come to end the pause */
		accept_retry_later(u);
	if (u->is_accept_paused)
		return;
	u->is_accept_paused = true;
	per__count(&u->loop->counters.accept_pauses, 1);
	for (uint32_t i = 0; i < u->acceptors_used; i++) {
		u->acceptors[i].careful_left = URING_CAREFUL_ACCEPTS;
		if (u->acceptors[i].listener != NULL && u->acceptors[i].is_armed)
			acceptor_cancel(u, &u->acceptors[i]);
	}
}

void per__uring_accept_resume(struct uring *u)
{
	u->is_accept_paused = false;
	u->accept_retry_ns = 0;
	for (uint32_t i = 0; i < u->acceptors_used; i++)
		acceptor_arm(u, &u->acceptors[i]);
}

bool per__uring_sock_start(struct uring *u, struct per__sock *sock, int fd)
{
	PER_ASSERT(((uintptr_t)sock & URING_OP_MASK) == 0);
	PER_ASSERT(sock->inflight == 0 && sock->state == PER__SOCK_FREE && sock->flags == 0);
	if ((unsigned)fd >= URING_FDS_MAX)
		return false;
	u->fds[(unsigned)fd / 64] |= UINT64_C(1) << ((unsigned)fd % 64);
	u->fds_high = PER_MAX(u->fds_high, (unsigned)fd + 1);
	u->sock_count++;
	sock->fd = fd;
	sock->state = PER__SOCK_OPEN;
	per__uring_recv_arm(u, sock);
	return true;
}

static void accept_one(struct uring *u, struct uring_acceptor *acceptor, int fd)
{
	struct per__sock *sock = NULL;

	if (PER_UNLIKELY(acceptor->listener == NULL)) { /* it came in while unlisten was called */
		close_fd(u, fd);
		return;
	}
	if (PER_LIKELY(!u->is_accept_paused && (unsigned)fd < URING_FDS_MAX))
		sock = per__on_accept(u->loop, acceptor->listener, fd);
	if (PER_UNLIKELY(sock == NULL)) {
		close_fd(u, fd);
		per__count(&u->loop->counters.accept_refused, 1);
		accept_pause(u);
		return;
	}
	if (acceptor->careful_left != 0)
		acceptor->careful_left--;
	if (sock != PER__SOCK_TAKEN)
		(void)per__uring_sock_start(u, sock, fd);
}

/* Errors that belong to one connection, or to nobody: the next accept may succeed. */
static bool is_passing(int err)
{
	switch (err) {
	case -ECONNABORTED:
	case -EINTR:
	case -EPROTO:
	case -EPERM: /* a firewall's refusal */
	case -ENETDOWN:
	case -ENOPROTOOPT:
	case -EHOSTDOWN:
	case -ENONET:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -ETIMEDOUT:
		return true;
	}
	return false;
}

static void accept_failed(struct uring *u, struct uring_acceptor *acceptor, int err)
{
	if (err == -ECANCELED || acceptor->listener == NULL)
		return;
	if (err == -EAGAIN) { /* older kernels: a non-blocking listener is not waited for */
		int flags = fcntl(acceptor->fd, F_GETFL);

		per__count(&u->loop->counters.syscalls, 2);
		if (flags >= 0 && (flags & O_NONBLOCK) != 0 &&
		    fcntl(acceptor->fd, F_SETFL, flags & ~O_NONBLOCK) == 0)
			return;
	}
	per__count(&u->loop->counters.accept_errors, 1);
	if (is_passing(err))
		return;
	/* EMFILE and its kin, and whatever would fail again at once. */
	accept_pause(u);
	accept_retry_later(u);
}

void per__uring_accepted(struct uring *u, struct uring_acceptor *acceptor, int res, unsigned cqe_flags)
{
	PER_ASSERT(acceptor->is_armed);
	if ((cqe_flags & IORING_CQE_F_MORE) == 0)
		acceptor->is_armed = 0;
	if (PER_LIKELY(res >= 0))
		accept_one(u, acceptor, res);
	else
		accept_failed(u, acceptor, res);
	acceptor_arm(u, acceptor);
}

void per__uring_accept_cancelled(struct uring *u, struct uring_acceptor *acceptor, int res)
{
	acceptor->cancels--;
	/* As with receives: not found because it was just being armed. */
	if (res == -ENOENT && acceptor->is_armed && (u->is_accept_paused || acceptor->listener == NULL))
		acceptor_cancel(u, acceptor);
}
