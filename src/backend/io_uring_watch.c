/* SPDX-License-Identifier: MIT */
/*
 * io_uring_watch.c - resets of sockets that do not receive: a poll for errors, made at the first pause of a
 * socket and left in flight until its end, since an owner that has paused once does it again. So a socket
 * that never pauses costs nothing, and a pause or resume no operation more. The kernel wakes it for errors
 * and ends only, never for bytes.
 */
#include "backend/io_uring_internal.h"

#include <errno.h>
#include <poll.h>

/* Nothing is asked for: errors and ends are always reported, the peer's FIN among them (POLLRDHUP). */
static void watch_arm(struct uring *u, struct per__sock *sock)
{
	uring_sqe(u, IORING_OP_POLL_ADD, sock->fd, uring_tag(sock, URING_OP_WATCH))->len =
		IORING_POLL_ADD_MULTI;
	sock->be_flags |= SOCK_WATCH;
	sock->inflight++;
}

/* Has the owner been told of the end of the stream, so that nothing is left to come before a hang-up? */
static bool has_ended(const struct per__sock *sock)
{
	return (sock->flags & (SOCK_EOF | SOCK_EOF_DUE)) == SOCK_EOF;
}

void per__uring_watch(struct uring *u, struct per__sock *sock)
{
	if ((sock->be_flags & SOCK_HUNG_UP) != 0 && has_ended(sock))
		per__uring_sock_end(u, sock, -EPIPE);
	else if ((sock->be_flags & SOCK_WATCH) == 0)
		watch_arm(u, sock);
}

/*
 * Why the socket broke, 0 when it did not. The receive may have taken the error away meanwhile: its
 * completion is on its way then.
 */
static int error_of(struct uring *u, const struct per__sock *sock)
{
	int error = 0;
	socklen_t len = sizeof(error);

	per__count(&u->loop->counters.syscalls, 1);
	return getsockopt(sock->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? -error : 0;
}

/* A failure of the poll itself leaves the socket unwatched until its next pause: no try follows at once. */
void per__uring_watched(struct uring *u, struct per__sock *sock, int res, unsigned cqe_flags)
{
	int err;

	if ((cqe_flags & IORING_CQE_F_MORE) == 0) {
		sock->be_flags &= (uint8_t)~SOCK_WATCH;
		sock->inflight--;
	}
	if (sock->state != PER__SOCK_OPEN) {
		per__uring_sock_finish(u, sock);
		return;
	}
	if (res < 0 || (res & (POLLERR | POLLHUP)) == 0)
		return; /* the peer's FIN: the receive tells it */
	err = error_of(u, sock);
	if ((res & POLLHUP) != 0 && (sock->be_flags & SOCK_SHUT) == 0)
		sock->be_flags |= SOCK_HUNG_UP;
	if (err != 0)
		per__uring_sock_end(u, sock, err);
	else if ((sock->flags & SOCK_PAUSED) != 0)
		per__uring_watch(u, sock);
}

void per__uring_watch_cancelled(struct uring *u, struct per__sock *sock, int res)
{
	sock->inflight--;
	if (res == -ENOENT && (sock->be_flags & SOCK_WATCH) != 0) /* see per__uring_recv_cancelled() */
		per__uring_cancel(u, sock, URING_OP_WATCH, URING_OP_CANCEL_WATCH);
	else
		per__uring_sock_finish(u, sock);
}
