/* SPDX-License-Identifier: Apache-2.0 — text to structs, and back to the same text. */
#include "tests/sdp/sdp_test.h"

#define HEAD "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
#define AUDIO "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"

static const char *const offers[] = {
	"chromium",
	"firefox",
	"safari",
	"obs-whip",
	"aiortc",
	"werift",
	"pion",
	"webrtcbin",
	"chromium-simulcast",
	"whep-player",
	"rejected-recycled",
	"data-first",
};

TEST(what_is_written_of_any_offer_reads_and_writes_the_same_again)
{
	static char first[T_TEXT_MAX];
	static struct t_sdp a, b;

	for (size_t i = 0; i < SL_COUNT(offers); i++) {
		t_read_file(&a, offers[i]);
		CHECK(sl_fmt(first, sizeof(first), "%s", t_text(&a.sdp)));
		TRY(t_read_z(&b, first));
		CHECK_STR(t_text(&b.sdp), first);
		CHECK_EQ(b.sdp.media_count, a.sdp.media_count);
	}
}

TEST(chromiums_offer_reads_as_what_it_says)
{
	static struct t_sdp t;
	const struct sl_sdp_media *audio, *video, *data;

	t_read_file(&t, "chromium");
	CHECK_EQ(t.sdp.media_count, 3);
	CHECK_EQ(t.sdp.session_id, 7016886313877904717);
	CHECK_EQ(t.sdp.session_version, 2);
	CHECK_EQ(t.sdp.bundle_count, 3);
	CHECK(t.sdp.ext_mixed && !t.sdp.ice_lite);
	audio = &t.sdp.media[0];
	video = &t.sdp.media[1];
	data = &t.sdp.media[2];
	CHECK(audio->kind == SL_SDP_AUDIO && video->kind == SL_SDP_VIDEO);
	CHECK(data->kind == SL_SDP_APPLICATION && data->codec_count == 0);
	CHECK_S(data->formats, "webrtc-datachannel");
	CHECK(audio->in_bundle && video->in_bundle && data->in_bundle);
	CHECK(audio->rtcp_mux && audio->rtcp_rsize && audio->trickle && audio->ext_mixed);
	CHECK_S(audio->ufrag, "iUqB");
	CHECK_EQ(audio->setup, SL_SDP_ACTPASS);
	CHECK_EQ(audio->fingerprint_count, 1);
	CHECK_S(audio->fingerprints[0].algorithm, "sha-256");
	CHECK_EQ(audio->cand_count, 2);
	CHECK_EQ(audio->cands[0].addr.port, 37476);
	CHECK_EQ(audio->cands[1].addr.family, 6);
	CHECK_STR(t_pts(audio), "111 63 9 0 8 13 110 126");
	CHECK_STR(t_ext_ids(video), "14 2 13 3 5 6 7 8 4 10 11");
	CHECK_EQ(video->exts[3].ext, SL_EXT_TWCC);
	CHECK_S(video->msid_stream, "-");
	CHECK_S(video->msid_track, "b3c272fa-fb59-45a2-aea5-1cac5e16675e");
}

TEST(chromiums_codecs_have_their_rtx_feedback_and_parameters)
{
	static struct t_sdp t;
	const struct sl_sdp_media *video;
	const struct sl_sdp_codec *c;

	t_read_file(&t, "chromium");
	video = &t.sdp.media[1];
	c = t_codec(video, 96);
	CHECK_EQ(c->codec, SL_VP8);
	CHECK_EQ(c->rtx_pt, 97);
	CHECK_EQ(c->fb, SL_FB_NACK | SL_FB_PLI | SL_FB_FIR | SL_FB_REMB | SL_FB_TWCC | SL_FB_RRTR);
	CHECK_EQ(t_codec(video, 97)->codec, SL_RTX);
	CHECK_EQ(t_codec(video, 97)->apt, 96);
	CHECK_EQ(t_codec(video, 118)->codec, SL_RED_VIDEO);
	CHECK_EQ(t_codec(video, 120)->codec, SL_ULPFEC);
	c = t_codec(video, 108);
	CHECK_EQ(c->codec, SL_H264);
	CHECK_S(sl_sdp_fmtp_get(c->fmtp, "profile-level-id"), "42e01f");
	c = t_codec(&t.sdp.media[0], 111);
	CHECK_EQ(c->codec, SL_OPUS);
	CHECK_EQ(c->channels, 2);
	CHECK_EQ(t_codec(&t.sdp.media[0], 63)->codec, SL_RED_AUDIO);
	CHECK_EQ(video->ssrc_count, 2);
	CHECK_EQ(video->ssrcs[0].ssrc, 480707089);
	CHECK_EQ(video->ssrcs[0].rtx, 628623091);
	CHECK(!video->ssrcs[0].is_rtx && video->ssrcs[1].is_rtx);
	CHECK_S(video->ssrcs[0].cname, "HiE84G9e5HpMtVQ1");
}

