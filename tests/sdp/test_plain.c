/* SPDX-License-Identifier: Apache-2.0 — offers and answers of peers without ICE and DTLS. */
#include "tests/sdp/sdp_test.h"

static struct t_sdp offer, answer;

#define HEAD "v=0\r\no=- 1 2 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
#define KEY30 "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw"
#define KEY46 "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Ng=="
#define S128_80 "AES_CM_128_HMAC_SHA1_80"
#define VP8 "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 transport-cc\r\n"

static struct sl_sdp_plain_ours ours(const char *suite)
{
	struct sl_sdp_plain_ours o = {.session_id = 7,
				      .session_version = 1,
				      .addr = sl_addr_v4(192, 0, 2, 1, 0),
				      .name = SL_STR("Kurento Media Server"),
				      .suite = sl_str_z(suite),
				      .key = sl_str_z(suite[0] ? KEY30 : "")};

	memset(o.codecs, 1, sizeof(o.codecs));
	return o;
}

static const struct sl_sdp_send sends[4] = {{.ssrc = 11, .cname = "c"},
					    {.ssrc = 12, .cname = "c"},
					    {.ssrc = 13, .cname = "c"},
					    {.ssrc = 14, .cname = "c"}};

static void begin(struct t_sdp *t)
{
	/* An arena that the test gives back. */
	TRY(t_read_z(t, HEAD "m=audio 9 RTP/AVP 0\r\n"));
	t->why = (struct sl_sdp_why){0};
}

static void answer_text(const char *text, const char *suite)
{
	struct sl_sdp_plain_ours o = ours(suite);

	TRY(t_read_z(&offer, text));
	begin(&answer);
	TRY(sl_sdp_plain_answer(&offer.sdp, &o, sends, &answer.arena, &answer.sdp, &answer.why));
}

TEST(a_phones_offer_with_only_pcma_by_number_gets_a_plain_answer)
{
	answer_text(HEAD "m=audio 30000 RTP/AVP 8\r\n", "");
	CHECK_EQ(answer.sdp.media_count, 1);
	CHECK(!answer.sdp.media[0].rejected);
	CHECK_S(answer.sdp.media[0].proto, "RTP/AVP");
	CHECK_STR(t_pts(&answer.sdp.media[0]), "8");
	CHECK_EQ(answer.sdp.media[0].codecs[0].codec, SL_PCMA);
	CHECK_EQ(answer.sdp.media[0].dir, SL_SDP_SENDRECV);
	answer.sdp.media[0].port = 40000;
	answer.sdp.media[0].rtcp_port = 40001;
	CHECK_STR(t_text(&answer.sdp), "v=0\r\n"
				       "o=- 7 1 IN IP4 192.0.2.1\r\n"
				       "s=Kurento Media Server\r\n"
				       "t=0 0\r\n"
				       "m=audio 40000 RTP/AVP 8\r\n"
				       "c=IN IP4 192.0.2.1\r\n"
				       "a=rtcp:40001\r\n"
				       "a=sendrecv\r\n"
				       "a=rtpmap:8 PCMA/8000\r\n"
				       "a=ssrc:11 cname:c\r\n");
}

TEST(each_m_line_is_answered_for_itself_in_its_own_protocol)
{
	answer_text(HEAD "m=audio 30000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
			 "a=sendonly\r\n"
			 "m=video 30002 RTP/AVPF 96\r\n" VP8 "a=recvonly\r\n"
			 "m=application 30004 RTP/AVP 97\r\n"
			 "m=video 30006 RTP/AVP 34\r\na=rtpmap:34 H263/90000\r\n",
		    "");
	CHECK_S(answer.sdp.media[0].proto, "RTP/AVP");
	CHECK_EQ(answer.sdp.media[0].dir, SL_SDP_RECVONLY);
	CHECK_EQ(answer.sdp.media[0].ssrc_count, 0);
	CHECK_STR(t_pts(&answer.sdp.media[0]), "0 101");
	CHECK_S(answer.sdp.media[1].proto, "RTP/AVPF");
	CHECK_EQ(answer.sdp.media[1].dir, SL_SDP_SENDONLY);
	CHECK_EQ(answer.sdp.media[1].codecs[0].fb, SL_FB_NACK);
	CHECK_EQ(answer.sdp.media[1].ssrcs[0].ssrc, 12);
	CHECK(answer.sdp.media[2].rejected && answer.sdp.media[3].rejected);
	CHECK_EQ(answer.sdp.bundle_count, 0);
}

