/* SPDX-License-Identifier: Apache-2.0
 * rtp/twcc_rx.c — arrivals of one transport into transport-wide congestion control feedback
 * (draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1). Arrival times are kept in the
 * format's own unit of 250 us: 2^32 of them are the 2^24 times 64 ms of its reference time, so
 * nothing is rounded twice and both wrap as one. */
#include "rtp/rtp.h"

enum {
	TICK_US = 250,
	TICKS_PER_REF_LOG2 = 8, /* 64 ms */
	HEAD_BYTES = 20,
	FB_BYTES_MAX = 1200,
	DUE_PKTS = 100,
	STRAYS_MAX = 16,
	RUN_MAX = 8191,
	VEC1 = 14,
	VEC2 = 7,
};
#define DUE_US (50 * SL_MS)

/* Symbols, section 3.1.1. Each is also the size in bytes of its delta. */
enum { LOST, SMALL, LARGE };

void sl_twcc_rx_init(struct sl_twcc_rx *t)
{
	memset(t, 0, sizeof(*t));
	t->due_us = SL_NEVER;
}

static uint32_t *slot(struct sl_twcc_rx *t, uint64_t seq)
{
	return &t->ticks[seq % SL_TWCC_WINDOW];
}

static void restart(struct sl_twcc_rx *t, uint64_t seq)
{
	memset(t->ticks, 0, sizeof(t->ticks));
	t->started = true;
	t->strays = 0;
	t->unreported = 0;
	t->next_fb = t->top = seq;
}

/* The 64-bit number, or 0 for a packet that belongs nowhere: one from below the window. A sender
 * that began anew would be all strays, so a row of them starts a new run above the old one. */
static uint64_t place(struct sl_twcc_rx *t, uint16_t seq)
{
	uint64_t s = UINT64_C(65536) + seq;

	if (!t->started) {
		restart(t, s);
		return s;
	}
	s = sl_seq16_extend(t->top - 1, seq);
	if (s + SL_TWCC_WINDOW >= t->top) {
		t->strays = 0;
		return s;
	}
	if (++t->strays < STRAYS_MAX)
		return 0;
	s = t->top + (uint16_t)(seq - (uint16_t)t->top);
	restart(t, s);
	return s;
}

static void raise_top(struct sl_twcc_rx *t, uint64_t seq)
{
	if (seq - t->top >= SL_TWCC_WINDOW)
		memset(t->ticks, 0, sizeof(t->ticks));
	else
		for (uint64_t s = t->top; s <= seq; s++)
			*slot(t, s) = 0;
	t->top = seq + 1;
	t->next_fb = SL_MAX(t->next_fb, t->top - SL_TWCC_WINDOW);
}

void sl_twcc_rx_packet(struct sl_twcc_rx *t, uint16_t seq, int64_t rx_us, int64_t now_us)
{
	uint32_t ticks = (uint32_t)((uint64_t)rx_us / TICK_US);
	uint64_t s = place(t, seq);

	if (s == 0)
		return;
	if (s >= t->top)
		raise_top(t, s);
	else if (*slot(t, s) != 0)
		return;
	*slot(t, s) = ticks ? ticks : 1; /* once in 12 days 250 us late */
	t->next_fb = SL_MIN(t->next_fb, s);
	t->unreported++;
	if (t->due_us == SL_NEVER)
		t->due_us = now_us + DUE_US;
	if (t->unreported >= DUE_PKTS)
		t->due_us = SL_MIN(t->due_us, now_us);
}

/* One feedback in the making. */
struct plan {
	uint32_t reference; /* 64 ms */
	uint32_t count;	    /* statuses */
	uint8_t symbols[SL_TWCC_WINDOW];
	int16_t deltas[SL_TWCC_WINDOW];
};

/* Statuses from next_fb on, as far as each delta fits its 16 bits; ends with a packet that was
 * received. */
static void collect(struct sl_twcc_rx *t, struct plan *p)
{
	uint32_t n = (uint32_t)(t->top - t->next_fb);
	uint32_t last = 0;

	p->count = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t ticks = *slot(t, t->next_fb + i);
		int32_t delta;

		p->symbols[i] = LOST;
		if (ticks == 0)
			continue;
		if (p->count == 0) {
			p->reference = ticks >> TICKS_PER_REF_LOG2;
			last = p->reference << TICKS_PER_REF_LOG2;
		}
		delta = sl_seq32_diff(last, ticks);
		if (delta < INT16_MIN || delta > INT16_MAX)
			return;
		p->symbols[i] = delta >= 0 && delta <= UINT8_MAX ? SMALL : LARGE;
		p->deltas[i] = (int16_t)delta;
		p->count = i + 1;
		last = ticks;
	}
}

static uint32_t run_of(const uint8_t *symbols, uint32_t n)
{
	uint32_t k = 1;

	while (k < n && k < RUN_MAX && symbols[k] == symbols[0])
		k++;
	return k;
}

