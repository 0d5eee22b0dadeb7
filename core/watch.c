/* SPDX-License-Identifier: Apache-2.0
 * core/watch.c — what a watched transport tells of itself (conf.watch): its ICE and DTLS states,
 * the pair in use with both its candidates, and whether packets of its tracks flow. Costs a packet
 * nothing: a timer looks at what is counted anyway. */
#include "core/core_int.h"
#include "core/base/mem.h"

enum { LOOK_US = 500000, FLOW_US = 2000000, FIRST_CANDS = 4, CANDS = 2 * SL_CORE_CANDS_MAX };

struct sl_watch {
	struct sl_transport *t; /* borrowed */
	/* owned */
	struct sl_core_cand *remotes; /* as signalled: of one that does not stand here nothing but
					 its address is known */
	/* state */
	size_t count, cap;
	enum sl_core_ice_state ice; /* as told */
	enum sl_core_dtls_state dtls;
	struct sl_timer timer;
};

static struct sl_core_event event(const struct sl_transport *t, enum sl_core_event_type type)
{
	return (struct sl_core_event){.type = type, .transport = t->id, .tag = t->tag};
}

/* ---- flow ---- */

static void tell_flow(struct sl_transport *t, uint64_t track, bool *told, int64_t last_us)
{
	bool flows = last_us && t->eng->now_us - last_us < FLOW_US;
	struct sl_core_event ev = event(t, SL_EV_FLOW);

	if (flows == *told)
		return;
	*told = ev.flowing = flows;
	ev.track = track;
	sl_engine_event(t->eng, &ev);
}

static void look(struct sl_timer *timer, int64_t now_us)
{
	struct sl_watch *w = SL_CONTAINER(timer, struct sl_watch, timer);
	struct sl_transport *t = w->t;

	SL_LIST_EACH(n, tmp, &t->publishers) {
		struct sl_publisher *p = SL_LIST_AT(n, struct sl_publisher, in_transport);

		tell_flow(t, p->id, &p->flow_told, p->last_us);
	}
	SL_LIST_EACH(n, tmp, &t->subscribers) {
		struct sl_subscriber *s = SL_LIST_AT(n, struct sl_subscriber, in_transport);

		tell_flow(t, s->id, &s->flow_told, s->last_rx_us);
	}
	sl_timer_arm(&t->eng->wheel, timer, now_us + LOOK_US);
}

void sl_watch_flow(struct sl_transport *t)
{
	if (t->watch)
		sl_timer_arm_by(&t->eng->wheel, &t->watch->timer, t->eng->now_us);
}

/* ---- the pair in use ---- */

static void add_remote(struct sl_watch *w, const struct sl_core_cand *c)
{
	if (w->count == CANDS) { /* those of restarts long ago go */
		w->count = CANDS / 2;
		memmove(w->remotes, w->remotes + CANDS / 2, w->count * sizeof(*w->remotes));
	}
	if (w->count == w->cap) {
		size_t cap = w->cap ? 2 * w->cap : FIRST_CANDS;
		struct sl_core_cand *more = sl_realloc(w->remotes, cap * sizeof(*more));

		if (!more)
			return;
		w->remotes = more;
		w->cap = cap;
	}
	w->remotes[w->count++] = *c;
}

void sl_watch_remotes(struct sl_transport *t, const struct sl_core_cand *c, size_t n)
{
	struct sl_watch *w = t->watch;

	for (size_t i = 0; w && i < n; i++)
		add_remote(w, &c[i]);
}

static void describe(struct sl_core_cand *out, const struct sl_addr *addr, enum sl_ice_type type)
{
	*out = (struct sl_core_cand){
		.addr = *addr, .priority = sl_ice_priority(type, UINT16_MAX), .foundation = "0"};
	sl_fmt(out->type, sizeof(out->type), "%s", sl_ice_type_name(type));
	out->tcp = addr->tcp ? SL_CAND_TCP_PASSIVE : SL_CAND_UDP;
	out->addr.tcp = 0;
}

static void describe_local(const struct sl_transport *t, const struct sl_ice_pair_info *p,
			   struct sl_core_cand *out)
{
	const struct sl_engine_conf *conf = &t->eng->conf;
	const struct sl_ice_cand *c = &conf->locals[p->path.sock % SL_CORE_LOCALS_MAX];

