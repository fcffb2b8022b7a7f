/* SPDX-License-Identifier: MIT */
/*
 * host.c - what the requests for one host get: https, redirects, fields, files, or the welcome page. Called
 * by site.c.
 */
#include "host.h"

#include "settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT PER_S("text/plain")

/* --- making ----------------------------------------------------------------------------------- */

/* Everything per_static_new() is told, in lists that end with it. */
struct files_config {
	per_static_config config;
	per_static_field *fields, *cache_control;
	per_static_type *types;
	per_static_error_page *error_pages;
};

static bool lists_make(struct files_config *out, const struct config *config, const struct config_host *host)
{
	out->fields = calloc(host->headers_count + 1u, sizeof(*out->fields));
	out->cache_control = calloc(host->cache_control_count + 1u, sizeof(*out->cache_control));
	out->types = calloc(config->files.types_count + 1u, sizeof(*out->types));
	out->error_pages = calloc(host->error_pages_count + 1u, sizeof(*out->error_pages));
	return out->fields != NULL && out->cache_control != NULL && out->types != NULL &&
	       out->error_pages != NULL;
}

static void lists_free(struct files_config *out)
{
	free(out->fields);
	free(out->cache_control);
	free(out->types);
	free(out->error_pages);
}

static void lists_fill(struct files_config *out, const struct config *config, const struct config_host *host)
{
	per_static_config *files = &out->config;

	for (unsigned i = 0; i < host->headers_count; i++) {
		const struct config_header *header = &host->headers[i];

		if (header->match != NULL)
			out->fields[files->field_count++] = (per_static_field){ .pattern = header->match,
										.name = header->name,
										.value = header->value };
	}
	for (unsigned i = 0; i < host->cache_control_count; i++)
		out->cache_control[i] = (per_static_field){ .pattern = host->cache_control[i].match,
							    .value = host->cache_control[i].value };
	for (unsigned i = 0; i < config->files.types_count; i++)
		out->types[i] =
			(per_static_type){ config->files.types[i].extension, config->files.types[i].type };
	for (unsigned i = 0; i < host->error_pages_count; i++)
		out->error_pages[i] = (per_static_error_page){ (int)host->error_pages[i].status,
							       host->error_pages[i].file };
	files->fields = out->fields;
	files->cache_control = out->cache_control;
	files->cache_control_count = host->cache_control_count;
	files->types = out->types;
	files->type_count = config->files.types_count;
	files->error_pages = out->error_pages;
	files->error_page_count = host->error_pages_count;
}

static uint64_t part(uint64_t whole, unsigned share, uint64_t least)
{
	return whole / share > least ? whole / share : least;
}

static void budgets_fill(per_static_config *files, const struct config *config, unsigned share)
{
	files->cache_bytes = (size_t)part(settings_number(config, NUMBER_CACHE), share, 1u << 20);
	files->cache_file_bytes = (size_t)settings_number(config, NUMBER_CACHE_FILE);
	files->cache_entries = (unsigned)part(settings_number(config, NUMBER_ENTRIES), share, 64);
	files->cache_descriptors = (unsigned)part(settings_number(config, NUMBER_DESCRIPTORS), share, 16);
	files->check_ms = (unsigned)settings_number(config, NUMBER_CHECK);
	files->cache_idle_ms = (unsigned)settings_number(config, NUMBER_FILES_IDLE);
	files->disk_threads = (unsigned)settings_number(config, NUMBER_DISK_THREADS);
	files->no_cache = settings_number(config, NUMBER_CACHE) == 0;
}

