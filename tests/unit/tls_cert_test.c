/* SPDX-License-Identifier: MIT */
/*
 * tls_cert_test.c - src/tls/cert.c, cert_check.c, store.c, conf.c: what is refused, and the words for it;
 * which certificate stands for which name.
 */
#include "support/unit.h"

#include "support/tls_certs.h"
#include "tls/store.h"

/* One folder, one authority, one intermediate and one good leaf for all tests: keys take time. */
struct world {
	struct test_folder folder;
	struct test_id root, middle, leaf, rsa;
	const char *leaf_file; /* with chain and key */
};

static int world_make(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	test_folder_make(&world->folder);
	world->root = test_id_make(&(struct test_spec){ .subject = "root", .is_ca = true });
	world->middle = test_id_make(
		&(struct test_spec){ .subject = "middle", .is_ca = true, .issuer = &world->root });
	world->leaf = test_id_make(&(struct test_spec){
		.subject = "leaf", .issuer = &world->middle, .names = "DNS:a.example,DNS:*.b.example" });
	world->rsa = test_id_make(&(struct test_spec){
		.subject = "rsa", .key = "RSA", .names = "DNS:a.example,DNS:r.example" });
	world->leaf_file =
		test_pem_write(&world->folder, "leaf.pem",
			       (X509 *[]){ world->leaf.cert, world->middle.cert, NULL }, world->leaf.key);
	*state = world;
	return 0;
}

static int world_free(void **state)
{
	struct world *world = *state;

	test_folder_remove(&world->folder);
	test_id_free(&world->root);
	test_id_free(&world->middle);
	test_id_free(&world->leaf);
	test_id_free(&world->rsa);
	free(world);
	return 0;
}

/* What the log and the reason have said. */
struct said {
	char reason[512];
	char log[2048];
};

static void log_append(per_log_level level, const char *line, void *user)
{
	struct said *said = user;
	size_t len = strlen(said->log);

	assert_int_equal(level, PER_LOG_WARN);
	(void)snprintf(said->log + len, sizeof(said->log) - len, "%s\n", line);
}

static int store_make(struct per__tls_store **out, const per_tls_config *config, bool is_strict,
		      struct said *said)
{
	const struct per__log log = { .fn = log_append, .user = said, .level = PER_LOG_WARN };
	struct per__tls_check check = { .log = &log,
					.wall_s = time(NULL),
					.is_strict = is_strict,
					.reason = said->reason,
					.cap = sizeof(said->reason) };
	struct per__tls_conf *conf;
	int err;

	*said = (struct said){ 0 };
	*out = NULL;
	err = per__tls_conf_new(&conf, config, said->reason, sizeof(said->reason));
	if (err != 0)
		return err;
	err = per__tls_store_new(out, conf, &check);
	per__tls_conf_free(conf);
	return err;
}

/* Makes a store of one certificate, which must be fine, and tells what the log says. */
static void accepts(const per_tls_cert *cert, bool is_strict, struct said *said)
{
	struct per__tls_store *store;
	int err = store_make(&store, &(per_tls_config){ .certs = cert, .cert_count = 1 }, is_strict, said);

	if (err != 0)
		fail_msg("refused: %s", said->reason);
	per__tls_store_drop(store);
}

/* Makes a store, which must fail with a reason that has these two texts in it. */
static void config_refused(const per_tls_config *config, bool is_strict, const char *first,
			   const char *second)
{
	struct per__tls_store *store;
	struct said said;
	int err = store_make(&store, config, is_strict, &said);

	assert_null(store);
	if (err != PER_EINVAL || strstr(said.reason, first) == NULL || strstr(said.reason, second) == NULL)
		fail_msg("%d, '%s', not '%s' and '%s'", err, said.reason, first, second);
}

static void refused(const per_tls_cert *cert, const char *first, const char *second)
{
	config_refused(&(per_tls_config){ .certs = cert, .cert_count = 1 }, false, first, second);
}

/* --- files ------------------------------------------------------------------------------------ */

static void test_cert_good_is_accepted_quietly(void **state)
{
	struct world *world = *state;
	struct said said;

	accepts(&(per_tls_cert){ .cert_file = world->leaf_file }, true, &said);
	assert_string_equal(said.log, "");
}

