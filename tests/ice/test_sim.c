/* SPDX-License-Identifier: Apache-2.0 — two agents against each other. */
#include "tests/ice/ice_sim.h"

static struct sim S;

static bool both_connect(int64_t within_us)
{
	bool a = sim_until(&S, 0, SL_ICE_CONNECTED, within_us);

	return a && sim_until(&S, 1, SL_ICE_CONNECTED, within_us);
}

/* Both use one and the same way. */
static bool they_agree(void)
{
	const struct sl_path *a = sl_ice_path(&S.host[0].ice), *b = sl_ice_path(&S.host[1].ice);

	return a && b && sl_addr_eq(&a->remote, &S.host[1].addr[b->sock]) &&
	       sl_addr_eq(&b->remote, &S.host[0].addr[a->sock]);
}

static void talk(void)
{
	S.host[0].media_us = S.host[1].media_us = 20 * SL_MS;
}

TEST(two_full_agents_connect_in_either_role_and_agree)
{
	for (int role = 0; role < 2; role++) {
		TRY(sim_pair(&S, 1, false, false, role == 0, role == 1, 2));
		talk();
		CHECK(both_connect(5 * SL_SEC));
		sim_run(&S, 3 * SL_SEC);
		CHECK(they_agree());
		CHECK_EQ(sl_ice_path(&S.host[0].ice)->sock, 0);
		CHECK_EQ(S.host[0].path_changes, 1);
		CHECK(sl_ice_rtt_us(&S.host[0].ice) == 2 * S.delay_us);
		CHECK(S.host[0].media_in > 100 && S.host[1].media_in > 100);
	}
}

TEST(a_full_and_a_lite_agent_connect_whoever_asks_to_control)
{
	for (int role = 0; role < 4; role++) {
		TRY(sim_pair(&S, 2, true, false, role & 1, role & 2, 2));
		CHECK(both_connect(5 * SL_SEC));
		CHECK(they_agree());
	}
}

TEST(two_lite_agents_connect_by_checks_of_their_own)
{
	TRY(sim_pair(&S, 3, true, true, true, false, 1));
	CHECK(both_connect(5 * SL_SEC));
	CHECK(they_agree());
}

TEST(a_role_conflict_is_settled_whichever_role_both_believe_in)
{
	for (uint64_t seed = 0; seed < 8; seed++) {
		TRY(sim_pair(&S, seed, false, false, seed & 1, seed & 1, 2));
		CHECK(both_connect(10 * SL_SEC));
		sim_run(&S, 2 * SL_SEC);
		CHECK(they_agree());
		CHECK(S.host[0].ice.controlling != S.host[1].ice.controlling);
	}
}

TEST(agents_connect_through_heavy_loss_and_jitter)
{
	for (uint64_t seed = 0; seed < 10; seed++) {
		TRY(sim_pair(&S, seed, seed & 1, false, false, true, 2));
		S.loss_permille = 300;
		S.jitter_us = 100 * SL_MS;
		talk();
		CHECK(both_connect(30 * SL_SEC));
		sim_run(&S, 10 * SL_SEC);
		CHECK(they_agree());
	}
}

TEST(the_same_seed_gives_the_same_run)
{
	static struct sim first;

	for (int run = 0; run < 2; run++) {
		TRY(sim_pair(&S, 77, false, false, true, false, 3));
		S.loss_permille = 200;
		talk();
		sim_run(&S, 20 * SL_SEC);
		if (run == 0)
			first = S;
	}
	CHECK_EQ(first.host[0].sent, S.host[0].sent);
	CHECK_EQ(first.seed.s, S.seed.s);
	CHECK_EQ(first.host[1].media_in, S.host[1].media_in);
}

