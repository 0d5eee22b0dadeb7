/* SPDX-License-Identifier: Apache-2.0
 * core/core.c — the control thread's side: loops, workers, commands, replies, events. */
#include "core/core_int.h"
#include "core/base/digest.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/tls.h"
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

enum {
	OUTSTANDING_MAX = 900,
	MAX_TRANSPORTS = 10000,
	MAX_TRACKS = 20000,
	MAX_PACKETS = 32768,
	MAX_HANDSHAKES = 128,
	MAX_CHECKS = 5000, /* T07: ICE checks a second, of all loops together */
	STRANGER_US = 10 * 1000000
};

struct sl_core {
	/* owned */
	struct sl_certs certs;
	struct sl_hs_pool *hs_pool;
	struct sl_loop *loops[SL_CORE_LOOPS_MAX];
	struct sl_rng rng;
	uv_async_t *async;    /* freed by its close callback */
	struct sl_cmd *stops; /* one per loop: the end must not need memory */
	struct sl_cmd *held;  /* they wait for the RSA certificate */
	/* borrowed */
	uv_loop_t *control;
	sl_event_fn *on_event;
	void *arg;
	/* state */
	unsigned loop_count;
	uint32_t outstanding[SL_CORE_LOOPS_MAX];
	struct sl_addr announce[SL_CORE_LOCALS_MAX];
	size_t announce_count;
};

static const char *const causes[] = {
	[SL_CLOSE_NONE] = "still open",
	[SL_CLOSE_REQUESTED] = "closed on request",
	[SL_CLOSE_BY_PEER] = "the peer closed the connection",
	[SL_CLOSE_TIMEOUT] = "nothing authentic came from the peer any more",
	[SL_CLOSE_NEVER_CONNECTED] = ("no connectivity check ever succeeded: is UDP blocked, "
				      "or the announced address wrong?"),
	[SL_CLOSE_DTLS] = "the DTLS handshake failed",
	[SL_CLOSE_BUG] = "an error of sluice's own",
	[SL_CLOSE_SHUTDOWN] = "the server is shutting down",
};

const char *sl_close_cause_text(enum sl_close_cause c)
{
	return (size_t)c < SL_COUNT(causes) ? causes[c] : "unknown";
}

uint32_t sl_core_format(enum sl_codec codec, const char *what)
{
	return sl_crc32(what, strlen(what)) ^ (uint32_t)codec << 24 ^ (uint32_t)codec;
}

/* ---- set-up ---- */

static size_t parse_list(const struct sl_config_list *list, struct sl_addr *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n && n < cap; i++)
		if (sl_addr_parse(sl_str_z(list->at[i]), &out[n]) == SL_OK)
			n++;
	return n;
}

static int find_binds(const struct sl_config *conf, struct sl_loop_conf *lc,
		      struct sl_core_why *why)
{
	lc->bind_count = conf->media.bind.n
				 ? parse_list(&conf->media.bind, lc->binds, SL_CORE_LOCALS_MAX)
				 : sl_udp_interfaces(lc->binds, SL_CORE_LOCALS_MAX);
	lc->found = conf->media.bind.n == 0;
	if (lc->bind_count > 0)
		return SL_OK;
	sl_fmt(why->text, sizeof(why->text),
	       "no network address to receive media on; set media.bind");
	return SL_EIO;
}

/* NTP's era began in 1900; the offset is latched here and never steps. */
static int64_t ntp_offset_us(void)
{
	return sl_wall_us() + INT64_C(2208988800) * SL_SEC - sl_now_us();
}

static void on_async(uv_async_t *async);

static void wake_control(void *arg)
{
	struct sl_core *c = arg;

	uv_async_send(c->async);
}

static void wake_loop(void *arg, unsigned loop)
{
	struct sl_core *c = arg;

	sl_loop_wake(c->loops[loop]);
}

/* A part of the descriptors stays for HTTP, files and the loops themselves. */
static uint32_t sockets_of_loop(const struct sl_core *c, const struct sl_config *conf)
{
	enum { RESERVE = 1536 };
	struct rlimit lim = {.rlim_cur = RLIM_INFINITY};
	uint64_t max = conf->limits.max_sockets;

	getrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_cur != RLIM_INFINITY)
		max = SL_MIN(max, lim.rlim_cur > 2 * RESERVE ? lim.rlim_cur - RESERVE
							     : lim.rlim_cur / 2);
	return (uint32_t)((max + c->loop_count - 1) / c->loop_count);
}

