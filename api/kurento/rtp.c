/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/rtp.c — RtpEndpoint: plain RTP, and SRTP with keys in the description. Each m-line
 * has a transport of core of its own (core/plain.h), with ports of its own; an offer of ours has
 * them before its answer says where to send. */
#include "api/api_int.h"
#include "api/kurento/endpoint.h"
#include "core/base/log.h"
#include "core/base/mem.h"

enum { LINES_MAX = SL_SDP_MEDIA_MAX, KEY_TEXT = 65 };

struct line {
	uint64_t transport; /* 0: rejected, or not open yet */
	bool up;
	enum sl_kind kind;
};

struct kms_rtp {
	struct kms_endpoint ep; /* first */
	struct sl_sdes_key key; /* ours; suite NONE: plain */
	const char *suite;
	char key_text[KEY_TEXT];
	bool ipv6;
	struct line lines[LINES_MAX];
	struct sl_sdp_send sends[SL_KIND_COUNT]; /* of an offer of ours */
	struct sl_addr addr;			 /* ours, in descriptions */
};

/* What a job waits for: core's replies, one for each m-line. */
struct work {
	int err;
};
struct pending {
	struct kms_job *job;
	struct sl_core *core;
	size_t line;
	struct sl_transport_conf conf;
};

static struct kms_rtp *rtp_of(struct kms_endpoint *ep)
{
	return (struct kms_rtp *)(void *)ep;
}

/* ---- the key of the constructor ---- */

/* By the words of CryptoSuite, in its order. */
/* clang-format off */
static const struct {
	enum sl_sdes_suite suite;
	const char *word, *name;        /* Kurento's, and SDP's */
	size_t key_len;
} suites[] = {
	{SL_SDES_AES128_32, "AES_128_CM_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_32", 30},
	{SL_SDES_AES128_80, "AES_128_CM_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_80", 30},
	{SL_SDES_AES256_32, "AES_256_CM_HMAC_SHA1_32", "AES_256_CM_HMAC_SHA1_32", 46},
	{SL_SDES_AES256_80, "AES_256_CM_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_80", 46},
};
/* clang-format on */

static struct sl_str member(const cJSON *record, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(record, name));

	return sl_str_z(text ? text : "");
}

static int suite_row(struct sl_str word)
{
	for (size_t i = 0; i < SL_COUNT(suites); i++)
		if (sl_str_eq(word, sl_str_z(suites[i].word)))
			return (int)i;
	return -1;
}

/* Raw, in base64, or of our making. Returns its length. */
static size_t take_key(struct kms_rtp *rtp, const cJSON *crypto, size_t len)
{
	struct sl_str raw = member(crypto, "key");
	struct sl_str text = member(crypto, "keyBase64");
	int n;

	if (raw.n > 0) {
		memcpy(rtp->key.bytes, raw.p, SL_MIN(raw.n, sizeof(rtp->key.bytes)));
		return raw.n;
	}
	if (text.n > 0) {
		n = sl_unbase64(text, rtp->key.bytes, sizeof(rtp->key.bytes));
		return n > 0 ? (size_t)n : 0;
	}
	sl_rng_fill(&rtp->ep.e.o.kms->rng, rtp->key.bytes, len);
	return len;
}

static bool take_crypto(struct kms_rtp *rtp, struct kms_call *call)
{
	const cJSON *crypto = kms_arg(call, "crypto");
	struct sl_str word = member(crypto, "crypto");
	int row = suite_row(word);

	if (word.n == 0)
		return true;
	if (row < 0 || take_key(rtp, crypto, suites[row].key_len) != suites[row].key_len) {
		kms_fail(call, KMS_MEDIA_OBJECT_ILLEGAL_PARAM_ERROR, "Master key size is wrong");
		return false;
	}
	rtp->key.suite = suites[row].suite;
	rtp->suite = suites[row].name;
	sl_base64(rtp->key.bytes, suites[row].key_len, rtp->key_text, sizeof(rtp->key_text));
	return true;
}

