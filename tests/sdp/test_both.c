/* SPDX-License-Identifier: Apache-2.0 — answers to peers that send and receive on one m-line, and
 * offers of that kind. */
#include "tests/sdp/sdp_test.h"

static struct t_sdp offer, answer;

#define HEAD "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
#define WHOLE                                                                                      \
	"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n"                                 \
	"a=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\na=rtcp-mux\r\n"
#define AUDIO "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
#define VIDEO "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n"

/* Ours as an endpoint of an application's has it: candidates come later, no stream is named. */
static struct sl_sdp_ours ours_both(void)
{
	struct sl_sdp_ours ours = t_ours();

	ours.ice_lite = false;
	ours.trickling = true;
	ours.cand_count = 0;
	ours.addr = (struct sl_addr){0};
	return ours;
}

static int answer_text(const char *text, const struct sl_sdp_ours *ours)
{
	TRY(t_read_z(&offer, text));
	return t_answer(&answer, &offer.sdp, ours, SL_SDP_BOTH);
}

static struct sl_sdp_media *line(size_t i)
{
	return &answer.sdp.media[i];
}

TEST(each_direction_is_mirrored_and_what_we_send_has_an_ssrc)
{
	struct sl_sdp_ours ours = ours_both();

	TRY(answer_text(HEAD "a=group:BUNDLE a b c d\r\n" AUDIO WHOLE
			     "a=mid:a\r\na=sendrecv\r\n" VIDEO WHOLE
			     "a=mid:b\r\na=sendonly\r\n" VIDEO WHOLE
			     "a=mid:c\r\na=recvonly\r\n" VIDEO WHOLE "a=mid:d\r\na=inactive\r\n",
			&ours));
	CHECK_EQ(answer.sdp.bundle_count, 4);
	CHECK(line(0)->dir == SL_SDP_SENDRECV && line(0)->ssrc_count == 1);
	CHECK(line(1)->dir == SL_SDP_RECVONLY && line(1)->ssrc_count == 0);
	CHECK(line(2)->dir == SL_SDP_SENDONLY && line(2)->ssrc_count == 1);
	CHECK(line(3)->dir == SL_SDP_INACTIVE && line(3)->ssrc_count == 0);
	CHECK(!strstr(t_text(&answer.sdp), "candidate"));
	CHECK(strstr(t_text(&answer.sdp), "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\n"));
	CHECK_EQ(line(0)->setup, SL_SDP_ACTIVE);
}

TEST(our_wishes_narrow_the_direction)
{
	static const enum sl_sdp_dir only_recv[] = {SL_SDP_RECVONLY, SL_SDP_RECVONLY,
						    SL_SDP_INACTIVE};
	static const enum sl_sdp_dir only_send[] = {SL_SDP_SENDONLY, SL_SDP_INACTIVE,
						    SL_SDP_SENDONLY};
	static const char text[] =
		HEAD "a=group:BUNDLE a b c\r\n" AUDIO WHOLE "a=mid:a\r\n" VIDEO WHOLE
		     "a=mid:b\r\na=sendonly\r\n" VIDEO WHOLE "a=mid:c\r\na=recvonly\r\n";
	struct sl_sdp_ours ours = ours_both();

	ours.no_send = true;
	TRY(answer_text(text, &ours));
	for (size_t i = 0; i < 3; i++)
		CHECK_EQ(line(i)->dir, only_recv[i]);
	ours.no_send = false;
	ours.no_recv = true;
	TRY(answer_text(text, &ours));
	for (size_t i = 0; i < 3; i++)
		CHECK_EQ(line(i)->dir, only_send[i]);
}

TEST(every_browsers_offer_to_send_and_receive_is_answered_with_all_its_sections)
{
	static const char *const names[] = {"chromium", "firefox", "safari",	"aiortc",
					    "pion",	"werift",  "webrtcbin", "data-first"};
	static struct t_sdp again;
	struct sl_sdp_ours ours = ours_both();

	for (size_t i = 0; i < SL_COUNT(names); i++) {
		t_read_file(&offer, names[i]);
		TRY(t_answer(&answer, &offer.sdp, &ours, SL_SDP_BOTH));
		CHECK_EQ(answer.sdp.media_count, offer.sdp.media_count);
		for (size_t k = 0; k < answer.sdp.media_count; k++) {
			const struct sl_sdp_media *o = &offer.sdp.media[k];

			CHECK_EQ(line(k)->rejected, o->kind > SL_SDP_VIDEO);
			CHECK(sl_str_eq(line(k)->proto, o->proto));
			if (!line(k)->rejected)
				CHECK_EQ(line(k)->dir, sl_sdp_dir_reverse(o->dir));
		}
		TRY(t_read_z(&again, t_text(&answer.sdp)));
	}
}

