/* SPDX-License-Identifier: Apache-2.0
 * api/ws.c — WebSockets over libwebsockets (RFC 6455): whole messages in, a bounded queue out.
 * The library unmasks, checks frames and answers pings and closes; what it does not bound is
 * bounded here. */
#include "api/ws.h"
#include <libwebsockets.h>

enum {
	CHUNK = 32768, /* a longer message goes out in fragments of this size */
	FRAMES = 32,   /* most of them at a time */
	RATE = 50,
	BURST = 100, /* messages a second */
	CLOSE_NORMAL = 1000,
	CLOSE_TYPE = 1003,
	CLOSE_UTF8 = 1007,
	CLOSE_POLICY = 1008,
	CLOSE_TOO_BIG = 1009,
	CLOSE_ERROR = 1011,
	CLOSE_TRY_LATER = 1013
};
#define CLOSE_WAIT_US (5 * SL_SEC)

struct ws_out {
	struct sl_list link;
	char *text; /* owned */
	size_t len, sent;
};

struct api_ws {
	struct api_conn *conn;
	const struct api_ws_ops *ops;
	void *data;
	/* owned */
	struct sl_list queue;
	char *in; /* the message that is coming */
	/* state */
	size_t in_len, in_cap;
	unsigned fragments;
	size_t queued_bytes, queued_count;
	int64_t pong_us, ping_us; /* when the last one came, when the next one goes */
	int64_t tokens_us;	  /* messages that may come, in time: a second is `rate` of them */
	uint32_t rate, burst;
	int64_t rated_us;
	bool open, ping_due;
	bool held;    /* the peer is not read until it reads */
	bool closing; /* close_code is to be sent */
	bool ended;   /* a close was sent or came: nothing more goes out */
	int close_code, peer_code;
	char reason[124];
};

struct sl_api *api_ws_api(const struct api_ws *ws)
{
	return ws->conn->api;
}

const struct sl_addr *api_ws_peer(const struct api_ws *ws)
{
	return &ws->conn->peer;
}

void *api_ws_data(const struct api_ws *ws)
{
	return ws->data;
}

void api_ws_set_data(struct api_ws *ws, void *data)
{
	ws->data = data;
}

size_t api_ws_queued(const struct api_ws *ws)
{
	return ws->queued_bytes;
}

void api_ws_set_rate(struct api_ws *ws, uint32_t messages_per_s, uint32_t burst)
{
	ws->rate = messages_per_s;
	ws->burst = burst;
}

/* ================= out ================= */

static void next_deadline(struct api_ws *ws);

static void want_write(struct api_ws *ws)
{
	if (ws->open && !ws->ended && ws->conn->wsi)
		lws_callback_on_writable(ws->conn->wsi);
}

void api_ws_wake(struct api_ws *ws)
{
	want_write(ws);
}

static void drop_first(struct api_ws *ws)
{
	struct ws_out *o = SL_LIST_AT(ws->queue.next, struct ws_out, link);

	sl_list_del(&o->link);
	ws->queued_bytes -= o->len - o->sent;
	ws->queued_count--;
	sl_free(o->text);
	sl_free(o);
}

static void drop_all(struct api_ws *ws)
{
	while (!sl_list_empty(&ws->queue))
		drop_first(ws);
}

void api_ws_close(struct api_ws *ws, int code, const char *reason)
{
	if (ws->closing || ws->ended)
		return;
	ws->closing = true;
	if (ws->held && ws->conn->wsi)
		lws_rx_flow_control(ws->conn->wsi, 1);
	ws->close_code = code;
	(void)sl_fmt(ws->reason, sizeof(ws->reason), "%s", reason ? reason : "");
	api_conn_deadline(ws->conn, api_now_us(ws->conn->api) + CLOSE_WAIT_US);
	want_write(ws);
}

