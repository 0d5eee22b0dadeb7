/* SPDX-License-Identifier: Apache-2.0
 * api/negotiate.c — from an offer's text to what core needs: struct sl_sdp_media → struct
 * sl_track_conf. */
#include "api/api_int.h"

enum { ARENA_MAX = 8 << 20, STAND_IN_PWD_LEN = 24 };

/* ================= ours ================= */

size_t api_candidates(struct sl_api *api, unsigned loop, struct sl_core_cand *store,
		      struct sl_sdp_cand *out, size_t cap)
{
	size_t n = sl_core_candidates(api->core, loop, store, cap);

	n += sl_core_tcp_candidates(api->core, loop, store + n, cap - n);
	for (size_t i = 0; i < n; i++)
		out[i] = (struct sl_sdp_cand){
			.addr = store[i].addr,
			.foundation = sl_str_z(store[i].foundation),
			.type = sl_str_z(store[i].type),
			.component = 1,
			.priority = store[i].priority,
			.tcp = (enum sl_sdp_tcp)store[i].tcp,
		};
	return n;
}

void api_ours(struct sl_api *api, const char *ufrag, const char *pwd,
	      const struct sl_sdp_cand *cands, size_t n, struct sl_sdp_ours *out)
{
	*out = (struct sl_sdp_ours){
		.ufrag = sl_str_z(ufrag),
		.pwd = sl_str_z(pwd),
		.fingerprint = sl_str_z(sl_core_fingerprint(api->core)),
		.ice_lite = api->conf->ice.lite,
		.cands = cands,
		.cand_count = n,
		.session_version = 1,
		.dtls_active = api->conf->dtls.active,
		.addr = n ? cands[0].addr : sl_addr_v4(0, 0, 0, 0, 9),
	};
	for (int c = SL_CODEC_NONE + 1; c < SL_CODEC_COUNT; c++)
		out->codecs[c] = sl_codec_info((enum sl_codec)c)->forwarded || c == SL_RTX;
}

static uint32_t new_ssrc(struct sl_api *api, const struct sl_sdp_send *send, size_t n)
{
	for (;;) {
		uint32_t ssrc = sl_rng_u32(&api->rng);
		bool taken = ssrc == 0;

		for (size_t i = 0; i < n; i++)
			taken = taken || ssrc == send[i].ssrc || ssrc == send[i].rtx_ssrc;
		if (!taken)
			return ssrc;
	}
}

/* What we send on each m-line of a player. Audio and video of one slot share a stream, for lip
 * sync. */
static int make_sends(struct sl_api *api, struct api_negotiation *n)
{
	char cname[17], stream[17];
	unsigned per_kind[SL_KIND_COUNT] = {0};

	n->send = sl_arena_alloc(&n->arena, (n->offer.media_count + 1) * sizeof(*n->send));
	if (!n->send)
		return SL_ENOMEM;
	sl_rng_id(&api->rng, cname, 16);
	sl_rng_id(&api->rng, stream, 16);
	for (size_t i = 0; i < n->offer.media_count; i++) {
		struct sl_sdp_send *s = &n->send[i];
		bool video = n->offer.media[i].kind == SL_SDP_VIDEO;

		s->ssrc = new_ssrc(api, n->send, i);
		s->rtx_ssrc = new_ssrc(api, n->send, i + 1);
		(void)sl_fmt(s->cname, sizeof(s->cname), "%s", cname);
		(void)sl_fmt(s->stream, sizeof(s->stream), "%s-%u", stream, per_kind[video]);
		(void)sl_fmt(s->track, sizeof(s->track), "%s-%c%u", stream, video ? 'v' : 'a',
			     per_kind[video]);
		per_kind[video]++;
	}
	return SL_OK;
}

static int answer(struct sl_api *api, struct api_negotiation *n, const char *ufrag, const char *pwd,
		  struct sl_sdp_why *why)
{
	struct sl_sdp_ours ours;

	api_ours(api, ufrag, pwd, n->cands, n->cand_count, &ours);
	ours.session_id = n->session_id;
	api_allow_codecs(n->codecs, ours.codecs);
	return sl_sdp_answer(&n->offer, &ours, n->role, n->send, &n->arena, &n->answer, why);
}

