/* SPDX-License-Identifier: Apache-2.0
 * api/rest.c — rooms and participants under /v1/rooms, and what all REST handlers share: answers,
 * pages, bodies. */
#include "api/rest.h"

enum { RETRY_S = 1 };

/* ================= answers ================= */

void api_answer_init(struct api_answer *a, struct api_conn *c)
{
	*a = (struct api_answer){.conn = c};
	sl_arena_init(&a->arena, API_ANSWER_MAX);
}

void *api_answer_alloc(struct api_answer *a, size_t n, size_t size)
{
	SL_ASSERT(n <= API_ANSWER_MAX && size <= API_ANSWER_MAX);
	return sl_arena_alloc(&a->arena, SL_MAX(n * size, (size_t)1));
}

const char *api_answer_text(struct api_answer *a, const char *z)
{
	const char *copy = sl_arena_dup(&a->arena, z, strlen(z));

	return copy ? copy : "";
}

void api_answer_send(struct api_answer *a, int status, const struct api_object *type,
		     const void *view)
{
	struct api_json_out o;
	char *text;
	size_t len;
	int err = SL_ENOMEM;

	api_json_out_init(&o, API_ANSWER_MAX);
	if (!a->arena.failed) {
		api_write_object(&o, NULL, type, view);
		err = api_json_out_take(&o, &text, &len);
	}
	if (err)
		api_busy(a->conn, RETRY_S,
			 err == SL_EFULL ? "the answer is too large: ask for a smaller page"
					 : "out of memory");
	else
		api_respond_owned(a->conn, status, "application/json", text, len);
	sl_arena_fini(&a->arena);
}

/* Answers with a problem instead. */
static void give_up(struct api_answer *a)
{
	sl_arena_fini(&a->arena);
}

/* ================= queries and pages ================= */

/* The next "name=value" of a query, both still encoded. */
static bool next_parameter(struct sl_str *rest, struct sl_str *name, struct sl_str *value)
{
	if (rest->n == 0)
		return false;
	*value = sl_str_cut(rest, '&');
	*name = sl_str_cut(value, '=');
	return true;
}

static struct sl_str query_of(const struct api_answer *a)
{
	const char *q = a->conn->req.query;

	return sl_str_z(*q == '?' ? q + 1 : q);
}

const char *api_query(struct api_answer *a, const char *wanted)
{
	struct sl_str rest = query_of(a), name, value;
	char text[API_PATH_MAX];

	while (next_parameter(&rest, &name, &value))
		if (sl_str_eq(name, sl_str_z(wanted)) &&
		    sl_percent_decode(value, text, sizeof(text)) >= 0)
			return api_answer_text(a, text);
	return NULL;
}

bool api_query_only(struct api_answer *a, const char *const *names, size_t n)
{
	struct sl_str rest = query_of(a), name, value;

	while (next_parameter(&rest, &name, &value)) {
		char field[80];
		bool known = sl_str_eq(name, SL_STR("access_token"));

		for (size_t i = 0; i < n; i++)
			known = known || sl_str_eq(name, sl_str_z(names[i]));
		if (known)
			continue;
		(void)sl_fmt(field, sizeof(field), "?%.*s", SL_STR_ARG(name));
		api_problem_at(a->conn, 400, field, "there is no such query parameter");
		give_up(a);
		return false;
	}
	return true;
}

bool api_answer_ok(struct api_answer *a)
{
	if (!a->arena.failed)
		return true;
	api_busy(a->conn, RETRY_S, "out of memory");
	give_up(a);
	return false;
}

bool api_page_init(struct api_answer *a, struct api_page *p)
{
	const char *limit = api_query(a, "limit"), *after = api_query(a, "after");
	uint32_t n = API_PAGE;

	if (!api_answer_ok(a))
		return false;
	*p = (struct api_page){.after = after ? after : ""};
	if (limit && (!sl_str_u32(sl_str_z(limit), API_PAGE_MAX, &n) || n == 0)) {
		api_problem_at(a->conn, 400, "?limit", "limit must be a whole number from 1 to %d",
			       API_PAGE_MAX);
		give_up(a);
		return false;
	}
	p->limit = n;
	p->keys = api_answer_alloc(a, n, sizeof(*p->keys));
	p->at = api_answer_alloc(a, n, sizeof(*p->at));
	return api_answer_ok(a);
}

