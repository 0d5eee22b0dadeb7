/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/webrtc.c — WebRtcEndpoint: the class, its properties, and core's events about its
 * transport. */
#include "api/api_int.h"
#include "api/kurento/webrtc.h"
#include "core/base/log.h"
#include "core/base/mem.h"

enum { URL_MAX = 512 };

/* ================= the transport ================= */

void kms_webrtc_creds(struct kms_webrtc *w, const struct sl_reply *r)
{
	/* Ours are short (RFC 8839 section 5.4: 4 and 22 characters at least). */
	SL_ASSERT(sl_fmt(w->ufrag, sizeof(w->ufrag), "%s", r->ufrag));
	SL_ASSERT(sl_fmt(w->pwd, sizeof(w->pwd), "%s", r->pwd));
}

void kms_webrtc_opened(struct kms_webrtc *w, const struct sl_reply *r)
{
	w->transport = r->transport;
	w->component = KMS_C_DISCONNECTED;
	w->component_said = false;
	kms_webrtc_creds(w, r);
}

void kms_webrtc_drop(struct kms_webrtc *w, bool close)
{
	uint64_t transport = w->transport;

	if (!transport)
		return;
	w->transport = 0;
	w->remote_set = w->secured = false;
	for (size_t i = w->ep.track_count; i-- > 0;)
		kms_track_drop(&w->ep, &w->ep.tracks[i], false);
	kms_webrtc_ice_reset(w);
	kms_endpoint_connected(&w->ep, false);
	if (close)
		kms_transport_close(w->ep.e.o.kms, transport);
}

/* ================= core's events ================= */

static const char *const dtls_words[] = {"NEW", "CONNECTING", "CONNECTED", "CLOSED", "FAILED"};
/* Kurento has one half for each direction. */
static const char *const dtls_halves[] = {"bundle/dtlssrtpdec", "bundle/dtlssrtpenc"};

static void put_dtls(struct api_json_out *out, size_t half, enum sl_core_dtls_state state)
{
	api_json_put_z(out, "streamId", "1");
	api_json_put_z(out, "componentId", dtls_halves[half]);
	api_json_put_z(out, "connectionId", "1");
	api_json_put_z(out, "state", dtls_words[state]);
}

static void set_dtls(struct kms_webrtc *w, enum sl_core_dtls_state state)
{
	if (w->secured && w->dtls == state)
		return;
	w->secured = true;
	w->dtls = state;
	for (size_t i = 0; i < SL_COUNT(dtls_halves); i++) {
		struct api_json_out *out = kms_event_begin(&w->ep.e.o, "DtlsConnectionStateChange");

		if (!out)
			return;
		put_dtls(out, i, state);
		kms_event_end(&w->ep.e.o);
	}
}

static void get_dtls(struct kms_object *o, struct kms_call *call)
{
	const struct kms_webrtc *w = kms_webrtc(o);
	struct api_json_out *out = kms_value(call);

	api_json_open_array(out, NULL);
	for (size_t i = 0; w->secured && i < SL_COUNT(dtls_halves); i++) {
		kms_open_record(out, NULL, "DtlsConnection");
		put_dtls(out, i, w->dtls);
		api_json_close_object(out);
	}
	api_json_close_array(out);
	kms_done(call);
}

/* Checks of the peer may find a way before core was seen to look for one: that is said first. */
static bool looks_for_a_way(struct kms_webrtc *w)
{
	if (!w->component_said || w->component == KMS_C_GATHERING)
		kms_webrtc_component(w, KMS_C_CONNECTING);
	return w->component == KMS_C_CONNECTING;
}

/* A pair that works is CONNECTED; core tells of one only when it is nominated, which is READY. */
static void on_ice(struct kms_webrtc *w, const struct sl_core_event *ev)
{
	switch (ev->ice) {
	case SL_CORE_ICE_NEW:
		break;
	case SL_CORE_ICE_CHECKING:
		kms_webrtc_component(w, KMS_C_CONNECTING);
		break;
	case SL_CORE_ICE_CONNECTED:
		(void)looks_for_a_way(w);
		kms_webrtc_component(w, KMS_C_CONNECTED);
		kms_webrtc_component(w, KMS_C_READY);
		break;
	case SL_CORE_ICE_DISCONNECTED:
		kms_webrtc_component(w, KMS_C_DISCONNECTED);
		break;
	case SL_CORE_ICE_FAILED:
		kms_webrtc_component(w, KMS_C_FAILED);
		break;
	}
}