/* ---- our side ---- */

static bool ip_of(const char *text, int family, struct sl_addr *out)
{
	return text[0] && sl_addr_parse_ip(sl_str_z(text), out) == SL_OK && out->family == family;
}

/* Where its sockets are bound: the first local address of the family. */
static int local_address(struct kms_rtp *rtp, struct sl_addr *out)
{
	struct sl_addr locals[SL_CORE_LOCALS_MAX];
	struct kms_endpoint *ep = &rtp->ep;
	size_t n = sl_core_sockets(ep->e.o.kms->core, ep->loop, locals, SL_COUNT(locals));

	for (size_t i = 0; i < n; i++)
		if (locals[i].family == (rtp->ipv6 ? 6 : 4)) {
			*out = sl_addr_with_port(locals[i], 0);
			return SL_OK;
		}
	return SL_EUNSUPPORTED;
}

static void put_told(struct kms_rtp *rtp, const struct sl_addr *local)
{
	const struct sl_config *conf = rtp->ep.e.o.kms->conf;
	const char *text = rtp->ipv6 ? conf->kurento.external_ipv6 : conf->kurento.external_ipv4;

	if (!ip_of(text, local->family, &rtp->addr))
		rtp->addr = *local;
}

static void our_side(struct kms_rtp *rtp, struct sl_sdp_plain_ours *out)
{
	const struct kms_endpoint *ep = &rtp->ep;

	*out = (struct sl_sdp_plain_ours){
		.session_id = ep->sdp_id,
		.session_version = ep->sdp_version,
		.addr = rtp->addr,
		.name = SL_STR("Kurento Media Server"),
		.suite = sl_str_z(rtp->suite ? rtp->suite : ""),
		.key = sl_str_z(rtp->key_text),
	};
	out->as_kbps[SL_AUDIO] = (uint32_t)SL_MAX(ep->set.max_audio_recv, 0);
	out->as_kbps[SL_VIDEO] = (uint32_t)SL_MAX(ep->set.max_video_recv, 0);
	for (int c = SL_CODEC_NONE + 1; c < SL_CODEC_COUNT; c++)
		out->codecs[c] = sl_codec_info((enum sl_codec)c)->forwarded || c == SL_RTX;
}

/* A loop, an address and a place for errors. */
static int begin(struct kms_job *job, struct sl_addr *local)
{
	struct kms_rtp *rtp = rtp_of(job->ep);
	int err = kms_endpoint_place(job->ep);

	job->more = sl_arena_alloc(&job->arena, sizeof(struct work));
	if (!err && !job->more)
		err = SL_ENOMEM;
	if (!err)
		err = local_address(rtp, local);
	if (!err)
		put_told(rtp, local);
	return err;
}

/* ---- the peer's side, for core ---- */

static struct sl_addr at_port(struct sl_addr ip, unsigned port)
{
	return ip.family && port <= UINT16_MAX ? sl_addr_with_port(ip, (uint16_t)port)
					       : (struct sl_addr){0};
}

/* RFC 3605: a=rtcp where it is said, else the next port (RFC 3550 section 11). */
static struct sl_addr rtcp_of(const struct sl_sdp_media *m)
{
	if (m->rtcp_mux)
		return at_port(m->conn, m->port);
	return at_port(m->rtcp_addr.family ? m->rtcp_addr : m->conn,
		       m->rtcp_port ? m->rtcp_port : m->port + 1u);
}

/* T01: by default nobody's packets move media; an active peer cannot be reached otherwise. */
static enum sl_plain_learn learn_from(const struct sl_config *conf, const struct sl_sdp_media *m)
{
	if (m->comedia == SL_SDP_COMEDIA_ACTIVE)
		return SL_LEARN_SOURCE;
	return conf->kurento.rtp_symmetric ? SL_LEARN_SYMMETRIC : SL_LEARN_NEVER;
}

