/* SPDX-License-Identifier: Apache-2.0 */
#include "api/jwt.h"
#include "api/rest.h"
#include "core/base/mem.h"
#include "tests/api/join_client.h"
#include "tests/api/rig.h"
#include <stdlib.h>

#define JSON_TYPE "Content-Type: application/json\r\n"

static char where[64], where2[64], tag[64];

/* ================= JSON of answers ================= */

static cJSON *answer_tree, *spec;

static void drop_trees(void *unused)
{
	(void)unused;
	cJSON_Delete(answer_tree);
	cJSON_Delete(spec);
	answer_tree = spec = NULL;
}

/* Of the answer; valid until the next. */
static const cJSON *tree_of(const struct answer *a)
{
	cJSON_Delete(answer_tree);
	answer_tree = cJSON_ParseWithLength(a->body, a->body_len);
	STOP_AFTER_OOM();
	if (!answer_tree)
		sl_test_failed(__FILE__, __LINE__, "not JSON: %.200s", a->body);
	return answer_tree;
}

/* "rooms/0/name"; the test fails where there is nothing. */
static const cJSON *at(const cJSON *v, const char *path)
{
	struct sl_str rest = sl_str_z(path);

	while (rest.n > 0) {
		struct sl_str key = sl_str_cut(&rest, '/');
		char name[64];

		CHECK(sl_str_copy(name, sizeof(name), key));
		v = cJSON_IsArray(v) ? cJSON_GetArrayItem(v, (int)strtol(name, NULL, 10))
				     : cJSON_GetObjectItemCaseSensitive(v, name);
		if (!v)
			sl_test_failed(__FILE__, __LINE__, "there is no %s", path);
	}
	return v;
}

static const char *text(const cJSON *v, const char *path)
{
	const cJSON *found = at(v, path);

	return cJSON_IsString(found) ? found->valuestring : "(no string)";
}

static double number(const cJSON *v, const char *path)
{
	const cJSON *found = at(v, path);

	CHECK(cJSON_IsNumber(found));
	return found->valuedouble;
}

static bool is_null(const cJSON *v, const char *path)
{
	return cJSON_IsNull(at(v, path));
}

static bool has(const cJSON *v, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(v, key) != NULL;
}

/* ================= the rig ================= */

/* What core says of every transport: connected, one pair, the tracks of the first publisher. */
static void fill_stats(void)
{
	struct sl_transport_stats *st = &rig.core.stats_reply;

	*st = (struct sl_transport_stats){.ice_state = "connected",
					  .dtls_state = "connected",
					  .srtp = "SRTP_AEAD_AES_128_GCM",
					  .path_found = true,
					  .age_us = 60 * SL_SEC};
	st->info = (struct sl_transport_info){.connected = true,
					      .rx_packets = 5000,
					      .rx_bytes = 4000000,
					      .tx_packets = 20,
					      .rtt_us = 12500,
					      .lost = 7};
	st->pair_count = 1;
	st->pairs[0] = (struct sl_pair_stats){.local = sl_addr_v4(192, 0, 2, 1, 10000),
					      .remote = sl_addr_v4(192, 0, 2, 77, 5000),
					      .type = "prflx",
					      .selected = true,
					      .valid = true,
					      .nominated = true,
					      .checks_in = 9,
					      .rtt_us = -1};
	st->track_count = 2;
	for (size_t i = 0; i < 2; i++)
		st->tracks[i] = (struct sl_track_stats){.publish = true,
							.kind = i ? SL_VIDEO : SL_AUDIO,
							.codec = i ? SL_VP8 : SL_OPUS,
							.ssrc = (uint32_t)(1000 + i),
							.packets = 2500,
							.bytes = 2000000,
							.lost = 7,
							.nacks = 3,
							.plis = 2,
							.keyframes = 4,
							.jitter_us = 1500,
							.rtt_us = 12500,
							.silent_us = 20000,
							.bps = 800000};
	st->drops[SL_DROP_late] = 3;
}

/* The hooks of cJSON are set by the first parse; what was parsed before would be freed by others.
 */
static void set_hooks(void)
{
	struct api_json_why why;
	cJSON *tree;

	TRY(api_json_parse(SL_STR("{}"), NULL, &tree, &why));
	api_json_free(tree);
}

#define REST_RIG()                                                                                 \
	do {                                                                                       \
		set_hooks();                                                                       \
		RIG();                                                                             \
		DEFER(drop_trees, NULL);                                                           \
		fill_stats();                                                                      \
	} while (0)

static const cJSON *get(const char *path)
{
	const struct answer *a = ask("GET", path, "", "");

	if (a->status != 200)
		sl_test_failed(__FILE__, __LINE__, "%s: %d %s", path, a->status, a->body);
	CHECK_STR(answer_header(a, "Content-Type"), "application/json");
	return tree_of(a);
}

static int status(const char *method, const char *path, const char *body)
{
	return ask(method, path, *body ? JSON_TYPE : "", body)->status;
}

