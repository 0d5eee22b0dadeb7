/* SPDX-License-Identifier: Apache-2.0
 * core/publisher.c — an inbound track: what its packets go through once, before anybody gets them.
 * A packet is counted, checked for repetition, given its dense number (gaps of padding-only packets
 * closed), looked at for a key frame, and handed to this loop's replica and to the ring of every
 * other loop with subscribers. */
#include "core/core_int.h"
#include "core/base/mem.h"

enum { LEVEL_EVERY_US = 200000, RETIRED_US = 1000000, RUN = 65536 };

static void on_timer(struct sl_timer *timer, int64_t now_us)
{
	struct sl_publisher *p = SL_CONTAINER(timer, struct sl_publisher, timer);

	(void)now_us;
	sl_feedback_nack(p);
	sl_feedback_keyframe(p);
}

static void index_codecs(struct sl_publisher *p)
{
	for (size_t i = 0; i < p->conf.codec_count; i++) {
		const struct sl_track_codec *c = &p->conf.codecs[i];

		p->codec_at[c->pt & 127] = (uint8_t)(i + 1);
		if (!c->rtx_pt)
			continue;
		p->codec_at[c->rtx_pt & 127] = (uint8_t)(i + 1);
		p->is_rtx[(c->rtx_pt & 127) / 8] |= (uint8_t)(1u << (c->rtx_pt % 8));
	}
}

static bool pt_is_rtx(const struct sl_publisher *p, uint8_t pt)
{
	return p->is_rtx[(pt & 127) / 8] >> (pt % 8) & 1;
}

static bool wants_nack(const struct sl_track_conf *conf)
{
	for (size_t i = 0; i < conf->codec_count; i++)
		if (conf->codecs[i].nack)
			return true;
	return false;
}

static int init_feedback(struct sl_publisher *p)
{
	struct sl_transport *t = p->t;

	if (wants_nack(&p->conf)) {
		p->nack = sl_zalloc(sizeof(*p->nack));
		if (!p->nack)
			return SL_ENOMEM;
		sl_nack_init(p->nack);
	}
	if (p->conf.twcc && !t->twcc) {
		t->twcc = sl_zalloc(sizeof(*t->twcc));
		if (!t->twcc)
			return SL_ENOMEM;
		sl_twcc_rx_init(t->twcc);
	}
	return SL_OK;
}

int sl_publisher_new(struct sl_transport *t, const struct sl_track_conf *conf, uint64_t *id)
{
	struct sl_publisher *p = sl_pool_get(&t->eng->publishers, id);

	if (!p)
		return SL_EFULL;
	p->id = *id;
	p->t = t;
	p->conf = *conf;
	p->ssrc = conf->ssrc;
	p->rtx_ssrc = conf->rtx_ssrc;
	t->rsize |= conf->rsize;
	sl_list_add(&t->publishers, &p->in_transport);
	sl_timer_init(&p->timer, on_timer);
	sl_gap_init(&p->gap);
	sl_kf_init(&p->kf);
	index_codecs(p);
	sl_rx_init(&p->rx,
		   conf->codec_count ? sl_codec_info(conf->codecs[0].codec)->clock_hz : 90000);
	if (init_feedback(p) < 0) {
		sl_publisher_free(p);
		return SL_ENOMEM;
	}
	return SL_OK;
}

void sl_publisher_free(struct sl_publisher *p)
{
	struct sl_transport *t = p->t;
	struct sl_engine *e = t->eng;

	if (p->home) {
		p->home->home = NULL;
		sl_replica_gone(p->home);
	}
	for (unsigned i = 0; i < SL_CORE_LOOPS_MAX; i++)
		if (p->loops >> i & 1)
			sl_engine_tell(e, i, SL_RELAY_GONE, p->id);
	for (unsigned i = 0; i < t->source_count; i++)
		if (t->sources[i]->pub == p)
			t->sources[i]->pub = NULL;
	sl_timer_arm(&e->wheel, &p->timer, SL_NEVER);
	sl_list_del(&p->in_transport);
	sl_free(p->nack);
	sl_free(p->wishes);
	sl_pool_put(&e->publishers, p->id);
}

