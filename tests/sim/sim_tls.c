/* SPDX-License-Identifier: MIT */
/*
 * sim_tls.c - the server's certificate, clients of OpenSSL in memory, and randomness that a seed determines.
 * Shares nothing with src/tls but OpenSSL itself.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* RAND_set_rand_method() is how OpenSSL's own tests repeat */
#include "sim/sim_tls.h"

#include "core/secure.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CERT_SEED 7u
#define DAY_S 86400L

/* --- randomness ------------------------------------------------------------------------------- */

static uint64_t random_state;

static int random_bytes(unsigned char *buf, int len)
{
	for (int i = 0; i < len; i++) {
		random_state = random_state * 6364136223846793005u + 1442695040888963407u;
		buf[i] = (unsigned char)(random_state >> 56);
	}
	return 1;
}

static int random_status(void)
{
	return 1;
}

static const RAND_METHOD random_method = {
	.bytes = random_bytes,
	.pseudorand = random_bytes,
	.status = random_status,
};

/* --- a certificate ---------------------------------------------------------------------------- */

/* Writes a key and its certificate into memory that has a name. */
static const char *cert_file_make(void)
{
	static char path[32];
	int fd = memfd_create("certificate", MFD_CLOEXEC);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");

	PER_ASSERT(file != NULL && key != NULL && names != NULL);
	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -DAY_S);
	X509_gmtime_adj(X509_getm_notAfter(cert), DAY_S);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	X509_add_ext(cert, names, -1);
	PER_ASSERT(X509_sign(cert, key, EVP_sha256()) > 0);
	PER_ASSERT(PEM_write_X509(file, cert) == 1);
	PER_ASSERT(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
	PER_ASSERT(fflush(file) == 0); /* stays open: its name is its descriptor's */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	X509_EXTENSION_free(names);
	X509_free(cert);
	EVP_PKEY_free(key);
	return path;
}

static const char *cert_file(void)
{
	static const char *path;

	if (path == NULL) {
		random_state = CERT_SEED;
		path = cert_file_make();
	}
	return path;
}

/* --- worlds ----------------------------------------------------------------------------------- */

static sim_http_change change_more; /* of the world that is being made */

static void want_tls(per_config *config, uint64_t seed)
{
	static per_tls_cert cert;
	static per_tls_config tls;

	cert = (per_tls_cert){ .cert_file = cert_file() };
	tls = (per_tls_config){ .certs = &cert, .cert_count = 1, .tls12 = true };
	config->tls = &tls;
	if (change_more != NULL)
		change_more(config, seed);
}

void sim_tls_want_early(per_config *config, uint64_t seed)
{
	(void)seed;
	((per_tls_config *)(uintptr_t)config->tls)->early_data_max = 60000;
}

void sim_tls_begin(struct sim_tls *world, uint64_t seed, sim_http_change change)
{
	memset(world, 0, sizeof(*world));
	RAND_set_rand_method(&random_method);
	(void)cert_file();
	(void)sim_http_cases();
	random_state = seed;
	change_more = change;
	sim_http_begin(&world->http, seed, want_tls);
}

static bool has_attached(const struct sim_tls *world)
{
	for (unsigned i = 0; i < world->client_cnt; i++) {
		if (sim_peer_is_attached(world->clients[i]->peer))
			return true;
	}
	return false;
}

void sim_tls_end(struct sim_tls *world)
{
	if (!world->http.is_stopped)
		SIM_TLS_RUN_UNTIL(world, !has_attached(world));
	while (world->client_cnt > 0)
		sim_tls_client_free(world->clients[world->client_cnt - 1]);
	SSL_SESSION_free(world->session);
	sim_http_end(&world->http);
}

/* --- clients ---------------------------------------------------------------------------------- */

static int session_keep(SSL *ssl, SSL_SESSION *session)
{
	struct sim_tls_client *client = SSL_get_app_data(ssl);

	client->tickets++;
	if (client->wish.is_old || client->wish.max_fragment != 0) /* OpenSSL's server would insist on it */
		return 0;
	SSL_SESSION_free(client->world->session);
	/* a copy: OpenSSL gives up the session of a connection that breaks */
	client->world->session = SSL_SESSION_dup(session);
	return 0;
}

