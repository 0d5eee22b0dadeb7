/* SPDX-License-Identifier: Apache-2.0
 * bench/micro_forward.c — how many instructions of ours a forwarded packet costs. One camera, N
 * players, one engine with its UDP layer; the cipher and the system call are left out: this file's
 * own sl_srtp_open, sl_srtp_seal (by the linker's --wrap) and sendmmsg stand in for them, a few
 * instructions each. measured() is all that callgrind counts (--toggle-collect):
 *	valgrind --tool=callgrind --collect-atstart=no --toggle-collect=measured micro_forward 50
 * divided by what this program prints. `make bench-micro-forward` does that. */
#include "core/core_int.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "tests/lib/null_keys.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { PLAYERS_MAX = 1000, BURST = 8, BURSTS = 64, WARM_BURSTS = 16, PAYLOAD = 1100, PORT = 10000 };
#define NEED(c) ((c) ? (void)0 : (fprintf(stderr, "micro_forward: %s\n", #c), exit(1)))

struct bench_peer {
	struct sl_ice ice;
	struct sl_stats stats;
	struct sl_addr addr;
	uint64_t track;
};

static struct {
	struct sl_engine e;
	struct sl_udp udp;
	struct sl_udp_bufs *bufs;
	struct bench_peer *p; /* [0] is the camera */
	unsigned players;
	struct sl_hs *jobs[PLAYERS_MAX + 1];
	size_t job_count;
	int64_t now_us;
	uint64_t rng;
	uint64_t sent;
	bool started; /* datagrams go to the UDP layer, no more to the peers' ICE */
	uint16_t seq;
} b;

static struct sl_cert *cert;
static struct sl_rng rng;

static void fill(void *state, void *out, size_t n)
{
	uint8_t *p = out;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		b.rng = b.rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		p[i] = (uint8_t)(b.rng >> 56);
	}
}

/* ---- what stands in for the cipher and for the system ---- */

int __wrap_sl_srtp_seal(struct sl_srtp_op *ops, int n);
int __wrap_sl_srtp_open(struct sl_srtp_op *ops, int n);

int __wrap_sl_srtp_seal(struct sl_srtp_op *ops, int n)
{
	for (int i = 0; i < n; i++) {
		ops[i].out_len = ops[i].hdr_len + ops[i].payload_len + 10;
		ops[i].err = SL_OK;
	}
	return n;
}

int __wrap_sl_srtp_open(struct sl_srtp_op *ops, int n)
{
	for (int i = 0; i < n; i++) {
		memcpy(ops[i].out, ops[i].hdr, ops[i].hdr_len);
		ops[i].out_len = ops[i].hdr_len;
		ops[i].err = SL_OK;
	}
	return n;
}

int sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	(void)fd;
	(void)flags;
	for (unsigned i = 0; i < n; i++)
		b.sent += msgs[i].msg_hdr.msg_iovlen;
	return (int)n;
}

/* ---- the engine's surroundings ---- */

static void to_ice(const struct sl_run *run)
{
	struct sl_dgram d = {.path = {.remote = b.e.conf.locals[0].addr},
			     .data = run->pkts->iov_base,
			     .len = run->pkts->iov_len};

	for (unsigned i = 0; i <= b.players; i++)
		if (sl_addr_eq(&run->path->remote, &b.p[i].addr))
			sl_ice_recv(&b.p[i].ice, &d, b.now_us);
}

static void io_send(void *arg, struct sl_run *runs, int n)
{
	(void)arg;
	if (b.started)
		sl_udp_send(&b.udp, b.bufs, runs, n);
	else
		for (int i = 0; i < n; i++)
			to_ice(&runs[i]);
}

static bool io_handshake(void *arg, struct sl_hs *hs)
{
	(void)arg;
	b.jobs[b.job_count++] = hs;
	return true;
}

static struct sl_relay_msg *io_relay_slot(void *arg, unsigned loop, uint32_t reserve)
{
	(void)arg;
	(void)loop;
	(void)reserve;
	return NULL;
}

static void io_relay_push(void *arg, unsigned loop)
{
	(void)arg;
	(void)loop;
}

static bool io_event(void *arg, const struct sl_core_event *ev)
{
	(void)arg;
	(void)ev;
	return true;
}

static void run_jobs(void)
{
	while (b.job_count > 0) {
		struct sl_hs *hs = b.jobs[--b.job_count];

		null_keys_shake(hs);
		sl_engine_handshake(&b.e, hs, b.now_us);
	}
}

/* ---- the call ---- */