TEST(without_avpf_no_feedback_is_agreed_on)
{
	answer_text(HEAD "m=video 30002 RTP/AVP 96\r\n" VP8, "");
	CHECK_EQ(answer.sdp.media[0].codecs[0].fb, 0);
}

TEST(srtp_without_a_key_of_ours_and_none_with_one_are_rejected)
{
	answer_text(HEAD "m=audio 30000 RTP/SAVP 0\r\na=crypto:1 " S128_80 " inline:" KEY30 "\r\n",
		    "");
	CHECK(answer.sdp.media[0].rejected);
	CHECK_STR(answer.why.text, "it wants SRTP, and this side has no key");
	answer_text(HEAD "m=audio 30000 RTP/AVP 0\r\n", S128_80);
	CHECK(answer.sdp.media[0].rejected);
	answer_text(HEAD "m=audio 30000 UDP/TLS/RTP/SAVPF 0\r\n", "");
	CHECK(answer.sdp.media[0].rejected);
}

TEST(the_crypto_of_our_suite_is_taken_by_its_tag)
{
	answer_text(HEAD "m=audio 30000 RTP/SAVP 0\r\n"
			 "a=crypto:4 AES_256_CM_HMAC_SHA1_80 inline:" KEY46 "\r\n"
			 "a=crypto:7 " S128_80 " inline:" KEY30 "|2^31\r\n",
		    S128_80);
	CHECK(!answer.sdp.media[0].rejected);
	CHECK_EQ(answer.sdp.media[0].crypto_count, 1);
	CHECK_EQ(answer.sdp.media[0].cryptos[0].tag, 7);
	CHECK_S(answer.sdp.media[0].cryptos[0].suite, S128_80);
	CHECK_S(answer.sdp.media[0].cryptos[0].key, KEY30);
	CHECK(strstr(t_text(&answer.sdp), "a=crypto:7 " S128_80 " inline:" KEY30 "\r\n"));
}

TEST(a_crypto_that_would_change_the_wire_or_has_another_size_is_no_key)
{
	static const struct {
		const char *line;
		bool good;
	} rows[] = {
		{S128_80 " inline:" KEY30, true},
		{S128_80 " inline:" KEY30 "|2^20", true},
		{S128_80 " inline:" KEY30 "|1048576", true},
		{S128_80 " inline:" KEY30 " WSH=128", true},
		{S128_80 " inline:" KEY30 "|2^20|1:4", false},
		{S128_80 " inline:" KEY30 "|1:4", false},
		{S128_80 " inline:" KEY30 ";inline:" KEY30, false},
		{S128_80 " inline:" KEY30 " UNENCRYPTED_SRTP", false},
		{S128_80 " inline:" KEY30 " KDR=1", false},
		{S128_80 " inline:" KEY46, false},
		{S128_80 " inline:MTIz", false},
		{S128_80 " inline:????????????????????????????????????????", false},
		{"AES_CM_128_HMAC_SHA1_32 inline:" KEY30, false},
		{"F8_128_HMAC_SHA1_80 inline:" KEY30, false},
	};
	char text[600];

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		sl_fmt(text, sizeof(text), HEAD "m=audio 3 RTP/SAVP 0\r\na=crypto:1 %s\r\n",
		       rows[i].line);
		answer_text(text, S128_80);
		CHECK_EQ(answer.sdp.media[0].rejected, !rows[i].good);
	}
}

TEST(both_spellings_of_the_long_suites_mean_the_same)
{
	uint8_t key[SL_SDP_KEY_MAX];

	answer_text(HEAD "m=audio 3 RTP/SAVPF 0\r\na=crypto:1 AES_CM_256_HMAC_SHA1_32 inline:" KEY46
			 "\r\n",
		    "AES_256_CM_HMAC_SHA1_32");
	CHECK(!answer.sdp.media[0].rejected);
	CHECK_S(answer.sdp.media[0].cryptos[0].suite, "AES_CM_256_HMAC_SHA1_32");
	CHECK_EQ(sl_sdp_crypto_key(&offer.sdp.media[0].cryptos[0], key), 46);
	CHECK_BYTES(key, "1234567890123456789012345678901234567890123456", 46);
}

TEST(an_active_peer_is_answered_passive)
{
	answer_text(HEAD "m=audio 9 RTP/AVP 0\r\na=direction:active\r\n", "");
	CHECK_EQ(answer.sdp.media[0].comedia, SL_SDP_COMEDIA_PASSIVE);
	CHECK(strstr(t_text(&answer.sdp), "a=direction:passive\r\n"));
	answer_text(HEAD "m=audio 9 RTP/AVP 0\r\n", "");
	CHECK_EQ(answer.sdp.media[0].comedia, SL_SDP_COMEDIA_NONE);
}

