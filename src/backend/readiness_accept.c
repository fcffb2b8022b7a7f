/* SPDX-License-Identifier: MIT */
/*
 * readiness_accept.c - accepting on top of readiness: capped per turn, resting when there is no room (B10).
 * Decides nothing about a connection; that is on_accept's. Called by epoll.c and kqueue.c.
 * Invariant: the listeners are watched exactly while accept_retry_ns is 0.
 */
#include "backend/readiness.h"
#include "base/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static int accept_one(int listener_fd)
{
#if defined(__APPLE__)
	int fd = accept(listener_fd, NULL, NULL);

	if (fd >= 0) {
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	}
	return fd;
#else
	return accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
#endif
}

/* Stops watching every listener: a level-triggered one would be reported again and again. */
static void accept_rest(struct per__loop *loop, int64_t retry_ns)
{
	struct per__ready *ready = per__ready_of(loop);

	if (ready->accept_retry_ns == 0) {
		per__count(&loop->counters.accept_pauses, 1);
		for (struct per__listener *l = ready->listeners; l != NULL; l = l->next)
			ready->ops->listener_del(loop, l);
	}
	ready->accept_retry_ns = retry_ns;
}

static int64_t accept_retry_time(void)
{
	return per__clock_now_ns() + PER__ACCEPT_RETRY_MS * PER__READY_NS_PER_MS;
}

void per__ready_accept_resume(struct per__loop *loop)
{
	struct per__ready *ready = per__ready_of(loop);

	if (ready->accept_retry_ns == 0)
		return;
	ready->accept_retry_ns = 0;
	for (struct per__listener *l = ready->listeners; l != NULL; l = l->next) {
		if (ready->ops->listener_add(loop, l) == 0)
			continue;
		accept_rest(loop, accept_retry_time()); /* the kernel has no memory for it now */
		return;
	}
}

/* accept failed. Returns true to try the next one. */
static bool accept_failed(struct per__loop *loop, int error)
{
	if (error == EAGAIN || error == EWOULDBLOCK)
		return false; /* drained, or another worker was faster */
	per__count(&loop->counters.accept_errors, 1);
	switch (error) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ETIMEDOUT:
		return true; /* about that connection only: accept(2), "Error handling" */
	default: /* EMFILE, ENFILE, ENOBUFS, ENOMEM; EPERM, which leaves the connection in the queue; bugs */
		accept_rest(loop, accept_retry_time());
		return false;
	}
}

static void accepted(struct per__loop *loop, struct per__listener *listener, int fd)
{
	struct per__ready *ready = per__ready_of(loop);
	struct per__sock *sock = per__on_accept(loop, listener, fd);
	int error;

	if (sock == PER__SOCK_TAKEN)
		return;
	if (sock == NULL) {
		per__count(&loop->counters.accept_refused, 1);
		(void)close(fd);
		per__ready_count_syscall(loop);
		/* Without a socket there is no close to wait for: the full table is another loop's. */
		accept_rest(loop, ready->open_count > 0 ? PER__READY_UNTIL_CLOSE : accept_retry_time());
		return;
	}
	error = per__ready_sock_open(loop, sock, fd);
	if (PER_LIKELY(error == 0))
		return;
	(void)close(fd);
	sock->state = PER__SOCK_CLOSING;
	sock->be.ready.error = error;
	per__ready_work_add(loop, sock);
}

void per__ready_listener_event(struct per__loop *loop, struct per__listener *listener, uint32_t count)
{
	struct per__ready *ready = per__ready_of(loop);
	int fd;

	per__count(&loop->counters.events, 1);
	ready->accepting = listener;
	count = PER_MIN(count, PER__READY_ACCEPTS_PER_TURN);
	/* An up-call may unlisten, and a full table or descriptor limit ends it too. */
	while (count-- > 0 && ready->accepting == listener && ready->accept_retry_ns == 0) {
		fd = accept_one(listener->fd);
		per__ready_count_syscall(loop);
		if (fd >= 0)
			accepted(loop, listener, fd);
		else if (!accept_failed(loop, errno))
			break;
	}
	ready->accepting = NULL;
}

int per__ready_listen(struct per__loop *loop, struct per__listener *listener)
{
	struct per__ready *ready = per__ready_of(loop);
	int fl = fcntl(listener->fd, F_GETFL);
	int error = 0;

	if (fl < 0 || (!(fl & O_NONBLOCK) && fcntl(listener->fd, F_SETFL, fl | O_NONBLOCK) < 0))
		return per__ready_error(-errno);
	if (ready->accept_retry_ns == 0)
		error = ready->ops->listener_add(loop, listener);
	if (error != 0)
		return per__ready_error(error);
	listener->next = ready->listeners;
	ready->listeners = listener;
	return 0;
}

void per__ready_unlisten(struct per__loop *loop, struct per__listener *listener)
{
	struct per__ready *ready = per__ready_of(loop);
	struct per__listener **at = &ready->listeners;

	while (*at != NULL && *at != listener)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	*at = listener->next;
	listener->next = NULL;
	if (ready->accepting == listener)
		ready->accepting = NULL;
	if (ready->accept_retry_ns == 0)
		ready->ops->listener_del(loop, listener);
}
