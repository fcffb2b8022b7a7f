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

	if (complaints->count++ >= COMPLAINTS_MAX)
		return;
	complaint = &complaints->list[complaints->count - 1];
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

void complain(struct complaints *complaints, const char *path, const char *format, ...)
{
	const char *option = option_of(complaints, path);
	char what[COMPLAINT_BYTES_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	complaints->option_faults += option != NULL ? 1 : 0;
	if (option != NULL)
		add(complaints, "peregrine", 0, option, what);
	else if (complaints->tree != NULL && path[0] != '\0')
		add(complaints, complaints->file, tree_line(complaints->tree, path), path, what);
	else
		add(complaints, complaints->file, 0, path, what);
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

void complaints_each(struct complaints *complaints, void (*fn)(const char *text, void *user), void *user)
{
	const unsigned count = complaints->count < COMPLAINTS_MAX ? complaints->count : COMPLAINTS_MAX;
	char more[64];

	sort(complaints, count);
	for (unsigned i = 0; i < count; i++)
		fn(complaints->list[i].text, user);
	if (complaints->count > count) {
		snprintf(more, sizeof(more), "and %u more", complaints->count - count);
		fn(more, user);
	}
}

static void print_one(const char *text, void *user)
{
	(void)user;
	fprintf(stderr, "%s\n", text);
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
