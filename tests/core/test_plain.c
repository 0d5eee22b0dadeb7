/* SPDX-License-Identifier: Apache-2.0
 * tests/core/test_plain.c — transports without ICE and DTLS in one engine, whose sockets are a
 * table: a camera that sends plain RTP or SRTP to one, a player that another sends to, and a third
 * host that sends to every port there is. */
#include "core/core_int.h"
#include "core/base/mem.h"
#include "tests/core/sim.h"
#include "tests/lib/engine_empty.h"

enum { SOCKS = 16, PLACES = 16, PT = 0, EVENTS = 32, PORT_MIN = 40000, PORT_MAX = 40099 };

struct place { /* somewhere that datagrams were sent to */
	struct sl_addr addr;
	unsigned rtp, rtcp;
	size_t bytes;
	uint8_t last[1600];
	size_t last_len;
	uint32_t sock;
};
static struct rig {
	struct sl_engine e;
	struct sl_test_rng state;
	struct sl_rng rng;
	int64_t now_us;
	struct sl_addr socks[SOCKS]; /* family 0: closed */
	uint64_t owners[SOCKS];
	uint16_t taken; /* a port that another process has */
	struct place places[PLACES];
	unsigned place_count;
	struct sl_core_event events[EVENTS];
	unsigned event_count;
} rig;

static struct place *at(const struct sl_addr *addr)
{
	for (unsigned i = 0; i < rig.place_count; i++)
		if (sl_addr_eq(&rig.places[i].addr, addr))
			return &rig.places[i];
	CHECK(rig.place_count < PLACES);
	rig.places[rig.place_count].addr = *addr;
	return &rig.places[rig.place_count++];
}

static void io_send(void *arg, struct sl_run *runs, int n)
{
	(void)arg;
	for (int i = 0; i < n; i++)
		for (int k = 0; k < runs[i].count; k++) {
			struct place *p = at(&runs[i].path->remote);
			const struct iovec *v = &runs[i].pkts[k];

			CHECK(rig.socks[runs[i].path->sock - SL_CORE_LOCALS_MAX].family);
			p->sock = runs[i].path->sock;
			sl_is_rtcp(v->iov_base, v->iov_len) ? p->rtcp++ : p->rtp++;
			p->bytes += v->iov_len;
			memcpy(p->last, v->iov_base, v->iov_len);
			p->last_len = v->iov_len;
		}
}

static bool io_event(void *arg, const struct sl_core_event *ev)
{
	(void)arg;
	if (rig.event_count < EVENTS)
		rig.events[rig.event_count++] = *ev;
	return true;
}

static int io_sock_open(void *arg, uint64_t transport, const struct sl_addr *bind,
			struct sl_addr *local)
{
	int slot = -1;

	(void)arg;
	for (int i = SOCKS; i-- > 0;) {
		if (!rig.socks[i].family)
			slot = i;
		else if (sl_addr_eq(&rig.socks[i], bind))
			return SL_EBUSY;
	}
	if (bind->port == rig.taken)
		return SL_EBUSY;
	if (slot < 0)
		return SL_EFULL;
	rig.socks[slot] = *local = *bind;
	rig.owners[slot] = transport;
	return SL_CORE_LOCALS_MAX + slot;
}

static void io_sock_close(void *arg, uint32_t sock)
{
	(void)arg;
	CHECK(rig.socks[sock - SL_CORE_LOCALS_MAX].family);
	rig.socks[sock - SL_CORE_LOCALS_MAX].family = 0;
}

static unsigned open_socks(void)
{
	unsigned n = 0;

	for (int i = 0; i < SOCKS; i++)
		n += rig.socks[i].family != 0;
	return n;
}

static void rig_end(void *arg)
{
	(void)arg;
	sl_engine_close_all(&rig.e, rig.now_us);
	if (!sl_test_oom_fired()) {
		engine_check_empty(&rig.e);
		CHECK_EQ(open_socks(), 0);
	}
	sl_engine_fini(&rig.e);
}

static int rig_try(void)
{
	struct sl_engine_conf conf = {.max_transports = 8,
				      .max_tracks = 16,
				      .max_packets = 256,
				      .max_handshakes = 2,
				      .ntp_offset_us = INT64_C(1000000) * SL_SEC,
				      .ice_timeout_us = 15 * SL_SEC};
	struct sl_engine_io io = {.send = io_send,
				  .event = io_event,
				  .sock_open = io_sock_open,
				  .sock_close = io_sock_close};

	memset(&rig, 0, sizeof(rig));
	rig.rng = sl_test_rng(&rig.state, 5);
	rig.now_us = 100 * SL_SEC;
	return sl_engine_init(&rig.e, &conf, &io, &rig.rng, rig.now_us);
}

