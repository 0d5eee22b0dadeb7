/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/join_client.h"
#include "api/join.h"
#include "api/jwt.h"
#include <time.h>

/* ================= coming in ================= */

TEST(who_joins_is_welcome_and_gets_an_offer_of_slots)
{
	const cJSON *m;
	struct peer *p;

	JOIN_RIG();
	p = enter(0, "participant=ann");
	m = heard(p, "welcome");
	CHECK_EQ(member(m, "version")->valuedouble, 1);
	CHECK_EQ(member(m, "grace_s")->valuedouble, 15);
	CHECK_STR(text_of(m, "participant"), "ann");
	CHECK(cJSON_IsFalse(member(m, "resumed")));
	CHECK_EQ(cJSON_GetArraySize(member(m, "rights")), 3);
	CHECK_STR(text_of(member(m, "room"), "name"), "studio");
	CHECK_EQ(cJSON_GetArraySize(member(member(m, "room"), "participants")), 0);
	m = offered(p);
	CHECK_EQ(p->offer, 1);
	CHECK_EQ(cJSON_GetArraySize(member(m, "publish")), 0);
	STOP_AFTER_OOM();
	CHECK(strstr(p->sdp, "a=setup:actpass\r\n") && strstr(p->sdp, "a=mid:3\r\n"));
	CHECK(!strstr(p->sdp, "a=mid:4\r\n") && !strstr(p->sdp, "a=recvonly"));
	CHECK(rig.core.t[0].conf.offering && rig.core.t[0].conf.track_count == 0);
}

TEST(an_answer_hands_over_the_peers_side_and_makes_the_tracks)
{
	struct fake_transport *t;
	struct fake_track *f;
	struct peer *p;

	JOIN_RIG();
	p = join_as(0, "ann");
	negotiated(p);
	t = transport_of(p);
	CHECK_EQ(t->remotes, 1);
	CHECK_STR(t->conf.ufrag, "peer");
	CHECK_EQ(t->conf.cand_count, 1);
	CHECK(t->conf.end_of_candidates && !t->conf.dtls_client);
	CHECK_EQ(fake_core_track_count(&rig.core), 4);
	f = fake_core_track(&rig.core, t, "1");
	CHECK(f && !f->conf.publish && f->conf.kind == SL_VIDEO && f->conf.ssrc &&
	      f->conf.rtx_ssrc);
	CHECK_EQ(f->conf.codecs[0].codec, SL_VP8);
	CHECK_EQ(f->conf.codecs[0].pt, 96);
	CHECK_EQ(f->conf.codecs[0].rtx_pt, 97);
	CHECK(f->conf.codecs[0].nack && f->conf.exts.id[SL_EXT_MID]);
}

TEST(who_publishes_is_seen_and_heard_by_the_others_but_not_by_itself)
{
	char tracks[2][API_ID_LEN + 1];
	struct peer *ann, *bob;
	const cJSON *m;

	JOIN_RIG();
	ann = join_as(0, "ann");
	negotiated(ann);
	bob = join_as(1, "bob");
	negotiated(bob);
	CHECK_STR(text_of(heard(ann, "participant"), "name"), "bob");
	publish_av(ann, tracks);
	m = heard(bob, "track");
	CHECK_STR(text_of(m, "event"), "added");
	CHECK_STR(text_of(m, "participant"), "ann");
	CHECK_STR(text_of(member(m, "track"), "id"), tracks[0]);
	CHECK_STR(text_of(member(m, "track"), "source"), "microphone");
	CHECK(cJSON_IsFalse(member(member(m, "track"), "muted")));
	for (m = heard(bob, "slots"); !slot_of(m, "ann");)
		m = heard(bob, "slots");
	m = slot_of(m, "ann");
	CHECK_STR(text_of(m, "audio"), "0");
	CHECK_STR(text_of(m, "video"), "1");
	CHECK_STR(text_of(member(m, "tracks"), "audio"), tracks[0]);
	CHECK_STR(text_of(member(m, "tracks"), "video"), tracks[1]);
	settle_all();
	CHECK_EQ(fake_core_route(&rig.core, fake_core_track(&rig.core, transport_of(bob), "1")->id),
		 fake_core_track(&rig.core, transport_of(ann), "5")->id);
	CHECK_EQ(fake_core_route(&rig.core, fake_core_track(&rig.core, transport_of(ann), "1")->id),
		 0);
	CHECK_STR(rig.core.tracks[rig.core.track_count - 1].conf.cname, "");
}

TEST(who_comes_later_is_told_of_who_is_there)
{
	char tracks[2][API_ID_LEN + 1];
	const cJSON *m, *ann;
	struct peer *p;

	JOIN_RIG();
	p = join_as(0, "ann");
	negotiated(p);
	publish_av(p, tracks);
	p = enter(1, "participant=bob");
	m = member(heard(p, "welcome"), "room");
	CHECK_EQ(cJSON_GetArraySize(member(m, "participants")), 1);
	ann = cJSON_GetArrayItem(member(m, "participants"), 0);
	CHECK_STR(text_of(ann, "name"), "ann");
	CHECK_EQ(cJSON_GetArraySize(member(ann, "tracks")), 2);
	CHECK_STR(text_of(cJSON_GetArrayItem(member(ann, "tracks"), 1), "kind"), "video");
}

TEST(who_leaves_is_gone_at_once)
{
	struct peer *ann, *bob;
	const cJSON *m;

	JOIN_RIG();
	ann = join_as(0, "ann");
	negotiated(ann);
	bob = join_as(1, "bob");
	negotiated(bob);
	publish_av(ann, NULL);
	while (!slot_of(heard(bob, "slots"), "ann"))
		continue;
	say(ann, "{\"type\":\"leave\"}");
	closed_with(ann, 1000);
	m = heard(bob, "participant");
	CHECK_STR(text_of(m, "event"), "left");
	CHECK_STR(text_of(m, "name"), "ann");
	CHECK(!slot_of(heard(bob, "slots"), "ann"));
	settle_all();
	CHECK(!session_of(ann));
	CHECK_EQ(fake_core_route(&rig.core, fake_core_track(&rig.core, transport_of(bob), "1")->id),
		 0);
	CHECK_EQ(fake_core_open_count(&rig.core), 1);
}

TEST(players_and_publishers_by_http_share_the_room)
{
	char where[64], etag[64];
	struct peer *p;
	const cJSON *m;

	JOIN_RIG();
	publish("/whip/studio?participant=cam", where, etag);
	p = enter(0, "participant=ann");
	m = member(member(heard(p, "welcome"), "room"), "participants");
	CHECK_STR(text_of(cJSON_GetArrayItem(m, 0), "name"), "cam");
	CHECK(sl_fmt(p->session, sizeof(p->session), "%s",
		     rig.core.t[1].open ? api_session_by_tag(rig.api, rig.core.t[1].conf.tag)->id
					: ""));
	negotiated(p);
	CHECK(slot_of(heard(p, "slots"), "cam"));
	publish_av(p, NULL);
	play("/whep/studio/ann", 1, 1, where, etag);
	settle_all();
	CHECK_EQ(fake_core_route(&rig.core, fake_core_last(&rig.core)->tracks[1]),
		 fake_core_track(&rig.core, transport_of(p), "5")->id);
	CHECK_EQ(ask("PATCH", "/sessions/none", FRAG_HEADERS, "")->status, 404);
}

