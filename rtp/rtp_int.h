/* SPDX-License-Identifier: Apache-2.0
 * rtp/rtp_int.h — what only the files of rtp/ share. */
#ifndef SL_RTP_INT_H
#define SL_RTP_INT_H
#include "rtp/rtp.h"

/* RFC 3611: block types of an extended report. */
enum { XR_RRTR = 4, XR_DLRR = 5 };

/* Does a decodable picture start in this payload? One per codec, in the file named like it. Any
 * bytes. */
bool rtp_vp8_is_key(struct sl_rd payload);
bool rtp_vp9_is_key(struct sl_rd payload);
bool rtp_h264_is_key(struct sl_rd payload);
bool rtp_h265_is_key(struct sl_rd payload);
bool rtp_av1_is_key(struct sl_rd payload);
#endif
