/* SPDX-License-Identifier: Apache-2.0
 * rtp/h264.c — H.264 payloads, RFC 6184: what tells a key frame. */
#include "rtp/rtp_int.h"

enum { NAL_IDR = 5, NAL_SPS = 7, NAL_STAP_A = 24, NAL_FU_A = 28 };
enum { TYPE = 0x1f, FU_START = 0x80 };

/* `body` is behind the NAL unit's header. H.264 section 7.3.3: a slice starts with
 * first_mb_in_slice as ue(v), whose first bit is 1 for macroblock 0 only: a later slice of the
 * picture is no start. */
static bool starts_picture(uint8_t type, struct sl_rd body)
{
	if (type == NAL_SPS)
		return sl_rd_left(&body) > 0;
	return type == NAL_IDR && sl_rd8(&body) & 0x80;
}

/* RFC 6184 section 5.7.1: NAL units, each behind its length in 16 bits. */
static bool stap_starts_picture(struct sl_rd r)
{
	while (sl_rd_left(&r) > 0) {
		uint16_t len = sl_rd16(&r);
		struct sl_rd nal = sl_rd_sub(&r, len);
		uint8_t type = sl_rd8(&nal) & TYPE;

		if (!nal.bad && starts_picture(type, nal))
			return true;
	}
	return false;
}

bool rtp_h264_is_key(struct sl_rd payload)
{
	uint8_t type = sl_rd8(&payload) & TYPE;
	uint8_t fu;

	if (type == NAL_STAP_A)
		return stap_starts_picture(payload);
	if (type != NAL_FU_A)
		return starts_picture(type, payload);
	/* RFC 6184 section 5.8: |S|E|R|type 5|. */
	fu = sl_rd8(&payload);
	return fu & FU_START && starts_picture(fu & TYPE, payload);
}
