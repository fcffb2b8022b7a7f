/* SPDX-License-Identifier: MIT */
/*
 * tls_meet.h - handshakes in memory: the contexts of a server without a socket, OpenSSL as the client, and
 * what became of it. Include after unit.h.
 */
#ifndef PER_TESTS_SUPPORT_TLS_MEET_H
#define PER_TESTS_SUPPORT_TLS_MEET_H

#include "support/tls_certs.h"
#include "tls/context.h"
#include "tls/store.h"
#include "tls/tickets.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <time.h>

#define SECOND_NS INT64_C(1000000000)

/* Authorities, certificates for two hosts, and clients; made once. */
struct world {
	struct test_folder folder;
	struct test_id root, other_root;
	struct test_id host_a, host_a_rsa, host_b;
	struct test_id client, client_expired, client_foreign, client_self;
	const char *a_file, *a_rsa_file, *b_file, *root_file, *other_root_file;
};

static inline void ids_make(struct world *world)
{
	world->root = test_id_make(&(struct test_spec){ .subject = "root", .is_ca = true });
	world->other_root = test_id_make(&(struct test_spec){ .subject = "other root", .is_ca = true });
	world->host_a = test_id_make(&(struct test_spec){
		.subject = "a", .issuer = &world->root, .names = "DNS:a.example,DNS:*.a.example" });
	world->host_a_rsa = test_id_make(&(struct test_spec){
		.subject = "a rsa", .issuer = &world->root, .names = "DNS:a.example", .key = "RSA" });
	world->host_b = test_id_make(
		&(struct test_spec){ .subject = "b", .issuer = &world->root, .names = "DNS:b.example" });
	world->client = test_id_make(
		&(struct test_spec){ .subject = "client", .issuer = &world->root, .usage = "clientAuth" });
	world->client_expired = test_id_make(&(struct test_spec){
		.subject = "expired client", .issuer = &world->root, .begin_s = -7200, .end_s = -3600 });
	world->client_foreign = test_id_make(
		&(struct test_spec){ .subject = "foreign client", .issuer = &world->other_root });
	world->client_self = test_id_make(&(struct test_spec){ .subject = "self-signed client" });
}

static inline int world_make(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	test_folder_make(&world->folder);
	ids_make(world);
	world->a_file = test_id_write(&world->folder, "a.pem", &world->host_a);
	world->a_rsa_file = test_id_write(&world->folder, "a-rsa.pem", &world->host_a_rsa);
	world->b_file = test_id_write(&world->folder, "b.pem", &world->host_b);
	world->root_file =
		test_pem_write(&world->folder, "root.pem", (X509 *[]){ world->root.cert, NULL }, NULL);
	world->other_root_file =
		test_pem_write(&world->folder, "other.pem", (X509 *[]){ world->other_root.cert, NULL }, NULL);
	*state = world;
	return 0;
}

static inline int world_free(void **state)
{
	struct world *world = *state;
	struct test_id *const ids[] = { &world->root,           &world->other_root,     &world->host_a,
					&world->host_a_rsa,     &world->host_b,         &world->client,
					&world->client_expired, &world->client_foreign, &world->client_self };

	for (size_t i = 0; i < PER_ARRAY_LEN(ids); i++)
		test_id_free(ids[i]);
	test_folder_remove(&world->folder);
	free(world);
	return 0;
}

/* --- a server without a socket ---------------------------------------------------------------- */

/* What the workers of a server share, and the contexts of two of them. */
struct server {
	struct per__tls_tickets *tickets;
	struct per__tls_ctx *workers[2];
	int64_t now_ns;
	char reason[512];
};

static inline int contexts_make(struct server *server, const per_tls_config *config)
{
	const struct per__log quiet = { .fn = NULL };
	struct per__tls_check check = {
		.log = &quiet, .wall_s = time(NULL), .reason = server->reason, .cap = sizeof(server->reason)
	};
	struct per__tls_conf *conf;
	struct per__tls_store *store = NULL;
	int err = per__tls_conf_new(&conf, config, server->reason, sizeof(server->reason));

	if (err == 0)
		err = per__tls_store_new(&store, conf, &check);
	for (int i = 0; i < 2 && err == 0; i++)
		err = per__tls_ctx_new(&server->workers[i], conf, store, server->tickets, &server->now_ns,
				       server->reason, sizeof(server->reason));
	per__tls_store_drop(store);
	per__tls_conf_free(conf);
	return err;
}

