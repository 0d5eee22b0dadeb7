/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/graph.c — elements → routes: what changed is worked off at the end of the turn. */
#include "api/kurento/graph.h"
#include "core/base/mem.h"

enum { AGAIN_MIN_MS = 20, AGAIN_MAX_MS = 1000 };

static const enum kms_media media_of[SL_KIND_COUNT] = {KMS_AUDIO, KMS_VIDEO};

bool kms_is_endpoint(const struct kms_element *e)
{
	return e->ops && e->ops->publisher;
}

static struct kms_graph *graph_of(const struct kms_element *e)
{
	return e->o.kms->graph;
}

/* ---- following the graph ---- */

static struct kms_element *source_of(const struct kms_element *e, enum kms_media media)
{
	return e->source[media] ? e->source[media]->source : NULL;
}

/* Who feeds the output of an element that is no endpoint: one step up. */
static struct kms_element *above(struct kms_element *e, enum kms_media media)
{
	if (e->ops && e->ops->feeds)
		e = e->ops->feeds(e, media);
	return e ? source_of(e, media) : NULL;
}

/* The endpoint whose media comes out of an element: upwards to one, or to what was found out in
 * this look, and noted on the way, so that a look goes each way once. What is on the way has no
 * origin until it is found: so a circle has none. */
static struct kms_element *origin_of(struct kms_element *e, enum kms_media media)
{
	struct kms_element *top = e;
	struct kms_element *origin;
	uint64_t look = e ? graph_of(e)->look : 0;

	while (top && !kms_is_endpoint(top) && top->origin_look[media] != look) {
		top->origin_look[media] = look;
		top->origin[media] = NULL;
		top = above(top, media);
	}
	origin = !top || kms_is_endpoint(top) ? top : top->origin[media];
	for (; e != top; e = above(e, media))
		e->origin[media] = origin;
	return origin;
}

static struct kms_element *feeder_of(struct kms_element *e, enum kms_media media)
{
	return origin_of(source_of(e, media), media);
}

struct kms_element *kms_graph_origin(struct kms_element *e, enum kms_media media)
{
	graph_of(e)->look++;
	return feeder_of(e, media);
}

/* ---- what is due ---- */

static void on_timer(uv_timer_t *t)
{
	kms_graph_flush(SL_CONTAINER(t, struct kms_graph, timer));
}

/* Tries again later, unless the end of this turn comes first. */
static void arm_again(struct kms_graph *g)
{
	if (uv_is_active((uv_handle_t *)&g->timer))
		return;
	uv_timer_start(&g->timer, on_timer, g->again_ms, 0);
	g->again_ms = SL_MIN(g->again_ms * 2, AGAIN_MAX_MS);
}

/* An element that has left is in no list any more, and comes into none. */
static void note(struct sl_list *list, struct kms_element *e, bool in, bool out)
{
	e->due_in |= in;
	e->due_out |= out;
	if (sl_list_empty(&e->due))
		sl_list_add(list, &e->due);
}

/* A timer without delay ends before the loop waits for anything. */
static void change(struct kms_element *e, bool in, bool out)
{
	struct kms_graph *g = graph_of(e);

	if (!g || e->o.kms->freeing)
		return;
	note(&g->changed, e, in, out);
	uv_timer_start(&g->timer, on_timer, 0, 0);
}

void kms_graph_changed(struct kms_element *e)
{
	change(e, true, true);
}

/* ---- routes ---- */

static void ask(struct kms_graph *g, struct kms_route *r);

static void ask_again(struct kms_graph *g, struct kms_route *r)
{
	if (sl_list_empty(&r->in_again))
		sl_list_add(&g->again, &r->in_again);
	arm_again(g);
}

/* A subscriber or publisher that core does not know has ended; its endpoint hears of that and says
 * that it changed. Until then, and for all else, it is worth another try. */
static void on_routed(void *arg, const struct sl_reply *reply)
{
	struct kms_route *r = arg;
	struct kms_graph *g;

	r->asked = false;
	if (!r->element) {
		sl_free(r);
		return;
	}
	g = graph_of(r->element);
	if (reply->err) {
		ask_again(g, r);
		return;
	}
	g->again_ms = AGAIN_MIN_MS;
	r->told = r->asking;
	ask(g, r);
}

static void ask(struct kms_graph *g, struct kms_route *r)
{
	if (r->asked || r->wanted == r->told)
		return;
	r->asked = true;
	r->asking = r->wanted;
	if (g->set_route(g->k->core, r->subscriber, r->wanted, on_routed, r) == SL_OK)
		return;
	r->asked = false;
	ask_again(g, r);
}

static void drop_route(struct kms_route *r)
{
	sl_list_del(&r->in_element);
	sl_list_del(&r->in_again);
	r->element = NULL;
	if (!r->asked)
		sl_free(r);
}

