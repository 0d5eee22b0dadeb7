/* SPDX-License-Identifier: Apache-2.0 — rtp/rtcp_read.c */
#include "tests/test.h"
#include "tests/lib/rtpdump.h"

enum { CAP = 64 };

static int next(struct sl_rtcp *p, const uint8_t *b, size_t n)
{
	struct sl_rd it = sl_rd(b, n);

	return sl_rtcp_next(&it, p);
}

/* Every reader on one packet: they must refuse what is not theirs, and read within it. Returns how
 * many accepted. */
static int read_all(struct sl_rtcp p)
{
	static struct sl_report blocks[CAP];
	static struct sl_nack_fci fci[CAP];
	static struct sl_fir fir[CAP];
	static struct sl_twcc_packet fates[CAP];
	static uint32_t ssrcs[CAP];
	struct sl_sender_info si;
	struct sl_twcc_head head;
	uint32_t a, b;
	uint64_t n;

	return (sl_rtcp_read_sr(p, &si, blocks, CAP) >= 0) +
	       (sl_rtcp_read_rr(p, &a, blocks, CAP) >= 0) +
	       (sl_rtcp_read_nack(p, &a, &b, fci, CAP) >= 0) + (sl_rtcp_read_pli(p, &a, &b) >= 0) +
	       (sl_rtcp_read_fir(p, &a, fir, CAP) >= 0) +
	       (sl_rtcp_read_remb(p, &n, ssrcs, CAP) >= 0) +
	       (sl_rtcp_read_bye(p, ssrcs, CAP) >= 0) +
	       (sl_rtcp_read_twcc(p, &head, fates, CAP) >= 0) + (sl_rtcp_read_rrtr(p, &a, &n) >= 0);
}

/* clang-format off */
static const uint8_t compound[] = {
	/* SR with one report block */
	0x81, 200, 0, 12, 1, 2, 3, 4, 0x83, 0xaa, 0x7e, 0x80, 0x80, 0, 0, 0,
	0, 1, 0, 0, 0, 0, 0, 9, 0, 0, 0x10, 0,
	0xa, 0xb, 0xc, 0xd, 0x80, 0xff, 0xff, 0xfe, 0, 1, 0, 2, 0, 0, 0, 7, 1, 1, 1, 1, 2, 2, 2, 2,
	/* SDES */
	0x81, 202, 0, 2, 1, 2, 3, 4, 1, 1, 'a', 0,
	/* an unknown type */
	0x80, 210, 0, 1, 9, 9, 9, 9,
	/* BYE with padding */
	0xa1, 203, 0, 2, 1, 2, 3, 4, 0, 0, 0, 4,
};
/* clang-format on */

TEST(compound_is_walked_and_unknown_types_are_handed_out_to_be_skipped)
{
	static const uint8_t types[] = {200, 202, 210, 203};
	struct sl_rd it = sl_rd(compound, sizeof(compound));
	struct sl_rtcp p = {0};

	for (size_t i = 0; i < SL_COUNT(types); i++) {
		CHECK(sl_rtcp_next(&it, &p));
		CHECK_EQ(p.type, types[i]);
	}
	CHECK_EQ(sl_rd_left(&p.body), 4);
	CHECK(!sl_rtcp_next(&it, &p));
	CHECK(!it.bad);
}

TEST(sender_report_and_its_blocks_are_read)
{
	struct sl_report b[2];
	struct sl_sender_info si;
	struct sl_rtcp p;

	CHECK(next(&p, compound, sizeof(compound)));
	CHECK_EQ(sl_rtcp_read_sr(p, &si, b, 2), 1);
	CHECK_EQ(si.ssrc, 0x01020304);
	CHECK_EQ(si.ntp, 0x83aa7e8080000000);
	CHECK_EQ(si.rtp_ts, 0x10000);
	CHECK_EQ(si.packets, 9);
	CHECK_EQ(si.octets, 0x1000);
	CHECK_EQ(b[0].ssrc, 0x0a0b0c0d);
	CHECK_EQ(b[0].fraction_lost, 128);
	CHECK_EQ(b[0].lost, -2);
	CHECK_EQ(b[0].highest_seq, 0x10002);
	CHECK_EQ(b[0].jitter, 7);
	CHECK_EQ(b[0].lsr, 0x01010101);
	CHECK_EQ(b[0].dlsr, 0x02020202);
	CHECK_EQ(sl_rtcp_read_sr(p, &si, b, 0), 0);
}