/* A problem whose field is that, and its detail holds the words. */
static void refused(const char *method, const char *path, const char *body, int want,
		    const char *field, const char *words)
{
	const struct answer *a = ask(method, path, *body ? JSON_TYPE : "", body);
	const cJSON *v;

	if (a->status != want)
		sl_test_failed(__FILE__, __LINE__, "%s %s %s: %d, want %d: %s", method, path, body,
			       a->status, want, a->body);
	CHECK_STR(answer_header(a, "Content-Type"), "application/problem+json");
	v = tree_of(a);
	if (!has(v, "field"))
		sl_test_failed(__FILE__, __LINE__, "%s %s: no field: %s", method, path, a->body);
	CHECK_STR(text(v, "field"), field);
	if (!strstr(text(v, "detail"), words))
		sl_test_failed(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", text(v, "detail"), words);
}

/* Public id of a session's n-th published track, or subscription. */
static const char *id_of(const char *location, bool publish, size_t n)
{
	struct api_session *s =
		api_session_by_id(rig.api, sl_str_z(location + strlen("/sessions/")));

	STOP_AFTER_OOM();
	CHECK(s);
	for (size_t i = 0; i < s->track_count; i++)
		if (s->tracks[i].publish == publish && n-- == 0)
			return s->tracks[i].public_id;
	sl_test_failed(__FILE__, __LINE__, "no such track");
}

static uint64_t core_id_of(const char *location, size_t n)
{
	return api_session_by_id(rig.api, sl_str_z(location + strlen("/sessions/")))->tracks[n].id;
}

static const char *path_to(const char *prefix, const char *id)
{
	static char path[128];

	(void)sl_fmt(path, sizeof(path), "%s%s", prefix, id);
	return path;
}

/* ================= rooms ================= */

TEST(a_room_is_made_by_put_and_the_same_put_changes_nothing)
{
	const struct answer *a;
	char etag[64];

	REST_RIG();
	a = ask("PUT", "/v1/rooms/Zo%C3%AB%20x", JSON_TYPE, "{\"capacity\":3,\"linger_ms\":5000}");
	CHECK_EQ(a->status, 201);
	CHECK_STR(answer_header(a, "Location"), "/v1/rooms/Zo%C3%AB%20x");
	CHECK(sl_fmt(etag, sizeof(etag), "%s", answer_header(a, "ETag")));
	CHECK_EQ(strlen(etag), 18);
	CHECK_STR(text(tree_of(a), "name"), "Zo\xc3\xab x");
	CHECK_EQ(number(answer_tree, "capacity"), 3);
	CHECK_EQ(number(answer_tree, "linger_ms"), 5000);
	CHECK_STR(text(answer_tree, "publishers"), "anyone");
	a = ask("PUT", "/v1/rooms/Zo%C3%AB%20x", JSON_TYPE, "{\"linger_ms\":5000,\"capacity\":3}");
	CHECK_EQ(a->status, 200);
	CHECK_STR(answer_header(a, "ETag"), etag);
	CHECK_STR(answer_header(a, "Location"), "");
	/* What is not said goes to its default. */
	a = ask("PUT", "/v1/rooms/Zo%C3%AB%20x", JSON_TYPE, "{}");
	CHECK_EQ(a->status, 200);
	CHECK(strcmp(answer_header(a, "ETag"), etag) != 0);
	CHECK_EQ(number(tree_of(a), "capacity"), rig.conf.rooms.max_participants);
	CHECK(is_null(answer_tree, "linger_ms"));
	CHECK_EQ(rig.api->room_count, 1);
}

TEST(a_room_that_was_made_stays_and_takes_people_though_auto_create_is_off)
{
	REST_RIG();
	rig.conf.rooms.auto_create = false;
	rig.conf.rooms.linger_us = 0;
	CHECK_EQ(ask("POST", "/whip/studio", SDP_HEADERS, offer("sendonly", 1, 0))->status, 404);
	CHECK_EQ(status("PUT", "/v1/rooms/studio", "{}"), 201);
	publish("/whip/studio?participant=ann", where, tag);
	CHECK_EQ(ask("DELETE", where, "", "")->status, 200);
	for (int i = 0; i < 20; i++)
		rig_turn();
	CHECK_EQ(number(get("/v1/rooms/studio"), "participants"), 0);
	CHECK_EQ(status("PATCH", "/v1/rooms/studio", "{\"linger_ms\":0}"), 200);
	RIG_UNTIL(rig.api->room_count == 0);
	CHECK_EQ(ask("GET", "/v1/rooms/studio", "", "")->status, 404);
}

TEST(rooms_end_in_the_order_of_their_own_lingering)
{
	REST_RIG();
	CHECK_EQ(status("PUT", "/v1/rooms/long", "{\"linger_ms\":86400000}"), 201);
	CHECK_EQ(status("PUT", "/v1/rooms/short", "{\"linger_ms\":1}"), 201);
	RIG_UNTIL(rig.api->room_count == 1);
	CHECK(api_room_find(rig.api, "long"));
	/* Settings that change while it is empty count from when it became so. */
	CHECK_EQ(status("PATCH", "/v1/rooms/long", "{\"linger_ms\":1}"), 200);
	RIG_UNTIL(rig.api->room_count == 0);
}

TEST(a_room_that_was_asked_for_makes_no_way_for_one_that_was_not)
{
	char path[64];

	REST_RIG();
	rig.conf.rooms.max = 4;
	for (int i = 0; i < 4; i++) {
		(void)sl_fmt(path, sizeof(path), "/v1/rooms/r%d", i);
		CHECK_EQ(status("PUT", path, "{\"linger_ms\":60000}"), 201);
	}
	CHECK_EQ(ask("POST", "/whip/studio", SDP_HEADERS, offer("sendonly", 1, 0))->status, 503);
	CHECK_EQ(status("PUT", "/v1/rooms/r9", "{}"), 503);
	CHECK_EQ(status("PUT", "/v1/rooms/r1", "{}"), 200);
	CHECK_EQ(status("DELETE", "/v1/rooms/r1", ""), 204);
	publish("/whip/studio", where, tag);
}

TEST(patch_changes_what_it_says_and_null_is_the_default)
{
	const cJSON *v;

	REST_RIG();
	CHECK_EQ(status("PUT", "/v1/rooms/studio",
			"{\"capacity\":3,\"publishers\":[\"ann\",\"bob\"],\"codecs\":[\"opus\","
			"\"VP8\"],"
			"\"max_video_bps\":1000000,\"linger_ms\":7000}"),
		 201);
	CHECK_EQ(status("PATCH", "/v1/rooms/studio", "{\"capacity\":4}"), 200);
	v = get("/v1/rooms/studio");
	CHECK_EQ(number(v, "capacity"), 4);
	CHECK_STR(text(v, "publishers/1"), "bob");
	CHECK_EQ(cJSON_GetArraySize(at(v, "codecs")), 2);
	CHECK_STR(text(v, "codecs/1"), "VP8");
	CHECK_EQ(number(v, "max_video_bps"), 1000000);
	CHECK_EQ(number(v, "linger_ms"), 7000);
	CHECK_EQ(status("PATCH", "/v1/rooms/studio",
			"{\"capacity\":null,\"publishers\":null,\"codecs\":null,\"max_video_bps\":"
			"null,"
			"\"linger_ms\":null}"),
		 200);
	v = get("/v1/rooms/studio");
	CHECK_EQ(number(v, "capacity"), 16);
	CHECK_STR(text(v, "publishers"), "anyone");
	CHECK_EQ(cJSON_GetArraySize(at(v, "codecs")), 9);
	CHECK(is_null(v, "linger_ms"));
	CHECK_EQ(number(v, "max_video_bps"), 0);
	CHECK_EQ(status("PATCH", "/v1/rooms/studio", "{}"), 200);
	CHECK_EQ(status("PATCH", "/v1/rooms/studio", "{\"publishers\":\"nobody\"}"), 200);
	CHECK_STR(text(get("/v1/rooms/studio"), "publishers"), "nobody");
}

TEST(if_match_on_a_room_is_optional_and_a_stale_one_is_412)
{
	const struct answer *a;
	char headers[128], etag[64];

	REST_RIG();
	a = ask("PUT", "/v1/rooms/studio", JSON_TYPE, "{}");
	CHECK(sl_fmt(etag, sizeof(etag), "%s", answer_header(a, "ETag")));
	(void)sl_fmt(headers, sizeof(headers), JSON_TYPE "If-Match: %s\r\n", etag);
	/* Who comes and goes is no change of the settings. */
	publish("/whip/studio", where, tag);
	CHECK_EQ(ask("PATCH", "/v1/rooms/studio", headers, "{\"capacity\":2}")->status, 200);
	CHECK_EQ(ask("PATCH", "/v1/rooms/studio", headers, "{\"capacity\":5}")->status, 412);
	CHECK_EQ(ask("PUT", "/v1/rooms/studio", headers, "{}")->status, 412);
	CHECK_EQ(ask("PUT", "/v1/rooms/other", headers, "{}")->status, 412);
	CHECK_EQ(ask("PATCH", "/v1/rooms/studio", JSON_TYPE "If-Match: \"x\", *\r\n", "{}")->status,
		 412);
	CHECK_EQ(ask("PATCH", "/v1/rooms/studio", JSON_TYPE "If-Match: *\r\n", "{}")->status, 200);
	CHECK_EQ(number(get("/v1/rooms/studio"), "capacity"), 2);
	CHECK_EQ(rig.api->room_count, 1);
}

TEST(t25_what_is_wrong_with_a_body_is_named_by_its_field)
{
	static char deep[200], names[6000];
	struct sl_buf b = sl_buf(names, sizeof(names));

	REST_RIG();
	CHECK_EQ(status("PUT", "/v1/rooms/studio", "{\"capacity\":2}"), 201);
	refused("PATCH", "/v1/rooms/studio", "{\"capacity\":\"3\"}", 422, "/capacity",
		"whole number");
	refused("PATCH", "/v1/rooms/studio", "{\"capacity\":0}", 422, "/capacity", "1 to 10000");
	refused("PATCH", "/v1/rooms/studio", "{\"capacity\":1.5}", 422, "/capacity",
		"whole number");
	refused("PATCH", "/v1/rooms/studio", "{\"capacity\":1e400}", 422, "/capacity",
		"whole number");
	refused("PATCH", "/v1/rooms/studio", "{\"linger_ms\":-1}", 422, "/linger_ms",
		"0 to 86400000");
	refused("PATCH", "/v1/rooms/studio", "{\"codecs\":[\"VP8\",\"vp9\"]}", 422, "/codecs/1",
		"");
	refused("PATCH", "/v1/rooms/studio", "{\"codecs\":[]}", 422, "/codecs", "at least one");
	refused("PATCH", "/v1/rooms/studio", "{\"publishers\":\"all\"}", 422, "/publishers",
		"anyone");
	refused("PATCH", "/v1/rooms/studio", "{\"publishers\":{}}", 422, "/publishers", "anyone");
	refused("PATCH", "/v1/rooms/studio", "{\"publishers\":[\"ann\",\"a/b\"]}", 422,
		"/publishers/1", "\"/\"");
	refused("PATCH", "/v1/rooms/studio", "{\"publishers\":[7]}", 422, "/publishers/0",
		"string");
	refused("PATCH", "/v1/rooms/studio", "{\"colour\":1}", 422, "/colour", "");
	refused("PATCH", "/v1/rooms/studio", "{\"name\":\"x\"}", 422, "/name", "");
	refused("PATCH", "/v1/rooms/studio", "[]", 422, "", "object");
	refused("PATCH", "/v1/rooms/studio", "{\"capacity\":1,\"capacity\":2}", 400, "", "twice");
	refused("PATCH", "/v1/rooms/studio", "{\"publishers\":[\"a\\u0000b\"]}", 400, "", "");
	refused("PATCH", "/v1/rooms/studio", "{} x", 400, "", "");
	refused("PATCH", "/v1/rooms/studio", "{\"publishers\":[\"\xff\"]}", 400, "", "");
	memset(deep, '[', sizeof(deep) - 1);
	CHECK_EQ(status("PATCH", "/v1/rooms/studio", deep), 413);
	sl_buf_z(&b, "{\"publishers\":[");
	for (int i = 0; i < 257; i++)
		sl_buf_fmt(&b, "%s\"n%d\"", i ? "," : "", i);
	sl_buf_z(&b, "]}");
	refused("PATCH", "/v1/rooms/studio", names, 422, "/publishers", "at most 256");
	/* Nothing of all that was taken over by half. */
	CHECK_EQ(number(get("/v1/rooms/studio"), "capacity"), 2);
	CHECK_STR(text(answer_tree, "publishers"), "anyone");
	CHECK_EQ(ask("PATCH", "/v1/rooms/studio", "Content-Type: text/plain\r\n", "{}")->status,
		 415);
	CHECK_EQ(ask("PUT", "/v1/rooms/studio", "", "{}")->status, 415);
	refused("PUT", "/v1/rooms/a%C2%85b", "{}", 400, "{room}", "control");
	CHECK_EQ(status("PUT", "/v1/rooms/new", "{\"capacity\":0}"), 422);
	CHECK_EQ(rig.api->room_count, 1);
}

TEST(rooms_are_listed_in_pages_in_order_of_their_names)
{
	static const char *const names[] = {"delta", "alpha", "echo", "bravo", "charlie"};
	const cJSON *v;
	char path[64];

	REST_RIG();
	CHECK_EQ(cJSON_GetArraySize(at(get("/v1/rooms"), "rooms")), 0);
	CHECK(is_null(answer_tree, "next"));
	for (size_t i = 0; i < SL_COUNT(names); i++) {
		(void)sl_fmt(path, sizeof(path), "/v1/rooms/%s", names[i]);
		CHECK_EQ(status("PUT", path, "{}"), 201);
	}
	v = get("/v1/rooms?limit=2");
	CHECK_EQ(cJSON_GetArraySize(at(v, "rooms")), 2);
	CHECK_STR(text(v, "rooms/0/name"), "alpha");
	CHECK_STR(text(v, "rooms/1/name"), "bravo");
	CHECK_STR(text(v, "next"), "bravo");
	v = get("/v1/rooms?limit=2&after=bravo");
	CHECK_STR(text(v, "rooms/0/name"), "charlie");
	CHECK_STR(text(v, "next"), "delta");
	/* A page goes on from a name that is gone meanwhile. */
	CHECK_EQ(status("DELETE", "/v1/rooms/delta", ""), 204);
	v = get("/v1/rooms?after=delta&limit=2");
	CHECK_EQ(cJSON_GetArraySize(at(v, "rooms")), 1);
	CHECK_STR(text(v, "rooms/0/name"), "echo");
	CHECK(is_null(v, "next"));
	CHECK_EQ(cJSON_GetArraySize(at(get("/v1/rooms?limit=4"), "rooms")), 4);
	CHECK(is_null(answer_tree, "next"));
	refused("GET", "/v1/rooms?limit=0", "", 400, "?limit", "1 to 1000");
	refused("GET", "/v1/rooms?limit=1001", "", 400, "?limit", "1 to 1000");
	refused("GET", "/v1/rooms?limit=x", "", 400, "?limit", "1 to 1000");
	refused("GET", "/v1/rooms?colour=red", "", 400, "?colour", "no such");
}

TEST(a_room_that_ends_takes_its_sessions_with_it)
{
	REST_RIG();
	publish("/whip/studio?participant=ann", where, tag);
	play("/whep/studio", 1, 1, where2, tag);
	publish("/whip/other?participant=bob", where2, tag);
	CHECK_EQ(status("DELETE", "/v1/rooms/studio", ""), 204);
	CHECK(!api_room_find(rig.api, "studio"));
	CHECK_EQ(fake_core_open_count(&rig.core), 1);
	CHECK_EQ(sl_api_sessions(rig.api), 1);
	CHECK_EQ(status("DELETE", "/v1/rooms/studio", ""), 404);
	CHECK_EQ(ask("PATCH", where, FRAG_HEADERS "If-Match: *\r\n", "")->status, 404);
}

TEST(a_room_may_end_while_somebody_is_coming_in)
{
	struct client *c;
	const char *body = offer("sendonly", 1, 1);

	REST_RIG();
	rig.core.hold = true;
	c = client_new();
	client_say(c,
		   "POST /whip/studio HTTP/1.1\r\nHost: 127.0.0.1\r\n" SDP_HEADERS
		   "Content-Length: %zu\r\n\r\n%s",
		   strlen(body), body);
	RIG_UNTIL(rig.core.count == 1 || !client_poll(c));
	STOP_AFTER_OOM();
	CHECK_EQ(status("DELETE", "/v1/rooms/studio", ""), 204);
	CHECK_EQ(sl_api_sessions(rig.api), 0);
	rig.core.hold = false;
	fake_core_release(&rig.core);
	CHECK_EQ(client_answer(c)->status, 409);
	CHECK_EQ(fake_core_open_count(&rig.core), 0);
}

/* ================= what the settings do ================= */

TEST(capacity_counts_participants_and_not_players)
{
	REST_RIG();
	CHECK_EQ(status("PUT", "/v1/rooms/studio", "{\"capacity\":1}"), 201);
	publish("/whip/studio?participant=ann", where, tag);
	play("/whep/studio", 1, 1, where2, tag);
	CHECK_EQ(ask("POST", "/whip/studio?participant=bob", SDP_HEADERS, offer("sendonly", 1, 0))
			 ->status,
		 503);
	CHECK_EQ(status("PATCH", "/v1/rooms/studio", "{\"capacity\":2}"), 200);
	publish("/whip/studio?participant=bob", where2, tag);
	/* Fewer places than people: those who are there stay. */
	CHECK_EQ(status("PATCH", "/v1/rooms/studio", "{\"capacity\":1}"), 200);
	CHECK_EQ(number(get("/v1/rooms/studio"), "participants"), 2);
	CHECK_EQ(number(answer_tree, "players"), 1);
}

TEST(only_those_whom_the_room_lets_may_publish)
{
	static char sdp[4096];

	REST_RIG();
	(void)sl_fmt(sdp, sizeof(sdp), "%s", offer("sendonly", 1, 0));
	CHECK_EQ(status("PUT", "/v1/rooms/studio", "{\"publishers\":[\"ann\",\"Zo\xc3\xab\"]}"),
		 201);
	CHECK_EQ(ask("POST", "/whip/studio?participant=bob", SDP_HEADERS, sdp)->status, 403);
	CHECK_EQ(ask("POST", "/whip/studio?participant=Ann", SDP_HEADERS, sdp)->status, 403);
	CHECK_EQ(ask("POST", "/whip/studio", SDP_HEADERS, sdp)->status, 403);
	CHECK_EQ(ask("POST", "/whip/studio?participant=Zo%C3%AB", SDP_HEADERS, sdp)->status, 201);
	CHECK_EQ(status("PATCH", "/v1/rooms/studio", "{\"publishers\":\"nobody\"}"), 200);
	CHECK_EQ(ask("POST", "/whip/studio?participant=ann", SDP_HEADERS, sdp)->status, 403);
	play("/whep/studio", 1, 1, where, tag);
	CHECK_EQ(status("PATCH", "/v1/rooms/studio", "{\"publishers\":\"anyone\"}"), 200);
	CHECK_EQ(ask("POST", "/whip/studio?participant=ann", SDP_HEADERS, sdp)->status, 201);
}

TEST(sessions_use_only_the_codecs_of_their_room)
{
	REST_RIG();
	CHECK_EQ(status("PUT", "/v1/rooms/studio", "{\"codecs\":[\"opus\",\"H264\"]}"), 201);
	publish("/whip/studio?participant=ann", where, tag);
	CHECK_EQ(fake_core_last(&rig.core)->conf.track_count, 1);
	CHECK_EQ(fake_core_last(&rig.core)->conf.tracks[0].kind, SL_AUDIO);
	CHECK_EQ(ask("POST", "/whip/studio", SDP_HEADERS, offer("sendonly", 0, 1))->status, 422);
	CHECK_EQ(status("PATCH", "/v1/rooms/studio", "{\"codecs\":null}"), 200);
	publish("/whip/studio?participant=bob", where, tag);
	CHECK_EQ(fake_core_last(&rig.core)->conf.track_count, 2);
}

static uint32_t last_cap(uint64_t track)
{
	for (size_t i = rig.core.cap_count; i-- > 0;)
		if (rig.core.caps[i].track == track)
			return rig.core.caps[i].bps;
	return 0;
}

TEST(the_cameras_of_a_room_share_its_cap)
{
	char third[64];

	REST_RIG();
	CHECK_EQ(status("PUT", "/v1/rooms/studio", "{\"max_video_bps\":1000000}"), 201);
	publish("/whip/studio?participant=ann", where, tag);
	CHECK_EQ(last_cap(core_id_of(where, 1)), 1000000);
	CHECK_EQ(last_cap(core_id_of(where, 0)), 0);
	publish("/whip/studio?participant=bob", where2, tag);
	CHECK_EQ(last_cap(core_id_of(where, 1)), 500000);
	CHECK_EQ(last_cap(core_id_of(where2, 1)), 500000);
	CHECK_EQ(status("PATCH", "/v1/rooms/studio", "{\"max_video_bps\":200000}"), 200);
	CHECK_EQ(last_cap(core_id_of(where, 1)), 150000);
	CHECK_EQ(ask("DELETE", where2, "", "")->status, 200);
	CHECK_EQ(last_cap(core_id_of(where, 1)), 200000);
	CHECK_EQ(status("PATCH", path_to("/v1", where), "{\"max_video_bps\":160000}"), 200);
	CHECK_EQ(last_cap(core_id_of(where, 1)), 160000);
	/* Back to what the configuration says for who has no transport-cc. */
	CHECK_EQ(status("PATCH", path_to("/v1", where), "{\"max_video_bps\":null}"), 200);
	CHECK_EQ(status("PATCH", "/v1/rooms/studio", "{\"max_video_bps\":0}"), 200);
	CHECK_EQ(last_cap(core_id_of(where, 1)), 2500000);
	CHECK_EQ(status("PATCH", "/v1/config", "{\"publish.max_video_bps\":700000}"), 200);
	CHECK_EQ(last_cap(core_id_of(where, 1)), 700000);
	publish("/whip/studio?participant=cyd", third, tag);
	CHECK_EQ(fake_core_last(&rig.core)->conf.tracks[1].max_bps, 700000);
}

TEST(a_cap_that_core_would_not_take_is_told_again)
{
	REST_RIG();
	publish("/whip/studio?participant=ann", where, tag);
	rig.core.refuse = SL_EBUSY;
	CHECK_EQ(status("PATCH", path_to("/v1", where), "{\"max_video_bps\":300000}"), 200);
	CHECK_EQ(last_cap(core_id_of(where, 1)), 0);
	rig.core.refuse = 0;
	RIG_UNTIL(last_cap(core_id_of(where, 1)) == 300000);
}

/* ================= participants and tracks ================= */

TEST(participants_are_seen_with_their_tracks_and_can_be_removed)
{
	const cJSON *v;

	REST_RIG();
	publish("/whip/studio?participant=bob", where, tag);
	publish("/whip/studio?participant=ann", where2, tag);
	play("/whep/studio", 1, 1, where2, tag);
	v = get("/v1/rooms/studio/participants");
	CHECK_EQ(cJSON_GetArraySize(at(v, "participants")), 2);
	CHECK_STR(text(v, "participants/0/name"), "ann");
	CHECK_STR(text(v, "participants/1/name"), "bob");
	CHECK_STR(text(v, "participants/1/via"), "whip");
	CHECK_STR(text(v, "participants/1/state"), "connecting");
	CHECK_EQ(cJSON_GetArraySize(at(v, "participants/1/tracks")), 2);
	CHECK_STR(text(v, "participants/1/tracks/1/kind"), "video");
	CHECK(!has(at(v, "participants/1/tracks/1"), "statistics"));
	v = get("/v1/rooms/studio/participants?limit=1");
	CHECK_STR(text(v, "next"), "ann");
	v = get("/v1/rooms/studio/participants/bob");
	CHECK_STR(text(v, "session"), where + strlen("/sessions/"));
	v = get("/v1/rooms/studio/participants/bob/tracks");
	CHECK_STR(text(v, "tracks/0/id"), id_of(where, true, 0));
	CHECK_STR(text(v, "tracks/0/participant"), "bob");
	CHECK_EQ(status("DELETE", "/v1/rooms/studio/participants/bob", ""), 204);
	CHECK_EQ(fake_core_open_count(&rig.core), 2);
	refused("DELETE", "/v1/rooms/studio/participants/bob", "", 404, "{participant}", "no such");
	refused("GET", "/v1/rooms/studio/participants/bob", "", 404, "{participant}", "no such");
	refused("GET", "/v1/rooms/studio/participants/a%C2%85", "", 400, "{participant}",
		"control");
	refused("GET", "/v1/rooms/nowhere/participants", "", 404, "{room}", "no such");
	refused("GET", "/v1/rooms/nowhere/participants/bob/tracks", "", 404, "{room}", "no such");
}

TEST(the_active_speaker_of_a_room_is_told)
{
	REST_RIG();
	publish("/whip/studio?participant=ann", where, tag);
	CHECK(is_null(get("/v1/rooms/studio"), "speaker"));
	api_room_find(rig.api, "studio")->speaker.current = core_id_of(where, 0);
	CHECK_STR(text(get("/v1/rooms/studio"), "speaker"), "ann");
}

TEST(a_track_is_muted_for_everyone_and_muting_may_be_repeated)
{
	const cJSON *v;
	char path[64];

	REST_RIG();
	publish("/whip/studio?participant=ann", where, tag);
	(void)sl_fmt(path, sizeof(path), "/v1/tracks/%s", id_of(where, true, 1));
	rig.core.stats_reply.tracks[1].id = core_id_of(where, 1);
	v = get(path);
	CHECK(cJSON_IsFalse(at(v, "muted")));
	CHECK_STR(text(v, "room"), "studio");
	CHECK_STR(text(v, "statistics/mimeType"), "video/VP8");
	CHECK_EQ(number(v, "statistics/packetsReceived"), 2500);
	CHECK_EQ(number(v, "statistics/packetsLost"), 7);
	CHECK(number(v, "statistics/jitter") == 0.0015);
	CHECK(number(v, "statistics/roundTripTime") == 0.0125);
	for (int i = 0; i < 2; i++) {
		const struct answer *a = ask("PATCH", path, JSON_TYPE, "{\"muted\":true}");

		CHECK_EQ(a->status, 200);
		CHECK(cJSON_IsTrue(at(tree_of(a), "muted")));
	}
	CHECK_EQ(rig.core.pause_count, 2);
	CHECK_EQ(rig.core.pauses[0].track, core_id_of(where, 1));
	CHECK(rig.core.pauses[0].paused);
	CHECK(cJSON_IsTrue(at(get(path), "muted")));
	CHECK_EQ(status("PATCH", path, "{\"muted\":false}"), 200);
	CHECK(!rig.core.pauses[2].paused);
	refused("PATCH", path, "{}", 422, "/muted", "");
	refused("PATCH", path, "{\"muted\":1}", 422, "/muted", "");
	refused("PATCH", path, "{\"muted\":true,\"id\":\"x\"}", 422, "/id", "");
	refused("PATCH", path, "{\"paused\":true}", 422, "/paused", "");
	CHECK_EQ(rig.core.pause_count, 3);
}

TEST(a_subscription_is_paused_and_says_what_it_plays)
{
	const cJSON *v;
	char path[64];

	REST_RIG();
	play("/whep/studio", 1, 1, where2, tag);
	(void)sl_fmt(path, sizeof(path), "/v1/subscriptions/%s", id_of(where2, false, 0));
	v = get(path);
	CHECK(is_null(v, "track") && is_null(v, "participant"));
	publish("/whip/studio?participant=ann", where, tag);
	v = get(path);
	CHECK_STR(text(v, "track"), id_of(where, true, 0));
	CHECK_STR(text(v, "participant"), "ann");
	CHECK_STR(text(v, "kind"), "audio");
	CHECK_EQ(status("PATCH", path, "{\"paused\":true}"), 200);
	CHECK(cJSON_IsTrue(at(get(path), "paused")));
	CHECK_EQ(rig.core.pauses[0].track, core_id_of(where2, 0));
	refused("PATCH", path, "{\"muted\":true}", 422, "/muted", "");
	/* A track is no subscription, and the other way round. */
	CHECK_EQ(ask("GET", path_to("/v1/subscriptions/", id_of(where, true, 0)), "", "")->status,
		 404);
	CHECK_EQ(ask("GET", path_to("/v1/tracks/", id_of(where2, false, 0)), "", "")->status, 404);
}

TEST(what_ends_while_a_loop_is_asked_is_404)
{
	struct client *c[3];
	char path[64];

	REST_RIG();
	publish("/whip/studio?participant=ann", where, tag);
	(void)sl_fmt(path, sizeof(path), "/v1/tracks/%s", id_of(where, true, 0));
	rig.core.hold = true;
	for (size_t i = 0; i < 3; i++) {
		c[i] = client_new();
		client_say(c[i], "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n%s",
			   i == 1 ? "PATCH" : "GET", i == 2 ? path_to("/v1", where) : path,
			   i == 1 ? JSON_TYPE "Content-Length: 14\r\n" : "",
			   i == 1 ? "{\"muted\":true}" : "");
		RIG_UNTIL(rig.core.reply_count == i + 1 || !client_poll(c[i]));
		STOP_AFTER_OOM();
	}
	CHECK_EQ(ask("DELETE", where, "", "")->status, 200);
	rig.core.hold = false;
	fake_core_release(&rig.core);
	for (size_t i = 0; i < 3; i++)
		CHECK_EQ(client_answer(c[i])->status, 404);
}

TEST(muting_holds_though_its_client_has_gone)
{
	struct client *c;

	REST_RIG();
	publish("/whip/studio?participant=ann", where, tag);
	rig.core.hold = true;
	c = client_new();
	client_say(c,
		   "PATCH /v1/tracks/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n" JSON_TYPE
		   "Content-Length: 14\r\n\r\n{\"muted\":true}",
		   id_of(where, true, 0));
	RIG_UNTIL(rig.core.reply_count == 1 || !client_poll(c));
	STOP_AFTER_OOM();
	client_close(c);
	RIG_UNTIL(rig.api->conn_count == 0);
	rig.core.hold = false;
	fake_core_release(&rig.core);
	CHECK(api_session_by_id(rig.api, sl_str_z(where + strlen("/sessions/")))->tracks[0].muted);
}

/* ================= sessions ================= */

TEST(a_session_is_told_with_statistics_and_diagnosis)
{
	const cJSON *v;

	REST_RIG();
	publish("/whip/studio?participant=ann", where, tag);
	v = get(path_to("/v1", where));
	CHECK_STR(text(v, "via"), "whip");
	CHECK_STR(text(v, "participant"), "ann");
	CHECK_EQ(cJSON_GetArraySize(at(v, "tracks")), 2);
	CHECK_EQ(cJSON_GetArraySize(at(v, "subscriptions")), 0);
	CHECK_STR(text(v, "statistics/iceState"), "connected");
	CHECK_STR(text(v, "statistics/dtlsRole"), "server");
	CHECK_STR(text(v, "statistics/srtpCipher"), "SRTP_AEAD_AES_128_GCM");
	CHECK_STR(text(v, "statistics/selectedCandidatePair/remote"), "192.0.2.77:5000");
	CHECK_EQ(number(v, "statistics/incomingBitrate"), 1600000);
	CHECK(number(v, "statistics/currentRoundTripTime") == 0.0125);
	CHECK_STR(text(v, "diagnosis/cause"), "well");
	CHECK_STR(text(v, "diagnosis/dtlsStep"), "connected");
	CHECK_EQ(number(v, "diagnosis/packetsDropped/late"), 3);
	CHECK_STR(text(v, "diagnosis/candidatePairs/0/state"), "succeeded");
	CHECK(is_null(v, "diagnosis/candidatePairs/0/currentRoundTripTime"));
}

TEST(loss_is_diagnosed_by_what_happened_since_an_earlier_look)
{
	struct sl_track_stats *t = &rig.core.stats_reply.tracks[1];
	struct api_session *s;

	REST_RIG();
	publish("/whip/studio?participant=ann", where, tag);
	t->lost = 500;
	CHECK_STR(text(get(path_to("/v1", where)), "diagnosis/cause"), "loss_upstream");
	s = api_session_by_id(rig.api, sl_str_z(where + strlen("/sessions/")));
	/* As though that look had been long ago, and another one since. */
	s->looks[1].at_us -= 20 * SL_SEC;
	t->packets += 1000;
	CHECK_STR(text(get(path_to("/v1", where)), "diagnosis/cause"), "loss_upstream");
	t->packets += 1000;
	CHECK_STR(text(get(path_to("/v1", where)), "diagnosis/cause"), "well");
	t->lost += 500;
	CHECK_STR(text(get(path_to("/v1", where)), "diagnosis/cause"), "loss_upstream");
}

TEST(the_one_who_caps_is_named)
{
	const char *sentence;

	REST_RIG();
	publish("/whip/studio?participant=ann", where, tag);
	rig.core.stats_reply.tracks[1].cap_bps = 900000;
	sentence = text(get(path_to("/v1", where)), "diagnosis/sentence");
	CHECK(strstr(sentence, "by publish.max_video_bps of the configuration"));
	CHECK_EQ(status("PATCH", "/v1/config", "{\"rooms.max_video_bps\":1000000}"), 200);
	sentence = text(get(path_to("/v1", where)), "diagnosis/sentence");
	CHECK(strstr(sentence, "by the room's max_video_bps"));
	CHECK_EQ(status("PATCH", path_to("/v1", where), "{\"max_video_bps\":900000}"), 200);
	sentence = text(get(path_to("/v1", where)), "diagnosis/sentence");
	CHECK(strstr(sentence, "900 kb/s, by the session's max_video_bps"));
}

TEST(sessions_are_listed_by_room_and_those_that_ended_newest_first)
{
	struct sl_core_event ev = {
		.type = SL_EV_CLOSED,
		.cause = SL_CLOSE_DTLS,
		.detail = "the peer's certificate is not the one whose fingerprint was "
			  "signalled"};
	const cJSON *v;

	REST_RIG();
	publish("/whip/studio?participant=ann", where, tag);
	publish("/whip/other?participant=bob", where2, tag);
	CHECK_EQ(cJSON_GetArraySize(at(get("/v1/sessions"), "sessions")), 2);
	v = get("/v1/sessions?room=other");
	CHECK_EQ(cJSON_GetArraySize(at(v, "sessions")), 1);
	CHECK_STR(text(v, "sessions/0/participant"), "bob");
	CHECK(!has(at(v, "sessions/0"), "diagnosis"));
	CHECK_EQ(cJSON_GetArraySize(at(get("/v1/sessions?room=none"), "sessions")), 0);
	CHECK_EQ(cJSON_GetArraySize(at(get("/v1/sessions?state=closed"), "sessions")), 0);
	CHECK_EQ(ask("DELETE", where, "", "")->status, 200);
	ev.tag = api_session_by_id(rig.api, sl_str_z(where2 + strlen("/sessions/")))->tag;
	sl_api_event(rig.api, &ev);
	CHECK_EQ(cJSON_GetArraySize(at(get("/v1/sessions?state=open"), "sessions")), 0);
	v = get("/v1/sessions?state=closed");
	CHECK_EQ(cJSON_GetArraySize(at(v, "sessions")), 2);
	CHECK_STR(text(v, "sessions/0/participant"), "bob");
	CHECK_STR(text(v, "sessions/1/ended"), "DELETE by its client");
	CHECK_EQ(cJSON_GetArraySize(at(get("/v1/sessions?state=closed&room=studio"), "sessions")),
		 1);
	v = get(path_to("/v1", where2));
	CHECK_STR(text(v, "state"), "closed");
	CHECK_STR(text(v, "diagnosis/cause"), "fingerprint_differs");
	CHECK(is_null(v, "diagnosis/packetsDropped"));
	refused("DELETE", path_to("/v1", where2), "", 404, "{id}", "no such");
	refused("GET", "/v1/sessions?state=x", "", 400, "?state", "open or closed");
}

TEST(a_session_that_is_opening_has_no_statistics_yet)
{
	struct client *c;
	const char *body = offer("sendonly", 1, 1);
	const struct api_session *s;
	uint32_t cursor = 0;

	REST_RIG();
	rig.core.hold = true;
	c = client_new();
	client_say(c,
		   "POST /whip/studio HTTP/1.1\r\nHost: 127.0.0.1\r\n" SDP_HEADERS
		   "Content-Length: %zu\r\n\r\n%s",
		   strlen(body), body);
	RIG_UNTIL(rig.core.count == 1 || !client_poll(c));
	STOP_AFTER_OOM();
	s = sl_pool_next(&rig.api->sessions, &cursor, NULL);
	CHECK_STR(text(get(path_to("/v1/sessions/", s->id)), "state"), "connecting");
	CHECK(!has(answer_tree, "statistics"));
	rig.core.hold = false;
	fake_core_release(&rig.core);
	CHECK_EQ(client_answer(c)->status, 201);
}

TEST(the_last_ends_of_sessions_are_kept_and_no_more)
{
	REST_RIG();
	for (int i = 0; i < API_ENDED_MAX + 3; i++) {
		struct api_room *r = api_room_find(rig.api, "studio");
		struct api_session *s = NULL;

		if (!r)
			TRY(api_room_new(rig.api, "studio", &r));
		TRY(api_session_new(rig.api, r, true, false, NULL, &s));
		(void)sl_fmt(where, sizeof(where), "/sessions/%s", s->id);
		if (i == 0)
			(void)sl_fmt(where2, sizeof(where2), "/sessions/%s", s->id);
		api_session_end(rig.api, s, "for the test");
	}
	CHECK_EQ(cJSON_GetArraySize(at(get("/v1/sessions?state=closed"), "sessions")),
		 API_ENDED_MAX);
	CHECK_STR(text(answer_tree, "sessions/0/id"), where + strlen("/sessions/"));
	CHECK_EQ(ask("GET", path_to("/v1", where2), "", "")->status, 404);
}

TEST(t50_guessed_ids_find_nothing)
{
	char id[API_ID_LEN + 1];
	uint8_t bits[16];
	char path[64];

	REST_RIG();
	publish("/whip/studio?participant=ann", where, tag);
	for (int i = 0; i < 100000; i++) {
		sl_rng_fill(&rig.rng, bits, sizeof(bits));
		(void)sl_base64url(bits, sizeof(bits), id, sizeof(id));
		CHECK(!api_session_by_id(rig.api, sl_str_z(id)));
	}
	/* All but the last character of a real one. */
	(void)sl_fmt(path, sizeof(path), "/v1/tracks/%s", id_of(where, true, 0));
	path[strlen(path) - 1] ^= 1;
	CHECK_EQ(ask("GET", path, "", "")->status, 404);
	path[strlen(path) - 1] = 0;
	CHECK_EQ(ask("GET", path, "", "")->status, 404);
	CHECK_EQ(ask("GET", "/v1/tracks/", "", "")->status, 404);
	CHECK_EQ(ask("GET", path_to("/v1/tracks/", where + strlen("/sessions/")), "", "")->status,
		 404);
	CHECK_EQ(ask("GET", path_to("/v1/sessions/", id_of(where, true, 0)), "", "")->status, 404);
}

/* ================= those who joined by WebSocket ================= */

static const char *published_id(const struct peer *p, size_t n)
{
	const struct api_session *s = session_of(p);

	for (size_t i = 0; i < s->track_count; i++)
		if (s->tracks[i].publish && s->tracks[i].id && n-- == 0)
			return s->tracks[i].public_id;
	sl_test_failed(__FILE__, __LINE__, "no such track");
}

TEST(the_settings_of_a_room_hold_for_those_who_join)
{
	struct peer *ann, *bob;
	const struct sl_track_conf *conf;

	set_hooks();
	JOIN_RIG();
	DEFER(drop_trees, NULL);
	CHECK_EQ(status("PUT", "/v1/rooms/studio",
			"{\"capacity\":2,\"publishers\":[\"ann\"],\"codecs\":[\"opus\",\"VP8\"],"
			"\"max_video_bps\":600000}"),
		 201);
	ann = join_as(0, "ann");
	negotiated(ann);
	publish_av(ann, NULL);
	settle_all();
	conf = &fake_core_track(&rig.core, transport_of(ann),
				session_of(ann)->tracks[session_of(ann)->track_count - 1].mid)
			->conf;
	CHECK_EQ(conf->kind, SL_VIDEO);
	for (size_t i = 0; i < conf->codec_count; i++)
		CHECK_EQ(conf->codecs[i].codec, SL_VP8);
	CHECK_EQ(last_cap(session_of(ann)->tracks[session_of(ann)->track_count - 1].id), 600000);
	bob = join_as(1, "bob");
	negotiated(bob);
	say(bob, "{\"type\":\"publish\",\"request\":\"p\",\"tracks\":[{\"kind\":\"audio\"}]}");
	refused_with(bob, "no_right");
	closed_with(enter(2, "participant=cyd"), 4429);
}

TEST(an_operator_sees_mutes_and_removes_those_who_joined)
{
	struct peer *ann, *bob;
	const cJSON *v;
	char path[64], track[API_ID_LEN + 1];

	set_hooks();
	JOIN_RIG();
	DEFER(drop_trees, NULL);
	fill_stats();
	ann = join_as(0, "ann");
	negotiated(ann);
	publish_av(ann, NULL);
	bob = join_as(1, "bob");
	negotiated(bob);
	settle_all();
	v = get("/v1/rooms/studio/participants/ann");
	CHECK_STR(text(v, "via"), "join");
	CHECK_EQ(cJSON_GetArraySize(at(v, "tracks")), 2);
	CHECK_STR(text(v, "tracks/0/source"), "microphone");
	CHECK_EQ(number(get("/v1/rooms/studio"), "participants"), 2);
	(void)sl_fmt(track, sizeof(track), "%s", published_id(ann, 0));
	(void)sl_fmt(path, sizeof(path), "/v1/tracks/%s", track);
	CHECK_EQ(status("PATCH", path, "{\"muted\":true}"), 200);
	v = heard(bob, "track");
	CHECK_STR(text_of(v, "event"), "changed");
	/* What an operator muted only an operator lets go on. */
	v = heard(ann, "track");
	CHECK_STR(text_of(v, "event"), "changed");
	CHECK_STR(text_of(v, "participant"), "ann");
	CHECK_STR(text_of(member(v, "track"), "id"), track);
	CHECK(cJSON_IsTrue(member(member(v, "track"), "muted")));
	say(ann, "{\"type\":\"mute\",\"track\":\"%s\",\"muted\":false}", track);
	refused_with(ann, "no_right");
	CHECK_EQ(status("PATCH", path, "{\"muted\":false}"), 200);
	CHECK(cJSON_IsFalse(member(member(heard(ann, "track"), "track"), "muted")));
	CHECK(cJSON_IsFalse(member(member(heard(bob, "track"), "track"), "muted")));
	say(ann, "{\"type\":\"mute\",\"track\":\"%s\",\"muted\":true}", track);
	say(ann, "{\"type\":\"mute\",\"track\":\"%s\",\"muted\":false}", track);
	settle_all();
	CHECK(cJSON_IsFalse(at(get(path), "muted")));
	CHECK_EQ(status("DELETE", "/v1/rooms/studio/participants/ann", ""), 204);
	closed_with(ann, 4410);
	CHECK_EQ(number(get("/v1/rooms/studio"), "participants"), 1);
	CHECK_STR(text(get("/v1/sessions?state=closed"), "sessions/0/via"), "join");
	CHECK_STR(text(answer_tree, "sessions/0/participant"), "ann");
	CHECK_EQ(status("DELETE", "/v1/rooms/studio", ""), 204);
	closed_with(bob, 4410);
	CHECK_EQ(rig.api->room_count, 0);
	CHECK_EQ(sl_api_sessions(rig.api), 0);
}

/* ================= loops, configuration, busy loops ================= */

TEST(loops_are_told_with_their_counters)
{
	const cJSON *v;

	REST_RIG();
	sl_stat_add(&rig.core.stats[0], SL_STAT_rx_packets, 42);
	v = get("/v1/loops");
	CHECK_EQ(cJSON_GetArraySize(at(v, "loops")), 2);
	CHECK_EQ(number(v, "loops/1/port"), 10001);
	CHECK_STR(text(v, "loops/0/addresses/0"), "192.0.2.1:10000");
	CHECK_EQ(number(v, "loops/0/counters/rx_packets"), 42);
	CHECK(number(v, "residentBytes") > 0);
	CHECK(cJSON_IsFalse(at(v, "draining")));
}

static void restore_levels(void *unused)
{
	(void)unused;
	(void)!sl_log_set_levels(SL_STR("error"));
}

TEST(log_levels_and_caps_can_be_changed_while_running)
{
	REST_RIG();
	DEFER(restore_levels, NULL);
	CHECK_EQ(number(get("/v1/config"), "publish.max_video_bps"), 2500000);
	CHECK_EQ(status("PATCH", "/v1/config", "{\"log.level\":\"error,ice=warn\"}"), 200);
	CHECK_EQ(sl_log_levels[SL_LOG_ICE], SL_LOG_WARN);
	CHECK_STR(text(get("/v1/config"), "log.level"), "error,ice=warn");
	refused("PATCH", "/v1/config", "{\"log.level\":\"loud\",\"rooms.max_video_bps\":5}", 422,
		"/log.level", "error, warn, info or debug");
	refused("PATCH", "/v1/config", "{\"http.port\":1}", 422, "/http.port", "");
	CHECK_EQ(number(get("/v1/config"), "rooms.max_video_bps"), 0);
	CHECK_EQ(status("PATCH", "/v1/config", "{\"rooms.max_video_bps\":5000000}"), 200);
	CHECK_EQ(status("PUT", "/v1/rooms/studio", "{}"), 201);
	CHECK_EQ(number(get("/v1/rooms/studio"), "max_video_bps"), 5000000);
}

TEST(the_keys_that_change_at_run_time_are_marked_in_the_configuration)
{
	static char text[65536];
	struct sl_buf b = sl_buf(text, sizeof(text));
	const char *keys[16], *mark = text;
	size_t n = api_settable(&api_object_config, keys, SL_COUNT(keys)), marked = 0;

	sl_config_reference(&b);
	CHECK(!b.full && n > 0);
	while ((mark = strstr(mark, "PATCH /v1/config"))) {
		mark++;
		marked++;
	}
	CHECK_EQ(marked, n);
	for (size_t i = 0; i < n; i++) {
		char row[64];
		const char *at;

		CHECK(sl_fmt(row, sizeof(row), "| `%s` |", keys[i]));
		at = strstr(text, row);
		CHECK(at && strstr(at, "PATCH /v1/config") < strchr(at, '\n'));
	}
}

TEST(caps_of_the_configuration_act_on_those_who_are_there)
{
	struct peer *ann;
	uint64_t video;

	set_hooks();
	JOIN_RIG();
	DEFER(drop_trees, NULL);
	rig.conf.publish.cap = true;
	ann = join_as(0, "ann");
	negotiated(ann);
	publish_av(ann, NULL);
	settle_all();
	video = fake_core_track(&rig.core, transport_of(ann), "5")->id;
	CHECK_EQ(status("PATCH", "/v1/config", "{\"rooms.max_video_bps\":900000}"), 200);
	CHECK_EQ(last_cap(video), 900000);
	CHECK_EQ(status("PATCH", "/v1/config", "{\"publish.max_video_bps\":300000}"), 200);
	CHECK_EQ(last_cap(video), 300000);
	CHECK_EQ(status("PATCH", "/v1/config",
			"{\"publish.max_video_bps\":0,\"rooms.max_video_bps\":100000}"),
		 200);
	CHECK_EQ(last_cap(video), 150000);
	CHECK_EQ(number(get("/v1/config"), "publish.max_video_bps"), 0);
}

TEST(a_busy_loop_is_503_with_retry_after)
{
	const struct answer *a;
	char path[64];

	REST_RIG();
	publish("/whip/studio?participant=ann", where, tag);
	(void)sl_fmt(path, sizeof(path), "/v1/tracks/%s", id_of(where, true, 0));
	rig.core.refuse = SL_EBUSY;
	a = ask("GET", path, "", "");
	CHECK_EQ(a->status, 503);
	CHECK(answer_header(a, "Retry-After")[0]);
	CHECK_EQ(status("PATCH", path, "{\"muted\":true}"), 503);
	rig.core.refuse = 0;
	rig.core.fail = SL_EFULL;
	CHECK_EQ(status("PATCH", path, "{\"muted\":true}"), 503);
	rig.core.fail = SL_ENOTFOUND;
	CHECK_EQ(status("PATCH", path, "{\"muted\":true}"), 404);
	rig.core.fail = 0;
	CHECK(cJSON_IsFalse(at(get(path), "muted")));
}

/* ================= the description ================= */

/* A JSON pointer of the description. */
static const cJSON *resolve(const char *ref)
{
	const cJSON *v = spec;
	struct sl_str rest = sl_str_z(ref);

	CHECK(strncmp(ref, "#/", 2) == 0);
	(void)sl_str_cut(&rest, '/');
	while (rest.n > 0) {
		struct sl_str key = sl_str_cut(&rest, '/');
		char name[64];

		CHECK(sl_str_copy(name, sizeof(name), key));
		v = cJSON_GetObjectItemCaseSensitive(v, name);
		if (!v)
			sl_test_failed(__FILE__, __LINE__, "%s leads nowhere", ref);
	}
	return v;
}

static bool is_type(const cJSON *v, const char *type)
{
	if (strcmp(type, "integer") == 0)
		return cJSON_IsNumber(v) && (double)(int64_t)v->valuedouble == v->valuedouble;
	return strcmp(type, "object") == 0    ? cJSON_IsObject(v)
	       : strcmp(type, "array") == 0   ? cJSON_IsArray(v)
	       : strcmp(type, "string") == 0  ? cJSON_IsString(v)
	       : strcmp(type, "number") == 0  ? cJSON_IsNumber(v)
	       : strcmp(type, "boolean") == 0 ? cJSON_IsBool(v)
					      : strcmp(type, "null") == 0 && cJSON_IsNull(v);
}

static bool type_fits(const cJSON *type, const cJSON *v)
{
	const cJSON *one;

	if (cJSON_IsString(type))
		return is_type(v, type->valuestring);
	cJSON_ArrayForEach(one, type) if (is_type(v, one->valuestring)) return true;
	return false;
}

static bool enum_fits(const cJSON *words, const cJSON *v)
{
	const cJSON *one;

	cJSON_ArrayForEach(one, words) if (cJSON_Compare(one, v, true)) return true;
	return false;
}

static bool fits(const cJSON *schema, const cJSON *v, const char *where_at);

/* where_at NULL: one of several possibilities, of which another may fit. */
static void complain(const char *where_at, const char *what, const char *word)
{
	if (where_at)
		fprintf(stderr, "%s: %s %s\n", where_at, what, word);
}

static bool object_fits(const cJSON *schema, const cJSON *v, const char *where_at)
{
	const cJSON *properties = cJSON_GetObjectItemCaseSensitive(schema, "properties");
	const cJSON *required = cJSON_GetObjectItemCaseSensitive(schema, "required"), *one;
	bool closed =
		cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(schema, "additionalProperties"));

	cJSON_ArrayForEach(one, required) if (!has(v, one->valuestring))
	{
		complain(where_at, "lacks", one->valuestring);
		return false;
	}
	cJSON_ArrayForEach(one, v)
	{
		const cJSON *p = cJSON_GetObjectItemCaseSensitive(properties, one->string);
		char deeper[200];

		if (!p && closed) {
			complain(where_at, "is not described to have", one->string);
			return false;
		}
		(void)sl_fmt(deeper, sizeof(deeper), "%s/%s", where_at ? where_at : "",
			     one->string);
		if (p && !fits(p, one, where_at ? deeper : NULL))
			return false;
	}
	return true;
}

