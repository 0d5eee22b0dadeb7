/* SPDX-License-Identifier: Apache-2.0
 * core/tcp.c — streams that carry datagrams in frames (ice/frame.h), and the sockets that listen
 * for them. A stream never holds more than QUEUE bytes back: media that does not fit is dropped, as
 * a full link would. A connection that came in belongs to nobody until an authenticated check names
 * a transport; the oldest of these goes when there are too many, or when its time is over. */
#include "core/loop_int.h"
#include "core/tls.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	QUEUE = 65536,
	UNSENT = 32768,
	READ = 16384,
	READS_PER_WAKE = 4,
	BACKLOG = 64,
	STRANGERS_MAX = 256,
	ACCEPTS_PER_WAKE = 16,
	PAUSE_MS = 1000,
	FRAMES = SL_RUN_PKTS,
	PARTS = 3 /* of a frame: head, datagram, padding */
};

struct sl_stream {
	struct sl_frame frame; /* what has come of the next one */
	struct sl_addr remote; /* as in sl_path */
	bool connecting;
	/* waiting to be sent; owned, NULL while nothing does */
	uint8_t *queue;
	size_t queued;
	/* while a stranger */
	struct sl_list in_strangers;
	struct sl_socket *s;
	int64_t deadline_us;
};

void sl_stream_free(struct sl_stream *st)
{
	if (st)
		sl_free(st->queue);
	sl_free(st);
}

/* ---- sending ---- */

static void on_stream(uv_poll_t *poll, int status, int events);

static void poll_for(struct sl_socket *s)
{
	bool writes = s->stream->connecting || s->stream->queued > 0;

	if (!s->closed)
		SL_ASSERT(uv_poll_start(&s->poll, writes ? UV_READABLE | UV_WRITABLE : UV_READABLE,
					on_stream) == 0);
}

/* A frame that is half out can neither be finished nor taken back: the other side has to begin
 * anew. We hear of it as of any end. */
static void give_up(struct sl_socket *s)
{
	shutdown(s->udp.fd, SHUT_RDWR);
}

