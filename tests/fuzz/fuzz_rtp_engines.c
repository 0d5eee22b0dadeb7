/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_rtp_engines.c — the engines of rtp/ under scripts of any order, each beside a
 * model that is simple enough to be right. First byte: which engine; then operations of a byte and
 * an argument each. */
#include "rtp/rtp.h"
#include <stdlib.h>

#define MUST(c) ((c) ? (void)0 : __builtin_trap())

enum { SPAN = 1 << 17, GAP_SPAN = 1 << 13 }; /* numbers that the models remember */

static uint8_t op(struct sl_rd *r)
{
	return sl_rd8(r);
}

/* Small steps mostly, now and then any. */
static int32_t step(struct sl_rd *r)
{
	uint8_t v = sl_rd8(r);

	return v == 255 ? (int16_t)sl_rd16(r) : v - 100;
}

static int64_t later(struct sl_rd *r, int64_t now_us)
{
	uint8_t v = sl_rd8(r);

	return now_us + (v == 255 ? sl_rd32(r) : v * 500);
}

/* ---- sequence numbers, loss and jitter ---- */

static void check_report(struct sl_rx *rx, int64_t now_us)
{
	struct sl_report rep;

	sl_rx_report(rx, 1, now_us, &rep);
	MUST(rep.lost >= -0x800000 && rep.lost <= 0x7fffff);
	MUST(rep.highest_seq == (rx->started ? (uint32_t)(rx->top - 65536) : 0));
	MUST(sl_rx_jitter_us(rx) >= 0 && sl_rx_jitter_us(rx) <= 6 * SL_SEC);
	MUST(!rx->started || rx->top - rx->first < rx->packets + SPAN * 4096);
}

static void fuzz_rx(struct sl_rd *r)
{
	struct sl_rx rx;
	uint64_t top = 0, packets = 0;
	uint16_t seq = sl_rd16(r);
	int64_t now_us = SL_SEC;

	sl_rx_init(&rx, sl_rd32(r));
	while (sl_rd_left(r) > 0) {
		int32_t by = step(r);
		uint32_t ts = sl_rd32(r);
		int64_t got;

		seq = (uint16_t)(seq + by);
		now_us = later(r, now_us);
		got = sl_rx_packet(&rx, seq, ts, 10, now_us);
		MUST(got == SL_ERANGE || (got > 65536 - 3001 && (uint16_t)got == seq));
		if (got == SL_ERANGE) {
			MUST(abs(sl_seq16_diff((uint16_t)top, seq)) > 3000);
			continue;
		}
		packets++;
		MUST(top == 0 || (uint64_t)got + 3000 >= top);
		top = SL_MAX(top, (uint64_t)got);
		MUST(rx.top == top && rx.packets == packets && rx.bytes == packets * 10);
		if (by & 1)
			check_report(&rx, now_us);
	}
}

/* ---- nack ---- */

static uint8_t tries[SPAN];
static bool arrived[SPAN];

static void check_asks(struct sl_nack *n, const uint64_t *lost, int count, uint64_t base)
{
	for (int i = 0; i < count; i++) {
		uint64_t at = lost[i] - base;

		MUST(at < SPAN && !arrived[at] && lost[i] < n->next);
		MUST(lost[i] + SL_NACK_WINDOW >= n->next);
		MUST(++tries[at] <= SL_NACK_TRIES);
		MUST(i == 0 || lost[i] > lost[i - 1]);
	}
}

static void fuzz_nack(struct sl_rd *r)
{
	static struct sl_nack n;
	uint64_t base = sl_rd32(r), at = 1000, top = 0, lost[64];
	int64_t now_us = SL_SEC;

	memset(tries, 0, sizeof(tries));
	memset(arrived, 0, sizeof(arrived));
	sl_nack_init(&n);
	while (sl_rd_left(r) > 0) {
		uint8_t what = op(r);

		if (what < 200) {
			at = (uint64_t)((int64_t)at + step(r));
			if (at >= SPAN)
				return;
			if (sl_nack_seen(&n, base + at, now_us))
				MUST(!arrived[at]);
			else
				MUST(arrived[at] || at + SL_NACK_WINDOW <= top);
			arrived[at] = true;
			top = SL_MAX(top, at);
		} else if (what < 240) {
			int cap = what % 65, got;

			now_us = later(r, now_us);
			got = sl_nack_poll(&n, now_us, lost, cap);
			MUST(got <= cap);
			check_asks(&n, lost, got, base);
			MUST(got == cap || sl_nack_deadline_us(&n) > now_us);
		} else {
			sl_nack_set_rtt(&n, (int64_t)sl_rd64(r));
		}
		MUST(n.missing <= SL_NACK_MISSING);
		MUST((n.missing == 0) == (sl_nack_deadline_us(&n) == SL_NEVER));
	}
	/* Nothing pins: a second later all is over. */
	now_us += SL_SEC;
	(void)sl_nack_poll(&n, now_us, lost, 64);
	MUST(n.missing == 0);
}

/* ---- gap ---- */

static bool dropped[GAP_SPAN];
static uint64_t given[GAP_SPAN];

