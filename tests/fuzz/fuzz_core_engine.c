/* SPDX-License-Identifier: Apache-2.0
 * A media loop with three peers in one room, whose keys are fixed: peer 0 publishes, 1 plays, 2
 * does both. The input is a list of operations, each a byte and its arguments: datagrams of any
 * bytes from good and from bad addresses, packets that the harness seals with a peer's key,
 * replays, checks from new addresses, routes, tracks, restarts, closes, and time. Properties: of
 * each batch not more is taken in than was sealed by a peer; every payload that goes out came in
 * so; no byte goes to an address that no authentic check came from; tables stay within their
 * bounds; at the end every counter of objects is zero, and so is what was allocated. */
#include "tests/fuzz/lone_engine.h"
#include "core/base/log.h"
#include "core/base/mem.h"

enum { PEERS = 3, ADDRS = 3, BATCH = 16, JOBS = 8, HASHES = 4096, TAIL = 12, STEPS = 400 };
#define CHECK(c) ((c) ? (void)0 : __builtin_trap())

struct fuzz_peer {
	struct sl_ice ice;
	struct sl_stats stats;
	struct sl_addr addr[ADDRS];
	bool valid[ADDRS];
	unsigned at; /* present address */
	struct sl_srtp_key *tx, *rx;
	uint32_t srtcp_index;
	uint64_t transport, pubs[2], subs[2];
	uint16_t seq[2];
	uint8_t last[SL_DATAGRAM_MAX];
	size_t last_len;
};

static struct {
	struct sl_engine e;
	struct fuzz_peer p[PEERS];
	struct sl_hs *jobs[JOBS];
	size_t job_count;
	struct sl_in in[BATCH];
	uint8_t data[BATCH][SL_DATAGRAM_MAX];
	int count, good;
	int64_t now_us;
	uint64_t rng;
	uint64_t hashes[HASHES];
	size_t hash_count;
	bool all_seen;
} f;

static struct sl_cert *cert;
static struct sl_rng rng;

static void fill(void *state, void *out, size_t n)
{
	uint8_t *p = out;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		f.rng = f.rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		p[i] = (uint8_t)(f.rng >> 56);
	}
}

static uint64_t hash(const uint8_t *p, size_t n)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * UINT64_C(1099511628211);
	return h;
}

static struct sl_srtp_master master(unsigned peer, bool up)
{
	struct sl_srtp_master m = {.profile = SL_SRTP_AES128_CM_SHA1_80};

	memset(m.key, (int)(1 + peer * 2 + up), sizeof(m.key));
	memset(m.salt, (int)(101 + peer * 2 + up), sizeof(m.salt));
	return m;
}

/* ---- out ---- */

/* A payload that went in, but for the first bytes, where descriptors and RTX differ. */
static void note_payload(const uint8_t *plain, size_t len)
{
	struct sl_rtp rtp;

	f.all_seen &= f.hash_count < HASHES;
	if (sl_rtp_read(plain, len, &rtp) < 0 || rtp.payload_len < TAIL || f.hash_count == HASHES)
		return;
	f.hashes[f.hash_count++] =
		hash(plain + rtp.payload_off + rtp.payload_len - TAIL / 2, TAIL / 2);
}

static bool was_in(uint64_t h)
{
	for (size_t i = 0; i < f.hash_count; i++)
		if (f.hashes[i] == h)
			return true;
	return !f.all_seen;
}

static void rtp_goes_out(struct fuzz_peer *p, const struct sl_dgram *out)
{
	uint8_t plain[SL_DATAGRAM_MAX + 300];
	struct sl_srtp_op op = {.key = p->rx, .hdr = out->data, .hdr_len = out->len, .out = plain};
	struct sl_rtp rtp;

	CHECK(out->len <= sizeof(plain));
	/* Senders start below 2^15, and no input is long enough to wrap. */
	op.index = sl_get16(out->data + 2);
	CHECK(sl_srtp_open(&op, 1) == 1);
	CHECK(sl_rtp_read(plain, op.out_len, &rtp) == SL_OK && rtp.payload_len > 0 &&
	      rtp.pad_len == 0);
	if (rtp.payload_len >= TAIL + 2)
		CHECK(was_in(hash(plain + rtp.payload_off + rtp.payload_len - TAIL / 2, TAIL / 2)));
}