/* ================= theirs, for core ================= */

/* What of an fmtp decides the bitstream, in one spelling. */
struct format_key {
	enum sl_codec codec;
	const char *key, *otherwise; /* RFC: value when the key is absent */
};
/* clang-format off */
static const struct format_key format_keys[] = {
	{SL_VP9,  "profile-id",         "0"},           /* RFC 9628 section 6 */
	{SL_AV1,  "profile",            "0"},           /* AV1 RTP section 7.2 */
	{SL_H265, "profile-id",         "1"},           /* RFC 7798 section 7.1 */
	{SL_H265, "tier-flag",          "0"},
	{SL_H264, "packetization-mode", "0"},           /* RFC 6184 section 8.1 */
};
/* clang-format on */

/* RFC 6184 table 5: constrained baseline is spelled in three ways. */
static const char *h264_profile(struct sl_str level_id, char text[8])
{
	uint8_t b[3] = {0x42, 0x00, 0x0a}; /* RFC 6184 section 8.1: baseline, level 1 when absent */

	if (level_id.n == 6 && sl_unhex(level_id, b, sizeof(b)) != 3)
		return "bad";
	if ((b[0] == 0x42 && b[1] & 0x40) || (b[0] == 0x4d && b[1] & 0x80) ||
	    (b[0] == 0x58 && (b[1] & 0xc0) == 0xc0))
		return "cb";
	(void)sl_fmt(text, 8, "%02x%02x", (unsigned)b[0], (unsigned)(b[1] & 0x0c));
	return text;
}

static uint32_t format_of(const struct sl_sdp_codec *c)
{
	char what[128], profile[8];
	struct sl_buf b = sl_buf(what, sizeof(what));

	if (c->codec == SL_H264)
		sl_buf_z(&b, h264_profile(sl_sdp_fmtp_get(c->fmtp, "profile-level-id"), profile));
	for (size_t i = 0; i < SL_COUNT(format_keys); i++) {
		struct sl_str value = sl_sdp_fmtp_get(c->fmtp, format_keys[i].key);

		if (format_keys[i].codec != c->codec)
			continue;
		sl_buf_char(&b, ';');
		sl_buf_str(&b, value.n ? sl_str(value.p, SL_MIN(value.n, 16))
				       : sl_str_z(format_keys[i].otherwise));
	}
	return sl_core_format(c->codec, what);
}

static void fill_codecs(const struct sl_sdp_media *m, struct sl_track_conf *t)
{
	for (size_t i = 0; i < m->codec_count && t->codec_count < SL_TRACK_CODECS_MAX; i++) {
		const struct sl_sdp_codec *c = &m->codecs[i];

		t->twcc = t->twcc || c->fb & SL_FB_TWCC;
		t->remb = t->remb || c->fb & SL_FB_REMB;
		if (c->codec == SL_CODEC_NONE || c->codec == SL_RTX)
			continue;
		t->codecs[t->codec_count++] = (struct sl_track_codec){
			.pt = c->pt,
			.rtx_pt = c->rtx_pt,
			.codec = c->codec,
			.nack = c->fb & SL_FB_NACK,
			.pli = c->fb & SL_FB_PLI,
			.fir = c->fb & SL_FB_FIR,
			.format = format_of(c),
		};
	}
}

/* The cap that REMB tells a publisher: where transport-cc does the work, only when it was asked
 * for. */
static uint32_t video_cap(const struct sl_api *api, const struct sl_track_conf *t)
{
	return t->kind == SL_VIDEO && (!t->twcc || api->conf->publish.cap) ? api->publish_bps : 0;
}

