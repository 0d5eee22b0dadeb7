/* SPDX-License-Identifier: Apache-2.0
 * core/base/queue.c — one producer, one consumer. Each side keeps a copy of the other's index and
 * looks again only when the copy says full or empty, so that in the usual case no cache line
 * travels. Indexes run freely and wrap. */
#include "core/base/queue.h"
#include "core/base/mem.h"

enum { SLOT_ALIGN = 16 };

static uint32_t load_acquire(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void *slot_at(const struct sl_ring *r, uint32_t index)
{
	return r->mem + (size_t)(index & r->mask) * r->slot_size;
}

int sl_ring_init(struct sl_ring *r, size_t slot_size, uint32_t count)
{
	uint32_t n = 1;

	SL_ASSERT(count <= UINT32_C(1) << 30);
	while (n < count)
		n *= 2;
	*r = (struct sl_ring){.mask = n - 1};
	r->slot_size = (slot_size + SLOT_ALIGN - 1) & ~(size_t)(SLOT_ALIGN - 1);
	r->mem = sl_zalloc_array(n, r->slot_size);
	return r->mem ? SL_OK : SL_ENOMEM;
}

void sl_ring_fini(struct sl_ring *r)
{
	sl_free(r->mem);
	*r = (struct sl_ring){0};
}

void *sl_ring_slot(struct sl_ring *r, uint32_t reserve)
{
	uint64_t need = (uint64_t)reserve + 1;
	uint64_t count = (uint64_t)r->mask + 1;

	if (count - (r->head - r->tail_seen) < need) {
		r->tail_seen = load_acquire(&r->tail);
		if (count - (r->head - r->tail_seen) < need)
			return NULL;
	}
	return slot_at(r, r->head);
}

void sl_ring_push(struct sl_ring *r)
{
	__atomic_store_n(&r->head, r->head + 1, __ATOMIC_RELEASE);
}

void *sl_ring_peek(struct sl_ring *r)
{
	if (r->tail == r->head_seen) {
		r->head_seen = load_acquire(&r->head);
		if (r->tail == r->head_seen)
			return NULL;
	}
	return slot_at(r, r->tail);
}

void sl_ring_pop(struct sl_ring *r)
{
	__atomic_store_n(&r->tail, r->tail + 1, __ATOMIC_RELEASE);
}

uint32_t sl_ring_used(const struct sl_ring *r)
{
	uint32_t tail = load_acquire(&r->tail);
	uint32_t used = load_acquire(&r->head) - tail;

	return SL_MIN(used, r->mask + 1);
}
