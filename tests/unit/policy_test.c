/* SPDX-License-Identifier: MIT */
/*
 * policy_test.c - src/policy.c: what per_server_reload() leaves for the workers. The server does not run
 * here; tests/sim/sim_reload_test.c has one that does.
 */
#include "support/unit.h"

#include "server.h"

#define WORKERS 8u
#define ROUNDS 30000u

static char last_line[256];

static void keep_line(per_log_level level, const char *line, void *user)
{
	(void)level;
	(void)user;
	(void)snprintf(last_line, sizeof(last_line), "%s", line);
}

static int never(per_req *req, void *user)
{
	(void)req;
	(void)user;
	return -1;
}

static per_server *server_new(void)
{
	per_listen listen = { .address = "127.0.0.1:0" };
	const per_config config = { .handler = { .on_request = never },
				    .listen = &listen,
				    .listen_count = 1,
				    .workers = WORKERS,
				    .memory_bytes = 8u << 20,
				    .connections_max = 128,
				    .log = keep_line };
	per_server *server;

	assert_int_equal(per_server_new(&server, &config), 0);
	return server;
}

static void test_reload_is_left_for_each_worker(void **state)
{
	const per_tls_config tls = { .handshakes_max = 80 };
	const per_config first = { .idle_timeout_ms = 7000, .tls = &tls }, second = { .body_bytes_max = 9 };
	per_server *server = server_new();

	(void)state;
	assert_int_equal(per_server_reload(server, &first), 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		per__worker_take_policy(server->workers[i]);
		assert_null(server->workers[i]->policy_next);
		assert_int_equal(server->workers[i]->policy.idle_timeout_ns, INT64_C(7000000000));
		assert_int_equal(server->workers[i]->policy.tls_handshakes_max, 80 / WORKERS);
	}
	assert_int_equal(per_server_reload(server, &first), 0);
	assert_int_equal(per_server_reload(server, &second), 0); /* before anybody has taken the first */
	per__worker_take_policy(server->workers[3]);
	assert_int_equal(server->workers[3]->policy.idle_timeout_ns, INT64_C(60000000000));
	assert_int_equal(server->workers[3]->policy.body_bytes_max, 9);
	assert_int_equal(server->workers[3]->policy.tls_handshakes_max, 0);
	per_server_free(server); /* with what nobody has taken */
}

static void test_reload_of_something_bad_leaves_nothing(void **state)
{
	const per_config bad[] = { { .idle_timeout_ms = 700000000 },
				   { .proxy_trusted = "10.0.0.0/33" },
				   { .tls = &(per_tls_config){ .handshake_timeout_ms = 700000000 } } };
	const char *const words[] = { "idle_timeout_ns is 700000000; it has to be from 1 to 604800000",
				      "proxy_trusted is not a list of networks: 10.0.0.0/33",
				      "tls_handshake_timeout_ns is 700000000" };
	per_server *server = server_new();

	(void)state;
	for (size_t i = 0; i < PER_ARRAY_LEN(bad); i++) {
		assert_int_equal(per_server_reload(server, &bad[i]), PER_EINVAL);
		assert_non_null(strstr(last_line, words[i]));
		assert_null(server->workers[0]->policy_next);
	}
	assert_int_equal(per_server_reload(server, NULL), PER_EINVAL);
	per_server_free(server);
}

struct reloader {
	per_server *server;
	pthread_barrier_t *barrier;
	unsigned idle_timeout_ms;
};

static void *reload_often(void *arg)
{
	struct reloader *reloader = arg;
	const per_config config = { .idle_timeout_ms = reloader->idle_timeout_ms };

	for (unsigned i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(reloader->barrier);
		if (per_server_reload(reloader->server, &config) != 0)
			return reloader;
		pthread_barrier_wait(reloader->barrier);
	}
	return NULL;
}

/* Whoever comes last comes last everywhere. */
static void test_reload_by_two_threads_is_the_same_for_all_workers(void **state)
{
	pthread_barrier_t barrier;
	struct reloader reloaders[2];
	pthread_t threads[2];
	per_server *server = server_new();

	(void)state;
	pthread_barrier_init(&barrier, NULL, 3);
	for (unsigned i = 0; i < 2; i++) {
		reloaders[i] = (struct reloader){ server, &barrier, 1000 + i };
		assert_int_equal(pthread_create(&threads[i], NULL, reload_often, &reloaders[i]), 0);
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		for (unsigned k = 0; k < WORKERS; k++) {
			per__worker_take_policy(server->workers[k]);
			assert_int_equal(server->workers[k]->policy.idle_timeout_ns,
					 server->workers[0]->policy.idle_timeout_ns);
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	pthread_barrier_destroy(&barrier);
	per_server_free(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reload_is_left_for_each_worker),
		cmocka_unit_test(test_reload_of_something_bad_leaves_nothing),
		cmocka_unit_test(test_reload_by_two_threads_is_the_same_for_all_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
