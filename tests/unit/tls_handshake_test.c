/* SPDX-License-Identifier: MIT */
/*
 * tls_handshake_test.c - handshakes of src/tls/tls.c with OpenSSL's client in memory: in pieces of every
 * size, cut at every byte, without memory for any piece of output. The rest is tls_codec_test.c's.
 */
#include "support/unit.h"

#include "support/tls_meet.h"
#include "tls/tls.h"

#define GOT_BYTES 4096u
#define OPENED_BYTES (2u * PER__TLS_RECORD_MAX)

/* Whose records are made by whom: TLS 1.2 and CCM by OpenSSL, the others by us. */
static const struct client flavours[] = {
	{ .version = TLS1_3_VERSION, .ciphersuites = "TLS_AES_256_GCM_SHA384" },
	{ .version = TLS1_3_VERSION, .ciphersuites = "TLS_AES_128_GCM_SHA256" },
	{ .version = TLS1_3_VERSION, .ciphersuites = "TLS_CHACHA20_POLY1305_SHA256" },
	{ .version = TLS1_3_VERSION, .ciphersuites = "TLS_AES_128_CCM_SHA256" },
	{ .version = TLS1_2_VERSION },
};

/* A client, and our end of its connection. */
struct pair {
	struct server server;
	struct per__tls_line line;
	struct per__tls *tls;
	SSL_CTX *ctx;
	SSL *ssl;
	struct outcome outcome;
	bool is_established;
	int result;   /* the last one of ours */
	uint8_t *got; /* plaintext that we have opened */
	size_t got_len;
	unsigned outs_left; /* pieces of output until there is no memory for them */
	uint8_t opened[OPENED_BYTES];
};

static int to_client(void *arg, const uint8_t *data, size_t len)
{
	struct pair *pair = arg;

	if (pair->outs_left == 0)
		return PER_ENOMEM;
	pair->outs_left--;
	assert_int_equal(BIO_write(SSL_get_rbio(pair->ssl), data, (int)len), len);
	return 0;
}

