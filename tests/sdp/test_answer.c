/* SPDX-License-Identifier: Apache-2.0 — answers to the offers of the field. */
#include "tests/sdp/sdp_test.h"

static struct t_sdp offer, answer;

#define HEAD "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
#define ICE "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n"
#define DTLS "a=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\n"
#define AUDIO "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
#define VIDEO "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n"
#define WHOLE ICE DTLS "a=rtcp-mux\r\n"

static int answer_text(const char *text, enum sl_sdp_role role)
{
	struct sl_sdp_ours ours = t_ours();

	TRY(t_read_z(&offer, text));
	return t_answer(&answer, &offer.sdp, &ours, role);
}

TEST(every_publishers_offer_gets_an_answer_that_reads_again)
{
	static const struct {
		const char *name;
		size_t bundled;
		const char *pts[3], *exts[3];
	} rows[] = {
		{"chromium",
		 2,
		 {"111 63 9 0 8 110 126",
		  "96 97 102 103 104 107 108 109 114 115 116 117 39 40 45 46 98 99 100 101", ""},
		 {"1 2 3 4", "2 13 3 5 6 8 4", ""}},
		{"firefox",
		 2,
		 {"109 9 0 8 101", "120 124 121 125 99 100", ""},
		 {"1 3 7", "3 4 7", ""}},
		{"safari",
		 2,
		 {"111 63 9 0 8 110 126", "96 97 98 99 100 101 102 125 104 124 106 107", ""},
		 {"1 2 3 4", "2 13 3 5 6 8 4", ""}},
		{"obs-whip", 2, {"111", "96", ""}, {"", "", ""}},
		{"aiortc", 2, {"96 0 8", "97 98 99 100 101 102", ""}, {"1 2", "1 3", ""}},
		{"werift", 2, {"96 0", "97 98", ""}, {"1", "1 2", ""}},
		{"pion", 2, {"111 9 0 8", "96 97 102 103 45 46 98 99", ""}, {"4", "1 4", ""}},
		{"webrtcbin", 2, {"96 98", "99", ""}, {"1", "1", ""}},
		{"chromium-simulcast", 1, {"96 97 45 46", "", ""}, {"2 13 3 5 6 8 4 12", "", ""}},
		{"data-first", 1, {"", "96 97", ""}, {"", "2 13 3 5 6 8 4", ""}},
	};
	static struct t_sdp again;

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		const struct sl_sdp *a = &answer.sdp;

		t_answer_file(&offer, &answer, rows[i].name, SL_SDP_PUBLISHER);
		CHECK_EQ(a->media_count, offer.sdp.media_count);
		CHECK_EQ(a->bundle_count, rows[i].bundled);
		for (size_t k = 0; k < a->media_count; k++) {
			CHECK_STR(t_pts(&a->media[k]), rows[i].pts[k]);
			CHECK_STR(t_ext_ids(&a->media[k]), rows[i].exts[k]);
			CHECK(sl_str_eq(a->media[k].mid, offer.sdp.media[k].mid));
			CHECK_EQ(a->media[k].dir,
				 a->media[k].rejected ? SL_SDP_INACTIVE : SL_SDP_RECVONLY);
		}
		TRY(t_read_z(&again, t_text(a)));
		CHECK_EQ(again.sdp.media_count, a->media_count);
	}
}

TEST(the_text_of_an_answer_is_this)
{
	TRY(answer_text(HEAD
			"a=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\n" AUDIO WHOLE
			"a=mid:0\r\na=sendonly\r\n" VIDEO WHOLE
			"a=mid:1\r\na=rtcp-rsize\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n"
			"a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\nm=application 9 "
			"UDP/DTLS/SCTP webrtc-datachannel\r\n" WHOLE "a=mid:2\r\n",
			SL_SDP_PUBLISHER));
	CHECK_STR(t_text(&answer.sdp),
		  "v=0\r\no=- 77 3 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\x20"
		  "1\r\na=ice-lite\r\n"
		  "a=extmap-allow-mixed\r\n"
		  "m=audio 10000 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 192.0.2.1\r\n"
		  "a=candidate:1 1 udp 2130706431 192.0.2.1 10000 typ host\r\n"
		  "a=candidate:2 1 udp 2130706175 2001:db8::1 10000 typ "
		  "host\r\na=end-of-candidates\r\n"
		  "a=ice-ufrag:OURufrag\r\na=ice-pwd:OURpwdOURpwdOURpwdOURpwd\r\na=ice-options:"
		  "trickle\r\n"
		  "a=fingerprint:sha-256 "
		  "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:"
		  "44:55:66:77:88:99\r\na=setup:active\r\na=mid:0\r\na=recvonly\r\na=rtcp-mux\r\na="
		  "rtpmap:0 PCMU/8000\r\n"
		  "m=video 10000 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 192.0.2.1\r\n"
		  "a=ice-ufrag:OURufrag\r\na=ice-pwd:OURpwdOURpwdOURpwdOURpwd\r\na=ice-options:"
		  "trickle\r\n"
		  "a=fingerprint:sha-256 "
		  "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:"
		  "44:55:66:77:88:99\r\na=setup:active\r\na=mid:1\r\n"
		  "a=extmap:4 "
		  "urn:ietf:params:rtp-hdrext:sdes:mid\r\na=recvonly\r\na=rtcp-mux\r\na=rtcp-"
		  "rsize\r\n"
		  "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n"
		  "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 "
		  "0.0.0.0\r\na=mid:2\r\na=inactive\r\n");
}

