/* SPDX-License-Identifier: Apache-2.0
 * rtp/rx.c — what is known of one inbound SSRC: its extended numbers, loss, jitter, last sender
 * report. */
#include "rtp/rtp.h"

/* RFC 3550 appendix A.1 has 3000 ahead and 100 back; back we go as far as ahead, so that a late RTX
 * is no new run. */
enum { JUMP_MAX = 3000 };
/* A timestamp this far from what the arrival says is a new clock, not jitter. */
#define CLOCK_STEP_US (5 * SL_SEC)

void sl_rx_init(struct sl_rx *rx, uint32_t clock_hz)
{
	*rx = (struct sl_rx){.clock_hz = clock_hz ? clock_hz : 90000};
}

static void note_arrival(struct sl_rx *rx, uint32_t ts, int64_t rx_us)
{
	rx->ts_last = ts;
	rx->rx_us_last = rx_us;
}

/* RFC 3550 appendix A.8: J += (|D| - J) / 16, kept times 16. */
static void add_jitter(struct sl_rx *rx, uint32_t ts, int64_t rx_us)
{
	int64_t ticks = sl_us_to_ticks(rx_us - rx->rx_us_last, rx->clock_hz);
	int64_t d = ticks - sl_seq32_diff(rx->ts_last, ts);

	note_arrival(rx, ts, rx_us);
	d = d < 0 ? -d : d;
	if (d > sl_us_to_ticks(CLOCK_STEP_US, rx->clock_hz))
		return;
	rx->jitter_q4 += (uint64_t)d;
	rx->jitter_q4 -= (rx->jitter_q4 - (uint64_t)d + 8) >> 4;
}

static int64_t count(struct sl_rx *rx, uint64_t seq, size_t payload_len)
{
	rx->packets++;
	rx->bytes += payload_len;
	return (int64_t)seq;
}

/* A second packet in order confirms a new run. Its numbers go on above the old ones; what lies
 * between was never sent, so it is not expected either. */
static bool new_run(struct sl_rx *rx, uint16_t seq)
{
	uint64_t above = (uint16_t)(seq - (uint16_t)rx->top);

	if (!rx->has_bad || seq != rx->bad_seq) {
		rx->has_bad = true;
		rx->bad_seq = (uint16_t)(seq + 1);
		return false;
	}
	rx->has_bad = false;
	rx->first += above - 1;
	rx->top += above;
	return true;
}

int64_t sl_rx_packet(struct sl_rx *rx, uint16_t seq, uint32_t ts, size_t payload_len, int64_t rx_us)
{
	int16_t ahead = sl_seq16_diff((uint16_t)rx->top, seq);

	if (!rx->started) {
		rx->started = true;
		rx->first = rx->top = UINT64_C(65536) + seq;
		note_arrival(rx, ts, rx_us);
		return count(rx, rx->top, payload_len);
	}
	if (ahead > JUMP_MAX || ahead < -JUMP_MAX) {
		if (!new_run(rx, seq))
			return SL_ERANGE;
		note_arrival(rx, ts, rx_us);
		return count(rx, rx->top, payload_len);
	}
	rx->has_bad = false;
	if (ahead <= 0)
		return count(rx, rx->top - (uint64_t)-ahead, payload_len);
	rx->top += (uint64_t)ahead;
	add_jitter(rx, ts, rx_us);
	return count(rx, rx->top, payload_len);
}

void sl_rx_sr(struct sl_rx *rx, const struct sl_sender_info *si, int64_t rx_us)
{
	rx->has_sr = true;
	rx->sr_ntp = si->ntp;
	rx->sr_rtp = si->rtp_ts;
	rx->sr_rx_us = rx_us;
}

static uint64_t expected(const struct sl_rx *rx)
{
	return rx->started ? rx->top - rx->first + 1 : 0;
}

/* RFC 3550 appendix A.3: lost of expected since the last report, of 256; duplicates may make it
 * negative, which is 0. */
static uint8_t fraction_lost(struct sl_rx *rx)
{
	int64_t want = (int64_t)(expected(rx) - rx->expected_prior);
	int64_t lost = want - (int64_t)(rx->packets - rx->received_prior);

	rx->expected_prior = expected(rx);
	rx->received_prior = rx->packets;
	if (want <= 0 || lost <= 0)
		return 0;
	return (uint8_t)SL_MIN((lost << 8) / want, 255);
}

/* RFC 3550 section 6.4.1: units of 1/65536 second. */
static uint32_t delay_since_sr(const struct sl_rx *rx, int64_t now_us)
{
	int64_t us = SL_MAX(now_us - rx->sr_rx_us, 0);

	return (uint32_t)SL_MIN(sl_us_to_ticks(us, 65536), UINT32_MAX);
}

void sl_rx_report(struct sl_rx *rx, uint32_t ssrc, int64_t now_us, struct sl_report *out)
{
	int64_t lost = (int64_t)(expected(rx) - rx->packets);

	*out = (struct sl_report){.ssrc = ssrc};
	if (rx->has_sr) {
		out->lsr = sl_ntp_mid32(rx->sr_ntp);
		out->dlsr = delay_since_sr(rx, now_us);
	}
	if (!rx->started)
		return;
	out->fraction_lost = fraction_lost(rx);
	/* RFC 3550 appendix A.3: clamped to 24 bits, not wrapped. */
	out->lost = (int32_t)SL_MAX(SL_MIN(lost, 0x7fffff), -0x800000);
	out->highest_seq = (uint32_t)(rx->top - 65536);
	out->jitter = (uint32_t)SL_MIN(rx->jitter_q4 >> 4, UINT32_MAX);
}

uint64_t sl_rx_lost(const struct sl_rx *rx)
{
	return expected(rx) > rx->packets ? expected(rx) - rx->packets : 0;
}

int64_t sl_rx_jitter_us(const struct sl_rx *rx)
{
	return sl_ticks_to_us((int64_t)(rx->jitter_q4 >> 4), rx->clock_hz);
}
