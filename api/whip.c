/* SPDX-License-Identifier: Apache-2.0
 * api/whip.c — WHIP and WHEP endpoints, and the sessions they make.
 * POST:   offer, is there room?, is the name free?, an answer with stand-in credentials to see that
 *         it can be done, a transport of core, the answer with its credentials, 201.
 * PATCH:  candidates, or new credentials of the peer (ICE restart).
 * DELETE: the end. */
#include "api/events.h"
#include "api/join.h"

enum { RETRY_BUSY_S = 2, RETRY_DRAIN_S = 10 };

/* ================= ops ================= */

struct api_op *api_op_new(struct sl_api *api, struct api_conn *c)
{
	struct api_op *op = sl_zalloc(sizeof(*op));

	if (!op)
		return NULL;
	op->api = api;
	sl_list_add(&api->ops, &op->link);
	api->op_count++;
	if (!c)
		return op;
	op->conn = c;
	c->op = op;
	op->text = (char *)c->req.body;
	op->text_len = c->req.body_len;
	c->req.body = NULL;
	return op;
}

void api_op_free(struct api_op *op)
{
	if (op->api) {
		sl_list_del(&op->link);
		op->api->op_count--;
	}
	if (op->conn)
		op->conn->op = NULL;
	api_negotiation_fini(&op->n);
	sl_free(op->text);
	sl_free(op);
}

/* Answers the client, if it is still there, and ends the op. */
static void op_busy(struct api_op *op, const char *why)
{
	if (op->conn)
		api_busy(op->conn, RETRY_BUSY_S, why);
	api_op_free(op);
}

static void op_problem(struct api_op *op, int status, const char *why)
{
	if (op->conn)
		api_problem(op->conn, status, "%s", why);
	api_op_free(op);
}

void api_op_failed(struct api_op *op, int err)
{
	if (err == SL_ENOTFOUND)
		op_problem(op, 404, "the session has ended");
	else if (err == SL_EPARSE || err == SL_ERANGE || err == SL_EUNSUPPORTED)
		op_problem(op, 422, sl_strerror(err));
	else
		op_busy(op, err == SL_ENOMEM ? "out of memory" : "the media loop is at its limit");
}

/* ================= POST: what is asked for ================= */

static bool is_whip(const struct api_request *req)
{
	return sl_str_eq(req->seg[0], SL_STR("whip"));
}

/* Copies the names out of the path and the query. NULL, or what is wrong. */
static const char *read_names(const struct api_request *req, char *room, char *participant,
			      bool *named)
{
	const char *why = api_name_check(req->seg[1]);
	struct sl_str name = sl_str_z(req->participant);

	*named = false;
	if (why || !sl_str_copy(room, API_NAME_MAX + 1, req->seg[1]))
		return why ? why : "is not a name";
	participant[0] = 0;
	if (is_whip(req) ? !req->has_participant : req->seg_count < 3)
		return NULL;
	if (!is_whip(req))
		name = req->seg[2];
	*named = true;
	why = api_name_check(name);
	return why || sl_str_copy(participant, API_NAME_MAX + 1, name) ? why : "is not a name";
}

const char *api_overload(struct sl_api *api)
{
	if (api->draining)
		return "draining: no new sessions";
	if (api_loops_busy(api))
		return "the media loops cannot keep up";
	if (sl_core_handshake_wait_us(api->core) > api->conf->dtls.queue_us)
		return "too many peers are connecting";
	if (api->sessions.live >= api->conf->limits.max_sessions)
		return "limits.max_sessions is reached";
	return NULL;
}

static void offer_refused(struct api_op *op, int err, const struct sl_sdp_why *why)
{
	struct api_conn *c = op->conn;
	int status = err == SL_EUNSUPPORTED ? 422 : 400;

	if (err == SL_ENOMEM) {
		op_busy(op, "out of memory");
		return;
	}
	if (why->line > 0)
		api_problem(c, status, "the offer's line %zu: %s", why->line, why->text);
	else
		api_problem(c, status, "the offer: %s",
			    why->text[0] ? why->text : sl_strerror(err));
	api_op_free(op);
}

/* ================= POST: with core's reply ================= */

