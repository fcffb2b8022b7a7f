/* SPDX-License-Identifier: MIT */
/*
 * backend_uring_probe_test.c - the probe's verdicts and the choice of a backend, here and where seccomp
 * refuses io_uring. Each refusal happens in a child, since a filter cannot be taken off again.
 */
#include "backend_uring_bench.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CHECK(claim)                                                              \
	do {                                                                      \
		if (!(claim)) {                                                   \
			(void)fprintf(stderr, "line %d: %s\n", __LINE__, #claim); \
			return 1;                                                 \
		}                                                                 \
	} while (0)

/* From here on that system call answers err. */
static int refuse(unsigned number, unsigned err)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = PER_ARRAY_LEN(filter), .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/*
 * Runs a check in a child. Returns its exit status: 0 when all its claims held, 77 when it could not be
 * tried.
 */
static int in_child(int (*check)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(check());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void expect_child(int (*check)(void))
{
	int status = in_child(check);

	if (status == 77)
		skip();
	assert_int_equal(status, 0);
}

static void test_uring_probe_works_here_and_names_features(void **state)
{
	struct per__probe probe;
	unsigned before = open_fds();
	int err = per__backend_io_uring.probe(&probe);

	(void)state;
	print_message("%s: %s\n", probe.reason, probe.features);
	if (err != 0)
		skip();
	assert_string_equal(probe.reason, "works here");
	assert_non_null(strstr(probe.features, "multishot"));
	assert_int_equal(open_fds(), before);
}

static int check_setup_eperm(void)
{
	const struct per__backend *be = NULL;
	char reason[300];

	if (refuse(__NR_io_uring_setup, EPERM) != 0)
		return 77;
	CHECK(per__backend_select(PER_BACKEND_AUTO, &be, reason, sizeof(reason)) == 0);
	CHECK(be != &per__backend_io_uring); /* epoll, or the kqueue that tests have */
	CHECK(strncmp(reason, "io_uring: EPERM, ", 17) == 0);
	CHECK(strstr(reason, "blocked by seccomp or a container policy; using ") != NULL ||
	      strstr(reason, "kernel.io_uring_disabled") != NULL);
	CHECK(strcmp(strrchr(reason, ' ') + 1, be->name) == 0);
	CHECK(per__backend_select(PER_BACKEND_IO_URING, &be, reason, sizeof(reason)) == PER_ENOTSUP);
	CHECK(be == NULL);
	CHECK(strstr(reason, "io_uring: EPERM") == reason);
	return 0;
}

static int check_setup_enosys(void)
{
	struct per__probe probe;

	if (refuse(__NR_io_uring_setup, ENOSYS) != 0)
		return 77;
	CHECK(per__backend_io_uring.probe(&probe) == PER_ENOTSUP);
	CHECK(strstr(probe.reason, "without io_uring") != NULL);
	return 0;
}

static int check_setup_enomem(void)
{
	struct per__probe probe;

	if (refuse(__NR_io_uring_setup, ENOMEM) != 0)
		return 77;
	CHECK(per__backend_io_uring.probe(&probe) == PER_ENOMEM);
	CHECK(strstr(probe.reason, "memlock") != NULL);
	return 0;
}

static int check_register_einval(void)
{
	struct per__probe probe;

	if (refuse(__NR_io_uring_register, EINVAL) != 0)
		return 77;
	CHECK(per__backend_io_uring.probe(&probe) != 0);
	CHECK(strstr(probe.reason, "provided-buffer rings") != NULL);
	return 0;
}

static int check_enter_eperm(void)
{
	struct per__probe probe;

	if (refuse(__NR_io_uring_enter, EPERM) != 0)
		return 77;
	CHECK(per__backend_io_uring.probe(&probe) == PER_EACCES);
	CHECK(strstr(probe.reason, "io_uring_enter blocked") != NULL);
	return 0;
}

static int check_init_refused(void)
{
	static const struct per__log silent;
	struct per__be_conf conf = {
		.sockets_max = 10, .recv_buf_bytes = 64, .recv_buf_count = 8, .log = &silent
	};
	struct per__loop loop = { .be = &per__backend_io_uring };
	unsigned before = open_fds();

	if (refuse(__NR_io_uring_register, EPERM) != 0)
		return 77;
	CHECK(loop.be->init(&loop, &conf) != 0);
	CHECK(loop.be_state == NULL);
	CHECK(open_fds() == before);
	return 0;
}

static void test_uring_seccomp_eperm_auto_takes_the_next_and_says_why(void **state)
{
	(void)state;
	expect_child(check_setup_eperm);
}

static void test_uring_probe_refused_answers_with_its_reason(void **state)
{
	(void)state;
	expect_child(check_setup_enosys);
	expect_child(check_setup_enomem);
	expect_child(check_register_einval);
	expect_child(check_enter_eperm);
}

static void test_uring_init_refused_leaves_nothing(void **state)
{
	(void)state;
	expect_child(check_init_refused);
}

static void test_select_auto_and_by_name_choose(void **state)
{
	const struct per__backend *be = NULL;
	char reason[300];

	(void)state;
	assert_int_equal(per__backend_select(PER_BACKEND_EPOLL, &be, reason, sizeof(reason)), 0);
	assert_ptr_equal(be, &per__backend_epoll);
	assert_string_equal(reason, "using epoll, as asked");
	assert_int_equal(per__backend_select(PER_BACKEND_AUTO, &be, reason, sizeof(reason)), 0);
	assert_non_null(be);
	assert_int_equal(per__backend_select(4711, &be, reason, sizeof(reason)), PER_ENOTSUP);
	assert_null(be);
	assert_non_null(strstr(reason, "not compiled in"));
	assert_int_equal(per__backend_select(4711, &be, reason, 5), PER_ENOTSUP);
	assert_int_equal(strlen(reason), 4);
	assert_null(per__backend_by_id(4711));
	assert_ptr_equal(per__backends[0], &per__backend_io_uring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uring_probe_works_here_and_names_features),
		cmocka_unit_test(test_uring_seccomp_eperm_auto_takes_the_next_and_says_why),
		cmocka_unit_test(test_uring_probe_refused_answers_with_its_reason),
		cmocka_unit_test(test_uring_init_refused_leaves_nothing),
		cmocka_unit_test(test_select_auto_and_by_name_choose),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
