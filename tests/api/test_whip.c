/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/rig.h"

static char where[64], tag[64], where2[64], tag2[64];

static const struct answer *patch(const char *location, const char *if_match, const char *body)
{
	char headers[256];

	(void)sl_fmt(headers, sizeof(headers), FRAG_HEADERS "%s%s%s", if_match ? "If-Match: " : "",
		     if_match ? if_match : "", if_match ? "\r\n" : "");
	return ask("PATCH", location, headers, body);
}

#define TRICKLE                                                                                    \
	"a=ice-ufrag:peer\r\na=ice-pwd:password-of-the-peer-22+\r\nm=audio 9 RTP/AVP "             \
	"0\r\na=mid:0\r\n"                                                                         \
	"a=candidate:2 1 udp 2130706431 192.0.2.78 5001 typ host\r\na=end-of-candidates\r\n"
#define RESTART                                                                                    \
	"a=ice-ufrag:anew\r\na=ice-pwd:another-password-of-the-peer\r\nm=audio 9 RTP/AVP "         \
	"0\r\na=mid:0\r\n"

TEST(an_offer_gets_an_answer_with_the_credentials_of_its_transport)
{
	const struct answer *a;
	const struct fake_transport *t;

	RIG();
	a = ask("POST", "/whip/studio?participant=ann", SDP_HEADERS, offer("sendonly", 1, 1));
	CHECK_EQ(a->status, 201);
	CHECK_STR(answer_header(a, "Content-Type"), "application/sdp");
	CHECK(strstr(a->body, "a=ice-ufrag:ours0"));
	CHECK(strstr(a->body, "a=ice-pwd:our-password-of-24-chars0"));
	CHECK(strstr(a->body, "a=recvonly"));
	CHECK(strstr(a->body, "192.0.2.1 10000 typ host"));
	CHECK(!strstr(a->body, "stand"));
	CHECK_EQ(strlen(answer_header(a, "Location")), strlen("/sessions/") + API_ID_LEN);
	CHECK(answer_header(a, "ETag")[0] == '"');
	CHECK_EQ(answer_headers(a, "Link"), 0);
	t = fake_core_last(&rig.core);
	CHECK_EQ(t->conf.track_count, 2);
	CHECK_STR(t->conf.ufrag, "peer");
	CHECK_EQ(t->conf.cand_count, 1);
	CHECK_EQ(t->conf.fingerprint_count, 1);
	CHECK(t->conf.dtls_client && t->conf.lite && !t->conf.controlling);
	CHECK(t->conf.tracks[0].publish && t->conf.tracks[0].kind == SL_AUDIO &&
	      t->conf.tracks[0].ssrc == 1000);
	CHECK(t->conf.tracks[1].kind == SL_VIDEO && t->conf.tracks[1].codecs[0].rtx_pt == 97 &&
	      t->conf.tracks[1].codecs[0].pli);
	CHECK_EQ(t->conf.tracks[1].max_bps, 2500000);
	CHECK_EQ(sl_api_sessions(rig.api), 1);
}

TEST(ice_servers_are_told_as_links)
{
	const struct answer *a;

	rig_init();
	rig.conf.ice.servers.n = 3;
	(void)sl_fmt(rig.conf.ice.servers.at[0], SL_CONFIG_TEXT_MAX, "stun:stun.example.org");
	(void)sl_fmt(rig.conf.ice.servers.at[1], SL_CONFIG_TEXT_MAX,
		     "turn:turn.example.org?transport=udp");
	(void)sl_fmt(rig.conf.ice.servers.at[2], SL_CONFIG_TEXT_MAX, "bad>\r\nX: y");
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	a = ask("POST", "/whip/studio", SDP_HEADERS, offer("sendonly", 1, 0));
	CHECK_EQ(a->status, 201);
	CHECK_EQ(answer_headers(a, "Link"), 2);
	CHECK_STR(answer_header(a, "Link"), "<stun:stun.example.org>; rel=\"ice-server\"");
	CHECK_EQ(answer_headers(a, "X"), 0);
}

