/* SPDX-License-Identifier: Apache-2.0 — format parameters: look one up, and tell whether two mean
 * one bitstream. */
#include "rtp/sdp/sdp_int.h"

struct sl_str sl_sdp_fmtp_get(struct sl_str fmtp, const char *key)
{
	struct sl_str want = sl_str_z(key);

	while (fmtp.n > 0) {
		struct sl_str value = sl_str_cut(&fmtp, ';');
		struct sl_str name = sl_str_trim(sl_str_cut(&value, '='));

		if (sl_str_ieq(name, want))
			return sl_str_trim(value);
	}
	return sl_str(NULL, 0);
}

/* RFC 6184 section 8.1, table 5: the profiles that profile_idc and the constraint flags name
 * together. 'x' is any bit. */
enum h264_profile {
	H264_OTHER,
	H264_CONSTRAINED_BASELINE,
	H264_BASELINE,
	H264_MAIN,
	H264_EXTENDED,
	H264_HIGH,
	H264_CONSTRAINED_HIGH,
	H264_HIGH_10,
	H264_HIGH_422,
	H264_HIGH_444
};
/* clang-format off */
static const struct {
	uint8_t idc, iop_mask, iop;
	enum h264_profile profile;
} h264_profiles[] = {
	{0x42, 0x4f, 0x40, H264_CONSTRAINED_BASELINE},  /* x1xx0000 */
	{0x4d, 0x8f, 0x80, H264_CONSTRAINED_BASELINE},  /* 1xxx0000 */
	{0x58, 0xcf, 0xc0, H264_CONSTRAINED_BASELINE},  /* 11xx0000 */
	{0x42, 0x4f, 0x00, H264_BASELINE},              /* x0xx0000 */
	{0x58, 0xcf, 0x80, H264_BASELINE},              /* 10xx0000 */
	{0x4d, 0xaf, 0x00, H264_MAIN},                  /* 0x0x0000 */
	{0x58, 0xcf, 0x00, H264_EXTENDED},              /* 00xx0000 */
	{0x64, 0xff, 0x00, H264_HIGH},                  /* 00000000 */
	{0x64, 0xff, 0x0c, H264_CONSTRAINED_HIGH},      /* 00001100 */
	{0x6e, 0xff, 0x00, H264_HIGH_10},               /* 00000000 */
	{0x7a, 0xff, 0x00, H264_HIGH_422},              /* 00000000 */
	{0xf4, 0xff, 0x00, H264_HIGH_444},              /* 00000000 */
};
/* clang-format on */

struct h264_id {
	enum h264_profile profile;
	uint8_t idc, iop; /* for profiles outside the table */
};

/* RFC 6184 section 8.1: without profile-level-id the profile is Baseline without constraints,
 * level 1. */
static struct h264_id h264_id(struct sl_str fmtp)
{
	struct sl_str text = sl_sdp_fmtp_get(fmtp, "profile-level-id");
	uint8_t b[3] = {0x42, 0x00, 0x0a};
	struct h264_id id = {.profile = H264_OTHER};

	if (text.n == 6 && sl_unhex(text, b, sizeof(b)) != 3)
		b[0] = b[1] = 0;
	id.idc = b[0];
	id.iop = b[1];
	for (size_t i = 0; i < SL_COUNT(h264_profiles) && id.profile == H264_OTHER; i++)
		if (b[0] == h264_profiles[i].idc &&
		    (b[1] & h264_profiles[i].iop_mask) == h264_profiles[i].iop)
			id.profile = h264_profiles[i].profile;
	return id;
}

static bool h264_match(struct sl_str a, struct sl_str b)
{
	struct h264_id x = h264_id(a);
	struct h264_id y = h264_id(b);

	if (x.profile != y.profile)
		return false;
	return x.profile != H264_OTHER || (x.idc == y.idc && x.iop == y.iop);
}

/* Parameters that must be equal, with the value that absence stands for. */
/* clang-format off */
static const struct {
	enum sl_codec codec;
	const char *key, *absent;
} must_equal[] = {
	{SL_H264, "packetization-mode", "0"},           /* RFC 6184 section 8.1 */
	{SL_VP9,  "profile-id",         "0"},           /* RFC 9628 section 7.1 */
	{SL_AV1,  "profile",            "0"},           /* AV1 RTP specification section 7.2 */
	{SL_H265, "profile-id",         "1"},           /* RFC 7798 section 7.1 */
	{SL_H265, "tier-flag",          "0"},
	{SL_H265, "tx-mode",            "SRST"},
};
/* clang-format on */

static struct sl_str value_or(struct sl_str fmtp, const char *key, const char *absent)
{
	struct sl_str v = sl_sdp_fmtp_get(fmtp, key);

	return v.n > 0 ? v : sl_str_z(absent);
}

bool sl_sdp_fmtp_match(enum sl_codec codec, struct sl_str a, struct sl_str b)
{
	for (size_t i = 0; i < SL_COUNT(must_equal); i++) {
		const char *key = must_equal[i].key;
		const char *absent = must_equal[i].absent;

		if (must_equal[i].codec != codec)
			continue;
		if (!sl_str_ieq(value_or(a, key, absent), value_or(b, key, absent)))
			return false;
	}
	return codec != SL_H264 || h264_match(a, b);
}
