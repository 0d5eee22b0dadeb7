/* SPDX-License-Identifier: Apache-2.0
 * core/loop_sock.c — sockets of a loop that belong to one transport each. A number has a slot and a
 * generation, so that what is meant for a closed one never meets the next owner of its slot; what
 * comes in names its transport. */
#include "core/loop_int.h"
#include "core/base/mem.h"

enum { FIRST_SLOTS = 16, SLOT_MASK = (1 << SL_SOCK_SLOT_BITS) - 1 };
_Static_assert(SL_SOCK_SLOT_BITS + SL_SOCK_GEN_BITS <= 29, "flags are above");

/* ---- numbers ---- */

static bool grow(struct sl_socks *k)
{
	uint32_t size = k->size ? k->size * 2 : FIRST_SLOTS;
	struct sl_sock_slot *slots = sl_zalloc_array(size, sizeof(*slots));

	if (!slots)
		return false;
	if (k->size)
		memcpy(slots, k->slots, k->size * sizeof(*slots));
	sl_free(k->slots);
	for (uint32_t i = k->size; i < size; i++)
		slots[i].next = i + 1;
	k->slots = slots;
	k->free = k->size;
	k->size = size;
	return true;
}

/* Takes a slot for s. Its number, or a negative error. */
static int enter(struct sl_loop *l, struct sl_socket *s, uint32_t flags)
{
	struct sl_socks *k = &l->socks;
	struct sl_sock_slot *slot;
	uint32_t i;

	if (k->free == k->size && !grow(k))
		return SL_ENOMEM;
	i = k->free;
	slot = &k->slots[i];
	k->free = slot->next;
	k->count++;
	slot->s = s;
	return (int)(flags | slot->gen << SL_SOCK_SLOT_BITS | (i + SL_CORE_LOCALS_MAX));
}

static struct sl_sock_slot *slot_of(struct sl_loop *l, uint32_t sock)
{
	uint32_t i = (sock & SLOT_MASK) - SL_CORE_LOCALS_MAX;
	struct sl_sock_slot *slot = i < l->socks.size ? &l->socks.slots[i] : NULL;

	return slot && slot->s && slot->s->udp.index == sock ? slot : NULL;
}

/* ---- life ---- */

void sl_loop_sock_drop(struct sl_socket *s)
{
	sl_udp_close(&s->udp);
	sl_stream_free(s->stream);
	sl_free(s);
}

static void on_closed(uv_handle_t *poll)
{
	sl_loop_sock_drop(poll->data);
}

/* The memory stays until libuv has let go, and with it whatever is being read just now. */
static void abandon(struct sl_socket *s)
{
	s->closed = true;
	if (s->stream)
		sl_stream_claimed(s);
	uv_close((uv_handle_t *)&s->poll, on_closed);
	sl_udp_close(&s->udp);
}

static void end(struct sl_loop *l, struct sl_sock_slot *slot)
{
	struct sl_socket *s = slot->s;

	slot->s = NULL;
	slot->gen = (slot->gen + 1) & ((1 << SL_SOCK_GEN_BITS) - 1);
	slot->next = l->socks.free;
	l->socks.free = (uint32_t)(slot - l->socks.slots);
	l->socks.count--;
	abandon(s);
}

int sl_loop_sock_new(struct sl_loop *l, uint64_t transport, struct sl_socket **out)
{
	struct sl_socket *s;

	if (l->socks.closed || l->socks.count >= l->conf.max_socks)
		return l->socks.closed ? SL_ESTATE : SL_EFULL;
	s = sl_zalloc(sizeof(*s));
	if (!s)
		return SL_ENOMEM;
	s->loop = l;
	s->udp.fd = -1;
	s->udp.owner = transport;
	*out = s;
	return SL_OK;
}

int sl_loop_sock_start(struct sl_socket *s, uint32_t flags, int events, uv_poll_cb fn)
{
	int number;

	if (uv_poll_init(&s->loop->uv, &s->poll, s->udp.fd) < 0) {
		sl_loop_sock_drop(s);
		return SL_EFULL;
	}
	s->poll.data = s;
	number = enter(s->loop, s, flags);
	if (number < 0) {
		abandon(s);
		return number;
	}
	s->udp.index = (uint32_t)number;
	SL_ASSERT(uv_poll_start(&s->poll, events, fn) == 0);
	return number;
}

int sl_loop_sock_open(struct sl_loop *l, uint64_t transport, const struct sl_addr *bind,
		      struct sl_addr *local)
{
	struct sl_socket *s;
	int err = sl_loop_sock_new(l, transport, &s);

	if (err)
		return err;
	err = sl_udp_open_own(&s->udp, bind, l->sockets[0].udp.gso, l->conf.gro);
	if (err) {
		sl_loop_sock_drop(s);
		return err;
	}
	*local = s->udp.local;
	return sl_loop_sock_start(s, 0, UV_READABLE, sl_loop_readable);
}

void sl_loop_sock_give(struct sl_loop *l, uint32_t sock, uint64_t transport)
{
	struct sl_sock_slot *slot = slot_of(l, sock);

	if (!slot)
		return;
	slot->s->udp.owner = transport;
	sl_stream_claimed(slot->s);
}

void sl_loop_sock_close(struct sl_loop *l, uint32_t sock)
{
	struct sl_sock_slot *slot = slot_of(l, sock);

	if (slot)
		end(l, slot);
}

void sl_loop_socks_close(struct sl_loop *l)
{
	l->socks.closed = true;
	for (uint32_t i = 0; i < l->socks.size; i++)
		if (l->socks.slots[i].s)
			end(l, &l->socks.slots[i]);
}

int sl_loop_sock_send(struct sl_loop *l, uint32_t sock, struct sl_run *runs, int n)
{
	struct sl_sock_slot *slot = slot_of(l, sock);

	if (!slot)
		return 0;
	return slot->s->stream ? sl_stream_send(slot->s, runs, n)
			       : sl_udp_send(&slot->s->udp, l->bufs, runs, n);
}
