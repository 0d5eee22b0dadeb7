/* SPDX-License-Identifier: Apache-2.0 */
#include "ice/ice_int.h"

#define USE_LASTS_US (3 * SL_SEC)	  /* rule (a) */
#define SILENT_FOR_MEDIA_US (500 * SL_MS) /* rule (b) */
#define SILENT_FOR_CHECKS_US (6 * SL_SEC) /* browsers check a quiet pair every 2.7 or 5.2 s */
#define VERIFY_US (3 * SL_SEC)
#define VERIFY_HOLD_US (10 * SL_SEC) /* after a failure; then rule (b) may try the pair again */

static const int64_t verify_at_us[] = {0, 200 * SL_MS, 400 * SL_MS, 800 * SL_MS, 1600 * SL_MS};

/* ---- the pair in use ---- */
/* RFC 8445 section 8.1.1: once there is a pair, the rest need not be tried, but for what the peer
 * itself checks. */
static void stop_ordinary_checks(struct sl_ice *ice)
{
	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p)) {
		if (!ice_in_use(ice, p->gen) || p->requests_in > 0)
			continue;
		if (p->state == ICE_FROZEN || p->state == ICE_WAITING ||
		    p->state == ICE_IN_PROGRESS) {
			p->state = ICE_PAIR_FAILED;
			p->tx_count = 0;
			p->triggered = false;
		}
	}
}

static void stop_verification(struct sl_ice *ice)
{
	struct sl_ice_pair *p = ice_at(ice, ice->verify_pair);

	if (p)
		p->tx_count = 0;
	ice->verify_pair = ice->verify_old = -1;
}

static void leave(struct sl_ice *ice, struct sl_ice_pair *old, struct sl_ice_pair *p)
{
	old->tx_count = 0;
	if (!sl_path_eq(&old->path, &p->path)) {
		sl_stat_inc(ice->stats, SL_STAT_ice_pair_changes);
		return;
	}
	/* The same path under new credentials: what came by it came by this pair. */
	p->last_in_us = SL_MAX(p->last_in_us, old->last_in_us);
	p->last_use_us = SL_MAX(p->last_use_us, old->last_use_us);
}

void ice_select(struct sl_ice *ice, struct sl_ice_pair *p, int64_t now_us)
{
	struct sl_ice_pair *old = ice_at(ice, ice->selected);

	if (old == p || ice->state == SL_ICE_FAILED)
		return;
	if (old)
		leave(ice, old, p);
	stop_verification(ice);
	ice->selected = ice_index(ice, p);
	ice->nominee = -1;
	ice->consent_us = ice->consent_next_us = now_us;
	if (ice->state == SL_ICE_CHECKING)
		ice_alive(ice, now_us); /* an early check may be older: silence counts from here */
	if (ice_since(now_us, ice->last_in_us) < ICE_DISCONNECTED_US)
		ice->state = SL_ICE_CONNECTED;
	stop_ordinary_checks(ice);
	if (p->gen == ice->now.id)
		ice_forget_old(ice, now_us);
}

/* The pair in use never goes back to credentials that a restart has replaced. */
static bool is_older(const struct sl_ice *ice, const struct sl_ice_pair *p,
		     const struct sl_ice_pair *than)
{
	return than->gen == ice->now.id && p->gen != ice->now.id;
}

/* ---- lite: is the peer really where its media seems to come from? ---- */
static void verify_send(struct sl_ice *ice, int64_t now_us)
{
	int64_t age = ice_since(now_us, ice->verify_from_us);

	while (ice->verify_sent < SL_COUNT(verify_at_us) && age >= verify_at_us[ice->verify_sent])
		ice->verify_sent++;
	ice_transmit(ice, ice_at(ice, ice->verify_pair), now_us);
}

static void verify_begin(struct sl_ice *ice, struct sl_ice_pair *p, int8_t old, int64_t now_us)
{
	ice->verify_pair = ice_index(ice, p);
	ice->verify_old = old;
	ice->verify_sent = 0;
	ice->verify_from_us = now_us;
	ice_begin(ice, p, now_us);
	verify_send(ice, now_us);
}

void ice_verified(struct sl_ice *ice, struct sl_ice_pair *p)
{
	if (ice_index(ice, p) == ice->verify_pair)
		stop_verification(ice);
}

