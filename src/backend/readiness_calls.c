/* SPDX-License-Identifier: MIT */
/*
 * readiness_calls.c - the life of a loop on readiness, and the down-calls that only note what readiness.c
 * is to do. Called by the core through epoll.c and kqueue.c. Makes no up-call.
 */
#include "backend/file.h"
#include "backend/readiness.h"
#include "base/clock.h"
#include "base/mem.h"
#include <peregrine/types.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

int per__ready_error(int error)
{
	switch (-error) {
	case EMFILE:
	case ENFILE:
		return PER_EMFILE;
	case ENOMEM:
	case ENOBUFS:
	case ENOSPC: /* fs.epoll.max_user_watches */
		return PER_ENOMEM;
	case EPERM:
	case EACCES:
		return PER_EACCES;
	case ENOSYS:
		return PER_ENOTSUP;
	default:
		return PER_ESYS;
	}
}

int per__ready_init(struct per__loop *loop, struct per__ready *ready, const struct per__be_conf *conf)
{
	PER_ASSERT(conf->recv_buf_bytes > 0);
	ready->open_max = PER_MAX(conf->sockets_max, 1u);
	ready->buf_bytes = conf->recv_buf_bytes;
	ready->open = per__mem_reserve(ready->open_max * sizeof(struct per__sock *));
	ready->buf = per__mem_reserve(ready->buf_bytes);
	if (ready->open == NULL || ready->buf == NULL) {
		per__mem_release(ready->open, ready->open_max * sizeof(struct per__sock *));
		per__mem_release(ready->buf, ready->buf_bytes);
		return PER_ENOMEM;
	}
	per__mem_poison(ready->buf, ready->buf_bytes);
	loop->be_state = ready;
	loop->now_ns = per__clock_now_ns();
	loop->wall_s = per__clock_wall_s();
	return 0;
}

void per__ready_fini(struct per__loop *loop)
{
	struct per__ready *ready = per__ready_of(loop);

	PER_ASSERT(!ready->is_polling);
	while (ready->listeners != NULL)
		per__ready_unlisten(loop, ready->listeners);
	while (ready->open_count > 0)
		per__ready_sock_end(loop, ready->open[ready->open_count - 1], 0);
	per__mem_unpoison(ready->buf, ready->buf_bytes);
	per__mem_release(ready->buf, ready->buf_bytes);
	per__mem_release(ready->open, ready->open_max * sizeof(struct per__sock *));
}

int per__ready_adopt(struct per__loop *loop, struct per__sock *sock, int fd)
{
	int error;

	/* sendfile() has no MSG_DONTWAIT; and not on every system is that honoured in both directions. */
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return per__ready_error(-errno);
	error = per__ready_sock_open(loop, sock, fd);
	return error == 0 ? 0 : per__ready_error(error);
}

void per__ready_send(struct per__loop *loop, struct per__sock *sock, struct iovec *iov, uint32_t cnt)
{
	if (sock->state != PER__SOCK_OPEN)
		return; /* on_closed is to come and gives the bytes back */
	PER_ASSERT(cnt > 0);
	PER_ASSERT(sock->out_cnt == 0);
	PER_ASSERT(!(sock->flags & PER__READY_F_SENT));
	sock->out_iov = iov;
	sock->out_cnt = cnt;
	per__ready_work_add(loop, sock);
}

#ifdef PER__HAS_SEND_FILE
void per__ready_send_file(struct per__loop *loop, struct per__sock *sock, struct iovec *iov, uint32_t cnt)
{
	per__ready_send(loop, sock, iov, cnt | PER__SOCK_FILE);
}
#endif

/* An end or error that was reported before the pause makes no other edge: it is asked for again. */
void per__ready_recv_pause(struct per__loop *loop, struct per__sock *sock)
{
	if (sock->flags & PER__READY_F_PAUSED)
		return;
	sock->flags |= PER__READY_F_PAUSED;
	if (PER_UNLIKELY(sock->state == PER__SOCK_OPEN && (sock->flags & PER__READY_F_ENDING)))
		per__ready_look_again(loop, sock);
}

void per__ready_recv_resume(struct per__loop *loop, struct per__sock *sock)
{
	sock->flags &= (uint8_t)~PER__READY_F_PAUSED;
	if (sock->state == PER__SOCK_OPEN && (sock->flags & PER__READY_F_READABLE))
		per__ready_work_add(loop, sock);
}

void per__ready_shutdown(struct per__loop *loop, struct per__sock *sock)
{
	if (sock->state != PER__SOCK_OPEN)
		return;
	PER_ASSERT(sock->out_cnt == 0);
	sock->be_flags |= PER__READY_B_SHUT;
	/* ENOTCONN: the peer has reset it; its event says so. */
	(void)shutdown(sock->fd, SHUT_WR);
	per__ready_count_syscall(loop);
}

void per__ready_close(struct per__loop *loop, struct per__sock *sock, enum per__close_how how)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	if (sock->state != PER__SOCK_OPEN)
		return;
	if (how == PER__CLOSE_RESET) {
		(void)setsockopt(sock->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		per__ready_count_syscall(loop);
	}
	per__ready_sock_end(loop, sock, 0);
}
