/* SPDX-License-Identifier: MIT */
/*
 * tls_certs.h - certificates for tests: made when they are needed, in a folder of their own that goes away
 * again. Authorities, chains, any kind of key, any dates. Include after unit.h.
 */
#ifndef PER_TESTS_SUPPORT_TLS_CERTS_H
#define PER_TESTS_SUPPORT_TLS_CERTS_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

/* A certificate and its key. */
struct test_id {
	X509 *cert;
	EVP_PKEY *key;
};

/* What a certificate is to be. Zero: a P-256 key, signed by itself, good for a day around now. */
struct test_spec {
	const char *subject; /* the common name; default "test" */
	const char *names;   /* subjectAltName: "DNS:a.example,IP:127.0.0.1" */
	const char *key;     /* "P-256", "P-384", "secp256k1", "RSA" with bits in rsa_bits, "ED25519" */
	int rsa_bits;
	const EVP_PKEY *same_key; /* instead of a new one */
	const struct test_id *issuer;
	bool is_ca;
	long begin_s, end_s; /* from now; both 0: one day each way */
	const char *usage;   /* extendedKeyUsage */
	const char *access;  /* authorityInfoAccess */
	const EVP_MD *digest;
};

#define TEST_DAY_S (24L * 3600)

static inline EVP_PKEY *test_key_make(const struct test_spec *spec)
{
	const char *kind = spec->key != NULL ? spec->key : "P-256";

	if (spec->same_key != NULL) {
		EVP_PKEY_up_ref((EVP_PKEY *)spec->same_key);
		return (EVP_PKEY *)spec->same_key;
	}
	if (strcmp(kind, "RSA") == 0)
		return EVP_RSA_gen((unsigned)(spec->rsa_bits != 0 ? spec->rsa_bits : 2048));
	if (strncmp(kind, "ED", 2) == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, kind);
	return EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
}

static inline void test_extension_add(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	if (value == NULL)
		return;
	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static inline struct test_id test_id_make(const struct test_spec *spec)
{
	const char *subject = spec->subject != NULL ? spec->subject : "test";
	struct test_id id = { .cert = X509_new(), .key = test_key_make(spec) };
	X509 *issuer = spec->issuer != NULL ? spec->issuer->cert : id.cert;
	EVP_PKEY *signer = spec->issuer != NULL ? spec->issuer->key : id.key;
	bool is_ed = EVP_PKEY_is_a(signer, "ED25519") == 1;
	X509_NAME *name = X509_get_subject_name(id.cert);
	bool is_dated = spec->begin_s != 0 || spec->end_s != 0;
	uint64_t serial;

	assert_non_null(id.key);
	assert_int_equal(RAND_bytes((unsigned char *)&serial, sizeof(serial)), 1);
	X509_set_version(id.cert, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(id.cert), serial >> 1);
	X509_gmtime_adj(X509_getm_notBefore(id.cert), is_dated ? spec->begin_s : -TEST_DAY_S);
	X509_gmtime_adj(X509_getm_notAfter(id.cert), is_dated ? spec->end_s : TEST_DAY_S);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)subject, -1, -1, 0);
	X509_set_issuer_name(id.cert, X509_get_subject_name(issuer));
	X509_set_pubkey(id.cert, id.key);
	test_extension_add(id.cert, issuer, NID_basic_constraints,
			   spec->is_ca ? "critical,CA:TRUE" : "CA:FALSE");
	test_extension_add(id.cert, issuer, NID_subject_key_identifier, "hash");
	test_extension_add(id.cert, issuer, NID_subject_alt_name, spec->names);
	test_extension_add(id.cert, issuer, NID_ext_key_usage, spec->usage);
	test_extension_add(id.cert, issuer, NID_info_access, spec->access);
	assert_true(X509_sign(id.cert, signer,
			      is_ed                  ? NULL
			      : spec->digest != NULL ? spec->digest
						     : EVP_sha256()) > 0);
	return id;
}

static inline void test_id_free(struct test_id *id)
{
	X509_free(id->cert);
	EVP_PKEY_free(id->key);
	*id = (struct test_id){ 0 };
}

/* --- files ------------------------------------------------------------------------------------ */

struct test_folder {
	char path[64];
	char *files[128]; /* every path that was asked for; valid as long as the folder */
	unsigned cnt;
};

static inline void test_folder_make(struct test_folder *folder)
{
	*folder = (struct test_folder){ .path = "/tmp/peregrine-tls-XXXXXX" };
	assert_non_null(mkdtemp(folder->path));
}

/* The path of a file in the folder. */
static inline const char *test_path(struct test_folder *folder, const char *name)
{
	size_t bytes = strlen(folder->path) + strlen(name) + 2;
	char *path = malloc(bytes);

	assert_non_null(path);
	assert_in_range(folder->cnt, 0, sizeof(folder->files) / sizeof(folder->files[0]) - 1);
	(void)snprintf(path, bytes, "%s/%s", folder->path, name);
	folder->files[folder->cnt++] = path;
	return path;
}

static inline void test_folder_remove(struct test_folder *folder)
{
	for (unsigned i = 0; i < folder->cnt; i++) {
		(void)unlink(folder->files[i]); /* perhaps there were two for one file */
		free(folder->files[i]);
	}
	assert_int_equal(rmdir(folder->path), 0);
}

/* Writes PEM: certificates in this order (ended by NULL), then a key (NULL: none). Returns the path. */
static inline const char *test_pem_write(struct test_folder *folder, const char *name, X509 *const *certs,
					 EVP_PKEY *key)
{
	const char *path = test_path(folder, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	while (certs != NULL && *certs != NULL)
		assert_int_equal(PEM_write_X509(file, *certs++), 1);
	if (key != NULL)
		assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(file), 0);
	return path;
}

/* A certificate and its key in one file. */
static inline const char *test_id_write(struct test_folder *folder, const char *name,
					const struct test_id *id)
{
	return test_pem_write(folder, name, (X509 *[]){ id->cert, NULL }, id->key);
}

static inline const char *test_text_write(struct test_folder *folder, const char *name, const void *data,
					  size_t len)
{
	const char *path = test_path(folder, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	return path;
}

#endif
