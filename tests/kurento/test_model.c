/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_model.c — the tables that were compiled from the KMD files, and how they are
 * searched. */
#include "api/kurento/tables.h"
#include "tests/test.h"

static const struct kms_class *class_of(const char *name)
{
	const struct kms_class *c = kms_class_find(sl_str_z(name));

	if (!c)
		sl_test_failed(__FILE__, __LINE__, "no class %s", name);
	return c;
}

static const struct kms_method *method_of(const char *class, const char *name)
{
	const struct kms_method *m = kms_method_find(class_of(class), sl_str_z(name));

	if (!m)
		sl_test_failed(__FILE__, __LINE__, "no method %s.%s", class, name);
	return m;
}

/* "name" of the class and those above, nearest first. */
static void ancestors(const struct kms_class *c, char *out, size_t cap)
{
	struct sl_buf b = sl_buf(out, cap);

	for (c = c->parent; c; c = c->parent)
		sl_buf_fmt(&b, "%s%s", b.n ? " " : "", c->name);
}

TEST(classes_have_the_ancestors_that_clients_are_told)
{
	static const struct {
		const char *name, *ancestors;
	} rows[] = {
		{"MediaObject", ""},
		{"ServerManager", "MediaObject"},
		{"MediaPipeline", "MediaObject"},
		{"MediaElement", "MediaObject"},
		{"Hub", "MediaObject"},
		{"PassThrough", "MediaElement MediaObject"},
		{"HubPort", "MediaElement MediaObject"},
		{"Filter", "MediaElement MediaObject"},
		{"Endpoint", "MediaElement MediaObject"},
		{"SessionEndpoint", "Endpoint MediaElement MediaObject"},
		{"UriEndpoint", "Endpoint MediaElement MediaObject"},
		{"SdpEndpoint", "SessionEndpoint Endpoint MediaElement MediaObject"},
		{"BaseRtpEndpoint",
		 "SdpEndpoint SessionEndpoint Endpoint MediaElement MediaObject"},
		{"WebRtcEndpoint",
		 "BaseRtpEndpoint SdpEndpoint SessionEndpoint Endpoint MediaElement MediaObject"},
		{"RtpEndpoint",
		 "BaseRtpEndpoint SdpEndpoint SessionEndpoint Endpoint MediaElement MediaObject"},
		{"PlayerEndpoint", "UriEndpoint Endpoint MediaElement MediaObject"},
		{"RecorderEndpoint", "UriEndpoint Endpoint MediaElement MediaObject"},
		{"HttpEndpoint", "SessionEndpoint Endpoint MediaElement MediaObject"},
		{"HttpPostEndpoint",
		 "HttpEndpoint SessionEndpoint Endpoint MediaElement MediaObject"},
		{"Composite", "Hub MediaObject"},
		{"AlphaBlending", "Hub MediaObject"},
		{"Dispatcher", "Hub MediaObject"},
		{"DispatcherOneToMany", "Hub MediaObject"},
		{"Mixer", "Hub MediaObject"},
		{"GStreamerFilter", "Filter MediaElement MediaObject"},
		{"FaceOverlayFilter", "Filter MediaElement MediaObject"},
		{"ImageOverlayFilter", "Filter MediaElement MediaObject"},
		{"ZBarFilter", "Filter MediaElement MediaObject"},
		{"OpenCVFilter", "Filter MediaElement MediaObject"},
	};
	char text[200];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ancestors(class_of(rows[i].name), text, sizeof(text));
		CHECK_STR(text, rows[i].ancestors);
	}
	CHECK_EQ(kms_class_count, sizeof(rows) / sizeof(rows[0]));
}

TEST(a_class_is_found_by_its_bare_and_by_its_qualified_name_only)
{
	const struct kms_class *c = class_of("WebRtcEndpoint");

	CHECK(class_of("kurento.WebRtcEndpoint") == c);
	CHECK(&kms_classes[c->index] == c);
	CHECK(!kms_class_find(SL_STR("chroma.WebRtcEndpoint")));
	CHECK(!kms_class_find(SL_STR("elements.WebRtcEndpoint")));
	CHECK(!kms_class_find(SL_STR(".WebRtcEndpoint")));
	CHECK(!kms_class_find(SL_STR("kurento.")));
	CHECK(!kms_class_find(SL_STR("")));
	CHECK(!kms_class_find(SL_STR("webrtcendpoint")));
	CHECK(!kms_class_find(SL_STR("WebRtcEndpointX")));
	CHECK(!kms_class_find((struct sl_str){NULL, 0}));
}

