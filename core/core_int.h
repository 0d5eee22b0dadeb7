/* SPDX-License-Identifier: Apache-2.0
 * core/core_int.h — what the files of core/ share: the media engine of one loop and its objects.
 *
 * struct sl_engine is a whole media loop without its IO: datagrams, time, commands and messages of
 * other loops go in; datagrams, events and messages come out through struct sl_engine_io. loop.c
 * gives it sockets, a clock and threads; a simulation gives it a virtual network instead, and the
 * packets are the same.
 *
 * Ownership: engine > transport > publisher, subscriber; engine > replica. A route is a
 * subscriber's place in its replica's list. All objects come from the engine's pools and go back
 * there; packets are counted references. */
#ifndef SL_CORE_INT_H
#define SL_CORE_INT_H
#include "core/core.h"
#include "core/base/hash.h"
#include "core/base/list.h"
#include "core/base/pool.h"
#include "core/base/queue.h"
#include "core/base/rng.h"
#include "dtls/dtls.h"
#include "ice/frame.h"
#include "ice/ice.h"
#include "ice/turn.h"
#include <pthread.h>
#include <sys/uio.h>

/* ================= timer.c ================= */
/* A timing wheel of four levels, 64 slots each, one millisecond a tick: arming and cancelling are
 * O(1), and nothing ever walks all objects to find who is due. A timer beyond the last level waits
 * there and is placed anew. */
struct sl_timer {
	struct sl_list node;
	int64_t due_us;                         /* SL_NEVER: not armed */
	void (*fire)(struct sl_timer *t, int64_t now_us);
};

struct sl_wheel {
	struct sl_list slots[4][64];
	uint64_t tick;                          /* milliseconds, next to run */
	uint64_t used[4];                       /* bit by slot: may hold something */
	uint32_t armed;
};

void sl_wheel_init(struct sl_wheel *w, int64_t now_us);
void sl_timer_init(struct sl_timer *t, void (*fire)(struct sl_timer *t, int64_t now_us));
/* Moves the timer to due_us; SL_NEVER cancels. Cheap when nothing changes. */
void sl_timer_arm(struct sl_wheel *w, struct sl_timer *t, int64_t due_us);
/* Only ever makes it earlier. */
void sl_timer_arm_by(struct sl_wheel *w, struct sl_timer *t, int64_t due_us);
/* Fires what is due, in order of tick. */
void sl_wheel_advance(struct sl_wheel *w, int64_t now_us);
/* Not later than the earliest timer; SL_NEVER when none is armed. */
int64_t sl_wheel_next_us(const struct sl_wheel *w);

/* ================= ids ================= */
/* The first byte of an id names loop and kind, so that no id of one kind ever finds an object of
 * another. */
enum sl_kind_of_id {
	SL_ID_PUBLISHER = 0, SL_ID_SUBSCRIBER = 64, SL_ID_TRANSPORT = 128, SL_ID_INNER = 192
};
static inline unsigned sl_id_home(uint64_t id)
{
	return sl_id_loop(id) & 63;
}

/* ================= bit rate ================= */
/* Bits per second over the last full second. */
struct sl_rate {
	int64_t since_us;
	uint64_t bytes;
	uint32_t bps;
};

static inline void sl_rate_roll(struct sl_rate *r, int64_t now_us)
{
	int64_t past_us = now_us - r->since_us;

	if (past_us < SL_SEC)
		return;
	r->bps = past_us < 2 * SL_SEC ? (uint32_t)(r->bytes * 8 * SL_SEC / (uint64_t)past_us) : 0;
	r->bytes = 0;
	r->since_us = now_us;
}

static inline void sl_rate_add(struct sl_rate *r, size_t bytes, int64_t now_us)
{
	sl_rate_roll(r, now_us);
	r->bytes += bytes;
}

/* ================= packets ================= */
enum {
	SL_PKT_BLOCK = 2048, SL_BATCH = 128, SL_DATAGRAM_MAX = 1600, SL_PATCH_MAX = 16,
	SL_PAD_MAX = 16
};

/* One plain RTP packet, shared by all who read it. Holds no pointer: it is copied whole to another
 * loop's ring. */
struct sl_pkt {
	uint32_t refs;
	uint32_t format;                        /* see sl_core_format() */
	uint64_t seq;                           /* dense number of its publisher, sl_gap_map() */
	int64_t rx_us;
	struct sl_rtp rtp;
	struct sl_exts exts;
	struct sl_vp8 vp8;                      /* desc_len 0: not VP8 */
	uint8_t codec;                          /* enum sl_codec */
	bool keyframe;
	uint16_t len;
	uint8_t data[SL_DATAGRAM_MAX + SL_PAD_MAX];     /* behind the payload: padding */
};
_Static_assert(sizeof(struct sl_pkt) <= SL_PKT_BLOCK, "a packet fits its block");

/* A datagram read from a socket: borrowed for the call. */
struct sl_in {
	struct sl_path path;
	uint8_t *data;
	size_t len;
	int64_t rx_us;
	uint64_t owner;                         /* the transport whose own socket it came by; 0: a
						 * socket of the loop */
	bool truncated;
};

/* Datagrams of one destination on their way out, in order, all of one length but for a shorter
 * last: borrowed for the call of io->send. */
struct sl_run {
	const struct sl_path *path;
	const struct iovec *pkts;               /* one for each datagram */
	int count;                              /* 1 to SL_RUN_PKTS */
	uint8_t tos;                            /* RFC 2474: the octet in the IP header */
	uint8_t dest;                           /* the sender's: whose it is */
	bool refused;                           /* result: the system would not take it as one, so
						 * its datagrams went singly */
};

/* ================= run.c: which datagrams leave together ================= */
enum { SL_RUN_PKTS = 16, SL_RUN_BYTES = 20480 };
struct sl_run_item {
	uint16_t len;                           /* as it will be on the wire, without padding */
	uint8_t dest;                           /* number of its destination */
	uint8_t pad_max;                        /* by how many bytes it may be made longer */
	uint8_t pad;                            /* 0; result: by how many it is */
};
struct sl_span {                                /* a run, as a part of `order` */
	uint8_t dest, first, count;
};
/* Sorts n <= SL_BATCH datagrams for `dests` destinations into runs, destinations in turn; those of
 * one destination keep their order. With single[dest] each goes alone, unpadded. Writes n item
 * numbers to `order`, and the runs to `spans` (room for n); returns how many. */
