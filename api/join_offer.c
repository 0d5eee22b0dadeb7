/* SPDX-License-Identifier: Apache-2.0
 * api/join_offer.c — the m-lines of a participant: offered by us one offer at a time, answered by
 * the peer, and made into tracks of core. Start at api_join_step(). */
#include "api/events.h"
#include "api/join.h"

enum { ARENA_MAX = 16 << 20, LINE_TEXT = 6144, MLINES_MAX = SL_SDP_OFFER_MEDIA_MAX };

/* ================= lines ================= */

static size_t mlines_max(const struct api_join *j)
{
	return SL_MIN(j->api->conf->limits.sdp_mlines, (uint32_t)MLINES_MAX);
}

/* Room for n more. */
static bool room_for_lines(struct api_join *j, size_t n)
{
	size_t cap = j->line_cap ? j->line_cap : 8;
	struct join_line *more;

	while (cap < j->line_count + n)
		cap *= 2;
	if (cap == j->line_cap)
		return true;
	more = sl_realloc(j->lines, cap * sizeof(*more));
	if (!more)
		return false;
	j->lines = more;
	j->line_cap = cap;
	return true;
}

/* The next line, with its track. The caller has made room for it. */
static struct join_line *add_line(struct api_join *j, bool slot, enum sl_kind kind)
{
	struct join_line *l = &j->lines[j->line_count];

	SL_ASSERT(j->line_count < j->line_cap && j->line_count == j->s->track_count);
	if (!api_session_add_track(j->api, j->s, !slot, kind))
		return NULL;
	*l = (struct join_line){.kind = kind, .slot = slot, .used = slot};
	(void)sl_fmt(l->mid, sizeof(l->mid), "%zu", j->line_count);
	api_copy(j->s->tracks[j->line_count].mid, sizeof(j->s->tracks[0].mid), sl_str_z(l->mid));
	j->line_count++;
	return l;
}

static bool ssrc_taken(const struct api_join *j, uint32_t ssrc)
{
	for (size_t i = 0; i < j->line_count; i++)
		if (j->lines[i].send.ssrc == ssrc || j->lines[i].send.rtx_ssrc == ssrc)
			return true;
	return ssrc == 0;
}

static uint32_t new_ssrc(struct api_join *j)
{
	uint32_t ssrc;

	do
		ssrc = sl_rng_u32(&j->api->rng);
	while (ssrc_taken(j, ssrc));
	return ssrc;
}

/* Audio and video of one slot share a stream, for lip sync. */
static void name_send(struct api_join *j, struct join_line *l)
{
	struct sl_sdp_send *send = &l->send;

	send->ssrc = new_ssrc(j);
	send->rtx_ssrc = new_ssrc(j);
	(void)sl_fmt(send->cname, sizeof(send->cname), "%s", j->cname);
	(void)sl_fmt(send->stream, sizeof(send->stream), "%s-%zu", j->cname, j->slots);
	(void)sl_fmt(send->track, sizeof(send->track), "%s-%c%zu", j->cname,
		     l->kind == SL_VIDEO ? 'v' : 'a', j->slots);
}

/* An audio and a video line. False out of memory. */
static bool add_slot(struct api_join *j)
{
	struct join_line *audio, *video;

	if (!room_for_lines(j, 2))
		return false;
	audio = add_line(j, true, SL_AUDIO);
	if (!audio)
		return false;
	video = add_line(j, true, SL_VIDEO);
	if (!video) {
		api_session_drop_tracks(j->s, 1);
		j->line_count--;
		return false;
	}
	name_send(j, audio);
	name_send(j, video);
	j->slots++;
	return true;
}

/* 2, 4, 8, 16, then by 16: each step costs an offer, each slot costs a browser a decoder's set-up.
 * Some lines are left for what the peer publishes. */
static size_t slots_for(const struct api_join *j, size_t wanted)
{
	size_t max = (mlines_max(j) - JOIN_PUBLISH_MAX) / 2;
	size_t n = 2;

	while (n < wanted)
		n += SL_MIN(n, 16);
	return SL_MIN(n, max);
}

static bool wants_slots(const struct api_join *j)
{
	return j->subscribe && j->slots < slots_for(j, j->s->wanted);
}

