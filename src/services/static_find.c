/* SPDX-License-Identifier: MIT */
/*
 * static_find.c - from a key to an entry: the cache, else a load here and now if nothing has to be waited
 * for, else a job for the disk threads, after which the question is asked again. Called by
 * static_reply.c, on the worker.
 */
#include "services/static_files.h"

#include <string.h>

/* How often one answer may wait for a load: each finds something new, unless files change all the time. */
#define LOADS_MAX 8u

static struct per__load load_of(const struct per__shard *shard, bool may_wait)
{
	const struct per_static *files = shard->files;

	return (struct per__load){
		.conf = &files->conf,
		.below = { .root = shard->root->fd,
			   .links = files->conf.links,
			   .has_openat2 = files->has_openat2 },
		.may_wait = may_wait,
		.wall_s = shard->worker->loop.wall_s,
	};
}

/* --- what a load has found -------------------------------------------------------------------- */

static bool is_brief(int status)
{
	return status == 301 || status == 403 || status == 404;
}

/* Keeps what was found for others. The entry, if there is one, is lent to the caller. */
static void remember(struct per__shard *shard, per_str key, int status, struct per__entry *entry,
		     int64_t now_ns)
{
	if (entry != NULL) {
		entry->owner = shard;
		entry->checked_ns = now_ns;
		entry->is_hot = true;
		per__cache_insert(&shard->cache, entry);
		if (entry->fds > 0)
			per__shard_watch(shard);
	} else if (is_brief(status)) {
		per__brief_insert(&shard->cache, per__key_hash(key), key, status,
				  now_ns + shard->files->conf.check_ns);
	}
	per__shard_note(shard);
}

/* --- later ------------------------------------------------------------------------------------ */

static void load_done(struct per__job *job);

static void load_run(struct per__job *job)
{
	struct per__load_job *work = (struct per__load_job *)job;

	work->status = per__load(&work->load, per_str_make(work->key, work->key_len), &work->entry);
}

static struct per__load_job **loading_bucket(struct per__shard *shard, uint64_t hash)
{
	return &shard->loading[hash % PER__LOADING_BUCKETS];
}

/* The job that loads this key already, or NULL. */
static struct per__load_job *loading_find(struct per__shard *shard, uint64_t hash, per_str key)
{
	struct per__load_job *work = *loading_bucket(shard, hash);

	while (work != NULL && (work->hash != hash || work->root != shard->root || work->key_len != key.len ||
				memcmp(work->key, key.ptr, key.len) != 0))
		work = work->next;
	return work;
}

static void loading_remove(struct per__shard *shard, struct per__load_job *work)
{
	struct per__load_job **link = loading_bucket(shard, work->hash);

	while (*link != work)
		link = &(*link)->next;
	*link = work->next;
}

static struct per__load_job *load_put(struct per__shard *shard, uint64_t hash, per_str key)
{
	struct per__load_job **bucket = loading_bucket(shard, hash);
	size_t cap;
	struct per__load_job *work = per__block_take(shard->worker, sizeof(*work) + key.len, &cap);

	if (work == NULL)
		return NULL;
	*work = (struct per__load_job){
		.job = { .run = load_run, .done = load_done },
		.shard = shard,
		.next = *bucket,
		.hash = hash,
		.root = shard->root,
		.load = load_of(shard, true),
		.key_len = key.len,
	};
	memcpy(work->key, key.ptr, key.len);
	*bucket = work;
	shard->root->refs++;
	per__count(&shard->counters.disk_reads, 1);
	per__disk_put(&shard->files->disk, &shard->disk, &work->job);
	return work;
}

/* Has the key loaded, or waits with others for whom that is being done. */
static int load_later(struct per__ask *ask, uint64_t hash, per_str key)
{
	struct per__shard *shard = ask->shard;
	struct per__flow *flow = per__flow_of(ask);
	struct per__load_job *work;

	if (flow == NULL)
		return PER_ENOMEM;
	if (flow->loads++ == LOADS_MAX)
		return 503;
	if (per_defer(ask->req, NULL) != 0)
		return PER_ESTATE;
	work = loading_find(shard, hash, key);
	if (work == NULL)
		work = load_put(shard, hash, key);
	if (work == NULL)
		return PER_ENOMEM;
	flow->next_waiter = work->waiters;
	work->waiters = flow;
	flow->state = PER__FLOW_LOADING;
	return PER__FIND_LATER;
}

/* Notes a result in a flow: with many of them the oldest is of no use any more. */
static void found_add(struct per__flow *flow, uint64_t hash, int status, struct per__entry *entry)
{
	struct per__found *found = &flow->found[flow->found_cnt++ % PER__FOUND_MAX];

	if (found->entry != NULL)
		per__cache_give(&flow->shard->cache, found->entry);
	if (entry != NULL)
		per__cache_lend(entry);
	*found = (struct per__found){ .hash = hash, .status = status, .entry = entry };
}

/* The first time that no descriptor was left it is tried again: those of the cache are closed by now. */
static void found_no_descriptor(struct per__flow *flow, uint64_t hash)
{
	if (flow->has_dropped)
		found_add(flow, hash, 503, NULL);
	flow->has_dropped = true;
}