int sl_runs_build(struct sl_run_item *items, int n, const bool *single, int dests, uint8_t *order,
		  struct sl_span *spans);

/* ================= handshake.c: jobs for the workers ================= */
enum { SL_HS_IN = 8, SL_HS_OUT = 12, SL_HS_DGRAM = 1500 };
struct sl_hs_dgram {
	struct sl_hs_dgram *next;               /* owned */
	size_t len;
	uint8_t data[];
};
/* Datagrams on their way, in order. They live from one side's put to the other's clear, so that a
 * handshake that waits costs little. */
struct sl_hs_queue {
	struct sl_hs_dgram *first;              /* owned */
	unsigned count;
};
/* A copy at the end. False: there are `max` already, it is too long, or memory is out. */
bool sl_hs_put(struct sl_hs_queue *q, unsigned max, const uint8_t *data, size_t len);
void sl_hs_clear(struct sl_hs_queue *q);

/* The handshake of one transport. While `busy` the worker owns dtls, in, out and the results; the
 * loop owns the rest always. */
struct sl_hs {
	/* owned */
	struct sl_dtls *dtls;
	/* the loop's */
	uint64_t id, transport;
	struct sl_list in_engine;               /* in order of creation, for eviction */
	int64_t since_us;
	unsigned loop;
	bool busy, orphan;                      /* orphan: the transport is gone; free when the job
						 * comes back */
	struct sl_hs_queue wait;
	/* the worker's while busy */
	int64_t now_us;
	bool tick;
	struct sl_hs_queue in, out;
	enum sl_dtls_state state;
	enum sl_dtls_cause cause;
	int64_t deadline_us;
	uint32_t dropped, restarts;
	int64_t spent_us;                       /* in all steps so far */
	bool keys_taken;
	struct sl_dtls_records records;
	struct sl_srtp_key *rx_key, *tx_key;
	enum sl_srtp_profile profile;
};

/* Frees all that it owns, and leaves nothing secret. */
void sl_hs_fini(struct sl_hs *hs);
/* One step: feeds what is in, collects what comes out. Runs on a worker; in simulations, at
 * once. */
void sl_hs_run(struct sl_hs *hs, const struct sl_rng *rng);

struct sl_hs_pool;
struct sl_hs_pool_conf {
	unsigned threads, loops;
	void (*wake)(void *arg, unsigned loop);
	void *arg;
};
SL_MUST_USE int sl_hs_pool_new(const struct sl_hs_pool_conf *conf, struct sl_hs_pool **out);
void sl_hs_pool_free(struct sl_hs_pool *p);     /* joins; unfinished jobs are dropped, their owners
						 * free them */
/* From loop's thread only. False when the loop's queue is full: try again later. */
bool sl_hs_submit(struct sl_hs_pool *p, unsigned loop, struct sl_hs *hs);
/* Finished jobs of this loop, one at a time; NULL when there are none. */
struct sl_hs *sl_hs_finished(struct sl_hs_pool *p, unsigned loop);
/* Control thread: a session was taken in whose handshake will come. */
void sl_hs_expect(struct sl_hs_pool *p, int64_t now_us);
/* How long a session that is taken in now will wait for its handshake: what waits already, or what
 * was taken in within the last second and has not come yet. */
int64_t sl_hs_wait_us(const struct sl_hs_pool *p, int64_t now_us);

/* ================= certs.c: certificates of the process ================= */
struct sl_certs {
	/* owned */
	struct sl_cert *first, *rsa;            /* rsa: published by the thread that makes it */
	pthread_t thread;
	/* state */
	bool making, made, stop;
	/* borrowed: called on that thread when it is through */
	void (*done)(void *arg);
	void *arg;
};
/* What is configured, or a new one. Of a zeroed struct with `done` set. */
SL_MUST_USE int sl_certs_load(struct sl_certs *c, const struct sl_config *conf,
			      const struct sl_rng *rng, struct sl_core_why *why);
void sl_certs_free(struct sl_certs *c);         /* waits for the thread, which is told to stop */
/* The RSA certificate, or NULL. Any thread. */
const struct sl_cert *sl_certs_rsa(const struct sl_certs *c);
/* Begins to make it unless it is there or in the making. False: there is no thread for it. */
bool sl_certs_make_rsa(struct sl_certs *c);
/* True once after `done`: it is there now, or could not be made. */
bool sl_certs_settle(struct sl_certs *c);

/* ================= relay: between loops ================= */
enum sl_relay_type {
	SL_RELAY_PACKET, SL_RELAY_CLOCK, SL_RELAY_ATTACH, SL_RELAY_DETACH, SL_RELAY_KEYFRAME,
	SL_RELAY_WISH, SL_RELAY_GONE
};
struct sl_relay_msg {
	uint64_t publisher;
	enum sl_relay_type type;
	/* CLOCK: rtp_ts of the publisher was sampled at our_us */
	uint32_t rtp_ts, clock_hz;
	int64_t our_us;
	uint32_t bps;                           /* WISH: see limits.c */
	struct sl_pkt pkt;                      /* PACKET: only the used part of data is written */
};
enum { SL_RELAY_SLOTS = 512, SL_RELAY_RESERVE = 64 };   /* the reserve is for control messages */

/* What found no room in a ring is said later, in order. */
enum { SL_LATE_MAX = 1024 };
struct sl_late {
	bool event;
	unsigned loop;                          /* a message: to whom, of what type, about which
						 * publisher */
	enum sl_relay_type type;
	uint64_t publisher;
	uint32_t bps;
	struct sl_core_event ev;
};

/* ================= the engine's surroundings ================= */
struct sl_stream_to {
	struct sl_addr bind;                    /* family 0: any */
	struct sl_addr remote;
	enum sl_framing framing;
	const char *tls_host;                   /* for whom the server's certificate has to be;
						 * NULL: no TLS */
};

