/* SPDX-License-Identifier: Apache-2.0
 * core/core.h — the media loops, as the control thread sees them.
 * What:      one libuv loop per core routes RTP between peers. The control thread (HTTP, SDP,
 *            rooms) sends typed commands and gets exactly one reply to each, and events. Objects
 *            outside a loop are 64-bit ids with a generation.
 * Words:     transport: one remote peer (ICE + DTLS + SRTP). publisher: an inbound track.
 *            subscriber: an outbound track. route: publisher → subscriber. replica: what a loop
 *            knows of a publisher with subscribers there.
 * Threads:   everything in this header is called on the control thread, and calls back on it. Media
 *            loops share nothing with each other but the rings of relay.c.
 * Memory:    confs are copied before a call returns. Replies and events are borrowed for the
 *            callback.
 * Start at:  sl_core_new(), then sl_core_open(). On the packet path: engine.c sl_engine_recv(). */
#ifndef SL_CORE_H
#define SL_CORE_H
#include "core/base/addr.h"
#include "core/base/stat.h"
#include "core/config.h"
#include "core/load.h"
#include "core/plain.h"
#include "rtp/rtp.h"

enum {
	SL_CORE_LOOPS_MAX = 64, SL_TRACKS_MAX = 64, SL_TRACK_CODECS_MAX = 32,
	SL_CORE_CANDS_MAX = 40, SL_CORE_LOCALS_MAX = 16, SL_UFRAG_MAX = 256, SL_PWD_MAX = 256
};

/* One payload type of a negotiated m-line. */
struct sl_track_codec {
	uint8_t pt;
	uint8_t rtx_pt;                 /* 0 none */
	enum sl_codec codec;            /* never RTX itself */
	bool nack, pli, fir;
	uint32_t format;                /* equal numbers = same bitstream, see sl_core_format() */
};

struct sl_track_conf {
	bool publish;                   /* true: the peer sends (publisher); false: we send
					 * (subscriber) */
	enum sl_kind kind;
	char mid[SL_MID_MAX + 1];
	struct sl_track_codec codecs[SL_TRACK_CODECS_MAX];
	size_t codec_count;
	struct sl_ext_map exts;         /* as agreed on this m-line */
	bool one_byte_exts;             /* subscribe: the peer did not agree to
					 * a=extmap-allow-mixed */
	bool twcc, remb, rsize;         /* feedback agreed: transport-cc, REMB; reduced-size RTCP */
	/* publish: SSRCs that SDP names (0: learned by mid) and their RTX. subscribe: ours, both
	 * given by the caller */
	uint32_t ssrc, rtx_ssrc;
	char cname[24];                 /* subscribe */
	uint32_t min_bps, max_bps;      /* struct sl_track_limits to begin with; 0 none */
};

/* What an operator or client sets for a track's video. publish: floor and cap of the REMB that we
 * send. subscribe: what the player's REMB is clamped to before the publisher is told of it; without
 * limits nobody is told. 0: none. */
struct sl_track_limits {
	uint32_t min_bps, max_bps;
};

struct sl_core_fingerprint {
	char algorithm[16];             /* "sha-256" */
	char hex[200];
};

struct sl_core_cand {
	struct sl_addr addr;
	uint32_t priority;
	char foundation[33];
	char type[8];                   /* "host", "srflx", "prflx", "relay" */
	enum sl_tcp_type tcp;
	struct sl_addr base;            /* of SDP's raddr and rport; family 0: none */
};

/* ---- gathering: candidates of ours beyond what sl_core_candidates() tells ---- */
enum { SL_TURN_SERVERS_MAX = 4 };
enum sl_turn_transport { SL_TURN_UDP, SL_TURN_TCP, SL_TURN_TLS };
struct sl_turn_server {
	struct sl_addr addr;
	enum sl_turn_transport transport;
	char user[128], password[128];
	char host[256];                 /* TLS: the name that its certificate has to have */
};
struct sl_gather_conf {
	struct sl_addr stun;            /* family 0: none */
	struct sl_turn_server turn[SL_TURN_SERVERS_MAX];
	size_t turn_count;
	bool tcp;                       /* candidates over TCP, too */
	struct sl_addr only[SL_CORE_LOCALS_MAX];
	size_t only_count;              /* 0: all local addresses */
	/* stand in for host candidates' addresses; family 0: none */
	struct sl_addr external_v4, external_v6;
};