static void pair_open_with(struct pair *pair, const struct client *client, const per_tls_config *config)
{
	memset(pair, 0, sizeof(*pair));
	pair->outcome.alert = -1;
	pair->outs_left = UINT32_MAX;
	pair->got = malloc(GOT_BYTES);
	assert_non_null(pair->got);
	server_open(&pair->server, config);
	assert_int_equal(per__tls_line_open(&pair->line), 0);
	pair->line.out = to_client;
	pair->line.arg = pair;
	pair->tls = per__tls_new(pair->server.workers[0], &pair->line);
	assert_non_null(pair->tls);
	pair->ctx = client_context(client);
	pair->ssl = SSL_new(pair->ctx);
	SSL_set_bio(pair->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_app_data(pair->ssl, &pair->outcome);
	SSL_set_connect_state(pair->ssl);
}

static void pair_open(struct pair *pair, const struct client *client, const struct world *world)
{
	const per_tls_cert cert = { .cert_file = world->a_file };

	pair_open_with(pair, client,
		       &(per_tls_config){ .certs = &cert,
					  .cert_count = 1,
					  .tls12 = true,
					  .ciphersuites = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:"
							  "TLS_CHACHA20_POLY1305_SHA256:"
							  "TLS_AES_128_CCM_SHA256" });
}

static void pair_close(struct pair *pair)
{
	per__tls_free(pair->tls);
	SSL_free(pair->ssl);
	SSL_SESSION_free(pair->outcome.session);
	SSL_CTX_free(pair->ctx);
	per__tls_line_close(&pair->line);
	server_close(&pair->server);
	free(pair->got);
	ERR_clear_error();
}

/* Bytes of the client, as a backend would lend them: alone in their memory, gone afterwards. */
static void give(struct pair *pair, const void *bytes, size_t len)
{
	uint8_t *lent = malloc(len + 1), *data;
	size_t n = 1;

	assert_non_null(lent);
	memcpy(lent, bytes, len);
	pair->line.in = lent;
	pair->line.in_len = len;
	pair->result = 0;
	if (!pair->is_established) {
		pair->result = per__tls_handshake(pair->tls);
		if (pair->result == 1) {
			per__tls_settle(pair->tls);
			pair->is_established = true;
			pair->result = 0;
		}
	}
	while (pair->is_established && pair->result == 0 && n > 0) {
		pair->result = per__tls_open(pair->tls, pair->opened, sizeof(pair->opened), &data, &n);
		assert_true(pair->got_len + n <= GOT_BYTES);
		memcpy(pair->got + pair->got_len, data, n);
		pair->got_len += n;
	}
	free(lent);
}

/* Gives what the client has made, in pieces of at most a size; its own handshake goes on. */
static void pump_pieces(struct pair *pair, size_t piece)
{
	char *data;
	long len;

	do {
		if (!SSL_is_init_finished(pair->ssl))
			(void)SSL_do_handshake(pair->ssl);
		len = BIO_get_mem_data(SSL_get_wbio(pair->ssl), &data);
		for (size_t pos = 0; pos < (size_t)len && pair->result == 0;) {
			size_t n = PER_MIN(piece, (size_t)len - pos);

			give(pair, data + pos, n);
			pos += n;
		}
		(void)BIO_reset(SSL_get_wbio(pair->ssl));
	} while (len > 0 && pair->result == 0);
	ERR_clear_error();
}

static void seal(struct pair *pair, const void *data, size_t len)
{
	uint8_t *record = malloc(len + PER__TLS_OVERHEAD_MAX);
	int n = per__tls_seal(pair->tls, data, len, record);

	assert_true(n >= 0);
	if (n > 0)
		assert_int_equal(to_client(pair, record, (size_t)n), 0);
	free(record);
}

static void client_writes(struct pair *pair, const void *data, size_t len)
{
	size_t n;

	assert_int_equal(SSL_write_ex(pair->ssl, data, len, &n), 1);
}

static void client_expects(struct pair *pair, const void *data, size_t len)
{
	uint8_t *buf = malloc(len);
	size_t pos = 0;
	int n = 1;

	while (pos < len && (n = SSL_read(pair->ssl, buf + pos, (int)(len - pos))) > 0)
		pos += (size_t)n;
	assert_int_equal(pos, len);
	assert_memory_equal(buf, data, len);
	free(buf);
}

/* A few bytes each way. */
static void talk(struct pair *pair)
{
	pair->got_len = 0;
	client_writes(pair, "question", 8);
	pump_pieces(pair, 1000000);
	assert_int_equal(pair->result, 0);
	assert_int_equal(pair->got_len, 8);
	assert_memory_equal(pair->got, "question", 8);
	seal(pair, "answer", 6);
	client_expects(pair, "answer", 6);
}

static void test_handshake_in_pieces_of_every_size_completes(void **state)
{
	struct pair pair;

	for (size_t i = 0; i < PER_ARRAY_LEN(flavours); i++) {
		for (size_t piece = 1; piece < 400; piece = piece < 20 ? piece + 1 : piece + 17) {
			pair_open(&pair, &flavours[i], *state);
			pump_pieces(&pair, piece);
			assert_true(pair.is_established);
			talk(&pair);
			pair_close(&pair);
		}
	}
}

static void test_handshake_cut_at_every_byte_completes(void **state)
{
	struct pair pair;
	char *data;

	pair_open(&pair, &flavours[0], *state);
	(void)SSL_do_handshake(pair.ssl);
	for (long len = BIO_get_mem_data(SSL_get_wbio(pair.ssl), &data), cut = 1; cut < len; cut++) {
		pair_close(&pair);
		pair_open(&pair, &flavours[0], *state);
		(void)SSL_do_handshake(pair.ssl);
		len = BIO_get_mem_data(SSL_get_wbio(pair.ssl), &data);
		give(&pair, data, (size_t)PER_MIN(cut, len));
		assert_false(pair.is_established);
		give(&pair, data + PER_MIN(cut, len), (size_t)(len - PER_MIN(cut, len)));
		(void)BIO_reset(SSL_get_wbio(pair.ssl));
		pump_pieces(&pair, 1000000);
		talk(&pair);
	}
	pair_close(&pair);
}

static void test_handshake_without_memory_for_output_breaks_and_leaks_nothing(void **state)
{
	struct pair pair;

	for (size_t i = 0; i < PER_ARRAY_LEN(flavours); i++) {
		bool is_whole = false;

		for (unsigned outs = 0; !is_whole && outs < 50; outs++) {
			pair_open(&pair, &flavours[i], *state);
			pair.outs_left = outs;
			pump_pieces(&pair, 1000000);
			is_whole = pair.result == 0 && pair.is_established;
			assert_true(is_whole || pair.result == PER_EPROTO);
			if (is_whole) {
				pair.outs_left = 0;
				per__tls_end(pair.tls);
			}
			pair_close(&pair);
		}
		assert_true(is_whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshake_in_pieces_of_every_size_completes),
		cmocka_unit_test(test_handshake_cut_at_every_byte_completes),
		cmocka_unit_test(test_handshake_without_memory_for_output_breaks_and_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, world_make, world_free);
}
