/* SPDX-License-Identifier: Apache-2.0
 * core/receive.c — SRTP and SRTCP in: collect a batch, open it at once, hand out what is authentic.
 * Nothing of a packet is used before it authenticates (T02). Replay and index are looked at before,
 * to give the transform its index, and again after, because an earlier packet of the same batch may
 * have moved the window. */
#include "core/core_int.h"

enum { UNKNOWN_PER_SECOND = 50 };

static void refuse(struct sl_transport *t, enum sl_stat stat, enum sl_drop why)
{
	sl_stat_inc(&t->eng->stats, stat);
	sl_drop(t, why);
}

/* T16: packets of SSRCs that no track has claimed yet are opened in small numbers only. */
static bool may_look_at_unknown(struct sl_transport *t)
{
	struct sl_engine *e = t->eng;

	if (e->now_us - t->unknown_refill_us >= SL_SEC) {
		t->unknown_refill_us = e->now_us;
		t->unknown_left = UNKNOWN_PER_SECOND;
	}
	if (t->unknown_left == 0) {
		sl_stat_inc(&e->stats, SL_STAT_rtp_ssrc_limit);
		return false;
	}
	t->unknown_left--;
	return true;
}

static bool rtp_op(struct sl_transport *t, const struct sl_in *in, struct sl_pending *p,
		   struct sl_srtp_op *op)
{
	struct sl_rtp rtp;
	static const struct sl_srtp_rx none;

	if (sl_rtp_read(in->data, in->len, &rtp) < 0 && !(in->data[0] & 0x20)) {
		refuse(t, SL_STAT_rtp_malformed, SL_DROP_malformed);
		return false;
	}
	p->ssrc = sl_get32(in->data + 8);
	p->src = sl_transport_source(t, p->ssrc);
	if (!p->src && !may_look_at_unknown(t))
		return false;
	op->index = sl_srtp_rx_index(p->src ? &p->src->rtp : &none, sl_get16(in->data + 2));
	if (p->src && !sl_transport_is_clear(t) && sl_srtp_rx_check(&p->src->rtp, op->index) < 0) {
		refuse(t, SL_STAT_srtp_replayed, SL_DROP_replayed);
		return false;
	}
	return true;
}

static bool rtcp_op(struct sl_transport *t, const struct sl_in *in, struct sl_pending *p,
		    struct sl_srtp_op *op)
{
	uint32_t index;

	p->ssrc = sl_get32(in->data + 4);
	p->src = sl_transport_source(t, p->ssrc);
	if (sl_srtcp_index(t->rx_key, in->data, in->len, &index) < 0) {
		refuse(t, SL_STAT_rtcp_malformed, SL_DROP_malformed);
		return false;
	}
	if (p->src && !sl_transport_is_clear(t) &&
	    sl_srtp_rx_check(&p->src->rtcp, index) < 0) {
		refuse(t, SL_STAT_srtcp_replayed, SL_DROP_replayed);
		return false;
	}
	op->index = index;
	op->rtcp = true;
	return true;
}

/* The last sixteenth of the packet memory is kept for audio and RTCP: what has to go is video. */
static bool must_shed(struct sl_engine *e, const struct sl_pending *p)
{
	bool video = !p->rtcp && p->src && p->src->pub && p->src->pub->conf.kind == SL_VIDEO;

	if (!video || e->packets.nfree >= e->packets.count / 16)
		return false;
	sl_stat_inc(&e->stats, SL_STAT_video_shed);
	return true;
}

void sl_receive_srtp(struct sl_transport *t, const struct sl_in *in)
{
	struct sl_engine *e = t->eng;
	struct sl_pending *p = &e->pending[e->open_count];
	struct sl_srtp_op *op = &e->open_ops[e->open_count];

	if (!t->rx_key) {
		refuse(t, SL_STAT_srtp_no_keys, SL_DROP_no_keys);
		return;
	}
	if (in->len > SL_DATAGRAM_MAX) {
		sl_stat_inc(&e->stats, SL_STAT_demux_truncated);
		return;
	}
	*p = (struct sl_pending){.t = t,
				 .path = in->path,
				 .rtcp = sl_is_rtcp(in->data, in->len),
				 .data = in->data,
				 .len = in->len,
				 .rx_us = in->rx_us};
	*op = (struct sl_srtp_op){.key = t->rx_key, .hdr = in->data, .hdr_len = in->len};
	if (p->rtcp ? !rtcp_op(t, in, p, op) : !rtp_op(t, in, p, op))
		return;
	p->pkt = must_shed(e, p) ? NULL : sl_pkt_new(e);
	if (!p->pkt)
		return;
	op->out = p->pkt->data;
	e->open_count++;
}

