/* SPDX-License-Identifier: MIT */
/*
 * cpus.c - the CPUs this process may use, asked once at startup. On systems other than Linux: all that are
 * online. What cannot be read counts as "no limit".
 */
#include "base/cpus.h"

#include "base/num.h"
#include <peregrine/types.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif

#define PATH_BYTES_MAX 1024u
#define CGROUP_BYTES_MAX 8192u /* of /proc/self/cgroup; one line for each hierarchy */

/* The smaller of two limits, where 0 is none. */
static uint32_t limit_min(uint32_t a, uint32_t b)
{
	if (a == 0 || b == 0)
		return a | b;
	return PER_MIN(a, b);
}

static uint32_t cpus_from_quota(uint64_t quota, uint64_t period)
{
	uint64_t cpus;

	if (quota == 0 || period == 0)
		return 0;
	cpus = quota / period + (quota % period != 0);
	return (uint32_t)PER_MIN(cpus, (uint64_t)UINT32_MAX);
}

uint32_t per__cpus_parse_cpu_max(const char *text)
{
	size_t quota_len = strspn(text, "0123456789");
	const char *period_text = text + quota_len + 1;
	uint64_t quota, period;

	if (!per__num_from_dec(text, quota_len, &quota) || text[quota_len] != ' ')
		return 0;
	if (!per__num_from_dec(period_text, strspn(period_text, "0123456789"), &period))
		return 0;
	return cpus_from_quota(quota, period);
}

