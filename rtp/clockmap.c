/* SPDX-License-Identifier: Apache-2.0
 * rtp/clockmap.c — a publisher's clock on ours. The report that was least delayed tells the offset
 * best; the least of the last 30 to 40 seconds is taken, so that a drifting clock is followed. */
#include "rtp/rtp.h"

#define BUCKET_US (10 * SL_SEC)
/* No report is delayed this much more than another: the publisher's clock was set back. */
#define STEP_US (5 * SL_SEC)

enum { BUCKETS = SL_COUNT(((struct sl_clockmap *)0)->least_us) };

void sl_clockmap_init(struct sl_clockmap *m)
{
	*m = (struct sl_clockmap){0};
	for (int i = 0; i < BUCKETS; i++)
		m->least_us[i] = SL_NEVER;
}

static int64_t least(const struct sl_clockmap *m)
{
	int64_t v = SL_NEVER;

	for (int i = 0; i < BUCKETS; i++)
		v = SL_MIN(v, m->least_us[i]);
	return v;
}

static void restart(struct sl_clockmap *m, int64_t rx_us)
{
	sl_clockmap_init(m);
	m->started = true;
	m->bucket_start_us = rx_us;
}

static void turn(struct sl_clockmap *m, int64_t rx_us)
{
	if (!m->started || rx_us - m->bucket_start_us >= BUCKETS * BUCKET_US) {
		restart(m, rx_us);
		return;
	}
	while (rx_us - m->bucket_start_us >= BUCKET_US) {
		m->bucket_start_us += BUCKET_US;
		m->bucket = (uint8_t)((m->bucket + 1) % BUCKETS);
		m->least_us[m->bucket] = SL_NEVER;
	}
}

void sl_clockmap_sr(struct sl_clockmap *m, uint64_t ntp, int64_t rx_us)
{
	int64_t offset_us = rx_us - (int64_t)sl_ntp_to_us(ntp);

	turn(m, rx_us);
	if (least(m) != SL_NEVER && offset_us - least(m) > STEP_US)
		restart(m, rx_us);
	m->least_us[m->bucket] = SL_MIN(m->least_us[m->bucket], offset_us);
}

bool sl_clockmap_us(const struct sl_clockmap *m, uint64_t ntp, int64_t *our_us)
{
	int64_t offset_us = least(m);

	if (offset_us == SL_NEVER)
		return false;
	*our_us = (int64_t)sl_ntp_to_us(ntp) + offset_us;
	return true;
}
