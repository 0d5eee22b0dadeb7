/* SPDX-License-Identifier: Apache-2.0 — rtp/payload.c and the payload descriptors vp8.c vp9.c
 * h264.c h265.c av1.c */
#include "tests/test.h"
#include "tests/lib/rtpdump.h"

struct key_case {
	enum sl_codec codec;
	bool key;
	uint8_t len;
	uint8_t p[20];
};

/* clang-format off */
static const struct key_case cases[] = {
	/* VP8: S=1, partition 0, P=0; with and without the extended descriptor. */
	{SL_VP8, true, 2, {0x10, 0x00}},
	{SL_VP8, true, 4, {0x90, 0x80, 0x11, 0x00}},
	{SL_VP8, true, 5, {0x90, 0x80, 0x81, 0x11, 0x00}},
	{SL_VP8, true, 7, {0x90, 0xe0, 0x81, 0x11, 1, 0x20, 0x50}},
	{SL_VP8, true, 4, {0x90, 0x10, 0x00, 0x00}},
	{SL_VP8, true, 2, {0x30, 0x00}},
	{SL_VP8, false, 2, {0x10, 0x01}},
	{SL_VP8, false, 2, {0x00, 0x00}},
	{SL_VP8, false, 2, {0x11, 0x00}},
	{SL_VP8, false, 2, {0x14, 0x00}},
	{SL_VP8, false, 1, {0x10}},
	{SL_VP8, false, 6, {0x90, 0xe0, 0x81, 0x11, 1, 0x20}},
	{SL_VP8, false, 0, {0}},
	/* VP9: B=1, P=0, spatial layer 0. */
	{SL_VP9, true, 2, {0x08, 0x80}},
	{SL_VP9, true, 4, {0x88, 0x80, 0x01, 0x80}},
	{SL_VP9, true, 5, {0xa8, 0x11, 0x00, 0x00, 0x80}},
	{SL_VP9, true, 4, {0xb8, 0x11, 0x00, 0x80}},
	{SL_VP9, true, 5, {0xac, 0x11, 0x01, 0x00, 0x80}},
	{SL_VP9, false, 5, {0xa8, 0x11, 0x02, 0x00, 0x80}},
	{SL_VP9, false, 5, {0xa8, 0x11, 0x0e, 0x00, 0x80}},
	{SL_VP9, false, 2, {0x48, 0x80}},
	{SL_VP9, false, 2, {0x00, 0x80}},
	{SL_VP9, false, 4, {0xa8, 0x11, 0x00, 0x00}},
	{SL_VP9, false, 1, {0x08}},
	{SL_VP9, false, 2, {0x88, 0x80}},
	{SL_VP9, false, 0, {0}},
	/* H.264: IDR slice of macroblock 0, SPS; alone, aggregated, as first fragment. */
	{SL_H264, true, 2, {0x65, 0x88}},
	{SL_H264, true, 2, {0x67, 0x42}},
	{SL_H264, true, 6, {0x78, 0, 2, 0x67, 0x42, 0}},
	{SL_H264, true, 9, {0x78, 0, 2, 0x09, 0xf0, 0, 2, 0x65, 0x88}},
	{SL_H264, true, 3, {0x7c, 0x85, 0x88}},
	{SL_H264, true, 3, {0x7c, 0x87, 0x42}},
	{SL_H264, false, 2, {0x65, 0x40}},
	{SL_H264, false, 3, {0x7c, 0x85, 0x40}},
	{SL_H264, false, 3, {0x7c, 0x05, 0x88}},
	{SL_H264, false, 3, {0x7c, 0x45, 0x88}},
	{SL_H264, false, 3, {0x7c, 0x81, 0x88}},
	{SL_H264, false, 2, {0x61, 0x88}},
	{SL_H264, false, 2, {0x68, 0xce}},
	{SL_H264, false, 1, {0x65}},
	{SL_H264, false, 1, {0x67}},
	{SL_H264, false, 2, {0x7c, 0x85}},
	{SL_H264, false, 5, {0x78, 0, 2, 0x61, 0x88}},
	{SL_H264, false, 5, {0x78, 0, 3, 0x67, 0x42}},
	{SL_H264, false, 8, {0x78, 0, 0, 0, 0, 0, 1, 0x67}},
	{SL_H264, false, 2, {0x78, 0x67}},
	{SL_H264, false, 0, {0}},
	/* H.265: BLA, IDR, CRA of the first slice segment, VPS, SPS. */
	{SL_H265, true, 3, {0x26, 0x01, 0xaf}},
	{SL_H265, true, 3, {0x28, 0x01, 0xaf}},
	{SL_H265, true, 3, {0x2a, 0x01, 0xaf}},
	{SL_H265, true, 3, {0x20, 0x01, 0xaf}},
	{SL_H265, true, 3, {0x40, 0x01, 0x0c}},
	{SL_H265, true, 3, {0x42, 0x01, 0x01}},
	{SL_H265, true, 7, {0x60, 0x01, 0, 3, 0x40, 0x01, 0x0c}},
	{SL_H265, true, 12, {0x60, 0x01, 0, 3, 0x44, 0x01, 0xc1, 0, 3, 0x26, 0x01, 0xaf}},
	{SL_H265, true, 4, {0x62, 0x01, 0x93, 0xaf}},
	{SL_H265, false, 3, {0x26, 0x01, 0x2f}},
	{SL_H265, false, 3, {0x2c, 0x01, 0xaf}},
	{SL_H265, false, 3, {0x1e, 0x01, 0xaf}},
	{SL_H265, false, 3, {0x02, 0x01, 0xaf}},
	{SL_H265, false, 3, {0x44, 0x01, 0xc1}},
	{SL_H265, false, 4, {0x62, 0x01, 0x13, 0xaf}},
	{SL_H265, false, 4, {0x62, 0x01, 0x81, 0xaf}},
	{SL_H265, false, 7, {0x60, 0x01, 0, 4, 0x40, 0x01, 0x0c}},
	{SL_H265, false, 5, {0x60, 0x01, 0, 1, 0x40}},
	{SL_H265, false, 2, {0x26, 0x01}},
	{SL_H265, false, 1, {0x40}},
	{SL_H265, false, 0, {0}},
	/* AV1: N, or a sequence header that begins here. */
	{SL_AV1, true, 2, {0x18, 0x0a}},
	{SL_AV1, true, 3, {0x10, 0x08, 0x00}},
	{SL_AV1, true, 4, {0x00, 0x02, 0x08, 0x00}},
	{SL_AV1, true, 6, {0x20, 0x02, 0x10, 0x00, 0x08, 0x00}},
	{SL_AV1, true, 6, {0xa0, 0x02, 0x10, 0x00, 0x08, 0x00}},
	{SL_AV1, false, 2, {0x10, 0x30}},
	{SL_AV1, false, 3, {0x90, 0x08, 0x00}},
	{SL_AV1, false, 2, {0x98, 0x30}},
	{SL_AV1, false, 4, {0x00, 0x03, 0x08, 0x00}},
	{SL_AV1, false, 11, {0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x08}},
	{SL_AV1, false, 4, {0x00, 0x00, 0x00, 0x00}},
	{SL_AV1, false, 1, {0x08}},
	{SL_AV1, false, 0, {0}},
	/* No pictures. */
	{SL_OPUS, false, 2, {0x65, 0x88}},
	{SL_CODEC_NONE, false, 2, {0x65, 0x88}},
	{SL_RTX, false, 4, {0, 1, 0x65, 0x88}},
	{SL_CODEC_COUNT, false, 2, {0x65, 0x88}},
};
/* clang-format on */

