/* SPDX-License-Identifier: MIT */
/*
 * signals.c - SIGINT and SIGTERM for servers that asked for it. A handler has no argument, so this is the
 * one file with state of the process: which servers want to hear of a signal, and what the handlers were
 * before. Called by server.c.
 */
#include "server.h"
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#define SERVERS_MAX 16

static struct per_server *_Atomic servers[SERVERS_MAX];   /* NULL: free */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards the three below */
static unsigned users;
static struct sigaction old_int, old_term;

static void on_signal(int number)
{
	int saved = errno;

	(void)number;
	for (int i = 0; i < SERVERS_MAX; i++) {
		struct per_server *server = atomic_load(&servers[i]);

		if (server != NULL)
			per_server_stop(server);
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

int per__signals_add(struct per_server *server)
{
	int err = PER_EAGAIN;

	pthread_mutex_lock(&mutex);
	for (int i = 0; i < SERVERS_MAX && err != 0; i++) {
		if (atomic_load(&servers[i]) != NULL)
			continue;
		atomic_store(&servers[i], server);
		if (users++ == 0)
			handlers_install();
		err = 0;
	}
	pthread_mutex_unlock(&mutex);
	return err;
}

void per__signals_remove(struct per_server *server)
{
	pthread_mutex_lock(&mutex);
	for (int i = 0; i < SERVERS_MAX; i++) {
		if (atomic_load(&servers[i]) != server)
			continue;
		atomic_store(&servers[i], NULL);
		if (--users == 0) {
			sigaction(SIGINT, &old_int, NULL);
			sigaction(SIGTERM, &old_term, NULL);
		}
	}
	pthread_mutex_unlock(&mutex);
}
