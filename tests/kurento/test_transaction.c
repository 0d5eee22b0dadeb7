/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_transaction.c — several calls in one request. */
#include "tests/kurento/peer.h"

#define OP(id, method, params)                                                                     \
	"{'jsonrpc':'2.0','id':" #id ",'method':'" method "','params':{" params "}}"
#define NEW_PIPELINE(id) OP(id, "create", "'type':'MediaPipeline','properties':{}")
#define NEW_ELEMENT(id, ref)                                                                       \
	OP(id, "create",                                                                           \
	   "'type':'PassThrough','constructorParams':{'mediaPipeline':'" ref "'},'properties':{}")

/* The list of answers. */
static const cJSON *transact(struct peer *p, const char *operations)
{
	const cJSON *list =
		at(call(p, "transaction", "'operations':[%s],'object':{'_events':{'x':[null]}}",
			operations),
		   "result", "value", NULL);

	CHECK(cJSON_IsArray(list));
	return list;
}

static int code_at(const cJSON *list, const char *i)
{
	const cJSON *code = at(list, i, "error", "code", NULL);

	return code ? (int)code->valuedouble : 0;
}

TEST(a_transaction_refers_to_what_it_has_made)
{
	const cJSON *list;
	const char *pipeline;
	struct peer *p;

	WORLD();
	p = peer_new();
	list = transact(p, NEW_PIPELINE(0) "," NEW_ELEMENT(1, "newref:0") "," NEW_ELEMENT(
				   2, "newref:0") "," OP(3, "invoke",
							 "'object':'newref:1','operation':'connect'"
							 ",'operationParams':{'sink':'newref:2'}"));
	CHECK_EQ(cJSON_GetArraySize(list), 4);
	pipeline = at(list, "0", "result", "value", NULL)->valuestring;
	CHECK(strncmp(at(list, "1", "result", "value", NULL)->valuestring, pipeline,
		      strlen(pipeline)) == 0);
	CHECK_STR(at(list, "2", "result", "sessionId", NULL)->valuestring, p->session);
	CHECK(cJSON_IsNull(at(list, "3", "result", "value", NULL)));
	CHECK_EQ(at(list, "3", "id", NULL)->valuedouble, 3);
	CHECK_STR(at(list, "3", "jsonrpc", NULL)->valuestring, "2.0");
	CHECK_EQ(kms_object_count(world.k), 3);
}

TEST(a_transaction_stops_at_its_first_failure_and_undoes_nothing)
{
	const cJSON *list;
	struct peer *p;

	WORLD();
	p = peer_new();
	list = transact(
		p, NEW_PIPELINE(0) "," OP(1, "create", "'type':'Nonsense'") "," NEW_PIPELINE(2));
	CHECK_EQ(cJSON_GetArraySize(list), 2);
	CHECK_EQ(code_at(list, "1"), 40108);
	CHECK_STR(at(list, "1", "error", "data", "type", NULL)->valuestring,
		  "MEDIA_OBJECT_NOT_AVAILABLE");
	CHECK_EQ(at(list, "1", "id", NULL)->valuedouble, 1);
	CHECK_EQ(kms_object_count(world.k), 1);
}

TEST(references_that_lead_nowhere_fail_their_operation)
{
	const cJSON *list;
	struct peer *p;

	WORLD();
	p = peer_new();
	list = transact(p, NEW_ELEMENT(0, "newref:0"));
	CHECK_EQ(code_at(list, "0"), 40008);
	CHECK_STR(at(list, "0", "error", "message", NULL)->valuestring,
		  "Result not found on request 0");
	list = transact(p, NEW_PIPELINE(0) "," NEW_ELEMENT(1, "newref:5"));
	CHECK_STR(at(list, "1", "error", "message", NULL)->valuestring,
		  "Result not found on request 5");
	list = transact(p, NEW_PIPELINE(0) "," NEW_ELEMENT(1, "newref:x"));
	CHECK_EQ(code_at(list, "1"), 40008);
	CHECK_STR(at(list, "1", "error", "message", NULL)->valuestring,
		  "Invalid index of newref 'x'");
	/* A release has no value. */
	list = transact(p,
			NEW_PIPELINE(0) "," OP(1, "release", "'object':'newref:0'") "," NEW_ELEMENT(
				2, "newref:1"));
	CHECK_STR(at(list, "2", "error", "message", NULL)->valuestring,
		  "Result not found on request 1");
}

