/* SPDX-License-Identifier: Apache-2.0
 * rtp/vp9.c — VP9 payload descriptor, RFC 9628 section 4.2: what tells a key frame.
 *   |I|P|L|F|B|E|V|Z|        first byte
 *   |M| PICTURE ID  |        if I; 15 bits in two bytes if M
 *   |TID  |U|SID  |D|        if L
 *   |   TL0PICIDX   |        if L and not F */
#include "rtp/rtp_int.h"

enum { HAS_PIC_ID = 0x80, INTER = 0x40, HAS_LAYER = 0x20, FLEXIBLE = 0x10, BEGIN = 0x08 };
enum { LONG_PIC_ID = 0x80 };

/* Begins with the first byte of the lowest spatial layer of a picture that is predicted from no
 * other. */
bool rtp_vp9_is_key(struct sl_rd payload)
{
	uint8_t first = sl_rd8(&payload);
	uint8_t layer = 0;

	if (first & HAS_PIC_ID && sl_rd8(&payload) & LONG_PIC_ID)
		sl_rd_skip(&payload, 1);
	if (first & HAS_LAYER) {
		layer = sl_rd8(&payload);
		sl_rd_skip(&payload, first & FLEXIBLE ? 0 : 1);
	}
	if (payload.bad || sl_rd_left(&payload) == 0)
		return false;
	return (first & (BEGIN | INTER)) == BEGIN && (layer >> 1 & 7) == 0;
}
