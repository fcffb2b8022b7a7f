/* SPDX-License-Identifier: MIT */
/*
 * sim_smoke_test.c - the simulator proves itself on a tiny echo core of its own: faults happen, runs replay,
 * and each rule of backend.h that the core can break is noticed. Knows nothing of the real core: it defines
 * the up-calls itself.
 */
#include "base/mem.h"
#include "sim/sim.h"
#include "sim/sim_backend.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SOCKETS 8u
#define ECHO_CAP 4096u
#define TURNS_MAX 200000u
#define SEEDS 400u

struct echo {
	struct per__sock sock;
	bool is_used, is_eof, is_paused, is_sending, is_closing;
	uint8_t pending[ECHO_CAP], sending[ECHO_CAP];
	size_t pending_len;
	struct iovec iov[3];
};

/* What the echo core is told to do wrong. */
enum wrong { WRONG_NOT, WRONG_TOUCH_LENT, WRONG_TOUCH_IOV, WRONG_SEND_TWICE, WRONG_KEEP_RECV };

static struct world {
	struct per__sim *sim;
	struct per__loop loop;
	struct per__listener listener;
	struct echo echo[SOCKETS];
	uint64_t trace; /* hash of all up-calls */
	uint32_t wakes, closes, limit, violations;
	const char *violation;
	enum wrong wrong;
	const uint8_t *kept;
	int last_error;
} world;

static void trace(uint64_t what)
{
	world.trace = (world.trace ^ what) * 0x100000001b3u;
}

static void echo_flush(struct echo *echo)
{
	const struct per__backend *be = world.loop.be;
	size_t half = echo->pending_len / 2;

	if (echo->is_sending || echo->is_closing)
		return;
	if (echo->pending_len == 0) {
		if (echo->is_eof) {
			echo->is_closing = true;
			be->close(&world.loop, &echo->sock, PER__CLOSE_NORMAL);
		}
		return;
	}
	memcpy(echo->sending, echo->pending, echo->pending_len);
	echo->iov[0] = (struct iovec){ echo->sending, half };
	echo->iov[1] = (struct iovec){ echo->sending + half, 0 };
	echo->iov[2] = (struct iovec){ echo->sending + half, echo->pending_len - half };
	echo->pending_len = 0;
	echo->is_sending = true;
	be->send(&world.loop, &echo->sock, echo->iov, 3);
	if (world.wrong == WRONG_TOUCH_LENT)
		echo->sending[0] ^= 1;
	if (world.wrong == WRONG_TOUCH_IOV)
		echo->iov[2].iov_len--;
	if (world.wrong == WRONG_SEND_TWICE)
		be->send(&world.loop, &echo->sock, echo->iov, 3);
}

struct per__sock *per__on_accept(struct per__loop *loop, struct per__listener *listener, int fd)
{
	assert_ptr_equal(loop, &world.loop);
	assert_ptr_equal(listener, &world.listener);
	trace((uint64_t)fd);
	for (uint32_t i = 0; i < PER_MIN(world.limit, SOCKETS); i++) {
		if (!world.echo[i].is_used) {
			memset(&world.echo[i], 0, sizeof(world.echo[i]));
			world.echo[i].is_used = true;
			return &world.echo[i].sock;
		}
	}
	return NULL;
}

void per__on_recv(struct per__loop *loop, struct per__sock *sock, uint8_t *data, size_t len)
{
	struct echo *echo = PER_CONTAINER_OF(sock, struct echo, sock);

	trace(len + (uint64_t)loop->now_ns);
	assert_false(echo->is_closing || echo->is_eof || echo->is_paused);
	if (len == 0)
		echo->is_eof = true;
	assert_true(echo->pending_len + len <= ECHO_CAP);
	memcpy(echo->pending + echo->pending_len, data, len);
	echo->pending_len += len;
	memset(data, 'x', len);
	if (world.wrong == WRONG_KEEP_RECV && len != 0)
		world.kept = data;
	if (ECHO_CAP - echo->pending_len < 1024 && !echo->is_eof) {
		echo->is_paused = true;
		loop->be->recv_pause(loop, sock);
	}
	echo_flush(echo);
}

void per__on_sent(struct per__loop *loop, struct per__sock *sock)
{
	struct echo *echo = PER_CONTAINER_OF(sock, struct echo, sock);

	trace(2);
	assert_true(echo->is_sending);
	assert_false(echo->is_closing);
	echo->is_sending = false;
	echo_flush(echo);
	if (echo->is_paused && !echo->is_closing) {
		echo->is_paused = false;
		loop->be->recv_resume(loop, sock);
	}
}

void per__on_closed(struct per__loop *loop, struct per__sock *sock, int error)
{
	struct echo *echo = PER_CONTAINER_OF(sock, struct echo, sock);

	(void)loop;
	trace((uint64_t)error);
	world.last_error = error;
	world.closes++;
	echo->is_used = false;
}

