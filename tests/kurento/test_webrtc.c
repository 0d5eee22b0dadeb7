/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_webrtc.c — WebRtcEndpoint as a client sees it, over a core that only
 * remembers. */
#include "tests/kurento/peer.h"
#include "api/kurento/endpoint.h"
#include "core/base/mem.h"
#include <stdio.h>
#include <stdlib.h>

enum { TEXT = 64 << 10, OOM_RUNS = 200 };
static char pipeline[256], element[256], sdp[TEXT], escaped[2 * TEXT], got[TEXT];

/* Lines with \n; what JSON has instead. */
static const char *json(const char *s)
{
	char *to = escaped;

	for (; *s; s++) {
		if (*s == '\r')
			continue;
		if (*s == '\n') {
			memcpy(to, "\\r\\n", 4);
			to += 4;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
	return escaped;
}

static const char *vector(const char *name)
{
	char path[128];
	FILE *f;
	size_t n;

	CHECK(sl_fmt(path, sizeof(path), "tests/vectors/sdp/%s.sdp", name));
	f = fopen(path, "r");
	CHECK(f);
	n = fread(sdp, 1, sizeof(sdp) - 1, f);
	(void)fclose(f);
	sdp[n] = '\0';
	return sdp;
}

#define HEAD "v=0\no=- 1 2 IN IP4 127.0.0.1\ns=-\nt=0 0\n"
#define WHOLE                                                                                      \
	"a=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuv\n"                                     \
	"a=fingerprint:sha-256 AA:BB\na=setup:actpass\na=rtcp-mux\n"
#define AUDIO "m=audio 9 UDP/TLS/RTP/SAVPF 0\n" WHOLE
#define VIDEO "m=video 9 UDP/TLS/RTP/SAVPF 96\na=rtpmap:96 VP8/90000\n" WHOLE
#define BOTH HEAD "a=group:BUNDLE a v\n" AUDIO "a=mid:a\na=ssrc:5 cname:x\n" VIDEO "a=mid:v\n"

static struct peer *begin(const char *type)
{
	struct peer *p = peer_new();

	new_pipeline(p, pipeline);
	new_element(p, type, pipeline, element);
	return p;
}

/* An operation of the element without parameters, or with one string. */
static const cJSON *op(struct peer *p, const char *name)
{
	return call(p, "invoke", "'object':'%s','operation':'%s'", element, name);
}

static int op_code(struct peer *p, const char *name, const char *param, const char *value)
{
	return call_code(p, "invoke",
			 "'object':'%s','operation':'%s','operationParams':{'%s':'%s'}", element,
			 name, param, json(value));
}

static const char *op_str(struct peer *p, const char *name, const char *param, const char *value)
{
	call_str(p, got, sizeof(got), "invoke",
		 "'object':'%s','operation':'%s','operationParams':{'%s':'%s'}", element, name,
		 param, json(value));
	return got;
}

static void subscribe(struct peer *p, const char *event)
{
	CHECK_EQ(call_code(p, "subscribe", "'object':'%s','type':'%s'", element, event), 0);
}

/* The data of the n-th event of that type that was sent and not yet taken; NULL. */
static const cJSON *event(const struct peer *p, const char *type, size_t n)
{
	for (size_t i = 0; i < p->n; i++) {
		const cJSON *value = at(p->got[i], "params", "value", NULL);

		if (value && strcmp(str_at(value, "type", NULL), type) == 0 && n-- == 0)
			return at(value, "data", NULL);
	}
	return NULL;
}

static void drain(struct peer *p)
{
	while (p->n > 0)
		(void)peer_take(p);
}

static void core_says(struct sl_core_event ev)
{
	const struct fake_transport *t = fake_core_last(&world.core);

	ev.transport = t->id;
	ev.tag = t->conf.tag;
	kms_endpoint_event(world.k, &ev);
}

static struct sl_core_cand host(uint16_t port)
{
	return (struct sl_core_cand){.addr = sl_addr_v4(192, 0, 2, 7, port),
				     .priority = 2130706431,
				     .foundation = "1",
				     .type = "host"};
}

/* Where the value of a key in the answer begins; fails when it is not there. */
static const char *after(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	CHECK(p);
	return p + strlen(key);
}

TEST(an_offer_of_chromium_is_answered_in_both_directions_without_candidates)
{
	struct peer *p;
	const struct fake_transport *t;

	WORLD();
	p = begin("WebRtcEndpoint");
	CHECK_EQ(op_code(p, "processOffer", "offer", ""), 40201);
	(void)op_str(p, "processOffer", "offer", vector("chromium"));
	t = fake_core_last(&world.core);
	CHECK(strstr(got, "a=sendrecv") && !strstr(got, "a=candidate") && !strstr(got, "msid"));
	CHECK(strstr(got, "a=setup:active\r\n") && strstr(got, "a=group:BUNDLE 0 1"));
	CHECK(strstr(got, "a=ice-ufrag:ours0"));
	CHECK(strstr(got, "a=fingerprint:sha-256 55:11"));
	CHECK(strstr(got, "m=audio 9 UDP/TLS/RTP/SAVPF 111"));
	CHECK(t->conf.watch && t->conf.rsa && t->conf.dtls_client && !t->conf.controlling);
	CHECK_EQ(t->conf.mtu, 1200);
	CHECK_EQ(fake_core_track_count(&world.core), 4);
	CHECK_STR(str_at(op(p, "getLocalSessionDescriptor"), "result", "value"), got);
	CHECK(strstr(str_at(op(p, "getRemoteSessionDescriptor"), "result", "value"), "m=video"));
}

TEST(descriptions_out_of_order_get_kurentos_codes)
{
	struct peer *p;

	WORLD();
	p = begin("WebRtcEndpoint");
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'getLocalSessionDescriptor'",
			   element),
		 40202);
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'getRemoteSessionDescriptor'",
			   element),
		 40203);
	CHECK_EQ(op_code(p, "processAnswer", "answer", BOTH), 40209);
	CHECK_EQ(op_code(p, "processOffer", "offer", "nonsense"), 40201);
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 40208);
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'generateOffer'", element),
		 40208);
	CHECK_EQ(op_code(p, "processAnswer", "answer", BOTH), 40209);
	new_element(p, "WebRtcEndpoint", pipeline, element);
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'generateOffer'", element), 0);
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'generateOffer'", element),
		 40208);
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 40208);
	CHECK_EQ(op_code(p, "processAnswer", "answer", ""), 40201);
	CHECK_EQ(op_code(p, "processAnswer", "answer", BOTH), 40206);
}