/* ---- whose is this SSRC ---- */

enum mid { MID_ABSENT, MID_OTHER, MID_OURS };

static enum mid mid_of(const struct sl_publisher *p, const struct sl_pkt *pkt)
{
	struct sl_exts exts;
	size_t n = strlen(p->conf.mid);

	if (sl_ext_read(pkt->data, &pkt->rtp, &p->conf.exts, &exts) <= 0 ||
	    !sl_ext_has(&exts, SL_EXT_MID))
		return MID_ABSENT;
	return exts.len[SL_EXT_MID] == n &&
			       memcmp(pkt->data + exts.off[SL_EXT_MID], p->conf.mid, n) == 0
		       ? MID_OURS
		       : MID_OTHER;
}

static struct sl_publisher *by_ssrc(struct sl_transport *t, uint32_t ssrc)
{
	SL_LIST_EACH(n, tmp, &t->publishers) {
		struct sl_publisher *p = SL_LIST_AT(n, struct sl_publisher, in_transport);

		if (p->ssrc == ssrc || (p->rtx_ssrc && p->rtx_ssrc == ssrc))
			return p;
	}
	return NULL;
}

/* RFC 9143 section 9.2: by MID, else by a payload type that only one m-line has. */
static struct sl_publisher *by_mid_or_pt(struct sl_transport *t, const struct sl_pkt *pkt)
{
	struct sl_publisher *only = NULL;
	unsigned fits = 0;

	SL_LIST_EACH(n, tmp, &t->publishers) {
		struct sl_publisher *p = SL_LIST_AT(n, struct sl_publisher, in_transport);

		enum mid mid = mid_of(p, pkt);

		if (!p->codec_at[pkt->rtp.pt] || mid == MID_OTHER)
			continue;
		if (mid == MID_OURS)
			return p;
		fits++;
		only = p;
	}
	/* A plain transport's port says whose it is, whatever the SSRC. */
	return fits == 1 && (!only->ssrc || t->plain || pt_is_rtx(only, pkt->rtp.pt)) ? only : NULL;
}

/* Its numbers have nothing to do with the old SSRC's: they begin a run of their own above those. */
static void new_run(struct sl_publisher *p, uint16_t first)
{
	uint64_t skip = RUN + (uint16_t)(first - 1 - (uint16_t)p->rx.top);

	p->rx.has_bad = p->rx.has_sr = false;
	if (!p->rx.started)
		return;
	p->rx.top += skip;
	p->rx.first += skip;
	if (p->nack) {
		int64_t rtt_us = p->nack->rtt_us;

		sl_nack_init(p->nack);
		sl_nack_set_rtt(p->nack, rtt_us);
	}
	sl_publisher_want_keyframe(p);
}

/* A track goes on under another SSRC. The old one's replay windows stay, or its packets could be
 * played again (T09). */
static void change_ssrc(struct sl_publisher *p, const struct sl_pkt *pkt, bool rtx)
{
	uint32_t *mine = rtx ? &p->rtx_ssrc : &p->ssrc;
	struct sl_source *old = *mine ? sl_transport_source(p->t, *mine) : NULL;

	if (*mine == pkt->rtp.ssrc)
		return;
	if (old)
		old->pub = NULL;
	if (*mine && !rtx)
		new_run(p, pkt->rtp.seq);
	*mine = pkt->rtp.ssrc;
}

/* A packet of an SSRC that was given up is a late one, or one held back, and no change back to it,
 * unless it is a new one after a while. */
static bool is_late(struct sl_transport *t, const struct sl_pkt *pkt)
{
	const struct sl_source *src = sl_transport_source(t, pkt->rtp.ssrc);

	return src && src->rtp.started &&
	       (t->eng->now_us - src->used_us < RETIRED_US ||
		sl_srtp_rx_index(&src->rtp, pkt->rtp.seq) <= src->rtp.top);
}

struct sl_publisher *sl_publisher_find(struct sl_transport *t, const struct sl_pkt *pkt, bool *rtx)
{
	struct sl_publisher *p = by_ssrc(t, pkt->rtp.ssrc);