TEST(t22_key_frames_are_told_from_the_payload)
{
	for (size_t i = 0; i < SL_COUNT(cases); i++) {
		const struct key_case *c = &cases[i];
		uint8_t exact[20];

		memcpy(exact, c->p, c->len);
		if (sl_is_keyframe(c->codec, exact, c->len, NULL, 0) != c->key)
			sl_test_failed(__FILE__, __LINE__, "case %zu, %s", i,
				       sl_codec_info(c->codec)->name);
	}
}

/* RFC 6184 section 5.7.1; a length field that runs past the end must end the loop and not the
 * process. */
TEST(t22_aggregation_loops_count_down_what_is_left)
{
	static const enum sl_codec codecs[] = {SL_H264, SL_H265, SL_AV1};
	uint8_t p[64];

	for (unsigned fill = 0; fill < 256; fill++) {
		memset(p, (int)fill, sizeof(p));
		p[0] = 0x78;
		CHECK(!sl_is_keyframe(SL_H264, p, 3, NULL, 0));
		for (size_t len = 0; len <= sizeof(p); len++) {
			p[0] = 0x78;
			(void)sl_is_keyframe(codecs[0], p, len, NULL, 0);
			p[0] = 0x60;
			(void)sl_is_keyframe(codecs[1], p, len, NULL, 0);
			p[0] = 0x00;
			(void)sl_is_keyframe(codecs[2], p, len, NULL, 0);
		}
	}
}