/* What a browser would answer to our offer. */
static const char *answer_to(const char *offer)
{
	static char out[TEXT];
	const char *pt = after(offer, "m=audio 9 UDP/TLS/RTP/SAVPF ");

	CHECK(strncmp(pt, "111", 3) == 0);
	CHECK(sl_fmt(
		out, sizeof(out),
		HEAD
		"a=group:BUNDLE 0 1\nm=audio 9 UDP/TLS/RTP/SAVPF 111\na=rtpmap:111 opus/48000/2\n"
		"a=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuv\na=fingerprint:sha-256 AA:BB\n"
		"a=setup:active\na=rtcp-mux\na=mid:0\na=sendrecv\n"
		"m=video 9 UDP/TLS/RTP/SAVPF 96\na=rtpmap:96 VP8/90000\n"
		"a=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuv\na=fingerprint:sha-256 AA:BB\n"
		"a=setup:active\na=rtcp-mux\na=mid:1\na=recvonly\n"));
	return out;
}

TEST(an_offer_of_ours_is_answered_once)
{
	struct peer *p;
	struct fake_transport *t;

	WORLD();
	p = begin("WebRtcEndpoint");
	subscribe(p, "MediaSessionStarted");
	call_str(p, got, sizeof(got), "invoke", "'object':'%s','operation':'generateOffer'",
		 element);
	t = fake_core_last(&world.core);
	CHECK(t->conf.offering && t->conf.controlling && t->conf.track_count == 0);
	CHECK(strstr(got, "a=setup:actpass") && strstr(got, "a=sendrecv") &&
	      strstr(got, "m=video 9"));
	CHECK(!event(p, "MediaSessionStarted", 0));
	(void)op_str(p, "processAnswer", "answer", answer_to(got));
	CHECK(event(p, "MediaSessionStarted", 0));
	CHECK(strstr(got, "a=setup:actpass"));
	CHECK_EQ(t->remotes, 1);
	CHECK(!t->conf.dtls_client);
	CHECK_EQ(fake_core_track_count(&world.core), 3); /* audio both ways, video to the peer */
	CHECK_EQ(op_code(p, "processAnswer", "answer", BOTH), 40210);
}

TEST(offer_options_and_the_constructor_choose_sections_and_directions)
{
	struct peer *p;

	WORLD();
	p = begin("PassThrough");
	call_str(
		p, element, sizeof(element), "create",
		"'type':'WebRtcEndpoint','constructorParams':{'mediaPipeline':'%s','recvonly':true,"
		"'certificateKeyType':'ECDSA','qosDscp':'AF41'}",
		pipeline);
	call_str(p, got, sizeof(got), "invoke",
		 "'object':'%s','operation':'generateOffer','operationParams':{'options':"
		 "{'offerToReceiveAudio':false}}",
		 element);
	CHECK(!strstr(got, "m=audio") && strstr(got, "m=video") && strstr(got, "a=recvonly"));
	CHECK(strstr(got, "a=fingerprint:sha-256 00:11"));
	CHECK_EQ(fake_core_last(&world.core)->conf.dscp, 34);
	CHECK(!fake_core_last(&world.core)->conf.rsa);
	call_str(
		p, element, sizeof(element), "create",
		"'type':'WebRtcEndpoint','constructorParams':{'mediaPipeline':'%s','sendonly':true,"
		"'useDataChannels':true}",
		pipeline);
	(void)op_str(p, "processOffer", "offer", vector("data-first"));
	CHECK(strstr(got, "m=application 0 "));
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'createDataChannel'", element),
		 40111);
	CHECK_EQ(call_code(p, "invoke",
			   "'object':'%s','operation':'closeDataChannel','operationParams':{'"
			   "channelId':0}",
			   element),
		 40111);
}

TEST(candidates_are_told_for_each_section_and_stand_in_the_description)
{
	struct peer *p;
	const cJSON *e;
	struct sl_core_cand c = host(40000);

	WORLD();
	p = begin("WebRtcEndpoint");
	subscribe(p, "IceCandidateFound");
	subscribe(p, "OnIceGatheringDone");
	subscribe(p, "IceComponentStateChanged");
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'gatherCandidates'", element),
		 0);
	CHECK_EQ(world.core.gathers, 1);
	CHECK_STR(str_at(event(p, "IceComponentStateChanged", 0), "state", NULL), "GATHERING");
	core_says((struct sl_core_event){.type = SL_EV_CANDIDATE, .local = c});
	core_says((struct sl_core_event){.type = SL_EV_GATHERED});
	STOP_AFTER_OOM();
	e = event(p, "IceCandidateFound", 0);
	CHECK_STR(str_at(e, "candidate", "candidate"),
		  "candidate:1 1 udp 2130706431 192.0.2.7 40000 typ host");
	CHECK_STR(str_at(e, "candidate", "sdpMid"), "a");
	CHECK_STR(str_at(e, "candidate", "__type__"), "IceCandidate");
	e = event(p, "IceCandidateFound", 1);
	CHECK_STR(str_at(e, "candidate", "sdpMid"), "v");
	CHECK_EQ(at(e, "candidate", "sdpMLineIndex", NULL)->valueint, 1);
	CHECK(!event(p, "IceCandidateFound", 2));
	CHECK(event(p, "OnIceGatheringDone", 0));
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'gatherCandidates'", element),
		 0);
	CHECK_EQ(world.core.gathers, 1);
	call_str(p, got, sizeof(got), "invoke",
		 "'object':'%s','operation':'getLocalSessionDescriptor'", element);
	CHECK(strstr(got, "m=audio 40000 ") &&
	      strstr(got, "c=IN IP4 192.0.2.7\r\na=candidate:1 1 udp"));
	CHECK(strstr(got, "a=end-of-candidates"));
}

