/* SPDX-License-Identifier: Apache-2.0
 * tests/core/sim.c — the virtual network and clock, and what engines ask of their surroundings. */
#include "tests/core/sim.h"
#include "core/base/mem.h"
#include "tests/lib/engine_empty.h"
#include <stdlib.h>
#include <time.h>

enum {
	JOB_US = 4000,
	BATCH = 64,
	WAKE_US = 500,
	SEEN_STREAMS = 16,
	SEEN_SLOTS = 8192,
	OOM_RUNS = 200,
	PORT = 10000
};
#define START_US (INT64_C(1000) * SL_SEC)
#define WALL_S INT64_C(1800000000)

static struct sim sim;
static struct sl_cert *cert;

/* mbedTLS writes the wall clock into its hellos. */
time_t time(time_t *out)
{
	time_t t = (time_t)(WALL_S + sim.now_us / SL_SEC);

	if (out)
		*out = t;
	return t;
}

__attribute__((constructor)) static void make_cert(void)
{
	struct sl_test_rng state;
	struct sl_rng rng = sl_test_rng(&state, 4711);

	if (sl_cert_new(&rng, WALL_S * SL_SEC, &cert))
		abort();
}

const struct sl_cert *sim_cert(void)
{
	return cert;
}

void sim_no_oom(void)
{
	for (int i = 0; i < OOM_RUNS; i++) {
		void *p = sl_zalloc(1);

		TRY(p ? SL_OK : SL_ENOMEM);
		sl_free(p);
	}
}

/* ---- what goes out under one index (T11) ---- */

struct sim_seen {
	uint32_t ssrc[SEEN_STREAMS];
	uint64_t top[SEEN_STREAMS];
	uint64_t index[SEEN_STREAMS][SEEN_SLOTS];
	uint64_t hash[SEEN_STREAMS][SEEN_SLOTS];
};

static uint64_t fnv(uint64_t h, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * UINT64_C(1099511628211);
	return h;
}

static void check_rtp_index(struct sim_peer *sp, const uint8_t *data, size_t len)
{
	uint8_t copy[SIM_DGRAM];
	struct sl_rtp rtp;
	uint64_t index;
	uint64_t hash;
	unsigned i = 0;
	size_t at;

	if (!sp->seen)
		sp->seen = sl_zalloc(sizeof(*sp->seen));
	TRY(sp->seen ? SL_OK : SL_ENOMEM);
	CHECK(len <= sizeof(copy));
	memcpy(copy, data, len);
	copy[0] &= 0xdf; /* how much of it is padding is sealed */
	CHECK(sl_rtp_read(copy, len, &rtp) == SL_OK && rtp.payload_len >= 10);
	while (i < SEEN_STREAMS && sp->seen->ssrc[i] != rtp.ssrc && sp->seen->ssrc[i])
		i++;
	CHECK(i < SEEN_STREAMS);
	sp->seen->top[i] = sp->seen->ssrc[i] ? sp->seen->top[i] : UINT64_C(65536) + rtp.seq;
	sp->seen->ssrc[i] = rtp.ssrc;
	index = sl_seq16_extend(sp->seen->top[i], rtp.seq);
	sp->seen->top[i] = SL_MAX(sp->seen->top[i], index);
	hash = fnv(1, data + rtp.payload_off, rtp.payload_len - 10u);
	at = index % SEEN_SLOTS;
	if (sp->seen->index[i][at] == index)
		CHECK(sp->seen->hash[i][at] == hash);
	sp->seen->index[i][at] = index;
	sp->seen->hash[i][at] = hash;
}

static void check_rtcp_index(struct sim_peer *sp, const uint8_t *data, size_t len)
{
	uint32_t index = sl_get32(data + len - 14) & 0x7fffffff;

	CHECK(!sp->srtcp_started || index > sp->srtcp_top);
	sp->srtcp_started = true;
	sp->srtcp_top = index;
}

