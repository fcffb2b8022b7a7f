/* SPDX-License-Identifier: MIT */
/*
 * readiness.c - sends, receives and ends on top of readiness, the same for epoll and kqueue.
 * Does not accept (readiness_accept.c), wait, or register interest; plain down-calls are in
 * readiness_calls.c. Called by epoll.c and kqueue.c. Invariant: up-calls are made only between arrive and
 * finish; list moves keep F_LISTED true.
 */
#include "backend/readiness.h"
#include "backend/file.h"
#include "base/clock.h"
#include "base/mem.h"
#include <peregrine/types.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef MSG_NOSIGNAL
#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)
#else
#define SEND_FLAGS MSG_DONTWAIT /* macOS: SO_NOSIGPIPE is set when a socket arrives */
#endif

enum send_result { SEND_DONE, SEND_WAITS, SEND_STARVED, SEND_BROKE };

/* --- lists ------------------------------------------------------------------------------------ */

static void list_push(struct per__ready_list *list, struct per__sock *sock)
{
	sock->flags |= PER__READY_F_LISTED;
	sock->next = NULL;
	if (list->tail != NULL)
		list->tail->next = sock;
	else
		list->head = sock;
	list->tail = sock;
}

static struct per__sock *list_pop(struct per__ready_list *list)
{
	struct per__sock *sock = list->head;

	if (sock == NULL)
		return NULL;
	list->head = sock->next;
	if (list->head == NULL)
		list->tail = NULL;
	sock->next = NULL;
	sock->flags &= (uint8_t)~PER__READY_F_LISTED;
	return sock;
}

/* Moves everything of from, which keeps its order, to an empty list. */
static void list_take(struct per__ready_list *to, struct per__ready_list *from)
{
	PER_ASSERT(to->head == NULL);
	*to = *from;
	*from = (struct per__ready_list){ NULL, NULL };
}

void per__ready_work_add(struct per__loop *loop, struct per__sock *sock)
{
	struct per__ready *ready = per__ready_of(loop);

	if (sock->flags & PER__READY_F_LISTED)
		return;
	if (PER_UNLIKELY(ready->is_watched && !ready->is_polling && ready->work.head == NULL))
		ready->ops->kick(loop);
	list_push(&ready->work, sock);
}

/* --- the table of open sockets ---------------------------------------------------------------- */

int per__ready_sock_open(struct per__loop *loop, struct per__sock *sock, int fd)
{
	struct per__ready *ready = per__ready_of(loop);
	int error;

	PER_ASSERT(sock->state == PER__SOCK_FREE);
	PER_ASSERT(ready->open_count < ready->open_max);
#if defined(SO_NOSIGPIPE) && !defined(MSG_NOSIGNAL)
	(void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &(int){ 1 }, sizeof(int));
#endif
	sock->fd = fd;
	sock->flags = 0;
	error = ready->ops->sock_add(loop, sock);
	if (PER_UNLIKELY(error != 0)) {
		sock->fd = -1;
		return error;
	}
	sock->state = PER__SOCK_OPEN;
	sock->be.ready.index = ready->open_count;
	sock->be.ready.error = 0;
	ready->open[ready->open_count++] = sock;
	return 0;
}

static void table_remove(struct per__ready *ready, struct per__sock *sock)
{
	uint32_t index = sock->be.ready.index;
	struct per__sock *last = ready->open[--ready->open_count];

	PER_ASSERT(ready->open[index] == sock);
	ready->open[index] = last;
	last->be.ready.index = index;
}

void per__ready_sock_end(struct per__loop *loop, struct per__sock *sock, int error)
{
	struct per__ready *ready = per__ready_of(loop);

	if (sock->state != PER__SOCK_OPEN)
		return;
	table_remove(ready, sock);
	ready->ops->sock_forget(loop, sock);
	(void)close(sock->fd);
	per__ready_count_syscall(loop);
	sock->fd = -1;
	sock->state = PER__SOCK_CLOSING;
	sock->out_cnt = 0;
	sock->be.ready.error = error;
	per__ready_work_add(loop, sock);
}

