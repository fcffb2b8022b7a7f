/* SPDX-License-Identifier: MIT */
/*
 * context.h - what the TLS connections of one worker begin with: OpenSSL's contexts, its own copies of the
 * keys, and the choice of a certificate by the name that a client asks for.
 *
 * Each worker has its own set, so that the locks inside of OpenSSL 3 are never fought for. A set is counted:
 * the worker holds it, and so does every connection, so that a reload leaves old connections alone. Made by
 * any thread, then used by its worker only.
 */
#ifndef PER_TLS_CONTEXT_H
#define PER_TLS_CONTEXT_H

#include "base/base.h"
#include <openssl/types.h>

struct per__tls_conf;
struct per__tls_ctx;
struct per__tls_store;
struct per__tls_tickets;

/**
 * Makes the set of one worker.
 *
 * conf         not kept
 * store        takes a reference
 * tickets      kept; shared by all workers of a server, and has to live longer
 * now_ns       kept: where the worker's monotonic time stands (loop.now_ns), for the age of ticket keys
 * reason, cap  receives what is wrong
 * returns      0, PER_EINVAL or PER_ENOMEM
 */
int per__tls_ctx_new(struct per__tls_ctx **out, const struct per__tls_conf *conf,
		     struct per__tls_store *store, struct per__tls_tickets *tickets, const int64_t *now_ns,
		     char *reason, size_t cap);

/**
 * The worker lets go of the set; it is freed with the last connection that began with it. NULL is allowed.
 */
void per__tls_ctx_drop(struct per__tls_ctx *ctx);

/**
 * A connection's SSL, in server mode, without a BIO. It changes to the certificate of the name that the
 * client asks for by itself. Its application data (SSL_set_app_data) is the caller's.
 *
 * returns  NULL when there is no memory
 */
SSL *per__tls_ctx_open(struct per__tls_ctx *ctx);

/** Frees an SSL from per__tls_ctx_open(). NULL is allowed. */
void per__tls_ctx_close(SSL *ssl);

#endif
