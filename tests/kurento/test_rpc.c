/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_rpc.c — what a message gets for an answer. */
#include "tests/kurento/peer.h"

/* What one message gets, whole. */
static const char *said(struct peer *p, const char *message)
{
	const cJSON *answer;

	peer_say(p, message);
	STOP_AFTER_OOM();
	answer = peer_take(p);
	CHECK(answer);
	CHECK_EQ(p->n, 0);
	return text_of(answer);
}

TEST(a_ping_gets_pong_and_no_session_before_there_is_one)
{
	struct peer *p;

	WORLD();
	p = peer_new();
	CHECK_STR(said(p, "{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"params\":{\"interval\":5000},"
			  "\"id\":0}"),
		  "{\"id\":0,\"jsonrpc\":\"2.0\",\"result\":{\"value\":\"pong\"}}");
	CHECK_STR(said(p, "{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"id\":\"a\\\"b\"}"),
		  "{\"id\":\"a\\\"b\",\"jsonrpc\":\"2.0\",\"result\":{\"value\":\"pong\"}}");
	CHECK_EQ(world.k->rpc->session_count, 0);
	(void)call(p, "describe", "'object':'manager_ServerManager'");
	CHECK_STR(str_at(call(p, "ping", "%s", ""), "result", "sessionId"), p->session);
}

TEST(what_is_no_request_is_told_so_without_an_id)
{
	static const char *const none[] = {
		"[]",
		"[{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"id\":1}]",
		"\"ping\"",
		"{}",
		"{\"method\":\"ping\",\"id\":1}",
		"{\"jsonrpc\":\"1.0\",\"method\":\"ping\",\"id\":1}",
		"{\"jsonrpc\":\"2.0\",\"id\":1}",
		"{\"jsonrpc\":\"2.0\",\"method\":5,\"id\":1}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"id\":{}}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"id\":true}",
	};
	struct peer *p;

	WORLD();
	p = peer_new();
	for (size_t i = 0; i < SL_COUNT(none); i++)
		CHECK_STR(said(p, none[i]),
			  "{\"error\":{\"code\":-32600,\"message\":\"Invalid JSON-RPC "
			  "request.\"},\"id\":null,\"jsonrpc\":\"2.0\"}");
	CHECK_STR(said(p, "{\"jsonrpc\":"), "{\"error\":{\"code\":-32700,\"message\":\"Parse "
					    "error.\"},\"id\":null,\"jsonrpc\":\"2.0\"}");
	CHECK_STR(said(p, ""), "{\"error\":{\"code\":-32700,\"message\":\"Parse "
			       "error.\"},\"id\":null,\"jsonrpc\":\"2.0\"}");
}

