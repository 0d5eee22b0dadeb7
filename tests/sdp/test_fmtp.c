/* SPDX-License-Identifier: Apache-2.0 — format parameters. */
#include "tests/sdp/sdp_test.h"

TEST(a_parameter_is_found_by_its_name_in_any_case)
{
	struct sl_str f = SL_STR("minptime=10; UseInbandFEC=1 ;flag;x=a=b");

	CHECK_S(sl_sdp_fmtp_get(f, "minptime"), "10");
	CHECK_S(sl_sdp_fmtp_get(f, "useinbandfec"), "1");
	CHECK_S(sl_sdp_fmtp_get(f, "x"), "a=b");
	CHECK_EQ(sl_sdp_fmtp_get(f, "flag").n, 0);
	CHECK_EQ(sl_sdp_fmtp_get(f, "min").n, 0);
	CHECK_EQ(sl_sdp_fmtp_get(SL_STR(""), "x").n, 0);
}

static const struct {
	enum sl_codec codec;
	const char *a, *b;
	bool match;
} pairs[] = {
	{SL_VP8, "max-fs=12288", "", true},
	{SL_OPUS, "stereo=1", "minptime=10", true},
	{SL_VP9, "", "profile-id=0", true},
	{SL_VP9, "profile-id=2", "profile-id=0", false},
	{SL_AV1, "level-idx=5;profile=0;tier=0", "", true},
	{SL_AV1, "profile=1", "profile=0", false},
	{SL_H265, "level-id=93;profile-id=1;tier-flag=0", "level-id=156", true},
	{SL_H265, "profile-id=2", "profile-id=1", false},
	{SL_H265, "tier-flag=1", "", false},
	{SL_H264, "packetization-mode=1;profile-level-id=42e01f",
	 "profile-level-id=42E034;packetization-mode=1", true},
	{SL_H264, "packetization-mode=1;profile-level-id=42e01f",
	 "packetization-mode=0;profile-level-id=42e01f", false},
	{SL_H264, "profile-level-id=42e01f", "packetization-mode=0;profile-level-id=42c00a", true},
	{SL_H264, "profile-level-id=42e01f", "profile-level-id=42001f", false},
	{SL_H264, "profile-level-id=42e01f", "profile-level-id=4d801f",
	 true}, /* constrained Baseline, said as Main */
	{SL_H264, "profile-level-id=4d001f", "profile-level-id=64001f", false},
	{SL_H264, "profile-level-id=64001f", "profile-level-id=640c1f", false},
	{SL_H264, "profile-level-id=42001f", "", true}, /* absent: Baseline */
	{SL_H264, "profile-level-id=zz001f", "", false},
	{SL_H264, "profile-level-id=99001f", "profile-level-id=99001e", true},
	{SL_H264, "profile-level-id=99001f", "profile-level-id=98001f", false},
};

TEST(two_formats_match_when_they_mean_one_bitstream)
{
	for (size_t i = 0; i < SL_COUNT(pairs); i++) {
		struct sl_str a = sl_str_z(pairs[i].a);
		struct sl_str b = sl_str_z(pairs[i].b);

		if (sl_sdp_fmtp_match(pairs[i].codec, a, b) != pairs[i].match)
			sl_test_failed(__FILE__, __LINE__, "row %zu", i);
		CHECK_EQ(sl_sdp_fmtp_match(pairs[i].codec, b, a), pairs[i].match);
	}
}
