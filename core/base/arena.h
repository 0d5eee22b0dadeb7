/* SPDX-License-Identifier: Apache-2.0
 * core/base/arena.h — memory of one command or one SDP, freed at once. Bounded: past `limit` bytes
 * it says no. */
#ifndef SL_ARENA_H
#define SL_ARENA_H
#include "core/base/base.h"

struct sl_arena {
	/* owned */
	struct sl_arena_block *head;
	/* state */
	size_t limit, used;
	bool failed;            /* an allocation was refused since init; test once at the end */
};

void sl_arena_init(struct sl_arena *a, size_t limit);
/* Frees everything; the arena may be used again. Takes a zeroed arena. */
void sl_arena_fini(struct sl_arena *a);
/* Zeroed, 16-byte aligned; NULL past the limit or out of memory (and `failed`). */
void *sl_arena_alloc(struct sl_arena *a, size_t size) SL_MUST_USE;
/* NUL-terminated copy. */
char *sl_arena_dup(struct sl_arena *a, const char *s, size_t n) SL_MUST_USE;
#endif
