/* SPDX-License-Identifier: MIT */
/*
 * backend_uring_bench.h - what the io_uring tests share: a recording owner of sockets, and peers in the
 * same process. Included once by each test program, since it defines the up-calls. Every up-call checks B1,
 * B5 and B7 on its own.
 */
#ifndef PER_TESTS_UNIT_BACKEND_URING_BENCH_H
#define PER_TESTS_UNIT_BACKEND_URING_BENCH_H

#include "backend/io_uring_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#define BENCH_CONNS 2000u
#define BENCH_TURNS_MAX 2000000u
#define BENCH_STEP_NS 100000000

struct conn {
	struct per__sock sock;
	uint32_t index;
	int peer; /* the other end, -1: elsewhere */
	bool is_paused, has_eof, is_closed, is_sending;
	uint32_t sents, recvs;
	int error;
	uint64_t got, fed; /* bytes of the pattern received, and written by the peer */
};

struct bench {
	struct per__loop loop;
	const struct per__backend *be;
	struct per__listener listener;
	struct sockaddr_in addr;
	struct conn *conn;
	uint32_t used, limit, closes, accepts, wakes;
	bool is_polling, in_up_call;
	void (*on_recv)(struct bench *b, struct conn *c, const uint8_t *data, size_t len);
	void (*on_sent)(struct bench *b, struct conn *c);
	uint64_t n;
	uint32_t rung;
};

static inline uint8_t pattern(uint64_t offset)
{
	return (uint8_t)(offset * 31 + (offset >> 8) * 7);
}

struct per__sock *per__on_accept(struct per__loop *loop, struct per__listener *listener, int fd)
{
	struct bench *b = (struct bench *)loop;
	struct conn *c = &b->conn[b->used];

	PER_ASSERT(b->is_polling && listener == &b->listener && fd >= 0);
	if (b->used - b->closes >= b->limit)
		return NULL;
	if (b->used == BENCH_CONNS) { /* all closed: begin again */
		PER_ASSERT(b->closes == b->used);
		b->used = b->closes = 0;
		c = b->conn;
	}
	*c = (struct conn){ .index = b->used++, .peer = -1 };
	b->accepts++;
	return &c->sock;
}

void per__on_recv(struct per__loop *loop, struct per__sock *sock, uint8_t *data, size_t len)
{
	struct bench *b = (struct bench *)loop;
	struct conn *c = (struct conn *)sock;

	PER_ASSERT(b->is_polling && !b->in_up_call);
	PER_ASSERT(!c->is_paused && !c->has_eof && !c->is_closed && sock->state == PER__SOCK_OPEN);
	for (size_t i = 0; i < len; i++)
		PER_ASSERT(data[i] == pattern(c->got + i));
	c->got += len;
	c->recvs++;
	c->has_eof = len == 0;
	b->in_up_call = true;
	if (b->on_recv != NULL)
		b->on_recv(b, c, data, len);
	b->in_up_call = false;
}

void per__on_sent(struct per__loop *loop, struct per__sock *sock)
{
	struct bench *b = (struct bench *)loop;
	struct conn *c = (struct conn *)sock;

	PER_ASSERT(b->is_polling && !b->in_up_call && c->is_sending && !c->is_closed);
	c->is_sending = false;
	c->sents++;
	b->in_up_call = true;
	if (b->on_sent != NULL)
		b->on_sent(b, c);
	b->in_up_call = false;
}

void per__on_closed(struct per__loop *loop, struct per__sock *sock, int error)
{
	struct bench *b = (struct bench *)loop;
	struct conn *c = (struct conn *)sock;

	PER_ASSERT(b->is_polling && !b->in_up_call && !c->is_closed && sock->inflight == 0);
	c->is_closed = true;
	c->error = error;
	b->closes++;
	memset(sock, 0x5a, sizeof(*sock)); /* it is ours again: whoever still looks will stumble */
}

void per__on_wake(struct per__loop *loop)
{
	struct bench *b = (struct bench *)loop;

	PER_ASSERT(b->is_polling);
	b->wakes++;
}

static inline void turn(struct bench *b, int64_t timeout_ns)
{
	b->is_polling = true;
	assert_int_equal(b->be->poll(&b->loop, timeout_ns), 0);
	b->is_polling = false;
}

