/* SPDX-License-Identifier: Apache-2.0
 * Input: pieces, each a control byte and a length of two bytes. Bit 0 of the control byte clear:
 * that many bytes are a datagram as it is. Set: four bytes follow, offset and length of a fragment
 * of a fixed message. The upper bits let time pass. What comes out is one valid unfragmented
 * record, or nothing; of the fixed message, itself. */
#include "dtls/dtls_int.h"
#include <stdlib.h>

enum { FIXED_LEN = 1500 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct run {
	struct dtls_hello hello;
	int64_t now_us;
	bool only_fixed;
	uint8_t fixed[FIXED_LEN];
};

static void require(bool ok)
{
	if (!ok)
		__builtin_trap();
}

static void check(const struct run *r, const struct dtls_record *out)
{
	struct sl_rd in = sl_rd(out->whole, DTLS_RECORD_HDR + out->len);
	struct dtls_record again;
	struct dtls_fragment f;

	require(dtls_record_read(&in, &again) == SL_OK && sl_rd_left(&in) == 0);
	require(again.type == DTLS_HANDSHAKE && again.epoch == 0 && again.seq == out->seq);
	in = sl_rd(again.body, again.len);
	require(dtls_fragment_read(&in, &f) == SL_OK && sl_rd_left(&in) == 0);
	require(f.type == DTLS_HS_CLIENT_HELLO && f.off == 0 && f.len == f.msg_len && f.len > 0);
	require(f.msg_len <= DTLS_HELLO_MAX);
	if (r->only_fixed)
		require(f.len == FIXED_LEN && memcmp(f.body, r->fixed, FIXED_LEN) == 0);
	(void)dtls_hello_srtp(out);
}

static void datagram(struct run *r, const uint8_t *p, size_t n)
{
	struct sl_rd in = sl_rd(p, n);
	struct dtls_record rec, out;
	int got;

	while (sl_rd_left(&in) > 0 && dtls_record_read(&in, &rec) == SL_OK) {
		got = dtls_hello_feed(&r->hello, &rec, r->now_us, &out);
		require(got == 0 || got == 1 || got == SL_EPARSE || got == SL_EFULL);
		if (got == 1)
			check(r, &out);
		require(r->hello.have <= DTLS_HELLO_MAX && r->hello.pieces <= DTLS_HELLO_PIECES);
	}
}

static void fragment(struct run *r, uint32_t off, uint32_t n)
{
	uint8_t buf[FIXED_LEN + 64];
	struct sl_wr w = sl_wr(buf, sizeof(buf));

	off %= FIXED_LEN;
	n %= FIXED_LEN - off + 1;
	sl_wr8(&w, DTLS_HANDSHAKE);
	sl_wr16(&w, 0xfefd);
	sl_wr64(&w, off);
	sl_wr16(&w, (uint16_t)(DTLS_HS_HDR + n));
	sl_wr8(&w, DTLS_HS_CLIENT_HELLO);
	sl_wr24(&w, FIXED_LEN);
	sl_wr16(&w, 0);
	sl_wr24(&w, off);
	sl_wr24(&w, n);
	sl_wr_bytes(&w, r->fixed + off, n);
	datagram(r, buf, sl_wr_len(&w));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sl_rd in = sl_rd(data, len);
	struct run *r = calloc(1, sizeof(*r));

	if (!r)
		return 0;
	r->only_fixed = true;
	for (size_t i = 0; i < FIXED_LEN; i++)
		r->fixed[i] = (uint8_t)(i * 7 + i / 256);
	while (sl_rd_left(&in) > 2) {
		uint8_t control = sl_rd8(&in);
		uint16_t n = sl_rd16(&in);

		r->now_us += (control >> 1) * 50 * SL_MS;
		if (control & 1) {
			fragment(r, n, sl_rd16(&in));
		} else {
			n = (uint16_t)SL_MIN(n, sl_rd_left(&in));
			r->only_fixed = false;
			datagram(r, sl_rd_bytes(&in, n), n);
		}
	}
	free(r);
	return 0;
}
