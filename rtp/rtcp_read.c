/* SPDX-License-Identifier: Apache-2.0
 * rtp/rtcp_read.c — the walk over a compound, and one reader per packet type. Every length stands
 * against what is left. */
#include "rtp/rtp_int.h"

enum { REPORT_LEN = 24, FIR_LEN = 8 };

/* RFC 3550 section 6.4.1: |V=2|P|count 5|type 8|length 16, in words without this one|. */
bool sl_rtcp_next(struct sl_rd *it, struct sl_rtcp *out)
{
	uint8_t first, pad = 0;
	uint16_t words;

	if (it->bad || sl_rd_left(it) == 0)
		return false;
	first = sl_rd8(it);
	out->type = sl_rd8(it);
	words = sl_rd16(it);
	out->count = first & 0x1f;
	out->body = sl_rd_sub(it, 4u * words);
	if (first & 0x20)
		pad = words > 0 && !it->bad ? out->body.end[-1] : 0;
	if (first >> 6 != 2 || (first & 0x20 && pad == 0) || pad > sl_rd_left(&out->body))
		it->bad = true;
	out->body.end -= it->bad ? 0 : pad;
	return !it->bad;
}

static bool is(const struct sl_rtcp *p, uint8_t type)
{
	return p->type == type;
}

static bool is_feedback(const struct sl_rtcp *p, uint8_t type, uint8_t fmt)
{
	return p->type == type && p->count == fmt;
}

/* The low 24 bits as a signed number. */
static int32_t signed24(uint32_t v)
{
	return (int32_t)(v & 0x7fffff) - (int32_t)(v & 0x800000);
}

/* RFC 3550 section 6.4.1. */
static struct sl_report read_report(struct sl_rd *r)
{
	struct sl_report b;
	uint32_t loss;

	b.ssrc = sl_rd32(r);
	loss = sl_rd32(r);
	b.fraction_lost = (uint8_t)(loss >> 24);
	b.lost = signed24(loss);
	b.highest_seq = sl_rd32(r);
	b.jitter = sl_rd32(r);
	b.lsr = sl_rd32(r);
	b.dlsr = sl_rd32(r);
	return b;
}

static int read_reports(struct sl_rtcp *p, struct sl_report *out, int cap)
{
	int n = SL_MIN((int)p->count, cap);

	if (p->body.bad || sl_rd_left(&p->body) < (size_t)p->count * REPORT_LEN)
		return SL_EPARSE;
	for (int i = 0; i < n; i++)
		out[i] = read_report(&p->body);
	return SL_MAX(n, 0);
}

int sl_rtcp_read_sr(struct sl_rtcp p, struct sl_sender_info *si, struct sl_report *blocks, int cap)
{
	struct sl_sender_info s;
	int n;

	s.ssrc = sl_rd32(&p.body);
	s.ntp = sl_rd64(&p.body);
	s.rtp_ts = sl_rd32(&p.body);
	s.packets = sl_rd32(&p.body);
	s.octets = sl_rd32(&p.body);
	n = is(&p, SL_RTCP_SR) ? read_reports(&p, blocks, cap) : SL_EPARSE;
	if (n >= 0)
		*si = s;
	return n;
}

int sl_rtcp_read_rr(struct sl_rtcp p, uint32_t *sender, struct sl_report *blocks, int cap)
{
	uint32_t from = sl_rd32(&p.body);
	int n = is(&p, SL_RTCP_RR) ? read_reports(&p, blocks, cap) : SL_EPARSE;

	if (n >= 0)
		*sender = from;
	return n;
}

/* RFC 4585 section 6.1: both SSRCs before the feedback control information. */
static bool read_ssrcs(struct sl_rtcp *p, uint32_t *sender, uint32_t *media)
{
	uint32_t from = sl_rd32(&p->body);
	uint32_t about = sl_rd32(&p->body);

	if (p->body.bad)
		return false;
	*sender = from;
	*media = about;
	return true;
}

/* RFC 4585 section 6.2.1: |PID 16|bitmask of the 16 after it|, at least one. */
int sl_rtcp_read_nack(struct sl_rtcp p, uint32_t *sender, uint32_t *media, struct sl_nack_fci *out,
		      int cap)
{
	int n = 0;

	if (!is_feedback(&p, SL_RTCP_RTPFB, SL_RTPFB_NACK) || !read_ssrcs(&p, sender, media))
		return SL_EPARSE;
	if (sl_rd_left(&p.body) == 0 || sl_rd_left(&p.body) % 4 != 0)
		return SL_EPARSE;
	while (n < cap && sl_rd_left(&p.body) > 0) {
		uint16_t pid = sl_rd16(&p.body);
		uint16_t blp = sl_rd16(&p.body);

		out[n++] = (struct sl_nack_fci){.pid = pid, .blp = blp};
	}
	return n;
}