TEST(trickled_candidates_connect_although_they_come_late_and_one_by_one)
{
	struct sl_ice_cand c[2][SIM_SOCKS];

	sim_init(&S, 5);
	for (int h = 0; h < 2; h++) {
		struct sl_ice_conf conf = sim_conf(&S, h, c[h], h ? 1 : 0);

		conf.controlling = h == 0;
		TRY(sim_agent(&S, h, &conf));
	}
	TRY(sim_tell_creds(&S, 0));
	TRY(sim_tell_creds(&S, 1));
	sim_run(&S, 4 * SL_SEC);
	(void)sim_conf(&S, 0, c[0], 2);
	TRY(sl_ice_add_local(&S.host[0].ice, &c[0][1], S.now_us));
	sim_run(&S, SL_SEC);
	CHECK_EQ(S.host[0].sent, 0);
	TRY(sim_tell_cands(&S, 1, 1));
	CHECK(both_connect(5 * SL_SEC));
	CHECK_EQ(sl_ice_path(&S.host[0].ice)->sock, 1);
}

TEST(checks_that_come_before_the_answer_are_answered_and_count_once_it_is_here)
{
	for (int lite = 0; lite < 2; lite++) {
		struct sl_ice_cand c[2][SIM_SOCKS];
		struct sl_ice_pair_info info[4];

		sim_init(&S, 6);
		for (int h = 0; h < 2; h++) {
			struct sl_ice_conf conf = sim_conf(&S, h, c[h], 1);

			conf.controlling = h == 1;
			conf.lite = h == 0 && lite;
			conf.remote_lite = h == 1 && lite;
			TRY(sim_agent(&S, h, &conf));
		}
		TRY(sim_tell_creds(&S, 0));
		TRY(sim_tell_cands(&S, 0, 1));
		sim_run(&S, SL_SEC);
		CHECK_EQ(sl_ice_pairs(&S.host[0].ice, info, 4), 1);
		CHECK(S.host[0].sent > 0 && info[0].requests_in > 0 && !info[0].valid);
		CHECK(!sl_ice_path(&S.host[0].ice));
		CHECK(!sl_ice_is_valid(&S.host[0].ice, &info[0].path));
		TRY(sim_tell_creds(&S, 1));
		CHECK(both_connect(5 * SL_SEC));
	}
}

TEST(early_checks_of_another_peer_than_the_one_that_answers_are_forgotten)
{
	struct sl_ice_cand c[2][SIM_SOCKS];

	sim_init(&S, 6);
	for (int h = 0; h < 2; h++) {
		struct sl_ice_conf conf = sim_conf(&S, h, c[h], 1);

		conf.controlling = h == 1;
		TRY(sim_agent(&S, h, &conf));
	}
	TRY(sim_tell_creds(&S, 0));
	TRY(sim_tell_cands(&S, 0, 1));
	sim_run(&S, SL_SEC);
	CHECK_EQ(sl_ice_pairs(&S.host[0].ice, NULL, 0), 1);
	TRY(sl_ice_set_remote(&S.host[0].ice, SL_STR("other"), SL_STR("0123456789012345678901234"),
			      S.now_us));
	CHECK_EQ(sl_ice_pairs(&S.host[0].ice, NULL, 0), 0);
}

TEST(a_peer_without_usable_candidates_connects_as_peer_reflexive)
{
	struct sl_ice_pair_info info[4];
	struct sl_ice_cand c[2][SIM_SOCKS];

	sim_init(&S, 7);
	for (int h = 0; h < 2; h++) {
		struct sl_ice_conf conf = sim_conf(&S, h, c[h], 1);

		conf.controlling = h == 0;
		TRY(sim_agent(&S, h, &conf));
		TRY(h ? sim_tell_creds(&S, 0) : SL_OK);
	}
	TRY(sim_tell_creds(&S, 1));
	TRY(sim_tell_cands(&S, 0, 1));
	CHECK(both_connect(5 * SL_SEC));
	CHECK_EQ(sl_ice_pairs(&S.host[0].ice, info, 4), 1);
	CHECK_EQ(info[0].remote_type, SL_ICE_PRFLX);
	CHECK_EQ(info[0].local_type, SL_ICE_HOST);
}

