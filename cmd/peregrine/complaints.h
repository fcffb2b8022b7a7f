/* SPDX-License-Identifier: MIT */
/*
 * complaints.h - what is wrong with a configuration: a list of "file:line: key: what was expected". Warnings
 * are about what works and is hardly meant. Collects; the caller prints or logs it.
 */
#ifndef CMD_PEREGRINE_COMPLAINTS_H
#define CMD_PEREGRINE_COMPLAINTS_H

#include <stdbool.h>
#include <stddef.h>

#define COMPLAINTS_MAX 50u /* more are only counted */
#define COMPLAINTS_WARNINGS_MAX 20u
#define COMPLAINT_BYTES_MAX 512u
#define COMPLAINTS_OPTIONS_MAX 16u

struct tree;

struct complaints {
	const char *file;  /* name of what is read */
	struct tree *tree; /* where lines are looked up; NULL: nowhere */
	struct complaints_option {
		const char *path, *option;
	} options
		/* values that the command line has given: "engine.workers", "--workers" */
		[COMPLAINTS_OPTIONS_MAX];
	unsigned option_count;
	unsigned count;         /* without warnings */
	unsigned option_faults; /* how many of them are about the command line */
	unsigned warnings;
	unsigned listed;
	struct complaint {
		unsigned line; /* 0: unknown */
		bool is_warning;
		char text[2 * COMPLAINT_BYTES_MAX];
	} list[COMPLAINTS_MAX];
};

/**
 * Adds a complaint about the value at a path such as "hosts[0].root"; the line is that of the value, or of
 * what is nearest around it. An empty path: about the whole file.
 */
void complain(struct complaints *complaints, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** The same about what is no reason not to start. */
void complain_softly(struct complaints *complaints, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** From now on, what is wrong with a path is wrong with an option. */
void complaints_blame(struct complaints *complaints, const char *path, const char *option);

/** The same, where the line is known. */
void complain_at(struct complaints *complaints, unsigned line, const char *path, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

typedef void (*complaint_fn)(const char *text, bool is_warning, void *user);

/** Hands over each complaint, in the order of lines. */
void complaints_each(struct complaints *complaints, complaint_fn fn, void *user);

/** Writes all of them to stderr. */
void complaints_print(struct complaints *complaints);

/** Frees what it took to find the lines. */
void complaints_end(struct complaints *complaints);

#endif
