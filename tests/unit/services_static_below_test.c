/* SPDX-License-Identifier: MIT */
/*
 * services_static_below_test.c - opening below a root: by openat2() and one segment at a time, which have
 * to agree on every path and every policy.
 */
#include "services/static_below.h"

#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>

static char base[64];
static int root;

static void put_file(const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", base, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void put_link(const char *name, const char *target)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", base, name);
	assert_int_equal(symlink(target, path), 0);
}

static void put_dir(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", base, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static int set_up(void **state)
{
	char path[128];

	(void)state;
	snprintf(base, sizeof(base), "/tmp/per-below-XXXXXX");
	assert_non_null(mkdtemp(base));
	put_file("canary", "canary");
	put_dir("root");
	put_dir("root/dir");
	put_dir("root/dir/deep");
	put_file("root/file", "file");
	put_file("root/dir/file", "dir/file");
	put_file("root/dir/deep/file", "deep/file");
	put_link("root/to-file", "file");
	put_link("root/to-dir", "dir");
	put_link("root/dir/up", "../file");
	put_link("root/dir/deep/up", "../../to-dir/file");
	put_link("root/slash", "dir/");
	put_link("root/dots", "./dir/.././dir//deep/../file");
	put_link("root/chain", "to-dir/up");
	put_link("root/out", "../canary");
	put_link("root/dir/out", "../../canary");
	put_link("root/out-in", "../root/file");
	put_link("root/absolute", "/etc/hostname");
	put_link("root/loop", "loop");
	put_link("root/loop1", "loop2");
	put_link("root/loop2", "loop1");
	put_link("root/dangling", "nothing");
	put_link("root/self", ".");
	snprintf(path, sizeof(path), "%s/root", base);
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(root >= 0);
	return 0;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	close(root);
	return nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* What is opened: the file's text, "/" for a directory, or NULL with the errno in *err. */
static const char *opened(bool has_openat2, per_static_links links, const char *path, int *err)
{
	static char text[64];
	struct per__below below = { .root = root, .links = links, .has_openat2 = has_openat2 };
	int fd = per__below_open(&below, path, 0);
	struct stat stat;
	ssize_t n;

	*err = fd < 0 ? -fd : 0;
	if (fd < 0)
		return NULL;
	assert_int_equal(fstat(fd, &stat), 0);
	n = S_ISDIR(stat.st_mode) ? 0 : read(fd, text, sizeof(text) - 1);
	assert_true(n >= 0);
	close(fd);
	text[n] = '\0';
	return S_ISDIR(stat.st_mode) ? "/" : text;
}

struct row {
	const char *path;
	const char *inside;   /* PER_STATIC_LINKS_INSIDE: a text, "/", or NULL: refused or not there */
	const char *never;    /* PER_STATIC_LINKS_NEVER */
	const char *anywhere; /* PER_STATIC_LINKS_ANYWHERE */
};

static const struct row rows[] = {
	{ "", "/", "/", "/" },
	{ "file", "file", "file", "file" },
	{ "dir", "/", "/", "/" },
	{ "dir/file", "dir/file", "dir/file", "dir/file" },
	{ "dir/deep/file", "deep/file", "deep/file", "deep/file" },
	{ "missing", NULL, NULL, NULL },
	{ "file/x", NULL, NULL, NULL },
	{ "to-file", "file", NULL, "file" },
	{ "to-dir", "/", NULL, "/" },
	{ "to-dir/file", "dir/file", NULL, "dir/file" },
	{ "dir/up", "file", NULL, "file" },
	{ "dir/deep/up", "dir/file", NULL, "dir/file" },
	{ "slash", "/", NULL, "/" },
	{ "slash/file", "dir/file", NULL, "dir/file" },
	{ "dots", "dir/file", NULL, "dir/file" },
	{ "chain", "file", NULL, "file" },
	{ "self", "/", NULL, "/" },
	{ "self/self/file", "file", NULL, "file" },
	{ "out", NULL, NULL, "canary" },
	{ "dir/out", NULL, NULL, "canary" },
	{ "to-dir/out", NULL, NULL, "canary" },
	{ "out-in", NULL, NULL, "file" },
	{ "loop", NULL, NULL, NULL },
	{ "loop1/x", NULL, NULL, NULL },
	{ "dangling", NULL, NULL, NULL },
};

static void same(const char *got, const char *wanted, const char *path)
{
	if ((got == NULL) != (wanted == NULL) || (got != NULL && strcmp(got, wanted) != 0))
		fail_msg("%s: got %s, wanted %s", path, got != NULL ? got : "nothing",
			 wanted != NULL ? wanted : "nothing");
}

static void rows_check(bool has_openat2)
{
	int err;

	for (size_t i = 0; i < PER_ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];

		same(opened(has_openat2, PER_STATIC_LINKS_INSIDE, row->path, &err), row->inside, row->path);
		same(opened(has_openat2, PER_STATIC_LINKS_NEVER, row->path, &err), row->never, row->path);
		same(opened(has_openat2, PER_STATIC_LINKS_ANYWHERE, row->path, &err), row->anywhere,
		     row->path);
	}
	assert_null(opened(has_openat2, PER_STATIC_LINKS_INSIDE, "absolute", &err));
	assert_int_equal(err, EXDEV);
	assert_null(opened(has_openat2, PER_STATIC_LINKS_INSIDE, "out", &err));
	assert_int_equal(err, EXDEV);
	assert_null(opened(has_openat2, PER_STATIC_LINKS_INSIDE, "loop", &err));
	assert_int_equal(err, ELOOP);
	assert_null(opened(has_openat2, PER_STATIC_LINKS_NEVER, "to-file", &err));
	assert_int_equal(err, ELOOP);
	assert_null(opened(has_openat2, PER_STATIC_LINKS_INSIDE, "dangling", &err));
	assert_int_equal(err, ENOENT);
}

static void test_below_by_hand(void **state)
{
	(void)state;
	rows_check(false);
}

static void test_below_by_openat2(void **state)
{
	(void)state;
	if (!per__below_probe(root))
		skip();
	rows_check(true);
}

static void test_below_by_hand_leaves_no_descriptor(void **state)
{
	int before = dup(root), after, err;

	(void)state;
	close(before);
	for (size_t i = 0; i < PER_ARRAY_LEN(rows); i++)
		(void)opened(false, PER_STATIC_LINKS_INSIDE, rows[i].path, &err);
	after = dup(root);
	close(after);
	assert_int_equal(before, after);
}

static void test_below_by_hand_has_bounds(void **state)
{
	struct per__below below = { .root = root };
	char path[5000];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(per__below_open(&below, path, 0), -ENAMETOOLONG);
	path[0] = '\0';
	for (int i = 0; i < 100; i++)
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "self/");
	assert_int_equal(per__below_open(&below, path, 0), -ELOOP); /* more links than anybody follows */
}

