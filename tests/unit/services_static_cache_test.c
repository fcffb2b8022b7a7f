/* SPDX-License-Identifier: MIT */
/*
 * services_static_cache_test.c - the entries that a worker keeps: budgets, the clock, loans, brief
 * answers. Entries are made by hand; no file is opened.
 */
#include "services/static_cache.h"

#include "base/mem.h"
#include "support/unit.h"

#include <fcntl.h>

static struct per__entry *entry_new(const char *key, size_t bytes, bool has_fd)
{
	struct per__entry *entry = per__entry_new(per_str_from(key), per_str_from(key));
	struct per__variant *variant = per__mem_alloc(sizeof(*variant));

	assert_non_null(entry);
	assert_non_null(variant);
	variant->fd = has_fd ? open("/dev/null", O_RDONLY) : -1;
	entry->variants[0] = variant;
	entry->fds = has_fd ? 1 : 0;
	entry->bytes = bytes; /* what the cache is to believe */
	return entry;
}

static struct per__entry *find(struct per__cache *cache, const char *key)
{
	return per__cache_find(cache, per__key_hash(per_str_from(key)), per_str_from(key));
}

/* Inserts an entry that nobody uses. */
static struct per__entry *add(struct per__cache *cache, const char *key, size_t bytes, bool has_fd)
{
	struct per__entry *entry = entry_new(key, bytes, has_fd);

	per__cache_insert(cache, entry);
	per__cache_give(cache, entry);
	return find(cache, key);
}

static void end(struct per__cache *cache)
{
	per__cache_clear(cache);
	assert_int_equal(cache->bytes, 0);
	assert_int_equal(cache->fds, 0);
	per__cache_fini(cache);
}

static void test_cache_finds_what_was_inserted(void **state)
{
	struct per__cache cache;
	char key[32];

	(void)state;
	assert_int_equal(per__cache_init(&cache, 1 << 20, 1000, 10), 0);
	for (int i = 0; i < 500; i++) {
		snprintf(key, sizeof(key), "path/%d/file-%d", i % 7, i);
		assert_non_null(add(&cache, key, 100, false));
	}
	for (int i = 0; i < 500; i++) {
		snprintf(key, sizeof(key), "path/%d/file-%d", i % 7, i);
		assert_string_equal(find(&cache, key)->key, key);
	}
	assert_null(find(&cache, "path/0/file-1"));
	assert_null(find(&cache, ""));
	assert_non_null(add(&cache, "", 100, false));
	assert_non_null(find(&cache, ""));
	assert_int_equal(cache.entries, 501);
	assert_int_equal(cache.bytes, 50100);
	end(&cache);
}

static void test_cache_same_key_replaces(void **state)
{
	struct per__cache cache;
	struct per__entry *old, *new;

	(void)state;
	assert_int_equal(per__cache_init(&cache, 1000, 10, 10), 0);
	old = entry_new("a", 100, true);
	per__cache_insert(&cache, old); /* lent */
	new = add(&cache, "a", 200, false);
	assert_ptr_equal(find(&cache, "a"), new);
	assert_int_equal(cache.bytes, 300); /* the old one lives while it is lent */
	assert_int_equal(cache.lent, 1);
	assert_int_equal(cache.fds, 1);
	per__cache_give(&cache, old);
	assert_int_equal(cache.bytes, 200);
	assert_int_equal(cache.fds, 0);
	assert_int_equal(cache.lent, 0);
	end(&cache);
}

static void test_cache_keeps_each_budget_at_its_limit(void **state)
{
	struct per__cache cache;
	char key[32];

	(void)state;
	assert_int_equal(per__cache_init(&cache, 1000, 5, 2), 0);
	for (int i = 0; i < 5; i++) {
		snprintf(key, sizeof(key), "%d", i);
		assert_non_null(add(&cache, key, 200, false));
	}
	assert_int_equal(cache.entries, 5); /* at both limits: all are there */
	assert_int_equal(cache.evictions, 0);
	assert_non_null(add(&cache, "x", 200, false));
	assert_int_equal(cache.entries, 5);
	assert_int_equal(cache.bytes, 1000);
	assert_int_equal(cache.evictions, 1);
	assert_non_null(add(&cache, "y", 1000, false)); /* all of it */
	assert_int_equal(cache.entries, 1);
	assert_null(add(&cache, "z", 1001, false)); /* one more than there is */
	assert_non_null(find(&cache, "y"));
	end(&cache);
}

