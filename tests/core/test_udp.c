/* SPDX-License-Identifier: Apache-2.0
 * tests/core/test_udp.c — the datagram system calls, on loopback sockets with ports that the system
 * chooses. */
#include "core/core_int.h"
#include "tests/test.h"
#include <poll.h>

enum { DEADLINE_MS = 60000, BIG = 70000 };

static struct rig {
	struct sl_udp a, b;
	struct sl_udp_bufs *bufs;
	struct sl_in in[SL_UDP_BATCH];
	struct sl_out out[SL_BATCH];
	uint8_t big[BIG];
} rig;

static void rig_end(struct rig *r)
{
	sl_udp_close(&r->a);
	sl_udp_close(&r->b);
	sl_udp_bufs_free(r->bufs);
}

static int rig_start(const struct sl_addr *local)
{
	struct sl_core_why why;
	int err;

	rig.a.fd = rig.b.fd = -1;
	rig.bufs = sl_udp_bufs_new();
	err = rig.bufs ? sl_udp_open(&rig.a, local, &why) : SL_ENOMEM;
	if (!err)
		err = sl_udp_open(&rig.b, local, &why);
	rig.a.index = 1;
	rig.b.index = 2;
	return err;
}

static void start_v4(void)
{
	struct sl_addr local = sl_addr_v4(127, 0, 0, 1, 0);

	TRY(rig_start(&local));
}

static struct sl_out to_b(const void *data, size_t len)
{
	return (struct sl_out){.path = {.remote = rig.b.local}, .data = data, .len = len};
}

/* Waits until something is there, then one batch of it. */
static int recv_b(int64_t now_us, int64_t *last_us)
{
	struct pollfd p = {.fd = rig.b.fd, .events = POLLIN};

	CHECK_EQ(poll(&p, 1, DEADLINE_MS), 1);
	return sl_udp_recv(&rig.b, rig.bufs, rig.in, now_us, last_us);
}

TEST(udp_opens_the_address_it_was_given_on_a_port_of_the_systems)
{
	start_v4();
	DEFER(rig_end, &rig);
	CHECK(sl_addr_is_loopback(&rig.a.local));
	CHECK(rig.a.local.port != 0 && rig.a.local.port != rig.b.local.port);
	CHECK_EQ(sl_udp_recv(&rig.a, rig.bufs, rig.in, 0, &(int64_t){0}), 0);
}

TEST(udp_batches_arrive_whole_and_in_order_with_sender_and_time)
{
	uint8_t data[SL_BATCH][8];
	int64_t before_us;
	int64_t last_us;
	int got = 0;

	start_v4();
	DEFER(rig_end, &rig);
	for (unsigned i = 0; i < SL_BATCH; i++) {
		memset(data[i], (int)i, sizeof(data[i]));
		rig.out[i] = to_b(data[i], 1 + i % 8);
	}
	last_us = before_us = sl_now_us();
	CHECK_EQ(sl_udp_send(&rig.a, rig.bufs, rig.out, SL_BATCH), SL_BATCH);
	while (got < SL_BATCH) {
		int64_t now_us = sl_now_us();
		int64_t floor_us = last_us;
		int n = recv_b(now_us, &last_us);

		CHECK(n > 0 && n <= SL_UDP_BATCH);
		for (int i = 0; i < n; i++, got++) {
			CHECK_EQ(rig.in[i].len, 1 + got % 8);
			CHECK_EQ(rig.in[i].data[0], got);
			CHECK(!rig.in[i].truncated);
			CHECK_EQ(rig.in[i].path.sock, 2);
			CHECK(sl_addr_eq(&rig.in[i].path.remote, &rig.a.local));
			CHECK(rig.in[i].rx_us >= floor_us && rig.in[i].rx_us <= now_us);
			floor_us = rig.in[i].rx_us;
		}
		CHECK_EQ(last_us, floor_us);
	}
	CHECK(last_us >= before_us);
}

TEST(udp_arrival_never_goes_back_behind_the_last_nor_ahead_of_now)
{
	int64_t ahead_us;

	start_v4();
	DEFER(rig_end, &rig);
	rig.out[0] = to_b("x", 1);
	CHECK_EQ(sl_udp_send(&rig.a, rig.bufs, rig.out, 1), 1);
	ahead_us = sl_now_us() + SL_SEC * 3600; /* the last one came later than this one can have */
	CHECK_EQ(recv_b(ahead_us, &ahead_us), 1);
	CHECK_EQ(rig.in[0].rx_us, ahead_us);
	CHECK_EQ(sl_udp_send(&rig.a, rig.bufs, rig.out, 1), 1);
	ahead_us = 0;
	CHECK_EQ(recv_b(5, &ahead_us), 1); /* the clock says 5: nothing can have come after that */
	CHECK(rig.in[0].rx_us <= 5);
}

