/* SPDX-License-Identifier: Apache-2.0
 * core/loop.c — a media loop: the engine of engine.c on a thread of its own, with sockets, a clock
 * and rings. Every wake-up reads the clock once, feeds what came, runs the timers that are due,
 * then seals and sends all of it. */
#include "core/loop_int.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include <errno.h>
#include <stdio.h>

enum { COMMANDS = 1024, NOTES = 8192, PACKETS_PER_WAKE = 256, TCP_TRIES = 16 };

/* ---- what the engine asks for ---- */

static int same_socket(const struct sl_run *runs, int n)
{
	int i = 1;

	while (i < n && runs[i].path->sock == runs[0].path->sock)
		i++;
	return i;
}

static void io_send(void *arg, struct sl_run *runs, int n)
{
	struct sl_loop *l = arg;

	while (n > 0) {
		uint32_t sock = runs->path->sock;
		int some = same_socket(runs, n);
		int left = 0;

		for (int i = 0; i < some; i++)
			left += runs[i].count;
		if (sock < l->socket_count)
			left -= sl_udp_send(&l->sockets[sock].udp, l->bufs, runs, some);
		else
			left -= sl_loop_sock_send(l, sock, runs, some);
		if (left > 0)
			sl_stat_add(&l->engine.stats, SL_STAT_tx_dropped, (uint64_t)left);
		runs += some;
		n -= some;
	}
}

static int io_sock_open(void *arg, uint64_t transport, const struct sl_addr *bind,
			struct sl_addr *local)
{
	return sl_loop_sock_open(arg, transport, bind, local);
}

static void io_sock_close(void *arg, uint32_t sock)
{
	sl_loop_sock_close(arg, sock);
}

static int io_stream_open(void *arg, uint64_t transport, const struct sl_stream_to *to,
			  struct sl_addr *local)
{
	return sl_loop_stream_open(arg, transport, to, local);
}

static void io_sock_give(void *arg, uint32_t sock, uint64_t transport)
{
	sl_loop_sock_give(arg, sock, transport);
}

static bool io_handshake(void *arg, struct sl_hs *hs)
{
	struct sl_loop *l = arg;

	return sl_hs_submit(l->conf.hs_pool, l->engine.conf.loop, hs);
}

static struct sl_relay_msg *io_relay_slot(void *arg, unsigned loop, uint32_t reserve)
{
	struct sl_loop *l = arg;

	return loop < l->conf.loops ? sl_ring_slot(&l->relay[loop], reserve) : NULL;
}

static void io_relay_push(void *arg, unsigned loop)
{
	struct sl_loop *l = arg;

	sl_ring_push(&l->relay[loop]);
	l->relay_dirty |= UINT64_C(1) << loop;
}

/* Replies have their room kept: at most COMMANDS of them can be under way. */
static bool io_event(void *arg, const struct sl_core_event *ev)
{
	struct sl_loop *l = arg;
	struct sl_note *note =
		sl_ring_slot(&l->notes, ev->type == SL_EV_LEVEL ? NOTES / 2 : COMMANDS);

	if (!note)
		return false;
	note->cmd = NULL;
	note->ev = *ev;
	sl_ring_push(&l->notes);
	l->control_dirty = true;
	return true;
}

/* ---- a turn ---- */

static void on_timer(uv_timer_t *timer);

static void arm_timer(struct sl_loop *l, int64_t now_us)
{
	int64_t due_us = sl_engine_deadline_us(&l->engine);
	int64_t left_us = due_us - now_us;

	if (due_us == l->timer_due_us)
		return;
	l->timer_due_us = due_us;
	if (due_us == SL_NEVER)
		uv_timer_stop(&l->timer);
	else
		uv_timer_start(&l->timer, on_timer,
			       left_us > 0 ? (uint64_t)(left_us + SL_MS - 1) / SL_MS : 0, 0);
}

