/* SPDX-License-Identifier: Apache-2.0
 * rtp/rtp.h — RTP and RTCP for a forwarding server, without IO.
 * What:      parse packets, write the header a subscriber gets, count, ask again, report, find key
 *            frames and the active speaker. Not: sockets, encryption (dtls/), SDP (rtp/sdp/),
 *            decoding.
 * RFCs:      3550, 4585, 5104 (FIR), 4588 (RTX), 8285 (extensions), 6464 (audio level), 2198 (RED,
 *            audio), draft-alvestrand-rmcat-remb-03,
 *            draft-holmer-rmcat-transport-wide-cc-extensions-01, 7741 (VP8), 9628 (VP9), 6184
 *            (H.264), 7798 (H.265), AV1 RTP specification 1.0.
 * Deviates:  reduced-size RTCP is sent whenever negotiated (5506), no SSRC collision repair (8.2):
 *            SSRCs are ours.
 * Threads:   none. Each object belongs to the loop that made it.
 * Memory:    the caller owns every struct; nothing here allocates.
 * Start at:  sl_rtp_read() and follow one packet through core/forward.c; then nack.c, the smallest
 *            complete engine. */
#ifndef SL_RTP_H
#define SL_RTP_H
#include "core/base/base.h"
#include "core/base/bytes.h"
#include "core/base/seq.h"
#include "core/base/str.h"

/* ================= media.c: codecs ================= */
enum sl_kind { SL_AUDIO, SL_VIDEO, SL_KIND_COUNT };

enum sl_codec {
	SL_CODEC_NONE,
	SL_OPUS, SL_RED_AUDIO, SL_PCMU, SL_PCMA, SL_G722, SL_TELEPHONE_EVENT, SL_COMFORT_NOISE,
	SL_VP8, SL_VP9, SL_H264, SL_H265, SL_AV1,
	SL_RTX, SL_RED_VIDEO, SL_ULPFEC, SL_FLEXFEC,
	SL_CODEC_COUNT
};

struct sl_codec_info {
	const char *name;               /* as rtpmap has it, canonical case */
	enum sl_kind kind;              /* RTX: SL_VIDEO */
	uint32_t clock_hz;
	uint8_t channels;               /* in rtpmap: 2 for Opus; 0 = not written */
	int8_t static_pt;               /* RFC 3551, or -1 */
	bool forwarded;                 /* media that we pass on; else repair or helper formats */
};
const struct sl_codec_info *sl_codec_info(enum sl_codec c);
/* By rtpmap: name in any case, clock and channels must fit. SL_CODEC_NONE for the rest. kind tells
 * RED audio from video. */
enum sl_codec sl_codec_by_name(enum sl_kind kind, struct sl_str name, uint32_t clock_hz,
			       uint32_t channels);
enum sl_codec sl_codec_by_static_pt(uint8_t pt);

/* ================= packet.c: one RTP packet ================= */
enum { SL_RTP_HDR_MIN = 12, SL_RTP_HDR_MAX = 255, SL_RTP_PACKET_MAX = 1500 };

/* A parsed packet as offsets into its bytes, so that it survives a copy. All checked against the
 * length at parse. */
struct sl_rtp {
	uint32_t ssrc, ts;
	uint16_t seq;
	uint8_t pt;
	uint8_t csrc_count;
	bool marker;
	uint16_t ext_profile;           /* 0xBEDE, 0x1000..0x100F, else; 0 when there is no
					 * extension */
	uint16_t ext_off, ext_len;      /* the extension's elements, without its 4-byte header */
	uint16_t payload_off, payload_len;      /* without padding */
	uint8_t pad_len;
};
/* SL_OK or SL_EPARSE. A padding count beyond the payload is malformed. payload_len 0 with
 * pad_len > 0 is a probe. */
SL_MUST_USE int sl_rtp_read(const uint8_t *p, size_t len, struct sl_rtp *out);
/* First-byte and type test of RFC 7983 and RFC 5761: RTCP when the second byte is 192..223. */
static inline bool sl_is_rtcp(const uint8_t *p, size_t len)
{
	return len >= 2 && p[1] >= 192 && p[1] <= 223;
}
/* RFC 4588: what an RTX packet carries. The original sequence number, and the payload behind it.
 * SL_EPARSE when it has less than two bytes of payload. */
