/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_args.c — arguments are read as Kurento reads them, and refused with its words.
 */
#include "api/kurento/tables.h"
#include "tests/test.h"

/* Two objects: a pipeline "P" and a hub's port "H". */
static struct kms_object *object(struct kms *kms, struct sl_str id)
{
	static struct kms_object pipeline, port;

	(void)kms;
	pipeline = (struct kms_object){.id = (char *)(uintptr_t) "P",
				       .class = kms_class_find(SL_STR("MediaPipeline"))};
	port = (struct kms_object){.id = (char *)(uintptr_t) "H",
				   .class = kms_class_find(SL_STR("HubPort"))};
	return sl_str_eq(id, SL_STR("P")) ? &pipeline : sl_str_eq(id, SL_STR("H")) ? &port : NULL;
}

/* Reads `given` by a constructor's ("WebRtcEndpoint") or a method's ("Hub.connect") parameters.
 * NULL: *in says why. NULL given: nothing is given. */
static cJSON *read_as(const char *what, const char *given, struct kms_args_in *in)
{
	struct sl_str method = sl_str_z(what);
	const struct kms_class *c = kms_class_find(sl_str_cut(&method, '.'));
	const struct kms_method *m = method.n ? kms_method_find(c, method) : NULL;
	cJSON *tree = NULL;
	cJSON *out = NULL;
	struct api_json_why why;

	CHECK(c);
	CHECK(m || method.n == 0);
	if (given)
		TRY(api_json_parse(sl_str_z(given), NULL, &tree, &why));
	*in = (struct kms_args_in){.object = object};
	if (!kms_args_read(in, m ? m->params : c->params, m ? m->param_count : c->param_count, tree,
			   &out))
		CHECK(in->error && in->why[0] && !out);
	api_json_free(tree);
	if (sl_test_oom_fired() && in->error == KMS_NOT_ENOUGH_RESOURCES)
		sl_test_oom_stop();
	return out;
}

struct row {
	const char *what, *given, *want;
};

static void check_good(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct kms_args_in in;
		cJSON *out = read_as(rows[i].what, rows[i].given, &in);
		char *printed;

		if (!out)
			sl_test_failed(__FILE__, __LINE__, "%s %s: %s", rows[i].what, rows[i].given,
				       in.why);
		printed = cJSON_PrintUnformatted(out);
		cJSON_Delete(out);
		DEFER(cJSON_free, printed);
		if (!printed && sl_test_oom_fired())
			sl_test_oom_stop();
		CHECK_STR(printed, rows[i].want);
	}
}
#define GOOD(...)                                                                                  \
	check_good((const struct row[]){__VA_ARGS__},                                              \
		   sizeof((const struct row[]){__VA_ARGS__}) / sizeof(struct row))

static void check_bad(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct kms_args_in in;
		char text[400];
		cJSON *out = read_as(rows[i].what, rows[i].given, &in);

		if (out) {
			cJSON_Delete(out);
			sl_test_failed(__FILE__, __LINE__, "%s %s is taken", rows[i].what,
				       rows[i].given);
		}
		(void)sl_fmt(text, sizeof(text), "%d %s", (int)in.error, in.why);
		CHECK_STR(text, rows[i].want);
	}
}
#define BAD(...)                                                                                   \
	check_bad((const struct row[]){__VA_ARGS__},                                               \
		  sizeof((const struct row[]){__VA_ARGS__}) / sizeof(struct row))

