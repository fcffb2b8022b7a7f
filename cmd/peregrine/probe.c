/* SPDX-License-Identifier: MIT */
/*
 * probe.c - what this machine supports: tried out where it can be, read from the kernel where not. Each
 * line has a name, a finding, and what it means for somebody who has never heard of it.
 */
#include "probe.h"

#include <peregrine/peregrine.h>
#include <peregrine/tls.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/openat2.h>
#include <sched.h>
#include <sys/syscall.h>
#endif

#define TEXT_BYTES_MAX 16384u
#define VALUE_BYTES_MAX 160u

static void row(const char *name, const char *meaning, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void row(const char *name, const char *meaning, const char *format, ...)
{
	char value[VALUE_BYTES_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	printf("  %-18s %-26s %s\n", name, value, meaning);
}

static void title(const char *text)
{
	printf("\n%s\n", text);
}

/* The first line of a file of the kernel; false when it cannot be read. */
static bool line_read(const char *path, char *buf, size_t cap)
{
	FILE *file = fopen(path, "re");
	bool is_read;

	if (file == NULL)
		return false;
	is_read = fgets(buf, (int)cap, file) != NULL;
	(void)fclose(file);
	if (is_read)
		buf[strcspn(buf, "\n")] = '\0';
	return is_read;
}

/* --- the system ------------------------------------------------------------------------------- */

static void limit_row(const char *name, int resource, const char *meaning)
{
	struct rlimit limit;
	char soft[32] = "unlimited", hard[32] = "unlimited";

	if (getrlimit(resource, &limit) != 0)
		return;
	if (limit.rlim_cur != RLIM_INFINITY)
		snprintf(soft, sizeof(soft), "%llu", (unsigned long long)limit.rlim_cur);
	if (limit.rlim_max != RLIM_INFINITY)
		snprintf(hard, sizeof(hard), "%llu", (unsigned long long)limit.rlim_max);
	if (strcmp(soft, hard) == 0)
		row(name, meaning, "%s", soft);
	else
		row(name, meaning, "%s of %s", soft, hard);
}

static void system_print(void)
{
	struct utsname name;

	title("system");
	if (uname(&name) == 0)
		row("kernel", "io_uring as it is used here needs Linux 6.0, better 6.1", "%s %s",
		    name.sysname, name.release);
	row("CPUs", "one worker each, unless affinity or a cgroup allows fewer (--workers)", "%ld",
	    sysconf(_SC_NPROCESSORS_ONLN));
#ifdef __linux__
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		row("CPUs allowed", "the affinity of this process (taskset)", "%d", CPU_COUNT(&set));
	char quota[64];

	if (line_read("/sys/fs/cgroup/cpu.max", quota, sizeof(quota)))
		row("CPU quota", "of the cgroup: microseconds in each period; max is no quota", "%s", quota);
#endif
	row("TLS", "the library that does it; 1.3, and 1.2 when asked for", "%.30s", per_tls_library());
	limit_row("descriptors", RLIMIT_NOFILE,
		  "each connection is one; raised to the second number at the start (ulimit -n)");
	limit_row("locked memory", RLIMIT_MEMLOCK,
		  "bytes; kernels before 5.12 count io_uring's memory here (ulimit -l)");
}

/* --- what decides about io_uring, and about files --------------------------------------------- */

#ifdef __linux__
static void disabled_print(void)
{
	char text[16] = "";

	if (!line_read("/proc/sys/kernel/io_uring_disabled", text, sizeof(text)))
		row("io_uring_disabled", "this kernel has no such switch: allowed", "none");
	else if (text[0] == '0')
		row("io_uring_disabled", "allowed for everybody (sysctl kernel.io_uring_disabled)", "0");
	else if (text[0] == '1')
		row("io_uring_disabled", "only for root and the group kernel.io_uring_group", "1");
	else
		row("io_uring_disabled", "refused to everybody: set sysctl kernel.io_uring_disabled=0", "%s",
		    text);
}

static void seccomp_print(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	int mode = -1;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, "Seccomp:", 8) == 0)
			mode = (int)strtol(line + 8, NULL, 10);
	}
	if (file != NULL)
		(void)fclose(file);
	if (mode == 2)
		row("seccomp",
		    "a filter: containers often refuse io_uring with it (docker: --security-opt seccomp=...)",
		    "filter");
	else
		row("seccomp", "nothing is filtered", "%s", mode == 0 ? "off" : "unknown");
}

static void openat2_print(void)
{
	const struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_DIRECTORY,
				      .resolve = RESOLVE_BENEATH };
	const long fd = syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof(how));

	if (fd >= 0) {
		close((int)fd);
		row("openat2", "the kernel itself keeps paths below the root", "yes");
		return;
	}
	row("openat2", "paths are walked step by step instead: safe, but slower", "no, %s", strerror(errno));
}

static void ulp_print(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const bool is_refused = fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) != 0;

	/* a socket that is not connected cannot have it, which says that there is one */
	if (is_refused && errno != ENOTCONN)
		row("kernel TLS", "not used by this version; the module tls is not loaded", "no");
	else
		row("kernel TLS", "not used by this version", "%s", fd >= 0 ? "yes" : "unknown");
	if (fd >= 0)
		close(fd);
}

static void kernel_print(void)
{
	char text[64] = "";

	title("kernel");
	disabled_print();
	seccomp_print();
	openat2_print();
	ulp_print();
	if (line_read("/proc/sys/net/core/somaxconn", text, sizeof(text)))
		row("somaxconn", "most connections that wait to be accepted, at each listener", "%s", text);
	if (line_read("/proc/sys/net/ipv4/ip_unprivileged_port_start", text, sizeof(text)))
		row("unprivileged ports",
		    "the first port that needs no root; below: --user, or CAP_NET_BIND_SERVICE", "%s", text);
}
#else
static void kernel_print(void)
{
}
#endif

bool probe_print(void)
{
	char *text = malloc(TEXT_BYTES_MAX);
	const int len = text != NULL ? per_probe(text, TEXT_BYTES_MAX) : PER_ENOMEM;

	if (len < 0) {
		fprintf(stderr, "peregrine: cannot probe: %s\n", per_strerror(len));
		free(text);
		return false;
	}
	printf("peregrine %s\n", per_version());
	title("backends, tried out (the first that works is used, unless --backend names one)");
	for (char *line = text; *line != '\0';) {
		const size_t bytes = strcspn(line, "\n");

		printf("  %.*s\n", (int)bytes, line);
		line += bytes + (line[bytes] == '\n' ? 1 : 0);
	}
	free(text);
	system_print();
	kernel_print();
	return true;
}