TEST(t20_bad_offers_get_a_problem_that_says_what_is_wrong)
{
	static const struct {
		const char *headers, *body;
		int want;
	} t[] = {
		{SDP_HEADERS, "", 400},
		{SDP_HEADERS, "hello", 400},
		{SDP_HEADERS, "v=0\r\nm=?\r\n", 400},
		{SDP_HEADERS, "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", 422},
		{"Content-Type: text/plain\r\n", "v=0\r\n", 415},
		{"", "v=0\r\n", 415},
	};

	RIG();
	for (size_t i = 0; i < SL_COUNT(t); i++) {
		const struct answer *a = ask("POST", "/whip/studio", t[i].headers, t[i].body);

		CHECK_EQ(a->status, t[i].want);
		CHECK_STR(answer_header(a, "Content-Type"), "application/problem+json");
		CHECK(strstr(a->body, "\"detail\":\""));
		CHECK(strstr(a->body, "\"type\":\"about:blank\""));
	}
	CHECK_EQ(ask("POST", "/whip/studio", SDP_HEADERS, offer("recvonly", 1, 1))->status, 422);
	CHECK_EQ(ask("POST", "/whep/studio", SDP_HEADERS, offer("sendonly", 1, 1))->status, 422);
	CHECK_EQ(rig.core.commands, 0);
	CHECK_EQ(sl_api_sessions(rig.api), 0);
}

TEST(names_come_percent_encoded_and_are_checked)
{
	static const char *const bad[] = {"/whip/a%2Bb",
					  "/whip/%00",
					  "/whip/%0A",
					  "/whip/%FF",
					  "/whip/a?participant=",
					  "/whip/a?participant=%2F",
					  "/whip/a?participant=x&participant=y",
					  "/whip/a?participant=.."};

	RIG();
	for (size_t i = 0; i < SL_COUNT(bad); i++)
		CHECK_EQ(ask("POST", bad[i], SDP_HEADERS, offer("sendonly", 1, 0))->status, 400);
	CHECK_EQ(ask("POST", "/whip/a%2Fb", SDP_HEADERS, offer("sendonly", 1, 0))->status, 404);
	CHECK_EQ(ask("POST", "/whip/", SDP_HEADERS, offer("sendonly", 1, 0))->status, 400);
	CHECK_EQ(ask("POST", "/whip/Zo%C3%AB%20%252F?participant=%C3%A9t%C3%A9", SDP_HEADERS,
		     offer("sendonly", 1, 0))
			 ->status,
		 201);
	CHECK(api_room_find(rig.api, "Zo\xc3\xab %2F"));
	CHECK(api_room_publisher(api_room_find(rig.api, "Zo\xc3\xab %2F"), "\xc3\xa9t\xc3\xa9"));
}

TEST(trickled_candidates_need_the_etag)
{
	RIG();
	publish("/whip/studio", where, tag);
	CHECK_EQ(patch(where, NULL, TRICKLE)->status, 428);
	CHECK_EQ(patch(where, "\"stale\"", TRICKLE)->status, 412);
	CHECK_EQ(ask("PATCH", where, SDP_HEADERS, TRICKLE)->status, 415);
	CHECK_EQ(patch("/sessions/0123456789012345678901", tag, TRICKLE)->status, 404);
	CHECK_EQ(patch("/sessions/short", tag, TRICKLE)->status, 404);
	CHECK_EQ(fake_core_last(&rig.core)->cands, 0);
	CHECK_EQ(patch(where, tag, TRICKLE)->status, 204);
	CHECK_EQ(fake_core_last(&rig.core)->cands, 1);
	CHECK(fake_core_last(&rig.core)->end_of_candidates);
	CHECK_EQ(patch(where, "\"other\", \"more\"", TRICKLE)->status, 412);
}

TEST(a_fragment_without_anything_changes_nothing)
{
	RIG();
	publish("/whip/studio", where, tag);
	CHECK(patch(where, tag, "")->status / 100 != 5);
	CHECK_EQ(patch(where, tag, "a=candidate:x\r\nhello\r\n")->status, 400);
	CHECK_EQ(fake_core_last(&rig.core)->cands, 0);
	CHECK_EQ(sl_api_sessions(rig.api), 1);
}