/* False out of memory. */
static bool keep_tracks(struct sl_api *api, struct api_session *s,
			const struct sl_transport_conf *conf, const struct sl_reply *r)
{
	for (size_t i = 0; i < conf->track_count; i++) {
		const struct sl_track_conf *tc = &conf->tracks[i];
		struct api_track *t = api_session_add_track(api, s, tc->publish, tc->kind);

		if (!t)
			return false;
		t->id = r->tracks[i];
		api_track_told(api, t, tc);
		api_copy(t->mid, sizeof(t->mid), sl_str_z(tc->mid));
	}
	return true;
}

static void created(struct api_op *op, struct api_session *s, char *text, size_t len)
{
	struct api_conn *c = op->conn;
	char id[7];

	api_short_id(s, id);
	SL_LOG(INFO, WHIP, "session opened", SL_KS("role", s->publisher ? "publisher" : "player"),
	       SL_KS("room", s->room->name), SL_KSTR("participant", api_log_name(s)),
	       SL_KS("session", id), SL_KU("loop", s->loop), SL_KA("peer", &c->peer));
	api_header(c, "Location", "/sessions/%s", s->id);
	api_header(c, "ETag", "\"%s\"", s->etag);
	api_header(c, "Accept-Patch", "application/trickle-ice-sdpfrag");
	c->res.links = true;
	api_respond_owned(c, 201, "application/sdp", text, len);
}

/* Somebody ended the session, or its room, before core had answered. What is not closed here times
 * out. */
static void ended_while_opening(struct api_op *op, const struct sl_reply *r)
{
	if (op->api && !r->err && sl_core_close(op->api->core, r->transport, NULL, NULL) != SL_OK)
		SL_LOG(DEBUG, WHIP, "a transport is left to time out", SL_KU("loop", op->n.loop));
	op_problem(op, 409, "the session was ended while it was being opened");
}

static void on_open(void *arg, const struct sl_reply *r)
{
	struct api_op *op = arg;
	struct sl_api *api = op->api;
	struct api_session *s = api ? api_session_by_tag(api, op->session) : NULL;
	struct sl_sdp_why why = {0};
	char *text;
	size_t len;
	int err;

	if (!s) {
		ended_while_opening(op, r);
		return;
	}
	if (r->err) {
		api_session_gone(api, s, "core refused it");
		api_op_failed(op, r->err);
		return;
	}
	s->transport = r->transport;
	if (!op->conn) {
		api_session_end(api, s, "the client left before it had an answer");
		api_op_free(op);
		return;
	}
	err = api_negotiation_answer(api, &op->n, r->ufrag, r->pwd, &text, &len, &why);
	if (err) {
		api_session_end(api, s, "the answer could not be written");
		op_busy(op, sl_strerror(err));
		return;
	}
	if (!keep_tracks(api, s, op->n.conf, r)) {
		sl_free(text);
		api_session_end(api, s, "out of memory");
		op_busy(op, "out of memory");
		return;
	}
	s->state = SESSION_OPEN;
	created(op, s, text, len);
	api_event_opened(api, s->room, s);
	api_room_changed(api, s->room);
	api_op_free(op);
}

/* ================= POST: room, name, transport ================= */

static void offer_continue(struct api_op *op);

/* Is the holder of the name still there in more than name? */
static void on_holder(void *arg, const struct sl_reply *r)
{
	struct api_op *op = arg;
	struct api_session *holder;

	if (!op->api || !op->conn) {
		api_op_free(op);
		return;
	}
	holder = api_session_by_tag(op->api, op->holder);
	if (holder && holder->room && r->err != SL_ENOTFOUND && r->info.silent_us < API_SILENT_US) {
		op_problem(op, 409, "a participant of that name is in the room");
		return;
	}
	if (holder && holder->room)
		api_session_end(op->api, holder, "replaced: nothing came from it any more");
	offer_continue(op);
}

static void ask_holder(struct api_op *op, struct api_session *holder)
{
	int err;

	if (holder->state != SESSION_OPEN) {
		op_problem(op, 409, "a participant of that name is joining the room");
		return;
	}
	op->holder = holder->tag;
	err = sl_core_info(op->api->core, holder->transport, on_holder, op);
	if (err)
		api_op_failed(op, err == SL_ENOTFOUND ? SL_EBUSY : err);
}

