/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/rtp.h"
#include "tests/test.h"

static const uint64_t ntp_0 = UINT64_C(0xe1234567) << 32;

/* Sends a report at `now`, whose NTP time is as far after ntp_0. Returns its LSR. */
static uint32_t send_sr(struct sl_tx *tx, int64_t now_us)
{
	struct sl_sender_info si;

	sl_tx_sr(tx, 1, ntp_0 + sl_ntp_from_us((uint64_t)now_us), 0, now_us, &si);
	return sl_ntp_mid32(si.ntp);
}

static void hear(struct sl_tx *tx, uint32_t lsr, int64_t held_us, int64_t now_us)
{
	struct sl_report r = {.lsr = lsr, .dlsr = (uint32_t)sl_us_to_ticks(held_us, 65536)};

	sl_tx_report(tx, &r, now_us);
}

TEST(tx_sender_report_has_the_counts_modulo_32_bits)
{
	struct sl_sender_info si;
	struct sl_tx tx;

	sl_tx_init(&tx, 90000);
	sl_tx_packet(&tx, 1000);
	sl_tx_packet(&tx, 200);
	sl_tx_sr(&tx, 7, 8, 9, 0, &si);
	CHECK_EQ(si.ssrc, 7);
	CHECK_EQ(si.ntp, 8);
	CHECK_EQ(si.rtp_ts, 9);
	CHECK_EQ(si.packets, 2);
	CHECK_EQ(si.octets, 1200);
	tx.packets = tx.bytes = (UINT64_C(1) << 32) + 5;
	sl_tx_sr(&tx, 7, 8, 9, 0, &si);
	CHECK_EQ(si.packets, 5);
	CHECK_EQ(si.octets, 5);
}

TEST(tx_round_trip_is_what_neither_side_held)
{
	struct sl_tx tx;
	uint32_t lsr;

	sl_tx_init(&tx, 90000);
	CHECK_EQ(tx.rtt_us, -1);
	lsr = send_sr(&tx, SL_SEC);
	hear(&tx, lsr, 500 * SL_MS, SL_SEC + 580 * SL_MS);
	CHECK_EQ(tx.rtt_us, 80 * SL_MS);
	hear(&tx, lsr, SL_SEC, 2 * SL_SEC + 160 * SL_MS);
	CHECK_EQ(tx.rtt_us, 90 * SL_MS);
}

TEST(tx_report_notes_loss_also_without_a_round_trip)
{
	struct sl_report r = {.fraction_lost = 12, .lost = -3};
	struct sl_tx tx;

	sl_tx_init(&tx, 90000);
	sl_tx_report(&tx, &r, SL_SEC);
	CHECK_EQ(tx.fraction_lost, 12);
	CHECK_EQ(tx.lost, -3);
	CHECK_EQ(tx.rtt_us, -1);
}

TEST(tx_believes_only_what_names_one_of_its_last_reports)
{
	struct sl_tx tx;
	uint32_t lsr[SL_TX_SRS + 1];

	sl_tx_init(&tx, 90000);
	for (int i = 0; i <= SL_TX_SRS; i++)
		lsr[i] = send_sr(&tx, (i + 1) * SL_SEC);
	hear(&tx, 0x12345, 0, 6 * SL_SEC);
	hear(&tx, 0, 0, 6 * SL_SEC);
	hear(&tx, lsr[0], 0, 6 * SL_SEC);
	CHECK_EQ(tx.rtt_us, -1);
	hear(&tx, lsr[1], 3 * SL_SEC, 5 * SL_SEC + 40 * SL_MS);
	CHECK_EQ(tx.rtt_us, 40 * SL_MS);
}

TEST(tx_slightly_negative_round_trip_is_none_and_an_invented_one_is_ignored)
{
	struct sl_tx tx;
	uint32_t lsr;

	sl_tx_init(&tx, 90000);
	lsr = send_sr(&tx, SL_SEC);
	hear(&tx, lsr, 2 * SL_SEC, 2 * SL_SEC);
	CHECK_EQ(tx.rtt_us, -1);
	hear(&tx, lsr, SL_SEC, 2 * SL_SEC - 2 * SL_MS);
	CHECK_EQ(tx.rtt_us, 0);
}
