/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/ice/turn_rig.h"
#include "core/base/bytes.h"

static struct turn_rig R;

static void start(bool stream, uint8_t family)
{
	TRY(turn_rig_init(&R, stream, family));
}

static void start_up(void)
{
	start(false, 4);
	turn_rig_up(&R);
}

static bool says(const char *why, const char *part)
{
	return strstr(why, part) != NULL;
}

/* ---- getting one ---- */

TEST(a_relayed_address_comes_after_the_challenge_of_long_term_credentials)
{
	start_up();
	CHECK_EQ(R.server.requests[STUN_ALLOCATE], 2);
	CHECK(sl_addr_eq(&R.event[SL_TURN_EV_ALLOCATED].relayed, &R.relayed));
	CHECK_EQ(R.event[SL_TURN_EV_ALLOCATED].mapped.port, 40000);
	CHECK_EQ(R.told[SL_TURN_EV_FAILED] + R.told[SL_TURN_EV_LOST], 0);
}

TEST(a_server_that_asks_for_no_credentials_gets_none)
{
	start(false, 4);
	R.server.no_auth = true;
	turn_rig_up(&R);
	CHECK_EQ(R.server.requests[STUN_ALLOCATE], 1);
}

TEST(an_ipv6_server_is_asked_for_an_ipv6_address)
{
	struct sl_addr peer;

	start(false, 6);
	turn_rig_up(&R);
	CHECK_EQ(R.event[SL_TURN_EV_ALLOCATED].relayed.family, 6);
	peer = turn_rig_peer(&R, 1, 5000);
	CHECK_EQ(sl_turn_permit(&R.turn, &peer, R.now_us), SL_OK);
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(turn_rig_send(&R, &peer, "hello", 5), 48);
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(R.server.sent, 1);
	CHECK(sl_addr_eq(&R.server.last_peer, &peer));
}

TEST(a_request_is_repeated_over_udp_until_it_is_answered_and_over_a_stream_never)
{
	start(false, 4);
	R.loss_percent = 100;
	turn_rig_run(&R, 4 * SL_SEC); /* 0, 0.5, 1.5, 3.5 s */
	R.loss_percent = 0;
	turn_rig_run(&R, 4 * SL_SEC); /* 7.5 s */
	CHECK_EQ(R.told[SL_TURN_EV_ALLOCATED], 1);
	start(true, 4);
	R.loss_percent = 100;
	turn_rig_run(&R, SL_SEC);
	R.loss_percent = 0;
	turn_rig_run(&R, 20 * SL_SEC);
	CHECK_EQ(R.server.requests[STUN_ALLOCATE], 0);
	CHECK_EQ(R.told[SL_TURN_EV_FAILED], 1);
}

TEST(a_link_that_loses_a_third_and_reorders_still_gets_everything_done)
{
	struct sl_addr peer;
	int up = 0;

	for (uint64_t seed = 0; seed < 20; seed++) {
		start(false, 4);
		R.link_seed.s += seed * 977;
		R.loss_percent = 33;
		R.spread_ms = 300;
		turn_rig_run(&R, 11 * SL_SEC);
		CHECK_EQ(R.told[SL_TURN_EV_ALLOCATED] + R.told[SL_TURN_EV_FAILED], 1);
		if (!sl_turn_is_up(&R.turn))
			continue;
		up++;
		peer = turn_rig_peer(&R, 1, 5000);
		CHECK_EQ(sl_turn_use(&R.turn, &peer, R.now_us), SL_OK);
		turn_rig_run(&R, 40 * SL_SEC);
		CHECK_EQ(turn_rig_send(&R, &peer, "x", 1), 4);
	}
	CHECK(up >= 15);
}

/* ---- not getting one ---- */

TEST(t48_a_silent_server_is_given_up_within_ten_seconds_in_words)
{
	start(false, 4);
	R.server.silent = true;
	turn_rig_run(&R, 30 * SL_SEC);
	CHECK_EQ(R.told[SL_TURN_EV_FAILED], 1);
	CHECK(R.told_us[SL_TURN_EV_FAILED] <= 11 * SL_SEC);
	CHECK_STR(R.why[SL_TURN_EV_FAILED], "no answer within 10 s");
	CHECK(sl_turn_deadline_us(&R.turn) == SL_NEVER);
}

