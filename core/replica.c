/* SPDX-License-Identifier: Apache-2.0
 * core/replica.c — what one loop knows of a publisher: the ring of shared packets that its
 * subscribers read and retransmissions are answered from, and the way back for key-frame requests.
 */
#include "core/core_int.h"

enum { KEEP_US = 1000000, KEYFRAME_EVERY_US = 250000, WISH_EVERY_US = 200000, LEAP = 3000 };

static bool is_remote(const struct sl_replica *r)
{
	return sl_id_home(r->publisher) != r->eng->conf.loop;
}

static void tell_home(const struct sl_replica *r, enum sl_relay_type type)
{
	sl_engine_tell(r->eng, sl_id_home(r->publisher), type, r->publisher);
}

static void drop_oldest(struct sl_replica *r)
{
	struct sl_pkt **p = &r->ring[r->oldest % SL_RING];

	sl_pkt_unref(r->eng, *p);
	*p = NULL;
	r->oldest++;
}

/* The home loop merges requests too; this keeps the ring free of repetitions. Too early: later. */
static void ask_home(struct sl_replica *r, int64_t now_us)
{
	if (!r->keyframe_due)
		return;
	if (now_us < r->keyframe_next_us) {
		sl_timer_arm_by(&r->eng->wheel, &r->timer, r->keyframe_next_us);
		return;
	}
	r->keyframe_due = false;
	r->keyframe_next_us = now_us + KEYFRAME_EVERY_US;
	tell_home(r, SL_RELAY_KEYFRAME);
}

/* However many players say what they wish for: it is added up so often. */
static void tell_wish(struct sl_replica *r, int64_t now_us)
{
	uint32_t bps;

	if (!r->wish_due)
		return;
	if (now_us < r->wish_next_us) {
		sl_timer_arm_by(&r->eng->wheel, &r->timer, r->wish_next_us);
		return;
	}
	r->wish_due = false;
	r->wish_next_us = now_us + WISH_EVERY_US;
	bps = sl_replica_least(r);
	if (bps == r->wish_bps)
		return;
	r->wish_bps = bps;
	if (r->home)
		sl_publisher_wish(r->home, r->eng->conf.loop, bps);
	else if (is_remote(r))
		sl_engine_tell_wish(r->eng, sl_id_home(r->publisher), r->publisher, bps);
}

void sl_replica_wish(struct sl_replica *r)
{
	if (!r)
		return;
	r->wish_due = true;
	sl_timer_arm_by(&r->eng->wheel, &r->timer, SL_MAX(r->wish_next_us, r->eng->now_us));
}

/* A publisher that falls silent must not keep its last second for ever. */
static void age(struct sl_replica *r, int64_t now_us)
{
	while (r->started && r->oldest <= r->top) {
		const struct sl_pkt *p = r->ring[r->oldest % SL_RING];

		if (p && now_us - p->rx_us <= KEEP_US)
			break;
		drop_oldest(r);
	}
	if (r->started && r->oldest <= r->top)
		sl_timer_arm_by(&r->eng->wheel, &r->timer, now_us + KEEP_US);
}

static void on_timer(struct sl_timer *timer, int64_t now_us)
{
	struct sl_replica *r = SL_CONTAINER(timer, struct sl_replica, timer);

	ask_home(r, now_us);
	tell_wish(r, now_us);
	age(r, now_us);
}

/* SL_ENOTFOUND: the publisher should be on this loop, and is not. */
static int attach(struct sl_replica *r)
{
	if (is_remote(r)) {
		tell_home(r, SL_RELAY_ATTACH);
		return SL_OK;
	}
	r->home = sl_pool_at(&r->eng->publishers, r->publisher);
	if (!r->home)
		return SL_ENOTFOUND;
	r->home->home = r;
	sl_publisher_hand_clock(r->home);
	return SL_OK;
}

struct sl_replica *sl_replica_of(struct sl_engine *e, uint64_t publisher)
{
	struct sl_replica *r = sl_hash_get(&e->by_publisher, &publisher, sizeof(publisher));
	uint64_t id;

	if (r)
		return r;
	r = sl_pool_get(&e->replicas, &id);
	if (!r)
		return NULL;
	r->id = id;
	r->eng = e;
	r->publisher = publisher;
	sl_list_init(&r->subs);
	sl_list_init(&r->in_queued);
	sl_timer_init(&r->timer, on_timer);
	if (attach(r) < 0 || sl_hash_put(&e->by_publisher, &publisher, sizeof(publisher), r) < 0) {
		if (r->home)
			r->home->home = NULL;
		sl_pool_put(&e->replicas, id);
		return NULL;
	}
	return r;
}