static void on_pair(struct kms_webrtc *w, const struct sl_core_event *ev)
{
	if (looks_for_a_way(w))
		kms_webrtc_component(w, KMS_C_CONNECTED);
	kms_webrtc_paired(w, &ev->local, &ev->remote);
}

static void on_dtls(struct kms_webrtc *w, const struct sl_core_event *ev)
{
	set_dtls(w, ev->dtls);
}

static void on_candidate(struct kms_webrtc *w, const struct sl_core_event *ev)
{
	kms_webrtc_found(w, &ev->local);
}

static void on_gathered(struct kms_webrtc *w, const struct sl_core_event *ev)
{
	(void)ev;
	kms_webrtc_gathered(w);
}

/* A server that does not answer, or not to this user, is for who runs the application. */
void kms_webrtc_server_failed(struct kms_webrtc *w, const char *why)
{
	SL_LOG(WARN, ICE, "a STUN or TURN server did not do its part",
	       SL_KS("object", w->ep.e.o.id), SL_KS("why", why));
	kms_event_error(&w->ep.e.o, "UNEXPECTED_ELEMENT_ERROR", KMS_ICE_GATHER_CANDIDATES_ERROR,
			"%s", why);
}

static void on_server(struct kms_webrtc *w, const struct sl_core_event *ev)
{
	kms_webrtc_server_failed(w, ev->detail);
}

static void on_up(struct kms_webrtc *w, const struct sl_core_event *ev)
{
	(void)ev;
	kms_endpoint_connected(&w->ep, true);
}

static void on_silent(struct kms_webrtc *w, const struct sl_core_event *ev)
{
	(void)ev;
	kms_endpoint_connected(&w->ep, false);
}

static void on_closed(struct kms_webrtc *w, const struct sl_core_event *ev)
{
	bool failed = ev->cause == SL_CLOSE_DTLS;
	bool ice = ev->cause == SL_CLOSE_NEVER_CONNECTED || ev->cause == SL_CLOSE_TIMEOUT;

	SL_LOG(INFO, ICE, "a peer's transport has ended", SL_KS("object", w->ep.e.o.id),
	       SL_KS("why", failed && ev->detail[0] ? ev->detail : sl_close_cause_text(ev->cause)));
	if (w->secured)
		set_dtls(w, failed ? SL_CORE_DTLS_FAILED : SL_CORE_DTLS_CLOSED);
	if (ice)
		kms_webrtc_component(w, KMS_C_FAILED);
	kms_webrtc_drop(w, false);
	kms_event(&w->ep.e.o, "MediaSessionTerminated");
}

/* One that was given up may still have something to say. */
static void on_event(struct kms_endpoint *ep, const struct sl_core_event *ev)
{
	static const struct {
		enum sl_core_event_type type;
		void (*fn)(struct kms_webrtc *w, const struct sl_core_event *ev);
	} rows[] = {
		{SL_EV_CONNECTED, on_up},
		{SL_EV_RECONNECTED, on_up},
		{SL_EV_DISCONNECTED, on_silent},
		{SL_EV_CLOSED, on_closed},
		{SL_EV_ICE, on_ice},
		{SL_EV_PAIR, on_pair},
		{SL_EV_DTLS, on_dtls},
		{SL_EV_CANDIDATE, on_candidate},
		{SL_EV_GATHERED, on_gathered},
		{SL_EV_SERVER, on_server},
	};
	struct kms_webrtc *w = kms_webrtc(&ep->e.o);

	for (size_t i = 0; i < SL_COUNT(rows) && ev->transport == w->transport; i++)
		if (rows[i].type == ev->type)
			rows[i].fn(w, ev);
}

/* ================= properties ================= */

static void put_text(struct kms_call *call, const char *set, const char *conf)
{
	kms_done_str(call, sl_str_z(set ? set : conf));
}

/* NULL: the call has failed. */
static char *take_text(struct kms_call *call, const char *name)
{
	struct sl_str s = kms_arg_str(call, name);
	char *p = s.n <= URL_MAX ? sl_strndup(s.p, s.n) : NULL;

	if (p)
		return p;
	if (s.n > URL_MAX)
		kms_fail(call, KMS_MEDIA_OBJECT_ILLEGAL_PARAM_ERROR, "%s is too long", name);
	else
		kms_fail_err(call, SL_ENOMEM);
	return NULL;
}

