/* SPDX-License-Identifier: Apache-2.0
 * bench/load.h — sluice-load, a load generator: publishers and subscribers that speak real ICE,
 * DTLS and SRTP through this project's engines, over one UDP socket each.
 * What:      load.c        options, scenario, the loop, commands and the report;
 *            load_peer.c   one peer: socket, ICE, DTLS, keys, RTCP;
 *            load_media.c  sources (bursts of packets) and sinks (counting, checking, latency);
 *            load_hand.c   handshakes on a thread of their own, so that media goes on meanwhile;
 *            load_http.c   HTTP requests without waiting;
 *            load_whip.c   signalling by WHIP and WHEP; load_janus.c by the videoroom's HTTP API;
 *            load_rtp.c    plain RTP in and SRTP out by a plan, without ICE and DTLS;
 *            load_stat.c   histograms and the result as JSON.
 * Checks:    every packet is counted by its RTP header (loss, repetition, order), which is in
 *            clear. One in `stride` is deciphered by libsrtp2 and compared byte for byte with what
 *            was sent.
 * Latency:   from the clock read before the sendmmsg() that carries a publisher's packet to the
 *            kernel's stamp of its arrival at a subscriber's socket: neither this program's
 *            encryption nor its waiting counts. A subscriber's numbers differ from the publisher's
 *            by a constant, learned and verified by the deciphered packets; so every packet has
 *            one.
 * Sockets:   without UDP_GRO: a receiver that merges spares the sender the kernel's cutting, and so
 *            flatters it.
 * Threads:   one, and the one of load_hand.c. Memory: nothing is allocated per packet.
 * Start at:  load_run() in load.c; then load_source_tick() and load_sink_packet(). */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H
#include "core/base/list.h"
#include "dtls/dtls.h"
#include "ice/ice.h"
#include "rtp/rtp.h"
#include "rtp/sdp/sdp.h"
#include <cjson/cJSON.h>
#include <sys/socket.h>

enum {
	LOAD_BATCH = 64,                /* datagrams of one recvmmsg() */
	LOAD_BUF = 2048,
	LOAD_BURST_MAX = 64,
	LOAD_KEPT = 1024,               /* sealed packets a source can send again */
	LOAD_SENT = 8192,               /* send times a source remembers */
	LOAD_SEEN = 4096,               /* sequence numbers a sink remembers */
	LOAD_PACKET = 1500,
	LOAD_URL = 256,
	LOAD_TEXT = 65536               /* of an SDP or a JSON message */
};

/* ================= load_stat.c ================= */
/* Values of a nanosecond to minutes, in buckets of 1.6 %. */
enum { LOAD_HIST = 64 * 40 };
struct load_hist {
	uint64_t count, max;
	uint32_t bucket[LOAD_HIST];
};
void load_hist_add(struct load_hist *h, int64_t ns);
/* Value at a quantile of 0 to 1, in microseconds; 0 of an empty one. */
double load_hist_us(const struct load_hist *h, double quantile);

/* Of one kind of media: to those who are there when the window ends. */
struct load_count {
	uint64_t sent, received, lost;
};

/* What one window measured. */
struct load_window {
	int64_t start_us, cpu_us;       /* when it began; CPU time of this process then */
	uint64_t sent, received, bytes, lost, duplicates, reordered;
	uint64_t checked, bad;          /* deciphered; not what was sent */
	uint64_t shifted;               /* streams whose numbers moved by another amount */
	uint64_t strays;                /* datagrams of no known kind */
	uint64_t unsent;                /* the kernel would not take them */
	uint64_t nacked, again, plis;   /* asked of publishers; sent again */
	uint64_t joins, refused, failed, leaves;
	uint64_t drops;                 /* by full buffers of our own sockets */
	struct load_count kind[SL_KIND_COUNT];
	struct load_hist latency, late, join;
};
cJSON *load_window_json(const struct load_window *w, int64_t now_us, int64_t cpu_us);

/* ================= the whole ================= */
enum load_server { LOAD_SLUICE, LOAD_JANUS, LOAD_RTP };

struct load_stream_conf {
	double pps;                     /* of one track; 0: no such tracks */
	unsigned burst;                 /* packets at a time */
	uint32_t bytes[2];              /* payload: first half of a burst, second half */
};

struct load_conf {
	enum load_server server;
	char name[32], host[64], base[64], room[64], token[128];
	char plan[LOAD_URL];            /* file, of LOAD_RTP */
	uint16_t port;
	unsigned publishers, subscribers;
	struct load_stream_conf stream[SL_KIND_COUNT];
	unsigned parallel;              /* joins under way at a time */
	double joins_per_s;             /* churn; 0 none */
	int64_t stay_us;                /* of those who come and go */
	int64_t feedback_us;            /* between transport-cc reports of a subscriber */
	double checks_per_s;            /* packets to decipher, about */
	bool control;                   /* commands on standard input */
	int64_t seconds;
};

