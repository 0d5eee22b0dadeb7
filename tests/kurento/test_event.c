/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_event.c — subscriptions and notifications. */
#include "tests/kurento/peer.h"

static struct kms_object *object(const char *id)
{
	return kms_object_by_id(world.k, sl_str_z(id));
}

static void forget(struct peer *p)
{
	while (p->n)
		(void)peer_take(p);
}

TEST(a_notification_has_the_shape_that_both_libraries_read)
{
	char pipeline[256], want[1500], subscription[37];
	const cJSON *event, *data;
	int64_t wall_us;
	struct peer *p;

	WORLD();
	p = peer_new();
	call_str(p, subscription, sizeof(subscription), "subscribe",
		 "'object':'manager_ServerManager','type':'ObjectCreated'");
	new_pipeline(p, pipeline);
	forget(p);
	new_pipeline(p, pipeline);
	event = p->got[0];
	data = at(event, "params", "value", "data", NULL);
	CHECK_STR(str_at(event, "jsonrpc", NULL), "2.0");
	CHECK_STR(str_at(event, "method", NULL), "onEvent");
	CHECK(!at(event, "id", NULL));
	CHECK_STR(at(event, "params", "value", "type", NULL)->valuestring, "ObjectCreated");
	CHECK_STR(at(event, "params", "value", "object", NULL)->valuestring,
		  "manager_ServerManager");
	CHECK_STR(str_at(data, "type", NULL), "ObjectCreated");
	CHECK_STR(str_at(data, "source", NULL), "manager_ServerManager");
	CHECK_STR(str_at(data, "object", NULL), pipeline);
	CHECK_EQ(cJSON_GetArraySize(at(data, "tags", NULL)), 0);
	CHECK(at(data, "tags", NULL));
	wall_us = kms_wall_us();
	CHECK_EQ(strlen(str_at(data, "timestampMillis", NULL)), 13);
	(void)sl_fmt(want, sizeof(want), "%lld", (long long)(wall_us / SL_SEC));
	CHECK_EQ(strlen(str_at(data, "timestamp", NULL)), strlen(want));
}

TEST(a_session_hears_once_however_often_it_subscribed_and_not_after_the_last_unsubscribe)
{
	char pipeline[256], first[37], second[37];
	struct peer *p, *q;

	WORLD();
	p = peer_new();
	q = peer_new();
	new_pipeline(p, pipeline);
	call_str(p, first, sizeof(first), "subscribe", "'object':'%s','type':'Error'", pipeline);
	call_str(p, second, sizeof(second), "subscribe", "'object':'%s','type':'Error'", pipeline);
	CHECK(strcmp(first, second) != 0);
	CHECK_EQ(call_code(q, "subscribe", "'object':'%s','type':'Error'", pipeline), 0);
	forget(p);
	forget(q);
	kms_event_error(object(pipeline), "UNEXPECTED_PIPELINE_ERROR", 7, "it %s", "fell");
	STOP_AFTER_OOM();
	CHECK_EQ(p->n, 1);
	CHECK_EQ(q->n, 1);
	CHECK_STR(at(p->got[0], "params", "value", "data", "type", NULL)->valuestring,
		  "UNEXPECTED_PIPELINE_ERROR");
	CHECK_STR(at(p->got[0], "params", "value", "type", NULL)->valuestring, "Error");
	CHECK_STR(at(p->got[0], "params", "value", "data", "description", NULL)->valuestring,
		  "it fell");
	CHECK_EQ(at(p->got[0], "params", "value", "data", "errorCode", NULL)->valuedouble, 7);
	CHECK(!at(call(p, "unsubscribe", "'object':'%s','subscription':'%s'", pipeline, first),
		  "result", "value", NULL));
	forget(p);
	kms_event_error(object(pipeline), "X", 7, "again");
	CHECK_EQ(p->n, 1);
	/* Another's subscription is not ours to end. */
	CHECK_EQ(call_code(q, "unsubscribe", "'object':'%s','subscription':'%s'", pipeline, second),
		 0);
	forget(p);
	kms_event_error(object(pipeline), "X", 7, "again");
	CHECK_EQ(p->n, 1);
	CHECK_EQ(call_code(p, "unsubscribe", "'object':'%s','subscription':'%s'", pipeline, second),
		 0);
	CHECK_EQ(call_code(p, "unsubscribe", "'object':'%s','subscription':'nonsense'", pipeline),
		 0);
	CHECK_EQ(call_code(p, "unsubscribe", "'object':'%s/gone','subscription':'nonsense'",
			   pipeline),
		 0);
	forget(p);
	kms_event_error(object(pipeline), "X", 7, "again");
	CHECK_EQ(p->n, 0);
}

