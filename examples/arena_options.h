/* SPDX-License-Identifier: MIT */
/*
 * arena_options.h - the command line of arena.c, which alone includes it. Knows no endpoint.
 * Invariant: config.listen points into the structure itself, so it must not be copied.
 */
#ifndef ARENA_OPTIONS_H
#define ARENA_OPTIONS_H

#include <peregrine/peregrine.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTEN_MAX 8u

struct options {
	const char *host;
	unsigned port;
	bool has_stats;
	char address[2][300];
	per_listen listen[LISTEN_MAX];
	per_tls_cert cert;
	per_tls_config tls;
	per_config config;
};

static const char usage[] =
	"usage: arena [options]\n"
	"  --port N             port, 0: a free one (default 8080)\n"
	"  --host ADDRESS       address (default 127.0.0.1; * for all)\n"
	"  --listen ADDRESS     listen here too: HOST:PORT, unix:PATH, fd:N; may be repeated\n"
	"  --unix PATH          listen on a unix socket too\n"
	"  --tls-cert FILE      speak TLS at --port, with this certificate (PEM)\n"
	"  --tls-key FILE       and this key (default: it is in the same file)\n"
	"  --tls12              TLS 1.2 too\n"
	"  --workers N          event loops (default: one per CPU)\n"
	"  --backend NAME       auto, io_uring, epoll or kqueue (default auto)\n"
	"  --accept-threads N   threads that only accept (default: every worker accepts)\n"
	"  --pin                pin each worker to a CPU\n"
	"  --stats              print counters to stderr at the end\n";

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool unsigned_parse(const char *text, unsigned long max, unsigned *out)
{
	char *end;
	errno = 0;
	const unsigned long number = strtoul(text, &end, 10);
	*out = (unsigned)number;
	return is_digit(text[0]) && *end == '\0' && errno == 0 && number <= max;
}

static bool backend_parse(const char *name, per_backend *out)
{
	static const char *const names[] = { "auto", "io_uring", "epoll", "kqueue" };
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		*out = (per_backend)i;
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static bool listen_add(struct options *options, const char *address)
{
	if (options->config.listen_count == LISTEN_MAX)
		return false;
	options->listen[options->config.listen_count++].address = address;
	return true;
}

static bool option_apply(struct options *options, int option, const char *value)
{
	per_config *config = &options->config;
	switch (option) {
	case 'p':
		return unsigned_parse(value, UINT16_MAX, &options->port);
	case 'h':
		options->host = value;
		return true;
	case 'l':
		return listen_add(options, value);
	case 'u':
		snprintf(options->address[1], sizeof(options->address[1]), "unix:%s", value);
		return listen_add(options, options->address[1]);
	case 'w':
		return unsigned_parse(value, 4096, &config->workers);
	case 'b':
		return backend_parse(value, &config->backend);
	case 'a':
		return unsigned_parse(value, 4096, &config->accept_threads);
	case 'c':
		options->cert.cert_file = value;
		return true;
	case 'k':
		options->cert.key_file = value;
		return true;
	case '2':
		return options->tls.tls12 = true;
	case 'P':
		return config->pin = true;
	case 's':
		return options->has_stats = true;
	default:
		return false;
	}
}

static bool options_parse(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{ "port", 1, NULL, 'p' },           { "host", 1, NULL, 'h' },
		{ "listen", 1, NULL, 'l' },         { "unix", 1, NULL, 'u' },
		{ "workers", 1, NULL, 'w' },        { "backend", 1, NULL, 'b' },
		{ "tls-cert", 1, NULL, 'c' },       { "tls-key", 1, NULL, 'k' },
		{ "tls12", 0, NULL, '2' },          { "pin", 0, NULL, 'P' },
		{ "accept-threads", 1, NULL, 'a' }, { "stats", 0, NULL, 's' },
		{ "help", 0, NULL, 'H' },           { NULL, 0, NULL, 0 },
	};
	int option, index = 0;
	*options = (struct options){ .host = "127.0.0.1", .port = 8080, .config.listen_count = 1 };
	while ((option = getopt_long(argc, argv, "", known, &index)) != -1) {
		if (option != '?' && !option_apply(options, option, optarg))
			fprintf(stderr, "arena: bad value of --%s: %s\n", known[index].name, optarg);
		else if (option != '?')
			continue;
		return false;
	}
	if (optind < argc)
		fprintf(stderr, "arena: what is '%s'?\n", argv[optind]);
	const bool is_bare_v6 = strchr(options->host, ':') != NULL && options->host[0] != '[';
	snprintf(options->address[0], sizeof(options->address[0]), is_bare_v6 ? "[%s]:%u" : "%s:%u",
		 options->host, options->port);
	options->listen[0].address = options->address[0];
	options->config.listen = options->listen;
	if (options->cert.cert_file != NULL) {
		options->tls.certs = &options->cert;
		options->tls.cert_count = 1;
		options->config.tls = &options->tls;
		options->listen[0].flags |= PER_LISTEN_TLS;
	}
	return optind == argc;
}

#endif
