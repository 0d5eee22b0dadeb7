/* SPDX-License-Identifier: Apache-2.0
 * rtp/packet.c — where the parts of an RTP packet lie, and what RTX and RED wrap. */
#include "rtp/rtp.h"

/* RFC 3550 section 5.3.1. */
static void read_extension(struct sl_rd *r, const uint8_t *p, struct sl_rtp *out)
{
	uint16_t profile = sl_rd16(r);
	size_t len = 4u * sl_rd16(r);

	out->ext_profile = profile;
	out->ext_off = (uint16_t)(r->p - p);
	sl_rd_skip(r, len);
	out->ext_len = (uint16_t)len;
}

/* RFC 3550 section 5.1: the last byte counts the padding, itself included. */
static bool read_padding(const struct sl_rd *r, struct sl_rtp *out)
{
	size_t left = sl_rd_left(r);

	out->pad_len = left ? r->end[-1] : 0;
	return out->pad_len > 0 && out->pad_len <= left;
}

/* RFC 3550 section 5.1
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  |V=2|P|X|  CC   |M|     PT      |       sequence number         |
 *  |                           timestamp                           |
 *  |                             SSRC                              | */
int sl_rtp_read(const uint8_t *p, size_t len, struct sl_rtp *out)
{
	struct sl_rd r = sl_rd(p, len);
	const uint8_t *h = sl_rd_bytes(&r, SL_RTP_HDR_MIN);

	if (!h || len > UINT16_MAX || h[0] >> 6 != 2)
		return SL_EPARSE;
	out->marker = h[1] >> 7;
	out->pt = h[1] & 0x7f;
	out->seq = sl_get16(h + 2);
	out->ts = sl_get32(h + 4);
	out->ssrc = sl_get32(h + 8);
	out->csrc_count = h[0] & 0x0f;
	out->ext_profile = out->ext_off = out->ext_len = 0;
	out->pad_len = 0;
	sl_rd_skip(&r, 4u * out->csrc_count);
	if (h[0] & 0x10)
		read_extension(&r, p, out);
	if (r.bad || (h[0] & 0x20 && !read_padding(&r, out)))
		return SL_EPARSE;
	out->payload_off = (uint16_t)(r.p - p);
	out->payload_len = (uint16_t)(sl_rd_left(&r) - out->pad_len);
	return SL_OK;
}

/* RFC 4588 section 4: the original sequence number stands before the original payload. */
int sl_rtx_read(const uint8_t *p, const struct sl_rtp *rtx, uint16_t *osn, uint16_t *payload_off,
		uint16_t *payload_len)
{
	if (rtx->payload_len < 2)
		return SL_EPARSE;
	*osn = sl_get16(p + rtx->payload_off);
	*payload_off = (uint16_t)(rtx->payload_off + 2);
	*payload_len = (uint16_t)(rtx->payload_len - 2);
	return SL_OK;
}

/* RFC 2198 section 3: headers of 4 bytes |1|PT 7|timestamp offset 14|length 10| for the redundant
 * blocks, then the primary's of one, |0|PT 7|; then the blocks in the same order. */
int sl_red_primary(const uint8_t *payload, size_t len, uint8_t *pt, size_t *off, size_t *block_len)
{
	struct sl_rd r = sl_rd(payload, len);
	size_t redundant = 0;
	uint8_t first = sl_rd8(&r);

	while (first & 0x80) {
		redundant += sl_rd24(&r) & 0x3ff;
		first = sl_rd8(&r);
	}
	sl_rd_skip(&r, redundant);
	if (r.bad)
		return SL_EPARSE;
	*pt = first;
	*off = (size_t)(r.p - payload);
	*block_len = sl_rd_left(&r);
	return SL_OK;
}
