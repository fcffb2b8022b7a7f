/* SPDX-License-Identifier: MIT */
/*
 * static_conf.c - checks and copies the configuration of a directory. Called once for each, by static.c.
 * Invariant: what fails leaves a structure that per__static_conf_fini() may be called for.
 */
#include "services/static_conf.h"

#include "base/mem.h"
#include "http/h1_parse.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define INDEX_MAX 16u
#define RULES_MAX 64u
#define TYPES_MAX 1024u
#define THREADS_MAX 64u
#define NAME_BYTES_MAX 1024u

#define REFUSE(conf, ...) (per__log(&(conf)->log, PER_LOG_ERROR, "static files: " __VA_ARGS__), PER_EINVAL)

/* --- what is allowed -------------------------------------------------------------------------- */

/* Fields that describe the file or frame the message: the library's own. */
static bool name_is_ours(per_str name)
{
	static const char *const names[] = {
		"content-length", "transfer-encoding", "connection",
		"date",           "content-type",      "content-encoding",
		"content-range",  "last-modified",     "accept-ranges",
		"etag",           "location",          "allow",
	};

	for (size_t i = 0; i < PER_ARRAY_LEN(names); i++) {
		if (per_str_equal_nocase(name, per_str_from(names[i])))
			return true;
	}
	return false;
}

static bool is_value(const char *value)
{
	return value != NULL && per__is_field_value(value, strlen(value));
}

/* One star at most, and a '/' in front of what is no star: other patterns match nothing. */
static bool is_pattern(const char *pattern)
{
	const char *star = pattern != NULL ? strchr(pattern, '*') : NULL;

	if (pattern == NULL)
		return true;
	return (pattern[0] == '/' || pattern[0] == '*') && (star == NULL || strchr(star + 1, '*') == NULL);
}

static bool segment_leads_out(const char *segment, size_t len)
{
	return len == 0 || (len == 1 && segment[0] == '.') || (len == 2 && memcmp(segment, "..", 2) == 0);
}

/* Is it the name of a file below the root: no empty segment, no "." or ".."? */
static bool is_below(const char *name)
{
	if (name == NULL || strlen(name) > NAME_BYTES_MAX)
		return false;
	for (const char *segment = name;; segment++) {
		size_t len = strcspn(segment, "/");

		if (segment_leads_out(segment, len))
			return false;
		segment += len;
		if (*segment == '\0')
			return true;
	}
}

/* --- copies ----------------------------------------------------------------------------------- */

/* An array of cnt entries of that size, copied; *err is PER_ENOMEM when there is no memory. */
static void *array_copy(const void *from, size_t cnt, size_t bytes, int *err)
{
	void *copy;

	if (cnt == 0 || *err != 0)
		return NULL;
	copy = per__mem_alloc(cnt * bytes);
	if (copy == NULL)
		*err = PER_ENOMEM;
	else
		memcpy(copy, from, cnt * bytes);
	return copy;
}

static const char *text_copy(const char *text, int *err)
{
	char *copy = per__mem_strdup(text);

	if (text != NULL && copy == NULL)
		*err = PER_ENOMEM;
	return copy;
}

static void text_free(const char *text)
{
	per__mem_free((void *)(uintptr_t)text);
}

static per_static_field *fields_copy(const per_static_field *from, size_t cnt, int *err)
{
	per_static_field *copy = array_copy(from, cnt, sizeof(*copy), err);

	for (size_t i = 0; i < cnt && copy != NULL; i++) {
		copy[i].pattern = text_copy(from[i].pattern, err);
		copy[i].name = text_copy(from[i].name, err);
		copy[i].value = text_copy(from[i].value, err);
	}
	return copy;
}

static void fields_free(per_static_field *fields, size_t cnt)
{
	for (size_t i = 0; i < cnt && fields != NULL; i++) {
		text_free(fields[i].pattern);
		text_free(fields[i].name);
		text_free(fields[i].value);
	}
	per__mem_free(fields);
}

