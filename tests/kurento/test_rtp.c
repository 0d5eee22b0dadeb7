/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_rtp.c — RtpEndpoint: keys, descriptions both ways, what core is told, events. */
#include "tests/kurento/peer.h"

#define NL "\\r\\n"
#define HEAD "v=0" NL "o=- 1 2 IN IP4 198.51.100.7" NL "s=-" NL "c=IN IP4 198.51.100.7" NL "t=0 0" NL
#define KEY30 "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw"
#define KEY46 "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Ng=="
#define CRYPTO128 "{'crypto':'AES_128_CM_HMAC_SHA1_80','keyBase64':'" KEY30 "'}"
#define VP8 "a=rtpmap:96 VP8/90000" NL

static char text[8192];

static struct peer *begin(char pipeline[256])
{
	struct peer *p = peer_new();

	new_pipeline(p, pipeline);
	return p;
}

/* With so many more members of constructorParams. */
static void endpoint(struct peer *p, const char *pipeline, const char *more, char out[256])
{
	call_str(p, out, 256, "create", "'type':'RtpEndpoint','constructorParams':{'mediaPipeline':'%s'%s}", pipeline,
		 more);
}

static const char *invoke(struct peer *p, const char *o, const char *method, const char *param, const char *sdp)
{
	call_str(p, text, sizeof(text), "invoke", "'object':'%s','operation':'%s','operationParams':{'%s':'%s'}", o,
		 method, param, sdp);
	return text;
}

static const char *answer_to(struct peer *p, const char *o, const char *sdp)
{
	return invoke(p, o, "processOffer", "offer", sdp);
}

static const struct sl_transport_conf *told(size_t i)
{
	CHECK(i < world.core.count);
	return &world.core.t[i].conf;
}

static void core_says(size_t transport, enum sl_core_event_type type)
{
	const struct fake_transport *t = &world.core.t[transport];
	struct sl_core_event ev = {.type = type, .transport = t->id, .tag = t->conf.tag};

	kms_endpoint_event(world.k, &ev);
}

static size_t open_transports(void)
{
	size_t n = 0;

	for (size_t i = 0; i < world.core.count; i++)
		n += world.core.t[i].open;
	return n;
}

TEST(a_phone_with_only_pcma_is_answered_with_ports_of_its_own)
{
	char pipeline[256], o[256];
	struct peer *p;

	WORLD();
	p = begin(pipeline);
	endpoint(p, pipeline, "", o);
	answer_to(p, o, HEAD "m=audio 30000 RTP/AVP 8" NL "a=rtcp:30017" NL);
	CHECK(strstr(text, "s=Kurento Media Server\r\n"));
	CHECK(strstr(text, "m=audio 40002 RTP/AVP 8\r\nc=IN IP4 192.0.2.1\r\na=rtcp:40003\r\n"));
	CHECK_EQ(world.core.count, 1);
	CHECK_EQ(told(0)->kind, SL_TK_PLAIN);
	CHECK_EQ(told(0)->plain.rtp.port, 30000);
	CHECK_EQ(told(0)->plain.rtcp.port, 30017);
	CHECK_EQ(told(0)->plain.learn, SL_LEARN_NEVER);
	CHECK_EQ(told(0)->plain.in.suite, SL_SDES_NONE);
	CHECK_EQ(told(0)->track_count, 2);
	CHECK(told(0)->tracks[0].publish && !told(0)->tracks[1].publish);
	CHECK_EQ(told(0)->tracks[0].codecs[0].codec, SL_PCMA);
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'processOffer','operationParams':{'offer':'v=0'}", o),
		 40208);
}

TEST(t01_media_follows_a_peers_packets_only_where_the_operator_said_so)
{
	char pipeline[256], o[256];
	struct peer *p;

	WORLD();
	world.conf.kurento.rtp_symmetric = true;
	p = begin(pipeline);
	endpoint(p, pipeline, "", o);
	answer_to(p, o,
		  HEAD "m=audio 30000 RTP/AVP 8" NL "m=video 30002 RTP/AVPF 96" NL VP8
		       "a=direction:active" NL);
	CHECK_EQ(told(0)->plain.learn, SL_LEARN_SYMMETRIC);
	CHECK_EQ(told(1)->plain.learn, SL_LEARN_SOURCE);
}