TEST(an_event_comes_under_the_name_by_which_it_was_subscribed)
{
	char pipeline[256], a[256], b[256];
	struct peer *p;

	WORLD();
	p = peer_new();
	new_pipeline(p, pipeline);
	new_element(p, "PassThrough", pipeline, a);
	new_element(p, "PassThrough", pipeline, b);
	CHECK_EQ(call_code(p, "subscribe", "'object':'%s','type':'MediaFlowInStateChange'", a), 0);
	CHECK_EQ(call_code(p, "subscribe", "'object':'%s','type':'MediaFlowInStateChanged'", a), 0);
	CHECK_EQ(call_code(p, "subscribe", "'object':'%s','type':'IceCandidateFound'", a), 40106);
	forget(p);
	kms_event(object(a), "MediaFlowInStateChanged");
	STOP_AFTER_OOM();
	CHECK_EQ(p->n, 2);
	CHECK_STR(at(p->got[0], "params", "value", "type", NULL)->valuestring,
		  "MediaFlowInStateChange");
	CHECK_STR(at(p->got[0], "params", "value", "data", "type", NULL)->valuestring,
		  "MediaFlowInStateChange");
	CHECK_STR(at(p->got[1], "params", "value", "type", NULL)->valuestring,
		  "MediaFlowInStateChanged");
	kms_event(object(b), "MediaFlowInStateChanged");
	CHECK_EQ(p->n, 2);
}

TEST(tags_go_with_events_where_that_is_asked_for)
{
	char pipeline[256];
	struct peer *p;

	WORLD();
	p = peer_new();
	new_pipeline(p, pipeline);
	CHECK_EQ(call_code(p, "subscribe", "'object':'%s','type':'Error'", pipeline), 0);
	CHECK_EQ(call_code(p, "invoke",
			   "'object':'%s','operation':'addTag','operationParams':{'key':'a','value'"
			   ":'\\\"'}",
			   pipeline),
		 0);
	CHECK_EQ(call_code(p, "invoke",
			   "'object':'%s','operation':'setSendTagsInEvents','operationParams':{'"
			   "sendTagsInEvents':true}",
			   pipeline),
		 0);
	forget(p);
	kms_event_error(object(pipeline), "X", 7, "again");
	STOP_AFTER_OOM();
	CHECK_STR(text_of(at(p->got[0], "params", "value", "data", "tags", NULL)),
		  "[{\"__module__\":\"kurento\",\"__type__\":\"Tag\",\"key\":\"a\",\"value\":"
		  "\"\\\"\"}]");
}

TEST(the_manager_tells_of_every_object_that_comes_or_goes)
{
	char pipeline[256], element[256];
	struct peer *p, *q;

	WORLD();
	p = peer_new();
	q = peer_new();
	CHECK_EQ(call_code(q, "subscribe",
			   "'object':'manager_ServerManager','type':'ObjectCreated'"),
		 0);
	CHECK_EQ(call_code(q, "subscribe",
			   "'object':'manager_ServerManager','type':'ObjectDestroyed'"),
		 0);
	forget(q);
	new_pipeline(p, pipeline);
	new_element(p, "PassThrough", pipeline, element);
	CHECK_EQ(call_code(p, "release", "'object':'%s'", pipeline), 0);
	CHECK_EQ(q->n, 4);
	CHECK_STR(at(q->got[1], "params", "value", "data", "object", NULL)->valuestring, element);
	CHECK_STR(at(q->got[2], "params", "value", "type", NULL)->valuestring, "ObjectDestroyed");
	CHECK_STR(at(q->got[2], "params", "value", "data", "objectId", NULL)->valuestring, element);
	CHECK_STR(at(q->got[3], "params", "value", "data", "objectId", NULL)->valuestring,
		  pipeline);
}

TEST(t50_subscriptions_of_a_session_are_bounded)
{
	struct peer *p;

	WORLD();
	world.k->set.session_subscriptions = 2;
	p = peer_new();
	for (int i = 0; i < 2; i++)
		CHECK_EQ(call_code(p, "subscribe",
				   "'object':'manager_ServerManager','type':'ObjectCreated'"),
			 0);
	CHECK_EQ(call_code(p, "subscribe",
			   "'object':'manager_ServerManager','type':'ObjectCreated'"),
		 40009);
}
