/* SPDX-License-Identifier: Apache-2.0 — SDP and trickle fragments: any text is refused with a
 * reason, or reads; what is written of it reads the same again and writes the same text. */
#include "rtp/sdp/sdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { ARENA = 1 << 21, TEXT_MAX = 1 << 22 };
static char first[TEXT_MAX], second[TEXT_MAX];

static void must(bool c)
{
	if (!c)
		__builtin_trap();
}

static void check_media(const struct sl_sdp_media *m)
{
	must(m->codec_count <= SL_SDP_CODECS_MAX && m->ext_count <= SL_SDP_EXTS_MAX);
	must(m->ssrc_count <= SL_SDP_SSRCS_MAX && m->cand_count <= SL_SDP_CANDS_MAX);
	must(m->rid_count <= SL_SDP_RIDS_MAX && m->fingerprint_count <= SL_SDP_FINGERPRINTS_MAX);
	must(m->mid.n <= SL_MID_MAX);
	for (size_t i = 0; i < m->codec_count; i++) {
		must(m->codecs[i].pt < 128 && m->codecs[i].codec < SL_CODEC_COUNT);
		for (size_t k = 0; k < i; k++)
			must(m->codecs[i].pt != m->codecs[k].pt);
	}
	for (size_t i = 0; i < m->ext_count; i++)
		must(m->exts[i].id != 0);
	for (size_t i = 0; i < m->cand_count; i++)
		must(m->cands[i].addr.family && m->cands[i].addr.port);
	must(m->crypto_count <= SL_SDP_CRYPTOS_MAX);
	for (size_t i = 0; i < m->crypto_count; i++)
		must(m->cryptos[i].suite.n > 0 && m->cryptos[i].key.n > 0);
}

static void same_media(const struct sl_sdp_media *a, const struct sl_sdp_media *b)
{
	must(a->kind == b->kind && a->port == b->port && a->dir == b->dir && a->setup == b->setup);
	must(a->rejected == b->rejected && a->in_bundle == b->in_bundle &&
	     sl_str_eq(a->mid, b->mid));
	must(a->codec_count == b->codec_count && a->ext_count == b->ext_count);
	must(a->ssrc_count == b->ssrc_count && a->cand_count == b->cand_count);
	must(a->fingerprint_count == b->fingerprint_count && a->rid_count == b->rid_count);
	must(sl_str_eq(a->ufrag, b->ufrag) && sl_str_eq(a->pwd, b->pwd) &&
	     a->rtcp_mux == b->rtcp_mux);
	for (size_t i = 0; i < a->codec_count; i++) {
		const struct sl_sdp_codec *x = &a->codecs[i];
		const struct sl_sdp_codec *y = &b->codecs[i];

		must(x->pt == y->pt && x->codec == y->codec && x->fb == y->fb && x->apt == y->apt);
		must(x->rtx_pt == y->rtx_pt && x->clock_hz == y->clock_hz &&
		     sl_str_eq(x->fmtp, y->fmtp));
	}
	for (size_t i = 0; i < a->ssrc_count; i++)
		must(a->ssrcs[i].ssrc == b->ssrcs[i].ssrc && a->ssrcs[i].rtx == b->ssrcs[i].rtx &&
		     a->ssrcs[i].is_rtx == b->ssrcs[i].is_rtx);
	for (size_t i = 0; i < a->cand_count; i++)
		must(sl_addr_eq(&a->cands[i].addr, &b->cands[i].addr) &&
		     a->cands[i].tcp == b->cands[i].tcp);
	must(a->rtcp_port == b->rtcp_port && sl_addr_eq(&a->rtcp_addr, &b->rtcp_addr));
	must(a->comedia == b->comedia && a->crypto_count == b->crypto_count);
	for (size_t i = 0; i < a->crypto_count; i++)
		must(a->cryptos[i].tag == b->cryptos[i].tag &&
		     sl_str_eq(a->cryptos[i].suite, b->cryptos[i].suite) &&
		     sl_str_eq(a->cryptos[i].key, b->cryptos[i].key) &&
		     sl_str_eq(a->cryptos[i].rest, b->cryptos[i].rest));
}

static void again(const struct sl_sdp *sdp)
{
	struct sl_buf one = sl_buf(first, sizeof(first));
	struct sl_buf two = sl_buf(second, sizeof(second));
	struct sl_arena arena;
	struct sl_sdp copy;
	struct sl_sdp_why why;
	int err;

	sl_sdp_write(sdp, &one);
	must(!one.full);
	sl_arena_init(&arena, ARENA);
	err = sl_sdp_read(sl_str(one.p, one.n), &arena, &copy, &why);
	/* What stood once for the session is written per m-line: then it may be too long. */
	must(err == SL_OK || err == SL_EFULL);
	if (err == SL_OK) {
		must(copy.media_count == sdp->media_count &&
		     copy.bundle_count == sdp->bundle_count);
		for (size_t i = 0; i < sdp->media_count; i++)
			same_media(&sdp->media[i], &copy.media[i]);
		sl_sdp_write(&copy, &two);
		must(one.n == two.n && memcmp(one.p, two.p, one.n) == 0);
	}
	sl_arena_fini(&arena);
}

static void read_frag(struct sl_str text)
{
	struct sl_arena arena;
	struct sl_sdpfrag frag;
	struct sl_sdp_why why = {0};

	sl_arena_init(&arena, ARENA);
	if (sl_sdpfrag_read(text, &arena, &frag, &why) == SL_OK)
		must(frag.cand_count <= SL_SDP_CANDS_MAX && frag.mid.n <= SL_MID_MAX);
	else
		must(why.text[0]);
	sl_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sl_str text = sl_str((const char *)data, len);
	struct sl_arena arena;
	struct sl_sdp sdp;
	struct sl_sdp_why why = {0};
	int err;

	sl_arena_init(&arena, ARENA);
	err = sl_sdp_read(text, &arena, &sdp, &why);
	must(err == SL_OK || err == SL_EPARSE || err == SL_EFULL);
	must(err == SL_OK || why.text[0]);
	must(why.line <= SL_SDP_LINES_MAX + 1);
	if (err == SL_OK) {
		must(sdp.media_count <= SL_SDP_MEDIA_MAX && sdp.bundle_count <= SL_SDP_MEDIA_MAX);
		for (size_t i = 0; i < sdp.media_count; i++)
			check_media(&sdp.media[i]);
		again(&sdp);
	}
	sl_arena_fini(&arena);
	read_frag(text);
	return 0;
}