TEST(a_method_that_is_none_and_parameters_that_are_missing_have_codes_of_their_own)
{
	struct peer *p;

	WORLD();
	p = peer_new();
	CHECK_STR(said(p, "{\"jsonrpc\":\"2.0\",\"method\":\"fly\",\"params\":{},\"id\":1}"),
		  "{\"error\":{\"code\":-32601,\"message\":\"Method not "
		  "found.\"},\"id\":1,\"jsonrpc\":\"2.0\"}");
	CHECK_STR(said(p, "{\"jsonrpc\":\"2.0\",\"method\":\"create\",\"id\":2}"),
		  "{\"error\":{\"code\":-32602,\"data\":{\"type\":\"INVALID_PARAMS\"},\"message\":"
		  "\"'params' is "
		  "required\"},\"id\":2,\"jsonrpc\":\"2.0\"}");
	CHECK_STR(said(p, "{\"jsonrpc\":\"2.0\",\"method\":\"invoke\",\"params\":[],\"id\":2}"),
		  "{\"error\":{\"code\":-32602,\"data\":{\"type\":\"INVALID_PARAMS\"},\"message\":"
		  "\"'params' is "
		  "required\"},\"id\":2,\"jsonrpc\":\"2.0\"}");
	CHECK_STR(said(p, "{\"jsonrpc\":\"2.0\",\"method\":\"invoke\",\"params\":{},\"id\":3}"),
		  "{\"error\":{\"code\":-32000,\"message\":\"'object' parameter is "
		  "required\"},\"id\":3,\"jsonrpc\":"
		  "\"2.0\"}");
	CHECK_STR(said(p, "{\"jsonrpc\":\"2.0\",\"method\":\"describe\",\"params\":{\"object\":5},"
			  "\"id\":4}"),
		  "{\"error\":{\"code\":-32000,\"message\":\"'object' parameter should be a "
		  "string\"},\"id\":4,\"jsonrpc\":\"2.0\"}");
	CHECK_EQ(call_code(p, "create", "%s", ""), -32000);
	CHECK_EQ(call_code(p, "subscribe", "'object':'manager_ServerManager'"), -32000);
	CHECK_EQ(call_code(p, "unsubscribe", "'object':'manager_ServerManager'"), -32000);
	CHECK_EQ(call_code(p, "invoke", "'object':'manager_ServerManager'"), -32000);
	CHECK_EQ(call_code(p, "transaction", "%s", ""), -32000);
	CHECK_EQ(call_code(p, "transaction", "'operations':{}"), -32000);
}

TEST(a_notification_is_obeyed_and_told_that_it_gets_no_answer)
{
	const cJSON *a;
	struct peer *p;

	WORLD();
	p = peer_new();
	peer_say(p, "{\"jsonrpc\":\"2.0\",\"method\":\"create\",\"params\":{\"type\":"
		    "\"MediaPipeline\"}}");
	STOP_AFTER_OOM();
	a = peer_take(p);
	CHECK_EQ(at(a, "error", "code", NULL)->valuedouble, -32000);
	CHECK_STR(str_at(a, "error", "message"),
		  "Ignoring response because of a notification request");
	CHECK(cJSON_IsNull(at(a, "id", NULL)));
	CHECK(cJSON_IsString(at(a, "error", "data", "value", NULL)));
	CHECK_EQ(kms_object_count(world.k), 1);
}

TEST(an_error_has_its_name_and_no_session)
{
	struct peer *p;

	WORLD();
	p = peer_new();
	CHECK_STR(text_of(call(p, "describe", "'object':'1234'")),
		  "{\"error\":{\"code\":40101,\"data\":{\"type\":\"MEDIA_OBJECT_NOT_FOUND\"},"
		  "\"message\":\"Object '1234' "
		  "not found\"},\"id\":0,\"jsonrpc\":\"2.0\"}");
	CHECK_STR(text_of(call(p, "create", "'type':'Nonsense'")),
		  "{\"error\":{\"code\":40108,\"data\":{\"type\":\"MEDIA_OBJECT_NOT_AVAILABLE\"},"
		  "\"message\":\"Factory "
		  "'Nonsense' not found\"},\"id\":1,\"jsonrpc\":\"2.0\"}");
	CHECK_STR(text_of(call(p, "invoke",
			       "'object':'manager_ServerManager','operation':'foo','"
			       "operationParams':{'a':1,'b':2}")),
		  "{\"error\":{\"code\":40008,\"data\":{\"type\":\"MALFORMED_TRANSACTION\"},"
		  "\"message\":\"Method 'foo' "
		  "with 2 parameters not found\"},\"id\":2,\"jsonrpc\":\"2.0\"}");
	CHECK_STR(text_of(call(p, "subscribe", "'object':'manager_ServerManager','type':'Rain'")),
		  "{\"error\":{\"code\":40106,\"data\":{\"type\":\"MEDIA_OBJECT_EVENT_NOT_"
		  "SUPPORTED\"},\"message\":"
		  "\"Event 'Rain' not supported\"},\"id\":3,\"jsonrpc\":\"2.0\"}");
	CHECK_STR(text_of(call(p, "invoke",
			       "'object':'manager_ServerManager','operation':'getKmd','"
			       "operationParams':{'moduleName':"
			       "'x'}")),
		  "{\"error\":{\"code\":40500,\"data\":{\"type\":\"UNDEFINED\"},\"message\":"
		  "\"Requested kmd module "
		  "doesn't exist\"},\"id\":4,\"jsonrpc\":\"2.0\"}");
}

