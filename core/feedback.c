/* SPDX-License-Identifier: Apache-2.0
 * core/feedback.c — RTCP: what peers report and ask for, and what we report and ask for.
 * Regular compounds (SR or RR, SDES, REMB) go out about once a second with the randomness of RFC
 * 3550 section 6.2; requests (NACK, PLI, FIR) and transport-cc feedback leave when they are due,
 * reduced-size where negotiated. */
#include "core/core_int.h"

enum {
	REPORT_US = 1000000,
	COMPOUND_MAX = 1200,
	BLOCKS = 31,
	NACKS = 200,
	TWCC_ROUNDS = 8,
	SR_ROOM = 80,
	RR_ROOM = 800,
	REMB_ROOM = 100,
	REMB_SSRCS = 16,
	RTT_MAX_MID32 = 10 * 65536,
	KEYFRAME_TRIES = 60,
	NO_WAY_US = 50000
};

static const char cname[] = "sluice";

/* ---- in ---- */

static void report_about_us(struct sl_transport *t, const struct sl_report *r)
{
	struct sl_subscriber *s = sl_subscriber_by_ssrc(t, r->ssrc);

	if (s)
		sl_tx_report(&s->tx, r, t->eng->now_us);
}

/* The round trip to a peer, as its reports about us show it: publishers of the same transport ask
 * again by it. */
static void share_rtt(struct sl_transport *t)
{
	int64_t rtt_us = t->rtt_us >= 0 ? t->rtt_us : sl_ice_rtt_us(&t->ice);

	SL_LIST_EACH(n, tmp, &t->subscribers) {
		const struct sl_subscriber *s = SL_LIST_AT(n, struct sl_subscriber, in_transport);

		if (s->tx.rtt_us >= 0)
			rtt_us = s->tx.rtt_us;
	}
	if (rtt_us < 0)
		return;
	SL_LIST_EACH(n, tmp, &t->publishers) {
		struct sl_publisher *p = SL_LIST_AT(n, struct sl_publisher, in_transport);

		sl_kf_set_rtt(&p->kf, rtt_us);
		if (p->nack)
			sl_nack_set_rtt(p->nack, rtt_us);
	}
}

static bool on_sr(struct sl_transport *t, const struct sl_rtcp *p, int64_t rx_us)
{
	struct sl_report blocks[BLOCKS];
	struct sl_sender_info si;
	int n = sl_rtcp_read_sr(*p, &si, blocks, BLOCKS);

	for (int i = 0; i < n; i++)
		report_about_us(t, &blocks[i]);
	SL_LIST_EACH(node, tmp, &t->publishers) {
		struct sl_publisher *pub = SL_LIST_AT(node, struct sl_publisher, in_transport);

		if (n >= 0 && pub->ssrc == si.ssrc)
			sl_publisher_sr(pub, &si, rx_us);
	}
	return n >= 0;
}

static bool on_rr(struct sl_transport *t, const struct sl_rtcp *p, int64_t rx_us)
{
	struct sl_report blocks[BLOCKS];
	uint32_t sender;
	int n = sl_rtcp_read_rr(*p, &sender, blocks, BLOCKS);

	(void)rx_us;
	for (int i = 0; i < n; i++)
		report_about_us(t, &blocks[i]);
	return n >= 0;
}

static bool on_nack(struct sl_transport *t, const struct sl_rtcp *p)
{
	struct sl_nack_fci fci[NACKS];
	uint32_t sender;
	uint32_t media;
	int n = sl_rtcp_read_nack(*p, &sender, &media, fci, NACKS);
	struct sl_subscriber *s = n > 0 ? sl_subscriber_by_ssrc(t, media) : NULL;

	if (s)
		sl_subscriber_nack(s, fci, n);
	return n >= 0;
}

