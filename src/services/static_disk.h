/* SPDX-License-Identifier: MIT */
/*
 * static_disk.h - threads that do what would keep a worker waiting for a disk. Work goes there as a job
 * and comes back to its owner's list; the owner is woken. Knows nothing of files.
 *
 *   put (worker) -> queued -> run (a disk thread) -> done -> taken (worker)
 */
#ifndef PER_SERVICES_STATIC_DISK_H
#define PER_SERVICES_STATIC_DISK_H

#include "base/base.h"
#include <pthread.h>

#define PER__DISK_THREADS_MAX 64u
#define PER__DISK_IDLE_MS 10000u

struct per__disk_owner;

struct per__job {
	struct per__job *next;
	struct per__disk_owner *owner;
	void (*run)(struct per__job *job);  /* on a disk thread */
	void (*done)(struct per__job *job); /* for the owner, which calls it */
	bool was_run;                       /* else it was taken back before its turn */
};

/* Who puts jobs and gets them back: one worker's shard. */
struct per__disk_owner {
	/* something is done, and nothing was; called on a disk thread, with the mutex */
	void (*wake)(struct per__disk_owner *owner);
	struct per__job *done_first, *done_last;
	uint32_t pending; /* queued or running */
};

struct per__disk {
	pthread_mutex_t mutex; /* guards all of it, and the lists of the owners */
	pthread_cond_t has_work, has_done;
	struct per__job *first, *last;
	struct per__disk_thread {
		struct per__disk *disk;
		pthread_t thread;
		bool is_used, has_ended; /* ended: to be joined before the place is used again */
	} threads[PER__DISK_THREADS_MAX];
	unsigned thread_cnt; /* that have not ended */
	unsigned thread_max, idle_cnt, queued;
	unsigned idle_ms; /* a thread without work for that long ends; another is soon started */
	bool is_ending;
};

int per__disk_init(struct per__disk *disk, unsigned thread_max);

/** Ends the threads. No job may be pending. Not on a disk thread. */
void per__disk_fini(struct per__disk *disk);

/**
 * Puts a job; starts a thread if all are busy and there may be more. Without any thread the caller does
 * the work.
 */
void per__disk_put(struct per__disk *disk, struct per__disk_owner *owner, struct per__job *job);

/** Takes the owner's jobs that are done, in a list by next. */
struct per__job *per__disk_take(struct per__disk *disk, struct per__disk_owner *owner);

/** Takes back the owner's jobs that have not begun, and waits for those that have: all are done then. */
void per__disk_drain(struct per__disk *disk, struct per__disk_owner *owner);

#endif
