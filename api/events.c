/* SPDX-License-Identifier: Apache-2.0
 * api/events.c — events: numbered, kept for a while, read at each reader's own pace
 * (docs/events.md). A reader has no queue: it is a place in the history, and is given the next
 * event when its socket takes more. Who falls behind what is kept is told so and closed; it comes
 * back with the last id it saw, and hears of the gap. */
#include "api/events.h"
#include "api/json.h"
#include "api/join.h"
#include <time.h>

enum { HISTORY = 1000, HISTORY_BYTES = 1 << 20, CLOSE_TRY_LATER = 1013, STATS_MAX_S = 60 };

struct event {
	uint64_t room[2]; /* digest of its name; both 0: of none */
	const char *type;
	char *text; /* owned: one JSON object */
	size_t len;
};

struct reader {
	struct sl_list link; /* of events->readers */
	struct api_events *events;
	struct api_conn *conn; /* server-sent events, or */
	struct api_ws *ws;
	/* state */
	uint64_t next;		     /* id of the event to be given next */
	uint64_t room[2];	     /* both 0: all */
	uint64_t after;		     /* the last it saw in an earlier life; 0 none */
	unsigned every_s, left_s;    /* between statistics (0: none are wanted), and to the next */
	struct api_feed_place place; /* of its walk through them */
	bool greeted, gap_told, ending;
};

struct api_events {
	struct sl_api *api;
	struct event ring[HISTORY]; /* of ids first to next - 1, at id modulo HISTORY */
	uint64_t first, next;
	size_t bytes;
	struct sl_list readers;
	/* of overload: */
	const char *overload;
	int64_t overload_us;
	uint32_t overloads;
};

static struct event *at(struct api_events *e, uint64_t id)
{
	return &e->ring[id % HISTORY];
}

/* The keyed digest stands for the name. */
static void room_key(const struct sl_api *api, const char *name, uint64_t key[2])
{
	size_t n = strlen(name);

	key[0] = sl_siphash13(api->secret, name, n) | 1;
	key[1] = sl_siphash13(api->secret + 2, name, n);
}

static struct timespec wall(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now;
}

int api_events_new(struct sl_api *api)
{
	struct api_events *e = sl_zalloc(sizeof(*e));

	if (!e)
		return SL_ENOMEM;
	e->api = api;
	sl_list_init(&e->readers);
	/* Ids go on growing when the server is started again, and stay below 2^53. */
	e->next = e->first = (uint64_t)wall().tv_sec << 20;
	api->events = e;
	return SL_OK;
}

static void forget_first(struct api_events *e)
{
	struct event *ev = at(e, e->first++);

	e->bytes -= ev->len;
	sl_free(ev->text);
	*ev = (struct event){0};
}

void api_events_free(struct sl_api *api)
{
	struct api_events *e = api->events;

	if (!e)
		return;
	SL_ASSERT(sl_list_empty(&e->readers));
	while (e->first < e->next)
		forget_first(e);
	sl_free(e);
	api->events = NULL;
}

/* ================= to the readers ================= */

static bool concerns(const struct reader *r, const uint64_t room[2])
{
	return r->room[0] == 0 || memcmp(r->room, room, sizeof(r->room)) == 0;
}

static void wake(struct reader *r)
{
	if (r->ws)
		api_ws_wake(r->ws);
	else
		api_stream_wake(r->conn);
}