static void test_file_that_is_not_there_is_named(void **state)
{
	struct world *world = *state;

	refused(&(per_tls_cert){ .cert_file = "/nonexistent/c.pem" }, "/nonexistent/c.pem: cannot be read",
		"No such file");
	refused(&(per_tls_cert){ .cert_file = world->leaf_file, .key_file = "/nonexistent/k.pem" },
		"/nonexistent/k.pem: cannot be read", "No such file");
	refused(&(per_tls_cert){ .cert_file = world->folder.path }, world->folder.path, "not a regular file");
}

static void test_file_that_is_no_pem_says_what_it_is(void **state)
{
	struct world *world = *state;
	unsigned char *der = NULL;
	int len = i2d_X509(world->leaf.cert, &der);
	const char *empty = test_text_write(&world->folder, "empty.pem", "", 0);
	const char *text = test_text_write(&world->folder, "text.pem", "hello\n", 6);
	const char *binary = test_text_write(&world->folder, "leaf.der", der, (size_t)len);
	const char *key_only = test_pem_write(&world->folder, "only.key", NULL, world->leaf.key);
	const char *cert_only =
		test_pem_write(&world->folder, "only.crt", (X509 *[]){ world->leaf.cert, NULL }, NULL);

	OPENSSL_free(der);
	refused(&(per_tls_cert){ .cert_file = empty }, empty, "is empty");
	refused(&(per_tls_cert){ .cert_file = text }, text, "holds no certificate in PEM");
	refused(&(per_tls_cert){ .cert_file = binary }, binary, "is DER, not PEM");
	refused(&(per_tls_cert){ .cert_file = key_only }, key_only, "holds no certificate in PEM");
	refused(&(per_tls_cert){ .cert_file = cert_only }, cert_only, "holds no private key in PEM");
	refused(&(per_tls_cert){ .cert_file = cert_only, .key_file = text }, text, "holds no private key");
	refused(&(per_tls_cert){ .cert_file = cert_only, .key_file = binary }, binary, "is DER, not PEM");
}

/* A file with one byte less, or changed, somewhere in its base64. */
static void test_file_that_is_damaged_says_so(void **state)
{
	static const char bad_cert[] =
		"-----BEGIN CERTIFICATE-----\nTm90aGluZw==\n-----END CERTIFICATE-----\n";
	static const char bad_key[] =
		"-----BEGIN PRIVATE KEY-----\nTm90aGluZw==\n-----END PRIVATE KEY-----\n";
	struct world *world = *state;
	const char *cert = test_text_write(&world->folder, "bad.crt", bad_cert, sizeof(bad_cert) - 1);
	const char *key = test_text_write(&world->folder, "bad.key", bad_key, sizeof(bad_key) - 1);
	FILE *file;

	refused(&(per_tls_cert){ .cert_file = cert }, cert, "certificate 1 is damaged");
	refused(&(per_tls_cert){ .cert_file = world->leaf_file, .key_file = key }, key,
		"private key is damaged");
	cert = test_id_write(&world->folder, "half.pem", &world->leaf);
	file = fopen(cert, "a");
	assert_non_null(file);
	(void)fputs("-----BEGIN CERTIFICATE-----\nMIIB", file);
	(void)fclose(file);
	refused(&(per_tls_cert){ .cert_file = cert }, cert, "certificate 2 is damaged");
}

static void test_file_too_large_is_refused(void **state)
{
	struct world *world = *state;
	char *text = malloc(PER__TLS_FILE_BYTES_MAX + 1);
	const char *path;

	memset(text, '\n', PER__TLS_FILE_BYTES_MAX + 1);
	path = test_text_write(&world->folder, "large.pem", text, PER__TLS_FILE_BYTES_MAX + 1);
	refused(&(per_tls_cert){ .cert_file = path }, path, "has more than");
	path = test_text_write(&world->folder, "large.pem", text, PER__TLS_FILE_BYTES_MAX);
	refused(&(per_tls_cert){ .cert_file = path }, path, "holds no certificate");
	free(text);
}

