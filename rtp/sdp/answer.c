/* SPDX-License-Identifier: Apache-2.0 — the answer to an offer: which m-lines, which formats, in
 * whose direction. The order of work: every m-line of the offer is judged by itself (refusal()
 * gives the reason) and answered, then the BUNDLE group, the candidates and the DTLS role are
 * written over what is left. */
#include "rtp/sdp/sdp_int.h"

struct answering {
	/* borrowed */
	const struct sl_sdp *offer;
	const struct sl_sdp_ours *ours;
	const struct sl_sdp_send *send;
	struct sl_arena *arena;
	struct sl_sdp *out;
	/* state */
	enum sl_sdp_role role;
	size_t accepted;
	uint8_t id_of[SL_EXT_COUNT]; /* over the BUNDLE group: extension → id and back */
	uint8_t ext_of[256];	     /* enum sl_ext + 1; 0 free */
};

/* ---- the transport ---- */

/* RFC 8829 section 5.2.2: after the first exchange only one m-line of a group carries the
 * transport's lines. */
static const struct sl_sdp_media *params_of(const struct sl_sdp *peer, const struct sl_sdp_media *m)
{
	for (size_t i = 0; m->ufrag.n == 0 && m->in_bundle && i < peer->media_count; i++) {
		const struct sl_sdp_media *o = &peer->media[i];

		if (o->in_bundle && !o->rejected && o->ufrag.n > 0)
			return o;
	}
	return m;
}

const struct sl_sdp_media *sl_sdp_transport(const struct sl_sdp *peer, const struct sl_sdp *answer)
{
	const struct sl_sdp_media *first = NULL;

	for (size_t i = 0; i < answer->media_count && i < peer->media_count; i++) {
		const struct sl_sdp_media *m = &answer->media[i];

		if (m->rejected)
			continue;
		if (answer->bundle_count > 0 && sl_str_eq(m->mid, answer->bundle[0]))
			return params_of(peer, &peer->media[i]);
		if (!first)
			first = &peer->media[i];
	}
	return first ? params_of(peer, first) : NULL;
}

/* RFC 8829 section 5.1.2: the names under which DTLS-SRTP media is offered. Who both sends and
 * receives may be older than it. */
static bool proto_ok(struct sl_str proto, enum sl_sdp_role role)
{
	return sl_str_eq(proto, SL_STR("UDP/TLS/RTP/SAVPF")) ||
	       sl_str_eq(proto, SL_STR("UDP/TLS/RTP/SAVP")) ||
	       sl_str_eq(proto, SL_STR("RTP/SAVPF")) ||
	       (role == SL_SDP_BOTH && sl_str_eq(proto, SL_STR("RTP/SAVP")));
}

static const char *transport_refusal(const struct sl_sdp_media *t)
{
	if (t->ufrag.n == 0 || t->pwd.n == 0)
		return "no a=ice-ufrag and a=ice-pwd";
	if (t->fingerprint_count == 0)
		return "no a=fingerprint: only DTLS-SRTP is spoken here";
	if (!t->rtcp_mux)
		return "no a=rtcp-mux";
	return t->setup == SL_SDP_HOLDCONN ? "a=setup:holdconn" : NULL;
}

static const char *refusal(const struct answering *a, const struct sl_sdp_media *m)
{
	if (m->rejected)
		return "it has port 0";
	if (m->kind > SL_SDP_VIDEO)
		return "only audio and video are carried";
	if (!proto_ok(m->proto, a->role))
		return "its protocol is not UDP/TLS/RTP/SAVPF";
	/* RFC 9725 section 4.4.1: one BUNDLE group, one transport. */
	if (a->offer->bundle_count > 0 && !m->in_bundle)
		return "it is not in the BUNDLE group";
	if (a->offer->bundle_count == 0 && a->accepted > 0)
		return "no a=group:BUNDLE, and one transport is all there is";
	return transport_refusal(params_of(a->offer, m));
}

/* RFC 5763 section 5, RFC 4145 section 4.1 (an offer without a=setup means active). */
static enum sl_sdp_setup setup_for(const struct answering *a, enum sl_sdp_setup offered)
{
	if (offered == SL_SDP_PASSIVE)
		return SL_SDP_ACTIVE;
	return offered == SL_SDP_ACTPASS && a->ours->dtls_active ? SL_SDP_ACTIVE : SL_SDP_PASSIVE;
}

