/* SPDX-License-Identifier: MIT */
/*
 * pubsub.c - one message to all subscribers: built once, handed to every worker, freed by the last.
 * A publisher's messages stand in each worker's list in the order they were published. Sends nothing itself
 * (out.c).
 */
#include "ws/pubsub.h"
#include "ws/ws.h"

#include "base/mem.h"
#include <string.h>

#define SHARED_LEVEL 1
#define SHARED_MIN_BYTES 64u

/* --- the shared compressor -------------------------------------------------------------------- */

static void *heap_take(void *arg, size_t bytes)
{
	(void)arg;
	return per__mem_alloc(bytes);
}

static void heap_give(void *arg, void *block)
{
	(void)arg;
	per__mem_free(block);
}

int per__ws_shared_init(struct per__ws_shared *shared, struct per__worker **workers, unsigned worker_cnt)
{
	shared->workers = workers;
	shared->worker_cnt = worker_cnt;
	shared->memory = (struct per__deflate_memory){ .take = heap_take, .give = heap_give };
	return pthread_mutex_init(&shared->mutex, NULL) == 0 ? 0 : PER_ENOMEM;
}

void per__ws_shared_fini(struct per__ws_shared *shared)
{
	if (shared->workers == NULL)
		return;
	if (shared->deflater != NULL)
		per__deflater_free(shared->deflater);
	pthread_mutex_destroy(&shared->mutex);
	shared->workers = NULL;
}

/*
 * Compresses data into dst, which has room for the bound. Returns the length, 0: it is not worth it, or not
 * possible.
 */
static size_t shared_compress(struct per__ws_shared *shared, uint8_t *dst, const void *data, size_t len)
{
	int64_t n = 0;

	pthread_mutex_lock(&shared->mutex);
	if (shared->deflater == NULL)
		shared->deflater = per__deflater_new(&shared->memory, 15, SHARED_LEVEL, true);
	if (shared->deflater != NULL)
		n = per__deflate_message(shared->deflater, dst, per__deflate_bound(len), data, len);
	pthread_mutex_unlock(&shared->mutex);
	return n > 0 && (size_t)n < len ? (size_t)n : 0;
}

/* --- publications ----------------------------------------------------------------------------- */

static void pub_free(struct per__publication *pub)
{
	atomic_fetch_sub(&pub->shared->bytes, pub->bytes);
	per__mem_free(pub);
}

static void worker_done(struct per__publication *pub)
{
	if (atomic_fetch_sub(&pub->workers_left, 1) == 1)
		pub_free(pub);
}

void per__pub_release(void *arg)
{
	struct per__pub_local *local = arg;

	if (--local->refs == 0)
		worker_done(local->pub);
}

/* Lays out topic, plain frame and compressed frame behind the workers' parts, in one piece of memory. */
static struct per__publication *pub_make(struct per__ws_shared *shared, per_str topic, per_ws_type type,
					 const void *data, size_t len)
{
	bool wants_deflate = atomic_load(&shared->wants_deflate) && len >= SHARED_MIN_BYTES;
	size_t frame_max = PER__WS_SERVER_HEAD_MAX + len;
	size_t deflated_max = wants_deflate ? PER__WS_SERVER_HEAD_MAX + per__deflate_bound(len) : 0;
	size_t locals_bytes = shared->worker_cnt * sizeof(struct per__pub_local);
	size_t bytes = sizeof(struct per__publication) + locals_bytes + topic.len + frame_max + deflated_max;
	struct per__publication *pub;
	uint8_t *pos;
	size_t head_len;

	if (atomic_fetch_add(&shared->bytes, bytes) + bytes > PER__PUBLISH_BYTES_MAX) {
		atomic_fetch_sub(&shared->bytes, bytes);
		return NULL;
	}
	pub = per__mem_alloc(bytes);
	if (pub == NULL) {
		atomic_fetch_sub(&shared->bytes, bytes);
		return NULL;
	}
	pub->shared = shared;
	pub->bytes = bytes;
	pub->type = type;
	for (unsigned i = 0; i < shared->worker_cnt; i++)
		pub->local[i].pub = pub;
	pos = (uint8_t *)pub->local + locals_bytes;
	pub->topic = memcpy(pos, topic.ptr, topic.len);
	pub->topic_len = topic.len;
	pos += topic.len;
	head_len = per__ws_frame_head(pos, (uint8_t)type, true, false, len);
	if (len > 0)
		memcpy(pos + head_len, data, len);
	pub->plain = (struct per__pub_frame){ pos, head_len + len };
	pub->payload = pos + head_len;
	pub->payload_len = len;
	if (wants_deflate) {
		pos += frame_max;
		len = shared_compress(shared, pos + PER__WS_SERVER_HEAD_MAX, data, len);
		head_len = per__ws_frame_head(pos, (uint8_t)type, true, true, len);
		memmove(pos + head_len, pos + PER__WS_SERVER_HEAD_MAX, len);
		pub->deflated = (struct per__pub_frame){ pos, len > 0 ? head_len + len : 0 };
	}
	return pub;
}

