/* SPDX-License-Identifier: Apache-2.0
 * tests/core/sim_net.c — sockets of single transports, connections, and a STUN and TURN server, in
 * the virtual network. A frame on a stream is a datagram here; tests/core/test_tcp.c has real ones.
 */
#include "tests/core/sim.h"
#include "ice/ice_int.h"

enum { SOCK_PORT = 30000, RELAY_PORT = 50000, MAPPED_PORT = 7000, LIFETIME_S = 600 };

struct sl_addr sim_turn_addr(void)
{
	return sl_addr_v4(203, 0, 113, 9, 3478);
}

unsigned sim_allocs(const struct sim *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SIM_ALLOCS; i++)
		n += s->turn.allocs[i].used;
	return n;
}

unsigned sim_socks(const struct sim *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SIM_SOCKS; i++)
		n += s->socks[i].used;
	return n;
}

/* ---- sockets ---- */

static struct sim *sim_at(void *engine)
{
	return SL_CONTAINER((struct sl_engine *)engine - sim_loop_of(engine), struct sim,
			    engines[0]);
}

static struct sim_sock *take(struct sim *s, unsigned loop, uint64_t owner, bool stream)
{
	unsigned i = 0;
	uint32_t was;

	while (s->socks[i].used)
		CHECK(++i < SIM_SOCKS);
	was = s->socks[i].number & ~(uint32_t)SL_SOCK_STREAM;
	s->socks[i] = (struct sim_sock){
		.used = true,
		.stream = stream,
		.loop = loop,
		.owner = owner,
		.number = (was ? was + (1 << SL_SOCK_SLOT_BITS) : SL_CORE_LOCALS_MAX + i) |
			  (stream ? SL_SOCK_STREAM : 0),
		.local = sl_addr_with_port(sim_server(loop), (uint16_t)(SOCK_PORT + i))};
	return &s->socks[i];
}

static struct sim_sock *at(struct sim *s, uint32_t number)
{
	for (unsigned i = 0; i < SIM_SOCKS; i++)
		if (s->socks[i].used && s->socks[i].number == number)
			return &s->socks[i];
	return NULL;
}

int sim_sock_open(void *arg, uint64_t transport, const struct sl_addr *bind, struct sl_addr *local)
{
	struct sim_sock *k = take(sim_at(arg), sim_loop_of(arg), transport, false);

	(void)bind;
	*local = k->local;
	return (int)k->number;
}

int sim_stream_open(void *arg, uint64_t transport, const struct sl_stream_to *to,
		    struct sl_addr *local)
{
	struct sim *s = sim_at(arg);
	struct sl_addr addr = to->remote;
	struct sl_addr server = sim_turn_addr();
	struct sim_peer *sp;
	struct sim_sock *k;

	addr.tcp = 0;
	sp = sim_by_addr(s, &addr);
	if (!sl_addr_eq(&addr, &server) && (!sp || !s->conf.tcp || sp->conn))
		return SL_EIO;
	k = take(s, sim_loop_of(arg), transport, true);
	k->remote = to->remote;
	if (sp)
		sp->conn = (unsigned)(k - s->socks) + 1;
	*local = k->local;
	return (int)k->number;
}

void sim_sock_give(void *arg, uint32_t sock, uint64_t transport)
{
	struct sim_sock *k = at(sim_at(arg), sock);

	if (k)
		k->owner = transport;
}

void sim_sock_close(void *arg, uint32_t sock)
{
	struct sim *s = sim_at(arg);
	struct sim_sock *k = at(s, sock);

	CHECK(k);
	k->used = false;
	for (unsigned i = 0; i < s->peer_count; i++)
		if (s->peers[i]->conn == (unsigned)(k - s->socks) + 1)
			s->peers[i]->conn = 0;
}

/* ---- the server ---- */

static struct sim_alloc *alloc_of(struct sim *s, unsigned sock)
{
	for (unsigned i = 0; i < SIM_ALLOCS; i++)
		if (s->turn.allocs[i].used && s->turn.allocs[i].sock == sock)
			return &s->turn.allocs[i];
	return NULL;
}

static void on_allocate(struct sim *s, unsigned sock, struct sl_stun *m)
{
	unsigned i = 0;

	while (s->turn.allocs[i].used)
		CHECK(++i < SIM_ALLOCS);
	s->turn.allocs[i] = (struct sim_alloc){
		.used = true,
		.sock = sock,
		.relayed = sl_addr_with_port(sim_turn_addr(), (uint16_t)(RELAY_PORT + i))};
	m->has = STUN_RELAYED | STUN_XOR_MAPPED | STUN_LIFETIME;
	m->relayed = s->turn.allocs[i].relayed;
	m->mapped = s->socks[sock - 1].local;
	m->lifetime_s = LIFETIME_S;
}

static void on_refresh(struct sim *s, const struct sl_stun *asked, unsigned sock, struct sl_stun *m)
{
	struct sim_alloc *a = alloc_of(s, sock);

	s->turn.refreshed++;
	if (a && asked->lifetime_s == 0)
		a->used = false;
	m->has = STUN_LIFETIME;
	m->lifetime_s = asked->lifetime_s ? LIFETIME_S : 0;
}

