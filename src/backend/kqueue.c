/* SPDX-License-Identifier: MIT */
/*
 * kqueue.c - the readiness backend of the BSDs and macOS: edge-triggered, registered by the call that waits.
 * What happens on an event is readiness.c's. Called by the core through per__backend_kqueue.
 * Invariant: no queued change names a descriptor that was closed; events[pos..count) were fetched and not
 * dispatched, and none of them names a listener that is no longer listened on.
 */
#include "backend/file.h"
#include "backend/readiness.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <peregrine/config.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/event.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_PER_WAIT 256
#define CHANGES_MAX 128 /* at most EVENTS_PER_WAIT, so that each failure finds room among the events */
#define WAKE_IDENT 1

/* Listeners are told from sockets by the low bit of udata, which their alignment leaves free. */
#define TAG_LISTENER ((uintptr_t)1)

_Static_assert(CHANGES_MAX <= EVENTS_PER_WAIT, "a failed change is reported as an event");

struct kqueue {
	struct per__ready ready; /* first: loop->be_state points here */
	int fd;
	int pos, count;
	int change_count;
	struct kevent changes[CHANGES_MAX];
	struct kevent events[EVENTS_PER_WAIT];
};

static struct kqueue *kqueue_of(struct per__loop *loop)
{
	return loop->be_state;
}

/* --- changes ---------------------------------------------------------------------------------- */

/* Registering failed: the socket would stay silent for ever. */
static void change_failed(struct per__loop *loop, const struct kevent *event)
{
	if (event->data != 0)
		per__ready_sock_end(loop, event->udata, -(int)event->data);
}

/* Applies the queued changes at once. EV_RECEIPT makes the kernel answer these and fetch no events. */
static void changes_flush(struct per__loop *loop)
{
	struct kqueue *kq = kqueue_of(loop);
	struct kevent receipts[CHANGES_MAX];
	const struct timespec zero = { 0, 0 };
	int count = kq->change_count;

	kq->change_count = 0;
	for (int i = 0; i < count; i++)
		kq->changes[i].flags |= EV_RECEIPT;
	per__ready_count_syscall(loop);
	count = kevent(kq->fd, kq->changes, count, receipts, count, &zero);
	for (int i = 0; i < count; i++)
		change_failed(loop, &receipts[i]);
}

static void change_add(struct per__loop *loop, struct per__sock *sock, short filter)
{
	struct kqueue *kq = kqueue_of(loop);

	if (kq->change_count == CHANGES_MAX)
		changes_flush(loop);
	EV_SET(&kq->changes[kq->change_count], sock->fd, filter, EV_ADD | EV_CLEAR, 0, 0, sock);
	kq->change_count++;
}

/* For what has to take effect at once. Returns 0 or a negative errno. */
static int change_now(struct per__loop *loop, struct kevent change)
{
	per__ready_count_syscall(loop);
	return kevent(kqueue_of(loop)->fd, &change, 1, NULL, 0, NULL) < 0 ? -errno : 0;
}

/* --- struct per__ready_ops -------------------------------------------------------------------- */

static int kqueue_sock_add(struct per__loop *loop, struct per__sock *sock)
{
	change_add(loop, sock, EVFILT_READ);
	return 0;
}

static int kqueue_sock_want_write(struct per__loop *loop, struct per__sock *sock)
{
	change_add(loop, sock, EVFILT_WRITE);
	return 0;
}

/* The kernel forgets a descriptor that is closed; the changes it has not seen are forgotten here. */
static void kqueue_sock_forget(struct per__loop *loop, struct per__sock *sock)
{
	struct kqueue *kq = kqueue_of(loop);
	int kept = 0;

	for (int i = 0; i < kq->change_count; i++) {
		if (kq->changes[i].ident != (uintptr_t)sock->fd)
			kq->changes[kept++] = kq->changes[i];
	}
	kq->change_count = kept;
}

static void *listener_data(struct per__listener *listener)
{
	return (void *)((uintptr_t)listener | TAG_LISTENER);
}

static int kqueue_listener_add(struct per__loop *loop, struct per__listener *listener)
{
	struct kevent change;

	EV_SET(&change, listener->fd, EVFILT_READ, EV_ADD, 0, 0, listener_data(listener));
	return change_now(loop, change);
}

static void kqueue_listener_del(struct per__loop *loop, struct per__listener *listener)
{
	struct kqueue *kq = kqueue_of(loop);
	struct kevent change;

	EV_SET(&change, listener->fd, EVFILT_READ, EV_DELETE, 0, 0, NULL);
	(void)change_now(loop, change);
	for (int i = kq->pos; i < kq->count; i++) {
		if (kq->events[i].udata == listener_data(listener))
			kq->events[i].udata = NULL;
	}
}

static int trigger(int fd)
{
	struct kevent change;

	EV_SET(&change, WAKE_IDENT, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
	return kevent(fd, &change, 1, NULL, 0, NULL);
}

static void kqueue_kick(struct per__loop *loop)
{
	per__ready_count_syscall(loop);
	(void)trigger(kqueue_of(loop)->fd);
}

static const struct per__ready_ops kqueue_ops = {
	.sock_add = kqueue_sock_add,
	.sock_want_write = kqueue_sock_want_write,
	.sock_forget = kqueue_sock_forget,
	.listener_add = kqueue_listener_add,
	.listener_del = kqueue_listener_del,
	.kick = kqueue_kick,
};

/* --- waiting ---------------------------------------------------------------------------------- */

static int wait_events(struct kqueue *kq, int64_t timeout_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(timeout_ns / 1000000000),
			       .tv_nsec = (long)(timeout_ns % 1000000000) };
	int count = kq->change_count;

	kq->change_count = 0;
	return kevent(kq->fd, kq->changes, count, kq->events, EVENTS_PER_WAIT, timeout_ns < 0 ? NULL : &ts);
}

