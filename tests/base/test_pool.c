/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/pool.h"
#include "tests/test.h"
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

struct thing {
	uint32_t a, b;
	char text[40];
};

static void *get(struct sl_pool *p, uint64_t *id)
{
	void *obj = sl_pool_get(p, id);

	TRY(obj ? SL_OK : SL_ENOMEM);
	return obj;
}

TEST(pool_objects_are_zeroed_also_when_reused)
{
	struct sl_pool p;
	struct thing *t;
	uint64_t id;

	TRY(sl_pool_init(&p, sizeof(*t), 10, 4, 0));
	DEFER(sl_pool_fini, &p);
	t = get(&p, &id);
	memset(t, 0xff, sizeof(*t));
	sl_pool_put(&p, id);
	t = get(&p, NULL);
	CHECK_EQ(t->a + t->b, 0);
	CHECK_EQ(t->text[39], 0);
}

TEST(pool_says_no_at_its_maximum_and_yes_again_after_a_put)
{
	struct sl_pool p;
	uint64_t ids[5];

	TRY(sl_pool_init(&p, sizeof(struct thing), 5, 2, 0));
	DEFER(sl_pool_fini, &p);
	for (size_t i = 0; i < SL_COUNT(ids); i++)
		get(&p, &ids[i]);
	CHECK(sl_pool_get(&p, NULL) == NULL);
	CHECK_EQ(p.live, 5);
	sl_pool_put(&p, ids[2]);
	CHECK(sl_pool_get(&p, NULL) != NULL);
}

TEST(pool_id_holds_the_loop_and_finds_its_object)
{
	struct sl_pool p;
	uint64_t id;
	void *obj;

	TRY(sl_pool_init(&p, sizeof(struct thing), 5, 2, 200));
	DEFER(sl_pool_fini, &p);
	obj = get(&p, &id);
	CHECK_EQ(sl_id_loop(id), 200);
	CHECK(sl_pool_at(&p, id) == obj);
	CHECK((uint32_t)id != 0);
}

TEST(pool_finds_nothing_under_a_stale_or_made_up_id)
{
	struct sl_pool p;
	uint64_t old, now;

	TRY(sl_pool_init(&p, sizeof(struct thing), 5, 2, 3));
	DEFER(sl_pool_fini, &p);
	get(&p, &old);
	sl_pool_put(&p, old);
	CHECK(sl_pool_at(&p, old) == NULL);
	CHECK(sl_pool_at(&p, old + 1) == NULL); /* the generation of a free slot */
	get(&p, &now);
	CHECK_EQ(now >> 32, old >> 32);
	CHECK(now != old);
	CHECK(sl_pool_at(&p, old) == NULL);
	CHECK(sl_pool_at(&p, now) != NULL);
	CHECK(sl_pool_at(&p, now ^ UINT64_C(1) << 56) == NULL);
	CHECK(sl_pool_at(&p, now | UINT64_C(0xffffff) << 32) == NULL);
	CHECK(sl_pool_at(&p, 0) == NULL);
}

TEST(pool_id_is_never_zero_though_its_generation_wraps)
{
	struct sl_pool p;
	uint64_t id;

	TRY(sl_pool_init(&p, sizeof(struct thing), 1, 1, 0));
	DEFER(sl_pool_fini, &p);
	get(&p, &id);
	sl_pool_put(&p, id);
	p.gens[0] = UINT32_MAX - 1;
	get(&p, &id);
	CHECK_EQ((uint32_t)id, UINT32_MAX);
	sl_pool_put(&p, id);
	get(&p, &id);
	CHECK_EQ((uint32_t)id, 1);
}

TEST(pool_walk_visits_each_live_object_once_while_they_are_put)
{
	struct sl_pool p;
	uint64_t ids[7], id;
	uint32_t cursor = 0, seen = 0;
	const struct thing *t;

	TRY(sl_pool_init(&p, sizeof(struct thing), 7, 3, 1));
	DEFER(sl_pool_fini, &p);
	for (uint32_t i = 0; i < SL_COUNT(ids); i++)
		((struct thing *)get(&p, &ids[i]))->a = i;
	sl_pool_put(&p, ids[3]);
	while ((t = sl_pool_next(&p, &cursor, &id))) {
		CHECK_EQ(id, ids[t->a]);
		CHECK(!(seen & 1u << t->a));
		seen |= 1u << t->a;
		sl_pool_put(&p, id);
	}
	CHECK_EQ(seen, 0x77);
	CHECK_EQ(p.live, 0);
}

TEST(pool_objects_do_not_overlap_across_slabs)
{
	struct sl_pool p;
	struct thing *all[9];

	TRY(sl_pool_init(&p, sizeof(struct thing), 9, 4, 0));
	DEFER(sl_pool_fini, &p);
	for (size_t i = 0; i < SL_COUNT(all); i++) {
		all[i] = get(&p, NULL);
		CHECK_EQ((uintptr_t)all[i] % 16, 0);
		memset(all[i], (int)i, sizeof(*all[i]));
	}
	for (size_t i = 0; i < SL_COUNT(all); i++) {
		CHECK_EQ((uint8_t)all[i]->a, i);
		CHECK_EQ(all[i]->text[39], (char)i);
	}
}

TEST(pool_fini_takes_a_zeroed_pool)
{
	struct sl_pool p = {0};

	sl_pool_fini(&p);
	CHECK(sl_pool_get(&p, NULL) == NULL);
	CHECK(sl_pool_at(&p, 1) == NULL);
}

TEST(slab_blocks_are_aligned_apart_and_as_many_as_asked)
{
	struct sl_slab s;
	uint8_t *blocks[6];

	TRY(sl_slab_init(&s, 100, 6));
	DEFER(sl_slab_fini, &s);
	CHECK_EQ(s.size, 128);
	for (size_t i = 0; i < SL_COUNT(blocks); i++) {
		blocks[i] = sl_slab_get(&s);
		CHECK(blocks[i] != NULL);
		CHECK_EQ((uintptr_t)blocks[i] % 64, 0);
		memset(blocks[i], (int)i, s.size);
	}
	CHECK(sl_slab_get(&s) == NULL);
	for (size_t i = 0; i < SL_COUNT(blocks); i++) {
		CHECK_EQ(blocks[i][0], i);
		CHECK_EQ(blocks[i][127], i);
	}
	sl_slab_put(&s, blocks[4]);
	CHECK(sl_slab_get(&s) == blocks[4]);
}

TEST(slab_fini_takes_a_zeroed_slab)
{
	struct sl_slab s = {0};

	sl_slab_fini(&s);
	CHECK(sl_slab_get(&s) == NULL);
}

#if defined(__SANITIZE_ADDRESS__)
TEST(memory_that_was_put_back_is_poisoned)
{
	struct sl_slab s;
	struct sl_pool p;
	uint64_t id;
	void *block, *obj;

	TRY(sl_slab_init(&s, 64, 2));
	DEFER(sl_slab_fini, &s);
	TRY(sl_pool_init(&p, sizeof(struct thing), 5, 2, 3));
	DEFER(sl_pool_fini, &p);
	block = sl_slab_get(&s);
	obj = get(&p, &id);
	CHECK(!__asan_address_is_poisoned(block));
	CHECK(!__asan_address_is_poisoned(obj));
	sl_slab_put(&s, block);
	sl_pool_put(&p, id);
	CHECK(__asan_address_is_poisoned(block));
	CHECK(__asan_address_is_poisoned(obj));
}
#endif
