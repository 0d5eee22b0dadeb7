/* SPDX-License-Identifier: Apache-2.0
 * core/udp.c — the only datagram system calls. A socket is bound to one address, never to the
 * wildcard, so that an answer leaves from the address that was asked. Runs of datagrams go out as
 * one message (UDP GSO), and come in as one where the system makes one of them (UDP GRO). */
#include "core/core_int.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Older C libraries do not know them. */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
	WANTED_BUF = 8 << 20,
	OWN_BUF = 1 << 20,
	CONTROL = 128,
	SEGMENT_CONTROL = CMSG_SPACE(sizeof(uint16_t)),
	TOS_CONTROL = CMSG_SPACE(sizeof(int))
};

struct sl_udp_bufs {
	struct mmsghdr rx[SL_UDP_BATCH], tx[SL_BATCH];
	struct iovec rx_iov[SL_UDP_BATCH];
	struct sockaddr_storage rx_from[SL_UDP_BATCH], tx_to[SL_BATCH];
	_Alignas(16) uint8_t control[SL_UDP_BATCH][CONTROL];
	_Alignas(16) uint8_t segment[SL_BATCH][SEGMENT_CONTROL + TOS_CONTROL];
	/* state: the messages of the last read, and where sl_udp_next() is in them */
	struct sl_message {
		struct sl_path path;
		int64_t rx_us;
		size_t len;
		int segment; /* length of the datagrams it was made of; 0: it is one */
		bool truncated;
	} messages[SL_UDP_BATCH];
	int batch, count, at;
	uint64_t owner; /* of the socket they came by */
	size_t offset, buf_len;
	uint8_t data[]; /* batch buffers of buf_len */
};

int64_t sl_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SL_SEC + ts.tv_nsec / 1000;
}

int64_t sl_wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * SL_SEC + ts.tv_nsec / 1000;
}

static void reset_rx(struct sl_udp_bufs *b, int i)
{
	b->rx[i].msg_hdr.msg_namelen = sizeof(b->rx_from[i]);
	b->rx[i].msg_hdr.msg_controllen = CONTROL;
}

static void prepare_rx(struct sl_udp_bufs *b)
{
	for (int i = 0; i < b->batch; i++) {
		b->rx_iov[i] = (struct iovec){.iov_base = b->data + (size_t)i * b->buf_len,
					      .iov_len = b->buf_len};
		b->rx[i].msg_hdr = (struct msghdr){.msg_name = &b->rx_from[i],
						   .msg_iov = &b->rx_iov[i],
						   .msg_iovlen = 1,
						   .msg_control = b->control[i]};
		reset_rx(b, i);
	}
}

static void prepare_segment(uint8_t *control)
{
	struct msghdr h = {.msg_control = control, .msg_controllen = SEGMENT_CONTROL};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
}

struct sl_udp_bufs *sl_udp_bufs_new(bool gro)
{
	int batch = gro ? SL_GRO_BATCH : SL_UDP_BATCH;
	size_t buf_len = gro ? SL_GRO_BUF : SL_UDP_BUF;
	struct sl_udp_bufs *b = sl_zalloc(sizeof(*b) + (size_t)batch * buf_len);

	if (!b)
		return NULL;
	b->batch = batch;
	b->buf_len = buf_len;
	prepare_rx(b);
	for (int i = 0; i < SL_BATCH; i++)
		prepare_segment(b->segment[i]);
	return b;
}

void sl_udp_bufs_free(struct sl_udp_bufs *b)
{
	sl_free(b);
}

int sl_udp_batch(const struct sl_udp_bufs *b)
{
	return b->batch;
}

static void grow_buffers(const struct sl_udp *u, int wanted)
{
	/* With CAP_NET_ADMIN beyond the system's limit, else up to it. */
	if (setsockopt(u->fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof(wanted)) < 0)
		setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof(wanted));
	if (setsockopt(u->fd, SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof(wanted)) < 0)
		setsockopt(u->fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted));
}

