/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/rtp.h"
#include "tests/rtp/draw.h"
#include <stdlib.h>

enum { NUMBERS = 65536, TICK_US = 250 };

/* What a sender makes of the feedback it gets: a small decoder of its own, straight from the draft.
 * */
struct sender {
	int64_t ticks[NUMBERS]; /* of the latest word about each; -1 lost, -2 not told yet */
	int told[NUMBERS];
	int64_t ref_near; /* reference time unwrapped: near this */
	uint16_t base, count;
	uint8_t fb_count;
	int fbs, runs, vec1s, vec2s, larges;
};

static struct sender *sender_new(void)
{
	struct sender *s = calloc(1, sizeof(*s));

	if (!s)
		sl_test_oom_stop();
	DEFER(free, s);
	for (int i = 0; i < NUMBERS; i++)
		s->ticks[i] = -2;
	return s;
}

static int read_symbols(struct sender *s, struct sl_rd *r, uint8_t *symbols)
{
	int n = 0;

	while (n < s->count) {
		uint16_t c = sl_rd16(r);
		int bits = c & 0x4000 ? 2 : 1;

		CHECK(!r->bad);
		if (c < 0x8000) {
			CHECK((c & 0x1fff) > 0 && (c & 0x1fff) <= s->count - n);
			for (int i = 0; i < (c & 0x1fff); i++)
				symbols[n++] = c >> 13 & 3;
			s->runs++;
			continue;
		}
		for (int i = 14 - bits; i >= 0 && n < s->count; i -= bits)
			symbols[n++] = (uint8_t)(c >> i & (bits == 2 ? 3 : 1));
		s->vec1s += bits == 1;
		s->vec2s += bits == 2;
	}
	return n;
}

static int64_t unwrap_reference(const struct sender *s, uint32_t ref)
{
	int64_t v = s->ref_near - s->ref_near % (1 << 24) + ref;

	if (v - s->ref_near > 1 << 23)
		v -= 1 << 24;
	if (s->ref_near - v > 1 << 23)
		v += 1 << 24;
	return v;
}

static void read_fb(struct sender *s, const uint8_t *p, size_t len)
{
	static uint8_t symbols[NUMBERS];
	struct sl_rd r = sl_rd(p, len);
	int64_t ticks;
	int n;

	CHECK(len % 4 == 0 && len <= 1200);
	CHECK_EQ(sl_rd16(&r), 0x8fcd);
	CHECK_EQ(sl_rd16(&r), len / 4 - 1);
	CHECK_EQ(sl_rd32(&r), 0x11111111);
	CHECK_EQ(sl_rd32(&r), 0x22222222);
	s->base = sl_rd16(&r);
	s->count = sl_rd16(&r);
	s->ref_near = unwrap_reference(s, sl_rd24(&r));
	ticks = s->ref_near * 256;
	if (s->fbs++ > 0)
		CHECK_EQ(p[19], (uint8_t)(s->fb_count + 1));
	s->fb_count = sl_rd8(&r);
	n = read_symbols(s, &r, symbols);
	CHECK(symbols[n - 1] != 0);
	for (int i = 0; i < n; i++) {
		uint16_t seq = (uint16_t)(s->base + i);

		CHECK(symbols[i] < 3);
		s->larges += symbols[i] == 2;
		if (symbols[i] == 1)
			ticks += sl_rd8(&r);
		else if (symbols[i] == 2)
			ticks += (int16_t)sl_rd16(&r);
		s->ticks[seq] = symbols[i] ? ticks : -1;
		s->told[seq]++;
	}
	CHECK(!r.bad && sl_rd_left(&r) < 4);
	while (sl_rd_left(&r))
		CHECK_EQ(sl_rd8(&r), 0);
}

/* Writes whatever is due into buffers of `cap` bytes; how many feedbacks. */
static int drain(struct sl_twcc_rx *t, struct sender *s, int64_t now_us, size_t cap)
{
	uint8_t buf[1500];
	int n = 0;

	for (;; n++) {
		struct sl_wr w = sl_wr(buf, cap);

		if (!sl_twcc_rx_write(t, 0x11111111, 0x22222222, now_us, &w))
			break;
		CHECK(!w.full);
		read_fb(s, buf, sl_wr_len(&w));
	}
	return n;
}

static struct sl_twcc_rx *rx_new(void)
{
	struct sl_twcc_rx *t = malloc(sizeof(*t));

