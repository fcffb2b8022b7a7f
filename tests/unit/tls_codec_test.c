/* SPDX-License-Identifier: MIT */
/*
 * tls_codec_test.c - the server's end of whole connections: OpenSSL as the client, tls.h as the server, bytes
 * between them in memory. Every suite, whole and cut, with key updates, client certificates and each way to
 * end. The records of TLS 1.3 after the handshake alone are in tls_record_test.c.
 */
#include "support/unit.h"

#include "support/tls_meet.h"
#include "tls/internal.h"

#define MOST (256u * 1024u)

/* What the server has put out and the client has not been given; then the same the other way. */
struct bytes {
	uint8_t data[MOST];
	size_t len;
};

struct link {
	struct per__tls_line line;
	struct per__tls *tls;
	SSL *client;
	struct bytes down, opened;
	struct outcome outcome; /* of the client */
	int result;             /* of the server's last call */
	bool is_established;
};

static int down_take(void *arg, const uint8_t *data, size_t len)
{
	struct bytes *down = arg;

	assert_in_range(len, 1, MOST - down->len);
	memcpy(down->data + down->len, data, len);
	down->len += len;
	return 0;
}

/* Input for the server: first the handshake, then content, as core does it. A copy, as it may change it. */
static void server_feed(struct link *link, const uint8_t *data, size_t len)
{
	static uint8_t buf[PER__TLS_RECORD_MAX];
	uint8_t *copy = malloc(len + (len == 0)), *content;
	size_t n = 1;

	assert_non_null(copy);
	memcpy(copy, data, len);
	link->line.in = copy;
	link->line.in_len = len;
	if (!link->is_established) {
		link->result = per__tls_handshake(link->tls);
		if (link->result == 1) {
			per__tls_settle(link->tls);
			link->is_established = true;
			link->result = 0;
		}
	}
	while (link->is_established && link->result == 0 && n > 0) {
		link->result = per__tls_open(link->tls, buf, sizeof(buf), &content, &n);
		assert_in_range(n, 0, MOST - link->opened.len);
		if (n > 0)
			memcpy(link->opened.data + link->opened.len, content, n);
		link->opened.len += n;
	}
	free(copy);
}

/* Gives the client all that the server has put out. */
static void client_give(struct link *link)
{
	if (link->down.len > 0)
		assert_int_equal(BIO_write(SSL_get_rbio(link->client), link->down.data, (int)link->down.len),
				 (int)link->down.len);
	link->down.len = 0;
}

/* Gives the server what the client has put out, at most step bytes at once. */
static void server_give(struct link *link, size_t step)
{
	static uint8_t data[MOST];
	int len = BIO_read(SSL_get_wbio(link->client), data, MOST);

	for (size_t pos = 0; len > 0 && pos < (size_t)len && link->result == 0;
	     pos += PER_MIN(step, (size_t)len - pos))
		server_feed(link, data + pos, PER_MIN(step, (size_t)len - pos));
}

