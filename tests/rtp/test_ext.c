/* SPDX-License-Identifier: Apache-2.0 — rtp/ext.c */
#include "tests/test.h"
#include "tests/lib/rtpdump.h"

/* clang-format off */
static const struct sl_ext_map in_map = {.id = {
	[SL_EXT_MID] = 1, [SL_EXT_TWCC] = 2, [SL_EXT_ABS_SEND_TIME] = 3, [SL_EXT_AUDIO_LEVEL] = 4,
	[SL_EXT_VIDEO_ORIENTATION] = 5, [SL_EXT_PLAYOUT_DELAY] = 6, [SL_EXT_COLOR_SPACE] = 7,
	[SL_EXT_VIDEO_CONTENT_TYPE] = 8, [SL_EXT_ABS_CAPTURE_TIME] = 9,
	[SL_EXT_DEPENDENCY_DESCRIPTOR] = 10, [SL_EXT_RID] = 11, [SL_EXT_TOFFSET] = 12,
}};
/* clang-format on */

/* A packet with this extension block (padded to words here) and a payload of one byte. */
struct packet {
	uint8_t p[1500];
	size_t len;
	struct sl_rtp rtp;
};

static void make(struct packet *k, uint16_t profile, const void *elements, size_t n)
{
	struct sl_wr w = sl_wr(k->p, sizeof(k->p));

	memset(k->p, 0, sizeof(k->p));
	sl_wr8(&w, 0x90);
	sl_wr_zeros(&w, 11);
	sl_wr16(&w, profile);
	sl_wr16(&w, (uint16_t)((n + 3) / 4));
	sl_wr_bytes(&w, elements, n);
	sl_wr_zeros(&w, (4 - n % 4) % 4);
	sl_wr8(&w, 'x');
	k->len = sl_wr_len(&w);
	TRY(sl_rtp_read(k->p, k->len, &k->rtp));
}

static int read_exts(struct packet *k, uint16_t profile, const void *elements, size_t n,
		     struct sl_exts *e)
{
	make(k, profile, elements, n);
	return sl_ext_read(k->p, &k->rtp, &in_map, e);
}

TEST(every_uri_is_found_again_and_no_other)
{
	for (unsigned e = 0; e < SL_EXT_COUNT; e++)
		CHECK_EQ(sl_ext_by_uri(sl_str_z(sl_ext_uri((enum sl_ext)e))), e);
	CHECK_EQ(sl_ext_by_uri(SL_STR("urn:x")), SL_EXT_COUNT);
	CHECK_EQ(sl_ext_by_uri(SL_STR("")), SL_EXT_COUNT);
	CHECK_STR(sl_ext_uri(SL_EXT_COUNT), "");
}

TEST(one_byte_form_is_read_with_padding_between)
{
	const uint8_t b[] = {0x10, 'a', 0, 0, 0x21, 0x12, 0x34, 0, 0x40, 0x85};
	struct sl_exts e;
	struct packet k;

	CHECK_EQ(read_exts(&k, 0xbede, b, sizeof(b), &e), 3);
	CHECK_EQ(e.len[SL_EXT_MID], 1);
	CHECK_EQ(k.p[e.off[SL_EXT_MID]], 'a');
	CHECK_EQ(sl_get16(k.p + e.off[SL_EXT_TWCC]), 0x1234);
	CHECK(!sl_ext_has(&e, SL_EXT_ABS_SEND_TIME));
}

TEST(two_byte_form_is_read_with_any_appbits)
{
	const uint8_t b[] = {1, 1, 'a', 0, 0, 4, 0, 200, 2, 9, 9, 2, 2, 0x12, 0x34};
	struct sl_exts e;
	struct packet k;

	for (uint16_t bits = 0; bits < 16; bits++) {
		CHECK_EQ(read_exts(&k, (uint16_t)(0x1000 | bits), b, sizeof(b), &e), 3);
		CHECK_EQ(e.len[SL_EXT_AUDIO_LEVEL], 0);
		CHECK_EQ(sl_get16(k.p + e.off[SL_EXT_TWCC]), 0x1234);
	}
	CHECK_EQ(read_exts(&k, 0x1010, b, sizeof(b), &e), 0);
	CHECK_EQ(read_exts(&k, 0, b, sizeof(b), &e), 0);
}