static void test_key_with_a_password_says_how_to_take_it_away(void **state)
{
	struct world *world = *state;
	const char *path = test_path(&world->folder, "secret.key");
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(
		PEM_write_PKCS8PrivateKey(file, world->leaf.key, EVP_aes_256_cbc(), "pass", 4, NULL, NULL),
		1);
	(void)fclose(file);
	refused(&(per_tls_cert){ .cert_file = world->leaf_file, .key_file = path }, path,
		"has a password, which is not supported");
}

/* What "openssl ecparam -genkey" writes: parameters before the key. */
static void test_key_behind_parameters_is_read(void **state)
{
	struct world *world = *state;
	const char *path = test_path(&world->folder, "ecparam.key");
	BIO *bio = BIO_new_file(path, "w");
	struct said said;

	(void)BIO_puts(bio, "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n");
	assert_int_equal(
		PEM_write_bio_PrivateKey_traditional(bio, world->leaf.key, NULL, NULL, 0, NULL, NULL), 1);
	BIO_free(bio);
	accepts(&(per_tls_cert){ .cert_file = world->leaf_file, .key_file = path }, true, &said);
}

/* --- keys and chains -------------------------------------------------------------------------- */

static void test_key_of_another_certificate_is_refused(void **state)
{
	struct world *world = *state;
	const char *key = test_pem_write(&world->folder, "root.key", NULL, world->root.key);

	refused(&(per_tls_cert){ .cert_file = world->leaf_file, .key_file = key }, key,
		"does not match the certificate");
	refused(&(per_tls_cert){ .cert_file = world->leaf_file, .key_file = key }, world->leaf_file,
		"does not match the certificate");
}

static void test_chain_out_of_order_is_refused(void **state)
{
	struct world *world = *state;
	X509 *leaf = world->leaf.cert, *middle = world->middle.cert, *root = world->root.cert;
	const char *path = test_pem_write(&world->folder, "order1.pem", (X509 *[]){ middle, leaf, NULL },
					  world->leaf.key);

	refused(&(per_tls_cert){ .cert_file = path }, path, "out of order: the certificate of the key");
	path = test_pem_write(&world->folder, "order2.pem", (X509 *[]){ leaf, root, middle, NULL },
			      world->leaf.key);
	refused(&(per_tls_cert){ .cert_file = path }, path,
		"out of order: certificate 1 is signed by number 3");
	path = test_pem_write(&world->folder, "order3.pem", (X509 *[]){ leaf, root, NULL }, world->leaf.key);
	refused(&(per_tls_cert){ .cert_file = path }, path, "certificate 2 (/CN=root) has not signed");
	path = test_pem_write(&world->folder, "order4.pem", (X509 *[]){ leaf, leaf, middle, NULL },
			      world->leaf.key);
	refused(&(per_tls_cert){ .cert_file = path }, path, "out of order");
}

/* Another authority with the same name: only the signature tells. */
static void test_chain_of_a_namesake_is_refused(void **state)
{
	struct world *world = *state;
	struct test_id other = test_id_make(
		&(struct test_spec){ .subject = "middle", .is_ca = true, .issuer = &world->root });
	const char *path = test_pem_write(&world->folder, "namesake.pem",
					  (X509 *[]){ world->leaf.cert, other.cert, NULL }, world->leaf.key);

	refused(&(per_tls_cert){ .cert_file = path }, path, "has not signed");
	test_id_free(&other);
}

static void test_chain_with_its_root_is_accepted(void **state)
{
	struct world *world = *state;
	X509 *chain[] = { world->leaf.cert, world->middle.cert, world->root.cert, NULL };
	const char *path = test_pem_write(&world->folder, "full.pem", chain, world->leaf.key);
	struct said said;

	accepts(&(per_tls_cert){ .cert_file = path }, true, &said);
	assert_string_equal(said.log, "");
}