/* For tests in which media flows: memory that lacks then is a lost packet. */
static int rig_start(void)
{
	sim_no_oom();
	return rig_try();
}

static void run(int64_t us)
{
	for (int64_t end_us = rig.now_us + us; rig.now_us < end_us;) {
		rig.now_us =
			SL_MIN(end_us, SL_MAX(rig.now_us + SL_MS, sl_engine_deadline_us(&rig.e)));
		sl_engine_tick(&rig.e, rig.now_us);
		sl_engine_flush(&rig.e);
	}
}

static unsigned events(enum sl_core_event_type type)
{
	unsigned n = 0;

	for (unsigned i = 0; i < rig.event_count; i++)
		n += rig.events[i].type == type;
	return n;
}

/* ---- the two endpoints ---- */

static const struct sl_addr bind_to = {.ip = {192, 0, 2, 1}, .family = 4};

static struct sl_addr host(uint8_t last, uint16_t port)
{
	return sl_addr_v4(198, 51, 100, last, port);
}

static struct sl_plain_conf plain(uint8_t peer, uint16_t port)
{
	return (struct sl_plain_conf){.bind = bind_to,
				      .port_min = PORT_MIN,
				      .port_max = PORT_MAX,
				      .rtp = host(peer, port),
				      .rtcp = host(peer, (uint16_t)(port + 1))};
}

static struct sl_sdes_key sdes(enum sl_sdes_suite suite, uint8_t seed)
{
	struct sl_sdes_key k = {.suite = suite};

	for (int i = 0; i < SL_SDES_KEY_MAX; i++)
		k.bytes[i] = (uint8_t)(seed + i * 7);
	return k;
}

struct end {
	struct sl_reply reply;
	struct sl_srtp_key *tx, *rx; /* the peer's; NULL: plain */
	uint16_t seq;
	uint32_t srtcp;
};

static void free_keys(void *arg)
{
	struct end *end = arg;

	sl_srtp_key_free(end->tx);
	sl_srtp_key_free(end->rx);
}

static int open_end(struct end *end, const struct sl_plain_conf *c, bool publish)
{
	struct sl_transport_conf *conf = sl_zalloc(sizeof(*conf));
	int err;

	if (!conf)
		return SL_ENOMEM;
	conf->kind = SL_TK_PLAIN;
	conf->plain = *c;
	conf->offering = c->rtp.family == 0;
	conf->track_count = 1;
	conf->tracks[0] = (struct sl_track_conf){
		.publish = publish,
		.kind = SL_AUDIO,
		.codec_count = 1,
		.codecs = {{.pt = PT, .codec = SL_PCMU, .format = sl_core_format(SL_PCMU, "")}},
		.ssrc = publish ? 0 : 0x5e5e5e5e};
	memset(end, 0, sizeof(*end));
	end->seq = 65000;
	err = sl_transport_open(&rig.e, conf, &end->reply);
	sl_free(conf);
	/* A pool that cannot grow is full. */
	return err == SL_EFULL && sl_test_oom_fired() ? SL_ENOMEM : err;
}

static int both_keys(struct end *end, const struct sl_plain_conf *c)
{
	static const enum sl_srtp_profile of[] = {
		SL_SRTP_NONE, SL_SRTP_AES128_CM_SHA1_80, SL_SRTP_AES128_CM_SHA1_32,
		SL_SRTP_AES256_CM_SHA1_80, SL_SRTP_AES256_CM_SHA1_32};
	struct sl_srtp_master in = {.profile = of[c->in.suite]};
	struct sl_srtp_master out = {.profile = of[c->out.suite]};
	size_t n = sl_srtp_key_len(in.profile);
	int err;

	memcpy(in.key, c->in.bytes, n);
	memcpy(in.salt, c->in.bytes + n, 14);
	n = sl_srtp_key_len(out.profile);
	memcpy(out.key, c->out.bytes, n);
	memcpy(out.salt, c->out.bytes + n, 14);
	err = sl_srtp_key_new(SL_SRTP_SOFT, &in, true, &end->tx);
	return err ? err : sl_srtp_key_new(SL_SRTP_SOFT, &out, false, &end->rx);
}

static struct sl_transport *transport(const struct end *end)
{
	return sl_pool_at(&rig.e.transports, end->reply.transport);
}

static struct sl_publisher *publisher(const struct end *end)
{
	return sl_pool_at(&rig.e.publishers, end->reply.tracks[0]);
}

static uint32_t sock_at(const struct sl_addr *local)
{
	for (uint32_t i = 0; i < SOCKS; i++)
		if (sl_addr_eq(&rig.socks[i], local))
			return i;
	CHECK(!"no such socket");
	return 0;
}

