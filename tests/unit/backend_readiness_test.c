/* SPDX-License-Identifier: MIT */
/*
 * backend_readiness_test.c - what is particular to epoll and kqueue: edges, caps, pauses, resting accepts, syscall counts.
 * Not the contract that all backends share: that is tests/contract/. Every test runs on each backend of one table.
 */
#include "backend/backend.h"
#include "backend/readiness.h"
#include "base/log.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <peregrine/types.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#define BUF_BYTES 4096u
#define CONNS_MAX 128u
#define WATCHDOG_S 120
#define MS INT64_C(1000000)

struct conn {
	struct per__sock sock;
	struct iovec iov[2000];
	bool is_used, is_closed;
	unsigned recvs, ends, sents, closes;
	size_t received;
	int error;
};

struct fixture {
	const struct per__backend *be;
	struct per__loop loop;
	struct per__listener listener;
	struct sockaddr_storage addr;
	socklen_t addr_len;
	struct conn *conns; /* slots in the order of accepting; reused once closed when is_reusing */
	unsigned accepts, wakes, closes;
	bool is_refusing, is_reusing;
	void (*on_recv)(struct fixture *, struct conn *, const uint8_t *, size_t);
	void (*on_sent)(struct fixture *, struct conn *);
	void (*on_accept)(struct fixture *, struct conn *);
	struct conn *victim;
};

static struct fixture *now; /* of the running test: up-calls have no other way to it */

/* --- up-calls ----------------------------------------------------------------------------------- */

struct per__sock *per__on_accept(struct per__loop *loop, struct per__listener *listener, int fd)
{
	(void)loop;
	(void)listener;
	assert_true(fd >= 0);
	now->accepts++;
	if (now->is_refusing)
		return NULL;
	for (unsigned i = 0; i < CONNS_MAX; i++) {
		struct conn *conn = &now->conns[i];

		if (conn->is_used && !(now->is_reusing && conn->is_closed))
			continue;
		memset(conn, 0, offsetof(struct conn, iov));
		conn->is_used = true;
		conn->is_closed = false;
		conn->recvs = conn->ends = conn->sents = conn->closes = 0;
		conn->received = 0;
		if (now->on_accept != NULL)
			now->on_accept(now, conn);
		return &conn->sock;
	}
	fail_msg("more connections than the test has room for");
	return NULL;
}

void per__on_recv(struct per__loop *loop, struct per__sock *sock, uint8_t *data, size_t len)
{
	struct conn *conn = (struct conn *)sock;

	assert_ptr_equal(loop, &now->loop);
	assert_int_equal(sock->state, PER__SOCK_OPEN);
	assert_false(conn->is_closed);
	assert_int_equal(conn->ends, 0);
	assert_true(len <= BUF_BYTES);
	if (len == 0)
		conn->ends++;
	else
		conn->recvs++;
	conn->received += len;
	if (now->on_recv != NULL)
		now->on_recv(now, conn, data, len);
}

void per__on_sent(struct per__loop *loop, struct per__sock *sock)
{
	struct conn *conn = (struct conn *)sock;

	(void)loop;
	assert_int_equal(sock->state, PER__SOCK_OPEN);
	assert_int_equal(sock->out_cnt, 0);
	conn->sents++;
	if (now->on_sent != NULL)
		now->on_sent(now, conn);
}

void per__on_closed(struct per__loop *loop, struct per__sock *sock, int error)
{
	struct conn *conn = (struct conn *)sock;

	(void)loop;
	assert_false(conn->is_closed);
	conn->is_closed = true;
	conn->closes++;
	conn->error = error;
	now->closes++;
}

void per__on_wake(struct per__loop *loop)
{
	(void)loop;
	now->wakes++;
}

/* --- the fixture -------------------------------------------------------------------------------- */

static const struct per__log no_log;

static void poll_once(struct fixture *fx, int64_t timeout_ns)
{
	assert_int_equal(fx->be->poll(&fx->loop, timeout_ns), 0);
}

/* Polls until the claim holds; the watchdog ends what never does. */
#define POLL_UNTIL(fx, claim)                      \
	do {                                       \
		while (!(claim))                   \
			poll_once((fx), 100 * MS); \
	} while (0)

