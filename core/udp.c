/* SPDX-License-Identifier: Apache-2.0
 * core/udp.c — the only datagram system calls. A socket is bound to one address, never to the
 * wildcard, so that an answer leaves from the address that was asked. */
#include "core/core_int.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WANTED_BUF = 8 << 20, CONTROL = 64 };

struct sl_udp_bufs {
	struct mmsghdr rx[SL_UDP_BATCH], tx[SL_BATCH];
	struct iovec rx_iov[SL_UDP_BATCH], tx_iov[SL_BATCH];
	struct sockaddr_storage rx_from[SL_UDP_BATCH], tx_to[SL_BATCH];
	_Alignas(16) uint8_t control[SL_UDP_BATCH][CONTROL];
	uint8_t data[SL_UDP_BATCH][SL_UDP_BUF];
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

struct sl_udp_bufs *sl_udp_bufs_new(void)
{
	return sl_zalloc(sizeof(struct sl_udp_bufs));
}

void sl_udp_bufs_free(struct sl_udp_bufs *b)
{
	sl_free(b);
}

static void grow_buffers(struct sl_udp *u)
{
	int wanted = WANTED_BUF;
	int rx = 0;
	int tx = 0;
	socklen_t n = sizeof(rx);

	/* With CAP_NET_ADMIN beyond the system's limit, else up to it. */
	if (setsockopt(u->fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof(wanted)) < 0)
		setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof(wanted));
	if (setsockopt(u->fd, SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof(wanted)) < 0)
		setsockopt(u->fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted));
	getsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &rx, &n);
	getsockopt(u->fd, SOL_SOCKET, SO_SNDBUF, &tx, &n);
	SL_LOG(INFO, LOOP, "media socket open", SL_KA("address", &u->local),
	       SL_KI("receive_buffer_bytes", rx / 2), SL_KI("send_buffer_bytes", tx / 2));
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

int sl_udp_open(struct sl_udp *u, const struct sl_addr *local, struct sl_core_why *why)
{
	struct sockaddr_storage sa;
	socklen_t len = sl_addr_to_sockaddr(local, &sa);
	int on = 1;

	u->v6 = local->family == 6;
	u->fd = socket(u->v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (u->fd < 0)
		return fail(u, local, why);
	if (u->v6)
		setsockopt(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	setsockopt(u->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	if (bind(u->fd, (struct sockaddr *)&sa, len) < 0)
		return fail(u, local, why);
	len = sizeof(sa);
	if (getsockname(u->fd, (struct sockaddr *)&sa, &len) < 0 ||
	    sl_addr_from_sockaddr((struct sockaddr *)&sa, &u->local) < 0)
		return fail(u, local, why);
	grow_buffers(u);
	return SL_OK;
}

void sl_udp_close(struct sl_udp *u)
{
	if (u->fd > 0)
		close(u->fd);
	u->fd = -1;
}

static void prepare_rx(struct sl_udp_bufs *b)
{
	for (int i = 0; i < SL_UDP_BATCH; i++) {
		b->rx_iov[i] = (struct iovec){.iov_base = b->data[i], .iov_len = SL_UDP_BUF};
		b->rx[i].msg_hdr = (struct msghdr){.msg_name = &b->rx_from[i],
						   .msg_namelen = sizeof(b->rx_from[i]),
						   .msg_iov = &b->rx_iov[i],
						   .msg_iovlen = 1,
						   .msg_control = b->control[i],
						   .msg_controllen = CONTROL};
	}
}

/* The kernel's stamp is wall time: its age is what counts. Between the last arrival and now,
 * whatever the wall does. */
static int64_t arrival_us(struct msghdr *h, int64_t now_us, int64_t wall_us, int64_t last_us)
{
	int64_t rx_us = now_us;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		struct timespec ts;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&ts, CMSG_DATA(c), sizeof(ts));
		rx_us = now_us - (wall_us - (ts.tv_sec * SL_SEC + ts.tv_nsec / 1000));
	}
	return SL_MIN(SL_MAX(rx_us, last_us), now_us);
}

int sl_udp_recv(struct sl_udp *u, struct sl_udp_bufs *b, struct sl_in *in, int64_t now_us,
		int64_t *last_rx_us)
{
	int64_t wall_us;
	int n;
	int count = 0;

	prepare_rx(b);
	do
		n = recvmmsg(u->fd, b->rx, SL_UDP_BATCH, MSG_DONTWAIT, NULL);
	while (n < 0 && errno == EINTR);
	wall_us = n > 0 ? sl_wall_us() : 0;
	for (int i = 0; i < n; i++) {
		struct msghdr *h = &b->rx[i].msg_hdr;
		struct sl_in *to = &in[count];

		memset(&to->path, 0, sizeof(to->path));
		if (sl_addr_from_sockaddr((struct sockaddr *)&b->rx_from[i], &to->path.remote) < 0)
			continue;
		to->path.sock = u->index;
		to->data = b->data[i];
		to->len = b->rx[i].msg_len;
		to->truncated = h->msg_flags & MSG_TRUNC;
		to->rx_us = *last_rx_us = arrival_us(h, now_us, wall_us, *last_rx_us);
		count++;
	}
	return count;
}

int sl_udp_send(struct sl_udp *u, struct sl_udp_bufs *b, const struct sl_out *out, int n)
{
	int sent = 0;

	for (int i = 0; i < n; i++) {
		b->tx_iov[i] = (struct iovec){.iov_base = (void *)(uintptr_t)out[i].data,
					      .iov_len = out[i].len};
		b->tx[i].msg_hdr = (struct msghdr){
			.msg_name = &b->tx_to[i], .msg_iov = &b->tx_iov[i], .msg_iovlen = 1};
		b->tx[i].msg_hdr.msg_namelen =
			sl_addr_to_sockaddr(&out[i].path.remote, &b->tx_to[i]);
	}
	for (int at = 0; at < n;) {
		int did = sendmmsg(u->fd, b->tx + at, (unsigned)(n - at), MSG_DONTWAIT);

		if (did > 0) {
			at += did;
			sent += did;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
			break;
		at++; /* this destination refuses (no route, port unreachable): the others go on */
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
