/* SPDX-License-Identifier: MIT */
/*
 * services_static_disk_test.c - jobs for the disk threads: each is run and comes back to its owner once;
 * taking back what has not begun; no thread at all.
 */
#include "services/static_disk.h"

#include "support/unit.h"

#include <stdatomic.h>

#define JOBS 200

struct work {
	struct per__job job; /* first */
	atomic_int runs;
	atomic_int *gate; /* waits until it is not 0 */
};

struct owner {
	struct per__disk_owner owner; /* first */
	atomic_int wakes;
};

static void wake(struct per__disk_owner *owner)
{
	atomic_fetch_add(&((struct owner *)owner)->wakes, 1);
}

static void run(struct per__job *job)
{
	struct work *work = (struct work *)job;

	while (work->gate != NULL && atomic_load(work->gate) == 0)
		usleep(100);
	atomic_fetch_add(&work->runs, 1);
}

static unsigned take_all(struct per__disk *disk, struct owner *owner, unsigned *was_run)
{
	unsigned cnt = 0;

	for (struct per__job *job = per__disk_take(disk, &owner->owner); job != NULL; job = job->next) {
		cnt++;
		*was_run += job->was_run;
	}
	return cnt;
}

static void jobs_run(unsigned threads)
{
	static struct work works[2][JOBS];
	struct owner owners[2] = { { .owner.wake = wake }, { .owner.wake = wake } };
	struct per__disk disk;
	unsigned was_run = 0;

	memset(works, 0, sizeof(works));
	assert_int_equal(per__disk_init(&disk, threads), 0);
	for (unsigned i = 0; i < JOBS; i++) {
		for (unsigned j = 0; j < 2; j++) {
			works[j][i].job.run = run;
			per__disk_put(&disk, &owners[j].owner, &works[j][i].job);
		}
	}
	for (unsigned j = 0; j < 2; j++) {
		unsigned cnt = 0;

		while (cnt < JOBS) {
			cnt += take_all(&disk, &owners[j], &was_run);
			usleep(100);
		}
		assert_int_equal(cnt, JOBS);
		assert_in_range(owners[j].wakes, 1, JOBS);
	}
	assert_int_equal(was_run, 2 * JOBS);
	for (unsigned i = 0; i < JOBS; i++)
		assert_int_equal(works[0][i].runs + works[1][i].runs, 2);
	assert_true(disk.thread_cnt <= threads);
	per__disk_fini(&disk);
}

static void test_disk_every_job_is_run_once(void **state)
{
	(void)state;
	jobs_run(1);
	jobs_run(4);
}

static void test_disk_without_threads_the_caller_works(void **state)
{
	(void)state;
	jobs_run(0);
}

static unsigned pending_of(struct per__disk *disk, const struct owner *owner)
{
	unsigned cnt;

	pthread_mutex_lock(&disk->mutex);
	cnt = owner->owner.pending;
	pthread_mutex_unlock(&disk->mutex);
	return cnt;
}

static void test_disk_wakes_once_for_all_that_is_not_taken(void **state)
{
	struct owner owner = { .owner.wake = wake };
	struct work works[10];
	struct per__disk disk;
	unsigned was_run = 0, taken = 0;

	(void)state;
	assert_int_equal(per__disk_init(&disk, 2), 0);
	for (unsigned round = 1; round <= 5; round++) {
		for (unsigned i = 0; i < 10; i++) {
			works[i] = (struct work){ .job.run = run };
			per__disk_put(&disk, &owner.owner, &works[i].job);
		}
		while (pending_of(&disk, &owner) > 0)
			usleep(100);
		taken += take_all(&disk, &owner, &was_run);
	}
	per__disk_fini(&disk);
	assert_int_equal(taken, 50);
	assert_int_equal(owner.wakes, 5);
}

static void test_disk_drain_takes_back_what_has_not_begun(void **state)
{
	static struct work works[10];
	atomic_int gate = 0;
	struct owner owner = { .owner.wake = wake }, other = { .owner.wake = wake };
	struct work others = { .job.run = run };
	struct per__disk disk;
	unsigned was_run = 0, cnt;

	(void)state;
	assert_int_equal(per__disk_init(&disk, 1), 0);
	for (unsigned i = 0; i < 10; i++) {
		works[i] = (struct work){ .job.run = run, .gate = &gate };
		per__disk_put(&disk, &owner.owner, &works[i].job);
	}
	per__disk_put(&disk, &other.owner, &others.job);
	atomic_store(&gate, 1);
	per__disk_drain(&disk, &owner.owner);
	cnt = take_all(&disk, &owner, &was_run);
	assert_int_equal(cnt, 10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(works[i].runs, works[i].job.was_run);
	per__disk_drain(&disk, &other.owner);
	was_run = 0;
	assert_int_equal(take_all(&disk, &other, &was_run), 1);
	per__disk_fini(&disk);
}

static unsigned threads_of(struct per__disk *disk)
{
	unsigned cnt;

	pthread_mutex_lock(&disk->mutex);
	cnt = disk->thread_cnt;
	pthread_mutex_unlock(&disk->mutex);
	return cnt;
}

static void test_disk_a_thread_without_work_ends_and_another_comes(void **state)
{
	struct owner owner = { .owner.wake = wake };
	struct per__disk disk;

	(void)state;
	assert_int_equal(per__disk_init(&disk, 2), 0);
	disk.idle_ms = 1;
	for (unsigned round = 1; round <= 20; round++) {
		struct work works[3] = { { .job.run = run }, { .job.run = run }, { .job.run = run } };
		unsigned was_run = 0, cnt = 0;

		for (unsigned i = 0; i < 3; i++)
			per__disk_put(&disk, &owner.owner, &works[i].job);
		while (cnt < 3) {
			cnt += take_all(&disk, &owner, &was_run);
			usleep(100);
		}
		assert_int_equal(was_run, 3);
		while (threads_of(&disk) > 0) /* ends, or the test does not */
			usleep(100);
	}
	per__disk_fini(&disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disk_every_job_is_run_once),
		cmocka_unit_test(test_disk_without_threads_the_caller_works),
		cmocka_unit_test(test_disk_wakes_once_for_all_that_is_not_taken),
		cmocka_unit_test(test_disk_drain_takes_back_what_has_not_begun),
		cmocka_unit_test(test_disk_a_thread_without_work_ends_and_another_comes),
	};

	return cmocka_run_group_tests_name("static_disk", tests, NULL, NULL);
}
