/* SPDX-License-Identifier: MIT */
/*
 * ct.h - the bench on which the contract suite holds a backend: a recording core, peers, and bounded waiting.
 * The up-calls in ct_core.c check at every call what holds always (B1, B2, B4, B5, B7, B8); the tests add the
 * rest. A broken rule is remembered and reported by ct_step(): an assertion in an up-call would tear the
 * backend.
 */
#ifndef PER_TESTS_CONTRACT_CT_H
#define PER_TESTS_CONTRACT_CT_H

#include "backend/backend.h"
#include "sim/sim.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <cmocka.h>

#define CT_CONNS 300u
#define CT_KEEP_BYTES 4096u
#define CT_PATIENCE_S 30    /* a test that waits longer for something has failed */
#define CT_STEP_NS 10000000 /* longest wait of one step */

struct ct;
struct ct_conn;

/* One way to run the suite: a backend, and for the simulator whether faults are on. */
struct ct_variant {
	const char *name;
	const struct per__backend *be;
	bool with_faults;
};

/* A recorded connection: the owner's side of a per__sock. */
struct ct_conn {
	_Alignas(PER_CACHE_LINE) struct per__sock sock;
	struct ct *ct;
	bool is_used;
	bool is_paused, is_sending, is_shut, is_close_called, is_closed, has_eof;
	uint32_t recvs, sents, closes;
	int error;
	uint64_t got; /* bytes received */
	uint64_t put; /* bytes of finished sends */
	uint64_t sending_bytes;
	bool is_pattern; /* what arrives must be ct_pattern(in_seed, offset) */
	uint32_t in_seed;
	uint8_t keep[CT_KEEP_BYTES]; /* the first bytes received */
	struct iovec iov1;
	/* scripts, all optional */
	void (*on_recv)(struct ct_conn *conn, uint8_t *data, size_t len);
	void (*on_sent)(struct ct_conn *conn);
	void (*on_closed)(struct ct_conn *conn);
	void *arg;
	uint64_t n; /* the script's own */
};

struct ct {
	struct per__loop loop; /* first: up-calls get it */
	const struct ct_variant *variant;
	const struct per__backend *be;
	struct per__be_conf conf;
	struct per__listener listener;
	bool is_listening, is_unix, is_init;
	uint16_t port, index;
	char path[108];
	struct ct_conn *conn;   /* CT_CONNS */
	struct ct_conn *newest; /* the last that was accepted */
	uint32_t conn_limit;    /* on_accept refuses above */
	uint32_t used, accepts, refused, closes, wakes;
	bool in_poll, in_up_call;
	int64_t poll_now_ns; /* loop->now_ns at the last up-call, must not go back */
	char failure[200];
	/* scripts */
	struct per__sock *(*on_accept)(struct ct *ct, int fd);
	void (*on_wake)(struct ct *ct);
	void (*on_new)(struct ct_conn *conn);
	void *arg;
	struct per__sim *sim;
	uint64_t seed;
	int fds_before;
};

/* The far end. */
struct ct_peer {
	struct ct *ct;
	int fd; /* kernel backends; -1: closed */
	struct per__sim_peer *sim;
	bool has_reset;
};

