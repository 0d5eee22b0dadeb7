/* SPDX-License-Identifier: Apache-2.0
 * core/run.c — which datagrams of a batch leave together. UDP GSO takes datagrams of one
 * destination that are all of one length, but for a shorter last; that makes a run. RTP padding may
 * make lengths equal where they differ by little. Only lengths and destinations are looked at, no
 * bytes: this comes before the seal, which covers the padding. */
#include "core/core_int.h"

enum { NONE = 0xff };
_Static_assert((int)SL_BATCH < (int)NONE, "an item's number fits a byte");

/* The items of each destination, in order, as chains. */
struct chains {
	uint8_t head[SL_BATCH], tail[SL_BATCH];
	uint8_t next[SL_BATCH];
	int dests;
};

static void chain(struct chains *c, const struct sl_run_item *items, int n, int dests)
{
	c->dests = dests;
	memset(c->head, NONE, (size_t)dests);
	for (int i = 0; i < n; i++) {
		unsigned d = items[i].dest;

		c->next[i] = NONE;
		if (c->head[d] == NONE)
			c->head[d] = (uint8_t)i;
		else
			c->next[c->tail[d]] = (uint8_t)i;
		c->tail[d] = (uint8_t)i;
	}
}

/* What a run has come to: `len` all of its datagrams shall have, `reach` is what the one with the
 * least room can be made. */
struct growth {
	uint32_t len, reach;
	int count;
	bool uneven;
	bool closed; /* by a shorter last */
};

static bool takes(struct growth *g, const struct sl_run_item *it)
{
	uint32_t len = SL_MAX(g->len, it->len);

	if (g->closed || g->count == SL_RUN_PKTS || len > g->reach ||
	    (uint32_t)(g->count + 1) * len > SL_RUN_BYTES)
		return false;
	g->uneven |= len != g->len || len != it->len;
	g->len = len;
	g->closed = (uint32_t)it->len + it->pad_max < len;
	g->reach = SL_MIN(g->reach, (uint32_t)it->len + it->pad_max);
	g->count++;
	return true;
}

/* The next run of a destination: takes its items off the chain into order[at...]. */
static int take(struct chains *c, unsigned d, struct sl_run_item *items, bool single,
		uint8_t *order)
{
	uint8_t i = c->head[d];
	struct growth g = {.len = items[i].len,
			   .reach = (uint32_t)items[i].len + items[i].pad_max,
			   .count = 1};

	order[0] = i;
	for (i = c->next[i]; i != NONE && !single && takes(&g, &items[i]); i = c->next[i])
		order[g.count - 1] = i;
	c->head[d] = i;
	/* The last one may be shorter as it is. */
	for (int k = 0; g.uneven && k < g.count - 1; k++)
		items[order[k]].pad = (uint8_t)(g.len - items[order[k]].len);
	return g.count;
}

int sl_runs_build(struct sl_run_item *items, int n, const bool *single, int dests, uint8_t *order,
		  struct sl_span *spans)
{
	struct chains c;
	int count = 0;
	int at = 0;

	SL_ASSERT(n <= SL_BATCH && dests <= n);
	chain(&c, items, n, dests);
	while (at < n)
		for (int d = 0; d < dests; d++) {
			int took;

			if (c.head[d] == NONE)
				continue;
			took = take(&c, (unsigned)d, items, single[d], order + at);
			spans[count++] = (struct sl_span){
				.dest = (uint8_t)d, .first = (uint8_t)at, .count = (uint8_t)took};
			at += took;
		}
	return count;
}
