/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/wsclient.h"
#include <stdlib.h>

struct wsclient ws_open(const char *path, const char *headers)
{
	struct wsclient w = {.c = client_new()};

	client_say(w.c, "GET %s HTTP/1.1\r\n%s" WS_HEADERS "%s\r\n", path,
		   strstr(headers, "Host:") ? "" : "Host: 127.0.0.1\r\n", headers);
	RIG_UNTIL(!client_poll(w.c) || strstr(w.c->in, "\r\n\r\n"));
	if (sl_test_oom_fired() && strncmp(w.c->in, "HTTP/1.1 101", 12) != 0)
		sl_test_oom_stop();
	if (strncmp(w.c->in, "HTTP/1.1 101", 12) != 0)
		sl_test_failed(__FILE__, __LINE__, "%s: not upgraded: %.200s", path, w.c->in);
	CHECK(strcasestr(w.c->in, "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	CHECK(!strcasestr(w.c->in, "sec-websocket-extensions"));
	w.at = (size_t)(strstr(w.c->in, "\r\n\r\n") - w.c->in) + 4;
	return w;
}

void ws_send(struct wsclient *w, uint8_t first, const void *data, size_t len)
{
	static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
	size_t n = len < 126 ? 2 : len < 65536 ? 4 : 10;
	uint8_t *out = malloc(n + 4 + len);

	out[0] = first;
	out[1] = (uint8_t)(0x80 | (n == 2 ? len : n == 4 ? 126 : 127));
	for (size_t i = 2; i < n; i++)
		out[i] = (uint8_t)(len >> 8 * (n - 1 - i));
	memcpy(out + n, mask, 4);
	for (size_t i = 0; i < len; i++)
		out[n + 4 + i] = ((const uint8_t *)data)[i] ^ mask[i & 3];
	client_send(w->c, (char *)out, n + 4 + len);
	free(out);
}

void ws_text(struct wsclient *w, const char *text)
{
	ws_send(w, WS_FIN | WS_TEXT, text, strlen(text));
}

/* Bytes of the header, 0 when not all of the frame is there. A server must not mask (RFC 6455
 * section 5.1). */
static size_t frame_head(const struct wsclient *w, size_t *len)
{
	const uint8_t *p = (const uint8_t *)w->c->in + w->at;
	size_t have = w->c->n - w->at, head;

	if (have < 2)
		return 0;
	CHECK(!(p[1] & 0x80));
	CHECK(!(p[0] & 0x70));
	head = p[1] < 126 ? 2 : p[1] == 126 ? 4 : 10;
	if (have < head)
		return 0;
	*len = p[1] < 126 ? p[1] : 0;
	for (size_t i = 2; i < head; i++)
		*len = *len << 8 | p[i];
	return have >= head + *len ? head : 0;
}

/* What was taken makes room. */
static void shift(struct wsclient *w)
{
	memmove(w->c->in, w->c->in + w->at, w->c->n - w->at);
	w->c->n -= w->at;
	w->c->in[w->c->n] = 0;
	w->at = 0;
}

bool ws_ready(struct wsclient *w)
{
	size_t len;

	if (w->at > CLIENT_MAX / 4)
		shift(w);
	client_poll(w->c);
	return frame_head(w, &len) > 0;
}

static bool take(struct wsclient *w, struct ws_frame *f)
{
	static char data[CLIENT_MAX];
	size_t len, head;
	bool ready = false;

	RIG_UNTIL((ready = ws_ready(w)) || w->c->closed);
	if (!ready && sl_test_oom_fired())
		sl_test_oom_stop();
	if (!ready)
		return false;
	head = frame_head(w, &len);
	CHECK(len < sizeof(data));
	memcpy(data, w->c->in + w->at + head, len);
	data[len] = 0;
	*f = (struct ws_frame){.first = (uint8_t)w->c->in[w->at], .data = data, .len = len};
	if ((f->first & 15) == WS_CLOSE && len >= 2) {
		f->code = (uint8_t)data[0] << 8 | (uint8_t)data[1];
		f->data += 2;
	}
	w->at += head + len;
	return true;
}

bool ws_next(struct wsclient *w, struct ws_frame *f)
{
	for (;;) {
		if (!take(w, f))
			return false;
		if ((f->first & 15) != WS_PING)
			return true;
		ws_send(w, WS_FIN | WS_PONG, f->data, f->len);
	}
}

const char *ws_message(struct wsclient *w)
{
	struct ws_frame f;

	if (!ws_next(w, &f))
		sl_test_failed(__FILE__, __LINE__, "the server closed");
	if (f.first != (WS_FIN | WS_TEXT) && sl_test_oom_fired())
		sl_test_oom_stop();
	if (f.first != (WS_FIN | WS_TEXT))
		sl_test_failed(__FILE__, __LINE__, "no message: frame %02x, code %d %s", f.first,
			       f.code, f.data);
	return f.data;
}

int ws_close_code(struct wsclient *w)
{
	struct ws_frame f;

	while (ws_next(w, &f))
		if ((f.first & 15) == WS_CLOSE)
			return f.code;
	return 0;
}
