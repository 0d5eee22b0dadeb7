/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/event.c — subscriptions and notifications. A session hears once of an event, however
 * often it has subscribed to it; under each name by which it did. What happens while its connection
 * is away is lost to it. */
#include "api/kurento/rpc.h"
#include <stdio.h>

/* That a session wants an object's events of that name. */
struct interest {
	struct sl_list in_object, in_session;
	struct kms_session *session;
	struct kms_object *object;
	const struct kms_event_type *type;
	char *name;		      /* owned: as subscribed */
	struct sl_list subscriptions; /* never empty */
};
struct subscription {
	struct sl_list link;
	char id[37];
};

/* ================= subscriptions ================= */

static void subscription_free(struct interest *i, struct subscription *s)
{
	i->session->subscription_count--;
	sl_list_del(&s->link);
	sl_free(s);
}

static void interest_free(struct interest *i)
{
	while (!sl_list_empty(&i->subscriptions))
		subscription_free(i, SL_LIST_AT(i->subscriptions.next, struct subscription, link));
	sl_list_del(&i->in_object);
	sl_list_del(&i->in_session);
	sl_free(i->name);
	sl_free(i);
}

void kms_interests_free_of_session(struct kms_session *s)
{
	while (!sl_list_empty(&s->interests))
		interest_free(SL_LIST_AT(s->interests.next, struct interest, in_session));
}

void kms_interests_free_of_object(struct kms_object *o)
{
	while (!sl_list_empty(&o->subscriptions))
		interest_free(SL_LIST_AT(o->subscriptions.next, struct interest, in_object));
}

static struct interest *find(const struct kms_session *s, const struct kms_object *o,
			     struct sl_str name)
{
	SL_LIST_EACH(it, tmp, &o->subscriptions) {
		struct interest *i = SL_LIST_AT(it, struct interest, in_object);

		if (i->session == s && sl_str_eq(name, sl_str_z(i->name)))
			return i;
	}
	return NULL;
}

static struct interest *interest_new(struct kms_session *s, struct kms_object *o,
				     const struct kms_event_type *type, struct sl_str name)
{
	struct interest *i = sl_zalloc(sizeof(*i));

	if (!i)
		return NULL;
	i->name = sl_strndup(name.p, name.n);
	if (!i->name) {
		sl_free(i);
		return NULL;
	}
	i->session = s;
	i->object = o;
	i->type = type;
	sl_list_init(&i->subscriptions);
	sl_list_add(&o->subscriptions, &i->in_object);
	sl_list_add(&s->interests, &i->in_session);
	return i;
}

int kms_subscribe(struct kms_session *s, struct kms_object *o, const struct kms_event_type *type,
		  struct sl_str name, char id[37])
{
	struct subscription *sub;
	struct interest *i;

	if (s->kms->set.session_subscriptions &&
	    s->subscription_count >= s->kms->set.session_subscriptions)
		return SL_EFULL;
	sub = sl_zalloc(sizeof(*sub));
	if (!sub)
		return SL_ENOMEM;
	i = find(s, o, name);
	if (!i)
		i = interest_new(s, o, type, name);
	if (!i) {
		sl_free(sub);
		return SL_ENOMEM;
	}
	kms_uuid(s->kms, sub->id);
	sl_list_add(&i->subscriptions, &sub->link);
	s->subscription_count++;
	memcpy(id, sub->id, sizeof(sub->id));
	return SL_OK;
}

static bool remove_from(struct interest *i, struct sl_str id)
{
	SL_LIST_EACH(it, tmp, &i->subscriptions) {
		struct subscription *s = SL_LIST_AT(it, struct subscription, link);

		if (!sl_str_eq(id, sl_str_z(s->id)))
			continue;
		subscription_free(i, s);
		if (sl_list_empty(&i->subscriptions))
			interest_free(i);
		return true;
	}
	return false;
}

void kms_unsubscribe(struct kms_session *s, struct kms_object *o, struct sl_str id)
{
	SL_LIST_EACH(it, tmp, &o->subscriptions) {
		struct interest *i = SL_LIST_AT(it, struct interest, in_object);

		if (i->session == s && remove_from(i, id))
			return;
	}
}

