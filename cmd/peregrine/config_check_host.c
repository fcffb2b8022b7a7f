/* SPDX-License-Identifier: MIT */
/*
 * config_check_host.c - is what a configuration says about its hosts possible. Called by config_check.c.
 */
#include "config_check.h"
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES_MAX 253u
#define FILE_BYTES_MAX 1024u /* of per_static: below the root */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- names ------------------------------------------------------------------------------------ */

static bool is_name(const char *name)
{
	const char *rest = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
	const size_t len = strlen(rest);

	if (name[0] == '[') /* an IPv6 address, as a Host field has it */
		return len > 2 && name[strspn(name, "[]:.0123456789abcdef")] == '\0' && name[len - 1] == ']';
	return len > 0 && strlen(name) <= NAME_BYTES_MAX && rest[0] != '.' && rest[len - 1] != '.' &&
	       strstr(rest, "..") == NULL &&
	       rest[strspn(rest, "-._0123456789abcdefghijklmnopqrstuvwxyz")] == '\0';
}

/* A name and where it stands. */
struct claim {
	const char *name;
	unsigned host, index;
};

static int claim_compare(const void *left, const void *right)
{
	const struct claim *a = left, *b = right;
	const int order = strcmp(a->name, b->name);

	if (order != 0)
		return order;
	if (a->host != b->host)
		return a->host < b->host ? -1 : 1;
	return (a->index > b->index) - (a->index < b->index);
}

/* Every name of every host, sorted; NULL when there are none, or no memory. To be freed. */
static struct claim *claims_make(const struct config *config, size_t *count)
{
	struct claim *claims;

	*count = 0;
	for (unsigned i = 0; i < config->hosts_count; i++)
		*count += config->hosts[i].names_count;
	claims = calloc(*count + 1, sizeof(*claims));
	if (claims == NULL)
		return NULL;
	*count = 0;
	for (unsigned i = 0; i < config->hosts_count; i++) {
		for (unsigned k = 0; k < config->hosts[i].names_count; k++)
			claims[(*count)++] = (struct claim){ config->hosts[i].names[k], i, k };
	}
	qsort(claims, *count, sizeof(*claims), claim_compare);
	return claims;
}

/* Nobody has the name of somebody else, or one twice. */
static void check_claims(const struct config *config, struct complaints *complaints)
{
	char path[CHECK_PATH_MAX];
	size_t count;
	struct claim *claims = claims_make(config, &count);

	if (claims == NULL) {
		complain(complaints, "hosts", "out of memory");
		return;
	}
	for (size_t i = 1; i < count; i++) {
		if (strcmp(claims[i].name, claims[i - 1].name) != 0)
			continue;
		check_path(path, "hosts[%u].names[%u]", claims[i].host, claims[i].index);
		complain(complaints, path, "\"%.100s\" is a name of hosts[%u] already", claims[i].name,
			 claims[i - 1].host);
	}
	free(claims);
}

static void check_names(const struct config *config, unsigned i, struct complaints *complaints)
{
	const struct config_host *host = &config->hosts[i];
	char path[CHECK_PATH_MAX];

	for (unsigned k = 0; k < host->names_count; k++) {
		check_path(path, "hosts[%u].names[%u]", i, k);
		if (!is_name(host->names[k]))
			complain(complaints, path,
				 "\"%.100s\": expected a name such as example.org or *.example.org",
				 host->names[k]);
	}
	for (unsigned k = 0; k < i && host->names_count == 0; k++) {
		check_path(path, "hosts[%u]", i);
		if (config->hosts[k].names_count == 0)
			complain(complaints, path,
				 "names is missing; only one host may be without, and hosts[%u] is", k);
	}
}

/* --- files ------------------------------------------------------------------------------------ */

static void check_folder(const struct config_host *host, unsigned i, struct complaints *complaints)
{
	char path[CHECK_PATH_MAX];
	struct stat info;

	check_path(path, "hosts[%u]", i);
	if (host->root == NULL) {
		if (host->redirects_count == 0 && !host->https_redirect && !host->welcome)
			complain(complaints, path, "root is missing: nothing to serve");
		if (host->autoindex || host->fallback != NULL || host->error_pages_count > 0)
			complain(complaints, path,
				 "root is missing: autoindex, fallback and error_pages need it");
		return;
	}
	check_path(path, "hosts[%u].root", i);
	if (stat(host->root, &info) != 0)
		complain(complaints, path, "\"%.200s\": %s", host->root, strerror(errno));
	else if (!S_ISDIR(info.st_mode))
		complain(complaints, path, "\"%.200s\": not a directory", host->root);
}

