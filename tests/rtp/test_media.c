/* SPDX-License-Identifier: Apache-2.0 — rtp/media.c */
#include "tests/test.h"
#include "rtp/rtp.h"

TEST(codec_is_found_by_its_own_name_clock_and_channels)
{
	for (unsigned i = SL_CODEC_NONE + 1; i < SL_CODEC_COUNT; i++) {
		const struct sl_codec_info *c = sl_codec_info((enum sl_codec)i);

		CHECK(c->clock_hz > 0);
		CHECK_EQ(sl_codec_by_name(c->kind, sl_str_z(c->name), c->clock_hz, c->channels), i);
	}
}

TEST(codec_name_is_read_in_any_case)
{
	CHECK_EQ(sl_codec_by_name(SL_VIDEO, SL_STR("vp8"), 90000, 0), SL_VP8);
	CHECK_EQ(sl_codec_by_name(SL_AUDIO, SL_STR("OPUS"), 48000, 2), SL_OPUS);
	CHECK_EQ(sl_codec_by_name(SL_AUDIO, SL_STR("pcmu"), 8000, 0), SL_PCMU);
	CHECK_EQ(sl_codec_by_name(SL_VIDEO, SL_STR("RTX"), 90000, 0), SL_RTX);
}

TEST(codec_with_another_clock_or_channels_is_unknown)
{
	CHECK_EQ(sl_codec_by_name(SL_VIDEO, SL_STR("VP8"), 48000, 0), SL_CODEC_NONE);
	CHECK_EQ(sl_codec_by_name(SL_AUDIO, SL_STR("opus"), 48000, 0), SL_CODEC_NONE);
	CHECK_EQ(sl_codec_by_name(SL_AUDIO, SL_STR("opus"), 48000, 6), SL_CODEC_NONE);
	CHECK_EQ(sl_codec_by_name(SL_AUDIO, SL_STR("PCMU"), 16000, 1), SL_CODEC_NONE);
	CHECK_EQ(sl_codec_by_name(SL_AUDIO, SL_STR("PCMU"), 8000, 2), SL_CODEC_NONE);
	CHECK_EQ(sl_codec_by_name(SL_AUDIO, SL_STR("VP8"), 90000, 0), SL_CODEC_NONE);
	CHECK_EQ(sl_codec_by_name(SL_VIDEO, SL_STR("VP88"), 90000, 0), SL_CODEC_NONE);
	CHECK_EQ(sl_codec_by_name(SL_VIDEO, SL_STR(""), 90000, 0), SL_CODEC_NONE);
}

TEST(one_channel_may_be_written_or_not)
{
	CHECK_EQ(sl_codec_by_name(SL_AUDIO, SL_STR("PCMA"), 8000, 1), SL_PCMA);
	CHECK_EQ(sl_codec_by_name(SL_AUDIO, SL_STR("PCMA"), 8000, 0), SL_PCMA);
}

TEST(dtmf_and_comfort_noise_run_on_any_clock)
{
	CHECK_EQ(sl_codec_by_name(SL_AUDIO, SL_STR("telephone-event"), 48000, 0),
		 SL_TELEPHONE_EVENT);
	CHECK_EQ(sl_codec_by_name(SL_AUDIO, SL_STR("CN"), 32000, 0), SL_COMFORT_NOISE);
}

TEST(red_is_two_codecs_by_kind)
{
	CHECK_EQ(sl_codec_by_name(SL_AUDIO, SL_STR("red"), 48000, 2), SL_RED_AUDIO);
	CHECK_EQ(sl_codec_by_name(SL_VIDEO, SL_STR("red"), 90000, 0), SL_RED_VIDEO);
}

TEST(static_payload_types_are_those_of_rfc_3551)
{
	CHECK_EQ(sl_codec_by_static_pt(0), SL_PCMU);
	CHECK_EQ(sl_codec_by_static_pt(8), SL_PCMA);
	CHECK_EQ(sl_codec_by_static_pt(9), SL_G722);
	CHECK_EQ(sl_codec_by_static_pt(13), SL_COMFORT_NOISE);
	CHECK_EQ(sl_codec_by_static_pt(96), SL_CODEC_NONE);
	CHECK_EQ(sl_codec_by_static_pt(255), SL_CODEC_NONE);
}

TEST(only_media_is_forwarded_and_an_unknown_codec_has_an_entry_too)
{
	CHECK(sl_codec_info(SL_AV1)->forwarded);
	CHECK(sl_codec_info(SL_RED_AUDIO)->forwarded);
	CHECK(!sl_codec_info(SL_RTX)->forwarded);
	CHECK(!sl_codec_info(SL_FLEXFEC)->forwarded);
	CHECK(!sl_codec_info(SL_CODEC_COUNT)->forwarded);
}
