/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/wsclient.h"
#include "api/ws.h"
#include <stdlib.h>

static void closes_with(struct wsclient *w, int want)
{
	int code = ws_close_code(w);

	if (code != want)
		STOP_AFTER_OOM();
	CHECK_EQ(code, want);
}

/* A path that says everything again. */
static struct {
	unsigned opened, closed, messages;
	int code;
	size_t last_len;
	struct api_ws *ws;
	const char *refuse;
	int refuse_status;
} echo;

static const char *echo_accept(struct api_ws *ws, const struct api_request *req, int *status)
{
	(void)req;
	if (echo.refuse) {
		*status = echo.refuse_status;
		return echo.refuse;
	}
	api_ws_set_data(ws, &echo);
	return NULL;
}

static void echo_open(struct api_ws *ws)
{
	CHECK(api_ws_data(ws) == &echo);
	echo.opened++;
	echo.ws = ws;
}

static void echo_text(struct api_ws *ws, const char *text, size_t len)
{
	char *copy;

	echo.messages++;
	echo.last_len = len;
	if (strcmp(text, "close") == 0) {
		api_ws_close(ws, 4001, "as asked");
		return;
	}
	copy = sl_strndup(text, len);
	if (copy)
		(void)api_ws_send(ws, copy, len);
	else
		api_ws_close(ws, 1011, "out of memory");
}

static void echo_closed(struct api_ws *ws, int code)
{
	CHECK(api_ws_data(ws) == &echo);
	echo.closed++;
	echo.code = code;
	echo.ws = NULL;
}

static const struct api_ws_ops echo_ops = {
	.accept = echo_accept, .open = echo_open, .text = echo_text, .closed = echo_closed};
static const struct api_route echo_routes[] = {{.path = "echo",
						.methods = 1 << API_GET,
						.scope = API_STATIC,
						.fn = api_ws_only,
						.ws = &echo_ops},
					       {.path = NULL}};

static void forget(void *unused)
{
	(void)unused;
	api_more_routes = NULL;
}

#define ECHO_PATH()                                                                                \
	do {                                                                                       \
		memset(&echo, 0, sizeof(echo));                                                    \
		api_more_routes = echo_routes;                                                     \
		DEFER(forget, NULL);                                                               \
	} while (0)

TEST(a_message_comes_back_and_a_close_is_answered)
{
	struct wsclient w;

	ECHO_PATH();
	RIG();
	w = ws_open("/echo", "");
	ws_text(&w, "hello");
	CHECK_STR(ws_message(&w), "hello");
	ws_text(&w, "");
	CHECK_STR(ws_message(&w), "");
	CHECK_EQ(echo.opened, 1);
	ws_send(&w, WS_FIN | WS_CLOSE, "\x03\xe9", 2);
	closes_with(&w, 1001);
	RIG_UNTIL(echo.closed);
	CHECK_EQ(echo.code, 1001);
	RIG_UNTIL(!client_poll(w.c));
	CHECK_EQ(rig.api->conn_count, 0);
}

TEST(the_server_closes_with_a_code_and_a_reason)
{
	struct ws_frame f;
	struct wsclient w;

	ECHO_PATH();
	RIG();
	w = ws_open("/echo", "");
	ws_text(&w, "before");
	ws_text(&w, "close");
	ws_text(&w, "after");
	CHECK_STR(ws_message(&w), "before");
	CHECK(ws_next(&w, &f));
	CHECK_EQ(f.first, WS_FIN | WS_CLOSE);
	STOP_AFTER_OOM();
	CHECK_EQ(f.code, 4001);
	CHECK_STR(f.data, "as asked");
	CHECK_EQ(echo.messages, 2);
	ws_send(&w, WS_FIN | WS_CLOSE, "\x0f\xa1", 2);
	RIG_UNTIL(!client_poll(w.c));
	RIG_UNTIL(echo.closed);
}

