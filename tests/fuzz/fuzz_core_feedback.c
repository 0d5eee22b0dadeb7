/* SPDX-License-Identifier: Apache-2.0
 * RTCP and what it makes a media loop do, by a virtual clock. Peer 0 publishes two videos and an
 * audio track, peer 1 plays them; SRTP is off, so that every byte of the input is plain RTCP. The
 * input is a list of operations, each a byte and its arguments: compounds of any bytes, well-formed
 * packets about the tracks there are, media, caps and time. Properties: what we send parses;
 * key-frame requests about one source are 500 ms apart, and none waits for ever; the bit rate that
 * we name lies between half of the caps and the caps; nothing is sent again that was not sent, and
 * not more than T52 allows; reports leave about once a second however many come in; round trips are
 * within the time that has passed; no RTCP ends a session or makes an object. */
#include "tests/fuzz/lone_engine.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "tests/lib/null_keys.h"

enum { PEERS = 2, TRACKS = 3, STEPS = 300, TURNS = 400, AGAIN_FLOOR = 3000, OUR_PORT = 1000 };
#define CHECK(c) ((c) ? (void)0 : __builtin_trap())
#define START_US (1000 * SL_SEC)
#define WINDOW_US (200 * SL_MS)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct fuzz_peer {
	struct sl_ice ice;
	struct sl_stats stats;
	struct sl_addr addr;
	uint64_t transport, tracks[TRACKS];
	uint32_t srtcp_index;
	uint16_t seq[TRACKS];
	unsigned reports; /* SR and RR received */
};

