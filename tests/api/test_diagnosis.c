/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rest.h"
#include "tests/test.h"

static char said[API_SENTENCE_MAX];

static struct sl_transport_stats st;
static struct api_facts f;

/* A publisher and a player of one peer, connected for a minute, to whom nothing is wrong. */
static void all_well(void)
{
	st = (struct sl_transport_stats){
		.ice_state = "connected",
		.dtls_state = "connected",
		.srtp = "SRTP_AEAD_AES_128_GCM",
		.path_found = true,
		.age_us = 60 * SL_SEC,
		.pair_count = 1,
		.track_count = 2,
	};
	st.info.connected = true;
	st.info.rx_packets = st.info.tx_packets = 6000;
	st.pairs[0] = (struct sl_pair_stats){.checks_in = 20, .selected = true, .valid = true};
	st.tracks[0] = (struct sl_track_stats){
		.id = 1, .publish = true, .kind = SL_VIDEO, .packets = 6000, .bps = 900000};
	st.tracks[1] =
		(struct sl_track_stats){.id = 2, .kind = SL_VIDEO, .publisher = 7, .packets = 6000};
	f = (struct api_facts){
		.st = &st, .address = "192.0.2.1:10000", .ended_detail = "", .room_publishers = 1};
	api_flow_of(&st, 0, &f.flow);
}

/* A player only. */
static void player_only(void)
{
	all_well();
	st.tracks[0] = st.tracks[1];
	st.track_count = 1;
	api_flow_of(&st, 0, &f.flow);
}

static void not_connected(void)
{
	all_well();
	st.info = (struct sl_transport_info){0};
	st.ice_state = "new";
	st.dtls_state = "new";
	st.path_found = false;
	st.pairs[0] = (struct sl_pair_stats){0};
	st.age_us = 10 * SL_SEC;
}

static void ended(enum sl_close_cause cause, const char *detail)
{
	all_well();
	f.st = NULL;
	f.ended = cause;
	f.ended_detail = detail;
}

static const char *cause(void)
{
	const char *word = api_diagnose(&f, said);

	CHECK(said[0] && strlen(said) < API_SENTENCE_MAX - 1);
	return word;
}

#define SAYS(word, text)                                                                           \
	do {                                                                                       \
		CHECK_STR(cause(), word);                                                          \
		CHECK_STR(said, text);                                                             \
	} while (0)

TEST(all_is_well_when_nothing_is_wrong)
{
	all_well();
	SAYS("well", "All is well.");
	player_only();
	SAYS("well", "All is well.");
}

TEST(a_fingerprint_that_differs_is_told_apart_from_other_dtls_failures)
{
	ended(SL_CLOSE_DTLS,
	      "the peer's certificate is not the one whose fingerprint was signalled");
	SAYS("fingerprint_differs",
	     "The certificate that the peer showed is not the one whose fingerprint its SDP "
	     "announced: "
	     "something between rewrote the SDP or the media path, or the client mixes two "
	     "connections. Send the offer of the same RTCPeerConnection that connects, over "
	     "https.");
	ended(SL_CLOSE_DTLS, "the peer did not complete the DTLS handshake in time");
	SAYS("dtls_failed", "ICE found a way, but the encryption handshake failed: the peer did "
			    "not complete the DTLS "
			    "handshake in time. Look for a firewall that lets STUN through and "
			    "drops DTLS, or a client "
			    "that cannot speak DTLS 1.2 with SRTP.");
	ended(SL_CLOSE_DTLS, "");
	CHECK_STR(cause(), "dtls_failed");
	CHECK(strstr(said, "failed: it did not finish."));
}

TEST(a_session_that_is_over_says_how_it_ended)
{
	ended(SL_CLOSE_NEVER_CONNECTED, "");
	SAYS("never_connected", "The peer never connected: no connectivity check got through "
				"before ice.timeout. Can it "
				"reach 192.0.2.1:10000 by UDP? Behind NAT set media.announce to "
				"the public address, and "
				"let that UDP port through the firewall.");
	ended(SL_CLOSE_TIMEOUT, "");
	SAYS("timed_out", "The peer fell silent for longer than ice.timeout: it lost its network, "
			  "was suspended, or "
			  "ended without saying so. It has to connect anew.");
	ended(SL_CLOSE_BY_PEER, "");
	SAYS("closed_by_peer", "The peer ended the connection itself, in order.");
	ended(SL_CLOSE_REQUESTED, "");
	SAYS("closed",
	     "The session was ended here: by its client's request, by an operator, or by the "
	     "server's end.");
	ended(SL_CLOSE_BUG, "");
	SAYS("closed",
	     "The session was ended by an error of the server's own: please report it with "
	     "the log.");
}

