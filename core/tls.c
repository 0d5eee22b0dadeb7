/* SPDX-License-Identifier: Apache-2.0
 * core/tls.c — the thread that speaks TLS. Each stream has two descriptors: the connection to the
 * server, and our end of the socket pair whose other end a media loop has. Bytes go one way or the
 * other only when those before them have left, so what a stream holds is bounded, and a slow reader
 * slows its writer down. */
#include "core/tls.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/core.h"
#include "dtls/dtls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	STREAMS_MAX = 4096,
	CHUNK = 4096,
	EVENTS = 64,
	ROOTS_MAX = 1 << 20, /* bytes of PEM */
	HOST_MAX = 253,
};

struct chunk {
	size_t at, len;
	uint8_t bytes[CHUNK];
};

struct stream;
struct side { /* what epoll gives back */
	struct stream *stream;
	int fd;		 /* owned; -1: none */
	uint32_t events; /* that are waited for */
};

struct stream {
	struct sl_list in_streams; /* of fresh, streams or dead ones */
	struct sl_addr remote;
	char host[HOST_MAX + 1];
	bool verify;
	/* owned */
	struct side tcp, plain;
	struct sl_tls_client *tls;
	/* state */
	bool connected, server_over, loop_over, dead;
	struct chunk raw;      /* of the server, not yet taken by TLS */
	struct chunk down, up; /* plain text to the loop, and from it */
};

static struct {
	pthread_mutex_t lock;
	/* under the lock */
	struct sl_list fresh; /* to be taken over by the thread */
	pthread_t thread;
	bool running, stopping, verify, told;
	size_t count;
	int wake;
	/* the thread's own */
	struct sl_list streams, dead;
	struct sl_rng rng;
	struct sl_tls_roots *roots;
	int epoll;
} T = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = -1, .epoll = -1};

/* ---- the end of a stream ---- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void free_stream(struct stream *s)
{
	sl_list_del(&s->in_streams);
	sl_tls_client_free(s->tls);
	close_fd(&s->tcp.fd);
	close_fd(&s->plain.fd);
	sl_wipe(&s->down, sizeof(s->down));
	sl_wipe(&s->up, sizeof(s->up));
	sl_free(s);
	pthread_mutex_lock(&T.lock);
	T.count--;
	pthread_mutex_unlock(&T.lock);
}

/* It is freed when the present batch of events is done. why: NULL when the loop ended it. */
static void end(struct stream *s, const char *why)
{
	if (s->dead)
		return;
	s->dead = true;
	sl_list_del(&s->in_streams);
	sl_list_add(&T.dead, &s->in_streams);
	if (why)
		SL_LOG(WARN, ICE, "a TLS connection to a TURN server has ended",
		       SL_KA("server", &s->remote), SL_KS("why", why));
}

/* ---- authorities ---- */

static int read_roots(const char *path, char *text)
{
	FILE *f = path ? fopen(path, "rb") : NULL;
	size_t n = f ? fread(text, 1, ROOTS_MAX, f) : 0;

	if (f)
		fclose(f);
	return n ? sl_tls_roots_new(sl_str(text, n), &T.roots) : SL_ENOTFOUND;
}