static void test_chain_longest_and_one_more(void **state)
{
	struct world *world = *state;
	struct test_id ids[PER__TLS_CHAIN_MAX + 1] = { { 0 } };
	X509 *chain[PER__TLS_CHAIN_MAX + 2] = { NULL };
	struct said said;
	const char *path;

	for (int i = PER__TLS_CHAIN_MAX; i >= 0; i--) {
		ids[i] = test_id_make(
			&(struct test_spec){ .subject = "long",
					     .is_ca = i > 0,
					     .issuer = i == PER__TLS_CHAIN_MAX ? NULL : &ids[i + 1] });
		chain[i] = ids[i].cert;
	}
	path = test_pem_write(&world->folder, "long.pem", chain, ids[0].key);
	refused(&(per_tls_cert){ .cert_file = path }, path, "more than 16 certificates");
	chain[PER__TLS_CHAIN_MAX] = NULL;
	path = test_pem_write(&world->folder, "long.pem", chain, ids[0].key);
	accepts(&(per_tls_cert){ .cert_file = path }, true, &said);
	for (size_t i = 0; i < PER_ARRAY_LEN(ids); i++)
		test_id_free(&ids[i]);
}

/* A certificate made to a specification, in a file with its key. */
static const char *file_make(struct world *world, const struct test_spec *spec)
{
	struct test_id id = test_id_make(spec);
	const char *path = test_id_write(&world->folder, "made.pem", &id);

	test_id_free(&id);
	return path;
}

static void test_key_that_is_weak_or_odd_is_refused(void **state)
{
	struct world *world = *state;
	const char *path = file_make(world, &(struct test_spec){ .key = "RSA", .rsa_bits = 1024 });

	refused(&(per_tls_cert){ .cert_file = path }, path, "has 1024 bits, which is too weak");
	path = file_make(world, &(struct test_spec){ .key = "secp256k1" });
	refused(&(per_tls_cert){ .cert_file = path }, path, "not on a curve of TLS");
	path = file_make(world, &(struct test_spec){ .issuer = &world->root, .digest = EVP_sha1() });
	refused(&(per_tls_cert){ .cert_file = path }, path, "cannot be used");
}

static void test_key_kinds_are_accepted(void **state)
{
	static const struct {
		const char *key;
		enum per__tls_kind kind;
	} cases[] = { { "P-256", PER__TLS_ECDSA },
		      { "P-384", PER__TLS_ECDSA },
		      { "P-521", PER__TLS_ECDSA },
		      { "ED25519", PER__TLS_ED25519 } };
	struct world *world = *state;

	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++) {
		const char *path = file_make(world, &(struct test_spec){ .key = cases[i].key });
		const per_tls_cert cert = { .cert_file = path };
		struct per__tls_store *store;
		struct said said;

		assert_int_equal(
			store_make(&store, &(per_tls_config){ .certs = &cert, .cert_count = 1 }, true, &said),
			0);
		assert_int_equal(store->certs[0].kind, cases[i].kind);
		per__tls_store_drop(store);
	}
}

/* --- dates and doubts ------------------------------------------------------------------------- */

static void test_dates_warn_at_the_start_and_refuse_a_reload(void **state)
{
	struct world *world = *state;
	per_tls_cert cert = { 0 };
	const per_tls_config config = { .certs = &cert, .cert_count = 1 };
	struct said said;

	cert.cert_file = file_make(world, &(struct test_spec){ .begin_s = -3600, .end_s = -1 });
	accepts(&cert, false, &said);
	assert_non_null(strstr(said.log, "made.pem: has expired: 2"));
	config_refused(&config, true, cert.cert_file, "has expired");
	cert.cert_file = file_make(world, &(struct test_spec){ .begin_s = 3600, .end_s = 7200 });
	accepts(&cert, false, &said);
	assert_non_null(strstr(said.log, "made.pem: is not valid before 2"));
	config_refused(&config, true, cert.cert_file, "is not valid before");
}

static void test_dates_of_intermediates_count(void **state)
{
	struct world *world = *state;
	struct test_id old = test_id_make(&(struct test_spec){
		.subject = "old", .is_ca = true, .issuer = &world->root, .begin_s = -7200, .end_s = -3600 });
	struct test_id leaf = test_id_make(&(struct test_spec){ .issuer = &old });
	const per_tls_cert cert = { .cert_file = test_pem_write(&world->folder, "old.pem",
								(X509 *[]){ leaf.cert, old.cert, NULL },
								leaf.key) };

	config_refused(&(per_tls_config){ .certs = &cert, .cert_count = 1 }, true, cert.cert_file,
		       "certificate 2 has expired");
	test_id_free(&old);
	test_id_free(&leaf);
}