SL_MUST_USE int sl_rtx_read(const uint8_t *p, const struct sl_rtp *rtx, uint16_t *osn,
			    uint16_t *payload_off, uint16_t *payload_len);
/* RFC 2198, audio only: where the primary block lies, and its payload type. SL_EPARSE. */
SL_MUST_USE int sl_red_primary(const uint8_t *payload, size_t len, uint8_t *pt, size_t *off,
			       size_t *block_len);

/* ================= ext.c: header extensions ================= */
#define SL_EXTS(X)                                                                                 \
	X(MID, "urn:ietf:params:rtp-hdrext:sdes:mid")                                              \
	X(RID, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id")                                    \
	X(RRID, "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id")                          \
	X(TWCC, "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01")       \
	X(ABS_SEND_TIME, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time")             \
	X(AUDIO_LEVEL, "urn:ietf:params:rtp-hdrext:ssrc-audio-level")                              \
	X(VIDEO_ORIENTATION, "urn:3gpp:video-orientation")                                         \
	X(PLAYOUT_DELAY, "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay")             \
	X(COLOR_SPACE, "http://www.webrtc.org/experiments/rtp-hdrext/color-space")                 \
	X(VIDEO_CONTENT_TYPE, "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type")   \
	X(ABS_CAPTURE_TIME, "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time")       \
	X(DEPENDENCY_DESCRIPTOR,                                                                   \
	"https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension") \
	X(TOFFSET, "urn:ietf:params:rtp-hdrext:toffset")                                           \
	X(VIDEO_TIMING, "http://www.webrtc.org/experiments/rtp-hdrext/video-timing")               \
	X(CSRC_AUDIO_LEVEL, "urn:ietf:params:rtp-hdrext:csrc-audio-level")                         \
	X(VIDEO_LAYERS, "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00")
enum sl_ext {
#define X(name, uri) SL_EXT_##name,
	SL_EXTS(X)
#undef X
	SL_EXT_COUNT
};
const char *sl_ext_uri(enum sl_ext e);
/* SL_EXT_COUNT for one we do not know. */
enum sl_ext sl_ext_by_uri(struct sl_str uri);

/* Which id stands for which extension on one m-line (or BUNDLE group) of one peer. id 0: not
 * negotiated. */
struct sl_ext_map {
	uint8_t id[SL_EXT_COUNT];       /* 1..255 except 15 in one-byte form; 0 none */
};

/* Where the known extensions of a packet lie, as offsets into its bytes. */
struct sl_exts {
	uint32_t have;                  /* bit by enum sl_ext */
	uint16_t off[SL_EXT_COUNT];
	uint8_t len[SL_EXT_COUNT];
};
static inline bool sl_ext_has(const struct sl_exts *e, enum sl_ext x)
{
	return e->have >> x & 1;
}
/* RFC 8285 sections 4.2 and 4.3, both forms; unknown ids are skipped, a malformed rest ends the
 * walk (the packet stays usable). Returns how many known ones there are. */
int sl_ext_read(const uint8_t *p, const struct sl_rtp *rtp, const struct sl_ext_map *map,
		struct sl_exts *out);
/* RFC 6464: level in -dBov (0 loud .. 127 silent) and the voice bit. False when absent. */
bool sl_ext_audio_level(const uint8_t *p, const struct sl_exts *e, uint8_t *level, bool *voice);
/* 24-bit abs-send-time, 6.18 seconds, of a time in microseconds. */
uint32_t sl_abs_send_time(int64_t us);

/* ---- the header a subscriber gets ----
 * Written anew: mid, transport-cc sequence, abs-send-time. Passed on under the subscriber's id:
 * audio level, video orientation, playout delay, color space, content type, abs-capture-time,
 * dependency descriptor. Dropped: the rest. One template per set of extensions and lengths that
 * arrives; made on first sight, dropped on renegotiation. */