static int start_loops(struct sl_core *c, const struct sl_config *conf, struct sl_core_why *why)
{
	struct sl_loop_conf *lc = sl_zalloc(sizeof(*lc));
	int err = lc ? find_binds(conf, lc, why) : SL_ENOMEM;

	if (!err) {
		lc->engine =
			(struct sl_engine_conf){.max_transports = SL_MIN(conf->limits.max_sessions,
									 (uint32_t)MAX_TRANSPORTS),
						.max_tracks = MAX_TRACKS,
						.max_packets = MAX_PACKETS,
						.max_handshakes = MAX_HANDSHAKES,
						.max_checks = MAX_CHECKS / c->loop_count,
						.ice_timeout_us = conf->ice.timeout_us,
						.ntp_offset_us = ntp_offset_us(),
						.max_video_bps = conf->publish.max_video_bps,
						.cap_always = conf->publish.cap,
						.gso_padding = conf->media.gso_padding,
						.cert = c->certs.first,
						.rsa = &c->certs.rsa};
		lc->max_socks = sockets_of_loop(c, conf);
		lc->tcp = conf->media.tcp;
		lc->stranger_us = STRANGER_US;
		lc->gso = conf->media.gso;
		lc->gro = conf->media.gro;
		lc->hs_pool = c->hs_pool;
		lc->peers = c->loops;
		lc->loops = c->loop_count;
		lc->wake_control = wake_control;
		lc->arg = c;
	}
	for (unsigned i = 0; i < c->loop_count && !err; i++) {
		lc->engine.loop = i;
		for (size_t k = 0; k < lc->bind_count; k++)
			lc->binds[k].port = (uint16_t)(conf->media.port ? conf->media.port + i : 0);
		err = sl_loop_new(lc, &c->loops[i], why);
	}
	for (unsigned i = 0; i < c->loop_count && !err; i++)
		err = sl_loop_start(c->loops[i]);
	sl_free(lc);
	return err;
}

static unsigned loops_wanted(const struct sl_config *conf)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = conf->loops ? conf->loops : (unsigned)SL_MAX(cores, 1);

	return SL_MIN(n, (unsigned)SL_CORE_LOOPS_MAX);
}

static int reserve_stops(struct sl_core *c)
{
	c->stops = sl_zalloc_array(c->loop_count, sizeof(*c->stops));
	if (!c->stops)
		return SL_ENOMEM;
	for (unsigned i = 0; i < c->loop_count; i++)
		c->stops[i].type = SL_CMD_STOP;
	return SL_OK;
}

static int start_workers(struct sl_core *c)
{
	struct sl_hs_pool_conf hc = {
		.threads = c->loop_count, .loops = c->loop_count, .wake = wake_loop, .arg = c};

	return sl_hs_pool_new(&hc, &c->hs_pool);
}

static int init_async(struct sl_core *c)
{
	c->async = sl_zalloc(sizeof(*c->async));
	if (!c->async)
		return SL_ENOMEM;
	if (uv_async_init(c->control, c->async, on_async) < 0) {
		sl_free(c->async);
		c->async = NULL;
		return SL_ENOMEM;
	}
	c->async->data = c;
	return SL_OK;
}

int sl_core_new(const struct sl_config *conf, struct uv_loop_s *control, sl_event_fn *on_event,
		void *arg, struct sl_core **out, struct sl_core_why *why)
{
	struct sl_core *c = sl_zalloc(sizeof(*c));
	int err;

	why->text[0] = '\0';
	if (!c)
		return SL_ENOMEM;
	c->control = control;
	c->certs.done = wake_control;
	c->certs.arg = c;
	c->on_event = on_event;
	c->arg = arg;
	c->loop_count = loops_wanted(conf);
	sl_tls_set_verify(conf->ice.turn_tls_verify);
	c->announce_count = parse_list(&conf->media.announce, c->announce, SL_CORE_LOCALS_MAX);
	err = init_async(c);
	if (!err)
		err = reserve_stops(c);
	if (!err)
		err = sl_rng_system_new(&c->rng);
	if (!err)
		err = sl_certs_load(&c->certs, conf, &c->rng, why);
	if (!err)
		err = start_workers(c);
	if (!err)
		err = start_loops(c, conf, why);
	if (err) {
		if (!why->text[0])
			sl_fmt(why->text, sizeof(why->text), "cannot start the media loops: %s",
			       sl_strerror(err));
		sl_core_free(c);
		return err;
	}
	*out = c;
	return SL_OK;
}