/* Of what one source gives, sound and picture go together: "camera" and "microphone", or a screen
 * with its sound. */
static bool same_source(const char *a, const char *b)
{
	return (strcmp(a, "screen") == 0) == (strcmp(b, "screen") == 0);
}

static bool unit_fits(const struct api_join *j, uint8_t unit, enum sl_kind kind, const char *source)
{
	for (size_t i = 0; i < j->line_count; i++) {
		const struct api_track *t = &j->s->tracks[i];

		if (j->lines[i].slot || !j->lines[i].used || t->unit != unit)
			continue;
		if (t->kind == kind || !same_source(t->source, source))
			return false;
	}
	return true;
}

static size_t used_lines(const struct api_join *j)
{
	size_t n = 0;

	for (size_t i = 0; i < j->line_count; i++)
		n += !j->lines[i].slot && j->lines[i].used;
	return n;
}

static struct join_line *free_line(struct api_join *j, enum sl_kind kind)
{
	for (size_t i = 0; i < j->line_count; i++) {
		struct join_line *l = &j->lines[i];

		if (!l->slot && !l->used && !l->dead && l->kind == kind)
			return l;
	}
	return NULL;
}

int api_join_take_line(struct api_join *j, enum sl_kind kind, const char *source,
		       const char *request)
{
	struct join_line *l = free_line(j, kind);
	struct api_track *t;
	uint8_t unit = 0;

	if (used_lines(j) >= JOIN_PUBLISH_MAX || (!l && j->line_count >= mlines_max(j)))
		return -1;
	if (!l)
		l = room_for_lines(j, 1) ? add_line(j, false, kind) : NULL;
	if (!l)
		return -2;
	while (!unit_fits(j, unit, kind, source))
		unit++;
	t = &j->s->tracks[l - j->lines];
	t->unit = unit;
	t->muted = t->held = false;
	t->codec = SL_CODEC_NONE;
	t->score = 0;
	t->heard_us = 0;
	api_copy(t->source, sizeof(t->source), sl_str_z(source));
	api_session_name_track(j->api, t);
	l->used = true;
	l->told = 0;
	api_copy(l->request, sizeof(l->request), sl_str_z(request));
	return (int)(l - j->lines);
}

/* ================= tracks that go ================= */

static void remove_gone(struct api_join *j)
{
	while (j->gone_count > 0) {
		int err =
			sl_core_remove_track(j->api->core, j->gone[j->gone_count - 1], NULL, NULL);

		if (err == SL_EBUSY || err == SL_ENOMEM) {
			api_join_stir(j);
			return;
		}
		j->gone_count--;
	}
}

static void remove_track(struct api_join *j, uint64_t id)
{
	if (j->gone_count == JOIN_GONE_MAX)
		remove_gone(j);
	/* A loop that takes no commands at all: core frees the track with its transport. */
	if (j->gone_count == JOIN_GONE_MAX)
		return;
	j->gone[j->gone_count++] = id;
	remove_gone(j);
}

void api_join_free_line(struct api_join *j, size_t line)
{
	struct api_track *t = &j->s->tracks[line];
	uint64_t id = t->id;

	j->lines[line].used = false;
	j->lines[line].told = 0;
	if (!id)
		return;
	api_event_track(j->api, j->s->room, j->s, t, "removed");
	t->id = 0;
	t->playing = 0;
	t->heard_us = 0;
	remove_track(j, id);
	api_room_changed(j->api, j->s->room);
}

/* ================= an offer ================= */

static enum sl_sdp_dir dir_of(const struct join_line *l)
{
	if (l->slot)
		return SL_SDP_SENDONLY;
	return l->used ? SL_SDP_RECVONLY : SL_SDP_INACTIVE;
}

/* A room may allow none of a kind. */
static bool has_codec(const struct sl_sdp_ours *ours, enum sl_kind kind)
{
	for (int c = SL_CODEC_NONE + 1; c < SL_CODEC_COUNT; c++)
		if (ours->codecs[c] && c != SL_RTX && sl_codec_info((enum sl_codec)c)->kind == kind)
			return true;
	return false;
}