static void check_index(struct sim_peer *sp, const uint8_t *data, size_t len)
{
	if (len < 14 || data[0] < 128 || data[0] > 191 ||
	    (sp->sim->conf.fixed_keys && sp->sim->conf.impl == SL_SRTP_NULL))
		return;
	if (sl_is_rtcp(data, len))
		check_rtcp_index(sp, data, len);
	else
		check_rtp_index(sp, data, len);
}

/* ---- datagrams on the way ---- */

struct sim_dgram {
	int64_t at_us; /* it arrives */
	uint64_t serial;
	bool to_server;
	unsigned loop;
	unsigned sock; /* as in struct sim_way */
	struct sl_addr from, to;
	size_t len;
	uint8_t data[SIM_DGRAM];
};

static bool before(const struct sim_dgram *a, const struct sim_dgram *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->serial < b->serial;
}

static void swap(struct sim_dgram **a, struct sim_dgram **b)
{
	struct sim_dgram *t = *a;

	*a = *b;
	*b = t;
}

static void heap_push(struct sim *s, struct sim_dgram *d)
{
	size_t i = s->heap_count++;

	if (i == s->heap_cap) {
		s->heap_cap = s->heap_cap ? s->heap_cap * 2 : 256;
		s->heap = realloc(s->heap, s->heap_cap * sizeof(struct sim_dgram *));
		SL_ASSERT(s->heap);
	}
	s->heap[i] = d;
	for (; i > 0 && before(s->heap[i], s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&s->heap[i], &s->heap[(i - 1) / 2]);
}

static struct sim_dgram *heap_pop(struct sim *s)
{
	struct sim_dgram *top = s->heap[0];
	size_t i = 0;

	s->heap[0] = s->heap[--s->heap_count];
	for (;;) {
		size_t least = i;

		for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < s->heap_count; k++)
			if (before(s->heap[k], s->heap[least]))
				least = k;
		if (least == i)
			return top;
		swap(&s->heap[i], &s->heap[least]);
		i = least;
	}
}

static void put(struct sim *s, const struct sim_dgram *head, const uint8_t *data, size_t len)
{
	struct sim_dgram *d = malloc(sizeof(*d));

	SL_ASSERT(d && len <= SIM_DGRAM);
	*d = *head;
	d->serial = s->serial++;
	d->len = len;
	memcpy(d->data, data, len);
	heap_push(s, d);
}

static bool chance(struct sim *s, unsigned percent)
{
	return percent > 0 && sl_rng_u32(&s->link_rng) % 100 < percent;
}

static void send_over(struct sim_peer *sp, struct sim_link *l, struct sim_dgram *head,
		      const uint8_t *data, size_t len)
{
	struct sim *s = sp->sim;
	bool kept = !s->tap || s->tap(s, sp, head->to_server, data, len);
	int64_t at_us = s->now_us + l->delay_us;

	s->trace = fnv(s->trace ^ (uint64_t)s->now_us, data, len);
	l->packets++;
	l->bytes += len;
	if (!kept || l->down || chance(s, l->loss)) {
		l->lost++;
		return;
	}
	if (l->jitter_us)
		at_us += sl_rng_u32(&s->link_rng) % (uint32_t)l->jitter_us;
	if (chance(s, l->reorder))
		at_us += l->reorder_us;
	else
		at_us = l->last_us = SL_MAX(at_us, l->last_us);
	head->at_us = at_us;
	put(s, head, data, len);
	if (!chance(s, l->duplicate))
		return;
	head->at_us = at_us + 3 * SL_MS;
	put(s, head, data, len);
}

struct sl_addr sim_server(unsigned loop)
{
	uint16_t port = (uint16_t)(PORT + loop);

	if (sim.conf.ipv6)
		return (struct sl_addr){
			.ip = {0x20, 1, 0x0d, 0xb8, [15] = 1}, .port = port, .family = 6};
	return sl_addr_v4(192, 0, 2, 1, port);
}

void sim_up(void *arg, const struct sl_path *path, const uint8_t *data, size_t len)
{
	struct sim_peer *sp = arg;
	struct sim_dgram head = {
		.to_server = true, .loop = sp->loop, .from = sp->addr, .to = path->remote};

	struct sim_way way = {.from = sp->addr, .len = len};

	if (sl_addr_eq(&path->remote, &(struct sl_addr){0}))
		return;
	CHECK(len <= sizeof(way.data));
	memcpy(way.data, data, len);
	if (!sim_net_up(sp, &way, &path->remote))
		return;
	head.sock = way.sock;
	head.from = way.from;
	send_over(sp, &sp->up, &head, way.data, way.len);
}