TEST(firefoxs_bundle_only_sections_are_not_rejected_and_its_tcp_candidates_are_told_apart)
{
	static struct t_sdp t;
	const struct sl_sdp_media *audio, *video;

	t_read_file(&t, "firefox");
	audio = &t.sdp.media[0];
	video = &t.sdp.media[1];
	CHECK(video->port == 0 && video->bundle_only && !video->rejected);
	CHECK_EQ(audio->cand_count, 8);
	CHECK_EQ(audio->cand_ignored, 0);
	CHECK_EQ(audio->cands[0].tcp, SL_SDP_UDP);
	CHECK_EQ(audio->cands[7].tcp, SL_SDP_TCP_ACTIVE);
	CHECK(audio->end_of_candidates && audio->trickle);
	CHECK_EQ(video->fingerprint_count, 1);	     /* of the session */
	CHECK_EQ(t_codec(audio, 9)->codec, SL_G722); /* written with one channel */
	CHECK_EQ(t_codec(video, 120)->rtx_pt, 124);
	CHECK_EQ(audio->exts[1].dir, SL_SDP_RECVONLY);
	CHECK_EQ(video->ssrcs[0].rtx, 3330914266);
}

TEST(session_level_lines_reach_every_m_line_that_says_nothing_else)
{
	static struct t_sdp t;

	TRY(t_read_z(&t,
		     HEAD "a=ice-lite\r\na=ice-ufrag:sess\r\na=ice-pwd:ssssssssssssssssssssss\r\n"
			  "a=fingerprint:sha-256 AA:BB\r\na=setup:active\r\na=sendonly\r\n"
			  "a=extmap:3 urn:x\r\nc=IN IP4 192.0.2.9\r\n" AUDIO
			  "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=ice-ufrag:mine\r\n"
			  "a=fingerprint:sha-1 "
			  "CC:DD\r\na=recvonly\r\na=setup:passive\r\na=extmap:4 urn:y\r\n"));
	CHECK(t.sdp.ice_lite && t.sdp.media[0].ice_lite);
	CHECK_S(t.sdp.media[0].ufrag, "sess");
	CHECK_EQ(t.sdp.media[0].dir, SL_SDP_SENDONLY);
	CHECK_EQ(t.sdp.media[0].conn.family, 4);
	CHECK_STR(t_ext_ids(&t.sdp.media[0]), "3");
	CHECK_S(t.sdp.media[1].ufrag, "mine");
	CHECK_S(t.sdp.media[1].pwd, "ssssssssssssssssssssss");
	CHECK_EQ(t.sdp.media[1].fingerprint_count, 1);
	CHECK_S(t.sdp.media[1].fingerprints[0].algorithm, "sha-1");
	CHECK_EQ(t.sdp.media[1].dir, SL_SDP_RECVONLY);
	CHECK_EQ(t.sdp.media[1].setup, SL_SDP_PASSIVE);
	CHECK_STR(t_ext_ids(&t.sdp.media[1]), "3 4");
}

TEST(simulcast_and_rid_lines_are_read)
{
	static struct t_sdp t;
	const struct sl_sdp_media *m;

	t_read_file(&t, "chromium-simulcast");
	m = &t.sdp.media[0];
	CHECK_EQ(m->rid_count, 3);
	CHECK_S(m->rids[1].id, "h");
	CHECK(m->rids[1].send);
	CHECK_S(m->simulcast, "send q;h;f");
}

