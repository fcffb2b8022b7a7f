/* SPDX-License-Identifier: MIT */
/*
 * tls_record_test.c - records against the example of RFC 8448 section 3, and two ends that talk: whole,
 * byte by byte, with new keys, and with everything that a peer must not send.
 */
#include "tls/direct.h"

#include "support/unit.h"
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define ROOM 70000u

/* One end of a conversation: what it has put out. */
struct end {
	struct per__direct direct;
	struct per__tls_line line;
	uint8_t out[ROOM];
	size_t out_len;
	bool is_full;
	EVP_MAC_CTX *hmac;
};

static size_t from_hex(const char *text, uint8_t *out)
{
	size_t len = 0;

	for (; *text != '\0'; text++) {
		char pair[3] = { text[0], '\0', '\0' };

		if (*text == ' ')
			continue;
		pair[1] = *++text;
		out[len++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return len;
}

/* RFC 8448 section 3: the two application traffic secrets. */
static const char client_secret[] = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
static const char server_secret[] = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";

static int take(void *arg, const uint8_t *data, size_t len)
{
	struct end *end = arg;

	if (end->is_full || end->out_len + len > sizeof(end->out))
		return PER_ENOMEM;
	memcpy(end->out + end->out_len, data, len);
	end->out_len += len;
	return 0;
}

static struct end *end_new(bool is_server, const EVP_CIPHER *cipher, const char *digest)
{
	struct end *end = calloc(1, sizeof(*end));
	struct per__records *records = &end->direct.records;

	from_hex(is_server ? client_secret : server_secret, records->open.secret);
	from_hex(is_server ? server_secret : client_secret, records->seal.secret);
	end->hmac = per__record_hmac_new(digest);
	assert_non_null(end->hmac);
	assert_true(per__records_begin(records, cipher, end->hmac, strcmp(digest, "SHA384") == 0 ? 48 : 32));
	end->line.out = take;
	end->line.arg = end;
	return end;
}

static void end_free(struct end *end)
{
	per__direct_end(&end->direct);
	EVP_MAC_CTX_free(end->hmac);
	free(end);
	ERR_clear_error();
}

static struct end *server_new(void)
{
	return end_new(true, EVP_aes_128_gcm(), "SHA256");
}

static struct end *client_new(void)
{
	return end_new(false, EVP_aes_128_gcm(), "SHA256");
}

/* A record of one end's on its way. */
static void send_record(struct end *from, uint8_t type, const void *data, size_t len)
{
	size_t n = per__record_seal(&from->direct.records, type, data, len, from->out + from->out_len);

	assert_int_equal(n, len + 22);
	from->out_len += n;
}

/* Gives bytes to an end, at most step at once, and collects the content. Returns the last result. */
static int receive(struct end *to, const uint8_t *bytes, size_t len, size_t step, uint8_t *content,
		   size_t *content_len)
{
	int result = 0;

	*content_len = 0;
	for (size_t pos = 0; pos < len && result == 0; pos += step) {
		size_t n = PER_MIN(step, len - pos);
		uint8_t *piece =
			malloc(n); /* exactly as long, so that a sanitizer sees what is read behind it */
		uint8_t *data;
		size_t data_len;

		memcpy(piece, bytes + pos, n);
		to->line.in = piece;
		to->line.in_len = n;
		do {
			result = per__direct_open(&to->direct, &to->line, &data, &data_len);
			memcpy(content + *content_len, data_len > 0 ? data : piece, data_len);
			*content_len += data_len;
		} while (result == 0 && data_len > 0);
		if (result == 0)
			assert_int_equal(to->line.in_len, 0);
		free(piece);
	}
	return result;
}

/* The content of an alert record of from's, as its peer sees it; -1: there is none. */
static int alert_of(struct end *from, struct end *peer)
{
	uint8_t type;
	size_t len;

	if (from->out_len == 0)
		return -1;
	assert_int_equal(per__record_open(&peer->direct.records, from->out, from->out_len, &type, &len), 0);
	assert_int_equal(type, PER__RECORD_ALERT);
	assert_int_equal(len, 2);
	return from->out[PER__RECORD_HEAD + 1];
}

/* --- the example of the RFC ------------------------------------------------------------------- */

static void test_record_seal_gives_the_bytes_of_rfc_8448(void **state)
{
	struct end *client = client_new(), *server = server_new();
	uint8_t data[50], expected[128], record[128], type;
	size_t len;

	(void)state;
	for (uint8_t i = 0; i < sizeof(data); i++)
		data[i] = i;
	from_hex(
		"17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea 42 f9 14 aa 66 bc ab"
		"3f 2b 98 19 a8 a5 b4 6b 39 5b d5 4a 9a 20 44 1e 2b 62 97 4e 1f 5a 62 92 a2 97 70 14 bd 1e "
		"3d ea"
		"e6 3a ee bb 21 69 49 15 e4",
		expected);
	assert_int_equal(per__record_seal(&client->direct.records, PER__RECORD_DATA, data, 50, record), 72);
	assert_memory_equal(record, expected, 72);
	assert_int_equal(per__record_open(&server->direct.records, record, 72, &type, &len), 0);
	assert_int_equal(type, PER__RECORD_DATA);
	assert_int_equal(len, 50);
	assert_memory_equal(record + PER__RECORD_HEAD, data, 50);
	end_free(client);
	end_free(server);
}

/* --- two ends --------------------------------------------------------------------------------- */

static void talk(const EVP_CIPHER *cipher, const char *digest, size_t step)
{
	static const size_t lengths[] = { 1, 2, 15, 16, 17, 1000, 4096, 16383, 16384 };
	struct end *client = end_new(false, cipher, digest), *server = end_new(true, cipher, digest);
	uint8_t *sent = malloc(ROOM), *got = malloc(ROOM);
	size_t sent_len = 0, got_len;

	for (size_t i = 0; i < PER_ARRAY_LEN(lengths); i++) {
		for (size_t j = 0; j < lengths[i]; j++)
			sent[sent_len + j] = (uint8_t)(i * 31 + j * 7);
		send_record(client, PER__RECORD_DATA, sent + sent_len, lengths[i]);
		sent_len += lengths[i];
		if (i == 4)
			per__direct_rekey(&client->direct, &client->line);
	}
	assert_int_equal(receive(server, client->out, client->out_len, step, got, &got_len), 0);
	assert_int_equal(got_len, sent_len);
	assert_memory_equal(got, sent, sent_len);
	assert_null(server->direct.partial); /* nothing stays behind */
	free(sent);
	free(got);
	end_free(client);
	end_free(server);
}

static void test_direct_every_cipher_and_every_cut_gives_the_same_content(void **state)
{
	static const size_t steps[] = { 1, 2, 3, 5, 6, 22, 1000, 16406, ROOM };

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(steps); i++) {
		talk(EVP_aes_128_gcm(), "SHA256", steps[i]);
		talk(EVP_aes_256_gcm(), "SHA384", steps[i]);
		talk(EVP_chacha20_poly1305(), "SHA256", steps[i]);
	}
}

static void test_direct_padding_and_empty_records_are_no_content(void **state)
{
	struct end *client = client_new(), *server = server_new();
	uint8_t padded[40] = "hello", got[64];
	size_t got_len;

	(void)state;
	send_record(client, PER__RECORD_DATA, NULL, 0);
	padded[5] =
		PER__RECORD_DATA; /* the type, then zeros, of which the sealing's own type is made the last */
	send_record(client, 0, padded, sizeof(padded));
	send_record(client, PER__RECORD_DATA, NULL, 0);
	assert_int_equal(receive(server, client->out, client->out_len, ROOM, got, &got_len), 0);
	assert_int_equal(got_len, 5);
	assert_memory_equal(got, "hello", 5);
	end_free(client);
	end_free(server);
}

static void test_direct_key_update_that_asks_is_answered(void **state)
{
	struct end *client = client_new(), *server = server_new();
	uint8_t ask[5] = { 24, 0, 0, 1, 1 }, got[64];
	size_t got_len;

	(void)state;
	for (int round = 0; round < 3; round++) {
		client->out_len = server->out_len = 0;
		send_record(client, PER__RECORD_HANDSHAKE, ask, sizeof(ask));
		assert_true(per__record_key_update(&client->direct.records, &client->direct.records.seal));
		send_record(client, PER__RECORD_DATA, "new", 3);
		assert_int_equal(receive(server, client->out, client->out_len, 7, got, &got_len), 0);
		assert_int_equal(got_len, 3);
		send_record(server, PER__RECORD_DATA, "too", 3);
		assert_int_equal(receive(client, server->out, server->out_len, 7, got, &got_len), 0);
		assert_int_equal(got_len, 3);
		assert_memory_equal(got, "too", 3);
	}
	end_free(client);
	end_free(server);
}

/* RFC 8446 section 5.1: a message may be spread over records. */
static void test_direct_key_update_in_pieces_is_one(void **state)
{
	const uint8_t update[5] = { 24, 0, 0, 1, 0 };
	struct end *client = client_new(), *server = server_new();
	uint8_t got[64];
	size_t got_len;

	(void)state;
	for (size_t piece = 1; piece <= 4; piece++) {
		client->out_len = 0;
		for (size_t pos = 0; pos < sizeof(update); pos += piece)
			send_record(client, PER__RECORD_HANDSHAKE, update + pos,
				    PER_MIN(piece, sizeof(update) - pos));
		assert_true(per__record_key_update(&client->direct.records, &client->direct.records.seal));
		send_record(client, PER__RECORD_DATA, "new", 3);
		assert_int_equal(receive(server, client->out, client->out_len, ROOM, got, &got_len), 0);
		assert_int_equal(got_len, 3);
	}
	end_free(client);
	end_free(server);
}

static void test_direct_close_notify_ends_and_nothing_behind_it_counts(void **state)
{
	struct end *client = client_new(), *server = server_new();
	uint8_t got[64];
	size_t got_len;

	(void)state;
	send_record(client, PER__RECORD_DATA, "last", 4);
	per__direct_close(&client->direct, &client->line);
	send_record(client, PER__RECORD_DATA, "more", 4);
	assert_int_equal(receive(server, client->out, client->out_len, ROOM, got, &got_len), PER_EGONE);
	assert_int_equal(got_len, 4);
	assert_int_equal(receive(server, client->out, 10, ROOM, got, &got_len), PER_EGONE);
	assert_int_equal(server->out_len, 0);
	end_free(client);
	end_free(server);
}

/* As many as may come, then content, and the same again. */
static void test_direct_records_without_content_are_counted(void **state)
{
	const uint8_t update[5] = { 24, 0, 0, 1, 0 }, warning[2] = { 1, PER__ALERT_USER_CANCELED };
	struct end *client = client_new(), *server = server_new();
	uint8_t got[64];
	size_t got_len;

	(void)state;
	for (int i = 0; i < 66; i++) {
		client->out_len = 0;
		if (i % 3 == 0) {
			send_record(client, PER__RECORD_HANDSHAKE, update, sizeof(update));
			assert_true(per__record_key_update(&client->direct.records,
							   &client->direct.records.seal));
		} else {
			send_record(client, i % 3 == 1 ? PER__RECORD_ALERT : PER__RECORD_DATA, warning,
				    i % 3 == 1 ? 2 : 0);
		}
		if (i == 31)
			send_record(client, PER__RECORD_DATA, "x", 1);
		assert_int_equal(receive(server, client->out, client->out_len, ROOM, got, &got_len),
				 i < 64 ? 0 : PER_EPROTO);
	}
	assert_true(server->direct.is_broken);
	end_free(client);
	end_free(server);
}

/* --- what a peer must not send ---------------------------------------------------------------- */

/* What the client sends breaks the server with that alert, and every later call says so too. */
static void expect_alert(uint8_t type, const void *data, size_t len, int alert)
{
	struct end *client = client_new(), *server = server_new();
	uint8_t got[64];
	size_t got_len;

	send_record(client, type, data, len);
	assert_int_equal(receive(server, client->out, client->out_len, 11, got, &got_len), PER_EPROTO);
	assert_int_equal(got_len, 0);
	assert_int_equal(alert_of(server, client), alert);
	assert_int_equal(receive(server, client->out, 30, ROOM, got, &got_len), PER_EPROTO);
	end_free(client);
	end_free(server);
}

static void test_direct_messages_out_of_place_are_refused(void **state)
{
	(void)state;
	expect_alert(PER__RECORD_HANDSHAKE, "\x18\0\0\1\2", 5, PER__ALERT_ILLEGAL_PARAMETER);
	expect_alert(PER__RECORD_HANDSHAKE, "\x18\0\1", 3, PER__ALERT_UNEXPECTED_MESSAGE);
	expect_alert(PER__RECORD_HANDSHAKE, "\4", 1, PER__ALERT_UNEXPECTED_MESSAGE); /* NewSessionTicket */
	expect_alert(PER__RECORD_HANDSHAKE, "\x18\0\0\1\0\x18\0\0\1\0", 10, PER__ALERT_UNEXPECTED_MESSAGE);
	expect_alert(PER__RECORD_HANDSHAKE, "\1\0\0\1\0", 5, PER__ALERT_UNEXPECTED_MESSAGE); /* ClientHello */
	expect_alert(PER__RECORD_HANDSHAKE, NULL, 0, PER__ALERT_UNEXPECTED_MESSAGE);
	expect_alert(PER__RECORD_ALERT, NULL, 0, PER__ALERT_UNEXPECTED_MESSAGE);
	expect_alert(PER__RECORD_ALERT, "\2", 1, PER__ALERT_DECODE_ERROR);
	expect_alert(PER__RECORD_ALERT, "\1\0\1\0", 4, PER__ALERT_DECODE_ERROR);
	expect_alert(20, "\1", 1, PER__ALERT_UNEXPECTED_MESSAGE);
	expect_alert(99, "x", 1, PER__ALERT_UNEXPECTED_MESSAGE);
	expect_alert(0, "\0\0\0", 3, PER__ALERT_UNEXPECTED_MESSAGE); /* padding only */
}

/* RFC 8446 section 5.1: nothing may come between the pieces of a message. */
static void test_direct_records_between_pieces_are_refused(void **state)
{
	static const struct {
		uint8_t type;
		const char *data;
		size_t len;
	} between[] = {
		{ PER__RECORD_DATA, "x", 1 },
		{ PER__RECORD_DATA, "", 0 },
		{ PER__RECORD_ALERT, "\1\x5a", 2 },
		{ PER__RECORD_HANDSHAKE, "", 0 },
		{ PER__RECORD_HANDSHAKE, "\1\0\x18", 3 }, /* the rest, and the beginning of another one */
	};
	uint8_t got[64];
	size_t got_len;

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(between); i++) {
		struct end *client = client_new(), *server = server_new();

		send_record(client, PER__RECORD_HANDSHAKE, "\x18\0\0", 3);
		send_record(client, between[i].type, between[i].data, between[i].len);
		assert_int_equal(receive(server, client->out, client->out_len, ROOM, got, &got_len),
				 PER_EPROTO);
		assert_int_equal(got_len, 0);
		assert_int_equal(alert_of(server, client), PER__ALERT_UNEXPECTED_MESSAGE);
		end_free(client);
		end_free(server);
	}
}

