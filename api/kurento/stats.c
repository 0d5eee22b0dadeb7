/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/stats.c — getStats of an endpoint: core is asked about one transport after the other,
 * and what it says is written at once. Beside what Kurento tells (itself and a stream per SSRC)
 * there are transports, candidate pairs, candidates and codecs in Kurento's own types, and which
 * limit of bandwidth holds. */
#include "api/api_int.h"
#include "api/kurento/endpoint.h"
#include "core/base/mem.h"

struct asking {
	struct kms_call *call;
	struct sl_core *core;	  /* borrowed */
	struct api_json_out *out; /* of the call */
	int media;		  /* enum kms_media; -1: all */
	int64_t now_ms;
	size_t next, n;
	uint64_t transports[KMS_TRACKS_MAX];
};

static void ask(struct asking *a);

/* ================= what every entry has ================= */

/* 6.x has the time in seconds, too. */
static void open_entry(struct asking *a, const char *id, const char *record, const char *type)
{
	kms_open_record(a->out, id, record);
	api_json_put_z(a->out, "id", id);
	api_json_put_z(a->out, "type", type);
	api_json_put_int(a->out, "timestampMillis", a->now_ms);
	api_json_put_num(a->out, "timestamp", (double)a->now_ms / 1000);
}

static void put_u64(struct asking *a, const char *key, uint64_t v)
{
	api_json_put_int(a->out, key, (int64_t)SL_MIN(v, (uint64_t)INT64_MAX));
}

static double seconds(int64_t us)
{
	return us > 0 ? (double)us / SL_SEC : 0;
}

/* Ids are unlike each other within one answer, and the same in the next. */
struct name {
	char text[64];
};
static const char *name_of(struct name *n, const char *what, uint64_t number, uint64_t part)
{
	(void)sl_fmt(n->text, sizeof(n->text), "%s-%llx-%llu", what, (unsigned long long)number,
		     (unsigned long long)part);
	return n->text;
}

/* ================= streams ================= */

static const char *limited_by(const struct sl_track_stats *t)
{
	static const char *const words[] = {"none", "configuration", "client", "player"};

	return words[t->cap_by];
}

static double fraction_lost(const struct sl_track_stats *t)
{
	return t->lost > 0 ? (double)(t->lost * 255 / (t->packets + t->lost)) : 0;
}

/* slices are not counted, and key frames are asked for by PLI. */
static void put_stream(struct asking *a, const struct sl_track_stats *t, uint64_t transport)
{
	char ssrc[16];
	struct name n;

	(void)sl_fmt(ssrc, sizeof(ssrc), "%u", t->ssrc);
	api_json_put_z(a->out, "ssrc", ssrc);
	api_json_put_z(a->out, "associateStatsId", "");
	api_json_put_bool(a->out, "isRemote", false);
	api_json_put_z(a->out, "mediaTrackId", "");
	api_json_put_z(a->out, "transportId", name_of(&n, "transport", transport, 0));
	api_json_put_z(a->out, "codecId", t->codec ? name_of(&n, "codec", t->id, t->codec) : "");
	api_json_put_int(a->out, "firCount", 0);
	put_u64(a, "pliCount", t->plis);
	put_u64(a, "nackCount", t->nacks);
	api_json_put_int(a->out, "sliCount", 0);
	api_json_put_int(a->out, "remb", t->cap_bps);
	put_u64(a, "packetsLost", t->lost);
	api_json_put_num(a->out, "fractionLost", fraction_lost(t));
	api_json_put_z(a->out, "mediaType", t->kind == SL_VIDEO ? "VIDEO" : "AUDIO");
	api_json_put_z(a->out, "bandwidthLimitedBy", limited_by(t));
	api_json_put_int(a->out, "bandwidthMin", t->min_bps);
	api_json_put_int(a->out, "bandwidthMax", t->max_bps);
	put_u64(a, "keyFrames", t->keyframes);
	put_u64(a, "packetsRetransmitted", t->retransmitted);
	api_json_put_int(a->out, "bitrate", t->bps);
}