TEST(what_is_not_given_has_its_default_or_is_absent)
{
	GOOD({"WebRtcEndpoint", "{\"mediaPipeline\":\"P\"}",
	      "{\"mediaPipeline\":\"P\",\"recvonly\":false,\"sendonly\":false,\"useDataChannels\":"
	      "false,"
	      "\"certificateKeyType\":\"RSA\",\"qosDscp\":\"NO_VALUE\"}"},
	     {"Composite", "{\"mediaPipeline\":\"P\",\"height\":480}",
	      "{\"mediaPipeline\":\"P\",\"width\":800,\"height\":480,\"framerate\":15}"},
	     {"RtpEndpoint", "{\"mediaPipeline\":\"P\"}",
	      "{\"mediaPipeline\":\"P\",\"crypto\":{},\"useIpv6\":false}"},
	     {"MediaElement.isMediaFlowingIn", "{\"mediaType\":\"AUDIO\"}",
	      "{\"mediaType\":\"AUDIO\",\"sinkMediaDescription\":\"default\"}"},
	     {"MediaElement.connect", "{\"sink\":\"H\"}", "{\"sink\":\"H\"}"},
	     {"MediaElement.getStats", "{\"mediaType\":null}", "{}"},
	     {"MediaElement.getStats", NULL, "{}"}, {"MediaElement.getStats", "null", "{}"},
	     {"ServerManager.getUsedCpu", "{}", "{\"interval\":1000}"},
	     {"MediaPipeline", NULL, "{}"},
	     {"SdpEndpoint.generateOffer", "{\"options\":{}}",
	      "{\"options\":{\"offerToReceiveAudio\":true,\"offerToReceiveVideo\":true}}"});
}

TEST(scalars_that_can_be_converted_are)
{
	GOOD({"BaseRtpEndpoint.setMtu", "{\"mtu\":1400}", "{\"mtu\":1400}"},
	     {"BaseRtpEndpoint.setMtu", "{\"mtu\":\"1400\"}", "{\"mtu\":1400}"},
	     {"BaseRtpEndpoint.setMtu", "{\"mtu\":\"-1\"}", "{\"mtu\":-1}"},
	     {"BaseRtpEndpoint.setMtu", "{\"mtu\":1400.9}", "{\"mtu\":1400}"},
	     {"BaseRtpEndpoint.setMtu", "{\"mtu\":true}", "{\"mtu\":1}"},
	     {"BaseRtpEndpoint.setMtu", "{\"mtu\":2147483647}", "{\"mtu\":2147483647}"},
	     {"BaseRtpEndpoint.setMtu", "{\"mtu\":-2147483648}", "{\"mtu\":-2147483648}"},
	     {"PlayerEndpoint.setPosition", "{\"position\":4294967296}",
	      "{\"position\":4294967296}"},
	     {"MediaObject.setName", "{\"name\":7}", "{\"name\":\"7\"}"},
	     {"MediaObject.setName", "{\"name\":0.5}", "{\"name\":\"0.5\"}"},
	     {"MediaObject.setName", "{\"name\":true}", "{\"name\":\"true\"}"},
	     {"MediaObject.setName", "{\"name\":\"\"}", "{\"name\":\"\"}"},
	     {"MediaObject.setSendTagsInEvents", "{\"sendTagsInEvents\":1}",
	      "{\"sendTagsInEvents\":true}"},
	     {"MediaObject.setSendTagsInEvents", "{\"sendTagsInEvents\":\"false\"}",
	      "{\"sendTagsInEvents\":false}"},
	     {"MediaObject.setSendTagsInEvents", "{\"sendTagsInEvents\":\"true\"}",
	      "{\"sendTagsInEvents\":true}"});
}

TEST(numbers_that_are_none_or_do_not_fit_are_refused)
{
	static const char integer[] = "40001 'mtu' parameter should be an integer";

	BAD({"BaseRtpEndpoint.setMtu", "{\"mtu\":\"wide\"}", integer},
	    {"BaseRtpEndpoint.setMtu", "{\"mtu\":\"\"}", integer},
	    {"BaseRtpEndpoint.setMtu", "{\"mtu\":\" 1\"}", integer},
	    {"BaseRtpEndpoint.setMtu", "{\"mtu\":\"0x10\"}", integer},
	    {"BaseRtpEndpoint.setMtu", "{\"mtu\":\"1e999\"}", integer},
	    {"BaseRtpEndpoint.setMtu", "{\"mtu\":\"nan\"}", integer},
	    {"BaseRtpEndpoint.setMtu", "{\"mtu\":2147483648}", integer},
	    {"BaseRtpEndpoint.setMtu", "{\"mtu\":-2147483649}", integer},
	    {"BaseRtpEndpoint.setMtu", "{\"mtu\":[1]}", integer},
	    {"BaseRtpEndpoint.setMtu", "{\"mtu\":{}}", integer},
	    {"PlayerEndpoint.setPosition", "{\"position\":1e19}",
	     "40001 'position' parameter should be an int64"},
	    {"FaceOverlayFilter.setOverlayedImage",
	     "{\"uri\":\"u\",\"offsetXPercent\":\"left\",\"offsetYPercent\":0,\"widthPercent\":1,"
	     "\"heightPercent\":1}",
	     "40001 'offsetXPercent' parameter should be a double"});
}

