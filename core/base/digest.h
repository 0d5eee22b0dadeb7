/* SPDX-License-Identifier: Apache-2.0
 * core/base/digest.h — digests over libmbedcrypto, CRC-32, and comparison in constant time. */
#ifndef SL_DIGEST_H
#define SL_DIGEST_H
#include "core/base/base.h"

enum { SL_MD5_LEN = 16, SL_SHA1_LEN = 20, SL_SHA256_LEN = 32, SL_DIGEST_MAX = 64 };
enum sl_digest {
	SL_DIGEST_SHA1, SL_DIGEST_SHA224, SL_DIGEST_SHA256, SL_DIGEST_SHA384, SL_DIGEST_SHA512,
	SL_DIGEST_COUNT
};

struct sl_piece {               /* a digest's input may lie in several places */
	const void *p;
	size_t n;
};

size_t sl_digest_len(enum sl_digest d);
/* Name as RFC 8122 writes it: "sha-256". NULL for an unknown one. */
const char *sl_digest_name(enum sl_digest d);
/* For long-term STUN credentials only (RFC 8489 section 9.2.2). */
SL_MUST_USE int sl_md5(const struct sl_piece *pieces, size_t n, uint8_t out[SL_MD5_LEN]);
/* SL_ENOMEM is the only failure (the library allocates). out has room for sl_digest_len(). */
SL_MUST_USE int sl_digest(enum sl_digest d, const void *data, size_t len, uint8_t *out);
SL_MUST_USE int sl_hmac_sha1(const void *key, size_t key_len, const struct sl_piece *pieces,
			     size_t n, uint8_t out[SL_SHA1_LEN]);
SL_MUST_USE int sl_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
			       uint8_t out[SL_SHA256_LEN]);
/* IEEE 802.3, as STUN's FINGERPRINT has it. */
uint32_t sl_crc32(const void *data, size_t len);
bool sl_const_eq(const void *a, const void *b, size_t n);
#endif
