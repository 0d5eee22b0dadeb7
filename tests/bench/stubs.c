/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/stubs.c — what load.c, the program itself, gives its other files. */
#include "bench/load.h"

int64_t load_wall_ns(void)
{
	return 5000000;
}

int load_watch(struct load *l, struct load_watch *w, enum load_kind kind, int fd, uint32_t events)
{
	(void)l;
	(void)kind;
	(void)events;
	w->fd = fd;
	return SL_OK;
}

void load_fail(struct load *l, const char *fmt, ...)
{
	(void)fmt;
	l->why[0] = '?';
}

void load_say(const char *fmt, ...)
{
	(void)fmt;
}

void load_peer_connected(struct load *l, struct load_peer *p)
{
	(void)l;
	(void)p;
}

void load_peer_failed(struct load *l, struct load_peer *p, const char *why)
{
	(void)l;
	(void)p;
	(void)why;
}

const struct load_signalling *load_signalling(const struct load *l)
{
	(void)l;
	return &load_whip;
}