TEST(the_second_best_pair_is_taken_when_the_best_is_blocked)
{
	for (int lite = 0; lite < 2; lite++) {
		TRY(sim_pair(&S, 8, lite, false, false, true, 2));
		S.host[0].deaf[0] = true;
		CHECK(both_connect(10 * SL_SEC));
		CHECK(they_agree());
		CHECK_EQ(sl_ice_path(&S.host[0].ice)->sock, 1);
	}
}

TEST(a_rebound_nat_is_followed_by_full_and_lite_agents)
{
	for (int lite = 0; lite < 2; lite++) {
		TRY(sim_pair(&S, 9, lite, false, false, true, 1));
		talk();
		CHECK(both_connect(5 * SL_SEC));
		sim_run(&S, 5 * SL_SEC);
		S.host[1].addr[0] = sl_addr_v4(203, 0, 113, 7, 1234);
		sim_run(&S, 12 * SL_SEC);
		CHECK(they_agree());
		CHECK_EQ(S.host[0].state, SL_ICE_CONNECTED);
		CHECK_EQ(S.host[1].state, SL_ICE_CONNECTED);
		CHECK(S.host[1].last_media_us > S.now_us - SL_SEC);
		CHECK(sl_stat_get(&S.stats, SL_STAT_ice_pair_changes) >= 1);
	}
}

static void restart_call(int offerer)
{
	sl_ice_restart(&S.host[offerer].ice, S.now_us);
	sl_ice_restart(&S.host[!offerer].ice, S.now_us);
}

TEST(a_restart_in_mid_call_loses_no_media_and_drops_the_old_credentials_when_done)
{
	for (int lite = 0; lite < 2; lite++) {
		char old[SL_ICE_UFRAG_MAX + 1];
		int lost;

		TRY(sim_pair(&S, 10, lite, false, false, true, 1));
		talk();
		CHECK(both_connect(5 * SL_SEC));
		sim_run(&S, 2 * SL_SEC);
		CHECK(sl_fmt(old, sizeof(old), "%s", sl_ice_local_creds(&S.host[0].ice)->ufrag));
		restart_call(0);
		CHECK_STR(sl_ice_old_ufrag(&S.host[0].ice), old);
		CHECK(strcmp(sl_ice_local_creds(&S.host[0].ice)->ufrag, old) != 0);
		sim_run(&S,
			8 * SL_SEC); /* the old pair goes on as long as it takes, consent and all */
		CHECK_EQ(S.host[1].state, SL_ICE_CONNECTED);
		CHECK_STR(sl_ice_old_ufrag(&S.host[0].ice), old);
		TRY(sim_tell_creds(&S, 0));
		sim_run(&S, SL_SEC);
		TRY(sim_tell_creds(&S, 1));
		TRY(sim_tell_cands(&S, 0, 1));
		TRY(sim_tell_cands(&S, 1, 1));
		sim_run(&S, 10 * SL_SEC);
		CHECK_STR(sl_ice_old_ufrag(&S.host[0].ice), "");
		CHECK_STR(sl_ice_old_ufrag(&S.host[1].ice), "");
		CHECK(they_agree());
		CHECK_EQ(S.host[0].path_changes, 1);
		lost = S.host[1].media_sent - S.host[0].media_in;
		CHECK(lost <= 1 + (int)(S.delay_us / S.host[1].media_us));
		CHECK_EQ(sl_ice_pairs(&S.host[0].ice, NULL, 0), 1);
	}
}