static void arrive(const struct sl_addr *from, const struct sl_addr *to, uint8_t *data, size_t len)
{
	uint32_t sock = sock_at(to);
	struct sl_in in = {.path = {.remote = *from, .sock = SL_CORE_LOCALS_MAX + sock},
			   .data = data,
			   .len = len,
			   .rx_us = rig.now_us,
			   .owner = rig.owners[sock]};

	sl_engine_recv(&rig.e, &in, 1, rig.now_us);
	sl_engine_flush(&rig.e);
}

static size_t rtp(uint8_t *out, uint16_t seq, uint32_t ssrc, uint8_t pt)
{
	memset(out, 0x55, 172);
	out[0] = 0x80;
	out[1] = pt;
	sl_put16(out + 2, seq);
	sl_put32(out + 4, seq * 160u);
	sl_put32(out + 8, ssrc);
	return 172;
}

/* The next packet of an end's peer, sealed where there are keys. */
static void send_rtp(struct end *end, const struct sl_addr *from)
{
	uint8_t data[256], sealed[256];
	uint16_t seq = ++end->seq;
	size_t n = rtp(data, seq, 0xca3e7a, PT);
	struct sl_srtp_op op = {.key = end->tx,
				.hdr = data,
				.hdr_len = n,
				.out = sealed,
				.index = seq < 65000 ? 65536u + seq : seq};

	if (!end->tx) {
		arrive(from, &end->reply.rtp, data, n);
		return;
	}
	CHECK_EQ(sl_srtp_seal(&op, 1), 1);
	arrive(from, &end->reply.rtp, sealed, op.out_len);
}

static void send_rr(struct end *end, const struct sl_addr *from)
{
	uint8_t data[64], sealed[128];
	struct sl_wr w = sl_wr(data, sizeof(data));
	struct sl_srtp_op op = {
		.key = end->tx, .hdr = data, .out = sealed, .rtcp = true, .index = end->srtcp++};

	sl_rtcp_write_rr(&w, 0x44444444, NULL, 0);
	op.hdr_len = sl_wr_len(&w);
	if (end->tx)
		CHECK_EQ(sl_srtp_seal(&op, 1), 1);
	arrive(from, &end->reply.rtcp, end->tx ? sealed : data, end->tx ? op.out_len : op.hdr_len);
}

static void send_many(struct end *end, const struct sl_addr *from, int n)
{
	for (int i = 0; i < n; i++) {
		send_rtp(end, from);
		run(20 * SL_MS);
	}
}

static void join(const struct end *in, const struct end *out)
{
	struct sl_cmd cmd = {
		.type = SL_CMD_ROUTE, .object = out->reply.tracks[0], .other = in->reply.tracks[0]};

	sl_engine_command(&rig.e, &cmd, rig.now_us);
	TRY(cmd.reply.err);
}

/* A camera at 10:5000 and a player at 20:6000. */
static void two_ends(struct end *in, const struct sl_plain_conf *ci, struct end *out,
		     const struct sl_plain_conf *co)
{
	TRY(open_end(in, ci, true));
	TRY(open_end(out, co, false));
	join(in, out);
	run(5 * SL_MS);
}

/* ---- ports and the way of media ---- */

TEST(rtp_has_an_even_port_and_rtcp_the_next_and_media_goes_where_it_was_said)
{
	struct sl_plain_conf ci = plain(10, 5000), co = plain(20, 6000);
	struct sl_addr camera = host(10, 5000), player = host(20, 6000),
		       player_rtcp = host(20, 6001);
	struct end in, out;

	TRY(rig_start());
	DEFER(rig_end, NULL);
	two_ends(&in, &ci, &out, &co);
	CHECK_EQ(in.reply.rtp.port % 2, 0);
	CHECK(in.reply.rtp.port >= PORT_MIN && in.reply.rtp.port < PORT_MAX);
	CHECK_EQ(in.reply.rtcp.port, in.reply.rtp.port + 1);
	CHECK_EQ(events(SL_EV_CONNECTED), 2);
	send_many(&in, &camera, 100);
	CHECK_EQ(at(&player)->rtp, 100);
	CHECK_EQ(at(&player)->rtcp, 0);
	CHECK_EQ(at(&player)->last_len, 172);
	CHECK_EQ(at(&player)->last[171], 0x55);
	CHECK_EQ(sl_get32(at(&player)->last + 8), 0x5e5e5e5e);
	CHECK_EQ(at(&player)->sock - SL_CORE_LOCALS_MAX, sock_at(&out.reply.rtp));
	/* Reports go from the odd port to the odd port. */
	CHECK(at(&player_rtcp)->rtcp >= 1 && at(&player_rtcp)->rtp == 0);
	CHECK_EQ(at(&player_rtcp)->sock - SL_CORE_LOCALS_MAX, sock_at(&out.reply.rtcp));
	CHECK_EQ(at(&player_rtcp)->last[1], SL_RTCP_SR);
}