static void goes_out(const struct sl_dgram *out)
{
	struct sl_dgram d = {
		.path = {.remote = f.e.conf.locals[0].addr}, .data = out->data, .len = out->len};

	for (unsigned i = 0; i < PEERS; i++)
		for (unsigned k = 0; k < ADDRS; k++) {
			if (!f.p[i].valid[k] || !sl_addr_eq(&out->path.remote, &f.p[i].addr[k]))
				continue;
			if (out->data[0] < 4)
				sl_ice_recv(&f.p[i].ice, &d, f.now_us);
			else if (out->data[0] >= 128 && !sl_is_rtcp(out->data, out->len))
				rtp_goes_out(&f.p[i], out);
			return;
		}
	__builtin_trap();
}

static void io_send(void *arg, struct sl_run *runs, int n)
{
	(void)arg;
	for (int i = 0; i < n; i++)
		for (int k = 0; k < runs[i].count; k++)
			goes_out(&(struct sl_dgram){.path = *runs[i].path,
						    .data = runs[i].pkts[k].iov_base,
						    .len = runs[i].pkts[k].iov_len});
}

static bool io_handshake(void *arg, struct sl_hs *hs)
{
	(void)arg;
	if (f.job_count == JOBS)
		return false;
	f.jobs[f.job_count++] = hs;
	return true;
}

static bool io_event(void *arg, const struct sl_core_event *ev)
{
	(void)arg;
	CHECK(ev->transport != 0);
	return true;
}

/* ---- in ---- */

static uint64_t taken(void)
{
	const uint64_t *n = f.e.stats.n;

	return n[SL_STAT_rtp_in] + n[SL_STAT_rtp_padding_only] + n[SL_STAT_rtcp_in] +
	       n[SL_STAT_rtp_unknown_ssrc] + n[SL_STAT_rtp_unknown_pt] +
	       n[SL_STAT_dtls_closed_by_peer];
}

static unsigned peer_of(uint64_t transport)
{
	for (unsigned i = 0; i < PEERS; i++)
		if (f.p[i].transport == transport)
			return i;
	return PEERS;
}

static void run_jobs(void)
{
	while (f.job_count > 0) {
		struct sl_hs *hs = f.jobs[--f.job_count];
		unsigned i = peer_of(hs->transport);
		struct sl_srtp_master up = master(i, true);
		struct sl_srtp_master down = master(i, false);

		sl_hs_clear(&hs->in);
		sl_hs_clear(&hs->out);
		hs->tick = false;
		hs->deadline_us = SL_NEVER;
		hs->state = SL_DTLS_CONNECTED;
		if (i < PEERS && !hs->keys_taken)
			hs->keys_taken =
				sl_srtp_key_new(SL_SRTP_SOFT, &up, false, &hs->rx_key) == SL_OK &&
				sl_srtp_key_new(SL_SRTP_SOFT, &down, true, &hs->tx_key) == SL_OK;
		sl_engine_handshake(&f.e, hs, f.now_us);
	}
}

static void wake(void)
{
	uint64_t before = taken();

	sl_engine_recv(&f.e, f.in, f.count, f.now_us);
	CHECK(taken() - before <= (uint64_t)f.good);
	f.count = f.good = 0;
	run_jobs();
	sl_engine_tick(&f.e, f.now_us);
	run_jobs();
	sl_engine_flush(&f.e);
}

