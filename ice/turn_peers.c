/* SPDX-License-Identifier: Apache-2.0
 * ice/turn_peers.c — whom the server relays to: permissions by IP address (RFC 8656 section 9),
 * and a channel for the peer in use (section 12). */
#include "ice/ice_int.h"

#define JITTER_US (10 * SL_SEC)

struct sl_turn_perm *turn_perm(struct sl_turn *t, const struct sl_addr *peer)
{
	struct sl_addr ip = sl_addr_with_port(*peer, 0);

	for (size_t i = 0; i < SL_TURN_PEERS; i++)
		if (t->perms[i].ip.family && sl_addr_eq(&t->perms[i].ip, &ip))
			return &t->perms[i];
	return NULL;
}

static struct sl_turn_perm *add_perm(struct sl_turn *t, const struct sl_addr *peer)
{
	for (size_t i = 0; i < SL_TURN_PEERS; i++)
		if (!t->perms[i].ip.family) {
			t->perms[i] = (struct sl_turn_perm){.ip = sl_addr_with_port(*peer, 0),
							    .until_us = -1};
			return &t->perms[i];
		}
	return NULL;
}

static int check_peer(const struct sl_turn *t, const struct sl_addr *peer)
{
	if (t->state != TURN_UP)
		return SL_ESTATE;
	if (peer->family != t->relayed.family || !peer->port || sl_addr_is_any(peer) ||
	    sl_addr_is_multicast(peer))
		return SL_EUNSUPPORTED;
	return SL_OK;
}

int sl_turn_permit(struct sl_turn *t, const struct sl_addr *peer, int64_t now_us)
{
	struct sl_turn_perm *p;
	int err = check_peer(t, peer);

	if (err)
		return err;
	p = turn_perm(t, peer);
	if (!p)
		p = add_perm(t, peer);
	if (!p)
		return SL_EFULL;
	if (p->refused)
		return SL_EAUTH;
	p->used = true;
	if (p->until_us < 0 || p->renew_us == SL_NEVER)
		p->renew_us = now_us; /* new, or left to expire */
	turn_peers_tick(t, now_us);
	return SL_OK;
}

static bool in_use(const struct sl_turn *t, const struct sl_turn_perm *p)
{
	struct sl_addr ip;

	if (t->current < 0)
		return false;
	ip = sl_addr_with_port(t->channels[t->current].peer, 0);
	return sl_addr_eq(&ip, &p->ip);
}

/* ---- CreatePermission ---- */

static bool is_due(struct sl_turn *t, struct sl_turn_perm *p, int64_t now_us)
{
	if (!p->ip.family || p->refused || now_us < p->renew_us)
		return false;
	if (p->until_us < 0 || p->used || in_use(t, p))
		return true;
	p->renew_us = SL_NEVER;
	return false;
}

/* Marks what the next request asks for; false: nothing. */
static bool collect_permits(struct sl_turn *t, int64_t now_us)
{
	int n = 0;

	for (size_t i = 0; i < SL_TURN_PEERS && n < TURN_PERMITS_AT_ONCE; i++) {
		struct sl_turn_perm *p = &t->perms[i];

		if (!is_due(t, p, now_us) || (p->alone && n > 0))
			continue;
		p->asked = true;
		p->used = false;
		n++;
		if (p->alone)
			break;
	}
	return n > 0;
}

void turn_write_permit(struct sl_turn *t, struct sl_stun *m,
		       struct sl_addr peers[TURN_PERMITS_AT_ONCE])
{
	m->method = STUN_CREATE_PERMISSION;
	m->has |= STUN_PEER;
	m->peers = peers;
	for (size_t i = 0; i < SL_TURN_PEERS; i++)
		if (t->perms[i].asked) {
			SL_ASSERT(m->peer_count < TURN_PERMITS_AT_ONCE);
			peers[m->peer_count++] = t->perms[i].ip;
		}
}

static size_t asked_count(const struct sl_turn *t)
{
	size_t n = 0;

	for (size_t i = 0; i < SL_TURN_PEERS; i++)
		n += t->perms[i].asked;
	return n;
}

static void grant(struct sl_turn *t, struct sl_turn_perm *p, int64_t now_us)
{
	p->alone = false;
	p->until_us = now_us + TURN_PERMISSION_US;
	p->renew_us = turn_jitter(t, now_us + TURN_PERMISSION_RENEW_US, JITTER_US);
}

/* RFC 8656 section 10.2: one address that the server will not have spoils the request for all, so
 * they are asked for again, one by one. */
static void refuse(struct sl_turn *t, struct sl_turn_perm *p, bool only_one,
		   const struct sl_stun *m, int64_t now_us)
{
	p->alone = true;
	if (!only_one)
		return;
	p->refused = p->tell = true;
	p->until_us = now_us + TURN_PERMISSION_US; /* then it may be tried again */
	p->renew_us = SL_NEVER;
	t->code = m->error_code;
	stun_error_words(m->error_code, m->reason, t->why);
}

/* RFC 8656 section 6: 437 says that the allocation is not there. */
static bool is_gone(struct sl_turn *t, const struct sl_stun *m)
{
	if (m->class_ != SL_STUN_ERROR || m->error_code != 437)
		return false;
	stun_error_words(m->error_code, m->reason, t->why);
	turn_end(t, m->error_code);
	return true;
}

