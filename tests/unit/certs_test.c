/* SPDX-License-Identifier: MIT */
/*
 * certs_test.c - src/certs.c: a server's contexts at the start, and what per_tls_reload() does to them. The
 * server does not run here; tests/integration/test_tls_certs.py has one that does.
 */
#include "support/unit.h"

#include "server.h"
#include "support/tls_certs.h"

struct world {
	struct test_folder folder;
	const char *good, *expired;
	char log[4096];
};

static int world_make(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct test_id good = test_id_make(&(struct test_spec){ .names = "DNS:a.example" });
	struct test_id expired = test_id_make(&(struct test_spec){ .begin_s = -7200, .end_s = -3600 });

	assert_non_null(world);
	test_folder_make(&world->folder);
	world->good = test_id_write(&world->folder, "good.pem", &good);
	world->expired = test_id_write(&world->folder, "expired.pem", &expired);
	test_id_free(&good);
	test_id_free(&expired);
	*state = world;
	return 0;
}

static int world_free(void **state)
{
	struct world *world = *state;

	test_folder_remove(&world->folder);
	free(world);
	return 0;
}

static void log_append(per_log_level level, const char *line, void *user)
{
	struct world *world = user;
	size_t len = strlen(world->log);

	(void)snprintf(world->log + len, sizeof(world->log) - len, "%d %s\n", (int)level, line);
}

static int hello(per_req *req, void *user)
{
	(void)req;
	(void)user;
	return 0;
}

static int server_make(struct world *world, const per_tls_config *tls, unsigned flags, per_server **out)
{
	const per_listen place = { .address = "127.0.0.1:0", .flags = flags };

	world->log[0] = '\0';
	return per_server_new(out, &(per_config){ .listen = &place,
						  .listen_count = 1,
						  .handler.on_request = hello,
						  .log = log_append,
						  .log_user = world,
						  .workers = 2,
						  .memory_bytes = 4u << 20,
						  .connections_max = 16,
						  .tls = tls });
}

static void test_each_worker_has_its_own_contexts(void **state)
{
	struct world *world = *state;
	const per_tls_cert cert = { .cert_file = world->good };
	per_server *server;

	assert_int_equal(server_make(world, &(per_tls_config){ .certs = &cert, .cert_count = 1 },
				     PER_LISTEN_TLS, &server),
			 0);
	assert_non_null(server->workers[0]->tls);
	assert_non_null(server->workers[1]->tls);
	assert_ptr_not_equal(server->workers[0]->tls, server->workers[1]->tls);
	assert_true(server->workers[0]->listeners[0].is_tls);
	assert_memory_equal(per_server_address(server, 0), "https://127.0.0.1:", 18);
	per_server_free(server);
}

static void test_listener_of_tls_needs_certificates(void **state)
{
	struct world *world = *state;
	per_server *server;

	assert_int_equal(server_make(world, NULL, PER_LISTEN_TLS, &server), PER_EINVAL);
	assert_null(server);
	assert_non_null(strstr(world->log, "there is no per_config.tls"));
}

static void test_start_logs_what_is_wrong(void **state)
{
	struct world *world = *state;
	per_tls_cert cert = { .cert_file = "/nonexistent.pem" };
	const per_tls_config config = { .certs = &cert, .cert_count = 1 };
	per_server *server;

	assert_int_equal(server_make(world, &config, PER_LISTEN_TLS, &server), PER_EINVAL);
	assert_non_null(strstr(world->log, "0 TLS: /nonexistent.pem: cannot be read"));
	cert.cert_file = world->expired;
	assert_int_equal(server_make(world, &config, PER_LISTEN_TLS, &server), 0);
	assert_non_null(strstr(world->log, "expired.pem: has expired"));
	per_server_free(server);
}

static void test_reload_good_waits_for_the_worker(void **state)
{
	struct world *world = *state;
	const per_tls_cert cert = { .cert_file = world->good };
	per_server *server;
	struct per__tls_ctx *before, *next;
	char reason[256] = "left";

	assert_int_equal(server_make(world, &(per_tls_config){ .certs = &cert, .cert_count = 1 }, 0, &server),
			 0);
	before = server->workers[0]->tls;
	assert_int_equal(per_tls_reload(server, NULL, reason, sizeof(reason)), 0);
	assert_string_equal(reason, "");
	assert_ptr_equal(server->workers[0]->tls, before);
	assert_non_null(server->workers[0]->tls_next);
	assert_int_equal(per_tls_reload(server, NULL, NULL, 0), 0); /* before anybody has taken the first */
	next = server->workers[0]->tls_next;
	per__certs_take(server->workers[0]);
	assert_ptr_equal(server->workers[0]->tls, next);
	assert_null(server->workers[0]->tls_next);
	per__certs_take(server->workers[0]); /* there is nothing to take */
	assert_ptr_equal(server->workers[0]->tls, next);
	per_server_free(server); /* with one that worker 1 has not taken */
}

static void test_reload_bad_changes_nothing(void **state)
{
	struct world *world = *state;
	const per_tls_cert cert = { .cert_file = world->good }, bad = { .cert_file = world->expired };
	per_server *server;
	char reason[256], small[8];

	assert_int_equal(server_make(world, &(per_tls_config){ .certs = &cert, .cert_count = 1 }, 0, &server),
			 0);
	assert_int_equal(per_tls_reload(server, &(per_tls_config){ .certs = &bad, .cert_count = 1 }, reason,
					sizeof(reason)),
			 PER_EINVAL);
	assert_non_null(strstr(reason, world->expired));
	assert_non_null(strstr(reason, "has expired"));
	assert_null(server->workers[0]->tls_next);
	assert_int_equal(per_tls_reload(server, &(per_tls_config){ .certs = &bad }, small, sizeof(small)),
			 PER_EINVAL);
	assert_string_equal(small, "there i");
	assert_int_equal(per_tls_reload(server, NULL, reason, sizeof(reason)),
			 0); /* the old ones are still known */
	per_server_free(server);
}

static void test_reload_without_tls_is_refused(void **state)
{
	struct world *world = *state;
	per_server *server;
	char reason[256];

	assert_int_equal(server_make(world, NULL, 0, &server), 0);
	assert_int_equal(per_tls_reload(server, NULL, reason, sizeof(reason)), PER_ESTATE);
	assert_string_equal(reason, per_strerror(PER_ESTATE));
	per_server_free(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_worker_has_its_own_contexts),
		cmocka_unit_test(test_listener_of_tls_needs_certificates),
		cmocka_unit_test(test_start_logs_what_is_wrong),
		cmocka_unit_test(test_reload_good_waits_for_the_worker),
		cmocka_unit_test(test_reload_bad_changes_nothing),
		cmocka_unit_test(test_reload_without_tls_is_refused),
	};

	return cmocka_run_group_tests(tests, world_make, world_free);
}
