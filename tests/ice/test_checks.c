/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/ice/ice_rig.h"
#include "core/base/bytes.h"

static struct rig R;

static void one_candidate(bool controlling)
{
	TRY(rig_init(&R, false, controlling, false));
	TRY(rig_add_remote(&R, sl_addr_v4(203, 0, 113, 1, 80), 100, '1'));
}

TEST(a_check_is_signed_for_the_peer_and_carries_what_rfc8445_asks_for)
{
	const char *ours;
	char user[64];

	one_candidate(true);
	rig_wait(&R, 10 * SL_MS);
	ours = sl_ice_local_creds(&R.ice)->ufrag;
	CHECK(sl_fmt(user, sizeof(user), "peer:%s", ours));
	CHECK_EQ(R.last.has, STUN_USERNAME | STUN_PRIORITY | STUN_CONTROLLING | STUN_INTEGRITY |
				     STUN_FINGERPRINT);
	CHECK(sl_str_eq(R.last.username, sl_str_z(user)));
	CHECK_EQ(R.last.priority, sl_ice_priority(SL_ICE_PRFLX, 65535));
	CHECK_EQ(sl_get32(R.last.tid), 0x11223344);
	TRY(stun_check(&R.last, RIG_PWD, strlen(RIG_PWD)));
}

TEST(an_unanswered_check_is_sent_seven_times_and_given_up_after_39500_ms)
{
	static const int64_t at_ms[] = {0, 500, 1500, 3500, 7500, 15500, 31500};
	uint8_t tid[SL_STUN_TID_LEN];
	int64_t from;

	one_candidate(true);
	from = R.now_us;
	for (size_t i = 0; i < SL_COUNT(at_ms); i++) {
		if (i > 0)
			CHECK_EQ(rig_wait(&R, from + at_ms[i] * SL_MS - R.now_us - 1), 0);
		CHECK_EQ(rig_wait(&R, i > 0), 1);
		if (i == 0)
			memcpy(tid, R.last.tid, sizeof(tid));
		CHECK_BYTES(tid, R.last.tid, sizeof(tid));
	}
	CHECK_EQ(rig_wait(&R, from + 39500 * SL_MS - R.now_us - 1), 0);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_CHECKING);
	CHECK_EQ(rig_wait(&R, 1), 0);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_FAILED);
	CHECK_EQ(sl_stat_get(&R.stats, SL_STAT_ice_timeouts), 1);
}

TEST(the_retransmission_timeout_grows_with_the_number_of_pairs)
{
	TRY(rig_init(&R, false, true, false));
	for (uint16_t i = 0; i < 30; i++)
		TRY(rig_add_remote(&R, sl_addr_v4(203, 0, 113, 1, (uint16_t)(80 + i)), 100U - i,
				   (char)('A' + i)));
	rig_wait(&R, 10 * SL_MS);
	CHECK_EQ(R.ice.pairs[0].rto_ta, 30);
	CHECK_EQ(rig_wait(&R, 29 * 50 * SL_MS), 29);
	CHECK_EQ(R.out_path.remote.port, 80 + 29);
	rig_wait(&R, 50 * SL_MS);
	CHECK_EQ(R.out_path.remote.port, 80);
}

TEST(checks_begin_with_the_best_pair_and_keep_50_ms_between_them)
{
	TRY(rig_init(&R, false, true, false));
	for (uint16_t i = 0; i < 5; i++)
		TRY(rig_add_remote(&R, sl_addr_v4(203, 0, 113, 1, (uint16_t)(80 + i)), 100U + i,
				   (char)('A' + i)));
	for (uint16_t i = 0; i < 5; i++) {
		CHECK_EQ(rig_wait(&R, i ? 1 : 0), 1);
		CHECK_EQ(R.out_path.remote.port, 84 - i);
		CHECK_EQ(rig_wait(&R, 50 * SL_MS - 1), 0);
	}
}

TEST(nothing_is_sent_before_the_peers_credentials_are_known)
{
	TRY(rig_init(&R, false, true, true));
	TRY(rig_add_remote(&R, sl_addr_v4(203, 0, 113, 1, 80), 100, '1'));
	CHECK_EQ(rig_wait(&R, 3600 * SL_SEC), 0);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_NEW);
	TRY(sl_ice_set_remote(&R.ice, SL_STR(RIG_UFRAG), SL_STR(RIG_PWD), R.now_us));
	CHECK_EQ(rig_wait(&R, 1), 1);
}