TEST(unknown_ids_are_skipped_and_the_first_of_two_counts)
{
	const uint8_t b[] = {0xd1, 9, 9, 0x10, 'a', 0x10, 'b', 0xe0, 7};
	struct sl_exts e;
	struct packet k;

	CHECK_EQ(read_exts(&k, 0xbede, b, sizeof(b), &e), 1);
	CHECK_EQ(k.p[e.off[SL_EXT_MID]], 'a');
}

/* RFC 8285 section 4.2: id 15, and id 0 with a length, end the walk; what came before stays. */
TEST(id_15_and_id_0_with_a_length_end_the_walk)
{
	const uint8_t fifteen[] = {0x10, 'a', 0xf0, 0, 0x21, 1, 2, 0};
	const uint8_t zero[] = {0x10, 'a', 0x01, 0x21, 1, 2, 0, 0};
	struct sl_exts e;
	struct packet k;

	CHECK_EQ(read_exts(&k, 0xbede, fifteen, sizeof(fifteen), &e), 1);
	CHECK_EQ(read_exts(&k, 0xbede, zero, sizeof(zero), &e), 1);
	CHECK(sl_ext_has(&e, SL_EXT_MID));
}

TEST(element_longer_than_the_block_ends_the_walk_and_the_packet_stays_usable)
{
	const uint8_t one[] = {0x10, 'a', 0x2f, 1};
	const uint8_t two[] = {1, 1, 'a', 0, 0, 0, 2, 200};
	const uint8_t cut[] = {1, 1, 'a', 2};
	struct sl_exts e;
	struct packet k;

	CHECK_EQ(read_exts(&k, 0xbede, one, sizeof(one), &e), 1);
	CHECK_EQ(read_exts(&k, 0x1000, two, sizeof(two), &e), 1);
	CHECK_EQ(read_exts(&k, 0x1000, cut, sizeof(cut), &e), 1);
}

TEST(audio_level_is_seven_bits_and_a_voice_bit)
{
	const uint8_t loud[] = {0x40, 0x85}, quiet[] = {0x40, 0x7f}, empty[] = {4, 0}, none[] = {0};
	struct sl_exts e;
	struct packet k;
	uint8_t level;
	bool voice;

	read_exts(&k, 0xbede, loud, sizeof(loud), &e);
	CHECK(sl_ext_audio_level(k.p, &e, &level, &voice));
	CHECK_EQ(level, 5);
	CHECK(voice);
	read_exts(&k, 0xbede, quiet, sizeof(quiet), &e);
	CHECK(sl_ext_audio_level(k.p, &e, &level, &voice));
	CHECK_EQ(level, 127);
	CHECK(!voice);
	read_exts(&k, 0x1000, empty, sizeof(empty), &e);
	CHECK(!sl_ext_audio_level(k.p, &e, &level, &voice));
	read_exts(&k, 0x1000, none, sizeof(none), &e);
	CHECK(!sl_ext_audio_level(k.p, &e, &level, &voice));
}

TEST(t30_abs_send_time_is_seconds_in_6_18_and_wraps_after_64)
{
	CHECK_EQ(sl_abs_send_time(0), 0);
	CHECK_EQ(sl_abs_send_time(SL_SEC), 1 << 18);
	CHECK_EQ(sl_abs_send_time(500000), 1 << 17);
	CHECK_EQ(sl_abs_send_time(64 * SL_SEC), 0);
	CHECK_EQ(sl_abs_send_time(64 * SL_SEC - 1), 0xffffff);
	CHECK_EQ(sl_abs_send_time(INT64_MAX / (64 * SL_SEC) * (64 * SL_SEC) + SL_SEC), 1 << 18);
	CHECK(sl_abs_send_time(INT64_MAX) <= 0xffffff);
}

