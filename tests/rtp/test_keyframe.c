/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/rtp.h"
#include "tests/rtp/draw.h"

TEST(kf_first_request_goes_at_once)
{
	struct sl_kf k;

	sl_kf_init(&k);
	CHECK(!sl_kf_poll(&k, SL_SEC));
	CHECK_EQ(sl_kf_deadline_us(&k), SL_NEVER);
	sl_kf_want(&k, SL_SEC);
	CHECK(sl_kf_deadline_us(&k) <= SL_SEC);
	CHECK(sl_kf_poll(&k, SL_SEC));
	CHECK(!sl_kf_poll(&k, SL_SEC));
}

TEST(kf_requests_of_many_are_one)
{
	struct sl_kf k;

	sl_kf_init(&k);
	sl_kf_want(&k, SL_SEC);
	CHECK(sl_kf_poll(&k, SL_SEC));
	for (int i = 0; i < 100; i++)
		sl_kf_want(&k, SL_SEC + i);
	CHECK(!sl_kf_poll(&k, SL_SEC + 499 * SL_MS));
	sl_kf_arrived(&k, SL_SEC + 499 * SL_MS);
	CHECK_EQ(sl_kf_deadline_us(&k), SL_NEVER);
	CHECK(!sl_kf_poll(&k, 100 * SL_SEC));
}

/* Asked at 1 s, served 100 ms later, and wanted again after 50 ms more. */
static void served_and_asked_again(struct sl_kf *k)
{
	sl_kf_init(k);
	sl_kf_want(k, SL_SEC);
	CHECK(sl_kf_poll(k, SL_SEC));
	sl_kf_arrived(k, SL_SEC + 100 * SL_MS);
	sl_kf_want(k, SL_SEC + 150 * SL_MS);
}

TEST(kf_request_soon_after_the_last_waits_its_half_second)
{
	struct sl_kf k;

	served_and_asked_again(&k);
	CHECK(!sl_kf_poll(&k, SL_SEC + 150 * SL_MS));
	CHECK_EQ(sl_kf_deadline_us(&k), SL_SEC + 500 * SL_MS);
	CHECK(sl_kf_poll(&k, SL_SEC + 500 * SL_MS));
}

TEST(kf_deferred_request_is_forgotten_when_a_key_frame_comes_by_itself)
{
	struct sl_kf k;

	served_and_asked_again(&k);
	sl_kf_arrived(&k, SL_SEC + 200 * SL_MS);
	CHECK(!sl_kf_poll(&k, 9 * SL_SEC));
}

TEST(kf_unanswered_request_repeats_at_two_round_trips_but_half_a_second_at_least)
{
	struct sl_kf k;

	sl_kf_init(&k);
	sl_kf_set_rtt(&k, 100 * SL_MS);
	sl_kf_want(&k, SL_SEC);
	CHECK(sl_kf_poll(&k, SL_SEC));
	CHECK_EQ(sl_kf_deadline_us(&k), SL_SEC + 500 * SL_MS);
	sl_kf_set_rtt(&k, 400 * SL_MS);
	CHECK(!sl_kf_poll(&k, SL_SEC + 799 * SL_MS));
	CHECK(sl_kf_poll(&k, SL_SEC + 800 * SL_MS));
	CHECK(!sl_kf_poll(&k, SL_SEC + 1599 * SL_MS));
	CHECK(sl_kf_poll(&k, SL_SEC + 1600 * SL_MS));
}

TEST(t30_kf_round_trip_of_nonsense_neither_floods_nor_silences)
{
	struct sl_kf k;

	sl_kf_init(&k);
	sl_kf_set_rtt(&k, -SL_SEC);
	sl_kf_want(&k, SL_SEC);
	CHECK(sl_kf_poll(&k, SL_SEC));
	CHECK(!sl_kf_poll(&k, SL_SEC + 499 * SL_MS));
	sl_kf_set_rtt(&k, INT64_MAX);
	CHECK(sl_kf_poll(&k, 12 * SL_SEC));
}

TEST(t52_kf_however_asked_requests_stay_half_a_second_apart_and_none_is_lost)
{
	struct draw d = draw_seed(4);
	struct sl_kf k;
	int64_t last_us = INT64_MIN, wanted_us = INT64_MIN;
	int sent = 0;

	sl_kf_init(&k);
	for (int64_t t = SL_SEC; t < 100 * SL_SEC; t += SL_MS) {
		if (draw_percent(&d, 5)) {
			sl_kf_want(&k, t);
			wanted_us = wanted_us == INT64_MIN ? t : wanted_us;
		}
		if (draw(&d, 300) == 0) {
			sl_kf_arrived(&k, t);
			wanted_us = INT64_MIN;
		}
		if (sl_kf_poll(&k, t)) {
			CHECK(wanted_us != INT64_MIN);
			CHECK(last_us == INT64_MIN || t - last_us >= 500 * SL_MS);
			last_us = t;
			sent++;
		}
		CHECK(wanted_us == INT64_MIN || t - wanted_us <= 500 * SL_MS ||
		      t - last_us <= 500 * SL_MS);
	}
	CHECK(sent > 50);
}
