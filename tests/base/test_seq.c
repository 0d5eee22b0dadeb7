/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/seq.h"
#include "core/base/rng.h"
#include "tests/test.h"

TEST(newer_is_positive_across_the_wrap)
{
	CHECK_EQ(sl_seq16_diff(65535, 0), 1);
	CHECK_EQ(sl_seq16_diff(0, 65535), -1);
	CHECK_EQ(sl_seq16_diff(10, 32777), 32767);
	CHECK_EQ(sl_seq16_diff(10, 32778), -32768);
	CHECK_EQ(sl_seq32_diff(UINT32_MAX, 4), 5);
	CHECK_EQ(sl_seq32_diff(4, UINT32_MAX), -5);
}

TEST(extension_takes_the_nearest_cycle)
{
	CHECK_EQ(sl_seq16_extend(65535, 0), 65536);
	CHECK_EQ(sl_seq16_extend(65536, 65535), 65535);
	CHECK_EQ(sl_seq16_extend(5 * 65536 + 100, 90), 5 * 65536 + 90);
	CHECK_EQ(sl_seq32_extend(UINT32_MAX, 1), (INT64_C(1) << 32) + 1);
	CHECK_EQ(sl_seq32_extend((UINT64_C(1) << 32) + 1, UINT32_MAX), UINT32_MAX);
}

TEST(extension_near_the_start_never_goes_below_zero)
{
	CHECK_EQ(sl_seq16_extend(0, 65535), 65535);
	CHECK_EQ(sl_seq16_extend(5, 65534), 65534);
	CHECK_EQ(sl_seq32_extend(0, UINT32_MAX), UINT32_MAX);
}

TEST(t30_extension_keeps_the_low_bits_and_stays_within_half_a_cycle)
{
	struct sl_test_rng state;
	struct sl_rng rng = sl_test_rng(&state, 30);

	for (int i = 0; i < 20000; i++) {
		uint64_t ref = (sl_rng_u64(&rng) >> 16) + 65536;
		uint32_t low = sl_rng_u32(&rng);
		uint64_t v = sl_seq16_extend(ref, (uint16_t)low);
		int64_t off = (int64_t)(v - ref);

		CHECK_EQ((uint16_t)v, (uint16_t)low);
		CHECK(off >= -32768 && off <= 32767);
		ref += UINT64_C(1) << 32;
		v = sl_seq32_extend(ref, low);
		off = (int64_t)(v - ref);
		CHECK_EQ((uint32_t)v, low);
		CHECK(off >= INT32_MIN && off <= INT32_MAX);
	}
}

TEST(ntp_time_is_seconds_and_a_binary_fraction)
{
	CHECK(sl_ntp_from_us(0) == 0);
	CHECK(sl_ntp_from_us(1500000) == UINT64_C(0x0000000180000000));
	/* RFC 5905 figure 4: 1970 begins 2,208,988,800 s after 1900. */
	CHECK(sl_ntp_from_us(UINT64_C(2208988800) * 1000000) == UINT64_C(2208988800) << 32);
	CHECK_EQ(sl_ntp_mid32(UINT64_C(0x1234567890abcdef)), 0x567890ab);
}

TEST(ntp_time_comes_back_within_a_microsecond)
{
	struct sl_test_rng state;
	struct sl_rng rng = sl_test_rng(&state, 3);

	for (int i = 0; i < 10000; i++) {
		uint64_t us = sl_rng_u64(&rng) % (UINT64_C(4000000000) * 1000000);
		uint64_t back = sl_ntp_to_us(sl_ntp_from_us(us));

		CHECK(back <= us && us - back <= 1);
	}
}

TEST(ticks_and_microseconds_convert_without_overflow)
{
	int64_t year_us = INT64_C(31536000) * SL_SEC;

	CHECK_EQ(sl_us_to_ticks(20 * SL_MS, 48000), 960);
	CHECK_EQ(sl_us_to_ticks(-20 * SL_MS, 48000), -960);
	CHECK_EQ(sl_us_to_ticks(1000 * year_us, 90000), 1000 * INT64_C(31536000) * 90000);
	CHECK_EQ(sl_ticks_to_us(3003, 90000), 33366);
	CHECK_EQ(sl_ticks_to_us(sl_us_to_ticks(1000 * year_us, 48000), 48000), 1000 * year_us);
}