struct sl_engine_io {
	void *arg;
	void (*send)(void *arg, struct sl_run *runs, int n);
	/* Hands a job over; false: no room, try again later. Comes back through
	 * sl_engine_handshake(). */
	bool (*handshake)(void *arg, struct sl_hs *hs);
	/* A slot in the ring to another loop, or NULL; then relay_push. `reserve` slots stay
	 * free. */
	struct sl_relay_msg *(*relay_slot)(void *arg, unsigned loop, uint32_t reserve);
	void (*relay_push)(void *arg, unsigned loop);
	/* False: no room, try again later. */
	bool (*event)(void *arg, const struct sl_core_event *ev);
	/* A UDP socket of one transport, bound there (port 0: any). Its number, or SL_EBUSY (the
	 * port is taken), SL_EFULL, SL_ENOMEM, SL_EIO; *local has the port. What comes by it has
	 * sl_in.owner. */
	int (*sock_open)(void *arg, uint64_t transport, const struct sl_addr *bind,
			 struct sl_addr *local);
	/* A stream; datagrams cross it in frames. Data may be sent at once: it waits for the
	 * connection. Errors as above. */
	int (*stream_open)(void *arg, uint64_t transport, const struct sl_stream_to *to,
			   struct sl_addr *local);
	/* A connection that came by itself (its datagrams have no owner yet) belongs to that
	 * transport. */
	void (*sock_give)(void *arg, uint32_t sock, uint64_t transport);
	void (*sock_close)(void *arg, uint32_t sock);
};

/* Numbers of sockets (sl_path.sock): those of the loop come first, from SL_CORE_LOCALS_MAX on they
 * belong to one transport each. */
enum {
	SL_SOCK_SLOT_BITS = 20, SL_SOCK_GEN_BITS = 9,
	SL_SOCK_RELAY = 1 << 29,                /* an allocation on a TURN server */
	SL_SOCK_STREAM = 1 << 30
};

struct sl_engine_conf {
	unsigned loop;
	uint32_t max_transports, max_tracks, max_packets, max_handshakes;
	uint32_t max_checks;                    /* a second (T07); 0: no bound for all together */
	int64_t ice_timeout_us;
	int64_t ntp_offset_us;                  /* added to now_us: microseconds since 1900; latched
						 * at start */
	uint32_t max_video_bps;
	bool cap_always;
	bool allow_loopback;
	bool gso_padding;
	uint32_t gso;                           /* bit by socket: takes runs as one */
	uint32_t tcp;                           /* bit by socket: connections come in at the same
						 * address */
	const struct sl_cert *cert;
	struct sl_cert *const *rsa;             /* where the second one will stand; NULL: nowhere */
	struct sl_ice_cand locals[SL_CORE_LOCALS_MAX];
	size_t local_count;
};

struct sl_transport;
struct sl_publisher;
struct sl_subscriber;
struct sl_replica;

/* One slot of the egress batch: plain header, a private payload where it must be patched, and the
 * sealed packet. */
struct sl_egress {
	struct sl_pkt *held;                    /* reference kept until it is sealed */
	uint8_t hdr[SL_RTP_HDR_MAX + 1];
	uint8_t plain[SL_PATCH_MAX + SL_DATAGRAM_MAX + SL_PAD_MAX];
	uint8_t sealed[SL_RTP_HDR_MAX + SL_DATAGRAM_MAX + SL_PAD_MAX + SL_SRTP_OVERHEAD];
};

struct sl_engine {
	struct sl_engine_conf conf;
	struct sl_engine_io io;
	struct sl_rng rng;                      /* borrowed */
	/* owned */
	struct sl_pool transports, publishers, subscribers, replicas, handshakes, sources;
	struct sl_slab packets;
	struct sl_hash by_ufrag, by_path, by_tid, by_publisher;       /* → transport ×3, replica */
	struct sl_hash by_relay;                /* number of a relay → it; made with the first */
	struct sl_egress *egress;               /* SL_BATCH slots */
	struct sl_srtp_mgr *srtp;               /* what the keys here are bound to; may be NULL */
	struct sl_run_item items[SL_BATCH];     /* by slot */
	struct sl_dest {                        /* whom the batch goes to */
		struct sl_transport *t;
		bool rtcp;                      /* to its port for RTCP, where it has one */
	} dests[SL_BATCH];
	struct sl_srtp_op seal_ops[SL_BATCH], open_ops[SL_BATCH];
	struct sl_pending *pending;             /* SL_BATCH: what the open ops are about */
	struct sl_list hs_list;
	struct sl_list queued;                  /* replicas with packets to be forwarded */
	struct sl_late *late;                   /* SL_LATE_MAX, a ring */
	/* state */
	uint32_t late_first, late_count;
	struct sl_wheel wheel;
	struct sl_stats stats;
	struct sl_load load;                    /* busy: read by the control thread */
	struct sl_timer load_timer;             /* while busy */
	int64_t now_us;
	int seal_count, open_count, dest_count;
	uint64_t batch;                         /* serial of the egress batch */
	struct sl_ice_budget checks;            /* T07: of all transports here */
	int64_t send_time_us;                   /* abs-send-time was computed for then */
	uint32_t send_time;
	uint64_t hash_secret[2];
	struct sl_list dead;                    /* transports whose SL_EV_CLOSED is not delivered
						 * yet */
	uint32_t transport_count;               /* read by the control thread */
};

SL_MUST_USE int sl_engine_init(struct sl_engine *e, const struct sl_engine_conf *conf,
			       const struct sl_engine_io *io, const struct sl_rng *rng,
			       int64_t now_us);
void sl_engine_fini(struct sl_engine *e);       /* takes a zeroed one; no job may be in flight */
void sl_engine_recv(struct sl_engine *e, const struct sl_in *in, int n, int64_t now_us);
void sl_engine_tick(struct sl_engine *e, int64_t now_us);
/* The oldest datagram of this wake-up had waited so long in the socket. */
void sl_engine_waited(struct sl_engine *e, int64_t wait_us, int64_t now_us);
void sl_engine_handshake(struct sl_engine *e, struct sl_hs *hs, int64_t now_us);
/* A stream of that transport has ended, for this reason in words; it is closed now. */
void sl_engine_sock_lost(struct sl_engine *e, uint64_t owner, uint32_t sock, const char *why,
			 int64_t now_us);
void sl_engine_relay(struct sl_engine *e, unsigned from, const struct sl_relay_msg *msg,
		     int64_t now_us);
/* A control message to another loop, and an event to the control thread: now, or as soon as there
 * is room. */
void sl_engine_tell(struct sl_engine *e, unsigned loop, enum sl_relay_type type,
		    uint64_t publisher);
void sl_engine_tell_wish(struct sl_engine *e, unsigned loop, uint64_t publisher, uint32_t bps);
void sl_engine_event(struct sl_engine *e, const struct sl_core_event *ev);
/* Seals and sends all that the calls above have queued. Last call of every wake-up. */
void sl_engine_flush(struct sl_engine *e);
int64_t sl_engine_deadline_us(const struct sl_engine *e);
/* Ends every session; each peer gets a close_notify. */
void sl_engine_close_all(struct sl_engine *e, int64_t now_us);

