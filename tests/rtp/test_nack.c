/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/rtp.h"
#include "tests/rtp/draw.h"
#include <stdlib.h>

enum { CAP = 300 };

static void start(struct sl_nack *n, uint64_t next)
{
	sl_nack_init(n);
	sl_nack_set_rtt(n, 50 * SL_MS);
	(void)sl_nack_seen(n, next - 1, 0);
}

static int ask(struct sl_nack *n, int64_t now_us)
{
	uint64_t lost[CAP];

	return sl_nack_poll(n, now_us, lost, CAP);
}

TEST(nack_asks_after_three_newer_packets)
{
	struct sl_nack n;
	uint64_t lost[CAP];

	start(&n, 100);
	CHECK(sl_nack_seen(&n, 101, 1000));
	CHECK(sl_nack_seen(&n, 102, 1001));
	CHECK_EQ(ask(&n, 1001), 0);
	CHECK(sl_nack_seen(&n, 103, 1002));
	CHECK(sl_nack_deadline_us(&n) <= 1002);
	CHECK_EQ(sl_nack_poll(&n, 1002, lost, CAP), 1);
	CHECK_EQ(lost[0], 100);
}

TEST(nack_asks_after_ten_milliseconds_without_newer_packets)
{
	struct sl_nack n;

	start(&n, 100);
	(void)sl_nack_seen(&n, 103, 1000);
	CHECK_EQ(sl_nack_deadline_us(&n), 11000);
	CHECK_EQ(ask(&n, 10999), 0);
	CHECK_EQ(ask(&n, 11000), 3);
}

TEST(nack_repeats_after_a_round_trip_then_more_and_more_slowly)
{
	struct sl_nack n;
	int64_t last = 0, gap = 0;

	start(&n, 100);
	(void)sl_nack_seen(&n, 101, 0);
	for (int i = 0; i < 6; i++) {
		int64_t now = sl_nack_deadline_us(&n);

		CHECK_EQ(ask(&n, now - 1), 0);
		CHECK_EQ(ask(&n, now), 1);
		if (i == 1)
			CHECK_EQ(now - last, 50 * SL_MS);
		CHECK(i < 2 || now - last > gap);
		gap = now - last;
		last = now;
	}
}

TEST(nack_ends_after_its_tries_and_says_so)
{
	struct sl_nack n;
	int asked = 0;

	start(&n, 100);
	sl_nack_set_rtt(&n, 0);
	(void)sl_nack_seen(&n, 101, 0);
	while (sl_nack_deadline_us(&n) != SL_NEVER)
		asked += ask(&n, sl_nack_deadline_us(&n));
	CHECK_EQ(asked, SL_NACK_TRIES);
	CHECK(n.give_up);
	CHECK_EQ(n.missing, 0);
}

TEST(nack_never_asks_after_a_second)
{
	struct sl_nack n;
	int asked = 0;

	start(&n, 100);
	sl_nack_set_rtt(&n, 300 * SL_MS);
	(void)sl_nack_seen(&n, 101, 0);
	while (sl_nack_deadline_us(&n) != SL_NEVER) {
		CHECK(sl_nack_deadline_us(&n) <= SL_SEC);
		asked += ask(&n, sl_nack_deadline_us(&n));
	}
	CHECK_EQ(asked, 3);
	CHECK(n.give_up);
}

TEST(nack_forgets_what_arrived)
{
	struct sl_nack n;
	uint64_t lost[CAP];

	start(&n, 100);
	(void)sl_nack_seen(&n, 104, 0);
	CHECK(sl_nack_seen(&n, 101, 1));
	CHECK(sl_nack_seen(&n, 102, 1));
	CHECK_EQ(sl_nack_poll(&n, SL_SEC / 2, lost, CAP), 2);
	CHECK_EQ(lost[0], 100);
	CHECK_EQ(lost[1], 103);
	CHECK(sl_nack_seen(&n, 100, 1));
	CHECK(sl_nack_seen(&n, 103, 1));
	CHECK_EQ(sl_nack_deadline_us(&n), SL_NEVER);
	CHECK(!n.give_up);
}

