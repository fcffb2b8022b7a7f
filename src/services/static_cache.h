/* SPDX-License-Identifier: MIT */
/*
 * static_cache.h - the entries that one worker keeps, by key, within budgets of memory, entries and
 * descriptors; and briefly the answers to paths that have no entry. No locks, no system call but close().
 * An entry that is put out while it is lent lives on, and counts, until it is given back.
 */
#ifndef PER_SERVICES_STATIC_CACHE_H
#define PER_SERVICES_STATIC_CACHE_H

#include "services/static_entry.h"

#define PER__BRIEF_CNT 256u /* answers that are remembered briefly; a power of two */
#define PER__BRIEF_KEY_MAX 110u

/* The answer to a path that is no file: 301, 403, 404. */
struct per__brief {
	uint64_t hash;
	int64_t until_ns;
	uint16_t status; /* 0: unused */
	uint16_t key_len;
	char key[PER__BRIEF_KEY_MAX];
};

struct per__cache {
	struct per__entry **buckets;
	size_t bucket_mask;
	struct per__entry *hand; /* in the clock, a ring of all cached entries */
	struct per__brief *briefs;
	uint32_t entries, entries_max; /* cached */
	uint32_t fds, fds_max;         /* of all entries, also of those that are put out and still lent */
	size_t bytes, bytes_max;       /* as well */
	uint32_t lent;                 /* entries that are put out and still lent */
	per__counter evictions;
};

/** Returns 0 or PER_ENOMEM. With bytes_max 0 nothing is kept. */
int per__cache_init(struct per__cache *cache, size_t bytes_max, uint32_t entries_max, uint32_t fds_max);

/** Puts everything out. Entries that are lent live on; the cache may be used until the last is given back. */
void per__cache_clear(struct per__cache *cache);

/** Frees what per__cache_init() has made. Nothing may be lent. */
void per__cache_fini(struct per__cache *cache);

uint64_t per__key_hash(per_str key);

/** The entry of that key, or NULL. Not lent by this. */
struct per__entry *per__cache_find(struct per__cache *cache, uint64_t hash, per_str key);

/**
 * Takes over an entry and lends it to the caller: remembered if it fits, in the place of an older one
 * with its key; else it lives until it is given back.
 */
void per__cache_insert(struct per__cache *cache, struct per__entry *entry);

/** Takes over an entry and lends it to the caller, without remembering it. */
void per__cache_adopt(struct per__cache *cache, struct per__entry *entry);

/** Puts an entry out of the cache. */
void per__cache_remove(struct per__cache *cache, struct per__entry *entry);

/** Closes the descriptors of entries that nobody uses, by putting these out. Returns how many were closed. */
uint32_t per__cache_drop_fds(struct per__cache *cache);

/**
 * Puts out entries with descriptors that nobody uses and that were last known to be true at before_ns or
 * earlier. Returns when the oldest of those that stay was; INT64_MAX: none has a descriptor.
 */
int64_t per__cache_drop_idle(struct per__cache *cache, int64_t before_ns);

static inline void per__cache_lend(struct per__entry *entry)
{
	entry->refs++;
}

/** Gives a lent entry back. */
void per__cache_give(struct per__cache *cache, struct per__entry *entry);

/** The status that was remembered for a key, 0: none, or its time is over. */
int per__brief_find(const struct per__cache *cache, uint64_t hash, per_str key, int64_t now_ns);
void per__brief_insert(struct per__cache *cache, uint64_t hash, per_str key, int status, int64_t until_ns);

#endif
