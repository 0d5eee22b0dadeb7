/* SPDX-License-Identifier: Apache-2.0
 * api/join_tell.c — the messages of the server (docs/join.md): to one participant, or to everybody
 * in a room. */
#include "api/join.h"
#include <stdarg.h>

enum { WORDS_MAX = 4096 };

/* ================= one socket ================= */

/* A message that cannot be made would leave the client with a wrong picture: it comes back and gets
 * a new one. */
bool api_join_say(struct join_socket *k, struct api_json_out *o)
{
	char *text;
	size_t len;

	if (api_json_out_take(o, &text, &len) == SL_OK)
		return api_ws_send(k->ws, text, len);
	api_ws_close(k->ws, JOIN_CLOSE_RETRY, "out of memory");
	return false;
}

static void begin(struct api_json_out *o, size_t max, const char *type)
{
	api_json_out_init(o, max);
	api_json_open_object(o, NULL);
	api_json_put_z(o, "type", type);
}

void api_join_error(struct join_socket *k, const char *code, const char *request, const char *fmt,
		    ...)
{
	struct api_json_out o;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)!vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	begin(&o, WORDS_MAX, "error");
	api_json_put_z(&o, "code", code);
	api_json_put_z(&o, "message", text);
	if (request && request[0])
		api_json_put_z(&o, "request", request);
	api_json_close_object(&o);
	(void)!api_join_say(k, &o);
}

/* ================= who is there ================= */

static void put_track(struct api_json_out *o, const char *key, const struct api_track *t)
{
	api_json_open_object(o, key);
	api_json_put_z(o, "id", t->public_id);
	api_json_put_z(o, "kind", t->kind == SL_VIDEO ? "video" : "audio");
	api_json_put_z(o, "source", t->source);
	api_json_put_bool(o, "muted", t->muted);
	api_json_close_object(o);
}

static void put_tracks(struct api_json_out *o, const struct api_session *s)
{
	api_json_open_array(o, "tracks");
	for (size_t i = 0; i < s->track_count; i++)
		if (s->tracks[i].publish && s->tracks[i].id)
			put_track(o, NULL, &s->tracks[i]);
	api_json_close_array(o);
}

static void put_participant(struct api_json_out *o, const struct api_session *s)
{
	api_json_open_object(o, NULL);
	api_json_put_str(o, "name", api_log_name(s));
	put_tracks(o, s);
	api_json_close_object(o);
}

/* In the room, and no mere player. */
static bool is_participant(const struct api_session *s)
{
	return s->state == SESSION_OPEN && (s->publisher || s->join);
}

static void put_room(struct api_json_out *o, const struct api_join *j)
{
	const struct api_room *r = j->s->room;
	const struct api_session *speaker = api_room_speaker(r);

	api_json_open_object(o, "room");
	api_json_put_z(o, "name", r->name);
	if (speaker)
		api_json_put_str(o, "speaker", api_log_name(speaker));
	else
		api_json_put_null(o, "speaker");
	api_json_open_array(o, "participants");
	SL_LIST_EACH(it, tmp, &r->publishers) {
		const struct api_session *s = SL_LIST_AT(it, struct api_session, link);

		if (s != j->s && is_participant(s))
			put_participant(o, s);
	}
	SL_LIST_EACH(it, tmp, &r->players) {
		const struct api_session *s = SL_LIST_AT(it, struct api_session, play_link);

		if (s != j->s && !s->publisher && is_participant(s))
			put_participant(o, s);
	}
	api_json_close_array(o);
	api_json_close_object(o);
}

void api_join_welcome(struct api_join *j, bool resumed)
{
	struct api_json_out o;

	begin(&o, API_WS_MESSAGE_MAX, "welcome");
	api_json_put_int(&o, "version", JOIN_VERSION);
	api_json_put_z(&o, "session", j->s->id);
	api_json_put_z(&o, "participant", j->s->participant);
	api_json_put_z(&o, "resume", j->token);
	api_json_put_bool(&o, "resumed", resumed);
	api_json_put_int(&o, "grace_s", j->api->conf->ice.timeout_us / SL_SEC);
	api_json_open_array(&o, "rights");
	if (j->publish)
		api_json_put_z(&o, NULL, "publish");
	if (j->subscribe)
		api_json_put_z(&o, NULL, "subscribe");
	if (j->admin)
		api_json_put_z(&o, NULL, "admin");
	api_json_close_array(&o);
	put_tracks(&o, j->s);
	put_room(&o, j);
	api_json_close_object(&o);
	(void)!api_join_say(j->socket, &o);
}

/* ================= slots ================= */

/* The lines of each slot, and what is on it. */
struct slot_lines {
	const struct api_track *at[SL_KIND_COUNT];
};

static void find_lines(const struct api_join *j, struct slot_lines *slots)
{
	for (size_t i = 0; i < j->s->track_count; i++) {
		const struct api_track *t = &j->s->tracks[i];

		if (!t->publish && t->id)
			slots[t->unit].at[t->kind] = t;
	}
}