static void test_cache_keeps_the_budget_of_descriptors(void **state)
{
	struct per__cache cache;

	(void)state;
	assert_int_equal(per__cache_init(&cache, 100000, 100, 2), 0);
	assert_non_null(add(&cache, "plain", 10, false));
	assert_non_null(add(&cache, "a", 10, true));
	assert_non_null(add(&cache, "b", 10, true));
	assert_non_null(add(&cache, "c", 10, true));
	assert_int_equal(cache.fds, 2);
	assert_non_null(find(&cache, "plain")); /* its going would not have helped */
	assert_int_equal(per__cache_drop_fds(&cache), 2);
	assert_int_equal(cache.fds, 0);
	assert_non_null(find(&cache, "plain"));
	end(&cache);
}

static void test_cache_spares_what_is_asked_for(void **state)
{
	struct per__cache cache;
	char key[32];

	(void)state;
	assert_int_equal(per__cache_init(&cache, 1000, 100, 10), 0);
	assert_non_null(add(&cache, "hot", 100, false));
	for (int i = 0; i < 200; i++) {
		find(&cache, "hot")->is_hot = true;
		snprintf(key, sizeof(key), "once-%d", i);
		assert_non_null(add(&cache, key, 100, false));
		assert_non_null(find(&cache, "hot"));
	}
	for (int i = 0; i < 20; i++) { /* not asked for any more */
		snprintf(key, sizeof(key), "later-%d", i);
		add(&cache, key, 100, false);
	}
	assert_null(find(&cache, "hot"));
	end(&cache);
}

static void test_cache_lent_entries_do_not_make_room(void **state)
{
	struct per__cache cache;
	struct per__entry *lent[5], *more;
	char key[32];

	(void)state;
	assert_int_equal(per__cache_init(&cache, 500, 100, 10), 0);
	for (int i = 0; i < 5; i++) {
		snprintf(key, sizeof(key), "lent-%d", i);
		lent[i] = entry_new(key, 100, false);
		per__cache_insert(&cache, lent[i]);
	}
	more = entry_new("more", 100, false);
	per__cache_insert(&cache, more); /* usable, not remembered */
	assert_null(find(&cache, "more"));
	assert_int_equal(cache.bytes, 600);
	per__cache_give(&cache, more);
	assert_int_equal(cache.bytes, 500);
	per__cache_clear(&cache); /* put out, not freed */
	assert_int_equal(cache.lent, 5);
	for (int i = 0; i < 5; i++)
		per__cache_give(&cache, lent[i]);
	end(&cache);
}

static void test_cache_without_memory_keeps_nothing(void **state)
{
	struct per__cache cache;

	(void)state;
	assert_int_equal(per__cache_init(&cache, 0, 100, 10), 0);
	assert_null(add(&cache, "a", 100, false));
	per__brief_insert(&cache, 1, PER_S("a"), 404, 1000);
	assert_int_equal(per__brief_find(&cache, 1, PER_S("a"), 0), 0);
	assert_int_equal(cache.bytes, 0);
	end(&cache);
}

static void test_brief_answers_end_with_their_time(void **state)
{
	struct per__cache cache;
	uint64_t hash = per__key_hash(PER_S("gone"));
	char key[200];

	(void)state;
	assert_int_equal(per__cache_init(&cache, 1000, 100, 10), 0);
	per__brief_insert(&cache, hash, PER_S("gone"), 404, 1000);
	assert_int_equal(per__brief_find(&cache, hash, PER_S("gone"), 999), 404);
	assert_int_equal(per__brief_find(&cache, hash, PER_S("gone"), 1000), 0);
	assert_int_equal(per__brief_find(&cache, hash, PER_S("gonf"), 999),
			 0); /* the same hash will not do */
	memset(key, 'k', sizeof(key));
	per__brief_insert(&cache, 7, per_str_make(key, PER__BRIEF_KEY_MAX), 403, 1000);
	assert_int_equal(per__brief_find(&cache, 7, per_str_make(key, PER__BRIEF_KEY_MAX), 0), 403);
	per__brief_insert(&cache, 8, per_str_make(key, PER__BRIEF_KEY_MAX + 1), 403, 1000);
	assert_int_equal(per__brief_find(&cache, 8, per_str_make(key, PER__BRIEF_KEY_MAX + 1), 0), 0);
	per__cache_clear(&cache);
	assert_int_equal(per__brief_find(&cache, hash, PER_S("gone"), 0), 0);
	end(&cache);
}