/* Closes without what waits: its reader would not take it. */
static void fail(struct api_ws *ws, int code, const char *reason)
{
	if (ws->closing || ws->ended)
		return;
	SL_LOG(DEBUG, HTTP, "websocket closed", SL_KA("peer", &ws->conn->peer), SL_KI("code", code),
	       SL_KS("why", reason));
	drop_all(ws);
	api_ws_close(ws, code, reason);
}

bool api_ws_send(struct api_ws *ws, char *text, size_t len)
{
	bool ending = ws->closing || ws->ended;
	bool full =
		ws->queued_count >= API_WS_QUEUE_MAX || ws->queued_bytes + len > API_WS_MESSAGE_MAX;
	struct ws_out *o = ending || full ? NULL : sl_zalloc(sizeof(*o));

	if (!o) {
		sl_free(text);
		if (full)
			fail(ws, CLOSE_TRY_LATER, "messages are not read fast enough");
		else if (!ending)
			fail(ws, CLOSE_ERROR, "out of memory");
		return false;
	}
	o->text = text;
	o->len = len;
	sl_list_add(&ws->queue, &o->link);
	ws->queued_bytes += len;
	ws->queued_count++;
	want_write(ws);
	return true;
}

/* One frame of the first message. */
static int write_frame(struct api_ws *ws)
{
	static unsigned char out[LWS_PRE + CHUNK]; /* the control thread's */
	struct ws_out *o = SL_LIST_AT(ws->queue.next, struct ws_out, link);
	size_t n = SL_MIN(o->len - o->sent, (size_t)CHUNK);
	bool last = o->sent + n == o->len;
	int how = o->sent == 0 ? LWS_WRITE_TEXT : LWS_WRITE_CONTINUATION;

	memcpy(out + LWS_PRE, o->text + o->sent, n);
	if (!last)
		how |= LWS_WRITE_NO_FIN;
	if (lws_write(ws->conn->wsi, out + LWS_PRE, n, (enum lws_write_protocol)how) < 0)
		return -1;
	o->sent += n;
	ws->queued_bytes -= n;
	if (last)
		drop_first(ws);
	return 0;
}

static int write_frames(struct api_ws *ws)
{
	int n = 0, rc;

	do
		rc = write_frame(ws);
	while (rc == 0 && ++n < FRAMES && !sl_list_empty(&ws->queue) &&
	       !lws_send_pipe_choked(ws->conn->wsi));
	return rc;
}

/* Each request of an application is answered, and it may ask for ten thousand things at once: it is
 * read no faster than it reads, nor than its rate allows. */
static void hold(struct api_ws *ws)
{
	bool much = ws->queued_count > API_WS_QUEUE_MAX / 2 ||
		    ws->queued_bytes > API_WS_MESSAGE_MAX / 2 || ws->tokens_us < 0;

	if (!ws->ops->kurento || much == ws->held || ws->closing || ws->ended)
		return;
	ws->held = much;
	lws_rx_flow_control(ws->conn->wsi, !much);
	if (ws->tokens_us < 0)
		next_deadline(ws);
}

static int write_ping(struct api_ws *ws)
{
	/* One byte: the library tells of no pong that is empty. */
	unsigned char out[LWS_PRE + 1] = {0};

	ws->ping_due = false;
	return lws_write(ws->conn->wsi, out + LWS_PRE, 1, LWS_WRITE_PING) < 0 ? -1 : 0;
}

/* RFC 6455 section 5.5.1. Not by the library's own way, which may end the connection before the
 * frame has gone. The peer's answer, or CLOSE_WAIT_US, ends it. */
static int write_close(struct api_ws *ws)
{
	unsigned char out[LWS_PRE + 4 + sizeof(ws->reason)], *p = out + LWS_PRE;
	size_t n = strlen(ws->reason);

	ws->ended = true;
	p[0] = 0x88; /* FIN, close */
	p[1] = (unsigned char)(2 + n);
	p[2] = (unsigned char)(ws->close_code >> 8);
	p[3] = (unsigned char)ws->close_code;
	memcpy(p + 4, ws->reason, n);
	return lws_write(ws->conn->wsi, p, 4 + n, LWS_WRITE_RAW) < 0 ? -1 : 0;
}