TEST(a_wrong_password_fails_at_once_in_words)
{
	start(false, 4);
	R.server.password = "another";
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(R.told[SL_TURN_EV_FAILED], 1);
	CHECK_EQ(R.event[SL_TURN_EV_FAILED].code, 401);
	CHECK(says(R.why[SL_TURN_EV_FAILED], "wrong user name or password"));
	CHECK_EQ(R.server.requests[STUN_ALLOCATE], 2);
}

TEST(t48_a_nonce_that_is_stale_forever_is_tried_three_times)
{
	start(false, 4);
	R.server.stale_forever = true;
	turn_rig_run(&R, 30 * SL_SEC);
	CHECK_EQ(R.told[SL_TURN_EV_FAILED], 1);
	CHECK_EQ(R.event[SL_TURN_EV_FAILED].code, 438);
	CHECK(says(R.why[SL_TURN_EV_FAILED], "every nonce"));
	CHECK_EQ(R.server.requests[STUN_ALLOCATE], 1 + 1 + 3);
}

TEST(t48_a_challenge_that_says_nothing_ends_it)
{
	start(false, 4);
	R.server.bare_challenge = true;
	turn_rig_run(&R, 30 * SL_SEC);
	CHECK_EQ(R.told[SL_TURN_EV_FAILED], 1);
	CHECK_EQ(R.server.requests[STUN_ALLOCATE], 1);
}

TEST(t48_every_error_of_an_allocate_ends_it_at_once_in_words_of_its_own)
{
	static const struct {
		uint16_t code;
		const char *part;
	} errors[] = {
		{300, "another server"},
		{400, "cannot read"},
		{403, "forbidden"},
		{437, "allocation"},
		{440, "family"},
		{441, "user name"},
		{442, "UDP"},
		{486, "too many"},
		{500, "error of its own"},
		{508, "no relayed"},
		{599, "refuses"},
	};

	for (size_t i = 0; i < SL_COUNT(errors); i++) {
		start(false, 4);
		R.server.error[STUN_ALLOCATE] = errors[i].code;
		turn_rig_run(&R, SL_SEC);
		CHECK_EQ(R.told[SL_TURN_EV_FAILED], 1);
		CHECK_EQ(R.event[SL_TURN_EV_FAILED].code, errors[i].code);
		CHECK(says(R.why[SL_TURN_EV_FAILED], errors[i].part));
		CHECK_EQ(R.server.requests[STUN_ALLOCATE], 2);
	}
}

TEST(t48_an_error_that_nobody_signed_is_only_a_hint_for_the_words)
{
	start(false, 4);
	R.server.unsigned_errors = true;
	R.server.error[STUN_ALLOCATE] = 486;
	turn_rig_run(&R, 5 * SL_SEC);
	CHECK_EQ(R.told[SL_TURN_EV_FAILED], 0);
	R.server.error[STUN_ALLOCATE] = 0;
	turn_rig_run(&R, 5 * SL_SEC);
	CHECK_EQ(R.told[SL_TURN_EV_ALLOCATED], 1);
	start(false, 4);
	R.server.unsigned_errors = true;
	R.server.error[STUN_ALLOCATE] = 486;
	turn_rig_run(&R, 11 * SL_SEC);
	CHECK_EQ(R.event[SL_TURN_EV_FAILED].code, 486);
	CHECK(says(R.why[SL_TURN_EV_FAILED], "too many"));
}

TEST(t48_an_unsigned_success_is_not_believed)
{
	start(false, 4);
	R.server.unsigned_answers = true;
	turn_rig_run(&R, 11 * SL_SEC);
	CHECK_EQ(R.told[SL_TURN_EV_ALLOCATED], 0);
	CHECK_EQ(R.told[SL_TURN_EV_FAILED], 1);
}

TEST(t48_a_relayed_address_of_another_family_or_without_a_port_is_not_taken)
{
	for (int i = 0; i < 2; i++) {
		start(false, 4);
		if (i == 0)
			CHECK_EQ(sl_addr_parse(SL_STR("[2001:db8::5]:50000"), &R.relayed), SL_OK);
		else
			R.relayed.port = 0;
		turn_rig_run(&R, SL_SEC);
		CHECK_EQ(R.told[SL_TURN_EV_FAILED], 1);
		CHECK(says(R.why[SL_TURN_EV_FAILED], "relayed address"));
	}
}

