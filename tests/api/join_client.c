/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/join_client.h"
#include "api/join.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct peer peers[PEERS_MAX];
static struct sl_arena arena; /* of the answer being made */

void peers_init(void)
{
	memset(peers, 0, sizeof(peers));
}

static void forget(struct peer *p)
{
	api_json_free(p->m);
	free(p->sdp);
	*p = (struct peer){0};
}

void peers_fini(void *unused)
{
	(void)unused;
	sl_arena_fini(&arena);
	for (size_t i = 0; i < PEERS_MAX; i++)
		forget(&peers[i]);
}

struct peer *enter_at(size_t i, const char *path)
{
	CHECK(i < PEERS_MAX);
	forget(&peers[i]);
	peers[i].ufrag = "peer";
	peers[i].w = ws_open(path, "");
	return &peers[i];
}

struct peer *enter(size_t i, const char *query)
{
	char path[512];

	CHECK(sl_fmt(path, sizeof(path), "/v1/rooms/studio/join?%s", query));
	return enter_at(i, path);
}

/* Long ones come in fragments. */
static const char *whole_message(struct peer *p)
{
	static char text[API_WS_MESSAGE_MAX + 1];
	struct ws_frame f = {0};
	size_t n = 0;

	while (!(f.first & WS_FIN)) {
		bool there = ws_next(&p->w, &f);

		if ((!there || (f.first & 15) > WS_TEXT) && sl_test_oom_fired())
			sl_test_oom_stop();
		if (!there || (f.first & 15) > WS_TEXT)
			sl_test_failed(__FILE__, __LINE__, "closed: %d %s", there ? f.code : 0,
				       there ? f.data : "");
		CHECK(n + f.len < sizeof(text));
		memcpy(text + n, f.data, f.len);
		n += f.len;
	}
	text[n] = 0;
	return text;
}

static void next_message(struct peer *p)
{
	struct api_json_why why;
	const char *text = whole_message(p);
	int err;

	api_json_free(p->m);
	p->m = NULL;
	err = api_json_parse(sl_str_z(text), NULL, &p->m, &why);
	if (err && err != SL_ENOMEM)
		sl_test_failed(__FILE__, __LINE__, "%s: %.200s", why.text, text);
	TRY(err);
}

const cJSON *member(const cJSON *obj, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(obj, key);

	return cJSON_IsNull(v) ? NULL : v;
}

const char *text_of(const cJSON *obj, const char *key)
{
	const cJSON *v = member(obj, key);

	return cJSON_IsString(v) ? v->valuestring : "";
}

const cJSON *heard(struct peer *p, const char *type)
{
	for (;;) {
		next_message(p);
		if (strcmp(text_of(p->m, "type"), type) == 0)
			return p->m;
		if (strcmp(text_of(p->m, "type"), "error") != 0)
			continue;
		if (sl_test_oom_fired())
			sl_test_oom_stop();
		sl_test_failed(__FILE__, __LINE__, "waiting for %s: error %s: %s", type,
			       text_of(p->m, "code"), text_of(p->m, "message"));
	}
}

void refused_with(struct peer *p, const char *code)
{
	do
		next_message(p);
	while (strcmp(text_of(p->m, "type"), "error") != 0);
	if (sl_test_oom_fired() && strcmp(text_of(p->m, "code"), "busy") == 0)
		sl_test_oom_stop();
	CHECK_STR(text_of(p->m, "code"), code);
	CHECK(text_of(p->m, "message")[0]);
}

void closed_with(struct peer *p, int code)
{
	int got = ws_close_code(&p->w);

	if (got != code && sl_test_oom_fired())
		sl_test_oom_stop();
	CHECK_EQ(got, code);
}

struct peer *join_as(size_t i, const char *name)
{
	char query[API_NAME_MAX + 32];
	struct peer *p;
	const cJSON *m;

	CHECK(sl_fmt(query, sizeof(query), "participant=%s", name));
	p = enter(i, query);
	m = heard(p, "welcome");
	CHECK_STR(text_of(m, "participant"), name);
	CHECK(sl_fmt(p->session, sizeof(p->session), "%s", text_of(m, "session")));
	CHECK(sl_fmt(p->token, sizeof(p->token), "%s", text_of(m, "resume")));
	CHECK(strlen(p->session) == API_ID_LEN && strlen(p->token) == API_ID_LEN);
	return p;
}

void say(struct peer *p, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	CHECK(n > 0 && (size_t)n < sizeof(text));
	ws_text(&p->w, text);
}

const cJSON *slot_of(const cJSON *slots, const char *participant)
{
	const cJSON *slot;

	cJSON_ArrayForEach(slot, member(slots, "slots")) if (strcmp(text_of(slot, "participant"),
								    participant) == 0) return slot;
	return NULL;
}

struct api_session *session_of(const struct peer *p)
{
	return api_session_by_id(rig.api, sl_str_z(p->session));
}

struct fake_transport *transport_of(const struct peer *p)
{
	struct api_session *s = session_of(p);
	struct fake_transport *t = s ? fake_core_by_tag(&rig.core, s->tag) : NULL;

	if (!t)
		STOP_AFTER_OOM();
	CHECK(t);
	return t;
}