	if (!t)
		sl_test_oom_stop();
	DEFER(free, t);
	sl_twcc_rx_init(t);
	return t;
}

static void arrive(struct sl_twcc_rx *t, uint16_t seq, int64_t us)
{
	sl_twcc_rx_packet(t, seq, us, us);
}

TEST(twcc_feedback_falls_due_fifty_milliseconds_after_the_first_unreported_packet)
{
	struct sl_twcc_rx *t = rx_new();
	struct sender *s = sender_new();

	CHECK_EQ(sl_twcc_rx_deadline_us(t), SL_NEVER);
	CHECK_EQ(drain(t, s, SL_SEC, 1200), 0);
	sl_twcc_rx_packet(t, 10, SL_SEC, SL_SEC + 1);
	sl_twcc_rx_packet(t, 11, SL_SEC + 9, SL_SEC + 10);
	CHECK_EQ(sl_twcc_rx_deadline_us(t), SL_SEC + 1 + 50 * SL_MS);
	CHECK_EQ(drain(t, s, SL_SEC + 50 * SL_MS, 1200), 0);
	CHECK_EQ(drain(t, s, SL_SEC + 51 * SL_MS, 1200), 1);
	CHECK_EQ(s->base, 10);
	CHECK_EQ(s->count, 2);
	CHECK_EQ(sl_twcc_rx_deadline_us(t), SL_NEVER);
}

TEST(twcc_a_hundred_packets_are_reported_at_once)
{
	struct sl_twcc_rx *t = rx_new();

	for (uint16_t i = 0; i < 99; i++)
		arrive(t, i, SL_SEC);
	CHECK_EQ(sl_twcc_rx_deadline_us(t), SL_SEC + 50 * SL_MS);
	arrive(t, 99, SL_SEC + 5);
	CHECK_EQ(sl_twcc_rx_deadline_us(t), SL_SEC + 5);
}

TEST(twcc_feedback_of_one_packet_has_these_bytes)
{
	static const uint8_t want[] = {
		0x8f, 0xcd, 0, 5, 0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x22, 0x22,
		0,    7,    0, 1, 0,	0,    2,    0,	  0x20, 1,    0x90, 0,
	};
	struct sl_twcc_rx *t = rx_new();
	uint8_t buf[64];
	struct sl_wr w = sl_wr(buf, sizeof(buf));

	arrive(t, 7, 2 * 64 * SL_MS + 0x90 * TICK_US);
	CHECK(sl_twcc_rx_write(t, 0x11111111, 0x22222222, SL_SEC, &w));
	CHECK_EQ(sl_wr_len(&w), sizeof(want));
	CHECK_BYTES(buf, want, sizeof(want));
}

TEST(twcc_our_own_reader_agrees)
{
	struct sl_twcc_rx *t = rx_new();
	static struct sl_twcc_packet got[300];
	struct sl_twcc_head head;
	struct sl_rtcp rtcp;
	uint8_t buf[1200];
	struct sl_wr w = sl_wr(buf, sizeof(buf));
	struct sl_rd r;
	int64_t us;

	for (uint16_t i = 0; i < 300; i++)
		if (i % 7 && i % 31 < 20)
			arrive(t, (uint16_t)(65400 + i),
			       SL_SEC + i * (i % 50 == 33 ? 30 : 31) * SL_MS);
	CHECK(sl_twcc_rx_write(t, 5, 6, 100 * SL_SEC, &w));
	r = sl_rd(buf, sl_wr_len(&w));
	CHECK(sl_rtcp_next(&r, &rtcp));
	CHECK_EQ(sl_rtcp_read_twcc(rtcp, &head, got, 300), 298);
	CHECK(head.sender == 5 && head.media == 6 && head.base_seq == 65401);
	us = head.reference_us_64ms * 64 * SL_MS;
	for (int i = 1; i < 299; i++) {
		CHECK_EQ(got[i - 1].received, i % 7 && i % 31 < 20);
		us += got[i - 1].delta_us;
		if (got[i - 1].received)
			CHECK_EQ(us, SL_SEC + i * (i % 50 == 33 ? 30 : 31) * SL_MS);
	}
}

