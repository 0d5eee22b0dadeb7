/* SPDX-License-Identifier: Apache-2.0
 * core/stats.c — what is known of one transport and its tracks, for statistics and diagnosis. */
#include "core/core_int.h"

const char *sl_drop_name(enum sl_drop d)
{
	static const char *const names[] = {
#define X(name, help) #name,
		SL_DROPS(X)
#undef X
	};

	return (size_t)d < SL_COUNT(names) ? names[d] : "unknown";
}

static int64_t silent_us(int64_t last_us, int64_t now_us)
{
	return last_us ? now_us - last_us : -1;
}

static void publisher_stats(struct sl_publisher *p, struct sl_track_stats *out)
{
	int64_t now_us = p->t->eng->now_us;

	sl_rate_roll(&p->rate, now_us);
	*out = (struct sl_track_stats){.id = p->id,
				       .publish = true,
				       .paused = p->paused,
				       .kind = p->conf.kind,
				       .codec = p->seen ? (enum sl_codec)p->codec : SL_CODEC_NONE,
				       .ssrc = p->ssrc,
				       .packets = p->rx.packets,
				       .bytes = p->rx.bytes,
				       .lost = sl_rx_lost(&p->rx),
				       .retransmitted = p->recovered,
				       .nacks = p->nacks,
				       .plis = p->plis,
				       .keyframes = p->keyframes,
				       .jitter_us = sl_rx_jitter_us(&p->rx),
				       .rtt_us = p->t->rtt_us,
				       .silent_us = silent_us(p->last_us, now_us),
				       .bps = p->rate.bps,
				       .cap_bps = p->cap_bps,
				       .cap_by = p->cap_bps ? p->cap_by : SL_CAP_NONE,
				       .min_bps = p->conf.min_bps,
				       .max_bps = p->conf.max_bps};
}

static void subscriber_stats(struct sl_subscriber *s, struct sl_track_stats *out)
{
	int64_t now_us = s->t->eng->now_us;

	sl_rate_roll(&s->rate, now_us);
	*out = (struct sl_track_stats){.id = s->id,
				       .publisher = s->replica ? s->replica->publisher : 0,
				       .paused = s->paused,
				       .waiting = s->replica && s->fresh && s->waiting_us != 0,
				       .mismatch = s->mismatch_told,
				       .kind = s->conf.kind,
				       .codec = s->pt ? s->pt->codec : SL_CODEC_NONE,
				       .ssrc = s->conf.ssrc,
				       .packets = s->tx.packets,
				       .bytes = s->tx.bytes,
				       .lost = (uint64_t)SL_MAX(s->tx.lost, 0),
				       .retransmitted = s->again_packets,
				       .nacks = s->nacks,
				       .plis = s->plis,
				       .keyframes = s->keyframes,
				       .jitter_us = s->tx.jitter_us,
				       .rtt_us = s->tx.rtt_us,
				       .silent_us = silent_us(s->last_rx_us, now_us),
				       .bps = s->rate.bps,
				       .min_bps = s->conf.min_bps,
				       .max_bps = s->conf.max_bps};
	out->cap_bps = sl_subscriber_cap(s, &out->cap_by);
}

static void pair_stats(const struct sl_transport *t, struct sl_transport_stats *out)
{
	const struct sl_engine *e = t->eng;
	struct sl_ice_pair_info pairs[SL_PAIR_STATS_MAX];
	size_t n = sl_ice_pairs(&t->ice, pairs, SL_PAIR_STATS_MAX);

	out->pair_count = SL_MIN(n, (size_t)SL_PAIR_STATS_MAX);
	for (size_t i = 0; i < out->pair_count; i++) {
		const struct sl_ice_pair_info *p = &pairs[i];
		struct sl_pair_stats *to = &out->pairs[i];

		*to = (struct sl_pair_stats){.local = p->local,
					     .remote = p->path.remote,
					     .tcp = p->path.remote.tcp,
					     .selected = p->selected,
					     .nominated = p->nominated,
					     .valid = p->valid,
					     .checks_in = p->requests_in,
					     .checks_out = p->checks_sent,
					     .answers_in = p->responses_in,
					     .rtt_us = p->rtt_us};
		if (!to->local.family && p->path.sock < e->conf.local_count)
			to->local = e->conf.locals[p->path.sock].addr;
		to->local.tcp = to->remote.tcp = 0;
		sl_fmt(to->type, sizeof(to->type), "%s", sl_ice_type_name(p->remote_type));
		sl_fmt(to->local_type, sizeof(to->local_type), "%s",
		       sl_ice_type_name(p->local_type));
	}
}

static const char *dtls_state(const struct sl_transport *t)
{
	if (t->dtls_done)
		return "connected";
	return t->hs ? "connecting" : "new";
}

void sl_transport_stats(struct sl_transport *t, struct sl_transport_stats *out)
{
	sl_transport_info(t, &out->info);
	out->ice_state = t->plain ? "" : sl_ice_state_name(sl_ice_state(&t->ice));
	out->dtls_state = t->plain ? "" : dtls_state(t);
	out->srtp = t->tx_key ? sl_srtp_profile_name(sl_srtp_key_profile(t->tx_key)) : "";
	out->dtls_client = t->dtls_client;
	out->path_found = t->path_us != 0;
	out->age_us = t->eng->now_us - t->opened_us;
	memcpy(out->drops, t->drops, sizeof(out->drops));
	pair_stats(t, out);
	SL_LIST_EACH(n, tmp, &t->publishers)
		if (out->track_count < SL_TRACK_STATS_MAX)
			publisher_stats(SL_LIST_AT(n, struct sl_publisher, in_transport),
					&out->tracks[out->track_count++]);
	SL_LIST_EACH(n, tmp, &t->subscribers)
		if (out->track_count < SL_TRACK_STATS_MAX)
			subscriber_stats(SL_LIST_AT(n, struct sl_subscriber, in_transport),
					 &out->tracks[out->track_count++]);
}
