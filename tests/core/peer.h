/* SPDX-License-Identifier: Apache-2.0
 * tests/core/peer.h — a small WebRTC peer without IO, made of this project's own engines: a full
 * ICE agent that controls, DTLS in either role, SRTP, and tracks that send and play. Verbs: recv
 * bytes in, tick time in, bytes out by conf.send; peer_deadline_us() is the next tick. Sources:
 * send frames of packets whose every byte follows from (id, frame, packet), so that a sink can
 * check them. They answer NACK, PLI and FIR and send sender reports. Sinks:     count, ask again
 * (NACK), report, and behave like a decoder: a frame is decoded when it is complete and it is a key
 * frame or follows the one decoded before; when stuck they ask for a key frame (PLI). Not:
 * gathering, SDP, congestion control, pacing. */
#ifndef TESTS_CORE_PEER_H
#define TESTS_CORE_PEER_H
#include "dtls/dtls.h"
#include "ice/ice.h"
#include "rtp/rtp.h"

enum {
	PEER_TRACKS = 8,
	PEER_KEPT = 1024,
	PEER_PACKET = 1400,
	PEER_FRAMES = 256,
	PEER_LOG = 8192,
	PEER_TIMES = 256,
	PEER_STAMP = 24
};

struct peer;

/* ---- a track that sends ---- */
struct peer_source_conf {
	uint32_t id; /* stands in every packet */
	enum sl_codec codec;
	uint8_t pt, rtx_pt; /* rtx_pt 0: sends again under the old number */
	uint8_t inner_pt;   /* RED: of the Opus within */
	uint32_t ssrc, rtx_ssrc;
	char mid[8];
	struct sl_ext_map exts;
	uint32_t first_ts;
	uint16_t first_seq;
	int64_t every_us; /* frame interval */
	size_t frame_bytes,
		key_bytes; /* payload of a frame; split into packets of at most packet_bytes */
	size_t packet_bytes;
	size_t uneven;	     /* every other packet of a frame has so many bytes more */
	uint8_t pad;	     /* bytes of RTP padding on every packet */
	uint32_t key_every;  /* frames; 0: on request only */
	uint8_t pic_id_bits; /* VP8: 7 or 15; 0: no picture ids */
	bool silent;	     /* sends nothing of its own accord */
};

struct peer_kept {
	uint64_t seq;
	size_t hdr_len, len;
	uint8_t data[PEER_PACKET];
};

struct peer_source {
	struct peer_source_conf conf;
	struct peer *peer; /* borrowed */
	/* owned */
	struct peer_kept *kept; /* PEER_KEPT, by sequence number */
	/* state */
	uint64_t seq, rtx_seq;
	uint32_t frame, since_key;
	int64_t start_us, next_us;
	uint16_t pic_id;
	uint8_t tl0;
	bool key_wanted, stopped;
	uint64_t packets, bytes, keys, again;
	uint64_t nacked;	    /* packets that the far end asked for again */
	int64_t pli_us[PEER_TIMES]; /* when key frames were asked for */
	unsigned plis;
	uint64_t remb_bps;
	struct sl_report report; /* latest about us */
};

/* ---- a track that plays ---- */
struct peer_sink_conf {
	uint32_t ssrc, rtx_ssrc;
	uint8_t codec_at[128]; /* payload type → enum sl_codec; RTX: SL_RTX */
	uint8_t rtx_of[128];   /* RTX payload type → what it repeats */
	uint32_t clock_hz;
	bool nack, pli, video;
};

struct peer_frame { /* one frame as it came */
	uint32_t id, number, ts;
	uint32_t total, have;
	uint64_t got;	    /* bit by packet */
	uint64_t first_seq; /* out number of its first packet: arrival minus its index */
	uint16_t pic_id;
	uint8_t tl0;
	uint8_t codec;
	bool key, decoded, has_pic_id;
	int64_t capture_us, first_us;
};

struct peer_sink {
	struct peer_sink_conf conf;
	struct peer *peer; /* borrowed */
	/* owned */
	struct peer_frame *frames; /* PEER_FRAMES, in order of first sight */
	struct peer_frame *log;	   /* PEER_LOG: decoded ones in order */
	/* state */
	struct sl_srtp_rx rtp_window, rtx_window;
	struct sl_rx rx;
	struct sl_nack nack;
	uint32_t frame_count, log_count;
	uint32_t at_id, at_next; /* decoder: goes on with this frame */
	bool decoding;
	int64_t moved_us, pli_us;
	uint64_t packets, recovered; /* by RTX */
	uint64_t replayed;	     /* (ssrc, number) seen before */
	uint64_t duplicates;	     /* a payload that was here before, by RTX */
	uint64_t again;		     /* under an old number, after it was asked for */
	uint64_t altered;	     /* bytes that are not what was sent */
	uint64_t unknown;	     /* payload types that were not negotiated */
	uint64_t padding, asked, plis, decoded, keys;
	uint64_t payload_bytes;	    /* of all packets that came for the first time, without padding */
	uint64_t padded, padded_rtx; /* packets with payload and padding; of RTX */
	uint8_t pad_most;
	uint64_t backwards; /* timestamps that do not grow with the numbers */
	uint64_t first_seq, top_seq;
	uint32_t top_ts;
	bool started;
	struct sl_sender_info sr;
	bool has_sr;
	uint8_t last_codec;
	uint32_t last_id;
	int64_t last_us;
	int64_t pts_us;	 /* of the newest packet by the latest SR: our guess of its NTP time */
	int64_t skew_us; /* pts_us − its capture time by the sender's clock */
};

