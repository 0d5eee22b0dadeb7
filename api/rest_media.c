/* SPDX-License-Identifier: Apache-2.0
 * api/rest_media.c — tracks, sessions, subscriptions, loops and the configuration under /v1. What
 * only a media loop knows is asked for by an op; the answer is made when its reply comes. */
#include "api/events.h"
#include "api/rest.h"
#include <sys/resource.h>
#include <math.h>

enum { RETRY_S = 1 };
/* A look at a session counts for the diagnosis of the next one this much later. */
#define LOOK_US (5 * SL_SEC)

/* ================= words and views ================= */

const char *api_session_state_word(const struct api_session *s)
{
	if (s->state == SESSION_CLOSING)
		return "closed";
	if (s->silent)
		return "silent";
	return s->connected ? "connected" : "connecting";
}

const char *api_via_word(const struct api_session *s)
{
	if (s->join)
		return "join";
	return s->publisher ? "whip" : "whep";
}

static const char *kind_word(enum sl_kind kind)
{
	return kind == SL_VIDEO ? "video" : "audio";
}

void api_view_track_of(const struct api_session *s, const struct api_track *t,
		       struct api_view_track *out)
{
	*out = (struct api_view_track){
		.id = t->public_id,
		.room = s->room->name,
		.participant = s->participant,
		.session = s->id,
		.kind = kind_word(t->kind),
		.source = t->source,
		.mid = t->mid,
		.mime = api_mime(t->codec),
		.muted = t->muted,
	};
}

/* The session and track that a subscription plays. */
static const struct api_track *played(struct sl_api *api, const struct api_track *sub,
				      const struct api_session **by)
{
	const struct api_session *s;
	uint32_t cursor = 0;

	while (sub->playing && (s = sl_pool_next(&api->sessions, &cursor, NULL)))
		for (size_t i = 0; s->room && i < s->track_count; i++)
			if (s->tracks[i].publish && s->tracks[i].id == sub->playing) {
				*by = s;
				return &s->tracks[i];
			}
	return NULL;
}

static void view_subscription(struct sl_api *api, const struct api_session *s,
			      const struct api_track *t, struct api_view_subscription *out)
{
	const struct api_session *by = NULL;
	const struct api_track *track = played(api, t, &by);

	*out = (struct api_view_subscription){
		.id = t->public_id,
		.room = s->room->name,
		.session = s->id,
		.kind = kind_word(t->kind),
		.mid = t->mid,
		.track = track ? track->public_id : NULL,
		.participant = track ? by->participant : NULL,
		.paused = t->muted,
	};
}

static void view_ids(struct api_answer *a, const struct api_session *s, bool publish,
		     struct api_list *out)
{
	const char **ids = api_answer_alloc(a, s->track_count, sizeof(*ids));

	*out = (struct api_list){.at = ids};
	for (size_t i = 0; ids && i < s->track_count; i++)
		if (s->tracks[i].publish == publish && s->tracks[i].id)
			ids[out->n++] = s->tracks[i].public_id;
}

static void view_session(struct api_answer *a, const struct api_session *s,
			 struct api_view_session *out)
{
	const struct sl_api *api = a->conn->api;
	bool whep = !s->publisher && !s->join;

	*out = (struct api_view_session){
		.id = s->id,
		.via = api_via_word(s),
		.room = s->room->name,
		.participant = whep ? NULL : s->participant,
		.plays = whep && s->participant[0] ? s->participant : NULL,
		.state = api_session_state_word(s),
		.loop = s->loop,
		.max_video_bps = s->cap_bps ? (int64_t)s->cap_bps : -1,
		.age_s = (double)(api_now_us(api) - s->since_us) / 1e6,
		.ended_s = NAN,
	};
	view_ids(a, s, true, &out->tracks);
	view_ids(a, s, false, &out->subscriptions);
}