static void link_open(struct link *link, struct per__tls_ctx *ctx, SSL_CTX *client_ctx)
{
	*link = (struct link){ .result = 0 };
	assert_int_equal(per__tls_line_open(&link->line), 0);
	link->line.out = down_take;
	link->line.arg = &link->down;
	link->tls = per__tls_new(ctx, &link->line);
	assert_non_null(link->tls);
	link->client = SSL_new(client_ctx);
	SSL_set_bio(link->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_app_data(link->client, &link->outcome);
	SSL_set_connect_state(link->client);
}

static void link_close(struct link *link)
{
	per__tls_free(link->tls);
	per__tls_line_close(&link->line);
	SSL_free(link->client);
	SSL_SESSION_free(link->outcome.session);
	ERR_clear_error();
}

static void link_establish(struct link *link, size_t step)
{
	for (int i = 0; i < 4 && link->result == 0 && !link->is_established; i++) {
		(void)SSL_do_handshake(link->client);
		server_give(link, step);
		client_give(link);
	}
	assert_true(link->is_established);
}

/* Content from the client, which the server sends back in records of at most 5,000 bytes. */
static void echo(struct link *link, size_t len, size_t step)
{
	static uint8_t sent[MOST], back[MOST];
	static uint8_t record[5000 + PER__TLS_OVERHEAD_MAX];
	size_t got = 0, n;

	for (size_t i = 0; i < len; i++)
		sent[i] = (uint8_t)(i * 7 + len);
	link->opened.len = 0;
	assert_int_equal(SSL_write_ex(link->client, sent, len, &n), 1);
	server_give(link, step);
	assert_int_equal(link->result, 0);
	assert_int_equal(link->opened.len, len);
	assert_memory_equal(link->opened.data, sent, len);
	for (size_t pos = 0; pos < len; pos += n) {
		int sealed;

		n = PER_MIN(len - pos, (size_t)5000);
		sealed = per__tls_seal(link->tls, sent + pos, n, record);
		assert_in_range(sealed, 0, sizeof(record));
		if (sealed > 0)
			down_take(&link->down, record, (size_t)sealed);
	}
	client_give(link);
	while (got < len && SSL_read_ex(link->client, back + got, MOST - got, &n) == 1)
		got += n;
	assert_int_equal(got, len);
	assert_memory_equal(back, sent, len);
}

static const char alpn[] = "\x08http/1.1";

static SSL_CTX *context_of(const char *suite, int version)
{
	return client_context(&(struct client){
		.version = version,
		.ciphersuites = version == TLS1_3_VERSION ? suite : NULL,
		.ciphers12 = version == TLS1_2_VERSION ? suite : NULL,
		.alpn = (const unsigned char *)alpn,
		.alpn_len = sizeof(alpn) - 1,
	});
}

/* The first is the certificate of a.example. */
static void begin(struct world *world, struct server *server, per_tls_client_auth auth)
{
	server_open(server, &(per_tls_config){
				    .certs = &(per_tls_cert){ .cert_file = world->a_file },
				    .cert_count = 1,
				    .tls12 = true,
				    .ciphersuites = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
						    "TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_SHA256",
				    .ticket_count = 8,
				    .client_auth = auth,
				    .client_ca_file = auth != 0 ? world->root_file : NULL,
			    });
}

/* --- tests ------------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	int version;
	bool is_direct; /* its records are ours */
} kinds[] = {
	{ "TLS_AES_256_GCM_SHA384", TLS1_3_VERSION, true },
	{ "TLS_AES_128_GCM_SHA256", TLS1_3_VERSION, true },
	{ "TLS_CHACHA20_POLY1305_SHA256", TLS1_3_VERSION, true },
	{ "TLS_AES_128_CCM_SHA256", TLS1_3_VERSION, false },
	{ "ECDHE-ECDSA-AES256-GCM-SHA384", TLS1_2_VERSION, false },
	{ "ECDHE-ECDSA-CHACHA20-POLY1305", TLS1_2_VERSION, false },
};

static struct link link_now; /* too large for a stack */

