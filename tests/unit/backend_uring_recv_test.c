/* SPDX-License-Identifier: MIT */
/*
 * backend_uring_recv_test.c - receiving on io_uring: starving and recovering, holding while paused, cancels
 * that race.
 */
#include "backend_uring_bench.h"

/* Feeds every connection total bytes in pieces while the loop turns. */
static void stream_all(struct bench *b, uint64_t total, size_t piece)
{
	bool is_done = false;

	for (unsigned i = 0; !is_done; i++) {
		assert_true(i < BENCH_TURNS_MAX);
		is_done = true;
		for (uint32_t k = 0; k < b->used; k++) {
			struct conn *c = &b->conn[k];

			if (c->fed < total)
				feed(c, PER_MIN(piece, total - c->fed));
			is_done = is_done && c->got == total;
		}
		if (!is_done)
			turn(b, 1000000);
	}
}

static void test_uring_recv_few_buffers_starve_and_all_arrives(void **state)
{
	struct bench *b = bench_open(256, 8);

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		adopt_pair(b);
	stream_all(b, 20000, 5000);
	assert_true(b->loop.counters.recv_starved > 0);
	assert_true(b->loop.counters.recv_rearms > 0);
	close_all_conns(b);
	bench_close(b);
}

static void test_uring_recv_starved_idle_sockets_use_no_cpu(void **state)
{
	struct bench *b = bench_open(256, 8);
	uint64_t turns;

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		adopt_pair(b);
	stream_all(b, 3000, 3000);
	while (ring_of(b)->starved.head != NULL)
		turn(b, 0);
	turn(b, 1000000);
	turns = b->loop.counters.turns;
	turn(b, 20000000); /* nothing to do: one turn, which waits */
	assert_int_equal(b->loop.counters.turns, turns + 1);
	assert_false(ring_of(b)->is_due);
	close_all_conns(b);
	bench_close(b);
}

static void test_uring_recv_starved_sockets_can_be_closed(void **state)
{
	struct bench *b = bench_open(64, 2);

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		feed(adopt_pair(b), 1000);
	turn(b, 0);
	turn(b, 0);
	assert_non_null(ring_of(b)->starved.head);
	close_all_conns(b);
	assert_null(ring_of(b)->starved.head);
	bench_close(b);
}

static void test_uring_recv_target_grows_only_when_starved(void **state)
{
	struct bench *b = bench_open(64, 256);

	(void)state;
	assert_int_equal(ring_of(b)->buf_target, URING_TARGET_FIRST);
	stream_all(b, 0, 0);
	for (unsigned i = 0; i < 10; i++)
		adopt_pair(b);
	stream_all(b, 500, 10);
	assert_int_equal(ring_of(b)->buf_target, URING_TARGET_FIRST);
	for (unsigned i = 0; i < 40; i++)
		feed(&b->conn[i % 10], 4000);
	stream_all(b, 40000, 4000);
	assert_true(b->loop.counters.recv_starved > 0);
	assert_true(ring_of(b)->buf_target > URING_TARGET_FIRST);
	close_all_conns(b);
	bench_close(b);
}

static void pause_all_others(struct bench *b, struct conn *c, const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	for (uint32_t i = 0; i < b->used; i++) {
		struct conn *other = &b->conn[i];

		if (other == c || other->is_paused || other->is_closed)
			continue;
		b->be->recv_pause(&b->loop, &other->sock);
		other->is_paused = other->sock.state == PER__SOCK_OPEN;
	}
}

static unsigned resume_all(struct bench *b, bool with_held)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < b->used; i++) {
		struct conn *c = &b->conn[i];

		if (!c->is_paused || c->is_closed || (!with_held && c->sock.be.held.head != 0))
			continue;
		c->is_paused = false;
		b->be->recv_resume(&b->loop, &c->sock);
		count++;
	}
	return count;
}

static void test_uring_pause_of_others_in_the_batch_holds_their_bytes(void **state)
{
	struct bench *b = bench_open(128, 64);
	unsigned held = 0;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		feed(adopt_pair(b), 100);
	b->on_recv = pause_all_others;
	RUN_UNTIL(b, b->loop.counters.bytes_in >= 500);
	for (unsigned i = 0; i < 20; i++)
		held += b->conn[i].sock.be.held.head != 0;
	assert_true(held > 0);
	b->on_recv = NULL;
	for (unsigned i = 0; i < 20; i++) {
		uint64_t before = b->conn[i].got;

		if (!b->conn[i].is_paused)
			continue;
		b->conn[i].is_paused = false;
		b->be->recv_resume(&b->loop, &b->conn[i].sock);
		assert_int_equal(b->conn[i].got, before); /* B1 */
	}
	stream_all(b, 1000, 100);
	close_all_conns(b);
	bench_close(b);
}

