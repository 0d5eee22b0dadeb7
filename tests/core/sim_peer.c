/* SPDX-License-Identifier: Apache-2.0
 * tests/core/sim_peer.c — peers of a simulation: what signalling would do, and looking at what came
 * of it. */
#include "tests/core/sim.h"
#include "core/base/mem.h"

/* ---- peers ---- */

struct sim_peer *sim_of(const struct peer *p)
{
	return p->conf.arg;
}

static struct sl_addr public_addr(struct sim *s)
{
	uint32_t n = (uint32_t)s->serial++;

	if (s->conf.ipv6)
		return (struct sl_addr){
			.ip = {0x20, 1, 0x0d, 0xb8, 0, 1, [14] = (uint8_t)(n >> 8), (uint8_t)n},
			.port = (uint16_t)(20000 + n % 40000),
			.family = 6};
	return sl_addr_v4(198, 51, (uint8_t)(100 + n / 250 % 100), (uint8_t)(1 + n % 250),
			  (uint16_t)(20000 + n % 40000));
}

static struct sl_addr private_addr(const struct sim *s)
{
	if (s->conf.ipv6)
		return (struct sl_addr){.ip = {0xfd, [15] = 2}, .port = 5000, .family = 6};
	return sl_addr_v4(10, 0, 0, 2, 5000);
}

struct sim_peer *sim_peer(struct sim *s, unsigned loop)
{
	struct sim_peer *sp = sl_zalloc(sizeof(*sp));

	TRY(sp ? SL_OK : SL_ENOMEM);
	SL_ASSERT(s->peer_count < SIM_PEERS);
	sp->sim = s;
	sp->loop = loop;
	sp->number = s->peer_count;
	sp->lite = !s->conf.full;
	sp->due_us = SL_NEVER;
	sp->addr = public_addr(s);
	sp->up = sp->down = (struct sim_link){.delay_us = 20 * SL_MS, .reorder_us = 15 * SL_MS};
	s->peers[s->peer_count++] = sp;
	sp->conf = sl_zalloc(sizeof(*sp->conf));
	TRY(sp->conf ? SL_OK : SL_ENOMEM);
	for (int i = 0; i < 2; i++) {
		sp->keys[i].profile = SL_SRTP_AES128_CM_SHA1_80;
		sl_rng_fill(&s->peer_rng, sp->keys[i].key, 16);
		sl_rng_fill(&s->peer_rng, sp->keys[i].salt, 14);
	}
	sp->peer_conf = (struct peer_conf){.rng = &s->peer_rng,
					   .cert = sim_cert(),
					   .local = private_addr(s),
					   .remote_lite = true,
					   .rsize = true,
					   .clock_us = 7777777 * (int64_t)(sp->number + 1),
					   .send = sim_up,
					   .arg = sp};
	return sp;
}

static void make_peer(struct sim_peer *sp)
{
	struct sim *s = sp->sim;

	if (sp->p)
		return;
	if (s->conf.fixed_keys) {
		sp->peer_conf.fixed_tx = &sp->keys[0];
		sp->peer_conf.fixed_rx = &sp->keys[1];
		/* Only loops have what MB needs. */
		sp->peer_conf.fixed_impl = s->conf.impl == SL_SRTP_MB ? SL_SRTP_SOFT : s->conf.impl;
	}
	sp->peer_conf.remote_lite = sp->lite;
	TRY(peer_new(&sp->peer_conf, &sp->p));
}

/* Publishers and players number their payload types differently. */
struct numbers {
	enum sl_codec codec;
	uint8_t pt[2], rtx[2];
	unsigned without;
};

static const struct numbers table[] = {
	{SL_VP8, {100, 96}, {101, 97}, SIM_NO_VP8},
	{SL_H264, {104, 98}, {105, 99}, SIM_NO_H264},
	{SL_RED_AUDIO, {63, 121}, {0, 0}, SIM_NO_RED},
	{SL_OPUS, {111, 120}, {0, 0}, 0},
};

