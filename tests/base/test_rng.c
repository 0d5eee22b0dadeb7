/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/rng.h"
#include "tests/test.h"

TEST(system_generators_give_different_bytes_each_time)
{
	struct sl_rng a, b;

	TRY(sl_rng_system_new(&a));
	DEFER(sl_rng_system_free, &a);
	TRY(sl_rng_system_new(&b));
	DEFER(sl_rng_system_free, &b);
	CHECK(sl_rng_u64(&a) != sl_rng_u64(&b));
	CHECK(sl_rng_u64(&a) != sl_rng_u64(&a));
}

TEST(system_generator_fills_more_than_one_request_of_the_library)
{
	struct sl_rng rng;
	uint8_t buf[5000] = {0};
	size_t ones = 0;

	TRY(sl_rng_system_new(&rng));
	DEFER(sl_rng_system_free, &rng);
	sl_rng_fill(&rng, buf, sizeof(buf));
	for (size_t i = 0; i < sizeof(buf); i++)
		ones += (size_t)__builtin_popcount(buf[i]);
	/* Of 40,000 fair bits: within 10 standard deviations. */
	CHECK(ones > 19000 && ones < 21000);
	CHECK(memcmp(buf, buf + 1024, 1024) != 0);
	for (size_t i = 0; i + 16 <= sizeof(buf); i += 16)
		CHECK(memcmp(buf + i, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16) != 0);
	sl_rng_fill(&rng, buf, 0);
}

TEST(system_generator_is_freed_twice_without_harm)
{
	struct sl_rng rng = {0};

	sl_rng_system_free(&rng);
	TRY(sl_rng_system_new(&rng));
	sl_rng_system_free(&rng);
	sl_rng_system_free(&rng);
	CHECK(rng.state == NULL);
}

static void ascending(void *state, void *out, size_t n)
{
	uint8_t *next = state, *p = out;

	for (size_t i = 0; i < n; i++)
		p[i] = (*next)++;
}

TEST(each_value_of_six_bits_gives_a_character_of_its_own)
{
	uint8_t next = 0;
	struct sl_rng rng = {.fill = ascending, .state = &next};
	char text[65];

	sl_rng_ice_chars(&rng, text, 64);
	CHECK_STR(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
	sl_rng_id(&rng, text, 64);
	CHECK_STR(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
	sl_rng_id(&rng, text, 0);
	CHECK_STR(text, "");
	next = 128; /* bytes over 127 index as well */
	sl_rng_ice_chars(&rng, text, 3);
	CHECK_STR(text, "ABC");
}

TEST(numbers_take_their_bytes_in_network_order)
{
	uint8_t next = 1;
	struct sl_rng rng = {.fill = ascending, .state = &next};

	CHECK_EQ(sl_rng_u32(&rng), 0x01020304);
	CHECK_EQ(sl_rng_u64(&rng), 0x05060708090a0b0c);
}

TEST(seeded_generator_repeats_itself_and_differs_by_seed)
{
	struct sl_test_rng s1, s2, s3;
	struct sl_rng a = sl_test_rng(&s1, 1), b = sl_test_rng(&s2, 1), c = sl_test_rng(&s3, 2);
	uint64_t first = sl_rng_u64(&a);

	CHECK(first == sl_rng_u64(&b));
	CHECK(first != sl_rng_u64(&c));
}
