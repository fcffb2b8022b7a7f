/* SPDX-License-Identifier: MIT */
/*
 * tls.h - TLS (OpenSSL 3): certificates, versions, client certificates, tickets; changing them while the
 * server runs. docs/tls.md tells how to run it.
 *
 * TLS 1.3, and 1.2 when asked for. A server with a per_tls_config speaks TLS at the listeners that have
 * PER_LISTEN_TLS, or at its only place when it has no list of listeners.
 */
#ifndef PEREGRINE_TLS_H
#define PEREGRINE_TLS_H

#include <peregrine/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Whether clients are asked for a certificate. */
typedef enum per_tls_client_auth {
	/* in a per_tls_config: off; in a per_tls_cert: as in the per_tls_config */
	PER_TLS_CLIENT_DEFAULT = 0,
	PER_TLS_CLIENT_OFF = 1,
	/* asked for; who has none, or one that does not verify, is let in and can be told apart */
	PER_TLS_CLIENT_OPTIONAL = 2,
	/* asked for; without one that verifies the handshake fails */
	PER_TLS_CLIENT_REQUIRED = 3,
} per_tls_client_auth;

/**
 * A certificate, its key, and the names it is for. Several may stand for the same names with different kinds
 * of keys (ECDSA and RSA, say): each client gets the one that suits it, ECDSA first. When two of one kind
 * have a name in common, the earlier one is used for it and the log warns.
 */
typedef struct per_tls_cert {
	/* PEM: the certificate, then the intermediate ones in order, each signed by the next */
	const char *cert_file;
	/* PEM, without a password; default: it is in cert_file */
	const char *key_file;
	/*
	 * "example.com, *.example.com": names that clients ask for (SNI, RFC 6066 section 3), separated by
	 * commas or spaces; a star stands for the whole left-most label (RFC 9525 section 6.3). Default: the
	 * DNS names in the certificate's subjectAltName. Internationalised names in their ASCII form.
	 */
	const char *names;
	/*
	 * for these names; default: per_tls_config.client_auth. A request may name another host in its Host
	 * field: compare with per_req_tls() before trusting that its client was asked
	 */
	per_tls_client_auth client_auth;
	const char *client_ca_file; /* for these names; default: per_tls_config.client_ca_file */
	void *reserved[7];          /* must be NULL */
} per_tls_cert;

/**
 * How a server speaks TLS. Zero means the default. Copied; the files are read by per_server_new() and
 * per_tls_reload() only.
 */
typedef struct per_tls_config {
	/* --- who we are ------------------------------------------------------------------------------ */
	const per_tls_cert *certs; /* 1 to 10,000; the first is for clients that name nobody we know */
	size_t cert_count;
	/* clients that name nobody, or somebody we do not know, are refused (unrecognized_name) */
	bool strict_sni;

	/* --- how we speak ---------------------------------------------------------------------------- */
	bool tls12;               /* TLS 1.2 too (forward secrecy and AEAD only); default: 1.3 alone */
	const char *ciphersuites; /* of TLS 1.3, OpenSSL's names with ':' between; default OpenSSL's three */
	const char *ciphers12;    /* of TLS 1.2; default: ECDHE with AES-GCM or ChaCha20-Poly1305 */
	const char *groups;       /* of the key exchange; default X25519:P-256:P-384 */

	/* --- who they are ---------------------------------------------------------------------------- */
	per_tls_client_auth client_auth;
	/* PEM: the authorities whose client certificates are believed; required unless client_auth is off */
	const char *client_ca_file;
	unsigned client_depth; /* intermediate certificates between theirs and the authority; default 4 */

	/* --- coming back ----------------------------------------------------------------------------- */
	bool tickets_off;           /* no resumption at all */
	unsigned ticket_count;      /* tickets after a full handshake of TLS 1.3; default 1; at most 8 */
	unsigned ticket_lifetime_s; /* how long a ticket is good; default 43,200; at most 604,800 */
	/*
	 * bytes of 0-RTT data that a client may send before the handshake has ended; default none. Such a
	 * request may be a replay (RFC 8446 section 8): per_tls_info.is_early
	 */
	unsigned early_data_max;

	/* --- limits ---------------------------------------------------------------------------------- */
	unsigned handshake_timeout_ms; /* from the accept to the end of the handshake; default 10,000 */
	unsigned handshakes_max;       /* in progress, over all workers; default 4,096 */
	void *reserved[8];             /* must be NULL */
} per_tls_config;

