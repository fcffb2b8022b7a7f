/* SPDX-License-Identifier: MIT */
/*
 * cert.c - reads PEM files: certificates, chains, keys. Finds out what is wrong with them as files;
 * cert_check.c judges what they contain.
 */
#include "tls/cert.h"

#include "base/mem.h"
#include "tls/cert_check.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int per__tls_fail(const struct per__tls_check *check, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vsnprintf(check->reason, check->cap, format, args) < 0 && check->cap > 0)
		check->reason[0] = '\0';
	va_end(args);
	ERR_clear_error();
	return PER_EINVAL;
}

/* --- files ------------------------------------------------------------------------------------ */

/* A whole file in memory. Its contents may be a key: wiped when given back. */
struct file {
	char *data;
	size_t len, cap;
};

static void file_free(struct file *file)
{
	if (file->data != NULL)
		OPENSSL_cleanse(file->data, file->cap);
	per__mem_free(file->data);
	*file = (struct file){ 0 };
}

static int fd_read(struct file *file, int fd)
{
	while (file->len < file->cap) {
		ssize_t n = read(fd, file->data + file->len, file->cap - file->len);

		if (n < 0 && errno != EINTR)
			return errno;
		if (n == 0)
			break;
		file->len += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int file_read(struct file *file, const char *path, const struct per__tls_check *check)
{
	/* a pipe that nobody writes to must not hold the server */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat about;
	int error;

	*file = (struct file){ 0 };
	if (fd < 0)
		return per__tls_fail(check, "%s: cannot be read: %s", path, strerror(errno));
	error = fstat(fd, &about) == 0 ? 0 : errno;
	if (error == 0 && !S_ISREG(about.st_mode)) {
		(void)close(fd);
		return per__tls_fail(check, "%s: is not a regular file", path);
	}
	file->cap = PER_MIN((size_t)about.st_size + 1, PER__TLS_FILE_BYTES_MAX + 1);
	file->data = error == 0 ? per__mem_alloc(file->cap) : NULL;
	if (error == 0)
		error = file->data == NULL ? ENOMEM : fd_read(file, fd);
	(void)close(fd);
	if (error == 0 && file->len <= PER__TLS_FILE_BYTES_MAX)
		return 0;
	file_free(file);
	if (error == 0)
		return per__tls_fail(check, "%s: has more than %zu bytes", path, PER__TLS_FILE_BYTES_MAX);
	return per__tls_fail(check, "%s: cannot be read: %s", path, strerror(error));
}

/* Why there is no PEM in a file. */
static int not_pem(const struct file *file, const char *path, const char *what, const char *command,
		   const struct per__tls_check *check)
{
	if (file->len == 0)
		return per__tls_fail(check, "%s: is empty", path);
	if ((uint8_t)file->data[0] == 0x30) /* an ASN.1 SEQUENCE */
		return per__tls_fail(check, "%s: is DER, not PEM; convert it: openssl %s -inform der -in %s",
				     path, command, path);
	return per__tls_fail(check, "%s: holds no %s in PEM (-----BEGIN ...)", path, what);
}

/* --- certificates ----------------------------------------------------------------------------- */

static int certs_parse(struct stack_st_X509 *certs, BIO *bio, const char *path, int most,
		       const struct per__tls_check *check)
{
	for (int number = 1;; number++) {
		X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

		if (cert == NULL) {
			if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
				return 0;
			return per__tls_fail(check, "%s: certificate %d is damaged", path, number);
		}
		if (number > most) {
			X509_free(cert);
			return per__tls_fail(check, "%s: holds more than %d certificates", path, most);
		}
		if (sk_X509_push(certs, cert) == 0) {
			X509_free(cert);
			return PER_ENOMEM;
		}
	}
}

int per__tls_certs_read(struct stack_st_X509 **out, const char *path, int most, uint8_t *digest,
			const struct per__tls_check *check)
{
	struct stack_st_X509 *certs = sk_X509_new_null();
	struct file file;
	BIO *bio = NULL;
	int err = file_read(&file, path, check);

	*out = NULL;
	if (err == 0)
		bio = BIO_new_mem_buf(file.data, (int)file.len);
	if (err == 0)
		err = bio != NULL && certs != NULL ? certs_parse(certs, bio, path, most, check) : PER_ENOMEM;
	if (err == 0 && sk_X509_num(certs) == 0)
		err = not_pem(&file, path, "certificate", "x509", check);
	if (err == 0 && digest != NULL &&
	    EVP_Digest(file.data, file.len, digest, NULL, EVP_sha256(), NULL) != 1)
		err = PER_ENOMEM;
	ERR_clear_error();
	BIO_free(bio);
	file_free(&file);
	if (err != 0) {
		sk_X509_pop_free(certs, X509_free);
		return err;
	}
	*out = certs;
	return 0;
}

/* --- keys ------------------------------------------------------------------------------------- */

/* Asked for a password: there is none. */
static int password_note(char *buf, int size, int is_writing, void *was_asked)
{
	(void)buf;
	(void)size;
	(void)is_writing;
	*(bool *)was_asked = true;
	return -1;
}

static int key_read(EVP_PKEY **out, const char *path, const struct per__tls_check *check)
{
	struct file file;
	bool has_password = false;
	BIO *bio;
	int err = file_read(&file, path, check);

	if (err != 0)
		return err;
	bio = BIO_new_mem_buf(file.data, (int)file.len);
	*out = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, password_note, &has_password) : NULL;
	if (bio == NULL)
		err = PER_ENOMEM;
	else if (has_password)
		err = per__tls_fail(check,
				    "%s: the key has a password, which is not supported; take it away: "
				    "openssl pkey -in %s -out NEW",
				    path, path);
	else if (*out == NULL && file.data != NULL &&
		 memmem(file.data, file.len, "PRIVATE KEY-----", 16) != NULL)
		err = per__tls_fail(check, "%s: the private key is damaged, or of a kind that is not known",
				    path);
	else if (*out == NULL)
		err = not_pem(&file, path, "private key", "pkey", check);
	ERR_clear_error();
	BIO_free(bio);
	file_free(&file);
	return err;
}

static int kind_find(struct per__tls_cert *cert, const char *path, const struct per__tls_check *check)
{
	static const char *const names[PER__TLS_KINDS] = { "EC", "RSA", "RSA-PSS", "ED25519", "ED448" };

	for (unsigned i = 0; i < PER__TLS_KINDS; i++) {
		if (EVP_PKEY_is_a(cert->key, names[i]) == 1) {
			cert->kind = (enum per__tls_kind)i;
			return 0;
		}
	}
	return per__tls_fail(check, "%s: a key of this kind cannot be used for TLS", path);
}

const char *per__tls_kind_name(enum per__tls_kind kind)
{
	switch (kind) {
	case PER__TLS_ECDSA:
		return "ECDSA";
	case PER__TLS_RSA:
		return "RSA";
	case PER__TLS_RSA_PSS:
		return "RSA-PSS";
	case PER__TLS_ED25519:
		return "Ed25519";
	case PER__TLS_ED448:
		return "Ed448";
	case PER__TLS_KINDS:
		break;
	}
	return "?";
}

/* --- both ------------------------------------------------------------------------------------- */

const char *per__tls_subject(const X509 *cert, char *buf, size_t cap)
{
	char text[256] = "";

	X509_NAME_oneline(X509_get_subject_name(cert), text, sizeof(text));
	return per__log_escape(buf, cap, text, strlen(text));
}

int per__tls_cert_load(struct per__tls_cert *out, const per_tls_cert *conf,
		       const struct per__tls_check *check)
{
	const char *key_file = conf->key_file != NULL ? conf->key_file : conf->cert_file;
	struct stack_st_X509 *certs;
	int err = per__tls_certs_read(&certs, conf->cert_file, (int)PER__TLS_CHAIN_MAX, NULL, check);

	*out = (struct per__tls_cert){ 0 };
	if (err != 0)
		return err;
	err = key_read(&out->key, key_file, check);
	if (err == 0)
		err = kind_find(out, key_file, check);
	if (err == 0)
		err = per__tls_certs_check(certs, out->key, conf->cert_file, key_file, check);
	if (err != 0) {
		sk_X509_pop_free(certs, X509_free);
		per__tls_cert_free(out);
		return err;
	}
	out->leaf = sk_X509_shift(certs);
	out->chain = certs;
	return 0;
}

void per__tls_cert_free(struct per__tls_cert *cert)
{
	X509_free(cert->leaf);
	sk_X509_pop_free(cert->chain, X509_free);
	EVP_PKEY_free(cert->key);
	*cert = (struct per__tls_cert){ 0 };
}

/* --- for people ------------------------------------------------------------------------------- */

/* Seconds since 1970; 0 for a time that cannot be read, which a checked certificate does not have. */
static int64_t seconds_of(const ASN1_TIME *time)
{
	struct tm parts;

	return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

void per__tls_cert_describe(const struct per__tls_cert *cert, const per_tls_cert *conf,
			    per_tls_cert_info *out)
{
	size_t len = strlen(conf->cert_file);
	size_t skipped = len >= sizeof(out->file) ? len - sizeof(out->file) + 1 : 0;

	*out = (per_tls_cert_info){ .not_before_s = seconds_of(X509_get0_notBefore(cert->leaf)),
				    .not_after_s = seconds_of(X509_get0_notAfter(cert->leaf)) };
	memcpy(out->file, conf->cert_file + skipped, len - skipped);
	(void)per__tls_subject(cert->leaf, out->subject, sizeof(out->subject));
}

const char *per_tls_library(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}
