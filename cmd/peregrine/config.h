/* SPDX-License-Identifier: MIT */
/*
 * config.h - what the program is told, as it stands in a YAML file: one structure a section, one member a
 * key. Numbers with a unit stay text here; settings.c knows their ranges. config_schema.c says which key is
 * which.
 */
#ifndef CMD_PEREGRINE_CONFIG_H
#define CMD_PEREGRINE_CONFIG_H

#include "complaints.h"

#include <peregrine/peregrine.h>

#define CONFIG_HOSTS_MAX 4096u
#define CONFIG_LISTEN_MAX 64u
#define CONFIG_LIST_MAX 1024u /* entries of any other list */
#define CONFIG_TEXT_MAX 8192u /* bytes of any text */

/*
 * A text of NULL, a pointer of NULL, a list of 0 entries: not given. config_complete() fills in what has a
 * default.
 */

struct config_listen {
	char *address;
	bool tls, proxy, v6only;
	char *backlog;
	char *unix_mode; /* octal */
};

struct config_engine {
	per_backend backend;
	bool pin;
	char *workers, *accept_threads, *connections, *memory, *stack, *receive_buffer, *receive_buffers;
};

struct config_limits {
	char *head, *head_fields, *target, *body, *requests_per_connection, *write_queue;
};

struct config_timeouts {
	char *head, *idle, *rate_window, *body_rate, *write_rate, *linger, *stop;
};

struct config_log {
	char *path; /* "-": stderr */
	per_log_level *level;
};

struct config_access_log {
	char *path; /* NULL: no access log; "-": stdout */
	int format; /* enum config_format */
	char *buffer;
};

struct config_metrics {
	char *address; /* NULL: no metrics */
};

struct config_header {
	char *match; /* NULL: every answer; else files only */
	char *name, *value;
};

struct config_redirect {
	char *path, *prefix; /* exactly one of them */
	char *to;
	unsigned status;
	bool *keep_query;
};

struct config_error_page {
	unsigned status;
	char *file; /* below the root */
};

struct config_cache_control {
	char *match, *value;
};

struct config_type {
	char *extension, *type;
};

struct config_certificate {
	char *cert, *key;
};

struct config_hsts {
	char *max_age;
	bool subdomains, preload;
};

enum config_symlinks { SYMLINKS_INSIDE, SYMLINKS_DENY, SYMLINKS_FOLLOW };
enum config_dotfiles { DOTFILES_HIDE, DOTFILES_SERVE };
enum config_client_auth { CLIENT_AUTH_DEFAULT, CLIENT_AUTH_OFF, CLIENT_AUTH_OPTIONAL, CLIENT_AUTH_REQUIRED };
enum config_format { FORMAT_COMBINED, FORMAT_COMMON, FORMAT_JSON };

struct config_host {
	char **names; /* none: every host that no other one claims */
	unsigned names_count;
	char *root;
	char **index;
	unsigned index_count;
	bool autoindex, welcome;
	char *fallback; /* the page of a single-page application */
	enum config_symlinks symlinks;
	enum config_dotfiles dotfiles;
	bool *precompressed;
	bool nosniff;
	struct config_cache_control *cache_control;
	unsigned cache_control_count;
	struct config_header *headers;
	unsigned headers_count;
	struct config_redirect *redirects;
	unsigned redirects_count;
	struct config_error_page *error_pages;
	unsigned error_pages_count;
	struct config_certificate *certificates;
	unsigned certificates_count;
	enum config_client_auth client_auth; /* default: as in struct config_tls */
	char *client_ca;
	struct config_hsts *hsts;
	bool https_redirect;
	char *https_port;
};

struct config_files {
	char *cache, *cache_file, *entries, *descriptors, *check, *idle, *disk_threads;
	char *default_type;
	struct config_type *types;
	unsigned types_count;
};

struct config_tls {
	bool tls12, strict_sni;
	char *ciphersuites, *ciphers12, *groups;
	enum config_client_auth client_auth;
	char *client_ca, *client_depth;
	bool *tickets;
	char *ticket_count, *ticket_lifetime, *early_data, *handshake_timeout, *handshakes;
};

struct config {
	struct config_listen *listen;
	unsigned listen_count;
	char **proxy_trusted;
	unsigned proxy_trusted_count;
	struct config_engine engine;
	struct config_limits limits;
	struct config_timeouts timeouts;
	struct config_files files;
	struct config_tls tls;
	struct config_log log;
	struct config_access_log access_log;
	struct config_metrics metrics;
	char *server_name, *health, *user, *group;
	struct config_host *hosts;
	unsigned hosts_count;
};

/**
 * Reads a configuration from a YAML file, and checks its form: keys, types, lengths of lists.
 *
 * path     of the file; a text instead when text is not NULL, and path is its name in complaints
 * returns  the configuration, to be freed with config_free(); NULL after complaints
 */
struct config *config_load(const char *path, const char *text, struct complaints *complaints);
void config_free(struct config *config);

/** Fills in every default, and makes relative paths absolute. Returns false when out of memory. */
bool config_complete(struct config *config, const char *folder);

/** Does a host ask clients for a certificate? Never CLIENT_AUTH_DEFAULT. */
enum config_client_auth config_client_auth(const struct config *config, const struct config_host *host);
/** Do two hosts ask for certificates of the same authorities, or neither for any? */
bool config_asks_alike(const struct config *config, const struct config_host *a, const struct config_host *b);

/** Is everything what it has to be? Complaints say what is not. The configuration is complete. */
bool config_check(const struct config *config, struct complaints *complaints);

/** Are its certificates good, and the rest of TLS? Reads them. The configuration was checked. */
bool config_check_tls(const struct config *config, struct complaints *complaints);

/** Writes the configuration as YAML to stdout. Returns false after a message. */
bool config_dump(const struct config *config);

/** Replaces a text of the configuration by a copy of value. Returns false when out of memory. */
bool config_set(char **text, const char *value);

#endif