static void set_text(struct kms_call *call, char **at, char *text)
{
	sl_free(*at);
	*at = text;
	kms_done(call);
}

static void get_interfaces(struct kms_object *o, struct kms_call *call)
{
	const struct sl_config_list *list = &o->kms->conf->kurento.network_interfaces;
	char text[SL_CONFIG_LIST_MAX * (SL_CONFIG_TEXT_MAX + 1)] = "";
	struct sl_buf b = sl_buf(text, sizeof(text));

	for (size_t i = 0; i < list->n; i++)
		sl_buf_fmt(&b, i ? ",%s" : "%s", list->at[i]);
	put_text(call, kms_webrtc(o)->set.network_interfaces, text);
}

static void set_interfaces(struct kms_object *o, struct kms_call *call)
{
	char *text = take_text(call, "networkInterfaces");

	if (text)
		set_text(call, &kms_webrtc(o)->set.network_interfaces, text);
}

static void get_ice_tcp(struct kms_object *o, struct kms_call *call)
{
	kms_done_bool(call, kms_webrtc(o)->set.ice_tcp);
}

static void set_ice_tcp(struct kms_object *o, struct kms_call *call)
{
	kms_webrtc(o)->set.ice_tcp = kms_arg_bool(call, "iceTcp");
	kms_done(call);
}

/* An address, of that family if there is one; empty: none. */
static void set_address(struct kms_call *call, const char *name, uint8_t family, char **at)
{
	struct sl_str s = kms_arg_str(call, name);
	struct sl_addr addr;
	char *text;

	if (s.n > 0 && (sl_addr_parse_ip(s, &addr) < 0 || (family && addr.family != family))) {
		kms_fail(call, KMS_MEDIA_OBJECT_ILLEGAL_PARAM_ERROR, "%s is not an IP%s address",
			 name,
			 family == 4   ? "v4"
			 : family == 6 ? "v6"
				       : "");
		return;
	}
	text = take_text(call, name);
	if (text)
		set_text(call, at, text);
}

static void get_stun(struct kms_object *o, struct kms_call *call)
{
	put_text(call, kms_webrtc(o)->set.stun_address, o->kms->conf->kurento.stun);
}

static void set_stun(struct kms_object *o, struct kms_call *call)
{
	set_address(call, "stunServerAddress", 0, &kms_webrtc(o)->set.stun_address);
}

static void get_stun_port(struct kms_object *o, struct kms_call *call)
{
	int32_t set = kms_webrtc(o)->set.stun_port;

	kms_done_int(call, set ? set : (int64_t)o->kms->conf->kurento.stun_port);
}

static void set_stun_port(struct kms_object *o, struct kms_call *call)
{
	int64_t port = kms_arg_int(call, "stunServerPort");

	if (port < 1 || port > 65535) {
		kms_fail(call, KMS_MEDIA_OBJECT_ILLEGAL_PARAM_ERROR,
			 "stunServerPort is from 1 to 65535");
		return;
	}
	kms_webrtc(o)->set.stun_port = (int32_t)port;
	kms_done(call);
}

static void get_turn(struct kms_object *o, struct kms_call *call)
{
	put_text(call, kms_webrtc(o)->set.turn_url, o->kms->conf->kurento.turn);
}

static void set_turn(struct kms_object *o, struct kms_call *call)
{
	struct sl_str url = kms_arg_str(call, "turnUrl");
	struct sl_turn_server s;
	char *text;

	if (url.n > 0 && !kms_turn_url(url, &s)) {
		kms_fail(call, KMS_MEDIA_OBJECT_ILLEGAL_PARAM_ERROR,
			 "turnUrl is user:password@address:port?transport=udp, tcp or tls");
		return;
	}
	text = take_text(call, "turnUrl");
	if (text)
		set_text(call, &kms_webrtc(o)->set.turn_url, text);
}

static void get_external4(struct kms_object *o, struct kms_call *call)
{
	put_text(call, kms_webrtc(o)->set.external_ipv4, o->kms->conf->kurento.external_ipv4);
}

static void set_external4(struct kms_object *o, struct kms_call *call)
{
	set_address(call, "externalIPv4", 4, &kms_webrtc(o)->set.external_ipv4);
}

static void get_external6(struct kms_object *o, struct kms_call *call)
{
	put_text(call, kms_webrtc(o)->set.external_ipv6, o->kms->conf->kurento.external_ipv6);
}

