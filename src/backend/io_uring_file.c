/* SPDX-License-Identifier: MIT */
/*
 * io_uring_file.c - parts of files on io_uring: sendfile(2) by the plain call, as splicing through a pipe
 * goes to worker threads of the kernel and costs more. What is then to be told or waited for comes as a
 * completion of the send.
 */
#include "backend/file.h"
#include "backend/io_uring_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

/*
 * sendfile() has no MSG_DONTWAIT, so the socket is non-blocking for the length of the call. Not longer:
 * the ring answers EAGAIN for a non-blocking socket instead of waiting. What is in flight is not
 * affected, as it is looked at in enter.
 */
static int send_now(struct uring *u, struct per__sock *sock)
{
	uint64_t bytes;
	int err;

	(void)fcntl(sock->fd, F_SETFL, O_NONBLOCK);
	err = per__file_send(sock, &bytes);
	(void)fcntl(sock->fd, F_SETFL, 0);
	per__count(&u->loop->counters.syscalls, 4);
	sock->bytes_out += bytes;
	u->turn_bytes_out += bytes;
	return err;
}

static void send_go_on(struct uring *u, struct per__sock *sock)
{
	uint64_t tag = uring_tag(sock, URING_OP_SEND);
	int err = send_now(u, sock);

	if (err == 0) {
		(void)uring_sqe(u, IORING_OP_NOP, -1, tag); /* on_sent comes from a poll, never from here */
		u->sends_queued++;
	} else if (err == -EAGAIN) {
		uring_sqe(u, IORING_OP_POLL_ADD, sock->fd, tag)->poll32_events = POLLOUT;
	} else {
		sock->flags &= (uint8_t)~SOCK_SEND;
		sock->inflight--;
		per__uring_sock_end(u, sock, err);
	}
}

void per__uring_send_file(struct per__loop *loop, struct per__sock *sock, struct iovec *iov, uint32_t cnt)
{
	struct uring *u = loop->be_state;

	PER_ASSERT((sock->flags & SOCK_SEND) == 0);
	if (PER_UNLIKELY(sock->state != PER__SOCK_OPEN))
		return; /* it broke; on_closed is on its way */
	sock->out_iov = iov;
	sock->out_cnt = cnt | PER__SOCK_FILE;
	sock->flags |= SOCK_SEND;
	sock->inflight++;
	send_go_on(u, sock);
	uring_submit_if_outside(u);
}

void per__uring_file_event(struct uring *u, struct per__sock *sock)
{
	if (sock->state == PER__SOCK_OPEN &&
	    (sock->out_cnt != PER__SOCK_FILE || per__file_part_of(sock)->len > 0)) {
		send_go_on(u, sock);
		return;
	}
	sock->flags &= (uint8_t)~SOCK_SEND;
	sock->inflight--;
	sock->out_cnt = 0;
	if (sock->state == PER__SOCK_OPEN)
		per__on_sent(u->loop, sock);
	else
		per__uring_sock_finish(u, sock);
}