void settle_all(void)
{
	for (int i = 0; i < 8; i++)
		rig_turn();
	RIG_UNTIL(!rig.api->dirty && rig.core.reply_count == 0 &&
		  sl_list_empty(&rig.api->joins_stirred));
	for (int i = 0; i < 8; i++)
		rig_turn();
}

/* ================= offers and answers ================= */

const cJSON *offered(struct peer *p)
{
	const cJSON *m = heard(p, "offer");
	int n = (int)member(m, "offer")->valuedouble;

	CHECK(n > p->offer);
	p->offer = n;
	free(p->sdp);
	p->sdp = strdup(text_of(m, "sdp"));
	return m;
}

static void say_answer(struct peer *p, const struct sl_sdp *answer)
{
	size_t cap = 8192 * (answer->media_count + 1);
	char *text = malloc(cap);
	struct sl_buf b = sl_buf(text, cap);
	struct api_json_out o;
	struct sl_str json;

	sl_sdp_write(answer, &b);
	CHECK(!b.full);
	api_json_out_init(&o, 1 << 20);
	api_json_open_object(&o, NULL);
	api_json_put_z(&o, "type", "answer");
	api_json_put_int(&o, "offer", p->offer);
	api_json_put_str(&o, "sdp", sl_str(b.p, b.n));
	api_json_close_object(&o);
	free(text);
	if (api_json_out_text(&o, &json) == SL_OK)
		ws_send(&p->w, WS_FIN | WS_TEXT, json.p, json.n);
	else
		CHECK(sl_test_oom_fired());
	api_json_out_fini(&o);
	STOP_AFTER_OOM();
}

/* What the other side's engine answers as a player, but that it sends where it is asked to. */
static int make_answer(struct peer *p, struct sl_sdp *answer)
{
	struct sl_sdp_bounds bounds = sl_sdp_answer_bounds(SL_SDP_OFFER_MEDIA_MAX);
	struct sl_sdp_cand cand = {.addr = sl_addr_v4(192, 0, 2, 77, 5000),
				   .foundation = SL_STR("1"),
				   .type = SL_STR("host"),
				   .component = 1,
				   .priority = 7};
	struct sl_sdp_ours ours = {.ufrag = sl_str_z(p->ufrag),
				   .pwd = SL_STR("password-of-the-peer-22+"),
				   .fingerprint = sl_str_z(sl_core_fingerprint(&rig.core)),
				   .dtls_active = true,
				   .cands = &cand,
				   .cand_count = 1,
				   .session_id = 5,
				   .session_version = 1};
	struct sl_sdp_why why = {0};
	struct sl_sdp offer;
	int err = sl_sdp_read_within(sl_str_z(p->sdp), &bounds, &arena, &offer, &why);

	for (int c = SL_CODEC_NONE + 1; c < SL_CODEC_COUNT; c++)
		ours.codecs[c] = c == SL_OPUS || c == SL_VP8 || c == SL_H264 || c == SL_RTX;
	if (!err)
		err = sl_sdp_answer(&offer, &ours, SL_SDP_PUBLISHER, NULL, &arena, answer, &why);
	if (err && err != SL_ENOMEM)
		sl_test_failed(__FILE__, __LINE__, "the offer cannot be answered: line %zu: %s",
			       why.line, why.text);
	for (size_t i = 0; !err && i < answer->media_count; i++)
		if (offer.media[i].dir == SL_SDP_RECVONLY)
			answer->media[i].dir = SL_SDP_SENDONLY;
	return err;
}

/* Is the last answer no longer on its way? */
static bool taken(const struct peer *p)
{
	const struct api_session *s = session_of(p);

	return !s || sl_test_oom_fired() || s->join->phase != JOIN_OFFERED ||
	       s->join->offer != (uint32_t)p->offer;
}

void answer_offer(struct peer *p, void (*spoil)(struct sl_sdp *answer))
{
	struct sl_sdp answer;

	sl_arena_fini(&arena);
	sl_arena_init(&arena, 16 << 20);
	TRY(make_answer(p, &answer));
	if (spoil)
		spoil(&answer);
	say_answer(p, &answer);
	sl_arena_fini(&arena);
	if (!spoil)
		RIG_UNTIL(taken(p));
	STOP_AFTER_OOM();
}

const cJSON *negotiated(struct peer *p)
{
	const cJSON *m = offered(p);
	const struct api_join *j = session_of(p)->join;

	answer_offer(p, NULL);
	RIG_UNTIL(j->offer > (uint32_t)p->offer || j->phase == JOIN_READY || sl_test_oom_fired());
	STOP_AFTER_OOM();
	return m;
}

void publish_av(struct peer *p, char tracks[2][API_ID_LEN + 1])
{
	const cJSON *list, *m;

	say(p, "{\"type\":\"publish\",\"request\":\"av\",\"tracks\":[{\"kind\":\"audio\","
	       "\"source\":\"microphone\"},{\"kind\":\"video\",\"source\":\"camera\"}]}");
	/* An offer of more slots may be under way. */
	do
		m = negotiated(p);
	while (cJSON_GetArraySize(member(m, "publish")) == 0);
	list = member(m, "publish");
	CHECK_EQ(cJSON_GetArraySize(list), 2);
	for (int i = 0; tracks && i < 2; i++)
		CHECK(sl_fmt(tracks[i], API_ID_LEN + 1, "%s",
			     text_of(cJSON_GetArrayItem(list, i), "track")));
}
