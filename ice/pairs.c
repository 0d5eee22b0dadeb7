/* SPDX-License-Identifier: Apache-2.0 */
#include "ice/ice_int.h"

/* RFC 8445 section 5.1.2.2. Over TCP: less than any direct way over UDP (RFC 6544 section 4.2). */
static const struct {
	const char *name;
	uint8_t preference, over_tcp;
	uint8_t direction[4]; /* RFC 6544 section 4.2, by enum sl_tcp_type */
} types[] = {
	[SL_ICE_HOST] = {"host", 126, 90, {0, 6, 4, 2}},
	[SL_ICE_PRFLX] = {"prflx", 110, 80, {0, 4, 2, 6}},
	[SL_ICE_SRFLX] = {"srflx", 100, 70, {0, 4, 2, 6}},
	[SL_ICE_RELAY] = {"relay", 0, 0, {0, 6, 4, 2}},
};

uint32_t sl_ice_priority(enum sl_ice_type type, uint16_t local_pref)
{
	return (uint32_t)types[type].preference << 24 | (uint32_t)local_pref << 8 | 255;
}

uint32_t sl_ice_tcp_priority(enum sl_ice_type type, enum sl_tcp_type tcp, uint16_t other_pref)
{
	uint32_t local = (uint32_t)types[type].direction[tcp] << 13 | (other_pref & 0x1fff);

	return (uint32_t)types[type].over_tcp << 24 | local << 8 | 255;
}

const char *sl_ice_type_name(enum sl_ice_type type)
{
	return types[type].name;
}

struct sl_ice_pair *ice_next(struct sl_ice *ice, struct sl_ice_pair *p)
{
	for (p = p ? p + 1 : ice->pairs; p < ice->pairs + ice->pairs_high; p++)
		if (p->gen)
			return p;
	return NULL;
}

struct sl_ice_pair *ice_at(struct sl_ice *ice, int8_t index)
{
	return index < 0 ? NULL : &ice->pairs[index];
}

int8_t ice_index(const struct sl_ice *ice, const struct sl_ice_pair *p)
{
	return (int8_t)(p - ice->pairs);
}

struct sl_ice_pair *ice_find(struct sl_ice *ice, uint8_t gen, const struct sl_path *path)
{
	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p))
		if (p->gen == gen && sl_path_eq(&p->path, path))
			return p;
	return NULL;
}

bool ice_in_use(const struct sl_ice *ice, uint8_t gen)
{
	return ice->selected >= 0 && ice->pairs[ice->selected].gen == gen;
}

uint32_t ice_local_priority(const struct sl_ice *ice, const struct sl_ice_pair *p)
{
	if (p->local != ICE_NO_LOCAL)
		return ice->locals[p->local].priority;
	return p->path.remote.tcp ? sl_ice_tcp_priority(SL_ICE_HOST, SL_CAND_TCP_PASSIVE, 0)
				  : sl_ice_priority(SL_ICE_HOST, 0);
}

/* RFC 8445 section 6.1.2.3 */
uint64_t ice_pair_priority(const struct sl_ice *ice, const struct sl_ice_pair *p)
{
	uint64_t ours = ice_local_priority(ice, p);
	uint64_t theirs = p->remote_priority;
	uint64_t g = ice->controlling ? ours : theirs;
	uint64_t d = ice->controlling ? theirs : ours;

	return (SL_MIN(g, d) << 32) + 2 * SL_MAX(g, d) + (g > d);
}

/* Does the candidate stand for a path by this socket? A passive one stands for every stream that is
 * not one of ours. */
static bool stands_for(const struct sl_ice_local *l, uint32_t sock, const struct sl_addr *remote,
		       bool passive)
{
	return l->addr.family == remote->family && l->addr.tcp == remote->tcp &&
	       l->sock != ICE_NO_SOCK && (l->tcp == SL_CAND_TCP_PASSIVE) == passive &&
	       (passive || l->sock == sock);
}

/* The best candidate that stands for a socket; candidates that share one have one base (RFC 8445
 * section 6.1.2.4). */
static uint8_t local_of(const struct sl_ice *ice, uint32_t sock, const struct sl_addr *remote)
{
	uint8_t best = ICE_NO_LOCAL;

	for (int passive = 0; passive <= remote->tcp && best == ICE_NO_LOCAL; passive++)
		for (uint8_t i = 0; i < ice->local_count; i++) {
			const struct sl_ice_local *l = &ice->locals[i];

			if (stands_for(l, sock, remote, passive) &&
			    (best == ICE_NO_LOCAL || l->priority > ice->locals[best].priority))
				best = i;
		}
	return best;
}