static void on_request(struct sim *s, unsigned loop, unsigned sock, const struct sl_stun *asked)
{
	struct sl_stun m = {.class_ = SL_STUN_SUCCESS, .method = asked->method};
	struct sl_addr from = sim_turn_addr();
	uint8_t out[SIM_DGRAM];
	struct sim_alloc *a = alloc_of(s, sock);
	int n;

	memcpy(m.tid, asked->tid, sizeof(m.tid));
	if (asked->method == STUN_ALLOCATE)
		on_allocate(s, sock, &m);
	if (asked->method == STUN_REFRESH)
		on_refresh(s, asked, sock, &m);
	if (asked->method == STUN_CHANNEL_BIND && a) {
		a->channels[asked->channel - 0x4000] = asked->peer;
		s->turn.bound++;
	}
	if (asked->method == STUN_BINDING) {
		m.has = STUN_XOR_MAPPED;
		m.mapped = sl_addr_v4(203, 0, 113, 77, (uint16_t)(MAPPED_PORT + loop));
	}
	n = stun_write(&m, NULL, 0, out, sizeof(out));
	CHECK(n > 0);
	sim_to_engine(s, loop, sock, &from, out, (size_t)n);
}

static void to_peer(struct sim *s, const struct sim_alloc *a, const struct sl_addr *peer,
		    const struct sl_run *run, const void *data, size_t len)
{
	struct iovec inner = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct sim_peer *sp = sim_by_addr(s, peer);

	s->turn.relayed++;
	if (sp)
		sim_down(sp, &a->relayed, run, &inner);
}

static void serve(struct sim *s, unsigned loop, unsigned sock, const struct sl_run *run,
		  const struct iovec *pkt)
{
	const uint8_t *data = pkt->iov_base;
	const struct sim_alloc *a = alloc_of(s, sock);
	struct sl_stun m;

	if (s->turn.silent)
		return;
	if (data[0] >> 6 == 1) {
		CHECK(a && pkt->iov_len >= 4u + sl_get16(data + 2));
		to_peer(s, a, &a->channels[sl_get16(data) - 0x4000], run, data + 4,
			sl_get16(data + 2));
		return;
	}
	CHECK_EQ(stun_read_turn(data, pkt->iov_len, &m), SL_OK);
	if (m.class_ == SL_STUN_REQUEST)
		on_request(s, loop, sock, &m);
	else if (a)
		to_peer(s, a, &m.peer, run, m.payload.p, m.payload.n);
}

/* ---- datagrams ---- */

bool sim_net_send(struct sim *s, unsigned loop, const struct sl_run *run, const struct iovec *pkt)
{
	struct sl_addr server = sim_turn_addr();
	struct sl_addr from = sim_server(loop);
	uint32_t number = run->path->sock;
	struct sim_sock *k = at(s, number);
	unsigned sock = k ? (unsigned)(k - s->socks) + 1 : 0;

	CHECK(!(number & SL_SOCK_RELAY));
	if (sl_addr_eq(&run->path->remote, &server)) {
		CHECK(sock || number == 0);
		serve(s, loop, sock, run, pkt);
		return true;
	}
	for (unsigned i = 0; k && i < s->peer_count; i++)
		if (s->peers[i]->conn == sock && s->peers[i]->p)
			sim_down(s->peers[i], &from, run, pkt);
	return number >= SL_CORE_LOCALS_MAX;
}

/* Over its connection, which it opens where nobody opens one to it. */
static bool by_conn(struct sim_peer *sp, struct sim_way *way)
{
	struct sim *s = sp->sim;

	way->from.tcp = 1;
	if (!sp->conn && sp->lite) {
		struct sim_sock *k = take(s, sp->loop, 0, true);

		k->remote = way->from;
		sp->conn = (unsigned)(k - s->socks) + 1;
	}
	way->sock = sp->conn;
	return sp->conn > 0;
}

static bool by_relay(struct sim_way *way, const struct sim_alloc *a)
{
	struct sl_stun m = {.class_ = SL_STUN_INDICATION,
			    .method = STUN_DATA,
			    .has = STUN_PEER | STUN_DATA_ATTR,
			    .peers = &way->from,
			    .peer_count = 1,
			    .payload = sl_str((char *)way->data, way->len)};
	uint8_t out[SIM_DGRAM];
	size_t n = 0;

	for (unsigned i = 0; i < SIM_CHANNELS && !n; i++)
		if (sl_addr_eq(&a->channels[i], &way->from)) {
			sl_put16(out, (uint16_t)(0x4000 + i));
			sl_put16(out + 2, (uint16_t)way->len);
			memcpy(out + 4, way->data, way->len);
			n = way->len + 4;
		}
	if (!n) {
		int did = stun_write(&m, NULL, 0, out, sizeof(out));

		CHECK(did > 0);
		n = (size_t)did;
	}
	memcpy(way->data, out, n);
	way->len = n;
	way->from = sim_turn_addr();
	way->sock = a->sock;
	return true;
}

bool sim_net_up(struct sim_peer *sp, struct sim_way *way, const struct sl_addr *to)
{
	struct sim *s = sp->sim;

	if (s->conf.tcp)
		return by_conn(sp, way);
	for (unsigned i = 0; i < SIM_ALLOCS; i++)
		if (s->turn.allocs[i].used && sl_addr_eq(&s->turn.allocs[i].relayed, to))
			return by_relay(way, &s->turn.allocs[i]);
	return !s->conf.relayed;
}