void api_track_agreed(const struct sl_sdp_media *agreed, const struct sl_sdp_media *theirs,
		      bool publish, const struct sl_sdp_send *send, struct sl_track_conf *t)
{
	t->publish = publish;
	t->kind = agreed->kind == SL_SDP_VIDEO ? SL_VIDEO : SL_AUDIO;
	api_copy(t->mid, sizeof(t->mid), agreed->mid);
	for (size_t i = 0; i < agreed->ext_count; i++)
		if (agreed->exts[i].ext < SL_EXT_COUNT)
			t->exts.id[agreed->exts[i].ext] = agreed->exts[i].id;
	fill_codecs(agreed, t);
	t->rsize = agreed->rtcp_rsize;
	if (!publish) {
		t->ssrc = send->ssrc;
		t->rtx_ssrc = send->rtx_ssrc;
		(void)sl_fmt(t->cname, sizeof(t->cname), "%s", send->cname);
		return;
	}
	for (size_t i = 0; i < theirs->ssrc_count && !t->ssrc; i++)
		if (!theirs->ssrcs[i].is_rtx) {
			t->ssrc = theirs->ssrcs[i].ssrc;
			t->rtx_ssrc = theirs->ssrcs[i].rtx;
		}
}

void api_track_conf(struct sl_api *api, const struct sl_sdp_media *agreed,
		    const struct sl_sdp_media *theirs, bool publish, const struct sl_sdp_send *send,
		    struct sl_track_conf *t)
{
	api_track_agreed(agreed, theirs, publish, send, t);
	if (publish)
		t->max_bps = video_cap(api, t);
}

static void fill_track(struct sl_api *api, const struct api_negotiation *n, size_t line,
		       struct sl_track_conf *t)
{
	api_track_conf(api, &n->answer.media[line], &n->offer.media[line],
		       n->role == SL_SDP_PUBLISHER, &n->send[line], t);
}

void api_cand_to_core(const struct sl_sdp_cand *in, struct sl_core_cand *out)
{
	*out = (struct sl_core_cand){.addr = in->addr,
				     .priority = in->priority,
				     .tcp = (enum sl_tcp_type)in->tcp,
				     .base = in->base};
	api_copy(out->foundation, sizeof(out->foundation), in->foundation);
	api_copy(out->type, sizeof(out->type), in->type);
}

static void add_cands(const struct sl_sdp_media *m, struct sl_transport_conf *conf)
{
	for (size_t i = 0; i < m->cand_count && conf->cand_count < SL_CORE_CANDS_MAX; i++)
		if (m->cands[i].component == 1 && !m->cands[i].tcp) /* RTCP is multiplexed */
			api_cand_to_core(&m->cands[i], &conf->cands[conf->cand_count++]);
}

/* What core has room for, that SDP may exceed. */
static int check_sizes(const struct sl_transport_conf *conf, struct sl_sdp_why *why)
{
	const char *what = NULL;

	if (!conf->ufrag[0] || !conf->pwd[0])
		what = "ice-ufrag or ice-pwd is missing or longer than 256 characters";
	else if (conf->fingerprint_count == 0)
		what = "there is no usable fingerprint";
	if (!what)
		return SL_OK;
	*why = (struct sl_sdp_why){0};
	(void)sl_fmt(why->text, sizeof(why->text), "%s", what);
	return SL_EUNSUPPORTED;
}

int api_peer_conf(const struct sl_sdp_media *m, struct sl_transport_conf *conf,
		  struct sl_sdp_why *why)
{
	for (size_t i = 0; i < m->fingerprint_count && i < SL_COUNT(conf->fingerprints); i++) {
		struct sl_core_fingerprint *f = &conf->fingerprints[conf->fingerprint_count];

		if (sl_str_copy(f->algorithm, sizeof(f->algorithm), m->fingerprints[i].algorithm) &&
		    sl_str_copy(f->hex, sizeof(f->hex), m->fingerprints[i].hex))
			conf->fingerprint_count++;
	}
	api_copy(conf->ufrag, sizeof(conf->ufrag), m->ufrag);
	api_copy(conf->pwd, sizeof(conf->pwd), m->pwd);
	conf->end_of_candidates = m->end_of_candidates;
	add_cands(m, conf);
	return check_sizes(conf, why);
}

static int fill_transport(struct sl_api *api, const struct api_negotiation *n,
			  struct sl_transport_conf *conf, struct sl_sdp_why *why)
{
	const struct sl_sdp_media *m = &n->offer.media[n->tagged];

