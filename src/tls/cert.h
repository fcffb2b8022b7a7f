/* SPDX-License-Identifier: MIT */
/*
 * cert.h - certificates and keys from PEM files, checked before anybody relies on them. What is wrong is said
 * in words that name the file. Used while a server is made or reloads, never by a worker.
 */
#ifndef PER_TLS_CERT_H
#define PER_TLS_CERT_H

#include "base/log.h"
#include <openssl/types.h>
#include <openssl/x509.h>
#include <peregrine/tls.h>

#define PER__TLS_FILE_BYTES_MAX ((size_t)4 << 20)
#define PER__TLS_CHAIN_MAX 16u

/* Kinds of keys: one certificate of each can stand for the same name. */
enum per__tls_kind {
	PER__TLS_ECDSA,
	PER__TLS_RSA,
	PER__TLS_RSA_PSS,
	PER__TLS_ED25519,
	PER__TLS_ED448,
	PER__TLS_KINDS,
};

/* How to look at certificates, and where to say what was found. */
struct per__tls_check {
	const struct per__log *log; /* for what is odd but works */
	int64_t wall_s;             /* seconds since 1970 */
	bool is_strict;             /* what has expired or is not valid yet is refused, not just logged */
	char *reason;               /* for what is wrong */
	size_t cap;
};

struct per__tls_cert {
	X509 *leaf;
	struct stack_st_X509 *chain; /* what is sent behind it; may be empty */
	EVP_PKEY *key;
	enum per__tls_kind kind;
};

/** Says what is wrong. Returns PER_EINVAL. */
int per__tls_fail(const struct per__tls_check *check, const char *format, ...) PER_PRINTF(2, 3);

/**
 * Reads and checks a certificate, its chain and its key.
 *
 * returns  0, PER_EINVAL with the reason, or PER_ENOMEM
 */
int per__tls_cert_load(struct per__tls_cert *out, const per_tls_cert *conf,
		       const struct per__tls_check *check);

/** Safe on a zeroed one. */
void per__tls_cert_free(struct per__tls_cert *cert);

/** What of it can be told to people. conf is what it was made from. */
void per__tls_cert_describe(const struct per__tls_cert *cert, const per_tls_cert *conf,
			    per_tls_cert_info *out);

/** The kind in words: "ECDSA". */
const char *per__tls_kind_name(enum per__tls_kind kind);

/**
 * Reads a file of certificates, at most most of them.
 *
 * digest   receives the SHA-256 of the file (32 bytes), unless NULL
 * returns  0, PER_EINVAL with the reason, or PER_ENOMEM
 */
int per__tls_certs_read(struct stack_st_X509 **out, const char *path, int most, uint8_t *digest,
			const struct per__tls_check *check);

/** The subject in one line, for people; cut when it is too long. Returns buf. */
const char *per__tls_subject(const X509 *cert, char *buf, size_t cap);

#endif