enum load_kind { LOAD_PEER, LOAD_HTTP, LOAD_HAND, LOAD_STDIN };
struct load_watch {                     /* what epoll hands back */
	enum load_kind kind;
	int fd;
};

struct load;
struct load_peer;
struct load_http;
typedef void (*load_http_done)(void *arg, int status, const char *head, const char *body,
			       size_t len);

/* ---- a track that sends ---- */
struct load_source {
	uint32_t id;                    /* stands in every packet; index in load.sources */
	struct load_peer *peer;         /* borrowed */
	enum sl_kind kind;
	struct load_stream_conf conf;
	uint32_t ssrc, ts;
	uint8_t pt;
	char mid[SL_MID_MAX + 1];
	struct sl_ext_map exts;
	struct sl_hdr_writer writer;
	/* state */
	uint64_t seq, first_seq;        /* next one */
	uint64_t octets;
	int64_t next_us;                /* SL_NEVER: stopped */
	double next_exact_us;
	bool key_wanted;
	int64_t sent_ns[LOAD_SENT];     /* wall time, by seq */
	uint16_t kept_len[LOAD_KEPT];
	uint8_t kept[LOAD_KEPT][LOAD_PACKET];
};

/* ---- an SSRC that arrives ---- */
struct load_sink {
	uint32_t ssrc;
	bool ignored;                   /* RTX */
	bool started;
	uint64_t top;                   /* highest extended number */
	uint64_t reported_lost, lost, received;
	uint64_t floor;                 /* numbers below it were before the window */
	uint64_t seen[LOAD_SEEN / 64];
	unsigned samples;
	/* the source, once a packet was deciphered: out = in + shift */
	struct load_source *source;
	int64_t shift;
};

enum load_state {
	LOAD_UNUSED, LOAD_ASKING, LOAD_CONNECTING, LOAD_CONNECTED, LOAD_LEAVING, LOAD_GONE
};

struct load_peer {
	struct load_watch watch;
	struct load *load;              /* borrowed */
	enum load_state state;
	bool publisher, passing;        /* passing: comes and goes */
	unsigned number;                /* a publisher's place, from 0 */
	unsigned refs;                  /* answers awaited: HTTP requests, a handshake */
	uint16_t port;
	/* owned */
	struct sl_ice *ice;             /* NULL: plain RTP */
	struct sl_dtls *dtls;
	struct load_hand *hand;
	struct sl_srtp_key *tx_key, *rx_key;
	void *checker;                  /* libsrtp2's context */
	struct load_source *sources[SL_KIND_COUNT];
	struct load_sink *sinks;
	unsigned sink_count, sink_cap, sink_last;
	struct sl_twcc_rx *twcc;
	/* state */
	struct sl_fingerprint fingerprint;
	bool dtls_client;
	struct sl_addr remote;
	uint8_t twcc_id;
	bool rtx_pt[128];
	uint16_t twcc_seq;
	uint32_t rtcp_ssrc, srtcp_index, twcc_media;
	struct sl_srtp_rx rtcp_window;
	int64_t due_us, report_us, feedback_us;
	int64_t asked_us, answered_us, connected_us, first_us;
	int64_t leave_us, retry_us;
	char location[160];             /* WHIP: path of the session */
	uint64_t handle;                /* janus */
	bool attached;
};

struct load {
	struct load_conf conf;
	/* owned */
	int epoll, stdin_flags;
	struct sl_rng rng;
	struct sl_cert *cert;
	struct sl_srtp_mgr *mgr;
	struct load_peer **peers;
	unsigned peer_count, peer_cap;
	struct load_source **sources;
	unsigned source_count;
	struct load_hands *hands;
	struct sl_stats stats;
	/* janus */
	uint64_t session, room_handle;
	uint64_t transaction;
	bool polling;
	cJSON *plan;                    /* owned; of load_rtp.c */
	/* state */
	int64_t now_us;
	int64_t wall_ns;                /* wall minus monotonic clock */
	unsigned publishers_up, subscribers_up, pending, started_publishers, started_subscribers;
	bool signalling_ready, ready_told, stopping;
	uint64_t check_count, check_stride;
	double next_join_us;
	int64_t scan_us, progress_us;
	int64_t up_us;                  /* when the last peer connected */
	uint64_t gone_drops;            /* of peers that left */
	struct load_window window;
	int64_t window_end_us;          /* SL_NEVER: none */
	int64_t drain_end_us;
	bool drain;
	char why[256];                  /* set: the run has failed */
};

/* Of this process, for messages. */
void load_fail(struct load *l, const char *fmt, ...) SL_PRINTF(2, 3);
void load_say(const char *fmt, ...) SL_PRINTF(1, 2);
int64_t load_wall_ns(void);
int load_watch(struct load *l, struct load_watch *w, enum load_kind kind, int fd, uint32_t events);
/* A peer has its media path, or never will. why NULL: one that comes and goes was refused. */
void load_peer_connected(struct load *l, struct load_peer *p);
void load_peer_failed(struct load *l, struct load_peer *p, const char *why);

