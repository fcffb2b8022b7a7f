/* SPDX-License-Identifier: MIT */
/*
 * config_schema.c - which key of the file becomes which member of struct config. A new key is a line here,
 * a member in config.h, and if it is a number one in settings.c. The order is the order of --dump-config.
 */
#include "config.h"
#include "schema.h"

#define OPTIONAL CYAML_FLAG_OPTIONAL
#define LIST (CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER)
#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

/* The members are called like the keys. */
#define TEXT(type, member) CYAML_FIELD_STRING_PTR(#member, OPTIONAL, type, member, 1, CONFIG_TEXT_MAX)
#define TEXT_NEEDED(type, member) \
	CYAML_FIELD_STRING_PTR(#member, CYAML_FLAG_POINTER, type, member, 1, CONFIG_TEXT_MAX)
#define BOOL(type, member) CYAML_FIELD_BOOL(#member, OPTIONAL, type, member)
#define BOOL_OR_DEFAULT(type, member) CYAML_FIELD_BOOL_PTR(#member, OPTIONAL, type, member)
#define ENUM(type, member, words) \
	CYAML_FIELD_ENUM(#member, OPTIONAL | CYAML_FLAG_STRICT, type, member, words, COUNT(words))
#define ITEMS(type, member, entry) \
	CYAML_FIELD_SEQUENCE(#member, LIST, type, member, &(entry), 0, CONFIG_LIST_MAX)
/* At most as many as the library takes. */
#define FEW(type, member, entry, most) CYAML_FIELD_SEQUENCE(#member, LIST, type, member, &(entry), 0, most)
#define SECTION(type, member, fields) CYAML_FIELD_MAPPING(#member, OPTIONAL, type, member, fields)

/* An entry of a list of mappings. */
#define ENTRY(name, type, fields) \
	static const cyaml_schema_value_t name = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, type, fields) }

static const cyaml_schema_value_t text_entry = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1,
								    CONFIG_TEXT_MAX) };

/* --- engine ----------------------------------------------------------------------------------- */

static const cyaml_strval_t backend_words[] = {
	{ "auto", PER_BACKEND_AUTO },
	{ "io_uring", PER_BACKEND_IO_URING },
	{ "epoll", PER_BACKEND_EPOLL },
	{ "kqueue", PER_BACKEND_KQUEUE },
};

static const cyaml_schema_field_t listen_fields[] = {
	TEXT_NEEDED(struct config_listen, address),
	BOOL(struct config_listen, tls),
	BOOL(struct config_listen, proxy),
	BOOL(struct config_listen, v6only),
	TEXT(struct config_listen, backlog),
	TEXT(struct config_listen, unix_mode),
	CYAML_FIELD_END,
};
ENTRY(listen_entry, struct config_listen, listen_fields);

