/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/rig.h"
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct rig rig;

void rig_init(void)
{
	static struct sl_config defaults;

	memset(&rig, 0, sizeof(rig));
	sl_config_defaults(&defaults);
	rig.conf.kurento = defaults.kurento;
	rig.conf.loops = 2;
	(void)sl_fmt(rig.conf.http.bind, SL_CONFIG_TEXT_MAX, "127.0.0.1");
	rig.conf.http.max_connections = 1000;
	rig.conf.http.max_per_address = 64;
	rig.conf.http.max_body = 65536;
	rig.conf.http.header_timeout_us = 5 * SL_SEC;
	rig.conf.http.body_timeout_us = 10 * SL_SEC;
	rig.conf.http.idle_timeout_us = 60 * SL_SEC;
	rig.conf.ice.lite = true;
	rig.conf.ice.timeout_us = 15 * SL_SEC;
	rig.conf.dtls.queue_us = 500 * SL_MS;
	rig.conf.dtls.active = true;
	rig.conf.rooms.auto_create = true;
	rig.conf.rooms.linger_us = 30 * SL_SEC;
	rig.conf.rooms.max = 16;
	rig.conf.rooms.max_participants = 16;
	rig.conf.limits.max_sessions = 64;
	rig.conf.limits.sdp_mlines = 256;
	rig.conf.publish.max_video_bps = 2500000;
}

int rig_start(void)
{
	int err;

	if (uv_loop_init(&rig.loop) != 0)
		return SL_ENOMEM;
	rig.loop_open = true;
	rig.rng = sl_test_rng(&rig.seed, 7);
	fake_core_init(&rig.core, &rig.loop);
	err = sl_api_new(&rig.conf, &rig.core, &rig.loop, &rig.rng, &rig.api, &rig.why);
	return err && sl_test_oom_fired() ? SL_ENOMEM : err;
}

static void stop(void)
{
	if (!rig.loop_open)
		return;
	sl_api_free(rig.api);
	rig.api = NULL;
	fake_core_fini(&rig.core);
	uv_run(&rig.loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&rig.loop) != 0)
		sl_test_failed(__FILE__, __LINE__, "the loop still has handles");
	rig.loop_open = false;
}

static void free_clients(void)
{
	while (rig.clients) {
		struct client *c = rig.clients;

		rig.clients = c->next;
		if (c->fd >= 0)
			close(c->fd);
		free(c->in);
		free(c);
	}
}

void rig_stop(void *unused)
{
	(void)unused;
	stop();
	free_clients();
}

void rig_turn(void)
{
	static unsigned turns;

	uv_run(&rig.loop, UV_RUN_NOWAIT);
	if (++turns % 16 ==
	    0) /* what comes over loopback is there at once; only timers want waiting for */
		usleep(100);
}

/* ================= the client ================= */

struct client *client_new_from(const char *ip, const char *to)
{
	struct sockaddr_in sa = {.sin_family = AF_INET}, from = {.sin_family = AF_INET};
	struct client *c = malloc(sizeof(*c));

	*c = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
			     .in = malloc(CLIENT_MAX)};
	c->next = rig.clients;
	rig.clients = c;
	c->in[0] = 0;
	sa.sin_port = htons(sl_api_port(rig.api));
	CHECK(inet_aton(to, &sa.sin_addr) && inet_aton(ip, &from.sin_addr));
	CHECK_EQ(bind(c->fd, (struct sockaddr *)&from, sizeof(from)), 0);
	CHECK_EQ(connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return c;
}

struct client *client_new(void)
{
	return client_new_from("127.0.0.1", "127.0.0.1");
}

void client_send(struct client *c, const char *text, size_t len)
{
	while (len > 0 && !c->closed) {
		ssize_t n = send(c->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN) {
			c->closed = !client_poll(c);
			return;
		}
		if (n < 0) {
			rig_turn();
			continue;
		}
		text += n;
		len -= (size_t)n;
	}
}

