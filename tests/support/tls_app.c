/* SPDX-License-Identifier: MIT */
/*
 * tls_app.c - a server of TLS with every setting of per_tls_config on its command line, for
 * tests/integration/test_tls*.py. Settings behind a "--" are another configuration. Its answer says
 * what was negotiated; at its second, plain listener "/reload/N" changes to configuration N, "/reload" reads
 * the same files again, on a thread of its own, and answers with the verdict; "/stats" has the counters,
 * "/never" no answer.
 */
#include <peregrine/peregrine.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIGS_MAX 4
#define CERTS_MAX 8

struct tls {
	per_tls_config config;
	per_tls_cert certs[CERTS_MAX];
};

static struct app {
	per_config config;
	per_listen listen[2];
	struct tls tls[CONFIGS_MAX];
	size_t tls_cnt;
	per_server *server;
} app;

/* --- what was negotiated ---------------------------------------------------------------------- */

static int reply_info(per_req *req)
{
	static const char *const clients[] = { "none", "verified", "failed" };
	per_tls_info info;
	char text[1024], peer[64] = "";
	int len;

	(void)per_req_peer(req, peer, sizeof(peer));
	if (per_req_tls(req, &info) != 0)
		return per_reply(req, 200, PER_S("text/plain"), PER_S("tls=no\n"));
	len = snprintf(
		text, sizeof(text),
		"tls=%d\nworker=%u\nversion=%s\ncipher=%s\nname=%.*s\nalpn=%.*s\nclient=%s\nsubject=%s\n"
		"reason=%s\nresumed=%d\nearly=%d\npeer=%s\n",
		per_req_is_tls(req), per_req_worker(req), info.version, info.cipher,
		(int)info.server_name.len, info.server_name.len > 0 ? info.server_name.ptr : "",
		(int)info.alpn.len, info.alpn.len > 0 ? info.alpn.ptr : "", clients[info.client],
		info.client_subject, info.client_reason, info.is_resumed, info.is_early, peer);
	return per_reply(req, 200, PER_S("text/plain"), per_str_make(text, (size_t)len));
}

static int reply_stats(per_req *req)
{
	static char text[64 * 1024]; /* asked for by one client at a time */
	int len = per_server_prometheus(app.server, text, sizeof(text));

	return len < 0 ? len : per_reply(req, 200, PER_S("text/plain"), per_str_make(text, (size_t)len));
}

/* --- reloads ---------------------------------------------------------------------------------- */

struct reload {
	per_ref ref;
	const per_tls_config *config;
	char verdict[600];
};

static void reload_reply(per_req *req, void *arg)
{
	struct reload *reload = arg;

	if (req != NULL)
		(void)per_reply(req, 200, PER_S("text/plain"), per_str_from(reload->verdict));
	free(reload);
}

static void *reload_main(void *arg)
{
	struct reload *reload = arg;
	char reason[512] = "";
	int err = per_tls_reload(app.server, reload->config, reason, sizeof(reason));

	(void)snprintf(reload->verdict, sizeof(reload->verdict), "%d %s\n", err, reason);
	if (per_post(app.server, reload->ref, reload_reply, reload) != 0)
		free(reload);
	return NULL;
}

static int reload_begin(per_req *req, per_str path)
{
	struct reload *reload = calloc(1, sizeof(*reload));
	size_t index = path.len == 9 ? (size_t)(path.ptr[8] - '0') : 0;
	pthread_t thread;

	if (reload == NULL || index >= app.tls_cnt)
		return -1;
	reload->config = path.len == 9 ? &app.tls[index].config : NULL;
	per_defer(req, &reload->ref);
	if (pthread_create(&thread, NULL, reload_main, reload) != 0)
		return -1;
	return pthread_detach(thread) == 0 ? 0 : -1;
}

static int on_request(per_req *req, void *user)
{
	per_str path = per_req_path(req);

	(void)user;
	if (path.len >= 7 && memcmp(path.ptr, "/reload", 7) == 0)
		return reload_begin(req, path);
	if (per_str_equal(path, PER_S("/stats")))
		return reply_stats(req);
	if (per_str_equal(path, PER_S("/never")))
		return per_defer(req, NULL);
	return reply_info(req);
}

/* --- command line ----------------------------------------------------------------------------- */

static per_tls_client_auth auth_of(const char *word)
{
	return strcmp(word, "off") == 0        ? PER_TLS_CLIENT_OFF
	       : strcmp(word, "optional") == 0 ? PER_TLS_CLIENT_OPTIONAL
	       : strcmp(word, "required") == 0 ? PER_TLS_CLIENT_REQUIRED
					       : PER_TLS_CLIENT_DEFAULT;
}

static per_backend backend_of(const char *word)
{
	return strcmp(word, "io_uring") == 0 ? PER_BACKEND_IO_URING
	       : strcmp(word, "epoll") == 0  ? PER_BACKEND_EPOLL
	       : strcmp(word, "kqueue") == 0 ? PER_BACKEND_KQUEUE
					     : PER_BACKEND_AUTO;
}