static void add_codecs(struct sl_track_conf *tc, int side, unsigned flags)
{
	for (size_t i = 0; i < SL_COUNT(table); i++) {
		const struct numbers *n = &table[i];
		bool video = sl_codec_info(n->codec)->kind == SL_VIDEO;

		if (sl_codec_info(n->codec)->kind != tc->kind || flags & n->without)
			continue;
		tc->codecs[tc->codec_count++] =
			(struct sl_track_codec){.pt = n->pt[side],
						.rtx_pt = flags & SIM_NO_RTX ? 0 : n->rtx[side],
						.codec = n->codec,
						.nack = !(flags & SIM_NO_NACK),
						.pli = video && !(flags & SIM_FIR),
						.fir = video,
						.format = (uint32_t)n->codec * 1000};
	}
}

static struct sl_track_conf *add_track(struct sim_peer *sp, enum sl_kind kind, bool publish,
				       unsigned flags)
{
	struct sl_track_conf *tc = &sp->conf->tracks[sp->conf->track_count];

	*tc = (struct sl_track_conf){.publish = publish,
				     .kind = kind,
				     .rsize = sp->peer_conf.rsize,
				     .twcc = flags & SIM_TWCC,
				     .remb = flags & SIM_REMB};
	sl_fmt(tc->mid, sizeof(tc->mid), "%zu", sp->conf->track_count++);
	tc->exts.id[SL_EXT_MID] = 4;
	if (!(flags & SIM_NO_SEND_TIME))
		tc->exts.id[SL_EXT_ABS_SEND_TIME] = publish ? 2 : 7;
	if (flags & SIM_TWCC)
		tc->exts.id[SL_EXT_TWCC] = publish ? 3 : 5;
	tc->ssrc = sl_rng_u32(&sp->sim->peer_rng) | 1;
	tc->rtx_ssrc = flags & SIM_NO_RTX || kind == SL_AUDIO ? 0 : tc->ssrc + 1;
	add_codecs(tc, publish ? 0 : 1, flags);
	return tc;
}

static const struct numbers *numbers_of(enum sl_codec codec)
{
	for (size_t i = 0; i < SL_COUNT(table); i++)
		if (table[i].codec == codec)
			return &table[i];
	return NULL;
}

struct peer_source *sim_sends(struct sim_peer *sp, enum sl_codec codec, unsigned flags)
{
	bool video = sl_codec_info(codec)->kind == SL_VIDEO;
	struct sl_track_conf *tc = add_track(sp, sl_codec_info(codec)->kind, true, flags);
	const struct numbers *n = numbers_of(codec);
	struct peer_source_conf c = {.id = sp->number * 10 + 1,
				     .codec = codec,
				     .pt = n->pt[0],
				     .rtx_pt = flags & SIM_NO_RTX ? 0 : n->rtx[0],
				     .inner_pt = 111,
				     .ssrc = tc->ssrc,
				     .rtx_ssrc = tc->rtx_ssrc,
				     .exts = tc->exts,
				     .first_ts = sl_rng_u32(&sp->sim->peer_rng),
				     .first_seq = sl_rng_u32(&sp->sim->peer_rng) & 0x7fff,
				     .every_us = video ? 33333 : 20000,
				     .frame_bytes = video ? 2500 : 120,
				     .key_bytes = 9000,
				     .packet_bytes = 1000,
				     .pic_id_bits = 15};
	struct peer_source *s;

	make_peer(sp);
	c.id += sp->p->source_count;
	memcpy(c.mid, tc->mid, sizeof(c.mid));
	if (flags & SIM_BY_MID)
		tc->ssrc = tc->rtx_ssrc = 0;
	s = peer_add_source(sp->p, &c);
	TRY(s ? SL_OK : SL_ENOMEM);
	sp->source_ids[sp->p->source_count - 1] = sp->conf->track_count - 1;
	return s;
}

struct peer_sink *sim_plays(struct sim_peer *sp, enum sl_kind kind, unsigned flags)
{
	struct sl_track_conf *tc = add_track(sp, kind, false, flags);
	struct peer_sink_conf c = {.ssrc = tc->ssrc,
				   .rtx_ssrc = tc->rtx_ssrc,
				   .nack = !(flags & SIM_NO_NACK),
				   .pli = kind == SL_VIDEO,
				   .video = kind == SL_VIDEO,
				   .clock_hz = kind == SL_VIDEO ? 90000 : 48000};
	struct peer_sink *s;