static struct kms_route *route_at(struct kms_element *e, enum sl_kind kind, unsigned unit)
{
	SL_LIST_EACH(it, tmp, &e->routes) {
		struct kms_route *r = SL_LIST_AT(it, struct kms_route, in_element);

		if (r->kind == kind && r->unit == unit)
			return r;
	}
	return NULL;
}

static struct kms_route *new_route(struct kms_element *e, enum sl_kind kind, unsigned unit,
				   uint64_t subscriber)
{
	struct kms_route *r = sl_zalloc(sizeof(*r));

	if (!r)
		return NULL;
	r->element = e;
	r->kind = kind;
	r->unit = unit;
	r->subscriber = subscriber;
	sl_list_init(&r->in_again);
	sl_list_add(&e->routes, &r->in_element);
	return r;
}

/* What the subscriber is to play. A new one plays nothing, so nothing is what need not be said. */
static void want(struct kms_element *e, enum sl_kind kind, unsigned unit, uint64_t subscriber,
		 uint64_t publisher)
{
	struct kms_graph *g = graph_of(e);
	struct kms_route *r = route_at(e, kind, unit);

	if (r && r->subscriber != subscriber) {
		drop_route(r);
		r = NULL;
	}
	if (!subscriber || (!r && !publisher))
		return;
	if (!r)
		r = new_route(e, kind, unit, subscriber);
	if (!r) {
		note(&g->changed, e, true, false);
		arm_again(g);
		return;
	}
	if (r->wanted != publisher && e->ops->routed)
		e->ops->routed(e, kind, unit, publisher);
	r->wanted = publisher;
	ask(g, r);
}

/* Publisher unit k feeds subscriber unit k. */
static void route_endpoint(struct kms_element *e)
{
	for (unsigned kind = 0; kind < SL_KIND_COUNT; kind++) {
		struct kms_element *from = feeder_of(e, media_of[kind]);

		for (unsigned unit = 0; unit < KMS_UNITS_MAX; unit++) {
			uint64_t sub = e->ops->subscriber(e, kind, unit);
			uint64_t pub = from && sub ? from->ops->publisher(from, kind, unit) : 0;

			want(e, kind, unit, sub, pub);
		}
	}
}

/* ---- flow ---- */

static void raise_flow(struct kms_element *e, const char *event, enum kms_media media,
		       bool flowing)
{
	struct api_json_out *out = kms_event_begin(&e->o, event);

	if (!out)
		return;
	api_json_put_z(out, "state", flowing ? "FLOWING" : "NOT_FLOWING");
	api_json_put_z(out, "padName", "default");
	api_json_put_z(out, "mediaType", kms_media_word(media));
	kms_event_end(&e->o);
}

/* Once for each kind of media: it goes on as it came, and stays so. */
static void raise_passed(struct kms_element *e, enum kms_media media)
{
	struct api_json_out *out;

	if (e->passed[media] || !e->flowing_out[media] || sl_list_empty(&e->sinks[media]))
		return;
	e->passed[media] = true;
	out = kms_event_begin(&e->o, "MediaTranscodingStateChanged");
	if (!out)
		return;
	api_json_put_z(out, "state", "NOT_TRANSCODING");
	api_json_put_z(out, "binName", "default");
	api_json_put_z(out, "mediaType", kms_media_word(media));
	kms_event_end(&e->o);
}

static void set_in(struct kms_element *e, enum kms_media media, bool flowing)
{
	if (e->flowing_in[media] == flowing)
		return;
	e->flowing_in[media] = flowing;
	raise_flow(e, "MediaFlowInStateChanged", media, flowing);
}

static void set_out(struct kms_element *e, enum kms_media media, bool flowing)
{
	if (e->flowing_out[media] != flowing) {
		e->flowing_out[media] = flowing;
		raise_flow(e, "MediaFlowOutStateChanged", media, flowing);
	}
	raise_passed(e, media);
}

static bool flows(const struct kms_element *origin, enum kms_media media)
{
	return origin && origin->flowing_out[media];
}

/* Between endpoints: what its origin's peer sends flows through it. */
static void follow_flow(struct kms_element *e)
{
	for (unsigned kind = 0; kind < SL_KIND_COUNT; kind++) {
		enum kms_media media = media_of[kind];

		set_in(e, media, flows(feeder_of(e, media), media));
		set_out(e, media, flows(origin_of(e, media), media));
	}
}

void kms_element_flow(struct kms_element *e, enum kms_media media, bool from_peer, bool flowing)
{
	if (!from_peer) {
		set_in(e, media, flowing);
		return;
	}
	set_out(e, media, flowing);
	change(e, false, true);
}

/* ---- a turn ---- */

struct walk {
	struct kms_graph *g;
	struct sl_list list;
};

/* What was done in this turn is not done again: that ends circles. */
static void due(struct walk *w, struct kms_element *e, bool in, bool out)
{
	in = in && e->turn_in != w->g->turn;
	out = out && e->turn_out != w->g->turn;
	if (in || out)
		note(&w->list, e, in, out);
}

