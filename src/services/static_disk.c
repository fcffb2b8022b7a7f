/* SPDX-License-Identifier: MIT */
/*
 * static_disk.c - threads that wait for disks. Started when they are needed, ended when nobody needs them
 * any more, so that a thousand directories need not have a thousand threads.
 */
#include "services/static_disk.h"

#include <errno.h>
#include <peregrine/types.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

int per__disk_init(struct per__disk *disk, unsigned thread_max)
{
	*disk = (struct per__disk){ .thread_max = PER_MIN(thread_max, PER__DISK_THREADS_MAX),
				    .idle_ms = PER__DISK_IDLE_MS };
	if (pthread_mutex_init(&disk->mutex, NULL) != 0)
		return PER_ENOMEM;
	if (pthread_cond_init(&disk->has_work, NULL) != 0 || pthread_cond_init(&disk->has_done, NULL) != 0)
		return PER_ENOMEM;
	return 0;
}

void per__disk_fini(struct per__disk *disk)
{
	pthread_mutex_lock(&disk->mutex);
	PER_ASSERT(disk->first == NULL);
	disk->is_ending = true;
	pthread_cond_broadcast(&disk->has_work);
	pthread_mutex_unlock(&disk->mutex);
	for (unsigned i = 0; i < disk->thread_max; i++) {
		if (disk->threads[i].is_used)
			pthread_join(disk->threads[i].thread, NULL);
	}
	pthread_cond_destroy(&disk->has_done);
	pthread_cond_destroy(&disk->has_work);
	pthread_mutex_destroy(&disk->mutex);
}

/* --- the threads; everything here holds the mutex but run ------------------------------------- */

static struct per__job *job_next(struct per__disk *disk)
{
	struct per__job *job = disk->first;

	if (job == NULL)
		return NULL;
	disk->first = job->next;
	if (disk->first == NULL)
		disk->last = NULL;
	disk->queued--;
	return job;
}

static void queue_add(struct per__disk *disk, struct per__job *job)
{
	job->next = NULL;
	if (disk->last != NULL)
		disk->last->next = job;
	else
		disk->first = job;
	disk->last = job;
	disk->queued++;
}

/* Returns whether the owner has to be woken: not when it was for another job that it has not taken yet. */
static bool job_done(struct per__disk *disk, struct per__job *job)
{
	struct per__disk_owner *owner = job->owner;
	bool is_first = owner->done_first == NULL;

	job->next = NULL;
	if (is_first)
		owner->done_first = job;
	else
		owner->done_last->next = job;
	owner->done_last = job;
	owner->pending--;
	pthread_cond_broadcast(&disk->has_done);
	return is_first;
}

/* Waits for work. Returns false when none has come for long. */
static bool work_wait(struct per__disk *disk)
{
	struct timespec until;
	int err;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += disk->idle_ms / 1000;
	until.tv_nsec += (long)(disk->idle_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	disk->idle_cnt++;
	err = pthread_cond_timedwait(&disk->has_work, &disk->mutex, &until);
	disk->idle_cnt--;
	return err != ETIMEDOUT || disk->first != NULL;
}

static void *disk_main(void *arg)
{
	struct per__disk_thread *self = arg;
	struct per__disk *disk = self->disk;

	pthread_mutex_lock(&disk->mutex);
	while (!disk->is_ending) {
		struct per__job *job = job_next(disk);

		if (job == NULL) {
			if (!work_wait(disk))
				break;
			continue;
		}
		pthread_mutex_unlock(&disk->mutex);
		job->run(job);
		job->was_run = true;
		pthread_mutex_lock(&disk->mutex);
		if (job_done(disk, job))
			job->owner->wake(job->owner);
	}
	self->has_ended = true;
	disk->thread_cnt--;
	pthread_mutex_unlock(&disk->mutex);
	return NULL;
}

/* A place for a thread; there is one when fewer than thread_max run. */
static struct per__disk_thread *place_find(struct per__disk *disk)
{
	struct per__disk_thread *place = disk->threads;

	while (place->is_used && !place->has_ended)
		place++;
	PER_ASSERT(place < disk->threads + disk->thread_max);
	if (place->is_used)
		pthread_join(place->thread, NULL); /* it has given the mutex back, and does nothing more */
	*place = (struct per__disk_thread){ .disk = disk };
	return place;
}

/* Signals are for the application's threads. */
static void thread_start(struct per__disk *disk)
{
	struct per__disk_thread *place = place_find(disk);
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	place->is_used = pthread_create(&place->thread, NULL, disk_main, place) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	disk->thread_cnt += place->is_used;
}

/* --- for the owners --------------------------------------------------------------------------- */

void per__disk_put(struct per__disk *disk, struct per__disk_owner *owner, struct per__job *job)
{
	bool has_thread;

	job->owner = owner;
	job->was_run = false;
	pthread_mutex_lock(&disk->mutex);
	if (disk->queued >= disk->idle_cnt && disk->thread_cnt < disk->thread_max)
		thread_start(disk);
	has_thread = disk->thread_cnt > 0;
	owner->pending++;
	if (has_thread)
		queue_add(disk, job);
	pthread_mutex_unlock(&disk->mutex);
	pthread_cond_signal(&disk->has_work); /* who wakes up finds the mutex free */
	if (has_thread)
		return;
	job->run(job); /* waiting is better than not answering */
	job->was_run = true;
	pthread_mutex_lock(&disk->mutex);
	if (job_done(disk, job))
		owner->wake(owner);
	pthread_mutex_unlock(&disk->mutex);
}

struct per__job *per__disk_take(struct per__disk *disk, struct per__disk_owner *owner)
{
	struct per__job *job;

	pthread_mutex_lock(&disk->mutex);
	job = owner->done_first;
	owner->done_first = owner->done_last = NULL;
	pthread_mutex_unlock(&disk->mutex);
	return job;
}

/* Moves the owner's jobs from the queue to its list. */
static void queue_take_back(struct per__disk *disk, struct per__disk_owner *owner)
{
	struct per__job *job = disk->first;

	disk->first = disk->last = NULL;
	disk->queued = 0;
	while (job != NULL) {
		struct per__job *next = job->next;

		if (job->owner == owner)
			(void)job_done(disk, job);
		else
			queue_add(disk, job);
		job = next;
	}
}

void per__disk_drain(struct per__disk *disk, struct per__disk_owner *owner)
{
	pthread_mutex_lock(&disk->mutex);
	queue_take_back(disk, owner);
	while (owner->pending > 0)
		pthread_cond_wait(&disk->has_done, &disk->mutex);
	pthread_mutex_unlock(&disk->mutex);
}