static void view_ended(const struct sl_api *api, const struct api_ended *e,
		       struct api_view_session *out)
{
	*out = (struct api_view_session){
		.id = e->id,
		.via = e->via,
		.room = e->room,
		.participant = e->participant[0] ? e->participant : NULL,
		.state = "closed",
		.ended = e->why,
		.loop = e->loop,
		.max_video_bps = -1,
		.age_s = (double)(api_now_us(api) - e->since_us) / 1e6,
		.ended_s = (double)(api_now_us(api) - e->ended_us) / 1e6,
	};
}

/* ================= ops ================= */

static void problem(struct api_op *op, int status, const char *why)
{
	if (op->conn)
		api_problem(op->conn, status, "%s", why);
	api_op_free(op);
}

/* NULL: answered. */
static struct api_op *new_op(struct api_conn *c, const struct api_session *s)
{
	struct api_op *op = api_op_new(c->api, c);

	if (!op) {
		api_busy(c, RETRY_S, "out of memory");
		return NULL;
	}
	op->session = s->tag;
	return op;
}

/* What an op is about, looked up anew when its reply has come; NULL: the op is answered. */
static struct api_session *session_again(struct api_op *op, const struct sl_reply *r)
{
	struct api_session *s = op->api ? api_session_by_tag(op->api, op->session) : NULL;

	if (r->err && r->err != SL_ENOTFOUND)
		api_op_failed(op, r->err);
	else if (r->err || !s || !s->room)
		problem(op, 404, "it has ended meanwhile");
	else if (!op->conn)
		api_op_free(op);
	else
		return s;
	return NULL;
}

static struct api_track *track_of(struct api_session *s, uint64_t core_track)
{
	for (size_t i = 0; i < s->track_count; i++)
		if (s->tracks[i].id == core_track)
			return &s->tracks[i];
	return NULL;
}

static struct api_track *track_again(struct api_op *op, const struct sl_reply *r,
				     struct api_session **s)
{
	struct api_track *t;

	*s = session_again(op, r);
	if (!*s)
		return NULL;
	t = track_of(*s, op->core_track);
	if (!t)
		problem(op, 404, "it has ended meanwhile");
	return t;
}

/* ================= tracks and subscriptions ================= */

/* For everybody, or for the one who plays it. */
static void set_muted(struct sl_api *api, struct api_session *s, struct api_track *t, bool muted)
{
	bool changed = t->muted != muted;

	t->muted = muted;
	t->held = t->publish && muted;
	if (!changed || !t->publish)
		return;
	api_event_track(api, s->room, s, t, "changed");
	api_room_caps(api, s->room);
}

/* By its opaque id. An id that is not there costs the same whatever it is like. */
static struct api_track *find_track(struct sl_api *api, struct sl_str id, bool publish,
				    struct api_session **by)
{
	struct api_session *s;
	uint32_t cursor = 0;

	if (id.n != API_ID_LEN)
		return NULL;
	while ((s = sl_pool_next(&api->sessions, &cursor, NULL)))
		for (size_t i = 0; s->room && s->state == SESSION_OPEN && i < s->track_count; i++)
			if (s->tracks[i].publish == publish && s->tracks[i].id &&
			    memcmp(s->tracks[i].public_id, id.p, API_ID_LEN) == 0) {
				*by = s;
				return &s->tracks[i];
			}
	return NULL;
}

static void send_track(struct api_op *op, const struct api_session *s, const struct api_track *t,
		       const struct sl_track_stats *stats)
{
	struct api_view_track_stats numbers;
	struct api_view_subscription sub;
	struct api_view_track track;
	struct api_answer a;

	api_answer_init(&a, op->conn);
	if (stats)
		api_view_track_stats_of(stats, &numbers);
	if (t->publish) {
		api_view_track_of(s, t, &track);
		track.stats = stats ? &numbers : NULL;
		api_answer_send(&a, 200, &api_object_track, &track);
	} else {
		view_subscription(op->api, s, t, &sub);
		sub.stats = stats ? &numbers : NULL;
		api_answer_send(&a, 200, &api_object_subscription, &sub);
	}
	api_op_free(op);
}

