/* SPDX-License-Identifier: Apache-2.0
 * rtp/sdp/sdp.h — SDP as structs: text in, text out, and the offer/answer engine.
 * What:      read.c text → structs, write.c structs → text, answer.c offer × what we can do →
 *            answer, and what was agreed per m-line; offer.c offers of ours; fmtp.c do two formats
 *            match; text.c lines and bounds, attributes.c "a="; frag.c trickle-ice-sdpfrag (RFC
 *            8840) of WHIP's PATCH. Not: ICE, codecs themselves.
 * RFCs:      8866, 3264, 8829 (JSEP), 9143 (BUNDLE), 5761 (rtcp-mux), 5506, 4585, 5576 (ssrc), 8839
 *            (ICE), 8840, 5763/8122 (DTLS), 8853/8851 (simulcast, rid), 8285, 4588, 6184 and 7742
 *            (H.264 matching).
 * Until layers exist an answer has no a=simulcast, no rid lines and no rid extension. Video RED,
 * ULPFEC and FlexFEC are never negotiated: they protect headers that we rewrite.
 * Bounds:    64 KiB, 2,000 lines, 64 m-lines, 8 KiB a line; linear time. Past them: SL_EFULL, and
 *            `why` says so. An answer to an offer of ours may have 4 KiB and 150 lines per m-line,
 *            up to 256 m-lines: sl_sdp_read_within().
 * Memory:    everything hangs on the caller's arena (20 KiB for a browser's offer, 1 MiB for the
 *            worst). Text values are slices of the input, which must outlive the struct.
 * Start at:  sl_sdp_read(), then sl_sdp_answer(). */
#ifndef SL_SDP_H
#define SL_SDP_H
#include "core/base/addr.h"
#include "core/base/arena.h"
#include "core/base/str.h"
#include "rtp/rtp.h"

enum {
	SL_SDP_BYTES_MAX = 65536, SL_SDP_LINES_MAX = 2000, SL_SDP_LINE_MAX = 8192,
	SL_SDP_MEDIA_MAX = 64,
	SL_SDP_OFFER_MEDIA_MAX = 256,   /* of offers of ours, and their answers */
	SL_SDP_MEDIA_BYTES = 4096, SL_SDP_MEDIA_LINES = 150, /* an answer may have of each m-line */
	SL_SDP_CODECS_MAX = 64, SL_SDP_EXTS_MAX = 32, SL_SDP_CANDS_MAX = 64,
	SL_SDP_SSRCS_MAX = 32, SL_SDP_RIDS_MAX = 8, SL_SDP_FINGERPRINTS_MAX = 4,
	SL_SDP_CRYPTOS_MAX = 8
};

enum sl_sdp_dir { SL_SDP_SENDRECV, SL_SDP_SENDONLY, SL_SDP_RECVONLY, SL_SDP_INACTIVE };
enum sl_sdp_setup {
	SL_SDP_SETUP_NONE, SL_SDP_ACTPASS, SL_SDP_ACTIVE, SL_SDP_PASSIVE, SL_SDP_HOLDCONN
};
enum sl_sdp_media_kind { SL_SDP_AUDIO, SL_SDP_VIDEO, SL_SDP_APPLICATION, SL_SDP_OTHER };

/* a=rtcp-fb of one payload type, as bits. */
enum {
	SL_FB_NACK = 1, SL_FB_PLI = 2, SL_FB_FIR = 4, SL_FB_REMB = 8, SL_FB_TWCC = 16,
	SL_FB_RRTR = 32
};

struct sl_sdp_codec {
	uint8_t pt;
	enum sl_codec codec;            /* SL_CODEC_NONE: one we do not know; name has it */
	struct sl_str name;
	uint32_t clock_hz, channels;
	struct sl_str fmtp;             /* after "a=fmtp:PT ", verbatim; empty when absent */
	uint8_t fb;                     /* SL_FB_*; "a=rtcp-fb:*" is folded in */
	uint8_t apt;                    /* RTX: the payload type it repairs */
	uint8_t rtx_pt;                 /* others: the payload type that repairs it; 0 none */
};
struct sl_sdp_ext {
	uint8_t id;
	enum sl_ext ext;                /* SL_EXT_COUNT: one we do not know */
	struct sl_str uri;
	enum sl_sdp_dir dir;
};
struct sl_sdp_ssrc {
	uint32_t ssrc;
	uint32_t rtx;                   /* FID partner that repairs it; 0 none */
	bool is_rtx;
	struct sl_str cname, msid;      /* msid: "stream track" */
};
/* RFC 6544 section 4.5: who opens the connection. */
enum sl_sdp_tcp { SL_SDP_UDP, SL_SDP_TCP_ACTIVE, SL_SDP_TCP_PASSIVE, SL_SDP_TCP_SO };
struct sl_sdp_cand {
	struct sl_addr addr;
	struct sl_addr base;            /* raddr and rport; family 0: absent, written as zeros */
	struct sl_str foundation, type; /* "host", "srflx", "prflx", "relay" */
	uint32_t component, priority;
	enum sl_sdp_tcp tcp;
};
/* RFC 4568 section 9.2: "a=crypto:TAG SUITE inline:KEY", and the rest as it stands, of which a
 * lifetime or MKI begins with '|', another key with ';', session parameters with a space. */