/* The offer that is out, as it was: from the lines and what each of them was offered as. */
static int make_sdp(struct api_join *j, struct sl_arena *arena, struct sl_sdp *out)
{
	struct sl_sdp_offer_line *lines = sl_arena_alloc(arena, j->offered * sizeof(*lines));
	/* The offer has slices of it. */
	struct sl_core_cand *store = sl_arena_alloc(arena, SL_CORE_CANDS_MAX * sizeof(*store));
	struct sl_sdp_cand cands[SL_CORE_CANDS_MAX];
	struct sl_sdp_ours ours;
	size_t n;

	if (!lines || !store)
		return SL_ENOMEM;
	n = api_candidates(j->api, j->s->loop, store, cands, SL_CORE_CANDS_MAX);
	api_ours(j->api, j->ufrag, j->pwd, cands, n, &ours);
	api_allow_codecs(j->s->codecs, ours.codecs);
	ours.session_id = j->sdp_id;
	ours.session_version = j->offer;
	for (size_t i = 0; i < j->offered; i++)
		lines[i] = (struct sl_sdp_offer_line){
			.kind = j->lines[i].kind,
			.dir = j->lines[i].offered,
			.mid = sl_str_z(j->lines[i].mid),
			.rejected = j->lines[i].dead || !has_codec(&ours, j->lines[i].kind),
			.send = j->lines[i].send,
		};
	return sl_sdp_offer(&ours, lines, j->offered, arena, out);
}

static void put_publish(const struct api_join *j, struct api_json_out *o)
{
	api_json_open_array(o, "publish");
	for (size_t i = 0; i < j->offered; i++) {
		const struct join_line *l = &j->lines[i];

		if (l->slot || !l->used || l->told != j->offer)
			continue;
		api_json_open_object(o, NULL);
		api_json_put_z(o, "request", l->request);
		api_json_put_z(o, "mid", l->mid);
		api_json_put_z(o, "kind", l->kind == SL_VIDEO ? "video" : "audio");
		api_json_put_z(o, "source", j->s->tracks[i].source);
		api_json_put_z(o, "track", j->s->tracks[i].public_id);
		api_json_close_object(o);
	}
	api_json_close_array(o);
}

static void put_offer(struct api_join *j, const struct sl_sdp *sdp, struct sl_buf *text,
		      struct api_json_out *o)
{
	sl_sdp_write(sdp, text);
	api_json_open_object(o, NULL);
	api_json_put_z(o, "type", "offer");
	api_json_put_int(o, "offer", j->offer);
	api_json_put_str(o, "sdp", sl_str(text->p, text->n));
	put_publish(j, o);
	api_json_close_object(o);
}

/* False out of memory. */
static bool say_offer(struct api_join *j)
{
	size_t cap = (j->offered + 1) * LINE_TEXT;
	struct sl_arena arena;
	struct api_json_out o;
	struct sl_sdp sdp;
	char *p = sl_zalloc(cap);
	struct sl_buf text;
	bool ok;

	sl_arena_init(&arena, ARENA_MAX);
	api_json_out_init(&o, API_WS_MESSAGE_MAX);
	ok = p && make_sdp(j, &arena, &sdp) == SL_OK;
	if (ok) {
		text = sl_buf(p, cap);
		put_offer(j, &sdp, &text, &o);
		ok = !text.full && api_join_say(j->socket, &o);
	}
	api_json_out_fini(&o);
	sl_arena_fini(&arena);
	sl_free(p);
	return ok;
}

void api_join_void_offer(struct api_join *j)
{
	if (j->phase != JOIN_OFFERED)
		return;
	for (size_t i = 0; i < j->line_count; i++)
		if (j->lines[i].told == j->offer && !j->s->tracks[i].id)
			j->lines[i].told = 0;
	j->phase = JOIN_READY;
	j->want_offer = true;
}

/* More slots, if more are wanted; what finds no memory now comes with a later offer. */
static void grow(struct api_join *j)
{
	size_t n = j->subscribe ? slots_for(j, j->s->wanted) : 0;

	while (j->slots < n && add_slot(j))
		continue;
	/* A transport needs an m-line, be it one on which nothing goes yet. */
	if (j->line_count == 0 && room_for_lines(j, 1))
		(void)!add_line(j, false, SL_AUDIO);
}

