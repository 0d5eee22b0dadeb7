/* SPDX-License-Identifier: Apache-2.0 — offers of ours, and whether a peer's answer fits the one it
 * got. */
#include "rtp/sdp/sdp_int.h"

/* Payload types of ours; those of browsers where there is a habit. 64 to 95 stay free (RFC 5761
 * section 4). */
struct format {
	enum sl_codec codec, needs; /* needs: the codec without which this helper is not offered */
	uint8_t pt, rtx_pt;
	const char *fmtp;
};
#define H264_FMTP(mode, profile)                                                                   \
	"level-asymmetry-allowed=1;packetization-mode=" mode ";profile-level-id=" profile
/* clang-format off */
static const struct format formats[] = {
	{SL_OPUS, SL_OPUS, 111, 0, "minptime=10;useinbandfec=1"},
	{SL_RED_AUDIO, SL_OPUS, 63, 0, "111/111"},
	{SL_G722, SL_G722, 9, 0, ""},
	{SL_PCMU, SL_PCMU, 0, 0, ""},
	{SL_PCMA, SL_PCMA, 8, 0, ""},
	{SL_VP8, SL_VP8, 96, 97, ""},
	{SL_H264, SL_H264, 102, 103, H264_FMTP("1", "42001f")},
	{SL_H264, SL_H264, 104, 107, H264_FMTP("0", "42001f")},
	{SL_H264, SL_H264, 108, 109, H264_FMTP("1", "42e01f")},
	{SL_H264, SL_H264, 114, 115, H264_FMTP("0", "42e01f")},
	{SL_H264, SL_H264, 116, 117, H264_FMTP("1", "4d001f")},
	{SL_H264, SL_H264, 39, 40, H264_FMTP("0", "4d001f")},
	{SL_H264, SL_H264, 112, 113, H264_FMTP("1", "64001f")},
	{SL_AV1, SL_AV1, 45, 46, "level-idx=5;profile=0;tier=0"},
	{SL_VP9, SL_VP9, 98, 99, "profile-id=0"},
	{SL_VP9, SL_VP9, 100, 101, "profile-id=2"},
	{SL_H265, SL_H265, 49, 50, "level-id=156;profile-id=1;tier-flag=0;tx-mode=SRST"},
};
/* clang-format on */
enum { FB_VIDEO = SL_FB_NACK | SL_FB_PLI | SL_FB_FIR | SL_FB_REMB | SL_FB_TWCC };

/* Ids of ours, the same on every m-line. */
/* clang-format off */
static const struct {
	enum sl_ext ext;
	uint8_t id;
	bool audio, video;
} extensions[] = {
	{SL_EXT_AUDIO_LEVEL, 1, true, false},
	{SL_EXT_ABS_SEND_TIME, 2, true, true},
	{SL_EXT_TWCC, 3, true, true},
	{SL_EXT_MID, 4, true, true},
	{SL_EXT_PLAYOUT_DELAY, 5, false, true},
	{SL_EXT_VIDEO_CONTENT_TYPE, 6, false, true},
	{SL_EXT_COLOR_SPACE, 8, false, true},
	{SL_EXT_ABS_CAPTURE_TIME, 9, true, true},
	{SL_EXT_DEPENDENCY_DESCRIPTOR, 12, false, true},
	{SL_EXT_VIDEO_ORIENTATION, 13, false, true},
};
/* clang-format on */

static struct sl_sdp_codec *add_codec(struct sl_sdp_media *m, enum sl_codec codec, uint8_t pt,
				      const char *fmtp)
{
	const struct sl_codec_info *info = sl_codec_info(codec);
	struct sl_sdp_codec *c = &m->codecs[m->codec_count++];

	c->pt = pt;
	c->codec = codec;
	c->name = sl_str_z(info->name);
	c->clock_hz = info->clock_hz;
	c->channels = info->channels;
	c->fmtp = sl_str_z(fmtp);
	return c;
}

static void add_rtx(struct sl_sdp_media *m, const struct format *f, struct sl_arena *arena)
{
	char text[16];
	char *fmtp;

	sl_fmt(text, sizeof(text), "apt=%u", f->pt);
	fmtp = sl_arena_dup(arena, text, strlen(text));
	add_codec(m, SL_RTX, f->rtx_pt, fmtp)->apt = f->pt;
}