/** Remembers the first broken rule. */
void ct_fail(struct ct *ct, const char *format, ...) PER_PRINTF(2, 3);
#define CT_CHECK(ct, claim)                                                     \
	do {                                                                    \
		if (!(claim))                                                   \
			ct_fail((ct), "%s:%d: %s", __FILE__, __LINE__, #claim); \
	} while (0)

/* cmocka's setup and teardown: initial_state is a const struct ct_variant, *state becomes a struct ct. */
int ct_set_up(void **state);
/** Ends the loop and checks that no descriptor was left behind. */
int ct_tear_down(void **state);
/** Ends the loop and begins it again with other limits. */
void ct_restart(struct ct *ct, const struct per__be_conf *conf);

void ct_listen(struct ct *ct, bool is_unix);
void ct_unlisten(struct ct *ct);

/** One poll of at most CT_STEP_NS, then fails the test if a rule was broken. */
void ct_step(struct ct *ct);
void ct_poll(struct ct *ct, int64_t timeout_ns);
/** Lets everything happen that can happen by itself. */
void ct_settle(struct ct *ct);
/** Steps until the claim holds; fails the test after CT_PATIENCE_S. */
#define CT_RUN_UNTIL(ct, claim)                                                           \
	do {                                                                              \
		int64_t ct_limit_ns = ct_real_ns() + (int64_t)CT_PATIENCE_S * 1000000000; \
		while (!(claim)) {                                                        \
			if (ct_real_ns() > ct_limit_ns)                                   \
				fail_msg("never happened: %s", #claim);                   \
			ct_step(ct);                                                      \
		}                                                                         \
	} while (0)
int64_t ct_real_ns(void);
int ct_open_fds(void);

/* --- connections ------------------------------------------------------------------------------ */

/** A zeroed, unused connection, as on_accept gives them out. NULL: none below conn_limit. */
struct ct_conn *ct_conn_take(struct ct *ct);
/** Connects through the listener and waits until it was accepted. */
struct ct_conn *ct_open(struct ct *ct, struct ct_peer *peer);
/** The same, and what arrives has to be the pattern of seed. */
struct ct_conn *ct_open_pattern(struct ct *ct, struct ct_peer *peer, uint32_t seed);
/** Adopts one end of a stream socketpair; SO_SNDBUF and SO_RCVBUF of both ends are small when is_small. */
struct ct_conn *ct_adopt(struct ct *ct, struct ct_peer *peer, bool is_small);
void ct_send(struct ct_conn *conn, struct iovec *iov, uint32_t cnt);
/** One piece; bytes must stay until on_sent. */
void ct_send_bytes(struct ct_conn *conn, const void *data, size_t len);
void ct_pause(struct ct_conn *conn);
/** For on_recv: pauses whenever something has arrived. */
void ct_pause_after_each(struct ct_conn *conn, uint8_t *data, size_t len);
void ct_resume(struct ct_conn *conn);
void ct_shutdown(struct ct_conn *conn);
void ct_close(struct ct_conn *conn, enum per__close_how how);
/** Closes and waits for on_closed. */
void ct_close_wait(struct ct_conn *conn, enum per__close_how how);

/* --- peers ------------------------------------------------------------------------------------ */

/** Only connects; the connection is accepted in a later step. */
void ct_peer_connect(struct ct *ct, struct ct_peer *peer);
/** Returns how many bytes were taken, -EAGAIN, or another negative errno. */
ssize_t ct_peer_send(struct ct_peer *peer, const void *data, size_t len);
/** Sends all of it, stepping in between. */
void ct_peer_send_all(struct ct_peer *peer, const void *data, size_t len);
/** Returns bytes, 0 at the end of the stream, -EAGAIN, or another negative errno such as -ECONNRESET. */
ssize_t ct_peer_recv(struct ct_peer *peer, void *buf, size_t cap);
void ct_peer_shutdown(struct ct_peer *peer);
void ct_peer_close(struct ct_peer *peer);
/** Closes it and forgets it; for tests that open many. */
void ct_peer_dispose(struct ct_peer *peer);
/** RST where the link has one (TCP, simulator); a plain close on unix sockets. */
void ct_peer_reset(struct ct_peer *peer);
/** Reads len bytes of ct_pattern(seed, offset...), stepping in between; max_read at a time (0: any). */
void ct_peer_expect(struct ct_peer *peer, uint32_t seed, uint64_t offset, uint64_t len, size_t max_read);
/** Reads on until the end or a reset; returns 0 or the negative errno. Bytes read are dropped and counted. */
int ct_peer_expect_end(struct ct_peer *peer, uint64_t *bytes);

/** Byte number offset of a stream. */
PER_INLINE uint8_t ct_pattern(uint32_t seed, uint64_t offset)
{
	uint64_t x = (offset >> 2) * 0x9e3779b97f4a7c15u + seed * 0x2545f491u;

	return (uint8_t)(x >> (32 + 8 * (offset & 3)));
}
void ct_pattern_fill(uint8_t *dst, size_t len, uint32_t seed, uint64_t offset);

/* --- running ---------------------------------------------------------------------------------- */

struct ct_test {
	const char *name;
	CMUnitTestFunction fn;
};
#define CT_TEST(fn) ((struct ct_test){ #fn, fn })

/** Runs the tests on every backend that works here, or on the one named by the environment's PER_BACKEND. */
int ct_run(const struct ct_test *tests, size_t count);

#endif