static bool any_fits(const cJSON *list, const cJSON *v, const char *where_at)
{
	const cJSON *one;

	(void)where_at;
	cJSON_ArrayForEach(one, list) if (fits(one, v, NULL)) return true;
	return false;
}

static bool items_fit(const cJSON *schema, const cJSON *v, const char *where_at)
{
	const cJSON *one;

	cJSON_ArrayForEach(one, v) if (!fits(schema, one, where_at)) return false;
	return true;
}

/* JSON Schema, as far as the description uses it; what it does not know fails. */
static bool fits(const cJSON *schema, const cJSON *v, const char *where_at)
{
	const cJSON *k;
	bool ok = true;

	cJSON_ArrayForEach(k, schema)
	{
		const char *key = k->string;

		if (strcmp(key, "$ref") == 0)
			ok = fits(resolve(k->valuestring), v, where_at);
		else if (strcmp(key, "type") == 0)
			ok = type_fits(k, v);
		else if (strcmp(key, "enum") == 0)
			ok = enum_fits(k, v);
		else if (strcmp(key, "anyOf") == 0)
			ok = any_fits(k, v, where_at);
		else if (strcmp(key, "items") == 0)
			ok = !cJSON_IsArray(v) || items_fit(k, v, where_at);
		else if (strcmp(key, "minimum") == 0)
			ok = !cJSON_IsNumber(v) || v->valuedouble >= k->valuedouble;
		else if (strcmp(key, "maximum") == 0)
			ok = !cJSON_IsNumber(v) || v->valuedouble <= k->valuedouble;
		else if (strcmp(key, "properties") == 0)
			ok = !cJSON_IsObject(v) || object_fits(schema, v, where_at);
		else
			ok = strcmp(key, "description") == 0 || strcmp(key, "required") == 0 ||
			     strcmp(key, "additionalProperties") == 0;
		if (!ok) {
			complain(where_at, "does not fit", key);
			return false;
		}
	}
	return true;
}