static void listen_on(struct fixture *fx, const struct sockaddr *addr, socklen_t len)
{
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, addr, len), 0);
	assert_int_equal(listen(fd, 1024), 0);
	fx->addr_len = sizeof(fx->addr);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&fx->addr, &fx->addr_len), 0);
	fx->listener.fd = fd;
	fx->listener.is_unix = addr->sa_family == AF_UNIX;
	assert_int_equal(fx->be->listen(&fx->loop, &fx->listener), 0);
}

static void fixture_open(struct fixture *fx, const struct per__backend *be, bool is_unix)
{
	const struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr_un sun = { .sun_family = AF_UNIX };
	const struct per__be_conf conf = {
		.sockets_max = CONNS_MAX, .recv_buf_bytes = BUF_BYTES, .recv_buf_count = 8, .log = &no_log
	};
	void *conns;

	memset(fx, 0, sizeof(*fx));
	now = fx;
	fx->be = be;
	fx->loop.be = be;
	conns = aligned_alloc(PER_CACHE_LINE, CONNS_MAX * sizeof(struct conn));
	assert_non_null(conns);
	memset(conns, 0, CONNS_MAX * sizeof(struct conn));
	fx->conns = conns;
	assert_int_equal(be->init(&fx->loop, &conf), 0);
	if (is_unix) /* a length without a name: the kernel chooses an abstract one */
		listen_on(fx, (const struct sockaddr *)&sun, sizeof(sun.sun_family));
	else
		listen_on(fx, (const struct sockaddr *)&sin, sizeof(sin));
}

static void fixture_close(struct fixture *fx)
{
	fx->be->unlisten(&fx->loop, &fx->listener);
	fx->be->fini(&fx->loop);
	close(fx->listener.fd);
	free(fx->conns);
	now = NULL;
}

static int client_open(struct fixture *fx)
{
	int fd = socket(fx->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (fx->addr.ss_family == AF_INET)
		assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&fx->addr, fx->addr_len), 0);
	return fd;
}

/* A client and its connection. */
static int client_accept(struct fixture *fx, struct conn **conn)
{
	unsigned before = fx->accepts;
	int fd = client_open(fx);

	POLL_UNTIL(fx, fx->accepts == before + 1);
	for (unsigned i = 0; i < CONNS_MAX; i++) {
		if (fx->conns[i].is_used && !fx->conns[i].is_closed)
			*conn = &fx->conns[i];
	}
	return fd;
}

static void client_write(int fd, size_t len)
{
	static const uint8_t bytes[16 * BUF_BYTES];

	assert_true(len <= sizeof(bytes));
	assert_int_equal(write(fd, bytes, len), len);
}

static void client_reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	close(fd);
}

/* Waits until the kernel holds len bytes for the connection, without letting the backend see them. */
static void await_queued(const struct conn *conn, int len)
{
	int queued = 0;

	while (queued < len) {
		assert_int_equal(ioctl(conn->sock.fd, FIONREAD, &queued), 0);
		sched_yield();
	}
}

/* Waits until poll(2) shows events on the connection. */
static void await_events(const struct conn *conn, short events)
{
	struct pollfd pfd = { .fd = conn->sock.fd, .events = events };

	do
		assert_true(poll(&pfd, 1, -1) == 1);
	while ((pfd.revents & events) != events);
}

static unsigned fds_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static uint64_t syscalls(const struct fixture *fx)
{
	return per__counter_read(&fx->loop.counters.syscalls);
}

/* --- receiving ---------------------------------------------------------------------------------- */

static void test_readiness_flood_takes_turns(void **state)
{
	struct fixture fx;
	struct conn *loud, *quiet;
	int loud_fd, quiet_fd;

	fixture_open(&fx, *state, false);
	loud_fd = client_accept(&fx, &loud);
	quiet_fd = client_accept(&fx, &quiet);
	assert_ptr_not_equal(loud, quiet);
	client_write(loud_fd, 10 * BUF_BYTES);
	await_queued(loud, 10 * BUF_BYTES);
	client_write(quiet_fd, 1);
	await_queued(quiet, 1);
	poll_once(&fx, -1);
	assert_int_equal(loud->recvs, PER__READY_READS_PER_TURN);
	assert_int_equal(quiet->recvs, 1);
	/* No new edge will come for what is left: these must not block and must not forget it. */
	poll_once(&fx, -1);
	assert_int_equal(loud->recvs, 2 * PER__READY_READS_PER_TURN);
	poll_once(&fx, -1);
	assert_int_equal(loud->received, 10 * BUF_BYTES);
	close(loud_fd);
	close(quiet_fd);
	fixture_close(&fx);
}