TEST(nack_tells_new_from_seen_and_from_too_old)
{
	struct sl_nack n;

	start(&n, 5000);
	CHECK(!sl_nack_seen(&n, 4999, 0));
	CHECK(sl_nack_seen(&n, 4998, 0));
	CHECK(!sl_nack_seen(&n, 4998, 0));
	CHECK(sl_nack_seen(&n, 5000 - SL_NACK_WINDOW, 0));
	CHECK(!sl_nack_seen(&n, 5000 - SL_NACK_WINDOW - 1, 0));
}

TEST(nack_one_lost_for_good_comes_late_and_is_still_new)
{
	struct sl_nack n;

	start(&n, 100);
	(void)sl_nack_seen(&n, 101, 0);
	(void)ask(&n, 2 * SL_SEC);
	CHECK(n.give_up);
	CHECK(sl_nack_seen(&n, 100, 3 * SL_SEC));
	CHECK(!sl_nack_seen(&n, 100, 3 * SL_SEC));
}

TEST(nack_long_burst_is_not_asked_for)
{
	struct sl_nack n;

	start(&n, 100);
	(void)sl_nack_seen(&n, 100 + SL_NACK_MISSING, 0);
	CHECK(!n.give_up);
	CHECK_EQ(ask(&n, 20 * SL_MS), SL_NACK_MISSING);
	start(&n, 100);
	(void)sl_nack_seen(&n, 100 + SL_NACK_MISSING + 1, 0);
	CHECK(n.give_up);
	CHECK_EQ(ask(&n, 20 * SL_MS), 0);
	CHECK(sl_nack_seen(&n, 150, 0));
}

TEST(nack_full_list_gives_up_the_oldest)
{
	struct sl_nack n;
	uint64_t lost[CAP];

	start(&n, 100);
	(void)sl_nack_seen(&n, 300, 0);
	(void)sl_nack_seen(&n, 401, 0);
	CHECK(n.give_up);
	CHECK_EQ(sl_nack_poll(&n, 20 * SL_MS, lost, CAP), SL_NACK_MISSING);
	CHECK_EQ(lost[0], 144);
	CHECK_EQ(lost[SL_NACK_MISSING - 1], 400);
}

TEST(nack_what_left_the_window_is_given_up)
{
	struct sl_nack n;

	start(&n, 100);
	for (uint64_t s = 101; s < 100 + SL_NACK_WINDOW; s++)
		(void)sl_nack_seen(&n, s, 0);
	CHECK(!n.give_up);
	CHECK_EQ(n.missing, 1);
	(void)sl_nack_seen(&n, 100 + SL_NACK_WINDOW, 0);
	CHECK(n.give_up);
	CHECK_EQ(n.missing, 0);
}

TEST(nack_small_room_gets_the_oldest_first_and_the_rest_next)
{
	struct sl_nack n;
	uint64_t lost[2];

	start(&n, 100);
	(void)sl_nack_seen(&n, 103, 0);
	CHECK_EQ(sl_nack_poll(&n, 10000, lost, 2), 2);
	CHECK_EQ(lost[0], 100);
	CHECK(sl_nack_deadline_us(&n) <= 10000);
	CHECK_EQ(sl_nack_poll(&n, 10000, lost, 2), 1);
	CHECK_EQ(lost[0], 102);
}

TEST(t52_nack_of_a_stream_is_at_most_ten_kilobytes)
{
	CHECK(sizeof(struct sl_nack) <= 10 * 1024);
}

TEST(t30_nack_jumps_of_any_size_leave_no_trace_of_the_old_window)
{
	static const uint64_t jumps[] = {1, 63, 64, 1023, 1024, 1025, 65535, UINT64_C(1) << 33};
	struct sl_nack n;
	uint64_t at = 65535;

	start(&n, at + 1);
	for (size_t i = 0; i < SL_COUNT(jumps); i++) {
		at += jumps[i];
		CHECK(sl_nack_seen(&n, at, 0));
		CHECK(!sl_nack_seen(&n, at, 0));
		for (uint64_t s = at - 1; s > at - SL_MIN(jumps[i], SL_NACK_WINDOW); s--)
			CHECK(sl_nack_seen(&n, s, 0));
		CHECK_EQ(n.missing, 0);
	}
}

/* ---- a stream over a link ---- */

enum { PKTS = 3000, GAP_MS = 4, IN_FLIGHT = 64 };

