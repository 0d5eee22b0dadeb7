/* SPDX-License-Identifier: Apache-2.0
 * core/engine.c — a media loop without its IO: set-up, the packet pool and the egress batch. */
#include "core/core_int.h"
#include "core/base/mem.h"

enum { SINGLE_US = 60 * 1000000 };

static int init_tables(struct sl_engine *e)
{
	uint32_t max = e->conf.max_transports;
	int err = sl_hash_init(&e->by_ufrag, 2 * max, e->hash_secret);

	if (!err)
		err = sl_hash_init(&e->by_path, SL_PATHS_MAX * max, e->hash_secret);
	if (!err)
		err = sl_hash_init(&e->by_tid, max, e->hash_secret);
	if (!err)
		err = sl_hash_init(&e->by_publisher, e->conf.max_tracks, e->hash_secret);
	return err;
}

static int init_pools(struct sl_engine *e)
{
	const struct sl_engine_conf *c = &e->conf;
	uint8_t loop = (uint8_t)c->loop;
	int err = sl_pool_init(&e->transports, sizeof(struct sl_transport), c->max_transports, 16,
			       loop | SL_ID_TRANSPORT);

	if (!err)
		err = sl_pool_init(&e->publishers, sizeof(struct sl_publisher), c->max_tracks, 32,
				   loop);
	if (!err)
		err = sl_pool_init(&e->subscribers, sizeof(struct sl_subscriber), c->max_tracks, 32,
				   loop | SL_ID_SUBSCRIBER);
	if (!err)
		err = sl_pool_init(&e->replicas, sizeof(struct sl_replica), c->max_tracks, 16,
				   loop | SL_ID_INNER);
	if (!err)
		err = sl_pool_init(&e->handshakes, sizeof(struct sl_hs), c->max_handshakes, 4,
				   loop | SL_ID_INNER);
	if (!err)
		err = sl_pool_init(&e->sources, sizeof(struct sl_source), c->max_tracks * 4, 64,
				   loop | SL_ID_INNER);
	if (!err)
		err = sl_slab_init(&e->packets, SL_PKT_BLOCK, c->max_packets);
	return err;
}

/* Runs only while datagrams wait, and until all is as it was. */
static void look_at_load(struct sl_timer *t, int64_t now_us)
{
	struct sl_engine *e = SL_CONTAINER(t, struct sl_engine, load_timer);

	if (sl_load_tick(&e->load, now_us))
		sl_engine_event(e, &(struct sl_core_event){.type = SL_EV_LOAD,
							   .loop = e->conf.loop,
							   .busy = e->load.busy,
							   .shed = e->load.shed});
	if (e->load.busy)
		sl_timer_arm_by(&e->wheel, t, now_us + SL_LOAD_WINDOW_US);
}

int sl_engine_init(struct sl_engine *e, const struct sl_engine_conf *conf,
		   const struct sl_engine_io *io, const struct sl_rng *rng, int64_t now_us)
{
	int err;

	memset(e, 0, sizeof(*e));
	e->conf = *conf;
	e->io = *io;
	e->rng = *rng;
	e->now_us = now_us;
	sl_wheel_init(&e->wheel, now_us);
	sl_load_init(&e->load, now_us);
	sl_timer_init(&e->load_timer, look_at_load);
	sl_list_init(&e->hs_list);
	sl_list_init(&e->dead);
	sl_list_init(&e->queued);
	e->batch = 1;
	e->checks.per_second = conf->max_checks;
	e->send_time_us = -1;
	sl_rng_fill(rng, e->hash_secret, sizeof(e->hash_secret));
	e->egress = sl_zalloc_array(SL_BATCH, sizeof(*e->egress));
	e->pending = sl_zalloc_array(SL_BATCH, sizeof(*e->pending));
	e->late = sl_zalloc_array(SL_LATE_MAX, sizeof(*e->late));
	err = e->egress && e->pending && e->late ? init_tables(e) : SL_ENOMEM;
	if (!err)
		err = init_pools(e);
	if (!err)
		err = sl_srtp_mgr_new(NULL, &e->srtp);
	if (err)
		sl_engine_fini(e);
	return err;
}

static void free_transports(struct sl_engine *e)
{
	uint32_t cursor = 0;
	uint64_t id;
	struct sl_transport *t;

	while ((t = sl_pool_next(&e->transports, &cursor, &id)))
		sl_transport_close(t, SL_CLOSE_SHUTDOWN);
	sl_engine_flush(e);
	sl_transport_bury(e);
}

