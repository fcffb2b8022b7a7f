/* SPDX-License-Identifier: MIT */
/*
 * digest.c - hash functions, from OpenSSL.
 */
#include "tls/digest.h"

#include <openssl/sha.h>

void per__sha1(uint8_t dst[PER__SHA1_BYTES], const void *data, size_t len)
{
	SHA1(data, len, dst);
}