static void arrives(const struct sl_addr *from, const uint8_t *data, size_t len, bool good)
{
	struct sl_in *in = &f.in[f.count];

	len = SL_MIN(len, (size_t)SL_DATAGRAM_MAX);
	memcpy(f.data[f.count], data, len);
	*in = (struct sl_in){
		.path.remote = *from, .data = f.data[f.count], .len = len, .rx_us = f.now_us};
	f.good += good;
	if (++f.count == BATCH)
		wake();
}

static void checks(struct fuzz_peer *p)
{
	struct sl_ice_event ev;
	struct sl_dgram out;

	sl_ice_tick(&p->ice, f.now_us);
	while (sl_ice_pull(&p->ice, &out)) {
		p->valid[p->at] = true;
		arrives(&p->addr[p->at], out.data, out.len, false);
	}
	while (sl_ice_event(&p->ice, &ev))
		;
}

static void sealed(struct fuzz_peer *p, struct sl_srtp_op *op)
{
	uint8_t out[SL_DATAGRAM_MAX + 300];

	op->key = p->tx;
	op->out = out;
	if (sl_srtp_seal(op, 1) != 1 || op->out_len > sizeof(p->last))
		return;
	memcpy(p->last, out, op->out_len);
	p->last_len = op->out_len;
	arrives(&p->addr[p->at], out, op->out_len, true);
}

static void seal_rtp(struct fuzz_peer *p, const uint8_t *plain, size_t len, uint64_t roc)
{
	struct sl_srtp_op op = {.hdr = plain, .hdr_len = len};

	if (len < SL_RTP_HDR_MIN)
		return;
	op.index = roc << 16 | sl_get16(plain + 2);
	note_payload(plain, len);
	sealed(p, &op);
}

static void seal_rtcp(struct fuzz_peer *p, const uint8_t *plain, size_t len)
{
	struct sl_srtp_op op = {.hdr = plain, .hdr_len = 8, .payload = plain + 8, .rtcp = true};

	if (len < 8)
		return;
	op.payload_len = len - 8;
	op.index = p->srtcp_index++;
	sealed(p, &op);
}

/* ---- the room ---- */

static struct sl_track_conf track(unsigned peer, unsigned n, bool publish)
{
	bool video = n == 0;
	struct sl_track_conf c = {.publish = publish,
				  .kind = video ? SL_VIDEO : SL_AUDIO,
				  .twcc = publish && video,
				  .remb = true,
				  .rsize = true,
				  .codec_count = video ? 2 : 1};

	c.ssrc = publish && peer == 2 ? 0 : 1000 * (peer + 1) + 10 * n + (publish ? 0 : 1);
	c.rtx_ssrc = c.ssrc && video ? c.ssrc + 5 : 0;
	c.mid[0] = (char)('0' + n + (publish ? 0 : 2));
	c.exts.id[SL_EXT_MID] = 1;
	c.exts.id[SL_EXT_TWCC] = 2;
	c.exts.id[SL_EXT_AUDIO_LEVEL] = 3;
	c.exts.id[SL_EXT_ABS_SEND_TIME] = 4;
	c.codecs[0] = (struct sl_track_codec){.pt = video ? 96 : 111,
					      .rtx_pt = video ? 97 : 0,
					      .nack = true,
					      .pli = video,
					      .codec = video ? SL_VP8 : SL_OPUS,
					      .format = video};
	c.codecs[1] = (struct sl_track_codec){
		.pt = 98, .nack = true, .fir = true, .codec = SL_H264, .format = 7};
	return c;
}

static void open_peer(unsigned i)
{
	static struct sl_transport_conf c;
	const struct sl_reply *reply;
	struct fuzz_peer *p = &f.p[i];

	memset(&c, 0, sizeof(c));
	c.lite = true;
	c.dtls_client = i != 1;
	for (unsigned n = 0; n < 2 && i != 1; n++)
		c.tracks[c.track_count++] = track(i, n, true);
	for (unsigned n = 0; n < 2 && i != 0; n++)
		c.tracks[c.track_count++] = track(i, n, false);
	reply = lone_open(&f.e, &c, &p->ice, cert, f.now_us);
	p->transport = reply->transport;
	memcpy(i == 1 ? p->subs : p->pubs, reply->tracks, 2 * sizeof(uint64_t));
	if (i == 2)
		memcpy(p->subs, reply->tracks + 2, 2 * sizeof(uint64_t));
}

