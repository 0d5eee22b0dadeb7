/* SPDX-License-Identifier: Apache-2.0
 * api/room.c — rooms: who is there, who plays whom, who speaks, and when a room ends.
 * A room's wishes are computed anew whenever somebody comes, leaves or becomes ready, and compared
 * with what core was told last; only differences become commands. What core would not take is tried
 * again. */
#include "api/events.h"
#include "api/join.h"
#include "api/rest.h"

enum { RETRY_MS = 20, SPEAKER_FRESH_MS = 1000 };

/* ================= the table ================= */

/* 128 bits of keyed digest stand for the name, which may be longer than a key of the table. */
static void name_key(const struct sl_api *api, const char *name, uint64_t key[2])
{
	size_t n = strlen(name);

	key[0] = sl_siphash13(api->secret, name, n);
	key[1] = sl_siphash13(api->secret + 2, name, n);
}

struct api_room *api_room_find(struct sl_api *api, const char *name)
{
	uint64_t key[2];
	struct api_room *r;

	name_key(api, name, key);
	r = sl_hash_get(&api->rooms, key, sizeof(key));
	return r && strcmp(r->name, name) == 0 ? r : NULL;
}

static void room_free(struct sl_api *api, struct api_room *r)
{
	uint64_t key[2];

	SL_LOG(INFO, ROOM, "room ended", SL_KS("room", r->name));
	api_event_room(api, r, "ended");
	name_key(api, r->name, key);
	sl_hash_del(&api->rooms, key, sizeof(key));
	sl_list_del(&r->link);
	api->room_count--;
	api_room_set_fini(&r->set);
	sl_free(r);
}

/* ================= when it ends ================= */

static int64_t end_us(const struct api_room *r)
{
	return r->empty_us + r->set.linger_us;
}

/* Into the list of those that will end, unless somebody is here or it stays. */
static void schedule_end(struct sl_api *api, struct api_room *r)
{
	struct sl_list *before;

	sl_list_del(&r->link);
	if (!r->empty_us || r->set.linger_us == SL_NEVER)
		return;
	/* Most rooms linger equally long: then the place is the last. */
	before = api->empty_rooms.prev;
	while (before != &api->empty_rooms &&
	       end_us(SL_LIST_AT(before, struct api_room, link)) > end_us(r))
		before = before->prev;
	sl_list_add(before->next, &r->link);
}

/* The first to end of those that nobody asked for makes way. */
static void make_way(struct sl_api *api)
{
	SL_LIST_EACH(it, tmp, &api->empty_rooms) {
		struct api_room *r = SL_LIST_AT(it, struct api_room, link);

		if (!r->made) {
			room_free(api, r);
			return;
		}
	}
}

void api_room_end(struct sl_api *api, struct api_room *r, const char *why)
{
	while (!sl_list_empty(&r->publishers))
		api_session_end(api, SL_LIST_AT(r->publishers.next, struct api_session, link), why);
	while (!sl_list_empty(&r->players))
		api_session_end(api, SL_LIST_AT(r->players.next, struct api_session, play_link),
				why);
	room_free(api, r);
	api_rooms_tick(api);
}

int api_room_new(struct sl_api *api, const char *name, struct api_room **out)
{
	struct api_room *r;
	uint64_t key[2];
	int err;

	if (api->room_count >= api->conf->rooms.max)
		make_way(api);
	if (api->room_count >= api->conf->rooms.max)
		return SL_EFULL;
	r = sl_zalloc(sizeof(*r));
	if (!r || !sl_str_copy(r->name, sizeof(r->name), sl_str_z(name))) {
		sl_free(r);
		return SL_ENOMEM;
	}
	name_key(api, name, key);
	err = sl_hash_put(&api->rooms, key, sizeof(key), r);
	if (err) {
		sl_free(r);
		return err;
	}
	sl_list_init(&r->publishers);
	sl_list_init(&r->players);
	sl_list_init(&r->link);
	api_room_set_default(api, &r->set);
	r->since_us = api_now_us(api);
	api->room_count++;
	SL_LOG(INFO, ROOM, "room begins", SL_KS("room", r->name));
	api_event_room(api, r, "created");
	*out = r;
	return SL_OK;
}

struct api_session *api_room_publisher(const struct api_room *r, const char *participant)
{
	SL_LIST_EACH(it, tmp, &r->publishers) {
		struct api_session *s = SL_LIST_AT(it, struct api_session, link);

		if (strcmp(s->participant, participant) == 0)
			return s;
	}
	return NULL;
}