TEST(twcc_lost_numbers_are_told_and_the_next_feedback_goes_on_from_there)
{
	struct sl_twcc_rx *t = rx_new();
	struct sender *s = sender_new();

	arrive(t, 1, SL_SEC);
	arrive(t, 3, SL_SEC);
	CHECK_EQ(drain(t, s, 2 * SL_SEC, 1200), 1);
	arrive(t, 6, 3 * SL_SEC);
	CHECK_EQ(drain(t, s, 4 * SL_SEC, 1200), 1);
	CHECK_EQ(s->base, 4);
	CHECK_EQ(s->count, 3);
	CHECK_EQ(s->ticks[2], -1);
	CHECK_EQ(s->ticks[4], -1);
	CHECK_EQ(s->ticks[6], 3 * SL_SEC / TICK_US);
}

TEST(twcc_late_packet_is_told_again_with_its_true_time)
{
	struct sl_twcc_rx *t = rx_new();
	struct sender *s = sender_new();

	arrive(t, 1, SL_SEC);
	arrive(t, 3, SL_SEC + 30 * SL_MS);
	CHECK_EQ(drain(t, s, 2 * SL_SEC, 1200), 1);
	CHECK_EQ(s->ticks[2], -1);
	arrive(t, 2, 2 * SL_SEC);
	CHECK_EQ(drain(t, s, 3 * SL_SEC, 1200), 1);
	CHECK_EQ(s->base, 2);
	CHECK_EQ(s->ticks[2], 2 * SL_SEC / TICK_US);
	CHECK_EQ(s->ticks[3], (SL_SEC + 30 * SL_MS) / TICK_US);
	arrive(t, 3, 3 * SL_SEC);
	CHECK_EQ(sl_twcc_rx_deadline_us(t), SL_NEVER);
}

TEST(twcc_pause_longer_than_a_delta_begins_another_feedback)
{
	struct sl_twcc_rx *t = rx_new();
	struct sender *s = sender_new();

	arrive(t, 1, SL_SEC);
	arrive(t, 2, SL_SEC + INT16_MAX * TICK_US);
	arrive(t, 4, SL_SEC + 2 * INT16_MAX * TICK_US + TICK_US);
	CHECK_EQ(drain(t, s, 100 * SL_SEC, 1200), 2);
	CHECK_EQ(s->base, 3);
	CHECK_EQ(s->count, 2);
	CHECK_EQ(s->ticks[2], SL_SEC / TICK_US + INT16_MAX);
	CHECK_EQ(s->ticks[4], SL_SEC / TICK_US + 2 * INT16_MAX + 1);
}

TEST(twcc_all_forms_of_chunk_are_used)
{
	struct sl_twcc_rx *t = rx_new();
	struct sender *s = sender_new();
	int64_t us = SL_SEC;
	uint16_t seq = 100;

	for (int i = 0; i < 40; i++)
		arrive(t, seq++, us += SL_MS);
	for (int i = 0; i < 14; i++, seq = (uint16_t)(seq + 2))
		arrive(t, seq, us += SL_MS);
	for (int i = 0; i < 14; i++)
		arrive(t, seq++, us += i % 3 ? SL_MS : 100 * SL_MS);
	CHECK_EQ(drain(t, s, 100 * SL_SEC, 1200), 1);
	CHECK(s->runs > 0 && s->vec1s > 0 && s->vec2s > 0 && s->larges > 0);
	CHECK_EQ(s->ticks[(uint16_t)(seq - 1)], us / TICK_US);
}

TEST(t30_twcc_sequence_numbers_ticks_and_reference_time_wrap)
{
	struct sl_twcc_rx *t = rx_new();
	struct sender *s = sender_new();
	/* Two seconds before 2^32 ticks of 250 us, when the reference time wraps too. */
	int64_t us = (INT64_C(1) << 32) * TICK_US - 2 * SL_SEC + SL_MS;
	uint16_t seq = 65500;

	s->ref_near = us / (64 * SL_MS);
	for (int i = 0; i < 400; i++, us += 10 * SL_MS, seq++) {
		arrive(t, seq, us);
		(void)drain(t, s, us, 1200);
	}
	(void)drain(t, s, us + SL_SEC, 1200);
	for (int i = 1; i <= 400; i++)
		CHECK_EQ(s->ticks[(uint16_t)(seq - i)], (us - i * 10 * SL_MS) / TICK_US);
	CHECK_EQ(s->told[0], 1);
}

