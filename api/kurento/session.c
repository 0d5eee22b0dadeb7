/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/session.c — sessions: what they hold, and the collection of those that nobody comes
 * back to. An object lives as long as a session holds it, or holds what it is in; a session as long
 * as a connection is bound to it, and one or two of the collector's periods beyond. */
#include "api/kurento/rpc.h"

enum { BURST_S = 10 };

/* One that holds nothing and whose connection is gone makes room. */
static void make_room(struct kms *k)
{
	SL_LIST_EACH(it, tmp, &k->rpc->all) {
		struct kms_session *s = SL_LIST_AT(it, struct kms_session, in_all);

		if (s->peer || s->ref_count || s->subscription_count || !sl_list_empty(&s->calls))
			continue;
		kms_session_end(s, false);
		return;
	}
}

int kms_session_new(struct kms *k, struct kms_session **out)
{
	struct kms_session *s = sl_zalloc(sizeof(*s));
	int err;

	if (!s)
		return SL_ENOMEM;
	if (k->rpc->session_count >= k->set.max_sessions)
		make_room(k);
	if (k->rpc->session_count >= k->set.max_sessions) {
		sl_free(s);
		return SL_EFULL;
	}
	kms_uuid(k, s->id);
	err = sl_hash_put(&k->rpc->sessions, s->id, sizeof(s->id) - 1, s);
	if (err) {
		sl_free(s);
		return err;
	}
	s->kms = k;
	sl_list_init(&s->refs);
	sl_list_init(&s->interests);
	sl_list_init(&s->calls);
	s->in_use = true;
	s->rated_us = k->now_us;
	s->tokens_us = BURST_S * SL_SEC;
	sl_list_add(&k->rpc->all, &s->in_all);
	k->rpc->session_count++;
	if (k->rpc->session_count == 1)
		kms_timer_set(k, &k->rpc->collector, k->now_us + k->set.gc_us);
	*out = s;
	return SL_OK;
}

struct kms_session *kms_session_by_id(struct kms *k, struct sl_str id)
{
	return id.n == 36 ? sl_hash_get(&k->rpc->sessions, id.p, id.n) : NULL;
}

void kms_session_bind(struct kms_session *s, struct kms_peer *p)
{
	s->in_use = true;
	if (p)
		p->session = s;
	if (s->peer == p)
		return;
	if (s->peer && s->peer->session == s)
		s->peer->session = NULL;
	sl_list_del(&s->in_peer);
	if (s->peer)
		s->peer->session_count--;
	s->peer = p;
	if (!p)
		return;
	sl_list_add(&p->sessions, &s->in_peer);
	p->session_count++;
}

/* ================= what it holds ================= */

static struct kms_ref *ref_of(const struct kms_session *s, const struct kms_object *o)
{
	SL_LIST_EACH(it, tmp, &o->refs) {
		struct kms_ref *r = SL_LIST_AT(it, struct kms_ref, in_object);

		if (r->session == s)
			return r;
	}
	return NULL;
}

static void ref_free(struct kms_ref *r)
{
	r->session->ref_count--;
	sl_list_del(&r->in_object);
	sl_list_del(&r->in_session);
	sl_free(r);
}

int kms_session_hold(struct kms_session *s, struct kms_object *o)
{
	s->exists = true;
	/* The manager is always there. */
	for (; o && o != s->kms->manager && !ref_of(s, o); o = o->parent) {
		struct kms_ref *r;

		if (s->kms->set.session_objects && s->ref_count >= s->kms->set.session_objects)
			return SL_EFULL;
		r = sl_zalloc(sizeof(*r));
		if (!r)
			return SL_ENOMEM;
		r->session = s;
		r->object = o;
		s->ref_count++;
		sl_list_add(&o->refs, &r->in_object);
		sl_list_add(&s->refs, &r->in_session);
	}
	return SL_OK;
}

/* Does any session but s hold the object, or what it is in? */
static bool held_by_others(const struct kms_object *o, const struct kms_session *s)
{
	for (; o; o = o->parent)
		SL_LIST_EACH(it, tmp, &o->refs)
			if (SL_LIST_AT(it, struct kms_ref, in_object)->session != s)
				return true;
	return false;
}

static void let_go(struct kms_session *s, struct kms_ref *r)
{
	struct kms_object *o = r->object;
	bool alone = !held_by_others(o, s);

	ref_free(r);
	if (alone)
		kms_object_release(o);
}

void kms_session_unref(struct kms_session *s, struct kms_object *o)
{
	struct kms_ref *r = ref_of(s, o);

	if (r)
		let_go(s, r);
}

void kms_refs_free(struct kms_object *o)
{
	while (!sl_list_empty(&o->refs))
		ref_free(SL_LIST_AT(o->refs.next, struct kms_ref, in_object));
}

bool kms_session_may_create(struct kms_session *s)
{
	uint32_t rate = s->kms->set.session_creates_per_s;
	int64_t now_us = s->kms->now_us, cost_us;

	if (!rate)
		return true;
	cost_us = SL_SEC / rate;
	s->tokens_us = SL_MIN(s->tokens_us + now_us - s->rated_us, BURST_S * SL_SEC);
	s->rated_us = now_us;
	if (s->tokens_us < cost_us)
		return false;
	s->tokens_us -= cost_us;
	return true;
}

/* ================= its end ================= */

void kms_session_end(struct kms_session *s, bool release)
{
	struct kms *k = s->kms;

	(void)sl_hash_del(&k->rpc->sessions, s->id, sizeof(s->id) - 1);
	k->rpc->session_count--;
	kms_session_bind(s, NULL);
	sl_list_del(&s->in_all);
	kms_interests_free_of_session(s);
	while (!sl_list_empty(&s->calls))
		kms_call_set_session(SL_LIST_AT(s->calls.next, struct kms_call, in_session), NULL);
	while (!sl_list_empty(&s->refs)) {
		struct kms_ref *r = SL_LIST_AT(s->refs.next, struct kms_ref, in_session);

		if (release)
			kms_object_release(r->object);
		else
			let_go(s, r);
	}
	sl_free(s);
}

/* The whole of its id is the right to it. */
static void abandon(struct kms_session *s)
{
	SL_LOG(INFO, KURENTO, "session abandoned: nobody came back to it",
	       SL_KSTR("session", sl_str(s->id, 8)), SL_KU("objects", s->ref_count));
	kms_session_end(s, false);
}

void kms_sessions_collect(struct kms *k)
{
	SL_LIST_EACH(it, tmp, &k->rpc->all) {
		struct kms_session *s = SL_LIST_AT(it, struct kms_session, in_all);

		if (!s->in_use && !s->peer)
			abandon(s);
		else
			s->in_use = false;
	}
	if (k->rpc->session_count)
		kms_timer_set(k, &k->rpc->collector, k->now_us + k->set.gc_us);
}
