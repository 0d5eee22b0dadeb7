/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/wsclient.h"
#include "api/ws.h"
#include <stdlib.h>

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
static const struct api_route echo_routes[] = {
	{.path = "echo", .methods = 1 << API_GET, .scope = API_STATIC, .fn = api_ws_only, .ws = &echo_ops},
	{.path = NULL}};

static void forget(void *unused)
{
	(void)unused;
	api_more_routes = NULL;
}

#define ECHO_PATH()                                  \
	do {                                    \
		memset(&echo, 0, sizeof(echo)); \
		api_more_routes = echo_routes;  \
		DEFER(forget, NULL);            \
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
	CHECK_EQ(ws_close_code(&w), 1001);
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