void sdp_our_transport(struct sl_sdp_media *m, const struct sl_sdp_ours *ours,
		       enum sl_sdp_setup setup)
{
	m->rejected = false;
	m->port = ours->addr.family ? ours->addr.port : 9; /* 9: RFC 8840 section 4.1.1 */
	m->conn = sl_addr_with_port(ours->addr, 0);
	m->ufrag = ours->ufrag;
	m->pwd = ours->pwd;
	m->ice_lite = ours->ice_lite;
	m->trickle = true;
	m->fingerprints[0].algorithm = SL_STR("sha-256");
	m->fingerprints[0].hex = ours->fingerprint;
	m->fingerprint_count = 1;
	m->setup = setup;
	m->rtcp_mux = true;
}

void sdp_our_session(struct sl_sdp *sdp, const struct sl_sdp_ours *ours)
{
	sdp->origin_user = SL_STR("-");
	sdp->session_id = ours->session_id;
	sdp->session_version = ours->session_version;
	sdp->origin_addr = sl_addr_with_port(ours->addr, 0);
	sdp->ice_lite = ours->ice_lite;
}

static struct sl_sdp_media *accepted_by_mid(struct sl_sdp *sdp, struct sl_str mid)
{
	for (size_t i = 0; i < sdp->media_count; i++)
		if (!sdp->media[i].rejected && sl_str_eq(sdp->media[i].mid, mid))
			return &sdp->media[i];
	return NULL;
}

/* RFC 9143 section 7.3: the first mid of the group is the tagged one, whose m-line carries the
 * transport. */
void sdp_our_bundle(struct sl_sdp *sdp, const struct sl_sdp_ours *ours, const struct sl_str *mids,
		    size_t n, struct sl_arena *arena)
{
	struct sl_sdp_media *first = NULL;

	sdp->bundle = n > 0 ? sl_arena_alloc(arena, n * sizeof(*sdp->bundle)) : NULL;
	for (size_t i = 0; i < n && sdp->bundle; i++) {
		struct sl_sdp_media *m = accepted_by_mid(sdp, mids[i]);

		if (!m)
			continue;
		if (!first)
			first = m;
		m->in_bundle = true;
		sdp->bundle[sdp->bundle_count++] = m->mid;
	}
	for (size_t i = 0; i < sdp->media_count && !first; i++)
		if (!sdp->media[i].rejected)
			first = &sdp->media[i];
	if (!first)
		return;
	first->cands = sdp_copy(arena, ours->cands, ours->cand_count, sizeof(*ours->cands));
	first->cand_count = first->cands ? ours->cand_count : 0;
	first->end_of_candidates = !ours->trickling;
}

/* ---- codecs ---- */

enum { FB_OURS = SL_FB_NACK | SL_FB_PLI | SL_FB_FIR | SL_FB_REMB | SL_FB_TWCC };

/* What carries media by itself. */
static const bool is_media[SL_CODEC_COUNT] = {
	[SL_OPUS] = true, [SL_PCMU] = true, [SL_PCMA] = true, [SL_G722] = true, [SL_VP8] = true,
	[SL_VP9] = true,  [SL_H264] = true, [SL_H265] = true, [SL_AV1] = true,
};

/* RFC 5761 section 4: with rtcp-mux payload types 64 to 95 read as RTCP. */
static bool pt_ok(uint8_t pt)
{
	return pt < 64 || pt > 95;
}

/* RFC 6184 section 8.1: of the packetization modes 2 (interleaved) has no place in WebRTC (RFC 7742
 * section 6.2). */
static bool mode_ok(const struct sl_sdp_codec *c)
{
	struct sl_str mode = sl_sdp_fmtp_get(c->fmtp, "packetization-mode");

	return c->codec != SL_H264 || mode.n == 0 || sl_str_eq(mode, SL_STR("0")) ||
	       sl_str_eq(mode, SL_STR("1"));
}

static bool takes_media(const uint8_t *allowed, const struct sl_sdp_codec *c)
{
	return is_media[c->codec] && allowed[c->codec] && pt_ok(c->pt) && mode_ok(c);
}

struct choice {
	const struct sl_sdp_media *m;
	bool keep[SL_SDP_CODECS_MAX];
};

/* A kept codec of the m-line that `fits`. */
static bool has_kept(const struct choice *ch,
		     bool (*fits)(const struct sl_sdp_codec *c, uint32_t what), uint32_t what)
{
	for (size_t i = 0; i < ch->m->codec_count; i++)
		if (ch->keep[i] && fits(&ch->m->codecs[i], what))
			return true;
	return false;
}