void sl_loop_finish(struct sl_loop *l, int64_t now_us)
{
	sl_engine_tick(&l->engine, now_us);
	sl_engine_flush(&l->engine);
	for (; l->relay_dirty; l->relay_dirty &= l->relay_dirty - 1)
		sl_loop_wake(l->conf.peers[__builtin_ctzll(l->relay_dirty)]);
	if (l->control_dirty)
		l->conf.wake_control(l->conf.arg);
	l->control_dirty = false;
	arm_timer(l, now_us);
}

int64_t sl_loop_begin(struct sl_loop *l)
{
	int64_t now_us = sl_now_us();

	uv_update_time(&l->uv);
	return now_us;
}

static void on_timer(uv_timer_t *timer)
{
	struct sl_loop *l = timer->data;

	l->timer_due_us = SL_NEVER;
	sl_loop_finish(l, sl_loop_begin(l));
}

/* A socket of one transport may be closed by what it brings. */
void sl_loop_readable(uv_poll_t *poll, int status, int events)
{
	struct sl_socket *s = poll->data;
	struct sl_loop *l = s->loop;
	int64_t now_us = sl_loop_begin(l);
	struct sl_in in[SL_UDP_BATCH];
	int batch = sl_udp_batch(l->bufs);

	(void)events;
	for (int total = 0, n = batch;
	     status == 0 && n == batch && total < PACKETS_PER_WAKE && !s->closed;) {
		int some;

		n = sl_udp_recv(&s->udp, l->bufs, now_us, &l->last_rx_us);
		while ((some = sl_udp_next(l->bufs, in)) > 0) {
			if (total == 0)
				sl_engine_waited(&l->engine, now_us - in[0].rx_us, now_us);
			sl_engine_recv(&l->engine, in, some, now_us);
			total += some;
		}
	}
	sl_loop_finish(l, now_us);
}

static void run_commands(struct sl_loop *l, int64_t now_us)
{
	struct sl_cmd **slot;

	while ((slot = sl_ring_peek(&l->commands))) {
		struct sl_cmd *cmd = *slot;
		struct sl_note *note;

		sl_ring_pop(&l->commands);
		sl_engine_command(&l->engine, cmd, now_us);
		l->stopping |= cmd->type == SL_CMD_STOP;
		note = sl_ring_slot(&l->notes, 0);
		SL_ASSERT(note); /* room is kept for every command under way */
		note->cmd = cmd;
		sl_ring_push(&l->notes);
		l->control_dirty = true;
	}
}

static void run_relays(struct sl_loop *l, int64_t now_us)
{
	for (unsigned i = 0; i < l->conf.loops; i++) {
		struct sl_ring *r = &l->conf.peers[i]->relay[l->engine.conf.loop];
		struct sl_relay_msg *m;

		if (i == l->engine.conf.loop)
			continue;
		while ((m = sl_ring_peek(r))) {
			sl_engine_relay(&l->engine, i, m, now_us);
			sl_ring_pop(r);
		}
	}
}

static void close_handles(struct sl_loop *l)
{
	for (size_t i = 0; i < l->socket_count; i++)
		uv_close((uv_handle_t *)&l->sockets[i].poll, NULL);
	sl_loop_listeners_close(l);
	sl_loop_socks_close(l);
	uv_close((uv_handle_t *)&l->async, NULL);
	uv_close((uv_handle_t *)&l->timer, NULL);
}

static void on_wake(uv_async_t *async)
{
	struct sl_loop *l = async->data;
	int64_t now_us = sl_loop_begin(l);
	struct sl_hs *hs;

	run_relays(l, now_us);
	while ((hs = sl_hs_finished(l->conf.hs_pool, l->engine.conf.loop)))
		sl_engine_handshake(&l->engine, hs, now_us);
	run_commands(l, now_us);
	sl_loop_finish(l, now_us);
	if (l->stopping && !uv_is_closing((uv_handle_t *)&l->async))
		close_handles(l);
}

