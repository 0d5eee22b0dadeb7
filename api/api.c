/* SPDX-License-Identifier: Apache-2.0
 * api/api.c — start, end, paths, and events of core. */
#include "api/join.h"
#include "api/events.h"
#include "api/rest.h"

#define BIT(m) (1 << API_##m)
#define READ (BIT(GET) | BIT(HEAD))
#define EDIT (BIT(PATCH) | BIT(DELETE))
#define SDP "application/sdp"
#define FRAG "application/trickle-ice-sdpfrag"
#define JSON "application/json"
#define ROOM (BIT(PUT) | READ | EDIT)

/* clang-format off */
static const struct api_route routes[] = {
	/* path     methods    cors   scope               body  OPTIONS says    handler              upgrade */
	{"whip/*",     BIT(POST), true,  API_ROOM_PUBLISH,   SDP,  "Accept-Post",  api_whip_post, NULL},
	{"whep/*",     BIT(POST), true,  API_ROOM_SUBSCRIBE, SDP,  "Accept-Post",  api_whip_post, NULL},
	{"whep/*/*",   BIT(POST), true,  API_ROOM_SUBSCRIBE, SDP,  "Accept-Post",  api_whip_post, NULL},
	{"sessions/*", EDIT,      true,  API_OWN_SESSION,    FRAG, "Accept-Patch", api_session_request, NULL},
	{"v1/rooms/*/join", BIT(GET), false, API_ROOM_JOIN, NULL, NULL,       api_ws_only, &api_join_ws},
	{"v1/openapi.json", READ, false, API_STATIC, NULL, NULL, api_openapi_get, NULL},
	{"v1/rooms", READ, false, API_STATIC, NULL, NULL, api_rest_rooms, NULL},
	{"v1/rooms/*", ROOM, false, API_ROOM_ADMIN, JSON, "Accept-Patch", api_rest_room, NULL},
	{"v1/rooms/*/participants", READ, false, API_ROOM_ADMIN, NULL, NULL,
	 api_rest_participants, NULL},
	{"v1/rooms/*/participants/*", READ | BIT(DELETE), false, API_ROOM_ADMIN, NULL, NULL,
	 api_rest_participant, NULL},
	{"v1/rooms/*/participants/*/tracks", READ, false, API_ROOM_ADMIN, NULL, NULL,
	 api_rest_participant_tracks, NULL},
	{"v1/tracks/*", READ | BIT(PATCH), false, API_STATIC, JSON, "Accept-Patch",
	 api_rest_track, NULL},
	{"v1/sessions", READ, false, API_STATIC, NULL, NULL, api_rest_sessions, NULL},
	{"v1/sessions/*", READ | EDIT, false, API_STATIC, JSON, "Accept-Patch",
	 api_rest_session, NULL},
	{"v1/subscriptions/*", READ | BIT(PATCH), false, API_STATIC, JSON, "Accept-Patch",
	 api_rest_subscription, NULL},
	{"v1/loops", READ, false, API_STATIC, NULL, NULL, api_rest_loops, NULL},
	{"v1/config", READ | BIT(PATCH), false, API_STATIC, JSON, "Accept-Patch",
	 api_rest_config, NULL},
	{"v1/events",  BIT(GET),  false, API_STATIC,         NULL, NULL,           api_events_get, &api_events_ws},
	{"metrics",    READ,      false, API_STATIC,         NULL, NULL,           api_metrics_get, NULL},
	{"healthz",    READ,      false, API_OPEN,           NULL, NULL,           api_healthz_get, NULL},
	{"readyz",     READ,      false, API_OPEN,           NULL, NULL,           api_readyz_get, NULL},
};
/* The pages, by the table of assets.c. */
static const struct api_route asset_route = {
	"*",           READ,      false, API_OPEN,           NULL, NULL,           api_asset_get, NULL,
};
/* clang-format on */

static bool fits(const char *path, const struct api_request *req)
{
	struct sl_str rest = sl_str_z(path);

	for (size_t i = 0; i < req->seg_count; i++) {
		bool more = rest.n > 0 && memchr(rest.p, '/', rest.n);
		struct sl_str want = sl_str_cut(&rest, '/');

		if (!sl_str_eq(want, SL_STR("*")) && !sl_str_eq(want, req->seg[i]))
			return false;
		if (more != (i + 1 < req->seg_count))
			return false;
	}
	return req->seg_count > 0;
}

