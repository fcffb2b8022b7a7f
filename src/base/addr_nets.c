/* SPDX-License-Identifier: MIT */
/*
 * addr_nets.c - lists of networks: which peers are trusted? Parsed once, asked for each connection. Pure.
 * Invariant: the bits of an entry behind its prefix are zero; an IPv4 network is never kept in IPv6 form.
 */
#include "base/addr.h"

#include "base/num.h"
#include <peregrine/types.h>
#include <string.h>

/* Are the first bits of a and b the same? */
static bool prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8;
	uint8_t mask = (uint8_t)(0xff00u >> (bits % 8));

	if (memcmp(a, b, whole) != 0)
		return false;
	return bits % 8 == 0 || ((a[whole] ^ b[whole]) & mask) == 0;
}

static void clear_behind(uint8_t ip[16], unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned kept = bits > 8 * i ? PER_MIN(bits - 8 * i, 8u) : 0;

		ip[i] &= (uint8_t)(0xff00u >> kept);
	}
}

/* "10.0.0.0/8", "::1" */
static bool net_parse(struct per__nets *out, const char *text, size_t len)
{
	const char *slash = memchr(text, '/', len);
	size_t ip_len = slash != NULL ? (size_t)(slash - text) : len;
	struct per__peer plain = { 0 };
	uint8_t family, ip[16];
	unsigned bits_max;
	uint64_t bits;

	if (!per__ip_parse(text, ip_len, &family, ip))
		return false;
	bits_max = family == 4 ? 32 : 128;
	bits = bits_max;
	if (slash != NULL && (!per__num_from_dec(slash + 1, len - ip_len - 1, &bits) || bits > bits_max))
		return false;
	if (family == 6)
		per__peer_set_ip6(&plain, ip);
	/* A peer's address comes without the mapping, see per__peer_from_sockaddr(). */
	if (plain.family == 4 && bits >= 96) {
		family = 4;
		bits -= 96;
		memcpy(ip, plain.ip, sizeof(ip));
	}
	if (out->count == PER__NETS_MAX)
		return false;
	clear_behind(ip, (unsigned)bits);
	out->net[out->count].family = family;
	out->net[out->count].prefix_bits = (uint8_t)bits;
	memcpy(out->net[out->count].ip, ip, sizeof(ip));
	out->count++;
	return true;
}

int per__nets_parse(struct per__nets *out, const char *text)
{
	static const char separators[] = ", \t\n";

	memset(out, 0, sizeof(*out));
	if (text == NULL)
		return 0;
	for (text += strspn(text, separators); *text != '\0'; text += strspn(text, separators)) {
		size_t len = strcspn(text, separators);

		if (len == 4 && memcmp(text, "unix", 4) == 0)
			out->has_unix = true;
		else if (!net_parse(out, text, len))
			return PER_EINVAL;
		text += len;
	}
	return 0;
}

bool per__nets_contain(const struct per__nets *nets, const struct per__peer *peer)
{
	if (peer->family == 1)
		return nets->has_unix;
	for (uint32_t i = 0; i < nets->count; i++) {
		if (nets->net[i].family == peer->family &&
		    prefix_equal(nets->net[i].ip, peer->ip, nets->net[i].prefix_bits))
			return true;
	}
	return false;
}
