/* SPDX-License-Identifier: Apache-2.0
 * core/load.h — can this loop keep up, and what does it give up first if not? See load.c. */
#ifndef SL_CORE_LOAD_H
#define SL_CORE_LOAD_H
#include "core/base/base.h"

enum {
	SL_LOAD_PARTS = 8,                      /* video is withheld from so many eighths */
	SL_LOAD_WINDOW_US = 100 * SL_MS,
	SL_LOAD_NOTABLE_US = 20 * SL_MS         /* a wait worth looking at */
};

struct sl_load {
	bool busy;              /* no new sessions */
	unsigned shed;          /* 0 to SL_LOAD_PARTS: video is withheld from subscribers whose
				 * sl_load_part() is below */
	/* inside */
	int64_t window_us;      /* when the present window began */
	int64_t least_us;       /* least wait seen in it; 0: none */
	int64_t calm_us;        /* since when there was no queue, or when the last step back was */
};

/* Which part an object with this id belongs to: 0 to SL_LOAD_PARTS - 1, evenly whatever the pattern
 * of the ids. */
static inline unsigned sl_load_part(uint64_t id)
{
	return (unsigned)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 61);
}

void sl_load_init(struct sl_load *l, int64_t now_us);
/* The oldest datagram of a wake-up had waited so long in the socket. */
void sl_load_waited(struct sl_load *l, int64_t wait_us);
/* To be called every SL_LOAD_WINDOW_US after a notable wait and while busy. True when busy or shed
 * changed. */
bool sl_load_tick(struct sl_load *l, int64_t now_us);
#endif