/* ================= notifications ================= */

static bool wanted(const struct kms_object *o, const struct kms_event_type *type)
{
	SL_LIST_EACH(it, tmp, &o->subscriptions) {
		const struct interest *i = SL_LIST_AT(it, struct interest, in_object);

		if (i->type == type && i->session->peer)
			return true;
	}
	return false;
}

struct api_json_out *kms_event_begin(struct kms_object *o, const char *event)
{
	struct kms_rpc *rpc = o->kms->rpc;
	const struct kms_event_type *type;

	if (o->dying || o->kms->freeing || sl_list_empty(&o->subscriptions))
		return NULL;
	type = kms_event_find(o->class, sl_str_z(event));
	if (!type || !wanted(o, type))
		return NULL;
	SL_ASSERT(!rpc->event_of);
	rpc->event_of = o;
	rpc->event_type = type;
	rpc->event_typed = false;
	api_json_out_reset(&rpc->event);
	api_json_open_object(&rpc->event, NULL);
	return &rpc->event;
}

/* The names are words and the id is made of plain characters: neither needs escapes. rest: data
 * from behind the brace, whose own `type` is there already when typed. */
static void send_event(struct kms_peer *p, const char *id, const char *name, bool typed,
		       struct sl_str rest)
{
	size_t cap = rest.n + strlen(id) + 2 * strlen(name) + 128;
	char *text = sl_zalloc(cap);
	int n;

	if (!text) {
		p->fail(p);
		return;
	}
	n = snprintf(text, cap,
		     "{\"jsonrpc\":\"2.0\",\"method\":\"onEvent\",\"params\":{\"value\":{\"data\":{"
		     "%s%s%s%.*s,"
		     "\"object\":\"%s\",\"type\":\"%s\"}}}",
		     typed ? "" : "\"type\":\"", typed ? "" : name, typed ? "" : "\",",
		     SL_STR_ARG(rest), id, name);
	p->send(p, text, (size_t)n);
}

static void notify(struct kms_object *o, const struct kms_event_type *type, bool typed,
		   struct sl_str data)
{
	SL_LIST_EACH(it, tmp, &o->subscriptions) {
		const struct interest *i = SL_LIST_AT(it, struct interest, in_object);

		if (i->type == type && i->session->peer)
			send_event(i->session->peer, o->id, i->name, typed,
				   sl_str(data.p + 1, data.n - 1));
	}
}

void kms_event_end(struct kms_object *o)
{
	struct kms_rpc *rpc = o->kms->rpc;
	struct api_json_out *out = &rpc->event;
	int64_t wall_us = kms_wall_us();
	struct sl_str data;
	char text[24];

	SL_ASSERT(rpc->event_of == o);
	rpc->event_of = NULL;
	api_json_put_z(out, "source", o->id);
	if (o->send_tags) {
		kms_put_tags(out, "tags", o);
	} else {
		api_json_open_array(out, "tags");
		api_json_close_array(out);
	}
	(void)sl_fmt(text, sizeof(text), "%lld", (long long)(wall_us / SL_SEC));
	api_json_put_z(out, "timestamp", text);
	(void)sl_fmt(text, sizeof(text), "%lld", (long long)(wall_us / SL_MS));
	api_json_put_z(out, "timestampMillis", text);
	api_json_close_object(out);
	if (api_json_out_text(out, &data) == SL_OK)
		notify(o, rpc->event_type, rpc->event_typed, data);
}

void kms_event(struct kms_object *o, const char *event)
{
	if (kms_event_begin(o, event))
		kms_event_end(o);
}

void kms_event_error(struct kms_object *o, const char *type, int code, const char *fmt, ...)
{
	struct api_json_out *out = kms_event_begin(o, "Error");
	char text[512];
	va_list ap;

	if (!out)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	o->kms->rpc->event_typed = true;
	api_json_put_z(out, "description", text);
	api_json_put_int(out, "errorCode", code);
	api_json_put_z(out, "type", type);
	kms_event_end(o);
}
