/* SPDX-License-Identifier: Apache-2.0 */
#include "ice/ice_int.h"
#include "core/base/bytes.h"
#include "core/base/mem.h"

/* ---- credentials ---- */
struct sl_ice_gen *ice_gen(struct sl_ice *ice, uint8_t id)
{
	if (id == ice->now.id)
		return &ice->now;
	return id && id == ice->old.id ? &ice->old : NULL;
}

static void fresh_gen(struct sl_ice *ice)
{
	sl_wipe(&ice->now, sizeof(ice->now));
	ice->next_gen = (uint8_t)(ice->next_gen % 255 + 1);
	ice->now.id = ice->next_gen;
	sl_rng_ice_chars(ice->rng, ice->now.local.ufrag, SL_ICE_OUR_UFRAG);
	sl_rng_ice_chars(ice->rng, ice->now.local.pwd, SL_ICE_OUR_PWD);
	ice->budget = ICE_BUDGET;
	ice->remote_count = 0;
	ice->end_of_candidates = false;
	ice->nominee = -1;
	ice->first_valid_us = -1;
}

/* The old pairs' packets may still be under way: they stay valid for a while, but have no
 * credentials any more. */
void ice_forget_old(struct sl_ice *ice, int64_t now_us)
{
	if (!ice->old.id)
		return;
	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p)) {
		if (p->gen != ice->old.id)
			continue;
		p->state = ICE_PAIR_FAILED;
		p->tx_count = 0;
		p->triggered = false;
	}
	sl_wipe(&ice->old, sizeof(ice->old));
	ice->retire_us = ice_after(now_us, ICE_RETIRED_US);
}

void sl_ice_restart(struct sl_ice *ice, int64_t now_us)
{
	ice->wait_from_us = now_us;
	ice_remove_retired(ice);
	if (ice->state == SL_ICE_FAILED) {
		sl_wipe(&ice->old, sizeof(ice->old));
		sl_wipe(&ice->now, sizeof(ice->now));
		ice_remove_retired(ice);
		ice->state = SL_ICE_NEW;
	} else if (ice->old.id && ice_in_use(ice, ice->old.id)) {
		/* A restart during a restart: what is in use stays, what was not yet goes. */
		ice_remove_gen(ice, ice->now.id);
	} else {
		ice_remove_gen(ice, ice->old.id);
		ice->old = ice->now;
	}
	fresh_gen(ice);
}

static bool is_creds(struct sl_str ufrag, struct sl_str pwd)
{
	return ufrag.n >= 4 && ufrag.n <= SL_ICE_UFRAG_MAX && pwd.n >= 22 &&
	       pwd.n <= SL_ICE_PWD_MAX && !memchr(ufrag.p, 0, ufrag.n) && !memchr(pwd.p, 0, pwd.n);
}

static uint32_t hash_of(struct sl_str s)
{
	uint32_t h = 2166136261U;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (uint8_t)s.p[i]) * 16777619U;
	return h;
}

/* Checks that came before the peer's credentials count from now on, if they were of the same ones.
 */
static void adopt_early(struct sl_ice *ice, int64_t now_us)
{
	bool same = hash_of(sl_str_z(ice->now.remote.ufrag)) == ice->now.early_hash;

	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p)) {
		if (p->gen != ice->now.id || p->requests_in == 0)
			continue;
		if (!same) {
			ice_remove(ice, p);
			continue;
		}
		p->valid = !ice->full;
		if (p->valid && p->nominated)
			ice_use_candidate(ice, p, now_us);
		ice_trigger(ice, p, now_us);
	}
}

void sl_ice_answer(struct sl_ice *ice, bool remote_lite)
{
	if (ice->now.remote_known)
		return;
	ice->full |= remote_lite;
	ice->controlling = ice->full && remote_lite;
}

