/* SPDX-License-Identifier: Apache-2.0
 * bench/load_janus.c — signalling with janus's videoroom by its HTTP API: one session, its events
 * by one long poll, a handle per peer. A publisher offers; to a subscriber the server offers. */
#include "bench/load.h"
#include "core/base/mem.h"
#include <stdlib.h>

enum { ARENA = 1 << 20, ROOM = 4711, TYPE_MAX = 64 };

static void post(struct load *l, uint64_t handle, cJSON *body, load_http_done done, void *arg);

/* ---- messages ---- */

static cJSON *request(struct load *l, const char *what)
{
	cJSON *o = cJSON_CreateObject();
	char id[32];

	sl_fmt(id, sizeof(id), "t%llu", (unsigned long long)++l->transaction);
	cJSON_AddStringToObject(o, "janus", what);
	cJSON_AddStringToObject(o, "transaction", id);
	return o;
}

static cJSON *message(struct load *l, const char *what, cJSON **body)
{
	cJSON *o = request(l, "message");

	*body = cJSON_AddObjectToObject(o, "body");
	cJSON_AddStringToObject(*body, "request", what);
	return o;
}

static void add_jsep(cJSON *o, const char *type, const char *sdp)
{
	cJSON *j = cJSON_AddObjectToObject(o, "jsep");

	cJSON_AddStringToObject(j, "type", type);
	cJSON_AddStringToObject(j, "sdp", sdp);
}

static const char *text_of(const cJSON *o, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);

	return cJSON_IsString(v) ? v->valuestring : "";
}

/* 53 bits at most, so a double holds it. */
static uint64_t id_of(const cJSON *o)
{
	const cJSON *v =
		cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(o, "data"), "id");

	return cJSON_IsNumber(v) ? (uint64_t)v->valuedouble : 0;
}

static void ignore(void *arg, int status, const char *head, const char *body, size_t len)
{
	(void)arg;
	(void)status;
	(void)head;
	(void)body;
	(void)len;
}

static void post(struct load *l, uint64_t handle, cJSON *body, load_http_done done, void *arg)
{
	char *text = cJSON_PrintUnformatted(body);
	char path[200];
	int err = text ? SL_OK : SL_ENOMEM;

	if (handle)
		sl_fmt(path, sizeof(path), "%s/%llu/%llu", l->conf.base,
		       (unsigned long long)l->session, (unsigned long long)handle);
	else if (l->session)
		sl_fmt(path, sizeof(path), "%s/%llu", l->conf.base, (unsigned long long)l->session);
	else
		sl_fmt(path, sizeof(path), "%s", l->conf.base);
	if (!err)
		err = load_http_ask(l, "POST", path, "Content-Type: application/json\r\n", text,
				    done, arg);
	if (err)
		load_fail(l, "cannot ask the server: %s", sl_strerror(err));
	free(text);
	cJSON_Delete(body);
}

/* ---- SDP ---- */

static int write_offer(struct load_peer *p, char *text)
{
	struct sl_sdp_offer_line lines[SL_KIND_COUNT];
	char mids[SL_KIND_COUNT][8];
	char port[16];
	struct sl_sdp_cand cand;
	struct sl_sdp_ours ours;
	struct sl_arena arena;
	struct sl_sdp offer;
	struct sl_buf b = sl_buf(text, LOAD_TEXT);
	size_t n = load_offer_lines(p->load, p, lines, mids, SL_KIND_COUNT);
	int err;

	load_ours(p, &ours, &cand, port);
	sl_arena_init(&arena, ARENA);
	err = sl_sdp_offer(&ours, lines, n, &arena, &offer);
	if (!err)
		sl_sdp_write(&offer, &b);
	sl_arena_fini(&arena);
	return err ? err : b.full ? SL_EFULL : SL_OK;
}

static int take_answer(struct load_peer *p, const char *sdp)
{
	struct sl_arena arena;
	struct sl_sdp answer;
	struct sl_sdp_why why = {0};
	int err;

	sl_arena_init(&arena, ARENA);
	err = sl_sdp_read(sl_str_z(sdp), &arena, &answer, &why);
	if (!err)
		err = load_peer_remote(p, &answer, &answer);
	sl_arena_fini(&arena);
	return err;
}