/* --- the parts -------------------------------------------------------------------------------- */

static int root_init(struct per__static_conf *conf, const per_static_config *config)
{
	int err = 0;

	if (config->root == NULL || config->root[0] == '\0')
		return REFUSE(conf, "no root");
	conf->root = text_copy(config->root, &err);
	if (err == 0 && config->root[0] != '/') {
		conf->cwd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (conf->cwd < 0)
			return errno == EMFILE || errno == ENFILE
				       ? PER_EMFILE
				       : REFUSE(conf, "the current directory cannot be opened");
	}
	return err;
}

static int index_init(struct per__static_conf *conf, const per_static_config *config)
{
	static const char *const usual[] = { "index.html" };
	const char *const *names = config->index_count > 0 ? config->index_names : usual;
	size_t cnt = config->no_index ? 0 : config->index_count > 0 ? config->index_count : 1;
	int err = 0;

	if (cnt > INDEX_MAX || names == NULL)
		return REFUSE(conf, "index_count is above %u", INDEX_MAX);
	for (size_t i = 0; i < cnt; i++) {
		if (!is_below(names[i]) || strchr(names[i], '/') != NULL)
			return REFUSE(conf, "not the name of an index file: index_names[%zu]", i);
	}
	conf->index_names = array_copy(names, cnt, sizeof(*names), &err);
	for (size_t i = 0; i < cnt && err == 0; i++, conf->index_cnt++)
		conf->index_names[i] = text_copy(names[i], &err);
	return err;
}

static int rules_init(struct per__static_conf *conf, const per_static_config *config)
{
	int err = 0;

	if (config->cache_control_count > RULES_MAX || config->field_count > RULES_MAX)
		return REFUSE(conf, "more than %u rules", RULES_MAX);
	for (size_t i = 0; i < config->cache_control_count; i++) {
		if (!is_pattern(config->cache_control[i].pattern) ||
		    !is_value(config->cache_control[i].value))
			return REFUSE(conf, "a bad pattern or value: cache_control[%zu]", i);
	}
	for (size_t i = 0; i < config->field_count; i++) {
		const per_static_field *field = &config->fields[i];
		per_str name = per_str_from(field->name);

		if (!is_pattern(field->pattern) || !is_value(field->value))
			return REFUSE(conf, "a bad pattern or value: fields[%zu]", i);
		if (name.ptr == NULL || !per__is_token(name.ptr, name.len) || name_is_ours(name))
			return REFUSE(conf, "a name that cannot be added: fields[%zu]", i);
	}
	conf->cache_control = fields_copy(config->cache_control, config->cache_control_count, &err);
	conf->cache_control_cnt = conf->cache_control != NULL ? config->cache_control_count : 0;
	conf->fields = fields_copy(config->fields, config->field_count, &err);
	conf->field_cnt = conf->fields != NULL ? config->field_count : 0;
	return err;
}

static int types_init(struct per__static_conf *conf, const per_static_config *config)
{
	int err = 0;

	if (config->type_count > TYPES_MAX)
		return REFUSE(conf, "type_count is above %u", TYPES_MAX);
	for (size_t i = 0; i < config->type_count; i++) {
		if (config->types[i].extension == NULL || !is_value(config->types[i].type))
			return REFUSE(conf, "a bad extension or type: types[%zu]", i);
	}
	if (config->default_type != NULL && !is_value(config->default_type))
		return REFUSE(conf, "a bad default_type");
	conf->default_type = text_copy(
		config->default_type != NULL ? config->default_type : "application/octet-stream", &err);
	conf->types = array_copy(config->types, config->type_count, sizeof(*conf->types), &err);
	for (size_t i = 0; i < config->type_count && conf->types != NULL; i++, conf->type_cnt++) {
		conf->types[i].extension = text_copy(config->types[i].extension, &err);
		conf->types[i].type = text_copy(config->types[i].type, &err);
	}
	return err;
}

