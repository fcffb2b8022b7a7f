/* SPDX-License-Identifier: MIT */
/*
 * proxy.c - PROXY protocol headers, as haproxy's proxy-protocol.txt has them (sections 2.1 and 2.2). Pure.
 * Says nothing about whether the sender is trusted. Invariant: a header accepted or refused in one piece is
 * never refused or accepted when it comes in several; before that it says "more".
 */
#include "core/proxy.h"

#include "base/num.h"
#include <peregrine/types.h>
#include <string.h>

#define V1_BYTES_MAX 107u /* section 2.1: the longest line, its CRLF included */
#define V2_FIXED_BYTES 16u
#define V2_COMMAND_LOCAL 0x20u
#define V2_COMMAND_PROXY 0x21u

static const uint8_t v1_signature[6] = { 'P', 'R', 'O', 'X', 'Y', ' ' };
static const uint8_t v2_signature[12] = { '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n' };

/* Is what has arrived a beginning of the signature, or begun by it? */
static bool signature_fits(const uint8_t *buf, size_t len, const uint8_t *signature, size_t signature_len)
{
	return memcmp(buf, signature, PER_MIN(len, signature_len)) == 0;
}

/* Takes the text up to the next space, or to the end, off the line. False when that is empty. */
static bool word_next(per_str *rest, per_str *word)
{
	const char *space;

	if (rest->len == 0)
		return false;
	space = memchr(rest->ptr, ' ', rest->len);
	word->ptr = rest->ptr;
	word->len = space != NULL ? (size_t)(space - rest->ptr) : rest->len;
	rest->ptr += word->len + (space != NULL);
	rest->len -= word->len + (space != NULL);
	return word->len > 0;
}

/* 0 to 65535 without leading zeros. */
static bool port_parse(per_str word, uint16_t *out)
{
	uint64_t port;

	if (word.len > 5 || (word.len > 1 && word.ptr[0] == '0'))
		return false;
	if (!per__num_from_dec(word.ptr, word.len, &port) || port > UINT16_MAX)
		return false;
	*out = (uint16_t)port;
	return true;
}

static void peer_set(struct per__peer *peer, uint8_t family, const uint8_t ip[16], uint16_t port)
{
	memset(peer, 0, sizeof(*peer));
	peer->port = port;
	if (family == 6) {
		per__peer_set_ip6(peer, ip);
		return;
	}
	peer->family = family;
	memcpy(peer->ip, ip, 4);
}

/* The line behind "PROXY ", without its CRLF. */
static bool v1_line_parse(per_str rest, struct per__peer *peer)
{
	uint8_t family, wanted, other, source[16], destination[16];
	per_str word, line = rest;
	uint16_t source_port, destination_port;

	if (!word_next(&rest, &word))
		return false;
	if (per_str_equal(word, PER_S("UNKNOWN"))) /* the rest of the line is to be ignored */
		return true;
	if (per_str_equal(word, PER_S("TCP4")))
		wanted = 4;
	else if (per_str_equal(word, PER_S("TCP6")))
		wanted = 6;
	else
		return false;
	if (line.ptr[line.len - 1] == ' ')
		return false;
	if (!word_next(&rest, &word) || !per__ip_parse(word.ptr, word.len, &family, source))
		return false;
	if (!word_next(&rest, &word) || !per__ip_parse(word.ptr, word.len, &other, destination))
		return false;
	if (family != wanted || other != wanted)
		return false;
	if (!word_next(&rest, &word) || !port_parse(word, &source_port))
		return false;
	if (!word_next(&rest, &word) || !port_parse(word, &destination_port) || rest.len != 0)
		return false;
	peer_set(peer, family, source, source_port);
	return true;
}

static int v1_parse(const uint8_t *buf, size_t len, struct per__peer *peer)
{
	size_t end = sizeof(v1_signature);

	while (end < len && end < V1_BYTES_MAX - 2 && buf[end] != '\r' && buf[end] != '\n')
		end++;
	if (end < len && buf[end] != '\r') /* a bare LF, or no end within the longest line */
		return PER_EPROTO;
	if (end + 1 >= len)
		return 0;
	if (buf[end + 1] != '\n')
		return PER_EPROTO;
	if (!v1_line_parse(per_str_make((const char *)buf + sizeof(v1_signature), end - sizeof(v1_signature)),
			   peer))
		return PER_EPROTO;
	return (int)end + 2;
}

static uint16_t get16(const uint8_t *src)
{
	return (uint16_t)(src[0] << 8 | src[1]);
}

/* Do the type-length-values fill the rest exactly? Their values are of no interest here. */
static bool tlvs_are_whole(const uint8_t *tlv, size_t len)
{
	while (len >= 3) {
		size_t step = 3 + (size_t)get16(tlv + 1);

		if (step > len)
			return false;
		tlv += step;
		len -= step;
	}
	return len == 0;
}

/* The bytes of both addresses of a family (high half of the byte: 1 IPv4, 2 IPv6, 3 unix, 0 not said). */
static size_t v2_address_bytes(uint8_t family)
{
	static const uint8_t bytes[4] = { 0, 12, 36, 216 };

	return bytes[family >> 4];
}

/* What stands behind the fixed part of a PROXY command. */
static bool v2_block_parse(uint8_t family, const uint8_t *block, size_t len, struct per__peer *peer)
{
	size_t address_bytes = v2_address_bytes(family);

	if (address_bytes == 0) /* the sender knows nothing: what follows is only skipped */
		return true;
	if (len < address_bytes || !tlvs_are_whole(block + address_bytes, len - address_bytes))
		return false;
	if (family == 0x11)
		peer_set(peer, 4, block, get16(block + 8));
	else if (family == 0x21)
		peer_set(peer, 6, block, get16(block + 32));
	else if (family == 0x31)
		peer->family = 1;
	return true; /* anything else says nothing of a stream's peer: the real one stays */
}

static int v2_parse(const uint8_t *buf, size_t len, struct per__peer *peer)
{
	size_t total;
	uint8_t command, family;

	if (len < V2_FIXED_BYTES)
		return 0;
	command = buf[12];
	family = buf[13];
	total = V2_FIXED_BYTES + (size_t)get16(buf + 14);
	if (total > PER__PROXY_BYTES_MAX)
		return PER_EPROTO;
	if (command != V2_COMMAND_LOCAL && command != V2_COMMAND_PROXY)
		return PER_EPROTO;
	if (command == V2_COMMAND_PROXY && ((family >> 4) > 3 || (family & 15) > 2))
		return PER_EPROTO;
	if (len < total)
		return 0;
	if (command == V2_COMMAND_PROXY &&
	    !v2_block_parse(family, buf + V2_FIXED_BYTES, total - V2_FIXED_BYTES, peer))
		return PER_EPROTO;
	return (int)total;
}

int per__proxy_parse(const uint8_t *buf, size_t len, struct per__peer *peer)
{
	memset(peer, 0, sizeof(*peer));
	if (len == 0)
		return 0;
	if (signature_fits(buf, len, v1_signature, sizeof(v1_signature)))
		return len > sizeof(v1_signature) ? v1_parse(buf, len, peer) : 0;
	if (signature_fits(buf, len, v2_signature, sizeof(v2_signature)))
		return v2_parse(buf, len, peer);
	return PER_EPROTO;
}