struct sl_transport_conf {
	uint64_t tag;                   /* the caller's; comes back in events */
	char name[8];                   /* what log lines call the session; never the whole of a
					 * secret id */
	bool controlling, remote_lite;  /* ours when not lite; the peer's a=ice-lite */
	bool lite;
	bool offering;                  /* the peer's side comes later, by sl_core_set_remote() */
	bool answering;                 /* sl_core_set_remote(): by an offer of the peer's, who then
					 * controls; remote_lite counts, too */
	bool dtls_client;               /* we send the ClientHello */
	struct sl_core_fingerprint fingerprints[4];
	size_t fingerprint_count;
	char ufrag[SL_UFRAG_MAX + 1], pwd[SL_PWD_MAX + 1];      /* the peer's */
	struct sl_core_cand cands[SL_CORE_CANDS_MAX];
	size_t cand_count;
	bool end_of_candidates;
	enum sl_transport_kind kind;    /* PLAIN: of those above tag, name and offering count */
	struct sl_plain_conf plain;     /* PLAIN */
	struct sl_track_conf tracks[SL_TRACKS_MAX];
	size_t track_count;
	bool watch;                     /* raises the events that say so */
	bool rsa;                       /* certificate: RSA, see sl_core_prepare_rsa(), instead of
					 * the process's first */
	uint8_t dscp;                   /* RFC 2474: 0 to 63, on all that goes to the peer */
	uint16_t mtu;                   /* RTP and RTCP of our making get no longer than that (900
					 * at least), with SRTP, without UDP: nothing is padded or
					 * repeated by RTX past it. What a publisher sent longer is
					 * passed on as it is: it cannot be split. 0: none */
};

/* What the peer of a transport brought about lately; all zero when there is no such transport. */
struct sl_transport_info {
	bool connected;
	int64_t silent_us;              /* since its last authentic packet, or since it was
					 * opened */
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes;
	int64_t rtt_us;                 /* -1 unknown */
	struct sl_path path;
	uint64_t keyframes;
	uint64_t lost;
};

/* ---- statistics and diagnosis of one transport ---- */

/* Why packets of this peer went no further. */
#define SL_DROPS(X)                                                                             \
	X(stun, "STUN messages that did not check")                                             \
	X(dtls, "DTLS datagrams dropped")                                                       \
	X(no_keys, "SRTP before the keys")                                                      \
	X(forged, "SRTP or SRTCP whose authentication failed")                                  \
	X(replayed, "SRTP or SRTCP seen before, or too old")                                    \
	X(malformed, "RTP or RTCP that does not parse")                                         \
	X(unknown_ssrc, "RTP of a source that no track claims")                                 \
	X(unknown_pt, "RTP of a payload type that was not negotiated")                          \
	X(late, "RTP too late or repeated")
enum sl_drop {
#define X(name, help) SL_DROP_##name,
	SL_DROPS(X)
#undef X
	SL_DROP_COUNT
};
const char *sl_drop_name(enum sl_drop d);

struct sl_track_stats {
	uint64_t id, publisher;         /* publisher: what a subscriber plays, 0 nothing */
	bool publish, paused, waiting;  /* waiting: packets come, but no key frame */
	bool mismatch;                  /* plays nothing: no codec in common */
	enum sl_kind kind;
	enum sl_codec codec;            /* of the last packet; NONE before the first */
	uint32_t ssrc;
	uint64_t packets, bytes;        /* RTP received or sent, payload bytes */
	uint64_t lost;                  /* publish: never arrived here. Else: as the player
					 * reports */
	uint64_t retransmitted;         /* publish: recovered by RTX. Else: sent again */
	uint64_t nacks, plis;           /* publish: asked by us. Else: asked by the player */
	uint64_t keyframes;             /* come, or sent */
	int64_t jitter_us, rtt_us;      /* jitter: publish: measured here. Else: as the player
					 * reports. rtt -1: unknown */
	int64_t silent_us;              /* since the last packet; -1: there was none */
	uint32_t bps;                   /* over the last second */
	uint32_t cap_bps;               /* publish: REMB in force. Else: the player's last, within
					 * the limits. 0 none */
	uint32_t min_bps, max_bps;      /* limits set on it */
	enum sl_cap_by {
		SL_CAP_NONE,
		SL_CAP_CONFIG,          /* the server's `publish.max_video_bps` */
		SL_CAP_SET,             /* min_bps or max_bps here */
		SL_CAP_PLAYER           /* publish: somebody's who plays it, with limits of its own.
					 * Else: the player's REMB */
	} cap_by;                       /* whose cap_bps is */
};