/* Random inserts, loans and gives: the sums stay true. */
static void test_cache_accounts_exactly(void **state)
{
	struct per__cache cache;
	struct per__entry *lent[16] = { NULL };
	uint64_t seed = 42;
	char key[32];

	(void)state;
	assert_int_equal(per__cache_init(&cache, 5000, 20, 4), 0);
	for (int i = 0; i < 20000; i++) {
		unsigned slot = (unsigned)(test_random(&seed) % 16);

		if (lent[slot] != NULL) {
			per__cache_give(&cache, lent[slot]);
			lent[slot] = NULL;
			continue;
		}
		snprintf(key, sizeof(key), "%u", (unsigned)(test_random(&seed) % 40));
		lent[slot] = find(&cache, key);
		if (lent[slot] != NULL) {
			lent[slot]->is_hot = true;
			per__cache_lend(lent[slot]);
		} else {
			lent[slot] =
				entry_new(key, 100 + test_random(&seed) % 900, test_random(&seed) % 4 == 0);
			per__cache_insert(&cache, lent[slot]);
		}
		assert_true(cache.entries <= 20);
	}
	for (unsigned i = 0; i < 16; i++) {
		if (lent[i] != NULL)
			per__cache_give(&cache, lent[i]);
	}
	assert_int_equal(cache.lent, 0);
	assert_true(cache.bytes <= 5000);
	assert_true(cache.fds <= 4);
	end(&cache);
}

static void test_cache_drop_idle_closes_what_is_old_and_not_lent(void **state)
{
	struct per__cache cache;
	struct per__entry *lent;

	(void)state;
	assert_int_equal(per__cache_init(&cache, 1 << 20, 100, 10), 0);
	assert_true(per__cache_drop_idle(&cache, 1000) == INT64_MAX);
	add(&cache, "memory", 10, false)->checked_ns = 5;
	add(&cache, "old", 10, true)->checked_ns = 10;
	add(&cache, "young", 10, true)->checked_ns = 11;
	lent = add(&cache, "lent", 10, true);
	lent->checked_ns = 9;
	per__cache_lend(lent);
	assert_true(per__cache_drop_idle(&cache, 10) == 9);
	assert_null(find(&cache, "old"));
	assert_non_null(find(&cache, "memory"));
	assert_non_null(find(&cache, "young"));
	assert_non_null(find(&cache, "lent"));
	per__cache_give(&cache, lent);
	assert_true(per__cache_drop_idle(&cache, 10) == 11);
	assert_int_equal(cache.fds, 1);
	assert_true(per__cache_drop_idle(&cache, 11) == INT64_MAX);
	assert_int_equal(cache.fds, 0);
	assert_int_equal(cache.entries, 1);
	end(&cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cache_finds_what_was_inserted),
		cmocka_unit_test(test_cache_same_key_replaces),
		cmocka_unit_test(test_cache_keeps_each_budget_at_its_limit),
		cmocka_unit_test(test_cache_keeps_the_budget_of_descriptors),
		cmocka_unit_test(test_cache_spares_what_is_asked_for),
		cmocka_unit_test(test_cache_lent_entries_do_not_make_room),
		cmocka_unit_test(test_cache_without_memory_keeps_nothing),
		cmocka_unit_test(test_brief_answers_end_with_their_time),
		cmocka_unit_test(test_cache_accounts_exactly),
		cmocka_unit_test(test_cache_drop_idle_closes_what_is_old_and_not_lent),
	};

	return cmocka_run_group_tests_name("static_cache", tests, NULL, NULL);
}
