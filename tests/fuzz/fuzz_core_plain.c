/* SPDX-License-Identifier: Apache-2.0
 * Four peers without ICE, each of which plays what it sends: plain RTP that learns nobody, an
 * active one, a symmetric one, and SRTP that is active. The input is a list of operations, each a
 * byte and its arguments: datagrams of any bytes, and good packets, from the address that was said,
 * from another port of it and from a stranger's, to any port; time; another description. Properties
 * (T01, T02): without learning everything goes to the two addresses that were said; plain RTP never
 * goes to a stranger; SRTP goes only to where a sealed packet came from; between two descriptions
 * media moves once at most; a stranger's datagrams change no statistics of plain RTP. At the end
 * every counter of objects is zero. */
#include "tests/fuzz/lone_engine.h"
#include "core/base/log.h"
#include "core/base/mem.h"

enum { PEERS = 4, SRTP = 3, FROM = 4, SOCKS = 2 * PEERS, STEPS = 300, STRANGER = 3 };
#define CHECK(c) ((c) ? (void)0 : __builtin_trap())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct fuzz_peer {
	struct sl_addr said[SL_LEGS], from[SL_LEGS][FROM];
	bool sealed[FROM]; /* it sent an authentic packet from there */
	struct sl_addr went[2];
	unsigned went_count; /* places that RTP went to since the last description */
	uint64_t transport;
	struct sl_srtp_key *tx;
	uint16_t seq;
	struct sl_transport_conf conf;
};

static struct {
	struct sl_engine e;
	struct fuzz_peer p[PEERS];
	struct sl_addr socks[SOCKS];
	uint64_t owners[SOCKS];
	int64_t now_us;
	uint64_t rng;
} f;

static void fill(void *state, void *out, size_t n)
{
	uint8_t *p = out;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		f.rng = f.rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		p[i] = (uint8_t)(f.rng >> 56);
	}
}

/* ---- surroundings ---- */

static bool same_ip(const struct sl_addr *a, const struct sl_addr *b)
{
	struct sl_addr there = sl_addr_with_port(*a, b->port);

	return sl_addr_eq(&there, b);
}

static void check_move(struct fuzz_peer *p, const struct sl_addr *to)
{
	for (unsigned i = 0; i < p->went_count; i++)
		if (sl_addr_eq(&p->went[i], to))
			return;
	CHECK(p->went_count < SL_COUNT(p->went));
	p->went[p->went_count++] = *to;
}

static bool came_sealed(const struct fuzz_peer *p, const struct sl_addr *to)
{
	for (int i = 0; i < FROM; i++)
		if (p->sealed[i] && same_ip(&p->from[SL_LEG_RTP][i], to))
			return true;
	return false;
}

static void check_out(unsigned number, const struct sl_addr *to, bool rtcp)
{
	struct fuzz_peer *p = &f.p[number];

	if (number == 0)
		CHECK(sl_addr_eq(to, &p->said[rtcp]));
	if (number == SRTP)
		CHECK(came_sealed(p, to));
	else
		CHECK(same_ip(to, &p->said[SL_LEG_RTP]));
	if (!rtcp)
		check_move(p, to);
}

static void io_send(void *arg, struct sl_run *runs, int n)
{
	(void)arg;
	for (int i = 0; i < n; i++) {
		unsigned sock = runs[i].path->sock - SL_CORE_LOCALS_MAX;
		unsigned number = 0;

		CHECK(sock < SOCKS && f.socks[sock].family);
		while (number < PEERS && f.p[number].transport != f.owners[sock])
			number++;
		CHECK(number < PEERS);
		check_out(number, &runs[i].path->remote,
			  sl_is_rtcp(runs[i].pkts[0].iov_base, runs[i].pkts[0].iov_len));
	}
}

static bool io_event(void *arg, const struct sl_core_event *ev)
{
	(void)arg;
	(void)ev;
	return true;
}