static void command(enum sl_cmd_type type, uint64_t object, uint64_t other)
{
	static struct sl_cmd cmd;

	memset(&cmd, 0, sizeof(cmd));
	cmd.type = type;
	cmd.object = object;
	cmd.other = other;
	sl_engine_command(&f.e, &cmd, f.now_us);
}

static void pass(int64_t us)
{
	f.now_us += us;
	for (unsigned i = 0; i < PEERS; i++)
		checks(&f.p[i]);
	wake();
}

static void begin(void)
{
	static const uint8_t hello[] = {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1};
	struct sl_engine_conf ec = {.max_transports = 4,
				    .max_tracks = 16,
				    .max_packets = 256,
				    .max_handshakes = 4,
				    .ice_timeout_us = 15 * SL_SEC,
				    .ntp_offset_us = INT64_C(3990000000) * SL_SEC,
				    .max_video_bps = 2500000,
				    .cert = cert,
				    .local_count = 1};
	struct sl_engine_io io = {.send = io_send,
				  .handshake = io_handshake,
				  .relay_slot = lone_relay_slot,
				  .relay_push = lone_relay_push,
				  .event = io_event};

	memset(&f, 0, sizeof(f));
	f.rng = 7;
	f.all_seen = true;
	f.now_us = 1000 * SL_SEC;
	ec.locals[0] = (struct sl_ice_cand){
		.addr = sl_addr_v4(192, 0, 2, 1, 1000), .priority = 1, .foundation = "1"};
	CHECK(sl_engine_init(&f.e, &ec, &io, &rng, f.now_us) == SL_OK);
	for (uint8_t i = 0; i < PEERS; i++) {
		struct fuzz_peer *p = &f.p[i];
		struct sl_srtp_master up = master(i, true);
		struct sl_srtp_master down = master(i, false);
		struct sl_ice_cand local = {
			.addr = sl_addr_v4(10, 0, 0, i, 5), .priority = 1, .foundation = "1"};
		struct sl_ice_conf ic = {.remote_lite = true,
					 .controlling = true,
					 .timeout_us = 60 * SL_SEC,
					 .local = &local,
					 .local_count = 1,
					 .tid_tag = i,
					 .rng = &rng,
					 .stats = &p->stats};

		for (uint8_t k = 0; k < ADDRS; k++)
			p->addr[k] = sl_addr_v4(198, 51, 100, (uint8_t)(i * ADDRS + k + 1), 4000);
		CHECK(sl_srtp_key_new(SL_SRTP_SOFT, &up, true, &p->tx) == SL_OK);
		CHECK(sl_srtp_key_new(SL_SRTP_SOFT, &down, false, &p->rx) == SL_OK);
		CHECK(sl_ice_init(&p->ice, &ic, f.now_us) == SL_OK);
		open_peer(i);
	}
	for (int i = 0; i < 3; i++)
		pass(50 * SL_MS);
	/* Peer 1 is the DTLS client: what looks like its hello is enough. */
	arrives(&f.p[1].addr[0], hello, sizeof(hello), false);
	pass(50 * SL_MS);
	CHECK(f.e.stats.n[SL_STAT_dtls_handshakes] == PEERS);
	for (unsigned n = 0; n < 2; n++) {
		command(SL_CMD_ROUTE, f.p[1].subs[n], f.p[0].pubs[n]);
		command(SL_CMD_ROUTE, f.p[2].subs[n], f.p[0].pubs[n]);
	}
}