/* ---- the peer ---- */
struct peer_conf {
	const struct sl_rng *rng;   /* borrowed */
	const struct sl_cert *cert; /* borrowed */
	struct sl_addr local;
	bool remote_lite, dtls_client, controlled;
	bool rsize; /* reduced-size RTCP */
	int64_t ice_timeout_us;
	int64_t clock_us; /* its clock is ahead of now_us by this */
	/* Keys given instead of a handshake: used as soon as there is a path. */
	const struct sl_srtp_master *fixed_tx, *fixed_rx;
	enum sl_srtp_impl fixed_impl;
	void (*send)(void *arg, const struct sl_path *path, const uint8_t *data, size_t len);
	void *arg;
};

struct peer {
	struct peer_conf conf;
	/* owned */
	struct sl_ice ice;
	struct sl_stats stats;
	struct sl_dtls *dtls;
	struct sl_srtp_key *tx_key, *rx_key;
	struct peer_source *sources[PEER_TRACKS];
	struct peer_sink *sinks[PEER_TRACKS];
	/* state */
	unsigned source_count, sink_count;
	struct sl_dtls_records records;
	struct sl_fingerprint fingerprint; /* of the far end */
	bool connected, failed, far_end_closed, dtls_started;
	uint32_t rtcp_ssrc;
	uint32_t srtcp_index;
	struct sl_srtp_rx rtcp_window;
	int64_t now_us, report_us, connected_us;
	uint16_t twcc_seq;
	uint64_t twcc_reported[1024]; /* bit by transport-wide number: reported as received */
	uint64_t twcc_feedbacks;
	uint64_t bad_tags;
	uint64_t reports; /* blocks about our sources */
};

/* SL_OK or SL_ENOMEM. */
SL_MUST_USE int peer_new(const struct peer_conf *conf, struct peer **out);
void peer_free(struct peer *p); /* takes NULL */
/* Before peer_remote(). NULL out of memory. */
struct peer_source *peer_add_source(struct peer *p, const struct peer_source_conf *conf);
struct peer_sink *peer_add_sink(struct peer *p, const struct peer_sink_conf *conf);
/* What signalling brings: the far end's credentials, candidates and fingerprint ("AB:CD:..."). The
 * checks begin. */
SL_MUST_USE int peer_remote(struct peer *p, const char *ufrag, const char *pwd,
			    const char *fingerprint, const struct sl_addr *cands, size_t n,
			    int64_t now_us);
/* ICE restart by us: new credentials of ours, to be signalled; then peer_remote() with the far
 * end's new ones. */
void peer_restart(struct peer *p, int64_t now_us);
void peer_recv(struct peer *p, const struct sl_path *path, const uint8_t *data, size_t len,
	       int64_t now_us);
void peer_tick(struct peer *p, int64_t now_us);
int64_t peer_deadline_us(const struct peer *p);
void peer_close(struct peer *p); /* sends a close_notify */
bool peer_can_send(const struct peer *p);

/* For tests that misbehave: any plain RTP packet, or a compound, sealed with the peer's key. */
void peer_send_rtp(struct peer *p, const uint8_t *plain, size_t len, uint64_t index);
void peer_send_rtcp(struct peer *p, const uint8_t *plain, size_t len);
/* A packet with nothing but padding, under the source's next number. */
void peer_source_probe(struct peer_source *s);
/* The next frame, now. */
void peer_source_frame(struct peer_source *s);

/* ---- between peer.c and peer_media.c ---- */
void peer_source_tick(struct peer_source *s);
void peer_source_nack(struct peer_source *s, const struct sl_nack_fci *fci, int n);
void peer_source_free(struct peer_source *s);
void peer_source_info(const struct peer_source *s, struct sl_sender_info *out);
void peer_sink_packet(struct peer_sink *s, const uint8_t *data, size_t len, bool rtx);
void peer_sink_tick(struct peer_sink *s);
int64_t peer_sink_deadline_us(const struct peer_sink *s);
void peer_sink_free(struct peer_sink *s);
uint64_t peer_ntp(const struct peer *p);
#endif
