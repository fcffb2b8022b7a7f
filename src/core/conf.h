/* SPDX-License-Identifier: MIT */
/*
 * conf.h - the configuration of a server after defaults, checks and copies: what the core and the protocols
 * read. Filled once by config.c; only the policy can change while the server runs.
 */
#ifndef PER_CORE_CONF_H
#define PER_CORE_CONF_H

#include "base/addr.h"
#include "base/log.h"
#include <peregrine/config.h>

/*
 * What per_server_reload() can change. Each worker has its own, and reads it anew whenever it needs it: what
 * has begun goes on under both.
 */
struct per__policy {
	uint32_t head_bytes_max, target_bytes_max;
	uint64_t body_bytes_max;
	uint32_t requests_per_connection_max; /* 0: no limit */

	int64_t head_timeout_ns, idle_timeout_ns, rate_window_ns, linger_timeout_ns, stop_timeout_ns;
	uint64_t body_window_bytes_min;  /* bytes that have to arrive in one rate window */
	uint64_t write_window_bytes_min; /* bytes that have to leave in one rate window */

	int64_t tls_handshake_timeout_ns;
	uint32_t tls_handshakes_max; /* in progress, of one worker; 0 at the start: no TLS */

	struct per__nets proxy_trusted;
};

struct per__conf {
	per_handler handler;
	bool asks_peers; /* peers' addresses will be wanted, even of connections that have broken */
	struct per__log log;
	bool handle_signals;

	int backend;
	unsigned workers;
	bool pin;
	unsigned accept_threads;
	size_t stack_bytes;
	uint32_t connections_max; /* of one worker */
	size_t memory_bytes;      /* of one worker */
	uint32_t recv_buf_bytes, recv_buf_count;

	uint32_t head_fields_max;
	size_t write_queue_bytes;
	uint32_t tls_early_data_max; /* bytes; 0: none */
	struct per__policy policy;   /* at the start */

	char server_field[160]; /* "Server: name\r\n", or empty */
	size_t server_field_len;
};

/**
 * Applies defaults, checks and copies.
 *
 * config   as the application gave it; not kept
 * returns  0, or PER_EINVAL with the reason in the log
 */
int per__conf_init(struct per__conf *conf, const per_config *config);

/**
 * The same for a policy alone. Without config->tls, what stands there is as at the start.
 *
 * start    what the server began with, with its number of workers and its log
 */
int per__policy_init(struct per__policy *policy, const struct per__conf *start, const per_config *config);

#endif