static void due_output(struct kms_element *fed, void *arg)
{
	due(arg, fed, false, true);
}

static void walk_in(struct walk *w, struct kms_element *e)
{
	e->turn_in = w->g->turn;
	if (kms_is_endpoint(e)) {
		route_endpoint(e);
		return;
	}
	follow_flow(e);
	if (!e->ops || !e->ops->each_fed) {
		due(w, e, false, true);
		return;
	}
	for (unsigned media = 0; media < KMS_MEDIA_COUNT; media++)
		e->ops->each_fed(e, media, due_output, w);
}

static void walk_out(struct walk *w, struct kms_element *e)
{
	e->turn_out = w->g->turn;
	if (!kms_is_endpoint(e))
		follow_flow(e);
	for (unsigned media = 0; media < KMS_MEDIA_COUNT; media++) {
		SL_LIST_EACH(it, tmp, &e->sinks[media])
			due(w, SL_LIST_AT(it, struct kms_link, in_source)->sink, true, false);
	}
}

/* Takes what is due off the element first: what changes from now on is due anew. What was done in
 * this turn and is due again was changed by an endpoint that heard of its route: next turn. */
static void walk(struct walk *w, struct kms_element *e)
{
	bool in = e->due_in;
	bool out = e->due_out;

	sl_list_del(&e->due);
	e->due_in = e->due_out = false;
	if ((in && e->turn_in == w->g->turn) || (out && e->turn_out == w->g->turn)) {
		change(e, in, out);
		return;
	}
	if (in)
		walk_in(w, e);
	if (out)
		walk_out(w, e);
}

static void move(struct sl_list *to, struct sl_list *from)
{
	sl_list_init(to);
	while (!sl_list_empty(from)) {
		struct sl_list *first = from->next;

		sl_list_del(first);
		sl_list_add(to, first);
	}
}

void kms_graph_flush(struct kms_graph *g)
{
	struct walk w = {.g = g};
	struct sl_list again;

	g->turn++;
	g->look++;
	move(&again, &g->again);
	move(&w.list, &g->changed);
	while (!sl_list_empty(&w.list))
		walk(&w, SL_LIST_AT(w.list.next, struct kms_element, due));
	while (!sl_list_empty(&again)) {
		struct kms_route *r = SL_LIST_AT(again.next, struct kms_route, in_again);

		sl_list_del(&r->in_again);
		ask(g, r);
	}
}

/* ---- links ---- */

struct kms_link *kms_link_new(struct kms_element *source, struct kms_element *sink,
			      enum kms_media media)
{
	struct kms_link *l = sl_zalloc(sizeof(*l));

	if (l)
		*l = (struct kms_link){.source = source, .sink = sink, .media = media};
	return l;
}

void kms_link_add(struct kms_link *l)
{
	kms_unlink(l->sink, l->media);
	l->sink->source[l->media] = l;
	sl_list_add(&l->source->sinks[l->media], &l->in_source);
	change(l->sink, true, false);
	raise_passed(l->source, l->media);
}

void kms_unlink(struct kms_element *sink, enum kms_media media)
{
	struct kms_link *l = sink->source[media];

	if (!l)
		return;
	sink->source[media] = NULL;
	sl_list_del(&l->in_source);
	sl_free(l);
	change(sink, true, false);
}

void kms_graph_enter(struct kms_element *e)
{
	sl_list_init(&e->due);
	sl_list_init(&e->routes);
	for (unsigned media = 0; media < KMS_MEDIA_COUNT; media++)
		sl_list_init(&e->sinks[media]);
}

void kms_graph_leave(struct kms_element *e)
{
	if (!e->due.next)
		return;
	for (unsigned media = 0; media < KMS_MEDIA_COUNT; media++) {
		kms_unlink(e, media);
		while (!sl_list_empty(&e->sinks[media]))
			kms_unlink(SL_LIST_AT(e->sinks[media].next, struct kms_link, in_source)->sink,
				   media);
	}
	SL_LIST_EACH(it, tmp, &e->routes)
		drop_route(SL_LIST_AT(it, struct kms_route, in_element));
	sl_list_del(&e->due);
	e->due.next = NULL;
}

/* ---- the whole ---- */

int kms_graph_init(struct kms *k)
{
	struct kms_graph *g = sl_zalloc(sizeof(*g));

	if (!g)
		return SL_ENOMEM;
	g->k = k;
	g->set_route = sl_core_route;
	g->again_ms = AGAIN_MIN_MS;
	sl_list_init(&g->changed);
	sl_list_init(&g->again);
	uv_timer_init(k->loop, &g->timer);
	k->graph = g;
	return SL_OK;
}

static void on_closed(uv_handle_t *h)
{
	sl_free(SL_CONTAINER(h, struct kms_graph, timer));
}

void kms_graph_fini(struct kms *k)
{
	if (!k->graph)
		return;
	uv_close((uv_handle_t *)&k->graph->timer, on_closed);
	k->graph = NULL;
}