static int find_room(struct sl_api *api, const char *name, struct api_room **room)
{
	*room = api_room_find(api, name);
	if (*room)
		return SL_OK;
	return api->conf->rooms.auto_create ? api_room_new(api, name, room) : SL_ENOTFOUND;
}

static void open_transport(struct api_op *op, struct api_room *room, const char *participant)
{
	struct sl_api *api = op->api;
	struct api_session *s;
	bool publisher = op->n.role == SL_SDP_PUBLISHER;
	int err = api_session_new(api, room, publisher, !publisher, participant, &s);

	if (err) {
		api_room_changed(api, room);
		op_busy(op, err == SL_EFULL ? "limits.max_sessions is reached" : "out of memory");
		return;
	}
	s->loop = op->n.loop;
	if (!op->conn->req.rights.all)
		api_copy(s->owner, sizeof(s->owner), sl_str_z(op->conn->req.rights.participant));
	api_copy(s->ufrag, sizeof(s->ufrag), sl_str_z(op->n.conf->ufrag));
	api_copy(s->pwd, sizeof(s->pwd), sl_str_z(op->n.conf->pwd));
	api_copy(s->mid, sizeof(s->mid), op->n.offer.media[op->n.tagged].mid);
	s->mid_kind = op->n.offer.media[op->n.tagged].kind == SL_SDP_VIDEO ? SL_VIDEO : SL_AUDIO;
	op->session = s->tag;
	op->n.conf->tag = s->tag;
	api_short_id(s, op->n.conf->name);
	api_room_changed(api, room);
	err = sl_core_open(api->core, s->loop, op->n.conf, on_open, op);
	if (err) {
		api_session_gone(api, s, "core is busy");
		api_op_failed(op, err);
	}
}

/* From here on also after the holder of the name was asked: everything is looked up anew. */
static void offer_continue(struct api_op *op)
{
	struct sl_api *api = op->api;
	char name[API_NAME_MAX + 1], participant[API_NAME_MAX + 1];
	struct api_session *holder = NULL;
	struct api_room *room;
	bool named;
	int err;

	if (read_names(&op->conn->req, name, participant, &named)) {
		op_problem(op, 400, "bad name");
		return;
	}
	err = find_room(api, name, &room);
	if (err == SL_ENOTFOUND) {
		op_problem(op, 404, "there is no such room, and rooms.auto_create is off");
		return;
	}
	if (err) {
		op_busy(op, err == SL_EFULL ? "rooms.max is reached" : "out of memory");
		return;
	}
	if (op->n.role == SL_SDP_PUBLISHER &&
	    !api_room_may_publish(room, named ? sl_str_z(participant) : SL_STR(""))) {
		op_problem(op, 403, "the room's settings do not let this participant publish");
		return;
	}
	if (op->n.role == SL_SDP_PUBLISHER && named)
		holder = api_room_participant(room, participant);
	if (holder) {
		ask_holder(op, holder);
		return;
	}
	if (op->n.role == SL_SDP_PUBLISHER && !api_room_has_place(api, room)) {
		op_busy(op, "the room's capacity, or rooms.max_participants, is reached");
		return;
	}
	open_transport(op, room, op->n.role == SL_SDP_PLAYER || named ? participant : NULL);
}

void api_whip_post(struct api_conn *c)
{
	struct sl_api *api = c->api;
	char room[API_NAME_MAX + 1], participant[API_NAME_MAX + 1];
	const char *busy = api_overload(api), *bad;
	struct sl_sdp_why why = {0};
	const struct api_room *there;
	struct api_op *op;
	bool named;
	int err;

	bad = read_names(&c->req, room, participant, &named);
	if (bad) {
		api_problem(c, 400, "the name of the %s %s", named ? "participant" : "room", bad);
		return;
	}
	if (busy) {
		api_event_overload(api, busy);
		api_busy(c, api->draining ? RETRY_DRAIN_S : RETRY_BUSY_S, busy);
		return;
	}
	op = api_op_new(api, c);
	if (!op) {
		api_busy(c, RETRY_BUSY_S, "out of memory");
		return;
	}
	there = api_room_find(api, room);
	op->n.codecs = there ? there->set.codecs : 0;
	err = api_negotiate(api, sl_str(op->text, op->text_len),
			    is_whip(&c->req) ? SL_SDP_PUBLISHER : SL_SDP_PLAYER, api_pick_loop(api),
			    &op->n, &why);
	if (err)
		offer_refused(op, err, &why);
	else
		offer_continue(op);
}