static void read_spec(void)
{
	const struct answer *a = ask("GET", "/v1/openapi.json", "", "");

	CHECK_EQ(a->status, 200);
	spec = cJSON_ParseWithLength(a->body, a->body_len);
	STOP_AFTER_OOM();
	CHECK(spec);
}

/* Does what the description says of this answer hold? Notes that the status was seen. */
static void check_answer(const char *template, const char *method, const struct answer *a)
{
	const cJSON *op = at(resolve("#/paths"), "");
	char code[8], lower[8];
	cJSON *response;
	const cJSON *ref, *content, *v;

	for (size_t i = 0; i <= strlen(method); i++)
		lower[i] =
			(char)(method[i] >= 'A' && method[i] <= 'Z' ? method[i] + 32 : method[i]);
	(void)sl_fmt(code, sizeof(code), "%d", a->status);
	op = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(op, template),
					      lower);
	response = cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(op, "responses"), code);
	if (!response)
		sl_test_failed(__FILE__, __LINE__, "%s %s: %s is not described: %s", method,
			       template, code, a->body);
	ref = cJSON_GetObjectItemCaseSensitive(response, "$ref");
	content = cJSON_GetObjectItemCaseSensitive(ref ? resolve(ref->valuestring) : response,
						   "content");
	if (!has(response, "seen"))
		(void)cJSON_AddTrueToObject(response, "seen");
	STOP_AFTER_OOM();
	if (!content) {
		CHECK_EQ(a->body_len, 0);
		return;
	}
	CHECK_STR(content->child->string, answer_header(a, "Content-Type"));
	v = tree_of(a);
	if (!fits(at(content->child, "schema"), v, template))
		sl_test_failed(__FILE__, __LINE__, "%s %s: %s", method, template, a->body);
}

