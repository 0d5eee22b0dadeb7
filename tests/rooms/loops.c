/* SPDX-License-Identifier: Apache-2.0
 * tests/rooms/loops.c — core/core.h over three engines on the virtual clock: a command reaches its
 * loop after a while, the reply and events come back after another, each in order. */
#include "tests/rooms/world.h"
#include "tests/lib/null_keys.h"
#include "core/base/digest.h"
#include "core/base/mem.h"
#include <stdlib.h>

enum {
	OUTSTANDING_MAX = 900, /* as core.c has it */
	NOTES_MAX = 2048,
	JOB_US = 4000,
	WAKE_US = 1000,
	TRANSPORTS = 1000,
	TRACKS_OF_LOOP = 20000,
	PACKETS = 8192,
	HANDSHAKES = 128
};

struct sl_core {
	struct sl_engine engines[LOOPS];
	struct sl_ring rings[LOOPS][LOOPS];
	struct sl_cert *cert;
	struct sl_test_rng seed;
	struct sl_rng rng;
	bool touched[LOOPS];
	int64_t due_us[LOOPS];
	int64_t in_us[LOOPS], back_us[LOOPS]; /* of the last: they stay in order */
	uint32_t outstanding[LOOPS], notes[LOOPS];
	bool ending;
};

struct note {
	unsigned loop;
	struct sl_cmd *cmd; /* NULL: an event */
	struct sl_core_event ev;
};

static struct sl_core *the;

struct sl_engine *loops_engine(unsigned loop)
{
	return &the->engines[loop];
}

/* ---- back to the control thread ---- */

static void free_cmd(struct sl_cmd *cmd)
{
	if (cmd) {
		sl_free(cmd->conf);
		sl_free(cmd->stats);
	}
	sl_free(cmd);
}

static void come_back(void *arg)
{
	struct note *n = arg;

	the->notes[n->loop]--;
	if (n->cmd) {
		the->outstanding[n->loop]--;
		if (n->cmd->fn)
			n->cmd->fn(n->cmd->arg, &n->cmd->reply);
		free_cmd(n->cmd);
	} else if (world.api) {
		sl_api_event(world.api, &n->ev);
	}
	free(n);
}

static void give_back(unsigned loop, struct sl_cmd *cmd, const struct sl_core_event *ev)
{
	struct note *n = calloc(1, sizeof(*n));
	int64_t at_us = world.now_us + 50 + sl_rng_u32(&world.wire_rng) % 500;

	SL_ASSERT(n);
	n->loop = loop;
	n->cmd = cmd;
	if (ev)
		n->ev = *ev;
	the->notes[loop]++;
	the->back_us[loop] = SL_MAX(the->back_us[loop], at_us);
	world_later(ITEM_NOTE, the->back_us[loop], come_back, n);
}

/* ---- what engines ask for ---- */

static unsigned loop_of(const void *arg)
{
	return (unsigned)((const struct sl_engine *)arg - the->engines);
}

/* 10.0.person.1, by its latest port. */
static struct person *by_addr(const struct sl_addr *a)
{
	struct person *p = a->ip[2] < PEOPLE ? &world.people[a->ip[2]] : NULL;

	return p && p->ice_open && sl_addr_eq(&p->addr, a) ? p : NULL;
}

static void io_send(void *arg, struct sl_run *runs, int n)
{
	struct dgram head = {.loop = loop_of(arg), .from = wire_server(loop_of(arg))};

	for (int i = 0; i < n && !the->ending; i++) {
		const struct person *p = by_addr(&runs[i].path->remote);

		head.to = runs[i].path->remote;
		head.person = p ? p->number : 0;
		for (int k = 0; p && k < runs[i].count; k++)
			wire_put(DOWN, p->distance, &head, runs[i].pkts[k].iov_base,
				 runs[i].pkts[k].iov_len);
	}
}

/* Keys of the null transform instead of a handshake: the first step is the last. */
static void job_done(void *arg)
{
	struct sl_hs *hs = arg;
	unsigned loop = hs->loop;

	null_keys_shake(hs);
	sl_engine_handshake(&the->engines[loop], hs, world.now_us);
	the->touched[loop] = true;
}

static bool io_handshake(void *arg, struct sl_hs *hs)
{
	(void)arg;
	world_later(ITEM_JOB, world.now_us + JOB_US, job_done, hs);
	return true;
}

static struct sl_relay_msg *io_relay_slot(void *arg, unsigned loop, uint32_t reserve)
{
	return loop < LOOPS ? sl_ring_slot(&the->rings[loop_of(arg)][loop], reserve) : NULL;
}

