/* SPDX-License-Identifier: MIT */
/*
 * addr.c - socket addresses from and to text. Opens no socket; asks the resolver only for what is no literal.
 * Called at startup for listeners, and where a peer's address is wanted as text.
 */
#include "base/addr.h"

#include "base/num.h"
#include <peregrine/types.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define HOST_BYTES_MAX \
	256u /* a name has at most 253 (RFC 1035 section 2.3.4), an IPv6 literal with a zone 62 */

static int refuse(const char **why, const char *reason)
{
	if (why != NULL)
		*why = reason;
	return PER_EADDR;
}

static void addr_set_ip4(struct per__addr *out, const void *ip)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&out->storage;

	in->sin_family = AF_INET;
	memcpy(&in->sin_addr, ip, 4);
	out->len = sizeof(*in);
}

static void addr_set_ip6(struct per__addr *out, const void *ip)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->storage;

	in6->sin6_family = AF_INET6;
	memcpy(&in6->sin6_addr, ip, 16);
	out->len = sizeof(*in6);
}

/* Behind "unix:". To the kernel an abstract name (Linux) begins with a NUL and does not end with one. */
static int parse_unix(struct per__addr *out, const char *path, const char **why)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&out->storage;
	size_t len = strlen(path);
	bool is_abstract = path[0] == '@';

	if (len == 0 || (is_abstract && len == 1))
		return refuse(why, "the unix socket has no name");
	if (len > sizeof(un->sun_path) - (is_abstract ? 0 : 1))
		return refuse(why, "the unix socket's path is too long");
#ifndef __linux__
	if (is_abstract)
		return refuse(why, "abstract unix sockets exist on Linux only");
#endif
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, len);
	if (is_abstract)
		un->sun_path[0] = '\0';
	out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (is_abstract ? 0 : 1));
	return 0;
}

/* Behind "fd:". */
static int parse_inherited(struct per__addr *out, const char *digits, const char **why)
{
	uint64_t fd;

	if (!per__num_from_dec(digits, strlen(digits), &fd) || fd > INT32_MAX)
		return refuse(why, "fd: needs the number of a descriptor");
	out->inherited_fd = (int)fd;
	return 0;
}

/* A name, or an IPv6 literal with a zone ("fe80::1%eth0"), which only the resolver can read. */
static int resolve(struct per__addr *out, const char *host, int flags, const char **why)
{
	struct addrinfo hints = { .ai_flags = flags, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;

	if (getaddrinfo(host, NULL, &hints, &found) != 0 || found == NULL)
		return refuse(why, "the host name does not resolve");
	PER_ASSERT(found->ai_addrlen <= sizeof(out->storage));
	memcpy(&out->storage, found->ai_addr, found->ai_addrlen);
	out->len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static int parse_host(struct per__addr *out, const char *text, size_t len, const char **why)
{
	bool is_bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';
	char host[HOST_BYTES_MAX];
	uint8_t ip[16];

	if (len == 0 || (len == 1 && text[0] == '*')) {
		out->is_wildcard = true;
		addr_set_ip6(out, &in6addr_any);
		return 0;
	}
	if (is_bracketed) {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(host))
		return refuse(why, "the host name is empty or too long");
	memcpy(host, text, len);
	host[len] = '\0';

	if (!is_bracketed && strchr(host, ':') != NULL)
		return refuse(why, "an IPv6 address needs brackets: [::1]:80");
	if (!is_bracketed && inet_pton(AF_INET, host, ip) == 1) {
		addr_set_ip4(out, ip);
		return 0;
	}
	if (!is_bracketed)
		return resolve(out, host, 0, why);
	if (inet_pton(AF_INET6, host, ip) == 1) {
		addr_set_ip6(out, ip);
		return 0;
	}
	if (strchr(host, ':') == NULL || strchr(host, '%') == NULL)
		return refuse(why, "the brackets hold no IPv6 address");
	return resolve(out, host, AI_NUMERICHOST, why);
}

int per__addr_parse(struct per__addr *out, const char *text, const char **why)
{
	const char *colon;
	uint64_t port;
	int err;

	memset(out, 0, sizeof(*out));
	out->inherited_fd = -1;
	if (text == NULL || text[0] == '\0')
		return refuse(why, "the address is empty");
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(out, text + 5, why);
	if (strncmp(text, "fd:", 3) == 0)
		return parse_inherited(out, text + 3, why);

	colon = strrchr(text, ':');
	if (colon == NULL)
		return refuse(why, "a port is missing: host:port");
	if (!per__num_from_dec(colon + 1, strlen(colon + 1), &port) || port > UINT16_MAX)
		return refuse(why, "the port is no number from 0 to 65535");
	err = parse_host(out, text, (size_t)(colon - text), why);
	if (err != 0) {
		out->len = 0;
		return err;
	}
	per__addr_set_port(out, (uint16_t)port);
	return 0;
}

/* What snprintf returned, as the length that is really there. */
static int clip(int len, size_t cap)
{
	if (len < 0)
		return 0;
	return (size_t)len < cap ? len : (int)(cap > 0 ? cap - 1 : 0);
}

static int format_unix(const struct per__addr *addr, char *buf, size_t cap)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&addr->storage;
	size_t len = (size_t)addr->len - offsetof(struct sockaddr_un, sun_path);

	if (len > 0 && un->sun_path[0] == '\0')
		return clip(snprintf(buf, cap, "unix:@%.*s", (int)len - 1, un->sun_path + 1), cap);
	return clip(snprintf(buf, cap, "unix:%.*s", (int)len, un->sun_path), cap);
}

static int format_ip6(const struct sockaddr_in6 *in6, char *buf, size_t cap)
{
	char ip[INET6_ADDRSTRLEN] = "?";

	(void)inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
	if (in6->sin6_scope_id != 0)
		return clip(snprintf(buf, cap, "[%s%%%u]:%u", ip, (unsigned)in6->sin6_scope_id,
				     (unsigned)ntohs(in6->sin6_port)),
			    cap);
	return clip(snprintf(buf, cap, "[%s]:%u", ip, (unsigned)ntohs(in6->sin6_port)), cap);
}

int per__addr_format(const struct per__addr *addr, char *buf, size_t cap)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&addr->storage;
	char ip[INET_ADDRSTRLEN] = "?";

	if (addr->len == 0)
		return addr->inherited_fd >= 0 ? clip(snprintf(buf, cap, "fd:%d", addr->inherited_fd), cap)
					       : clip(snprintf(buf, cap, "none"), cap);
	if (addr->is_wildcard)
		return clip(snprintf(buf, cap, "*:%u", (unsigned)per__addr_port(addr)), cap);
	switch (addr->storage.ss_family) {
	case AF_UNIX:
		return format_unix(addr, buf, cap);
	case AF_INET6:
		return format_ip6((const struct sockaddr_in6 *)&addr->storage, buf, cap);
	case AF_INET:
		(void)inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
		return clip(snprintf(buf, cap, "%s:%u", ip, (unsigned)ntohs(in->sin_port)), cap);
	default:
		return clip(snprintf(buf, cap, "unknown"), cap);
	}
}