TEST(a_player_gets_our_tracks_with_their_ssrcs_and_rtx)
{
	const struct sl_sdp_media *audio, *video;

	t_answer_file(&offer, &answer, "whep-player", SL_SDP_PLAYER);
	audio = &answer.sdp.media[0];
	video = &answer.sdp.media[1];
	CHECK(audio->dir == SL_SDP_SENDONLY && video->dir == SL_SDP_SENDONLY);
	CHECK_STR(t_pts(audio), "111 63 0 110 126");
	CHECK_STR(t_pts(video), "96 97 108 109 98 99");
	CHECK_S(audio->msid_stream, "room");
	CHECK_S(audio->msid_track, "trk");
	CHECK_EQ(audio->ssrc_count, 1); /* no RTX was offered for audio */
	CHECK_EQ(audio->ssrcs[0].ssrc, 1000);
	CHECK_EQ(video->ssrc_count, 2);
	CHECK_EQ(video->ssrcs[0].ssrc, 1001);
	CHECK_EQ(video->ssrcs[0].rtx, 2001);
	CHECK(strstr(t_text(&answer.sdp), "a=ssrc-group:FID 1001 2001\r\n"));
	CHECK(strstr(t_text(&answer.sdp), "a=ssrc:2001 msid:room trk\r\n"));
	CHECK(strstr(t_text(&answer.sdp), "a=ssrc:1001 cname:cn\r\n"));
}

TEST(a_simulcast_offer_is_answered_without_simulcast_rids_or_the_rid_extension)
{
	t_answer_file(&offer, &answer, "chromium-simulcast", SL_SDP_PUBLISHER);
	CHECK(!strstr(t_text(&answer.sdp), "simulcast"));
	CHECK(!strstr(t_text(&answer.sdp), "a=rid"));
	CHECK(!strstr(t_text(&answer.sdp), "stream-id"));
}

TEST(rejected_sections_stay_rejected_and_bundled_ones_take_the_tagged_transport)
{
	const struct sl_sdp *a = &answer.sdp;

	t_answer_file(&offer, &answer, "rejected-recycled", SL_SDP_PLAYER);
	CHECK(!a->media[0].rejected && a->media[1].rejected && !a->media[2].rejected);
	CHECK(a->media[3].rejected && !a->media[4].rejected);
	CHECK_EQ(a->media[4].dir, SL_SDP_INACTIVE);
	CHECK_EQ(a->media[4].ssrc_count, 0);
	CHECK_EQ(a->bundle_count, 3);
	CHECK_S(a->bundle[1], "5");
	CHECK_EQ(a->media[2].setup, SL_SDP_ACTIVE);
	CHECK(sl_sdp_transport(&offer.sdp, a) == &offer.sdp.media[0]);
}

TEST(candidates_stand_only_in_the_first_accepted_section_of_the_group)
{
	t_answer_file(&offer, &answer, "data-first", SL_SDP_PUBLISHER);
	CHECK(answer.sdp.media[0].rejected);
	CHECK_EQ(answer.sdp.media[0].port, 0);
	CHECK_EQ(answer.sdp.media[1].cand_count, 2);
	CHECK(answer.sdp.media[1].end_of_candidates);
	CHECK(sl_sdp_transport(&offer.sdp, &answer.sdp) == &offer.sdp.media[1]);
	t_answer_file(&offer, &answer, "chromium", SL_SDP_PUBLISHER);
	CHECK_EQ(answer.sdp.media[0].cand_count, 2);
	CHECK_EQ(answer.sdp.media[1].cand_count, 0);
	CHECK(!answer.sdp.media[1].end_of_candidates);
}

