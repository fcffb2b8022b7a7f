/* SPDX-License-Identifier: MIT */
/*
 * static_disk.c - threads that wait for disks. Started when they are first needed, ended with their
 * directory.
 */
#include "services/static_disk.h"

#include <peregrine/types.h>
#include <pthread.h>
#include <signal.h>

int per__disk_init(struct per__disk *disk, unsigned thread_max)
{
	*disk = (struct per__disk){ .thread_max = PER_MIN(thread_max, PER__DISK_THREADS_MAX) };
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
	for (unsigned i = 0; i < disk->thread_cnt; i++)
		pthread_join(disk->threads[i], NULL);
	pthread_cond_destroy(&disk->has_done);
	pthread_cond_destroy(&disk->has_work);
	pthread_mutex_destroy(&disk->mutex);
}

/* --- the threads; everything here holds the mutex but run -------------------------------------------- */

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

static void job_done(struct per__disk *disk, struct per__job *job)
{
	struct per__disk_owner *owner = job->owner;

	job->next = NULL;
	if (owner->done_last != NULL)
		owner->done_last->next = job;
	else
		owner->done_first = job;
	owner->done_last = job;
	owner->pending--;
	pthread_cond_broadcast(&disk->has_done);
}

static void *disk_main(void *arg)
{
	struct per__disk *disk = arg;

	pthread_mutex_lock(&disk->mutex);
	while (!disk->is_ending) {
		struct per__job *job = job_next(disk);

		if (job == NULL) {
			disk->idle_cnt++;
			pthread_cond_wait(&disk->has_work, &disk->mutex);
			disk->idle_cnt--;
			continue;
		}
		pthread_mutex_unlock(&disk->mutex);
		job->run(job);
		job->was_run = true;
		pthread_mutex_lock(&disk->mutex);
		job_done(disk, job);
		job->owner->wake(job->owner);
	}
	pthread_mutex_unlock(&disk->mutex);
	return NULL;
}

/* Signals are for the application's threads. */
static bool thread_start(struct per__disk *disk)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&disk->threads[disk->thread_cnt], NULL, disk_main, disk);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	disk->thread_cnt += err == 0;
	return err == 0;
}

/* --- for the owners ---------------------------------------------------------------------------------- */

void per__disk_put(struct per__disk *disk, struct per__disk_owner *owner, struct per__job *job)
{
	bool has_thread;

	job->owner = owner;
	job->was_run = false;
	pthread_mutex_lock(&disk->mutex);
	if (disk->queued >= disk->idle_cnt && disk->thread_cnt < disk->thread_max)
		(void)thread_start(disk);
	has_thread = disk->thread_cnt > 0;
	owner->pending++;
	if (has_thread)
		queue_add(disk, job);
	pthread_cond_signal(&disk->has_work);
	pthread_mutex_unlock(&disk->mutex);
	if (has_thread)
		return;
	job->run(job); /* waiting is better than not answering */
	job->was_run = true;
	pthread_mutex_lock(&disk->mutex);
	job_done(disk, job);
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
			job_done(disk, job);
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