static void test_below_nowait_never_waits(void **state)
{
	struct per__below below = { .root = root };
	int fd;

	(void)state;
	assert_int_equal(per__below_open(&below, "file", PER__BELOW_NOWAIT),
			 -EAGAIN); /* by hand nobody can tell */
	below.has_openat2 = per__below_probe(root);
	fd = per__below_open(&below, "file", PER__BELOW_NOWAIT);
	assert_true(fd >= 0 || fd == -EAGAIN);
	if (fd >= 0)
		close(fd);
}

static void test_below_directory_only(void **state)
{
	struct per__below below = { .root = root };

	(void)state;
	for (int i = 0; i < 2; i++, below.has_openat2 = per__below_probe(root)) {
		int fd = per__below_open(&below, "dir", PER__BELOW_DIRECTORY);

		assert_true(fd >= 0);
		close(fd);
		assert_int_equal(per__below_open(&below, "file", PER__BELOW_DIRECTORY), -ENOTDIR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_below_by_hand),
		cmocka_unit_test(test_below_by_openat2),
		cmocka_unit_test(test_below_by_hand_leaves_no_descriptor),
		cmocka_unit_test(test_below_by_hand_has_bounds),
		cmocka_unit_test(test_below_nowait_never_waits),
		cmocka_unit_test(test_below_directory_only),
	};

	return cmocka_run_group_tests_name("static_below", tests, set_up, tear_down);
}
