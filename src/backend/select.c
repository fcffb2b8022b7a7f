/* SPDX-License-Identifier: MIT */
/*
 * select.c - the table of compiled backends, and choosing one by probing.
 * Which are compiled in is the build's decision: PER_HAVE_IO_URING, PER_HAVE_KQUEUE, PER_HAVE_EPOLL, and
 * PER_HAVE_SIM in builds for tests. What was asked for by name is never replaced by something else.
 */
#include "backend/backend.h"

#include <peregrine/types.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BACKEND_SIM 100 /* asked for by tests, never tried by auto */

#ifdef PER_HAVE_SIM
extern const struct per__backend per__backend_sim;
#endif

const struct per__backend *const per__backends[] = {
#ifdef PER_HAVE_IO_URING
	&per__backend_io_uring,
#endif
#ifdef PER_HAVE_KQUEUE
	&per__backend_kqueue,
#endif
#ifdef PER_HAVE_EPOLL
	&per__backend_epoll,
#endif
#ifdef PER_HAVE_SIM
	&per__backend_sim,
#endif
	NULL,
};

const struct per__backend *per__backend_by_id(int id)
{
	for (size_t i = 0; per__backends[i] != NULL; i++) {
		if (per__backends[i]->id == id)
			return per__backends[i];
	}
	return NULL;
}

static const char *backend_name(int id)
{
	switch (id) {
	case PER_BACKEND_IO_URING:
		return "io_uring";
	case PER_BACKEND_EPOLL:
		return "epoll";
	case PER_BACKEND_KQUEUE:
		return "kqueue";
	case BACKEND_SIM:
		return "sim";
	}
	return "unknown backend";
}

/* Adds to a text that may be full already; what does not fit is cut. */
static PER_PRINTF(3, 4) void append(char *text, size_t cap, const char *format, ...)
{
	size_t len = strnlen(text, cap);
	va_list args;

	if (len >= cap)
		return;
	va_start(args, format);
	(void)vsnprintf(text + len, cap - len, format, args);
	va_end(args);
}

static int select_named(int id, const struct per__backend **out, char *reason, size_t cap)
{
	const struct per__backend *be = per__backend_by_id(id);
	struct per__probe probe;

	if (be == NULL) {
		append(reason, cap, "%s is not compiled in", backend_name(id));
		return PER_ENOTSUP;
	}
	if (be->probe(&probe) != 0) {
		append(reason, cap, "%s: %s", be->name, probe.reason);
		return PER_ENOTSUP;
	}
	append(reason, cap, "using %s, as asked", be->name);
	*out = be;
	return 0;
}

static int select_auto(const struct per__backend **out, char *reason, size_t cap)
{
	struct per__probe probe;

	for (size_t i = 0; per__backends[i] != NULL; i++) {
		const struct per__backend *be = per__backends[i];

		if (be->id == BACKEND_SIM)
			continue;
		if (be->probe(&probe) == 0) {
			if (reason[0] == '\0')
				append(reason, cap, "the first choice, and it works here");
			else
				append(reason, cap, "using %s", be->name);
			*out = be;
			return 0;
		}
		append(reason, cap, "%s: %s; ", be->name, probe.reason);
	}
	append(reason, cap, "no backend works here");
	return PER_ENOTSUP;
}

int per__backend_select(int id, const struct per__backend **out, char *reason, size_t cap)
{
	*out = NULL;
	if (cap != 0)
		reason[0] = '\0';
	return id == PER_BACKEND_AUTO ? select_auto(out, reason, cap) : select_named(id, out, reason, cap);
}