void sim_to_engine(struct sim *s, unsigned loop, unsigned sock, const struct sl_addr *from,
		   const uint8_t *data, size_t len)
{
	struct sim_dgram head = {.to_server = true,
				 .loop = loop,
				 .sock = sock,
				 .from = *from,
				 .to = sim_server(loop),
				 .at_us = s->now_us + 5 * SL_MS};

	put(s, &head, data, len);
}

void sim_inject(struct sim *s, unsigned loop, const struct sl_addr *from, const void *data,
		size_t len)
{
	struct sim_dgram head = {.to_server = true,
				 .loop = loop,
				 .from = *from,
				 .to = sim_server(loop),
				 .at_us = s->now_us};

	put(s, &head, data, len);
}

struct sim_peer *sim_by_addr(struct sim *s, const struct sl_addr *a)
{
	for (unsigned i = s->peer_count; i-- > 0;)
		if (s->peers[i]->p && sl_addr_eq(&s->peers[i]->addr, a))
			return s->peers[i];
	return NULL;
}

/* ---- what engines ask for ---- */

unsigned sim_loop_of(void *engine)
{
	return (unsigned)((struct sl_engine *)engine - sim.engines);
}

void sim_down(struct sim_peer *sp, const struct sl_addr *from, const struct sl_run *run,
	      const struct iovec *pkt)
{
	struct sim_dgram head = {.loop = sp->loop, .from = *from, .to = sp->addr};

	sp->longest = SL_MAX(sp->longest, pkt->iov_len);
	sp->unmarked += run->tos != sp->sim->conf.dscp << 2;
	check_index(sp, pkt->iov_base, pkt->iov_len);
	send_over(sp, &sp->down, &head, pkt->iov_base, pkt->iov_len);
}

static void send_one(struct sim *s, unsigned loop, const struct sl_run *run,
		     const struct iovec *pkt)
{
	struct sl_addr from = sim_server(loop);
	struct sim_peer *sp = sim_by_addr(s, &run->path->remote);

	if (sim_net_send(s, loop, run, pkt))
		return;
	if (sp && !s->conf.relayed && !s->conf.tcp) {
		sim_down(sp, &from, run, pkt);
	} else {
		s->stray_packets++;
		s->stray_bytes += pkt->iov_len;
	}
}

/* What UDP_SEGMENT asks of a run. */
static void check_run(const struct sl_run *run)
{
	size_t sum = 0;

	CHECK(run->count >= 1 && run->count <= SL_RUN_PKTS);
	for (int i = 0; i < run->count; i++) {
		CHECK(run->pkts[i].iov_len <= run->pkts[0].iov_len);
		CHECK(run->pkts[i].iov_len == run->pkts[0].iov_len || i == run->count - 1);
		sum += run->pkts[i].iov_len;
	}
	CHECK(run->count == 1 || sum <= SL_RUN_BYTES);
}

static void io_send(void *arg, struct sl_run *runs, int n)
{
	struct sim *s = &sim;

	for (int i = 0; i < n; i++) {
		check_run(&runs[i]);
		s->runs += runs[i].count > 1;
		for (int k = 0; k < runs[i].count; k++)
			send_one(s, sim_loop_of(arg), &runs[i], &runs[i].pkts[k]);
		runs[i].refused = runs[i].count > 1 && s->refuse_runs;
	}
}

static bool io_handshake(void *arg, struct sl_hs *hs)
{
	struct sim *s = &sim;

	(void)arg;
	if (s->job_count == SL_COUNT(s->jobs) || (s->job_max && s->job_count >= s->job_max))
		return false;
	s->jobs[s->job_count++] = (struct sim_job){.hs = hs, .at_us = s->now_us + JOB_US};
	return true;
}

