/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/element.c — MediaElement and PassThrough: connect, disconnect, what is connected, whether media flows.
 * Nothing is decoded here: formats can be asked for, but only what the peer sends can be had. */
#include "api/kurento/graph.h"
#include "core/base/mem.h"
#include <time.h>

static const char *const media_words[KMS_MEDIA_COUNT] = {"AUDIO", "DATA", "VIDEO"};

const char *kms_media_word(enum kms_media media)
{
	return media_words[media];
}

static struct kms_element *element(struct kms_object *o)
{
	return (struct kms_element *)(void *)o;
}

/* The kinds of media that the call is about: one, or all. */
static void media_range(const struct kms_call *call, unsigned *first, unsigned *end)
{
	int word = kms_arg_word(call, "mediaType");

	*first = word < 0 ? 0 : (unsigned)word;
	*end = word < 0 ? KMS_MEDIA_COUNT : *first + 1;
}

/* ---- connect and disconnect ---- */

static void raise_connection(struct kms_element *source, const char *event,
			     const struct kms_element *sink, enum kms_media media)
{
	struct api_json_out *out = kms_event_begin(&source->o, event);

	if (!out)
		return;
	kms_put_object(out, "sink", &sink->o);
	api_json_put_z(out, "mediaType", kms_media_word(media));
	api_json_put_z(out, "sourceMediaDescription", "default");
	api_json_put_z(out, "sinkMediaDescription", "default");
	kms_event_end(&source->o);
}

/* Whom the call names as sink; NULL: it has failed. */
static struct kms_element *sink_of(struct kms_object *o, struct kms_call *call)
{
	struct kms_object *sink = kms_arg_object(call, "sink");

	if (sink && kms_object_pipeline(sink) == kms_object_pipeline(o))
		return element(sink);
	kms_fail(call, KMS_CONNECT_ERROR, "Media elements do not share pipeline");
	return NULL;
}

static void put_in_force(struct kms_link *l)
{
	struct kms_element *source = l->source;
	struct kms_element *sink = l->sink;
	enum kms_media media = l->media;
	struct kms_element *former = sink->source[media] ? sink->source[media]->source : NULL;

	if (former == source) {
		sl_free(l);
	} else {
		kms_link_add(l);
		if (former)
			raise_connection(former, "ElementDisconnected", sink, media);
	}
	raise_connection(source, "ElementConnected", sink, media);
}

/* All of its links, or none. */
static void connect_to(struct kms_object *o, struct kms_call *call)
{
	struct kms_element *sink = sink_of(o, call);
	struct kms_link *links[KMS_MEDIA_COUNT] = {NULL};
	unsigned first, end, made;

	if (!sink)
		return;
	media_range(call, &first, &end);
	for (made = first; made < end; made++) {
		links[made] = kms_link_new(element(o), sink, made);
		if (!links[made])
			break;
	}
	if (made < end) {
		while (made-- > first)
			sl_free(links[made]);
		kms_fail_err(call, SL_ENOMEM);
		return;
	}
	for (unsigned media = first; media < end; media++)
		put_in_force(links[media]);
	kms_done(call);
}

/* The event comes even when nothing was connected, nor could be, the sink being in another
 * pipeline; what feeds the sink instead stays. */
static void disconnect_from(struct kms_object *o, struct kms_call *call)
{
	struct kms_element *source = element(o);
	struct kms_element *sink = element(kms_arg_object(call, "sink"));
	unsigned first, end;

	media_range(call, &first, &end);
	for (unsigned media = first; media < end; media++) {
		if (sink->source[media] && sink->source[media]->source == source)
			kms_unlink(sink, media);
		raise_connection(source, "ElementDisconnected", sink, media);
	}
	kms_done(call);
}

static void put_link(struct api_json_out *out, const struct kms_link *l)
{
	kms_open_record(out, NULL, "ElementConnectionData");
	kms_put_object(out, "source", &l->source->o);
	kms_put_object(out, "sink", &l->sink->o);
	api_json_put_z(out, "type", kms_media_word(l->media));
	api_json_put_z(out, "sourceDescription", "default");
	api_json_put_z(out, "sinkDescription", "default");
	api_json_close_object(out);
}