static bool swallow_event(void *arg, const struct sl_core_event *ev)
{
	(void)arg;
	(void)ev;
	return true;
}

static void free_handshakes(struct sl_engine *e)
{
	uint32_t cursor = 0;
	uint64_t id;
	struct sl_hs *hs;

	while ((hs = sl_pool_next(&e->handshakes, &cursor, &id))) {
		sl_hs_fini(hs);
		sl_pool_put(&e->handshakes, id);
	}
}

static void free_replicas(struct sl_engine *e)
{
	uint32_t cursor = 0;
	uint64_t id;
	struct sl_replica *r;

	while ((r = sl_pool_next(&e->replicas, &cursor, &id)))
		sl_replica_gone(r);
}

void sl_engine_fini(struct sl_engine *e)
{
	if (!e->egress && !e->pending && !e->late)
		return;
	e->io.event = swallow_event;
	if (e->egress && e->pending && e->late) {
		free_transports(e);
		free_handshakes(e);
		free_replicas(e);
	}
	sl_pool_fini(&e->transports);
	sl_pool_fini(&e->publishers);
	sl_pool_fini(&e->subscribers);
	sl_pool_fini(&e->replicas);
	sl_pool_fini(&e->handshakes);
	sl_pool_fini(&e->sources);
	sl_slab_fini(&e->packets);
	sl_hash_fini(&e->by_ufrag);
	sl_hash_fini(&e->by_path);
	sl_hash_fini(&e->by_tid);
	sl_hash_fini(&e->by_publisher);
	sl_hash_fini(&e->by_relay);
	sl_free(e->egress);
	sl_free(e->pending);
	sl_free(e->late);
	sl_srtp_mgr_free(e->srtp);
	memset(e, 0, sizeof(*e));
}

void sl_engine_close_all(struct sl_engine *e, int64_t now_us)
{
	e->now_us = now_us;
	free_transports(e);
}

/* ---- what has to be said, now or later ---- */

static bool say_message(struct sl_engine *e, const struct sl_late *msg)
{
	struct sl_relay_msg *m = e->io.relay_slot(e->io.arg, msg->loop, 0);

	if (!m)
		return false;
	m->type = msg->type;
	m->publisher = msg->publisher;
	m->bps = msg->bps;
	e->io.relay_push(e->io.arg, msg->loop);
	return true;
}

static void keep_late(struct sl_engine *e, const struct sl_late *late)
{
	if (e->late_count == SL_LATE_MAX) {
		sl_stat_inc(&e->stats, SL_STAT_late_dropped);
		return;
	}
	e->late[(e->late_first + e->late_count++) % SL_LATE_MAX] = *late;
}

static void say_late(struct sl_engine *e)
{
	while (e->late_count > 0) {
		const struct sl_late *l = &e->late[e->late_first];

		if (l->event ? !e->io.event(e->io.arg, &l->ev) : !say_message(e, l))
			return;
		e->late_first = (e->late_first + 1) % SL_LATE_MAX;
		e->late_count--;
	}
}

static void tell(struct sl_engine *e, const struct sl_late *msg)
{
	if (e->late_count > 0 || !say_message(e, msg))
		keep_late(e, msg);
}

void sl_engine_tell(struct sl_engine *e, unsigned loop, enum sl_relay_type type, uint64_t publisher)
{
	tell(e, &(struct sl_late){.loop = loop, .type = type, .publisher = publisher});
}

void sl_engine_tell_wish(struct sl_engine *e, unsigned loop, uint64_t publisher, uint32_t bps)
{
	tell(e, &(struct sl_late){
			.loop = loop, .type = SL_RELAY_WISH, .publisher = publisher, .bps = bps});
}

void sl_engine_event(struct sl_engine *e, const struct sl_core_event *ev)
{
	if (e->late_count == 0 && e->io.event(e->io.arg, ev))
		return;
	keep_late(e, &(struct sl_late){.event = true, .ev = *ev});
}

void sl_engine_waited(struct sl_engine *e, int64_t wait_us, int64_t now_us)
{
	sl_load_waited(&e->load, wait_us);
	if (wait_us >= SL_LOAD_NOTABLE_US)
		sl_timer_arm_by(&e->wheel, &e->load_timer, now_us + SL_LOAD_WINDOW_US);
}

