/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/join_client.h"

/* The next look at the counters, two seconds after the last. */
static void look(uint64_t packets0, uint64_t packets1)
{
	sl_stat_add(&rig.core.stats[0], SL_STAT_rx_packets, packets0 / 2);
	sl_stat_add(&rig.core.stats[0], SL_STAT_tx_packets, packets0 - packets0 / 2);
	sl_stat_add(&rig.core.stats[1], SL_STAT_tx_packets, packets1);
	rig.api->spread.at_us = api_now_us(rig.api) - 2 * SL_SEC;
	api_spread_tick(rig.api);
}

/* How many of the next n go to loop 1. */
static unsigned to_loop_1(unsigned n)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += api_pick_loop(rig.api);
	return sum;
}

TEST(fifty_joins_at_once_are_halved)
{
	RIG();
	CHECK_EQ(to_loop_1(50), 25);
}

TEST(a_loop_with_more_packets_gets_fewer_sessions)
{
	char where[64], tag[64];
	unsigned n;

	RIG();
	for (int i = 0; i < 4; i++)
		publish("/whip/studio", where, tag);
	STOP_AFTER_OOM();
	look(0, 0);
	look(4000, 0);
	CHECK(api_loop_load(rig.api, 0) > 1900 && api_loop_load(rig.api, 0) < 2100);
	CHECK(api_loop_load(rig.api, 1) < 100);
	/* Nobody knows yet what they will send: a burst does not all go to the idle one. */
	n = to_loop_1(40);
	CHECK(n > 20 && n < 30);
	/* They send: the loops are even now, and so are those who come. */
	look(4000, 4000);
	look(4000, 4000);
	look(4000, 4000);
	CHECK_EQ(to_loop_1(20), 10);
}

TEST(what_a_loop_did_long_ago_does_not_count)
{
	RIG();
	api_spread_tick(rig.api);
	look(100000, 0);
	look(0, 2000);
	CHECK_EQ(api_loop_load(rig.api, 0), 0);
	CHECK_EQ(api_pick_loop(rig.api), 0);
}

TEST(a_loop_that_cannot_keep_up_comes_last_and_all_of_them_are_503)
{
	RIG();
	rig.core.busy[0] = true;
	CHECK_EQ(to_loop_1(20), 20);
	CHECK(!api_overload(rig.api));
	rig.core.busy[1] = true;
	CHECK_EQ(ask("POST", "/whip/studio", SDP_HEADERS, offer("sendonly", 1, 1))->status, 503);
	rig.core.busy[0] = false;
	CHECK_EQ(to_loop_1(20), 0);
	CHECK_EQ(ask("POST", "/whip/studio", SDP_HEADERS, offer("sendonly", 1, 1))->status, 201);
}

TEST(quiet_transports_count_too)
{
	char where[64], tag[64];

	RIG();
	publish("/whip/studio?participant=ann", where, tag);
	CHECK_EQ(rig.core.t[0].loop, 0);
	look(0, 0);
	look(0, 0);
	CHECK(api_loop_load(rig.api, 0) > api_loop_load(rig.api, 1));
	publish("/whip/studio?participant=bob", where, tag);
	CHECK_EQ(rig.core.t[1].loop, 1);
	CHECK_EQ(api_spread_wait_us(rig.api) <= 2 * SL_SEC, 1);
}

TEST(the_people_of_a_room_are_on_different_loops_and_meet)
{
	struct peer *p[4];

	JOIN_RIG();
	for (size_t i = 0; i < 4; i++) {
		char name[8];

		CHECK(sl_fmt(name, sizeof(name), "p%zu", i));
		p[i] = join_as(i, name);
		offered(p[i]);
		CHECK(strstr(p[i]->sdp,
			     session_of(p[i])->loop ? " 10001 typ host" : " 10000 typ host"));
		answer_offer(p[i], NULL);
		publish_av(p[i], NULL);
	}
	settle_all();
	CHECK_EQ(transport_of(p[0])->loop + transport_of(p[1])->loop, 1);
	CHECK_EQ(transport_of(p[2])->loop + transport_of(p[3])->loop, 1);
	/* Who is on a slot, whichever loop its publisher has. */
	for (size_t i = 0; i < 2; i++) {
		uint64_t slot = fake_core_track(&rig.core, transport_of(p[i]), "1")->id;

		CHECK_EQ(fake_core_route(&rig.core, slot),
			 fake_core_track(&rig.core, transport_of(p[1 - i]), "5")->id);
	}
}