static struct {
	struct sl_engine e;
	struct fuzz_peer p[PEERS];
	struct sl_hs *jobs[PEERS];
	size_t job_count;
	int64_t now_us, asked_us[TRACKS]; /* asked_us: for a key frame; 0 never */
	uint64_t rng;
	uint16_t top[TRACKS], first[TRACKS]; /* numbers sent to the player */
	bool sent_any[TRACKS];
	uint64_t sent[TRACKS], again[TRACKS]; /* payload bytes */
	uint64_t cap_bps;		      /* most that REMB may say */
	bool was_capped;   /* the track with transport-cc: freed of its cap it is told a Gb/s */
	unsigned commands; /* that made a report leave early */
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

static uint32_t ssrc_of(unsigned peer, unsigned track)
{
	return 1000 * (peer + 1) + 10 * track;
}

/* ---- out ---- */

static void asks_for_picture(uint32_t ssrc)
{
	unsigned track = (ssrc - ssrc_of(0, 0)) / 10;

	CHECK(track < 2 && ssrc == ssrc_of(0, track));
	CHECK(!f.asked_us[track] || f.now_us - f.asked_us[track] >= 500 * SL_MS);
	f.asked_us[track] = f.now_us;
}

enum { LIFTED_BPS = 999997440 };

static void names_rate(const struct sl_rtcp *p)
{
	uint32_t ssrcs[8];
	uint64_t bps = 0;
	int n = sl_rtcp_read_remb(*p, &bps, ssrcs, SL_COUNT(ssrcs));

	CHECK(n >= 1 && n <= 2);
	for (int i = 0; i < n; i++)
		CHECK(ssrcs[i] == ssrc_of(0, 0) || ssrcs[i] == ssrc_of(0, 1));
	/* An 18-bit mantissa rounds down. */
	if (f.was_capped && bps >= LIFTED_BPS && bps < LIFTED_BPS + f.cap_bps + LIFTED_BPS / 65536)
		return;
	CHECK(bps <= f.cap_bps && bps + f.cap_bps / 65536 + 2 >= f.cap_bps / 2);
}

static void feedback_out(unsigned to, const struct sl_rtcp *p)
{
	uint32_t sender;
	uint32_t media = 0;
	struct sl_fir fir[2];
	struct sl_nack_fci fci[100];

	if (p->type == SL_RTCP_PSFB && p->count == SL_PSFB_PLI) {
		CHECK(to == 0 && sl_rtcp_read_pli(*p, &sender, &media) == SL_OK);
		asks_for_picture(media);
	} else if (p->type == SL_RTCP_PSFB && p->count == SL_PSFB_FIR) {
		CHECK(to == 0 && sl_rtcp_read_fir(*p, &sender, fir, 2) == 1);
		asks_for_picture(fir[0].ssrc);
	} else if (p->type == SL_RTCP_PSFB) {
		CHECK(to == 0 && p->count == SL_PSFB_AFB);
		names_rate(p);
	} else if (p->count == SL_RTPFB_NACK) {
		CHECK(to == 0 && sl_rtcp_read_nack(*p, &sender, &media, fci, SL_COUNT(fci)) > 0);
		CHECK(media == ssrc_of(0, 0) || media == ssrc_of(0, 2));
	} else {
		CHECK(to == 0 && p->count == SL_RTPFB_TWCC);
	}
}

static void rtcp_out(unsigned to, const uint8_t *data, size_t len)
{
	struct sl_rd it = sl_rd(data, len - 4);
	struct sl_rtcp p;
	bool report = false;

	while (sl_rtcp_next(&it, &p)) {
		if (p.type == SL_RTCP_RTPFB || p.type == SL_RTCP_PSFB)
			feedback_out(to, &p);
		else
			CHECK(p.type == SL_RTCP_SR || p.type == SL_RTCP_RR ||
			      p.type == SL_RTCP_SDES || p.type == SL_RTCP_XR);
		report |= p.type == SL_RTCP_SR || p.type == SL_RTCP_RR;
	}
	CHECK(!it.bad);
	f.p[to].reports += report;
}

static void counts_again(unsigned track, uint16_t seq, size_t bytes)
{
	CHECK(f.sent_any[track] && (int16_t)(f.top[track] - seq) >= 0 &&
	      (int16_t)(seq - f.first[track]) >= 0);
	f.again[track] += bytes;
}

static void rtp_out(unsigned to, const uint8_t *data, size_t len)
{
	struct sl_rtp rtp;
	unsigned track;

	CHECK(to == 1 && sl_rtp_read(data, len, &rtp) == SL_OK && rtp.payload_len > 0);
	track = (rtp.ssrc - ssrc_of(1, 0)) / 10;
	CHECK(track < TRACKS);
	if (rtp.ssrc == ssrc_of(1, track) + 5) {
		CHECK(track < 2 && rtp.payload_len > 2);
		counts_again(track, sl_get16(data + rtp.payload_off), rtp.payload_len - 2);
	} else if (f.sent_any[track] && (int16_t)(rtp.seq - f.top[track]) <= 0) {
		CHECK(track == 2);
		counts_again(track, rtp.seq, rtp.payload_len);
	} else {
		if (!f.sent_any[track])
			f.first[track] = rtp.seq;
		f.sent_any[track] = true;
		f.top[track] = rtp.seq;
		f.sent[track] += rtp.payload_len;
	}
}

static void goes_out(unsigned to, const struct iovec *pkt)
{
	struct sl_dgram d = {.path = {.remote = f.e.conf.locals[0].addr},
			     .data = pkt->iov_base,
			     .len = pkt->iov_len};

	if (d.data[0] < 4)
		sl_ice_recv(&f.p[to].ice, &d, f.now_us);
	else if (d.data[0] >= 128 && sl_is_rtcp(d.data, d.len))
		rtcp_out(to, d.data, d.len);
	else if (d.data[0] >= 128)
		rtp_out(to, d.data, d.len);
}

static void io_send(void *arg, struct sl_run *runs, int n)
{
	(void)arg;
	for (int i = 0; i < n; i++) {
		unsigned to = sl_addr_eq(&runs[i].path->remote, &f.p[1].addr);

		CHECK(sl_addr_eq(&runs[i].path->remote, &f.p[to].addr));
		for (int k = 0; k < runs[i].count; k++)
			goes_out(to, &runs[i].pkts[k]);
	}
}

static bool io_handshake(void *arg, struct sl_hs *hs)
{
	(void)arg;
	if (f.job_count == SL_COUNT(f.jobs))
		return false;
	f.jobs[f.job_count++] = hs;
	return true;
}

static bool io_event(void *arg, const struct sl_core_event *ev)
{
	(void)arg;
	/* The clock leaps by seconds at most, so nobody is ever given up. */
	CHECK(ev->type != SL_EV_CLOSED || ev->cause == SL_CLOSE_SHUTDOWN);
	return true;
}

/* ---- in ---- */

static void arrives(unsigned from, const uint8_t *data, size_t len)
{
	uint8_t copy[SL_DATAGRAM_MAX];
	struct sl_in in = {.path.remote = f.p[from].addr,
			   .data = copy,
			   .len = SL_MIN(len, sizeof(copy)),
			   .rx_us = f.now_us};

	memcpy(copy, data, in.len);
	sl_engine_recv(&f.e, &in, 1, f.now_us);
}

static void run_jobs(void)
{
	while (f.job_count > 0) {
		struct sl_hs *hs = f.jobs[--f.job_count];

		null_keys_shake(hs);
		sl_engine_handshake(&f.e, hs, f.now_us);
	}
}

static void checks(unsigned i)
{
	struct sl_ice_event ev;
	struct sl_dgram out;

	sl_ice_tick(&f.p[i].ice, f.now_us);
	while (sl_ice_pull(&f.p[i].ice, &out))
		arrives(i, out.data, out.len);
	while (sl_ice_event(&f.p[i].ice, &ev))
		;
}

static void turn(void)
{
	sl_engine_tick(&f.e, f.now_us);
	run_jobs();
	sl_engine_flush(&f.e);
	for (unsigned i = 0; i < PEERS; i++)
		checks(i);
	run_jobs();
	sl_engine_flush(&f.e);
}

/* From deadline to deadline, as a loop that keeps up. */
static void pass(int64_t us)
{
	int64_t end_us = f.now_us + us;

	for (int i = 0; i < TURNS && f.now_us < end_us; i++) {
		int64_t next_us = sl_engine_deadline_us(&f.e);

		for (unsigned k = 0; k < PEERS; k++)
			next_us = SL_MIN(next_us, sl_ice_deadline_us(&f.p[k].ice));
		f.now_us = SL_MIN(SL_MAX(next_us, f.now_us + SL_MS), end_us);
		turn();
	}
	f.now_us = end_us;
	turn();
}

/* ---- the call ---- */

static struct sl_track_conf track(unsigned peer, unsigned n)
{
	bool video = n < 2;
	struct sl_track_conf c = {.publish = peer == 0,
				  .kind = video ? SL_VIDEO : SL_AUDIO,
				  .remb = video,
				  .twcc = n == 1,
				  .rsize = true,
				  .codec_count = 1,
				  .ssrc = ssrc_of(peer, n)};

