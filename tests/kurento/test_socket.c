/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_socket.c — connections, over real sockets and the real control loop. */
#include "api/kurento/rpc.h"
#include "tests/api/wsclient.h"

static struct kms *kms;

static void stop_kurento(void *unused)
{
	(void)unused;
	sl_kurento_free(kms);
	kms = NULL;
}

/* After RIG(). */
static int start_kurento(void)
{
	struct sl_core_why why;
	int err = sl_kurento_new(rig.api, &kms, &why);

	return err && sl_test_oom_fired() ? SL_ENOMEM : err;
}

#define KURENTO()                                                                                  \
	do {                                                                                       \
		DEFER(stop_kurento, NULL);                                                         \
		TRY(start_kurento());                                                              \
	} while (0)

#define PING "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"
#define PONG "{\"id\":1,\"jsonrpc\":\"2.0\",\"result\":{\"value\":\"pong\"}}"
#define DESCRIBE                                                                                   \
	"{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"describe\",\"params\":{\"object\":\"manager_" \
	"ServerManager\"}}"

static void opens(const char *path, const char *headers)
{
	struct wsclient w = ws_open(path, headers);

	ws_text(&w, PING);
	CHECK_STR(ws_message(&w), PONG);
}

static void closes_with(struct wsclient *w, int want)
{
	int code = ws_close_code(w);

	if (code != want)
		STOP_AFTER_OOM();
	CHECK_EQ(code, want);
}

