/* SPDX-License-Identifier: Apache-2.0
 * api/events.h — what happens, for whoever wants to know: over WebSocket and as server-sent events at /v1/events.
 * Other files of api/ only call the functions below, at the moment after the change; events.c makes JSON, numbers it,
 * keeps a bounded history (Last-Event-ID; a gap is announced) and feeds readers. State changes are never dropped
 * silently; a reader that does not keep up is closed with a reason. */
#ifndef SL_API_EVENTS_H
#define SL_API_EVENTS_H
#include "api/api_int.h"

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

/* ---- for api.c ---- */
int api_events_new(struct sl_api *api) SL_MUST_USE;
void api_events_free(struct sl_api *api);
void api_events_get(struct api_conn *c);
struct api_ws_ops;
extern const struct api_ws_ops api_events_ws;
#endif
