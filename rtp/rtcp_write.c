/* SPDX-License-Identifier: Apache-2.0
 * rtp/rtcp_write.c — appends packets to a compound: each whole, or not at all. */
#include "rtp/rtp_int.h"

enum { REPORTS_MAX = 31, REPORT_LEN = 24, CNAME_MAX = 255, REMB_SSRCS_MAX = 255 };
enum { SDES_CNAME = 1 };
enum { NACK_SPAN = 16 }; /* packets after the first that one FCI can name */

/* RFC 3550 section 6.4.1: a header, and a writer of exactly the body's room; full when w has no
 * room for both. */
static struct sl_wr begin(struct sl_wr *w, uint8_t type, int count, size_t body_len)
{
	uint8_t *p = sl_wr_space(w, 4 + body_len);

	if (!p)
		return (struct sl_wr){.full = true};
	p[0] = (uint8_t)(2 << 6 | count);
	p[1] = type;
	sl_put16(p + 2, (uint16_t)(body_len / 4));
	return sl_wr(p + 4, body_len);
}

/* RFC 4585 section 6.1. */
static struct sl_wr begin_feedback(struct sl_wr *w, uint8_t type, int fmt, uint32_t sender,
				   uint32_t media, size_t fci_len)
{
	struct sl_wr b = begin(w, type, fmt, 8 + fci_len);

	sl_wr32(&b, sender);
	sl_wr32(&b, media);
	return b;
}

/* RFC 3550 section 6.4.1: the cumulative loss is clamped to its 24 signed bits. */
static void write_report(struct sl_wr *w, const struct sl_report *b)
{
	int32_t lost = SL_MAX(SL_MIN(b->lost, 0x7fffff), -0x800000);

	sl_wr32(w, b->ssrc);
	sl_wr8(w, b->fraction_lost);
	sl_wr24(w, (uint32_t)lost & 0xffffff);
	sl_wr32(w, b->highest_seq);
	sl_wr32(w, b->jitter);
	sl_wr32(w, b->lsr);
	sl_wr32(w, b->dlsr);
}

static void write_reports(struct sl_wr *w, const struct sl_report *blocks, int n)
{
	for (int i = 0; i < n; i++)
		write_report(w, &blocks[i]);
}

/* Takes back what was appended since `len` if the last of several packets did not fit. */
static void all_or_nothing(struct sl_wr *w, size_t len)
{
	if (w->full)
		w->p = w->start + len;
}

/* RFC 3550 section 6.1: more than 31 sources go into further RR packets. */
static void write_rrs(struct sl_wr *w, uint32_t sender, const struct sl_report *blocks, int n)
{
	do {
		int now = SL_MIN(n, REPORTS_MAX);
		struct sl_wr b = begin(w, SL_RTCP_RR, now, 4 + (size_t)now * REPORT_LEN);

		sl_wr32(&b, sender);
		write_reports(&b, blocks, now);
		blocks += now;
		n -= now;
	} while (n > 0);
}

void sl_rtcp_write_sr(struct sl_wr *w, const struct sl_sender_info *si,
		      const struct sl_report *blocks, int n)
{
	int now = SL_MIN(n, REPORTS_MAX);
	size_t before = sl_wr_len(w);
	struct sl_wr b = begin(w, SL_RTCP_SR, now, 24 + (size_t)now * REPORT_LEN);

	sl_wr32(&b, si->ssrc);
	sl_wr64(&b, si->ntp);
	sl_wr32(&b, si->rtp_ts);
	sl_wr32(&b, si->packets);
	sl_wr32(&b, si->octets);
	write_reports(&b, blocks, now);
	if (n > now)
		write_rrs(w, si->ssrc, blocks + now, n - now);
	all_or_nothing(w, before);
}

void sl_rtcp_write_rr(struct sl_wr *w, uint32_t sender, const struct sl_report *blocks, int n)
{
	size_t before = sl_wr_len(w);

	write_rrs(w, sender, blocks, n);
	all_or_nothing(w, before);
}

/* RFC 3550 section 6.5: a chunk of |SSRC|CNAME 8|length 8|text, ended by one to four zero bytes. */
void sl_rtcp_write_sdes(struct sl_wr *w, uint32_t ssrc, const char *cname)
{
	size_t len = strnlen(cname, CNAME_MAX);
	struct sl_wr b = begin(w, SL_RTCP_SDES, 1, (4 + 2 + len) / 4 * 4 + 4);

	sl_wr32(&b, ssrc);
	sl_wr8(&b, SDES_CNAME);
	sl_wr8(&b, (uint8_t)len);
	sl_wr_bytes(&b, cname, len);
	sl_wr_zeros(&b, sl_wr_left(&b));
}