static void put_codec(struct asking *a, const struct sl_track_stats *t)
{
	const struct sl_codec_info *info = sl_codec_info(t->codec);
	struct name n;

	if (t->codec == SL_CODEC_NONE)
		return;
	open_entry(a, name_of(&n, "codec", t->id, t->codec), "RTCCodec", "track");
	api_json_put_z(a->out, "codec", info->name);
	api_json_put_int(a->out, "clockRate", info->clock_hz);
	api_json_put_int(a->out, "channels", info->channels);
	api_json_put_z(a->out, "parameters", "");
	api_json_close_object(a->out);
}

static void put_track(struct asking *a, const struct sl_track_stats *t, uint64_t transport)
{
	struct name n;

	if (a->media >= 0 && a->media != (t->kind == SL_VIDEO ? KMS_VIDEO : KMS_AUDIO))
		return;
	(void)name_of(&n, t->publish ? "inbound" : "outbound", t->id, t->ssrc);
	open_entry(a, n.text, t->publish ? "RTCInboundRTPStreamStats" : "RTCOutboundRTPStreamStats",
		   t->publish ? "inboundrtp" : "outboundrtp");
	put_stream(a, t, transport);
	put_u64(a, t->publish ? "packetsReceived" : "packetsSent", t->packets);
	put_u64(a, t->publish ? "bytesReceived" : "bytesSent", t->bytes);
	if (t->publish) {
		api_json_put_num(a->out, "jitter", seconds(t->jitter_us));
	} else {
		api_json_put_num(a->out, "targetBitrate", t->cap_bps);
		api_json_put_num(a->out, "roundTripTime", seconds(t->rtt_us));
	}
	api_json_close_object(a->out);
	put_codec(a, t);
}

/* ================= transports and candidates ================= */

static void put_candidate(struct asking *a, const char *id, const char *type,
			  const struct sl_addr *addr, const char *cand_type, bool tcp)
{
	static const struct {
		const char *sdp, *word;
	} words[] = {{"host", "host"},
		     {"srflx", "serverreflexive"},
		     {"prflx", "peerreflexive"},
		     {"relay", "relayed"}};
	const char *word = "host";
	char ip[SL_ADDR_TEXT];

	for (size_t i = 0; i < SL_COUNT(words); i++)
		if (strcmp(words[i].sdp, cand_type) == 0)
			word = words[i].word;
	open_entry(a, id, "RTCIceCandidateAttributes", type);
	api_json_put_z(a->out, "ipAddress", addr->family ? sl_addr_ip_text(addr, ip) : "");
	api_json_put_int(a->out, "portNumber", addr->port);
	api_json_put_z(a->out, "transport", tcp ? "tcp" : "udp");
	api_json_put_z(a->out, "candidateType", word);
	api_json_put_int(a->out, "priority", 0);
	api_json_put_z(a->out, "addressSourceUrl", "");
	api_json_close_object(a->out);
}

static const char *pair_state(const struct sl_pair_stats *p)
{
	if (p->valid)
		return "succeeded";
	return p->checks_out > 0 ? "inprogress" : "waiting";
}

static void put_pair(struct asking *a, const struct sl_transport_stats *s, size_t i,
		     uint64_t transport)
{
	const struct sl_pair_stats *p = &s->pairs[i];
	struct name pair, local, remote, of;

	(void)name_of(&local, "local", transport, i);
	(void)name_of(&remote, "remote", transport, i);
	put_candidate(a, local.text, "localcandidate", &p->local, p->local_type, p->tcp);
	put_candidate(a, remote.text, "remotecandidate", &p->remote, p->type, p->tcp);
	open_entry(a, name_of(&pair, "pair", transport, i), "RTCIceCandidatePairStats",
		   "candidatepair");
	api_json_put_z(a->out, "transportId", name_of(&of, "transport", transport, 0));
	api_json_put_z(a->out, "localCandidateId", local.text);
	api_json_put_z(a->out, "remoteCandidateId", remote.text);
	api_json_put_z(a->out, "state", pair_state(p));
	api_json_put_int(a->out, "priority", 0);
	api_json_put_bool(a->out, "nominated", p->nominated);
	api_json_put_bool(a->out, "writable", p->valid);
	api_json_put_bool(a->out, "readable", p->valid);
	put_u64(a, "bytesSent", p->selected ? s->info.tx_bytes : 0);
	put_u64(a, "bytesReceived", p->selected ? s->info.rx_bytes : 0);
	api_json_put_num(a->out, "roundTripTime", seconds(p->rtt_us));
	api_json_put_num(a->out, "availableOutgoingBitrate", 0);
	api_json_put_num(a->out, "availableIncomingBitrate", 0);
	api_json_close_object(a->out);
}