TEST(t21_compound_cut_anywhere_is_bad_and_read_by_none_past_its_end)
{
	for (size_t len = 0; len <= sizeof(compound); len++) {
		uint8_t *exact = (uint8_t[sizeof(compound)]){0} + sizeof(compound) - len;
		bool whole =
			len == 0 || len == 52 || len == 64 || len == 72 || len == sizeof(compound);
		struct sl_rtcp p;
		struct sl_rd it;

		memcpy(exact, compound, len);
		it = sl_rd(exact, len);
		while (sl_rtcp_next(&it, &p))
			read_all(p);
		CHECK_EQ(it.bad, !whole);
	}
}

TEST(t21_length_field_is_held_against_what_is_left)
{
	uint8_t b[16] = {0x80, 201};
	struct sl_rtcp p;

	for (unsigned words = 0; words < 65536; words += words < 8 ? 1 : 4093) {
		sl_put16(b + 2, (uint16_t)words);
		CHECK_EQ(next(&p, b, sizeof(b)), words <= 3);
		if (words <= 3)
			CHECK_EQ(sl_rd_left(&p.body), 4 * words);
	}
}

TEST(t21_wrong_version_and_impossible_padding_are_bad)
{
	uint8_t b[12] = {0x80, 201, 0, 2};
	const uint8_t bare[] = {0xa0, 201, 0, 0};
	struct sl_rtcp p;

	for (unsigned first = 0; first < 256; first++) {
		b[0] = (uint8_t)(first & 0xdf);
		CHECK_EQ(next(&p, b, sizeof(b)), first >> 6 == 2);
	}
	b[0] = 0xa0;
	for (unsigned pad = 0; pad < 256; pad++) {
		b[11] = (uint8_t)pad;
		CHECK_EQ(next(&p, b, sizeof(b)), pad >= 1 && pad <= 8);
	}
	CHECK(!next(&p, bare, sizeof(bare)));
}

/* Counts in the header that the body does not hold: RR, SR, BYE. */
TEST(t21_more_blocks_promised_than_there_are_is_malformed)
{
	uint8_t b[4 + 24 + 24] = {0, 0, 0, 12};
	struct sl_sender_info si;
	struct sl_report r[31];
	uint32_t ssrcs[31], from;
	struct sl_rtcp p;

	for (unsigned count = 0; count < 32; count++) {
		b[0] = (uint8_t)(0x80 | count);
		b[1] = SL_RTCP_SR;
		CHECK(next(&p, b, sizeof(b)));
		CHECK_EQ(sl_rtcp_read_sr(p, &si, r, 31), count <= 1 ? (int)count : SL_EPARSE);
		b[1] = SL_RTCP_RR;
		CHECK(next(&p, b, sizeof(b)));
		CHECK_EQ(sl_rtcp_read_rr(p, &from, r, 31), count <= 1 ? (int)count : SL_EPARSE);
		b[1] = SL_RTCP_BYE;
		CHECK(next(&p, b, sizeof(b)));
		CHECK_EQ(sl_rtcp_read_bye(p, ssrcs, 31), count <= 12 ? (int)count : SL_EPARSE);
	}
}