static void load_roots(void)
{
	const char *const paths[] = {getenv("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt",
				     "/etc/pki/tls/certs/ca-bundle.crt"};
	char *text = sl_zalloc(ROOTS_MAX);

	for (size_t i = 0; text && !T.roots && i < SL_COUNT(paths); i++)
		if (read_roots(paths[i], text) != SL_OK)
			T.roots = NULL;
	sl_free(text);
}

/* ---- connecting ---- */

static void say_unverified(void)
{
	if (T.told)
		return;
	T.told = true;
	SL_LOG(INFO, ICE, "certificates of TURN servers are not checked",
	       SL_KS("mend", "set ice.turn_tls_verify"));
}

static int make_client(struct stream *s)
{
	struct sl_tls_client_conf conf = {.host = s->host, .rng = &T.rng};

	if (!s->verify) {
		say_unverified();
	} else {
		if (!T.roots)
			load_roots();
		if (!T.roots)
			return SL_ENOTFOUND;
		conf.roots = T.roots;
	}
	return sl_tls_client_new(&conf, &s->tls);
}

static int connect_tcp(struct stream *s)
{
	struct sockaddr_storage ss;
	unsigned len = sl_addr_to_sockaddr(&s->remote, &ss);
	int one = 1, fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	s->tcp.fd = fd;
	if (fd < 0)
		return errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		return errno;
	return 0;
}

static int watch(struct side *side, uint32_t events, int op)
{
	struct epoll_event ev = {.events = events, .data.ptr = side};

	side->events = events;
	return epoll_ctl(T.epoll, op, side->fd, &ev) < 0 ? errno : 0;
}

static void begin(struct stream *s)
{
	int err = make_client(s);

	if (err) {
		end(s, err == SL_ENOTFOUND ? "no file of authorities to check its certificate by"
					   : sl_strerror(err));
		return;
	}
	err = connect_tcp(s);
	if (!err)
		err = watch(&s->tcp, EPOLLOUT, EPOLL_CTL_ADD);
	if (!err)
		err = watch(&s->plain, 0, EPOLL_CTL_ADD);
	if (err)
		end(s, strerror(err));
}

static bool is_connected(struct stream *s)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (s->connected)
		return true;
	if (getsockopt(s->tcp.fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err) {
		end(s, strerror(err ? err : errno));
		return false;
	}
	s->connected = true;
	return true;
}

/* ---- bytes; each step says whether it moved any ---- */

/* Fills an empty chunk: false when nothing is there; *over at the end of the stream. */
static bool fill(struct chunk *c, int fd, bool *over)
{
	ssize_t n;

	if (c->len || *over)
		return false;
	n = recv(fd, c->bytes, CHUNK, MSG_DONTWAIT);
	if (n > 0) {
		c->at = 0;
		c->len = (size_t)n;
		return true;
	}
	*over = n == 0 || (errno != EAGAIN && errno != EINTR);
	return false;
}

static void taken(struct chunk *c, size_t n)
{
	c->at += n;
	c->len -= n;
}

static bool put(int fd, const void *data, size_t len, size_t *sent)
{
	ssize_t n = len ? send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

	*sent = n > 0 ? (size_t)n : 0;
	return n > 0;
}

static bool to_server(struct stream *s)
{
	const uint8_t *p;
	size_t n = sl_tls_client_pull(s->tls, 0, &p), sent;
	bool moved = put(s->tcp.fd, p, n, &sent);

	(void)sl_tls_client_pull(s->tls, sent, &p);
	return moved;
}

static bool from_server(struct stream *s)
{
	bool moved = fill(&s->raw, s->tcp.fd, &s->server_over);
	size_t n =
		s->raw.len ? sl_tls_client_recv(s->tls, s->raw.bytes + s->raw.at, s->raw.len) : 0;

	taken(&s->raw, n);
	return moved || n > 0;
}

static bool to_loop(struct stream *s)
{
	size_t sent;

	if (!s->down.len) {
		s->down.at = 0;
		s->down.len = sl_tls_client_read(s->tls, s->down.bytes, CHUNK);
	}
	put(s->plain.fd, s->down.bytes + s->down.at, s->down.len, &sent);
	taken(&s->down, sent);
	return sent > 0;
}

static bool from_loop(struct stream *s)
{
	size_t n;

	if (sl_tls_client_state(s->tls) != SL_TLS_CONNECTED)
		return false;
	fill(&s->up, s->plain.fd, &s->loop_over);
	n = s->up.len ? sl_tls_client_write(s->tls, s->up.bytes + s->up.at, s->up.len) : 0;
	taken(&s->up, n);
	return n > 0;
}

static void pump(struct stream *s)
{
	bool moved;

	do {
		moved = to_server(s);
		moved |= from_server(s);
		moved |= to_loop(s);
		moved |= from_loop(s);
	} while (moved);
}

/* ---- events ---- */

static void say_goodbye(struct stream *s)
{
	sl_tls_client_close(s->tls);
	to_server(s);
	end(s, NULL);
}

/* What the loop has no room for when the server ends is lost. */
static void judge(struct stream *s, bool loop_gone)
{
	enum sl_tls_state state = sl_tls_client_state(s->tls);

	if (state == SL_TLS_FAILED)
		end(s, sl_tls_client_why(s->tls));
	else if (loop_gone || (s->loop_over && !s->up.len))
		say_goodbye(s);
	else if (state == SL_TLS_CLOSED || s->server_over)
		end(s, "the server closed the connection");
}

static void set_events(struct stream *s)
{
	uint32_t tcp = s->raw.len ? 0 : EPOLLIN, plain = s->down.len ? EPOLLOUT : 0;
	const uint8_t *p;

	if (!s->connected || sl_tls_client_pull(s->tls, 0, &p) > 0)
		tcp |= EPOLLOUT;
	if (!s->up.len && sl_tls_client_state(s->tls) == SL_TLS_CONNECTED)
		plain |= EPOLLIN;
	if (tcp != s->tcp.events)
		watch(&s->tcp, tcp, EPOLL_CTL_MOD);
	if (plain != s->plain.events)
		watch(&s->plain, plain, EPOLL_CTL_MOD);
}

static void serve(struct side *side, uint32_t events)
{
	struct stream *s = side->stream;
	bool loop_gone = side == &s->plain && (events & (EPOLLHUP | EPOLLERR));

	if (s->dead)
		return;
	if (loop_gone && !s->connected) {
		end(s, NULL);
	} else if (is_connected(s)) {
		pump(s);
		judge(s, loop_gone);
	}
	if (!s->dead)
		set_events(s);
}

/* ---- the thread ---- */

static void move(struct sl_list *from, struct sl_list *to)
{
	while (!sl_list_empty(from)) {
		struct sl_list *l = from->next;

		sl_list_del(l);
		sl_list_add(to, l);
	}
}

/* False: the thread is to end. */
static bool take_fresh(void)
{
	struct sl_list fresh;
	uint64_t n;
	bool go_on;

	sl_list_init(&fresh);
	pthread_mutex_lock(&T.lock);
	if (read(T.wake, &n, sizeof(n)) > 0)
		move(&T.fresh, &fresh);
	go_on = !T.stopping;
	pthread_mutex_unlock(&T.lock);
	while (!sl_list_empty(&fresh)) {
		struct stream *s = SL_LIST_AT(fresh.next, struct stream, in_streams);

		sl_list_del(&s->in_streams);
		sl_list_add(&T.streams, &s->in_streams);
		begin(s);
	}
	return go_on;
}

static void bury(void)
{
	SL_LIST_EACH(l, tmp, &T.dead)
		free_stream(SL_LIST_AT(l, struct stream, in_streams));
}

static void *tls_main(void *arg)
{
	struct epoll_event events[EVENTS];
	bool go_on = true;

	(void)arg;
	pthread_setname_np(pthread_self(), "sluice-tls");
	while (go_on) {
		int n = epoll_wait(T.epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++)
			if (events[i].data.ptr)
				serve(events[i].data.ptr, events[i].events);
		go_on = take_fresh();
		bury();
	}
	move(&T.streams, &T.dead);
	bury();
	return NULL;
}

/* ---- from outside ---- */

static void release(void)
{
	close_fd(&T.wake);
	close_fd(&T.epoll);
	sl_rng_system_free(&T.rng);
	sl_tls_roots_free(T.roots);
	T.roots = NULL;
	T.running = T.stopping = false;
}

static int start(void)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int err = sl_rng_system_new(&T.rng);

	sl_list_init(&T.fresh);
	sl_list_init(&T.streams);
	sl_list_init(&T.dead);
	T.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	T.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!err &&
	    (T.wake < 0 || T.epoll < 0 || epoll_ctl(T.epoll, EPOLL_CTL_ADD, T.wake, &ev) < 0 ||
	     pthread_create(&T.thread, NULL, tls_main, NULL)))
		err = SL_EIO;
	T.running = !err;
	if (err)
		release();
	return err;
}