static void io_relay_push(void *arg, unsigned loop)
{
	sl_ring_push(&the->rings[loop_of(arg)][loop]);
}

static bool io_event(void *arg, const struct sl_core_event *ev)
{
	unsigned loop = loop_of(arg);

	if (the->notes[loop] >= NOTES_MAX)
		return false;
	give_back(loop, NULL, ev);
	return true;
}

/* ---- turns ---- */

void loops_recv(unsigned loop, const struct sl_in *in, int n)
{
	sl_engine_recv(&the->engines[loop], in, n, world.now_us);
	the->touched[loop] = true;
}

static bool run_relays(unsigned to)
{
	bool any = false;

	for (unsigned from = 0; from < LOOPS; from++) {
		struct sl_relay_msg *m;

		while (from != to && (m = sl_ring_peek(&the->rings[from][to]))) {
			sl_engine_relay(&the->engines[to], from, m, world.now_us);
			sl_ring_pop(&the->rings[from][to]);
			any = true;
		}
	}
	return any;
}

static void end_wake(unsigned loop)
{
	struct sl_engine *e = &the->engines[loop];

	sl_engine_tick(e, world.now_us);
	sl_engine_flush(e);
	the->touched[loop] = false;
	the->due_us[loop] =
		SL_MAX(sl_engine_deadline_us(e), world.now_us / WAKE_US * WAKE_US + WAKE_US);
}

void loops_turn(void)
{
	for (bool any = true; any;) {
		any = false;
		for (unsigned i = 0; i < LOOPS; i++) {
			bool touched = run_relays(i) || the->touched[i];

			if (!touched && the->due_us[i] > world.now_us)
				continue;
			end_wake(i);
			any = true;
		}
	}
}

int64_t loops_next_us(void)
{
	int64_t at_us = SL_NEVER;

	for (unsigned i = 0; i < LOOPS; i++)
		at_us = SL_MIN(at_us, the->due_us[i]);
	return at_us;
}

unsigned loops_outstanding(void)
{
	return the->outstanding[0] + the->outstanding[1] + the->outstanding[2];
}

/* ---- making and ending ---- */

static int init_engine(const struct sl_config *conf, unsigned loop)
{
	struct sl_engine_conf ec = {
		.loop = loop,
		.max_transports = TRANSPORTS,
		.max_tracks = TRACKS_OF_LOOP,
		.max_packets = PACKETS,
		.max_handshakes = HANDSHAKES,
		.ice_timeout_us = conf->ice.timeout_us,
		.ntp_offset_us = INT64_C(4008988800) * SL_SEC,
		.max_video_bps = conf->publish.max_video_bps,
		.cap_always = conf->publish.cap,
		.cert = the->cert,
		.local_count = 1,
	};
	struct sl_engine_io io = {.arg = &the->engines[loop],
				  .send = io_send,
				  .handshake = io_handshake,
				  .relay_slot = io_relay_slot,
				  .relay_push = io_relay_push,
				  .event = io_event};

	ec.locals[0] = (struct sl_ice_cand){.addr = wire_server(loop),
					    .type = SL_ICE_HOST,
					    .foundation = "1",
					    .priority = sl_ice_priority(SL_ICE_HOST, 65535)};
	return sl_engine_init(&the->engines[loop], &ec, &io, &the->rng, world.now_us);
}

int loops_new(const struct sl_config *conf, struct sl_core **out)
{
	int err;

	the = *out = sl_zalloc(sizeof(*the));
	if (!the)
		return SL_ENOMEM;
	the->rng = sl_test_rng(&the->seed, world.seed * 4 + 3);
	err = sl_cert_new(&the->rng, INT64_C(1800000000) * SL_SEC, &the->cert);
	for (unsigned i = 0; i < LOOPS && !err; i++)
		for (unsigned k = 0; k < LOOPS && !err; k++)
			err = sl_ring_init(&the->rings[i][k], sizeof(struct sl_relay_msg),
					   SL_RELAY_SLOTS);
	for (unsigned i = 0; i < LOOPS && !err; i++) {
		err = init_engine(conf, i);
		the->due_us[i] = SL_NEVER;
	}
	return err;
}

