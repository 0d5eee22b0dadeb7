/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/fake_core.h"
#include "core/base/base.h"
#include <stdlib.h>
#include <sys/stat.h>

void fake_core_release(struct sl_core *core)
{
	size_t n = core->reply_count;

	for (size_t i = 0; i < n; i++) {
		struct fake_reply r = core->replies[i];

		if (r.fn)
			r.fn(r.arg, &r.reply);
	}
	memmove(core->replies, core->replies + n,
		(core->reply_count - n) * sizeof(core->replies[0]));
	core->reply_count -= n;
}

static void on_idle(uv_idle_t *idle)
{
	struct sl_core *core = idle->data;

	if (!core->hold)
		fake_core_release(core);
	if (core->hold || core->reply_count == 0)
		uv_idle_stop(idle);
}

/* Room for one more; not the product's memory. */
static void *grow(void *p, size_t n, size_t size)
{
	if (n & (n - 1))
		return p;
	p = realloc(p, (n ? 2 * n : 1) * size);
	SL_ASSERT(p);
	return p;
}

void fake_core_init(struct sl_core *core, uv_loop_t *loop)
{
	memset(core, 0, sizeof(*core));
	uv_idle_init(loop, &core->idle);
	core->idle.data = core;
}

void fake_core_fini(struct sl_core *core)
{
	core->hold = false;
	fake_core_release(core);
	uv_close((uv_handle_t *)&core->idle, NULL);
	free(core->routes);
	free(core->tracks);
}

uint64_t fake_core_route(const struct sl_core *core, uint64_t subscriber)
{
	for (size_t i = core->route_count; i-- > 0;)
		if (core->routes[i].subscriber == subscriber)
			return core->routes[i].publisher;
	return 0;
}

struct fake_transport *fake_core_last(struct sl_core *core)
{
	return core->count ? &core->t[core->count - 1] : NULL;
}

size_t fake_core_open_count(const struct sl_core *core)
{
	size_t n = 0;

	for (size_t i = 0; i < core->count; i++)
		n += core->t[i].open;
	return n;
}

static struct fake_transport *find(struct sl_core *core, uint64_t id)
{
	for (size_t i = 0; i < core->count; i++)
		if (core->t[i].id == id && core->t[i].open)
			return &core->t[i];
	return NULL;
}

/* One reply, later. */
static int reply(struct sl_core *core, struct sl_reply r, sl_reply_fn *fn, void *arg)
{
	if (core->reply_count == FAKE_REPLIES)
		return SL_EBUSY;
	if (core->fail)
		r.err = core->fail;
	core->replies[core->reply_count++] = (struct fake_reply){.fn = fn, .arg = arg, .reply = r};
	uv_idle_start(&core->idle, on_idle);
	return SL_OK;
}

static bool refused(struct sl_core *core)
{
	core->commands++;
	return core->refuse != 0;
}

static void credentials(struct sl_reply *r, const struct fake_transport *t)
{
	(void)sl_fmt(r->ufrag, sizeof(r->ufrag), "ours%u%llu", t->restarts,
		     (unsigned long long)(t->id & 0xff));
	(void)sl_fmt(r->pwd, sizeof(r->pwd), "our-password-of-24-chars%u", t->restarts);
}

int sl_core_open(struct sl_core *core, unsigned loop, const struct sl_transport_conf *conf,
		 sl_reply_fn *fn, void *arg)
{
	struct sl_reply r = {0};
	struct fake_transport *t;

	if (refused(core))
		return core->refuse;
	if (core->fail)
		return reply(core, r, fn, arg);
	SL_ASSERT(core->count < FAKE_TRANSPORTS);
	t = &core->t[core->count++];
	t->open = true;
	t->id = UINT64_C(0x100) + core->count;
	t->loop = loop;
	t->conf = *conf;
	t->silent_us = 0;
	for (size_t i = 0; i < conf->track_count; i++)
		r.tracks[i] = t->tracks[i] = t->id * 1000 + i + 1;
	r.transport = t->id;
	credentials(&r, t);
	if (conf->kind == SL_TK_PLAIN) {
		r.rtp = sl_addr_with_port(conf->plain.bind, (uint16_t)(40000 + 2 * core->count));
		r.rtcp = sl_addr_with_port(r.rtp, (uint16_t)(r.rtp.port + !conf->plain.mux));
	}
	return reply(core, r, fn, arg);
}

