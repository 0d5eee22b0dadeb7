/* SPDX-License-Identifier: Apache-2.0 */
#include "ice/ice_int.h"
#include "core/base/bytes.h"

/* Pairs whose credentials are complete; checks need both halves. */
static bool can_check(struct sl_ice *ice, const struct sl_ice_pair *p)
{
	const struct sl_ice_gen *g = ice_gen(ice, p->gen);

	return ice->full && g && g->remote_known;
}

static bool is_open(const struct sl_ice_pair *p)
{
	return p->triggered || p->state == ICE_WAITING || p->state == ICE_IN_PROGRESS;
}

/* ---- transactions ---- */
/* RFC 8445 section 14.3: RTO = MAX(500 ms, Ta * N * (Num-Waiting + Num-In-Progress)); N is 1. */
static uint8_t rto_ta(struct sl_ice *ice)
{
	int n = 0;

	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p))
		n += p->state == ICE_WAITING || p->state == ICE_IN_PROGRESS;
	return (uint8_t)SL_MAX(n, ICE_RTO_MIN_TA);
}

void ice_begin(struct sl_ice *ice, struct sl_ice_pair *p, int64_t now_us)
{
	int8_t i = ice_index(ice, p);
	bool use = ice->controlling && (i == ice->nominee || i == ice->selected);

	sl_rng_fill(ice->rng, p->tid, sizeof(p->tid));
	p->sent_us = now_us;
	p->tx_count = 0;
	p->tx_flags =
		(uint8_t)((ice->controlling ? ICE_TX_CONTROLLING : 0) | (use ? ICE_TX_USE : 0));
	p->triggered = false;
	if (ice->full && p->state != ICE_SUCCEEDED)
		p->state = ICE_IN_PROGRESS;
	p->rto_ta = rto_ta(ice);
}

/* RFC 8445 section 7.1.1: that of a peer-reflexive candidate learned from this check. */
static uint32_t prflx_priority(const struct sl_ice *ice, const struct sl_ice_pair *p)
{
	uint32_t type = p->path.remote.tcp
				? sl_ice_tcp_priority(SL_ICE_PRFLX, SL_CAND_TCP_ACTIVE, 0)
				: sl_ice_priority(SL_ICE_PRFLX, 0);

	return (type & 0xff000000) | (ice_local_priority(ice, p) & 0xffffff);
}

/* RFC 8489 section 6.2.1: doubling, and Rm times the first interval after the last one. Section
 * 6.2.2: nothing is repeated over TCP. */
static int64_t until_next(struct sl_ice_pair *p)
{
	int64_t rto = p->rto_ta * ICE_TA_US;

	if (p->path.remote.tcp) {
		p->tx_count = ICE_RC;
		return ICE_TCP_TIMEOUT_US;
	}
	p->tx_count++;
	return p->tx_count < ICE_RC ? rto << (p->tx_count - 1) : rto * ICE_RM;
}

void ice_transmit(struct sl_ice *ice, struct sl_ice_pair *p, int64_t now_us)
{
	struct sl_ice_out out = {
		.path = p->path,
		.class_ = SL_STUN_REQUEST,
		.flags = p->tx_flags,
		.gen = p->gen,
	};

	sl_put32(out.tid, ice->tid_tag);
	memcpy(out.tid + 4, p->tid, sizeof(p->tid));
	out.priority = prflx_priority(ice, p);
	ice_queue(ice, &out);
	p->checks_sent++;
	p->next_us = ice_after(now_us, until_next(p));
	ice->ta_next_us = ice_after(now_us, ICE_TA_US);
	sl_stat_inc(ice->stats, SL_STAT_ice_checks_sent);
}

void ice_fail_pair(struct sl_ice *ice, struct sl_ice_pair *p)
{
	p->tx_count = 0;
	p->triggered = false;
	p->valid = false;
	p->state = ICE_PAIR_FAILED;
	if (ice_index(ice, p) == ice->nominee)
		ice->nominee = -1;
	ice_unfreeze(ice, p, false);
}

