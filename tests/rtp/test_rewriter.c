/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/rtp.h"
#include "tests/rtp/draw.h"
#include <stdlib.h>

/* ---- sl_gap ---- */

static uint64_t dense(struct sl_gap *g, uint64_t seq)
{
	uint64_t d = 0;

	CHECK(sl_gap_map(g, seq, &d));
	return d;
}

TEST(gap_without_drops_changes_no_number)
{
	struct sl_gap g;

	sl_gap_init(&g);
	CHECK_EQ(dense(&g, 65536), 65536);
	CHECK_EQ(dense(&g, 65540), 65540);
	CHECK_EQ(dense(&g, 65538), 65538);
}

TEST(gap_of_dropped_packets_is_closed)
{
	struct sl_gap g;

	sl_gap_init(&g);
	CHECK_EQ(dense(&g, 100), 100);
	sl_gap_drop(&g, 101);
	sl_gap_drop(&g, 102);
	CHECK_EQ(dense(&g, 103), 101);
	sl_gap_drop(&g, 105);
	CHECK_EQ(dense(&g, 106), 103);
	CHECK_EQ(dense(&g, 104), 102);
}

TEST(gap_drops_before_the_first_packet_count)
{
	struct sl_gap g;

	sl_gap_init(&g);
	sl_gap_drop(&g, 99);
	sl_gap_drop(&g, 98);
	CHECK_EQ(dense(&g, 100), 98);
	CHECK_EQ(dense(&g, 101), 99);
}

TEST(gap_late_packet_gets_the_same_number_as_it_would_have_had)
{
	struct sl_gap g;

	sl_gap_init(&g);
	CHECK_EQ(dense(&g, 100), 100);
	CHECK_EQ(dense(&g, 103), 103);
	sl_gap_drop(&g, 104);
	CHECK_EQ(dense(&g, 105), 104);
	CHECK_EQ(dense(&g, 102), 102);
	CHECK_EQ(dense(&g, 105), 104);
}

TEST(gap_padding_that_comes_late_leaves_its_hole)
{
	struct sl_gap g;

	sl_gap_init(&g);
	CHECK_EQ(dense(&g, 102), 102);
	sl_gap_drop(&g, 101);
	CHECK_EQ(dense(&g, 103), 103);
	CHECK_EQ(g.dropped, 0);
}

TEST(gap_dropped_packet_itself_has_no_number_however_often_it_comes)
{
	struct sl_gap g;
	uint64_t d;

	sl_gap_init(&g);
	CHECK_EQ(dense(&g, 100), 100);
	sl_gap_drop(&g, 101);
	sl_gap_drop(&g, 101);
	CHECK(!sl_gap_map(&g, 101, &d));
	CHECK_EQ(dense(&g, 102), 101);
}

TEST(gap_older_than_what_is_remembered_is_refused)
{
	struct sl_gap g;
	uint64_t d;

	sl_gap_init(&g);
	CHECK_EQ(dense(&g, 1000), 1000);
	for (uint64_t i = 0; i <= SL_GAP_DROPS; i++)
		sl_gap_drop(&g, 1002 + 2 * i);
	CHECK(!sl_gap_map(&g, 1001, &d));
	CHECK_EQ(dense(&g, 1003), 1002);
	CHECK_EQ(dense(&g, 1005), 1003);
}

/* Against a model that remembers every drop, over a shuffled stream that is one third padding. */
TEST(t30_gap_numbers_are_dense_unique_and_stable)
{
	enum { N = 20000 };
	static bool dropped[N];
	static uint64_t given[N];
	struct draw d = draw_seed(9);
	struct sl_gap g;
	uint64_t top = 0;
	int refused = 0;

	memset(dropped, 0, sizeof(dropped));
	memset(given, 0, sizeof(given));
	sl_gap_init(&g);
	for (uint64_t i = 0; i < N; i++) {
		uint64_t seq = i < 40 ? i : i - draw(&d, 40);
		uint64_t got, want = 65536 + seq;

		if (draw_percent(&d, 33) && given[seq] == 0) {
			sl_gap_drop(&g, 65536 + seq);
			dropped[seq] = dropped[seq] || seq > top || top == 0;
			continue;
		}
		for (uint64_t k = 0; k < seq; k++)
			want -= dropped[k];
		if (!sl_gap_map(&g, 65536 + seq, &got)) {
			refused += !dropped[seq];
			continue;
		}
		CHECK(!dropped[seq]);
		CHECK_EQ(got, want);
		CHECK(given[seq] == 0 || given[seq] == got);
		given[seq] = got;
		top = SL_MAX(top, seq);
	}
	CHECK_EQ(refused, 0);
}

