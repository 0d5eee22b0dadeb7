/* SPDX-License-Identifier: Apache-2.0
 * tests/rooms/person.c — a participant as docs/join.md has it: what it says, what it hears, how it
 * answers offers, and what it holds offers to. */
#include "tests/rooms/world.h"
#include <stdarg.h>
#include <stdlib.h>

enum { ANSWER_LINE = 4096 };

static const char *text_of(const cJSON *obj, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(obj, key);

	return cJSON_IsString(v) ? v->valuestring : "";
}

static const cJSON *member(const cJSON *obj, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(obj, key);
}

static struct person *by_name(const char *name)
{
	for (size_t i = 0; i < PEOPLE; i++)
		if (strcmp(world.people[i].name, name) == 0)
			return &world.people[i];
	sl_test_failed(__FILE__, __LINE__, "nobody is called %s", name);
}

struct api_session *person_session(const struct person *p)
{
	return api_session_by_id(world.api, sl_str_z(p->session));
}

/* ================= tracks ================= */

static struct track *track_by_id(const char *id)
{
	return sl_hash_get(&world.by_id, id, strlen(id));
}

/* The one of an offer: again, when the offer was void and comes anew. */
static struct track *new_track(const struct person *p, const char *id, enum sl_kind kind)
{
	struct track *t = track_by_id(id);

	CHECK_EQ(strlen(id), API_ID_LEN);
	if (t) {
		CHECK(t->owner == p->number && t->kind == kind);
		return t;
	}
	CHECK(world.track_count + 1 < TRACKS_EVER);
	t = &world.tracks[++world.track_count];
	*t = (struct track){
		.serial = world.track_count, .kind = kind, .owner = p->number, .live = true};
	(void)sl_fmt(t->id, sizeof(t->id), "%s", id);
	TRY(sl_hash_put(&world.by_id, t->id, API_ID_LEN, t));
	return t;
}

static void end_track(struct line *l)
{
	if (l->track)
		l->track->live = false;
	l->track = NULL;
}

/* Everything that it published is over. */
static void end_tracks(struct person *p)
{
	for (size_t i = 0; i < p->line_count; i++)
		if (!p->lines[i].slot)
			end_track(&p->lines[i]);
}

size_t person_publishing(const struct person *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->line_count; i++)
		n += !p->lines[i].slot && p->lines[i].track;
	return n;
}

struct line *person_own(struct person *p, unsigned i)
{
	size_t n = person_publishing(p);

	i = n ? i % (unsigned)n : 0;
	for (size_t k = 0; n && k < p->line_count; k++)
		if (!p->lines[k].slot && p->lines[k].track && i-- == 0)
			return &p->lines[k];
	return NULL;
}

/* ================= what it says ================= */

void person_say(struct person *p, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	CHECK(n > 0 && (size_t)n < sizeof(text));
	socket_say(p, text, (size_t)n);
}

void person_publish(struct person *p, const char *kinds)
{
	static const struct {
		char letter;
		const char *kind, *source;
	} table[] = {
		{'a', "audio", "microphone"}, {'v', "video", "camera"}, {'s', "video", "screen"}};
	char list[512] = "";
	struct sl_buf b = sl_buf(list, sizeof(list));

	for (const char *k = kinds; *k; k++)
		for (size_t i = 0; i < SL_COUNT(table); i++)
			if (table[i].letter == *k)
				sl_buf_fmt(&b, "%s{\"kind\":\"%s\",\"source\":\"%s\"}",
					   b.n ? "," : "", table[i].kind, table[i].source);
	person_say(p, "{\"type\":\"publish\",\"tracks\":[%s]}", list);
}

void person_unpublish(struct person *p, struct line *l)
{
	person_say(p, "{\"type\":\"unpublish\",\"track\":\"%s\"}", l->track->id);
	end_track(l);
}

void person_mute(struct person *p, struct line *l, bool muted)
{
	person_say(p, "{\"type\":\"mute\",\"track\":\"%s\",\"muted\":%s}", l->track->id,
		   muted ? "true" : "false");
	if (!l->track->held)
		l->track->muted = muted;
}

void person_pause(struct person *p, struct line *l, bool paused)
{
	person_say(p, "{\"type\":\"pause\",\"mid\":\"%zu\",\"paused\":%s}", (size_t)(l - p->lines),
		   paused ? "true" : "false");
	l->paused = paused;
}

static void forget(struct person *p)
{
	end_tracks(p);
	media_close(p);
	p->line_count = 0;
	p->session[0] = p->token[0] = p->speaker[0] = 0;
	memset(p->here, 0, sizeof(p->here));
	for (uint32_t i = 1; i <= world.track_count; i++)
		world.tracks[i].seen[p->number] = UNSEEN;
	p->state = OUT;
}

