/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/ice/ice_rig.h"

static const struct sl_stun full = {
	.class_ = SL_STUN_REQUEST,
	.method = STUN_BINDING,
	.tid = "abcdefghijk",
	.has = STUN_USERNAME | STUN_PRIORITY | STUN_USE_CANDIDATE | STUN_CONTROLLING |
	       STUN_INTEGRITY | STUN_FINGERPRINT,
	.username = {"abc:def", 7},
	.priority = 0x6e7f00ff,
	.tie_breaker = UINT64_C(0x8000000000000001),
};

TEST(what_was_written_reads_back_and_checks)
{
	uint8_t buf[256];
	struct sl_stun m;
	int n = stun_write(&full, "key", 3, buf, sizeof(buf));

	TRY(n);
	CHECK_EQ(stun_read(buf, (size_t)n, &m), SL_OK);
	CHECK_EQ(m.has, full.has);
	CHECK_EQ(m.priority, full.priority);
	CHECK(m.tie_breaker == full.tie_breaker);
	CHECK(sl_str_eq(m.username, full.username));
	CHECK_BYTES(m.tid, full.tid, sizeof(m.tid));
	TRY(stun_check(&m, "key", 3));
}

TEST(a_buffer_that_is_too_small_is_left_within_its_bounds)
{
	uint8_t buf[256];
	int n = stun_write(&full, "key", 3, buf, sizeof(buf));

	TRY(n);
	for (size_t cap = 0; cap < (size_t)n; cap++) {
		int err;

		memset(buf, 0xee, sizeof(buf));
		err = stun_write(&full, "key", 3, buf, cap);
		if (err == SL_ENOMEM)
			TRY(err);
		CHECK_EQ(err, SL_EFULL);
		for (size_t i = cap; i < sizeof(buf); i++)
			CHECK_EQ(buf[i], 0xee);
	}
}

TEST(every_class_method_address_and_error_survives_the_round_trip)
{
	for (unsigned k = 0; k < 0x1000; k += 37)
		for (unsigned c = 0; c < 4; c++) {
			struct sl_stun m = {.class_ = (enum sl_stun_class)c, .method = (uint16_t)k},
				       back;
			uint8_t buf[128];
			int n;

			m.has = STUN_XOR_MAPPED | STUN_ERROR_CODE | STUN_UNKNOWN_ATTRS;
			m.mapped = sl_addr_v4(1, 2, 3, 4, (uint16_t)k);
			m.mapped.family = c & 1 ? 4 : 6;
			m.error_code = (uint16_t)(300 + k % 400);
			m.unknown_count = 3;
			n = stun_write(&m, NULL, 0, buf, sizeof(buf));
			CHECK(n > 0);
			CHECK_EQ(stun_read(buf, (size_t)n, &back), SL_OK);
			CHECK_EQ(back.class_, c);
			CHECK_EQ(back.method, k);
			CHECK_EQ(back.error_code, m.error_code);
			CHECK(sl_addr_eq(&back.mapped, &m.mapped));
		}
}

TEST(t08_no_answer_names_our_software)
{
	struct rig r;
	struct sl_path path = rig_path(7, 1000);

	TRY(rig_init(&r, true, false, false));
	CHECK_EQ(rig_check(&r, &path, true, 1), SL_OK);
	CHECK_EQ(r.out_count, 1);
	CHECK_EQ(r.out_bytes, 20 + 12 + 24 + 8);
	CHECK_EQ(r.last.has, STUN_XOR_MAPPED | STUN_INTEGRITY | STUN_FINGERPRINT);
	CHECK(sl_addr_eq(&r.last.mapped, &path.remote));
}
