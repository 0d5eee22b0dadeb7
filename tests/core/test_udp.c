/* SPDX-License-Identifier: Apache-2.0
 * tests/core/test_udp.c — the datagram system calls, on loopback sockets with ports that the system
 * chooses. */
#include "core/core_int.h"
#include "tests/test.h"
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DEADLINE_MS = 60000, BIG = 70000, WIRE = 256 };

static struct rig {
	struct sl_udp a, b;
	struct sl_udp_bufs *bufs;
	struct sl_in in[SL_UDP_BATCH];
	struct sl_path to_b;
	struct iovec pkts[SL_BATCH];
	struct sl_run runs[SL_BATCH];
	uint8_t big[BIG];
} rig;

static void rig_end(struct rig *r)
{
	sl_udp_close(&r->a);
	sl_udp_close(&r->b);
	sl_udp_bufs_free(r->bufs);
}

static int rig_start(const struct sl_addr *local, bool gso, bool gro)
{
	struct sl_core_why why;
	int err;

	rig.a.fd = rig.b.fd = -1;
	rig.bufs = sl_udp_bufs_new(gro);
	err = rig.bufs ? sl_udp_open(&rig.a, local, gso, gro, &why) : SL_ENOMEM;
	if (!err)
		err = sl_udp_open(&rig.b, local, gso, gro, &why);
	rig.a.index = 1;
	rig.b.index = 2;
	rig.to_b = (struct sl_path){.remote = rig.b.local};
	return err;
}

static void start_v4(bool gso, bool gro)
{
	struct sl_addr local = sl_addr_v4(127, 0, 0, 1, 0);

	TRY(rig_start(&local, gso, gro));
}

/* Datagram i of a batch, as a run of its own. */
static void put(int i, const void *data, size_t len)
{
	rig.pkts[i] = (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	rig.runs[i] = (struct sl_run){.path = &rig.to_b, .pkts = &rig.pkts[i], .count = 1};
}

/* Waits until something is there, then what one batch of it holds. */
static int recv_b(int64_t now_us, int64_t *last_us)
{
	struct pollfd p = {.fd = rig.b.fd, .events = POLLIN};

	CHECK_EQ(poll(&p, 1, DEADLINE_MS), 1);
	CHECK(sl_udp_recv(&rig.b, rig.bufs, now_us, last_us) > 0);
	return sl_udp_next(rig.bufs, rig.in);
}

/* ---- a system that refuses ----
 * Stands in for the system's call where a test says so: each message is taken, or the call fails,
 * by a seed. */
static struct {
	bool on;
	struct sl_test_rng state;
	struct sl_rng rng;
	bool refuses[WIRE]; /* destinations, by port: runs only */
	unsigned full_in;   /* one of so many calls finds no room; 0: none */
	bool was_full;
	uint8_t wire[WIRE][WIRE]; /* by port: first bytes of what came, in order */
	int count[WIRE];
} fake;

static void take_message(const struct msghdr *h)
{
	struct sl_addr to;
	size_t segment = SIZE_MAX;
	struct cmsghdr *c = CMSG_FIRSTHDR(h);

	CHECK_EQ(sl_addr_from_sockaddr(h->msg_name, &to), SL_OK);
	if (c)
		segment = *(const uint16_t *)(const void *)CMSG_DATA(c);
	CHECK(!c == (h->msg_iovlen == 1));
	for (size_t i = 0; i < h->msg_iovlen; i++) {
		CHECK(h->msg_iov[i].iov_len <= segment);
		CHECK(i == h->msg_iovlen - 1 || h->msg_iov[i].iov_len == segment ||
		      segment == SIZE_MAX);
		fake.wire[to.port][fake.count[to.port]++] = *(uint8_t *)h->msg_iov[i].iov_base;
	}
}

static int fake_sendmmsg(const struct mmsghdr *m, unsigned n)
{
	static const int refusals[] = {EMSGSIZE, EINVAL, EIO};
	unsigned some = 1 + sl_rng_u32(&fake.rng) % n;

	if (fake.full_in && sl_rng_u32(&fake.rng) % fake.full_in == 0) {
		errno = sl_rng_u32(&fake.rng) % 2 ? EAGAIN : ENOBUFS;
		fake.was_full = true;
		return -1;
	}
	if (sl_rng_u32(&fake.rng) % 8 == 0) {
		errno = EINTR;
		return -1;
	}
	for (unsigned i = 0; i < some; i++) {
		struct sl_addr to;

		CHECK_EQ(sl_addr_from_sockaddr(m[i].msg_hdr.msg_name, &to), SL_OK);
		if (m[i].msg_hdr.msg_iovlen > 1 && fake.refuses[to.port]) {
			errno = refusals[sl_rng_u32(&fake.rng) % SL_COUNT(refusals)];
			return i > 0 ? (int)i : -1;
		}
		take_message(&m[i].msg_hdr);
	}
	return (int)some;
}

int sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	return fake.on ? fake_sendmmsg(m, n) : (int)syscall(SYS_sendmmsg, fd, m, n, flags);
}