/* RFC 8445 section 7.3.1.4 */
void ice_trigger(struct sl_ice *ice, struct sl_ice_pair *p, int64_t now_us)
{
	if (!ice->full || p->state == ICE_SUCCEEDED || p->triggered)
		return;
	if (p->state != ICE_IN_PROGRESS) {
		p->state = ICE_WAITING;
		p->triggered = true;
		p->next_us = now_us;
		return;
	}
	/* The peer's own check may have opened its NAT: repeat ours at once. With the same id, for
	 * the answer to the first may still come; and only one time, or a path slower than the
	 * peer's repeats would never succeed. */
	if (p->tx_count < ICE_RC && !(p->tx_flags & ICE_TX_KICKED)) {
		p->tx_flags |= ICE_TX_KICKED;
		p->next_us = now_us;
	}
}

/* ---- what to send next ---- */
enum urgency { NOTHING, REPEAT, ORDINARY, TRIGGERED };

static enum urgency urgency_of(struct sl_ice *ice, const struct sl_ice_pair *p, int64_t now_us)
{
	if (!can_check(ice, p))
		return NOTHING;
	if (p->triggered)
		return TRIGGERED;
	if (p->state == ICE_WAITING)
		return ORDINARY;
	return p->tx_count > 0 && p->tx_count < ICE_RC && p->next_us <= now_us ? REPEAT : NOTHING;
}

/* Triggered ones first in, first out; ordinary ones by priority; repeats by age. */
static bool goes_before(const struct sl_ice *ice, enum urgency u, const struct sl_ice_pair *a,
			const struct sl_ice_pair *b)
{
	if (u == ORDINARY)
		return ice_pair_priority(ice, a) > ice_pair_priority(ice, b);
	return a->next_us < b->next_us;
}

static struct sl_ice_pair *pick(struct sl_ice *ice, int64_t now_us)
{
	struct sl_ice_pair *best = NULL;
	enum urgency best_urgency = NOTHING;

	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p)) {
		enum urgency u = urgency_of(ice, p, now_us);

		if (u > best_urgency ||
		    (u != NOTHING && u == best_urgency && goes_before(ice, u, p, best))) {
			best = p;
			best_urgency = u;
		}
	}
	return best;
}

/* T07: an address that is only the peer's word gets few datagrams; one that has sent something
 * authentic is real. */
static bool may_send(struct sl_ice *ice, const struct sl_ice_pair *p)
{
	if (p->requests_in > 0 || p->responses_in > 0)
		return true;
	if (ice->budget == 0)
		return false;
	ice->budget--;
	return true;
}

/* At most one datagram each Ta. */
static void send_one(struct sl_ice *ice, int64_t now_us)
{
	struct sl_ice_pair *p;

	while ((p = pick(ice, now_us)) && !may_send(ice, p))
		ice_fail_pair(ice, p);
	if (!p)
		return;
	if (p->tx_count == 0 || p->triggered)
		ice_begin(ice, p, now_us);
	ice_transmit(ice, p, now_us);
	if (p->tx_count == ICE_UNFREEZE_AT || p->path.remote.tcp)
		ice_unfreeze(ice, p, false);
}

/* RFC 7675 section 5.1: about every 5 s (0.8 to 1.2 times), each with a new id. One that gets no
 * answer is repeated as any other check until the next is due. */
static bool consent_is_due(const struct sl_ice *ice, int64_t now_us)
{
	return ice->full && ice->selected >= 0 && now_us >= ice->consent_next_us;
}

static void send_consent(struct sl_ice *ice, int64_t now_us)
{
	struct sl_ice_pair *p = ice_at(ice, ice->selected);
	uint32_t spread = sl_rng_u32(ice->rng) % (uint32_t)ICE_CONSENT_SPAN_US;

	ice->consent_next_us = ice_after(now_us, ICE_CONSENT_MIN_US + spread);
	if (!can_check(ice, p))
		return;
	ice_begin(ice, p, now_us);
	ice_transmit(ice, p, now_us);
}

static int limit_of(const struct sl_ice *ice, const struct sl_ice_pair *p)
{
	return ice_index(ice, p) == ice->nominee ? ICE_RC_NOMINATION : ICE_RC;
}

static void give_up(struct sl_ice *ice, int64_t now_us)
{
	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p)) {
		if (p->tx_count < limit_of(ice, p) || now_us < p->next_us)
			continue;
		if (ice_index(ice, p) == ice->selected)
			p->tx_count = 0; /* consent runs by a clock of its own */
		else
			ice_fail_pair(ice, p);
	}
}

