/* SPDX-License-Identifier: Apache-2.0
 * tests/api/wsclient.h — a WebSocket client over a client of the rig, that may say what it must not. */
#ifndef SL_API_WSCLIENT_H
#define SL_API_WSCLIENT_H
#include "tests/api/rig.h"

enum { WS_CONT = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10, WS_FIN = 0x80 };
#define WS_HEADERS                                                                \
	"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"               \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

struct wsclient {
	struct client *c;
	size_t at;              /* what was taken of c->in */
};
struct ws_frame {
	uint8_t first;          /* FIN, and the opcode */
	char *data;             /* NUL-terminated; valid until the next frame is taken */
	size_t len;
	int code;               /* of a close; 0 when it has none */
};

/* Upgraded, or the test fails (or a run whose allocation failed ends). headers: more lines, or "". */
struct wsclient ws_open(const char *path, const char *headers);
/* A masked frame. */
void ws_send(struct wsclient *w, uint8_t first, const void *data, size_t len);
void ws_text(struct wsclient *w, const char *text);
/* Is a whole frame there? */
bool ws_ready(struct wsclient *w);
/* The next frame; pings of the server are answered and left out. False: the server closed without. */
bool ws_next(struct wsclient *w, struct ws_frame *f);
/* The next message, which must be one. */
const char *ws_message(struct wsclient *w);
/* Takes frames until the close frame; its code. 0: closed without one. */
int ws_close_code(struct wsclient *w);
#endif
