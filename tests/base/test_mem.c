/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/mem.h"
#include "tests/test.h"

TEST(blocks_are_zeroed_and_counted)
{
	struct sl_mem_stat before = sl_mem_stat(), after;
	uint8_t *p = sl_zalloc(100);

	TRY(p ? SL_OK : SL_ENOMEM);
	DEFER(sl_free, p);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(p[i], 0);
	after = sl_mem_stat();
	CHECK_EQ(after.live, before.live + 1);
	CHECK_EQ(after.total, before.total + 1);
	CHECK_EQ(after.failed, before.failed);
}

TEST(free_counts_down_and_takes_null)
{
	uint64_t live = sl_mem_stat().live;
	void *p = sl_zalloc(1);

	TRY(p ? SL_OK : SL_ENOMEM);
	sl_free(p);
	CHECK_EQ(sl_mem_stat().live, live);
	sl_free(NULL);
	CHECK_EQ(sl_mem_stat().live, live);
}

TEST(an_array_whose_size_overflows_is_refused)
{
	uint64_t failed = sl_mem_stat().failed;

	CHECK(sl_zalloc_array(SIZE_MAX / 2, 3) == NULL);
	CHECK_EQ(sl_mem_stat().failed, failed + 1);
}

TEST(a_size_of_zero_is_a_block_all_the_same)
{
	void *p = sl_zalloc(0);

	TRY(p ? SL_OK : SL_ENOMEM);
	DEFER(sl_free, p);
	CHECK(p != NULL);
}

TEST(realloc_keeps_the_content_and_the_count)
{
	uint64_t live = sl_mem_stat().live;
	uint8_t *p = sl_realloc(NULL, 4), *q;

	TRY(p ? SL_OK : SL_ENOMEM);
	memcpy(p, "abc", 4);
	q = sl_realloc(p, 4000);
	if (!q)
		sl_free(p); /* the old block stays valid */
	TRY(q ? SL_OK : SL_ENOMEM);
	CHECK_STR((char *)q, "abc");
	CHECK_EQ(sl_mem_stat().live, live + 1);
	sl_free(q);
	CHECK_EQ(sl_mem_stat().live, live);
}

TEST(strndup_copies_a_slice_and_ends_it)
{
	char *s = sl_strndup("hello, world", 5);

	TRY(s ? SL_OK : SL_ENOMEM);
	DEFER(sl_free, s);
	CHECK_STR(s, "hello");
}

TEST(wipe_zeroes_what_it_is_told_and_no_more)
{
	char secret[] = "password";

	sl_wipe(secret, 4);
	CHECK_BYTES(secret, "\0\0\0\0word", 9);
	sl_wipe(NULL, 0);
}