TEST(a_closed_socket_ends_the_connection_once)
{
	struct wsclient w;

	ECHO_PATH();
	RIG();
	w = ws_open("/echo", "");
	client_close(w.c);
	RIG_UNTIL(echo.closed);
	CHECK_EQ(echo.code, 0);
	CHECK_EQ(rig.api->conn_count, 0);
}

TEST(the_end_of_the_api_closes_what_is_open)
{
	ECHO_PATH();
	RIG();
	(void)ws_open("/echo", "");
	RIG_UNTIL(echo.opened);
	sl_api_free(rig.api);
	rig.api = NULL;
	CHECK_EQ(echo.closed, 1);
}

/* ================= before the upgrade ================= */

static int upgrade(const char *path, const char *headers)
{
	return ask("GET", path, headers, "")->status;
}

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UP "Connection: Upgrade\r\nUpgrade: websocket\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"

/* clang-format off */
static const struct {
	const char *path, *headers;
	int want;
} handshakes[] = {
	{"/nowhere", WS_HEADERS, 404},
	{"/healthz", WS_HEADERS, 400},
	{"/echo", "", 426},
	{"/echo", "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", 400},
	{"/echo", "Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n" V13 KEY, 0},
	{"/echo", "Connection: close\r\nUpgrade: websocket\r\n" V13 KEY, 0},
	{"/echo", "Upgrade: websocket\r\n" V13 KEY, 0},
	{"/echo", UP KEY, 426},
	{"/echo", UP "Sec-WebSocket-Version: 8\r\n" KEY, 426},
	{"/echo", UP "Sec-WebSocket-Version: 013\r\n" KEY, 426},
	{"/echo", UP V13 V13 KEY, 426},
	{"/echo", UP V13, 400},
	{"/echo", UP V13 KEY KEY, 400},
	{"/echo", UP V13 "Sec-WebSocket-Key: short\r\n", 400},
	{"/echo", UP V13 "Sec-WebSocket-Key: !!!!IHNhbXBsZSBub25jZQ==\r\n", 400},
	{"/echo", UP V13 KEY "Sec-WebSocket-Protocol: chat\r\n", 400},
	{"/echo", UP V13 KEY "Sec-WebSocket-Protocol: http\r\n", 400},
	{"/echo", UP V13 KEY "Transfer-Encoding: chunked\r\n", 411},
	{"/echo", UP V13 KEY "Content-Length: 5\r\n", 400},
	{"/echo", WS_HEADERS "Host: evil.example\r\n", 421},
	{"/echo", WS_HEADERS "Origin: https://evil.example\r\n", 403},
	{"/echo", WS_HEADERS "Origin: null\r\n", 403},
};
/* clang-format on */

TEST(t27_what_is_no_handshake_is_answered_as_plain_http)
{
	ECHO_PATH();
	RIG();
	for (size_t i = 0; i < SL_COUNT(handshakes); i++) {
		int got = upgrade(handshakes[i].path, handshakes[i].headers);

		/* 0: refused, if need be by the library, which says nothing. */
		if (handshakes[i].want ? got != handshakes[i].want : got == 101 || got == 200)
			sl_test_failed(__FILE__, __LINE__, "row %zu: %d", i, got);
	}
	CHECK_EQ(ask("POST", "/echo", WS_HEADERS, "")->status, 405);
	CHECK_EQ(echo.opened, 0);
	CHECK_EQ(rig.api->conn_count, 0);
}

