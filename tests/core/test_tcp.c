/* SPDX-License-Identifier: Apache-2.0
 * tests/core/test_tcp.c — streams of a loop on loopback: frames, back-pressure, ends, and
 * connections that come by themselves. */
#include "tests/core/loop_rig.h"
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEADLINE_MS = 60000, LONG = 1000, MANY = 20000, CROWD = 300 };

static struct other {
	int fd; /* the other side of a stream */
	int listener;
	struct sl_addr addr; /* of the listener */
	struct sl_ice ice;
	struct sl_stats stats;
	struct sl_frame frame;
	int crowd[CROWD];
} other;

static void other_end(struct other *o)
{
	if (o->fd > 0)
		close(o->fd);
	if (o->listener > 0)
		close(o->listener);
	for (int i = 0; i < CROWD; i++)
		if (o->crowd[i] > 0)
			close(o->crowd[i]);
	sl_ice_fini(&o->ice);
	memset(o, 0, sizeof(*o));
}

static void start(bool tcp, int64_t stranger_us)
{
	struct sockaddr_storage sa;
	socklen_t len = sl_addr_to_sockaddr(&loop_rig_addr, &sa);

	loop_rig_start(1000, tcp, stranger_us);
	DEFER(other_end, &other);
	other.listener = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(other.listener, (struct sockaddr *)&sa, len) == 0 &&
	      listen(other.listener, 8) == 0);
	len = sizeof(sa);
	CHECK(getsockname(other.listener, (struct sockaddr *)&sa, &len) == 0);
	CHECK_EQ(sl_addr_from_sockaddr((struct sockaddr *)&sa, &other.addr), SL_OK);
}

static struct sl_path open_stream(struct sl_transport *t)
{
	struct sl_addr local;
	struct sl_path path = {.remote = other.addr};
	struct sl_stream_to to = {.bind = loop_rig_addr, .remote = other.addr};
	int number = sl_sock_stream(t, &to, &local);

	TRY(number);
	path.remote.tcp = 1;
	path.sock = (uint32_t)number;
	CHECK(path.sock & SL_SOCK_STREAM);
	other.fd = accept(other.listener, NULL, NULL);
	CHECK(other.fd > 0);
	return path;
}

static void turn(void)
{
	uv_run(&loop_rig.loop->uv, UV_RUN_ONCE);
}

/* What it was meant for may have been turned away for want of memory. */
static void say(const void *data, size_t len)
{
	ssize_t did = send(other.fd, data, len, MSG_NOSIGNAL);

	if (did < 0 && sl_test_oom_fired())
		sl_test_oom_stop();
	CHECK_EQ(did, len);
}

/* Turns of the loop until something has come for the other side. */
static void wait_readable(void)
{
	int64_t end_us = sl_now_us() + DEADLINE_MS * SL_MS;
	struct pollfd p = {.fd = other.fd, .events = POLLIN};

	do {
		uv_run(&loop_rig.loop->uv, UV_RUN_NOWAIT);
		if (sl_test_oom_fired())
			sl_test_oom_stop(); /* it may never come */
		CHECK(sl_now_us() < end_us);
	} while (poll(&p, 1, 1) != 1);
}

static void read_exactly(void *out, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t got;

		wait_readable();
		got = recv(other.fd, (uint8_t *)out + at, n - at, 0);
		CHECK(got > 0);
		at += (size_t)got;
	}
}

static size_t read_frame(uint8_t *out)
{
	uint8_t head[2];

	read_exactly(head, 2);
	read_exactly(out, sl_get16(head));
	return sl_get16(head);
}

TEST(a_stream_carries_datagrams_both_ways_in_frames)
{
	static const uint8_t twice[] = {0, 8, 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 8, 0, 1, 0};
	uint8_t got[100];
	struct sl_transport *t;
	struct sl_path path;

	start(false, 0);
	t = loop_rig_transport();
	path = open_stream(t);
	sl_send_plain(loop_rig.e, &path, (const uint8_t *)"before it is connected", 22);
	if (sl_test_oom_fired())
		sl_test_oom_stop(); /* it could not wait */
	turn();
	sl_send_plain(loop_rig.e, &path, (const uint8_t *)"after", 5);
	CHECK_EQ(read_frame(got), 22);
	CHECK_BYTES(got, "before", 6);
	CHECK_EQ(read_frame(got), 5);
	say(twice, sizeof(twice));
	loop_rig_until(1);
	CHECK_EQ(sl_stat_get(&loop_rig.e->stats, SL_STAT_demux_truncated), 1);
	say(twice, 5);
	loop_rig_until(2);
}