static const cyaml_schema_field_t engine_fields[] = {
	ENUM(struct config_engine, backend, backend_words),
	TEXT(struct config_engine, workers),
	BOOL(struct config_engine, pin),
	TEXT(struct config_engine, accept_threads),
	TEXT(struct config_engine, connections),
	TEXT(struct config_engine, memory),
	TEXT(struct config_engine, stack),
	TEXT(struct config_engine, receive_buffer),
	TEXT(struct config_engine, receive_buffers),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t limits_fields[] = {
	TEXT(struct config_limits, head),
	TEXT(struct config_limits, head_fields),
	TEXT(struct config_limits, target),
	TEXT(struct config_limits, body),
	TEXT(struct config_limits, requests_per_connection),
	TEXT(struct config_limits, write_queue),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t timeouts_fields[] = {
	TEXT(struct config_timeouts, head),        TEXT(struct config_timeouts, idle),
	TEXT(struct config_timeouts, rate_window), TEXT(struct config_timeouts, body_rate),
	TEXT(struct config_timeouts, write_rate),  TEXT(struct config_timeouts, linger),
	TEXT(struct config_timeouts, stop),        CYAML_FIELD_END,
};

/* --- logs, metrics, files --------------------------------------------------------------------- */

static const cyaml_strval_t level_words[] = {
	{ "error", PER_LOG_ERROR },
	{ "warning", PER_LOG_WARN },
	{ "info", PER_LOG_INFO },
	{ "debug", PER_LOG_DEBUG },
};
static const cyaml_strval_t format_words[] = {
	{ "combined", FORMAT_COMBINED },
	{ "common", FORMAT_COMMON },
	{ "json", FORMAT_JSON },
};

static const cyaml_schema_field_t log_fields[] = {
	TEXT(struct config_log, path),
	CYAML_FIELD_ENUM_PTR("level", OPTIONAL | CYAML_FLAG_STRICT, struct config_log, level, level_words,
			     COUNT(level_words)),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t access_log_fields[] = {
	TEXT(struct config_access_log, path),
	ENUM(struct config_access_log, format, format_words),
	TEXT(struct config_access_log, buffer),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t metrics_fields[] = {
	TEXT(struct config_metrics, address),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t type_fields[] = {
	TEXT_NEEDED(struct config_type, extension),
	TEXT_NEEDED(struct config_type, type),
	CYAML_FIELD_END,
};
ENTRY(type_entry, struct config_type, type_fields);

static const cyaml_schema_field_t files_fields[] = {
	TEXT(struct config_files, cache),
	TEXT(struct config_files, cache_file),
	TEXT(struct config_files, entries),
	TEXT(struct config_files, descriptors),
	TEXT(struct config_files, check),
	TEXT(struct config_files, idle),
	TEXT(struct config_files, disk_threads),
	TEXT(struct config_files, default_type),
	ITEMS(struct config_files, types, type_entry),
	CYAML_FIELD_END,
};

/* --- TLS -------------------------------------------------------------------------------------- */

static const cyaml_strval_t client_auth_words[] = {
	{ "default", CLIENT_AUTH_DEFAULT },
	{ "off", CLIENT_AUTH_OFF },
	{ "optional", CLIENT_AUTH_OPTIONAL },
	{ "required", CLIENT_AUTH_REQUIRED },
};

static const cyaml_schema_field_t tls_fields[] = {
	BOOL(struct config_tls, tls12),
	TEXT(struct config_tls, ciphersuites),
	TEXT(struct config_tls, ciphers12),
	TEXT(struct config_tls, groups),
	BOOL(struct config_tls, strict_sni),
	ENUM(struct config_tls, client_auth, client_auth_words),
	TEXT(struct config_tls, client_ca),
	TEXT(struct config_tls, client_depth),
	BOOL_OR_DEFAULT(struct config_tls, tickets),
	TEXT(struct config_tls, ticket_count),
	TEXT(struct config_tls, ticket_lifetime),
	TEXT(struct config_tls, early_data),
	TEXT(struct config_tls, handshake_timeout),
	TEXT(struct config_tls, handshakes),
	CYAML_FIELD_END,
};

/* --- hosts ------------------------------------------------------------------------------------ */

static const cyaml_strval_t symlinks_words[] = {
	{ "inside", SYMLINKS_INSIDE },
	{ "deny", SYMLINKS_DENY },
	{ "follow", SYMLINKS_FOLLOW },
};
static const cyaml_strval_t dotfiles_words[] = {
	{ "hide", DOTFILES_HIDE },
	{ "serve", DOTFILES_SERVE },
};

static const cyaml_schema_field_t header_fields[] = {
	TEXT(struct config_header, match),
	TEXT_NEEDED(struct config_header, name),
	TEXT_NEEDED(struct config_header, value),
	CYAML_FIELD_END,
};
ENTRY(header_entry, struct config_header, header_fields);

static const cyaml_schema_field_t redirect_fields[] = {
	TEXT(struct config_redirect, path),
	TEXT(struct config_redirect, prefix),
	TEXT_NEEDED(struct config_redirect, to),
	CYAML_FIELD_UINT("status", OPTIONAL, struct config_redirect, status),
	BOOL_OR_DEFAULT(struct config_redirect, keep_query),
	CYAML_FIELD_END,
};
ENTRY(redirect_entry, struct config_redirect, redirect_fields);

static const cyaml_schema_field_t error_page_fields[] = {
	CYAML_FIELD_UINT("status", CYAML_FLAG_DEFAULT, struct config_error_page, status),
	TEXT_NEEDED(struct config_error_page, file),
	CYAML_FIELD_END,
};
ENTRY(error_page_entry, struct config_error_page, error_page_fields);

static const cyaml_schema_field_t cache_control_fields[] = {
	TEXT_NEEDED(struct config_cache_control, match),
	TEXT_NEEDED(struct config_cache_control, value),
	CYAML_FIELD_END,
};
ENTRY(cache_control_entry, struct config_cache_control, cache_control_fields);

static const cyaml_schema_field_t certificate_fields[] = {
	TEXT_NEEDED(struct config_certificate, cert),
	TEXT_NEEDED(struct config_certificate, key),
	CYAML_FIELD_END,
};
ENTRY(certificate_entry, struct config_certificate, certificate_fields);

static const cyaml_schema_field_t hsts_fields[] = {
	TEXT(struct config_hsts, max_age),
	BOOL(struct config_hsts, subdomains),
	BOOL(struct config_hsts, preload),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t host_fields[] = {
	ITEMS(struct config_host, names, text_entry),
	TEXT(struct config_host, root),
	FEW(struct config_host, index, text_entry, 16),
	BOOL(struct config_host, autoindex),
	BOOL(struct config_host, welcome),
	TEXT(struct config_host, fallback),
	ENUM(struct config_host, symlinks, symlinks_words),
	ENUM(struct config_host, dotfiles, dotfiles_words),
	BOOL_OR_DEFAULT(struct config_host, precompressed),
	BOOL(struct config_host, nosniff),
	FEW(struct config_host, cache_control, cache_control_entry, 64),
	FEW(struct config_host, headers, header_entry, 64),
	ITEMS(struct config_host, redirects, redirect_entry),
	FEW(struct config_host, error_pages, error_page_entry, 64),
	ITEMS(struct config_host, certificates, certificate_entry),
	ENUM(struct config_host, client_auth, client_auth_words),
	TEXT(struct config_host, client_ca),
	CYAML_FIELD_MAPPING_PTR("hsts", LIST, struct config_host, hsts, hsts_fields),
	BOOL(struct config_host, https_redirect),
	TEXT(struct config_host, https_port),
	CYAML_FIELD_END,
};
ENTRY(host_entry, struct config_host, host_fields);

/* --- the file --------------------------------------------------------------------------------- */

static const cyaml_schema_field_t config_fields[] = {
	CYAML_FIELD_SEQUENCE("listen", LIST, struct config, listen, &listen_entry, 1, CONFIG_LISTEN_MAX),
	ITEMS(struct config, proxy_trusted, text_entry),
	TEXT(struct config, server_name),
	TEXT(struct config, health),
	TEXT(struct config, user),
	TEXT(struct config, group),
	SECTION(struct config, engine, engine_fields),
	SECTION(struct config, limits, limits_fields),
	SECTION(struct config, timeouts, timeouts_fields),
	SECTION(struct config, files, files_fields),
	SECTION(struct config, tls, tls_fields),
	SECTION(struct config, log, log_fields),
	SECTION(struct config, access_log, access_log_fields),
	SECTION(struct config, metrics, metrics_fields),
	CYAML_FIELD_SEQUENCE("hosts", CYAML_FLAG_POINTER, struct config, hosts, &host_entry, 1,
			     CONFIG_HOSTS_MAX),
	CYAML_FIELD_END,
};

const cyaml_schema_value_t config_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config,
								 config_fields) };