static void put_remote(struct kms_rtp *rtp, const struct sl_sdp_media *m, struct sl_plain_conf *c)
{
	const struct sl_config *conf = rtp->ep.e.o.kms->conf;
	const struct sl_sdp_crypto *theirs =
		rtp->suite ? sl_sdp_crypto_of(m, sl_str_z(rtp->suite)) : NULL;

	c->rtp = at_port(m->conn, m->port);
	c->rtcp = rtcp_of(m);
	c->learn = learn_from(conf, m);
	c->any_address = conf->kurento.rtp_any_address;
	if (!theirs)
		return;
	c->out = rtp->key;
	c->in.suite = rtp->key.suite;
	(void)sl_sdp_crypto_key(theirs, c->in.bytes);
}

/* An id begins with that of the parent. */
static const char *own_id(const char *id)
{
	const char *slash = strrchr(id, '/');

	return slash ? slash + 1 : id;
}

static void put_local(struct kms_rtp *rtp, const struct sl_addr *local, bool mux,
		      struct sl_transport_conf *conf)
{
	const struct sl_config *c = rtp->ep.e.o.kms->conf;

	conf->kind = SL_TK_PLAIN;
	conf->tag = kms_endpoint_tag(&rtp->ep);
	sl_fmt(conf->name, sizeof(conf->name), "%.7s", own_id(rtp->ep.e.o.id));
	conf->watch = true;
	conf->dscp = (uint8_t)c->kurento.dscp;
	conf->mtu =
		(uint16_t)SL_MIN(rtp->ep.mtu ? rtp->ep.mtu : (int32_t)c->kurento.mtu, UINT16_MAX);
	conf->plain.bind = *local;
	conf->plain.port_min = (uint16_t)c->kurento.min_port;
	conf->plain.port_max = (uint16_t)c->kurento.max_port;
	conf->plain.mux = mux;
}

/* The tracks of an m-line that both agreed on; dir is ours. */
static void put_tracks(struct kms_rtp *rtp, const struct sl_sdp_media *agreed,
		       const struct sl_sdp_media *theirs, enum sl_sdp_dir dir,
		       const struct sl_sdp_send *send, struct sl_transport_conf *conf)
{
	if (sl_sdp_receives(dir))
		api_track_agreed(agreed, theirs, true, send, &conf->tracks[conf->track_count++]);
	if (sl_sdp_sends(dir))
		api_track_agreed(agreed, theirs, false, send, &conf->tracks[conf->track_count++]);
	for (size_t i = 0; i < conf->track_count; i++)
		kms_endpoint_limit(&rtp->ep, &conf->tracks[i]);
}

/* ---- the end of a job ---- */

static void close_line(struct kms_rtp *rtp, struct line *l)
{
	struct kms_endpoint *ep = &rtp->ep;

	for (size_t i = ep->track_count; i-- > 0;)
		if (ep->tracks[i].transport == l->transport)
			kms_track_drop(ep, &ep->tracks[i], false);
	kms_transport_close(ep->e.o.kms, l->transport);
	l->transport = 0;
	l->up = false;
}

static void close_lines(struct kms_rtp *rtp)
{
	for (size_t i = 0; i < LINES_MAX; i++)
		if (rtp->lines[i].transport)
			close_line(rtp, &rtp->lines[i]);
}

/* After the last reply. A job that failed leaves nothing open. */
static void settle(struct kms_job *job)
{
	struct work *w = job->more;

	if (job->waiting > 0)
		return;
	if (w->err) {
		close_lines(rtp_of(job->ep));
		kms_job_fail_err(job, w->err, w->err == SL_EFULL ? "no port pair is free" : NULL);
		return;
	}
	kms_job_done(job);
}

static void note_err(struct kms_job *job, int err)
{
	struct work *w = job->more;

	if (err && !w->err)
		w->err = err;
}

static void add_tracks(struct kms_job *job, const struct pending *p, uint64_t transport,
		       const struct sl_reply *r)
{
	for (size_t i = 0; i < p->conf.track_count; i++)
		if (!kms_track_add(job->ep, &p->conf.tracks[i], r->tracks[i], transport,
				   (uint16_t)p->line))
			note_err(job, SL_EFULL);
}