/* ---- replies and events ---- */

static void free_cmd(struct sl_cmd *cmd)
{
	if (cmd && cmd->conf)
		sl_wipe(cmd->conf, sizeof(*cmd->conf));
	if (cmd) {
		sl_free(cmd->conf);
		sl_free(cmd->stats);
		if (cmd->gather)
			sl_wipe(cmd->gather, sizeof(*cmd->gather));
		sl_free(cmd->gather);
	}
	sl_free(cmd);
}

static void finish(struct sl_core *c, unsigned loop, struct sl_cmd *cmd)
{
	c->outstanding[loop]--;
	if (cmd->fn)
		cmd->fn(cmd->arg, &cmd->reply);
	free_cmd(cmd);
}

static void drain_loop(struct sl_core *c, unsigned loop)
{
	struct sl_note *note;

	while ((note = sl_loop_note(c->loops[loop]))) {
		struct sl_note copy = *note;

		sl_loop_note_done(c->loops[loop]);
		if (!copy.cmd) {
			c->on_event(c->arg, &copy.ev);
			continue;
		}
		finish(c, loop, copy.cmd);
	}
}

/* The RSA certificate is there, or could not be made. Fewer commands are outstanding than a mailbox
 * holds: there is room for all. */
static void release_held(struct sl_core *c)
{
	struct sl_cmd *next;

	for (struct sl_cmd *cmd = c->held; cmd; cmd = next) {
		next = cmd->next;
		c->held = next;
		if (sl_certs_rsa(&c->certs)) {
			SL_ASSERT(sl_loop_post(c->loops[cmd->loop], cmd));
			continue;
		}
		cmd->reply.err = SL_ENOMEM;
		finish(c, cmd->loop, cmd);
	}
}

static void on_async(uv_async_t *async)
{
	struct sl_core *c = async->data;

	if (c && sl_certs_settle(&c->certs))
		release_held(c);
	for (unsigned i = 0; c && i < c->loop_count; i++)
		drain_loop(c, i);
}

static int post(struct sl_core *c, unsigned loop, struct sl_cmd *cmd, sl_reply_fn *fn, void *arg)
{
	cmd->fn = fn;
	cmd->arg = arg;
	if (loop >= c->loop_count || c->outstanding[loop] >= OUTSTANDING_MAX ||
	    !sl_loop_post(c->loops[loop], cmd)) {
		free_cmd(cmd);
		return loop >= c->loop_count ? SL_ENOTFOUND : SL_EBUSY;
	}
	c->outstanding[loop]++;
	return SL_OK;
}

/* Like post(), but the loop gets it when there is an RSA certificate. */
static int hold(struct sl_core *c, unsigned loop, struct sl_cmd *cmd, sl_reply_fn *fn, void *arg)
{
	struct sl_cmd **at = &c->held;
	int err = loop >= c->loop_count			    ? SL_ENOTFOUND
		  : c->outstanding[loop] >= OUTSTANDING_MAX ? SL_EBUSY
		  : sl_certs_make_rsa(&c->certs)	    ? SL_OK
							    : SL_ENOMEM;

	if (err) {
		free_cmd(cmd);
		return err;
	}
	cmd->fn = fn;
	cmd->arg = arg;
	cmd->loop = loop;
	while (*at)
		at = &(*at)->next;
	*at = cmd;
	c->outstanding[loop]++;
	return SL_OK;
}

static struct sl_cmd *new_cmd(enum sl_cmd_type type, uint64_t object)
{
	struct sl_cmd *cmd = sl_zalloc(sizeof(*cmd));

	if (cmd) {
		cmd->type = type;
		cmd->object = object;
	}
	return cmd;
}

/* ---- commands ---- */

int sl_core_open(struct sl_core *c, unsigned loop, const struct sl_transport_conf *conf,
		 sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_OPEN, 0);

	if (cmd)
		cmd->conf = sl_zalloc(sizeof(*cmd->conf));
	if (!cmd || !cmd->conf) {
		free_cmd(cmd);
		return SL_ENOMEM;
	}
	*cmd->conf = *conf;
	if (conf->kind == SL_TK_WEBRTC)
		sl_hs_expect(c->hs_pool, sl_now_us());
	if (conf->rsa && !sl_certs_rsa(&c->certs))
		return hold(c, loop, cmd, fn, arg);
	return post(c, loop, cmd, fn, arg);
}