void person_come(struct person *p, const char *query_more)
{
	CHECK(p->state == OUT);
	p->state = COMING;
	p->offer = 0;
	p->close_code = 0;
	p->remb_bps = 0;
	media_open(p);
	socket_open(p, query_more);
}

void person_leave(struct person *p)
{
	person_say(p, "{\"type\":\"leave\"}");
	person_kicked(p);
}

void person_kicked(struct person *p)
{
	end_tracks(p);
	p->state = LEAVING;
}

void person_vanish(struct person *p)
{
	socket_drop(p);
	forget(p);
	p->left_traces = true;
}

static void come_back(void *arg)
{
	struct person *p = *(struct person **)arg;
	char query[64];

	free(arg);
	CHECK(p->state == LOST && !p->ws);
	CHECK(sl_fmt(query, sizeof(query), "&resume=%s", p->token));
	socket_open(p, query);
}

void person_lose_socket(struct person *p, int64_t for_us)
{
	struct person **arg = malloc(sizeof(*arg));

	SL_ASSERT(arg);
	*arg = p;
	socket_drop(p);
	p->state = LOST;
	world_later(ITEM_SOCKET, world.now_us + for_us, come_back, arg);
}

void person_reload(struct person *p)
{
	char query[64];

	CHECK(sl_fmt(query, sizeof(query), "&replace=%s", p->token));
	socket_drop(p);
	forget(p);
	person_come(p, query);
}

/* ================= offers ================= */

/* What was there stays: place, kind, direction, SSRC, msid; only sending to the server comes and
 * goes. */
static void check_line(const struct line *l, const struct sl_sdp_media *m, size_t i)
{
	const struct sl_sdp_ssrc *s = m->ssrc_count ? &m->ssrcs[0] : NULL;
	char msid[sizeof(l->msid)], mid[12];

	CHECK(sl_fmt(mid, sizeof(mid), "%zu", i) && sl_str_eq(m->mid, sl_str_z(mid)));
	CHECK(!m->rejected && m->port != 0);
	CHECK_EQ(m->kind == SL_SDP_VIDEO, l->kind == SL_VIDEO);
	CHECK_EQ(m->dir == SL_SDP_SENDONLY, l->slot);
	if (!l->slot)
		return;
	CHECK(s && s->ssrc == l->ssrc);
	CHECK(sl_fmt(msid, sizeof(msid), "%.*s %.*s", SL_STR_ARG(m->msid_stream),
		     SL_STR_ARG(m->msid_track)));
	CHECK_STR(msid, l->msid);
}

static void add_line(struct person *p, const struct sl_sdp_media *m)
{
	struct line *l = &p->lines[p->line_count++];

	*l = (struct line){.kind = m->kind == SL_SDP_VIDEO ? SL_VIDEO : SL_AUDIO,
			   .slot = m->dir == SL_SDP_SENDONLY};
	if (!l->slot) {
		l->ssrc = sl_rng_u32(&world.wire_rng) | 1;
		l->out_seq = (uint16_t)sl_rng_u32(&world.wire_rng);
		return;
	}
	CHECK(m->ssrc_count > 0);
	l->ssrc = m->ssrcs[0].ssrc;
	CHECK(sl_fmt(l->msid, sizeof(l->msid), "%.*s %.*s", SL_STR_ARG(m->msid_stream),
		     SL_STR_ARG(m->msid_track)));
	media_index(p, p->line_count - 1);
}

static void read_lines(struct person *p, const struct sl_sdp *offer)
{
	CHECK(offer->media_count >= p->line_count && offer->media_count <= LINES);
	while (p->line_count < offer->media_count)
		add_line(p, &offer->media[p->line_count]);
	for (size_t i = 0; i < p->line_count; i++)
		check_line(&p->lines[i], &offer->media[i], i);
}

/* Media begins with the answer, as a browser's does. */
static void read_publish(struct person *p, const cJSON *list)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		uint32_t mid = UINT32_MAX;
		struct line *l;
		struct track *t;

		CHECK(sl_str_u32(sl_str_z(text_of(item, "mid")), LINES - 1, &mid));
		l = &p->lines[mid];
		CHECK(mid < p->line_count && !l->slot);
		t = new_track(p, text_of(item, "track"), l->kind);
		/* Its end may have crossed an offer that came anew. */
		if (!t->live)
			continue;
		CHECK(!l->track || l->track == t);
		l->track = t;
	}
}

/* Every other one says its SSRCs in SDP; of the others the server learns by MID. */
static void say_source(const struct person *p, const struct line *l, struct sl_sdp_media *m,
		       struct sl_sdp_ssrc *s)
{
	if (m->dir != SL_SDP_SENDONLY || p->number % 2)
		return;
	*s = (struct sl_sdp_ssrc){.ssrc = l->ssrc, .cname = SL_STR("someone")};
	m->ssrcs = s;
	m->ssrc_count = 1;
}