TEST(rejected_m_lines_are_told_from_those_in_use)
{
	static struct t_sdp t;

	t_read_file(&t, "rejected-recycled");
	CHECK_EQ(t.sdp.media_count, 5);
	CHECK(!t.sdp.media[0].rejected && t.sdp.media[1].rejected && !t.sdp.media[2].rejected);
	CHECK(t.sdp.media[3].rejected && !t.sdp.media[4].rejected);
	CHECK_S(t.sdp.media[2].mid, "5");
}

TEST(bundle_only_outside_a_group_is_a_rejected_m_line)
{
	static struct t_sdp t;

	TRY(t_read_z(&t, HEAD "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=bundle-only\r\n"));
	CHECK(t.sdp.media[0].rejected);
}

TEST(static_payload_types_need_no_rtpmap)
{
	static struct t_sdp t;

	TRY(t_read_z(&t, HEAD "m=audio 9 UDP/TLS/RTP/SAVPF 0 8 99\r\n"));
	CHECK_EQ(t_codec(&t.sdp.media[0], 0)->codec, SL_PCMU);
	CHECK_EQ(t_codec(&t.sdp.media[0], 8)->clock_hz, 8000);
	CHECK_EQ(t_codec(&t.sdp.media[0], 99)->codec, SL_CODEC_NONE);
}

TEST(feedback_for_all_payload_types_is_folded_into_each)
{
	static struct t_sdp t;

	TRY(t_read_z(
		&t, HEAD
		"m=video 9 UDP/TLS/RTP/SAVPF 96 98\r\na=rtcp-fb:* nack\r\n"
		"a=rtcp-fb:96 nack pli\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:98 VP9/90000\r\n"));
	CHECK_EQ(t_codec(&t.sdp.media[0], 96)->fb, SL_FB_NACK | SL_FB_PLI);
	CHECK_EQ(t_codec(&t.sdp.media[0], 98)->fb, SL_FB_NACK);
}

TEST(lf_alone_blank_lines_and_a_missing_last_line_end_are_fine)
{
	static struct t_sdp t;

	TRY(t_read_z(&t, "v=0\no=- 1 2 IN IP4 h.example\ns=-\nt=0 0\n\nm=audio 9 UDP/TLS/RTP/SAVPF "
			 "0\n\na=mid:x"));
	CHECK_EQ(t.sdp.media_count, 1);
	CHECK_S(t.sdp.media[0].mid, "x");
}

TEST(bandwidth_lines_are_read)
{
	static struct t_sdp t;

	TRY(t_read_z(&t, HEAD AUDIO "b=AS:500\r\nb=TIAS:480000\r\nb=RS:nonsense\r\n"));
	CHECK_EQ(t.sdp.media[0].bandwidth_as_kbps, 500);
	CHECK_EQ(t.sdp.media[0].bandwidth_tias_bps, 480000);
}

TEST(an_ssrc_is_paired_with_one_rtx_only)
{
	static struct t_sdp t;
	const struct sl_sdp_ssrc *s;

	TRY(t_read_z(&t, HEAD AUDIO
		     "a=ssrc-group:FID 1 2\r\na=ssrc-group:FID 1 3\r\na=ssrc-group:FID 3 2\r\n"
		     "a=ssrc-group:FID 4 4\r\na=ssrc-group:FID 5 0\r\na=ssrc-group:SIM x\r\n"));
	s = t.sdp.media[0].ssrcs;
	CHECK_EQ(s[0].rtx, 2);
	CHECK(s[1].is_rtx);
	CHECK_EQ(s[2].rtx, 0);
	CHECK(!s[2].is_rtx);
}

TEST(two_payload_types_that_repair_one_leave_it_with_the_first)
{
	static struct t_sdp t;

	TRY(t_read_z(&t, HEAD "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99\r\na=rtpmap:96 VP8/90000\r\n"
			      "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:98 "
			      "rtx/90000\r\na=fmtp:98 apt=96\r\n"
			      "a=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=97\r\n"));
	CHECK_EQ(t_codec(&t.sdp.media[0], 96)->rtx_pt, 97);
	CHECK_EQ(t_codec(&t.sdp.media[0], 97)->rtx_pt, 0);
}