enum { SL_HDR_TEMPLATES = 8, SL_MID_MAX = 32, SL_HDR_PASSED = 7 };
struct sl_hdr_template {
	uint32_t have;                  /* the set it was made for, of those passed on */
	uint8_t lens[SL_EXT_COUNT];     /* and their lengths */
	uint8_t len;                    /* of the whole header, extension included */
	uint8_t start_len;              /* of the bytes below: fixed header, extension header,
					 * values written anew */
	uint8_t twcc_off, abs_send_time_off;    /* 0 = absent */
	bool two_byte;
	uint8_t count;                  /* values passed on, in this order, behind `bytes` */
	uint8_t passed[SL_HDR_PASSED];
	uint8_t bytes[64];
};
struct sl_hdr_writer {
	struct sl_ext_map map;          /* the subscriber's ids */
	char mid[SL_MID_MAX + 1];
	uint8_t mid_len;
	bool one_byte_only;             /* set after init for a peer without a=extmap-allow-mixed:
					 * longer values are left out */
	uint8_t count, next;            /* templates in use; the one to replace when all are */
	uint32_t pass;                  /* bits of what the map lets through */
	struct sl_hdr_template t[SL_HDR_TEMPLATES];
};
struct sl_hdr_out {                     /* the fields of this one packet */
	uint32_t ssrc, ts;
	uint16_t seq;
	uint8_t pt;
	bool marker;
	uint16_t twcc_seq;              /* used when the map has TWCC */
	uint32_t abs_send_time;         /* used when the map has ABS_SEND_TIME */
};
void sl_hdr_writer_init(struct sl_hdr_writer *w, const struct sl_ext_map *map, struct sl_str mid);
/* Writes into out (at least SL_RTP_HDR_MAX bytes) and returns the header's length. `src` and `exts`
 * are the publisher's packet, or NULL for a packet of our own (a probe). Values that cannot be
 * placed are left out, never cut. The one-byte form where all values fit it, else the two-byte
 * form. No CSRCs; the P bit is 0. */
size_t sl_hdr_write(struct sl_hdr_writer *w, const uint8_t *src, const struct sl_exts *exts,
		    const struct sl_hdr_out *h, uint8_t *out);

/* ================= vp8.c vp9.c h264.c h265.c av1.c: payload descriptors ================= */
/* Does a decodable picture start in this packet? `dd` is the dependency descriptor extension or
 * NULL: it answers for payloads that are encrypted, and for AV1 (a template structure present = a
 * key frame starts). Pure; any bytes. */
bool sl_is_keyframe(enum sl_codec codec, const uint8_t *payload, size_t len, const uint8_t *dd,
		    size_t dd_len);

struct sl_vp8 {                         /* RFC 7741 section 4.2 */
	uint8_t desc_len;
	uint8_t pic_id_off, pic_id_len; /* offset in the payload; length 0 (absent), 1 or 2 */
	uint8_t tl0_off;                /* 0 = absent */
	uint16_t pic_id;                /* 7 or 15 bits */
	uint8_t tl0, tid;
	bool start;                     /* S bit and partition 0 */
};
SL_MUST_USE int sl_vp8_read(const uint8_t *payload, size_t len, struct sl_vp8 *out);
/* Patches a private copy of the payload: adds to picture id (mod its width) and TL0PICIDX. */
void sl_vp8_patch(uint8_t *payload, const struct sl_vp8 *d, uint16_t pic_id_add, uint8_t tl0_add);

/* ================= rtcp_read.c ================= */
enum {
	SL_RTCP_SR = 200, SL_RTCP_RR = 201, SL_RTCP_SDES = 202, SL_RTCP_BYE = 203,
	SL_RTCP_APP = 204, SL_RTCP_RTPFB = 205, SL_RTCP_PSFB = 206, SL_RTCP_XR = 207
};
enum { SL_RTPFB_NACK = 1, SL_RTPFB_TWCC = 15, SL_PSFB_PLI = 1, SL_PSFB_FIR = 4, SL_PSFB_AFB = 15 };

struct sl_rtcp {                        /* one packet of a compound */
	uint8_t type, count;            /* count = RC, SC or FMT */
	struct sl_rd body;              /* after the 4-byte header, without padding */
};
/* Walks a compound (or a reduced-size one, RFC 5506). False at the end or at malformed bytes; then
 * it->bad tells. */
bool sl_rtcp_next(struct sl_rd *it, struct sl_rtcp *out);

struct sl_report {                      /* report block, RFC 3550 section 6.4.1 */
	uint32_t ssrc;
	uint8_t fraction_lost;          /* of 256 */
	int32_t lost;                   /* signed 24 bits */
	uint32_t highest_seq, jitter, lsr, dlsr;
};
struct sl_sender_info {
	uint32_t ssrc;
	uint64_t ntp;
	uint32_t rtp_ts, packets, octets;
};
struct sl_nack_fci {
	uint16_t pid, blp;
};
/* All take the packet from sl_rtcp_next and return a count or SL_OK, or SL_EPARSE. More entries
 * than cap are left out. */
