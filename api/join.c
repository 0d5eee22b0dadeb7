/* SPDX-License-Identifier: Apache-2.0
 * api/join.c — the sockets of /v1/rooms/{room}/join: who may come in, who comes back, what they ask
 * for. */
#include "api/join.h"
#include "api/events.h"
#include "api/jwt.h"
#include "core/base/digest.h"

enum { STIR_MS = 5, GUEST_CHARS = 8, SENTENCE_MAX = 120 };

/* ================= what is put off ================= */

void api_join_stir(struct api_join *j)
{
	struct sl_api *api = j->api;

	if (api->freeing)
		return;
	if (sl_list_empty(&api->joins_stirred))
		api->stir_us = api_now_us(api) + STIR_MS * SL_MS;
	if (!j->stir_link.next || sl_list_empty(&j->stir_link))
		sl_list_add(&api->joins_stirred, &j->stir_link);
	api_rooms_tick(api);
}

void api_join_slots_changed(struct api_session *s)
{
	s->join->want_slots = true;
	api_join_stir(s->join);
}

static void end_lost(struct sl_api *api)
{
	while (!sl_list_empty(&api->joins_lost)) {
		struct api_join *j = SL_LIST_AT(api->joins_lost.next, struct api_join, lost_link);

		if (api_now_us(api) - j->lost_us < api->conf->ice.timeout_us)
			return;
		api_session_end(api, j->s, "its socket was lost and did not come back");
	}
}

void api_joins_tick(struct sl_api *api)
{
	struct sl_list now;

	end_lost(api);
	if (sl_list_empty(&api->joins_stirred) || api_now_us(api) < api->stir_us)
		return;
	/* What is put off again goes to the next time. */
	now = api->joins_stirred;
	now.next->prev = now.prev->next = &now;
	sl_list_init(&api->joins_stirred);
	while (!sl_list_empty(&now)) {
		struct api_join *j = SL_LIST_AT(now.next, struct api_join, stir_link);

		sl_list_del(&j->stir_link);
		api_join_step(j);
	}
}

int64_t api_joins_wait_us(const struct sl_api *api)
{
	int64_t now_us = api_now_us(api), at_us = SL_NEVER;

	if (!sl_list_empty(&api->joins_stirred))
		at_us = api->stir_us;
	if (!sl_list_empty(&api->joins_lost)) {
		const struct api_join *j =
			SL_LIST_AT(api->joins_lost.next, struct api_join, lost_link);

		at_us = SL_MIN(at_us, j->lost_us + api->conf->ice.timeout_us);
	}
	return at_us == SL_NEVER ? SL_NEVER : SL_MAX(at_us - now_us, 0);
}

/* ================= coming in ================= */

static void refuse(struct join_socket *k, const char *code, int close_code, const char *why)
{
	api_join_error(k, code, NULL, "%s", why);
	api_ws_close(k->ws, close_code, why);
}

static void busy(struct join_socket *k, const char *why)
{
	refuse(k, "busy", JOIN_CLOSE_RETRY, why);
}

static struct api_join *new_join(struct join_socket *k, struct api_session *s)
{
	struct sl_api *api = k->api;
	struct api_join *j = sl_zalloc(sizeof(*j));
	uint8_t bits[16];

	if (!j)
		return NULL;
	sl_list_init(&j->stir_link);
	sl_list_init(&j->lost_link);
	j->api = api;
	j->s = s;
	j->socket = k;
	j->publish = k->publish;
	j->subscribe = k->subscribe;
	j->admin = k->admin;
	j->want_offer = true;
	/* RFC 9429 section 5.2.1: below 2^62 or so, for all readers. */
	j->sdp_id = sl_rng_u64(&api->rng) >> 2;
	sl_rng_id(&api->rng, j->cname, sizeof(j->cname) - 1);
	sl_rng_fill(&api->rng, bits, sizeof(bits));
	(void)sl_base64url(bits, sizeof(bits), j->token, sizeof(j->token));
	sl_wipe(bits, sizeof(bits));
	s->join = j;
	k->join = j;
	return j;
}