void turn_on_permit(struct sl_turn *t, const struct sl_stun *m, int64_t now_us)
{
	bool only_one = asked_count(t) == 1;

	if (is_gone(t, m))
		return;
	for (size_t i = 0; i < SL_TURN_PEERS; i++) {
		struct sl_turn_perm *p = &t->perms[i];

		if (!p->asked)
			continue;
		p->asked = false;
		if (m->class_ == SL_STUN_SUCCESS)
			grant(t, p, now_us);
		else
			refuse(t, p, only_one, m, now_us);
	}
}

/* ---- ChannelBind ---- */

/* RFC 8656 section 12: a number may mean another peer only five minutes after it has expired. */
static bool is_reusable(const struct sl_turn_channel *c, int64_t now_us)
{
	return !c->peer.family ||
	       (!c->asked &&
		(c->until_us < 0 ? c->refused : now_us >= c->until_us + TURN_CHANNEL_REST_US));
}

static int channel_for(struct sl_turn *t, const struct sl_addr *peer, int64_t now_us)
{
	int free = -1;

	for (int i = 0; i < SL_TURN_CHANNELS; i++) {
		if (t->channels[i].peer.family && sl_addr_eq(&t->channels[i].peer, peer))
			return i;
		if (free < 0 && is_reusable(&t->channels[i], now_us))
			free = i;
	}
	if (free >= 0)
		t->channels[free] =
			(struct sl_turn_channel){.peer = *peer, .until_us = -1, .renew_us = now_us};
	return free;
}

int sl_turn_use(struct sl_turn *t, const struct sl_addr *peer, int64_t now_us)
{
	int err = sl_turn_permit(t, peer, now_us);

	if (err)
		return err;
	t->current = (int8_t)channel_for(t, peer, now_us);
	if (t->current < 0)
		return SL_EFULL;
	turn_peers_tick(t, now_us);
	return SL_OK;
}

static bool bind_is_due(const struct sl_turn *t, int64_t now_us)
{
	const struct sl_turn_channel *c;

	if (t->current < 0)
		return false;
	c = &t->channels[t->current];
	return !c->refused && now_us >= c->renew_us;
}

static struct sl_turn_channel *asked_channel(struct sl_turn *t)
{
	for (size_t i = 0; i < SL_TURN_CHANNELS; i++)
		if (t->channels[i].asked)
			return &t->channels[i];
	return NULL;
}

void turn_write_bind(struct sl_turn *t, struct sl_stun *m, struct sl_addr *peer)
{
	struct sl_turn_channel *c = asked_channel(t);

	SL_ASSERT(c);
	m->method = STUN_CHANNEL_BIND;
	m->has |= STUN_CHANNEL | STUN_PEER;
	m->channel = (uint16_t)(TURN_CHANNEL_FIRST + (c - t->channels));
	*peer = c->peer;
	m->peers = peer;
	m->peer_count = 1;
}

void turn_on_bind(struct sl_turn *t, const struct sl_stun *m, int64_t now_us)
{
	struct sl_turn_channel *c = asked_channel(t);

	SL_ASSERT(c);
	c->asked = false;
	if (is_gone(t, m))
		return;
	c->bound = m->class_ == SL_STUN_SUCCESS;
	c->refused = !c->bound; /* Send indications do it as well */
	if (!c->bound)
		return;
	c->until_us = now_us + TURN_CHANNEL_US;
	c->renew_us = turn_jitter(t, now_us + TURN_CHANNEL_RENEW_US, JITTER_US);
}

/* ---- time ---- */

static void expire(struct sl_turn *t, int64_t now_us)
{
	for (size_t i = 0; i < SL_TURN_PEERS; i++) {
		struct sl_turn_perm *p = &t->perms[i];

		if (p->ip.family && !p->asked && p->until_us >= 0 && now_us >= p->until_us)
			*p = (struct sl_turn_perm){0};
	}
	for (size_t i = 0; i < SL_TURN_CHANNELS; i++) {
		struct sl_turn_channel *c = &t->channels[i];

		if (c->bound && now_us >= c->until_us - TURN_CHANNEL_STOP_US)
			c->bound = false;
	}
}

void turn_peers_tick(struct sl_turn *t, int64_t now_us)
{
	if (t->state != TURN_UP)
		return;
	expire(t, now_us);
	if (!t->tx[TURN_JOB_PERMIT].sent && collect_permits(t, now_us))
		turn_start(t, TURN_JOB_PERMIT, now_us);
	if (!t->tx[TURN_JOB_BIND].sent && bind_is_due(t, now_us)) {
		t->channels[t->current].asked = true;
		turn_start(t, TURN_JOB_BIND, now_us);
	}
}

int64_t turn_peers_deadline(const struct sl_turn *t)
{
	int64_t at_us = SL_NEVER;

	for (size_t i = 0; i < SL_TURN_PEERS; i++) {
		const struct sl_turn_perm *p = &t->perms[i];

		if (!p->ip.family || p->asked)
			continue;
		if (!t->tx[TURN_JOB_PERMIT].sent && !p->refused)
			at_us = SL_MIN(at_us, p->renew_us);
		if (p->until_us >= 0)
			at_us = SL_MIN(at_us, p->until_us);
	}
	for (size_t i = 0; i < SL_TURN_CHANNELS; i++)
		if (t->channels[i].bound)
			at_us = SL_MIN(at_us, t->channels[i].until_us - TURN_CHANNEL_STOP_US);
	if (!t->tx[TURN_JOB_BIND].sent && bind_is_due(t, SL_NEVER - 1))
		at_us = SL_MIN(at_us, t->channels[t->current].renew_us);
	return at_us;
}