static void test_direct_fatal_alert_of_the_peer_is_not_answered(void **state)
{
	struct end *client = client_new(), *server = server_new();
	uint8_t got[64];
	size_t got_len;

	(void)state;
	send_record(client, PER__RECORD_ALERT, "\1\x5a", 2); /* user_canceled: no end yet */
	send_record(client, PER__RECORD_DATA, "x", 1);
	assert_int_equal(receive(server, client->out, client->out_len, ROOM, got, &got_len), 0);
	client->out_len = 0;
	send_record(client, PER__RECORD_ALERT, "\1\x28", 2);
	assert_int_equal(receive(server, client->out, client->out_len, ROOM, got, &got_len), PER_EPROTO);
	assert_int_equal(server->out_len, 0);
	end_free(client);
	end_free(server);
}

static void test_direct_every_flipped_bit_is_noticed(void **state)
{
	uint8_t got[64];
	size_t got_len;

	(void)state;
	for (size_t bit = 0; bit < 27 * 8; bit++) {
		struct end *client = client_new(), *server = server_new();
		int result;

		send_record(client, PER__RECORD_DATA, "hello", 5);
		client->out[bit / 8] ^= (uint8_t)(1u << bit % 8);
		result = receive(server, client->out, client->out_len, ROOM, got, &got_len);
		assert_int_equal(got_len, 0);
		if (bit / 8 == 3 || bit / 8 == 4) /* another length: perhaps only more is waited for */
			assert_true(result == PER_EPROTO || (result == 0 && server->out_len == 0));
		else
			assert_int_equal(result, PER_EPROTO);
		end_free(client);
		end_free(server);
	}
}

