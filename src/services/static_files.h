/* SPDX-License-Identifier: MIT */
/*
 * static_files.h - a served directory: what belongs to it (struct per_static), what belongs to each
 * worker that serves it (struct per__shard), and an answer in progress (struct per__flow). Private to
 * src/services/static*.c.
 *
 *   static.c  life           static_find.c  path to entry
 *   static_reply.c  which answer    static_flow.c  long answers
 */
#ifndef PER_SERVICES_STATIC_FILES_H
#define PER_SERVICES_STATIC_FILES_H

#include "http/path.h"
#include "http/range.h"
#include "http/req.h"
#include "http/resp.h"
#include "http/wants.h"
#include "services/static_cache.h"
#include "services/static_conf.h"
#include "services/static_disk.h"
#include "services/static_load.h"

#define PER__SHARDS_MAX 1024u /* as many as a server may have workers */
#define PER__FOUND_MAX 4u     /* keys that one answer may need: its file, the fallback, an error page */
#define PER__BOUNDARY_BYTES 24u
#define PER__LOADING_BUCKETS 64u

struct per_static {
	struct per__static_conf conf;
	bool has_openat2;
	struct per__disk disk;
	pthread_mutex_t mutex; /* guards what follows, but that a worker reads its own shard */
	per_server *server;    /* that of the shards; NULL: no shard yet */
	struct per__shard *shards[PER__SHARDS_MAX];
	unsigned shard_cnt;
	bool is_closing; /* per_static_free() was called */
};

/* The root directory as one worker has it open. Jobs hold it too. */
struct per__root {
	int fd;
	uint64_t dev, ino;
	uint32_t refs;
};

struct per__shard_counters {
	per__counter hits, misses, changes, disk_reads, cut;
	per__counter entries, bytes, descriptors; /* as the cache had them last */
};

/* What one worker keeps for a directory. */
struct per__shard {
	struct per__attached attached; /* first */
	struct per__disk_owner disk;
	struct per_static *files;
	struct per__worker *worker;
	struct per__root *root; /* NULL: it could not be opened */
	int64_t root_checked_ns;
	struct per__cache cache;
	struct per__load_job *loading[PER__LOADING_BUCKETS]; /* jobs in progress, by hash of their keys */
	uint32_t flows; /* in progress, also those whose exchange is over */
	bool is_closing;
	struct per__shard_counters counters;
};

/* A job that loads an entry, for every flow that asks for it meanwhile. A block of the worker. */
struct per__load_job {
	struct per__job job; /* first */
	struct per__shard *shard;
	struct per__load_job *next; /* of the same bucket */
	struct per__flow *waiters;
	uint64_t hash;
	struct per__root *root; /* held */
	struct per__load load;
	int status; /* of per__load() */
	struct per__entry *entry;
	size_t key_len;
	char key[];
};

/* A job that reads a piece of a file. A block of the worker, which is then lent to the connection. */
struct per__read_job {
	struct per__job job; /* first */
	struct per__flow *flow;
	struct per__worker *worker;
	int fd;
	uint64_t pos;
	size_t wanted; /* bytes */
	size_t got;    /* bytes; 0: the file has become shorter, or cannot be read */
	uint8_t data[];
};

/* What was found for a key while an answer waited. */
struct per__found {
	uint64_t hash;
	int status; /* PER__LOADED: entry, else the status */
	struct per__entry *entry;
};

enum per__flow_state {
	PER__FLOW_IDLE,
	PER__FLOW_LOADING, /* a job looks for a file */
	PER__FLOW_SENDING,
	PER__FLOW_READING, /* a job reads what is to be sent next */
};

/*
 * An answer that cannot be given at once. Lives in a block of the worker until its exchange and its job
 * are over.
 */
struct per__flow {
	struct per__shard *shard;
	struct per_req *req; /* NULL: the exchange is over */
	uint8_t state;       /* enum per__flow_state */

	struct per__flow *next_waiter; /* for the same load */

	/* the question: as in struct per__ask */
	int status;
	per_str key; /* its bytes are behind the structure */
	struct per__found found[PER__FOUND_MAX];
	unsigned found_cnt;
	unsigned loads;   /* how many were waited for */
	bool has_dropped; /* descriptors were closed for it */

	/* what is sent: parts of a variant */
	struct per__entry *entry;
	const struct per__variant *variant;
	struct per__read_job *read; /* what a job has just read */
	struct per__ranges ranges;
	uint32_t part;    /* which of them */
	uint64_t pos;     /* next byte of the content */
	bool head_is_due; /* of a part */
	uint64_t
		warm; /* bytes handed to the kernel in a row, each window soon after the one before; capped */
	int64_t window_ns; /* when the last window was */
	struct per__multipart multipart;
	char boundary[PER__BOUNDARY_BYTES];
};

/* A question: an answer is looked for, now or again after a job. */
struct per__ask {
	struct per__shard *shard;
	struct per_req *req;
	struct per__flow *flow; /* NULL until something has to be waited for */
	int status;             /* not 0: the answer is an error, whatever the path */
	per_str key;
	int64_t now_ns;
	struct per__wants wants;
};

/* --- static.c --------------------------------------------------------------------------------- */

/** Counts a use of the shard less; the last one of a closing shard ends it. */
void per__shard_settle(struct per__shard *shard);

/** Tells the counters, which other threads read, what the cache has. */
void per__shard_note(struct per__shard *shard);

/** Something may be open in the cache: it is to be closed when nobody asks for it. */
void per__shard_watch(struct per__shard *shard);

void per__root_give(struct per__root *root);

/* --- static_find.c ---------------------------------------------------------------------------- */

#define PER__FIND_LATER 1 /* a job was put: the question is asked again when it is done */

/**
 * Finds the entry of a key: in the cache, by loading it, or by having it loaded.
 *
 * out      lent to the caller
 * returns  0; PER__FIND_LATER; the status to answer with; or a negative PER_E*
 */
int per__find(struct per__ask *ask, per_str key, struct per__entry **out);

/** Gives back what per__find() has lent: a struct per__entry. */
void per__entry_release(void *arg);

/* --- static_reply.c --------------------------------------------------------------------------- */

/** Answers, or begins to. Returns 0 or a negative PER_E*. */
int per__answer(struct per__ask *ask);

/** Asks again after a job. */
void per__answer_again(struct per__flow *flow);

/* --- static_flow.c ---------------------------------------------------------------------------- */

/** The flow of a question, made if there is none. NULL: no memory. */
struct per__flow *per__flow_of(struct per__ask *ask);

/** Begins to send parts of the flow's variant (NULL: all of it) behind a head that is queued. */
void per__flow_send(struct per__flow *flow, const struct per__ranges *ranges);

/** The answer cannot go on: the connection is cut. */
void per__flow_cut(struct per__flow *flow);

/** A job of the flow is over: frees the flow if its exchange is over too. Returns false then. */
bool per__flow_job_ended(struct per__flow *flow);

#endif