/* What a template's {id} stands for at the moment. */
static const char *some_id;

static void fill_in(const char *template, char *out, size_t cap)
{
	struct sl_buf b = sl_buf(out, cap);

	for (; *template; template ++)
		if (strncmp(template, "{room}", 6) == 0) {
			sl_buf_z(&b, "studio");
			template += 5;
		} else if (strncmp(template, "{participant}", 13) == 0) {
			sl_buf_z(&b, "ann");
			template += 12;
		} else if (strncmp(template, "{id}", 4) == 0) {
			sl_buf_z(&b, some_id);
			template += 3;
		} else {
			sl_buf_char(&b, *template);
		}
	CHECK(!b.full);
}

/* One request, whose answer must have that status and be as described. tail: what follows the
 * path; instead: another path. */
static void probe(const char *method, const char *template, const char *instead,
		  const char *headers, const char *body, int want)
{
	const struct answer *a;
	char path[256];

	fill_in(instead ? instead : template, path, sizeof(path));
	a = ask(method, path, headers, body);
	if (a->status != want)
		sl_test_failed(__FILE__, __LINE__, "%s %s: %d, want %d: %s", method, path,
			       a->status, want, a->body);
	check_answer(template, method, a);
}

static void probe_bodies(const char *method, const char *template, const char *good, int want)
{
	static char big[70000];

	memset(big, ' ', sizeof(big) - 1);
	probe(method, template, NULL, JSON_TYPE, "{", 400);
	probe(method, template, NULL, JSON_TYPE, "{\"colour\":1}", 422);
	probe(method, template, NULL, "Content-Type: text/plain\r\n", "{}", 415);
	probe(method, template, NULL, JSON_TYPE, big, 413);
	probe(method, template, NULL, JSON_TYPE, good, want);
}