static int pages_init(struct per__static_conf *conf, const per_static_config *config)
{
	const per_static_error_page *pages = config->error_pages;
	int err = 0;

	if (config->error_page_count > RULES_MAX)
		return REFUSE(conf, "error_page_count is above %u", RULES_MAX);
	for (size_t i = 0; i < config->error_page_count; i++) {
		if (pages[i].status < 400 || pages[i].status > 599 || !is_below(pages[i].file))
			return REFUSE(conf, "a bad status or file: error_pages[%zu]", i);
	}
	if (config->fallback != NULL && !is_below(config->fallback))
		return REFUSE(conf, "not the name of a file below the root: fallback");
	conf->fallback = per_str_from(text_copy(config->fallback, &err));
	conf->error_pages = array_copy(pages, config->error_page_count, sizeof(*conf->error_pages), &err);
	for (size_t i = 0; i < config->error_page_count && conf->error_pages != NULL;
	     i++, conf->error_page_cnt++)
		conf->error_pages[i].file = text_copy(pages[i].file, &err);
	return err;
}

/* --- text ------------------------------------------------------------------------------------- */

static void line_add(struct per__text *text, const char *name, const char *value)
{
	per__text_add(text, per_str_from(name));
	per__text_add(text, PER_S(": "));
	per__text_add(text, per_str_from(value));
	per__text_add(text, PER_S("\r\n"));
}

bool per__pattern_matches(const char *pattern, per_str path)
{
	size_t len = strlen(pattern);
	const char *star = memchr(pattern, '*', len);
	size_t before, behind;

	if (star == NULL)
		return len == path.len && memcmp(pattern, path.ptr, len) == 0;
	before = (size_t)(star - pattern);
	behind = len - before - 1;
	return path.len >= before + behind && memcmp(pattern, path.ptr, before) == 0 &&
	       memcmp(star + 1, path.ptr + path.len - behind, behind) == 0;
}

/* Is it for every file, so that errors carry it too? */
static bool is_common(const per_static_field *field)
{
	return field->pattern == NULL;
}

static void common_add(const struct per__static_conf *conf, bool nosniff, struct per__text *text)
{
	if (nosniff)
		line_add(text, "X-Content-Type-Options", "nosniff");
	for (size_t i = 0; i < conf->field_cnt; i++) {
		if (is_common(&conf->fields[i]))
			line_add(text, conf->fields[i].name, conf->fields[i].value);
	}
}

static int common_init(struct per__static_conf *conf, bool nosniff)
{
	struct per__text text = per__text_make(NULL, 0);
	char *memory;

	common_add(conf, nosniff, &text);
	memory = per__mem_alloc(text.len);
	if (memory == NULL)
		return PER_ENOMEM;
	text = per__text_make(memory, text.len);
	common_add(conf, nosniff, &text);
	conf->common = per_str_make(memory, text.len);
	return 0;
}

void per__static_conf_lines(const struct per__static_conf *conf, struct per__text *text, per_str path)
{
	for (size_t i = 0; i < conf->cache_control_cnt; i++) {
		const per_static_field *rule = &conf->cache_control[i];

		if (rule->pattern == NULL || per__pattern_matches(rule->pattern, path)) {
			line_add(text, "Cache-Control", rule->value);
			break;
		}
	}
	per__text_add(text, conf->common);
	for (size_t i = 0; i < conf->field_cnt; i++) {
		const per_static_field *field = &conf->fields[i];

		if (!is_common(field) && per__pattern_matches(field->pattern, path))
			line_add(text, field->name, field->value);
	}
}

const char *per__static_conf_type(const struct per__static_conf *conf, per_str extension)
{
	for (size_t i = 0; i < conf->type_cnt; i++) {
		if (per_str_equal_nocase(extension, per_str_from(conf->types[i].extension)))
			return conf->types[i].type;
	}
	return NULL;
}