static inline void server_open(struct server *server, const per_tls_config *config)
{
	*server = (struct server){ .now_ns = SECOND_NS };
	assert_int_equal(per__tls_tickets_new(&server->tickets, 43200, server->now_ns), 0);
	if (contexts_make(server, config) != 0)
		fail_msg("%s", server->reason);
}

static inline void contexts_drop(struct server *server)
{
	for (int i = 0; i < 2; i++)
		per__tls_ctx_drop(server->workers[i]);
}

static inline void server_close(struct server *server)
{
	contexts_drop(server);
	per__tls_tickets_free(server->tickets);
}

/* --- a client, and what became of it ---------------------------------------------------------- */

struct client {
	const char *name;    /* SNI; NULL: none */
	int version;         /* the only one; 0: any */
	const char *sigalgs; /* of the server's certificate */
	const char *ciphersuites, *ciphers12;
	const unsigned char *alpn;
	unsigned alpn_len;
	const struct test_id *id;
	SSL_SESSION *session; /* to resume */
};

struct outcome {
	bool is_complete, is_resumed;
	int alert; /* that the client received; -1: none */
	int version;
	char subject[64]; /* of the server */
	char alpn[16];
	char name[64]; /* that the server has acknowledged */
	char cipher[64];
	long verdict; /* of the server, on the client's certificate */
	bool has_client_cert;
	int chain_cnt;        /* certificates that the server has sent */
	SSL_SESSION *session; /* the last ticket's, to be freed; NULL: none */
	int tickets;
	uint8_t ticket_key
		[PER__TLS_TICKET_NAME_BYTES]; /* name of the key of the ticket in hand, in TLS 1.2 */
};

static inline void alert_note(const SSL *ssl, int where, int value)
{
	struct outcome *outcome = SSL_get_app_data(ssl);

	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
		outcome->alert = value & 0xff;
}

static inline int session_note(SSL *ssl, SSL_SESSION *session)
{
	struct outcome *outcome = SSL_get_app_data(ssl);

	SSL_SESSION_free(outcome->session);
	outcome->session = session;
	outcome->tickets++;
	return 1;
}

static inline SSL_CTX *client_context(const struct client *client)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	assert_non_null(ctx);
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_info_callback(ctx, alert_note);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, session_note);
	if (client->version != 0) {
		SSL_CTX_set_min_proto_version(ctx, client->version);
		SSL_CTX_set_max_proto_version(ctx, client->version);
	}
	if (client->sigalgs != NULL)
		assert_int_equal(SSL_CTX_set1_sigalgs_list(ctx, client->sigalgs), 1);
	if (client->ciphersuites != NULL)
		assert_int_equal(SSL_CTX_set_ciphersuites(ctx, client->ciphersuites), 1);
	if (client->ciphers12 != NULL)
		assert_int_equal(SSL_CTX_set_cipher_list(ctx, client->ciphers12), 1);
	if (client->alpn != NULL)
		assert_int_equal(SSL_CTX_set_alpn_protos(ctx, client->alpn, client->alpn_len), 0);
	if (client->id != NULL)
		assert_int_equal(SSL_CTX_use_cert_and_key(ctx, client->id->cert, client->id->key, NULL, 1),
				 1);
	return ctx;
}

static inline void pump(SSL *from, SSL *to)
{
	char buf[16384];
	int n;

	while ((n = BIO_read(SSL_get_wbio(from), buf, sizeof(buf))) > 0)
		assert_int_equal(BIO_write(SSL_get_rbio(to), buf, n), n);
}

