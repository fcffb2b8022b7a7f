/* SPDX-License-Identifier: MIT */
/*
 * epoll.c - the Linux readiness backend: edge-triggered, one epoll_ctl for each connection.
 * What happens on an event is readiness.c's. Called by the core through per__backend_epoll.
 * Invariant: events[pos..count) were fetched and not dispatched; none of them names a listener that is
 * no longer listened on.
 */
#include "backend/file.h"
#include "backend/readiness.h"
#include "base/mem.h"
#include <errno.h>
#include <limits.h>
#include <peregrine/config.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_PER_WAIT 256

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441 /* the same on every architecture */
#endif

/* What the low bits of an event's data say. Sockets are aligned to 64 bytes, listeners to 8. */
#define TAG_MASK UINT64_C(3)
#define TAG_SOCK UINT64_C(0)
#define TAG_LISTENER UINT64_C(1)
#define TAG_WAKE UINT64_C(2)
#define TAG_NONE UINT64_C(3)

struct epoll {
	struct per__ready ready; /* first: loop->be_state points here */
	int fd;
	int wake_fd;
	int pos, count;
	bool has_pwait2;
	struct epoll_event events[EVENTS_PER_WAIT];
};

static struct epoll *epoll_of(struct per__loop *loop)
{
	return loop->be_state;
}

static int control(struct per__loop *loop, int op, int fd, struct epoll_event event)
{
	per__ready_count_syscall(loop);
	return epoll_ctl(epoll_of(loop)->fd, op, fd, &event) < 0 ? -errno : 0;
}

/* --- struct per__ready_ops -------------------------------------------------------------------- */

static uint64_t sock_data(struct per__sock *sock)
{
	return (uint64_t)(uintptr_t)sock | TAG_SOCK;
}

static uint64_t listener_data(struct per__listener *listener)
{
	return (uint64_t)(uintptr_t)listener | TAG_LISTENER;
}

static int epoll_sock_add(struct per__loop *loop, struct per__sock *sock)
{
	/* Without EPOLLOUT: each new socket is writable, and the event that says so tells nothing. */
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.u64 = sock_data(sock) };

	return control(loop, EPOLL_CTL_ADD, sock->fd, event);
}

static int epoll_sock_want_write(struct per__loop *loop, struct per__sock *sock)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				     .data.u64 = sock_data(sock) };

	return control(loop, EPOLL_CTL_MOD, sock->fd, event);
}

/* The kernel forgets a descriptor that is closed. */
static void epoll_sock_forget(struct per__loop *loop, struct per__sock *sock)
{
	(void)loop;
	(void)sock;
}

static int epoll_listener_add(struct per__loop *loop, struct per__listener *listener)
{
	/* Exclusive: of several workers on the same unix socket one is woken, not all. */
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE,
				     .data.u64 = listener_data(listener) };

	return control(loop, EPOLL_CTL_ADD, listener->fd, event);
}

static void epoll_listener_del(struct per__loop *loop, struct per__listener *listener)
{
	struct epoll *epoll = epoll_of(loop);

	(void)control(loop, EPOLL_CTL_DEL, listener->fd, (struct epoll_event){ .events = 0 });
	for (int i = epoll->pos; i < epoll->count; i++) {
		if (epoll->events[i].data.u64 == listener_data(listener))
			epoll->events[i].data.u64 = TAG_NONE;
	}
}

static void epoll_kick(struct per__loop *loop)
{
	per__ready_count_syscall(loop);
	(void)eventfd_write(epoll_of(loop)->wake_fd, 1);
}

static const struct per__ready_ops epoll_ops = {
	.sock_add = epoll_sock_add,
	.sock_want_write = epoll_sock_want_write,
	.sock_forget = epoll_sock_forget,
	.listener_add = epoll_listener_add,
	.listener_del = epoll_listener_del,
	.kick = epoll_kick,
};

/* --- waiting ---------------------------------------------------------------------------------- */

/* struct __kernel_timespec, the same on 32-bit systems. */
struct timespec64 {
	int64_t seconds, nanoseconds;
};

static int wait_pwait2(struct epoll *epoll, int64_t timeout_ns)
{
	struct timespec64 ts = { timeout_ns / 1000000000, timeout_ns % 1000000000 };

	return (int)syscall(SYS_epoll_pwait2, epoll->fd, epoll->events, EVENTS_PER_WAIT, &ts, NULL, 0);
}

static int wait_events(struct epoll *epoll, int64_t timeout_ns)
{
	int64_t timeout_ms;

	if (timeout_ns > 0 && epoll->has_pwait2)
		return wait_pwait2(epoll, timeout_ns);
	timeout_ms = timeout_ns <= 0 ? timeout_ns : (timeout_ns - 1) / 1000000 + 1;
	return epoll_wait(epoll->fd, epoll->events, EVENTS_PER_WAIT, (int)PER_MIN(timeout_ms, INT_MAX));
}

static unsigned sock_events(uint32_t events)
{
	unsigned out = 0;

	if (events & EPOLLIN)
		out |= PER__READY_IN;
	if (events & EPOLLOUT)
		out |= PER__READY_OUT;
	if (events & (EPOLLRDHUP | EPOLLHUP))
		out |= PER__READY_END;
	if (events & EPOLLHUP)
		out |= PER__READY_HUP;
	if (events & EPOLLERR)
		out |= PER__READY_FAIL;
	return out;
}

