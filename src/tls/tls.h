/* SPDX-License-Identifier: MIT */
/*
 * tls.h - TLS as a codec: records in, plaintext out, and the other way round. The only header of this folder
 * that the core includes; it names nothing of OpenSSL. Knows no socket, no queue, no time: it reads from
 * bytes that were lent for one call and hands every piece of ciphertext to a function.
 */
#ifndef PER_TLS_TLS_H
#define PER_TLS_TLS_H

#include "base/base.h"
#include <peregrine/tls.h>

struct per__tls;     /* one connection */
struct per__tls_ctx; /* the certificates, keys and rules of one worker: tls/context.h */

#define PER__TLS_RECORD_MAX 16384u /* plaintext of one record (RFC 8446 section 5.1) */
#define PER__TLS_OVERHEAD_MAX 96u  /* ciphertext of a record is at most this much longer */

/*
 * What the connections of one worker read from and write to: set before each call below, used only during
 * it. One for all of them, since only one is worked on at a time.
 */
struct per__tls_line {
	uint8_t *in; /* ciphertext that was not read yet, opened in place; a call moves it on */
	size_t in_len;
	/**
	 * Takes ciphertext: copied before it returns. A negative return breaks the connection. Called from
	 * any function below.
	 */
	int (*out)(void *arg, const uint8_t *data, size_t len);
	void *arg;
	/* tls.c's own */
	bool is_dry;          /* the last call has asked for more input than there was */
	bool is_torn;         /* it has put out a part of a record */
	uint32_t records_out; /* records put out by it */
	void *bio, *method;
	struct per__tls *shaking; /* inside per__tls_handshake() */
	struct per__tls_suite {   /* what records are sealed with, fetched once; NULL: not to be had */
		void *cipher;
		void *hmac;
		size_t secret_len;
	} suites[3];
};

/** Prepares a line. Returns 0 or PER_ENOMEM. */
int per__tls_line_open(struct per__tls_line *line);
/** Its connections must have been freed. Safe on a zeroed line. */
void per__tls_line_close(struct per__tls_line *line);

/** The server's side of a new connection; NULL when there is no memory. line must outlive it. */
struct per__tls *per__tls_new(struct per__tls_ctx *ctx, struct per__tls_line *line);
void per__tls_free(struct per__tls *tls);

/**
 * Goes on with the handshake. Returns 1 when it is complete, or when there is 0-RTT to open; 0: more input is
 * needed; PER_EPROTO: failed.
 */
int per__tls_handshake(struct per__tls *tls);

/** The handshake is complete: gives back what only that needed. */
void per__tls_settle(struct per__tls *tls);

/**
 * Opens records until some content is there or the input is used up. Incomplete records are kept inside.
 *
 * buf, cap   room for content, at least PER__TLS_RECORD_MAX bytes; used where it cannot be opened in place
 * data, len  receive the content, in buf or where the input is, writable; valid until the next call. len 0:
 *            nothing more without more input. To be called until then
 * returns    0; PER_EGONE: the peer has sent close_notify and will send nothing more; PER_EPROTO: it broke
 *            the protocol, an alert was put out. There may be content all the same
 */
int per__tls_open(struct per__tls *tls, uint8_t *buf, size_t cap, uint8_t **data, size_t *len);

/**
 * Seals 1 to PER__TLS_RECORD_MAX bytes into one record.
 *
 * dst      room for len + PER__TLS_OVERHEAD_MAX bytes
 * returns  how many bytes were put there; 0: the record went to line->out; PER_EPROTO: it is broken
 */
int per__tls_seal(struct per__tls *tls, const uint8_t *data, size_t len, uint8_t *dst);

/**
 * Is what is opened now 0-RTT (RFC 8446 section 2.3), perhaps replayed? The handshake goes on with further
 * input of per__tls_open(); until it is complete the connection cannot be ended.
 */
bool per__tls_is_early(const struct per__tls *tls);

/** Puts out close_notify (RFC 8446 section 6.1); nothing can be sealed after it. */
void per__tls_end(struct per__tls *tls);

/** Changes the key that seals, as a long-lived connection has to (RFC 8446 section 5.5). Not in TLS 1.2. */
void per__tls_rekey(struct per__tls *tls);

bool per__tls_is_resumed(const struct per__tls *tls);
/** Why the call before this one has failed, in words for the log; forgets it. */
void per__tls_reason(char *buf, size_t cap);
/** What was negotiated; strings are valid as long as tls. */
void per__tls_info_read(const struct per__tls *tls, per_tls_info *out);

#endif