static void arrives(const struct sl_addr *from, const uint8_t *data, size_t len)
{
	uint8_t copy[SL_DATAGRAM_MAX];
	struct sl_in in = {.path.remote = *from, .data = copy, .len = len, .rx_us = b.now_us};

	memcpy(copy, data, len);
	sl_engine_recv(&b.e, &in, 1, b.now_us);
}

static void turn(void)
{
	struct sl_ice_event ev;
	struct sl_dgram out;

	sl_engine_tick(&b.e, b.now_us);
	for (unsigned i = 0; i <= b.players; i++) {
		sl_ice_tick(&b.p[i].ice, b.now_us);
		while (sl_ice_pull(&b.p[i].ice, &out))
			arrives(&b.p[i].addr, out.data, out.len);
		while (sl_ice_event(&b.p[i].ice, &ev))
			;
	}
	run_jobs();
	sl_engine_flush(&b.e);
}

static struct sl_track_conf track(unsigned peer)
{
	struct sl_track_conf c = {.publish = peer == 0,
				  .kind = SL_VIDEO,
				  .mid = "1",
				  .remb = true,
				  .twcc = true,
				  .rsize = true,
				  .codec_count = 1,
				  .ssrc = 1000 * (peer + 1)};

	c.rtx_ssrc = c.ssrc + 5;
	c.exts.id[SL_EXT_MID] = 4;
	c.exts.id[SL_EXT_TWCC] = 3;
	c.exts.id[SL_EXT_ABS_SEND_TIME] = 2;
	c.codecs[0] = (struct sl_track_codec){
		.pt = 96, .rtx_pt = 97, .nack = true, .pli = true, .codec = SL_VP8, .format = 1};
	return c;
}

static void open_peer(unsigned i)
{
	static struct sl_transport_conf c;
	static struct sl_cmd cmd;
	struct bench_peer *p = &b.p[i];
	const struct sl_ice_creds *creds = sl_ice_local_creds(&p->ice);
	struct sl_ice_cand server = {
		.addr = b.e.conf.locals[0].addr, .priority = 1, .foundation = "1"};

	memset(&c, 0, sizeof(c));
	memset(&cmd, 0, sizeof(cmd));
	c.lite = c.dtls_client = true;
	c.fingerprint_count = 1;
	sl_fmt(c.fingerprints[0].algorithm, sizeof(c.fingerprints[0].algorithm), "sha-256");
	sl_fmt(c.fingerprints[0].hex, sizeof(c.fingerprints[0].hex), "%s",
	       sl_cert_fingerprint(cert));
	sl_fmt(c.ufrag, sizeof(c.ufrag), "%s", creds->ufrag);
	sl_fmt(c.pwd, sizeof(c.pwd), "%s", creds->pwd);
	c.tracks[c.track_count++] = track(i);
	cmd.type = SL_CMD_OPEN;
	cmd.conf = &c;
	sl_engine_command(&b.e, &cmd, b.now_us);
	NEED(cmd.reply.err == SL_OK);
	p->track = cmd.reply.tracks[0];
	NEED(sl_ice_set_remote(&p->ice, sl_str_z(cmd.reply.ufrag), sl_str_z(cmd.reply.pwd),
			       b.now_us) == SL_OK);
	NEED(sl_ice_add_remote(&p->ice, &server, b.now_us) == SL_OK);
}

static void add_peer(unsigned i)
{
	struct sl_ice_cand local = {
		.addr = sl_addr_v4(198, 51, (uint8_t)(100 + i / 250), (uint8_t)(1 + i % 250), 5),
		.priority = 1,
		.foundation = "1"};
	struct sl_ice_conf ic = {.remote_lite = true,
				 .controlling = true,
				 .timeout_us = 60 * SL_SEC,
				 .local = &local,
				 .local_count = 1,
				 .tid_tag = i,
				 .rng = &rng,
				 .stats = &b.p[i].stats};

	b.p[i].addr = local.addr;
	NEED(sl_ice_init(&b.p[i].ice, &ic, b.now_us) == SL_OK);
	open_peer(i);
}

static void route(unsigned i)
{
	static struct sl_cmd cmd;

	memset(&cmd, 0, sizeof(cmd));
	cmd.type = SL_CMD_ROUTE;
	cmd.object = b.p[i].track;
	cmd.other = b.p[0].track;
	sl_engine_command(&b.e, &cmd, b.now_us);
	NEED(cmd.reply.err == SL_OK);
}

