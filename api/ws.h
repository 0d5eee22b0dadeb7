/* SPDX-License-Identifier: Apache-2.0
 * api/ws.h — WebSockets, for the paths that speak them. ws.c hides the library; a user of this header sees text
 * messages, an orderly end, and a bounded queue.
 * Every socket is pinged each 20 s and ended when no pong came for 30 s. A message has at most 1 MiB in at most 64
 * fragments, else close 1009; more than 50 messages a second (bursts of 100, unless the path sets another rate) is
 * close 1008; binary is close 1003, unless the path takes it for text; what is not UTF-8 is close 1007. No extensions, no subprotocols (offering one is a 400).
 * The queue out holds at most 1,000 messages and 1 MiB: past that the socket is closed with 1013. Never blocks. */
#ifndef SL_API_WS_H
#define SL_API_WS_H
#include "api/api_int.h"

enum { API_WS_MESSAGE_MAX = 1 << 20, API_WS_FRAGMENTS_MAX = 64, API_WS_QUEUE_MAX = 1000 };

struct api_ws;
struct api_ws_ops {
	/* The upgrade is done; what was kept by accept is api_ws_data(). */
	void (*open)(struct api_ws *ws);
	void (*text)(struct api_ws *ws, const char *text, size_t len);
	/* May be NULL: the queue is empty, and the socket would take more. Called again after each send, and after
	 * api_ws_wake(). */
	void (*drained)(struct api_ws *ws);
	/* The last call for ws, for any reason; code is the peer's close code, or 0. */
	void (*closed)(struct api_ws *ws, int code);
	/* Before the upgrade, with the request (path, query, rights) already judged: NULL, or why not with *status.
	 * May keep something by api_ws_set_data(). closed() is called in any case once this has returned NULL. */
	const char *(*accept)(struct api_ws *ws, const struct api_request *req, int *status);
	/* For clients that were written for Kurento: binary messages are text as well, the token may also come as
	 * ?token=, and an upgrade without a key, which is how its health is asked for, gets 500. While half of the
	 * queue out is taken, or messages come too fast, nothing is read. */
	bool kurento;
};

struct sl_api *api_ws_api(const struct api_ws *ws);
const struct sl_addr *api_ws_peer(const struct api_ws *ws);
void *api_ws_data(const struct api_ws *ws);
void api_ws_set_data(struct api_ws *ws, void *data);
/* Within accept(). */
void api_ws_set_rate(struct api_ws *ws, uint32_t messages_per_s, uint32_t burst);
/* Queues a text message; the text is taken over (from sl_zalloc). False: the queue is full, or the socket is ending:
 * it is being closed, and closed() will come. */
bool api_ws_send(struct api_ws *ws, char *text, size_t len);
/* drained() is to be called when the socket can take something. */
void api_ws_wake(struct api_ws *ws);
/* Bytes queued and not yet taken by the system. */
size_t api_ws_queued(const struct api_ws *ws);
/* Sends what is queued, then a close frame (RFC 6455 section 7.4); reason has at most 120 bytes. */
void api_ws_close(struct api_ws *ws, int code, const char *reason);
/* Handler of a plain GET of such a path: 426. */
void api_ws_only(struct api_conn *c);

/* ---- for http.c ---- */
/* Asks the route's accept(); on NULL c->ws is there. */
const char *api_ws_accept(struct api_conn *c, int *status);
/* A callback of the library for an upgraded connection. */
int api_ws_callback(struct api_conn *c, int reason, const void *in, size_t len);
/* The connection's deadline: pings, or (false) it is to be cut. */
bool api_ws_due(struct api_conn *c);
/* The connection is gone. */
void api_ws_gone(struct api_conn *c);
#endif