/* ================= commands ================= */
enum sl_cmd_type {
	SL_CMD_STATS, SL_CMD_PAUSE, SL_CMD_CAP, SL_CMD_REMOTE, SL_CMD_CREDENTIALS, SL_CMD_OPEN,
	SL_CMD_CANDIDATES, SL_CMD_RESTART, SL_CMD_ADD_TRACKS, SL_CMD_REMOVE_TRACK, SL_CMD_ROUTE,
	SL_CMD_INFO, SL_CMD_GATHER, SL_CMD_LIMITS, SL_CMD_KEYFRAME, SL_CMD_CLOSE, SL_CMD_STOP,
	SL_CMD_COUNT
};
struct sl_cmd {
	enum sl_cmd_type type;
	uint64_t object, other;                 /* transport or track; publisher of a route */
	struct sl_transport_conf *conf;         /* OPEN and ADD_TRACKS: owned */
	struct sl_core_cand cands[SL_CORE_CANDS_MAX];
	size_t cand_count;
	bool end, paused;
	uint32_t bps;
	struct sl_track_limits limits;
	struct sl_transport_stats *stats;       /* STATS: owned */
	struct sl_gather_conf *gather;          /* GATHER: owned */
	char ufrag[SL_UFRAG_MAX + 1], pwd[SL_PWD_MAX + 1];
	/* the control thread's */
	struct sl_cmd *next;                    /* held back: the next of them, */
	unsigned loop;                          /* and whose it is */
	sl_reply_fn *fn;
	void *arg;
	struct sl_reply reply;
};
void sl_engine_command(struct sl_engine *e, struct sl_cmd *cmd, int64_t now_us);

/* ================= transport.c ================= */
enum { SL_SOURCES_MAX = 64, SL_PATHS_MAX = 8, SL_OWN_SOCKS_MAX = 32 };

/* One inbound SSRC: who it belongs to, and its replay windows. */
struct sl_source {
	uint64_t id;
	uint32_t ssrc;
	enum { SL_SOURCE_NONE, SL_SOURCE_MEDIA, SL_SOURCE_RTX } role;
	struct sl_publisher *pub;               /* borrowed; NULL for a mere RTCP sender */
	struct sl_srtp_rx rtp, rtcp;
	int64_t used_us;
};

enum sl_transport_phase { SL_T_CONNECTING, SL_T_CONNECTED, SL_T_DEAD };

struct sl_transport {
	struct sl_engine *eng;                  /* borrowed */
	uint64_t id, tag;
	char name[8];                           /* for the log */
	/* owned */
	struct sl_plain *plain;                 /* NULL: WebRTC, with ICE and DTLS */
	struct sl_hs *hs;                       /* while a handshake's context lives */
	struct sl_srtp_key *rx_key, *tx_key;
	struct sl_list publishers, subscribers;
	struct sl_source *sources[SL_SOURCES_MAX];
	unsigned source_count;
	struct sl_path paths[SL_PATHS_MAX];     /* entered in by_path */
	unsigned path_count;
	uint32_t socks[SL_OWN_SOCKS_MAX];       /* numbers of its own sockets */
	struct sl_gather *gather;               /* NULL: never asked for */
	unsigned sock_count;
	struct sl_twcc_rx *twcc;                /* where a publisher negotiated it */
	struct sl_watch *watch;                 /* NULL: tells no more than rooms want to know */
	/* state */
	enum sl_transport_phase phase;
	enum sl_close_cause cause;
	struct sl_list in_dead;
	bool dtls_client, dtls_done, disconnected, twcc_rx, rsize, rsa;
	struct sl_fingerprint fps[SL_DTLS_FINGERPRINTS_MAX];
	size_t fp_count;
	struct sl_path dtls_path;               /* where the last handshake datagram came from */
	struct sl_dtls_records records;
	char ufrag[2][SL_ICE_OUR_UFRAG + 1];    /* entered in by_ufrag: present, and the one before
						 * a restart */
	uint32_t tid_tag;
	uint32_t rtcp_ssrc;                     /* sender of our feedback */
	uint32_t srtcp_index;
	uint16_t twcc_seq;
	uint32_t twcc_media;                    /* an SSRC of the peer's for the feedback's media
						 * field */
	int64_t opened_us, last_in_us, dtls_done_us;
	int64_t path_us;                        /* when ICE first found a way; 0: not yet */
	int64_t quick_us;                       /* until then a packet on the pair in use needs no
						 * look at ICE */
	struct sl_timer ice_timer, hs_timer, rtcp_timer, twcc_timer;
	struct sl_clockmap clock;
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes;
	uint64_t batch;                         /* it has a place in that egress batch: dest */
	uint8_t dest;
	uint8_t overhead, rtcp_overhead;        /* what the seal adds to a packet */
	uint8_t tos;                            /* of all that goes to the peer */
	uint16_t mtu;                           /* 0 none */
	int64_t single_until_us;                /* a run was refused on the way to it */
	uint64_t drops[SL_DROP_COUNT];
	int64_t unknown_refill_us;
	int unknown_left;                       /* unknown SSRCs we still look at this second
						 * (T16) */
	int64_t rtt_us;                         /* by the answer to our reference time; -1
						 * unknown */
	uint32_t rrtr_ssrc, rrtr_mid32;         /* peer's receiver reference time to answer */
	int64_t rrtr_us;
	char detail[96];
	struct sl_ice ice;                      /* owned. Last: most of it is never touched */
};

SL_MUST_USE int sl_transport_open(struct sl_engine *e, const struct sl_transport_conf *conf,
				  struct sl_reply *reply);
/* Ends it at once; SL_EV_CLOSED goes out now or as soon as there is room. */
void sl_transport_close(struct sl_transport *t, enum sl_close_cause cause);
/* Returns whether it was authentic. */
bool sl_transport_stun(struct sl_transport *t, const struct sl_in *in);
void sl_transport_dtls(struct sl_transport *t, const struct sl_in *in);
void sl_transport_handshake_done(struct sl_transport *t, struct sl_hs *hs);
/* After anything that changed the ICE agent: sends what it has, hears its events, re-arms its
 * timer. */
void sl_transport_drain_ice(struct sl_transport *t);
static inline void sl_drop(struct sl_transport *t, enum sl_drop why)
{
	t->drops[why]++;
}