TEST(a_user_name_or_password_that_stun_cannot_carry_is_refused)
{
	static const char text[SL_TURN_USER_MAX + 1];
	struct sl_turn_conf conf = {.rng = &R.rng};

	start(false, 4);
	conf.user = sl_str(text, sizeof(text));
	CHECK_EQ(sl_turn_init(&R.turn, &conf, 0), SL_ERANGE);
	conf.user.n = 1;
	conf.password = sl_str(text, sizeof(text));
	CHECK_EQ(sl_turn_init(&R.turn, &conf, 0), SL_ERANGE);
}

/* ---- keeping it ---- */

TEST(an_hour_of_a_call_keeps_allocation_permission_and_channel)
{
	struct sl_addr peer;

	start_up();
	peer = turn_rig_peer(&R, 1, 5000);
	CHECK_EQ(sl_turn_use(&R.turn, &peer, R.now_us), SL_OK);
	for (int minute = 0; minute < 60; minute++) {
		turn_rig_run(&R, 60 * SL_SEC);
		CHECK_EQ(turn_rig_send(&R, &peer, "media", 5), 4);
		if (minute == 30)
			R.server.nonce++; /* stale once */
	}
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(R.server.channel_data, 60);
	CHECK_EQ(R.server.refused, 0);
	CHECK_EQ(R.told[SL_TURN_EV_LOST], 0);
	/* Each 510 to 540 s, 230 to 240 s and 530 to 540 s; one more when the nonce was stale. */
	CHECK(R.server.requests[STUN_REFRESH] >= 6 && R.server.requests[STUN_REFRESH] <= 9);
	CHECK(R.server.requests[STUN_CREATE_PERMISSION] >= 15);
	CHECK(R.server.requests[STUN_CREATE_PERMISSION] <= 17);
	CHECK(R.server.requests[STUN_CHANNEL_BIND] >= 6);
	CHECK(R.server.requests[STUN_CHANNEL_BIND] <= 9);
}

TEST(a_permission_is_renewed_only_while_it_is_used)
{
	struct sl_addr quiet, busy;

	start_up();
	quiet = turn_rig_peer(&R, 1, 5000);
	busy = turn_rig_peer(&R, 2, 5000);
	CHECK_EQ(sl_turn_permit(&R.turn, &quiet, R.now_us), SL_OK);
	CHECK_EQ(sl_turn_permit(&R.turn, &busy, R.now_us), SL_OK);
	for (int i = 0; i < 20; i++) {
		turn_rig_run(&R, 60 * SL_SEC);
		CHECK_EQ(turn_rig_send(&R, &busy, "x", 1), 36);
	}
	CHECK_EQ(R.server.refused, 0);
	CHECK_EQ(turn_rig_send(&R, &quiet, "x", 1), SL_ENOTFOUND);
	/* and again from the beginning */
	CHECK_EQ(sl_turn_permit(&R.turn, &quiet, R.now_us), SL_OK);
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(turn_rig_send(&R, &quiet, "x", 1), 36);
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(R.server.refused, 0);
}

TEST(t48_a_lifetime_of_one_second_does_not_make_a_flood_of_refreshes)
{
	start(false, 4);
	R.server.lifetime_s = 1;
	turn_rig_up(&R);
	turn_rig_run(&R, 100 * SL_SEC);
	CHECK(R.server.requests[STUN_REFRESH] <= 21);
}

TEST(a_lifetime_of_a_hundred_years_is_an_hour)
{
	start(false, 4);
	R.server.lifetime_s = UINT32_MAX;
	turn_rig_up(&R);
	turn_rig_run(&R, 3600 * SL_SEC);
	CHECK_EQ(R.server.requests[STUN_REFRESH], 1);
}

TEST(renewals_of_two_clients_drift_apart)
{
	int64_t first_us;

	start_up();
	first_us = sl_turn_deadline_us(&R.turn);
	start(false, 4);
	R.seed.s += 12345;
	turn_rig_up(&R);
	CHECK(sl_turn_deadline_us(&R.turn) != first_us);
}

