/* SPDX-License-Identifier: MIT */
/*
 * context.c - the contexts of one worker, and what OpenSSL calls back: which certificate for which name,
 * which protocol, which ticket key. Sees no connection's bytes; those are tls.c's.
 * There is one SSL_CTX for each realm. The first host's certificates are in its realm's; those of another
 * host are put into the SSL when the name is known.
 */
#include "tls/context.h"

#include "base/mem.h"
#include "tls/conf.h"
#include "tls/replay.h"
#include "tls/store.h"
#include "tls/tickets.h"
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

struct per__tls_ctx {
	uint32_t refs; /* the worker, and each SSL */
	bool is_strict_sni;
	struct per__tls_store *store;
	SSL_CTX **realms; /* one for each of the store's */
	EVP_PKEY **keys;  /* one for each of the store's certificates */
	struct per__tls_tickets *tickets;
	struct per__tls_ticket_view view;
	EVP_CIPHER *ticket_cipher;
	const int64_t *now_ns;
};

/* What a making has to hand down. */
struct making {
	struct per__tls_ctx *ctx;
	const per_tls_config *config;
	struct per__tls_check say; /* for per__tls_fail() */
};

static struct per__tls_ctx *ctx_of(const SSL *ssl)
{
	return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/* --- protocols -------------------------------------------------------------------------------- */

/* In the server's order of preference (RFC 7301 section 3.2). */
static const unsigned char alpn_known[] = "\x08http/1.1\x08http/1.0";

static int alpn_choose(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
		       unsigned int in_len, void *arg)
{
	unsigned char *found;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&found, out_len, alpn_known, sizeof(alpn_known) - 1, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol */
	*out = found;
	return SSL_TLSEXT_ERR_OK;
}

/* --- names ------------------------------------------------------------------------------------ */

/*
 * A session can be resumed only with the same name, as RFC 6066 section 3 wants it, and only where clients
 * are asked for certificates of the same authorities in the same way.
 */
static bool session_bind(SSL *ssl, const struct per__tls_realm *realm, const char *name, size_t name_len)
{
	uint64_t number = per__tls_name_number(name, name_len);
	unsigned char id[SSL_MAX_SID_CTX_LENGTH];

	_Static_assert(sizeof(id) == sizeof(realm->id),
		       "the realm's digest, its end replaced by the name's number");
	memcpy(id, realm->id, sizeof(id));
	memcpy(id + sizeof(id) - sizeof(number), &number, sizeof(number));
	return SSL_set_session_id_context(ssl, id, sizeof(id)) == 1;
}

static int client_accept_any(int is_ok, X509_STORE_CTX *store)
{
	(void)is_ok;
	(void)store;
	return 1; /* the verdict is kept: SSL_get_verify_result() */
}

static int verify_mode(per_tls_client_auth auth)
{
	switch (auth) {
	case PER_TLS_CLIENT_DEFAULT:
	case PER_TLS_CLIENT_OFF:
		break;
	case PER_TLS_CLIENT_OPTIONAL:
		return SSL_VERIFY_PEER;
	case PER_TLS_CLIENT_REQUIRED:
		return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	}
	return SSL_VERIFY_NONE;
}

static SSL_verify_cb verify_callback(per_tls_client_auth auth)
{
	return auth == PER_TLS_CLIENT_OPTIONAL ? client_accept_any : NULL;
}

/* Gives a connection the certificates of a host, in place of those that it has. */
static bool host_enter(SSL *ssl, struct per__tls_ctx *ctx, const struct per__tls_host *host)
{
	const struct per__tls_store *store = ctx->store;
	const struct per__tls_realm *realm = &store->realms[host->realm];

	if (SSL_get_SSL_CTX(ssl) != ctx->realms[host->realm]) {
		if (SSL_set_SSL_CTX(ssl, ctx->realms[host->realm]) == NULL)
			return false;
		SSL_set_verify(ssl, verify_mode(realm->auth), verify_callback(realm->auth));
	}
	SSL_certs_clear(ssl); /* a realm's may have brought the first host's */
	for (unsigned i = 0; i < PER__TLS_KINDS; i++) {
		const struct per__tls_cert *cert = host->certs[i];

		if (cert != NULL && SSL_use_cert_and_key(ssl, cert->leaf, ctx->keys[cert - store->certs],
							 cert->chain, 1) != 1)
			return false;
	}
	return true;
}

/*
 * OpenSSL: a ClientHello is here, and nothing was done with it. Its older callback for server names comes
 * after it has looked at tickets: too late to keep a session of one host from being resumed at another one
 * that asks for client certificates.
 */
static int hello_arrived(SSL *ssl, int *alert, void *arg)
{
	struct per__tls_ctx *ctx = arg;
	const struct per__tls_store *store = ctx->store;
	const unsigned char *ext;
	const char *name = NULL;
	size_t ext_len, name_len = 0;
	uint32_t index = PER__TLS_NAME_NONE;
	const struct per__tls_host *host;
	/* A second ClientHello, behind a HelloRetryRequest: its name may be another one. */
	bool is_again = SSL_get_pending_cipher(ssl) != NULL;

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &ext_len) == 1 &&
	    per__tls_name_extract(ext, ext_len, &name, &name_len))
		index = per__tls_names_find(&store->names, name, name_len);
	if (index == PER__TLS_NAME_NONE && ctx->is_strict_sni) {
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_CLIENT_HELLO_ERROR;
	}
	index = index != PER__TLS_NAME_NONE ? index : store->first;
	host = &store->hosts[index];
	*alert = SSL_AD_INTERNAL_ERROR;
	if ((index != store->first || is_again) && !host_enter(ssl, ctx, host))
		return SSL_CLIENT_HELLO_ERROR;
	return session_bind(ssl, &store->realms[host->realm], name, name_len) ? SSL_CLIENT_HELLO_SUCCESS
									      : SSL_CLIENT_HELLO_ERROR;
}

