/* SPDX-License-Identifier: MIT */
/*
 * cpus.h - which CPUs this process may use: affinity mask, and the quota of its cgroup (v2 cpu.max, v1 cfs
 * quota).
 */
#ifndef PER_BASE_CPUS_H
#define PER_BASE_CPUS_H

#include "base/base.h"

#define PER__CPUS_MAX 1024u

struct per__cpus {
	uint32_t allowed; /* CPUs in the affinity mask */
	uint32_t usable;  /* min(allowed, quota rounded up), at least 1: the default number of workers */
	uint16_t cpu[PER__CPUS_MAX]; /* numbers of the allowed CPUs, ascending */
};

void per__cpus_read(struct per__cpus *out);

/**
 * Parses the text of cgroup v2's cpu.max ("200000 100000", "max 100000"); CPUs rounded up, 0: no limit or not
 * understood.
 */
uint32_t per__cpus_parse_cpu_max(const char *text);

/**
 * The strictest limit of the process's cgroup and those above it, in CPUs; 0: none.
 *
 * cgroup_file  /proc/self/cgroup
 * root         /sys/fs/cgroup: v2 is mounted there, v1's cpu controller in its directory "cpu"
 */
uint32_t per__cpus_read_quota(const char *cgroup_file, const char *root);

/** Pins the calling thread to one CPU. Returns 0, PER_ENOTSUP, or PER_EINVAL. */
int per__cpus_pin(unsigned cpu);

#endif
