/* SPDX-License-Identifier: MIT */
/*
 * tickets.h - the keys of session tickets (RFC 8446 section 4.6.1, RFC 5077), shared by all workers of a
 * server, since a client may come back to any of them. They outlive reloads of certificates and live in
 * memory only.
 *
 * A key seals tickets for a twelfth of their lifetime, then a new one takes over. The old one opens tickets
 * until the last of them is too old, and is wiped. Time is an argument: monotonic, of any worker.
 */
#ifndef PER_TLS_TICKETS_H
#define PER_TLS_TICKETS_H

#include "base/base.h"

#define PER__TLS_TICKET_PERIODS 12u                         /* of a key in the lifetime of a ticket */
#define PER__TLS_TICKET_KEYS (PER__TLS_TICKET_PERIODS + 2u) /* that can be of use at a time */
#define PER__TLS_TICKET_NAME_BYTES 16u

struct per__tls_ticket_key {
	uint8_t name[PER__TLS_TICKET_NAME_BYTES]; /* stands in the ticket */
	uint8_t cipher[32];                       /* AES-256-CBC */
	uint8_t mac[32];                          /* HMAC-SHA256 */
	int64_t made_ns;
};

/* The keys as one worker has last seen them. Zero at first; only that worker touches it. */
struct per__tls_ticket_view {
	uint32_t generation; /* of the shared ones; 0: never looked */
	uint32_t cnt;
	struct per__tls_ticket_key keys[PER__TLS_TICKET_KEYS]; /* newest first */
};

struct per__tls_replay;
struct per__tls_tickets;

/**
 * Makes the first key.
 *
 * lifetime_s  how long a ticket is good; at least 1
 * returns     0, PER_ENOMEM, or PER_ESYS when there is no randomness
 */
int per__tls_tickets_new(struct per__tls_tickets **out, uint32_t lifetime_s, int64_t now_ns);

/** Wipes the keys. NULL is allowed. */
void per__tls_tickets_free(struct per__tls_tickets *tickets);

/**
 * The key that seals new tickets. Makes one when the current one has had its time; when there is no
 * randomness for it, the current one goes on. Takes a lock only when something has changed.
 *
 * returns  valid until the next call with this view
 * threads  any, each with its own view
 */
const struct per__tls_ticket_key *per__tls_tickets_current(struct per__tls_tickets *tickets,
							   struct per__tls_ticket_view *view, int64_t now_ns);

/**
 * The key that has sealed a ticket.
 *
 * name        PER__TLS_TICKET_NAME_BYTES, from the ticket
 * is_current  receives whether it would seal one now
 * returns     as above; NULL when it is not ours, or too old
 */
const struct per__tls_ticket_key *per__tls_tickets_find(struct per__tls_tickets *tickets,
							struct per__tls_ticket_view *view, int64_t now_ns,
							const uint8_t *name, bool *is_current);

/** What tells whether early data that came with a ticket was taken before. As long as the tickets. */
struct per__tls_replay *per__tls_tickets_replay(struct per__tls_tickets *tickets);

/** Wipes a view. */
void per__tls_ticket_view_wipe(struct per__tls_ticket_view *view);

#endif