static void test_codec_every_suite_and_step_gives_the_same_content(void **state)
{
	const size_t steps[] = { MOST, 1, 5, 1000, 16384 };
	struct server server;

	begin(*state, &server, 0);
	for (unsigned i = 0; i < PER_ARRAY_LEN(kinds); i++) {
		SSL_CTX *client_ctx = context_of(kinds[i].name, kinds[i].version);

		for (unsigned k = 0; k < PER_ARRAY_LEN(steps); k++) {
			per_tls_info info;

			link_open(&link_now, server.workers[0], client_ctx);
			link_establish(&link_now, steps[k]);
			assert_int_equal(link_now.tls->ssl == NULL, kinds[i].is_direct);
			echo(&link_now, 1, steps[k]);
			echo(&link_now, 16384, steps[k]);
			echo(&link_now, 100000, PER_MAX(steps[k], (size_t)5));
			per__tls_info_read(link_now.tls, &info);
			assert_string_equal(info.cipher, kinds[i].name);
			assert_string_equal(info.version,
					    kinds[i].version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2");
			assert_true(per_str_equal(info.alpn, PER_S("http/1.1")));
			assert_null(info.server_name.ptr);
			assert_int_equal(info.client, PER_TLS_CLIENT_NONE);
			link_close(&link_now);
		}
		SSL_CTX_free(client_ctx);
	}
	server_close(&server);
}

static void test_codec_key_updates_of_both_sides_change_nothing(void **state)
{
	struct server server;

	begin(*state, &server, 0);
	for (unsigned i = 0; i < 4; i++) {
		SSL_CTX *client_ctx = context_of(kinds[i].name, TLS1_3_VERSION);

		link_open(&link_now, server.workers[0], client_ctx);
		link_establish(&link_now, MOST);
		for (int round = 0; round < 3; round++) {
			assert_int_equal(SSL_key_update(link_now.client, SSL_KEY_UPDATE_REQUESTED), 1);
			echo(&link_now, 3000, 100);
			per__tls_rekey(link_now.tls);
			echo(&link_now, 3000, 100);
		}
		link_close(&link_now);
		SSL_CTX_free(client_ctx);
	}
	server_close(&server);
}

/* The ticket has the client's certificate in it, so it goes out in several pieces: they are one record. */
static void test_codec_long_certificate_of_a_client_long_tickets(void **state)
{
	struct world *world = *state;
	struct server server;
	struct test_id id;
	char names[8000];
	size_t len = 0;

	while (len < sizeof(names) - 100)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%sDNS:host-%zu.client.example",
					len > 0 ? "," : "", len);
	id = test_id_make(&(struct test_spec){
		.subject = "long client", .issuer = &world->root, .names = names, .usage = "clientAuth" });
	begin(world, &server, PER_TLS_CLIENT_REQUIRED);
	for (unsigned i = 0; i < PER_ARRAY_LEN(kinds); i++) {
		SSL_CTX *client_ctx =
			client_context(&(struct client){ .version = kinds[i].version,
							 .ciphersuites = i < 4 ? kinds[i].name : NULL,
							 .id = &id });
		per_tls_info info;

		link_open(&link_now, server.workers[0], client_ctx);
		link_establish(&link_now, MOST);
		echo(&link_now, 100, MOST);
		per__tls_info_read(link_now.tls, &info);
		assert_int_equal(info.client, PER_TLS_CLIENT_VERIFIED);
		assert_string_equal(info.client_subject, "CN=long client");
		link_close(&link_now);
		SSL_CTX_free(client_ctx);
	}
	test_id_free(&id);
	server_close(&server);
}

static void test_codec_close_notify_is_heard_and_answered(void **state)
{
	struct server server;
	char byte;

	begin(*state, &server, 0);
	for (unsigned i = 0; i < PER_ARRAY_LEN(kinds); i++) {
		SSL_CTX *client_ctx = context_of(kinds[i].name, kinds[i].version);

		link_open(&link_now, server.workers[0], client_ctx);
		link_establish(&link_now, MOST);
		echo(&link_now, 10, MOST);
		SSL_shutdown(link_now.client);
		server_give(&link_now, 1);
		assert_int_equal(link_now.result, PER_EGONE);
		per__tls_end(link_now.tls);
		client_give(&link_now);
		assert_int_equal(SSL_read(link_now.client, &byte, 1), 0);
		assert_int_equal(SSL_get_error(link_now.client, 0), SSL_ERROR_ZERO_RETURN);
		link_close(&link_now);
		SSL_CTX_free(client_ctx);
	}
	server_close(&server);
}