TEST(references_are_found_however_deep_and_may_stand_for_any_value)
{
	char pipeline[256];
	const cJSON *list;
	struct peer *p;

	WORLD();
	p = peer_new();
	list = transact(
		p,
		NEW_PIPELINE(0) "," OP(
			1, "invoke",
			"'object':'newref:0','operation':'setName','operationParams':{'name':'"
			"newref:0'}") "," OP(2, "invoke",
					     "'object':'newref:0','operation':'"
					     "getSendTagsInEvents'") "," OP(3, "invoke",
									    "'object':'newref:0','"
									    "operation':'"
									    "setLatencyStats','"
									    "operationParams':"
									    "{'latencyStats':'"
									    "newref:2'}") "," OP(4,
												 "i"
												 "n"
												 "v"
												 "o"
												 "k"
												 "e",
												 "'"
												 "o"
												 "b"
												 "j"
												 "e"
												 "c"
												 "t"
												 "'"
												 ":"
												 "'"
												 "n"
												 "e"
												 "w"
												 "r"
												 "e"
												 "f"
												 ":"
												 "0"
												 "'"
												 ","
												 "'"
												 "o"
												 "p"
												 "e"
												 "r"
												 "a"
												 "t"
												 "i"
												 "o"
												 "n"
												 "'"
												 ":"
												 "'"
												 "g"
												 "e"
												 "t"
												 "L"
												 "a"
												 "t"
												 "e"
												 "n"
												 "c"
												 "y"
												 "S"
												 "t"
												 "a"
												 "t"
												 "s"
												 "'"));
	CHECK_EQ(cJSON_GetArraySize(list), 5);
	CHECK_EQ(code_at(list, "4"), 0);
	CHECK(cJSON_IsFalse(at(list, "4", "result", "value", NULL)));
	(void)sl_fmt(pipeline, sizeof(pipeline), "%s",
		     at(list, "0", "result", "value", NULL)->valuestring);
	CHECK_STR(at(call(p, "invoke", "'object':'%s','operation':'getName'", pipeline), "result",
		     "value", NULL)
			  ->valuestring,
		  pipeline);
}

/* A few bytes that stand for many, again and again. */
TEST(references_cannot_make_a_small_message_large)
{
	static char ops[200000];
	struct sl_buf b = sl_buf(ops, sizeof(ops));
	const cJSON *answer;
	struct peer *p;

	WORLD();
	p = peer_new();
	sl_buf_z(&b, OP(0, "invoke",
			"'object':'manager_ServerManager','operation':'getKmd','operationParams':"
			"{'moduleName':'core'}"));
	for (int i = 1; i < 3; i++) {
		sl_buf_fmt(&b,
			   ",{'jsonrpc':'2.0','id':%d,'method':'ping','params':{'x':['newref:0'",
			   i);
		for (int j = 0; j < 1000; j++)
			sl_buf_z(&b, ",'newref:0'");
		sl_buf_z(&b, "]}}");
	}
	CHECK(!b.full);
	answer = call(p, "transaction", "'operations':[%s]", ops);
	CHECK_EQ(code_at(at(answer, "result", "value", NULL), "1"), 40008);
}

TEST(the_ids_of_operations_count_from_0)
{
	struct peer *p;

	WORLD();
	p = peer_new();
	CHECK_EQ(call_code(p, "transaction", "'operations':[" NEW_PIPELINE(1) "]"), 40008);
	CHECK_EQ(call_code(p, "transaction",
			   "'operations':[" NEW_PIPELINE(0) "," NEW_PIPELINE(0) "]"),
		 40008);
	CHECK_EQ(call_code(p, "transaction", "'operations':[{'method':'ping'}]"), 40008);
	CHECK_EQ(call_code(p, "transaction", "'operations':[7]"), 40008);
	CHECK_EQ(kms_object_count(world.k), 0);
	CHECK_STR(text_of(transact(p, "")), "[]");
}