static void test_doubts_are_logged(void **state)
{
	struct world *world = *state;
	per_tls_cert cert = { .cert_file = file_make(world, &(struct test_spec){ .issuer = &world->root,
										 .usage = "clientAuth" }) };
	struct said said;

	accepts(&cert, true, &said);
	assert_non_null(strstr(said.log, "is not for TLS servers"));
	cert.cert_file =
		file_make(world, &(struct test_spec){ .issuer = &world->root,
						      .access = "caIssuers;URI:http://ca.example/root.der" });
	accepts(&cert, true, &said);
	assert_non_null(strstr(said.log, "holds no intermediate certificate"));
	cert.cert_file =
		file_make(world, &(struct test_spec){ .issuer = &world->root, .usage = "serverAuth" });
	accepts(&cert, true, &said);
	assert_string_equal(said.log, "");
}

/* --- names ------------------------------------------------------------------------------------ */

/* The file of the certificate of one kind for a name, as an index; -1: none. */
static long cert_for(const struct per__tls_store *store, const char *name, enum per__tls_kind kind)
{
	uint32_t index = per__tls_names_find(&store->names, name, strlen(name));
	const struct per__tls_cert *cert;

	if (index == PER__TLS_NAME_NONE)
		return -2;
	cert = store->hosts[index].certs[kind];
	return cert != NULL ? cert - store->certs : -1;
}

static void test_names_are_the_certificates_or_those_given(void **state)
{
	struct world *world = *state;
	per_tls_cert cert = { .cert_file = world->leaf_file };
	const per_tls_config config = { .certs = &cert, .cert_count = 1 };
	struct per__tls_store *store;
	struct said said;

	assert_int_equal(store_make(&store, &config, true, &said), 0);
	assert_int_equal(cert_for(store, "a.example", PER__TLS_ECDSA), 0);
	assert_int_equal(cert_for(store, "x.b.example", PER__TLS_ECDSA), 0);
	assert_int_equal(cert_for(store, "b.example", PER__TLS_ECDSA), -2);
	assert_int_equal(store->host_cnt, 1);
	per__tls_store_drop(store);
	cert.names = " one.example,,Two.example\t*.three.example ";
	assert_int_equal(store_make(&store, &config, true, &said), 0);
	assert_int_equal(cert_for(store, "a.example", PER__TLS_ECDSA), -2);
	assert_int_equal(cert_for(store, "one.example", PER__TLS_ECDSA), 0);
	assert_int_equal(cert_for(store, "two.example", PER__TLS_ECDSA), 0);
	assert_int_equal(cert_for(store, "x.three.example", PER__TLS_ECDSA), 0);
	per__tls_store_drop(store);
}

static void test_names_that_are_none_are_refused_when_given(void **state)
{
	struct world *world = *state;

	refused(&(per_tls_cert){ .cert_file = world->leaf_file, .names = "a.example 127.0.0.1" },
		world->leaf_file, "'127.0.0.1' cannot be a name of it: addresses are no names");
	refused(&(per_tls_cert){ .cert_file = world->leaf_file, .names = "a.*.example" }, "'a.*.example'",
		"a star can only be");
}

/* In a certificate, what is no name is just not a name. */
static void test_names_that_are_none_are_passed_over_when_found(void **state)
{
	struct world *world = *state;
	per_tls_cert certs[2] = {
		{ .cert_file = world->leaf_file },
		{ .cert_file = file_make(
			  world,
			  &(struct test_spec){
				  .names =
					  "IP:127.0.0.1,DNS:f*.example,email:a@b.example,DNS:ok.example" }) },
	};
	struct per__tls_store *store;
	struct said said;

	assert_int_equal(
		store_make(&store, &(per_tls_config){ .certs = certs, .cert_count = 2 }, true, &said), 0);
	assert_int_equal(store->names.cnt, 3);
	assert_int_equal(cert_for(store, "ok.example", PER__TLS_ECDSA), 1);
	per__tls_store_drop(store);
}