void per__on_wake(struct per__loop *loop)
{
	(void)loop;
	trace(3);
	world.wakes++;
}

static void violation(const char *what, void *arg)
{
	(void)arg;
	world.violations++;
	world.violation = what;
}

static void world_begin(uint64_t seed)
{
	struct per__be_conf conf = { .sockets_max = SOCKETS, .recv_buf_bytes = 512 };

	memset(&world, 0, sizeof(world));
	world.sim = sim_new(seed);
	world.limit = SOCKETS;
	per__sim_current = world.sim;
	world.loop.be = &per__backend_sim;
	world.listener.fd = -1;
	assert_int_equal(per__backend_sim.init(&world.loop, &conf), 0);
	assert_int_equal(per__backend_sim.listen(&world.loop, &world.listener), 0);
}

static void world_end(void)
{
	per__backend_sim.unlisten(&world.loop, &world.listener);
	per__backend_sim.fini(&world.loop);
	sim_free(world.sim);
}

static void poll_ns(int64_t timeout_ns)
{
	assert_int_equal(per__backend_sim.poll(&world.loop, timeout_ns), 0);
}

static void poll_until_idle(void)
{
	uint32_t turns = 0;

	do {
		poll_ns(-1);
		assert_true(++turns < TURNS_MAX);
	} while (!sim_is_idle(world.sim));
}

/* Echoes random bytes over several connections under random faults; returns the hash of everything that
 * happened. */
static uint64_t echo_run(uint64_t seed, bool with_resets)
{
	struct per__sim_peer *peer[4];
	uint8_t sent[4][3000];
	size_t len[4], got;

	world_begin(seed);
	sim_faults_random(world.sim, with_resets);
	for (size_t i = 0; i < 4; i++) {
		peer[i] = sim_connect(world.sim, 0);
		len[i] = (size_t)sim_random_below(world.sim, sizeof(sent[i]) + 1);
		for (size_t j = 0; j < len[i]; j++)
			sent[i][j] = (uint8_t)sim_random(world.sim);
		sim_peer_send(peer[i], sent[i], len[i] / 3);
		sim_peer_send_after(peer[i], 1000, sent[i] + len[i] / 3, len[i] - len[i] / 3);
		sim_peer_close_write(peer[i]);
		if (sim_chance(world.sim, SIM_MILLION / 3))
			sim_peer_set_read_rate(peer[i], 100000);
	}
	poll_until_idle();
	assert_int_equal(world.closes, 4);
	for (size_t i = 0; i < 4; i++) {
		const uint8_t *data = sim_peer_received(peer[i], &got);

		assert_true(got <= len[i]);
		assert_memory_equal(got != 0 ? data : sent[i], sent[i], got);
		assert_true(sim_peer_is_over(peer[i]));
		if (!with_resets)
			assert_int_equal(got, len[i]);
	}
	world_end();
	return world.trace;
}

static void test_sim_echo_random_faults_streams_equal(void **state)
{
	bool is_replay;
	uint64_t seed = sim_seed_from_env(&is_replay);

	(void)state;
	for (uint32_t i = 0; i < (is_replay ? 1 : SEEDS); i++) {
		if (is_replay)
			print_message("PER_SEED=0x%" PRIx64 "\n", seed);
		(void)echo_run(seed + i, false);
		(void)echo_run(seed + i, true);
	}
}

static void test_sim_same_seed_same_run(void **state)
{
	uint64_t differ = 0;

	(void)state;
	for (uint64_t seed = 1; seed < 30; seed++) {
		assert_int_equal(echo_run(seed, true), echo_run(seed, true));
		differ += echo_run(seed, true) != echo_run(seed + 1000, true);
	}
	assert_true(differ >= 28);
}

static void test_sim_every_byte_split_keeps_order(void **state)
{
	struct per__sim_peer *peer;
	size_t len;

	(void)state;
	world_begin(7);
	sim_faults(world.sim)->recv_bytes_max = 1;
	sim_faults(world.sim)->send_bytes_max = 1;
	peer = sim_connect(world.sim, 0);
	sim_peer_send(peer, "hello", 5);
	poll_until_idle();
	assert_memory_equal(sim_peer_received(peer, &len), "hello", 5);
	assert_int_equal(len, 5);
	assert_true(sim_peer_is_attached(peer));
	sim_peer_close_write(peer);
	poll_until_idle();
	assert_true(sim_peer_saw_fin(peer));
	assert_false(sim_peer_saw_rst(peer));
	world_end();
}