static void test_direct_lengths_at_the_limits(void **state)
{
	static const struct {
		size_t len;
		int alert;
	} cases[] = {
		{ 0, PER__ALERT_DECODE_ERROR },
		{ 16, PER__ALERT_DECODE_ERROR },
		{ 17, PER__ALERT_BAD_RECORD_MAC },
		{ PER__RECORD_CIPHER_MAX, PER__ALERT_BAD_RECORD_MAC },
		{ PER__RECORD_CIPHER_MAX + 1, PER__ALERT_RECORD_OVERFLOW },
		{ 65535, PER__ALERT_RECORD_OVERFLOW },
	};
	uint8_t *bytes = calloc(1, ROOM), got[64];
	size_t got_len;

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++) {
		struct end *client = client_new(), *server = server_new();

		bytes[0] = PER__RECORD_DATA;
		bytes[1] = bytes[2] = 3;
		bytes[3] = (uint8_t)(cases[i].len >> 8);
		bytes[4] = (uint8_t)cases[i].len;
		assert_int_equal(receive(server, bytes, 5 + cases[i].len, 4000, got, &got_len), PER_EPROTO);
		assert_int_equal(alert_of(server, client), cases[i].alert);
		end_free(client);
		end_free(server);
	}
	free(bytes);
}

/* A record of so many zeros behind one byte and its type, as per__record_seal() makes none. */
static size_t padded_record(struct end *from, size_t zeros, uint8_t *record)
{
	struct per__record_key *key = &from->direct.records.seal;
	const size_t inner_len = zeros + 2, cipher_len = inner_len + PER__RECORD_TAG;
	uint8_t *pos = record + PER__RECORD_HEAD;
	int n;

	assert_int_equal(key->seq, 0); /* so the IV is the nonce */
	memcpy(record, "\x17\3\3", 3);
	record[3] = (uint8_t)(cipher_len >> 8);
	record[4] = (uint8_t)cipher_len;
	memset(pos, 0, inner_len);
	pos[0] = 'x';
	pos[1] = PER__RECORD_DATA;
	assert_int_equal(EVP_EncryptInit_ex(key->cipher, NULL, NULL, NULL, key->iv), 1);
	assert_int_equal(EVP_EncryptUpdate(key->cipher, NULL, &n, record, PER__RECORD_HEAD), 1);
	assert_int_equal(EVP_EncryptUpdate(key->cipher, pos, &n, pos, (int)inner_len), 1);
	assert_int_equal(EVP_EncryptFinal_ex(key->cipher, pos + inner_len, &n), 1);
	assert_int_equal(
		EVP_CIPHER_CTX_ctrl(key->cipher, EVP_CTRL_AEAD_GET_TAG, PER__RECORD_TAG, pos + inner_len), 1);
	return PER__RECORD_HEAD + cipher_len;
}