static const struct sl_ice_remote *remote_at(const struct sl_ice *ice, const struct sl_addr *addr)
{
	for (size_t i = 0; i < ice->remote_count; i++)
		if (sl_addr_eq(&ice->remotes[i].addr, addr))
			return &ice->remotes[i];
	return NULL;
}

static uint8_t first_of_foundation(const struct sl_ice *ice, uint32_t foundation)
{
	uint8_t i = 0;

	while (i < ice->remote_count && ice->remotes[i].foundation != foundation)
		i++;
	return i;
}

/* ---- foundations, RFC 8445 sections 6.1.2.6, 6.1.4.2 and 7.2.5.3.3 ---- */
static bool same_foundation(const struct sl_ice *ice, const struct sl_ice_pair *a,
			    const struct sl_ice_pair *b)
{
	return a->gen == b->gen && a->remote_foundation == b->remote_foundation &&
	       a->remote_foundation != ICE_OWN_FOUNDATION && a->local != ICE_NO_LOCAL &&
	       b->local != ICE_NO_LOCAL &&
	       ice->locals[a->local].foundation == ice->locals[b->local].foundation;
}

void ice_unfreeze(struct sl_ice *ice, const struct sl_ice_pair *p, bool all)
{
	struct sl_ice_pair *best = NULL;

	for (struct sl_ice_pair *q = ice_next(ice, NULL); q; q = ice_next(ice, q)) {
		if (q == p || q->state != ICE_FROZEN || !same_foundation(ice, p, q))
			continue;
		if (all)
			q->state = ICE_WAITING;
		else if (!best || ice_pair_priority(ice, q) > ice_pair_priority(ice, best))
			best = q;
	}
	if (best)
		best->state = ICE_WAITING;
}

static bool foundation_is_busy(struct sl_ice *ice, const struct sl_ice_pair *p)
{
	for (struct sl_ice_pair *q = ice_next(ice, NULL); q; q = ice_next(ice, q))
		if (q != p && same_foundation(ice, p, q) &&
		    (q->state == ICE_WAITING ||
		     (q->state == ICE_IN_PROGRESS && q->tx_count < ICE_UNFREEZE_AT)))
			return true;
	return false;
}

/* ---- the table ---- */
void ice_remove(struct sl_ice *ice, struct sl_ice_pair *p)
{
	int8_t i = ice_index(ice, p);

	if (p->state == ICE_WAITING || p->state == ICE_IN_PROGRESS)
		ice_unfreeze(ice, p, false);
	memset(p, 0, sizeof(*p));
	if (ice->selected == i)
		ice->selected = -1;
	if (ice->nominee == i)
		ice->nominee = -1;
	if (ice->verify_old == i)
		ice->verify_old = -1;
	if (ice->verify_pair == i)
		ice->verify_pair = -1;
	while (ice->pairs_high > 0 && ice->pairs[ice->pairs_high - 1].gen == 0)
		ice->pairs_high--;
}

void ice_remove_gen(struct sl_ice *ice, uint8_t gen)
{
	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p))
		if (p->gen == gen)
			ice_remove(ice, p);
}

void ice_remove_retired(struct sl_ice *ice)
{
	ice->retire_us = SL_NEVER;
	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p))
		if (!ice_gen(ice, p->gen))
			ice_remove(ice, p);
}

static struct sl_ice_pair *free_slot(struct sl_ice *ice)
{
	struct sl_ice_pair *p = ice->pairs;

	while (p < ice->pairs + ice->pairs_high && p->gen)
		p++;
	if (p == ice->pairs + SL_ICE_PAIRS_MAX)
		return NULL;
	if (p == ice->pairs + ice->pairs_high) {
		ice->pairs_high++;
		memset(p, 0, sizeof(*p));
	}
	return p;
}

static bool is_needed(const struct sl_ice *ice, const struct sl_ice_pair *p)
{
	int8_t i = ice_index(ice, p);

	return i == ice->selected || i == ice->nominee || i == ice->verify_pair ||
	       i == ice->verify_old;
}

/* No limit latches: what has been silent longest makes room for what shows itself now. */
static void evict(struct sl_ice *ice)
{
	struct sl_ice_pair *worst = NULL;

	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p)) {
		if (is_needed(ice, p))
			continue;
		if (!worst || p->last_in_us < worst->last_in_us ||
		    (p->last_in_us == worst->last_in_us &&
		     ice_pair_priority(ice, p) < ice_pair_priority(ice, worst)))
			worst = p;
	}
	SL_ASSERT(worst);
	ice_remove(ice, worst);
	sl_stat_inc(ice->stats, SL_STAT_ice_pairs_full);
}

