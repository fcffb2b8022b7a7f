/* SPDX-License-Identifier: MIT */
/*
 * config_check.c - is what a configuration says possible: ranges, addresses, logs, users. Opens nothing
 * that stays open. Hosts are config_check_host.c's.
 */
#include "config_check.h"

#include "config.h"
#include "settings.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- what the library says -------------------------------------------------------------------- */

static void reason_keep(per_log_level level, const char *line, void *user)
{
	char *reason = user;

	(void)level;
	snprintf(reason, COMPLAINT_BYTES_MAX, "%s", line);
}

static void silence(per_log_level level, const char *line, void *user)
{
	(void)level;
	(void)line;
	(void)user;
}

/* per_config_check() wants one; it is not called. */
static int no_request(per_req *req, void *user)
{
	(void)req;
	(void)user;
	return PER_ESTATE;
}

/* Without the words at its beginning that the path says as well. */
static const char *reason_of(const char *line, const char *path)
{
	static const char listen[] = "cannot listen on ";
	const size_t len = strlen(path);

	if (strncmp(line, listen, sizeof(listen) - 1) == 0)
		return line + sizeof(listen) - 1;
	return strncmp(line, path, len) == 0 && line[len] == ' ' ? line + len + 1 : line;
}

static void check_by_library(per_config *part, const char *path, struct complaints *complaints)
{
	char reason[COMPLAINT_BYTES_MAX] = "";
	int err;

	part->handler.on_request = no_request;
	part->log = reason_keep;
	part->log_user = reason;
	err = per_config_check(part);
	if (err != 0)
		complain(complaints, path, "%.400s",
			 reason[0] != '\0' ? reason_of(reason, path) : per_strerror(err));
}

static void check_address(const char *address, const char *path, struct complaints *complaints)
{
	const per_listen listen = { .address = address };

	/* its socket is known when the program is started by systemd */
	if (strncmp(address, "systemd:", 8) == 0)
		return;
	check_by_library(&(per_config){ .listen = &listen, .listen_count = 1 }, path, complaints);
}

/* A free port may be taken twice. */
static void check_listen_once(const struct config *config, unsigned i, const char *path,
			      struct complaints *complaints)
{
	const char *address = config->listen[i].address;
	const char *colon = strrchr(address, ':');
	unsigned first = 0;

	while (strcmp(config->listen[first].address, address) != 0)
		first++;
	if (first < i && (colon == NULL || strcmp(colon, ":0") != 0))
		complain(complaints, path, "\"%.100s\": listen[%u] has it already", address, first);
}

static void check_listen(const struct config *config, struct complaints *complaints)
{
	char path[CHECK_PATH_MAX];
	uint64_t number;

	for (unsigned i = 0; i < config->listen_count; i++) {
		const struct config_listen *listen = &config->listen[i];

		check_path(path, "listen[%u].address", i);
		check_address(listen->address, path, complaints);
		check_listen_once(config, i, path, complaints);
		check_path(path, "listen[%u].backlog", i);
		range_read(&range_backlog, listen->backlog, path, complaints, &number);
		check_path(path, "listen[%u].unix_mode", i);
		range_read(&range_unix_mode, listen->unix_mode, path, complaints, &number);
	}
}

static void check_proxies(const struct config *config, struct complaints *complaints)
{
	char path[CHECK_PATH_MAX];

	if (config->proxy_trusted_count > CHECK_PROXIES_MAX)
		complain(complaints, "proxy_trusted", "has %u entries; at most %u are possible",
			 config->proxy_trusted_count, CHECK_PROXIES_MAX);
	for (unsigned i = 0; i < config->proxy_trusted_count; i++) {
		per_config part = { .proxy_trusted = config->proxy_trusted[i] };

		check_path(path, "proxy_trusted[%u]", i);
		part.handler.on_request = no_request;
		part.log = silence;
		if (strlen(config->proxy_trusted[i]) > CHECK_PROXY_BYTES_MAX ||
		    strpbrk(config->proxy_trusted[i], ", \t\r\n") != NULL || per_config_check(&part) != 0)
			complain(complaints, path,
				 "\"%.100s\": expected a network such as 10.0.0.0/8, or unix",
				 config->proxy_trusted[i]);
	}
	for (unsigned i = 0; i < config->listen_count; i++) {
		check_path(path, "listen[%u].proxy", i);
		if (config->listen[i].proxy && config->proxy_trusted_count == 0)
			complain(complaints, path, "nobody is trusted: proxy_trusted is missing");
	}
}

/* --- the process ------------------------------------------------------------------------------ */