/* AES-GCM takes the nonce as a parameter; what is on the wire is the same as without. */
static void test_record_both_ways_of_giving_a_nonce_are_one(void **state)
{
	static const uint64_t seqs[] = { 0, 1, 255, 256, UINT64_C(0x0102030405060708), UINT64_MAX - 1 };
	const EVP_CIPHER *ciphers[] = { EVP_aes_128_gcm(), EVP_aes_256_gcm(), EVP_chacha20_poly1305() };
	uint8_t content[] = "the same content";
	uint8_t type;
	size_t len;

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(ciphers); i++) {
		struct end *client = end_new(false, ciphers[i], "SHA256");
		struct end *plain = end_new(false, ciphers[i], "SHA256");
		struct end *server = end_new(true, ciphers[i], "SHA256");

		assert_int_equal(client->direct.records.seal.takes_nonce_param, i < 2);
		assert_int_equal(server->direct.records.open.takes_nonce_param, i < 2);
		plain->direct.records.seal.takes_nonce_param = false;
		for (size_t k = 0; k < 2 * PER_ARRAY_LEN(seqs); k++) {
			const uint64_t seq = seqs[k / 2];

			client->out_len = plain->out_len = 0;
			client->direct.records.seal.seq = plain->direct.records.seal.seq = seq;
			server->direct.records.open.seq = seq;
			server->direct.records.open.takes_nonce_param = k % 2 == 0 && i < 2;
			send_record(client, PER__RECORD_DATA, content, sizeof(content));
			send_record(plain, PER__RECORD_DATA, content, sizeof(content));
			assert_int_equal(client->out_len, plain->out_len);
			assert_memory_equal(client->out, plain->out, plain->out_len);
			assert_int_equal(per__record_open(&server->direct.records, client->out,
							  client->out_len, &type, &len),
					 0);
			assert_int_equal(len, sizeof(content));
			assert_memory_equal(client->out + PER__RECORD_HEAD, content, sizeof(content));
		}
		end_free(client);
		end_free(plain);
		end_free(server);
	}
}

