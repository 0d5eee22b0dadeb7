/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"
#include "core/base/rng.h"
#include "tests/test.h"

static const uint64_t secret[2] = {1, 2};
static int values[300];

TEST(siphash_gives_the_reference_values)
{
	/* Key 00 01 .. 0f and no input, then a key of zeros over 00 01 02 .., as Python 3.11's
	 * hash() with seed 0 gives. */
	static const uint64_t counting[2] = {UINT64_C(0x0706050403020100),
					     UINT64_C(0x0f0e0d0c0b0a0908)};
	static const uint64_t zeros[2];
	static const struct {
		size_t n;
		uint64_t want;
	} rows[] = {
		{1, UINT64_C(0x68a914128e01e473)},  {7, UINT64_C(0x2f098ab0c751325a)},
		{8, UINT64_C(0xead411e67ebe2eea)},  {9, UINT64_C(0x75927f9d95124362)},
		{15, UINT64_C(0xf30eb725bb91c9ea)}, {16, UINT64_C(0x8972188433a5c5b7)},
		{63, UINT64_C(0x385d3e39e5f37359)}, {72, UINT64_C(0x04bde5b7ae0e11c2)},
	};
	uint8_t data[72];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	CHECK(sl_siphash13(counting, NULL, 0) == UINT64_C(0xabac0158050fc4dc));
	for (size_t i = 0; i < SL_COUNT(rows); i++)
		CHECK(sl_siphash13(zeros, data, rows[i].n) == rows[i].want);
}

TEST(hash_finds_what_was_put_and_only_that)
{
	struct sl_hash h;

	TRY(sl_hash_init(&h, 10, secret));
	DEFER(sl_hash_fini, &h);
	TRY(sl_hash_put(&h, "ufrag", 5, &values[0]));
	TRY(sl_hash_put(&h, "ufra", 4, &values[1]));
	TRY(sl_hash_put(&h, "", 0, &values[2]));
	CHECK(sl_hash_get(&h, "ufrag", 5) == &values[0]);
	CHECK(sl_hash_get(&h, "ufra", 4) == &values[1]);
	CHECK(sl_hash_get(&h, NULL, 0) == &values[2]);
	CHECK(sl_hash_get(&h, "ufrag!", 6) == NULL);
	CHECK_EQ(h.count, 3);
}

TEST(hash_put_under_a_key_that_is_there_replaces)
{
	struct sl_hash h;

	TRY(sl_hash_init(&h, 1, secret));
	DEFER(sl_hash_fini, &h);
	TRY(sl_hash_put(&h, "a", 1, &values[0]));
	TRY(sl_hash_put(&h, "a", 1, &values[1]));
	CHECK_EQ(h.count, 1);
	CHECK(sl_hash_get(&h, "a", 1) == &values[1]);
}

TEST(hash_says_full_at_its_maximum_and_refuses_long_keys)
{
	struct sl_hash h;
	char key[SL_HASH_KEY_MAX + 1] = {0};

	TRY(sl_hash_init(&h, 2, secret));
	DEFER(sl_hash_fini, &h);
	TRY(sl_hash_put(&h, "a", 1, &values[0]));
	CHECK_EQ(sl_hash_put(&h, key, sizeof(key), &values[1]), SL_ERANGE);
	CHECK(sl_hash_get(&h, key, sizeof(key)) == NULL);
	CHECK(sl_hash_del(&h, key, sizeof(key)) == NULL);
	TRY(sl_hash_put(&h, key, SL_HASH_KEY_MAX, &values[1]));
	CHECK_EQ(sl_hash_put(&h, "c", 1, &values[2]), SL_EFULL);
	CHECK(sl_hash_get(&h, key, SL_HASH_KEY_MAX) == &values[1]);
	CHECK(sl_hash_del(&h, "a", 1) == &values[0]);
	TRY(sl_hash_put(&h, "c", 1, &values[2]));
}

TEST(hash_walk_visits_all_while_the_present_one_is_deleted)
{
	struct sl_hash h;
	uint32_t cursor = 0;
	int seen = 0, *v;

	TRY(sl_hash_init(&h, 300, secret));
	DEFER(sl_hash_fini, &h);
	for (int i = 0; i < 300; i++) {
		values[i] = i;
		TRY(sl_hash_put(&h, &i, sizeof(i), &values[i]));
	}
	while ((v = sl_hash_next(&h, &cursor))) {
		int key = *v;

		CHECK(sl_hash_del(&h, &key, sizeof(key)) == v);
		seen++;
	}
	CHECK_EQ(seen, 300);
	CHECK_EQ(h.count, 0);
}

/* Against a plain array of flags, with a table kept nearly full so that clusters are long. */
TEST(hash_agrees_with_a_plain_array_over_random_work)
{
	struct sl_test_rng state;
	struct sl_rng rng = sl_test_rng(&state, 5);
	struct sl_hash h;
	bool there[300] = {0};
	uint32_t count = 0;

	TRY(sl_hash_init(&h, 256, secret));
	DEFER(sl_hash_fini, &h);
	for (int round = 0; round < 20000; round++) {
		uint32_t key = sl_rng_u32(&rng) % 300;

		if (sl_rng_u32(&rng) % 16 < 9) {
			int want = there[key] || count < 256 ? SL_OK : SL_EFULL;

			CHECK_EQ(sl_hash_put(&h, &key, sizeof(key), &values[key]), want);
			count += !there[key] && want == SL_OK;
			there[key] |= want == SL_OK;
		} else {
			CHECK(sl_hash_del(&h, &key, sizeof(key)) ==
			      (there[key] ? &values[key] : NULL));
			count -= there[key];
			there[key] = false;
		}
		CHECK_EQ(h.count, count);
		key = sl_rng_u32(&rng) % 300;
		CHECK(sl_hash_get(&h, &key, sizeof(key)) == (there[key] ? &values[key] : NULL));
	}
	for (uint32_t key = 0; key < 300; key++)
		CHECK(sl_hash_get(&h, &key, sizeof(key)) == (there[key] ? &values[key] : NULL));
}

TEST(hash_grows_to_its_maximum_and_goes_on_without_memory_for_a_while)
{
	enum { MANY = 5000, FIRST = 128 };
	struct sl_hash h;
	int err = SL_OK;

	TRY(sl_hash_init(&h, MANY, secret));
	DEFER(sl_hash_fini, &h);
	for (int i = 0; i < MANY && !err; i++) {
		err = sl_hash_put(&h, &i, sizeof(i), &values[i % 300]);
		CHECK(err == SL_OK || i >= FIRST);
	}
	for (uint32_t i = 0; i < MANY; i++)
		CHECK(sl_hash_get(&h, &i, sizeof(i)) == (i < h.count ? &values[i % 300] : NULL));
	TRY(err);
	CHECK_EQ(h.count, MANY);
}

TEST(hash_order_depends_on_the_secret)
{
	static const uint64_t other[2] = {1, 3};

	CHECK(sl_siphash13(secret, "key", 3) != sl_siphash13(other, "key", 3));
}

TEST(hash_that_is_zeroed_is_empty_and_full)
{
	struct sl_hash h = {0};
	uint32_t cursor = 0;

	CHECK(sl_hash_get(&h, "a", 1) == NULL);
	CHECK(sl_hash_del(&h, "a", 1) == NULL);
	CHECK(sl_hash_next(&h, &cursor) == NULL);
	CHECK_EQ(sl_hash_put(&h, "a", 1, &values[0]), SL_EFULL);
	sl_hash_fini(&h);
}