/* A log can be written if its folder is there. */
static void check_log(const char *file, const char *path, struct complaints *complaints)
{
	char folder[CONFIG_TEXT_MAX + 1];
	const char *slash = file != NULL ? strrchr(file, '/') : NULL;
	struct stat info;

	if (slash == NULL)
		return;
	snprintf(folder, sizeof(folder), "%.*s", slash == file ? 1 : (int)(slash - file), file);
	if (stat(folder, &info) != 0)
		complain(complaints, path, "\"%.200s\": %s", folder, strerror(errno));
	else if (!S_ISDIR(info.st_mode))
		complain(complaints, path, "\"%.200s\": not a directory", folder);
	else if (stat(file, &info) == 0 && S_ISDIR(info.st_mode))
		complain(complaints, path, "\"%.200s\": is a directory; expected a file", file);
	else if (stat(file, &info) == 0 && S_ISSOCK(info.st_mode))
		complain(complaints, path, "\"%.200s\": is a socket; expected a file or a FIFO", file);
}

static void check_process(const struct config *config, struct complaints *complaints)
{
	if (config->user != NULL && getpwnam(config->user) == NULL)
		complain(complaints, "user", "\"%.100s\": no such user", config->user);
	if (config->group != NULL && getgrnam(config->group) == NULL)
		complain(complaints, "group", "\"%.100s\": no such group", config->group);
	if (config->group != NULL && config->user == NULL)
		complain(complaints, "group", "needs user: too");
	check_log(config->log.path, "log.path", complaints);
	check_log(config->access_log.path, "access_log.path", complaints);
	if (config->access_log.path == NULL && config->access_log.format != 0)
		complain_softly(complaints, "access_log", "path is missing, so there is no access log");
}

static void check_server(const struct config *config, struct complaints *complaints)
{
	if (config->server_name != NULL) {
		per_config part = { .server_name = config->server_name };

		check_by_library(&part, "server_name", complaints);
	}
	if (config->metrics.address != NULL)
		check_address(config->metrics.address, "metrics.address", complaints);
	if (config->health[0] != '/' && strcmp(config->health, "off") != 0)
		complain(complaints, "health", "\"%.100s\": expected a path such as /healthz, or off",
			 config->health);
}

static void check_files(const struct config_files *files, struct complaints *complaints)
{
	char path[CHECK_PATH_MAX];

	if (!check_is_value(files->default_type))
		complain(complaints, "files.default_type", "\"%.100s\": expected a media type",
			 files->default_type);
	for (unsigned i = 0; i < files->types_count; i++) {
		const char *extension = files->types[i].extension;

		check_path(path, "files.types[%u].extension", i);
		if (extension[strcspn(extension, "./")] != '\0')
			complain(complaints, path, "\"%.100s\": expected an ending without dot, such as html",
				 extension);
		check_path(path, "files.types[%u].type", i);
		if (!check_is_value(files->types[i].type) || strchr(files->types[i].type, '/') == NULL)
			complain(complaints, path, "\"%.100s\": expected a media type such as text/html",
				 files->types[i].type);
	}
}

bool config_check(const struct config *config, struct complaints *complaints)
{
	const unsigned before = complaints->count;
	uint64_t number;

	settings_check(config, complaints);
	if (range_read(&range_access_buffer, config->access_log.buffer, "access_log.buffer", complaints,
		       &number) &&
	    (number & (number - 1)) != 0)
		complain(complaints, "access_log.buffer", "\"%.100s\": expected a power of two",
			 config->access_log.buffer);
	check_listen(config, complaints);
	check_proxies(config, complaints);
	check_server(config, complaints);
	check_process(config, complaints);
	check_files(&config->files, complaints);
	check_hosts(config, complaints);
	return complaints->count == before;
}

/* --- for both files --------------------------------------------------------------------------- */

void check_path(char path[CHECK_PATH_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(path, CHECK_PATH_MAX, format, args);
	va_end(args);
}

/* RFC 9110 section 5.5: visible characters, with spaces and tabs between them. */
bool check_is_value(const char *text)
{
	const size_t len = strlen(text);

	for (size_t i = 0; i < len; i++) {
		const unsigned char c = (unsigned char)text[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return len > 0 && text[0] != ' ' && text[0] != '\t' && text[len - 1] != ' ' && text[len - 1] != '\t';
}

/* RFC 9110 section 5.6.2. */
bool check_is_token(const char *text)
{
	static const char allowed[] =
		"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return text[0] != '\0' && text[strspn(text, allowed)] == '\0';
}
