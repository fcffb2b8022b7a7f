/* SPDX-License-Identifier: MIT */
/*
 * services_access_ring_test.c - the ring between a worker and the log's thread: bounds, wrapping, whole
 * lines, and both sides at once (with ThreadSanitizer in the tsan build).
 */
#include "services/access_ring.h"

#include "support/unit.h"
#include <pthread.h>

#define RING_BYTES 65536u

static struct per__access_ring *ring_new(void)
{
	struct per__access_ring *ring = per__access_ring_new(RING_BYTES);

	assert_non_null(ring);
	return ring;
}

/* Puts a line of len bytes, newline included. */
static bool put(struct per__access_ring *ring, char fill, size_t len)
{
	static char line[RING_BYTES + 1];

	memset(line, fill, len);
	line[len - 1] = '\n';
	return per__access_ring_put(ring, line, len);
}

static void test_ring_full_to_the_last_byte_and_not_one_more(void **state)
{
	struct per__access_ring *ring = ring_new();
	struct iovec iov[2];

	(void)state;
	assert_int_equal(per__access_ring_look(ring, SIZE_MAX, iov), 0);
	assert_false(put(ring, 'a', RING_BYTES + 1));
	assert_true(put(ring, 'a', RING_BYTES - 2));
	assert_false(put(ring, 'b', 3));
	assert_true(put(ring, 'b', 2));
	assert_false(put(ring, 'c', 1));
	assert_int_equal(per__access_ring_waiting(ring), RING_BYTES);
	assert_int_equal(per__access_ring_look(ring, SIZE_MAX, iov), RING_BYTES);
	assert_false(per__access_ring_take(ring, RING_BYTES));
	assert_int_equal(per__access_ring_waiting(ring), 0);
	assert_true(put(ring, 'c', RING_BYTES));
	per__access_ring_free(ring);
}

static void test_ring_half_full(void **state)
{
	struct per__access_ring *ring = ring_new();

	(void)state;
	assert_true(put(ring, 'a', RING_BYTES / 2));
	assert_false(per__access_ring_is_half_full(ring));
	assert_true(put(ring, 'a', 1));
	assert_true(per__access_ring_is_half_full(ring));
	per__access_ring_take(ring, 1);
	assert_false(per__access_ring_is_half_full(ring));
	per__access_ring_free(ring);
}

static void test_ring_look_gives_whole_lines_or_a_part_of_one(void **state)
{
	struct per__access_ring *ring = ring_new();
	struct iovec iov[2];

	(void)state;
	assert_true(put(ring, 'a', 10));
	assert_true(put(ring, 'b', 10));
	assert_true(put(ring, 'c', 100));
	assert_int_equal(per__access_ring_look(ring, 19, iov), 10);
	assert_int_equal(per__access_ring_look(ring, 20, iov), 20);
	assert_int_equal(per__access_ring_look(ring, 119, iov), 20);
	assert_int_equal(per__access_ring_look(ring, 120, iov), 120);
	assert_int_equal(per__access_ring_line(ring), 10);
	assert_false(per__access_ring_take(ring, 20));
	assert_int_equal(per__access_ring_look(ring, 40, iov), 40); /* a long line is cut */
	assert_true(per__access_ring_take(ring, 40));
	assert_int_equal(per__access_ring_line(ring), 60);
	assert_true(put(ring, 'd', 5));
	assert_int_equal(per__access_ring_look(ring, 64, iov), 60);
	assert_false(per__access_ring_take(ring, 60));
	assert_int_equal(per__access_ring_line(ring), 5);
	assert_false(per__access_ring_take(ring, 5));
	assert_int_equal(per__access_ring_line(ring), 0);
	per__access_ring_free(ring);
}

/* A line across the end of the memory comes as two pieces. */
static void test_ring_wraps_at_every_place(void **state)
{
	struct per__access_ring *ring = ring_new();
	struct iovec iov[2];
	char line[600];

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		size_t len = 300 + i % 300;

		assert_true(put(ring, (char)('a' + i % 26), len));
		assert_int_equal(per__access_ring_look(ring, SIZE_MAX, iov), len);
		assert_int_equal(iov[0].iov_len + iov[1].iov_len, len);
		memcpy(line, iov[0].iov_base, iov[0].iov_len);
		memcpy(line + iov[0].iov_len, iov[1].iov_base, iov[1].iov_len);
		for (size_t k = 0; k + 1 < len; k++)
			assert_int_equal(line[k], 'a' + i % 26);
		assert_int_equal(line[len - 1], '\n');
		assert_false(per__access_ring_take(ring, len));
	}
	per__access_ring_free(ring);
}

/* --- both sides at once ----------------------------------------------------------------------- */

#define LINES 200000u

struct traffic {
	struct per__access_ring *ring;
	uint64_t put, dropped;
	atomic_bool is_over;
};

/* Lines that tell their number and are as long as that says; one that finds no room is counted. */
static void *traffic_put(void *arg)
{
	struct traffic *traffic = arg;
	char line[300];

	for (unsigned i = 0; i < LINES; i++) {
		size_t len = 12 + i % 251;

		memset(line, '.', len);
		snprintf(line, sizeof(line), "%010u", i);
		line[10] = ' ';
		line[len - 1] = '\n';
		if (per__access_ring_put(traffic->ring, line, len))
			traffic->put++;
		else
			traffic->dropped++;
	}
	atomic_store(&traffic->is_over, true);
	return NULL;
}

static void check_lines(const char *text, size_t len, int64_t *last, uint64_t *cnt)
{
	const char *pos = text;

	while (pos < text + len) {
		unsigned number = (unsigned)strtoul(pos, NULL, 10);
		const char *end = memchr(pos, '\n', (size_t)(text + len - pos));

		assert_non_null(end);
		assert_int_equal(end - pos + 1, 12 + number % 251);
		assert_true((int64_t)number > *last);
		*last = number;
		(*cnt)++;
		pos = end + 1;
	}
}

static void test_ring_both_sides_at_once_whole_lines_in_order(void **state)
{
	static char text[RING_BYTES];
	struct traffic traffic = { .ring = ring_new() };
	int64_t last = -1;
	uint64_t cnt = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, traffic_put, &traffic), 0);
	for (;;) {
		bool is_over = atomic_load(&traffic.is_over);
		struct iovec iov[2];
		size_t len = per__access_ring_look(traffic.ring, 5000, iov);

		if (len == 0 && is_over)
			break;
		memcpy(text, iov[0].iov_base, iov[0].iov_len);
		memcpy(text + iov[0].iov_len, iov[1].iov_base, iov[1].iov_len);
		check_lines(text, len, &last, &cnt);
		assert_false(per__access_ring_take(traffic.ring, len));
	}
	pthread_join(thread, NULL);
	assert_int_equal(traffic.put + traffic.dropped, LINES);
	assert_int_equal(cnt, traffic.put);
	per__access_ring_free(traffic.ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_full_to_the_last_byte_and_not_one_more),
		cmocka_unit_test(test_ring_half_full),
		cmocka_unit_test(test_ring_look_gives_whole_lines_or_a_part_of_one),
		cmocka_unit_test(test_ring_wraps_at_every_place),
		cmocka_unit_test(test_ring_both_sides_at_once_whole_lines_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