static void test_uring_pause_held_bytes_are_delivered_without_waiting(void **state)
{
	struct bench *b = bench_open(128, 64);
	struct conn *c;

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		feed(adopt_pair(b), 100);
	b->on_recv = pause_all_others;
	RUN_UNTIL(b, b->loop.counters.bytes_in == 200);
	c = b->conn[0].is_paused ? &b->conn[0] : &b->conn[1];
	if (c->sock.be.held.head == 0)
		skip(); /* they came in different batches */
	b->on_recv = NULL;
	c->is_paused = false;
	b->be->recv_resume(&b->loop, &c->sock);
	turn(b, -1); /* would hang */
	assert_int_equal(c->got, 100);
	close_all_conns(b);
	bench_close(b);
}

static void test_uring_hold_without_spares_breaks_one_and_others_go_on(void **state)
{
	struct bench *b = bench_open(64, 8);
	unsigned broken = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		feed(adopt_pair(b), 200);
	b->on_recv = pause_all_others;
	for (unsigned i = 0; b->closes == 0; i++) {
		assert_true(i < 10000);
		resume_all(b, false);
		turn(b, 1000000);
	}
	b->on_recv = NULL;
	resume_all(b, true);
	for (unsigned i = 0; i < 1000; i++)
		turn(b, 0);
	for (uint32_t i = 0; i < b->used; i++) {
		if (b->conn[i].is_closed) {
			assert_int_equal(b->conn[i].error, -ENOBUFS);
			broken++;
		} else {
			assert_int_equal(b->conn[i].got, 200);
		}
	}
	assert_true(broken >= 1 && broken < 100);
	close_all_conns(b);
	bench_close(b);
}

static void test_uring_pause_eof_is_held_until_resume(void **state)
{
	struct bench *b = bench_open(128, 8);
	struct conn *c = adopt_pair(b);

	(void)state;
	turn(b, 0);
	b->be->recv_pause(&b->loop, &c->sock);
	c->is_paused = true;
	feed(c, 50);
	assert_int_equal(shutdown(c->peer, SHUT_WR), 0);
	for (unsigned i = 0; i < 5; i++)
		turn(b, 0);
	assert_false(c->has_eof);
	c->is_paused = false;
	b->be->recv_resume(&b->loop, &c->sock);
	RUN_UNTIL(b, c->has_eof);
	assert_int_equal(c->got, 50);
	close_all_conns(b);
	bench_close(b);
}

static void pause_self(struct bench *b, struct conn *c, const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	b->be->recv_pause(&b->loop, &c->sock);
	c->is_paused = true;
}

/* Bytes and the end arrive in one batch, and the bytes make the owner pause. */
static void test_uring_pause_eof_of_the_same_batch_is_held(void **state)
{
	struct bench *b = bench_open(128, 8);
	struct conn *c = adopt_pair(b);

	(void)state;
	feed(c, 300);
	assert_int_equal(shutdown(c->peer, SHUT_WR), 0);
	b->on_recv = pause_self;
	RUN_UNTIL(b, c->recvs == 1);
	for (unsigned i = 0; i < 5; i++)
		turn(b, 0);
	assert_int_equal(c->got, 128);
	assert_true((c->sock.flags & SOCK_EOF_DUE) != 0);
	b->on_recv = NULL;
	c->is_paused = false;
	b->be->recv_resume(&b->loop, &c->sock);
	assert_false(c->has_eof);
	turn(b, -1);
	assert_true(c->has_eof);
	assert_int_equal(c->got, 300);
	close_all_conns(b);
	bench_close(b);
}

static void toggle(struct bench *b, struct conn *c, const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	b->be->recv_pause(&b->loop, &c->sock);
	b->be->recv_resume(&b->loop, &c->sock);
	b->be->recv_pause(&b->loop, &c->sock);
	b->be->recv_resume(&b->loop, &c->sock);
}

static void test_uring_pause_resume_within_one_up_call_loses_nothing(void **state)
{
	struct bench *b = bench_open(128, 16);

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		adopt_pair(b);
	b->on_recv = toggle;
	stream_all(b, 20000, 700);
	b->on_recv = NULL;
	close_all_conns(b);
	bench_close(b);
}