/* ---- regular nomination, RFC 8445 section 8.1.1 ---- */
int8_t ice_best_valid(const struct sl_ice *ice)
{
	const struct sl_ice_pair *best = NULL;

	for (const struct sl_ice_pair *p = ice->pairs; p < ice->pairs + ice->pairs_high; p++)
		if (p->gen == ice->now.id && p->valid &&
		    (!best || ice_pair_priority(ice, p) > ice_pair_priority(ice, best)))
			best = p;
	return best ? ice_index(ice, best) : -1;
}

/* A way over UDP is worth some patience, if there is none yet. */
static int64_t nominates_at(const struct sl_ice *ice)
{
	int8_t best = ice_best_valid(ice);
	bool tcp = best >= 0 && ice->pairs[best].path.remote.tcp;

	return ice_after(ice->first_valid_us,
			 tcp ? ICE_NOMINATE_TCP_WAIT_US : ICE_NOMINATE_WAIT_US);
}

static bool better_may_come(struct sl_ice *ice, const struct sl_ice_pair *than)
{
	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p))
		if (p->gen == than->gen && p != than && is_open(p) &&
		    ice_pair_priority(ice, p) > ice_pair_priority(ice, than))
			return true;
	return false;
}

static bool nominates(const struct sl_ice *ice)
{
	return ice->full && ice->controlling && ice->nominee < 0 && ice->first_valid_us >= 0 &&
	       !ice_in_use(ice, ice->now.id);
}

static void nominate(struct sl_ice *ice, int64_t now_us)
{
	struct sl_ice_pair *best;

	if (!nominates(ice))
		return;
	best = ice_at(ice, ice_best_valid(ice));
	if (!best) {
		ice->first_valid_us = -1;
		return;
	}
	if (now_us < nominates_at(ice) && better_may_come(ice, best))
		return;
	ice->nominee = ice_index(ice, best);
	best->tx_count = 0;
	best->triggered = true;
	best->next_us = now_us;
}

/* T07: a tenth of the budget may go at once and nine tenths of it come back in a second, so that no
 * second sees more than all of it. Who comes when there is nothing left gets a time of its own, in
 * order, and is let through then. */
static bool afford(struct sl_ice *ice, int64_t now_us)
{
	struct sl_ice_budget *b = ice->shared_budget;
	int64_t each_us;
	int64_t late_us;

	if (!b || ice->has_turn) {
		ice->has_turn = false;
		return true;
	}
	each_us = SL_SEC * 10 / 9 / SL_MAX(b->per_second, 1U);
	late_us = b->full_us - now_us - SL_MAX(SL_SEC / 10 - each_us, 0);
	b->full_us = SL_MAX(b->full_us, now_us) + each_us;
	if (late_us <= 0)
		return true;
	ice->has_turn = true;
	ice->ta_next_us = ice_after(now_us, late_us);
	return false;
}

static bool has_something(struct sl_ice *ice, int64_t now_us)
{
	return consent_is_due(ice, now_us) || pick(ice, now_us);
}

void ice_checks_tick(struct sl_ice *ice, int64_t now_us)
{
	if (!ice->full)
		return;
	give_up(ice, now_us);
	nominate(ice, now_us);
	if (now_us < ice->ta_next_us || !has_something(ice, now_us))
		return;
	if (!afford(ice, now_us))
		return;
	if (consent_is_due(ice, now_us))
		send_consent(ice, now_us);
	else
		send_one(ice, now_us);
}

static int64_t pair_deadline(const struct sl_ice *ice, const struct sl_ice_pair *p)
{
	if (p->triggered || p->state == ICE_WAITING)
		return ice->ta_next_us;
	if (p->tx_count == 0)
		return SL_NEVER;
	return p->tx_count < limit_of(ice, p) ? SL_MAX(p->next_us, ice->ta_next_us) : p->next_us;
}

bool ice_checks_pending(const struct sl_ice *ice)
{
	for (size_t i = 0; ice->full && i < ice->pairs_high; i++)
		if (ice->pairs[i].gen && is_open(&ice->pairs[i]))
			return true;
	return false;
}

int64_t ice_checks_deadline(const struct sl_ice *ice)
{
	int64_t at = SL_NEVER;

	if (!ice->full)
		return SL_NEVER;
	for (size_t i = 0; i < ice->pairs_high; i++) {
		const struct sl_ice_pair *p = &ice->pairs[i];
		bool now = p->gen == ice->now.id && ice->now.remote_known;
		bool old = p->gen == ice->old.id && ice->old.remote_known;

		if (p->gen && (now || old))
			at = SL_MIN(at, pair_deadline(ice, p));
	}
	if (ice->selected >= 0)
		at = SL_MIN(at, SL_MAX(ice->consent_next_us, ice->ta_next_us));
	if (nominates(ice))
		at = SL_MIN(at, nominates_at(ice));
	return at;
}