TEST(with_rtcp_mux_one_port_does_for_both)
{
	struct sl_plain_conf ci = plain(10, 5000), co = plain(20, 6000);
	struct sl_addr camera = host(10, 5000), player = host(20, 6000);
	struct end in, out;

	TRY(rig_start());
	DEFER(rig_end, NULL);
	ci.mux = co.mux = true;
	two_ends(&in, &ci, &out, &co);
	CHECK_EQ(open_socks(), 2);
	CHECK_EQ(out.reply.rtp.port, out.reply.rtcp.port);
	send_many(&in, &camera, 100);
	CHECK_EQ(at(&player)->rtp, 100);
	CHECK(at(&player)->rtcp >= 1);
	send_rr(&out, &player);
	CHECK_EQ(transport(&out)->rx_packets, 1);
}

TEST(a_port_that_is_taken_is_passed_over_and_a_full_range_refuses)
{
	struct sl_plain_conf c = plain(10, 5000);
	struct end first, second;

	TRY(rig_try());
	DEFER(rig_end, NULL);
	c.port_min = 40000;
	c.port_max = 40003;
	rig.taken = 40001;
	TRY(open_end(&first, &c, true));
	CHECK_EQ(first.reply.rtp.port, 40002);
	CHECK_EQ(open_end(&second, &c, true), sl_test_oom_fired() ? SL_ENOMEM : SL_EFULL);
	CHECK_EQ(open_socks(), 2);
}

TEST(an_offer_of_ours_has_its_ports_before_the_answer_says_where_to_send)
{
	struct sl_plain_conf ci = plain(10, 5000), co = plain(20, 6000);
	struct sl_addr camera = host(10, 5000), player = host(20, 6000);
	struct sl_transport_conf *answer;
	struct end in, out;

	TRY(rig_start());
	DEFER(rig_end, NULL);
	answer = sl_zalloc(sizeof(*answer));
	TRY(answer ? SL_OK : SL_ENOMEM);
	DEFER(sl_free, answer);
	answer->kind = SL_TK_PLAIN;
	answer->plain = co;
	co.rtp.family = co.rtcp.family = 0;
	two_ends(&in, &ci, &out, &co);
	send_many(&in, &camera, 10);
	CHECK_EQ(events(SL_EV_CONNECTED), 1);
	CHECK_EQ(at(&player)->bytes, 0);
	TRY(sl_transport_set_remote(transport(&out), answer));
	send_many(&in, &camera, 10);
	CHECK_EQ(at(&player)->rtp, 10);
	CHECK_EQ(events(SL_EV_CONNECTED), 2);
}

/* Both ways over one transport: what it plays goes to whoever it learns. */
static int open_both_ways(struct end *end, const struct sl_plain_conf *c, uint64_t *subscriber)
{
	struct sl_track_conf plays = {
		.kind = SL_AUDIO,
		.codec_count = 1,
		.codecs = {{.pt = PT, .codec = SL_PCMU, .format = sl_core_format(SL_PCMU, "")}},
		.ssrc = 0x77777777};
	int err = open_end(end, c, true);

	if (!err)
		err = sl_subscriber_new(transport(end), &plays, subscriber);
	return err == SL_EFULL && sl_test_oom_fired() ? SL_ENOMEM : err;
}

/* ---- SRTP ---- */

static void each_suite(enum sl_sdes_suite suite)
{
	struct sl_plain_conf ci = plain(10, 5000), co = plain(20, 6000);
	struct sl_addr camera = host(10, 5000), player = host(20, 6000), rtcp = host(20, 6001);
	struct sl_srtp_op op;
	static struct end in, out;
	uint8_t open[1600];

	TRY(rig_start());
	DEFER(rig_end, NULL);
	ci.in = sdes(suite, 1);
	ci.out = sdes(suite, 2);
	co.in = sdes(suite, 3);
	co.out = sdes(suite, 4);
	two_ends(&in, &ci, &out, &co);
	DEFER(free_keys, &in);
	DEFER(free_keys, &out);
	TRY(both_keys(&in, &ci));
	TRY(both_keys(&out, &co));
	send_many(&in, &camera, 700);
	CHECK_EQ(publisher(&in)->rx.packets, 700);
	CHECK_EQ(at(&player)->rtp, 700);
	op = (struct sl_srtp_op){.key = out.rx,
				 .hdr = at(&player)->last,
				 .hdr_len = at(&player)->last_len,
				 .out = open};
	op.index = sl_get16(op.hdr + 2);
	CHECK_EQ(sl_srtp_open(&op, 1), 1);
	CHECK_EQ(op.out_len, 172);
	CHECK_EQ(open[171], 0x55);
	CHECK(at(&rtcp)->rtcp > 0);
	send_rr(&out, &rtcp);
	CHECK_EQ(transport(&out)->rx_packets, 1);
}

