/* SPDX-License-Identifier: Apache-2.0
 * tests/rooms/world.h — a hundred virtual people in rooms: the real api/ over real media engines,
 * on a virtual clock.
 * What:      the rooms and the join protocol of api/, three struct sl_engine with rings between
 *            them, and people who speak docs/join.md, have a full ICE agent and send one packet a
 *            second on each track. One thread; nothing reads the system's clock or randomness, so
 *            the same seed gives the same run (world.trace).
 * Seams:     clock_gettime() is the virtual clock, for libuv and libwebsockets as well. sockets.c
 *            stands in for api/ws.c: messages whole and in order, with its bounds of the queue, but
 *            no frames. loops.c stands in for core.c and loop.c: the functions of core/core.h,
 *            with mailboxes, replies and events that take their time. A handshake job is answered
 *            with keys of the null transform, where a worker would take DTLS's. REST goes over a
 *            real connection, while the clock stands still.
 * Always:    what comes on an SSRC counts up by one (its numbers are the slot's own, whoever is on
 *            it); an m-line keeps its place, kind, direction and SSRC for life.
 * Start at:  world_begin(), then test_rooms.c. */
#ifndef TESTS_ROOMS_WORLD_H
#define TESTS_ROOMS_WORLD_H
#include "api/api.h"
#include "api/join.h"
#include "core/core_int.h"
#include "tests/test.h"
#include <cjson/cJSON.h>

enum { LOOPS = 3, PEOPLE = 100, LINES = SL_SDP_OFFER_MEDIA_MAX, TRACKS_EVER = 20000 };
enum { STAMP = 12, DGRAM_MAX = 1600, UP = 0, DOWN = 1, DISTANCES = 4 };

/* What is under way; the world is not quiet while any of them is. */
enum item { ITEM_SOCKET, ITEM_COMMAND, ITEM_NOTE, ITEM_JOB, ITEM_COUNT };

/* Something published, from the offer that has it to its end. */
struct track {
	uint32_t serial; /* stands in its packets */
	char id[API_ID_LEN + 1];
	enum sl_kind kind;
	unsigned owner;
	bool live, muted, held;
	enum { UNSEEN, SEEN, SEEN_MUTED } seen[PEOPLE]; /* what who was told of it */
};

/* An m-line as its person knows it. */
struct line {
	enum sl_kind kind;
	bool slot;
	uint32_t ssrc; /* slot: theirs. Else ours, for life as a browser's sender has it */
	char msid[96];
	struct track *track; /* slot: who is on it, as `slots` says. Else ours; NULL nothing */
	bool paused;
	/* in */
	bool started, in_window;
	uint16_t seq;
	uint32_t counter; /* of the publisher, in the window */
	unsigned got;	  /* in the window */
	uint64_t packets;
	/* out */
	bool key_wanted;
	uint8_t pt, mid_ext, level_ext;
	uint16_t out_seq;
	uint32_t out_counter;
};

struct person {
	unsigned number;
	char name[8];
	enum { OUT, COMING, IN, LOST, LEAVING } state;
	bool publishes, subscribes; /* rights */
	bool loud;
	bool left_traces; /* vanished: its name may still be taken */
	/* signalling */
	struct api_ws *ws; /* NULL: none */
	unsigned up_pending;
	char session[API_ID_LEN + 1], token[API_ID_LEN + 1];
	int offer;
	bool here[PEOPLE]; /* who is in the room, as it was told */
	char speaker[8];
	uint64_t remb_bps;
	int close_code;
	/* the PeerConnection */
	struct sl_ice ice;
	bool ice_open;
	char remote_ufrag[SL_ICE_UFRAG_MAX + 1];
	struct sl_addr addr;
	unsigned distance, loop;
	uint16_t port;
	uint32_t srtcp_index;
	struct line lines[LINES];
	size_t line_count;
	uint16_t by_ssrc[1024]; /* line + 1 */
	struct sl_stats stats;
};

struct dgram {
	int64_t at_us;
	struct sl_addr from, to;
	unsigned loop, person;
	uint16_t len;
	uint8_t data[DGRAM_MAX];
};

/* Datagrams of one direction and distance: first in, first out. */
struct fifo {
	struct dgram *at; /* cap of them, a power of two */
	size_t first, count, cap;
};

