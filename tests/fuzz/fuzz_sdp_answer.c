/* SPDX-License-Identifier: Apache-2.0 — the offer/answer engine: whatever is offered, the answer
 * has the offer's m-lines, only payload types and extensions that were offered, never a kind of FEC
 * or a rid, one transport, and it reads. Also: the text as an answer to an offer of ours. */
#include "rtp/sdp/sdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { ARENA = 1 << 21, TEXT_MAX = 1 << 22 };
static char text_of[TEXT_MAX];
static struct sl_sdp_send sends[SL_SDP_MEDIA_MAX];

static void must(bool c)
{
	if (!c)
		__builtin_trap();
}

static struct sl_sdp_ours our_side(bool active)
{
	static struct sl_sdp_cand cand = {
		.foundation = {"1", 1}, .type = {"host", 4}, .component = 1, .priority = 1};
	struct sl_sdp_ours ours = {
		.ufrag = SL_STR("ourufrag"),
		.pwd = SL_STR("ourpwdourpwdourpwdourpwd"),
		.fingerprint = SL_STR("AA:BB"),
		.ice_lite = active,
		.cands = &cand,
		.cand_count = 1,
		.dtls_active = active,
	};

	cand.addr = sl_addr_v4(192, 0, 2, 1, 10000);
	ours.addr = cand.addr;
	memset(ours.codecs, 1, sizeof(ours.codecs));
	ours.codecs[SL_VP9] = active;
	return ours;
}

static const struct sl_sdp_codec *by_pt(const struct sl_sdp_media *m, uint8_t pt)
{
	for (size_t i = 0; i < m->codec_count; i++)
		if (m->codecs[i].pt == pt)
			return &m->codecs[i];
	return NULL;
}

static void check_codecs(const struct sl_sdp_media *offered, const struct sl_sdp_media *m,
			 const struct sl_sdp_ours *ours)
{
	bool media = false;

	for (size_t i = 0; i < m->codec_count; i++) {
		const struct sl_sdp_codec *c = &m->codecs[i];
		const struct sl_sdp_codec *o = by_pt(offered, c->pt);

		must(o && o->codec == c->codec && sl_str_eq(o->fmtp, c->fmtp) &&
		     (c->fb & ~o->fb) == 0);
		must(c->pt < 64 || c->pt > 95);
		must(c->codec != SL_CODEC_NONE && c->codec != SL_COMFORT_NOISE &&
		     c->codec < SL_RED_VIDEO);
		must(!(c->fb & SL_FB_RRTR));
		if (c->codec == SL_RTX)
			must(by_pt(m, c->apt) && by_pt(m, c->apt)->rtx_pt == c->pt);
		if (c->rtx_pt)
			must(by_pt(m, c->rtx_pt) && by_pt(m, c->rtx_pt)->codec == SL_RTX);
		if (sl_codec_info(c->codec)->forwarded && c->codec != SL_RED_AUDIO) {
			must(ours->codecs[c->codec]);
			media = true;
		}
	}
	must(media);
}

/* The one direction that media and extensions may have. */
static enum sl_sdp_dir one_way(enum sl_sdp_role role, enum sl_sdp_dir agreed)
{
	if (role == SL_SDP_BOTH)
		return agreed;
	return role == SL_SDP_PUBLISHER ? SL_SDP_RECVONLY : SL_SDP_SENDONLY;
}

static void check_exts(const struct sl_sdp_media *offered, const struct sl_sdp_media *m,
		       enum sl_sdp_role role)
{
	for (size_t i = 0; i < m->ext_count; i++) {
		const struct sl_sdp_ext *e = &m->exts[i];
		bool found = false;

		for (size_t k = 0; k < offered->ext_count; k++)
			found |= offered->exts[k].id == e->id && offered->exts[k].ext == e->ext;
		must(found && e->ext != SL_EXT_COUNT && e->ext != SL_EXT_RID &&
		     e->ext != SL_EXT_RRID);
		must(e->dir == SL_SDP_SENDRECV || e->dir == one_way(role, m->dir));
	}
}