static void on_track_stats(void *arg, const struct sl_reply *r)
{
	struct api_op *op = arg;
	const struct sl_track_stats *found = NULL;
	struct api_session *s;
	struct api_track *t = track_again(op, r, &s);

	if (!t)
		return;
	for (size_t i = 0; r->stats && i < r->stats->track_count; i++)
		if (r->stats->tracks[i].id == t->id)
			found = &r->stats->tracks[i];
	send_track(op, s, t, found);
}

static void on_paused(void *arg, const struct sl_reply *r)
{
	struct api_op *op = arg;
	struct api_session *s;
	struct api_track *t;

	/* It holds whether or not the client waits for the answer. */
	s = op->api && !r->err ? api_session_by_tag(op->api, op->session) : NULL;
	t = s && s->room ? track_of(s, op->core_track) : NULL;
	if (t)
		set_muted(op->api, s, t, op->flag);
	t = track_again(op, r, &s);
	if (t)
		send_track(op, s, t, NULL);
}

/* {"muted": true} or {"paused": true}; the key is required, for nothing else can be changed. */
static bool read_flag(struct api_conn *c, const struct api_object *type, const char *key, bool *out)
{
	struct api_json_why why = {0};
	struct api_json_at root;
	cJSON *tree = api_body(c, &why);
	int rc;

	if (!tree)
		return false;
	root = api_json_root(tree, &why);
	rc = api_read_object(&root, type);
	if (rc >= 0)
		rc = api_json_get_bool(&root, key, API_JSON_REQUIRED, out);
	api_json_free(tree);
	if (rc < 0)
		api_body_wrong(c, rc, &why);
	return rc >= 0;
}

static void rest_track(struct api_conn *c, bool publish)
{
	struct api_session *s;
	struct api_track *t = find_track(c->api, c->req.seg[2], publish, &s);
	struct api_op *op;
	bool flag = false;
	int err;

	if (!t) {
		api_problem_at(c, 404, "{id}", "there is no such %s",
			       publish ? "track" : "subscription");
		return;
	}
	if (c->req.method == API_PATCH &&
	    !read_flag(c, publish ? &api_object_track : &api_object_subscription,
		       publish ? "muted" : "paused", &flag))
		return;
	op = new_op(c, s);
	if (!op)
		return;
	op->core_track = t->id;
	op->flag = flag;
	err = c->req.method == API_PATCH
		      ? sl_core_pause(c->api->core, t->id, flag, on_paused, op)
		      : sl_core_stats_of(c->api->core, s->transport, on_track_stats, op);
	if (err)
		api_op_failed(op, err);
}

void api_rest_track(struct api_conn *c)
{
	rest_track(c, true);
}

void api_rest_subscription(struct api_conn *c)
{
	rest_track(c, false);
}

/* ================= sessions ================= */

/* What happened since an earlier look, of which two are kept at least LOOK_US apart. */
static void look(struct api_session *s, const struct sl_transport_stats *st, int64_t now_us,
		 struct api_flow *out)
{
	struct api_flow now;

	api_flow_of(st, now_us, &now);
	api_flow_since(&now, &s->looks[0], out);
	if (now_us - s->looks[1].at_us < LOOK_US && s->looks[1].at_us)
		return;
	s->looks[0] = s->looks[1];
	s->looks[1] = now;
}

static void announced(struct sl_api *api, unsigned loop, char text[SL_ADDR_TEXT])
{
	struct sl_core_cand cands[SL_CORE_LOCALS_MAX];

	(void)sl_fmt(text, SL_ADDR_TEXT, "%s", "the server");
	if (sl_core_candidates(api->core, loop, cands, SL_COUNT(cands)) > 0)
		(void)sl_addr_text(&cands[0].addr, text);
}

static const char *cap_by(const struct sl_api *api, const struct api_session *s)
{
	const char *by = NULL, *found = NULL;
	uint32_t least = UINT32_MAX;

	for (size_t i = 0; i < s->track_count; i++) {
		const struct api_track *t = &s->tracks[i];
		uint32_t bps;

		if (!t->publish || t->kind != SL_VIDEO)
			continue;
		bps = api_room_cap_of(api, s->room, s, t, &by);
		if (bps && bps < least) {
			least = bps;
			found = by;
		}
	}
	return found;
}

