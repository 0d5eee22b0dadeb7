/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/kms.c — the engine as a whole: begin, end, time. */
#include "api/kurento/rpc.h"
#include <time.h>

/* Generous: a server of a thousand calls stays far below. */
void kms_set_default(struct kms_set *set)
{
	*set = (struct kms_set){
		.path = "kurento",
		.gc_us = 240 * SL_SEC,
		.exception_limit = 0.8,
		.max_sessions = 10000,
		.max_objects = 100000,
		.max_pipelines = 20000,
		.session_objects = 50000,
		.session_subscriptions = 100000,
		.session_creates_per_s = 1000,
		.calls = 20000,
		.messages_per_s = 1000,
	};
}

void kms_set_config(struct kms_set *set, const struct sl_config *conf)
{
	*set = (struct kms_set){
		.gc_us = conf->kurento.gc_us,
		.no_cache = !conf->kurento.cache,
		.exception_limit = conf->kurento.exception_percent / 100.0,
		.max_sessions = conf->kurento.max_sessions,
		.max_objects = conf->kurento.max_objects,
		.max_pipelines = conf->kurento.max_pipelines,
		.session_objects = conf->kurento.session_objects,
		.session_subscriptions = conf->kurento.session_subscriptions,
		.session_creates_per_s = conf->kurento.session_creates_per_s,
		.calls = conf->kurento.max_calls,
		.messages_per_s = conf->kurento.messages_per_s,
	};
	(void)sl_fmt(set->path, sizeof(set->path), "%s", conf->kurento.path);
	(void)sl_fmt(set->metadata, sizeof(set->metadata), "%s", conf->kurento.metadata);
}

int64_t kms_now_us(const struct kms *k)
{
	return k->now_us;
}

int64_t kms_wall_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * SL_SEC + now.tv_nsec / 1000;
}

/* RFC 9562 section 5.4. */
void kms_uuid(struct kms *k, char out[37])
{
	uint8_t b[16];

	sl_rng_fill(&k->rng, b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	(void)sl_fmt(out, 37,
		     "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
		     b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		     b[13], b[14], b[15]);
}

/* ================= time ================= */

static void wake(struct kms *k)
{
	if (k->wake)
		k->wake(k);
}

void kms_defer(struct kms *k, struct kms_work *w)
{
	if (w->link.next && !sl_list_empty(&w->link))
		return;
	sl_list_add(&k->works, &w->link);
	wake(k);
}

void kms_undefer(struct kms_work *w)
{
	sl_list_del(&w->link);
}

void kms_timer_set(struct kms *k, struct kms_timer *t, int64_t at_us)
{
	bool earlier = at_us < kms_next_us(k);

	sl_list_del(&t->link);
	t->at_us = at_us;
	sl_list_add(&k->timers, &t->link);
	if (earlier)
		wake(k);
}

void kms_timer_unset(struct kms_timer *t)
{
	sl_list_del(&t->link);
}

/* A handful. */
int64_t kms_next_us(const struct kms *k)
{
	int64_t next_us = sl_list_empty(&k->works) ? SL_NEVER : k->now_us;

	SL_LIST_EACH(it, tmp, &k->timers)
		next_us = SL_MIN(next_us, SL_LIST_AT(it, struct kms_timer, link)->at_us);
	return next_us;
}

static struct kms_timer *due(struct kms *k)
{
	SL_LIST_EACH(it, tmp, &k->timers) {
		struct kms_timer *t = SL_LIST_AT(it, struct kms_timer, link);

		if (t->at_us <= k->now_us)
			return t;
	}
	return NULL;
}

/* What is put off while this runs waits for the next turn. */
static void do_works(struct kms *k)
{
	struct sl_list now;

	if (sl_list_empty(&k->works))
		return;
	sl_list_init(&now);
	sl_list_add(&k->works, &now);
	sl_list_del(&k->works);
	while (!sl_list_empty(&now)) {
		struct kms_work *w = SL_LIST_AT(now.next, struct kms_work, link);

		sl_list_del(&w->link);
		w->fn(w);
	}
}

void kms_tick(struct kms *k, int64_t now_us)
{
	struct kms_timer *t;

	k->now_us = SL_MAX(k->now_us, now_us);
	while ((t = due(k)) != NULL) {
		sl_list_del(&t->link);
		t->fn(t);
	}
	do_works(k);
}

/* ================= begin and end ================= */

int kms_new(const struct sl_config *conf, struct sl_core *core, struct uv_loop_s *loop,
	    const struct sl_rng *rng, struct kms **out)
{
	struct kms *k = sl_zalloc(sizeof(*k));
	int err;

	if (!k)
		return SL_ENOMEM;
	k->conf = conf;
	k->core = core;
	k->loop = loop;
	k->rng = *rng;
	if (conf)
		kms_set_config(&k->set, conf);
	else
		kms_set_default(&k->set);
	sl_list_init(&k->works);
	sl_list_init(&k->timers);
	sl_list_init(&k->pipelines);
	kms_uuid(k, k->server_id);
	err = kms_objects_init(k);
	if (!err)
		err = kms_rpc_init(k);
	if (!err)
		err = kms_graph_init(k);
	if (!err)
		err = kms_manager_new(k);
	if (err)
		kms_free(k);
	else
		*out = k;
	return err;
}

void kms_free(struct kms *k)
{
	if (!k)
		return;
	k->freeing = true;
	kms_rpc_fini(k);
	kms_objects_fini(k);
	kms_endpoints_fini(k);
	kms_graph_fini(k);
	sl_free(k);
}