void api_event_put_time(struct api_json_out *o)
{
	struct timespec now = wall();
	char date[64], text[80];
	struct tm tm;

	gmtime_r(&now.tv_sec, &tm);
	if (strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		date[0] = 0;
	(void)sl_fmt(text, sizeof(text), "%s.%03dZ", date, (int)(now.tv_nsec / 1000000));
	api_json_put_z(o, "time", text);
}

static void put_head(struct api_json_out *o, uint64_t id, const char *type)
{
	api_json_open_object(o, NULL);
	api_json_put_u64(o, "id", id);
	api_json_put_z(o, "type", type);
	api_event_put_time(o);
}

/* What is said to one reader only. SL_ENOMEM. */
static int make_own(const struct reader *r, const char *type, uint64_t id, char **text, size_t *len)
{
	struct api_json_out o;

	api_json_out_init(&o, API_EVENT_MAX);
	put_head(&o, id, type);
	if (strcmp(type, "gap") == 0)
		api_json_put_u64(&o, "after", r->after);
	api_json_close_object(&o);
	return api_json_out_take(&o, text, len);
}

struct piece {
	const char *type, *text;
	char *owned; /* NULL: of the history */
	size_t len;
	uint64_t id; /* 0: statistics have none */
};

/* The gap and the greeting. False: out of memory. */
static bool own_piece(struct reader *r, const char *type, struct piece *p)
{
	p->type = type;
	p->id = r->next - 1;
	if (make_own(r, type, p->id, &p->owned, &p->len) != SL_OK)
		return false;
	p->text = p->owned;
	return true;
}

enum next { NEXT_NONE, NEXT_PIECE, NEXT_BEHIND, NEXT_NO_MEMORY };

/* Statistics wait until all that has happened is told. */
static bool stats_piece(struct reader *r, struct piece *p)
{
	struct sl_api *api = r->events->api;
	const struct api_session *s;
	const struct api_feed_text *text;
	uint64_t room[2];

	while (api_feed_next(api, &r->place, &s, &text)) {
		room_key(api, s->room->name, room);
		if (!concerns(r, room))
			continue;
		*p = (struct piece){.type = "stats", .text = text->text, .len = text->len};
		return true;
	}
	return false;
}

/* What the reader is to be given now. */
static enum next next_piece(struct reader *r, struct piece *p)
{
	struct api_events *e = r->events;

	*p = (struct piece){0};
	if (r->next < e->first)
		return NEXT_BEHIND;
	/* First, so that no id past the gap is seen before it. */
	if (r->after && !r->gap_told) {
		r->gap_told = true;
		return own_piece(r, "gap", p) ? NEXT_PIECE : NEXT_NO_MEMORY;
	}
	if (!r->greeted) {
		r->greeted = true;
		return own_piece(r, "hello", p) ? NEXT_PIECE : NEXT_NO_MEMORY;
	}
	while (r->next < e->next && !concerns(r, at(e, r->next)->room))
		r->next++;
	if (r->next == e->next)
		return stats_piece(r, p) ? NEXT_PIECE : NEXT_NONE;
	p->id = r->next++;
	p->type = at(e, p->id)->type;
	p->text = at(e, p->id)->text;
	p->len = at(e, p->id)->len;
	return NEXT_PIECE;
}

static void put_frame(struct sl_buf *b, const struct piece *p)
{
	if (p->id)
		sl_buf_fmt(b, "id: %llu\n", (unsigned long long)p->id);
	sl_buf_fmt(b, "event: %s\ndata: ", p->type);
	sl_buf_add(b, p->text, p->len);
	sl_buf_z(b, "\n\n");
}

/* As much as one piece of the stream holds. False: the reader is behind. */
static bool fill(struct reader *r, struct sl_buf *b)
{
	struct piece p;

	while (b->n + API_EVENT_MAX + 128 < b->cap) {
		switch (next_piece(r, &p)) {
		case NEXT_NONE:
			return true;
		case NEXT_PIECE:
			put_frame(b, &p);
			sl_free(p.owned);
			break;
		case NEXT_BEHIND:
			return false;
		case NEXT_NO_MEMORY:
			return false;
		}
	}
	return true;
}

static bool sse_more(struct api_conn *c, bool beat)
{
	struct reader *r = c->res.stream_data;
	char text[API_PIECE_MAX];
	struct sl_buf b = sl_buf(text, sizeof(text));

	if (r->ending)
		return false;
	if (beat)
		sl_buf_z(&b, ": beat\n\n");
	if (!fill(r, &b)) {
		/* Said once, then the end; without an id, so that the last one seen stays. */
		sl_buf_z(&b, "event: overflow\ndata: {\"type\":\"overflow\",\"reason\":"
			     "\"events are not read fast enough\"}\n\n");
		r->ending = true;
	}
	SL_ASSERT(!b.full);
	if (b.n > 0)
		api_stream_write(c, b.p, b.n);
	return true;
}

static void ws_drained(struct api_ws *ws)
{
	struct reader *r = api_ws_data(ws);
	struct piece p;
	enum next what = next_piece(r, &p);
	char *copy = NULL;

	if (what == NEXT_NONE)
		return;
	if (what == NEXT_PIECE)
		copy = p.owned ? p.owned : sl_strndup(p.text, p.len);
	if (copy)
		(void)api_ws_send(ws, copy, p.len);
	else
		api_ws_close(ws, CLOSE_TRY_LATER,
			     what == NEXT_BEHIND ? "events are not read fast enough"
						 : "out of memory");
}

/* ================= readers come and go ================= */

/* Value of a query parameter; false when it is not there. *bad: it is no text of that size. */
static bool query(const struct api_request *req, const char *name, char *out, size_t cap, bool *bad)
{
	struct sl_str rest = sl_str_z(req->query[0] == '?' ? req->query + 1 : req->query);

	while (rest.n > 0) {
		struct sl_str value = sl_str_cut(&rest, '&');
		struct sl_str key = sl_str_cut(&value, '=');

		if (!sl_str_eq(key, sl_str_z(name)))
			continue;
		*bad = sl_percent_decode(value, out, cap) < 0;
		return true;
	}
	return false;
}

/* NULL, or what is wrong with the last id that the client says it saw. The header is newer than the
 * query, which an EventSource repeats. */
static const char *read_place(struct reader *r, const struct api_request *req)
{
	struct api_events *e = r->events;
	char text[24];
	bool bad = false;

	r->next = e->next;
	if (req->last_event_id[0])
		(void)sl_fmt(text, sizeof(text), "%s", req->last_event_id);
	else if (!query(req, "last_event_id", text, sizeof(text), &bad))
		return NULL;
	if (bad || !sl_str_u64(sl_str_z(text), UINT64_MAX >> 11, &r->after))
		return "the last event's id is not one";
	/* Nothing was missed: no gap. */
	if (r->after + 1 >= e->first && r->after < e->next) {
		r->next = r->after + 1;
		r->after = 0;
	} else if (r->after < e->next) {
		r->next = e->first;
	}
	return NULL;
}

/* ?stats=SECONDS between one word of each session and the next. */
static const char *read_every(struct reader *r, const struct api_request *req)
{
	uint32_t every_s = 0;
	char text[8];
	bool bad = false;

	if (!query(req, "stats", text, sizeof(text), &bad))
		return NULL;
	if (bad || !sl_str_u32(sl_str_z(text), STATS_MAX_S, &every_s) || every_s == 0)
		return "stats must be a whole number of seconds from 1 to 60";
	r->every_s = every_s;
	r->left_s = 2; /* what was kept for others before may be old */
	return NULL;
}

static const char *read_room(struct reader *r, const struct api_request *req)
{
	char name[API_NAME_MAX + 1];
	bool bad = false;

	if (!query(req, "room", name, sizeof(name), &bad))
		return NULL;
	if (bad || api_name_check(sl_str_z(name)))
		return "the room's name is not one";
	room_key(r->events->api, name, r->room);
	return NULL;
}

/* A reader of what the request asks for. NULL: *why not, *status. */
static struct reader *reader_new(struct sl_api *api, const struct api_request *req, int *status,
				 const char **why)
{
	struct reader *r = sl_zalloc(sizeof(*r));

	*status = 503;
	*why = "out of memory";
	if (!r)
		return NULL;
	r->events = api->events;
	*status = 400;
	*why = read_place(r, req);
	if (!*why)
		*why = read_room(r, req);
	if (!*why)
		*why = read_every(r, req);
	if (*why) {
		sl_free(r);
		return NULL;
	}
	sl_list_add(&api->events->readers, &r->link);
	if (r->every_s) {
		api->feed.readers++;
		api_rooms_tick(api);
	}
	return r;
}

static void reader_free(struct reader *r)
{
	if (r->every_s)
		api_feed_leave(r->events->api);
	sl_list_del(&r->link);
	sl_free(r);
}

bool api_event_watched(struct sl_api *api, const struct api_room *room)
{
	uint64_t key[2];

	room_key(api, room->name, key);
	SL_LIST_EACH(it, tmp, &api->events->readers) {
		const struct reader *r = SL_LIST_AT(it, struct reader, link);

		if (r->every_s && concerns(r, key))
			return true;
	}
	return false;
}

/* Once a second. Who is still walking is slow, and goes on with the newest there is. */
void api_event_readers_due(struct sl_api *api)
{
	SL_LIST_EACH(it, tmp, &api->events->readers) {
		struct reader *r = SL_LIST_AT(it, struct reader, link);

		r->left_s -= r->left_s > 0 ? 1 : 0;
		if (!r->every_s || r->left_s > 0 || r->place.walking)
			continue;
		r->left_s = r->every_s;
		r->place = (struct api_feed_place){.walking = true};
		wake(r);
	}
}

static void sse_closed(struct api_conn *c)
{
	reader_free(c->res.stream_data);
}

void api_events_get(struct api_conn *c)
{
	static const struct api_stream_ops ops = {.more = sse_more, .closed = sse_closed};
	const char *why;
	int status;
	struct reader *r = reader_new(c->api, &c->req, &status, &why);

	if (r) {
		r->conn = c;
		api_header(c, "X-Accel-Buffering", "no");
		api_respond_stream(c, "text/event-stream", &ops, r);
	} else if (status == 503) {
		api_busy(c, 1, why);
	} else {
		api_problem(c, status, "%s", why);
	}
}

static const char *ws_accept(struct api_ws *ws, const struct api_request *req, int *status)
{
	const char *why;
	struct reader *r = reader_new(api_ws_api(ws), req, status, &why);

	if (!r)
		return why;
	r->ws = ws;
	api_ws_set_data(ws, r);
	return NULL;
}

/* Readers have nothing to say; what they say costs them only their own rate. */
static void ws_text(struct api_ws *ws, const char *text, size_t len)
{
	(void)ws;
	(void)text;
	(void)len;
}

static void ws_closed(struct api_ws *ws, int code)
{
	(void)code;
	reader_free(api_ws_data(ws));
}

const struct api_ws_ops api_events_ws = {
	.accept = ws_accept, .text = ws_text, .drained = ws_drained, .closed = ws_closed};

/* ================= events ================= */

/* Begins an event of a room, or (NULL) of none. */
static void begin(struct sl_api *api, struct api_json_out *o, const char *type, const char *what,
		  const struct api_room *r)
{
	api_json_out_init(o, API_EVENT_MAX);
	put_head(o, api->events->next, type);
	if (what)
		api_json_put_z(o, "event", what);
	if (r)
		api_json_put_z(o, "room", r->name);
}

/* An event that there is no memory for is a hole in the numbers: nothing before it can be gone on
 * from, so that every reader notices. */
static void lose(struct api_events *e)
{
	while (e->first < e->next)
		forget_first(e);
	e->first = ++e->next;
}

static void emit(struct sl_api *api, struct api_json_out *o, const char *type,
		 const struct api_room *r)
{
	struct api_events *e = api->events;
	struct event ev = {.type = type};

	api_json_close_object(o);
	if (r)
		room_key(api, r->name, ev.room);
	if (api_json_out_take(o, &ev.text, &ev.len) != SL_OK) {
		lose(e);
	} else {
		while (e->next - e->first >= HISTORY ||
		       (e->first < e->next && e->bytes + ev.len > HISTORY_BYTES))
			forget_first(e);
		*at(e, e->next++) = ev;
		e->bytes += ev.len;
	}
	SL_LIST_EACH(it, tmp, &e->readers) {
		wake(SL_LIST_AT(it, struct reader, link));
	}
}

static bool off(const struct sl_api *api)
{
	return api->freeing || !api->events;
}

/* A WHEP player is none: it has no name. */
static bool is_participant(const struct api_session *s)
{
	return s->publisher || s->join;
}

static void put_session(struct api_json_out *o, const struct api_session *s)
{
	api_json_put_z(o, "participant", is_participant(s) ? s->participant : NULL);
	api_json_put_z(o, "session", s->id);
}

void api_event_room(struct sl_api *api, const struct api_room *r, const char *what)
{
	struct api_json_out o;

	if (off(api))
		return;
	begin(api, &o, "room", what, r);
	emit(api, &o, "room", r);
}

void api_event_participant(struct sl_api *api, const struct api_room *r,
			   const struct api_session *s, const char *what)
{
	struct api_json_out o;

	if (off(api))
		return;
	api_join_tell_participant(api, r, s, what);
	begin(api, &o, "participant", what, r);
	put_session(&o, s);
	emit(api, &o, "participant", r);
}

static void put_track(struct api_json_out *o, const struct api_track *t)
{
	api_json_open_object(o, "track");
	api_json_put_z(o, "id", t->public_id);
	api_json_put_z(o, "kind", t->kind == SL_AUDIO ? "audio" : "video");
	api_json_put_z(o, "source", t->source);
	api_json_put_bool(o, "muted", t->muted);
	api_json_put_z(o, "codec", t->codec ? sl_codec_info(t->codec)->name : NULL);
	api_json_close_object(o);
}

void api_event_track(struct sl_api *api, const struct api_room *r, const struct api_session *s,
		     const struct api_track *t, const char *what)
{
	struct api_json_out o;

	if (off(api))
		return;
	api_join_tell_track(api, r, s, t, what);
	begin(api, &o, "track", what, r);
	put_session(&o, s);
	put_track(&o, t);
	emit(api, &o, "track", r);
}

void api_event_session(struct sl_api *api, const struct api_room *r, const struct api_session *s,
		       const char *what, const char *cause)
{
	struct api_json_out o;

	if (off(api))
		return;
	begin(api, &o, "session", what, r);
	put_session(&o, s);
	api_json_put_z(&o, "role", !s->player ? "publisher" : s->publisher ? "both" : "player");
	if (cause)
		api_json_put_z(&o, "cause", cause);
	emit(api, &o, "session", r);
}

void api_event_speaker(struct sl_api *api, const struct api_room *r, const struct api_session *s)
{
	struct api_json_out o;

	if (off(api))
		return;
	api_join_tell_speaker(api, r, s);
	begin(api, &o, "speaker", NULL, r);
	put_session(&o, s);
	emit(api, &o, "speaker", r);
}

void api_event_mismatch(struct sl_api *api, const struct api_room *r,
			const struct api_session *player, const struct api_track *t,
			const struct api_session *by, enum sl_codec codec)
{
	struct api_json_out o;

	if (off(api))
		return;
	begin(api, &o, "codec_mismatch", NULL, r);
	put_session(&o, player);
	api_json_put_z(&o, "subscription", t ? t->public_id : NULL);
	api_json_put_z(&o, "codec", codec ? sl_codec_info(codec)->name : NULL);
	api_json_put_z(&o, "publisher", by ? by->participant : NULL);
	emit(api, &o, "codec_mismatch", r);
}

void api_event_overload(struct sl_api *api, const char *why)
{
	struct api_events *e = api->events;
	int64_t now_us = api_now_us(api);
	struct api_json_out o;

	if (off(api))
		return;
	e->overloads++;
	if (e->overload == why && now_us - e->overload_us < SL_SEC)
		return;
	begin(api, &o, "overload", NULL, NULL);
	api_json_put_z(&o, "reason", why);
	api_json_put_u64(&o, "refused", e->overloads);
	emit(api, &o, "overload", NULL);
	e->overload = why;
	e->overload_us = now_us;
	e->overloads = 0;
}

void api_event_load(struct sl_api *api, const struct sl_core_event *ev)
{
	struct api_json_out o;

	if (off(api))
		return;
	begin(api, &o, "load", NULL, NULL);
	api_json_put_u64(&o, "loop", ev->loop);
	api_json_put_bool(&o, "busy", ev->busy);
	api_json_put_num(&o, "videoWithheld", (double)ev->shed / SL_LOAD_PARTS);
	emit(api, &o, "load", NULL);
}

void api_event_opened(struct sl_api *api, const struct api_room *r, const struct api_session *s)
{
	api_event_session(api, r, s, "opened", NULL);
	if (is_participant(s))
		api_event_participant(api, r, s, "joined");
	for (size_t i = 0; i < s->track_count; i++)
		if (s->tracks[i].publish && s->tracks[i].id)
			api_event_track(api, r, s, &s->tracks[i], "added");
}

void api_event_closed(struct sl_api *api, const struct api_room *r, const struct api_session *s,
		      const char *cause)
{
	for (size_t i = 0; i < s->track_count; i++)
		if (s->tracks[i].publish && s->tracks[i].id)
			api_event_track(api, r, s, &s->tracks[i], "removed");
	if (is_participant(s))
		api_event_participant(api, r, s, "left");
	api_event_session(api, r, s, "closed", cause);
}