TEST(t21_feedback_cut_at_every_length_is_refused_or_read_within)
{
	static const uint8_t nack[] = {0x81, 205, 0, 4, 0, 0, 0, 1, 0, 0,
				       0,    2,	  0, 5, 0, 1, 0, 9, 0, 0};
	static const uint8_t fir[] = {0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0,
				      0,    0,	 0, 0, 0, 2, 7, 0, 0, 0};
	static const uint8_t remb[] = {0x8f, 206, 0, 6,	   0,	 0,    0, 1, 0, 0, 0, 0, 'R', 'E',
				       'M',  'B', 2, 0x0f, 0xff, 0xff, 0, 0, 0, 2, 0, 0, 0,   3};
	static const uint8_t xr[] = {0x80, 207, 0, 4, 0, 0, 0, 1, 4, 0,
				     0,	   2,	1, 2, 3, 4, 5, 6, 7, 8};
	static const uint8_t twcc[] = {0x8f, 205, 0, 5, 0, 0, 0, 1, 0,	  0, 0, 2,
				       0,    1,	  0, 2, 0, 0, 1, 3, 0x20, 2, 4, 8};
	static const struct {
		const uint8_t *p;
		size_t len, least; /* words of body from which it is read */
	} t[] = {{nack, sizeof(nack), 3},
		 {fir, sizeof(fir), 4},
		 {remb, sizeof(remb), 6},
		 {xr, sizeof(xr), 4},
		 {twcc, sizeof(twcc), 5}};

	for (size_t i = 0; i < SL_COUNT(t); i++)
		for (size_t words = 0; words <= t[i].len / 4 - 1; words++) {
			uint8_t b[32];
			struct sl_rtcp p;

			memcpy(b, t[i].p, t[i].len);
			b[3] = (uint8_t)words;
			CHECK(next(&p, b, 4 + 4 * words));
			CHECK_EQ(read_all(p), words >= t[i].least);
		}
}

TEST(nack_is_read_up_to_what_the_caller_takes)
{
	const uint8_t b[] = {0x81, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 5, 0x80, 1, 0, 99, 0, 0};
	struct sl_nack_fci f[2];
	uint32_t from, about;
	struct sl_rtcp p;

	CHECK(next(&p, b, sizeof(b)));
	CHECK_EQ(sl_rtcp_read_nack(p, &from, &about, f, 2), 2);
	CHECK_EQ(from, 1);
	CHECK_EQ(about, 2);
	CHECK_EQ(f[0].pid, 5);
	CHECK_EQ(f[0].blp, 0x8001);
	CHECK_EQ(f[1].pid, 99);
	CHECK_EQ(sl_rtcp_read_nack(p, &from, &about, f, 1), 1);
}

TEST(remb_saturates_and_other_application_feedback_is_unsupported)
{
	uint8_t b[] = {0x8f, 206, 0,   4,   0,	 0,   0, 1,    0,    0,
		       0,    0,	  'R', 'E', 'M', 'B', 0, 0xff, 0xff, 0xff};
	uint32_t ssrcs[1];
	struct sl_rtcp p;
	uint64_t bps;

	CHECK(next(&p, b, sizeof(b)));
	CHECK_EQ(sl_rtcp_read_remb(p, &bps, ssrcs, 1), 0);
	CHECK(bps == UINT64_MAX);
	b[17] = 0x07;
	CHECK_EQ(sl_rtcp_read_remb(p, &bps, ssrcs, 1), 0);
	CHECK_EQ(bps, 0x3ffff << 1);
	b[12] = 'r';
	CHECK_EQ(sl_rtcp_read_remb(p, &bps, ssrcs, 1), SL_EUNSUPPORTED);
}

TEST(receiver_reference_time_is_found_behind_unknown_blocks)
{
	const uint8_t b[] = {0x80, 207, 0, 6, 0, 0, 0, 1, 99, 0, 0, 1, 7, 7,
			     7,	   7,	4, 0, 0, 2, 1, 2, 3,  4, 5, 6, 7, 8};
	uint8_t none[] = {0x80, 207, 0, 3, 0, 0, 0, 1, 99, 0, 0, 1, 7, 7, 7, 7};
	uint32_t from;
	struct sl_rtcp p;
	uint64_t ntp;

	CHECK(next(&p, b, sizeof(b)));
	TRY(sl_rtcp_read_rrtr(p, &from, &ntp));
	CHECK_EQ(from, 1);
	CHECK_EQ(ntp, 0x0102030405060708);
	CHECK(next(&p, none, sizeof(none)));
	CHECK_EQ(sl_rtcp_read_rrtr(p, &from, &ntp), SL_EAGAIN);
	none[11] = 2;
	CHECK_EQ(sl_rtcp_read_rrtr(p, &from, &ntp), SL_EPARSE);
	none[8] = 4;
	none[11] = 1;
	CHECK_EQ(sl_rtcp_read_rrtr(p, &from, &ntp), SL_EPARSE);
}