/* ================= names and places ================= */

TEST(a_name_in_use_is_not_given_twice)
{
	struct peer *p;

	JOIN_RIG();
	p = join_as(0, "ann");
	negotiated(p);
	refused_with(enter(1, "participant=ann"), "name_taken");
	closed_with(&peers[1], 4409);
	session_of(p)->connected = true;
	refused_with(enter(1, "participant=ann"), "name_taken");
	closed_with(&peers[1], 4409);
	CHECK(ask("POST", "/whip/studio?participant=ann", SDP_HEADERS, offer("sendonly", 1, 1))
		      ->status == 409);
	CHECK(session_of(p));
}

TEST(a_name_whose_holder_has_gone_silent_is_free)
{
	struct peer *ann, *again;

	JOIN_RIG();
	ann = join_as(0, "ann");
	negotiated(ann);
	session_of(ann)->connected = true;
	transport_of(ann)->silent_us = API_SILENT_US;
	again = join_as(1, "ann");
	closed_with(ann, 4410);
	CHECK(!session_of(ann) && session_of(again));
}

TEST(a_rooms_settings_say_who_may_publish_how_many_and_by_which_codecs)
{
	static const char settings[] =
		"{\"capacity\":2,\"publishers\":[\"ann\"],\"codecs\":[\"opus\",\"VP8\"]}";
	struct peer *ann, *bob;
	const cJSON *m;

	JOIN_RIG();
	CHECK_EQ(ask("PUT", "/v1/rooms/studio", "Content-Type: application/json\r\n", settings)
			 ->status,
		 201);
	ann = join_as(0, "ann");
	negotiated(ann);
	CHECK(strstr(ann->sdp, "VP8") && !strstr(ann->sdp, "H264") && !strstr(ann->sdp, "PCMU"));
	publish_av(ann, NULL);
	bob = enter(1, "participant=bob");
	m = heard(bob, "welcome");
	CHECK_EQ(cJSON_GetArraySize(member(m, "rights")), 3);
	offered(bob);
	say(bob, "{\"type\":\"publish\",\"request\":\"no\",\"tracks\":[{\"kind\":\"audio\"}]}");
	refused_with(bob, "no_right");
	CHECK_STR(text_of(bob->m, "request"), "no");
	refused_with(enter(2, "participant=cyd"), "room_full");
	closed_with(&peers[2], 4429);
}

TEST(a_room_of_sound_alone_has_no_pictures)
{
	struct peer *p;

	JOIN_RIG();
	CHECK_EQ(ask("PUT", "/v1/rooms/studio", "Content-Type: application/json\r\n",
		     "{\"codecs\":[\"opus\"]}")
			 ->status,
		 201);
	p = join_as(0, "ann");
	offered(p);
	STOP_AFTER_OOM();
	CHECK(strstr(p->sdp, "m=video 0 "));
	answer_offer(p, NULL);
	settle_all();
	CHECK_EQ(fake_core_track_count(&rig.core), 2);
	say(p, "{\"type\":\"publish\",\"request\":\"cam\",\"tracks\":[{\"kind\":\"video\"}]}");
	offered(p);
	answer_offer(p, NULL);
	refused_with(p, "not_sent");
}

TEST(cameras_share_what_the_room_may_take)
{
	struct peer *ann, *bob;

	JOIN_RIG();
	CHECK_EQ(ask("PUT", "/v1/rooms/studio", "Content-Type: application/json\r\n",
		     "{\"max_video_bps\":1000000}")
			 ->status,
		 201);
	ann = join_as(0, "ann");
	negotiated(ann);
	publish_av(ann, NULL);
	settle_all();
	CHECK_EQ(session_of(ann)->tracks[5].cap_bps, 1000000);
	bob = join_as(1, "bob");
	negotiated(bob);
	publish_av(bob, NULL);
	settle_all();
	CHECK_EQ(session_of(ann)->tracks[5].cap_bps, 500000);
	CHECK_EQ(rig.core.caps[rig.core.cap_count - 1].bps, 500000);
}

TEST(a_camera_that_is_off_leaves_its_share_to_the_others)
{
	char ids[2][API_ID_LEN + 1];
	struct peer *p[3];

	JOIN_RIG();
	CHECK_EQ(ask("PUT", "/v1/rooms/studio", "Content-Type: application/json\r\n",
		     "{\"max_video_bps\":900000}")
			 ->status,
		 201);
	for (size_t i = 0; i < 3; i++) {
		char name[8];

		CHECK(sl_fmt(name, sizeof(name), "p%zu", i));
		p[i] = join_as(i, name);
		negotiated(p[i]);
		publish_av(p[i], i == 1 ? ids : NULL);
	}
	settle_all();
	CHECK_EQ(session_of(p[0])->tracks[5].cap_bps, 300000);
	say(p[1], "{\"type\":\"mute\",\"track\":\"%s\",\"muted\":true}", ids[1]);
	RIG_UNTIL(session_of(p[0])->tracks[5].cap_bps == 450000 || sl_test_oom_fired());
	STOP_AFTER_OOM();
	CHECK_EQ(session_of(p[2])->tracks[5].cap_bps, 450000);
	say(p[2], "{\"type\":\"leave\"}");
	closed_with(p[2], 1000);
	CHECK_EQ(session_of(p[0])->tracks[5].cap_bps, 900000);
	say(p[1], "{\"type\":\"mute\",\"track\":\"%s\",\"muted\":false}", ids[1]);
	RIG_UNTIL(session_of(p[0])->tracks[5].cap_bps == 450000 || sl_test_oom_fired());
	STOP_AFTER_OOM();
	CHECK_EQ(session_of(p[1])->tracks[5].cap_bps, 450000);
	say(p[1], "{\"type\":\"unpublish\",\"track\":\"%s\"}", ids[1]);
	RIG_UNTIL(session_of(p[0])->tracks[5].cap_bps == 900000 || sl_test_oom_fired());
}

TEST(who_speaks_is_told_to_all_and_to_who_comes_later)
{
	struct sl_core_event ev = {.type = SL_EV_LEVEL, .score = 100};
	struct peer *ann, *bob;
	const cJSON *room;

	JOIN_RIG();
	ann = join_as(0, "ann");
	negotiated(ann);
	publish_av(ann, NULL);
	bob = enter(1, "participant=bob");
	room = member(heard(bob, "welcome"), "room");
	CHECK(cJSON_IsNull(cJSON_GetObjectItem(room, "speaker")));
	ev.tag = session_of(ann)->tag;
	ev.track = fake_core_track(&rig.core, transport_of(ann), "4")->id;
	sl_api_event(rig.api, &ev);
	STOP_AFTER_OOM();
	CHECK_STR(text_of(heard(bob, "speaker"), "participant"), "ann");
	CHECK_STR(text_of(heard(ann, "speaker"), "participant"), "ann");
	room = member(heard(enter(2, "participant=cyd"), "welcome"), "room");
	CHECK_STR(text_of(room, "speaker"), "ann");
	/* Who has left does not speak. */
	say(ann, "{\"type\":\"leave\"}");
	closed_with(ann, 1000);
	CHECK_STR(text_of(heard(bob, "participant"), "event"), "joined");
	CHECK_STR(text_of(heard(bob, "participant"), "event"), "left");
	room = member(heard(enter(3, "participant=dan"), "welcome"), "room");
	CHECK(cJSON_IsNull(cJSON_GetObjectItem(room, "speaker")));
}

