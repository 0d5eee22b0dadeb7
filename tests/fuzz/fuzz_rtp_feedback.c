/* SPDX-License-Identifier: Apache-2.0
 * F06: builder and parser of NACK, REMB and transport-cc against each other. The first byte says
 * which; the rest is what to ask for, whom to limit, or when packets came. Oracles: a NACK names
 * exactly what was lost; a REMB says no more than it was given and no less than all but its lowest
 * bits; each arrival in a transport-cc feedback is one that happened, to 250 us. */
#include "rtp/rtp.h"

#define MUST(c) ((c) ? (void)0 : __builtin_trap())

enum { LOST_MAX = 300, EVENTS_MAX = 512, SSRCS_MAX = 255, TICK_US = 250 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t buf[4096];

static struct sl_rtcp only(const struct sl_wr *w)
{
	struct sl_rd it = sl_rd(buf, sl_wr_len(w));
	struct sl_rtcp p;

	MUST(!w->full && sl_rtcp_next(&it, &p) && sl_rd_left(&it) == 0);
	return p;
}

/* ---- NACK ---- */

static void fuzz_nack(struct sl_rd *r)
{
	static uint64_t lost[LOST_MAX];
	static struct sl_nack_fci f[LOST_MAX];
	struct sl_wr w = sl_wr(buf, sizeof(buf));
	uint64_t at = sl_rd16(r);
	int n = 0, k = 0, fcis;
	uint32_t a, b;

	for (; n < LOST_MAX && sl_rd_left(r) > 0; n++)
		lost[n] = at += 1u + sl_rd8(r) % 32;
	sl_rtcp_write_nack(&w, 1, 2, lost, n);
	MUST((n == 0) == (sl_wr_len(&w) == 0));
	if (n == 0)
		return;
	fcis = sl_rtcp_read_nack(only(&w), &a, &b, f, LOST_MAX);
	MUST(fcis > 0 && fcis <= n && a == 1 && b == 2);
	for (int i = 0; i < fcis; i++)
		for (unsigned bit = 0; bit <= 16; bit++)
			if (bit == 0 || f[i].blp >> (bit - 1) & 1) {
				MUST(k < n && (uint16_t)lost[k] == (uint16_t)(f[i].pid + bit));
				k++;
			}
	MUST(k == n);
}

/* ---- REMB ---- */

static void fuzz_remb(struct sl_rd *r)
{
	static uint32_t in[SSRCS_MAX], out[SSRCS_MAX];
	struct sl_wr w = sl_wr(buf, sizeof(buf));
	uint64_t bps = sl_rd64(r), got;
	int n = 0;

	while (n < SSRCS_MAX && sl_rd_left(r) >= 4)
		in[n++] = sl_rd32(r);
	sl_rtcp_write_remb(&w, 1, bps, in, n);
	MUST(sl_rtcp_read_remb(only(&w), &got, out, SSRCS_MAX) == n);
	MUST(memcmp(in, out, (size_t)n * sizeof(in[0])) == 0);
	MUST(got <= bps && bps - got <= bps >> 17);
}

/* ---- transport-cc ---- */

enum { BUCKETS = 256 };
static struct event {
	uint16_t seq;
	uint32_t ticks;
	struct event *older;
} events[EVENTS_MAX];
static struct event *newest[BUCKETS]; /* by seq */

static void note_event(struct event *e, uint16_t seq, int64_t rx_us)
{
	uint32_t ticks = (uint32_t)((uint64_t)rx_us / TICK_US);

	*e = (struct event){.seq = seq, .ticks = ticks ? ticks : 1, .older = newest[seq % BUCKETS]};
	newest[seq % BUCKETS] = e;
}

static bool happened(uint16_t seq, uint32_t ticks)
{
	for (const struct event *e = newest[seq % BUCKETS]; e; e = e->older)
		if (e->seq == seq && e->ticks == ticks)
			return true;
	return false;
}

static void check_feedback(struct sl_rtcp p)
{
	static struct sl_twcc_packet f[SL_TWCC_WINDOW];
	struct sl_twcc_head h;
	int n = sl_rtcp_read_twcc(p, &h, f, SL_TWCC_WINDOW);
	uint32_t ticks;

	MUST(n > 0 && n == h.count && h.sender == 1 && h.media == 2);
	ticks = (uint32_t)h.reference_us_64ms << 8;
	for (int i = 0; i < n; i++) {
		MUST(f[i].seq == (uint16_t)(h.base_seq + i));
		if (!f[i].received)
			continue;
		MUST(f[i].delta_us % TICK_US == 0);
		ticks += (uint32_t)(f[i].delta_us / TICK_US);
		MUST(happened(f[i].seq, ticks));
	}
}

static void drain(struct sl_twcc_rx *t, int64_t now_us, size_t room)
{
	int rounds = 0;

	for (;; rounds++) {
		struct sl_wr w = sl_wr(buf, room);
		size_t before = sl_wr_len(&w);

		if (!sl_twcc_rx_write(t, 1, 2, now_us, &w)) {
			MUST(sl_wr_len(&w) == before);
			return;
		}
		check_feedback(only(&w));
		MUST(rounds <= SL_TWCC_WINDOW);
	}
}

static void fuzz_twcc(struct sl_rd *r)
{
	static struct sl_twcc_rx t;
	uint16_t seq = sl_rd16(r);
	int64_t now_us = (int64_t)sl_rd32(r) << 10;
	size_t room = 64u + sl_rd16(r) % 1400u;

	sl_twcc_rx_init(&t);
	memset(newest, 0, sizeof(newest));
	for (int i = 0; i < EVENTS_MAX && sl_rd_left(r) > 0; i++) {
		uint8_t step = sl_rd8(r);
		int64_t rx_us;

		seq = (uint16_t)(seq +
				 (step < 200 ? 1 + step % 4 : (int8_t)step * (step & 1 ? 1 : 77)));
		now_us += sl_rd8(r) * (step & 16 ? 50000 : 300);
		rx_us = SL_MAX(now_us - (step & 32 ? 400 * SL_MS : 0), 0);
		note_event(&events[i], seq, rx_us);
		sl_twcc_rx_packet(&t, seq, rx_us, now_us);
		drain(&t, now_us, room);
	}
	if (sl_twcc_rx_deadline_us(&t) != SL_NEVER)
		drain(&t, sl_twcc_rx_deadline_us(&t), room);
	MUST(sl_twcc_rx_deadline_us(&t) == SL_NEVER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const fuzz[])(struct sl_rd *) = {fuzz_nack, fuzz_remb, fuzz_twcc};
	struct sl_rd r = sl_rd(data, len);

	if (len > 0)
		fuzz[sl_rd8(&r) % SL_COUNT(fuzz)](&r);
	return 0;
}
