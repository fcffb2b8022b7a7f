/* SPDX-License-Identifier: MIT */
/*
 * cert_check.c - judges certificates before clients do.
 * Wrong (never served): the key of another certificate, a chain out of order, a weak or unusable key. Odd
 * (logged, refused by a reload): expired, not valid yet. Odd (logged): no intermediate, not for servers.
 */
#include "tls/cert_check.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RSA_BITS_MIN 2048
#define SUBJECT_BYTES 128u

/* The file that is looked at. */
struct look {
	struct stack_st_X509 *certs;
	const char *file;
	const struct per__tls_check *check;
};

/* --- dates ------------------------------------------------------------------------------------ */

static void date_print(const ASN1_TIME *time, char *buf, size_t cap)
{
	struct tm at;

	if (ASN1_TIME_to_tm(time, &at) == 1)
		(void)snprintf(buf, cap, "%04d-%02d-%02d %02d:%02d:%02d UTC", at.tm_year + 1900,
			       at.tm_mon + 1, at.tm_mday, at.tm_hour, at.tm_min, at.tm_sec);
	else
		(void)snprintf(buf, cap, "a date that cannot be read");
}

static int date_check(const struct look *look, int index)
{
	const X509 *cert = sk_X509_value(look->certs, index);
	const ASN1_TIME *begin = X509_get0_notBefore(cert), *end = X509_get0_notAfter(cert);
	time_t now = (time_t)look->check->wall_s;
	char which[32] = "", text[200], date[64];

	if (index > 0)
		(void)snprintf(which, sizeof(which), "certificate %d ", index + 1);
	if (X509_cmp_time(end, &now) <= 0) {
		date_print(end, date, sizeof(date));
		(void)snprintf(text, sizeof(text), "%shas expired: %s", which, date);
	} else if (X509_cmp_time(begin, &now) > 0) {
		date_print(begin, date, sizeof(date));
		(void)snprintf(text, sizeof(text), "%sis not valid before %s", which, date);
	} else {
		return 0;
	}
	if (look->check->is_strict)
		return per__tls_fail(look->check, "%s: %s", look->file, text);
	per__log(look->check->log, PER_LOG_WARN, "TLS: %s: %s", look->file, text);
	return 0;
}

/* --- order ------------------------------------------------------------------------------------ */

/* By name and key identifier, and by signature: names can be the same. */
static bool is_issuer(X509 *issuer, X509 *cert)
{
	bool is = X509_check_issued(issuer, cert) == X509_V_OK &&
		  X509_verify(cert, X509_get0_pubkey(issuer)) == 1;

	ERR_clear_error();
	return is;
}

/* Which certificate of the file has the key, -1: none. */
static int cert_of_key(const struct look *look, const EVP_PKEY *key)
{
	int cnt = sk_X509_num(look->certs), found = -1;

	for (int i = 0; i < cnt && found < 0; i++) {
		if (EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(look->certs, i)), key) == 1)
			found = i;
	}
	ERR_clear_error();
	return found;
}

static int key_check(const struct look *look, const EVP_PKEY *key, const char *key_file)
{
	int found = cert_of_key(look, key);

	if (found < 0)
		return per__tls_fail(look->check, "%s: the key does not match the certificate in %s",
				     key_file, look->file);
	if (found > 0)
		return per__tls_fail(
			look->check,
			"%s: the chain is out of order: the certificate of the key %s has to be the "
			"first, and is number %d",
			look->file, key_file, found + 1);
	return 0;
}

static int order_check(const struct look *look, int index)
{
	X509 *cert = sk_X509_value(look->certs, index);
	int cnt = sk_X509_num(look->certs);
	char subject[SUBJECT_BYTES];

	if (is_issuer(sk_X509_value(look->certs, index + 1), cert))
		return 0;
	for (int i = 0; i < cnt; i++) {
		if (i != index && is_issuer(sk_X509_value(look->certs, i), cert))
			return per__tls_fail(
				look->check,
				"%s: the chain is out of order: certificate %d is signed by number "
				"%d, which has to come next",
				look->file, index + 1, i + 1);
	}
	return per__tls_fail(
		look->check, "%s: the chain is broken: certificate %d (%s) has not signed the one before it",
		look->file, index + 2,
		per__tls_subject(sk_X509_value(look->certs, index + 1), subject, sizeof(subject)));
}

