/* SPDX-License-Identifier: Apache-2.0 — rtp/rtcp_write.c: read(write(x)) == x, and a full writer
 * appends nothing. */
#include "tests/test.h"
#include "rtp/rtp.h"

static uint8_t buf[2000];
static struct sl_wr w;
static struct sl_rd it;
static struct sl_rtcp p;

static void begin(void)
{
	w = sl_wr(buf, sizeof(buf));
}

/* Turns to reading what was written; its first packet is in p. */
static void read_back(void)
{
	CHECK(!w.full);
	CHECK_EQ(sl_wr_len(&w) % 4, 0);
	it = sl_rd(buf, sl_wr_len(&w));
	CHECK(sl_rtcp_next(&it, &p));
}

static void end(void)
{
	CHECK_EQ(sl_rd_left(&it), 0);
	CHECK(!it.bad);
}

static struct sl_report report(uint32_t i)
{
	return (struct sl_report){.ssrc = i,
				  .fraction_lost = (uint8_t)i,
				  .lost = 5 - (int32_t)i,
				  .highest_seq = i << 16,
				  .jitter = i * 3,
				  .lsr = i * 7,
				  .dlsr = i * 11};
}

static void check_report(const struct sl_report *b, uint32_t i)
{
	struct sl_report want = report(i);

	CHECK_EQ(b->ssrc, want.ssrc);
	CHECK_EQ(b->fraction_lost, want.fraction_lost);
	CHECK_EQ(b->lost, want.lost);
	CHECK_EQ(b->highest_seq, want.highest_seq);
	CHECK_EQ(b->jitter, want.jitter);
	CHECK_EQ(b->lsr, want.lsr);
	CHECK_EQ(b->dlsr, want.dlsr);
}

static const struct sl_sender_info info = {
	.ssrc = 0xdeadbeef,
	.ntp = 0x0123456789abcdef,
	.rtp_ts = 0xffffffff,
	.packets = 1,
	.octets = 0x80000000,
};

TEST(sender_report_comes_back_with_any_number_of_blocks)
{
	struct sl_report in[70], out[31];

	for (uint32_t i = 0; i < 70; i++)
		in[i] = report(i);
	for (int n = 0; n <= 70; n++) {
		struct sl_sender_info si;
		uint32_t from, seen;
		int k;

		begin();
		sl_rtcp_write_sr(&w, &info, in, n);
		read_back();
		k = sl_rtcp_read_sr(p, &si, out, 31);
		CHECK_EQ(k, SL_MIN(n, 31));
		CHECK_EQ(si.ntp, info.ntp);
		CHECK_EQ(si.ssrc, info.ssrc);
		CHECK_EQ(si.rtp_ts, info.rtp_ts);
		CHECK_EQ(si.packets, info.packets);
		CHECK_EQ(si.octets, info.octets);
		for (seen = 0; (int)seen < k; seen++)
			check_report(&out[seen], seen);
		while (sl_rtcp_next(&it, &p)) { /* more than 31 go into receiver reports */
			k = sl_rtcp_read_rr(p, &from, out, 31);
			CHECK_EQ(from, info.ssrc);
			for (int i = 0; i < k; i++)
				check_report(&out[i], seen++);
		}
		CHECK_EQ(seen, n);
		end();
	}
}

TEST(receiver_report_comes_back_and_may_be_empty)
{
	struct sl_report in[2] = {report(1), report(200)}, out[2];
	uint32_t from;

	begin();
	sl_rtcp_write_rr(&w, 77, in, 2);
	sl_rtcp_write_rr(&w, 78, NULL, 0);
	read_back();
	CHECK_EQ(sl_rtcp_read_rr(p, &from, out, 2), 2);
	CHECK_EQ(from, 77);
	check_report(&out[0], 1);
	check_report(&out[1], 200);
	CHECK(sl_rtcp_next(&it, &p));
	CHECK_EQ(sl_rtcp_read_rr(p, &from, out, 2), 0);
	CHECK_EQ(from, 78);
	end();
}

TEST(t30_cumulative_loss_is_clamped_to_24_bits)
{
	struct sl_report in[2] = {{.lost = INT32_MAX}, {.lost = INT32_MIN}}, out[2];
	uint32_t from;

	begin();
	sl_rtcp_write_rr(&w, 1, in, 2);
	read_back();
	CHECK_EQ(sl_rtcp_read_rr(p, &from, out, 2), 2);
	CHECK_EQ(out[0].lost, 0x7fffff);
	CHECK_EQ(out[1].lost, -0x800000);
}

