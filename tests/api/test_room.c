/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/rig.h"

static char where[64], tag[64], at[8][64], etag[64];

/* Transport and track of the fake, by order of opening. */
static uint64_t track(size_t transport, size_t i)
{
	return rig.core.t[transport].tracks[i];
}

static uint64_t plays(size_t player, size_t line)
{
	return fake_core_route(&rig.core, track(player, line));
}

/* Routes are commands without anybody who waits: in a run without memory they come a little later.
 */
static void settle(void)
{
	for (int i = 0; i < 3 || rig.api->dirty || rig.core.reply_count; i++)
		rig_turn();
}

TEST(a_player_of_an_empty_room_waits_and_then_plays_who_comes)
{
	const struct fake_transport *t;

	RIG();
	play("/whep/studio", 1, 1, where, tag);
	t = &rig.core.t[0];
	CHECK_EQ(t->conf.track_count, 2);
	CHECK(!t->conf.tracks[0].publish && t->conf.tracks[0].ssrc && t->conf.tracks[1].ssrc &&
	      t->conf.tracks[1].rtx_ssrc);
	CHECK(t->conf.tracks[0].ssrc != t->conf.tracks[1].ssrc &&
	      t->conf.tracks[1].ssrc != t->conf.tracks[1].rtx_ssrc);
	CHECK_EQ(rig.core.route_count, 0);
	publish("/whip/studio?participant=ann", at[0], etag);
	settle();
	CHECK_EQ(plays(0, 0), track(1, 0));
	CHECK_EQ(plays(0, 1), track(1, 1));
	CHECK_EQ(ask("DELETE", at[0], "", "")->status, 200);
	settle();
	CHECK_EQ(plays(0, 0), 0);
	CHECK_EQ(plays(0, 1), 0);
}

TEST(lines_are_filled_in_order_of_joining_and_the_next_takes_a_free_place)
{
	static const char *const names[] = {"/whip/studio?participant=ann",
					    "/whip/studio?participant=bob",
					    "/whip/studio?participant=cyd"};

	RIG();
	for (size_t i = 0; i < 3; i++)
		publish(names[i], at[i], etag);
	play("/whep/studio", 2, 2, where, tag);
	settle();
	CHECK_EQ(plays(3, 0), track(0, 0));
	CHECK_EQ(plays(3, 1), track(1, 0));
	CHECK_EQ(plays(3, 2), track(0, 1));
	CHECK_EQ(plays(3, 3), track(1, 1));
	CHECK_EQ(ask("DELETE", at[0], "", "")->status, 200);
	settle();
	CHECK_EQ(plays(3, 0), track(2, 0));
	CHECK_EQ(plays(3, 2), track(2, 1));
	CHECK_EQ(plays(3, 1), track(1, 0));
	CHECK_EQ(ask("DELETE", at[1], "", "")->status, 200);
	settle();
	CHECK_EQ(plays(3, 1), 0);
	CHECK_EQ(plays(3, 3), 0);
	CHECK_EQ(plays(3, 0), track(2, 0));
}

TEST(audio_and_video_of_one_participant_stay_together)
{
	RIG();
	CHECK_EQ(ask("POST", "/whip/studio?participant=voice", SDP_HEADERS, offer("sendonly", 1, 0))
			 ->status,
		 201);
	publish("/whip/studio?participant=ann", at[0], etag);
	play("/whep/studio", 2, 2, where, tag);
	settle();
	CHECK_EQ(plays(2, 0), track(0, 0));
	CHECK_EQ(plays(2, 2), 0);
	CHECK_EQ(plays(2, 1), track(1, 0));
	CHECK_EQ(plays(2, 3), track(1, 1));
}

TEST(a_slot_skips_who_has_nothing_for_it)
{
	RIG();
	CHECK_EQ(ask("POST", "/whip/studio?participant=voice", SDP_HEADERS, offer("sendonly", 1, 0))
			 ->status,
		 201);
	publish("/whip/studio?participant=ann", at[0], etag);
	play("/whep/studio", 0, 1, where, tag);
	settle();
	CHECK_EQ(plays(2, 0), track(1, 1));
}

TEST(a_player_of_one_participant_waits_for_that_one)
{
	RIG();
	publish("/whip/studio?participant=ann", at[0], etag);
	play("/whep/studio/bob", 1, 1, where, tag);
	settle();
	CHECK_EQ(rig.core.route_count, 0);
	publish("/whip/studio?participant=bob", at[1], etag);
	settle();
	CHECK_EQ(plays(1, 0), track(2, 0));
	CHECK_EQ(plays(1, 1), track(2, 1));
	CHECK_EQ(ask("DELETE", at[1], "", "")->status, 200);
	settle();
	CHECK_EQ(plays(1, 0), 0);
}