static SSL_CTX *client_context(void)
{
	static SSL_CTX *ctx;

	if (ctx != NULL)
		return ctx;
	ctx = SSL_CTX_new(TLS_client_method());
	PER_ASSERT(ctx != NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, session_keep);
	SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x08http/1.1", 9);
	return ctx;
}

static void client_wish(struct sim_tls_client *client, const struct sim_tls_wish *wish)
{
	SSL *ssl = client->ssl;

	client->wish = *wish;
	SSL_set_min_proto_version(ssl, TLS1_2_VERSION);
	SSL_set_max_proto_version(ssl, wish->is_old ? TLS1_2_VERSION : TLS1_3_VERSION);
	if (wish->is_retried)
		PER_ASSERT(SSL_set1_groups_list(ssl, "P-521:P-256") == 1);
	if (wish->max_fragment != 0)
		PER_ASSERT(SSL_set_tlsext_max_fragment_length(ssl, wish->max_fragment) == 1);
	if (wish->distrusts)
		SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	if (wish->is_resuming) {
		/* a copy: OpenSSL's client uses one only once */
		SSL_SESSION *session = SSL_SESSION_dup(client->world->session);

		PER_ASSERT(SSL_set_session(ssl, session) == 1);
		SSL_SESSION_free(session);
	}
}

static void client_read(struct sim_tls_client *client);

struct sim_tls_client *sim_tls_connect(struct sim_tls *world, const struct sim_tls_wish *wish)
{
	static const struct sim_tls_wish nothing;
	struct sim_tls_client *client = calloc(1, sizeof(*client));

