/* SPDX-License-Identifier: MIT */
/*
 * activation.c - sockets passed by systemd, from LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES
 * (sd_listen_fds(3)). Called once by main.c, before there are threads.
 */
#include "activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_FD 3

/* A whole number of the environment; -1: there is none. */
static long number_of(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long number;

	if (text == NULL || text[0] == '\0')
		return -1;
	errno = 0;
	number = strtol(text, &end, 10);
	return *end == '\0' && errno == 0 && number >= 0 ? number : -1;
}

/* "http:https" into names; one that is missing stays "". */
static void names_read(struct activation *activation)
{
	const char *text = getenv("LISTEN_FDNAMES");
	char *rest = activation->text;

	snprintf(activation->text, sizeof(activation->text), "%s", text != NULL ? text : "");
	for (unsigned i = 0; i < activation->count; i++) {
		const size_t len = strcspn(rest, ":");

		activation->names[i] = rest;
		rest += len;
		if (*rest == ':')
			*rest++ = '\0';
	}
}

void activation_read(struct activation *activation)
{
	const long pid = number_of("LISTEN_PID"), count = number_of("LISTEN_FDS");

	*activation = (struct activation){ 0 };
	if (pid == (long)getpid() && count > 0) {
		activation->count = count > (long)ACTIVATION_MAX ? ACTIVATION_MAX : (unsigned)count;
		names_read(activation);
		for (unsigned i = 0; i < activation->count; i++)
			(void)fcntl(FIRST_FD + (int)i, F_SETFD, FD_CLOEXEC);
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

int activation_find(const struct activation *activation, const char *name)
{
	char number[16];

	for (unsigned i = 0; i < activation->count; i++) {
		snprintf(number, sizeof(number), "%u", i);
		if ((name[0] != '\0' && strcmp(activation->names[i], name) == 0) || strcmp(number, name) == 0)
			return FIRST_FD + (int)i;
	}
	return -1;
}