/* ================= load_peer.c ================= */
/* A peer with a socket and credentials of its own, not yet signalled. NULL: out of something. */
struct load_peer *load_peer_new(struct load *l, bool publisher);
void load_peer_end(struct load_peer *p);        /* closes, keeps the struct until refs is 0 */
void load_peer_free(struct load_peer *p);
/* What signalling brought: `remote` is the server's description, `agreed` the answer, whosever it
 * is. SL_OK, SL_EPARSE, SL_EUNSUPPORTED. */
SL_MUST_USE int load_peer_remote(struct load_peer *p, const struct sl_sdp *remote,
				 const struct sl_sdp *agreed);
/* Without ICE and DTLS: it sends there, plain, and opens what comes by that key (NULL: nothing
 * comes). */
void load_peer_direct(struct load_peer *p, const struct sl_addr *to,
		      const struct sl_srtp_master *key);
void load_peer_read(struct load_peer *p);
void load_peer_tick(struct load_peer *p);
void load_peer_send(struct load_peer *p, const uint8_t *data, size_t len);
void load_peer_send_rtcp(struct load_peer *p, const uint8_t *plain, size_t len);
void load_peer_hand_done(struct load_peer *p);
/* Datagrams that did not fit into the socket's buffer, since it was opened. */
uint32_t load_peer_drops(const struct load_peer *p);

/* ================= load_media.c ================= */
void load_media_init(void);
struct load_source *load_source_new(struct load *l, struct load_peer *p, enum sl_kind kind);
void load_source_start(struct load_source *s);
void load_source_rate(struct load_source *s, double pps);
void load_source_tick(struct load_source *s);
void load_source_again(struct load_source *s, uint16_t seq16);
void load_source_report(struct load_source *s);
/* One SRTP packet as it came, with the kernel's stamp of its arrival. */
void load_sink_packet(struct load_peer *p, uint8_t *data, size_t len, int64_t rx_ns);
/* A window begins: what came before does not count. At its end: what never came (drained: also
 * the last ones sent). */
void load_sink_mark(struct load_sink *s);
uint64_t load_sink_tail(const struct load_sink *s);

/* ================= load_hand.c ================= */
/* One handshake, and its datagrams both ways. */
struct load_hands;
struct load_hands *load_hands_new(struct load *l);
void load_hands_free(struct load_hands *h);
void load_hands_done(struct load_hands *h);     /* called when its descriptor is readable */
/* data NULL: the timer. Passes it on now, or when the step under way is done. */
void load_hand_step(struct load_peer *p, const uint8_t *data, size_t len);
struct load_hand *load_hand_new(struct load_peer *p);
void load_hand_free(struct load_hand *h);
/* What a step brought: datagrams to send, one by one, and how it stands. */
bool load_hand_pull(struct load_hand *h, const uint8_t **data, size_t *len);
enum sl_dtls_state load_hand_state(const struct load_hand *h);
const struct sl_dtls_keys *load_hand_keys(const struct load_hand *h);
int64_t load_hand_deadline_us(const struct load_hand *h);
bool load_hand_idle(const struct load_hand *h);

/* ================= load_http.c ================= */
/* Sends a request and calls done once, with status 0 when there was no answer. extra: header lines
 * with CRLF each, or "". SL_OK, SL_EFULL, SL_EIO, SL_ENOMEM; then done is not called. */
SL_MUST_USE int load_http_ask(struct load *l, const char *method, const char *path,
			      const char *extra, const char *body, load_http_done done, void *arg);
void load_http_event(struct load *l, struct load_watch *w);
/* Value of a header of an answer. Empty when absent. */
struct sl_str load_http_header(const char *head, const char *name);

/* ================= load_whip.c, load_janus.c, load_rtp.c ================= */
struct load_signalling {
	void (*begin)(struct load *l);  /* sets l->signalling_ready some time */
	void (*join)(struct load_peer *p);
	void (*leave)(struct load_peer *p);
};
extern const struct load_signalling load_whip, load_janus, load_rtp;
/* load_rtp.c: the port of the next publisher or subscriber. */
uint16_t load_rtp_port(const struct load *l, bool publisher);
/* m-lines of a subscriber: one per track of each publisher, audio first. */
size_t load_offer_lines(const struct load *l, const struct load_peer *p,
			struct sl_sdp_offer_line *lines, char mids[][8], size_t cap);
void load_ours(struct load_peer *p, struct sl_sdp_ours *ours, struct sl_sdp_cand *cand,
	       char port_text[16]);
const struct load_signalling *load_signalling(const struct load *l);
#endif