TEST(dependency_descriptor_alone_decides_where_there_is_one)
{
	const uint8_t key[] = {0x80, 0, 1, 0x80}, delta[] = {0x80, 0, 2},
		      later[] = {0x00, 0, 1, 0x80};
	const uint8_t extended[] = {0xc0, 0, 3, 0x40};
	const uint8_t looks_key[] = {0x10, 0x00}, looks_delta[] = {0x11, 0x01};
	static const enum sl_codec codecs[] = {SL_VP8, SL_VP9, SL_H264, SL_H265, SL_AV1};

	for (size_t i = 0; i < SL_COUNT(codecs); i++) {
		CHECK(sl_is_keyframe(codecs[i], looks_delta, 2, key, sizeof(key)));
		CHECK(!sl_is_keyframe(codecs[i], looks_delta, 2, later, sizeof(later)));
		CHECK(!sl_is_keyframe(codecs[i], looks_delta, 2, extended, sizeof(extended)));
		CHECK(!sl_is_keyframe(codecs[i], NULL, 0, key, sizeof(key)));
	}
	CHECK(!sl_is_keyframe(SL_VP8, looks_key, 2, delta, sizeof(delta)));
	CHECK(!sl_is_keyframe(SL_OPUS, looks_key, 2, key, sizeof(key)));
}

TEST(descriptor_too_short_to_be_one_leaves_the_answer_to_the_codec)
{
	const uint8_t cut[] = {0x80, 0};
	const uint8_t p[] = {0x10, 0x00};

	CHECK(sl_is_keyframe(SL_VP8, p, 2, cut, 2));
	CHECK(sl_is_keyframe(SL_VP8, p, 2, cut, 0));
}

/* ---- VP8 ---- */

TEST(vp8_descriptor_is_read_in_all_its_forms)
{
	const uint8_t full[] = {0x90, 0xf0, 0x92, 0x34, 0x56, 0xb2, 0x00};
	const uint8_t short_id[] = {0x80, 0x80, 0x7f};
	const uint8_t key_idx[] = {0x90, 0x10, 0xff};
	struct sl_vp8 d;

	TRY(sl_vp8_read(full, sizeof(full), &d));
	CHECK_EQ(d.desc_len, 6);
	CHECK_EQ(d.pic_id_off, 2);
	CHECK_EQ(d.pic_id_len, 2);
	CHECK_EQ(d.pic_id, 0x1234);
	CHECK_EQ(d.tl0_off, 4);
	CHECK_EQ(d.tl0, 0x56);
	CHECK_EQ(d.tid, 2);
	CHECK(d.start);
	for (size_t n = 0; n < 6; n++)
		CHECK_EQ(sl_vp8_read(full, n, &d), SL_EPARSE);
	TRY(sl_vp8_read(short_id, sizeof(short_id), &d));
	CHECK_EQ(d.pic_id_len, 1);
	CHECK_EQ(d.pic_id, 127);
	CHECK_EQ(d.tl0_off, 0);
	CHECK(!d.start);
	TRY(sl_vp8_read(key_idx, sizeof(key_idx), &d));
	CHECK_EQ(d.tid, 0);
	CHECK_EQ(d.desc_len, 3);
}

