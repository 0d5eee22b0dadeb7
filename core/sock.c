/* SPDX-License-Identifier: Apache-2.0
 * core/sock.c — sockets that belong to one transport: those it has open are noted here, so that
 * none outlives it. */
#include "core/core_int.h"

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

int sl_sock_stream(struct sl_transport *t, const struct sl_addr *bind, const struct sl_addr *remote,
		   enum sl_framing f, struct sl_addr *local)
{
	const struct sl_engine_io *io = &t->eng->io;

	if (!io->stream_open)
		return SL_EUNSUPPORTED;
	if (t->phase == SL_T_DEAD || t->sock_count == SL_OWN_SOCKS_MAX)
		return t->phase == SL_T_DEAD ? SL_ESTATE : SL_EFULL;
	return note(t, io->stream_open(io->arg, t->id, bind, remote, f, local));
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
