/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_object.c — ids, parents, names, tags, release. */
#include "tests/kurento/peer.h"

static const char *value(struct peer *p, const char *object, const char *operation)
{
	const cJSON *v = at(call(p, "invoke", "'object':'%s','operation':'%s'", object, operation),
			    "result", "value", NULL);

	CHECK(v);
	return text_of(v);
}

static const char *in_quotes(const char *z)
{
	static char text[600];

	(void)sl_fmt(text, sizeof(text), "\"%s\"", z);
	return text;
}

TEST(a_pipeline_is_made_used_and_released)
{
	char pipeline[256], element[256];
	struct peer *p;

	WORLD();
	p = peer_new();
	new_pipeline(p, pipeline);
	CHECK(strstr(pipeline, "_kurento.MediaPipeline") == pipeline + 36);
	CHECK_EQ(pipeline[14], '4');
	new_element(p, "PassThrough", pipeline, element);
	CHECK(strncmp(element, pipeline, strlen(pipeline)) == 0 &&
	      element[strlen(pipeline)] == '/');
	CHECK_STR(strchr(element, '/') + 1 + 36, "_kurento.PassThrough");
	CHECK_EQ(kms_object_count(world.k), 2);
	CHECK_EQ(call_code(p, "release", "'object':'%s'", pipeline), 0);
	CHECK_EQ(kms_object_count(world.k), 0);
	CHECK_EQ(call_code(p, "release", "'object':'%s'", pipeline), 0);
	CHECK_EQ(call_code(p, "describe", "'object':'%s'", element), 40101);
}

TEST(objects_know_their_parents_and_children)
{
	char pipeline[256], element[256], hub[256], port[256], want[600];
	struct peer *p;

	WORLD();
	p = peer_new();
	new_pipeline(p, pipeline);
	new_element(p, "PassThrough", pipeline, element);
	new_element(p, "Dispatcher", pipeline, hub);
	call_str(p, port, sizeof(port), "create",
		 "'type':'HubPort','constructorParams':{'hub':'%s'}", hub);
	CHECK(strncmp(port, hub, strlen(hub)) == 0);
	CHECK_STR(value(p, pipeline, "getParent"), "null");
	CHECK_STR(value(p, pipeline, "getMediaPipeline"), in_quotes(pipeline));
	CHECK_STR(value(p, port, "getMediaPipeline"), in_quotes(pipeline));
	CHECK_STR(value(p, port, "getParent"), in_quotes(hub));
	CHECK_STR(value(p, element, "getParent"), in_quotes(pipeline));
	CHECK_STR(value(p, element, "getId"), in_quotes(element));
	(void)sl_fmt(want, sizeof(want), "[\"%s\",\"%s\"]", element, hub);
	CHECK_STR(value(p, pipeline, "getChildren"), want);
	CHECK_STR(value(p, pipeline, "getChilds"), want);
	CHECK_STR(value(p, element, "getChildren"), "[]");
	CHECK_EQ(call_code(p, "release", "'object':'%s'", hub), 0);
	CHECK_EQ(call_code(p, "describe", "'object':'%s'", port), 40101);
	CHECK_EQ(kms_object_count(world.k), 2);
}

TEST(a_name_is_the_id_until_it_is_set)
{
	char pipeline[256];
	struct peer *p;

	WORLD();
	p = peer_new();
	new_pipeline(p, pipeline);
	CHECK_STR(value(p, pipeline, "getName"), in_quotes(pipeline));
	CHECK_EQ(call_code(p, "invoke",
			   "'object':'%s','operation':'setName','operationParams':{'name':'Anna'}",
			   pipeline),
		 0);
	CHECK_STR(value(p, pipeline, "getName"), "\"Anna\"");
	CHECK_STR(value(p, pipeline, "getLatencyStats"), "false");
	CHECK_EQ(call_code(p, "invoke",
			   "'object':'%s','operation':'setLatencyStats','operationParams':{'"
			   "latencyStats':true}",
			   pipeline),
		 0);
	CHECK_STR(value(p, pipeline, "getLatencyStats"), "true");
	CHECK(at(call(p, "invoke", "'object':'%s','operation':'getCreationTime'", pipeline),
		 "result", "value", NULL)
		      ->valuedouble > 1e9);
	CHECK_EQ(call_code(p, "invoke",
			   "'object':'%s','operation':'setId','operationParams':{'id':'x'}",
			   pipeline),
		 40008);
}

