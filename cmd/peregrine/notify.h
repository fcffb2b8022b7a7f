/* SPDX-License-Identifier: MIT */
/*
 * notify.h - telling systemd how we are: the protocol of sd_notify(3), without its library. Nothing happens
 * when nobody listens.
 */
#ifndef CMD_PEREGRINE_NOTIFY_H
#define CMD_PEREGRINE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct notify {
	int fd;               /* -1: nobody listens */
	uint64_t watchdog_ms; /* a sign of life is expected this often; 0: none is */
};

/** Reads NOTIFY_SOCKET and WATCHDOG_USEC, and takes them out of the environment. Before there are threads. */
void notify_open(struct notify *notify);
void notify_close(struct notify *notify);

/** "READY=1", "STOPPING=1", "WATCHDOG=1", or "STATUS=..." lines. */
void notify_send(const struct notify *notify, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** RELOADING=1 with the time that belongs to it. */
void notify_reloading(const struct notify *notify);

#endif