static void fake_end(void *arg)
{
	(void)arg;
	fake.on = false;
}

static void fake_start(uint64_t seed)
{
	memset(&fake, 0, sizeof(fake));
	fake.rng = sl_test_rng(&fake.state, seed);
	fake.on = true;
}

static uint32_t upto(uint32_t n)
{
	return sl_rng_u32(&fake.rng) % n;
}

TEST(udp_opens_the_address_it_was_given_on_a_port_of_the_systems)
{
	start_v4(true, true);
	DEFER(rig_end, &rig);
	CHECK(sl_addr_is_loopback(&rig.a.local));
	CHECK(rig.a.local.port != 0 && rig.a.local.port != rig.b.local.port);
	CHECK_EQ(sl_udp_recv(&rig.a, rig.bufs, 0, &(int64_t){0}), 0);
	CHECK_EQ(sl_udp_next(rig.bufs, rig.in), 0);
}

static void batches_arrive(bool gro)
{
	uint8_t data[SL_BATCH][8];
	int64_t before_us;
	int64_t last_us;
	int got = 0;

	start_v4(false, gro);
	DEFER(rig_end, &rig);
	for (int i = 0; i < SL_BATCH; i++) {
		memset(data[i], i, sizeof(data[i]));
		put(i, data[i], (size_t)(1 + i % 8));
	}
	last_us = before_us = sl_now_us();
	CHECK_EQ(sl_udp_send(&rig.a, rig.bufs, rig.runs, SL_BATCH), SL_BATCH);
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

TEST(udp_batches_arrive_whole_and_in_order_with_sender_and_time)
{
	batches_arrive(false);
}

TEST(udp_batches_arrive_the_same_with_gro)
{
	batches_arrive(true);
}

/* Runs of 16 of 1000 bytes, each with a last one of 17; a receiver with GRO and one without. */
static void runs_arrive(bool gso, bool gro)
{
	enum { RUNS = 8, EACH = 16, LEN = 1000, SHORT = 17 };
	uint8_t data[RUNS][EACH][LEN];
	int64_t last_us = 0;
	int got = 0;

	start_v4(gso, gro);
	DEFER(rig_end, &rig);
	for (int r = 0; r < RUNS; r++) {
		for (int i = 0; i < EACH; i++) {
			memset(data[r][i], r * EACH + i, LEN);
			put(r * EACH + i, data[r][i], i < EACH - 1 ? LEN : SHORT);
		}
		rig.runs[r] = (struct sl_run){
			.path = &rig.to_b, .pkts = &rig.pkts[r * EACH], .count = EACH};
	}
	CHECK_EQ(sl_udp_send(&rig.a, rig.bufs, rig.runs, RUNS), RUNS * EACH);
	while (got < RUNS * EACH)
		for (int n = recv_b(sl_now_us(), &last_us); n > 0;
		     n = sl_udp_next(rig.bufs, rig.in))
			for (int i = 0; i < n; i++, got++) {
				size_t len = got % EACH < EACH - 1 ? LEN : SHORT;

				CHECK_EQ(rig.in[i].len, len);
				CHECK(!rig.in[i].truncated);
				CHECK_BYTES(rig.in[i].data, data[got / EACH][got % EACH], len);
			}
	for (int r = 0; r < RUNS; r++)
		CHECK(!rig.runs[r].refused);
}

TEST(udp_runs_arrive_as_the_datagrams_they_were_made_of)
{
	runs_arrive(true, false);
}

TEST(udp_runs_arrive_the_same_with_gro)
{
	runs_arrive(true, true);
}

TEST(udp_runs_arrive_the_same_without_gso)
{
	runs_arrive(false, true);
}

TEST(gro_messages_fall_into_segments_and_a_shorter_last)
{
	static const struct {
		size_t len;
		int segment;
		size_t first, last;
		int pieces;
	} rows[] = {
		{3000, 1000, 1000, 1000, 3},	{2001, 1000, 1000, 1, 3}, {999, 1000, 999, 999, 1},
		{1000, 1000, 1000, 1000, 1},	{1000, 0, 1000, 1000, 1}, {1000, -5, 1000, 1000, 1},
		{1000, 1 << 30, 1000, 1000, 1}, {3, 1, 1, 1, 3},	  {0, 0, 0, 0, 0},
	};

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		size_t at = 0;
		size_t len = 0;
		int pieces = 0;

		CHECK_EQ(sl_gro_len(rows[i].len, 0, rows[i].segment), rows[i].first);
		for (; at < rows[i].len; at += len, pieces++) {
			len = sl_gro_len(rows[i].len, at, rows[i].segment);
			CHECK(len > 0 && at + len <= rows[i].len);
		}
		CHECK_EQ(len, rows[i].last);
		CHECK_EQ(pieces, rows[i].pieces);
	}
}