/* ---- sl_rewriter ---- */

static struct sl_rewritten map(struct sl_rewriter *r, uint64_t in_seq, uint32_t in_ts,
			       int64_t now_us)
{
	struct sl_rewritten out = {0};

	CHECK_EQ(sl_rewriter_map(r, in_seq, in_ts, now_us, &out), SL_OK);
	return out;
}

TEST(rewriter_first_packet_has_the_first_number_and_timestamp)
{
	struct sl_rewriter r;
	struct sl_rewritten out;

	sl_rewriter_init(&r, 1234, 0xfffffff0);
	CHECK_EQ(sl_rewriter_map(&r, 5, 5, 0, &out), SL_ERANGE);
	sl_rewriter_switch(&r, 1, 70000, 500, 90000, SL_SEC);
	out = map(&r, 70000, 500, SL_SEC);
	CHECK_EQ(out.seq, 1234);
	CHECK_EQ(out.ts, 0xfffffff0);
	out = map(&r, 70002, 500 + 3000, SL_SEC);
	CHECK_EQ(out.seq, 1236);
	CHECK_EQ(out.ts, (uint32_t)(0xfffffff0 + 3000));
	CHECK_EQ(map(&r, 70001, 500, SL_SEC).seq, 1235);
}

TEST(m13_rewriter_starts_below_half_of_the_number_space)
{
	for (uint32_t first = 0; first < 65536; first++) {
		struct sl_rewriter r;
		uint64_t seq;

		sl_rewriter_init(&r, (uint16_t)first, 0);
		sl_rewriter_switch(&r, 1, 99, 0, 90000, 0);
		seq = map(&r, 99, 0, 0).seq;
		CHECK(seq > 0 && seq < 32768);
		CHECK(first == 0 || first >= 32768 || seq == first);
	}
}

TEST(m13_rewriter_numbers_count_the_rollovers)
{
	struct sl_rewriter r;

	sl_rewriter_init(&r, 100, 0);
	sl_rewriter_switch(&r, 1, 70000, 0, 90000, 0);
	for (uint64_t i = 0; i < 200000; i++)
		CHECK_EQ(map(&r, 70000 + i, 0, 0).seq, 100 + i);
}

TEST(rewriter_switch_goes_on_with_the_next_number_and_the_elapsed_time)
{
	struct sl_rewriter r;
	struct sl_rewritten a, b;

	sl_rewriter_init(&r, 100, 1000);
	sl_rewriter_switch(&r, 1, 5000, 77, 90000, SL_SEC);
	a = map(&r, 5000, 77, SL_SEC);
	sl_rewriter_switch(&r, 2, 900000, 0xabcdef, 90000, SL_SEC + 200 * SL_MS);
	b = map(&r, 900000, 0xabcdef, SL_SEC + 200 * SL_MS);
	CHECK_EQ(b.seq, a.seq + 1);
	CHECK_EQ(b.ts - a.ts, 18000);
	CHECK(a.epoch != b.epoch);
	CHECK_EQ(r.epochs[b.epoch].source, 2);
	CHECK_EQ(r.epochs[a.epoch].source, 1);
}

TEST(rewriter_switch_within_one_tick_still_moves_the_timestamp)
{
	struct sl_rewriter r;

	sl_rewriter_init(&r, 100, 1000);
	sl_rewriter_switch(&r, 1, 5000, 77, 8000, SL_SEC);
	CHECK_EQ(map(&r, 5000, 77, SL_SEC).ts, 1000);
	sl_rewriter_switch(&r, 2, 6000, 9, 8000, SL_SEC);
	CHECK_EQ(map(&r, 6000, 9, SL_SEC).ts, 1001);
}

TEST(rewriter_switch_that_sent_nothing_uses_up_nothing)
{
	struct sl_rewriter r;

	sl_rewriter_init(&r, 100, 1000);
	sl_rewriter_switch(&r, 1, 5000, 77, 90000, SL_SEC);
	sl_rewriter_switch(&r, 2, 6000, 88, 90000, 9 * SL_SEC);
	CHECK_EQ(map(&r, 6000, 88, 9 * SL_SEC).seq, 100);
	CHECK_EQ(r.ts_out, 1000);
}

