/* SPDX-License-Identifier: MIT */
/*
 * run.c - running a server: on its own threads (per_server_run), or driven by the application
 * (per_server_poll); stopping it. The thread that runs a server waits at a pipe; a byte in it asks for a
 * stop, or tells that a loop has ended.
 */
#include "base/cpus.h"
#include "server.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

/* --- one loop's thread ------------------------------------------------------------------------ */

static void pin_thread(const struct per__worker *worker)
{
	struct per__cpus cpus;
	unsigned cpu;

	if (!worker->conf->pin || worker->is_acceptor)
		return;
	per__cpus_read(&cpus);
	if (cpus.allowed == 0)
		return;
	cpu = cpus.cpu[worker->index % cpus.allowed];
	if (per__cpus_pin(cpu) != 0)
		per__log(&worker->conf->log, PER_LOG_WARN, "worker %u cannot be pinned to CPU %u",
			 worker->index, cpu);
}

static int loop_start(struct per__worker *worker)
{
	const per_handler *handler = &worker->conf->handler;
	int err = per__worker_start(worker);

	if (err != 0) {
		per__log(&worker->conf->log, PER_LOG_ERROR, "worker %u cannot start: %s", worker->index,
			 per_strerror(err));
		return err;
	}
	per__worker_take_policy(worker); /* a reload may have come before there was a loop to wake */
	per__certs_take(worker);
	if (!worker->is_acceptor && handler->worker_init != NULL)
		err = handler->worker_init(worker->index, &worker->user_state, handler->user);
	if (err >= 0)
		return 0;
	per__worker_end(worker);
	per__worker_release(worker);
	return err;
}

static void loop_end(struct per__worker *worker)
{
	const per_handler *handler = &worker->conf->handler;

	per__worker_end(worker);
	if (!worker->is_acceptor && handler->worker_exit != NULL)
		handler->worker_exit(worker->index, worker->user_state, handler->user);
}

static void start_report(struct per_server *server, int err)
{
	pthread_mutex_lock(&server->start_mutex);
	server->start_cnt++;
	if (err != 0 && server->start_error == 0)
		server->start_error = err;
	pthread_cond_signal(&server->start_cond);
	pthread_mutex_unlock(&server->start_mutex);
}

static void pipe_tell(const struct per_server *server, char what)
{
	ssize_t n;

	do {
		n = write(server->pipe_write, &what, 1);
	} while (n < 0 && errno == EINTR);
}

/*
 * sendfile() has no MSG_NOSIGNAL. On a thread of ours the signal may wait for ever; what an application's
 * thread does with signals is its own affair, so a worker that is polled sends no files that way.
 */
static void block_sigpipe(struct per__worker *worker)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	worker->may_send_file = pthread_sigmask(SIG_BLOCK, &set, NULL) == 0;
}

static void *loop_main(void *arg)
{
	struct per__worker *worker = arg;
	int err;

	block_sigpipe(worker);
	pin_thread(worker);
	err = loop_start(worker);
	start_report(worker->server, err);
	if (err != 0)
		return NULL;
	while (!worker->is_done && err == 0)
		err = per__worker_turn(worker, -1);
	if (err != 0)
		per__log(&worker->conf->log, PER_LOG_ERROR, "worker %u ends: %s", worker->index,
			 per_strerror(err));
	loop_end(worker);
	per__worker_release(worker);
	pipe_tell(worker->server, 'e');
	return NULL;
}

/* --- per_server_run --------------------------------------------------------------------------- */

static int thread_start(struct per_server *server, unsigned index)
{
	pthread_attr_t attr;
	int err;

	if (pthread_attr_init(&attr) != 0)
		return PER_ENOMEM;
	err = server->conf.stack_bytes > 0 ? pthread_attr_setstacksize(&attr, server->conf.stack_bytes) : 0;
	if (err == 0)
		err = pthread_create(&server->threads[index], &attr, loop_main, server->workers[index]);
	pthread_attr_destroy(&attr);
	return err == 0 ? 0 : err == EINVAL ? PER_EINVAL : PER_ENOMEM;
}

/* Starts the threads of loops [from, to) and waits until each has started or failed. */
static int threads_start(struct per_server *server, unsigned from, unsigned to, unsigned *started)
{
	int err = 0;

	for (unsigned i = from; i < to && err == 0; i++) {
		err = thread_start(server, i);
		if (err == 0)
			(*started)++;
	}
	pthread_mutex_lock(&server->start_mutex);
	while (server->start_cnt < *started)
		pthread_cond_wait(&server->start_cond, &server->start_mutex);
	err = err != 0 ? err : server->start_error;
	pthread_mutex_unlock(&server->start_mutex);
	return err;
}

