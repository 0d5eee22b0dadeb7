/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dtls/pair.h"

enum { CLOSE_LEN = 39 };

static struct sl_dtls_records mine, theirs;

static void make_pair(void)
{
	memset(&mine, 0, sizeof(mine));
	for (uint8_t i = 0; i < 16; i++) {
		mine.read_key[i] = i;
		mine.write_key[i] = (uint8_t)(0x80 + i);
	}
	memcpy(mine.read_iv, "abcd", 4);
	memcpy(mine.write_iv, "efgh", 4);
	mine.write_seq = 3;
	mine.ready = true;
	theirs = mine;
	memcpy(theirs.read_key, mine.write_key, 16);
	memcpy(theirs.write_key, mine.read_key, 16);
	memcpy(theirs.read_iv, mine.write_iv, 4);
	memcpy(theirs.write_iv, mine.read_iv, 4);
}

TEST(close_notify_is_recognised_by_the_other_side_and_numbers_go_on)
{
	uint8_t out[64];

	make_pair();
	TRY(sl_dtls_write_close(&mine, out, sizeof(out)));
	CHECK_EQ(out[0], DTLS_ALERT);
	CHECK_EQ(sl_get16(out + 3), 1);
	CHECK_EQ(sl_get32(out + 7), 3);
	CHECK(pair_closes(&theirs, out, CLOSE_LEN));
	TRY(sl_dtls_write_close(&mine, out, sizeof(out)));
	CHECK_EQ(sl_get32(out + 7), 4);
	CHECK(pair_closes(&theirs, out, CLOSE_LEN));
}

TEST(close_notify_needs_room_and_keys)
{
	uint8_t out[64];

	make_pair();
	CHECK_EQ(sl_dtls_write_close(&mine, out, CLOSE_LEN - 1), SL_EFULL);
	mine.ready = false;
	CHECK_EQ(sl_dtls_write_close(&mine, out, sizeof(out)), SL_ESTATE);
}

TEST(t04_any_changed_bit_makes_it_no_close_notify)
{
	uint8_t out[64];

	make_pair();
	TRY(sl_dtls_write_close(&mine, out, sizeof(out)));
	CHECK(pair_closes(&theirs, out, CLOSE_LEN));
	for (size_t bit = 0; bit < CLOSE_LEN * 8; bit++) {
		out[bit / 8] = (uint8_t)(out[bit / 8] ^ 1u << bit % 8);
		CHECK(!sl_dtls_is_close(&theirs, out, CLOSE_LEN));
		out[bit / 8] = (uint8_t)(out[bit / 8] ^ 1u << bit % 8);
	}
	for (size_t len = 0; len < CLOSE_LEN; len++)
		CHECK(!sl_dtls_is_close(&theirs, out, len));
}

TEST(close_notify_is_found_behind_other_records_in_one_datagram)
{
	uint8_t out[200];
	int n, m;

	make_pair();
	n = dtls_record_seal(&mine, 23, "application data", 16, out, sizeof(out));
	TRY(n);
	m = sl_dtls_write_close(&mine, out + n, sizeof(out) - (size_t)n);
	TRY(m);
	CHECK(!sl_dtls_is_close(&theirs, out, (size_t)n));
	CHECK(pair_closes(&theirs, out, (size_t)(n + m)));
}

TEST(other_alerts_do_not_close_whatever_their_level)
{
	static const uint8_t alerts[][2] = {{1, 90}, {2, 40}, {1, 100}, {2, 20}};
	uint8_t out[64];

	make_pair();
	for (size_t i = 0; i < SL_COUNT(alerts); i++) {
		int n = dtls_record_seal(&mine, DTLS_ALERT, alerts[i], 2, out, sizeof(out));

		TRY(n);
		CHECK(!sl_dtls_is_close(&theirs, out, (size_t)n));
	}
}

TEST(close_notify_of_either_level_closes)
{
	uint8_t out[64];

	make_pair();
	for (uint8_t level = 0; level < 4; level++) {
		int n = dtls_record_seal(&mine, DTLS_ALERT, (uint8_t[]){level, 0}, 2, out,
					 sizeof(out));

		TRY(n);
		CHECK(pair_closes(&theirs, out, (size_t)n));
	}
}

/* RFC 5288 section 3 over GCM of NIST SP 800-38D; computed with OpenSSL's EVP_aes_128_gcm():
 * key 80..8f, nonce "efgh" 0001000000000003, additional data 0001000000000003 15 fefd 0002, text 01
 * 00. */
TEST(close_notify_has_the_bytes_of_rfc_5288)
{
	static const uint8_t want[CLOSE_LEN] = {
		0x15, 0xfe, 0xfd, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x1a,
		0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x59, 0xda, 0xc0, 0x39, 0xb3,
		0xe1, 0x19, 0x3c, 0x87, 0x97, 0xcf, 0xd0, 0x9e, 0xc5, 0x98, 0xf2, 0x0d, 0x97};
	uint8_t out[64];

	make_pair();
	TRY(sl_dtls_write_close(&mine, out, sizeof(out)));
	CHECK_BYTES(out, want, CLOSE_LEN);
}