TEST(the_groups_first_mid_carries_the_transport_wherever_it_stands)
{
	TRY(answer_text(
		HEAD
		"a=group:BUNDLE v a\r\n" AUDIO ICE
		"a=fingerprint:sha-256 AA:BB\r\na=setup:active\r\na=rtcp-mux\r\na=mid:a\r\n" VIDEO
		"a=ice-ufrag:wxyz\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n" DTLS
		"a=rtcp-mux\r\na=mid:v\r\n",
		SL_SDP_PUBLISHER));
	CHECK_S(answer.sdp.bundle[0], "v");
	CHECK_EQ(answer.sdp.media[0].cand_count, 0);
	CHECK_EQ(answer.sdp.media[1].cand_count, 2);
	CHECK(sl_sdp_transport(&offer.sdp, &answer.sdp) == &offer.sdp.media[1]);
	CHECK_EQ(answer.sdp.media[0].setup, SL_SDP_ACTIVE);
}

TEST(aiortcs_sections_with_a_ufrag_of_their_own_are_one_transport_the_first)
{
	t_answer_file(&offer, &answer, "aiortc", SL_SDP_PUBLISHER);
	CHECK_EQ(answer.sdp.bundle_count, 2);
	CHECK_S(sl_sdp_transport(&offer.sdp, &answer.sdp)->ufrag, "a0Iq");
}

TEST(the_dtls_role_follows_the_offer_and_our_wish)
{
	static const struct {
		const char *offered;
		bool active;
		enum sl_sdp_setup want;
	} rows[] = {
		{"a=setup:actpass\r\n", true, SL_SDP_ACTIVE},
		{"a=setup:actpass\r\n", false, SL_SDP_PASSIVE},
		{"a=setup:active\r\n", true, SL_SDP_PASSIVE},
		{"a=setup:active\r\n", false, SL_SDP_PASSIVE},
		{"a=setup:passive\r\n", true, SL_SDP_ACTIVE},
		{"a=setup:passive\r\n", false, SL_SDP_ACTIVE},
		{"", true, SL_SDP_PASSIVE},
	};
	struct sl_sdp_ours ours = t_ours();
	char text[512];

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		CHECK(sl_fmt(text, sizeof(text), "%s%s",
			     HEAD AUDIO ICE "a=fingerprint:sha-256 AA:BB\r\na=rtcp-mux\r\n",
			     rows[i].offered));
		ours.dtls_active = rows[i].active;
		TRY(t_read_z(&offer, text));
		TRY(t_answer(&answer, &offer.sdp, &ours, SL_SDP_PUBLISHER));
		CHECK_EQ(answer.sdp.media[0].setup, rows[i].want);
	}
}

TEST(the_direction_answers_the_offers_by_role)
{
	static const struct {
		const char *offered;
		enum sl_sdp_dir publisher, player;
	} rows[] = {
		{"sendrecv", SL_SDP_RECVONLY, SL_SDP_SENDONLY},
		{"sendonly", SL_SDP_RECVONLY, SL_SDP_INACTIVE},
		{"recvonly", SL_SDP_INACTIVE, SL_SDP_SENDONLY},
		{"inactive", SL_SDP_INACTIVE, SL_SDP_INACTIVE},
	};
	char text[512];

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		CHECK(sl_fmt(text, sizeof(text), HEAD AUDIO WHOLE "a=%s\r\n", rows[i].offered));
		TRY(answer_text(text, SL_SDP_PUBLISHER));
		CHECK_EQ(answer.sdp.media[0].dir, rows[i].publisher);
		TRY(answer_text(text, SL_SDP_PLAYER));
		CHECK_EQ(answer.sdp.media[0].dir, rows[i].player);
		CHECK_EQ(answer.sdp.media[0].ssrc_count, rows[i].player == SL_SDP_SENDONLY);
	}
}

#define EXTS                                                                                       \
	"a=extmap:1/sendonly urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"                      \
	"a=extmap:2/recvonly http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n"       \
	"a=extmap:3/inactive urn:3gpp:video-orientation\r\n"                                       \
	"a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"                                       \
	"a=extmap:15 http://www.webrtc.org/experiments/rtp-hdrext/color-space\r\n"                 \
	"a=extmap:6 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"                             \
	"a=extmap:7 urn:x-unknown\r\n"