TEST(sound_and_picture_have_a_transport_each_and_other_m_lines_none)
{
	char pipeline[256], o[256];
	struct peer *p;

	WORLD();
	p = begin(pipeline);
	endpoint(p, pipeline, "", o);
	answer_to(p, o,
		  HEAD "m=application 9 TCP/BFCP *" NL "m=audio 30000 RTP/AVPF 0" NL "a=recvonly" NL
		       "m=video 30002 RTP/AVPF 96" NL VP8 "a=rtcp-mux" NL "a=sendonly" NL "a=direction:active" NL);
	CHECK_EQ(world.core.count, 2);
	CHECK_EQ(told(0)->track_count, 1);
	CHECK(!told(0)->tracks[0].publish);
	CHECK(!told(0)->plain.mux && told(1)->plain.mux);
	CHECK_EQ(told(1)->plain.rtcp.port, 30002);
	CHECK_EQ(told(1)->plain.learn, SL_LEARN_SOURCE);
	CHECK(!told(1)->plain.any_address);
	CHECK(told(1)->tracks[0].publish && told(1)->tracks[0].kind == SL_VIDEO);
	CHECK(strstr(text, "m=application 0 "));
	CHECK(strstr(text, "m=video 40004 RTP/AVPF 96\r\n"));
	CHECK(strstr(text, "a=direction:passive\r\n"));
	CHECK(!strstr(text, "a=rtcp:40004"));
}

TEST(keys_are_raw_or_in_base64_and_of_the_suites_size)
{
	static const struct {
		const char *crypto;
		int code;
	} rows[] = {
		{"{}", 0},
		{"{'crypto':'AES_128_CM_HMAC_SHA1_32'}", 0},
		{"{'crypto':'AES_256_CM_HMAC_SHA1_80'}", 0},
		{CRYPTO128, 0},
		{"{'crypto':'AES_128_CM_HMAC_SHA1_80','key':'123456789012345678901234567890'}", 0},
		{"{'crypto':'AES_256_CM_HMAC_SHA1_32','keyBase64':'" KEY46 "'}", 0},
		{"{'crypto':'AES_128_CM_HMAC_SHA1_80','key':'12345678901234567890123456789'}", 40107},
		{"{'crypto':'AES_256_CM_HMAC_SHA1_80','key':'123456789012345678901234567890'}", 40107},
		{"{'crypto':'AES_256_CM_HMAC_SHA1_80','keyBase64':'" KEY30 "'}", 40107},
		{"{'crypto':'AES_128_CM_HMAC_SHA1_80','keyBase64':'" KEY46 "'}", 40107},
		{"{'crypto':'AES_128_CM_HMAC_SHA1_80','keyBase64':'***'}", 40107},
		{"{'crypto':'DES'}", 40001},
	};
	char pipeline[256];
	struct peer *p;

	WORLD();
	p = begin(pipeline);
	for (size_t i = 0; i < SL_COUNT(rows); i++)
		CHECK_EQ(call_code(p, "create",
				   "'type':'RtpEndpoint','constructorParams':{'mediaPipeline':'%s','crypto':%s}", pipeline,
				   rows[i].crypto),
			 rows[i].code);
}

TEST(srtp_takes_the_peers_key_and_tells_ours)
{
	char pipeline[256], o[256];
	struct peer *p;

	WORLD();
	p = begin(pipeline);
	endpoint(p, pipeline, ",'crypto':{'crypto':'AES_128_CM_HMAC_SHA1_80','key':'abcdefghijklmnopqrstuvwxyz0123'}",
		 o);
	answer_to(p, o,
		  HEAD "m=audio 30000 RTP/SAVP 0" NL "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:" KEY30 NL
		       "m=video 30002 RTP/AVPF 96" NL VP8);
	CHECK(strstr(text, "m=audio 40002 RTP/SAVP 0\r\n"));
	CHECK(strstr(text, "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIz\r\n"));
	CHECK(strstr(text, "m=video 0 RTP/AVPF 96\r\n"));
	CHECK_EQ(world.core.count, 1);
	CHECK_EQ(told(0)->plain.in.suite, SL_SDES_AES128_80);
	CHECK_EQ(told(0)->plain.out.suite, SL_SDES_AES128_80);
	CHECK_BYTES(told(0)->plain.in.bytes, "123456789012345678901234567890", 30);
	CHECK_BYTES(told(0)->plain.out.bytes, "abcdefghijklmnopqrstuvwxyz0123", 30);
}

TEST(srtp_offered_to_an_endpoint_without_a_key_is_rejected)
{
	char pipeline[256], o[256];
	struct peer *p;

	WORLD();
	p = begin(pipeline);
	endpoint(p, pipeline, "", o);
	answer_to(p, o, HEAD "m=audio 30000 RTP/SAVP 0" NL "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" KEY30 NL);
	CHECK(strstr(text, "m=audio 0 RTP/SAVP 0\r\n"));
	CHECK_EQ(world.core.count, 0);
}