TEST(srtp_with_keys_of_sdes_flows_in_and_out_in_suite_128_80)
{
	each_suite(SL_SDES_AES128_80);
}

TEST(srtp_with_keys_of_sdes_flows_in_and_out_in_suite_128_32)
{
	each_suite(SL_SDES_AES128_32);
}

TEST(srtp_with_keys_of_sdes_flows_in_and_out_in_suite_256_80)
{
	each_suite(SL_SDES_AES256_80);
}

TEST(srtp_with_keys_of_sdes_flows_in_and_out_in_suite_256_32)
{
	each_suite(SL_SDES_AES256_32);
}

TEST(a_key_for_one_way_only_is_refused)
{
	struct sl_plain_conf c = plain(10, 5000);
	struct end in;

	TRY(rig_try());
	DEFER(rig_end, NULL);
	c.in = sdes(SL_SDES_AES128_80, 1);
	CHECK_EQ(open_end(&in, &c, true), sl_test_oom_fired() ? SL_ENOMEM : SL_EPARSE);
}

TEST(a_transport_with_keys_is_opened_whole_or_not_at_all)
{
	struct sl_plain_conf c = plain(10, 5000);
	struct end end;
	uint64_t subscriber;

	TRY(rig_try());
	DEFER(rig_end, NULL);
	c.in = sdes(SL_SDES_AES256_80, 1);
	c.out = sdes(SL_SDES_AES256_32, 2);
	TRY(open_both_ways(&end, &c, &subscriber));
	run(SL_SEC);
	CHECK_EQ(events(SL_EV_CONNECTED), 1);
}

TEST(the_end_of_a_key_is_said_once_and_in_time)
{
	struct sl_plain_conf ci = plain(10, 5000), co = plain(20, 6000);
	struct sl_addr camera = host(10, 5000);
	static struct end in, out;

	TRY(rig_start());
	DEFER(rig_end, NULL);
	ci.in = sdes(SL_SDES_AES128_80, 1);
	ci.out = sdes(SL_SDES_AES128_80, 2);
	ci.key_packets = 400;
	two_ends(&in, &ci, &out, &co);
	DEFER(free_keys, &in);
	TRY(both_keys(&in, &ci));
	send_many(&in, &camera, 150);
	run(SL_SEC);
	CHECK_EQ(events(SL_EV_KEY_LIMIT), 0);
	send_many(&in, &camera, 60);
	run(SL_SEC);
	CHECK_EQ(events(SL_EV_KEY_LIMIT), 1);
	send_many(&in, &camera, 100);
	run(SL_SEC);
	CHECK_EQ(events(SL_EV_KEY_LIMIT), 1);
}

/* ---- feedback ---- */

/* A camera's transport as its description has it: with feedback (AVPF) or without (AVP). */
static void watch_camera(struct end *in, struct end *out, bool feedback)
{
	struct sl_plain_conf ci = plain(10, 5000), co = plain(20, 6000);
	struct sl_track_conf video = {
		.publish = true,
		.kind = SL_VIDEO,
		.codec_count = 1,
		.codecs = {{.pt = PT, .codec = SL_VP8, .nack = feedback, .pli = feedback}}};

	TRY(open_end(in, &ci, true));
	TRY(open_end(out, &co, false));
	sl_publisher_free(publisher(in));
	sl_subscriber_free(sl_pool_at(&rig.e.subscribers, out->reply.tracks[0]));
	TRY(sl_publisher_new(transport(in), &video, &in->reply.tracks[0]));
	video.publish = false;
	video.ssrc = 0x5e5e5e5e;
	TRY(sl_subscriber_new(transport(out), &video, &out->reply.tracks[0]));
	join(in, out);
	run(5 * SL_MS);
}

static bool asked_for(const struct place *p, uint8_t type, uint8_t format)
{
	struct sl_rd it = sl_rd(p->last, p->last_len);
	struct sl_rtcp r;

	while (p->last_len > 0 && sl_rtcp_next(&it, &r))
		if (r.type == type && r.count == format)
			return true;
	return false;
}