TEST(a_check_from_an_unknown_address_triggers_one_back)
{
	struct sl_path path = rig_path(5, 555);

	TRY(rig_init(&R, false, false, false));
	CHECK_EQ(rig_check(&R, &path, false, 1), SL_OK);
	CHECK_EQ(R.out_count, 1);
	CHECK_EQ(rig_wait(&R, 1), 1);
	CHECK_EQ(R.last.class_, SL_STUN_REQUEST);
	CHECK(sl_path_eq(&R.out_path, &path));
	CHECK(!sl_ice_is_valid(&R.ice, &path));
	CHECK_EQ(rig_respond(&R), SL_OK);
	CHECK(sl_ice_is_valid(&R.ice, &path));
	CHECK(!sl_ice_path(&R.ice)); /* validated is not nominated */
}

TEST(the_peers_check_repeats_one_of_ours_at_once_but_only_once)
{
	struct sl_path path = {.remote = sl_addr_v4(203, 0, 113, 1, 80)};

	one_candidate(false);
	rig_wait(&R, 100 * SL_MS);
	CHECK_EQ(R.requests, 1);
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(rig_check(&R, &path, false, 1), SL_OK);
		rig_wait(&R, 60 * SL_MS);
	}
	CHECK_EQ(R.requests, 2);
}

TEST(a_controlled_agent_honours_use_candidate_before_and_after_its_own_check_succeeds)
{
	struct sl_path path = {.remote = sl_addr_v4(203, 0, 113, 1, 80)};

	for (int before = 0; before < 2; before++) {
		one_candidate(false);
		rig_wait(&R, 10 * SL_MS);
		if (before) {
			CHECK_EQ(rig_check(&R, &path, true, 1), SL_OK);
			CHECK(rig_uses(&R, NULL));
			rig_wait(&R, 60 * SL_MS);
		}
		CHECK_EQ(rig_respond(&R), SL_OK);
		if (!before) {
			CHECK(rig_uses(&R, NULL));
			CHECK_EQ(rig_check(&R, &path, true, 1), SL_OK);
		}
		CHECK(rig_uses(&R, &path));
		CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_CONNECTED);
	}
}

TEST(a_controlling_agent_ignores_use_candidate)
{
	struct sl_path path = {.remote = sl_addr_v4(203, 0, 113, 1, 80)};
	struct rig_msg m = {.use = true, .controlled = true};

	one_candidate(true);
	rig_wait(&R, 10 * SL_MS);
	CHECK_EQ(rig_say(&R, &path, &m), SL_OK);
	CHECK(rig_uses(&R, NULL));
}

TEST(an_aggressive_peer_that_nominates_everything_gets_the_best_pair)
{
	struct sl_path good = {.remote = sl_addr_v4(203, 0, 113, 1, 80)}, bad = rig_path(9, 9);

	TRY(rig_init(&R, false, false, false));
	TRY(rig_add_remote(&R, bad.remote, 10, '2'));
	rig_wait(&R, 10 * SL_MS);
	CHECK_EQ(rig_respond(&R), SL_OK);
	TRY(rig_add_remote(&R, good.remote, 100, '1'));
	CHECK_EQ(rig_check(&R, &bad, true, 10), SL_OK);
	CHECK(rig_uses(&R, &bad));
	CHECK_EQ(rig_check(&R, &good, true, 100), SL_OK);
	for (int i = 0; i < 4 && !rig_uses(&R, &good); i++) {
		rig_wait(&R, 60 * SL_MS);
		CHECK_EQ(rig_respond(&R), SL_OK);
	}
	CHECK(rig_uses(&R, &good));
	CHECK_EQ(rig_check(&R, &bad, true, 10), SL_OK);
	CHECK(rig_uses(&R, &good));
}

