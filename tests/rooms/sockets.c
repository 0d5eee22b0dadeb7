/* SPDX-License-Identifier: Apache-2.0
 * tests/rooms/sockets.c — what api/ws.h promises, without frames: whole messages, in order, each
 * after a while; a bounded queue; an orderly end. */
#include "api/jwt.h"
#include "api/ws.h"
#include "tests/rooms/world.h"
#include "core/base/mem.h"
#include <stdlib.h>

/* One way, and how long the server takes to see that a client is gone. */
enum { WAY_US = 3000, JITTER_US = 2000 };

struct api_ws {
	struct sl_list link;
	const struct api_ws_ops *ops;
	void *data;
	struct person *who; /* NULL: the client is gone */
	struct sl_addr peer;
	char query[128];
	size_t queued_bytes, queued_count, under_way;
	int64_t up_us, down_us; /* of the last message: the next does not overtake it */
	bool open, closing, ended;
	int code;
};

struct message {
	struct api_ws *ws;
	char *text; /* malloc; NULL: a close */
	size_t len;
};

static struct sl_list sockets = {&sockets, &sockets};

size_t sockets_live(void)
{
	size_t n = 0;

	SL_LIST_EACH(it, tmp, &sockets)
		n++;
	return n;
}

/* ---- the end of one ---- */

static void gone(struct api_ws *ws)
{
	if (ws->under_way > 0 || !ws->ended)
		return;
	sl_list_del(&ws->link);
	free(ws);
}

static void closed(struct api_ws *ws, int code)
{
	if (ws->open)
		ws->ops->closed(ws, code);
	ws->open = false;
	ws->ended = true;
}

void sockets_fini(void)
{
	while (!sl_list_empty(&sockets)) {
		struct api_ws *ws = SL_LIST_AT(sockets.next, struct api_ws, link);

		sl_list_del(&ws->link);
		free(ws);
	}
}

static void later(struct api_ws *ws, int64_t *last_us, void (*fn)(void *arg), const char *text,
		  size_t len)
{
	struct message *m = malloc(sizeof(*m) + len + 1);
	int64_t at_us = world.now_us + WAY_US + sl_rng_u32(&world.wire_rng) % JITTER_US;

	SL_ASSERT(m);
	*m = (struct message){.ws = ws, .text = text ? (char *)(m + 1) : NULL, .len = len};
	if (text)
		memcpy(m->text, text, len);
	((char *)(m + 1))[len] = 0;
	ws->under_way++;
	*last_us = SL_MAX(*last_us, at_us);
	world_later(ITEM_SOCKET, *last_us, fn, m);
}

/* ---- up ---- */

static void read_up(void *arg)
{
	struct message *m = arg;
	struct api_ws *ws = m->ws;

	ws->under_way--;
	if (ws->who && m->text)
		ws->who->up_pending--;
	if (!m->text)
		closed(ws, ws->code);
	else if (ws->open && !ws->closing)
		ws->ops->text(ws, m->text, m->len);
	gone(ws);
	free(m);
}

void socket_say(struct person *p, const char *text, size_t len)
{
	if (!p->ws)
		return;
	p->up_pending++;
	world_trace(text, len);
	later(p->ws, &p->ws->up_us, read_up, text, len);
}

void socket_drop(struct person *p)
{
	struct api_ws *ws = p->ws;

	if (!ws)
		return;
	ws->who = NULL;
	p->ws = NULL;
	p->up_pending = 0;
	later(ws, &ws->up_us, read_up, NULL, 0);
}

/* The request comes in, with every right that the person has. */
static void open_up(void *arg)
{
	struct message *m = arg;
	struct api_ws *ws = m->ws;
	const struct person *p = ws->who;
	struct api_request *req = sl_zalloc(sizeof(*req));
	const char *why;
	int status = 0;

	SL_ASSERT(req);
	ws->under_way--;
	if (p) {
		req->seg[2] = SL_STR("hall");
		req->has_participant = true;
		api_copy(req->participant, sizeof(req->participant), sl_str_z(p->name));
		api_copy(req->query, sizeof(req->query), sl_str_z(ws->query));
		req->rights.all = p->publishes && p->subscribes;
		req->rights.bits = (p->publishes ? API_JWT_PUBLISH : 0) |
				   (p->subscribes ? API_JWT_SUBSCRIBE : 0);
		why = ws->ops->accept(ws, req, &status);
		CHECK(!why);
		ws->open = true;
		ws->ops->open(ws);
	}
	sl_free(req);
	gone(ws);
	free(m);
}

struct api_ws *socket_open(struct person *p, const char *query)
{
	struct api_ws *ws = calloc(1, sizeof(*ws));

	SL_ASSERT(ws);
	ws->ops = &api_join_ws;
	ws->who = p;
	ws->peer = p->addr;
	CHECK(sl_fmt(ws->query, sizeof(ws->query), "?participant=%s%s", p->name, query));
	sl_list_add(&sockets, &ws->link);
	p->ws = ws;
	later(ws, &ws->up_us, open_up, NULL, 0);
	return ws;
}

/* ---- down ---- */

static void read_down(void *arg)
{
	struct message *m = arg;
	struct api_ws *ws = m->ws;
	struct person *p = ws->who;

	ws->under_way--;
	ws->queued_bytes -= m->len;
	ws->queued_count -= m->text != NULL;
	if (p && m->text) {
		world.messages++;
		world_trace(m->text, m->len);
		person_heard(p, m->text, m->len);
	} else if (p && ws->closing && !ws->ended && ws->queued_count == 0) {
		/* RFC 6455 section 7.1.2: the client's close answers the server's. */
		socket_drop(p);
		person_closed(p, ws->code);
	}
	gone(ws);
	free(m);
}

bool api_ws_send(struct api_ws *ws, char *text, size_t len)
{
	bool full =
		ws->queued_count >= API_WS_QUEUE_MAX || ws->queued_bytes + len > API_WS_MESSAGE_MAX;

	if (ws->closing || ws->ended || full) {
		sl_free(text);
		if (full)
			api_ws_close(ws, 1013, "messages are not read fast enough");
		return false;
	}
	ws->queued_bytes += len;
	ws->queued_count++;
	later(ws, &ws->down_us, read_down, text, len);
	sl_free(text);
	return true;
}

void api_ws_close(struct api_ws *ws, int code, const char *reason)
{
	(void)reason;
	if (ws->closing || ws->ended)
		return;
	ws->closing = true;
	ws->code = code;
	later(ws, &ws->down_us, read_down, NULL, 0);
}

/* ---- the rest of ws.h ---- */

struct sl_api *api_ws_api(const struct api_ws *ws)
{
	(void)ws;
	return world.api;
}

const struct sl_addr *api_ws_peer(const struct api_ws *ws)
{
	return &ws->peer;
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

void api_ws_wake(struct api_ws *ws)
{
	(void)ws;
}

/* No connection of http.c is upgraded here. */
const char *api_ws_accept(struct api_conn *c, int *status)
{
	(void)c;
	*status = 404;
	return "there are no sockets here";
}

int api_ws_callback(struct api_conn *c, int reason, const void *in, size_t len)
{
	(void)c;
	(void)reason;
	(void)in;
	(void)len;
	return 0;
}

bool api_ws_due(struct api_conn *c)
{
	(void)c;
	return false;
}

void api_ws_gone(struct api_conn *c)
{
	(void)c;
}

void api_ws_only(struct api_conn *c)
{
	api_problem(c, 426, "this path is a WebSocket");
}