static void opened(struct api_join *j)
{
	struct api_session *s = j->s;
	char id[7];

	api_short_id(s, id);
	SL_LOG(INFO, WHIP, "session opened", SL_KS("role", "participant"),
	       SL_KS("room", s->room->name), SL_KSTR("participant", api_log_name(s)),
	       SL_KS("session", id), SL_KU("loop", s->loop),
	       SL_KA("peer", api_ws_peer(j->socket->ws)));
	s->state = SESSION_OPEN;
	j->phase = JOIN_READY;
	api_join_welcome(j, false);
	api_event_opened(j->api, s->room, s);
	api_room_changed(j->api, s->room);
	api_join_step(j);
}

static void on_open(void *arg, const struct sl_reply *r)
{
	struct api_op *op = arg;
	struct sl_api *api = op->api;
	struct api_session *s = api ? api_session_by_tag(api, op->session) : NULL;
	struct api_join *j = s ? s->join : NULL;

	api_op_free(op);
	if (!j) {
		/* Ended meanwhile; if core is busy too, the transport goes when nobody ever
		 * connects to it. */
		if (api && !r->err)
			(void)!sl_core_close(api->core, r->transport, NULL, NULL);
		return;
	}
	if (r->err) {
		if (j->socket)
			busy(j->socket, "the media loop is at its limit");
		api_session_gone(api, s, "core refused it");
		return;
	}
	s->transport = r->transport;
	api_copy(j->ufrag, sizeof(j->ufrag), sl_str_z(r->ufrag));
	api_copy(j->pwd, sizeof(j->pwd), sl_str_z(r->pwd));
	if (j->socket)
		opened(j);
	else
		api_session_end(api, s, "the client left before it was welcome");
}

static int open_transport(struct api_join *j)
{
	struct sl_api *api = j->api;
	struct sl_transport_conf *conf = sl_zalloc(sizeof(*conf));
	struct api_op *op = conf ? api_op_new(api, NULL) : NULL;
	int err = op ? SL_OK : SL_ENOMEM;

	if (!err) {
		op->session = conf->tag = j->s->tag;
		api_short_id(j->s, conf->name);
		conf->offering = true;
		conf->lite = api->conf->ice.lite;
		/* RFC 8445 section 6.1.1: who offers controls; a lite agent never does. */
		conf->controlling = !conf->lite;
		err = sl_core_open(api->core, j->s->loop, conf, on_open, op);
	}
	if (err && op)
		api_op_free(op);
	sl_free(conf);
	return err;
}

static int find_room(struct sl_api *api, const char *name, struct api_room **room)
{
	*room = api_room_find(api, name);
	if (*room)
		return SL_OK;
	return api->conf->rooms.auto_create ? api_room_new(api, name, room) : SL_ENOTFOUND;
}

static void create(struct join_socket *k)
{
	struct sl_api *api = k->api;
	struct api_room *room = NULL;
	struct api_session *s = NULL;
	int err = find_room(api, k->room, &room);

	if (err == SL_ENOTFOUND)
		return refuse(k, "no_room", JOIN_CLOSE_NO_ROOM,
			      "there is no such room, and rooms.auto_create is off");
	if (err)
		return busy(k, err == SL_EFULL ? "rooms.max is reached" : "out of memory");
	if (api_room_participant(room, k->participant))
		return refuse(k, "name_taken", JOIN_CLOSE_NAME_TAKEN,
			      "a participant of that name is in the room");
	if (!api_room_has_place(api, room))
		return refuse(k, "room_full", JOIN_CLOSE_ROOM_FULL,
			      "the room's capacity, or rooms.max_participants, is reached");
	err = api_session_new(api, room, k->publish, k->subscribe, k->participant, &s);
	if (err) {
		api_room_changed(api, room);
		return busy(k,
			    err == SL_EFULL ? "limits.max_sessions is reached" : "out of memory");
	}
	s->loop = api_pick_loop(api);
	api_copy(s->owner, sizeof(s->owner), sl_str_z(k->owner));
	err = new_join(k, s) ? open_transport(s->join) : SL_ENOMEM;
	if (!err) {
		api_room_changed(api, room);
		return;
	}
	busy(k, err == SL_ENOMEM ? "out of memory" : "the media loop is at its limit");
	api_session_gone(api, s, "core is busy");
}