static void *loop_main(void *arg)
{
	struct sl_loop *l = arg;
	char name[16];

	sl_fmt(name, sizeof(name), "media-%u", l->engine.conf.loop);
	pthread_setname_np(pthread_self(), name);
	if (sl_log_thread_ring() < 0)
		SL_LOG(WARN, LOOP, "no memory for a log ring", SL_KU("loop", l->engine.conf.loop));
	uv_run(&l->uv, UV_RUN_DEFAULT);
	return NULL;
}

/* ---- making and ending ---- */

/* UDP, and where wanted TCP under the same number: one that the system chooses for UDP may be taken
 * for TCP. */
static int open_address(struct sl_loop *l, size_t i, const struct sl_addr *bind,
			struct sl_core_why *why)
{
	struct sl_udp *u = &l->sockets[i].udp;
	int err;

	for (int tries = bind->port ? 1 : TCP_TRIES;; tries--) {
		err = sl_udp_open(u, bind, l->conf.gso, l->conf.gro, why);
		if (err || !l->conf.tcp || sl_loop_listen(l, i) == SL_OK)
			return err;
		if (tries == 1)
			break;
		sl_udp_close(u);
	}
	SL_LOG(WARN, LOOP, "no ICE over TCP at this address", SL_KA("address", &u->local),
	       SL_KS("why", strerror(errno)));
	return SL_OK;
}

static int open_sockets(struct sl_loop *l, struct sl_core_why *why)
{
	struct sl_engine_conf *ec = &l->conf.engine;

	for (size_t k = 0; k < l->conf.bind_count; k++) {
		size_t i = l->socket_count;
		struct sl_socket *s = &l->sockets[i];
		int err = open_address(l, i, &l->conf.binds[k], why);

		/* An IPv6 address that is still tentative, for one, cannot be bound yet. */
		if (err && l->conf.found) {
			SL_LOG(WARN, LOOP, "address left out", SL_KS("why", why->text));
			continue;
		}
		if (err)
			return err;
		l->socket_count++;
		s->loop = l;
		s->udp.index = (uint32_t)i;
		ec->locals[i] = (struct sl_ice_cand){
			.addr = s->udp.local,
			.sock = (uint32_t)i,
			.type = SL_ICE_HOST,
			.priority = sl_ice_priority(SL_ICE_HOST, (uint16_t)(65535 - i))};
		sl_fmt(ec->locals[i].foundation, sizeof(ec->locals[i].foundation), "%zu", i + 1);
		ec->gso |= s->udp.gso ? 1u << i : 0;
		ec->allow_loopback |= sl_addr_is_loopback(&s->udp.local);
		ec->tcp |= l->listeners[i].fd ? 1u << i : 0;
	}
	ec->local_count = l->socket_count;
	return l->socket_count > 0 ? SL_OK : SL_EIO;
}

static int init_rings(struct sl_loop *l)
{
	int err = sl_ring_init(&l->commands, sizeof(struct sl_cmd *), COMMANDS);

	if (!err)
		err = sl_ring_init(&l->notes, sizeof(struct sl_note), NOTES);
	for (unsigned i = 0; i < l->conf.loops && !err; i++)
		if (i != l->conf.engine.loop)
			err = sl_ring_init(&l->relay[i], sizeof(struct sl_relay_msg),
					   SL_RELAY_SLOTS);
	return err;
}

static int init_uv(struct sl_loop *l)
{
	if (uv_loop_init(&l->uv) < 0)
		return SL_ENOMEM;
	l->uv_ready = true;
	uv_async_init(&l->uv, &l->async, on_wake);
	uv_timer_init(&l->uv, &l->timer);
	l->async.data = l->timer.data = l;
	l->timer_due_us = SL_NEVER;
	sl_loop_listeners_start(l);
	for (size_t i = 0; i < l->socket_count; i++) {
		uv_poll_init(&l->uv, &l->sockets[i].poll, l->sockets[i].udp.fd);
		l->sockets[i].poll.data = &l->sockets[i];
		uv_poll_start(&l->sockets[i].poll, UV_READABLE, sl_loop_readable);
	}
	return SL_OK;
}