struct sl_pair_stats {
	struct sl_addr local, remote;
	char type[8];                   /* of the remote candidate */
	char local_type[8];
	bool tcp;                       /* what the pair goes over; not how a relay of ours is reached */
	bool selected, nominated, valid;
	uint32_t checks_in, checks_out, answers_in;
	int64_t rtt_us;
};

enum { SL_PAIR_STATS_MAX = 16, SL_TRACK_STATS_MAX = 256 };
struct sl_transport_stats {
	struct sl_transport_info info;
	const char *ice_state;          /* words of RTCIceTransportState */
	const char *dtls_state;         /* words of RTCDtlsTransportState */
	const char *srtp;               /* cipher, "" before the keys */
	bool dtls_client, path_found;
	int64_t age_us;
	uint64_t drops[SL_DROP_COUNT];
	struct sl_pair_stats pairs[SL_PAIR_STATS_MAX];
	size_t pair_count;
	struct sl_track_stats tracks[SL_TRACK_STATS_MAX];
	size_t track_count;
};

struct sl_reply {
	int err;                        /* SL_OK, SL_ENOMEM, SL_EFULL, SL_ENOTFOUND, SL_EPARSE,
					 * ... */
	uint64_t transport;
	uint64_t tracks[SL_TRACKS_MAX]; /* ids, in the order of the conf */
	char ufrag[SL_UFRAG_MAX + 1], pwd[SL_PWD_MAX + 1];      /* ours: after open and restart */
	struct sl_addr rtp, rtcp;       /* plain transports, after open: ours, equal where muxed */
	struct sl_transport_info info;
	const struct sl_transport_stats *stats; /* of sl_core_stats_of; borrowed for the callback */
};
typedef void sl_reply_fn(void *arg, const struct sl_reply *reply);

enum sl_close_cause {
	SL_CLOSE_NONE, SL_CLOSE_REQUESTED,
	SL_CLOSE_BY_PEER,               /* close_notify */
	SL_CLOSE_TIMEOUT,               /* ice.timeout */
	SL_CLOSE_NEVER_CONNECTED, SL_CLOSE_DTLS, SL_CLOSE_BUG, SL_CLOSE_SHUTDOWN
};
const char *sl_close_cause_text(enum sl_close_cause c);         /* one plain sentence */

enum sl_core_ice_state {
	SL_CORE_ICE_NEW, SL_CORE_ICE_CHECKING, SL_CORE_ICE_CONNECTED, SL_CORE_ICE_DISCONNECTED,
	SL_CORE_ICE_FAILED
};
enum sl_core_dtls_state {
	SL_CORE_DTLS_NEW, SL_CORE_DTLS_CONNECTING, SL_CORE_DTLS_CONNECTED, SL_CORE_DTLS_CLOSED,
	SL_CORE_DTLS_FAILED
};