/* ---- transport-cc ---- */

/* A feedback packet with these chunks and deltas, padded to words without the P bit. */
static struct sl_rtcp twcc(uint16_t base, uint16_t count, uint32_t reference, const void *rest,
			   size_t n)
{
	static uint8_t b[256];
	struct sl_wr w = sl_wr(b, sizeof(b));
	struct sl_rtcp p;

	sl_wr16(&w, 0x8fcd);
	sl_wr16(&w, (uint16_t)((16 + n + 3) / 4));
	sl_wr32(&w, 1);
	sl_wr32(&w, 2);
	sl_wr16(&w, base);
	sl_wr16(&w, count);
	sl_wr24(&w, reference);
	sl_wr8(&w, 200);
	sl_wr_bytes(&w, rest, n);
	sl_wr_zeros(&w, (4 - n % 4) % 4);
	CHECK(next(&p, b, sl_wr_len(&w)));
	return p;
}

static void check_fates(const struct sl_twcc_packet *f, int n, uint16_t base, const int32_t *deltas)
{
	for (int i = 0; i < n; i++) {
		CHECK_EQ(f[i].seq, (uint16_t)(base + i));
		CHECK_EQ(f[i].received, deltas[i] != INT32_MIN);
		if (f[i].received)
			CHECK_EQ(f[i].delta_us, deltas[i]);
	}
}

enum { LOST = INT32_MIN };

TEST(twcc_run_length_is_read_across_the_wrap)
{
	const uint8_t b[] = {0x00, 0x02, 0x20, 0x03, 1, 0, 255};
	const int32_t want[] = {LOST, LOST, 250, 0, 63750};
	struct sl_twcc_packet f[8];
	struct sl_twcc_head h;

	CHECK_EQ(sl_rtcp_read_twcc(twcc(65534, 5, 0xffffff, b, sizeof(b)), &h, f, 8), 5);
	CHECK_EQ(h.sender, 1);
	CHECK_EQ(h.media, 2);
	CHECK_EQ(h.base_seq, 65534);
	CHECK_EQ(h.count, 5);
	CHECK_EQ(h.reference_us_64ms, -1);
	CHECK_EQ(h.fb_count, 200);
	check_fates(f, 5, 65534, want);
}

TEST(twcc_one_bit_vector_is_fourteen_packets)
{
	const uint8_t b[] = {0xa0, 0x01, 4, 8};
	const int32_t want[14] = {1000, LOST, LOST, LOST, LOST, LOST, LOST,
				  LOST, LOST, LOST, LOST, LOST, LOST, 2000};
	struct sl_twcc_packet f[14];
	struct sl_twcc_head h;

	CHECK_EQ(sl_rtcp_read_twcc(twcc(0, 14, 0, b, sizeof(b)), &h, f, 14), 14);
	check_fates(f, 14, 0, want);
}

TEST(twcc_two_bit_vector_has_large_and_negative_deltas)
{
	/* small, large, none, large, none, none, small */
	const uint8_t b[] = {0xc0 | 0x18, 0x81, 2, 0x80, 0x00, 0x7f, 0xff, 3};
	const int32_t want[] = {500, -32768 * 250, LOST, 32767 * 250, LOST, LOST, 750};
	struct sl_twcc_packet f[7];
	struct sl_twcc_head h;

	CHECK_EQ(sl_rtcp_read_twcc(twcc(9, 7, 0x800000, b, sizeof(b)), &h, f, 7), 7);
	CHECK_EQ(h.reference_us_64ms, -0x800000);
	check_fates(f, 7, 9, want);
}