const struct api_route *api_more_routes;

static const struct api_route *find(const struct api_route *more, const struct api_request *req)
{
	for (const struct api_route *r = more; r && r->path; r++)
		if (fits(r->path, req))
			return r;
	return NULL;
}

const struct api_route *api_route_find(const struct sl_api *api, const struct api_request *req)
{
	const struct api_route *route = find(api->more_routes, req);

	for (size_t i = 0; i < SL_COUNT(routes); i++)
		if (fits(routes[i].path, req))
			return &routes[i];
	if (!route)
		route = find(api_more_routes, req);
	if (!route && api_asset_is(req->path))
		route = &asset_route;
	return route;
}

/* Link header lines, one per ICE server (RFC 9725 section 4.6). A value that would break the line
 * is left out. */
static int make_links(struct sl_api *api)
{
	const struct sl_config_list *servers = &api->conf->ice.servers;
	size_t cap = 1 + servers->n * (SL_CONFIG_TEXT_MAX + 40);
	struct sl_buf b;

	api->links = sl_zalloc(cap);
	if (!api->links)
		return SL_ENOMEM;
	b = sl_buf(api->links, cap);
	for (size_t i = 0; i < servers->n; i++)
		if (!strpbrk(servers->at[i], "<>\"\r\n \t"))
			sl_buf_fmt(&b, "Link: <%s>; rel=\"ice-server\"\r\n", servers->at[i]);
	api->links_len = b.n;
	return SL_OK;
}

static int make_tables(struct sl_api *api)
{
	int err = sl_pool_init(&api->sessions, sizeof(struct api_session),
			       api->conf->limits.max_sessions, 16, 0);

	if (!err)
		err = sl_hash_init(&api->ids, api->conf->limits.max_sessions, api->secret);
	if (!err)
		err = sl_hash_init(&api->rooms, api->conf->rooms.max, api->secret);
	if (!err)
		err = make_links(api);
	return err;
}

int sl_api_new(const struct sl_config *conf, struct sl_core *core, struct uv_loop_s *loop,
	       const struct sl_rng *rng, struct sl_api **out, struct sl_core_why *why)
{
	struct sl_api *api = sl_zalloc(sizeof(*api));
	int err;

	(void)sl_fmt(why->text, sizeof(why->text), "out of memory");
	if (!api)
		return SL_ENOMEM;
	api->conf = conf;
	api->core = core;
	api->loop = loop;
	api->rng = *rng;
	api->publish_bps = conf->publish.max_video_bps;
	api->room_bps = conf->rooms.max_video_bps;
	api_copy(api->log_level, sizeof(api->log_level), sl_str_z(conf->log.level));
	api->since_us = api_now_us(api);
	api_json_seed(rng);
	api->listen_fd = api->spare_fd = -1;
	api->sweep_us = SL_NEVER;
	api->bind_loopback = api_bind_is_loopback(conf);
	sl_list_init(&api->conns);
	sl_list_init(&api->ops);
	sl_list_init(&api->closing);
	sl_list_init(&api->empty_rooms);
	sl_list_init(&api->joins_stirred);
	sl_list_init(&api->joins_lost);
	sl_rng_fill(rng, api->secret, sizeof(api->secret));
	uv_timer_init(loop, &api->tick);
	api->tick.data = api;
	api->handles++;
	err = make_tables(api);
	if (!err)
		err = api_events_new(api);
	if (!err)
		err = api_http_new(api, why);
	if (!err)
		err = api_listen_new(api, why);
	if (err)
		sl_api_free(api);
	else
		*out = api;
	return err;
}

void sl_api_free(struct sl_api *api)
{
	if (!api)
		return;
	api->freeing = true;
	SL_LIST_EACH(it, tmp, &api->ops) {
		struct api_op *op = SL_LIST_AT(it, struct api_op, link);

		sl_list_del(&op->link);
		op->api = NULL;
		if (op->conn)
			op->conn->op = NULL;
		op->conn = NULL;
	}
	api_listen_free(api);
	api_http_free(api);
	SL_ASSERT(api->handles == 0 && sl_list_empty(&api->conns));
	api_events_free(api);
	api_rooms_fini(api);
	api_sessions_fini(api);
	sl_free(api->links);
	sl_wipe(api->secret, sizeof(api->secret));
	sl_free(api);
}

uint16_t sl_api_port(const struct sl_api *api)
{
	return api->port;
}