static void dispatch(struct per__loop *loop, const struct epoll_event *event)
{
	uint64_t data = event->data.u64;
	void *ptr = (void *)(uintptr_t)(data & ~TAG_MASK);

	switch (data & TAG_MASK) {
	case TAG_SOCK:
		per__ready_sock_event(loop, ptr, sock_events(event->events));
		break;
	case TAG_LISTENER:
		per__ready_listener_event(loop, ptr, UINT32_MAX);
		break;
	case TAG_WAKE: /* edge-triggered, so that the eventfd need not be read */
		per__ready_wake_event(loop);
		break;
	default:
		break;
	}
}

static int epoll_poll(struct per__loop *loop, int64_t timeout_ns)
{
	struct epoll *epoll = epoll_of(loop);

	timeout_ns = per__ready_begin(loop, timeout_ns);
	per__ready_count_syscall(loop);
	epoll->count = wait_events(epoll, timeout_ns);
	epoll->pos = 0;
	if (PER_UNLIKELY(epoll->count < 0)) {
		PER_ASSERT(errno == EINTR);
		epoll->count = 0;
		timeout_ns = 0; /* it has not passed */
	}
	per__ready_arrive(loop, epoll->count == 0 && timeout_ns > 0 ? timeout_ns : 0);
	while (epoll->pos < epoll->count) {
		const struct epoll_event *event = &epoll->events[epoll->pos++];

		if (epoll->pos < epoll->count) /* the next connection is a cache miss otherwise */
			__builtin_prefetch((void *)(uintptr_t)epoll->events[epoll->pos].data.u64);
		dispatch(loop, event);
	}
	per__ready_finish(loop);
	return 0;
}

/* --- life ------------------------------------------------------------------------------------- */

static int epoll_fail(struct per__probe *out, const char *what)
{
	int error = -errno;

	(void)snprintf(out->reason, sizeof(out->reason), "%s: %s", what, strerror(-error));
	return per__ready_error(error);
}

static bool pwait2_works(int epoll_fd)
{
	struct timespec64 ts = { 0, 0 };
	struct epoll_event event;

	return syscall(SYS_epoll_pwait2, epoll_fd, &event, 1, &ts, NULL, 0) >= 0;
}

static int epoll_probe(struct per__probe *out)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int fd = epoll_create1(EPOLL_CLOEXEC);
	int wake_fd = -1, error = 0;

	memset(out, 0, sizeof(*out));
	if (fd < 0)
		return epoll_fail(out, "epoll_create1");
	wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (wake_fd < 0)
		error = epoll_fail(out, "eventfd");
	else if (epoll_ctl(fd, EPOLL_CTL_ADD, wake_fd, &event) < 0)
		error = epoll_fail(out, "epoll_ctl");
	else
		(void)snprintf(out->reason, sizeof(out->reason), "works here");
	if (error == 0 && pwait2_works(fd))
		(void)snprintf(out->features, sizeof(out->features), "epoll_pwait2");
	if (wake_fd >= 0)
		(void)close(wake_fd);
	(void)close(fd);
	return error;
}

static void epoll_release(struct epoll *epoll)
{
	if (epoll->wake_fd >= 0)
		(void)close(epoll->wake_fd);
	if (epoll->fd >= 0)
		(void)close(epoll->fd);
	per__mem_free(epoll);
}

static int epoll_init(struct per__loop *loop, const struct per__be_conf *conf)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = TAG_WAKE };
	struct epoll *epoll = per__mem_alloc(sizeof(*epoll));
	int error;

	if (epoll == NULL)
		return PER_ENOMEM;
	epoll->ready.ops = &epoll_ops;
	epoll->wake_fd = -1;
	epoll->fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll->fd >= 0)
		epoll->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (epoll->wake_fd < 0 || epoll_ctl(epoll->fd, EPOLL_CTL_ADD, epoll->wake_fd, &event) < 0)
		error = per__ready_error(-errno);
	else
		error = per__ready_init(loop, &epoll->ready, conf);
	if (error != 0) {
		per__log(conf->log, PER_LOG_ERROR, "epoll: %s", strerror(errno));
		epoll_release(epoll);
		return error;
	}
	epoll->has_pwait2 = pwait2_works(epoll->fd);
	return 0;
}

static void epoll_fini(struct per__loop *loop)
{
	struct epoll *epoll = epoll_of(loop);

	per__ready_fini(loop);
	epoll_release(epoll);
	loop->be_state = NULL;
}

static void epoll_wake(struct per__loop *loop)
{
	struct epoll *epoll = epoll_of(loop);

	if (per__ready_wake_begin(&epoll->ready))
		(void)eventfd_write(epoll->wake_fd, 1);
}

static int epoll_poll_fd(struct per__loop *loop)
{
	struct epoll *epoll = epoll_of(loop);

	if (!epoll->ready.is_watched && epoll->ready.work.head != NULL)
		epoll_kick(loop);
	epoll->ready.is_watched = true;
	return epoll->fd;
}

const struct per__backend per__backend_epoll = {
	.name = "epoll",
	.id = PER_BACKEND_EPOLL,
	.probe = epoll_probe,
	.init = epoll_init,
	.fini = epoll_fini,
	.listen = per__ready_listen,
	.unlisten = per__ready_unlisten,
	.adopt = per__ready_adopt,
	.poll = epoll_poll,
	.wake = epoll_wake,
	.poll_fd = epoll_poll_fd,
	.send = per__ready_send,
#ifdef PER__HAS_SEND_FILE
	.send_file = per__ready_send_file,
#endif
	.recv_pause = per__ready_recv_pause,
	.recv_resume = per__ready_recv_resume,
	.shutdown = per__ready_shutdown,
	.close = per__ready_close,
};