struct sl_sdp_crypto {
	uint32_t tag;
	struct sl_str suite, key, rest;
};
/* The words of an m-line's protocol: "UDP/TLS/RTP/SAVPF" is all four. */
struct sl_sdp_proto {
	bool rtp, secure, feedback;     /* RTP/AVP and its kin; S: SRTP; F: RFC 4585 */
	bool dtls;                      /* keys by DTLS, said so */
};
/* draft-ietf-mmusic-sdp-comedia-05, as RTP endpoints behind NAT still say it. */
enum sl_sdp_comedia {
	SL_SDP_COMEDIA_NONE, SL_SDP_COMEDIA_ACTIVE, SL_SDP_COMEDIA_PASSIVE, SL_SDP_COMEDIA_BOTH
};
struct sl_sdp_fingerprint {
	struct sl_str algorithm, hex;
};
struct sl_sdp_rid {
	struct sl_str id;
	bool send;
};

/* One m-line. Session-level values that apply (ICE, DTLS, direction) are already copied in. */
struct sl_sdp_media {
	enum sl_sdp_media_kind kind;
	struct sl_str kind_text, proto;
	uint16_t port;
	struct sl_addr conn;            /* c= line; family 0: absent, or a name */
	bool rejected;                  /* port 0 without bundle-only */
	bool bundle_only;
	bool in_bundle;                 /* named in a=group:BUNDLE */
	struct sl_str mid;
	enum sl_sdp_dir dir;
	struct sl_sdp_codec *codecs;    /* in order of preference, codec_count of them */
	size_t codec_count;
	struct sl_str formats;          /* the fmt list verbatim; written where there are no
					 * codecs */
	struct sl_sdp_ext *exts;
	size_t ext_count;
	bool ext_mixed;                 /* a=extmap-allow-mixed */
	struct sl_sdp_ssrc *ssrcs;
	size_t ssrc_count;
	struct sl_str msid_stream, msid_track;
	bool rtcp_mux, rtcp_rsize;
	struct sl_str ufrag, pwd;
	bool ice_lite, trickle, renomination;
	struct sl_sdp_fingerprint fingerprints[SL_SDP_FINGERPRINTS_MAX];
	size_t fingerprint_count;
	enum sl_sdp_setup setup;
	struct sl_sdp_cand *cands;      /* ".local" ones and names are left out; cand_ignored
					 * counts them */
	size_t cand_count, cand_ignored;
	bool end_of_candidates;
	struct sl_sdp_rid rids[SL_SDP_RIDS_MAX];
	size_t rid_count;
	struct sl_str simulcast;        /* verbatim, empty when absent */
	uint32_t bandwidth_as_kbps, bandwidth_tias_bps;         /* 0 absent */
	uint16_t rtcp_port;             /* a=rtcp; 0 absent */
	struct sl_addr rtcp_addr;       /* of a=rtcp; family 0: as conn */
	enum sl_sdp_comedia comedia;    /* a=direction */
	struct sl_sdp_crypto *cryptos;  /* in order of preference, crypto_count of them */
	size_t crypto_count;
};

struct sl_sdp {
	struct sl_str origin_user;
	uint64_t session_id, session_version;
	struct sl_addr origin_addr;
	struct sl_str name;             /* s=; written as "-" when empty */
	struct sl_str *bundle;          /* mids of the first BUNDLE group */
	size_t bundle_count;
	bool ice_lite;
	bool ext_mixed;
	struct sl_sdp_media *media;     /* media_count of them */
	size_t media_count;
};

struct sl_sdp_why {                     /* what is wrong, for the caller's problem body */
	size_t line;                    /* from 1; 0 = the whole */
	char text[160];
};

/* SL_OK; SL_EPARSE, SL_EFULL or SL_ENOMEM with *why filled. LF and CRLF both pass. Input need not
 * end in NUL. */
SL_MUST_USE int sl_sdp_read(struct sl_str text, struct sl_arena *arena, struct sl_sdp *out,
			    struct sl_sdp_why *why);
/* The same with other bounds; media at most SL_SDP_OFFER_MEDIA_MAX. */
struct sl_sdp_bounds {
	size_t bytes, lines, media;
};
SL_MUST_USE int sl_sdp_read_within(struct sl_str text, const struct sl_sdp_bounds *bounds,
				   struct sl_arena *arena, struct sl_sdp *out,
				   struct sl_sdp_why *why);