TEST(ipv6_is_the_constructors_choice)
{
	char pipeline[256], o[256];
	struct peer *p;

	WORLD();
	p = begin(pipeline);
	endpoint(p, pipeline, ",'useIpv6':true", o);
	answer_to(p, o,
		  "v=0" NL "o=- 1 2 IN IP6 2001:db8::7" NL "s=-" NL "t=0 0" NL "m=audio 30000 RTP/AVP 0" NL
		  "c=IN IP6 2001:db8::7" NL "m=audio 30002 RTP/AVP 0" NL "c=IN IP4 198.51.100.7" NL);
	CHECK(strstr(text, "o=- ") && strstr(text, " IN IP6 2001:db8::1\r\n"));
	CHECK(strstr(text, "c=IN IP6 2001:db8::1\r\n"));
	CHECK_EQ(world.core.count, 1);
	CHECK_EQ(told(0)->plain.bind.family, 6);
	CHECK(strstr(text, "m=audio 0 RTP/AVP"));
}

TEST(an_offer_of_ours_has_ports_and_its_answer_says_where_to_send)
{
	char pipeline[256], o[256];
	struct peer *p;

	WORLD();
	p = begin(pipeline);
	endpoint(p, pipeline, ",'crypto':" CRYPTO128, o);
	call_str(p, text, sizeof(text), "invoke", "'object':'%s','operation':'generateOffer'", o);
	CHECK(strstr(text, "m=audio 40002 RTP/SAVPF "));
	CHECK(strstr(text, "m=video 40004 RTP/SAVPF "));
	CHECK(strstr(text, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" KEY30 "\r\n"));
	CHECK(told(0)->offering && told(0)->track_count == 0);
	invoke(p, o, "processAnswer", "answer",
	       HEAD "m=audio 30000 RTP/SAVPF 0" NL "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" KEY30 NL "a=recvonly" NL
		    "m=video 0 RTP/SAVPF 96" NL);
	CHECK_EQ(world.core.t[0].remotes, 1);
	CHECK_EQ(told(0)->plain.rtp.port, 30000);
	CHECK_EQ(told(0)->plain.in.suite, SL_SDES_AES128_80);
	CHECK_EQ(fake_core_track_count(&world.core), 1);
	CHECK_EQ(open_transports(), 1);
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'processAnswer','operationParams':{'answer':'v=0'}", o),
		 40210);
}

TEST(an_answer_that_does_not_fit_is_refused_with_its_code)
{
	char pipeline[256], o[256];
	struct peer *p;

	WORLD();
	p = begin(pipeline);
	endpoint(p, pipeline, "", o);
	call_str(p, text, sizeof(text), "invoke", "'object':'%s','operation':'generateOffer'", o);
	CHECK_EQ(call_code(p, "invoke",
			   "'object':'%s','operation':'processAnswer','operationParams':{'answer':'" HEAD
			   "m=audio 30000 RTP/AVP 0" NL "'}",
			   o),
		 40206);
}

/* Our sockets could not reach it, and it is too late to reject the m-line. */
TEST(an_answer_of_the_other_ip_version_is_refused)
{
	char pipeline[256], o[256];
	struct peer *p;

	WORLD();
	p = begin(pipeline);
	endpoint(p, pipeline, "", o);
	call_str(p, text, sizeof(text), "invoke", "'object':'%s','operation':'generateOffer'", o);
	CHECK_EQ(call_code(p, "invoke",
			   "'object':'%s','operation':'processAnswer','operationParams':{'answer':'v=0" NL
			   "o=- 1 2 IN IP6 2001:db8::7" NL "s=-" NL "c=IN IP6 2001:db8::7" NL "t=0 0" NL
			   "m=audio 30000 RTP/AVPF 0" NL "m=video 0 RTP/AVPF 96" NL "'}",
			   o),
		 40206);
	CHECK_EQ(fake_core_track_count(&world.core), 0);
	invoke(p, o, "processAnswer", "answer", HEAD "m=audio 30000 RTP/AVPF 0" NL "m=video 0 RTP/AVPF 96" NL);
	CHECK_EQ(told(0)->plain.rtp.port, 30000);
}

TEST(offer_options_choose_the_media)
{
	char pipeline[256], o[256];
	struct peer *p;

	WORLD();
	p = begin(pipeline);
	endpoint(p, pipeline, "", o);
	call_str(p, text, sizeof(text), "invoke",
		 "'object':'%s','operation':'generateOffer','operationParams':{'options':{'offerToReceiveVideo':false}}", o);
	CHECK(strstr(text, "m=audio ") && !strstr(text, "m=video "));
	CHECK_EQ(world.core.count, 1);
}

TEST(when_no_ports_are_left_nothing_stays_open_and_the_error_says_so)
{
	char pipeline[256], o[256];
	struct peer *p;

	WORLD();
	p = begin(pipeline);
	endpoint(p, pipeline, "", o);
	world.core.fail = SL_EFULL;
	CHECK_EQ(call_code(p, "invoke",
			   "'object':'%s','operation':'processOffer','operationParams':{'offer':'" HEAD
			   "m=audio 30000 RTP/AVP 0" NL "'}",
			   o),
		 40009);
	world.core.fail = 0;
	CHECK_EQ(open_transports(), 0);
	answer_to(p, o, HEAD "m=audio 30000 RTP/AVP 0" NL);
	CHECK_EQ(open_transports(), 1);
}

TEST(transports_end_with_their_endpoint_even_with_one_that_is_negotiating)
{
	char pipeline[256], a[256], b[256];
	struct peer *p;

	WORLD();
	p = begin(pipeline);
	endpoint(p, pipeline, "", a);
	endpoint(p, pipeline, "", b);
	answer_to(p, a, HEAD "m=audio 30000 RTP/AVP 0" NL "m=video 30002 RTP/AVP 96" NL VP8);
	CHECK_EQ(open_transports(), 2);
	world.core.hold = true;
	(void)sl_fmt(text, sizeof(text),
		     "{\"jsonrpc\":\"2.0\",\"id\":99,\"method\":\"invoke\",\"params\":{\"object\":\"%s\",\"operation\":"
		     "\"processOffer\",\"operationParams\":{\"offer\":\"" HEAD "m=audio 30000 RTP/AVP 0" NL
		     "\"},\"sessionId\":\"%s\"}}",
		     b, p->session);
	peer_say(p, text);
	CHECK_EQ(call_code(p, "release", "'object':'%s'", pipeline), 0);
	world.core.hold = false;
	fake_core_release(&world.core);
	world_wait(SL_SEC);
	CHECK_EQ(open_transports(), 0);
}

TEST(states_and_the_end_of_a_key_are_told)
{
	char pipeline[256], o[256];
	struct peer *p;
	const cJSON *ev;

	WORLD();
	p = begin(pipeline);
	endpoint(p, pipeline, ",'crypto':" CRYPTO128, o);
	CHECK_EQ(call_code(p, "subscribe", "'object':'%s','type':'ConnectionStateChanged'", o), 0);
	CHECK_EQ(call_code(p, "subscribe", "'object':'%s','type':'OnKeySoftLimit'", o), 0);
	answer_to(p, o,
		  HEAD "m=audio 3 RTP/SAVP 0" NL "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" KEY30 NL
		       "m=video 5 RTP/SAVP 96" NL VP8 "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" KEY30 NL);
	while (peer_take(p))
		;
	core_says(0, SL_EV_CONNECTED);
	CHECK(!peer_take(p));
	core_says(1, SL_EV_CONNECTED);
	STOP_AFTER_OOM();
	ev = at(peer_take(p), "params", "value", NULL);
	CHECK_STR(str_at(ev, "type", NULL), "ConnectionStateChanged");
	CHECK_STR(str_at(ev, "data", "newState"), "CONNECTED");
	core_says(1, SL_EV_KEY_LIMIT);
	STOP_AFTER_OOM();
	ev = at(peer_take(p), "params", "value", NULL);
	CHECK_STR(str_at(ev, "type", NULL), "OnKeySoftLimit");
	CHECK_STR(str_at(ev, "data", "mediaType"), "VIDEO");
	call_str(p, text, sizeof(text), "invoke", "'object':'%s','operation':'getConnectionState'", o);
	CHECK_STR(text, "CONNECTED");
}

TEST(two_endpoints_connected_play_each_others_tracks)
{
	char pipeline[256], a[256], b[256];
	struct peer *p;

	WORLD();
	p = begin(pipeline);
	endpoint(p, pipeline, "", a);
	endpoint(p, pipeline, "", b);
	answer_to(p, a, HEAD "m=audio 3 RTP/AVP 0" NL "a=sendonly" NL);
	answer_to(p, b, HEAD "m=audio 5 RTP/AVP 0" NL "a=recvonly" NL);
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'connect','operationParams':{'sink':'%s'}", a, b), 0);
	world_wait(SL_SEC);
	CHECK_EQ(fake_core_route(&world.core, world.core.t[1].tracks[0]), world.core.t[0].tracks[0]);
}