static void put_transport(struct asking *a, const struct sl_transport_stats *s, uint64_t transport)
{
	struct name n, pair = {""};

	for (size_t i = 0; i < s->pair_count; i++)
		if (s->pairs[i].selected)
			(void)name_of(&pair, "pair", transport, i);
	open_entry(a, name_of(&n, "transport", transport, 0), "RTCTransportStats", "transport");
	put_u64(a, "bytesSent", s->info.tx_bytes);
	put_u64(a, "bytesReceived", s->info.rx_bytes);
	api_json_put_z(a->out, "rtcpTransportStatsId", "");
	api_json_put_bool(a->out, "activeConnection", s->info.connected);
	api_json_put_z(a->out, "selectedCandidatePairId", pair.text);
	api_json_put_z(a->out, "localCertificateId", "");
	api_json_put_z(a->out, "remoteCertificateId", "");
	api_json_put_z(a->out, "iceState", s->ice_state);
	api_json_put_z(a->out, "dtlsState", s->dtls_state);
	api_json_put_z(a->out, "srtpCipher", s->srtp);
	api_json_close_object(a->out);
	for (size_t i = 0; i < s->pair_count; i++)
		put_pair(a, s, i, transport);
}

/* ================= one transport after the other ================= */

static void finish(struct asking *a)
{
	struct kms_call *call = a->call;

	api_json_close_object(a->out);
	sl_free(a);
	kms_done(call);
}

static void on_stats(void *arg, const struct sl_reply *r)
{
	struct asking *a = arg;
	const struct sl_transport_stats *s = r->err ? NULL : r->stats;
	uint64_t transport = a->transports[a->next - 1];

	for (size_t i = 0; s && i < s->track_count; i++)
		put_track(a, &s->tracks[i], transport);
	if (s && a->media < 0)
		put_transport(a, s, transport);
	/* The server is ending: core is not asked any more. */
	if (!kms_call_kms(a->call))
		a->next = a->n;
	ask(a);
}

/* A transport that cannot be asked about is left out. */
static void ask(struct asking *a)
{
	while (a->next < a->n)
		if (sl_core_stats_of(a->core, a->transports[a->next++], on_stats, a) == SL_OK)
			return;
	finish(a);
}

static void note(struct asking *a, uint64_t transport)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->transports[i] == transport)
			return;
	if (transport && a->n < SL_COUNT(a->transports))
		a->transports[a->n++] = transport;
}

/* Packets wait nowhere here, so there is no latency to tell; 6.x has numbers in place of the lists.
 */
static void put_endpoint(struct asking *a, const struct kms_object *o)
{
	open_entry(a, o->id, "EndpointStats", "endpoint");
	api_json_open_array(a->out, "inputLatency");
	api_json_close_array(a->out);
	api_json_open_array(a->out, "E2ELatency");
	api_json_close_array(a->out);
	api_json_put_num(a->out, "inputAudioLatency", 0);
	api_json_put_num(a->out, "inputVideoLatency", 0);
	api_json_put_num(a->out, "audioE2ELatency", 0);
	api_json_put_num(a->out, "videoE2ELatency", 0);
	api_json_close_object(a->out);
}

void kms_stats_get(struct kms_object *o, struct kms_call *call)
{
	const struct kms_endpoint *ep = (const struct kms_endpoint *)(const void *)o;
	struct asking *a = sl_zalloc(sizeof(*a));

	if (!a) {
		kms_fail_err(call, SL_ENOMEM);
		return;
	}
	a->call = call;
	a->core = o->kms->core;
	a->out = kms_value(call);
	a->media = kms_arg_word(call, "mediaType");
	a->now_ms = kms_wall_us() / 1000;
	for (size_t i = 0; i < ep->track_count; i++)
		note(a, ep->tracks[i].transport);
	api_json_open_object(a->out, NULL);
	put_endpoint(a, o);
	ask(a);
}
