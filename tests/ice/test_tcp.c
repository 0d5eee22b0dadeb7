/* SPDX-License-Identifier: Apache-2.0
 * tests/ice/test_tcp.c — candidates over TCP (RFC 6544), sockets that end, and the budget that all
 * agents of a loop share. */
#include "tests/ice/ice_rig.h"

enum { STREAM = 77, RELAY = 99 };

static struct rig rig;

static struct sl_ice_cand local_tcp(enum sl_tcp_type tcp)
{
	return (struct sl_ice_cand){
		.addr = sl_addr_v4(192, 0, 2, 1, tcp == SL_CAND_TCP_PASSIVE ? 5000 : 9),
		.priority = sl_ice_tcp_priority(SL_ICE_HOST, tcp, 8191),
		.foundation = "t",
		.tcp = tcp,
	};
}

static void start(bool lite, bool controlling)
{
	struct sl_ice_cand passive = local_tcp(SL_CAND_TCP_PASSIVE);
	struct sl_ice_cand active = local_tcp(SL_CAND_TCP_ACTIVE);

	TRY(rig_init(&rig, lite, controlling, false));
	DEFER(sl_ice_fini, &rig.ice);
	TRY(sl_ice_add_local(&rig.ice, &passive, rig.now_us));
	if (!lite)
		TRY(sl_ice_add_local(&rig.ice, &active, rig.now_us));
}

static int add_tcp(enum sl_tcp_type tcp, uint8_t last, uint16_t port)
{
	struct sl_ice_cand c = {.addr = sl_addr_v4(198, 51, 100, last, port),
				.priority = sl_ice_tcp_priority(SL_ICE_HOST, tcp, 8191),
				.foundation = "x",
				.tcp = tcp};

	return sl_ice_add_remote(&rig.ice, &c, rig.now_us);
}

static struct sl_path tcp_path(uint8_t last, uint16_t port, uint32_t sock)
{
	struct sl_path p = rig_path(last, port);

	p.sock = sock;
	p.remote.tcp = 1;
	return p;
}

static size_t pairs(void)
{
	return sl_ice_pairs(&rig.ice, NULL, 0);
}

TEST(tcp_priorities_are_those_of_rfc_6544_and_below_every_direct_way_over_udp)
{
	uint32_t active = sl_ice_tcp_priority(SL_ICE_HOST, SL_CAND_TCP_ACTIVE, 8191);
	uint32_t passive = sl_ice_tcp_priority(SL_ICE_HOST, SL_CAND_TCP_PASSIVE, 8191);

	CHECK_EQ(active, 90u << 24 | ((6u << 13) + 8191) << 8 | 255);
	CHECK_EQ(passive, 90u << 24 | ((4u << 13) + 8191) << 8 | 255);
	CHECK(sl_ice_tcp_priority(SL_ICE_SRFLX, SL_CAND_TCP_SO, 0) >
	      sl_ice_tcp_priority(SL_ICE_SRFLX, SL_CAND_TCP_ACTIVE, 8191));
	CHECK(active < sl_ice_priority(SL_ICE_SRFLX, 0));
	CHECK(passive > sl_ice_priority(SL_ICE_RELAY, 65535));
}

TEST(tcp_candidates_pair_active_with_passive_and_never_with_udp)
{
	start(false, true);
	CHECK_EQ(add_tcp(SL_CAND_TCP_ACTIVE, 7, 9), SL_EUNSUPPORTED);
	CHECK_EQ(add_tcp(SL_CAND_TCP_SO, 7, 6000), SL_EUNSUPPORTED);
	CHECK_EQ(pairs(), 0);
	CHECK_EQ(add_tcp(SL_CAND_TCP_PASSIVE, 7, 6000), SL_OK);
	CHECK_EQ(pairs(), 1);
	CHECK_EQ(rig_add_remote(&rig, sl_addr_v4(198, 51, 100, 7, 6000), 1000, 'a'), SL_OK);
	CHECK_EQ(pairs(), 2);
}

TEST(tcp_lite_agents_connect_to_nobody)
{
	start(true, false);
	CHECK_EQ(add_tcp(SL_CAND_TCP_PASSIVE, 7, 6000), SL_EUNSUPPORTED);
	CHECK_EQ(pairs(), 0);
}

TEST(tcp_checks_go_by_the_stream_that_was_opened_and_are_not_repeated)
{
	struct sl_path path = tcp_path(7, 6000, 0);

	start(false, true);
	TRY(add_tcp(SL_CAND_TCP_PASSIVE, 7, 6000));
	rig_wait(&rig, 10 * SL_MS);
	CHECK_EQ(rig.requests, 1);
	CHECK(sl_path_eq(&rig.out_path, &path));
	sl_ice_rebase(&rig.ice, &path, STREAM);
	path.sock = rig.out_path.sock = STREAM;
	rig_wait(&rig, 20 * SL_SEC);
	CHECK_EQ(rig.requests, 1);
	CHECK_EQ(rig_respond(&rig), SL_OK);
	CHECK(sl_ice_is_valid(&rig.ice, &path));
	rig_wait(&rig, 2 * SL_SEC);
	CHECK_EQ(rig.requests, 2); /* the nomination */
	CHECK_EQ(rig_respond(&rig), SL_OK);
	CHECK(rig_uses(&rig, &path));
}