TEST(rooms_do_not_hear_each_other)
{
	RIG();
	publish("/whip/one", at[0], etag);
	play("/whep/two", 1, 1, where, tag);
	settle();
	CHECK_EQ(rig.core.route_count, 0);
	CHECK_EQ(rig.api->room_count, 2);
}

TEST(a_route_that_core_is_too_busy_for_is_set_later)
{
	RIG();
	play("/whep/studio", 1, 1, where, tag);
	rig.core.hold = true;
	{
		struct client *c = client_new();
		const char *sdp = offer("sendonly", 1, 1);

		client_say(c,
			   "POST /whip/studio HTTP/1.1\r\nHost: localhost\r\n" SDP_HEADERS
			   "Content-Length: %zu\r\n\r\n%s",
			   strlen(sdp), sdp);
		RIG_UNTIL(rig.core.reply_count == 1 || !client_poll(c));
		if (rig.core.reply_count == 0)
			(void)client_answer(c);
		rig.core.refuse = SL_EBUSY;
		rig.core.hold = false;
		fake_core_release(&rig.core);
		CHECK_EQ(client_answer(c)->status, 201);
	}
	CHECK_EQ(rig.core.route_count, 0);
	rig.core.refuse = 0;
	RIG_UNTIL(rig.core.route_count == 2);
	CHECK_EQ(plays(0, 0), track(1, 0));
}

TEST(without_auto_create_a_room_that_is_not_there_is_404)
{
	rig_init();
	rig.conf.rooms.auto_create = false;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	CHECK_EQ(ask("POST", "/whep/studio", SDP_HEADERS, offer("recvonly", 1, 1))->status, 404);
	CHECK_EQ(ask("POST", "/whip/studio", SDP_HEADERS, offer("sendonly", 1, 1))->status, 404);
	CHECK_EQ(rig.api->room_count, 0);
}

TEST(a_room_lingers_after_its_last_user_and_then_goes)
{
	rig_init();
	rig.conf.rooms.linger_us = 50 * SL_MS;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	publish("/whip/studio", where, tag);
	play("/whep/studio", 1, 1, at[0], etag);
	CHECK_EQ(ask("DELETE", where, "", "")->status, 200);
	CHECK(!api_room_find(rig.api, "studio")->empty_us);
	CHECK_EQ(ask("DELETE", at[0], "", "")->status, 200);
	CHECK_EQ(rig.api->room_count, 1);
	RIG_UNTIL(rig.api->room_count == 0);
}

TEST(a_room_that_is_used_again_does_not_go)
{
	RIG();
	publish("/whip/studio", where, tag);
	CHECK_EQ(ask("DELETE", where, "", "")->status, 200);
	CHECK(api_room_find(rig.api, "studio")->empty_us != 0);
	publish("/whip/studio", where, tag);
	CHECK(api_room_find(rig.api, "studio")->empty_us == 0);
	CHECK(sl_list_empty(&rig.api->empty_rooms));
}

TEST(an_empty_room_makes_way_for_a_new_one)
{
	rig_init();
	rig.conf.rooms.max = 1;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	publish("/whip/one", where, tag);
	CHECK_EQ(ask("POST", "/whip/two", SDP_HEADERS, offer("sendonly", 1, 1))->status, 503);
	CHECK_EQ(ask("DELETE", where, "", "")->status, 200);
	publish("/whip/two", where, tag);
	CHECK(!api_room_find(rig.api, "one"));
}

TEST(the_loudest_participant_becomes_the_speaker)
{
	struct sl_core_event ev = {.type = SL_EV_LEVEL, .score = 5000};

	RIG();
	publish("/whip/studio?participant=ann", at[0], etag);
	publish("/whip/studio?participant=bob", at[1], etag);
	ev.tag = rig.core.t[1].conf.tag;
	ev.track = track(1, 0);
	sl_api_event(rig.api, &ev);
	CHECK_EQ(api_room_find(rig.api, "studio")->speaker.current, track(1, 0));
}

TEST(long_names_that_begin_alike_are_different_rooms)
{
	char one[512] = "/whip/", two[512] = "/whip/";

	RIG();
	for (int i = 0; i < 63; i++) {
		strncat(one, "%C3%A9", sizeof(one) - strlen(one) - 1);
		strncat(two, "%C3%A9", sizeof(two) - strlen(two) - 1);
	}
	strncat(one, "1", 2);
	strncat(two, "2", 2);
	publish(one, where, tag);
	publish(two, at[0], etag);
	CHECK_EQ(rig.api->room_count, 2);
}
