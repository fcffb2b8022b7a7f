/* SPDX-License-Identifier: MIT */
/*
 * options.c - the command line of the program, word by word. What it does to a configuration is
 * overrides.c's. Called by main.c.
 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

const char options_help[] =
	"usage: peregrine [options] [DIRECTORY]\n"
	"       peregrine [options] --config FILE\n"
	"\n"
	"Serves the files of DIRECTORY (default: the current one) over HTTP, on port 3000 of every address.\n"
	"\n"
	"where to listen\n"
	"  -p, --port N             port; 0 takes a free one (default 3000)\n"
	"  -H, --host ADDRESS       only this address (default: every one, IPv4 and IPv6)\n"
	"  -l, --listen ADDRESS     instead of the two above; may be repeated:\n"
	"                           127.0.0.1:8080  [::1]:8080  :8080  unix:/run/p.sock  fd:3  systemd:NAME\n"
	"      --tls-cert FILE      speak TLS, with this certificate and what signed it (PEM)\n"
	"      --tls-key FILE       its key (default: in the same file)\n"
	"engine\n"
	"  -b, --backend NAME       auto, io_uring, epoll or kqueue (default auto: the best that works "
	"here)\n"
	"  -w, --workers N          event loops, a thread each (default: the CPUs this process may use)\n"
	"      --pin                pin each worker to a CPU\n"
	"      --accept-threads N   threads that only accept connections (default: every worker accepts)\n"
	"  -u, --user USER[:GROUP]  who to be when everything is open; for root\n"
	"logs\n"
	"      --access-log FILE    a line for each request; - for the standard output\n"
	"      --metrics ADDRESS    counters for Prometheus, on a listener of their own\n"
	"  -v, --verbose            tell more: the memory account, the log from level info\n"
	"  -q, --quiet              tell errors only\n"
	"configuration\n"
	"  -c, --config FILE        hosts, TLS, redirects and all other settings; peregrine.yaml(5)\n"
	"      --check              is the configuration good? Say what is not, and exit\n"
	"      --dump-config        write the configuration with all its defaults, and exit\n"
	"      --welcome            a page that says that it works, instead of files\n"
	"\n"
	"      --probe              tell what this machine supports, and exit\n"
	"  -V, --version            tell the version, and exit\n"
	"  -h, --help               this text\n"
	"\n"
	"SIGHUP reads configuration and certificates again, SIGUSR1 opens the logs again. SIGINT and "
	"SIGTERM\n"
	"stop gracefully, a second one at once. Exit status: 0 stopped or good, 1 error, 2 usage.\n";

enum {
	OPTION_PIN = 256,
	OPTION_ACCEPT_THREADS,
	OPTION_TLS_CERT,
	OPTION_TLS_KEY,
	OPTION_ACCESS_LOG,
	OPTION_METRICS,
	OPTION_CHECK,
	OPTION_DUMP,
	OPTION_WELCOME,
	OPTION_PROBE,
};

static const struct option long_options[] = {
	{ "port", required_argument, NULL, 'p' },
	{ "host", required_argument, NULL, 'H' },
	{ "listen", required_argument, NULL, 'l' },
	{ "tls-cert", required_argument, NULL, OPTION_TLS_CERT },
	{ "tls-key", required_argument, NULL, OPTION_TLS_KEY },
	{ "backend", required_argument, NULL, 'b' },
	{ "workers", required_argument, NULL, 'w' },
	{ "pin", no_argument, NULL, OPTION_PIN },
	{ "accept-threads", required_argument, NULL, OPTION_ACCEPT_THREADS },
	{ "user", required_argument, NULL, 'u' },
	{ "access-log", required_argument, NULL, OPTION_ACCESS_LOG },
	{ "metrics", required_argument, NULL, OPTION_METRICS },
	{ "config", required_argument, NULL, 'c' },
	{ "check", no_argument, NULL, OPTION_CHECK },
	{ "dump-config", no_argument, NULL, OPTION_DUMP },
	{ "welcome", no_argument, NULL, OPTION_WELCOME },
	{ "probe", no_argument, NULL, OPTION_PROBE },
	{ "verbose", no_argument, NULL, 'v' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static bool complain_usage(const char *what, const char *value)
{
	fprintf(stderr, "peregrine: %s: '%s'\nTry 'peregrine --help'.\n", what, value);
	return false;
}

/* Where an option's value is kept; NULL for those without, and for --listen. */
static const char **place_of(struct options *options, int option)
{
	switch (option) {
	case 'p':
		return &options->port;
	case 'H':
		return &options->host;
	case 'b':
		return &options->backend;
	case 'w':
		return &options->workers;
	case 'u':
		return &options->user;
	case 'c':
		return &options->config;
	case OPTION_ACCEPT_THREADS:
		return &options->accept_threads;
	case OPTION_TLS_CERT:
		return &options->tls_cert;
	case OPTION_TLS_KEY:
		return &options->tls_key;
	case OPTION_ACCESS_LOG:
		return &options->access_log;
	case OPTION_METRICS:
		return &options->metrics;
	default:
		return NULL;
	}
}