#define ROOM_PATH "/v1/rooms/{room}"
#define PEOPLE ROOM_PATH "/participants"
#define PERSON PEOPLE "/{participant}"

static void probe_rooms(void)
{
	probe("GET", "/v1/rooms", NULL, "", "", 200);
	probe("GET", "/v1/rooms", "/v1/rooms?limit=0", "", "", 400);
	probe("GET", ROOM_PATH, NULL, "", "", 200);
	probe("GET", ROOM_PATH, "/v1/rooms/none", "", "", 404);
	probe("GET", ROOM_PATH, "/v1/rooms/%C2%85", "", "", 400);
	probe_bodies("PUT", ROOM_PATH, "{}", 200);
	probe("PUT", ROOM_PATH, "/v1/rooms/new", JSON_TYPE,
	      "{\"publishers\":[\"ann\"],\"linger_ms\":1000}", 201);
	probe("PUT", ROOM_PATH, NULL, JSON_TYPE "If-Match: \"x\"\r\n", "{}", 412);
	probe_bodies("PATCH", ROOM_PATH, "{\"capacity\":9}", 200);
	probe("PATCH", ROOM_PATH, NULL, JSON_TYPE "If-Match: \"x\"\r\n", "{}", 412);
	probe("PATCH", ROOM_PATH, "/v1/rooms/none", JSON_TYPE, "{}", 404);
	probe("DELETE", ROOM_PATH, "/v1/rooms/new", "", "", 204);
	probe("DELETE", ROOM_PATH, "/v1/rooms/new", "", "", 404);
	probe("DELETE", ROOM_PATH, "/v1/rooms/%C2%85", "", "", 400);
	probe("GET", ROOM_PATH "/join", NULL, "", "", 426);
	probe("GET", ROOM_PATH "/join", NULL, "Upgrade: websocket\r\n", "", 400);
	rig.conf.rooms.max = 1;
	probe("PUT", ROOM_PATH, "/v1/rooms/more", JSON_TYPE, "{}", 503);
	rig.conf.rooms.max = 16;
}