int sl_ice_set_remote(struct sl_ice *ice, struct sl_str ufrag, struct sl_str pwd, int64_t now_us)
{
	if (!is_creds(ufrag, pwd))
		return SL_ERANGE;
	if (ice->now.remote_known && sl_str_eq(sl_str_z(ice->now.remote.ufrag), ufrag) &&
	    sl_str_eq(sl_str_z(ice->now.remote.pwd), pwd))
		return SL_OK;
	if (ice->now.remote_known)
		sl_ice_restart(ice, now_us);
	memcpy(ice->now.remote.ufrag, ufrag.p, ufrag.n);
	memcpy(ice->now.remote.pwd, pwd.p, pwd.n);
	ice->now.remote_known = true;
	ice->wait_from_us = now_us;
	if (ice->state == SL_ICE_NEW)
		ice->state = SL_ICE_CHECKING;
	if (ice->now.early)
		adopt_early(ice, now_us);
	return SL_OK;
}

const struct sl_ice_creds *sl_ice_local_creds(const struct sl_ice *ice)
{
	return &ice->now.local;
}

const char *sl_ice_old_ufrag(const struct sl_ice *ice)
{
	return ice->old.local.ufrag;
}

/* ---- life ---- */
int sl_ice_init(struct sl_ice *ice, const struct sl_ice_conf *conf, int64_t now_us)
{
	int err = SL_OK;

	memset(ice, 0, offsetof(struct sl_ice, pairs));
	if (conf->local_count > SL_ICE_LOCAL_MAX)
		return SL_ERANGE;
	ice->rng = conf->rng;
	ice->stats = conf->stats;
	ice->shared_budget = conf->budget;
	ice->timeout_us = SL_MAX(SL_MIN(conf->timeout_us, ICE_TIMEOUT_MAX_US), SL_SEC);
	ice->tid_tag = conf->tid_tag;
	ice->tie_breaker = sl_rng_u64(conf->rng);
	/* RFC 8445 section 6.1.1: facing a lite agent, the full one controls. Two lite ones would
	 * both just wait. */
	ice->full = !conf->lite || conf->remote_lite;
	ice->controlling = ice->full && (conf->controlling || conf->remote_lite);
	ice->allow_loopback = conf->allow_loopback;
	ice->selected = ice->verify_pair = ice->verify_old = -1;
	ice->last_in_us = -1;
	ice->retire_us = SL_NEVER;
	fresh_gen(ice);
	for (size_t i = 0; !err && i < conf->local_count; i++)
		err = sl_ice_add_local(ice, &conf->local[i], now_us);
	return err;
}

void sl_ice_fini(struct sl_ice *ice)
{
	sl_wipe(ice, offsetof(struct sl_ice, pairs));
}

/* ---- requests ---- */
/* RFC 8445 section 7.3: the user name is ours, a colon, the peer's. As long as the peer's is not
 * known (its answer is under way) the first one that comes with our password stands in for it. */
static bool is_user(const struct sl_ice_gen *g, struct sl_str user)
{
	struct sl_str rest = user;
	struct sl_str head = sl_str_cut(&rest, ':');

	if (!g->id || user.n == head.n || !sl_str_eq(head, sl_str_z(g->local.ufrag)))
		return false;
	if (g->remote_known)
		return sl_str_eq(rest, sl_str_z(g->remote.ufrag));
	return rest.n >= 4 && (!g->early || g->early_hash == hash_of(rest));
}

static struct sl_ice_gen *gen_of_user(struct sl_ice *ice, struct sl_str user)
{
	if (is_user(&ice->now, user))
		return &ice->now;
	return is_user(&ice->old, user) ? &ice->old : NULL;
}

void ice_queue(struct sl_ice *ice, const struct sl_ice_out *out)
{
	if (ice->out_count == SL_ICE_OUTS)
		return; /* the caller does not drain; STUN repeats what matters */
	ice->outs[(ice->out_first + ice->out_count++) % SL_ICE_OUTS] = *out;
}

