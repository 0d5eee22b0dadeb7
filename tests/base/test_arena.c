/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/arena.h"
#include "tests/test.h"

static uint8_t *alloc(struct sl_arena *a, size_t size)
{
	uint8_t *p = sl_arena_alloc(a, size);

	TRY(p ? SL_OK : SL_ENOMEM);
	return p;
}

TEST(arena_gives_zeroed_aligned_memory_that_does_not_overlap)
{
	struct sl_arena a;
	uint8_t *all[100];

	sl_arena_init(&a, 100000);
	DEFER(sl_arena_fini, &a);
	for (size_t i = 0; i < SL_COUNT(all); i++) {
		all[i] = alloc(&a, i * 5 + 1);
		CHECK_EQ((uintptr_t)all[i] % 16, 0);
		CHECK_EQ(all[i][i * 5], 0);
		memset(all[i], (int)i, i * 5 + 1);
	}
	for (size_t i = 0; i < SL_COUNT(all); i++)
		for (size_t k = 0; k < i * 5 + 1; k++)
			CHECK_EQ(all[i][k], i);
	CHECK(!a.failed);
}

TEST(arena_refuses_what_passes_its_limit_and_remembers)
{
	struct sl_arena a;

	sl_arena_init(&a, 64);
	DEFER(sl_arena_fini, &a);
	alloc(&a, 48);
	CHECK(sl_arena_alloc(&a, 17) == NULL);
	CHECK(a.failed);
	alloc(&a, 16);
	CHECK(sl_arena_alloc(&a, 1) == NULL);
	CHECK_EQ(a.used, 64);
}

TEST(arena_refuses_sizes_that_would_wrap)
{
	struct sl_arena a;

	sl_arena_init(&a, SIZE_MAX);
	DEFER(sl_arena_fini, &a);
	CHECK(sl_arena_alloc(&a, SIZE_MAX - 3) == NULL);
	CHECK(sl_arena_dup(&a, "x", SIZE_MAX) == NULL);
	sl_arena_init(&a, 1000);
	CHECK(sl_arena_alloc(&a, SIZE_MAX) == NULL);
	CHECK(a.failed);
}

TEST(arena_serves_a_piece_larger_than_a_block)
{
	struct sl_arena a;
	uint8_t *big, *small;

	sl_arena_init(&a, 1 << 20);
	DEFER(sl_arena_fini, &a);
	small = alloc(&a, 10);
	big = alloc(&a, 100000);
	big[99999] = 1;
	small[9] = 2;
	CHECK_EQ(big[0], 0);
}

TEST(arena_copies_text_and_ends_it)
{
	struct sl_arena a;
	char *s;

	sl_arena_init(&a, 1000);
	DEFER(sl_arena_fini, &a);
	s = sl_arena_dup(&a, "offer/answer", 5);
	TRY(s ? SL_OK : SL_ENOMEM);
	CHECK_STR(s, "offer");
}

TEST(arena_may_be_used_again_after_fini)
{
	struct sl_arena a, zeroed = {0};

	sl_arena_init(&a, 32);
	DEFER(sl_arena_fini, &a);
	alloc(&a, 32);
	CHECK(sl_arena_alloc(&a, 1) == NULL);
	sl_arena_fini(&a);
	CHECK(!a.failed);
	CHECK_EQ(a.used, 0);
	alloc(&a, 32);
	sl_arena_fini(&zeroed);
	CHECK(sl_arena_alloc(&zeroed, 1) == NULL);
}