/* ---- losing it ---- */

TEST(t48_a_server_that_dies_later_is_told_of_once_and_nothing_more_is_sent)
{
	struct sl_addr peer;

	start_up();
	peer = turn_rig_peer(&R, 1, 5000);
	CHECK_EQ(sl_turn_use(&R.turn, &peer, R.now_us), SL_OK);
	turn_rig_run(&R, SL_SEC);
	R.server.silent = true;
	turn_rig_run(&R, 3600 * SL_SEC);
	CHECK_EQ(R.told[SL_TURN_EV_LOST], 1);
	CHECK_STR(R.why[SL_TURN_EV_LOST], "it does not answer any more");
	CHECK(!sl_turn_is_up(&R.turn));
	CHECK_EQ(turn_rig_send(&R, &peer, "x", 1), SL_ENOTFOUND);
	CHECK_EQ(sl_turn_permit(&R.turn, &peer, R.now_us), SL_ESTATE);
	CHECK(sl_turn_deadline_us(&R.turn) == SL_NEVER);
}

TEST(a_server_that_has_restarted_and_knows_nothing_is_told_of)
{
	start_up();
	R.server.allocated = false;
	turn_rig_run(&R, 600 * SL_SEC);
	CHECK_EQ(R.told[SL_TURN_EV_LOST], 1);
	CHECK_EQ(R.event[SL_TURN_EV_LOST].code, 437);
}

TEST(t48_nonces_that_turn_stale_forever_later_end_it)
{
	start_up();
	R.server.stale_forever = true;
	turn_rig_run(&R, 600 * SL_SEC);
	CHECK_EQ(R.told[SL_TURN_EV_LOST], 1);
	CHECK_EQ(R.event[SL_TURN_EV_LOST].code, 438);
	CHECK(R.server.requests[STUN_REFRESH] <= 4);
}

TEST(a_stream_that_ends_ends_the_allocation_with_its_reason)
{
	start(true, 4);
	sl_turn_closed(&R.turn, "connection refused", R.now_us);
	turn_rig_run(&R, SL_SEC);
	CHECK_STR(R.why[SL_TURN_EV_FAILED], "connection refused");
	start(true, 4);
	turn_rig_up(&R);
	sl_turn_closed(&R.turn, "connection reset", R.now_us);
	turn_rig_run(&R, SL_SEC);
	CHECK_STR(R.why[SL_TURN_EV_LOST], "connection reset");
}

TEST(a_closed_allocation_is_given_back_and_that_is_repeated_until_it_is_heard)
{
	start_up();
	sl_turn_close(&R.turn, R.now_us);
	turn_rig_run(&R, SL_SEC);
	CHECK(!R.server.allocated);
	CHECK_EQ(R.told[SL_TURN_EV_CLOSED], 1);
	start_up();
	R.loss_percent = 100;
	sl_turn_close(&R.turn, R.now_us);
	turn_rig_run(&R, 200 * SL_MS);
	R.loss_percent = 0;
	turn_rig_run(&R, SL_SEC);
	CHECK(!R.server.allocated);
	CHECK_EQ(R.told[SL_TURN_EV_CLOSED], 1);
	start_up();
	R.server.silent = true;
	sl_turn_close(&R.turn, R.now_us);
	turn_rig_run(&R, 4 * SL_SEC);
	CHECK_EQ(R.told[SL_TURN_EV_CLOSED], 1);
	CHECK_EQ(R.told[SL_TURN_EV_LOST], 0);
}

TEST(closing_before_there_is_an_allocation_is_told_at_once)
{
	start(false, 4);
	sl_turn_close(&R.turn, R.now_us);
	turn_rig_run(&R, 0);
	CHECK_EQ(R.told[SL_TURN_EV_CLOSED], 1);
	CHECK_EQ(R.server.requests[STUN_ALLOCATE], 0);
}

/* ---- peers ---- */

