/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_session.c — who holds what, coming back, and the collection of those who do
 * not. */
#include "tests/kurento/peer.h"

#define PERIOD (240 * SL_SEC)

static struct peer *peer_with(const char *session)
{
	struct peer *p = peer_new();

	(void)sl_fmt(p->session, sizeof(p->session), "%s", session);
	return p;
}

TEST(connect_begins_a_session_or_finds_the_one_it_names)
{
	char session[37];
	const cJSON *a;
	struct peer *p, *q;

	WORLD();
	p = peer_new();
	a = call(p, "connect", "%s", "");
	CHECK_EQ(strlen(str_at(a, "result", "serverId")), 36);
	CHECK_EQ(strlen(p->session), 36);
	CHECK_EQ(p->session[14], '4');
	/* It exists once it holds something. */
	CHECK_EQ(call_code(p, "connect", "%s", ""), 40007);
	(void)call(p, "describe", "'object':'manager_ServerManager'");
	(void)sl_fmt(session, sizeof(session), "%s", p->session);
	a = call(p, "connect", "%s", "");
	CHECK_STR(str_at(a, "result", "sessionId"), session);
	CHECK_STR(str_at(a, "result", "serverId"), world.k->server_id);
	q = peer_with("00000000-0000-4000-8000-000000000000");
	a = call(q, "connect", "%s", "");
	CHECK_STR(text_of(a), "{\"error\":{\"code\":40007,\"data\":{\"type\":\"INVALID_SESSION\"},"
			      "\"message\":\"Invalid "
			      "session\"},\"id\":0,\"jsonrpc\":\"2.0\"}");
	CHECK_EQ(call_code(q, "keepAlive", "%s", ""), 40007);
	CHECK_EQ(call_code(p, "keepAlive", "%s", ""), 0);
}

TEST(who_comes_back_finds_objects_and_subscriptions)
{
	char pipeline[256], session[37], subscription[37];
	struct peer *p, *q;

	WORLD();
	p = peer_new();
	new_pipeline(p, pipeline);
	call_str(p, subscription, sizeof(subscription), "subscribe",
		 "'object':'manager_ServerManager','type':'ObjectCreated'");
	(void)sl_fmt(session, sizeof(session), "%s", p->session);
	peer_close(p);
	/* Lost while nobody is there. */
	q = peer_new();
	CHECK_EQ(call_code(q, "create", "'type':'MediaPipeline'"), 0);
	p = peer_with(session);
	CHECK_EQ(p->n, 0);
	CHECK_STR(str_at(call(p, "connect", "%s", ""), "result", "sessionId"), session);
	CHECK_EQ(call_code(p, "describe", "'object':'%s'", pipeline), 0);
	CHECK_EQ(call_code(q, "create", "'type':'MediaPipeline'"), 0);
	CHECK_STR(str_at(p->got[p->n - 1], "method", NULL), "onEvent");
}

TEST(the_newest_connection_has_the_session)
{
	char session[37];
	struct peer *p, *q, *r;

	WORLD();
	p = peer_new();
	(void)call(p, "subscribe", "'object':'manager_ServerManager','type':'ObjectCreated'");
	(void)sl_fmt(session, sizeof(session), "%s", p->session);
	q = peer_with(session);
	CHECK_EQ(call_code(q, "connect", "%s", ""), 0);
	r = peer_new();
	while (p->n)
		(void)peer_take(p);
	CHECK_EQ(call_code(r, "create", "'type':'MediaPipeline'"), 0);
	CHECK_EQ(p->n, 0);
	CHECK_STR(str_at(q->got[q->n - 1], "method", NULL), "onEvent");
	/* The end of the old one takes nothing away. */
	peer_close(p);
	CHECK_EQ(call_code(r, "create", "'type':'MediaPipeline'"), 0);
	CHECK_EQ(q->n, 3);
}

TEST(an_abandoned_session_ends_after_one_to_two_periods_and_its_objects_with_it)
{
	char pipeline[256], element[256];
	struct peer *p;

	WORLD();
	p = peer_new();
	new_pipeline(p, pipeline);
	new_element(p, "PassThrough", pipeline, element);
	/* As long as the connection stands nothing ends, said or unsaid. */
	world_wait(10 * PERIOD);
	CHECK_EQ(kms_object_count(world.k), 2);
	peer_close(p);
	world_wait(PERIOD - 1);
	CHECK_EQ(kms_object_count(world.k), 2);
	world_wait(PERIOD + 1);
	CHECK_EQ(kms_object_count(world.k), 0);
	CHECK_EQ(world.k->rpc->session_count, 0);
	CHECK(kms_next_us(world.k) == SL_NEVER);
}

TEST(who_comes_back_in_time_loses_nothing)
{
	char pipeline[256], session[37];
	struct peer *p;

	WORLD();
	p = peer_new();
	new_pipeline(p, pipeline);
	(void)sl_fmt(session, sizeof(session), "%s", p->session);
	for (int i = 0; i < 10; i++) {
		peer_close(p);
		world_wait(PERIOD - 1);
		p = peer_with(session);
		CHECK_EQ(call_code(p, "connect", "%s", ""), 0);
	}
	CHECK_EQ(call_code(p, "describe", "'object':'%s'", pipeline), 0);
}

