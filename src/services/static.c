/* SPDX-License-Identifier: MIT */
/*
 * static.c - the life of a served directory, and of what each worker keeps for it.
 * A shard is made by its worker at its first request and ends there: when per_static_free() was called
 * and nothing is lent any more, or with the worker. Invariant: only its worker touches a shard; the list
 * of shards is under a mutex.
 */
#include "services/static_files.h"

#include "base/mem.h"
#include <peregrine/server.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* --- the root --------------------------------------------------------------------------------- */

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

/* Opens the root as it is now. Returns 0 or a negative errno. */
static int root_open(const struct per__static_conf *conf, int *fd, struct stat *stat)
{
	*fd = openat(conf->cwd >= 0 ? conf->cwd : AT_FDCWD, conf->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return -errno;
	if (fstat(*fd, stat) == 0)
		return 0;
	close(*fd);
	return -EIO;
}

static bool root_is(const struct per__root *root, const struct stat *stat)
{
	return root != NULL && root->dev == (uint64_t)stat->st_dev && root->ino == (uint64_t)stat->st_ino;
}

void per__root_give(struct per__root *root)
{
	if (root == NULL || --root->refs > 0)
		return;
	close(root->fd);
	per__mem_free(root);
}

/* From here on the shard looks below the root that is there now, and knows nothing of the old one. */
static void root_replace(struct per__shard *shard)
{
	struct per__root *root = per__mem_alloc(sizeof(*root));
	struct stat stat = { 0 };

	if (root == NULL)
		return;
	if (root_open(&shard->files->conf, &root->fd, &stat) != 0) {
		per__mem_free(root);
		return;
	}
	root->dev = (uint64_t)stat.st_dev;
	root->ino = (uint64_t)stat.st_ino;
	root->refs = 1;
	per__cache_clear(&shard->cache);
	per__root_give(shard->root);
	shard->root = root;
}

/*
 * Is the root another directory now? One that has vanished is kept: it may be about to be replaced, and
 * what is in it tells by itself that it is gone.
 */
static void root_check(struct per__shard *shard, int64_t now_ns)
{
	const struct per__static_conf *conf = &shard->files->conf;
	struct stat stat;

	shard->root_checked_ns = now_ns;
	if (fstatat(conf->cwd >= 0 ? conf->cwd : AT_FDCWD, conf->root, &stat, 0) == 0 &&
	    S_ISDIR(stat.st_mode) && !root_is(shard->root, &stat))
		root_replace(shard);
}

/* --- shards ----------------------------------------------------------------------------------- */

static void files_destroy(struct per_static *files)
{
	per__disk_fini(&files->disk);
	pthread_mutex_destroy(&files->mutex);
	per__static_conf_fini(&files->conf);
	per__mem_free(files);
}

/* Takes the shard off the list, and frees it; the last one of a closing directory takes that along. */
static void shard_forget(struct per__shard *shard, bool is_used)
{
	struct per_static *files = shard->files;
	bool is_last;

	pthread_mutex_lock(&files->mutex);
	__atomic_store_n(&files->shards[shard->worker->index], NULL, __ATOMIC_RELAXED);
	files->shard_cnt--;
	if (files->shard_cnt == 0)
		files->server = NULL;
	is_last = files->shard_cnt == 0 && files->is_closing;
	pthread_mutex_unlock(&files->mutex);
	if (!is_used) {
		per__cache_fini(&shard->cache);
		per__mem_free(shard);
	}
	if (is_last)
		files_destroy(files);
}

void per__shard_note(struct per__shard *shard)
{
	__atomic_store_n(&shard->counters.entries, shard->cache.entries, __ATOMIC_RELAXED);
	__atomic_store_n(&shard->counters.bytes, shard->cache.bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&shard->counters.descriptors, shard->cache.fds, __ATOMIC_RELAXED);
}

void per__shard_watch(struct per__shard *shard)
{
	const struct per__static_conf *conf = &shard->files->conf;

	if (shard->attached.due_ns == INT64_MAX)
		per__worker_due(shard->worker, &shard->attached,
				shard->worker->loop.now_ns + conf->idle_ns + conf->check_ns);
}

/*
 * Closes what nobody has asked for in a while. Who is asked for is looked at for changes when check_ns has
 * passed since the last look: so an entry knows to within that time when it was last asked for, at no cost
 * for who asks. The worker is woken again only while something is open.
 */
static void shard_on_due(struct per__attached *attached)
{
	struct per__shard *shard = (struct per__shard *)attached;
	const struct per__static_conf *conf = &shard->files->conf;
	int64_t now_ns = shard->worker->loop.now_ns;
	int64_t idle_ns = conf->idle_ns + conf->check_ns;
	int64_t oldest_ns = per__cache_drop_idle(&shard->cache, now_ns - idle_ns);

	per__shard_note(shard);
	if (oldest_ns != INT64_MAX) /* not too often, when it is a long answer that keeps an entry open */
		per__worker_due(shard->worker, attached, PER_MAX(oldest_ns + idle_ns, now_ns + idle_ns / 4));
}

/* Connections go before files that nobody is being sent: these can be opened again. */
static void shard_on_short(struct per__attached *attached)
{
	struct per__shard *shard = (struct per__shard *)attached;

	(void)per__cache_drop_fds(&shard->cache);
	per__shard_note(shard);
}

static bool shard_is_used(const struct per__shard *shard)
{
	return shard->flows > 0 || shard->cache.lent > 0;
}

static void shard_close(struct per__shard *shard)
{
	if (shard->is_closing)
		return;
	shard->is_closing = true;
	per__cache_clear(&shard->cache);
	per__root_give(shard->root);
	shard->root = NULL;
}

void per__shard_settle(struct per__shard *shard)
{
	if (!shard->is_closing || shard_is_used(shard))
		return;
	per__worker_detach(shard->worker, &shard->attached);
	shard_forget(shard, false);
}

static void jobs_done(struct per__shard *shard)
{
	struct per__job *job = per__disk_take(&shard->files->disk, &shard->disk);

	while (job != NULL) {
		struct per__job *next = job->next;

		job->done(job);
		job = next;
	}
}

static void shard_on_wake(struct per__attached *attached)
{
	struct per__shard *shard = (struct per__shard *)attached;
	bool is_closing;

	shard->flows++; /* a hold: what is done may be the last of it */
	jobs_done(shard);
	shard->flows--;
	pthread_mutex_lock(&shard->files->mutex);
	is_closing = shard->files->is_closing;
	pthread_mutex_unlock(&shard->files->mutex);
	if (is_closing)
		shard_close(shard);
	per__shard_settle(shard);
}

/*
 * The worker ends, and its connections are closed. If one could not be (the kernel still holds its
 * memory), what is lent to it is never freed: the process is about to end.
 */
static void shard_on_end(struct per__attached *attached)
{
	struct per__shard *shard = (struct per__shard *)attached;

	per__disk_drain(&shard->files->disk, &shard->disk);
	jobs_done(shard);
	shard_close(shard);
	shard_forget(shard, shard_is_used(shard));
}

static void shard_wake(struct per__disk_owner *owner)
{
	struct per__shard *shard = PER_CONTAINER_OF(owner, struct per__shard, disk);

	per__worker_poke(shard->worker);
}

static struct per__shard *shard_new(struct per_static *files, struct per__worker *worker, unsigned workers)
{
	const struct per__static_conf *conf = &files->conf;
	struct per__shard *shard = per__mem_alloc(sizeof(*shard));

	if (shard == NULL)
		return NULL;
	if (per__cache_init(&shard->cache, conf->is_cached ? conf->cache_bytes / workers : 0,
			    PER_MAX(conf->cache_entries / workers, 1u),
			    PER_MAX(conf->cache_descriptors / workers, 1u)) != 0) {
		per__mem_free(shard);
		return NULL;
	}
	shard->files = files;
	shard->worker = worker;
	shard->disk.wake = shard_wake;
	shard->attached.on_wake = shard_on_wake;
	shard->attached.on_end = shard_on_end;
	shard->attached.on_due = shard_on_due;
	shard->attached.on_short = shard_on_short;
	root_check(shard, worker->loop.now_ns);
	return shard;
}

/* The first request on this worker. */
static PER_COLD int shard_make(struct per_static *files, struct per_req *req, struct per__shard **out)
{
	struct per__worker *worker = req->conn->worker;
	struct per__shard *shard;
	bool is_mine;

	if (worker->index >= PER__SHARDS_MAX)
		return PER_ESTATE;
	pthread_mutex_lock(&files->mutex);
	if (files->server == NULL)
		files->server = worker->server;
	is_mine =
		files->server == worker->server && files->shards[worker->index] == NULL && !files->is_closing;
	files->shard_cnt += is_mine;
	pthread_mutex_unlock(&files->mutex);
	if (!is_mine)
		return PER_ESTATE;
	shard = shard_new(files, worker, per_server_workers(worker->server));
	pthread_mutex_lock(&files->mutex);
	__atomic_store_n(&files->shards[worker->index], shard, __ATOMIC_RELAXED);
	files->shard_cnt -= shard == NULL;
	pthread_mutex_unlock(&files->mutex);
	if (shard == NULL)
		return PER_ENOMEM;
	per__worker_attach(worker, &shard->attached);
	*out = shard;
	return 0;
}

static inline int shard_of(struct per_static *files, struct per_req *req, struct per__shard **out)
{
	const struct per__worker *worker = req->conn->worker;
	struct per__shard *shard = NULL;

	if (PER_LIKELY(worker->index < PER__SHARDS_MAX))
		shard = __atomic_load_n(&files->shards[worker->index], __ATOMIC_RELAXED);
	if (PER_UNLIKELY(shard == NULL || shard->worker != worker))
		return shard_make(files, req, out);
	*out = shard;
	return 0;
}

/* --- requests --------------------------------------------------------------------------------- */

/* Prepares a question. Returns 0 or a negative PER_E*. */
static inline int ask_begin(struct per__ask *ask, struct per_static *files, struct per_req *req)
{
	int err = shard_of(files, req, &ask->shard);

	if (PER_UNLIKELY(err != 0))
		return err;
	ask->req = req;
	ask->flow = NULL;
	ask->status = 0;
	ask->key = (per_str){ NULL, 0 };
	ask->now_ns = req->conn->worker->loop.now_ns;
	if (PER_UNLIKELY(ask->now_ns - ask->shard->root_checked_ns >= files->conf.check_ns))
		root_check(ask->shard, ask->now_ns);
	return 0;
}

int per_static_reply_path(per_static *files, per_req *req, per_str path)
{
	char key[PER__KEY_CAP];
	struct per__path parsed;
	struct per__ask ask;
	int status;
	int err = ask_begin(&ask, files, req);

	if (PER_UNLIKELY(err != 0))
		return err;
	status = per__path_parse(&parsed, key, PER__PATH_CAP, path);
	if (PER_UNLIKELY(status != 0)) {
		ask.status = -status;
	} else if (PER_UNLIKELY(parsed.has_dotfile && !files->conf.serves_dotfiles)) {
		ask.status = 404;
	} else {
		ask.key = per_str_make(key, parsed.len);
		if (parsed.ends_in_slash && parsed.len > 0)
			key[ask.key.len++] = '/';
	}
	return per__answer(&ask);
}

int per_static_reply(per_static *files, per_req *req)
{
	return per_static_reply_path(files, req, per_req_path(req));
}

int per_static_reply_error(per_static *files, per_req *req, int status)
{
	struct per__ask ask;
	int err;

	if (status < 400 || status > 599)
		return PER_EINVAL;
	err = ask_begin(&ask, files, req);
	if (err != 0)
		return err;
	ask.status = status;
	return per__answer(&ask);
}

/* --- life ------------------------------------------------------------------------------------- */

/* Is the root there, and a directory? */
static int root_probe(struct per_static *files)
{
	struct stat stat;
	int fd;
	int err = root_open(&files->conf, &fd, &stat);

	if (err != 0) {
		per__log(&files->conf.log, PER_LOG_ERROR, "static files: %s cannot be opened: %s",
			 files->conf.root,
			 err == -ENOENT    ? "there is no such directory"
			 : err == -ENOTDIR ? "it is not a directory"
			 : err == -EACCES  ? "permission denied"
			 : err == -EMFILE  ? "no descriptor left"
					   : "the system refuses");
		return err == -EACCES                     ? PER_EACCES
		       : err == -EMFILE || err == -ENFILE ? PER_EMFILE
							  : PER_EINVAL;
	}
	files->has_openat2 = per__below_probe(fd);
	if (!files->has_openat2)
		per__log(
			&files->conf.log, PER_LOG_INFO,
			"static files: openat2() does not work here; paths are walked one segment at a time");
	close(fd);
	return 0;
}

int per_static_new_sized(per_static **out, const per_static_config *config, size_t config_bytes)
{
	per_static_config known = { 0 };
	struct per_static *files;
	int err;

	if (out == NULL)
		return PER_EINVAL;
	*out = NULL;
	if (config == NULL)
		return PER_EINVAL;
	memcpy(&known, config, PER_MIN(config_bytes, sizeof(known)));
	files = per__mem_alloc(sizeof(*files));
	if (files == NULL)
		return PER_ENOMEM;
	err = per__static_conf_init(&files->conf, &known);
	if (err == 0)
		err = root_probe(files);
	if (err == 0)
		err = per__disk_init(&files->disk, files->conf.disk_threads);
	if (err != 0) {
		per__static_conf_fini(&files->conf);
		per__mem_free(files);
		return err;
	}
	pthread_mutex_init(&files->mutex, NULL);
	*out = files;
	return 0;
}

void per_static_free(per_static *files)
{
	bool is_unused;

	if (files == NULL)
		return;
	pthread_mutex_lock(&files->mutex);
	files->is_closing = true;
	is_unused = files->shard_cnt == 0;
	for (unsigned i = 0; i < PER__SHARDS_MAX && !is_unused; i++) {
		if (files->shards[i] !=
		    NULL) /* its worker lives as long as it is listed, and ends it when woken */
			per__worker_poke(files->shards[i]->worker);
	}
	pthread_mutex_unlock(&files->mutex);
	if (is_unused)
		files_destroy(files);
}

/* --- counters --------------------------------------------------------------------------------- */

static void stats_add(per_static_stats *sum, const struct per__shard *shard)
{
	const struct per__shard_counters *counters = &shard->counters;

	sum->hits += per__counter_read(&counters->hits);
	sum->misses += per__counter_read(&counters->misses);
	sum->changes += per__counter_read(&counters->changes);
	sum->evictions += per__counter_read(&shard->cache.evictions);
	sum->disk_reads += per__counter_read(&counters->disk_reads);
	sum->cut += per__counter_read(&counters->cut);
	sum->entries_now += per__counter_read(&counters->entries);
	sum->bytes_now += per__counter_read(&counters->bytes);
	sum->descriptors_now += per__counter_read(&counters->descriptors);
}

int per_static_stats_sized(per_static *files, per_static_stats *out, size_t stats_bytes)
{
	per_static_stats sum = { 0 };

	if (files == NULL || out == NULL)
		return PER_EINVAL;
	pthread_mutex_lock(&files->mutex);
	for (unsigned i = 0; i < PER__SHARDS_MAX; i++) {
		if (files->shards[i] != NULL)
			stats_add(&sum, files->shards[i]);
	}
	pthread_mutex_unlock(&files->mutex);
	memset(out, 0, stats_bytes);
	memcpy(out, &sum, PER_MIN(stats_bytes, sizeof(sum)));
	return 0;
}