static void make_offer(struct api_join *j)
{
	grow(j);
	if (j->line_count == 0) {
		api_join_stir(j);
		return;
	}
	j->want_offer = false;
	j->offer++;
	j->offered = j->line_count;
	j->phase = JOIN_OFFERED;
	for (size_t i = 0; i < j->offered; i++) {
		struct join_line *l = &j->lines[i];

		l->offered = dir_of(l);
		if (l->used && !l->told)
			l->told = j->offer;
	}
	/* A socket that cannot be told is ending; its next one gets another offer. */
	if (!say_offer(j)) {
		api_join_void_offer(j);
		api_ws_close(j->socket->ws, JOIN_CLOSE_RETRY, "out of memory");
	}
}

/* ================= new credentials ================= */

static void on_credentials(void *arg, const struct sl_reply *r)
{
	struct api_op *op = arg;
	struct api_session *s = op->api ? api_session_by_tag(op->api, op->session) : NULL;
	struct api_join *j = s ? s->join : NULL;

	api_op_free(op);
	if (!j)
		return;
	j->waiting = false;
	j->phase = JOIN_READY;
	if (r->err) {
		api_join_stir(j);
		return;
	}
	j->want_restart = false;
	j->restarting = j->want_offer = true;
	api_copy(j->ufrag, sizeof(j->ufrag), sl_str_z(r->ufrag));
	api_copy(j->pwd, sizeof(j->pwd), sl_str_z(r->pwd));
	api_join_step(j);
}

/* An op whose reply finds the session again; NULL: out of memory, and it will be tried again. */
static struct api_op *new_op(struct api_join *j)
{
	struct api_op *op = api_op_new(j->api, NULL);

	if (op)
		op->session = j->s->tag;
	else
		api_join_stir(j);
	return op;
}

/* What became of posting a command. */
static void posted(struct api_join *j, struct api_op *op, int err)
{
	j->waiting = err == SL_OK;
	if (!err)
		return;
	api_op_free(op);
	api_join_stir(j);
}

static void restart(struct api_join *j)
{
	struct api_op *op = new_op(j);

	if (!op)
		return;
	posted(j, op, sl_core_new_credentials(j->api->core, j->s->transport, on_credentials, op));
	if (j->waiting)
		j->phase = JOIN_CREDENTIALS;
}

/* ================= what an answer brings ================= */

static void drop_answer(struct api_join *j)
{
	sl_free(j->remote);
	sl_free(j->adds);
	sl_free(j->confs);
	j->remote = NULL;
	j->adds = NULL;
	j->confs = NULL;
	j->add_count = j->add_done = 0;
}

void api_join_fini(struct api_join *j)
{
	drop_answer(j);
	sl_free(j->lines);
	sl_wipe(j->token, sizeof(j->token));
	sl_wipe(j->pwd, sizeof(j->pwd));
	sl_free(j);
}

static void apply_next(struct api_join *j);

static struct api_join *replied(struct api_op *op)
{
	struct api_session *s = op->api ? api_session_by_tag(op->api, op->session) : NULL;
	struct api_join *j = s ? s->join : NULL;

	api_op_free(op);
	if (j)
		j->waiting = false;
	return j;
}

static void on_remote(void *arg, const struct sl_reply *r)
{
	struct api_join *j = replied(arg);

	if (!j)
		return;
	if (r->err) {
		drop_answer(j);
		j->phase = JOIN_OFFERED;
		if (j->socket)
			api_join_error(j->socket, "bad_answer", NULL,
				       "its fingerprint or ICE credentials cannot be used: %s",
				       sl_strerror(r->err));
		else
			api_join_void_offer(j);
		return;
	}
	api_copy(j->s->ufrag, sizeof(j->s->ufrag), sl_str_z(j->remote->ufrag));
	api_copy(j->s->pwd, sizeof(j->s->pwd), sl_str_z(j->remote->pwd));
	api_copy(j->fingerprint, sizeof(j->fingerprint), sl_str_z(j->remote->fingerprints[0].hex));
	j->remote_set = true;
	j->restarting = false;
	sl_free(j->remote);
	j->remote = NULL;
	apply_next(j);
}