int sl_core_add_candidates(struct sl_core *c, uint64_t transport, const struct sl_core_cand *cands,
			   size_t n, bool end, sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_CANDIDATES, transport);

	if (!cmd)
		return SL_ENOMEM;
	cmd->cand_count = SL_MIN(n, (size_t)SL_CORE_CANDS_MAX);
	if (cmd->cand_count > 0)
		memcpy(cmd->cands, cands, cmd->cand_count * sizeof(*cands));
	cmd->end = end;
	return post(c, sl_id_home(transport), cmd, fn, arg);
}

int sl_core_restart_ice(struct sl_core *c, uint64_t transport, const char *ufrag, const char *pwd,
			sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_RESTART, transport);

	if (!cmd)
		return SL_ENOMEM;
	if (!sl_fmt(cmd->ufrag, sizeof(cmd->ufrag), "%s", ufrag) ||
	    !sl_fmt(cmd->pwd, sizeof(cmd->pwd), "%s", pwd)) {
		free_cmd(cmd);
		return SL_ERANGE;
	}
	return post(c, sl_id_home(transport), cmd, fn, arg);
}

int sl_core_add_tracks(struct sl_core *c, uint64_t transport, const struct sl_track_conf *tracks,
		       size_t n, sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_ADD_TRACKS, transport);

	if (cmd)
		cmd->conf = sl_zalloc(sizeof(*cmd->conf));
	if (!cmd || !cmd->conf || n > SL_TRACKS_MAX) {
		free_cmd(cmd);
		return n > SL_TRACKS_MAX ? SL_ERANGE : SL_ENOMEM;
	}
	memcpy(cmd->conf->tracks, tracks, n * sizeof(*tracks));
	cmd->conf->track_count = n;
	return post(c, sl_id_home(transport), cmd, fn, arg);
}

static int simple(struct sl_core *c, enum sl_cmd_type type, uint64_t object, uint64_t other,
		  sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(type, object);

	if (!cmd)
		return SL_ENOMEM;
	cmd->other = other;
	return post(c, sl_id_home(object), cmd, fn, arg);
}

int sl_core_remove_track(struct sl_core *c, uint64_t track, sl_reply_fn *fn, void *arg)
{
	return simple(c, SL_CMD_REMOVE_TRACK, track, 0, fn, arg);
}

int sl_core_route(struct sl_core *c, uint64_t subscriber, uint64_t publisher, sl_reply_fn *fn,
		  void *arg)
{
	return simple(c, SL_CMD_ROUTE, subscriber, publisher, fn, arg);
}

int sl_core_info(struct sl_core *c, uint64_t transport, sl_reply_fn *fn, void *arg)
{
	return simple(c, SL_CMD_INFO, transport, 0, fn, arg);
}

int sl_core_stats_of(struct sl_core *c, uint64_t transport, sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_STATS, transport);

	if (cmd)
		cmd->stats = sl_zalloc(sizeof(*cmd->stats));
	if (!cmd || !cmd->stats) {
		free_cmd(cmd);
		return SL_ENOMEM;
	}
	return post(c, sl_id_home(transport), cmd, fn, arg);
}

int sl_core_pause(struct sl_core *c, uint64_t track, bool paused, sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_PAUSE, track);

	if (!cmd)
		return SL_ENOMEM;
	cmd->paused = paused;
	return post(c, sl_id_home(track), cmd, fn, arg);
}

int sl_core_set_cap(struct sl_core *c, uint64_t publisher, uint32_t bps, sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_CAP, publisher);

	if (!cmd)
		return SL_ENOMEM;
	cmd->bps = bps;
	return post(c, sl_id_home(publisher), cmd, fn, arg);
}

int sl_core_set_limits(struct sl_core *c, uint64_t track, const struct sl_track_limits *limits,
		       sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_LIMITS, track);

	if (!cmd)
		return SL_ENOMEM;
	cmd->limits = *limits;
	return post(c, sl_id_home(track), cmd, fn, arg);
}

int sl_core_keyframe(struct sl_core *c, uint64_t track, sl_reply_fn *fn, void *arg)
{
	return simple(c, SL_CMD_KEYFRAME, track, 0, fn, arg);
}

int sl_core_set_remote(struct sl_core *c, uint64_t transport, const struct sl_transport_conf *conf,
		       sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_REMOTE, transport);

	if (cmd)
		cmd->conf = sl_zalloc(sizeof(*cmd->conf));
	if (!cmd || !cmd->conf) {
		free_cmd(cmd);
		return SL_ENOMEM;
	}
	*cmd->conf = *conf;
	return post(c, sl_id_home(transport), cmd, fn, arg);
}

