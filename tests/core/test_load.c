/* SPDX-License-Identifier: Apache-2.0
 * tests/core/test_load.c — a loop that cannot keep up gives up video in steps, and takes it back.
 */
#include "core/load.h"
#include "tests/test.h"

static struct sl_load l;
static int64_t now_us;

static void begin(void)
{
	now_us = 5 * SL_SEC;
	sl_load_init(&l, now_us);
}

/* Wake-ups every 10 ms for so long, in each of which the oldest datagram had waited so long. */
static void run(int64_t for_us, int64_t wait_us)
{
	for (int64_t until_us = now_us + for_us; now_us < until_us;) {
		now_us += 10 * SL_MS;
		sl_load_waited(&l, wait_us);
		sl_load_tick(&l, now_us);
	}
}

TEST(a_burst_is_no_queue)
{
	begin();
	for (int i = 0; i < 100; i++) {
		run(90 * SL_MS, 300 * SL_MS);
		run(10 * SL_MS, SL_MS);
	}
	CHECK(!l.busy);
	CHECK_EQ(l.shed, 0);
}

TEST(a_short_queue_refuses_new_sessions_and_keeps_the_video)
{
	begin();
	run(10 * SL_SEC, 30 * SL_MS);
	CHECK(l.busy);
	CHECK_EQ(l.shed, 0);
}

TEST(new_sessions_are_refused_before_any_video_is_withheld)
{
	begin();
	run(110 * SL_MS, 500 * SL_MS);
	CHECK(l.busy);
	CHECK_EQ(l.shed, 0);
	run(100 * SL_MS, 500 * SL_MS);
	CHECK_EQ(l.shed, 1);
}

TEST(a_queue_that_stays_takes_all_video_in_eighths)
{
	begin();
	run(110 * SL_MS, 500 * SL_MS);
	for (unsigned i = 1; i <= SL_LOAD_PARTS; i++) {
		run(100 * SL_MS, 500 * SL_MS);
		CHECK_EQ(l.shed, i);
	}
	run(SL_SEC, 500 * SL_MS);
	CHECK_EQ(l.shed, SL_LOAD_PARTS);
}

TEST(a_loop_whose_turns_are_long_gives_up_as_much_in_the_same_time)
{
	begin();
	run(110 * SL_MS, 500 * SL_MS);
	CHECK(l.busy);
	for (unsigned i = 3; i <= 9; i += 3) {
		now_us += 3 * SL_LOAD_WINDOW_US;
		sl_load_waited(&l, 500 * SL_MS);
		sl_load_tick(&l, now_us);
		CHECK_EQ(l.shed, SL_MIN(i, (unsigned)SL_LOAD_PARTS));
	}
}

TEST(one_long_turn_after_a_long_rest_refuses_and_withholds_nothing)
{
	begin();
	now_us += 60 * SL_SEC;
	sl_load_waited(&l, 500 * SL_MS);
	sl_load_tick(&l, now_us);
	CHECK(l.busy);
	CHECK_EQ(l.shed, 0);
}

TEST(shedding_stops_where_it_is_enough)
{
	begin();
	run(410 * SL_MS, 500 * SL_MS);
	CHECK_EQ(l.shed, 3);
	run(10 * SL_SEC, 10 * SL_MS);
	CHECK(l.busy);
	CHECK_EQ(l.shed, 3);
}

TEST(video_comes_back_an_eighth_a_second_and_then_sessions)
{
	begin();
	run(310 * SL_MS, 500 * SL_MS);
	CHECK_EQ(l.shed, 2);
	run(1100 * SL_MS, 0);
	CHECK_EQ(l.shed, 1);
	run(1000 * SL_MS, 0);
	CHECK_EQ(l.shed, 0);
	CHECK(l.busy);
	run(1000 * SL_MS, 0);
	CHECK(!l.busy);
}

TEST(a_loop_that_nobody_sends_to_is_at_rest)
{
	begin();
	run(310 * SL_MS, 500 * SL_MS);
	for (int i = 0; i < 60; i++) {
		now_us += 100 * SL_MS;
		sl_load_tick(&l, now_us);
	}
	CHECK(!l.busy);
	CHECK_EQ(l.shed, 0);
}

TEST(every_change_is_told_once)
{
	int told = 0;

	begin();
	for (int i = 0; i < 1200; i++) {
		now_us += 10 * SL_MS;
		if (i < 200)
			sl_load_waited(&l, 500 * SL_MS);
		told += sl_load_tick(&l, now_us);
	}
	CHECK_EQ(told, 2 * (1 + SL_LOAD_PARTS));
	CHECK(!l.busy);
}