TEST(what_is_missing_or_of_another_type_is_named)
{
	BAD({"PlayerEndpoint", "{\"mediaPipeline\":\"P\"}", "40001 'uri' parameter is required"},
	    {"PlayerEndpoint", "{\"mediaPipeline\":\"P\",\"uri\":null}",
	     "40001 'uri' parameter is required"},
	    {"PlayerEndpoint", "{\"mediaPipeline\":\"P\",\"uri\":{}}",
	     "40001 'uri' parameter should be a string"},
	    {"PlayerEndpoint", NULL, "40001 'constructorParams' is required"},
	    {"PlayerEndpoint", "null", "40001 'constructorParams' is required"},
	    {"PlayerEndpoint", "[]", "40001 'constructorParams' should be an object"},
	    {"MediaElement.connect", NULL, "40001 'operationParams' is required"},
	    {"MediaElement.connect", "7", "40001 'operationParams' should be an object"},
	    {"MediaElement.getStats", "\"AUDIO\"", "40001 'operationParams' should be an object"},
	    {"MediaElement.getStats", "{\"mediaType\":\"SMELL\"}",
	     "40001 'mediaType' parameter: 'SMELL' is no MediaType"},
	    {"MediaElement.getStats", "{\"mediaType\":1}",
	     "40001 'mediaType' parameter should be a string"},
	    {"MediaObject.setSendTagsInEvents", "{\"sendTagsInEvents\":\"maybe\"}",
	     "40001 'sendTagsInEvents' parameter should be a boolean"});
}

TEST(objects_exist_and_are_of_the_class)
{
	GOOD({"MediaElement.connect", "{\"sink\":\"H\",\"mediaType\":\"VIDEO\"}",
	      "{\"sink\":\"H\",\"mediaType\":\"VIDEO\"}"},
	     {"PassThrough", "{\"mediaPipeline\":\"P\",\"more\":[1]}",
	      "{\"mediaPipeline\":\"P\"}"},
	     {"MediaElement.connect", "{\"sink\":{\"_events\":{},\"id\":\"H\"}}",
	      "{\"sink\":\"H\"}"});
	BAD({"PassThrough", "{\"mediaPipeline\":\"Q\"}", "40101 Object 'Q' not found"},
	    {"PassThrough", "{\"mediaPipeline\":\"\"}", "40101 Object '' not found"},
	    {"PassThrough", "{\"mediaPipeline\":\"newref:0\"}",
	     "40109 Object 'newref:0' not found"},
	    {"PassThrough", "{\"mediaPipeline\":\"H\"}",
	     "40001 'mediaPipeline' parameter should be a MediaPipeline"},
	    {"MediaElement.connect", "{\"sink\":\"P\"}",
	     "40001 'sink' parameter should be a MediaElement"},
	    {"MediaElement.connect", "{\"sink\":{\"id\":\"Q\"}}", "40101 Object 'Q' not found"},
	    {"MediaElement.connect", "{\"sink\":{\"id\":7}}",
	     "40001 'sink' parameter should be a string"},
	    {"MediaElement.connect", "{\"sink\":7}", "40001 'sink' parameter should be a string"});
}

