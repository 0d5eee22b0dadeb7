/* SPDX-License-Identifier: Apache-2.0 — which pair is in use: rules (a) and (b), and lite's
 * verification. */
#include "tests/ice/ice_rig.h"

static struct rig R;

enum { LOW = 10, HIGH = 100 };

/* Connected by a, which has this priority; b is validated too, a second ago. Both pairs of a lite
 * agent. */
static void on_a(struct sl_path *a, struct sl_path *b, uint32_t prio_a, uint32_t prio_b)
{
	*a = rig_path(1, 1000);
	*b = rig_path(2, 2000);
	TRY(rig_init(&R, true, false, false));
	CHECK_EQ(rig_check(&R, b, false, prio_b), SL_OK);
	CHECK_EQ(rig_check(&R, a, true, prio_a), SL_OK);
	CHECK(rig_uses(&R, a));
	rig_wait(&R, SL_SEC);
	CHECK_EQ(rig_check(&R, a, true, prio_a), SL_OK);
}

TEST(a_lite_agent_takes_the_pair_that_is_nominated_and_none_before)
{
	struct sl_path a = rig_path(1, 1000);

	TRY(rig_init(&R, true, false, false));
	CHECK_EQ(rig_check(&R, &a, false, 1), SL_OK);
	CHECK(sl_ice_is_valid(&R.ice, &a));
	rig_media(&R, &a);
	CHECK(rig_uses(&R, NULL));
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_CHECKING);
	CHECK_EQ(rig_check(&R, &a, true, 1), SL_OK);
	CHECK(rig_uses(&R, &a));
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_CONNECTED);
	CHECK_EQ(R.requests, 0);
}

/* ---- rule (a) ---- */
TEST(rule_a_moves_at_once_to_a_nominated_pair_of_equal_or_higher_priority)
{
	for (uint32_t prio = LOW; prio <= LOW + 1; prio++) {
		struct sl_path a, b;

		on_a(&a, &b, LOW, prio);
		CHECK_EQ(rig_check(&R, &b, true, prio), SL_OK);
		CHECK(rig_uses(&R, &b));
		CHECK_EQ(sl_stat_get(&R.stats, SL_STAT_ice_pair_changes), 1);
	}
}

/* Somebody repeats a check from b ten times a second, and answers none: media goes there for three
 * seconds at most, and a has it again in the end. */
static void repeat_from(const struct sl_path *b, const struct sl_path *a, int times, bool nominates)
{
	int64_t on_b_us = 0;

	for (int i = 0; i < times; i++) {
		if (nominates) /* while the peer itself sends */
			rig_media(&R, a);
		CHECK_EQ(rig_check(&R, b, nominates, LOW), SL_OK);
		rig_wait(&R, 100 * SL_MS);
		on_b_us += rig_uses(&R, b) ? 100 * SL_MS : 0;
	}
	CHECK(on_b_us > 0 && on_b_us <= 3100 * SL_MS);
	CHECK_EQ(R.requests, 5);
	CHECK(rig_uses(&R, a));
}

TEST(a_nomination_repeated_from_a_strangers_address_costs_three_seconds_once)
{
	struct sl_path a, b;

	on_a(&a, &b, LOW, LOW);
	repeat_from(&b, &a, 90, true);
}

TEST(rule_a_stays_where_the_nominated_address_answers)
{
	struct sl_path a, b;

	on_a(&a, &b, LOW, LOW);
	CHECK_EQ(rig_check(&R, &b, true, LOW), SL_OK);
	CHECK_EQ(R.requests, 1);
	CHECK_EQ(rig_respond(&R), SL_OK);
	rig_wait(&R, 4 * SL_SEC);
	CHECK(rig_uses(&R, &b));
	CHECK_EQ(R.requests, 1);
}

TEST(rule_a_refuses_a_lower_priority_while_the_present_pair_was_nominated_in_the_last_three_seconds)
{
	struct sl_path a, b;

	on_a(&a, &b, HIGH, LOW);
	rig_wait(&R, 3 * SL_SEC - 1);
	CHECK_EQ(rig_check(&R, &b, true, LOW), SL_OK);
	CHECK(rig_uses(&R, &a));
	rig_wait(&R, 1);
	CHECK_EQ(rig_check(&R, &b, true, LOW), SL_OK);
	CHECK(rig_uses(&R, &b));
}

