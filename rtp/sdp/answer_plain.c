/* SPDX-License-Identifier: Apache-2.0 — offers and answers of peers without ICE and DTLS: plain RTP
 * (RTP/AVP, AVPF) and SRTP with keys in the description (RTP/SAVP, SAVPF; RFC 4568). Each m-line is
 * for itself: nothing is bundled, and each has ports of its own, which the caller fills in. */
#include "core/base/mem.h"
#include "rtp/sdp/sdp_int.h"

/* ---- keys ---- */

/* RFC 4568 section 6.2, RFC 6188 section 4. The third and fourth are spelled the other way round in
 * Kurento's descriptions. */
/* clang-format off */
static const struct {
	const char *name;
	uint8_t suite, key_len;         /* suite: which of the four */
} suites[] = {
	{"AES_CM_128_HMAC_SHA1_80", 1, 30}, {"AES_CM_128_HMAC_SHA1_32", 2, 30},
	{"AES_256_CM_HMAC_SHA1_80", 3, 46}, {"AES_256_CM_HMAC_SHA1_32", 4, 46},
	{"AES_CM_256_HMAC_SHA1_80", 3, 46}, {"AES_CM_256_HMAC_SHA1_32", 4, 46},
};
/* clang-format on */

static int row_of(struct sl_str suite)
{
	for (size_t i = 0; i < SL_COUNT(suites); i++)
		if (sl_str_eq(suite, sl_str_z(suites[i].name)))
			return (int)i;
	return -1;
}

/* RFC 4568 section 6.1: a lifetime is the sender's business; an MKI would stand in every packet,
 * and with more than one key there is one. Section 6.3: of the session parameters only the window's
 * size changes nothing on the wire. */
static bool rest_ok(struct sl_str rest)
{
	struct sl_str params = rest;
	struct sl_str word = sl_str_cut(&params, ' ');

	if (word.n > 0 &&
	    (word.p[0] != '|' || memchr(word.p, ':', word.n) || memchr(word.p, ';', word.n)))
		return false;
	while (params.n > 0) {
		word = sl_str_word(&params);
		if (word.n > 0 && !(word.n > 4 && memcmp(word.p, "WSH=", 4) == 0))
			return false;
	}
	return true;
}

size_t sl_sdp_crypto_key(const struct sl_sdp_crypto *c, uint8_t out[SL_SDP_KEY_MAX])
{
	int row = row_of(c->suite);
	int n = row < 0 ? -1 : sl_unbase64(c->key, out, SL_SDP_KEY_MAX);

	return n > 0 && n == suites[row].key_len && rest_ok(c->rest) ? (size_t)n : 0;
}

static bool same_suite(struct sl_str a, struct sl_str b)
{
	int i = row_of(a);
	int k = row_of(b);

	return i >= 0 && k >= 0 && suites[i].suite == suites[k].suite;
}

const struct sl_sdp_crypto *sl_sdp_crypto_of(const struct sl_sdp_media *m, struct sl_str suite)
{
	uint8_t key[SL_SDP_KEY_MAX];

	for (size_t i = 0; i < m->crypto_count; i++)
		if (same_suite(m->cryptos[i].suite, suite) &&
		    sl_sdp_crypto_key(&m->cryptos[i], key) > 0) {
			sl_wipe(key, sizeof(key));
			return &m->cryptos[i];
		}
	sl_wipe(key, sizeof(key));
	return NULL;
}

/* ---- one m-line ---- */

enum { FB_PLAIN = SL_FB_NACK | SL_FB_PLI | SL_FB_FIR | SL_FB_REMB };

static const char *proto_refusal(const struct sl_sdp_media *m, struct sl_str suite)
{
	struct sl_sdp_proto p = sl_sdp_proto(m->proto);

	if (!p.rtp || p.dtls)
		return "its protocol is not RTP/AVP, AVPF, SAVP or SAVPF";
	if (p.secure && suite.n == 0)
		return "it wants SRTP, and this side has no key";
	if (!p.secure && suite.n > 0)
		return "it does without SRTP, and this side has a key";
	if (p.secure && !sl_sdp_crypto_of(m, suite))
		return "it has no a=crypto of this side's suite with a key of the right size";
	return NULL;
}