void sl_transport_stats(struct sl_transport *t, struct sl_transport_stats *out);
/* The peer's answer to an offer of ours. */
SL_MUST_USE int sl_transport_set_remote(struct sl_transport *t,
					const struct sl_transport_conf *conf);
SL_MUST_USE int sl_transport_new_credentials(struct sl_transport *t, struct sl_reply *reply);
SL_MUST_USE int sl_transport_candidates(struct sl_transport *t, const struct sl_core_cand *c,
					size_t n, bool end);
SL_MUST_USE int sl_transport_restart(struct sl_transport *t, const char *ufrag, const char *pwd,
				     struct sl_reply *reply);
void sl_transport_info(struct sl_transport *t, struct sl_transport_info *out);
struct sl_source *sl_transport_source(struct sl_transport *t, uint32_t ssrc);
/* NULL when the table is full or memory is out. */
struct sl_source *sl_transport_add_source(struct sl_transport *t, uint32_t ssrc);
void sl_transport_drop_source(struct sl_transport *t, uint32_t ssrc);
/* An authentic packet came: life, and the pair in use may change. */
void sl_transport_alive(struct sl_transport *t, const struct sl_path *path, bool media);
/* Keys and a way to the peer are there. */
void sl_transport_connected(struct sl_transport *t);
/* Those it opens and seals with. */
void sl_transport_keys(struct sl_transport *t, struct sl_srtp_key *rx, struct sl_srtp_key *tx);
/* An event of it without data of its own. */
void sl_transport_tell(struct sl_transport *t, enum sl_core_event_type type);
/* Delivers SL_EV_CLOSED of dead ones and frees them. */
void sl_transport_bury(struct sl_engine *e);
/* Nothing of the peer's that comes by this socket is its own any more. */
void sl_transport_forget_sock(struct sl_transport *t, uint32_t sock);

/* ================= sock.c: sockets of one transport ================= */
/* As in struct sl_engine_io; also SL_EFULL past SL_OWN_SOCKS_MAX, SL_EUNSUPPORTED where there is no
 * IO for it. They close with the transport. */
SL_MUST_USE int sl_sock_open(struct sl_transport *t, const struct sl_addr *bind,
			     struct sl_addr *local);
SL_MUST_USE int sl_sock_stream(struct sl_transport *t, const struct sl_stream_to *to,
			       struct sl_addr *local);
void sl_sock_close(struct sl_transport *t, uint32_t sock);      /* also of one that is not open */
void sl_sock_close_all(struct sl_transport *t);
/* First datagram of a connection that came by itself: it is the transport's if that is authentic,
 * else closed. */
void sl_sock_claim(struct sl_transport *t, const struct sl_in *in);
/* What the agent wants to send over TCP where there is no stream yet: opens one, and puts it into
 * *path. */
SL_MUST_USE int sl_sock_connect(struct sl_transport *t, struct sl_path *path);

/* ================= gather.c: STUN and TURN servers ================= */
/* SL_ESTATE: nobody watches; SL_ENOMEM. What the servers do not do is told by events. */
SL_MUST_USE int sl_transport_gather(struct sl_transport *t, const struct sl_gather_conf *conf);
void sl_gather_stop(struct sl_transport *t);    /* gives allocations back; free comes later */
void sl_gather_free(struct sl_transport *t);
/* A STUN answer by a socket of the loop: was it one to us? */
bool sl_gather_answer(struct sl_transport *t, const struct sl_in *in);
/* What came by a socket of the transport (t->gather is there). False: not from a relay's server.
 * Else inner->len > 0: that is what a peer sent through it. */
bool sl_gather_recv(struct sl_transport *t, const struct sl_in *in, struct sl_in *inner);
void sl_gather_sock_lost(struct sl_transport *t, uint32_t sock, const char *why);
/* Before a check goes to a peer through a relay, and when the pair is in use. */
void sl_gather_permit(struct sl_transport *t, const struct sl_path *path);
void sl_gather_use(struct sl_transport *t, const struct sl_path *path);
/* Datagrams whose path goes through a relay. */
void sl_relay_send(struct sl_engine *e, const struct sl_run *run);

/* ================= plain.c: transports without ICE and DTLS ================= */
enum sl_leg_of { SL_LEG_RTP, SL_LEG_RTCP, SL_LEGS };
/* One port of ours and the port of the peer's that it talks to. */
struct sl_leg {
	struct sl_addr local;
	struct sl_path out;                     /* where ours go; remote.family 0: not known */
	struct sl_addr said;                    /* where the peer said it is; family 0: not said */
	struct sl_addr from;                    /* the one source heard; family 0: none yet */
	uint8_t taken;                          /* packets of it, until it is confirmed */
	bool open, confirmed, changed;
	struct sl_addr tried;                   /* who has sent `run` packets in a row */
	uint32_t tried_ssrc;
	uint16_t tried_seq;
	uint8_t run;
};
struct sl_plain {
	struct sl_plain_conf conf;
	struct sl_leg legs[SL_LEGS];            /* RTCP: not open where muxed */
	bool clear;                             /* no SRTP */
	bool limit_told, foreign_told;
	int64_t refill_us;
	int left;                               /* packets of sources unknown that are still opened
						 * this second */
};
SL_MUST_USE int sl_plain_open(struct sl_transport *t, const struct sl_transport_conf *conf,
			      struct sl_reply *reply);
SL_MUST_USE int sl_plain_set_remote(struct sl_transport *t, const struct sl_transport_conf *conf);
void sl_plain_close(struct sl_transport *t);    /* what is queued leaves first */
void sl_plain_free(struct sl_transport *t);     /* its sockets are closed; takes one without */
/* A datagram of its own sockets. */
void sl_plain_recv(struct sl_transport *t, const struct sl_in *in);
/* An authentic packet: from the one source that is heard, or one that becomes it? */
bool sl_plain_accept(struct sl_transport *t, const struct sl_path *path, bool rtcp);
void sl_plain_tick(struct sl_transport *t);
/* The pair in use, or NULL: then nothing may be sent. */
static inline const struct sl_path *sl_transport_path(const struct sl_transport *t)
{
	const struct sl_path *out;

	if (!t->plain)
		return sl_ice_path(&t->ice);
	out = &t->plain->legs[SL_LEG_RTP].out;
	return out->remote.family ? out : NULL;
}
/* Likewise for RTCP. */
static inline const struct sl_path *sl_transport_rtcp_path(const struct sl_transport *t)
{
	const struct sl_leg *leg;

	if (!t->plain || !t->plain->legs[SL_LEG_RTCP].open)
		return sl_transport_path(t);
	leg = &t->plain->legs[SL_LEG_RTCP];
	return leg->out.remote.family ? &leg->out : NULL;
}
static inline bool sl_transport_is_clear(const struct sl_transport *t)
{
	return t->plain && t->plain->clear;
}

