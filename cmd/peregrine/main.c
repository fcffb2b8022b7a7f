/* SPDX-License-Identifier: MIT */
/*
 * main.c - the life of the program peregrine: options, limits of the process, the server, the words on the
 * terminal, the exit status. Knows no request; those are site.c's.
 */
#include "options.h"
#include "site.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#define EXIT_ERROR 1
#define EXIT_USAGE 2
#define TEXT_BYTES_MAX 16384u
#define CONNECTIONS_DEFAULT 65536u
#define FDS_RESERVED 128u /* descriptors that are no connections: rings, listeners, files, pipes */

static void log_line(per_log_level level, const char *line, void *user)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };

	(void)user;
	fprintf(stderr, "peregrine: %s: %s\n", names[level], line);
}

/* The soft limit of descriptors becomes the hard one; no more connections than that allows. */
static void fds_prepare(per_config *config)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (limit.rlim_cur < limit.rlim_max) {
		const struct rlimit raised = { limit.rlim_max, limit.rlim_max };

		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			limit = raised;
	}
	if (limit.rlim_cur > 2 * FDS_RESERVED && limit.rlim_cur < CONNECTIONS_DEFAULT + FDS_RESERVED)
		config->connections_max = (unsigned)(limit.rlim_cur - FDS_RESERVED);
}

static void memory_print(const per_server *server)
{
	char text[TEXT_BYTES_MAX];

	if (per_server_memory(server, text, sizeof(text)) >= 0)
		printf("\n%s", text);
}

static void start_print(const per_server *server, const struct options *options)
{
	const char *address;

	printf("peregrine %s\n", per_version());
	for (size_t i = 0; (address = per_server_address(server, i)) != NULL; i++)
		printf("  %s  %s\n", i == 0 ? "address" : "       ", address);
	printf("  backend  %s (%s)\n", per_server_backend(server), per_server_backend_reason(server));
	printf("  workers  %u%s\n", per_server_workers(server), options->config.pin ? ", pinned" : "");
	if (options->config.accept_threads > 0)
		printf("  accept   %u threads\n", options->config.accept_threads);
	if (options->is_verbose)
		memory_print(server);
	fflush(stdout);
}

static void end_print(const per_server *server)
{
	per_stats stats;

	if (per_server_stats(server, -1, &stats) == 0)
		printf("stopped after %" PRIu64 " requests on %" PRIu64 " connections\n", stats.requests,
		       stats.connections);
}

static int serve(struct options *options)
{
	static struct site site;
	per_server *server;
	int err;

	options->config.handler = site_handler(&site);
	options->config.log = log_line;
	options->config.log_level = options->is_verbose ? PER_LOG_INFO : PER_LOG_WARN;
	fds_prepare(&options->config);
	signal(SIGPIPE, SIG_IGN); /* a terminal that went away is no reason to end */

	err = per_server_new(&server, &options->config);
	if (err != 0) {
		fprintf(stderr, "peregrine: cannot start: %s\n", per_strerror(err));
		return EXIT_ERROR;
	}
	site_open(&site, server);
	start_print(server, options);
	err = per_server_run(server);
	if (err != 0)
		fprintf(stderr, "peregrine: cannot run: %s\n", per_strerror(err));
	else if (options->is_verbose)
		end_print(server);
	per_server_free(server);
	return err != 0 ? EXIT_ERROR : 0;
}

static int probe(void)
{
	char text[TEXT_BYTES_MAX];
	const int err = per_probe(text, sizeof(text));

	if (err < 0) {
		fprintf(stderr, "peregrine: cannot probe: %s\n", per_strerror(err));
		return EXIT_ERROR;
	}
	fputs(text, stdout);
	return 0;
}

int main(int argc, char **argv)
{
	struct options options;

	if (!options_parse(&options, argc, argv))
		return EXIT_USAGE;
	switch (options.action) {
	case ACTION_SERVE:
		return serve(&options);
	case ACTION_PROBE:
		return probe();
	case ACTION_VERSION:
		printf("peregrine %s\n", per_version());
		return 0;
	case ACTION_HELP:
		fputs(options_help, stdout);
		return 0;
	}
	return EXIT_ERROR;
}