static void log_open(const struct sl_udp *u)
{
	int rx = 0;
	int tx = 0;
	socklen_t n = sizeof(rx);

	getsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &rx, &n);
	getsockopt(u->fd, SOL_SOCKET, SO_SNDBUF, &tx, &n);
	SL_LOG(INFO, LOOP, "media socket open", SL_KA("address", &u->local),
	       SL_KI("receive_buffer_bytes", rx / 2), SL_KI("send_buffer_bytes", tx / 2),
	       SL_KS("gso", u->gso ? "on" : "off"), SL_KS("gro", u->gro ? "on" : "off"));
}

/* Two datagrams of one byte, as one message, from a socket of its own to itself: what the system
 * says is what it will say of all runs, but for those that a route refuses. */
static bool probe_gso(const struct sl_addr *local)
{
	static uint8_t bytes[2];
	struct sl_addr any_port = sl_addr_with_port(*local, 0);
	struct sockaddr_storage sa;
	socklen_t len = sl_addr_to_sockaddr(&any_port, &sa);
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	_Alignas(16) uint8_t control[SEGMENT_CONTROL] = {0};
	struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr h = {.msg_name = &sa,
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&sa, len) == 0 &&
		  getsockname(fd, (struct sockaddr *)&sa, &len) == 0;

	h.msg_namelen = len;
	prepare_segment(control);
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), &(uint16_t){1}, sizeof(uint16_t));
	ok = ok && sendmsg(fd, &h, MSG_DONTWAIT) == sizeof(bytes);
	/* A system that overlooks what it does not know sends one datagram. */
	ok = ok && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) != sizeof(bytes);
	if (fd >= 0)
		close(fd);
	return ok;
}

static int fail(struct sl_udp *u, const struct sl_addr *local, struct sl_core_why *why)
{
	char text[SL_ADDR_TEXT];
	int e = errno;

	sl_fmt(why->text, sizeof(why->text), "cannot open UDP %s: %s; %s",
	       sl_addr_text(local, text), strerror(e),
	       e == EADDRINUSE ? "is another server running? Set media.port" : "check media.bind");
	sl_udp_close(u);
	return SL_EIO;
}

/* SL_OK, or -1 with the reason in errno. */
static int open_bound(struct sl_udp *u, const struct sl_addr *local, bool gro)
{
	struct sockaddr_storage sa;
	socklen_t len = sl_addr_to_sockaddr(local, &sa);
	int on = 1;

	u->v6 = local->family == 6;
	u->fd = socket(u->v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (u->fd < 0)
		return -1;
	if (u->v6)
		setsockopt(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	setsockopt(u->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	if (bind(u->fd, (struct sockaddr *)&sa, len) < 0)
		return -1;
	len = sizeof(sa);
	if (getsockname(u->fd, (struct sockaddr *)&sa, &len) < 0 ||
	    sl_addr_from_sockaddr((struct sockaddr *)&sa, &u->local) < 0)
		return -1;
	u->gro = gro && setsockopt(u->fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)) == 0;
	return SL_OK;
}

int sl_udp_open(struct sl_udp *u, const struct sl_addr *local, bool gso, bool gro,
		struct sl_core_why *why)
{
	if (open_bound(u, local, gro) < 0)
		return fail(u, local, why);
	u->gso = gso && probe_gso(local);
	grow_buffers(u, WANTED_BUF);
	log_open(u);
	return SL_OK;
}

int sl_udp_open_own(struct sl_udp *u, const struct sl_addr *local, bool gso, bool gro)
{
	int e;

	if (open_bound(u, local, gro) == SL_OK) {
		u->gso = gso;
		grow_buffers(u, OWN_BUF);
		return SL_OK;
	}
	e = errno;
	sl_udp_close(u);
	if (e == EADDRINUSE)
		return SL_EBUSY;
	return e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM ? SL_EFULL : SL_EIO;
}

void sl_udp_close(struct sl_udp *u)
{
	if (u->fd > 0)
		close(u->fd);
	u->fd = -1;
}

/* The kernel's stamp is wall time: its age is what counts. Between the last arrival and now,
 * whatever the wall does. */
static int64_t arrival_us(const struct cmsghdr *c, int64_t now_us, int64_t wall_us)
{
	struct timespec ts;

	memcpy(&ts, CMSG_DATA(c), sizeof(ts));
	return now_us - (wall_us - (ts.tv_sec * SL_SEC + ts.tv_nsec / 1000));
}

static void read_control(struct msghdr *h, struct sl_message *m, int64_t now_us, int64_t wall_us)
{
	m->rx_us = now_us;
	m->segment = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS &&
		    c->cmsg_len >= CMSG_LEN(sizeof(struct timespec)))
			m->rx_us = arrival_us(c, now_us, wall_us);
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO &&
		    c->cmsg_len >= CMSG_LEN(sizeof(int)))
			memcpy(&m->segment, CMSG_DATA(c), sizeof(int));
	}
}