TEST(an_answer_to_ipv6_is_of_ipv6)
{
	struct sl_sdp_plain_ours o = ours("");

	o.addr = (struct sl_addr){.ip = {0x20, 1, 0x0d, 0xb8, [15] = 1}, .family = 6};
	TRY(t_read_z(&offer, "v=0\r\no=- 1 2 IN IP6 2001:db8::7\r\ns=-\r\n"
			     "c=IN IP6 2001:db8::7\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"));
	begin(&answer);
	TRY(sl_sdp_plain_answer(&offer.sdp, &o, sends, &answer.arena, &answer.sdp, &answer.why));
	CHECK(strstr(t_text(&answer.sdp), "o=- 7 1 IN IP6 2001:db8::1\r\n"));
	CHECK(strstr(t_text(&answer.sdp), "c=IN IP6 2001:db8::1\r\n"));
}

static void offer_ours(const char *suite)
{
	struct sl_sdp_plain_ours o = ours(suite);
	struct sl_sdp_offer_line lines[2] = {
		{.kind = SL_AUDIO, .dir = SL_SDP_SENDRECV, .send = sends[0]},
		{.kind = SL_VIDEO, .dir = SL_SDP_SENDONLY, .send = sends[1]}};

	begin(&offer);
	TRY(sl_sdp_plain_offer(&o, lines, 2, &offer.arena, &offer.sdp));
}

static int check_text(const char *text)
{
	TRY(t_read_z(&answer, text));
	return sl_sdp_plain_check(&offer.sdp, &answer.sdp, &answer.why);
}

TEST(an_offer_of_ours_is_avpf_and_with_a_key_savpf)
{
	static struct t_sdp again;

	offer_ours("");
	CHECK_S(offer.sdp.media[0].proto, "RTP/AVPF");
	CHECK_EQ(offer.sdp.media[0].crypto_count, 0);
	CHECK_EQ(offer.sdp.media[1].codecs[0].rtx_pt, 0);
	offer_ours(S128_80);
	CHECK_S(offer.sdp.media[1].proto, "RTP/SAVPF");
	CHECK_EQ(offer.sdp.media[1].cryptos[0].tag, 1);
	offer.sdp.media[0].port = 2;
	offer.sdp.media[1].port = 4;
	TRY(t_read_z(&again, t_text(&offer.sdp)));
	CHECK_EQ(again.sdp.media_count, 2);
	CHECK_S(again.sdp.media[0].cryptos[0].key, KEY30);
}

TEST(answers_that_do_not_fit_our_offer_say_why)
{
	offer_ours("");
	CHECK_EQ(check_text(HEAD "m=audio 5 RTP/AVP 0\r\nm=video 7 RTP/AVPF 96\r\n" VP8), SL_OK);
	CHECK_EQ(check_text(HEAD "m=audio 5 RTP/AVP 0\r\nm=video 0 RTP/AVPF 96\r\n"), SL_OK);
	CHECK_EQ(check_text(HEAD "m=audio 5 RTP/AVP 0\r\n"), SL_EPARSE);
	CHECK_EQ(check_text(HEAD "m=video 5 RTP/AVP 96\r\n" VP8 "m=audio 7 RTP/AVPF 0\r\n"),
		 SL_EPARSE);
	CHECK_EQ(check_text(HEAD "m=audio 5 RTP/SAVP 0\r\nm=video 0 RTP/AVPF 96\r\n"), SL_EPARSE);
	CHECK_EQ(check_text(HEAD "m=audio 5 RTP/AVP 3\r\na=rtpmap:3 GSM/8000\r\n"
				 "m=video 0 RTP/AVPF 96\r\n"),
		 SL_EPARSE);
	offer_ours(S128_80);
	CHECK_EQ(check_text(HEAD "m=audio 5 RTP/SAVPF 0\r\na=crypto:1 " S128_80 " inline:" KEY30
				 "\r\nm=video 0 RTP/SAVPF 96\r\n"),
		 SL_OK);
	CHECK_EQ(check_text(HEAD "m=audio 5 RTP/SAVPF 0\r\nm=video 0 RTP/SAVPF 96\r\n"), SL_EPARSE);
	CHECK_EQ(check_text(HEAD "m=audio 5 RTP/AVP 0\r\nm=video 0 RTP/SAVPF 96\r\n"), SL_EPARSE);
}