/* Bounds of an answer to an offer of `media` m-lines; never below those of sl_sdp_read(). */
struct sl_sdp_bounds sl_sdp_answer_bounds(size_t media);
/* Appends the text, CRLF. The result is full when it did not fit. write(read(x)) reads the same
 * again. */
void sl_sdp_write(const struct sl_sdp *sdp, struct sl_buf *out);
const char *sl_sdp_dir_name(enum sl_sdp_dir d);
struct sl_sdp_proto sl_sdp_proto(struct sl_str proto);
/* One candidate, as browsers' APIs give it: "candidate:..." (also with "a=" before it). False for
 * one that is of no use: a name instead of an address, an odd type, not parsable. */
bool sl_sdp_cand_read(struct sl_str text, struct sl_sdp_cand *out);
/* "candidate:...", without a line's end. */
void sl_sdp_cand_write(const struct sl_sdp_cand *c, struct sl_buf *out);
bool sl_sdp_sends(enum sl_sdp_dir d);
bool sl_sdp_receives(enum sl_sdp_dir d);
/* The other side's view: sendonly ↔ recvonly. */
enum sl_sdp_dir sl_sdp_dir_reverse(enum sl_sdp_dir d);
/* Value of `key` in an fmtp ("a=1;b=2"); empty when absent. Keys compare without case. */
struct sl_str sl_sdp_fmtp_get(struct sl_str fmtp, const char *key);
/* Do two descriptions of the same codec mean the same bitstream? H.264: profile-level-id's profile
 * equal (level may differ: RFC 6184 with level-asymmetry, answers keep the offer's) and
 * packetization-mode equal. VP9: profile-id. AV1: profile. H.265: profile-id, tier. RED: what it
 * carries. Others: yes. */
bool sl_sdp_fmtp_match(enum sl_codec codec, struct sl_str a, struct sl_str b);

/* ---- answering ---- */
struct sl_sdp_ours {                    /* what we bring to one transport */
	struct sl_str ufrag, pwd, fingerprint;  /* fingerprint: "AB:CD:..", SHA-256 */
	bool ice_lite;
	const struct sl_sdp_cand *cands;
	size_t cand_count;
	uint64_t session_id, session_version;
	bool dtls_active;               /* answer a=setup:active where the offer allows it (actpass,
					 * passive) */
	bool trickling;                 /* candidates are still to come: no a=end-of-candidates */
	bool no_send, no_recv;          /* SL_SDP_BOTH: directions that we will not go */
	uint32_t as_kbps[SL_KIND_COUNT];        /* b=AS of what we receive; 0 none */
	struct sl_addr addr;            /* for c= and m= lines: the default candidate; family 0:
					 * not known yet */
	uint8_t codecs[SL_CODEC_COUNT]; /* 1: allowed. Not looked at for RTX, RED audio and
					 * telephone-event: they come with the codec they go
					 * with; video RED and FEC never. */
};
/* What we send on one m-line: the tracks come and go, the SSRCs stay. Without stream there is no
 * a=msid. */
struct sl_sdp_send {
	uint32_t ssrc, rtx_ssrc;
	char cname[24], stream[40], track[40];
};

/* What the peer that offers is. */
enum sl_sdp_role { SL_SDP_PUBLISHER, SL_SDP_PLAYER, SL_SDP_BOTH };

/* RFC 3264 answer to `offer` of a publisher (our m-lines are recvonly), a player (sendonly, one
 * entry of `send` per m-line of the offer, used where we send) or a peer that may be both on one
 * m-line (ours are the mirrored direction, less what ours->no_send and no_recv say). Everything outside the
 * BUNDLE group's first transport, of a kind we do not carry, or without a codec in common is
 * rejected with port 0; the rest keeps the offer's order, payload types, extension ids (only those
 * of sl_ext with a meaning for us, never rid) and mid. Media of an offer without BUNDLE: the first
 * m-line per transport only. SL_EUNSUPPORTED with *why when no m-line is left: no BUNDLE or
 * rtcp-mux, not UDP/TLS/RTP/SAVPF (or SAVP), no fingerprint, no ICE credentials, no codec in
 * common. For SL_SDP_BOTH that is an answer, too: SL_OK with *why, every m-line rejected. */
SL_MUST_USE int sl_sdp_answer(const struct sl_sdp *offer, const struct sl_sdp_ours *ours,
			      enum sl_sdp_role role, const struct sl_sdp_send *send,
			      struct sl_arena *arena, struct sl_sdp *answer,
			      struct sl_sdp_why *why);