TEST(data_goes_by_send_indications_until_the_channel_is_bound)
{
	struct sl_addr peer;

	start_up();
	peer = turn_rig_peer(&R, 1, 5000);
	CHECK_EQ(sl_turn_use(&R.turn, &peer, R.now_us), SL_OK);
	CHECK_EQ(turn_rig_send(&R, &peer, "first", 5), 36);
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(R.server.sent, 1);
	CHECK_EQ(R.server.last_len, 5);
	CHECK_EQ(turn_rig_send(&R, &peer, "second!", 7), 4);
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(R.server.channel_data, 1);
	CHECK_EQ(R.server.last_len, 7);
	CHECK_BYTES(R.server.last, "second!", 7);
}

TEST(data_of_peers_comes_by_either_way_from_where_it_lay)
{
	struct sl_addr peer, other;

	start_up();
	peer = turn_rig_peer(&R, 1, 5000);
	other = turn_rig_peer(&R, 1, 6000); /* same address, another port: permitted as well */
	CHECK_EQ(sl_turn_use(&R.turn, &peer, R.now_us), SL_OK);
	turn_rig_run(&R, SL_SEC);
	turn_rig_peer_says(&R, &peer, "by channel", 10);
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(R.data_in, 1);
	CHECK(sl_addr_eq(&R.data_peer, &peer));
	CHECK_EQ(R.data_len, 10);
	CHECK_BYTES(R.data, "by channel", 10);
	turn_rig_peer_says(&R, &other, "by indication", 13);
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(R.data_in, 2);
	CHECK(sl_addr_eq(&R.data_peer, &other));
	CHECK_BYTES(R.data, "by indication", 13);
}

TEST(over_a_stream_channel_data_is_padded_to_four_bytes)
{
	uint8_t head[SL_TURN_HEAD];
	struct sl_addr peer;
	size_t tail;

	start(true, 4);
	turn_rig_up(&R);
	peer = turn_rig_peer(&R, 1, 5000);
	CHECK_EQ(sl_turn_use(&R.turn, &peer, R.now_us), SL_OK);
	turn_rig_run(&R, SL_SEC);
	for (size_t len = 1; len < 9; len++) {
		CHECK_EQ(sl_turn_wrap(&R.turn, &peer, len, head, &tail), 4);
		CHECK_EQ((len + tail) % 4, 0);
		CHECK_EQ(turn_rig_send(&R, &peer, "12345678", len), 4);
	}
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(R.server.channel_data, 8);
}

TEST(permissions_are_asked_for_together_and_once)
{
	start_up();
	R.loss_percent = 100; /* the first one goes out alone */
	for (uint8_t i = 1; i <= 20; i++) {
		struct sl_addr peer = turn_rig_peer(&R, i, 5000);

		CHECK_EQ(sl_turn_permit(&R.turn, &peer, R.now_us), SL_OK);
		CHECK_EQ(sl_turn_permit(&R.turn, &peer, R.now_us), SL_OK);
	}
	R.loss_percent = 0;
	turn_rig_run(&R, 2 * SL_SEC);
	CHECK_EQ(R.server.requests[STUN_CREATE_PERMISSION], 4); /* 1, 8, 8 and 3 */
	for (uint8_t i = 1; i <= 20; i++) {
		struct sl_addr peer = turn_rig_peer(&R, i, 5000);

		turn_rig_send(&R, &peer, "x", 1);
	}
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(R.server.sent, 20);
}

TEST(a_peer_that_the_server_forbids_does_not_spoil_it_for_the_others)
{
	struct sl_addr bad, good;

	start_up();
	R.server.forbidden = 9;
	for (uint8_t i = 1; i <= 12; i++) {
		struct sl_addr peer = turn_rig_peer(&R, i, 5000);

		CHECK_EQ(sl_turn_permit(&R.turn, &peer, R.now_us), SL_OK);
	}
	turn_rig_run(&R, 3 * SL_SEC);
	bad = turn_rig_peer(&R, 9, 5000);
	CHECK_EQ(R.told[SL_TURN_EV_REFUSED], 1);
	CHECK_EQ(R.event[SL_TURN_EV_REFUSED].code, 403);
	CHECK(R.event[SL_TURN_EV_REFUSED].peer.ip[3] == 9);
	CHECK_EQ(turn_rig_send(&R, &bad, "x", 1), SL_ENOTFOUND);
	CHECK_EQ(sl_turn_permit(&R.turn, &bad, R.now_us), SL_EAUTH);
	for (uint8_t i = 1; i <= 12; i++) {
		good = turn_rig_peer(&R, i, 5000);
		if (i != 9)
			CHECK_EQ(turn_rig_send(&R, &good, "x", 1), 36);
	}
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(R.server.sent, 11);
	CHECK_EQ(R.server.refused, 0);
}