/* ---- the header a subscriber gets ---- */

/* clang-format off */
static const struct sl_ext_map low_map = {.id = {
	[SL_EXT_MID] = 12, [SL_EXT_TWCC] = 11, [SL_EXT_ABS_SEND_TIME] = 10,
	[SL_EXT_AUDIO_LEVEL] = 9, [SL_EXT_VIDEO_ORIENTATION] = 8, [SL_EXT_PLAYOUT_DELAY] = 7, [SL_EXT_COLOR_SPACE] = 6,
	[SL_EXT_VIDEO_CONTENT_TYPE] = 5, [SL_EXT_ABS_CAPTURE_TIME] = 4,
	[SL_EXT_DEPENDENCY_DESCRIPTOR] = 3, [SL_EXT_RID] = 2, [SL_EXT_TOFFSET] = 1,
}};
/* clang-format on */
static const struct sl_hdr_out fields = {
	.ssrc = 0xfeedf00d,
	.ts = 0x80000001,
	.seq = 0xfffe,
	.pt = 0x7f,
	.marker = true,
	.twcc_seq = 0x8001,
	.abs_send_time = 0xabcdef,
};
static const uint32_t passed_on = 1u << SL_EXT_AUDIO_LEVEL | 1u << SL_EXT_VIDEO_ORIENTATION |
				  1u << SL_EXT_PLAYOUT_DELAY | 1u << SL_EXT_COLOR_SPACE |
				  1u << SL_EXT_VIDEO_CONTENT_TYPE | 1u << SL_EXT_ABS_CAPTURE_TIME |
				  1u << SL_EXT_DEPENDENCY_DESCRIPTOR;

/* What was written, read again under the subscriber's ids. */
struct written {
	uint8_t p[SL_RTP_HDR_MAX + 1];
	size_t len;
	struct sl_rtp rtp;
	struct sl_exts e;
};

static void write_and_read(struct sl_hdr_writer *w, const struct packet *k,
			   const struct sl_exts *in, struct written *o)
{
	memset(o->p, 0xee, sizeof(o->p));
	o->len = sl_hdr_write(w, k ? k->p : NULL, in, &fields, o->p);
	CHECK(o->len <= SL_RTP_HDR_MAX);
	CHECK_EQ(o->p[SL_RTP_HDR_MAX], 0xee);
	TRY(sl_rtp_read(o->p, o->len, &o->rtp));
	CHECK_EQ(o->rtp.payload_off, o->len);
	CHECK_EQ(o->rtp.ssrc, fields.ssrc);
	CHECK_EQ(o->rtp.ts, fields.ts);
	CHECK_EQ(o->rtp.seq, fields.seq);
	CHECK_EQ(o->rtp.pt, fields.pt);
	CHECK_EQ(o->rtp.marker, fields.marker);
	CHECK_EQ(o->rtp.csrc_count, 0);
	sl_ext_read(o->p, &o->rtp, &w->map, &o->e);
}

static void check_value(const struct packet *k, const struct sl_exts *in, const struct written *o,
			enum sl_ext x)
{
	CHECK(sl_ext_has(&o->e, x));
	CHECK_EQ(o->e.len[x], in->len[x]);
	CHECK_BYTES(o->p + o->e.off[x], k->p + in->off[x], in->len[x]);
}

static void check_ours(const struct written *o, const char *mid)
{
	CHECK_EQ(o->e.len[SL_EXT_MID], strlen(mid));
	CHECK_BYTES(o->p + o->e.off[SL_EXT_MID], mid, strlen(mid));
	CHECK_EQ(sl_get16(o->p + o->e.off[SL_EXT_TWCC]), fields.twcc_seq);
	CHECK_EQ(sl_get24(o->p + o->e.off[SL_EXT_ABS_SEND_TIME]), fields.abs_send_time);
}