/* Wherever a bit is changed on the way to the server, it answers with an alert or waits for more. */
static void test_codec_falsified_records_are_answered_with_an_alert(void **state)
{
	struct server server;
	uint8_t data[4096];

	begin(*state, &server, 0);
	for (unsigned i = 0; i < PER_ARRAY_LEN(kinds); i++) {
		SSL_CTX *client_ctx = context_of(kinds[i].name, kinds[i].version);

		for (size_t at = 0, len = 1; at < len; at++) {
			link_open(&link_now, server.workers[0], client_ctx);
			link_establish(&link_now, MOST);
			assert_int_equal(SSL_write(link_now.client, "content", 7), 7);
			len = (size_t)BIO_read(SSL_get_wbio(link_now.client), data, sizeof(data));
			data[at] ^= 1;
			link_now.down.len = 0;
			server_feed(&link_now, data, len);
			assert_int_equal(link_now.opened.len, 0);
			if (link_now.result == 0) /* the length is longer now */
				assert_in_range(at, 3, 4);
			else
				assert_int_equal(link_now.down.data[0],
						 kinds[i].version == TLS1_3_VERSION ? 23 : 21);
			link_close(&link_now);
		}
		SSL_CTX_free(client_ctx);
	}
	server_close(&server);
}

static void test_codec_other_protocols_are_refused(void **state)
{
	static const struct {
		const char *data;
		size_t len;
	} strange[] = {
		{ "\x16\x03\x01\xff\xff\x01", 6 },
		{ "\x17\x03\x03\x00\x01\x00", 6 },
		{ "\x15\x03\x01\x00\x02\x02\x28", 7 },
		{ "\x14\x03\x03\x00\x01\x01\x14\x03\x03\x00\x01\x01", 12 },
		{ "SSH-2.0-client\r\n", 16 },
		{ "\0\0\0\0\0\0\0\0\0\0\0", 11 },
	};
	struct server server;
	SSL_CTX *client_ctx = context_of(NULL, 0);

	begin(*state, &server, 0);
	for (unsigned i = 0; i < PER_ARRAY_LEN(strange); i++) {
		char reason[100];

		link_open(&link_now, server.workers[0], client_ctx);
		server_feed(&link_now, (const uint8_t *)strange[i].data, strange[i].len);
		if (link_now.result != PER_EPROTO)
			fail_msg("%u: %d", i, link_now.result);
		assert_false(link_now.is_established);
		per__tls_reason(reason, sizeof(reason));
		assert_string_not_equal(reason, "");
		assert_int_equal(ERR_peek_error(), 0);
		link_close(&link_now);
	}
	SSL_CTX_free(client_ctx);
	server_close(&server);
}

/* Fragments that a client has asked for (RFC 6066 section 4) are kept to. */
static void test_codec_small_fragments_are_kept_to(void **state)
{
	struct server server;

	begin(*state, &server, 0);
	for (unsigned i = 0; i < PER_ARRAY_LEN(kinds); i++) {
		SSL_CTX *client_ctx = context_of(kinds[i].name, kinds[i].version);
		uint8_t content[2000] = { 0 };

		SSL_CTX_set_tlsext_max_fragment_length(client_ctx, TLSEXT_max_fragment_length_512);
		link_open(&link_now, server.workers[0], client_ctx);
		link_establish(&link_now, MOST);
		echo(&link_now, 10000, MOST);
		assert_int_equal(per__tls_seal(link_now.tls, content, sizeof(content), NULL), 0);
		for (size_t pos = 0; pos < link_now.down.len;) {
			size_t record =
				(size_t)link_now.down.data[pos + 3] * 256 + link_now.down.data[pos + 4];

			assert_in_range(record, 1, 512 + 40);
			pos += 5 + record;
		}
		link_close(&link_now);
		SSL_CTX_free(client_ctx);
	}
	server_close(&server);
}

/* --- 0-RTT ------------------------------------------------------------------------------------ */

static void begin_early(struct world *world, struct server *server, unsigned early_data_max)
{
	server_open(server, &(per_tls_config){
				    .certs = &(per_tls_cert){ .cert_file = world->a_file },
				    .cert_count = 1,
				    .early_data_max = early_data_max,
			    });
}