static ssize_t write_some(struct sl_socket *s, struct iovec *iov, int n)
{
	struct msghdr h = {.msg_iov = iov, .msg_iovlen = (size_t)n};
	ssize_t did;

	if (s->stream->connecting || s->stream->queued > 0)
		return 0;
	do
		did = sendmsg(s->udp.fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (did < 0 && errno == EINTR);
	return SL_MAX(did, 0);
}

static bool has_room(struct sl_stream *st, size_t len)
{
	if (!st->queue)
		st->queue = sl_zalloc(QUEUE);
	return st->queue && QUEUE - st->queued >= len;
}

/* Puts off a frame of which `sent` bytes are out. */
static bool put_off(struct sl_socket *s, const struct iovec *parts, size_t len, size_t sent)
{
	struct sl_stream *st = s->stream;

	if (!has_room(st, len - sent)) {
		if (sent > 0)
			give_up(s);
		return false;
	}
	for (int i = 0; i < PARTS; i++) {
		size_t skip = SL_MIN(sent, parts[i].iov_len);
		size_t rest = parts[i].iov_len - skip;

		if (rest > 0)
			memcpy(st->queue + st->queued, (uint8_t *)parts[i].iov_base + skip, rest);
		st->queued += rest;
		sent -= skip;
	}
	return true;
}

struct frames {
	struct iovec parts[FRAMES * PARTS];
	uint8_t heads[FRAMES][SL_FRAME_HEAD];
	int n;
};

static void add_frame(struct frames *f, enum sl_framing framing, const struct iovec *pkt)
{
	static uint8_t zeros[SL_FRAME_PAD];
	struct iovec *parts = &f->parts[f->n * PARTS];
	int head = sl_frame_head(framing, pkt->iov_len, f->heads[f->n]);

	if (head < 0)
		return;
	parts[0] = (struct iovec){.iov_base = f->heads[f->n], .iov_len = (size_t)head};
	parts[1] = *pkt;
	parts[2] = (struct iovec){
		.iov_base = zeros,
		.iov_len = sl_frame_pad(framing, *(uint8_t *)pkt->iov_base, pkt->iov_len)};
	f->n++;
}

/* Returns how many went out or wait. */
static int write_frames(struct sl_socket *s, struct frames *f)
{
	size_t sent = (size_t)write_some(s, f->parts, f->n * PARTS);
	int done = 0;

	for (int i = 0; i < f->n; i++) {
		const struct iovec *parts = &f->parts[i * PARTS];
		size_t len = parts[0].iov_len + parts[1].iov_len + parts[2].iov_len;
		size_t part = SL_MIN(sent, len);

		done += part == len || put_off(s, parts, len, part);
		sent -= part;
	}
	return done;
}

int sl_stream_send(struct sl_socket *s, const struct sl_run *runs, int n)
{
	struct frames f = {.n = 0};
	bool waited = s->stream->queued > 0;
	int done = 0;

	for (int i = 0; i < n; i++)
		for (int k = 0; k < runs[i].count; k++) {
			add_frame(&f, s->stream->frame.framing, &runs[i].pkts[k]);
			if (f.n < FRAMES)
				continue;
			done += write_frames(s, &f);
			f.n = 0;
		}
	if (f.n > 0)
		done += write_frames(s, &f);
	if (!waited && s->stream->queued > 0)
		poll_for(s);
	return done;
}

static void drain_queue(struct sl_socket *s)
{
	struct sl_stream *st = s->stream;
	ssize_t did = st->queued > 0
			      ? send(s->udp.fd, st->queue, st->queued, MSG_DONTWAIT | MSG_NOSIGNAL)
			      : 0;

	if (did > 0) {
		memmove(st->queue, st->queue + did, st->queued - (size_t)did);
		st->queued -= (size_t)did;
	}
	if (st->queued == 0) {
		sl_free(st->queue);
		st->queue = NULL;
	}
}

/* ---- receiving ---- */

static void lost(struct sl_socket *s, const char *why, int64_t now_us)
{
	if (s->closed)
		return;
	if (s->udp.owner)
		sl_engine_sock_lost(&s->loop->engine, s->udp.owner, s->udp.index, why, now_us);
	sl_loop_sock_close(s->loop, s->udp.index);
}

static void hand_over(struct sl_socket *s, const uint8_t *data, size_t len, int64_t now_us)
{
	struct sl_in in = {.path = {.remote = s->stream->remote, .sock = s->udp.index},
			   .owner = s->udp.owner,
			   .data = (uint8_t *)(uintptr_t)data,
			   .len = len,
			   .rx_us = now_us};

	sl_engine_recv(&s->loop->engine, &in, 1, now_us);
}

static void take_frames(struct sl_socket *s, uint8_t *data, size_t len, int64_t now_us)
{
	struct sl_rd rd = {.p = data, .end = data + len};
	const uint8_t *frame;
	size_t frame_len;
	int got;

	while (!s->closed &&
	       (got = sl_frame_next(&s->stream->frame, &rd, &frame, &frame_len)) != 0) {
		if (got < 0) {
			lost(s, "the stream has no frames", now_us);
			return;
		}
		hand_over(s, frame, frame_len, now_us);
	}
}

static void read_stream(struct sl_socket *s, int64_t now_us)
{
	uint8_t buf[READ];

	for (int i = 0; i < READS_PER_WAKE && !s->closed; i++) {
		ssize_t n = recv(s->udp.fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return;
		if (n <= 0)
			lost(s, n < 0 ? strerror(errno) : "the other side has closed the stream",
			     now_us);
		else
			take_frames(s, buf, (size_t)n, now_us);
	}
}

static void on_connected(struct sl_socket *s, int64_t now_us)
{
	int e = 0;
	socklen_t len = sizeof(e);

	getsockopt(s->udp.fd, SOL_SOCKET, SO_ERROR, &e, &len);
	if (e)
		lost(s, strerror(e), now_us);
	s->stream->connecting = false;
}

static void on_stream(uv_poll_t *poll, int status, int events)
{
	struct sl_socket *s = poll->data;
	int64_t now_us = sl_loop_begin(s->loop);

	if (s->stream->connecting && (status < 0 || events & UV_WRITABLE))
		on_connected(s, now_us);
	if (status < 0)
		lost(s, uv_strerror(status), now_us);
	if (!s->closed && events & UV_WRITABLE) {
		drain_queue(s);
		poll_for(s);
	}
	if (!s->closed && events & UV_READABLE)
		read_stream(s, now_us);
	sl_loop_finish(s->loop, now_us);
}

/* ---- opening ---- */

/* What is not out soon is late: little may wait in the system. */
static void set_options(int fd)
{
	int on = 1;
	int unsent = UNSENT;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
}

static int give_stream(struct sl_socket *s, const struct sl_addr *remote, enum sl_framing f)
{
	s->stream = sl_zalloc(sizeof(*s->stream));
	if (!s->stream)
		return SL_ENOMEM;
	s->stream->s = s;
	s->stream->remote = *remote;
	s->stream->remote.tcp = f == SL_FRAMING_RFC4571; /* behind a TURN server it is UDP */
	sl_list_init(&s->stream->in_strangers);
	sl_frame_init(&s->stream->frame, f);
	return SL_OK;
}

static int tcp_socket(uint8_t family)
{
	int on = 1;
	int fd = socket(family == 6 ? AF_INET6 : AF_INET,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && family == 6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	return fd;
}

static int local_of(int fd, struct sl_addr *local)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return SL_EIO;
	return sl_addr_from_sockaddr((struct sockaddr *)&sa, local);
}

static int connect_to(int fd, const struct sl_stream_to *to)
{
	struct sockaddr_storage sa;
	unsigned len = sl_addr_to_sockaddr(&to->bind, &sa);

	if (to->bind.family && bind(fd, (struct sockaddr *)&sa, len) < 0)
		return errno == EADDRINUSE ? SL_EBUSY : SL_EIO;
	len = sl_addr_to_sockaddr(&to->remote, &sa);
	if (connect(fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS)
		return SL_EIO;
	return SL_OK;
}

/* Another thread speaks TLS: ours is one end of a pair. */
static int open_tls(struct sl_socket *s, const struct sl_stream_to *to)
{
	struct sl_core_why why;
	int fd = sl_tls_stream(&to->remote, to->tls_host, &why);

	if (fd < 0) {
		SL_LOG(WARN, LOOP, "no stream over TLS", SL_KS("why", why.text));
		return fd;
	}
	s->udp.fd = fd;
	s->udp.local = to->bind;
	return SL_OK;
}

static int open_stream(struct sl_socket *s, const struct sl_stream_to *to)
{
	int err = give_stream(s, &to->remote, to->framing);

	if (err)
		return err;
	if (to->tls_host)
		return open_tls(s, to);
	s->stream->connecting = true;
	s->udp.fd = tcp_socket(to->remote.family);
	if (s->udp.fd < 0)
		return SL_EFULL;
	set_options(s->udp.fd);
	err = connect_to(s->udp.fd, to);
	return err ? err : local_of(s->udp.fd, &s->udp.local);
}

int sl_loop_stream_open(struct sl_loop *l, uint64_t transport, const struct sl_stream_to *to,
			struct sl_addr *local)
{
	struct sl_socket *s;
	int err = sl_loop_sock_new(l, transport, &s);

	if (err)
		return err;
	err = open_stream(s, to);
	if (err) {
		sl_loop_sock_drop(s);
		return err;
	}
	*local = s->udp.local;
	return sl_loop_sock_start(s, SL_SOCK_STREAM, UV_READABLE | UV_WRITABLE, on_stream);
}

/* ---- listening ---- */

void sl_stream_claimed(struct sl_socket *s)
{
	if (sl_list_empty(&s->stream->in_strangers))
		return;
	sl_list_del(&s->stream->in_strangers);
	s->loop->stranger_count--;
}

static struct sl_stream *oldest(struct sl_loop *l)
{
	return SL_LIST_AT(l->strangers.next, struct sl_stream, in_strangers);
}

static void on_stranger_timer(uv_timer_t *timer);
static void listen_again(struct sl_loop *l);

static void arm_strangers(struct sl_loop *l, int64_t now_us)
{
	int64_t left_us;

	if (sl_list_empty(&l->strangers))
		return;
	left_us = SL_MAX(oldest(l)->deadline_us - now_us, 0);
	uv_timer_start(&l->stranger_timer, on_stranger_timer,
		       (uint64_t)(left_us + SL_MS - 1) / SL_MS, 0);
}

static void on_stranger_timer(uv_timer_t *timer)
{
	struct sl_loop *l = timer->data;
	int64_t now_us = sl_loop_begin(l);

	while (!sl_list_empty(&l->strangers) && oldest(l)->deadline_us <= now_us)
		sl_loop_sock_close(l, oldest(l)->s->udp.index);
	listen_again(l);
	arm_strangers(l, now_us);
	sl_loop_finish(l, now_us);
}

/* Nobody's yet. The oldest of its kind makes room. */
static void welcome(struct sl_loop *l, int fd, const struct sl_addr *remote, int64_t now_us)
{
	struct sl_socket *s;
	bool first = sl_list_empty(&l->strangers);

	if (l->stranger_count == STRANGERS_MAX)
		sl_loop_sock_close(l, oldest(l)->s->udp.index);
	if (sl_loop_sock_new(l, 0, &s) < 0) {
		close(fd);
		return;
	}
	s->udp.fd = fd;
	set_options(fd);
	if (give_stream(s, remote, SL_FRAMING_RFC4571) < 0) {
		sl_loop_sock_drop(s);
		return;
	}
	if (sl_loop_sock_start(s, SL_SOCK_STREAM, UV_READABLE, on_stream) < 0)
		return;
	s->stream->deadline_us = now_us + l->conf.stranger_us;
	sl_list_add(&l->strangers, &s->stream->in_strangers);
	l->stranger_count++;
	if (first)
		arm_strangers(l, now_us);
}

/* Without descriptors nothing can be taken in, and who waits would wake us for ever: the oldest
 * stranger makes room, and where there is none we look again later. */
static bool make_room(struct sl_listener *li)
{
	struct sl_loop *l = li->loop;

	if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
		return false;
	if (!sl_list_empty(&l->strangers)) {
		sl_loop_sock_close(l, oldest(l)->s->udp.index);
		return true;
	}
	uv_poll_stop(&li->poll);
	uv_timer_start(&l->stranger_timer, on_stranger_timer, PAUSE_MS, 0);
	return false;
}

static void on_accept(uv_poll_t *poll, int status, int events)
{
	struct sl_listener *li = poll->data;
	struct sl_loop *l = li->loop;
	int64_t now_us = sl_loop_begin(l);

	(void)events;
	for (int i = 0; status == 0 && i < ACCEPTS_PER_WAKE; i++) {
		struct sockaddr_storage sa;
		socklen_t len = sizeof(sa);
		struct sl_addr remote;
		int fd =
			accept4(li->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && !make_room(li))
			break;
		if (fd < 0)
			continue;
		if (sl_addr_from_sockaddr((struct sockaddr *)&sa, &remote) == SL_OK)
			welcome(l, fd, &remote, now_us);
		else
			close(fd);
	}
	sl_loop_finish(l, now_us);
}

static void listen_again(struct sl_loop *l)
{
	for (size_t i = 0; i < l->socket_count; i++)
		if (l->listeners[i].fd)
			uv_poll_start(&l->listeners[i].poll, UV_READABLE, on_accept);
}

int sl_loop_listen(struct sl_loop *l, size_t i)
{
	const struct sl_addr *local = &l->sockets[i].udp.local;
	struct sockaddr_storage sa;
	unsigned len = sl_addr_to_sockaddr(local, &sa);
	int on = 1;
	int fd = tcp_socket(local->family);

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, BACKLOG) < 0) {
		int e = errno;

		if (fd >= 0)
			close(fd);
		errno = e;
		return SL_EIO;
	}
	l->listeners[i] = (struct sl_listener){.fd = fd, .loop = l};
	return SL_OK;
}

void sl_loop_listeners_start(struct sl_loop *l)
{
	uv_timer_init(&l->uv, &l->stranger_timer);
	l->stranger_timer.data = l;
	for (size_t i = 0; i < l->socket_count; i++) {
		struct sl_listener *li = &l->listeners[i];

		if (!li->fd)
			continue;
		uv_poll_init(&l->uv, &li->poll, li->fd);
		li->poll.data = li;
	}
	listen_again(l);
}

void sl_loop_listeners_close(struct sl_loop *l)
{
	uv_close((uv_handle_t *)&l->stranger_timer, NULL);
	for (size_t i = 0; i < l->socket_count; i++)
		if (l->listeners[i].fd)
			uv_close((uv_handle_t *)&l->listeners[i].poll, NULL);
}

void sl_loop_listeners_free(struct sl_loop *l)
{
	for (size_t i = 0; i < l->socket_count; i++)
		if (l->listeners[i].fd)
			close(l->listeners[i].fd);
}