/* ---- what is refused, and what is said about it ---- */

static const struct {
	const char *text;
	size_t line;
	const char *why;
} broken[] = {
	{"", 0, "SDP begins with"},
	{"hello", 1, "SDP begins with"},
	{"v=1\r\n", 1, "only version 0"},
	{"v=0\r\ns=-\r\n", 2, "SDP begins with"},
	{"v=0\r\no=- x 2 IN IP4 127.0.0.1\r\n", 2, "session id"},
	{"v=0\r\no=- 1 99999999999999999999999 IN IP4 127.0.0.1\r\n", 2, "session id"},
	{HEAD "nonsense\r\n", 5, "not a line of SDP"},
	{HEAD "m=audio\r\n", 5, "an m-line is"},
	{HEAD "m=audio x UDP/TLS/RTP/SAVPF 0\r\n", 5, "an m-line is"},
	{HEAD "m=audio 65536 UDP/TLS/RTP/SAVPF 0\r\n", 5, "an m-line is"},
	{HEAD "m=audio 9 UDP/TLS/RTP/SAVPF 128\r\n", 5, "0 to 127"},
	{HEAD "m=audio 9 UDP/TLS/RTP/SAVPF opus\r\n", 5, "0 to 127"},
	{HEAD AUDIO "a=rtpmap:300 opus/48000/2\r\n", 6, "0 to 127"},
	{HEAD AUDIO "a=rtpmap:111 opus\r\n", 6, "clock rate"},
	{HEAD AUDIO "a=rtpmap:111 opus/48000/x\r\n", 6, "channels"},
	{HEAD AUDIO "a=rtpmap:111 opus/48000/2\r\na=rtpmap:111 PCMU/8000\r\n", 7,
	 "another meaning"},
	{HEAD AUDIO "a=mid:0\r\n" AUDIO "a=mid:0\r\n", 8, "same a=mid"},
	{HEAD AUDIO "a=mid:0\r\na=mid:1\r\n", 7, "second a=mid"},
	{HEAD AUDIO "a=mid:\r\n", 6, "a=mid needs"},
	{HEAD AUDIO "a=mid:012345678901234567890123456789012\r\n", 6, "a=mid needs"},
	{HEAD AUDIO "a=ssrc:4294967296 cname:x\r\n", 6, "2^32"},
	{HEAD AUDIO "a=ssrc:-1 cname:x\r\n", 6, "2^32"},
	{HEAD AUDIO "a=ssrc-group:FID 1\r\n", 6, "two numbers"},
	{HEAD AUDIO "a=extmap:x urn:y\r\n", 6, "a=extmap needs"},
	{HEAD AUDIO "a=extmap:1\r\n", 6, "a=extmap needs"},
	{HEAD AUDIO "a=extmap:1/sideways urn:y\r\n", 6, "unknown direction"},
	{HEAD AUDIO "a=extmap:1 urn:x\r\na=extmap:1 urn:y\r\n", 7, "something else"},
	{HEAD AUDIO "a=setup:maybe\r\n", 6, "a=setup"},
	{HEAD AUDIO "a=fingerprint:sha-256\r\n", 6, "a=fingerprint"},
	{HEAD AUDIO "a=fingerprint:sha-256 AABB\r\n", 6, "a=fingerprint"},
	{HEAD AUDIO "a=fingerprint:sha-256 AA:BG\r\n", 6, "a=fingerprint"},
	{HEAD AUDIO "a=ice-ufrag:abc\r\n", 6, "a=ice-ufrag"},
	{HEAD AUDIO "a=ice-pwd:short\r\n", 6, "a=ice-pwd"},
	{HEAD AUDIO "a=rid:a sideways\r\n", 6, "a=rid"},
	{HEAD AUDIO "a=rid:a send\r\na=rid:a send\r\n", 7, "a=rid twice"},
	{HEAD "s=\x01\r\n", 5, "control character"},
	{HEAD "s=\xff\r\n", 0, "UTF-8"},
};