TEST(gathering_while_an_offer_is_processed_waits_for_it)
{
	struct peer *p;

	WORLD();
	p = begin("WebRtcEndpoint");
	world.core.hold = true;
	(void)sl_fmt(sdp, sizeof(sdp),
		     "{\"jsonrpc\":\"2.0\",\"id\":900,\"method\":\"invoke\",\"params\":{\"object\":"
		     "\"%s\","
		     "\"operation\":\"processOffer\",\"operationParams\":{\"offer\":\"%s\"},"
		     "\"sessionId\":\"%s\"}}",
		     element, json(BOTH), p->session);
	peer_say(p, sdp);
	(void)sl_fmt(sdp, sizeof(sdp),
		     "{\"jsonrpc\":\"2.0\",\"id\":901,\"method\":\"invoke\",\"params\":{"
		     "\"object\":\"%s\",\"operation\":\"gatherCandidates\",\"sessionId\":\"%s\"}}",
		     element, p->session);
	peer_say(p, sdp);
	CHECK_EQ(world.core.gathers, 0);
	world.core.hold = false;
	fake_core_release(&world.core);
	for (int i = 0; i < 10; i++)
		world_wait(0);
	STOP_AFTER_OOM();
	CHECK_EQ(world.core.gathers, 1);
}

TEST(gathering_before_any_description_puts_candidates_into_it)
{
	struct peer *p;

	WORLD();
	p = begin("WebRtcEndpoint");
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'gatherCandidates'", element),
		 0);
	world_wait(0);
	STOP_AFTER_OOM();
	CHECK_EQ(world.core.gathers, 1);
	core_says((struct sl_core_event){.type = SL_EV_CANDIDATE, .local = host(40001)});
	core_says((struct sl_core_event){.type = SL_EV_GATHERED});
	STOP_AFTER_OOM();
	(void)op_str(p, "processOffer", "offer", BOTH);
	CHECK(strstr(got, "a=candidate:1 1 udp 2130706431 192.0.2.7 40001 typ host\r\n"));
	CHECK(strstr(got, "a=end-of-candidates"));
	CHECK_EQ(fake_core_open_count(&world.core), 1);
	CHECK_EQ(fake_core_last(&world.core)->remotes, 1);
	CHECK(fake_core_last(&world.core)->conf.answering);
	CHECK_EQ(fake_core_track_count(&world.core), 4);
}

static int add_candidate(struct peer *p, const char *text)
{
	return call_code(
		p, "invoke",
		"'object':'%s','operation':'addIceCandidate','operationParams':{'candidate':"
		"{'candidate':'%s','sdpMid':'a','sdpMLineIndex':0}}",
		element, text);
}

TEST(the_peers_candidates_wait_for_its_description_and_bad_ones_are_no_errors)
{
	static const char *const useless[] = {
		"",
		"candidate:1 1 udp 1 f00.local 9 typ host",
		"rubbish",
		"candidate:1 2 udp 1 192.0.2.9 9 typ host",
	};
	struct peer *p;

	WORLD();
	p = begin("WebRtcEndpoint");
	CHECK_EQ(add_candidate(p, "candidate:1 1 udp 5 192.0.2.8 4000 typ host"), 0);
	for (size_t i = 0; i < SL_COUNT(useless); i++)
		CHECK_EQ(add_candidate(p, useless[i]), 0);
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
	CHECK_EQ(fake_core_last(&world.core)->conf.cand_count, 1);
	CHECK_EQ(fake_core_last(&world.core)->conf.cands[0].addr.port, 4000);
	CHECK_EQ(add_candidate(p, "candidate:1 1 udp 5 192.0.2.8 4001 typ host"), 0);
	CHECK_EQ(fake_core_last(&world.core)->cands, 1);
	for (size_t i = 0; i < SL_COUNT(useless); i++)
		CHECK_EQ(add_candidate(p, useless[i]), 0);
	CHECK_EQ(fake_core_last(&world.core)->cands, 1);
}