static void probe_people(void)
{
	probe("GET", PEOPLE, NULL, "", "", 200);
	probe("GET", PEOPLE, "/v1/rooms/studio/participants?x=y", "", "", 400);
	probe("GET", PEOPLE, "/v1/rooms/none/participants", "", "", 404);
	probe("GET", PERSON, NULL, "", "", 200);
	probe("GET", PERSON, "/v1/rooms/studio/participants/none", "", "", 404);
	probe("GET", PERSON, "/v1/rooms/studio/participants/%C2%85", "", "", 400);
	probe("GET", PERSON "/tracks", NULL, "", "", 200);
	probe("GET", PERSON "/tracks", "/v1/rooms/studio/participants/none/tracks", "", "", 404);
	probe("GET", PERSON "/tracks", "/v1/rooms/studio/participants/%C2%85/tracks", "", "", 400);
	probe("DELETE", PERSON, "/v1/rooms/studio/participants/bob", "", "", 204);
	probe("DELETE", PERSON, "/v1/rooms/studio/participants/bob", "", "", 404);
	probe("DELETE", PERSON, "/v1/rooms/studio/participants/%C2%85", "", "", 400);
}

/* Things with an id whose numbers a loop has. */
static void probe_thing(const char *template, const char *body)
{
	char none[64];

	(void)sl_fmt(none, sizeof(none), "%.*s0123456789012345678901", (int)(strlen(template) - 4),
		     template);
	probe("GET", template, NULL, "", "", 200);
	probe("GET", template, none, "", "", 404);
	probe_bodies("PATCH", template, body, 200);
	probe("PATCH", template, none, JSON_TYPE, body, 404);
	rig.core.refuse = SL_EBUSY;
	probe("GET", template, NULL, "", "", 503);
	rig.core.refuse = 0;
}

