/* SPDX-License-Identifier: Apache-2.0 */
#include "api/events.h"
#include "api/json.h"
#include "tests/api/wsclient.h"
#include <errno.h>
#include <libwebsockets.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ================= a reader of server-sent events ================= */

struct sse {
	struct client *c;
	size_t at;
};

struct sse_event {
	uint64_t id; /* 0 none */
	char type[32];
	char data[9000];
};

static struct sse sse_open(const char *path, const char *headers)
{
	struct sse s = {.c = client_new()};

	client_say(s.c, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", path, headers);
	RIG_UNTIL(!client_poll(s.c) || strstr(s.c->in, "\r\n\r\n"));
	if (sl_test_oom_fired() && strncmp(s.c->in, "HTTP/1.1 200", 12) != 0)
		sl_test_oom_stop();
	if (strncmp(s.c->in, "HTTP/1.1 200", 12) != 0)
		sl_test_failed(__FILE__, __LINE__, "%s: %.200s", path, s.c->in);
	CHECK(strstr(s.c->in, "Content-Type: text/event-stream\r\n"));
	CHECK(!strstr(s.c->in, "Content-Length"));
	s.at = (size_t)(strstr(s.c->in, "\r\n\r\n") - s.c->in) + 4;
	return s;
}

static bool sse_ready(struct sse *s)
{
	client_poll(s->c);
	return strstr(s->c->in + s->at, "\n\n") != NULL;
}

/* By the rules of the HTML standard, as far as they are needed here. False: the server closed. */
static bool sse_take(struct sse *s, struct sse_event *ev)
{
	bool ready = false;

	memset(ev, 0, sizeof(*ev));
	while (!ev->data[0]) {
		RIG_UNTIL((ready = sse_ready(s)) || s->c->closed);
		if (!ready && sl_test_oom_fired())
			sl_test_oom_stop();
		if (!ready)
			return false;
		for (;;) {
			char *line = s->c->in + s->at, *end = strchr(line, '\n');

			*end = 0;
			s->at += (size_t)(end - line) + 1;
			if (!*line)
				break;
			if (strncmp(line, "id: ", 4) == 0)
				ev->id = strtoull(line + 4, NULL, 10);
			else if (strncmp(line, "event: ", 7) == 0)
				CHECK(sl_fmt(ev->type, sizeof(ev->type), "%s", line + 7));
			else if (strncmp(line, "data: ", 6) == 0)
				CHECK(sl_fmt(ev->data, sizeof(ev->data), "%s", line + 6));
			else
				CHECK(line[0] == ':');
		}
	}
	if (sl_test_oom_fired() && strcmp(ev->type, "overflow") == 0)
		sl_test_oom_stop();
	return true;
}

/* The next event, which must be of this type, and its JSON hold this text. */
static uint64_t sse_expect(struct sse *s, const char *type, const char *holds)
{
	static struct sse_event ev;

	if (!sse_take(s, &ev))
		sl_test_failed(__FILE__, __LINE__, "the server closed instead of %s", type);
	if (sl_test_oom_fired() && (strcmp(ev.type, type) != 0 || !strstr(ev.data, holds)))
		sl_test_oom_stop();
	if (strcmp(ev.type, type) != 0 || !strstr(ev.data, holds))
		sl_test_failed(__FILE__, __LINE__, "%s: %s, want %s with %s", ev.type, ev.data,
			       type, holds);
	return ev.id;
}

static void ws_expect(struct wsclient *w, const char *holds)
{
	const char *text = ws_message(w);

	if (sl_test_oom_fired() && !strstr(text, holds))
		sl_test_oom_stop();
	if (!strstr(text, holds))
		sl_test_failed(__FILE__, __LINE__, "%s, want %s", text, holds);
}

static void tell(const char *what, unsigned n)
{
	struct api_room r = {0};

	for (unsigned i = 0; i < n; i++) {
		CHECK(sl_fmt(r.name, sizeof(r.name), "%s%u", what, i));
		api_event_room(rig.api, &r, "created");
	}
}

static void core_event(enum sl_core_event_type type, const struct fake_transport *t)
{
	struct sl_core_event ev = {.type = type,
				   .transport = t->id,
				   .tag = t->conf.tag,
				   .track = t->tracks[0],
				   .codec = SL_OPUS,
				   .score = 100};

	sl_api_event(rig.api, &ev);
}

/* ================= what is told ================= */

TEST(the_life_of_a_publisher_is_told_in_order)
{
	char location[64], etag[64];
	struct sse s;

	RIG();
	s = sse_open("/v1/events", "");
	sse_expect(&s, "hello", "\"type\":\"hello\"");
	publish("/whip/studio?participant=ann", location, etag);
	STOP_AFTER_OOM();
	sse_expect(&s, "room", "\"event\":\"created\",\"room\":\"studio\"");
	sse_expect(&s, "session",
		   "\"event\":\"opened\",\"room\":\"studio\",\"participant\":\"ann\"");
	sse_expect(&s, "participant",
		   "\"event\":\"joined\",\"room\":\"studio\",\"participant\":\"ann\"");
	sse_expect(&s, "track", "\"event\":\"added\"");
	sse_expect(&s, "track", "\"kind\":\"video\"");
	core_event(SL_EV_CONNECTED, fake_core_last(&rig.core));
	sse_expect(&s, "session", "\"event\":\"connected\"");
	core_event(SL_EV_MEDIA, fake_core_last(&rig.core));
	sse_expect(&s, "track", "\"codec\":\"opus\"");
	core_event(SL_EV_MEDIA, fake_core_last(&rig.core));
	core_event(SL_EV_LEVEL, fake_core_last(&rig.core));
	sse_expect(&s, "speaker", "\"participant\":\"ann\"");
	core_event(SL_EV_DISCONNECTED, fake_core_last(&rig.core));
	sse_expect(&s, "session", "\"event\":\"silent\"");
	core_event(SL_EV_RECONNECTED, fake_core_last(&rig.core));
	sse_expect(&s, "session", "\"event\":\"back\"");
	CHECK_EQ(ask("DELETE", location, "", "")->status, 200);
	sse_expect(&s, "track", "\"event\":\"removed\"");
	sse_expect(&s, "track", "\"event\":\"removed\"");
	sse_expect(&s, "participant", "\"event\":\"left\"");
	sse_expect(&s, "session", "\"cause\":\"DELETE by its client\"");
}

TEST(a_player_is_a_session_but_no_participant)
{
	char location[64], etag[64];
	struct sse s;

	RIG();
	play("/whep/studio", 1, 1, location, etag);
	s = sse_open("/v1/events?last_event_id=0", "");
	STOP_AFTER_OOM();
	sse_expect(&s, "hello", "");
	sse_expect(&s, "room", "created");
	sse_expect(&s, "session", "\"participant\":null");
	core_event(SL_EV_CODEC_MISMATCH, fake_core_last(&rig.core));
	sse_expect(&s, "codec_mismatch", "\"codec\":\"opus\"");
}

TEST(the_life_of_a_room_is_told)
{
	struct sse s;

	RIG();
	s = sse_open("/v1/events?room=studio", "");
	sse_expect(&s, "hello", "");
	CHECK_EQ(ask("PUT", "/v1/rooms/studio", "Content-Type: application/json\r\n",
		     "{\"capacity\":2}")
			 ->status,
		 201);
	sse_expect(&s, "room", "\"event\":\"created\",\"room\":\"studio\"");
	sse_expect(&s, "room", "\"event\":\"changed\",\"room\":\"studio\"");
	CHECK_EQ(ask("DELETE", "/v1/rooms/studio", "", "")->status, 204);
	sse_expect(&s, "room", "\"event\":\"ended\",\"room\":\"studio\"");
}

TEST(a_mute_is_told)
{
	char location[64], etag[64], path[64];
	static struct sse_event ev;
	const char *id;
	struct sse s;

	RIG();
	publish("/whip/studio?participant=ann", location, etag);
	s = sse_open("/v1/events?last_event_id=0", "");
	STOP_AFTER_OOM();
	do
		CHECK(sse_take(&s, &ev));
	while (strcmp(ev.type, "track") != 0);
	id = strstr(ev.data, "\"track\":{\"id\":\"");
	CHECK(id && sl_fmt(path, sizeof(path), "/v1/tracks/%.22s", id + 15));
	sse_expect(&s, "track", "\"muted\":false");
	CHECK_EQ(ask("PATCH", path, "Content-Type: application/json\r\n", "{\"muted\":true}")
			 ->status,
		 200);
	sse_expect(&s, "track", "\"event\":\"changed\"");
}

TEST(overload_is_told_once_a_second_with_a_count)
{
	struct sse s;

	RIG();
	s = sse_open("/v1/events", "");
	sse_expect(&s, "hello", "");
	sl_api_drain(rig.api);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(ask("POST", "/whip/studio", SDP_HEADERS, offer("sendonly", 1, 1))->status,
			 503);
	tell("mark", 1);
	STOP_AFTER_OOM();
	sse_expect(&s, "overload", "\"reason\":\"draining: no new sessions\",\"refused\":1");
	sse_expect(&s, "room", "mark0");
}

TEST(a_loop_that_cannot_keep_up_is_told)
{
	struct sl_core_event ev = {.type = SL_EV_LOAD, .loop = 1, .busy = true, .shed = 2};
	struct sse s;

	RIG();
	s = sse_open("/v1/events", "");
	sse_expect(&s, "hello", "");
	sl_api_event(rig.api, &ev);
	STOP_AFTER_OOM();
	sse_expect(&s, "load", "\"loop\":1,\"busy\":true,\"videoWithheld\":0.25");
}

TEST(a_reader_of_one_room_hears_only_of_that)
{
	struct wsclient w;
	struct sse s;

	RIG();
	s = sse_open("/v1/events?room=b%201", "");
	w = ws_open("/v1/events?x=y&room=b%201", "");
	tell("a ", 3);
	tell("b ", 3);
	STOP_AFTER_OOM();
	sse_expect(&s, "hello", "");
	sse_expect(&s, "room", "\"room\":\"b 1\"");
	ws_expect(&w, "hello");
	ws_expect(&w, "\"room\":\"b 1\"");
	tell("b ", 2);
	sse_expect(&s, "room", "\"room\":\"b 1\"");
	ws_expect(&w, "\"room\":\"b 1\"");
}

TEST(names_cannot_break_out_of_an_event)
{
	struct api_room r = {.name = "\"}\n\ndata: x\r\nid: 7 \xe2\x80\xa8"};
	struct sse_event ev;
	struct api_json_why why;
	cJSON *tree;
	struct sse s;

	RIG();
	s = sse_open("/v1/events", "");
	sse_expect(&s, "hello", "");
	api_event_room(rig.api, &r, "created");
	STOP_AFTER_OOM();
	CHECK(sse_take(&s, &ev));
	TRY(api_json_parse(sl_str_z(ev.data), NULL, &tree, &why));
	DEFER(api_json_free, tree);
	CHECK_STR(cJSON_GetStringValue(cJSON_GetObjectItem(tree, "room")), r.name);
	CHECK_EQ((uint64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(tree, "id")), ev.id);
}

/* ================= going on where one was ================= */

TEST(who_comes_back_misses_nothing)
{
	struct wsclient w;
	struct sse s;
	char text[128];
	uint64_t id;

	RIG();
	s = sse_open("/v1/events", "");
	id = sse_expect(&s, "hello", "");
	tell("a", 1);
	STOP_AFTER_OOM();
	CHECK_EQ(sse_expect(&s, "room", "\"room\":\"a0\""), id + 1);
	client_close(s.c);
	tell("b", 2);
	CHECK(sl_fmt(text, sizeof(text), "Last-Event-ID: %llu\r\n", (unsigned long long)id + 1));
	/* The header is newer than the address. */
	s = sse_open("/v1/events?last_event_id=5", text);
	CHECK_EQ(sse_expect(&s, "hello", ""), id + 1);
	CHECK_EQ(sse_expect(&s, "room", "\"room\":\"b0\""), id + 2);
	CHECK_EQ(sse_expect(&s, "room", "\"room\":\"b1\""), id + 3);
	CHECK(sl_fmt(text, sizeof(text), "/v1/events?last_event_id=%llu",
		     (unsigned long long)id + 2));
	w = ws_open(text, "");
	ws_expect(&w, "hello");
	ws_expect(&w, "\"room\":\"b1\"");
}

TEST(a_gap_is_announced_before_all_else)
{
	struct wsclient w;
	char text[128];
	struct sse s;
	uint64_t id;

	RIG();
	s = sse_open("/v1/events", "");
	id = sse_expect(&s, "hello", "");
	client_close(s.c);
	tell("a", 1001);
	STOP_AFTER_OOM();
	CHECK(sl_fmt(text, sizeof(text), "/v1/events?last_event_id=%llu", (unsigned long long)id));
	s = sse_open(text, "");
	CHECK(sl_fmt(text, sizeof(text), "\"after\":%llu", (unsigned long long)id));
	CHECK_EQ(sse_expect(&s, "gap", text), id + 1);
	sse_expect(&s, "hello", "");
	CHECK_EQ(sse_expect(&s, "room", "\"room\":\"a1\""), id + 2);
	/* An id that is still to come is one of another life. */
	w = ws_open("/v1/events?last_event_id=9007199254740991", "");
	ws_expect(&w, "\"type\":\"gap\"");
	ws_expect(&w, "hello");
	tell("c", 1);
	ws_expect(&w, "\"room\":\"c0\"");
}

TEST(ids_grow_over_a_restart)
{
	struct sse s;
	uint64_t id;

	RIG();
	s = sse_open("/v1/events", "");
	id = sse_expect(&s, "hello", "");
	CHECK(id > UINT64_C(1700000000) << 20 && id < UINT64_C(1) << 53);
}

TEST(what_cannot_be_asked_for_is_refused_with_a_reason)
{
	static const char *const bad[] = {
		"/v1/events?last_event_id=x", "/v1/events?last_event_id=-1",
		"/v1/events?last_event_id=",  "/v1/events?last_event_id=99999999999999999999",
		"/v1/events?room=",	      "/v1/events?room=%07"};

	RIG();
	for (size_t i = 0; i < SL_COUNT(bad); i++) {
		CHECK_EQ(ask("GET", bad[i], "", "")->status, 400);
		CHECK_EQ(ask("GET", bad[i], WS_HEADERS, "")->status, 400);
	}
	CHECK_EQ(ask("GET", "/v1/events", "Last-Event-ID: nonsense\r\n", "")->status, 400);
	CHECK_EQ(ask("GET", "/v1/events", "Last-Event-ID: 1234567890123456789012345\r\n", "")
			 ->status,
		 400);
	CHECK_EQ(ask("POST", "/v1/events", "", "x")->status, 405);
	CHECK(rig.api->conn_count == 0);
}

TEST(events_need_the_static_token)
{
	struct wsclient w;

	rig_init();
	DEFER(rig_stop, NULL);
	(void)sl_fmt(rig.conf.http.token, SL_CONFIG_TEXT_MAX, "secret");
	TRY(rig_start());
	CHECK_EQ(ask("GET", "/v1/events", "", "")->status, 401);
	CHECK_EQ(ask("GET", "/v1/events", WS_HEADERS, "")->status, 401);
	CHECK_EQ(ask("GET", "/v1/events?access_token=wrong", WS_HEADERS, "")->status, 401);
	w = ws_open("/v1/events?access_token=secret", "");
	ws_expect(&w, "hello");
	w = ws_open("/v1/events", "Authorization: Bearer secret\r\n");
	ws_expect(&w, "hello");
	STOP_AFTER_OOM();
	sse_open("/v1/events?access_token=secret", "");
}

/* ================= slow readers ================= */

/* The system shall not buffer megabytes for who does not read. */
static void squeeze(void)
{
	int size = 4096;

	SL_LIST_EACH(it, tmp, &rig.api->conns) {
		const struct api_conn *c = SL_LIST_AT(it, struct api_conn, link);

		if (c->wsi)
			(void)setsockopt(lws_get_socket_fd(c->wsi), SOL_SOCKET, SO_SNDBUF, &size,
					 sizeof(size));
	}
}

/* Sends the request and reads nothing: what is told piles up. */
static struct client *sleeper(const char *headers)
{
	struct client *c = client_new();