/* ================= a name that is taken ================= */

static void taken(struct join_socket *k)
{
	refuse(k, "name_taken", JOIN_CLOSE_NAME_TAKEN, "a participant of that name is in the room");
}

/* Is the holder of the name still there in more than name? */
static void on_holder(void *arg, const struct sl_reply *r)
{
	struct api_op *op = arg;
	struct sl_api *api = op->api;
	struct join_socket *k = api ? op->socket : NULL;
	struct api_session *holder = k ? api_session_by_tag(api, op->holder) : NULL;

	if (k)
		k->op = NULL;
	api_op_free(op);
	if (!k)
		return;
	if (r->err && r->err != SL_ENOTFOUND)
		return busy(k, "the media loop is at its limit");
	if (holder && holder->room && !r->err && r->info.silent_us < API_SILENT_US)
		return taken(k);
	if (holder && holder->room)
		api_session_end(api, holder, "replaced: nothing came from it any more");
	create(k);
}

static void ask_holder(struct join_socket *k, struct api_session *holder)
{
	struct api_op *op;

	/* Before media a socket is all there is of a participant. */
	if (holder->state != SESSION_OPEN ||
	    (holder->join && holder->join->socket && !holder->connected))
		return taken(k);
	op = api_op_new(k->api, NULL);
	if (!op)
		return busy(k, "out of memory");
	op->holder = holder->tag;
	op->socket = k;
	k->op = op;
	if (sl_core_info(k->api->core, holder->transport, on_holder, op) == SL_OK)
		return;
	k->op = NULL;
	api_op_free(op);
	busy(k, "the media loop is at its limit");
}

/* ================= coming back ================= */

static bool token_fits(const struct api_join *j, const struct join_socket *k)
{
	return strlen(k->resume) == API_ID_LEN && sl_const_eq(j->token, k->resume, API_ID_LEN) &&
	       j->phase != JOIN_OPENING;
}

static void resume(struct api_join *j, struct join_socket *k)
{
	struct join_socket *old = j->socket;
	char id[7];

	if (old) {
		old->join = NULL;
		api_ws_close(old->ws, JOIN_CLOSE_ENDED,
			     "the participant came back on another socket");
	}
	api_short_id(j->s, id);
	SL_LOG(INFO, WHIP, "session resumed", SL_KS("room", j->s->room->name),
	       SL_KSTR("participant", api_log_name(j->s)), SL_KS("session", id),
	       SL_KA("peer", api_ws_peer(k->ws)));
	sl_list_del(&j->lost_link);
	api_join_void_offer(j);
	j->socket = k;
	k->join = j;
	j->want_restart = j->want_slots = true;
	j->slots_said = 0;
	api_join_welcome(j, true);
	api_join_step(j);
	api_rooms_tick(j->api);
}

static void start(struct join_socket *k)
{
	struct api_room *r = api_room_find(k->api, k->room);
	struct api_session *holder = r ? api_room_participant(r, k->participant) : NULL;
	const char *why;

	if (holder && holder->join && token_fits(holder->join, k)) {
		if (!k->replace)
			return resume(holder->join, k);
		api_session_end(k->api, holder, "replaced by its owner");
		holder = NULL;
	}
	why = api_overload(k->api);
	if (why)
		api_event_overload(k->api, why);
	if (why)
		busy(k, why);
	else if (holder)
		ask_holder(k, holder);
	else
		create(k);
}

/* ================= messages ================= */

