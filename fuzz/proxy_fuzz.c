/* SPDX-License-Identifier: MIT */
/*
 * proxy_fuzz.c - PROXY headers: cut anywhere the verdict is the same, and a peer only comes with a header.
 */
#include "core/proxy.h"

#include <peregrine/types.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct per__peer peer, part_peer;
	size_t len = PER_MIN(size, (size_t)2 * PER__PROXY_BYTES_MAX);
	int whole = per__proxy_parse(data, len, &peer);

	PER_ASSERT(whole == PER_EPROTO ||
		   (whole >= 0 && (size_t)whole <= PER_MIN(len, (size_t)PER__PROXY_BYTES_MAX)));
	PER_ASSERT(whole > 0 || peer.family == 0);
	PER_ASSERT(whole != 0 || len < PER__PROXY_BYTES_MAX);
	for (size_t cut = 0; cut < len; cut++) {
		int part = per__proxy_parse(data, cut, &part_peer);

		if (whole > 0 && cut >= (size_t)whole)
			PER_ASSERT(part == whole && memcmp(&peer, &part_peer, sizeof(peer)) == 0);
		else
			PER_ASSERT(part == 0 || (part == PER_EPROTO && whole == PER_EPROTO));
	}
	return 0;
}