TEST(sections_that_cannot_share_the_transport_are_rejected)
{
	struct sl_sdp_ours ours = ours_both();

	TRY(answer_text(HEAD AUDIO WHOLE VIDEO WHOLE, &ours));
	CHECK(!line(0)->rejected && line(1)->rejected);
	CHECK_EQ(answer.sdp.bundle_count, 0);
	TRY(answer_text(HEAD "a=group:BUNDLE v\r\n" AUDIO WHOLE "a=mid:a\r\n" VIDEO WHOLE
			     "a=mid:v\r\n",
			&ours));
	CHECK(line(0)->rejected && !line(1)->rejected);
	CHECK(strstr(t_text(&answer.sdp), "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n"));
}

TEST(an_offer_of_which_nothing_fits_is_answered_with_rejected_sections_and_why)
{
	struct sl_sdp_ours ours = ours_both();

	TRY(answer_text(HEAD "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n" WHOLE
			     "a=mid:0\r\n",
			&ours));
	CHECK_EQ(answer.sdp.media_count, 1);
	CHECK(line(0)->rejected);
	CHECK(answer.why.text[0]);
	CHECK(!sl_sdp_transport(&offer.sdp, &answer.sdp));
	TRY(answer_text(HEAD "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 theora/90000\r\n" WHOLE,
			&ours));
	CHECK(line(0)->rejected && strstr(answer.why.text, "no codec in common"));
}

TEST(the_protocol_is_echoed_with_and_without_the_word_for_dtls)
{
	static const char *const protos[] = {"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF",
					     "RTP/SAVP"};
	struct sl_sdp_ours ours = ours_both();
	char text[400];

	for (size_t i = 0; i < SL_COUNT(protos); i++) {
		CHECK(sl_fmt(text, sizeof(text), HEAD "m=audio 9 %s 0\r\n" WHOLE, protos[i]));
		TRY(answer_text(text, &ours));
		CHECK(!line(0)->rejected);
		CHECK_S(line(0)->proto, protos[i]);
	}
}

TEST(a_bandwidth_limit_stands_where_we_receive)
{
	struct sl_sdp_ours ours = ours_both();

	ours.as_kbps[SL_VIDEO] = 700;
	TRY(answer_text(HEAD "a=group:BUNDLE a b c\r\n" AUDIO WHOLE "a=mid:a\r\n" VIDEO WHOLE
			     "a=mid:b\r\n" VIDEO WHOLE "a=mid:c\r\na=recvonly\r\n",
			&ours));
	CHECK_EQ(line(0)->bandwidth_as_kbps, 0);
	CHECK_EQ(line(1)->bandwidth_as_kbps, 700);
	CHECK_EQ(line(2)->bandwidth_as_kbps, 0);
	CHECK(strstr(t_text(&answer.sdp), "b=AS:700\r\n"));
}

TEST(an_extension_of_one_direction_is_not_used_where_media_goes_both_ways)
{
	struct sl_sdp_ours ours = ours_both();

	TRY(answer_text(HEAD "a=group:BUNDLE a b\r\n" VIDEO WHOLE
			     "a=mid:a\r\na=extmap:3/sendonly urn:3gpp:video-orientation\r\n"
			     "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n" VIDEO WHOLE
			     "a=mid:b\r\na=sendonly\r\n"
			     "a=extmap:3/sendonly urn:3gpp:video-orientation\r\n",
			&ours));
	CHECK_STR(t_ext_ids(line(0)), "4");
	CHECK_STR(t_ext_ids(line(1)), "3");
	CHECK_EQ(line(1)->exts[0].dir, SL_SDP_RECVONLY);
}

TEST(our_offer_goes_both_ways_without_naming_a_stream_and_fits_its_answer)
{
	static const struct sl_sdp_offer_line lines[] = {
		{.kind = SL_AUDIO,
		 .dir = SL_SDP_SENDRECV,
		 .mid = {"0", 1},
		 .send = {.ssrc = 11, .cname = "us"}},
		{.kind = SL_VIDEO,
		 .dir = SL_SDP_SENDRECV,
		 .mid = {"1", 1},
		 .send = {.ssrc = 12, .rtx_ssrc = 13, .cname = "us"}},
	};
	static struct t_sdp mine;
	struct sl_sdp_ours ours = ours_both();
	struct sl_sdp_ours theirs = t_ours();
	struct sl_sdp_why why;

	ours.as_kbps[SL_AUDIO] = 40;
	TRY(t_read_z(&mine, HEAD));
	TRY(sl_sdp_offer(&ours, lines, 2, &mine.arena, &mine.sdp));
	CHECK(!strstr(t_text(&mine.sdp), "msid"));
	CHECK(!strstr(t_text(&mine.sdp), "candidate"));
	CHECK(strstr(t_text(&mine.sdp), "a=ssrc:12 cname:us\r\na=ssrc:13 cname:us\r\n"
					"a=ssrc-group:FID 12 13\r\n"));
	CHECK(strstr(t_text(&mine.sdp), "b=AS:40\r\n"));
	TRY(t_answer(&answer, &mine.sdp, &theirs, SL_SDP_BOTH));
	CHECK(line(0)->dir == SL_SDP_SENDRECV && line(1)->dir == SL_SDP_SENDRECV);
	CHECK_EQ(sl_sdp_check_answer(&mine.sdp, &answer.sdp, &why), SL_OK);
}