TEST(extensions_are_answered_only_in_the_direction_of_the_media)
{
	TRY(answer_text(HEAD AUDIO WHOLE EXTS, SL_SDP_PUBLISHER));
	CHECK_STR(t_ext_ids(&answer.sdp.media[0]), "1 4");
	CHECK_EQ(answer.sdp.media[0].exts[0].dir, SL_SDP_RECVONLY);
	CHECK_EQ(answer.sdp.media[0].exts[1].dir, SL_SDP_SENDRECV);
	TRY(answer_text(HEAD AUDIO WHOLE EXTS, SL_SDP_PLAYER));
	CHECK_STR(t_ext_ids(&answer.sdp.media[0]), "2 4");
	CHECK_EQ(answer.sdp.media[0].exts[0].dir, SL_SDP_SENDONLY);
}

TEST(an_extension_id_means_one_thing_over_the_whole_group)
{
	TRY(answer_text(HEAD "a=group:BUNDLE a v\r\n" AUDIO WHOLE "a=mid:a\r\n"
			     "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=extmap:4 "
			     "urn:ietf:params:rtp-hdrext:sdes:mid\r\n" VIDEO WHOLE
			     "a=mid:v\r\na=extmap:1 urn:3gpp:video-orientation\r\n"
			     "a=extmap:5 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:6 "
			     "http://www.webrtc.org/experiments/rtp-hdrext/color-space\r\n",
			SL_SDP_PUBLISHER));
	CHECK_STR(t_ext_ids(&answer.sdp.media[0]), "1 4");
	CHECK_STR(t_ext_ids(&answer.sdp.media[1]), "6");
}

TEST(transport_cc_feedback_is_answered_only_with_its_extension_and_receiver_reports_never)
{
	TRY(answer_text(
		HEAD VIDEO WHOLE
		"a=rtcp-xr:rcvr-rtt=all\r\na=rtcp-fb:96 transport-cc\r\na=rtcp-fb:96 nack\r\n"
		"a=rtcp-fb:96 ccm tmmbr\r\n",
		SL_SDP_PUBLISHER));
	CHECK_EQ(answer.sdp.media[0].codecs[0].fb, SL_FB_NACK);
	TRY(answer_text(HEAD VIDEO WHOLE
			"a=rtcp-fb:96 transport-cc\r\na=extmap:3 http://www.ietf.org/id/"
			"draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n",
			SL_SDP_PUBLISHER));
	CHECK_EQ(answer.sdp.media[0].codecs[0].fb, SL_FB_TWCC);
}

TEST(codecs_that_are_not_allowed_go_with_their_rtx)
{
	struct sl_sdp_ours ours = t_ours();

	memset(ours.codecs, 0, sizeof(ours.codecs));
	ours.codecs[SL_VP8] = ours.codecs[SL_PCMU] = 1;
	t_read_file(&offer, "chromium");
	TRY(t_answer(&answer, &offer.sdp, &ours, SL_SDP_PUBLISHER));
	CHECK_STR(t_pts(&answer.sdp.media[0]), "0 126"); /* no Opus: no RED, no events at 48000 */
	CHECK_STR(t_pts(&answer.sdp.media[1]), "96 97");
	CHECK_EQ(t_codec(&answer.sdp.media[1], 96)->rtx_pt, 97);
}

TEST(payload_types_that_read_as_rtcp_are_left_out)
{
	TRY(answer_text(HEAD "m=video 9 UDP/TLS/RTP/SAVPF 72 73 96 95\r\na=rtpmap:72 "
			     "VP9/90000\r\na=rtpmap:73 rtx/90000\r\n"
			     "a=fmtp:73 apt=72\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:95 "
			     "rtx/90000\r\na=fmtp:95 apt=96\r\n" WHOLE,
			SL_SDP_PUBLISHER));
	CHECK_STR(t_pts(&answer.sdp.media[0]), "96");
	CHECK_EQ(answer.sdp.media[0].codecs[0].rtx_pt, 0);
}

TEST(h264_is_answered_in_every_profile_and_in_packetization_modes_0_and_1)
{
	TRY(answer_text(HEAD "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99\r\na=rtpmap:96 "
			     "H264/90000\r\na=rtpmap:97 H264/90000\r\n"
			     "a=rtpmap:98 H264/90000\r\na=rtpmap:99 H264/90000\r\na=fmtp:97 "
			     "packetization-mode=1;profile-level-id=64001f\r\n"
			     "a=fmtp:98 packetization-mode=2\r\na=fmtp:99 "
			     "packetization-mode=0;profile-level-id=42e01f\r\n" WHOLE,
			SL_SDP_PUBLISHER));
	CHECK_STR(t_pts(&answer.sdp.media[0]), "96 97 99");
	CHECK_S(answer.sdp.media[0].codecs[1].fmtp, "packetization-mode=1;profile-level-id=64001f");
}