static void drop_queue(struct sl_replica *r)
{
	for (unsigned i = 0; i < r->queue_len; i++)
		sl_pkt_unref(r->eng, r->queue[i]);
	r->queue_len = 0;
	sl_list_del(&r->in_queued);
}

static void free_replica(struct sl_replica *r)
{
	struct sl_engine *e = r->eng;

	drop_queue(r);
	for (size_t i = 0; i < SL_RING; i++)
		sl_pkt_unref(e, r->ring[i]);
	sl_timer_arm(&e->wheel, &r->timer, SL_NEVER);
	sl_hash_del(&e->by_publisher, &r->publisher, sizeof(r->publisher));
	sl_pool_put(&e->replicas, r->id);
}

void sl_replica_release(struct sl_replica *r)
{
	if (!sl_list_empty(&r->subs))
		return;
	if (r->home) {
		sl_publisher_wish(r->home, r->eng->conf.loop, 0);
		r->home->home = NULL;
	} else if (is_remote(r)) {
		tell_home(r, SL_RELAY_DETACH);
	}
	free_replica(r);
}

void sl_replica_gone(struct sl_replica *r)
{
	sl_replica_forward(r);
	SL_LIST_EACH(n, tmp, &r->subs) {
		struct sl_subscriber *s = SL_LIST_AT(n, struct sl_subscriber, in_replica);

		sl_list_del(&s->in_replica);
		s->replica = NULL;
	}
	free_replica(r);
}

static struct sl_pkt **slot(struct sl_replica *r, uint64_t seq)
{
	return &r->ring[seq % SL_RING];
}

/* One second or SL_RING packets, whichever is less. */
static void make_room(struct sl_replica *r, uint64_t seq)
{
	if (!r->started || seq >= r->top + SL_RING) {
		while (r->started && r->oldest <= r->top)
			drop_oldest(r);
		r->oldest = seq;
		r->top = seq;
		r->started = true;
		return;
	}
	while (seq >= r->oldest + SL_RING)
		drop_oldest(r);
	r->top = SL_MAX(r->top, seq);
	while (r->oldest < r->top) {
		const struct sl_pkt *p = *slot(r, r->oldest);

		if (p && r->eng->now_us - p->rx_us <= KEEP_US)
			break;
		if (!p && r->top - r->oldest < SL_RING / 2)
			break;
		drop_oldest(r);
	}
}

/* Its publisher goes on under another SSRC, or after a leap: timestamps and clock mean something
 * else from here. */
static void begin_anew(struct sl_replica *r)
{
	sl_replica_forward(r);
	r->has_clock = false;
	SL_LIST_EACH(n, tmp, &r->subs)
		SL_LIST_AT(n, struct sl_subscriber, in_replica)->fresh = true;
}

static bool is_queued(const struct sl_replica *r, int from, const struct sl_pkt *pkt)
{
	for (int i = from; i < r->queue_len; i++)
		if (r->queue[i] == pkt)
			return true;
	return false;
}

/* When the key frame that a subscriber waited for came late, what lies behind it is here already
 * and goes out with it; what is queued behind it comes in its turn. */
static void catch_up(struct sl_replica *r, struct sl_subscriber *s, int at)
{
	bool began;

	for (uint64_t seq = r->queue[at]->seq + 1; seq <= r->top; seq++) {
		struct sl_pkt *next = sl_replica_find(r, seq);

		if (next && !is_queued(r, at + 1, next))
			sl_forward(s, &next, 1, &began);
	}
}

static void forward_to(struct sl_replica *r, struct sl_subscriber *s)
{
	int i = 0;

	while (i < r->queue_len) {
		bool began;

		i += sl_forward(s, &r->queue[i], r->queue_len - i, &began);
		if (began)
			catch_up(r, s, i - 1);
	}
}

void sl_replica_forward(struct sl_replica *r)
{
	SL_LIST_EACH(n, tmp, &r->subs)
		forward_to(r, SL_LIST_AT(n, struct sl_subscriber, in_replica));
	drop_queue(r);
}

static void enqueue(struct sl_replica *r, struct sl_pkt *pkt)
{
	sl_pad_write(pkt->data + pkt->rtp.payload_off + pkt->rtp.payload_len);
	if (r->queue_len == SL_QUEUE)
		sl_replica_forward(r);
	if (r->queue_len == 0)
		sl_list_add(&r->eng->queued, &r->in_queued);
	r->queue[r->queue_len++] = sl_pkt_ref(pkt);
}