SL_MUST_USE int sl_rtcp_read_sr(struct sl_rtcp p, struct sl_sender_info *si,
				struct sl_report *blocks, int cap);
SL_MUST_USE int sl_rtcp_read_rr(struct sl_rtcp p, uint32_t *sender, struct sl_report *blocks,
				int cap);
SL_MUST_USE int sl_rtcp_read_nack(struct sl_rtcp p, uint32_t *sender, uint32_t *media,
				  struct sl_nack_fci *out, int cap);
SL_MUST_USE int sl_rtcp_read_pli(struct sl_rtcp p, uint32_t *sender, uint32_t *media);
struct sl_fir {
	uint32_t ssrc;
	uint8_t seq;
};
SL_MUST_USE int sl_rtcp_read_fir(struct sl_rtcp p, uint32_t *sender, struct sl_fir *out, int cap);
/* SL_EUNSUPPORTED when the application feedback is no REMB. bps saturates. */
SL_MUST_USE int sl_rtcp_read_remb(struct sl_rtcp p, uint64_t *bps, uint32_t *ssrcs, int cap);
SL_MUST_USE int sl_rtcp_read_bye(struct sl_rtcp p, uint32_t *ssrcs, int cap);
struct sl_twcc_packet {
	uint16_t seq;
	bool received;
	int32_t delta_us;               /* since the previous received packet; the first: since
					 * reference time */
};
struct sl_twcc_head {
	uint32_t sender, media;
	uint16_t base_seq, count;
	int32_t reference_us_64ms;      /* signed 24-bit count of 64 ms */
	uint8_t fb_count;
};
SL_MUST_USE int sl_rtcp_read_twcc(struct sl_rtcp p, struct sl_twcc_head *head,
				  struct sl_twcc_packet *out, int cap);
/* XR (RFC 3611): a receiver reference time of the peer, to be answered with DLRR (Chromium's
 * rcvr-rtt). SL_EAGAIN: none. */
SL_MUST_USE int sl_rtcp_read_rrtr(struct sl_rtcp p, uint32_t *sender, uint64_t *ntp);
/* The peer's answer to such a time of ours: its last reference time of `about` and the delay since,
 * both in 1/65536 s. SL_EAGAIN: none about that SSRC. */
SL_MUST_USE int sl_rtcp_read_dlrr(struct sl_rtcp p, uint32_t about, uint32_t *lrr, uint32_t *dlrr);

/* ======= rtcp_write.c: appends one packet to a compound; a full writer appends nothing ======= */
void sl_rtcp_write_sr(struct sl_wr *w, const struct sl_sender_info *si,
		      const struct sl_report *blocks, int n);
void sl_rtcp_write_rr(struct sl_wr *w, uint32_t sender, const struct sl_report *blocks, int n);
void sl_rtcp_write_sdes(struct sl_wr *w, uint32_t ssrc, const char *cname);
void sl_rtcp_write_bye(struct sl_wr *w, const uint32_t *ssrcs, int n);
/* `lost`: ascending 64-bit sequence numbers; packed into as few FCI as possible. */
void sl_rtcp_write_nack(struct sl_wr *w, uint32_t sender, uint32_t media, const uint64_t *lost,
			int n);
void sl_rtcp_write_pli(struct sl_wr *w, uint32_t sender, uint32_t media);
void sl_rtcp_write_fir(struct sl_wr *w, uint32_t sender, uint32_t media, uint8_t seq);
void sl_rtcp_write_remb(struct sl_wr *w, uint32_t sender, uint64_t bps, const uint32_t *ssrcs,
			int n);
void sl_rtcp_write_rrtr(struct sl_wr *w, uint32_t sender, uint64_t ntp);
void sl_rtcp_write_dlrr(struct sl_wr *w, uint32_t sender, uint32_t about, uint32_t lrr,
			uint32_t dlrr);