TEST(t20_broken_sdp_is_refused_with_the_line_and_the_reason)
{
	static struct t_sdp t;

	for (size_t i = 0; i < SL_COUNT(broken); i++) {
		CHECK_EQ(t_read_z(&t, broken[i].text), SL_EPARSE);
		if (!strstr(t.why.text, broken[i].why))
			sl_test_failed(__FILE__, __LINE__, "row %zu says \"%s\"", i, t.why.text);
		CHECK_EQ(t.why.line, broken[i].line);
	}
}

TEST(t20_every_attribute_without_a_value_or_with_a_long_one_is_read_or_refused)
{
	static const char *const names[] = {
		"rtpmap",      "fmtp",
		"rtcp-fb",     "candidate",
		"extmap",      "ssrc",
		"ssrc-group",  "mid",
		"msid",	       "sendrecv",
		"rtcp-mux",    "rtcp-xr",
		"bundle-only", "end-of-candidates",
		"ice-ufrag",   "ice-pwd",
		"ice-options", "fingerprint",
		"setup",       "extmap-allow-mixed",
		"rid",	       "simulcast",
		"group",       "ice-lite",
		"crypto",      "",
	};
	static const char *const values[] = {"",      ":",  ": ",  ":/",   ":111",
					     ":111 ", ":*", ":1/", ":FID", ":send"};
	static char text[SL_SDP_LINE_MAX + 1024];
	static struct t_sdp t;

	for (size_t i = 0; i < SL_COUNT(names) * (SL_COUNT(values) + 1); i++) {
		const char *name = names[i % SL_COUNT(names)];
		size_t v = i / SL_COUNT(names);
		struct sl_buf b = sl_buf(text, sizeof(text));

		sl_buf_fmt(&b, "%sa=%s%s", HEAD AUDIO, name,
			   v < SL_COUNT(values) ? values[v] : ":111 ");
		while (v == SL_COUNT(values) && b.n < SL_SDP_LINE_MAX)
			sl_buf_z(&b, "9999/");
		if (t_read(&t, sl_str(b.p, b.n)) < 0)
			CHECK_EQ(t.why.line, 6);
		else
			CHECK_EQ(t.sdp.media_count, 1);
	}
}

TEST(a_password_never_stands_in_the_reason)
{
	static struct t_sdp t;

	CHECK_EQ(t_read_z(&t, HEAD AUDIO "a=ice-pwd:hunter2\r\n"), SL_EPARSE);
	CHECK(!strstr(t.why.text, "hunter2"));
}

static char big[SL_SDP_BYTES_MAX + 4096];

/* HEAD, a line, and then `line` n times. */
static struct sl_str repeated(const char *first, const char *line, size_t n)
{
	struct sl_buf b = sl_buf(big, sizeof(big));

	sl_buf_z(&b, HEAD);
	sl_buf_z(&b, first);
	for (size_t i = 0; i < n; i++)
		sl_buf_z(&b, line);
	CHECK(!b.full);
	return sl_str(b.p, b.n);
}

TEST(t20_every_bound_is_kept_and_named)
{
	static struct t_sdp t;

	CHECK_EQ(t_read(&t, repeated(AUDIO, "a=x\r\n", 1996)), SL_EFULL);
	CHECK(strstr(t.why.text, "2,000 lines"));
	TRY(t_read(&t, repeated(AUDIO, "a=x\r\n", 1995)));
	CHECK_EQ(t_read(&t, repeated("", AUDIO, 65)), SL_EFULL);
	CHECK(strstr(t.why.text, "64 m-lines"));
	TRY(t_read(&t, repeated("", AUDIO, 64)));
	CHECK_EQ(t_read(&t, repeated("a=", "0123456789", 820)), SL_EFULL);
	CHECK(strstr(t.why.text, "8,192"));
	CHECK_EQ(t_read(&t, repeated("", "a=0123456789012345678901234567890\r\n", 1900)), SL_EFULL);
	CHECK(strstr(t.why.text, "65,536"));
	CHECK_EQ(t_read(&t, repeated(AUDIO, "a=fingerprint:sha-256 AA:BB\r\n", 5)), SL_EFULL);
}