/* ================= watch.c ================= */
/* What happens to a transport, for those who watch it; nothing to do for others. */
SL_MUST_USE int sl_watch_new(struct sl_transport *t);
void sl_watch_free(struct sl_transport *t);
void sl_watch_ice(struct sl_transport *t, enum sl_ice_state state);
void sl_watch_dtls(struct sl_transport *t, enum sl_core_dtls_state state);
void sl_watch_pair(struct sl_transport *t);     /* ICE has chosen another */
/* The peer's candidates, as signalled. */
void sl_watch_remotes(struct sl_transport *t, const struct sl_core_cand *c, size_t n);
void sl_watch_flow(struct sl_transport *t);     /* a track began: looks in this wake-up */
void sl_watch_closed(struct sl_transport *t, enum sl_close_cause cause);

/* ================= demux.c and the receive path ================= */
enum sl_class {
	SL_CLASS_STUN, SL_CLASS_DTLS, SL_CLASS_TURN, SL_CLASS_RTP, SL_CLASS_ZRTP,
	SL_CLASS_UNKNOWN
};
/* RFC 7983 section 7 by first byte, and the least length of each class. */
enum sl_class sl_classify(const uint8_t *data, size_t len, bool *truncated);

struct sl_pending {                             /* a datagram between classify and open */
	struct sl_transport *t;
	struct sl_source *src;                  /* NULL: SSRC not known yet */
	struct sl_pkt *pkt;                     /* where the plain packet goes */
	struct sl_path path;
	uint32_t ssrc;
	bool rtcp;
	const uint8_t *data;                    /* the sealed packet, for a second try */
	size_t len;
	int64_t rx_us;
};
void sl_receive_srtp(struct sl_transport *t, const struct sl_in *in);
void sl_receive_batch(struct sl_engine *e);

/* ================= publisher.c ================= */
struct sl_publisher {
	uint64_t id;
	struct sl_transport *t;                 /* borrowed */
	struct sl_list in_transport;
	struct sl_track_conf conf;
	uint8_t codec_at[128];                  /* payload type → index + 1 in conf.codecs; RTX: of
						 * what it repairs */
	uint8_t is_rtx[16];                     /* bit by payload type */
	uint32_t ssrc, rtx_ssrc;                /* in use; 0 not learned */
	/* owned */
	struct sl_replica *home;                /* this loop's, while there are subscribers here */
	struct sl_nack *nack;                   /* where negotiated */
	/* state */
	uint64_t loops;                         /* bit by loop: it has a replica there */
	struct sl_rx rx;
	struct sl_gap gap;
	struct sl_kf kf;
	struct sl_level level;
	int64_t level_sent_us;
	uint8_t fir_seq;
	uint8_t keyframe_tries;                 /* requests since anybody wanted one or one came */
	bool seen, relay_full, flow_told;
	bool keyframe_asked;                    /* by command: whether anybody listens or not */
	uint8_t codec;                          /* of the last packet, for SL_EV_MEDIA */
	uint64_t keyframes;
	uint64_t nacks, plis, recovered;        /* asked by us; come by RTX */
	bool paused;
	struct sl_rate rate;
	int64_t last_us;                        /* last packet; 0 none */
	uint32_t cap_bps;                       /* REMB last sent */
	enum sl_cap_by cap_by;
	uint8_t lifts;                          /* so often more it is told that there is no cap */
	uint32_t *wishes;                       /* owned; by loop: the least that its players wish
						 * for, 0 none; NULL: nowhere any */
	struct sl_timer timer;                  /* NACK and key-frame requests */
	int64_t remb_sent_us;
	uint8_t fraction_lost;
};
SL_MUST_USE int sl_publisher_new(struct sl_transport *t, const struct sl_track_conf *conf,
				 uint64_t *id);
void sl_publisher_free(struct sl_publisher *p);
/* An authentic RTP packet of it. Takes over the reference to pkt. */
void sl_publisher_packet(struct sl_publisher *p, struct sl_source *src, struct sl_pkt *pkt);
/* The track that an SSRC belongs to by SDP, or by the packet's MID; NULL when nobody claims it. */
struct sl_publisher *sl_publisher_find(struct sl_transport *t, const struct sl_pkt *pkt, bool *rtx);
/* Muted for everyone, and back: with a picture for those who watch. */
void sl_publisher_pause(struct sl_publisher *p, bool paused);
void sl_publisher_want_keyframe(struct sl_publisher *p);
/* The same, even for nobody. */
void sl_publisher_ask_keyframe(struct sl_publisher *p);
void sl_publisher_sr(struct sl_publisher *p, const struct sl_sender_info *si, int64_t rx_us);
/* Tells this loop's replica and the other loops what the last sender report said of its clock. */
void sl_publisher_hand_clock(struct sl_publisher *p);
void sl_publisher_attach(struct sl_publisher *p, unsigned loop);
void sl_publisher_detach(struct sl_publisher *p, unsigned loop);

/* ================= replica.c ================= */
enum { SL_RING = 512, SL_QUEUE = 16 };
struct sl_replica {
	struct sl_engine *eng;                  /* borrowed */
	uint64_t id, publisher;
	struct sl_publisher *home;              /* NULL: the publisher is on another loop */
	struct sl_list subs;
	/* owned */
	struct sl_pkt *ring[SL_RING];           /* by dense number */
	struct sl_pkt *queue[SL_QUEUE];         /* to be forwarded in this wake-up */
	/* state */
	struct sl_list in_queued;
	uint8_t queue_len;
	uint64_t top, oldest;                   /* ring holds [oldest, top] */
	bool started, has_clock, keyframe_due, wish_due;
	uint32_t wish_bps;                      /* as the publisher was told */
	int64_t wish_next_us;
	int64_t keyframe_next_us;               /* a request to the home loop is not repeated
						 * before */
	int64_t clock_us;                       /* clock_rtp was sampled then, by our clock */
	uint32_t clock_rtp, clock_hz;
	struct sl_timer timer;
};
/* The replica of a publisher on this loop, made on first use (and the home loop told). NULL out of
 * memory, or for a publisher of this loop that is gone. */