TEST(a_second_offer_that_says_the_same_is_refused_and_others_renegotiate)
{
	struct peer *p;
	struct fake_transport *t;
	uint64_t audio;

	WORLD();
	p = begin("WebRtcEndpoint");
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
	t = fake_core_last(&world.core);
	audio = fake_core_track(&world.core, t, "a")->id;
	/* another version, and candidates: nothing to negotiate */
	CHECK_EQ(op_code(p, "processOffer", "offer",
			 "v=0\no=- 1 3 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE a v\n" AUDIO
			 "a=mid:a\na=ssrc:5 cname:x\na=candidate:1 1 udp 5 192.0.2.8 4001 typ "
			 "host\n" VIDEO "a=mid:v\n"),
		 40208);
	/* a section more */
	(void)op_str(p, "processOffer", "offer",
		     HEAD "a=group:BUNDLE a v w\n" AUDIO "a=mid:a\na=ssrc:5 cname:x\n" VIDEO
			  "a=mid:v\n" VIDEO "a=mid:w\na=recvonly\n");
	CHECK_EQ(fake_core_track_count(&world.core), 5);
	CHECK(strstr(got, "a=mid:w\r\na=sendonly"));
	CHECK_EQ(fake_core_track(&world.core, t, "a")->id, audio);
	/* one less */
	(void)op_str(p, "processOffer", "offer",
		     HEAD "a=group:BUNDLE a w\n" AUDIO
			  "a=mid:a\na=ssrc:5 cname:x\nm=video 0 UDP/TLS/RTP/SAVPF "
			  "96\na=mid:v\n" VIDEO "a=mid:w\na=recvonly\n");
	CHECK_EQ(fake_core_track_count(&world.core), 3);
	CHECK(strstr(got, "m=video 0 "));
	CHECK_EQ(t->restarts, 0);
	CHECK_EQ(fake_core_open_count(&world.core), 1);
}

TEST(other_ice_credentials_restart_and_another_fingerprint_begins_anew)
{
	static const char restarted[] = HEAD
		"a=group:BUNDLE a\nm=audio 9 UDP/TLS/RTP/SAVPF 0\na=ice-ufrag:efgh\n"
		"a=ice-pwd:abcdefghijklmnopqrstuv\na=fingerprint:sha-256 AA:BB\na=setup:actpass\n"
		"a=rtcp-mux\na=mid:a\n";
	static const char renewed[] = HEAD
		"a=group:BUNDLE a\nm=audio 9 UDP/TLS/RTP/SAVPF 0\na=ice-ufrag:ijkl\n"
		"a=ice-pwd:abcdefghijklmnopqrstuv\na=fingerprint:sha-256 CC:DD\na=setup:actpass\n"
		"a=rtcp-mux\na=mid:a\n";
	struct peer *p;
	struct fake_transport *t;

	WORLD();
	p = begin("WebRtcEndpoint");
	CHECK_EQ(op_code(p, "processOffer", "offer", HEAD "a=group:BUNDLE a\n" AUDIO "a=mid:a\n"),
		 0);
	t = fake_core_last(&world.core);
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'gatherCandidates'", element),
		 0);
	core_says((struct sl_core_event){.type = SL_EV_CANDIDATE, .local = host(40002)});
	(void)op_str(p, "processOffer", "offer", restarted);
	CHECK_EQ(t->restarts, 1);
	CHECK(strstr(got, "a=ice-ufrag:ours1") && strstr(got, "a=candidate:1 1 udp"));
	CHECK_EQ(fake_core_track_count(&world.core), 2);
	(void)op_str(p, "processOffer", "offer", renewed);
	CHECK(!t->open && fake_core_last(&world.core) != t);
	CHECK_EQ(fake_core_open_count(&world.core), 1);
	CHECK(!strstr(got, "a=candidate"));
	for (int i = 0; i < 3; i++)
		world_wait(0);
	CHECK_EQ(world.core.gathers, 2);
}

TEST(strict_refuses_every_second_offer)
{
	struct peer *p;

	WORLD();
	world.conf.kurento.strict = true;
	p = begin("WebRtcEndpoint");
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
	CHECK_EQ(op_code(p, "processOffer", "offer", vector("chromium")), 40208);
}

TEST(states_are_told_in_kurentos_order)
{
	static const char *const words[] = {"CONNECTING", "CONNECTED", "READY"};
	struct sl_core_cand ours = host(40003), theirs = host(5000);
	struct peer *p;
	const cJSON *e;

	WORLD();
	p = begin("WebRtcEndpoint");
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
	CHECK_EQ(cJSON_GetArraySize(at(op(p, "getIceConnectionState"), "result", "value", NULL)),
		 0);
	subscribe(p, "IceComponentStateChange");
	subscribe(p, "NewCandidatePairSelected");
	subscribe(p, "DtlsConnectionStateChange");
	subscribe(p, "ConnectionStateChanged");
	core_says((struct sl_core_event){.type = SL_EV_ICE, .ice = SL_CORE_ICE_CHECKING});
	core_says((struct sl_core_event){.type = SL_EV_ICE, .ice = SL_CORE_ICE_CONNECTED});
	core_says((struct sl_core_event){.type = SL_EV_PAIR, .local = ours, .remote = theirs});
	core_says((struct sl_core_event){.type = SL_EV_DTLS, .dtls = SL_CORE_DTLS_CONNECTED});
	core_says((struct sl_core_event){.type = SL_EV_CONNECTED});
	STOP_AFTER_OOM();
	for (size_t i = 0; i < SL_COUNT(words); i++) {
		e = event(p, "IceComponentStateChange", i);
		CHECK_STR(str_at(e, "state", NULL), words[i]);
		CHECK_EQ(at(e, "streamId", NULL)->valueint, 1);
	}
	e = event(p, "NewCandidatePairSelected", 0);
	CHECK_STR(str_at(e, "candidatePair", "localCandidate"),
		  "candidate:1 1 udp 2130706431 192.0.2.7 40003 typ host");
	CHECK_STR(str_at(event(p, "DtlsConnectionStateChange", 1), "state", NULL), "CONNECTED");
	CHECK(!event(p, "DtlsConnectionStateChange", 2));
	e = event(p, "ConnectionStateChanged", 0);
	CHECK_STR(str_at(e, "oldState", NULL), "DISCONNECTED");
	CHECK_STR(str_at(e, "newState", NULL), "CONNECTED");
	CHECK_STR(str_at(op(p, "getConnectionState"), "result", "value"), "CONNECTED");
	CHECK_STR(at(op(p, "getICECandidatePairs"), "result", "value", "0", "streamId", NULL)
			  ->valuestring,
		  "1");
	CHECK_STR(at(op(p, "getIceConnectionState"), "result", "value", "0", "state", NULL)
			  ->valuestring,
		  "READY");
	CHECK_EQ(cJSON_GetArraySize(at(op(p, "getDtlsConnectionState"), "result", "value", NULL)),
		 2);
	drain(p);
	core_says((struct sl_core_event){.type = SL_EV_CLOSED, .cause = SL_CLOSE_BY_PEER});
	STOP_AFTER_OOM();
	CHECK_STR(str_at(event(p, "ConnectionStateChanged", 0), "newState", NULL), "DISCONNECTED");
	CHECK_STR(str_at(event(p, "DtlsConnectionStateChange", 0), "state", NULL), "CLOSED");
}