/* A ticket of a server, to be freed. */
static SSL_SESSION *ticket_get(struct server *server, SSL_CTX *client_ctx)
{
	SSL_SESSION *session;

	link_open(&link_now, server->workers[0], client_ctx);
	link_establish(&link_now, MOST);
	echo(&link_now, 10, MOST);
	session = link_now.outcome.session;
	link_now.outcome.session = NULL;
	assert_non_null(session);
	assert_int_equal(SSL_SESSION_get_max_early_data(session), 20000);
	SSL_set_shutdown(link_now.client, SSL_SENT_SHUTDOWN); /* else its session is taken for a bad one */
	link_close(&link_now);
	return session;
}

static void test_codec_early_data_is_given_and_answered_before_the_handshake_ends(void **state)
{
	const size_t steps[] = { MOST, 1, 100 };
	static uint8_t early[18000];
	struct server server;
	SSL_CTX *client_ctx = context_of(NULL, TLS1_3_VERSION);
	char answer[16];
	size_t n;

	memset(early, 'e', sizeof(early));
	begin_early(*state, &server, 20000);
	for (unsigned i = 0; i < PER_ARRAY_LEN(steps); i++) {
		SSL_SESSION *session = ticket_get(&server, client_ctx);

		link_open(&link_now, server.workers[1], client_ctx);
		assert_int_equal(SSL_set_session(link_now.client, session), 1);
		assert_int_equal(SSL_write_early_data(link_now.client, early, sizeof(early), &n), 1);
		server_give(&link_now, steps[i]);
		assert_true(link_now.is_established && per__tls_is_early(link_now.tls));
		assert_int_equal(link_now.opened.len, sizeof(early));
		assert_memory_equal(link_now.opened.data, early, sizeof(early));
		assert_int_equal(per__tls_seal(link_now.tls, (const uint8_t *)"answer", 6, NULL), 0);
		client_give(&link_now);
		assert_int_equal(SSL_do_handshake(link_now.client), 1);
		assert_int_equal(SSL_read(link_now.client, answer, sizeof(answer)), 6);
		assert_int_equal(SSL_get_early_data_status(link_now.client), SSL_EARLY_DATA_ACCEPTED);
		server_give(&link_now, steps[i]);
		assert_int_equal(link_now.result, 0);
		assert_false(per__tls_is_early(link_now.tls));
		assert_true(per__tls_is_resumed(link_now.tls));
		echo(&link_now, 30000, steps[i]);
		per__tls_end(link_now.tls);
		client_give(&link_now);
		assert_int_equal(SSL_read(link_now.client, answer, 1), 0);
		assert_int_equal(SSL_get_error(link_now.client, 0), SSL_ERROR_ZERO_RETURN);
		link_close(&link_now);
		SSL_SESSION_free(session);
	}
	SSL_CTX_free(client_ctx);
	server_close(&server);
}

/*
 * RFC 8446 section 8: who has recorded early data and sends it again is not listened to, by any worker,
 * before a handshake that only the client could complete.
 */
static void test_codec_early_data_that_is_replayed_is_skipped(void **state)
{
	static uint8_t flight[4096];
	struct server server;
	SSL_CTX *client_ctx = context_of(NULL, TLS1_3_VERSION);
	SSL_SESSION *session;
	int len = 0;
	size_t n;

	begin_early(*state, &server, 20000);
	session = ticket_get(&server, client_ctx);
	for (int i = 0; i < 3; i++) {
		link_open(&link_now, server.workers[i % 2], client_ctx);
		if (i == 0) {
			assert_int_equal(SSL_set_session(link_now.client, session), 1);
			assert_int_equal(SSL_write_early_data(link_now.client, "early", 5, &n), 1);
			len = BIO_read(SSL_get_wbio(link_now.client), flight, sizeof(flight));
			assert_in_range(len, 1, sizeof(flight) - 1);
		}
		server_feed(&link_now, flight, (size_t)len);
		assert_int_equal(link_now.result, 0);
		assert_int_equal(link_now.is_established, i == 0);
		assert_int_equal(link_now.opened.len, i == 0 ? 5 : 0);
		link_close(&link_now);
	}
	SSL_SESSION_free(session);
	SSL_CTX_free(client_ctx);
	server_close(&server);
}

