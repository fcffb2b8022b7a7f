/* SPDX-License-Identifier: MIT */
/*
 * record.c - protection of records after RFC 8446 section 5: nonces, additional data, padding. The ciphers,
 * and the HMAC of the key schedule, are OpenSSL's. Called by tls.c and direct.c.
 */
#include "tls/record.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

/* Most bytes of a HkdfLabel here: two lengths, "tls13 " and a label, no context, the counter of HKDF. */
#define LABEL_BYTES_MAX 32u

#define RECORD_COPIED_MAX 1024u

/* --- keys ------------------------------------------------------------------------------------- */

EVP_MAC_CTX *per__record_hmac_new(const char *digest)
{
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
								 (char *)(uintptr_t)digest, 0),
				OSSL_PARAM_construct_end() };
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *hmac = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;

	EVP_MAC_free(mac); /* the context holds it */
	if (hmac == NULL || EVP_MAC_CTX_set_params(hmac, params) == 1)
		return hmac;
	EVP_MAC_CTX_free(hmac);
	return NULL;
}

/*
 * HKDF-Expand-Label (RFC 8446 section 7.1) without a context, for at most as many bytes as the hash has: so
 * HKDF-Expand is one HMAC (RFC 5869 section 2.3).
 */
static bool expand_label(const struct per__records *records, const uint8_t *secret, const char *label,
			 uint8_t *out, size_t len)
{
	EVP_MAC_CTX *hmac = records->hmac;
	const size_t label_len = strlen(label);
	uint8_t info[LABEL_BYTES_MAX], block[EVP_MAX_MD_SIZE];
	size_t n = 0;
	bool is_done;

	PER_ASSERT(records->secret_len >= len && label_len + 11 <= sizeof(info));
	info[n++] = 0;
	info[n++] = (uint8_t)len;
	info[n++] = (uint8_t)(label_len + 6);
	memcpy(info + n, "tls13 ", 6);
	memcpy(info + n + 6, label, label_len);
	n += 6 + label_len;
	info[n++] = 0; /* the context's length */
	info[n++] = 1; /* the first block, and the only one */
	is_done = EVP_MAC_init(hmac, secret, records->secret_len, NULL) == 1 &&
		  EVP_MAC_update(hmac, info, n) == 1 && EVP_MAC_final(hmac, block, NULL, sizeof(block)) == 1;
	if (is_done)
		memcpy(out, block, len);
	OPENSSL_cleanse(block, sizeof(block));
	return is_done;
}

/* A parameter of the bytes of an IV or a tag. */
static inline OSSL_PARAM bytes_param(const char *name, const void *bytes, size_t len)
{
	return (OSSL_PARAM){ name, OSSL_PARAM_OCTET_STRING, (void *)(uintptr_t)bytes, len, 0 };
}

/*
 * The whole nonce: AES-GCM takes one where the length is -1, as with EVP_CTRL_AEAD_SET_IV_FIXED. With
 * EVP_CipherInit_ex(), OpenSSL 3.0 asks the cipher for the length of its IV by name, for each record.
 */
static inline OSSL_PARAM nonce_param(const uint8_t nonce[PER__RECORD_NONCE])
{
	return bytes_param(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, nonce, (size_t)-1);
}

/* Does a cipher with a key take its nonce so? Asked for each key: one nonce for two records gives it away. */
static bool takes_nonce_param(EVP_CIPHER_CTX *cipher, const uint8_t nonce[PER__RECORD_NONCE])
{
	const OSSL_PARAM in[] = { nonce_param(nonce), OSSL_PARAM_END };
	uint8_t taken[PER__RECORD_NONCE] = { 0 };
	OSSL_PARAM out[] = { bytes_param(OSSL_CIPHER_PARAM_UPDATED_IV, taken, sizeof(taken)),
			     OSSL_PARAM_END };

	return EVP_CIPHER_CTX_get_mode(cipher) == EVP_CIPH_GCM_MODE &&
	       EVP_CIPHER_CTX_set_params(cipher, in) == 1 && EVP_CIPHER_CTX_get_params(cipher, out) == 1 &&
	       memcmp(taken, nonce, sizeof(taken)) == 0;
}

