/* SPDX-License-Identifier: MIT */
/*
 * backend_listen_test.c - opening and closing listeners of every address form, and the plain socket helpers.
 * Loopback and a directory under /tmp only; ports are chosen by the kernel.
 */
#include "backend/listen.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <peregrine/types.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

struct lines {
	unsigned count;
	char last[PER__LOG_LINE_BYTES];
};

static void keep_line(per_log_level level, const char *line, void *user)
{
	struct lines *lines = user;

	assert_int_equal(level, PER_LOG_ERROR);
	lines->count++;
	(void)snprintf(lines->last, sizeof(lines->last), "%s", line);
}

static struct per__addr addr_of(const char *text)
{
	struct per__addr addr;

	assert_int_equal(per__addr_parse(&addr, text, NULL), 0);
	return addr;
}

static const struct per__listen_conf plain = { .backlog = 16 };
static const struct per__log no_log;

static int open_at(struct per__addr *addr, const struct per__listen_conf *conf)
{
	return per__listen_open(addr, conf, &no_log);
}

/* Expects a failure, with its reason in one line. */
static void expect_failure(struct per__addr *addr, int error, const char *word)
{
	struct lines lines = { 0 };
	const struct per__log log = { .fn = keep_line, .user = &lines };

	assert_int_equal(per__listen_open(addr, &plain, &log), error);
	assert_int_equal(lines.count, 1);
	assert_non_null(strstr(lines.last, "cannot listen on "));
	assert_non_null(strstr(lines.last, word));
}

static int client_to(const struct per__addr *addr)
{
	int fd = socket(addr->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, (const struct sockaddr *)&addr->storage, addr->len) == 0)
		return fd;
	close(fd);
	return -errno;
}

static int client_to_loopback(int family, uint16_t port)
{
	struct per__addr addr = addr_of(family == AF_INET ? "127.0.0.1:0" : "[::1]:0");

	per__addr_set_port(&addr, port);
	return client_to(&addr);
}

static int int_option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static unsigned fds_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static bool has_ipv6(void)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool works = fd >= 0 && bind(fd, (struct sockaddr *)&sin6, sizeof(sin6)) == 0;

	if (fd >= 0)
		close(fd);
	return works;
}

/* --- TCP -------------------------------------------------------------------------------------- */