TEST(classes_that_the_server_has_not_are_refused_as_kurento_does)
{
	static const char *const none[] = {
		"MediaElement",	   "MediaObject",	  "Hub",       "ServerManager",
		"PlayerEndpoint",  "RecorderEndpoint",	  "Composite", "kurento.Mixer",
		"GStreamerFilter", "chroma.ChromaFilter", ""};
	struct peer *p;

	WORLD();
	p = peer_new();
	for (size_t i = 0; i < SL_COUNT(none); i++)
		CHECK_EQ(
			call_code(p, "create",
				  "'type':'%s','constructorParams':{'mediaPipeline':'x','uri':'y'}",
				  none[i]),
			40108);
	CHECK_EQ(kms_object_count(world.k), 0);
}

TEST(arguments_of_a_constructor_are_checked)
{
	char pipeline[256];
	struct peer *p;

	WORLD();
	p = peer_new();
	new_pipeline(p, pipeline);
	CHECK_EQ(call_code(p, "create", "'type':'PassThrough'"), 40001);
	CHECK_STR(str_at(call(p, "create", "'type':'PassThrough'"), "error", "message"),
		  "'constructorParams' is required");
	CHECK_EQ(call_code(p, "create", "'type':'PassThrough','constructorParams':[]"), 40001);
	CHECK_EQ(call_code(p, "create", "'type':'PassThrough','constructorParams':{}"), 40001);
	CHECK_EQ(call_code(p, "create",
			   "'type':'PassThrough','constructorParams':{'mediaPipeline':7}"),
		 40001);
	CHECK_EQ(call_code(p, "create",
			   "'type':'PassThrough','constructorParams':{'mediaPipeline':'x'}"),
		 40101);
	CHECK_EQ(
		call_code(p, "create",
			  "'type':'PassThrough','constructorParams':{'mediaPipeline':'newref:0'}") /
			100,
		401);
	CHECK_EQ(call_code(p, "describe", "'object':'newref:0'"), 40109);
	CHECK_EQ(
		call_code(p, "create",
			  "'type':'kurento.PassThrough','constructorParams':{'mediaPipeline':'%s'}",
			  pipeline),
		0);
	CHECK_EQ(kms_object_count(world.k), 2);
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

/* getInfo names what create takes, and nothing else. */
TEST(every_factory_that_is_told_of_works_and_no_other)
{
	const cJSON *modules, *m, *f;
	size_t told = 0, work = 0;
	struct peer *p;

	WORLD();
	p = peer_new();
	modules = at(call(p, "invoke", "'object':'manager_ServerManager','operation':'getInfo'"),
		     "result", "value", "modules", NULL);
	cJSON_ArrayForEach(m, modules) cJSON_ArrayForEach(f, at(m, "factories", NULL))
	{
		const struct kms_class *class = kms_class_find(sl_str_z(f->valuestring));

		CHECK(class && kms_class_works(class) && !class->abstract);
		told++;
	}
	for (size_t i = 0; i < kms_class_count; i++)
		work += kms_class_works(&kms_classes[i]);
	CHECK_EQ(told, work);
	CHECK(told >= 3);
}

static const cJSON *manager(struct peer *p, const char *operation)
{
	return at(call(p, "invoke", "'object':'manager_ServerManager','operation':'%s'", operation),
		  "result", "value", NULL);
}

TEST(the_manager_counts_what_there_is)
{
	char pipeline[256];
	struct peer *p, *q;

	WORLD();
	p = peer_new();
	q = peer_new();
	CHECK_STR(text_of(manager(p, "getPipelines")), "[]");
	new_pipeline(p, pipeline);
	CHECK_STR(manager(q, "getPipelines")->child->valuestring, pipeline);
	CHECK_EQ(cJSON_GetArraySize(manager(q, "getSessions")), 2);
	CHECK(manager(p, "getCpuCount")->valuedouble >= 1);
	CHECK(manager(p, "getUsedMemory")->valuedouble > 100);
	CHECK_STR(manager(p, "getMetadata")->valuestring, "");
	CHECK_STR(manager(p, "getId")->valuestring, "manager_ServerManager");
	CHECK(strstr(at(call(p, "invoke",
			     "'object':'manager_ServerManager','operation':'getKmd','"
			     "operationParams':{'moduleName':'core'}"),
			"result", "value", NULL)
			     ->valuestring,
		     "MediaPipeline"));
	CHECK_EQ(call_code(p, "release", "'object':'manager_ServerManager'"), 0);
	CHECK_STR(manager(p, "getId")->valuestring, "manager_ServerManager");
}

TEST(the_use_of_the_processor_is_told_when_its_interval_is_over)
{
	struct peer *p, *q;

	WORLD();
	p = peer_new();
	q = peer_new();
	peer_say(p,
		 "{\"jsonrpc\":\"2.0\",\"id\":\"cpu\",\"method\":\"invoke\",\"params\":{\"object\":"
		 "\"manager_ServerManager\",\"operation\":\"getUsedCpu\",\"operationParams\":{"
		 "\"interval\":500}}}");
	peer_say(q,
		 "{\"jsonrpc\":\"2.0\",\"id\":\"cpu\",\"method\":\"invoke\",\"params\":{\"object\":"
		 "\"manager_ServerManager\",\"operation\":\"getUsedCpu\"}}");
	STOP_AFTER_OOM();
	CHECK_EQ(p->n, 0);
	world_wait(499 * SL_MS);
	CHECK_EQ(p->n, 0);
	peer_close(q);
	world_wait(1 * SL_MS);
	STOP_AFTER_OOM();
	CHECK_EQ(p->n, 1);
	CHECK(cJSON_IsNumber(at(peer_take(p), "result", "value", NULL)));
}

TEST(a_call_that_waits_is_nobodys_when_the_server_ends)
{
	struct peer *p;

	WORLD();
	p = peer_new();
	peer_say(p, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"invoke\",\"params\":{\"object\":"
		    "\"manager_ServerManager\",\"operation\":\"getUsedCpu\"}}");
	peer_say(p, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"transaction\",\"params\":{"
		    "\"operations\":[{\"jsonrpc\":"
		    "\"2.0\",\"id\":0,\"method\":\"invoke\",\"params\":{\"object\":"
		    "\"manager_ServerManager\",\"operation\":\"getUsedCpu\"}}]}}");
	STOP_AFTER_OOM();
	CHECK_EQ(world.k->rpc->call_count, 3);
	CHECK_EQ(p->n, 0);
}

TEST(t50_requests_that_wait_are_bounded)
{
	struct peer *p;

	WORLD();
	world.k->set.calls = 1;
	p = peer_new();
	peer_say(p, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"invoke\",\"params\":{\"object\":"
		    "\"manager_ServerManager\",\"operation\":\"getUsedCpu\"}}");
	STOP_AFTER_OOM();
	CHECK_EQ(p->n, 0);
	CHECK_STR(said(p, "{\"jsonrpc\":\"2.0\",\"id\":\"b\",\"method\":\"ping\"}"),
		  "{\"error\":{\"code\":40009,\"data\":{\"type\":\"NOT_ENOUGH_RESOURCES\"},"
		  "\"message\":\"Too many requests are under "
		  "way\"},\"id\":\"b\",\"jsonrpc\":\"2.0\"}");
	world_wait(1 * SL_SEC);
	STOP_AFTER_OOM();
	CHECK_EQ(p->n, 1);
}