static bool repaired_by(const struct sl_sdp_codec *c, uint32_t pt)
{
	return c->rtx_pt == pt;
}

static bool opus_with_pt(const struct sl_sdp_codec *c, uint32_t pt)
{
	return c->codec == SL_OPUS && c->pt == pt;
}

static bool audio_with_clock(const struct sl_sdp_codec *c, uint32_t clock_hz)
{
	return c->codec != SL_RED_AUDIO && c->clock_hz == clock_hz;
}

/* RFC 2198 section 5: "fmtp:63 111/111" lists what the blocks are. */
static bool red_fits(const struct choice *ch, struct sl_str fmtp)
{
	bool any = false;

	while (fmtp.n > 0) {
		uint32_t pt;

		if (!sl_str_u32(sl_str_trim(sl_str_cut(&fmtp, '/')), 127, &pt) ||
		    !has_kept(ch, opus_with_pt, pt))
			return false;
		any = true;
	}
	return any;
}

/* Formats that stay only beside another: RTX (RFC 4588), RED of Opus, telephone events at a clock
 * that is in use. */
static bool takes_helper(const struct choice *ch, const struct sl_sdp_codec *c)
{
	if (!pt_ok(c->pt))
		return false;
	if (c->codec == SL_RTX)
		return c->pt > 0 && has_kept(ch, repaired_by, c->pt);
	if (c->codec == SL_RED_AUDIO)
		return red_fits(ch, c->fmtp);
	return c->codec == SL_TELEPHONE_EVENT && has_kept(ch, audio_with_clock, c->clock_hz);
}

/* Two rounds: what carries media, then what goes with it. Returns how many carry media. */
static size_t choose(const uint8_t *allowed, struct choice *ch)
{
	bool helper[SL_SDP_CODECS_MAX] = {false};
	size_t n = 0;

	for (size_t i = 0; i < ch->m->codec_count; i++) {
		ch->keep[i] = takes_media(allowed, &ch->m->codecs[i]);
		n += ch->keep[i];
	}
	for (size_t i = 0; i < ch->m->codec_count; i++)
		helper[i] = takes_helper(ch, &ch->m->codecs[i]);
	for (size_t i = 0; i < ch->m->codec_count; i++)
		ch->keep[i] |= helper[i];
	return n;
}

static bool is_kept_pt(const struct choice *ch, uint8_t pt)
{
	for (size_t i = 0; i < ch->m->codec_count; i++)
		if (ch->keep[i] && ch->m->codecs[i].pt == pt)
			return true;
	return false;
}

static void put_codecs(struct sl_sdp_media *m, const struct choice *ch, uint8_t fb,
		       struct sl_arena *arena)
{
	m->codecs = sl_arena_alloc(arena, ch->m->codec_count * sizeof(*m->codecs));
	for (size_t i = 0; i < ch->m->codec_count && m->codecs; i++) {
		struct sl_sdp_codec *c = &m->codecs[m->codec_count];

		if (!ch->keep[i])
			continue;
		*c = ch->m->codecs[i];
		c->fb &= fb;
		if (c->rtx_pt && !is_kept_pt(ch, c->rtx_pt))
			c->rtx_pt = 0;
		m->codec_count++;
	}
}

size_t sdp_common_codecs(struct sl_sdp_media *m, const struct sl_sdp_media *offered,
			 const uint8_t *allowed, uint8_t fb, struct sl_arena *arena)
{
	struct choice ch = {.m = offered};
	size_t n = choose(allowed, &ch);

	if (n > 0)
		put_codecs(m, &ch, fb, arena);
	return n;
}

/* ---- header extensions ---- */

/* What is written anew or passed on. Without layers the rid extensions stay out; toffset and
 * video-timing are values of the hop before us; the rest nobody here reads. */
bool sdp_ext_wanted(enum sl_ext e)
{
	static const bool wanted[SL_EXT_COUNT] = {
		[SL_EXT_MID] = true,
		[SL_EXT_TWCC] = true,
		[SL_EXT_ABS_SEND_TIME] = true,
		[SL_EXT_AUDIO_LEVEL] = true,
		[SL_EXT_VIDEO_ORIENTATION] = true,
		[SL_EXT_PLAYOUT_DELAY] = true,
		[SL_EXT_COLOR_SPACE] = true,
		[SL_EXT_VIDEO_CONTENT_TYPE] = true,
		[SL_EXT_ABS_CAPTURE_TIME] = true,
		[SL_EXT_DEPENDENCY_DESCRIPTOR] = true,
	};

	return e < SL_EXT_COUNT && wanted[e];
}

