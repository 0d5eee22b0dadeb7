/* SPDX-License-Identifier: Apache-2.0
 * rtp/h265.c — H.265 payloads, RFC 7798: what tells a key frame. Without decoding order numbers
 * (sprop-max-don-diff 0, the default), as browsers send. */
#include "rtp/rtp_int.h"

/* H.265 table 7-1: 16 to 18 broken link, 19 and 20 IDR, 21 clean random access. */
enum { NAL_BLA_W_LP = 16, NAL_CRA = 21, NAL_VPS = 32, NAL_SPS = 33, NAL_AP = 48, NAL_FU = 49 };
enum { FU_START = 0x80, FU_TYPE = 0x3f };

/* RFC 7798 section 1.1.4: |F|type 6|layer id 6|tid 3|. */
static uint8_t read_type(struct sl_rd *r)
{
	return sl_rd16(r) >> 9 & 0x3f;
}

/* `body` is behind the NAL unit's header. H.265 section 7.3.6.1: a slice starts with
 * first_slice_segment_in_pic_flag. */
static bool starts_picture(uint8_t type, struct sl_rd body)
{
	if (type == NAL_VPS || type == NAL_SPS)
		return sl_rd_left(&body) > 0;
	return type >= NAL_BLA_W_LP && type <= NAL_CRA && sl_rd8(&body) & 0x80;
}

/* RFC 7798 section 4.4.2: NAL units, each behind its length in 16 bits. */
static bool ap_starts_picture(struct sl_rd r)
{
	while (sl_rd_left(&r) > 0) {
		uint16_t len = sl_rd16(&r);
		struct sl_rd nal = sl_rd_sub(&r, len);
		uint8_t type = read_type(&nal);

		if (!nal.bad && starts_picture(type, nal))
			return true;
	}
	return false;
}

bool rtp_h265_is_key(struct sl_rd payload)
{
	uint8_t type = read_type(&payload);
	uint8_t fu;

	if (type == NAL_AP)
		return ap_starts_picture(payload);
	if (type != NAL_FU)
		return starts_picture(type, payload);
	/* RFC 7798 section 4.4.3: |S|E|type 6|. */
	fu = sl_rd8(&payload);
	return fu & FU_START && starts_picture(fu & FU_TYPE, payload);
}