/* There is no other description than "default", and so no connection of another. */
static bool any_description(const struct kms_call *call)
{
	struct sl_str s = kms_arg_str(call, "description");

	return s.n == 0 || sl_str_eq(s, SL_STR("default"));
}

static void get_sources(struct kms_object *o, struct kms_call *call)
{
	struct api_json_out *out = kms_value(call);
	unsigned first, end;

	media_range(call, &first, &end);
	api_json_open_array(out, NULL);
	for (unsigned media = first; media < end && any_description(call); media++)
		if (element(o)->source[media])
			put_link(out, element(o)->source[media]);
	api_json_close_array(out);
	kms_done(call);
}

static void get_sinks(struct kms_object *o, struct kms_call *call)
{
	struct api_json_out *out = kms_value(call);
	unsigned first, end;

	media_range(call, &first, &end);
	api_json_open_array(out, NULL);
	for (unsigned media = first; media < end && any_description(call); media++) {
		SL_LIST_EACH(it, tmp, &element(o)->sinks[media])
			put_link(out, SL_LIST_AT(it, struct kms_link, in_source));
	}
	api_json_close_array(out);
	kms_done(call);
}

/* ---- what flows ---- */

/* The media that a question about flow is about; KMS_DATA: it has failed. */
static enum kms_media flow_media(struct kms_call *call, const char *what)
{
	int word = kms_arg_word(call, "mediaType");

	if (word == KMS_AUDIO || word == KMS_VIDEO)
		return (enum kms_media)word;
	kms_fail(call, KMS_MEDIA_OBJECT_ILLEGAL_PARAM_ERROR,
		 "Media type DATA is not supported for %s", what);
	return KMS_DATA;
}

static void is_flowing_in(struct kms_object *o, struct kms_call *call)
{
	enum kms_media media = flow_media(call, "MediaFlowingIn");

	if (media != KMS_DATA)
		kms_done_bool(call, element(o)->flowing_in[media]);
}

static void is_flowing_out(struct kms_object *o, struct kms_call *call)
{
	enum kms_media media = flow_media(call, "MediaFlowingOut");

	if (media != KMS_DATA)
		kms_done_bool(call, element(o)->flowing_out[media]);
}

/* Nothing is transcoded. */
static void is_transcoding(struct kms_object *o, struct kms_call *call)
{
	(void)o;
	if (flow_media(call, "MediaTranscoding") != KMS_DATA)
		kms_done_bool(call, false);
}

static int64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Packets are not held anywhere between endpoints, so there is no latency to tell. 6.x has the time
 * in seconds, and a number for each kind of media. */
static void get_stats(struct kms_object *o, struct kms_call *call)
{
	struct api_json_out *out = kms_value(call);
	int64_t now_ms = wall_ms();

	api_json_open_object(out, NULL);
	kms_open_record(out, o->id, "ElementStats");
	api_json_put_z(out, "id", o->id);
	api_json_put_z(out, "type", "element");
	api_json_put_int(out, "timestampMillis", now_ms);
	api_json_put_num(out, "timestamp", (double)now_ms / 1000);
	api_json_open_array(out, "inputLatency");
	api_json_close_array(out);
	api_json_put_num(out, "inputAudioLatency", 0);
	api_json_put_num(out, "inputVideoLatency", 0);
	api_json_close_object(out);
	api_json_close_object(out);
	kms_done(call);
}

/* ---- formats and bitrates ---- */

/* The codec of an AudioCaps or VideoCaps; NONE: another, or RAW. */
static enum sl_codec codec_of(const cJSON *caps)
{
	static const struct {
		const char *word;
		enum sl_codec codec;
	} words[] = {
		{"OPUS", SL_OPUS}, {"PCMU", SL_PCMU}, {"PCMA", SL_PCMA},
		{"VP8", SL_VP8},   {"VP9", SL_VP9},   {"H264", SL_H264},
		{"H265", SL_H265}, {"AV1", SL_AV1},
	};
	const cJSON *codec = cJSON_GetObjectItemCaseSensitive(caps, "codec");

	for (size_t i = 0; cJSON_IsString(codec) && i < SL_COUNT(words); i++)
		if (strcmp(words[i].word, codec->valuestring) == 0)
			return words[i].codec;
	return SL_CODEC_NONE;
}