TEST(udp_arrival_never_goes_back_behind_the_last_nor_ahead_of_now)
{
	int64_t ahead_us;

	start_v4(true, true);
	DEFER(rig_end, &rig);
	put(0, "x", 1);
	CHECK_EQ(sl_udp_send(&rig.a, rig.bufs, rig.runs, 1), 1);
	ahead_us = sl_now_us() + SL_SEC * 3600; /* the last one came later than this one can have */
	CHECK_EQ(recv_b(ahead_us, &ahead_us), 1);
	CHECK_EQ(rig.in[0].rx_us, ahead_us);
	CHECK_EQ(sl_udp_send(&rig.a, rig.bufs, rig.runs, 1), 1);
	ahead_us = 0;
	CHECK_EQ(recv_b(5, &ahead_us), 1); /* the clock says 5: nothing can have come after that */
	CHECK(rig.in[0].rx_us <= 5);
}

static void cut_datagrams(bool gro)
{
	static const size_t lens[] = {SL_UDP_BUF, SL_UDP_BUF + 1, 3000, 1};
	int64_t last_us = 0;

	start_v4(false, gro);
	DEFER(rig_end, &rig);
	for (int i = 0; i < (int)SL_COUNT(lens); i++)
		put(i, rig.big, lens[i]);
	CHECK_EQ(sl_udp_send(&rig.a, rig.bufs, rig.runs, SL_COUNT(lens)), SL_COUNT(lens));
	for (unsigned got = 0; got < SL_COUNT(lens);)
		for (int n = recv_b(sl_now_us(), &last_us), i = 0; i < n; i++, got++) {
			CHECK_EQ(rig.in[i].truncated, lens[got] > SL_UDP_BUF);
			CHECK_EQ(rig.in[i].len, SL_MIN(lens[got], (size_t)SL_UDP_BUF));
		}
}

TEST(udp_tells_which_datagram_the_system_cut)
{
	cut_datagrams(false);
}

TEST(udp_cuts_no_later_with_gro)
{
	cut_datagrams(true);
}

TEST(udp_destinations_that_refuse_do_not_stop_the_others)
{
	struct sl_path nowhere = {.remote = sl_addr_v4(127, 0, 0, 1, 0)};
	uint8_t mark[4] = {0, 1, 2, 3};
	int64_t last_us = 0;
	int got = 0;

	start_v4(true, false);
	DEFER(rig_end, &rig);
	put(0, &mark[0], 1);
	put(1, rig.big, BIG); /* EMSGSIZE */
	put(2, &mark[1], 1);
	put(3, &mark[2], 1);
	rig.runs[3].path = &nowhere; /* EINVAL */
	put(4, rig.big, BIG);
	put(5, &mark[3], 1);
	CHECK_EQ(sl_udp_send(&rig.a, rig.bufs, rig.runs, 6), 3);
	for (int i = 0; i < 6; i++)
		CHECK(!rig.runs[i].refused);
	while (got < 3)
		for (int n = recv_b(sl_now_us(), &last_us), i = 0; i < n; i++, got++)
			CHECK_EQ(rig.in[i].data[0], got == 0 ? 0 : got == 1 ? 1 : 3);
}

