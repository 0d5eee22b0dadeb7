/* SPDX-License-Identifier: Apache-2.0
 * core/base/queue.h — ring with one producer and one consumer thread, of slots of one size. No
 * locks. */
#ifndef SL_QUEUE_H
#define SL_QUEUE_H
#include "core/base/base.h"

struct sl_ring {
	/* owned */
	uint8_t *mem;
	/* state */
	size_t slot_size;
	uint32_t mask;                                          /* count - 1 */
	/* Each side's words a cache line apart; by padding, so that the heap's alignment is
	 * enough. */
	uint8_t pad0[64];
	uint32_t head;                                          /* next to write; producer's */
	uint32_t tail_seen;                                     /* producer's copy of tail */
	uint8_t pad1[64];
	uint32_t tail;                                          /* next to read; consumer's */
	uint32_t head_seen;                                     /* consumer's copy of head */
	uint8_t pad2[64];
};

/* count is rounded up to a power of two. SL_OK or SL_ENOMEM. */
SL_MUST_USE int sl_ring_init(struct sl_ring *r, size_t slot_size, uint32_t count);
void sl_ring_fini(struct sl_ring *r);
/* Producer: room for one more while at least `reserve` further slots stay free, or NULL. Fill it,
 * then push. */
void *sl_ring_slot(struct sl_ring *r, uint32_t reserve);
void sl_ring_push(struct sl_ring *r);
/* Consumer: the oldest slot or NULL; valid until pop. */
void *sl_ring_peek(struct sl_ring *r);
void sl_ring_pop(struct sl_ring *r);
/* Slots in use, as either side sees it. */
uint32_t sl_ring_used(const struct sl_ring *r);
#endif