TEST(an_object_that_two_sessions_hold_lives_until_both_are_gone)
{
	char pipeline[256], element[256];
	struct peer *p, *q;

	WORLD();
	p = peer_new();
	q = peer_new();
	new_pipeline(p, pipeline);
	new_element(p, "PassThrough", pipeline, element);
	CHECK_EQ(call_code(q, "describe", "'object':'%s'", pipeline), 0);
	CHECK_STR(text_of(call(p, "closeSession", "%s", "")),
		  "{\"id\":2,\"jsonrpc\":\"2.0\",\"result\":null}");
	CHECK_EQ(kms_object_count(world.k), 2);
	CHECK_EQ(call_code(q, "describe", "'object':'%s'", element), 0);
	CHECK_EQ(call_code(q, "unref", "'object':'%s'", element), 0);
	CHECK_EQ(kms_object_count(world.k), 1);
	CHECK_EQ(call_code(q, "unref", "'object':'%s'", pipeline), 0);
	CHECK_EQ(kms_object_count(world.k), 0);
	CHECK_EQ(call_code(q, "unref", "'object':'%s'", pipeline), 0);
	CHECK_EQ(call_code(q, "ref", "'object':'%s'", pipeline), 40101);
}

TEST(a_session_can_be_closed_with_all_that_it_holds)
{
	char pipeline[256];
	struct peer *p, *q;

	WORLD();
	p = peer_new();
	q = peer_new();
	new_pipeline(p, pipeline);
	CHECK_EQ(call_code(q, "describe", "'object':'%s'", pipeline), 0);
	CHECK_EQ(call_code(p, "closeSession", "'release':true"), 0);
	CHECK_EQ(kms_object_count(world.k), 0);
	CHECK_EQ(call_code(p, "connect", "%s", ""), 40007);
	/* One that is not there is as good as closed. */
	CHECK_EQ(call_code(p, "closeSession", "%s", ""), 0);
	CHECK_EQ(call_code(q, "describe", "'object':'%s'", pipeline), 40101);
}

TEST(an_unknown_session_id_opens_nothing_and_all_who_use_it_get_the_same_new_one)
{
	char first[37], pipeline[256];
	struct peer *p;

	WORLD();
	p = peer_with("made-up");
	new_pipeline(p, pipeline);
	CHECK_EQ(strlen(p->session), 36);
	(void)sl_fmt(first, sizeof(first), "%s", p->session);
	(void)sl_fmt(p->session, sizeof(p->session), "made-up");
	CHECK_EQ(call_code(p, "describe", "'object':'%s'", pipeline), 0);
	CHECK_STR(p->session, first);
	CHECK_EQ(world.k->rpc->session_count, 1);
}

TEST(a_session_that_held_nothing_ends_with_its_connection)
{
	struct peer *p;

	WORLD();
	p = peer_new();
	(void)call(p, "connect", "%s", "");
	CHECK_EQ(world.k->rpc->session_count, 1);
	peer_close(p);
	CHECK_EQ(world.k->rpc->session_count, 0);
}

TEST(t50_the_sessions_of_a_connection_and_of_the_server_are_bounded)
{
	static const char connect[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"connect\"}";
	char pipeline[256];
	struct peer *p, *q;

	WORLD();
	p = peer_new();
	for (int i = 0; i < 300; i++) {
		peer_say(p, connect);
		STOP_AFTER_OOM();
		(void)peer_take(p);
	}
	CHECK_EQ(world.k->rpc->session_count, 1);
	for (int i = 0; i < 300; i++) {
		peer_say(p, connect);
		p->session[0] = 0;
		(void)call(p, "describe", "'object':'manager_ServerManager'");
		while (p->n)
			(void)peer_take(p);
	}
	CHECK_EQ(world.k->rpc->session_count, KMS_PEER_SESSIONS_MAX);
	peer_close(p);
	/* Those hold nothing, and make room. */
	world.k->set.max_sessions = KMS_PEER_SESSIONS_MAX;
	for (int i = 0; i < 5; i++) {
		q = peer_new();
		new_pipeline(q, pipeline);
	}
	CHECK_EQ(world.k->rpc->session_count, KMS_PEER_SESSIONS_MAX);
}

TEST(t50_a_full_server_begins_no_session_and_ends_none_that_holds_something)
{
	char pipeline[256];
	struct peer *p;

	WORLD();
	world.k->set.max_sessions = 2;
	for (int i = 0; i < 2; i++) {
		p = peer_new();
		new_pipeline(p, pipeline);
		peer_close(p);
	}
	p = peer_new();
	CHECK_EQ(call_code(p, "create", "'type':'MediaPipeline'"), 40009);
	CHECK_EQ(call_code(p, "connect", "%s", ""), 40009);
	CHECK_EQ(call_code(p, "ping", "%s", ""), 0);
	CHECK_EQ(kms_object_count(world.k), 2);
}

TEST(a_thousand_pipelines_come_and_go_twenty_times_and_leave_nothing)
{
	static char ids[1000][256];
	struct sl_mem_stat before = {0};
	struct peer *p;

	WORLD();
	if (sl_test_oom_fired())
		sl_test_oom_stop();
	world.k->set.no_cache = true;
	world.k->set.session_creates_per_s = 0;
	p = peer_new();
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 1000; i++) {
			new_pipeline(p, ids[i]);
			CHECK_EQ(call_code(p, "subscribe", "'object':'%s','type':'Error'", ids[i]),
				 0);
		}
		CHECK_EQ(kms_object_count(world.k), 1000);
		for (int i = 0; i < 1000; i++)
			CHECK_EQ(call_code(p, "release", "'object':'%s'", ids[i]), 0);
		CHECK_EQ(kms_object_count(world.k), 0);
		if (round == 0)
			before = sl_mem_stat();
	}
	CHECK_EQ(sl_mem_stat().live, before.live);
}
