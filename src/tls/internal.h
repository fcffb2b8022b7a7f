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

/* How far 0-RTT has come (RFC 8446 section 2.3). */
enum per__early {
	PER__EARLY_NOT,     /* there is none, or no more of it and the handshake is complete */
	PER__EARLY_ASKED,   /* it is allowed: perhaps the client has some */
	PER__EARLY_READING, /* it has been accepted */
	PER__EARLY_READ,    /* it has ended, and the handshake goes on */
};

struct per__tls {
	SSL *ssl; /* NULL: direct has taken over */
	struct per__tls_line *line;
	struct per__tls_kept *kept;
	uint8_t early;      /* enum per__early */
	uint8_t early_byte; /* the first of 0-RTT */
	bool has_early_byte;
	uint8_t secrets;   /* bits: which of the two of direct are known */
	bool has_answered; /* something was put out */
	struct per__direct direct;
};

/** Keeps what an SSL has negotiated; NULL when there is no memory. NULL can be freed. */
struct per__tls_kept *per__tls_kept_new(const SSL *ssl);
void per__tls_kept_free(struct per__tls_kept *kept);

/**
 * The beginning of a handshake in which 0-RTT is allowed.
 *
 * returns  1: there is some, and the connection can be used; 0: there is none, the handshake goes on as any;
 *          PER_EAGAIN: more input is needed; PER_EPROTO: failed
 */
int per__early_begin(struct per__tls *tls);

/** As per__tls_open(), while a handshake with 0-RTT is incomplete; goes on with the handshake behind it. */
int per__early_open(struct per__tls *tls, uint8_t *buf, size_t cap, size_t *len);

/**
 * Is it only input that is missing? Asked when a call has not succeeded. Cheaper than SSL_get_error(), and
 * does not mistake what somebody else left in the thread's queue of errors for ours.
 */
static inline bool per__tls_is_starved(const struct per__tls *tls)
{
	return tls->line->is_dry && SSL_want_read(tls->ssl);
}

/** Makes a connection of an SSL (NULL: fails), which it owns from here on, also when it fails. */
struct per__tls *per__tls_attach(SSL *ssl, struct per__tls_line *line);

#endif
