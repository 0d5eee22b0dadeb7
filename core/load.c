/* SPDX-License-Identifier: Apache-2.0
 * core/load.c — what a loop does when it cannot keep up.
 *
 * The measure is how long datagrams waited in the socket before the loop came to read them. A burst
 * makes some wait; a loop that keeps up empties the socket between two bursts, so the least wait of
 * a tenth of a second tells a standing queue from a burst, whatever the rate and the machine.
 *
 * The order of giving things up, each step with its own bound:
 *   1. BUSY_US and more: new sessions are refused.
 *   2. SHED_US and more: video is withheld from one more eighth of the video subscribers every
 *      window, until nobody has video. Audio is never touched. A loop far behind has turns longer
 *      than a window: then it is an eighth for each window's length, or the queue would grow with
 *      the turns, and audio's delay with it.
 * Back in reverse, slowly: an eighth for every second without a queue, each with a key frame of its
 * own, then new sessions. The control thread reads busy and shed. */
#include "core/load.h"

enum { CALM_US = 1000 * SL_MS };
enum { QUIET_US = 5 * SL_MS, BUSY_US = SL_LOAD_NOTABLE_US, SHED_US = 50 * SL_MS };

void sl_load_init(struct sl_load *l, int64_t now_us)
{
	*l = (struct sl_load){.window_us = now_us, .calm_us = now_us};
}

void sl_load_waited(struct sl_load *l, int64_t wait_us)
{
	if (l->least_us == 0 || wait_us < l->least_us)
		l->least_us = SL_MAX(wait_us, 1);
}

static bool harder(struct sl_load *l, int64_t now_us)
{
	int64_t windows = (now_us - l->window_us) / SL_LOAD_WINDOW_US;
	unsigned more = 0;

	if (l->least_us >= SHED_US && l->busy)
		more = (unsigned)SL_MIN(windows, (int64_t)(SL_LOAD_PARTS - l->shed));
	l->calm_us = now_us;
	if (l->busy && more == 0)
		return false;
	SL_STORE(&l->busy, true);
	SL_STORE(&l->shed, l->shed + more);
	return true;
}

static bool easier(struct sl_load *l, int64_t now_us)
{
	if (!l->busy || now_us - l->calm_us < CALM_US)
		return false;
	l->calm_us = now_us;
	if (l->shed > 0)
		SL_STORE(&l->shed, l->shed - 1);
	else
		SL_STORE(&l->busy, false);
	return true;
}

bool sl_load_tick(struct sl_load *l, int64_t now_us)
{
	int64_t least_us = l->least_us;
	bool changed;

	if (now_us - l->window_us < SL_LOAD_WINDOW_US)
		return false;
	if (least_us >= BUSY_US)
		changed = harder(l, now_us);
	else if (least_us < QUIET_US)
		changed = easier(l, now_us);
	else {
		l->calm_us = now_us; /* neither: it stays as it is */
		changed = false;
	}
	l->window_us = now_us;
	l->least_us = 0;
	return changed;
}