struct sl_replica *sl_replica_of(struct sl_engine *e, uint64_t publisher);
/* Ends it when nobody reads it any more. */
void sl_replica_release(struct sl_replica *r);
/* The publisher is gone: its subscribers play nothing from now on. */
void sl_replica_gone(struct sl_replica *r);
/* Keeps the packet, and queues it for every subscriber. Takes references of its own. */
void sl_replica_packet(struct sl_replica *r, struct sl_pkt *pkt);
/* Forwards what is queued: to one subscriber after the other all of it. */
void sl_replica_forward(struct sl_replica *r);
/* Packets run low: every ring gives up the older half of what it keeps. */
void sl_replica_reclaim(struct sl_engine *e);
struct sl_pkt *sl_replica_find(const struct sl_replica *r, uint64_t seq);
void sl_replica_want_keyframe(struct sl_replica *r);
/* The limits of its subscribers are others: the publisher is told, soon. Takes NULL. */
void sl_replica_wish(struct sl_replica *r);
void sl_replica_clock(struct sl_replica *r, uint32_t rtp_ts, uint32_t clock_hz, int64_t our_us);

/* ================= subscriber.c, forward.c ================= */
struct sl_sub_sent {                            /* what went out under one of our numbers */
	uint32_t in;                            /* low half of the dense number */
	uint16_t lap;                           /* of the ring; the slot is void when it differs */
	uint8_t epoch;                          /* number of the epoch */
	bool used;
};

/* What every packet touches comes first. */
struct sl_subscriber {
	struct sl_transport *t;                 /* borrowed */
	struct sl_list in_replica;
	struct sl_replica *replica;             /* borrowed; NULL: plays nothing */
	const struct sl_track_codec *pt;        /* NULL: no codec in common */
	uint32_t pt_format;                     /* cache: format → codec index */
	uint8_t pt_codec;
	uint8_t pad_max;                        /* likewise: how much padding its packets may get */
	bool fresh;                             /* the next packet that may start a picture begins a
						 * new epoch */
	bool mismatch_told, paused, flow_told;
	struct sl_sub_sent *sent;               /* SL_RING entries where NACK was negotiated */
	struct sl_rate rate;
	int64_t again_since_us;                 /* T52: retransmissions of the last 200 ms */
	uint32_t again_bytes, sent_bytes, sent_bytes_prior;
	uint32_t last_ts_in, last_ts_out;       /* for sender reports */
	uint32_t last_clock_hz;
	int64_t last_rx_us, last_out_us;
	struct sl_tx tx;
	struct sl_rewriter rw;
	struct sl_hdr_writer hdr;
	struct sl_track_conf conf;
	uint64_t id;
	struct sl_list in_transport;
	uint64_t rtx_seq;
	int64_t waiting_us;                     /* since when it waits for a key frame; 0: it does
						 * not */
	uint64_t nacks, plis, again_packets;    /* asked by the player; sent again */
	uint64_t keyframes;                     /* sent */
	uint32_t remb_bps;                      /* the player's last; 0 none */
};
SL_MUST_USE int sl_subscriber_new(struct sl_transport *t, const struct sl_track_conf *conf,
				  uint64_t *id);
void sl_subscriber_free(struct sl_subscriber *s);
SL_MUST_USE int sl_subscriber_route(struct sl_subscriber *s, uint64_t publisher);
void sl_subscriber_pause(struct sl_subscriber *s, bool paused);
void sl_subscriber_unroute(struct sl_subscriber *s);
/* The loop cannot keep up, and this one's video is what is given up for the others' sake. */
static inline bool sl_subscriber_withheld(const struct sl_subscriber *s)
{
	const struct sl_load *l = &s->t->eng->load;

	return l->shed > 0 && s->conf.kind == SL_VIDEO && sl_load_part(s->id) < l->shed;
}
struct sl_subscriber *sl_subscriber_by_ssrc(struct sl_transport *t, uint32_t ssrc);
/* Payload bytes that went out for the first time: as many may be sent again. */
void sl_subscriber_sent(struct sl_subscriber *s, size_t bytes);
void sl_subscriber_nack(struct sl_subscriber *s, const struct sl_nack_fci *fci, int n);
/* forward.c: packets of its replica, in order of arrival, to one subscriber, into the egress batch.
 * Returns how many were looked at: all, or those up to the one that ended its wait (*began). */
int sl_forward(struct sl_subscriber *s, struct sl_pkt *const *pkts, int n, bool *began);
/* A packet that went out before, once more: by RTX, else under its old index. */
void sl_forward_again(struct sl_subscriber *s, struct sl_pkt *pkt, const struct sl_epoch *ep,
		      uint64_t out_seq);

/* ================= limits.c ================= */
void sl_publisher_limit(struct sl_publisher *p, const struct sl_track_limits *limits);
/* The least that players on that loop wish for; 0 nothing. */
void sl_publisher_wish(struct sl_publisher *p, unsigned loop, uint32_t bps);
/* What the next REMB says of it; 0: nothing. */
uint32_t sl_publisher_remb(struct sl_publisher *p);
static inline bool sl_subscriber_limited(const struct sl_subscriber *s)
{
	return s->conf.kind == SL_VIDEO && (s->conf.min_bps || s->conf.max_bps);
}
void sl_subscriber_limit(struct sl_subscriber *s, const struct sl_track_limits *limits);
void sl_subscriber_remb(struct sl_subscriber *s, uint32_t bps);
/* The player's REMB within the limits, or what they say alone; 0 nothing. */
uint32_t sl_subscriber_cap(const struct sl_subscriber *s, enum sl_cap_by *by);
uint32_t sl_replica_least(const struct sl_replica *r);

/* ================= egress (engine.c) ================= */
/* Is there a way to its peer? */
static inline bool sl_egress_ready(const struct sl_transport *t)
{
	return sl_transport_path(t) && t->tx_key && t->phase != SL_T_DEAD;
}
/* Seals and sends what is in the batch. */
void sl_egress_flush(struct sl_engine *e);
/* The next slot of the batch, which is flushed when it is full. Filled, it counts by
 * e->seal_count++. */