TEST(a_restart_to_a_new_address_moves_the_call)
{
	for (int lite = 0; lite < 2; lite++) {
		TRY(sim_pair(&S, 11, lite, false, false, true, 2));
		talk();
		CHECK(both_connect(5 * SL_SEC));
		S.host[1].deaf[0] = true;
		restart_call(1);
		TRY(sim_tell_creds(&S, 0));
		TRY(sim_tell_creds(&S, 1));
		TRY(sim_tell_cands(&S, 0, 2));
		TRY(sim_tell_cands(&S, 1, 2));
		sim_run(&S, 10 * SL_SEC);
		CHECK(they_agree());
		CHECK_EQ(sl_ice_path(&S.host[1].ice)->sock, 1);
		CHECK_EQ(S.host[0].state, SL_ICE_CONNECTED);
	}
}

TEST(a_restart_that_the_peer_never_takes_up_leaves_the_call_as_it_was)
{
	TRY(sim_pair(&S, 12, false, false, true, false, 1));
	talk();
	CHECK(both_connect(5 * SL_SEC));
	for (int i = 0; i < 3; i++) {
		sl_ice_restart(&S.host[0].ice, S.now_us);
		sim_run(&S, 20 * SL_SEC);
	}
	CHECK(they_agree());
	CHECK_EQ(S.host[0].state, SL_ICE_CONNECTED);
	CHECK_EQ(S.host[0].path_changes, 1);
}

TEST(credentials_that_differ_make_a_restart_of_their_own)
{
	TRY(sim_pair(&S, 13, true, false, false, true, 1));
	CHECK(both_connect(5 * SL_SEC));
	TRY(sim_tell_creds(&S, 1));
	CHECK_STR(sl_ice_old_ufrag(&S.host[0].ice), "");
	sl_ice_restart(&S.host[1].ice, S.now_us);
	TRY(sim_tell_creds(&S, 1));
	CHECK(sl_ice_old_ufrag(&S.host[0].ice)[0] != 0);
	TRY(sim_tell_creds(&S, 0));
	TRY(sim_tell_cands(&S, 0, 1));
	sim_run(&S, 10 * SL_SEC);
	CHECK_STR(sl_ice_old_ufrag(&S.host[0].ice), "");
	CHECK(they_agree());
}

TEST(t07_a_peer_that_stops_answering_gets_no_media_after_the_timeout)
{
	for (int lite = 0; lite < 2; lite++) {
		int64_t gone;

		TRY(sim_pair(&S, 14, lite, false, false, true, 1));
		talk();
		CHECK(both_connect(5 * SL_SEC));
		sim_run(&S, 5 * SL_SEC);
		gone = S.now_us;
		S.host[1].deaf[0] = true;
		S.host[1].media_us = 0;
		CHECK(sim_until(&S, 0, SL_ICE_DISCONNECTED, 10 * SL_SEC));
		CHECK(S.now_us - gone <= 6500 * SL_MS);
		sim_run(&S, 60 * SL_SEC);
		CHECK_EQ(S.host[0].state, SL_ICE_FAILED);
		CHECK(!sl_ice_path(&S.host[0].ice));
		CHECK_EQ(S.host[0].path.remote.family, 0);
		CHECK(S.host[0].last_media_us - gone <= 15 * SL_SEC);
		CHECK_EQ(sl_ice_deadline_us(&S.host[0].ice), SL_NEVER);
	}
}

TEST(t07_media_alone_is_no_consent_for_a_full_agent)
{
	int64_t from;

	TRY(sim_pair(&S, 15, false, false, true, false, 1));
	talk();
	CHECK(both_connect(5 * SL_SEC));
	from = S.now_us;
	/* The peer's STUN goes silent, its media does not: a spoofer of one direction looks like
	 * this. */
	for (int i = 0; i < 400; i++) {
		struct sl_path path = {.remote = S.host[1].addr[0]};

		S.host[1].deaf[0] = true;
		sim_run(&S, 100 * SL_MS);
		sl_ice_on_authentic(&S.host[0].ice, &path, true, S.now_us);
	}
	CHECK_EQ(S.host[0].state, SL_ICE_FAILED);
	CHECK(S.host[0].last_media_us - from <= 21 * SL_SEC);
}

