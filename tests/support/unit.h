/* SPDX-License-Identifier: MIT */
/*
 * unit.h - what unit tests share: cmocka's headers in order, numbers from a seed, "this ends the process".
 */
#ifndef PER_TESTS_SUPPORT_UNIT_H
#define PER_TESTS_SUPPORT_UNIT_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* The next number of a sequence that its seed (not zero) determines: splitmix64. */
static inline uint64_t test_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Runs step(arg) in a child and says whether an assertion of the library ended it. */
static inline int test_dies(void (*step)(void *arg), void *arg)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)close(STDERR_FILENO); /* the assertion's words would look like a failure */
		(void)signal(SIGABRT, SIG_DFL);
		step(arg);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 0;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
