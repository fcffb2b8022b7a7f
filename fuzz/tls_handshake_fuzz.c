/* SPDX-License-Identifier: MIT */
/*
 * tls_handshake_fuzz.c - the server's side of a connection. Input: a byte that chooses how, then either bytes
 * that are given as they are, or changes (how far to go, what to do with a byte there) to what a live client
 * of OpenSSL sends, in pieces. Nothing may come out that the client has not put in.
 */
#include "tls/conf.h"
#include "tls/context.h"
#include "tls/internal.h"
#include "tls/store.h"
#include "tls/tickets.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define TURNS_MAX 20u

static const char secret[] = "what the client says when it may";

/* What all inputs share: a server's contexts, a client's. */
static struct {
	struct per__tls_ctx *server;
	SSL_CTX *client;
	int64_t now_ns;
} shared;

struct pair {
	struct per__tls_line line;
	struct per__tls *tls;
	SSL *ssl;
	const uint8_t *changes;
	size_t change_cnt; /* pairs of bytes */
	size_t until;      /* bytes before the next change */
	size_t got_len;
	bool is_established, is_broken, is_changed;
	uint8_t opened[2 * PER__TLS_RECORD_MAX];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool claim)
{
	if (!claim)
		abort();
}

/* --- what is made once ------------------------------------------------------------------------ */

/* A certificate and its key in memory that has a name. */
static void cert_write(char *path, size_t cap)
{
	int fd = memfd_create("certificate", MFD_CLOEXEC);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	require(file != NULL && key != NULL);
	X509_set_version(cert, X509_VERSION_3);
	X509_gmtime_adj(X509_getm_notBefore(cert), -86400);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"fuzz", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	require(X509_sign(cert, key, EVP_sha256()) > 0);
	require(PEM_write_X509(file, cert) == 1);
	require(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
	require(fflush(file) == 0);
	(void)snprintf(path, cap, "/proc/self/fd/%d", fd);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void shared_make(void)
{
	char path[64], reason[512] = "";
	const struct per__log quiet = { .fn = NULL };
	struct per__tls_check check = {
		.log = &quiet, .wall_s = time(NULL), .reason = reason, .cap = sizeof(reason)
	};
	per_tls_cert cert = { .cert_file = path };
	per_tls_config config = { .certs = &cert, .cert_count = 1, .tls12 = true };
	struct per__tls_tickets *tickets;
	struct per__tls_conf *conf;
	struct per__tls_store *store;

	if (shared.server != NULL)
		return;
	cert_write(path, sizeof(path));
	shared.now_ns = 1000000000;
	require(per__tls_tickets_new(&tickets, 43200, shared.now_ns) == 0);
	require(per__tls_conf_new(&conf, &config, reason, sizeof(reason)) == 0);
	require(per__tls_store_new(&store, conf, &check) == 0);
	require(per__tls_ctx_new(&shared.server, conf, store, tickets, &shared.now_ns, reason,
				 sizeof(reason)) == 0);
	per__tls_store_drop(store);
	per__tls_conf_free(conf);
	shared.client = SSL_CTX_new(TLS_client_method());
	require(shared.client != NULL);
}

/* --- a connection ----------------------------------------------------------------------------- */

static int to_client(void *arg, const uint8_t *data, size_t len)
{
	struct pair *pair = arg;

	if (pair->ssl != NULL)
		require(BIO_write(SSL_get_rbio(pair->ssl), data, (int)len) == (int)len);
	return 0;
}

static void pair_open(struct pair *pair, bool has_client, bool is_old)
{
	memset(pair, 0, sizeof(*pair));
	require(per__tls_line_open(&pair->line) == 0);
	pair->line.out = to_client;
	pair->line.arg = pair;
	pair->tls = per__tls_new(shared.server, &pair->line);
	require(pair->tls != NULL);
	if (!has_client)
		return;
	pair->ssl = SSL_new(shared.client);
	SSL_set_bio(pair->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_connect_state(pair->ssl);
	if (is_old)
		SSL_set_max_proto_version(pair->ssl, TLS1_2_VERSION);
}

static void pair_close(struct pair *pair)
{
	per__tls_free(pair->tls);
	per__tls_line_close(&pair->line);
	SSL_free(pair->ssl);
	ERR_clear_error();
}

/* Lends bytes to the server in memory of their exact size. */
static void give(struct pair *pair, const uint8_t *bytes, size_t len)
{
	uint8_t *lent = malloc(len), *data;
	size_t n = 1;
	int result = 0;

	require(lent != NULL || len == 0);
	if (len > 0)
		memcpy(lent, bytes, len);
	pair->line.in = lent;
	pair->line.in_len = len;
	if (!pair->is_established) {
		result = per__tls_handshake(pair->tls);
		pair->is_established = result == 1;
		if (pair->is_established)
			per__tls_settle(pair->tls);
		result = PER_MIN(result, 0);
	}
	while (pair->is_established && result == 0 && n > 0) {
		result = per__tls_open(pair->tls, pair->opened, sizeof(pair->opened), &data, &n);
		require(pair->ssl != NULL || n == 0);
		require(pair->got_len + n <= sizeof(secret));
		require(memcmp(data, secret + pair->got_len, n) == 0);
		pair->got_len += n;
	}
	pair->is_broken = result < 0;
	free(lent);
}

/* The next change is done to *byte. */
static void change(struct pair *pair, uint8_t *byte)
{
	*byte ^= pair->changes[1];
	pair->is_changed = pair->is_changed || pair->changes[1] != 0;
	pair->changes += 2;
	pair->change_cnt--;
	pair->until = pair->change_cnt > 0 ? pair->changes[0] * 4u : 0;
}

/* What the client has made goes to the server, cut where it is changed. */
static void pass_on(struct pair *pair)
{
	char *data;
	size_t len = (size_t)BIO_get_mem_data(SSL_get_wbio(pair->ssl), &data), pos = 0;

	while (pos < len && !pair->is_broken) {
		size_t n = len - pos;

		if (pair->change_cnt > 0 && pair->until < n) {
			n = pair->until + 1;
			change(pair, (uint8_t *)data + pos + n - 1);
		} else if (pair->change_cnt > 0) {
			pair->until -= n;
		}
		give(pair, (const uint8_t *)data + pos, n);
		pos += n;
	}
	(void)BIO_reset(SSL_get_wbio(pair->ssl));
}

static void converse(struct pair *pair)
{
	bool has_spoken = false;
	char byte;

	for (unsigned i = 0; i < TURNS_MAX && !pair->is_broken; i++) {
		bool is_ready = SSL_do_handshake(pair->ssl) == 1;

		if (is_ready && !has_spoken) {
			(void)SSL_write(pair->ssl, secret, sizeof(secret));
			has_spoken = true;
		}
		if (is_ready)
			(void)SSL_read(pair->ssl, &byte, 1);
		pass_on(pair);
	}
	require(pair->is_changed || pair->got_len == sizeof(secret));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pair pair;

	if (size < 2)
		return 0;
	shared_make();
	pair_open(&pair, (data[0] & 1) != 0, (data[0] & 2) != 0);
	pair.changes = data + 1;
	pair.change_cnt = (size - 1) / 2;
	pair.until = pair.change_cnt > 0 ? data[1] * 4u : 0;
	if (pair.ssl != NULL)
		converse(&pair);
	else
		give(&pair, data + 1, size - 1);
	pair_close(&pair);
	return 0;
}