static void picture_wanted(struct sl_transport *t, uint32_t media)
{
	struct sl_subscriber *s = sl_subscriber_by_ssrc(t, media);

	if (!s || s->conf.kind != SL_VIDEO)
		return;
	s->plis++;
	sl_stat_inc(&t->eng->stats, SL_STAT_pli_received);
	if (s->replica)
		sl_replica_want_keyframe(s->replica);
}

static bool on_rtpfb(struct sl_transport *t, const struct sl_rtcp *p, int64_t rx_us)
{
	(void)rx_us;
	if (p->count == SL_RTPFB_NACK)
		return on_nack(t, p);
	if (p->count == SL_RTPFB_TWCC)
		sl_stat_inc(&t->eng->stats, SL_STAT_twcc_received);
	return true;
}

/* One rate for all that it names: to each video its part. */
static int on_remb(struct sl_transport *t, const struct sl_rtcp *p)
{
	uint32_t ssrcs[REMB_SSRCS];
	struct sl_subscriber *of[REMB_SSRCS];
	uint64_t bps = 0;
	int n = sl_rtcp_read_remb(*p, &bps, ssrcs, REMB_SSRCS);
	int count = 0;

	for (int i = 0; i < SL_MIN(n, (int)REMB_SSRCS); i++) {
		struct sl_subscriber *s = sl_subscriber_by_ssrc(t, ssrcs[i]);

		if (s && s->conf.kind == SL_VIDEO)
			of[count++] = s;
	}
	for (int i = 0; i < count; i++)
		sl_subscriber_remb(of[i], (uint32_t)SL_MIN(bps / (unsigned)count, UINT32_MAX));
	return n;
}

static bool on_psfb(struct sl_transport *t, const struct sl_rtcp *p, int64_t rx_us)
{
	struct sl_fir fir[16];
	uint32_t sender;
	uint32_t media;
	int n = SL_OK;

	(void)rx_us;
	switch (p->count) {
	case SL_PSFB_PLI:
		n = sl_rtcp_read_pli(*p, &sender, &media);
		if (n >= 0)
			picture_wanted(t, media);
		break;
	case SL_PSFB_FIR:
		n = sl_rtcp_read_fir(*p, &sender, fir, SL_COUNT(fir));
		for (int i = 0; i < n; i++)
			picture_wanted(t, fir[i].ssrc);
		break;
	case SL_PSFB_AFB:
		sl_stat_inc(&t->eng->stats, SL_STAT_remb_received);
		(void)on_remb(t, p);
		break;
	default:
		break;
	}
	return n >= 0;
}

/* RFC 3611 section 4.5: the peer's answer to our reference time. Read like an LSR and its delay. */
static void on_dlrr(struct sl_transport *t, const struct sl_rtcp *p, int64_t rx_us)
{
	uint32_t lrr;
	uint32_t dlrr;
	uint32_t now_mid32;
	int32_t rtt;

	if (sl_rtcp_read_dlrr(*p, t->rtcp_ssrc, &lrr, &dlrr) != SL_OK || !lrr)
		return;
	now_mid32 = sl_ntp_mid32(sl_ntp_from_us((uint64_t)(rx_us + t->eng->conf.ntp_offset_us)));
	rtt = (int32_t)(now_mid32 - lrr - dlrr);
	if (rtt < RTT_MAX_MID32)
		t->rtt_us = SL_MAX(rtt, 0) * SL_SEC / 65536;
}

/* RFC 3611: Chromium asks with a receiver reference time; the answer rides on the next report. */
static bool on_xr(struct sl_transport *t, const struct sl_rtcp *p, int64_t rx_us)
{
	uint64_t ntp;
	int err = sl_rtcp_read_rrtr(*p, &t->rrtr_ssrc, &ntp);

	on_dlrr(t, p, rx_us);
	if (err == SL_OK) {
		t->rrtr_mid32 = sl_ntp_mid32(ntp);
		t->rrtr_us = rx_us;
	}
	return err != SL_EPARSE;
}