TEST(t20_an_answer_may_have_as_much_as_its_offer_asks_for)
{
	struct sl_sdp_bounds b = sl_sdp_answer_bounds(1);
	static struct t_sdp t;

	CHECK(b.bytes == SL_SDP_BYTES_MAX && b.lines == SL_SDP_LINES_MAX &&
	      b.media == SL_SDP_MEDIA_MAX);
	b = sl_sdp_answer_bounds(100);
	CHECK(b.bytes == 409600 && b.lines == 15000 && b.media == 100);
	sl_arena_init(&t.arena, 8 << 20);
	DEFER(sl_arena_fini, &t.arena);
	TRY(sl_sdp_read_within(repeated("", AUDIO, 100), &b, &t.arena, &t.sdp, &t.why));
	CHECK_EQ(t.sdp.media_count, 100);
	CHECK_EQ(sl_sdp_read_within(repeated("", AUDIO, 101), &b, &t.arena, &t.sdp, &t.why),
		 SL_EFULL);
	CHECK(strstr(t.why.text, "more than 100 m-lines"));
}

/* HEAD, an m-line, then n lines that count up. */
static struct sl_str counted(const char *first, const char *before, size_t n, const char *after)
{
	struct sl_buf b = sl_buf(big, sizeof(big));

	sl_buf_z(&b, HEAD);
	sl_buf_z(&b, first);
	for (size_t i = 1; i <= n; i++)
		sl_buf_fmt(&b, "%s%zu%s", before, i, after);
	CHECK(!b.full);
	return sl_str(b.p, b.n);
}

TEST(t20_lists_of_one_m_line_are_bounded)
{
	static struct t_sdp t;

	TRY(t_read(&t, counted(AUDIO, "a=ssrc:", 32, " cname:x\r\n")));
	CHECK_EQ(t.sdp.media[0].ssrc_count, 32);
	CHECK_EQ(t_read(&t, counted(AUDIO, "a=ssrc:", 33, " cname:x\r\n")), SL_EFULL);
	TRY(t_read(&t, counted(AUDIO, "a=extmap:", 32, " urn:x\r\n")));
	CHECK_EQ(t_read(&t, counted(AUDIO, "a=extmap:", 33, " urn:x\r\n")), SL_EFULL);
	TRY(t_read(&t, counted(AUDIO, "a=rid:", 8, " send\r\n")));
	CHECK_EQ(t_read(&t, counted(AUDIO, "a=rid:", 9, " send\r\n")), SL_EFULL);
	TRY(t_read(&t, counted("m=audio 9 UDP/TLS/RTP/SAVPF", " ", 64, "")));
	CHECK_EQ(t_read(&t, counted("m=audio 9 UDP/TLS/RTP/SAVPF", " ", 65, "")), SL_EFULL);
	CHECK_EQ(t_read(&t, counted("a=group:BUNDLE", " ", 65, "")), SL_EFULL);
}

TEST(t49_a_thousand_mdns_candidates_are_counted_and_ignored)
{
	static struct t_sdp t;

	TRY(t_read(&t, counted(AUDIO, "a=candidate:1 1 udp 2113937151 host-", 1000,
			       ".local 5000 typ host\r\n")));
	CHECK_EQ(t.sdp.media[0].cand_count, 0);
	CHECK_EQ(t.sdp.media[0].cand_ignored, 1000);
}

TEST(candidates_past_the_sixty_fourth_are_ignored)
{
	static struct t_sdp t;

	TRY(t_read(&t, counted(AUDIO, "a=candidate:1 1 udp 2113937151 192.0.2.1 ", 70,
			       " typ host\r\n")));
	CHECK_EQ(t.sdp.media[0].cand_count, 64);
	CHECK_EQ(t.sdp.media[0].cand_ignored, 6);
}

