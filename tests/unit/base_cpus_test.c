/* SPDX-License-Identifier: MIT */
/*
 * base_cpus_test.c - affinity and cgroup quotas; a temporary directory plays the cgroup tree.
 */
#include "base/cpus.h"

#include <peregrine/types.h>
#include <sched.h>
#include <sys/stat.h>
#include "support/unit.h"

static void test_cpus_read_gives_ascending_numbers(void **state)
{
	struct per__cpus cpus;

	(void)state;
	per__cpus_read(&cpus);
	assert_in_range(cpus.allowed, 1, PER__CPUS_MAX);
	assert_in_range(cpus.usable, 1, cpus.allowed);
	for (uint32_t i = 1; i < cpus.allowed; i++)
		assert_true(cpus.cpu[i - 1] < cpus.cpu[i]);
}

#ifdef __linux__
static void pin_and_read(void *arg)
{
	struct per__cpus *cpus = arg;
	unsigned last = cpus->cpu[cpus->allowed - 1];

	if (per__cpus_pin(last) != 0)
		return;
	per__cpus_read(cpus);
	if (cpus->allowed == 1 && cpus->cpu[0] == last && cpus->usable == 1 && sched_getcpu() == (int)last)
		abort(); /* as it should be: what test_dies() sees */
}

static void test_cpus_pinned_thread_is_allowed_one(void **state)
{
	struct per__cpus cpus;

	(void)state;
	per__cpus_read(&cpus);
	assert_true(test_dies(pin_and_read, &cpus)); /* in a child: the pinning stays there */
	assert_int_equal(per__cpus_pin(100000), PER_EINVAL);
}
#endif

static void test_cpus_parse_cpu_max_rounds_up(void **state)
{
	static const struct {
		const char *text;
		uint32_t cpus;
	} cases[] = {
		{ "200000 100000\n", 2 },
		{ "200001 100000", 3 },
		{ "100000 100000", 1 },
		{ "1 100000", 1 },
		{ "50000 100000\n", 1 },
		{ "250000 100000", 3 },
		{ "max 100000\n", 0 },
		{ "max", 0 },
		{ "", 0 },
		{ "200000", 0 },
		{ "200000 ", 0 },
		{ "200000 0", 0 },
		{ "0 100000", 0 },
		{ "-1 100000", 0 },
		{ "9223372036854775807 1", UINT32_MAX },
		{ "x 100000", 0 },
		{ "200000  100000", 0 },
		{ "99999999999999999999 1", 0 },
	};

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++)
		assert_int_equal(per__cpus_parse_cpu_max(cases[i].text), cases[i].cpus);
}

/* A directory that plays /sys/fs/cgroup; its file "self" plays /proc/self/cgroup. */
struct tree {
	char root[64];
	char self[128];
};

static void tree_file(const struct tree *tree, const char *path, const char *text)
{
	char full[512];
	FILE *file;

	(void)snprintf(full, sizeof(full), "%s/%s", tree->root, path);
	for (char *slash = strchr(full + strlen(tree->root) + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(full, 0700);
		*slash = '/';
	}
	file = fopen(full, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int tree_make(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	if (tree == NULL)
		return -1;
	(void)snprintf(tree->root, sizeof(tree->root), "/tmp/per_cpus_XXXXXX");
	if (mkdtemp(tree->root) == NULL)
		return -1;
	(void)snprintf(tree->self, sizeof(tree->self), "%s/self", tree->root);
	*state = tree;
	return 0;
}

static int tree_remove(void **state)
{
	struct tree *tree = *state;
	char command[128];
	int result;

	(void)snprintf(command, sizeof(command), "rm -r '%s'", tree->root);
	result = system(command);
	free(tree);
	return result;
}

static void test_cpus_quota_v2_is_the_strictest_up_to_the_root(void **state)
{
	struct tree *tree = *state;

	tree_file(tree, "self", "0::/a/b/c\n");
	tree_file(tree, "a/b/c/cpu.max", "max 100000\n");
	tree_file(tree, "a/b/cpu.max", "800000 100000\n");
	tree_file(tree, "a/cpu.max", "350000 100000\n");
	assert_int_equal(per__cpus_read_quota(tree->self, tree->root), 4);
	tree_file(tree, "a/b/c/cpu.max", "100 100000\n");
	assert_int_equal(per__cpus_read_quota(tree->self, tree->root), 1);
}

static void test_cpus_quota_v2_in_a_container_is_at_the_mount_point(void **state)
{
	struct tree *tree = *state;

	tree_file(tree, "cpu.max", "200000 100000\n");
	tree_file(tree, "self", "0::/docker/0123\n"); /* not mounted here */
	assert_int_equal(per__cpus_read_quota(tree->self, tree->root), 2);
	tree_file(tree, "self", "0::/\n");
	assert_int_equal(per__cpus_read_quota(tree->self, tree->root), 2);
	tree_file(tree, "self", "0::/../../other\n");
	assert_int_equal(per__cpus_read_quota(tree->self, tree->root), 2);
}

static void test_cpus_quota_v1_needs_the_cpu_controller(void **state)
{
	struct tree *tree = *state;

	tree_file(tree, "self", "5:cpuset:/g\n4:memory:/g\n3:cpu,cpuacct:/g/h\n1:name=systemd:/g\n");
	tree_file(tree, "cpu/g/cpu.cfs_quota_us", "150000\n");
	tree_file(tree, "cpu/g/cpu.cfs_period_us", "100000\n");
	tree_file(tree, "cpu/g/h/cpu.cfs_quota_us", "-1\n");
	tree_file(tree, "cpu/g/h/cpu.cfs_period_us", "100000\n");
	assert_int_equal(per__cpus_read_quota(tree->self, tree->root), 2);
	tree_file(tree, "self", "3:cpuacct,cpuset:/g\n");
	assert_int_equal(per__cpus_read_quota(tree->self, tree->root), 0);
}

static void test_cpus_quota_of_nonsense_is_none(void **state)
{
	static const char *const nonsense[] = { "",    "\n",  ":",     "::",          "0:",
						"0::", "cpu", "3:cpu", "0::\n\n::\n", "0::nothing" };
	struct tree *tree = *state;
	char longest[3000];

	for (size_t i = 0; i < PER_ARRAY_LEN(nonsense); i++) {
		tree_file(tree, "self", nonsense[i]);
		assert_int_equal(per__cpus_read_quota(tree->self, tree->root), 0);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	memcpy(longest, "0::/", 4);
	longest[sizeof(longest) - 1] = '\0';
	tree_file(tree, "self", longest);
	assert_int_equal(per__cpus_read_quota(tree->self, tree->root), 0);
	assert_int_equal(per__cpus_read_quota("/does/not/exist", tree->root), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpus_read_gives_ascending_numbers),
#ifdef __linux__
		cmocka_unit_test(test_cpus_pinned_thread_is_allowed_one),
#endif
		cmocka_unit_test(test_cpus_parse_cpu_max_rounds_up),
		cmocka_unit_test_setup_teardown(test_cpus_quota_v2_is_the_strictest_up_to_the_root, tree_make,
						tree_remove),
		cmocka_unit_test_setup_teardown(test_cpus_quota_v2_in_a_container_is_at_the_mount_point,
						tree_make, tree_remove),
		cmocka_unit_test_setup_teardown(test_cpus_quota_v1_needs_the_cpu_controller, tree_make,
						tree_remove),
		cmocka_unit_test_setup_teardown(test_cpus_quota_of_nonsense_is_none, tree_make, tree_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