TEST(rule_a_refuses_a_lower_priority_while_the_present_pair_brought_media_in_the_last_three_seconds)
{
	struct sl_path a, b;

	on_a(&a, &b, HIGH, LOW);
	rig_wait(&R, 10 * SL_SEC);
	rig_media(&R, &a);
	rig_wait(&R, 3 * SL_SEC - 1);
	CHECK_EQ(rig_check(&R, &b, true, LOW), SL_OK);
	CHECK(rig_uses(&R, &a));
	rig_wait(&R, 1);
	CHECK_EQ(rig_check(&R, &b, true, LOW), SL_OK);
	CHECK(rig_uses(&R, &b));
}

TEST(rule_a_takes_no_account_of_plain_checks_or_dtls_on_the_present_pair)
{
	struct sl_path a, b;

	on_a(&a, &b, HIGH, LOW);
	rig_wait(&R, 3 * SL_SEC);
	CHECK_EQ(rig_check(&R, &a, false, HIGH), SL_OK);
	sl_ice_on_authentic(&R.ice, &a, false, R.now_us);
	CHECK_EQ(rig_check(&R, &b, true, LOW), SL_OK);
	CHECK(rig_uses(&R, &b));
}

/* ---- rule (b) ---- */
TEST(rule_b_follows_media_once_the_present_pair_has_been_silent_for_500_ms)
{
	struct sl_path a, b;

	on_a(&a, &b, HIGH, LOW);
	rig_wait(&R, 500 * SL_MS - 1);
	rig_media(&R, &b);
	CHECK(rig_uses(&R, &a));
	rig_wait(&R, 1);
	rig_media(&R, &b);
	CHECK(rig_uses(&R, &b));
}

TEST(rule_b_stays_while_anything_authentic_comes_by_the_present_pair)
{
	struct sl_path a, b;

	on_a(&a, &b, HIGH, LOW);
	for (int i = 0; i < 60; i++) {
		rig_wait(&R, 400 * SL_MS);
		if (i % 3 == 0)
			rig_media(&R, &a);
		else if (i % 3 == 1)
			CHECK_EQ(rig_check(&R, &a, false, HIGH), SL_OK);
		else
			sl_ice_on_authentic(&R.ice, &a, false, R.now_us);
		rig_media(&R, &b);
		CHECK_EQ(rig_check(&R, &b, false, LOW), SL_OK);
		CHECK(rig_uses(&R, &a));
	}
}

TEST(rule_b_follows_plain_checks_only_after_six_seconds_of_silence)
{
	struct sl_path a, b;

	on_a(&a, &b, HIGH, LOW);
	rig_wait(&R, 6 * SL_SEC - 1);
	CHECK_EQ(rig_check(&R, &b, false, LOW), SL_OK);
	CHECK(rig_uses(&R, &a));
	rig_wait(&R, 1);
	CHECK_EQ(rig_check(&R, &b, false, LOW), SL_OK);
	CHECK(rig_uses(&R, &b));
	CHECK_EQ(R.requests, 1);
}

TEST(rule_b_does_not_follow_dtls_or_an_address_that_was_never_validated)
{
	struct sl_path a, b, c = rig_path(3, 3000);

	on_a(&a, &b, HIGH, LOW);
	rig_wait(&R, 2 * SL_SEC);
	sl_ice_on_authentic(&R.ice, &b, false, R.now_us);
	CHECK(rig_uses(&R, &a));
	sl_ice_on_authentic(&R.ice, &c, true, R.now_us);
	CHECK(rig_uses(&R, &a));
	CHECK(!sl_ice_is_valid(&R.ice, &c));
}

