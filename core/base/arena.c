/* SPDX-License-Identifier: Apache-2.0
 * core/base/arena.c — a chain of blocks that are cut from the front and freed together. */
#include "core/base/arena.h"
#include "core/base/mem.h"

enum { ALIGN = 16, BLOCK_LEN = 4096 };

struct sl_arena_block {
	struct sl_arena_block *next;
	size_t len, used;
	_Alignas(ALIGN) uint8_t data[];
};

void sl_arena_init(struct sl_arena *a, size_t limit)
{
	*a = (struct sl_arena){.limit = limit};
}

void sl_arena_fini(struct sl_arena *a)
{
	struct sl_arena_block *b = a->head;

	while (b) {
		struct sl_arena_block *next = b->next;

		sl_free(b);
		b = next;
	}
	sl_arena_init(a, a->limit);
}

static struct sl_arena_block *add_block(struct sl_arena *a, size_t need)
{
	size_t len = SL_MAX(need, (size_t)BLOCK_LEN - sizeof(struct sl_arena_block));
	struct sl_arena_block *b = sl_zalloc(sizeof(*b) + len);

	if (!b)
		return NULL;
	b->len = len;
	b->next = a->head;
	a->head = b;
	return b;
}

void *sl_arena_alloc(struct sl_arena *a, size_t size)
{
	struct sl_arena_block *b = a->head;
	size_t need = SL_MAX(size, 1);

	/* Half the address space at most, so that rounding up and the block's head cannot wrap. */
	need = need > SIZE_MAX / 2 ? SIZE_MAX : (need + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (need > SIZE_MAX / 2 || need > a->limit - a->used) {
		a->failed = true;
		return NULL;
	}
	if (!b || b->len - b->used < need)
		b = add_block(a, need);
	if (!b) {
		a->failed = true;
		return NULL;
	}
	b->used += need;
	a->used += need;
	return b->data + b->used - need;
}

char *sl_arena_dup(struct sl_arena *a, const char *s, size_t n)
{
	char *copy = n < SIZE_MAX ? sl_arena_alloc(a, n + 1) : NULL;

	if (copy && n)
		memcpy(copy, s, n);
	return copy;
}