struct api_session *api_room_participant(const struct api_room *r, const char *participant)
{
	struct api_session *pub = api_room_publisher(r, participant);

	if (pub)
		return pub;
	SL_LIST_EACH(it, tmp, &r->players) {
		struct api_session *s = SL_LIST_AT(it, struct api_session, play_link);

		if (s->join && strcmp(s->participant, participant) == 0)
			return s;
	}
	return NULL;
}

uint32_t api_room_count(const struct api_room *r)
{
	uint32_t n = r->publisher_count;

	SL_LIST_EACH(it, tmp, &r->players) {
		const struct api_session *s = SL_LIST_AT(it, struct api_session, play_link);

		n += s->join && !s->publisher;
	}
	return n;
}

/* ================= who plays whom ================= */

/* The n-th published track of a kind that core has, or NULL. These few are looked for by each
 * player of a full room: not among all those that their owner plays. */
static struct api_track *track_at(struct api_session *s, enum sl_kind kind, unsigned unit)
{
	for (size_t i = s->publish_first; i < s->publish_end; i++)
		if (s->tracks[i].id && s->tracks[i].publish && s->tracks[i].kind == kind &&
		    s->tracks[i].unit == unit)
			return &s->tracks[i];
	return NULL;
}

static bool has_unit(struct api_session *pub, unsigned unit)
{
	return track_at(pub, SL_AUDIO, unit) || track_at(pub, SL_VIDEO, unit);
}

/* Above every unit that it publishes. */
static unsigned units(const struct api_session *pub)
{
	unsigned n = 0;

	for (size_t i = pub->publish_first; i < pub->publish_end; i++)
		if (pub->tracks[i].publish && pub->tracks[i].id)
			n = SL_MAX(n, pub->tracks[i].unit + 1U);
	return n;
}

/* What core has, as bits by kind: of a publisher's unit, and of each slot of a player. */
static unsigned kinds_of_unit(struct api_session *pub, unsigned unit)
{
	unsigned kinds = 0;

	for (unsigned k = 0; k < SL_KIND_COUNT; k++)
		kinds |= track_at(pub, (enum sl_kind)k, unit) ? 1U << k : 0;
	return kinds;
}

static void kinds_of_slots(const struct api_session *player, uint8_t kinds[UINT8_MAX + 1])
{
	for (size_t i = 0; i < player->track_count; i++) {
		const struct api_track *t = &player->tracks[i];

		if (!t->publish && t->id)
			kinds[t->unit] |= (uint8_t)(1U << t->kind);
	}
}

static bool may_play(const struct api_session *player, const struct api_session *pub)
{
	return pub->state == SESSION_OPEN && pub != player &&
	       (player->join || !player->participant[0] ||
		strcmp(player->participant, pub->participant) == 0);
}

static bool shown(const struct api_session *player, uint64_t publisher, unsigned unit)
{
	for (size_t i = 0; i < player->slot_count; i++)
		if (player->slots[i].publisher == publisher && player->slots[i].unit == unit)
			return true;
	return false;
}

/* Into the first free slot that can take something of it. */
static void place(struct api_session *player, const uint8_t slot_kinds[UINT8_MAX + 1],
		  struct api_session *pub, unsigned unit)
{
	unsigned kinds = kinds_of_unit(pub, unit);

	for (size_t i = 0; i < player->slot_count; i++)
		if (!player->slots[i].publisher && slot_kinds[i] & kinds) {
			player->slots[i] =
				(struct api_slot){.publisher = pub->tag, .unit = (uint8_t)unit};
			return;
		}
}

/* Who has a slot keeps it; who has none gets one in order of joining. */
static void fill_slots(struct sl_api *api, struct api_session *player, const struct api_room *r)
{
	uint8_t slot_kinds[UINT8_MAX + 1] = {0};

	kinds_of_slots(player, slot_kinds);
	player->wanted = 0;
	for (size_t i = 0; i < player->slot_count; i++) {
		struct api_slot *slot = &player->slots[i];
		struct api_session *pub = api_session_by_tag(api, slot->publisher);

		if (!pub || pub->room != r || !may_play(player, pub) || !has_unit(pub, slot->unit))
			slot->publisher = 0;
	}
	SL_LIST_EACH(it, tmp, &r->publishers) {
		struct api_session *pub = SL_LIST_AT(it, struct api_session, link);
		unsigned n = may_play(player, pub) ? units(pub) : 0;

		for (unsigned unit = 0; unit < n; unit++) {
			if (!has_unit(pub, unit))
				continue;
			player->wanted++;
			if (!shown(player, pub->tag, unit))
				place(player, slot_kinds, pub, unit);
		}
	}
}