TEST(a_stream_that_is_not_read_holds_little_back_and_drops_whole_datagrams)
{
	static uint8_t bytes[LONG];
	static uint8_t got[LONG];
	struct sl_transport *t;
	struct sl_path path;
	uint64_t dropped;
	uint32_t last = 0;

	start(false, 0);
	t = loop_rig_transport();
	path = open_stream(t);
	for (uint32_t i = 1; i <= MANY; i++) {
		sl_put32(bytes, i);
		sl_send_plain(loop_rig.e, &path, bytes, LONG);
	}
	dropped = sl_stat_get(&loop_rig.e->stats, SL_STAT_tx_dropped);
	if (sl_test_oom_fired())
		sl_test_oom_stop(); /* nothing could wait */
	CHECK(dropped > 0 && dropped < MANY);
	for (uint64_t i = 0; i < MANY - dropped; i++) {
		CHECK_EQ(read_frame(got), LONG);
		CHECK(sl_get32(got) > last);
		last = sl_get32(got);
	}
	sl_send_plain(loop_rig.e, &path, bytes, LONG);
	CHECK_EQ(read_frame(got), LONG);
	CHECK_EQ(sl_get32(got), MANY);
}

TEST(a_stream_that_ends_is_closed_and_no_way_to_the_peer_any_more)
{
	static const uint8_t too_long[] = {0xff, 0xff, 1};
	struct sl_transport *t;

	start(false, 0);
	t = loop_rig_transport();
	for (int i = 0; i < 3; i++) {
		open_stream(t);
		CHECK_EQ(t->sock_count, 1);
		if (i == 0)
			shutdown(other.fd, SHUT_WR);
		if (i == 1)
			say(too_long, sizeof(too_long));
		if (i == 2)
			setsockopt(other.fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
				   sizeof(struct linger));
		if (i == 2) {
			close(other.fd);
			other.fd = 0;
		}
		while (t->sock_count > 0)
			turn();
		CHECK_EQ(loop_rig.loop->socks.count, 0);
		if (other.fd)
			close(other.fd);
		other.fd = 0;
	}
}

TEST(a_stream_to_where_nobody_listens_ends)
{
	struct sl_transport *t;
	struct sl_addr local;
	int number;

	start(false, 0);
	t = loop_rig_transport();
	close(other.listener);
	other.listener = 0;
	number = sl_sock_stream(
		t, &(struct sl_stream_to){.remote = other.addr, .framing = SL_FRAMING_TURN},
		&local);
	if (number != SL_EIO) /* at once, or soon */
		TRY(number);
	while (t->sock_count > 0)
		turn();
}

/* ---- connections that come by themselves ---- */

static int knock(void)
{
	struct sockaddr_storage sa;
	socklen_t len = sl_addr_to_sockaddr(&loop_rig.loop->sockets[0].udp.local, &sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(fd > 0);
	if (connect(fd, (struct sockaddr *)&sa, len) < 0)
		CHECK_EQ(errno, ECONNREFUSED); /* its port was taken */
	return fd;
}

/* Turns until the loop has closed it. */
static void wait_closed(int fd)
{
	uint8_t byte;

	for (;;) {
		ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return;
		turn();
	}
}

TEST(t07_a_connection_that_does_not_begin_with_a_check_of_ours_is_closed)
{
	static const struct {
		uint8_t n, bytes[24];
	} rows[] = {
		{3, {0, 1, 'x'}},
		{16, {0, 14, 22, 0xfe, 0xfd}},			   /* DTLS */
		{16, {0, 14, 0x80, 96}},			   /* RTP */
		{22, {0, 20, 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}}, /* a check without a name */
		{22, {0, 20, 1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}}, /* an answer */
	};

	start(true, 3600 * SL_SEC);
	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		other.fd = knock();
		say(rows[i].bytes, rows[i].n);
		wait_closed(other.fd);
		close(other.fd);
		other.fd = 0;
		CHECK_EQ(loop_rig.loop->stranger_count, 0);
	}
}