TEST(text_and_binary_messages_are_answered_by_text)
{
	struct wsclient w;
	struct ws_frame f;

	RIG();
	KURENTO();
	w = ws_open("/kurento",
		    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
	ws_text(&w, PING);
	CHECK_STR(ws_message(&w), PONG);
	ws_send(&w, WS_FIN | WS_BINARY, PING, sizeof(PING) - 1);
	if (!ws_next(&w, &f) || (f.first & 15) == WS_CLOSE)
		STOP_AFTER_OOM();
	CHECK_EQ(f.first, WS_FIN | WS_TEXT);
	CHECK_STR(f.data, PONG);
	ws_send(&w, WS_BINARY, PING, 10);
	ws_send(&w, WS_FIN | WS_CONT, PING + 10, sizeof(PING) - 11);
	CHECK_STR(ws_message(&w), PONG);
}

TEST(the_path_is_as_configured_and_no_other)
{
	RIG();
	KURENTO();
	CHECK_EQ(ask("GET", "/kurent", WS_HEADERS, "")->status, 404);
	CHECK_EQ(ask("GET", "/kurento/x", WS_HEADERS, "")->status, 404);
	CHECK_EQ(ask("GET", "/kurento", "", "")->status, 426);
	opens("/kurento?x=1", "");
}

TEST(an_upgrade_without_a_key_gets_the_500_that_health_checks_want)
{
	static const char probe[] =
		"Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: 127.0.0.1\r\n";

	RIG();
	KURENTO();
	CHECK_EQ(ask("GET", "/kurento", probe, "")->status, 500);
	CHECK_EQ(ask("GET", "/v1/events", probe, "")->status, 426);
}

TEST(the_health_check_needs_no_token)
{
	static const char probe[] =
		"Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: 127.0.0.1\r\n";

	rig_init();
	DEFER(rig_stop, NULL);
	(void)sl_fmt(rig.conf.http.token, SL_CONFIG_TEXT_MAX, "secret");
	TRY(rig_start());
	KURENTO();
	CHECK_EQ(ask("GET", "/kurento", probe, "")->status, 500);
}

TEST(t41_a_page_of_another_origin_is_refused_and_told_why)
{
	const struct answer *a;

	RIG();
	KURENTO();
	a = ask("GET", "/kurento", WS_HEADERS "Origin: https://evil.example\r\n", "");
	CHECK_EQ(a->status, 403);
	CHECK(strstr(a->body, "http.origins"));
	a = ask("GET", "/kurento", WS_HEADERS "Origin: null\r\n", "");
	CHECK_EQ(a->status, 403);
	/* As websocket-stream 0.5.1 says it, and curl. */
	opens("/kurento", "Origin: 127.0.0.1:8888\r\n");
	opens("/kurento", "Origin: http://127.0.0.1\r\n");
}

TEST(with_a_token_configured_only_its_holders_come_in)
{
	rig_init();
	DEFER(rig_stop, NULL);
	(void)sl_fmt(rig.conf.http.token, SL_CONFIG_TEXT_MAX, "secret");
	TRY(rig_start());
	KURENTO();
	CHECK_EQ(ask("GET", "/kurento", WS_HEADERS, "")->status, 401);
	CHECK_EQ(ask("GET", "/kurento?token=secre", WS_HEADERS, "")->status, 401);
	CHECK_EQ(ask("GET", "/v1/events?token=secret", WS_HEADERS, "")->status, 401);
	opens("/kurento?token=secret", "");
	opens("/kurento?access_token=secret", "");
	opens("/kurento", "Authorization: Bearer secret\r\n");
}

TEST(a_client_in_a_hurry_is_served)
{
	struct wsclient w;

	RIG();
	KURENTO();
	w = ws_open("/kurento", "");
	for (int i = 0; i < 500; i++)
		ws_text(&w, PING);
	for (int i = 0; i < 500; i++)
		CHECK_STR(ws_message(&w), PONG);
}

TEST(who_asks_too_fast_is_read_more_slowly_and_loses_nothing)
{
	struct wsclient w;

	RIG();
	KURENTO();
	kms->set.messages_per_s = 50;
	w = ws_open("/kurento", "");
	for (int i = 0; i < 520; i++)
		ws_text(&w, PING);
	for (int i = 0; i < 520; i++) {
		CHECK_STR(ws_message(&w), PONG);
		STOP_AFTER_OOM();
	}
}

TEST(what_is_too_deep_is_answered_and_what_is_too_long_ends_the_connection)
{
	static char text[(1 << 20) + 64];
	struct wsclient w;

	RIG();
	KURENTO();
	w = ws_open("/kurento", "");
	memset(text, '[', 40);
	memset(text + 40, ']', 40);
	ws_send(&w, WS_FIN | WS_TEXT, text, 80);
	CHECK(strstr(ws_message(&w), "\"code\":-32600"));
	memset(text, ' ', sizeof(text));
	ws_send(&w, WS_FIN | WS_TEXT, text, sizeof(text));
	closes_with(&w, 1009);
}

/* Ten thousand objects may be asked for in one breath. */
TEST(who_asks_for_much_at_once_is_read_no_faster_than_it_reads)
{
	const struct kms_session *s;
	struct wsclient w;
	char text[256];

	RIG();
	KURENTO();
	w = ws_open("/kurento", "");
	(void)sl_fmt(text, sizeof(text), DESCRIBE, 0);
	ws_text(&w, text);
	(void)ws_message(&w);
	STOP_AFTER_OOM();
	s = SL_LIST_AT(kms->rpc->all.next, struct kms_session, in_all);
	for (int i = 1; i <= 5000; i++) {
		(void)sl_fmt(text, sizeof(text), DESCRIBE, i);
		ws_text(&w, text);
		STOP_AFTER_OOM();
	}
	for (int i = 1; i <= 5000; i++) {
		(void)sl_fmt(text, sizeof(text), "{\"id\":%d,", i);
		CHECK(strncmp(ws_message(&w), text, strlen(text)) == 0);
	}
	CHECK(s->peer);
}

TEST(t51_a_client_that_does_not_read_its_events_is_cut_and_its_session_stays)
{
	char text[256], session[37] = "";
	const struct kms_session *s;
	const char *message;
	struct wsclient w;

	RIG();
	KURENTO();
	w = ws_open("/kurento", "");
	ws_text(&w, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\",\"params\":{\"object\":"
		    "\"manager_ServerManager\",\"type\":\"Error\"}}");
	message = ws_message(&w);
	STOP_AFTER_OOM();
	CHECK(strstr(message, "\"sessionId\":\""));
	(void)sl_fmt(session, sizeof(session), "%.36s", strstr(message, "\"sessionId\":\"") + 13);
	s = kms_session_by_id(kms, sl_str(session, 36));
	CHECK(s && s->peer);
	for (int i = 0; i < 2 * API_WS_QUEUE_MAX; i++)
		kms_event_error(kms->manager, "X", i, "nobody reads this");
	STOP_AFTER_OOM();
	closes_with(&w, 1013);
	client_close(w.c);
	RIG_UNTIL(!s->peer);
	CHECK(kms_session_by_id(kms, sl_str(session, 36)) == s);
	w = ws_open("/kurento", "");
	(void)sl_fmt(text, sizeof(text),
		     "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"connect\",\"params\":{"
		     "\"sessionId\":\"%.36s\"}}",
		     session);
	ws_text(&w, text);
	message = ws_message(&w);
	STOP_AFTER_OOM();
	CHECK(strstr(message, kms->server_id));
	CHECK(s->peer);
}

TEST(who_asks_and_does_not_read_waits_until_its_silence_is_noticed)
{
	static const char kmd[] =
		"{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"invoke\",\"params\":{\"object\":"
		"\"manager_ServerManager\","
		"\"operation\":\"getKmd\",\"operationParams\":{\"moduleName\":\"core\"}}}";
	char text[256];
	struct wsclient w;

	RIG();
	KURENTO();
	rig.api->ws_ping_us = 20 * SL_MS;
	rig.api->ws_silence_us = 60 * SL_MS;
	w = ws_open("/kurento", "");
	for (int i = 0; i < 500; i++) {
		(void)sl_fmt(text, sizeof(text), kmd, i);
		ws_send(&w, WS_FIN | WS_TEXT, text, strlen(text));
		STOP_AFTER_OOM();
	}
	RIG_UNTIL(sl_list_empty(&rig.api->conns) || sl_test_oom_fired());
	STOP_AFTER_OOM();
	closes_with(&w, 0);
}

TEST(a_server_that_ends_says_so_to_its_connections)
{
	struct wsclient w;

	RIG();
	KURENTO();
	w = ws_open("/kurento", "");
	ws_text(&w, PING);
	CHECK_STR(ws_message(&w), PONG);
	stop_kurento(NULL);
	closes_with(&w, 1001);
}

TEST(the_timer_answers_what_had_to_wait)
{
	const char *message;
	struct wsclient w;

	RIG();
	KURENTO();
	w = ws_open("/kurento", "");
	ws_text(&w, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"invoke\",\"params\":{\"object\":"
		    "\"manager_ServerManager\","
		    "\"operation\":\"getUsedCpu\",\"operationParams\":{\"interval\":5}}}");
	message = ws_message(&w);
	STOP_AFTER_OOM();
	CHECK(strstr(message, "\"value\":"));
}