enum { SL_CORE_DETAIL = 240 };
struct sl_core_event {
	enum sl_core_event_type {
		SL_EV_CONNECTED,        /* ICE and DTLS are done */
		SL_EV_DISCONNECTED,     /* silent for a while; may come back */
		SL_EV_RECONNECTED,
		SL_EV_CLOSED,           /* gone, with all its tracks; the ids are void. Also after
					 * sl_core_close */
		SL_EV_MEDIA,            /* a publisher's first packet, or a new codec of it */
		SL_EV_CODEC_MISMATCH,   /* a subscriber cannot take what its publisher sends */
		SL_EV_LEVEL,            /* loudness of a speaking publisher, at most 5 times a
					 * second */
		SL_EV_KEY_LIMIT,        /* plain transports: a key has few packets left */
		SL_EV_LOAD,             /* a loop cannot keep up, or can again: loop, busy,
					 * shed */
		/* only of transports with conf.watch */
		SL_EV_ICE,              /* another state: ice */
		SL_EV_PAIR,             /* local and remote: the pair in use from now on */
		SL_EV_DTLS,             /* another state: dtls */
		SL_EV_FLOW,             /* flowing: packets of the track come (publisher) or go
					 * (subscriber); or none for 2 s */
		SL_EV_CANDIDATE,        /* local: one of ours was found */
		SL_EV_GATHERED,         /* those were all */
		SL_EV_SERVER            /* a STUN or TURN server did not do its part: detail */
	} type;
	uint64_t transport, tag;
	uint64_t track, publisher;      /* MEDIA, LEVEL, FLOW: track. CODEC_MISMATCH: both */
	enum sl_codec codec;
	enum sl_close_cause cause;      /* CLOSED */
	enum sl_core_ice_state ice;     /* ICE */
	enum sl_core_dtls_state dtls;   /* DTLS */
	bool flowing;                   /* FLOW */
	union {
		char detail[SL_CORE_DETAIL];        /* CLOSED by DTLS, SERVER: why, in words */
		struct {
			struct sl_core_cand local, remote;      /* PAIR; CANDIDATE: local */
		};
	};
	uint32_t score;                 /* LEVEL */
	unsigned loop, shed;            /* LOAD: video is withheld from so many eighths of the
					 * loop's video subscribers */
	bool busy;                      /* LOAD: takes no new sessions */
};
typedef void sl_event_fn(void *arg, const struct sl_core_event *ev);

struct sl_core;
struct uv_loop_s;
struct sl_core_why {
	char text[256];
};
/* Opens the sockets and starts the loops and handshake workers. `control` runs the callbacks.
 * SL_EIO with *why. */
SL_MUST_USE int sl_core_new(const struct sl_config *conf, struct uv_loop_s *control,
			    sl_event_fn *on_event, void *arg, struct sl_core **out,
			    struct sl_core_why *why);
/* Ends all sessions (each peer gets a close_notify), stops and joins the loops, frees all. Blocks
 * for milliseconds. */
void sl_core_free(struct sl_core *core);

unsigned sl_core_loops(const struct sl_core *core);
/* SHA-256 fingerprint of the certificate, as SDP has it. */
const char *sl_core_fingerprint(const struct sl_core *core);
/* The same of the RSA certificate; NULL while there is none. It is there when a command with
 * conf.rsa is answered. */
const char *sl_core_fingerprint_rsa(const struct sl_core *core);
/* Begins to make the RSA certificate, on a thread of its own: that takes up to some seconds. Called
 * by sl_core_open() with conf.rsa, which waits for it; earlier by who knows that it will be
 * needed. */
void sl_core_prepare_rsa(struct sl_core *core);
/* Host candidates of a loop, best first: `media.announce` in place of the sockets' own addresses
 * where given. */
size_t sl_core_candidates(const struct sl_core *core, unsigned loop, struct sl_core_cand *out,
			  size_t cap);
/* The same over TCP, all passive: where peers may connect to. None without `media.tcp`. */
size_t sl_core_tcp_candidates(const struct sl_core *core, unsigned loop, struct sl_core_cand *out,
			      size_t cap);
const struct sl_stats *sl_core_stats(const struct sl_core *core, unsigned loop);
uint32_t sl_core_transports(const struct sl_core *core, unsigned loop);
/* The loop cannot keep up: no new sessions for it. */
bool sl_core_busy(const struct sl_core *core, unsigned loop);
/* In eighths: how much of the loop's video is withheld. */
unsigned sl_core_shed(const struct sl_core *core, unsigned loop);
uint16_t sl_core_port(const struct sl_core *core, unsigned loop);
/* The sockets of a loop; returns how many. */
size_t sl_core_sockets(const struct sl_core *core, unsigned loop, struct sl_addr *out, size_t cap);
/* How long a handshake that came now would wait, estimated. Past `dtls.queue_ms` refuse new
 * sessions (503). */
int64_t sl_core_handshake_wait_us(const struct sl_core *core);
/* T53: a key file must be ours or root's and closed to others. SL_OK, or SL_EIO with *why and the
 * mend. */
SL_MUST_USE int sl_core_check_key_file(const char *path, struct sl_core_why *why);
/* Number that stands for (codec, what of its fmtp decides the bitstream): same bitstream, same
 * number. */