/* Whether a picture, and a packet that is missing, are asked for. */
static void check_feedback(bool feedback)
{
	struct sl_addr camera = host(10, 5000), rtcp = host(10, 5001);
	struct end in, out;
	unsigned plis = 0, nacks = 0;

	TRY(rig_start());
	DEFER(rig_end, NULL);
	watch_camera(&in, &out, feedback);
	for (int i = 0; i < 50; i++) {
		at(&rtcp)->last_len = 0;
		in.seq = (uint16_t)(in.seq + (i == 25));
		send_many(&in, &camera, 1);
		plis += asked_for(at(&rtcp), SL_RTCP_PSFB, SL_PSFB_PLI);
		nacks += asked_for(at(&rtcp), SL_RTCP_RTPFB, SL_RTPFB_NACK);
	}
	CHECK_EQ(plis > 0, feedback);
	CHECK_EQ(nacks > 0, feedback);
	CHECK(at(&rtcp)->rtcp > 0);
	CHECK_EQ(at(&camera)->bytes, 0);
}

TEST(with_avpf_pictures_and_lost_packets_are_asked_for_at_the_port_for_rtcp)
{
	check_feedback(true);
}

TEST(with_avp_nothing_is_asked_for)
{
	check_feedback(false);
}

/* ---- T01: where media goes ---- */

/* Everything that a third host may send, to every port there is. */
static void spray(const struct sl_addr *from, unsigned salt)
{
	uint8_t data[256];
	size_t n;

	for (int i = 0; i < SOCKS; i++) {
		struct sl_addr to = rig.socks[i];

		if (!to.family)
			continue;
		n = rtp(data, (uint16_t)salt, salt % 3 ? 0xca3e7a : salt, PT);
		arrive(from, &to, data, n);
		data[1] = 201; /* RTCP: a report */
		sl_put16(data + 2, 1);
		arrive(from, &to, data, 8);
		data[0] = 0x16; /* DTLS, STUN */
		arrive(from, &to, data, 64);
		data[0] = 0;
		arrive(from, &to, data, 64);
	}
}

static void third_host(const struct sl_plain_conf *ci, const struct sl_plain_conf *co, bool keys)
{
	static struct end in, out;
	struct sl_addr camera = host(10, 5000), player = host(20, 6000), thief = host(66, 5000);
	struct sl_addr forged = sl_addr_v4(203, 0, 113, 9, 6000);
	unsigned before;

	two_ends(&in, ci, &out, co);
	DEFER(free_keys, &in);
	DEFER(free_keys, &out);
	if (keys) {
		TRY(both_keys(&in, ci));
		TRY(both_keys(&out, co));
	}
	for (unsigned i = 0; i < 200; i++) {
		spray(&thief, i);
		spray(&forged, i);
		if (i >= 20)
			send_rtp(&in, &camera);
		run(5 * SL_MS);
	}
	before = at(&player)->rtp;
	CHECK_EQ(publisher(&in)->rx.packets, 180);
	CHECK_EQ(before, 180);
	CHECK_EQ(at(&thief)->bytes, 0);
	CHECK_EQ(at(&forged)->bytes, 0);
}

TEST(t01_a_third_host_that_sends_to_every_port_gets_not_a_byte_of_plain_rtp)
{
	struct sl_plain_conf ci = plain(10, 5000), co = plain(20, 6000);

	TRY(rig_start());
	DEFER(rig_end, NULL);
	third_host(&ci, &co, false);
}

TEST(t01_nor_of_srtp)
{
	struct sl_plain_conf ci = plain(10, 5000), co = plain(20, 6000);

	TRY(rig_start());
	DEFER(rig_end, NULL);
	ci.in = ci.out = sdes(SL_SDES_AES128_80, 1);
	co.in = co.out = sdes(SL_SDES_AES256_32, 3);
	third_host(&ci, &co, true);
}

TEST(t01_nor_where_the_source_is_learned)
{
	struct sl_plain_conf ci = plain(10, 5000), co = plain(20, 6000);

	TRY(rig_start());
	DEFER(rig_end, NULL);
	ci.learn = SL_LEARN_SOURCE;
	co.learn = SL_LEARN_SYMMETRIC;
	third_host(&ci, &co, false);
}

static void echo(struct end *end, const struct sl_plain_conf *c)
{
	struct sl_cmd cmd = {.type = SL_CMD_ROUTE};

	TRY(open_both_ways(end, c, &cmd.object));
	cmd.other = end->reply.tracks[0];
	sl_engine_command(&rig.e, &cmd, rig.now_us);
	TRY(cmd.reply.err);
	run(5 * SL_MS);
}

