/* SPDX-License-Identifier: Apache-2.0
 * rtp/av1.c — AV1 payloads, AV1 RTP specification section 4.4: what tells a key frame. */
#include "rtp/rtp_int.h"

/* The aggregation header: |Z|Y|W 2|N|reserved 3|. Z: the first element goes on from the packet
 * before. W: how many elements there are, of which the last has no length; 0: all have one. N: a
 * coded video sequence starts. */
enum { CONTINUES = 0x80, NEW_SEQUENCE = 0x08 };
enum { OBU_SEQUENCE_HEADER = 1, LEB128_BYTES_MAX = 8 };

/* AV1 bitstream specification section 4.10.5. */
static uint64_t read_leb128(struct sl_rd *r)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < LEB128_BYTES_MAX; i++) {
		uint8_t b = sl_rd8(r);

		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if (!(b & 0x80))
			return v;
	}
	r->bad = true;
	return 0;
}

static struct sl_rd read_element(struct sl_rd *r, bool last)
{
	uint64_t len = last ? sl_rd_left(r) : read_leb128(r);

	return sl_rd_sub(r, len <= SIZE_MAX ? (size_t)len : SIZE_MAX);
}

/* N should tell. A sequence header tells for senders that forget it. */
bool rtp_av1_is_key(struct sl_rd payload)
{
	uint8_t head = sl_rd8(&payload);
	unsigned w = head >> 4 & 3;

	if ((head & (CONTINUES | NEW_SEQUENCE)) == NEW_SEQUENCE)
		return sl_rd_left(&payload) > 0;
	for (unsigned i = 1; !payload.bad && sl_rd_left(&payload) > 0; i++) {
		struct sl_rd obu = read_element(&payload, i == w);
		uint8_t type = sl_rd8(&obu) >> 3 & 0x0f;
		bool whole = i > 1 || !(head & CONTINUES);

		if (!obu.bad && whole && type == OBU_SEQUENCE_HEADER)
			return true;
	}
	return false;
}