TEST(records_are_read_member_by_member_with_or_without_tags)
{
	GOOD({"WebRtcEndpoint.addIceCandidate",
	      "{\"candidate\":{\"candidate\":\"c\",\"sdpMid\":0,\"sdpMLineIndex\":\"1\"}}",
	      "{\"candidate\":{\"candidate\":\"c\",\"sdpMid\":\"0\",\"sdpMLineIndex\":1}}"},
	     {"WebRtcEndpoint.addIceCandidate",
	      "{\"candidate\":{\"__module__\":\"kurento\",\"__type__\":\"IceCandidate\","
	      "\"candidate\":\"c\","
	      "\"sdpMid\":\"a\",\"sdpMLineIndex\":0,\"usernameFragment\":\"u\"}}",
	      "{\"candidate\":{\"candidate\":\"c\",\"sdpMid\":\"a\",\"sdpMLineIndex\":0}}"},
	     {"MediaElement.setVideoFormat",
	      "{\"caps\":{\"codec\":\"VP8\",\"framerate\":{\"numerator\":15,\"denominator\":1}}}",
	      "{\"caps\":{\"codec\":\"VP8\",\"framerate\":{\"numerator\":15,\"denominator\":1}}}"});
	BAD({"WebRtcEndpoint.addIceCandidate",
	     "{\"candidate\":{\"candidate\":\"c\",\"sdpMid\":\"0\"}}",
	     "40001 'sdpMLineIndex' parameter is required"},
	    {"WebRtcEndpoint.addIceCandidate", "{\"candidate\":\"c\"}",
	     "40001 'candidate' parameter should be an object"},
	    {"MediaElement.setVideoFormat",
	     "{\"caps\":{\"codec\":\"VP8\",\"framerate\":{\"numerator\":15,\"denominator\":\"one\"}"
	     "}}",
	     "40001 'denominator' parameter should be an integer"},
	    {"MediaElement.setVideoFormat", "{\"caps\":{\"codec\":\"MJPG\"}}",
	     "40001 'codec' parameter: 'MJPG' is no VideoCodec"});
}

TEST(parameters_of_older_clients_get_todays_names)
{
	GOOD({"MediaElement.setOutputBitrate", "{\"bitrate\":100000}",
	      "{\"encoderBitrate\":100000}"},
	     {"MediaElement.setMinOuputBitrate", "{\"minOuputBitrate\":1}",
	      "{\"minEncoderBitrate\":1}"},
	     {"MediaElement.setMaxOutputBitrate", "{\"maxOutputBitrate\":2}",
	      "{\"maxEncoderBitrate\":2}"},
	     {"MediaElement.setEncoderBitrate", "{\"encoderBitrate\":3}",
	      "{\"encoderBitrate\":3}"});
	BAD({"MediaElement.setOutputBitrate", "{}",
	     "40001 'encoderBitrate' parameter is required"});
}

/* No parameter of Kurento's own modules is a list or a map; these are. */
TEST(lists_and_maps_are_read_item_by_item)
{
	static const struct kms_param params[] = {
		{"list", {.kind = KMS_INT, .list = true}, true, "[1,\"2\"]"},
		{"map", {.kind = KMS_STRING, .map = true}, true, NULL},
	};
	static const struct {
		const char *given, *want;
	} rows[] = {
		{"{}", "{\"list\":[1,2]}"},
		{"{\"list\":[]}", "{\"list\":[]}"},
		{"{\"list\":[\"3\"],\"map\":{\"a\":1}}", "{\"list\":[3],\"map\":{\"a\":\"1\"}}"},
		{"{\"list\":1}", "'list' parameter should be a list"},
		{"{\"list\":[1,\"x\"]}", "'list' parameter should be an integer"},
		{"{\"map\":[]}", "'map' parameter should be a map"},
		{"{\"map\":{\"a\":{}}}", "'map' parameter should be a string"},
	};

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		struct kms_args_in in = {.object = object};
		struct api_json_why why;
		cJSON *tree = NULL;
		cJSON *out = NULL;
		char *printed;
		bool ok;

		TRY(api_json_parse(sl_str_z(rows[i].given), NULL, &tree, &why));
		ok = kms_args_read(&in, params, SL_COUNT(params), tree, &out);
		api_json_free(tree);
		printed = ok ? cJSON_PrintUnformatted(out) : NULL;
		cJSON_Delete(out);
		DEFER(cJSON_free, printed);
		if (sl_test_oom_fired() && !printed && (ok || in.error == KMS_NOT_ENOUGH_RESOURCES))
			sl_test_oom_stop();
		CHECK_STR(ok ? printed : in.why, rows[i].want);
	}
}