	if (!p && !is_late(t, pkt))
		p = by_mid_or_pt(t, pkt);
	if (!p)
		return NULL;
	*rtx = pt_is_rtx(p, pkt->rtp.pt);
	change_ssrc(p, pkt, *rtx);
	return p;
}

/* ---- a packet ---- */

/* RFC 4588 section 4: becomes the packet that it repeats. The bytes stay where they are; the
 * offsets move. */
static bool unwrap_rtx(struct sl_publisher *p, struct sl_pkt *pkt, const struct sl_track_codec *c)
{
	uint16_t osn;
	uint16_t off;
	uint16_t len;

	if (pkt->rtp.payload_len == 0 || sl_rtx_read(pkt->data, &pkt->rtp, &osn, &off, &len) < 0)
		return false; /* a probe of nothing but padding */
	pkt->rtp.seq = osn;
	pkt->rtp.payload_off = off;
	pkt->rtp.payload_len = len;
	pkt->rtp.pt = c->pt;
	pkt->rtp.ssrc = p->ssrc;
	p->recovered++;
	sl_stat_inc(&p->t->eng->stats, SL_STAT_rtp_rtx_in);
	return true;
}

static void note_twcc(struct sl_publisher *p, const struct sl_pkt *pkt)
{
	struct sl_transport *t = p->t;

	if (!t->twcc || !p->conf.twcc || !sl_ext_has(&pkt->exts, SL_EXT_TWCC) ||
	    pkt->exts.len[SL_EXT_TWCC] != 2)
		return;
	t->twcc_media = p->ssrc;
	sl_twcc_rx_packet(t->twcc, sl_get16(pkt->data + pkt->exts.off[SL_EXT_TWCC]), pkt->rx_us,
			  t->eng->now_us);
	sl_timer_arm_by(&t->eng->wheel, &t->twcc_timer, sl_twcc_rx_deadline_us(t->twcc));
}

static void note_level(struct sl_publisher *p, const struct sl_pkt *pkt)
{
	struct sl_engine *e = p->t->eng;
	struct sl_core_event ev = {
		.type = SL_EV_LEVEL, .transport = p->t->id, .tag = p->t->tag, .track = p->id};
	uint8_t level;
	bool voice;

	if (p->conf.kind != SL_AUDIO || !sl_ext_audio_level(pkt->data, &pkt->exts, &level, &voice))
		return;
	sl_level_packet(&p->level, level, voice, e->now_us);
	if (e->now_us - p->level_sent_us < LEVEL_EVERY_US)
		return;
	ev.score = sl_level_score(&p->level, e->now_us);
	if (!ev.score)
		return;
	p->level_sent_us = e->now_us;
	(void)e->io.event(e->io.arg, &ev);
}

static void look_inside(struct sl_publisher *p, struct sl_pkt *pkt, const struct sl_track_codec *c)
{
	struct sl_engine *e = p->t->eng;
	const uint8_t *payload = pkt->data + pkt->rtp.payload_off;
	const bool has_dd = sl_ext_has(&pkt->exts, SL_EXT_DEPENDENCY_DESCRIPTOR);

	pkt->codec = (uint8_t)c->codec;
	pkt->format = c->format;
	if (p->conf.kind != SL_VIDEO)
		return;
	if (c->codec == SL_VP8 && sl_vp8_read(payload, pkt->rtp.payload_len, &pkt->vp8) < 0)
		pkt->vp8.desc_len = 0;
	pkt->keyframe = sl_is_keyframe(
		c->codec, payload, pkt->rtp.payload_len,
		has_dd ? pkt->data + pkt->exts.off[SL_EXT_DEPENDENCY_DESCRIPTOR] : NULL,
		has_dd ? pkt->exts.len[SL_EXT_DEPENDENCY_DESCRIPTOR] : 0);
	if (!pkt->keyframe)
		return;
	p->keyframes++;
	p->keyframe_tries = 0;
	sl_stat_inc(&e->stats, SL_STAT_keyframes);
	sl_kf_arrived(&p->kf, e->now_us);
	sl_timer_arm_by(&e->wheel, &p->timer, sl_kf_deadline_us(&p->kf));
}

