/* SPDX-License-Identifier: MIT */
/*
 * static_conf.h - the configuration of a directory after defaults, checks and copies. Never changes once
 * it is made; read by workers and disk threads.
 */
#ifndef PER_SERVICES_STATIC_CONF_H
#define PER_SERVICES_STATIC_CONF_H

#include "base/log.h"
#include "base/text.h"
#include <peregrine/static.h>

struct per__static_conf {
	const char *root;
	int cwd; /* where a relative root begins; -1: it is absolute */
	const char **index_names;
	size_t index_cnt;
	per_static_listing listing;
	per_static_links links;
	bool serves_dotfiles;
	bool has_precompressed;
	per_str fallback; /* below the root; absent: none */

	per_static_field *cache_control, *fields;
	size_t cache_control_cnt, field_cnt;
	per_static_type *types;
	size_t type_cnt;
	const char *default_type;
	per_static_error_page *error_pages;
	size_t error_page_cnt;
	per_str common; /* field lines of every answer, errors too */

	size_t cache_bytes, cache_file_bytes; /* over all workers */
	uint32_t cache_entries, cache_descriptors;
	int64_t check_ns, idle_ns;
	bool is_cached;
	unsigned disk_threads;
	struct per__log log;
};

/** Checks and copies. Returns 0, or PER_EINVAL, PER_ENOMEM, PER_EMFILE with the reason in the log. */
int per__static_conf_init(struct per__static_conf *conf, const per_static_config *config);
void per__static_conf_fini(struct per__static_conf *conf);

/** Does a path, beginning with '/', match a pattern? */
bool per__pattern_matches(const char *pattern, per_str path);

/** Adds the field lines that a file at path gets besides those that describe it: Cache-Control, fields. */
void per__static_conf_lines(const struct per__static_conf *conf, struct per__text *text, per_str path);

/** The configured media type of an extension, NULL when there is none. */
const char *per__static_conf_type(const struct per__static_conf *conf, per_str extension);

/** The error page of a status, below the root; absent when there is none. */
per_str per__static_conf_error_page(const struct per__static_conf *conf, int status);

#endif