/* M13: a sender that begins just below 2^16 may have wrapped before its first packet reached us. */
static void second_try(struct sl_pending *p, struct sl_srtp_op *op)
{
	static const struct sl_srtp_rx none;
	const struct sl_srtp_rx *rx = p->src ? &p->src->rtp : &none;
	uint64_t index = sl_srtp_rx_index(rx, sl_get16(p->data + 2));

	/* The batch's earlier packets may have moved the window since the index was taken. */
	if (index == op->index)
		index = sl_srtp_rx_alternative(rx, sl_get16(p->data + 2));
	if (index == SL_SRTP_NO_INDEX)
		return;
	op->index = index;
	op->err = SL_OK;
	sl_srtp_open(op, 1);
}

static void count_forged(struct sl_engine *e, const struct sl_pending *p)
{
	sl_stat_inc(&e->stats, p->rtcp ? SL_STAT_srtcp_auth_failed : SL_STAT_srtp_auth_failed);
	sl_drop(p->t, SL_DROP_forged);
}

static void rtcp_opened(struct sl_engine *e, struct sl_pending *p, const struct sl_srtp_op *op)
{
	struct sl_transport *t = p->t;
	struct sl_source *src = sl_transport_source(t, p->ssrc);

	if (t->plain && !sl_plain_accept(t, &p->path, true))
		return;
	if (!src)
		src = sl_transport_add_source(t, p->ssrc);
	if (!src) {
		sl_stat_inc(&e->stats, SL_STAT_rtp_ssrc_limit);
		return;
	}
	if (!sl_transport_is_clear(t) && sl_srtp_rx_check(&src->rtcp, op->index) < 0) {
		refuse(t, SL_STAT_srtcp_replayed, SL_DROP_replayed);
		return;
	}
	sl_srtp_rx_accept(&src->rtcp, op->index);
	src->used_us = e->now_us;
	sl_stat_inc(&e->stats, SL_STAT_rtcp_in);
	sl_transport_alive(t, &p->path, true);
	sl_feedback_rtcp(t, p->pkt->data, op->out_len, p->rx_us);
}

/* The SSRC's entry, made when a track claims it. NULL: nobody does. */
static struct sl_source *claim(struct sl_transport *t, const struct sl_pkt *pkt)
{
	bool rtx = false;
	struct sl_publisher *pub = sl_publisher_find(t, pkt, &rtx);
	struct sl_source *src = sl_transport_source(t, pkt->rtp.ssrc);

	if (!pub) {
		refuse(t, SL_STAT_rtp_unknown_ssrc, SL_DROP_unknown_ssrc);
		if (!src)
			sl_srtp_key_forget(t->rx_key, pkt->rtp.ssrc);
		return NULL;
	}
	if (!src)
		src = sl_transport_add_source(t, pkt->rtp.ssrc);
	if (src) {
		src->pub = pub;
		src->role = rtx ? SL_SOURCE_RTX : SL_SOURCE_MEDIA;
	}
	return src;
}

static void rtp_opened(struct sl_engine *e, struct sl_pending *p, const struct sl_srtp_op *op)
{
	struct sl_transport *t = p->t;
	struct sl_pkt *pkt = p->pkt;
	struct sl_source *src = sl_transport_source(t, p->ssrc);

	pkt->len = (uint16_t)op->out_len;
	pkt->rx_us = p->rx_us;
	if (src && !sl_transport_is_clear(t) && sl_srtp_rx_check(&src->rtp, op->index) < 0) {
		refuse(t, SL_STAT_srtp_replayed, SL_DROP_replayed);
		return;
	}
	if (t->plain && !sl_plain_accept(t, &p->path, false))
		return;
	sl_transport_alive(t, &p->path, true);
	if (t->phase == SL_T_DEAD || sl_rtp_read(pkt->data, pkt->len, &pkt->rtp) < 0) {
		refuse(t, SL_STAT_rtp_malformed, SL_DROP_malformed);
		return;
	}
	if (!src || !src->pub)
		src = claim(t, pkt);
	if (!src)
		return;
	sl_srtp_rx_accept(&src->rtp, op->index);
	src->used_us = e->now_us;
	p->pkt = NULL; /* the reference goes on */
	sl_publisher_packet(src->pub, src, pkt);
}

static void opened(struct sl_engine *e, int i)
{
	struct sl_pending *p = &e->pending[i];
	struct sl_srtp_op *op = &e->open_ops[i];

	if (p->t->phase == SL_T_DEAD)
		goto out;
	if (op->err && !p->rtcp) {
		p->src = sl_transport_source(p->t, p->ssrc);
		second_try(p, op);
	}
	if (op->err)
		count_forged(e, p);
	else if (p->rtcp)
		rtcp_opened(e, p, op);
	else
		rtp_opened(e, p, op);
out:
	sl_pkt_unref(e, p->pkt);
	p->pkt = NULL;
}

void sl_receive_batch(struct sl_engine *e)
{
	int n = e->open_count;

	if (n == 0)
		return;
	sl_srtp_open(e->open_ops, n);
	for (int i = 0; i < n; i++)
		opened(e, i);
	e->open_count = 0;
}
