/* SPDX-License-Identifier: Apache-2.0
 * api/feed.c — statistics for readers of events who ask for them (docs/events.md). Media loops are
 * asked about each session that such a reader watches, a few at a time; what a session's last
 * answer said is kept as text, in parts of a bounded size, and the next answer takes its place.
 * Readers walk through the sessions at their own pace, and so a slow one finds the newest numbers
 * instead of all of them: that is how statistics are merged. */
#include "api/events.h"
#include "api/json.h"
#include "api/rest.h"

enum {
	FLIGHT_MAX = 8,	 /* questions that wait for their answers */
	ROUND_MAX = 256, /* sessions asked about in one second */
	PER_PART = 12,	 /* subscriptions in one text */
	PARTS_MAX = 1 + (SL_TRACK_STATS_MAX + PER_PART - 1) / PER_PART
};

/* ================= texts ================= */

static void begin(struct api_json_out *o, const struct api_session *s)
{
	api_json_out_init(o, API_EVENT_MAX);
	api_json_open_object(o, NULL);
	api_json_put_z(o, "type", "stats");
	api_event_put_time(o);
	api_json_put_z(o, "room", s->room->name);
	api_json_put_z(o, "participant", s->publisher || s->join ? s->participant : NULL);
	api_json_put_z(o, "session", s->id);
}

static const struct api_track *track_of(const struct api_session *s, uint64_t id)
{
	for (size_t i = 0; i < s->track_count; i++)
		if (s->tracks[i].id == id)
			return &s->tracks[i];
	return NULL;
}

static void put_track(struct api_json_out *o, const struct api_track *t,
		      const struct sl_track_stats *stats)
{
	struct api_view_track_stats view;

	api_view_track_stats_of(stats, &view);
	api_json_open_object(o, NULL);
	api_json_put_z(o, "id", t->public_id);
	api_json_put_z(o, "kind", t->kind == SL_VIDEO ? "video" : "audio");
	api_write_object(o, "statistics",
			 t->publish ? &api_object_track_stats : &api_object_sub_stats, &view);
	api_json_close_object(o);
}

/* The transport, and what is published by it. */
static void write_session(const struct api_session *s, const struct sl_transport_stats *st,
			  struct api_json_out *o)
{
	struct api_view_session_stats view;
	struct api_answer a;

	api_answer_init(&a, NULL);
	api_view_session_stats_of(&a, st, &view);
	begin(o, s);
	api_write_object(o, "statistics", &api_object_session_stats, &view);
	api_json_open_array(o, "tracks");
	for (size_t i = 0; i < st->track_count; i++) {
		const struct api_track *t = track_of(s, st->tracks[i].id);

		if (t && t->publish)
			put_track(o, t, &st->tracks[i]);
	}
	api_json_close_array(o);
	api_json_close_object(o);
	sl_arena_fini(&a.arena);
}

/* The subscriptions that play something, PER_PART of them from *next on, which goes up. */
static size_t write_subscriptions(const struct api_session *s, const struct sl_transport_stats *st,
				  size_t *next, struct api_json_out *o)
{
	size_t n = 0;

	begin(o, s);
	api_json_open_array(o, "subscriptions");
	for (; *next < st->track_count && n < PER_PART; (*next)++) {
		const struct api_track *t = track_of(s, st->tracks[*next].id);

		if (!t || t->publish || !t->playing)
			continue;
		put_track(o, t, &st->tracks[*next]);
		n++;
	}
	api_json_close_array(o);
	api_json_close_object(o);
	return n;
}

void api_feed_forget(struct api_session *s)
{
	for (size_t i = 0; i < s->feed_count; i++)
		sl_free(s->feed[i].text);
	sl_free(s->feed);
	s->feed = NULL;
	s->feed_count = 0;
}

void api_feed_leave(struct sl_api *api)
{
	struct api_session *s;
	uint32_t cursor = 0;

	if (--api->feed.readers > 0)
		return;
	while ((s = sl_pool_next(&api->sessions, &cursor, NULL)))
		api_feed_forget(s);
}

/* What there is no memory for is left out until the next time. */
static void keep(struct api_session *s, const struct sl_transport_stats *st)
{
	struct api_feed_text *texts = sl_zalloc_array(PARTS_MAX, sizeof(*texts));
	struct api_json_out o;
	size_t n = 0, next = 0;

	if (!texts)
		return;
	write_session(s, st, &o);
	if (api_json_out_take(&o, &texts[n].text, &texts[n].len) == SL_OK)
		n++;
	while (n < PARTS_MAX && write_subscriptions(s, st, &next, &o) > 0)
		if (api_json_out_take(&o, &texts[n].text, &texts[n].len) == SL_OK)
			n++;
	api_json_out_fini(&o);
	api_feed_forget(s);
	s->feed = texts;
	s->feed_count = n;
}

/* ================= asking ================= */

static void ask_on(struct sl_api *api);

static void on_stats(void *arg, const struct sl_reply *r)
{
	struct api_op *op = arg;
	struct sl_api *api = op->api;
	struct api_session *s = api ? api_session_by_tag(api, op->session) : NULL;

	api_op_free(op);
	if (!api)
		return;
	api->feed.flying--;
	if (s && s->room && r->stats && api->feed.readers > 0)
		keep(s, r->stats);
	ask_on(api);
}

static bool ask(struct sl_api *api, struct api_session *s)
{
	struct api_op *op = api_op_new(api, NULL);

	if (!op)
		return false;
	op->session = s->tag;
	if (sl_core_stats_of(api->core, s->transport, on_stats, op) == SL_OK) {
		api->feed.flying++;
		return true;
	}
	api_op_free(op);
	return false;
}

/* A loop that is busy is left alone until the next round. */
static void ask_on(struct sl_api *api)
{
	struct api_feed *f = &api->feed;
	struct api_session *s;

	while (f->asking && f->flying < FLIGHT_MAX && f->asked < ROUND_MAX) {
		s = sl_pool_next(&api->sessions, &f->cursor, NULL);
		f->asking = s != NULL;
		if (!s || s->state != SESSION_OPEN || !s->room || !api_event_watched(api, s->room))
			continue;
		f->asked++;
		f->asking = ask(api, s);
	}
}

void api_feed_tick(struct sl_api *api)
{
	struct api_feed *f = &api->feed;
	int64_t now_us = api_now_us(api);

	if (f->readers == 0 || now_us < f->next_us)
		return;
	f->next_us = now_us + SL_SEC;
	f->asked = 0;
	/* What a round had no time for comes first in the next one. */
	if (!f->asking)
		f->cursor = 0;
	f->asking = true;
	ask_on(api);
	api_event_readers_due(api);
}

int64_t api_feed_wait_us(const struct sl_api *api)
{
	if (api->feed.readers == 0)
		return SL_NEVER;
	return SL_MAX(api->feed.next_us - api_now_us(api), 0);
}

/* ================= walking ================= */

bool api_feed_next(struct sl_api *api, struct api_feed_place *p, const struct api_session **s,
		   const struct api_feed_text **text)
{
	while (p->walking) {
		*s = p->inside ? api_session_by_tag(api, p->tag) : NULL;
		if (*s && (*s)->room && p->part < (*s)->feed_count) {
			*text = &(*s)->feed[p->part++];
			return true;
		}
		p->inside = p->walking = sl_pool_next(&api->sessions, &p->cursor, &p->tag) != NULL;
		p->part = 0;
	}
	return false;
}