/* ---- answers ---- */
static struct sl_ice_pair *asked_by(struct sl_ice *ice, const struct sl_stun *m,
				    const struct sl_path *path)
{
	if (sl_get32(m->tid) != ice->tid_tag)
		return NULL;
	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p))
		/* RFC 8445 section 7.2.5.2.1: addresses are symmetric. One that is not says nothing
		 * of this pair. */
		if (p->tx_count > 0 && memcmp(p->tid, m->tid + 4, sizeof(p->tid)) == 0)
			return ice_gen(ice, p->gen) && sl_path_eq(&p->path, path) ? p : NULL;
	return NULL;
}

/* RFC 8445 section 7.2.5.1: take the other role, unless it was taken meanwhile, and try again. */
static void on_role_conflict(struct sl_ice *ice, struct sl_ice_pair *p, int64_t now_us)
{
	bool was = p->tx_flags & ICE_TX_CONTROLLING;

	if (ice->full && was == ice->controlling) {
		ice->controlling = !was;
		ice->nominee = -1;
	}
	p->tx_count = 0;
	if (p->state == ICE_IN_PROGRESS)
		p->state = ICE_WAITING;
	ice_trigger(ice, p, now_us);
}

static void on_error(struct sl_ice *ice, struct sl_ice_pair *p, const struct sl_stun *m,
		     int64_t now_us)
{
	if (!ice->full)
		return; /* of a check of verification: counts as none */
	if (m->error_code == 487)
		on_role_conflict(ice, p, now_us);
	else if (ice_index(ice, p) != ice->selected)
		ice_fail_pair(ice, p);
}

static void on_success(struct sl_ice *ice, struct sl_ice_pair *p, int64_t now_us)
{
	bool use = (p->tx_flags & ICE_TX_USE) && (p->tx_flags & ICE_TX_CONTROLLING) &&
		   ice->controlling;

	if (p->tx_count == 1 ||
	    p->path.remote.tcp) /* which of several was answered cannot be told */
		p->rtt_us = (int32_t)SL_MIN(ice_since(now_us, p->sent_us), INT32_MAX);
	p->tx_count = 0;
	p->responses_in++;
	p->suspect = false;
	if (!ice->full) {
		ice_verified(ice, p);
		return;
	}
	p->valid = true;
	p->state = ICE_SUCCEEDED;
	ice_unfreeze(ice, p, true);
	if (p->gen == ice->now.id && ice->first_valid_us < 0)
		ice->first_valid_us = now_us;
	if (ice_index(ice, p) == ice->selected)
		ice->consent_us = now_us;
	if (use) {
		p->nominated = true;
		ice->nominee = -1;
		ice_select(ice, p, now_us);
	} else if (p->nominated && !ice->controlling) {
		ice_use_candidate(ice, p, now_us);
	}
	nominate(ice, now_us);
}

int ice_on_response(struct sl_ice *ice, const struct sl_stun *m, const struct sl_path *path,
		    int64_t now_us)
{
	struct sl_ice_pair *p = asked_by(ice, m, path);
	const struct sl_ice_creds *c;
	int err;

	if (!p) {
		sl_stat_inc(ice->stats, SL_STAT_stun_unknown_transaction);
		return SL_ENOTFOUND;
	}
	c = &ice_gen(ice, p->gen)->remote;
	err = stun_check(m, c->pwd, strlen(c->pwd));
	if (err == SL_EAUTH)
		sl_stat_inc(ice->stats, SL_STAT_stun_bad_integrity);
	if (err)
		return err;
	if (m->unknown_count > 0) {
		sl_stat_inc(ice->stats, SL_STAT_stun_unsupported);
		return SL_EUNSUPPORTED;
	}
	if (!(m->has & (m->class_ == SL_STUN_SUCCESS ? STUN_XOR_MAPPED : STUN_ERROR_CODE))) {
		sl_stat_inc(ice->stats, SL_STAT_stun_malformed);
		return SL_EPARSE;
	}
	p->last_in_us = now_us;
	ice_alive(ice, now_us);
	if (m->class_ == SL_STUN_SUCCESS)
		on_success(ice, p, now_us);
	else
		on_error(ice, p, m, now_us);
	return SL_OK;
}