TEST(who_gives_no_name_is_given_one)
{
	JOIN_RIG();
	CHECK(strncmp(text_of(heard(enter(0, "x=y"), "welcome"), "participant"), "guest-", 6) == 0);
}

TEST(a_bad_name_is_refused_before_the_upgrade)
{
	JOIN_RIG();
	CHECK_EQ(ask("GET", "/v1/rooms/studio/join?participant=a%0ab", WS_HEADERS, "")->status,
		 400);
	CHECK_EQ(ask("GET", "/v1/rooms/studio/join", "", "")->status, 426);
	CHECK_EQ(rig.core.count, 0);
}

TEST(t41_a_page_of_elsewhere_does_not_join)
{
	JOIN_RIG();
	CHECK_EQ(ask("GET", "/v1/rooms/studio/join", WS_HEADERS "Origin: https://evil.example\r\n",
		     "")
			 ->status,
		 403);
	/* Who watches is asked for more than a WHIP publisher: a page of this machine is foreign.
	 */
	CHECK_EQ(ask("GET", "/v1/rooms/studio/join", WS_HEADERS "Origin: http://localhost:3000\r\n",
		     "")
			 ->status,
		 403);
	CHECK_EQ(ask("GET", "/v1/rooms/studio/join", WS_HEADERS "Origin: null\r\n", "")->status,
		 403);
	CHECK_EQ(ask("GET", "/v1/rooms/studio/join", WS_HEADERS "Host: evil.example\r\n", "")
			 ->status,
		 421);
	CHECK_EQ(rig.core.count, 0);
}

static const char *token(const char *room, const char *participant, uint32_t rights)
{
	static char text[API_JWT_MAX];
	struct api_jwt jwt = {.rights = rights};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	jwt.exp_wall_us = (now.tv_sec + 600) * SL_SEC;
	CHECK(sl_fmt(jwt.room, sizeof(jwt.room), "%s", room));
	CHECK(sl_fmt(jwt.participant, sizeof(jwt.participant), "%s", participant));
	if (api_jwt_make(sl_str_z(rig.conf.http.jwt_key), &jwt, now.tv_sec * SL_SEC, text,
			 sizeof(text)) < 0)
		STOP_AFTER_OOM();
	return text;
}

TEST(t43_a_join_token_says_where_who_and_what)
{
	char query[API_JWT_MAX + 64];
	const struct answer *a;
	const cJSON *m;
	struct peer *p;

	peers_init();
	DEFER(peers_fini, NULL);
	rig_init();
	CHECK(sl_fmt(rig.conf.http.jwt_key, sizeof(rig.conf.http.jwt_key),
		     "a key of at least sixteen"));
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	CHECK_EQ(ask("GET", "/v1/rooms/studio/join", WS_HEADERS, "")->status, 401);
	CHECK(sl_fmt(query, sizeof(query), "/v1/rooms/studio/join?access_token=%s",
		     token("elsewhere", "ann", API_JWT_PUBLISH)));
	a = ask("GET", query, WS_HEADERS, "");
	STOP_AFTER_OOM();
	CHECK_EQ(a->status, 403);
	CHECK(sl_fmt(query, sizeof(query), "access_token=%s",
		     token("studio", "ann", API_JWT_SUBSCRIBE)));
	p = enter(0, query);
	m = heard(p, "welcome");
	CHECK_STR(text_of(m, "participant"), "ann");
	CHECK_EQ(cJSON_GetArraySize(member(m, "rights")), 1);
	CHECK_STR(cJSON_GetArrayItem(member(m, "rights"), 0)->valuestring, "subscribe");
	offered(p);
	say(p, "{\"type\":\"publish\",\"tracks\":[{\"kind\":\"audio\"}]}");
	refused_with(p, "no_right");
	CHECK(sl_fmt(query, sizeof(query), "access_token=%s",
		     token("studio", "bob", API_JWT_PUBLISH)));
	p = enter(1, query);
	m = heard(p, "welcome");
	CHECK_STR(text_of(cJSON_GetArrayItem(member(member(m, "room"), "participants"), 0), "name"),
		  "ann");
	CHECK(sl_fmt(p->session, sizeof(p->session), "%s", text_of(m, "session")));
	offered(p);
	CHECK(strstr(p->sdp, "a=mid:0\r\n") && strstr(p->sdp, "a=inactive\r\n") &&
	      !strstr(p->sdp, "a=mid:1\r\n"));
	answer_offer(p, NULL);
	say(p, "{\"type\":\"publish\",\"tracks\":[{\"kind\":\"audio\"}]}");
	negotiated(p);
	CHECK(fake_core_track(&rig.core, transport_of(p), "0")->conf.publish);
	CHECK_EQ(session_of(p)->join->slots, 0);
}

TEST(a_full_room_and_a_missing_one_are_told_apart)
{
	peers_init();
	DEFER(peers_fini, NULL);
	rig_init();
	rig.conf.rooms.max_participants = 1;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	join_as(0, "ann");
	refused_with(enter(1, "participant=bob"), "room_full");
	closed_with(&peers[1], 4429);
	say(&peers[0], "{\"type\":\"leave\"}");
	closed_with(&peers[0], 1000);
	rig.conf.rooms.auto_create = false;
	join_as(0, "bob");
	refused_with(enter_at(1, "/v1/rooms/elsewhere/join?participant=cyd"), "no_room");
	closed_with(&peers[1], 4404);
}

TEST(a_server_that_drains_or_is_at_its_limit_says_busy)
{
	JOIN_RIG();
	rig.core.refuse = SL_EBUSY;
	refused_with(enter(0, "participant=ann"), "busy");
	closed_with(&peers[0], 1013);
	rig.core.refuse = 0;
	rig.core.fail = SL_EFULL;
	refused_with(enter(0, "participant=ann"), "busy");
	closed_with(&peers[0], 1013);
	rig.core.fail = 0;
	sl_api_drain(rig.api);
	refused_with(enter(0, "participant=ann"), "busy");
	closed_with(&peers[0], 1013);
	settle_all();
	CHECK_EQ(sl_api_sessions(rig.api), 0);
}

/* ================= messages that will not do ================= */