static void check_accepted(const struct sl_sdp_media *offered, const struct sl_sdp_media *m,
			   const struct sl_sdp_ours *ours, enum sl_sdp_role role)
{
	must(!offered->rejected && m->port != 0 && m->rtcp_mux && m->fingerprint_count == 1);
	must(m->setup == SL_SDP_ACTIVE || m->setup == SL_SDP_PASSIVE);
	must(m->ufrag.n > 0 && m->pwd.n > 0 && m->rid_count == 0 && m->simulcast.n == 0);
	must(m->dir == SL_SDP_INACTIVE || m->dir == one_way(role, m->dir));
	must(!sl_sdp_sends(m->dir) || sl_sdp_receives(offered->dir));
	must(!sl_sdp_receives(m->dir) || sl_sdp_sends(offered->dir));
	must((m->ssrc_count > 0) == sl_sdp_sends(m->dir));
	must(m->crypto_count == 0 && m->rtcp_port == 0 && m->comedia == SL_SDP_COMEDIA_NONE);
	check_codecs(offered, m, ours);
	check_exts(offered, m, role);
}

static void check_answer(const struct sl_sdp *offer, const struct sl_sdp *a,
			 const struct sl_sdp_ours *ours, enum sl_sdp_role role)
{
	const struct sl_sdp_media *transport = sl_sdp_transport(offer, a);
	size_t accepted = 0;
	size_t with_cands = 0;

	must(a->media_count == offer->media_count);
	for (size_t i = 0; i < a->media_count; i++) {
		must(a->media[i].kind == offer->media[i].kind);
		must(sl_str_eq(a->media[i].mid, offer->media[i].mid));
		must(sl_str_eq(a->media[i].proto, offer->media[i].proto));
		with_cands += a->media[i].cand_count > 0;
		if (a->media[i].rejected) {
			must(a->media[i].port == 0 && a->media[i].cand_count == 0);
			continue;
		}
		accepted++;
		check_accepted(&offer->media[i], &a->media[i], ours, role);
	}
	if (accepted == 0 && role == SL_SDP_BOTH)
		return;
	must(accepted > 0 && with_cands == 1);
	must(a->bundle_count == (offer->bundle_count > 0 ? accepted : 0));
	must(transport && transport->ufrag.n > 0 && transport->pwd.n > 0 &&
	     transport->fingerprint_count > 0);
}

static void check_text(const struct sl_sdp *a)
{
	struct sl_buf b = sl_buf(text_of, sizeof(text_of));
	struct sl_arena arena;
	struct sl_sdp again;
	struct sl_sdp_why why;
	int err;

	sl_sdp_write(a, &b);
	must(!b.full);
	sl_arena_init(&arena, ARENA);
	err = sl_sdp_read(sl_str(b.p, b.n), &arena, &again, &why);
	must(err == SL_OK || err == SL_EFULL);
	for (size_t i = 0; err == SL_OK && i < a->media_count; i++) {
		must(again.media[i].rejected == a->media[i].rejected &&
		     again.media[i].dir == a->media[i].dir);
		must(again.media[i].rejected ||
		     again.media[i].codec_count == a->media[i].codec_count);
	}
	sl_arena_fini(&arena);
}

static void answer(const struct sl_sdp *offer, enum sl_sdp_role role, bool active)
{
	struct sl_sdp_ours ours = our_side(active);
	struct sl_arena arena;
	struct sl_sdp a;
	struct sl_sdp_why why = {0};
	int err;

	for (size_t i = 0; i < SL_SDP_MEDIA_MAX; i++)
		sends[i] = (struct sl_sdp_send){
			.ssrc = 1, .rtx_ssrc = 2, .cname = "c", .stream = "s", .track = "t"};
	sl_arena_init(&arena, ARENA);
	err = sl_sdp_answer(offer, &ours, role, sends, &arena, &a, &why);
	must(err == SL_OK || err == SL_EUNSUPPORTED);
	if (err == SL_OK) {
		check_answer(offer, &a, &ours, role);
		check_text(&a);
	} else {
		must(why.text[0]);
	}
	sl_arena_fini(&arena);
}

