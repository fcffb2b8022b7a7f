/* SPDX-License-Identifier: MIT */
/*
 * config.c - from the application's per_config to struct per__conf: defaults, bounds, copies. Every limit
 * of the server has its name, default and range here. Called once by server.c.
 */
#include "core/conf.h"

#include "base/cpus.h"
#include "http/h1_parse.h"
#include <stdio.h>
#include <string.h>

#define WORKER_BYTES_MIN ((size_t)256 << 10) /* buffers of one worker, whatever was asked for */
#define MS_NS INT64_C(1000000)

/* A number of the configuration: 0 means the default, anything else must lie in the range. */
struct bound {
	const char *name;
	uint64_t value, fallback, min, max;
};

static int bound_apply(const struct per__log *log, struct bound bound, uint64_t *out)
{
	*out = bound.value != 0 ? bound.value : bound.fallback;
	if (*out >= bound.min && *out <= bound.max)
		return 0;
	per__log(log, PER_LOG_ERROR, "%s is %llu; it has to be from %llu to %llu", bound.name,
		 (unsigned long long)bound.value, (unsigned long long)bound.min,
		 (unsigned long long)bound.max);
	return PER_EINVAL;
}

/* Applies a bound and stores the result; makes the enclosing function return after an error. */
#define APPLY(field, config_value, fallback, min, max)                                                  \
	do {                                                                                            \
		uint64_t applied;                                                                       \
		int apply_err = bound_apply(                                                            \
			&conf->log, (struct bound){ #field, (config_value), (fallback), (min), (max) }, \
			&applied);                                                                      \
		if (apply_err != 0)                                                                     \
			return apply_err;                                                               \
		conf->field = (__typeof__(conf->field))applied;                                         \
	} while (0)

static void log_init(struct per__conf *conf, const per_config *config)
{
	conf->log.fn = config->log != NULL ? config->log : per__log_stderr;
	conf->log.user = config->log_user;
	conf->log.level = config->log_level;
	if (conf->log.level < PER_LOG_WARN && !config->log_errors_only)
		conf->log.level = PER_LOG_WARN;
}

static int engine_init(struct per__conf *conf, const per_config *config)
{
	struct per__cpus cpus;

	per__cpus_read(&cpus);
	conf->backend = (int)config->backend;
	conf->pin = config->pin;
	APPLY(workers, config->workers, cpus.usable, 1, 1024);
	APPLY(accept_threads, config->accept_threads, 0, 0, 64);
	APPLY(stack_bytes, config->stack_bytes, 0, 0, (size_t)1 << 30);
	APPLY(connections_max, config->connections_max, 65536, 1, 16u << 20);
	APPLY(memory_bytes, config->memory_bytes, (uint64_t)512 << 20, (uint64_t)1 << 20, (uint64_t)1 << 40);
	/* from the server's to one worker's */
	conf->connections_max = (conf->connections_max + conf->workers - 1) / conf->workers;
	conf->memory_bytes = PER_MAX(conf->memory_bytes / conf->workers, WORKER_BYTES_MIN);
	APPLY(recv_buf_bytes, config->recv_buf_bytes, 16384, 1024, 1u << 20);
	APPLY(recv_buf_count, config->recv_buf_count, 512, 8, 16384);
	if (!per__is_power_of_two(conf->recv_buf_count)) {
		per__log(&conf->log, PER_LOG_ERROR, "recv_buf_count is %u; it has to be a power of two",
			 conf->recv_buf_count);
		return PER_EINVAL;
	}
	return 0;
}

static int limits_init(struct per__conf *conf, const per_config *config)
{
	APPLY(head_bytes_max, config->head_bytes_max, 16384, 64, 65535);
	APPLY(head_fields_max, config->head_fields_max, 100, 1, 4096);
	APPLY(target_bytes_max, config->target_bytes_max, 8192, 1, 65535);
	APPLY(body_bytes_max, config->body_bytes_max, 1u << 20, 1, (uint64_t)INT64_MAX);
	APPLY(requests_per_connection_max, config->requests_per_connection_max, 0, 0, UINT32_MAX);
	APPLY(write_queue_bytes, config->write_queue_bytes, 256u << 10, 4096, (size_t)1 << 30);
	return 0;
}

#define TIMEOUT_MS_MAX (7u * 24 * 3600 * 1000)

static int timeouts_init(struct per__conf *conf, const per_config *config)
{
	APPLY(head_timeout_ns, config->head_timeout_ms, 15000, 1, TIMEOUT_MS_MAX);
	APPLY(idle_timeout_ns, config->idle_timeout_ms, 60000, 1, TIMEOUT_MS_MAX);
	APPLY(rate_window_ns, config->rate_window_ms, 10000, 1, TIMEOUT_MS_MAX);
	APPLY(linger_timeout_ns, config->linger_timeout_ms, 2000, 1, TIMEOUT_MS_MAX);
	APPLY(stop_timeout_ns, config->stop_timeout_ms, 10000, 1, TIMEOUT_MS_MAX);
	APPLY(body_window_bytes_min, config->body_rate_min, 240, 1, UINT32_MAX);
	APPLY(write_window_bytes_min, config->write_rate_min, 240, 1, UINT32_MAX);
	/* from bytes per second to bytes in a window, and from milliseconds to nanoseconds */
	conf->body_window_bytes_min = conf->body_window_bytes_min * (uint64_t)conf->rate_window_ns / 1000 + 1;
	conf->write_window_bytes_min =
		conf->write_window_bytes_min * (uint64_t)conf->rate_window_ns / 1000 + 1;
	conf->head_timeout_ns *= MS_NS;
	conf->idle_timeout_ns *= MS_NS;
	conf->rate_window_ns *= MS_NS;
	conf->linger_timeout_ns *= MS_NS;
	conf->stop_timeout_ns *= MS_NS;
	return 0;
}

static int tls_init(struct per__conf *conf, const per_tls_config *tls)
{
	if (tls == NULL)
		return 0;
	APPLY(tls_handshake_timeout_ns, tls->handshake_timeout_ms, 10000, 1, TIMEOUT_MS_MAX);
	APPLY(tls_handshakes_max, tls->handshakes_max, 4096, 1, 16u << 20);
	APPLY(tls_early_data_max, tls->early_data_max, 0, 0, 1u << 20);
	conf->tls_handshake_timeout_ns *= MS_NS;
	conf->tls_handshakes_max = (conf->tls_handshakes_max + conf->workers - 1) / conf->workers;
	return 0;
}

static int server_field_init(struct per__conf *conf, const char *name)
{
	int len;

	if (name == NULL)
		return 0;
	if (!per__is_field_value(name, strlen(name)) || name[0] == '\0') {
		per__log(&conf->log, PER_LOG_ERROR, "server_name cannot be the value of a field");
		return PER_EINVAL;
	}
	len = snprintf(conf->server_field, sizeof(conf->server_field), "Server: %s\r\n", name);
	if (len >= (int)sizeof(conf->server_field)) {
		per__log(&conf->log, PER_LOG_ERROR, "server_name is longer than %zu bytes",
			 sizeof(conf->server_field) - 11);
		return PER_EINVAL;
	}
	conf->server_field_len = (size_t)len;
	return 0;
}

int per__conf_init(struct per__conf *conf, const per_config *config)
{
	int err;

	memset(conf, 0, sizeof(*conf));
	log_init(conf, config);
	conf->handler = config->handler;
	conf->asks_peers = config->handler.on_log != NULL;
	conf->handle_signals = config->handle_signals;
	if (config->handler.on_request == NULL) {
		per__log(&conf->log, PER_LOG_ERROR, "handler.on_request is not set");
		return PER_EINVAL;
	}
	err = engine_init(conf, config);
	if (err == 0)
		err = limits_init(conf, config);
	if (err == 0)
		err = timeouts_init(conf, config);
	if (err == 0)
		err = tls_init(conf, config->tls);
	if (err == 0)
		err = server_field_init(conf, config->server_name);
	if (err == 0 && per__nets_parse(&conf->proxy_trusted, config->proxy_trusted) != 0) {
		per__log(&conf->log, PER_LOG_ERROR, "proxy_trusted is not a list of networks: %s",
			 config->proxy_trusted);
		err = PER_EINVAL;
	}
	return err;
}
