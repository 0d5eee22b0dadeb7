/* SPDX-License-Identifier: Apache-2.0
 * core/gather.c — candidates of a transport beyond its sockets' own addresses: what a STUN server
 * sees (asked from the loop's sockets) and what TURN servers relay (each allocation by a socket or
 * stream of its own). A relay is a socket to the rest of the engine: its number has SL_SOCK_RELAY,
 * what goes to it is wrapped here, and what the server relays comes in as if the peer had sent it
 * there. */
#include "core/core_int.h"
#include "core/base/log.h"
#include "core/base/mem.h"

enum { RELAYS_MAX = 4096, NAME = SL_ADDR_TEXT + 16, WRAPPED = SL_FRAME_MAX + SL_FRAME_PAD };

struct question {
	struct sl_reflex reflex;
	uint32_t local;
};

struct relay {
	struct sl_transport *t; /* borrowed */
	struct sl_turn turn;
	enum sl_turn_transport transport;
	uint32_t sock; /* our own to the server */
	uint32_t rank; /* among those of the transport */
	struct sl_addr server, local;
	bool answered, dead;
};

struct sl_gather {
	struct sl_transport *t; /* borrowed */
	/* owned */
	struct question *questions; /* question_count of them */
	struct relay *relays[SL_TURN_SERVERS_MAX];
	/* state */
	size_t question_count, relay_count;
	struct sl_addr stun;
	char stun_why[SL_SERVER_WHY]; /* of the first question that failed */
	bool stun_works, stun_told, told;
	struct sl_timer timer;
};

static uint32_t number_of(const struct relay *r)
{
	return r->sock | SL_SOCK_RELAY;
}

/* ---- telling ---- */

static const char *const transports[] = {
	[SL_TURN_UDP] = "udp", [SL_TURN_TCP] = "tcp", [SL_TURN_TLS] = "tls"};

static void tell(struct sl_transport *t, enum sl_core_event_type type,
		 const struct sl_core_cand *local)
{
	struct sl_core_event ev = {.type = type, .transport = t->id, .tag = t->tag};

	if (local)
		ev.local = *local;
	sl_engine_event(t->eng, &ev);
}

static void tell_server(struct sl_transport *t, const char *server, const char *why)
{
	struct sl_core_event ev = {.type = SL_EV_SERVER, .transport = t->id, .tag = t->tag};

	SL_LOG(DEBUG, ICE, "a server did not do its part", SL_KS("session", t->name),
	       SL_KS("server", server), SL_KS("why", why));
	sl_fmt(ev.detail, sizeof(ev.detail), "%s: %s", server, why);
	sl_engine_event(t->eng, &ev);
}

static void tell_relay_failed(const struct relay *r, const char *why)
{
	char addr[SL_ADDR_TEXT];
	char name[NAME];

	sl_fmt(name, sizeof(name), "TURN %s %s", transports[r->transport],
	       sl_addr_text(&r->server, addr));
	tell_server(r->t, name, why);
}

/* ---- host candidates ---- */

static struct sl_core_cand host(const struct sl_engine *e, const struct sl_gather_conf *conf,
				size_t i)
{
	const struct sl_ice_cand *l = &e->conf.locals[i];
	const struct sl_addr *outside =
		l->addr.family == 6 ? &conf->external_v6 : &conf->external_v4;
	struct sl_core_cand c = {.addr = l->addr, .priority = l->priority, .type = "host"};

	if (outside->family)
		c.addr = sl_addr_with_port(*outside, outside->port ? outside->port : l->addr.port);
	memcpy(c.foundation, l->foundation, sizeof(c.foundation));
	return c;
}