static void probe_things(void)
{
	static char session_id[64];

	some_id = id_of(where, true, 1);
	probe_thing("/v1/tracks/{id}", "{\"muted\":true}");
	rig.core.refuse = SL_EBUSY;
	probe("PATCH", "/v1/tracks/{id}", NULL, JSON_TYPE, "{\"muted\":true}", 503);
	rig.core.refuse = 0;
	some_id = id_of(where2, false, 1);
	probe_thing("/v1/subscriptions/{id}", "{\"paused\":true}");
	rig.core.refuse = SL_EBUSY;
	probe("PATCH", "/v1/subscriptions/{id}", NULL, JSON_TYPE, "{\"paused\":true}", 503);
	rig.core.refuse = 0;
	(void)sl_fmt(session_id, sizeof(session_id), "%s", where2 + strlen("/sessions/"));
	some_id = session_id;
	probe_thing("/v1/sessions/{id}", "{\"max_video_bps\":1000000}");
	probe("DELETE", "/v1/sessions/{id}", NULL, "", "", 204);
	probe("DELETE", "/v1/sessions/{id}", NULL, "", "", 404);
	probe("GET", "/v1/sessions/{id}", NULL, "", "", 200);
	probe("GET", "/v1/sessions", NULL, "", "", 200);
	probe("GET", "/v1/sessions", "/v1/sessions?state=closed&limit=5", "", "", 200);
	probe("GET", "/v1/sessions", "/v1/sessions?state=x", "", "", 400);
	probe("GET", "/v1/loops", NULL, "", "", 200);
	probe("GET", "/v1/config", NULL, "", "", 200);
	probe_bodies("PATCH", "/v1/config", "{\"publish.max_video_bps\":1}", 200);
}

/* Every status of the description but those that a token, or only a lack of memory, brings about:
 * the latter are what the runs with failing allocations see. */
static void check_all_seen(void)
{
	const cJSON *path, *op, *response;

	cJSON_ArrayForEach(path, at(spec, "paths")) cJSON_ArrayForEach(op, path)
		cJSON_ArrayForEach(response, at(op, "responses"))
	{
		int code = (int)strtol(response->string, NULL, 10);

		if (has(response, "seen") || code == 401 || code == 403 || code == 503 ||
		    code == 101)
			continue;
		if (strcmp(path->string, "/v1/events") == 0)
			continue;
		sl_test_failed(__FILE__, __LINE__, "%s %s: no %d was seen", op->string,
			       path->string, code);
	}
}

TEST(every_path_answers_every_status_as_it_is_described)
{
	REST_RIG();
	read_spec();
	CHECK_STR(text(spec, "openapi"), "3.1.0");
	publish("/whip/studio?participant=ann", where, tag);
	publish("/whip/studio?participant=bob", where2, tag);
	play("/whep/studio/ann", 1, 1, where2, tag);
	rig.core.stats_reply.tracks[0].id = core_id_of(where, 1);
	rig.core.stats_reply.tracks[1].id = core_id_of(where2, 1);
	rig.core.stats_reply.tracks[1].publish = false;
	probe_rooms();
	probe_people();
	probe_things();
	probe("DELETE", ROOM_PATH, NULL, "", "", 204);
	check_all_seen();
}

/* An upper-case method of the description. */
static const char *upper(const char *method)
{
	static char out[8];
	size_t i = 0;

	for (; method[i]; i++)
		out[i] = (char)(method[i] - 32);
	out[i] = 0;
	return out;
}

TEST(no_path_opens_without_a_token_or_with_one_of_another_room)
{
	static const char auth[] = "Authorization: Bearer secret-of-the-operator\r\n";
	const cJSON *path, *op;
	const struct answer *a;
	int count = 0;

	rig_init();
	(void)sl_fmt(rig.conf.http.token, SL_CONFIG_TEXT_MAX, "secret-of-the-operator");
	set_hooks();
	DEFER(rig_stop, NULL);
	DEFER(drop_trees, NULL);
	TRY(rig_start());
	some_id = "0123456789012345678901";
	CHECK_EQ(ask("GET", "/v1/openapi.json", "", "")->status, 401);
	a = ask("GET", "/v1/openapi.json", auth, "");
	CHECK_EQ(a->status, 200);
	spec = cJSON_ParseWithLength(a->body, a->body_len);
	STOP_AFTER_OOM();
	cJSON_ArrayForEach(path, at(spec, "paths")) cJSON_ArrayForEach(op, path)
	{
		const char *method = upper(op->string);
		char target[256];
		int code;

		/* Joining has tests of its own. */
		if (strstr(path->string, "/join"))
			continue;
		fill_in(path->string, target, sizeof(target));
		code = ask(method, target, "", strcmp(method, "PUT") == 0 ? "{}" : "")->status;
		if (code != 401)
			sl_test_failed(__FILE__, __LINE__, "%s %s: %d", method, target, code);
		count++;
	}
	CHECK_EQ(count, 21);
	CHECK_EQ(ask("GET", "/v1/rooms", auth, "")->status, 200);
}

/* The id of a session is what WHIP gives its client; under /v1 it is a name and no key. */
TEST(t50_a_sessions_id_is_no_credential)
{
	static const char auth[] = "Authorization: Bearer secret-of-the-operator\r\n";
	char with_sdp[160];
	const struct answer *a;

	rig_init();
	(void)sl_fmt(rig.conf.http.token, SL_CONFIG_TEXT_MAX, "secret-of-the-operator");
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	(void)sl_fmt(with_sdp, sizeof(with_sdp), "%s%s", auth, SDP_HEADERS);
	a = ask("POST", "/whip/studio", with_sdp, offer("sendonly", 1, 0));
	CHECK_EQ(a->status, 201);
	(void)sl_fmt(where, sizeof(where), "%s", answer_header(a, "Location"));
	CHECK_EQ(ask("GET", path_to("/v1", where), "", "")->status, 401);
	CHECK_EQ(ask("DELETE", path_to("/v1", where), "", "")->status, 401);
	CHECK_EQ(ask("DELETE", where, "", "")->status, 401);
	CHECK_EQ(fake_core_open_count(&rig.core), 1);
}