/* RFC 8285 section 5: a direction is the offerer's. It must go every way the media goes. */
static bool ext_dir_ok(const struct answering *a, enum sl_sdp_dir mine, enum sl_sdp_dir offered)
{
	if (offered == SL_SDP_SENDRECV)
		return true;
	if (a->role == SL_SDP_BOTH)
		return mine != SL_SDP_SENDRECV && offered == sl_sdp_dir_reverse(mine);
	return offered == (a->role == SL_SDP_PUBLISHER ? SL_SDP_SENDONLY : SL_SDP_RECVONLY);
}

/* RFC 9143 section 11: one meaning per id over the whole group, since an id is read before the
 * m-line is known. Ours is stricter, one id per extension too. 15 does not exist in the one-byte
 * form. */
static bool ext_claim(struct answering *a, const struct sl_sdp_ext *e)
{
	uint8_t *id = &a->id_of[e->ext];
	uint8_t *ext = &a->ext_of[e->id];

	if (e->id == 15 || (*id && *id != e->id) || (*ext && *ext != e->ext + 1))
		return false;
	*id = e->id;
	*ext = (uint8_t)(e->ext + 1);
	return true;
}

/* Returns whether transport-wide sequence numbers are among them. */
static bool put_exts(struct answering *a, struct sl_sdp_media *m,
		     const struct sl_sdp_media *offered)
{
	bool twcc = false;

	if (offered->ext_count > 0)
		m->exts = sl_arena_alloc(a->arena, offered->ext_count * sizeof(*m->exts));
	for (size_t i = 0; i < offered->ext_count && m->exts; i++) {
		struct sl_sdp_ext e = offered->exts[i];

		if (!sdp_ext_wanted(e.ext) || !ext_dir_ok(a, m->dir, e.dir) || !ext_claim(a, &e))
			continue;
		e.dir = sl_sdp_dir_reverse(e.dir);
		m->exts[m->ext_count++] = e;
		twcc |= e.ext == SL_EXT_TWCC;
	}
	return twcc;
}

/* ---- what we send ---- */

static struct sl_str dup_z(struct sl_arena *arena, const char *z)
{
	struct sl_str s = sl_str_z(z);

	s.p = sl_arena_dup(arena, s.p, s.n);
	return s.p ? s : sl_str(NULL, 0);
}

static bool has_rtx(const struct sl_sdp_media *m)
{
	for (size_t i = 0; i < m->codec_count; i++)
		if (m->codecs[i].rtx_pt)
			return true;
	return false;
}

void sdp_our_ssrcs(struct sl_sdp_media *m, const struct sl_sdp_send *send, struct sl_arena *arena)
{
	bool rtx = has_rtx(m) && send->rtx_ssrc;
	char both[sizeof(send->stream) + sizeof(send->track)];
	struct sl_sdp_ssrc *s = sl_arena_alloc(arena, 2 * sizeof(*s));

	if (!s || !sl_fmt(both, sizeof(both), "%s %s", send->stream, send->track))
		return;
	if (send->stream[0]) {
		m->msid_stream = dup_z(arena, send->stream);
		m->msid_track = dup_z(arena, send->track);
		s[0].msid = s[1].msid = dup_z(arena, both);
	}
	s[0].ssrc = send->ssrc;
	s[0].rtx = rtx ? send->rtx_ssrc : 0;
	s[0].cname = dup_z(arena, send->cname);
	s[1].ssrc = send->rtx_ssrc;
	s[1].is_rtx = true;
	s[1].cname = s[0].cname;
	m->ssrcs = s;
	m->ssrc_count = rtx ? 2 : 1;
}

/* ---- one m-line ---- */

static enum sl_sdp_dir dir_both(const struct sl_sdp_ours *ours, enum sl_sdp_dir offered)
{
	bool send = !ours->no_send && sl_sdp_receives(offered);
	bool recv = !ours->no_recv && sl_sdp_sends(offered);

	if (send)
		return recv ? SL_SDP_SENDRECV : SL_SDP_SENDONLY;
	return recv ? SL_SDP_RECVONLY : SL_SDP_INACTIVE;
}

/* RFC 3264 section 6.1. */
static enum sl_sdp_dir dir_for(const struct answering *a, enum sl_sdp_dir offered)
{
	enum sl_sdp_dir mine = a->role == SL_SDP_PUBLISHER ? SL_SDP_RECVONLY : SL_SDP_SENDONLY;

