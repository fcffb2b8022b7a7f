/* SPDX-License-Identifier: MIT */
/*
 * settings.h - the numbers of a configuration: their unit, range, default, and the member of per_config
 * that they become.
 */
#ifndef CMD_PEREGRINE_SETTINGS_H
#define CMD_PEREGRINE_SETTINGS_H

#include "config.h"
#include "unit.h"

/** What a number has to be. */
struct range {
	enum unit unit;
	uint64_t min, max;
};

/**
 * Reads a number.
 *
 * path       of the value, for a complaint
 * returns    true, or false after a complaint
 */
bool range_read(const struct range *range, const char *text, const char *path, struct complaints *complaints,
		uint64_t *out);

/** The number of a text that was checked before. */
uint64_t range_number(const struct range *range, const char *text);

/** Fills in defaults. Returns false when out of memory. */
bool settings_complete(struct config *config);

/** Complains about every number out of its range. */
void settings_check(const struct config *config, struct complaints *complaints);

/** Writes the numbers of a configuration that was checked. */
void settings_apply(const struct config *config, per_config *out);

/** Calls fn with the path of every number that differs and needs a new process. Both were checked. */
void settings_compare(const struct config *a, const struct config *b,
		      void (*fn)(const char *path, void *user), void *user);

/* Numbers that are no member of per_config. */
extern const struct range range_backlog, range_unix_mode, range_max_age, range_port, range_access_buffer;

/* The numbers of files and tls, for their structures in the library. */
enum number {
	NUMBER_CACHE,
	NUMBER_CACHE_FILE,
	NUMBER_ENTRIES,
	NUMBER_DESCRIPTORS,
	NUMBER_CHECK,
	NUMBER_FILES_IDLE,
	NUMBER_DISK_THREADS,
	NUMBER_CLIENT_DEPTH,
	NUMBER_TICKET_COUNT,
	NUMBER_TICKET_LIFETIME,
	NUMBER_EARLY_DATA,
	NUMBER_HANDSHAKE_TIMEOUT,
	NUMBER_HANDSHAKES,
};

/** One of them, of a configuration that was checked; durations in milliseconds. */
uint64_t settings_number(const struct config *config, enum number number);

#endif