TEST(udp_tells_which_datagram_the_system_cut)
{
	static const size_t lens[] = {SL_UDP_BUF, SL_UDP_BUF + 1, 3000, 1};
	int64_t last_us = 0;

	start_v4();
	DEFER(rig_end, &rig);
	for (unsigned i = 0; i < SL_COUNT(lens); i++)
		rig.out[i] = to_b(rig.big, lens[i]);
	CHECK_EQ(sl_udp_send(&rig.a, rig.bufs, rig.out, SL_COUNT(lens)), SL_COUNT(lens));
	for (unsigned got = 0; got < SL_COUNT(lens);)
		for (int n = recv_b(sl_now_us(), &last_us), i = 0; i < n; i++, got++) {
			CHECK_EQ(rig.in[i].truncated, lens[got] > SL_UDP_BUF);
			CHECK_EQ(rig.in[i].len, SL_MIN(lens[got], (size_t)SL_UDP_BUF));
		}
}

TEST(udp_destinations_that_refuse_do_not_stop_the_others)
{
	uint8_t mark[4] = {0, 1, 2, 3};
	int64_t last_us = 0;
	int got = 0;

	start_v4();
	DEFER(rig_end, &rig);
	rig.out[0] = to_b(&mark[0], 1);
	rig.out[1] = to_b(rig.big, BIG); /* EMSGSIZE */
	rig.out[2] = to_b(&mark[1], 1);
	rig.out[3] = to_b(&mark[2], 1);
	rig.out[3].path.remote = sl_addr_v4(127, 0, 0, 1, 0); /* EINVAL */
	rig.out[4] = to_b(rig.big, BIG);
	rig.out[5] = to_b(&mark[3], 1);
	CHECK_EQ(sl_udp_send(&rig.a, rig.bufs, rig.out, 6), 3);
	while (got < 3)
		for (int n = recv_b(sl_now_us(), &last_us), i = 0; i < n; i++, got++)
			CHECK_EQ(rig.in[i].data[0], got == 0 ? 0 : got == 1 ? 1 : 3);
}

TEST(udp_speaks_ipv6_where_there_is_any)
{
	struct sl_addr local;
	int64_t last_us = 0;

	CHECK_EQ(sl_addr_parse_ip(SL_STR("::1"), &local), SL_OK);
	if (rig_start(&local) == SL_EIO) {
		rig_end(&rig);
		sl_test_skip("this machine has no IPv6");
	}
	DEFER(rig_end, &rig);
	if (!rig.bufs)
		sl_test_oom_stop();
	rig.out[0] = to_b("six", 3);
	CHECK_EQ(sl_udp_send(&rig.a, rig.bufs, rig.out, 1), 1);
	CHECK_EQ(recv_b(sl_now_us(), &last_us), 1);
	CHECK(sl_addr_eq(&rig.in[0].path.remote, &rig.a.local));
	CHECK_BYTES(rig.in[0].data, "six", 3);
}

TEST(udp_port_in_use_says_which_and_what_to_set)
{
	struct sl_core_why why = {{0}};
	struct sl_udp third;
	char text[SL_ADDR_TEXT];

	start_v4();
	DEFER(rig_end, &rig);
	CHECK_EQ(sl_udp_open(&third, &rig.a.local, &why), SL_EIO);
	CHECK(strstr(why.text, sl_addr_text(&rig.a.local, text)) != NULL);
	CHECK(strstr(why.text, "media.port") != NULL);
	CHECK(third.fd < 0);
}

TEST(interfaces_are_bound_one_by_one_and_loopback_only_if_there_is_nothing_else)
{
	struct sl_addr at[SL_CORE_LOCALS_MAX];
	size_t n = sl_udp_interfaces(at, SL_COUNT(at));
	bool loopback = n > 0 && sl_addr_is_loopback(&at[0]);

	if (sl_test_oom_fired())
		sl_test_oom_stop(); /* the system's list of them needs memory */
	CHECK(n > 0);
	for (size_t i = 0; i < n; i++) {
		CHECK_EQ(at[i].port, 0);
		CHECK(!sl_addr_is_any(&at[i]) && !sl_addr_is_link_local(&at[i]));
		CHECK_EQ(sl_addr_is_loopback(&at[i]), loopback);
	}
	CHECK_EQ(sl_udp_interfaces(at, 0), 0);
}
