/* SPDX-License-Identifier: Apache-2.0
 * core/forward.c — the hot path: the packets of a wake-up to one subscriber.
 * Choose the payload type, map the numbers, write the header into an egress slot, point at the
 * shared payload, and queue the seal. The payload is copied only where bytes of it must differ (VP8
 * picture ids after a switch, RTX). What can be counted once for all of a call's packets is. */
#include "core/core_int.h"

enum { WAIT_US = 3000000, RTX_MORE = 2 };

struct body {
	const uint8_t *p;
	size_t n;
	struct sl_pkt *held; /* when p lies in the packet */
};

static const struct sl_track_codec *by_codec(const struct sl_subscriber *s, uint8_t codec)
{
	for (size_t i = 0; i < s->conf.codec_count; i++)
		if (s->conf.codecs[i].codec == (enum sl_codec)codec)
			return &s->conf.codecs[i];
	return NULL;
}

static const struct sl_track_codec *by_format(const struct sl_subscriber *s,
					      const struct sl_pkt *pkt)
{
	for (size_t i = 0; i < s->conf.codec_count; i++)
		if (s->conf.codecs[i].codec == (enum sl_codec)pkt->codec &&
		    s->conf.codecs[i].format == pkt->format)
			return &s->conf.codecs[i];
	return NULL;
}

static void tell_mismatch(struct sl_subscriber *s, const struct sl_pkt *pkt)
{
	struct sl_engine *e = s->t->eng;
	struct sl_core_event ev = {.type = SL_EV_CODEC_MISMATCH,
				   .transport = s->t->id,
				   .tag = s->t->tag,
				   .track = s->id,
				   .publisher = s->replica->publisher,
				   .codec = (enum sl_codec)pkt->codec};

	sl_stat_inc(&e->stats, SL_STAT_rtp_no_codec);
	if (s->mismatch_told)
		return;
	s->mismatch_told = true;
	sl_engine_event(e, &ev);
}

/* The subscriber's codec for this packet. A player without RED gets the Opus within. */
static const struct sl_track_codec *find_codec(const struct sl_subscriber *s,
					       const struct sl_pkt *pkt)
{
	const struct sl_track_codec *c = by_format(s, pkt);

	return !c && pkt->codec == SL_RED_AUDIO ? by_codec(s, SL_OPUS) : c;
}

/* A packet that may go again under its own index goes as it was (T11): padding is only for those
 * that RTX repeats, or nothing does. And only for peers whose congestion control counts it, or who
 * have none: pictures by plain RTP. */
static uint8_t pad_max(const struct sl_subscriber *s, const struct sl_track_codec *c)
{
	bool same_again = c->nack && !(c->rtx_pt && s->conf.rtx_ssrc);
	bool counts = s->conf.exts.id[SL_EXT_TWCC] || s->conf.exts.id[SL_EXT_ABS_SEND_TIME] ||
		      (s->t->plain && s->conf.kind == SL_VIDEO);

	return s->t->eng->conf.gso_padding && counts && !same_again ? SL_PAD_MAX : 0;
}

/* Nor does it make a packet longer than one may be that is made here. */
static inline uint8_t pad_room(const struct sl_transport *t, size_t len, uint8_t most)
{
	if (!t->mtu || len + most <= t->mtu)
		return most;
	return len < t->mtu ? (uint8_t)(t->mtu - len) : 0;
}

/* The same, looked up once per change. */
static const struct sl_track_codec *change_codec(struct sl_subscriber *s, const struct sl_pkt *pkt)
{
	/* The source changed its codec: go on at its next key frame. */
	if (s->pt_codec && (s->conf.kind == SL_VIDEO ||
			    sl_codec_info((enum sl_codec)pkt->codec)->clock_hz != s->tx.clock_hz))
		s->fresh = true;
	s->pt_format = pkt->format;
	s->pt_codec = pkt->codec;
	s->pt = find_codec(s, pkt);
	s->pad_max = s->pt ? pad_max(s, s->pt) : 0;
	return s->pt;
}

