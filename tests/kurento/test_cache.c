/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_cache.c — who asks the same again is not served twice. */
#include "tests/kurento/peer.h"

/* The same request by another connection, or again. */
static const cJSON *repeat(struct peer *p, const char *session, int id, const char *type)
{
	char text[512];

	(void)sl_fmt(text, sizeof(text),
		     "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"create\",\"params\":{\"type\":\"%"
		     "s\",\"sessionId\":\"%s\"}}",
		     id, type, session);
	peer_say(p, text);
	STOP_AFTER_OOM();
	CHECK_EQ(p->n, 1);
	return peer_take(p);
}

TEST(the_same_request_of_a_session_gets_the_same_answer_for_20_s)
{
	char id[256], session[37];
	struct peer *p, *q;

	WORLD();
	p = peer_new();
	(void)call(p, "describe", "'object':'manager_ServerManager'");
	(void)sl_fmt(session, sizeof(session), "%s", p->session);
	(void)peer_take(p);
	(void)sl_fmt(id, sizeof(id), "%s",
		     str_at(repeat(p, session, 7, "MediaPipeline"), "result", "value"));
	CHECK_STR(str_at(repeat(p, session, 7, "MediaPipeline"), "result", "value"), id);
	peer_close(p);
	q = peer_new();
	world_wait(20 * SL_SEC - 1);
	CHECK_STR(str_at(repeat(q, session, 7, "MediaPipeline"), "result", "value"), id);
	/* Under another id it is another request. */
	CHECK(strcmp(str_at(repeat(q, session, 8, "MediaPipeline"), "result", "value"), id) != 0);
	CHECK_EQ(kms_object_count(world.k), 2);
	world_wait(1);
	CHECK(strcmp(str_at(repeat(q, session, 7, "MediaPipeline"), "result", "value"), id) != 0);
	CHECK_EQ(kms_object_count(world.k), 3);
	/* Errors are answers. */
	CHECK_EQ(at(repeat(q, session, 9, "Nonsense"), "error", "code", NULL)->valuedouble, 40108);
	CHECK_EQ(at(repeat(q, session, 9, "MediaPipeline"), "error", "code", NULL)->valuedouble,
		 40108);
	world_wait(20 * SL_SEC);
	CHECK_EQ(world.k->rpc->cached.count, 0);
	CHECK_EQ(world.k->rpc->cached_bytes, 0);
}

TEST(the_requests_of_another_session_are_others)
{
	struct peer *p, *q;

	WORLD();
	p = peer_new();
	q = peer_new();
	CHECK_EQ(call_code(p, "create", "'type':'MediaPipeline'"), 0);
	CHECK_EQ(call_code(q, "create", "'type':'MediaPipeline'"), 0);
	CHECK_EQ(kms_object_count(world.k), 2);
}

TEST(a_string_and_a_number_are_different_ids)
{
	struct peer *p;

	WORLD();
	p = peer_new();
	peer_say(p, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"create\",\"params\":{\"type\":"
		    "\"MediaPipeline\"}}");
	peer_say(p, "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"create\",\"params\":{\"type\":"
		    "\"MediaPipeline\"}}");
	STOP_AFTER_OOM();
	CHECK_EQ(kms_object_count(world.k), 2);
}

TEST(the_cache_can_be_turned_off)
{
	struct peer *p;

	WORLD();
	world.k->set.no_cache = true;
	p = peer_new();
	for (int i = 0; i < 2; i++)
		peer_say(p, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"create\",\"params\":{"
			    "\"type\":\"MediaPipeline\"}}");
	STOP_AFTER_OOM();
	CHECK_EQ(kms_object_count(world.k), 2);
}

#define SLOW                                                                                       \
	"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"invoke\",\"params\":{\"object\":\"manager_"    \
	"ServerManager\","                                                                         \
	"\"operation\":\"getUsedCpu\",\"operationParams\":{\"interval\":100},\"sessionId\":\"%"    \
	"s\"}}"

TEST(who_asks_while_the_answer_is_being_made_gets_the_same_one)
{
	char text[300], session[37];
	struct peer *p, *q;

	WORLD();
	p = peer_new();
	q = peer_new();
	(void)call(p, "describe", "'object':'manager_ServerManager'");
	(void)peer_take(p);
	(void)sl_fmt(session, sizeof(session), "%s", p->session);
	(void)sl_fmt(text, sizeof(text), SLOW, session);
	peer_say(p, text);
	peer_say(p, text);
	peer_say(q, text);
	STOP_AFTER_OOM();
	CHECK_EQ(world.k->rpc->call_count, 1);
	world_wait(100 * SL_MS);
	STOP_AFTER_OOM();
	CHECK_EQ(p->n, 2);
	CHECK_EQ(q->n, 1);
	(void)sl_fmt(text, sizeof(text), "%s", text_of(p->got[0]));
	CHECK_STR(text_of(p->got[1]), text);
	CHECK_STR(text_of(q->got[0]), text);
}

TEST(who_lost_its_connection_finds_the_answer_when_it_comes_back)
{
	char text[300], session[37];
	struct peer *p;

	WORLD();
	p = peer_new();
	(void)call(p, "describe", "'object':'manager_ServerManager'");
	(void)sl_fmt(session, sizeof(session), "%s", p->session);
	(void)sl_fmt(text, sizeof(text), SLOW, session);
	peer_say(p, text);
	STOP_AFTER_OOM();
	peer_close(p);
	world_wait(1 * SL_SEC);
	p = peer_new();
	peer_say(p, text);
	STOP_AFTER_OOM();
	CHECK_EQ(p->n, 1);
	CHECK(cJSON_IsNumber(at(p->got[0], "result", "value", NULL)));
	/* One who waits and goes away is no trouble. */
	(void)sl_fmt(text, sizeof(text), SLOW, session);
	text[strcspn(text, "5")] = '6';
	peer_say(p, text);
	peer_say(p, text);
	peer_close(p);
	world_wait(1 * SL_SEC);
	CHECK_EQ(world.k->rpc->call_count, 0);
}

TEST(the_cache_is_bounded_in_bytes)
{
	struct peer *p;

	WORLD();
	p = peer_new();
	for (int i = 0; i < 400; i++) {
		CHECK_EQ(call_code(p, "invoke",
				   "'object':'manager_ServerManager','operation':'getKmd','"
				   "operationParams':{'moduleName':'core'}"),
			 0);
		STOP_AFTER_OOM();
	}
	CHECK(world.k->rpc->cached_bytes <= 16 << 20);
	CHECK(world.k->rpc->cached.count < 400);
	CHECK(world.k->rpc->cached.count > 50);
}