static unsigned sock_events(const struct kevent *event)
{
	unsigned out = event->filter == EVFILT_WRITE ? PER__READY_OUT : PER__READY_IN;

	if ((event->flags & EV_EOF) && event->filter == EVFILT_READ)
		out |= PER__READY_END;
	if ((event->flags & EV_EOF) && event->filter == EVFILT_WRITE) /* and the peer cannot read */
		out |= PER__READY_HUP;
	if ((event->flags & EV_EOF) && event->fflags != 0) /* the socket's error */
		out |= PER__READY_FAIL;
	return out;
}

static void dispatch(struct per__loop *loop, const struct kevent *event)
{
	uintptr_t data = (uintptr_t)event->udata;

	if (event->filter == EVFILT_USER)
		per__ready_wake_event(loop);
	else if (data == 0)
		return; /* a listener that is gone */
	else if (event->flags & EV_ERROR)
		change_failed(loop, event);
	else if (data & TAG_LISTENER)
		per__ready_listener_event(loop, (void *)(data & ~TAG_LISTENER),
					  (uint32_t)PER_MAX(event->data, 1));
	else
		per__ready_sock_event(loop, event->udata, sock_events(event));
}

static int kqueue_poll(struct per__loop *loop, int64_t timeout_ns)
{
	struct kqueue *kq = kqueue_of(loop);

	timeout_ns = per__ready_begin(loop, timeout_ns);
	per__ready_count_syscall(loop);
	kq->count = wait_events(kq, timeout_ns);
	kq->pos = 0;
	if (PER_UNLIKELY(kq->count < 0)) {
		PER_ASSERT(errno == EINTR); /* after the changes: kevent(2) applies them before it sleeps */
		kq->count = 0;
		timeout_ns = 0; /* it has not passed */
	}
	per__ready_arrive(loop, kq->count == 0 && timeout_ns > 0 ? timeout_ns : 0);
	while (kq->pos < kq->count)
		dispatch(loop, &kq->events[kq->pos++]);
	per__ready_finish(loop);
	/* Who polls our descriptor has to see what was asked for since the wait. */
	if (PER_UNLIKELY(kq->ready.is_watched && kq->change_count > 0))
		changes_flush(loop);
	return 0;
}

/* --- life ------------------------------------------------------------------------------------- */

/* A kqueue with the wake event on it; -1 with errno. */
static int kqueue_open(void)
{
	struct kevent change;
	int fd = kqueue();

	if (fd < 0)
		return -1;
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	EV_SET(&change, WAKE_IDENT, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, NULL);
	if (kevent(fd, &change, 1, NULL, 0, NULL) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static int kqueue_probe(struct per__probe *out)
{
	int fd = kqueue_open();

	memset(out, 0, sizeof(*out));
	if (fd < 0) {
		int error = -errno;

		(void)snprintf(out->reason, sizeof(out->reason), "kqueue: %s", strerror(-error));
		return per__ready_error(error);
	}
	(void)close(fd);
	(void)snprintf(out->reason, sizeof(out->reason), "works here");
	return 0;
}

static int kqueue_init(struct per__loop *loop, const struct per__be_conf *conf)
{
	struct kqueue *kq = per__mem_alloc(sizeof(*kq));
	int error;

	if (kq == NULL)
		return PER_ENOMEM;
	kq->ready.ops = &kqueue_ops;
	kq->fd = kqueue_open();
	error = kq->fd < 0 ? per__ready_error(-errno) : per__ready_init(loop, &kq->ready, conf);
	if (error == 0)
		return 0;
	per__log(conf->log, PER_LOG_ERROR, "kqueue: %s", strerror(errno));
	if (kq->fd >= 0)
		(void)close(kq->fd);
	per__mem_free(kq);
	return error;
}

static void kqueue_fini(struct per__loop *loop)
{
	struct kqueue *kq = kqueue_of(loop);

	per__ready_fini(loop);
	(void)close(kq->fd);
	per__mem_free(kq);
	loop->be_state = NULL;
}

static void kqueue_wake(struct per__loop *loop)
{
	struct kqueue *kq = kqueue_of(loop);

	if (per__ready_wake_begin(&kq->ready))
		(void)trigger(kq->fd);
}

static int kqueue_poll_fd(struct per__loop *loop)
{
	struct kqueue *kq = kqueue_of(loop);

	if (!kq->ready.is_watched && (kq->ready.work.head != NULL || kq->change_count > 0))
		kqueue_kick(loop);
	kq->ready.is_watched = true;
	return kq->fd;
}

static int kqueue_adopt(struct per__loop *loop, struct per__sock *sock, int fd)
{
	struct kqueue *kq = kqueue_of(loop);
	int error = per__ready_adopt(loop, sock, fd);

	if (error == 0 && kq->ready.is_watched && !kq->ready.is_polling)
		changes_flush(loop);
	return error;
}

const struct per__backend per__backend_kqueue = {
	.name = "kqueue",
	.id = PER_BACKEND_KQUEUE,
	.probe = kqueue_probe,
	.init = kqueue_init,
	.fini = kqueue_fini,
	.listen = per__ready_listen,
	.unlisten = per__ready_unlisten,
	.adopt = kqueue_adopt,
	.poll = kqueue_poll,
	.wake = kqueue_wake,
	.poll_fd = kqueue_poll_fd,
	.send = per__ready_send,
#ifdef PER__HAS_SEND_FILE
	.send_file = per__ready_send_file,
#endif
	.recv_pause = per__ready_recv_pause,
	.recv_resume = per__ready_recv_resume,
	.shutdown = per__ready_shutdown,
	.close = per__ready_close,
};
