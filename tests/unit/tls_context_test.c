/* SPDX-License-Identifier: MIT */
/*
 * tls_context_test.c - src/tls/context.c in handshakes: names, kinds of keys, versions, protocols, client
 * certificates. Tickets are tls_resume_test.c's.
 */
#include "support/unit.h"

#include "support/tls_meet.h"

/* --- names and kinds of keys ------------------------------------------------------------------ */

static void test_name_chooses_the_certificate(void **state)
{
	struct world *world = *state;
	const per_tls_cert certs[] = { { .cert_file = world->a_file }, { .cert_file = world->b_file } };
	struct server server;
	struct outcome outcome;

	server_open(&server, &(per_tls_config){ .certs = certs, .cert_count = 2 });
	test_name_gets(&server, "a.example", "a");
	test_name_gets(&server, "x.a.example", "a");
	test_name_gets(&server, "B.Example", "b");
	test_name_gets(&server, "x.b.example", "a");
	test_name_gets(&server, "unknown.example", "a");
	test_name_gets(&server, NULL, "a");
	outcome = meet_once(server.workers[1], &(struct client){ .name = "b.example" });
	assert_string_equal(outcome.name, "b.example");
	server_close(&server);
}

static void test_name_strict_refuses_strangers(void **state)
{
	struct world *world = *state;
	const per_tls_cert certs[] = { { .cert_file = world->a_file }, { .cert_file = world->b_file } };
	struct server server;

	server_open(&server, &(per_tls_config){ .certs = certs, .cert_count = 2, .strict_sni = true });
	test_name_gets(&server, "a.example", "a");
	test_name_gets(&server, "b.example", "b");
	assert_int_equal(meet_once(server.workers[0], &(struct client){ .name = "unknown.example" }).alert,
			 SSL_AD_UNRECOGNIZED_NAME);
	assert_int_equal(meet_once(server.workers[0], &(struct client){ 0 }).alert, SSL_AD_UNRECOGNIZED_NAME);
	server_close(&server);
}

static void test_kind_of_key_suits_the_client(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct world *world = *state;
	const per_tls_cert certs[] = { { .cert_file = world->b_file },
				       { .cert_file = world->a_rsa_file },
				       { .cert_file = world->a_file } };
	struct server server;

	server_open(&server, &(per_tls_config){ .certs = certs, .cert_count = 3, .tls12 = true });
	for (size_t i = 0; i < PER_ARRAY_LEN(versions); i++) {
		struct client client = { .name = "a.example", .version = versions[i] };

		assert_string_equal(meet_once(server.workers[0], &client).subject, "a");
		client.sigalgs = "rsa_pss_rsae_sha256:rsa_pkcs1_sha256:ecdsa_secp256r1_sha256";
		assert_string_equal(meet_once(server.workers[0], &client).subject,
				    "a"); /* the server prefers it */
		client.sigalgs = "rsa_pss_rsae_sha256:rsa_pkcs1_sha256";
		assert_string_equal(meet_once(server.workers[0], &client).subject, "a rsa");
		client.name = "x.a.example"; /* ECDSA only */
		assert_int_equal(meet_once(server.workers[0], &client).alert, SSL_AD_HANDSHAKE_FAILURE);
		client.name = "b.example";
		client.sigalgs = NULL;
		assert_string_equal(meet_once(server.workers[0], &client).subject, "b");
	}
	server_close(&server);
}

/* A host has nothing of the first one, not even a kind of key that it lacks. */
static void test_kind_of_key_is_not_borrowed(void **state)
{
	struct world *world = *state;
	const per_tls_cert certs[] = { { .cert_file = world->a_file },
				       { .cert_file = world->a_rsa_file },
				       { .cert_file = world->b_file } };
	struct client client = { .name = "b.example", .sigalgs = "rsa_pss_rsae_sha256" };
	struct server server;

	server_open(&server, &(per_tls_config){ .certs = certs, .cert_count = 3 });
	assert_int_equal(meet_once(server.workers[0], &client).alert, SSL_AD_HANDSHAKE_FAILURE);
	client.name = NULL;
	assert_string_equal(meet_once(server.workers[0], &client).subject, "a rsa");
	server_close(&server);
}