TEST(t41_a_socket_is_refused_by_origin_host_and_token_before_the_upgrade)
{
	struct wsclient w;

	ECHO_PATH();
	rig_init();
	DEFER(rig_stop, NULL);
	(void)sl_fmt(rig.conf.http.token, SL_CONFIG_TEXT_MAX, "secret");
	TRY(rig_start());
	CHECK_EQ(upgrade("/echo", WS_HEADERS), 401);
	CHECK_EQ(upgrade("/echo?access_token=wrong", WS_HEADERS), 401);
	CHECK_EQ(upgrade("/echo", WS_HEADERS "Authorization: Basic secret\r\n"), 401);
	/* A page of another site has no token, and would get nowhere with one either. */
	CHECK_EQ(
		upgrade("/echo?access_token=secret", WS_HEADERS "Origin: https://evil.example\r\n"),
		403);
	CHECK_EQ(echo.opened, 0);
	w = ws_open("/echo?access_token=secret", "Origin: http://127.0.0.1\r\n");
	ws_text(&w, "in");
	CHECK_STR(ws_message(&w), "in");
}

TEST(a_path_may_refuse_before_the_upgrade)
{
	ECHO_PATH();
	RIG();
	echo.refuse = "full";
	echo.refuse_status = 503;
	CHECK_EQ(upgrade("/echo", WS_HEADERS), 503);
	echo.refuse_status = 409;
	CHECK_EQ(upgrade("/echo", WS_HEADERS), 409);
	CHECK_EQ(echo.closed, 0);
}

