/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/base_rtp.c — the properties of SdpEndpoint and BaseRtpEndpoint: limits of bandwidth,
 * states, key frames. Limits hold only when the client sets them: Kurento's own defaults (500
 * kbit/s for what is sent) are not applied. */
#include "api/kurento/endpoint.h"
#include "core/base/log.h"

enum { KBPS_MAX = 4000000, MTU_DEFAULT = 1200 };

static struct kms_endpoint *endpoint(struct kms_object *o)
{
	return (struct kms_endpoint *)(void *)o;
}

/* ================= limits ================= */

static uint32_t bps(int32_t kbps)
{
	return kbps > 0 ? (uint32_t)kbps * 1000 : 0;
}

static struct sl_track_limits limits_of(const struct kms_endpoint *ep, enum sl_kind kind,
					bool publish)
{
	const struct kms_bandwidth *set = &ep->set;

	if (kind == SL_AUDIO)
		return (struct sl_track_limits){0};
	if (publish)
		return (struct sl_track_limits){bps(set->min_video_recv), bps(set->max_video_recv)};
	return (struct sl_track_limits){bps(set->min_video_send), bps(set->max_video_send)};
}

void kms_endpoint_limit(const struct kms_endpoint *ep, struct sl_track_conf *tc)
{
	struct sl_track_limits l = limits_of(ep, tc->kind, tc->publish);

	tc->min_bps = l.min_bps;
	tc->max_bps = l.max_bps;
}

/* What core has no room to hear now it hears with the next change. */
static void tell_limits(struct kms_endpoint *ep)
{
	for (size_t i = 0; i < ep->track_count; i++) {
		const struct kms_track *t = &ep->tracks[i];
		struct sl_track_limits l = limits_of(ep, t->kind, t->publish);

		if (t->kind != SL_VIDEO)
			continue;
		if (sl_core_set_limits(ep->e.o.kms->core, t->id, &l, NULL, NULL) != SL_OK)
			SL_LOG(WARN, SDP,
			       "a limit of bandwidth could not be told to the media loop",
			       SL_KS("object", ep->e.o.id));
	}
}

static void set_kbps(struct kms_object *o, struct kms_call *call, const char *name, int32_t *value)
{
	int64_t v = kms_arg_int(call, name);

	*value = (int32_t)SL_MIN(SL_MAX(v, 0), KBPS_MAX);
	SL_LOG(INFO, SDP, "limit of bandwidth", SL_KS("object", o->id), SL_KS("limit", name),
	       SL_KI("kbps", *value));
	tell_limits(endpoint(o));
	kms_done(call);
}

#define LIMIT(member, name)                                                                        \
	void kms_get_##member(struct kms_object *o, struct kms_call *call)                         \
	{                                                                                          \
		kms_done_int(call, SL_MAX(endpoint(o)->set.member, 0));                            \
	}                                                                                          \
	void kms_set_##member(struct kms_object *o, struct kms_call *call)                         \
	{                                                                                          \
		set_kbps(o, call, name, &endpoint(o)->set.member);                                 \
	}
LIMIT(max_audio_recv, "maxAudioRecvBandwidth")
LIMIT(max_video_recv, "maxVideoRecvBandwidth")
LIMIT(min_video_recv, "minVideoRecvBandwidth")
LIMIT(min_video_send, "minVideoSendBandwidth")
LIMIT(max_video_send, "maxVideoSendBandwidth")

/* ================= rembParams ================= */

static const struct {
	const char *name;
	double otherwise;
	bool whole;
} remb_params[KMS_REMB_PARAMS] = {
	{"packetsRecvIntervalTop", 100, true},
	{"exponentialFactor", 0.04, false},
	{"linealFactorMin", 50, true},
	{"linealFactorGrade", 30, false},
	{"decrementFactor", 0.5, false},
	{"thresholdFactor", 0.8, false},
	{"upLosses", 12, true},
	{"rembOnConnect", 300000, true},
};