/* Reads a small file into buf, terminated by NUL. False when there is none. */
static bool file_read(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t got;

	if (fd < 0)
		return false;
	while (len < cap - 1 && (got = read(fd, buf + len, cap - 1 - len)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		len += (size_t)got;
	}
	(void)close(fd);
	buf[len] = '\0';
	return len > 0;
}

/* Reads directory/name. */
static bool file_read_in(const char *directory, const char *name, char *buf, size_t cap)
{
	char path[PATH_BYTES_MAX + 64];
	int len = snprintf(path, sizeof(path), "%s/%s", directory, name);

	return len > 0 && (size_t)len < sizeof(path) && file_read(path, buf, cap);
}

/* The limit that one directory of cgroup v2 or v1 sets. */
static uint32_t directory_limit(const char *directory, bool is_v2)
{
	char quota_text[64], period_text[64];
	uint64_t quota, period;

	if (is_v2) {
		if (!file_read_in(directory, "cpu.max", quota_text, sizeof(quota_text)))
			return 0;
		return per__cpus_parse_cpu_max(quota_text);
	}
	if (!file_read_in(directory, "cpu.cfs_quota_us", quota_text, sizeof(quota_text)) ||
	    !file_read_in(directory, "cpu.cfs_period_us", period_text, sizeof(period_text)))
		return 0;
	if (!per__num_from_dec(quota_text, strcspn(quota_text, "\n"), &quota)) /* "-1": no limit */
		return 0;
	if (!per__num_from_dec(period_text, strcspn(period_text, "\n"), &period))
		return 0;
	return cpus_from_quota(quota, period);
}

/*
 * The strictest limit from the group's directory up to the mount point. In a container the path may name
 * directories that are not mounted there; the mount point itself is then the container's group.
 */
static uint32_t hierarchy_limit(const char *mount, const char *group, size_t group_len, bool is_v2)
{
	char directory[PATH_BYTES_MAX];
	size_t mount_len = strlen(mount);
	uint32_t limit = 0;

	if (mount_len + group_len >= sizeof(directory))
		return 0;
	memcpy(directory, mount, mount_len);
	memcpy(directory + mount_len, group, group_len);
	directory[mount_len + group_len] = '\0';
	if (strstr(directory, "/..") != NULL) /* a group outside of our namespace */
		directory[mount_len] = '\0';
	for (;;) {
		char *slash = strrchr(directory + mount_len, '/');

		limit = limit_min(limit, directory_limit(directory, is_v2));
		if (slash == NULL)
			return limit;
		*slash = '\0';
	}
}

/* Does the comma-separated list of controllers of a v1 line hold "cpu"? */
static bool has_cpu_controller(const char *list, size_t len)
{
	while (len > 0) {
		const char *comma = memchr(list, ',', len);
		size_t item = comma != NULL ? (size_t)(comma - list) : len;

		if (item == 3 && memcmp(list, "cpu", 3) == 0)
			return true;
		list += comma != NULL ? item + 1 : item;
		len -= comma != NULL ? item + 1 : item;
	}
	return false;
}

/* One line, "0::/group" (v2) or "4:cpu,cpuacct:/group" (v1). */
static uint32_t line_limit(const char *line, size_t len, const char *root)
{
	char mount[PATH_BYTES_MAX / 2];
	const char *list = memchr(line, ':', len);
	const char *group = list != NULL ? memchr(list + 1, ':', len - (size_t)(list + 1 - line)) : NULL;
	size_t list_len, group_len;
	bool is_v2;

	if (group == NULL)
		return 0;
	list_len = (size_t)(group - ++list);
	group++;
	group_len = len - (size_t)(group - line);
	is_v2 = list_len == 0;
	if (is_v2)
		return hierarchy_limit(root, group, group_len, true);
	if (!has_cpu_controller(list, list_len))
		return 0;
	if (snprintf(mount, sizeof(mount), "%s/cpu", root) >=
	    (int)sizeof(mount)) /* a link to "cpu,cpuacct" */
		return 0;
	return hierarchy_limit(mount, group, group_len, false);
}

uint32_t per__cpus_read_quota(const char *cgroup_file, const char *root)
{
	char text[CGROUP_BYTES_MAX];
	uint32_t limit = 0;
	size_t len;

	if (!file_read(cgroup_file, text, sizeof(text)))
		return 0;
	for (const char *line = text; *line != '\0'; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		limit = limit_min(limit, line_limit(line, len, root));
	}
	return limit;
}

#ifdef __linux__

/* Larger than cpu_set_t: with more CPUs configured than the set holds, the kernel answers EINVAL. */
#define AFFINITY_CPUS 16384u

static void allowed_read(struct per__cpus *out)
{
	unsigned long set[AFFINITY_CPUS / (8 * sizeof(unsigned long))] = { 0 };

	out->allowed = 0;
	if (sched_getaffinity(0, sizeof(set), (cpu_set_t *)set) != 0)
		return;
	for (size_t cpu = 0; cpu < AFFINITY_CPUS && out->allowed < PER__CPUS_MAX; cpu++) {
		if (CPU_ISSET_S(cpu, sizeof(set), (cpu_set_t *)set))
			out->cpu[out->allowed++] = (uint16_t)cpu;
	}
}

int per__cpus_pin(unsigned cpu)
{
	unsigned long set[AFFINITY_CPUS / (8 * sizeof(unsigned long))] = { 0 };

	if (cpu >= AFFINITY_CPUS)
		return PER_EINVAL;
	CPU_SET_S(cpu, sizeof(set), (cpu_set_t *)set);
	if (sched_setaffinity(0, sizeof(set), (const cpu_set_t *)set) == 0)
		return 0;
	return errno == EINVAL ? PER_EINVAL : PER_ENOTSUP;
}

#else

static void allowed_read(struct per__cpus *out)
{
	out->allowed = 0;
}

int per__cpus_pin(unsigned cpu)
{
	(void)cpu;
	return PER_ENOTSUP;
}

#endif

void per__cpus_read(struct per__cpus *out)
{
	uint32_t quota = 0;

	allowed_read(out);
	if (out->allowed == 0) { /* not Linux, or refused */
		long online = sysconf(_SC_NPROCESSORS_ONLN);

		out->allowed = (uint32_t)PER_MAX(1, PER_MIN(online, (long)PER__CPUS_MAX));
		for (uint32_t i = 0; i < out->allowed; i++)
			out->cpu[i] = (uint16_t)i;
	}
#ifdef __linux__
	quota = per__cpus_read_quota("/proc/self/cgroup", "/sys/fs/cgroup");
#endif
	out->usable = PER_MAX(1u, limit_min(out->allowed, quota));
}