static void describe_remote(const struct sl_ice *ice, struct sl_ice_pair *p,
			    uint32_t prflx_priority)
{
	const struct sl_ice_remote *r = remote_at(ice, &p->path.remote);

	/* Signalled candidates belong to the present credentials. */
	if (!r || p->gen != ice->now.id) {
		p->remote_type = SL_ICE_PRFLX;
		p->remote_priority = prflx_priority;
		p->remote_foundation = ICE_OWN_FOUNDATION;
		return;
	}
	p->remote_type = r->type;
	p->remote_priority = r->priority;
	p->remote_foundation = first_of_foundation(ice, r->foundation);
}

static struct sl_ice_pair *make(struct sl_ice *ice, uint8_t gen, const struct sl_path *path,
				uint32_t priority)
{
	struct sl_ice_pair *p = free_slot(ice);

	if (!p)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->gen = gen;
	p->path = *path;
	p->local = local_of(ice, path->sock, &path->remote);
	p->last_in_us = p->last_use_us = -1;
	p->rtt_us = -1;
	describe_remote(ice, p, priority);
	return p;
}

struct sl_ice_pair *ice_pair_of(struct sl_ice *ice, uint8_t gen, const struct sl_path *path,
				uint32_t priority)
{
	struct sl_ice_pair *p = ice_find(ice, gen, path);

	if (p)
		return p;
	p = make(ice, gen, path, priority);
	if (!p) {
		evict(ice);
		p = make(ice, gen, path, priority);
	}
	p->state = ICE_PAIR_FAILED; /* not tried; the request that showed it triggers a check */
	return p;
}

/* ---- candidates ---- */
static void form(struct sl_ice *ice, uint8_t local, const struct sl_ice_remote *r)
{
	const struct sl_ice_local *l = &ice->locals[local];
	struct sl_path path = {.remote = r->addr, .sock = l->sock};
	struct sl_ice_pair *p;

	/* RFC 8445 section 6.1.2.2: one family, and link-local only with link-local. */
	if (l->addr.family != r->addr.family || l->addr.tcp != r->addr.tcp ||
	    (r->addr.family == 6 &&
	     sl_addr_is_link_local(&l->addr) != sl_addr_is_link_local(&r->addr)))
		return;
	/* RFC 6544 section 6.2: who waits for a connection checks nothing before it is there. */
	if (l->tcp == SL_CAND_TCP_PASSIVE || local_of(ice, l->sock, &r->addr) != local ||
	    ice_find(ice, ice->now.id, &path))
		return;
	p = make(ice, ice->now.id, &path, r->priority);
	if (!p) {
		sl_stat_inc(ice->stats, SL_STAT_ice_pairs_full);
		return;
	}
	if (ice_in_use(ice, ice->now.id))
		p->state = ICE_PAIR_FAILED; /* too late: tried only if the peer's check comes */
	else
		p->state = foundation_is_busy(ice, p) ? ICE_FROZEN : ICE_WAITING;
}

/* A relayed address is a TURN server's: the peer may well use the same one. */
static bool is_our_ip(const struct sl_ice *ice, const struct sl_addr *addr)
{
	for (size_t i = 0; i < ice->local_count; i++) {
		struct sl_addr l = sl_addr_with_port(ice->locals[i].addr, addr->port);

		l.tcp = addr->tcp;
		if (ice->locals[i].type != SL_ICE_RELAY && sl_addr_eq(&l, addr))
			return true;
	}
	return false;
}

static bool has_family(const struct sl_ice *ice, uint8_t family)
{
	for (size_t i = 0; i < ice->local_count; i++)
		if (ice->locals[i].addr.family == family)
			return true;
	return ice->local_count == 0 && (family == 4 || family == 6);
}

/* T07: the peer's word alone must not make us send to ourselves or into our own net. */
static bool may_try(const struct sl_ice *ice, const struct sl_addr *a)
{
	if (a->port == 0 || !has_family(ice, a->family) || sl_addr_is_any(a) ||
	    sl_addr_is_multicast(a))
		return false;
	if (ice->allow_loopback)
		return true;
	return !sl_addr_is_loopback(a) && !sl_addr_is_link_local(a) && !is_our_ip(ice, a);
}

/* Pairs that the peer's checks have made before its candidate came. */
static void rename_pairs(struct sl_ice *ice, const struct sl_addr *addr)
{
	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p))
		if (p->gen == ice->now.id && sl_addr_eq(&p->path.remote, addr))
			describe_remote(ice, p, p->remote_priority);
}

static uint32_t foundation_hash(const char *s, size_t cap)
{
	uint32_t h = 2166136261U;

	for (size_t i = 0; i < cap && s[i]; i++)
		h = (h ^ (uint8_t)s[i]) * 16777619U;
	return h;
}