static void test_cert_without_names_can_only_be_the_first(void **state)
{
	struct world *world = *state;
	per_tls_cert certs[2] = { { .cert_file = world->leaf_file },
				  { .cert_file = file_make(
					    world, &(struct test_spec){ .names = "IP:127.0.0.1" }) } };
	struct said said;

	accepts(&certs[1], true, &said);
	config_refused(&(per_tls_config){ .certs = certs, .cert_count = 2 }, false, certs[1].cert_file,
		       "has no DNS name");
	config_refused(&(per_tls_config){ .certs = &certs[1], .cert_count = 1, .strict_sni = true }, false,
		       certs[1].cert_file, "has no DNS name");
}

static void test_kinds_of_keys_stand_side_by_side(void **state)
{
	struct world *world = *state;
	per_tls_cert certs[2] = { { .cert_file = world->leaf_file },
				  { .cert_file = test_id_write(&world->folder, "rsa.pem", &world->rsa) } };
	const per_tls_config config = { .certs = certs, .cert_count = 2 };
	struct per__tls_store *store;
	struct said said;

	assert_int_equal(store_make(&store, &config, true, &said), 0);
	assert_int_equal(cert_for(store, "a.example", PER__TLS_ECDSA), 0);
	assert_int_equal(cert_for(store, "a.example", PER__TLS_RSA), 1);
	assert_int_equal(cert_for(store, "x.b.example", PER__TLS_ECDSA), 0);
	assert_int_equal(cert_for(store, "x.b.example", PER__TLS_RSA), -1);
	assert_int_equal(cert_for(store, "r.example", PER__TLS_ECDSA), -1);
	assert_int_equal(cert_for(store, "r.example", PER__TLS_RSA), 1);
	/* names that nobody knows get what the first name gets */
	assert_ptr_equal(store->hosts[store->first].certs[PER__TLS_ECDSA], &store->certs[0]);
	assert_ptr_equal(store->hosts[store->first].certs[PER__TLS_RSA], &store->certs[1]);
	assert_string_equal(said.log, "");
	per__tls_store_drop(store);
}

static void test_one_kind_twice_keeps_the_first_and_warns(void **state)
{
	struct world *world = *state;
	per_tls_cert certs[2] = {
		{ .cert_file = world->leaf_file },
		{ .cert_file =
			  file_make(world, &(struct test_spec){ .names = "DNS:c.example,DNS:a.example" }) },
	};
	struct per__tls_store *store;
	struct said said;

	assert_int_equal(
		store_make(&store, &(per_tls_config){ .certs = certs, .cert_count = 2 }, true, &said), 0);
	assert_int_equal(cert_for(store, "a.example", PER__TLS_ECDSA), 0);
	assert_int_equal(cert_for(store, "c.example", PER__TLS_ECDSA), 1);
	assert_non_null(strstr(said.log, "made.pem: not used for a.example"));
	per__tls_store_drop(store);
}

/* --- client authorities and numbers ----------------------------------------------------------- */

static void test_client_authorities_are_read(void **state)
{
	struct world *world = *state;
	const char *roots = test_pem_write(&world->folder, "roots.pem",
					   (X509 *[]){ world->root.cert, world->middle.cert, NULL }, NULL);
	const char *none = test_text_write(&world->folder, "none.pem", "none", 4);
	const char *missing = test_path(&world->folder, "missing.pem");
	per_tls_cert certs[3] = {
		{ .cert_file = world->leaf_file },
		{ .cert_file = world->leaf_file, .names = "c.example" },
		{ .cert_file = world->leaf_file, .names = "d.example", .client_auth = PER_TLS_CLIENT_OFF }
	};
	per_tls_config config = { .certs = certs,
				  .cert_count = 3,
				  .client_auth = PER_TLS_CLIENT_REQUIRED,
				  .client_ca_file = roots };
	struct per__tls_store *store;
	struct said said;

	assert_int_equal(store_make(&store, &config, true, &said), 0);
	assert_int_equal(store->realm_cnt, 2); /* the first two are asked in the same way */
	assert_int_equal(sk_X509_num(store->realms[0].cas), 2);
	assert_null(store->realms[1].cas);
	assert_memory_not_equal(store->realms[0].id, store->realms[1].id, PER__TLS_DIGEST_BYTES);
	per__tls_store_drop(store);

	config.client_ca_file = none;
	config_refused(&config, false, none, "holds no certificate");
	config.client_ca_file = missing;
	config_refused(&config, false, missing, "cannot be read");
	config.client_ca_file = NULL;
	config_refused(&config, false, "there is no client_ca_file", world->leaf_file);
	config.client_ca_file = roots;
	certs[1].names = "a.example";
	certs[1].client_auth = PER_TLS_CLIENT_OPTIONAL;
	config_refused(&config, false, "another certificate for a.example", "in another way");
}

