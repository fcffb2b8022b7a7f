/* SPDX-License-Identifier: MIT */
/*
 * kqueue_shim.c - kqueue(2) on Linux for tests: an epoll descriptor and notes kept beside it.
 * Read, write and user filters only; the two filters of one descriptor must agree on EV_CLEAR (else EINVAL);
 * a socket's error is told as ECONNRESET, because Linux cannot look at it without taking it away.
 * Invariant: what epoll watches for a descriptor is what its enabled notes ask for.
 */
#include "sys/event.h"
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>
#include <unistd.h>

#define USERS_MAX 8
#define BATCH_MAX 256
#define USER_DATA UINT64_MAX /* epoll data of always_ready */

struct note {
	bool is_used, is_disabled;
	unsigned short flags; /* EV_CLEAR, EV_ONESHOT */
	void *udata;
};

struct file {
	struct note read, write;
	bool is_listener;
};

struct user {
	struct note note;
	uintptr_t ident;
	bool is_triggered;
};

struct queue {
	pthread_mutex_t lock;
	int fd;
	struct file *files; /* by descriptor */
	size_t file_count;
	struct user users[USERS_MAX];
	struct queue *next;
};

static pthread_mutex_t queues_lock = PTHREAD_MUTEX_INITIALIZER;
static struct queue *queues;

/*
 * A descriptor that is always readable. Each queue watches it, but only while a user event is triggered.
 * Opened before main(), so that tests that count descriptors find as many at their end as at their beginning.
 */
static int always_ready;

static void __attribute__((constructor)) always_ready_open(void)
{
	always_ready = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
}

/* --- queues ----------------------------------------------------------------------------------- */

/*
 * The system's kevent() may be called by a signal handler, which per_server_stop() does in a loop that is
 * polled. Here it would wait for a lock of the thread that it has interrupted: so no signal comes meanwhile.
 */
static void lock_take(pthread_mutex_t *lock, sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, before);
	pthread_mutex_lock(lock);
}