/* A route that could not be set is tried again, unless one of the two is gone. */
static void on_routed(void *arg, const struct sl_reply *reply)
{
	struct api_op *op = arg;
	struct sl_api *api = op->api;
	struct api_session *s = api ? api_session_by_tag(api, op->session) : NULL;

	if (s && s->room && reply->err && reply->err != SL_ENOTFOUND &&
	    op->track < s->track_count) {
		s->tracks[op->track].playing = 0;
		s->room->dirty = api->dirty = true;
		api_rooms_tick(api);
	}
	api_op_free(op);
}

static bool route(struct sl_api *api, struct api_session *player, size_t track, uint64_t publisher)
{
	struct api_op *op = api_op_new(api, NULL);

	if (!op)
		return false;
	op->session = player->tag;
	op->track = track;
	if (sl_core_route(api->core, player->tracks[track].id, publisher, on_routed, op) != SL_OK) {
		api_op_free(op);
		return false;
	}
	player->tracks[track].playing = publisher;
	return true;
}

/* The publisher's track that a subscription should play; 0 none. */
static uint64_t wanted_by(struct sl_api *api, struct api_session *player, const struct api_track *t)
{
	const struct api_slot *slot = t->publish ? NULL : &player->slots[t->unit];
	struct api_session *pub = slot ? api_session_by_tag(api, slot->publisher) : NULL;
	const struct api_track *source = pub ? track_at(pub, t->kind, slot->unit) : NULL;

	return source ? source->id : 0;
}

static void route_player(struct sl_api *api, struct api_room *r, struct api_session *player)
{
	fill_slots(api, player, r);
	if (player->join)
		api_join_slots_changed(player);
	for (size_t i = 0; i < player->track_count; i++) {
		uint64_t want = wanted_by(api, player, &player->tracks[i]);

		if (player->tracks[i].publish || !player->tracks[i].id ||
		    want == player->tracks[i].playing)
			continue;
		if (!route(api, player, i, want))
			r->dirty = api->dirty = true;
	}
}

static void cap_session(struct sl_api *api, struct api_room *r, struct api_session *s)
{
	const char *by;

	for (size_t i = 0; i < s->track_count; i++) {
		struct api_track *t = &s->tracks[i];
		uint32_t bps;

		/* One that is muted is told when it goes on. */
		if (!t->publish || t->kind != SL_VIDEO || !t->id || t->muted)
			continue;
		bps = api_room_cap_of(api, r, s, t, &by);
		if (bps == t->cap_bps)
			continue;
		if (sl_core_set_cap(api->core, t->id, bps, NULL, NULL) == SL_OK)
			t->cap_bps = bps;
		else
			r->dirty = api->dirty = true;
	}
}

void api_room_caps(struct sl_api *api, struct api_room *r)
{
	SL_LIST_EACH(it, tmp, &r->publishers) {
		struct api_session *s = SL_LIST_AT(it, struct api_session, link);

		if (s->state == SESSION_OPEN)
			cap_session(api, r, s);
	}
	if (r->dirty)
		api_rooms_tick(api);
}

static void route_room(struct sl_api *api, struct api_room *r)
{
	r->dirty = false;
	SL_LIST_EACH(it, tmp, &r->players) {
		struct api_session *player = SL_LIST_AT(it, struct api_session, play_link);

		if (player->state == SESSION_OPEN)
			route_player(api, r, player);
	}
}

void api_room_changed(struct sl_api *api, struct api_room *r)
{
	bool empty = sl_list_empty(&r->publishers) && sl_list_empty(&r->players);

	route_room(api, r);
	api_room_caps(api, r);
	if (!empty || !r->empty_us) {
		r->empty_us = empty ? api_now_us(api) : 0;
		schedule_end(api, r);
	}
	api_rooms_tick(api);
}

void api_room_set(struct sl_api *api, struct api_room *r, struct api_room_set *set)
{
	char before[API_ETAG], now[API_ETAG];

	api_room_etag(api, &r->set, before);
	api_room_set_fini(&r->set);
	r->set = *set;
	*set = (struct api_room_set){0};
	api_room_etag(api, &r->set, now);
	if (strcmp(before, now) != 0)
		api_event_room(api, r, "changed");
	schedule_end(api, r);
	api_room_changed(api, r);
}