static void relay(struct sl_publisher *p, const struct sl_pkt *pkt)
{
	struct sl_engine *e = p->t->eng;
	/* Video goes first when a ring fills: what it leaves free is for audio, and the last for
	 * control messages. */
	uint32_t reserve = SL_RELAY_RESERVE * (p->conf.kind == SL_VIDEO ? 2 : 1);

	for (uint64_t left = p->loops; left; left &= left - 1) {
		unsigned loop = (unsigned)__builtin_ctzll(left);
		struct sl_relay_msg *m = e->io.relay_slot(e->io.arg, loop, reserve);

		if (!m) {
			sl_stat_inc(&e->stats, SL_STAT_relay_dropped);
			p->relay_full = true;
			continue;
		}
		m->type = SL_RELAY_PACKET;
		m->publisher = p->id;
		memcpy(&m->pkt, pkt, offsetof(struct sl_pkt, data) + pkt->len);
		e->io.relay_push(e->io.arg, loop);
		sl_stat_inc(&e->stats, SL_STAT_relay_out);
	}
	if (p->relay_full && p->conf.kind == SL_VIDEO)
		sl_publisher_want_keyframe(p);
	p->relay_full = false;
}

/* Is it new, and under which extended number? Negative: drop. */
static int64_t number(struct sl_publisher *p, const struct sl_pkt *pkt, bool rtx)
{
	struct sl_engine *e = p->t->eng;
	int64_t seq;

	if (rtx)
		seq = p->rx.started ? (int64_t)sl_seq16_extend(p->rx.top, pkt->rtp.seq) : SL_ERANGE;
	else
		seq = sl_rx_packet(&p->rx, pkt->rtp.seq, pkt->rtp.ts, pkt->rtp.payload_len,
				   pkt->rx_us);
	if (seq < 0) {
		sl_stat_inc(&e->stats, SL_STAT_rtp_late);
		sl_drop(p->t, SL_DROP_late);
		return seq;
	}
	if (!p->nack)
		return seq;
	if (!sl_nack_seen(p->nack, (uint64_t)seq, e->now_us)) {
		sl_stat_inc(&e->stats, SL_STAT_rtp_duplicate);
		sl_drop(p->t, SL_DROP_late);
		return SL_EREPLAY;
	}
	sl_timer_arm_by(&e->wheel, &p->timer, sl_nack_deadline_us(p->nack));
	return seq;
}

/* Tones and comfort noise come between the packets of a codec: that is no change of it. */
static bool is_interlude(const struct sl_track_codec *c)
{
	return c->codec == SL_TELEPHONE_EVENT || c->codec == SL_COMFORT_NOISE;
}

static void tell_media(struct sl_publisher *p, const struct sl_track_codec *c)
{
	struct sl_core_event ev = {.type = SL_EV_MEDIA,
				   .transport = p->t->id,
				   .tag = p->t->tag,
				   .track = p->id,
				   .codec = c->codec};

	if (is_interlude(c) || (p->seen && p->codec == c->codec))
		return;
	p->rx.clock_hz = sl_codec_info(c->codec)->clock_hz;
	p->seen = true;
	p->codec = (uint8_t)c->codec;
	sl_engine_event(p->t->eng, &ev);
	sl_watch_flow(p->t);
}

static void accept(struct sl_publisher *p, struct sl_pkt *pkt, const struct sl_track_codec *c,
		   bool rtx)
{
	struct sl_engine *e = p->t->eng;
	int64_t seq = number(p, pkt, rtx);

	if (seq < 0)
		return;
	if (pkt->rtp.payload_len == 0 || p->paused) {
		if (pkt->rtp.payload_len == 0)
			sl_stat_inc(&e->stats, SL_STAT_rtp_padding_only);
		sl_gap_drop(&p->gap, (uint64_t)seq);
		return;
	}
	if (!sl_gap_map(&p->gap, (uint64_t)seq, &pkt->seq)) {
		sl_stat_inc(&e->stats, SL_STAT_rtp_late);
		sl_drop(p->t, SL_DROP_late);
		return;
	}
	sl_stat_inc(&e->stats, SL_STAT_rtp_in);
	p->last_us = e->now_us;
	sl_rate_add(&p->rate, pkt->rtp.payload_len, e->now_us);
	tell_media(p, c);
	look_inside(p, pkt, c);
	note_level(p, pkt);
	if (p->loops)
		relay(p, pkt);
	if (p->home)
		sl_replica_packet(p->home, pkt);
}