static void lock_give(pthread_mutex_t *lock, const sigset_t *before)
{
	pthread_mutex_unlock(lock);
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

static struct queue *queue_find(int fd)
{
	struct queue *queue;
	sigset_t before;

	lock_take(&queues_lock, &before);
	for (queue = queues; queue != NULL && queue->fd != fd; queue = queue->next)
		;
	lock_give(&queues_lock, &before);
	return queue;
}

static void queue_free(struct queue *queue)
{
	pthread_mutex_destroy(&queue->lock);
	free(queue->files);
	free(queue);
}

/* Shows triggered user events to whoever waits, once. Returns 0, or -1 when the descriptor is closed. */
static int users_show(struct queue *queue)
{
	struct epoll_event event = { .events = EPOLLONESHOT, .data.u64 = USER_DATA };

	for (size_t i = 0; i < USERS_MAX; i++) {
		if (queue->users[i].is_triggered && !queue->users[i].note.is_disabled)
			event.events = EPOLLIN | EPOLLONESHOT;
	}
	return epoll_ctl(queue->fd, EPOLL_CTL_MOD, always_ready, &event);
}

/* A descriptor that was closed, or is another file by now, does not know always_ready. */
static bool queue_is_dead(struct queue *queue)
{
	bool is_dead;

	pthread_mutex_lock(&queue->lock);
	is_dead = users_show(queue) < 0;
	pthread_mutex_unlock(&queue->lock);
	return is_dead;
}

/* A queue ends with close(2), which nobody tells us: the dead are removed when the next one is made. */
static void queues_sweep(void)
{
	struct queue **at = &queues;

	while (*at != NULL) {
		struct queue *queue = *at;

		if (!queue_is_dead(queue)) {
			at = &queue->next;
			continue;
		}
		*at = queue->next;
		queue_free(queue);
	}
}

int kqueue(void)
{
	struct epoll_event event = { .events = EPOLLONESHOT, .data.u64 = USER_DATA };
	struct queue *queue;
	sigset_t before;

	lock_take(&queues_lock, &before);
	queues_sweep();
	queue = calloc(1, sizeof(*queue));
	if (queue == NULL)
		goto unlock;
	pthread_mutex_init(&queue->lock, NULL);
	queue->fd = epoll_create1(EPOLL_CLOEXEC);
	if (queue->fd < 0 || epoll_ctl(queue->fd, EPOLL_CTL_ADD, always_ready, &event) < 0)
		goto free_queue;
	queue->next = queues;
	queues = queue;
	lock_give(&queues_lock, &before);
	return queue->fd;
free_queue:
	if (queue->fd >= 0)
		close(queue->fd);
	queue_free(queue);
unlock:
	lock_give(&queues_lock, &before);
	return -1;
}

/* --- changes ---------------------------------------------------------------------------------- */

static struct file *file_at(struct queue *queue, size_t fd)
{
	size_t count = queue->file_count == 0 ? 64 : queue->file_count;
	struct file *files;

	if (fd < queue->file_count)
		return &queue->files[fd];
	while (count <= fd)
		count *= 2;
	files = realloc(queue->files, count * sizeof(*files));
	if (files == NULL)
		return NULL;
	memset(files + queue->file_count, 0, (count - queue->file_count) * sizeof(*files));
	queue->files = files;
	queue->file_count = count;
	return &files[fd];
}

static bool note_is_on(const struct note *note)
{
	return note->is_used && !note->is_disabled;
}

static struct epoll_event file_interest(const struct file *file, size_t fd)
{
	struct epoll_event event = { .events = 0, .data.u64 = fd };

	if (note_is_on(&file->read))
		event.events |= EPOLLIN | EPOLLRDHUP;
	if (note_is_on(&file->write))
		event.events |= EPOLLOUT;
	if ((file->read.is_used ? file->read.flags : file->write.flags) & EV_CLEAR)
		event.events |= EPOLLET;
	return event;
}

/* Tells epoll what the notes ask for; what is ready already is reported anew, as by EV_ADD and EV_ENABLE. */
static int file_update(struct queue *queue, size_t fd)
{
	struct file *file = &queue->files[fd];
	struct epoll_event event = file_interest(file, fd);

	if (!(event.events & (EPOLLIN | EPOLLOUT)))
		return epoll_ctl(queue->fd, EPOLL_CTL_DEL, (int)fd, &event) < 0 && errno != ENOENT ? errno
												   : 0;
	if (epoll_ctl(queue->fd, EPOLL_CTL_MOD, (int)fd, &event) == 0)
		return 0;
	if (errno != ENOENT)
		return errno;
	return epoll_ctl(queue->fd, EPOLL_CTL_ADD, (int)fd, &event) < 0 ? errno : 0;
}

static bool fd_is_listener(int fd)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 && value != 0;
}

/* A BSD drops the notes of a descriptor that is closed; here they go when epoll no longer knows it. */
static void file_forget_closed(struct queue *queue, size_t fd)
{
	struct file *file = &queue->files[fd];
	struct epoll_event event = file_interest(file, fd);

	if (!(event.events & (EPOLLIN | EPOLLOUT)))
		return;
	if (epoll_ctl(queue->fd, EPOLL_CTL_MOD, (int)fd, &event) < 0)
		memset(file, 0, sizeof(*file));
}

/* The flags that EV_ADD, EV_ENABLE and EV_DISABLE have in common for every filter. */
static void note_change(struct note *note, const struct kevent *change)
{
	if (change->flags & EV_ADD) {
		note->is_used = true;
		note->is_disabled = false;
		note->flags = change->flags & (EV_CLEAR | EV_ONESHOT);
		note->udata = change->udata;
	}
	if (change->flags & EV_ENABLE)
		note->is_disabled = false;
	if (change->flags & EV_DISABLE)
		note->is_disabled = true;
	if (change->flags & EV_DELETE)
		memset(note, 0, sizeof(*note));
}

