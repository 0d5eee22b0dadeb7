/* SPDX-License-Identifier: Apache-2.0
 * core/base/mem.h — the one door to the heap, so that allocations are counted and can be made to
 * fail. Never used per packet: packets and objects of a loop come from pool.h. */
#ifndef SL_MEM_H
#define SL_MEM_H
#include "core/base/base.h"

struct sl_mem_stat {
	uint64_t live;          /* blocks allocated and not yet freed */
	uint64_t total;         /* blocks ever allocated */
	uint64_t failed;        /* requests refused, by the system or by the gate */
};

/* Zeroed memory, or NULL. Freed with sl_free(), which takes NULL. */
void *sl_zalloc(size_t size) SL_MUST_USE;
void *sl_zalloc_array(size_t n, size_t size) SL_MUST_USE;
/* Grows or shrinks; new bytes are not zeroed. On NULL the old block stays valid. */
void *sl_realloc(void *p, size_t size) SL_MUST_USE;
char *sl_strndup(const char *s, size_t n) SL_MUST_USE;
void sl_free(void *p);
/* Zeroes in a way the compiler cannot drop; for keys and passwords. */
void sl_wipe(void *p, size_t n);
struct sl_mem_stat sl_mem_stat(void);
/* Tests only: asked before every allocation; false makes it fail. NULL removes it. */
void sl_mem_set_gate(bool (*may_alloc)(size_t size));
#endif