TEST(bad_messages_are_named_and_harm_nobody)
{
	static const struct {
		const char *text, *code;
	} rows[] = {
		{"", "bad_message"},
		{"no json", "bad_message"},
		{"[]", "bad_message"},
		{"{}", "bad_message"},
		{"{\"type\":5}", "bad_message"},
		{"{\"type\":\"leave\",\"type\":\"leave\"}", "bad_message"},
		{"[[[[[[[[[[[[]]]]]]]]]]]]", "bad_message"},
		{"{\"type\":\"dance\"}", "unknown_type"},
		{"{\"type\":\"leave\",\"x\":1}", "bad_message"},
		{"{\"type\":\"publish\"}", "bad_message"},
		{"{\"type\":\"publish\",\"tracks\":[]}", "bad_message"},
		{"{\"type\":\"publish\",\"tracks\":[{\"kind\":\"smell\"}]}", "bad_message"},
		{"{\"type\":\"publish\",\"tracks\":[{\"kind\":\"audio\",\"source\":\"moon\"}]}",
		 "bad_message"},
		{"{\"type\":\"answer\",\"offer\":1}", "bad_message"},
		{"{\"type\":\"answer\",\"offer\":7,\"sdp\":\"v=0\"}", "no_offer"},
		{"{\"type\":\"answer\",\"offer\":1,\"sdp\":\"nonsense\"}", "bad_answer"},
		{"{\"type\":\"unpublish\",\"track\":\"none\"}", "unknown_track"},
		{"{\"type\":\"mute\",\"track\":\"none\",\"muted\":true}", "unknown_track"},
		{"{\"type\":\"mute\",\"track\":\"none\",\"muted\":1}", "bad_message"},
		{"{\"type\":\"pause\",\"mid\":\"77\",\"paused\":true}", "unknown_track"},
		{"{\"type\":\"pause\",\"mid\":\"0\",\"paused\":true}", "unknown_track"},
		{"{\"type\":\"candidate\",\"sdpfrag\":\"a=ice-pwd:short\"}", "bad_message"},
	};
	struct peer *p;

	JOIN_RIG();
	p = join_as(0, "ann");
	offered(p);
	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		if (!rows[i].text[0])
			continue;
		say(p, "%s", rows[i].text);
		refused_with(p, rows[i].code);
	}
	answer_offer(p, NULL);
	settle_all();
	CHECK_EQ(fake_core_track_count(&rig.core), 4);
}

static void one_line_less(struct sl_sdp *a)
{
	a->media_count--;
}
static void another_mid(struct sl_sdp *a)
{
	a->media[0].mid = SL_STR("x");
}
static void both_ways(struct sl_sdp *a)
{
	a->media[0].dir = SL_SDP_SENDRECV;
}
static void actpass(struct sl_sdp *a)
{
	for (size_t i = 0; i < a->media_count; i++)
		a->media[i].setup = SL_SDP_ACTPASS;
}
static void all_rejected(struct sl_sdp *a)
{
	for (size_t i = 0; i < a->media_count; i++)
		a->media[i].rejected = true;
	a->bundle_count = 0;
}
static void another_pt(struct sl_sdp *a)
{
	a->media[1].codecs[0].pt = 77;
}

TEST(an_answer_that_does_not_fit_is_refused_and_may_be_given_again)
{
	static void (*const spoilers[])(struct sl_sdp *) = {
		one_line_less, another_mid, both_ways, actpass, all_rejected, another_pt};
	struct peer *p;

	JOIN_RIG();
	p = join_as(0, "ann");
	offered(p);
	for (size_t i = 0; i < SL_COUNT(spoilers); i++) {
		answer_offer(p, spoilers[i]);
		refused_with(p, "bad_answer");
		CHECK_EQ(rig.core.track_count, 0);
	}
	answer_offer(p, NULL);
	settle_all();
	CHECK_EQ(fake_core_track_count(&rig.core), 4);
	CHECK_EQ(rig.core.t[0].remotes, 1);
	answer_offer(p, NULL);
	refused_with(p, "no_offer");
}

static void as_it_is(struct sl_sdp *a)
{
	(void)a;
}

TEST(a_fingerprint_that_core_will_not_have_is_a_bad_answer)
{
	struct peer *p;

	JOIN_RIG();
	p = join_as(0, "ann");
	offered(p);
	settle_all();
	rig.core.fail = SL_EPARSE;
	answer_offer(p, as_it_is);
	refused_with(p, "bad_answer");
	rig.core.fail = 0;
	answer_offer(p, NULL);
	settle_all();
	CHECK_EQ(fake_core_track_count(&rig.core), 4);
}

TEST(a_session_of_another_peer_connection_cannot_go_on)
{
	struct peer *p;

	JOIN_RIG();
	p = join_as(0, "ann");
	negotiated(p);
	say(p, "{\"type\":\"publish\",\"tracks\":[{\"kind\":\"audio\"}]}");
	offered(p);
	p->ufrag = "other";
	answer_offer(p, as_it_is);
	refused_with(p, "bad_answer");
	p->ufrag = "peer";
	answer_offer(p, NULL);
	settle_all();
	CHECK_EQ(fake_core_track_count(&rig.core), 5);
}

TEST(t27_a_flood_of_messages_ends_that_socket_only)
{
	struct peer *ann, *bob;

	JOIN_RIG();
	ann = join_as(0, "ann");
	negotiated(ann);
	bob = join_as(1, "bob");
	negotiated(bob);
	for (int i = 0; i < 120; i++)
		say(ann, "{\"type\":\"restart\"}");
	closed_with(ann, 1008);
	publish_av(bob, NULL);
	CHECK(session_of(ann) && session_of(bob));
}

/* ================= publishing ================= */

TEST(offers_go_out_one_at_a_time_and_collect_what_is_asked_for_meanwhile)
{
	const cJSON *m, *list;
	struct peer *p;

	JOIN_RIG();
	p = join_as(0, "ann");
	offered(p);
	say(p, "{\"type\":\"publish\",\"request\":\"p1\",\"tracks\":[{\"kind\":\"audio\","
	       "\"source\":\"microphone\"}]}");
	say(p, "{\"type\":\"publish\",\"request\":\"p2\",\"tracks\":[{\"kind\":\"video\","
	       "\"source\":\"screen\"}]}");
	settle_all();
	STOP_AFTER_OOM();
	CHECK(!ws_ready(&p->w));
	answer_offer(p, NULL);
	m = offered(p);
	CHECK_EQ(p->offer, 2);
	list = member(m, "publish");
	CHECK_EQ(cJSON_GetArraySize(list), 2);
	CHECK_STR(text_of(cJSON_GetArrayItem(list, 0), "request"), "p1");
	CHECK_STR(text_of(cJSON_GetArrayItem(list, 0), "mid"), "4");
	CHECK_STR(text_of(cJSON_GetArrayItem(list, 1), "request"), "p2");
	CHECK_STR(text_of(cJSON_GetArrayItem(list, 1), "source"), "screen");
	CHECK_STR(text_of(cJSON_GetArrayItem(list, 1), "kind"), "video");
	answer_offer(p, NULL);
	settle_all();
	CHECK_EQ(fake_core_track_count(&rig.core), 6);
	CHECK_EQ(rig.core.t[0].remotes, 1);
	CHECK(!ws_ready(&p->w) || strcmp(text_of(heard(p, "slots"), "type"), "slots") == 0);
}

TEST(an_unpublished_line_is_taken_again_by_its_kind_as_another_track)
{
	char first[2][API_ID_LEN + 1], second[2][API_ID_LEN + 1];
	struct peer *ann, *bob;
	const cJSON *m;

	JOIN_RIG();
	ann = join_as(0, "ann");
	negotiated(ann);
	bob = join_as(1, "bob");
	negotiated(bob);
	publish_av(ann, first);
	say(ann, "{\"type\":\"unpublish\",\"track\":\"%s\"}", first[0]);
	say(ann, "{\"type\":\"unpublish\",\"track\":\"%s\"}", first[1]);
	for (int i = 0; i < 2; i++) {
		do
			m = heard(bob, "track");
		while (strcmp(text_of(m, "event"), "removed") != 0);
		CHECK_STR(text_of(member(m, "track"), "id"), first[i]);
	}
	settle_all();
	CHECK(!fake_core_track(&rig.core, transport_of(ann), "4"));
	CHECK_EQ(session_of(ann)->join->offer, 2);
	publish_av(ann, second);
	CHECK(strcmp(first[0], second[0]) != 0);
	CHECK_EQ(session_of(ann)->join->line_count, 6);
	CHECK(fake_core_track(&rig.core, transport_of(ann), "4") &&
	      fake_core_track(&rig.core, transport_of(ann), "5"));
	settle_all();
	CHECK_EQ(fake_core_route(&rig.core, fake_core_track(&rig.core, transport_of(bob), "1")->id),
		 fake_core_track(&rig.core, transport_of(ann), "5")->id);
}