TEST(red_goes_only_with_the_opus_that_it_carries)
{
	TRY(answer_text(HEAD "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 62 61\r\na=rtpmap:111 "
			     "opus/48000/2\r\na=rtpmap:63 red/48000/2\r\n"
			     "a=fmtp:63 111/111\r\na=rtpmap:62 red/48000/2\r\na=fmtp:62 "
			     "99/99\r\na=rtpmap:61 red/48000/2\r\n" WHOLE,
			SL_SDP_PUBLISHER));
	CHECK_STR(t_pts(&answer.sdp.media[0]), "111 63");
}

TEST(m_lines_outside_the_bundle_group_are_rejected)
{
	TRY(answer_text(HEAD "a=group:BUNDLE 0\r\n" AUDIO WHOLE "a=mid:0\r\n" VIDEO WHOLE
			     "a=mid:1\r\n",
			SL_SDP_PUBLISHER));
	CHECK(!answer.sdp.media[0].rejected && answer.sdp.media[1].rejected);
	TRY(answer_text(HEAD AUDIO WHOLE VIDEO WHOLE, SL_SDP_PUBLISHER));
	CHECK(!answer.sdp.media[0].rejected && answer.sdp.media[1].rejected);
	CHECK_EQ(answer.sdp.bundle_count, 0);
	CHECK_EQ(answer.sdp.media[0].cand_count, 2);
}

TEST(what_cannot_be_answered_is_said)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{HEAD, "no audio or video"},
		{HEAD "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n" WHOLE,
		 "no audio or video"},
		{HEAD "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n" WHOLE, "port 0"},
		{HEAD "m=audio 9 RTP/AVP 0\r\n" WHOLE, "protocol"},
		{HEAD AUDIO DTLS "a=rtcp-mux\r\n", "a=ice-ufrag"},
		{HEAD AUDIO ICE "a=rtcp-mux\r\n", "a=fingerprint"},
		{HEAD AUDIO ICE DTLS, "a=rtcp-mux"},
		{HEAD AUDIO ICE "a=fingerprint:sha-256 AA:BB\r\na=rtcp-mux\r\na=setup:holdconn\r\n",
		 "holdconn"},
		{HEAD "m=audio 9 UDP/TLS/RTP/SAVPF 99\r\na=rtpmap:99 L16/44100\r\n" WHOLE,
		 "no codec in common"},
		{HEAD
		 "m=audio 9 UDP/TLS/RTP/SAVPF 110\r\na=rtpmap:110 telephone-event/8000\r\n" WHOLE,
		 "no codec in common"},
		{HEAD "m=video 9 UDP/TLS/RTP/SAVPF 118 120\r\na=rtpmap:118 "
		      "red/90000\r\na=rtpmap:120 ulpfec/90000\r\n" WHOLE,
		 "no codec in common"},
		{HEAD "a=group:BUNDLE x\r\n" AUDIO WHOLE "a=mid:0\r\n", "BUNDLE"},
	};

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		CHECK_EQ(answer_text(rows[i].text, SL_SDP_PUBLISHER), SL_EUNSUPPORTED);
		if (!strstr(answer.why.text, rows[i].why))
			sl_test_failed(__FILE__, __LINE__, "row %zu says \"%s\"", i,
				       answer.why.text);
	}
}

TEST(an_ice_lite_offer_is_seen_and_without_lite_ours_has_no_such_line)
{
	struct sl_sdp_ours ours = t_ours();

	ours.ice_lite = false;
	TRY(t_read_z(&offer, HEAD "a=ice-lite\r\n" AUDIO WHOLE));
	TRY(t_answer(&answer, &offer.sdp, &ours, SL_SDP_PUBLISHER));
	CHECK(sl_sdp_transport(&offer.sdp, &answer.sdp)->ice_lite);
	CHECK(!strstr(t_text(&answer.sdp), "ice-lite"));
}

TEST(the_other_sides_view_of_a_direction)
{
	CHECK_EQ(sl_sdp_dir_reverse(SL_SDP_SENDONLY), SL_SDP_RECVONLY);
	CHECK_EQ(sl_sdp_dir_reverse(SL_SDP_RECVONLY), SL_SDP_SENDONLY);
	CHECK_EQ(sl_sdp_dir_reverse(SL_SDP_SENDRECV), SL_SDP_SENDRECV);
	CHECK_STR(sl_sdp_dir_name(SL_SDP_INACTIVE), "inactive");
}