/* The chain that is sent is the file's, whatever authorities are known for clients. */
static void test_chain_is_the_files(void **state)
{
	struct world *world = *state;
	struct test_id middle = test_id_make(
		&(struct test_spec){ .subject = "middle", .is_ca = true, .issuer = &world->root });
	struct test_id leaf = test_id_make(
		&(struct test_spec){ .subject = "leaf", .issuer = &middle, .names = "DNS:l.example" });
	const per_tls_cert certs[] = {
		{ .cert_file = world->a_file },
		{ .cert_file = test_pem_write(&world->folder, "chain.pem",
					      (X509 *[]){ leaf.cert, middle.cert, NULL }, leaf.key) },
	};
	struct server server;

	server_open(&server, &(per_tls_config){ .certs = certs,
						.cert_count = 2,
						.client_auth = PER_TLS_CLIENT_OPTIONAL,
						.client_ca_file = world->root_file });
	assert_int_equal(meet_once(server.workers[0], &(struct client){ .name = "l.example" }).chain_cnt, 2);
	assert_int_equal(meet_once(server.workers[0], &(struct client){ .name = "a.example" }).chain_cnt, 1);
	server_close(&server);
	test_id_free(&middle);
	test_id_free(&leaf);
}

/* --- versions, ciphers, protocols ------------------------------------------------------------- */

static void test_version_12_only_when_asked_for(void **state)
{
	struct world *world = *state;
	const per_tls_cert cert = { .cert_file = world->a_file };
	const struct client old = { .version = TLS1_2_VERSION };
	struct server server;
	struct outcome outcome;

	server_open(&server, &(per_tls_config){ .certs = &cert, .cert_count = 1 });
	assert_int_equal(meet_once(server.workers[0], &old).alert, SSL_AD_PROTOCOL_VERSION);
	assert_int_equal(meet_once(server.workers[0], &(struct client){ 0 }).version, TLS1_3_VERSION);
	server_close(&server);
	server_open(&server, &(per_tls_config){ .certs = &cert, .cert_count = 1, .tls12 = true });
	outcome = meet_once(server.workers[0], &old);
	assert_int_equal(outcome.version, TLS1_2_VERSION);
	assert_string_equal(outcome.cipher, "ECDHE-ECDSA-AES256-GCM-SHA384");
	assert_int_equal(meet_once(server.workers[0], &(struct client){ 0 }).version, TLS1_3_VERSION);
	assert_int_equal(meet_once(server.workers[0], &(struct client){ .version = TLS1_1_VERSION }).alert,
			 SSL_AD_PROTOCOL_VERSION);
	assert_int_equal(
		meet_once(server.workers[0], &(struct client){ .version = TLS1_2_VERSION,
							       .ciphers12 = "ECDHE-ECDSA-AES256-SHA" })
			.alert,
		SSL_AD_HANDSHAKE_FAILURE);
	server_close(&server);
}