/* Checks of the peer may come first: then core has a pair before it was seen to look for one. */
TEST(a_pair_that_is_there_at_once_is_told_after_connecting_and_before_ready)
{
	static const char *const words[] = {"CONNECTING", "CONNECTED", "READY"};
	struct sl_core_cand ours = host(40003), theirs = host(5000);
	struct peer *p;

	WORLD();
	p = begin("WebRtcEndpoint");
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
	subscribe(p, "IceComponentStateChanged");
	subscribe(p, "NewCandidatePairSelected");
	core_says((struct sl_core_event){.type = SL_EV_PAIR, .local = ours, .remote = theirs});
	STOP_AFTER_OOM();
	CHECK_STR(str_at(event(p, "IceComponentStateChanged", 1), "state", NULL), "CONNECTED");
	CHECK(event(p, "NewCandidatePairSelected", 0));
	core_says((struct sl_core_event){.type = SL_EV_ICE, .ice = SL_CORE_ICE_CONNECTED});
	STOP_AFTER_OOM();
	for (size_t i = 0; i < SL_COUNT(words); i++)
		CHECK_STR(str_at(event(p, "IceComponentStateChanged", i), "state", NULL), words[i]);
	CHECK(!event(p, "IceComponentStateChanged", SL_COUNT(words)));
}

TEST(media_that_flows_is_told_as_flow_and_state)
{
	struct peer *p;
	uint64_t publisher;

	WORLD();
	p = begin("WebRtcEndpoint");
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
	subscribe(p, "MediaStateChanged");
	subscribe(p, "MediaFlowOutStateChanged");
	publisher = fake_core_track(&world.core, fake_core_last(&world.core), "v")->id;
	core_says((struct sl_core_event){.type = SL_EV_FLOW, .track = publisher, .flowing = true});
	STOP_AFTER_OOM();
	CHECK_STR(str_at(event(p, "MediaStateChanged", 0), "newState", NULL), "CONNECTED");
	CHECK_STR(str_at(event(p, "MediaFlowOutStateChanged", 0), "mediaType", NULL), "VIDEO");
	core_says((struct sl_core_event){.type = SL_EV_FLOW, .track = publisher, .flowing = false});
	STOP_AFTER_OOM();
	CHECK_STR(str_at(event(p, "MediaStateChanged", 1), "newState", NULL), "DISCONNECTED");
	CHECK_STR(str_at(event(p, "MediaFlowOutStateChanged", 1), "state", NULL), "NOT_FLOWING");
}

TEST(a_loop_back_is_routed_in_core)
{
	struct peer *p;
	const struct fake_transport *t;

	WORLD();
	p = begin("WebRtcEndpoint");
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
	CHECK_EQ(call_code(p, "invoke",
			   "'object':'%s','operation':'connect','operationParams':{'sink':'%s'}",
			   element, element),
		 0);
	for (int i = 0; i < 3; i++)
		world_wait(0);
	STOP_AFTER_OOM();
	t = fake_core_last(&world.core);
	CHECK_EQ(world.core.route_count, 2);
	CHECK_EQ(fake_core_track(&world.core, t, "a")->id,
		 fake_core_route(&world.core, fake_core_track(&world.core, t, "a")->id + 1));
}

TEST(limits_hold_only_when_a_client_sets_them)
{
	struct peer *p;
	const struct fake_track *t;

	WORLD();
	p = begin("WebRtcEndpoint");
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
	t = fake_core_track(&world.core, fake_core_last(&world.core), "v");
	CHECK(t->conf.min_bps == 0 && t->conf.max_bps == 0);
	CHECK_EQ(at(op(p, "getMaxVideoSendBandwidth"), "result", "value", NULL)->valueint, 0);
	CHECK_EQ(call_code(p, "invoke",
			   "'object':'%s','operation':'setMaxVideoSendBandwidth','operationParams':"
			   "{'maxVideoSendBandwidth':2000}",
			   element),
		 0);
	CHECK_EQ(world.core.limit_count, 2);
	CHECK_EQ(world.core.limits[1].limits.max_bps, 2000000);
	CHECK_EQ(world.core.limits[0].limits.max_bps, 0);
	CHECK_EQ(at(op(p, "getMaxVideoSendBandwidth"), "result", "value", NULL)->valueint, 2000);
	new_element(p, "WebRtcEndpoint", pipeline, element);
	CHECK_EQ(call_code(p, "invoke",
			   "'object':'%s','operation':'setMaxVideoRecvBandwidth','operationParams':"
			   "{'maxVideoRecvBandwidth':700}",
			   element),
		 0);
	CHECK(strstr(op_str(p, "processOffer", "offer", BOTH), "b=AS:700"));
	CHECK_EQ(fake_core_track(&world.core, fake_core_last(&world.core), "v")->conf.max_bps,
		 700000);
}