#define RUN_UNTIL(b, claim)                                                      \
	do {                                                                     \
		unsigned turns_left = BENCH_TURNS_MAX;                           \
		int64_t patience_ns = (b)->loop.now_ns + INT64_C(20000000000);   \
		while (!(claim)) {                                               \
			if (--turns_left == 0 || (b)->loop.now_ns > patience_ns) \
				fail_msg("never came true: %s", #claim);         \
			turn(b, BENCH_STEP_NS);                                  \
		}                                                                \
	} while (0)

static inline struct uring *ring_of(struct bench *b)
{
	return b->loop.be_state;
}

/* Both ends of BENCH_CONNS connections are here: more than the 1,024 descriptors that a login begins with. */
static inline void descriptors_raise(void)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static inline struct bench *bench_open_at(uint32_t buf_bytes, uint32_t buf_count, uint32_t sockets_max,
					  int rung)
{
	static const struct per__log silent;
	struct per__be_conf conf = { .sockets_max = sockets_max,
				     .recv_buf_bytes = buf_bytes,
				     .recv_buf_count = buf_count,
				     .log = &silent };
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	descriptors_raise();
	b->conn = aligned_alloc(PER_CACHE_LINE, BENCH_CONNS * sizeof(*b->conn));
	assert_non_null(b->conn);
	b->be = b->loop.be = &per__backend_io_uring;
	b->limit = BENCH_CONNS;
	b->listener.fd = -1;
	assert_int_equal(per__uring_init_at(&b->loop, &conf, rung), 0);
	return b;
}

static inline struct bench *bench_open(uint32_t buf_bytes, uint32_t buf_count)
{
	return bench_open_at(buf_bytes, buf_count, BENCH_CONNS, 0);
}

static inline void bench_listen(struct bench *b)
{
	socklen_t len = sizeof(b->addr);

	b->addr = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	b->listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(b->listener.fd >= 0);
	assert_int_equal(bind(b->listener.fd, (struct sockaddr *)&b->addr, len), 0);
	assert_int_equal(listen(b->listener.fd, 1024), 0);
	assert_int_equal(getsockname(b->listener.fd, (struct sockaddr *)&b->addr, &len), 0);
	assert_int_equal(b->be->listen(&b->loop, &b->listener), 0);
}

static inline void bench_unlisten(struct bench *b)
{
	if (b->listener.fd < 0)
		return;
	b->be->unlisten(&b->loop, &b->listener);
	assert_int_equal(close(b->listener.fd), 0);
	b->listener.fd = -1;
}

static inline int connect_new(struct bench *b)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&b->addr, sizeof(b->addr)), 0);
	return fd;
}

/* A connection that needs no listener. */
static inline struct conn *adopt_pair(struct bench *b)
{
	struct conn *c = &b->conn[b->used];
	int pair[2];

	assert_true(b->used < BENCH_CONNS);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	*c = (struct conn){ .index = b->used++, .peer = pair[1] };
	assert_int_equal(b->be->adopt(&b->loop, &c->sock, pair[0]), 0);
	return c;
}

/* The peer writes up to len bytes of the pattern; returns what it could. */
static inline size_t feed(struct conn *c, size_t len)
{
	uint8_t bytes[4096];
	size_t done = 0;

	while (done < len) {
		size_t part = PER_MIN(len - done, sizeof(bytes));
		ssize_t n;

		for (size_t i = 0; i < part; i++)
			bytes[i] = pattern(c->fed + i);
		n = send(c->peer, bytes, part, MSG_NOSIGNAL);
		if (n < 0)
			break;
		c->fed += (size_t)n;
		done += (size_t)n;
	}
	return done;
}

static inline void peer_close(struct conn *c)
{
	if (c->peer >= 0)
		assert_int_equal(close(c->peer), 0);
	c->peer = -1;
}

static inline void close_all_conns(struct bench *b)
{
	for (uint32_t i = 0; i < b->used; i++) {
		if (!b->conn[i].is_closed)
			b->be->close(&b->loop, &b->conn[i].sock, PER__CLOSE_NORMAL);
	}
	RUN_UNTIL(b, b->closes == b->used);
	for (uint32_t i = 0; i < b->used; i++)
		peer_close(&b->conn[i]);
}

/* Ends the ring, with whatever is still alive. */
static inline void bench_close(struct bench *b)
{
	bench_unlisten(b);
	b->be->fini(&b->loop);
	for (uint32_t i = 0; i < b->used; i++)
		peer_close(&b->conn[i]);
	free(b->conn);
	free(b);
}

static inline unsigned open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

#endif