static struct sl_relay_msg *io_relay_slot(void *arg, unsigned loop, uint32_t reserve)
{
	return loop < sim.conf.loops ? sl_ring_slot(&sim.rings[sim_loop_of(arg)][loop], reserve) : NULL;
}

static void io_relay_push(void *arg, unsigned loop)
{
	sl_ring_push(&sim.rings[sim_loop_of(arg)][loop]);
}

static bool io_event(void *arg, const struct sl_core_event *ev)
{
	struct sim *s = &sim;

	(void)arg;
	if (s->no_events)
		return false;
	if (s->event_count < SIM_EVENTS)
		s->events[s->event_count++] = (struct sim_event){.at_us = s->now_us, .ev = *ev};
	return true;
}

/* ---- making and ending ---- */

static uint32_t or (uint32_t value, uint32_t usual)
{
	return value ? value : usual;
}

static int init_engine(struct sim *s, unsigned loop)
{
	struct sl_engine_conf ec = {
		.loop = loop,
		.max_transports = or (s->conf.max_transports, 1024),
		.max_tracks = 1024,
		.max_packets = or (s->conf.max_packets, 4096),
		.max_handshakes = or (s->conf.max_handshakes, 128),
		.max_checks = s->conf.max_checks,
		.ice_timeout_us = s->conf.ice_timeout_us ? s->conf.ice_timeout_us : 15 * SL_SEC,
		.ntp_offset_us = (WALL_S + INT64_C(2208988800)) * SL_SEC,
		.max_video_bps = s->conf.max_video_bps,
		.gso = !s->conf.no_gso,
		.gso_padding = !s->conf.no_gso,
		.cert = cert,
		.local_count = 1};
	struct sl_engine_io io = {.arg = &s->engines[loop],
				  .send = io_send,
				  .handshake = io_handshake,
				  .relay_slot = io_relay_slot,
				  .relay_push = io_relay_push,
				  .event = io_event,
				  .sock_open = sim_sock_open,
				  .stream_open = sim_stream_open,
				  .sock_give = sim_sock_give,
				  .sock_close = sim_sock_close};

	ec.tcp = s->conf.tcp;
	ec.locals[0] = (struct sl_ice_cand){.addr = sim_server(loop),
					    .type = SL_ICE_HOST,
					    .foundation = "1",
					    .priority = sl_ice_priority(SL_ICE_HOST, 65535)};
	return sl_engine_init(&s->engines[loop], &ec, &io, &s->rng, s->now_us);
}

static int init_rings(struct sim *s)
{
	int err = SL_OK;

	for (unsigned i = 0; i < s->conf.loops && !err; i++)
		for (unsigned k = 0; k < s->conf.loops && !err; k++)
			if (i != k)
				err = sl_ring_init(&s->rings[i][k], sizeof(struct sl_relay_msg),
						   SL_RELAY_SLOTS);
	return err;
}

static void drop_jobs(struct sim *s)
{
	for (size_t i = 0; i < s->job_count; i++)
		s->jobs[i].hs->busy = false;
	s->job_count = 0;
}

static void sim_fini(void *arg)
{
	struct sim *s = arg;

	drop_jobs(s);
	for (unsigned i = 0; i < s->conf.loops; i++)
		sl_engine_fini(&s->engines[i]);
	for (unsigned i = 0; i < SIM_LOOPS; i++)
		for (unsigned k = 0; k < SIM_LOOPS; k++)
			sl_ring_fini(&s->rings[i][k]);
	for (unsigned i = 0; i < s->peer_count; i++) {
		peer_free(s->peers[i]->p);
		sl_free(s->peers[i]->conf);
		sl_free(s->peers[i]->seen);
		sl_free(s->peers[i]);
	}
	while (s->heap_count > 0)
		free(s->heap[--s->heap_count]);
	free(s->heap);
	memset(s, 0, sizeof(*s));
}

struct sim *sim_new(const struct sim_conf *conf)
{
	struct sim *s = &sim;

