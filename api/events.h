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
void api_event_mismatch(struct sl_api *api, const struct api_room *r, const struct api_session *player, const struct api_track *t,
			enum sl_codec codec);
void api_event_overload(struct sl_api *api, const char *why);
#endif