static bool files_make(struct host *host, const struct config *config, unsigned share, struct logger *logger)
{
	const struct config_host *section = host->config;
	struct files_config made = { .config = {
					     .root = section->root,
					     .index_names = (const char *const *)section->index,
					     .index_count = section->index_count,
					     .listing = section->autoindex ? PER_STATIC_LISTING_ON
									   : PER_STATIC_LISTING_OFF,
					     .fallback = section->fallback,
					     .links = (per_static_links)section->symlinks,
					     .dotfiles = (per_static_dotfiles)section->dotfiles,
					     .no_precompressed = !*section->precompressed,
					     .nosniff = section->nosniff,
					     .default_type = config->files.default_type,
					     .log = logger_line,
					     .log_user = logger,
					     .log_level = PER_LOG_DEBUG, /* the logger chooses */
				     } };
	int err = PER_ENOMEM;

	budgets_fill(&made.config, config, share);
	if (lists_make(&made, config, section)) {
		lists_fill(&made, config, section);
		err = per_static_new(&host->files, &made.config);
	}
	lists_free(&made);
	if (err != 0)
		logger_say(logger, PER_LOG_ERROR, "cannot serve %s: %s", section->root, per_strerror(err));
	return err == 0;
}

static void hsts_make(struct host *host)
{
	const struct config_hsts *hsts = host->config->hsts;

	if (hsts == NULL)
		return;
	snprintf(host->hsts, sizeof(host->hsts), "max-age=%" PRIu64 "%s%s",
		 range_number(&range_max_age, hsts->max_age) / 1000,
		 hsts->subdomains ? "; includeSubDomains" : "", hsts->preload ? "; preload" : "");
}

bool host_make(struct host *host, const struct config *config, const struct config_host *section,
	       unsigned share, struct logger *logger)
{
	*host = (struct host){ .config = section };
	hsts_make(host);
	for (unsigned i = 0; i < section->names_count && host->name == NULL; i++) {
		if (section->names[i][0] != '*')
			host->name = section->names[i];
	}
	if (!redirects_make(&host->redirects, section)) {
		logger_say(logger, PER_LOG_ERROR, "out of memory");
		return false;
	}
	return section->root == NULL || files_make(host, config, share, logger);
}

void host_free(struct host *host)
{
	per_static_free(host->files);
	redirects_free(&host->redirects);
}

/* --- answering -------------------------------------------------------------------------------- */

/* Fields of every answer. */
static int headers_add(const struct host *host, per_req *req)
{
	const struct config_header *headers = host->config->headers;
	int err = 0;

	for (unsigned i = 0; i < host->config->headers_count && err == 0; i++) {
		if (headers[i].match == NULL)
			err = per_header(req, per_str_from(headers[i].name), per_str_from(headers[i].value));
	}
	/* never over plain HTTP: RFC 6797 section 7.2 */
	if (err == 0 && host->hsts[0] != '\0' && per_req_is_tls(req))
		err = per_header(req, PER_S("Strict-Transport-Security"), per_str_from(host->hsts));
	return err;
}

static int refuse_method(per_req *req)
{
	const int err = per_header(req, PER_S("Allow"), PER_S("GET, HEAD"));

	return err != 0 ? err : per_reply(req, 405, TEXT, PER_S("Method Not Allowed\n"));
}

static int welcome_answer(per_req *req, const struct welcome *welcome)
{
	const per_method method = per_req_method(req);

	if (!per_str_equal(per_req_path(req), PER_S("/")))
		return per_reply(req, 404, TEXT, PER_S("Not Found\n"));
	if (method != PER_METHOD_GET && method != PER_METHOD_HEAD)
		return refuse_method(req);
	return welcome_reply(welcome, req);
}

int host_answer(const struct host *host, per_req *req, const struct welcome *welcome)
{
	const struct config_redirect *redirect;
	int err;

	if (host->config->https_redirect && !per_req_is_tls(req))
		return redirect_to_https(req, host->name, host->config->https_port);
	err = headers_add(host, req);
	if (err != 0)
		return err;
	if (host->redirects.exact_count + host->redirects.prefix_count > 0) {
		redirect = redirects_find(&host->redirects, per_req_path(req));
		if (redirect != NULL)
			return redirect_reply(redirect, req);
	}
	if (host->files != NULL)
		return per_static_reply(host->files, req);
	if (host->config->welcome)
		return welcome_answer(req, welcome);
	return per_reply(req, 404, TEXT, PER_S("Not Found\n"));
}