/* --- sending ---------------------------------------------------------------------------------- */

/* Takes n sent bytes off the front of the send in progress. */
static void send_advance(struct per__sock *sock, size_t n)
{
	struct iovec *iov = sock->out_iov;
	uint32_t cnt = sock->out_cnt;

	for (; cnt > 0 && n >= iov->iov_len; iov++, cnt--)
		n -= iov->iov_len;
	if (n > 0) {
		PER_ASSERT(cnt > 0);
		iov->iov_base = (uint8_t *)iov->iov_base + n;
		iov->iov_len -= n;
	}
	sock->out_iov = iov;
	sock->out_cnt = cnt;
}

/* One send or sendmsg. *asked receives how many bytes were offered. */
static ssize_t send_once(const struct per__sock *sock, size_t *asked)
{
	struct msghdr msg = { .msg_iov = sock->out_iov };
	uint32_t cnt = PER_MIN(sock->out_cnt, PER__READY_IOV_MAX);

	*asked = sock->out_iov[0].iov_len;
	if (PER_LIKELY(cnt == 1))
		return send(sock->fd, sock->out_iov[0].iov_base, *asked, SEND_FLAGS);
	for (uint32_t i = 1; i < cnt; i++)
		*asked += sock->out_iov[i].iov_len;
	msg.msg_iovlen = (__typeof__(msg.msg_iovlen))cnt;
	return sendmsg(sock->fd, &msg, SEND_FLAGS);
}

void per__ready_look_again(struct per__loop *loop, struct per__sock *sock)
{
	int error = per__ready_of(loop)->ops->sock_want_write(loop, sock);

	sock->flags |= PER__READY_F_WANTS_WRITE;
	if (PER_UNLIKELY(error != 0))
		per__ready_sock_end(loop, sock, error);
}

/* The socket's buffer is full: the rest leaves on the edge of writability, watched from its first use on. */
static enum send_result send_wait(struct per__loop *loop, struct per__sock *sock)
{
	sock->flags |= PER__READY_F_BLOCKED;
	if (!(sock->flags & PER__READY_F_WANTS_WRITE))
		per__ready_look_again(loop, sock);
	return PER_LIKELY(sock->state == PER__SOCK_OPEN) ? SEND_WAITS : SEND_BROKE;
}

#ifdef PER__HAS_SEND_FILE

static enum send_result file_try(struct per__loop *loop, struct per__sock *sock)
{
	uint64_t bytes;
	int err = per__file_send(sock, &bytes);

	per__count(&loop->counters.syscalls, 2);
	per__count(&loop->counters.bytes_out, bytes);
	sock->bytes_out += bytes;
	if (err == 0) {
		sock->out_cnt = 0;
		return SEND_DONE;
	}
	if (err == -EAGAIN)
		return send_wait(loop, sock);
	if (err == -ENOBUFS || err == -ENOMEM)
		return SEND_STARVED;
	per__ready_sock_end(loop, sock, err);
	return SEND_BROKE;
}

#endif

/*
 * Sends what the socket has. A short write means a full buffer just as EAGAIN does, so no other try
 * follows it (epoll(7): "the amount of data written to the target file descriptor").
 */
static enum send_result send_try(struct per__loop *loop, struct per__sock *sock)
{
	size_t asked;
	ssize_t n;

#ifdef PER__HAS_SEND_FILE
	if (PER_UNLIKELY((sock->out_cnt & PER__SOCK_FILE) != 0))
		return file_try(loop, sock);
#endif
	while (sock->out_cnt > 0) {
		n = send_once(sock, &asked);
		per__ready_count_syscall(loop);
		if (PER_UNLIKELY(n < 0)) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				return send_wait(loop, sock);
			if (errno == ENOBUFS || errno == ENOMEM)
				return SEND_STARVED;
			per__ready_sock_end(loop, sock, -errno);
			return SEND_BROKE;
		}
		sock->bytes_out += (uint64_t)n;
		per__count(&loop->counters.bytes_out, (uint64_t)n);
		send_advance(sock, (size_t)n);
		if ((size_t)n < asked)
			return send_wait(loop, sock);
	}
	return SEND_DONE;
}