TEST(regular_nomination_waits_half_a_second_for_a_better_pair_and_then_takes_what_there_is)
{
	struct sl_path bad = rig_path(9, 9);

	one_candidate(true);
	TRY(rig_add_remote(&R, bad.remote, 10, '2'));
	rig_wait(&R, 60 * SL_MS);
	CHECK(sl_path_eq(&R.out_path, &bad));
	CHECK_EQ(rig_respond(&R), SL_OK);
	rig_wait(&R, 440 * SL_MS);
	CHECK(!(R.last.has & STUN_USE_CANDIDATE));
	CHECK(rig_uses(&R, NULL));
	rig_wait(&R, 60 * SL_MS);
	CHECK(R.last.has & STUN_USE_CANDIDATE);
	CHECK(sl_path_eq(&R.out_path, &bad));
	CHECK(rig_uses(&R, NULL));
	CHECK_EQ(rig_respond(&R), SL_OK);
	CHECK(rig_uses(&R, &bad));
	rig_wait(&R, 60 * SL_MS);
	CHECK_EQ(rig_respond(&R), SL_OK);
	CHECK_EQ(rig_wait(&R, 3 * SL_SEC), 0); /* the other pair is left alone from now on */
}

TEST(a_nomination_that_gets_no_answer_passes_to_the_next_best_pair)
{
	struct sl_path best = {.remote = sl_addr_v4(203, 0, 113, 1, 80)}, next = rig_path(9, 9);

	one_candidate(true);
	TRY(rig_add_remote(&R, next.remote, 10, '2'));
	rig_wait(&R, 10 * SL_MS);
	CHECK(sl_path_eq(&R.out_path, &best));
	CHECK_EQ(rig_respond(&R), SL_OK);
	rig_wait(&R, 90 * SL_MS);
	for (int i = 0; i < 3 && !sl_path_eq(&R.out_path, &next); i++)
		rig_wait(&R, 50 * SL_MS);
	CHECK_EQ(rig_respond(&R), SL_OK);
	CHECK_EQ(rig_wait(&R, 7 * SL_SEC), 3); /* repeats of the nomination */
	CHECK(sl_path_eq(&R.out_path, &best));
	rig_wait(&R, SL_SEC);
	CHECK(sl_path_eq(&R.out_path, &next));
	CHECK(R.last.has & STUN_USE_CANDIDATE);
	CHECK_EQ(rig_respond(&R), SL_OK);
	CHECK(rig_uses(&R, &next));
}

TEST(a_role_conflict_that_the_peer_reports_changes_the_role_once_and_repeats_the_check)
{
	uint8_t tid[SL_STUN_TID_LEN];
	struct rig_msg m = {.class_ = SL_STUN_ERROR, .error_code = 487, .tid = tid};
	struct sl_path path;

	one_candidate(true);
	rig_wait(&R, 10 * SL_MS);
	path = R.out_path;
	memcpy(tid, R.last.tid, sizeof(tid));
	CHECK_EQ(rig_say(&R, &path, &m), SL_OK);
	CHECK(!R.ice.controlling);
	CHECK_EQ(rig_say(&R, &path, &m), SL_ENOTFOUND);
	CHECK(!R.ice.controlling);
	rig_wait(&R, 60 * SL_MS);
	CHECK(R.last.has & STUN_CONTROLLED);
	CHECK(memcmp(tid, R.last.tid, sizeof(tid)) != 0);
}

TEST(another_error_fails_the_pair_and_no_other)
{
	uint8_t tid[SL_STUN_TID_LEN];
	struct rig_msg m = {.class_ = SL_STUN_ERROR, .error_code = 400, .tid = tid};
	struct sl_path path;

	one_candidate(true);
	TRY(rig_add_remote(&R, sl_addr_v4(203, 0, 113, 2, 80), 10, '2'));
	rig_wait(&R, 10 * SL_MS);
	path = R.out_path;
	memcpy(tid, R.last.tid, sizeof(tid));
	CHECK_EQ(rig_say(&R, &path, &m), SL_OK);
	rig_wait(&R, 60 * SL_MS);
	CHECK(!sl_path_eq(&R.out_path, &path));
	CHECK_EQ(rig_respond(&R), SL_OK);
	CHECK(sl_ice_is_valid(&R.ice, &R.out_path));
}