static void test_numbers_out_of_range_are_refused(void **state)
{
	struct world *world = *state;
	const per_tls_cert cert = { .cert_file = world->leaf_file };
	const per_tls_cert odd = { .cert_file = world->leaf_file, .client_auth = (per_tls_client_auth)4 };
	const per_tls_cert nameless = { .key_file = world->leaf_file };
	const struct {
		per_tls_config config;
		const char *why;
	} cases[] = {
		{ { .certs = NULL }, "there is no certificate" },
		{ { .certs = &cert, .cert_count = 0 }, "there is no certificate" },
		{ { .certs = &cert, .cert_count = PER__TLS_CERTS_MAX + 1 }, "10001 certificates" },
		{ { .certs = &cert, .cert_count = 1, .ticket_count = 9 }, "ticket_count is 9" },
		{ { .certs = &cert, .cert_count = 1, .ticket_lifetime_s = 604801 }, "ticket_lifetime_s is" },
		{ { .certs = &cert, .cert_count = 1, .client_depth = 33 }, "client_depth is 33" },
		{ { .certs = &cert, .cert_count = 1, .client_auth = (per_tls_client_auth)4 },
		  "client_auth is 4" },
		{ { .certs = &odd, .cert_count = 1 }, "client_auth is 4" },
		{ { .certs = &nameless, .cert_count = 1 }, "certificate 1 has no cert_file" },
	};

	for (size_t i = 0; i < PER_ARRAY_LEN(cases); i++)
		config_refused(&cases[i].config, false, cases[i].why, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cert_good_is_accepted_quietly),
		cmocka_unit_test(test_file_that_is_not_there_is_named),
		cmocka_unit_test(test_file_that_is_no_pem_says_what_it_is),
		cmocka_unit_test(test_file_that_is_damaged_says_so),
		cmocka_unit_test(test_file_too_large_is_refused),
		cmocka_unit_test(test_key_with_a_password_says_how_to_take_it_away),
		cmocka_unit_test(test_key_behind_parameters_is_read),
		cmocka_unit_test(test_key_of_another_certificate_is_refused),
		cmocka_unit_test(test_chain_out_of_order_is_refused),
		cmocka_unit_test(test_chain_of_a_namesake_is_refused),
		cmocka_unit_test(test_chain_with_its_root_is_accepted),
		cmocka_unit_test(test_chain_longest_and_one_more),
		cmocka_unit_test(test_key_that_is_weak_or_odd_is_refused),
		cmocka_unit_test(test_key_kinds_are_accepted),
		cmocka_unit_test(test_dates_warn_at_the_start_and_refuse_a_reload),
		cmocka_unit_test(test_dates_of_intermediates_count),
		cmocka_unit_test(test_doubts_are_logged),
		cmocka_unit_test(test_names_are_the_certificates_or_those_given),
		cmocka_unit_test(test_names_that_are_none_are_refused_when_given),
		cmocka_unit_test(test_names_that_are_none_are_passed_over_when_found),
		cmocka_unit_test(test_cert_without_names_can_only_be_the_first),
		cmocka_unit_test(test_kinds_of_keys_stand_side_by_side),
		cmocka_unit_test(test_one_kind_twice_keeps_the_first_and_warns),
		cmocka_unit_test(test_client_authorities_are_read),
		cmocka_unit_test(test_numbers_out_of_range_are_refused),
	};

	return cmocka_run_group_tests(tests, world_make, world_free);
}
