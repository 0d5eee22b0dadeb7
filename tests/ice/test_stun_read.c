/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/ice/ice_rig.h"
#include "core/base/bytes.h"
#include "core/base/digest.h"

/* RFC 5769 section 2. */
static const char sample_request[] = "000100582112a442b7e7a701bc34d686fa87dfae"
				     "802200105354554e207465737420636c69656e74"
				     "002400046e0001ff"
				     "80290008932ff9b151263b36"
				     "000600096576746a3a68367659202020"
				     "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
				     "80280004e57a3bcf";
static const char sample_ipv4[] = "0101003c2112a442b7e7a701bc34d686fa87dfae"
				  "8022000b7465737420766563746f7220"
				  "002000080001a147e112a643"
				  "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
				  "80280004c07d4c96";
static const char sample_ipv6[] = "010100482112a442b7e7a701bc34d686fa87dfae"
				  "8022000b7465737420766563746f7220"
				  "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
				  "00080014a382954e4be67bf11784c97c8292c275bfe3ed41"
				  "80280004c8fb0b4c";
static const char sample_long_term[] =
	"000100602112a44278ad3433c6ad72c029da412e"
	"00060012e3839ee38388e383aae38383e382afe382b90000"
	"0015001c662f2f3439396b39353464364f4c33346f4c39465354767936347341"
	"0014000b6578616d706c652e6f726700"
	"00080014f67024656dd64a3e02b8e0712e85c9a28ca89666";
static const char sample_pwd[] = "VOkJxbRl1RmTxUk/WvJxBt";

static size_t unhex(const char *hex, uint8_t *out, size_t cap)
{
	int n = sl_unhex(sl_str_z(hex), out, cap);

	CHECK(n > 0);
	return (size_t)n;
}

TEST(the_sample_request_of_rfc5769_reads_and_checks)
{
	uint8_t buf[256];
	size_t n = unhex(sample_request, buf, sizeof(buf));
	struct sl_stun_peek peek;
	struct sl_stun m;

	CHECK_EQ(stun_read(buf, n, &m), SL_OK);
	CHECK_EQ(m.class_, SL_STUN_REQUEST);
	CHECK_EQ(m.method, STUN_BINDING);
	CHECK_EQ(m.priority, 0x6e0001ff);
	CHECK(m.has & STUN_CONTROLLED);
	CHECK(m.tie_breaker == UINT64_C(0x932ff9b151263b36));
	CHECK(sl_str_eq(m.username, SL_STR("evtj:h6vY")));
	CHECK_EQ(m.unknown_count, 0);
	TRY(stun_check(&m, sample_pwd, strlen(sample_pwd)));
	CHECK_EQ(sl_stun_peek(buf, n, &peek), SL_OK);
	CHECK(sl_str_eq(peek.local_ufrag, SL_STR("evtj")));
	CHECK_EQ(peek.tid_tag, 0xb7e7a701);
}

TEST(the_sample_responses_of_rfc5769_read_and_check)
{
	static const uint8_t ip6[16] = {0x20, 1,    0xd,  0xb8, 0x12, 0x34, 0x56, 0x78,
					0,    0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77};
	struct sl_addr want = sl_addr_v4(192, 0, 2, 1, 32853);
	uint8_t buf[256];
	struct sl_stun m;

	CHECK_EQ(stun_read(buf, unhex(sample_ipv4, buf, sizeof(buf)), &m), SL_OK);
	CHECK_EQ(m.class_, SL_STUN_SUCCESS);
	CHECK(sl_addr_eq(&m.mapped, &want));
	TRY(stun_check(&m, sample_pwd, strlen(sample_pwd)));
	CHECK_EQ(stun_read(buf, unhex(sample_ipv6, buf, sizeof(buf)), &m), SL_OK);
	CHECK_EQ(m.mapped.family, 6);
	CHECK_EQ(m.mapped.port, 32853);
	CHECK_BYTES(m.mapped.ip, ip6, 16);
	TRY(stun_check(&m, sample_pwd, strlen(sample_pwd)));
}

TEST(the_sample_request_of_rfc5769_with_long_term_credentials_reads_and_checks)
{
	/* MD5 of user:realm:password, RFC 8489 section 18.5.1. */
	static const char key_hex[] = "e8ca7ad59d5eb0518e312911d2dab2a9";
	uint8_t buf[256], key[16];
	size_t n = unhex(sample_long_term, buf, sizeof(buf));
	struct sl_stun m;

	CHECK_EQ(unhex(key_hex, key, sizeof(key)), 16);
	CHECK_EQ(stun_read(buf, n, &m), SL_OK);
	CHECK_EQ(m.unknown_count, 0);
	TRY(stun_check(&m, key, sizeof(key)));
}

