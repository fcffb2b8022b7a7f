/* SPDX-License-Identifier: MIT */
/*
 * activation.h - listening sockets that systemd has opened and passed on (sd_listen_fds(3)).
 */
#ifndef CMD_PEREGRINE_ACTIVATION_H
#define CMD_PEREGRINE_ACTIVATION_H

#include <stdbool.h>
#include <stddef.h>

#define ACTIVATION_MAX 64u
#define ACTIVATION_NAMES_MAX 4096u

struct activation {
	unsigned count; /* descriptors 3, 4, ... */
	const char *names[ACTIVATION_MAX];
	char text[ACTIVATION_NAMES_MAX]; /* what names point to */
};

/** Reads the environment and takes what is meant for this process out of it. None: count is 0. */
void activation_read(struct activation *activation);

/**
 * The descriptor that an address names: "systemd:NAME" with the socket's FileDescriptorName=, or its number
 * from 0.
 *
 * returns  the descriptor, -1 when there is no such socket
 */
int activation_find(const struct activation *activation, const char *name);

#endif