/* RFC 3550 section 6.5: the item list ends with at least one zero byte and fills its word. */
TEST(sdes_is_ended_and_filled_for_any_length_of_name)
{
	char name[300];

	memset(name, 'n', sizeof(name));
	for (size_t n = 0; n < 300; n++) {
		size_t len = SL_MIN(n, 255u);

		name[n] = '\0';
		begin();
		sl_rtcp_write_sdes(&w, 42, name);
		name[n] = 'n';
		read_back();
		CHECK_EQ(p.type, SL_RTCP_SDES);
		CHECK_EQ(p.count, 1);
		CHECK_EQ(sl_rd32(&p.body), 42);
		CHECK_EQ(sl_rd8(&p.body), 1);
		CHECK_EQ(sl_rd8(&p.body), len);
		CHECK_BYTES(sl_rd_bytes(&p.body, len), name, len);
		CHECK(sl_rd_left(&p.body) >= 1 && sl_rd_left(&p.body) <= 4);
		while (sl_rd_left(&p.body) > 0)
			CHECK_EQ(sl_rd8(&p.body), 0);
		end();
	}
}

TEST(bye_comes_back_with_any_number_of_sources)
{
	uint32_t in[40], out[31];
	int seen = 0;

	for (uint32_t i = 0; i < 40; i++)
		in[i] = i * 1000;
	begin();
	sl_rtcp_write_bye(&w, in, 0);
	CHECK_EQ(sl_wr_len(&w), 0);
	sl_rtcp_write_bye(&w, in, 40);
	read_back();
	do {
		int n = sl_rtcp_read_bye(p, out, 31);

		for (int i = 0; i < n; i++)
			CHECK_EQ(out[i], 1000 * seen++);
	} while (sl_rtcp_next(&it, &p));
	CHECK_EQ(seen, 40);
	end();
}

static int unpack(const struct sl_nack_fci *f, int n, uint16_t *out)
{
	int k = 0;

	for (int i = 0; i < n; i++)
		for (unsigned bit = 0; bit <= 16; bit++)
			if (bit == 0 || f[i].blp >> (bit - 1) & 1)
				out[k++] = (uint16_t)(f[i].pid + bit);
	return k;
}

static int nack_round_trip(const uint64_t *lost, int n)
{
	static uint16_t out[600];
	struct sl_nack_fci f[300];
	uint32_t from, about;
	int fcis;

	begin();
	sl_rtcp_write_nack(&w, 1, 2, lost, n);
	read_back();
	fcis = sl_rtcp_read_nack(p, &from, &about, f, 300);
	CHECK_EQ(from, 1);
	CHECK_EQ(about, 2);
	CHECK_EQ(unpack(f, fcis, out), n);
	for (int i = 0; i < n; i++)
		CHECK_EQ(out[i], (uint16_t)lost[i]);
	end();
	return fcis;
}

TEST(nack_names_seventeen_in_a_row_by_one_entry)
{
	uint64_t lost[300];

	for (int i = 0; i < 300; i++)
		lost[i] = 65530 + (uint64_t)i;
	CHECK_EQ(nack_round_trip(lost, 1), 1);
	CHECK_EQ(nack_round_trip(lost, 17), 1);
	CHECK_EQ(nack_round_trip(lost, 18), 2);
	CHECK_EQ(nack_round_trip(lost, 300), 18);
}

TEST(nack_of_scattered_numbers_comes_back)
{
	const uint64_t lost[] = {65535, 65536, 65551, 65552, 65569, 70000, 1 << 20};

	CHECK_EQ(nack_round_trip(lost, (int)SL_COUNT(lost)), 5);
	begin();
	sl_rtcp_write_nack(&w, 1, 2, lost, 0);
	CHECK_EQ(sl_wr_len(&w), 0);
	CHECK(!w.full);
}

TEST(nack_names_a_number_given_twice_once)
{
	const uint64_t lost[] = {7, 7, 8};
	struct sl_nack_fci f[2];
	uint32_t from, about;

	begin();
	sl_rtcp_write_nack(&w, 1, 2, lost, 3);
	read_back();
	CHECK_EQ(sl_rtcp_read_nack(p, &from, &about, f, 2), 1);
	CHECK_EQ(f[0].pid, 7);
	CHECK_EQ(f[0].blp, 1);
}

