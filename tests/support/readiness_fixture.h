/* SPDX-License-Identifier: MIT */
/*
 * readiness_fixture.h - a loop, a listener, clients and up-calls for tests of the readiness backends.
 * Defines the up-calls, so exactly one file of a program includes it. Each test runs on each backend.
 */
#ifndef PER_TESTS_READINESS_FIXTURE_H
#define PER_TESTS_READINESS_FIXTURE_H

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
	void (*on_closed)(struct fixture *, struct conn *);
	struct conn *victim;
};

static struct fixture *now; /* of the running test: up-calls have no other way to it */

/* --- up-calls --------------------------------------------------------------------------------- */

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
	if (now->on_closed != NULL)
		now->on_closed(now, conn);
}

void per__on_wake(struct per__loop *loop)
{
	(void)loop;
	now->wakes++;
}

/* --- the fixture ------------------------------------------------------------------------------ */

static const struct per__log no_log;

static inline void poll_once(struct fixture *fx, int64_t timeout_ns)
{
	assert_int_equal(fx->be->poll(&fx->loop, timeout_ns), 0);
}

/* Polls until the claim holds; the watchdog ends what never does. */
#define POLL_UNTIL(fx, claim)                      \
	do {                                       \
		while (!(claim))                   \
			poll_once((fx), 100 * MS); \
	} while (0)

static inline void listen_on(struct fixture *fx, const struct sockaddr *addr, socklen_t len)
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

static inline void fixture_open(struct fixture *fx, const struct per__backend *be, bool is_unix)
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

static inline void fixture_close(struct fixture *fx)
{
	fx->be->unlisten(&fx->loop, &fx->listener);
	fx->be->fini(&fx->loop);
	close(fx->listener.fd);
	free(fx->conns);
	now = NULL;
}

static inline int client_open(struct fixture *fx)
{
	int fd = socket(fx->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (fx->addr.ss_family == AF_INET)
		assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&fx->addr, fx->addr_len), 0);
	return fd;
}

/* A client and its connection. */
static inline int client_accept(struct fixture *fx, struct conn **conn)
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

static inline void client_write(int fd, size_t len)
{
	static const uint8_t bytes[16 * BUF_BYTES];

	assert_true(len <= sizeof(bytes));
	assert_int_equal(write(fd, bytes, len), len);
}

static inline void client_reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	close(fd);
}

/* Waits until the kernel holds len bytes for the connection, without letting the backend see them. */
static inline void await_queued(const struct conn *conn, int len)
{
	int queued = 0;

	while (queued < len) {
		assert_int_equal(ioctl(conn->sock.fd, FIONREAD, &queued), 0);
		sched_yield();
	}
}

/* Waits until poll(2) shows events on the connection. */
static inline void await_events(const struct conn *conn, short events)
{
	struct pollfd pfd = { .fd = conn->sock.fd, .events = events };

	do
		assert_true(poll(&pfd, 1, -1) == 1);
	while ((pfd.revents & events) != events);
}

static inline unsigned fds_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static inline uint64_t syscalls(const struct fixture *fx)
{
	return per__counter_read(&fx->loop.counters.syscalls);
}

/* --- one table for every backend -------------------------------------------------------------- */

#define ON(backend, test) { backend ": " #test, test_readiness_##test, NULL, NULL, NULL },
#define ON_EPOLL(test) ON("epoll", test)
#define ON_KQUEUE(test) ON("kqueue", test)

static int run_on(struct CMUnitTest *tests, size_t count, const struct per__backend *be)
{
	for (size_t i = 0; i < count; i++)
		tests[i].initial_state = (void *)(uintptr_t)be;
	return _cmocka_run_group_tests(be->name, tests, count, NULL, NULL);
}

/* Runs TESTS, a list X(name) for test_readiness_<name>, on each backend; the number of failures. */
#define RUN_ON_EACH(TESTS)                                                                      \
	do {                                                                                    \
		struct CMUnitTest epoll_tests[] = { TESTS(ON_EPOLL) };                          \
		struct CMUnitTest kqueue_tests[] = { TESTS(ON_KQUEUE) };                        \
                                                                                                \
		(void)alarm(WATCHDOG_S);                                                        \
		return run_on(epoll_tests, PER_ARRAY_LEN(epoll_tests), &per__backend_epoll) +   \
		       run_on(kqueue_tests, PER_ARRAY_LEN(kqueue_tests), &per__backend_kqueue); \
	} while (0)

#endif