TEST(what_is_unpublished_before_its_answer_never_becomes_a_track)
{
	const cJSON *m;
	struct peer *p;

	JOIN_RIG();
	p = join_as(0, "ann");
	negotiated(p);
	say(p, "{\"type\":\"publish\",\"tracks\":[{\"kind\":\"audio\"}]}");
	m = offered(p);
	say(p, "{\"type\":\"unpublish\",\"track\":\"%s\"}",
	    text_of(cJSON_GetArrayItem(member(m, "publish"), 0), "track"));
	answer_offer(p, NULL);
	settle_all();
	CHECK_EQ(fake_core_track_count(&rig.core), 4);
	rig.core.hold = true;
	say(p, "{\"type\":\"publish\",\"tracks\":[{\"kind\":\"audio\"}]}");
	m = offered(p);
	answer_offer(p, NULL);
	RIG_UNTIL(fake_core_track_count(&rig.core) == 5);
	say(p, "{\"type\":\"unpublish\",\"track\":\"%s\"}", session_of(p)->tracks[4].public_id);
	RIG_UNTIL(!session_of(p)->join->lines[4].used);
	rig.core.hold = false;
	fake_core_release(&rig.core);
	settle_all();
	CHECK_EQ(fake_core_track_count(&rig.core), 4);
}

static void not_sending(struct sl_sdp *a)
{
	a->media[4].dir = SL_SDP_INACTIVE;
}

TEST(an_answer_that_does_not_send_ends_the_request)
{
	struct peer *p;

	JOIN_RIG();
	p = join_as(0, "ann");
	negotiated(p);
	say(p, "{\"type\":\"publish\",\"request\":\"p9\",\"tracks\":[{\"kind\":\"audio\"}]}");
	offered(p);
	answer_offer(p, not_sending);
	refused_with(p, "not_sent");
	CHECK_STR(text_of(p->m, "request"), "p9");
	publish_av(p, NULL);
	CHECK_EQ(session_of(p)->join->line_count, 6);
}

TEST(nobody_publishes_without_end)
{
	struct peer *p;

	JOIN_RIG();
	p = join_as(0, "ann");
	negotiated(p);
	for (int i = 0; i < JOIN_PUBLISH_MAX / 4; i++) {
		say(p,
		    "{\"type\":\"publish\",\"tracks\":[{\"kind\":\"audio\"},{\"kind\":\"video\"},"
		    "{\"kind\":\"audio\"},{\"kind\":\"video\"}]}");
		negotiated(p);
	}
	say(p, "{\"type\":\"publish\",\"request\":\"much\",\"tracks\":[{\"kind\":\"audio\"}]}");
	refused_with(p, "too_many_tracks");
	CHECK_STR(text_of(p->m, "request"), "much");
	settle_all();
	CHECK_EQ(fake_core_track_count(&rig.core), 4 + JOIN_PUBLISH_MAX);
}

TEST(a_screen_and_its_sound_stand_beside_camera_and_microphone)
{
	struct peer *ann, *bob;
	const cJSON *m, *slot, *screen = NULL;
	int n = 0;

	JOIN_RIG();
	ann = join_as(0, "ann");
	negotiated(ann);
	bob = join_as(1, "bob");
	negotiated(bob);
	publish_av(ann, NULL);
	say(ann, "{\"type\":\"publish\",\"tracks\":[{\"kind\":\"video\",\"source\":\"screen\"},"
		 "{\"kind\":\"audio\",\"source\":\"screen\"}]}");
	negotiated(ann);
	settle_all();
	do {
		m = heard(bob, "slots");
		n = 0;
		cJSON_ArrayForEach(
			slot,
			member(m, "slots")) if (strcmp(text_of(slot, "participant"), "ann") == 0 &&
						++n == 2) screen = slot;
	} while (n < 2);
	CHECK_STR(text_of(member(screen, "tracks"), "audio"), session_of(ann)->tracks[7].public_id);
	CHECK_STR(text_of(member(screen, "tracks"), "video"), session_of(ann)->tracks[6].public_id);
}

TEST(mute_is_for_everyone_and_pause_for_oneself)
{
	char tracks[2][API_ID_LEN + 1];
	struct peer *ann, *bob;
	const cJSON *m;

	JOIN_RIG();
	ann = join_as(0, "ann");
	negotiated(ann);
	bob = join_as(1, "bob");
	negotiated(bob);
	publish_av(ann, tracks);
	say(ann, "{\"type\":\"mute\",\"track\":\"%s\",\"muted\":true}", tracks[0]);
	do
		m = heard(bob, "track");
	while (strcmp(text_of(m, "event"), "changed") != 0);
	CHECK_STR(text_of(member(m, "track"), "id"), tracks[0]);
	CHECK(cJSON_IsTrue(member(member(m, "track"), "muted")));
	CHECK_EQ(rig.core.pause_count, 1);
	CHECK_EQ(rig.core.pauses[0].track, fake_core_track(&rig.core, transport_of(ann), "4")->id);
	CHECK(rig.core.pauses[0].paused);
	say(bob, "{\"type\":\"pause\",\"mid\":\"1\",\"paused\":true}");
	RIG_UNTIL(rig.core.pause_count == 2 || sl_test_oom_fired());
	STOP_AFTER_OOM();
	CHECK_EQ(rig.core.pauses[1].track, fake_core_track(&rig.core, transport_of(bob), "1")->id);
}

TEST(what_is_muted_before_it_is_there_comes_muted)
{
	const cJSON *m;
	struct peer *p;

	JOIN_RIG();
	p = join_as(0, "ann");
	negotiated(p);
	say(p, "{\"type\":\"publish\",\"tracks\":[{\"kind\":\"audio\"}]}");
	m = offered(p);
	say(p, "{\"type\":\"mute\",\"track\":\"%s\",\"muted\":true}",
	    text_of(cJSON_GetArrayItem(member(m, "publish"), 0), "track"));
	answer_offer(p, NULL);
	settle_all();
	CHECK_EQ(rig.core.pause_count, 1);
	CHECK(rig.core.pauses[0].paused && session_of(p)->tracks[4].muted);
}

TEST(candidates_go_to_core_unless_their_credentials_are_over)
{
	struct peer *p;

	JOIN_RIG();
	p = join_as(0, "ann");
	negotiated(p);
	say(p, "{\"type\":\"candidate\",\"sdpfrag\":\"a=ice-ufrag:peer\\r\\na=ice-pwd:password-of-"
	       "the-peer-22+\\r\\n"
	       "m=audio 9 UDP/TLS/RTP/SAVPF 0\\r\\na=mid:0\\r\\n"
	       "a=candidate:1 1 udp 99 192.0.2.9 4000 typ host\\r\\na=end-of-candidates\\r\\n\"}");
	RIG_UNTIL(transport_of(p)->cands == 1 || sl_test_oom_fired());
	STOP_AFTER_OOM();
	say(p, "{\"type\":\"candidate\",\"sdpfrag\":\"a=ice-ufrag:gone\\r\\na=ice-pwd:password-of-"
	       "the-peer-22+\\r\\n"
	       "m=audio 9 UDP/TLS/RTP/SAVPF 0\\r\\na=candidate:1 1 udp 99 192.0.2.9 4001 typ "
	       "host\\r\\n\"}");
	say(p, "{\"type\":\"pause\",\"mid\":\"0\",\"paused\":true}");
	RIG_UNTIL(rig.core.pause_count == 1 || sl_test_oom_fired());
	STOP_AFTER_OOM();
	CHECK_EQ(transport_of(p)->cands, 1);
}