void loops_free(struct sl_core *core)
{
	if (!core)
		return;
	core->ending = true;
	for (unsigned i = 0; i < LOOPS; i++)
		sl_engine_fini(&core->engines[i]);
	for (unsigned i = 0; i < LOOPS; i++)
		for (unsigned k = 0; k < LOOPS; k++)
			sl_ring_fini(&core->rings[i][k]);
	sl_cert_free(core->cert);
	sl_free(core);
	the = NULL;
}

/* ---- core.h: commands ---- */

static void arrive(void *arg)
{
	struct sl_cmd *cmd = arg;
	unsigned loop =
		cmd->type == SL_CMD_OPEN ? cmd->conf->tracks[0].ssrc : sl_id_home(cmd->object);

	if (cmd->type == SL_CMD_OPEN)
		cmd->conf->tracks[0].ssrc = 0;
	sl_engine_command(&the->engines[loop], cmd, world.now_us);
	the->touched[loop] = true;
	give_back(loop, cmd, NULL);
}

static int post(struct sl_core *c, unsigned loop, struct sl_cmd *cmd, sl_reply_fn *fn, void *arg)
{
	int64_t at_us = world.now_us + 50 + sl_rng_u32(&world.wire_rng) % 500;

	if (loop >= LOOPS || c->outstanding[loop] >= OUTSTANDING_MAX) {
		free_cmd(cmd);
		return loop >= LOOPS ? SL_ENOTFOUND : SL_EBUSY;
	}
	cmd->fn = fn;
	cmd->arg = arg;
	c->outstanding[loop]++;
	c->in_us[loop] = SL_MAX(c->in_us[loop], at_us);
	world_later(ITEM_COMMAND, c->in_us[loop], arrive, cmd);
	return SL_OK;
}

static struct sl_cmd *new_cmd(enum sl_cmd_type type, uint64_t object, bool with_conf)
{
	struct sl_cmd *cmd = sl_zalloc(sizeof(*cmd));

	if (cmd && with_conf)
		cmd->conf = sl_zalloc(sizeof(*cmd->conf));
	if (!cmd || (with_conf && !cmd->conf)) {
		sl_free(cmd);
		return NULL;
	}
	cmd->type = type;
	cmd->object = object;
	return cmd;
}

static int simple(struct sl_core *c, struct sl_cmd *cmd, sl_reply_fn *fn, void *arg)
{
	return cmd ? post(c, sl_id_home(cmd->object), cmd, fn, arg) : SL_ENOMEM;
}

/* The loop of a transport that is not there yet travels where no track is. */
int sl_core_open(struct sl_core *c, unsigned loop, const struct sl_transport_conf *conf,
		 sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_OPEN, 0, true);

	SL_ASSERT(conf->track_count == 0);
	if (!cmd)
		return SL_ENOMEM;
	*cmd->conf = *conf;
	cmd->conf->tracks[0].ssrc = loop;
	return post(c, loop, cmd, fn, arg);
}

int sl_core_add_candidates(struct sl_core *c, uint64_t transport, const struct sl_core_cand *cands,
			   size_t n, bool end, sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_CANDIDATES, transport, false);

	if (!cmd)
		return SL_ENOMEM;
	cmd->cand_count = SL_MIN(n, (size_t)SL_CORE_CANDS_MAX);
	if (cmd->cand_count > 0)
		memcpy(cmd->cands, cands, cmd->cand_count * sizeof(*cands));
	cmd->end = end;
	return simple(c, cmd, fn, arg);
}

int sl_core_restart_ice(struct sl_core *c, uint64_t transport, const char *ufrag, const char *pwd,
			sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_RESTART, transport, false);

	if (!cmd)
		return SL_ENOMEM;
	(void)sl_fmt(cmd->ufrag, sizeof(cmd->ufrag), "%s", ufrag);
	(void)sl_fmt(cmd->pwd, sizeof(cmd->pwd), "%s", pwd);
	return simple(c, cmd, fn, arg);
}

int sl_core_add_tracks(struct sl_core *c, uint64_t transport, const struct sl_track_conf *tracks,
		       size_t n, sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_ADD_TRACKS, transport, true);

	SL_ASSERT(n <= SL_TRACKS_MAX);
	if (!cmd)
		return SL_ENOMEM;
	memcpy(cmd->conf->tracks, tracks, n * sizeof(*tracks));
	cmd->conf->track_count = n;
	return simple(c, cmd, fn, arg);
}

int sl_core_remove_track(struct sl_core *c, uint64_t track, sl_reply_fn *fn, void *arg)
{
	return simple(c, new_cmd(SL_CMD_REMOVE_TRACK, track, false), fn, arg);
}