static uint32_t random_next(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static void random_pauses(struct bench *b, struct conn *c, const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	for (uint32_t k = random_next(&b->n) % 4; k != 0; k--) {
		struct conn *any = k == 1 ? c : &b->conn[random_next(&b->n) % b->used];

		if (any->is_closed)
			continue;
		any->is_paused = (random_next(&b->n) & 1) != 0 && any->sock.state == PER__SOCK_OPEN;
		if (any->is_paused)
			b->be->recv_pause(&b->loop, &any->sock);
		else
			b->be->recv_resume(&b->loop, &any->sock);
	}
}

/*
 * Pauses and resumes at random, from up-calls and between turns, with too few buffers, while all peers
 * write.
 */
static void random_run(int rung, uint64_t seed, uint32_t buf_bytes)
{
	struct bench *b = bench_open_at(buf_bytes, 32, BENCH_CONNS, rung);
	uint64_t total = 30000;
	bool is_done = false;

	b->n = seed;
	for (unsigned i = 0; i < 30; i++)
		adopt_pair(b);
	b->on_recv = random_pauses;
	for (unsigned i = 0; !is_done; i++) {
		assert_true(i < 100000);
		is_done = true;
		for (uint32_t k = 0; k < b->used; k++) {
			struct conn *c = &b->conn[k];

			size_t piece = random_next(&b->n) % 1500;

			if (c->fed < total && random_next(&b->n) % 3 == 0)
				feed(c, PER_MIN(piece, total - c->fed));
			is_done = is_done && (c->is_closed || c->got == total);
		}
		if (random_next(&b->n) % 4 == 0)
			resume_all(b, true);
		turn(b, random_next(&b->n) % 2 != 0 ? 1000000 : 0);
	}
	assert_int_equal(b->closes, 0);
	assert_true(b->closes == 0 || buf_bytes < 700); /* with tiny buffers the spares run out at times */
	assert_int_equal(ring_of(b)->ring.flags & IORING_SETUP_DEFER_TASKRUN,
			 per__uring_ladder[rung].flags & IORING_SETUP_DEFER_TASKRUN);
	close_all_conns(b);
	assert_int_equal(ring_of(b)->buf_level + ring_of(b)->free_count, ring_of(b)->buf_count);
	bench_close(b);
}

static void test_uring_pause_random_order_keeps_every_stream(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++)
		random_run(0, seed, seed % 2 != 0 ? 700 : 100);
}

static void test_uring_pause_random_order_on_every_rung(void **state)
{
	(void)state;
	for (int rung = 1; per__uring_ladder[rung].name != NULL; rung++)
		random_run(rung, 77, 700);
}

static void close_self(struct bench *b, struct conn *c, const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	b->be->close(&b->loop, &c->sock, PER__CLOSE_NORMAL);
	b->be->close(&b->loop, &c->sock, PER__CLOSE_RESET); /* ignored */
}

static void test_uring_close_inside_on_recv_drops_the_rest(void **state)
{
	struct bench *b = bench_open(64, 64);
	struct conn *c = adopt_pair(b);

	(void)state;
	feed(c, 2000);
	b->on_recv = close_self;
	RUN_UNTIL(b, c->is_closed);
	assert_int_equal(c->recvs, 1);
	assert_int_equal(c->error, 0);
	assert_int_equal(ring_of(b)->buf_level, ring_of(b)->buf_target);
	bench_close(b);
}

static void test_uring_recv_reset_by_peer_closes_with_its_errno(void **state)
{
	struct bench *b = bench_open(64, 64);
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };
	int fd;

	(void)state;
	bench_listen(b);
	fd = connect_new(b);
	RUN_UNTIL(b, b->accepts == 1);
	turn(b, 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	assert_int_equal(close(fd), 0);
	RUN_UNTIL(b, b->closes == 1);
	assert_int_equal(b->conn[0].error, -ECONNRESET);
	bench_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uring_recv_few_buffers_starve_and_all_arrives),
		cmocka_unit_test(test_uring_recv_starved_idle_sockets_use_no_cpu),
		cmocka_unit_test(test_uring_recv_starved_sockets_can_be_closed),
		cmocka_unit_test(test_uring_recv_target_grows_only_when_starved),
		cmocka_unit_test(test_uring_pause_of_others_in_the_batch_holds_their_bytes),
		cmocka_unit_test(test_uring_pause_held_bytes_are_delivered_without_waiting),
		cmocka_unit_test(test_uring_hold_without_spares_breaks_one_and_others_go_on),
		cmocka_unit_test(test_uring_pause_eof_is_held_until_resume),
		cmocka_unit_test(test_uring_pause_eof_of_the_same_batch_is_held),
		cmocka_unit_test(test_uring_pause_resume_within_one_up_call_loses_nothing),
		cmocka_unit_test(test_uring_pause_random_order_keeps_every_stream),
		cmocka_unit_test(test_uring_pause_random_order_on_every_rung),
		cmocka_unit_test(test_uring_close_inside_on_recv_drops_the_rest),
		cmocka_unit_test(test_uring_recv_reset_by_peer_closes_with_its_errno),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