static void worker_give(struct per__worker *worker, struct per__publication *pub)
{
	struct per__topics *topics = worker->upper_state;

	pthread_mutex_lock(&topics->mutex);
	if (topics->come_last != NULL)
		topics->come_last->local[worker->index].next = pub;
	else
		topics->come_first = pub;
	topics->come_last = pub;
	pthread_mutex_unlock(&topics->mutex);
	per__mailbox_poke(&worker->mailbox, per__worker_wake, worker);
}

int per__pubsub_publish(struct per__ws_shared *shared, per_str topic, per_ws_type type, const void *data,
			size_t len)
{
	struct per__publication *pub;

	if (topic.ptr == NULL || topic.len == 0 || topic.len > PER__TOPIC_BYTES_MAX ||
	    len > PER__PUBLISH_BYTES_MAX / 4 || (type != PER_WS_TEXT && type != PER_WS_BINARY))
		return PER_EINVAL;
	pub = pub_make(shared, topic, type, data, len);
	if (pub == NULL)
		return PER_EAGAIN;
	atomic_store(&pub->workers_left, shared->worker_cnt);
	for (unsigned i = 0; i < shared->worker_cnt; i++)
		worker_give(shared->workers[i], pub);
	return 0;
}

/* --- delivery --------------------------------------------------------------------------------- */

/* Returns how many subscribers there are on this worker. */
static size_t deliver(struct per__worker *worker, struct per__publication *pub)
{
	struct per__topics *topics = worker->upper_state;
	struct per__topic *topic = per__topic_find(topics, per_str_make(pub->topic, pub->topic_len));
	struct per__subscription *subscription = topic != NULL ? topic->first : NULL;
	size_t subscribers = 0;

	pub->local[worker->index].refs = 1;
	for (; subscription != NULL; subscription = subscription->topic_next) {
		per__ws_send_shared(subscription->ws, pub);
		subscribers++;
	}
	per__pub_release(&pub->local[worker->index]);
	return subscribers;
}

/* The next publication for this worker, NULL: there is none. */
static struct per__publication *take_next(struct per__worker *worker)
{
	struct per__topics *topics = worker->upper_state;
	struct per__publication *pub;

	if (topics->run_first == NULL) {
		pthread_mutex_lock(&topics->mutex);
		topics->run_first = topics->come_first;
		topics->come_first = topics->come_last = NULL;
		pthread_mutex_unlock(&topics->mutex);
	}
	pub = topics->run_first;
	if (pub != NULL)
		topics->run_first = pub->local[worker->index].next;
	return pub;
}

bool per__pubsub_run_some(struct per__worker *worker)
{
	size_t bytes = 0, bytes_each = 0;

	while (bytes < PER__PUBLISH_TURN_BYTES && bytes_each < PER__PUBLISH_TURN_BYTES_EACH) {
		struct per__publication *pub = take_next(worker);
		size_t len, subscribers;

		if (pub == NULL)
			return false;
		len = pub->plain.len;
		subscribers = deliver(worker, pub);
		bytes += len * subscribers;
		bytes_each += subscribers > 0 ? len : 0;
	}
	return true;
}

void per__pubsub_run(struct per__worker *worker)
{
	if (per__pubsub_run_some(worker))
		per__worker_wake(worker);
}
