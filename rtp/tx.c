/* SPDX-License-Identifier: Apache-2.0
 * rtp/tx.c — one outbound SSRC: what its sender reports say, and what the reports about it tell. */
#include "rtp/rtp.h"

/* A peer that waited longer than the time since our report has a clock that runs ahead, or invents:
 * up to this it counts as no round trip at all, beyond it the report is not believed. */
#define DLSR_SLACK_US (100 * SL_MS)

void sl_tx_init(struct sl_tx *tx, uint32_t clock_hz)
{
	*tx = (struct sl_tx){.clock_hz = clock_hz, .rtt_us = -1};
}

void sl_tx_packet(struct sl_tx *tx, size_t payload_len)
{
	tx->packets++;
	tx->bytes += payload_len;
}

void sl_tx_sr(struct sl_tx *tx, uint32_t ssrc, uint64_t ntp, uint32_t rtp_ts, int64_t now_us,
	      struct sl_sender_info *out)
{
	tx->srs[tx->sr_next].mid32 = sl_ntp_mid32(ntp);
	tx->srs[tx->sr_next].sent_us = now_us;
	tx->sr_next = (uint8_t)((tx->sr_next + 1) % SL_TX_SRS);
	*out = (struct sl_sender_info){
		.ssrc = ssrc,
		.ntp = ntp,
		.rtp_ts = rtp_ts,
		.packets = (uint32_t)tx->packets,
		.octets = (uint32_t)tx->bytes,
	};
}

static void add_rtt(struct sl_tx *tx, int64_t rtt_us)
{
	rtt_us = SL_MAX(rtt_us, 0);
	tx->rtt_us = tx->rtt_us < 0 ? rtt_us : (7 * tx->rtt_us + rtt_us) / 8;
}

void sl_tx_report(struct sl_tx *tx, const struct sl_report *r, int64_t now_us)
{
	int64_t held_us = sl_ticks_to_us(r->dlsr, 65536);

	tx->fraction_lost = r->fraction_lost;
	tx->lost = r->lost;
	tx->jitter_us = tx->clock_hz ? sl_ticks_to_us(r->jitter, tx->clock_hz) : 0;
	/* RFC 3550 section 6.4.1: LSR 0 means that no report of ours had come. */
	if (r->lsr == 0)
		return;
	for (int i = 0; i < SL_TX_SRS; i++) {
		int64_t rtt_us = now_us - tx->srs[i].sent_us - held_us;

		if (tx->srs[i].mid32 != r->lsr)
			continue;
		if (rtt_us >= -DLSR_SLACK_US)
			add_rtt(tx, rtt_us);
		return;
	}
}