TEST(a_server_without_channels_relays_by_send_indications)
{
	struct sl_addr peer;

	start_up();
	R.server.error[STUN_CHANNEL_BIND] = 508;
	peer = turn_rig_peer(&R, 1, 5000);
	CHECK_EQ(sl_turn_use(&R.turn, &peer, R.now_us), SL_OK);
	turn_rig_run(&R, 60 * SL_SEC);
	CHECK_EQ(R.server.requests[STUN_CHANNEL_BIND], 1);
	CHECK_EQ(turn_rig_send(&R, &peer, "x", 1), 36);
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(R.server.sent, 1);
}

TEST(the_number_of_a_channel_means_another_peer_only_after_its_rest)
{
	struct sl_addr peer;

	start_up();
	for (uint8_t i = 1; i <= SL_TURN_CHANNELS; i++) {
		peer = turn_rig_peer(&R, i, 5000);
		CHECK_EQ(sl_turn_use(&R.turn, &peer, R.now_us), SL_OK);
		turn_rig_run(&R, SL_SEC);
		CHECK_EQ(turn_rig_send(&R, &peer, "x", 1), 4);
	}
	peer = turn_rig_peer(&R, 99, 5000);
	CHECK_EQ(sl_turn_use(&R.turn, &peer, R.now_us), SL_EFULL);
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(turn_rig_send(&R, &peer, "x", 1), 36);
	turn_rig_run(&R, 900 * SL_SEC);
	CHECK_EQ(sl_turn_use(&R.turn, &peer, R.now_us), SL_OK);
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(turn_rig_send(&R, &peer, "x", 1), 4);
	turn_rig_run(&R, SL_SEC);
	CHECK(sl_addr_eq(&R.server.last_peer, &peer));
	CHECK_EQ(R.server.refused, 0);
}

TEST(peers_that_cannot_be_relayed_to_are_refused)
{
	struct sl_addr peer;

	start_up();
	CHECK_EQ(sl_addr_parse(SL_STR("[2001:db8::1]:5000"), &peer), SL_OK);
	CHECK_EQ(sl_turn_permit(&R.turn, &peer, R.now_us), SL_EUNSUPPORTED);
	peer = sl_addr_v4(0, 0, 0, 0, 5000);
	CHECK_EQ(sl_turn_permit(&R.turn, &peer, R.now_us), SL_EUNSUPPORTED);
	peer = sl_addr_v4(224, 0, 0, 1, 5000);
	CHECK_EQ(sl_turn_permit(&R.turn, &peer, R.now_us), SL_EUNSUPPORTED);
	peer = sl_addr_v4(198, 51, 100, 1, 0);
	CHECK_EQ(sl_turn_permit(&R.turn, &peer, R.now_us), SL_EUNSUPPORTED);
	for (uint8_t i = 1; i <= SL_TURN_PEERS; i++) {
		peer = turn_rig_peer(&R, i, 5000);
		CHECK_EQ(sl_turn_permit(&R.turn, &peer, R.now_us), SL_OK);
	}
	peer = turn_rig_peer(&R, 200, 5000);
	CHECK_EQ(sl_turn_permit(&R.turn, &peer, R.now_us), SL_EFULL);
}

/* ---- hostile bytes ---- */

TEST(t48_data_from_anywhere_but_the_server_is_not_looked_at)
{
	static const uint8_t data[] = {0x40, 0, 0, 1, 'x'};
	struct sl_path path;
	struct sl_addr peer;

	start_up();
	peer = turn_rig_peer(&R, 1, 5000);
	CHECK_EQ(sl_turn_use(&R.turn, &peer, R.now_us), SL_OK);
	turn_rig_run(&R, SL_SEC);
	CHECK_EQ(turn_rig_give(&R, data, sizeof(data)), 1);
	path = R.path;
	path.remote.port++;
	CHECK_EQ(turn_rig_give_path(&R, &path, data, sizeof(data)), SL_EAUTH);
	path = R.path;
	path.sock++;
	CHECK_EQ(turn_rig_give_path(&R, &path, data, sizeof(data)), SL_EAUTH);
	CHECK_EQ(R.data_in, 1);
}

