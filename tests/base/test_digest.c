/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/digest.h"
#include "core/base/str.h"
#include "tests/test.h"

static const char *hex(const uint8_t *p, size_t n)
{
	static char text[2 * SL_DIGEST_MAX + 1];

	TRY(sl_hex(p, n, text, sizeof(text)));
	return text;
}

TEST(digests_of_abc_are_those_of_fips_180)
{
	static const struct {
		const char *name, *hex;
	} want[SL_DIGEST_COUNT] = {
		[SL_DIGEST_SHA1] = {"sha-1", "a9993e364706816aba3e25717850c26c9cd0d89d"},
		[SL_DIGEST_SHA224] = {"sha-224",
				      "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"},
		[SL_DIGEST_SHA256] =
			{"sha-256",
			 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		[SL_DIGEST_SHA384] = {"sha-384",
				      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"
				      "1a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"},
		[SL_DIGEST_SHA512] =
			{"sha-512",
			 "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
			 "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
	};
	uint8_t out[SL_DIGEST_MAX];

	for (enum sl_digest d = 0; d < SL_DIGEST_COUNT; d++) {
		TRY(sl_digest(d, "abc", 3, out));
		CHECK_STR(sl_digest_name(d), want[d].name);
		CHECK_EQ(sl_digest_len(d), strlen(want[d].hex) / 2);
		CHECK_STR(hex(out, sl_digest_len(d)), want[d].hex);
	}
	CHECK(sl_digest_name(SL_DIGEST_COUNT) == NULL);
	CHECK_EQ(sl_digest_len(SL_DIGEST_COUNT), 0);
}

TEST(digest_of_nothing_is_that_of_the_empty_text)
{
	uint8_t out[SL_DIGEST_MAX];

	TRY(sl_digest(SL_DIGEST_SHA1, NULL, 0, out));
	CHECK_STR(hex(out, SL_SHA1_LEN), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

TEST(hmac_sha1_gives_the_vectors_of_rfc_2202)
{
	uint8_t key[80], data[50], out[SL_SHA1_LEN];
	struct sl_piece hi = {"Hi There", 8}, what = {"what do ya want for nothing?", 28},
			dd = {data, 50};
	struct sl_piece larger = {"Test Using Larger Than Block-Size Key - Hash Key First", 54};

	memset(key, 0x0b, 20);
	TRY(sl_hmac_sha1(key, 20, &hi, 1, out));
	CHECK_STR(hex(out, sizeof(out)), "b617318655057264e28bc0b6fb378c8ef146be00");
	TRY(sl_hmac_sha1("Jefe", 4, &what, 1, out));
	CHECK_STR(hex(out, sizeof(out)), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
	memset(key, 0xaa, 80);
	memset(data, 0xdd, 50);
	TRY(sl_hmac_sha1(key, 20, &dd, 1, out));
	CHECK_STR(hex(out, sizeof(out)), "125d7342b9ac11cd91a39af48aa17b4f63f175d3");
	TRY(sl_hmac_sha1(key, 80, &larger, 1, out));
	CHECK_STR(hex(out, sizeof(out)), "aa4ae5e15272d00e95705637ce8a3b55ed402112");
}

TEST(hmac_of_pieces_is_that_of_the_whole)
{
	uint8_t whole[SL_SHA1_LEN], parts[SL_SHA1_LEN];
	struct sl_piece one = {"abcdef", 6};
	struct sl_piece three[] = {{"ab", 2}, {NULL, 0}, {"cdef", 4}};

	TRY(sl_hmac_sha1("key", 3, &one, 1, whole));
	TRY(sl_hmac_sha1("key", 3, three, 3, parts));
	CHECK_BYTES(whole, parts, sizeof(whole));
	TRY(sl_hmac_sha1(NULL, 0, NULL, 0, whole));
	CHECK_STR(hex(whole, sizeof(whole)), "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
}

TEST(hmac_sha256_gives_the_vectors_of_rfc_4231)
{
	uint8_t key[131], out[SL_SHA256_LEN];

	memset(key, 0x0b, 20);
	TRY(sl_hmac_sha256(key, 20, "Hi There", 8, out));
	CHECK_STR(hex(out, sizeof(out)),
		  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	memset(key, 0xaa, sizeof(key));
	TRY(sl_hmac_sha256(key, sizeof(key),
			   "Test Using Larger Than Block-Size Key - Hash Key First", 54, out));
	CHECK_STR(hex(out, sizeof(out)),
		  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(crc32_gives_the_check_value_of_ieee_802_3)
{
	CHECK_EQ(sl_crc32("123456789", 9), 0xcbf43926);
	CHECK_EQ(sl_crc32("", 0), 0);
	CHECK_EQ(sl_crc32("a", 1), 0xe8b7be43);
	CHECK_EQ(sl_crc32("\xff\xff\xff\xff", 4), 0xffffffff);
}

TEST(constant_time_comparison_sees_any_one_bit)
{
	uint8_t a[20], b[20];

	memset(a, 0x5a, sizeof(a));
	memset(b, 0x5a, sizeof(b));
	CHECK(sl_const_eq(a, b, sizeof(a)));
	CHECK(sl_const_eq(a, b, 0));
	for (size_t bit = 0; bit < 8 * sizeof(b); bit++) {
		b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK(!sl_const_eq(a, b, sizeof(a)));
		b[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

TEST(md5_gives_the_vectors_of_rfc_1321_and_the_key_of_rfc_8489)
{
	static const struct sl_piece abc[] = {{"a", 1}, {"", 0}, {"bc", 2}};
	/* RFC 8489 section 9.2.2: user "user", realm "realm", password "pass". */
	static const struct sl_piece user[] = {{"user:realm:", 11}, {"pass", 4}};
	uint8_t out[SL_MD5_LEN];

	TRY(sl_md5(abc, SL_COUNT(abc), out));
	CHECK_STR(hex(out, sizeof(out)), "900150983cd24fb0d6963f7d28e17f72");
	TRY(sl_md5(user, SL_COUNT(user), out));
	CHECK_STR(hex(out, sizeof(out)), "8493fbc53ba582fb4c044c456bdc40eb");
}