static void fall_back(struct sl_ice *ice, int64_t now_us)
{
	struct sl_ice_pair *p = ice_at(ice, ice->verify_pair);
	struct sl_ice_pair *old = ice_at(ice, ice->verify_old);

	stop_verification(ice);
	p->suspect = true;
	p->next_us = ice_after(now_us, VERIFY_HOLD_US);
	if (old && old->valid && ice_gen(ice, old->gen))
		ice_select(ice, old, now_us);
	else
		ice->selected = -1;
}

static int64_t verify_deadline(const struct sl_ice *ice)
{
	int64_t after = VERIFY_US;

	if (ice->verify_pair < 0)
		return SL_NEVER;
	if (ice->verify_sent < SL_COUNT(verify_at_us))
		after = verify_at_us[ice->verify_sent];
	return ice_after(ice->verify_from_us, after);
}

static void verify_tick(struct sl_ice *ice, int64_t now_us)
{
	if (now_us < verify_deadline(ice))
		return;
	if (ice_since(now_us, ice->verify_from_us) >= VERIFY_US)
		fall_back(ice, now_us);
	else
		verify_send(ice, now_us);
}

/* To another address. A lite agent verifies it. */
static void move(struct sl_ice *ice, struct sl_ice_pair *p, int64_t now_us)
{
	int8_t old = ice->verify_pair >= 0 ? ice->verify_old : ice->selected;
	bool back = ice->verify_pair >= 0 && ice_index(ice, p) == old;

	ice_select(ice, p, now_us);
	if (!ice->full && !back)
		verify_begin(ice, p, old, now_us);
}

void ice_use_candidate(struct sl_ice *ice, struct sl_ice_pair *p, int64_t now_us)
{
	struct sl_ice_pair *sel = ice_at(ice, ice->selected);

	if (sel && (is_older(ice, p, sel) || (p->suspect && now_us < p->next_us)))
		return;
	if (sel && sel->gen == p->gen && ice_pair_priority(ice, p) < ice_pair_priority(ice, sel) &&
	    ice_since(now_us, sel->last_use_us) < USE_LASTS_US)
		return;
	/* A check can be replayed from elsewhere: the new address has to answer one of ours. New
	 * credentials cannot have been overheard. */
	if (sel && sel->gen == p->gen && !sl_path_eq(&sel->path, &p->path))
		move(ice, p, now_us);
	else
		ice_select(ice, p, now_us);
}

void ice_brought(struct sl_ice *ice, struct sl_ice_pair *p, bool media, int64_t now_us)
{
	const struct sl_ice_pair *sel = ice_at(ice, ice->selected);
	int64_t limit = media ? SILENT_FOR_MEDIA_US : SILENT_FOR_CHECKS_US;

	if (!p->valid || (p->suspect && now_us < p->next_us))
		return;
	if (!sel && ice->state != SL_ICE_CONNECTED && ice->state != SL_ICE_DISCONNECTED)
		return; /* the first pair is the controlling side's to choose */
	if (sel && (sl_path_eq(&sel->path, &p->path) || is_older(ice, p, sel)))
		return;
	if (sel && ice_since(now_us, sel->last_in_us) < limit)
		return;
	move(ice, p, now_us);
}

/* ---- sockets and streams that are gone ---- */
static void lose(struct sl_ice *ice, struct sl_ice_pair *p, int64_t now_us)
{
	int8_t i = ice_index(ice, p);
	struct sl_ice_pair *other;

	if (i == ice->verify_pair || i == ice->verify_old)
		stop_verification(ice);
	ice_fail_pair(ice, p);
	if (i != ice->selected)
		return;
	ice->selected = -1;
	other = ice_at(ice, ice_best_valid(ice));
	if (other)
		ice_select(ice, other, now_us);
	else if (ice->state == SL_ICE_CONNECTED)
		ice->state = SL_ICE_DISCONNECTED;
}

void sl_ice_path_lost(struct sl_ice *ice, const struct sl_path *path, int64_t now_us)
{
	struct sl_path gone = *path; /* it may lie in a pair */

	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p))
		if (sl_path_eq(&p->path, &gone))
			lose(ice, p, now_us);
}