/* ================= coming back ================= */

TEST(who_lost_its_socket_comes_back_as_the_same_participant)
{
	char tracks[2][API_ID_LEN + 1], query[128];
	struct peer *ann, *bob, *back;
	const cJSON *m;

	JOIN_RIG();
	ann = join_as(0, "ann");
	negotiated(ann);
	bob = join_as(1, "bob");
	negotiated(bob);
	publish_av(ann, tracks);
	publish_av(bob, NULL);
	settle_all();
	client_close(ann->w.c);
	RIG_UNTIL(!session_of(ann)->join->socket);
	/* Muted by an operator while nobody could tell. */
	CHECK(sl_fmt(query, sizeof(query), "/v1/tracks/%s", tracks[1]));
	CHECK_EQ(ask("PATCH", query, "Content-Type: application/json\r\n", "{\"muted\":true}")
			 ->status,
		 200);
	CHECK(sl_fmt(query, sizeof(query), "participant=ann&resume=%s", ann->token));
	back = enter(2, query);
	m = heard(back, "welcome");
	CHECK(cJSON_IsTrue(member(m, "resumed")));
	CHECK_STR(text_of(m, "session"), ann->session);
	CHECK_STR(text_of(m, "resume"), ann->token);
	m = cJSON_GetArrayItem(member(m, "tracks"), 0);
	CHECK_STR(text_of(m, "id"), tracks[0]);
	CHECK(cJSON_IsFalse(member(m, "muted")));
	CHECK_STR(text_of(m->next, "id"), tracks[1]);
	CHECK(cJSON_IsTrue(member(m->next, "muted")));
	memcpy(back->session, ann->session, sizeof(back->session));
	CHECK(slot_of(heard(back, "slots"), "bob"));
	offered(back);
	CHECK_EQ(back->offer, 3);
	CHECK(strstr(back->sdp, "a=ice-ufrag:ours1"));
	back->ufrag = "fresh";
	answer_offer(back, NULL);
	settle_all();
	CHECK_EQ(transport_of(back)->restarts, 1);
	CHECK_EQ(transport_of(back)->remotes, 2);
	CHECK_STR(transport_of(back)->conf.ufrag, "fresh");
	CHECK_EQ(fake_core_track_count(&rig.core), 12);
	CHECK(session_of(back)->tracks[4].id &&
	      strcmp(session_of(back)->tracks[4].public_id, tracks[0]) == 0);
}

TEST(a_second_socket_with_the_token_takes_over_from_the_first)
{
	char query[128];
	struct peer *ann;

	JOIN_RIG();
	ann = join_as(0, "ann");
	offered(ann);
	CHECK(sl_fmt(query, sizeof(query), "participant=ann&resume=%s", ann->token));
	CHECK(cJSON_IsTrue(member(heard(enter(1, query), "welcome"), "resumed")));
	closed_with(ann, 4410);
	memcpy(peers[1].session, ann->session, sizeof(ann->session));
	CHECK_EQ(offered(&peers[1]) != NULL && peers[1].offer == 2, 1);
	answer_offer(&peers[1], NULL);
	settle_all();
	CHECK_EQ(fake_core_track_count(&rig.core), 4);
}

TEST(a_page_that_was_reloaded_replaces_its_own_session)
{
	char query[128];
	struct peer *ann;

	JOIN_RIG();
	ann = join_as(0, "ann");
	negotiated(ann);
	CHECK(sl_fmt(query, sizeof(query), "participant=ann&replace=%s", ann->token));
	CHECK(cJSON_IsFalse(member(heard(enter(1, query), "welcome"), "resumed")));
	closed_with(ann, 4410);
	settle_all();
	CHECK(!session_of(ann));
	CHECK_EQ(sl_api_sessions(rig.api), 1);
}

TEST(t50_a_guessed_token_resumes_nobody)
{
	struct peer *ann;

	JOIN_RIG();
	ann = join_as(0, "ann");
	negotiated(ann);
	refused_with(enter(1, "participant=ann&resume=AAAAAAAAAAAAAAAAAAAAAA"), "name_taken");
	refused_with(enter(2, "participant=ann&resume="), "name_taken");
	refused_with(enter(3, "participant=ann&replace=AAAAAAAAAAAAAAAAAAAAAA"), "name_taken");
	CHECK(session_of(ann) && session_of(ann)->join->socket);
}

TEST(who_does_not_come_back_in_time_is_gone)
{
	struct peer *ann, *bob;

	peers_init();
	DEFER(peers_fini, NULL);
	rig_init();
	rig.conf.ice.timeout_us = 50 * SL_MS;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	ann = join_as(0, "ann");
	negotiated(ann);
	bob = join_as(1, "bob");
	client_close(ann->w.c);
	CHECK_STR(text_of(heard(bob, "participant"), "event"), "left");
	RIG_UNTIL(sl_api_sessions(rig.api) == 1);
	CHECK(sl_list_empty(&rig.api->joins_lost));
}

TEST(a_session_whose_transport_ends_ends_its_socket_and_may_be_had_anew)
{
	struct sl_core_event ev = {.type = SL_EV_CLOSED, .cause = SL_CLOSE_TIMEOUT};
	struct peer *ann;

	JOIN_RIG();
	ann = join_as(0, "ann");
	negotiated(ann);
	ev.tag = session_of(ann)->tag;
	transport_of(ann)->open = false;
	sl_api_event(rig.api, &ev);
	closed_with(ann, 1013);
	CHECK_EQ(sl_api_sessions(rig.api), 0);
}

TEST(a_socket_that_is_lost_before_welcome_leaves_nothing)
{
	struct peer *p;

	JOIN_RIG();
	rig.core.hold = true;
	p = enter(0, "participant=ann");
	RIG_UNTIL(rig.core.count == 1 || sl_test_oom_fired());
	say(p, "{\"type\":\"leave\"}");
	refused_with(p, "bad_message");
	client_close(p->w.c);
	for (int i = 0; i < 64; i++)
		rig_turn();
	rig.core.hold = false;
	fake_core_release(&rig.core);
	RIG_UNTIL(sl_api_sessions(rig.api) == 0);
	settle_all();
	CHECK_EQ(fake_core_open_count(&rig.core), 0);
}

TEST(restart_makes_an_offer_with_new_credentials_after_the_one_that_is_out)
{
	struct peer *p;

	JOIN_RIG();
	p = join_as(0, "ann");
	offered(p);
	say(p, "{\"type\":\"restart\"}");
	answer_offer(p, NULL);
	offered(p);
	CHECK(strstr(p->sdp, "a=ice-ufrag:ours1"));
	p->ufrag = "fresh";
	answer_offer(p, NULL);
	settle_all();
	CHECK_EQ(transport_of(p)->remotes, 2);
	CHECK_EQ(transport_of(p)->restarts, 1);
}