/* ================= rx.c: one inbound SSRC ================= */
struct sl_rx {
	uint64_t top;                   /* highest extended sequence number */
	uint64_t first;                 /* moved up by what a new run skipped: top - first + 1 are
					 * expected */
	uint64_t packets, bytes;        /* received, payload bytes */
	uint32_t clock_hz;
	uint64_t expected_prior, received_prior;        /* at the last report */
	uint32_t ts_last;
	int64_t rx_us_last;
	uint64_t jitter_q4;             /* RFC 3550 A.8, in ticks × 16 */
	uint64_t sr_ntp;                /* last sender report */
	int64_t sr_rx_us;
	uint32_t sr_rtp;
	uint16_t bad_seq;               /* the number that would confirm a new run */
	bool started, has_sr, has_bad;
};
void sl_rx_init(struct sl_rx *rx, uint32_t clock_hz);
/* Counts a packet and returns its extended sequence number. The first packet defines 65536 + seq as
 * the start, so that nothing ever goes below zero. A jump of more than 3000 ahead or back restarts
 * the count as a new run above the old one (RFC 3550 A.1's bad_seq, at the second packet in order).
 * SL_ERANGE (as negative) for the first packet of such a jump. */
int64_t sl_rx_packet(struct sl_rx *rx, uint16_t seq, uint32_t ts, size_t payload_len,
		     int64_t rx_us);
void sl_rx_sr(struct sl_rx *rx, const struct sl_sender_info *si, int64_t rx_us);
/* Report block about this SSRC; resets the interval. */
void sl_rx_report(struct sl_rx *rx, uint32_t ssrc, int64_t now_us, struct sl_report *out);
uint64_t sl_rx_lost(const struct sl_rx *rx);
/* Jitter in microseconds. */
int64_t sl_rx_jitter_us(const struct sl_rx *rx);

/* ================= tx.c: one outbound SSRC ================= */
enum { SL_TX_SRS = 4 };
struct sl_tx {
	uint64_t packets, bytes;        /* bytes: payload without padding */
	uint32_t clock_hz;
	struct {
		uint32_t mid32;         /* LSR a report about it will carry */
		int64_t sent_us;
	} srs[SL_TX_SRS];
	uint8_t sr_next;
	int64_t rtt_us;                 /* -1 until known; smoothed 7/8 */
	uint8_t fraction_lost;
	int32_t lost;
	int64_t jitter_us;              /* as the last report says */
};
void sl_tx_init(struct sl_tx *tx, uint32_t clock_hz);
void sl_tx_packet(struct sl_tx *tx, size_t payload_len);
/* Fills a sender info for (ntp, rtp_ts) and remembers it for LSR. */
void sl_tx_sr(struct sl_tx *tx, uint32_t ssrc, uint64_t ntp, uint32_t rtp_ts, int64_t now_us,
	      struct sl_sender_info *out);
/* A report about us. RTT only from an LSR that is one of ours and a DLSR that fits; negative
 * results count as 0. */
void sl_tx_report(struct sl_tx *tx, const struct sl_report *r, int64_t now_us);

/* =========== clockmap: a publisher's clock on ours (design: one offset per transport) ===========
 * Least of (arrival − its NTP) over 30 s, in three buckets of 10 s; the same for all tracks of one
 * transport. */
struct sl_clockmap {
	int64_t least_us[4];            /* by bucket; SL_NEVER empty */
	int64_t bucket_start_us;
	uint8_t bucket;
	bool started;
};
void sl_clockmap_init(struct sl_clockmap *m);
void sl_clockmap_sr(struct sl_clockmap *m, uint64_t ntp, int64_t rx_us);
/* Our time of one of its NTP times; false before the first SR. */
bool sl_clockmap_us(const struct sl_clockmap *m, uint64_t ntp, int64_t *our_us);

/* ================= nack.c: what to ask again, when, how often ================= */
enum { SL_NACK_WINDOW = 1024, SL_NACK_MISSING = 256, SL_NACK_TRIES = 10 };
/* A gap is asked for only when it cannot be reordering any more: 3 newer packets or 10 ms after it
 * was seen, whichever comes first (a burst of more than 256 missing is not asked for: a key frame
 * is); then every max(rtt, 20 ms) × growing, SL_NACK_TRIES times, and never after 1 s. A packet
 * lost for good does not pin anything. */