int sl_udp_recv(struct sl_udp *u, struct sl_udp_bufs *b, int64_t now_us, int64_t *last_rx_us)
{
	int64_t wall_us;
	int n;

	do
		n = recvmmsg(u->fd, b->rx, (unsigned)b->batch, MSG_DONTWAIT, NULL);
	while (n < 0 && errno == EINTR);
	wall_us = n > 0 ? sl_wall_us() : 0;
	b->count = SL_MAX(n, 0);
	b->at = 0;
	b->offset = 0;
	b->owner = u->owner;
	for (int i = 0; i < n; i++) {
		struct msghdr *h = &b->rx[i].msg_hdr;
		struct sl_message *m = &b->messages[i];

		memset(&m->path, 0, sizeof(m->path));
		m->path.sock = u->index;
		m->len = b->rx[i].msg_len;
		m->truncated = h->msg_flags & MSG_TRUNC;
		read_control(h, m, now_us, wall_us);
		m->rx_us = *last_rx_us = SL_MIN(SL_MAX(m->rx_us, *last_rx_us), now_us);
		/* Of a family that we do not speak: nothing is left to look at. */
		if (sl_addr_from_sockaddr((struct sockaddr *)&b->rx_from[i], &m->path.remote) < 0)
			m->len = 0;
		reset_rx(b, i);
	}
	return b->count;
}

/* What is longer than a buffer without GRO was cut in both modes. */
static void hand_out(struct sl_udp_bufs *b, const struct sl_message *m, struct sl_in *in)
{
	size_t len = sl_gro_len(m->len, b->offset, m->segment);

	*in = (struct sl_in){.path = m->path,
			     .data = b->data + (size_t)b->at * b->buf_len + b->offset,
			     .len = SL_MIN(len, (size_t)SL_UDP_BUF),
			     .rx_us = m->rx_us,
			     .owner = b->owner,
			     .truncated = len > SL_UDP_BUF ||
					  (m->truncated && b->offset + len == m->len)};
	b->offset += len;
	if (b->offset < m->len)
		return;
	b->offset = 0;
	b->at++;
}

int sl_udp_next(struct sl_udp_bufs *b, struct sl_in *in)
{
	int n = 0;

	while (b->at < b->count && n < SL_UDP_BATCH)
		hand_out(b, &b->messages[b->at], &in[n++]);
	return n;
}

/* ---- sending ---- */

/* RFC 2474, RFC 8837: behind the room for the segments' length, which may be left out. */
static void mark_run(struct msghdr *h, uint8_t *control, const struct sl_run *run)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)(control + SEGMENT_CONTROL);
	bool v6 = run->path->remote.family == 6;
	int tos = run->tos;

	c->cmsg_level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	c->cmsg_type = v6 ? IPV6_TCLASS : IP_TOS;
	c->cmsg_len = CMSG_LEN(sizeof(tos));
	memcpy(CMSG_DATA(c), &tos, sizeof(tos));
	if (!h->msg_control)
		h->msg_control = c;
	h->msg_controllen += TOS_CONTROL;
}

static void fill_run(struct sl_udp_bufs *b, int i, const struct sl_run *run, bool as_one)
{
	struct msghdr *h = &b->tx[i].msg_hdr;
	uint16_t segment = (uint16_t)run->pkts[0].iov_len;

	*h = (struct msghdr){.msg_name = &b->tx_to[i],
			     .msg_namelen = sl_addr_to_sockaddr(&run->path->remote, &b->tx_to[i]),
			     .msg_iov = (struct iovec *)(uintptr_t)run->pkts,
			     .msg_iovlen = (size_t)run->count};
	if (as_one) {
		h->msg_control = b->segment[i];
		h->msg_controllen = SEGMENT_CONTROL;
		memcpy(CMSG_DATA((struct cmsghdr *)(void *)b->segment[i]), &segment,
		       sizeof(segment));
	}
	if (run->tos)
		mark_run(h, b->segment[i], run);
}