static void end(void)
{
	const struct sl_engine *e = &f.e;

	wake();
	sl_engine_close_all(&f.e, f.now_us);
	run_jobs();
	CHECK(e->transports.live == 0 && e->publishers.live == 0 && e->subscribers.live == 0 &&
	      e->replicas.live == 0);
	CHECK(e->handshakes.live == 0 && e->sources.live == 0 &&
	      e->packets.nfree == e->packets.count);
	CHECK(e->by_ufrag.count == 0 && e->by_path.count == 0 && e->by_tid.count == 0 &&
	      e->by_publisher.count == 0);
	CHECK(e->wheel.armed == 0 && e->transport_count == 0 && sl_list_empty(&e->hs_list) &&
	      sl_list_empty(&e->dead));
	sl_engine_fini(&f.e);
	for (unsigned i = 0; i < PEERS; i++) {
		sl_srtp_key_free(f.p[i].tx);
		sl_srtp_key_free(f.p[i].rx);
		sl_ice_fini(&f.p[i].ice);
	}
}

/* ---- operations ---- */

static struct sl_rd bytes_of(struct sl_rd *r)
{
	size_t n = sl_rd8(r) * 4u;

	return sl_rd_sub(r, SL_MIN(n, sl_rd_left(r)));
}

static void op_raw(struct sl_rd *r)
{
	uint8_t from = sl_rd8(r);
	struct sl_rd b = bytes_of(r);
	const struct fuzz_peer *p = &f.p[from % PEERS];
	struct sl_addr stranger = sl_addr_v4(203, 0, 113, from, 1);

	if (sl_rd_left(&b) > 0)
		arrives(from & 0x80 ? &stranger : &p->addr[p->at], b.p, sl_rd_left(&b), false);
}

static void op_rtp(struct sl_rd *r)
{
	uint8_t how = sl_rd8(r);
	struct sl_rd b = bytes_of(r);

	seal_rtp(&f.p[how % PEERS], b.p, sl_rd_left(&b), how >> 4 & 1);
}

static void op_rtcp(struct sl_rd *r)
{
	uint8_t how = sl_rd8(r);
	struct sl_rd b = bytes_of(r);

	seal_rtcp(&f.p[how % PEERS], b.p, sl_rd_left(&b));
}

/* A packet of a track, in order but for what the input says: payload bytes, and numbers that skip.
 */
static void op_media(struct sl_rd *r)
{
	uint8_t how = sl_rd8(r);
	int8_t skip = (int8_t)sl_rd8(r);
	struct sl_rd b = bytes_of(r);
	struct fuzz_peer *p = &f.p[how & 1 ? 2 : 0];
	unsigned n = how >> 1 & 1;
	uint8_t buf[SL_DATAGRAM_MAX] = {0x90, (uint8_t)(n	  ? 111
							: how & 8 ? 98
							: how & 4 ? 97
								  : 96)};
	size_t len = sl_rd_left(&b);

	p->seq[n] = (uint16_t)(p->seq[n] + 1 + skip);
	if (how & 16)
		buf[0] |= 0x20;
	sl_put16(buf + 2, p->seq[n]);
	sl_put32(buf + 4, (uint32_t)(f.now_us / 11));
	sl_put32(buf + 8,
		 (how & 1 ? 77 : 1000) + 10 * n + (n == 0 && how & 4 && !(how & 8) ? 5 : 0));
	sl_put32(buf + 12, 0xbede0002);
	sl_put32(buf + 16, 0x10000020 | (uint32_t)('0' + n) << 16 |
				   1); /* MID, and the start of transport-cc */
	buf[18] = 0x21;
	buf[19] = (uint8_t)(p->seq[n] >> 8);
	buf[20] = (uint8_t)p->seq[n];
	memcpy(buf + 24, b.p, len);
	seal_rtp(p, buf, 24 + len, 0);
}