static void test_readiness_capped_socket_with_new_edge_takes_one_turn(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	client_write(fd, 6 * BUF_BYTES);
	await_queued(conn, 6 * BUF_BYTES);
	poll_once(&fx, -1);
	assert_int_equal(conn->recvs, PER__READY_READS_PER_TURN);
	client_write(fd, 6 * BUF_BYTES); /* listed and an edge at once */
	await_queued(conn, 8 * BUF_BYTES);
	poll_once(&fx, -1);
	assert_int_equal(conn->recvs, 2 * PER__READY_READS_PER_TURN);
	POLL_UNTIL(&fx, conn->received == 12 * BUF_BYTES);
	close(fd);
	fixture_close(&fx);
}

static void answer(struct fixture *fx, struct conn *conn, const uint8_t *data, size_t len)
{
	(void)data;
	if (len == 0)
		return;
	conn->iov[0] = (struct iovec){ (void *)(uintptr_t) "ok", 2 };
	fx->be->send(&fx->loop, &conn->sock, conn->iov, 1);
}

static void test_readiness_exchange_costs_three_syscalls(void **state)
{
	struct fixture fx;
	struct conn *conn;
	uint64_t before;
	char buf[8];
	int fd;

	fixture_open(&fx, *state, false);
	fx.on_recv = answer;
	fd = client_accept(&fx, &conn);
	poll_once(&fx, 0);
	before = syscalls(&fx);
	for (unsigned i = 1; i <= 10; i++) {
		client_write(fd, 10);
		await_queued(conn, 10);
		poll_once(&fx, -1);
		assert_int_equal(conn->sents, i); /* in the same poll, so that the next one can block */
		assert_int_equal(read(fd, buf, sizeof(buf)), 2);
	}
	assert_int_equal(syscalls(&fx) - before, 10 * 3); /* wait, recv, send */
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_data_and_end_in_one_edge_are_both_delivered(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	client_write(fd, 10);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	await_events(conn, POLLIN | POLLRDHUP);
	poll_once(&fx, -1);
	assert_int_equal(conn->received, 10);
	assert_int_equal(conn->ends, 1);
	assert_int_equal(conn->sock.state, PER__SOCK_OPEN);
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_end_behind_a_full_turn_is_delivered(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	client_write(fd, PER__READY_READS_PER_TURN * BUF_BYTES);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	await_events(conn, POLLIN | POLLRDHUP);
	await_queued(conn, PER__READY_READS_PER_TURN * BUF_BYTES);
	poll_once(&fx, -1);
	assert_int_equal(conn->ends, 0);
	poll_once(&fx, -1);
	assert_int_equal(conn->ends, 1);
	close(fd);
	fixture_close(&fx);
}

/* --- pausing ------------------------------------------------------------------------------------ */

static void test_readiness_paused_edge_is_delivered_by_resume(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	fx.be->recv_pause(&fx.loop, &conn->sock);
	client_write(fd, 100);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	await_events(conn, POLLIN | POLLRDHUP);
	poll_once(&fx, 0);
	poll_once(&fx, 0);
	assert_int_equal(conn->recvs + conn->ends, 0);
	fx.be->recv_resume(&fx.loop, &conn->sock);
	assert_int_equal(conn->recvs + conn->ends, 0);
	poll_once(&fx, -1);
	assert_int_equal(conn->received, 100);
	assert_int_equal(conn->ends, 1);
	close(fd);
	fixture_close(&fx);
}

static void pause_after_one(struct fixture *fx, struct conn *conn, const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	fx->be->recv_pause(&fx->loop, &conn->sock);
}

static void test_readiness_pause_inside_a_read_stops_it(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fx.on_recv = pause_after_one;
	fd = client_accept(&fx, &conn);
	client_write(fd, 3 * BUF_BYTES);
	await_queued(conn, 3 * BUF_BYTES);
	for (unsigned i = 1; i <= 3; i++) {
		poll_once(&fx, -1);
		assert_int_equal(conn->recvs, i);
		poll_once(&fx, 0);
		assert_int_equal(conn->recvs, i);
		fx.be->recv_resume(&fx.loop, &conn->sock);
	}
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_reset_while_paused_closes(void **state)
{
	struct fixture fx;
	struct conn *conn;

	fixture_open(&fx, *state, false);
	int fd = client_accept(&fx, &conn);
	fx.be->recv_pause(&fx.loop, &conn->sock);
	client_reset(fd);
	POLL_UNTIL(&fx, conn->closes == 1);
	assert_int_equal(conn->error, -ECONNRESET);
	assert_int_equal(conn->recvs + conn->ends, 0);
	fixture_close(&fx);
}

static void test_readiness_reset_after_the_end_closes_once(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	POLL_UNTIL(&fx, conn->ends == 1);
	client_reset(fd);
	POLL_UNTIL(&fx, conn->closes == 1);
	assert_true(conn->error < 0);
	poll_once(&fx, 0);
	assert_int_equal(conn->closes, 1);
	fixture_close(&fx);
}

/* --- sending ------------------------------------------------------------------------------------ */

/* Fills out with numbers that depend on their place, cut into the connection's whole iovec array. */
static void send_numbered(struct fixture *fx, struct conn *conn, uint8_t *out, size_t len)
{
	size_t count = PER_ARRAY_LEN(conn->iov), piece = len / count;

	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(i * 31 + (i >> 8));
	for (size_t i = 0; i < count; i++)
		conn->iov[i] = (struct iovec){ out + i * piece, piece };
	conn->iov[count - 1].iov_len = len - (count - 1) * piece;
	fx->be->send(&fx->loop, &conn->sock, conn->iov, (uint32_t)count);
}

static void read_numbered(struct fixture *fx, int fd, size_t len, size_t step)
{
	uint8_t buf[BUF_BYTES];
	size_t got = 0;

	while (got < len) {
		ssize_t n = recv(fd, buf, PER_MIN(step, sizeof(buf)), MSG_DONTWAIT);

		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			poll_once(fx, 10 * MS);
			continue;
		}
		assert_true(n > 0);
		for (size_t i = 0; i < (size_t)n; i++, got++)
			assert_int_equal(buf[i], (uint8_t)(got * 31 + (got >> 8)));
	}
}

static void send_through_small_buffer(const struct per__backend *be, bool is_unix)
{
	const size_t len = 1000003;
	uint8_t *out = malloc(len);
	struct fixture fx;
	struct conn *conn;
	int fd;

	assert_non_null(out);
	fixture_open(&fx, be, is_unix);
	fd = client_accept(&fx, &conn);
	assert_int_equal(setsockopt(conn->sock.fd, SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int)), 0);
	for (unsigned round = 1; round <= 2; round++) {
		send_numbered(&fx, conn, out, len);
		poll_once(&fx, 0);
		assert_int_equal(conn->sents, round - 1);
		read_numbered(&fx, fd, len, 3000);
		POLL_UNTIL(&fx, conn->sents == round);
		assert_int_equal(conn->sock.bytes_out, round * len);
	}
	close(fd);
	fixture_close(&fx);
	free(out);
}

static void test_readiness_large_send_into_a_small_tcp_buffer_completes_once(void **state)
{
	send_through_small_buffer(*state, false);
}

static void test_readiness_large_send_into_a_small_unix_buffer_completes_once(void **state)
{
	send_through_small_buffer(*state, true);
}

static void test_readiness_blocked_send_does_not_spin(void **state)
{
	static uint8_t out[8u << 20];
	struct fixture fx;
	struct conn *conn;
	uint64_t before;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	send_numbered(&fx, conn, out, sizeof(out));
	for (unsigned i = 0; i < 100; i++)
		poll_once(&fx, MS);
	assert_int_equal(conn->sents, 0);
	before = syscalls(&fx);
	for (unsigned i = 0; i < 10; i++)
		poll_once(&fx, MS);
	assert_int_equal(syscalls(&fx) - before, 10);
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_send_between_polls_is_reported_by_the_next(void **state)
{
	struct fixture fx;
	struct conn *conn;
	char buf[8];
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	answer(&fx, conn, NULL, 1);
	assert_int_equal(conn->sents, 0);
	poll_once(&fx, -1); /* nothing else would end this wait */
	assert_int_equal(conn->sents, 1);
	assert_int_equal(read(fd, buf, sizeof(buf)), 2);
	close(fd);
	fixture_close(&fx);
}

static void answer_again(struct fixture *fx, struct conn *conn)
{
	if (conn->sents < 100)
		answer(fx, conn, NULL, 1);
}

static void test_readiness_send_from_on_sent_goes_on(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fx.on_sent = answer_again;
	fd = client_accept(&fx, &conn);
	answer(&fx, conn, NULL, 1);
	while (conn->sents < 100)
		poll_once(&fx, -1);
	assert_int_equal(conn->sock.bytes_out, 200);
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_send_to_a_reset_peer_closes_once(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	client_reset(fd);
	await_events(conn, POLLERR);
	answer(&fx, conn, NULL, 1);
	POLL_UNTIL(&fx, conn->closes == 1);
	assert_true(conn->error == -ECONNRESET || conn->error == -EPIPE);
	assert_int_equal(conn->sents, 0);
	poll_once(&fx, 0);
	assert_int_equal(conn->closes, 1);
	fixture_close(&fx);
}

/* --- closing ------------------------------------------------------------------------------------ */

static void close_the_victim(struct fixture *fx, struct conn *conn, const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	fx->victim = conn == &fx->conns[0] ? &fx->conns[1] : &fx->conns[0];
	fx->be->close(&fx->loop, &fx->victim->sock, PER__CLOSE_NORMAL);
	fx->be->close(&fx->loop, &fx->victim->sock, PER__CLOSE_RESET);
}

static void test_readiness_socket_closed_in_the_same_batch_is_silent(void **state)
{
	struct fixture fx;
	struct conn *a, *b;
	int a_fd, b_fd;

	fixture_open(&fx, *state, false);
	fx.on_recv = close_the_victim;
	a_fd = client_accept(&fx, &a);
	b_fd = client_accept(&fx, &b);
	client_write(a_fd, 1);
	client_write(b_fd, 1);
	await_queued(a, 1);
	await_queued(b, 1);
	poll_once(&fx, -1);
	assert_int_equal(a->recvs + b->recvs, 1);
	assert_int_equal(fx.closes, 0); /* an event of this batch could still name the slot */
	poll_once(&fx, -1);
	assert_int_equal(fx.closes, 1);
	assert_int_equal(fx.victim->closes, 1);
	assert_int_equal(fx.victim->error, 0);
	assert_int_equal(fx.victim->recvs, 0);
	close(a_fd);
	close(b_fd);
	fixture_close(&fx);
}

static void test_readiness_close_drops_the_send_and_what_was_listed(void **state)
{
	static uint8_t out[8u << 20];
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	send_numbered(&fx, conn, out, sizeof(out));
	poll_once(&fx, 0);
	client_write(fd, 8 * BUF_BYTES);
	await_queued(conn, 8 * BUF_BYTES);
	poll_once(&fx, -1);
	assert_int_equal(conn->recvs, PER__READY_READS_PER_TURN);
	fx.be->close(&fx.loop, &conn->sock, PER__CLOSE_RESET);
	poll_once(&fx, -1);
	assert_int_equal(conn->recvs, PER__READY_READS_PER_TURN);
	assert_int_equal(conn->sents, 0);
	assert_int_equal(conn->closes, 1);
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_fini_cuts_what_is_open_without_up_calls(void **state)
{
	unsigned before = fds_open();
	struct fixture fx;
	struct conn *conn;
	char byte;
	int fd[3];

	fixture_open(&fx, *state, false);
	for (unsigned i = 0; i < 3; i++)
		fd[i] = client_accept(&fx, &conn);
	fx.be->close(&fx.loop, &fx.conns[1].sock, PER__CLOSE_NORMAL);
	fx.be->fini(&fx.loop);
	assert_int_equal(fx.closes, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(read(fd[i], &byte, 1), 0);
		close(fd[i]);
	}
	close(fx.listener.fd);
	free(fx.conns);
	/* The kqueue of the tests learns of the close of its descriptor late and keeps an eventfd until then. */
	assert_in_range(fds_open(), before, before + (fx.be->id == PER_BACKEND_KQUEUE));
}

static void close_at_end(struct fixture *fx, struct conn *conn, const uint8_t *data, size_t len)
{
	(void)data;
	if (len == 0)
		fx->be->close(&fx->loop, &conn->sock, PER__CLOSE_NORMAL);
}

static void test_readiness_ten_thousand_connections_leak_nothing(void **state)
{
	enum { ROUNDS = 100, CLIENTS = 100 };
	struct fixture fx;
	int fd[CLIENTS];
	unsigned before;

	fixture_open(&fx, *state, true);
	fx.is_reusing = true;
	fx.on_recv = close_at_end;
	before = fds_open();
	for (unsigned round = 1; round <= ROUNDS; round++) {
		for (unsigned i = 0; i < CLIENTS; i++)
			fd[i] = client_open(&fx);
		POLL_UNTIL(&fx, fx.accepts == round * CLIENTS);
		for (unsigned i = 0; i < CLIENTS; i++)
			close(fd[i]);
		POLL_UNTIL(&fx, fx.closes == round * CLIENTS);
	}
	assert_int_equal(fds_open(), before);
	fixture_close(&fx);
}

/* --- accepting ---------------------------------------------------------------------------------- */

static void test_readiness_burst_of_connects_is_capped_and_continued(void **state)
{
	enum { CLIENTS = PER__READY_ACCEPTS_PER_TURN + 20 };
	struct fixture fx;
	int fd[CLIENTS];

	fixture_open(&fx, *state, false);
	for (unsigned i = 0; i < CLIENTS; i++)
		fd[i] = client_open(&fx);
	poll_once(&fx, -1);
	assert_true(fx.accepts <= PER__READY_ACCEPTS_PER_TURN);
	POLL_UNTIL(&fx, fx.accepts == CLIENTS);
	for (unsigned i = 0; i < CLIENTS; i++)
		close(fd[i]);
	fixture_close(&fx);
}

/* Takes every descriptor that is left; they are given back by lowering nothing but the limit. */
static struct rlimit no_more_fds(void)
{
	struct rlimit before, tight;
	int next = dup(0);

	assert_true(next >= 0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = before;
	tight.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	return before;
}

static void test_readiness_emfile_rests_and_recovers_by_time(void **state)
{
	struct fixture fx;
	struct rlimit before;
	uint64_t calls;
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_open(&fx);
	before = no_more_fds();
	POLL_UNTIL(&fx, per__counter_read(&fx.loop.counters.accept_pauses) == 1);
	assert_int_equal(per__counter_read(&fx.loop.counters.accept_errors), 1);
	calls = syscalls(&fx);
	poll_once(&fx, 0); /* the connection waits, but nobody looks */
	assert_int_equal(syscalls(&fx) - calls, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	while (fx.accepts == 0)
		poll_once(&fx, -1); /* the retry has to end the wait */
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_emfile_recovers_by_a_close(void **state)
{
	struct fixture fx;
	struct rlimit before;
	struct conn *conn;
	int fd[2];

	fixture_open(&fx, *state, false);
	fd[0] = client_accept(&fx, &conn);
	fd[1] = client_open(&fx);
	before = no_more_fds();
	POLL_UNTIL(&fx, per__counter_read(&fx.loop.counters.accept_pauses) == 1);
	fx.be->close(&fx.loop, &conn->sock, PER__CLOSE_NORMAL);
	poll_once(&fx, -1); /* on_closed, then watching again */
	assert_int_equal(fx.closes, 1);
	assert_int_equal(fx.loop.be_state != NULL && per__ready_of(&fx.loop)->accept_retry_ns == 0, 1);
	POLL_UNTIL(&fx, fx.accepts == 2);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	close(fd[0]);
	close(fd[1]);
	fixture_close(&fx);
}

static void test_readiness_refusal_rests_until_a_close(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd, refused_fd, waiting_fd;
	char byte;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	fx.is_refusing = true;
	refused_fd = client_open(&fx);
	waiting_fd = client_open(&fx);
	POLL_UNTIL(&fx, fx.accepts == 2);
	assert_int_equal(read(refused_fd, &byte, 1), 0);
	for (unsigned i = 0; i < 5; i++)
		poll_once(&fx, 40 * MS); /* longer than the retry after EMFILE */
	assert_int_equal(fx.accepts, 2);
	assert_int_equal(per__counter_read(&fx.loop.counters.accept_refused), 1);
	fx.is_refusing = false;
	fx.be->close(&fx.loop, &conn->sock, PER__CLOSE_NORMAL);
	POLL_UNTIL(&fx, fx.accepts == 3);
	close(fd);
	close(refused_fd);
	close(waiting_fd);
	fixture_close(&fx);
}

static void test_readiness_refusal_without_sockets_is_retried(void **state)
{
	struct fixture fx;
	int fd[2];

	fixture_open(&fx, *state, false);
	fx.is_refusing = true;
	fd[0] = client_open(&fx);
	POLL_UNTIL(&fx, fx.accepts == 1);
	fx.is_refusing = false;
	fd[1] = client_open(&fx);
	while (fx.accepts == 1)
		poll_once(&fx, -1);
	close(fd[0]);
	close(fd[1]);
	fixture_close(&fx);
}

static void unlisten_now(struct fixture *fx, struct conn *conn)
{
	(void)conn;
	fx->be->unlisten(&fx->loop, &fx->listener);
	memset(&fx->listener.next, 0xa5, sizeof(fx->listener.next)); /* it is the owner's again */
}

static void test_readiness_unlisten_from_on_accept_ends_accepting(void **state)
{
	struct fixture fx;
	int fd[3];

	fixture_open(&fx, *state, false);
	fx.on_accept = unlisten_now;
	for (unsigned i = 0; i < 3; i++)
		fd[i] = client_open(&fx);
	POLL_UNTIL(&fx, fx.accepts == 1);
	poll_once(&fx, 0);
	assert_int_equal(fx.accepts, 1);
	fx.on_accept = NULL;
	assert_int_equal(fx.be->listen(&fx.loop, &fx.listener), 0);
	POLL_UNTIL(&fx, fx.accepts == 3);
	for (unsigned i = 0; i < 3; i++)
		close(fd[i]);
	fixture_close(&fx);
}

/* --- waking and waiting ------------------------------------------------------------------------- */

struct waker {
	struct fixture *fx;
	uint32_t posted;
};

enum { WAKES = 5000 };

static void *wake_often(void *arg)
{
	struct waker *waker = arg;

	for (unsigned i = 0; i < WAKES; i++) {
		__atomic_fetch_add(&waker->posted, 1, __ATOMIC_RELEASE);
		waker->fx->be->wake(&waker->fx->loop);
	}
	return NULL;
}

static void test_readiness_wake_from_a_thread_is_never_lost(void **state)
{
	struct waker waker = { 0 };
	struct fixture fx;
	pthread_t thread;
	uint32_t seen = 0;

	fixture_open(&fx, *state, false);
	waker.fx = &fx;
	assert_int_equal(pthread_create(&thread, NULL, wake_often, &waker), 0);
	while (seen < WAKES) {
		unsigned before = fx.wakes;

		while (fx.wakes == before)
			poll_once(&fx, -1);
		seen = __atomic_load_n(&waker.posted, __ATOMIC_ACQUIRE);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	poll_once(&fx, 0);
	assert_true(fx.wakes <= WAKES);
	seen = fx.wakes;
	poll_once(&fx, 0);
	assert_int_equal(fx.wakes, seen); /* nothing is left over */
	fixture_close(&fx);
}

static bool is_readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

static void test_readiness_poll_fd_shows_queued_work(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int fd, poll_fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	poll_once(&fx, 0);
	poll_fd = fx.be->poll_fd(&fx.loop);
	assert_true(poll_fd >= 0);
	assert_false(is_readable(poll_fd));
	answer(&fx, conn, NULL, 1);
	assert_true(is_readable(poll_fd));
	poll_once(&fx, 0);
	assert_int_equal(conn->sents, 1);
	poll_once(&fx, 0);
	assert_false(is_readable(poll_fd));
	assert_int_equal(fx.wakes, 0);
	client_write(fd, 1);
	await_queued(conn, 1);
	assert_true(is_readable(poll_fd));
	close(fd);
	fixture_close(&fx);
}

static void test_readiness_adopted_socket_with_waiting_data_receives_it(void **state)
{
	struct fixture fx;
	struct conn *conn;
	int pair[2];

	fixture_open(&fx, *state, false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0); /* blocking: adopt has to cope */
	client_write(pair[1], 3 * BUF_BYTES);
	conn = &fx.conns[0];
	conn->is_used = true;
	assert_int_equal(fx.be->adopt(&fx.loop, &conn->sock, pair[0]), 0);
	assert_int_equal(conn->recvs, 0);
	poll_once(&fx, -1);
	assert_int_equal(conn->received, 3 * BUF_BYTES);
	close(pair[1]);
	POLL_UNTIL(&fx, conn->ends == 1);
	fixture_close(&fx);
}

static void test_readiness_short_waits_end(void **state)
{
	struct fixture fx;
	int64_t before;

	fixture_open(&fx, *state, false);
	before = fx.loop.now_ns;
	assert_true(before > 0);
	for (unsigned i = 0; i < 3; i++)
		poll_once(&fx, 1); /* one nanosecond */
	poll_once(&fx, 20 * MS);
	assert_true(fx.loop.now_ns > before);
	fixture_close(&fx);
}

static void test_readiness_shared_listener_serves_both_loops(void **state)
{
	struct fixture fx;
	struct per__loop other = { .be = *state };
	struct per__listener shared = { 0 };
	const struct per__be_conf conf = { .sockets_max = 1, .recv_buf_bytes = BUF_BYTES, .log = &no_log };
	int fd[20];

	fixture_open(&fx, *state, true);
	shared.fd = fx.listener.fd;
	assert_int_equal(fx.be->init(&other, &conf), 0);
	assert_int_equal(fx.be->listen(&other, &shared), 0);
	for (unsigned i = 0; i < 20; i++)
		fd[i] = client_open(&fx);
	POLL_UNTIL(&fx, fx.accepts == 20);
	/* Its event, if it has one, meets an empty queue. */
	assert_int_equal(fx.be->poll(&other, 0), 0);
	assert_int_equal(fx.accepts, 20);
	assert_int_equal(per__counter_read(&other.counters.accept_errors), 0);
	fx.be->unlisten(&other, &shared);
	fx.be->fini(&other);
	for (unsigned i = 0; i < 20; i++)
		close(fd[i]);
	fixture_close(&fx);
}

static void test_readiness_probe_works(void **state)
{
	const struct per__backend *be = *state;
	struct per__probe probe;

	assert_int_equal(be->probe(&probe), 0);
	assert_string_equal(probe.reason, "works here");
}

/* --- one table for every backend ---------------------------------------------------------------- */

#define TESTS(X)                                              \
	X(probe_works)                                        \
	X(flood_takes_turns)                                  \
	X(capped_socket_with_new_edge_takes_one_turn)         \
	X(exchange_costs_three_syscalls)                      \
	X(data_and_end_in_one_edge_are_both_delivered)        \
	X(end_behind_a_full_turn_is_delivered)                \
	X(paused_edge_is_delivered_by_resume)                 \
	X(pause_inside_a_read_stops_it)                       \
	X(reset_while_paused_closes)                          \
	X(reset_after_the_end_closes_once)                    \
	X(large_send_into_a_small_tcp_buffer_completes_once)  \
	X(large_send_into_a_small_unix_buffer_completes_once) \
	X(blocked_send_does_not_spin)                         \
	X(send_between_polls_is_reported_by_the_next)         \
	X(send_from_on_sent_goes_on)                          \
	X(send_to_a_reset_peer_closes_once)                   \
	X(socket_closed_in_the_same_batch_is_silent)          \
	X(close_drops_the_send_and_what_was_listed)           \
	X(fini_cuts_what_is_open_without_up_calls)            \
	X(ten_thousand_connections_leak_nothing)              \
	X(burst_of_connects_is_capped_and_continued)          \
	X(emfile_rests_and_recovers_by_time)                  \
	X(emfile_recovers_by_a_close)                         \
	X(refusal_rests_until_a_close)                        \
	X(refusal_without_sockets_is_retried)                 \
	X(unlisten_from_on_accept_ends_accepting)             \
	X(wake_from_a_thread_is_never_lost)                   \
	X(poll_fd_shows_queued_work)                          \
	X(adopted_socket_with_waiting_data_receives_it)       \
	X(short_waits_end)                                    \
	X(shared_listener_serves_both_loops)

#define ON(backend, test)                                                   \
	{                                                                   \
		backend ": " #test, test_readiness_##test, NULL, NULL, NULL \
	}
#define ON_EPOLL(test) ON("epoll", test),
#define ON_KQUEUE(test) ON("kqueue", test),

static int run(struct CMUnitTest *tests, size_t count, const struct per__backend *be)
{
	for (size_t i = 0; i < count; i++)
		tests[i].initial_state = (void *)(uintptr_t)be;
	return _cmocka_run_group_tests(be->name, tests, count, NULL, NULL);
}

int main(void)
{
	struct CMUnitTest epoll_tests[] = { TESTS(ON_EPOLL) };
	struct CMUnitTest kqueue_tests[] = { TESTS(ON_KQUEUE) };

	(void)alarm(WATCHDOG_S);
	return run(epoll_tests, PER_ARRAY_LEN(epoll_tests), &per__backend_epoll) +
	       run(kqueue_tests, PER_ARRAY_LEN(kqueue_tests), &per__backend_kqueue);
}
