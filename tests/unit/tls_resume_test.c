/* SPDX-License-Identifier: MIT */
/*
 * tls_resume_test.c - src/tls/context.c in handshakes: clients that come back with a ticket, to which worker,
 * for how long, for which name; contexts that are replaced meanwhile.
 */
#include "support/unit.h"

#include "support/tls_meet.h"

/* --- tickets ---------------------------------------------------------------------------------- */

/* Meets one worker, then another with the ticket; was it good? */
static bool resumes(struct per__tls_ctx *first, struct per__tls_ctx *second, const struct client *client)
{
	struct outcome one = meet(first, client), two;
	struct client again = *client;

	assert_true(one.is_complete);
	assert_false(one.is_resumed);
	assert_non_null(one.session);
	again.session = one.session;
	two = meet_once(second, &again);
	SSL_SESSION_free(one.session);
	assert_true(two.is_complete);
	return two.is_resumed;
}

static void test_ticket_is_good_for_every_worker(void **state)
{
	struct world *world = *state;
	const per_tls_cert certs[] = { { .cert_file = world->a_file }, { .cert_file = world->b_file } };
	struct server server;
	struct client client = { .version = TLS1_2_VERSION };

	server_open(&server, &(per_tls_config){ .certs = certs, .cert_count = 2, .tls12 = true });
	for (; client.version <= TLS1_3_VERSION; client.version++) {
		client.name = "b.example";
		assert_true(resumes(server.workers[0], server.workers[1], &client));
		client.name = "a.example";
		assert_true(resumes(server.workers[1], server.workers[0], &client));
		client.name = NULL;
		assert_true(resumes(server.workers[0], server.workers[0], &client));
		client.name = "unknown.example";
		assert_true(resumes(server.workers[0], server.workers[1], &client));
	}
	server_close(&server);
}

static void test_ticket_count_is_the_configurations(void **state)
{
	static const unsigned counts[] = { 0, 1, 2, 8 }; /* 0: the default, which is 1 */
	struct world *world = *state;
	const per_tls_cert cert = { .cert_file = world->a_file };
	struct server server;
	struct outcome outcome;

	for (size_t i = 0; i < PER_ARRAY_LEN(counts); i++) {
		server_open(&server,
			    &(per_tls_config){ .certs = &cert, .cert_count = 1, .ticket_count = counts[i] });
		assert_int_equal(meet_once(server.workers[0], &(struct client){ 0 }).tickets,
				 PER_MAX(counts[i], 1u));
		server_close(&server);
	}
	server_open(&server,
		    &(per_tls_config){ .certs = &cert, .cert_count = 1, .tls12 = true, .tickets_off = true });
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		outcome = meet_once(server.workers[0], &(struct client){ .version = version });
		assert_true(outcome.is_complete);
		assert_int_equal(outcome.tickets, 0);
	}
	server_close(&server);
}

/* In TLS 1.3 a ticket is for one use: whoever comes back gets another one. */
static void test_ticket_is_renewed(void **state)
{
	struct world *world = *state;
	const per_tls_cert cert = { .cert_file = world->a_file };
	struct server server;
	struct outcome one, two;
	struct client client = { 0 };

	server_open(&server, &(per_tls_config){ .certs = &cert, .cert_count = 1, .tls12 = true });
	one = meet(server.workers[0], &client);
	client.session = one.session;
	two = meet_once(server.workers[0], &client);
	assert_true(two.is_resumed);
	assert_in_range(two.tickets, 1, 2);
	SSL_SESSION_free(one.session);
	/* in TLS 1.2 only when its key is not the current one any more */
	client = (struct client){ .version = TLS1_2_VERSION };
	one = meet(server.workers[0], &client);
	client.session = one.session;
	two = meet_once(server.workers[0], &client);
	assert_memory_equal(two.ticket_key, one.ticket_key, sizeof(one.ticket_key));
	server.now_ns += 3601 * SECOND_NS;
	two = meet_once(server.workers[0], &client);
	assert_true(two.is_resumed);
	assert_memory_not_equal(two.ticket_key, one.ticket_key, sizeof(one.ticket_key));
	SSL_SESSION_free(one.session);
	server_close(&server);
}