/* ================= PATCH ================= */

enum match { MATCH_NONE, MATCH_ETAG, MATCH_ANY };

/* RFC 9110 section 13.1.1: "*", or a list of strong entity tags. */
static enum match if_match(const char *header, const char *etag)
{
	struct sl_str rest = sl_str_z(header);
	char want[API_ID_LEN + 3];

	(void)sl_fmt(want, sizeof(want), "\"%s\"", etag);
	if (sl_str_eq(sl_str_trim(rest), SL_STR("*")))
		return MATCH_ANY;
	while (rest.n > 0)
		if (sl_str_eq(sl_str_trim(sl_str_cut(&rest, ',')), sl_str_z(want)))
			return MATCH_ETAG;
	return MATCH_NONE;
}

static void on_candidates(void *arg, const struct sl_reply *r)
{
	struct api_op *op = arg;

	/* More candidates than a session may have are left out; the session goes on. */
	if (r->err && r->err != SL_EFULL) {
		api_op_failed(op, r->err);
		return;
	}
	if (op->conn)
		api_respond_static(op->conn, 204, NULL, NULL, 0);
	api_op_free(op);
}

static size_t to_core(const struct sl_sdpfrag *frag, struct sl_core_cand *out)
{
	size_t n = 0;

	for (size_t i = 0; i < frag->cand_count && n < SL_CORE_CANDS_MAX; i++)
		if (frag->cands[i].component == 1 && !frag->cands[i].tcp)
			api_cand_to_core(&frag->cands[i], &out[n++]);
	return n;
}

static void add_candidates(struct api_op *op, struct api_session *s, const struct sl_sdpfrag *frag)
{
	struct sl_core_cand *cands =
		sl_arena_alloc(&op->n.arena, SL_CORE_CANDS_MAX * sizeof(*cands));
	size_t n;
	int err;

	if (!cands) {
		op_busy(op, "out of memory");
		return;
	}
	n = to_core(frag, cands);
	err = sl_core_add_candidates(op->api->core, s->transport, cands, n, frag->end_of_candidates,
				     on_candidates, op);
	if (err)
		api_op_failed(op, err);
}

/* Candidates that came along with the new credentials. */
static void add_after_restart(struct api_op *op, struct api_session *s)
{
	struct sl_core_cand cands[SL_CORE_CANDS_MAX];
	struct sl_sdp_why why;
	struct sl_sdpfrag frag;
	int err;

	if (sl_sdpfrag_read(sl_str(op->text, op->text_len), &op->n.arena, &frag, &why) != SL_OK)
		return;
	if (frag.cand_count == 0 && !frag.end_of_candidates)
		return;
	err = sl_core_add_candidates(op->api->core, s->transport, cands, to_core(&frag, cands),
				     frag.end_of_candidates, NULL, NULL);
	if (err)
		SL_LOG(DEBUG, WHIP, "candidates of a restart not taken",
		       SL_KS("why", sl_strerror(err)));
}

static void restarted(struct api_op *op, struct api_session *s, const struct sl_reply *r)
{
	struct sl_core_cand store[SL_CORE_CANDS_MAX];
	struct sl_sdp_cand cands[SL_CORE_CANDS_MAX];
	char text[8192];
	struct sl_buf b = sl_buf(text, sizeof(text));
	struct sl_sdp_ours ours;
	size_t n = api_candidates(op->api, s->loop, store, cands, SL_CORE_CANDS_MAX);

	api_ours(op->api, r->ufrag, r->pwd, cands, n, &ours);
	sl_sdpfrag_write(&ours, sl_str_z(s->mid),
			 s->mid_kind == SL_VIDEO ? SL_STR("video") : SL_STR("audio"), &b);
	if (!op->conn)
		return;
	api_header(op->conn, "ETag", "\"%s\"", s->etag);
	op->conn->res.links = true;
	api_respond(op->conn, 200, "application/trickle-ice-sdpfrag", text, b.n);
}