static int change_file(struct queue *queue, const struct kevent *change)
{
	struct file *file = file_at(queue, change->ident);
	struct note *note, *other;

	if (file == NULL)
		return ENOMEM;
	file_forget_closed(queue, change->ident);
	note = change->filter == EVFILT_READ ? &file->read : &file->write;
	other = change->filter == EVFILT_READ ? &file->write : &file->read;
	if (!note->is_used && !(change->flags & EV_ADD))
		return ENOENT;
	if ((change->flags & EV_ADD) && other->is_used && ((other->flags ^ change->flags) & EV_CLEAR))
		return EINVAL;
	note_change(note, change);
	file->is_listener = fd_is_listener((int)change->ident);
	return file_update(queue, change->ident);
}

static int change_user(struct queue *queue, const struct kevent *change)
{
	struct user *user = NULL;

	for (size_t i = 0; i < USERS_MAX; i++) {
		if (queue->users[i].note.is_used && queue->users[i].ident == change->ident)
			user = &queue->users[i];
	}
	for (size_t i = 0; user == NULL && (change->flags & EV_ADD) && i < USERS_MAX; i++) {
		if (!queue->users[i].note.is_used)
			user = &queue->users[i];
	}
	if (user == NULL)
		return change->flags & EV_ADD ? ENOMEM : ENOENT;
	user->ident = change->ident;
	note_change(&user->note, change);
	if (!user->note.is_used)
		user->is_triggered = false;
	if (change->fflags & NOTE_TRIGGER)
		user->is_triggered = true;
	(void)users_show(queue);
	return 0;
}

static int change_one(struct queue *queue, const struct kevent *change)
{
	switch (change->filter) {
	case EVFILT_READ:
	case EVFILT_WRITE:
		return change_file(queue, change);
	case EVFILT_USER:
		return change_user(queue, change);
	default:
		return EINVAL;
	}
}

/*
 * Applies changes. Failures, and everything with EV_RECEIPT, become events as long as there is room; a
 * failure without room ends the call.
 * returns  the number of events, or -1 with errno
 */
static int change_all(struct queue *queue, const struct kevent *changes, int change_count,
		      struct kevent *events, int event_count)
{
	int out = 0;

	for (int i = 0; i < change_count; i++) {
		int error = change_one(queue, &changes[i]);

		if (error == 0 && !(changes[i].flags & EV_RECEIPT))
			continue;
		if (out < event_count) {
			events[out] = changes[i];
			events[out].flags = EV_ERROR;
			events[out++].data = error;
		} else if (error != 0) {
			errno = error;
			return -1;
		}
	}
	return out;
}

/* --- events ----------------------------------------------------------------------------------- */

/* How many connections wait; 1 where Linux does not tell. */
static int64_t backlog_of(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 || info.tcpi_unacked == 0)
		return 1;
	return info.tcpi_unacked;
}

static int64_t bytes_of(int fd, unsigned long request)
{
	int value = 0;

	return ioctl(fd, request, &value) < 0 ? 0 : value;
}

static int64_t room_of(int fd)
{
	int size = 0;
	socklen_t len = sizeof(size);

	(void)getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len);
	return size - bytes_of(fd, SIOCOUTQ);
}

/* A one-shot note is deleted once it was reported. */
static void note_reported(struct queue *queue, size_t fd, struct note *note)
{
	if (!(note->flags & EV_ONESHOT))
		return;
	memset(note, 0, sizeof(*note));
	(void)file_update(queue, fd);
}