int sl_core_add_candidates(struct sl_core *core, uint64_t transport,
			   const struct sl_core_cand *cands, size_t n, bool end, sl_reply_fn *fn,
			   void *arg)
{
	struct fake_transport *t = find(core, transport);
	struct sl_reply r = {.err = t ? SL_OK : SL_ENOTFOUND};

	(void)cands;
	if (refused(core))
		return core->refuse;
	if (t) {
		t->cands += n;
		t->end_of_candidates = t->end_of_candidates || end;
	}
	return reply(core, r, fn, arg);
}

int sl_core_restart_ice(struct sl_core *core, uint64_t transport, const char *ufrag,
			const char *pwd, sl_reply_fn *fn, void *arg)
{
	struct fake_transport *t = find(core, transport);
	struct sl_reply r = {.err = t ? SL_OK : SL_ENOTFOUND};

	(void)pwd;
	if (refused(core))
		return core->refuse;
	if (t) {
		t->restarts++;
		(void)sl_fmt(t->conf.ufrag, sizeof(t->conf.ufrag), "%s", ufrag);
		credentials(&r, t);
	}
	return reply(core, r, fn, arg);
}

int sl_core_add_tracks(struct sl_core *core, uint64_t transport, const struct sl_track_conf *tracks,
		       size_t n, sl_reply_fn *fn, void *arg)
{
	struct fake_transport *t = find(core, transport);
	struct sl_reply r = {.err = t ? SL_OK : SL_ENOTFOUND};

	if (refused(core))
		return core->refuse;
	SL_ASSERT(n <= SL_TRACKS_MAX);
	for (size_t i = 0; t && !core->fail && i < n; i++) {
		struct fake_track *f;

		core->tracks = grow(core->tracks, core->track_count, sizeof(*f));
		f = &core->tracks[core->track_count++];
		f->id = r.tracks[i] = 1000000 + core->track_count;
		f->transport = transport;
		f->conf = tracks[i];
		f->live = true;
	}
	return reply(core, r, fn, arg);
}

static struct fake_track *find_track(struct sl_core *core, uint64_t id)
{
	for (size_t i = 0; i < core->track_count; i++)
		if (core->tracks[i].id == id && core->tracks[i].live)
			return &core->tracks[i];
	return NULL;
}

struct fake_track *fake_core_track(struct sl_core *core, const struct fake_transport *t,
				   const char *mid)
{
	for (size_t i = 0; i < core->track_count; i++)
		if (core->tracks[i].live && core->tracks[i].transport == t->id &&
		    strcmp(core->tracks[i].conf.mid, mid) == 0)
			return &core->tracks[i];
	return NULL;
}

struct fake_transport *fake_core_by_tag(struct sl_core *core, uint64_t tag)
{
	for (size_t i = 0; i < core->count; i++)
		if (core->t[i].conf.tag == tag && core->t[i].open)
			return &core->t[i];
	return NULL;
}

size_t fake_core_track_count(const struct sl_core *core)
{
	size_t n = 0;

	for (size_t i = 0; i < core->track_count; i++)
		n += core->tracks[i].live;
	return n;
}

int sl_core_remove_track(struct sl_core *core, uint64_t track, sl_reply_fn *fn, void *arg)
{
	struct fake_track *f = find_track(core, track);

	if (refused(core))
		return core->refuse;
	if (f)
		f->live = false;
	return reply(core, (struct sl_reply){.err = f ? SL_OK : SL_ENOTFOUND}, fn, arg);
}