/* How many of the next 14 a vector of one-bit symbols can hold: all of them (or up to the end), or
 * none. */
static uint32_t vec1_of(const uint8_t *symbols, uint32_t n)
{
	uint32_t most = SL_MIN(n, VEC1);

	for (uint32_t i = 0; i < most; i++)
		if (symbols[i] == LARGE)
			return 0;
	return most;
}

/* The chunk that covers most of the n symbols (sections 3.1.3 and 3.1.4); *k is how many those are.
 *   run length   0 | symbol:2 | length:13
 *   vector       1 0 | 14 symbols of one bit        1 1 | 7 symbols of two bits */
static uint16_t chunk(const uint8_t *symbols, uint32_t n, uint32_t *k)
{
	uint32_t run = run_of(symbols, n);
	uint32_t vec1 = vec1_of(symbols, n);
	uint32_t vec2 = SL_MIN(n, VEC2);
	uint32_t bits = vec1 >= vec2 ? 1 : 2;
	uint32_t v = bits == 1 ? 0x8000 : 0xc000;

	*k = SL_MAX(run, SL_MAX(vec1, vec2));
	if (*k == run)
		return (uint16_t)((uint32_t)symbols[0] << 13 | run);
	for (uint32_t i = 0; i < *k; i++)
		v |= (uint32_t)symbols[i] << (14 - bits * (i + 1));
	return (uint16_t)v;
}

/* Of n symbols as many as have room for their deltas; *room shrinks by that. */
static uint32_t fit(const uint8_t *symbols, uint32_t n, size_t *room)
{
	uint32_t i = 0;

	while (i < n && symbols[i] <= *room)
		*room -= symbols[i++];
	return i;
}

/* Cuts the plan to what fits `room` bytes of chunks and deltas, ending with a received packet.
 * Encoding a shorter list makes the same chunks but for the last, so it fits too. */
static void cut(struct plan *p, size_t room)
{
	uint32_t i = 0;

	while (i < p->count && room >= 2) {
		uint32_t k, fits;

		(void)chunk(&p->symbols[i], p->count - i, &k);
		room -= 2;
		fits = fit(&p->symbols[i], k, &room);
		i += fits;
		if (fits < k)
			break;
	}
	while (i > 0 && p->symbols[i - 1] == LOST)
		i--;
	p->count = i;
}

static void write_chunks(const struct plan *p, struct sl_wr *w)
{
	for (uint32_t i = 0, k; i < p->count; i += k)
		sl_wr16(w, chunk(&p->symbols[i], p->count - i, &k));
}

static void write_deltas(const struct plan *p, struct sl_wr *w)
{
	for (uint32_t i = 0; i < p->count; i++)
		if (p->symbols[i] == SMALL)
			sl_wr8(w, (uint8_t)p->deltas[i]);
		else if (p->symbols[i] == LARGE)
			sl_wr16(w, (uint16_t)p->deltas[i]);
}

/*   0                   1                   2                   3
 *  |V=2|P| FMT=15  |    PT=205     |            length             |
 *  |                     SSRC of packet sender                     |
 *  |                      SSRC of media source                     |
 *  |      base sequence number     |      packet status count      |
 *  |                 reference time                | fb pkt. count |
 *  |          packet chunks ...  recv deltas ...  zero padding     | */
static void write_fb(const struct plan *p, uint16_t base, uint8_t fb_count, uint32_t sender,
		     uint32_t media, struct sl_wr *w)
{
	uint8_t *start = w->p;
	size_t len;

	sl_wr8(w, 2 << 6 | SL_RTPFB_TWCC);
	sl_wr8(w, SL_RTCP_RTPFB);
	sl_wr16(w, 0);
	sl_wr32(w, sender);
	sl_wr32(w, media);
	sl_wr16(w, base);
	sl_wr16(w, (uint16_t)p->count);
	sl_wr24(w, p->reference);
	sl_wr8(w, fb_count);
	write_chunks(p, w);
	write_deltas(p, w);
	len = (size_t)(w->p - start);
	sl_wr_zeros(w, (4 - len % 4) % 4);
	len = (size_t)(w->p - start);
	sl_put16(start + 2, (uint16_t)(len / 4 - 1));
}

bool sl_twcc_rx_write(struct sl_twcc_rx *t, uint32_t sender, uint32_t media, int64_t now_us,
		      struct sl_wr *w)
{
	size_t room = SL_MIN(sl_wr_left(w), FB_BYTES_MAX) & ~(size_t)3;
	struct plan p;

	if (t->due_us > now_us || w->full || room < HEAD_BYTES)
		return false;
	collect(t, &p);
	cut(&p, room - HEAD_BYTES);
	if (p.count == 0)
		return false;
	write_fb(&p, (uint16_t)t->next_fb, t->fb_count++, sender, media, w);
	t->next_fb += p.count;
	if (t->next_fb == t->top) {
		t->due_us = SL_NEVER;
		t->unreported = 0;
	}
	return true;
}
