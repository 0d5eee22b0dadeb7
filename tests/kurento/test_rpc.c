/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_rpc.c — what a message gets for an answer. */
#include "tests/kurento/peer.h"

TEST(a_ping_gets_pong_and_no_session_before_there_is_one)
{
	struct peer *p;

	WORLD();
	p = peer_new();
	peer_say(p, "{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"params\":{\"interval\":5000},\"id\":0}");
	STOP_AFTER_OOM();
	CHECK_STR(text_of(peer_take(p)), "{\"id\":0,\"jsonrpc\":\"2.0\",\"result\":{\"value\":\"pong\"}}");
	peer_say(p, "{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"id\":\"a\\\"b\"}");
	STOP_AFTER_OOM();
	CHECK_STR(text_of(peer_take(p)), "{\"id\":\"a\\\"b\",\"jsonrpc\":\"2.0\",\"result\":{\"value\":\"pong\"}}");
	CHECK_EQ(world.k->rpc->session_count, 0);
}

TEST(the_manager_is_described_and_has_its_info_for_who_has_no_session)
{
	struct peer *p;
	const cJSON *a, *info;

	WORLD();
	p = peer_new();
	a = call(p, "describe", "'object':'manager_ServerManager'");
	CHECK_STR(str_at(a, "result", "type"), "ServerManager");
	CHECK_STR(str_at(a, "result", "qualifiedType"), "kurento.ServerManager");
	CHECK_STR(at(a, "result", "hierarchy", "0", NULL)->valuestring, "kurento.MediaObject");
	CHECK_EQ(strlen(p->session), 36);
	a = call(p, "invoke", "'object':'manager_ServerManager','operation':'getInfo'");
	info = at(a, "result", "value", NULL);
	CHECK_STR(str_at(info, "__type__", NULL), "ServerInfo");
	CHECK_STR(str_at(info, "type", NULL), "KMS");
	CHECK_STR(at(info, "modules", "0", "name", NULL)->valuestring, "core");
	CHECK_STR(at(info, "modules", "2", "name", NULL)->valuestring, "filters");
	CHECK_STR(at(info, "capabilities", "0", NULL)->valuestring, "transactions");
	CHECK_STR(str_at(a, "result", "sessionId"), p->session);
}

TEST(a_pipeline_is_made_used_and_released)
{
	char pipeline[256], element[256];
	struct peer *p;

	WORLD();
	p = peer_new();
	new_pipeline(p, pipeline);
	CHECK(strstr(pipeline, "_kurento.MediaPipeline") == pipeline + 36);
	new_element(p, "PassThrough", pipeline, element);
	CHECK(strncmp(element, pipeline, strlen(pipeline)) == 0 && element[strlen(pipeline)] == '/');
	CHECK(strstr(element, "_kurento.PassThrough"));
	CHECK_EQ(kms_object_count(world.k), 2);
	CHECK_STR(at(call(p, "invoke", "'object':'%s','operation':'getChildren'", pipeline), "result", "value", "0",
		     NULL)->valuestring,
		  element);
	CHECK_EQ(call_code(p, "release", "'object':'%s'", pipeline), 0);
	CHECK_EQ(kms_object_count(world.k), 0);
	CHECK_EQ(call_code(p, "release", "'object':'%s'", pipeline), 0);
	CHECK_EQ(call_code(p, "describe", "'object':'%s'", element), 40101);
}