static void check_patch(const uint8_t *p, size_t len, uint16_t id_add, uint8_t tl0_add)
{
	struct sl_vp8 before, after;
	uint8_t copy[16];

	memcpy(copy, p, len);
	TRY(sl_vp8_read(p, len, &before));
	sl_vp8_patch(copy, &before, id_add, tl0_add);
	TRY(sl_vp8_read(copy, len, &after));
	CHECK_EQ(after.pic_id, (before.pic_id + id_add) & (before.pic_id_len == 2 ? 0x7fff
							   : before.pic_id_len	  ? 0x7f
										  : 0));
	CHECK_EQ(after.tl0, before.tl0_off ? (uint8_t)(before.tl0 + tl0_add) : 0);
	CHECK_EQ(after.pic_id_len, before.pic_id_len);
	CHECK_EQ(after.tid, before.tid);
	CHECK_EQ(after.desc_len, before.desc_len);
	CHECK_BYTES(copy + before.desc_len, p + before.desc_len, len - before.desc_len);
}

TEST(t30_vp8_patch_adds_modulo_the_width_and_touches_nothing_else)
{
	const uint8_t full[] = {0x90, 0xf0, 0xff, 0xff, 0xff, 0xb2, 0x01, 0x02};
	const uint8_t narrow[] = {0x90, 0xc0, 0x7f, 0xfe, 0x01, 0x02};
	const uint8_t none[] = {0x10, 0x01, 0x02};

	for (unsigned add = 0; add < 65536; add += 257) {
		check_patch(full, sizeof(full), (uint16_t)add, (uint8_t)add);
		check_patch(narrow, sizeof(narrow), (uint16_t)add, (uint8_t)add);
		check_patch(none, sizeof(none), (uint16_t)add, (uint8_t)add);
	}
}

/* ---- captures ---- */

enum { KEYS_MAX = 64 };
struct keys { /* (SSRC, timestamp) of the key frames that the dependency descriptor tells */
	struct {
		uint32_t ssrc, ts;
	} k[KEYS_MAX];
	int n;
};

static bool has_key(const struct keys *keys, uint32_t ssrc, uint32_t ts)
{
	for (int i = 0; i < keys->n; i++)
		if (keys->k[i].ssrc == ssrc && keys->k[i].ts == ts)
			return true;
	return false;
}

static void check_media(const struct capture *c, const uint8_t *p, const struct sl_rtp *r,
			struct keys *keys)
{
	struct sl_exts e;
	const uint8_t *payload = p + r->payload_off, *dd;
	bool by_dd, by_codec;
	uint8_t dd_len;

	sl_ext_read(p, r, &c->map, &e);
	CHECK(sl_ext_has(&e, SL_EXT_DEPENDENCY_DESCRIPTOR));
	dd = p + e.off[SL_EXT_DEPENDENCY_DESCRIPTOR];
	dd_len = e.len[SL_EXT_DEPENDENCY_DESCRIPTOR];
	by_dd = sl_is_keyframe(c->codec, payload, r->payload_len, dd, dd_len);
	by_codec = sl_is_keyframe(c->codec, payload, r->payload_len, NULL, 0);
	CHECK_EQ(by_dd, dd_len > 6 && dd[3] & 0x80);
	if (by_dd) {
		CHECK(by_codec);
		CHECK(keys->n < KEYS_MAX);
		keys->k[keys->n].ssrc = r->ssrc;
		keys->k[keys->n++].ts = r->ts;
	}
	/* A frame may say it twice: parameter sets, then the slice. */
	if (by_codec)
		CHECK(has_key(keys, r->ssrc, r->ts));
}

TEST(codec_and_descriptor_agree_on_the_key_frames_of_the_captures)
{
	for (int i = 0; i < CAPTURES; i++) {
		const struct capture *c = &captures[i];
		struct keys keys = {.n = 0};
		struct rtpdump_packet p;
		struct rtpdump d;
		struct sl_rtp r;

		TRY(rtpdump_open(c->path, &d));
		while (rtpdump_next(&d, &p)) {
			if (p.rtcp)
				continue;
			TRY(sl_rtp_read(p.data, p.len, &r));
			if (r.pt == c->pt)
				check_media(c, p.data, &r, &keys);
		}
		rtpdump_close(&d);
		CHECK(keys.n >= c->streams);
	}
}