/* RFC 4733: telephone events at each clock rate that a codec of the m-line has. */
static void add_events(struct sl_sdp_media *m, const uint8_t *allowed)
{
	static const struct {
		uint32_t clock_hz;
		uint8_t pt;
	} rows[] = {{48000, 110}, {8000, 126}};

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		bool used = rows[i].clock_hz == 48000
				    ? allowed[SL_OPUS]
				    : allowed[SL_G722] || allowed[SL_PCMU] || allowed[SL_PCMA];

		if (used)
			add_codec(m, SL_TELEPHONE_EVENT, rows[i].pt, "")->clock_hz =
				rows[i].clock_hz;
	}
}

void sdp_offer_codecs(struct sl_sdp_media *m, enum sl_kind kind, const uint8_t *allowed, uint8_t fb,
		      struct sl_arena *arena)
{
	bool plain = !(fb & SL_FB_TWCC);

	m->codecs = sl_arena_alloc(arena, (2 * SL_COUNT(formats) + 2) * sizeof(*m->codecs));
	for (size_t i = 0; i < SL_COUNT(formats) && m->codecs; i++) {
		const struct format *f = &formats[i];
		struct sl_sdp_codec *c;

		if (sl_codec_info(f->codec)->kind != kind || !allowed[f->needs] ||
		    (plain && f->codec == SL_RED_AUDIO))
			continue;
		c = add_codec(m, f->codec, f->pt, f->fmtp);
		c->fb = kind == SL_VIDEO ? fb : f->codec == SL_OPUS ? fb & SL_FB_TWCC : 0;
		c->rtx_pt = plain ? 0 : f->rtx_pt;
		if (c->rtx_pt)
			add_rtx(m, f, arena);
	}
	if (kind == SL_AUDIO && m->codecs)
		add_events(m, allowed);
}

static void put_exts(struct sl_sdp_media *m, enum sl_kind kind, struct sl_arena *arena)
{
	m->exts = sl_arena_alloc(arena, SL_COUNT(extensions) * sizeof(*m->exts));
	for (size_t i = 0; i < SL_COUNT(extensions) && m->exts; i++) {
		if (!(kind == SL_AUDIO ? extensions[i].audio : extensions[i].video))
			continue;
		m->exts[m->ext_count++] = (struct sl_sdp_ext){
			.id = extensions[i].id,
			.ext = extensions[i].ext,
			.uri = sl_str_z(sl_ext_uri(extensions[i].ext)),
			.dir = SL_SDP_SENDRECV,
		};
	}
}

static void offer_media(struct sl_sdp_media *m, const struct sl_sdp_ours *ours,
			const struct sl_sdp_offer_line *line, struct sl_arena *arena)
{
	char *mid = line->mid.n > 0 ? sl_arena_dup(arena, line->mid.p, line->mid.n) : NULL;

	m->kind = line->kind == SL_AUDIO ? SL_SDP_AUDIO : SL_SDP_VIDEO;
	m->kind_text = line->kind == SL_AUDIO ? SL_STR("audio") : SL_STR("video");
	m->proto = SL_STR("UDP/TLS/RTP/SAVPF");
	m->formats = SL_STR("0");
	m->mid = mid ? sl_str(mid, line->mid.n) : sl_str(NULL, 0);
	m->dir = line->rejected ? SL_SDP_INACTIVE : line->dir;
	m->rejected = line->rejected;
	if (line->rejected)
		return;
	sdp_our_transport(m, ours, SL_SDP_ACTPASS);
	m->rtcp_rsize = true;
	m->ext_mixed = true;
	sdp_offer_codecs(m, line->kind, ours->codecs, FB_VIDEO, arena);
	put_exts(m, line->kind, arena);
	if (sl_sdp_receives(m->dir))
		m->bandwidth_as_kbps = ours->as_kbps[line->kind];
	if (sl_sdp_sends(m->dir))
		sdp_our_ssrcs(m, &line->send, arena);
}

int sl_sdp_offer(const struct sl_sdp_ours *ours, const struct sl_sdp_offer_line *lines, size_t n,
		 struct sl_arena *arena, struct sl_sdp *offer)
{
	struct sl_sdp sdp = {.ext_mixed = true};
	struct sl_str mids[SL_SDP_OFFER_MEDIA_MAX];

	if (n > SL_SDP_OFFER_MEDIA_MAX)
		return SL_EFULL;
	if (n > 0)
		sdp.media = sl_arena_alloc(arena, n * sizeof(*sdp.media));
	for (size_t i = 0; i < n && sdp.media; i++) {
		offer_media(&sdp.media[i], ours, &lines[i], arena);
		mids[i] = sdp.media[i].mid;
		sdp.media_count++;
	}
	sdp_our_session(&sdp, ours);
	sdp_our_bundle(&sdp, ours, mids, sdp.media_count, arena);
	if (arena->failed)
		return SL_ENOMEM;
	*offer = sdp;
	return SL_OK;
}

