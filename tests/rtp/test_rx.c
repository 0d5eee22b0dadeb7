/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/rtp.h"
#include "tests/rtp/draw.h"

/* One packet each 20 ms at 48 kHz, without jitter. */
static int64_t take(struct sl_rx *rx, uint16_t seq)
{
	return sl_rx_packet(rx, seq, seq * 960U, 100, seq * 20 * SL_MS);
}

TEST(rx_first_packet_defines_where_the_numbers_start)
{
	struct sl_rx rx;

	sl_rx_init(&rx, 48000);
	CHECK_EQ(take(&rx, 5), 65541);
	CHECK_EQ(take(&rx, 4), 65540);
	CHECK_EQ(take(&rx, 65534), 65534);
	CHECK_EQ(rx.packets, 3);
	CHECK_EQ(rx.bytes, 300);
}

TEST(rx_numbers_go_on_over_the_wrap_in_any_order)
{
	static const uint16_t in[] = {65533, 65535, 0, 65534, 2, 1, 65532, 3};
	static const int64_t out[] = {
		131069, 131071, 131072, 131070, 131074, 131073, 131068, 131075,
	};
	struct sl_rx rx;

	sl_rx_init(&rx, 48000);
	for (size_t i = 0; i < SL_COUNT(in); i++)
		CHECK_EQ(take(&rx, in[i]), out[i]);
}

TEST(t30_rx_follows_a_shuffled_stream_through_many_wraps)
{
	struct draw d = draw_seed(1);
	struct sl_rx rx;

	sl_rx_init(&rx, 90000);
	for (uint64_t i = 0; i < 300000; i++) {
		uint64_t true_seq = 65536 + 1000 + i * 3 - draw(&d, 900);

		if (i == 0)
			true_seq = 65536 + 1000;
		CHECK_EQ(sl_rx_packet(&rx, (uint16_t)true_seq, 0, 1, 0), true_seq);
	}
}

TEST(rx_one_stray_packet_changes_nothing)
{
	struct sl_rx rx;

	sl_rx_init(&rx, 48000);
	take(&rx, 1000);
	CHECK_EQ(take(&rx, 1000 + 3001), SL_ERANGE);
	CHECK_EQ(take(&rx, 1001), 65536 + 1001);
	CHECK_EQ(take(&rx, 1001 + 3002), SL_ERANGE);
	CHECK_EQ(sl_rx_lost(&rx), 0);
	CHECK_EQ(rx.packets, 2);
}

TEST(rx_jumps_up_to_the_bound_are_loss)
{
	struct sl_rx rx;

	sl_rx_init(&rx, 48000);
	take(&rx, 1000);
	CHECK_EQ(take(&rx, 4000), 65536 + 4000);
	CHECK_EQ(sl_rx_lost(&rx), 2999);
	CHECK_EQ(take(&rx, 1001), 65536 + 1001);
}

TEST(rx_second_packet_in_order_begins_a_new_run_above_the_old_one)
{
	struct sl_rx rx;

	sl_rx_init(&rx, 48000);
	for (uint16_t s = 40000; s < 40010; s++)
		take(&rx, s);
	CHECK_EQ(take(&rx, 100), SL_ERANGE);
	CHECK_EQ(take(&rx, 101), 131072 + 101);
	CHECK_EQ(take(&rx, 102), 131072 + 102);
	CHECK_EQ(sl_rx_lost(&rx), 0);
	CHECK_EQ(take(&rx, 104), 131072 + 104);
	CHECK_EQ(sl_rx_lost(&rx), 1);
}

TEST(rx_report_tells_loss_of_the_interval_and_in_all)
{
	struct sl_report r;
	struct sl_rx rx;

	sl_rx_init(&rx, 48000);
	for (uint16_t s = 1; s <= 8; s++)
		if (s != 3 && s != 5)
			take(&rx, s);
	sl_rx_report(&rx, 77, 0, &r);
	CHECK_EQ(r.ssrc, 77);
	CHECK_EQ(r.fraction_lost, 64);
	CHECK_EQ(r.lost, 2);
	CHECK_EQ(r.highest_seq, 8);
	take(&rx, 9);
	sl_rx_report(&rx, 77, 0, &r);
	CHECK_EQ(r.fraction_lost, 0);
	CHECK_EQ(r.lost, 2);
}

TEST(rx_report_counts_cycles_from_the_first_packet)
{
	struct sl_report r;
	struct sl_rx rx;

	sl_rx_init(&rx, 48000);
	take(&rx, 65535);
	take(&rx, 0);
	sl_rx_report(&rx, 1, 0, &r);
	CHECK_EQ(r.highest_seq, 0x10000);
}