/* The library calls this only when it holds nothing back itself. */
static int on_writable(struct api_ws *ws)
{
	bool wrote;
	int rc = 0;

	if (ws->ended)
		return 0;
	if (ws->closing && sl_list_empty(&ws->queue))
		return write_close(ws);
	wrote = ws->ping_due || !sl_list_empty(&ws->queue);
	if (ws->ping_due)
		rc = write_ping(ws);
	else if (wrote)
		rc = write_frames(ws);
	else if (ws->ops->drained)
		ws->ops->drained(ws);
	if (rc == 0 && (wrote || !sl_list_empty(&ws->queue) || ws->closing))
		want_write(ws);
	if (rc == 0)
		hold(ws);
	return rc;
}

/* ================= in ================= */

/* Room for n more bytes and a NUL. */
static bool make_room(struct api_ws *ws, size_t n)
{
	size_t cap = SL_MAX(ws->in_cap, 1024);
	char *more;

	while (cap < ws->in_len + n + 1)
		cap *= 2;
	if (cap == ws->in_cap)
		return true;
	more = sl_realloc(ws->in, cap);
	if (!more)
		return false;
	ws->in = more;
	ws->in_cap = cap;
	return true;
}

static int64_t full_us(const struct api_ws *ws)
{
	return ws->burst * SL_SEC / ws->rate;
}

/* A bucket of `burst` messages that fills by `rate` a second. */
static void fill(struct api_ws *ws)
{
	int64_t now_us = api_now_us(ws->conn->api);

	ws->tokens_us = SL_MIN(ws->tokens_us + (now_us - ws->rated_us), full_us(ws));
	ws->rated_us = now_us;
}

static bool too_fast(struct api_ws *ws)
{
	fill(ws);
	ws->tokens_us -= SL_SEC / ws->rate;
	return ws->tokens_us < 0 && !ws->ops->kurento;
}

static void on_message(struct api_ws *ws)
{
	char *text = ws->in, why[64];
	size_t len = ws->in_len;

	ws->in = NULL;
	ws->in_len = ws->in_cap = ws->fragments = 0;
	if (!text)
		return;
	text[len] = 0;
	/* What it asks is a sign of life as well: its pong may be far behind. */
	if (ws->ops->kurento)
		ws->pong_us = api_now_us(ws->conn->api);
	(void)sl_fmt(why, sizeof(why), "more than %u messages a second", ws->rate);
	if (too_fast(ws))
		fail(ws, CLOSE_POLICY, why);
	else if (!sl_utf8_valid(text, len))
		fail(ws, CLOSE_UTF8, "a text message that is not UTF-8");
	else
		ws->ops->text(ws, text, len);
	hold(ws);
	sl_free(text);
}

static void on_receive(struct api_ws *ws, const void *in, size_t len)
{
	struct lws *wsi = ws->conn->wsi;
	bool frame_ends = lws_remaining_packet_payload(wsi) == 0;

	if (ws->closing || ws->ended)
		return;
	if (lws_frame_is_binary(wsi) && !ws->ops->kurento) {
		fail(ws, CLOSE_TYPE, "only text messages are taken");
		return;
	}
	ws->fragments += frame_ends;
	/* The rest of a frame has not come yet: what it says of its length is refused at once. */
	if (ws->in_len + len + lws_remaining_packet_payload(wsi) > API_WS_MESSAGE_MAX) {
		fail(ws, CLOSE_TOO_BIG, "a message over 1 MiB");
		return;
	}
	if (ws->fragments > API_WS_FRAGMENTS_MAX) {
		fail(ws, CLOSE_TOO_BIG, "a message in over 64 fragments");
		return;
	}
	if (!make_room(ws, len)) {
		fail(ws, CLOSE_ERROR, "out of memory");
		return;
	}
	if (len > 0)
		memcpy(ws->in + ws->in_len, in, len);
	ws->in_len += len;
	if (frame_ends && lws_is_final_fragment(wsi))
		on_message(ws);
}