static void test_sim_clock_moves_to_event_or_timeout(void **state)
{
	struct per__sim_peer *peer;
	int64_t begin;

	(void)state;
	world_begin(8);
	begin = world.loop.now_ns;
	assert_int_equal(begin, sim_now_ns(world.sim));
	poll_ns(5000);
	assert_int_equal(world.loop.now_ns, begin + 5000);
	assert_true(sim_is_idle(world.sim));
	poll_ns(-1);
	assert_int_equal(world.loop.now_ns, begin + 5000);
	peer = sim_connect(world.sim, 0);
	poll_ns(0);
	sim_peer_send_after(peer, 1000000, "a", 1);
	poll_ns(400000);
	assert_int_equal(world.loop.now_ns, begin + 405000);
	assert_int_equal(sim_peer_bytes_in(peer), 0);
	poll_ns(-1);
	assert_int_equal(world.loop.now_ns, begin + 1005000);
	assert_int_equal(sim_peer_bytes_in(peer), 1);
	world_end();
}

static void test_sim_slow_reader_takes_as_long_as_its_rate(void **state)
{
	struct per__sim_peer *peer;
	uint8_t bytes[2000] = { 0 };
	int64_t begin;
	size_t len;

	(void)state;
	world_begin(9);
	sim_faults(world.sim)->sndbuf_bytes = 100;
	peer = sim_connect(world.sim, 0);
	sim_peer_set_read_rate(peer, 0);
	sim_peer_send(peer, bytes, sizeof(bytes));
	poll_until_idle();
	sim_peer_received(peer, &len);
	assert_int_equal(len, 0);
	assert_int_equal(sim_peer_bytes_out(peer), 100);
	begin = world.loop.now_ns;
	sim_peer_set_read_rate(peer, 1000);
	poll_until_idle();
	sim_peer_received(peer, &len);
	assert_int_equal(len, 2000);
	assert_in_range(world.loop.now_ns - begin, 1999000000, 2100000000);
	world_end();
}

static void test_sim_reset_is_reported_once(void **state)
{
	struct per__sim_peer *peer;

	(void)state;
	for (uint64_t at = 0; at <= 10; at++) {
		world_begin(at);
		peer = sim_connect(world.sim, 0);
		sim_peer_reset_at_in(peer, at);
		sim_peer_send(peer, "0123456789", 10);
		poll_until_idle();
		assert_int_equal(world.closes, 1);
		assert_true(world.last_error == -ECONNRESET || world.last_error == -EPIPE);
		assert_int_equal(sim_peer_bytes_in(peer), at);
		world_end();
	}
}

static void test_sim_refusal_pauses_until_a_close(void **state)
{
	struct per__sim_peer *first, *refused, *late;

	(void)state;
	world_begin(10);
	world.limit = 1;
	first = sim_connect(world.sim, 0);
	poll_until_idle();
	refused = sim_connect(world.sim, 0);
	poll_until_idle();
	assert_true(sim_peer_was_refused(refused));
	assert_true(sim_peer_is_over(refused));
	late = sim_connect(world.sim, 0);
	poll_until_idle();
	assert_false(sim_peer_is_accepted(late));
	sim_peer_close_write(first);
	poll_until_idle();
	assert_true(sim_peer_is_attached(late));
	assert_int_equal(world.loop.counters.accept_refused, 1);
	world_end();
}

static void test_sim_close_with_unread_bytes_resets_peer(void **state)
{
	struct per__sim_peer *peer;

	(void)state;
	world_begin(11);
	peer = sim_connect(world.sim, 0);
	poll_until_idle();
	world.loop.be->recv_pause(&world.loop, &world.echo[0].sock);
	sim_peer_send(peer, "abc", 3);
	poll_until_idle();
	world.loop.be->close(&world.loop, &world.echo[0].sock, PER__CLOSE_NORMAL);
	assert_int_equal(world.closes, 0);
	poll_until_idle();
	assert_int_equal(world.closes, 1);
	assert_int_equal(world.last_error, 0);
	assert_true(sim_peer_saw_rst(peer));
	world_end();
}

static void script(struct per__sim *sim, void *arg)
{
	sim_peer_send(arg, "late", 4);
	(void)sim;
}

static void test_sim_wake_and_script_come_from_poll(void **state)
{
	struct per__sim_peer *peer;
	size_t len;

	(void)state;
	world_begin(12);
	sim_faults(world.sim)->wake_delay = SIM_MILLION / 2;
	peer = sim_connect(world.sim, 0);
	sim_after(world.sim, 12345, script, peer);
	world.loop.be->wake(&world.loop);
	world.loop.be->wake(&world.loop);
	assert_int_equal(world.wakes, 0);
	poll_until_idle();
	assert_int_equal(world.wakes, 1);
	sim_peer_received(peer, &len);
	assert_int_equal(len, 4);
	world_end();
}

/* --- the core's mistakes are noticed ---------------------------------------------------------- */

