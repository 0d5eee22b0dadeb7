/* SPDX-License-Identifier: Apache-2.0
 * api/stats.c — core's numbers of a transport and its tracks in the words and units of W3C
 * webrtc-stats: seconds, counts, addresses as text. */
#include "api/rest.h"
#include <math.h>

/* -1 is unknown. */
static double seconds(int64_t us)
{
	return us < 0 ? NAN : (double)us / 1e6;
}

/* JSON's whole numbers end at 2^53; no counter of ours gets there in a century. */
static int64_t whole(uint64_t n)
{
	return (int64_t)SL_MIN(n, (UINT64_C(1) << 53) - 1);
}

static double fraction(uint64_t lost, uint64_t got)
{
	return lost + got ? (double)lost / (double)(lost + got) : 0;
}

const char *api_mime(enum sl_codec c)
{
	static const char *const names[SL_CODEC_COUNT] = {
		[SL_OPUS] = "audio/opus",	 [SL_RED_AUDIO] = "audio/red",
		[SL_PCMU] = "audio/PCMU",	 [SL_PCMA] = "audio/PCMA",
		[SL_G722] = "audio/G722",	 [SL_TELEPHONE_EVENT] = "audio/telephone-event",
		[SL_COMFORT_NOISE] = "audio/CN", [SL_VP8] = "video/VP8",
		[SL_VP9] = "video/VP9",		 [SL_H264] = "video/H264",
		[SL_H265] = "video/H265",	 [SL_AV1] = "video/AV1",
	};

	return (size_t)c < SL_COUNT(names) ? names[c] : NULL;
}

void api_view_track_stats_of(const struct sl_track_stats *t, struct api_view_track_stats *out)
{
	/* A publisher's lost ones never came; a player's are among those sent. */
	uint64_t rest = t->publish ? t->packets : t->packets - SL_MIN(t->lost, t->packets);

	*out = (struct api_view_track_stats){
		.ssrc = t->ssrc,
		.mime = api_mime(t->codec),
		.packets = whole(t->packets),
		.bytes = whole(t->bytes),
		.lost = whole(t->lost),
		.loss = fraction(t->lost, rest),
		.retransmitted = whole(t->retransmitted),
		.nacks = whole(t->nacks),
		.plis = whole(t->plis),
		.keyframes = whole(t->keyframes),
		.bps = t->bps,
		.cap_bps = t->cap_bps,
		.jitter_s = (double)SL_MAX(t->jitter_us, 0) / 1e6,
		.rtt_s = seconds(t->rtt_us),
		.silent_s = seconds(t->silent_us),
		.waiting = t->waiting,
		.mismatch = t->mismatch,
	};
}

static const char *address(struct api_answer *a, const struct sl_addr *addr)
{
	char text[SL_ADDR_TEXT];

	return api_answer_text(a, addr->family ? sl_addr_text(addr, text) : "");
}

static const char *pair_state(const struct sl_pair_stats *p)
{
	if (p->valid || p->selected)
		return "succeeded";
	return p->checks_in || p->checks_out ? "in-progress" : "waiting";
}

void api_view_pairs_of(struct api_answer *a, const struct sl_transport_stats *st,
		       struct api_list *out)
{
	struct api_view_pair *pairs = api_answer_alloc(a, st->pair_count + 1, sizeof(*pairs));

	*out = (struct api_list){.at = pairs, .n = pairs ? st->pair_count : 0};
	for (size_t i = 0; i < out->n; i++) {
		const struct sl_pair_stats *p = &st->pairs[i];

		pairs[i] = (struct api_view_pair){
			.local = address(a, &p->local),
			.remote = address(a, &p->remote),
			.type = api_answer_text(a, p->type),
			.state = pair_state(p),
			.selected = p->selected,
			.nominated = p->nominated,
			.checks_in = p->checks_in,
			.checks_out = p->checks_out,
			.answers_in = p->answers_in,
			.rtt_s = seconds(p->rtt_us),
		};
	}
}

void api_view_session_stats_of(struct api_answer *a, const struct sl_transport_stats *st,
			       struct api_view_session_stats *out)
{
	struct api_list pairs;

	*out = (struct api_view_session_stats){
		.rx_packets = whole(st->info.rx_packets),
		.rx_bytes = whole(st->info.rx_bytes),
		.tx_packets = whole(st->info.tx_packets),
		.tx_bytes = whole(st->info.tx_bytes),
		.lost = whole(st->info.lost),
		.rtt_s = seconds(st->info.rtt_us),
		.silent_s = (double)SL_MAX(st->info.silent_us, 0) / 1e6,
		.ice_state = st->ice_state,
		.dtls_state = st->dtls_state,
		.dtls_role = st->dtls_client ? "client" : "server",
		.srtp = st->srtp[0] ? st->srtp : NULL,
	};
	for (size_t i = 0; i < st->track_count; i++)
		*(st->tracks[i].publish ? &out->rx_bps : &out->tx_bps) += st->tracks[i].bps;
	api_view_pairs_of(a, st, &pairs);
	for (size_t i = 0; i < pairs.n; i++)
		if (((const struct api_view_pair *)pairs.at)[i].selected)
			out->selected = (const struct api_view_pair *)pairs.at + i;
}