	c.rtx_ssrc = video ? c.ssrc + 5 : 0;
	c.mid[0] = (char)('0' + n);
	c.exts.id[SL_EXT_TWCC] = n == 1 ? 2 : 0;
	c.codecs[0] = (struct sl_track_codec){.pt = (uint8_t)(96 + 2 * n),
					      .rtx_pt = video ? (uint8_t)(97 + 2 * n) : 0,
					      .nack = n != 1 || peer,
					      .pli = n == 0,
					      .fir = n == 1,
					      .codec = video ? SL_VP8 : SL_OPUS,
					      .format = n};
	return c;
}

static void command(enum sl_cmd_type type, uint64_t object, uint64_t other, uint32_t bps)
{
	static struct sl_cmd cmd;

	memset(&cmd, 0, sizeof(cmd));
	cmd.type = type;
	cmd.object = object;
	cmd.other = other;
	cmd.bps = bps;
	sl_engine_command(&f.e, &cmd, f.now_us);
	CHECK(cmd.reply.err == SL_OK);
}

static void open_peer(unsigned i)
{
	static struct sl_transport_conf c;
	const struct sl_reply *reply;
	struct fuzz_peer *p = &f.p[i];

	memset(&c, 0, sizeof(c));
	c.lite = c.dtls_client = true;
	for (unsigned n = 0; n < TRACKS; n++)
		c.tracks[c.track_count++] = track(i, n);
	reply = lone_open(&f.e, &c, &p->ice, cert, f.now_us);
	p->transport = reply->transport;
	memcpy(p->tracks, reply->tracks, sizeof(p->tracks));
}

static void begin(void)
{
	struct sl_engine_conf ec = {.max_transports = 2,
				    .max_tracks = 8,
				    .max_packets = 256,
				    .max_handshakes = 2,
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
	f.now_us = START_US;
	f.cap_bps = ec.max_video_bps;
	ec.locals[0] = (struct sl_ice_cand){
		.addr = sl_addr_v4(192, 0, 2, 1, OUR_PORT), .priority = 1, .foundation = "1"};
	CHECK(sl_engine_init(&f.e, &ec, &io, &rng, f.now_us) == SL_OK);
	for (uint8_t i = 0; i < PEERS; i++) {
		struct sl_ice_cand local = {
			.addr = sl_addr_v4(198, 51, 100, i, 5), .priority = 1, .foundation = "1"};
		struct sl_ice_conf ic = {.remote_lite = true,
					 .controlling = true,
					 .timeout_us = 60 * SL_SEC,
					 .local = &local,
					 .local_count = 1,
					 .tid_tag = i,
					 .rng = &rng,
					 .stats = &f.p[i].stats};

		f.p[i].addr = local.addr;
		CHECK(sl_ice_init(&f.p[i].ice, &ic, f.now_us) == SL_OK);
		open_peer(i);
	}
	pass(200 * SL_MS);
	CHECK(f.e.stats.n[SL_STAT_dtls_handshakes] == PEERS);
	for (unsigned n = 0; n < TRACKS; n++)
		command(SL_CMD_ROUTE, f.p[1].tracks[n], f.p[0].tracks[n], 0);
}

static void end(void)
{
	const struct sl_engine *e = &f.e;

	sl_engine_close_all(&f.e, f.now_us);
	run_jobs();
	CHECK(e->transports.live == 0 && e->publishers.live == 0 && e->subscribers.live == 0 &&
	      e->replicas.live == 0);
	CHECK(e->handshakes.live == 0 && e->sources.live == 0 &&
	      e->packets.nfree == e->packets.count && e->wheel.armed == 0);
	sl_engine_fini(&f.e);
	for (unsigned i = 0; i < PEERS; i++)
		sl_ice_fini(&f.p[i].ice);
}

/* ---- operations ---- */

static void rtcp_in(unsigned from, const uint8_t *plain, size_t len)
{
	uint8_t buf[1200];

	len = SL_MIN(len, sizeof(buf) - 4);
	memcpy(buf, plain, len);
	sl_put32(buf + len, 0x80000000 | ++f.p[from].srtcp_index);
	arrives(from, buf, len + 4);
}

static void op_raw(struct sl_rd *r)
{
	uint8_t how = sl_rd8(r);
	struct sl_rd b = sl_rd_sub(r, SL_MIN((size_t)sl_rd8(r) * 4u, sl_rd_left(r)));
	size_t len = sl_rd_left(&b);
	uint8_t head[8] = {0x80, 201, 0, 1};

	/* What tells RTCP from RTP is not left to chance. */
	if (len < 8 || !sl_is_rtcp(b.p, len) || b.p[0] >> 6 != 2)
		rtcp_in(how & 1, head, sizeof(head));
	else
		rtcp_in(how & 1, b.p, len);
}

/* The SSRC that a packet is about: of any track, RTX or none. */
static uint32_t about(uint8_t how)
{
	return how & 0x80 ? how : ssrc_of(how & 1, (how >> 1 & 3) % TRACKS) + (how & 8 ? 5 : 0);
}

static void report_blocks(struct sl_rd *r, struct sl_report *b, int n)
{
	for (int i = 0; i < n; i++) {
		b[i] = (struct sl_report){.ssrc = about(sl_rd8(r)), .fraction_lost = sl_rd8(r)};
		b[i].highest_seq = sl_rd32(r);
		b[i].lsr = sl_rd8(r) & 1 ? sl_rd32(r)
					 : sl_ntp_mid32(sl_ntp_from_us(
						   (uint64_t)(f.now_us + f.e.conf.ntp_offset_us)));
		b[i].dlsr = sl_rd32(r);
	}
}

static void op_report(struct sl_rd *r)
{
	uint8_t how = sl_rd8(r);
	struct sl_report blocks[3];
	struct sl_sender_info si;
	uint8_t buf[300];
	struct sl_wr w = sl_wr(buf, sizeof(buf));
	int n = how >> 1 & 3;

	report_blocks(r, blocks, n);
	if (how & 8) {
		si = (struct sl_sender_info){.ssrc = about(sl_rd8(r)), .ntp = sl_rd64(r)};
		si.rtp_ts = sl_rd32(r);
		sl_rtcp_write_sr(&w, &si, blocks, n);
	} else {
		sl_rtcp_write_rr(&w, about(sl_rd8(r)), blocks, n);
	}
	if (how & 16)
		sl_rtcp_write_rrtr(&w, about(sl_rd8(r)), sl_rd64(r));
	if (how & 32) {
		const struct sl_transport *t = sl_pool_at(&f.e.transports, f.p[how & 1].transport);
		uint32_t lrr = sl_rd32(r);

		sl_rtcp_write_dlrr(&w, 1, t->rtcp_ssrc, lrr, sl_rd32(r));
	}
	rtcp_in(how & 1, buf, sl_wr_len(&w));
}

static void op_nack(struct sl_rd *r)
{
	uint8_t how = sl_rd8(r);
	uint8_t from = sl_rd8(r);
	uint8_t buf[1000];
	struct sl_wr w = sl_wr(buf, sizeof(buf));
	uint64_t lost[100];
	unsigned track = (how >> 1 & 3) % TRACKS;

	for (uint64_t i = 0; i < SL_COUNT(lost); i++)
		lost[i] = 65536u + f.top[track] - from + i;
	sl_rtcp_write_nack(&w, 1, about(how), lost, 1 + from % (int)SL_COUNT(lost));
	rtcp_in(1, buf, sl_wr_len(&w));
}

static void op_picture(struct sl_rd *r)
{
	uint8_t how = sl_rd8(r);
	uint8_t times = sl_rd8(r);
	uint8_t buf[300];
	struct sl_wr w = sl_wr(buf, sizeof(buf));

	for (int i = 0; i <= times % 8; i++)
		if (how & 16)
			sl_rtcp_write_fir(&w, 1, about(how), (uint8_t)(times + i));
		else
			sl_rtcp_write_pli(&w, 1, about(how));
	rtcp_in(1, buf, sl_wr_len(&w));
}

static void op_rate(struct sl_rd *r)
{
	uint8_t how = sl_rd8(r);
	uint8_t buf[100];
	struct sl_wr w = sl_wr(buf, sizeof(buf));
	uint32_t ssrcs[2] = {about(how), about(sl_rd8(r))};

	sl_rtcp_write_remb(&w, 1, sl_rd64(r), ssrcs, 2);
	if (how & 32)
		sl_rtcp_write_bye(&w, ssrcs, 2);
	rtcp_in(how & 1, buf, sl_wr_len(&w));
}

static void op_media(struct sl_rd *r)
{
	uint8_t how = sl_rd8(r);
	uint8_t skip = sl_rd8(r);
	unsigned n = (unsigned)(how & 3) % TRACKS;
	/* VP8 without a descriptor's options: start of a frame; the next byte's low bit is 0 for a
	 * key frame. */
	uint8_t buf[1200] = {0x80, (uint8_t)(96 + 2 * n)};
	size_t len = 30 + 4 * (size_t)(how >> 3) * (size_t)(skip >> 2);

	len = SL_MIN(len, sizeof(buf) - 12);
	f.p[0].seq[n] = (uint16_t)(f.p[0].seq[n] + 1 + (skip & 3));
	sl_put16(buf + 2, f.p[0].seq[n]);
	sl_put32(buf + 4, (uint32_t)(f.now_us / 11));
	sl_put32(buf + 8, ssrc_of(0, n));
	buf[12] = 0x10;
	buf[13] = how & 4 ? 0 : 1;
	memcpy(buf + 15, "\x9d\x01\x2a\x40\x01\xf0", 6);
	arrives(0, buf, 12 + len);
}

static void op_time(struct sl_rd *r)
{
	uint8_t t = sl_rd8(r);

	if (t >= 192) { /* a loop that was held up */
		f.now_us += (t - 191) * 50 * SL_MS;
		turn();
		return;
	}
	pass(t < 128 ? t * SL_MS : (t - 127) * 20 * SL_MS);
}

static void op_cap(struct sl_rd *r)
{
	uint8_t how = sl_rd8(r);
	uint32_t bps = sl_rd32(r);
	static uint32_t caps[2];

	if (how & 4) {
		command(SL_CMD_KEYFRAME, f.p[0].tracks[how & 1], 0, 0);
		return;
	}
	if (f.commands++ == 0)
		memset(caps, 0, sizeof(caps));
	caps[how & 1] = bps;
	f.was_capped |= (how & 1) && bps;
	f.cap_bps = (caps[0] ? caps[0] : f.e.conf.max_video_bps) + (uint64_t)caps[1];
	command(SL_CMD_CAP, f.p[0].tracks[how & 1], 0, bps);
}

static void (*const ops[])(struct sl_rd *r) = {op_raw,	   op_report, op_nack,	op_nack,
					       op_picture, op_rate,   op_media, op_media,
					       op_media,   op_time,   op_time,	op_cap};

/* ---- after each ---- */

static void check_again(void)
{
	uint64_t windows = (uint64_t)((f.now_us - START_US) / WINDOW_US) + 2;

	for (unsigned n = 0; n < TRACKS; n++) {
		const struct sl_subscriber *s = sl_pool_at(&f.e.subscribers, f.p[1].tracks[n]);

		CHECK(f.again[n] <= 2 * f.sent[n] + AGAIN_FLOOR * windows);
		CHECK(s->again_bytes <=
		      SL_MAX(SL_MAX(s->sent_bytes, s->sent_bytes_prior), (uint32_t)AGAIN_FLOOR));
		CHECK(s->tx.rtt_us >= -1 && s->tx.rtt_us <= f.now_us - START_US);
	}
}

static void check_state(void)
{
	unsigned most = (unsigned)((f.now_us - START_US) / (500 * SL_MS)) + 2 + f.commands;

	for (unsigned i = 0; i < PEERS; i++) {
		const struct sl_transport *t = sl_pool_at(&f.e.transports, f.p[i].transport);

		CHECK(t && t->phase == SL_T_CONNECTED && t->source_count <= SL_SOURCES_MAX);
		CHECK(t->rtt_us >= -1 && t->rtt_us <= 10 * SL_SEC);
		CHECK(f.p[i].reports <= most);
	}
	for (unsigned n = 0; n < 2; n++) {
		const struct sl_publisher *p = sl_pool_at(&f.e.publishers, f.p[0].tracks[n]);

		CHECK(p->kf.rtt_us >= 0 && p->kf.rtt_us <= 5 * SL_SEC);
		CHECK(!p->kf.wanted || sl_kf_deadline_us(&p->kf) <= f.now_us + 10 * SL_SEC);
	}
	CHECK(f.e.publishers.live == TRACKS && f.e.subscribers.live == TRACKS &&
	      f.e.replicas.live == TRACKS);
}

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
		ops[sl_rd8(&r) % SL_COUNT(ops)](&r);
		turn();
		check_again();
		check_state();
	}
	end();
	CHECK(sl_mem_stat().live == live);
	return 0;
}
