/* SPDX-License-Identifier: Apache-2.0
 * api/session.c — one peer, of WHIP, WHEP or a join: found by its public id or by the tag that core
 * calls it by. */
#include "api/events.h"
#include "api/join.h"

enum { ETAG_LEN = 16 };

void api_short_id(const struct api_session *s, char out[7])
{
	memcpy(out, s->id, 6);
	out[6] = 0;
}

/* A publisher without a name is called by its session's id, which is a secret. */
struct sl_str api_log_name(const struct api_session *s)
{
	struct sl_str name = sl_str_z(s->participant);

	return sl_str_eq(name, sl_str_z(s->id)) ? sl_str(s->id, 6) : name;
}

static const char *role_name(const struct api_session *s)
{
	if (s->join)
		return "participant";
	return s->publisher ? "publisher" : "player";
}

void api_session_new_etag(struct sl_api *api, struct api_session *s)
{
	sl_rng_id(&api->rng, s->etag, ETAG_LEN);
}

/* 128 random bits, base64url. */
static void make_id(struct sl_api *api, char out[API_ID_LEN + 1])
{
	uint8_t bits[16];

	sl_rng_fill(&api->rng, bits, sizeof(bits));
	(void)sl_base64url(bits, sizeof(bits), out, API_ID_LEN + 1);
}

int api_session_new(struct sl_api *api, struct api_room *r, bool publisher, bool player,
		    const char *participant, struct api_session **out)
{
	uint64_t tag;
	struct api_session *s = sl_pool_get(&api->sessions, &tag);
	int err;

	if (!s)
		return api->sessions.live >= api->sessions.max ? SL_EFULL : SL_ENOMEM;
	make_id(api, s->id);
	err = sl_hash_put(&api->ids, s->id, API_ID_LEN, s);
	if (err) {
		sl_pool_put(&api->sessions, tag);
		return err;
	}
	s->tag = tag;
	s->publisher = publisher;
	s->player = player;
	s->since_us = api_now_us(api);
	s->room = r;
	s->codecs = r->set.codecs;
	s->state = SESSION_OPENING;
	api_session_new_etag(api, s);
	if (!sl_str_copy(s->participant, sizeof(s->participant),
			 sl_str_z(participant ? participant : s->id)))
		s->participant[0] = 0;
	sl_list_init(&s->link);
	sl_list_init(&s->play_link);
	if (publisher) {
		r->publisher_count++;
		sl_list_add(&r->publishers, &s->link);
	}
	if (player)
		sl_list_add(&r->players, &s->play_link);
	*out = s;
	return SL_OK;
}

/* Twice the room when there is none; NULL when there is no memory for it. The old array stays. */
static void *grow(void *p, size_t *cap, size_t size)
{
	size_t more = *cap ? 2 * *cap : 4;
	char *bigger = sl_realloc(p, more * size);

	if (!bigger)
		return NULL;
	memset(bigger + *cap * size, 0, (more - *cap) * size);
	*cap = more;
	return bigger;
}

static bool room_for_slot(struct api_session *s, size_t unit)
{
	while (unit >= s->slot_cap) {
		struct api_slot *more = grow(s->slots, &s->slot_cap, sizeof(*s->slots));

		if (!more)
			return false;
		s->slots = more;
	}
	s->slot_count = SL_MAX(s->slot_count, unit + 1);
	return true;
}

struct api_track *api_session_add_track(struct sl_api *api, struct api_session *s, bool publish,
					enum sl_kind kind)
{
	struct api_track *t;
	uint8_t unit = 0;

	if (s->track_count == s->track_cap) {
		t = grow(s->tracks, &s->track_cap, sizeof(*s->tracks));
		if (!t)
			return NULL;
		s->tracks = t;
	}
	for (size_t i = 0; i < s->track_count; i++)
		if (s->tracks[i].publish == publish && s->tracks[i].kind == kind)
			unit++;
	if (!publish && !room_for_slot(s, unit))
		return NULL;
	if (publish) {
		if (s->publish_end == 0)
			s->publish_first = s->track_count;
		s->publish_end = s->track_count + 1;
	}
	t = &s->tracks[s->track_count++];
	*t = (struct api_track){.publish = publish, .kind = kind, .unit = unit};
	make_id(api, t->public_id);
	return t;
}