static int io_sock_open(void *arg, uint64_t transport, const struct sl_addr *bind,
			struct sl_addr *local)
{
	(void)arg;
	for (int i = 0; i < SOCKS; i++) {
		if (f.socks[i].family)
			continue;
		f.socks[i] = *local = *bind;
		f.owners[i] = transport;
		return SL_CORE_LOCALS_MAX + i;
	}
	return SL_EFULL;
}

static void io_sock_close(void *arg, uint32_t sock)
{
	(void)arg;
	CHECK(f.socks[sock - SL_CORE_LOCALS_MAX].family);
	f.socks[sock - SL_CORE_LOCALS_MAX].family = 0;
}

/* ---- the peers ---- */

static void describe(struct fuzz_peer *p, unsigned number, uint8_t last)
{
	for (uint16_t leg = 0; leg < SL_LEGS; leg++) {
		uint16_t port = (uint16_t)(5000 + leg);

		p->said[leg] = sl_addr_v4(198, 51, 100, (uint8_t)(10 * number + last % 4), port);
		p->from[leg][0] = p->said[leg];
		p->from[leg][1] = sl_addr_with_port(p->said[leg], (uint16_t)(port + 1000));
		p->from[leg][2] = sl_addr_with_port(p->said[leg], (uint16_t)(port + 2000));
		p->from[leg][STRANGER] = sl_addr_v4(203, 0, 113, (uint8_t)number, port);
	}
	p->conf.plain.rtp = p->said[SL_LEG_RTP];
	p->conf.plain.rtcp = p->said[SL_LEG_RTCP];
	p->went_count = 0;
	memset(p->sealed, 0, sizeof(p->sealed));
}

static void open_peer(unsigned number)
{
	static const enum sl_plain_learn learns[PEERS] = {SL_LEARN_NEVER, SL_LEARN_SOURCE,
							  SL_LEARN_SYMMETRIC, SL_LEARN_SOURCE};
	struct fuzz_peer *p = &f.p[number];
	struct sl_srtp_master m = {.profile = SL_SRTP_AES128_CM_SHA1_80};
	struct sl_reply reply = {0};

	memset(&p->conf, 0, sizeof(p->conf));
	p->conf.kind = SL_TK_PLAIN;
	p->conf.plain.bind = sl_addr_v4(192, 0, 2, 1, 0);
	p->conf.plain.learn = learns[number];
	if (number == SRTP)
		p->conf.plain.in.suite = p->conf.plain.out.suite = SL_SDES_AES128_80;
	describe(p, number, 0);
	p->conf.track_count = 2;
	for (int i = 0; i < 2; i++)
		p->conf.tracks[i] = (struct sl_track_conf){.publish = i == 0,
							   .kind = SL_AUDIO,
							   .codec_count = 1,
							   .codecs = {{.codec = SL_PCMU}},
							   .ssrc = i ? 77 : 0};
	CHECK(sl_transport_open(&f.e, &p->conf, &reply) == SL_OK);
	p->transport = reply.transport;
	CHECK(sl_subscriber_route(sl_pool_at(&f.e.subscribers, reply.tracks[1]), reply.tracks[0]) ==
	      SL_OK);
	if (number == SRTP)
		CHECK(sl_srtp_key_new(SL_SRTP_SOFT, &m, true, &p->tx) == SL_OK);
}

/* ---- operations ---- */

static void arrive(struct fuzz_peer *p, unsigned leg, unsigned from, uint8_t *data, size_t len)
{
	const struct sl_transport *t = sl_pool_at(&f.e.transports, p->transport);
	struct sl_in in = {.path = {.remote = p->from[leg][from]},
			   .data = data,
			   .len = len,
			   .rx_us = f.now_us,
			   .owner = p->transport};
	uint64_t before = t->rx_packets + t->rx_bytes;

	in.path.sock = t->plain->legs[leg].out.sock;
	sl_engine_recv(&f.e, &in, 1, f.now_us);
	sl_engine_flush(&f.e);
	if (from == STRANGER && !p->tx)
		CHECK(t->rx_packets + t->rx_bytes == before);
}

