/* SPDX-License-Identifier: MIT */
/*
 * config.c - from the application's per_config to struct per__conf: defaults, bounds, copies. Every limit
 * of the server has its name, default and range here. Called by server.c, and for the policy by policy.c.
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

/* Applies a bound and stores the result in out; makes the enclosing function return after an error. */
#define APPLY(field, config_value, fallback, min, max)                                                      \
	do {                                                                                                \
		uint64_t applied;                                                                           \
		int apply_err = bound_apply(                                                                \
			log, (struct bound){ #field, (config_value), (fallback), (min), (max) }, &applied); \
		if (apply_err != 0)                                                                         \
			return apply_err;                                                                   \
		out->field = (__typeof__(out->field))applied;                                               \
	} while (0)

static void log_init(struct per__conf *conf, const per_config *config)
{
	conf->log.fn = config->log != NULL ? config->log : per__log_stderr;
	conf->log.user = config->log_user;
	conf->log.level = config->log_level;
	if (conf->log.level < PER_LOG_WARN && !config->log_errors_only)
		conf->log.level = PER_LOG_WARN;
}

static int engine_init(struct per__conf *out, const per_config *config)
{
	const struct per__log *log = &out->log;
	struct per__cpus cpus;

	per__cpus_read(&cpus);
	out->backend = (int)config->backend;
	out->pin = config->pin;
	APPLY(workers, config->workers, cpus.usable, 1, 1024);
	APPLY(accept_threads, config->accept_threads, 0, 0, 64);
	APPLY(stack_bytes, config->stack_bytes, 0, 0, (size_t)1 << 30);
	APPLY(connections_max, config->connections_max, 65536, 1, 16u << 20);
	APPLY(memory_bytes, config->memory_bytes, (uint64_t)512 << 20, (uint64_t)1 << 20, (uint64_t)1 << 40);
	/* from the server's to one worker's */
	out->connections_max = (out->connections_max + out->workers - 1) / out->workers;
	out->memory_bytes = PER_MAX(out->memory_bytes / out->workers, WORKER_BYTES_MIN);
	APPLY(recv_buf_bytes, config->recv_buf_bytes, 16384, 1024, 1u << 20);
	APPLY(recv_buf_count, config->recv_buf_count, 512, 8, 16384);
	APPLY(head_fields_max, config->head_fields_max, 100, 1, 4096);
	APPLY(write_queue_bytes, config->write_queue_bytes, 256u << 10, 4096, (size_t)1 << 30);
	if (config->tls != NULL)
		APPLY(tls_early_data_max, config->tls->early_data_max, 0, 0, 1u << 20);
	if (!per__is_power_of_two(out->recv_buf_count)) {
		per__log(log, PER_LOG_ERROR, "recv_buf_count is %u; it has to be a power of two",
			 out->recv_buf_count);
		return PER_EINVAL;
	}
	return 0;
}

static int limits_init(struct per__policy *out, const struct per__log *log, const per_config *config)
{
	APPLY(head_bytes_max, config->head_bytes_max, 16384, 64, 65535);
	APPLY(target_bytes_max, config->target_bytes_max, 8192, 1, 65535);
	APPLY(body_bytes_max, config->body_bytes_max, 1u << 20, 1, (uint64_t)INT64_MAX);
	APPLY(requests_per_connection_max, config->requests_per_connection_max, 0, 0, UINT32_MAX);
	return 0;
}

#define TIMEOUT_MS_MAX (7u * 24 * 3600 * 1000)

static int timeouts_init(struct per__policy *out, const struct per__log *log, const per_config *config)
{
	APPLY(head_timeout_ns, config->head_timeout_ms, 15000, 1, TIMEOUT_MS_MAX);
	APPLY(idle_timeout_ns, config->idle_timeout_ms, 60000, 1, TIMEOUT_MS_MAX);
	APPLY(rate_window_ns, config->rate_window_ms, 10000, 1, TIMEOUT_MS_MAX);
	APPLY(linger_timeout_ns, config->linger_timeout_ms, 2000, 1, TIMEOUT_MS_MAX);
	APPLY(stop_timeout_ns, config->stop_timeout_ms, 10000, 1, TIMEOUT_MS_MAX);
	APPLY(body_window_bytes_min, config->body_rate_min, 240, 1, UINT32_MAX);
	APPLY(write_window_bytes_min, config->write_rate_min, 240, 1, UINT32_MAX);
	/* from bytes per second to bytes in a window, and from milliseconds to nanoseconds */
	out->body_window_bytes_min = out->body_window_bytes_min * (uint64_t)out->rate_window_ns / 1000 + 1;
	out->write_window_bytes_min = out->write_window_bytes_min * (uint64_t)out->rate_window_ns / 1000 + 1;
	out->head_timeout_ns *= MS_NS;
	out->idle_timeout_ns *= MS_NS;
	out->rate_window_ns *= MS_NS;
	out->linger_timeout_ns *= MS_NS;
	out->stop_timeout_ns *= MS_NS;
	return 0;
}

static int handshakes_init(struct per__policy *out, const struct per__log *log, const per_tls_config *tls,
			   unsigned workers)
{
	APPLY(tls_handshake_timeout_ns, tls->handshake_timeout_ms, 10000, 1, TIMEOUT_MS_MAX);
	APPLY(tls_handshakes_max, tls->handshakes_max, 4096, 1, 16u << 20);
	out->tls_handshake_timeout_ns *= MS_NS;
	out->tls_handshakes_max = (out->tls_handshakes_max + workers - 1) / workers;
	return 0;
}

int per__policy_init(struct per__policy *policy, const struct per__conf *start, const per_config *config)
{
	int err;

	*policy = start->policy;
	err = limits_init(policy, &start->log, config);
	if (err == 0)
		err = timeouts_init(policy, &start->log, config);
	if (err == 0 && config->tls != NULL)
		err = handshakes_init(policy, &start->log, config->tls, start->workers);
	if (err == 0 && per__nets_parse(&policy->proxy_trusted, config->proxy_trusted) != 0) {
		per__log(&start->log, PER_LOG_ERROR, "proxy_trusted is not a list of networks: %s",
			 config->proxy_trusted);
		err = PER_EINVAL;
	}
	return err;
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
		err = per__policy_init(&conf->policy, conf, config);
	if (err == 0)
		err = server_field_init(conf, config->server_name);
	return err;
}