static void note_codec(struct line *l, const struct sl_sdp_media *m)
{
	enum sl_codec want = l->kind == SL_VIDEO ? SL_VP8 : SL_OPUS;

	l->pt = l->mid_ext = l->level_ext = 0;
	for (size_t i = m->codec_count; i-- > 0;)
		if (m->codecs[i].codec == want)
			l->pt = m->codecs[i].pt;
	for (size_t i = 0; i < m->ext_count; i++) {
		if (m->exts[i].ext == SL_EXT_MID)
			l->mid_ext = m->exts[i].id;
		if (m->exts[i].ext == SL_EXT_AUDIO_LEVEL)
			l->level_ext = m->exts[i].id;
	}
}

static void say_answer(struct person *p, const struct sl_sdp *answer)
{
	size_t cap = (answer->media_count + 1) * ANSWER_LINE;
	char *text = malloc(cap);
	struct api_json_out o;
	struct sl_str json;
	struct sl_buf b = sl_buf(text, cap);

	sl_sdp_write(answer, &b);
	CHECK(!b.full);
	api_json_out_init(&o, 1 << 20);
	api_json_open_object(&o, NULL);
	api_json_put_z(&o, "type", "answer");
	api_json_put_int(&o, "offer", p->offer);
	api_json_put_str(&o, "sdp", sl_str(b.p, b.n));
	api_json_close_object(&o);
	free(text);
	TRY(api_json_out_text(&o, &json));
	socket_say(p, json.p, json.n);
	api_json_out_fini(&o);
}

static void make_answer(struct person *p, const struct sl_sdp *offer, struct sl_arena *arena)
{
	static struct sl_sdp_ssrc sources[LINES];
	const struct sl_ice_creds *creds = sl_ice_local_creds(&p->ice);
	struct sl_sdp_cand cand = {.addr = p->addr,
				   .foundation = SL_STR("1"),
				   .type = SL_STR("host"),
				   .component = 1,
				   .priority = sl_ice_priority(SL_ICE_HOST, 65535)};
	struct sl_sdp_ours ours = {.ufrag = sl_str_z(creds->ufrag),
				   .pwd = sl_str_z(creds->pwd),
				   .fingerprint = sl_str_z(sl_core_fingerprint(world.core)),
				   .cands = &cand,
				   .cand_count = 1,
				   .session_id = 5,
				   .session_version = (uint64_t)p->offer};
	struct sl_sdp_why why = {0};
	struct sl_sdp answer;

	for (int c = SL_CODEC_NONE + 1; c < SL_CODEC_COUNT; c++)
		ours.codecs[c] = c == SL_OPUS || c == SL_VP8 || c == SL_RTX;
	if (sl_sdp_answer(offer, &ours, SL_SDP_PUBLISHER, NULL, arena, &answer, &why) != SL_OK)
		sl_test_failed(__FILE__, __LINE__, "cannot be answered: %s", why.text);
	for (size_t i = 0; i < answer.media_count; i++) {
		if (offer->media[i].dir == SL_SDP_RECVONLY)
			answer.media[i].dir = SL_SDP_SENDONLY;
		note_codec(&p->lines[i], &answer.media[i]);
		say_source(p, &p->lines[i], &answer.media[i], &sources[i]);
	}
	say_answer(p, &answer);
}

static void on_offer(struct person *p, const cJSON *m)
{
	struct sl_sdp_bounds bounds = sl_sdp_answer_bounds(SL_SDP_OFFER_MEDIA_MAX);
	int number = (int)member(m, "offer")->valuedouble;
	const struct sl_sdp_media *t;
	struct sl_sdp_why why = {0};
	struct sl_arena arena;
	struct sl_sdp offer;

	CHECK(number > p->offer);
	p->offer = number;
	world.offers++;
	sl_arena_init(&arena, 16 << 20);
	if (sl_sdp_read_within(sl_str_z(text_of(m, "sdp")), &bounds, &arena, &offer, &why) != SL_OK)
		sl_test_failed(__FILE__, __LINE__, "the offer is no SDP: %s", why.text);
	read_lines(p, &offer);
	read_publish(p, member(m, "publish"));
	t = sl_sdp_transport(&offer, &offer);
	CHECK(t && t->ice_lite);
	media_remote(p, t->ufrag, t->pwd, t->cands, t->cand_count);
	make_answer(p, &offer, &arena);
	sl_arena_fini(&arena);
}

/* ================= who is there ================= */

static void see(struct person *p, const cJSON *track, const char *owner, bool there)
{
	struct track *t = track_by_id(text_of(track, "id"));

	CHECK(t && t->owner == by_name(owner)->number);
	t->seen[p->number] = !there				    ? UNSEEN
			     : cJSON_IsTrue(member(track, "muted")) ? SEEN_MUTED
								    : SEEN;
}

