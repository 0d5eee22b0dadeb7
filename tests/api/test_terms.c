/* SPDX-License-Identifier: Apache-2.0
 * What the terms of an offer become for core: formats that mean one bitstream, caps, candidates;
 * and what is said when two peers have no format in common. */
#include "core/base/log.h"
#include "tests/api/rig.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static char where[64], tag[64];

/* An offer to publish one video m-line with payload type 96 as given, after the lines `more`. */
static const char *video_offer(const char *rtpmap, const char *fmtp, const char *more)
{
	static char text[8192];
	struct sl_buf b = sl_buf(text, sizeof(text));

	sl_buf_z(&b, "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
		     "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n"
		     "a=ice-ufrag:peer\r\na=ice-pwd:password-of-the-peer-22+\r\n"
		     "a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"
		     "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\na=setup:actpass\r\n"
		     "a=mid:0\r\na=sendonly\r\na=rtcp-mux\r\n");
	sl_buf_fmt(&b, "a=rtpmap:96 %s/90000\r\n", rtpmap);
	if (*fmtp)
		sl_buf_fmt(&b, "a=fmtp:96 %s\r\n", fmtp);
	sl_buf_z(&b, more);
	CHECK(!b.full);
	return text;
}

/* The number that core gets for this format; 0 when the format is not answered. */
static uint32_t format(const char *rtpmap, const char *fmtp)
{
	const struct answer *a =
		ask("POST", "/whip/studio", SDP_HEADERS, video_offer(rtpmap, fmtp, ""));
	const struct sl_track_conf *t = &fake_core_last(&rig.core)->conf.tracks[0];

	if (a->status == 422)
		return 0;
	CHECK_EQ(a->status, 201);
	CHECK_EQ(t->codec_count, 1);
	CHECK_EQ(t->codecs[0].pt, 96);
	CHECK(sl_fmt(where, sizeof(where), "%s", answer_header(a, "Location")));
	CHECK_EQ(ask("DELETE", where, "", "")->status, 200);
	return t->codecs[0].format;
}

static const struct {
	const char *codec, *a, *b;
	bool same;
} formats[] = {
	/* RFC 6184 table 5: constrained baseline in all its spellings, whatever the level. */
	{"H264", "profile-level-id=42e01f;packetization-mode=1",
	 "packetization-mode=1;profile-level-id=42E034", true},
	{"H264", "profile-level-id=42e01f;packetization-mode=1",
	 "profile-level-id=42c00b;packetization-mode=1", true},
	{"H264", "profile-level-id=42e01f;packetization-mode=1",
	 "profile-level-id=4d801f;packetization-mode=1", true},
	{"H264", "profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1",
	 "profile-level-id=42e01f;packetization-mode=1", true},
	{"H264", "profile-level-id=42e01f;packetization-mode=1",
	 "profile-level-id=42e01f;packetization-mode=0", false},
	{"H264", "profile-level-id=42e01f", "profile-level-id=42e01f;packetization-mode=0", true},
	{"H264", "profile-level-id=42e01f;packetization-mode=1",
	 "profile-level-id=42001f;packetization-mode=1", false},
	{"H264", "profile-level-id=42e01f;packetization-mode=1",
	 "profile-level-id=4d001f;packetization-mode=1", false},
	{"H264", "profile-level-id=640c1f;packetization-mode=1",
	 "profile-level-id=64001f;packetization-mode=1", false},
	{"H264", "packetization-mode=1", "profile-level-id=42000a;packetization-mode=1", true},
	{"VP9", "", "profile-id=0", true},
	{"VP9", "profile-id=2", "profile-id=0", false},
	{"AV1", "", "profile=0;level-idx=5", true},
	{"AV1", "profile=1", "profile=0", false},
	{"H265", "profile-id=1;tier-flag=0;level-id=93", "", true},
	{"H265", "profile-id=2", "profile-id=1", false},
	{"VP8", "", "max-fr=30", true},
};

TEST(formats_of_one_bitstream_are_one_to_core_and_others_are_not)
{
	RIG();
	for (size_t i = 0; i < SL_COUNT(formats); i++) {
		uint32_t a = format(formats[i].codec, formats[i].a);
		uint32_t b = format(formats[i].codec, formats[i].b);

		CHECK(a && b);
		if ((a == b) != formats[i].same)
			sl_test_failed(__FILE__, __LINE__, "%s: \"%s\" and \"%s\"",
				       formats[i].codec, formats[i].a, formats[i].b);
	}
	CHECK(format("VP8", "") != format("VP9", ""));
	CHECK_EQ(format("ulpfec", ""), 0);
	CHECK_EQ(format("red", ""), 0);
	CHECK_EQ(format("flexfec-03", "repair-window=10000000"), 0);
}

#define TWCC                                                                                       \
	"a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n" \
	"a=rtcp-fb:96 transport-cc\r\n"
#define REMB "a=rtcp-fb:96 goog-remb\r\n"