/* Settings without a value. */
static int is_flag_taken(const char *name, struct tls *tls)
{
	per_tls_config *config = &tls->config;

	if (strcmp(name, "--tls12") == 0)
		return config->tls12 = true;
	if (strcmp(name, "--strict-sni") == 0)
		return config->strict_sni = true;
	if (strcmp(name, "--tickets-off") == 0)
		return config->tickets_off = true;
	return 0;
}

static int is_engine_taken(const char *name, const char *value)
{
	if (strcmp(name, "--backend") == 0)
		app.config.backend = backend_of(value);
	else if (strcmp(name, "--workers") == 0)
		app.config.workers = (unsigned)strtoul(value, NULL, 10);
	else if (strcmp(name, "--proxy-trusted") == 0)
		app.config.proxy_trusted = value;
	else if (strcmp(name, "--accept-threads") == 0)
		app.config.accept_threads = (unsigned)strtoul(value, NULL, 10);
	else
		return 0;
	return 1;
}

static int is_limit_taken(const char *name, const char *value, per_tls_config *config)
{
	unsigned number = (unsigned)strtoul(value, NULL, 10);

	if (strcmp(name, "--handshake-timeout") == 0)
		config->handshake_timeout_ms = number;
	else if (strcmp(name, "--handshakes-max") == 0)
		config->handshakes_max = number;
	else if (strcmp(name, "--tickets") == 0)
		config->ticket_count = number;
	else if (strcmp(name, "--early-data") == 0)
		config->early_data_max = number;
	else if (strcmp(name, "--ticket-lifetime") == 0)
		config->ticket_lifetime_s = number;
	else
		return 0;
	return 1;
}

/* Settings of one configuration. --cert begins a certificate, to which those behind it belong. */
static int is_value_taken(const char *name, const char *value, struct tls *tls)
{
	per_tls_config *config = &tls->config;
	per_tls_cert *cert = config->cert_count > 0 ? &tls->certs[config->cert_count - 1] : NULL;

	if (strcmp(name, "--cert") == 0 && config->cert_count < CERTS_MAX)
		tls->certs[config->cert_count++].cert_file = value;
	else if (strcmp(name, "--key") == 0 && cert != NULL)
		cert->key_file = value;
	else if (strcmp(name, "--names") == 0 && cert != NULL)
		cert->names = value;
	else if (strcmp(name, "--cert-client") == 0 && cert != NULL)
		cert->client_auth = auth_of(value);
	else if (strcmp(name, "--cert-client-ca") == 0 && cert != NULL)
		cert->client_ca_file = value;
	else if (strcmp(name, "--client") == 0)
		config->client_auth = auth_of(value);
	else if (strcmp(name, "--client-ca") == 0)
		config->client_ca_file = value;
	else if (strcmp(name, "--ciphersuites") == 0)
		config->ciphersuites = value;
	else if (strcmp(name, "--groups") == 0)
		config->groups = value;
	else
		return is_limit_taken(name, value, config);
	return 1;
}

static bool parse(int argc, char **argv)
{
	struct tls *tls = &app.tls[0];

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0 && app.tls_cnt + 1 < CONFIGS_MAX) {
			tls = &app.tls[++app.tls_cnt];
			continue;
		}
		if (is_flag_taken(argv[i], tls))
			continue;
		if (i + 1 == argc ||
		    (!is_engine_taken(argv[i], argv[i + 1]) && !is_value_taken(argv[i], argv[i + 1], tls))) {
			fprintf(stderr, "tls_app: what is %s?\n", argv[i]);
			return false;
		}
		i++;
	}
	app.tls_cnt++;
	for (size_t i = 0; i < app.tls_cnt; i++)
		app.tls[i].config.certs = app.tls[i].certs;
	return true;
}

int main(int argc, char **argv)
{
	int err;

	if (!parse(argc, argv))
		return 2;
	app.listen[0] = (per_listen){ .address = "127.0.0.1:0", .flags = PER_LISTEN_TLS };
	if (app.config.proxy_trusted != NULL)
		app.listen[0].flags |= PER_LISTEN_PROXY;
	app.listen[1] = (per_listen){ .address = "127.0.0.1:0" };
	app.config.listen = app.listen;
	app.config.listen_count = 2;
	app.config.handler.on_request = on_request;
	app.config.handle_signals = true;
	app.config.connections_max = 4096;
	app.config.tls = &app.tls[0].config;
	err = per_server_new(&app.server, &app.config);
	if (err != 0)
		return 1;
	for (size_t i = 0; i < 2; i++)
		printf("listening on %s\n", per_server_address(app.server, i));
	printf("ready\n");
	fflush(stdout);
	err = per_server_run(app.server);
	per_server_free(app.server);
	return err == 0 ? 0 : 1;
}