static void answer(struct sl_ice *ice, const struct sl_ice_gen *g, const struct sl_stun *m,
		   const struct sl_path *path, uint16_t error_code)
{
	struct sl_ice_out out = {
		.path = *path,
		.class_ = error_code ? SL_STUN_ERROR : SL_STUN_SUCCESS,
		.error_code = error_code,
		.request_len = (uint16_t)SL_MIN(m->len, UINT16_MAX),
		.gen = g->id,
	};

	memcpy(out.tid, m->tid, sizeof(out.tid));
	if (error_code == 420) {
		memcpy(out.unknown, m->unknown, sizeof(out.unknown));
		out.unknown_count = m->unknown_count;
	}
	ice_queue(ice, &out);
}

/* RFC 8445 section 7.3.1.1. True: it was settled, or there is none; false: the peer has to change
 * its role. */
static bool settle_roles(struct sl_ice *ice, const struct sl_stun *m)
{
	bool same = m->has & (ice->controlling ? STUN_CONTROLLING : STUN_CONTROLLED);
	bool we_win = ice->tie_breaker >= m->tie_breaker;

	if (!same)
		return true;
	/* A lite agent that faces a full one has only one role to be in. */
	if (!ice->full || we_win == ice->controlling)
		return false;
	ice->controlling = !ice->controlling;
	ice->nominee = -1;
	return true;
}

static void on_check(struct sl_ice *ice, struct sl_ice_gen *g, const struct sl_stun *m,
		     const struct sl_path *path, int64_t now_us)
{
	uint32_t priority = m->has & STUN_PRIORITY ? m->priority : sl_ice_priority(SL_ICE_PRFLX, 0);
	struct sl_ice_pair *p = ice_pair_of(ice, g->id, path, priority);
	bool use = (m->has & STUN_USE_CANDIDATE) && !ice->controlling;
	struct sl_ice_pair *sel;

	p->requests_in++;
	p->responses_out++;
	if (!ice->full && g->remote_known)
		p->valid = true;
	if (use)
		p->nominated = true;
	if (use && p->valid)
		ice_use_candidate(ice, p, now_us);
	else
		ice_brought(ice, p, false, now_us);
	sel = ice_at(ice, ice->selected);
	if (sel && sl_path_eq(&sel->path, path))
		sel->last_in_us =
			now_us; /* under other credentials, perhaps: the path is the same */
	p->last_in_us = now_us;
	if (use)
		p->last_use_us = now_us;
	ice_trigger(ice, p, now_us);
}

static int authenticate(struct sl_ice *ice, const struct sl_stun *m, struct sl_ice_gen **out)
{
	struct sl_ice_gen *g = m->has & STUN_USERNAME ? gen_of_user(ice, m->username) : NULL;
	int err;

	if (!g) {
		sl_stat_inc(ice->stats, SL_STAT_stun_bad_username);
		return SL_EAUTH;
	}
	err = stun_check(m, g->local.pwd, strlen(g->local.pwd));
	if (err == SL_EAUTH)
		sl_stat_inc(ice->stats, SL_STAT_stun_bad_integrity);
	*out = g;
	return err;
}

static int on_request(struct sl_ice *ice, const struct sl_stun *m, const struct sl_path *path,
		      int64_t now_us)
{
	struct sl_ice_gen *g;
	int err = authenticate(ice, m, &g);

	if (err)
		return err;
	if (m->unknown_count > 0) {
		answer(ice, g, m, path, 420);
		sl_stat_inc(ice->stats, SL_STAT_stun_unsupported);
		return SL_EUNSUPPORTED;
	}
	sl_stat_inc(ice->stats, SL_STAT_ice_requests);
	if (!g->remote_known) {
		struct sl_str theirs = m->username;

		(void)sl_str_cut(&theirs, ':');
		g->early = true;
		g->early_hash = hash_of(theirs);
	}
	ice_alive(ice, now_us);
	if (!settle_roles(ice, m)) {
		answer(ice, g, m, path, 487);
		return SL_OK;
	}
	answer(ice, g, m, path, 0);
	on_check(ice, g, m, path, now_us);
	return SL_OK;
}