static const struct {
	uint8_t type;
	bool (*read)(struct sl_transport *t, const struct sl_rtcp *p, int64_t rx_us);
} readers[] = {
	{SL_RTCP_SR, on_sr},	 {SL_RTCP_RR, on_rr}, {SL_RTCP_RTPFB, on_rtpfb},
	{SL_RTCP_PSFB, on_psfb}, {SL_RTCP_XR, on_xr},
};

void sl_feedback_rtcp(struct sl_transport *t, const uint8_t *data, size_t len, int64_t rx_us)
{
	struct sl_rd it = sl_rd(data, len);
	struct sl_rtcp p;
	bool good = true;

	while (t->phase != SL_T_DEAD && sl_rtcp_next(&it, &p))
		for (size_t i = 0; i < SL_COUNT(readers); i++)
			if (readers[i].type == p.type)
				good &= readers[i].read(t, &p, rx_us);
	if (it.bad || !good) {
		sl_stat_inc(&t->eng->stats, SL_STAT_rtcp_malformed);
		sl_drop(t, SL_DROP_malformed);
	}
	share_rtt(t);
}

/* ---- out ---- */

static size_t compound_max(const struct sl_transport *t)
{
	return t->mtu ? SL_MIN(t->mtu - (size_t)SL_SRTP_OVERHEAD, (size_t)COMPOUND_MAX)
		      : COMPOUND_MAX;
}

/* RFC 3550 section 6.1: a compound begins with a report and names us; RFC 5506 lets feedback go
 * without. */
static void begin_feedback(struct sl_transport *t, struct sl_wr *w)
{
	if (t->rsize)
		return;
	sl_rtcp_write_rr(w, t->rtcp_ssrc, NULL, 0);
	sl_rtcp_write_sdes(w, t->rtcp_ssrc, cname);
}

static void send_compound(struct sl_transport *t, struct sl_egress *slot, const struct sl_wr *w)
{
	if (sl_wr_len(w) >= 8)
		sl_egress_rtcp(t, slot, sl_wr_len(w));
}

void sl_feedback_nack(struct sl_publisher *p)
{
	struct sl_transport *t = p->t;
	struct sl_engine *e = t->eng;
	struct sl_egress *slot;
	uint64_t lost[NACKS];
	struct sl_wr w;
	int n;

	if (!p->nack)
		return;
	n = sl_nack_poll(p->nack, e->now_us, lost, NACKS);
	if (p->nack->give_up) {
		p->nack->give_up = false;
		if (p->home || p->loops)
			sl_publisher_want_keyframe(p);
	}
	sl_timer_arm_by(&e->wheel, &p->timer, sl_nack_deadline_us(p->nack));
	slot = n > 0 ? sl_egress_slot(t) : NULL;
	if (!slot)
		return;
	w = sl_wr(slot->plain, compound_max(t));
	begin_feedback(t, &w);
	sl_rtcp_write_nack(&w, t->rtcp_ssrc, p->ssrc, lost, n);
	p->nacks += (uint64_t)n;
	sl_stat_add(&e->stats, SL_STAT_nack_sent, (uint64_t)n);
	send_compound(t, slot, &w);
}

static const struct sl_track_codec *codec_in_use(const struct sl_publisher *p)
{
	for (size_t i = 0; i < p->conf.codec_count; i++)
		if (p->conf.codecs[i].codec == (enum sl_codec)p->codec)
			return &p->conf.codecs[i];
	return p->conf.codec_count ? &p->conf.codecs[0] : NULL;
}

