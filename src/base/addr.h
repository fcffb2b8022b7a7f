/* SPDX-License-Identifier: MIT */
/*
 * addr.h - socket addresses: from and to text, and lists of networks. No sockets are opened here.
 */
#ifndef PER_BASE_ADDR_H
#define PER_BASE_ADDR_H

#include "base/base.h"
#include <sys/socket.h>

/** Any address we listen on or talk to, unix sockets included. */
struct per__addr {
	socklen_t len;    /* 0: none */
	int inherited_fd; /* "fd:N": the descriptor; else -1 */
	bool is_wildcard; /* "*": try IPv6 with IPv4 first, IPv4 alone where there is no IPv6 */
	struct sockaddr_storage storage;
};

/** The small form kept per connection: an IP address and port, or nothing known (family 0), or unix. */
struct per__peer {
	uint8_t family; /* 0, 4, 6, or 1: unix */
	uint16_t port;  /* host order */
	uint8_t ip[16]; /* network order; 4 bytes for IPv4 */
};

/**
 * Parses the address forms of per_listen.address (config.h says which).
 *
 * returns  0; PER_EADDR when it is none of the forms, the port is above 65,535, a unix path does not fit, or
 *          a name does not resolve; *why (may be NULL) then says what was wrong, a static string
 */
int per__addr_parse(struct per__addr *out, const char *text, const char **why);

/**
 * "127.0.0.1:80", "[::1]:80", "unix:/path", "unix:@name", "*:80", "fd:3". Returns the length without NUL; cap
 * of 160 always suffices.
 */
int per__addr_format(const struct per__addr *addr, char *buf, size_t cap);

/** The TCP port in host order; 0 for unix sockets. */
uint16_t per__addr_port(const struct per__addr *addr);
void per__addr_set_port(struct per__addr *addr, uint16_t port);

/** From a kernel address; IPv4 mapped into IPv6 becomes IPv4. */
void per__peer_from_sockaddr(struct per__peer *out, const struct sockaddr *addr, socklen_t len);
void per__peer_set_ip6(struct per__peer *peer, const uint8_t ip[16]); /* the same, leaves the port alone */

/**
 * "192.0.2.1:50000", "[2001:db8::1]:50000", "unix:", "unknown". Returns the length without NUL; cap of 64
 * always suffices.
 */
int per__peer_format(const struct per__peer *peer, char *buf, size_t cap);

/** Writes the address alone: "192.0.2.1", "2001:db8::1", "unix:", "unknown". No NUL; room for 64 bytes. */
size_t per__peer_format_ip(const struct per__peer *peer, char *buf);

/** An IPv4 or IPv6 literal and nothing else, into family (4 or 6) and bytes in network order. */
bool per__ip_parse(const char *src, size_t len, uint8_t *family, uint8_t ip[16]);

/** A list of networks, parsed once: "10.0.0.0/8, 2001:db8::/32, ::1, unix". At most PER__NETS_MAX entries. */
#define PER__NETS_MAX 64u
struct per__nets {
	uint32_t count;
	bool has_unix;
	struct {
		uint8_t family, prefix_bits;
		uint8_t ip[16];
	} net[PER__NETS_MAX];
};

/**
 * Returns 0, or PER_EINVAL for a bad network, a prefix that is too long, or too many entries. NULL and "" are
 * empty lists.
 */
int per__nets_parse(struct per__nets *out, const char *text);
bool per__nets_contain(const struct per__nets *nets, const struct per__peer *peer);

#endif