/* False: its use has ended meanwhile. */
static bool keep(struct api_join *j, const struct join_add *a, const struct sl_track_conf *tc,
		 uint64_t id)
{
	const struct join_line *l = &j->lines[a->line];
	struct api_track *t = &j->s->tracks[a->line];

	if (!l->used || l->told != a->told)
		return false;
	t->id = id;
	t->playing = 0;
	api_track_told(j->api, t, tc);
	if (t->muted && sl_core_pause(j->api->core, id, true, NULL, NULL) != SL_OK)
		t->muted = false;
	if (t->publish)
		api_event_track(j->api, j->s->room, j->s, t, "added");
	return true;
}

/* A track that core has no room for. A slot waits for the next answer; who publishes is told. */
static void not_added(struct api_join *j, const struct join_add *a, int err)
{
	struct join_line *l = &j->lines[a->line];

	SL_LOG(WARN, WHIP, "track not added", SL_KS("room", j->s->room->name),
	       SL_KSTR("participant", api_log_name(j->s)), SL_KS("mid", l->mid),
	       SL_KS("why", sl_strerror(err)));
	if (l->slot || !l->used || l->told != a->told)
		return;
	if (j->socket)
		api_join_error(j->socket, "busy", l->request,
			       "the track on mid %s found no room: %s", l->mid, sl_strerror(err));
	api_join_free_line(j, a->line);
}

static void on_added(void *arg, const struct sl_reply *r)
{
	struct api_join *j = replied(arg);
	size_t n;

	if (!j)
		return;
	n = SL_MIN(j->add_count - j->add_done, (size_t)SL_TRACKS_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct join_add *a = &j->adds[j->add_done + i];

		if (r->err)
			not_added(j, a, r->err);
		else if (!keep(j, a, &j->confs[j->add_done + i], r->tracks[i]))
			remove_track(j, r->tracks[i]);
	}
	j->add_done += n;
	apply_next(j);
}

/* One command at a time; core carries them out in order. */
static void apply_next(struct api_join *j)
{
	struct sl_core *core = j->api->core;
	size_t n = SL_MIN(j->add_count - j->add_done, (size_t)SL_TRACKS_MAX);
	struct api_op *op = j->remote || n ? new_op(j) : NULL;

	if (!op && (j->remote || n))
		return;
	if (j->remote) {
		posted(j, op, sl_core_set_remote(core, j->s->transport, j->remote, on_remote, op));
	} else if (n) {
		posted(j, op,
		       sl_core_add_tracks(core, j->s->transport, j->confs + j->add_done, n,
					  on_added, op));
	} else {
		drop_answer(j);
		j->phase = JOIN_READY;
		j->want_slots = true;
		api_room_changed(j->api, j->s->room);
		api_join_step(j);
	}
}

/* ================= reading an answer ================= */

struct reading {
	struct sl_arena arena;
	struct sl_sdp offer, answer;
	struct sl_sdp_why why;
};

static int bad(struct reading *r, const char *text)
{
	r->why = (struct sl_sdp_why){0};
	(void)sl_fmt(r->why.text, sizeof(r->why.text), "%s", text);
	return SL_EPARSE;
}

/* The peer's side of the transport, where this answer brings it. */
static int read_remote(struct api_join *j, struct reading *r)
{
	const struct sl_sdp_media *t = sl_sdp_transport(&r->answer, &r->answer);
	struct sl_transport_conf *conf;
	int err;

	if (!t)
		return bad(r, "every m-line of it is rejected");
	if (j->remote_set && !j->restarting)
		return sl_str_eq(t->ufrag, sl_str_z(j->s->ufrag))
			       ? SL_OK
			       : bad(r, "it has other ICE credentials than before, and no restart "
					"was offered");
	conf = sl_zalloc(sizeof(*conf));
	if (!conf)
		return SL_ENOMEM;
	err = api_peer_conf(t, conf, &r->why);
	conf->dtls_client = t->setup == SL_SDP_PASSIVE;
	if (!err && j->remote_set && strcmp(conf->fingerprints[0].hex, j->fingerprint) != 0)
		err = bad(r, "it is of another PeerConnection; join anew");
	if (err)
		sl_free(conf);
	else
		j->remote = conf;
	return err;
}

/* Does the answer let media flow on that line? */
static bool takes(const struct join_line *l, const struct sl_sdp_media *m)
{
	return !m->rejected && m->dir == (l->slot ? SL_SDP_RECVONLY : SL_SDP_SENDONLY);
}