static void on_welcome(struct person *p, const cJSON *m)
{
	bool resumed = cJSON_IsTrue(member(m, "resumed"));
	const cJSON *other, *track;

	CHECK(p->state == COMING || p->state == LOST);
	if (p->state == LOST)
		CHECK(resumed);
	else
		CHECK(!resumed);
	CHECK_STR(text_of(m, "participant"), p->name);
	CHECK(sl_fmt(p->session, sizeof(p->session), "%s", text_of(m, "session")));
	CHECK(sl_fmt(p->token, sizeof(p->token), "%s", text_of(m, "resume")));
	p->state = IN;
	p->left_traces = false;
	memset(p->here, 0, sizeof(p->here));
	for (uint32_t i = 1; i <= world.track_count; i++)
		world.tracks[i].seen[p->number] = UNSEEN;
	cJSON_ArrayForEach(other, member(member(m, "room"), "participants"))
	{
		p->here[by_name(text_of(other, "name"))->number] = true;
		cJSON_ArrayForEach(track, member(other, "tracks"))
			see(p, track, text_of(other, "name"), true);
	}
}

static void put_on(struct person *p, const cJSON *slot, const char *kind)
{
	const char *mid = text_of(slot, kind), *id = text_of(member(slot, "tracks"), kind);
	struct line *l;
	uint32_t i = 0;

	if (!mid[0]) {
		CHECK(!id[0]);
		return;
	}
	CHECK(sl_str_u32(sl_str_z(mid), LINES - 1, &i) && i < p->line_count);
	l = &p->lines[i];
	CHECK(l->slot && (l->kind == SL_VIDEO) == (kind[0] == 'v'));
	l->track = id[0] ? track_by_id(id) : NULL;
	CHECK(!id[0] || (l->track && l->track->owner != p->number &&
			 l->track->owner == by_name(text_of(slot, "participant"))->number));
}

static void on_slots(struct person *p, const cJSON *m)
{
	const cJSON *slot;

	for (size_t i = 0; i < p->line_count; i++)
		if (p->lines[i].slot)
			p->lines[i].track = NULL;
	cJSON_ArrayForEach(slot, member(m, "slots"))
	{
		put_on(p, slot, "audio");
		put_on(p, slot, "video");
	}
}

static void on_participant(struct person *p, const cJSON *m)
{
	const struct person *other = by_name(text_of(m, "name"));
	bool joined = strcmp(text_of(m, "event"), "joined") == 0;

	CHECK(other != p && p->here[other->number] != joined);
	p->here[other->number] = joined;
}

static void on_track(struct person *p, const cJSON *m)
{
	see(p, member(m, "track"), text_of(m, "participant"),
	    strcmp(text_of(m, "event"), "removed") != 0);
}

static void on_speaker(struct person *p, const cJSON *m)
{
	(void)sl_fmt(p->speaker, sizeof(p->speaker), "%s", text_of(m, "participant"));
}

/* Three may come without anybody's fault: a name that is still held by who vanished, a limit, and
 * an operator's mute that crossed one's own. */
static void on_error(struct person *p, const cJSON *m)
{
	const char *code = text_of(m, "code");

	world.errors_busy += strcmp(code, "busy") == 0;
	world.errors_taken += strcmp(code, "name_taken") == 0;
	if (strcmp(code, "no_right") == 0 || (strcmp(code, "name_taken") == 0 && p->left_traces))
		return;
	if (strcmp(code, "busy") == 0 && p->state == COMING)
		return;
	sl_test_failed(__FILE__, __LINE__, "%s got error %s: %s", p->name, code,
		       text_of(m, "message"));
}

static const struct {
	const char *type;
	void (*fn)(struct person *p, const cJSON *m);
} handlers[] = {
	{"slots", on_slots}, {"track", on_track},     {"participant", on_participant},
	{"offer", on_offer}, {"welcome", on_welcome}, {"speaker", on_speaker},
	{"error", on_error},
};

void person_heard(struct person *p, const char *text, size_t len)
{
	cJSON *m = p->state == LEAVING ? NULL : cJSON_ParseWithLength(text, len);
	size_t i = 0;

	if (p->state == LEAVING)
		return;
	CHECK(m);
	while (i < SL_COUNT(handlers) && strcmp(handlers[i].type, text_of(m, "type")) != 0)
		i++;
	CHECK(i < SL_COUNT(handlers));
	handlers[i].fn(p, m);
	cJSON_Delete(m);
}

void person_closed(struct person *p, int code)
{
	CHECK(code > 0 && code < (int)SL_COUNT(world.closes));
	world.closes[code]++;
	p->close_code = code;
	forget(p);
}
