/* SPDX-License-Identifier: Apache-2.0 — offers of ours, and answers to them. */
#include "tests/sdp/sdp_test.h"

static struct t_sdp offer, answer;

static const struct sl_sdp_offer_line lines[] = {
	{.kind = SL_AUDIO,
	 .dir = SL_SDP_SENDONLY,
	 .mid = {"0", 1},
	 .send = {.ssrc = 1, .rtx_ssrc = 2, .cname = "c", .stream = "s", .track = "a"}},
	{.kind = SL_VIDEO,
	 .dir = SL_SDP_SENDRECV,
	 .mid = {"1", 1},
	 .send = {.ssrc = 3, .rtx_ssrc = 4, .cname = "c", .stream = "s", .track = "v"}},
	{.kind = SL_VIDEO, .dir = SL_SDP_RECVONLY, .mid = {"2", 1}, .rejected = true},
	{.kind = SL_VIDEO, .dir = SL_SDP_RECVONLY, .mid = {"3", 1}},
};

static void make_offer(void)
{
	struct sl_sdp_ours ours = t_ours();

	TRY(t_read_z(&offer, "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n")); /* only for its arena */
	TRY(sl_sdp_offer(&ours, lines, SL_COUNT(lines), &offer.arena, &offer.sdp));
}

TEST(our_offer_reads_and_is_answered_by_ourselves)
{
	static struct t_sdp read;
	struct sl_sdp_ours ours = t_ours();
	struct sl_sdp_why why;

	make_offer();
	TRY(t_read_z(&read, t_text(&offer.sdp)));
	CHECK_EQ(read.sdp.media_count, 4);
	CHECK(read.sdp.media[2].rejected);
	CHECK_EQ(read.sdp.bundle_count, 3);
	CHECK_EQ(read.sdp.media[1].setup, SL_SDP_ACTPASS);
	TRY(t_answer(&answer, &read.sdp, &ours, SL_SDP_PLAYER));
	CHECK_EQ(answer.sdp.media[1].codec_count, offer.sdp.media[1].codec_count);
	CHECK_EQ(answer.sdp.media[0].codec_count, offer.sdp.media[0].codec_count);
	CHECK_EQ(answer.sdp.media[1].ext_count, offer.sdp.media[1].ext_count);
	TRY(t_answer(&answer, &read.sdp, &ours, SL_SDP_PUBLISHER));
	TRY(sl_sdp_check_answer(&offer.sdp, &answer.sdp, &why));
}

TEST(an_offer_names_what_it_sends_and_brings_candidates_once)
{
	make_offer();
	CHECK_EQ(offer.sdp.media[0].ssrc_count, 1);
	CHECK_EQ(offer.sdp.media[1].ssrc_count, 2);
	CHECK_EQ(offer.sdp.media[3].ssrc_count, 0);
	CHECK_EQ(offer.sdp.media[0].cand_count, 2);
	CHECK_EQ(offer.sdp.media[1].cand_count, 0);
	CHECK_STR(t_pts(&offer.sdp.media[0]), "111 63 9 0 8 110 126");
	CHECK_EQ(t_codec(&offer.sdp.media[1], 97)->apt, 96);
}

TEST(an_offer_has_only_the_allowed_codecs)
{
	struct sl_sdp_ours ours = t_ours();

	memset(ours.codecs, 0, sizeof(ours.codecs));
	ours.codecs[SL_PCMA] = ours.codecs[SL_VP9] = 1;
	TRY(t_read_z(&offer, "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n"));
	TRY(sl_sdp_offer(&ours, lines, 2, &offer.arena, &offer.sdp));
	CHECK_STR(t_pts(&offer.sdp.media[0]), "8 126");
	CHECK_STR(t_pts(&offer.sdp.media[1]), "98 99 100 101");
}