/* OpenSSL, later: is the name one that we know? Then the answer says so, and the session remembers it. */
static int name_acknowledge(SSL *ssl, int *alert, void *arg)
{
	const struct per__tls_ctx *ctx = ctx_of(ssl);
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	(void)arg;
	if (name == NULL || per__tls_names_find(&ctx->store->names, name, strlen(name)) == PER__TLS_NAME_NONE)
		return SSL_TLSEXT_ERR_NOACK;
	return SSL_TLSEXT_ERR_OK;
}

/* --- tickets ---------------------------------------------------------------------------------- */

static bool mac_begin(EVP_MAC_CTX *mac, const struct per__tls_ticket_key *key)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_init(mac, key->mac, sizeof(key->mac), params) == 1;
}

/* OpenSSL: a ticket is to be sealed (RFC 5077 section 4), or was presented. */
static int ticket_key_choose(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
			     EVP_MAC_CTX *mac, int is_sealing)
{
	struct per__tls_ctx *ctx = ctx_of(ssl);
	const struct per__tls_ticket_key *key;
	bool is_current = true;

	if (is_sealing != 0) {
		key = per__tls_tickets_current(ctx->tickets, &ctx->view, *ctx->now_ns);
		memcpy(name, key->name, sizeof(key->name));
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(ctx->ticket_cipher)) != 1 ||
		    EVP_EncryptInit_ex2(cipher, ctx->ticket_cipher, key->cipher, iv, NULL) != 1 ||
		    !mac_begin(mac, key))
			return -1;
		return 1;
	}
	key = per__tls_tickets_find(ctx->tickets, &ctx->view, *ctx->now_ns, name, &is_current);
	if (key == NULL)
		return 0; /* a full handshake, and a new ticket */
	if (EVP_DecryptInit_ex2(cipher, ctx->ticket_cipher, key->cipher, iv, NULL) != 1 ||
	    !mac_begin(mac, key))
		return -1;
	/* In TLS 1.3 a ticket is for one use (RFC 8446 appendix C.4), so there is always a new one. */
	return is_current && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
}

