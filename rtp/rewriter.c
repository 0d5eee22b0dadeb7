/* SPDX-License-Identifier: Apache-2.0
 * rtp/rewriter.c — one continuous stream out of a source that skips and changes. A number once
 * given never changes: a drop counts only for packets above every number mapped so far, and an
 * epoch's offsets stay as they were made, so a packet that comes late, or twice, gets the number
 * that was kept for it. */
#include "rtp/rtp.h"

/* ---- sl_gap ---- */

void sl_gap_init(struct sl_gap *g)
{
	memset(g, 0, sizeof(*g));
}

/* How many of the listed drops lie below seq. */
static uint32_t drops_below(const struct sl_gap *g, uint64_t seq)
{
	uint32_t n = g->count;

	while (n > 0 && g->drops[n - 1] >= seq)
		n--;
	return n;
}

static bool is_dropped(const struct sl_gap *g, uint64_t seq)
{
	uint32_t below = drops_below(g, seq);

	return below < g->count && g->drops[below] == seq;
}

void sl_gap_drop(struct sl_gap *g, uint64_t seq)
{
	uint32_t at;

	if ((g->started && seq <= g->top) || seq <= g->forgotten || is_dropped(g, seq))
		return;
	if (g->count == SL_GAP_DROPS) {
		/* The lowest goes, whether it is the new one or not: both count as dropped, and are
		 * not told apart. */
		uint64_t lowest = SL_MIN(g->drops[0], seq);

		g->dropped++;
		g->forgotten = lowest;
		if (lowest == seq)
			return;
		g->count--;
		memmove(&g->drops[0], &g->drops[1], g->count * sizeof(g->drops[0]));
	} else {
		g->dropped++;
	}
	at = drops_below(g, seq);
	memmove(&g->drops[at + 1], &g->drops[at], (g->count - at) * sizeof(g->drops[0]));
	g->drops[at] = seq;
	g->count++;
}

bool sl_gap_map(struct sl_gap *g, uint64_t seq, uint64_t *dense)
{
	if (seq <= g->forgotten || is_dropped(g, seq))
		return false;
	*dense = seq - g->dropped + (g->count - drops_below(g, seq));
	g->top = g->started ? SL_MAX(g->top, seq) : seq;
	g->started = true;
	return true;
}

/* ---- sl_rewriter ---- */

enum { JUMP_MAX = 3000 };
/* A timestamp this far from what the clock says after a jump is a new clock. */
#define CLOCK_STEP_US (10 * SL_SEC)

void sl_rewriter_init(struct sl_rewriter *r, uint16_t first_out, uint32_t first_ts)
{
	uint16_t first = first_out & 0x7fff;

	*r = (struct sl_rewriter){.ts_out = first_ts, .pic_id_bits = 15};
	r->top_out = first ? first - 1U : 0;
}

/* Out timestamp of a packet that leaves now. */
static uint32_t ts_now(const struct sl_rewriter *r, int64_t now_us)
{
	int64_t ticks = sl_us_to_ticks(SL_MAX(now_us - r->out_us, 0), r->clock_hz);

	return r->sent ? r->ts_out + (uint32_t)SL_MAX(ticks, 1) : r->ts_out;
}

static struct sl_epoch *next_epoch(struct sl_rewriter *r)
{
	if (r->started)
		r->current = (uint8_t)((r->current + 1) % SL_EPOCHS);
	r->started = true;
	return &r->epochs[r->current];
}

void sl_rewriter_switch(struct sl_rewriter *r, uint64_t source, uint64_t in_seq, uint32_t in_ts,
			uint32_t clock_hz, int64_t now_us)
{
	struct sl_epoch *e = next_epoch(r);

	r->clock_hz = clock_hz;
	*e = (struct sl_epoch){
		.source = source,
		.first_in = in_seq,
		.last_in = in_seq,
		.seq_add = (int64_t)(r->top_out + 1 - in_seq),
		.ts_add = ts_now(r, now_us) - in_ts,
		.number = r->number++,
	};
}

void sl_rewriter_set_vp8(struct sl_rewriter *r, const struct sl_vp8 *first)
{
	struct sl_epoch *e = &r->epochs[r->current];

	if (!r->started)
		return;
	r->pic_id_bits = first->pic_id_len == 1 ? 7 : 15;
	if (!r->sent_vp8)
		return;
	if (first->pic_id_len > 0)
		e->pic_id_add = (uint16_t)(r->pic_id_out + 1 - first->pic_id);
	if (first->tl0_off > 0)
		e->tl0_add = (uint8_t)(r->tl0_out + 1 - first->tl0);
}

static bool is_new_clock(uint32_t want_ts, uint32_t got_ts, uint32_t clock_hz)
{
	int64_t off = sl_seq32_diff(want_ts, got_ts);

	return (off < 0 ? -off : off) > sl_us_to_ticks(CLOCK_STEP_US, clock_hz);
}

/* The source began a new run: same offsets for the rest, but the numbers go on, with one left out
 * to say that something is missing; and the timestamps too when they are of a new clock. */
static struct sl_epoch *jump(struct sl_rewriter *r, const struct sl_epoch *old, uint64_t in_seq,
			     uint32_t in_ts, int64_t now_us)
{
	struct sl_epoch e = *old;
	uint32_t now_ts = ts_now(r, now_us);

	if (is_new_clock(now_ts, in_ts + e.ts_add, r->clock_hz))
		e.ts_add = now_ts - in_ts;
	e.first_in = e.last_in = in_seq;
	e.seq_add = (int64_t)(r->top_out + 2 - in_seq);
	e.number = r->number++;
	*next_epoch(r) = e;
	return &r->epochs[r->current];
}

int sl_rewriter_map(struct sl_rewriter *r, uint64_t in_seq, uint32_t in_ts, int64_t now_us,
		    struct sl_rewritten *out)
{
	struct sl_epoch *e = &r->epochs[r->current];

	if (!r->started || in_seq < e->first_in)
		return SL_ERANGE;
	if (in_seq > e->last_in + JUMP_MAX)
		e = jump(r, e, in_seq, in_ts, now_us);
	e->last_in = SL_MAX(e->last_in, in_seq);
	*out = (struct sl_rewritten){
		.seq = in_seq + (uint64_t)e->seq_add,
		.ts = in_ts + e->ts_add,
		.epoch = r->current,
	};
	if (out->seq > r->top_out) {
		r->top_out = out->seq;
		r->ts_out = out->ts;
		r->out_us = now_us;
		r->sent = true;
	}
	return SL_OK;
}

/* Only forward: a packet sent again, or late, is not the newest. */
void sl_rewriter_note_vp8(struct sl_rewriter *r, uint16_t pic_id, uint8_t tl0)
{
	uint16_t mask = (uint16_t)((1U << r->pic_id_bits) - 1);
	uint16_t ahead = (uint16_t)(pic_id - r->pic_id_out) & mask;

	if (r->sent_vp8 && ahead > mask / 2)
		return;
	r->pic_id_out = pic_id & mask;
	r->tl0_out = tl0;
	r->sent_vp8 = true;
}