TEST(t48_channel_data_with_wrong_lengths_or_numbers_is_dropped)
{
	static const struct {
		uint8_t bytes[12];
		size_t len;
		int want;
	} cases[] = {
		{{0x40}, 1, SL_EPARSE},
		{{0x40, 0, 0}, 3, SL_EPARSE},
		{{0x40, 0, 0, 0}, 4, SL_OK},	      /* nothing said */
		{{0x40, 0, 0, 2, 'x'}, 5, SL_EPARSE}, /* longer than the datagram */
		{{0x40, 0, 0xff, 0xff, 'x'}, 5, SL_EPARSE},
		{{0x40, 0, 0, 1, 'x', 0, 0, 0}, 8, 1}, /* padded */
		{{0x40, 0, 0, 1, 'x', 0, 0, 0, 0}, 9, SL_EPARSE},
		{{0x40, 1, 0, 1, 'x'}, 5, SL_ENOTFOUND}, /* no such channel */
		{{0x40, 8, 0, 1, 'x'}, 5, SL_ENOTFOUND},
		{{0x7f, 0xff, 0, 1, 'x'}, 5, SL_ENOTFOUND},
	};
	struct sl_addr peer;

	start_up();
	peer = turn_rig_peer(&R, 1, 5000);
	CHECK_EQ(sl_turn_use(&R.turn, &peer, R.now_us), SL_OK);
	turn_rig_run(&R, SL_SEC);
	for (size_t i = 0; i < SL_COUNT(cases); i++)
		CHECK_EQ(turn_rig_give(&R, cases[i].bytes, cases[i].len), cases[i].want);
	CHECK_EQ(R.data_in, 1);
}

static size_t indication(uint32_t has, uint16_t method, const struct sl_addr *peer, uint8_t *out,
			 size_t cap)
{
	struct sl_stun m = {.class_ = SL_STUN_INDICATION,
			    .method = method,
			    .has = has,
			    .peers = peer,
			    .peer_count = 1,
			    .payload = SL_STR("payload")};
	int n = stun_write(&m, NULL, 0, out, cap);

	CHECK(n > 0);
	return (size_t)n;
}

TEST(t48_data_indications_of_strangers_or_without_their_attributes_are_dropped)
{
	struct sl_addr peer, stranger;
	uint8_t out[128];

	start_up();
	peer = turn_rig_peer(&R, 1, 5000);
	stranger = turn_rig_peer(&R, 2, 5000);
	CHECK_EQ(sl_turn_permit(&R.turn, &peer, R.now_us), SL_OK);
	turn_rig_run(&R, SL_SEC);
	size_t n = indication(STUN_PEER | STUN_DATA_ATTR, STUN_DATA, &stranger, out, sizeof(out));
	CHECK_EQ(turn_rig_give(&R, out, n), SL_ENOTFOUND);
	n = indication(STUN_PEER, STUN_DATA, &peer, out, sizeof(out));
	CHECK_EQ(turn_rig_give(&R, out, n), SL_EPARSE);
	n = indication(STUN_DATA_ATTR, STUN_DATA, &peer, out, sizeof(out));
	CHECK_EQ(turn_rig_give(&R, out, n), SL_EPARSE);
	n = indication(STUN_PEER | STUN_DATA_ATTR, STUN_SEND, &peer, out, sizeof(out));
	CHECK_EQ(turn_rig_give(&R, out, n), SL_EPARSE);
	n = indication(STUN_PEER | STUN_DATA_ATTR, STUN_DATA, &peer, out, sizeof(out));
	CHECK_EQ(turn_rig_give(&R, out, n), 1);
	CHECK_EQ(R.data_in, 1);
}