static void bad_message(struct join_socket *k, const struct api_json_why *why)
{
	if (why->field[0])
		api_join_error(k, "bad_message", NULL, "%s: %s", why->field, why->text);
	else
		api_join_error(k, "bad_message", NULL, "%s", why->text);
}

static const char *const kinds[] = {"audio", "video"};
static const char *const sources[] = {"", "microphone", "camera", "screen"};

struct wanted {
	enum sl_kind kind;
	const char *source;
};

/* Number of them; negative with why filled. */
static int read_wanted(const struct api_json_at *m, struct wanted out[JOIN_PUBLISH_MAX])
{
	struct api_json_at list, item = {0};
	int n = 0,
	    err = api_json_get_array(m, "tracks", API_JSON_REQUIRED, JOIN_PUBLISH_MAX, &list);

	while (err >= 0 && api_json_next(&list, &item)) {
		size_t kind = 0, source = 0;

		err = api_json_object(&item);
		if (err >= 0)
			err = api_json_get_word(&item, "kind", API_JSON_REQUIRED, kinds,
						SL_COUNT(kinds), &kind);
		if (err >= 0)
			err = api_json_get_word(&item, "source", API_JSON_OPTIONAL, sources,
						SL_COUNT(sources), &source);
		out[n].kind = kind ? SL_VIDEO : SL_AUDIO;
		out[n++].source = sources[source];
	}
	if (err >= 0 && n == 0)
		return api_json_wrong(&list, SL_ERANGE, "must not be empty");
	return err < 0 ? err : n;
}

static void take_lines(struct api_join *j, const struct wanted *w, int n, const char *request)
{
	int taken_lines[JOIN_PUBLISH_MAX];

	for (int i = 0; i < n; i++) {
		taken_lines[i] = api_join_take_line(j, w[i].kind, w[i].source, request);
		if (taken_lines[i] >= 0)
			continue;
		if (taken_lines[i] == -1)
			api_join_error(j->socket, "too_many_tracks", request,
				       "a participant may publish %d tracks", JOIN_PUBLISH_MAX);
		else
			api_join_error(j->socket, "busy", request, "out of memory");
		while (i-- > 0)
			api_join_free_line(j, (size_t)taken_lines[i]);
		return;
	}
	j->want_offer = true;
	api_join_step(j);
}

static int on_publish(struct api_join *j, const struct api_json_at *m)
{
	char request[JOIN_REQUEST_MAX + 1] = "";
	struct wanted wanted[JOIN_PUBLISH_MAX] = {0};
	struct sl_str s = {0};
	int n, err = api_json_get_str(m, "request", API_JSON_OPTIONAL, 0, JOIN_REQUEST_MAX, &s);

	if (err < 0)
		return err;
	api_copy(request, sizeof(request), s);
	n = read_wanted(m, wanted);
	if (n < 0)
		return n;
	if (!j->publish)
		api_join_error(j->socket, "no_right", request, "the token has no right to publish");
	else if (!api_room_may_publish(j->s->room, sl_str_z(j->s->participant)))
		api_join_error(j->socket, "no_right", request,
			       "the room's settings do not let this participant publish");
	else
		take_lines(j, wanted, n, request);
	return SL_OK;
}

/* The line of an own track that is asked for or there; -1: none, and that was said. */
static int own_track(struct api_join *j, struct sl_str id)
{
	for (size_t i = 0; i < j->line_count; i++)
		if (!j->lines[i].slot && j->lines[i].used &&
		    sl_str_eq(id, sl_str_z(j->s->tracks[i].public_id)))
			return (int)i;
	api_join_error(j->socket, "unknown_track", NULL, "there is no such track of yours");
	return -1;
}

static int on_unpublish(struct api_join *j, const struct api_json_at *m)
{
	struct sl_str id;
	int line, err = api_json_get_str(m, "track", API_JSON_REQUIRED, 1, API_ID_LEN, &id);

	if (err < 0)
		return err;
	line = own_track(j, id);
	if (line >= 0)
		api_join_free_line(j, (size_t)line);
	return SL_OK;
}