static void test_ticket_key_grows_old(void **state)
{
	struct world *world = *state;
	const per_tls_cert cert = { .cert_file = world->a_file };
	struct server server;
	struct outcome one;
	struct client client = { 0 };

	server_open(&server, &(per_tls_config){ .certs = &cert, .cert_count = 1 });
	one = meet(server.workers[0], &client);
	client.session = one.session;
	server.now_ns += 13 * 3600 * SECOND_NS - 1;
	assert_true(meet_once(server.workers[1], &client).is_resumed);
	server.now_ns += 1;
	assert_false(meet_once(server.workers[1], &client).is_resumed);
	SSL_SESSION_free(one.session);
	server_close(&server);
}

static bool crosses(struct server *server, const struct client *from, const struct client *to)
{
	struct outcome one = meet(server->workers[0], from), two;
	struct client again = *to;

	assert_true(one.is_complete);
	assert_non_null(one.session);
	again.session = one.session;
	two = meet_once(server->workers[1], &again);
	SSL_SESSION_free(one.session);
	return two.is_resumed;
}

/* RFC 6066 section 3; and a host that asks for certificates must not be entered through one that does not. */
static void test_ticket_is_for_one_name_only(void **state)
{
	struct world *world = *state;
	const per_tls_cert certs[] = { { .cert_file = world->a_file },
				       { .cert_file = world->b_file,
					 .client_auth = PER_TLS_CLIENT_REQUIRED,
					 .client_ca_file = world->root_file } };
	struct server server;

	server_open(&server, &(per_tls_config){ .certs = certs, .cert_count = 2, .tls12 = true });
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		const struct client a = { .name = "a.example", .version = version };
		const struct client xa = { .name = "x.a.example", .version = version };
		const struct client b = { .name = "b.example", .version = version, .id = &world->client };
		const struct client b_bare = { .name = "b.example", .version = version };
		const struct client none = { .version = version };

		assert_true(crosses(&server, &a, &a));
		assert_true(crosses(&server, &b, &b));
		assert_true(crosses(&server, &b, &b_bare)); /* the ticket vouches for the certificate */
		assert_false(crosses(&server, &a, &b));
		assert_false(crosses(&server, &a, &b_bare));
		assert_false(crosses(&server, &b, &a));
		assert_false(crosses(&server, &a, &xa));
		assert_false(crosses(&server, &none, &a));
		assert_false(crosses(&server, &none, &b_bare));
		/* and without a ticket that counts, there is no way in */
		assert_false(meet_once(server.workers[0], &b_bare).is_complete);
	}
	server_close(&server);
}

static void test_ticket_carries_the_clients_certificate(void **state)
{
	struct world *world = *state;
	const per_tls_cert cert = { .cert_file = world->a_file };
	struct server server;
	struct client client = { .id = &world->client_foreign };
	struct outcome one, two;

	server_open(&server, &(per_tls_config){ .certs = &cert,
						.cert_count = 1,
						.client_auth = PER_TLS_CLIENT_OPTIONAL,
						.client_ca_file = world->root_file });
	one = meet(server.workers[0], &client);
	client = (struct client){ .session = one.session };
	two = meet_once(server.workers[1], &client);
	assert_true(two.is_resumed);
	assert_true(two.has_client_cert);
	assert_int_equal(two.verdict, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
	SSL_SESSION_free(one.session);
	server_close(&server);
}

/* Comes back with a ticket, and takes the new one. */
static bool comes_back(struct server *server, SSL_SESSION **session)
{
	int version = SSL_SESSION_get_protocol_version(*session);
	struct outcome outcome =
		meet(server->workers[0], &(struct client){ .session = *session, .version = version });

	if (outcome.session != NULL) {
		SSL_SESSION_free(*session);
		*session = outcome.session;
	}
	return outcome.is_complete && outcome.is_resumed;
}

/* RFC 8446 section 4.6.1: renewing tickets does not make a certificate good for ever. */
static void test_ticket_vouches_no_longer_than_its_certificate_may(void **state)
{
	struct world *world = *state;
	struct test_id brief = test_id_make(&(struct test_spec){
		.subject = "brief client", .issuer = &world->root, .begin_s = -3600, .end_s = 7200 });
	const struct test_id *const ids[] = { &world->client, &brief };
	static const int64_t ends_s[] = { 43200, 7190 };
	const per_tls_cert cert = { .cert_file = world->a_file };
	struct server server;

	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		for (unsigned i = 0; i < PER_ARRAY_LEN(ids); i++) {
			struct client client = { .id = ids[i], .version = version };
			SSL_SESSION *session;

			server_open(&server, &(per_tls_config){ .certs = &cert,
								.cert_count = 1,
								.tls12 = true,
								.client_auth = PER_TLS_CLIENT_REQUIRED,
								.client_ca_file = world->root_file });
			session = meet(server.workers[0], &client).session;
			assert_non_null(session);
			for (int n = 0; n < 4; n++) {
				server.now_ns += ends_s[i] / 4 * SECOND_NS - 1;
				assert_true(comes_back(&server, &session));
			}
			server.now_ns += 100 * SECOND_NS;
			assert_false(comes_back(&server, &session));
			SSL_SESSION_free(session);
			server_close(&server);
		}
	}
	test_id_free(&brief);
}