int sl_core_new_credentials(struct sl_core *c, uint64_t transport, sl_reply_fn *fn, void *arg)
{
	return simple(c, SL_CMD_CREDENTIALS, transport, 0, fn, arg);
}

/* Where the caller names no outside address, an announced one is told. */
static void stand_in(const struct sl_core *c, unsigned loop, uint8_t family, struct sl_addr *out)
{
	for (size_t i = 0; i < c->announce_count && !out->family; i++) {
		if (c->announce[i].family != family)
			continue;
		*out = c->announce[i];
		out->port = (uint16_t)(out->port ? out->port + loop : 0);
	}
}

int sl_core_gather(struct sl_core *c, uint64_t transport, const struct sl_gather_conf *conf,
		   sl_reply_fn *fn, void *arg)
{
	struct sl_cmd *cmd = new_cmd(SL_CMD_GATHER, transport);

	if (cmd)
		cmd->gather = sl_zalloc(sizeof(*cmd->gather));
	if (!cmd || !cmd->gather) {
		free_cmd(cmd);
		return SL_ENOMEM;
	}
	*cmd->gather = *conf;
	stand_in(c, sl_id_home(transport), 4, &cmd->gather->external_v4);
	stand_in(c, sl_id_home(transport), 6, &cmd->gather->external_v6);
	return post(c, sl_id_home(transport), cmd, fn, arg);
}

int sl_core_close(struct sl_core *c, uint64_t transport, sl_reply_fn *fn, void *arg)
{
	return simple(c, SL_CMD_CLOSE, transport, 0, fn, arg);
}

/* ---- the end ---- */

static void async_closed(uv_handle_t *h)
{
	sl_free(h);
}

static void stop_loops(struct sl_core *c)
{
	/* Fewer commands can be outstanding than a mailbox holds: there is room for this one. */
	for (unsigned i = 0; i < c->loop_count; i++)
		if (c->loops[i])
			SL_ASSERT(sl_loop_post(c->loops[i], &c->stops[i]));
	for (unsigned i = 0; i < c->loop_count; i++)
		sl_loop_join(c->loops[i]);
}

/* Commands that were answered as the loops ended. */
static void free_leftovers(struct sl_core *c)
{
	for (unsigned i = 0; i < c->loop_count; i++) {
		struct sl_note *note;

		while (c->loops[i] && (note = sl_loop_note(c->loops[i]))) {
			if (note->cmd && note->cmd->type != SL_CMD_STOP)
				free_cmd(note->cmd);
			sl_loop_note_done(c->loops[i]);
		}
	}
	for (struct sl_cmd *next; c->held; c->held = next) {
		next = c->held->next;
		free_cmd(c->held);
	}
}

void sl_core_free(struct sl_core *c)
{
	if (!c)
		return;
	stop_loops(c);
	sl_tls_stop();
	/* Workers go after the loops that feed them, before the engines whose jobs they hold. */
	sl_hs_pool_free(c->hs_pool);
	free_leftovers(c);
	for (unsigned i = 0; i < c->loop_count; i++)
		sl_loop_free(c->loops[i]);
	sl_certs_free(&c->certs); /* its thread may still wake us */
	if (c->async) {
		c->async->data = NULL;
		uv_close((uv_handle_t *)c->async, async_closed);
	}
	sl_free(c->stops);
	sl_rng_system_free(&c->rng);
	sl_free(c);
}

/* ---- looking ---- */

unsigned sl_core_loops(const struct sl_core *c)
{
	return c->loop_count;
}

uint32_t sl_core_transports(const struct sl_core *c, unsigned loop)
{
	return SL_LOAD(&sl_loop_engine(c->loops[loop])->transport_count);
}

bool sl_core_busy(const struct sl_core *c, unsigned loop)
{
	return SL_LOAD(&sl_loop_engine(c->loops[loop])->load.busy);
}

unsigned sl_core_shed(const struct sl_core *c, unsigned loop)
{
	return SL_LOAD(&sl_loop_engine(c->loops[loop])->load.shed);
}

const char *sl_core_fingerprint(const struct sl_core *c)
{
	return sl_cert_fingerprint(c->certs.first);
}

const char *sl_core_fingerprint_rsa(const struct sl_core *c)
{
	const struct sl_cert *cert = sl_certs_rsa(&c->certs);

	return cert ? sl_cert_fingerprint(cert) : NULL;
}