struct sl_nack {
	uint64_t next;                  /* one past the highest seen */
	int64_t rtt_us;
	uint32_t arrived;               /* packets that moved `next`: the count that tells a gap
					 * from reordering */
	uint32_t missing;               /* entries of m, not yet arrived nor given up */
	bool started;
	bool give_up;                   /* set when something was lost for good: the caller asks for
					 * a key frame, clears it */
	uint64_t have[SL_NACK_WINDOW / 64];     /* bit by seq mod window: arrived */
	struct sl_nack_miss {
		int64_t seen_us;        /* when the gap was noticed */
		uint32_t asked_us;      /* last asked for, after seen_us */
		uint32_t seq;           /* low 32 bits */
		uint32_t mark;          /* `arrived` before the gap was noticed */
		uint8_t tries;
	} m[SL_NACK_MISSING];           /* ascending */
};
void sl_nack_init(struct sl_nack *n);
void sl_nack_set_rtt(struct sl_nack *n, int64_t rtt_us);
/* A packet arrived (original or recovered). True: new. False: seen before, or older than the
 * window. */
bool sl_nack_seen(struct sl_nack *n, uint64_t seq, int64_t now_us);
/* Ascending numbers to ask for now; returns how many, at most cap. */
int sl_nack_poll(struct sl_nack *n, int64_t now_us, uint64_t *lost, int cap);
int64_t sl_nack_deadline_us(const struct sl_nack *n);

/* ================= twcc_rx.c: arrivals → transport-cc feedback ================= */
enum { SL_TWCC_WINDOW = 2048 };
struct sl_twcc_rx {
	uint64_t next_fb;               /* first number the next feedback covers */
	uint64_t top;                   /* one past the highest seen */
	int64_t due_us;                 /* when feedback is due; SL_NEVER: nothing to report */
	uint32_t unreported;            /* packets since the last complete feedback */
	uint8_t fb_count;
	uint8_t strays;                 /* in a row from below the window: 16 of them are a new
					 * run */
	bool started;
	uint32_t ticks[SL_TWCC_WINDOW]; /* arrival in 250 us, modulo 2^32; by seq mod window; 0 =
					 * not received */
};
void sl_twcc_rx_init(struct sl_twcc_rx *t);
/* Feedback falls due 50 ms after the first unreported packet (100 packets: at once). */
void sl_twcc_rx_packet(struct sl_twcc_rx *t, uint16_t seq, int64_t rx_us, int64_t now_us);
static inline int64_t sl_twcc_rx_deadline_us(const struct sl_twcc_rx *t)
{
	return t->due_us;
}
/* Appends one feedback packet (more may be due: call until false). A late packet below what was
 * reported is reported again with its true time. At most 1200 bytes; 28 are enough to get on; false
 * too when not even those are left. */
bool sl_twcc_rx_write(struct sl_twcc_rx *t, uint32_t sender, uint32_t media, int64_t now_us,
		      struct sl_wr *w);

/* ================= keyframe.c: when to send PLI or FIR =================
 * One request at a time per source. A request while one is unanswered, or within 500 ms of the
 * last, is deferred, never dropped; one that the arriving key frame serves is forgotten; unanswered
 * ones repeat at max(2 RTT, 500 ms). */
struct sl_kf {
	int64_t sent_us;                /* last request; INT64_MIN never */
	int64_t rtt_us;
	bool wanted;                    /* somebody waits, and no request for it is out */
	bool unanswered;                /* a request is out */
};
void sl_kf_init(struct sl_kf *k);
void sl_kf_set_rtt(struct sl_kf *k, int64_t rtt_us);
void sl_kf_want(struct sl_kf *k, int64_t now_us);
/* A key frame's first packet arrived. */
void sl_kf_arrived(struct sl_kf *k, int64_t now_us);
/* True: send one request now. */
bool sl_kf_poll(struct sl_kf *k, int64_t now_us);
int64_t sl_kf_deadline_us(const struct sl_kf *k);

/* ============= rewriter.c: continuous numbers out of a source that skips and changes =============
 * Two parts. sl_gap, one per publisher: closes the gaps of padding-only packets, so that what
 * replicas see is dense. sl_rewriter, one per subscriber: epochs (after a source, codec or layer
 * change), each an offset of sequence number and timestamp, so that the player sees one stream. */