static const struct sl_track_conf *published(const char *more)
{
	CHECK_EQ(ask("POST", "/whip/studio", SDP_HEADERS, video_offer("VP8", "", more))->status,
		 201);
	return &fake_core_last(&rig.core)->conf.tracks[0];
}

TEST(the_cap_is_told_by_remb_where_transport_cc_is_not_there_or_where_it_is_asked_for)
{
	const struct sl_track_conf *t;

	rig_init();
	rig.conf.publish.max_video_bps = 700000;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	t = published(REMB);
	CHECK(t->remb && !t->twcc);
	CHECK_EQ(t->max_bps, 700000);
	t = published(REMB TWCC);
	CHECK(t->twcc && t->exts.id[SL_EXT_TWCC] == 3);
	CHECK_EQ(t->max_bps, 0);
	rig.conf.publish.cap = true;
	CHECK_EQ(published(REMB TWCC)->max_bps, 700000);
	CHECK(published(REMB TWCC)->remb);
	rig.api->publish_bps = 0;
	CHECK_EQ(published(REMB)->max_bps, 0);
	/* The extension without the feedback, and the other way round, are no transport-cc. */
	CHECK(!published("a=rtcp-fb:96 transport-cc\r\n")->twcc);
}

TEST(a_page_of_a_configured_origin_may_use_everything)
{
	rig_init();
	rig.conf.http.origins.n = 1;
	(void)sl_fmt(rig.conf.http.origins.at[0], SL_CONFIG_TEXT_MAX, "https://app.example");
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	CHECK_EQ(ask("GET", "/metrics", "Origin: https://app.example\r\n", "")->status, 200);
	CHECK_EQ(ask("GET", "/metrics", "Origin: https://app.example:444\r\n", "")->status, 403);
	CHECK_STR(
		answer_header(ask("POST", "/whip/a", SDP_HEADERS "Origin: https://app.example\r\n",
				  offer("sendonly", 1, 1)),
			      "Access-Control-Allow-Origin"),
		"https://app.example");
}

/* Scripts of another origin, EventSource and PATCH are asked for with CORS: without its headers the
 * browser would keep the answer from the page. */
TEST(a_page_of_a_configured_origin_may_read_what_it_asked_for)
{
	static const char *const paths[] = {"/sluice.js", "/v1/rooms", "/v1/nothing/here",
					    "/metrics"};
	const struct answer *a;

	rig_init();
	rig.conf.http.origins.n = 1;
	(void)sl_fmt(rig.conf.http.origins.at[0], SL_CONFIG_TEXT_MAX, "https://app.example");
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	for (size_t i = 0; i < SL_COUNT(paths); i++) {
		a = ask("GET", paths[i], "Origin: https://app.example\r\n", "");
		CHECK_STR(answer_header(a, "Access-Control-Allow-Origin"), "https://app.example");
		CHECK_STR(answer_header(a, "Vary"), "Origin");
		a = ask("GET", paths[i], "", "");
		CHECK_STR(answer_header(a, "Access-Control-Allow-Origin"), "");
	}
	a = ask("OPTIONS", "/v1/rooms/studio",
		"Origin: https://app.example\r\nAccess-Control-Request-Method: PATCH\r\n", "");
	CHECK_STR(answer_header(a, "Access-Control-Allow-Origin"), "https://app.example");
	CHECK(strstr(answer_header(a, "Access-Control-Allow-Methods"), "PATCH"));
	a = ask("OPTIONS", "/v1/rooms/studio", "Origin: http://localhost:3000\r\n", "");
	CHECK_EQ(a->status, 403);
	CHECK_STR(answer_header(a, "Access-Control-Allow-Origin"), "");
}

static int log_fd;

static void end_log(void *unused)
{
	(void)unused;
	sl_log_stop();
	close(log_fd);
}

TEST(a_player_without_a_codec_for_its_publisher_is_told_of_in_the_log)
{
	struct sl_core_event ev = {.type = SL_EV_CODEC_MISMATCH, .codec = SL_H264};
	const char *line;
	char text[8192];
	ssize_t n;

	log_fd = memfd_create("log", MFD_CLOEXEC);
	CHECK(log_fd >= 0);
	DEFER(end_log, NULL);
	TRY(sl_log_start(log_fd, false));
	RIG();
	publish("/whip/studio?participant=cam", where, tag);
	ev.publisher = fake_core_last(&rig.core)->tracks[1];
	play("/whep/studio", 1, 1, where, tag);
	ev.tag = fake_core_last(&rig.core)->conf.tag;
	ev.transport = fake_core_last(&rig.core)->id;
	ev.track = fake_core_last(&rig.core)->tracks[1];
	sl_api_event(rig.api, &ev);
	sl_log_stop();
	n = pread(log_fd, text, sizeof(text) - 1, 0);
	CHECK(n >= 0);
	text[n] = '\0';
	line = strstr(text, "no codec");
	CHECK(line && strstr(line, "room=studio"));
	CHECK(strstr(line, "codec=H264") && strstr(line, "publisher=cam"));
	CHECK_EQ(sl_api_sessions(rig.api), 2);
}
