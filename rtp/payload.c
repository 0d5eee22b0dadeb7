/* SPDX-License-Identifier: Apache-2.0
 * rtp/payload.c — does a decodable picture start here? The dependency descriptor answers first,
 * then the codec. */
#include "rtp/rtp_int.h"

/* clang-format off */
static bool (*const is_key[SL_CODEC_COUNT])(struct sl_rd payload) = {
	[SL_VP8] = rtp_vp8_is_key,
	[SL_VP9] = rtp_vp9_is_key,
	[SL_H264] = rtp_h264_is_key,
	[SL_H265] = rtp_h265_is_key,
	[SL_AV1] = rtp_av1_is_key,
};
/* clang-format on */

enum { DD_MANDATORY_LEN = 3, DD_START_OF_FRAME = 0x80, DD_STRUCTURE_PRESENT = 0x80 };

/* AV1 RTP specification A.8.2: |start of frame 1|end of frame 1|template id 6|frame number 16|, and
 * where there is more, |template dependency structure present 1|... The structure comes with the
 * first packet of a coded video sequence. */
static bool dd_starts_key(const uint8_t *dd, size_t dd_len)
{
	return dd_len > DD_MANDATORY_LEN && dd[0] & DD_START_OF_FRAME &&
	       dd[3] & DD_STRUCTURE_PRESENT;
}

bool sl_is_keyframe(enum sl_codec codec, const uint8_t *payload, size_t len, const uint8_t *dd,
		    size_t dd_len)
{
	if ((unsigned)codec >= SL_CODEC_COUNT || !is_key[codec])
		return false;
	/* A sender of descriptors puts one on every packet of the stream; so where there is one, it
	 * alone decides: bytes of an encrypted payload look like a key frame now and then. */
	if (dd && dd_len >= DD_MANDATORY_LEN)
		return len > 0 && dd_starts_key(dd, dd_len);
	return is_key[codec](sl_rd(payload, len));
}
