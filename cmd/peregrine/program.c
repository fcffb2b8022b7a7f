/* SPDX-License-Identifier: MIT */
/*
 * program.c - the life of the program that serves, in order: sockets and keys as whoever started it, then
 * rights are given up, then logs and folders are opened as the user who will have to open them again, then
 * it runs.
 */
#include "program.h"

#include "privilege.h"
#include "settings.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXIT_ERROR 1
#define TEXT_BYTES_MAX 65536u

/* --- words on the terminal -------------------------------------------------------------------- */

static void memory_print(const per_server *server)
{
	char *text = malloc(TEXT_BYTES_MAX);

	if (text != NULL && per_server_memory(server, text, TEXT_BYTES_MAX) >= 0)
		printf("\n%s", text);
	free(text);
}

static void serving_print(const struct config *config)
{
	for (unsigned i = 0; i < config->hosts_count && i < 10; i++) {
		const struct config_host *host = &config->hosts[i];

		printf("  %s  %s%s%s\n", i == 0 ? "serving" : "       ",
		       host->root != NULL ? host->root
		       : host->welcome    ? "a welcome page"
					  : "redirects",
		       host->names_count > 0 ? " as " : "", host->names_count > 0 ? host->names[0] : "");
	}
	if (config->hosts_count > 10)
		printf("           and %u more\n", config->hosts_count - 10);
}

static void start_print(const struct program *program)
{
	const per_server *server = program->server;
	const char *address;

	if (program->options->is_quiet)
		return;
	printf("peregrine %s\n", per_version());
	for (size_t i = 0; (address = per_server_address(server, i)) != NULL; i++)
		printf("  %s  %s\n", i == 0 ? "address" : "       ", address);
	serving_print(program->started);
	if (program->metrics.server != NULL)
		printf("  metrics  %s/metrics\n", per_server_address(program->metrics.server, 0));
	printf("  backend  %s (%s)\n", per_server_backend(server), per_server_backend_reason(server));
	printf("  workers  %u%s\n", per_server_workers(server), program->engine.config.pin ? ", pinned" : "");
	if (program->engine.config.accept_threads > 0)
		printf("  accept   %u threads\n", program->engine.config.accept_threads);
	if (program->options->is_verbose)
		memory_print(server);
	fflush(stdout);
}

/* --- making ----------------------------------------------------------------------------------- */

static bool server_make(struct program *program)
{
	per_config *config = &program->engine.config;
	const unsigned room = privilege_descriptors();
	int err;

	if (!engine_make(&program->engine, program->started, program->activation, &program->logger))
		return false;
	if (config->connections_max == 0)
		config->connections_max = room;
	else if (room != 0 && config->connections_max > room)
		logger_say(&program->logger, PER_LOG_WARN,
			   "the limit of descriptors (ulimit -n) has room for %u connections only", room);
	config->handler = seats_handler(&program->seats);
	config->log = logger_line;
	config->log_user = &program->logger;
	config->log_level = PER_LOG_DEBUG; /* the logger chooses */
	err = per_server_new(&program->server, config);
	if (err != 0)
		fprintf(stderr, "peregrine: cannot start: %s\n", per_strerror(err));
	return err == 0 && metrics_open(&program->metrics, program);
}

bool program_access_log(struct program *program, const struct config *config, per_access_log **out)
{
	const per_access_log_config log = {
		.path = config->access_log.path,
		.format = (per_access_format)config->access_log.format,
		.ring_bytes = (size_t)range_number(&range_access_buffer, config->access_log.buffer),
		.log = logger_line,
		.log_user = &program->logger,
		.log_level = PER_LOG_DEBUG, /* the logger chooses */
	};
	int err;

	*out = NULL;
	if (log.path == NULL)
		return true;
	err = per_access_log_open(out, &log);
	if (err != 0)
		logger_say(&program->logger, PER_LOG_ERROR, "no access log %s: %s", log.path,
			   per_strerror(err));
	return err == 0;
}

static bool site_make(struct program *program)
{
	welcome_render(&program->welcome, program->server);
	program->current = program->started;
	program->site = site_new(program->current, &program->welcome, &program->logger);
	if (program->site == NULL || !program_access_log(program, program->current, &program->access_log))
		return false;
	if (seats_make(&program->seats, program->server, (struct work){ program->site, program->access_log }))
		return true;
	logger_say(&program->logger, PER_LOG_ERROR, "out of memory");
	return false;
}

/*
 * What was read as root, and has to be read again as somebody else, should be readable now; the folders
 * above a relative path too.
 */
static void readable_check(struct program *program, const char *file)
{
	char path[PATH_MAX];

	if (realpath(file, path) == NULL || access(path, R_OK) != 0)
		logger_say(&program->logger, PER_LOG_WARN, "a reload will not be able to read %s as %s: %s",
			   file, program->started->user, strerror(errno));
}