TEST(what_core_would_not_take_is_tried_again)
{
	struct peer *ann, *bob;

	JOIN_RIG();
	ann = join_as(0, "ann");
	negotiated(ann);
	bob = join_as(1, "bob");
	offered(bob);
	settle_all();
	rig.core.refuse = SL_EBUSY;
	answer_offer(bob, NULL);
	RIG_UNTIL(session_of(bob)->join->phase == JOIN_APPLYING);
	for (int i = 0; i < 100; i++)
		rig_turn();
	CHECK_EQ(transport_of(bob)->remotes, 0);
	rig.core.refuse = 0;
	settle_all();
	CHECK_EQ(transport_of(bob)->remotes, 1);
	CHECK_EQ(fake_core_track_count(&rig.core), 8);
	rig.core.refuse = SL_EBUSY;
	say(ann, "{\"type\":\"restart\"}");
	for (int i = 0; i < 100; i++)
		rig_turn();
	rig.core.refuse = 0;
	offered(ann);
}

/* ================= others do not notice ================= */

/* Nothing has been told to it since it was last asked. */
static void has_heard_nothing(struct peer *p)
{
	say(p, "{\"type\":\"dance\"}");
	CHECK(strstr(ws_message(&p->w), "unknown_type") || sl_test_oom_fired());
	STOP_AFTER_OOM();
}

/* One who may not publish, so that nobody is told of what is asked for. */
static struct peer *bob_beside_ann(void)
{
	struct peer *ann = join_as(0, "ann"), *bob;

	negotiated(ann);
	settle_all();
	bob = join_as(1, "bob");
	negotiated(bob);
	CHECK_STR(text_of(heard(ann, "participant"), "name"), "bob");
	settle_all();
	return bob;
}

TEST(t27_what_one_does_wrong_nobody_else_notices)
{
	static const struct {
		const char *text, *code;
	} rows[] = {
		{"nonsense", "bad_message"},
		{"{\"type\":\"answer\",\"offer\":1,\"sdp\":\"v=0\"}", "no_offer"},
		{"{\"type\":\"answer\",\"offer\":99,\"sdp\":\"v=0\"}", "no_offer"},
		{"{\"type\":\"publish\",\"tracks\":[{\"kind\":\"audio\"}]}", "no_right"},
		{"{\"type\":\"unpublish\",\"track\":\"AAAAAAAAAAAAAAAAAAAAAA\"}", "unknown_track"},
	};
	struct peer *ann = &peers[0], *bob;

	JOIN_RIG();
	CHECK_EQ(ask("PUT", "/v1/rooms/studio", "Content-Type: application/json\r\n",
		     "{\"publishers\":[\"ann\"]}")
			 ->status,
		 201);
	bob = bob_beside_ann();
	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		say(bob, "%s", rows[i].text);
		refused_with(bob, rows[i].code);
		has_heard_nothing(ann);
	}
	refused_with(enter(2, "participant=bob"), "name_taken");
	closed_with(&peers[2], 4409);
	has_heard_nothing(ann);
	has_heard_nothing(bob);
	CHECK_EQ(sl_api_sessions(rig.api), 2);
}

/* Ends its socket, but not its session: it may come back. */
static void cut_with(struct peer *bob, int code)
{
	char query[128];
	struct peer *back;

	closed_with(bob, code);
	has_heard_nothing(&peers[0]);
	CHECK(sl_fmt(query, sizeof(query), "participant=bob&resume=%s", bob->token));
	back = enter(2, query);
	CHECK(cJSON_IsTrue(member(heard(back, "welcome"), "resumed")));
	memcpy(back->session, bob->session, sizeof(back->session));
	offered(back);
	back->ufrag = "fresh";
	answer_offer(back, NULL);
	settle_all();
	has_heard_nothing(&peers[0]);
	CHECK_EQ(fake_core_track_count(&rig.core), 8);
}

TEST(t27_a_message_of_over_64_fragments_ends_that_socket_only)
{
	struct peer *bob;

	JOIN_RIG();
	bob = bob_beside_ann();
	ws_send(&bob->w, WS_TEXT, "{", 1);
	for (int i = 0; i < 64; i++)
		ws_send(&bob->w, WS_CONT, " ", 1);
	cut_with(bob, 1009);
}

TEST(t27_a_message_of_over_a_mebibyte_ends_that_socket_only)
{
	static char text[API_WS_MESSAGE_MAX + 1];
	struct peer *bob;

	JOIN_RIG();
	bob = bob_beside_ann();
	memset(text, ' ', sizeof(text));
	ws_send(&bob->w, WS_FIN | WS_TEXT, text, sizeof(text));
	cut_with(bob, 1009);
}

TEST(t27_more_than_50_messages_a_second_end_that_socket_only)
{
	struct peer *bob;

	JOIN_RIG();
	bob = bob_beside_ann();
	for (int i = 0; i < 200; i++)
		say(bob, "{\"type\":\"pause\",\"mid\":\"0\",\"paused\":false}");
	cut_with(bob, 1008);
}

TEST(t51_who_does_not_read_is_cut_and_the_others_go_on)
{
	struct peer *bob;

	JOIN_RIG();
	bob = bob_beside_ann();
	for (int i = 0; i <= API_WS_QUEUE_MAX; i++)
		api_join_error(session_of(bob)->join->socket, "busy", NULL, "one of many");
	STOP_AFTER_OOM();
	CHECK_EQ(api_ws_queued(session_of(bob)->join->socket->ws), 0);
	cut_with(bob, 1013);
}

TEST(t25_a_message_is_json_by_the_strict_rules)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"{\"type\":\"leave\",\"type\":\"leave\"}", "twice"},
		{"{\"type\":\"leave\",\"t\\u0079pe\":\"leave\"}", "twice"},
		{"{\"type\":\"le\\u0000ave\"}", "u0000"},
		{"{\"type\":\"leave\"} {}", ""},
		{"{\"type\":[[[[[[[[[]]]]]]]]]}", "deep"},
		{"{\"type\":\"leave\",\"x\":1e999}", ""},
		{"{\"Type\":\"leave\"}", "type"},
	};
	char many[2048] = "{\"type\":\"leave\",\"x\":[1";
	struct peer *p;

	JOIN_RIG();
	p = join_as(0, "ann");
	offered(p);
	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		say(p, "%s", rows[i].text);
		refused_with(p, "bad_message");
		STOP_AFTER_OOM();
		CHECK(strstr(text_of(p->m, "message"), rows[i].says));
	}
	for (int i = 0; i < 300; i++)
		strncat(many, ",1", sizeof(many) - strlen(many) - 1);
	strncat(many, "]}", sizeof(many) - strlen(many) - 1);
	say(p, "%s", many);
	refused_with(p, "bad_message");
	ws_send(&p->w, WS_FIN | WS_TEXT, "{\"type\":\"\xff\"}", 12);
	closed_with(p, 1007);
	CHECK(session_of(p));
}