static int on_mute(struct api_join *j, const struct api_json_at *m)
{
	struct api_track *t;
	struct sl_str id;
	bool muted = false;
	int line, err = api_json_get_str(m, "track", API_JSON_REQUIRED, 1, API_ID_LEN, &id);

	if (err >= 0)
		err = api_json_get_bool(m, "muted", API_JSON_REQUIRED, &muted);
	if (err < 0)
		return err;
	line = own_track(j, id);
	if (line < 0)
		return SL_OK;
	t = &j->s->tracks[line];
	if (t->muted == muted)
		return SL_OK;
	if (t->held) {
		api_join_error(j->socket, "no_right", NULL, "an operator has muted this track");
		return SL_OK;
	}
	/* One that is not there yet is muted as soon as it is. */
	if (t->id && sl_core_pause(j->api->core, t->id, muted, NULL, NULL) != SL_OK) {
		api_join_error(j->socket, "busy", NULL, "the media loop is at its limit");
		return SL_OK;
	}
	t->muted = muted;
	if (!t->id)
		return SL_OK;
	api_event_track(j->api, j->s->room, j->s, t, "changed");
	api_room_caps(j->api, j->s->room);
	return SL_OK;
}

static int on_pause(struct api_join *j, const struct api_json_at *m)
{
	struct api_track *t = NULL;
	struct sl_str mid;
	bool paused = false;
	uint32_t i;
	int err = api_json_get_str(m, "mid", API_JSON_REQUIRED, 1, SL_MID_MAX, &mid);

	if (err >= 0)
		err = api_json_get_bool(m, "paused", API_JSON_REQUIRED, &paused);
	if (err < 0)
		return err;
	if (sl_str_u32(mid, SL_SDP_OFFER_MEDIA_MAX, &i) && i < j->line_count && j->lines[i].slot)
		t = &j->s->tracks[i];
	if (!t || !t->id)
		api_join_error(j->socket, "unknown_track", NULL,
			       "nothing is sent to you on that mid");
	else if (sl_core_pause(j->api->core, t->id, paused, NULL, NULL) == SL_OK)
		t->muted = paused;
	else
		api_join_error(j->socket, "busy", NULL, "the media loop is at its limit");
	return SL_OK;
}

static int on_answer(struct api_join *j, const struct api_json_at *m)
{
	struct sl_str sdp;
	int64_t offer = 0;
	int err = api_json_get_int(m, "offer", API_JSON_REQUIRED, 1, UINT32_MAX, &offer);

	if (err >= 0)
		err = api_json_get_str(m, "sdp", API_JSON_REQUIRED, 1, API_WS_MESSAGE_MAX, &sdp);
	if (err < 0)
		return err;
	if (j->phase != JOIN_OFFERED || offer != j->offer)
		api_join_error(j->socket, "no_offer", NULL,
			       "no offer of that number waits for an answer");
	else
		api_join_answer(j, sdp);
	return SL_OK;
}

static void add_candidates(struct api_join *j, const struct sl_sdpfrag *frag)
{
	struct sl_core_cand cands[SL_CORE_CANDS_MAX];
	size_t n = 0;

	/* Of credentials that are over, or not yet in force, they are of no use. */
	if (frag->ufrag.n > 0 && j->remote_set && !sl_str_eq(frag->ufrag, sl_str_z(j->s->ufrag)) &&
	    !(j->remote && sl_str_eq(frag->ufrag, sl_str_z(j->remote->ufrag))))
		return;
	for (size_t i = 0; i < frag->cand_count && n < SL_CORE_CANDS_MAX; i++)
		if (frag->cands[i].component == 1 && !frag->cands[i].tcp)
			api_cand_to_core(&frag->cands[i], &cands[n++]);
	if (sl_core_add_candidates(j->api->core, j->s->transport, cands, n, frag->end_of_candidates,
				   NULL, NULL) != SL_OK)
		api_join_error(j->socket, "busy", NULL, "the media loop is at its limit");
}

