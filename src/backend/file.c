/* SPDX-License-Identifier: MIT */
/*
 * file.c - one try at sending bytes and a part of a file. Called by the backends; makes no up-call.
 */
#include "backend/file.h"

#ifdef PER__HAS_SEND_FILE

#include <errno.h>
#include <limits.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#define FILE_TRY_BYTES (1u << 30)

static void advance(struct per__sock *sock, size_t n)
{
	while ((sock->out_cnt & ~PER__SOCK_FILE) > 0 && n >= sock->out_iov->iov_len) {
		n -= sock->out_iov->iov_len;
		sock->out_iov++;
		sock->out_cnt--;
	}
	if (n > 0) {
		sock->out_iov->iov_base = (char *)sock->out_iov->iov_base + n;
		sock->out_iov->iov_len -= n;
	}
}

/*
 * The bytes before the file. They wait for its beginning (MSG_MORE), so that a head is no packet of its
 * own.
 */
static ssize_t bytes_try(struct per__sock *sock)
{
	uint32_t cnt = sock->out_cnt & ~PER__SOCK_FILE;
	struct msghdr msg = { .msg_iov = sock->out_iov, .msg_iovlen = PER_MIN(cnt, IOV_MAX) };
	ssize_t n = sendmsg(sock->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE);

	if (n > 0)
		advance(sock, (size_t)n);
	return n;
}

static ssize_t file_try(struct per__sock *sock, struct per__file_part *part)
{
	off_t off = (off_t)part->off;
	ssize_t n = sendfile(sock->fd, part->fd, &off, (size_t)PER_MIN(part->len, (uint64_t)FILE_TRY_BYTES));

	if (n > 0) {
		part->off += (uint64_t)n;
		part->len -= (uint64_t)n;
	}
	return n;
}

/* The peer was promised more than there is: it has to see that this is no end. */
static void reset_at_close(const struct per__sock *sock)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(sock->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

int per__file_send(struct per__sock *sock, uint64_t *bytes)
{
	struct per__file_part *part = per__file_part_of(sock);

	*bytes = 0;
	while ((sock->out_cnt & ~PER__SOCK_FILE) > 0 || part->len > 0) {
		bool is_file = (sock->out_cnt & ~PER__SOCK_FILE) == 0;
		ssize_t n = is_file ? file_try(sock, part) : bytes_try(sock);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return -EAGAIN;
		if (n < 0 || (n == 0 && is_file)) {
			int err = n < 0 ? errno : ENODATA;

			reset_at_close(sock);
			return -err;
		}
		*bytes += (uint64_t)n;
	}
	return 0;
}

#endif