static void as_answer(const struct sl_sdp *theirs)
{
	static const struct sl_sdp_offer_line lines[2] = {
		{.kind = SL_AUDIO, .dir = SL_SDP_SENDRECV, .mid = {"0", 1}},
		{.kind = SL_VIDEO, .dir = SL_SDP_SENDRECV, .mid = {"1", 1}},
	};
	struct sl_sdp_ours ours = our_side(true);
	struct sl_arena arena;
	struct sl_sdp offer;
	struct sl_sdp_why why = {0};

	sl_arena_init(&arena, ARENA);
	must(sl_sdp_offer(&ours, lines, 2, &arena, &offer) == SL_OK);
	if (sl_sdp_check_answer(&offer, theirs, &why) == SL_OK)
		for (size_t i = 0; i < 2; i++)
			must(theirs->media[i].rejected || theirs->media[i].codec_count > 0);
	else
		must(why.text[0]);
	sl_arena_fini(&arena);
}

static void check_plain(const struct sl_sdp_media *offered, struct sl_sdp_media *m,
			const struct sl_sdp_plain_ours *ours)
{
	struct sl_sdp_ours same = our_side(true);

	must(sl_str_eq(m->proto, offered->proto));
	if (m->rejected)
		return;
	must(!offered->rejected && m->dir == sl_sdp_dir_reverse(offered->dir));
	must(m->ufrag.n == 0 && m->fingerprint_count == 0 && !m->in_bundle);
	must(m->crypto_count == (ours->suite.n > 0 ? 1 : 0));
	must(sl_sdp_proto(m->proto).secure == (ours->suite.n > 0));
	must(!m->crypto_count || sl_str_eq(m->cryptos[0].key, ours->key));
	same.codecs[SL_VP9] = 1;
	check_codecs(offered, m, &same);
	m->port = 5000;
	m->rtcp_port = m->rtcp_mux ? 0 : 5001;
}

static void answer_plain(const struct sl_sdp *offer, bool secure)
{
	struct sl_sdp_plain_ours ours = {
		.addr = sl_addr_v4(192, 0, 2, 1, 0),
		.name = SL_STR("n"),
		.suite = secure ? SL_STR("AES_CM_128_HMAC_SHA1_80") : SL_STR(""),
		.key = secure ? SL_STR("MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw") : SL_STR("")};
	struct sl_arena arena;
	struct sl_sdp a;
	struct sl_sdp_why why = {0};

	memset(ours.codecs, 1, sizeof(ours.codecs));
	sl_arena_init(&arena, ARENA);
	must(sl_sdp_plain_answer(offer, &ours, sends, &arena, &a, &why) == SL_OK);
	must(a.media_count == offer->media_count && a.bundle_count == 0);
	for (size_t i = 0; i < a.media_count; i++)
		check_plain(&offer->media[i], &a.media[i], &ours);
	check_text(&a);
	sl_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sl_arena arena;
	struct sl_sdp offer;
	struct sl_sdp_why why;

	sl_arena_init(&arena, ARENA);
	if (sl_sdp_read(sl_str((const char *)data, len), &arena, &offer, &why) == SL_OK) {
		answer(&offer, SL_SDP_PUBLISHER, true);
		answer(&offer, SL_SDP_PLAYER, true);
		answer(&offer, SL_SDP_PUBLISHER, false);
		answer(&offer, SL_SDP_BOTH, true);
		answer_plain(&offer, false);
		answer_plain(&offer, true);
		as_answer(&offer);
	}
	sl_arena_fini(&arena);
	return 0;
}