TEST(a_young_session_is_still_connecting)
{
	not_connected();
	st.age_us = SL_SEC;
	SAYS("connecting",
	     "It began a moment ago and is still connecting: look again in a few seconds.");
}

TEST(without_a_check_the_address_or_a_firewall_is_to_blame)
{
	not_connected();
	SAYS("no_checks", "No connectivity check ever arrived. Can the peer reach 192.0.2.1:10000 "
			  "by UDP? Behind NAT "
			  "set media.announce to the public address, and let that UDP port through "
			  "the firewall.");
	st.pair_count = 0;
	CHECK_STR(cause(), "no_checks");
	st.drops[SL_DROP_stun] = 12;
	SAYS("wrong_credentials",
	     "Connectivity checks arrive, but with wrong credentials (12 of them): the client uses "
	     "another ice-ufrag and ice-pwd than the answer gave it. Apply the newest answer, and "
	     "only "
	     "that.");
}

TEST(checks_of_ours_without_an_answer_are_told)
{
	not_connected();
	st.pairs[0].checks_out = 9;
	SAYS("no_answer", "9 connectivity checks were sent and none was answered, nor did any "
			  "arrive: UDP between "
			  "192.0.2.1:10000 and the peer's candidates is blocked. Open it, or give "
			  "the client a TURN "
			  "server (ice.servers).");
	st.pairs[0].answers_in = 1;
	CHECK_STR(cause(), "no_dtls");
}

TEST(checks_without_dtls_are_told_with_the_step_that_was_reached)
{
	not_connected();
	st.pairs[0].checks_in = 4;
	st.path_found = true;
	SAYS("no_dtls", "Connectivity checks arrive, but the DTLS handshake does not finish (hello "
			"awaited): a "
			"firewall may let STUN through and drop DTLS, or the network may drop "
			"large datagrams.");
	st.dtls_state = "connecting";
	CHECK_STR(cause(), "no_dtls");
	CHECK(strstr(said, "(handshake)"));
	CHECK_STR(api_dtls_step(&st), "handshake");
	st.path_found = false;
	st.dtls_state = "new";
	CHECK_STR(api_dtls_step(&st), "no way found yet");
}

TEST(silence_of_a_connected_peer_is_told)
{
	all_well();
	st.info.silent_us = 8 * SL_SEC;
	SAYS("silent", "Nothing has come from the peer for 8 s, not even a connectivity check: it "
		       "lost its network "
		       "or is suspended. After ice.timeout it is gone.");
}

TEST(packets_that_fail_their_authentication_are_told)
{
	all_well();
	st.drops[SL_DROP_forged] = 700;
	SAYS("authentication_fails",
	     "700 packets fail their authentication: the peer encrypts with other keys than the "
	     "handshake gave, or something on the way changes packets. Reconnect; if it stays, "
	     "look at "
	     "the middlebox.");
	/* A few are anybody's noise. */
	st.drops[SL_DROP_forged] = 99;
	CHECK_STR(cause(), "well");
}

TEST(a_player_without_the_codec_is_told)
{
	all_well();
	st.tracks[1].mismatch = true;
	SAYS("no_common_codec", "There is no codec in common: the player cannot take the video "
				"that its publisher sends. "
				"Let the publisher send VP8 or constrained-baseline H264, or set "
				"the room's codecs so that "
				"all must.");
}

TEST(packets_that_were_not_negotiated_are_told)
{
	all_well();
	st.drops[SL_DROP_unknown_pt] = 500;
	st.drops[SL_DROP_unknown_ssrc] = 300;
	SAYS("not_negotiated", "800 RTP packets are of a payload type or source that was not "
			       "negotiated: the client sends "
			       "other than its offer says. Send only what the answer took.");
}