/* ================= its life ================= */

static void next_deadline(struct api_ws *ws)
{
	int64_t at_us = SL_MIN(ws->ping_us, ws->pong_us + ws->conn->api->ws_silence_us);

	/* Read again, for a while, when a tenth of a second's messages may come. */
	if (ws->tokens_us < 0)
		at_us = SL_MIN(at_us, ws->rated_us - ws->tokens_us + SL_SEC / 10);
	if (!ws->closing)
		api_conn_deadline(ws->conn, at_us);
}

bool api_ws_due(struct api_conn *c)
{
	struct api_ws *ws = c->ws;
	int64_t now_us = api_now_us(c->api);

	if (!ws->open || ws->closing || now_us - ws->pong_us >= c->api->ws_silence_us)
		return false;
	if (now_us >= ws->ping_us) {
		ws->ping_due = true;
		ws->ping_us = now_us + c->api->ws_ping_us;
		want_write(ws);
	}
	fill(ws);
	hold(ws);
	next_deadline(ws);
	return true;
}

const char *api_ws_accept(struct api_conn *c, int *status)
{
	struct api_ws *ws = sl_zalloc(sizeof(*ws));
	const char *why;

	*status = 503;
	if (!ws)
		return "out of memory";
	ws->conn = c;
	ws->ops = c->req.route->ws;
	sl_list_init(&ws->queue);
	api_ws_set_rate(ws, RATE, BURST);
	*status = 400;
	why = ws->ops->accept ? ws->ops->accept(ws, &c->req, status) : NULL;
	if (why)
		sl_free(ws);
	else
		c->ws = ws;
	return why;
}

static void on_open(struct api_ws *ws)
{
	struct sl_api *api = ws->conn->api;
	int64_t now_us = api_now_us(api);

	ws->open = true;
	ws->rated_us = ws->pong_us = now_us;
	ws->tokens_us = full_us(ws);
	ws->ping_us = now_us + api->ws_ping_us;
	next_deadline(ws);
	api->responses[1]++;
	SL_LOG(DEBUG, HTTP, "websocket open", SL_KA("peer", &ws->conn->peer),
	       SL_KSTR("path", api_log_path(&ws->conn->req)));
	if (ws->ops->open)
		ws->ops->open(ws);
	want_write(ws);
}

/* RFC 6455 section 5.5.1: the code is the first two bytes; the library answers it. */
static int on_peer_close(struct api_ws *ws, const uint8_t *in, size_t len)
{
	bool answer = ws->closing && ws->ended;

	ws->ended = true;
	ws->peer_code = len >= 2 ? in[0] << 8 | in[1] : 0;
	api_conn_deadline(ws->conn, api_now_us(ws->conn->api) + CLOSE_WAIT_US);
	return answer ? -1 : 0;
}

int api_ws_callback(struct api_conn *c, int reason, const void *in, size_t len)
{
	struct api_ws *ws = c->ws;

	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
		on_open(ws);
		break;
	case LWS_CALLBACK_RECEIVE:
		on_receive(ws, in, len);
		break;
	case LWS_CALLBACK_RECEIVE_PONG:
		ws->pong_us = api_now_us(c->api);
		next_deadline(ws);
		break;
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		return on_peer_close(ws, in, len);
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return on_writable(ws);
	default:
		break;
	}
	return 0;
}

void api_ws_gone(struct api_conn *c)
{
	struct api_ws *ws = c->ws;

	if (!ws)
		return;
	ws->ended = true;
	ws->open = false;
	if (ws->ops->closed)
		ws->ops->closed(ws, ws->peer_code);
	drop_all(ws);
	sl_free(ws->in);
	sl_free(ws);
	c->ws = NULL;
}

void api_ws_only(struct api_conn *c)
{
	api_header(c, "Upgrade", "websocket");
	api_problem(c, 426, "this path is a WebSocket");
}