int sl_ice_recv(struct sl_ice *ice, const struct sl_dgram *in, int64_t now_us)
{
	struct sl_stun m;
	int err = stun_read(in->data, in->len, &m);

	if (err) {
		sl_stat_inc(ice->stats, SL_STAT_stun_malformed);
		return err;
	}
	if (ice->state == SL_ICE_FAILED)
		return SL_ESTATE;
	if (m.method != STUN_BINDING || m.class_ == SL_STUN_INDICATION) {
		/* RFC 8445 section 11: an indication only keeps NATs awake; it is not signed and
		 * proves nothing. */
		sl_stat_inc(ice->stats, SL_STAT_stun_unsupported);
		return SL_EUNSUPPORTED;
	}
	if (m.class_ == SL_STUN_REQUEST)
		return on_request(ice, &m, &in->path, now_us);
	return ice_on_response(ice, &m, &in->path, now_us);
}

/* ---- life signs that are not STUN ---- */
static void touch(struct sl_ice_pair *p, bool media, int64_t now_us)
{
	p->last_in_us = now_us;
	if (media)
		p->last_use_us = now_us;
}

void sl_ice_on_authentic(struct sl_ice *ice, const struct sl_path *path, bool media, int64_t now_us)
{
	struct sl_ice_pair *sel = ice_at(ice, ice->selected);
	struct sl_ice_pair *best = NULL;

	if (sel && sl_path_eq(&sel->path, path)) {
		touch(sel, media, now_us);
		ice_alive(ice, now_us);
		return;
	}
	for (struct sl_ice_pair *p = ice_next(ice, NULL); p; p = ice_next(ice, p))
		if (p->valid && sl_path_eq(&p->path, path) && (!best || p->gen == ice->now.id))
			best = p;
	if (!best)
		return;
	touch(best, media, now_us);
	ice_alive(ice, now_us);
	if (media)
		ice_brought(ice, best, true, now_us);
}

bool sl_ice_is_valid(const struct sl_ice *ice, const struct sl_path *path)
{
	for (size_t i = 0; i < ice->pairs_high; i++)
		if (ice->pairs[i].gen && ice->pairs[i].valid &&
		    sl_path_eq(&ice->pairs[i].path, path))
			return true;
	return false;
}

/* ---- time ---- */
void sl_ice_tick(struct sl_ice *ice, int64_t now_us)
{
	if (ice->state == SL_ICE_FAILED)
		return;
	ice_checks_tick(ice, now_us);
	ice_life_tick(ice, now_us);
}

int64_t sl_ice_deadline_us(const struct sl_ice *ice)
{
	if (ice->state == SL_ICE_FAILED)
		return SL_NEVER;
	return SL_MIN(ice_checks_deadline(ice), ice_life_deadline(ice));
}

/* ---- bytes out ---- */
static int build_request(struct sl_ice *ice, const struct sl_ice_out *o, const struct sl_ice_gen *g)
{
	char user[STUN_USERNAME_MAX + 1];
	struct sl_buf b = sl_buf(user, sizeof(user));
	struct sl_stun m = {
		.class_ = SL_STUN_REQUEST,
		.method = STUN_BINDING,
		.has = STUN_USERNAME | STUN_PRIORITY | STUN_INTEGRITY | STUN_FINGERPRINT,
		.priority = o->priority,
		.tie_breaker = ice->tie_breaker,
	};

	sl_buf_z(&b, g->remote.ufrag);
	sl_buf_char(&b, ':');
	sl_buf_z(&b, g->local.ufrag);
	m.username = sl_str(b.p, b.n);
	m.has |= o->flags & ICE_TX_CONTROLLING ? STUN_CONTROLLING : STUN_CONTROLLED;
	if (o->flags & ICE_TX_USE)
		m.has |= STUN_USE_CANDIDATE;
	memcpy(m.tid, o->tid, sizeof(m.tid));
	return stun_write(&m, g->remote.pwd, strlen(g->remote.pwd), ice->out, sizeof(ice->out));
}

