/* SPDX-License-Identifier: Apache-2.0
 * core/limits.c — how much a publisher's video may take, and whose limit that is. REMB tells it to
 * the publisher: the server's cap, the one set on the track, or the least that is wished for by
 * those who play it. Only players with limits of their own have a wish: their REMB within those.
 * Each loop tells the publisher's the least of its own. */
#include "core/core_int.h"
#include "core/base/log.h"
#include "core/base/mem.h"

enum { SOON_US = 100000, LOSS_HALVES = 25, LIFTS = 3 };
/* Who was told of a cap that is gone is told that there is room. */
#define LIFTED_BPS UINT32_C(1000000000)

/* ---- publishers ---- */

/* Before there are keys nothing can be sent, and the report's timer bounds the handshake. */
static bool may_report(const struct sl_publisher *p)
{
	return p->t->phase == SL_T_CONNECTED;
}

void sl_publisher_limit(struct sl_publisher *p, const struct sl_track_limits *limits)
{
	p->conf.min_bps = limits->min_bps;
	p->conf.max_bps = limits->max_bps;
	if (may_report(p))
		sl_feedback_report(p->t);
}

void sl_publisher_wish(struct sl_publisher *p, unsigned loop, uint32_t bps)
{
	if (!p->wishes && bps)
		p->wishes = sl_zalloc_array(SL_CORE_LOOPS_MAX, sizeof(*p->wishes));
	if (!p->wishes || p->wishes[loop] == bps)
		return;
	p->wishes[loop] = bps;
	if (may_report(p))
		sl_timer_arm_by(&p->t->eng->wheel, &p->t->rtcp_timer, p->t->eng->now_us + SOON_US);
}

static uint32_t least_wish(const struct sl_publisher *p)
{
	uint32_t least = 0;

	for (unsigned i = 0; p->wishes && i < SL_CORE_LOOPS_MAX; i++)
		if (p->wishes[i] && (!least || p->wishes[i] < least))
			least = p->wishes[i];
	return least;
}

/* Where transport-cc was agreed the peer finds its rate by itself: the server's cap is told only if
 * it says so. */
static uint32_t own_cap(const struct sl_publisher *p, enum sl_cap_by *by)
{
	const struct sl_engine_conf *conf = &p->t->eng->conf;
	bool config = conf->max_video_bps && (!p->conf.twcc || conf->cap_always);

	*by = p->conf.max_bps ? SL_CAP_SET : config ? SL_CAP_CONFIG : SL_CAP_NONE;
	return p->conf.max_bps ? p->conf.max_bps : config ? conf->max_video_bps : 0;
}

static uint32_t cap(struct sl_publisher *p)
{
	uint32_t wish = least_wish(p);
	uint32_t bps = own_cap(p, &p->cap_by);

	if (wish && (!bps || wish < bps)) {
		bps = wish;
		p->cap_by = SL_CAP_PLAYER;
	}
	if (bps && p->fraction_lost > LOSS_HALVES)
		bps -= bps / 2; /* never 0: that is no cap */
	if (bps && bps < p->conf.min_bps) {
		bps = p->conf.min_bps;
		p->cap_by = SL_CAP_SET;
	}
	return bps;
}

/* Not each of a player's wishes: that it is a player's. */
static void tell_whose(const struct sl_publisher *p)
{
	static const char *const words[] = {"none", "configuration", "client", "player"};

	SL_LOG(INFO, MEDIA, "limit of a publisher's video", SL_KS("session", p->t->name),
	       SL_KU("track", p->id), SL_KS("by", words[p->cap_by]), SL_KU("bps", p->cap_bps));
}

uint32_t sl_publisher_remb(struct sl_publisher *p)
{
	enum sl_cap_by was_by = p->cap_by;
	uint32_t was_bps = p->cap_bps;

	if (p->conf.kind != SL_VIDEO || !p->conf.remb || !p->ssrc)
		return 0;
	p->cap_bps = cap(p);
	if (p->cap_by != was_by)
		tell_whose(p);
	if (p->cap_bps)
		p->lifts = 0;
	else if (was_bps)
		p->lifts = LIFTS;
	if (p->cap_bps || !p->lifts)
		return p->cap_bps;
	p->lifts--;
	return LIFTED_BPS;
}

/* ---- subscribers ---- */

uint32_t sl_subscriber_cap(const struct sl_subscriber *s, enum sl_cap_by *by)
{
	uint32_t bps = s->remb_bps;

	*by = bps ? SL_CAP_PLAYER : SL_CAP_NONE;
	if (s->conf.max_bps && (!bps || s->conf.max_bps < bps)) {
		bps = s->conf.max_bps;
		*by = SL_CAP_SET;
	}
	if (bps && bps < s->conf.min_bps) {
		bps = s->conf.min_bps;
		*by = SL_CAP_SET;
	}
	return bps;
}

void sl_subscriber_limit(struct sl_subscriber *s, const struct sl_track_limits *limits)
{
	bool was = sl_subscriber_limited(s);

	s->conf.min_bps = limits->min_bps;
	s->conf.max_bps = limits->max_bps;
	if (was || sl_subscriber_limited(s))
		sl_replica_wish(s->replica);
}

void sl_subscriber_remb(struct sl_subscriber *s, uint32_t bps)
{
	s->remb_bps = bps;
	if (sl_subscriber_limited(s))
		sl_replica_wish(s->replica);
}

uint32_t sl_replica_least(const struct sl_replica *r)
{
	uint32_t least = 0;

	SL_LIST_EACH(n, tmp, &r->subs) {
		const struct sl_subscriber *s = SL_LIST_AT(n, struct sl_subscriber, in_replica);
		enum sl_cap_by by;
		uint32_t bps = sl_subscriber_limited(s) ? sl_subscriber_cap(s, &by) : 0;

		if (bps && (!least || bps < least))
			least = bps;
	}
	return least;
}