static void good_packet(struct fuzz_peer *p, unsigned from, uint8_t jump)
{
	uint8_t plain[60] = {0x80}, out[100];
	uint16_t seq = p->seq = (uint16_t)(p->seq + 1 + (jump & 3));
	struct sl_srtp_op op = {
		.key = p->tx, .hdr = plain, .hdr_len = sizeof(plain), .out = out, .index = seq};

	sl_put16(plain + 2, seq);
	sl_put32(plain + 8, 4711u + (jump >> 7));
	if (!p->tx) {
		arrive(p, SL_LEG_RTP, from, plain, sizeof(plain));
		return;
	}
	CHECK(sl_srtp_seal(&op, 1) == 1);
	p->sealed[from] = true;
	arrive(p, SL_LEG_RTP, from, out, op.out_len);
}

static void any_bytes(struct fuzz_peer *p, struct sl_rd *in, uint8_t what)
{
	uint8_t data[256] = {0};
	size_t len = sl_rd8(in);

	len = SL_MIN(len, sl_rd_left(in));
	if (len > 0)
		memcpy(data, in->p, len);
	sl_rd_skip(in, len);
	arrive(p, what & 1, what >> 1 & 3, data, len);
}

static void pass_time(int64_t us)
{
	f.now_us += us;
	sl_engine_tick(&f.e, f.now_us);
	sl_engine_flush(&f.e);
}

static void step(struct sl_rd *in)
{
	uint8_t op = sl_rd8(in);
	uint8_t arg = sl_rd8(in);
	struct fuzz_peer *p = &f.p[op >> 2 & 3];

	switch (op & 3) {
	case 0:
		any_bytes(p, in, arg);
		break;
	case 1:
		good_packet(p, op >> 4 & 3, arg);
		break;
	case 2:
		pass_time(arg * 10 * SL_MS);
		break;
	default:
		/* Now and then the peer says that it is elsewhere. */
		if (arg % 8 == 0 && (op >> 4) % 4 != p->said[0].ip[3] % 10) {
			describe(p, op >> 2 & 3, op >> 4);
			CHECK(sl_transport_set_remote(sl_pool_at(&f.e.transports, p->transport),
						      &p->conf) == SL_OK);
		}
	}
}

static void start(void)
{
	struct sl_engine_conf conf = {.max_transports = PEERS,
				      .max_tracks = 2 * PEERS,
				      .max_packets = 64,
				      .max_handshakes = 1,
				      .ntp_offset_us = INT64_C(1000000) * SL_SEC,
				      .ice_timeout_us = 15 * SL_SEC};
	struct sl_engine_io io = {.send = io_send,
				  .event = io_event,
				  .relay_slot = lone_relay_slot,
				  .relay_push = lone_relay_push,
				  .sock_open = io_sock_open,
				  .sock_close = io_sock_close};
	struct sl_rng rng = {.fill = fill};

	memset(&f, 0, sizeof(f));
	f.now_us = 1000 * SL_SEC;
	f.rng = 1;
	CHECK(sl_engine_init(&f.e, &conf, &io, &rng, f.now_us) == SL_OK);
	for (unsigned i = 0; i < PEERS; i++)
		open_peer(i);
	pass_time(2 * SL_MS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sl_rd in = sl_rd(data, len);

	CHECK(sl_log_set_levels(SL_STR("error")) == SL_OK);
	start();
	for (int i = 0; i < STEPS && sl_rd_left(&in) >= 2; i++)
		step(&in);
	sl_engine_close_all(&f.e, f.now_us);
	CHECK(f.e.transports.live == 0 && f.e.sources.live == 0 && f.e.wheel.armed == 0);
	CHECK(f.e.packets.nfree == f.e.packets.count);
	for (int i = 0; i < SOCKS; i++)
		CHECK(!f.socks[i].family);
	for (int i = 0; i < PEERS; i++)
		sl_srtp_key_free(f.p[i].tx);
	sl_engine_fini(&f.e);
	return 0;
}
