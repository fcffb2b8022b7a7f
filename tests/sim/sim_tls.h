/* SPDX-License-Identifier: MIT */
/*
 * sim_tls.h - TLS on the simulated backend: the server of sim_http.h with a certificate, and OpenSSL clients
 * in memory as its peers. OpenSSL's randomness comes from the seed as well, so a schedule repeats.
 * Called by tests/sim/sim_tls_*test.c.
 */
#ifndef PER_TESTS_SIM_SIM_TLS_H
#define PER_TESTS_SIM_SIM_TLS_H

#include "sim/sim_http.h"

#include <openssl/ssl.h>

#define SIM_TLS_CLIENTS_MAX 128u
#define SIM_TLS_CUT_NS 1000

struct sim_tls;

/* What a client asks for. Zero: TLS 1.3, a full handshake. */
struct sim_tls_wish {
	bool is_old;          /* TLS 1.2 alone */
	bool is_retried;      /* its key share is of a group that the server does not take */
	uint8_t max_fragment; /* TLSEXT_max_fragment_length_* */
	bool is_resuming;     /* with the newest ticket of the world, which has to be there */
	const uint8_t *early; /* 0-RTT, of a client that resumes where sim_tls_want_early() was */
	size_t early_len;
	bool cuts_randomly; /* what it sends arrives in random pieces at random times */
	uint64_t cut_at;    /* what it sends in all pauses there */
	uint64_t stalls_at; /* nothing behind this is ever sent; 0: all */
	bool ends_at_cut;   /* or is over there */
	bool distrusts;     /* it does not take the server's certificate */
	uint64_t flip_at;   /* this byte arrives changed */
	uint8_t flip_bits;  /* by these bits; 0: not at all */
};

struct sim_tls_client {
	struct sim_tls *world;
	struct per__sim_peer *peer;
	SSL *ssl;
	uint8_t *plain; /* what was read */
	size_t plain_len, plain_cap;
	uint64_t sent; /* ciphertext */
	struct sim_tls_wish wish;
	bool is_established;
	bool has_ended;   /* close_notify has come */
	bool is_broken;   /* OpenSSL said so */
	bool sent_fin;    /* nothing can be sent any more */
	bool is_resumed;  /* known when established */
	bool is_early;    /* likewise: what the wish had in early has been taken */
	unsigned tickets; /* that have come */
};

/* A world with a server that speaks TLS, and its clients. */
struct sim_tls {
	struct sim_http http;
	struct sim_tls_client *clients[SIM_TLS_CLIENTS_MAX];
	unsigned client_cnt;
	SSL_SESSION *session; /* of the newest ticket of TLS 1.3 that any client got */
};

/** change may be NULL; it is asked after the world has set up TLS. */
void sim_tls_begin(struct sim_tls *world, uint64_t seed, sim_http_change change);
/** A change: 0-RTT is allowed. */
void sim_tls_want_early(per_config *config, uint64_t seed);
/** Frees the clients, then as sim_http_end(). */
void sim_tls_end(struct sim_tls *world);

/** Connects and begins a handshake. The world frees it; a wish of NULL is zero. */
struct sim_tls_client *sim_tls_connect(struct sim_tls *world, const struct sim_tls_wish *wish);
/** Frees the newest client. */
void sim_tls_client_free(struct sim_tls_client *client);

/** One turn of the server, then each client reads and answers. */
void sim_tls_turn(struct sim_tls *world);
#define SIM_TLS_RUN_UNTIL(world, claim)                                                                \
	for (uint32_t sim_tls_turns = 0; !(claim); sim_tls_turns++) {                                  \
		if (sim_tls_turns > 3000000 || (world)->http.is_stopped)                               \
			sim_http_fail(&(world)->http, "%s:%d: never happened: %s", __FILE__, __LINE__, \
				      #claim);                                                         \
		sim_tls_turn(world);                                                                   \
	}

/** Seals data in one call of OpenSSL's and sends the records; only when established. */
void sim_tls_write(struct sim_tls_client *client, const void *data, size_t len);
/** Changes the keys; the server is asked to do so too, if it is to. TLS 1.3. */
void sim_tls_update(struct sim_tls_client *client, bool both_ways);
/** Sends what OpenSSL has made. */
void sim_tls_flush(struct sim_tls_client *client);
void sim_tls_send_close_notify(struct sim_tls_client *client);
void sim_tls_send_fin(struct sim_tls_client *client);
/** The connection is over for both sides. */
bool sim_tls_is_over(struct sim_tls_client *client);

/** As sim_http_expect(), of the plaintext. */
void sim_tls_expect(struct sim_tls_client *client, const uint8_t *kinds, size_t count, bool is_prefix);

#endif