static bool is_path(const char *text)
{
	return text[0] == '/' && check_is_value(text);
}

/* A file below the root, as the library wants it: not too long, no empty segment, no "." and no "..". */
static bool is_file(const char *text)
{
	if (strlen(text) > FILE_BYTES_MAX)
		return false;
	for (;;) {
		const size_t len = strcspn(text, "/");

		if (len == 0 || (len <= 2 && strspn(text, ".") == len))
			return false;
		if (text[len] == '\0')
			return true;
		text += len + 1;
	}
}

/* Where it is missing the library goes on without: requests get a short text, or 404. */
static void check_file(const struct config_host *host, const char *file, const char *path,
		       struct complaints *complaints)
{
	char full[2 * CONFIG_TEXT_MAX + 2];
	struct stat info;

	if (!is_file(file)) {
		complain(complaints, path,
			 "\"%.100s\": expected a file below the root, such as errors/404.html", file);
		return;
	}
	if (host->root == NULL || stat(host->root, &info) != 0)
		return;
	snprintf(full, sizeof(full), "%s/%s", host->root, file);
	if (stat(full, &info) != 0)
		complain_softly(complaints, path, "\"%.300s\": %s", full, strerror(errno));
	else if (!S_ISREG(info.st_mode))
		complain_softly(complaints, path, "\"%.300s\": is no file", full);
}

static void check_error_pages(const struct config_host *host, unsigned i, struct complaints *complaints)
{
	char path[CHECK_PATH_MAX];

	for (unsigned k = 0; k < host->error_pages_count; k++) {
		const unsigned status = host->error_pages[k].status;
		unsigned first = 0;

		check_path(path, "hosts[%u].error_pages[%u].status", i, k);
		if (status < 400 || status > 599)
			complain(complaints, path, "%u: expected 400 to 599", status);
		while (host->error_pages[first].status != status)
			first++;
		if (first < k)
			complain(complaints, path, "%u: error_pages[%u] is for it already", status, first);
		check_path(path, "hosts[%u].error_pages[%u].file", i, k);
		check_file(host, host->error_pages[k].file, path, complaints);
	}
}

static void check_files_of(const struct config_host *host, unsigned i, struct complaints *complaints)
{
	char path[CHECK_PATH_MAX];

	check_path(path, "hosts[%u].fallback", i);
	if (host->fallback != NULL)
		check_file(host, host->fallback, path, complaints);
	for (unsigned k = 0; k < host->index_count; k++) {
		check_path(path, "hosts[%u].index[%u]", i, k);
		if (strchr(host->index[k], '/') != NULL || !is_file(host->index[k]))
			complain(complaints, path, "\"%.100s\": expected a name without /", host->index[k]);
	}
	check_error_pages(host, i, complaints);
}

/* --- fields ----------------------------------------------------------------------------------- */

/* What per_static takes as a pattern, or no pattern. */
static void check_match(const char *match, const char *path, struct complaints *complaints)
{
	const char *star = match != NULL ? strchr(match, '*') : NULL;

	if (match == NULL)
		return;
	if ((match[0] != '/' && match[0] != '*') || (star != NULL && strchr(star + 1, '*') != NULL))
		complain(complaints, path,
			 "\"%.100s\": expected a path with at most one *, such as /assets/*", match);
}

static void check_header_name(const struct config_header *header, const char *path,
			      struct complaints *complaints)
{
	static const char *const ours[] = {
		"content-length", "transfer-encoding", "date",
		"connection",     "content-type",      "content-encoding",
		"content-range",  "last-modified",     "accept-ranges",
		"etag",           "location",          "allow",
	};

	if (!check_is_token(header->name))
		complain(complaints, path, "\"%.100s\": expected the name of a field", header->name);
	for (size_t j = 0; j < COUNT(ours); j++) {
		if (strcasecmp(header->name, ours[j]) == 0)
			complain(complaints, path, "\"%.100s\" is set by the server itself", header->name);
	}
}

