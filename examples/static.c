/* SPDX-License-Identifier: MIT */
/*
 * static.c - serves a directory: ranges, conditions, compressed siblings, a cache, a list of what is in a
 * folder. Try it: static /usr/share/doc --port 8080    and then: curl -i localhost:8080/
 */
#include <peregrine/peregrine.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int on_request(per_req *req, void *user)
{
	return per_static_reply(user, req);
}

/* Options come in pairs: --port N, --workers N, --backend NAME. */
static bool option_read(per_config *config, const char *name, const char *value)
{
	static const char *const backends[] = { "auto", "io_uring", "epoll", "kqueue" };
	if (strcmp(name, "--port") == 0)
		return (config->port = (uint16_t)atoi(value)) != 0;
	if (strcmp(name, "--workers") == 0)
		return (config->workers = (unsigned)atoi(value)) != 0;
	for (unsigned i = 0; i < 4 && strcmp(name, "--backend") == 0; i++) {
		config->backend = (per_backend)i;
		if (strcmp(value, backends[i]) == 0)
			return true;
	}
	return false;
}

static int serve(const per_static_config *files_config, per_config *config)
{
	per_static *files;
	per_server *server = NULL;
	int err = per_static_new(&files, files_config);
	config->handler = (per_handler){ .on_request = on_request, .user = files };
	config->handle_signals = true;
	if (err == 0)
		err = per_server_new(&server, config);
	if (err == 0) {
		printf("%s on %s\n", files_config->root, per_server_address(server, 0));
		fflush(stdout);
		err = per_server_run(server);
	}
	per_server_free(server);
	per_static_free(files);
	return err;
}

int main(int argc, char **argv)
{
	/* What has a fingerprint in its name never changes; the rest is asked for again each time. */
	static const per_static_field cache_control[] = {
		{ .pattern = "/assets/*", .value = "public, max-age=31536000, immutable" },
		{ .pattern = "*", .value = "no-cache" },
	};
	const per_static_config files = {
		.root = argc > 1 ? argv[1] : ".",
		.listing = PER_STATIC_LISTING_ON,
		.cache_control = cache_control,
		.cache_control_count = 2,
	};
	per_config config = { .host = "127.0.0.1" };
	for (int i = 2; i < argc; i += 2) {
		if (i + 1 == argc || !option_read(&config, argv[i], argv[i + 1])) {
			fprintf(stderr,
				"usage: static [DIRECTORY [--port N] [--workers N] [--backend NAME]]\n");
			return 2;
		}
	}
	const int err = serve(&files, &config);
	if (err != 0)
		fprintf(stderr, "static: %s\n", per_strerror(err));
	return err != 0;
}