static bool is_new(const struct api_join *j, size_t i)
{
	const struct join_line *l = &j->lines[i];

	return l->used && !l->dead && l->told && !j->s->tracks[i].id;
}

static int read_tracks(struct api_join *j, struct reading *r)
{
	size_t n = 0;

	for (size_t i = 0; i < j->offered; i++)
		n += is_new(j, i) && takes(&j->lines[i], &r->answer.media[i]);
	if (n == 0)
		return SL_OK;
	j->adds = sl_zalloc_array(n, sizeof(*j->adds));
	j->confs = sl_zalloc_array(n, sizeof(*j->confs));
	if (!j->adds || !j->confs)
		return SL_ENOMEM;
	for (size_t i = 0; i < j->offered; i++) {
		const struct join_line *l = &j->lines[i];
		const struct sl_sdp_media *m = &r->answer.media[i];

		if (!is_new(j, i) || !takes(l, m))
			continue;
		j->adds[j->add_count] = (struct join_add){.line = i, .told = l->told};
		api_track_conf(j->api, m, m, !l->slot, &l->send, &j->confs[j->add_count]);
		j->confs[j->add_count].one_byte_exts = !m->ext_mixed;
		/* An answer may leave the mid out (RFC 9429 section 5.3.1 copies it). */
		api_copy(j->confs[j->add_count].mid, sizeof(j->confs[0].mid), sl_str_z(l->mid));
		j->add_count++;
	}
	return SL_OK;
}

/* What the answer takes back, or will not have. */
static void read_refusals(struct api_join *j, struct reading *r)
{
	for (size_t i = 0; i < j->offered; i++) {
		struct join_line *l = &j->lines[i];
		const struct sl_sdp_media *m = &r->answer.media[i];

		l->dead = l->dead || m->rejected;
		if (takes(l, m) || !l->told)
			continue;
		if (!l->slot) {
			api_join_error(j->socket, "not_sent", l->request,
				       "the answer does not send on mid %s", l->mid);
			api_join_free_line(j, i);
		} else if (j->s->tracks[i].id) {
			remove_track(j, j->s->tracks[i].id);
			j->s->tracks[i].id = j->s->tracks[i].playing = 0;
		}
	}
}

static int read_answer(struct api_join *j, struct sl_str text, struct reading *r)
{
	struct sl_sdp_bounds bounds = sl_sdp_answer_bounds(j->offered);
	int err = sl_sdp_read_within(text, &bounds, &r->arena, &r->answer, &r->why);

	if (!err)
		err = make_sdp(j, &r->arena, &r->offer);
	if (!err)
		err = sl_sdp_check_answer(&r->offer, &r->answer, &r->why);
	if (!err)
		err = read_remote(j, r);
	if (!err)
		err = read_tracks(j, r);
	return err;
}

void api_join_answer(struct api_join *j, struct sl_str text)
{
	struct reading r = {0};
	int err;

	sl_arena_init(&r.arena, ARENA_MAX);
	err = read_answer(j, text, &r);
	if (err) {
		drop_answer(j);
		if (err == SL_ENOMEM)
			api_join_error(j->socket, "busy", NULL, "out of memory");
		else if (r.why.line > 0)
			api_join_error(j->socket, "bad_answer", NULL, "line %zu: %s", r.why.line,
				       r.why.text);
		else
			api_join_error(j->socket, "bad_answer", NULL, "%s", r.why.text);
	} else {
		j->phase = JOIN_APPLYING;
		read_refusals(j, &r);
	}
	sl_arena_fini(&r.arena);
	if (!err)
		apply_next(j);
}

/* ================= the next thing ================= */

void api_join_step(struct api_join *j)
{
	remove_gone(j);
	if (j->waiting || j->phase == JOIN_OPENING)
		return;
	if (j->phase == JOIN_APPLYING) {
		apply_next(j);
		return;
	}
	if (!j->socket)
		return;
	if (j->want_slots) {
		j->want_slots = false;
		api_join_say_slots(j);
	}
	if (j->phase != JOIN_READY)
		return;
	if (j->want_restart)
		restart(j);
	else if (j->want_offer || wants_slots(j))
		make_offer(j);
}