TEST(a_changed_bit_or_another_password_fails_the_check)
{
	uint8_t buf[256];
	size_t n = unhex(sample_request, buf, sizeof(buf)) - 8;
	struct sl_stun m;

	for (size_t bit = 0; bit < (n - 4) * 8; bit++) {
		int err;

		buf[3] = (uint8_t)(n - STUN_HEADER_LEN); /* without FINGERPRINT */
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		err = stun_read(buf, n, &m);
		if (!err)
			err = stun_check(&m, sample_pwd, strlen(sample_pwd));
		if (err == SL_ENOMEM)
			TRY(err);
		CHECK(err < 0);
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CHECK_EQ(stun_read(buf, n, &m), SL_OK);
	TRY(stun_check(&m, sample_pwd, strlen(sample_pwd)));
	int err = stun_check(&m, "another password", 16);
	if (err != SL_EAUTH)
		TRY(err);
	CHECK_EQ(err, SL_EAUTH);
}

TEST(every_truncation_and_every_wrong_length_is_refused)
{
	uint8_t buf[256];
	size_t n = unhex(sample_request, buf, sizeof(buf));
	struct sl_stun m;

	for (size_t cut = 0; cut < n; cut++)
		CHECK_EQ(stun_read(buf, cut, &m), SL_EPARSE);
	for (unsigned len = 0; len < 256; len++) {
		buf[3] = (uint8_t)len;
		CHECK_EQ(stun_read(buf, n, &m), len == n - STUN_HEADER_LEN ? SL_OK : SL_EPARSE);
	}
}

static size_t with_attrs(uint8_t *buf, size_t cap, int count, uint16_t type)
{
	struct sl_wr w = sl_wr(buf, cap);

	sl_wr16(&w, 1);
	sl_wr16(&w, (uint16_t)(count * 4));
	sl_wr32(&w, STUN_COOKIE);
	sl_wr_zeros(&w, SL_STUN_TID_LEN);
	for (int i = 0; i < count; i++) {
		sl_wr16(&w, (uint16_t)(type + i));
		sl_wr16(&w, 0);
	}
	return sl_wr_len(&w);
}

TEST(t24_at_most_32_attributes_are_walked)
{
	struct sl_stun_peek peek;
	struct sl_stun m;
	uint8_t buf[256];

	CHECK_EQ(stun_read(buf, with_attrs(buf, sizeof(buf), 32, 0xc100), &m), SL_OK);
	CHECK_EQ(m.unknown_count, 0);
	CHECK_EQ(stun_read(buf, with_attrs(buf, sizeof(buf), 33, 0xc100), &m), SL_EPARSE);
	CHECK_EQ(sl_stun_peek(buf, with_attrs(buf, sizeof(buf), 33, 0xc100), &peek), SL_EPARSE);
}

TEST(t24_unknown_mandatory_attributes_are_noted_but_never_more_than_fit)
{
	struct sl_stun m;
	uint8_t buf[256];

	CHECK_EQ(stun_read(buf, with_attrs(buf, sizeof(buf), 32, 0x7000), &m), SL_OK);
	CHECK_EQ(m.unknown_count, STUN_UNKNOWN_MAX);
	CHECK_EQ(m.unknown[0], 0x7000);
}

static size_t put_attr(uint8_t *buf, size_t at, uint16_t type, size_t len)
{
	sl_put16(buf + at, type);
	sl_put16(buf + at + 2, (uint16_t)len);
	memset(buf + at + 4, 0, len);
	sl_put16(buf + 2, (uint16_t)(at + 4 + len - STUN_HEADER_LEN));
	return at + 4 + len;
}

TEST(t24_nothing_but_the_fingerprint_follows_the_integrity)
{
	struct sl_stun m;
	uint8_t buf[256];
	size_t base = with_attrs(buf, sizeof(buf), 0, 0);
	size_t after = put_attr(buf, base, 0x0008, 20);
	size_t n;

	CHECK_EQ(stun_read(buf, after, &m), SL_OK);
	CHECK_EQ(m.integrity_at, STUN_HEADER_LEN);
	for (uint32_t type = 0; type < 0x10000; type++) {
		n = put_attr(buf, after, (uint16_t)type, type == 0x001c ? 32 : 4);
		if (type == 0x8028)
			sl_put32(buf + after + 4, sl_crc32(buf, after) ^ 0x5354554e);
		CHECK_EQ(stun_read(buf, n, &m),
			 type == 0x8028 || type == 0x001c ? SL_OK : SL_EPARSE);
	}
	n = put_attr(buf, after, 0x8028, 4);
	n = put_attr(buf, n, 0xc100, 0);
	sl_put32(buf + after + 4, sl_crc32(buf, after) ^ 0x5354554e);
	CHECK_EQ(stun_read(buf, n, &m), SL_EPARSE);
}

TEST(t24_attributes_of_a_wrong_size_are_refused)
{
	static const struct {
		uint16_t type;
		uint16_t right;
	} rows[] = {{0x0008, 20}, {0x0024, 4}, {0x0025, 0}, {0x8029, 8}, {0x802a, 8}};
	struct sl_stun m;
	uint8_t buf[256];

	for (size_t i = 0; i < SL_COUNT(rows); i++)
		for (uint16_t len = 0; len <= 40; len = (uint16_t)(len + 4)) {
			size_t n = put_attr(buf, with_attrs(buf, sizeof(buf), 0, 0), rows[i].type,
					    len);

			CHECK_EQ(stun_read(buf, n, &m), len == rows[i].right ? SL_OK : SL_EPARSE);
		}
}

TEST(a_value_that_reaches_past_the_message_is_refused)
{
	struct sl_stun m;
	uint8_t buf[64];
	size_t n = put_attr(buf, with_attrs(buf, sizeof(buf), 0, 0), 0x0006, 8);

	CHECK_EQ(stun_read(buf, n, &m), SL_OK);
	for (uint32_t len = 9; len < 0x10000; len += 13) {
		sl_put16(buf + STUN_HEADER_LEN + 2, (uint16_t)len);
		CHECK_EQ(stun_read(buf, n, &m), SL_EPARSE);
	}
}

TEST(both_roles_at_once_are_refused)
{
	struct sl_stun m;
	uint8_t buf[64];
	size_t n = put_attr(buf, with_attrs(buf, sizeof(buf), 0, 0), 0x8029, 8);

	n = put_attr(buf, n, 0x802a, 8);
	CHECK_EQ(stun_read(buf, n, &m), SL_EPARSE);
}