static struct per__sim_peer *wrong_begin(enum wrong wrong)
{
	struct per__sim_peer *peer;

	world_begin(13);
	sim_on_violation(world.sim, violation, NULL);
	world.wrong = wrong;
	peer = sim_connect(world.sim, 0);
	sim_peer_send(peer, "abcd", 4);
	return peer;
}

static void wrong_end(const char *expected)
{
	assert_string_equal(world.violation != NULL ? world.violation : "none", expected);
	world_end();
}

static void test_sim_lent_bytes_changed_is_noticed(void **state)
{
	(void)state;
	wrong_begin(WRONG_TOUCH_LENT);
	poll_until_idle();
	wrong_end("bytes were changed while they were lent");
}

static void test_sim_lent_iov_changed_is_noticed(void **state)
{
	(void)state;
	wrong_begin(WRONG_TOUCH_IOV);
	poll_until_idle();
	wrong_end("the iovec array was changed while it was lent");
}

static void test_sim_second_send_is_noticed(void **state)
{
	(void)state;
	wrong_begin(WRONG_SEND_TWICE);
	poll_until_idle();
	wrong_end("a second send while one is outstanding");
}

static void test_sim_lent_bytes_changed_before_close_is_noticed(void **state)
{
	struct per__sim_peer *peer = wrong_begin(WRONG_TOUCH_LENT);

	(void)state;
	sim_faults(world.sim)->sndbuf_bytes = 1;
	sim_peer_set_read_rate(peer, 0);
	poll_until_idle();
	assert_null(world.violation);
	world.loop.be->close(&world.loop, &world.echo[0].sock, PER__CLOSE_NORMAL);
	poll_until_idle();
	wrong_end("bytes were changed while they were lent");
}

static void test_sim_received_bytes_are_spoilt_after_the_call(void **state)
{
	(void)state;
	wrong_begin(WRONG_KEEP_RECV);
	poll_until_idle();
	assert_non_null(world.kept);
	per__mem_unpoison(world.kept, 1);
	assert_int_equal(world.kept[0], 0xdd);
	world_end();
}

static void test_sim_use_after_closed_is_noticed(void **state)
{
	(void)state;
	wrong_begin(WRONG_NOT);
	poll_until_idle();
	world.loop.be->close(&world.loop, &world.echo[0].sock, PER__CLOSE_NORMAL);
	world.loop.be->close(&world.loop, &world.echo[0].sock, PER__CLOSE_NORMAL);
	assert_null(world.violation);
	poll_until_idle();
	world.loop.be->recv_pause(&world.loop, &world.echo[0].sock);
	wrong_end("a socket is named that is not open, or after on_closed");
}

static void test_sim_send_misuse_is_noticed(void **state)
{
	struct iovec iov = { NULL, 0 };
	struct per__sock *sock = &world.echo[0].sock;

	(void)state;
	wrong_begin(WRONG_NOT);
	poll_until_idle();
	world.loop.be->send(&world.loop, sock, &iov, 1);
	assert_string_equal(world.violation, "send of no bytes");
	world.loop.be->send(&world.loop, sock, &iov, 0);
	assert_string_equal(world.violation, "send of no iovec");
	world.loop.be->shutdown(&world.loop, sock);
	world.loop.be->send(&world.loop, sock, &iov, 1);
	assert_string_equal(world.violation, "send after shutdown");
	assert_int_equal(world.violations, 3);
	world.loop.be->close(&world.loop, sock, PER__CLOSE_NORMAL);
	poll_until_idle();
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sim_echo_random_faults_streams_equal),
		cmocka_unit_test(test_sim_same_seed_same_run),
		cmocka_unit_test(test_sim_every_byte_split_keeps_order),
		cmocka_unit_test(test_sim_clock_moves_to_event_or_timeout),
		cmocka_unit_test(test_sim_slow_reader_takes_as_long_as_its_rate),
		cmocka_unit_test(test_sim_reset_is_reported_once),
		cmocka_unit_test(test_sim_refusal_pauses_until_a_close),
		cmocka_unit_test(test_sim_close_with_unread_bytes_resets_peer),
		cmocka_unit_test(test_sim_wake_and_script_come_from_poll),
		cmocka_unit_test(test_sim_lent_bytes_changed_is_noticed),
		cmocka_unit_test(test_sim_lent_iov_changed_is_noticed),
		cmocka_unit_test(test_sim_second_send_is_noticed),
		cmocka_unit_test(test_sim_lent_bytes_changed_before_close_is_noticed),
		cmocka_unit_test(test_sim_received_bytes_are_spoilt_after_the_call),
		cmocka_unit_test(test_sim_use_after_closed_is_noticed),
		cmocka_unit_test(test_sim_send_misuse_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