int sl_ice_add_remote(struct sl_ice *ice, const struct sl_ice_cand *cand, int64_t now_us)
{
	struct sl_ice_remote *r;
	struct sl_addr addr = cand->addr;

	addr.tcp = cand->tcp != SL_CAND_UDP;
	if (ice->state == SL_ICE_FAILED || ice->end_of_candidates)
		return SL_ESTATE;
	/* An active one comes by itself; a lite agent connects to nobody. */
	if (!may_try(ice, &addr) || (addr.tcp && (!ice->full || cand->tcp != SL_CAND_TCP_PASSIVE)))
		return SL_EUNSUPPORTED;
	if (remote_at(ice, &addr))
		return SL_OK;
	if (ice->remote_count == SL_ICE_REMOTE_MAX)
		return SL_EFULL;
	r = &ice->remotes[ice->remote_count++];
	*r = (struct sl_ice_remote){
		.addr = addr,
		.priority = cand->priority,
		.type = (uint8_t)cand->type,
		.foundation = foundation_hash(cand->foundation, sizeof(cand->foundation)),
	};
	ice->wait_from_us = now_us;
	rename_pairs(ice, &r->addr);
	for (uint8_t i = 0; ice->full && i < ice->local_count; i++)
		form(ice, i, r);
	return SL_OK;
}

/* A place for one more: of one that is gone with its pairs, or a new one. NULL: there is none. */
static struct sl_ice_local *local_place(struct sl_ice *ice)
{
	bool named[SL_ICE_LOCAL_MAX] = {false};

	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p))
		if (p->local != ICE_NO_LOCAL)
			named[p->local] = true;
	for (size_t i = 0; i < ice->local_count; i++)
		if (ice->locals[i].sock == ICE_NO_SOCK && !named[i])
			return &ice->locals[i];
	return ice->local_count < SL_ICE_LOCAL_MAX ? &ice->locals[ice->local_count++] : NULL;
}

int sl_ice_add_local(struct sl_ice *ice, const struct sl_ice_cand *cand, int64_t now_us)
{
	struct sl_addr addr = cand->addr;
	struct sl_ice_local *l;

	addr.tcp = cand->tcp != SL_CAND_UDP;
	for (size_t i = 0; i < ice->local_count; i++)
		if (ice->locals[i].sock == cand->sock && ice->locals[i].tcp == cand->tcp &&
		    sl_addr_eq(&ice->locals[i].addr, &addr))
			return SL_OK;
	l = local_place(ice);
	if (!l)
		return SL_EFULL;
	*l = (struct sl_ice_local){
		.addr = addr,
		.priority = cand->priority,
		.sock = cand->sock,
		.type = (uint8_t)cand->type,
		.tcp = (uint8_t)cand->tcp,
		.foundation = foundation_hash(cand->foundation, sizeof(cand->foundation)),
	};
	ice->wait_from_us = now_us;
	for (size_t i = 0; ice->full && i < ice->remote_count; i++)
		form(ice, (uint8_t)(l - ice->locals), &ice->remotes[i]);
	return SL_OK;
}

void sl_ice_rebase(struct sl_ice *ice, const struct sl_path *path, uint32_t sock)
{
	struct sl_path from = *path; /* it may lie in a pair */

	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p))
		if (sl_path_eq(&p->path, &from))
			p->path.sock = sock;
}

void sl_ice_end_of_candidates(struct sl_ice *ice, int64_t now_us)
{
	(void)now_us;
	ice->end_of_candidates = true;
}

/* ---- diagnosis ---- */
static void describe(const struct sl_ice *ice, const struct sl_ice_pair *p,
		     struct sl_ice_pair_info *out)
{
	const struct sl_ice_local *l = p->local == ICE_NO_LOCAL ? NULL : &ice->locals[p->local];

	*out = (struct sl_ice_pair_info){
		.path = p->path,
		.local_type = l ? (enum sl_ice_type)l->type : SL_ICE_HOST,
		.remote_type = (enum sl_ice_type)p->remote_type,
		.valid = p->valid,
		.nominated = p->nominated,
		.selected = ice_index(ice, p) == ice->selected,
		.requests_in = p->requests_in,
		.responses_out = p->responses_out,
		.checks_sent = p->checks_sent,
		.responses_in = p->responses_in,
		.rtt_us = p->rtt_us,
		.last_in_us = p->last_in_us,
	};
	if (l)
		out->local = l->addr;
}

size_t sl_ice_pairs(const struct sl_ice *ice, struct sl_ice_pair_info *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < ice->pairs_high; i++) {
		if (!ice->pairs[i].gen)
			continue;
		if (n < cap)
			describe(ice, &ice->pairs[i], &out[n]);
		n++;
	}
	return n;
}