static bool is_full(int e)
{
	return e == EAGAIN || e == EWOULDBLOCK || e == ENOBUFS;
}

/* By the route, the device or its settings: for a run, not for its datagrams. */
static bool is_refusal(int e)
{
	return e == EMSGSIZE || e == EINVAL || e == EIO;
}

/* Each datagram of it by itself, by message i. Returns how many the system took; *full: it will not
 * take any more. */
static int send_singly(struct sl_udp *u, struct sl_udp_bufs *b, int i, const struct sl_run *run,
		       bool *full)
{
	struct mmsghdr one;
	int sent = 0;

	fill_run(b, i, run, false);
	one = b->tx[i];
	one.msg_hdr.msg_iovlen = 1;
	for (int k = 0; k < run->count && !*full; k++) {
		int did;

		one.msg_hdr.msg_iov = (struct iovec *)(uintptr_t)&run->pkts[k];
		do
			did = sendmmsg(u->fd, &one, 1, MSG_DONTWAIT);
		while (did < 0 && errno == EINTR);
		sent += did == 1;
		*full = did < 0 && is_full(errno);
	}
	return sent;
}
/* The first message of those left was refused: a run may go singly, else this destination refuses
 * (no route, port unreachable) and the others go on. */
static int send_refused(struct sl_udp *u, struct sl_udp_bufs *b, int i, struct sl_run *run,
			bool *full)
{
	if (run->count == 1 || !is_refusal(errno))
		return 0;
	run->refused = true;
	return send_singly(u, b, i, run, full);
}

/* At most SL_BATCH runs that go as they are. */
static int send_runs(struct sl_udp *u, struct sl_udp_bufs *b, struct sl_run *runs, int n)
{
	int sent = 0;
	bool full = false;

	for (int i = 0; i < n; i++)
		fill_run(b, i, &runs[i], runs[i].count > 1);
	for (int at = 0; at < n && !full;) {
		int did = sendmmsg(u->fd, b->tx + at, (unsigned)(n - at), MSG_DONTWAIT);

		for (int i = 0; i < did; i++)
			sent += runs[at++].count;
		if (did > 0 || errno == EINTR)
			continue;
		full = is_full(errno);
		if (!full)
			sent += send_refused(u, b, at, &runs[at], &full);
		at++;
	}
	return sent;
}

int sl_udp_send(struct sl_udp *u, struct sl_udp_bufs *b, struct sl_run *runs, int n)
{
	bool full = false;
	int sent = 0;

	if (u->gso)
		return send_runs(u, b, runs, n);
	for (int i = 0; i < n && !full; i++) {
		if (runs[i].count == 1) {
			int k = i + 1;

			while (k < n && runs[k].count == 1)
				k++;
			sent += send_runs(u, b, &runs[i], k - i);
			i = k - 1;
			continue;
		}
		sent += send_singly(u, b, 0, &runs[i], &full);
	}
	return sent;
}

static bool usable(const struct ifaddrs *i, struct sl_addr *a)
{
	return i->ifa_addr && (i->ifa_flags & IFF_UP) &&
	       sl_addr_from_sockaddr(i->ifa_addr, a) == SL_OK && !sl_addr_is_link_local(a);
}

/* Without loopback, unless there is nothing else: Firefox never uses a loopback candidate. */
size_t sl_udp_interfaces(struct sl_addr *out, size_t cap)
{
	struct ifaddrs *all = NULL;
	size_t n = 0;

	if (getifaddrs(&all) < 0)
		return 0;
	for (int loopback = 0; loopback <= 1 && n == 0; loopback++)
		for (struct ifaddrs *i = all; i && n < cap; i = i->ifa_next) {
			struct sl_addr a;

			if (usable(i, &a) && sl_addr_is_loopback(&a) == (loopback == 1))
				out[n++] = sl_addr_with_port(a, 0);
		}
	freeifaddrs(all);
	return n;
}