void sl_api_drain(struct sl_api *api)
{
	api->draining = true;
}

size_t sl_api_sessions(const struct sl_api *api)
{
	return api->sessions.live;
}

/* ================= events ================= */

static void log_event(const struct api_session *s, const char *what)
{
	char id[7];

	api_short_id(s, id);
	SL_LOG(INFO, WHIP, what, SL_KS("room", s->room->name),
	       SL_KSTR("participant", api_log_name(s)), SL_KS("session", id));
}

static void on_closed(struct sl_api *api, struct api_session *s, const struct sl_core_event *ev)
{
	char why[200];

	(void)sl_fmt(why, sizeof(why), "%s%s%s", sl_close_cause_text(ev->cause),
		     ev->detail[0] ? ": " : "", ev->detail);
	s->cause = ev->cause;
	api_copy(s->detail, sizeof(s->detail), sl_str_z(ev->detail));
	api_session_gone(api, s, why);
}

static struct api_track *track_of(struct api_session *s, uint64_t id)
{
	for (size_t i = 0; i < s->track_count; i++)
		if (s->tracks[i].id == id)
			return &s->tracks[i];
	return NULL;
}

/* Who publishes that track in the room, or NULL. */
static const struct api_session *publisher_of(const struct api_room *r, uint64_t track)
{
	SL_LIST_EACH(it, tmp, &r->publishers) {
		struct api_session *s = SL_LIST_AT(it, struct api_session, link);

		if (track_of(s, track))
			return s;
	}
	return NULL;
}

static void note_mismatch(struct sl_api *api, struct api_session *s, const struct sl_core_event *ev)
{
	const struct api_session *by = publisher_of(s->room, ev->publisher);
	char id[7];

	api_short_id(s, id);
	SL_LOG(INFO, WHIP, "player has no codec for what its publisher sends",
	       SL_KS("room", s->room->name), SL_KSTR("participant", api_log_name(s)),
	       SL_KS("session", id),
	       SL_KS("codec", ev->codec ? sl_codec_info(ev->codec)->name : "none"),
	       SL_KSTR("publisher", by ? api_log_name(by) : SL_STR("unknown")));
	api_event_mismatch(api, s->room, s, track_of(s, ev->track), by, ev->codec);
}

static void note_codec(struct sl_api *api, struct api_session *s, const struct sl_core_event *ev)
{
	struct api_track *t = track_of(s, ev->track);

	if (!t || t->codec == ev->codec)
		return;
	t->codec = ev->codec;
	api_event_track(api, s->room, s, t, "changed");
}

static void note_load(struct sl_api *api, const struct sl_core_event *ev)
{
	if (api->freeing)
		return;
	if (ev->busy)
		SL_LOG(WARN, LOOP, "a media loop cannot keep up: it takes no new sessions",
		       SL_KU("loop", ev->loop), SL_KU("video_withheld_eighths", ev->shed));
	else
		SL_LOG(INFO, LOOP, "a media loop keeps up again", SL_KU("loop", ev->loop));
	api_event_load(api, ev);
}

void sl_api_event(struct sl_api *api, const struct sl_core_event *ev)
{
	struct api_session *s = api->freeing ? NULL : api_session_by_tag(api, ev->tag);

	if (ev->type == SL_EV_LOAD)
		note_load(api, ev);
	if (!s || (!s->room && ev->type != SL_EV_CLOSED))
		return;
	switch (ev->type) {
	case SL_EV_CONNECTED:
		s->connected = true;
		log_event(s, "session connected");
		api_event_session(api, s->room, s, "connected", NULL);
		break;
	case SL_EV_DISCONNECTED:
		s->silent = true;
		log_event(s, "session silent");
		api_event_session(api, s->room, s, "silent", NULL);
		break;
	case SL_EV_RECONNECTED:
		s->silent = false;
		log_event(s, "session is back");
		api_event_session(api, s->room, s, "back", NULL);
		break;
	case SL_EV_CLOSED:
		on_closed(api, s, ev);
		break;
	case SL_EV_MEDIA:
		note_codec(api, s, ev);
		break;
	case SL_EV_CODEC_MISMATCH:
		note_mismatch(api, s, ev);
		break;
	case SL_EV_LEVEL:
		api_room_level(api, s, ev->track, ev->score);
		break;
	default: /* the loop's load, and what only watched transports tell */
		break;
	}
}