	make_peer(sp);
	for (size_t i = 0; i < tc->codec_count; i++) {
		const struct sl_track_codec *tcc = &tc->codecs[i];

		c.codec_at[tcc->pt] = (uint8_t)tcc->codec;
		if (tcc->rtx_pt) {
			c.codec_at[tcc->rtx_pt] = SL_RTX;
			c.rtx_of[tcc->rtx_pt] = tcc->pt;
		}
	}
	s = peer_add_sink(sp->p, &c);
	TRY(s ? SL_OK : SL_ENOMEM);
	sp->sink_ids[sp->p->sink_count - 1] = sp->conf->track_count - 1;
	return s;
}

/* ---- commands ---- */

static const char *server_fingerprint(const struct sim_peer *sp)
{
	return sl_cert_fingerprint(sp->server_cert ? sp->server_cert : sim_cert());
}

static void fill_conf(struct sim_peer *sp)
{
	struct sl_transport_conf *c = sp->conf;
	const struct sl_ice_creds *creds = sl_ice_local_creds(&sp->p->ice);

	c->tag = sp->number + 1;
	c->lite = sp->lite;
	c->watch |= sp->sim->conf.watch;
	c->dscp = sp->sim->conf.dscp;
	c->mtu = sp->sim->conf.mtu;
	c->dtls_client = !sp->peer_conf.dtls_client ||
			 sp->sim->conf.fixed_keys; /* given keys need no hello */
	sl_fmt(c->fingerprints[0].algorithm, sizeof(c->fingerprints[0].algorithm), "sha-256");
	sl_fmt(c->fingerprints[0].hex, sizeof(c->fingerprints[0].hex), "%s",
	       sl_cert_fingerprint(sim_cert()));
	c->fingerprint_count = 1;
	if (sp->other_fingerprint)
		c->fingerprints[0].hex[0] = c->fingerprints[0].hex[0] == 'A' ? 'B' : 'A';
	sl_fmt(c->ufrag, sizeof(c->ufrag), "%s", creds->ufrag);
	sl_fmt(c->pwd, sizeof(c->pwd), "%s", creds->pwd);
	if (!sp->lite) {
		c->cands[0] = (struct sl_core_cand){
			.addr = sp->addr,
			.type = "host",
			.foundation = "1",
			.priority = 1000,
			.tcp = sp->sim->conf.tcp ? SL_CAND_TCP_PASSIVE : SL_CAND_UDP};
		c->cand_count = 1;
	}
	if (c->offering && !sp->opened) {
		c->ufrag[0] = c->pwd[0] = '\0';
		c->cand_count = 0;
	}
}

int sim_try_open(struct sim_peer *sp)
{
	static struct sl_cmd cmd;
	struct sl_addr server = sim_server(sp->loop);
	int err;

	make_peer(sp);
	fill_conf(sp);
	memset(&cmd, 0, sizeof(cmd));
	cmd.type = SL_CMD_OPEN;
	cmd.conf = sp->conf;
	err = sim_command(sp->sim, sp->loop, &cmd);
	if (err)
		return err;
	sp->opened = true;
	sp->transport = cmd.reply.transport;
	for (unsigned i = 0; i < sp->p->source_count; i++)
		sp->source_ids[i] = cmd.reply.tracks[sp->source_ids[i]];
	for (unsigned i = 0; i < sp->p->sink_count; i++)
		sp->sink_ids[i] = cmd.reply.tracks[sp->sink_ids[i]];
	TRY(peer_remote(sp->p, cmd.reply.ufrag, cmd.reply.pwd, server_fingerprint(sp),
			&server, 1, sp->sim->now_us));
	sim_refresh(sp);
	return SL_OK;
}

void sim_open(struct sim_peer *sp)
{
	int err = sim_try_open(sp);

	/* A pool that cannot grow says that it is full. */
	if (err == SL_EFULL && sl_test_oom_fired())
		err = SL_ENOMEM;
	TRY(err);
}

void sim_answer(struct sim_peer *sp)
{
	static struct sl_cmd cmd;

	memset(&cmd, 0, sizeof(cmd));
	cmd.type = SL_CMD_REMOTE;
	cmd.object = sp->transport;
	cmd.conf = sp->conf;
	fill_conf(sp);
	TRY(sim_command(sp->sim, sp->loop, &cmd));
}