static const char *mid_of(const struct api_track *t)
{
	return t ? t->mid : NULL;
}

/* The public id of what a line of the slot carries. */
static const char *carried(const struct api_session *pub, const struct api_slot *slot,
			   const struct api_track *line, enum sl_kind kind)
{
	for (size_t i = 0; pub && line && i < pub->track_count; i++) {
		const struct api_track *t = &pub->tracks[i];

		if (t->publish && t->id && t->unit == slot->unit && t->kind == kind)
			return t->public_id;
	}
	return NULL;
}

static void put_slot(struct api_join *j, const struct api_slot *slot,
		     const struct slot_lines *lines, struct api_json_out *o)
{
	const struct api_session *pub = api_session_by_tag(j->api, slot->publisher);

	api_json_open_object(o, NULL);
	api_json_put_z(o, "audio", mid_of(lines->at[SL_AUDIO]));
	api_json_put_z(o, "video", mid_of(lines->at[SL_VIDEO]));
	if (pub)
		api_json_put_str(o, "participant", api_log_name(pub));
	else
		api_json_put_null(o, "participant");
	api_json_open_object(o, "tracks");
	api_json_put_z(o, "audio", carried(pub, slot, lines->at[SL_AUDIO], SL_AUDIO));
	api_json_put_z(o, "video", carried(pub, slot, lines->at[SL_VIDEO], SL_VIDEO));
	api_json_close_object(o);
	api_json_close_object(o);
}

void api_join_say_slots(struct api_join *j)
{
	struct slot_lines lines[UINT8_MAX + 1] = {0};
	struct api_json_out o;
	struct sl_str text;
	uint64_t digest;
	size_t n = 0;

	find_lines(j, lines);
	begin(&o, API_WS_MESSAGE_MAX, "slots");
	api_json_open_array(&o, "slots");
	for (size_t i = 0; i < j->s->slot_count; i++) {
		if (!lines[i].at[SL_AUDIO] && !lines[i].at[SL_VIDEO])
			continue;
		put_slot(j, &j->s->slots[i], &lines[i], &o);
		n++;
	}
	api_json_close_array(&o);
	api_json_close_object(&o);
	if (api_json_out_text(&o, &text) == SL_OK) {
		digest = sl_siphash13(j->api->secret, text.p, text.n) | 1;
		if (digest == j->slots_said || (n == 0 && !j->slots_said)) {
			api_json_out_fini(&o);
			return;
		}
		j->slots_said = digest;
	}
	(void)!api_join_say(j->socket, &o);
}

/* ================= everybody in a room ================= */

/* A copy to each socket; `but` gets none. */
static void tell_all(struct api_json_out *o, const struct api_room *r,
		     const struct api_session *but)
{
	const struct sl_list *lists[2] = {&r->publishers, &r->players};
	struct sl_str text;
	int err = api_json_out_text(o, &text);

	for (size_t k = 0; k < 2; k++)
		SL_LIST_EACH(it, tmp, lists[k]) {
			struct api_session *s = k ? SL_LIST_AT(it, struct api_session, play_link)
						  : SL_LIST_AT(it, struct api_session, link);
			struct join_socket *to =
				s->join && s->state == SESSION_OPEN ? s->join->socket : NULL;
			char *copy;

			if (!to || s == but || (k && s->publisher))
				continue;
			copy = err ? NULL : sl_strndup(text.p, text.n);
			if (copy)
				(void)!api_ws_send(to->ws, copy, text.n);
			else
				api_ws_close(to->ws, JOIN_CLOSE_RETRY, "out of memory");
		}
	api_json_out_fini(o);
}

void api_join_tell_participant(struct sl_api *api, const struct api_room *r,
			       const struct api_session *s, const char *what)
{
	struct api_json_out o;

	(void)api;
	begin(&o, WORDS_MAX, "participant");
	api_json_put_z(&o, "event", what);
	api_json_put_str(&o, "name", api_log_name(s));
	api_json_close_object(&o);
	tell_all(&o, r, s);
}

/* Its own tracks are the owner's business only when somebody else may have changed them. */
void api_join_tell_track(struct sl_api *api, const struct api_room *r, const struct api_session *s,
			 const struct api_track *t, const char *what)
{
	struct api_json_out o;

	(void)api;
	begin(&o, WORDS_MAX, "track");
	api_json_put_z(&o, "event", what);
	api_json_put_str(&o, "participant", api_log_name(s));
	put_track(&o, "track", t);
	api_json_close_object(&o);
	tell_all(&o, r, strcmp(what, "changed") == 0 ? NULL : s);
}

void api_join_tell_speaker(struct sl_api *api, const struct api_room *r,
			   const struct api_session *s)
{
	struct api_json_out o;

	(void)api;
	begin(&o, WORDS_MAX, "speaker");
	api_json_put_str(&o, "participant", api_log_name(s));
	api_json_close_object(&o);
	tell_all(&o, r, NULL);
}