/* Keeps what a job has found, for everybody if the root is still the same, and tells those who wait. */
static void load_take(struct per__shard *shard, struct per__load_job *work)
{
	int status = work->job.was_run ? work->status : 503;
	struct per__entry *entry = work->entry;

	if (status == PER__LOAD_NO_DESCRIPTOR)
		per__cache_drop_fds(&shard->cache);
	if (shard->root == work->root) {
		remember(shard, per_str_make(work->key, work->key_len), status, entry,
			 shard->worker->loop.now_ns);
	} else if (entry != NULL) {
		entry->owner = shard;
		per__cache_adopt(&shard->cache, entry);
	}
	for (struct per__flow *flow = work->waiters; flow != NULL; flow = flow->next_waiter) {
		if (status == PER__LOAD_NO_DESCRIPTOR)
			found_no_descriptor(flow, work->hash);
		else
			found_add(flow, work->hash, status, entry);
	}
	if (entry != NULL)
		per__cache_give(&shard->cache, entry);
}

static void load_done(struct per__job *job)
{
	struct per__load_job *work = (struct per__load_job *)job;
	struct per__shard *shard = work->shard;
	struct per__flow *flow = work->waiters;

	loading_remove(shard, work);
	load_take(shard, work);
	per__root_give(work->root);
	per__block_give(shard->worker, work);
	while (flow != NULL) {
		struct per__flow *next = flow->next_waiter;

		flow->state = PER__FLOW_IDLE;
		if (per__flow_job_ended(flow))
			per__answer_again(flow);
		flow = next;
	}
}

/* What a job has found for this answer before; 0 when it is the entry, -1 when there is nothing. */
static int found_find(const struct per__flow *flow, uint64_t hash, struct per__entry **out)
{
	for (unsigned i = 0; i < PER__FOUND_MAX && flow != NULL; i++) {
		const struct per__found *found = &flow->found[i];

		if (found->hash != hash || (found->status == 0 && found->entry == NULL))
			continue;
		*out = found->entry;
		return found->status;
	}
	return -1;
}

/* --- now -------------------------------------------------------------------------------------- */

static PER_COLD int load_now(struct per__ask *ask, uint64_t hash, per_str key, struct per__entry **out)
{
	struct per__shard *shard = ask->shard;
	struct per__load load;
	int status;

	per__count(&shard->counters.misses, 1);
	if (shard->root == NULL)
		return 503;
	load = load_of(shard, false);
	status = per__load(&load, key, out);
	if (status == PER__LOAD_NO_DESCRIPTOR && per__cache_drop_fds(&shard->cache) > 0)
		status = per__load(&load, key, out);
	if (status == PER__LOAD_NO_DESCRIPTOR)
		return 503;
	if (status == PER__LOAD_WOULD_WAIT)
		return load_later(ask, hash, key);
	remember(shard, key, status, *out, ask->now_ns);
	return status;
}

/* The entry was found; is it still true? Else it is put out. */
static PER_COLD bool entry_check(struct per__ask *ask, struct per__entry *entry)
{
	struct per__shard *shard = ask->shard;
	struct per__load load = load_of(shard, false);

	if (per__load_is_fresh(&load, entry)) {
		entry->checked_ns = ask->now_ns;
		return true;
	}
	per__count(&shard->counters.changes, 1);
	per__cache_remove(&shard->cache, entry);
	return false;
}

void per__entry_release(void *arg)
{
	struct per__entry *entry = arg;
	struct per__shard *shard = entry->owner;

	per__cache_give(&shard->cache, entry);
	per__shard_settle(shard);
}

static inline void entry_lend(struct per__entry *entry, struct per__entry **out)
{
	per__cache_lend(entry);
	*out = entry;
}

/* What is not in the cache, or not true any more. */
static PER_COLD int find_slowly(struct per__ask *ask, uint64_t hash, per_str key, struct per__entry **out)
{
	int status = found_find(ask->flow, hash, out);

	if (status == 0)
		per__cache_lend(*out);
	if (status < 0)
		status = per__brief_find(&ask->shard->cache, hash, key, ask->now_ns);
	else
		return status;
	return status > 0 ? status : load_now(ask, hash, key, out);
}

int per__find(struct per__ask *ask, per_str key, struct per__entry **out)
{
	struct per__shard *shard = ask->shard;
	uint64_t hash = per__key_hash(key);
	struct per__entry *entry = per__cache_find(&shard->cache, hash, key);

	if (PER_UNLIKELY(entry == NULL))
		return find_slowly(ask, hash, key, out);
	if (PER_UNLIKELY(ask->now_ns - entry->checked_ns >= shard->files->conf.check_ns) &&
	    !entry_check(ask, entry))
		return find_slowly(ask, hash, key, out);
	if (!entry->is_hot)
		entry->is_hot = true;
	if (PER_LIKELY(ask->flow == NULL)) /* else it was counted as a miss */
		per__count(&shard->counters.hits, 1);
	entry_lend(entry, out);
	return 0;
}