/* 4 KiB and 150 lines for each m-line of the offer, but 64 KiB and 2,000 lines at least. */
TEST(t20_an_answer_has_bounds_by_its_m_lines)
{
	static char text[80 * 1024];
	struct sl_buf b;
	struct peer *p;

	JOIN_RIG();
	p = join_as(0, "ann");
	offered(p);
	for (int rest = 0; rest < 2; rest++) {
		b = sl_buf(text, sizeof(text));
		sl_buf_fmt(&b, "{\"type\":\"answer\",\"offer\":%d,\"sdp\":\"v=0\\r\\n", p->offer);
		for (int i = 0; !rest && i < 2001; i++)
			sl_buf_z(&b, "a=x\\r\\n");
		for (int i = 0; rest && i < 64; i++)
			sl_buf_fmt(&b, "a=x:%01024d\\r\\n", 0);
		sl_buf_z(&b, "\"}");
		CHECK(!b.full);
		ws_text(&p->w, text);
		refused_with(p, "bad_answer");
		STOP_AFTER_OOM();
		CHECK(strstr(text_of(p->m, "message"), rest ? "bytes" : "lines"));
	}
	answer_offer(p, NULL);
	settle_all();
	CHECK_EQ(fake_core_track_count(&rig.core), 4);
}

/* ================= many ================= */

TEST(fifty_join_at_once)
{
	enum { N = 50 };
	char query[32];
	const cJSON *m;

	peers_init();
	DEFER(peers_fini, NULL);
	rig_init();
	rig.conf.rooms.max_participants = N;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	for (size_t i = 0; i < N; i++) {
		CHECK(sl_fmt(query, sizeof(query), "participant=p%zu", i));
		enter(i, query);
	}
	for (size_t i = 0; i < N; i++) {
		m = heard(&peers[i], "welcome");
		CHECK(sl_fmt(peers[i].session, API_ID_LEN + 1, "%s", text_of(m, "session")));
	}
	for (size_t i = 0; i < N; i++)
		negotiated(&peers[i]);
	settle_all();
	CHECK_EQ(sl_api_sessions(rig.api), N);
	CHECK_EQ(sl_core_transports(&rig.core, 0), N / 2);
}

#define A_V "{\"kind\":\"audio\"},{\"kind\":\"video\"},"
TEST(an_offer_has_256_m_lines_and_no_more)
{
	struct peer *p;

	JOIN_RIG();
	rig.api->ws_ping_us = rig.api->ws_silence_us = 3600 * SL_SEC;
	p = join_as(0, "ann");
	negotiated(p);
	settle_all();
	/* As if two hundred published. */
	session_of(p)->wanted = 200;
	api_join_step(session_of(p)->join);
	STOP_AFTER_OOM();
	offered(p);
	CHECK_EQ(session_of(p)->join->slots, 124);
	answer_offer(p, NULL);
	RIG_UNTIL(session_of(p)->join->phase == JOIN_READY || sl_test_oom_fired());
	STOP_AFTER_OOM();
	CHECK_EQ(fake_core_track_count(&rig.core), 248);
	say(p, "{\"type\":\"publish\",\"tracks\":[" A_V A_V A_V
	       "{\"kind\":\"audio\"},{\"kind\":\"video\"}]}");
	offered(p);
	say(p, "{\"type\":\"publish\",\"tracks\":[{\"kind\":\"audio\"}]}");
	refused_with(p, "too_many_tracks");
	answer_offer(p, NULL);
	settle_all();
	CHECK_EQ(session_of(p)->join->line_count, 256);
	CHECK_EQ(fake_core_track_count(&rig.core), 256);
	CHECK(strstr(p->sdp, "a=mid:255\r\n"));
}

static void everybody_answers(size_t n)
{
	bool more = true;

	while (more) {
		settle_all();
		more = false;
		for (size_t i = 0; i < n; i++) {
			const struct api_join *j = session_of(&peers[i])->join;

			while (j->phase == JOIN_OFFERED && j->offer > (uint32_t)peers[i].offer) {
				more = true;
				negotiated(&peers[i]);
			}
			STOP_AFTER_OOM();
		}
	}
}

TEST(slots_grow_in_steps_and_keep_what_they_carry)
{
	static const size_t steps[] = {2, 2, 2, 4, 4, 8};
	uint32_t ssrc = 0;
	char name[8];

	JOIN_RIG();
	for (size_t i = 0; i < SL_COUNT(steps); i++) {
		CHECK(sl_fmt(name, sizeof(name), "p%zu", i));
		join_as(i, name);
		negotiated(&peers[i]);
		publish_av(&peers[i], NULL);
		everybody_answers(i + 1);
		CHECK_EQ(session_of(&peers[0])->join->slots, steps[i]);
		if (i == 0)
			ssrc = fake_core_track(&rig.core, transport_of(&peers[0]), "1")->conf.ssrc;
	}
	CHECK_EQ(fake_core_track(&rig.core, transport_of(&peers[0]), "1")->conf.ssrc, ssrc);
	CHECK_EQ(session_of(&peers[0])->wanted, 5);
	CHECK(strstr(peers[0].sdp, "a=mid:17\r\n"));
}

/* Everybody plays everybody else, once. */
static void check_all_see_all(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct api_session *s = session_of(&peers[i]);
		size_t seen = 0, heard_of = 0;

		for (size_t t = 0; t < s->track_count; t++) {
			seen += !s->tracks[t].publish && s->tracks[t].playing &&
				s->tracks[t].kind == SL_VIDEO;
			heard_of += !s->tracks[t].publish && s->tracks[t].playing &&
				    s->tracks[t].kind == SL_AUDIO;
		}
		CHECK_EQ(seen, n - 1);
		CHECK_EQ(heard_of, n - 1);
	}
}

TEST(seventy_people_meet_in_one_room)
{
	enum { N = 70 };
	char name[8];

	peers_init();
	DEFER(peers_fini, NULL);
	rig_init();
	rig.conf.rooms.max_participants = rig.conf.limits.max_sessions = N;
	rig.conf.http.max_per_address = N;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	/* Nobody reads all the time. */
	rig.api->ws_ping_us = rig.api->ws_silence_us = 3600 * SL_SEC;
	for (size_t i = 0; i < N; i++) {
		CHECK(sl_fmt(name, sizeof(name), "p%zu", i));
		join_as(i, name);
		STOP_AFTER_OOM();
	}
	for (size_t i = 0; i < N; i++) {
		negotiated(&peers[i]);
		publish_av(&peers[i], NULL);
	}
	everybody_answers(N);
	settle_all();
	check_all_see_all(N);
	CHECK_EQ(session_of(&peers[0])->join->slots, 80);
	for (size_t i = N / 2; i < N; i++) {
		say(&peers[i], "{\"type\":\"leave\"}");
		closed_with(&peers[i], 1000);
	}
	settle_all();
	check_all_see_all(N / 2);
	CHECK_EQ(sl_api_sessions(rig.api), N / 2);
}

TEST(more_people_than_m_lines_are_shown_as_far_as_they_go)
{
	peers_init();
	DEFER(peers_fini, NULL);
	rig_init();
	rig.conf.limits.sdp_mlines = 16;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	for (size_t i = 0; i < 6; i++) {
		char name[8];

		CHECK(sl_fmt(name, sizeof(name), "p%zu", i));
		join_as(i, name);
		negotiated(&peers[i]);
		publish_av(&peers[i], NULL);
		everybody_answers(i + 1);
	}
	CHECK_EQ(session_of(&peers[0])->join->slots, 4);
	CHECK_EQ(session_of(&peers[0])->wanted, 5);
	say(&peers[5], "{\"type\":\"leave\"}");
	closed_with(&peers[5], 1000);
	settle_all();
	check_all_see_all(5);
}