static bool send_is_due(const struct per__sock *sock)
{
	return sock->out_cnt > 0 && !(sock->flags & PER__READY_F_BLOCKED);
}

static bool recv_is_due(const struct per__sock *sock)
{
	return (sock->flags & (PER__READY_F_READABLE | PER__READY_F_PAUSED)) == PER__READY_F_READABLE;
}

/* The edge of writability. Up-calls on_sent when the rest could leave. */
static void sock_writable(struct per__loop *loop, struct per__sock *sock)
{
	sock->flags &= (uint8_t)~PER__READY_F_BLOCKED;
	switch (send_try(loop, sock)) {
	case SEND_DONE:
		per__on_sent(loop, sock);
		break;
	case SEND_STARVED:
		per__ready_work_add(loop, sock);
		break;
	case SEND_WAITS:
	case SEND_BROKE:
		break;
	}
}

/* --- receiving -------------------------------------------------------------------------------- */

static void sock_deliver(struct per__loop *loop, struct per__sock *sock, size_t len)
{
	struct per__ready *ready = per__ready_of(loop);

	sock->bytes_in += len;
	per__count(&loop->counters.bytes_in, len);
	per__on_recv(loop, sock, ready->buf, len);
	per__mem_poison(ready->buf, ready->buf_bytes);
}

/* What a negative recv means. Returns true to go on reading. */
static bool recv_failed(struct per__loop *loop, struct per__sock *sock, int error)
{
	if (error == EINTR)
		return true;
	if (error == ENOBUFS || error == ENOMEM) {
		sock->flags |= PER__READY_F_READABLE;
		sock->be_flags |= PER__READY_B_STARVED;
		per__ready_work_add(loop, sock);
	} else if (error != EAGAIN && error != EWOULDBLOCK) {
		per__ready_sock_end(loop, sock, -error);
	}
	return false;
}

/*
 * Reads until the socket is empty, paused, closed or has had its turn. A read that leaves room in the buffer
 * has emptied the socket: what arrives later makes a new edge. Only behind a known FIN or RST comes no other.
 */
static void sock_readable(struct per__loop *loop, struct per__sock *sock)
{
	struct per__ready *ready = per__ready_of(loop);
	unsigned reads = 0;
	ssize_t n;

	sock->flags &= (uint8_t)~PER__READY_F_READABLE;
	while (reads < PER__READY_READS_PER_TURN) {
		per__mem_unpoison(ready->buf, ready->buf_bytes);
		n = recv(sock->fd, ready->buf, ready->buf_bytes, MSG_DONTWAIT);
		per__ready_count_syscall(loop);
		if (PER_UNLIKELY(n < 0)) {
			if (recv_failed(loop, sock, errno))
				continue;
			return;
		}
		if (n == 0)
			sock->flags |= PER__READY_F_ENDED;
		sock_deliver(loop, sock, (size_t)n);
		if (n == 0 || sock->state != PER__SOCK_OPEN)
			return;
		if ((size_t)n < ready->buf_bytes && !(sock->flags & PER__READY_F_ENDING))
			return;
		if (sock->flags & PER__READY_F_PAUSED) {
			sock->flags |= PER__READY_F_READABLE;
			return;
		}
		reads++;
	}
	sock->flags |= PER__READY_F_READABLE;
	per__ready_work_add(loop, sock);
}