/* Acceptors first: what they have accepted finds workers that serve it. */
static void loops_stop(struct per_server *server, int level, unsigned ended)
{
	unsigned workers = server->conf.workers;
	bool is_all = level >= 2 || ended >= server->loop_cnt - workers;

	for (unsigned i = is_all ? 0 : workers; i < server->loop_cnt; i++)
		per__worker_stop(server->workers[i], level);
}

/* Waits for requests to stop and for the end of the loops; a loop that ends by itself ends the others. */
static void wait_for_end(struct per_server *server, unsigned loops)
{
	unsigned ended = 0;
	int level = 0;
	char what;

	while (ended < loops) {
		struct pollfd waiting = { .fd = server->pipe_read, .events = POLLIN };
		ssize_t n;

		/*
		 * poll, as a read that is restarted behind a signal would keep sanitizers from running its
		 * handler
		 */
		if (poll(&waiting, 1, -1) < 0)
			continue;
		n = read(server->pipe_read, &what, 1);
		ended += n == 1 && what == 'e';
		level = PER_MIN(level + (what == 's'), 2);
		if (level == 0 && ended > 0)
			level = 1;
		loops_stop(server, level, ended);
	}
}

int per_server_run(per_server *server)
{
	int expected = PER__SERVER_NEW;
	unsigned started = 0;
	int err;

	if (!atomic_compare_exchange_strong(&server->state, &expected, PER__SERVER_RUNNING))
		return PER_ESTATE;
	err = threads_start(server, 0, server->conf.workers, &started);
	if (err == 0) /* acceptors need workers that can be given connections */
		err = threads_start(server, server->conf.workers, server->loop_cnt, &started);
	if (err != 0)
		loops_stop(server, 2, 0);
	else
		wait_for_end(server, started);
	for (unsigned i = 0; i < started; i++)
		pthread_join(server->threads[i], NULL);
	atomic_store(&server->state, PER__SERVER_ENDED);
	return err;
}

/* --- per_server_poll -------------------------------------------------------------------------- */

/* The first call makes the calling thread the worker's. */
static int polled_start(struct per_server *server)
{
	int state = atomic_load(&server->state);
	int err;

	if (state == PER__SERVER_POLLED)
		return 0;
	if (state != PER__SERVER_NEW)
		return PER_ESTATE;
	if (server->loop_cnt != 1)
		return PER_EINVAL;
	err = loop_start(server->workers[0]);
	if (err != 0)
		return err;
	server->is_polled = true;
	atomic_store(&server->state, PER__SERVER_POLLED);
	if (atomic_load(&server->stop_level) > 0) /* asked for before there was a loop to wake */
		server->backend->wake(&server->workers[0]->loop);
	return 0;
}

/*
 * The loop itself stays until the server is freed: per_server_stop() on another thread may be about to wake
 * it.
 */
static void polled_end(struct per_server *server)
{
	loop_end(server->workers[0]);
	atomic_store(&server->state, PER__SERVER_ENDED);
}

void per__run_free_polled(struct per_server *server)
{
	if (server->state == PER__SERVER_POLLED)
		polled_end(server);
	if (server->is_polled)
		per__worker_release(server->workers[0]);
}

int per_server_poll(per_server *server, int timeout_ms)
{
	struct per__worker *worker = server->workers[0];
	int err = atomic_load(&server->state) == PER__SERVER_ENDED ? 0 : polled_start(server);
	int stop_level = atomic_load(&server->stop_level);

	if (err != 0 || atomic_load(&server->state) == PER__SERVER_ENDED)
		return err;
	if (stop_level > atomic_load(&worker->stop_level))
		per__worker_stop(worker, stop_level);
	err = per__worker_turn(worker, timeout_ms < 0 ? -1 : (int64_t)timeout_ms * 1000000);
	if (err == 0 && !worker->is_done)
		return 1;
	polled_end(server);
	return err;
}

int per_server_poll_fd(per_server *server)
{
	int err = polled_start(server);

	return err != 0 ? err : server->backend->poll_fd(&server->workers[0]->loop);
}

int per_server_poll_timeout_ms(per_server *server)
{
	int64_t wait_ns = polled_start(server) == 0 ? per__worker_wait_ns(server->workers[0]) : -1;

	if (wait_ns < 0)
		return -1;
	return (int)PER_MIN((wait_ns + 999999) / 1000000, (int64_t)INT32_MAX);
}

/*
 * Only what a signal handler may do: an atomic, a write, and the wake of a loop that the caller's thread
 * keeps alive.
 */
void per_server_stop(per_server *server)
{
	int level = atomic_load(&server->stop_level);

	while (level < 2 && !atomic_compare_exchange_weak(&server->stop_level, &level, level + 1))
		;
	if (atomic_load(&server->state) == PER__SERVER_POLLED)
		server->backend->wake(&server->workers[0]->loop);
	else
		pipe_tell(server, 's');
}
