/* SPDX-License-Identifier: Apache-2.0
 * api/api.h — HTTP on one port: WHIP, WHEP, health, metrics and the page.
 * What:      takes offers over HTTP, keeps rooms and who is in them, and tells the media loops
 *            (core/core.h) which transports exist and which publisher each player hears and sees.
 *            Not: media, sockets of media, config.
 * Paths:     POST /whip/{room}[?participant=NAME], POST /whep/{room}[/{participant}], PATCH and
 *            DELETE /sessions/{id}, /healthz, /readyz, /metrics, the page at /. OPTIONS everywhere.
 *            docs/http.md has them for users.
 * RFCs:      9725 (WHIP), draft-ietf-wish-whep, 9112 and 9110 (HTTP), 9457 (problem bodies),
 *            8840 (sdpfrag), 6750 (Bearer).
 * Deviates:  one request per connection: libwebsockets' parser is lenient in ways that let a second
 *            request hide in the first (bare LF, "content-length :"), so nothing that follows a
 *            request is ever taken for another. It also decodes the path before we see it: "%2F"
 *            parts segments and "+" is a blank. Names have neither, so no name is ambiguous.
 * Words:     room: a name, its publishers (participants) and its players. session: one WHIP or WHEP
 *            peer, by an id of 128 random bits; it owns one transport of core. slot: a player's
 *            k-th audio and k-th video m-line, which play one participant. op: a request that waits
 *            for a media loop's reply.
 * Flow:      listen.c accepts and caps; http.c reads a request through libwebsockets; guard.c and
 *            auth.c judge it; a handler (whip.c, metrics.c, health.c, assets.c) answers by
 *            api_respond() or api_problem(), now or in a reply of core.
 * Threads:   the control thread only. Nothing here blocks.
 * Memory:    every table is bounded by config. Past a bound, or out of memory, that one request
 *            gets 503.
 * Start at:  sl_api_new(), then api_whip_post() in whip.c and api_room_changed() in room.c. */
#ifndef SL_API_H
#define SL_API_H
#include "core/core.h"

struct sl_api;
struct sl_rng;
struct uv_loop_s;

/* A join token (`sluice token`): rights as "publish,subscribe,admin". Its length, or an error with
 * *why filled. */
SL_MUST_USE int sl_api_make_token(const struct sl_config *conf, const char *room, const char *participant,
				  const char *rights, uint32_t ttl_s, int64_t wall_us, char *out,
				  size_t cap, struct sl_core_why *why);
/* Listens on http.bind:http.port. conf, core, loop and what rng stands on must outlive the api.
 * SL_EIO or SL_ENOMEM with *why filled. */
SL_MUST_USE int sl_api_new(const struct sl_config *conf, struct sl_core *core,
			   struct uv_loop_s *loop, const struct sl_rng *rng, struct sl_api **out,
			   struct sl_core_why *why);
/* Closes the listener and every connection and runs the loop until their handles are closed, so
 * that uv_loop_close() can succeed. Sessions are not closed: sl_core_free() does that. Replies that
 * come later are ignored. Takes NULL. */
void sl_api_free(struct sl_api *api);
/* Events of the core; the composition root forwards each. */
void sl_api_event(struct sl_api *api, const struct sl_core_event *ev);
/* The port that is really listened on. */
uint16_t sl_api_port(const struct sl_api *api);
/* No new sessions from now on: 503 with Retry-After, also from /readyz. The present ones go on. */
void sl_api_drain(struct sl_api *api);
/* Sessions that are there, those whose transport is still being closed included. */
size_t sl_api_sessions(const struct sl_api *api);
/* Reads http.cert and http.key again; connections that exist keep the old one. What cannot be read
 * changes nothing. */
void sl_api_reload_cert(struct sl_api *api);
#endif