/* Segments above the path's limit are refused as a run, and go as fragments one by one. */
TEST(udp_run_that_the_system_refuses_goes_singly_and_says_so)
{
	enum { COUNT = 3, LEN = 1500 };
	int64_t last_us = 0;
	int got = 0;

	start_v4(true, false);
	DEFER(rig_end, &rig);
	for (int i = 0; i < COUNT; i++)
		put(i, rig.big, LEN);
	rig.runs[0].count = COUNT;
	put(COUNT, "x", 1);
	rig.runs[1] = rig.runs[COUNT];
	DEFER(fake_end, &fake);
	fake_start(5);
	fake.refuses[1] = true;
	rig.to_b.remote.port = 1;
	CHECK_EQ(sl_udp_send(&rig.a, rig.bufs, rig.runs, 2), COUNT + 1);
	CHECK(rig.runs[0].refused && !rig.runs[1].refused);
	CHECK_EQ(fake.count[1], COUNT + 1);
	CHECK_EQ(fake.wire[1][COUNT], 'x');
	fake.on = false;
	rig.to_b.remote = rig.b.local;
	CHECK_EQ(sl_udp_send(&rig.a, rig.bufs, rig.runs, 2), COUNT + 1);
	while (got < COUNT + 1)
		got += recv_b(sl_now_us(), &last_us);
}

/* Whatever is refused, each destination gets all of its datagrams, once, in order; where the system
 * had no room, what came before, and what was not sent is counted. */
static void any_refusal(uint64_t seed, bool may_be_full)
{
	struct sl_path paths[8];
	uint8_t marks[WIRE];
	int runs = 0;
	int pkts = 0;
	int sent;
	int came = 0;

	fake_start(seed);
	rig.a.gso = upto(4) > 0;
	for (unsigned d = 0; d < 8; d++) {
		paths[d] = (struct sl_path){.remote = sl_addr_v4(127, 0, 0, 1, (uint16_t)(d + 1))};
		fake.refuses[d + 1] = upto(2);
	}
	while (runs < SL_BATCH && pkts < SL_BATCH && upto(40) > 0) {
		struct sl_run *run = &rig.runs[runs++];
		int count = 1 + (int)upto((uint32_t)SL_MIN(SL_RUN_PKTS, SL_BATCH - pkts));

		*run = (struct sl_run){
			.path = &paths[upto(8)], .pkts = &rig.pkts[pkts], .count = count};
		for (int i = 0; i < count; i++, pkts++) {
			marks[pkts] = (uint8_t)pkts;
			rig.pkts[pkts] = (struct iovec){.iov_base = &marks[pkts],
							.iov_len = i < count - 1 ? 100 : 60};
		}
	}
	fake.full_in = may_be_full ? 30 : 0;
	sent = sl_udp_send(&rig.a, rig.bufs, rig.runs, runs);
	for (unsigned d = 1; d <= 8; d++) {
		came += fake.count[d];
		for (int i = 1; i < fake.count[d]; i++)
			CHECK(fake.wire[d][i] > fake.wire[d][i - 1]);
	}
	CHECK_EQ(sent, came);
	CHECK(fake.was_full || sent == pkts);
	for (int i = 0; i < runs && !fake.was_full; i++)
		CHECK_EQ(rig.runs[i].refused, rig.a.gso && rig.runs[i].count > 1 &&
						      fake.refuses[rig.runs[i].path->remote.port]);
	fake.on = false;
}

TEST(udp_loses_nothing_whichever_runs_are_refused)
{
	start_v4(true, false);
	DEFER(rig_end, &rig);
	DEFER(fake_end, &fake);
	for (uint64_t seed = 0; seed < 2000; seed++)
		any_refusal(seed, seed % 2);
}

TEST(udp_without_gso_asks_for_none)
{
	start_v4(false, false);
	DEFER(rig_end, &rig);
	CHECK(!rig.a.gso && !rig.a.gro);
}