/* The traffic key and IV of a secret (RFC 8446 section 7.3). Padding or not does not matter to an AEAD. */
static bool key_derive(const struct per__records *records, struct per__record_key *key)
{
	const bool is_sealing = key == &records->seal;
	uint8_t bytes[EVP_MAX_KEY_LENGTH];
	const size_t key_len = (size_t)EVP_CIPHER_get_key_length(records->cipher);
	bool is_done = expand_label(records, key->secret, "key", bytes, key_len) &&
		       expand_label(records, key->secret, "iv", key->iv, sizeof(key->iv));

	if (is_done)
		is_done = EVP_CipherInit_ex(key->cipher, records->cipher, NULL, bytes, NULL, is_sealing) == 1;
	OPENSSL_cleanse(bytes, sizeof(bytes));
	key->takes_nonce_param = is_done && takes_nonce_param(key->cipher, key->iv);
	return is_done;
}

bool per__records_begin(struct per__records *records, const EVP_CIPHER *cipher, EVP_MAC_CTX *hmac,
			size_t secret_len)
{
	records->cipher = cipher;
	records->hmac = hmac;
	records->secret_len = secret_len;
	records->open.cipher = EVP_CIPHER_CTX_new();
	records->seal.cipher = EVP_CIPHER_CTX_new();
	return records->open.cipher != NULL && records->seal.cipher != NULL &&
	       key_derive(records, &records->open) && key_derive(records, &records->seal);
}

void per__records_end(struct per__records *records)
{
	EVP_CIPHER_CTX_free(records->open.cipher);
	EVP_CIPHER_CTX_free(records->seal.cipher);
	OPENSSL_cleanse(records, sizeof(*records));
}

bool per__record_key_update(const struct per__records *records, struct per__record_key *key)
{
	uint8_t next[PER__SECRET_MAX];
	const size_t len = records->secret_len;
	bool is_done = expand_label(records, key->secret, "traffic upd", next, len);

	if (is_done) {
		memcpy(key->secret, next, len);
		key->seq = 0;
		is_done = key_derive(records, key);
	}
	if (!is_done) /* the old key with the new count would use nonces twice */
		(void)EVP_CIPHER_CTX_reset(key->cipher);
	OPENSSL_cleanse(next, sizeof(next));
	return is_done;
}

/* --- records ---------------------------------------------------------------------------------- */

/* RFC 8446 section 5.3: the IV, its last eight bytes combined with the sequence number. */
static void nonce_make(const struct per__record_key *key, uint8_t nonce[PER__RECORD_NONCE])
{
	const uint64_t seq = __builtin_bswap64(key->seq);
	uint64_t low;

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the sequence number is laid out for little-endian machines"
#endif
	memcpy(&low, key->iv + 4, sizeof(low));
	low ^= seq;
	memcpy(nonce, key->iv, 4);
	memcpy(nonce + 4, &low, sizeof(low));
}

/* Gives the cipher the nonce of the next record, and the tag that a record which is opened has to have. */
static bool record_begin(const struct per__record_key *key, const uint8_t *tag)
{
	static const OSSL_PARAM end = OSSL_PARAM_END;
	uint8_t nonce[PER__RECORD_NONCE];
	OSSL_PARAM in[3];
	size_t n = 0;

	nonce_make(key, nonce);
	if (!key->takes_nonce_param)
		return EVP_CipherInit_ex(key->cipher, NULL, NULL, NULL, nonce, -1) == 1 &&
		       (tag == NULL || EVP_CIPHER_CTX_ctrl(key->cipher, EVP_CTRL_AEAD_SET_TAG,
							   PER__RECORD_TAG, (void *)(uintptr_t)tag) == 1);
	in[n++] = nonce_param(nonce);
	if (tag != NULL)
		in[n++] = bytes_param(OSSL_CIPHER_PARAM_AEAD_TAG, tag, PER__RECORD_TAG);
	in[n] = end;
	return EVP_CIPHER_CTX_set_params(key->cipher, in) == 1;
}

static bool tag_get(const struct per__record_key *key, uint8_t *tag)
{
	OSSL_PARAM out[] = { bytes_param(OSSL_CIPHER_PARAM_AEAD_TAG, tag, PER__RECORD_TAG), OSSL_PARAM_END };

	if (!key->takes_nonce_param) /* a cipher of an engine knows no parameters */
		return EVP_CIPHER_CTX_ctrl(key->cipher, EVP_CTRL_AEAD_GET_TAG, PER__RECORD_TAG, tag) == 1;
	return EVP_CIPHER_CTX_get_params(key->cipher, out) == 1;
}