static inline struct sl_egress *sl_egress_next(struct sl_engine *e)
{
	if (e->seal_count == SL_BATCH)
		sl_egress_flush(e);
	return &e->egress[e->seal_count];
}
/* Its number among the destinations of the batch. */
static inline uint8_t sl_egress_dest(struct sl_transport *t)
{
	struct sl_engine *e = t->eng;

	if (t->batch != e->batch) {
		t->batch = e->batch;
		t->dest = (uint8_t)e->dest_count;
		e->dests[e->dest_count++] = (struct sl_dest){.t = t};
	}
	return t->dest;
}
/* A free slot for this transport, or NULL when it has no way to its peer. */
struct sl_egress *sl_egress_slot(struct sl_transport *t);
/* A compound in slot->plain. */
void sl_egress_rtcp(struct sl_transport *t, struct sl_egress *slot, size_t len);
/* A datagram that needs no sealing, sent at once. */
void sl_send_plain(struct sl_engine *e, const struct sl_path *path, const uint8_t *data,
		   size_t len);
/* The same to the peer of a transport, marked as its other packets. */
void sl_send_to(struct sl_transport *t, const struct sl_path *path, const uint8_t *data,
		size_t len);

static inline struct sl_pkt *sl_pkt_ref(struct sl_pkt *p)
{
	p->refs++;
	return p;
}
/* RFC 3550 section 5.1: the last octet of padding counts it, the others are ignored. Behind these
 * any number of them is padding, so a shared payload needs no copy to be padded. */
static inline void sl_pad_write(uint8_t *behind)
{
	for (uint8_t i = 0; i < SL_PAD_MAX; i++)
		behind[i] = (uint8_t)(i + 1);
}
struct sl_pkt *sl_pkt_new(struct sl_engine *e);                 /* one reference; NULL when none is
								 * free */
void sl_pkt_unref(struct sl_engine *e, struct sl_pkt *p);       /* takes NULL */

/* ================= feedback.c ================= */
void sl_feedback_rtcp(struct sl_transport *t, const uint8_t *data, size_t len, int64_t rx_us);
/* Reports of all tracks, SDES, REMB: the regular compound. Arms its timer anew. */
void sl_feedback_report(struct sl_transport *t);
void sl_feedback_nack(struct sl_publisher *p);
void sl_feedback_keyframe(struct sl_publisher *p);
void sl_feedback_twcc(struct sl_transport *t);

/* ================= udp.c: the only datagram system calls ================= */
enum { SL_UDP_BATCH = 64, SL_UDP_BUF = 2048, SL_GRO_BATCH = 16, SL_GRO_BUF = 65536 };
struct sl_udp {
	int fd;
	struct sl_addr local;
	uint32_t index;                         /* number of the socket on its loop */
	bool v6;
	bool gso, gro;                          /* the system does it on this socket */
	uint64_t owner;                         /* goes into sl_in.owner */
};
struct sl_udp_bufs;
/* gso and gro: asked for; u->gso and u->gro say what was granted. */
SL_MUST_USE int sl_udp_open(struct sl_udp *u, const struct sl_addr *local, bool gso, bool gro,
			    struct sl_core_why *why);
/* The same for a socket of one transport: gso is what the loop's sockets were granted. SL_EBUSY (the
 * port is taken), SL_EFULL (descriptors or memory of the system), SL_EIO. */
SL_MUST_USE int sl_udp_open_own(struct sl_udp *u, const struct sl_addr *local, bool gso, bool gro);
void sl_udp_close(struct sl_udp *u);
/* gro: 16 buffers of 64 KiB instead of 64 of 2 KiB. */
struct sl_udp_bufs *sl_udp_bufs_new(bool gro);
void sl_udp_bufs_free(struct sl_udp_bufs *b);
/* Reads one batch; sl_udp_next() hands its datagrams out. Returns how many messages there were, 0
 * when there is nothing; fewer than sl_udp_batch() when there is no more. */
int sl_udp_recv(struct sl_udp *u, struct sl_udp_bufs *b, int64_t now_us, int64_t *last_rx_us);
int sl_udp_batch(const struct sl_udp_bufs *b);
/* The next datagrams of the batch, at most SL_UDP_BATCH, valid until the next sl_udp_recv().
 * 0: that was all. */
int sl_udp_next(struct sl_udp_bufs *b, struct sl_in *in);
/* Length of the datagram at `at` in a message of `len` bytes that the system made of datagrams of
 * `segment` bytes; 0 or less: of one. */
static inline size_t sl_gro_len(size_t len, size_t at, int segment)
{
	return segment > 0 ? SL_MIN(len - at, (size_t)segment) : len - at;
}
/* Sends runs in order; returns how many datagrams the system took. The rest is dropped by the
 * caller. */
int sl_udp_send(struct sl_udp *u, struct sl_udp_bufs *b, struct sl_run *runs, int n);
/* Addresses to bind: the configured ones, or those of every interface that is up. Returns the
 * count. */
size_t sl_udp_interfaces(struct sl_addr *out, size_t cap);

/* ================= loop.c ================= */
struct sl_loop;
struct sl_loop_conf {
	struct sl_engine_conf engine;
	struct sl_addr binds[SL_CORE_LOCALS_MAX];
	size_t bind_count;
	bool gso, gro;
	uint32_t max_socks;                     /* of single transports, at a time */
	bool tcp;                               /* listen for connections, too */
	int64_t stranger_us;                    /* how long one may take to say whose it is */
	bool found;                             /* the addresses are the interfaces' own: one that
						 * does not open is left out */
	struct sl_hs_pool *hs_pool;
	struct sl_loop **peers;                 /* all loops, by number; filled before they start */
	unsigned loops;
	void (*wake_control)(void *arg);
	void *arg;
};
/* To the control thread: a finished command or an event. */
struct sl_note {
	struct sl_cmd *cmd;
	struct sl_core_event ev;
};
SL_MUST_USE int sl_loop_new(const struct sl_loop_conf *conf, struct sl_loop **out,
			    struct sl_core_why *why);
SL_MUST_USE int sl_loop_start(struct sl_loop *l);
void sl_loop_join(struct sl_loop *l);
void sl_loop_free(struct sl_loop *l);
/* Control thread. False: mailbox full. */
bool sl_loop_post(struct sl_loop *l, struct sl_cmd *cmd);
struct sl_note *sl_loop_note(struct sl_loop *l);        /* oldest, or NULL; then
							 * sl_loop_note_done */
void sl_loop_note_done(struct sl_loop *l);
/* Any thread. */
void sl_loop_wake(struct sl_loop *l);
struct sl_engine *sl_loop_engine(struct sl_loop *l);    /* for its counters */
size_t sl_loop_locals(const struct sl_loop *l, struct sl_addr *out, size_t cap);

int64_t sl_now_us(void);                                /* CLOCK_MONOTONIC; core/ only */
int64_t sl_wall_us(void);                               /* since 1970; likewise */
#endif