static int answer_offer(struct load_peer *p, const char *sdp, char *text)
{
	struct sl_arena arena;
	struct sl_sdp offer;
	struct sl_sdp answer;
	struct sl_sdp_why why = {0};
	struct sl_sdp_cand cand;
	struct sl_sdp_ours ours;
	struct sl_buf b = sl_buf(text, LOAD_TEXT);
	char port[16];
	int err;

	load_ours(p, &ours, &cand, port);
	sl_arena_init(&arena, ARENA);
	err = sl_sdp_read(sl_str_z(sdp), &arena, &offer, &why);
	/* What the server offers to send we take, as a publisher's offer is taken. */
	if (!err)
		err = sl_sdp_answer(&offer, &ours, SL_SDP_PUBLISHER, NULL, &arena, &answer, &why);
	if (!err)
		sl_sdp_write(&answer, &b);
	if (!err)
		err = load_peer_remote(p, &offer, &answer);
	if (err)
		load_say("offer refused: %s", why.text);
	sl_arena_fini(&arena);
	return err ? err : b.full ? SL_EFULL : SL_OK;
}

/* ---- events ---- */

static struct load_peer *peer_by_handle(struct load *l, uint64_t handle)
{
	for (unsigned i = 0; i < l->peer_count; i++)
		if (l->peers[i]->handle == handle)
			return l->peers[i];
	return NULL;
}

static void on_jsep(struct load_peer *p, const char *type, const char *sdp)
{
	static char text[LOAD_TEXT];
	struct load *l = p->load;
	cJSON *body;
	cJSON *o;

	if (p->state != LOAD_ASKING)
		return;
	if (strcmp(type, "answer") == 0) {
		if (take_answer(p, sdp) < 0)
			load_peer_failed(l, p, "the server's answer cannot be used");
		return;
	}
	if (answer_offer(p, sdp, text) < 0) {
		load_peer_failed(l, p, "the server's offer cannot be used");
		return;
	}
	o = message(l, "start", &body);
	add_jsep(o, "answer", text);
	post(l, p->handle, o, ignore, p);
}

static void on_event(struct load *l, const cJSON *ev)
{
	const cJSON *sender = cJSON_GetObjectItemCaseSensitive(ev, "sender");
	const cJSON *jsep = cJSON_GetObjectItemCaseSensitive(ev, "jsep");
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(ev, "plugindata"), "data");
	struct load_peer *p =
		cJSON_IsNumber(sender) ? peer_by_handle(l, (uint64_t)sender->valuedouble) : NULL;

	if (!p || p->state == LOAD_GONE)
		return;
	if (text_of(data, "error")[0])
		load_peer_failed(l, p, text_of(data, "error"));
	else if (jsep)
		on_jsep(p, text_of(jsep, "type"), text_of(jsep, "sdp"));
}

static void poll_events(struct load *l);

static void on_poll(void *arg, int status, const char *head, const char *body, size_t len)
{
	struct load *l = arg;
	cJSON *all = cJSON_ParseWithLength(body, len);
	const cJSON *ev;

	(void)head;
	if (status != 200 && !l->stopping)
		load_fail(l, "the server's events ended with status %d", status);
	cJSON_ArrayForEach(ev, all) on_event(l, ev);
	cJSON_Delete(all);
	if (status == 200 && !l->stopping)
		poll_events(l);
}

static void poll_events(struct load *l)
{
	char path[200];

	sl_fmt(path, sizeof(path), "%s/%llu?maxev=10", l->conf.base,
	       (unsigned long long)l->session);
	if (load_http_ask(l, "GET", path, "", "", on_poll, l) < 0)
		load_fail(l, "cannot ask the server for its events");
}

/* ---- a peer ---- */