static void tell_tcp(struct sl_transport *t, struct sl_core_cand c, size_t i, enum sl_tcp_type tcp)
{
	c.tcp = tcp;
	c.priority = sl_ice_tcp_priority(SL_ICE_HOST, tcp, (uint16_t)(8191 - i));
	if (tcp == SL_CAND_TCP_ACTIVE)
		c.addr.port = 9; /* RFC 6544 section 4.5: it says nothing */
	sl_fmt(c.foundation, sizeof(c.foundation), "%zu",
	       (tcp == SL_CAND_TCP_PASSIVE ? 101 : 201) + i);
	tell(t, SL_EV_CANDIDATE, &c);
}

static void tell_host(struct sl_transport *t, const struct sl_gather_conf *conf, size_t i)
{
	struct sl_engine *e = t->eng;
	struct sl_core_cand c = host(e, conf, i);

	tell(t, SL_EV_CANDIDATE, &c);
	if (!conf->tcp || !(e->conf.tcp >> i & 1))
		return;
	tell_tcp(t, c, i, SL_CAND_TCP_PASSIVE);
	if (t->ice.full)
		tell_tcp(t, c, i, SL_CAND_TCP_ACTIVE);
}

static bool is_wanted(const struct sl_gather_conf *conf, const struct sl_addr *local)
{
	struct sl_addr ip = sl_addr_with_port(*local, 0);

	for (size_t i = 0; i < conf->only_count; i++) {
		struct sl_addr only = sl_addr_with_port(conf->only[i], 0);

		if (sl_addr_eq(&only, &ip))
			return true;
	}
	return conf->only_count == 0;
}

/* ---- what the servers say ---- */

static void check_done(struct sl_gather *g)
{
	bool open = false;

	for (size_t i = 0; i < g->question_count; i++)
		open |= !g->questions[i].reflex.told;
	for (size_t i = 0; i < g->relay_count; i++)
		open |= !g->relays[i]->answered;
	if (open || g->told)
		return;
	if (g->stun_why[0] && !g->stun_works && !g->stun_told) {
		char addr[SL_ADDR_TEXT];
		char name[NAME];

		g->stun_told = true;
		sl_fmt(name, sizeof(name), "STUN %s", sl_addr_text(&g->stun, addr));
		tell_server(g->t, name, g->stun_why);
	}
	g->told = true;
	tell(g->t, SL_EV_GATHERED, NULL);
}

/* The agent needs no candidate of its own for it: checks go by the base (RFC 8445 section
 * 6.1.2.4). One that is a host candidate already says nothing new. */
static void on_mapped(struct sl_gather *g, const struct question *q, const struct sl_addr *mapped)
{
	const struct sl_ice_cand *base = &g->t->eng->conf.locals[q->local];
	struct sl_core_cand c = {
		.addr = *mapped,
		.priority = sl_ice_priority(SL_ICE_SRFLX, (uint16_t)(65535 - q->local)),
		.type = "srflx",
		.base = base->addr};

	g->stun_works = true;
	if (sl_addr_eq(mapped, &base->addr))
		return;
	sl_fmt(c.foundation, sizeof(c.foundation), "s%u", q->local + 1);
	tell(g->t, SL_EV_CANDIDATE, &c);
}

static void drain_question(struct sl_gather *g, struct question *q)
{
	struct sl_reflex_event ev;
	struct sl_dgram out;

	while (sl_reflex_pull(&q->reflex, &out))
		sl_send_plain(g->t->eng, &out.path, out.data, out.len);
	if (!sl_reflex_event(&q->reflex, &ev))
		return;
	if (ev.mapped.family)
		on_mapped(g, q, &ev.mapped);
	else if (!g->stun_why[0])
		sl_fmt(g->stun_why, sizeof(g->stun_why), "%s", ev.why);
}