TEST(consent_survives_loss_that_a_call_survives)
{
	TRY(sim_pair(&S, 16, false, false, true, false, 1));
	CHECK(both_connect(5 * SL_SEC));
	S.loss_permille = 200;
	sim_run(&S, 1800 * SL_SEC);
	CHECK_EQ(S.host[0].state, SL_ICE_CONNECTED);
	CHECK_EQ(S.host[1].state, SL_ICE_CONNECTED);
}

TEST(an_idle_call_stays_connected_without_flapping)
{
	for (int lite = 0; lite < 2; lite++) {
		TRY(sim_pair(&S, 17, lite, false, false, true, 1));
		CHECK(both_connect(5 * SL_SEC));
		sim_run(&S, 120 * SL_SEC);
		CHECK_EQ(S.host[1].state_count, 2);
		CHECK_EQ(S.host[1].states[0], SL_ICE_CHECKING);
	}
}

TEST(an_outage_of_two_seconds_is_nothing_and_one_of_eight_comes_back)
{
	TRY(sim_pair(&S, 18, false, false, true, false, 1));
	talk();
	CHECK(both_connect(5 * SL_SEC));
	S.host[1].deaf[0] = true;
	sim_run(&S, 2 * SL_SEC);
	S.host[1].deaf[0] = false;
	sim_run(&S, 5 * SL_SEC);
	CHECK_EQ(S.host[0].state_count, 2);
	S.host[1].deaf[0] = true;
	sim_run(&S, 8 * SL_SEC);
	CHECK_EQ(S.host[0].state, SL_ICE_DISCONNECTED);
	S.host[1].deaf[0] = false;
	sim_run(&S, 5 * SL_SEC);
	CHECK_EQ(S.host[0].state, SL_ICE_CONNECTED);
	CHECK_EQ(S.host[0].path_changes, 1);
}

TEST(agents_that_never_reach_each_other_fail_and_a_restart_revives_them)
{
	for (int lite = 0; lite < 2; lite++) {
		TRY(sim_pair(&S, 19, lite, false, false, true, 1));
		S.host[1].deaf[0] = true;
		sim_run(&S, 29 * SL_SEC);
		CHECK_EQ(S.host[0].state, SL_ICE_CHECKING);
		sim_run(&S, 17 * SL_SEC);
		CHECK_EQ(S.host[0].state, SL_ICE_FAILED);
		CHECK_EQ(S.host[1].state, SL_ICE_FAILED);
		S.host[1].deaf[0] = false;
		restart_call(0);
		CHECK_EQ(sl_ice_state(&S.host[0].ice), SL_ICE_NEW);
		TRY(sim_tell_creds(&S, 0));
		TRY(sim_tell_creds(&S, 1));
		TRY(sim_tell_cands(&S, 0, 1));
		TRY(sim_tell_cands(&S, 1, 1));
		CHECK(both_connect(5 * SL_SEC));
	}
}

TEST(a_late_candidate_begins_the_wait_anew_until_the_end_of_candidates)
{
	struct sl_ice_cand c = {
		.addr = sl_addr_v4(203, 0, 113, 9, 9), .priority = 1, .type = SL_ICE_HOST};

	TRY(sim_pair(&S, 20, true, false, false, true, 1));
	S.host[1].deaf[0] = true;
	sim_run(&S, 20 * SL_SEC);
	TRY(sl_ice_add_remote(&S.host[0].ice, &c, S.now_us));
	sim_run(&S, 20 * SL_SEC);
	CHECK_EQ(S.host[0].state, SL_ICE_CHECKING);
	sl_ice_end_of_candidates(&S.host[0].ice, S.now_us);
	c.addr.port = 10;
	CHECK_EQ(sl_ice_add_remote(&S.host[0].ice, &c, S.now_us), SL_ESTATE);
	sim_run(&S, 11 * SL_SEC);
	CHECK_EQ(S.host[0].state, SL_ICE_FAILED);
}
