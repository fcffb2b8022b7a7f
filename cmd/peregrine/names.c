/* SPDX-License-Identifier: MIT */
/*
 * names.c - which host a request is for: two sorted tables, one of names and one of endings. Pure; called
 * on worker threads.
 */
#include "names.h"

#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 253u /* without a dot at the end: RFC 1035 section 2.3.4 */

static int name_compare(const void *left, const void *right)
{
	const struct name *a = left, *b = right;
	const int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);

	return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static void name_add(struct names *names, const char *text, unsigned host)
{
	if (text[0] == '*') {
		names->wild[names->wild_count++] = (struct name){ text + 1, strlen(text + 1), host };
		return;
	}
	names->exact[names->exact_count++] = (struct name){ text, strlen(text), host };
}

/* The host whose certificate comes first: one without names, else the first (engine.c has the same order). */
static unsigned first_certificate(const struct config *config)
{
	unsigned first = config->hosts_count;

	for (unsigned i = config->hosts_count; i > 0; i--) {
		const struct config_host *host = &config->hosts[i - 1];

		if (host->certificates_count > 0 && host->names_count == 0)
			return i - 1;
		if (host->certificates_count > 0)
			first = i - 1;
	}
	return first < config->hosts_count ? first : 0;
}

bool names_make(struct names *names, const struct config *config, bool is_tls)
{
	size_t count = 1;

	*names = (struct names){ .is_tls = is_tls };
	for (unsigned i = 0; i < config->hosts_count; i++)
		count += config->hosts[i].names_count;
	names->exact = calloc(count, sizeof(*names->exact));
	names->wild = calloc(count, sizeof(*names->wild));
	if (names->exact == NULL || names->wild == NULL)
		return false;
	for (unsigned i = 0; i < config->hosts_count; i++) {
		if (is_tls && config->hosts[i].certificates_count == 0)
			continue;
		for (unsigned k = 0; k < config->hosts[i].names_count; k++)
			name_add(names, config->hosts[i].names[k], i);
		if (config->hosts[i].names_count == 0)
			names->fallback = i;
	}
	if (is_tls)
		names->fallback = first_certificate(config);
	qsort(names->exact, names->exact_count, sizeof(*names->exact), name_compare);
	qsort(names->wild, names->wild_count, sizeof(*names->wild), name_compare);
	return true;
}

void names_free(struct names *names)
{
	free(names->exact);
	free(names->wild);
}

per_str names_without_port(per_str host)
{
	size_t len = host.len;

	while (len > 0 && host.ptr[len - 1] >= '0' && host.ptr[len - 1] <= '9')
		len--;
	if (len > 0 && host.ptr[len - 1] == ':')
		return per_str_make(host.ptr, len - 1);
	return host;
}

/*
 * Lower case, without port and dot. Returns the length, 0 for what cannot be a name. A handshake has no
 * ports, and what TLS takes for no name must be none here (per__tls_names_find() in src/tls/names.c), or a
 * client would be taken for one that another host has asked.
 */
static size_t normalise(const struct names *names, per_str host, char name[NAME_BYTES_MAX])
{
	if (!names->is_tls)
		host = names_without_port(host);
	if (host.len > 0 && host.ptr[host.len - 1] == '.')
		host.len--;
	if (host.len == 0 || host.len > NAME_BYTES_MAX)
		return 0;
	if (names->is_tls && (host.ptr[0] == '*' || host.ptr[0] == '.'))
		return 0;
	for (size_t i = 0; i < host.len; i++) {
		const char c = host.ptr[i];

		name[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	return host.len;
}

static const struct name *find(const struct name *list, size_t count, const char *text, size_t len)
{
	const struct name key = { text, len, 0 };

	return bsearch(&key, list, count, sizeof(*list), name_compare);
}

unsigned names_find(const struct names *names, per_str host)
{
	char name[NAME_BYTES_MAX];
	const struct name *found;
	size_t len;

	if (names->exact_count + names->wild_count == 0 || host.ptr == NULL)
		return names->fallback;
	len = normalise(names, host, name);
	if (len == 0)
		return names->fallback;
	found = find(names->exact, names->exact_count, name, len);
	/* an ending begins with a dot, and something stands before it */
	for (size_t i = 1; i < len && found == NULL && names->wild_count > 0; i++) {
		if (name[i] != '.')
			continue;
		found = find(names->wild, names->wild_count, name + i, len - i);
		if (names->is_tls) /* a star is for one label */
			break;
	}
	return found != NULL ? found->host : names->fallback;
}