static void on_allocated(struct relay *r, const struct sl_turn_event *ev)
{
	struct sl_transport *t = r->t;
	uint16_t pref = (uint16_t)((2u - (unsigned)r->transport) << 8 | (255u - r->rank));
	struct sl_ice_cand ours = {.addr = ev->relayed,
				   .priority = sl_ice_priority(SL_ICE_RELAY, pref),
				   .sock = number_of(r),
				   .type = SL_ICE_RELAY,
				   .base = ev->mapped.family ? ev->mapped : r->local};
	struct sl_core_cand c = {
		.addr = ours.addr, .priority = ours.priority, .type = "relay", .base = ours.base};

	sl_fmt(ours.foundation, sizeof(ours.foundation), "r%u", r->rank + 1);
	memcpy(c.foundation, ours.foundation, sizeof(c.foundation));
	if (sl_ice_add_local(&t->ice, &ours, t->eng->now_us) == SL_OK)
		tell(t, SL_EV_CANDIDATE, &c);
}

static void end_relay(struct relay *r)
{
	uint32_t number = number_of(r);

	if (r->dead)
		return;
	r->dead = r->answered = true;
	if (r->t->phase != SL_T_DEAD) {
		sl_ice_sock_lost(&r->t->ice, number, r->t->eng->now_us);
		sl_transport_forget_sock(r->t, number);
	}
	sl_hash_del(&r->t->eng->by_relay, &number, sizeof(number));
	sl_turn_fini(&r->turn);
	sl_sock_close(r->t, r->sock);
}

static void on_turn_event(struct relay *r, const struct sl_turn_event *ev)
{
	struct sl_transport *t = r->t;

	switch (ev->type) {
	case SL_TURN_EV_ALLOCATED:
		r->answered = true;
		on_allocated(r, ev);
		break;
	case SL_TURN_EV_FAILED:
	case SL_TURN_EV_LOST:
		tell_relay_failed(r, ev->why);
		end_relay(r);
		break;
	case SL_TURN_EV_REFUSED:
		SL_LOG(INFO, ICE, "a relay does not serve this peer", SL_KS("session", t->name),
		       SL_KA("peer", &ev->peer), SL_KS("why", ev->why));
		break;
	case SL_TURN_EV_CLOSED:
		break;
	}
}

static void drain_relay(struct relay *r)
{
	struct sl_turn_event ev;
	struct sl_dgram out;

	while (!r->dead && sl_turn_pull(&r->turn, &out))
		sl_send_plain(r->t->eng, &out.path, out.data, out.len);
	while (!r->dead && sl_turn_event(&r->turn, &ev))
		on_turn_event(r, &ev);
}

/* ---- time ---- */

static void arm(struct sl_gather *g)
{
	int64_t due_us = SL_NEVER;

	for (size_t i = 0; i < g->question_count; i++)
		due_us = SL_MIN(due_us, sl_reflex_deadline_us(&g->questions[i].reflex));
	for (size_t i = 0; i < g->relay_count; i++)
		if (!g->relays[i]->dead)
			due_us = SL_MIN(due_us, sl_turn_deadline_us(&g->relays[i]->turn));
	sl_timer_arm(&g->t->eng->wheel, &g->timer, due_us);
}

/* Says what there is to say, then looks at the clock anew. */
static void settle(struct sl_gather *g)
{
	for (size_t i = 0; i < g->question_count; i++)
		drain_question(g, &g->questions[i]);
	for (size_t i = 0; i < g->relay_count; i++)
		drain_relay(g->relays[i]);
	check_done(g);
	arm(g);
}

static void on_timer(struct sl_timer *timer, int64_t now_us)
{
	struct sl_gather *g = SL_CONTAINER(timer, struct sl_gather, timer);

	for (size_t i = 0; i < g->question_count; i++)
		sl_reflex_tick(&g->questions[i].reflex, now_us);
	for (size_t i = 0; i < g->relay_count; i++)
		if (!g->relays[i]->dead)
			sl_turn_tick(&g->relays[i]->turn, now_us);
	settle(g);
	sl_transport_drain_ice(g->t);
}

/* ---- in ---- */

bool sl_gather_answer(struct sl_transport *t, const struct sl_in *in)
{
	struct sl_dgram d = {.path = in->path, .data = in->data, .len = in->len};
	struct sl_gather *g = t->gather;

	for (size_t i = 0; g && i < g->question_count; i++)
		if (sl_reflex_recv(&g->questions[i].reflex, &d, t->eng->now_us) == SL_OK) {
			settle(g);
			return true;
		}
	return false;
}