void sl_feedback_keyframe(struct sl_publisher *p)
{
	struct sl_transport *t = p->t;
	struct sl_engine *e = t->eng;
	const struct sl_track_codec *c = codec_in_use(p);
	struct sl_egress *slot;
	struct sl_wr w;

	/* Nobody listens, or nothing answers: whoever comes, or still waits when packets come,
	 * wants one again. */
	if ((!p->home && !p->loops && !p->keyframe_asked) || p->keyframe_tries >= KEYFRAME_TRIES) {
		sl_kf_arrived(&p->kf, e->now_us);
		return;
	}
	/* Without keys or an SSRC there is nobody to ask yet: the wish stays. */
	if (!c || !p->ssrc || !t->tx_key || !sl_transport_path(t))
		return;
	if (sl_kf_poll(&p->kf, e->now_us) && (c->pli || c->fir)) {
		slot = sl_egress_slot(t);
		if (!slot)
			return;
		w = sl_wr(slot->plain, compound_max(t));
		begin_feedback(t, &w);
		if (c->pli)
			sl_rtcp_write_pli(&w, t->rtcp_ssrc, p->ssrc);
		else
			sl_rtcp_write_fir(&w, t->rtcp_ssrc, p->ssrc, p->fir_seq++);
		p->keyframe_tries++;
		p->keyframe_asked = false;
		p->plis++;
		sl_stat_inc(&e->stats, SL_STAT_pli_sent);
		send_compound(t, slot, &w);
	}
	sl_timer_arm_by(&e->wheel, &p->timer, sl_kf_deadline_us(&p->kf));
}

void sl_feedback_twcc(struct sl_transport *t)
{
	struct sl_engine *e = t->eng;
	bool more = true;
	int64_t soonest_us = SL_MS;

	for (int i = 0; t->twcc && more && i < TWCC_ROUNDS; i++) {
		struct sl_egress *slot = sl_egress_slot(t);
		struct sl_wr w;

		if (!slot) {
			soonest_us = NO_WAY_US;
			break;
		}
		w = sl_wr(slot->plain, compound_max(t));
		begin_feedback(t, &w);
		more = sl_twcc_rx_write(t->twcc, t->rtcp_ssrc, t->twcc_media, e->now_us, &w);
		if (!more)
			break;
		sl_stat_inc(&e->stats, SL_STAT_twcc_sent);
		send_compound(t, slot, &w);
	}
	if (t->twcc)
		sl_timer_arm(&e->wheel, &t->twcc_timer,
			     SL_MAX(sl_twcc_rx_deadline_us(t->twcc), e->now_us + soonest_us));
}

/* Our time of the last packet that this subscriber got: by its publisher's clock, or by arrival
 * before its first SR. */
static int64_t capture_us(const struct sl_subscriber *s)
{
	const struct sl_replica *r = s->replica;

	if (!r || !r->has_clock || !r->clock_hz)
		return s->last_rx_us;
	return r->clock_us +
	       sl_ticks_to_us(sl_seq32_diff(r->clock_rtp, s->last_ts_in), r->clock_hz);
}

/* A regular report may be larger than a datagram: then it goes on in the next one. */
struct report {
	struct sl_transport *t;
	struct sl_egress *slot; /* NULL: there is no way to the peer */
	struct sl_wr w;
};

static void report_begin(struct report *r, struct sl_transport *t)
{
	r->t = t;
	r->slot = sl_egress_slot(t);
	if (r->slot)
		r->w = sl_wr(r->slot->plain, compound_max(t));
}

static void report_end(struct report *r)
{
	if (r->slot)
		send_compound(r->t, r->slot, &r->w);
	r->slot = NULL;
}

/* Room for so many bytes more, in this compound or in a new one. */
static bool report_room(struct report *r, size_t bytes)
{
	if (r->slot && sl_wr_left(&r->w) < bytes) {
		report_end(r);
		report_begin(r, r->t);
	}
	return r->slot != NULL;
}