void sl_engine_tick(struct sl_engine *e, int64_t now_us)
{
	e->now_us = now_us;
	sl_wheel_advance(&e->wheel, now_us);
	say_late(e);
	if (!sl_list_empty(&e->dead))
		sl_transport_bury(e);
}

int64_t sl_engine_deadline_us(const struct sl_engine *e)
{
	int64_t due_us = sl_wheel_next_us(&e->wheel);

	/* An event that found no room is tried again soon. */
	if (!sl_list_empty(&e->dead) || e->late_count > 0)
		due_us = SL_MIN(due_us, e->now_us + 5 * SL_MS);
	return due_us;
}

/* ---- packets ---- */

struct sl_pkt *sl_pkt_new(struct sl_engine *e)
{
	struct sl_pkt *p;

	/* What rings keep is for retransmissions; new packets come first (M7). */
	if (e->packets.nfree < e->packets.count / 8)
		sl_replica_reclaim(e);
	p = sl_slab_get(&e->packets);
	if (!p) {
		sl_stat_inc(&e->stats, SL_STAT_demux_no_memory);
		return NULL;
	}
	p->refs = 1;
	p->vp8.desc_len = 0;
	p->keyframe = false;
	return p;
}

void sl_pkt_unref(struct sl_engine *e, struct sl_pkt *p)
{
	if (p && --p->refs == 0)
		sl_slab_put(&e->packets, p);
}

/* ---- egress ---- */

static void count_out(struct sl_engine *e, const struct sl_run *runs, int n)
{
	uint64_t bytes = 0;
	uint64_t packets = 0;

	for (int i = 0; i < n; i++) {
		const struct iovec *last = &runs[i].pkts[runs[i].count - 1];

		packets += (uint64_t)runs[i].count;
		bytes += (uint64_t)(runs[i].count - 1) * runs[i].pkts->iov_len + last->iov_len;
	}
	sl_stat_add(&e->stats, SL_STAT_tx_packets, packets);
	sl_stat_add(&e->stats, SL_STAT_tx_bytes, bytes);
}

static const struct sl_path *dest_path(const struct sl_dest *d)
{
	return d->rtcp ? sl_transport_rtcp_path(d->t) : sl_transport_path(d->t);
}

/* What a run was built of may have come out otherwise: a packet that could not be sealed is left
 * out, and who is longer than the first begins a run of its own. */
static int cut_runs(struct sl_engine *e, const struct sl_span *span, const uint8_t *order,
		    struct iovec *iov, struct sl_run *runs)
{
	const struct sl_path *path = dest_path(&e->dests[span->dest]);
	bool open = false;
	int n = 0;
	int count = 0;

	for (int i = 0; path && i < span->count; i++) {
		const struct sl_srtp_op *op = &e->seal_ops[order[span->first + i]];

		if (op->err) {
			sl_stat_inc(&e->stats, SL_STAT_srtp_seal_failed);
			continue;
		}
		if (!open || op->out_len > runs[n - 1].pkts->iov_len)
			runs[n++] = (struct sl_run){
				.path = path, .pkts = &iov[count], .dest = span->dest};
		iov[count++] = (struct iovec){.iov_base = op->out, .iov_len = op->out_len};
		runs[n - 1].count++;
		open = op->out_len == runs[n - 1].pkts->iov_len;
	}
	return n;
}

/* Runs through relays are wrapped, the others go as they are. */
static void send_runs(struct sl_engine *e, struct sl_run *runs, int n)
{
	while (n > 0) {
		int some = e->by_relay.count == 0 ? n : 0;

		while (some < n && !(runs[some].path->sock & SL_SOCK_RELAY))
			some++;
		if (some > 0)
			e->io.send(e->io.arg, runs, some);
		else
			sl_relay_send(e, &runs[some++]);
		runs += some;
		n -= some;
	}
}

static void send_sealed(struct sl_engine *e, const struct sl_span *spans, int n,
			const uint8_t *order)
{
	struct iovec iov[SL_BATCH];
	struct sl_run runs[SL_BATCH];
	int count = 0;

	for (int i = 0; i < n; i++)
		count += cut_runs(e, &spans[i], order, &iov[spans[i].first], &runs[count]);
	for (int i = 0; i < count; i++)
		runs[i].tos = e->dests[runs[i].dest].t->tos;
	count_out(e, runs, count);
	send_runs(e, runs, count);
	for (int i = 0; i < count; i++)
		if (runs[i].refused)
			e->dests[runs[i].dest].t->single_until_us = e->now_us + SINGLE_US;
}