TEST(t07_a_connection_that_says_nothing_is_closed_after_its_time)
{
	start(true, 20 * SL_MS);
	other.fd = knock();
	say("\0", 1);
	wait_closed(other.fd);
	CHECK_EQ(loop_rig.loop->stranger_count, 0);
	CHECK_EQ(loop_rig.loop->socks.count, 0);
}

TEST(t07_of_too_many_silent_connections_the_oldest_go)
{
	start(true, 3600 * SL_SEC);
	for (int i = 0; i < CROWD; i++) {
		other.crowd[i] = knock();
		uv_run(&loop_rig.loop->uv, UV_RUN_NOWAIT);
	}
	wait_closed(other.crowd[0]);
	CHECK(loop_rig.loop->stranger_count > 0 && loop_rig.loop->stranger_count < CROWD);
	CHECK_EQ(recv(other.crowd[CROWD - 1], &(char){0}, 1, MSG_DONTWAIT), -1);
}

static void send_framed(const uint8_t *data, size_t len)
{
	uint8_t buf[SL_ICE_OUT_BYTES + 2];

	sl_put16(buf, (uint16_t)len);
	memcpy(buf + 2, data, len);
	say(buf, len + 2);
}

/* The peer: a full agent that connects. */
static int start_peer(struct sl_transport *t)
{
	struct sl_ice_cand local = {.addr = loop_rig_addr, .tcp = SL_CAND_TCP_ACTIVE};
	struct sl_ice_cand remote = {.addr = loop_rig.loop->sockets[0].udp.local,
				     .tcp = SL_CAND_TCP_PASSIVE};
	struct sl_ice_conf conf = {.controlling = true,
				   .allow_loopback = true,
				   .timeout_us = 15 * SL_SEC,
				   .local = &local,
				   .local_count = 1,
				   .rng = &loop_rig.loop->rng,
				   .stats = &other.stats};
	const struct sl_ice_creds *c = sl_ice_local_creds(&t->ice);
	int err = sl_ice_init(&other.ice, &conf, 0);

	if (!err)
		err = sl_ice_set_remote(&other.ice, sl_str_z(c->ufrag), sl_str_z(c->pwd), 0);
	if (!err)
		err = sl_ice_add_remote(&other.ice, &remote, 0);
	c = sl_ice_local_creds(&other.ice);
	return err ? err
		   : sl_ice_set_remote(&t->ice, sl_str_z(c->ufrag), sl_str_z(c->pwd), sl_now_us());
}

static void peer_turn(int64_t now_us)
{
	uint8_t got[2048];
	struct sl_dgram d;
	struct sl_dgram in = {.data = got};

	sl_ice_tick(&other.ice, now_us);
	while (sl_ice_pull(&other.ice, &d)) {
		CHECK(d.path.remote.tcp);
		in.path = d.path;
		send_framed(d.data, d.len);
		in.len = read_frame(got);
		CHECK(in.len > 20);
		(void)sl_ice_recv(&other.ice, &in, now_us);
	}
}

TEST(a_connection_belongs_to_whom_an_authentic_check_names)
{
	struct sl_transport *t;
	struct sl_transport *b;
	const struct sl_path *path;

	start(true, 3600 * SL_SEC);
	t = loop_rig_transport();
	b = loop_rig_transport();
	TRY(start_peer(t));
	other.fd = knock();
	for (int i = 0; i < 80 && !sl_ice_path(&t->ice); i++)
		peer_turn(i * 50 * SL_MS);
	if (sl_test_oom_fired())
		sl_test_oom_stop();
	path = sl_ice_path(&t->ice);
	CHECK(path && path->remote.tcp && path->sock & SL_SOCK_STREAM);
	CHECK(!sl_ice_path(&b->ice));
	CHECK_EQ(loop_rig.loop->stranger_count, 0);
	CHECK_EQ(t->sock_count, 1);
	close(other.fd);
	other.fd = 0;
	while (t->sock_count > 0)
		turn();
	CHECK(!sl_ice_path(&t->ice));
}