int sl_core_route(struct sl_core *c, uint64_t subscriber, uint64_t publisher, sl_reply_fn *fn,
		  void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_ROUTE, subscriber, false);

	if (cmd)
		cmd->other = publisher;
	return simple(c, cmd, fn, arg);
}

int sl_core_info(struct sl_core *c, uint64_t transport, sl_reply_fn *fn, void *arg)
{
	return simple(c, new_cmd(SL_CMD_INFO, transport, false), fn, arg);
}

int sl_core_stats_of(struct sl_core *c, uint64_t transport, sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_STATS, transport, false);

	if (cmd)
		cmd->stats = sl_zalloc(sizeof(*cmd->stats));
	if (!cmd || !cmd->stats) {
		free_cmd(cmd);
		return SL_ENOMEM;
	}
	return simple(c, cmd, fn, arg);
}

int sl_core_pause(struct sl_core *c, uint64_t track, bool paused, sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_PAUSE, track, false);

	if (cmd)
		cmd->paused = paused;
	return simple(c, cmd, fn, arg);
}

int sl_core_set_cap(struct sl_core *c, uint64_t publisher, uint32_t bps, sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_CAP, publisher, false);

	if (cmd)
		cmd->bps = bps;
	return simple(c, cmd, fn, arg);
}

int sl_core_set_remote(struct sl_core *c, uint64_t transport, const struct sl_transport_conf *conf,
		       sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_REMOTE, transport, true);

	if (cmd)
		*cmd->conf = *conf;
	return simple(c, cmd, fn, arg);
}

int sl_core_new_credentials(struct sl_core *c, uint64_t transport, sl_reply_fn *fn, void *arg)
{
	return simple(c, new_cmd(SL_CMD_CREDENTIALS, transport, false), fn, arg);
}

int sl_core_close(struct sl_core *c, uint64_t transport, sl_reply_fn *fn, void *arg)
{
	return simple(c, new_cmd(SL_CMD_CLOSE, transport, false), fn, arg);
}

/* ---- core.h: looking ---- */

unsigned sl_core_loops(const struct sl_core *c)
{
	(void)c;
	return LOOPS;
}

uint32_t sl_core_transports(const struct sl_core *c, unsigned loop)
{
	return c->engines[loop].transport_count;
}

unsigned sl_core_shed(const struct sl_core *core, unsigned loop);
bool sl_core_busy(const struct sl_core *c, unsigned loop)
{
	(void)c;
	(void)loop;
	return false;
}

unsigned sl_core_shed(const struct sl_core *c, unsigned loop)
{
	(void)c;
	(void)loop;
	return 0;
}

const char *sl_core_fingerprint(const struct sl_core *c)
{
	return sl_cert_fingerprint(c->cert);
}

size_t sl_core_tcp_candidates(const struct sl_core *core, unsigned loop, struct sl_core_cand *out,
			      size_t cap)
{
	(void)core;
	(void)loop;
	(void)out;
	(void)cap;
	return 0;
}

size_t sl_core_candidates(const struct sl_core *c, unsigned loop, struct sl_core_cand *out,
			  size_t cap)
{
	(void)c;
	SL_ASSERT(cap > 0);
	out[0] = (struct sl_core_cand){.addr = wire_server(loop),
				       .priority = sl_ice_priority(SL_ICE_HOST, 65535),
				       .foundation = "1",
				       .type = "host"};
	return 1;
}

const struct sl_stats *sl_core_stats(const struct sl_core *c, unsigned loop)
{
	return &c->engines[loop].stats;
}

uint16_t sl_core_port(const struct sl_core *c, unsigned loop)
{
	(void)c;
	return wire_server(loop).port;
}

size_t sl_core_sockets(const struct sl_core *c, unsigned loop, struct sl_addr *out, size_t cap)
{
	(void)c;
	SL_ASSERT(cap > 0);
	out[0] = wire_server(loop);
	return 1;
}

int64_t sl_core_handshake_wait_us(const struct sl_core *c)
{
	(void)c;
	return 0;
}

uint32_t sl_core_format(enum sl_codec codec, const char *what)
{
	return sl_crc32(what, strlen(what)) ^ (uint32_t)codec << 24 ^ (uint32_t)codec;
}

const char *sl_close_cause_text(enum sl_close_cause c)
{
	return c == SL_CLOSE_TIMEOUT ? "nothing came from the peer any more" : "another cause";
}

int sl_core_check_key_file(const char *path, struct sl_core_why *why)
{
	(void)path;
	(void)why;
	return SL_OK;
}