	sim_fini(s); /* of the same test */
	s->conf = *conf;
	s->conf.loops = or (conf->loops, 2);
	s->now_us = s->end_us = START_US;
	s->trace = 1;
	s->rng = sl_test_rng(&s->rng_state[0], conf->seed * 4);
	s->link_rng = sl_test_rng(&s->rng_state[1], conf->seed * 4 + 1);
	s->peer_rng = sl_test_rng(&s->rng_state[2], conf->seed * 4 + 2);
	s->worker_rng = sl_test_rng(&s->rng_state[3], conf->seed * 4 + 3);
	DEFER(sim_fini, s);
	TRY(init_rings(s));
	for (unsigned i = 0; i < s->conf.loops; i++)
		TRY(init_engine(s, i));
	return s;
}

void sim_check_empty(const struct sim *s)
{
	for (unsigned i = 0; i < s->conf.loops; i++)
		engine_check_empty(&s->engines[i]);
	CHECK_EQ(sim_socks(s) + sim_allocs(s), 0);
}

/* ---- running ---- */

static void end_wake(struct sim *s, unsigned loop)
{
	struct sl_engine *e = &s->engines[loop];

	sl_engine_tick(e, s->now_us);
	sl_engine_flush(e);
	s->engine_due_us[loop] =
		SL_MAX(sl_engine_deadline_us(e), s->now_us / SL_MS * SL_MS + SL_MS);
}

static bool run_relays(struct sim *s, unsigned to)
{
	bool any = false;

	for (unsigned from = 0; from < s->conf.loops; from++) {
		struct sl_relay_msg *m;

		while (from != to && (m = sl_ring_peek(&s->rings[from][to]))) {
			sl_engine_relay(&s->engines[to], from, m, s->now_us);
			sl_ring_pop(&s->rings[from][to]);
			any = true;
		}
	}
	return any;
}

static void run_all_relays(struct sim *s)
{
	bool any = !s->relays_stuck;

	while (any) {
		any = false;
		for (unsigned i = 0; i < s->conf.loops; i++)
			if (run_relays(s, i)) {
				end_wake(s, i);
				any = true;
			}
	}
}

/* All that has come for one loop by now, as one batch; a loop is woken at most every WAKE_US. */
static void deliver_to_engine(struct sim *s, unsigned loop)
{
	struct sim_dgram *d[BATCH];
	struct sl_in in[BATCH];
	int n = 0;

	while (n < BATCH && s->heap_count && s->heap[0]->at_us <= s->now_us &&
	       s->heap[0]->to_server && s->heap[0]->loop == loop) {
		const struct sim_sock *k;

		d[n] = heap_pop(s);
		in[n] = (struct sl_in){.path = {.remote = d[n]->from},
				       .data = d[n]->data,
				       .len = d[n]->len,
				       .rx_us = d[n]->at_us};
		k = d[n]->sock ? &s->socks[d[n]->sock - 1] : NULL;
		if (k) {
			in[n].path.sock = k->number;
			in[n].owner = k->owner;
		}
		if (k && !k->used)
			free(d[n]);
		else
			n++;
		if (k)
			break; /* it may change owners */
	}
	sl_engine_recv(&s->engines[loop], in, n, s->now_us);
	end_wake(s, loop);
	for (int i = 0; i < n; i++)
		free(d[i]);
}

void sim_refresh(struct sim_peer *sp)
{
	sp->due_us = sp->p ? SL_MAX(peer_deadline_us(sp->p), sp->sim->now_us + 100) : SL_NEVER;
}

static void deliver_to_peer(struct sim *s)
{
	struct sim_dgram *d = heap_pop(s);
	struct sim_peer *sp = sim_by_addr(s, &d->to);
	struct sl_path path = {.remote = d->from};

	if (sp) {
		peer_recv(sp->p, &path, d->data, d->len, s->now_us);
		sim_refresh(sp);
	}
	free(d);
}

static void deliver(struct sim *s)
{
	while (s->heap_count && s->heap[0]->at_us <= s->now_us) {
		if (s->heap[0]->to_server)
			deliver_to_engine(s, s->heap[0]->loop);
		else
			deliver_to_peer(s);
		run_all_relays(s);
	}
}