TEST(t01_an_active_peer_is_learned_from_its_own_address_after_three_packets_in_a_row)
{
	struct sl_plain_conf c = plain(10, 5000);
	struct sl_addr said = host(10, 5000), real = host(10, 31337), rtcp = host(10, 31338);
	struct end end;

	TRY(rig_start());
	DEFER(rig_end, NULL);
	c.learn = SL_LEARN_SOURCE;
	echo(&end, &c);
	CHECK_EQ(events(SL_EV_CONNECTED), 0);
	send_many(&end, &real, 2);
	CHECK_EQ(events(SL_EV_CONNECTED), 0);
	CHECK_EQ(rig.place_count, 0);
	send_many(&end, &real, 100);
	CHECK_EQ(events(SL_EV_CONNECTED), 1);
	CHECK_EQ(at(&real)->rtp, 100);
	CHECK_EQ(at(&said)->rtp, 0);
	/* Confirmed: not even the address that was said moves it. */
	send_many(&end, &said, 10);
	CHECK_EQ(at(&said)->rtp, 0);
	CHECK_EQ(at(&real)->rtp, 100);
	CHECK(at(&rtcp)->rtcp > 0);
}

TEST(t01_the_address_that_was_said_takes_over_within_five_packets_and_once)
{
	struct sl_plain_conf c = plain(10, 5000);
	struct sl_addr said = host(10, 5000), other = host(10, 31337);
	struct end end;

	TRY(rig_start());
	DEFER(rig_end, NULL);
	c.learn = SL_LEARN_SYMMETRIC;
	echo(&end, &c);
	send_many(&end, &other, 5);
	CHECK_EQ(at(&other)->rtp, 3);
	send_many(&end, &said, 10);
	CHECK_EQ(at(&said)->rtp, 10);
	send_many(&end, &other, 10);
	CHECK_EQ(at(&other)->rtp, 3);
	CHECK_EQ(at(&said)->rtp, 10);
}

TEST(t01_another_address_is_learned_only_when_that_is_allowed)
{
	struct sl_plain_conf c = plain(10, 5000);
	struct sl_addr nat = sl_addr_v4(203, 0, 113, 9, 700);
	struct end strict, any;

	TRY(rig_start());
	DEFER(rig_end, NULL);
	c.learn = SL_LEARN_SOURCE;
	echo(&strict, &c);
	send_many(&strict, &nat, 50);
	CHECK_EQ(rig.place_count, 0);
	c.any_address = true;
	echo(&any, &c);
	send_many(&any, &nat, 50);
	CHECK_EQ(at(&nat)->rtp, 48);
}

TEST(t01_srtp_follows_the_first_authentic_packet_wherever_it_comes_from)
{
	struct sl_plain_conf c = plain(10, 5000);
	struct sl_addr nat = sl_addr_v4(203, 0, 113, 9, 700), thief = host(66, 1);
	static struct end end;

	TRY(rig_start());
	DEFER(rig_end, NULL);
	c.learn = SL_LEARN_SOURCE;
	c.in = sdes(SL_SDES_AES128_80, 1);
	c.out = sdes(SL_SDES_AES128_80, 2);
	echo(&end, &c);
	DEFER(free_keys, &end);
	TRY(both_keys(&end, &c));
	for (unsigned i = 0; i < 100; i++)
		spray(&thief, i);
	run(SL_SEC);
	CHECK_EQ(rig.place_count, 0);
	send_many(&end, &nat, 10);
	CHECK_EQ(at(&nat)->rtp, 10);
	send_many(&end, &thief, 10); /* with the key, but too late */
	CHECK_EQ(at(&nat)->rtp, 10);
	CHECK_EQ(at(&thief)->bytes, 0);
}

TEST(t01_a_peer_that_sends_from_another_port_is_heard_but_media_goes_where_it_was_said)
{
	struct sl_plain_conf c = plain(10, 5000);
	struct sl_addr said = host(10, 5000), other = host(10, 31337);
	struct end end;

	TRY(rig_start());
	DEFER(rig_end, NULL);
	echo(&end, &c);
	send_many(&end, &other, 50);
	CHECK_EQ(at(&said)->rtp, 48);
	CHECK_EQ(at(&other)->bytes, 0);
}

TEST(a_hold_address_gets_nothing)
{
	struct sl_plain_conf c = plain(10, 5000);
	struct sl_addr camera = host(10, 5000);
	struct end end;

	TRY(rig_start());
	DEFER(rig_end, NULL);
	c.rtp = sl_addr_v4(0, 0, 0, 0, 5000);
	c.rtcp = sl_addr_v4(0, 0, 0, 0, 5001);
	echo(&end, &c);
	send_many(&end, &camera, 50);
	CHECK_EQ(rig.place_count, 0);
}

/* ---- T02: who is heard ---- */