TEST(a_class_is_itself_and_its_ancestors_and_nothing_else)
{
	const struct kms_class *c = class_of("WebRtcEndpoint");

	CHECK(kms_class_is(c, c));
	CHECK(kms_class_is(c, class_of("MediaObject")));
	CHECK(!kms_class_is(c, class_of("RtpEndpoint")));
	CHECK(!kms_class_is(class_of("MediaElement"), c));
	CHECK(!kms_class_is(NULL, c));
}

TEST(classes_say_which_module_makes_them_and_whether_they_can_be_made)
{
	CHECK_STR(class_of("WebRtcEndpoint")->factory_of, "elements");
	CHECK_STR(class_of("PassThrough")->factory_of, "core");
	CHECK_STR(class_of("ZBarFilter")->factory_of, "filters");
	CHECK_STR(class_of("ZBarFilter")->module, "kurento");
	CHECK(class_of("ServerManager")->abstract);
	CHECK(!class_of("Dispatcher")->abstract);
}

TEST(a_property_is_a_getter_and_unless_it_is_fixed_a_setter)
{
	const struct kms_class *webrtc = class_of("WebRtcEndpoint");
	const struct kms_method *set = method_of("WebRtcEndpoint", "setMaxVideoSendBandwidth");

	CHECK_EQ(set->param_count, 1);
	CHECK_STR(set->params[0].name, "maxVideoSendBandwidth");
	CHECK_EQ(set->params[0].type.kind, KMS_INT);
	CHECK_EQ(set->returns.kind, KMS_VOID);
	CHECK_EQ(method_of("WebRtcEndpoint", "getName")->returns.kind, KMS_STRING);
	CHECK(method_of("WebRtcEndpoint", "getICECandidatePairs")->returns.list);
	CHECK(!kms_method_find(webrtc, SL_STR("setId")));
	CHECK(!kms_method_find(webrtc, SL_STR("setMediaState")));
	CHECK(!kms_method_find(webrtc, SL_STR("setICECandidatePairs")));
}

TEST(a_method_of_an_ancestor_is_found_and_a_stranger_is_not)
{
	CHECK(kms_method_find(class_of("WebRtcEndpoint"), SL_STR("connect")) ==
	      kms_method_find(class_of("MediaElement"), SL_STR("connect")));
	CHECK(!kms_method_find(class_of("MediaPipeline"), SL_STR("connect")));
	CHECK(!kms_method_find(class_of("WebRtcEndpoint"), SL_STR("")));
	CHECK(!kms_method_find(class_of("WebRtcEndpoint"), SL_STR("destroyAll")));
	CHECK(method_of("WebRtcEndpoint", "getStats")->returns.map);
}

TEST(a_dispatcher_has_a_connect_of_its_own)
{
	CHECK_STR(method_of("Dispatcher", "connect")->params[0].name, "source");
	CHECK_STR(method_of("Mixer", "connect")->params[0].name, "media");
}

