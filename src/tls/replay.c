/* SPDX-License-Identifier: MIT */
/*
 * replay.c - a table of ClientHellos, found by their random: what the client has chosen there is covered by
 * the binder of its ticket, so nobody else can change it. Called by context.c.
 */
#include "tls/replay.h"

#include "base/mem.h"
#include <pthread.h>
#include <string.h>

struct slot {
	uint64_t tag;     /* of the random */
	int64_t until_ns; /* free from then on */
};

struct per__tls_replay {
	pthread_mutex_t mutex;
	struct slot slots[PER__TLS_REPLAY_SLOTS];
};

_Static_assert(PER__TLS_REPLAY_SLOTS % PER__TLS_REPLAY_WAYS == 0, "no slot is left over");

struct per__tls_replay *per__tls_replay_new(void)
{
	struct per__tls_replay *replay = per__mem_alloc(sizeof(*replay));

	if (replay != NULL)
		pthread_mutex_init(&replay->mutex, NULL);
	return replay;
}

void per__tls_replay_free(struct per__tls_replay *replay)
{
	if (replay != NULL)
		pthread_mutex_destroy(&replay->mutex);
	per__mem_free(replay);
}

/* Under the mutex. */
static bool remember(struct slot *slots, uint64_t tag, int64_t now_ns)
{
	struct slot *place = NULL;

	for (unsigned i = 0; i < PER__TLS_REPLAY_WAYS; i++) {
		if (slots[i].until_ns <= now_ns)
			place = &slots[i];
		else if (slots[i].tag == tag)
			return false;
	}
	if (place != NULL)
		*place = (struct slot){ .tag = tag, .until_ns = now_ns + PER__TLS_REPLAY_NS };
	return place != NULL;
}

bool per__tls_replay_is_first(struct per__tls_replay *replay, const uint8_t *random, int64_t now_ns)
{
	uint64_t tag;
	uint32_t index;
	bool is_first;

	_Static_assert(sizeof(tag) + sizeof(index) <= PER__TLS_RANDOM_BYTES, "two parts of it");
	memcpy(&tag, random, sizeof(tag));
	memcpy(&index, random + sizeof(tag), sizeof(index));
	index %= PER__TLS_REPLAY_SLOTS / PER__TLS_REPLAY_WAYS;
	pthread_mutex_lock(&replay->mutex);
	is_first = remember(&replay->slots[(size_t)index * PER__TLS_REPLAY_WAYS], tag, now_ns);
	pthread_mutex_unlock(&replay->mutex);
	return is_first;
}