static int make_stream(const struct sl_addr *remote, const char *host, struct stream **out,
		       int *plain_end)
{
	struct stream *s = sl_zalloc(sizeof(*s));
	int fd[2];

	if (!s)
		return SL_ENOMEM;
	if (!sl_str_copy(s->host, sizeof(s->host), sl_str_z(host))) {
		sl_free(s);
		return SL_ERANGE; /* T46 */
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0) {
		sl_free(s);
		return SL_EIO;
	}
	s->remote = *remote;
	s->verify = T.verify;
	s->tcp = (struct side){.stream = s, .fd = -1};
	s->plain = (struct side){.stream = s, .fd = fd[0]};
	*out = s;
	*plain_end = fd[1];
	return SL_OK;
}

static int hand_over(const struct sl_addr *remote, const char *host)
{
	const uint64_t one = 1;
	struct stream *s = NULL;
	int fd = -1;
	int err = T.running ? SL_OK : start();

	if (!err && T.count >= STREAMS_MAX)
		err = SL_EFULL;
	if (!err)
		err = make_stream(remote, host, &s, &fd);
	if (err)
		return err;
	T.count++;
	sl_list_add(&T.fresh, &s->in_streams);
	(void)!write(T.wake, &one, sizeof(one));
	return fd;
}

int sl_tls_stream(const struct sl_addr *remote, const char *host, struct sl_core_why *why)
{
	int fd;

	pthread_mutex_lock(&T.lock);
	fd = hand_over(remote, host);
	pthread_mutex_unlock(&T.lock);
	if (fd < 0)
		sl_fmt(why->text, sizeof(why->text), "cannot open a TLS stream: %s",
		       sl_strerror(fd));
	return fd;
}

void sl_tls_set_verify(bool verify)
{
	pthread_mutex_lock(&T.lock);
	T.verify = verify;
	pthread_mutex_unlock(&T.lock);
}

void sl_tls_stop(void)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&T.lock);
	T.stopping = T.running;
	if (T.running)
		(void)!write(T.wake, &one, sizeof(one));
	pthread_mutex_unlock(&T.lock);
	if (!T.stopping)
		return;
	pthread_join(T.thread, NULL);
	release();
}