TEST(methods_of_older_clients_are_todays)
{
	static const struct {
		const char *old, *name;
	} rows[] = {
		{"getChilds", "getChildren"},
		{"setOutputBitrate", "setEncoderBitrate"},
		{"getMinOuputBitrate", "getMinEncoderBitrate"},
		{"setMinOuputBitrate", "setMinEncoderBitrate"},
		{"getMaxOutputBitrate", "getMaxEncoderBitrate"},
		{"setMaxOutputBitrate", "setMaxEncoderBitrate"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_STR(method_of("WebRtcEndpoint", rows[i].old)->name, rows[i].name);
	CHECK(!kms_method_find(class_of("MediaPipeline"), SL_STR("setOutputBitrate")));
	CHECK(!kms_method_find(class_of("WebRtcEndpoint"), SL_STR("setChilds")));
}

TEST(the_external_address_of_older_clients_is_a_property_of_its_own)
{
	CHECK_STR(method_of("WebRtcEndpoint", "getExternalAddress")->name, "getExternalAddress");
	CHECK_STR(method_of("WebRtcEndpoint", "setExternalAddress")->params[0].name,
		  "externalAddress");
}

TEST(events_have_the_names_of_three_generations)
{
	static const struct {
		const char *old, *name;
	} rows[] = {
		{"IceCandidateFound", "IceCandidateFound"},
		{"OnIceCandidate", "IceCandidateFound"},
		{"OnIceGatheringDone", "IceGatheringDone"},
		{"OnIceComponentStateChanged", "IceComponentStateChanged"},
		{"IceComponentStateChange", "IceComponentStateChanged"},
		{"OnDataChannelOpened", "DataChannelOpened"},
		{"DataChannelOpen", "DataChannelOpened"},
		{"OnDataChannelClosed", "DataChannelClosed"},
		{"DataChannelClose", "DataChannelClosed"},
		{"MediaFlowInStateChange", "MediaFlowInStateChanged"},
		{"MediaFlowOutStateChange", "MediaFlowOutStateChanged"},
		{"MediaTranscodingStateChange", "MediaTranscodingStateChanged"},
		{"DtlsConnectionStateChange", "DtlsConnectionStateChange"},
		{"Error", "Error"},
	};
	const struct kms_class *webrtc = class_of("WebRtcEndpoint");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct kms_event_type *e = kms_event_find(webrtc, sl_str_z(rows[i].old));

		CHECK(e);
		CHECK_STR(e->name, rows[i].name);
	}
}

TEST(a_class_raises_its_own_and_its_ancestors_events_only)
{
	CHECK(!kms_event_find(class_of("PassThrough"), SL_STR("OnIceCandidate")));
	CHECK(!kms_event_find(class_of("WebRtcEndpoint"), SL_STR("OnKeySoftLimit")));
	CHECK(!kms_event_find(class_of("WebRtcEndpoint"), SL_STR("Media")));
	CHECK(!kms_event_find(class_of("WebRtcEndpoint"), SL_STR("NoSuchEvent")));
	CHECK(kms_event_find(class_of("ServerManager"), SL_STR("ObjectCreated")));
}

TEST(records_have_parents_and_what_older_clients_read)
{
	const struct kms_record *r = kms_record_find("RTCInboundRTPStreamStats");

	CHECK(r);
	CHECK_STR(r->module, "kurento");
	CHECK_STR(r->parent->name, "RTCRTPStreamStats");
	CHECK_STR(r->parent->parent->parent->name, "Stats");
	r = r->parent->parent->parent;
	CHECK_STR(r->members[r->member_count - 1].name, "timestamp");
	CHECK(r->members[r->member_count - 1].optional);
	CHECK(!kms_record_find("MediaType"));
	CHECK(!kms_record_find("stats"));
}

TEST(enum_words_keep_their_order)
{
	const struct kms_type *t = &method_of("WebRtcEndpoint", "getStats")->params[0].type;

	CHECK_EQ(t->kind, KMS_ENUM);
	CHECK_STR(kms_enums[t->index].name, "MediaType");
	CHECK_EQ(kms_enums[t->index].count, KMS_MEDIA_COUNT);
	CHECK_STR(kms_enums[t->index].words[KMS_AUDIO], "AUDIO");
	CHECK_STR(kms_enums[t->index].words[KMS_DATA], "DATA");
	CHECK_STR(kms_enums[t->index].words[KMS_VIDEO], "VIDEO");
}

TEST(constructors_have_defaults)
{
	const struct kms_class *c = class_of("WebRtcEndpoint");

	CHECK_EQ(c->param_count, 6);
	CHECK_STR(c->params[0].name, "mediaPipeline");
	CHECK(!c->params[0].optional);
	CHECK(!c->params[0].otherwise);
	CHECK_STR(c->params[1].otherwise, "false");
	CHECK_STR(c->params[4].otherwise, "\"RSA\"");
	CHECK_EQ(class_of("MediaPipeline")->param_count, 0);
}

TEST(the_kmd_text_of_a_module_is_json_and_of_another_there_is_none)
{
	static const char *const modules[] = {"core", "elements", "filters"};
	struct api_json_limits limits = {.values = 100000};
	struct api_json_why why;

	for (size_t i = 0; i < 3; i++) {
		cJSON *tree = NULL;

		TRY(api_json_parse(kms_kmd(sl_str_z(modules[i])), &limits, &tree, &why));
		DEFER(api_json_free, tree);
		CHECK_STR(cJSON_GetStringValue(cJSON_GetObjectItem(tree, "name")), modules[i]);
		CHECK(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "remoteClasses")) > 0);
	}
	CHECK_EQ(kms_kmd(SL_STR("chroma")).n, 0);
	CHECK_EQ(kms_kmd(SL_STR("")).n, 0);
}