static const char *refusal(const struct sl_sdp_media *m, struct sl_str suite)
{
	if (m->rejected)
		return "it has port 0";
	if (m->kind > SL_SDP_VIDEO)
		return "only audio and video are carried";
	return proto_refusal(m, suite);
}

/* RFC 4568 section 5.1.2: the tag of the one that was chosen, its suite, and our key. */
static void put_crypto(struct sl_sdp_media *m, uint32_t tag, struct sl_str suite, struct sl_str key,
		       struct sl_arena *arena)
{
	struct sl_sdp_crypto c = {.tag = tag, .suite = suite, .key = key};

	m->cryptos = sdp_copy(arena, &c, 1, sizeof(c));
	m->crypto_count = m->cryptos ? 1 : 0;
}

/* draft-ietf-mmusic-sdp-comedia-05 section 4: who is active sends first, and the other side learns
 * where from. */
static enum sl_sdp_comedia comedia_for(enum sl_sdp_comedia offered)
{
	return offered == SL_SDP_COMEDIA_ACTIVE ? SL_SDP_COMEDIA_PASSIVE : SL_SDP_COMEDIA_NONE;
}

/* Only what tells nothing of bundles: the time of sending. */
static void put_exts(struct sl_sdp_media *m, const struct sl_sdp_media *offered,
		     struct sl_arena *arena)
{
	for (size_t i = 0; i < offered->ext_count; i++)
		if (offered->exts[i].ext == SL_EXT_ABS_SEND_TIME &&
		    offered->exts[i].dir == SL_SDP_SENDRECV && offered->exts[i].id != 15) {
			m->exts = sdp_copy(arena, &offered->exts[i], 1, sizeof(*m->exts));
			m->ext_count = m->exts ? 1 : 0;
			return;
		}
}

static void accept(struct sl_sdp_media *m, const struct sl_sdp_media *offered,
		   const struct sl_sdp_plain_ours *ours, const struct sl_sdp_send *send,
		   struct sl_arena *arena)
{
	const struct sl_sdp_crypto *theirs =
		ours->suite.n > 0 ? sl_sdp_crypto_of(offered, ours->suite) : NULL;

	m->rejected = false;
	m->conn = sl_addr_with_port(ours->addr, 0);
	m->dir = sl_sdp_dir_reverse(offered->dir);
	m->comedia = comedia_for(offered->comedia);
	m->rtcp_mux = offered->rtcp_mux;
	m->rtcp_rsize = offered->rtcp_rsize;
	put_exts(m, offered, arena);
	if (theirs)
		put_crypto(m, theirs->tag, theirs->suite, ours->key, arena);
	if (sl_sdp_receives(m->dir))
		m->bandwidth_as_kbps = ours->as_kbps[sdp_kind(m->kind)];
	if (sl_sdp_sends(m->dir))
		sdp_our_ssrcs(m, send, arena);
}

static void put_session(struct sl_sdp *sdp, const struct sl_sdp_plain_ours *ours)
{
	sdp->origin_user = SL_STR("-");
	sdp->session_id = ours->session_id;
	sdp->session_version = ours->session_version;
	sdp->origin_addr = sl_addr_with_port(ours->addr, 0);
	sdp->name = ours->name;
}

static uint8_t fb_of(struct sl_str proto)
{
	return sl_sdp_proto(proto).feedback ? FB_PLAIN : 0;
}

int sl_sdp_plain_answer(const struct sl_sdp *offer, const struct sl_sdp_plain_ours *ours,
			const struct sl_sdp_send *send, struct sl_arena *arena,
			struct sl_sdp *answer, struct sl_sdp_why *why)
{
	struct sl_sdp sdp = {.media_count = offer->media_count};
	const char *first = NULL;

