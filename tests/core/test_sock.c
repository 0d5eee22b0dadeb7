/* SPDX-License-Identifier: Apache-2.0
 * tests/core/test_sock.c — sockets that belong to one transport each: first as an engine asks for
 * them, with surroundings that only take notes, then on a loop with real ones on loopback. */
#include "core/loop_int.h"
#include "core/base/mem.h"
#include "tests/test.h"
#include <poll.h>

enum { TIMES = 1000, DEADLINE_MS = 60000 };

/* ---- an engine, and surroundings that take notes ---- */

static struct rig {
	struct sl_engine own; /* where there is no loop */
	struct sl_engine *e;
	struct sl_loop *loop;
	struct sl_loop *peers[1];
	struct sl_test_rng state;
	struct sl_rng rng;
	int opened, closed, refuse;
	uint64_t owner;
	uint32_t last_closed;
	struct sl_udp out;
	struct sl_udp_bufs *bufs;
} rig;

static int fake_open(void *arg, uint64_t transport, const struct sl_addr *bind,
		     struct sl_addr *local)
{
	(void)arg;
	if (rig.refuse)
		return rig.refuse;
	rig.owner = transport;
	*local = sl_addr_with_port(*bind, (uint16_t)(5000 + rig.opened));
	return SL_CORE_LOCALS_MAX + rig.opened++;
}

static int fake_stream(void *arg, uint64_t transport, const struct sl_addr *bind,
		       const struct sl_addr *remote, enum sl_framing f, struct sl_addr *local)
{
	int number = fake_open(arg, transport, bind, local);

	(void)remote;
	(void)f;
	return number < 0 ? number : number | SL_SOCK_STREAM;
}

static void fake_close(void *arg, uint32_t sock)
{
	(void)arg;
	rig.closed++;
	rig.last_closed = sock;
}

static void no_send(void *arg, struct sl_run *runs, int n)
{
	(void)arg;
	(void)runs;
	(void)n;
}

static bool no_event(void *arg, const struct sl_core_event *ev)
{
	(void)arg;
	(void)ev;
	return true;
}

static struct sl_engine_conf engine_conf(void)
{
	return (struct sl_engine_conf){.max_transports = 4,
				       .max_tracks = 2,
				       .max_packets = 16,
				       .max_handshakes = 2,
				       .ice_timeout_us = 15 * SL_SEC};
}

static int start_engine(bool with_socks)
{
	struct sl_engine_conf conf = engine_conf();
	struct sl_engine_io io = {.send = no_send, .event = no_event};

	if (with_socks) {
		io.sock_open = fake_open;
		io.stream_open = fake_stream;
		io.sock_close = fake_close;
	}
	memset(&rig, 0, sizeof(rig));
	rig.rng = sl_test_rng(&rig.state, 21);
	rig.e = &rig.own;
	return sl_engine_init(rig.e, &conf, &io, &rig.rng, 0);
}

static struct sl_transport *open_transport(void)
{
	static struct sl_transport_conf conf;
	static struct sl_reply reply;
	int err;

	conf = (struct sl_transport_conf){.lite = true, .offering = true};
	err = sl_transport_open(rig.e, &conf, &reply);
	TRY(err == SL_EFULL && sl_test_oom_fired() ? SL_ENOMEM : err);
	return sl_pool_at(&rig.e->transports, reply.transport);
}

static const struct sl_addr loopback = {.ip = {127, 0, 0, 1}, .family = 4};

TEST(sockets_of_a_transport_close_with_it_and_none_twice)
{
	struct sl_transport *t;
	struct sl_addr local;
	int first;

	TRY(start_engine(true));
	DEFER(sl_engine_fini, rig.e);
	t = open_transport();
	first = sl_sock_open(t, &loopback, &local);
	CHECK(first >= SL_CORE_LOCALS_MAX && rig.owner == t->id && local.port == 5000);
	CHECK(sl_sock_stream(t, &loopback, &local, SL_FRAMING_RFC4571, &local) & SL_SOCK_STREAM);
	CHECK(sl_sock_open(t, &loopback, &local) > first);
	sl_sock_close(t, (uint32_t)first);
	sl_sock_close(t, (uint32_t)first);
	CHECK_EQ(rig.closed, 1);
	CHECK_EQ(rig.last_closed, first);
	sl_transport_close(t, SL_CLOSE_REQUESTED);
	CHECK_EQ(rig.closed, 3);
	CHECK_EQ(sl_sock_open(t, &loopback, &local), SL_ESTATE);
}