TEST(rewriter_packet_from_before_the_epoch_is_refused)
{
	struct sl_rewriter r;
	struct sl_rewritten out;

	sl_rewriter_init(&r, 100, 1000);
	sl_rewriter_switch(&r, 1, 5000, 77, 90000, SL_SEC);
	CHECK_EQ(sl_rewriter_map(&r, 4999, 70, SL_SEC, &out), SL_ERANGE);
	CHECK_EQ(map(&r, 5001, 80, SL_SEC).seq, 101);
	CHECK_EQ(map(&r, 5000, 77, SL_SEC).seq, 100);
}

TEST(rewriter_leap_of_the_source_is_a_hole_of_one)
{
	struct sl_rewriter r;
	struct sl_rewritten a, b;

	sl_rewriter_init(&r, 100, 1000);
	sl_rewriter_switch(&r, 1, 5000, 0, 90000, SL_SEC);
	a = map(&r, 5000, 0, SL_SEC);
	CHECK_EQ(map(&r, 8000, 90, SL_SEC + SL_MS).seq, a.seq + 3000);
	b = map(&r, 8000 + 40000, 0x80000000, 2 * SL_SEC + SL_MS);
	CHECK_EQ(b.seq, a.seq + 3002);
	CHECK_EQ(b.ts, 1090 + 90000);
	CHECK(b.epoch != a.epoch);
	CHECK_EQ(r.epochs[b.epoch].source, 1);
	CHECK_EQ(map(&r, 48001, 0x80000001, 2 * SL_SEC + SL_MS).ts, b.ts + 1);
}

TEST(rewriter_leap_on_the_same_clock_keeps_the_timestamps)
{
	struct sl_rewriter r;

	sl_rewriter_init(&r, 100, 1000);
	sl_rewriter_switch(&r, 1, 5000, 0, 90000, SL_SEC);
	CHECK_EQ(map(&r, 5000, 0, SL_SEC).ts, 1000);
	CHECK_EQ(map(&r, 15000, 5 * 90000 + 7, 6 * SL_SEC).ts, 1000 + 5 * 90000 + 7);
}

TEST(rewriter_of_a_subscriber_is_small)
{
	CHECK(sizeof(struct sl_rewriter) < 300);
}

/* Sources come and go for an hour, with loss and reordering; the player sees numbers that never
 * leap nor repeat, and timestamps that keep step with the clock. */
TEST(t30_rewriter_out_stream_is_one_stream)
{
	struct draw d = draw_seed(10);
	struct sl_rewriter r;
	uint64_t in = 65536, seen_to = 0, last_top = 0;
	uint32_t ts = 0, want_ts;
	static bool used[400000];

	memset(used, 0, sizeof(used));
	sl_rewriter_init(&r, 30000, 0xffff0000);
	for (int64_t now = SL_SEC; now < 3600 * SL_SEC; now += 20 * SL_MS) {
		struct sl_rewritten out;

		if (now == SL_SEC || draw(&d, 500) == 0) {
			in = 65536 + draw(&d, 1000000);
			ts = draw(&d, UINT32_MAX);
			sl_rewriter_switch(&r, draw(&d, 9), in, ts, 48000, now);
			seen_to = in;
		} else {
			in = seen_to + 1;
			ts += 960;
			seen_to = in;
		}
		if (draw_percent(&d, 5))
			continue;
		out = map(&r, in, ts, now);
		CHECK(out.seq < SL_COUNT(used) && !used[out.seq]);
		used[out.seq] = true;
		CHECK(last_top == 0 || (out.seq > last_top && out.seq - last_top < 20));
		last_top = out.seq;
		want_ts = (uint32_t)(0xffff0000 + sl_us_to_ticks(now - SL_SEC, 48000));
		CHECK(abs(sl_seq32_diff(want_ts, out.ts)) <= 2 * 960);
	}
}

/* ---- VP8 picture ids ---- */

static uint16_t patched(const struct sl_rewriter *r, const struct sl_vp8 *v)
{
	uint16_t sum = (uint16_t)(v->pic_id + r->epochs[r->current].pic_id_add);

	return sum & (v->pic_id_len == 1 ? 0x7f : 0x7fff);
}