static const struct sl_track_codec *codec_for(struct sl_subscriber *s, const struct sl_pkt *pkt)
{
	return s->pt && s->pt_format == pkt->format && s->pt_codec == pkt->codec
		       ? s->pt
		       : change_codec(s, pkt);
}

/* In payloads that are encrypted end to end (SFrame, insertable streams) no key frame shows: after
 * three seconds of asking, what comes is passed on as it is, and the player asks for a picture
 * itself. */
static bool still_waiting(struct sl_subscriber *s)
{
	int64_t now_us = s->t->eng->now_us;

	if (!s->waiting_us)
		s->waiting_us = now_us;
	return now_us - s->waiting_us < WAIT_US;
}

/* The first packet after a change of source: a picture's start for video. */
static bool begin(struct sl_subscriber *s, const struct sl_pkt *pkt)
{
	struct sl_engine *e = s->t->eng;
	uint32_t clock_hz = sl_codec_info(s->pt->codec)->clock_hz;

	if (s->conf.kind == SL_VIDEO && !pkt->keyframe && still_waiting(s)) {
		sl_stat_inc(&e->stats, SL_STAT_rtp_waiting_keyframe);
		sl_replica_want_keyframe(s->replica);
		return false;
	}
	s->waiting_us = 0;
	sl_rewriter_switch(&s->rw, s->replica->publisher, pkt->seq, pkt->rtp.ts, clock_hz,
			   e->now_us);
	if (pkt->vp8.desc_len)
		sl_rewriter_set_vp8(&s->rw, &pkt->vp8);
	s->tx.clock_hz = clock_hz;
	s->fresh = false;
	sl_watch_flow(s->t);
	return true;
}

/* A private copy, to be patched. Room of SL_PATCH_MAX bytes is kept in front, for RTX. */
static uint8_t *copy_body(struct sl_egress *slot, struct body *b)
{
	uint8_t *copy = slot->plain + SL_PATCH_MAX;

	memcpy(copy, b->p, b->n + SL_PAD_MAX);
	b->p = copy;
	b->held = NULL;
	return copy;
}

/* RFC 2198 section 3: each block is headed by a payload type, and the player numbers Opus in its
 * own way. */
static void red_body(const struct sl_subscriber *s, struct sl_egress *slot,
		     const struct sl_track_codec *c, struct body *b)
{
	const struct sl_track_codec *opus = by_codec(s, SL_OPUS);
	uint8_t pt;
	size_t off;
	size_t len;
	uint8_t *p;

	if (sl_red_primary(b->p, b->n, &pt, &off, &len) < 0)
		return;
	if (c->codec != SL_RED_AUDIO) {
		b->p += off;
		b->n = len;
		return;
	}
	if (!opus || pt == opus->pt)
		return;
	for (p = copy_body(slot, b); *p & 0x80; p += 4)
		*p = 0x80 | opus->pt;
	*p = opus->pt;
}

/* Payload as this subscriber gets it. */
static inline struct body body_for(const struct sl_subscriber *s, struct sl_egress *slot,
				   struct sl_pkt *pkt, const struct sl_track_codec *c,
				   const struct sl_epoch *ep)
{
	struct body b = {
		.p = pkt->data + pkt->rtp.payload_off, .n = pkt->rtp.payload_len, .held = pkt};

	if (pkt->codec == SL_RED_AUDIO)
		red_body(s, slot, c, &b);
	if (pkt->vp8.desc_len && (ep->pic_id_add || ep->tl0_add))
		sl_vp8_patch(copy_body(slot, &b), &pkt->vp8, ep->pic_id_add, ep->tl0_add);
	return b;
}

/* Queues the slot: its header, and a payload that stays where it is until the flush. `pad_max`
 * bytes of padding may go with it; they stand behind the payload. */