static void diagnose(struct api_answer *a, struct api_session *s,
		     const struct sl_transport_stats *st, struct api_view_diagnosis *out)
{
	struct sl_api *api = a->conn->api;
	char address[SL_ADDR_TEXT], sentence[API_SENTENCE_MAX];
	struct api_facts f = {.st = st, .address = address, .ended_detail = ""};

	announced(api, s->loop, address);
	look(s, st, api_now_us(api), &f.flow);
	f.cap_by = cap_by(api, s);
	f.room_publishers = s->room->publisher_count - (s->publisher ? 1 : 0);
	*out = (struct api_view_diagnosis){
		.cause = api_diagnose(&f, sentence),
		.dtls_step = api_dtls_step(st),
		.rx_packets = (int64_t)st->info.rx_packets,
		.tx_packets = (int64_t)st->info.tx_packets,
		.drops = st->drops,
	};
	out->sentence = api_answer_text(a, sentence);
	api_view_pairs_of(a, st, &out->pairs);
}

static void on_session_stats(void *arg, const struct sl_reply *r)
{
	struct api_op *op = arg;
	struct api_session *s = session_again(op, r);
	struct api_view_diagnosis diagnosis;
	struct api_view_session_stats stats;
	struct api_view_session view;
	struct api_answer a;

	if (!s)
		return;
	api_answer_init(&a, op->conn);
	view_session(&a, s, &view);
	if (r->stats) {
		api_view_session_stats_of(&a, r->stats, &stats);
		diagnose(&a, s, r->stats, &diagnosis);
		view.stats = &stats;
		view.diagnosis = &diagnosis;
	}
	api_answer_send(&a, 200, &api_object_session, &view);
	api_op_free(op);
}

static const struct api_ended *find_ended(const struct sl_api *api, struct sl_str id)
{
	for (size_t i = 0; id.n == API_ID_LEN && i < API_ENDED_MAX; i++)
		if (sl_str_eq(sl_str_z(api->ended[i].id), id))
			return &api->ended[i];
	return NULL;
}

static void get_ended(struct api_conn *c, const struct api_ended *e)
{
	char address[SL_ADDR_TEXT], sentence[API_SENTENCE_MAX];
	struct api_facts f = {.address = address, .ended = e->cause, .ended_detail = e->detail};
	struct api_view_diagnosis diagnosis = {.sentence = sentence};
	struct api_view_session view;
	struct api_answer a;

	announced(c->api, e->loop, address);
	diagnosis.cause = api_diagnose(&f, sentence);
	view_ended(c->api, e, &view);
	view.diagnosis = &diagnosis;
	api_answer_init(&a, c);
	api_answer_send(&a, 200, &api_object_session, &view);
}

static void get_session(struct api_conn *c, struct api_session *s)
{
	struct api_view_session view;
	struct api_answer a;
	struct api_op *op;
	int err;

	if (!s->transport) {
		api_answer_init(&a, c);
		view_session(&a, s, &view);
		api_answer_send(&a, 200, &api_object_session, &view);
		return;
	}
	op = new_op(c, s);
	if (!op)
		return;
	err = sl_core_stats_of(c->api->core, s->transport, on_session_stats, op);
	if (err)
		api_op_failed(op, err);
}

static void patch_session(struct api_conn *c, struct api_session *s)
{
	struct api_json_why why = {0};
	struct api_json_at root;
	struct api_view_session view;
	struct api_answer a;
	int64_t bps = s->cap_bps;
	cJSON *tree = api_body(c, &why);
	int rc;

	if (!tree)
		return;
	root = api_json_root(tree, &why);
	rc = api_read_object(&root, &api_object_session);
	if (rc >= 0)
		rc = api_read_number(&root, &api_object_session, "max_video_bps", 0, &bps);
	api_json_free(tree);
	if (rc < 0) {
		api_body_wrong(c, rc, &why);
		return;
	}
	s->cap_bps = (uint32_t)bps;
	api_room_caps(c->api, s->room);
	api_answer_init(&a, c);
	view_session(&a, s, &view);
	api_answer_send(&a, 200, &api_object_session, &view);
}