TEST(a_browsers_checks_of_a_quiet_pair_and_of_its_other_pairs_move_nothing)
{
	static const int64_t every_us[] = {2700 * SL_MS, 5200 * SL_MS};

	for (size_t i = 0; i < SL_COUNT(every_us); i++) {
		struct sl_path a, b;

		on_a(&a, &b, HIGH, LOW);
		for (int n = 0; n < 50; n++) {
			rig_wait(&R, every_us[i]);
			CHECK_EQ(rig_check(&R, &b, false, LOW), SL_OK);
			CHECK_EQ(rig_check(&R, &a, i == 0, HIGH), SL_OK);
			CHECK(rig_uses(&R, &a));
		}
		CHECK_EQ(R.requests, 0);
		CHECK_EQ(R.path_events, 1);
	}
}

/* ---- lite: verification ---- */
TEST(lite_checks_the_new_address_at_0_200_400_800_and_1600_ms_and_goes_back_after_3_s)
{
	static const int64_t at_ms[] = {0, 200, 400, 800, 1600};
	struct sl_path a, b;
	int64_t from;

	on_a(&a, &b, HIGH, LOW);
	rig_wait(&R, SL_SEC);
	from = R.now_us;
	rig_media(&R, &b);
	CHECK_EQ(R.requests, 1);
	CHECK(sl_path_eq(&R.out_path, &b));
	CHECK(R.last.has & STUN_CONTROLLED);
	CHECK(!(R.last.has & STUN_USE_CANDIDATE));
	TRY(stun_check(&R.last, RIG_PWD, strlen(RIG_PWD)));
	for (size_t i = 1; i < SL_COUNT(at_ms); i++) {
		CHECK_EQ(rig_wait(&R, from + at_ms[i] * SL_MS - R.now_us - 1), 0);
		CHECK_EQ(rig_wait(&R, 1), 1);
	}
	CHECK_EQ(rig_wait(&R, from + 3 * SL_SEC - R.now_us - 1), 0);
	CHECK(rig_uses(&R, &b));
	CHECK_EQ(rig_wait(&R, 1), 0);
	CHECK(rig_uses(&R, &a));
	CHECK_EQ(R.requests, 5);
}

TEST(lite_stays_where_its_check_is_answered)
{
	struct sl_path a, b;

	on_a(&a, &b, HIGH, LOW);
	rig_wait(&R, SL_SEC);
	rig_media(&R, &b);
	rig_wait(&R, 300 * SL_MS);
	CHECK_EQ(rig_respond(&R), SL_OK);
	CHECK_EQ(rig_wait(&R, 8 * SL_SEC), 0);
	CHECK(rig_uses(&R, &b));
	CHECK_EQ(R.requests, 2);
}

TEST(lite_stops_when_the_old_pair_is_gone_and_the_new_one_does_not_answer)
{
	struct sl_path a, b;

	on_a(&a, &b, HIGH, LOW);
	rig_wait(&R, SL_SEC);
	rig_media(&R, &b);
	ice_remove(&R.ice, &R.ice.pairs[R.ice.verify_old]);
	rig_wait(&R, 3 * SL_SEC);
	CHECK(rig_uses(&R, NULL));
	CHECK(R.path_events >= 3);
	CHECK_EQ(rig_check(&R, &a, true, HIGH), SL_OK);
	CHECK(rig_uses(&R, &a));
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_CONNECTED);
}

TEST(a_replayed_check_from_a_victims_address_gets_at_most_five_checks_and_three_seconds)
{
	struct sl_path a, b;

	on_a(&a, &b, HIGH, LOW);
	/* The peer is silent; someone repeats its plain checks. */
	repeat_from(&b, &a, 140, false);
}

TEST(media_that_comes_back_by_the_old_pair_ends_the_verification)
{
	struct sl_path a, b;

	on_a(&a, &b, HIGH, LOW);
	rig_wait(&R, SL_SEC);
	rig_media(&R, &b);
	rig_wait(&R, 600 * SL_MS);
	rig_media(&R, &a);
	CHECK(rig_uses(&R, &a));
	CHECK_EQ(R.requests, 3);
	CHECK_EQ(rig_wait(&R, 4 * SL_SEC), 0);
	CHECK(rig_uses(&R, &a));
}