TEST(candidates_that_are_of_no_use_are_ignored_and_the_rest_goes_on)
{
	static const char *const useless[] = {
		"",
		"1",
		"1 1 udp",
		"1 1 tcp 1 192.0.2.1 9 typ host",
		"1 1 tcp 1 192.0.2.1 9 typ host tcptype odd",
		"1 1 udp x 192.0.2.1 9 typ host",
		"1 0 udp 1 192.0.2.1 9 typ host",
		"1 1 udp 1 192.0.2.1 0 typ host",
		"1 1 udp 1 192.0.2.1 65536 typ host",
		"1 1 udp 1 example.org 9 typ host",
		"1 1 udp 1 192.0.2.1 9 typ magic",
		"1 1 udp 1 192.0.2.1 9 tpy host",
		"1 1 udp 4294967296 192.0.2.1 9 typ host",
		"1 1 udp 1 224.0.0.1 9 typ host",
		"1 1 udp 1 0.0.0.0 9 typ host",
		"123456789012345678901234567890123 1 udp 1 192.0.2.1 9 typ host",
		"1 1 udp 1 fe80::1%eth0 9 typ host",
	};
	static struct t_sdp t;
	struct sl_buf b = sl_buf(big, sizeof(big));

	sl_buf_z(&b, HEAD AUDIO);
	for (size_t i = 0; i < SL_COUNT(useless); i++)
		sl_buf_fmt(&b, "a=candidate:%s\r\n", useless[i]);
	sl_buf_z(&b, "a=candidate:9 1 UDP 7 2001:db8::7 9 typ relay raddr 192.0.2.1 rport 5 "
		     "generation 0\r\n");
	TRY(t_read(&t, sl_str(b.p, b.n)));
	CHECK_EQ(t.sdp.media[0].cand_ignored, SL_COUNT(useless));
	CHECK_EQ(t.sdp.media[0].cand_count, 1);
	CHECK_EQ(t.sdp.media[0].cands[0].priority, 7);
	CHECK_S(t.sdp.media[0].cands[0].type, "relay");
	CHECK_EQ(t.sdp.media[0].cands[0].base.port, 5);
}

TEST(a_candidate_alone_reads_and_is_written_as_browsers_api_has_it)
{
	static const char *const same[] = {
		"candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host",
		"candidate:2 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active",
		"candidate:2 1 tcp 1518280447 2001:db8::1 4001 typ host tcptype passive",
		"candidate:3 2 tcp 1 192.0.2.1 4001 typ srflx raddr 10.0.0.1 rport 7 tcptype so",
		"candidate:4 1 udp 7 192.0.2.1 4001 typ relay raddr 0.0.0.0 rport 0",
	};
	static const char *const bad[] = {
		"",
		"candidate",
		"candidate:",
		"candidate:1 1 udp 1 a.local 4000 typ host",
		"candidates:1 1 udp 2130706431 192.0.2.1 4000 typ host",
	};
	struct sl_sdp_cand c;
	char text[160];

	for (size_t i = 0; i < SL_COUNT(same); i++) {
		struct sl_buf b = sl_buf(text, sizeof(text));

		CHECK(sl_sdp_cand_read(sl_str_z(same[i]), &c));
		sl_sdp_cand_write(&c, &b);
		CHECK_S(sl_str(b.p, b.n), same[i]);
	}
	CHECK(sl_sdp_cand_read(SL_STR("a=candidate:1 1 UDP 5 192.0.2.1 40 typ host ufrag x"), &c));
	CHECK_EQ(c.priority, 5);
	for (size_t i = 0; i < SL_COUNT(bad); i++)
		CHECK(!sl_sdp_cand_read(sl_str_z(bad[i]), &c));
}