static void test_cipher_is_the_servers_choice_but_for_chacha(void **state)
{
	struct world *world = *state;
	const per_tls_cert cert = { .cert_file = world->a_file };
	struct server server;

	server_open(&server, &(per_tls_config){ .certs = &cert, .cert_count = 1 });
	assert_string_equal(
		meet_once(server.workers[0],
			  &(struct client){ .ciphersuites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384" })
			.cipher,
		"TLS_AES_256_GCM_SHA384");
	/* a client that puts it first has no AES in hardware */
	assert_string_equal(
		meet_once(server.workers[0],
			  &(struct client){ .ciphersuites =
						    "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384" })
			.cipher,
		"TLS_CHACHA20_POLY1305_SHA256");
	server_close(&server);
	server_open(&server, &(per_tls_config){ .certs = &cert,
						.cert_count = 1,
						.ciphersuites = "TLS_AES_128_GCM_SHA256" });
	assert_string_equal(meet_once(server.workers[0], &(struct client){ 0 }).cipher,
			    "TLS_AES_128_GCM_SHA256");
	server_close(&server);
}

static void test_texts_that_mean_nothing_are_refused(void **state)
{
	struct world *world = *state;
	const per_tls_cert cert = { .cert_file = world->a_file };
	const struct {
		per_tls_config config;
		const char *why;
	} cases[] = {
		{ { .ciphersuites = "TLS_AES_128_GCM_SHA256:TLS_ROT13" },
		  "'TLS_ROT13' is no cipher suite of TLS 1.3" },
		{ { .ciphersuites = "ECDHE-RSA-AES128-GCM-SHA256" }, "is no list of cipher suites" },
		{ { .ciphers12 = "ROT13" }, "ciphers12: 'ROT13' holds no cipher of TLS 1.2" },
		{ { .ciphers12 = "TLS_AES_128_GCM_SHA256" }, "holds no cipher of TLS 1.2" },
		{ { .ciphers12 = "aNULL" }, "holds no cipher of TLS 1.2" },
		{ { .groups = "P-256:P-25519" }, "groups: 'P-256:P-25519' has a name that is not known" },
	};

	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++) {
		per_tls_config config = cases[i].config;
		struct server server = { 0 };

		config.certs = &cert;
		config.cert_count = 1;
		assert_int_equal(contexts_make(&server, &config), PER_EINVAL);
		if (strstr(server.reason, cases[i].why) == NULL)
			fail_msg("'%s', not '%s'", server.reason, cases[i].why);
	}
}

static void test_alpn_chooses_http1_or_refuses(void **state)
{
	static const unsigned char both[] = "\x02h2\x08http/1.0\x08http/1.1", strange[] = "\x02h2\x05spdy1";
	static const unsigned char old[] = "\x08http/1.0";
	struct world *world = *state;
	const per_tls_cert cert = { .cert_file = world->a_file };
	struct server server;
	struct outcome outcome;

	server_open(&server, &(per_tls_config){ .certs = &cert, .cert_count = 1 });
	assert_string_equal(
		meet_once(server.workers[0], &(struct client){ .alpn = both, .alpn_len = sizeof(both) - 1 })
			.alpn,
		"http/1.1");
	assert_string_equal(
		meet_once(server.workers[0], &(struct client){ .alpn = old, .alpn_len = sizeof(old) - 1 })
			.alpn,
		"http/1.0");
	outcome = meet_once(server.workers[0],
			    &(struct client){ .alpn = strange, .alpn_len = sizeof(strange) - 1 });
	assert_false(outcome.is_complete);
	assert_int_equal(outcome.alert, SSL_AD_NO_APPLICATION_PROTOCOL);
	outcome = meet_once(server.workers[0], &(struct client){ 0 });
	assert_true(outcome.is_complete);
	assert_string_equal(outcome.alpn, "");
	server_close(&server);
}

/* --- client certificates ---------------------------------------------------------------------- */

enum who { WHO_NONE, WHO_VALID, WHO_EXPIRED, WHO_FOREIGN, WHO_SELF, WHO_CNT };

static const struct test_id *client_id(const struct world *world, enum who who)
{
	const struct test_id *const ids[WHO_CNT] = { NULL, &world->client, &world->client_expired,
						     &world->client_foreign, &world->client_self };

	return ids[who];
}

/* What becomes of a client: a verdict, or an alert. */
struct expected {
	bool is_complete, has_cert;
	long verdict;
	int alert13, alert12;
};

static void client_matrix(struct world *world, per_tls_client_auth auth, const struct expected *expected)
{
	const per_tls_cert cert = { .cert_file = world->a_file };
	const per_tls_config config = { .certs = &cert,
					.cert_count = 1,
					.tls12 = true,
					.client_auth = auth,
					.client_ca_file =
						auth == PER_TLS_CLIENT_OFF ? NULL : world->root_file };
	struct server server;

	server_open(&server, &config);
	for (unsigned who = 0; who < WHO_CNT; who++) {
		for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
			const struct client client = { .id = client_id(world, who), .version = version };
			const struct expected *is = &expected[who];
			struct outcome outcome = meet_once(server.workers[0], &client);
			int alert = version == TLS1_3_VERSION ? is->alert13 : is->alert12;

			if (outcome.is_complete != is->is_complete ||
			    outcome.has_client_cert != is->has_cert ||
			    (is->is_complete && outcome.verdict != is->verdict) ||
			    (!is->is_complete && outcome.alert != alert))
				fail_msg("auth %d, client %u, version %x: complete %d, verdict %ld, alert %d",
					 (int)auth, who, version, outcome.is_complete, outcome.verdict,
					 outcome.alert);
		}
	}
	server_close(&server);
}

static void test_client_off_asks_for_nothing(void **state)
{
	static const struct expected all = { .is_complete = true };
	const struct expected expected[WHO_CNT] = { all, all, all, all, all };

	client_matrix(*state, PER_TLS_CLIENT_OFF, expected);
}