struct link {
	struct sl_nack n;
	struct draw d;
	int64_t arrives_ms[PKTS]; /* next arrival; -1 none */
	int tries[PKTS];
	bool here[PKTS];
	uint32_t loss_percent;
	int rtt_ms;
};

static struct link *link_new(uint64_t seed, uint32_t loss_percent, int rtt_ms)
{
	struct link *l = calloc(1, sizeof(*l));

	if (!l)
		sl_test_oom_stop();
	DEFER(free, l);
	sl_nack_init(&l->n);
	sl_nack_set_rtt(&l->n, rtt_ms * SL_MS);
	l->d = draw_seed(seed);
	l->loss_percent = loss_percent;
	l->rtt_ms = rtt_ms;
	return l;
}

static void deliver(struct link *l, int64_t now_ms)
{
	for (int i = 0; i < PKTS; i++) {
		if (l->arrives_ms[i] != now_ms)
			continue;
		l->arrives_ms[i] = -1;
		CHECK_EQ(sl_nack_seen(&l->n, 65530 + (uint64_t)i, now_ms * SL_MS), !l->here[i]);
		l->here[i] = true;
	}
}

static int ask_again(struct link *l, int64_t now_ms)
{
	uint64_t lost[16];
	int n = sl_nack_poll(&l->n, now_ms * SL_MS, lost, 16);

	for (int i = 0; i < n; i++) {
		size_t at = lost[i] - 65530;

		CHECK(!l->here[at]);
		CHECK(++l->tries[at] <= SL_NACK_TRIES);
		if (!draw_percent(&l->d, l->loss_percent))
			l->arrives_ms[at] = now_ms + l->rtt_ms;
	}
	return n;
}

static int run_link(struct link *l)
{
	int asked = 0;

	for (int i = 0; i < PKTS; i++) {
		l->arrives_ms[i] = (i + 1) * GAP_MS + l->rtt_ms / 2 + (int)draw(&l->d, 3);
		if (i > 0 && i < PKTS - 1 && draw_percent(&l->d, l->loss_percent))
			l->arrives_ms[i] = -1;
	}
	for (int64_t ms = 1; ms < PKTS * GAP_MS + 2000; ms++) {
		int now;

		deliver(l, ms);
		do {
			now = ask_again(l, ms);
			asked += now;
		} while (now == 16);
		CHECK(sl_nack_deadline_us(&l->n) > ms * SL_MS);
	}
	return asked;
}

TEST(nack_recovers_all_of_ten_percent_loss)
{
	struct link *l = link_new(5, 10, 60);
	int asked = run_link(l);

	for (int i = 0; i < PKTS; i++)
		CHECK(l->here[i]);
	CHECK(!l->n.give_up);
	CHECK(asked > PKTS / 20 && asked < PKTS / 5);
}

TEST(nack_asks_nothing_on_a_link_without_loss)
{
	struct link *l = link_new(6, 0, 60);

	CHECK_EQ(run_link(l), 0);
}

TEST(nack_under_half_of_all_lost_nothing_pins_it)
{
	struct link *l = link_new(7, 50, 100);

	(void)run_link(l);
	CHECK_EQ(l->n.missing, 0);
}

TEST(nack_reordering_by_up_to_two_packets_makes_no_asks)
{
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct draw d = draw_seed(seed);
		struct sl_nack n;
		uint64_t seqs[402];

		start(&n, 65000);
		for (size_t i = 0; i < SL_COUNT(seqs); i++)
			seqs[i] = 65000 + i;
		/* A packet is put back by one or two places; then the three are left alone. */
		for (size_t i = 0; i + 3 <= SL_COUNT(seqs); i += 3) {
			uint64_t first = seqs[i];
			size_t back = draw(&d, 3);

			memmove(&seqs[i], &seqs[i + 1], back * sizeof(seqs[0]));
			seqs[i + back] = first;
		}
		for (size_t i = 0; i < SL_COUNT(seqs); i++) {
			CHECK(sl_nack_seen(&n, seqs[i], (int64_t)i * 3 * SL_MS));
			CHECK_EQ(ask(&n, (int64_t)i * 3 * SL_MS), 0);
		}
		CHECK_EQ(n.missing, 0);
	}
}
