/* SPDX-License-Identifier: Apache-2.0 — STUN reader, integrity and writer.
 * Input: one byte of mode, one byte to break, then a message. Mode 1: the message's integrity and
 * fingerprint are made right first, so that what lies behind them is reached. Oracles: what reads
 * is written and read back the same; what checks has the HMAC that an independent one gives; what
 * is broken after signing does not check. */
#include "ice/ice_int.h"
#include "core/base/bytes.h"
#include "core/base/digest.h"
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MUST(c) ((c) ? (void)0 : violated(__LINE__, #c))

static void violated(int line, const char *what)
{
	fprintf(stderr, "line %d: %s\n", line, what);
	__builtin_trap();
}

static const char key[] = "VOkJxbRl1RmTxUk/WvJxBt";
enum { KEY_LEN = sizeof(key) - 1, MESSAGE_MAX = 1500, BLOCK = 64 };

/* ---- SHA-1 by the book (FIPS 180-4), to judge the other one ---- */
static uint32_t rol(uint32_t v, int n)
{
	return v << n | v >> (32 - n);
}

static void block(uint32_t h[5], const uint8_t *p)
{
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	for (int i = 0; i < 80; i++)
		w[i] = i < 16 ? sl_get32(p + 4 * i)
			      : rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t f = i < 20		 ? (b & c) | (~b & d)
			     : i < 40 || i >= 60 ? b ^ c ^ d
						 : (b & c) | (b & d) | (c & d);
		uint32_t k = i < 20   ? 0x5a827999
			     : i < 40 ? 0x6ed9eba1
			     : i < 60 ? 0x8f1bbcdc
				      : 0xca62c1d6;
		uint32_t t = rol(a, 5) + f + e + k + w[i];

		e = d, d = c, c = rol(b, 30), b = a, a = t;
	}
	h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

/* Digest of one padded key block and a message. */
static void sha1_after(const uint8_t pad[BLOCK], const uint8_t *p, size_t n, uint8_t out[20])
{
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	uint8_t tail[2 * BLOCK] = {0};
	size_t left = n % BLOCK, total = left + 9 > BLOCK ? 2 * BLOCK : BLOCK;

	block(h, pad);
	for (size_t i = 0; i + BLOCK <= n; i += BLOCK)
		block(h, p + i);
	memcpy(tail, p + n - left, left);
	tail[left] = 0x80;
	sl_put64(tail + total - 8, (BLOCK + n) * 8);
	for (size_t i = 0; i < total; i += BLOCK)
		block(h, tail + i);
	for (int i = 0; i < 5; i++)
		sl_put32(out + 4 * i, h[i]);
}

static void hmac(const uint8_t *p, size_t n, uint8_t out[20])
{
	uint8_t inner[BLOCK], outer[BLOCK], sum[20];

	for (size_t i = 0; i < BLOCK; i++) {
		uint8_t k = i < KEY_LEN ? (uint8_t)key[i] : 0;

		inner[i] = k ^ 0x36;
		outer[i] = k ^ 0x5c;
	}
	sha1_after(inner, p, n, sum);
	sha1_after(outer, sum, sizeof(sum), out);
}

/* Offset of the first attribute of that type, 0 if there is none: a walk of its own. */
static size_t find(const uint8_t *p, size_t n, unsigned type)
{
	size_t at = 20;

	while (at + 4 <= n) {
		size_t len = sl_get16(p + at + 2);

		if (sl_get16(p + at) == type)
			return at;
		at += 4 + (len + 3) / 4 * 4;
	}
	return 0;
}

static void true_mac(const uint8_t *p, size_t at, uint8_t out[20])
{
	uint8_t copy[MESSAGE_MAX];

	memcpy(copy, p, at);
	sl_put16(copy + 2, (uint16_t)(at + 4));
	hmac(copy, at, out);
}

static void make_right(uint8_t *p, size_t n)
{
	size_t mi = find(p, n, 0x0008), fp;

	if (mi && mi + 24 <= n)
		true_mac(p, mi, p + mi + 4);
	fp = find(p, n, 0x8028);
	if (fp && fp + 8 <= n)
		sl_put32(p + fp + 4, sl_crc32(p, fp) ^ 0x5354554e);
}

static void same(const struct sl_stun *a, const struct sl_stun *b)
{
	MUST(a->class_ == b->class_ && a->method == b->method && a->has == b->has);
	MUST(memcmp(a->tid, b->tid, sizeof(a->tid)) == 0);
	MUST(!(a->has & STUN_USERNAME) || sl_str_eq(a->username, b->username));
	MUST(!(a->has & STUN_XOR_MAPPED) || sl_addr_eq(&a->mapped, &b->mapped));
	MUST(a->priority == b->priority && a->tie_breaker == b->tie_breaker &&
	     a->error_code == b->error_code);
}

static void round_trip(struct sl_stun m)
{
	uint8_t out[MESSAGE_MAX + 64];
	struct sl_stun back;
	int n;

	m.has &= ~(uint32_t)(STUN_OTHER | STUN_UNKNOWN_ATTRS);
	n = stun_write(&m, key, KEY_LEN, out, sizeof(out));
	MUST(n >= 20);
	MUST(stun_read(out, (size_t)n, &back) == SL_OK);
	same(&m, &back);
	MUST(!(m.has & STUN_INTEGRITY) || stun_check(&back, key, KEY_LEN) == SL_OK);
}

static void check_breaks(uint8_t *p, size_t n, const struct sl_stun *m, uint8_t where)
{
	size_t at = where % (m->integrity_at + 24);
	struct sl_stun broken;

	p[at] ^= 1;
	if (stun_read(p, n, &broken) == SL_OK)
		MUST(stun_check(&broken, key, KEY_LEN) != SL_OK);
	p[at] ^= 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t p[MESSAGE_MAX], mac[20];
	struct sl_stun_peek peek;
	struct sl_stun m;
	size_t n;
	int err;

	if (len < 2 || len - 2 > sizeof(p))
		return 0;
	n = len - 2;
	memcpy(p, data + 2, n);
	if (data[0] & 1 && n >= 20)
		make_right(p, n);
	err = stun_read(p, n, &m);
	MUST((sl_stun_peek(p, n, &peek) == SL_OK) == (err == SL_OK));
	if (err)
		return 0;
	MUST(peek.class_ == m.class_ && peek.method == m.method && peek.tid_tag == sl_get32(m.tid));
	MUST(m.unknown_count <= STUN_UNKNOWN_MAX);
	round_trip(m);
	err = stun_check(&m, key, KEY_LEN);
	if (m.has & STUN_INTEGRITY) {
		MUST(m.integrity_at == find(p, n, 0x0008));
		true_mac(p, m.integrity_at, mac);
		MUST((memcmp(mac, p + m.integrity_at + 4, 20) == 0) == (err == SL_OK));
	} else {
		MUST(err == SL_EAUTH);
	}
	if (err == SL_OK)
		check_breaks(p, n, &m, data[1]);
	return 0;
}
