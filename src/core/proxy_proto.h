/* SPDX-License-Identifier: MIT */
/*
 * proxy_proto.h - the protocol of a connection's first bytes behind a trusted proxy: one PROXY header, then
 * the real protocol.
 */
#ifndef PER_CORE_PROXY_PROTO_H
#define PER_CORE_PROXY_PROTO_H

#include "core/conn.h"

extern const struct per__proto per__proto_proxy;

#endif
