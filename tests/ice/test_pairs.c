/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/ice/ice_rig.h"

static struct rig R;

static struct sl_addr v6(const char *text)
{
	struct sl_addr a = {0};

	CHECK_EQ(sl_addr_parse_ip(sl_str_z(text), &a), SL_OK);
	a.port = 4000;
	return a;
}

TEST(t07_a_thousand_candidates_at_a_victim_cost_it_a_hundred_checks_at_twenty_a_second)
{
	int full = 0, in_second;

	TRY(rig_init(&R, false, true, false));
	for (int i = 0; i < 1000; i++) {
		int err = rig_add_remote(&R, sl_addr_v4(203, 0, 113, 80, (uint16_t)(1 + i)), 1,
					 (char)('a' + i % 20));

		full += err == SL_EFULL;
	}
	CHECK_EQ(full, 1000 - SL_ICE_REMOTE_MAX);
	rig_wait(&R, 10 * SL_MS);
	for (int s = 0; s < 200; s++) {
		in_second = rig_wait(&R, SL_SEC);
		CHECK(in_second <= 20);
	}
	CHECK(R.requests > 40 && R.requests <= 100);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_FAILED);
	CHECK(R.all_bytes <= 100 * 150);
}

TEST(t07_many_sockets_do_not_make_it_more)
{
	TRY(rig_init(&R, false, true, false));
	for (uint32_t i = 1; i < SL_ICE_LOCAL_MAX; i++) {
		struct sl_ice_cand c = {.addr = sl_addr_v4(192, 0, 2, 1, (uint16_t)(5000 + i)),
					.sock = i,
					.priority = i};

		TRY(sl_ice_add_local(&R.ice, &c, R.now_us));
	}
	for (uint16_t i = 0; i < SL_ICE_REMOTE_MAX; i++)
		TRY(rig_add_remote(&R, sl_addr_v4(203, 0, 113, 80, (uint16_t)(1 + i)), 1, 'a'));
	CHECK_EQ(sl_ice_pairs(&R.ice, NULL, 0), SL_ICE_PAIRS_MAX);
	CHECK(sl_stat_get(&R.stats, SL_STAT_ice_pairs_full) > 0);
	rig_wait(&R, 10 * SL_MS);
	for (int s = 0; s < 200; s++)
		CHECK(rig_wait(&R, SL_SEC) <= 20);
	CHECK_EQ(R.requests, 100);
}

/* Both sides of a call often have the same TURN server. */
TEST(a_peer_relayed_by_our_own_turn_server_is_checked)
{
	static struct rig r;
	struct sl_ice_cand relay = {.addr = sl_addr_v4(203, 0, 113, 5, 50000),
				    .priority = 100,
				    .sock = 7,
				    .type = SL_ICE_RELAY,
				    .foundation = "r"};

	TRY(rig_init(&r, false, true, false));
	CHECK_EQ(sl_ice_add_local(&r.ice, &relay, r.now_us), SL_OK);
	CHECK_EQ(rig_add_remote(&r, sl_addr_v4(203, 0, 113, 5, 50001), 100, 'a'), SL_OK);
	CHECK(rig_wait(&r, SL_SEC) > 0);
}

TEST(t07_loopback_link_local_and_our_own_address_are_not_checked_on_the_peers_word)
{
	struct sl_ice_cand six = {
		.addr = v6("2001:db8::1"), .sock = 1, .priority = 1, .foundation = "6"};
	struct sl_addr never[] = {
		sl_addr_v4(127, 0, 0, 1, 80),
		sl_addr_v4(127, 9, 9, 9, 80),
		sl_addr_v4(169, 254, 1, 1, 80),
		sl_addr_v4(0, 0, 0, 0, 80),
		sl_addr_v4(224, 0, 0, 1, 80),
		sl_addr_v4(255, 255, 255, 255, 80),
		sl_addr_v4(192, 0, 2, 1, 80),
		sl_addr_v4(203, 0, 113, 1, 0),
		v6("::1"),
		v6("fe80::1"),
		v6("::"),
		v6("ff02::1"),
		v6("2001:db8::1"),
	};

	TRY(rig_init(&R, false, true, false));
	TRY(sl_ice_add_local(&R.ice, &six, R.now_us));
	for (size_t i = 0; i < SL_COUNT(never); i++)
		CHECK_EQ(rig_add_remote(&R, never[i], 1, '1'), SL_EUNSUPPORTED);
	CHECK_EQ(rig_wait(&R, 5 * SL_SEC), 0);
	/* But what has shown itself is checked, wherever it is. */
	struct sl_path own = {.remote = never[0]};
	CHECK_EQ(rig_check(&R, &own, false, 1), SL_OK);
	rig_wait(&R, SL_SEC);
	CHECK(R.requests > 0);
}

TEST(loopback_is_checked_where_that_is_allowed)
{
	TRY(rig_init(&R, false, true, false));
	R.ice.allow_loopback = true;
	TRY(rig_add_remote(&R, sl_addr_v4(127, 0, 0, 1, 80), 1, '1'));
	CHECK_EQ(rig_wait(&R, 10 * SL_MS), 1);
}