static void on_restart(void *arg, const struct sl_reply *r)
{
	struct api_op *op = arg;
	struct api_session *s = op->api ? api_session_by_tag(op->api, op->session) : NULL;

	if (s)
		s->busy = false;
	if (!s || !s->room || r->err) {
		api_op_failed(op, r->err ? r->err : SL_ENOTFOUND);
		return;
	}
	api_copy(s->ufrag, sizeof(s->ufrag), sl_str_z(op->ufrag));
	api_copy(s->pwd, sizeof(s->pwd), sl_str_z(op->pwd));
	api_session_new_etag(op->api, s);
	add_after_restart(op, s);
	restarted(op, s, r);
	api_op_free(op);
}

/* RFC 8839 section 5.4. */
static bool credentials_ok(const struct sl_sdpfrag *frag)
{
	return frag->ufrag.n >= 4 && frag->ufrag.n <= SL_UFRAG_MAX && frag->pwd.n >= 22 &&
	       frag->pwd.n <= SL_PWD_MAX;
}

static void restart(struct api_op *op, struct api_session *s, const struct sl_sdpfrag *frag)
{
	int err;

	if (!credentials_ok(frag) || !sl_str_copy(op->ufrag, sizeof(op->ufrag), frag->ufrag) ||
	    !sl_str_copy(op->pwd, sizeof(op->pwd), frag->pwd)) {
		op_problem(op, 422,
			   "an ICE restart needs a=ice-ufrag (4 to 256 characters) and a=ice-pwd "
			   "(22 to 256)");
		return;
	}
	if (s->busy) {
		op_problem(op, 409, "an ICE restart of this session is under way");
		return;
	}
	s->busy = true;
	err = sl_core_restart_ice(op->api->core, s->transport, op->ufrag, op->pwd, on_restart, op);
	if (err) {
		s->busy = false;
		api_op_failed(op, err);
	}
}

static void patch(struct api_op *op, struct api_session *s, enum match match)
{
	struct sl_sdp_why why = {0};
	struct sl_sdpfrag frag = {0};
	int err = sl_sdpfrag_read(sl_str(op->text, op->text_len), &op->n.arena, &frag, &why);
	bool same = sl_str_eq(frag.ufrag, sl_str_z(s->ufrag)) &&
		    (frag.pwd.n == 0 || sl_str_eq(frag.pwd, sl_str_z(s->pwd)));

	if (err == SL_ENOMEM)
		op_busy(op, "out of memory");
	else if (err)
		op_problem(op, 400, why.text[0] ? why.text : "the body is no SDP fragment");
	else if (frag.ufrag.n > 0 && !same)
		restart(op, s, &frag);
	else if (match == MATCH_ANY && !same)
		/* RFC 9725 section 4.3.3: "*" is for an ICE restart, which brings credentials. */
		op_problem(op, 422,
			   "If-Match: * asks for an ICE restart, but there are no new credentials");
	else
		add_candidates(op, s, &frag);
}

static void session_patch(struct api_conn *c, struct api_session *s)
{
	enum match match;
	struct api_op *op;

	/* RFC 9725 section 4.3.1: without If-Match 428, with a stale one 412. */
	if (!c->req.has_if_match) {
		api_problem(
			c, 428,
			"If-Match is needed: the ETag of the ICE session, or * for an ICE restart");
		return;
	}
	match = if_match(c->req.if_match, s->etag);
	if (match == MATCH_NONE) {
		api_header(c, "ETag", "\"%s\"", s->etag);
		api_problem(c, 412, "that ICE session is over");
		return;
	}
	op = api_op_new(c->api, c);
	if (!op) {
		api_busy(c, RETRY_BUSY_S, "out of memory");
		return;
	}
	op->session = s->tag;
	sl_arena_init(&op->n.arena, 1 << 20);
	patch(op, s, match);
}

void api_session_request(struct api_conn *c)
{
	struct api_session *s = api_session_by_id(c->api, c->req.seg[1]);

	if (!s || s->state != SESSION_OPEN) {
		api_problem(c, 404, "there is no such session");
		return;
	}
	if (c->req.method == API_PATCH && s->join) {
		api_problem(c, 409, "who joined by WebSocket sends candidates and restarts there");
		return;
	}
	if (c->req.method == API_PATCH) {
		session_patch(c, s);
		return;
	}
	api_session_end(c->api, s, "DELETE by its client");
	api_respond_static(c, 200, NULL, NULL, 0);
}
