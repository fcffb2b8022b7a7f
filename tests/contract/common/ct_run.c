/* SPDX-License-Identifier: MIT */
/*
 * ct_run.c - set-up, stepping and tear-down of a contract test, and the table of backends it runs on.
 * Every wait is bounded by CT_PATIENCE_S of real time; nothing sleeps.
 */
#include "ct.h"

#include "sim/sim_backend.h"

#include <dirent.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define VARIANTS_MAX 8u
#define TESTS_MAX 200u
#define BACKLOG 512

int64_t ct_real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int ct_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	if (dir == NULL)
		return -1;
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static void loop_begin(struct ct *ct)
{
	memset(&ct->loop, 0, sizeof(ct->loop));
	ct->loop.be = ct->be;
	ct->poll_now_ns = 0;
	if (ct->sim != NULL)
		per__sim_current = ct->sim;
	assert_int_equal(ct->be->init(&ct->loop, &ct->conf), 0);
	assert_true(ct->loop.now_ns > 0);
	ct->is_init = true;
}

/* The shim of kqueue notices a closed queue only when the next one is made: makes the count comparable. */
/* Random faults, but no byte a turn: two hundred sockets would take minutes. The HTTP schedules do that. */
static void faults_choose(struct per__sim *sim)
{
	struct per__sim_faults *faults;

	sim_faults_random(sim, false);
	faults = sim_faults(sim);
	if (faults->recv_bytes_max != 0)
		faults->recv_bytes_max = PER_MAX(faults->recv_bytes_max, (size_t)64);
	if (faults->send_bytes_max != 0)
		faults->send_bytes_max = PER_MAX(faults->send_bytes_max, (size_t)64);
	if (faults->sndbuf_bytes != 0)
		faults->sndbuf_bytes = PER_MAX(faults->sndbuf_bytes, (size_t)512);
}

static int fds_settled(struct ct *ct)
{
	struct per__loop scratch = { .be = ct->be };

	if (ct->sim == NULL && ct->be->init(&scratch, &ct->conf) == 0)
		ct->be->fini(&scratch);
	return ct_open_fds();
}

int ct_set_up(void **state)
{
	struct ct *ct = test_calloc(1, sizeof(*ct));

	ct->variant = *state;
	ct->be = ct->variant->be;
	ct->conn = aligned_alloc(PER_CACHE_LINE, CT_CONNS * sizeof(*ct->conn));
	assert_non_null(ct->conn);
	memset(ct->conn, 0, CT_CONNS * sizeof(*ct->conn));
	ct->conn_limit = CT_CONNS;
	ct->listener.fd = -1;
	ct->seed = sim_seed_from_env(NULL);
	ct->conf = (struct per__be_conf){ .sockets_max = CT_CONNS,
					  .recv_buf_bytes = 4096,
					  .recv_buf_count = 64 };
	if (ct->be == &per__backend_sim) {
		ct->sim = sim_new(ct->seed);
		if (ct->variant->with_faults)
			faults_choose(ct->sim);
	}
	*state = ct;
	ct->fds_before = fds_settled(ct);
	loop_begin(ct);
	return 0;
}

void ct_restart(struct ct *ct, const struct per__be_conf *conf)
{
	ct_unlisten(ct);
	ct->be->fini(&ct->loop);
	ct->conf = *conf;
	loop_begin(ct);
}

int ct_tear_down(void **state)
{
	struct ct *ct = *state;
	bool has_failed = ct->failure[0] != '\0';
	int fds;

	ct_unlisten(ct);
	if (ct->is_init)
		ct->be->fini(&ct->loop);
	if (has_failed)
		print_error("PER_SEED=0x%" PRIx64 " %s\n", ct->seed, ct->failure);
	fds = fds_settled(ct);
	if (fds != ct->fds_before) {
		print_error("descriptors: %d before, %d after\n", ct->fds_before, fds);
		has_failed = true;
	}
	sim_free(ct->sim);
	free(ct->conn);
	test_free(ct);
	return has_failed ? -1 : 0;
}

static int listen_tcp(struct ct *ct)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
	assert_int_equal(listen(fd, BACKLOG), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	ct->port = ntohs(in.sin_port);
	return fd;
}