uint16_t per__addr_port(const struct per__addr *addr)
{
	if (addr->storage.ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)&addr->storage)->sin_port);
	if (addr->storage.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&addr->storage)->sin6_port);
	return 0;
}

void per__addr_set_port(struct per__addr *addr, uint16_t port)
{
	if (addr->storage.ss_family == AF_INET)
		((struct sockaddr_in *)&addr->storage)->sin_port = htons(port);
	else if (addr->storage.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&addr->storage)->sin6_port = htons(port);
}

bool per__ip_parse(const char *src, size_t len, uint8_t *family, uint8_t ip[16])
{
	char text[INET6_ADDRSTRLEN];

	if (len == 0 || len >= sizeof(text) || memchr(src, '\0', len) != NULL)
		return false;
	memcpy(text, src, len);
	text[len] = '\0';
	memset(ip, 0, 16);
	*family = 4;
	if (inet_pton(AF_INET, text, ip) == 1)
		return true;
	*family = 6;
	return inet_pton(AF_INET6, text, ip) == 1;
}

void per__peer_set_ip6(struct per__peer *peer, const uint8_t ip[16])
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	memset(peer->ip, 0, sizeof(peer->ip));
	if (memcmp(ip, mapped, sizeof(mapped)) == 0) {
		peer->family = 4;
		memcpy(peer->ip, ip + 12, 4);
		return;
	}
	peer->family = 6;
	memcpy(peer->ip, ip, 16);
}

void per__peer_from_sockaddr(struct per__peer *out, const struct sockaddr *addr, socklen_t len)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	sa_family_t family;

	memset(out, 0, sizeof(*out));
	if (addr == NULL || (size_t)len < offsetof(struct sockaddr, sa_data))
		return;
	memcpy(&family, (const uint8_t *)addr + offsetof(struct sockaddr, sa_family), sizeof(family));
	if (family == AF_INET && (size_t)len >= sizeof(in)) {
		memcpy(&in, addr, sizeof(in));
		out->family = 4;
		out->port = ntohs(in.sin_port);
		memcpy(out->ip, &in.sin_addr, 4);
	} else if (family == AF_INET6 && (size_t)len >= sizeof(in6)) {
		memcpy(&in6, addr, sizeof(in6));
		out->port = ntohs(in6.sin6_port);
		per__peer_set_ip6(out, in6.sin6_addr.s6_addr);
	} else if (family == AF_UNIX) {
		out->family = 1;
	}
}

int per__peer_format(const struct per__peer *peer, char *buf, size_t cap)
{
	char ip[INET6_ADDRSTRLEN] = "?";

	switch (peer->family) {
	case 1:
		return clip(snprintf(buf, cap, "unix:"), cap);
	case 4:
		(void)inet_ntop(AF_INET, peer->ip, ip, sizeof(ip));
		return clip(snprintf(buf, cap, "%s:%u", ip, (unsigned)peer->port), cap);
	case 6:
		(void)inet_ntop(AF_INET6, peer->ip, ip, sizeof(ip));
		return clip(snprintf(buf, cap, "[%s]:%u", ip, (unsigned)peer->port), cap);
	default:
		return clip(snprintf(buf, cap, "unknown"), cap);
	}
}

size_t per__peer_format_ip(const struct per__peer *peer, char *buf)
{
	size_t len = 0;

	switch (peer->family) {
	case 1:
		memcpy(buf, "unix:", 5);
		return 5;
	case 4: /* for each line of an access log; inet_ntop() would go through printf() */
		for (int i = 0; i < 4; i++) {
			len += per__num_to_dec(buf + len, peer->ip[i]);
			buf[len++] = '.';
		}
		return len - 1;
	case 6:
		if (inet_ntop(AF_INET6, peer->ip, buf, INET6_ADDRSTRLEN) != NULL)
			return strlen(buf);
		/* fallthrough */
	default:
		memcpy(buf, "unknown", 7);
		return 7;
	}
}
