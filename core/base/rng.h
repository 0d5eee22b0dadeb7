/* SPDX-License-Identifier: Apache-2.0
 * core/base/rng.h — randomness is handed in. The server has only the system generator (CTR_DRBG
 * seeded by getrandom, one per thread); the seeded one for reproducible runs lives in tests/ and is
 * not linked here. */
#ifndef SL_RNG_H
#define SL_RNG_H
#include "core/base/base.h"

struct sl_rng {
	void (*fill)(void *state, void *out, size_t n);
	void *state;
};

static inline void sl_rng_fill(const struct sl_rng *r, void *out, size_t n)
{
	r->fill(r->state, out, n);
}

uint32_t sl_rng_u32(const struct sl_rng *r);
uint64_t sl_rng_u64(const struct sl_rng *r);
/* n characters of the base64 alphabet of ICE (A-Z a-z 0-9 + /), 6 bits each, and a NUL. */
void sl_rng_ice_chars(const struct sl_rng *r, char *out, size_t n);
/* n characters of base64url without padding, 6 bits each, and a NUL. */
void sl_rng_id(const struct sl_rng *r, char *out, size_t n);

/* The system generator, owned by one thread. SL_EIO when the system has no entropy: then do not
 * start. */
SL_MUST_USE int sl_rng_system_new(struct sl_rng *out);
void sl_rng_system_free(struct sl_rng *r);                      /* takes a zeroed one */
#endif