/* Until when the certificates that have vouched for a client are good, as a time of the worker. */
static int64_t vouched_until(const SSL *ssl, const struct per__tls_ctx *ctx)
{
	int64_t left_s = SSL_SESSION_get_timeout(SSL_get0_session(ssl));
	STACK_OF(X509) *chain = SSL_get_verify_result(ssl) == X509_V_OK ? SSL_get0_verified_chain(ssl) : NULL;
	int days, seconds;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		const ASN1_TIME *end = X509_get0_notAfter(sk_X509_value(chain, i));

		if (ASN1_TIME_diff(&days, &seconds, NULL, end) != 1)
			return *ctx->now_ns;
		left_s = PER_MIN(left_s, days * INT64_C(86400) + seconds);
	}
	return *ctx->now_ns + left_s * SECOND_NS;
}

/*
 * OpenSSL: a ticket is to be made. Each new one is good for a whole lifetime again, so a client that keeps
 * coming back would never be asked for its certificate again (RFC 8446 section 4.6.1): the ticket carries how
 * far that may go, and the ones that follow it carry the same.
 */
static int ticket_made(SSL *ssl, void *arg)
{
	SSL_SESSION *session = SSL_get_session(ssl);
	int64_t until_ns;

	if (SSL_session_reused(ssl) == 1 || SSL_SESSION_get0_peer(session) == NULL)
		return 1;
	until_ns = vouched_until(ssl, arg);
	return SSL_SESSION_set1_ticket_appdata(session, &until_ns, sizeof(until_ns));
}

static bool is_vouched_for(SSL_SESSION *session, const struct per__tls_ctx *ctx)
{
	int64_t until_ns;
	void *data;
	size_t len;

	if (SSL_SESSION_get0_peer(session) == NULL)
		return true;
	if (SSL_SESSION_get0_ticket_appdata(session, &data, &len) != 1 || len != sizeof(until_ns))
		return false;
	memcpy(&until_ns, data, sizeof(until_ns));
	return *ctx->now_ns < until_ns;
}

/* OpenSSL: a ticket was presented, and opened or not. */
static SSL_TICKET_RETURN ticket_arrived(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
					size_t name_len, SSL_TICKET_STATUS status, void *arg)
{
	bool is_opened = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;

	(void)ssl;
	(void)name;
	(void)name_len;
	if (!is_opened || !is_vouched_for(session, arg))
		return SSL_TICKET_RETURN_IGNORE_RENEW; /* a full handshake, and a new ticket */
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

/* OpenSSL: early data would be taken; the last question, behind the check of the ticket's binder. */
static int early_data_allow(SSL *ssl, void *arg)
{
	const struct per__tls_ctx *ctx = arg;
	uint8_t random[PER__TLS_RANDOM_BYTES];

	return SSL_get_client_random(ssl, random, sizeof(random)) == sizeof(random) &&
	       per__tls_replay_is_first(per__tls_tickets_replay(ctx->tickets), random, *ctx->now_ns);
}

static bool tickets_set_up(SSL_CTX *ssl_ctx, const struct making *making)
{
	const per_tls_config *config = making->config;

	if (config->tickets_off) {
		SSL_CTX_set_options(ssl_ctx, SSL_OP_NO_TICKET);
		return SSL_CTX_set_num_tickets(ssl_ctx, 0) == 1;
	}
	SSL_CTX_set_timeout(ssl_ctx, config->ticket_lifetime_s);
	if (config->early_data_max > 0) {
		/* OpenSSL's guard against replays needs its session cache, which is one worker's: ours */
		SSL_CTX_set_options(ssl_ctx, SSL_OP_NO_ANTI_REPLAY);
		SSL_CTX_set_allow_early_data_cb(ssl_ctx, early_data_allow, making->ctx);
		SSL_CTX_set_max_early_data(ssl_ctx, config->early_data_max);
		SSL_CTX_set_recv_max_early_data(ssl_ctx, config->early_data_max);
	}
	return SSL_CTX_set_session_ticket_cb(ssl_ctx, ticket_made, ticket_arrived, making->ctx) == 1 &&
	       SSL_CTX_set_num_tickets(ssl_ctx, config->ticket_count) == 1 &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl_ctx, ticket_key_choose) == 1;
}

/* --- making ----------------------------------------------------------------------------------- */