TEST(t48_an_answer_to_nothing_that_was_asked_changes_nothing)
{
	struct sl_stun m = {.class_ = SL_STUN_ERROR,
			    .method = STUN_REFRESH,
			    .has = STUN_ERROR_CODE,
			    .error_code = 437};
	uint8_t out[128];
	int n = stun_write(&m, NULL, 0, out, sizeof(out));

	start_up();
	CHECK_EQ(turn_rig_give(&R, out, (size_t)n), SL_ENOTFOUND);
	CHECK(sl_turn_is_up(&R.turn));
}

TEST(t24_no_truncation_of_an_answer_is_taken_for_one)
{
	struct turn_rig_dgram d;

	start(false, 4);
	turn_rig_run(&R, 15 * SL_MS); /* the challenge is on its way */
	CHECK_EQ(R.queued, 1);
	d = R.queue[0];
	CHECK(!d.to_server);
	for (size_t n = 0; n < d.len; n++)
		CHECK_EQ(turn_rig_give(&R, d.data, n), SL_EPARSE);
	CHECK_EQ(R.turn.realm_known, false);
}

TEST(t24_turn_attributes_of_a_wrong_size_are_refused)
{
	static const struct {
		uint16_t type, len;
		bool ok;
	} cases[] = {
		{0x000c, 4, true},   {0x000c, 2, false},   {0x000d, 4, true},
		{0x000d, 8, false},  {0x0012, 4, false},   {0x0012, 6, false},
		{0x0016, 24, false}, {0x0013, 0, true},	   {0x0013, 900, true},
		{0x0014, 763, true}, {0x0014, 764, false}, {0x0015, 764, false},
	};

	for (size_t i = 0; i < SL_COUNT(cases); i++) {
		uint8_t buf[1500] = {0};
		struct sl_wr w = sl_wr(buf, sizeof(buf));
		size_t padded = (cases[i].len + 3U) / 4 * 4;
		struct sl_stun m;

		sl_wr16(&w, 0x0103);
		sl_wr16(&w, (uint16_t)(4 + padded));
		sl_wr32(&w, STUN_COOKIE);
		sl_wr_zeros(&w, 12);
		sl_wr16(&w, cases[i].type);
		sl_wr16(&w, cases[i].len);
		sl_wr_zeros(&w, padded);
		CHECK_EQ(stun_read_turn(buf, sl_wr_len(&w), &m), cases[i].ok ? SL_OK : SL_EPARSE);
	}
}

TEST(t24_what_is_written_for_turn_reads_back)
{
	struct sl_addr peer = sl_addr_v4(198, 51, 100, 1, 5000);
	struct sl_stun back, m = {
				     .class_ = SL_STUN_REQUEST,
				     .method = STUN_CHANNEL_BIND,
				     .has = STUN_REALM | STUN_NONCE | STUN_CHANNEL | STUN_LIFETIME |
					    STUN_PEER | STUN_DATA_ATTR | STUN_RELAYED |
					    STUN_TRANSPORT | STUN_FAMILY | STUN_FINGERPRINT,
				     .realm = SL_STR("r"),
				     .nonce = SL_STR("nonce"),
				     .channel = 0x4fff,
				     .lifetime_s = 777,
				     .peers = &peer,
				     .peer_count = 1,
				     .payload = SL_STR("payload"),
				     .family = 6,
			     };
	uint8_t buf[512];
	int n;

	CHECK_EQ(sl_addr_parse(SL_STR("[2001:db8::5]:50000"), &m.relayed), SL_OK);
	n = stun_write(&m, NULL, 0, buf, sizeof(buf));
	CHECK(n > 0);
	CHECK_EQ(stun_read_turn(buf, (size_t)n, &back), SL_OK);
	CHECK_EQ(back.has, m.has);
	CHECK(sl_str_eq(back.realm, m.realm) && sl_str_eq(back.nonce, m.nonce));
	CHECK(sl_str_eq(back.payload, m.payload));
	CHECK(sl_addr_eq(&back.peer, &peer) && sl_addr_eq(&back.relayed, &m.relayed));
	CHECK_EQ(back.channel, 0x4fff);
	CHECK_EQ(back.lifetime_s, 777);
	CHECK_EQ(back.family, 6);
	/* For an ICE agent they are attributes that it does not know. */
	CHECK_EQ(stun_read(buf, (size_t)n, &back), SL_OK);
	CHECK_EQ(back.unknown_count, STUN_UNKNOWN_MAX);
}