	describe(out, &p->local, p->local_type);
	if (out->tcp && out->addr.port == 9)
		out->tcp = SL_CAND_TCP_ACTIVE;
	if (p->path.sock >= conf->local_count || !sl_addr_eq(&c->addr, &p->local))
		return;
	out->priority = c->priority;
	memcpy(out->foundation, c->foundation, sizeof(out->foundation));
}

static void describe_remote(const struct sl_watch *w, const struct sl_ice_pair_info *p,
			    struct sl_core_cand *out)
{
	describe(out, &p->path.remote, p->remote_type);
	if (out->tcp && p->remote_type == SL_ICE_PRFLX)
		out->tcp = SL_CAND_TCP_ACTIVE; /* it has connected to us */
	for (size_t i = w->count; i-- > 0;)    /* those of the latest restart stand last */
		if (sl_addr_eq(&w->remotes[i].addr, &out->addr) &&
		    !w->remotes[i].tcp == !out->tcp) {
			*out = w->remotes[i];
			return;
		}
}

void sl_watch_pair(struct sl_transport *t)
{
	struct sl_ice_pair_info pairs[SL_ICE_PAIRS_MAX];
	struct sl_core_event ev = event(t, SL_EV_PAIR);
	size_t n = t->watch ? sl_ice_pairs(&t->ice, pairs, SL_COUNT(pairs)) : 0;

	for (size_t i = 0; i < SL_MIN(n, SL_COUNT(pairs)); i++) {
		if (!pairs[i].selected)
			continue;
		describe_local(t, &pairs[i], &ev.local);
		describe_remote(t->watch, &pairs[i], &ev.remote);
		sl_engine_event(t->eng, &ev);
		return;
	}
}

/* ---- states ---- */

void sl_watch_ice(struct sl_transport *t, enum sl_ice_state state)
{
	static const enum sl_core_ice_state states[] = {
		[SL_ICE_NEW] = SL_CORE_ICE_NEW,
		[SL_ICE_CHECKING] = SL_CORE_ICE_CHECKING,
		[SL_ICE_CONNECTED] = SL_CORE_ICE_CONNECTED,
		[SL_ICE_DISCONNECTED] = SL_CORE_ICE_DISCONNECTED,
		[SL_ICE_FAILED] = SL_CORE_ICE_FAILED,
	};
	struct sl_core_event ev = event(t, SL_EV_ICE);

	if (!t->watch || t->watch->ice == states[state])
		return;
	t->watch->ice = ev.ice = states[state];
	sl_engine_event(t->eng, &ev);
}

void sl_watch_dtls(struct sl_transport *t, enum sl_core_dtls_state state)
{
	struct sl_core_event ev = event(t, SL_EV_DTLS);

	if (!t->watch || t->watch->dtls == state)
		return;
	t->watch->dtls = ev.dtls = state;
	sl_engine_event(t->eng, &ev);
}

void sl_watch_closed(struct sl_transport *t, enum sl_close_cause cause)
{
	if (!t->watch)
		return;
	sl_timer_arm(&t->eng->wheel, &t->watch->timer, SL_NEVER);
	if (cause == SL_CLOSE_TIMEOUT || cause == SL_CLOSE_NEVER_CONNECTED)
		sl_watch_ice(t, SL_ICE_FAILED);
	if (cause == SL_CLOSE_DTLS)
		sl_watch_dtls(t, SL_CORE_DTLS_FAILED);
	else if (t->dtls_done)
		sl_watch_dtls(t, SL_CORE_DTLS_CLOSED);
}

/* ---- making and ending ---- */

int sl_watch_new(struct sl_transport *t)
{
	t->watch = sl_zalloc(sizeof(*t->watch));
	if (!t->watch)
		return SL_ENOMEM;
	t->watch->t = t;
	sl_timer_init(&t->watch->timer, look);
	return SL_OK;
}

void sl_watch_free(struct sl_transport *t)
{
	if (!t->watch)
		return;
	sl_timer_arm(&t->eng->wheel, &t->watch->timer, SL_NEVER);
	sl_free(t->watch->remotes);
	sl_free(t->watch);
	t->watch = NULL;
}