TEST(no_extension_is_agreed_on)
{
	ECHO_PATH();
	RIG();
	/* ws_open() looks. */
	(void)ws_open("/echo",
		      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
}

/* ================= frames ================= */

struct frame {
	uint8_t first;
	const char *data;
	size_t len; /* 0: of the text */
};
/* clang-format off */
static const struct {
	const char *what;
	struct frame frames[4];
	int want;               /* close code; 0: the connection ends, with a code or without */
} bad_frames[] = {
	{"binary", {{WS_FIN | WS_BINARY, "x", 0}}, 1003},
	{"binary fragment", {{WS_BINARY, "x", 0}}, 1003},
	{"reserved bit 1", {{WS_FIN | 0x40 | WS_TEXT, "x", 0}}, 0},
	{"reserved bit 2", {{WS_FIN | 0x20 | WS_TEXT, "x", 0}}, 0},
	{"reserved bit 3", {{WS_FIN | 0x10 | WS_TEXT, "x", 0}}, 0},
	{"opcode 3", {{WS_FIN | 3, "x", 0}}, 0},
	{"opcode 7", {{WS_FIN | 7, "x", 0}}, 0},
	{"opcode 11", {{WS_FIN | 11, "x", 0}}, 0},
	{"opcode 15", {{WS_FIN | 15, "x", 0}}, 0},
	{"continues nothing", {{WS_FIN | WS_CONT, "x", 0}}, 0},
	{"continues what has ended", {{WS_FIN | WS_TEXT, "x", 0}, {WS_CONT, "y", 0}}, 0},
	{"text in text", {{WS_TEXT, "x", 0}, {WS_TEXT, "y", 0}}, 0},
	{"ping in parts", {{WS_PING, "x", 0}}, 0},
	{"close in parts", {{WS_CLOSE, "\x03\xe8", 2}}, 0},
	{"ping of 126 bytes", {{WS_FIN | WS_PING, NULL, 126}}, 0},
	{"close of 126 bytes", {{WS_FIN | WS_CLOSE, NULL, 126}}, 0},
	{"bad byte", {{WS_FIN | WS_TEXT, "a\xff", 0}}, 1007},
	{"cut character", {{WS_FIN | WS_TEXT, "a\xc3", 0}}, 1007},
	{"surrogate", {{WS_FIN | WS_TEXT, "\xed\xa0\x80", 0}}, 1007},
	{"overlong", {{WS_FIN | WS_TEXT, "\xc0\xaf", 0}}, 1007},
	{"past Unicode", {{WS_FIN | WS_TEXT, "\xf4\x90\x80\x80", 0}}, 1007},
	{"cut in the second part", {{WS_TEXT, "a\xe2", 0}, {WS_FIN | WS_CONT, "\x82", 0}}, 1007},
	{"close of one byte", {{WS_FIN | WS_CLOSE, "\x03", 1}}, 0},
	{"close with code 999", {{WS_FIN | WS_CLOSE, "\x03\xe7", 2}}, 0},
	{"close with code 1005", {{WS_FIN | WS_CLOSE, "\x03\xed", 2}}, 0},
	{"close with a bad reason", {{WS_FIN | WS_CLOSE, "\x03\xe8\xff", 3}}, 0},
};
/* clang-format on */

static void send_frame(struct wsclient *w, const struct frame *f)
{
	static const char zeros[256];
	size_t len = f->len || !f->data ? f->len : strlen(f->data);

	if (f->data || f->len)
		ws_send(w, f->first, f->data ? f->data : zeros, len);
}

TEST(t27_bad_frames_end_their_socket_and_no_other)
{
	struct wsclient good;

	ECHO_PATH();
	RIG();
	good = ws_open("/echo", "");
	for (size_t i = 0; i < SL_COUNT(bad_frames); i++) {
		struct wsclient w = ws_open("/echo", "");
		int code;

		for (size_t k = 0; k < SL_COUNT(bad_frames[i].frames); k++)
			send_frame(&w, &bad_frames[i].frames[k]);
		code = ws_close_code(&w);
		STOP_AFTER_OOM();
		if (bad_frames[i].want && code != bad_frames[i].want)
			sl_test_failed(__FILE__, __LINE__, "%s: code %d", bad_frames[i].what, code);
		client_close(w.c);
		RIG_UNTIL(rig.api->conn_count == 1);
	}
	ws_text(&good, "still here");
	CHECK_STR(ws_message(&good), "still here");
	CHECK_EQ(echo.closed, SL_COUNT(bad_frames));
}

TEST(t27_a_message_may_have_64_fragments_and_no_more)
{
	struct wsclient w;

	ECHO_PATH();
	RIG();
	w = ws_open("/echo", "");
	for (int i = 0; i < 64; i++)
		ws_send(&w, (uint8_t)((i ? WS_CONT : WS_TEXT) | (i == 63 ? WS_FIN : 0)), "a", 1);
	CHECK_EQ(strlen(ws_message(&w)), 64);
	for (int i = 0; i < 65; i++)
		ws_send(&w, i ? WS_CONT : WS_TEXT, "a", 1);
	closes_with(&w, 1009);
	/* Empty ones count too. */
	w = ws_open("/echo", "");
	for (int i = 0; i < 200; i++)
		ws_send(&w, i ? WS_CONT : WS_TEXT, "", 0);
	closes_with(&w, 1009);
}

TEST(t27_a_message_may_have_a_mebibyte_and_no_more)
{
	char *text;
	struct wsclient w;

	ECHO_PATH();
	RIG();
	text = malloc(API_WS_MESSAGE_MAX + 1);
	DEFER(free, text);
	memset(text, 'a', API_WS_MESSAGE_MAX + 1);
	w = ws_open("/echo", "");
	ws_send(&w, WS_FIN | WS_TEXT, text, API_WS_MESSAGE_MAX);
	RIG_UNTIL(echo.messages == 1 || sl_test_oom_fired());
	STOP_AFTER_OOM();
	CHECK_EQ(echo.last_len, API_WS_MESSAGE_MAX);
	client_close(w.c);
	w = ws_open("/echo", "");
	/* What a frame says of its length is enough. */
	ws_send(&w, WS_TEXT, text, 100);
	client_send(w.c,
		    "\x80\xff\x00\x00\x00\x00\x00\x0f\xff\xff"
		    "\x00\x00\x00\x00"
		    "aaaa",
		    18);
	closes_with(&w, 1009);
	w = ws_open("/echo", "");
	client_send(w.c,
		    "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff"
		    "\x00\x00\x00\x00"
		    "aaaa",
		    18);
	(void)ws_close_code(&w);
	CHECK_EQ(echo.messages, 1);
}

TEST(t27_a_hundred_messages_at_once_and_no_more)
{
	struct wsclient w;
	int got = 0;
	struct ws_frame f = {0};

	ECHO_PATH();
	RIG();
	w = ws_open("/echo", "");
	for (int i = 0; i < 400; i++)
		ws_text(&w, "x");
	while (f.code == 0 && ws_next(&w, &f))
		got += f.first == (WS_FIN | WS_TEXT);
	STOP_AFTER_OOM();
	CHECK_EQ(f.code, 1008);
	CHECK(echo.messages >= 100 && echo.messages < 400);
}

TEST(pings_are_answered_even_between_fragments)
{
	struct ws_frame f;
	struct wsclient w;

	ECHO_PATH();
	RIG();
	w = ws_open("/echo", "");
	ws_send(&w, WS_TEXT, "one", 3);
	ws_send(&w, WS_FIN | WS_PING, "are you there", 13);
	ws_send(&w, WS_FIN | WS_PONG, "unasked", 7);
	CHECK(ws_next(&w, &f));
	STOP_AFTER_OOM();
	CHECK_EQ(f.first, WS_FIN | WS_PONG);
	CHECK_STR(f.data, "are you there");
	ws_send(&w, WS_FIN | WS_CONT, "two", 3);
	CHECK_STR(ws_message(&w), "onetwo");
}

TEST(t27_messages_survive_any_split_of_their_bytes)
{
	struct sl_test_rng state;
	struct sl_rng rng = sl_test_rng(&state, 27);

	ECHO_PATH();
	RIG();
	for (int round = 0; round < 20; round++) {
		static const char text[] = "h\xc3\xa9llo w\xc3\xb6rld \xf0\x9f\x98\x80";
		struct wsclient w = ws_open("/echo", "");
		uint8_t out[512];
		size_t n = 0, at = 0, len = sizeof(text) - 1;

		/* Random fragments, mask of zeros... */
		while (at < len) {
			size_t piece = 1 + sl_rng_u32(&rng) % 6;

			piece = SL_MIN(piece, len - at);
			out[n++] = (uint8_t)((at ? WS_CONT : WS_TEXT) |
					     (at + piece == len ? WS_FIN : 0));
			out[n++] = (uint8_t)(0x80 | piece);
			memset(out + n, 0, 4);
			memcpy(out + n + 4, text + at, piece);
			n += 4 + piece;
			at += piece;
		}
		/* ... in random segments. */
		for (at = 0; at < n;) {
			size_t piece = 1 + sl_rng_u32(&rng) % 9;

			piece = SL_MIN(piece, n - at);
			client_send(w.c, (char *)out + at, piece);
			at += piece;
			rig_turn();
		}
		CHECK_STR(ws_message(&w), text);
		client_close(w.c);
	}
}

/* ================= the queue out ================= */

static bool say(size_t len)
{
	char *text = echo.ws ? sl_zalloc(len + 1) : NULL;

	if (!text)
		return false;
	memset(text, 'y', len);
	return api_ws_send(echo.ws, text, len);
}

TEST(long_messages_come_in_fragments_and_whole)
{
	size_t got = 0;
	struct wsclient w;
	struct ws_frame f;

	ECHO_PATH();
	RIG();
	w = ws_open("/echo", "");
	RIG_UNTIL(echo.ws);
	if (!say(200000))
		STOP_AFTER_OOM();
	do {
		CHECK(ws_next(&w, &f));
		CHECK_EQ(f.first & 15, got ? WS_CONT : WS_TEXT);
		got += f.len;
	} while (!(f.first & WS_FIN));
	CHECK_EQ(got, 200000);
	CHECK_EQ(api_ws_queued(echo.ws), 0);
}

TEST(t51_a_queue_out_is_bounded_by_number_and_by_bytes)
{
	static const struct {
		size_t len, want;
	} rows[] = {{10, API_WS_QUEUE_MAX}, {65536, 16}};

	ECHO_PATH();
	RIG();
	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		struct wsclient w = ws_open("/echo", "");
		size_t n = 0;

		RIG_UNTIL(echo.ws);
		while (say(rows[i].len))
			n++;
		STOP_AFTER_OOM();
		CHECK_EQ(n, rows[i].want);
		/* What waited is dropped, and that is said. */
		CHECK_EQ(api_ws_queued(echo.ws), 0);
		CHECK(!say(1));
		closes_with(&w, 1013);
		ws_send(&w, WS_FIN | WS_CLOSE, "\x03\xf5", 2);
		RIG_UNTIL(!echo.ws);
	}
}