/* OpenSSL passes over the names of suites that it does not know: says which. */
static int suites_check(SSL_CTX *ssl_ctx, const struct making *making)
{
	const char *pos = making->config->ciphersuites;
	STACK_OF(SSL_CIPHER) *known = SSL_CTX_get_ciphers(ssl_ctx);

	while (pos != NULL && *pos != '\0') {
		size_t len = strcspn(pos, ":");
		bool is_known = false;

		for (int i = 0; i < sk_SSL_CIPHER_num(known) && !is_known; i++) {
			const char *name = SSL_CIPHER_get_name(sk_SSL_CIPHER_value(known, i));

			is_known = strlen(name) == len && memcmp(name, pos, len) == 0;
		}
		if (!is_known)
			return per__tls_fail(&making->say,
					     "ciphersuites: '%.*s' is no cipher suite of TLS 1.3",
					     (int)PER_MIN(len, 64), pos);
		pos += len + (pos[len] == ':');
	}
	return 0;
}

static int ciphers_set_up(SSL_CTX *ssl_ctx, const struct making *making)
{
	const per_tls_config *config = making->config;
	char ciphers12[1024];
	int len = snprintf(ciphers12, sizeof(ciphers12), "%s:!aNULL:!eNULL", config->ciphers12);

	if (len >= (int)sizeof(ciphers12) || SSL_CTX_set_cipher_list(ssl_ctx, ciphers12) != 1)
		return per__tls_fail(&making->say, "ciphers12: '%.200s' holds no cipher of TLS 1.2",
				     config->ciphers12);
	if (config->ciphersuites != NULL && SSL_CTX_set_ciphersuites(ssl_ctx, config->ciphersuites) != 1)
		return per__tls_fail(&making->say,
				     "ciphersuites: '%.200s' is no list of cipher suites of TLS 1.3",
				     config->ciphersuites);
	if (SSL_CTX_set1_groups_list(ssl_ctx, config->groups) != 1)
		return per__tls_fail(&making->say, "groups: '%.200s' has a name that is not known, or twice",
				     config->groups);
	return suites_check(ssl_ctx, making);
}

/* How clients are asked for certificates. The authorities' are shared by all workers, the table is not. */
static int realm_set_up(SSL_CTX *ssl_ctx, const struct per__tls_realm *realm, const struct making *making)
{
	X509_STORE *trusted = SSL_CTX_get_cert_store(ssl_ctx);
	int cnt = sk_X509_num(realm->cas);

	SSL_CTX_set_verify(ssl_ctx, verify_mode(realm->auth), verify_callback(realm->auth));
	SSL_CTX_set_verify_depth(ssl_ctx, (int)making->config->client_depth);
	/* whoever stands in the file is believed, also an authority below another one */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl_ctx), X509_V_FLAG_PARTIAL_CHAIN);
	for (int i = 0; i < cnt; i++) {
		if (X509_STORE_add_cert(trusted, sk_X509_value(realm->cas, i)) != 1 ||
		    SSL_CTX_add_client_CA(ssl_ctx, sk_X509_value(realm->cas, i)) != 1)
			return PER_ENOMEM;
	}
	return 0;
}