TEST(tcp_pair_without_a_stream_has_failed)
{
	struct sl_path path = tcp_path(7, 6000, 0);

	start(false, true);
	TRY(add_tcp(SL_CAND_TCP_PASSIVE, 7, 6000));
	rig_wait(&rig, 10 * SL_MS);
	CHECK_EQ(rig.requests, 1);
	sl_ice_path_lost(&rig.ice, &path, rig.now_us);
	rig_wait(&rig, 10 * SL_SEC);
	CHECK_EQ(rig.requests, 1);
	CHECK(!sl_ice_path(&rig.ice));
}

TEST(tcp_waits_for_udp_to_work_and_udp_is_nominated)
{
	struct sl_path udp = rig_path(7, 6000);
	struct sl_path tcp = tcp_path(7, 6000, STREAM);
	struct sl_path nominal = tcp_path(7, 6000, 0);

	start(false, true);
	TRY(add_tcp(SL_CAND_TCP_PASSIVE, 7, 6000));
	rig_wait(&rig, 60 * SL_MS);
	CHECK(sl_path_eq(&rig.out_path, &nominal));
	TRY(rig_add_remote(&rig, udp.remote, sl_ice_priority(SL_ICE_HOST, 65535), 'a'));
	sl_ice_rebase(&rig.ice, &nominal, STREAM);
	rig.out_path.sock = STREAM;
	CHECK_EQ(rig_respond(&rig), SL_OK);
	CHECK(sl_ice_is_valid(&rig.ice, &tcp));
	rig_wait(&rig, SL_SEC);
	CHECK(!sl_ice_path(&rig.ice));
	CHECK(sl_path_eq(&rig.out_path, &udp));
	CHECK_EQ(rig_respond(&rig), SL_OK);
	rig_wait(&rig, 100 * SL_MS);
	CHECK(sl_path_eq(&rig.out_path, &udp) && rig.last.has & STUN_USE_CANDIDATE);
	CHECK_EQ(rig_respond(&rig), SL_OK);
	CHECK(rig_uses(&rig, &udp));
}

TEST(tcp_connections_of_the_peer_are_paths_of_their_own)
{
	struct sl_path a = tcp_path(7, 40000, STREAM);
	struct sl_path b = tcp_path(7, 40001, STREAM + 1);
	struct sl_ice_pair_info info[2];

	start(true, false);
	CHECK_EQ(rig_check(&rig, &a, true, 1000), SL_OK);
	CHECK(rig_uses(&rig, &a));
	CHECK_EQ(sl_ice_pairs(&rig.ice, info, 2), 1);
	CHECK(info[0].local.tcp && info[0].local.port == 5000);
	CHECK_EQ(rig_check(&rig, &b, false, 1000), SL_OK);
	CHECK(rig_uses(&rig, &a));
	sl_ice_sock_lost(&rig.ice, STREAM, rig.now_us);
	CHECK(rig_uses(&rig, &b) && !sl_ice_is_valid(&rig.ice, &a));
	sl_ice_sock_lost(&rig.ice, STREAM + 1, rig.now_us);
	CHECK(!sl_ice_path(&rig.ice));
	b.sock = STREAM + 2;
	b.remote.port++;
	CHECK_EQ(rig_check(&rig, &b, true, 1000), SL_OK); /* it connects again */
	CHECK(rig_uses(&rig, &b));
}

TEST(udp_in_use_is_not_left_for_tcp)
{
	struct sl_path udp = rig_path(7, 6000);
	struct sl_path tcp = tcp_path(7, 40000, STREAM);

	start(true, false);
	CHECK_EQ(rig_check(&rig, &udp, true, sl_ice_priority(SL_ICE_PRFLX, 0)), SL_OK);
	CHECK_EQ(rig_check(&rig, &tcp, true,
			   sl_ice_tcp_priority(SL_ICE_PRFLX, SL_CAND_TCP_ACTIVE, 0)),
		 SL_OK);
	CHECK(rig_uses(&rig, &udp));
}

