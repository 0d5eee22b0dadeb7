/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/queue.h"
#include "tests/test.h"
#include <pthread.h>
#include <sched.h>

enum { ITEMS = 100000 };

static bool push(struct sl_ring *r, uint64_t v)
{
	uint64_t *slot = sl_ring_slot(r, 0);

	if (!slot)
		return false;
	*slot = v;
	sl_ring_push(r);
	return true;
}

static bool pop(struct sl_ring *r, uint64_t *v)
{
	const uint64_t *slot = sl_ring_peek(r);

	if (!slot)
		return false;
	*v = *slot;
	sl_ring_pop(r);
	return true;
}

TEST(ring_gives_back_in_order_and_knows_full_and_empty)
{
	struct sl_ring r;
	uint64_t v;

	TRY(sl_ring_init(&r, sizeof(v), 3)); /* becomes 4 */
	DEFER(sl_ring_fini, &r);
	for (uint64_t round = 0; round < 10; round++) {
		CHECK(!pop(&r, &v));
		for (uint64_t i = 0; i < 4; i++)
			CHECK(push(&r, round * 10 + i));
		CHECK(!push(&r, 99));
		CHECK_EQ(sl_ring_used(&r), 4);
		for (uint64_t i = 0; i < 4; i++) {
			CHECK(pop(&r, &v));
			CHECK_EQ(v, round * 10 + i);
		}
		CHECK_EQ(sl_ring_used(&r), 0);
	}
}

TEST(ring_keeps_a_reserve_for_those_who_may_use_it)
{
	struct sl_ring r;

	TRY(sl_ring_init(&r, 8, 8));
	DEFER(sl_ring_fini, &r);
	for (int i = 0; i < 6; i++) {
		CHECK(sl_ring_slot(&r, 2) != NULL);
		sl_ring_push(&r);
	}
	CHECK(sl_ring_slot(&r, 2) == NULL);
	CHECK(sl_ring_slot(&r, UINT32_MAX) == NULL);
	CHECK(sl_ring_slot(&r, 1) != NULL);
	CHECK(sl_ring_slot(&r, 0) != NULL);
	CHECK(sl_ring_peek(&r) != NULL);
	sl_ring_pop(&r);
	CHECK(sl_ring_slot(&r, 2) != NULL);
}

TEST(t30_ring_works_on_when_its_indexes_wrap)
{
	struct sl_ring r;
	uint64_t v;

	TRY(sl_ring_init(&r, sizeof(v), 4));
	DEFER(sl_ring_fini, &r);
	r.head = r.tail = r.head_seen = r.tail_seen = UINT32_MAX - 5;
	for (uint64_t i = 0; i < 20; i++) {
		CHECK(push(&r, i) && push(&r, i + 1000));
		CHECK(pop(&r, &v));
		CHECK_EQ(v, i);
		CHECK(pop(&r, &v));
		CHECK_EQ(v, i + 1000);
	}
	CHECK(!pop(&r, &v));
}

TEST(ring_slots_are_as_large_as_asked_and_aligned)
{
	struct sl_ring r;

	TRY(sl_ring_init(&r, 21, 2));
	DEFER(sl_ring_fini, &r);
	for (int i = 0; i < 2; i++) {
		uint8_t *slot = sl_ring_slot(&r, 0);

		CHECK(slot != NULL);
		CHECK_EQ((uintptr_t)slot % 16, 0);
		memset(slot, i + 1, 21);
		sl_ring_push(&r);
	}
	CHECK_EQ(((uint8_t *)sl_ring_peek(&r))[20], 1);
	sl_ring_pop(&r);
	CHECK_EQ(((uint8_t *)sl_ring_peek(&r))[0], 2);
}

static void *produce(void *arg)
{
	struct sl_ring *r = arg;

	for (uint64_t i = 0; i < ITEMS; i++)
		while (!push(r, i * 3))
			sched_yield();
	return NULL;
}

TEST(ring_carries_every_item_in_order_between_two_threads)
{
	struct sl_ring r;
	pthread_t thread;
	uint64_t v, wrong = 0;

	TRY(sl_ring_init(&r, sizeof(v), 64));
	DEFER(sl_ring_fini, &r);
	TRY(pthread_create(&thread, NULL, produce, &r) ? SL_ENOMEM : SL_OK);
	for (uint64_t i = 0; i < ITEMS; i++) {
		while (!pop(&r, &v))
			sched_yield();
		wrong += v != i * 3;
	}
	pthread_join(thread, NULL);
	CHECK_EQ(wrong, 0);
	CHECK(!pop(&r, &v));
}
