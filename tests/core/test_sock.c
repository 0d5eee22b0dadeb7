/* SPDX-License-Identifier: Apache-2.0
 * tests/core/test_sock.c — sockets that belong to one transport each: first as an engine asks for
 * them, with surroundings that only take notes, then on a loop with real ones on loopback. */
#include "tests/core/loop_rig.h"
#include <poll.h>

enum { TIMES = 1000, DEADLINE_MS = 60000 };

/* ---- an engine, and surroundings that take notes ---- */

static int fake_open(void *arg, uint64_t transport, const struct sl_addr *bind,
		     struct sl_addr *local)
{
	(void)arg;
	if (loop_rig.refuse)
		return loop_rig.refuse;
	loop_rig.owner = transport;
	*local = sl_addr_with_port(*bind, (uint16_t)(5000 + loop_rig.opened));
	return SL_CORE_LOCALS_MAX + loop_rig.opened++;
}

static int fake_stream(void *arg, uint64_t transport, const struct sl_stream_to *to,
		       struct sl_addr *local)
{
	int number = fake_open(arg, transport, &to->bind, local);

	return number < 0 ? number : number | SL_SOCK_STREAM;
}

static void fake_close(void *arg, uint32_t sock)
{
	(void)arg;
	loop_rig.closed++;
	loop_rig.last_closed = sock;
}

static int start_engine(bool with_socks)
{
	struct sl_engine_conf conf = loop_rig_conf();
	struct sl_engine_io io = {.send = loop_rig_no_send, .event = loop_rig_no_event};

	if (with_socks) {
		io.sock_open = fake_open;
		io.stream_open = fake_stream;
		io.sock_close = fake_close;
	}
	memset(&loop_rig, 0, sizeof(loop_rig));
	loop_rig.rng = sl_test_rng(&loop_rig.state, 21);
	loop_rig.e = &loop_rig.own;
	return sl_engine_init(loop_rig.e, &conf, &io, &loop_rig.rng, 0);
}

static const struct sl_stream_to nowhere;

TEST(sockets_of_a_transport_close_with_it_and_none_twice)
{
	struct sl_transport *t;
	struct sl_addr local;
	int first;

	TRY(start_engine(true));
	DEFER(sl_engine_fini, loop_rig.e);
	t = loop_rig_transport();
	first = sl_sock_open(t, &loop_rig_addr, &local);
	CHECK(first >= SL_CORE_LOCALS_MAX && loop_rig.owner == t->id && local.port == 5000);
	CHECK(sl_sock_stream(t, &nowhere, &local) & SL_SOCK_STREAM);
	CHECK(sl_sock_open(t, &loop_rig_addr, &local) > first);
	sl_sock_close(t, (uint32_t)first);
	sl_sock_close(t, (uint32_t)first);
	CHECK_EQ(loop_rig.closed, 1);
	CHECK_EQ(loop_rig.last_closed, first);
	sl_transport_close(t, SL_CLOSE_REQUESTED);
	CHECK_EQ(loop_rig.closed, 3);
	CHECK_EQ(sl_sock_open(t, &loop_rig_addr, &local), SL_ESTATE);
}

TEST(sockets_of_a_transport_are_bounded_and_refusals_are_told)
{
	struct sl_transport *t;
	struct sl_addr local;

	TRY(start_engine(true));
	DEFER(sl_engine_fini, loop_rig.e);
	t = loop_rig_transport();
	loop_rig.refuse = SL_EBUSY;
	CHECK_EQ(sl_sock_open(t, &loop_rig_addr, &local), SL_EBUSY);
	loop_rig.refuse = 0;
	for (int i = 0; i < SL_OWN_SOCKS_MAX; i++)
		CHECK(sl_sock_open(t, &loop_rig_addr, &local) >= 0);
	CHECK_EQ(sl_sock_open(t, &loop_rig_addr, &local), SL_EFULL);
	CHECK_EQ(sl_sock_stream(t, &nowhere, &local), SL_EFULL);
	CHECK_EQ(loop_rig.opened, SL_OWN_SOCKS_MAX);
}

TEST(without_io_for_it_there_are_no_sockets_of_a_transport)
{
	struct sl_transport *t;
	struct sl_addr local;

	TRY(start_engine(false));
	DEFER(sl_engine_fini, loop_rig.e);
	t = loop_rig_transport();
	CHECK_EQ(sl_sock_open(t, &loop_rig_addr, &local), SL_EUNSUPPORTED);
	CHECK_EQ(sl_sock_stream(t, &nowhere, &local), SL_EUNSUPPORTED);
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

	sl_engine_recv(loop_rig.e, &in, 1, 0);
}