per_str per__static_conf_error_page(const struct per__static_conf *conf, int status)
{
	for (size_t i = 0; i < conf->error_page_cnt; i++) {
		if (conf->error_pages[i].status == status)
			return per_str_from(conf->error_pages[i].file);
	}
	return (per_str){ NULL, 0 };
}

/* --- all of it -------------------------------------------------------------------------------- */

static size_t or_default(size_t value, size_t usual)
{
	return value != 0 ? value : usual;
}

static int reserved_check(struct per__static_conf *conf, const per_static_config *config)
{
	for (size_t i = 0; i < PER_ARRAY_LEN(config->reserved); i++) {
		if (config->reserved[i] != NULL)
			return REFUSE(conf, "reserved is not NULL");
	}
	if ((config->field_count > 0 && config->fields == NULL) ||
	    (config->type_count > 0 && config->types == NULL) ||
	    (config->error_page_count > 0 && config->error_pages == NULL) ||
	    (config->cache_control_count > 0 && config->cache_control == NULL))
		return REFUSE(conf, "a count without an array");
	if (config->disk_threads > THREADS_MAX)
		return REFUSE(conf, "disk_threads is above %u", THREADS_MAX);
	return 0;
}

static void plain_init(struct per__static_conf *conf, const per_static_config *config)
{
	bool is_quiet = config->log_level == PER_LOG_ERROR && !config->log_errors_only;

	conf->cwd = -1;
	conf->log = (struct per__log){
		.fn = config->log != NULL ? config->log : per__log_stderr,
		.user = config->log_user,
		.level = is_quiet ? PER_LOG_WARN : config->log_level,
	};
	conf->listing = config->listing;
	conf->links = config->links;
	conf->serves_dotfiles = config->dotfiles == PER_STATIC_DOTFILES_SERVED;
	conf->has_precompressed = !config->no_precompressed;
	conf->is_cached = !config->no_cache;
	conf->cache_bytes = or_default(config->cache_bytes, (size_t)64 << 20);
	conf->cache_file_bytes = or_default(config->cache_file_bytes, (size_t)32 << 10);
	conf->cache_entries = (uint32_t)or_default(config->cache_entries, 8192);
	conf->cache_descriptors = (uint32_t)or_default(config->cache_descriptors, 512);
	conf->check_ns = (int64_t)or_default(config->check_ms, 100) * 1000000;
	conf->idle_ns = (int64_t)or_default(config->cache_idle_ms, 60000) * 1000000;
	conf->disk_threads = (unsigned)or_default(config->disk_threads, 2);
}

int per__static_conf_init(struct per__static_conf *conf, const per_static_config *config)
{
	int err;

	plain_init(conf, config);
	err = reserved_check(conf, config);
	if (err == 0)
		err = root_init(conf, config);
	if (err == 0)
		err = index_init(conf, config);
	if (err == 0)
		err = rules_init(conf, config);
	if (err == 0)
		err = types_init(conf, config);
	if (err == 0)
		err = pages_init(conf, config);
	if (err == 0)
		err = common_init(conf, config->nosniff);
	return err;
}

void per__static_conf_fini(struct per__static_conf *conf)
{
	for (size_t i = 0; i < conf->index_cnt; i++)
		text_free(conf->index_names[i]);
	for (size_t i = 0; i < conf->type_cnt; i++) {
		text_free(conf->types[i].extension);
		text_free(conf->types[i].type);
	}
	for (size_t i = 0; i < conf->error_page_cnt; i++)
		text_free(conf->error_pages[i].file);
	fields_free(conf->cache_control, conf->cache_control_cnt);
	fields_free(conf->fields, conf->field_cnt);
	per__mem_free(conf->index_names);
	per__mem_free(conf->types);
	per__mem_free(conf->error_pages);
	text_free(conf->fallback.ptr);
	text_free(conf->common.ptr);
	text_free(conf->default_type);
	text_free(conf->root);
	if (conf->cwd >= 0)
		close(conf->cwd);
}