static int on_candidate(struct api_join *j, const struct api_json_at *m)
{
	struct sl_sdp_why why = {0};
	struct sl_sdpfrag frag;
	struct sl_arena arena;
	struct sl_str text;
	int err = api_json_get_str(m, "sdpfrag", API_JSON_REQUIRED, 0, SL_SDP_BYTES_MAX, &text);

	if (err < 0)
		return err;
	sl_arena_init(&arena, 1 << 20);
	if (sl_sdpfrag_read(text, &arena, &frag, &why) == SL_OK)
		add_candidates(j, &frag);
	else
		api_join_error(j->socket, "bad_message", NULL, "/sdpfrag: %s", why.text);
	sl_arena_fini(&arena);
	return SL_OK;
}

static int on_restart(struct api_join *j, const struct api_json_at *m)
{
	(void)m;
	j->want_restart = true;
	api_join_step(j);
	return SL_OK;
}

static int on_leave(struct api_join *j, const struct api_json_at *m)
{
	(void)m;
	j->close_code = JOIN_CLOSE_LEFT;
	api_session_end(j->api, j->s, "left");
	return SL_OK;
}

/* clang-format off */
static const struct {
	const char *type;
	int (*fn)(struct api_join *j, const struct api_json_at *m);
	const char *keys[4];
} handlers[] = {
	{"publish",   on_publish,   {"type", "request", "tracks"}},
	{"unpublish", on_unpublish, {"type", "track"}},
	{"answer",    on_answer,    {"type", "offer", "sdp"}},
	{"candidate", on_candidate, {"type", "sdpfrag"}},
	{"mute",      on_mute,      {"type", "track", "muted"}},
	{"pause",     on_pause,     {"type", "mid", "paused"}},
	{"restart",   on_restart,   {"type"}},
	{"leave",     on_leave,     {"type"}},
};
/* clang-format on */

static size_t key_count(const char *const keys[4])
{
	size_t n = 0;

	while (n < 4 && keys[n])
		n++;
	return n;
}

static void handle(struct join_socket *k, const struct api_json_at *m, struct api_json_why *why)
{
	struct sl_str type;

	if (api_json_object(m) < 0 ||
	    api_json_get_str(m, "type", API_JSON_REQUIRED, 1, 32, &type) < 0)
		return bad_message(k, why);
	for (size_t i = 0; i < SL_COUNT(handlers); i++) {
		if (!sl_str_eq(type, sl_str_z(handlers[i].type)))
			continue;
		if (api_json_only(m, handlers[i].keys, key_count(handlers[i].keys)) < 0 ||
		    handlers[i].fn(k->join, m) < 0)
			bad_message(k, why);
		return;
	}
	api_join_error(k, "unknown_type", NULL, "there is no message of that type");
}

static void on_text(struct api_ws *ws, const char *text, size_t len)
{
	static const struct api_json_limits limits = {
		.bytes = API_WS_MESSAGE_MAX, .depth = 8, .values = 256};
	struct join_socket *k = api_ws_data(ws);
	struct api_json_why why = {0};
	struct api_json_at root;
	cJSON *tree;
	int err;

	if (!k->join || k->join->phase == JOIN_OPENING) {
		api_join_error(k, "bad_message", NULL, "wait for welcome");
		return;
	}
	err = api_json_parse(sl_str(text, len), &limits, &tree, &why);
	if (err == SL_ENOMEM)
		return busy(k, "out of memory");
	if (err)
		return bad_message(k, &why);
	root = api_json_root(tree, &why);
	handle(k, &root, &why);
	api_json_free(tree);
}

/* ================= sockets ================= */

/* "?participant=anna&resume=..": the value of a key whose values need no decoding. */
static struct sl_str query_value(const char *query, const char *key)
{
	struct sl_str rest = sl_str_z(query);

