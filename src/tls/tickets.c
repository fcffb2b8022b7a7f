/* SPDX-License-Identifier: MIT */
/*
 * tickets.c - the keys of session tickets: made, rotated, forgotten. What is sealed with them is context.c's
 * business.
 * Invariant: the shared keys and the generation change together, under the mutex; a view with the same
 * generation holds the same keys.
 */
#include "tls/tickets.h"

#include "base/mem.h"
#include "tls/replay.h"
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <peregrine/types.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

struct per__tls_tickets {
	int64_t lifetime_ns; /* of a ticket */
	int64_t period_ns;   /* how long a key seals */
	struct per__tls_replay *replay;
	pthread_mutex_t mutex;
	_Atomic uint32_t generation; /* never 0 */
	uint32_t cnt;
	struct per__tls_ticket_key keys[PER__TLS_TICKET_KEYS]; /* newest first */
};

static bool key_make(struct per__tls_ticket_key *key, int64_t now_ns)
{
	key->made_ns = now_ns;
	return RAND_bytes(key->name, sizeof(key->name)) == 1 &&
	       RAND_priv_bytes(key->cipher, sizeof(key->cipher)) == 1 &&
	       RAND_priv_bytes(key->mac, sizeof(key->mac)) == 1;
}

int per__tls_tickets_new(struct per__tls_tickets **out, uint32_t lifetime_s, int64_t now_ns)
{
	struct per__tls_tickets *tickets = per__mem_alloc(sizeof(*tickets));

	PER_ASSERT(lifetime_s > 0);
	*out = NULL;
	if (tickets == NULL)
		return PER_ENOMEM;
	tickets->lifetime_ns = lifetime_s * SECOND_NS;
	tickets->period_ns = tickets->lifetime_ns / PER__TLS_TICKET_PERIODS;
	tickets->generation = 1;
	tickets->cnt = 1;
	tickets->replay = per__tls_replay_new();
	if (tickets->replay == NULL || !key_make(&tickets->keys[0], now_ns)) {
		int err = tickets->replay == NULL ? PER_ENOMEM : PER_ESYS;

		per__tls_replay_free(tickets->replay);
		per__mem_free(tickets);
		return err;
	}
	pthread_mutex_init(&tickets->mutex, NULL);
	*out = tickets;
	return 0;
}

void per__tls_tickets_free(struct per__tls_tickets *tickets)
{
	if (tickets == NULL)
		return;
	per__tls_replay_free(tickets->replay);
	pthread_mutex_destroy(&tickets->mutex);
	OPENSSL_cleanse(tickets, sizeof(*tickets));
	per__mem_free(tickets);
}

struct per__tls_replay *per__tls_tickets_replay(struct per__tls_tickets *tickets)
{
	return tickets->replay;
}

void per__tls_ticket_view_wipe(struct per__tls_ticket_view *view)
{
	OPENSSL_cleanse(view, sizeof(*view));
}

/* Whether the last ticket that a key can have sealed is too old by now. */
static bool is_too_old(const struct per__tls_tickets *tickets, const struct per__tls_ticket_key *key,
		       int64_t now_ns)
{
	return now_ns - key->made_ns >= tickets->period_ns + tickets->lifetime_ns;
}

/* Under the mutex. Another worker may have been here first: then there is nothing to do. */
static void rotate(struct per__tls_tickets *tickets, int64_t now_ns)
{
	struct per__tls_ticket_key key;

	if (now_ns - tickets->keys[0].made_ns < tickets->period_ns || !key_make(&key, now_ns))
		return;
	while (tickets->cnt > 0 && (tickets->cnt == PER__TLS_TICKET_KEYS ||
				    is_too_old(tickets, &tickets->keys[tickets->cnt - 1], now_ns)))
		OPENSSL_cleanse(&tickets->keys[--tickets->cnt], sizeof(key));
	memmove(&tickets->keys[1], &tickets->keys[0], tickets->cnt * sizeof(key));
	tickets->keys[0] = key;
	tickets->cnt++;
	OPENSSL_cleanse(&key, sizeof(key));
	atomic_fetch_add_explicit(&tickets->generation, tickets->generation == UINT32_MAX ? 2 : 1,
				  memory_order_release);
}

/* Makes the view what the shared keys are, or have to be now. */
static void view_refresh(struct per__tls_tickets *tickets, struct per__tls_ticket_view *view, int64_t now_ns)
{
	bool is_due = view->cnt == 0 || now_ns - view->keys[0].made_ns >= tickets->period_ns;

	if (PER_LIKELY(!is_due &&
		       view->generation == atomic_load_explicit(&tickets->generation, memory_order_acquire)))
		return;
	pthread_mutex_lock(&tickets->mutex);
	rotate(tickets, now_ns);
	view->generation = tickets->generation;
	view->cnt = tickets->cnt;
	memcpy(view->keys, tickets->keys, sizeof(view->keys));
	pthread_mutex_unlock(&tickets->mutex);
}

const struct per__tls_ticket_key *per__tls_tickets_current(struct per__tls_tickets *tickets,
							   struct per__tls_ticket_view *view, int64_t now_ns)
{
	view_refresh(tickets, view, now_ns);
	return &view->keys[0];
}

const struct per__tls_ticket_key *per__tls_tickets_find(struct per__tls_tickets *tickets,
							struct per__tls_ticket_view *view, int64_t now_ns,
							const uint8_t *name, bool *is_current)
{
	view_refresh(tickets, view, now_ns);
	for (uint32_t i = 0; i < view->cnt; i++) {
		const struct per__tls_ticket_key *key = &view->keys[i];

		if (memcmp(key->name, name, sizeof(key->name)) != 0)
			continue;
		*is_current = i == 0;
		return is_too_old(tickets, key, now_ns) ? NULL : key;
	}
	return NULL;
}