TEST(what_comes_by_a_transports_own_socket_is_for_it_alone)
{
	struct sl_path path = {.remote = sl_addr_v4(192, 0, 2, 1, 4000)};
	struct sl_transport *a;
	struct sl_transport *b;
	struct sl_addr local;

	TRY(start_engine(true));
	DEFER(sl_engine_fini, loop_rig.e);
	a = loop_rig_transport();
	b = loop_rig_transport();
	path.sock = (uint32_t)sl_sock_open(a, &loop_rig_addr, &local);
	TRY(sl_hash_put(&loop_rig.e->by_path, &path, sizeof(path), a));
	a->paths[a->path_count++] = path;
	feed(a->id, path.sock, 0x80);
	CHECK_EQ(a->drops[SL_DROP_no_keys], 1);
	feed(b->id, path.sock, 0x80); /* as if it were b's now */
	CHECK_EQ(a->drops[SL_DROP_no_keys], 1);
	CHECK_EQ(sl_stat_get(&loop_rig.e->stats, SL_STAT_demux_no_transport), 1);
	sl_sock_close(a, path.sock);
	feed(a->id, path.sock, 0x80);
	CHECK_EQ(a->drops[SL_DROP_no_keys], 1);
	CHECK_EQ(loop_rig.e->by_path.count, 0);
	feed(b->id, path.sock, 0);
	CHECK_EQ(a->drops[SL_DROP_stun], 0);
	CHECK_EQ(b->drops[SL_DROP_stun], 1);
	sl_transport_close(b, SL_CLOSE_REQUESTED);
	feed(b->id, path.sock, 0);
	CHECK_EQ(sl_stat_get(&loop_rig.e->stats, SL_STAT_demux_no_transport), 3);
}

/* ---- a loop with real sockets, its turns taken here ---- */

static uint32_t open_sock(struct sl_transport *t, struct sl_addr *local)
{
	int number = sl_sock_open(t, &loop_rig_addr, local);

	TRY(number);
	return (uint32_t)number;
}

static void send_stun(const struct sl_addr *to)
{
	static uint8_t bytes[20] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42};
	struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct sl_path path = {.remote = *to};
	struct sl_run run = {.path = &path, .pkts = &iov, .count = 1};

	CHECK_EQ(sl_udp_send(&loop_rig.out, loop_rig.bufs, &run, 1), 1);
}

TEST(a_loop_gives_each_transport_sockets_that_send_and_receive_for_it)
{
	struct pollfd p;
	struct sl_in in[SL_UDP_BATCH];
	struct sl_transport *t[2];
	struct sl_addr local[2];
	struct sl_path path;

	loop_rig_start(8, false, 0);
	for (int i = 0; i < 2; i++) {
		t[i] = loop_rig_transport();
		path.sock = open_sock(t[i], &local[i]);
		CHECK(path.sock >= SL_CORE_LOCALS_MAX && local[i].port > 0);
	}
	send_stun(&local[0]);
	send_stun(&local[1]);
	send_stun(&local[1]);
	loop_rig_until(3);
	CHECK_EQ(t[0]->drops[SL_DROP_stun], 1);
	CHECK_EQ(t[1]->drops[SL_DROP_stun], 2);
	path.remote = loop_rig.out.local;
	sl_send_plain(loop_rig.e, &path, (const uint8_t *)"hello", 5);
	p = (struct pollfd){.fd = loop_rig.out.fd, .events = POLLIN};
	CHECK_EQ(poll(&p, 1, DEADLINE_MS), 1);
	CHECK_EQ(sl_udp_recv(&loop_rig.out, loop_rig.bufs, 1, &(int64_t){0}), 1);
	CHECK_EQ(sl_udp_next(loop_rig.bufs, in), 1);
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

	loop_rig_start(8, false, 0);
	a = loop_rig_transport();
	b = loop_rig_transport();
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
	loop_rig_until(1);
	CHECK_EQ(a->drops[SL_DROP_stun], 0);
	CHECK_EQ(b->drops[SL_DROP_stun], 1);
	path = (struct sl_path){.remote = loop_rig.out.local, .sock = first};
	sl_send_plain(loop_rig.e, &path, (const uint8_t *)"late", 4);
	CHECK_EQ(sl_stat_get(&loop_rig.e->stats, SL_STAT_tx_dropped), 1);
}

TEST(a_loops_sockets_of_transports_are_bounded_and_come_back)
{
	struct sl_transport *t;
	struct sl_addr local;
	uint32_t last = 0;

	loop_rig_start(2, false, 0);
	t = loop_rig_transport();
	open_sock(t, &local);
	for (int i = 0; i < TIMES; i++) {
		uint32_t sock = open_sock(t, &local);

		CHECK(sock != last);
		last = sock;
		CHECK_EQ(sl_sock_open(t, &loop_rig_addr, &local), SL_EFULL);
		sl_sock_close(t, sock);
		uv_run(&loop_rig.loop->uv, UV_RUN_NOWAIT);
	}
	CHECK_EQ(loop_rig.loop->socks.count, 1);
	sl_transport_close(t, SL_CLOSE_REQUESTED);
	CHECK_EQ(loop_rig.loop->socks.count, 0);
}