enum { SL_GAP_DROPS = 64, SL_EPOCHS = 4 };
struct sl_gap {
	uint64_t top;                   /* highest number mapped; a drop below it leaves its hole */
	uint64_t dropped;               /* in all; a late one that leaves its hole is not among
					 * them */
	uint64_t forgotten;             /* highest drop that left the list: below it no number can
					 * be mapped */
	uint64_t drops[SL_GAP_DROPS];   /* the latest, ascending */
	uint32_t count;
	bool started;
};
void sl_gap_init(struct sl_gap *g);
/* This packet goes no further. One older than a mapped packet leaves its hole. */
void sl_gap_drop(struct sl_gap *g, uint64_t seq);
/* Dense number of a packet that is passed on. False: so late that the mapping is forgotten. */
bool sl_gap_map(struct sl_gap *g, uint64_t seq, uint64_t *dense);

struct sl_epoch {
	uint64_t source;                /* id of the replica */
	uint64_t first_in;              /* first dense number of this epoch: older ones belong to
					 * none */
	uint64_t last_in;               /* highest forwarded so far */
	int64_t seq_add;                /* out = in + seq_add */
	uint32_t ts_add;
	uint16_t pic_id_add;
	uint8_t tl0_add;
	uint8_t number;                 /* of the epoch, mod 256 */
};
struct sl_rewriter {
	uint64_t top_out;               /* highest number sent */
	int64_t out_us;                 /* when it left */
	uint32_t ts_out;                /* its timestamp; the first one to be sent while !sent */
	uint32_t clock_hz;              /* of the source in force */
	uint16_t pic_id_out;            /* of the newest packet sent */
	uint8_t tl0_out;
	uint8_t pic_id_bits;            /* 7 or 15, of the source in force */
	uint8_t current;                /* index of the epoch in force */
	uint8_t number;
	bool started;                   /* there is an epoch */
	bool sent;                      /* a packet went out */
	bool sent_vp8;                  /* and pic_id_out, tl0_out are known */
	struct sl_epoch epochs[SL_EPOCHS];
};
/* first_out below 2^15 (M13) and not 0, so it is masked and made to fit. ts is random. */
void sl_rewriter_init(struct sl_rewriter *r, uint16_t first_out, uint32_t first_ts);
/* A new source or a switch begins with this packet (for video: a key frame's first). Timestamp
 * continues by the time that passed since the last packet sent, at least one tick. */
void sl_rewriter_switch(struct sl_rewriter *r, uint64_t source, uint64_t in_seq, uint32_t in_ts,
			uint32_t clock_hz, int64_t now_us);
/* Adds the picture-id offsets of the epoch in force, so that VP8's numbers go on too. */
void sl_rewriter_set_vp8(struct sl_rewriter *r, const struct sl_vp8 *first);
struct sl_rewritten {
	uint64_t seq;
	uint32_t ts;
	uint8_t epoch;                  /* index into epochs */
};
/* SL_OK, or SL_ERANGE for a packet from before the epoch in force. A jump of more than 3000 (the
 * source began a new run) opens an epoch of its own with a hole of one number: what goes out never
 * leaps, or the receiver would lose its ROC. */
SL_MUST_USE int sl_rewriter_map(struct sl_rewriter *r, uint64_t in_seq, uint32_t in_ts,
				int64_t now_us, struct sl_rewritten *out);
/* Notes the picture id just sent (VP8), as patched. */
void sl_rewriter_note_vp8(struct sl_rewriter *r, uint16_t pic_id, uint8_t tl0);

/* ================= speaker.c: who speaks, from audio levels (RFC 6464) ================= */
struct sl_level {                       /* one audio track */
	uint32_t score_q8;              /* smoothed loudness above silence; 0 quiet */
	int64_t heard_us;
};
void sl_level_packet(struct sl_level *l, uint8_t level, bool voice, int64_t now_us);
/* decays to 0 within a second of silence */
uint32_t sl_level_score(const struct sl_level *l, int64_t now_us);
enum { SL_SPEAKERS_MAX = 1024 };
struct sl_speaker {                     /* one room: hysteresis between candidates */
	uint64_t current;               /* 0 nobody yet */
	int64_t since_us;
};
/* Offered the loudest track of a round (id and score, and the current speaker's score): true when
 * the speaker changed. A challenger must be clearly louder (1.5 times) and the present one have
 * spoken for a second. */
bool sl_speaker_round(struct sl_speaker *s, uint64_t loudest, uint32_t loudest_score,
		      uint32_t current_score, int64_t now_us);
#endif