static void pad(struct sl_engine *e, int i)
{
	struct sl_srtp_op *op = &e->seal_ops[i];

	e->egress[i].hdr[0] |= 0x20;
	op->payload_len += e->items[i].pad;
}

/* Does the system make one message of a run there? */
static bool takes_runs(const struct sl_engine *e, uint32_t sock)
{
	if (sock < SL_CORE_LOCALS_MAX)
		return e->conf.gso >> sock & 1;
	return e->conf.gso && !(sock & (SL_SOCK_STREAM | SL_SOCK_RELAY));
}

/* The runs are decided on what the packets will be, then all is sealed, padding and all, and
 * sent. */
void sl_egress_flush(struct sl_engine *e)
{
	struct sl_span spans[SL_BATCH];
	uint8_t order[SL_BATCH];
	bool single[SL_BATCH];
	int n = e->seal_count;
	int runs;

	if (n == 0)
		return;
	for (int d = 0; d < e->dest_count; d++) {
		const struct sl_path *path = dest_path(&e->dests[d]);

		single[d] = !path || !takes_runs(e, path->sock) ||
			    e->dests[d].t->single_until_us > e->now_us;
	}
	runs = sl_runs_build(e->items, n, single, e->dest_count, order, spans);
	for (int i = 0; i < n; i++)
		if (e->items[i].pad)
			pad(e, i);
	sl_srtp_seal(e->seal_ops, n);
	for (int i = 0; i < n; i++)
		sl_pkt_unref(e, e->egress[i].held);
	send_sealed(e, spans, runs, order);
	e->seal_count = e->dest_count = 0;
	e->batch++;
}

/* RTCP that has a port of its own has a destination of its own, too. */
static uint8_t rtcp_dest(struct sl_transport *t)
{
	struct sl_engine *e = t->eng;

	if (!t->plain || !t->plain->legs[SL_LEG_RTCP].open)
		return sl_egress_dest(t);
	e->dests[e->dest_count] = (struct sl_dest){.t = t, .rtcp = true};
	return (uint8_t)e->dest_count++;
}

struct sl_egress *sl_egress_slot(struct sl_transport *t)
{
	return sl_egress_ready(t) ? sl_egress_next(t->eng) : NULL;
}

void sl_egress_rtcp(struct sl_transport *t, struct sl_egress *slot, size_t len)
{
	struct sl_engine *e = t->eng;
	int i = e->seal_count++;

	SL_ASSERT(len >= 8);
	sl_stat_inc(&e->stats, SL_STAT_rtcp_out);
	slot->held = NULL;
	e->items[i] = (struct sl_run_item){.len = (uint16_t)(len + t->rtcp_overhead),
					   .dest = rtcp_dest(t)};
	/* RFC 3711 section 3.4: 31 bits, one count per key; at three compounds a second it lasts
	 * for 22 years. */
	e->seal_ops[i] = (struct sl_srtp_op){.key = t->tx_key,
					     .hdr = slot->plain,
					     .hdr_len = 8,
					     .payload = slot->plain + 8,
					     .payload_len = len - 8,
					     .index = t->srtcp_index++ & 0x7fffffff,
					     .rtcp = true,
					     .out = slot->sealed};
	t->tx_packets++;
	t->tx_bytes += len;
}

static void send_plain(struct sl_engine *e, const struct sl_path *path, uint8_t tos,
		       const uint8_t *data, size_t len)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct sl_run run = {.path = path, .pkts = &iov, .count = 1, .tos = tos};

	count_out(e, &run, 1);
	send_runs(e, &run, 1);
}

void sl_send_plain(struct sl_engine *e, const struct sl_path *path, const uint8_t *data, size_t len)
{
	send_plain(e, path, 0, data, len);
}

void sl_send_to(struct sl_transport *t, const struct sl_path *path, const uint8_t *data, size_t len)
{
	send_plain(t->eng, path, t->tos, data, len);
}

void sl_engine_flush(struct sl_engine *e)
{
	SL_LIST_EACH(n, tmp, &e->queued)
		sl_replica_forward(SL_LIST_AT(n, struct sl_replica, in_queued));
	sl_egress_flush(e);
}
