/* SPDX-License-Identifier: MIT */
/*
 * topics.c - who is subscribed to what on this worker: a hash table of names, each with a list of members.
 * Touched by its worker only. Called by the application, and by ws.c at the end of a connection.
 */
#include "ws/pubsub.h"
#include "ws/ws.h"

#include "base/mem.h"
#include <string.h>

#define SUBSCRIPTIONS_PER_CONNECTION 4u /* on average; the table of a worker has room for so many */

int per__pubsub_begin(struct per__worker *worker)
{
	struct per__topics *topics = per__mem_reserve(sizeof(*topics));
	uint32_t connections = worker->conf->connections_max;
	uint32_t subscriptions =
		(uint32_t)PER_MIN((uint64_t)connections * SUBSCRIPTIONS_PER_CONNECTION, 1u << 26);
	int err;

	if (topics == NULL)
		return PER_ENOMEM;
	worker->upper_state = topics;
	pthread_mutex_init(&topics->mutex, NULL);
	per__contexts_init(&topics->contexts, worker);
	err = per__slab_init(&topics->topics, sizeof(struct per__topic), 16, connections);
	if (err == 0)
		err = per__slab_init(&topics->subscriptions, sizeof(struct per__subscription), 16,
				     subscriptions);
	return err;
}

void per__pubsub_end(struct per__worker *worker)
{
	struct per__topics *topics = worker->upper_state;

	while (per__pubsub_run_some(worker)) /* what came after the loop had ended: nobody is subscribed */
		;
	per__slab_fini(&topics->subscriptions);
	per__slab_fini(&topics->topics);
	pthread_mutex_destroy(&topics->mutex);
	per__mem_release(topics, sizeof(*topics));
	worker->upper_state = NULL;
}

/* FNV-1a, 32 bits. */
static uint32_t name_hash(per_str name)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ (uint8_t)name.ptr[i]) * 16777619u;
	return hash;
}

struct per__topic *per__topic_find(struct per__topics *topics, per_str name)
{
	uint32_t hash = name_hash(name);
	struct per__topic *topic = topics->bucket[hash % PER__TOPIC_BUCKETS];

	while (topic != NULL && (topic->hash != hash || topic->name_len != name.len ||
				 memcmp(topic->name, name.ptr, name.len) != 0))
		topic = topic->bucket_next;
	return topic;
}

static struct per__topic *topic_make(struct per__topics *topics, per_str name)
{
	struct per__topic *topic = per__slab_take(&topics->topics);
	struct per__topic **bucket;

	if (topic == NULL)
		return NULL;
	topic->hash = name_hash(name);
	topic->first = NULL;
	topic->name_len = (uint8_t)name.len;
	memcpy(topic->name, name.ptr, name.len);
	bucket = &topics->bucket[topic->hash % PER__TOPIC_BUCKETS];
	topic->bucket_next = *bucket;
	*bucket = topic;
	return topic;
}

static void topic_drop(struct per__topics *topics, struct per__topic *topic)
{
	struct per__topic **link = &topics->bucket[topic->hash % PER__TOPIC_BUCKETS];

	while (*link != topic)
		link = &(*link)->bucket_next;
	*link = topic->bucket_next;
	per__slab_give(&topics->topics, topic);
}

static struct per__subscription **subscription_find(struct per_ws *ws, const struct per__topic *topic)
{
	struct per__subscription **link = &ws->subscriptions;

	while (*link != NULL && (*link)->topic != topic)
		link = &(*link)->ws_next;
	return link;
}

static int join(struct per_ws *ws, struct per__topics *topics, struct per__topic *topic)
{
	struct per__subscription *subscription = per__slab_take(&topics->subscriptions);

	if (subscription == NULL)
		return PER_ENOMEM;
	subscription->ws = ws;
	subscription->topic = topic;
	subscription->topic_prev = NULL;
	subscription->topic_next = topic->first;
	if (topic->first != NULL)
		topic->first->topic_prev = subscription;
	topic->first = subscription;
	subscription->ws_next = ws->subscriptions;
	ws->subscriptions = subscription;
	return 0;
}

/* Takes the subscription at link out of both of its lists; a topic without members is gone. */
static void leave(struct per__topics *topics, struct per__subscription **link)
{
	struct per__subscription *subscription = *link;
	struct per__topic *topic = subscription->topic;

	*link = subscription->ws_next;
	if (subscription->topic_prev != NULL)
		subscription->topic_prev->topic_next = subscription->topic_next;
	else
		topic->first = subscription->topic_next;
	if (subscription->topic_next != NULL)
		subscription->topic_next->topic_prev = subscription->topic_prev;
	per__slab_give(&topics->subscriptions, subscription);
	if (topic->first == NULL)
		topic_drop(topics, topic);
}

static bool name_is_valid(per_str topic)
{
	return topic.ptr != NULL && topic.len >= 1 && topic.len <= PER__TOPIC_BYTES_MAX;
}

int per_ws_subscribe(per_ws *ws, per_str topic)
{
	struct per__topics *topics = ws->conn->worker->upper_state;
	struct per__topic *found;
	int err;

	if (!name_is_valid(topic))
		return PER_EINVAL;
	found = per__topic_find(topics, topic);
	if (found != NULL && *subscription_find(ws, found) != NULL)
		return 0;
	if (found == NULL)
		found = topic_make(topics, topic);
	if (found == NULL)
		return PER_ENOMEM;
	err = join(ws, topics, found);
	if (err != 0 && found->first == NULL)
		topic_drop(topics, found);
	return err;
}

int per_ws_unsubscribe(per_ws *ws, per_str topic)
{
	struct per__topics *topics = ws->conn->worker->upper_state;
	struct per__topic *found;
	struct per__subscription **link;

	if (!name_is_valid(topic))
		return PER_EINVAL;
	found = per__topic_find(topics, topic);
	if (found == NULL)
		return 0;
	link = subscription_find(ws, found);
	if (*link != NULL)
		leave(topics, link);
	return 0;
}

void per__pubsub_leave_all(struct per_ws *ws)
{
	struct per__topics *topics = ws->conn->worker->upper_state;

	while (ws->subscriptions != NULL)
		leave(topics, &ws->subscriptions);
}