TEST(a_second_move_during_verification_falls_back_to_the_pair_that_was_trusted)
{
	struct sl_path a, b, c = rig_path(3, 3000);

	on_a(&a, &b, HIGH, LOW);
	CHECK_EQ(rig_check(&R, &c, false, LOW), SL_OK);
	rig_wait(&R, SL_SEC);
	rig_media(&R, &b);
	rig_wait(&R, 600 * SL_MS);
	rig_media(&R, &c);
	CHECK(rig_uses(&R, &c));
	rig_wait(&R, 3 * SL_SEC);
	CHECK(rig_uses(&R, &a));
}

TEST(a_nomination_during_verification_is_obeyed)
{
	struct sl_path a, b;

	on_a(&a, &b, HIGH, LOW);
	rig_wait(&R, SL_SEC);
	rig_media(&R, &b);
	CHECK_EQ(rig_check(&R, &a, true, HIGH), SL_OK);
	CHECK(rig_uses(&R, &a));
	CHECK_EQ(rig_wait(&R, 4 * SL_SEC), 0);
}

TEST(a_full_agent_follows_media_without_a_check_of_verification)
{
	struct sl_path a = rig_path(1, 1000), b = rig_path(2, 2000);

	TRY(rig_init(&R, false, false, false));
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(rig_check(&R, i ? &a : &b, i, 1), SL_OK);
		rig_wait(&R, 60 * SL_MS);
		CHECK_EQ(rig_respond(&R), SL_OK);
	}
	CHECK(rig_uses(&R, &a));
	rig_wait(&R, 60 * SL_MS);
	CHECK_EQ(rig_respond(&R), SL_OK); /* consent */
	rig_wait(&R, SL_SEC);
	rig_media(&R, &b);
	CHECK(rig_uses(&R, &b));
	rig_wait(&R, 60 * SL_MS);
	CHECK(sl_path_eq(&R.out_path, &b)); /* consent is asked for there at once */
	CHECK_EQ(rig_respond(&R), SL_OK);
	rig_wait(&R, 3500 * SL_MS);
	CHECK(rig_uses(&R, &b));
}

/* ---- life ---- */
TEST(lite_counts_any_authentic_packet_as_life_and_forged_ones_not)
{
	struct sl_path a, b;
	struct rig_msg forged = {.key = "0123456789012345678901"};

	on_a(&a, &b, HIGH, LOW);
	for (int i = 0; i < 20; i++) {
		rig_wait(&R, 4 * SL_SEC);
		sl_ice_on_authentic(&R.ice, &b, false, R.now_us);
		CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_CONNECTED);
	}
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(sl_ice_state(&R.ice), i < 2 ? SL_ICE_CONNECTED : SL_ICE_DISCONNECTED);
		rig_wait(&R, 3 * SL_SEC);
		CHECK_EQ(rig_say(&R, &a, &forged), SL_EAUTH);
	}
	rig_wait(&R, 3 * SL_SEC - 1);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_DISCONNECTED);
	CHECK(rig_uses(&R, &a));
	rig_wait(&R, 1);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_FAILED);
	CHECK(rig_uses(&R, NULL));
	CHECK(!sl_ice_is_valid(&R.ice, &a));
	CHECK_EQ(rig_check(&R, &a, true, HIGH), SL_ESTATE);
	CHECK_EQ(R.out_count, 0);
}

TEST(a_packet_ends_the_disconnection)
{
	struct sl_path a, b;

	on_a(&a, &b, HIGH, LOW);
	rig_wait(&R, 5 * SL_SEC);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_DISCONNECTED);
	rig_media(&R, &a);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_CONNECTED);
}

TEST(an_early_nomination_counts_however_late_the_answer_comes)
{
	struct sl_path a = rig_path(1, 1000);

	TRY(rig_init(&R, true, false, true));
	CHECK_EQ(rig_check(&R, &a, true, HIGH), SL_OK);
	rig_wait(&R, 40 * SL_SEC);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_NEW);
	TRY(sl_ice_set_remote(&R.ice, SL_STR(RIG_UFRAG), SL_STR(RIG_PWD), R.now_us));
	CHECK(rig_uses(&R, &a));
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_CONNECTED);
	rig_wait(&R, 14 * SL_SEC);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_DISCONNECTED);
	rig_wait(&R, SL_SEC);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_FAILED);
}