TEST(rx_duplicates_make_loss_negative_but_no_fraction)
{
	struct sl_report r;
	struct sl_rx rx;

	sl_rx_init(&rx, 48000);
	take(&rx, 1);
	take(&rx, 1);
	take(&rx, 1);
	sl_rx_report(&rx, 1, 0, &r);
	CHECK_EQ(r.fraction_lost, 0);
	CHECK_EQ(r.lost, -2);
	CHECK_EQ(sl_rx_lost(&rx), 0);
}

TEST(t30_rx_report_clamps_what_does_not_fit_its_fields)
{
	struct sl_sender_info si = {.ntp = UINT64_C(0x1234567890abcdef)};
	struct sl_report r;
	struct sl_rx rx;

	sl_rx_init(&rx, 48000);
	take(&rx, 1);
	sl_rx_sr(&rx, &si, 0);
	rx.packets += UINT64_C(1) << 24;
	sl_rx_report(&rx, 1, 100000 * SL_SEC, &r);
	CHECK_EQ(r.lost, -0x800000);
	CHECK_EQ(r.dlsr, UINT32_MAX);
	rx.packets = 0;
	rx.top += UINT64_C(1) << 24;
	sl_rx_report(&rx, 1, -5, &r);
	CHECK_EQ(r.lost, 0x7fffff);
	CHECK_EQ(r.fraction_lost, 255);
	CHECK_EQ(r.dlsr, 0);
}

TEST(rx_report_before_any_packet_is_empty)
{
	struct sl_report r;
	struct sl_rx rx;

	sl_rx_init(&rx, 48000);
	sl_rx_report(&rx, 9, 1000, &r);
	CHECK_EQ(r.ssrc, 9);
	CHECK_EQ(r.fraction_lost + r.lost, 0);
	CHECK_EQ(r.highest_seq + r.jitter + r.lsr + r.dlsr, 0);
}

TEST(rx_report_echoes_the_last_sender_report)
{
	struct sl_sender_info si = {.ntp = UINT64_C(0x1234567890abcdef), .rtp_ts = 4};
	struct sl_report r;
	struct sl_rx rx;

	sl_rx_init(&rx, 48000);
	sl_rx_sr(&rx, &si, 2 * SL_SEC);
	take(&rx, 1);
	sl_rx_report(&rx, 9, 3 * SL_SEC + 500 * SL_MS, &r);
	CHECK_EQ(r.lsr, 0x567890ab);
	CHECK_EQ(r.dlsr, 65536 + 32768);
}

TEST(rx_steady_arrival_has_no_jitter_even_over_a_timestamp_wrap)
{
	struct sl_rx rx;
	uint32_t ts = UINT32_MAX - 5000;

	sl_rx_init(&rx, 48000);
	for (uint16_t s = 0; s < 100; s++, ts += 960)
		(void)sl_rx_packet(&rx, s, ts, 1, s * 20 * SL_MS);
	CHECK_EQ(rx.jitter_q4, 0);
}

TEST(rx_jitter_follows_the_reference_of_the_rfc)
{
	struct draw d = draw_seed(2);
	struct sl_rx rx;
	double j = 0, last = 0;

	sl_rx_init(&rx, 8000);
	for (uint16_t s = 0; s < 2000; s++) {
		int64_t late_us = draw(&d, 160) * 125;
		double transit = (double)late_us / 125;

		(void)sl_rx_packet(&rx, s, s * 160U, 1, s * 20 * SL_MS + late_us);
		if (s > 0)
			j += ((transit > last ? transit - last : last - transit) - j) / 16;
		last = transit;
		CHECK((double)(rx.jitter_q4 >> 4) < j + 2 && (double)(rx.jitter_q4 >> 4) > j - 2);
	}
	CHECK(sl_rx_jitter_us(&rx) > 4000 && sl_rx_jitter_us(&rx) < 9000);
}

TEST(rx_late_packets_and_a_new_clock_are_no_jitter)
{
	struct sl_rx rx;

	sl_rx_init(&rx, 48000);
	take(&rx, 1);
	take(&rx, 3);
	(void)sl_rx_packet(&rx, 2, 2 * 960, 1, 900 * SL_MS);
	CHECK_EQ(rx.jitter_q4, 0);
	(void)sl_rx_packet(&rx, 4, 0x80000000, 1, 80 * SL_MS);
	CHECK_EQ(rx.jitter_q4, 0);
}

TEST(t30_rx_of_an_unknown_clock_divides_by_nothing)
{
	struct sl_rx rx;

	sl_rx_init(&rx, 0);
	take(&rx, 1);
	take(&rx, 2);
	CHECK(sl_rx_jitter_us(&rx) >= 0);
}
