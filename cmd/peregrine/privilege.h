/* SPDX-License-Identifier: MIT */
/*
 * privilege.h - what the process may: descriptors, users.
 */
#ifndef CMD_PEREGRINE_PRIVILEGE_H
#define CMD_PEREGRINE_PRIVILEGE_H

#include "config.h"
#include "logger.h"

/**
 * Becomes the user and group of the configuration, for good, with all groups of that user and no others.
 * Only root can; for another process that is this user already nothing happens. Afterwards no program it
 * starts can get more rights.
 *
 * returns  true, or false after a line in the log: then the process must not go on
 */
bool privilege_drop(const struct config *config, struct logger *logger);

/**
 * The soft limit of descriptors becomes the hard one.
 *
 * returns  how many connections that leaves room for, 0: as many as one likes
 */
unsigned privilege_descriptors(void);

#endif