	if (rest.n > 0 && rest.p[0] == '?')
		rest = sl_str(rest.p + 1, rest.n - 1);
	while (rest.n > 0) {
		struct sl_str value = sl_str_cut(&rest, '&');
		struct sl_str name = sl_str_cut(&value, '=');

		if (sl_str_eq(name, sl_str_z(key)))
			return value;
	}
	return sl_str(NULL, 0);
}

static const char *read_request(struct join_socket *k, const struct api_request *req)
{
	const struct api_rights *rights = &req->rights;
	struct sl_str resumed = query_value(req->query, "resume"),
		      replaced = query_value(req->query, "replace");
	char chars[GUEST_CHARS + 1];
	const char *why = api_name_check(req->seg[2]);

	if (why || !sl_str_copy(k->room, sizeof(k->room), req->seg[2]))
		return "the room's name is not one";
	if (req->has_participant) {
		why = api_name_check(sl_str_z(req->participant));
		api_copy(k->participant, sizeof(k->participant), sl_str_z(req->participant));
	} else {
		sl_rng_id(&k->api->rng, chars, GUEST_CHARS);
		(void)sl_fmt(k->participant, sizeof(k->participant), "guest-%s", chars);
	}
	if (why)
		return "the participant's name is not one";
	k->replace = resumed.n == 0 && replaced.n > 0;
	api_copy(k->resume, sizeof(k->resume), k->replace ? replaced : resumed);
	k->publish = rights->all || rights->bits & API_JWT_PUBLISH;
	k->subscribe = rights->all || rights->bits & API_JWT_SUBSCRIBE;
	k->admin = rights->all || rights->bits & API_JWT_ADMIN;
	if (!rights->all)
		api_copy(k->owner, sizeof(k->owner), sl_str_z(rights->participant));
	return NULL;
}

static const char *on_accept(struct api_ws *ws, const struct api_request *req, int *status)
{
	struct sl_api *api = api_ws_api(ws);
	struct join_socket *k = sl_zalloc(sizeof(*k));
	const char *why;

	*status = 503;
	if (!k)
		return "out of memory";
	*status = 400;
	k->api = api;
	k->ws = ws;
	why = read_request(k, req);
	if (why) {
		sl_free(k);
		return why;
	}
	api_ws_set_data(ws, k);
	return NULL;
}

static void on_ws_open(struct api_ws *ws)
{
	struct join_socket *k = api_ws_data(ws);

	if (!k->api->freeing)
		start(k);
}

static void lost(struct api_join *j)
{
	struct sl_api *api = j->api;

	j->socket = NULL;
	/* Nobody was told of it yet; core's reply ends it. */
	if (j->phase == JOIN_OPENING || api->freeing)
		return;
	api_join_void_offer(j);
	j->lost_us = api_now_us(api);
	sl_list_add(&api->joins_lost, &j->lost_link);
	api_rooms_tick(api);
}

static void on_ws_closed(struct api_ws *ws, int code)
{
	struct join_socket *k = api_ws_data(ws);

	(void)code;
	if (!k)
		return;
	if (k->op)
		k->op->socket = NULL;
	if (k->join)
		lost(k->join);
	sl_wipe(k, sizeof(*k));
	sl_free(k);
}

const struct api_ws_ops api_join_ws = {
	.accept = on_accept,
	.open = on_ws_open,
	.text = on_text,
	.closed = on_ws_closed,
};

/* ================= the end ================= */

void api_join_end(struct api_session *s, bool gone, const char *why)
{
	struct api_join *j = s->join;
	struct join_socket *k = j->socket;
	char reason[SENTENCE_MAX];
	int code = j->close_code;

	(void)sl_fmt(reason, sizeof(reason), "%s", why);
	if (!code)
		code = gone ? JOIN_CLOSE_RETRY : JOIN_CLOSE_ENDED;
	if (k) {
		k->join = NULL;
		if (!j->api->freeing)
			api_ws_close(k->ws, code, reason);
	}
	sl_list_del(&j->stir_link);
	sl_list_del(&j->lost_link);
	s->join = NULL;
	api_join_fini(j);
}
