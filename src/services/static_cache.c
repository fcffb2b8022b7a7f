/* SPDX-License-Identifier: MIT */
/*
 * static_cache.c - the entries that one worker keeps. A hash table, and a clock: the hand goes round,
 * spares who was asked for since its last visit, and puts out the others until what is new fits.
 */
#include "services/static_cache.h"

#include "base/mem.h"
#include <string.h>

static size_t buckets_for(uint32_t entries_max)
{
	size_t cnt = 16;

	while (cnt < entries_max)
		cnt *= 2;
	return cnt;
}

int per__cache_init(struct per__cache *cache, size_t bytes_max, uint32_t entries_max, uint32_t fds_max)
{
	size_t buckets = buckets_for(entries_max);

	*cache = (struct per__cache){
		.bucket_mask = buckets - 1,
		.entries_max = entries_max,
		.fds_max = fds_max,
		.bytes_max = bytes_max,
	};
	cache->buckets = per__mem_alloc(buckets * sizeof(struct per__entry *));
	cache->briefs = per__mem_alloc(PER__BRIEF_CNT * sizeof(*cache->briefs));
	if (cache->buckets == NULL || cache->briefs == NULL) {
		per__cache_fini(cache);
		return PER_ENOMEM;
	}
	return 0;
}

void per__cache_fini(struct per__cache *cache)
{
	PER_ASSERT(cache->lent == 0);
	PER_ASSERT(cache->entries == 0);
	per__mem_free(cache->buckets);
	per__mem_free(cache->briefs);
}

/* Eight bytes at a time. Only paths that exist get an entry, so nobody can fill one bucket at will. */
uint64_t per__key_hash(per_str key)
{
	uint64_t hash = key.len * 0x9e3779b97f4a7c15u;
	const char *pos = key.ptr;
	size_t left = key.len;
	uint64_t word;

	for (; left >= sizeof(word); pos += sizeof(word), left -= sizeof(word)) {
		memcpy(&word, pos, sizeof(word));
		hash = (hash ^ word) * 0xbf58476d1ce4e5b9u;
		hash ^= hash >> 29;
	}
	word = 0;
	if (left > 0)
		memcpy(&word, pos, left);
	hash = (hash ^ word) * 0x94d049bb133111ebu;
	return hash ^ (hash >> 32);
}

struct per__entry *per__cache_find(struct per__cache *cache, uint64_t hash, per_str key)
{
	struct per__entry *entry = cache->buckets[hash & cache->bucket_mask];

	while (entry != NULL && (entry->hash != hash || entry->key_len != key.len ||
				 memcmp(entry->key, key.ptr, key.len) != 0))
		entry = entry->next;
	return entry;
}

/* --- putting out ------------------------------------------------------------------------------ */

static void entry_release(struct per__cache *cache, struct per__entry *entry)
{
	cache->bytes -= entry->bytes;
	cache->fds -= entry->fds;
	per__entry_free(entry);
}

static void unlink_bucket(struct per__cache *cache, struct per__entry *entry)
{
	struct per__entry **link = &cache->buckets[entry->hash & cache->bucket_mask];

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
}

static void unlink_clock(struct per__cache *cache, struct per__entry *entry)
{
	entry->before->after = entry->after;
	entry->after->before = entry->before;
	if (cache->hand == entry)
		cache->hand = entry->after != entry ? entry->after : NULL;
}

void per__cache_remove(struct per__cache *cache, struct per__entry *entry)
{
	PER_ASSERT(entry->is_cached);
	unlink_bucket(cache, entry);
	unlink_clock(cache, entry);
	entry->is_cached = false;
	cache->entries--;
	if (entry->refs > 0)
		cache->lent++;
	else
		entry_release(cache, entry);
}

void per__cache_give(struct per__cache *cache, struct per__entry *entry)
{
	PER_ASSERT(entry->refs > 0);
	if (--entry->refs > 0 || entry->is_cached)
		return;
	cache->lent--;
	entry_release(cache, entry);
}

void per__cache_clear(struct per__cache *cache)
{
	while (cache->hand != NULL)
		per__cache_remove(cache, cache->hand);
	memset(cache->briefs, 0, PER__BRIEF_CNT * sizeof(*cache->briefs));
}

/* --- making room ------------------------------------------------------------------------------ */

static bool is_full(const struct per__cache *cache, const struct per__entry *entry)
{
	return cache->entries >= cache->entries_max || cache->bytes + entry->bytes > cache->bytes_max ||
	       (entry->fds > 0 && cache->fds + entry->fds > cache->fds_max);
}