int sl_core_pause(struct sl_core *core, uint64_t track, bool paused, sl_reply_fn *fn, void *arg)
{
	if (refused(core))
		return core->refuse;
	if (core->pause_count < SL_COUNT(core->pauses)) {
		core->pauses[core->pause_count].track = track;
		core->pauses[core->pause_count++].paused = paused;
	}
	return reply(core, (struct sl_reply){0}, fn, arg);
}

int sl_core_set_cap(struct sl_core *core, uint64_t publisher, uint32_t bps, sl_reply_fn *fn,
		    void *arg)
{
	if (refused(core))
		return core->refuse;
	if (core->cap_count < SL_COUNT(core->caps)) {
		core->caps[core->cap_count].track = publisher;
		core->caps[core->cap_count++].bps = bps;
	}
	return reply(core, (struct sl_reply){0}, fn, arg);
}

int sl_core_set_limits(struct sl_core *core, uint64_t track, const struct sl_track_limits *limits,
		       sl_reply_fn *fn, void *arg)
{
	if (refused(core))
		return core->refuse;
	if (core->limit_count < SL_COUNT(core->limits)) {
		core->limits[core->limit_count].track = track;
		core->limits[core->limit_count++].limits = *limits;
	}
	return reply(core, (struct sl_reply){.err = SL_OK}, fn, arg);
}

int sl_core_keyframe(struct sl_core *core, uint64_t track, sl_reply_fn *fn, void *arg)
{
	(void)track;
	if (refused(core))
		return core->refuse;
	core->keyframes++;
	return reply(core, (struct sl_reply){.err = SL_OK}, fn, arg);
}

int sl_core_gather(struct sl_core *core, uint64_t transport, const struct sl_gather_conf *conf,
		   sl_reply_fn *fn, void *arg)
{
	struct sl_reply r = {.err = find(core, transport) ? SL_OK : SL_ENOTFOUND};

	if (refused(core))
		return core->refuse;
	core->gathers++;
	core->gathered = *conf;
	return reply(core, r, fn, arg);
}

const char *sl_core_fingerprint_rsa(const struct sl_core *core)
{
	(void)core;
	return "55:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:"
	       "BB:CC:DD:EE:55";
}

void sl_core_prepare_rsa(struct sl_core *core)
{
	(void)core;
}

int sl_core_stats_of(struct sl_core *core, uint64_t transport, sl_reply_fn *fn, void *arg)
{
	struct fake_transport *t = find(core, transport);
	struct sl_reply r = {.err = t ? SL_OK : SL_ENOTFOUND};

	if (refused(core))
		return core->refuse;
	r.stats = t ? &core->stats_reply : NULL;
	return reply(core, r, fn, arg);
}

int sl_core_set_remote(struct sl_core *core, uint64_t transport,
		       const struct sl_transport_conf *conf, sl_reply_fn *fn, void *arg)
{
	struct fake_transport *t = find(core, transport);
	struct sl_reply r = {.err = t ? SL_OK : SL_ENOTFOUND};
	uint64_t tag = t ? t->conf.tag : 0;

	if (refused(core))
		return core->refuse;
	if (t && !core->fail) {
		t->conf = *conf;
		t->conf.tag = tag;
		t->remotes++;
	}
	return reply(core, r, fn, arg);
}

int sl_core_new_credentials(struct sl_core *core, uint64_t transport, sl_reply_fn *fn, void *arg)
{
	struct fake_transport *t = find(core, transport);
	struct sl_reply r = {.err = t ? SL_OK : SL_ENOTFOUND};

	if (refused(core))
		return core->refuse;
	if (t) {
		t->restarts++;
		credentials(&r, t);
	}
	return reply(core, r, fn, arg);
}

int sl_core_route(struct sl_core *core, uint64_t subscriber, uint64_t publisher, sl_reply_fn *fn,
		  void *arg)
{
	if (refused(core))
		return core->refuse;
	if (core->reply_count == FAKE_REPLIES)
		return SL_EBUSY;
	if (!core->fail) {
		core->routes = grow(core->routes, core->route_count, sizeof(*core->routes));
		core->routes[core->route_count].subscriber = subscriber;
		core->routes[core->route_count++].publisher = publisher;
	}
	return reply(core, (struct sl_reply){0}, fn, arg);
}