/* clang-format off */
static const uint8_t all_one_byte[] = {
	0x10, 'z', 0x21, 1, 2, 0x32, 1, 2, 3, 0x40, 0x85, 0x50, 0x03, 0x62, 4, 5, 6,
	0x73, 9, 9, 9, 9, 0x80, 1, 0x97, 1, 2, 3, 4, 5, 6, 7, 8, 0xa2, 0x80, 0, 1,
	0xb0, 'q', 0xc2, 1, 2, 3,
};
/* clang-format on */

TEST(values_are_passed_on_under_the_subscribers_ids_and_ours_are_new)
{
	struct sl_hdr_writer w;
	struct sl_exts in;
	struct packet k;
	struct written o;

	CHECK_EQ(read_exts(&k, 0xbede, all_one_byte, sizeof(all_one_byte), &in), 12);
	sl_hdr_writer_init(&w, &low_map, SL_STR("v1"));
	write_and_read(&w, &k, &in, &o);
	CHECK_EQ(o.rtp.ext_profile, 0xbede);
	check_ours(&o, "v1");
	for (unsigned x = 0; x < SL_EXT_COUNT; x++)
		if (passed_on >> x & 1)
			check_value(&k, &in, &o, (enum sl_ext)x);
	/* Dropped: rid, repaired-rid, toffset, video-timing. */
	CHECK_EQ(o.e.have,
		 passed_on | 1u << SL_EXT_MID | 1u << SL_EXT_TWCC | 1u << SL_EXT_ABS_SEND_TIME);
}

TEST(long_value_empty_value_and_high_id_each_make_it_two_byte)
{
	uint8_t long_dd[2 + 92] = {10, 92, 0x80, 0, 1, 0x80};
	const uint8_t empty[] = {8, 0, 5, 1, 3};
	const uint8_t plain[] = {0x50, 3};
	struct sl_ext_map high = low_map;
	struct sl_hdr_writer w;
	struct sl_exts in;
	struct packet k;
	struct written o;

	sl_hdr_writer_init(&w, &low_map, SL_STR("0"));
	read_exts(&k, 0x1000, long_dd, sizeof(long_dd), &in);
	write_and_read(&w, &k, &in, &o);
	CHECK_EQ(o.rtp.ext_profile, 0x1000);
	check_value(&k, &in, &o, SL_EXT_DEPENDENCY_DESCRIPTOR);
	check_ours(&o, "0");
	read_exts(&k, 0x1000, empty, sizeof(empty), &in);
	write_and_read(&w, &k, &in, &o);
	CHECK_EQ(o.rtp.ext_profile, 0x1000);
	check_value(&k, &in, &o, SL_EXT_VIDEO_CONTENT_TYPE);
	check_value(&k, &in, &o, SL_EXT_VIDEO_ORIENTATION);
	for (uint8_t id = 13; id <= 16; id++) {
		high.id[SL_EXT_VIDEO_ORIENTATION] = id;
		sl_hdr_writer_init(&w, &high, SL_STR("0"));
		read_exts(&k, 0xbede, plain, sizeof(plain), &in);
		write_and_read(&w, &k, &in, &o);
		CHECK_EQ(o.rtp.ext_profile, id <= 14 ? 0xbede : 0x1000);
		check_value(&k, &in, &o, SL_EXT_VIDEO_ORIENTATION);
	}
}