TEST(a_relay_that_is_lost_takes_its_pairs_along_and_gets_no_new_ones)
{
	struct sl_ice_cand relay = {.addr = sl_addr_v4(203, 0, 113, 5, 50000),
				    .priority = sl_ice_priority(SL_ICE_RELAY, 1),
				    .sock = RELAY,
				    .type = SL_ICE_RELAY,
				    .foundation = "r"};

	start(false, true);
	TRY(sl_ice_add_local(&rig.ice, &relay, rig.now_us));
	TRY(rig_add_remote(&rig, sl_addr_v4(198, 51, 100, 7, 6000), 1000, 'a'));
	CHECK_EQ(pairs(), 2);
	sl_ice_sock_lost(&rig.ice, RELAY, rig.now_us);
	CHECK_EQ(pairs(), 1);
	TRY(rig_add_remote(&rig, sl_addr_v4(198, 51, 100, 8, 6000), 1000, 'b'));
	CHECK_EQ(pairs(), 2);
	rig_wait(&rig, 3 * SL_SEC);
	CHECK(rig.requests > 0);
	for (size_t i = 0; i < rig.ice.pairs_high; i++)
		CHECK(rig.ice.pairs[i].path.sock != RELAY || rig.ice.pairs[i].checks_sent == 0);
}

TEST(relays_that_come_and_go_do_not_use_up_the_room_for_candidates)
{
	struct sl_ice_cand relay = {
		.addr = sl_addr_v4(203, 0, 113, 5, 50000), .type = SL_ICE_RELAY, .foundation = "r"};

	start(false, true);
	TRY(rig_add_remote(&rig, sl_addr_v4(198, 51, 100, 7, 6000), 1000, 'a'));
	for (uint32_t i = 0; i < 3 * SL_ICE_LOCAL_MAX; i++) {
		relay.sock = RELAY + i;
		relay.addr.port++;
		TRY(sl_ice_add_local(&rig.ice, &relay, rig.now_us));
		CHECK_EQ(pairs(), 2);
		sl_ice_sock_lost(&rig.ice, relay.sock, rig.now_us);
	}
}

/* ---- T07 ---- */

enum { AGENTS = 30, CANDS = 40, PER_SECOND = 100, SECONDS = 4 };

static struct many {
	struct sl_ice ice[AGENTS];
	struct sl_stats stats;
	struct sl_test_rng seed;
	struct sl_rng rng;
	struct sl_ice_budget budget;
	unsigned sent[SECONDS * 1000]; /* by millisecond */
} many;

static void end_many(struct many *m)
{
	for (int i = 0; i < AGENTS; i++)
		sl_ice_fini(&m->ice[i]);
}

static void start_many(uint32_t per_second)
{
	struct sl_ice_cand local = {.addr = sl_addr_v4(192, 0, 2, 1, 5000), .priority = 1};
	struct sl_ice_conf conf = {.controlling = true,
				   .timeout_us = 15 * SL_SEC,
				   .local = &local,
				   .local_count = 1,
				   .rng = &many.rng,
				   .stats = &many.stats,
				   .budget = per_second ? &many.budget : NULL};

	memset(&many, 0, sizeof(many));
	DEFER(end_many, &many);
	many.rng = sl_test_rng(&many.seed, 7);
	many.budget.per_second = per_second;
	for (int i = 0; i < AGENTS; i++) {
		TRY(sl_ice_init(&many.ice[i], &conf, 0));
		TRY(sl_ice_set_remote(&many.ice[i], SL_STR(RIG_UFRAG), SL_STR(RIG_PWD), 0));
		for (uint16_t k = 0; k < CANDS; k++) {
			struct sl_ice_cand c = {
				.addr = sl_addr_v4(198, 51, 100, 7, (uint16_t)(1000 + k)),
				.priority = 1};

			(void)sl_fmt(c.foundation, sizeof(c.foundation), "%u", k);
			TRY(sl_ice_add_remote(&many.ice[i], &c, 0));
		}
	}
}

/* The most that agents `from` to before `to` sent in any second. */
static unsigned run_many(int from, int to)
{
	struct sl_dgram d;
	unsigned sum = 0;
	unsigned most = 0;

	for (int ms = 0; ms < SECONDS * 1000; ms++) {
		for (int i = from; i < to; i++) {
			sl_ice_tick(&many.ice[i], ms * SL_MS);
			while (sl_ice_pull(&many.ice[i], &d))
				many.sent[ms]++;
		}
		sum += many.sent[ms] - (ms >= 1000 ? many.sent[ms - 1000] : 0);
		most = SL_MAX(most, sum);
	}
	if (sl_test_oom_fired())
		sl_test_oom_stop();
	return most;
}

TEST(t07_an_agent_sends_at_most_20_checks_a_second)
{
	unsigned most;

	start_many(0);
	most = run_many(0, 1);
	CHECK(most > 15 && most <= 20);
}

TEST(t07_all_agents_of_a_loop_together_send_no_more_than_their_budget)
{
	unsigned most;

	start_many(PER_SECOND);
	most = run_many(0, AGENTS);
	CHECK(most > PER_SECOND * 8 / 10 && most <= PER_SECOND);
	for (int i = 0; i < AGENTS; i++)
		CHECK(many.ice[i].pairs[0].checks_sent > 0); /* nobody is left out */
}