/* An option that stands alone. Returns false for one that is unknown. */
static bool flag_take(struct options *options, int option)
{
	switch (option) {
	case OPTION_PIN:
		options->is_pinned = true;
		return true;
	case OPTION_WELCOME:
		options->is_welcome = true;
		return true;
	case 'v':
		options->is_verbose = true;
		return true;
	case 'q':
		options->is_quiet = true;
		return true;
	case OPTION_CHECK:
		options->action = ACTION_CHECK;
		return true;
	case OPTION_DUMP:
		options->action = ACTION_DUMP;
		return true;
	case OPTION_PROBE:
		options->action = ACTION_PROBE;
		return true;
	case 'V':
		options->action = ACTION_VERSION;
		return true;
	case 'h':
		options->action = ACTION_HELP;
		return true;
	default: /* getopt_long() has said what is wrong */
		fputs("Try 'peregrine --help'.\n", stderr);
		return false;
	}
}

static const char *name_of(int option)
{
	const struct option *known = long_options;

	while (known->name != NULL && known->val != option)
		known++;
	return known->name;
}

static bool option_take(struct options *options, int option, const char *value)
{
	const char **place = place_of(options, option);

	if (place == NULL && option != 'l')
		return flag_take(options, option);
	if (value[0] == '\0') {
		fprintf(stderr, "peregrine: --%s needs a value\nTry 'peregrine --help'.\n", name_of(option));
		return false;
	}
	if (place != NULL) {
		*place = value;
		return true;
	}
	if (options->listen_count == OPTIONS_LISTEN_MAX)
		return complain_usage("too many --listen", value);
	options->listen[options->listen_count++] = value;
	return true;
}

/* What does not go together. */
static bool combination_check(const struct options *options)
{
	if (options->listen_count > 0 && (options->port != NULL || options->host != NULL))
		return complain_usage("--listen stands instead of --host and --port", options->listen[0]);
	if (options->tls_key != NULL && options->tls_cert == NULL)
		return complain_usage("--tls-key needs --tls-cert", options->tls_key);
	if (options->is_verbose && options->is_quiet)
		return complain_usage("either --verbose or --quiet", "--quiet");
	if (options->is_welcome && options->root != NULL)
		return complain_usage("either --welcome or a directory", options->root);
	if (options->config == NULL)
		return true;
	if (options->root != NULL)
		return complain_usage("with --config, directories stand in the file", options->root);
	if (options->tls_cert != NULL)
		return complain_usage("with --config, certificates stand in the file", options->tls_cert);
	if (options->is_welcome)
		return complain_usage("with --config, welcome: true stands in the file", "--welcome");
	return true;
}

bool options_parse(struct options *options, int argc, char **argv)
{
	int option;

	*options = (struct options){ 0 };
	while ((option = getopt_long(argc, argv, "p:H:l:b:w:u:c:vqVh", long_options, NULL)) != -1) {
		if (!option_take(options, option, optarg))
			return false;
	}
	if (optind < argc)
		options->root = argv[optind++];
	if (optind < argc)
		return complain_usage("unexpected argument", argv[optind]);
	return combination_check(options);
}