static void test_client_optional_lets_in_and_tells(void **state)
{
	const struct expected expected[WHO_CNT] = {
		[WHO_NONE] = { .is_complete = true },
		[WHO_VALID] = { .is_complete = true, .has_cert = true },
		[WHO_EXPIRED] = { .is_complete = true,
				  .has_cert = true,
				  .verdict = X509_V_ERR_CERT_HAS_EXPIRED },
		[WHO_FOREIGN] = { .is_complete = true,
				  .has_cert = true,
				  .verdict = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
		[WHO_SELF] = { .is_complete = true,
			       .has_cert = true,
			       .verdict = X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT },
	};

	client_matrix(*state, PER_TLS_CLIENT_OPTIONAL, expected);
}

static void test_client_required_refuses(void **state)
{
	const struct expected expected[WHO_CNT] = {
		[WHO_NONE] = { .alert13 = SSL_AD_CERTIFICATE_REQUIRED, .alert12 = SSL_AD_HANDSHAKE_FAILURE },
		[WHO_VALID] = { .is_complete = true, .has_cert = true },
		[WHO_EXPIRED] = { .alert13 = SSL_AD_CERTIFICATE_EXPIRED,
				  .alert12 = SSL_AD_CERTIFICATE_EXPIRED },
		[WHO_FOREIGN] = { .alert13 = SSL_AD_UNKNOWN_CA, .alert12 = SSL_AD_UNKNOWN_CA },
		[WHO_SELF] = { .alert13 = SSL_AD_UNKNOWN_CA, .alert12 = SSL_AD_UNKNOWN_CA },
	};

	client_matrix(*state, PER_TLS_CLIENT_REQUIRED, expected);
}

/* A certificate that is for servers only, and a chain that is longer than allowed. */
static void test_client_purpose_and_depth_count(void **state)
{
	struct world *world = *state;
	struct test_id ids[4] = { test_id_make(
		&(struct test_spec){ .subject = "m1", .is_ca = true, .issuer = &world->root }) };
	struct test_id server_only = test_id_make(
		&(struct test_spec){ .subject = "server", .issuer = &world->root, .usage = "serverAuth" });
	const per_tls_cert cert = { .cert_file = world->a_file };
	per_tls_config config = { .certs = &cert,
				  .cert_count = 1,
				  .client_auth = PER_TLS_CLIENT_REQUIRED,
				  .client_ca_file = test_pem_write(
					  &world->folder, "chain-ca.pem",
					  (X509 *[]){ world->root.cert, ids[0].cert, NULL }, NULL) };
	struct server server;

	ids[1] = test_id_make(&(struct test_spec){ .subject = "c1", .issuer = &ids[0] });
	server_open(&server, &config);
	assert_int_equal(meet_once(server.workers[0], &(struct client){ .id = &server_only }).alert,
			 SSL_AD_UNSUPPORTED_CERTIFICATE);
	assert_true(meet_once(server.workers[0], &(struct client){ .id = &ids[1] }).is_complete);
	server_close(&server);
	/* the intermediate alone is an authority too */
	config.client_ca_file =
		test_pem_write(&world->folder, "chain-ca.pem", (X509 *[]){ ids[0].cert, NULL }, NULL);
	server_open(&server, &config);
	assert_true(meet_once(server.workers[0], &(struct client){ .id = &ids[1] }).is_complete);
	assert_int_equal(meet_once(server.workers[0], &(struct client){ .id = &world->client }).alert,
			 SSL_AD_UNKNOWN_CA);
	server_close(&server);
	for (size_t i = 0; i < PER_ARRAY_LEN(ids); i++)
		test_id_free(&ids[i]);
	test_id_free(&server_only);
}

static void test_client_certificates_by_name(void **state)
{
	struct world *world = *state;
	const per_tls_cert certs[] = { { .cert_file = world->a_file },
				       { .cert_file = world->b_file,
					 .client_auth = PER_TLS_CLIENT_REQUIRED,
					 .client_ca_file = world->root_file } };
	struct server server;
	struct client client = { .name = "b.example", .version = TLS1_2_VERSION };

	server_open(&server, &(per_tls_config){ .certs = certs, .cert_count = 2, .tls12 = true });
	for (; client.version <= TLS1_3_VERSION; client.version++) {
		client.name = "b.example";
		client.id = NULL;
		assert_false(meet_once(server.workers[0], &client).is_complete);
		client.id = &world->client_foreign;
		assert_int_equal(meet_once(server.workers[0], &client).alert, SSL_AD_UNKNOWN_CA);
		client.id = &world->client;
		assert_true(meet_once(server.workers[0], &client).has_client_cert);
		client.name = "a.example";
		assert_false(meet_once(server.workers[0], &client).has_client_cert);
	}
	server_close(&server);
}

/*
 * RFC 8446 section 4.1.2: a client that is asked for another key share sends its ClientHello again, and
 * may not change the name in it. One that does gets what the second name has, certificate and questions.
 */
static struct outcome meet_and_rename(struct server *server, const char *first, const char *second,
				      const char *sigalgs)
{
	struct outcome outcome = { .alert = -1 };
	SSL_CTX *client_ctx =
		client_context(&(struct client){ .version = TLS1_3_VERSION, .sigalgs = sigalgs });
	SSL *ours = per__tls_ctx_open(server->workers[0]), *ssl = SSL_new(client_ctx);

	SSL_set_bio(ours, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_app_data(ssl, &outcome);
	SSL_set_connect_state(ssl);
	assert_int_equal(SSL_set1_groups_list(ssl, "P-521:X25519"), 1); /* the first is not the server's */
	assert_int_equal(SSL_set_tlsext_host_name(ssl, first), 1);
	(void)SSL_do_handshake(ssl);
	pump(ssl, ours);
	(void)SSL_do_handshake(ours);
	assert_int_equal(SSL_set_tlsext_host_name(ssl, second), 1);
	pump(ours, ssl);
	outcome.is_complete = converse(ssl, ours);
	if (outcome.is_complete)
		outcome_read(&outcome, ssl, ours);
	SSL_SESSION_free(outcome.session);
	outcome.session = NULL;
	SSL_free(ssl);
	SSL_CTX_free(client_ctx);
	per__tls_ctx_close(ours);
	return outcome;
}

static void test_name_changed_after_a_retry_gets_nothing_of_the_first(void **state)
{
	static const char *const names[] = { "a.example", "b.example", "unknown.example" };
	struct world *world = *state;
	const per_tls_cert certs[] = { { .cert_file = world->a_file,
					 .client_auth = PER_TLS_CLIENT_REQUIRED,
					 .client_ca_file = world->root_file },
				       { .cert_file = world->b_file } };
	struct server server;

	server_open(&server, &(per_tls_config){ .certs = certs, .cert_count = 2 });
	for (size_t i = 0; i < PER_ARRAY_LEN(names); i++) {
		assert_int_equal(meet_and_rename(&server, names[i], "a.example", NULL).alert,
				 SSL_AD_CERTIFICATE_REQUIRED);
		assert_int_equal(meet_and_rename(&server, names[i], "unknown.example", NULL).alert,
				 SSL_AD_CERTIFICATE_REQUIRED);
		assert_string_equal(meet_and_rename(&server, names[i], "b.example", NULL).subject, "b");
	}
	server_close(&server);
}

/* As above; and the first host's RSA key is not lent to a host that has none, by way of a third. */
static void test_name_changed_after_a_retry_borrows_no_key(void **state)
{
	struct world *world = *state;
	const per_tls_cert certs[] = { { .cert_file = world->a_file },
				       { .cert_file = world->a_rsa_file },
				       { .cert_file = world->b_file },
				       { .cert_file = world->a_rsa_file,
					 .names = "c.example",
					 .client_auth = PER_TLS_CLIENT_OPTIONAL,
					 .client_ca_file = world->root_file } };
	const char *either = "rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256", *rsa = "rsa_pss_rsae_sha256";
	struct server server;

	server_open(&server, &(per_tls_config){ .certs = certs, .cert_count = 4 });
	assert_string_equal(meet_and_rename(&server, "c.example", "a.example", rsa).subject, "a rsa");
	assert_string_equal(meet_and_rename(&server, "c.example", "b.example", either).subject, "b");
	assert_int_equal(meet_and_rename(&server, "c.example", "b.example", rsa).alert,
			 SSL_AD_HANDSHAKE_FAILURE);
	server_close(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_chooses_the_certificate),
		cmocka_unit_test(test_name_strict_refuses_strangers),
		cmocka_unit_test(test_kind_of_key_suits_the_client),
		cmocka_unit_test(test_kind_of_key_is_not_borrowed),
		cmocka_unit_test(test_chain_is_the_files),
		cmocka_unit_test(test_version_12_only_when_asked_for),
		cmocka_unit_test(test_cipher_is_the_servers_choice_but_for_chacha),
		cmocka_unit_test(test_texts_that_mean_nothing_are_refused),
		cmocka_unit_test(test_alpn_chooses_http1_or_refuses),
		cmocka_unit_test(test_client_off_asks_for_nothing),
		cmocka_unit_test(test_client_optional_lets_in_and_tells),
		cmocka_unit_test(test_client_required_refuses),
		cmocka_unit_test(test_client_purpose_and_depth_count),
		cmocka_unit_test(test_client_certificates_by_name),
		cmocka_unit_test(test_name_changed_after_a_retry_gets_nothing_of_the_first),
		cmocka_unit_test(test_name_changed_after_a_retry_borrows_no_key),
	};

	return cmocka_run_group_tests(tests, world_make, world_free);
}