static struct relay *relay_by_sock(const struct sl_gather *g, uint32_t sock)
{
	for (size_t i = 0; i < g->relay_count; i++)
		if (g->relays[i]->sock == sock && !g->relays[i]->dead)
			return g->relays[i];
	return NULL;
}

bool sl_gather_recv(struct sl_transport *t, const struct sl_in *in, struct sl_in *inner)
{
	struct sl_dgram d = {.path = in->path, .data = in->data, .len = in->len};
	struct relay *r = relay_by_sock(t->gather, in->path.sock);
	struct sl_turn_data data;

	inner->len = 0;
	if (!r)
		return false;
	if (sl_turn_recv(&r->turn, &d, t->eng->now_us, &data) == 1) {
		*inner = *in;
		inner->path = (struct sl_path){.remote = data.peer, .sock = number_of(r)};
		inner->data = in->data + (data.data - in->data);
		inner->len = data.len;
		return true;
	}
	settle(t->gather);
	sl_transport_drain_ice(t); /* there may be a candidate more */
	return true;
}

void sl_gather_sock_lost(struct sl_transport *t, uint32_t sock, const char *why)
{
	struct relay *r = t->gather ? relay_by_sock(t->gather, sock) : NULL;

	if (!r)
		return;
	sl_turn_closed(&r->turn, why, t->eng->now_us);
	settle(t->gather);
}

/* ---- out ---- */

static struct relay *relay_at(const struct sl_transport *t, const struct sl_path *path)
{
	return t->gather ? relay_by_sock(t->gather, path->sock & ~(uint32_t)SL_SOCK_RELAY) : NULL;
}

void sl_gather_permit(struct sl_transport *t, const struct sl_path *path)
{
	struct relay *r = relay_at(t, path);

	if (!r)
		return;
	(void)sl_turn_permit(&r->turn, &path->remote, t->eng->now_us);
	drain_relay(r);
	arm(t->gather);
}

void sl_gather_use(struct sl_transport *t, const struct sl_path *path)
{
	struct relay *r = relay_at(t, path);

	if (!r)
		return;
	(void)sl_turn_use(&r->turn, &path->remote, t->eng->now_us);
	drain_relay(r);
	arm(t->gather);
}

/* One datagram at a time: a copy, with the server's words around it. */
static void send_wrapped(struct sl_engine *e, struct relay *r, const struct sl_run *of,
			 const struct iovec *pkt)
{
	uint8_t buf[SL_TURN_HEAD + WRAPPED];
	size_t tail = 0;
	int head = pkt->iov_len > SL_FRAME_MAX
			   ? SL_ERANGE
			   : sl_turn_wrap(&r->turn, &of->path->remote, pkt->iov_len, buf, &tail);
	struct sl_path path = {.remote = r->server, .sock = r->sock};
	struct iovec iov = {.iov_base = buf};
	struct sl_run run = {.path = &path, .pkts = &iov, .count = 1, .tos = of->tos};

	if (head < 0) {
		sl_stat_inc(&e->stats, SL_STAT_tx_dropped);
		return;
	}
	memcpy(buf + head, pkt->iov_base, pkt->iov_len);
	memset(buf + head + pkt->iov_len, 0, tail);
	iov.iov_len = (size_t)head + pkt->iov_len + tail;
	e->io.send(e->io.arg, &run, 1);
}

void sl_relay_send(struct sl_engine *e, const struct sl_run *run)
{
	uint32_t number = run->path->sock;
	struct relay *r = sl_hash_get(&e->by_relay, &number, sizeof(number));

	for (int i = 0; i < run->count; i++)
		if (r)
			send_wrapped(e, r, run, &run->pkts[i]);
		else
			sl_stat_inc(&e->stats, SL_STAT_tx_dropped);
}