static void on_open(void *arg, const struct sl_reply *r)
{
	struct pending *p = arg;
	struct kms_job *job = p->job;
	struct sl_sdp_media *m;

	if (!kms_job_replied(job)) {
		/* It times out when this finds no room; nobody sends to it. */
		if (!r->err)
			(void)!sl_core_close(p->core, r->transport, NULL, NULL);
		goto out;
	}
	note_err(job, r->err);
	if (!r->err) {
		m = &job->local.media[p->line];
		rtp_of(job->ep)->lines[p->line].transport = r->transport;
		m->port = r->rtp.port;
		m->rtcp_port = m->rtcp_mux ? 0 : r->rtcp.port;
		add_tracks(job, p, r->transport, r);
	}
	settle(job);
out:
	sl_wipe(p, sizeof(*p));
	sl_free(p);
}

static struct pending *new_pending(struct kms_job *job, size_t line)
{
	struct pending *p = sl_zalloc(sizeof(*p));

	if (!p) {
		note_err(job, SL_ENOMEM);
		return NULL;
	}
	p->job = job;
	p->core = job->core;
	p->line = line;
	return p;
}

/* A command was given to core, or was not. */
static void sent(struct kms_job *job, struct pending *p, int err)
{
	note_err(job, err);
	if (!err) {
		job->waiting++;
		return;
	}
	sl_wipe(p, sizeof(*p));
	sl_free(p);
}

/* ---- answering ---- */

/* A peer of the other family of addresses could not be reached from our sockets. */
static void drop_unreachable(struct kms_job *job, const struct sl_addr *local)
{
	for (size_t i = 0; i < job->local.media_count; i++) {
		const struct sl_sdp_media *o = &job->remote.media[i];

		if (!o->conn.family || o->conn.family == local->family)
			continue;
		SL_LOG(INFO, SDP, "an m-line of the other IP version is rejected: see useIpv6",
		       SL_KS("object", job->ep->e.o.id), SL_KU("line", i + 1));
		job->local.media[i].rejected = true;
		job->local.media[i].codec_count = 0;
	}
}

static void open_line(struct kms_job *job, size_t i, const struct sl_addr *local,
		      const struct sl_sdp_send *send)
{
	struct kms_rtp *rtp = rtp_of(job->ep);
	const struct sl_sdp_media *m = &job->local.media[i];
	struct pending *p = new_pending(job, i);

	rtp->lines[i].kind = m->kind == SL_SDP_VIDEO ? SL_VIDEO : SL_AUDIO;
	if (!p)
		return;
	put_local(rtp, local, m->rtcp_mux, &p->conf);
	if (job->type == KMS_JOB_ANSWER) {
		put_remote(rtp, &job->remote.media[i], &p->conf.plain);
		put_tracks(rtp, m, &job->remote.media[i], m->dir, send, &p->conf);
	}
	p->conf.offering = job->type == KMS_JOB_OFFER;
	sent(job, p, sl_core_open(job->core, job->ep->loop, &p->conf, on_open, p));
}

static void open_lines(struct kms_job *job, const struct sl_addr *local,
		       const struct sl_sdp_send *sends)
{
	for (size_t i = 0; i < job->local.media_count; i++)
		if (!job->local.media[i].rejected)
			open_line(job, i, local, &sends[i]);
	settle(job);
}