static void test_listen_port_zero_takes_a_port_and_says_which(void **state)
{
	struct per__addr addr = addr_of("127.0.0.1:0");
	int fd = open_at(&addr, &plain);
	int client;

	(void)state;
	assert_true(fd >= 0);
	assert_true(per__addr_port(&addr) != 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	client = client_to(&addr);
	assert_true(client >= 0);
	close(client);
	per__listen_close(fd, &addr, true);
	assert_int_equal(client_to(&addr), -ECONNREFUSED);
}

static void test_listen_connections_inherit_nodelay_and_autotuning(void **state)
{
	struct per__addr addr = addr_of("127.0.0.1:0");
	int fd = open_at(&addr, &plain);
	int untouched = socket(AF_INET, SOCK_STREAM, 0);
	int client = client_to(&addr);
	int conn = accept(fd, NULL, NULL);

	(void)state;
	assert_true(conn >= 0);
	assert_int_equal(int_option(conn, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(int_option(fd, SOL_SOCKET, SO_RCVBUF), int_option(untouched, SOL_SOCKET, SO_RCVBUF));
	assert_int_equal(int_option(fd, SOL_SOCKET, SO_SNDBUF), int_option(untouched, SOL_SOCKET, SO_SNDBUF));
	close(untouched);
	close(client);
	close(conn);
	per__listen_close(fd, &addr, true);
}

static void test_listen_used_port_is_an_error_with_a_reason(void **state)
{
	unsigned before = fds_open();
	struct per__addr addr = addr_of("127.0.0.1:0");
	int fd = open_at(&addr, &plain);

	(void)state;
	expect_failure(&addr, PER_EADDRINUSE, strerror(EADDRINUSE));
	per__listen_close(fd, &addr, true);
	assert_int_equal(fds_open(), before);
}

struct blocker {
	int fd, go[2];
};

/* Gives the port free after the other thread is known to have begun. */
static void *free_port_later(void *arg)
{
	struct blocker *blocker = arg;
	char byte;

	assert_int_equal(read(blocker->go[0], &byte, 1), 1);
	(void)usleep(30000); /* most often after the first attempt; either order must do */
	close(blocker->fd);
	return NULL;
}

static void test_listen_port_that_becomes_free_is_taken(void **state)
{
	struct per__addr addr = addr_of("127.0.0.1:0");
	struct blocker blocker;
	pthread_t thread;
	int fd;

	(void)state;
	blocker.fd = open_at(&addr, &plain);
	assert_int_equal(pipe(blocker.go), 0);
	assert_int_equal(pthread_create(&thread, NULL, free_port_later, &blocker), 0);
	assert_int_equal(write(blocker.go[1], "g", 1), 1);
	fd = open_at(&addr, &plain);
	assert_true(fd >= 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(blocker.go[0]);
	close(blocker.go[1]);
	per__listen_close(fd, &addr, true);
}

static void test_listen_reuseport_shares_an_address(void **state)
{
	const struct per__listen_conf conf = { .backlog = 16, .reuseport = true };
	struct per__addr addr = addr_of("127.0.0.1:0");
	int first = open_at(&addr, &conf);
	int second = open_at(&addr, &conf);

	(void)state;
	assert_true(first >= 0);
	assert_true(second >= 0);
	per__listen_close(first, &addr, false);
	per__listen_close(second, &addr, true);
}

static void test_listen_wildcard_serves_both_families(void **state)
{
	struct per__addr addr = addr_of("*:0");
	int fd = open_at(&addr, &plain);
	int client;

	(void)state;
	assert_true(fd >= 0);
	client = client_to_loopback(AF_INET, per__addr_port(&addr));
	assert_true(client >= 0);
	close(client);
	if (has_ipv6()) {
		assert_int_equal(addr.storage.ss_family, AF_INET6);
		client = client_to_loopback(AF_INET6, per__addr_port(&addr));
		assert_true(client >= 0);
		close(client);
	}
	per__listen_close(fd, &addr, true);
}

static void test_listen_v6only_leaves_ipv4_alone(void **state)
{
	const struct per__listen_conf conf = { .backlog = 16, .v6only = true };
	struct per__addr addr = addr_of("[::]:0");
	int fd, client;

	(void)state;
	if (!has_ipv6())
		skip();
	fd = open_at(&addr, &conf);
	assert_true(fd >= 0);
	assert_int_equal(client_to_loopback(AF_INET, per__addr_port(&addr)), -ECONNREFUSED);
	client = client_to_loopback(AF_INET6, per__addr_port(&addr));
	assert_true(client >= 0);
	close(client);
	per__listen_close(fd, &addr, true);
}

static void test_listen_foreign_address_is_an_error(void **state)
{
	struct per__addr addr = addr_of("192.0.2.1:0"); /* RFC 5737: nobody has it */

	(void)state;
	expect_failure(&addr, PER_EADDR, strerror(EADDRNOTAVAIL));
}

/* --- unix sockets ----------------------------------------------------------------------------- */

struct folder {
	char path[64], text[128]; /* text: the address of a socket in it */
};

static struct folder folder_make(void)
{
	struct folder folder;

	(void)snprintf(folder.path, sizeof(folder.path), "/tmp/peregrine-listen-XXXXXX");
	assert_non_null(mkdtemp(folder.path));
	(void)snprintf(folder.text, sizeof(folder.text), "unix:%s/socket", folder.path);
	return folder;
}

static const char *file_of(const struct folder *folder)
{
	return folder->text + strlen("unix:");
}

static void folder_remove(const struct folder *folder)
{
	(void)unlink(file_of(folder));
	assert_int_equal(rmdir(folder->path), 0);
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void test_listen_unix_file_has_its_mode_and_goes_with_the_last(void **state)
{
	const struct per__listen_conf conf = { .backlog = 16, .unix_mode = 0640 };
	struct folder folder = folder_make();
	struct per__addr addr = addr_of(folder.text);
	int fd = open_at(&addr, &conf);
	struct stat st;
	int other, client;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(stat(file_of(&folder), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	client = client_to(&addr);
	assert_true(client >= 0);
	close(client);
	other = dup(fd);
	per__listen_close(other, &addr, false);
	assert_true(exists(file_of(&folder)));
	per__listen_close(fd, &addr, true);
	assert_false(exists(file_of(&folder)));
	folder_remove(&folder);
}

static void test_listen_unix_stale_file_is_replaced(void **state)
{
	struct folder folder = folder_make();
	struct per__addr addr = addr_of(folder.text);
	int fd = open_at(&addr, &plain);

	(void)state;
	close(fd); /* as a process that was killed */
	assert_true(exists(file_of(&folder)));
	fd = open_at(&addr, &plain);
	assert_true(fd >= 0);
	per__listen_close(fd, &addr, true);
	folder_remove(&folder);
}

static void test_listen_unix_file_in_use_is_left_alone(void **state)
{
	struct folder folder = folder_make();
	struct per__addr addr = addr_of(folder.text);
	int fd = open_at(&addr, &(struct per__listen_conf){ .backlog = 0 });
	int clients[8];

	(void)state;
	/* A full backlog is somebody, too. */
	for (unsigned i = 0; i < PER_ARRAY_LEN(clients); i++) {
		clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(clients[i], (const struct sockaddr *)&addr.storage, addr.len);
	}
	expect_failure(&addr, PER_EADDRINUSE, folder.text);
	assert_true(exists(file_of(&folder)));
	for (unsigned i = 0; i < PER_ARRAY_LEN(clients); i++)
		close(clients[i]);
	per__listen_close(fd, &addr, true);
	folder_remove(&folder);
}

static void test_listen_unix_never_removes_an_ordinary_file(void **state)
{
	struct folder folder = folder_make();
	struct per__addr addr = addr_of(folder.text);
	int fd = open(file_of(&folder), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	expect_failure(&addr, PER_EADDRINUSE, strerror(EADDRINUSE));
	assert_true(exists(file_of(&folder)));
	per__listen_close(fd, &addr, true);
	assert_true(exists(file_of(&folder)));
	folder_remove(&folder);
}

static void test_listen_unix_without_folder_is_an_error(void **state)
{
	struct per__addr addr = addr_of("unix:/nonexistent/peregrine/socket");

	(void)state;
	expect_failure(&addr, PER_EADDR, strerror(ENOENT));
}

static void test_listen_unix_failure_after_bind_leaves_no_file(void **state)
{
	struct folder folder = folder_make();
	struct per__addr addr = addr_of(folder.text);
	struct rlimit before, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(open_at(&addr, &plain), PER_EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_false(exists(file_of(&folder)));
	folder_remove(&folder);
}

static void test_listen_abstract_name_works(void **state)
{
	char text[64];
	struct per__addr addr;
	int fd, client;

	(void)state;
	(void)snprintf(text, sizeof(text), "unix:@peregrine-listen-%d", (int)getpid());
	addr = addr_of(text);
	fd = open_at(&addr,
		     &(struct per__listen_conf){ .backlog = 16, .unix_mode = 0600, .reuseport = true });
	assert_true(fd >= 0);
	client = client_to(&addr);
	assert_true(client >= 0);
	close(client);
	per__listen_close(fd, &addr, true);
	assert_int_equal(client_to(&addr), -ECONNREFUSED);
}

/* --- inherited -------------------------------------------------------------------------------- */

static struct per__addr inherited(int fd)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "fd:%d", fd);
	return addr_of(text);
}

static void test_listen_inherited_descriptor_is_duplicated(void **state)
{
	struct per__addr addr = addr_of("127.0.0.1:0");
	int original = open_at(&addr, &plain);
	struct per__addr handed = inherited(original);
	int fd = open_at(&handed, &plain);
	int client;

	(void)state;
	assert_true(fd >= 0);
	assert_int_not_equal(fd, original);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(per__addr_port(&handed), per__addr_port(&addr));
	assert_int_equal(int_option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	close(original);
	client = client_to(&handed);
	assert_true(client >= 0);
	close(client);
	per__listen_close(fd, &handed, true);
}

static void test_listen_inherited_unix_file_stays(void **state)
{
	struct folder folder = folder_make();
	struct per__addr addr = addr_of(folder.text);
	int original = open_at(&addr, &plain);
	struct per__addr handed = inherited(original);
	int fd = open_at(&handed, &plain);

	(void)state;
	assert_int_equal(handed.storage.ss_family, AF_UNIX);
	per__listen_close(fd, &handed, true);
	assert_true(exists(file_of(&folder)));
	per__listen_close(original, &addr, true);
	folder_remove(&folder);
}

static void test_listen_inherited_descriptor_of_another_kind_is_refused(void **state)
{
	unsigned before = fds_open();
	int fds[4];

	(void)state;
	fds[0] = socket(AF_INET, SOCK_STREAM, 0); /* not listening */
	fds[1] = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(pipe(fds + 2), 0);
	for (unsigned i = 0; i < PER_ARRAY_LEN(fds); i++) {
		struct per__addr addr = inherited(fds[i]);

		expect_failure(&addr, PER_EINVAL, "not a listening stream socket");
		close(fds[i]);
	}
	for (unsigned i = 0; i < PER_ARRAY_LEN(fds); i++) {
		struct per__addr addr = inherited(fds[i]);

		expect_failure(&addr, PER_EINVAL, strerror(EBADF));
	}
	assert_int_equal(fds_open(), before);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void test_listen_peer_is_the_clients_address(void **state)
{
	const uint8_t loopback[4] = { 127, 0, 0, 1 };
	struct per__addr addr = addr_of("*:0");
	int fd = open_at(&addr, &plain);
	int client = client_to_loopback(AF_INET, per__addr_port(&addr));
	int conn = accept(fd, NULL, NULL);
	struct sockaddr_in own;
	socklen_t len = sizeof(own);
	struct per__peer peer;

	(void)state;
	assert_int_equal(getsockname(client, (struct sockaddr *)&own, &len), 0);
	assert_int_equal(per__sock_peer(conn, &peer), 0);
	assert_int_equal(peer.family, 4); /* though the listener is an IPv6 one */
	assert_memory_equal(peer.ip, loopback, 4);
	assert_int_equal(peer.port, ntohs(own.sin_port));
	assert_int_equal(per__sock_peer(fd, &peer), PER_EGONE);
	assert_int_equal(peer.family, 0);
	close(client);
	close(conn);
	per__listen_close(fd, &addr, true);
	assert_int_equal(per__sock_peer(-1, &peer), PER_EINVAL);
}

static void test_listen_peer_of_a_unix_socket_is_unix(void **state)
{
	struct per__peer peer;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(per__sock_peer(pair[0], &peer), 0);
	assert_int_equal(peer.family, 1);
	close(pair[0]);
	close(pair[1]);
}

static void test_listen_fd_limit_is_raised_to_the_hard_one(void **state)
{
	struct rlimit before, low, after;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(per__fd_limit_raise(), before.rlim_max);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
	assert_int_equal(after.rlim_cur, before.rlim_max);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listen_port_zero_takes_a_port_and_says_which),
		cmocka_unit_test(test_listen_connections_inherit_nodelay_and_autotuning),
		cmocka_unit_test(test_listen_used_port_is_an_error_with_a_reason),
		cmocka_unit_test(test_listen_port_that_becomes_free_is_taken),
		cmocka_unit_test(test_listen_reuseport_shares_an_address),
		cmocka_unit_test(test_listen_wildcard_serves_both_families),
		cmocka_unit_test(test_listen_v6only_leaves_ipv4_alone),
		cmocka_unit_test(test_listen_foreign_address_is_an_error),
		cmocka_unit_test(test_listen_unix_file_has_its_mode_and_goes_with_the_last),
		cmocka_unit_test(test_listen_unix_stale_file_is_replaced),
		cmocka_unit_test(test_listen_unix_file_in_use_is_left_alone),
		cmocka_unit_test(test_listen_unix_never_removes_an_ordinary_file),
		cmocka_unit_test(test_listen_unix_without_folder_is_an_error),
		cmocka_unit_test(test_listen_unix_failure_after_bind_leaves_no_file),
		cmocka_unit_test(test_listen_abstract_name_works),
		cmocka_unit_test(test_listen_inherited_descriptor_is_duplicated),
		cmocka_unit_test(test_listen_inherited_unix_file_stays),
		cmocka_unit_test(test_listen_inherited_descriptor_of_another_kind_is_refused),
		cmocka_unit_test(test_listen_peer_is_the_clients_address),
		cmocka_unit_test(test_listen_peer_of_a_unix_socket_is_unix),
		cmocka_unit_test(test_listen_fd_limit_is_raised_to_the_hard_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