static uint8_t patched_tl0(const struct sl_rewriter *r, const struct sl_vp8 *v)
{
	return (uint8_t)(v->tl0 + r->epochs[r->current].tl0_add);
}

static void send_picture(struct sl_rewriter *r, const struct sl_vp8 *v)
{
	sl_rewriter_note_vp8(r, patched(r, v), patched_tl0(r, v));
}

static void switch_to(struct sl_rewriter *r, const struct sl_vp8 *v)
{
	sl_rewriter_switch(r, 1, 1000, 0, 90000, SL_SEC);
	sl_rewriter_set_vp8(r, v);
}

TEST(rewriter_picture_ids_of_the_first_source_stay)
{
	struct sl_vp8 v = {
		.pic_id_off = 2,
		.pic_id_len = 2,
		.pic_id = 32766,
		.tl0_off = 4,
		.tl0 = 250,
	};
	struct sl_rewriter r;

	sl_rewriter_init(&r, 1, 1);
	switch_to(&r, &v);
	CHECK_EQ(patched(&r, &v), 32766);
	CHECK_EQ(patched_tl0(&r, &v), 250);
}

TEST(rewriter_picture_ids_go_on_over_a_switch_in_both_widths)
{
	static const struct {
		uint8_t len;
		uint16_t last, next, want;
	} rows[] = {
		{2, 100, 9000, 101}, {2, 32767, 5, 0}, {2, 5, 32767, 6},
		{1, 126, 3, 127},    {1, 127, 3, 0},   {1, 0, 127, 1},
	};

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		struct sl_vp8 a = {.pic_id_off = 2, .pic_id_len = rows[i].len, .tl0_off = 4};
		struct sl_vp8 b = a;
		struct sl_rewriter r;

		a.pic_id = rows[i].last;
		a.tl0 = 255;
		b.pic_id = rows[i].next;
		b.tl0 = 77;
		sl_rewriter_init(&r, 1, 1);
		switch_to(&r, &a);
		send_picture(&r, &a);
		switch_to(&r, &b);
		CHECK_EQ(patched(&r, &b), rows[i].want);
		CHECK_EQ(patched_tl0(&r, &b), 0);
	}
}

TEST(rewriter_picture_ids_go_on_when_their_width_changes)
{
	struct sl_vp8 wide = {.pic_id_off = 2, .pic_id_len = 2, .pic_id = 1000};
	struct sl_vp8 narrow = {.pic_id_off = 2, .pic_id_len = 1, .pic_id = 3};
	struct sl_rewriter r;

	sl_rewriter_init(&r, 1, 1);
	switch_to(&r, &wide);
	send_picture(&r, &wide);
	switch_to(&r, &narrow);
	CHECK_EQ(patched(&r, &narrow), 1001 & 0x7f);
	send_picture(&r, &narrow);
	switch_to(&r, &wide);
	CHECK_EQ(patched(&r, &wide), (1001 & 0x7f) + 1);
}

TEST(rewriter_late_picture_is_not_the_newest)
{
	struct sl_vp8 v = {.pic_id_off = 2, .pic_id_len = 1, .pic_id = 126};
	struct sl_rewriter r;

	sl_rewriter_init(&r, 1, 1);
	switch_to(&r, &v);
	for (uint16_t id = 126; id < 132; id++)
		sl_rewriter_note_vp8(&r, id & 0x7f, 0);
	CHECK_EQ(r.pic_id_out, 3);
	sl_rewriter_note_vp8(&r, 127, 0);
	CHECK_EQ(r.pic_id_out, 3);
}

TEST(rewriter_source_without_picture_ids_gets_no_offset)
{
	struct sl_vp8 a = {
		.pic_id_off = 2,
		.pic_id_len = 2,
		.pic_id = 7,
		.tl0_off = 4,
		.tl0 = 9,
	};
	struct sl_vp8 none = {0};
	struct sl_rewriter r;

	sl_rewriter_init(&r, 1, 1);
	switch_to(&r, &a);
	send_picture(&r, &a);
	switch_to(&r, &none);
	CHECK_EQ(r.epochs[r.current].pic_id_add, 0);
	CHECK_EQ(r.epochs[r.current].tl0_add, 0);
}