static void write_srs(struct report *r)
{
	struct sl_engine *e = r->t->eng;

	SL_LIST_EACH(n, tmp, &r->t->subscribers) {
		struct sl_subscriber *s = SL_LIST_AT(n, struct sl_subscriber, in_transport);
		struct sl_sender_info si;

		if (!s->tx.packets || !s->replica || s->fresh || !report_room(r, SR_ROOM))
			continue;
		sl_tx_sr(&s->tx, s->conf.ssrc,
			 sl_ntp_from_us((uint64_t)(capture_us(s) + e->conf.ntp_offset_us)),
			 s->last_ts_out, e->now_us, &si);
		sl_rtcp_write_sr(&r->w, &si, NULL, 0);
		sl_rtcp_write_sdes(&r->w, s->conf.ssrc, s->conf.cname[0] ? s->conf.cname : cname);
	}
}

static void flush_blocks(struct report *r, const struct sl_report *blocks, int count)
{
	if (!report_room(r, RR_ROOM))
		return;
	sl_rtcp_write_rr(&r->w, r->t->rtcp_ssrc, blocks, count);
	sl_rtcp_write_sdes(&r->w, r->t->rtcp_ssrc, cname);
}

/* With our reference time (RFC 3611 section 4.4): the answer to it is the only way to learn the
 * round trip to a peer that we send no media to. */
static void write_rrs(struct report *r)
{
	struct sl_engine *e = r->t->eng;
	struct sl_report blocks[BLOCKS];
	int count = 0;
	bool any = false;

	SL_LIST_EACH(n, tmp, &r->t->publishers) {
		struct sl_publisher *p = SL_LIST_AT(n, struct sl_publisher, in_transport);

		if (!p->rx.started)
			continue;
		sl_rx_report(&p->rx, p->ssrc, e->now_us, &blocks[count]);
		p->fraction_lost = blocks[count].fraction_lost;
		any = true;
		if (++count < BLOCKS)
			continue;
		flush_blocks(r, blocks, count);
		count = 0;
	}
	if (count > 0 || (r->slot && sl_wr_len(&r->w) == 0))
		flush_blocks(r, blocks, count);
	if (any && !r->t->plain && report_room(r, 20))
		sl_rtcp_write_rrtr(&r->w, r->t->rtcp_ssrc,
				   sl_ntp_from_us((uint64_t)(e->now_us + e->conf.ntp_offset_us)));
}

static void write_remb(struct report *r)
{
	struct sl_transport *t = r->t;
	uint32_t ssrcs[REMB_SSRCS];
	uint64_t bps = 0;
	int count = 0;

	SL_LIST_EACH(n, tmp, &t->publishers) {
		struct sl_publisher *p = SL_LIST_AT(n, struct sl_publisher, in_transport);
		uint32_t part = count < (int)REMB_SSRCS ? sl_publisher_remb(p) : 0;

		if (!part)
			continue;
		bps += part;
		ssrcs[count++] = p->ssrc;
	}
	if (count == 0 || !report_room(r, REMB_ROOM))
		return;
	sl_rtcp_write_remb(&r->w, t->rtcp_ssrc, bps, ssrcs, count);
	sl_stat_inc(&t->eng->stats, SL_STAT_remb_sent);
}

static void write_dlrr(struct report *r)
{
	struct sl_transport *t = r->t;

	if (!t->rrtr_us || !report_room(r, 24))
		return;
	sl_rtcp_write_dlrr(&r->w, t->rtcp_ssrc, t->rrtr_ssrc, t->rrtr_mid32,
			   (uint32_t)((t->eng->now_us - t->rrtr_us) * 65536 / SL_SEC));
	t->rrtr_us = 0;
}

void sl_feedback_report(struct sl_transport *t)
{
	struct sl_engine *e = t->eng;
	struct report r;

	/* RFC 3550 section 6.2: half to one and a half of the interval, so that peers do not fall
	 * into step. */
	sl_timer_arm(&e->wheel, &t->rtcp_timer,
		     e->now_us + REPORT_US / 2 + sl_rng_u32(&e->rng) % REPORT_US);
	report_begin(&r, t);
	write_srs(&r);
	write_rrs(&r);
	write_remb(&r);
	write_dlrr(&r);
	report_end(&r);
}