static int report_file(struct queue *queue, size_t fd, uint32_t ready, struct kevent *events)
{
	const uint32_t error = ready & EPOLLERR, both = ready & (EPOLLERR | EPOLLHUP);
	struct file *file = &queue->files[fd];
	int out = 0;

	if (note_is_on(&file->read) && (ready & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))) {
		EV_SET(&events[out], fd, EVFILT_READ, file->read.flags, error ? ECONNRESET : 0,
		       file->is_listener ? backlog_of((int)fd) : bytes_of((int)fd, FIONREAD),
		       file->read.udata);
		if (both || (ready & EPOLLRDHUP))
			events[out].flags |= EV_EOF;
		out++;
		note_reported(queue, fd, &file->read);
	}
	if (note_is_on(&file->write) && (ready & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
		EV_SET(&events[out], fd, EVFILT_WRITE, file->write.flags, error ? ECONNRESET : 0,
		       room_of((int)fd), file->write.udata);
		if (both)
			events[out].flags |= EV_EOF;
		out++;
		note_reported(queue, fd, &file->write);
	}
	return out;
}

static int report_users(struct queue *queue, struct kevent *events, int room)
{
	int out = 0;

	for (size_t i = 0; i < USERS_MAX; i++) {
		struct user *user = &queue->users[i];

		if (!note_is_on(&user->note) || !user->is_triggered || out == room)
			continue;
		EV_SET(&events[out], user->ident, EVFILT_USER, user->note.flags, NOTE_TRIGGER, 0,
		       user->note.udata);
		out++;
		if (user->note.flags & (EV_CLEAR | EV_ONESHOT))
			user->is_triggered = false;
		if (user->note.flags & EV_ONESHOT)
			memset(&user->note, 0, sizeof(user->note));
	}
	(void)users_show(queue); /* those that stay triggered or found no room */
	return out;
}

/* Fetches what is ready now. A descriptor can give two events, so only half as many are asked for. */
static int collect(struct queue *queue, struct kevent *events, int event_count)
{
	struct epoll_event ready[BATCH_MAX];
	struct kevent both[2];
	int wanted = event_count / 2, out = 0, count;

	wanted = wanted < 1 ? 1 : wanted > BATCH_MAX ? BATCH_MAX : wanted;
	count = epoll_wait(queue->fd, ready, wanted, 0);
	for (int i = 0; i < count; i++) {
		int n;

		if (ready[i].data.u64 == USER_DATA) {
			out += report_users(queue, events + out, event_count - out - (count - i - 1));
			continue;
		}
		n = report_file(queue, ready[i].data.u64, ready[i].events, both);
		if (n > event_count - out) {
			n = event_count - out;
			(void)file_update(queue, ready[i].data.u64); /* reports the other one again */
		}
		memcpy(events + out, both, (size_t)n * sizeof(*events));
		out += n;
	}
	return out;
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* Sleeps until the queue has something; false on a signal or when the deadline (-1: none) has passed. */
static bool sleep_until(int kq, int64_t deadline_ns)
{
	struct pollfd pfd = { .fd = kq, .events = POLLIN };
	int64_t left = deadline_ns - now_ns();
	struct timespec ts = { left / 1000000000, left % 1000000000 };

	if (deadline_ns >= 0 && left <= 0) {
		errno = 0;
		return false;
	}
	errno = 0;
	return ppoll(&pfd, 1, deadline_ns < 0 ? NULL : &ts, NULL) > 0;
}

int kevent(int kq, const struct kevent *changes, int change_count, struct kevent *events, int event_count,
	   const struct timespec *timeout)
{
	struct queue *queue = queue_find(kq);
	int64_t deadline_ns = -1;
	sigset_t before;
	int out;

	if (queue == NULL) {
		errno = EBADF;
		return -1;
	}
	if (timeout != NULL)
		deadline_ns = now_ns() + timeout->tv_sec * INT64_C(1000000000) + timeout->tv_nsec;
	lock_take(&queue->lock, &before);
	out = change_all(queue, changes, change_count, events, event_count);
	if (out == 0 && event_count > 0)
		out = collect(queue, events, event_count);
	lock_give(&queue->lock, &before);
	while (out == 0 && event_count > 0) {
		if (!sleep_until(kq, deadline_ns))
			return errno == EINTR ? -1 : 0;
		lock_take(&queue->lock, &before);
		out = collect(queue, events, event_count);
		lock_give(&queue->lock, &before);
	}
	return out;
}