TEST(properties_are_what_was_set_and_nonsense_is_refused)
{
	static const struct {
		const char *name, *value;
		int code;
	} rows[] = {
		{"networkInterfaces", "eth0,lo", 0},
		{"stunServerAddress", "192.0.2.5", 0},
		{"stunServerAddress", "stun.example.org", 40107},
		{"turnUrl", "me:se:c@ret@192.0.2.5:3478?transport=tls", 0},
		{"turnUrl", "192.0.2.5", 40107},
		{"turnUrl", "a:b@turn..example:3478", 40107},
		{"turnUrl", "a:b@192.0.2.5:3478?transport=sctp", 40107},
		{"externalIPv4", "198.51.100.9", 0},
		{"externalIPv4", "2001:db8::1", 40107},
		{"externalIPv6", "2001:db8::1", 0},
	};
	struct peer *p;
	char set[64], get[64];

	WORLD();
	p = begin("WebRtcEndpoint");
	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		CHECK(sl_fmt(set, sizeof(set), "set%c%s", rows[i].name[0] - 32, rows[i].name + 1));
		CHECK(sl_fmt(get, sizeof(get), "get%c%s", rows[i].name[0] - 32, rows[i].name + 1));
		CHECK_EQ(op_code(p, set, rows[i].name, rows[i].value), rows[i].code);
		if (!rows[i].code)
			CHECK_STR(str_at(op(p, get), "result", "value"), rows[i].value);
	}
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'gatherCandidates'", element),
		 0);
	CHECK_EQ(world.core.gathered.stun.port, 3478);
	CHECK_EQ(world.core.gathered.turn_count, 1);
	CHECK_STR(world.core.gathered.turn[0].password, "se:c@ret");
	CHECK_EQ(world.core.gathered.turn[0].transport, SL_TURN_TLS);
	CHECK(world.core.gathered.external_v4.family == 4 &&
	      world.core.gathered.external_v6.family == 6);
	CHECK(world.core.gathered.tcp && world.core.gathered.only_count >= 1);
}

static void gather_by(struct peer *p, const char *turn_url)
{
	subscribe(p, "Error");
	CHECK_EQ(op_code(p, "setTurnUrl", "turnUrl", turn_url), 0);
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'gatherCandidates'", element),
		 0);
	CHECK_EQ(world.core.gathers, 0); /* the name is being asked for */
}

static void until_gathering(void)
{
	while (world.core.gathers == 0 && !sl_test_oom_fired()) {
		uv_run(&world.loop, UV_RUN_ONCE);
		world_wait(20 * SL_MS);
	}
	STOP_AFTER_OOM();
}

TEST(a_turn_server_may_have_a_name)
{
	struct peer *p;

	WORLD();
	p = begin("WebRtcEndpoint");
	gather_by(p, "me:secret@localhost:3478?transport=tls");
	until_gathering();
	CHECK_EQ(world.core.gathered.turn_count, 1);
	CHECK(sl_addr_is_loopback(&world.core.gathered.turn[0].addr));
	CHECK_EQ(world.core.gathered.turn[0].addr.port, 3478);
	CHECK_STR(world.core.gathered.turn[0].host, "localhost");
	CHECK(!event(p, "Error", 0));
}

TEST(a_turn_server_whose_name_is_unknown_is_told_of_and_the_rest_is_gathered)
{
	struct peer *p;

	WORLD();
	p = begin("WebRtcEndpoint");
	gather_by(p, "me:secret@turn.invalid:3478");
	until_gathering();
	CHECK_EQ(world.core.gathered.turn_count, 0);
	CHECK(strstr(str_at(event(p, "Error", 0), "description", NULL),
		     "TURN server turn.invalid: "));
}

TEST(an_endpoint_may_go_while_its_turn_server_is_looked_for)
{
	struct peer *p;

	WORLD();
	p = begin("WebRtcEndpoint");
	gather_by(p, "me:secret@localhost:3478");
	CHECK_EQ(call_code(p, "release", "'object':'%s'", element), 0);
	uv_run(&world.loop, UV_RUN_NOWAIT);
	CHECK_EQ(world.core.gathers, 0);
}

TEST(key_frames_are_asked_for_by_who_plays)
{
	struct peer *p;

	WORLD();
	p = begin("WebRtcEndpoint");
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'requestKeyframe'", element),
		 40111);
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'requestKeyframe'", element), 0);
	CHECK_EQ(world.core.keyframes, 1);
}

TEST(an_endpoint_that_is_released_while_core_works_leaves_nothing)
{
	struct peer *p;

	WORLD();
	p = begin("WebRtcEndpoint");
	world.core.hold = true;
	(void)sl_fmt(sdp, sizeof(sdp),
		     "{\"jsonrpc\":\"2.0\",\"id\":900,\"method\":\"invoke\",\"params\":{\"object\":"
		     "\"%s\","
		     "\"operation\":\"processOffer\",\"operationParams\":{\"offer\":\"%s\"},"
		     "\"sessionId\":\"%s\"}}",
		     element, json(BOTH), p->session);
	peer_say(p, sdp);
	CHECK_EQ(call_code(p, "release", "'object':'%s'", element), 0);
	world.core.hold = false;
	fake_core_release(&world.core);
	for (int i = 0; i < 3; i++)
		world_wait(0);
	STOP_AFTER_OOM();
	CHECK_EQ(fake_core_open_count(&world.core), 0);
}

