/* SPDX-License-Identifier: MIT */
/*
 * digest.h - the hash functions that protocols ask for by name. The only door to OpenSSL besides TLS itself.
 */
#ifndef PER_TLS_DIGEST_H
#define PER_TLS_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define PER__SHA1_BYTES 20u

/** SHA-1, for the WebSocket handshake (RFC 6455 section 4.2.2). Not for anything that has to be secure. */
void per__sha1(uint8_t dst[PER__SHA1_BYTES], const void *data, size_t len);

#endif
