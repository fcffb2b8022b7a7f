/* SPDX-License-Identifier: MIT */
/*
 * frame.h - WebSocket frames (RFC 6455 section 5): headers from and to bytes, masking. Pure.
 */
#ifndef PER_WS_FRAME_H
#define PER_WS_FRAME_H

#include "base/base.h"

enum per__ws_opcode {
	PER__WS_CONTINUATION = 0,
	PER__WS_TEXT = 1,
	PER__WS_BINARY = 2,
	PER__WS_CLOSE = 8,
	PER__WS_PING = 9,
	PER__WS_PONG = 10,
};

#define PER__WS_HEAD_MAX 14u        /* bytes of a masked header */
#define PER__WS_SERVER_HEAD_MAX 10u /* bytes of a header without mask */
#define PER__WS_CONTROL_MAX 125u    /* payload of a control frame */

struct per__ws_frame {
	uint64_t len; /* payload, bytes */
	uint8_t mask[4];
	uint8_t opcode; /* enum per__ws_opcode */
	uint8_t head_len;
	bool is_fin, is_rsv1;
};

/**
 * Reads the header of a client's frame.
 *
 * returns  its length in bytes; 0: more is needed; -1002 when it breaks the protocol: RSV2 or RSV3, a
 *          reserved opcode, no mask, a length not in its shortest form or above INT64_MAX, a control frame
 *          that is fragmented, longer than 125 bytes or has RSV1. Said at the first byte that shows it;
 *          independent of where the bytes are cut. Whether RSV1 and continuation are allowed here is the
 *          caller's to know.
 * source   RFC 6455 sections 5.2, 5.5
 */
int per__ws_frame_parse(struct per__ws_frame *frame, const uint8_t *buf, size_t len);

/**
 * Writes a server's header: no mask, shortest length. dst has PER__WS_SERVER_HEAD_MAX bytes. Returns its
 * length.
 */
size_t per__ws_frame_head(uint8_t *dst, uint8_t opcode, bool is_fin, bool is_rsv1, uint64_t len);

/**
 * Masks or unmasks in place, as fast as the machine can (section 5.3).
 *
 * mask    the four bytes
 * offset  how many bytes of the payload came before data, modulo anything
 */
void per__ws_mask(uint8_t *data, size_t len, const uint8_t mask[4], uint64_t offset);

/** May a peer send this close code (section 7.4)? 1000-1003, 1007-1014, 3000-4999. */
bool per__ws_close_code_is_valid(unsigned code);

#endif