void sl_replica_packet(struct sl_replica *r, struct sl_pkt *pkt)
{
	struct sl_engine *e = r->eng;

	if (r->started && pkt->seq > r->top + LEAP)
		begin_anew(r);
	if (r->started && pkt->seq < r->oldest) {
		if (r->top - pkt->seq >= SL_RING / 2) {
			sl_stat_inc(&e->stats, SL_STAT_rtp_late);
			return;
		}
		r->oldest = pkt->seq; /* the slots between were emptied by age and are free */
	}
	make_room(r, pkt->seq);
	if (*slot(r, pkt->seq)) {
		sl_stat_inc(&e->stats, SL_STAT_rtp_duplicate);
		return;
	}
	*slot(r, pkt->seq) = sl_pkt_ref(pkt);
	if (pkt->keyframe) {
		r->keyframe_due = false;
		r->keyframe_next_us = 0;
	}
	sl_timer_arm_by(&e->wheel, &r->timer, e->now_us + KEEP_US);
	enqueue(r, pkt);
}

void sl_replica_reclaim(struct sl_engine *e)
{
	uint32_t cursor = 0;
	uint64_t id;
	struct sl_replica *r;

	while ((r = sl_pool_next(&e->replicas, &cursor, &id)))
		for (uint64_t until = r->started ? (r->oldest + r->top) / 2 + 1 : 0;
		     r->oldest < until;)
			drop_oldest(r);
}

struct sl_pkt *sl_replica_find(const struct sl_replica *r, uint64_t seq)
{
	struct sl_pkt *p;

	if (!r->started || seq < r->oldest || seq > r->top)
		return NULL;
	p = r->ring[seq % SL_RING];
	return p && p->seq == seq ? p : NULL;
}

void sl_replica_want_keyframe(struct sl_replica *r)
{
	if (r->home) {
		sl_publisher_want_keyframe(r->home);
		return;
	}
	if (!is_remote(r))
		return;
	r->keyframe_due = true;
	ask_home(r, r->eng->now_us);
}

void sl_replica_clock(struct sl_replica *r, uint32_t rtp_ts, uint32_t clock_hz, int64_t our_us)
{
	r->has_clock = true;
	r->clock_rtp = rtp_ts;
	r->clock_hz = clock_hz;
	r->clock_us = our_us;
}

/* ---- messages of other loops ---- */

static void relay_packet(struct sl_engine *e, const struct sl_relay_msg *m)
{
	struct sl_replica *r = sl_hash_get(&e->by_publisher, &m->publisher, sizeof(m->publisher));
	struct sl_pkt *pkt;

	if (!r || m->pkt.len > SL_DATAGRAM_MAX)
		return;
	pkt = sl_pkt_new(e);
	if (!pkt)
		return;
	memcpy(pkt, &m->pkt, offsetof(struct sl_pkt, data) + m->pkt.len);
	pkt->refs = 1;
	sl_replica_packet(r, pkt);
	sl_pkt_unref(e, pkt);
}

static void relay_gone(struct sl_engine *e, uint64_t publisher)
{
	struct sl_replica *r = sl_hash_get(&e->by_publisher, &publisher, sizeof(publisher));

	if (r)
		sl_replica_gone(r);
}

static void relay_to_publisher(struct sl_engine *e, unsigned from, const struct sl_relay_msg *m)
{
	struct sl_publisher *p = sl_pool_at(&e->publishers, m->publisher);

	if (p && m->type == SL_RELAY_ATTACH)
		sl_publisher_attach(p, from);
	else if (p && m->type == SL_RELAY_DETACH)
		sl_publisher_detach(p, from);
	else if (p && m->type == SL_RELAY_WISH)
		sl_publisher_wish(p, from, m->bps);
	else if (p)
		sl_publisher_want_keyframe(p);
	else if (m->type == SL_RELAY_ATTACH)
		sl_engine_tell(e, from, SL_RELAY_GONE, m->publisher);
}

void sl_engine_relay(struct sl_engine *e, unsigned from, const struct sl_relay_msg *m,
		     int64_t now_us)
{
	struct sl_replica *r;

	e->now_us = now_us;
	switch (m->type) {
	case SL_RELAY_PACKET:
		relay_packet(e, m);
		break;
	case SL_RELAY_CLOCK:
		r = sl_hash_get(&e->by_publisher, &m->publisher, sizeof(m->publisher));
		if (r)
			sl_replica_clock(r, m->rtp_ts, m->clock_hz, m->our_us);
		break;
	case SL_RELAY_GONE:
		relay_gone(e, m->publisher);
		break;
	default:
		relay_to_publisher(e, from, m);
	}
}
