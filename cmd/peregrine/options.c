/* SPDX-License-Identifier: MIT */
/*
 * options.c - the command line of the program, turned into a per_config. Checks the form of a value; whether
 * an address or a backend works is found out by the library. Called by main.c.
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_DEFAULT 3000u
#define WORKERS_MAX 1024u
#define ACCEPTORS_MAX 64u
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char options_help[] =
	"usage: peregrine [options]\n"
	"\n"
	"Serves HTTP. Without options: a welcome page on port 3000 of every address.\n"
	"\n"
	"where to listen\n"
	"  -p, --port N             port; 0 takes a free one (default 3000)\n"
	"  -H, --host ADDRESS       only this address (default: every one, IPv4 and IPv6)\n"
	"  -l, --listen ADDRESS     instead of the two above; may be repeated:\n"
	"                           127.0.0.1:8080  [::1]:8080  :8080  unix:/run/p.sock  fd:3\n"
	"engine\n"
	"  -b, --backend NAME       auto, io_uring, epoll or kqueue (default auto: the best that works "
	"here)\n"
	"  -w, --workers N          event loops, a thread each (default: the CPUs this process may use)\n"
	"      --pin                pin each worker to a CPU\n"
	"      --accept-threads N   threads that only accept connections (default: every worker accepts)\n"
	"\n"
	"      --probe              tell what this machine supports, and exit\n"
	"  -v, --verbose            tell more: the memory account, the log\n"
	"  -V, --version            tell the version, and exit\n"
	"  -h, --help               this text\n"
	"\n"
	"SIGINT and SIGTERM stop it gracefully, a second one at once. Exit status: 0 stopped, 1 error, 2 "
	"usage.\n";

enum { OPTION_PIN = 256, OPTION_ACCEPT_THREADS, OPTION_PROBE };

static const struct option long_options[] = {
	{ "port", required_argument, NULL, 'p' },
	{ "host", required_argument, NULL, 'H' },
	{ "listen", required_argument, NULL, 'l' },
	{ "backend", required_argument, NULL, 'b' },
	{ "workers", required_argument, NULL, 'w' },
	{ "pin", no_argument, NULL, OPTION_PIN },
	{ "accept-threads", required_argument, NULL, OPTION_ACCEPT_THREADS },
	{ "probe", no_argument, NULL, OPTION_PROBE },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static bool complain(const char *what, const char *value)
{
	fprintf(stderr, "peregrine: %s: '%s'\nTry 'peregrine --help'.\n", what, value);
	return false;
}

static bool number_parse(const char *text, unsigned min, unsigned max, unsigned *out)
{
	char *end;

	errno = 0;
	const unsigned long number = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < min || number > max)
		return false;
	*out = (unsigned)number;
	return true;
}

static bool backend_parse(const char *name, per_backend *out)
{
	static const struct {
		const char *name;
		per_backend backend;
	} known[] = {
		{ "auto", PER_BACKEND_AUTO },
		{ "io_uring", PER_BACKEND_IO_URING },
		{ "epoll", PER_BACKEND_EPOLL },
		{ "kqueue", PER_BACKEND_KQUEUE },
	};

	for (size_t i = 0; i < COUNT(known); i++) {
		if (strcmp(name, known[i].name) == 0) {
			*out = known[i].backend;
			return true;
		}
	}
	return false;
}

static bool listen_add(struct options *options, const char *address)
{
	per_config *config = &options->config;

	if (config->listen_count == OPTIONS_LISTEN_MAX)
		return complain("too many --listen", address);
	options->listen[config->listen_count++].address = address;
	return true;
}

/* One option with its value. Returns false after a complaint. */
static bool option_take(struct options *options, int option, const char *value)
{
	per_config *config = &options->config;

	switch (option) {
	case 'p':
		return number_parse(value, 0, UINT16_MAX, &options->port) ||
		       complain("--port has to be 0 to 65535", value);
	case 'H':
		options->host = value;
		return value[0] != '\0' || complain("--host has to be an address or a name", value);
	case 'l':
		return listen_add(options, value);
	case 'b':
		return backend_parse(value, &config->backend) ||
		       complain("--backend has to be auto, io_uring, epoll or kqueue", value);
	case 'w':
		return number_parse(value, 1, WORKERS_MAX, &config->workers) ||
		       complain("--workers has to be 1 to 1024", value);
	case OPTION_ACCEPT_THREADS:
		return number_parse(value, 0, ACCEPTORS_MAX, &config->accept_threads) ||
		       complain("--accept-threads has to be 0 to 64", value);
	case OPTION_PIN:
		config->pin = true;
		return true;
	case OPTION_PROBE:
		options->action = ACTION_PROBE;
		return true;
	case 'v':
		options->is_verbose = true;
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

/* Host and port as one address; a port of 0 in a per_config would mean the default, not a free one. */
static bool address_compose(struct options *options)
{
	const char *host = options->host != NULL ? options->host : "*";
	const bool is_bare_v6 = strchr(host, ':') != NULL && host[0] != '[';
	const int len = snprintf(options->address, sizeof(options->address), is_bare_v6 ? "[%s]:%u" : "%s:%u",
				 host, options->port);

	if (len < 0 || (size_t)len >= sizeof(options->address))
		return complain("--host is too long", host);
	return listen_add(options, options->address);
}

bool options_parse(struct options *options, int argc, char **argv)
{
	bool has_place = false;
	int option;

	*options = (struct options){ .port = PORT_DEFAULT };
	options->config.listen = options->listen;
	options->config.handle_signals = true;
	while ((option = getopt_long(argc, argv, "p:H:l:b:w:vVh", long_options, NULL)) != -1) {
		if (!option_take(options, option, optarg))
			return false;
		has_place = has_place || option == 'p' || option == 'H';
	}
	if (optind < argc)
		return complain("unexpected argument", argv[optind]);
	if (options->config.listen_count == 0)
		return address_compose(options);
	if (has_place)
		return complain("--listen stands instead of --host and --port", options->listen[0].address);
	return true;
}
