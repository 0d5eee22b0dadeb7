/* SPDX-License-Identifier: Apache-2.0
 * tests/rtp/draw.h — seeded dice for simulated losses and delays. */
#ifndef SL_TEST_DRAW_H
#define SL_TEST_DRAW_H
#include "core/base/rng.h"
#include "tests/test.h"

struct draw {
	struct sl_test_rng state;
};

static inline struct draw draw_seed(uint64_t seed)
{
	struct draw d;

	(void)sl_test_rng(&d.state, seed);
	return d;
}

/* 0 .. below - 1. */
static inline uint32_t draw(struct draw *d, uint32_t below)
{
	struct sl_test_rng fresh;
	struct sl_rng r = sl_test_rng(&fresh, 0);
	uint32_t v;

	r.state = &d->state;
	sl_rng_fill(&r, &v, sizeof(v));
	return v % below;
}

static inline bool draw_percent(struct draw *d, uint32_t percent)
{
	return draw(d, 100) < percent;
}
#endif