	client_say(c, "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", headers);
	for (int i = 0; i < 20; i++)
		rig_turn();
	squeeze();
	return c;
}

static void flood(unsigned n)
{
	static char name[240];

	memset(name, 'x', sizeof(name) - 1);
	for (unsigned i = 0; i < n; i++) {
		tell(name, 1);
		if (i % 16 == 0)
			rig_turn();
	}
}

/* Reads what is there and keeps its end; false once the server has closed. */
static bool tail(struct client *c)
{
	static char text[65536];

	for (;;) {
		ssize_t n = recv(c->fd, text, sizeof(text), MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		if (c->n > 1000) {
			memmove(c->in, c->in + c->n - 1000, 1000);
			c->n = 1000;
		}
		memcpy(c->in + c->n, text, (size_t)n);
		c->n += (size_t)n;
		c->in[c->n] = 0;
	}
}

TEST(t51_a_reader_that_sleeps_is_told_and_closed_and_costs_nothing)
{
	struct client *sse, *ws;
	struct wsclient w;
	uint64_t before;

	RIG();
	sse = sleeper("");
	ws = sleeper(WS_HEADERS);
	flood(1000); /* the history is full */
	before = sl_mem_stat().live;
	flood(4000);
	STOP_AFTER_OOM();
	CHECK(sl_mem_stat().live <= before + 4);
	RIG_UNTIL(!tail(sse));
	CHECK(strstr(sse->in, "\n\nevent: overflow\ndata: {\"type\":\"overflow\""));
	RIG_UNTIL(!tail(ws) || memmem(ws->in, ws->n, "\x88\x21\x03\xf5", 4));
	CHECK(memmem(ws->in, ws->n,
		     "\x88\x21\x03\xf5"
		     "events are not read fast enough",
		     35) != NULL);
	w = (struct wsclient){.c = ws};
	ws_send(&w, WS_FIN | WS_CLOSE, "\x03\xf5", 2);
	RIG_UNTIL(!tail(ws));
	CHECK_EQ(rig.api->conn_count, 0);
}

TEST(t51_others_hear_everything_while_one_sleeps)
{
	struct sse s;

	RIG();
	sleeper("");
	s = sse_open("/v1/events", "");
	sse_expect(&s, "hello", "");
	for (int i = 0; i < 1500; i++) {
		tell("a", 1);
		STOP_AFTER_OOM();
		sse_expect(&s, "room", "\"room\":\"a0\"");
		if (s.at > CLIENT_MAX / 2) {
			memmove(s.c->in, s.c->in + s.at, s.c->n - s.at + 1);
			s.c->n -= s.at;
			s.at = 0;
		}
	}
}

TEST(a_reader_of_a_quiet_room_hears_beats)
{
	struct client *c;

	RIG();
	rig.api->ws_ping_us = 1000;
	c = client_new();
	client_say(c, "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	RIG_UNTIL(!client_poll(c) || (strstr(c->in, ": beat\n\n") &&
				      strstr(strstr(c->in, ": beat\n\n") + 1, ": beat")));
	STOP_AFTER_OOM();
	CHECK(!c->closed);
}

TEST(t50_readers_leave_nothing_behind)
{
	RIG();
	for (int i = 0; i < 20; i++) {
		struct client *c = sleeper(i % 2 ? WS_HEADERS : "");

		tell("a", 1);
		client_close(c);
		RIG_UNTIL(rig.api->conn_count == 0);
	}
}

TEST(the_end_of_the_api_closes_readers)
{
	RIG();
	sse_open("/v1/events", "");
	ws_open("/v1/events", "");
	sl_api_free(rig.api);
	rig.api = NULL;
	CHECK(rig.loop_open);
}

/* ================= statistics ================= */

/* A second of the feed. */
static void second(void)
{
	rig.api->feed.next_us = 0;
	api_feed_tick(rig.api);
	for (int i = 0; i < 8; i++)
		rig_turn();
}

static void sent(uint64_t packets)
{
	const struct fake_transport *t = fake_core_last(&rig.core);

	rig.core.stats_reply.tracks[0] =
		(struct sl_track_stats){.id = t->tracks[0], .publish = true, .packets = packets};
	rig.core.stats_reply.track_count = 1;
	rig.core.stats_reply.ice_state = "connected";
	rig.core.stats_reply.dtls_state = "connected";
	rig.core.stats_reply.srtp = "";
}

static void poke(void)
{
	static const struct api_room studio = {.name = "studio"}, elsewhere = {.name = "elsewhere"};

	api_event_room(rig.api, &studio, "changed");
	api_event_room(rig.api, &elsewhere, "changed");
}

TEST(statistics_come_to_who_asks_for_them_and_to_nobody_else)
{
	char location[64], etag[64];
	static struct sse_event ev;
	struct sse s, other, plain;

	RIG();
	s = sse_open("/v1/events?room=studio&stats=1", "");
	other = sse_open("/v1/events?room=elsewhere&stats=60", "");
	plain = sse_open("/v1/events", "");
	publish("/whip/studio?participant=ann", location, etag);
	STOP_AFTER_OOM();
	sent(7);
	second();
	second();
	STOP_AFTER_OOM();
	do
		CHECK(sse_take(&s, &ev));
	while (strcmp(ev.type, "stats") != 0);
	CHECK_EQ(ev.id, 0);
	CHECK(strstr(ev.data, "\"room\":\"studio\",\"participant\":\"ann\""));
	CHECK(strstr(ev.data, "\"packetsReceived\":7,"));
	CHECK(strstr(ev.data, "\"iceState\":\"connected\""));
	sse_expect(&other, "hello", "");
	CHECK(!sse_ready(&other));
	tell("mark", 1);
	STOP_AFTER_OOM();
	do {
		CHECK(sse_take(&plain, &ev));
		CHECK(strcmp(ev.type, "stats") != 0);
	} while (!strstr(ev.data, "mark0"));
	client_close(s.c);
	client_close(other.c);
	/* A write finds out that nobody is there, should nothing else have. */
	RIG_UNTIL((poke(), rig.api->feed.readers == 0));
	CHECK_EQ(api_session_by_tag(rig.api, rig.core.t[0].conf.tag)->feed_count, 0);
}

TEST(t51_statistics_are_merged_for_who_is_slow)
{
	struct api_feed_place slow = {.walking = true};
	const struct api_feed_text *text;
	const struct api_session *by;
	char location[64], etag[64];
	struct wsclient w;

	RIG();
	w = ws_open("/v1/events?stats=60", "");
	for (int i = 0; i < 2; i++)
		publish(i ? "/whip/studio?participant=bob" : "/whip/studio?participant=ann",
			location, etag);
	STOP_AFTER_OOM();
	sent(0);
	second();
	STOP_AFTER_OOM();
	CHECK(api_feed_next(rig.api, &slow, &by, &text));
	CHECK_STR(by->participant, "ann");
	for (uint64_t i = 1; i < 20; i++) {
		sent(i);
		second();
	}
	STOP_AFTER_OOM();
	/* Nineteen words about bob have become one. */
	CHECK(api_feed_next(rig.api, &slow, &by, &text));
	CHECK_STR(by->participant, "bob");
	CHECK(strstr(text->text, "\"packetsReceived\":19,"));
	CHECK(!api_feed_next(rig.api, &slow, &by, &text));
	ws_expect(&w, "hello");
}

TEST(statistics_of_many_subscriptions_come_in_parts)
{
	struct sl_transport_stats *st = &rig.core.stats_reply;
	char location[64], etag[64];
	struct api_session *s;
	size_t n = 0;

	RIG();
	ws_open("/v1/events?stats=1", "");
	publish("/whip/studio?participant=ann", location, etag);
	play("/whep/studio", 1, 1, location, etag);
	STOP_AFTER_OOM();
	s = api_session_by_tag(rig.api, fake_core_last(&rig.core)->conf.tag);
	RIG_UNTIL(s->tracks[1].playing || sl_test_oom_fired());
	sent(0);
	/* As if it were this one thirty times. */
	st->track_count = 30;
	for (size_t i = 0; i < st->track_count; i++)
		st->tracks[i] = (struct sl_track_stats){.id = s->tracks[1].id};
	second();
	STOP_AFTER_OOM();
	CHECK_EQ(s->feed_count, 1 + 3);
	for (size_t i = 0; i < s->feed_count; i++) {
		CHECK(s->feed[i].len <= API_EVENT_MAX);
		for (const char *p = s->feed[i].text; (p = strstr(p, s->tracks[1].public_id)); p++)
			n++;
	}
	CHECK_EQ(n, 30);
}

TEST(statistics_come_each_second_to_each_minute)
{
	static const char *const bad[] = {"0", "61", "-1", "x", "", "1.5"};
	char path[64];

	RIG();
	for (size_t i = 0; i < SL_COUNT(bad); i++) {
		CHECK(sl_fmt(path, sizeof(path), "/v1/events?stats=%s", bad[i]));
		CHECK_EQ(ask("GET", path, "", "")->status, 400);
	}
	CHECK_EQ(rig.api->feed.readers, 0);
}

/* ================= pages of others ================= */

TEST(t41_a_page_of_another_site_reads_no_events)
{
	static const char *const evil[] = {"https://evil.example", "null",
					   "http://127.0.0.1.evil.example", "http://127.0.0.1:1"};
	struct wsclient w;
	char headers[512];

	RIG();
	for (size_t i = 0; i < SL_COUNT(evil); i++) {
		CHECK(sl_fmt(headers, sizeof(headers), "Origin: %s\r\n", evil[i]));
		CHECK_EQ(ask("GET", "/v1/events", headers, "")->status, 403);
		CHECK(sl_fmt(headers, sizeof(headers), WS_HEADERS "Origin: %s\r\n", evil[i]));
		CHECK_EQ(ask("GET", "/v1/events", headers, "")->status, 403);
	}
	CHECK_EQ(ask("GET", "/v1/events", "Host: evil.example\r\n" WS_HEADERS, "")->status, 421);
	w = ws_open("/v1/events", "Origin: http://127.0.0.1\r\n");
	ws_expect(&w, "hello");
}