/* Would it help the new entry if this one went? */
static bool helps(const struct per__cache *cache, const struct per__entry *candidate,
		  const struct per__entry *entry)
{
	if (candidate->refs > 0)
		return false; /* its memory would not come free */
	return cache->entries >= cache->entries_max || cache->bytes + entry->bytes > cache->bytes_max ||
	       candidate->fds > 0;
}

/* Two rounds of the clock at most: the first may only have cooled everything down. */
static bool make_room(struct per__cache *cache, const struct per__entry *entry)
{
	for (size_t left = 2 * (size_t)cache->entries; left > 0 && is_full(cache, entry); left--) {
		struct per__entry *candidate = cache->hand;

		if (candidate == NULL)
			break;
		cache->hand = candidate->after;
		if (candidate->is_hot) {
			candidate->is_hot = false;
		} else if (helps(cache, candidate, entry)) {
			per__cache_remove(cache, candidate);
			per__count(&cache->evictions, 1);
		}
	}
	return !is_full(cache, entry);
}

uint32_t per__cache_drop_fds(struct per__cache *cache)
{
	uint32_t before = cache->fds;

	for (size_t left = cache->entries; left > 0; left--) {
		struct per__entry *entry = cache->hand;

		PER_ASSERT(entry != NULL); /* as many as entries go round */
		cache->hand = entry->after;
		if (entry->fds > 0 && entry->refs == 0)
			per__cache_remove(cache, entry);
	}
	return before - cache->fds;
}

int64_t per__cache_drop_idle(struct per__cache *cache, int64_t before_ns)
{
	int64_t oldest_ns = INT64_MAX;

	for (size_t left = cache->entries; left > 0; left--) {
		struct per__entry *entry = cache->hand;

		PER_ASSERT(entry != NULL); /* as many as entries go round */
		cache->hand = entry->after;
		if (entry->fds == 0)
			continue;
		if (entry->refs == 0 && entry->checked_ns <= before_ns)
			per__cache_remove(cache, entry);
		else
			oldest_ns = PER_MIN(oldest_ns, entry->checked_ns);
	}
	return oldest_ns;
}

/* --- coming in -------------------------------------------------------------------------------- */

static void link_in(struct per__cache *cache, struct per__entry *entry)
{
	struct per__entry **bucket = &cache->buckets[entry->hash & cache->bucket_mask];

	entry->next = *bucket;
	*bucket = entry;
	if (cache->hand == NULL) {
		entry->before = entry->after = entry;
		cache->hand = entry;
	} else { /* behind the hand: it comes there last */
		entry->after = cache->hand;
		entry->before = cache->hand->before;
		entry->before->after = entry;
		entry->after->before = entry;
	}
	entry->is_cached = true;
	cache->entries++;
}

void per__cache_adopt(struct per__cache *cache, struct per__entry *entry)
{
	entry->refs = 1;
	cache->bytes += entry->bytes;
	cache->fds += entry->fds;
	cache->lent++;
}

void per__cache_insert(struct per__cache *cache, struct per__entry *entry)
{
	per_str key = per_str_make(entry->key, entry->key_len);
	struct per__entry *old;
	bool fits;

	entry->hash = per__key_hash(key);
	entry->refs = 1;
	old = per__cache_find(cache, entry->hash, key);
	if (old != NULL)
		per__cache_remove(cache, old);
	fits = entry->bytes <= cache->bytes_max && make_room(cache, entry);
	cache->bytes += entry->bytes;
	cache->fds += entry->fds;
	if (fits)
		link_in(cache, entry);
	else
		cache->lent++;
}

/* --- brief answers ---------------------------------------------------------------------------- */

int per__brief_find(const struct per__cache *cache, uint64_t hash, per_str key, int64_t now_ns)
{
	const struct per__brief *brief = &cache->briefs[hash & (PER__BRIEF_CNT - 1)];

	if (brief->hash != hash || brief->until_ns <= now_ns || brief->key_len != key.len ||
	    memcmp(brief->key, key.ptr, key.len) != 0)
		return 0;
	return brief->status;
}

void per__brief_insert(struct per__cache *cache, uint64_t hash, per_str key, int status, int64_t until_ns)
{
	struct per__brief *brief = &cache->briefs[hash & (PER__BRIEF_CNT - 1)];

	if (key.len > PER__BRIEF_KEY_MAX || cache->bytes_max == 0)
		return;
	brief->hash = hash;
	brief->until_ns = until_ns;
	brief->status = (uint16_t)status;
	brief->key_len = (uint16_t)key.len;
	memcpy(brief->key, key.ptr, key.len);
}