/**
 * Changes the certificates of a server while it runs; also before it runs. Everything is read, checked and
 * built first: when something is wrong, nothing has changed. A certificate that has expired, or is not valid
 * yet, is wrong here, whereas per_server_new() only warns.
 *
 * New connections get the new certificates within a turn of their worker's loop; old connections go on
 * as they are. Tickets from before stay good, unless the client authorities of their name have changed.
 * early_data_max, ticket_lifetime_s, handshake_timeout_ms and handshakes_max stay what they were.
 *
 * config       copied; NULL: the same configuration, from the same files, which are read again
 * reason, cap  receives what is wrong, naming the file; empty when nothing is; reason may be NULL
 * returns      0; PER_EINVAL with the reason; PER_ESTATE when the server was made without per_config.tls;
 *              PER_ENOMEM
 * threads      any, while the server object exists; takes as long as reading and checking the files does,
 *              so not for a worker under load
 */
PER_API int per_tls_reload(per_server *server, const per_tls_config *config, char *reason, size_t cap);

/**
 * Checks a configuration as per_tls_reload() would, files and all, and uses it for nothing.
 *
 * reason, cap  receives what is wrong, naming the file; empty when nothing is; reason may be NULL
 * returns      0; PER_EINVAL with the reason; PER_ENOMEM
 * threads      any
 */
PER_API int per_tls_check(const per_tls_config *config, char *reason, size_t cap);

/** A certificate in use, for those who watch when it ends. */
typedef struct per_tls_cert_info {
	char file[256];       /* per_tls_cert.cert_file; the end of one that is longer */
	char subject[256];    /* as RFC 2253 writes names; cut if longer */
	int64_t not_before_s; /* seconds since 1970 */
	int64_t not_after_s;
	void *reserved[8];
} per_tls_cert_info;

/**
 * Reads what is known of a certificate in use.
 *
 * index    as in per_tls_config.certs
 * returns  0; PER_EINVAL when there is none with that index
 * threads  any, while the server object exists
 */
PER_API int per_tls_cert_at(per_server *server, size_t index, per_tls_cert_info *out);

/** The library that does the cryptography and its version: "OpenSSL 3.0.16 11 Feb 2025". */
PER_API const char *per_tls_library(void);

/* --- asked by handlers ------------------------------------------------------------------------ */

/** What became of the question for a client certificate. */
typedef enum per_tls_client {
	PER_TLS_CLIENT_NONE = 0,     /* it was not asked for, or the client has none */
	PER_TLS_CLIENT_VERIFIED = 1, /* signed by an authority of client_ca_file */
	PER_TLS_CLIENT_FAILED = 2,   /* there is one, and it does not verify: PER_TLS_CLIENT_OPTIONAL only */
} per_tls_client;

/** What client and server agreed on. Text is terminated by NUL, valid as a per_str of the request. */
typedef struct per_tls_info {
	const char *version; /* "TLSv1.3" */
	const char *cipher;  /* "TLS_AES_256_GCM_SHA384" */
	/* what the client asked for (SNI), as sent: perhaps no name of any certificate; absent: nothing */
	per_str server_name;
	per_str alpn; /* "http/1.1", "http/1.0"; absent: no ALPN */
	per_tls_client client;
	/* of the client's certificate, as RFC 2253 writes names: "CN=client,O=Example"; cut if longer */
	char client_subject[256];
	char client_reason[96]; /* PER_TLS_CLIENT_FAILED: why */
	bool is_resumed;        /* no full handshake: keys from a ticket */
	bool is_early;          /* the request began in 0-RTT: it may be a replay */
	void *reserved[8];
} per_tls_info;

/** Did the request come over TLS? */
PER_API bool per_req_is_tls(const per_req *req);

/**
 * Reads what was negotiated on the request's connection.
 *
 * returns  0; PER_ENOTSUP when it is not TLS
 * threads  only the worker that owns req
 */
PER_API int per_req_tls(const per_req *req, per_tls_info *out);

#ifdef __cplusplus
}
#endif

#endif