/* --- strength and purpose --------------------------------------------------------------------- */

static bool is_tls_curve(const EVP_PKEY *key)
{
	static const char *const known[] = {
		"prime256v1", "P-256", "secp384r1", "P-384", "secp521r1", "P-521"
	};
	char name[64] = "";

	(void)EVP_PKEY_get_group_name(key, name, sizeof(name), NULL);
	for (size_t i = 0; i < PER_ARRAY_LEN(known); i++) {
		if (strcmp(name, known[i]) == 0)
			return true;
	}
	return false;
}

static int strength_check(const struct look *look, int index)
{
	const EVP_PKEY *key = X509_get0_pubkey(sk_X509_value(look->certs, index));
	int bits = key != NULL ? EVP_PKEY_get_bits(key) : 0;

	if (key == NULL)
		return per__tls_fail(look->check,
				     "%s: the key in certificate %d is of a kind that is not known",
				     look->file, index + 1);
	if ((EVP_PKEY_is_a(key, "RSA") == 1 || EVP_PKEY_is_a(key, "RSA-PSS") == 1) && bits < RSA_BITS_MIN)
		return per__tls_fail(
			look->check,
			"%s: the RSA key in certificate %d has %d bits, which is too weak: it takes "
			"%d",
			look->file, index + 1, bits, RSA_BITS_MIN);
	if (index == 0 && EVP_PKEY_is_a(key, "EC") == 1 && !is_tls_curve(key))
		return per__tls_fail(look->check, "%s: the key is not on a curve of TLS: P-256, P-384, P-521",
				     look->file);
	return 0;
}

/* Does the certificate say where its issuer can be fetched? Those of public authorities do. */
static bool has_issuer_address(X509 *leaf)
{
	AUTHORITY_INFO_ACCESS *access = X509_get_ext_d2i(leaf, NID_info_access, NULL, NULL);
	bool has = false;

	for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(access) && !has; i++)
		has = OBJ_obj2nid(sk_ACCESS_DESCRIPTION_value(access, i)->method) == NID_ad_ca_issuers;
	AUTHORITY_INFO_ACCESS_free(access);
	return has;
}

/* What works with some clients only. */
static void doubts_log(const struct look *look)
{
	X509 *leaf = sk_X509_value(look->certs, 0);
	const struct per__log *log = look->check->log;

	if (X509_check_purpose(leaf, X509_PURPOSE_SSL_SERVER, 0) != 1)
		per__log(log, PER_LOG_WARN,
			 "TLS: %s: the certificate is not for TLS servers (keyUsage, extendedKeyUsage)",
			 look->file);
	if (sk_X509_num(look->certs) == 1 && has_issuer_address(leaf))
		per__log(log, PER_LOG_WARN,
			 "TLS: %s: holds no intermediate certificate, so many clients cannot verify it; use "
			 "the "
			 "file with the full chain",
			 look->file);
	ERR_clear_error();
}

int per__tls_certs_check(struct stack_st_X509 *certs, EVP_PKEY *key, const char *cert_file,
			 const char *key_file, const struct per__tls_check *check)
{
	const struct look look = { .certs = certs, .file = cert_file, .check = check };
	int cnt = sk_X509_num(certs);
	int err = key_check(&look, key, key_file);

	for (int i = 0; i + 1 < cnt && err == 0; i++)
		err = order_check(&look, i);
	for (int i = 0; i < cnt && err == 0; i++) {
		err = strength_check(&look, i);
		if (err == 0)
			err = date_check(&look, i);
	}
	if (err == 0)
		doubts_log(&look);
	return err;
}