static inline void queue(struct sl_transport *t, struct sl_egress *slot, size_t hdr_len,
			 const struct body *b, uint64_t index, uint8_t pad_most)
{
	struct sl_engine *e = t->eng;
	size_t len = hdr_len + b->n;
	int i = e->seal_count++;
	struct sl_run_item *it = &e->items[i];

	slot->held = b->held;
	if (b->held)
		b->held->refs++;
	it->len = (uint16_t)(len + t->overhead);
	it->dest = sl_egress_dest(t);
	it->pad_max = pad_room(t, it->len, pad_most);
	it->pad = 0;
	e->seal_ops[i] = (struct sl_srtp_op){.key = t->tx_key,
					     .hdr = slot->hdr,
					     .hdr_len = hdr_len,
					     .payload = b->p,
					     .payload_len = b->n,
					     .index = index,
					     .out = slot->sealed};
	t->tx_packets++;
	t->tx_bytes += len;
}

static inline uint32_t send_time(struct sl_engine *e)
{
	if (e->send_time_us != e->now_us) {
		e->send_time_us = e->now_us;
		e->send_time = sl_abs_send_time(e->now_us);
	}
	return e->send_time;
}

static inline size_t write_header(struct sl_subscriber *s, struct sl_egress *slot,
				  const struct sl_pkt *pkt, struct sl_hdr_out *h)
{
	struct sl_transport *t = s->t;

	if (s->hdr.map.id[SL_EXT_TWCC])
		h->twcc_seq = t->twcc_seq++;
	if (s->hdr.map.id[SL_EXT_ABS_SEND_TIME])
		h->abs_send_time = send_time(t->eng);
	h->marker = pkt->rtp.marker;
	return sl_hdr_write(&s->hdr, pkt->data, &pkt->exts, h, slot->hdr);
}

static inline void remember(struct sl_subscriber *s, const struct sl_pkt *pkt,
			    const struct sl_rewritten *rw, const struct sl_epoch *ep)
{
	if (s->sent)
		s->sent[rw->seq % SL_RING] =
			(struct sl_sub_sent){.in = (uint32_t)pkt->seq,
					     .lap = (uint16_t)(rw->seq / SL_RING),
					     .epoch = ep->number,
					     .used = true};
	/* A picture's packets share one number. */
	if (pkt->vp8.desc_len &&
	    (!s->rw.sent_vp8 || (uint16_t)(pkt->vp8.pic_id + ep->pic_id_add) != s->rw.pic_id_out))
		sl_rewriter_note_vp8(&s->rw, (uint16_t)(pkt->vp8.pic_id + ep->pic_id_add),
				     (uint8_t)(pkt->vp8.tl0 + ep->tl0_add));
}

/* What is the same for all packets of a call, and what went out in it. */
struct flow {
	struct sl_hdr_out hdr;
	uint32_t packets, bytes;
	const struct sl_pkt *last;
};

static void count(struct sl_subscriber *s, const struct flow *f)
{
	if (f->packets == 0)
		return;
	s->tx.packets += f->packets;
	s->tx.bytes += f->bytes;
	s->last_ts_in = f->last->rtp.ts;
	s->last_ts_out = f->hdr.ts;
	s->last_rx_us = f->last->rx_us;
	sl_rate_add(&s->rate, f->bytes, s->t->eng->now_us);
	sl_subscriber_sent(s, f->bytes);
	sl_stat_add(&s->t->eng->stats, SL_STAT_rtp_forwarded, f->packets);
}

static inline void forward(struct sl_subscriber *s, struct sl_pkt *pkt, struct flow *f)
{
	struct sl_engine *e = s->t->eng;
	const struct sl_epoch *ep;
	struct sl_egress *slot;
	struct sl_rewritten rw;
	struct body b;

	if (!codec_for(s, pkt)) {
		tell_mismatch(s, pkt);
		return;
	}
	if (s->fresh && !begin(s, pkt))
		return;
	if (sl_rewriter_map(&s->rw, pkt->seq, pkt->rtp.ts, e->now_us, &rw) < 0) {
		sl_stat_inc(&e->stats, SL_STAT_rtp_late);
		return;
	}
	slot = sl_egress_next(e);
	ep = &s->rw.epochs[rw.epoch];
	b = body_for(s, slot, pkt, s->pt, ep);
	f->hdr.ts = rw.ts;
	f->hdr.seq = (uint16_t)rw.seq;
	f->hdr.pt = s->pt->pt;
	queue(s->t, slot, write_header(s, slot, pkt, &f->hdr), &b, rw.seq, s->pad_max);
	remember(s, pkt, &rw, ep);
	s->keyframes += pkt->keyframe;
	f->packets++;
	f->bytes += (uint32_t)b.n;
	f->last = pkt;
}