int sl_rtcp_read_pli(struct sl_rtcp p, uint32_t *sender, uint32_t *media)
{
	if (!is_feedback(&p, SL_RTCP_PSFB, SL_PSFB_PLI) || !read_ssrcs(&p, sender, media))
		return SL_EPARSE;
	return SL_OK;
}

/* RFC 5104 section 4.3.1.1: |SSRC 32|seq 8|reserved 24|, at least one. */
int sl_rtcp_read_fir(struct sl_rtcp p, uint32_t *sender, struct sl_fir *out, int cap)
{
	uint32_t media;
	int n = 0;

	if (!is_feedback(&p, SL_RTCP_PSFB, SL_PSFB_FIR) || !read_ssrcs(&p, sender, &media))
		return SL_EPARSE;
	if (sl_rd_left(&p.body) == 0 || sl_rd_left(&p.body) % FIR_LEN != 0)
		return SL_EPARSE;
	while (n < cap && sl_rd_left(&p.body) > 0) {
		uint32_t ssrc = sl_rd32(&p.body);
		uint8_t seq = sl_rd8(&p.body);

		sl_rd_skip(&p.body, 3);
		out[n++] = (struct sl_fir){.ssrc = ssrc, .seq = seq};
	}
	return n;
}

static int read_ssrc_list(struct sl_rd r, size_t count, uint32_t *ssrcs, int cap)
{
	int n = 0;

	if (r.bad || sl_rd_left(&r) < 4 * count)
		return SL_EPARSE;
	while (n < cap && (size_t)n < count)
		ssrcs[n++] = sl_rd32(&r);
	return n;
}

/* draft-alvestrand-rmcat-remb-03 section 2.2: "REMB", |number of SSRCs 8|exponent 6|mantissa 18|,
 * the SSRCs. */
int sl_rtcp_read_remb(struct sl_rtcp p, uint64_t *bps, uint32_t *ssrcs, int cap)
{
	uint32_t sender, media, id, rate;
	uint64_t mantissa;
	unsigned exponent;
	uint8_t count;
	int n;

	if (!is_feedback(&p, SL_RTCP_PSFB, SL_PSFB_AFB) || !read_ssrcs(&p, &sender, &media))
		return SL_EPARSE;
	id = sl_rd32(&p.body);
	if (id != 0x52454d42)
		return SL_EUNSUPPORTED;
	count = sl_rd8(&p.body);
	rate = sl_rd24(&p.body);
	n = read_ssrc_list(p.body, count, ssrcs, cap);
	if (n < 0)
		return n;
	mantissa = rate & 0x3ffff;
	exponent = rate >> 18;
	*bps = mantissa > UINT64_MAX >> exponent ? UINT64_MAX : mantissa << exponent;
	return n;
}

/* RFC 3550 section 6.6. What follows the SSRCs, a reason, is not looked at. */
int sl_rtcp_read_bye(struct sl_rtcp p, uint32_t *ssrcs, int cap)
{
	return is(&p, SL_RTCP_BYE) ? read_ssrc_list(p.body, p.count, ssrcs, cap) : SL_EPARSE;
}

/* ---- transport-cc: draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1 ---- */

enum { SYMBOL_NONE, SYMBOL_SMALL, SYMBOL_LARGE, SYMBOL_RESERVED };
enum { DELTA_UNIT_US = 250 };

struct chunk {
	uint16_t bits;
	unsigned count, i; /* symbols it stands for; of which read */
};

/* |0|symbol 2|run length 13|, |1|0|14 symbols of 1 bit|, |1|1|7 symbols of 2 bits|. */
static struct chunk read_chunk(struct sl_rd *r)
{
	struct chunk c = {.bits = sl_rd16(r)};

	if (!(c.bits & 0x8000))
		c.count = c.bits & 0x1fff;
	else
		c.count = c.bits & 0x4000 ? 7 : 14;
	return c;
}

static unsigned next_symbol(struct chunk *c)
{
	unsigned i = c->i++;

	if (!(c->bits & 0x8000))
		return c->bits >> 13 & 3;
	if (c->bits & 0x4000)
		return c->bits >> (12 - 2 * i) & 3;
	return c->bits >> (13 - i) & 1;
}

/* Moves past the chunks of `count` packets. */
static void skip_chunks(struct sl_rd *r, unsigned count)
{
	unsigned n = 0;

	while (n < count && !r->bad) {
		struct chunk c = read_chunk(r);

		n += c.count;
	}
}