TEST(pli_and_fir_come_back)
{
	uint32_t from, about;
	struct sl_fir f[2];

	begin();
	sl_rtcp_write_pli(&w, 3, 4);
	sl_rtcp_write_fir(&w, 5, 6, 255);
	read_back();
	TRY(sl_rtcp_read_pli(p, &from, &about));
	CHECK_EQ(from, 3);
	CHECK_EQ(about, 4);
	CHECK(sl_rtcp_next(&it, &p));
	CHECK_EQ(sl_rtcp_read_fir(p, &from, f, 2), 1);
	CHECK_EQ(from, 5);
	CHECK_EQ(f[0].ssrc, 6);
	CHECK_EQ(f[0].seq, 255);
	end();
}

TEST(remb_keeps_18_bits_and_never_says_more)
{
	const uint32_t in[] = {10, 20, 30};
	uint32_t out[3];
	uint64_t bps;

	for (unsigned shift = 0; shift < 64; shift++) {
		uint64_t want = UINT64_C(1) << shift | UINT64_C(1) << shift >> 17 |
				UINT64_C(1) << shift >> 1;

		begin();
		sl_rtcp_write_remb(&w, 9, want, in, 3);
		read_back();
		CHECK_EQ(sl_rtcp_read_remb(p, &bps, out, 3), 3);
		CHECK(bps == want);
		CHECK_BYTES(in, out, sizeof(in));
		end();
	}
	begin();
	sl_rtcp_write_remb(&w, 9, UINT64_MAX, in, 0);
	read_back();
	CHECK_EQ(sl_rtcp_read_remb(p, &bps, out, 3), 0);
	CHECK(bps == UINT64_MAX - (UINT64_MAX >> 18));
}

/* RFC 3611 section 4.5. */
TEST(dlrr_has_the_layout_of_the_rfc)
{
	static const uint8_t want[] = {0x80, 207, 0, 5, 0,    0, 0, 1, 5, 0, 0, 3,
				       0,    0,	  0, 2, 0xaa, 0, 0, 3, 0, 0, 0, 4};
	uint32_t from;
	uint64_t ntp;

	begin();
	sl_rtcp_write_dlrr(&w, 1, 2, 0xaa000003, 4);
	CHECK_EQ(sl_wr_len(&w), sizeof(want));
	CHECK_BYTES(buf, want, sizeof(want));
	read_back();
	CHECK_EQ(sl_rtcp_read_rrtr(p, &from, &ntp), SL_EAGAIN);
}

static void write_kind(unsigned kind)
{
	static const uint64_t lost[] = {1, 100, 200};
	static const uint32_t ssrcs[40] = {1, 2, 3};
	static const struct sl_report blocks[40];

	/* clang-format off */
	switch (kind) {
	case 0: sl_rtcp_write_sr(&w, &info, blocks, 40); break;
	case 1: sl_rtcp_write_rr(&w, 1, blocks, 40); break;
	case 2: sl_rtcp_write_sdes(&w, 1, "name"); break;
	case 3: sl_rtcp_write_bye(&w, ssrcs, 40); break;
	case 4: sl_rtcp_write_nack(&w, 1, 2, lost, 3); break;
	case 5: sl_rtcp_write_pli(&w, 1, 2); break;
	case 6: sl_rtcp_write_fir(&w, 1, 2, 3); break;
	case 7: sl_rtcp_write_remb(&w, 1, 1000, ssrcs, 3); break;
	default: sl_rtcp_write_dlrr(&w, 1, 2, 3, 4); break;
	}
	/* clang-format on */
}

TEST(writer_too_short_gets_nothing_of_a_packet)
{
	for (unsigned kind = 0; kind <= 8; kind++) {
		size_t need;

		begin();
		write_kind(kind);
		need = sl_wr_len(&w);
		for (size_t cap = 8; cap < 8 + need; cap++) {
			memset(buf, 0, sizeof(buf));
			w = sl_wr(buf, cap);
			sl_wr_zeros(&w, 8);
			write_kind(kind);
			CHECK(w.full);
			CHECK_EQ(sl_wr_len(&w), 8);
			CHECK_EQ(buf[cap], 0);
		}
		w = sl_wr(buf, 8 + need);
		sl_wr_zeros(&w, 8);
		write_kind(kind);
		CHECK(!w.full);
	}
}