/* ================= who speaks ================= */

const struct api_session *api_room_speaker(const struct api_room *r)
{
	SL_LIST_EACH(it, tmp, &r->publishers) {
		const struct api_session *s = SL_LIST_AT(it, struct api_session, link);

		for (size_t i = 0; i < s->track_count; i++)
			if (r->speaker.current && s->tracks[i].id == r->speaker.current)
				return s;
	}
	return NULL;
}

static uint32_t fresh_score(const struct api_track *t, int64_t now_us)
{
	return t && t->heard_us && now_us - t->heard_us < SPEAKER_FRESH_MS * SL_MS ? t->score : 0;
}

void api_room_level(struct sl_api *api, struct api_session *s, uint64_t track, uint32_t score)
{
	struct api_room *r = s->room;
	int64_t now_us = api_now_us(api);
	struct api_session *speaker = NULL;
	uint64_t loudest = 0;
	uint32_t loudest_score = 0, current_score = 0;

	for (size_t i = 0; i < s->track_count; i++)
		if (s->tracks[i].id == track) {
			s->tracks[i].score = score;
			s->tracks[i].heard_us = now_us;
		}
	SL_LIST_EACH(it, tmp, &r->publishers) {
		struct api_session *pub = SL_LIST_AT(it, struct api_session, link);

		for (size_t i = 0; i < pub->track_count; i++) {
			uint32_t n = fresh_score(&pub->tracks[i], now_us);

			if (pub->tracks[i].id == r->speaker.current)
				current_score = n;
			if (n > loudest_score) {
				loudest_score = n;
				loudest = pub->tracks[i].id;
				speaker = pub;
			}
		}
	}
	if (!speaker ||
	    !sl_speaker_round(&r->speaker, loudest, loudest_score, current_score, now_us))
		return;
	SL_LOG(DEBUG, ROOM, "speaker changed", SL_KS("room", r->name),
	       SL_KSTR("participant", api_log_name(speaker)));
	api_event_speaker(api, r, speaker);
}

/* ================= ends and second tries ================= */

static void on_tick(uv_timer_t *t)
{
	struct sl_api *api = t->data;
	int64_t now_us = api_now_us(api);
	uint32_t cursor = 0;

	while (!sl_list_empty(&api->empty_rooms)) {
		struct api_room *r = SL_LIST_AT(api->empty_rooms.next, struct api_room, link);

		if (end_us(r) > now_us)
			break;
		room_free(api, r);
	}
	if (api->dirty) {
		api->dirty = false;
		api_sessions_retry(api);
		for (struct api_room *r = sl_hash_next(&api->rooms, &cursor); r;
		     r = sl_hash_next(&api->rooms, &cursor))
			if (r->dirty) {
				route_room(api, r);
				api_room_caps(api, r);
			}
	}
	api_joins_tick(api);
	api_spread_tick(api);
	api_feed_tick(api);
	api_rooms_tick(api);
}

void api_rooms_tick(struct sl_api *api)
{
	int64_t wait_us = SL_NEVER;

	if (api->freeing)
		return;
	wait_us = SL_MIN(api_joins_wait_us(api), api_spread_wait_us(api));
	wait_us = SL_MIN(wait_us, api_feed_wait_us(api));
	if (api->dirty)
		wait_us = SL_MIN(wait_us, RETRY_MS * SL_MS);
	if (!sl_list_empty(&api->empty_rooms)) {
		const struct api_room *r = SL_LIST_AT(api->empty_rooms.next, struct api_room, link);

		wait_us = SL_MIN(wait_us, SL_MAX(end_us(r) - api_now_us(api), 0));
	}
	if (wait_us == SL_NEVER)
		uv_timer_stop(&api->tick);
	else
		uv_timer_start(&api->tick, on_tick, (uint64_t)((wait_us + SL_MS - 1) / SL_MS), 0);
}

void api_rooms_fini(struct sl_api *api)
{
	uint32_t cursor = 0;

	for (struct api_room *r = sl_hash_next(&api->rooms, &cursor); r;
	     r = sl_hash_next(&api->rooms, &cursor)) {
		api_room_set_fini(&r->set);
		sl_free(r);
	}
	sl_hash_fini(&api->rooms);
}