static void get_remb(struct kms_object *o, struct kms_call *call)
{
	const struct kms_remb *remb = &endpoint(o)->remb;
	struct api_json_out *out = kms_value(call);

	kms_open_record(out, NULL, "RembParams");
	for (size_t i = 0; i < KMS_REMB_PARAMS; i++) {
		double v = remb->has[i] ? remb->value[i] : remb_params[i].otherwise;

		if (remb_params[i].whole)
			api_json_put_int(out, remb_params[i].name, (int64_t)v);
		else
			api_json_put_num(out, remb_params[i].name, v);
	}
	api_json_close_object(out);
	kms_done(call);
}

/* Those that are given; numbers that no loss or rate can have are bounded. */
static void set_remb(struct kms_object *o, struct kms_call *call)
{
	struct kms_remb *remb = &endpoint(o)->remb;
	const cJSON *given = kms_arg(call, "rembParams");

	for (size_t i = 0; i < KMS_REMB_PARAMS; i++) {
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(given, remb_params[i].name);

		if (!cJSON_IsNumber(v))
			continue;
		remb->has[i] = true;
		remb->value[i] = SL_MIN(SL_MAX(v->valuedouble, -2147483648.0), 2147483647.0);
	}
	kms_done(call);
}

/* ================= the rest ================= */

static void get_media_state(struct kms_object *o, struct kms_call *call)
{
	kms_done_str(call, endpoint(o)->media ? SL_STR("CONNECTED") : SL_STR("DISCONNECTED"));
}

static void get_connection_state(struct kms_object *o, struct kms_call *call)
{
	kms_done_str(call, endpoint(o)->connected ? SL_STR("CONNECTED") : SL_STR("DISCONNECTED"));
}

static void get_mtu(struct kms_object *o, struct kms_call *call)
{
	kms_done_int(call, endpoint(o)->mtu ? endpoint(o)->mtu : MTU_DEFAULT);
}

/* For transports that are opened from now on. */
static void set_mtu(struct kms_object *o, struct kms_call *call)
{
	int64_t v = kms_arg_int(call, "mtu");

	if (v < 576 || v > 65535) {
		kms_fail(call, KMS_MEDIA_OBJECT_ILLEGAL_PARAM_ERROR, "mtu is from 576 to 65535");
		return;
	}
	endpoint(o)->mtu = (int32_t)v;
	kms_done(call);
}

/* Every picture that this endpoint plays is asked for anew. */
static void request_keyframe(struct kms_object *o, struct kms_call *call)
{
	struct kms_endpoint *ep = endpoint(o);
	unsigned asked = 0;
	int err = SL_OK;

	for (size_t i = 0; i < ep->track_count && !err; i++) {
		if (ep->tracks[i].publish || ep->tracks[i].kind != SL_VIDEO)
			continue;
		err = sl_core_keyframe(o->kms->core, ep->tracks[i].id, NULL, NULL);
		asked++;
	}
	if (err)
		kms_fail_err(call, err);
	else if (!asked)
		kms_fail(call, KMS_MEDIA_OBJECT_OPERATION_NOT_SUPPORTED,
			 "Keyframe request failed (must be requested from a subscriber element)");
	else
		kms_done(call);
}

const struct kms_impl kms_base_rtp_impl = {
	.name = "BaseRtpEndpoint",
	.methods =
		(const struct kms_method_impl[]){
			{"getMinVideoRecvBandwidth", kms_get_min_video_recv},
			{"setMinVideoRecvBandwidth", kms_set_min_video_recv},
			{"getMinVideoSendBandwidth", kms_get_min_video_send},
			{"setMinVideoSendBandwidth", kms_set_min_video_send},
			{"getMaxVideoSendBandwidth", kms_get_max_video_send},
			{"setMaxVideoSendBandwidth", kms_set_max_video_send},
			{"getMediaState", get_media_state},
			{"getConnectionState", get_connection_state},
			{"getMtu", get_mtu},
			{"setMtu", set_mtu},
			{"getRembParams", get_remb},
			{"setRembParams", set_remb},
			{"requestKeyframe", request_keyframe},
			{"getStats", kms_stats_get},
			{0},
		},
};