/* What comes out of an element is what an endpoint's peer sends: its own, or the one that feeds the
 * element. That can be asked for; anything else needs a transcoder. */
static void set_format(struct kms_object *o, struct kms_call *call, enum kms_media media)
{
	struct kms_element *from = element(o);
	enum sl_codec want = codec_of(kms_arg(call, "caps"));

	if (!kms_is_endpoint(from))
		from = kms_graph_origin(from, media);
	if (want != SL_CODEC_NONE && from && from->ops->codec &&
	    from->ops->codec(from, media) == want)
		kms_done(call);
	else
		kms_fail(call, KMS_NOT_IMPLEMENTED,
			 "Only the format that the source sends can be had: "
			 "this server does not transcode");
}

static void set_audio_format(struct kms_object *o, struct kms_call *call)
{
	set_format(o, call, KMS_AUDIO);
}

static void set_video_format(struct kms_object *o, struct kms_call *call)
{
	set_format(o, call, KMS_VIDEO);
}

/* Of an encoder; they are kept for the client, and nothing encodes. */
#define BITRATE(member, name)                                                       \
	static void get_##member(struct kms_object *o, struct kms_call *call)       \
	{                                                                           \
		kms_done_int(call, element(o)->member);                             \
	}                                                                           \
	static void set_##member(struct kms_object *o, struct kms_call *call)       \
	{                                                                           \
		int64_t v = kms_arg_int(call, name);                                \
                                                                                    \
		element(o)->member = (int32_t)SL_MIN(SL_MAX(v, 0), INT32_MAX);      \
		kms_done(call);                                                     \
	}
BITRATE(encoder_bitrate, "encoderBitrate")
BITRATE(min_encoder_bitrate, "minEncoderBitrate")
BITRATE(max_encoder_bitrate, "maxEncoderBitrate")

/* ---- the classes ---- */

static bool element_init(struct kms_object *o, struct kms_call *call)
{
	const struct sl_config *conf = o->kms->conf;
	struct kms_element *e = element(o);

	(void)call;
	kms_graph_enter(e);
	e->encoder_bitrate = (int32_t)conf->kurento.encoder_bps;
	e->min_encoder_bitrate = (int32_t)conf->kurento.min_encoder_bps;
	e->max_encoder_bitrate = (int32_t)conf->kurento.max_encoder_bps;
	return true;
}

/* Those who feed it hear that it is gone. */
static void element_fini(struct kms_object *o)
{
	struct kms_element *e = element(o);

	for (unsigned media = 0; media < KMS_MEDIA_COUNT; media++) {
		struct kms_element *source = e->source[media] ? e->source[media]->source : NULL;

		if (source && source != e && !source->o.dying)
			raise_connection(source, "ElementDisconnected", e, media);
	}
	kms_graph_leave(e);
}

const struct kms_impl kms_element_impl = {
	.name = "MediaElement",
	.size = sizeof(struct kms_element),
	.init = element_init,
	.fini = element_fini,
	.methods = (const struct kms_method_impl[]){
		{"connect", connect_to},
		{"disconnect", disconnect_from},
		{"getSourceConnections", get_sources},
		{"getSinkConnections", get_sinks},
		{"isMediaFlowingIn", is_flowing_in},
		{"isMediaFlowingOut", is_flowing_out},
		{"isMediaTranscoding", is_transcoding},
		{"getStats", get_stats},
		{"setAudioFormat", set_audio_format},
		{"setVideoFormat", set_video_format},
		{"getEncoderBitrate", get_encoder_bitrate},
		{"setEncoderBitrate", set_encoder_bitrate},
		{"getMinEncoderBitrate", get_min_encoder_bitrate},
		{"setMinEncoderBitrate", set_min_encoder_bitrate},
		{"getMaxEncoderBitrate", get_max_encoder_bitrate},
		{"setMaxEncoderBitrate", set_max_encoder_bitrate},
		{"getGstreamerDot", kms_dot_get},
		{"dumpGstreamerDot", kms_dot_dump},
		{0},
	},
};

/* What comes in goes out: an element without ops. */
const struct kms_impl kms_pass_through_impl = {
	.name = "PassThrough",
	.methods = (const struct kms_method_impl[]){{0}},
};