void api_rest_session(struct api_conn *c)
{
	struct api_session *s = api_session_by_id(c->api, c->req.seg[2]);
	const struct api_ended *e = find_ended(c->api, c->req.seg[2]);

	if (s && c->req.method == API_DELETE) {
		api_session_end(c->api, s, "ended by an operator");
		api_respond_static(c, 204, NULL, NULL, 0);
	} else if (s && c->req.method == API_PATCH) {
		patch_session(c, s);
	} else if (s) {
		get_session(c, s);
	} else if (e && c->req.method != API_PATCH && c->req.method != API_DELETE) {
		get_ended(c, e);
	} else {
		api_problem_at(c, 404, "{id}", "there is no such session");
	}
}

/* Those that are over, newest first, on one page. */
static void list_ended(struct api_answer *a, const char *room, struct api_view_page *page)
{
	const struct sl_api *api = a->conn->api;
	struct api_view_session *views = api_answer_alloc(a, API_ENDED_MAX, sizeof(*views));

	page->items = (struct api_list){.at = views};
	for (uint32_t i = 1; views && i <= API_ENDED_MAX; i++) {
		const struct api_ended *e = &api->ended[(api->ended_next - i) % API_ENDED_MAX];

		if (e->id[0] && (!room || strcmp(e->room, room) == 0))
			view_ended(api, e, &views[page->items.n++]);
	}
}

static void list_sessions(struct api_answer *a, struct api_page *p, const char *room,
			  struct api_view_page *page)
{
	struct sl_api *api = a->conn->api;
	struct api_view_session *views;
	const struct api_session *s;
	uint32_t cursor = 0;

	while ((s = sl_pool_next(&api->sessions, &cursor, NULL)))
		if (s->room && (!room || strcmp(s->room->name, room) == 0))
			api_page_offer(p, s->id, s);
	views = api_answer_alloc(a, p->n, sizeof(*views));
	for (size_t i = 0; views && i < p->n; i++)
		view_session(a, p->at[i], &views[i]);
	page->items = (struct api_list){.at = views, .n = p->n};
	page->next = api_page_next(p);
}

void api_rest_sessions(struct api_conn *c)
{
	static const char *const names[] = {"limit", "after", "room", "state"};
	struct api_view_page page = {0};
	const char *room, *state;
	struct api_answer a;
	struct api_page p;

	api_answer_init(&a, c);
	if (!api_query_only(&a, names, SL_COUNT(names)) || !api_page_init(&a, &p))
		return;
	room = api_query(&a, "room");
	state = api_query(&a, "state");
	if (!api_answer_ok(&a))
		return;
	if (state && strcmp(state, "closed") != 0 && strcmp(state, "open") != 0) {
		api_problem_at(c, 400, "?state", "state must be open or closed");
		sl_arena_fini(&a.arena);
		return;
	}
	if (state && strcmp(state, "closed") == 0)
		list_ended(&a, room, &page);
	else
		list_sessions(&a, &p, room, &page);
	api_answer_send(&a, 200, &api_object_session_list, &page);
}

/* ================= loops ================= */

static void view_loop(struct api_answer *a, unsigned i, struct api_view_loop *out)
{
	const struct sl_core *core = a->conn->api->core;
	struct sl_core_cand cands[SL_CORE_LOCALS_MAX];
	size_t n = sl_core_candidates(core, i, cands, SL_COUNT(cands));
	const char **texts = api_answer_alloc(a, n, sizeof(*texts));

	*out = (struct api_view_loop){
		.loop = i,
		.port = sl_core_port(core, i),
		.transports = sl_core_transports(core, i),
		.busy = sl_core_busy(core, i),
		.video_withheld = (double)sl_core_shed(core, i) / SL_LOAD_PARTS,
		.counters = sl_core_stats(core, i)->n,
		.addresses = {.at = texts, .n = texts ? n : 0},
	};
	for (size_t k = 0; k < out->addresses.n; k++) {
		char text[SL_ADDR_TEXT];

		texts[k] = api_answer_text(a, sl_addr_text(&cands[k].addr, text));
	}
}

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

