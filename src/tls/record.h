/* SPDX-License-Identifier: MIT */
/*
 * record.h - the records of one established connection of TLS 1.3 (RFC 8446 section 5), sealed and opened
 * with OpenSSL's ciphers where the bytes lie. Knows nothing of handshakes, alerts or sockets. Called by
 * tls.c and direct.c. Invariant: no sequence number is used twice with one key.
 */
#ifndef PER_TLS_RECORD_H
#define PER_TLS_RECORD_H

#include "base/base.h"
#include <openssl/types.h>

#define PER__RECORD_HEAD 5u   /* bytes in front of the ciphertext */
#define PER__RECORD_TAG 16u   /* of all three ciphers */
#define PER__RECORD_NONCE 12u /* likewise (RFC 8446 section 5.3) */
#define PER__RECORD_PLAIN_MAX 16384u
#define PER__RECORD_CIPHER_MAX (PER__RECORD_PLAIN_MAX + 256u) /* section 5.2 */
#define PER__SECRET_MAX 48u                                   /* SHA-384 */

/* ContentType and AlertDescription, as far as they are needed (RFC 8446 sections 5.1 and 6). */
enum {
	PER__RECORD_ALERT = 21,
	PER__RECORD_HANDSHAKE = 22,
	PER__RECORD_DATA = 23,

	PER__ALERT_CLOSE_NOTIFY = 0,
	PER__ALERT_UNEXPECTED_MESSAGE = 10,
	PER__ALERT_BAD_RECORD_MAC = 20,
	PER__ALERT_RECORD_OVERFLOW = 22,
	PER__ALERT_ILLEGAL_PARAMETER = 47,
	PER__ALERT_DECODE_ERROR = 50,
	PER__ALERT_INTERNAL_ERROR = 80,
	PER__ALERT_USER_CANCELED = 90,
};

/* One direction. */
struct per__record_key {
	EVP_CIPHER_CTX *cipher; /* with the key */
	uint64_t seq;           /* of the next record */
	uint8_t iv[PER__RECORD_NONCE];
	uint8_t secret[PER__SECRET_MAX]; /* application_traffic_secret_N */
	bool takes_nonce_param;          /* the cipher, and so with less ado */
};

/* Both directions. Zeroed before per__records_begin(). */
struct per__records {
	struct per__record_key open, seal;
	const EVP_CIPHER *cipher; /* AES-GCM or ChaCha20-Poly1305; borrowed, as hmac */
	EVP_MAC_CTX *hmac;        /* with the hash of the cipher suite */
	size_t secret_len;        /* bytes of a secret: as many as the hash has */
};

/**
 * HMAC with a hash ("SHA256"), for any number of connections of one thread, one after the other. Made once,
 * because looking an algorithm up costs more than using it. NULL when it is not to be had. Freed with
 * EVP_MAC_CTX_free().
 */
EVP_MAC_CTX *per__record_hmac_new(const char *digest);

/**
 * Derives keys from the secrets in open.secret and seal.secret. open.seq and seal.seq are the caller's: how
 * many records there were under these keys already.
 *
 * returns  false when there is no memory; per__records_end() is due all the same
 * source   RFC 8446 section 7.3
 */
bool per__records_begin(struct per__records *records, const EVP_CIPHER *cipher, EVP_MAC_CTX *hmac,
			size_t secret_len);

/** Frees, and wipes the secrets. Safe on zeroed records. */
void per__records_end(struct per__records *records);

/**
 * The next generation of one direction's key (RFC 8446 section 7.2): its own KeyUpdate was the last record of
 * the old one. key is &records->open or &records->seal. Returns false when OpenSSL fails.
 */
bool per__record_key_update(const struct per__records *records, struct per__record_key *key);

/**
 * Seals one record.
 *
 * type       ContentType
 * data, len  0 to PER__RECORD_PLAIN_MAX bytes
 * dst        receives len + 22 bytes; apart from data
 * returns    the bytes written, 0 when OpenSSL fails
 */
size_t per__record_seal(struct per__records *records, uint8_t type, const uint8_t *data, size_t len,
			uint8_t *dst);

/**
 * Opens one whole record in place: its content then begins at record + PER__RECORD_HEAD.
 *
 * record, bytes  the header and as much behind it as the header says
 * type, len      receive ContentType and length of the content
 * returns        0, or the alert that is due: then nothing was opened
 */
int per__record_open(struct per__records *records, uint8_t *record, size_t bytes, uint8_t *type, size_t *len);

#endif