TEST(sections_without_ice_say_addresses_rtcp_ports_direction_and_keys)
{
	static struct t_sdp t;
	const struct sl_sdp_media *audio, *video;

	TRY(t_read_z(&t,
		     "v=0\r\no=- 1 2 IN IP4 192.0.2.9\r\ns=A phone\r\nc=IN IP4 192.0.2.9\r\n"
		     "t=0 0\r\na=direction:active\r\n"
		     "m=audio 4000 RTP/SAVP 8\r\na=rtcp:4005\r\n"
		     "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:a2V5|2^20|1:4 UNENCRYPTED_SRTCP\r\n"
		     "a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:b3RoZXI=\r\n"
		     "m=video 4002 RTP/AVPF 96\r\nc=IN IP6 2001:db8::7\r\n"
		     "a=rtcp:4009 IN IP6 2001:db8::8\r\na=direction:both\r\n"));
	audio = &t.sdp.media[0];
	video = &t.sdp.media[1];
	CHECK_S(t.sdp.name, "A phone");
	CHECK_EQ(audio->conn.family, 4);
	CHECK(audio->rtcp_port == 4005 && audio->rtcp_addr.family == 0);
	CHECK(audio->comedia == SL_SDP_COMEDIA_ACTIVE && video->comedia == SL_SDP_COMEDIA_BOTH);
	CHECK_EQ(audio->crypto_count, 2);
	CHECK_EQ(audio->cryptos[0].tag, 1);
	CHECK_S(audio->cryptos[0].suite, "AES_CM_128_HMAC_SHA1_80");
	CHECK_S(audio->cryptos[0].key, "a2V5");
	CHECK_S(audio->cryptos[0].rest, "|2^20|1:4 UNENCRYPTED_SRTCP");
	CHECK_S(audio->cryptos[1].key, "b3RoZXI=");
	CHECK_EQ(audio->cryptos[1].rest.n, 0);
	CHECK_EQ(video->conn.family, 6);
	CHECK(video->rtcp_port == 4009 && video->rtcp_addr.family == 6);
	CHECK_EQ(video->crypto_count, 0);
	CHECK(strstr(t_text(&t.sdp), "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:a2V5|2^20|1:4 "
				     "UNENCRYPTED_SRTCP\r\n"));
	CHECK(strstr(t_text(&t.sdp), "a=rtcp:4009 IN IP6 2001:db8::8\r\na=direction:both\r\n"));
	CHECK(strstr(t_text(&t.sdp), "s=A phone\r\n"));
}

TEST(keys_that_make_no_sense_are_refused_without_being_repeated)
{
	static const char *const bad[] = {
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80\r\n",
		"a=crypto:x AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0\r\n",
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 outline:c2VjcmV0\r\n",
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:|2^20\r\n",
		"a=crypto:1 A inline:c2VjcmV0\r\na=crypto:1 B inline:c2VjcmV0\r\n",
		"a=rtcp:\r\n",
		"a=rtcp:65536\r\n",
	};
	static struct t_sdp t;
	char text[400];

	for (size_t i = 0; i < SL_COUNT(bad); i++) {
		CHECK(sl_fmt(text, sizeof(text), HEAD AUDIO "%s", bad[i]));
		CHECK_EQ(t_read_z(&t, text), SL_EPARSE);
		CHECK(!strstr(t.why.text, "c2VjcmV0"));
	}
}

TEST(the_words_of_a_protocol_say_what_protects_it)
{
	static const struct {
		const char *proto;
		struct sl_sdp_proto is;
	} rows[] = {
		{"RTP/AVP", {.rtp = true}},
		{"RTP/AVPF", {.rtp = true, .feedback = true}},
		{"RTP/SAVP", {.rtp = true, .secure = true}},
		{"RTP/SAVPF", {.rtp = true, .secure = true, .feedback = true}},
		{"UDP/TLS/RTP/SAVPF", {true, true, true, true}},
		{"UDP/DTLS/SCTP", {0}},
		{"udp", {0}},
	};

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		struct sl_sdp_proto p = sl_sdp_proto(sl_str_z(rows[i].proto));

		CHECK(p.rtp == rows[i].is.rtp && p.secure == rows[i].is.secure);
		CHECK(p.feedback == rows[i].is.feedback && p.dtls == rows[i].is.dtls);
	}
}

TEST(t20_every_cut_of_an_offer_is_read_or_refused_with_a_reason)
{
	struct sl_str text = t_load("firefox");
	static struct t_sdp t;

	for (size_t n = 0; n < text.n; n += 7)
		if (t_read(&t, sl_str(text.p, n)) < 0)
			CHECK(t.why.text[0]);
}

TEST(an_arena_too_small_is_said_to_be_out_of_memory)
{
	struct sl_arena arena;
	struct sl_sdp_why why;
	struct sl_sdp sdp;

	sl_arena_init(&arena, 1000);
	DEFER(sl_arena_fini, &arena);
	CHECK_EQ(sl_sdp_read(t_load("chromium"), &arena, &sdp, &why), SL_ENOMEM);
	CHECK_STR(why.text, "out of memory");
}