static void answer(struct kms_job *job)
{
	size_t n = job->remote.media_count;
	struct sl_sdp_plain_ours ours;
	struct sl_sdp_send *sends;
	struct sl_sdp_why why = {0};
	struct sl_addr local;
	int err = begin(job, &local);

	if (err) {
		kms_job_fail_err(job, err, err == SL_EUNSUPPORTED ? "no local address" : NULL);
		return;
	}
	sends = sl_arena_alloc(&job->arena, (n + 1) * sizeof(*sends));
	for (size_t i = 0; i < n && sends; i++)
		kms_endpoint_send(job->ep, sends, i, &sends[i]);
	our_side(rtp_of(job->ep), &ours);
	err = sends ? sl_sdp_plain_answer(&job->remote, &ours, sends, &job->arena, &job->local,
					  &why)
		    : SL_ENOMEM;
	if (err) {
		kms_job_fail_err(job, err, why.text);
		return;
	}
	if (why.text[0])
		SL_LOG(INFO, SDP, "an m-line of an offer is rejected",
		       SL_KS("object", job->ep->e.o.id), SL_KS("why", why.text));
	drop_unreachable(job, &local);
	open_lines(job, &local, sends);
}

/* ---- offering ---- */

static size_t offered_lines(struct kms_job *job, struct sl_sdp_offer_line lines[SL_KIND_COUNT])
{
	static const char *const names[] = {
		[SL_AUDIO] = "offerToReceiveAudio", [SL_VIDEO] = "offerToReceiveVideo"};
	struct kms_rtp *rtp = rtp_of(job->ep);
	const cJSON *options = kms_arg(job->call, "options");
	size_t n = 0;

	for (int kind = 0; kind < SL_KIND_COUNT; kind++) {
		if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(options, names[kind])))
			continue;
		kms_endpoint_send(job->ep, rtp->sends, n, &rtp->sends[n]);
		lines[n] = (struct sl_sdp_offer_line){
			.kind = (enum sl_kind)kind, .dir = SL_SDP_SENDRECV, .send = rtp->sends[n]};
		n++;
	}
	return n;
}

static void offer(struct kms_job *job)
{
	struct sl_sdp_offer_line lines[SL_KIND_COUNT];
	struct sl_sdp_plain_ours ours;
	struct sl_addr local;
	int err = begin(job, &local);

	if (!err) {
		our_side(rtp_of(job->ep), &ours);
		err = sl_sdp_plain_offer(&ours, lines, offered_lines(job, lines), &job->arena,
					 &job->local);
	}
	if (err) {
		kms_job_fail_err(job, err, err == SL_EUNSUPPORTED ? "no local address" : NULL);
		return;
	}
	open_lines(job, &local, rtp_of(job->ep)->sends);
}

/* ---- the answer to ours ---- */

static void on_remote(void *arg, const struct sl_reply *r)
{
	struct kms_job *job = arg;

	if (!kms_job_replied(job))
		return;
	note_err(job, r->err);
	settle(job);
}

static void on_tracks(void *arg, const struct sl_reply *r)
{
	struct pending *p = arg;
	struct kms_job *job = p->job;

	if (kms_job_replied(job)) {
		note_err(job, r->err);
		if (!r->err)
			add_tracks(job, p, rtp_of(job->ep)->lines[p->line].transport, r);
		settle(job);
	}
	sl_wipe(p, sizeof(*p));
	sl_free(p);
}

static void accept_line(struct kms_job *job, size_t i)
{
	struct kms_rtp *rtp = rtp_of(job->ep);
	const struct sl_sdp_media *m = &job->remote.media[i];
	uint64_t transport = rtp->lines[i].transport;
	struct pending *p = new_pending(job, i);
	int err;

	if (!p)
		return;
	put_remote(rtp, m, &p->conf.plain);
	put_tracks(rtp, m, m, sl_sdp_dir_reverse(m->dir), &rtp->sends[i], &p->conf);
	err = sl_core_set_remote(job->core, transport, &p->conf, on_remote, job);
	note_err(job, err);
	job->waiting += err == SL_OK;
	sent(job, p,
	     sl_core_add_tracks(job->core, transport, p->conf.tracks, p->conf.track_count,
				on_tracks, p));
}

/* It could not be reached from our sockets, and what we offered cannot be taken back. */
static int check_reach(struct kms_rtp *rtp, const struct sl_sdp *answer, struct sl_sdp_why *why)
{
	for (size_t i = 0; i < answer->media_count; i++) {
		const struct sl_sdp_media *m = &answer->media[i];

		if (m->rejected || !m->conn.family || m->conn.family == rtp->addr.family)
			continue;
		sl_fmt(why->text, sizeof(why->text),
		       "m-line %zu of the answer is of the other IP version: see useIpv6", i + 1);
		return SL_EPARSE;
	}
	return SL_OK;
}