static int listen_unix(struct ct *ct)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memset(ct->path, 0, sizeof(ct->path));
	snprintf(ct->path, sizeof(ct->path), "/tmp/per_contract_%d.sock", (int)getpid());
	unlink(ct->path);
	memcpy(un.sun_path, ct->path, sizeof(un.sun_path));
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(fd, BACKLOG), 0);
	return fd;
}

void ct_listen(struct ct *ct, bool is_unix)
{
	memset(&ct->listener, 0, sizeof(ct->listener));
	ct->listener.fd = -1;
	ct->listener.index = ct->index;
	ct->listener.is_unix = ct->is_unix = is_unix;
	if (ct->sim == NULL)
		ct->listener.fd = is_unix ? listen_unix(ct) : listen_tcp(ct);
	ct->is_listening = true;
	assert_int_equal(ct->be->listen(&ct->loop, &ct->listener), 0);
}

void ct_unlisten(struct ct *ct)
{
	int fd = ct->listener.fd;

	if (!ct->is_listening)
		return;
	ct->be->unlisten(&ct->loop, &ct->listener);
	ct->is_listening = false;
	memset(&ct->listener, 0xee, sizeof(ct->listener)); /* it is the caller's again */
	ct->listener.fd = -1;
	if (fd >= 0)
		close(fd);
	if (ct->is_unix && ct->sim == NULL)
		unlink(ct->path);
}

void ct_poll(struct ct *ct, int64_t timeout_ns)
{
	int error;

	ct->in_poll = true;
	error = ct->be->poll(&ct->loop, timeout_ns);
	ct->in_poll = false;
	if (ct->failure[0] != '\0')
		fail_msg("PER_SEED=0x%" PRIx64 " %s", ct->seed, ct->failure);
	assert_int_equal(error, 0);
}

void ct_step(struct ct *ct)
{
	ct_poll(ct, CT_STEP_NS);
}

void ct_settle(struct ct *ct)
{
	for (int i = 0; i < 5; i++)
		ct_poll(ct, 0);
	if (ct->sim != NULL) {
		do
			ct_poll(ct, CT_STEP_NS);
		while (!sim_is_idle(ct->sim));
		return;
	}
	for (int i = 0; i < 3; i++)
		ct_poll(ct, 1000000);
}

/* --- running ---------------------------------------------------------------------------------- */

static size_t variants_find(struct ct_variant *out)
{
	const char *only = getenv("PER_BACKEND");
	size_t count = 0;

	for (size_t i = 0; per__backends[i] != NULL && count < VARIANTS_MAX - 2; i++) {
		if (per__backends[i] != &per__backend_sim)
			out[count++] = (struct ct_variant){ per__backends[i]->name, per__backends[i], false };
	}
	out[count++] = (struct ct_variant){ "sim", &per__backend_sim, false };
	out[count++] = (struct ct_variant){ "sim_faults", &per__backend_sim, true };
	for (size_t i = 0; only != NULL && i < count;) {
		if (strcmp(out[i].name, only) == 0)
			i++;
		else
			out[i] = out[--count];
	}
	return count;
}

static int variant_run(const struct ct_variant *variant, const struct ct_test *tests, size_t count)
{
	static char names[TESTS_MAX][160];
	struct CMUnitTest unit[TESTS_MAX];
	const char *only = getenv("PER_TEST");
	size_t unit_cnt = 0;
	struct per__probe probe;

	PER_ASSERT(count <= TESTS_MAX);
	if (variant->be != &per__backend_sim && variant->be->probe(&probe) != 0) {
		print_message("%s is skipped: %s\n", variant->name, probe.reason);
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		if (only != NULL && strstr(tests[i].name, only) == NULL)
			continue;
		snprintf(names[unit_cnt], sizeof(names[0]), "%s on %s", tests[i].name, variant->name);
		unit[unit_cnt] = (struct CMUnitTest){
			.name = names[unit_cnt],
			.test_func = tests[i].fn,
			.setup_func = ct_set_up,
			.teardown_func = ct_tear_down,
			.initial_state = (void *)(uintptr_t)variant,
		};
		unit_cnt++;
	}
	return _cmocka_run_group_tests(variant->name, unit, unit_cnt, NULL, NULL);
}

int ct_run(const struct ct_test *tests, size_t count)
{
	struct ct_variant variants[VARIANTS_MAX];
	size_t variant_cnt = variants_find(variants);
	int failed = 0;

	for (size_t i = 0; i < variant_cnt; i++)
		failed += variant_run(&variants[i], tests, count);
	return failed;
}