/* Where a key belongs among the sorted ones. */
static size_t place_of(const struct api_page *p, const char *key)
{
	size_t low = 0, high = p->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (strcmp(p->keys[mid], key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Keeps the `limit` smallest keys past `after`. */
void api_page_offer(struct api_page *p, const char *key, const void *thing)
{
	size_t i, tail;

	if (p->after[0] && strcmp(key, p->after) <= 0)
		return;
	i = place_of(p, key);
	if (p->n == p->limit) {
		p->more = true;
		if (i == p->n)
			return;
		p->n--;
	}
	tail = p->n - i;
	memmove(&p->keys[i + 1], &p->keys[i], tail * sizeof(*p->keys));
	memmove(&p->at[i + 1], &p->at[i], tail * sizeof(*p->at));
	p->keys[i] = key;
	p->at[i] = thing;
	p->n++;
}

const char *api_page_next(const struct api_page *p)
{
	return p->more ? p->keys[p->n - 1] : NULL;
}

/* ================= bodies ================= */

void api_body_wrong(struct api_conn *c, int err, const struct api_json_why *why)
{
	int status = api_json_status(err);

	if (status == 503)
		api_busy(c, RETRY_S, "out of memory");
	else
		api_problem_at(c, status, why->field, "%s", why->text);
}

cJSON *api_body(struct api_conn *c, struct api_json_why *why)
{
	cJSON *tree = NULL;
	int err = api_json_parse(sl_str((const char *)c->req.body, c->req.body_len), NULL, &tree,
				 why);

	if (!err)
		return tree;
	api_body_wrong(c, err, why);
	return NULL;
}

bool api_if_match(const struct api_request *req, const char *etag)
{
	struct sl_str rest = sl_str_z(req->if_match);
	char want[API_ID_LEN + 3];

	if (!req->has_if_match || sl_str_eq(sl_str_trim(rest), SL_STR("*")))
		return true;
	(void)sl_fmt(want, sizeof(want), "\"%s\"", etag);
	while (rest.n > 0)
		if (sl_str_eq(sl_str_trim(sl_str_cut(&rest, ',')), sl_str_z(want)))
			return true;
	return false;
}

/* ================= rooms ================= */

/* Copies the room's name out of the path. False: answered. */
static bool room_name(struct api_conn *c, char name[API_NAME_MAX + 1])
{
	const char *why = api_name_check(c->req.seg[2]);

	if (!why && sl_str_copy(name, API_NAME_MAX + 1, c->req.seg[2]))
		return true;
	api_problem_at(c, 400, "{room}", "the name of the room %s", why ? why : "is not a name");
	return false;
}

/* NULL: answered. */
static struct api_room *room_of(struct api_conn *c)
{
	char name[API_NAME_MAX + 1];
	struct api_room *r;

	if (!room_name(c, name))
		return NULL;
	r = api_room_find(c->api, name);
	if (!r)
		api_problem_at(c, 404, "{room}", "there is no such room");
	return r;
}

static void view_room(struct api_answer *a, const struct api_room *r, struct api_view_room *out)
{
	const struct sl_api *api = a->conn->api;
	const struct api_session *speaker = api_room_speaker(r);

	*out = (struct api_view_room){
		.name = r->name,
		.participants = api_room_count(r),
		.speaker = speaker ? speaker->participant : NULL,
		.age_s = (double)(api_now_us(api) - r->since_us) / 1e6,
	};
	SL_LIST_EACH(it, tmp, &r->players)
		out->players++;
	api_view_room_set(a, r, out);
}

static void send_room(struct api_conn *c, const struct api_room *r, int status)
{
	struct api_view_room view;
	struct api_answer a;
	char etag[API_ETAG];

	api_answer_init(&a, c);
	view_room(&a, r, &view);
	if (!a.arena.failed) {
		api_room_etag(c->api, &r->set, etag);
		api_header(c, "ETag", "\"%s\"", etag);
	}
	api_answer_send(&a, status, &api_object_room, &view);
}

void api_rest_rooms(struct api_conn *c)
{
	static const char *const names[] = {"limit", "after"};
	struct api_view_page page = {0};
	struct api_view_room *views;
	struct api_answer a;
	struct api_page p;
	uint32_t cursor = 0;

	api_answer_init(&a, c);
	if (!api_query_only(&a, names, SL_COUNT(names)) || !api_page_init(&a, &p))
		return;
	for (struct api_room *r = sl_hash_next(&c->api->rooms, &cursor); r;
	     r = sl_hash_next(&c->api->rooms, &cursor))
		api_page_offer(&p, r->name, r);
	views = api_answer_alloc(&a, p.n, sizeof(*views));
	for (size_t i = 0; views && i < p.n; i++)
		view_room(&a, p.at[i], &views[i]);
	page.items = (struct api_list){.at = views, .n = p.n};
	page.next = api_page_next(&p);
	api_answer_send(&a, 200, &api_object_room_list, &page);
}

/* Takes over *set. */
static void put_room(struct api_conn *c, const char *name, struct api_room_set *set)
{
	struct sl_api *api = c->api;
	struct api_room *r = api_room_find(api, name);
	char path[3 * API_NAME_MAX + 16];
	struct sl_buf b = sl_buf(path, sizeof(path));
	bool fresh = !r;
	int err = r ? SL_OK : api_room_new(api, name, &r);

	if (err) {
		api_room_set_fini(set);
		api_busy(c, RETRY_S, err == SL_EFULL ? "rooms.max is reached" : "out of memory");
		return;
	}
	r->made = true;
	api_room_set(api, r, set);
	if (fresh) {
		sl_buf_z(&b, "/v1/rooms/");
		api_percent_encode(&b, sl_str_z(name));
		api_header(c, "Location", "%s", path);
	}
	send_room(c, r, fresh ? 201 : 200);
}

/* PUT sets all, what is not said to its default; PATCH changes what is said. r: NULL for a PUT of
 * what is not there yet. */
static void write_room(struct api_conn *c, const char *name, struct api_room *r)
{
	bool patch = r && c->req.method == API_PATCH;
	struct api_room_set set = {0};
	struct api_json_why why = {0};
	struct api_json_at root;
	char etag[API_ETAG];
	cJSON *tree;
	int err = SL_OK;

	if (r)
		api_room_etag(c->api, &r->set, etag);
	if (c->req.has_if_match && (!r || !api_if_match(&c->req, etag))) {
		api_problem(c, 412, "the room's settings have changed since");
		return;
	}
	tree = api_body(c, &why);
	if (!tree)
		return;
	if (patch)
		err = api_room_set_copy(&r->set, &set);
	else
		api_room_set_default(c->api, &set);
	if (!patch)
		set.linger_us = SL_NEVER;
	root = api_json_root(tree, &why);
	if (!err)
		err = api_room_set_read(&root, &set);
	api_json_free(tree);
	if (err) {
		api_room_set_fini(&set);
		api_body_wrong(c, err, &why);
	} else if (patch) {
		api_room_set(c->api, r, &set);
		send_room(c, r, 200);
	} else {
		put_room(c, name, &set);
	}
}

void api_rest_room(struct api_conn *c)
{
	char name[API_NAME_MAX + 1];
	struct api_room *r;

	if (!room_name(c, name))
		return;
	r = api_room_find(c->api, name);
	if (c->req.method == API_PUT) {
		write_room(c, name, r);
	} else if (!r) {
		api_problem_at(c, 404, "{room}", "there is no such room");
	} else if (c->req.method == API_PATCH) {
		write_room(c, name, r);
	} else if (c->req.method == API_DELETE) {
		api_room_end(c->api, r, "an operator ended the room");
		api_respond_static(c, 204, NULL, NULL, 0);
	} else {
		send_room(c, r, 200);
	}
}

/* ================= participants ================= */

static void view_tracks(struct api_answer *a, const struct api_session *s, struct api_list *out)
{
	struct api_view_track *views = api_answer_alloc(a, s->track_count, sizeof(*views));

	*out = (struct api_list){.at = views};
	for (size_t i = 0; views && i < s->track_count; i++)
		if (s->tracks[i].publish && s->tracks[i].id)
			api_view_track_of(s, &s->tracks[i], &views[out->n++]);
}

static void view_participant(struct api_answer *a, const struct api_session *s,
			     struct api_view_participant *out)
{
	*out = (struct api_view_participant){
		.name = s->participant,
		.room = s->room->name,
		.session = s->id,
		.via = api_via_word(s),
		.state = api_session_state_word(s),
		.age_s = (double)(api_now_us(a->conn->api) - s->since_us) / 1e6,
	};
	view_tracks(a, s, &out->tracks);
}

void api_rest_participants(struct api_conn *c)
{
	static const char *const names[] = {"limit", "after"};
	const struct api_room *r = room_of(c);
	struct api_view_participant *views;
	struct api_view_page page = {0};
	struct api_answer a;
	struct api_page p;

	if (!r)
		return;
	api_answer_init(&a, c);
	if (!api_query_only(&a, names, SL_COUNT(names)) || !api_page_init(&a, &p))
		return;
	SL_LIST_EACH(it, tmp, &r->publishers) {
		const struct api_session *s = SL_LIST_AT(it, struct api_session, link);

		api_page_offer(&p, s->participant, s);
	}
	SL_LIST_EACH(it, tmp, &r->players) {
		const struct api_session *s = SL_LIST_AT(it, struct api_session, play_link);

		if (s->join && !s->publisher)
			api_page_offer(&p, s->participant, s);
	}
	views = api_answer_alloc(&a, p.n, sizeof(*views));
	for (size_t i = 0; views && i < p.n; i++)
		view_participant(&a, p.at[i], &views[i]);
	page.items = (struct api_list){.at = views, .n = p.n};
	page.next = api_page_next(&p);
	api_answer_send(&a, 200, &api_object_participant_list, &page);
}

/* NULL: answered. */
static struct api_session *participant_of(struct api_conn *c)
{
	const char *why = api_name_check(c->req.seg[4]);
	char name[API_NAME_MAX + 1];
	struct api_session *s;
	struct api_room *r;

	if (why || !sl_str_copy(name, sizeof(name), c->req.seg[4])) {
		api_problem_at(c, 400, "{participant}", "the name of the participant %s",
			       why ? why : "is not a name");
		return NULL;
	}
	r = room_of(c);
	if (!r)
		return NULL;
	s = api_room_participant(r, name);
	if (!s)
		api_problem_at(c, 404, "{participant}", "there is no such participant in the room");
	return s;
}

void api_rest_participant(struct api_conn *c)
{
	struct api_session *s = participant_of(c);
	struct api_view_participant view;
	struct api_answer a;

	if (!s)
		return;
	if (c->req.method == API_DELETE) {
		api_session_end(c->api, s, "removed by an operator");
		api_respond_static(c, 204, NULL, NULL, 0);
		return;
	}
	api_answer_init(&a, c);
	view_participant(&a, s, &view);
	api_answer_send(&a, 200, &api_object_participant, &view);
}

void api_rest_participant_tracks(struct api_conn *c)
{
	struct api_session *s = participant_of(c);
	struct api_view_page view = {0};
	struct api_answer a;

	if (!s)
		return;
	api_answer_init(&a, c);
	view_tracks(&a, s, &view.items);
	api_answer_send(&a, 200, &api_object_track_list, &view);
}