int sl_loop_new(const struct sl_loop_conf *conf, struct sl_loop **out, struct sl_core_why *why)
{
	struct sl_loop *l = sl_zalloc(sizeof(*l));
	struct sl_engine_io io = {.arg = l,
				  .send = io_send,
				  .handshake = io_handshake,
				  .relay_slot = io_relay_slot,
				  .relay_push = io_relay_push,
				  .event = io_event,
				  .sock_open = io_sock_open,
				  .stream_open = io_stream_open,
				  .sock_give = io_sock_give,
				  .sock_close = io_sock_close};
	int err;

	if (!l)
		return SL_ENOMEM;
	l->conf = *conf;
	sl_list_init(&l->strangers);
	err = open_sockets(l, why);
	if (!err)
		err = sl_rng_system_new(&l->rng);
	if (!err)
		err = init_rings(l);
	l->bufs = err ? NULL : sl_udp_bufs_new(l->conf.gro);
	if (!err && !l->bufs)
		err = SL_ENOMEM;
	if (!err)
		err = sl_engine_init(&l->engine, &l->conf.engine, &io, &l->rng, sl_now_us());
	if (!err)
		err = init_uv(l);
	if (err) {
		sl_loop_free(l);
		return err;
	}
	*out = l;
	return SL_OK;
}

int sl_loop_start(struct sl_loop *l)
{
	if (pthread_create(&l->thread, NULL, loop_main, l))
		return SL_ENOMEM;
	l->started = true;
	return SL_OK;
}

void sl_loop_join(struct sl_loop *l)
{
	if (!l || !l->started)
		return;
	pthread_join(l->thread, NULL);
	l->started = false;
}

void sl_loop_free(struct sl_loop *l)
{
	if (!l)
		return;
	if (l->uv_ready && !l->stopping) {
		close_handles(l);
		uv_run(&l->uv, UV_RUN_DEFAULT);
	}
	if (l->uv_ready)
		SL_ASSERT(uv_loop_close(&l->uv) == 0);
	sl_engine_fini(&l->engine);
	for (size_t i = 0; i < l->socket_count; i++)
		sl_udp_close(&l->sockets[i].udp);
	sl_loop_listeners_free(l);
	sl_free(l->socks.slots);
	sl_udp_bufs_free(l->bufs);
	sl_ring_fini(&l->commands);
	sl_ring_fini(&l->notes);
	for (unsigned i = 0; i < SL_CORE_LOOPS_MAX; i++)
		sl_ring_fini(&l->relay[i]);
	sl_rng_system_free(&l->rng);
	sl_free(l);
}

bool sl_loop_post(struct sl_loop *l, struct sl_cmd *cmd)
{
	struct sl_cmd **slot = sl_ring_slot(&l->commands, 0);

	if (!slot)
		return false;
	*slot = cmd;
	sl_ring_push(&l->commands);
	sl_loop_wake(l);
	return true;
}

struct sl_note *sl_loop_note(struct sl_loop *l)
{
	return sl_ring_peek(&l->notes);
}

void sl_loop_note_done(struct sl_loop *l)
{
	sl_ring_pop(&l->notes);
}

void sl_loop_wake(struct sl_loop *l)
{
	uv_async_send(&l->async);
}

struct sl_engine *sl_loop_engine(struct sl_loop *l)
{
	return &l->engine;
}

size_t sl_loop_locals(const struct sl_loop *l, struct sl_addr *out, size_t cap)
{
	size_t n = SL_MIN(l->socket_count, cap);

	for (size_t i = 0; i < n; i++)
		out[i] = l->sockets[i].udp.local;
	return n;
}
