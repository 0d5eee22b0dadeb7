/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/bytes.h"
#include "core/base/rng.h"
#include "tests/test.h"

static const uint8_t fifteen[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

TEST(reader_takes_numbers_in_network_order)
{
	struct sl_rd r = sl_rd(fifteen, sizeof(fifteen));

	CHECK_EQ(sl_rd8(&r), 0x01);
	CHECK_EQ(sl_rd16(&r), 0x0203);
	CHECK_EQ(sl_rd24(&r), 0x040506);
	CHECK_EQ(sl_rd32(&r), 0x0708090a);
	CHECK_EQ(sl_rd_left(&r), 5);
	CHECK(!r.bad);
	r = sl_rd(fifteen, 8);
	CHECK_EQ(sl_rd64(&r), 0x0102030405060708);
	CHECK_EQ(sl_rd_left(&r), 0);
}

TEST(reader_after_a_short_read_yields_only_zeros)
{
	struct sl_rd r = sl_rd(fifteen, 3);
	uint8_t out[2] = {9, 9};

	CHECK_EQ(sl_rd32(&r), 0);
	CHECK(r.bad);
	CHECK_EQ(sl_rd_left(&r), 0);
	CHECK_EQ(sl_rd8(&r), 0);
	CHECK_EQ(sl_rd16(&r), 0);
	CHECK_EQ(sl_rd24(&r), 0);
	CHECK_EQ(sl_rd64(&r), 0);
	CHECK(sl_rd_bytes(&r, 1) == NULL);
	sl_rd_copy(&r, out, sizeof(out));
	CHECK_EQ(out[0] + out[1], 0);
	CHECK(r.bad);
}

TEST(reader_of_nothing_is_empty_and_good)
{
	struct sl_rd r = sl_rd(NULL, 0);

	CHECK_EQ(sl_rd_left(&r), 0);
	CHECK(!r.bad);
	sl_rd_skip(&r, 0);
	CHECK(!r.bad);
	CHECK_EQ(sl_rd8(&r), 0);
	CHECK(r.bad);
}

TEST(nested_reader_cannot_escape_its_parent)
{
	struct sl_rd r = sl_rd(fifteen, 6);
	struct sl_rd sub = sl_rd_sub(&r, 4);

	CHECK_EQ(sl_rd_left(&sub), 4);
	CHECK_EQ(sl_rd_left(&r), 2);
	CHECK_EQ(sl_rd64(&sub), 0);
	CHECK(sub.bad && !r.bad);
	CHECK_EQ(sl_rd16(&r), 0x0506);

	r = sl_rd(fifteen, 6);
	sub = sl_rd_sub(&r, 7);
	CHECK(sub.bad && r.bad);
	CHECK_EQ(sl_rd_left(&sub), 0);
	CHECK_EQ(sl_rd8(&sub), 0);
}

TEST(reader_refuses_a_length_that_would_wrap_a_pointer)
{
	struct sl_rd r = sl_rd(fifteen, 8);

	CHECK(sl_rd_bytes(&r, SIZE_MAX) == NULL);
	CHECK(r.bad);
}

TEST(writer_writes_what_the_reader_reads)
{
	uint8_t buf[64];
	struct sl_wr w = sl_wr(buf, sizeof(buf));
	struct sl_rd r;

	sl_wr8(&w, 0xa1);
	sl_wr16(&w, 0xb1b2);
	sl_wr24(&w, 0xc1c2c3);
	sl_wr32(&w, 0xd1d2d3d4);
	sl_wr64(&w, 0xe1e2e3e4e5e6e7e8);
	sl_wr_bytes(&w, fifteen, 3);
	sl_wr_bytes(&w, NULL, 0);
	sl_wr_zeros(&w, 2);
	CHECK(!w.full);
	CHECK_EQ(sl_wr_len(&w), 23);
	CHECK_EQ(sl_wr_left(&w), 41);
	r = sl_rd(buf, sl_wr_len(&w));
	CHECK_EQ(sl_rd8(&r), 0xa1);
	CHECK_EQ(sl_rd16(&r), 0xb1b2);
	CHECK_EQ(sl_rd24(&r), 0xc1c2c3);
	CHECK_EQ(sl_rd32(&r), 0xd1d2d3d4);
	CHECK_EQ(sl_rd64(&r), 0xe1e2e3e4e5e6e7e8);
	CHECK_BYTES(sl_rd_bytes(&r, 3), fifteen, 3);
	CHECK_EQ(sl_rd16(&r), 0);
	CHECK(!r.bad);
}

TEST(writer_that_is_full_writes_nothing_more_even_if_it_would_fit)
{
	uint8_t buf[8] = {0};
	struct sl_wr w = sl_wr(buf, 3);

	sl_wr16(&w, 0x1122);
	sl_wr32(&w, 0xffffffff);
	CHECK(w.full);
	sl_wr8(&w, 0xff);
	sl_wr_bytes(&w, fifteen, 1);
	CHECK_EQ(sl_wr_len(&w), 2);
	CHECK_EQ(buf[2], 0);
	CHECK(sl_wr_space(&w, 0) == NULL);
}

TEST(get_and_put_agree_on_any_number)
{
	struct sl_test_rng state;
	struct sl_rng rng = sl_test_rng(&state, 7);
	uint8_t b[8];

	for (int i = 0; i < 1000; i++) {
		uint64_t v = sl_rng_u64(&rng);

		sl_put64(b, v);
		CHECK(sl_get64(b) == v);
		sl_put32(b, (uint32_t)v);
		CHECK_EQ(sl_get32(b), (uint32_t)v);
		sl_put24(b, (uint32_t)v);
		CHECK_EQ(sl_get24(b), v & 0xffffff);
		sl_put16(b, (uint16_t)v);
		CHECK_EQ(sl_get16(b), (uint16_t)v);
	}
}