static uint8_t *head_put(uint8_t *dst, size_t cipher_len)
{
	dst[0] = PER__RECORD_DATA; /* what it is in truth is inside (RFC 8446 section 5.2) */
	dst[1] = 3;
	dst[2] = 3;
	dst[3] = (uint8_t)(cipher_len >> 8);
	dst[4] = (uint8_t)cipher_len;
	return dst + PER__RECORD_HEAD;
}

/* The content, and behind it the type. A short one is copied first: a call of OpenSSL costs more. */
static bool inner_seal(EVP_CIPHER_CTX *cipher, uint8_t type, const uint8_t *data, size_t len, uint8_t *dst)
{
	int n;

	if (len <= RECORD_COPIED_MAX) {
		if (len > 0)
			memcpy(dst, data, len);
		dst[len] = type;
		return EVP_EncryptUpdate(cipher, dst, &n, dst, (int)len + 1) == 1;
	}
	return EVP_EncryptUpdate(cipher, dst, &n, data, (int)len) == 1 &&
	       EVP_EncryptUpdate(cipher, dst + len, &n, &type, 1) == 1;
}

size_t per__record_seal(struct per__records *records, uint8_t type, const uint8_t *data, size_t len,
			uint8_t *dst)
{
	struct per__record_key *key = &records->seal;
	EVP_CIPHER_CTX *cipher = key->cipher;
	const size_t cipher_len = len + 1 + PER__RECORD_TAG;
	uint8_t *pos = head_put(dst, cipher_len), *tag = pos + len + 1;
	int n;

	PER_DEBUG_ASSERT(len <= PER__RECORD_PLAIN_MAX);
	if (!record_begin(key, NULL) || EVP_EncryptUpdate(cipher, NULL, &n, dst, PER__RECORD_HEAD) != 1 ||
	    !inner_seal(cipher, type, data, len, pos) || EVP_EncryptFinal_ex(cipher, tag, &n) != 1 ||
	    !tag_get(key, tag))
		return 0;
	key->seq++;
	return PER__RECORD_HEAD + cipher_len;
}

/*
 * The type is behind the content, before any zeros, which count as well: all of it has 2^14 + 1 bytes at most
 * (RFC 8446 section 5.4). Returns 0 or an alert.
 */
static int content_find(const uint8_t *inner, size_t len, uint8_t *type, size_t *content_len)
{
	if (len > PER__RECORD_PLAIN_MAX + 1)
		return PER__ALERT_RECORD_OVERFLOW;
	while (len > 0 && inner[len - 1] == 0)
		len--;
	if (len == 0)
		return PER__ALERT_UNEXPECTED_MESSAGE;
	*type = inner[len - 1];
	*content_len = len - 1;
	return 0;
}

int per__record_open(struct per__records *records, uint8_t *record, size_t bytes, uint8_t *type, size_t *len)
{
	struct per__record_key *key = &records->open;
	EVP_CIPHER_CTX *cipher = key->cipher;
	uint8_t *inner = record + PER__RECORD_HEAD;
	size_t inner_len;
	int n;

	if (record[0] != PER__RECORD_DATA)
		return PER__ALERT_UNEXPECTED_MESSAGE;
	if (bytes < PER__RECORD_HEAD + PER__RECORD_TAG + 1)
		return PER__ALERT_DECODE_ERROR;
	inner_len = bytes - PER__RECORD_HEAD - PER__RECORD_TAG;
	if (inner_len + PER__RECORD_TAG > PER__RECORD_CIPHER_MAX)
		return PER__ALERT_RECORD_OVERFLOW;
	if (!record_begin(key, inner + inner_len) ||
	    EVP_DecryptUpdate(cipher, NULL, &n, record, PER__RECORD_HEAD) != 1 ||
	    EVP_DecryptUpdate(cipher, inner, &n, inner, (int)inner_len) != 1 ||
	    EVP_DecryptFinal_ex(cipher, inner + n, &n) != 1)
		return PER__ALERT_BAD_RECORD_MAC;
	key->seq++;
	return content_find(inner, inner_len, type, len);
}
