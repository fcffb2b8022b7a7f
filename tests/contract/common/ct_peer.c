/* SPDX-License-Identifier: MIT */
/*
 * ct_peer.c - the far ends: non-blocking kernel sockets, or peers of the simulated world, behind the same
 * calls. Never waits by itself; whoever needs progress steps the loop in between.
 */
#include "ct.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SMALL_BUFFER 4096
#define READ_BYTES 65536u

static void fd_nonblocking(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static int connect_fd(const struct ct *ct)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(ct->port) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(ct->is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (ct->is_unix) {
		memcpy(un.sun_path, ct->path, sizeof(ct->path));
		assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	} else {
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	}
	fd_nonblocking(fd);
	return fd;
}

void ct_peer_connect(struct ct *ct, struct ct_peer *peer)
{
	*peer = (struct ct_peer){ .ct = ct, .fd = -1 };
	if (ct->sim == NULL) {
		peer->fd = connect_fd(ct);
		return;
	}
	peer->sim = sim_connect(ct->sim, ct->listener.index);
	sim_peer_set_read_rate(peer->sim, 0); /* reads only in ct_peer_recv(), as the others do */
}

struct ct_conn *ct_open(struct ct *ct, struct ct_peer *peer)
{
	uint32_t accepts = ct->accepts;

	ct->newest = NULL;
	ct_peer_connect(ct, peer);
	CT_RUN_UNTIL(ct, ct->accepts > accepts);
	if (ct->newest == NULL) /* the test's own on_accept took the first that was free */
		ct->newest = &ct->conn[accepts];
	return ct->newest;
}

struct ct_conn *ct_open_pattern(struct ct *ct, struct ct_peer *peer, uint32_t seed)
{
	struct ct_conn *conn = ct_open(ct, peer);

	conn->is_pattern = true;
	conn->in_seed = seed;
	return conn;
}

struct ct_conn *ct_adopt(struct ct *ct, struct ct_peer *peer, bool is_small)
{
	struct ct_conn *conn = ct_conn_take(ct);
	int small = SMALL_BUFFER;
	int fd[2];

	assert_non_null(conn);
	*peer = (struct ct_peer){ .ct = ct, .fd = -1 };
	if (ct->sim != NULL) {
		peer->sim = sim_connect_detached(ct->sim);
		sim_peer_set_read_rate(peer->sim, 0);
		if (is_small)
			sim_faults(ct->sim)->sndbuf_bytes = SMALL_BUFFER;
		assert_int_equal(ct->be->adopt(&ct->loop, &conn->sock, sim_peer_fd(peer->sim)), 0);
		return conn;
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	for (int i = 0; i < 2 && is_small; i++) {
		assert_int_equal(setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
		assert_int_equal(setsockopt(fd[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	}
	peer->fd = fd[1];
	fd_nonblocking(peer->fd);
	assert_int_equal(ct->be->adopt(&ct->loop, &conn->sock, fd[0]), 0);
	return conn;
}

ssize_t ct_peer_send(struct ct_peer *peer, const void *data, size_t len)
{
	ssize_t n;

	if (peer->sim != NULL) {
		if (sim_peer_saw_rst(peer->sim) || peer->has_reset)
			return -ECONNRESET;
		sim_peer_send(peer->sim, data, len);
		return (ssize_t)len;
	}
	n = send(peer->fd, data, len, MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

void ct_peer_send_all(struct ct_peer *peer, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	int64_t limit_ns = ct_real_ns() + (int64_t)CT_PATIENCE_S * 1000000000;
	size_t done = 0;

	while (done < len) {
		ssize_t n = ct_peer_send(peer, bytes + done, len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n != -EAGAIN)
			fail_msg("the peer cannot send: %s", strerror((int)-n));
		if (done < len)
			ct_step(peer->ct);
		if (ct_real_ns() > limit_ns)
			fail_msg("the peer could send only %zu of %zu bytes", done, len);
	}
}

static ssize_t sim_recv(struct ct_peer *peer, void *buf, size_t cap)
{
	size_t n;

	sim_peer_set_read_rate(peer->sim, SIM_RATE_UNLIMITED);
	n = sim_peer_read(peer->sim, buf, cap);
	if (!sim_peer_is_over(peer->sim))
		sim_peer_set_read_rate(peer->sim, 0);
	if (n != 0)
		return (ssize_t)n;
	if (sim_peer_saw_fin(peer->sim))
		return 0;
	return sim_peer_saw_rst(peer->sim) ? -ECONNRESET : -EAGAIN;
}

ssize_t ct_peer_recv(struct ct_peer *peer, void *buf, size_t cap)
{
	ssize_t n;

	if (peer->sim != NULL)
		return sim_recv(peer, buf, cap);
	n = recv(peer->fd, buf, cap, 0);
	return n < 0 ? -errno : n;
}

void ct_peer_shutdown(struct ct_peer *peer)
{
	if (peer->sim != NULL)
		sim_peer_close_write(peer->sim);
	else
		(void)shutdown(peer->fd, SHUT_WR); /* ENOTCONN when the server was faster */
}

void ct_peer_close(struct ct_peer *peer)
{
	if (peer->sim != NULL) {
		if (!peer->has_reset)
			sim_peer_close_write(peer->sim);
		sim_peer_set_read_rate(peer->sim, SIM_RATE_UNLIMITED);
	} else if (peer->fd >= 0) {
		close(peer->fd);
		peer->fd = -1;
	}
}

void ct_peer_reset(struct ct_peer *peer)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	peer->has_reset = true;
	if (peer->sim != NULL) {
		sim_peer_reset(peer->sim);
		return;
	}
	(void)setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	ct_peer_close(peer);
}

void ct_peer_dispose(struct ct_peer *peer)
{
	ct_peer_close(peer);
	if (peer->sim != NULL && !sim_peer_is_attached(peer->sim))
		sim_peer_free(peer->sim);
	memset(peer, 0, sizeof(*peer));
	peer->fd = -1;
}

void ct_peer_expect(struct ct_peer *peer, uint32_t seed, uint64_t offset, uint64_t len, size_t max_read)
{
	static uint8_t buf[READ_BYTES];
	int64_t limit_ns = ct_real_ns() + (int64_t)CT_PATIENCE_S * 1000000000;
	uint64_t done = 0;

	while (done < len) {
		size_t want = PER_MIN(max_read != 0 ? max_read : READ_BYTES, READ_BYTES);
		ssize_t n = ct_peer_recv(peer, buf, PER_MIN(want, len - done));

		if (n <= 0 && n != -EAGAIN)
			fail_msg("the stream ended (%zd) after %llu of %llu bytes", n,
				 (unsigned long long)done, (unsigned long long)len);
		for (ssize_t i = 0; i < n; i++, done++) {
			if (buf[i] != ct_pattern(seed, offset + done))
				fail_msg("wrong byte at offset %llu", (unsigned long long)(offset + done));
		}
		if (n <= 0 || max_read != 0)
			ct_poll(peer->ct, n <= 0 ? CT_STEP_NS : 0);
		if (ct_real_ns() > limit_ns)
			fail_msg("only %llu of %llu bytes came", (unsigned long long)done,
				 (unsigned long long)len);
	}
}

int ct_peer_expect_end(struct ct_peer *peer, uint64_t *bytes)
{
	static uint8_t buf[READ_BYTES];
	int64_t limit_ns = ct_real_ns() + (int64_t)CT_PATIENCE_S * 1000000000;
	uint64_t done = 0;

	for (;;) {
		ssize_t n = ct_peer_recv(peer, buf, sizeof(buf));

		if (n > 0)
			done += (uint64_t)n;
		else if (n != -EAGAIN) {
			if (bytes != NULL)
				*bytes = done;
			return (int)n;
		} else {
			ct_step(peer->ct);
		}
		if (ct_real_ns() > limit_ns)
			fail_msg("the end of the stream never came");
	}
}

void ct_pattern_fill(uint8_t *dst, size_t len, uint32_t seed, uint64_t offset)
{
	for (size_t i = 0; i < len; i++)
		dst[i] = ct_pattern(seed, offset + i);
}