static void map_one(struct sl_gap *g, uint64_t base, uint64_t at, uint64_t *top, bool *any)
{
	uint64_t got, want = base + at;

	if (!sl_gap_map(g, base + at, &got)) {
		uint32_t above = 0;

		for (uint64_t k = at + 1; k < GAP_SPAN; k++)
			above += dropped[k];
		MUST(dropped[at] || above >= SL_GAP_DROPS);
		return;
	}
	for (uint64_t k = 0; k < at; k++)
		want -= dropped[k];
	MUST(!dropped[at] && got == want);
	MUST(given[at] == 0 || given[at] == got);
	given[at] = got;
	*top = *any ? SL_MAX(*top, at) : at;
	*any = true;
}

static void fuzz_gap(struct sl_rd *r)
{
	struct sl_gap g;
	uint64_t base = 65536 + (uint64_t)sl_rd16(r), at = 1000, top = 0;
	bool any = false;
	int budget = 400; /* the model is slow */

	memset(dropped, 0, sizeof(dropped));
	memset(given, 0, sizeof(given));
	sl_gap_init(&g);
	while (sl_rd_left(r) > 0 && budget-- > 0) {
		uint8_t what = op(r);

		at = (uint64_t)((int64_t)at + step(r));
		if (at >= GAP_SPAN)
			return;
		if (what & 1) {
			map_one(&g, base, at, &top, &any);
			continue;
		}
		/* What is below all that is remembered may be left out, and then cannot be mapped
		 * either. */
		if (base + at > g.forgotten && !(any && at <= top))
			dropped[at] = true;
		sl_gap_drop(&g, base + at);
		MUST(g.count <= SL_GAP_DROPS && g.dropped >= g.count);
	}
}

/* ---- rewriter ---- */

static void fuzz_rewriter(struct sl_rd *r)
{
	struct sl_rewriter w;
	struct sl_rewritten out;
	uint64_t in = 65536, top = 0;
	int64_t now_us = SL_SEC;
	uint32_t clock_hz = 90000;
	bool any = false;

	sl_rewriter_init(&w, sl_rd16(r), sl_rd32(r));
	while (sl_rd_left(r) > 0) {
		uint8_t what = op(r);
		uint32_t ts = sl_rd32(r);
		uint32_t ts_before = w.ts_out;

		now_us = later(r, now_us);
		in += (uint64_t)(int64_t)step(r) * (what & 64 ? 64 : 1);
		in &= UINT64_C(0xffffffffff);
		if (what < 16) {
			clock_hz = what & 1 ? 8000 : sl_rd32(r);
			sl_rewriter_switch(&w, what, in, ts, clock_hz, now_us);
			MUST(sl_rewriter_map(&w, in, ts, now_us, &out) == SL_OK);
			MUST(out.seq == (any ? top + 1 : out.seq));
			MUST(!any || out.ts != ts_before || clock_hz > 1000000);
		} else if (what < 24) {
			struct sl_vp8 v = {.pic_id_off = 2, .pic_id_len = what & 3, .tl0_off = 4};
			uint16_t id = (uint16_t)(ts & (v.pic_id_len == 1 ? 0x7f : 0x7fff));

			v.pic_id = id;
			sl_rewriter_set_vp8(&w, &v);
			id = (uint16_t)(id + w.epochs[w.current].pic_id_add);
			sl_rewriter_note_vp8(&w, id, what);
			MUST(w.pic_id_out < 1U << w.pic_id_bits);
			continue;
		} else if (sl_rewriter_map(&w, in, ts, now_us, &out) != SL_OK) {
			MUST(!w.started || in < w.epochs[w.current].first_in);
			continue;
		}
		MUST(any || (out.seq > 0 && out.seq < 32768 + 3001));
		MUST(!any || out.seq <= top + 3002);
		MUST(out.epoch < SL_EPOCHS && w.epochs[out.epoch].first_in <= in);
		top = any ? SL_MAX(top, out.seq) : out.seq;
		any = true;
		MUST(w.top_out == top);
	}
}

/* ---- transport-cc ---- */

static int64_t heard[65536]; /* ticks; -1 not */

static uint32_t read_chunks(struct sl_rd *r, uint8_t *symbols, uint32_t count)
{
	uint32_t n = 0;

	while (n < count) {
		uint16_t c = sl_rd16(r);
		int bits = c & 0x4000 ? 2 : 1;

		MUST(!r->bad);
		if (c < 0x8000) {
			MUST((c & 0x1fff) > 0 && (c & 0x1fffU) <= count - n);
			for (int i = 0; i < (c & 0x1fff); i++)
				symbols[n++] = (uint8_t)(c >> 13);
			continue;
		}
		for (int i = 14 - bits; i >= 0 && n < count; i -= bits)
			symbols[n++] = (uint8_t)(c >> i & (bits == 2 ? 3 : 1));
	}
	return n;
}

