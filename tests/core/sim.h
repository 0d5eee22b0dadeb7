/* SPDX-License-Identifier: Apache-2.0
 * tests/core/sim.h — engines and peers joined by a virtual network, on a virtual clock.
 * One struct sl_engine per loop, with relay rings between them and a worker that takes its virtual
 * time for each step of a handshake; every peer has a link up and one down with delay, jitter,
 * loss, reordering and duplication from a seed. Nothing reads a clock or the system's randomness,
 * so the same seed gives the same bytes (sim->trace). Everywhere, always, checked for what the
 * server sends (T11): under one (peer, SSRC, index) never two payloads, and no SRTCP index twice.
 * At the end of each test: no object, timer or packet is left in any engine. */
#ifndef TESTS_CORE_SIM_H
#define TESTS_CORE_SIM_H
#include "core/core_int.h"
#include "tests/core/peer.h"
#include "tests/test.h"

enum { SIM_SOCKS = 64, SIM_ALLOCS = 8, SIM_CHANNELS = 8 };
enum { SIM_LOOPS = 4, SIM_PEERS = 512, SIM_EVENTS = 4096, SIM_DGRAM = 1600 };

struct sim_link {
	int64_t delay_us, jitter_us;	   /* jitter keeps the order */
	unsigned loss, reorder, duplicate; /* per cent */
	int64_t reorder_us;		   /* a reordered datagram is that much later */
	bool down;
	/* state */
	int64_t last_us;
	uint64_t packets, bytes, lost; /* put on it */
};

struct sim_conf {
	unsigned loops; /* 0: two */
	uint64_t seed;
	bool ipv6; /* all addresses, else IPv4 */
	bool fixed_keys; /* no handshakes: keys are given, with transform `impl` */
	enum sl_srtp_impl impl;
	uint32_t max_handshakes, max_packets, max_transports; /* 0: enough */
	uint32_t max_checks;				      /* a second; 0: any number */
	int64_t ice_timeout_us;				      /* 0: 15 s */
	uint32_t max_video_bps;
	bool watch;  /* every transport */
	bool full;   /* the server checks, too */
	bool tcp;    /* peers are there by TCP only: they connect, or wait for it where `full` */
	bool relayed; /* peers are there by a relay only */
	uint8_t dscp;
	uint16_t mtu; /* likewise */
	bool no_gso; /* each datagram leaves alone, unpadded */
};

/* A peer's datagram on its way to the server, as the server will see it. */
struct sim_way {
	unsigned sock; /* index of a socket of one transport + 1; 0: the loop's own */
	struct sl_addr from;
	size_t len;
	uint8_t data[SIM_DGRAM];
};

struct sim;
struct sim_seen;
struct sim_peer {
	struct sim *sim;
	struct peer *p;	     /* NULL when it has left */
	struct sl_addr addr; /* as the server sees it */
	unsigned loop, number;
	struct sim_link up, down;
	struct sl_srtp_master keys[2]; /* fixed: ours up, ours down */
	struct peer_conf peer_conf;
	struct sl_transport_conf *conf; /* owned until opened */
	bool lite, opened;
	unsigned conn; /* its connection: index of a socket + 1; 0: there is none */
	const struct sl_cert *server_cert; /* that the engine shows it; NULL: sim_cert() */
	bool other_fingerprint; /* signals a digest that is not its certificate's */
	uint64_t transport;
	uint64_t source_ids[PEER_TRACKS], sink_ids[PEER_TRACKS];
	int64_t due_us;
	size_t longest;	  /* datagram to it */
	uint64_t unmarked; /* to it: without the octet that conf.dscp makes */
	struct sim_seen *seen; /* T11 */
	uint32_t srtcp_top;
	bool srtcp_started;
};

/* A socket of one transport, or a connection. */
struct sim_sock {
	bool used, stream;
	unsigned loop;
	uint32_t number;
	uint64_t owner;
	struct sl_addr local, remote;
};

/* A STUN and TURN server that asks nobody who he is. */
struct sim_turn {
	bool silent;
	unsigned refreshed, bound, relayed; /* requests; datagrams to peers */
	struct sim_alloc {
		bool used;
		unsigned sock; /* of the client */
		struct sl_addr relayed, channels[SIM_CHANNELS];
	} allocs[SIM_ALLOCS];
};

struct sim_event {
	int64_t at_us;
	struct sl_core_event ev;
};

struct sim_dgram;
struct sim {
	struct sim_conf conf;
	struct sl_engine engines[SIM_LOOPS];
	struct sl_ring rings[SIM_LOOPS][SIM_LOOPS];
	struct sl_test_rng rng_state[4];
	struct sl_rng rng, link_rng, peer_rng, worker_rng;
	int64_t now_us, end_us;
	int64_t engine_due_us[SIM_LOOPS];
	struct sim_dgram **heap;
	size_t heap_count, heap_cap;
	uint64_t serial;
	struct sim_job {
		struct sl_hs *hs;
		int64_t at_us;
	} jobs[1024];
	size_t job_count, job_max; /* job_max 0: as many as fit */
	struct sim_peer *peers[SIM_PEERS];
	unsigned peer_count;
	struct sim_event events[SIM_EVENTS];
	unsigned event_count;
	struct sim_sock socks[SIM_SOCKS];
	struct sim_turn turn;
	bool no_events;			     /* the ring to the control thread is full */
	bool refuse_runs;		     /* as a route without GSO does; each still arrives */
	uint64_t runs;			     /* of more than one datagram */
	bool relays_stuck;		     /* no loop reads what others sent it */
	uint64_t trace;			     /* over all bytes on the wire and their times */
	uint64_t stray_packets, stray_bytes; /* sent to addresses of no peer */
	/* Sees each datagram as it is put on a link. False: it is lost. */
	bool (*tap)(struct sim *s, struct sim_peer *sp, bool up, const uint8_t *data, size_t len);
	void *tap_arg;
};