TEST(one_of_several_etags_may_match)
{
	char list[160];

	RIG();
	publish("/whip/studio", where, tag);
	(void)sl_fmt(list, sizeof(list), "\"other\" , %s", tag);
	CHECK_EQ(patch(where, list, TRICKLE)->status, 204);
	(void)sl_fmt(list, sizeof(list), "W/%s", tag);
	CHECK_EQ(patch(where, list, TRICKLE)->status, 412);
}

TEST(new_credentials_restart_ice_and_change_the_etag)
{
	const struct answer *a;

	RIG();
	publish("/whip/studio", where, tag);
	a = patch(where, "*", RESTART);
	CHECK_EQ(a->status, 200);
	CHECK_STR(answer_header(a, "Content-Type"), "application/trickle-ice-sdpfrag");
	CHECK(strstr(a->body, "a=ice-ufrag:ours1"));
	CHECK(strstr(a->body, "typ host"));
	CHECK(sl_fmt(tag2, sizeof(tag2), "%s", answer_header(a, "ETag")));
	CHECK(strcmp(tag, tag2) != 0);
	CHECK_EQ(fake_core_last(&rig.core)->restarts, 1);
	CHECK_STR(fake_core_last(&rig.core)->conf.ufrag, "anew");
	CHECK_EQ(patch(where, tag, RESTART)->status, 412);
	CHECK_EQ(patch(where, tag2, RESTART)->status, 204);
}

TEST(a_restart_without_usable_credentials_is_422)
{
	RIG();
	publish("/whip/studio", where, tag);
	CHECK_EQ(patch(where, "*", "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n")->status, 422);
	CHECK_EQ(
		patch(where, "*", "a=ice-ufrag:anew\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n")->status,
		422);
	CHECK_EQ(fake_core_last(&rig.core)->restarts, 0);
	CHECK_EQ(sl_api_sessions(rig.api), 1);
}

TEST(a_second_restart_waits_for_the_first)
{
	struct client *c;

	RIG();
	publish("/whip/studio", where, tag);
	rig.core.hold = true;
	c = client_new();
	client_say(c,
		   "PATCH %s HTTP/1.1\r\nHost: localhost\r\nIf-Match: *\r\n" FRAG_HEADERS
		   "Content-Length: %zu\r\n\r\n" RESTART,
		   where, strlen(RESTART));
	RIG_UNTIL(rig.core.reply_count == 1 || sl_test_oom_fired());
	STOP_AFTER_OOM();
	CHECK_EQ(patch(where, "*", RESTART)->status, 409);
	rig.core.hold = false;
	fake_core_release(&rig.core);
	CHECK_EQ(client_answer(c)->status, 200);
}

TEST(delete_ends_a_session_once)
{
	RIG();
	publish("/whip/studio", where, tag);
	CHECK_EQ(ask("DELETE", where, "", "")->status, 200);
	CHECK_EQ(fake_core_open_count(&rig.core), 0);
	CHECK_EQ(sl_api_sessions(rig.api), 0);
	CHECK_EQ(ask("DELETE", where, "", "")->status, 404);
	CHECK_EQ(patch(where, tag, TRICKLE)->status, 404);
}

TEST(a_transport_is_closed_in_the_end_although_the_loop_was_busy)
{
	RIG();
	publish("/whip/studio", where, tag);
	rig.core.refuse = SL_EBUSY;
	CHECK_EQ(ask("DELETE", where, "", "")->status, 200);
	CHECK_EQ(fake_core_open_count(&rig.core), 1);
	CHECK_EQ(sl_api_sessions(rig.api), 1);
	rig.core.refuse = 0;
	RIG_UNTIL(sl_api_sessions(rig.api) == 0);
	CHECK_EQ(fake_core_open_count(&rig.core), 0);
}

