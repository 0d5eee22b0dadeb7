/* SPDX-License-Identifier: Apache-2.0
 * One m-line that carries media both ways: a publisher and a subscriber with the same mid, payload
 * types and extension ids in one transport. */
#include "tests/core/call.h"

struct line {
	struct peer_source *source;
	struct peer_sink *sink;
};

/* What sendrecv agrees on holds for both directions; only the SSRCs differ. */
static struct line both_ways(struct sim_peer *sp, enum sl_codec codec, unsigned flags)
{
	size_t first = sp->conf->track_count;
	enum sl_kind kind = sl_codec_info(codec)->kind;
	struct line l;
	struct sl_track_conf *up, *down;
	uint32_t ssrc, rtx_ssrc;

	l.source = sim_sends(sp, codec, flags);
	l.sink = sim_plays(sp, kind, flags);
	up = &sp->conf->tracks[first];
	down = &sp->conf->tracks[first + 1];
	ssrc = down->ssrc;
	rtx_ssrc = down->rtx_ssrc;
	*down = *up;
	down->publish = false;
	down->ssrc = ssrc;
	down->rtx_ssrc = rtx_ssrc;
	memset(l.sink->conf.codec_at, 0, sizeof(l.sink->conf.codec_at));
	memset(l.sink->conf.rtx_of, 0, sizeof(l.sink->conf.rtx_of));
	for (size_t i = 0; i < up->codec_count; i++) {
		const struct sl_track_codec *c = &up->codecs[i];

		l.sink->conf.codec_at[c->pt] = (uint8_t)c->codec;
		if (!c->rtx_pt)
			continue;
		l.sink->conf.codec_at[c->rtx_pt] = SL_RTX;
		l.sink->conf.rtx_of[c->rtx_pt] = c->pt;
	}
	return l;
}

static void check_plays(const struct line *l)
{
	CHECK(l->sink->decoded > 100);
	CHECK_EQ(l->sink->altered + l->sink->unknown + l->sink->replayed, 0);
	call_check_continuous(l->sink, 0);
}

/* RFC 9143 section 9.2: found by mid where no SSRC was named. */
static void loopback(unsigned flags, uint64_t seed)
{
	struct sim *s = sim_new(&(struct sim_conf){.seed = seed});
	struct sim_peer *sp = sim_peer(s, 0);
	struct line video = both_ways(sp, SL_VP8, flags);
	struct line audio = both_ways(sp, SL_OPUS, flags);
	struct call c = {.s = s};

	sim_open(sp);
	sim_route(video.sink, video.source);
	sim_route(audio.sink, audio.source);
	sim_wait_connected(sp, 10 * SL_SEC);
	sim_run(s, SL_SEC);
	sp->up.loss = sp->down.loss = 5;
	sim_run(s, 5 * SL_SEC);
	sp->up.loss = sp->down.loss = 0;
	sim_run(s, 5 * SL_SEC);
	check_plays(&video);
	CHECK(audio.sink->packets > 400 && audio.sink->altered == 0);
	CHECK(video.sink->recovered > 0);
	CHECK_EQ(sim_stat(s, SL_STAT_rtp_unknown_ssrc), 0);
	call_end(&c);
}

TEST(a_peer_is_played_what_it_sends_on_the_same_section)
{
	sim_no_oom();
	loopback(SIM_TWCC, 700);
}

TEST(a_section_of_both_ways_is_found_by_its_mid_alone)
{
	sim_no_oom();
	loopback(SIM_BY_MID | SIM_REMB, 701);
}

TEST(two_peers_see_each_other_on_one_section_each_across_loops)
{
	struct sim *s;
	struct sim_peer *a, *b;
	struct line x, y;
	struct call c = {0};

	sim_no_oom();
	c.s = s = sim_new(&(struct sim_conf){.seed = 702});
	a = sim_peer(s, 0);
	b = sim_peer(s, 1);
	x = both_ways(a, SL_VP8, SIM_BY_MID);
	y = both_ways(b, SL_VP8, 0);
	sim_open(a);
	sim_open(b);
	sim_route(x.sink, y.source);
	sim_route(y.sink, x.source);
	sim_wait_connected(a, 10 * SL_SEC);
	sim_wait_connected(b, 10 * SL_SEC);
	sim_run(s, 5 * SL_SEC);
	check_plays(&x);
	check_plays(&y);
	call_end(&c);
}
