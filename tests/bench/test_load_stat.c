/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load.h"
#include "tests/test.h"

static struct load_hist h;

static void fill(int64_t from_ns, int64_t to_ns, int64_t step_ns)
{
	memset(&h, 0, sizeof(h));
	for (int64_t v = from_ns; v <= to_ns; v += step_ns)
		load_hist_add(&h, v);
}

TEST(quantiles_of_a_ramp_are_right_to_two_percent)
{
	const double at[] = {.01, .1, .5, .9, .99, .999};

	fill(1000, 10000000, 1000);
	CHECK_EQ(h.count, 10000);
	for (size_t i = 0; i < SL_COUNT(at); i++) {
		double want = at[i] * 10000;
		double got = load_hist_us(&h, at[i]);

		CHECK(got > want * .98 && got < want * 1.02 + 2);
	}
}

TEST(no_quantile_is_above_the_largest_value)
{
	fill(123457, 123457, 1);
	CHECK(load_hist_us(&h, .5) <= 123.457);
	CHECK(load_hist_us(&h, 1) == 123.457);
}

TEST(an_empty_histogram_says_0_and_negative_times_count_as_0)
{
	memset(&h, 0, sizeof(h));
	CHECK(load_hist_us(&h, .99) == 0);
	load_hist_add(&h, -5);
	CHECK_EQ(h.count, 1);
	CHECK(load_hist_us(&h, .5) == 0);
}

TEST(values_beyond_the_table_fall_into_its_last_bucket)
{
	memset(&h, 0, sizeof(h));
	load_hist_add(&h, INT64_MAX);
	CHECK_EQ(h.bucket[LOAD_HIST - 1], 1);
}