TEST(a_loop_that_takes_no_commands_is_told_to_close_later)
{
	struct peer *p;

	WORLD();
	p = begin("WebRtcEndpoint");
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
	world.core.refuse = SL_EBUSY;
	CHECK_EQ(call_code(p, "release", "'object':'%s'", element), 0);
	world_wait(SL_SEC);
	CHECK_EQ(fake_core_open_count(&world.core), 1);
	world.core.refuse = 0;
	world_wait(SL_SEC);
	STOP_AFTER_OOM();
	CHECK_EQ(fake_core_open_count(&world.core), 0);
}

TEST(a_core_that_is_full_is_not_enough_resources)
{
	struct peer *p;

	WORLD();
	p = begin("WebRtcEndpoint");
	world.core.refuse = SL_EBUSY;
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 40009);
	world.core.refuse = 0;
	world.core.fail = SL_EFULL;
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 40009);
	world.core.fail = 0;
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
}

static const cJSON *stats_of_type(const cJSON *stats, const char *type)
{
	for (const cJSON *s = stats ? stats->child : NULL; s; s = s->next)
		if (strcmp(str_at(s, "__type__", NULL), type) == 0)
			return s;
	return NULL;
}

static void fill_stats(struct sl_transport_stats *s)
{
	s->ice_state = "connected";
	s->dtls_state = "connected";
	s->srtp = "AES_CM_128_HMAC_SHA1_80";
	s->info.connected = true;
	s->info.tx_bytes = 77;
	s->pair_count = 1;
	s->pairs[0] = (struct sl_pair_stats){.local = sl_addr_v4(192, 0, 2, 7, 1),
					     .remote = sl_addr_v4(192, 0, 2, 8, 2),
					     .type = "prflx",
					     .local_type = "relay",
					     .tcp = true,
					     .selected = true,
					     .valid = true,
					     .rtt_us = 20000};
	s->track_count = 2;
	s->tracks[0] = (struct sl_track_stats){.id = 1,
					       .publish = true,
					       .kind = SL_VIDEO,
					       .codec = SL_VP8,
					       .ssrc = 4000000000,
					       .packets = 10,
					       .jitter_us = 5000,
					       .cap_bps = 700000,
					       .max_bps = 700000,
					       .cap_by = SL_CAP_SET};
	s->tracks[1] = (struct sl_track_stats){.id = 2,
					       .kind = SL_AUDIO,
					       .codec = SL_PCMU,
					       .ssrc = 9,
					       .packets = 3,
					       .rtt_us = 30000};
}

TEST(statistics_have_streams_transport_pair_and_codecs_and_say_which_limit_holds)
{
	struct peer *p;
	const cJSON *stats, *s;

	WORLD();
	p = begin("WebRtcEndpoint");
	fill_stats(&world.core.stats_reply);
	stats = at(op(p, "getStats"), "result", "value", NULL);
	CHECK_EQ(cJSON_GetArraySize(stats), 1);
	CHECK_STR(str_at(stats->child, "type", NULL), "endpoint");
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
	stats = at(op(p, "getStats"), "result", "value", NULL);
	s = stats_of_type(stats, "RTCInboundRTPStreamStats");
	CHECK_STR(str_at(s, "ssrc", NULL), "4000000000");
	CHECK_STR(str_at(s, "bandwidthLimitedBy", NULL), "client");
	CHECK_EQ(at(s, "remb", NULL)->valueint, 700000);
	CHECK(at(stats, str_at(s, "codecId", NULL), NULL));
	CHECK(at(stats, str_at(s, "transportId", NULL), NULL));
	s = stats_of_type(stats, "RTCOutboundRTPStreamStats");
	CHECK_EQ(at(s, "packetsSent", NULL)->valueint, 3);
	CHECK(at(s, "roundTripTime", NULL)->valuedouble > 0.029);
	s = stats_of_type(stats, "RTCTransportStats");
	CHECK(at(stats, str_at(s, "selectedCandidatePairId", NULL), NULL));
	s = stats_of_type(stats, "RTCIceCandidatePairStats");
	CHECK_STR(str_at(at(stats, str_at(s, "remoteCandidateId", NULL), NULL), "candidateType",
			 NULL),
		  "peerreflexive");
	s = at(stats, str_at(s, "localCandidateId", NULL), NULL);
	CHECK_STR(str_at(s, "candidateType", NULL), "relayed");
	CHECK_STR(str_at(s, "transport", NULL), "tcp");
	stats = at(
		call(p, "invoke",
		     "'object':'%s','operation':'getStats','operationParams':{'mediaType':'AUDIO'}",
		     element),
		"result", "value", NULL);
	CHECK(!stats_of_type(stats, "RTCInboundRTPStreamStats"));
	CHECK(stats_of_type(stats, "RTCOutboundRTPStreamStats"));
}

TEST(gathering_that_fails_is_an_error_and_may_be_tried_again)
{
	struct peer *p;

	WORLD();
	p = begin("WebRtcEndpoint");
	subscribe(p, "IceGatheringDone");
	CHECK_EQ(op_code(p, "processOffer", "offer", BOTH), 0);
	world.core.fail = SL_EIO;
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'gatherCandidates'", element),
		 40400);
	for (int i = 0; i < 3; i++)
		world_wait(0);
	STOP_AFTER_OOM();
	CHECK(!event(p, "IceGatheringDone", 0));
	CHECK_EQ(world.core.gathers, 1);
	world.core.fail = 0;
	CHECK_EQ(call_code(p, "invoke", "'object':'%s','operation':'gatherCandidates'", element),
		 0);
	CHECK_EQ(world.core.gathers, 2);
}

/* ---- in any order ---- */

static uint32_t dice(uint32_t n)
{
	return sl_rng_u32(&world.rng) % n;
}