/* ---- the peer's answer ---- */

static const struct sl_sdp_codec *codec_of_pt(const struct sl_sdp_media *m, uint8_t pt)
{
	for (size_t i = 0; i < m->codec_count; i++)
		if (m->codecs[i].pt == pt)
			return &m->codecs[i];
	return NULL;
}

const char *sdp_codecs_fault(const struct sl_sdp_media *ours, const struct sl_sdp_media *theirs)
{
	bool media = false;

	for (size_t i = 0; i < theirs->codec_count; i++) {
		const struct sl_sdp_codec *t = &theirs->codecs[i];
		const struct sl_sdp_codec *o = codec_of_pt(ours, t->pt);

		if (!o || o->codec != t->codec)
			return "it answers with a payload type that was not offered";
		if (t->codec == SL_RTX && t->apt != o->apt)
			return "its RTX repairs another payload type than offered";
		media |= sl_codec_info(t->codec)->forwarded;
	}
	return media ? NULL : "it answers without a codec";
}

static const char *exts_fault(const struct sl_sdp_media *ours, const struct sl_sdp_media *theirs)
{
	for (size_t i = 0; i < theirs->ext_count; i++) {
		bool known = false;

		for (size_t k = 0; k < ours->ext_count && !known; k++)
			known = ours->exts[k].id == theirs->exts[i].id &&
				sl_str_eq(ours->exts[k].uri, theirs->exts[i].uri);
		if (!known)
			return "it answers with a header extension that was not offered";
	}
	return NULL;
}

/* RFC 3264 section 6.1: an answer takes no more than was offered. */
static bool dir_fits(enum sl_sdp_dir offered, enum sl_sdp_dir answered)
{
	return offered == SL_SDP_SENDRECV || answered == SL_SDP_INACTIVE ||
	       answered == sl_sdp_dir_reverse(offered);
}

static const char *transport_fault(const struct sl_sdp *answer, const struct sl_sdp_media *theirs)
{
	const struct sl_sdp_media *t = sl_sdp_transport(answer, answer);

	if (answer->bundle_count > 0 ? !theirs->in_bundle : t != theirs)
		return "it is not in the BUNDLE group";
	if (t->ufrag.n == 0 || t->pwd.n == 0)
		return "it has no a=ice-ufrag and a=ice-pwd";
	if (t->fingerprint_count == 0)
		return "it has no a=fingerprint";
	if (!t->rtcp_mux)
		return "it has no a=rtcp-mux";
	/* RFC 5763 section 5. */
	return t->setup == SL_SDP_ACTIVE || t->setup == SL_SDP_PASSIVE
		       ? NULL
		       : "its a=setup is neither active nor passive";
}

static const char *media_fault(const struct sl_sdp *answer, const struct sl_sdp_media *ours,
			       const struct sl_sdp_media *theirs)
{
	const char *fault;

	if (theirs->kind != ours->kind)
		return "it is of another kind than offered";
	if (theirs->mid.n > 0 && !sl_str_eq(theirs->mid, ours->mid))
		return "its a=mid is not the one offered";
	if (theirs->rejected)
		return NULL;
	if (ours->rejected)
		return "it accepts what was offered with port 0";
	if (!dir_fits(ours->dir, theirs->dir))
		return "its direction does not fit the one offered";
	fault = sdp_codecs_fault(ours, theirs);
	if (!fault)
		fault = exts_fault(ours, theirs);
	return fault ? fault : transport_fault(answer, theirs);
}

int sl_sdp_check_answer(const struct sl_sdp *offer, const struct sl_sdp *answer,
			struct sl_sdp_why *why)
{
	struct sl_str none = {0};

	if (answer->media_count != offer->media_count)
		return sdp_fail(why, 0, SL_EPARSE,
				"the answer has another number of m-lines than the offer", none);
	for (size_t i = 0; i < offer->media_count; i++) {
		const char *fault = media_fault(answer, &offer->media[i], &answer->media[i]);
		char text[112];

		if (!fault)
			continue;
		sl_fmt(text, sizeof(text), "m-line %zu of the answer: %s", i + 1, fault);
		return sdp_fail(why, 0, SL_EPARSE, text, answer->media[i].mid);
	}
	return SL_OK;
}
