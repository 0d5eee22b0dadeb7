/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/rtp.h"
#include "tests/rtp/draw.h"

/* Microseconds since 1900, some day. */
static const uint64_t day_us = UINT64_C(3900000000) * 1000000;

static uint64_t ntp(int64_t us)
{
	return sl_ntp_from_us(day_us + (uint64_t)us);
}

static int64_t ours(const struct sl_clockmap *m, int64_t their_us)
{
	int64_t us;

	CHECK(sl_clockmap_us(m, ntp(their_us), &us));
	return us;
}

/* NTP fractions round down to just below a microsecond. */
static void check_near(int64_t got, int64_t want, int64_t within)
{
	CHECK(got >= want - within && got <= want + within);
}

TEST(clockmap_knows_nothing_before_the_first_report)
{
	struct sl_clockmap m;
	int64_t us;

	sl_clockmap_init(&m);
	CHECK(!sl_clockmap_us(&m, ntp(0), &us));
}

TEST(clockmap_takes_the_report_that_was_least_delayed)
{
	struct sl_clockmap m;

	sl_clockmap_init(&m);
	sl_clockmap_sr(&m, ntp(0), 50 * SL_MS);
	check_near(ours(&m, 0), 50 * SL_MS, 2);
	sl_clockmap_sr(&m, ntp(SL_SEC), SL_SEC + 20 * SL_MS);
	sl_clockmap_sr(&m, ntp(2 * SL_SEC), 2 * SL_SEC + 90 * SL_MS);
	check_near(ours(&m, 3 * SL_SEC), 3 * SL_SEC + 20 * SL_MS, 2);
}

TEST(clockmap_two_tracks_of_one_clock_get_one_mapping)
{
	struct draw d = draw_seed(3);
	struct sl_clockmap m;

	sl_clockmap_init(&m);
	for (int64_t t = 0; t < 60 * SL_SEC; t += SL_SEC) {
		sl_clockmap_sr(&m, ntp(t), t + 10 * SL_MS + draw(&d, 30000));
		sl_clockmap_sr(&m, ntp(t + SL_MS), t + 12 * SL_MS + draw(&d, 60000));
		if (t > 10 * SL_SEC)
			check_near(ours(&m, t), t + 10 * SL_MS, 15 * SL_MS);
	}
}

TEST(clockmap_forgets_after_thirty_to_forty_seconds)
{
	struct sl_clockmap m;

	sl_clockmap_init(&m);
	sl_clockmap_sr(&m, ntp(0), 0);
	for (int64_t t = SL_SEC; t <= 29 * SL_SEC; t += SL_SEC)
		sl_clockmap_sr(&m, ntp(t), t + 30 * SL_MS);
	check_near(ours(&m, 0), 0, 2);
	for (int64_t t = 30 * SL_SEC; t <= 41 * SL_SEC; t += SL_SEC)
		sl_clockmap_sr(&m, ntp(t), t + 30 * SL_MS);
	check_near(ours(&m, 0), 30 * SL_MS, 2);
}

TEST(clockmap_follows_a_clock_that_drifts_for_an_hour)
{
	struct sl_clockmap m;

	sl_clockmap_init(&m);
	/* 100 ppm slow: its second takes 1.0001 of ours. */
	for (int64_t t = 0; t < 3600 * SL_SEC; t += SL_SEC) {
		int64_t our_us = t + t / 10000;

		sl_clockmap_sr(&m, ntp(t), our_us);
		check_near(ours(&m, t), our_us, 5 * SL_MS);
	}
}

TEST(clockmap_follows_a_clock_that_is_set)
{
	struct sl_clockmap m;

	sl_clockmap_init(&m);
	sl_clockmap_sr(&m, ntp(3600 * SL_SEC), SL_SEC);
	sl_clockmap_sr(&m, ntp(0), 2 * SL_SEC);
	check_near(ours(&m, 0), 2 * SL_SEC, 2);
	sl_clockmap_sr(&m, ntp(7200 * SL_SEC), 3 * SL_SEC);
	check_near(ours(&m, 7200 * SL_SEC), 3 * SL_SEC, 2);
}

TEST(clockmap_survives_a_long_silence)
{
	struct sl_clockmap m;

	sl_clockmap_init(&m);
	sl_clockmap_sr(&m, ntp(0), 0);
	sl_clockmap_sr(&m, ntp(100000 * SL_SEC), 100001 * SL_SEC);
	check_near(ours(&m, 100000 * SL_SEC), 100001 * SL_SEC, 2);
}