/* A simulation is a life of many allocations and of its own; the out-of-memory mode looks at the
 * first of them only, so all but the tests made for it call this first and stop there. */
void sim_no_oom(void);
/* Static, ended by the test's clean-up, which also checks that nothing is left. */
struct sim *sim_new(const struct sim_conf *conf);
void sim_run(struct sim *s, int64_t for_us);
/* Until the condition holds; false when it did not within max_us. */
bool sim_until(struct sim *s, bool (*done)(void *arg), void *arg, int64_t max_us);

/* A peer for that loop, with 20 ms of delay both ways; its tracks are added before sim_open(). */
struct sim_peer *sim_peer(struct sim *s, unsigned loop);
enum {
	SIM_NO_RTX = 1,
	SIM_NO_NACK = 2,
	SIM_BY_MID = 4,
	SIM_TWCC = 8,
	SIM_REMB = 16,
	SIM_NO_RED = 32,
	SIM_NO_H264 = 64,
	SIM_FIR = 128,
	SIM_NO_VP8 = 256,
	SIM_ONLY_GCM = 512,
	SIM_NO_SEND_TIME = 1024
};
/* A camera or microphone with that codec (VP8 and H.264 have one m-line, Opus and RED another). */
struct peer_source *sim_sends(struct sim_peer *sp, enum sl_codec codec, unsigned flags);
struct peer_sink *sim_plays(struct sim_peer *sp, enum sl_kind kind, unsigned flags);
void sim_open(struct sim_peer *sp);
/* The same, returning the engine's error. */
int sim_try_open(struct sim_peer *sp);
/* What a sink plays from now on; NULL: nothing. */
void sim_route(struct peer_sink *sink, const struct peer_source *source);
void sim_close(struct sim_peer *sp); /* by command */
void sim_answer(struct sim_peer *sp); /* the peer's side of one that was opened offering */
void sim_leave(struct sim_peer *sp); /* the peer vanishes without a word */
void sim_restart_ice(struct sim_peer *sp);
void sim_rebind(struct sim_peer *sp); /* NAT: from now on it has another address */
struct sim_peer *sim_of(const struct peer *p);
bool sim_connected(struct sim_peer *sp);
void sim_wait_connected(struct sim_peer *sp, int64_t max_us);
int sim_command(struct sim *s, unsigned loop, struct sl_cmd *cmd);
/* A datagram from any address, arriving now. */
void sim_inject(struct sim *s, unsigned loop, const struct sl_addr *from, const void *data,
		size_t len);
struct sl_addr sim_server(unsigned loop);
/* Events of a type so far, of one transport (0: of all). */
unsigned sim_events(const struct sim *s, int type, uint64_t transport);
const struct sl_core_event *sim_last_event(const struct sim *s, int type, uint64_t transport);
uint64_t sim_stat(const struct sim *s, enum sl_stat which); /* of all loops */
struct sl_transport *sim_transport(const struct sim_peer *sp);
struct sl_publisher *sim_publisher(const struct peer_source *source);
struct sl_subscriber *sim_subscriber(const struct peer_sink *sink);
/* All counters of objects are zero: what a loop must come back to. */
void sim_check_empty(const struct sim *s);
const struct sl_cert *sim_cert(void);

struct sl_addr sim_turn_addr(void);
unsigned sim_allocs(const struct sim *s); /* how many there are */
unsigned sim_socks(const struct sim *s);

/* ---- sim_net.c: what is not a socket of the loop ---- */
int sim_sock_open(void *arg, uint64_t transport, const struct sl_addr *bind, struct sl_addr *local);
int sim_stream_open(void *arg, uint64_t transport, const struct sl_stream_to *to,
		    struct sl_addr *local);
void sim_sock_give(void *arg, uint32_t sock, uint64_t transport);
void sim_sock_close(void *arg, uint32_t sock);
/* From an engine, by such a socket or to the STUN server. False: it is neither. */
bool sim_net_send(struct sim *s, unsigned loop, const struct sl_run *run, const struct iovec *pkt);
/* From a peer: changes *way to what the server will see. False: it gets nowhere. */
bool sim_net_up(struct sim_peer *sp, struct sim_way *way, const struct sl_addr *to);

/* ---- between sim.c, sim_net.c and sim_peer.c ---- */
struct sim_peer *sim_by_addr(struct sim *s, const struct sl_addr *a);
unsigned sim_loop_of(void *engine);
void sim_down(struct sim_peer *sp, const struct sl_addr *from, const struct sl_run *run,
	      const struct iovec *pkt);
void sim_to_engine(struct sim *s, unsigned loop, unsigned sock, const struct sl_addr *from,
		   const uint8_t *data, size_t len);
void sim_up(void *arg, const struct sl_path *path, const uint8_t *data, size_t len);
void sim_refresh(struct sim_peer *sp);
#endif
