/* SPDX-License-Identifier: Apache-2.0
 * api/session.c — one WHIP or WHEP peer: found by its public id or by the tag that core calls it
 * by. */
#include "api/api_int.h"

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
	return s->role == SL_SDP_PUBLISHER ? "publisher" : "player";
}

void api_session_new_etag(struct sl_api *api, struct api_session *s)
{
	sl_rng_id(&api->rng, s->etag, ETAG_LEN);
}

int api_session_new(struct sl_api *api, struct api_room *r, enum sl_sdp_role role,
		    const char *participant, struct api_session **out)
{
	uint8_t bits[16];
	uint64_t tag;
	struct api_session *s = sl_pool_get(&api->sessions, &tag);
	int err;

	if (!s)
		return api->sessions.live >= api->sessions.max ? SL_EFULL : SL_ENOMEM;
	sl_rng_fill(&api->rng, bits, sizeof(bits));
	(void)sl_base64url(bits, sizeof(bits), s->id, sizeof(s->id));
	err = sl_hash_put(&api->ids, s->id, API_ID_LEN, s);
	if (err) {
		sl_pool_put(&api->sessions, tag);
		return err;
	}
	s->tag = tag;
	s->role = role;
	s->room = r;
	s->state = SESSION_OPENING;
	api_session_new_etag(api, s);
	if (!sl_str_copy(s->participant, sizeof(s->participant),
			 sl_str_z(participant ? participant : s->id)))
		s->participant[0] = 0;
	if (role == SL_SDP_PUBLISHER)
		r->publisher_count++;
	sl_list_add(role == SL_SDP_PUBLISHER ? &r->publishers : &r->players, &s->link);
	*out = s;
	return SL_OK;
}

struct api_session *api_session_by_tag(struct sl_api *api, uint64_t tag)
{
	return sl_pool_at(&api->sessions, tag);
}

struct api_session *api_session_by_id(struct sl_api *api, struct sl_str id)
{
	return id.n == API_ID_LEN ? sl_hash_get(&api->ids, id.p, id.n) : NULL;
}

/* Out of the room and of the table of ids; only core may still know it. */
static void unlink_session(struct sl_api *api, struct api_session *s, const char *why)
{
	struct api_room *r = s->room;
	char id[7];

	if (!r)
		return;
	api_short_id(s, id);
	SL_LOG(INFO, WHIP, "session closed", SL_KS("role", role_name(s)), SL_KS("room", r->name),
	       SL_KSTR("participant", api_log_name(s)), SL_KS("session", id), SL_KS("cause", why));
	sl_hash_del(&api->ids, s->id, API_ID_LEN);
	sl_list_del(&s->link);
	if (s->role == SL_SDP_PUBLISHER)
		r->publisher_count--;
	s->room = NULL;
	s->state = SESSION_CLOSING;
	api_room_changed(api, r);
}

void api_session_gone(struct sl_api *api, struct api_session *s, const char *why)
{
	unlink_session(api, s, why);
	sl_list_del(&s->link);
	sl_pool_put(&api->sessions, s->tag);
}

/* True when core took the command, or knows no such transport any more. */
static bool close_transport(struct sl_api *api, const struct api_session *s)
{
	int err = s->transport ? sl_core_close(api->core, s->transport, NULL, NULL) : SL_OK;

	return err != SL_EBUSY && err != SL_ENOMEM;
}

void api_session_end(struct sl_api *api, struct api_session *s, const char *why)
{
	unlink_session(api, s, why);
	if (close_transport(api, s)) {
		sl_pool_put(&api->sessions, s->tag);
		return;
	}
	sl_list_add(&api->closing, &s->link);
	api->dirty = true;
	api_rooms_tick(api);
}

void api_sessions_retry(struct sl_api *api)
{
	SL_LIST_EACH(it, tmp, &api->closing)
	{
		struct api_session *s = SL_LIST_AT(it, struct api_session, link);

		if (!close_transport(api, s)) {
			api->dirty = true;
			return;
		}
		sl_list_del(&s->link);
		sl_pool_put(&api->sessions, s->tag);
	}
}
