/* SPDX-License-Identifier: MIT */
/*
 * signals.c - SIGINT and SIGTERM for servers that asked for it. A handler has no argument, so this is the
 * one file with state of the process: which pipes want to hear of a signal, and what the handlers were
 * before. Called by run.c.
 */
#include "server.h"
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#define SERVERS_MAX 16

static _Atomic int pipes[SERVERS_MAX];                    /* descriptor + 1, 0: free */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards the three below */
static unsigned users;
static struct sigaction old_int, old_term;

static void on_signal(int number)
{
	int saved = errno;

	(void)number;
	for (int i = 0; i < SERVERS_MAX; i++) {
		int fd = atomic_load(&pipes[i]) - 1;

		if (fd >= 0 && write(fd, "s", 1) < 0)
			continue; /* the pipe is full of requests to stop */
	}
	errno = saved;
}

static void handlers_install(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, &old_int);
	sigaction(SIGTERM, &action, &old_term);
}

int per__signals_add(int pipe_write)
{
	int err = PER_EAGAIN;

	pthread_mutex_lock(&mutex);
	for (int i = 0; i < SERVERS_MAX && err != 0; i++) {
		if (atomic_load(&pipes[i]) != 0)
			continue;
		atomic_store(&pipes[i], pipe_write + 1);
		if (users++ == 0)
			handlers_install();
		err = 0;
	}
	pthread_mutex_unlock(&mutex);
	return err;
}

void per__signals_remove(int pipe_write)
{
	pthread_mutex_lock(&mutex);
	for (int i = 0; i < SERVERS_MAX; i++) {
		if (atomic_load(&pipes[i]) != pipe_write + 1)
			continue;
		atomic_store(&pipes[i], 0);
		if (--users == 0) {
			sigaction(SIGINT, &old_int, NULL);
			sigaction(SIGTERM, &old_term, NULL);
		}
	}
	pthread_mutex_unlock(&mutex);
}