static int32_t read_delta_us(struct sl_rd *deltas, unsigned symbol)
{
	if (symbol == SYMBOL_SMALL)
		return sl_rd8(deltas) * DELTA_UNIT_US;
	return (int16_t)sl_rd16(deltas) * DELTA_UNIT_US;
}

static int read_fates(struct sl_rd chunks, struct sl_rd deltas, uint16_t seq,
		      struct sl_twcc_packet *out, int n)
{
	struct chunk c = {0};

	for (int i = 0; i < n; i++) {
		unsigned symbol;

		while (c.i == c.count && !chunks.bad)
			c = read_chunk(&chunks);
		symbol = chunks.bad ? SYMBOL_RESERVED : next_symbol(&c);
		if (symbol == SYMBOL_RESERVED)
			return SL_EPARSE;
		out[i].seq = (uint16_t)(seq + i);
		out[i].received = symbol != SYMBOL_NONE;
		out[i].delta_us = symbol == SYMBOL_NONE ? 0 : read_delta_us(&deltas, symbol);
	}
	return deltas.bad ? SL_EPARSE : n;
}

int sl_rtcp_read_twcc(struct sl_rtcp p, struct sl_twcc_head *head, struct sl_twcc_packet *out,
		      int cap)
{
	struct sl_twcc_head h;
	struct sl_rd chunks;
	int n;

	if (!is_feedback(&p, SL_RTCP_RTPFB, SL_RTPFB_TWCC) || !read_ssrcs(&p, &h.sender, &h.media))
		return SL_EPARSE;
	h.base_seq = sl_rd16(&p.body);
	h.count = sl_rd16(&p.body);
	h.reference_us_64ms = signed24(sl_rd24(&p.body));
	h.fb_count = sl_rd8(&p.body);
	chunks = p.body;
	skip_chunks(&p.body, h.count);
	if (p.body.bad)
		return SL_EPARSE;
	n = read_fates(chunks, p.body, h.base_seq, out, SL_MAX(SL_MIN((int)h.count, cap), 0));
	if (n >= 0)
		*head = h;
	return n;
}

/* RFC 3611 section 3: blocks of |type 8|specific 8|length 16, in words|. False at the end or, with
 * body->bad, where one is cut. */
static bool xr_block(struct sl_rd *body, uint8_t *type, struct sl_rd *block)
{
	size_t words;

	if (sl_rd_left(body) == 0)
		return false;
	*type = sl_rd8(body);
	sl_rd_skip(body, 1);
	words = sl_rd16(body);
	*block = sl_rd_sub(body, 4 * words);
	return !body->bad;
}

/* RFC 3611 section 4.4: an NTP time. */
int sl_rtcp_read_rrtr(struct sl_rtcp p, uint32_t *sender, uint64_t *ntp)
{
	uint32_t from = sl_rd32(&p.body);
	struct sl_rd block;
	uint8_t type;

	if (!is(&p, SL_RTCP_XR) || p.body.bad)
		return SL_EPARSE;
	while (xr_block(&p.body, &type, &block)) {
		uint64_t t;

		if (type != XR_RRTR)
			continue;
		t = sl_rd64(&block);
		if (block.bad)
			return SL_EPARSE;
		*sender = from;
		*ntp = t;
		return SL_OK;
	}
	return p.body.bad ? SL_EPARSE : SL_EAGAIN;
}

/* RFC 3611 section 4.5: sub-blocks of 12 bytes. */
static bool find_about(struct sl_rd block, uint32_t about, uint32_t *lrr, uint32_t *dlrr)
{
	while (sl_rd_left(&block) >= 12) {
		uint32_t ssrc = sl_rd32(&block);
		uint32_t last = sl_rd32(&block);
		uint32_t delay = sl_rd32(&block);

		if (ssrc != about)
			continue;
		*lrr = last;
		*dlrr = delay;
		return true;
	}
	return false;
}

int sl_rtcp_read_dlrr(struct sl_rtcp p, uint32_t about, uint32_t *lrr, uint32_t *dlrr)
{
	struct sl_rd block;
	uint8_t type;

	sl_rd_skip(&p.body, 4);
	if (!is(&p, SL_RTCP_XR) || p.body.bad)
		return SL_EPARSE;
	while (xr_block(&p.body, &type, &block))
		if (type == XR_DLRR && find_about(block, about, lrr, dlrr))
			return SL_OK;
	return p.body.bad ? SL_EPARSE : SL_EAGAIN;
}
