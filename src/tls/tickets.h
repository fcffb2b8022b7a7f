/* SPDX-License-Identifier: MIT */
/*
 * tickets.h - the keys of session tickets (RFC 8446 section 4.6.1, RFC 5077), shared by all workers of a
 * server: a client may come back to any of them. They outlive reloads of certificates.
 */
#ifndef PER_TLS_TICKETS_H
#define PER_TLS_TICKETS_H

#include "base/base.h"

struct per__tls_tickets;

/**
 * Makes the first key.
 *
 * lifetime_s  how long a ticket is good
 * returns     0, PER_ENOMEM, or PER_ESYS when there is no randomness
 */
int per__tls_tickets_new(struct per__tls_tickets **out, uint32_t lifetime_s, int64_t now_ns);

/** Wipes the keys. NULL is allowed. */
void per__tls_tickets_free(struct per__tls_tickets *tickets);

#endif
