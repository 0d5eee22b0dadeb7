/* SPDX-License-Identifier: Apache-2.0
 * api/events.h — what happens, for whoever wants to know: over WebSocket and as server-sent events at /v1/events.
 * Other files of api/ only call the functions below, at the moment after the change; events.c makes JSON, numbers it,
 * keeps a bounded history (Last-Event-ID; a gap is announced) and feeds readers. State changes are never dropped
 * silently; a reader that does not keep up is closed with a reason. */
#ifndef SL_API_EVENTS_H
#define SL_API_EVENTS_H
#include "api/api_int.h"

struct api_json_out;
void api_event_room(struct sl_api *api, const struct api_room *r, const char *what);            /* "created", "changed", "ended" */
void api_event_participant(struct sl_api *api, const struct api_room *r, const struct api_session *s, const char *what); /* "joined", "left" */
void api_event_track(struct sl_api *api, const struct api_room *r, const struct api_session *s, const struct api_track *t,
		     const char *what);         /* "added", "removed", "changed" */
void api_event_session(struct sl_api *api, const struct api_room *r, const struct api_session *s, const char *what,
		       const char *cause);      /* "opened", "connected", "silent", "back", "closed" (cause: a sentence) */
void api_event_speaker(struct sl_api *api, const struct api_room *r, const struct api_session *s);
/* by: who sends what the player cannot take; NULL when that one has gone meanwhile. */
void api_event_mismatch(struct sl_api *api, const struct api_room *r,
			const struct api_session *player, const struct api_track *t,
			const struct api_session *by, enum sl_codec codec);
/* At most one a second for a reason; it says how many there were. `why` is in static storage. */
void api_event_overload(struct sl_api *api, const char *why);
/* A media loop cannot keep up, or can again: an SL_EV_LOAD. */
void api_event_load(struct sl_api *api, const struct sl_core_event *ev);

/* A session has become SESSION_OPEN: itself, its participant, its published tracks. */
void api_event_opened(struct sl_api *api, const struct api_room *r, const struct api_session *s);
/* It ends, while it is still SESSION_OPEN and its tracks are there: all that in reverse. */
void api_event_closed(struct sl_api *api, const struct api_room *r, const struct api_session *s, const char *cause);

/* ---- feed.c: statistics, merged for who is slow ---- */
enum { API_EVENT_MAX = 8192 };          /* of one event's text */
struct api_feed_place {                 /* a reader's walk through the sessions */
	bool walking, inside;
	uint32_t cursor;
	uint64_t tag;
	size_t part;
};
/* The next text and its session: false at the end of the walk. */
bool api_feed_next(struct sl_api *api, struct api_feed_place *p, const struct api_session **s,
		   const struct api_feed_text **text);
void api_feed_forget(struct api_session *s);
/* A reader who wanted statistics has gone. */
void api_feed_leave(struct sl_api *api);
void api_feed_tick(struct sl_api *api);
int64_t api_feed_wait_us(const struct sl_api *api);
/* ---- of events.c, for it ---- */
/* Does a reader want the statistics of that room? */
bool api_event_watched(struct sl_api *api, const struct api_room *r);
/* Readers whose time has come begin a walk. */
void api_event_readers_due(struct sl_api *api);
void api_event_put_time(struct api_json_out *o);

/* ---- for api.c ---- */
int api_events_new(struct sl_api *api) SL_MUST_USE;
void api_events_free(struct sl_api *api);
void api_events_get(struct api_conn *c);
struct api_ws_ops;
extern const struct api_ws_ops api_events_ws;
#endif