TEST(a_client_that_leaves_before_its_answer_leaves_no_session)
{
	struct client *c;
	const char *sdp;

	RIG();
	rig.core.hold = true;
	c = client_new();
	sdp = offer("sendonly", 1, 1);
	client_say(c,
		   "POST /whip/studio HTTP/1.1\r\nHost: localhost\r\n" SDP_HEADERS
		   "Content-Length: %zu\r\n\r\n%s",
		   strlen(sdp), sdp);
	RIG_UNTIL(rig.core.reply_count == 1 || !client_poll(c));
	if (rig.core.reply_count == 0)
		(void)client_answer(c);
	CHECK_EQ(fake_core_open_count(&rig.core), 1);
	client_close(c);
	RIG_UNTIL(sl_list_empty(&rig.api->conns));
	rig.core.hold = false;
	fake_core_release(&rig.core);
	CHECK_EQ(fake_core_open_count(&rig.core), 0);
	CHECK_EQ(sl_api_sessions(rig.api), 0);
}

TEST(a_name_that_is_taken_is_409_until_its_holder_is_silent)
{
	RIG();
	publish("/whip/studio?participant=ann", where, tag);
	CHECK_EQ(ask("POST", "/whip/studio?participant=ann", SDP_HEADERS, offer("sendonly", 1, 0))
			 ->status,
		 409);
	rig.core.t[0].silent_us = 5999 * SL_MS;
	CHECK_EQ(ask("POST", "/whip/studio?participant=ann", SDP_HEADERS, offer("sendonly", 1, 0))
			 ->status,
		 409);
	rig.core.t[0].silent_us = 6 * SL_SEC;
	publish("/whip/studio?participant=ann", where2, tag2);
	CHECK(!rig.core.t[0].open && rig.core.t[1].open);
	CHECK_EQ(sl_api_sessions(rig.api), 1);
	CHECK_EQ(ask("DELETE", where, "", "")->status, 404);
	CHECK_EQ(
		ask("POST", "/whip/elsewhere?participant=ann", SDP_HEADERS, offer("sendonly", 1, 0))
			->status,
		201);
}

TEST(limits_are_503_with_retry_after)
{
	const struct answer *a;

	rig_init();
	rig.conf.rooms.max_participants = 1;
	rig.conf.rooms.max = 2;
	rig.conf.limits.max_sessions = 3;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	publish("/whip/one", where, tag);
	a = ask("POST", "/whip/one", SDP_HEADERS, offer("sendonly", 1, 0));
	CHECK_EQ(a->status, 503);
	CHECK(strstr(a->body, "rooms.max_participants"));
	CHECK(answer_header(a, "Retry-After")[0]);
	play("/whep/two", 1, 0, where2, tag2);
	CHECK(strstr(ask("POST", "/whip/three", SDP_HEADERS, offer("sendonly", 1, 0))->body,
		     "rooms.max is"));
	play("/whep/two", 1, 0, where2, tag2);
	CHECK(strstr(ask("POST", "/whep/one", SDP_HEADERS, offer("recvonly", 1, 0))->body,
		     "limits.max_sessions"));
	CHECK_EQ(ask("DELETE", where2, "", "")->status, 200);
	play("/whep/one", 1, 0, where2, tag2);
}

TEST(sessions_are_refused_while_no_loop_keeps_up)
{
	const struct answer *a;

	RIG();
	rig.core.busy[0] = rig.core.busy[1] = true;
	a = ask("POST", "/whip/studio", SDP_HEADERS, offer("sendonly", 1, 0));
	CHECK_EQ(a->status, 503);
	CHECK(strstr(a->body, "the media loops cannot keep up"));
	CHECK_EQ(rig.core.commands, 0);
	rig.core.shed[1] = 2;
	a = ask("GET", "/metrics", "", "");
	CHECK(strstr(a->body, "sluice_loop_busy{loop=\"1\"} 1\n"));
	CHECK(strstr(a->body, "sluice_video_withheld_ratio{loop=\"1\"} 0.250\n"));
	rig.core.busy[0] = rig.core.busy[1] = false;
	publish("/whip/studio", where, tag);
}

