/* SPDX-License-Identifier: Apache-2.0
 * rtp/sdp/read_int.h — the state of one reading, between read.c (lines, m-lines) and attributes.c
 * (what follows "a="). */
#ifndef SL_SDP_READ_INT_H
#define SL_SDP_READ_INT_H
#include "rtp/sdp/sdp_int.h"

enum { SDP_PT_MAX = 127 };

struct sdp_scratch {
	struct sl_sdp_codec codecs[SL_SDP_CODECS_MAX];
	struct sl_sdp_ext exts[SL_SDP_EXTS_MAX];
	struct sl_sdp_ssrc ssrcs[SL_SDP_SSRCS_MAX];
	struct sl_sdp_cand cands[SL_SDP_CANDS_MAX];
	struct sl_sdp_crypto cryptos[SL_SDP_CRYPTOS_MAX];
	struct sl_str bundle[SL_SDP_OFFER_MEDIA_MAX];
	uint8_t codec_at[SDP_PT_MAX + 1]; /* index + 1 into codecs; 0 = not in this m-line */
	uint8_t fb_all;			  /* of "a=rtcp-fb:*" and a=rtcp-xr */
	bool own_fingerprint;		  /* of this m-line: those of the session no longer apply */
};

struct sdp_parser {
	/* borrowed */
	struct sl_arena *arena;
	struct sl_sdp *out;
	struct sl_sdp_why *why;
	const struct sl_sdp_bounds *bounds;
	/* state */
	struct sdp_lines lines;
	struct sl_sdp_media session; /* what every m-line starts from */
	uint8_t session_fb;
	struct sl_sdp_media *m; /* the m-line at hand; before the first: &session */
	struct sdp_scratch *s;
	bool has_origin;
};

/* SL_EPARSE and SL_EFULL, with the reason and the line at hand. */
int sdp_bad(struct sdp_parser *p, const char *text, struct sl_str about);
int sdp_full(struct sdp_parser *p, const char *text);
/* What follows "a=", into p->m. Unknown attributes are skipped. */
SL_MUST_USE int sdp_read_attribute(struct sdp_parser *p, struct sl_str v);
#endif