/* ================= silence ================= */

TEST(pings_go_out_every_20_s)
{
	RIG();
	CHECK_EQ(rig.api->ws_ping_us, 20 * SL_SEC);
	CHECK_EQ(rig.api->ws_silence_us, 30 * SL_SEC);
}

TEST(a_socket_is_pinged_and_who_answers_stays)
{
	const struct api_conn *c;
	struct wsclient w;
	int64_t opened_us;
	int pings = 0;

	ECHO_PATH();
	RIG();
	rig.api->ws_ping_us = 1000;
	w = ws_open("/echo", "");
	opened_us = api_now_us(rig.api);
	while (pings < 3) {
		const uint8_t *p;

		RIG_UNTIL(ws_ready(&w) || w.c->closed);
		STOP_AFTER_OOM();
		CHECK(!w.c->closed);
		p = (const uint8_t *)w.c->in + w.at;
		CHECK_EQ(p[0], WS_FIN | WS_PING);
		CHECK_EQ(p[1], 1);
		w.at += 3;
		ws_send(&w, WS_FIN | WS_PONG, "\0", 1);
		/* The last one shows that a pong puts the end off. */
		if (++pings == 2)
			rig.api->ws_ping_us = rig.api->ws_silence_us = 3600 * SL_SEC;
	}
	c = SL_LIST_AT(rig.api->conns.next, struct api_conn, link);
	RIG_UNTIL(c->deadline_us > opened_us + 3600 * SL_SEC || sl_test_oom_fired());
	ws_text(&w, "here");
	CHECK_STR(ws_message(&w), "here");
}