void client_say(struct client *c, const char *fmt, ...)
{
	static char text[CLIENT_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	CHECK(n >= 0 && (size_t)n < sizeof(text));
	client_send(c, text, (size_t)n);
}

bool client_poll(struct client *c)
{
	while (!c->closed) {
		ssize_t n = recv(c->fd, c->in + c->n, CLIENT_MAX - 1 - c->n, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			c->closed = true;
		else
			c->n += (size_t)n;
		c->in[c->n] = 0;
	}
	return false;
}

void client_close(struct client *c)
{
	close(c->fd);
	c->fd = -1;
	c->closed = true;
}

static struct answer answer;

const struct answer *client_answer(struct client *c)
{
	const char *end;

	RIG_UNTIL(!client_poll(c));
	memset(&answer, 0, offsetof(struct answer, body));
	answer.body_len = 0;
	answer.body[0] = 0;
	end = strstr(c->in, "\r\n\r\n");
	if (end && strncmp(c->in, "HTTP/1.1 ", 9) == 0) {
		CHECK((size_t)(end - c->in) + 4 < sizeof(answer.head));
		answer.status = (int)strtol(c->in + 9, NULL, 10);
		memcpy(answer.head, c->in, (size_t)(end - c->in) + 2);
		answer.body_len = c->n - (size_t)(end + 4 - c->in);
		memcpy(answer.body, end + 4, answer.body_len + 1);
	}
	if (sl_test_oom_fired() && (answer.status == 503 || answer.status == 0))
		sl_test_oom_stop();
	return &answer;
}

const struct answer *ask(const char *method, const char *path, const char *headers,
			 const char *body)
{
	struct client *c = client_new();
	bool has_length = *body || strcmp(method, "POST") == 0 || strcmp(method, "PATCH") == 0;
	char length[64] = "";

	if (has_length)
		(void)sl_fmt(length, sizeof(length), "Content-Length: %zu\r\n", strlen(body));
	client_say(c, "%s %s HTTP/1.1\r\n%s%s%s\r\n%s", method, path,
		   strstr(headers, "Host:") ? "" : "Host: 127.0.0.1\r\n", headers, length, body);
	return client_answer(c);
}

const char *answer_header(const struct answer *a, const char *name)
{
	static char value[2048];
	size_t n = strlen(name);

	value[0] = 0;
	for (const char *line = strstr(a->head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
		if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
			const char *end = strstr(line + 2, "\r\n");

			CHECK(end && (size_t)(end - line) - n - 4 < sizeof(value));
			memcpy(value, line + 2 + n + 2, (size_t)(end - line) - n - 4);
			value[(size_t)(end - line) - n - 4] = 0;
			return value;
		}
	return value;
}

int answer_headers(const struct answer *a, const char *name)
{
	size_t n = strlen(name);
	int count = 0;

	for (const char *line = strstr(a->head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
		count += strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':';
	return count;
}

bool own_address(char ip[64])
{
	struct ifaddrs *all, *i;
	bool found = false;

	if (getifaddrs(&all))
		return false;
	for (i = all; i && !found; i = i->ifa_next)
		if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET &&
		    (ntohl(((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr.s_addr) >> 24) !=
			    127)
			found = inet_ntop(AF_INET,
					  &((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr,
					  ip, 64) != NULL;
	freeifaddrs(all);
	return found;
}

/* ================= offers ================= */

static void media(struct sl_buf *b, const char *kind, int mid, const char *direction)
{
	bool video = strcmp(kind, "video") == 0;

	sl_buf_fmt(b, "m=%s 9 UDP/TLS/RTP/SAVPF %s\r\nc=IN IP4 0.0.0.0\r\n", kind,
		   video ? "96 97" : "111");
	sl_buf_z(b, "a=ice-ufrag:peer\r\na=ice-pwd:password-of-the-peer-22+\r\n");
	sl_buf_z(b, "a=candidate:1 1 udp 2130706431 192.0.2.77 5000 typ host\r\n");
	sl_buf_z(b, "a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"
		    "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\na=setup:actpass\r\n");
	sl_buf_fmt(b, "a=mid:%d\r\na=%s\r\na=rtcp-mux\r\na=rtcp-rsize\r\n", mid, direction);
	sl_buf_fmt(b, "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n");
	if (video)
		sl_buf_z(b, "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack "
			    "pli\r\na=rtcp-fb:96 goog-remb\r\n"
			    "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n");
	else
		sl_buf_z(b,
			 "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n");
	if (strcmp(direction, "sendonly") == 0)
		sl_buf_fmt(b, "a=ssrc:%d cname:peer\r\n", 1000 + mid);
}

const char *offer(const char *direction, int audio, int video)
{
	static char text[32768];
	struct sl_buf b = sl_buf(text, sizeof(text));

	sl_buf_z(&b, "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE");
	for (int i = 0; i < audio + video; i++)
		sl_buf_fmt(&b, " %d", i);
	sl_buf_z(&b, "\r\n");
	for (int i = 0; i < audio + video; i++)
		media(&b, i < audio ? "audio" : "video", i, direction);
	CHECK(!b.full);
	return text;
}

static void post(const char *path, const char *sdp, char *location, char *etag)
{
	const struct answer *a = ask("POST", path, SDP_HEADERS, sdp);

	CHECK_EQ(a->status, 201);
	CHECK(sl_fmt(location, 64, "%s", answer_header(a, "Location")));
	CHECK(sl_fmt(etag, 64, "%s", answer_header(a, "ETag")));
}

void publish(const char *path, char *location, char *etag)
{
	post(path, offer("sendonly", 1, 1), location, etag);
}

void play(const char *path, int audio, int video, char *location, char *etag)
{
	post(path, offer("recvonly", audio, video), location, etag);
}