static int build_answer(struct sl_ice *ice, const struct sl_ice_out *o, const struct sl_ice_gen *g)
{
	struct sl_stun m = {
		.class_ = (enum sl_stun_class)o->class_,
		.method = STUN_BINDING,
		.has = STUN_INTEGRITY | STUN_FINGERPRINT,
		.mapped = o->path.remote,
		.error_code = o->error_code,
		.unknown_count = o->unknown_count,
	};
	int n;

	m.has |= o->error_code ? STUN_ERROR_CODE : STUN_XOR_MAPPED;
	if (o->unknown_count > 0)
		m.has |= STUN_UNKNOWN_ATTRS;
	memcpy(m.unknown, o->unknown, sizeof(m.unknown));
	memcpy(m.tid, o->tid, sizeof(m.tid));
	n = stun_write(&m, g->local.pwd, strlen(g->local.pwd), ice->out, sizeof(ice->out));
	if (n <= o->request_len)
		return n;
	/* T08: never longer than the request, even if that was bare. */
	m.has &= ~(uint32_t)STUN_FINGERPRINT;
	n = stun_write(&m, g->local.pwd, strlen(g->local.pwd), ice->out, sizeof(ice->out));
	return n <= o->request_len ? n : SL_EFULL;
}

bool sl_ice_pull(struct sl_ice *ice, struct sl_dgram *out)
{
	while (ice->out_count > 0) {
		const struct sl_ice_out *o = &ice->outs[ice->out_first];
		const struct sl_ice_gen *g = ice_gen(ice, o->gen);
		int n = SL_ENOTFOUND;

		if (g)
			n = o->class_ == SL_STUN_REQUEST ? build_request(ice, o, g)
							 : build_answer(ice, o, g);
		ice->out_first = (uint8_t)((ice->out_first + 1) % SL_ICE_OUTS);
		ice->out_count--;
		if (n > 0) {
			*out = (struct sl_dgram){
				.path = o->path, .data = ice->out, .len = (size_t)n};
			return true;
		}
	}
	return false;
}

/* ---- events and state ---- */
const struct sl_path *sl_ice_path(const struct sl_ice *ice)
{
	return ice->selected >= 0 ? &ice->pairs[ice->selected].path : NULL;
}

bool sl_ice_event(struct sl_ice *ice, struct sl_ice_event *ev)
{
	static const struct sl_path none;
	const struct sl_path *path = sl_ice_path(ice);

	memset(ev, 0, sizeof(*ev));
	if (!path)
		path = &none;
	if (!sl_path_eq(path, &ice->path_told)) {
		ice->path_told = *path;
		ev->type = SL_ICE_EV_PATH;
		ev->path = *path;
		return true;
	}
	if (ice->state != ice->state_told) {
		ice->state_told = ice->state;
		ev->type = SL_ICE_EV_STATE;
		ev->state = (enum sl_ice_state)ice->state;
		return true;
	}
	return false;
}

enum sl_ice_state sl_ice_state(const struct sl_ice *ice)
{
	return (enum sl_ice_state)ice->state;
}

int64_t sl_ice_rtt_us(const struct sl_ice *ice)
{
	return ice->selected >= 0 ? ice->pairs[ice->selected].rtt_us : -1;
}

/* RTCIceTransportState */
const char *sl_ice_state_name(enum sl_ice_state state)
{
	static const char *const names[] = {
		[SL_ICE_NEW] = "new",
		[SL_ICE_CHECKING] = "checking",
		[SL_ICE_CONNECTED] = "connected",
		[SL_ICE_DISCONNECTED] = "disconnected",
		[SL_ICE_FAILED] = "failed",
	};

	return names[state];
}