static void set_external6(struct kms_object *o, struct kms_call *call)
{
	set_address(call, "externalIPv6", 6, &kms_webrtc(o)->set.external_ipv6);
}

/* 6.x has one for both families. */
static void set_external(struct kms_object *o, struct kms_call *call)
{
	struct kms_ice_set *set = &kms_webrtc(o)->set;
	bool v6 = memchr(kms_arg_str(call, "externalAddress").p, ':',
			 kms_arg_str(call, "externalAddress").n);

	set_address(call, "externalAddress", v6 ? 6 : 4,
		    v6 ? &set->external_ipv6 : &set->external_ipv4);
}

/* ================= data channels ================= */

static void no_data(struct kms_object *o, struct kms_call *call)
{
	(void)o;
	kms_fail(call, KMS_MEDIA_OBJECT_OPERATION_NOT_SUPPORTED, "Data channels are not supported");
}

/* ================= the class ================= */

static const struct kms_endpoint_ops ops = {
	.offer = kms_webrtc_offer,
	.answer = kms_webrtc_answer,
	.accept = kms_webrtc_accept,
	.open = kms_webrtc_open,
	.renegotiates = kms_webrtc_renegotiates,
	.job_over = kms_webrtc_job_over,
	.event = on_event,
	.idle = kms_webrtc_idle,
	.describe = kms_webrtc_describe,
};

static bool init(struct kms_object *o, struct kms_call *call)
{
	struct kms_webrtc *w = kms_webrtc(o);

	w->ep.ops = &ops;
	w->recvonly = kms_arg_bool(call, "recvonly");
	w->sendonly = kms_arg_bool(call, "sendonly") && !w->recvonly;
	w->rsa = !sl_str_eq(kms_arg_str(call, "certificateKeyType"), SL_STR("ECDSA"));
	if (!kms_dscp(kms_arg_str(call, "qosDscp"), &w->dscp))
		w->dscp = (uint8_t)o->kms->conf->kurento.dscp;
	w->ep.mtu = (int32_t)o->kms->conf->kurento.mtu;
	w->set.ice_tcp = o->kms->conf->kurento.ice_tcp;
	kms_webrtc_ice_init(w);
	if (kms_arg_bool(call, "useDataChannels"))
		SL_LOG(WARN, SDP, "data channels are not supported: their section will be rejected",
		       SL_KS("object", o->id));
	return true;
}

static void fini(struct kms_object *o)
{
	struct kms_webrtc *w = kms_webrtc(o);

	kms_transport_close(o->kms, w->transport);
	w->transport = 0;
	kms_webrtc_ice_fini(w);
	sl_free(w->lines);
	sl_free(w->set.network_interfaces);
	sl_free(w->set.stun_address);
	if (w->set.turn_url)
		sl_wipe(w->set.turn_url, strlen(w->set.turn_url));
	sl_free(w->set.turn_url);
	sl_free(w->set.external_ipv4);
	sl_free(w->set.external_ipv6);
	sl_wipe(w->pwd, sizeof(w->pwd));
}

const struct kms_impl kms_webrtc_impl = {
	.name = "WebRtcEndpoint",
	.size = sizeof(struct kms_webrtc),
	.init = init,
	.fini = fini,
	.methods =
		(const struct kms_method_impl[]){
			{"gatherCandidates", kms_webrtc_gather},
			{"addIceCandidate", kms_webrtc_add_candidate},
			{"createDataChannel", no_data},
			{"closeDataChannel", no_data},
			{"getNetworkInterfaces", get_interfaces},
			{"setNetworkInterfaces", set_interfaces},
			{"getIceTcp", get_ice_tcp},
			{"setIceTcp", set_ice_tcp},
			{"getStunServerAddress", get_stun},
			{"setStunServerAddress", set_stun},
			{"getStunServerPort", get_stun_port},
			{"setStunServerPort", set_stun_port},
			{"getTurnUrl", get_turn},
			{"setTurnUrl", set_turn},
			{"getExternalIPv4", get_external4},
			{"setExternalIPv4", set_external4},
			{"getExternalIPv6", get_external6},
			{"setExternalIPv6", set_external6},
			{"getExternalAddress", get_external4},
			{"setExternalAddress", set_external},
			{"getICECandidatePairs", kms_webrtc_get_pairs},
			{"getIceConnectionState", kms_webrtc_get_connections},
			{"getDtlsConnectionState", get_dtls},
			{0},
		},
};