static void begin(unsigned players)
{
	struct sl_engine_conf ec = {.max_transports = players + 1,
				    .max_tracks = players + 1,
				    .max_packets = 2048,
				    .max_handshakes = players + 1,
				    .ice_timeout_us = 15 * SL_SEC,
				    .ntp_offset_us = INT64_C(3990000000) * SL_SEC,
				    .gso = 1,
				    .gso_padding = true,
				    .cert = cert,
				    .local_count = 1};
	struct sl_engine_io io = {.send = io_send,
				  .handshake = io_handshake,
				  .relay_slot = io_relay_slot,
				  .relay_push = io_relay_push,
				  .event = io_event};

	b.players = players;
	b.p = sl_zalloc_array(players + 1, sizeof(*b.p));
	b.bufs = sl_udp_bufs_new(true);
	NEED(b.p && b.bufs);
	b.rng = 7;
	b.now_us = 1000 * SL_SEC;
	ec.locals[0] = (struct sl_ice_cand){
		.addr = sl_addr_v4(192, 0, 2, 1, PORT), .priority = 1, .foundation = "1"};
	NEED(sl_engine_init(&b.e, &ec, &io, &rng, b.now_us) == SL_OK);
	for (unsigned i = 0; i <= players; i++)
		add_peer(i);
	for (int i = 0; i < 40; i++, b.now_us += 5 * SL_MS)
		turn();
	NEED(b.e.stats.n[SL_STAT_dtls_handshakes] == players + 1);
	for (unsigned i = 1; i <= players; i++)
		route(i);
	b.udp.gso = true;
	b.started = true;
}

/* ---- a frame ---- */

static size_t write_packet(unsigned i, uint8_t *out)
{
	struct sl_wr w = sl_wr(out, SL_DATAGRAM_MAX);
	size_t payload = PAYLOAD + (i >= BURST / 2);
	bool key = i == 0 && b.seq == 0;

	sl_wr8(&w, 0x90);
	sl_wr8(&w, (uint8_t)(96 | (i == BURST - 1 ? 0x80 : 0)));
	sl_wr16(&w, b.seq++);
	sl_wr32(&w, (uint32_t)(b.now_us * 9 / 100));
	sl_wr32(&w, 1000);
	sl_wr32(&w, 0xbede0003);
	sl_wr8(&w, 0x22); /* abs-send-time, transport-cc, mid */
	sl_wr24(&w, sl_abs_send_time(b.now_us));
	sl_wr8(&w, 0x31);
	sl_wr16(&w, b.seq);
	sl_wr16(&w, 0x4031);
	sl_wr24(&w, 0);
	sl_wr32(&w, i == 0 ? 0x90808000 | (b.seq & 0x7fff) : 0x80808000 | (b.seq & 0x7fff));
	for (size_t k = 4; k < payload; k++)
		sl_wr8(&w, key ? 0 : 1);
	NEED(!w.full);
	return (size_t)(w.p - w.start);
}

/* All that callgrind counts. */
__attribute__((noinline)) void measured(struct sl_in *in, int n);
void measured(struct sl_in *in, int n)
{
	sl_engine_recv(&b.e, in, n, b.now_us);
	sl_engine_flush(&b.e);
}

static void burst(bool counted)
{
	static uint8_t data[BURST][SL_DATAGRAM_MAX];
	struct sl_in in[BURST];

	for (unsigned i = 0; i < BURST; i++)
		in[i] = (struct sl_in){.path.remote = b.p[0].addr,
				       .data = data[i],
				       .len = write_packet(i, data[i]),
				       .rx_us = b.now_us};
	if (counted) {
		measured(in, BURST);
	} else {
		sl_engine_recv(&b.e, in, BURST, b.now_us);
		sl_engine_flush(&b.e);
	}
	b.now_us += 5 * SL_MS;
	sl_engine_tick(&b.e, b.now_us);
	sl_engine_flush(&b.e);
}

int main(int argc, char **argv)
{
	unsigned players = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 50;
	uint64_t before;
	uint64_t forwarded;

	NEED(players > 0 && players <= PLAYERS_MAX);
	rng = (struct sl_rng){.fill = fill};
	NEED(sl_log_set_levels(SL_STR("error")) == SL_OK);
	NEED(sl_cert_new(&rng, INT64_C(1800000000) * SL_SEC, &cert) == SL_OK);
	begin(players);
	for (int i = 0; i < WARM_BURSTS; i++)
		burst(false);
	before = b.e.stats.n[SL_STAT_rtp_forwarded];
	for (int i = 0; i < BURSTS; i++)
		burst(true);
	forwarded = b.e.stats.n[SL_STAT_rtp_forwarded] - before;
	NEED(forwarded == (uint64_t)players * BURST * BURSTS);
	printf("%llu\n", (unsigned long long)forwarded);
	return 0;
}