TEST(sockets_of_a_transport_are_bounded_and_refusals_are_told)
{
	struct sl_transport *t;
	struct sl_addr local;

	TRY(start_engine(true));
	DEFER(sl_engine_fini, rig.e);
	t = open_transport();
	rig.refuse = SL_EBUSY;
	CHECK_EQ(sl_sock_open(t, &loopback, &local), SL_EBUSY);
	rig.refuse = 0;
	for (int i = 0; i < SL_OWN_SOCKS_MAX; i++)
		CHECK(sl_sock_open(t, &loopback, &local) >= 0);
	CHECK_EQ(sl_sock_open(t, &loopback, &local), SL_EFULL);
	CHECK_EQ(sl_sock_stream(t, &loopback, &local, SL_FRAMING_TURN, &local), SL_EFULL);
	CHECK_EQ(rig.opened, SL_OWN_SOCKS_MAX);
}

TEST(without_io_for_it_there_are_no_sockets_of_a_transport)
{
	struct sl_transport *t;
	struct sl_addr local;

	TRY(start_engine(false));
	DEFER(sl_engine_fini, rig.e);
	t = open_transport();
	CHECK_EQ(sl_sock_open(t, &loopback, &local), SL_EUNSUPPORTED);
	CHECK_EQ(sl_sock_stream(t, &loopback, &local, SL_FRAMING_TURN, &local), SL_EUNSUPPORTED);
	sl_sock_close(t, SL_CORE_LOCALS_MAX);
	sl_transport_close(t, SL_CLOSE_REQUESTED);
}

static void feed(uint64_t owner, uint32_t sock, uint8_t first)
{
	uint8_t data[40] = {first, 96, [3] = 20, [4] = 0x21, [5] = 0x12, [6] = 0xa4, [7] = 0x42};
	struct sl_in in = {.path = {.remote = sl_addr_v4(192, 0, 2, 1, 4000), .sock = sock},
			   .owner = owner,
			   .data = data,
			   .len = sizeof(data)};

	sl_engine_recv(rig.e, &in, 1, 0);
}

TEST(what_comes_by_a_transports_own_socket_is_for_it_alone)
{
	struct sl_path path = {.remote = sl_addr_v4(192, 0, 2, 1, 4000)};
	struct sl_transport *a;
	struct sl_transport *b;
	struct sl_addr local;

	TRY(start_engine(true));
	DEFER(sl_engine_fini, rig.e);
	a = open_transport();
	b = open_transport();
	path.sock = (uint32_t)sl_sock_open(a, &loopback, &local);
	TRY(sl_hash_put(&rig.e->by_path, &path, sizeof(path), a));
	a->paths[a->path_count++] = path;
	feed(a->id, path.sock, 0x80);
	CHECK_EQ(a->drops[SL_DROP_no_keys], 1);
	feed(b->id, path.sock, 0x80); /* as if it were b's now */
	CHECK_EQ(a->drops[SL_DROP_no_keys], 1);
	CHECK_EQ(sl_stat_get(&rig.e->stats, SL_STAT_demux_no_transport), 1);
	sl_sock_close(a, path.sock);
	feed(a->id, path.sock, 0x80);
	CHECK_EQ(a->drops[SL_DROP_no_keys], 1);
	CHECK_EQ(rig.e->by_path.count, 0);
	feed(b->id, path.sock, 0);
	CHECK_EQ(a->drops[SL_DROP_stun], 0);
	CHECK_EQ(b->drops[SL_DROP_stun], 1);
	sl_transport_close(b, SL_CLOSE_REQUESTED);
	feed(b->id, path.sock, 0);
	CHECK_EQ(sl_stat_get(&rig.e->stats, SL_STAT_demux_no_transport), 3);
}

/* ---- a loop with real sockets, its turns taken here ---- */

static void end_loop(void *arg)
{
	(void)arg;
	if (rig.loop)
		sl_engine_close_all(rig.e, sl_now_us());
	sl_loop_free(rig.loop);
	sl_udp_close(&rig.out);
	sl_udp_bufs_free(rig.bufs);
}

static void wake_nobody(void *arg)
{
	(void)arg;
}

static void start_loop(uint32_t max_socks)
{
	struct sl_core_why why;
	struct sl_loop_conf conf = {.engine = engine_conf(),
				    .binds = {loopback},
				    .bind_count = 1,
				    .gso = true,
				    .gro = true,
				    .max_socks = max_socks,
				    .peers = rig.peers,
				    .loops = 1,
				    .wake_control = wake_nobody};

	memset(&rig, 0, sizeof(rig));
	rig.out.fd = -1;
	DEFER(end_loop, NULL);
	TRY(sl_loop_new(&conf, &rig.loop, &why));
	rig.peers[0] = rig.loop;
	rig.e = sl_loop_engine(rig.loop);
	rig.bufs = sl_udp_bufs_new(false);
	TRY(rig.bufs ? SL_OK : SL_ENOMEM);
	TRY(sl_udp_open(&rig.out, &loopback, false, false, &why));
}