TEST(sessions_are_refused_while_handshakes_queue_or_the_server_drains)
{
	const struct answer *a;

	RIG();
	rig.core.wait_us = 501 * SL_MS;
	a = ask("POST", "/whip/studio", SDP_HEADERS, offer("sendonly", 1, 0));
	CHECK_EQ(a->status, 503);
	CHECK(answer_header(a, "Retry-After")[0]);
	CHECK_EQ(rig.core.commands, 0);
	rig.core.wait_us = 500 * SL_MS;
	publish("/whip/studio", where, tag);
	CHECK_EQ(ask("GET", "/readyz", "", "")->status, 200);
	sl_api_drain(rig.api);
	a = ask("POST", "/whip/studio", SDP_HEADERS, offer("sendonly", 1, 0));
	CHECK_EQ(a->status, 503);
	CHECK(answer_header(a, "Retry-After")[0]);
	CHECK_EQ(ask("GET", "/readyz", "", "")->status, 503);
	CHECK_EQ(ask("GET", "/healthz", "", "")->status, 200);
	CHECK_EQ(patch(where, tag, TRICKLE)->status, 204);
	CHECK_EQ(ask("DELETE", where, "", "")->status, 200);
}

TEST(what_core_refuses_fails_that_request_only)
{
	RIG();
	publish("/whip/studio", where, tag);
	rig.core.fail = SL_ENOMEM;
	CHECK_EQ(ask("POST", "/whip/studio", SDP_HEADERS, offer("sendonly", 1, 0))->status, 503);
	rig.core.fail = SL_EFULL;
	CHECK_EQ(ask("POST", "/whip/studio", SDP_HEADERS, offer("sendonly", 1, 0))->status, 503);
	rig.core.fail = 0;
	rig.core.refuse = SL_EBUSY;
	CHECK_EQ(ask("POST", "/whip/studio", SDP_HEADERS, offer("sendonly", 1, 0))->status, 503);
	CHECK_EQ(patch(where, tag, TRICKLE)->status, 503);
	CHECK_EQ(patch(where, "*", RESTART)->status, 503);
	rig.core.refuse = 0;
	CHECK_EQ(sl_api_sessions(rig.api), 1);
	CHECK_EQ(patch(where, tag, TRICKLE)->status, 204);
}

TEST(a_session_ends_when_its_transport_does)
{
	struct sl_core_event ev = {.type = SL_EV_CLOSED, .cause = SL_CLOSE_BY_PEER};

	RIG();
	publish("/whip/studio", where, tag);
	ev.tag = rig.core.t[0].conf.tag;
	ev.transport = rig.core.t[0].id;
	rig.core.t[0].open = false;
	sl_api_event(rig.api, &ev);
	CHECK_EQ(sl_api_sessions(rig.api), 0);
	CHECK_EQ(ask("DELETE", where, "", "")->status, 404);
	sl_api_event(rig.api, &ev);
	CHECK_EQ(rig.core.closes, 0);
}

TEST(other_methods_are_405_with_allow)
{
	static const struct {
		const char *method, *path, *allow;
	} t[] = {
		{"GET", "/whip/studio", "POST, OPTIONS"},
		{"HEAD", "/whip/studio", "POST, OPTIONS"},
		{"DELETE", "/whep/studio", "POST, OPTIONS"},
		{"GET", "/whep/studio/ann", "POST, OPTIONS"},
		{"GET", "/sessions/x", "PATCH, DELETE, OPTIONS"},
		{"HEAD", "/sessions/x", "PATCH, DELETE, OPTIONS"},
		{"DELETE", "/metrics", "GET, HEAD, OPTIONS"},
		{"DELETE", "/", "GET, HEAD, OPTIONS"},
	};
	const struct answer *a;

	RIG();
	for (size_t i = 0; i < SL_COUNT(t); i++) {
		a = ask(t[i].method, t[i].path, "", "");
		CHECK_EQ(a->status, 405);
		CHECK_STR(answer_header(a, "Allow"), t[i].allow);
	}
	a = ask("PUT", "/whip/studio", SDP_HEADERS, "v=0");
	CHECK_EQ(a->status, 405);
	CHECK_EQ(ask("POST", "/sessions/x", SDP_HEADERS, "v=0")->status, 405);
}