/* NACK, PLI and reports about what we send. */
static void op_feedback(struct sl_rd *r)
{
	uint8_t how = sl_rd8(r);
	uint16_t pid = sl_rd16(r);
	struct fuzz_peer *p = &f.p[how & 1 ? 2 : 1];
	const struct sl_subscriber *s = sl_pool_at(&f.e.subscribers, p->subs[how >> 1 & 1]);
	uint64_t lost[4] = {pid, pid + 1u, pid + 3u, pid + 20u};
	uint8_t buf[200];
	struct sl_wr w = sl_wr(buf, sizeof(buf));

	if (!s)
		return;
	for (int i = 0; i < 4 && how & 4; i++)
		lost[i] += s->rw.top_out - (pid & 1023) - lost[0] + pid;
	if (how & 8)
		sl_rtcp_write_pli(&w, 1, s->conf.ssrc);
	sl_rtcp_write_nack(&w, 1, s->conf.ssrc, lost, 4);
	seal_rtcp(p, buf, sl_wr_len(&w));
}

static void op_replay(struct sl_rd *r)
{
	const struct fuzz_peer *p = &f.p[sl_rd8(r) % PEERS];

	if (p->last_len)
		arrives(&p->addr[p->at], p->last, p->last_len, true);
}

static void op_time(struct sl_rd *r)
{
	uint8_t t = sl_rd8(r);

	wake();
	pass(t < 250 ? t * SL_MS : (t - 249) * 3 * SL_SEC);
}

static void op_move(struct sl_rd *r)
{
	struct fuzz_peer *p = &f.p[sl_rd8(r) % PEERS];

	p->at = (p->at + 1) % ADDRS;
}

static void op_command(struct sl_rd *r)
{
	uint8_t how = sl_rd8(r);
	struct fuzz_peer *a = &f.p[how % PEERS];
	const struct fuzz_peer *b = &f.p[(how >> 2) % PEERS];
	unsigned n = how >> 4 & 1;

	wake();
	switch (how >> 5) {
	case 0:
		command(SL_CMD_CLOSE, a->transport, 0);
		break;
	case 1:
		command(SL_CMD_REMOVE_TRACK, a->pubs[n], 0);
		break;
	case 2:
		command(SL_CMD_REMOVE_TRACK, a->subs[n], 0);
		break;
	case 3:
		command(SL_CMD_INFO, a->transport, 0);
		break;
	case 4:
		command(SL_CMD_ROUTE, a->subs[n], 0);
		break;
	default:
		command(SL_CMD_ROUTE, a->subs[n], b->pubs[n]);
	}
}

static void (*const ops[])(struct sl_rd *r) = {op_raw,	 op_rtp,   op_rtcp,	op_media,
					       op_media, op_media, op_feedback, op_replay,
					       op_time,	 op_time,  op_move,	op_command};

static void check_bounds(void)
{
	uint32_t cursor = 0;
	const struct sl_transport *t;

	while ((t = sl_pool_next(&f.e.transports, &cursor, NULL)))
		CHECK(t->source_count <= SL_SOURCES_MAX && t->path_count <= SL_PATHS_MAX);
	CHECK(f.e.by_path.count <= PEERS * SL_PATHS_MAX && f.e.handshakes.live <= PEERS &&
	      f.e.sources.live <= PEERS * SL_SOURCES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sl_rd r = sl_rd(data, len);
	uint64_t live;

	rng = (struct sl_rng){.fill = fill};
	CHECK(sl_log_set_levels(SL_STR("error")) == SL_OK);
	if (!cert)
		CHECK(sl_cert_new(&rng, INT64_C(1800000000) * SL_SEC, &cert) == SL_OK);
	live = sl_mem_stat().live;
	begin();
	for (int i = 0; i < STEPS && sl_rd_left(&r) > 0; i++) {
		uint8_t op = sl_rd8(&r);

		ops[op % SL_COUNT(ops)](&r);
		check_bounds();
	}
	end();
	CHECK(sl_mem_stat().live == live);
	return 0;
}
