/* SPDX-License-Identifier: Apache-2.0
 * tests/rooms/wire.c — datagrams on their way: each person lives at one of a few distances, and
 * nothing is lost or overtaken. */
#include "tests/rooms/world.h"
#include <stdlib.h>

enum { PORT = 10000, BATCH = SL_UDP_BATCH };

static const int64_t distance_us[DISTANCES] = {2000, 9000, 25000, 60000};

struct sl_addr wire_server(unsigned loop)
{
	return sl_addr_v4(192, 0, 2, 1, (uint16_t)(PORT + loop));
}

static void grow(struct fifo *f)
{
	size_t cap = f->cap ? 2 * f->cap : 64;
	struct dgram *more = malloc(cap * sizeof(*more));

	SL_ASSERT(more);
	for (size_t i = 0; i < f->count; i++)
		more[i] = f->at[(f->first + i) & (f->cap - 1)];
	free(f->at);
	f->at = more;
	f->cap = cap;
	f->first = 0;
}

void wire_put(int direction, unsigned distance, const struct dgram *head, const void *data,
	      size_t len)
{
	struct fifo *f = &world.wire[direction][distance];
	struct dgram *d;

	SL_ASSERT(len <= DGRAM_MAX);
	if (f->count == f->cap)
		grow(f);
	d = &f->at[(f->first + f->count++) & (f->cap - 1)];
	memcpy(d, head, offsetof(struct dgram, len));
	d->at_us = world.now_us + distance_us[distance];
	d->len = (uint16_t)len;
	memcpy(d->data, data, len);
	world.datagrams++;
	world_trace(data, len);
}

static struct dgram *due(struct fifo *f)
{
	return f->count > 0 && f->at[f->first].at_us <= world.now_us ? &f->at[f->first] : NULL;
}

static void pop(struct fifo *f)
{
	f->first = (f->first + 1) & (f->cap - 1);
	f->count--;
}

int64_t wire_next_us(void)
{
	int64_t at_us = SL_NEVER;

	for (int k = 0; k < 2; k++)
		for (int i = 0; i < DISTANCES; i++) {
			const struct fifo *f = &world.wire[k][i];

			if (f->count > 0)
				at_us = SL_MIN(at_us, f->at[f->first].at_us);
		}
	return at_us;
}

/* What comes for one loop, as one batch. */
static bool deliver_to_loop(struct fifo *f)
{
	struct sl_in in[BATCH];
	struct dgram *d = due(f);
	unsigned loop = d ? d->loop : 0;
	size_t n = 0;

	/* A batch that goes round the end of the ring is two. */
	for (; d && d->loop == loop && n < BATCH && f->first + n < f->cap && n < f->count; n++) {
		d = &f->at[f->first + n];
		if (d->at_us > world.now_us || d->loop != loop)
			break;
		in[n] = (struct sl_in){.path = {.remote = d->from},
				       .data = d->data,
				       .len = d->len,
				       .rx_us = d->at_us};
	}
	if (n == 0)
		return false;
	loops_recv(loop, in, (int)n);
	while (n-- > 0)
		pop(f);
	return true;
}

void wire_deliver(void)
{
	struct dgram *d;

	for (int i = 0; i < DISTANCES; i++) {
		while (deliver_to_loop(&world.wire[UP][i]))
			;
		while ((d = due(&world.wire[DOWN][i]))) {
			/* What it sends in answer goes another way. */
			media_recv(&world.people[d->person], d);
			pop(&world.wire[DOWN][i]);
		}
	}
}

void wire_fini(void)
{
	for (int k = 0; k < 2; k++)
		for (int i = 0; i < DISTANCES; i++)
			free(world.wire[k][i].at);
}
