/* SPDX-License-Identifier: Apache-2.0
 * core/subscriber.c — an outbound track: what it plays, and what it answers when its player misses
 * packets. */
#include "core/core_int.h"
#include "core/base/mem.h"

enum { AGAIN_WINDOW_US = 200000, AGAIN_FLOOR_BYTES = 3000 };

int sl_subscriber_new(struct sl_transport *t, const struct sl_track_conf *conf, uint64_t *id)
{
	struct sl_engine *e = t->eng;
	struct sl_subscriber *s = sl_pool_get(&e->subscribers, id);
	bool nack = false;

	if (!s)
		return SL_EFULL;
	s->id = *id;
	s->t = t;
	s->conf = *conf;
	s->fresh = true;
	t->rsize |= conf->rsize;
	sl_list_init(&s->in_replica);
	sl_list_add(&t->subscribers, &s->in_transport);
	sl_hdr_writer_init(&s->hdr, &conf->exts, sl_str_z(conf->mid));
	s->hdr.one_byte_only = conf->one_byte_exts;
	sl_tx_init(&s->tx,
		   conf->codec_count ? sl_codec_info(conf->codecs[0].codec)->clock_hz : 90000);
	/* M13: below 2^15, so that a receiver that misses the first packets still guesses the
	 * rollover count. */
	sl_rewriter_init(&s->rw, (uint16_t)(sl_rng_u32(&e->rng) & 0x7fff), sl_rng_u32(&e->rng));
	s->rtx_seq = sl_rng_u32(&e->rng) & 0x7fff;
	for (size_t i = 0; i < conf->codec_count; i++)
		nack |= conf->codecs[i].nack;
	s->sent = nack ? sl_zalloc_array(SL_RING, sizeof(*s->sent)) : NULL;
	if (nack && !s->sent) {
		sl_subscriber_free(s);
		return SL_ENOMEM;
	}
	return SL_OK;
}

void sl_subscriber_unroute(struct sl_subscriber *s)
{
	struct sl_replica *r = s->replica;

	if (!r)
		return;
	s->replica = NULL;
	sl_list_del(&s->in_replica);
	if (sl_subscriber_limited(s))
		sl_replica_wish(r);
	sl_replica_release(r);
}

void sl_subscriber_free(struct sl_subscriber *s)
{
	sl_subscriber_unroute(s);
	sl_list_del(&s->in_transport);
	sl_free(s->sent);
	sl_pool_put(&s->t->eng->subscribers, s->id);
}

static bool is_gone(const struct sl_subscriber *s, uint64_t publisher)
{
	const struct sl_engine *e = s->t->eng;

	return sl_id_home(publisher) == e->conf.loop && !sl_pool_at(&e->publishers, publisher);
}

int sl_subscriber_route(struct sl_subscriber *s, uint64_t publisher)
{
	struct sl_replica *r;

	if (s->replica && s->replica->publisher == publisher)
		return SL_OK;
	if (!publisher) {
		sl_subscriber_unroute(s);
		return SL_OK;
	}
	r = sl_replica_of(s->t->eng, publisher);
	if (!r)
		return is_gone(s, publisher) ? SL_ENOTFOUND : SL_ENOMEM;
	sl_subscriber_unroute(s);
	s->replica = r;
	s->fresh = true;
	s->waiting_us = 0;
	s->mismatch_told = false;
	sl_list_add(&r->subs, &s->in_replica);
	if (sl_subscriber_limited(s))
		sl_replica_wish(r);
	if (s->conf.kind == SL_VIDEO && s->t->phase == SL_T_CONNECTED)
		sl_replica_want_keyframe(r);
	return SL_OK;
}

void sl_subscriber_pause(struct sl_subscriber *s, bool paused)
{
	if (s->paused == paused)
		return;
	s->paused = paused;
	s->fresh = true;
	s->waiting_us = 0;
	if (!paused && s->replica && s->conf.kind == SL_VIDEO)
		sl_replica_want_keyframe(s->replica);
}

struct sl_subscriber *sl_subscriber_by_ssrc(struct sl_transport *t, uint32_t ssrc)
{
	SL_LIST_EACH(n, tmp, &t->subscribers) {
		struct sl_subscriber *s = SL_LIST_AT(n, struct sl_subscriber, in_transport);

		if (s->conf.ssrc == ssrc)
			return s;
	}
	return NULL;
}

static void roll_window(struct sl_subscriber *s)
{
	int64_t now_us = s->t->eng->now_us;

	if (now_us - s->again_since_us < AGAIN_WINDOW_US)
		return;
	s->again_since_us = now_us;
	s->again_bytes = 0;
	s->sent_bytes_prior = s->sent_bytes;
	s->sent_bytes = 0;
}

void sl_subscriber_sent(struct sl_subscriber *s, size_t bytes)
{
	roll_window(s);
	s->sent_bytes += (uint32_t)bytes;
}

/* T52: in 200 ms not more bytes again than went out for the first time in this or the last such
 * window. */
static bool may_repeat(struct sl_subscriber *s, size_t bytes)
{
	roll_window(s);
	if (s->again_bytes + bytes >
	    SL_MAX(SL_MAX(s->sent_bytes, s->sent_bytes_prior), AGAIN_FLOOR_BYTES))
		return false;
	s->again_bytes += (uint32_t)bytes;
	return true;
}

static const struct sl_epoch *epoch_by_number(const struct sl_subscriber *s, uint8_t number)
{
	for (size_t i = 0; i < SL_EPOCHS; i++)
		if (s->rw.epochs[i].number == number && s->rw.epochs[i].source)
			return &s->rw.epochs[i];
	return NULL;
}

static void repeat(struct sl_subscriber *s, uint16_t seq16)
{
	struct sl_engine *e = s->t->eng;
	uint64_t out = sl_seq16_extend(s->rw.top_out, seq16);
	struct sl_sub_sent *was = &s->sent[out % SL_RING];
	const struct sl_epoch *ep = epoch_by_number(s, was->epoch);
	const struct sl_replica *r =
		ep ? sl_hash_get(&e->by_publisher, &ep->source, sizeof(ep->source)) : NULL;
	struct sl_pkt *pkt = NULL;

	if (was->used && was->lap == (uint16_t)(out / SL_RING) && r)
		pkt = sl_replica_find(r, sl_seq32_extend(r->top, was->in));
	if (!pkt || !may_repeat(s, pkt->len)) {
		sl_stat_inc(&e->stats, SL_STAT_rtp_rtx_refused);
		return;
	}
	sl_forward_again(s, pkt, ep, out);
}

void sl_subscriber_nack(struct sl_subscriber *s, const struct sl_nack_fci *fci, int n)
{
	for (int i = 0; s->sent && i < n; i++) {
		s->nacks += 1 + (uint64_t)__builtin_popcount(fci[i].blp);
		sl_stat_add(&s->t->eng->stats, SL_STAT_nack_received,
			    1 + (uint64_t)__builtin_popcount(fci[i].blp));
		repeat(s, fci[i].pid);
		for (unsigned bit = 0; bit < 16; bit++)
			if (fci[i].blp >> bit & 1)
				repeat(s, (uint16_t)(fci[i].pid + bit + 1));
	}
}