	if (a->role == SL_SDP_BOTH)
		return dir_both(a->ours, offered);
	return offered == SL_SDP_SENDRECV || offered == sl_sdp_dir_reverse(mine) ? mine
										 : SL_SDP_INACTIVE;
}

/* RFC 3264 section 6: one m-line per m-line, a refused one with port 0. */
void sdp_refuse(struct sl_sdp_media *m, const struct sl_sdp_media *offered)
{
	m->kind = offered->kind;
	m->kind_text = offered->kind_text;
	m->proto = offered->proto;
	m->formats = offered->formats;
	m->mid = offered->mid;
	m->dir = SL_SDP_INACTIVE;
	m->rejected = true;
}

static const char *answer_media(struct answering *a, size_t i)
{
	const struct sl_sdp_media *offered = &a->offer->media[i];
	struct sl_sdp_media *m = &a->out->media[i];
	struct choice ch = {.m = offered};
	const char *why = refusal(a, offered);

	sdp_refuse(m, offered);
	if (!why && choose(a->ours->codecs, &ch) == 0)
		why = "no codec in common";
	if (why)
		return why;
	a->accepted++;
	sdp_our_transport(m, a->ours, SL_SDP_PASSIVE);
	m->dir = dir_for(a, offered->dir);
	m->rtcp_rsize = offered->rtcp_rsize;
	m->ext_mixed = offered->ext_mixed;
	put_codecs(m, &ch, put_exts(a, m, offered) ? FB_OURS : FB_OURS & ~SL_FB_TWCC, a->arena);
	if (sl_sdp_receives(m->dir))
		m->bandwidth_as_kbps = a->ours->as_kbps[sdp_kind(m->kind)];
	if (sl_sdp_sends(m->dir) && a->send)
		sdp_our_ssrcs(m, &a->send[i], a->arena);
	return NULL;
}

/* Says what was wrong with the first audio or video m-line, or that there was none. */
static int nothing_left(const struct sl_sdp *offer, size_t i, const char *reason,
			struct sl_sdp_why *why)
{
	char text[112];

	if (!reason)
		return sdp_fail(why, 0, SL_EUNSUPPORTED, "the offer has no audio or video m-line",
				sl_str(NULL, 0));
	sl_fmt(text, sizeof(text), "nothing in the offer can be accepted; m-line %zu: %s", i + 1,
	       reason);
	return sdp_fail(why, 0, SL_EUNSUPPORTED, text, offer->media[i].kind_text);
}

/* All answer the setup of the tagged m-line, which need not be the first of the text. */
static void settle_setup(struct answering *a)
{
	const struct sl_sdp_media *t = sl_sdp_transport(a->offer, a->out);

	for (size_t i = 0; i < a->out->media_count && t; i++)
		if (!a->out->media[i].rejected)
			a->out->media[i].setup = setup_for(a, t->setup);
}

static void finish_answer(struct answering *a)
{
	sdp_our_session(a->out, a->ours);
	sdp_our_bundle(a->out, a->ours, a->offer->bundle, a->offer->bundle_count, a->arena);
	settle_setup(a);
}

int sl_sdp_answer(const struct sl_sdp *offer, const struct sl_sdp_ours *ours, enum sl_sdp_role role,
		  const struct sl_sdp_send *send, struct sl_arena *arena, struct sl_sdp *answer,
		  struct sl_sdp_why *why)
{
	struct sl_sdp sdp = {.ext_mixed = offer->ext_mixed, .media_count = offer->media_count};
	struct answering a = {.offer = offer,
			      .ours = ours,
			      .send = send,
			      .arena = arena,
			      .out = &sdp,
			      .role = role};
	const char *reason = NULL;
	size_t reason_at = 0;

	if (sdp.media_count > 0)
		sdp.media = sl_arena_alloc(arena, sdp.media_count * sizeof(*sdp.media));
	for (size_t i = 0; i < offer->media_count && sdp.media; i++) {
		const char *r = answer_media(&a, i);

		if (r && !reason && offer->media[i].kind <= SL_SDP_VIDEO) {
			reason = r;
			reason_at = i;
		}
	}
	if (!arena->failed && a.accepted == 0) {
		int err = nothing_left(offer, reason_at, reason, why);

		if (role != SL_SDP_BOTH)
			return err;
	}
	if (!arena->failed)
		finish_answer(&a);
	if (arena->failed)
		return sdp_fail(why, 0, SL_ENOMEM, "out of memory", sl_str(NULL, 0));
	*answer = sdp;
	return SL_OK;
}