/* ---- asking ---- */

static int ask_stun(struct sl_gather *g, const struct sl_gather_conf *conf)
{
	struct sl_transport *t = g->t;
	const struct sl_engine_conf *ec = &t->eng->conf;

	g->stun = conf->stun;
	if (!conf->stun.family)
		return SL_OK;
	g->questions = sl_zalloc_array(SL_CORE_LOCALS_MAX, sizeof(*g->questions));
	if (!g->questions)
		return SL_ENOMEM;
	for (uint32_t i = 0; i < ec->local_count; i++) {
		const struct sl_addr *local = &ec->locals[i].addr;
		struct sl_path path = {.remote = conf->stun, .sock = i};
		struct question *q = &g->questions[g->question_count];

		if (!is_wanted(conf, local) || local->family != conf->stun.family ||
		    sl_addr_is_loopback(local) != sl_addr_is_loopback(&conf->stun))
			continue;
		q->local = i;
		sl_reflex_init(&q->reflex, &path, t->tid_tag, &t->eng->rng, t->eng->now_us);
		g->question_count++;
	}
	return SL_OK;
}

/* The address that the server is reached from: the first of its family. */
static bool pick_local(const struct sl_gather *g, const struct sl_gather_conf *conf,
		       const struct sl_addr *server, struct sl_addr *out)
{
	const struct sl_engine_conf *ec = &g->t->eng->conf;

	for (size_t i = 0; i < ec->local_count; i++) {
		const struct sl_addr *local = &ec->locals[i].addr;

		if (!is_wanted(conf, local) || local->family != server->family ||
		    sl_addr_is_loopback(local) != sl_addr_is_loopback(server))
			continue;
		*out = sl_addr_with_port(*local, 0);
		return true;
	}
	return false;
}

static int open_to_server(struct relay *r, const struct sl_turn_server *s,
			  const struct sl_addr *from)
{
	struct sl_stream_to to = {.bind = *from, .remote = s->addr, .framing = SL_FRAMING_TURN};
	char ip[SL_ADDR_TEXT];

	if (s->transport == SL_TURN_TLS)
		to.tls_host = s->host[0] ? s->host : sl_addr_ip_text(&s->addr, ip);
	return s->transport == SL_TURN_UDP ? sl_sock_open(r->t, from, &r->local)
					   : sl_sock_stream(r->t, &to, &r->local);
}

static int start_relay(struct relay *r, const struct sl_turn_server *s, const struct sl_addr *from)
{
	struct sl_engine *e = r->t->eng;
	struct sl_turn_conf tc = {.user = sl_str_z(s->user),
				  .password = sl_str_z(s->password),
				  .stream = s->transport != SL_TURN_UDP,
				  .tid_tag = r->t->tid_tag,
				  .rng = &e->rng};
	int number = open_to_server(r, s, from);
	uint32_t key;
	int err;

	if (number < 0)
		return number;
	r->sock = (uint32_t)number;
	tc.server = (struct sl_path){.remote = s->addr, .sock = r->sock};
	key = number_of(r);
	err = e->by_relay.max ? SL_OK : sl_hash_init(&e->by_relay, RELAYS_MAX, e->hash_secret);
	if (!err)
		err = sl_turn_init(&r->turn, &tc, e->now_us);
	if (!err)
		err = sl_hash_put(&e->by_relay, &key, sizeof(key), r);
	if (err)
		sl_sock_close(r->t, r->sock);
	return err;
}

static int ask_turn(struct sl_gather *g, const struct sl_gather_conf *conf, size_t i)
{
	const struct sl_turn_server *s = &conf->turn[i];
	struct relay *r = sl_zalloc(sizeof(*r));
	struct sl_addr from;
	int err;

	if (!r)
		return SL_ENOMEM;
	r->t = g->t;
	r->transport = s->transport;
	r->server = s->addr;
	r->rank = (uint32_t)g->relay_count;
	err = pick_local(g, conf, &s->addr, &from) ? start_relay(r, s, &from) : SL_ENOTFOUND;
	if (err == SL_OK) {
		g->relays[g->relay_count++] = r;
		return SL_OK;
	}
	if (err != SL_ENOMEM)
		tell_relay_failed(r, err == SL_ENOTFOUND ? "no address of ours is of its family"
							 : sl_strerror(err));
	sl_free(r);
	return err == SL_ENOMEM ? err : SL_OK;
}