TEST(a_candidate_of_a_family_that_we_do_not_have_is_refused)
{
	TRY(rig_init(&R, false, true, false));
	CHECK_EQ(rig_add_remote(&R, v6("2001:db8::2"), 1, '1'), SL_EUNSUPPORTED);
}

TEST(a_candidate_given_twice_makes_one_pair)
{
	TRY(rig_init(&R, false, true, false));
	for (int i = 0; i < 3; i++)
		TRY(rig_add_remote(&R, sl_addr_v4(203, 0, 113, 1, 80), 1, '1'));
	CHECK_EQ(sl_ice_pairs(&R.ice, NULL, 0), 1);
}

TEST(announced_addresses_that_share_a_socket_share_its_pairs)
{
	struct sl_ice_cand c = {.addr = sl_addr_v4(192, 0, 2, 99, 7000),
				.sock = 0,
				.priority = 5,
				.foundation = "9"};
	struct sl_ice_pair_info info;

	TRY(rig_init(&R, false, true, false));
	TRY(sl_ice_add_local(&R.ice, &c, R.now_us));
	TRY(rig_add_remote(&R, sl_addr_v4(203, 0, 113, 1, 80), 1, '1'));
	CHECK_EQ(sl_ice_pairs(&R.ice, &info, 1), 1);
	CHECK_EQ(info.local.port, 5000);
}

TEST(a_lite_agent_sends_nothing_to_signalled_candidates)
{
	TRY(rig_init(&R, true, false, false));
	TRY(rig_add_remote(&R, sl_addr_v4(203, 0, 113, 1, 80), 1, '1'));
	CHECK_EQ(rig_wait(&R, 120 * SL_SEC), 0);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_FAILED);
}

TEST(a_check_from_a_signalled_address_has_its_type_and_priority_even_if_it_comes_first)
{
	struct sl_path path = rig_path(3, 300);
	struct sl_ice_cand c = {
		.addr = path.remote, .priority = 777, .type = SL_ICE_SRFLX, .foundation = "1"};
	struct sl_ice_pair_info info;

	for (int first = 0; first < 2; first++) {
		TRY(rig_init(&R, true, false, false));
		if (first)
			CHECK_EQ(rig_check(&R, &path, false, 1), SL_OK);
		TRY(sl_ice_add_remote(&R.ice, &c, R.now_us));
		if (!first)
			CHECK_EQ(rig_check(&R, &path, false, 1), SL_OK);
		CHECK_EQ(sl_ice_pairs(&R.ice, &info, 1), 1);
		CHECK_EQ(info.remote_type, SL_ICE_SRFLX);
		CHECK_EQ(R.ice.pairs[0].remote_priority, 777);
	}
}

TEST(a_full_table_makes_room_for_who_shows_himself_and_keeps_the_pair_in_use)
{
	struct sl_path first = rig_path(1, 1), last = rig_path(9, 9);

	TRY(rig_init(&R, true, false, false));
	CHECK_EQ(rig_check(&R, &first, true, 1), SL_OK);
	for (uint16_t i = 0; i < 300; i++) {
		struct sl_path p = rig_path(2, (uint16_t)(1000 + i));

		R.now_us += SL_MS;
		CHECK_EQ(rig_check(&R, &p, false, 1), SL_OK);
		CHECK(sl_ice_is_valid(&R.ice, &p));
	}
	CHECK_EQ(rig_check(&R, &last, false, 1), SL_OK);
	CHECK(sl_ice_is_valid(&R.ice, &last));
	CHECK(sl_ice_is_valid(&R.ice, &first));
	CHECK(rig_uses(&R, &first));
	CHECK_EQ(sl_ice_pairs(&R.ice, NULL, 0), SL_ICE_PAIRS_MAX);
	CHECK_EQ(sl_stat_get(&R.stats, SL_STAT_ice_pairs_full), 302 - SL_ICE_PAIRS_MAX);
}

TEST(pairs_of_one_foundation_are_tried_one_after_the_other)
{
	TRY(rig_init(&R, false, true, false));
	for (uint16_t i = 0; i < 3; i++)
		TRY(rig_add_remote(&R, sl_addr_v4(203, 0, 113, 1, (uint16_t)(80 + i)), 100U - i,
				   'x'));
	CHECK_EQ(rig_wait(&R, 400 * SL_MS), 1);
	rig_respond(&R);
	CHECK_EQ(rig_wait(&R, 400 * SL_MS), 3); /* nomination and the two others */
}

TEST(a_pair_that_stays_unanswered_does_not_hold_its_foundation_for_long)
{
	TRY(rig_init(&R, false, true, false));
	for (uint16_t i = 0; i < 2; i++)
		TRY(rig_add_remote(&R, sl_addr_v4(203, 0, 113, 1, (uint16_t)(80 + i)), 100U - i,
				   'x'));
	rig_wait(&R, 2 * SL_SEC);
	CHECK_EQ(R.out_path.remote.port, 81);
}