static uint32_t open_sock(struct sl_transport *t, struct sl_addr *local)
{
	int number = sl_sock_open(t, &loopback, local);

	TRY(number);
	return (uint32_t)number;
}

static void send_stun(const struct sl_addr *to)
{
	static uint8_t bytes[20] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42};
	struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct sl_path path = {.remote = *to};
	struct sl_run run = {.path = &path, .pkts = &iov, .count = 1};

	CHECK_EQ(sl_udp_send(&rig.out, rig.bufs, &run, 1), 1);
}

/* Turns of the loop until so many datagrams have come. */
static void turn_until(uint64_t packets)
{
	while (sl_stat_get(&rig.e->stats, SL_STAT_rx_packets) < packets)
		uv_run(&rig.loop->uv, UV_RUN_ONCE);
	CHECK_EQ(sl_stat_get(&rig.e->stats, SL_STAT_rx_packets), packets);
}

TEST(a_loop_gives_each_transport_sockets_that_send_and_receive_for_it)
{
	struct pollfd p;
	struct sl_in in[SL_UDP_BATCH];
	struct sl_transport *t[2];
	struct sl_addr local[2];
	struct sl_path path;

	start_loop(8);
	for (int i = 0; i < 2; i++) {
		t[i] = open_transport();
		path.sock = open_sock(t[i], &local[i]);
		CHECK(path.sock >= SL_CORE_LOCALS_MAX && local[i].port > 0);
	}
	send_stun(&local[0]);
	send_stun(&local[1]);
	send_stun(&local[1]);
	turn_until(3);
	CHECK_EQ(t[0]->drops[SL_DROP_stun], 1);
	CHECK_EQ(t[1]->drops[SL_DROP_stun], 2);
	path.remote = rig.out.local;
	sl_send_plain(rig.e, &path, (const uint8_t *)"hello", 5);
	p = (struct pollfd){.fd = rig.out.fd, .events = POLLIN};
	CHECK_EQ(poll(&p, 1, DEADLINE_MS), 1);
	CHECK_EQ(sl_udp_recv(&rig.out, rig.bufs, 1, &(int64_t){0}), 1);
	CHECK_EQ(sl_udp_next(rig.bufs, in), 1);
	CHECK(sl_addr_eq(&in[0].path.remote, &local[1]) && in[0].len == 5);
}

TEST(a_closed_sockets_datagrams_never_reach_the_next_of_its_port)
{
	struct sl_transport *a;
	struct sl_transport *b;
	struct sl_addr local;
	struct sl_addr again;
	struct sl_path path = {0};
	uint32_t first;
	int second;

	start_loop(8);
	a = open_transport();
	b = open_transport();
	first = open_sock(a, &local);
	second = sl_sock_open(b, &local, &again);
	TRY(second == SL_ENOMEM ? second : SL_OK);
	CHECK_EQ(second, SL_EBUSY);
	send_stun(&local);
	sl_sock_close(a, first);
	second = sl_sock_open(b, &local, &again);
	TRY(second);
	CHECK(sl_addr_eq(&local, &again) && (uint32_t)second != first);
	send_stun(&local);
	turn_until(1);
	CHECK_EQ(a->drops[SL_DROP_stun], 0);
	CHECK_EQ(b->drops[SL_DROP_stun], 1);
	path = (struct sl_path){.remote = rig.out.local, .sock = first};
	sl_send_plain(rig.e, &path, (const uint8_t *)"late", 4);
	CHECK_EQ(sl_stat_get(&rig.e->stats, SL_STAT_tx_dropped), 1);
}

TEST(a_loops_sockets_of_transports_are_bounded_and_come_back)
{
	struct sl_transport *t;
	struct sl_addr local;
	uint32_t last = 0;

	start_loop(2);
	t = open_transport();
	open_sock(t, &local);
	for (int i = 0; i < TIMES; i++) {
		uint32_t sock = open_sock(t, &local);

		CHECK(sock != last);
		last = sock;
		CHECK_EQ(sl_sock_open(t, &loopback, &local), SL_EFULL);
		sl_sock_close(t, sock);
		uv_run(&rig.loop->uv, UV_RUN_NOWAIT);
	}
	CHECK_EQ(rig.loop->socks.count, 1);
	sl_transport_close(t, SL_CLOSE_REQUESTED);
	CHECK_EQ(rig.loop->socks.count, 0);
}