/* ---- making and ending ---- */

void sl_gather_stop(struct sl_transport *t)
{
	struct sl_gather *g = t->gather;

	if (!g)
		return;
	sl_timer_arm(&t->eng->wheel, &g->timer, SL_NEVER);
	for (size_t i = 0; i < g->relay_count; i++) {
		struct relay *r = g->relays[i];
		struct sl_dgram out;

		if (r->dead)
			continue;
		sl_turn_close(&r->turn, t->eng->now_us); /* the server gets its port back */
		while (sl_turn_pull(&r->turn, &out))
			sl_send_plain(t->eng, &out.path, out.data, out.len);
		end_relay(r);
	}
}

void sl_gather_free(struct sl_transport *t)
{
	struct sl_gather *g = t->gather;

	if (!g)
		return;
	sl_gather_stop(t);
	for (size_t i = 0; i < g->relay_count; i++)
		sl_free(g->relays[i]);
	sl_free(g->questions);
	sl_free(g);
	t->gather = NULL;
}

/* Sockets that are not to be used stay out of the pairs. */
static void leave_out(struct sl_transport *t, const struct sl_gather_conf *conf)
{
	const struct sl_engine_conf *ec = &t->eng->conf;

	for (uint32_t i = 0; i < ec->local_count; i++)
		if (!is_wanted(conf, &ec->locals[i].addr))
			sl_ice_sock_lost(&t->ice, i, t->eng->now_us);
}

static int start(struct sl_gather *g, const struct sl_gather_conf *conf)
{
	int err = ask_stun(g, conf);

	for (size_t i = 0; !err && i < SL_MIN(conf->turn_count, (size_t)SL_TURN_SERVERS_MAX); i++)
		err = ask_turn(g, conf, i);
	return err;
}

static struct sl_gather *make(struct sl_transport *t)
{
	struct sl_gather *g = sl_zalloc(sizeof(*g));

	if (!g)
		return NULL;
	g->t = t;
	sl_timer_init(&g->timer, on_timer);
	t->gather = g;
	return g;
}

/* Allocations end with the gathering that they are of, so those in use are not asked for again. */
static bool is_in_use(const struct sl_transport *t)
{
	const struct sl_path *path = sl_ice_path(&t->ice);

	return t->gather && path && path->sock & SL_SOCK_RELAY;
}

static void tell_again(struct sl_transport *t)
{
	for (size_t i = 0; i < t->gather->relay_count; i++) {
		struct relay *r = t->gather->relays[i];

		if (!r->dead && sl_turn_is_up(&r->turn))
			on_allocated(r, &(struct sl_turn_event){.relayed = r->turn.relayed,
								.mapped = r->turn.mapped});
	}
	tell(t, SL_EV_GATHERED, NULL);
}

int sl_transport_gather(struct sl_transport *t, const struct sl_gather_conf *conf)
{
	const struct sl_engine_conf *ec = &t->eng->conf;
	int err;

	if (!t->watch || t->plain)
		return SL_ESTATE;
	for (size_t i = 0; i < ec->local_count; i++)
		if (is_wanted(conf, &ec->locals[i].addr))
			tell_host(t, conf, i);
	leave_out(t, conf);
	if (is_in_use(t)) {
		tell_again(t);
		return SL_OK;
	}
	sl_gather_free(t);
	err = make(t) ? start(t->gather, conf) : SL_ENOMEM;
	if (err) {
		sl_gather_free(t);
		return err;
	}
	settle(t->gather);
	return SL_OK;
}
