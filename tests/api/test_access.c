/* SPDX-License-Identifier: Apache-2.0 — which token opens which path. */
#include "tests/api/rig.h"
#include <time.h>

static const char key[] = "a key of the tests, long enough";
static char where[64], tag[64];

static void rig_with(const char *token, const char *jwt_key)
{
	rig_init();
	DEFER(rig_stop, NULL);
	(void)sl_fmt(rig.conf.http.token, SL_CONFIG_TEXT_MAX, "%s", token);
	(void)sl_fmt(rig.conf.http.jwt_key, SL_CONFIG_TEXT_MAX, "%s", jwt_key);
	TRY(rig_start());
}

/* The header line of a token for that room, participant and rights. */
static const char *bearer(const char *room, const char *participant, const char *rights)
{
	static char line[4400];
	char token[4200];
	struct sl_core_why why;

	TRY(sl_api_make_token(&rig.conf, room, participant, rights, 60,
			      (int64_t)time(NULL) * SL_SEC, token, sizeof(token), &why));
	(void)sl_fmt(line, sizeof(line), SDP_HEADERS "Authorization: Bearer %s\r\n", token);
	return line;
}

static int status(const char *method, const char *path, const char *headers, const char *body)
{
	int n = ask(method, path, headers, body)->status;

	STOP_AFTER_OOM();
	return n;
}

TEST(a_join_token_publishes_in_its_room_as_its_participant_and_nowhere_else)
{
	static const struct {
		const char *path, *room, *rights;
		int want;
	} rows[] = {
		{"/whip/studio", "studio", "publish", 201},
		{"/whip/studio?participant=ann", "studio", "publish,subscribe", 201},
		{"/whip/studio?participant=bob", "studio", "publish", 403},
		{"/whip/other", "studio", "publish", 403},
		{"/whip/studio", "studio", "subscribe", 403},
		{"/whip/studio", "studio", "admin", 403},
		{"/whep/studio", "studio", "publish", 403},
		{"/metrics", "studio", "publish,subscribe,admin", 403},
	};

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		bool get = rows[i].path[1] == 'm';

		rig_with("", key);
		CHECK_EQ(status(get ? "GET" : "POST", rows[i].path,
				bearer(rows[i].room, "ann", rows[i].rights),
				get ? "" : offer("sendonly", 1, 1)),
			 rows[i].want);
		rig_stop(NULL);
	}
}

TEST(a_join_token_names_the_participant_it_publishes_as)
{
	rig_with("", key);
	CHECK_EQ(status("POST", "/whip/studio", bearer("studio", "ann", "publish"),
			offer("sendonly", 1, 1)),
		 201);
	CHECK(api_room_publisher(api_room_find(rig.api, "studio"), "ann") != NULL);
}

TEST(a_join_token_subscribes_with_the_right_to)
{
	rig_with("", key);
	CHECK_EQ(status("POST", "/whep/studio", bearer("studio", "ann", "subscribe"),
			offer("recvonly", 1, 1)),
		 201);
}

TEST(t50_a_session_is_changed_only_by_the_token_that_made_it_or_the_static_one)
{
	const struct answer *a;
	char headers[4600];

	rig_with("static secret", key);
	a = ask("POST", "/whip/studio", bearer("studio", "ann", "publish"),
		offer("sendonly", 1, 1));
	STOP_AFTER_OOM();
	CHECK_EQ(a->status, 201);
	(void)sl_fmt(where, sizeof(where), "%s", answer_header(a, "Location"));
	(void)sl_fmt(tag, sizeof(tag), "%s", answer_header(a, "ETag"));
	CHECK_EQ(status("DELETE", where, "", ""), 401);
	CHECK_EQ(status("DELETE", where, bearer("studio", "bob", "publish,subscribe,admin"), ""),
		 403);
	CHECK_EQ(status("DELETE", where, bearer("other", "ann", "publish"), ""), 403);
	CHECK_EQ(status("DELETE", "/sessions/AAAAAAAAAAAAAAAAAAAAAA",
			bearer("studio", "bob", "publish"), ""),
		 404);
	(void)sl_fmt(headers, sizeof(headers), "%s", bearer("studio", "ann", "publish"));
	CHECK_EQ(status("DELETE", where, headers, ""), 200);
	a = ask("POST", "/whip/studio", bearer("studio", "ann", "publish"),
		offer("sendonly", 1, 1));
	STOP_AFTER_OOM();
	(void)sl_fmt(where, sizeof(where), "%s", answer_header(a, "Location"));
	CHECK_EQ(status("DELETE", where, "Authorization: Bearer static secret\r\n", ""), 200);
}

TEST(a_token_may_come_in_the_query)
{
	char path[4400];
	const char *line;

	rig_with("", key);
	line = bearer("studio", "ann", "publish") + strlen(SDP_HEADERS "Authorization: Bearer ");
	(void)sl_fmt(path, sizeof(path), "/whip/studio?access_token=%.*s", (int)strcspn(line, "\r"),
		     line);
	CHECK_EQ(status("POST", path, SDP_HEADERS, offer("sendonly", 1, 1)), 201);
	(void)sl_fmt(path, sizeof(path), "/whip/studio?access_token=wrong");
	CHECK_EQ(status("POST", path, SDP_HEADERS, offer("sendonly", 1, 1)), 401);
}

TEST(with_a_key_of_join_tokens_nothing_but_health_and_the_page_goes_without)
{
	rig_with("", key);
	CHECK_EQ(status("GET", "/healthz", "", ""), 200);
	CHECK_EQ(status("GET", "/readyz", "", ""), 200);
	CHECK_EQ(status("GET", "/", "", ""), 200);
	CHECK_EQ(status("OPTIONS", "/whip/studio", "", ""), 204);
	CHECK_EQ(status("GET", "/metrics", "", ""), 401);
	CHECK_EQ(status("POST", "/whip/studio", SDP_HEADERS, offer("sendonly", 1, 1)), 401);
	CHECK_EQ(status("POST", "/whip/studio", SDP_HEADERS "Authorization: Bearer a.b.c\r\n",
			offer("sendonly", 1, 1)),
		 401);
}

TEST(a_token_is_made_only_of_names_rights_and_a_key_that_can_be)
{
	static const struct {
		const char *room, *participant, *rights, *key, *want;
	} rows[] = {
		{"a/b", "ann", "publish", key, "--room"},
		{"studio", "", "publish", key, "--participant"},
		{"studio", "ann", "rule", key, "--rights"},
		{"studio", "ann", "publish", "", "set http.jwt_key"},
	};
	char token[4200];

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		static struct sl_config conf;
		struct sl_core_why why = {{0}};
		int err;

		sl_config_defaults(&conf);
		(void)sl_fmt(conf.http.jwt_key, SL_CONFIG_TEXT_MAX, "%s", rows[i].key);
		err = sl_api_make_token(&conf, rows[i].room, rows[i].participant, rows[i].rights,
					60, SL_SEC, token, sizeof(token), &why);
		CHECK(err < 0);
		if (err == SL_ENOMEM)
			TRY(err);
		CHECK(strstr(why.text, rows[i].want) == why.text);
	}
}
