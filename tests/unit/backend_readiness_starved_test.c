/* SPDX-License-Identifier: MIT */
/* ctest: needs=epoll,kqueue
 * backend_readiness_starved_test.c - reads and sends that meet ENOBUFS or ENOMEM: tried again after a rest,
 * never in a busy loop, and nothing is lost. recv(), send() and sendmsg() are this file's own.
 */
#include "support/readiness_fixture.h"
#include <sys/syscall.h>

#define POLLS 20
#define RESTS 8 /* at least so many of those polls rest */

static int failing;    /* the error that calls on the connection's socket meet, 0: none */
static int failing_fd; /* that socket */
static unsigned failures;

static bool fails(int fd)
{
	if (failing == 0 || fd != failing_fd)
		return false;
	failures++;
	errno = failing;
	return true;
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	return fails(fd) ? -1 : syscall(SYS_recvfrom, fd, buf, len, flags, NULL, NULL);
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	return fails(fd) ? -1 : syscall(SYS_sendto, fd, buf, len, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return fails(fd) ? -1 : syscall(SYS_sendmsg, fd, msg, flags);
}

static void fail_with(int error, int fd)
{
	failing = error;
	failing_fd = fd;
	failures = 0;
}

/* A rest ends after its time or with somebody else's event; here is nobody else, so the clock tells. */
static void expect_rests(struct fixture *fx)
{
	int64_t before_ns = fx->loop.now_ns;

	for (int i = 0; i < POLLS; i++)
		poll_once(fx, -1);
	assert_true(failures > 0);
	assert_true(fx->loop.now_ns - before_ns >= RESTS * PER__READY_STARVED_MS * MS);
}

static void read_starved(const struct per__backend *be, int error)
{
	struct fixture fx;
	struct conn *conn;
	int fd;

	fixture_open(&fx, be, false);
	fd = client_accept(&fx, &conn);
	poll_once(&fx, 0);
	client_write(fd, 3000);
	await_queued(conn, 3000);
	fail_with(error, conn->sock.fd);
	expect_rests(&fx);
	assert_int_equal(conn->recvs, 0);
	assert_false(conn->is_closed);
	fail_with(0, -1);
	POLL_UNTIL(&fx, conn->received == 3000);
	close(fd);
	POLL_UNTIL(&fx, conn->ends == 1);
	fixture_close(&fx);
}

static void test_readiness_read_without_memory_rests_and_goes_on(void **state)
{
	read_starved(*state, ENOBUFS);
	read_starved(*state, ENOMEM);
}

static void test_readiness_send_without_memory_rests_and_goes_on(void **state)
{
	struct fixture fx;
	struct conn *conn;
	char buf[8];
	int fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &conn);
	poll_once(&fx, 0);
	for (uint32_t cnt = 1; cnt <= 2; cnt++) {
		conn->iov[0] = conn->iov[1] = (struct iovec){ (void *)(uintptr_t) "ok", 2 };
		fail_with(cnt == 1 ? ENOBUFS : ENOMEM, conn->sock.fd);
		fx.be->send(&fx.loop, &conn->sock, conn->iov, cnt);
		expect_rests(&fx);
		assert_int_equal(conn->sents, cnt - 1);
		fail_with(0, -1);
		POLL_UNTIL(&fx, conn->sents == cnt);
		assert_int_equal(read(fd, buf, sizeof(buf)), 2 * cnt);
	}
	close(fd);
	fixture_close(&fx);
}

/* The others go on meanwhile, and an owner that pauses or closes the starved one is obeyed. */
static void test_readiness_socket_without_memory_disturbs_nobody(void **state)
{
	struct fixture fx;
	struct conn *starved, *other;
	int fd, other_fd;

	fixture_open(&fx, *state, false);
	fd = client_accept(&fx, &starved);
	other_fd = client_accept(&fx, &other);
	poll_once(&fx, 0);
	client_write(fd, 100);
	await_queued(starved, 100);
	fail_with(ENOMEM, starved->sock.fd);
	poll_once(&fx, -1);
	for (size_t i = 1; i <= 20; i++) {
		client_write(other_fd, 10);
		POLL_UNTIL(&fx, other->received == i * 10);
	}
	fx.be->recv_pause(&fx.loop, &starved->sock);
	for (int i = 0; i < 3; i++)
		poll_once(&fx, 0);
	failures = 0;
	poll_once(&fx, PER__READY_STARVED_MS * MS);
	assert_int_equal(failures, 0);
	fx.be->recv_resume(&fx.loop, &starved->sock);
	POLL_UNTIL(&fx, failures > 0);
	fx.be->close(&fx.loop, &starved->sock, PER__CLOSE_NORMAL);
	POLL_UNTIL(&fx, starved->is_closed);
	fail_with(0, -1);
	close(fd);
	close(other_fd);
	fixture_close(&fx);
}

#define TESTS(X)                                 \
	X(read_without_memory_rests_and_goes_on) \
	X(send_without_memory_rests_and_goes_on) \
	X(socket_without_memory_disturbs_nobody)

int main(void)
{
	RUN_ON_EACH(TESTS);
}
