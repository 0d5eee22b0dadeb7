/* SPDX-License-Identifier: Apache-2.0
 * tests/api/fake_core.h — core.h without media: remembers what it was told, replies on the loop,
 * fails when asked to. */
#ifndef SL_FAKE_CORE_H
#define SL_FAKE_CORE_H
#include "core/core.h"
#include <uv.h>

enum { FAKE_TRANSPORTS = 128, FAKE_REPLIES = 1024 };

struct fake_transport {
	bool open;
	uint64_t id;
	unsigned loop;
	struct sl_transport_conf conf;
	uint64_t tracks[SL_TRACKS_MAX];
	size_t cands;                   /* trickled */
	bool end_of_candidates;
	unsigned restarts;
	int64_t silent_us;
	unsigned remotes;               /* answers that were handed over; conf has the last */
};

/* A track that was added later. */
struct fake_track {
	uint64_t id, transport;
	struct sl_track_conf conf;
	bool live;
};

struct fake_reply {
	sl_reply_fn *fn;
	void *arg;
	struct sl_reply reply;
};

struct sl_core {
	uv_idle_t idle;
	struct fake_transport t[FAKE_TRANSPORTS];
	size_t count;
	struct fake_route {
		uint64_t subscriber, publisher;
	} *routes;
	size_t route_count;
	struct fake_track *tracks;
	size_t track_count;
	struct {
		uint64_t track;
		bool paused;
		uint32_t bps;
	} pauses[64], caps[64];         /* what was said, in order, as long as there is room */
	struct {
		uint64_t track;
		struct sl_track_limits limits;
	} limits[64];
	size_t limit_count;
	unsigned keyframes;             /* asked for */
	struct sl_gather_conf gathered; /* the last one */
	unsigned gathers;
	size_t pause_count, cap_count;
	struct sl_transport_stats stats_reply;  /* what sl_core_stats_of() says */
	struct fake_reply replies[FAKE_REPLIES];
	size_t reply_count;
	unsigned commands, closes;
	/* what to do */
	bool hold;                      /* replies wait */
	int refuse;                     /* every command returns this */
	int fail;                       /* every reply says this */
	int64_t wait_us;
	struct sl_stats stats[2];       /* of each loop */
	bool busy[2];                   /* the loop cannot keep up */
	unsigned shed[2];
};

void fake_core_init(struct sl_core *core, uv_loop_t *loop);
void fake_core_fini(struct sl_core *core);
/* Delivers what was held. */
void fake_core_release(struct sl_core *core);
/* What a subscriber was last told to play; 0 nothing. */
uint64_t fake_core_route(const struct sl_core *core, uint64_t subscriber);
/* The track that was added to a transport on that mid and is there, or NULL. */
struct fake_track *fake_core_track(struct sl_core *core, const struct fake_transport *t, const char *mid);
struct fake_transport *fake_core_by_tag(struct sl_core *core, uint64_t tag);
/* Added tracks that are there. */
size_t fake_core_track_count(const struct sl_core *core);
struct fake_transport *fake_core_last(struct sl_core *core);
size_t fake_core_open_count(const struct sl_core *core);
#endif
