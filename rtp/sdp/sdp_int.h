/* SPDX-License-Identifier: Apache-2.0
 * rtp/sdp/sdp_int.h — what the files of this folder share: lines, candidates, reasons. */
#ifndef SL_SDP_INT_H
#define SL_SDP_INT_H
#include "rtp/sdp/sdp.h"

enum { SDP_TOKEN_MAX = 255 };

/* Fills *why (which may be NULL): `text`, and `about` in quotes behind it when there is something.
 * Returns err. */
int sdp_fail(struct sl_sdp_why *why, size_t line, int err, const char *text, struct sl_str about);

struct sdp_lines {
	struct sl_str rest;
	size_t line; /* of the last one given, from 1 */
};
/* Next line that is not empty; *type is 0 for one that is not "x=value". False at the end. */
bool sdp_line(struct sdp_lines *it, char *type, struct sl_str *value);
/* The bounds over the whole text, no control characters, UTF-8; counts the m-lines. One pass. */
SL_MUST_USE int sdp_check_text(struct sl_str text, const struct sl_sdp_bounds *bounds,
			       size_t *media_count, struct sl_sdp_why *why);
/* Those of sl_sdp_read(). */
extern const struct sl_sdp_bounds sdp_bounds;

/* What follows "candidate:". False for one that is of no use to us: a name, an odd type, port 0,
 * not parsable. */
bool sdp_cand_read(struct sl_str value, struct sl_sdp_cand *out);
/* The whole line. */
void sdp_cand_write(const struct sl_sdp_cand *c, struct sl_buf *out);
/* Credentials as RFC 8839 section 5.4 bounds them. */
bool sdp_ufrag_ok(struct sl_str s);
bool sdp_pwd_ok(struct sl_str s);

/* RFC 8866 section 9: 1 to max characters of "token". */
bool sdp_token(struct sl_str s, size_t max);
enum sl_kind sdp_kind(enum sl_sdp_media_kind kind);

/* Copy of n elements on the arena; NULL for none. */
void *sdp_copy(struct sl_arena *arena, const void *from, size_t n, size_t elem_bytes);

/* ---- what answers and offers of ours have in common ---- */
/* Does this extension mean something to a server that forwards? */
bool sdp_ext_wanted(enum sl_ext e);
/* ICE, DTLS and RTCP lines that every accepted m-line of ours has. */
void sdp_our_transport(struct sl_sdp_media *m, const struct sl_sdp_ours *ours,
		       enum sl_sdp_setup setup);
/* A refused m-line, port 0. */
void sdp_refuse(struct sl_sdp_media *m, const struct sl_sdp_media *offered);
/* The formats of an offer that we take, with feedback of `fb` only; how many carry media. */
size_t sdp_common_codecs(struct sl_sdp_media *m, const struct sl_sdp_media *offered,
			 const uint8_t *allowed, uint8_t fb, struct sl_arena *arena);
/* Those that we offer; without transport-cc in `fb` no RTX and RED either. */
void sdp_offer_codecs(struct sl_sdp_media *m, enum sl_kind kind, const uint8_t *allowed, uint8_t fb,
		      struct sl_arena *arena);
/* Why the formats of an answer do not fit those offered; NULL. */
const char *sdp_codecs_fault(const struct sl_sdp_media *ours, const struct sl_sdp_media *theirs);
/* Session part of ours. */
void sdp_our_session(struct sl_sdp *sdp, const struct sl_sdp_ours *ours);
/* a=msid, a=ssrc and a=ssrc-group of what we send; nothing is left set when the arena is full. */
void sdp_our_ssrcs(struct sl_sdp_media *m, const struct sl_sdp_send *send, struct sl_arena *arena);
/* BUNDLE of the m-lines that are not rejected, in the order of `mids`; candidates go into the
 * first. */
void sdp_our_bundle(struct sl_sdp *sdp, const struct sl_sdp_ours *ours, const struct sl_str *mids,
		    size_t n, struct sl_arena *arena);
#endif