TEST(mid_of_17_bytes_needs_the_two_byte_form_and_one_of_33_is_left_out)
{
	const char *mid = "0123456789abcdefghijklmnopqrstuvw";
	struct sl_hdr_writer w;
	struct written o;

	sl_hdr_writer_init(&w, &low_map, sl_str(mid, 16));
	write_and_read(&w, NULL, NULL, &o);
	CHECK_EQ(o.rtp.ext_profile, 0xbede);
	CHECK_EQ(o.e.len[SL_EXT_MID], 16);
	sl_hdr_writer_init(&w, &low_map, sl_str(mid, 17));
	write_and_read(&w, NULL, NULL, &o);
	CHECK_EQ(o.rtp.ext_profile, 0x1000);
	CHECK_EQ(o.e.len[SL_EXT_MID], 17);
	sl_hdr_writer_init(&w, &low_map, sl_str(mid, 32));
	write_and_read(&w, NULL, NULL, &o);
	CHECK_EQ(o.e.len[SL_EXT_MID], 32);
	sl_hdr_writer_init(&w, &low_map, sl_str(mid, 33));
	write_and_read(&w, NULL, NULL, &o);
	CHECK(!sl_ext_has(&o.e, SL_EXT_MID));
}

TEST(one_byte_only_leaves_out_what_does_not_fit_that_form)
{
	uint8_t b[2 + 17 + 3] = {10, 17, 0x80, 0, 1, 0x80, [19] = 5, 1, 3};
	struct sl_hdr_writer w;
	struct sl_exts in;
	struct packet k;
	struct written o;

	CHECK_EQ(read_exts(&k, 0x1000, b, sizeof(b), &in), 2);
	sl_hdr_writer_init(&w, &low_map, SL_STR("a mid that is longer than 16"));
	w.one_byte_only = true;
	write_and_read(&w, &k, &in, &o);
	CHECK_EQ(o.rtp.ext_profile, 0xbede);
	CHECK_EQ(o.e.have,
		 1u << SL_EXT_VIDEO_ORIENTATION | 1u << SL_EXT_TWCC | 1u << SL_EXT_ABS_SEND_TIME);
	check_value(&k, &in, &o, SL_EXT_VIDEO_ORIENTATION);
}

TEST(probe_has_our_extensions_only_and_a_map_of_nothing_gives_none)
{
	const struct sl_ext_map none = {0};
	struct sl_hdr_writer w;
	struct sl_exts in;
	struct packet k;
	struct written o;

	sl_hdr_writer_init(&w, &low_map, SL_STR("a"));
	write_and_read(&w, NULL, NULL, &o);
	check_ours(&o, "a");
	CHECK_EQ(__builtin_popcount(o.e.have), 3);
	read_exts(&k, 0xbede, all_one_byte, sizeof(all_one_byte), &in);
	sl_hdr_writer_init(&w, &none, SL_STR("a"));
	write_and_read(&w, &k, &in, &o);
	CHECK_EQ(o.len, 12);
	CHECK_EQ(o.rtp.ext_profile, 0);
}

TEST(value_that_finds_no_room_is_left_out_and_the_rest_stays)
{
	uint8_t b[2 + 250 + 2 + 1] = {10, 250, [252] = 5, 1, 3};
	struct sl_hdr_writer w;
	struct sl_exts in;
	struct packet k;
	struct written o;

	CHECK_EQ(read_exts(&k, 0x1000, b, sizeof(b), &in), 2);
	sl_hdr_writer_init(&w, &low_map, SL_STR("a"));
	write_and_read(&w, &k, &in, &o);
	CHECK(!sl_ext_has(&o.e, SL_EXT_DEPENDENCY_DESCRIPTOR));
	check_value(&k, &in, &o, SL_EXT_VIDEO_ORIENTATION);
	check_ours(&o, "a");
}

TEST(longest_values_fill_the_header_to_its_limit_and_never_beyond)
{
	struct sl_hdr_writer w;
	uint8_t b[2 + 255];
	struct sl_exts in;
	struct packet k;
	struct written o;
	size_t most = 0;

	sl_hdr_writer_init(&w, &low_map, SL_STR("0123456789abcdefghijklmnopqrstuv"));
	for (unsigned n = 1; n <= 255; n++) {
		memset(b, 0x5a, sizeof(b));
		b[0] = 10;
		b[1] = (uint8_t)n;
		read_exts(&k, 0x1000, b, 2 + n, &in);
		write_and_read(&w, &k, &in, &o);
		check_ours(&o, "0123456789abcdefghijklmnopqrstuv");
		most = SL_MAX(most, o.len);
	}
	CHECK_EQ(most, 252);
}

