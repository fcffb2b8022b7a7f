/* SPDX-License-Identifier: MIT */
/*
 * pubsub.h - topics: who is subscribed on this worker, and messages on their way to the subscribers of all
 * workers. A published message is one piece of memory that every worker refers to; the last one frees it.
 */
#ifndef PER_WS_PUBSUB_H
#define PER_WS_PUBSUB_H

#include "core/worker.h"
#include "ws/context.h"
#include "ws/deflate.h"
#include <peregrine/ws.h>
#include <pthread.h>
#include <stdatomic.h>

#define PER__TOPIC_BYTES_MAX 255u
#define PER__TOPIC_BUCKETS 4096u
/*
 * What is delivered in one turn, so that it can leave before the next: to one subscriber, and to all of a
 * worker.
 */
#define PER__PUBLISH_TURN_BYTES_EACH (128u * 1024u)
#define PER__PUBLISH_TURN_BYTES ((size_t)8 << 20)
#define PER__PUBLISH_BYTES_MAX \
	((size_t)256 << 20) /* published and not yet sent, all workers; PER_EAGAIN above */

struct per__publication;

/* A frame, ready to send. */
struct per__pub_frame {
	const uint8_t *data;
	size_t len; /* 0: there is none */
};

/* One worker's part of a publication: touched by that worker only. */
struct per__pub_local {
	struct per__publication *pub;
	struct per__publication *next; /* in the worker's list of what has come */
	uint32_t refs;                 /* connections that still send it, and the delivery itself */
};

struct per__publication {
	_Atomic unsigned workers_left; /* that still refer to it */
	struct per__ws_shared *shared;
	size_t bytes; /* of all of it */
	per_ws_type type;
	const uint8_t *payload;
	size_t payload_len;
	struct per__pub_frame plain, deflated;
	const char *topic;
	size_t topic_len;
	struct per__pub_local local[]; /* by worker */
};

/* What all workers share. */
struct per__ws_shared {
	struct per__worker **workers;
	unsigned worker_cnt;
	_Atomic size_t bytes;           /* of all publications */
	_Atomic bool wants_deflate;     /* some connection has agreed on compression */
	pthread_mutex_t mutex;          /* guards the compressor */
	struct per__deflater *deflater; /* without takeover, made when first needed */
	struct per__deflate_memory memory;
};

struct per__topic;

/* A WebSocket's membership in a topic. */
struct per__subscription {
	struct per_ws *ws;
	struct per__topic *topic;
	struct per__subscription *topic_next, *topic_prev;
	struct per__subscription *ws_next;
};

struct per__topic {
	struct per__topic *bucket_next;
	struct per__subscription *first;
	uint32_t hash;
	uint8_t name_len;
	char name[PER__TOPIC_BYTES_MAX];
};

/* A worker's own: worker->upper_state. */
struct per__topics {
	struct per__slab topics, subscriptions;
	struct per__topic *bucket[PER__TOPIC_BUCKETS];
	pthread_mutex_t mutex; /* guards the two below */
	struct per__publication *come_first, *come_last;
	struct per__publication *run_first; /* taken over from there, being delivered */
	struct per__contexts contexts;      /* of compression */
};

/** The hooks of struct per__upper. */
int per__pubsub_begin(struct per__worker *worker);
void per__pubsub_end(struct per__worker *worker);
void per__pubsub_run(struct per__worker *worker);

/** Delivers what one turn may. Returns whether there is more. */
bool per__pubsub_run_some(struct per__worker *worker);

/** Prepares and ends the shared part. workers is borrowed. */
int per__ws_shared_init(struct per__ws_shared *shared, struct per__worker **workers, unsigned worker_cnt);
void per__ws_shared_fini(struct per__ws_shared *shared);

/** Publishes; per_ws_publish() says the rest. Any thread. */
int per__pubsub_publish(struct per__ws_shared *shared, per_str topic, per_ws_type type, const void *data,
			size_t len);

/** The topic of that name, NULL when nobody on this worker is subscribed. */
struct per__topic *per__topic_find(struct per__topics *topics, per_str name);

/** Leaves every topic. */
void per__pubsub_leave_all(struct per_ws *ws);

/**
 * A connection has sent its reference: the release callback of a lent frame. arg is a struct
 * per__pub_local.
 */
void per__pub_release(void *arg);

#endif
