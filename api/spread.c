/* SPDX-License-Identifier: Apache-2.0
 * api/spread.c — the people of one room go to different loops: each session to the one that has
 * least to do. A loop's load is in datagrams a second:
 *   what it received and sent lately (counters, looked at every LOOK_US),
 *   + IDLE_PPS for each transport: checks, reports and timers of one that is quiet,
 *   + for each session of the last two looks, whose packets are not in the counters yet, what a
 *     transport has on the average now, but YOUNG_PPS at least.
 * The last keeps a burst of joins from going to one loop as a whole. A loop that cannot keep up
 * comes after all that can. */
#include "api/api_int.h"

#define LOOK_US (2 * SL_SEC)
#define BUSY_PPS (UINT64_C(1) << 40)
enum { IDLE_PPS = 20, YOUNG_PPS = 100 };

static uint64_t datagrams(const struct sl_api *api, unsigned loop)
{
	const struct sl_stats *stats = sl_core_stats(api->core, loop);

	return sl_stat_get(stats, SL_STAT_rx_packets) + sl_stat_get(stats, SL_STAT_tx_packets);
}

static uint64_t young_pps(const struct sl_api *api)
{
	uint64_t pps = 0, transports = 0;

	for (unsigned i = 0; i < sl_core_loops(api->core); i++) {
		pps += api->spread.rate_pps[i];
		transports += sl_core_transports(api->core, i);
	}
	return SL_MAX(pps / SL_MAX(transports, 1), YOUNG_PPS);
}

uint64_t api_loop_load(const struct sl_api *api, unsigned loop)
{
	const struct api_spread *s = &api->spread;

	return (sl_core_busy(api->core, loop) ? BUSY_PPS : 0) + s->rate_pps[loop] +
	       (uint64_t)sl_core_transports(api->core, loop) * IDLE_PPS +
	       (s->fresh[loop] + s->recent[loop]) * young_pps(api);
}

void api_spread_tick(struct sl_api *api)
{
	struct api_spread *s = &api->spread;
	int64_t now_us = api_now_us(api), took_us = now_us - s->at_us;

	if (s->at_us && took_us < LOOK_US)
		return;
	for (unsigned i = 0; i < sl_core_loops(api->core); i++) {
		uint64_t n = datagrams(api, i);

		s->rate_pps[i] = s->at_us ? (n - s->seen[i]) * SL_SEC / (uint64_t)took_us : 0;
		s->seen[i] = n;
		s->recent[i] = s->fresh[i];
		s->fresh[i] = 0;
	}
	s->at_us = now_us;
}

int64_t api_spread_wait_us(const struct sl_api *api)
{
	if (api->sessions.live == 0)
		return SL_NEVER;
	return SL_MAX(api->spread.at_us + LOOK_US - api_now_us(api), 0);
}

bool api_loops_busy(const struct sl_api *api)
{
	for (unsigned i = 0; i < sl_core_loops(api->core); i++)
		if (!sl_core_busy(api->core, i))
			return false;
	return true;
}

unsigned api_pick_loop(struct sl_api *api)
{
	unsigned best = 0;

	/* The first after a quiet time: nobody has looked. */
	api_spread_tick(api);
	for (unsigned i = 1; i < sl_core_loops(api->core); i++)
		if (api_loop_load(api, i) < api_loop_load(api, best))
			best = i;
	api->spread.fresh[best]++;
	return best;
}