static void check_fb(const uint8_t *p, size_t len)
{
	static uint8_t symbols[65536];
	struct sl_rd r = sl_rd(p, len);
	uint32_t base, count, ticks;
	int32_t delta;

	MUST(len % 4 == 0 && len <= 1200 && sl_get16(p + 2) == len / 4 - 1);
	sl_rd_skip(&r, 12);
	base = sl_rd16(&r);
	count = sl_rd16(&r);
	ticks = sl_rd24(&r) << 8;
	sl_rd_skip(&r, 1);
	MUST(count > 0 && count <= SL_TWCC_WINDOW);
	(void)read_chunks(&r, symbols, count);
	for (uint32_t i = 0; i < count; i++) {
		uint16_t seq = (uint16_t)(base + i);

		MUST(symbols[i] < 3);
		if (symbols[i] == 0)
			continue;
		delta = symbols[i] == 1 ? sl_rd8(&r) : (int16_t)sl_rd16(&r);
		ticks += (uint32_t)delta;
		MUST(heard[seq] >= 0 && ticks == SL_MAX((uint32_t)heard[seq], 1U));
	}
	MUST(!r.bad && sl_rd_left(&r) < 4);
}

static void drain(struct sl_twcc_rx *t, int64_t now_us, size_t cap)
{
	uint8_t buf[1500];

	for (;;) {
		struct sl_wr w = sl_wr(buf, cap);

		if (!sl_twcc_rx_write(t, 1, 2, now_us, &w))
			break;
		check_fb(buf, sl_wr_len(&w));
	}
	MUST(cap < 28 || t->due_us > now_us);
}

static void fuzz_twcc(struct sl_rd *r)
{
	static struct sl_twcc_rx t;
	uint16_t seq = sl_rd16(r);
	int64_t now_us = (int64_t)sl_rd32(r) * 1000;

	memset(heard, 0xff, sizeof(heard));
	sl_twcc_rx_init(&t);
	while (sl_rd_left(r) > 0) {
		uint8_t what = op(r);

		now_us = later(r, now_us);
		if (what >= 240) {
			drain(&t, now_us, what == 240 ? sl_rd8(r) : what * 6U);
			continue;
		}
		seq = (uint16_t)(seq + step(r));
		for (uint8_t i = 0; i <= what % 8; i++, seq++) {
			/* The first arrival counts, until its place in the window is another's. */
			sl_twcc_rx_packet(&t, seq, now_us, now_us);
			if (t.ticks[seq % SL_TWCC_WINDOW] == SL_MAX((uint32_t)(now_us / 250), 1U))
				heard[seq] = now_us / 250;
		}
		MUST(t.top - t.next_fb <= SL_TWCC_WINDOW);
	}
	drain(&t, now_us + SL_SEC, 1200);
}

/* ---- what peers' reports and requests may move: round trip, key-frame requests, clock, levels
 * ---- */

static void fuzz_effects(struct sl_rd *r)
{
	struct sl_tx tx;
	struct sl_kf k;
	struct sl_clockmap m;
	struct sl_level l = {0};
	int64_t now_us = SL_SEC, last_us = INT64_MIN, wanted_us = SL_NEVER, us;

	sl_tx_init(&tx, 90000);
	sl_kf_init(&k);
	sl_clockmap_init(&m);
	while (sl_rd_left(r) > 0) {
		uint8_t what = op(r);
		struct sl_report rep = {.lsr = sl_rd32(r), .dlsr = sl_rd32(r)};
		struct sl_sender_info si;

		now_us = later(r, now_us);
		if (what & 1)
			sl_tx_sr(&tx, 1, (uint64_t)rep.lsr << 16, 0, now_us, &si);
		sl_tx_report(&tx, &rep, now_us);
		MUST(tx.rtt_us >= -1 && tx.rtt_us <= now_us);
		sl_kf_set_rtt(&k, what & 2 ? (int64_t)sl_rd64(r) : tx.rtt_us);
		if (what & 4) {
			sl_kf_want(&k, now_us);
			wanted_us = SL_MIN(wanted_us, now_us);
		}
		if (what & 8) {
			sl_kf_arrived(&k, now_us);
			wanted_us = SL_NEVER;
		}
		if (sl_kf_poll(&k, now_us)) {
			MUST(last_us == INT64_MIN || now_us - last_us >= 500 * SL_MS);
			MUST(wanted_us != SL_NEVER);
			last_us = now_us;
		}
		MUST((wanted_us != SL_NEVER) == (sl_kf_deadline_us(&k) != SL_NEVER));
		us = sl_kf_deadline_us(&k);
		MUST(us == SL_NEVER || us <= now_us + 10 * SL_SEC);
		sl_clockmap_sr(&m, sl_rd64(r), now_us);
		MUST(sl_clockmap_us(&m, rep.lsr, &us));
		sl_level_packet(&l, what, what & 1, now_us);
		MUST(sl_level_score(&l, now_us) <= 60 * 256);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const engines[])(struct sl_rd *) = {
		fuzz_rx, fuzz_nack, fuzz_gap, fuzz_rewriter, fuzz_twcc, fuzz_effects,
	};
	struct sl_rd r = sl_rd(data, SL_MIN(len, 4096));

	if (len > 0)
		engines[sl_rd8(&r) % SL_COUNT(engines)](&r);
	return 0;
}
