/* SPDX-License-Identifier: Apache-2.0
 * core/base/pool.h — fixed-size objects of one loop, with 64-bit ids that outlive them.
 * An id is loop (8 bits) | slot (24 bits) | generation (32 bits, never 0): a stale id finds
 * nothing. Slabs are added as needed up to `max` objects and never given back before fini. Not
 * thread-safe. */
#ifndef SL_POOL_H
#define SL_POOL_H
#include "core/base/base.h"

struct sl_pool {
	/* owned */
	void **slabs;           /* each holds `per_slab` objects */
	uint32_t *gens;         /* generation by slot; odd = live */
	uint32_t *free_next;    /* free list by slot */
	/* state */
	size_t size;
	uint32_t per_slab, nslabs, slots, max, live, free_head;
	uint8_t loop;
};

/* `size` of one object, `max` objects at most, `per_slab` of them allocated at a time. Returns
 * SL_OK or SL_ENOMEM. */
SL_MUST_USE int sl_pool_init(struct sl_pool *p, size_t size, uint32_t max, uint32_t per_slab,
			     uint8_t loop);
/* Takes a zeroed pool. Live objects are not visited. */
void sl_pool_fini(struct sl_pool *p);
/* A zeroed object, or NULL at `max` or out of memory. Writes its id to *id where id is not NULL. */
void *sl_pool_get(struct sl_pool *p, uint64_t *id) SL_MUST_USE;
void sl_pool_put(struct sl_pool *p, uint64_t id);
/* The live object of that id, or NULL. */
void *sl_pool_at(const struct sl_pool *p, uint64_t id);
/* Walks live objects: start with *cursor = 0; NULL at the end. Objects may be put while walking. */
void *sl_pool_next(const struct sl_pool *p, uint32_t *cursor, uint64_t *id);

static inline uint8_t sl_id_loop(uint64_t id)
{
	return (uint8_t)(id >> 56);
}

/* ---- packets and other blocks that have no id: an unordered stack of equal blocks ---- */
struct sl_slab {
	/* owned */
	uint8_t *mem;
	uint32_t *free;         /* stack of free block numbers */
	/* state */
	size_t size;
	uint32_t count, nfree;
};

/* All memory is taken at once. `size` is rounded up to a multiple of 64 and blocks are 64-byte
 * aligned. */
SL_MUST_USE int sl_slab_init(struct sl_slab *s, size_t size, uint32_t count);
void sl_slab_fini(struct sl_slab *s);
/* Not zeroed. NULL when all are in use. */
void *sl_slab_get(struct sl_slab *s) SL_MUST_USE;
void sl_slab_put(struct sl_slab *s, void *block);
#endif