	if (sdp.media_count > 0)
		sdp.media = sl_arena_alloc(arena, sdp.media_count * sizeof(*sdp.media));
	for (size_t i = 0; i < offer->media_count && sdp.media; i++) {
		const struct sl_sdp_media *o = &offer->media[i];
		const char *reason = refusal(o, ours->suite);

		sdp_refuse(&sdp.media[i], o);
		if (!reason &&
		    sdp_common_codecs(&sdp.media[i], o, ours->codecs, fb_of(o->proto), arena) == 0)
			reason = "no codec in common";
		if (!reason)
			accept(&sdp.media[i], o, ours, &send[i], arena);
		else if (!first)
			first = reason;
	}
	put_session(&sdp, ours);
	if (arena->failed)
		return sdp_fail(why, 0, SL_ENOMEM, "out of memory", sl_str(NULL, 0));
	if (first)
		sdp_fail(why, 0, SL_OK, first, sl_str(NULL, 0));
	*answer = sdp;
	return SL_OK;
}

/* ---- offers ---- */

int sl_sdp_plain_offer(const struct sl_sdp_plain_ours *ours, const struct sl_sdp_offer_line *lines,
		       size_t n, struct sl_arena *arena, struct sl_sdp *offer)
{
	struct sl_sdp sdp = {.media_count = n};

	if (n > 0)
		sdp.media = sl_arena_alloc(arena, n * sizeof(*sdp.media));
	for (size_t i = 0; i < n && sdp.media; i++) {
		struct sl_sdp_media *m = &sdp.media[i];

		m->kind = lines[i].kind == SL_AUDIO ? SL_SDP_AUDIO : SL_SDP_VIDEO;
		m->kind_text = lines[i].kind == SL_AUDIO ? SL_STR("audio") : SL_STR("video");
		m->proto = ours->suite.n > 0 ? SL_STR("RTP/SAVPF") : SL_STR("RTP/AVPF");
		m->conn = sl_addr_with_port(ours->addr, 0);
		m->dir = lines[i].dir;
		sdp_offer_codecs(m, lines[i].kind, ours->codecs, FB_PLAIN, arena);
		if (ours->suite.n > 0)
			put_crypto(m, 1, ours->suite, ours->key, arena);
		if (sl_sdp_receives(m->dir))
			m->bandwidth_as_kbps = ours->as_kbps[lines[i].kind];
		if (sl_sdp_sends(m->dir))
			sdp_our_ssrcs(m, &lines[i].send, arena);
	}
	put_session(&sdp, ours);
	if (arena->failed)
		return SL_ENOMEM;
	*offer = sdp;
	return SL_OK;
}

/* ---- the peer's answer ---- */

/* An answer may step down from AVPF to AVP, never from SRTP to none. */
static const char *answer_fault(const struct sl_sdp_media *ours, const struct sl_sdp_media *theirs)
{
	if (theirs->kind != ours->kind)
		return "it is of another kind than offered";
	if (theirs->rejected)
		return NULL;
	if (sdp_codecs_fault(ours, theirs))
		return sdp_codecs_fault(ours, theirs);
	if (theirs->rtcp_mux)
		return "it has a=rtcp-mux, which was not offered";
	return proto_refusal(theirs, ours->crypto_count ? ours->cryptos[0].suite : sl_str(NULL, 0));
}

int sl_sdp_plain_check(const struct sl_sdp *offer, const struct sl_sdp *answer,
		       struct sl_sdp_why *why)
{
	if (answer->media_count != offer->media_count)
		return sdp_fail(why, 0, SL_EPARSE,
				"the answer has another number of m-lines than the offer",
				sl_str(NULL, 0));
	for (size_t i = 0; i < offer->media_count; i++) {
		const char *fault = answer_fault(&offer->media[i], &answer->media[i]);
		char text[112];

		if (!fault)
			continue;
		sl_fmt(text, sizeof(text), "m-line %zu of the answer: %s", i + 1, fault);
		return sdp_fail(why, 0, SL_EPARSE, text, sl_str(NULL, 0));
	}
	return SL_OK;
}