void sl_core_prepare_rsa(struct sl_core *c)
{
	(void)sl_certs_make_rsa(&c->certs);
}

static bool announced(const struct sl_core *c, uint8_t family)
{
	for (size_t i = 0; i < c->announce_count; i++)
		if (c->announce[i].family == family)
			return true;
	return false;
}

/* Of the first socket of that family, or of any. */
static uint16_t port_of(const struct sl_addr *locals, size_t count, uint8_t family)
{
	for (size_t i = 0; i < count; i++)
		if (locals[i].family == family)
			return locals[i].port;
	return count ? locals[0].port : 0;
}

static void add_candidate(struct sl_core_cand *out, const struct sl_addr *addr, size_t i)
{
	*out = (struct sl_core_cand){.addr = *addr,
				     .priority =
					     sl_ice_priority(SL_ICE_HOST, (uint16_t)(65535 - i)),
				     .type = "host"};
	sl_fmt(out->foundation, sizeof(out->foundation), "%zu", i + 1);
}

/* Where peers find the loop: announced addresses stand in for the sockets' own of their family. */
static size_t host_addrs(const struct sl_core *c, unsigned loop, struct sl_addr *out, size_t cap)
{
	struct sl_addr locals[SL_CORE_LOCALS_MAX];
	size_t count = sl_loop_locals(c->loops[loop], locals, SL_CORE_LOCALS_MAX);
	size_t n = 0;

	for (size_t i = 0; i < c->announce_count && n < cap; i++, n++) {
		struct sl_addr a = c->announce[i];

		/* The port of an announced ip:port stands for loop 0, the others follow; a bare ip
		 * has the socket's own. */
		a.port = (uint16_t)(a.port ? a.port + loop : port_of(locals, count, a.family));
		out[n] = a;
	}
	for (size_t i = 0; i < count && n < cap; i++)
		if (!announced(c, locals[i].family))
			out[n++] = locals[i];
	return n;
}

size_t sl_core_candidates(const struct sl_core *c, unsigned loop, struct sl_core_cand *out,
			  size_t cap)
{
	struct sl_addr addrs[SL_CORE_CANDS_MAX];
	size_t n = host_addrs(c, loop, addrs, SL_MIN(cap, (size_t)SL_CORE_CANDS_MAX));

	for (size_t i = 0; i < n; i++)
		add_candidate(&out[i], &addrs[i], i);
	return n;
}

/* Does anybody listen for connections behind this address? */
static bool listens(const struct sl_core *c, unsigned loop, const struct sl_addr *a)
{
	const struct sl_engine_conf *ec = &sl_loop_engine(c->loops[loop])->conf;

	for (size_t i = 0; i < ec->local_count; i++)
		if (ec->tcp >> i & 1 && ec->locals[i].addr.family == a->family &&
		    (announced(c, a->family) || sl_addr_eq(&ec->locals[i].addr, a)))
			return true;
	return false;
}

size_t sl_core_tcp_candidates(const struct sl_core *c, unsigned loop, struct sl_core_cand *out,
			      size_t cap)
{
	struct sl_addr addrs[SL_CORE_CANDS_MAX];
	size_t count = host_addrs(c, loop, addrs, SL_CORE_CANDS_MAX);
	size_t n = 0;

	for (size_t i = 0; i < count && n < cap; i++) {
		if (!listens(c, loop, &addrs[i]))
			continue;
		add_candidate(&out[n], &addrs[i], 100 + i);
		out[n].tcp = SL_CAND_TCP_PASSIVE;
		out[n++].priority = sl_ice_tcp_priority(SL_ICE_HOST, SL_CAND_TCP_PASSIVE,
							(uint16_t)(8191 - i));
	}
	return n;
}

const struct sl_stats *sl_core_stats(const struct sl_core *c, unsigned loop)
{
	return &sl_loop_engine(c->loops[loop])->stats;
}

size_t sl_core_sockets(const struct sl_core *c, unsigned loop, struct sl_addr *out, size_t cap)
{
	return sl_loop_locals(c->loops[loop], out, cap);
}

uint16_t sl_core_port(const struct sl_core *c, unsigned loop)
{
	struct sl_addr a = {0};

	sl_loop_locals(c->loops[loop], &a, 1);
	return a.port;
}

int64_t sl_core_handshake_wait_us(const struct sl_core *c)
{
	return sl_hs_wait_us(c->hs_pool, sl_now_us());
}