static void check_headers(const struct config_host *host, unsigned i, struct complaints *complaints)
{
	char path[CHECK_PATH_MAX];

	for (unsigned k = 0; k < host->headers_count; k++) {
		const struct config_header *header = &host->headers[k];

		check_path(path, "hosts[%u].headers[%u].name", i, k);
		check_header_name(header, path, complaints);
		check_path(path, "hosts[%u].headers[%u].match", i, k);
		check_match(header->match, path, complaints);
		check_path(path, "hosts[%u].headers[%u].value", i, k);
		if (!check_is_value(header->value))
			complain(complaints, path,
				 "expected a value without control characters and outer spaces");
	}
	for (unsigned k = 0; k < host->cache_control_count; k++) {
		check_path(path, "hosts[%u].cache_control[%u].match", i, k);
		check_match(host->cache_control[k].match, path, complaints);
		check_path(path, "hosts[%u].cache_control[%u].value", i, k);
		if (!check_is_value(host->cache_control[k].value))
			complain(complaints, path, "expected a value such as \"public, max-age=3600\"");
	}
}

static void check_redirect(const struct config_redirect *redirect, const char *where,
			   struct complaints *complaints)
{
	const char *from = redirect->path != NULL ? redirect->path : redirect->prefix;
	char path[CHECK_PATH_MAX];

	if ((redirect->path == NULL) == (redirect->prefix == NULL)) {
		complain(complaints, where, "expected either path or prefix");
		return;
	}
	check_path(path, "%s.%s", where, redirect->path != NULL ? "path" : "prefix");
	if (!is_path(from) || strchr(from, '?') != NULL)
		complain(complaints, path, "\"%.100s\": expected a path such as /old", from);
	check_path(path, "%s.to", where);
	if (!check_is_value(redirect->to) || strpbrk(redirect->to, " \t") != NULL ||
	    (redirect->to[0] != '/' && strncmp(redirect->to, "http://", 7) != 0 &&
	     strncmp(redirect->to, "https://", 8) != 0))
		complain(complaints, path,
			 "\"%.100s\": expected a path or an address, such as /new or https://example.org/",
			 redirect->to);
	check_path(path, "%s.status", where);
	if (redirect->status != 301 && redirect->status != 302 && redirect->status != 303 &&
	    redirect->status != 307 && redirect->status != 308)
		complain(complaints, path, "%u: expected 301, 302, 303, 307 or 308", redirect->status);
}

/* Of two rules for one path the second would never be used. */
static bool is_same_source(const struct config_redirect *a, const struct config_redirect *b)
{
	return (a->path != NULL && b->path != NULL && strcmp(a->path, b->path) == 0) ||
	       (a->prefix != NULL && b->prefix != NULL && strcmp(a->prefix, b->prefix) == 0);
}

static void check_redirects(const struct config_host *host, unsigned i, struct complaints *complaints)
{
	char path[CHECK_PATH_MAX];

	for (unsigned k = 0; k < host->redirects_count; k++) {
		unsigned first = 0;

		check_path(path, "hosts[%u].redirects[%u]", i, k);
		check_redirect(&host->redirects[k], path, complaints);
		while (!is_same_source(&host->redirects[first], &host->redirects[k]) && first < k)
			first++;
		if (first < k)
			complain(complaints, path, "has the path or prefix of redirects[%u]", first);
	}
}

/* --- TLS -------------------------------------------------------------------------------------- */

static bool has_tls(const struct config *config)
{
	for (unsigned i = 0; i < config->listen_count; i++) {
		if (config->listen[i].tls)
			return true;
	}
	return false;
}

static void check_readable(const char *file, const char *path, struct complaints *complaints)
{
	if (access(file, R_OK) != 0)
		complain(complaints, path, "\"%.200s\": %s", file, strerror(errno));
}