TEST(udp_speaks_ipv6_where_there_is_any)
{
	struct sl_addr local;
	int64_t last_us = 0;

	CHECK_EQ(sl_addr_parse_ip(SL_STR("::1"), &local), SL_OK);
	if (rig_start(&local, true, true) == SL_EIO) {
		rig_end(&rig);
		sl_test_skip("this machine has no IPv6");
	}
	DEFER(rig_end, &rig);
	if (!rig.bufs)
		sl_test_oom_stop();
	put(0, "six", 3);
	put(1, "six", 3);
	rig.runs[0].count = 2;
	CHECK_EQ(sl_udp_send(&rig.a, rig.bufs, rig.runs, 1), 2);
	for (int got = 0; got < 2;)
		for (int n = recv_b(sl_now_us(), &last_us), i = 0; i < n; i++, got++) {
			CHECK(sl_addr_eq(&rig.in[i].path.remote, &rig.a.local));
			CHECK_EQ(rig.in[i].len, 3);
			CHECK_BYTES(rig.in[i].data, "six", 3);
		}
}

/* The octet that the next datagram came with; its length in *len. */
static int octet_of_next(size_t *len)
{
	struct pollfd p = {.fd = rig.b.fd, .events = POLLIN};
	_Alignas(16) uint8_t control[256];
	uint8_t data[2048];
	struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
	struct msghdr h = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	ssize_t n;

	CHECK_EQ(poll(&p, 1, DEADLINE_MS), 1);
	n = recvmsg(rig.b.fd, &h, 0);
	CHECK(n >= 0);
	*len = (size_t)n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
		int octet = 0;

		if ((c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_TOS) &&
		    (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_TCLASS))
			continue;
		memcpy(&octet, CMSG_DATA(c), c->cmsg_level == IPPROTO_IP ? 1 : sizeof(octet));
		return octet;
	}
	return -1;
}

/* One marked, three as one run marked otherwise, one unmarked: each keeps its own. */
static void check_marks(const struct sl_addr *local, bool gso)
{
	static const int want[] = {46 << 2, 10 << 2, 10 << 2, 10 << 2, 0};
	static const uint8_t data[100];
	size_t len;
	int on = 1;

	if (rig_start(local, gso, false) == SL_EIO && local->family == 6) {
		rig_end(&rig);
		sl_test_skip("this machine has no IPv6");
	}
	DEFER(rig_end, &rig);
	if (!rig.bufs)
		sl_test_oom_stop();
	setsockopt(rig.b.fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
	setsockopt(rig.b.fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof(on));
	for (int i = 0; i < 5; i++)
		put(i, data, sizeof(data) - (size_t)i);
	rig.pkts[2].iov_len = rig.pkts[1].iov_len;
	rig.runs[0].tos = 46 << 2;
	rig.runs[1].tos = 10 << 2;
	rig.runs[1].count = 3;
	rig.runs[2] = rig.runs[4];
	CHECK_EQ(sl_udp_send(&rig.a, rig.bufs, rig.runs, 3), 5);
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(octet_of_next(&len), want[i]);
		CHECK_EQ(len, rig.pkts[i].iov_len);
	}
}

TEST(udp_datagrams_carry_the_mark_of_their_run)
{
	struct sl_addr v4 = sl_addr_v4(127, 0, 0, 1, 0);

	check_marks(&v4, true);
}

TEST(udp_datagrams_carry_the_mark_of_their_run_without_gso)
{
	struct sl_addr v4 = sl_addr_v4(127, 0, 0, 1, 0);

	check_marks(&v4, false);
}

TEST(udp_datagrams_carry_the_mark_of_their_run_over_ipv6)
{
	struct sl_addr v6;

	CHECK_EQ(sl_addr_parse_ip(SL_STR("::1"), &v6), SL_OK);
	check_marks(&v6, true);
}

TEST(udp_port_in_use_says_which_and_what_to_set)
{
	struct sl_core_why why = {{0}};
	struct sl_udp third;
	char text[SL_ADDR_TEXT];

	start_v4(true, true);
	DEFER(rig_end, &rig);
	CHECK_EQ(sl_udp_open(&third, &rig.a.local, true, true, &why), SL_EIO);
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