uint32_t sl_core_format(enum sl_codec codec, const char *what);

/* Commands: each calls `fn` exactly once, later, on the control thread; fn may be NULL. They return
 * SL_OK, or an error (SL_EBUSY: the loop's mailbox is full; SL_ENOMEM), and then fn is not
 * called. */
SL_MUST_USE int sl_core_open(struct sl_core *core, unsigned loop,
			     const struct sl_transport_conf *conf, sl_reply_fn *fn, void *arg);
/* Trickled candidates of the peer. */
SL_MUST_USE int sl_core_add_candidates(struct sl_core *core, uint64_t transport,
				       const struct sl_core_cand *cands, size_t n, bool end,
				       sl_reply_fn *fn, void *arg);
/* ICE restart by the peer: its new credentials; the reply has our new ones. */
SL_MUST_USE int sl_core_restart_ice(struct sl_core *core, uint64_t transport, const char *ufrag,
				    const char *pwd, sl_reply_fn *fn, void *arg);
/* Adds tracks to a transport (renegotiation). */
SL_MUST_USE int sl_core_add_tracks(struct sl_core *core, uint64_t transport,
				   const struct sl_track_conf *tracks, size_t n, sl_reply_fn *fn,
				   void *arg);
SL_MUST_USE int sl_core_remove_track(struct sl_core *core, uint64_t track, sl_reply_fn *fn,
				     void *arg);
/* What a subscriber plays from now on: a publisher on any loop, or 0 for nothing. */
SL_MUST_USE int sl_core_route(struct sl_core *core, uint64_t subscriber, uint64_t publisher,
			      sl_reply_fn *fn, void *arg);
SL_MUST_USE int sl_core_info(struct sl_core *core, uint64_t transport, sl_reply_fn *fn, void *arg);
/* All that is known of a transport and its tracks: reply->stats. */
SL_MUST_USE int sl_core_stats_of(struct sl_core *core, uint64_t transport, sl_reply_fn *fn,
				 void *arg);
/* A publisher's packets go no further (muted for everyone), or a subscriber sends nothing, until it
 * is resumed. */
SL_MUST_USE int sl_core_pause(struct sl_core *core, uint64_t track, bool paused, sl_reply_fn *fn,
			      void *arg);
/* Most that a publisher's video may take, by REMB; 0: no cap but the configured one. */
SL_MUST_USE int sl_core_set_cap(struct sl_core *core, uint64_t publisher, uint32_t bps,
				sl_reply_fn *fn, void *arg);
/* Limits of a track's video from now on, in place of those it has. */
SL_MUST_USE int sl_core_set_limits(struct sl_core *core, uint64_t track,
				   const struct sl_track_limits *limits, sl_reply_fn *fn,
				   void *arg);
/* A key frame is asked of a publisher, or of what a subscriber plays. SL_EUNSUPPORTED for audio. */
SL_MUST_USE int sl_core_keyframe(struct sl_core *core, uint64_t track, sl_reply_fn *fn, void *arg);
/* What the peer's answer says, for a transport that was opened for an offer of ours
 * (conf.offering): answering and the fields from dtls_client to end_of_candidates count, tracks do
 * not. Also the second half of an ICE restart of ours. */
SL_MUST_USE int sl_core_set_remote(struct sl_core *core, uint64_t transport,
				   const struct sl_transport_conf *conf, sl_reply_fn *fn,
				   void *arg);
/* First half of an ICE restart of ours: the reply has new credentials for the next offer. */
SL_MUST_USE int sl_core_new_credentials(struct sl_core *core, uint64_t transport, sl_reply_fn *fn,
					void *arg);
/* Finds candidates of ours and tells each as an event, host candidates included; needs conf.watch.
 * Again: once more, with these servers. */
SL_MUST_USE int sl_core_gather(struct sl_core *core, uint64_t transport,
			       const struct sl_gather_conf *conf, sl_reply_fn *fn, void *arg);
/* Sends a close_notify and frees the transport. SL_EV_CLOSED follows the reply. */
SL_MUST_USE int sl_core_close(struct sl_core *core, uint64_t transport, sl_reply_fn *fn, void *arg);
#endif