TEST(who_answers_no_ping_is_ended)
{
	struct wsclient w;

	ECHO_PATH();
	RIG();
	rig.api->ws_ping_us = 1000;
	rig.api->ws_silence_us = 20000;
	w = ws_open("/echo", "");
	RIG_UNTIL(!client_poll(w.c));
	RIG_UNTIL(echo.closed);
	CHECK_EQ(rig.api->conn_count, 0);
}

TEST(who_answers_no_close_is_ended_too)
{
	struct api_conn *c;
	struct wsclient w;

	ECHO_PATH();
	RIG();
	w = ws_open("/echo", "");
	ws_text(&w, "close");
	CHECK(ws_close_code(&w) > 0);
	c = SL_LIST_AT(rig.api->conns.next, struct api_conn, link);
	CHECK(c->deadline_us <= api_now_us(rig.api) + 5 * SL_SEC);
	api_conn_deadline(c, api_now_us(rig.api));
	RIG_UNTIL(!client_poll(w.c));
	RIG_UNTIL(echo.closed);
}

TEST(t50_sockets_leave_nothing_behind)
{
	struct wsclient w;

	ECHO_PATH();
	RIG();
	for (int i = 0; i < 30; i++) {
		w = ws_open("/echo", "");
		if (i % 3 == 0)
			ws_send(&w, WS_TEXT, "half a mess", 11);
		if (i % 3 == 1)
			ws_text(&w, "close");
		client_close(w.c);
		RIG_UNTIL(rig.api->conn_count == 0);
	}
	CHECK_EQ(echo.opened, 30);
	CHECK_EQ(echo.closed, 30);
}