static void reload_check(struct program *program)
{
	const struct config *config = program->started;

	if (config->user == NULL)
		return;
	if (program->options->config != NULL)
		readable_check(program, program->options->config);
	for (unsigned i = 0; i < config->hosts_count; i++) {
		for (unsigned k = 0; k < config->hosts[i].certificates_count; k++) {
			readable_check(program, config->hosts[i].certificates[k].cert);
			readable_check(program, config->hosts[i].certificates[k].key);
		}
	}
}

static bool make(struct program *program)
{
	if (!server_make(program) || !privilege_drop(program->started, &program->logger))
		return false;
	reload_check(program);
	return logger_open(&program->logger, program->started->log.path) && logger_start(&program->logger) &&
	       site_make(program);
}

/* --- running ---------------------------------------------------------------------------------- */

static void end_tell(struct program *program)
{
	per_stats stats;

	if (per_server_stats(program->server, -1, &stats) == 0)
		logger_say(&program->logger, PER_LOG_INFO,
			   "stopped after %" PRIu64 " requests on %" PRIu64 " connections; %" PRIu64
			   " of them were cut",
			   stats.requests, stats.connections, stats.stop_cuts);
}

/* Every worker runs: on the thread of the last one. */
static void started(void *user)
{
	struct program *program = user;
	const char *address;

	for (size_t i = 0; (address = per_server_address(program->server, i)) != NULL; i++)
		logger_say(&program->logger, PER_LOG_INFO, "listening on %s", address);
	logger_say(&program->logger, PER_LOG_INFO, "peregrine %s has started with %u workers, process %ld",
		   per_version(), program->seats.count, (long)getpid());
	notify_send(&program->notify, "READY=1\nSTATUS=serving with %u workers on %s", program->seats.count,
		    per_server_backend(program->server));
}

static bool run(struct program *program)
{
	int err = PER_ESYS;

	program->seats.on_started = started;
	program->seats.user = program;
	start_print(program);
	if (signals_start(&program->signals, program) && metrics_start(&program->metrics))
		err = per_server_run(program->server);
	seats_end(&program->seats);
	signals_end(&program->signals);
	if (err != 0)
		logger_say(&program->logger, PER_LOG_ERROR, "cannot run: %s", per_strerror(err));
	else
		end_tell(program);
	return err == 0;
}

static void unmake(struct program *program)
{
	metrics_close(&program->metrics);
	if (per_access_log_close(program->access_log) != 0)
		logger_say(&program->logger, PER_LOG_WARN, "lines of the access log are lost");
	per_server_free(program->server);
	seats_free(&program->seats);
	site_free(program->site);
	engine_free(&program->engine);
	if (program->current != program->started)
		config_free(program->current);
	config_free(program->started);
	notify_close(&program->notify);
	pthread_mutex_destroy(&program->mutex);
}

int program_run(const struct options *options, const struct activation *activation, struct config *config)
{
	struct program *program = calloc(1, sizeof(*program));
	bool is_good;

	if (program == NULL) {
		config_free(config);
		return EXIT_ERROR;
	}
	program->options = options;
	program->activation = activation;
	program->started = config;
	program->start_s = (int64_t)time(NULL);
	atomic_store(&program->reloads.last_good_s, program->start_s);
	atomic_store(&program->reloads.is_last_good, true);
	pthread_mutex_init(&program->mutex, NULL);
	logger_init(&program->logger, *config->log.level);
	notify_open(&program->notify);
	signals_block();
	is_good = make(program) && run(program);
	unmake(program);
	if (logger_end(&program->logger))
		free(program);
	return is_good ? 0 : EXIT_ERROR;
}

/* --- on the thread of the signals ------------------------------------------------------------- */

void program_reopen(struct program *program)
{
	if (program->access_log != NULL)
		per_access_log_reopen(program->access_log);
	if (logger_open(&program->logger, program->logger.path))
		logger_say(&program->logger, PER_LOG_INFO, "the logs were opened again");
}

void program_stop(struct program *program)
{
	per_stats stats = { 0 };

	(void)per_server_stats(program->server, -1, &stats);
	if (program->stops++ == 0)
		logger_say(&program->logger, PER_LOG_INFO,
			   "stopping: no new connections; requests on %" PRIu64
			   " open ones have %s to be finished",
			   stats.connections_now, program->started->timeouts.stop);
	else
		logger_say(&program->logger, PER_LOG_INFO,
			   "told to stop again: the %" PRIu64 " connections that are left are cut",
			   stats.connections_now);
	notify_send(&program->notify, "STOPPING=1\nSTATUS=finishing requests");
	per_server_stop(program->server);
}

static void nothing(unsigned worker, void *arg)
{
	(void)worker;
	(void)arg;
}

void program_watch(struct program *program)
{
	if (!seats_wait(&program->seats))
		return;
	seats_each(&program->seats, program->server, nothing, NULL);
	notify_send(&program->notify, "WATCHDOG=1");
}