TEST(twcc_symbols_beyond_the_count_and_entries_beyond_the_cap_are_left_out)
{
	const uint8_t b[] = {0x3f, 0xff, 1, 2, 3, 4};
	const int32_t want[] = {250, 500, 750, 1000};
	struct sl_twcc_packet f[4];
	struct sl_twcc_head h;

	CHECK_EQ(sl_rtcp_read_twcc(twcc(0, 4, 0, b, sizeof(b)), &h, f, 4), 4);
	check_fates(f, 4, 0, want);
	CHECK_EQ(sl_rtcp_read_twcc(twcc(0, 4, 0, b, sizeof(b)), &h, f, 2), 2);
	CHECK_EQ(sl_rtcp_read_twcc(twcc(0, 0, 0, b, sizeof(b)), &h, f, 4), 0);
}

TEST(t21_twcc_without_its_chunks_or_deltas_or_with_a_reserved_symbol_is_malformed)
{
	const uint8_t few_deltas[] = {0x20, 0x09, 1, 2};
	const uint8_t reserved[] = {0x60, 0x01, 1, 2};
	const uint8_t empty_runs[] = {0x20, 0x00, 0x20, 0x00};
	const uint8_t half_large[] = {0x40, 0x01};
	struct sl_twcc_packet f[32];
	struct sl_twcc_head h;

	CHECK_EQ(sl_rtcp_read_twcc(twcc(0, 9, 0, few_deltas, 4), &h, f, 32), SL_EPARSE);
	CHECK_EQ(sl_rtcp_read_twcc(twcc(0, 1, 0, reserved, 4), &h, f, 32), SL_EPARSE);
	CHECK_EQ(sl_rtcp_read_twcc(twcc(0, 1, 0, empty_runs, 4), &h, f, 32), SL_EPARSE);
	CHECK_EQ(sl_rtcp_read_twcc(twcc(0, 65535, 0, few_deltas, 4), &h, f, 32), SL_EPARSE);
	CHECK_EQ(sl_rtcp_read_twcc(twcc(0, 2, 0, half_large, 2), &h, f, 32), SL_EPARSE);
	CHECK_EQ(sl_rtcp_read_twcc(twcc(0, 1, 0, "", 0), &h, f, 32), SL_EPARSE);
}

/* ---- captures ---- */

struct tally {
	int sr, rr, twcc, nack, other;
};

static void count(struct sl_rtcp p, struct tally *t)
{
	struct sl_report blocks[4];
	struct sl_twcc_packet f[CAP];
	struct sl_sender_info si;
	struct sl_twcc_head h;
	uint32_t from;

	if (p.type == SL_RTCP_SR) {
		TRY(sl_rtcp_read_sr(p, &si, blocks, 4));
		t->sr++;
	} else if (p.type == SL_RTCP_RR) {
		TRY(sl_rtcp_read_rr(p, &from, blocks, 4));
		t->rr++;
	} else if (p.type == SL_RTCP_RTPFB && p.count == SL_RTPFB_TWCC) {
		CHECK(sl_rtcp_read_twcc(p, &h, f, CAP) > 0);
		t->twcc++;
	} else {
		t->other++;
	}
}

TEST(every_rtcp_packet_of_the_captures_is_read)
{
	for (int i = 0; i < CAPTURES; i++) {
		struct rtpdump_packet k;
		struct tally t = {0};
		struct rtpdump d;
		struct sl_rtcp p;

		TRY(rtpdump_open(captures[i].path, &d));
		while (rtpdump_next(&d, &k)) {
			struct sl_rd it = sl_rd(k.data, k.len);

			while (k.rtcp && sl_rtcp_next(&it, &p))
				count(p, &t);
			CHECK(!it.bad);
		}
		rtpdump_close(&d);
		CHECK(t.sr > 10);
		CHECK(t.twcc > 40);
	}
}
