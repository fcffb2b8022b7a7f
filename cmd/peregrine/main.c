/* SPDX-License-Identifier: MIT */
/*
 * main.c - what the command line asks for: serve, or tell something and end. Knows no request and no signal.
 */
#include "options.h"
#include "probe.h"
#include "program.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define EXIT_ERROR 1
#define EXIT_USAGE 2

/*
 * The configuration, after warnings on stderr; or NULL after it was said there what is wrong with it:
 * *status then tells how to end.
 */
static struct config *config_make(const struct options *options, const struct activation *activation,
				  int *status)
{
	struct complaints complaints = { 0 };
	struct config *config = options_config(options, activation, &complaints);

	if (config == NULL || !options->is_quiet)
		complaints_print(&complaints);
	*status = complaints.count > 0 && complaints.option_faults == complaints.count ? EXIT_USAGE
										       : EXIT_ERROR;
	complaints_end(&complaints);
	return config;
}

static int act(const struct options *options, const struct activation *activation)
{
	int status;
	struct config *config = config_make(options, activation, &status);

	if (config == NULL)
		return status;
	if (options->action == ACTION_SERVE)
		return program_run(options, activation, config);
	if (options->action == ACTION_CHECK)
		status = printf("ok\n") > 0 ? 0 : EXIT_ERROR;
	else
		status = config_dump(config) ? 0 : EXIT_ERROR;
	config_free(config);
	return status;
}

/* What was closed by whoever started it must not become a socket, that lines of the log would then go to. */
static void standard_fill(void)
{
	int fd;

	while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
		;
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct options options;
	struct activation activation;

	standard_fill();
	if (!options_parse(&options, argc, argv))
		return EXIT_USAGE;
	switch (options.action) {
	case ACTION_PROBE:
		return probe_print() ? 0 : EXIT_ERROR;
	case ACTION_VERSION:
		printf("peregrine %s\n", per_version());
		return 0;
	case ACTION_HELP:
		fputs(options_help, stdout);
		return 0;
	case ACTION_SERVE:
	case ACTION_CHECK:
	case ACTION_DUMP:
		break;
	}
	activation_read(&activation);
	return act(&options, &activation);
}