int sl_forward(struct sl_subscriber *s, struct sl_pkt *const *pkts, int n, bool *began)
{
	struct flow f = {.hdr.ssrc = s->conf.ssrc};
	int i = 0;

	*began = false;
	if (s->paused || !sl_egress_ready(s->t))
		return n;
	if (sl_subscriber_withheld(s)) {
		s->fresh = true; /* it goes on at a key frame */
		sl_stat_add(&s->t->eng->stats, SL_STAT_video_shed, (uint64_t)n);
		return n;
	}
	while (i < n && !*began) {
		bool waited = s->fresh;

		forward(s, pkts[i++], &f);
		*began = waited && !s->fresh;
	}
	count(s, &f);
	return i;
}

/* T11: the same payload under the same index gives away nothing under AES-CM; with GCM it would
 * give away the key. */
static bool may_reuse_index(const struct sl_transport *t)
{
	enum sl_srtp_profile p = sl_srtp_key_profile(t->tx_key);

	return p != SL_SRTP_AEAD_AES128_GCM && p != SL_SRTP_AEAD_AES256_GCM;
}

/* RFC 4588: the original number, then the original payload, as a packet of the repair stream: the
 * header, which is that of the original so far, is altered. */
static void again_by_rtx(struct sl_subscriber *s, struct sl_egress *slot, size_t hdr_len,
			 uint8_t rtx_pt, struct body b)
{
	if (b.held)
		memcpy(slot->plain + SL_PATCH_MAX, b.p, b.n);
	memcpy(slot->plain + SL_PATCH_MAX - RTX_MORE, slot->hdr + 2, RTX_MORE);
	slot->hdr[1] = (uint8_t)((slot->hdr[1] & 0x80) | rtx_pt);
	sl_put16(slot->hdr + 2, (uint16_t)s->rtx_seq);
	sl_put32(slot->hdr + 8, s->conf.rtx_ssrc);
	b.p = slot->plain + SL_PATCH_MAX - RTX_MORE;
	b.n += RTX_MORE;
	b.held = NULL;
	queue(s->t, slot, hdr_len, &b, s->rtx_seq++, 0);
}

/* What RTX adds would make the packet longer than it may be, and it can go as it was. */
static bool better_as_it_was(const struct sl_transport *t, size_t len)
{
	return t->mtu && len + RTX_MORE + t->overhead > t->mtu && may_reuse_index(t);
}

void sl_forward_again(struct sl_subscriber *s, struct sl_pkt *pkt, const struct sl_epoch *ep,
		      uint64_t out)
{
	struct sl_engine *e = s->t->eng;
	struct sl_egress *slot = sl_egress_slot(s->t);
	const struct sl_track_codec *c = find_codec(s, pkt); /* the codec may have changed since */
	struct sl_hdr_out h;
	struct body b;
	size_t hdr_len;
	bool rtx = c && c->rtx_pt && s->conf.rtx_ssrc;

	if (!slot || !c)
		return;
	if (!rtx && !may_reuse_index(s->t)) {
		sl_stat_inc(&e->stats, SL_STAT_rtp_rtx_refused);
		return;
	}
	b = body_for(s, slot, pkt, c, ep);
	h = (struct sl_hdr_out){.ssrc = s->conf.ssrc,
				.ts = pkt->rtp.ts + ep->ts_add,
				.seq = (uint16_t)out,
				.pt = c->pt};
	hdr_len = write_header(s, slot, pkt, &h);
	if (rtx && !better_as_it_was(s->t, hdr_len + b.n))
		again_by_rtx(s, slot, hdr_len, c->rtx_pt, b);
	else
		queue(s->t, slot, hdr_len, &b, out, 0);
	s->again_packets++;
	sl_stat_inc(&e->stats, SL_STAT_rtp_rtx_out);
}
