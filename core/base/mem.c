/* SPDX-License-Identifier: Apache-2.0
 * core/base/mem.c — counts blocks over calloc(), so that a test program that defines its own
 * calloc() sees them. */
#include "core/base/mem.h"
#include <stdlib.h>

static struct sl_mem_stat stat;
static bool (*gate)(size_t size);

static void bump(uint64_t *counter, uint64_t by)
{
	__atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

static bool may_alloc(size_t size)
{
	bool (*ask)(size_t) = SL_LOAD(&gate);

	return !ask || ask(size);
}

void *sl_zalloc_array(size_t n, size_t size)
{
	size_t bytes;
	void *p = NULL;

	if (!__builtin_mul_overflow(n, size, &bytes) && may_alloc(bytes))
		p = calloc(bytes ? bytes : 1, 1);
	if (!p) {
		bump(&stat.failed, 1);
		return NULL;
	}
	bump(&stat.live, 1);
	bump(&stat.total, 1);
	return p;
}

void *sl_zalloc(size_t size)
{
	return sl_zalloc_array(1, size);
}

void *sl_realloc(void *p, size_t size)
{
	void *grown = NULL;

	if (!p)
		return sl_zalloc(size);
	if (may_alloc(size))
		grown = realloc(p, size ? size : 1);
	if (!grown)
		bump(&stat.failed, 1);
	return grown;
}

char *sl_strndup(const char *s, size_t n)
{
	char *copy = n < SIZE_MAX ? sl_zalloc(n + 1) : NULL;

	if (copy && n)
		memcpy(copy, s, n);
	return copy;
}

void sl_free(void *p)
{
	if (!p)
		return;
	bump(&stat.live, UINT64_MAX); /* minus one */
	free(p);
}

void sl_wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

struct sl_mem_stat sl_mem_stat(void)
{
	return (struct sl_mem_stat){
		.live = SL_LOAD(&stat.live),
		.total = SL_LOAD(&stat.total),
		.failed = SL_LOAD(&stat.failed),
	};
}

void sl_mem_set_gate(bool (*ask)(size_t size))
{
	SL_STORE(&gate, ask);
}