TEST(templates_are_reused_and_the_oldest_is_replaced_when_all_are_in_use)
{
	struct sl_hdr_writer w;
	uint8_t b[2 + 40] = {10};
	struct sl_exts in;
	struct packet k;
	struct written o;

	sl_hdr_writer_init(&w, &low_map, SL_STR("a"));
	for (unsigned i = 0; i < 100; i++) {
		b[1] = (uint8_t)(i % 4 + 1);
		read_exts(&k, 0x1000, b, 2u + b[1], &in);
		write_and_read(&w, &k, &in, &o);
	}
	CHECK_EQ(w.count, 4);
	for (unsigned i = 0; i < 100; i++) {
		b[1] = (uint8_t)(i % 20 + 1);
		memset(b + 2, (int)i, 40);
		read_exts(&k, 0x1000, b, 2u + b[1], &in);
		write_and_read(&w, &k, &in, &o);
		check_value(&k, &in, &o, SL_EXT_DEPENDENCY_DESCRIPTOR);
		check_ours(&o, "a");
	}
	CHECK_EQ(w.count, SL_HDR_TEMPLATES);
}

/* ---- captures ---- */

static void check_capture_exts(const struct capture *c, struct sl_hdr_writer *w,
			       const struct rtpdump_packet *p, uint32_t *seen, unsigned *forms)
{
	struct packet k;
	struct sl_exts e;
	struct written o;

	TRY(sl_rtp_read(p->data, p->len, &k.rtp));
	sl_ext_read(p->data, &k.rtp, &c->map, &e);
	CHECK(sl_ext_has(&e, SL_EXT_TWCC));
	CHECK_EQ(e.len[SL_EXT_TWCC], 2);
	CHECK_EQ(e.len[SL_EXT_ABS_SEND_TIME], 3);
	if (k.rtp.pt == c->pt)
		CHECK(sl_ext_has(&e, SL_EXT_DEPENDENCY_DESCRIPTOR));
	*forms |= k.rtp.ext_profile == 0xbede ? 1 : 2;
	*seen |= e.have;
	memcpy(k.p, p->data, p->len);
	write_and_read(w, &k, &e, &o);
	check_ours(&o, "a");
	for (unsigned x = 0; x < SL_EXT_COUNT; x++)
		if (passed_on & e.have & 1u << x)
			check_value(&k, &e, &o, (enum sl_ext)x);
}

TEST(extensions_of_the_captures_are_found_and_written_again)
{
	for (int i = 0; i < CAPTURES; i++) {
		const struct capture *c = &captures[i];
		struct rtpdump_packet p;
		struct sl_hdr_writer w;
		uint32_t seen = 0, want = 0;
		unsigned forms = 0;
		struct rtpdump d;

		sl_hdr_writer_init(&w, &low_map, SL_STR("a"));
		TRY(rtpdump_open(c->path, &d));
		while (rtpdump_next(&d, &p))
			if (!p.rtcp)
				check_capture_exts(c, &w, &p, &seen, &forms);
		rtpdump_close(&d);
		for (unsigned x = 0; x < SL_EXT_COUNT; x++)
			if (c->map.id[x])
				want |= 1u << x;
		/* One SSRC needs no rid, three share one m-line and need no mid. */
		CHECK_EQ(seen | 1u << SL_EXT_MID | 1u << SL_EXT_RID |
				 1u << SL_EXT_VIDEO_ORIENTATION,
			 want | 1u << SL_EXT_MID | 1u << SL_EXT_RID |
				 1u << SL_EXT_VIDEO_ORIENTATION);
		CHECK(seen & (1u << SL_EXT_MID | 1u << SL_EXT_RID));
		CHECK_EQ(forms, 3);
	}
}
