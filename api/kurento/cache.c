/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/cache.c — answers are kept for 20 s: a client that lost its connection, or its
 * patience, asks the same again under the same id, and must not be served twice. Bounded in bytes;
 * the oldest go first. */
#include "api/kurento/rpc.h"

enum { BYTES_MAX = 16 << 20, ENTRY_BYTES = 256, WAITS_MAX = 16 };
#define KEEP_US (20 * SL_SEC)

struct kms_cached {
	struct sl_list link;  /* of rpc->answers, once it is there */
	struct sl_list waits; /* who asked meanwhile */
	unsigned wait_count;
	uint64_t key[2];
	struct sl_str text; /* owned; NULL: not there yet */
	int64_t until_us;
};
struct wait {
	struct sl_list in_cached, in_peer;
	struct kms_peer *peer;
};

static void make_key(const struct kms *k, const char *session_id, const char *request_id,
		     uint64_t key[2])
{
	char text[40 + 8 * KMS_ID_MAX];

	(void)sl_fmt(text, sizeof(text), "%s %s", session_id, request_id);
	key[0] = sl_siphash13(k->rpc->secret, text, strlen(text));
	key[1] = sl_siphash13(k->rpc->secret + 2, text, strlen(text));
}

static void wait_free(struct wait *w)
{
	sl_list_del(&w->in_cached);
	sl_list_del(&w->in_peer);
	sl_free(w);
}

static void drop(struct kms *k, struct kms_cached *e)
{
	(void)sl_hash_del(&k->rpc->cached, e->key, sizeof(e->key));
	sl_list_del(&e->link);
	SL_LIST_EACH(it, tmp, &e->waits)
		wait_free(SL_LIST_AT(it, struct wait, in_cached));
	if (e->text.p)
		k->rpc->cached_bytes -= e->text.n + ENTRY_BYTES;
	sl_free((char *)(uintptr_t)e->text.p);
	sl_free(e);
}

static void send_copy(struct kms_peer *p, struct sl_str text)
{
	char *copy = sl_strndup(text.p, text.n);

	if (copy)
		p->send(p, copy, text.n);
	else
		p->fail(p);
}

static void wait_for(struct kms_cached *e, struct kms_peer *p)
{
	struct wait *w = e->wait_count < WAITS_MAX ? sl_zalloc(sizeof(*w)) : NULL;

	if (!w) {
		p->fail(p);
		return;
	}
	w->peer = p;
	e->wait_count++;
	sl_list_add(&e->waits, &w->in_cached);
	sl_list_add(&p->waits, &w->in_peer);
}

bool kms_cache_ask(struct kms_peer *p, const char *session_id, const char *request_id)
{
	struct kms *k = p->kms;
	struct kms_cached *e;
	uint64_t key[2];

	if (k->set.no_cache)
		return false;
	kms_cache_clean(k);
	make_key(k, session_id, request_id, key);
	e = sl_hash_get(&k->rpc->cached, key, sizeof(key));
	if (!e)
		return false;
	if (e->text.p)
		send_copy(p, e->text);
	else
		wait_for(e, p);
	return true;
}

void kms_cache_begin(struct kms_call *c)
{
	struct kms *k = c->kms;
	struct kms_cached *e;

	if (k->set.no_cache || !c->id || !c->session_id[0])
		return;
	e = sl_zalloc(sizeof(*e));
	if (!e)
		return;
	sl_list_init(&e->waits);
	make_key(k, c->session_id, c->id, e->key);
	while (k->rpc->cached.count >= k->rpc->cached.max && !sl_list_empty(&k->rpc->answers))
		drop(k, SL_LIST_AT(k->rpc->answers.next, struct kms_cached, link));
	if (sl_hash_put(&k->rpc->cached, e->key, sizeof(e->key), e) != SL_OK) {
		sl_free(e);
		return;
	}
	c->cached = e;
}

static void keep(struct kms *k, struct kms_cached *e, struct sl_str text)
{
	char *copy = sl_strndup(text.p, text.n);

	if (!copy) {
		drop(k, e);
		return;
	}
	e->text = sl_str(copy, text.n);
	e->until_us = k->now_us + KEEP_US;
	k->rpc->cached_bytes += text.n + ENTRY_BYTES;
	sl_list_add(&k->rpc->answers, &e->link);
	while (k->rpc->cached_bytes > BYTES_MAX)
		drop(k, SL_LIST_AT(k->rpc->answers.next, struct kms_cached, link));
	kms_cache_clean(k);
}

void kms_cache_end(struct kms_call *c, struct sl_str text)
{
	struct kms_cached *e = c->cached;

	if (!e)
		return;
	c->cached = NULL;
	SL_LIST_EACH(it, tmp, &e->waits) {
		struct wait *w = SL_LIST_AT(it, struct wait, in_cached);

		send_copy(w->peer, text);
		wait_free(w);
	}
	keep(c->kms, e, text);
}

void kms_cache_forget(struct kms_call *c)
{
	struct kms_cached *e = c->cached;

	if (!e)
		return;
	c->cached = NULL;
	SL_LIST_EACH(it, tmp, &e->waits) {
		struct wait *w = SL_LIST_AT(it, struct wait, in_cached);

		w->peer->fail(w->peer);
	}
	drop(c->kms, e);
}

void kms_waits_free(struct kms_peer *p)
{
	while (!sl_list_empty(&p->waits))
		wait_free(SL_LIST_AT(p->waits.next, struct wait, in_peer));
}

/* The oldest are the first to be over. */
void kms_cache_clean(struct kms *k)
{
	struct sl_list *answers = &k->rpc->answers;

	while (!sl_list_empty(answers)) {
		struct kms_cached *e = SL_LIST_AT(answers->next, struct kms_cached, link);

		if (e->until_us > k->now_us) {
			kms_timer_set(k, &k->rpc->cleaner, e->until_us);
			return;
		}
		drop(k, e);
	}
	kms_timer_unset(&k->rpc->cleaner);
}

void kms_cache_fini(struct kms *k)
{
	while (!sl_list_empty(&k->rpc->answers))
		drop(k, SL_LIST_AT(k->rpc->answers.next, struct kms_cached, link));
}