/* RFC 8446 section 5.4: padding does not change how long a record may be. */
static void test_direct_padding_counts_for_the_limit(void **state)
{
	uint8_t got[64];
	size_t got_len;

	(void)state;
	for (size_t over = 0; over < 2; over++) {
		struct end *client = client_new(), *server = server_new();

		client->out_len = padded_record(client, PER__RECORD_PLAIN_MAX - 1 + over, client->out);
		assert_int_equal(receive(server, client->out, client->out_len, ROOM, got, &got_len),
				 over == 0 ? 0 : PER_EPROTO);
		assert_int_equal(got_len, 1 - over);
		assert_int_equal(alert_of(server, client), over == 0 ? -1 : PER__ALERT_RECORD_OVERFLOW);
		end_free(client);
		end_free(server);
	}
}

static void test_direct_without_room_for_an_answer_breaks(void **state)
{
	struct end *client = client_new(), *server = server_new();
	uint8_t got[64];
	size_t got_len;

	(void)state;
	server->is_full = true;
	send_record(client, PER__RECORD_HANDSHAKE, "\x18\0\0\1\1", 5);
	assert_int_equal(receive(server, client->out, client->out_len, ROOM, got, &got_len), PER_EPROTO);
	assert_int_equal(server->out_len, 0);
	end_free(client);
	end_free(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_seal_gives_the_bytes_of_rfc_8448),
		cmocka_unit_test(test_record_both_ways_of_giving_a_nonce_are_one),
		cmocka_unit_test(test_direct_every_cipher_and_every_cut_gives_the_same_content),
		cmocka_unit_test(test_direct_padding_and_empty_records_are_no_content),
		cmocka_unit_test(test_direct_key_update_that_asks_is_answered),
		cmocka_unit_test(test_direct_key_update_in_pieces_is_one),
		cmocka_unit_test(test_direct_records_between_pieces_are_refused),
		cmocka_unit_test(test_direct_padding_counts_for_the_limit),
		cmocka_unit_test(test_direct_records_without_content_are_counted),
		cmocka_unit_test(test_direct_close_notify_ends_and_nothing_behind_it_counts),
		cmocka_unit_test(test_direct_messages_out_of_place_are_refused),
		cmocka_unit_test(test_direct_fatal_alert_of_the_peer_is_not_answered),
		cmocka_unit_test(test_direct_every_flipped_bit_is_noticed),
		cmocka_unit_test(test_direct_lengths_at_the_limits),
		cmocka_unit_test(test_direct_without_room_for_an_answer_breaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
