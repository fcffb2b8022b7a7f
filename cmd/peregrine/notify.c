/* SPDX-License-Identifier: MIT */
/*
 * notify.c - the protocol of sd_notify(3): datagrams of assignments to the socket that NOTIFY_SOCKET names.
 */
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define TEXT_BYTES_MAX 512u

static void connect_to(struct notify *notify, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const size_t len = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	notify->fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (notify->fd < 0)
		return;
	(void)fcntl(notify->fd, F_SETFD, FD_CLOEXEC);
	if (connect(notify->fd, (const struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) != 0)
		notify_close(notify);
}

/* WATCHDOG_USEC, if it is meant for this process. */
static uint64_t watchdog_read(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long number;

	if (usec == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	errno = 0;
	number = strtoull(usec, NULL, 10);
	return errno == 0 ? number / 1000 : 0;
}

void notify_open(struct notify *notify)
{
	const char *path = getenv("NOTIFY_SOCKET");

	*notify = (struct notify){ .fd = -1 };
	if (path != NULL) {
		connect_to(notify, path);
		if (notify->fd >= 0)
			notify->watchdog_ms = watchdog_read();
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_close(struct notify *notify)
{
	if (notify->fd >= 0)
		close(notify->fd);
	notify->fd = -1;
}

void notify_send(const struct notify *notify, const char *format, ...)
{
	char text[TEXT_BYTES_MAX];
	ssize_t ignored;
	va_list args;

	if (notify->fd < 0)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ignored = send(notify->fd, text, strlen(text),
		       MSG_NOSIGNAL); /* if it does not arrive, nobody can be told */
	(void)ignored;
}

void notify_reloading(const struct notify *notify)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	notify_send(notify, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reading the configuration",
		    (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}