	SIM_HTTP_CHECK(&world->http, client != NULL && world->client_cnt < SIM_TLS_CLIENTS_MAX);
	world->clients[world->client_cnt++] = client;
	client->world = world;
	client->ssl = SSL_new(client_context());
	SIM_HTTP_CHECK(&world->http, client->ssl != NULL);
	SSL_set_app_data(client->ssl, client);
	SSL_set_bio(client->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_connect_state(client->ssl);
	client_wish(client, wish != NULL ? wish : &nothing);
	client->peer = sim_connect(world->http.sim, 0);
	if (client->wish.early_len > 0) {
		size_t n;

		SIM_HTTP_CHECK(&world->http, SSL_write_early_data(client->ssl, client->wish.early,
								  client->wish.early_len, &n) == 1);
	}
	client_read(client);
	return client;
}

void sim_tls_client_free(struct sim_tls_client *client)
{
	struct sim_tls *world = client->world;

	SIM_HTTP_CHECK(&world->http, world->clients[world->client_cnt - 1] == client);
	world->client_cnt--;
	sim_peer_free(client->peer);
	SSL_free(client->ssl);
	free(client->plain);
	free(client);
	ERR_clear_error();
}

bool sim_tls_is_over(struct sim_tls_client *client)
{
	return sim_peer_is_over(client->peer) && !sim_peer_is_attached(client->peer);
}

/* --- sending ---------------------------------------------------------------------------------- */

static void send_cut(struct sim_tls_client *client, const uint8_t *data, size_t len)
{
	struct per__sim *sim = client->world->http.sim;
	size_t most = PER_MAX(len / 20, (size_t)1 + (size_t)sim_random_below(sim, 2000));
	int64_t at = 0;

	while (len > 0) {
		size_t part = 1 + (size_t)sim_random_below(sim, PER_MIN(len, most));

		if (sim_chance(sim, SIM_MILLION / 2))
			at += (int64_t)sim_random_below(sim, 20000);
		sim_peer_send_after(client->peer, at, data, part);
		data += part;
		len -= part;
	}
}

void sim_tls_flush(struct sim_tls_client *client)
{
	const struct sim_tls_wish *wish = &client->wish;
	uint64_t end;
	char *data;
	long len = BIO_get_mem_data(SSL_get_wbio(client->ssl), &data);
	size_t first;

	if (wish->stalls_at != 0)
		len = (long)PER_MIN((uint64_t)len, wish->stalls_at - client->sent);
	first = (size_t)len;
	if (len > 0 && !client->sent_fin) {
		end = client->sent + (uint64_t)len;
		if (client->sent < wish->cut_at && wish->cut_at <= end)
			first = (size_t)(wish->cut_at - client->sent);
		if (client->sent <= wish->flip_at && wish->flip_at < end)
			data[wish->flip_at - client->sent] ^= (char)wish->flip_bits;
		if (client->wish.cuts_randomly)
			send_cut(client, (uint8_t *)data, first);
		else
			sim_peer_send(client->peer, data, first);
		if (wish->ends_at_cut && client->sent + first == wish->cut_at)
			sim_tls_send_fin(client);
		else if (first < (size_t)len)
			sim_peer_send_after(client->peer, SIM_TLS_CUT_NS, data + first, (size_t)len - first);
		client->sent = end;
	}
	(void)BIO_reset(SSL_get_wbio(client->ssl));
}

void sim_tls_write(struct sim_tls_client *client, const void *data, size_t len)
{
	size_t written;

	SIM_HTTP_CHECK(&client->world->http, client->is_established && len > 0);
	if (client->is_broken || client->sent_fin)
		return;
	SIM_HTTP_CHECK(&client->world->http, SSL_write_ex(client->ssl, data, len, &written) == 1);
	SIM_HTTP_CHECK(&client->world->http, written == len);
	sim_tls_flush(client);
}

void sim_tls_update(struct sim_tls_client *client, bool both_ways)
{
	SIM_HTTP_CHECK(&client->world->http,
		       SSL_key_update(client->ssl, both_ways ? SSL_KEY_UPDATE_REQUESTED
							     : SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
	SIM_HTTP_CHECK(&client->world->http, SSL_do_handshake(client->ssl) == 1);
	sim_tls_flush(client);
}

void sim_tls_send_close_notify(struct sim_tls_client *client)
{
	(void)SSL_shutdown(client->ssl);
	ERR_clear_error();
	sim_tls_flush(client);
}

void sim_tls_send_fin(struct sim_tls_client *client)
{
	if (!client->sent_fin)
		sim_peer_close_write(client->peer);
	client->sent_fin = true;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void plain_append(struct sim_tls_client *client, const uint8_t *data, size_t len)
{
	if (client->plain_cap - client->plain_len < len) {
		client->plain_cap = PER_MAX(client->plain_cap * 2, client->plain_len + len);
		client->plain = realloc(client->plain, client->plain_cap);
		if (client->plain == NULL)
			abort();
	}
	memcpy(client->plain + client->plain_len, data, len);
	client->plain_len += len;
}

/* What a call of OpenSSL's that has not succeeded means. */
static void result_look(struct sim_tls_client *client, int result)
{
	int error = SSL_get_error(client->ssl, result);

	if (error == SSL_ERROR_ZERO_RETURN)
		client->has_ended = true;
	else if (error != SSL_ERROR_WANT_READ)
		client->is_broken = true;
	ERR_clear_error();
}

static void client_read(struct sim_tls_client *client)
{
	uint8_t buf[4096];
	size_t len;
	const uint8_t *data = sim_peer_received(client->peer, &len);
	int n = 1;

	if (client->is_broken)
		return;
	if (len > 0)
		PER_ASSERT(BIO_write(SSL_get_rbio(client->ssl), data, (int)len) == (int)len);
	sim_peer_consume(client->peer, len);
	ERR_clear_error();
	if (!client->is_established) {
		n = SSL_do_handshake(client->ssl);
		if (n == 1) {
			client->is_established = true;
			client->is_resumed = SSL_session_reused(client->ssl) == 1;
			client->is_early = SSL_get_early_data_status(client->ssl) == SSL_EARLY_DATA_ACCEPTED;
		} else {
			result_look(client, n);
		}
	}
	while (client->is_established && (n = SSL_read(client->ssl, buf, sizeof(buf))) > 0)
		plain_append(client, buf, (size_t)n);
	if (client->is_established)
		result_look(client, n);
	sim_tls_flush(client);
}

void sim_tls_turn(struct sim_tls *world)
{
	sim_http_turn(&world->http);
	for (unsigned i = 0; i < world->client_cnt; i++) {
		struct sim_tls_client *client = world->clients[i];
		size_t len;

		(void)sim_peer_received(client->peer, &len);
		if (len > 0)
			client_read(client);
	}
}

void sim_tls_expect(struct sim_tls_client *client, const uint8_t *kinds, size_t count, bool is_prefix)
{
	sim_http_expect_bytes(&client->world->http, client->plain, client->plain_len, kinds, count,
			      is_prefix);
}
