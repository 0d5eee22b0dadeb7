/* SPDX-License-Identifier: Apache-2.0
 * F05: the walk over a compound, and every reader on every packet of it.
 * Oracles: counts within the caller's limit; a body lies within the compound; what is read, written
 * and read again is the same. */
#include "rtp/rtp.h"

#define MUST(c) ((c) ? (void)0 : __builtin_trap())

enum { CAP = 40 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t buf[4096];

static struct sl_rtcp first_of(const struct sl_wr *w)
{
	struct sl_rd it = sl_rd(buf, sl_wr_len(w));
	struct sl_rtcp p;

	MUST(!w->full && sl_rtcp_next(&it, &p));
	return p;
}

static bool same_report(const struct sl_report *a, const struct sl_report *b)
{
	return a->ssrc == b->ssrc && a->fraction_lost == b->fraction_lost && a->lost == b->lost &&
	       a->highest_seq == b->highest_seq && a->jitter == b->jitter && a->lsr == b->lsr &&
	       a->dlsr == b->dlsr;
}

static void check_reports(struct sl_rtcp p)
{
	struct sl_report a[CAP], b[CAP];
	struct sl_wr w = sl_wr(buf, sizeof(buf));
	struct sl_sender_info si, si2;
	uint32_t from, from2;
	int n = sl_rtcp_read_sr(p, &si, a, CAP), m = 0;

	if (n >= 0) {
		sl_rtcp_write_sr(&w, &si, a, n);
		m = sl_rtcp_read_sr(first_of(&w), &si2, b, CAP);
		MUST(si.ssrc == si2.ssrc && si.ntp == si2.ntp && si.rtp_ts == si2.rtp_ts);
		MUST(si.packets == si2.packets && si.octets == si2.octets);
	} else if ((n = sl_rtcp_read_rr(p, &from, a, CAP)) >= 0) {
		sl_rtcp_write_rr(&w, from, a, n);
		m = sl_rtcp_read_rr(first_of(&w), &from2, b, CAP);
		MUST(from == from2);
	}
	MUST(n < 0 || (n == m && n <= 31));
	for (int i = 0; i < n; i++)
		MUST(same_report(&a[i], &b[i]));
}

static void check_requests(struct sl_rtcp p)
{
	struct sl_wr w = sl_wr(buf, sizeof(buf));
	struct sl_fir f[CAP], f2[CAP];
	uint32_t a, b, a2, b2;
	int n = sl_rtcp_read_fir(p, &a, f, CAP);

	if (sl_rtcp_read_pli(p, &a, &b) == SL_OK) {
		sl_rtcp_write_pli(&w, a, b);
		MUST(sl_rtcp_read_pli(first_of(&w), &a2, &b2) == SL_OK && a == a2 && b == b2);
	}
	MUST(n <= CAP);
	for (int i = 0; i < n; i++) {
		w = sl_wr(buf, sizeof(buf));
		sl_rtcp_write_fir(&w, a, f[i].ssrc, f[i].seq);
		MUST(sl_rtcp_read_fir(first_of(&w), &a2, f2, CAP) == 1);
		MUST(a == a2 && f2[0].ssrc == f[i].ssrc && f2[0].seq == f[i].seq);
	}
}

static void check_bye_and_xr(struct sl_rtcp p)
{
	struct sl_wr w = sl_wr(buf, sizeof(buf));
	uint32_t a[CAP], b[CAP], from;
	uint64_t ntp;
	int n = sl_rtcp_read_bye(p, a, CAP);

	if (n > 0) {
		sl_rtcp_write_bye(&w, a, n);
		MUST(sl_rtcp_read_bye(first_of(&w), b, CAP) == n);
		MUST(memcmp(a, b, (size_t)n * sizeof(a[0])) == 0);
	}
	MUST(n <= 31);
	MUST(sl_rtcp_read_rrtr(p, &from, &ntp) <= SL_OK);
}

static void check_feedback(struct sl_rtcp p)
{
	static struct sl_twcc_packet fates[CAP];
	struct sl_nack_fci f[CAP];
	struct sl_twcc_head head;
	uint32_t a, b, ssrcs[CAP];
	uint64_t bps;
	int n;

	n = sl_rtcp_read_nack(p, &a, &b, f, CAP);
	MUST(n != 0 && n <= CAP);
	MUST(sl_rtcp_read_remb(p, &bps, ssrcs, CAP) <= CAP);
	n = sl_rtcp_read_twcc(p, &head, fates, CAP);
	MUST(n <= CAP && (n < 0 || n == SL_MIN(head.count, CAP)));
	for (int i = 0; i < n; i++) {
		MUST(fates[i].seq == (uint16_t)(head.base_seq + i));
		MUST(fates[i].received || fates[i].delta_us == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sl_rd it = sl_rd(data, len);
	const uint8_t *before = it.p;
	struct sl_rtcp p;

	while (sl_rtcp_next(&it, &p)) {
		MUST(p.body.p == before + 4 && p.body.end <= it.p && it.p <= data + len);
		MUST(p.count < 32 && !p.body.bad);
		before = it.p;
		check_reports(p);
		check_requests(p);
		check_bye_and_xr(p);
		check_feedback(p);
	}
	MUST(it.bad || sl_rd_left(&it) == 0);
	return 0;
}
