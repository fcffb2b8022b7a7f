/* SPDX-License-Identifier: MIT */
/*
 * backend_uring_starved_test.c - a kernel without memory for requests: submissions are tried again after a
 * rest, never in a busy loop, and nothing is lost. io_uring_enter2() is this file's own.
 */
#include "backend_uring_bench.h"

#include <sys/syscall.h>

#define POLLS 20

static int refusal;          /* the error that submissions meet, 0: none */
static unsigned refused, io; /* calls that were refused, and all of them */

/* Under that name for the linker only: the header's types differ from version to version. */
int enter(unsigned fd, unsigned to_submit, unsigned wait_cnt, unsigned flags, void *arg,
	  size_t size) __asm__("io_uring_enter2");

int enter(unsigned fd, unsigned to_submit, unsigned wait_cnt, unsigned flags, void *arg, size_t size)
{
	long ret;

	io++;
	if (refusal != 0 && to_submit != 0) {
		refused++;
		return -refusal;
	}
	ret = syscall(SYS_io_uring_enter, fd, to_submit, wait_cnt, flags, arg, size);
	return ret < 0 ? -errno : (int)ret;
}

/* The rest is a call that submits nothing: the kernel's own clock ends it. */
static void test_uring_submission_without_memory_rests(void **state)
{
	const int errors[] = { EAGAIN, ENOMEM };

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(errors); i++) {
		struct bench *b = bench_open(1024, 8);
		struct conn *c;
		int64_t before_ns;

		refusal = errors[i];
		refused = io = 0;
		c = adopt_pair(b);
		feed(c, 500);
		turn(b, -1);
		before_ns = b->loop.now_ns;
		for (int n = 0; n < POLLS; n++)
			turn(b, -1);
		assert_true(b->loop.now_ns - before_ns >= POLLS / 2 * (int64_t)URING_STARVED_NS);
		assert_int_equal(refused, POLLS + 1);
		assert_int_equal(io, 2 * refused);
		assert_int_equal(c->recvs, 0);
		io = 0;
		turn(b, 0); /* who does not want to wait does not */
		assert_int_equal(io, 1);
		refusal = 0;
		RUN_UNTIL(b, c->got == 500);
		bench_close(b);
	}
}

/* What was submitted before memory went is heard at once, not after the rest. */
static void test_uring_completions_end_the_rest(void **state)
{
	struct bench *b = bench_open(1024, 8);
	struct conn *old = adopt_pair(b), *late;

	(void)state;
	turn(b, 0);
	refusal = ENOMEM;
	late = adopt_pair(b);
	for (uint32_t i = 1; i <= 10; i++) {
		feed(old, 100);
		turn(b, -1);
		turn(b, 0);
		assert_int_equal(old->got, i * 100);
	}
	b->be->wake(&b->loop);
	RUN_UNTIL(b, b->wakes == 1);
	assert_int_equal(late->recvs, 0);
	refusal = 0;
	feed(late, 10);
	RUN_UNTIL(b, late->got == 10);
	bench_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uring_submission_without_memory_rests),
		cmocka_unit_test(test_uring_completions_end_the_rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
