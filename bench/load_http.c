/* SPDX-License-Identifier: Apache-2.0
 * bench/load_http.c — HTTP requests, one per connection, without waiting for any. Just what the
 * servers under test send: Content-Length, or all until the end. */
#include "bench/load.h"
#include "core/base/mem.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { ANSWER_MAX = 4 * LOAD_TEXT };

struct load_http {
	struct load_watch watch;
	load_http_done done;
	void *arg;
	size_t out_len, out_at, in_len;
	char *out, *in;
};

static void finish(struct load_http *h, int status, const char *head, const char *body, size_t len)
{
	close(h->watch.fd);
	h->done(h->arg, status, head, body, len);
	sl_free(h->out);
	sl_free(h->in);
	sl_free(h);
}

static int connect_to(const struct load_conf *c, int *fd)
{
	struct sl_addr a;
	struct sockaddr_storage sa;
	socklen_t len;

	if (sl_addr_parse_ip(sl_str_z(c->host), &a) < 0)
		return SL_EPARSE;
	a.port = c->port;
	len = sl_addr_to_sockaddr(&a, &sa);
	*fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return SL_EIO;
	if (connect(*fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS) {
		close(*fd);
		return SL_EIO;
	}
	return SL_OK;
}

static bool write_request(struct load_http *h, const struct load_conf *c, const char *method,
			  const char *path, const char *extra, const char *body)
{
	struct sl_buf b = sl_buf(h->out, LOAD_TEXT + 2048);

	/* Asked by 1.0, libmicrohttpd answers without chunks. */
	sl_buf_fmt(&b, "%s %s HTTP/1.%d\r\nHost: %s:%u\r\nConnection: close\r\n", method, path,
		   c->server != LOAD_JANUS, c->host, c->port);
	if (c->token[0])
		sl_buf_fmt(&b, "Authorization: Bearer %s\r\n", c->token);
	sl_buf_fmt(&b, "%sContent-Length: %zu\r\n\r\n%s", extra, strlen(body), body);
	h->out_len = b.n;
	return !b.full;
}

int load_http_ask(struct load *l, const char *method, const char *path, const char *extra,
		  const char *body, load_http_done done, void *arg)
{
	struct load_http *h = sl_zalloc(sizeof(*h));
	int err = h ? SL_OK : SL_ENOMEM;
	int fd = -1;

	if (!err) {
		h->done = done;
		h->arg = arg;
		h->out = sl_zalloc(LOAD_TEXT + 2048);
		h->in = sl_zalloc(ANSWER_MAX + 1);
		err = h->out && h->in ? SL_OK : SL_ENOMEM;
	}
	if (!err && !write_request(h, &l->conf, method, path, extra, body))
		err = SL_EFULL;
	if (!err)
		err = connect_to(&l->conf, &fd);
	if (!err)
		err = load_watch(l, &h->watch, LOAD_HTTP, fd, EPOLLIN | EPOLLOUT | EPOLLET);
	if (err && h) {
		if (fd >= 0)
			close(fd);
		sl_free(h->out);
		sl_free(h->in);
		sl_free(h);
	}
	return err;
}

struct sl_str load_http_header(const char *head, const char *name)
{
	struct sl_str all = sl_str_z(head);

	while (all.n > 0) {
		struct sl_str value = sl_str_cut(&all, '\n');
		struct sl_str key = sl_str_cut(&value, ':');

		while (value.n > 0 && (value.p[value.n - 1] == '\r'))
			value.n--;
		if (sl_str_ieq(key, sl_str_z(name)))
			return sl_str_trim(value);
	}
	return sl_str(NULL, 0);
}

/* The whole answer, once it is there. False: not yet. */
static bool complete(struct load_http *h, bool ended)
{
	char *end = strstr(h->in, "\r\n\r\n");
	uint32_t status = 0;
	uint64_t want = UINT64_MAX;
	struct sl_str line = sl_str_z(h->in);
	size_t len;

	if (!end && !ended)
		return false;
	if (!end) {
		finish(h, 0, "", "", 0);
		return true;
	}
	end[2] = 0;
	len = h->in_len - (size_t)(end + 4 - h->in);
	if (sl_str_u64(load_http_header(h->in, "Content-Length"), ANSWER_MAX, &want) ? len < want
										     : !ended) {
		end[2] = '\r';
		if (!ended)
			return false;
	}
	sl_str_cut(&line, ' ');
	if (!sl_str_u32(sl_str_cut(&line, ' '), 999, &status))
		status = 0;
	finish(h, (int)status, h->in, end + 4, len);
	return true;
}

static bool write_more(struct load_http *h)
{
	while (h->out_at < h->out_len) {
		ssize_t n =
			send(h->watch.fd, h->out + h->out_at, h->out_len - h->out_at, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == ENOTCONN || errno == EINTR;
		h->out_at += (size_t)n;
	}
	return true;
}

void load_http_event(struct load *l, struct load_watch *w)
{
	struct load_http *h = SL_CONTAINER(w, struct load_http, watch);

	(void)l;
	if (!write_more(h)) {
		finish(h, 0, "", "", 0);
		return;
	}
	for (;;) {
		ssize_t n = recv(w->fd, h->in + h->in_len, ANSWER_MAX - h->in_len, 0);

		if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) {
			complete(h, false);
			return;
		}
		if (n > 0)
			h->in_len += (size_t)n;
		h->in[h->in_len] = 0;
		if (n <= 0 || h->in_len == ANSWER_MAX) {
			complete(h, true);
			return;
		}
	}
}