/* The m-line of `peer` whose ICE credentials, candidates, fingerprints and setup speak for the one
 * transport: that of the answer's first BUNDLE mid (or its only accepted m-line), or, where the
 * peer gives the transport's lines only once, the m-line of the group that has them. `peer` is the
 * other side's description, be it the offer or the answer itself. NULL when nothing is accepted. */
const struct sl_sdp_media *sl_sdp_transport(const struct sl_sdp *peer, const struct sl_sdp *answer);

/* ---- offering (renegotiation by us, and programs that join by an offer of ours) ----
 * One m-line: a kind and a direction of ours, mid given, and the codecs we offer with our payload
 * types. */
struct sl_sdp_offer_line {
	enum sl_kind kind;
	enum sl_sdp_dir dir;            /* ours */
	struct sl_str mid;
	bool rejected;                  /* an m-line that was recycled away: port 0 */
	struct sl_sdp_send send;        /* when we send */
};
/* Text of `ours` must outlive the offer (and the answer above); `lines` and `send` need not.
 * SL_ENOMEM. */
SL_MUST_USE int sl_sdp_offer(const struct sl_sdp_ours *ours, const struct sl_sdp_offer_line *lines,
			     size_t n, struct sl_arena *arena, struct sl_sdp *offer);
/* Checks the peer's answer against our offer: same number of m-lines, mids, kinds, payload types of
 * ours; *why says what does not fit. SL_EPARSE. Afterwards `answer` describes what may be used, as
 * after sl_sdp_answer. */
SL_MUST_USE int sl_sdp_check_answer(const struct sl_sdp *offer, const struct sl_sdp *answer,
				    struct sl_sdp_why *why);

/* ---- peers without ICE and DTLS: plain RTP, and SRTP with keys of SDES ---- */
enum { SL_SDP_KEY_MAX = 46 };
struct sl_sdp_plain_ours {
	uint64_t session_id, session_version;
	struct sl_addr addr;            /* of o= and c= */
	struct sl_str name;             /* of s= */
	struct sl_str suite, key;       /* RFC 4568's word, and base64; empty: no SRTP */
	uint32_t as_kbps[SL_KIND_COUNT];
	uint8_t codecs[SL_CODEC_COUNT]; /* as in struct sl_sdp_ours */
};
/* As sl_sdp_answer() for SL_SDP_BOTH, m-line by m-line: without a=crypto of our suite, or with SRTP
 * on one side only, it is rejected. What is accepted has port and rtcp_port 0: the caller fills
 * them in before it is written. `send`: one for each m-line. SL_OK (*why says why the first one was
 * rejected), SL_ENOMEM. */
SL_MUST_USE int sl_sdp_plain_answer(const struct sl_sdp *offer,
				    const struct sl_sdp_plain_ours *ours,
				    const struct sl_sdp_send *send, struct sl_arena *arena,
				    struct sl_sdp *answer, struct sl_sdp_why *why);
/* RTP/AVPF, with a key RTP/SAVPF; ports as above. No mid. SL_ENOMEM. */
SL_MUST_USE int sl_sdp_plain_offer(const struct sl_sdp_plain_ours *ours,
				   const struct sl_sdp_offer_line *lines, size_t n,
				   struct sl_arena *arena, struct sl_sdp *offer);
/* As sl_sdp_check_answer(). */
SL_MUST_USE int sl_sdp_plain_check(const struct sl_sdp *offer, const struct sl_sdp *answer,
				   struct sl_sdp_why *why);
/* The first a=crypto of that suite that can be used; NULL. */
const struct sl_sdp_crypto *sl_sdp_crypto_of(const struct sl_sdp_media *m, struct sl_str suite);
/* Master key and salt: 30 or 46 bytes; 0 when it cannot be used (another size, an MKI, parameters
 * that change what is on the wire). */
size_t sl_sdp_crypto_key(const struct sl_sdp_crypto *c, uint8_t out[SL_SDP_KEY_MAX]);

/* ---- trickle: application/trickle-ice-sdpfrag (RFC 8840) ---- */
struct sl_sdpfrag {
	struct sl_str ufrag, pwd;       /* empty when absent */
	struct sl_sdp_cand *cands;
	size_t cand_count, cand_ignored;
	bool end_of_candidates;
	struct sl_str mid;              /* of the first m-line; empty when absent */
};
SL_MUST_USE int sl_sdpfrag_read(struct sl_str text, struct sl_arena *arena, struct sl_sdpfrag *out,
				struct sl_sdp_why *why);
/* Ours: ufrag and pwd, one m-line, our candidates, end-of-candidates (the answer to an ICE restart
 * by PATCH). */
void sl_sdpfrag_write(const struct sl_sdp_ours *ours, struct sl_str mid, struct sl_str kind,
		      struct sl_buf *out);
#endif