/* Whoever knows none of it (another ticket key, or not allowed any more) skips it. */
static void test_codec_early_data_that_is_not_accepted_is_skipped(void **state)
{
	struct server server;
	SSL_CTX *client_ctx = context_of(NULL, TLS1_3_VERSION);

	for (unsigned early_data_max = 0; early_data_max <= 20000; early_data_max += 20000) {
		SSL_SESSION *session;
		size_t n;

		begin_early(*state, &server, 20000);
		session = ticket_get(&server, client_ctx);
		server_close(&server);
		begin_early(*state, &server, early_data_max);
		link_open(&link_now, server.workers[0], client_ctx);
		assert_int_equal(SSL_set_session(link_now.client, session), 1);
		assert_int_equal(SSL_write_early_data(link_now.client, "early", 5, &n), 1);
		server_give(&link_now, MOST);
		client_give(&link_now);
		assert_false(link_now.is_established);
		link_establish(&link_now, MOST);
		assert_false(per__tls_is_early(link_now.tls));
		assert_int_equal(link_now.opened.len, 0);
		assert_int_equal(SSL_get_early_data_status(link_now.client), SSL_EARLY_DATA_REJECTED);
		echo(&link_now, 3000, MOST);
		link_close(&link_now);
		SSL_SESSION_free(session);
		server_close(&server);
	}
	SSL_CTX_free(client_ctx);
}

/* So does a server that asks for another key share (RFC 8446 section 4.2.10); OpenSSL's not a full record. */
static void test_codec_early_data_before_a_retry_is_skipped(void **state)
{
	static uint8_t early[16000];
	struct server server;
	SSL_CTX *client_ctx = context_of(NULL, TLS1_3_VERSION);
	SSL_SESSION *session;
	size_t n;

	begin_early(*state, &server, 20000);
	session = ticket_get(&server, client_ctx);
	link_open(&link_now, server.workers[0], client_ctx);
	assert_int_equal(SSL_set1_groups_list(link_now.client, "P-521:P-256"), 1);
	assert_int_equal(SSL_set_session(link_now.client, session), 1);
	assert_int_equal(SSL_write_early_data(link_now.client, early, sizeof(early), &n), 1);
	server_give(&link_now, MOST);
	client_give(&link_now);
	link_establish(&link_now, MOST);
	assert_int_equal(SSL_get_early_data_status(link_now.client), SSL_EARLY_DATA_REJECTED);
	echo(&link_now, 3000, MOST);
	link_close(&link_now);
	SSL_SESSION_free(session);
	SSL_CTX_free(client_ctx);
	server_close(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codec_every_suite_and_step_gives_the_same_content),
		cmocka_unit_test(test_codec_key_updates_of_both_sides_change_nothing),
		cmocka_unit_test(test_codec_long_certificate_of_a_client_long_tickets),
		cmocka_unit_test(test_codec_close_notify_is_heard_and_answered),
		cmocka_unit_test(test_codec_falsified_records_are_answered_with_an_alert),
		cmocka_unit_test(test_codec_other_protocols_are_refused),
		cmocka_unit_test(test_codec_small_fragments_are_kept_to),
		cmocka_unit_test(test_codec_early_data_is_given_and_answered_before_the_handshake_ends),
		cmocka_unit_test(test_codec_early_data_that_is_replayed_is_skipped),
		cmocka_unit_test(test_codec_early_data_that_is_not_accepted_is_skipped),
		cmocka_unit_test(test_codec_early_data_before_a_retry_is_skipped),
	};

	return cmocka_run_group_tests(tests, world_make, world_free);
}