/* Both sides until neither gets further; then one byte each way, which brings tickets and late alerts. */
static inline bool converse(SSL *client, SSL *server)
{
	bool is_complete;
	char byte = 'x';

	for (int i = 0; i < 10; i++) {
		(void)SSL_do_handshake(client);
		pump(client, server);
		(void)SSL_do_handshake(server);
		pump(server, client);
	}
	is_complete = SSL_is_init_finished(server) == 1 && SSL_is_init_finished(client) == 1;
	if (is_complete)
		is_complete = SSL_write(server, &byte, 1) == 1;
	pump(server, client);
	(void)SSL_read(client, &byte, 1);
	ERR_clear_error();
	return is_complete;
}

static inline void text_copy(char *dst, size_t cap, const void *src, size_t len)
{
	(void)snprintf(dst, cap, "%.*s", (int)len, src != NULL ? (const char *)src : "");
}

static inline void outcome_read(struct outcome *outcome, SSL *client, SSL *server)
{
	const unsigned char *alpn;
	unsigned alpn_len;
	X509 *cert = SSL_get0_peer_certificate(client);
	const char *name = SSL_get_servername(server, TLSEXT_NAMETYPE_host_name);
	const unsigned char *ticket;
	size_t ticket_len;

	SSL_SESSION_get0_ticket(SSL_get_session(client), &ticket, &ticket_len);
	if (ticket_len >= sizeof(outcome->ticket_key))
		memcpy(outcome->ticket_key, ticket, sizeof(outcome->ticket_key));
	outcome->is_resumed = SSL_session_reused(server) == 1;
	outcome->version = SSL_version(server);
	outcome->verdict = SSL_get_verify_result(server);
	outcome->chain_cnt = sk_X509_num(SSL_get_peer_cert_chain(client));
	outcome->has_client_cert = SSL_get0_peer_certificate(server) != NULL;
	if (cert != NULL)
		X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, outcome->subject,
					  sizeof(outcome->subject));
	SSL_get0_alpn_selected(server, &alpn, &alpn_len);
	text_copy(outcome->alpn, sizeof(outcome->alpn), alpn, alpn_len);
	text_copy(outcome->name, sizeof(outcome->name), name, name != NULL ? strlen(name) : 0);
	text_copy(outcome->cipher, sizeof(outcome->cipher), SSL_get_cipher_name(server),
		  strlen(SSL_get_cipher_name(server)));
}

static inline struct outcome meet(struct per__tls_ctx *ctx, const struct client *client)
{
	struct outcome outcome = { .alert = -1 };
	SSL_CTX *client_ctx = client_context(client);
	SSL *server = per__tls_ctx_open(ctx), *ssl = SSL_new(client_ctx);
	/* a copy: OpenSSL's client uses one only once */
	SSL_SESSION *session = client->session != NULL ? SSL_SESSION_dup(client->session) : NULL;

	assert_non_null(server);
	SSL_set_bio(server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_app_data(ssl, &outcome);
	SSL_set_connect_state(ssl);
	if (client->name != NULL)
		assert_int_equal(SSL_set_tlsext_host_name(ssl, client->name), 1);
	if (session != NULL)
		assert_int_equal(SSL_set_session(ssl, session), 1);
	outcome.is_complete = converse(ssl, server);
	if (outcome.is_complete)
		outcome_read(&outcome, ssl, server);
	SSL_shutdown(ssl); /* else OpenSSL's client takes the session for a bad one */
	SSL_free(ssl);
	SSL_SESSION_free(session);
	SSL_CTX_free(client_ctx);
	per__tls_ctx_close(server);
	ERR_clear_error();
	return outcome;
}

/* As meet(), for who wants no session. */
static inline struct outcome meet_once(struct per__tls_ctx *ctx, const struct client *client)
{
	struct outcome outcome = meet(ctx, client);

	SSL_SESSION_free(outcome.session);
	outcome.session = NULL;
	return outcome;
}

/* The subject of the certificate that a name gets. */
static inline void test_name_gets(struct server *server, const char *name, const char *subject)
{
	struct outcome outcome = meet_once(server->workers[0], &(struct client){ .name = name });

	if (!outcome.is_complete || strcmp(outcome.subject, subject) != 0)
		fail_msg("%s: '%s', alert %d", name != NULL ? name : "no name", outcome.subject,
			 outcome.alert);
}

#endif
