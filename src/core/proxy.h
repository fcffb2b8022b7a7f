/* SPDX-License-Identifier: MIT */
/*
 * proxy.h - the PROXY protocol header, versions 1 and 2 (haproxy's proxy-protocol.txt). Pure codec.
 */
#ifndef PER_CORE_PROXY_H
#define PER_CORE_PROXY_H

#include "base/addr.h"

#define PER__PROXY_BYTES_MAX 1024u /* longest header accepted, TLVs included */

/**
 * Parses a header from the first bytes of a connection.
 *
 * peer     receives the source address; family 0 for LOCAL, UNKNOWN and unsupported families (keep the real
 *          one)
 * returns  the header's length in bytes; 0: more is needed; PER_EPROTO: it is none, or longer than
 *          PER__PROXY_BYTES_MAX. The verdict does not depend on where the bytes are cut.
 */
int per__proxy_parse(const uint8_t *buf, size_t len, struct per__peer *peer);

#endif
