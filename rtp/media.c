/* SPDX-License-Identifier: Apache-2.0
 * rtp/media.c — what each codec is called and how its clock runs. */
#include "rtp/rtp.h"

/* RFC 3551 table 4 (static types), 7587 (Opus), 2198 (RED), 4733 (DTMF), 3389 (CN), 4588 (RTX),
 * 5109 (ULPFEC). RFC 3551 section 4.5.2: G.722 samples at 16 kHz and yet is written with a clock of
 * 8000. */
/* clang-format off */
static const struct sl_codec_info codecs[SL_CODEC_COUNT] = {
	/*                        name               kind      clock  ch  static  forwarded */
	[SL_CODEC_NONE]        = {"",                SL_AUDIO, 8000,  0,  -1,     false},
	[SL_OPUS]              = {"opus",            SL_AUDIO, 48000, 2,  -1,     true},
	[SL_RED_AUDIO]         = {"red",             SL_AUDIO, 48000, 2,  -1,     true},
	[SL_PCMU]              = {"PCMU",            SL_AUDIO, 8000,  0,  0,      true},
	[SL_PCMA]              = {"PCMA",            SL_AUDIO, 8000,  0,  8,      true},
	[SL_G722]              = {"G722",            SL_AUDIO, 8000,  0,  9,      true},
	[SL_TELEPHONE_EVENT]   = {"telephone-event", SL_AUDIO, 8000,  0,  -1,     false},
	[SL_COMFORT_NOISE]     = {"CN",              SL_AUDIO, 8000,  0,  13,     false},
	[SL_VP8]               = {"VP8",             SL_VIDEO, 90000, 0,  -1,     true},
	[SL_VP9]               = {"VP9",             SL_VIDEO, 90000, 0,  -1,     true},
	[SL_H264]              = {"H264",            SL_VIDEO, 90000, 0,  -1,     true},
	[SL_H265]              = {"H265",            SL_VIDEO, 90000, 0,  -1,     true},
	[SL_AV1]               = {"AV1",             SL_VIDEO, 90000, 0,  -1,     true},
	[SL_RTX]               = {"rtx",             SL_VIDEO, 90000, 0,  -1,     false},
	[SL_RED_VIDEO]         = {"red",             SL_VIDEO, 90000, 0,  -1,     false},
	[SL_ULPFEC]            = {"ulpfec",          SL_VIDEO, 90000, 0,  -1,     false},
	[SL_FLEXFEC]           = {"flexfec-03",      SL_VIDEO, 90000, 0,  -1,     false},
};
/* clang-format on */

const struct sl_codec_info *sl_codec_info(enum sl_codec c)
{
	return &codecs[(unsigned)c < SL_CODEC_COUNT ? c : SL_CODEC_NONE];
}

/* These two run on the clock of the codec beside them (RFC 4733 2.1, RFC 3389 4). */
static bool any_clock(enum sl_codec c)
{
	return c == SL_TELEPHONE_EVENT || c == SL_COMFORT_NOISE;
}

/* RFC 8866 section 6.6: channels may be left out when there is one. */
static uint32_t channels_or_one(uint32_t channels)
{
	return channels ? channels : 1;
}

enum sl_codec sl_codec_by_name(enum sl_kind kind, struct sl_str name, uint32_t clock_hz,
			       uint32_t channels)
{
	for (unsigned i = SL_CODEC_NONE + 1; i < SL_CODEC_COUNT; i++) {
		const struct sl_codec_info *c = &codecs[i];

		if (c->kind != kind || !sl_str_ieq(name, sl_str_z(c->name)))
			continue;
		if (c->clock_hz != clock_hz && !any_clock((enum sl_codec)i))
			continue;
		if (channels_or_one(c->channels) == channels_or_one(channels))
			return (enum sl_codec)i;
	}
	return SL_CODEC_NONE;
}

enum sl_codec sl_codec_by_static_pt(uint8_t pt)
{
	for (unsigned i = SL_CODEC_NONE + 1; i < SL_CODEC_COUNT; i++)
		if (codecs[i].static_pt == pt)
			return (enum sl_codec)i;
	return SL_CODEC_NONE;
}