TEST(tags_are_added_replaced_read_and_removed)
{
	char pipeline[256];
	struct peer *p;

	WORLD();
	p = peer_new();
	new_pipeline(p, pipeline);
#define TAG(op, rest)                                                                              \
	call_code(p, "invoke", "'object':'%s','operation':'" op "','operationParams':{" rest "}",  \
		  pipeline)
	CHECK_EQ(TAG("addTag", "'key':'a','value':'1'"), 0);
	CHECK_EQ(TAG("addTag", "'key':'b','value':'2'"), 0);
	CHECK_EQ(TAG("addTag", "'key':'a','value':'3'"), 0);
	CHECK_EQ(TAG("addTag", "'key':'a'"), 40001);
	CHECK_STR(
		value(p, pipeline, "getTags"),
		"[{\"__module__\":\"kurento\",\"__type__\":\"Tag\",\"key\":\"a\",\"value\":\"3\"},"
		"{\"__module__\":\"kurento\",\"__type__\":\"Tag\",\"key\":\"b\",\"value\":\"2\"}]");
	CHECK_EQ(TAG("getTag", "'key':'a'"), 0);
	CHECK_EQ(TAG("removeTag", "'key':'a'"), 0);
	CHECK_EQ(TAG("removeTag", "'key':'a'"), 0);
	CHECK_EQ(TAG("getTag", "'key':'a'"), 40110);
	for (int i = 0; i < 99; i++)
		CHECK_EQ(call_code(p, "invoke",
				   "'object':'%s','operation':'addTag','operationParams':{'key':'k%"
				   "d','value':''}",
				   pipeline, i),
			 0);
	CHECK_EQ(TAG("addTag", "'key':'one too many','value':''"), 40009);
#undef TAG
}

TEST(an_id_is_found_whole_or_not_at_all)
{
	char pipeline[256], element[256], wrong[300];
	struct peer *p;

	WORLD();
	p = peer_new();
	new_pipeline(p, pipeline);
	new_element(p, "PassThrough", pipeline, element);
	CHECK(kms_object_by_id(world.k, sl_str_z(element)));
	CHECK(!kms_object_by_id(world.k, sl_str_z(strchr(element, '/') + 1)));
	CHECK(!kms_object_by_id(world.k, sl_str(element, strlen(element) - 1)));
	(void)sl_fmt(wrong, sizeof(wrong), "x%s", element + 1);
	CHECK(!kms_object_by_id(world.k, sl_str_z(wrong)));
	CHECK(!kms_object_by_id(world.k, sl_str("", 0)));
	CHECK(!kms_object_by_id(world.k, SL_STR("/")));
}

TEST(a_handle_of_what_is_gone_finds_nothing_that_came_after)
{
	char a[256], b[256];
	uint64_t handle;
	struct peer *p;

	WORLD();
	p = peer_new();
	new_pipeline(p, a);
	handle = kms_object_by_id(world.k, sl_str_z(a))->handle;
	CHECK(!(handle & KMS_TAG));
	CHECK(kms_object_by_handle(world.k, handle));
	CHECK_EQ(call_code(p, "release", "'object':'%s'", a), 0);
	new_pipeline(p, b);
	CHECK(!kms_object_by_handle(world.k, handle));
	CHECK(kms_object_by_handle(world.k, kms_object_by_id(world.k, sl_str_z(b))->handle));
	CHECK(!kms_object_by_handle(world.k, 0));
	CHECK(!kms_object_by_handle(world.k, UINT64_MAX));
}

/* T50: what one client may take is bounded, and what is refused leaves nothing behind. */
TEST(t50_objects_pipelines_and_the_rate_of_creation_are_bounded)
{
	char pipeline[256];
	struct peer *p, *q;

	WORLD();
	world.k->set.max_pipelines = 3;
	world.k->set.session_objects = 5;
	world.k->set.session_creates_per_s = 2;
	p = peer_new();
	q = peer_new();
	new_pipeline(p, pipeline);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(
			call_code(p, "create",
				  "'type':'PassThrough','constructorParams':{'mediaPipeline':'%s'}",
				  pipeline),
			0);
	CHECK_EQ(call_code(p, "create",
			   "'type':'PassThrough','constructorParams':{'mediaPipeline':'%s'}",
			   pipeline),
		 40009);
	CHECK_EQ(kms_object_count(world.k), 5);
	CHECK_EQ(call_code(q, "create", "'type':'MediaPipeline'"), 0);
	CHECK_EQ(call_code(q, "create", "'type':'MediaPipeline'"), 0);
	CHECK_EQ(call_code(q, "create", "'type':'MediaPipeline'"), 40009);
	CHECK_EQ(kms_object_count(world.k), 7);
	for (int i = 0; i < 17; i++)
		(void)call_code(q, "create", "'type':'MediaPipeline'");
	CHECK_STR(str_at(call(q, "create", "'type':'MediaPipeline'"), "error", "message"),
		  "Objects are created too fast");
	world_wait(1 * SL_SEC);
	CHECK_STR(str_at(call(q, "create", "'type':'MediaPipeline'"), "error", "message"),
		  "Reached the limit of objects of this server");
}

TEST(nothing_is_made_when_the_files_of_the_process_are_nearly_used_up)
{
	struct peer *p;

	WORLD();
	p = peer_new();
	world.k->set.exception_limit = 1e-9;
	CHECK_EQ(call_code(p, "create", "'type':'MediaPipeline'"), 40009);
	CHECK_STR(str_at(call(p, "create", "'type':'MediaPipeline'"), "error", "message"),
		  "Reached KMS files limit: 0");
	world.k->set.exception_limit = 0;
	CHECK_EQ(call_code(p, "create", "'type':'MediaPipeline'"), 0);
}