static void check_tls(const struct config *config, unsigned i, struct complaints *complaints)
{
	const struct config_host *host = &config->hosts[i];
	char path[CHECK_PATH_MAX];
	uint64_t number;

	for (unsigned k = 0; k < host->certificates_count; k++) {
		check_path(path, "hosts[%u].certificates[%u].cert", i, k);
		check_readable(host->certificates[k].cert, path, complaints);
		check_path(path, "hosts[%u].certificates[%u].key", i, k);
		check_readable(host->certificates[k].key, path, complaints);
	}
	check_path(path, "hosts[%u].client_ca", i);
	if (host->client_ca != NULL)
		check_readable(host->client_ca, path, complaints);
	check_path(path, "hosts[%u].client_auth", i);
	if ((host->client_auth == CLIENT_AUTH_OPTIONAL || host->client_auth == CLIENT_AUTH_REQUIRED) &&
	    host->client_ca == NULL && config->tls.client_ca == NULL)
		complain(complaints, path, "client_ca is missing, here and in tls");
	if (host->client_auth != CLIENT_AUTH_DEFAULT && host->certificates_count == 0)
		complain(complaints, path, "a host without certificates asks for none");
	check_path(path, "hosts[%u].https_port", i);
	range_read(&range_port, host->https_port, path, complaints, &number);
	if (host->hsts != NULL) {
		check_path(path, "hosts[%u].hsts.max_age", i);
		range_read(&range_max_age, host->hsts->max_age, path, complaints, &number);
	}
	check_path(path, "hosts[%u].https_redirect", i);
	if (host->https_redirect && !has_tls(config))
		complain(complaints, path, "no listener has tls: true, so it would lead nowhere");
}

static bool has_wildcard(const struct config_host *host)
{
	for (unsigned k = 0; k < host->names_count; k++) {
		if (host->names[k][0] == '*')
			return true;
	}
	return false;
}

/*
 * In the handshake a host without names has those of its certificates, which a request does not know of:
 * there the first host's rules seem to hold, or those of a wildcard. Where these ask clients for other
 * certificates, a client could be taken for one that has shown the right one.
 */
static void check_nameless(const struct config *config, unsigned i, struct complaints *complaints)
{
	const struct config_host *host = &config->hosts[i];
	unsigned first = 0;
	char path[CHECK_PATH_MAX];

	if (host->names_count > 0 || host->certificates_count == 0)
		return;
	while (config->hosts[first].certificates_count == 0)
		first++;
	check_path(path, "hosts[%u]", i);
	for (unsigned k = 0; k < config->hosts_count; k++) {
		const struct config_host *other = &config->hosts[k];

		if (other->certificates_count > 0 && (k == first || has_wildcard(other)) &&
		    !config_asks_alike(config, host, other)) {
			complain(complaints, path,
				 "names is missing, and hosts[%u] asks clients for other certificates", k);
			return;
		}
	}
}

static void check_tls_section(const struct config_tls *tls, struct complaints *complaints)
{
	if (tls->client_ca != NULL)
		check_readable(tls->client_ca, "tls.client_ca", complaints);
	else if (tls->client_auth == CLIENT_AUTH_OPTIONAL || tls->client_auth == CLIENT_AUTH_REQUIRED)
		complain(complaints, "tls.client_auth", "client_ca is missing");
}

static void check_certificates(const struct config *config, struct complaints *complaints)
{
	char path[CHECK_PATH_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < config->hosts_count; i++)
		count += config->hosts[i].certificates_count;
	for (unsigned i = 0; i < config->listen_count && count == 0; i++) {
		check_path(path, "listen[%u].tls", i);
		if (config->listen[i].tls)
			complain(complaints, path, "no host has certificates");
	}
	for (unsigned i = 0; i < config->hosts_count && !has_tls(config); i++) {
		check_path(path, "hosts[%u].certificates", i);
		if (config->hosts[i].certificates_count > 0)
			complain_softly(complaints, path, "no listener has tls: true, so nobody sees them");
	}
}

void check_hosts(const struct config *config, struct complaints *complaints)
{
	for (unsigned i = 0; i < config->hosts_count; i++) {
		const struct config_host *host = &config->hosts[i];

		check_names(config, i, complaints);
		check_folder(host, i, complaints);
		check_files_of(host, i, complaints);
		check_headers(host, i, complaints);
		check_redirects(host, i, complaints);
		check_tls(config, i, complaints);
		check_nameless(config, i, complaints);
	}
	check_claims(config, complaints);
	check_tls_section(&config->tls, complaints);
	check_certificates(config, complaints);
}