static int ssl_ctx_make(SSL_CTX **out, const struct per__tls_realm *realm, const struct making *making)
{
	SSL_CTX *ssl_ctx = *out = SSL_CTX_new(TLS_server_method());
	int err;

	if (ssl_ctx == NULL)
		return PER_ENOMEM;
	SSL_CTX_set_app_data(ssl_ctx, making->ctx);
	SSL_CTX_set_min_proto_version(ssl_ctx, making->config->tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(ssl_ctx, 0);
	SSL_CTX_set_options(ssl_ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_session_cache_mode(ssl_ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(ssl_ctx, alpn_choose, NULL);
	SSL_CTX_set_client_hello_cb(ssl_ctx, hello_arrived, making->ctx);
	SSL_CTX_set_tlsext_servername_callback(ssl_ctx, name_acknowledge);
	per__tls_level_raise(ssl_ctx);
	err = ciphers_set_up(ssl_ctx, making);
	if (err == 0)
		err = realm_set_up(ssl_ctx, realm, making);
	if (err == 0 && !tickets_set_up(ssl_ctx, making))
		err = PER_ENOMEM;
	return err;
}

/* The first host's certificates are where every SSL begins: most servers have no other. */
static int first_host_fill(struct per__tls_ctx *ctx)
{
	const struct per__tls_store *store = ctx->store;
	const struct per__tls_host *host = &store->hosts[store->first];

	for (unsigned i = 0; i < PER__TLS_KINDS; i++) {
		const struct per__tls_cert *cert = host->certs[i];

		if (cert != NULL &&
		    SSL_CTX_use_cert_and_key(ctx->realms[host->realm], cert->leaf,
					     ctx->keys[cert - store->certs], cert->chain, 1) != 1)
			return PER_ENOMEM;
	}
	return 0;
}

static int ctx_fill(struct making *making)
{
	struct per__tls_ctx *ctx = making->ctx;
	const struct per__tls_store *store = ctx->store;
	int err = 0;

	ctx->realms = per__mem_alloc(store->realm_cnt * sizeof(SSL_CTX *));
	ctx->keys = per__mem_alloc(store->cert_cnt * sizeof(EVP_PKEY *));
	ctx->ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (ctx->realms == NULL || ctx->keys == NULL || ctx->ticket_cipher == NULL)
		return PER_ENOMEM;
	for (size_t i = 0; i < store->cert_cnt; i++) {
		ctx->keys[i] = EVP_PKEY_dup(store->certs[i].key);
		if (ctx->keys[i] == NULL)
			return PER_ENOMEM;
	}
	for (uint32_t i = 0; i < store->realm_cnt && err == 0; i++)
		err = ssl_ctx_make(&ctx->realms[i], &store->realms[i], making);
	return err == 0 ? first_host_fill(ctx) : err;
}

int per__tls_ctx_new(struct per__tls_ctx **out, const struct per__tls_conf *conf,
		     struct per__tls_store *store, struct per__tls_tickets *tickets, const int64_t *now_ns,
		     char *reason, size_t cap)
{
	struct per__tls_ctx *ctx = per__mem_alloc(sizeof(*ctx));
	struct making making = { .ctx = ctx,
				 .config = &conf->config,
				 .say = { .reason = reason, .cap = cap } };
	int err;

	*out = NULL;
	if (ctx == NULL)
		return PER_ENOMEM;
	ERR_clear_error();
	ctx->refs = 1;
	ctx->is_strict_sni = conf->config.strict_sni;
	ctx->store = per__tls_store_take(store);
	ctx->tickets = tickets;
	ctx->now_ns = now_ns;
	err = ctx_fill(&making);
	ERR_clear_error();
	if (err != 0) {
		per__tls_ctx_drop(ctx);
		return err;
	}
	*out = ctx;
	return 0;
}

void per__tls_ctx_drop(struct per__tls_ctx *ctx)
{
	if (ctx == NULL || --ctx->refs > 0)
		return;
	for (uint32_t i = 0; i < ctx->store->realm_cnt && ctx->realms != NULL; i++)
		SSL_CTX_free(ctx->realms[i]);
	for (size_t i = 0; i < ctx->store->cert_cnt && ctx->keys != NULL; i++)
		EVP_PKEY_free(ctx->keys[i]);
	EVP_CIPHER_free(ctx->ticket_cipher);
	per__tls_ticket_view_wipe(&ctx->view);
	per__tls_store_drop(ctx->store);
	per__mem_free(ctx->realms);
	per__mem_free(ctx->keys);
	per__mem_free(ctx);
}

/* --- connections ------------------------------------------------------------------------------ */

SSL *per__tls_ctx_open(struct per__tls_ctx *ctx)
{
	SSL *ssl = SSL_new(ctx->realms[ctx->store->hosts[ctx->store->first].realm]);

	if (ssl == NULL)
		return NULL;
	SSL_set_accept_state(ssl);
	ctx->refs++;
	return ssl;
}

void per__tls_ctx_close(SSL *ssl)
{
	struct per__tls_ctx *ctx;

	if (ssl == NULL)
		return;
	ctx = ctx_of(ssl);
	SSL_free(ssl);
	per__tls_ctx_drop(ctx);
}