void sl_ice_sock_lost(struct sl_ice *ice, uint32_t sock, int64_t now_us)
{
	bool ours = false;

	for (uint8_t i = 0; i < ice->local_count; i++)
		if (ice->locals[i].sock == sock) {
			ice->locals[i].sock = ICE_NO_SOCK;
			ours = true;
		}
	/* None of them may take over from another. */
	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p))
		p->valid = p->valid && p->path.sock != sock;
	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p))
		if (p->path.sock == sock) {
			lose(ice, p, now_us);
			if (ours) /* another candidate may take its place */
				ice_remove(ice, p);
		}
}

/* ---- is anybody there? ---- */
void ice_alive(struct sl_ice *ice, int64_t now_us)
{
	ice->last_in_us = now_us;
	if (ice->state == SL_ICE_DISCONNECTED && ice->selected >= 0)
		ice->state = SL_ICE_CONNECTED;
}

static void fail(struct sl_ice *ice)
{
	ice->state = SL_ICE_FAILED;
	ice->selected = ice->nominee = -1;
	ice->verify_pair = ice->verify_old = -1;
	ice->out_count = 0;
	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p)) {
		p->state = ICE_PAIR_FAILED;
		p->tx_count = 0;
		p->triggered = p->valid = false;
	}
	sl_stat_inc(ice->stats, SL_STAT_ice_timeouts);
}

/* A full agent hears of a quiet peer only what it asks for: with no check unanswered, silence means
 * nothing. */
static int64_t disconnected_at(const struct sl_ice *ice)
{
	int64_t silent = ice_after(ice->last_in_us, ICE_DISCONNECTED_US);
	const struct sl_ice_pair *p;

	if (!ice->full || ice->selected < 0)
		return silent;
	p = &ice->pairs[ice->selected];
	if (p->tx_count == 0)
		return SL_NEVER;
	return SL_MAX(silent, ice_after(p->sent_us, SL_MAX(ICE_RTO_MIN_TA * ICE_TA_US,
							   2 * (int64_t)p->rtt_us)));
}

/* Lite: the last authentic packet of any kind. Full: the last consent (RFC 7675 section 5.1: at
 * most 30 s). */
static int64_t expires_at(const struct sl_ice *ice)
{
	if (!ice->full)
		return ice_after(ice->last_in_us, ice->timeout_us);
	return ice_after(SL_MIN(ice->last_in_us, ice->consent_us),
			 SL_MIN(ice->timeout_us, ICE_CONSENT_MAX_US));
}

/* Never connected: twice the timeout, and while checks are still under way, three times. */
static int64_t gives_up_at(const struct sl_ice *ice)
{
	return ice_after(ice->wait_from_us, (ice_checks_pending(ice) ? 3 : 2) * ice->timeout_us);
}

void ice_life_tick(struct sl_ice *ice, int64_t now_us)
{
	if (now_us >= ice->retire_us)
		ice_remove_retired(ice);
	verify_tick(ice, now_us);
	switch ((enum sl_ice_state)ice->state) {
	case SL_ICE_NEW:
	case SL_ICE_FAILED:
		break;
	case SL_ICE_CHECKING:
		if (now_us >= gives_up_at(ice))
			fail(ice);
		break;
	case SL_ICE_CONNECTED:
		if (now_us >= disconnected_at(ice))
			ice->state = SL_ICE_DISCONNECTED;
		if (now_us >= expires_at(ice))
			fail(ice);
		break;
	case SL_ICE_DISCONNECTED:
		if (now_us >= expires_at(ice))
			fail(ice);
		break;
	}
}

int64_t ice_life_deadline(const struct sl_ice *ice)
{
	int64_t at = SL_MIN(ice->retire_us, verify_deadline(ice));

	switch ((enum sl_ice_state)ice->state) {
	case SL_ICE_NEW:
	case SL_ICE_FAILED:
		return at;
	case SL_ICE_CHECKING:
		return SL_MIN(at, gives_up_at(ice));
	case SL_ICE_CONNECTED:
		at = SL_MIN(at, disconnected_at(ice));
		return SL_MIN(at, expires_at(ice));
	case SL_ICE_DISCONNECTED:
		return SL_MIN(at, expires_at(ice));
	}
	return at;
}