int sl_core_info(struct sl_core *core, uint64_t transport, sl_reply_fn *fn, void *arg)
{
	struct fake_transport *t = find(core, transport);
	struct sl_reply r = {.err = t ? SL_OK : SL_ENOTFOUND};

	if (refused(core))
		return core->refuse;
	if (t)
		r.info.silent_us = t->silent_us;
	return reply(core, r, fn, arg);
}

int sl_core_close(struct sl_core *core, uint64_t transport, sl_reply_fn *fn, void *arg)
{
	struct fake_transport *t = find(core, transport);
	struct sl_reply r = {.err = t ? SL_OK : SL_ENOTFOUND};

	if (refused(core))
		return core->refuse;
	if (t)
		t->open = false;
	core->closes++;
	return reply(core, r, fn, arg);
}

unsigned sl_core_loops(const struct sl_core *core)
{
	(void)core;
	return 2;
}

int sl_core_check_key_file(const char *path, struct sl_core_why *why)
{
	struct stat st;

	if (stat(path, &st) == 0 && !(st.st_mode & S_IRWXO))
		return SL_OK;
	(void)sl_fmt(why->text, sizeof(why->text), "%s is a key that everybody may read", path);
	return SL_EIO;
}

const char *sl_core_fingerprint(const struct sl_core *core)
{
	(void)core;
	return "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:"
	       "BB:CC:DD:EE:FF";
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

size_t sl_core_candidates(const struct sl_core *core, unsigned loop, struct sl_core_cand *out,
			  size_t cap)
{
	(void)core;
	SL_ASSERT(cap >= 2);
	out[0] = (struct sl_core_cand){.addr = sl_addr_v4(192, 0, 2, 1, (uint16_t)(10000 + loop)),
				       .priority = 2130706431,
				       .foundation = "1",
				       .type = "host"};
	out[1] =
		(struct sl_core_cand){.addr = sl_addr_v4(198, 51, 100, 1, (uint16_t)(10000 + loop)),
				      .priority = 2130706430,
				      .foundation = "2",
				      .type = "host"};
	return 2;
}

size_t sl_core_sockets(const struct sl_core *core, unsigned loop, struct sl_addr *out, size_t cap)
{
	(void)core;
	SL_ASSERT(cap >= 2);
	out[0] = sl_addr_v4(192, 0, 2, 1, (uint16_t)(10000 + loop));
	out[1] = (struct sl_addr){.ip = {0x20, 1, 0x0d, 0xb8, [15] = 1},
				  .port = (uint16_t)(10000 + loop),
				  .family = 6};
	return 2;
}

const struct sl_stats *sl_core_stats(const struct sl_core *core, unsigned loop)
{
	return &core->stats[loop];
}

uint32_t sl_core_transports(const struct sl_core *core, unsigned loop)
{
	uint32_t n = 0;

	for (size_t i = 0; i < core->count; i++)
		n += core->t[i].open && core->t[i].loop == loop;
	return n;
}

bool sl_core_busy(const struct sl_core *core, unsigned loop)
{
	return core->busy[loop];
}

unsigned sl_core_shed(const struct sl_core *core, unsigned loop)
{
	return core->shed[loop];
}

uint16_t sl_core_port(const struct sl_core *core, unsigned loop)
{
	(void)core;
	return (uint16_t)(10000 + loop);
}

int64_t sl_core_handshake_wait_us(const struct sl_core *core)
{
	return core->wait_us;
}

uint32_t sl_core_format(enum sl_codec codec, const char *what)
{
	uint32_t h = (uint32_t)codec;

	for (; *what; what++)
		h = h * 31 + (uint8_t)*what;
	return h;
}

const char *sl_close_cause_text(enum sl_close_cause c)
{
	return c == SL_CLOSE_BY_PEER ? "the peer closed the connection" : "another cause";
}