struct world {
	uint64_t seed;
	bool running, done;
	int64_t now_us;
	int64_t looks; /* at the clock */
	struct sl_test_rng seeds[4];
	struct sl_rng dice, rng, wire_rng;
	uint64_t trace; /* over all datagrams and messages and their times */
	/* the server */
	uv_loop_t uv;
	bool uv_open;
	struct sl_config conf;
	struct sl_core *core;
	struct sl_api *api;
	/* the people */
	struct person people[PEOPLE];
	struct track *tracks;
	uint32_t track_count;
	struct sl_hash by_id;
	int64_t ice_due_us[PEOPLE]; /* close together: every step looks at all */
	bool media_stopped, window;
	int64_t media_us; /* next turn of who sends */
	/* the wire */
	struct fifo wire[2][DISTANCES];
	unsigned pending[ITEM_COUNT];
	/* counted */
	uint64_t datagrams, packets, messages, offers, checks, steps;
	uint64_t errors_busy, errors_taken, closes[5000];
};
extern struct world world;

/* ---- world.c: the clock, the agenda, the end ---- */
/* A world whose server has started; ended when the test ends. conf: changes to the configuration. */
void world_begin(uint64_t seed, void (*conf)(struct sl_config *c));
/* Frees everything; done by itself when the test ends. */
void world_end(void *unused);
/* The seed to use: SL_ROOMS_SEED, or that. */
uint64_t world_seed(uint64_t usual);
void world_run(int64_t for_us);
/* Until nothing is under way any more, nobody waits for anything, and some seconds longer. */
void world_quiet(void);
bool world_is_quiet(void);
/* The next thing that happens, up to end_us. False: nothing until then. */
bool world_step(int64_t end_us);
void world_later(enum item kind, int64_t at_us, void (*fn)(void *arg), void *arg);
void world_trace(const void *data, size_t len);
uint32_t roll(uint32_t n);

/* ---- wire.c: datagrams ---- */
void wire_put(int direction, unsigned distance, const struct dgram *head, const void *data,
	      size_t len);
int64_t wire_next_us(void);
/* Delivers what is due. */
void wire_deliver(void);
void wire_fini(void);
struct sl_addr wire_server(unsigned loop);

/* ---- loops.c: core.h over engines ---- */
SL_MUST_USE int loops_new(const struct sl_config *conf, struct sl_core **out);
void loops_free(struct sl_core *core);
struct sl_engine *loops_engine(unsigned loop);
int64_t loops_next_us(void);
void loops_recv(unsigned loop, const struct sl_in *in, int n);
/* Ticks what is due, lets rings run empty, sends what is queued. */
void loops_turn(void);
unsigned loops_outstanding(void);

/* ---- sockets.c: api/ws.h without frames ---- */
/* Where its messages and its close go: person_heard(), person_closed(). */
struct api_ws *socket_open(struct person *p, const char *query);
void socket_say(struct person *p, const char *text, size_t len);
/* Gone without a word; NULL afterwards. */
void socket_drop(struct person *p);
size_t sockets_live(void);
void sockets_fini(void);

/* ---- person.c: signalling ---- */
void person_come(struct person *p, const char *query_more);
void person_leave(struct person *p);
/* It was thrown out: a close is on its way to it. */
void person_kicked(struct person *p);
/* Socket and media stop; nothing is said. */
void person_vanish(struct person *p);
/* Socket lost; comes back in a while and goes on. */
void person_lose_socket(struct person *p, int64_t for_us);
/* The page is loaded anew: another PeerConnection, the same name. */
void person_reload(struct person *p);
void person_say(struct person *p, const char *fmt, ...) SL_PRINTF(2, 3);
/* kinds: "a", "v", "av", "s" for a screen. */
void person_publish(struct person *p, const char *kinds);
void person_unpublish(struct person *p, struct line *l);
void person_mute(struct person *p, struct line *l, bool muted);
void person_pause(struct person *p, struct line *l, bool paused);
size_t person_publishing(const struct person *p);
/* The i-th line (modulo) that it publishes on; NULL: none. */
struct line *person_own(struct person *p, unsigned i);
void person_heard(struct person *p, const char *text, size_t len);
void person_closed(struct person *p, int code);
struct api_session *person_session(const struct person *p);

/* ---- media.c: ICE and packets ---- */
void media_open(struct person *p);
void media_close(struct person *p);
/* What the server's offer says of its side. */
void media_remote(struct person *p, struct sl_str ufrag, struct sl_str pwd,
		  const struct sl_sdp_cand *cands, size_t n);
void media_recv(struct person *p, const struct dgram *d);
void media_tick(struct person *p);
/* One packet on each of its tracks. */
void media_send(struct person *p);
void media_index(struct person *p, size_t line);

/* ---- rest.c: one request over a real connection ---- */
/* The status. body: of the request, or "". */
int rest(const char *method, const char *path, const char *body, char *answer, size_t cap);

/* ---- check.c ---- */
/* Everybody has what everybody publishes, was told so, and gets its packets. */
void check_everybody_has_everything(void);
/* Everybody has left: nothing is left of anything. */
void check_nothing_is_left(uint64_t live_before);
/* Blocks of memory that are held, but for the slabs of pools, which never shrink. */
uint64_t check_memory(void);
#endif