TEST(a_publisher_that_sends_nothing_is_told)
{
	all_well();
	st.tracks[0].packets = 0;
	st.tracks[0].silent_us = -1;
	SAYS("sends_nothing", "The publisher is connected but has sent no media: its camera and "
			      "microphone may be off, "
			      "taken by another program, or not permitted to the page.");
	st.tracks[0].packets = 10;
	st.tracks[0].silent_us = 5 * SL_SEC;
	CHECK_STR(cause(), "sends_nothing");
	CHECK(strstr(said, "sends no media any more"));
	/* One of two that still sends is enough: a muted camera is no fault. */
	st.tracks[1] = st.tracks[0];
	st.tracks[1].silent_us = 0;
	CHECK_STR(cause(), "well");
}

TEST(what_was_muted_by_request_is_told)
{
	all_well();
	st.tracks[0].paused = st.tracks[1].paused = true;
	SAYS("muted",
	     "All is connected, but every track is muted or paused by request. PATCH it with "
	     "false to let it go on.");
}

TEST(a_player_of_nobody_is_told)
{
	player_only();
	st.tracks[0].publisher = 0;
	SAYS("nobody_sends",
	     "The player is connected and waits: nobody whom it may play sends what it "
	     "can take.");
	f.room_publishers = 0;
	SAYS("nobody_sends", "The player is connected and waits: nobody publishes in the room.");
	player_only();
	st.tracks[0].packets = 0;
	SAYS("nobody_sends",
	     "The player is connected, but those whom it plays send nothing: see their "
	     "sessions' diagnoses.");
	player_only();
	st.tracks[0].packets = 0;
	st.tracks[0].waiting = true;
	CHECK_STR(cause(), "waiting_for_keyframe");
	player_only();
	st.tracks[0].silent_us = API_SILENT_US;
	CHECK_STR(cause(), "nobody_sends");
}

TEST(loss_is_told_with_its_direction)
{
	all_well();
	f.flow = (struct api_flow){.up_packets = 950, .up_lost = 50, .down_packets = 1000};
	SAYS("loss_upstream",
	     "5.0 % of the packets from the publisher to the server are lost: its uplink is "
	     "overloaded "
	     "or its Wi-Fi is poor. A lower max_video_bps of the session, or a cable, helps.");
	f.flow = (struct api_flow){.up_packets = 1000, .down_packets = 1000, .down_lost = 100};
	SAYS("loss_downstream",
	     "10.0 % of the packets from the server to the player are lost: its downlink is "
	     "overloaded "
	     "or its Wi-Fi is poor. Pause subscriptions, or lower the room's max_video_bps.");
	f.flow = (struct api_flow){
		.up_packets = 990, .up_lost = 10, .down_packets = 1000, .down_lost = 10};
	CHECK_STR(cause(), "well");
	/* Too few to say. */
	f.flow = (struct api_flow){.up_packets = 10, .up_lost = 10};
	CHECK_STR(cause(), "well");
}

TEST(a_picture_at_its_cap_says_whose_cap_that_is)
{
	all_well();
	st.tracks[0].cap_bps = 1000000;
	f.cap_by = "the room's max_video_bps, which its cameras share";
	SAYS("capped",
	     "The picture has all that it may take: 1000 kb/s, by the room's max_video_bps, "
	     "which its cameras share. Raise that for a better one.");
	st.tracks[0].bps = 500000;
	CHECK_STR(cause(), "well");
}

TEST(a_wait_for_a_key_frame_is_told)
{
	all_well();
	st.tracks[1].waiting = true;
	SAYS("waiting_for_keyframe", "The player waits for a key frame, without which nothing can "
				     "be shown; it has been asked "
				     "for. If it stays so, the publisher does not answer PLI: set "
				     "a key-frame interval in its "
				     "encoder.");
}

TEST(every_rule_of_the_diagnosis_has_a_word_of_its_own)
{
	for (size_t i = 0; api_diagnosis_cause(i); i++)
		for (size_t k = 0; k < i; k++)
			CHECK(strcmp(api_diagnosis_cause(i), api_diagnosis_cause(k)) != 0);
}

TEST(what_was_lost_before_the_last_look_does_not_count_any_more)
{
	struct api_flow then = {.up_packets = 1000, .up_lost = 500, .down_packets = 10}, now, since;

	all_well();
	st.tracks[0].packets = 2000;
	st.tracks[0].lost = 501;
	st.tracks[1].packets = 5;
	api_flow_of(&st, 0, &now);
	api_flow_since(&now, &then, &since);
	CHECK_EQ(since.up_packets, 1000);
	CHECK_EQ(since.up_lost, 1);
	CHECK_EQ(since.down_packets, 0);
}
