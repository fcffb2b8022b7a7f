/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what the files of this folder share, with OpenSSL's types in it. Included by nothing else but
 * tests.
 */
#ifndef PER_TLS_INTERNAL_H
#define PER_TLS_INTERNAL_H

#include "tls/direct.h"
#include "tls/tls.h"
#include <openssl/ssl.h>

/* What stays of a handshake when its SSL is gone. */
struct per__tls_kept {
	const char *version, *cipher; /* OpenSSL's constants */
	bool is_resumed;
	per_tls_info *client;      /* what was said of its certificate, or NULL: none */
	size_t name_len, alpn_len; /* of what is in text */
	char text[];
};

struct per__tls {
	SSL *ssl; /* NULL: direct has taken over */
	struct per__tls_line *line;
	struct per__tls_kept *kept;
	uint8_t secrets;   /* bits: which of the two of direct are known */
	bool has_answered; /* something was put out */
	struct per__direct direct;
};

/** Keeps what an SSL has negotiated; NULL when there is no memory. NULL can be freed. */
struct per__tls_kept *per__tls_kept_new(const SSL *ssl);
void per__tls_kept_free(struct per__tls_kept *kept);

/** Makes a connection of an SSL (NULL: fails), which it owns from here on, also when it fails. */
struct per__tls *per__tls_attach(SSL *ssl, struct per__tls_line *line);

#endif
