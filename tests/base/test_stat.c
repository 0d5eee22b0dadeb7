/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/stat.h"
#include "tests/test.h"

TEST(every_counter_has_a_metric_name_and_a_help_text_of_its_own)
{
	for (enum sl_stat i = 0; i < SL_STAT_COUNT; i++) {
		CHECK_EQ(strspn(sl_stat_name(i), "abcdefghijklmnopqrstuvwxyz_"),
			 strlen(sl_stat_name(i)));
		CHECK(strlen(sl_stat_help(i)) > 0);
		for (enum sl_stat k = 0; k < i; k++) {
			CHECK(strcmp(sl_stat_name(i), sl_stat_name(k)) != 0);
			CHECK(strcmp(sl_stat_help(i), sl_stat_help(k)) != 0);
		}
	}
	CHECK_STR(sl_stat_name(SL_STAT_rx_packets), "rx_packets");
}

TEST(counters_count_apart)
{
	struct sl_stats s = {0};

	sl_stat_inc(&s, SL_STAT_rx_packets);
	sl_stat_add(&s, SL_STAT_rx_bytes, 1200);
	sl_stat_inc(&s, SL_STAT_rx_packets);
	CHECK_EQ(sl_stat_get(&s, SL_STAT_rx_packets), 2);
	CHECK_EQ(sl_stat_get(&s, SL_STAT_rx_bytes), 1200);
	CHECK_EQ(sl_stat_get(&s, SL_STAT_bugs), 0);
}
