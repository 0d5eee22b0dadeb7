/* SPDX-License-Identifier: Apache-2.0
 * api/listen.c — accepts connections, bounds their number, and cuts those that dawdle.
 * A full table makes room by closing the oldest connection that has got no further than its
 * request's head, so that no flood of slow ones keeps others out, and nobody waits for an age
 * limit. */
#include "api/api_int.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPT_BATCH = 16, BACKLOG = 511 };

static void sniff_start(struct api_conn *c);

/* ================= deadlines ================= */

static void on_sweep(uv_timer_t *t);

static void arm_sweep(struct sl_api *api, int64_t at_us)
{
	int64_t in_ms = (at_us - api_now_us(api) + SL_MS - 1) / SL_MS;

	api->sweep_us = at_us;
	uv_timer_start(&api->sweep, on_sweep, (uint64_t)SL_MAX(in_ms, 0), 0);
}

void api_conn_deadline(struct api_conn *c, int64_t at_us)
{
	c->deadline_us = at_us;
	if (at_us < c->api->sweep_us && !c->api->freeing)
		arm_sweep(c->api, at_us);
}

static void kill_conn(struct api_conn *c)
{
	struct sl_api *api = c->api;

	if (c->link.next && !sl_list_empty(&c->link))
		api->conn_count--;
	sl_list_del(&c->link);
	if (c->wsi)
		api_http_kill(c);
	else if (c->sniffing)
		api_conn_free(c);
}

static void on_sweep(uv_timer_t *t)
{
	struct sl_api *api = t->data;
	int64_t now_us = api_now_us(api), next_us = SL_NEVER;

	api->sweep_us = SL_NEVER;
	SL_LIST_EACH(it, tmp, &api->conns) {
		struct api_conn *c = SL_LIST_AT(it, struct api_conn, link);

		if (c->deadline_us <= now_us)
			api_http_due(c);
		if (c->deadline_us > now_us) {
			next_us = SL_MIN(next_us, c->deadline_us);
			continue;
		}
		SL_LOG(DEBUG, HTTP, "connection cut: too slow", SL_KA("peer", &c->peer),
		       SL_KI("state", c->state));
		kill_conn(c);
	}
	if (next_us != SL_NEVER)
		arm_sweep(api, next_us);
}

/* ================= room in the table ================= */

/* How readily a connection is given up: the higher the sooner; 0 never. */
static int worth_less(const struct api_conn *c)
{
	static const int by_state[] = {
		[CONN_SNIFF] = 3, [CONN_HEAD] = 3,   [CONN_BODY] = 2,	[CONN_WAIT] = 0,
		[CONN_WS] = 0,	  [CONN_STREAM] = 0, [CONN_ANSWER] = 1, [CONN_DYING] = 4,
	};

	return c->req.authorized ? 0 : by_state[c->state];
}

/* Closes the oldest of those worth least, of one address or (NULL) of any. False: all have got
 * further. */
static bool evict(struct sl_api *api, const struct sl_addr *from)
{
	struct api_conn *victim = NULL;

	SL_LIST_EACH(it, tmp, &api->conns) {
		struct api_conn *c = SL_LIST_AT(it, struct api_conn, link);

		if (from && (!c->counted || memcmp(c->peer.ip, from->ip, sizeof(from->ip)) != 0))
			continue;
		if (worth_less(c) > (victim ? worth_less(victim) : 0))
			victim = c;
	}
	if (!victim)
		return false;
	api->evicted_conns++;
	SL_LOG(DEBUG, HTTP, "connection closed to make room", SL_KA("peer", &victim->peer),
	       SL_KI("state", victim->state));
	kill_conn(victim);
	return true;
}

static uint32_t count_from(const struct sl_api *api, const struct sl_addr *from)
{
	uint32_t n = 0;

	SL_LIST_EACH(it, tmp, &api->conns) {
		const struct api_conn *c = SL_LIST_AT(it, struct api_conn, link);

		n += c->counted && memcmp(c->peer.ip, from->ip, sizeof(from->ip)) == 0;
	}
	return n;
}