static void configure(struct load_peer *p)
{
	static char text[LOAD_TEXT];
	struct load *l = p->load;
	cJSON *body;
	cJSON *o = message(l, p->publisher ? "joinandconfigure" : "join", &body);
	cJSON *streams;

	cJSON_AddStringToObject(body, "ptype", p->publisher ? "publisher" : "subscriber");
	cJSON_AddNumberToObject(body, "room", ROOM);
	if (p->publisher) {
		cJSON_AddNumberToObject(body, "id", p->number + 1);
		if (write_offer(p, text) < 0)
			load_peer_failed(l, p, "its offer cannot be written");
		add_jsep(o, "offer", text);
	} else {
		streams = cJSON_AddArrayToObject(body, "streams");
		for (unsigned i = 0; i < l->conf.publishers; i++) {
			cJSON *s = cJSON_CreateObject();

			cJSON_AddNumberToObject(s, "feed", i + 1);
			cJSON_AddItemToArray(streams, s);
		}
	}
	post(l, p->handle, o, ignore, p);
}

static void on_attached(void *arg, int status, const char *head, const char *body, size_t len)
{
	struct load_peer *p = arg;
	cJSON *o = cJSON_ParseWithLength(body, len);

	(void)head;
	p->refs--;
	p->handle = id_of(o);
	cJSON_Delete(o);
	if (p->state != LOAD_ASKING)
		return;
	if (status != 200 || !p->handle)
		load_peer_failed(p->load, p, "the server gives no handle");
	else
		configure(p);
}

static cJSON *attach(struct load *l)
{
	cJSON *o = request(l, "attach");

	cJSON_AddStringToObject(o, "plugin", "janus.plugin.videoroom");
	return o;
}

static void join(struct load_peer *p)
{
	p->refs++;
	post(p->load, 0, attach(p->load), on_attached, p);
}

static void leave(struct load_peer *p)
{
	struct load *l = p->load;

	l->window.leaves++;
	if (p->handle)
		post(l, p->handle, request(l, "detach"), ignore, p);
	load_peer_end(p);
}

/* ---- the session and the room ---- */

static void on_room(void *arg, int status, const char *head, const char *body, size_t len)
{
	struct load *l = arg;

	(void)head;
	(void)len;
	if (status != 200 || !strstr(body, "\"created\""))
		load_fail(l, "the server makes no room: %.200s", body);
	else
		l->signalling_ready = true;
}

static void on_room_handle(void *arg, int status, const char *head, const char *body, size_t len)
{
	struct load *l = arg;
	cJSON *o = cJSON_ParseWithLength(body, len);
	cJSON *ask;

	(void)status;
	(void)head;
	l->room_handle = id_of(o);
	cJSON_Delete(o);
	if (!l->room_handle) {
		load_fail(l, "the server gives no handle: %.200s", body);
		return;
	}
	o = message(l, "create", &ask);
	cJSON_AddNumberToObject(ask, "room", ROOM);
	cJSON_AddNumberToObject(ask, "publishers", SL_MAX(l->conf.publishers, 1u));
	cJSON_AddStringToObject(ask, "audiocodec", "opus");
	cJSON_AddStringToObject(ask, "videocodec", "vp8");
	cJSON_AddNumberToObject(ask, "bitrate", 0);
	cJSON_AddNumberToObject(ask, "fir_freq", 0);
	cJSON_AddBoolToObject(ask, "notify_joining", false);
	post(l, l->room_handle, o, on_room, l);
}

static void on_session(void *arg, int status, const char *head, const char *body, size_t len)
{
	struct load *l = arg;
	cJSON *o = cJSON_ParseWithLength(body, len);

	(void)head;
	l->session = id_of(o);
	cJSON_Delete(o);
	if (status != 200 || !l->session) {
		load_fail(l, "the server gives no session: status %d %.200s", status, body);
		return;
	}
	poll_events(l);
	post(l, 0, attach(l), on_room_handle, l);
}

static void begin(struct load *l)
{
	post(l, 0, request(l, "create"), on_session, l);
}

const struct load_signalling load_janus = {begin, join, leave};