TEST(a_transaction_holds_no_transaction_and_does_not_change_sessions)
{
	const cJSON *list;
	struct peer *p;

	WORLD();
	p = peer_new();
	list = transact(p, OP(0, "ping", "") "," OP(1, "transaction", "'operations':[]"));
	CHECK_STR(at(list, "0", "result", "value", NULL)->valuestring, "pong");
	CHECK_EQ(code_at(list, "1"), 40008);
	CHECK_EQ(code_at(transact(p, OP(0, "closeSession", "")), "0"), 40008);
	CHECK_EQ(code_at(transact(p, OP(0, "connect", "")), "0"), 40008);
	CHECK_EQ(code_at(transact(p, OP(0, "nonsense", "")), "0"), -32601);
	CHECK_EQ(code_at(transact(p, "{'id':0}"), "0"), -32601);
}

TEST(an_operation_that_waits_makes_the_next_ones_wait)
{
	static const char message[] =
		"{\"jsonrpc\":\"2.0\",\"id\":\"t\",\"method\":\"transaction\",\"params\":{"
		"\"operations\":["
		"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"invoke\",\"params\":{\"object\":"
		"\"manager_ServerManager\","
		"\"operation\":\"getUsedCpu\",\"operationParams\":{\"interval\":100}}},"
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"create\",\"params\":{\"type\":"
		"\"MediaPipeline\"}},"
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"invoke\",\"params\":{\"object\":"
		"\"manager_ServerManager\","
		"\"operation\":\"getUsedCpu\",\"operationParams\":{\"interval\":100}}},"
		"{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"release\",\"params\":{\"object\":"
		"\"newref:1\"}}]}}";
	const cJSON *list;
	struct peer *p;

	WORLD();
	p = peer_new();
	peer_say(p, message);
	STOP_AFTER_OOM();
	CHECK_EQ(p->n, 0);
	CHECK_EQ(kms_object_count(world.k), 0);
	world_wait(100 * SL_MS);
	STOP_AFTER_OOM();
	CHECK_EQ(p->n, 0);
	CHECK_EQ(kms_object_count(world.k), 1);
	world_wait(100 * SL_MS);
	STOP_AFTER_OOM();
	CHECK_EQ(p->n, 1);
	list = at(peer_take(p), "result", "value", NULL);
	CHECK_EQ(cJSON_GetArraySize(list), 4);
	CHECK(cJSON_IsNumber(at(list, "2", "result", "value", NULL)));
	CHECK_EQ(kms_object_count(world.k), 0);
	CHECK_EQ(world.k->rpc->call_count, 0);
}

TEST(a_transaction_whose_session_ends_meanwhile_goes_no_further)
{
	static const char message[] =
		"{\"jsonrpc\":\"2.0\",\"id\":\"t\",\"method\":\"transaction\",\"params\":{"
		"\"operations\":["
		"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"invoke\",\"params\":{\"object\":"
		"\"manager_ServerManager\","
		"\"operation\":\"getUsedCpu\",\"operationParams\":{\"interval\":100}}},"
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"create\",\"params\":{\"type\":"
		"\"MediaPipeline\"}}]}}";
	struct peer *p;

	WORLD();
	p = peer_new();
	peer_say(p, message);
	STOP_AFTER_OOM();
	kms_session_end(p->p.session, false);
	world_wait(100 * SL_MS);
	STOP_AFTER_OOM();
	CHECK_EQ(p->n, 1);
	CHECK_EQ(code_at(at(peer_take(p), "result", "value", NULL), "1"), 40007);
	CHECK_EQ(kms_object_count(world.k), 0);
}