void api_rest_loops(struct api_conn *c)
{
	struct sl_api *api = c->api;
	unsigned n = sl_core_loops(api->core);
	struct api_view_loop *loops;
	struct rusage used = {0};
	struct api_view_loop_list view;
	struct api_answer a;

	api_answer_init(&a, c);
	loops = api_answer_alloc(&a, n, sizeof(*loops));
	for (unsigned i = 0; loops && i < n; i++)
		view_loop(&a, i, &loops[i]);
	(void)getrusage(RUSAGE_SELF, &used);
	view = (struct api_view_loop_list){
		.loops = {.at = loops, .n = n},
		.rooms = api->room_count,
		.sessions = api->sessions.live,
		.cpu_s = seconds_of(used.ru_utime) + seconds_of(used.ru_stime),
		.resident_bytes = (int64_t)used.ru_maxrss * 1024,
		.handshake_wait_s = (double)sl_core_handshake_wait_us(api->core) / 1e6,
		.uptime_s = (double)(api_now_us(api) - api->since_us) / 1e6,
		.draining = api->draining,
	};
	api_answer_send(&a, 200, &api_object_loop_list, &view);
}

/* ================= configuration at run time ================= */

static void send_config(struct api_conn *c)
{
	struct api_view_config view = {.log_level = c->api->log_level,
				       .publish_bps = c->api->publish_bps,
				       .room_bps = c->api->room_bps};
	struct api_answer a;

	api_answer_init(&a, c);
	api_answer_send(&a, 200, &api_object_config, &view);
}

static int read_level(const struct api_json_at *root, struct sl_str *level)
{
	struct api_json_at at;
	int rc = api_json_get_str(root, "log.level", API_JSON_OPTIONAL, 1, SL_CONFIG_TEXT_MAX - 1,
				  level);

	if (rc <= 0 || sl_log_set_levels(*level) == SL_OK)
		return rc;
	rc = api_json_get(root, "log.level", API_JSON_REQUIRED, &at);
	return rc < 0 ? rc
		      : api_json_wrong(&at, SL_ERANGE,
				       "must be error, warn, info or debug, also by module: "
				       "warn,ice=debug");
}

/* The numbers first: the level takes effect as it is read. */
static int apply_config(struct sl_api *api, const struct api_json_at *root)
{
	const struct api_object *type = &api_object_config;
	int64_t publish_bps = api->publish_bps, room_bps = api->room_bps;
	struct sl_str level = {0};
	int rc = api_read_object(root, type);

	if (rc >= 0)
		rc = api_read_number(root, type, "publish.max_video_bps",
				     api->conf->publish.max_video_bps, &publish_bps);
	if (rc >= 0)
		rc = api_read_number(root, type, "rooms.max_video_bps",
				     api->conf->rooms.max_video_bps, &room_bps);
	if (rc >= 0)
		rc = read_level(root, &level);
	if (rc < 0)
		return rc;
	if (level.n > 0)
		api_copy(api->log_level, sizeof(api->log_level), level);
	api->publish_bps = (uint32_t)publish_bps;
	api->room_bps = (uint32_t)room_bps;
	return SL_OK;
}

void api_rest_config(struct api_conn *c)
{
	struct api_json_why why = {0};
	struct api_json_at root;
	uint32_t cursor = 0;
	cJSON *tree;
	int rc;

	if (c->req.method != API_PATCH) {
		send_config(c);
		return;
	}
	tree = api_body(c, &why);
	if (!tree)
		return;
	root = api_json_root(tree, &why);
	rc = apply_config(c->api, &root);
	api_json_free(tree);
	if (rc < 0) {
		api_body_wrong(c, rc, &why);
		return;
	}
	for (struct api_room *r = sl_hash_next(&c->api->rooms, &cursor); r;
	     r = sl_hash_next(&c->api->rooms, &cursor))
		api_room_caps(c->api, r);
	send_config(c);
}
