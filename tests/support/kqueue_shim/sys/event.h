/* SPDX-License-Identifier: MIT */
/*
 * event.h - the part of the BSDs' <sys/event.h> that src/backend/kqueue.c uses, for test builds on Linux.
 * Found only through the include directory of the tests; kqueue_shim.c implements it. Numbers are FreeBSD's.
 */
#ifndef PER_TESTS_KQUEUE_SHIM_EVENT_H
#define PER_TESTS_KQUEUE_SHIM_EVENT_H

#include <stdint.h>
#include <time.h>

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_USER (-11)

#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008
#define EV_ONESHOT 0x0010
#define EV_CLEAR 0x0020
#define EV_RECEIPT 0x0040
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

#define NOTE_TRIGGER 0x01000000

struct kevent {
	uintptr_t ident;
	short filter;
	unsigned short flags;
	unsigned int fflags;
	int64_t data;
	void *udata;
	uint64_t ext[4];
};

#define EV_SET(kevp, a, b, c, d, e, f)                                   \
	do {                                                             \
		*(kevp) = (struct kevent){ .ident = (uintptr_t)(a),      \
					   .filter = (short)(b),         \
					   .flags = (unsigned short)(c), \
					   .fflags = (unsigned int)(d),  \
					   .data = (int64_t)(e),         \
					   .udata = (f) };               \
	} while (0)

int kqueue(void);
int kevent(int kq, const struct kevent *changes, int change_count, struct kevent *events, int event_count,
	   const struct timespec *timeout);

#endif