TEST(twcc_feedback_count_wraps)
{
	struct sl_twcc_rx *t = rx_new();
	struct sender *s = sender_new();

	for (int i = 0; i < 600; i++) {
		arrive(t, (uint16_t)i, i * SL_SEC);
		CHECK_EQ(drain(t, s, i * SL_SEC + 50 * SL_MS, 1200), 1);
	}
	CHECK_EQ(s->fb_count, (uint8_t)599);
}

TEST(twcc_whatever_the_room_every_packet_is_told_with_its_time)
{
	static const size_t rooms[] = {28, 29, 33, 64, 131, 400, 1200, 1500};

	for (size_t k = 0; k < SL_COUNT(rooms); k++) {
		struct sl_twcc_rx *t = rx_new();
		struct sender *s = sender_new();
		struct draw d = draw_seed(k);
		static int64_t want[2000];
		int64_t us = SL_SEC;

		memset(want, 0xff, sizeof(want));
		for (uint16_t i = 0; i < 2000; i++) {
			us += draw_percent(&d, 10) ? 90 * SL_MS : draw(&d, 2000);
			if (i > 0 && draw_percent(&d, 30) && i < 1999)
				continue;
			arrive(t, i, us);
			want[i] = us / TICK_US;
		}
		CHECK(drain(t, s, us + SL_SEC, rooms[k]) > 0);
		CHECK_EQ(sl_twcc_rx_deadline_us(t), SL_NEVER);
		for (int i = 0; i < 2000; i++)
			CHECK_EQ(s->ticks[i], want[i]);
	}
}

TEST(twcc_too_little_room_writes_nothing_and_loses_nothing)
{
	struct sl_twcc_rx *t = rx_new();
	struct sender *s = sender_new();

	arrive(t, 1, SL_SEC);
	for (size_t cap = 0; cap < 24; cap++)
		CHECK_EQ(drain(t, s, 2 * SL_SEC, cap), 0);
	CHECK_EQ(drain(t, s, 2 * SL_SEC, 24), 1);
}

/* Loss, reordering and duplicates: in the end the sender knows what arrived, and when it first did.
 * */
TEST(twcc_sender_learns_all_arrivals_over_a_bad_link)
{
	struct sl_twcc_rx *t = rx_new();
	struct sender *s = sender_new();
	struct draw d = draw_seed(8);
	static int64_t first[NUMBERS];
	uint64_t top = 0;

	for (int i = 0; i < NUMBERS; i++)
		first[i] = -1;
	for (uint64_t i = 0; i < 30000; i++) {
		uint64_t seq = i < 20 ? i : i - draw(&d, 20);
		int64_t us = SL_SEC + (int64_t)i * 700;

		if (draw_percent(&d, 10) && i > 0)
			continue;
		if (first[seq] < 0)
			first[seq] = us / TICK_US;
		arrive(t, (uint16_t)seq, us);
		top = SL_MAX(top, seq);
		if (us >= sl_twcc_rx_deadline_us(t))
			(void)drain(t, s, us, 1200);
	}
	(void)drain(t, s, 1000 * SL_SEC, 1200);
	for (uint64_t i = 0; i <= top; i++)
		CHECK_EQ(s->ticks[i], first[i]);
}

TEST(twcc_jump_ahead_tells_the_window_and_goes_on)
{
	struct sl_twcc_rx *t = rx_new();
	struct sender *s = sender_new();

	arrive(t, 10, SL_SEC);
	arrive(t, 20010, SL_SEC + SL_MS);
	CHECK_EQ(drain(t, s, 2 * SL_SEC, 1200), 1);
	CHECK_EQ(s->base, 20010 - SL_TWCC_WINDOW + 1);
	CHECK_EQ(s->ticks[20010], (SL_SEC + SL_MS) / TICK_US);
}

TEST(m7_twcc_sender_that_begins_anew_below_is_heard_again_soon)
{
	struct sl_twcc_rx *t = rx_new();
	struct sender *s = sender_new();

	arrive(t, 30000, SL_SEC);
	for (uint16_t i = 0; i < 40; i++)
		arrive(t, (uint16_t)(5000 + i), 2 * SL_SEC + i * SL_MS);
	(void)drain(t, s, 3 * SL_SEC, 1200);
	CHECK_EQ(s->ticks[5039], (2 * SL_SEC + 39 * SL_MS) / TICK_US);
	CHECK(s->ticks[5016] >= 0);
}

TEST(t52_twcc_state_of_a_transport_is_at_most_nine_kilobytes)
{
	CHECK(sizeof(struct sl_twcc_rx) <= 9 * 1024);
}