void api_session_name_track(struct sl_api *api, struct api_track *t)
{
	make_id(api, t->public_id);
}

void api_session_drop_tracks(struct api_session *s, size_t n)
{
	s->track_count -= SL_MIN(n, s->track_count);
	s->publish_end = SL_MIN(s->publish_end, s->track_count);
}

/* Its place in the table goes back; nothing refers to it any more. */
static void put_session(struct sl_api *api, struct api_session *s)
{
	if (s->join)
		api_join_end(s, true, "");
	api_feed_forget(s);
	sl_free(s->tracks);
	sl_free(s->slots);
	sl_pool_put(&api->sessions, s->tag);
}

struct api_session *api_session_by_tag(struct sl_api *api, uint64_t tag)
{
	return sl_pool_at(&api->sessions, tag);
}

struct api_session *api_session_by_id(struct sl_api *api, struct sl_str id)
{
	return id.n == API_ID_LEN ? sl_hash_get(&api->ids, id.p, id.n) : NULL;
}

/* The last ones that ended are kept for whoever asks why. */
static void remember_ended(struct sl_api *api, const struct api_session *s, const char *why)
{
	struct api_ended *e = &api->ended[api->ended_next++ % API_ENDED_MAX];

	*e = (struct api_ended){
		.via = api_via_word(s),
		.cause = s->cause,
		.since_us = s->since_us,
		.ended_us = api_now_us(api),
		.loop = s->loop,
	};
	api_copy(e->id, sizeof(e->id), sl_str_z(s->id));
	api_copy(e->room, sizeof(e->room), sl_str_z(s->room->name));
	if (s->publisher || s->join)
		api_copy(e->participant, sizeof(e->participant), sl_str_z(s->participant));
	api_copy(e->detail, sizeof(e->detail), sl_str_z(s->detail));
	api_copy(e->why, sizeof(e->why), sl_str_z(why));
}

/* Out of the room and of the table of ids; only core may still know it. */
static void unlink_session(struct sl_api *api, struct api_session *s, bool gone, const char *why)
{
	struct api_room *r = s->room;
	char id[7];

	if (!r)
		return;
	api_short_id(s, id);
	SL_LOG(INFO, WHIP, "session closed", SL_KS("role", role_name(s)), SL_KS("room", r->name),
	       SL_KSTR("participant", api_log_name(s)), SL_KS("session", id), SL_KS("cause", why));
	if (s->state == SESSION_OPEN)
		api_event_closed(api, r, s, why);
	remember_ended(api, s, why);
	if (s->join)
		api_join_end(s, gone, why);
	sl_hash_del(&api->ids, s->id, API_ID_LEN);
	sl_list_del(&s->link);
	sl_list_del(&s->play_link);
	if (s->publisher)
		r->publisher_count--;
	s->room = NULL;
	s->state = SESSION_CLOSING;
	api_room_changed(api, r);
}

void api_session_gone(struct sl_api *api, struct api_session *s, const char *why)
{
	unlink_session(api, s, true, why);
	sl_list_del(&s->link);
	put_session(api, s);
}

/* True when core took the command, or knows no such transport any more. */
static bool close_transport(struct sl_api *api, const struct api_session *s)
{
	int err = s->transport ? sl_core_close(api->core, s->transport, NULL, NULL) : SL_OK;

	return err != SL_EBUSY && err != SL_ENOMEM;
}

void api_session_end(struct sl_api *api, struct api_session *s, const char *why)
{
	unlink_session(api, s, false, why);
	if (close_transport(api, s)) {
		put_session(api, s);
		return;
	}
	sl_list_add(&api->closing, &s->link);
	api->dirty = true;
	api_rooms_tick(api);
}

void api_sessions_retry(struct sl_api *api)
{
	SL_LIST_EACH(it, tmp, &api->closing) {
		struct api_session *s = SL_LIST_AT(it, struct api_session, link);

		if (!close_transport(api, s)) {
			api->dirty = true;
			return;
		}
		sl_list_del(&s->link);
		put_session(api, s);
	}
}

void api_sessions_fini(struct sl_api *api)
{
	struct api_session *s;
	uint32_t cursor = 0;
	uint64_t tag;

	while ((s = sl_pool_next(&api->sessions, &cursor, &tag)))
		put_session(api, s);
	sl_hash_fini(&api->ids);
	sl_pool_fini(&api->sessions);
}
