/* SPDX-License-Identifier: Apache-2.0
 * core/sock.c — sockets that belong to one transport: those it has open are noted here, so that
 * none outlives it. */
#include "core/core_int.h"
#include "core/base/log.h"

static int note(struct sl_transport *t, int number)
{
	if (number >= 0)
		t->socks[t->sock_count++] = (uint32_t)number;
	return number;
}

int sl_sock_open(struct sl_transport *t, const struct sl_addr *bind, struct sl_addr *local)
{
	const struct sl_engine_io *io = &t->eng->io;

	if (!io->sock_open)
		return SL_EUNSUPPORTED;
	if (t->phase == SL_T_DEAD || t->sock_count == SL_OWN_SOCKS_MAX)
		return t->phase == SL_T_DEAD ? SL_ESTATE : SL_EFULL;
	return note(t, io->sock_open(io->arg, t->id, bind, local));
}

int sl_sock_stream(struct sl_transport *t, const struct sl_stream_to *to, struct sl_addr *local)
{
	const struct sl_engine_io *io = &t->eng->io;

	if (!io->stream_open)
		return SL_EUNSUPPORTED;
	if (t->phase == SL_T_DEAD || t->sock_count == SL_OWN_SOCKS_MAX)
		return t->phase == SL_T_DEAD ? SL_ESTATE : SL_EFULL;
	return note(t, io->stream_open(io->arg, t->id, to, local));
}

void sl_sock_close(struct sl_transport *t, uint32_t sock)
{
	unsigned i = 0;

	while (i < t->sock_count && t->socks[i] != sock)
		i++;
	if (i == t->sock_count)
		return;
	t->socks[i] = t->socks[--t->sock_count];
	sl_transport_forget_sock(t, sock);
	t->eng->io.sock_close(t->eng->io.arg, sock);
}

void sl_sock_close_all(struct sl_transport *t)
{
	while (t->sock_count > 0)
		sl_sock_close(t, t->socks[t->sock_count - 1]);
}

void sl_sock_claim(struct sl_transport *t, const struct sl_in *in)
{
	const struct sl_engine_io *io = &t->eng->io;
	uint32_t sock = in->path.sock;

	if (t->phase == SL_T_DEAD || t->sock_count == SL_OWN_SOCKS_MAX) {
		io->sock_close(io->arg, sock);
		return;
	}
	note(t, (int)sock);
	if (sl_transport_stun(t, in))
		io->sock_give(io->arg, sock, t->id);
	else
		sl_sock_close(t, sock);
}

int sl_sock_connect(struct sl_transport *t, struct sl_path *path)
{
	struct sl_engine *e = t->eng;
	struct sl_stream_to to = {.bind = sl_addr_with_port(e->conf.locals[path->sock].addr, 0),
				  .remote = path->remote,
				  .framing = SL_FRAMING_RFC4571};
	struct sl_addr local;
	int number = sl_sock_stream(t, &to, &local);

	if (number < 0) {
		sl_ice_path_lost(&t->ice, path, e->now_us);
		return number;
	}
	sl_ice_rebase(&t->ice, path, (uint32_t)number);
	path->sock = (uint32_t)number;
	return SL_OK;
}

void sl_engine_sock_lost(struct sl_engine *e, uint64_t owner, uint32_t sock, const char *why,
			 int64_t now_us)
{
	struct sl_transport *t = sl_pool_at(&e->transports, owner);

	e->now_us = now_us;
	if (!t || t->phase == SL_T_DEAD)
		return;
	SL_LOG(DEBUG, ICE, "stream ended", SL_KS("session", t->name), SL_KS("why", why));
	sl_ice_sock_lost(&t->ice, sock, now_us);
	sl_gather_sock_lost(t, sock, why);
	sl_sock_close(t, sock);
	sl_transport_drain_ice(t);
}