/* More than 31 go into further packets. */
void sl_rtcp_write_bye(struct sl_wr *w, const uint32_t *ssrcs, int n)
{
	size_t before = sl_wr_len(w);

	while (n > 0) {
		int now = SL_MIN(n, REPORTS_MAX);
		struct sl_wr b = begin(w, SL_RTCP_BYE, now, 4 * (size_t)now);

		for (int i = 0; i < now; i++)
			sl_wr32(&b, ssrcs[i]);
		ssrcs += now;
		n -= now;
	}
	all_or_nothing(w, before);
}

/* RFC 4585 section 6.2.1: one FCI names a packet and any of the 16 after it. Returns how many of
 * `lost` it took. */
static int pack_fci(const uint64_t *lost, int n, struct sl_nack_fci *out)
{
	int i = 1;

	out->pid = (uint16_t)lost[0];
	out->blp = 0;
	for (; i < n && lost[i] - lost[0] <= NACK_SPAN; i++)
		if (lost[i] != lost[0])
			out->blp |= (uint16_t)(1u << (lost[i] - lost[0] - 1));
	return i;
}

void sl_rtcp_write_nack(struct sl_wr *w, uint32_t sender, uint32_t media, const uint64_t *lost,
			int n)
{
	struct sl_nack_fci fci;
	struct sl_wr b;
	size_t count = 0;

	for (int i = 0; i < n; count++)
		i += pack_fci(lost + i, n - i, &fci);
	if (count == 0)
		return;
	b = begin_feedback(w, SL_RTCP_RTPFB, SL_RTPFB_NACK, sender, media, 4 * count);
	for (int i = 0; i < n;) {
		i += pack_fci(lost + i, n - i, &fci);
		sl_wr16(&b, fci.pid);
		sl_wr16(&b, fci.blp);
	}
}

void sl_rtcp_write_pli(struct sl_wr *w, uint32_t sender, uint32_t media)
{
	(void)begin_feedback(w, SL_RTCP_PSFB, SL_PSFB_PLI, sender, media, 0);
}

/* RFC 5104 section 4.3.1.2: the header's media SSRC is unused and shall be 0; the FCI names it. */
void sl_rtcp_write_fir(struct sl_wr *w, uint32_t sender, uint32_t media, uint8_t seq)
{
	struct sl_wr b = begin_feedback(w, SL_RTCP_PSFB, SL_PSFB_FIR, sender, 0, 8);

	sl_wr32(&b, media);
	sl_wr8(&b, seq);
	sl_wr_zeros(&b, 3);
}

/* draft-alvestrand-rmcat-remb-03 section 2.2. The rate is cut to 18 significant bits, never rounded
 * up. */
void sl_rtcp_write_remb(struct sl_wr *w, uint32_t sender, uint64_t bps, const uint32_t *ssrcs,
			int n)
{
	int count = SL_MIN(n, REMB_SSRCS_MAX);
	size_t len = 8 + 4 * (size_t)count;
	struct sl_wr b = begin_feedback(w, SL_RTCP_PSFB, SL_PSFB_AFB, sender, 0, len);
	uint32_t exponent = 0;

	while (bps >> exponent > 0x3ffff)
		exponent++;
	sl_wr_bytes(&b, "REMB", 4);
	sl_wr8(&b, (uint8_t)count);
	sl_wr24(&b, exponent << 18 | (uint32_t)(bps >> exponent));
	for (int i = 0; i < count; i++)
		sl_wr32(&b, ssrcs[i]);
}

/* RFC 3611 sections 2 and 3: an XR packet of one block of so many words. */
static struct sl_wr begin_xr(struct sl_wr *w, uint32_t sender, uint8_t block, uint16_t words)
{
	struct sl_wr b = begin(w, SL_RTCP_XR, 0, 4u + 4u + 4u * words);

	sl_wr32(&b, sender);
	sl_wr8(&b, block);
	sl_wr8(&b, 0);
	sl_wr16(&b, words);
	return b;
}

void sl_rtcp_write_rrtr(struct sl_wr *w, uint32_t sender, uint64_t ntp)
{
	struct sl_wr b = begin_xr(w, sender, XR_RRTR, 2);

	sl_wr64(&b, ntp);
}

/* RFC 3611 section 4.5: the answer to a receiver reference time. */
void sl_rtcp_write_dlrr(struct sl_wr *w, uint32_t sender, uint32_t about, uint32_t lrr,
			uint32_t dlrr)
{
	struct sl_wr b = begin_xr(w, sender, XR_DLRR, 3);

	sl_wr32(&b, about);
	sl_wr32(&b, lrr);
	sl_wr32(&b, dlrr);
}