static uint64_t id_of_source(const struct peer_source *source)
{
	const struct sim_peer *sp = sim_of(source->peer);

	for (unsigned i = 0; i < source->peer->source_count; i++)
		if (source->peer->sources[i] == source)
			return sp->source_ids[i];
	return 0;
}

static uint64_t id_of_sink(const struct peer_sink *sink)
{
	const struct sim_peer *sp = sim_of(sink->peer);

	for (unsigned i = 0; i < sink->peer->sink_count; i++)
		if (sink->peer->sinks[i] == sink)
			return sp->sink_ids[i];
	return 0;
}

void sim_route(struct peer_sink *sink, const struct peer_source *source)
{
	struct sim_peer *sp = sim_of(sink->peer);
	struct sl_cmd cmd = {.type = SL_CMD_ROUTE,
			     .object = id_of_sink(sink),
			     .other = source ? id_of_source(source) : 0};

	int err = sim_command(sp->sim, sp->loop, &cmd);

	TRY(err == SL_ENOTFOUND && source ? SL_OK : err); /* the publisher may be gone */
}

void sim_close(struct sim_peer *sp)
{
	struct sl_cmd cmd = {.type = SL_CMD_CLOSE, .object = sp->transport};

	TRY(sim_command(sp->sim, sp->loop, &cmd));
}

void sim_leave(struct sim_peer *sp)
{
	peer_free(sp->p);
	sp->p = NULL;
	sp->due_us = SL_NEVER;
}

void sim_restart_ice(struct sim_peer *sp)
{
	struct sl_cmd cmd = {.type = SL_CMD_RESTART, .object = sp->transport};
	struct sl_addr server = sim_server(sp->loop);
	const struct sl_ice_creds *creds;

	peer_restart(sp->p, sp->sim->now_us);
	creds = sl_ice_local_creds(&sp->p->ice);
	sl_fmt(cmd.ufrag, sizeof(cmd.ufrag), "%s", creds->ufrag);
	sl_fmt(cmd.pwd, sizeof(cmd.pwd), "%s", creds->pwd);
	TRY(sim_command(sp->sim, sp->loop, &cmd));
	TRY(peer_remote(sp->p, cmd.reply.ufrag, cmd.reply.pwd, server_fingerprint(sp),
			&server, 1, sp->sim->now_us));
	sim_refresh(sp);
}

void sim_rebind(struct sim_peer *sp)
{
	sp->addr = public_addr(sp->sim);
}

/* ---- looking ---- */

bool sim_connected(struct sim_peer *sp)
{
	const struct sl_transport *t = sim_transport(sp);

	return sp->p && sp->p->connected && t && t->phase == SL_T_CONNECTED;
}

static bool is_connected(void *arg)
{
	return sim_connected(arg);
}

void sim_wait_connected(struct sim_peer *sp, int64_t max_us)
{
	CHECK(sim_until(sp->sim, is_connected, sp, max_us));
}

unsigned sim_events(const struct sim *s, int type, uint64_t transport)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->event_count; i++)
		n += (int)s->events[i].ev.type == type &&
		     (!transport || s->events[i].ev.transport == transport);
	return n;
}

const struct sl_core_event *sim_last_event(const struct sim *s, int type, uint64_t transport)
{
	for (unsigned i = s->event_count; i-- > 0;)
		if ((int)s->events[i].ev.type == type &&
		    (!transport || s->events[i].ev.transport == transport))
			return &s->events[i].ev;
	return NULL;
}

uint64_t sim_stat(const struct sim *s, enum sl_stat which)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < s->conf.loops; i++)
		n += s->engines[i].stats.n[which];
	return n;
}

struct sl_transport *sim_transport(const struct sim_peer *sp)
{
	return sl_pool_at(&sp->sim->engines[sp->loop].transports, sp->transport);
}

struct sl_publisher *sim_publisher(const struct peer_source *source)
{
	const struct sim_peer *sp = sim_of(source->peer);

	return sl_pool_at(&sp->sim->engines[sp->loop].publishers, id_of_source(source));
}

struct sl_subscriber *sim_subscriber(const struct peer_sink *sink)
{
	const struct sim_peer *sp = sim_of(sink->peer);

	return sl_pool_at(&sp->sim->engines[sp->loop].subscribers, id_of_sink(sink));
}