	conf->lite = api->conf->ice.lite;
	conf->remote_lite = m->ice_lite || n->offer.ice_lite;
	/* RFC 8445 section 6.1.1: the full agent controls, and of two full ones the offerer. */
	conf->controlling = !conf->lite && conf->remote_lite;
	conf->dtls_client = n->answer.media[n->tagged].setup == SL_SDP_ACTIVE;
	return api_peer_conf(m, conf, why);
}

static int fill_conf(struct sl_api *api, struct api_negotiation *n, struct sl_sdp_why *why)
{
	enum sl_sdp_dir dir = n->role == SL_SDP_PUBLISHER ? SL_SDP_RECVONLY : SL_SDP_SENDONLY;
	bool tagged = false;

	n->conf = sl_arena_alloc(&n->arena, sizeof(*n->conf));
	if (!n->conf)
		return SL_ENOMEM;
	for (size_t i = 0; i < n->answer.media_count; i++) {
		const struct sl_sdp_media *m = &n->answer.media[i];

		if (m->rejected)
			continue;
		if (!tagged)
			n->tagged = i;
		tagged = true;
		if (m->mid.n > SL_MID_MAX) /* it could not be told apart by its header extension */
			continue;
		if (m->dir == dir && (m->kind == SL_SDP_AUDIO || m->kind == SL_SDP_VIDEO) &&
		    n->conf->track_count < SL_TRACKS_MAX)
			fill_track(api, n, i, &n->conf->tracks[n->conf->track_count++]);
	}
	if (n->conf->track_count == 0) {
		*why = (struct sl_sdp_why){0};
		(void)sl_fmt(why->text, sizeof(why->text), "no m-line of the offer %s",
			     n->role == SL_SDP_PUBLISHER ? "sends anything that can be taken here"
							 : "receives anything");
		return SL_EUNSUPPORTED;
	}
	return fill_transport(api, n, n->conf, why);
}

/* ================= the whole ================= */

int api_negotiate(struct sl_api *api, struct sl_str text, enum sl_sdp_role role, unsigned loop,
		  struct api_negotiation *n, struct sl_sdp_why *why)
{
	static const char stand_in[] = "abcdefghijklmnopqrstuvwx";
	struct sl_core_cand *store;
	int err;

	_Static_assert(sizeof(stand_in) == STAND_IN_PWD_LEN + 1, "as long as a password may be");
	sl_arena_init(&n->arena, ARENA_MAX);
	n->role = role;
	n->loop = loop;
	n->session_id = sl_rng_u64(&api->rng) >>
			2; /* RFC 9429 section 5.2.1: below 2^62 or so, for all readers */
	err = sl_sdp_read(text, &n->arena, &n->offer, why);
	if (err)
		return err;
	store = sl_arena_alloc(&n->arena, SL_CORE_CANDS_MAX * sizeof(*store));
	n->cands = sl_arena_alloc(&n->arena, SL_CORE_CANDS_MAX * sizeof(*n->cands));
	if (!store || !n->cands)
		return SL_ENOMEM;
	n->cand_count = api_candidates(api, loop, store, n->cands, SL_CORE_CANDS_MAX);
	err = make_sends(api, n);
	if (!err)
		err = answer(api, n, "stand", stand_in, why);
	return err ? err : fill_conf(api, n, why);
}

int api_negotiation_answer(struct sl_api *api, struct api_negotiation *n, const char *ufrag,
			   const char *pwd, char **out, size_t *len, struct sl_sdp_why *why)
{
	char *text = sl_zalloc(SL_SDP_BYTES_MAX);
	int err = text ? answer(api, n, ufrag, pwd, why) : SL_ENOMEM;
	struct sl_buf b;

	if (!err) {
		b = sl_buf(text, SL_SDP_BYTES_MAX);
		sl_sdp_write(&n->answer, &b);
		err = b.full ? SL_EFULL : SL_OK;
		*len = b.n;
	}
	if (err)
		sl_free(text);
	else
		*out = text;
	return err;
}

void api_negotiation_fini(struct api_negotiation *n)
{
	sl_arena_fini(&n->arena);
}