/* ---- consent ---- */
static void connected(void)
{
	one_candidate(true);
	rig_wait(&R, 10 * SL_MS);
	CHECK_EQ(rig_respond(&R), SL_OK);
	rig_wait(&R, 60 * SL_MS);
	CHECK_EQ(rig_respond(&R), SL_OK);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_CONNECTED);
	rig_wait(&R, 60 * SL_MS);
	CHECK_EQ(rig_respond(&R), SL_OK);
}

TEST(consent_checks_come_every_four_to_six_seconds_each_with_an_id_of_its_own)
{
	uint8_t tid[SL_STUN_TID_LEN] = {0};
	int64_t least = SL_NEVER, most = 0;

	connected();
	for (int i = 0; i < 200; i++) {
		int64_t from = R.now_us;

		while (rig_wait(&R, 10 * SL_MS) == 0)
			CHECK(R.now_us - from < 7 * SL_SEC);
		CHECK(memcmp(tid, R.last.tid, sizeof(tid)) != 0);
		memcpy(tid, R.last.tid, sizeof(tid));
		CHECK_EQ(rig_respond(&R), SL_OK);
		if (i > 0) {
			least = SL_MIN(least, R.now_us - from);
			most = SL_MAX(most, R.now_us - from);
		}
	}
	CHECK(least >= 3990 * SL_MS && least < 4200 * SL_MS);
	CHECK(most <= 6010 * SL_MS && most > 5800 * SL_MS);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_CONNECTED);
}

TEST(t07_consent_expires_at_the_timeout_and_nothing_is_sent_after_it)
{
	int64_t from;

	connected();
	from = R.now_us;
	while (sl_ice_path(&R.ice))
		rig_wait(&R, 100 * SL_MS);
	CHECK(R.now_us - from <= 15100 * SL_MS && R.now_us - from > 14900 * SL_MS);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_FAILED);
	CHECK_EQ(rig_wait(&R, 600 * SL_SEC), 0);
}

TEST(t07_consent_never_outlasts_thirty_seconds)
{
	int64_t from;

	connected();
	R.ice.timeout_us = 3600 * SL_SEC;
	from = R.now_us;
	while (sl_ice_path(&R.ice))
		rig_wait(&R, 100 * SL_MS);
	CHECK(R.now_us - from <= 30100 * SL_MS);
}

/* ---- T30 ---- */
TEST(t30_any_clock_that_does_not_go_back_is_survived)
{
	static const int64_t starts[] = {
		0, 1, 1 << 30, SL_NEVER / 2, SL_NEVER - 40 * SL_SEC, SL_NEVER - 1};

	for (size_t i = 0; i < SL_COUNT(starts); i++)
		for (int lite = 0; lite < 2; lite++) {
			struct sl_path path = rig_path(1, 1);
			struct sl_ice_event ev;
			struct sl_dgram d;

			TRY(rig_init(&R, lite, !lite, true));
			R.now_us = starts[i];
			R.ice.timeout_us = ICE_TIMEOUT_MAX_US;
			TRY(sl_ice_set_remote(&R.ice, SL_STR(RIG_UFRAG), SL_STR(RIG_PWD),
					      R.now_us));
			TRY(rig_add_remote(&R, path.remote, 1, '1'));
			CHECK_EQ(rig_check(&R, &path, !R.ice.controlling, 1), SL_OK);
			for (int n = 0; n < 50; n++) {
				int64_t at = sl_ice_deadline_us(&R.ice);

				if (at == SL_NEVER)
					break;
				R.now_us = SL_MAX(at, R.now_us);
				sl_ice_tick(&R.ice, R.now_us);
				while (sl_ice_pull(&R.ice, &d))
					CHECK(d.len <= SL_ICE_OUT_BYTES);
				while (sl_ice_event(&R.ice, &ev))
					CHECK(ev.type == SL_ICE_EV_STATE ||
					      ev.type == SL_ICE_EV_PATH);
				CHECK(sl_ice_deadline_us(&R.ice) > R.now_us);
			}
		}
}

TEST(t30_a_clock_that_leaps_does_not_burst)
{
	connected();
	R.now_us += 10 * SL_SEC;
	sl_ice_tick(&R.ice, R.now_us);
	CHECK(rig_drain(&R) <= 1);
	CHECK(sl_ice_deadline_us(&R.ice) > R.now_us);
}