/* --- contexts that are replaced --------------------------------------------------------------- */

static void contexts_replace(struct server *server, const per_tls_config *config)
{
	contexts_drop(server);
	if (contexts_make(server, config) != 0)
		fail_msg("%s", server->reason);
}

static void test_replaced_contexts_accept_old_tickets(void **state)
{
	struct world *world = *state;
	per_tls_cert cert = { .cert_file = world->a_file };
	per_tls_config config = { .certs = &cert,
				  .cert_count = 1,
				  .client_auth = PER_TLS_CLIENT_OPTIONAL,
				  .client_ca_file = world->root_file };
	struct client client = { .name = "a.example" };
	struct server server;
	struct outcome one;

	server_open(&server, &config);
	one = meet(server.workers[0], &client);
	client.session = one.session;
	cert.cert_file = world->a_rsa_file; /* a new certificate */
	contexts_replace(&server, &config);
	assert_true(meet_once(server.workers[0], &client).is_resumed);
	config.client_ca_file = world->other_root_file; /* other authorities */
	contexts_replace(&server, &config);
	assert_false(meet_once(server.workers[0], &client).is_resumed);
	config.client_auth = PER_TLS_CLIENT_REQUIRED; /* asked in another way */
	config.client_ca_file = world->root_file;
	contexts_replace(&server, &config);
	assert_false(meet_once(server.workers[0], &client).is_complete);
	SSL_SESSION_free(one.session);
	server_close(&server);
}

/* A handshake that began before, and a connection that lives on; AddressSanitizer looks on. */
static void test_replaced_contexts_live_as_long_as_connections(void **state)
{
	struct world *world = *state;
	const per_tls_cert certs[] = { { .cert_file = world->a_file }, { .cert_file = world->b_file } };
	const per_tls_cert other = { .cert_file = world->a_rsa_file };
	struct server server;
	struct outcome outcome = { .alert = -1 };
	const struct client client = { .name = "b.example" };
	SSL_CTX *client_ctx = client_context(&client);
	SSL *ssl = SSL_new(client_ctx), *old;

	server_open(&server, &(per_tls_config){ .certs = certs, .cert_count = 2 });
	old = per__tls_ctx_open(server.workers[0]);
	SSL_set_bio(old, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_app_data(ssl, &outcome);
	SSL_set_connect_state(ssl);
	SSL_set_tlsext_host_name(ssl, client.name);
	contexts_replace(&server, &(per_tls_config){ .certs = &other, .cert_count = 1 });
	assert_true(converse(ssl, old));
	outcome_read(&outcome, ssl, old);
	assert_string_equal(outcome.subject, "b");
	test_name_gets(&server, "b.example", "a rsa");
	SSL_SESSION_free(outcome.session);
	SSL_free(ssl);
	SSL_CTX_free(client_ctx);
	per__tls_ctx_close(old);
	server_close(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ticket_is_good_for_every_worker),
		cmocka_unit_test(test_ticket_count_is_the_configurations),
		cmocka_unit_test(test_ticket_is_renewed),
		cmocka_unit_test(test_ticket_key_grows_old),
		cmocka_unit_test(test_ticket_is_for_one_name_only),
		cmocka_unit_test(test_ticket_carries_the_clients_certificate),
		cmocka_unit_test(test_ticket_vouches_no_longer_than_its_certificate_may),
		cmocka_unit_test(test_replaced_contexts_accept_old_tickets),
		cmocka_unit_test(test_replaced_contexts_live_as_long_as_connections),
	};

	return cmocka_run_group_tests(tests, world_make, world_free);
}