void sl_publisher_packet(struct sl_publisher *p, struct sl_source *src, struct sl_pkt *pkt)
{
	struct sl_engine *e = p->t->eng;
	uint8_t index = p->codec_at[pkt->rtp.pt];
	bool rtx = pt_is_rtx(p, pkt->rtp.pt);
	const struct sl_track_codec *c = index ? &p->conf.codecs[index - 1] : NULL;

	(void)src;
	sl_ext_read(pkt->data, &pkt->rtp, &p->conf.exts, &pkt->exts);
	note_twcc(p, pkt);
	p->t->rx_bytes += pkt->len;
	if (!c) {
		sl_stat_inc(&e->stats, SL_STAT_rtp_unknown_pt);
		sl_drop(p->t, SL_DROP_unknown_pt);
	} else if (rtx && !unwrap_rtx(p, pkt, c))
		sl_stat_inc(&e->stats, SL_STAT_rtp_padding_only);
	else
		accept(p, pkt, c, rtx);
	sl_pkt_unref(e, pkt);
}

/* ---- who listens ---- */

void sl_publisher_want_keyframe(struct sl_publisher *p)
{
	struct sl_engine *e = p->t->eng;

	if (p->conf.kind != SL_VIDEO)
		return;
	p->keyframe_tries = 0;
	sl_kf_want(&p->kf, e->now_us);
	sl_timer_arm_by(&e->wheel, &p->timer, sl_kf_deadline_us(&p->kf));
}

void sl_publisher_ask_keyframe(struct sl_publisher *p)
{
	p->keyframe_asked = true;
	sl_publisher_want_keyframe(p);
}

static void send_clock(struct sl_publisher *p, int64_t our_us)
{
	struct sl_engine *e = p->t->eng;

	if (p->home)
		sl_replica_clock(p->home, p->rx.sr_rtp, p->rx.clock_hz, our_us);
	for (uint64_t left = p->loops; left; left &= left - 1) {
		unsigned loop = (unsigned)__builtin_ctzll(left);
		struct sl_relay_msg *m = e->io.relay_slot(e->io.arg, loop, SL_RELAY_RESERVE / 2);

		if (!m)
			continue;
		m->type = SL_RELAY_CLOCK;
		m->publisher = p->id;
		m->rtp_ts = p->rx.sr_rtp;
		m->clock_hz = p->rx.clock_hz;
		m->our_us = our_us;
		e->io.relay_push(e->io.arg, loop);
	}
}

void sl_publisher_sr(struct sl_publisher *p, const struct sl_sender_info *si, int64_t rx_us)
{
	sl_rx_sr(&p->rx, si, rx_us);
	sl_clockmap_sr(&p->t->clock, si->ntp, rx_us);
	sl_publisher_hand_clock(p);
}

void sl_publisher_hand_clock(struct sl_publisher *p)
{
	int64_t our_us;

	if (p->rx.has_sr && sl_clockmap_us(&p->t->clock, p->rx.sr_ntp, &our_us))
		send_clock(p, our_us);
}

void sl_publisher_attach(struct sl_publisher *p, unsigned loop)
{
	p->loops |= UINT64_C(1) << loop;
	sl_publisher_want_keyframe(p);
	sl_publisher_hand_clock(p);
}

void sl_publisher_detach(struct sl_publisher *p, unsigned loop)
{
	p->loops &= ~(UINT64_C(1) << loop);
	sl_publisher_wish(p, loop, 0);
}

void sl_publisher_pause(struct sl_publisher *p, bool paused)
{
	if (p->paused == paused)
		return;
	p->paused = paused;
	/* What was passed over is missing to decoders: its subscribers go on at a key frame. */
	if (!paused && p->conf.kind == SL_VIDEO)
		new_run(p, (uint16_t)(p->rx.top + 1));
}