static bool is_proxy(const struct sl_config *conf, const struct sl_addr *peer)
{
	char ip[SL_ADDR_TEXT];

	sl_addr_ip_text(peer, ip);
	for (size_t i = 0; i < conf->http.proxies.n; i++)
		if (strcmp(conf->http.proxies.at[i], ip) == 0)
			return true;
	return false;
}

static bool make_room(struct sl_api *api, const struct api_conn *c)
{
	const struct sl_config *conf = api->conf;
	/* A twentieth of the table is kept for this machine itself. */
	uint32_t max = c->local ? conf->http.max_connections
				: conf->http.max_connections - conf->http.max_connections / 20;

	if (c->counted && count_from(api, &c->peer) >= conf->http.max_per_address &&
	    !evict(api, &c->peer))
		return false;
	return api->conn_count < max || evict(api, NULL);
}

/* ================= accepting ================= */

/* Said without reading and without the library. Where TLS is spoken it would not be understood. */
static void refuse(struct sl_api *api, int fd)
{
	static const char text[] =
		"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
		"Content-Length: 115\r\nConnection: close\r\nRetry-After: 1\r\n\r\n"
		"{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
		"\"detail\":\"too many connections: try again later\"}\n";

	api->refused_conns++;
	if (!api->conf->http.cert[0])
		(void)!send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static void admit(struct sl_api *api, int fd, const struct sl_addr *peer)
{
	struct api_conn *c = sl_zalloc(sizeof(*c));
	int one = 1;

	if (!c) {
		refuse(api, fd);
		return;
	}
	c->api = api;
	c->fd = fd;
	c->peer = *peer;
	c->local = sl_addr_is_loopback(peer);
	c->counted = !c->local && !is_proxy(api->conf, peer);
	if (!make_room(api, c)) {
		sl_free(c);
		refuse(api, fd);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	sl_list_add(&api->conns, &c->link);
	api->conn_count++;
	c->since_us = api_now_us(api);
	api_conn_deadline(c, c->since_us + api->conf->http.header_timeout_us);
	if (api->tls)
		sniff_start(c);
	else
		api_http_adopt(c);
}

/* Out of descriptors: the spare one is given up for as long as it takes to say so. */
static bool refuse_with_spare(struct sl_api *api)
{
	int fd;

	close(api->spare_fd);
	fd = accept4(api->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		refuse(api, fd);
	api->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd >= 0;
}

static void on_connection(uv_poll_t *p, int status, int events);

static void on_rearm(uv_timer_t *t)
{
	struct sl_api *api = t->data;

	uv_poll_start(&api->listener, UV_READABLE, on_connection);
}

static void on_connection(uv_poll_t *p, int status, int events)
{
	struct sl_api *api = p->data;
	struct sockaddr_storage sa;
	struct sl_addr peer;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		socklen_t len = sizeof(sa);
		int fd = accept4(api->listen_fd, (struct sockaddr *)&sa, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0 && sl_addr_from_sockaddr((struct sockaddr *)&sa, &peer) == SL_OK) {
			admit(api, fd, &peer);
			continue;
		}
		if (fd >= 0) {
			close(fd);
			continue;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		if ((errno == EMFILE || errno == ENFILE) && api->spare_fd >= 0 &&
		    refuse_with_spare(api))
			continue;
		if (errno == ECONNABORTED || errno == EINTR)
			continue;
		/* No spare, no memory: look again a little later instead of spinning. */
		if (api->spare_fd < 0)
			api->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		uv_poll_stop(&api->listener);
		uv_timer_start(&api->rearm, on_rearm, 20, 0);
		return;
	}
}

/* ================= TLS or not: the first byte ================= */

static void on_sniff_closed(uv_handle_t *h)
{
	struct api_conn *c = h->data;

	c->api->handles--;
	c->sniffing = false;
	if (c->fd < 0 || c->gone)
		api_conn_free(c);
	else
		api_http_adopt(c);
}

static void on_first_byte(uv_poll_t *p, int status, int events)
{
	struct api_conn *c = p->data;
	uint8_t byte = 0;
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR) && status == 0)
		return;
	c->gone = n != 1;
	c->tls = byte == 0x16; /* RFC 8446 section 5.1: a handshake record */
	uv_close((uv_handle_t *)p, on_sniff_closed);
}

static void sniff_start(struct api_conn *c)
{
	c->state = CONN_SNIFF;
	c->sniff.data = c;
	if (uv_poll_init(c->api->loop, &c->sniff, c->fd) != 0) {
		api_conn_free(c);
		return;
	}
	c->sniffing = true;
	c->api->handles++;
	uv_poll_start(&c->sniff, UV_READABLE, on_first_byte);
}

/* When nobody else holds it any more; a handle that is still open is closed first. */
void api_conn_free(struct api_conn *c)
{
	if (c->link.next && !sl_list_empty(&c->link))
		c->api->conn_count--;
	sl_list_del(&c->link);
	if (c->sniffing) {
		c->gone = true;
		if (!uv_is_closing((uv_handle_t *)&c->sniff))
			uv_close((uv_handle_t *)&c->sniff, on_sniff_closed);
		return;
	}
	if (c->fd >= 0)
		close(c->fd);
	if (c->op)
		c->op->conn = NULL;
	sl_free(c->req.body);
	sl_free(c->res.owned);
	sl_free(c);
}

/* ================= the listener ================= */

static int open_socket(struct sl_api *api, struct sl_core_why *why)
{
	const struct sl_config *conf = api->conf;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct sl_addr a;
	int one = 1;

	if (sl_addr_parse_ip(sl_str_z(conf->http.bind), &a) != SL_OK) {
		(void)sl_fmt(why->text, sizeof(why->text), "http.bind: %s is no address",
			     conf->http.bind);
		return SL_EIO;
	}
	a.port = (uint16_t)conf->http.port;
	len = sl_addr_to_sockaddr(&a, &sa);
	api->listen_fd = socket(a.family == 6 ? AF_INET6 : AF_INET,
				SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (api->listen_fd >= 0)
		(void)setsockopt(api->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (api->listen_fd < 0 || bind(api->listen_fd, (struct sockaddr *)&sa, len) ||
	    listen(api->listen_fd, BACKLOG)) {
		(void)sl_fmt(why->text, sizeof(why->text),
			     "cannot listen on http.bind %s, http.port %u: %s", conf->http.bind,
			     (unsigned)conf->http.port, strerror(errno));
		return SL_EIO;
	}
	len = sizeof(sa);
	if (getsockname(api->listen_fd, (struct sockaddr *)&sa, &len) ||
	    sl_addr_from_sockaddr((struct sockaddr *)&sa, &a))
		return SL_EIO;
	api->port = a.port;
	return SL_OK;
}

static void init_timer(struct sl_api *api, uv_timer_t *t)
{
	uv_timer_init(api->loop, t);
	t->data = api;
	api->handles++;
}

int api_listen_new(struct sl_api *api, struct sl_core_why *why)
{
	int err = open_socket(api, why);

	if (err)
		return err;
	api->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	init_timer(api, &api->sweep);
	init_timer(api, &api->rearm);
	if (uv_poll_init(api->loop, &api->listener, api->listen_fd) != 0)
		return SL_ENOMEM;
	api->listener.data = api;
	api->handles++;
	uv_poll_start(&api->listener, UV_READABLE, on_connection);
	return SL_OK;
}

static void on_closed(uv_handle_t *h)
{
	struct sl_api *api = h->data;

	api->handles--;
}

void api_listen_free(struct sl_api *api)
{
	uv_handle_t *all[] = {(uv_handle_t *)&api->listener, (uv_handle_t *)&api->sweep,
			      (uv_handle_t *)&api->rearm, (uv_handle_t *)&api->tick};

	for (size_t i = 0; i < SL_COUNT(all); i++)
		if (all[i]->data && !uv_is_closing(all[i]))
			uv_close(all[i], on_closed);
	SL_LIST_EACH(it, tmp, &api->conns) {
		struct api_conn *c = SL_LIST_AT(it, struct api_conn, link);

		if (!c->wsi)
			api_conn_free(c);
	}
	if (api->listen_fd >= 0)
		close(api->listen_fd);
	if (api->spare_fd >= 0)
		close(api->spare_fd);
	api->listen_fd = api->spare_fd = -1;
}