/* Says it without waiting for the answer. */
static void say(struct peer *p, const char *op_name, const char *params)
{
	static char text[4 * TEXT];
	static int id = 5000;

	CHECK(sl_fmt(text, sizeof(text),
		     "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"invoke\",\"params\":{\"object\":"
		     "\"%s\",\"operation\":\"%s\",\"operationParams\":{%s},\"sessionId\":\"%s\"}}",
		     id++, element, op_name, params, p->session));
	peer_say(p, text);
}

static void say_sdp(struct peer *p, const char *op_name, const char *param)
{
	static const char *const offers[] = {
		BOTH,
		HEAD "a=group:BUNDLE a\n" AUDIO "a=mid:a\n",
		HEAD "a=group:BUNDLE a v\n" AUDIO "a=mid:a\na=recvonly\n" VIDEO
		     "a=mid:v\na=sendonly\n",
		HEAD "a=group:BUNDLE a v w\n" AUDIO "a=mid:a\n" VIDEO "a=mid:v\n" VIDEO "a=mid:w\n",
		HEAD "a=group:BUNDLE a\nm=audio 9 UDP/TLS/RTP/SAVPF 0\na=ice-ufrag:efgh\n"
		     "a=ice-pwd:abcdefghijklmnopqrstuv\na=fingerprint:sha-256 AA:BB\n"
		     "a=setup:actpass\na=rtcp-mux\na=mid:a\n",
		HEAD "a=group:BUNDLE a\nm=audio 9 UDP/TLS/RTP/SAVPF 0\na=ice-ufrag:ijkl\n"
		     "a=ice-pwd:abcdefghijklmnopqrstuv\na=fingerprint:sha-256 CC:DD\n"
		     "a=setup:actpass\na=rtcp-mux\na=mid:a\n",
		HEAD "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\n" WHOLE,
		HEAD,
		"nonsense",
		"",
	};
	static char params[2 * TEXT];

	CHECK(sl_fmt(params, sizeof(params), "\"%s\":\"%s\"", param,
		     json(offers[dice(SL_COUNT(offers))])));
	say(p, op_name, params);
}

static void core_says_anything(void)
{
	static const enum sl_core_event_type types[] = {
		SL_EV_CONNECTED, SL_EV_DISCONNECTED, SL_EV_RECONNECTED, SL_EV_CLOSED,
		SL_EV_MEDIA,	 SL_EV_ICE,	     SL_EV_DTLS,	SL_EV_FLOW,
		SL_EV_GATHERED,	 SL_EV_SERVER};
	struct fake_transport *t;
	struct sl_core_event ev = {.type = types[dice(SL_COUNT(types))], .codec = SL_VP8};

	if (world.core.count == 0)
		return;
	t = &world.core.t[dice((uint32_t)world.core.count)];
	ev.transport = t->id;
	ev.tag = t->conf.tag;
	ev.ice = dice(SL_CORE_ICE_FAILED + 1);
	ev.dtls = dice(SL_CORE_DTLS_FAILED + 1);
	ev.cause = dice(SL_CLOSE_SHUTDOWN + 1);
	ev.flowing = dice(2);
	ev.track = world.core.track_count
			   ? world.core.tracks[dice((uint32_t)world.core.track_count)].id
			   : 0;
	if (ev.type == SL_EV_CLOSED)
		t->open = false;
	kms_endpoint_event(world.k, &ev);
}

static void anything(struct peer *p)
{
	switch (dice(12)) {
	case 0:
	case 1:
	case 2:
		say_sdp(p, "processOffer", "offer");
		break;
	case 3:
		say_sdp(p, "processAnswer", "answer");
		break;
	case 4:
		say(p, dice(4) ? "gatherCandidates" : "generateOffer", "");
		break;
	case 5:
		say(p, "addIceCandidate",
		    "\"candidate\":{\"candidate\":\"candidate:1 1 udp 5 192.0.2.8 4000 typ host\","
		    "\"sdpMid\":\"a\",\"sdpMLineIndex\":0}");
		break;
	case 6:
		say(p, dice(2) ? "getStats" : "getLocalSessionDescriptor", "");
		break;
	case 7:
		world.core.hold = dice(2);
		break;
	case 8:
		world.core.refuse = dice(4) ? 0 : SL_EBUSY;
		world.core.fail = dice(4) ? 0 : SL_EFULL;
		break;
	case 9:
		fake_core_release(&world.core);
		break;
	case 10:
		core_says_anything();
		break;
	default:
		world_wait(SL_MS);
		break;
	}
	while (p->n > 0)
		(void)peer_take(p);
}

/* Its allocations are too many to fail one by one. */
static void no_oom(void)
{
	for (int i = 0; i < OOM_RUNS; i++) {
		void *m = sl_zalloc(1);

		TRY(m ? SL_OK : SL_ENOMEM);
		sl_free(m);
	}
}

TEST(whatever_comes_in_any_order_leaves_nothing)
{
	struct peer *p;

	no_oom();
	WORLD();
	p = peer_new();
	new_pipeline(p, pipeline);
	for (int life = 0; life < 60; life++) {
		bool crowded = world.core.count > FAKE_TRANSPORTS - 12;

		if (crowded)
			world.core.count = 0;
		new_element(p, "WebRtcEndpoint", pipeline, element);
		for (int i = 0; i < 8 + (int)dice(30) && world.core.count < FAKE_TRANSPORTS - 2;
		     i++)
			anything(p);
		CHECK_EQ(call_code(p, "release", "'object':'%s'", element), 0);
		world.core.hold = false;
		world.core.refuse = world.core.fail = 0;
		fake_core_release(&world.core);
		world_wait(SL_SEC);
		world_wait(SL_SEC);
		CHECK_EQ(fake_core_open_count(&world.core), 0);
	}
	CHECK_EQ(kms_object_count(world.k), 1);
}
