/* SPDX-License-Identifier: Apache-2.0
 * core/base/pool.c — slabs with ids, and the stack of equal blocks. Under AddressSanitizer a free
 * object is poisoned, so that a use after put is found although the memory is still ours. */
#include "core/base/pool.h"
#include "core/base/mem.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(POISONS)
#include <sanitizer/asan_interface.h>
static void poison(void *p, size_t n)
{
	__asan_poison_memory_region(p, n);
}

static void unpoison(void *p, size_t n)
{
	__asan_unpoison_memory_region(p, n);
}
#else
static void poison(void *p, size_t n)
{
	(void)p;
	(void)n;
}

static void unpoison(void *p, size_t n)
{
	(void)p;
	(void)n;
}
#endif

enum { SLOT_BITS = 24, SLOT_MASK = (1 << SLOT_BITS) - 1 };
#define NO_SLOT UINT32_MAX

static void *object(const struct sl_pool *p, uint32_t slot)
{
	uint8_t *slab = p->slabs[slot / p->per_slab];

	return slab + (size_t)(slot % p->per_slab) * p->size;
}

static uint64_t id_of(const struct sl_pool *p, uint32_t slot)
{
	return (uint64_t)p->loop << 56 | (uint64_t)slot << 32 | p->gens[slot];
}

int sl_pool_init(struct sl_pool *p, size_t size, uint32_t max, uint32_t per_slab, uint8_t loop)
{
	SL_ASSERT(max <= SLOT_MASK && per_slab > 0);
	*p = (struct sl_pool){
		.size = (size + 15) & ~(size_t)15,
		.per_slab = per_slab,
		.max = max,
		.free_head = NO_SLOT,
		.loop = loop,
	};
	p->slabs = sl_zalloc_array(max / per_slab + 1, sizeof(*p->slabs));
	p->gens = sl_zalloc_array(max, sizeof(*p->gens));
	p->free_next = sl_zalloc_array(max, sizeof(*p->free_next));
	if (p->slabs && p->gens && p->free_next)
		return SL_OK;
	sl_pool_fini(p);
	return SL_ENOMEM;
}

void sl_pool_fini(struct sl_pool *p)
{
	for (uint32_t i = 0; p->slabs && i < p->nslabs; i++) {
		unpoison(p->slabs[i], p->size * p->per_slab);
		sl_free(p->slabs[i]);
	}
	sl_free(p->slabs);
	sl_free(p->gens);
	sl_free(p->free_next);
	*p = (struct sl_pool){.free_head = NO_SLOT};
}

/* One more slab, its slots on the free list, lowest first. The last slab may be used in part. */
static bool grow(struct sl_pool *p)
{
	uint32_t n = SL_MIN(p->per_slab, p->max - p->slots);
	void *slab = n ? sl_zalloc_array(p->per_slab, p->size) : NULL;

	if (!slab)
		return false;
	poison(slab, p->size * p->per_slab);
	p->slabs[p->nslabs++] = slab;
	for (uint32_t i = n; i > 0; i--) {
		p->free_next[p->slots + i - 1] = p->free_head;
		p->free_head = p->slots + i - 1;
	}
	p->slots += n;
	return true;
}

void *sl_pool_get(struct sl_pool *p, uint64_t *id)
{
	uint32_t slot;
	void *obj;

	if (p->size == 0 || (p->free_head == NO_SLOT && !grow(p)))
		return NULL;
	slot = p->free_head;
	p->free_head = p->free_next[slot];
	obj = object(p, slot);
	unpoison(obj, p->size);
	/* A slot's first object is zero already: what it never touches takes no memory. */
	if (p->gens[slot])
		memset(obj, 0, p->size);
	p->gens[slot]++;
	p->live++;
	if (id)
		*id = id_of(p, slot);
	return obj;
}

/* The slot of a live object's id; NO_SLOT for a stale or foreign one. */
static uint32_t slot_of(const struct sl_pool *p, uint64_t id)
{
	uint32_t slot = (uint32_t)(id >> 32) & SLOT_MASK;
	uint32_t gen = (uint32_t)id;

	if (sl_id_loop(id) != p->loop || slot >= p->slots || !(gen & 1) || p->gens[slot] != gen)
		return NO_SLOT;
	return slot;
}

void sl_pool_put(struct sl_pool *p, uint64_t id)
{
	uint32_t slot = slot_of(p, id);

	SL_ASSERT(slot != NO_SLOT);
	if (++p->gens[slot] == 0) /* it wrapped: as if never used */
		memset(object(p, slot), 0, p->size);
	p->live--;
	p->free_next[slot] = p->free_head;
	p->free_head = slot;
	poison(object(p, slot), p->size);
}

void *sl_pool_at(const struct sl_pool *p, uint64_t id)
{
	uint32_t slot = slot_of(p, id);

	return slot == NO_SLOT ? NULL : object(p, slot);
}

void *sl_pool_next(const struct sl_pool *p, uint32_t *cursor, uint64_t *id)
{
	while (*cursor < p->slots) {
		uint32_t slot = (*cursor)++;

		if (!(p->gens[slot] & 1))
			continue;
		if (id)
			*id = id_of(p, slot);
		return object(p, slot);
	}
	return NULL;
}

/* ---- blocks ---- */

enum { BLOCK_ALIGN = 64 };

/* The heap aligns to 16; `mem` has room to begin at the next multiple of 64. */
static uint8_t *first_block(const struct sl_slab *s)
{
	return s->mem + (-(uintptr_t)s->mem & (BLOCK_ALIGN - 1));
}

int sl_slab_init(struct sl_slab *s, size_t size, uint32_t count)
{
	size_t bytes;

	*s = (struct sl_slab){.size = (size + BLOCK_ALIGN - 1) & ~(size_t)(BLOCK_ALIGN - 1)};
	if (__builtin_mul_overflow(s->size, count, &bytes) || bytes > SIZE_MAX - BLOCK_ALIGN)
		return SL_ENOMEM;
	s->mem = sl_zalloc(bytes + BLOCK_ALIGN);
	s->free = sl_zalloc_array(count, sizeof(*s->free));
	if (!s->mem || !s->free) {
		sl_slab_fini(s);
		return SL_ENOMEM;
	}
	s->count = s->nfree = count;
	for (uint32_t i = 0; i < count; i++)
		s->free[i] = count - 1 - i;
	poison(first_block(s), bytes);
	return SL_OK;
}

void sl_slab_fini(struct sl_slab *s)
{
	if (s->mem)
		unpoison(first_block(s), s->size * s->count);
	sl_free(s->mem);
	sl_free(s->free);
	*s = (struct sl_slab){0};
}

void *sl_slab_get(struct sl_slab *s)
{
	uint8_t *block;

	if (s->nfree == 0)
		return NULL;
	block = first_block(s) + s->free[--s->nfree] * s->size;
	unpoison(block, s->size);
	return block;
}

void sl_slab_put(struct sl_slab *s, void *block)
{
	size_t offset = (size_t)((uint8_t *)block - first_block(s));

	SL_ASSERT(offset % s->size == 0 && offset / s->size < s->count && s->nfree < s->count);
	poison(block, s->size);
	s->free[s->nfree++] = (uint32_t)(offset / s->size);
}