static void accept_answer(struct kms_job *job)
{
	struct kms_rtp *rtp = rtp_of(job->ep);
	struct sl_sdp_why why = {0};
	struct sl_sdp offered;
	int err = sl_sdp_read(sl_str_z(job->ep->local), &job->arena, &offered, &why);

	job->more = sl_arena_alloc(&job->arena, sizeof(struct work));
	if (!err && !job->more)
		err = SL_ENOMEM;
	if (!err)
		err = sl_sdp_plain_check(&offered, &job->remote, &why);
	if (!err)
		err = check_reach(rtp, &job->remote, &why);
	if (err) {
		kms_job_fail_err(job, err, why.text);
		return;
	}
	for (size_t i = 0; i < job->remote.media_count; i++) {
		if (job->remote.media[i].rejected)
			close_line(rtp, &rtp->lines[i]);
		else
			accept_line(job, i);
	}
	settle(job);
}

/* ---- events ---- */

static struct line *line_by_transport(struct kms_rtp *rtp, uint64_t transport)
{
	for (size_t i = 0; i < LINES_MAX; i++)
		if (rtp->lines[i].transport == transport)
			return &rtp->lines[i];
	return NULL;
}

static bool all_up(const struct kms_rtp *rtp)
{
	bool any = false;

	for (size_t i = 0; i < LINES_MAX; i++) {
		if (rtp->lines[i].transport && !rtp->lines[i].up)
			return false;
		any |= rtp->lines[i].up;
	}
	return any;
}

static void tell_limit(struct kms_endpoint *ep, enum sl_kind kind)
{
	struct api_json_out *out = kms_event_begin(&ep->e.o, "OnKeySoftLimit");

	if (!out)
		return;
	api_json_put_z(out, "mediaType", kind == SL_VIDEO ? "VIDEO" : "AUDIO");
	kms_event_end(&ep->e.o);
}

static void on_event(struct kms_endpoint *ep, const struct sl_core_event *ev)
{
	struct kms_rtp *rtp = rtp_of(ep);
	struct line *l = line_by_transport(rtp, ev->transport);

	if (!l || !ev->transport)
		return;
	switch (ev->type) {
	case SL_EV_CONNECTED:
		l->up = true;
		break;
	case SL_EV_CLOSED:
		l->up = false;
		l->transport = 0;
		break;
	case SL_EV_KEY_LIMIT:
		tell_limit(ep, l->kind);
		return;
	default:
		return;
	}
	kms_endpoint_connected(ep, all_up(rtp));
}

/* ---- the class ---- */

static const struct kms_endpoint_ops ops = {
	.offer = offer,
	.answer = answer,
	.accept = accept_answer,
	.event = on_event,
};

static bool rtp_init(struct kms_object *o, struct kms_call *call)
{
	struct kms_rtp *rtp = (struct kms_rtp *)(void *)o;

	rtp->ep.ops = &ops;
	rtp->ipv6 = kms_arg_bool(call, "useIpv6");
	return take_crypto(rtp, call);
}

static void rtp_fini(struct kms_object *o)
{
	struct kms_rtp *rtp = (struct kms_rtp *)(void *)o;

	for (size_t i = 0; i < LINES_MAX; i++)
		if (rtp->lines[i].transport)
			kms_transport_close(o->kms, rtp->lines[i].transport);
	sl_wipe(&rtp->key, sizeof(rtp->key));
	sl_wipe(rtp->key_text, sizeof(rtp->key_text));
}

const struct kms_impl kms_rtp_impl = {
	.name = "RtpEndpoint",
	.size = sizeof(struct kms_rtp),
	.init = rtp_init,
	.fini = rtp_fini,
	.methods = (const struct kms_method_impl[]){{0}},
};