/* Nothing will be read now that could report the error, so it is asked for. */
static void sock_failed(struct per__loop *loop, struct per__sock *sock)
{
	int error = 0;
	socklen_t len = sizeof(error);

	per__ready_count_syscall(loop);
	if (getsockopt(sock->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error != 0)
		per__ready_sock_end(loop, sock, -error);
}

/* An event of a socket that is not read now. The peer's end waits behind bytes; an error does not. */
static void sock_unread_event(struct per__loop *loop, struct per__sock *sock, unsigned events)
{
	const unsigned both = PER__READY_F_PAUSED | PER__READY_F_ENDED;

	if (!(sock->flags & PER__READY_F_ENDED))
		sock->flags |= PER__READY_F_READABLE; /* for resume */
	if (events & PER__READY_FAIL)
		sock_failed(loop, sock);
	if ((events & PER__READY_HUP) && (sock->flags & both) == both &&
	    !(sock->be_flags & PER__READY_B_SHUT))
		per__ready_sock_end(loop, sock, -EPIPE);
}

void per__ready_sock_event(struct per__loop *loop, struct per__sock *sock, unsigned events)
{
	per__count(&loop->counters.events, 1);
	if (PER_UNLIKELY(sock->state != PER__SOCK_OPEN))
		return; /* closed after this batch of events was fetched */
	if ((events & (PER__READY_OUT | PER__READY_FAIL)) && (sock->flags & PER__READY_F_BLOCKED)) {
		sock_writable(loop, sock);
		if (sock->state != PER__SOCK_OPEN)
			return;
	}
	if (!(events & (PER__READY_IN | PER__READY_END | PER__READY_FAIL | PER__READY_HUP)))
		return;
	if (events & (PER__READY_END | PER__READY_FAIL))
		sock->flags |= PER__READY_F_ENDING;
	if (PER_UNLIKELY(sock->flags & (PER__READY_F_PAUSED | PER__READY_F_ENDED))) {
		sock_unread_event(loop, sock, events);
		return;
	}
	if (sock->flags & PER__READY_F_READABLE)
		return; /* it is listed: it had its turn already */
	sock_readable(loop, sock);
}

/* --- the phases of a poll --------------------------------------------------------------------- */

/* One socket that was put on the work list before this poll. */
static void begin_sock(struct per__loop *loop, struct per__sock *sock)
{
	struct per__ready *ready = per__ready_of(loop);

	if (sock->state == PER__SOCK_OPEN && send_is_due(sock)) {
		switch (send_try(loop, sock)) {
		case SEND_DONE:
			sock->flags |= PER__READY_F_SENT;
			break;
		case SEND_STARVED:
			ready->is_starved = true;
			per__ready_work_add(loop, sock);
			return; /* its reads wait as well: the machine is out of memory */
		case SEND_BROKE:
			return; /* on the work list again, closing */
		case SEND_WAITS:
			break;
		}
	}
	if (sock->state == PER__SOCK_CLOSING) {
		list_push(&ready->closed, sock);
	} else if (PER_UNLIKELY(sock->be_flags & PER__READY_B_STARVED) &&
		   !(sock->flags & PER__READY_F_SENT)) {
		sock->be_flags &= (uint8_t)~PER__READY_B_STARVED;
		ready->is_starved = true;
		per__ready_work_add(loop, sock);
	} else if ((sock->flags & PER__READY_F_SENT) || recv_is_due(sock)) {
		list_push(&ready->turn, sock);
	}
}

/* The shorter of two waits; -1 is without limit. */
static int64_t wait_min(int64_t timeout_ns, int64_t limit_ns)
{
	limit_ns = PER_MAX(limit_ns, 0);
	return timeout_ns < 0 ? limit_ns : PER_MIN(timeout_ns, limit_ns);
}

/*
 * The cheap clock is some milliseconds late. A wait that has lasted for waited_ns proves that much time to
 * have passed: without that, who waits for a moment would ask again and again, until the clock ticks.
 */
static void clock_read(struct per__loop *loop, int64_t waited_ns)
{
	loop->now_ns = PER_MAX(per__clock_now_ns(), loop->now_ns + waited_ns);
	loop->wall_s = per__clock_wall_s();
}

int64_t per__ready_begin(struct per__loop *loop, int64_t timeout_ns)
{
	struct per__ready *ready = per__ready_of(loop);
	struct per__ready_list todo = { NULL, NULL };
	struct per__sock *sock;

	PER_ASSERT(!ready->is_polling);
	ready->is_polling = true;
	ready->is_starved = false;
	per__count(&loop->counters.turns, 1);
	list_take(&todo, &ready->work);
	while ((sock = list_pop(&todo)) != NULL)
		begin_sock(loop, sock);
	if (ready->turn.head != NULL || ready->closed.head != NULL)
		return 0;
	if (PER_UNLIKELY(ready->work.head != NULL))
		timeout_ns = wait_min(timeout_ns,
				      ready->is_starved ? PER__READY_STARVED_MS * PER__READY_NS_PER_MS : 0);
	if (PER_UNLIKELY(ready->accept_retry_ns != 0 && ready->accept_retry_ns != PER__READY_UNTIL_CLOSE)) {
		clock_read(loop, 0);
		timeout_ns = wait_min(timeout_ns, ready->accept_retry_ns - loop->now_ns);
	}
	return timeout_ns;
}

/* on_closed for everything that was closed before the wait, then room for new connections. */
static void deliver_closed(struct per__loop *loop)
{
	struct per__ready *ready = per__ready_of(loop);
	struct per__sock *sock;

	if (ready->closed.head == NULL)
		return;
	while ((sock = list_pop(&ready->closed)) != NULL) {
		sock->state = PER__SOCK_FREE;
		sock->flags = 0;
		per__on_closed(loop, sock, sock->be.ready.error);
	}
	per__ready_accept_resume(loop);
}

void per__ready_arrive(struct per__loop *loop, int64_t waited_ns)
{
	struct per__ready *ready = per__ready_of(loop);
	struct per__sock *sock;

	clock_read(loop, waited_ns);
	if (PER_UNLIKELY(ready->accept_retry_ns != 0 && loop->now_ns >= ready->accept_retry_ns))
		per__ready_accept_resume(loop);
	deliver_closed(loop);
	while ((sock = list_pop(&ready->turn)) != NULL) {
		if (sock->flags & PER__READY_F_SENT) {
			sock->flags &= (uint8_t)~PER__READY_F_SENT;
			if (sock->state == PER__SOCK_OPEN)
				per__on_sent(loop, sock);
		}
		if (sock->state == PER__SOCK_CLOSING)
			per__ready_work_add(
				loop, sock); /* closed by an up-call of this turn: events may still name it */
		else if (recv_is_due(sock))
			sock_readable(loop, sock);
	}
}

void per__ready_finish(struct per__loop *loop)
{
	struct per__ready *ready = per__ready_of(loop);
	struct per__ready_list todo = { NULL, NULL };
	struct per__sock *sock;

	list_take(&todo, &ready->work);
	while ((sock = list_pop(&todo)) != NULL) {
		enum send_result result = SEND_WAITS;

		if (sock->state == PER__SOCK_OPEN && send_is_due(sock))
			result = send_try(loop, sock);
		if (result == SEND_DONE)
			per__on_sent(loop, sock);
		if (sock->state == PER__SOCK_CLOSING || result == SEND_STARVED || recv_is_due(sock))
			per__ready_work_add(loop, sock);
	}
	ready->is_polling = false;
	if (PER_UNLIKELY(ready->is_watched && ready->work.head != NULL))
		ready->ops->kick(loop);
}

bool per__ready_wake_begin(struct per__ready *ready)
{
	return __atomic_exchange_n(&ready->is_woken, 1, __ATOMIC_ACQ_REL) == 0;
}

/* The flag is cleared before the up-call: a later waker finds it clear, an earlier one is served here. */
void per__ready_wake_event(struct per__loop *loop)
{
	per__count(&loop->counters.events, 1);
	if (__atomic_exchange_n(&per__ready_of(loop)->is_woken, 0, __ATOMIC_ACQ_REL) != 0)
		per__on_wake(loop);
}
