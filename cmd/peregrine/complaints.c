/* SPDX-License-Identifier: MIT */
/*
 * complaints.c - the list of what is wrong with a configuration. Called by everything that reads or checks
 * one.
 */
#include "complaints.h"

#include "tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One complaint, one line, whatever a value contains. */
static void make_printable(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
	}
}

static void add(struct complaints *complaints, const char *file, unsigned line, const char *path,
		const char *what)
{
	struct complaint *complaint;
	const char *colon = path[0] != '\0' ? ": " : "";

	if (complaints->listed >= COMPLAINTS_MAX)
		return;
	complaint = &complaints->list[complaints->listed++];
	complaint->line = line;
	if (line > 0)
		snprintf(complaint->text, sizeof(complaint->text), "%s:%u: %s%s%s", file, line, path, colon,
			 what);
	else
		snprintf(complaint->text, sizeof(complaint->text), "%s: %s%s%s", file, path, colon, what);
	make_printable(complaint->text);
}

void complain_at(struct complaints *complaints, unsigned line, const char *path, const char *format, ...)
{
	char what[COMPLAINT_BYTES_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	complaints->count++;
	add(complaints, complaints->file, line, path, what);
}

void complaints_blame(struct complaints *complaints, const char *path, const char *option)
{
	if (complaints->option_count < COMPLAINTS_OPTIONS_MAX)
		complaints->options[complaints->option_count++] = (struct complaints_option){ path, option };
}

/* The option that has given the value at a path, or what is around it; NULL: none has. */
static const char *option_of(const struct complaints *complaints, const char *path)
{
	for (unsigned i = 0; i < complaints->option_count; i++) {
		const size_t len = strlen(complaints->options[i].path);

		if (strncmp(path, complaints->options[i].path, len) == 0 && strchr(".[", path[len]) != NULL)
			return complaints->options[i].option;
	}
	return NULL;
}

/* Adds it where the path leads: to an option, or to a line. Returns whether it is an option. */
static bool add_at_path(struct complaints *complaints, const char *path, const char *what)
{
	const char *option = option_of(complaints, path);

	if (option != NULL)
		add(complaints, "peregrine", 0, option, what);
	else if (complaints->tree != NULL && path[0] != '\0')
		add(complaints, complaints->file, tree_line(complaints->tree, path), path, what);
	else
		add(complaints, complaints->file, 0, path, what);
	return option != NULL;
}

void complain(struct complaints *complaints, const char *path, const char *format, ...)
{
	char what[COMPLAINT_BYTES_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	complaints->count++;
	complaints->option_faults += add_at_path(complaints, path, what) ? 1 : 0;
}

void complain_softly(struct complaints *complaints, const char *path, const char *format, ...)
{
	const unsigned listed = complaints->listed;
	char what[COMPLAINT_BYTES_MAX];
	va_list args;

	if (complaints->warnings++ >= COMPLAINTS_WARNINGS_MAX)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	(void)add_at_path(complaints, path, what);
	if (complaints->listed > listed)
		complaints->list[listed].is_warning = true;
}

/* A list of at most COMPLAINTS_MAX; those of one line stay in their order. */
static void sort(struct complaints *complaints, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		const struct complaint moved = complaints->list[i];
		unsigned k = i;

		for (; k > 0 && complaints->list[k - 1].line > moved.line; k--)
			complaints->list[k] = complaints->list[k - 1];
		complaints->list[k] = moved;
	}
}

void complaints_each(struct complaints *complaints, complaint_fn fn, void *user)
{
	const unsigned listed = complaints->listed, all = complaints->count + complaints->warnings;
	char more[64];

	sort(complaints, listed);
	for (unsigned i = 0; i < listed; i++)
		fn(complaints->list[i].text, complaints->list[i].is_warning, user);
	if (all > listed) {
		snprintf(more, sizeof(more), "and %u more", all - listed);
		fn(more, complaints->count == 0, user);
	}
}

static void print_one(const char *text, bool is_warning, void *user)
{
	(void)user;
	fprintf(stderr, "%s%s\n", is_warning ? "warning: " : "", text);
}

void complaints_print(struct complaints *complaints)
{
	complaints_each(complaints, print_one, NULL);
}

void complaints_end(struct complaints *complaints)
{
	tree_free(complaints->tree);
	complaints->tree = NULL;
}