static void injected(const struct sl_plain_conf *ci, bool keys)
{
	struct sl_plain_conf co = plain(20, 6000);
	struct sl_addr camera = host(10, 5000), player = host(20, 6000);
	struct sl_transport_stats *before, *after;
	static struct end in, out;
	uint8_t data[256];

	TRY(rig_start());
	DEFER(rig_end, NULL);
	before = sl_zalloc(2 * sizeof(*before));
	TRY(before ? SL_OK : SL_ENOMEM);
	after = before + 1;
	DEFER(sl_free, before);
	two_ends(&in, ci, &out, &co);
	DEFER(free_keys, &in);
	if (keys)
		TRY(both_keys(&in, ci));
	send_many(&in, &camera, 50);
	sl_transport_stats(transport(&in), before);
	for (unsigned i = 0; i < 100000; i++) {
		struct sl_addr from = i % 2 ? host(66, (uint16_t)i) : host(10, 40000);
		size_t n = rtp(data, (uint16_t)(in.seq + 1 + i % 64), 0xca3e7a, PT);

		arrive(&from, &in.reply.rtp, data, n);
	}
	sl_transport_stats(transport(&in), after);
	CHECK_BYTES(before, after, sizeof(*before));
	CHECK_EQ(at(&player)->rtp, 50);
	CHECK_EQ(sl_stat_get(&rig.e.stats, SL_STAT_plain_foreign), 100000);
	send_many(&in, &camera, 50);
	CHECK_EQ(at(&player)->rtp, 100);
}

TEST(t02_a_hundred_thousand_injected_packets_change_nothing_that_is_seen_or_counted)
{
	struct sl_plain_conf ci = plain(10, 5000);

	injected(&ci, false);
}

TEST(t02_nor_do_they_for_srtp)
{
	struct sl_plain_conf ci = plain(10, 5000);

	ci.in = ci.out = sdes(SL_SDES_AES128_80, 1);
	injected(&ci, true);
}

TEST(t02_a_forged_source_cannot_change_the_ssrc_or_the_payload_type_with_one_packet)
{
	struct sl_plain_conf ci = plain(10, 5000), co = plain(20, 6000);
	struct sl_addr camera = host(10, 5000), player = host(20, 6000);
	struct end in, out;
	uint8_t data[256];

	TRY(rig_start());
	DEFER(rig_end, NULL);
	two_ends(&in, &ci, &out, &co);
	send_many(&in, &camera, 10);
	for (unsigned i = 0; i < 200; i++) {
		size_t n = rtp(data, (uint16_t)(i * 7), i % 2 ? 0xbad : 0xca3e7a, i % 2 ? PT : 99);

		arrive(&camera, &in.reply.rtp, data, n);
		if (i % 20 == 0)
			send_rtp(&in, &camera);
	}
	CHECK_EQ(at(&player)->rtp, 20);
	/* An encoder that begins anew is another matter. */
	for (uint16_t i = 0; i < 50; i++) {
		size_t n = rtp(data, (uint16_t)(100 + i), 0xeeee, PT);

		arrive(&camera, &in.reply.rtp, data, n);
	}
	CHECK_EQ(at(&player)->rtp, 20 + 48);
	CHECK_EQ(publisher(&in)->ssrc, 0xeeee);
}

TEST(t02_rtcp_from_elsewhere_is_not_read)
{
	struct sl_plain_conf co = plain(20, 6000);
	struct sl_addr rtcp = host(20, 6001), other_port = host(20, 7777), thief = host(66, 6001);
	struct end out;

	TRY(rig_start());
	DEFER(rig_end, NULL);
	TRY(open_end(&out, &co, false));
	send_rr(&out, &thief);
	CHECK_EQ(transport(&out)->rx_packets, 0);
	send_rr(&out, &rtcp);
	CHECK_EQ(transport(&out)->rx_packets, 1);
	send_rr(&out, &other_port);
	send_rr(&out, &thief);
	CHECK_EQ(transport(&out)->rx_packets, 1);
}

/* ---- life ---- */

TEST(silence_is_told_and_ends_a_transport_only_where_that_was_asked_for)
{
	struct sl_plain_conf c = plain(10, 5000), d = plain(20, 6000);
	struct sl_addr camera = host(10, 5000), other = host(20, 6000);
	struct end stays, ends;

	TRY(rig_start());
	DEFER(rig_end, NULL);
	d.timeout_us = 30 * SL_SEC;
	TRY(open_end(&stays, &c, true));
	TRY(open_end(&ends, &d, true));
	send_many(&stays, &camera, 3);
	send_many(&ends, &other, 3);
	run(17 * SL_SEC);
	CHECK_EQ(events(SL_EV_DISCONNECTED), 2);
	send_many(&stays, &camera, 3);
	run(2 * SL_SEC);
	CHECK_EQ(events(SL_EV_RECONNECTED), 1);
	run(20 * SL_SEC);
	CHECK_EQ(events(SL_EV_CLOSED), 1);
	CHECK(transport(&stays) && !transport(&ends));
	CHECK_EQ(open_socks(), 2);
}