TEST(a_good_answer_narrows_the_offer)
{
	struct sl_sdp_why why;

	make_offer();
	TRY(t_read_z(&answer,
		     "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
		     "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 "
		     "opus/48000/2\r\na=mid:0\r\na=recvonly\r\n"
		     "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=fingerprint:sha-"
		     "256 AA\r\n"
		     "a=setup:active\r\na=rtcp-mux\r\n"
		     "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 "
		     "rtx/90000\r\n"
		     "a=fmtp:97 apt=96\r\na=mid:1\r\na=sendrecv\r\n"
		     "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
		     "m=video 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:2\r\nm=video 0 UDP/TLS/RTP/SAVPF "
		     "96\r\na=mid:3\r\n"));
	TRY(sl_sdp_check_answer(&offer.sdp, &answer.sdp, &why));
	CHECK(sl_sdp_transport(&answer.sdp, &answer.sdp) == &answer.sdp.media[0]);
}

/* Our own answer to our own offer, spoilt in one place. */
static void spoil_count(struct sl_sdp *a)
{
	a->media_count--;
}
static void spoil_kind(struct sl_sdp *a)
{
	a->media[0].kind = SL_SDP_VIDEO;
}
static void spoil_mid(struct sl_sdp *a)
{
	a->media[1].mid = SL_STR("x");
}
static void spoil_recycled(struct sl_sdp *a)
{
	a->media[2].rejected = false;
}
static void spoil_dir(struct sl_sdp *a)
{
	a->media[0].dir = SL_SDP_SENDRECV;
}
static void spoil_pt(struct sl_sdp *a)
{
	a->media[1].codecs[0].pt = 35;
}
static void spoil_codec(struct sl_sdp *a)
{
	a->media[1].codecs[0].codec = SL_VP9;
}
static void spoil_apt(struct sl_sdp *a)
{
	a->media[1].codecs[1].apt = 98;
}
static void spoil_empty(struct sl_sdp *a)
{
	a->media[1].codec_count = 0;
}
static void spoil_ext(struct sl_sdp *a)
{
	a->media[1].exts[0].id = 99;
}
static void spoil_bundle(struct sl_sdp *a)
{
	a->media[1].in_bundle = false;
}
static void spoil_ufrag(struct sl_sdp *a)
{
	a->media[0].ufrag.n = a->media[1].ufrag.n = a->media[3].ufrag.n = 0;
}
static void spoil_fingerprint(struct sl_sdp *a)
{
	a->media[0].fingerprint_count = 0;
}
static void spoil_mux(struct sl_sdp *a)
{
	a->media[0].rtcp_mux = false;
}
static void spoil_setup(struct sl_sdp *a)
{
	a->media[0].setup = SL_SDP_ACTPASS;
}

static const struct {
	void (*spoil)(struct sl_sdp *a);
	const char *why;
} spoilers[] = {
	{spoil_count, "number of m-lines"},
	{spoil_kind, "another kind"},
	{spoil_mid, "a=mid"},
	{spoil_recycled, "port 0"},
	{spoil_dir, "direction"},
	{spoil_pt, "payload type"},
	{spoil_codec, "payload type"},
	{spoil_apt, "RTX"},
	{spoil_empty, "without a codec"},
	{spoil_ext, "extension"},
	{spoil_bundle, "BUNDLE"},
	{spoil_ufrag, "ufrag"},
	{spoil_fingerprint, "fingerprint"},
	{spoil_mux, "rtcp-mux"},
	{spoil_setup, "setup"},
};

TEST(an_answer_that_does_not_fit_is_refused_and_says_why)
{
	struct sl_sdp_ours ours = t_ours();
	struct sl_sdp_why why;

	make_offer();
	for (size_t i = 0; i < SL_COUNT(spoilers); i++) {
		TRY(t_answer(&answer, &offer.sdp, &ours, SL_SDP_PUBLISHER));
		spoilers[i].spoil(&answer.sdp);
		CHECK_EQ(sl_sdp_check_answer(&offer.sdp, &answer.sdp, &why), SL_EPARSE);
		if (!strstr(why.text, spoilers[i].why))
			sl_test_failed(__FILE__, __LINE__, "row %zu says \"%s\"", i, why.text);
	}
}

TEST(more_m_lines_than_sdp_may_have_are_refused)
{
	static struct sl_sdp_offer_line many[SL_SDP_OFFER_MEDIA_MAX + 1];
	struct sl_sdp_ours ours = t_ours();

	TRY(t_read_z(&offer, "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n"));
	CHECK_EQ(sl_sdp_offer(&ours, many, SL_COUNT(many), &offer.arena, &offer.sdp), SL_EFULL);
}
