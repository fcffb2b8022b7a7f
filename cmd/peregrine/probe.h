/* SPDX-License-Identifier: MIT */
/*
 * probe.h - what this machine supports, and why not: --probe.
 */
#ifndef CMD_PEREGRINE_PROBE_H
#define CMD_PEREGRINE_PROBE_H

#include <stdbool.h>

/** Writes a table to stdout. Returns false after a message. */
bool probe_print(void);

#endif