/* Keys instead of a handshake: the first step is the last. */
static void fix_keys(struct sim *s, struct sl_hs *hs)
{
	struct sim_peer *sp = NULL;

	for (unsigned i = 0; i < s->peer_count; i++)
		if (s->peers[i]->transport == hs->transport)
			sp = s->peers[i];
	sl_hs_clear(&hs->in);
	sl_hs_clear(&hs->out);
	hs->deadline_us = SL_NEVER;
	hs->state = SL_DTLS_CONNECTED;
	if (!sp || hs->keys_taken)
		return;
	hs->keys_taken = sl_srtp_key_new(s->conf.impl, &sp->keys[0], false, &hs->rx_key) == SL_OK &&
			 sl_srtp_key_new(s->conf.impl, &sp->keys[1], true, &hs->tx_key) == SL_OK;
}

static void run_jobs(struct sim *s)
{
	while (s->job_count && s->jobs[0].at_us <= s->now_us) {
		struct sl_hs *hs = s->jobs[0].hs;
		unsigned loop = hs->loop;

		s->job_count--;
		memmove(&s->jobs[0], &s->jobs[1], s->job_count * sizeof(s->jobs[0]));
		if (s->conf.fixed_keys)
			fix_keys(s, hs);
		else
			sl_hs_run(hs, &s->worker_rng);
		sl_engine_handshake(&s->engines[loop], hs, s->now_us);
		end_wake(s, loop);
		run_all_relays(s);
	}
}

static void tick_peers(struct sim *s)
{
	for (unsigned i = 0; i < s->peer_count; i++)
		if (s->peers[i]->due_us <= s->now_us) {
			peer_tick(s->peers[i]->p, s->now_us);
			sim_refresh(s->peers[i]);
		}
}

static int64_t next_us(const struct sim *s)
{
	int64_t at_us = s->job_count ? s->jobs[0].at_us : SL_NEVER;

	if (s->heap_count && s->heap[0]->to_server)
		at_us = SL_MIN(at_us, (s->heap[0]->at_us + WAKE_US - 1) / WAKE_US * WAKE_US);
	else if (s->heap_count)
		at_us = SL_MIN(at_us, s->heap[0]->at_us);
	for (unsigned i = 0; i < s->conf.loops; i++)
		at_us = SL_MIN(at_us, s->engine_due_us[i]);
	for (unsigned i = 0; i < s->peer_count; i++)
		at_us = SL_MIN(at_us, s->peers[i]->due_us);
	return SL_MAX(at_us, s->now_us);
}

static bool step(struct sim *s)
{
	int64_t at_us = next_us(s);

	if (at_us > s->end_us)
		return false;
	s->now_us = at_us;
	deliver(s);
	run_jobs(s);
	for (unsigned i = 0; i < s->conf.loops; i++)
		if (s->engine_due_us[i] <= s->now_us)
			end_wake(s, i);
	run_all_relays(s);
	tick_peers(s);
	return true;
}

/* Once an allocation has failed, a while longer to see that all goes on, and then the run has
 * nothing more to say. */
static void stop_without_memory(struct sim *s)
{
	if (!sl_test_oom_fired())
		return;
	s->end_us = s->now_us + SL_SEC;
	while (step(s))
		;
	sl_test_oom_stop();
}

void sim_run(struct sim *s, int64_t for_us)
{
	s->end_us = s->now_us + for_us;
	for (unsigned i = 0; i < s->peer_count; i++)
		sim_refresh(s->peers[i]);
	while (step(s))
		stop_without_memory(s);
	s->now_us = s->end_us;
}

bool sim_until(struct sim *s, bool (*done)(void *arg), void *arg, int64_t max_us)
{
	int64_t end_us = s->now_us + max_us;

	while (!done(arg)) {
		if (s->now_us >= end_us)
			return false;
		sim_run(s, 5 * SL_MS);
	}
	return true;
}

int sim_command(struct sim *s, unsigned loop, struct sl_cmd *cmd)
{
	sl_engine_command(&s->engines[loop], cmd, s->now_us);
	end_wake(s, loop);
	run_all_relays(s);
	return cmd->reply.err;
}
