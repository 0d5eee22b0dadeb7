/* SPDX-License-Identifier: Apache-2.0
 * core/base/digest.c — digests of libmbedcrypto. HMAC is built here from its plain hashes: the
 * library's own takes two blocks from the heap for each message, and every STUN message carries
 * one. */
#include "core/base/digest.h"
#include <mbedtls/md.h>
#include <mbedtls/md5.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha1.h>
#include <mbedtls/sha256.h>

static const struct {
	mbedtls_md_type_t type;
	size_t len;
	const char *name; /* RFC 8122 section 5 */
} digests[SL_DIGEST_COUNT] = {
	[SL_DIGEST_SHA1] = {MBEDTLS_MD_SHA1, 20, "sha-1"},
	[SL_DIGEST_SHA224] = {MBEDTLS_MD_SHA224, 28, "sha-224"},
	[SL_DIGEST_SHA256] = {MBEDTLS_MD_SHA256, 32, "sha-256"},
	[SL_DIGEST_SHA384] = {MBEDTLS_MD_SHA384, 48, "sha-384"},
	[SL_DIGEST_SHA512] = {MBEDTLS_MD_SHA512, 64, "sha-512"},
};

size_t sl_digest_len(enum sl_digest d)
{
	return (unsigned)d < SL_DIGEST_COUNT ? digests[d].len : 0;
}

const char *sl_digest_name(enum sl_digest d)
{
	return (unsigned)d < SL_DIGEST_COUNT ? digests[d].name : NULL;
}

int sl_digest(enum sl_digest d, const void *data, size_t len, uint8_t *out)
{
	SL_ASSERT((unsigned)d < SL_DIGEST_COUNT);
	if (mbedtls_md(mbedtls_md_info_from_type(digests[d].type), data, len, out) != 0)
		return SL_ENOMEM;
	return SL_OK;
}

int sl_md5(const struct sl_piece *pieces, size_t n, uint8_t out[SL_MD5_LEN])
{
	mbedtls_md5_context ctx;
	int err;

	mbedtls_md5_init(&ctx);
	err = mbedtls_md5_starts_ret(&ctx);
	for (size_t i = 0; i < n; i++)
		err |= mbedtls_md5_update_ret(&ctx, pieces[i].p, pieces[i].n);
	err |= mbedtls_md5_finish_ret(&ctx, out);
	mbedtls_md5_free(&ctx);
	return err ? SL_ENOMEM : SL_OK;
}

enum { HMAC_BLOCK = 64 }; /* of SHA-1 and of SHA-256 */

struct hasher {
	bool sha256;
	union {
		mbedtls_sha1_context sha1;
		mbedtls_sha256_context sha256;
	} ctx;
};

static int hasher_start(struct hasher *h, bool sha256)
{
	h->sha256 = sha256;
	if (sha256) {
		mbedtls_sha256_init(&h->ctx.sha256);
		return mbedtls_sha256_starts_ret(&h->ctx.sha256, 0);
	}
	mbedtls_sha1_init(&h->ctx.sha1);
	return mbedtls_sha1_starts_ret(&h->ctx.sha1);
}

static int hasher_add(struct hasher *h, const void *data, size_t len)
{
	return h->sha256 ? mbedtls_sha256_update_ret(&h->ctx.sha256, data, len)
			 : mbedtls_sha1_update_ret(&h->ctx.sha1, data, len);
}

static int hasher_finish(struct hasher *h, uint8_t *out)
{
	return h->sha256 ? mbedtls_sha256_finish_ret(&h->ctx.sha256, out)
			 : mbedtls_sha1_finish_ret(&h->ctx.sha1, out);
}

/* RFC 2104 section 2: a key longer than a block is hashed, then padded with zeros. */
static int hmac_key(bool sha256, const void *key, size_t key_len, uint8_t block[HMAC_BLOCK])
{
	memset(block, 0, HMAC_BLOCK);
	if (key_len > HMAC_BLOCK)
		return sl_digest(sha256 ? SL_DIGEST_SHA256 : SL_DIGEST_SHA1, key, key_len, block);
	if (key_len)
		memcpy(block, key, key_len);
	return SL_OK;
}

/* One of HMAC's two passes: hash of (key xor pad) and the pieces. */
static int hmac_pass(bool sha256, const uint8_t key[HMAC_BLOCK], uint8_t pad,
		     const struct sl_piece *pieces, size_t n, uint8_t *out)
{
	uint8_t block[HMAC_BLOCK];
	struct hasher h;
	int err = hasher_start(&h, sha256);

	for (size_t i = 0; i < HMAC_BLOCK; i++)
		block[i] = key[i] ^ pad;
	err |= hasher_add(&h, block, HMAC_BLOCK);
	for (size_t i = 0; i < n; i++)
		err |= hasher_add(&h, pieces[i].p, pieces[i].n);
	err |= hasher_finish(&h, out);
	mbedtls_platform_zeroize(&h, sizeof(h));
	mbedtls_platform_zeroize(block, sizeof(block));
	return err ? SL_ENOMEM : SL_OK;
}

static int hmac(bool sha256, const void *key, size_t key_len, const struct sl_piece *pieces,
		size_t n, uint8_t *out)
{
	uint8_t block[HMAC_BLOCK], inner[SL_SHA256_LEN];
	struct sl_piece outer = {inner, sha256 ? SL_SHA256_LEN : SL_SHA1_LEN};
	int err = hmac_key(sha256, key, key_len, block);

	if (!err)
		err = hmac_pass(sha256, block, 0x36, pieces, n, inner);
	if (!err)
		err = hmac_pass(sha256, block, 0x5c, &outer, 1, out);
	mbedtls_platform_zeroize(block, sizeof(block));
	return err;
}

int sl_hmac_sha1(const void *key, size_t key_len, const struct sl_piece *pieces, size_t n,
		 uint8_t out[SL_SHA1_LEN])
{
	return hmac(false, key, key_len, pieces, n, out);
}

int sl_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
		   uint8_t out[SL_SHA256_LEN])
{
	struct sl_piece piece = {data, len};

	return hmac(true, key, key_len, &piece, 1, out);
}

/* Reflected polynomial 0xedb88320, four bits at a time. */
uint32_t sl_crc32(const void *data, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *p = data;
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < len; i++) {
		crc = table[(crc ^ p[i]) & 15] ^ crc >> 4;
		crc = table[(crc ^ (uint32_t)p[i] >> 4) & 15] ^ crc >> 4;
	}
	return ~crc;
}

bool sl_const_eq(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;

	for (size_t i = 0; i < n; i++)
		diff = (uint8_t)(diff | (x[i] ^ y[i]));
	return diff == 0;
}
