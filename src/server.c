/* SPDX-License-Identifier: MIT */
/*
 * server.c - making and freeing a server: configuration, backend, listeners, workers. Running it is run.c's.
 */
#include "server.h"

#include "base/mem.h"
#include "core/proxy_proto.h"
#include "http/req.h"
#include "http/resp.h"
#include "ws/ws.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* --- making ----------------------------------------------------------------------------------- */

static int pipe_open(struct per_server *server)
{
	int fds[2];

	if (pipe(fds) != 0)
		return PER_EMFILE;
	for (int i = 0; i < 2; i++)
		fcntl(fds[i], F_SETFD, FD_CLOEXEC);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	server->pipe_read = fds[0];
	server->pipe_write = fds[1];
	return 0;
}

/* Another thread has left something for the worker. */
static void worker_woken(struct per__worker *worker)
{
	per__pubsub_run(worker);
	per__worker_take_policy(worker);
	per__certs_take(worker);
}

static void worker_describe(struct per_server *server, struct per__worker *worker, unsigned index)
{
	worker->index = index;
	worker->is_acceptor = index >= server->conf.workers;
	worker->conf = &server->conf;
	worker->server = server;
	worker->loop.be = server->backend;
	worker->upper = (struct per__upper){
		.first = &per__proto_h1,
		.first_proxy = &per__proto_proxy,
		.not_tls = per__resp_not_tls,
		.proto_conf = &server->h1,
		.req_bytes = per__req_bytes(server->conf.head_fields_max),
		.ext_bytes = sizeof(struct per_ws),
		.shared = &server->ws,
		.begin = per__pubsub_begin,
		.end = per__pubsub_end,
		.on_wake = worker_woken,
		.unlistened = per__place_leave,
	};
	worker->targets = server->workers;
	worker->target_cnt = server->conf.workers;
}

static int workers_make(struct per_server *server)
{
	server->loop_cnt = server->conf.workers + server->conf.accept_threads;
	server->workers = per__mem_alloc(server->loop_cnt * sizeof(*server->workers));
	server->threads = per__mem_alloc(server->loop_cnt * sizeof(*server->threads));
	if (server->workers == NULL || server->threads == NULL ||
	    per__ws_shared_init(&server->ws, server->workers, server->conf.workers) != 0)
		return PER_ENOMEM;
	for (unsigned i = 0; i < server->loop_cnt; i++) {
		struct per__worker *worker = per__mem_reserve(sizeof(*worker));

		if (worker == NULL)
			return PER_ENOMEM;
		server->workers[i] = worker;
		worker_describe(server, worker, i);
		if (per__worker_init(worker) != 0) {
			per__log(&server->conf.log, PER_LOG_ERROR, "cannot reserve the memory of worker %u",
				 i);
			return PER_ENOMEM;
		}
	}
	return 0;
}

static int server_make(struct per_server *server, const per_config *config)
{
	int err = per__conf_init(&server->conf, config);

	if (err != 0)
		return err;
	per__h1_conf_init(&server->h1);
	err = per__backend_select(server->conf.backend, &server->backend, server->backend_reason,
				  sizeof(server->backend_reason));
	if (err != 0) {
		per__log(&server->conf.log, PER_LOG_ERROR, "no usable backend: %s", server->backend_reason);
		return err;
	}
	per__log(&server->conf.log, PER_LOG_INFO, "backend %s (%s)", server->backend->name,
		 server->backend_reason);
	err = pipe_open(server);
	if (err == 0)
		err = workers_make(server);
	if (err == 0)
		err = per__certs_open(server, config);
	if (err == 0)
		err = per__places_open(server, config);
	if (err == 0)
		err = per__places_deal(server);
	if (err == 0 && server->conf.handle_signals)
		err = per__signals_add(server);
	return err;
}

int per_config_check_sized(const per_config *config, size_t config_bytes)
{
	per_config known = { 0 };
	struct per__conf conf;
	int err;

	if (config == NULL)
		return PER_EINVAL;
	memcpy(&known, config, PER_MIN(config_bytes, sizeof(known)));
	err = per__conf_init(&conf, &known);
	return err != 0 ? err : per__places_check(&conf.log, &known);
}

int per_server_new_sized(per_server **out, const per_config *config, size_t config_bytes)
{
	per_config known = { 0 };
	struct per_server *server;
	int err;

	if (out == NULL)
		return PER_EINVAL;
	*out = NULL;
	if (config == NULL)
		return PER_EINVAL;
	memcpy(&known, config, PER_MIN(config_bytes, sizeof(known)));
	server = per__mem_alloc(sizeof(*server));
	if (server == NULL)
		return PER_ENOMEM;
	server->pipe_read = server->pipe_write = -1;
	pthread_mutex_init(&server->policy_mutex, NULL);
	pthread_mutex_init(&server->start_mutex, NULL);
	pthread_cond_init(&server->start_cond, NULL);
	err = server_make(server, &known);
	if (err != 0) {
		per_server_free(server);
		return err;
	}
	*out = server;
	return 0;
}

/* --- freeing ---------------------------------------------------------------------------------- */

static void worker_free(struct per__worker *worker)
{
	if (worker == NULL)
		return;
	per__worker_fini(worker);
	per__mem_free(worker->listeners);
	per__mem_release(worker, sizeof(*worker));
}

void per_server_free(per_server *server)
{
	if (server == NULL)
		return;
	PER_ASSERT(server->state != PER__SERVER_RUNNING);
	per__signals_remove(server);
	per__run_free_polled(server);
	per__certs_close(server);
	for (unsigned i = 0; i < server->loop_cnt && server->workers != NULL; i++)
		worker_free(server->workers[i]);
	per__ws_shared_fini(&server->ws);
	per__places_close(server);
	if (server->pipe_read >= 0) {
		close(server->pipe_read);
		close(server->pipe_write);
	}
	pthread_cond_destroy(&server->start_cond);
	pthread_mutex_destroy(&server->start_mutex);
	pthread_mutex_destroy(&server->policy_mutex);
	per__mem_free(server->threads);
	per__mem_free(server->workers);
	per__mem_free(server);
}

/* --- asking ----------------------------------------------------------------------------------- */

int per_server_port(const per_server *server, size_t listener)
{
	return listener < server->place_cnt ? per__addr_port(&server->places[listener].addr) : PER_EINVAL;
}

const char *per_server_address(const per_server *server, size_t listener)
{
	return listener < server->place_cnt ? server->places[listener].text : NULL;
}

const char *per_server_backend(const per_server *server)
{
	return server->backend->name;
}

const char *per_server_backend_reason(const per_server *server)
{
	return server->backend_reason;
}

unsigned per_server_workers(const per_server *server)
{
	return server->conf.workers;
}
