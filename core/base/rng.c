/* SPDX-License-Identifier: Apache-2.0
 * core/base/rng.c — text out of random bytes, and the one generator of the server. */
#include "core/base/rng.h"
#include "core/base/bytes.h"
#include "core/base/mem.h"
#include <errno.h>
#include <mbedtls/ctr_drbg.h>
#include <sys/random.h>

uint32_t sl_rng_u32(const struct sl_rng *r)
{
	uint8_t b[4];

	sl_rng_fill(r, b, sizeof(b));
	return sl_get32(b);
}

uint64_t sl_rng_u64(const struct sl_rng *r)
{
	uint8_t b[8];

	sl_rng_fill(r, b, sizeof(b));
	return sl_get64(b);
}

static void chars(const struct sl_rng *r, const char alphabet[64], char *out, size_t n)
{
	sl_rng_fill(r, out, n);
	for (size_t i = 0; i < n; i++)
		out[i] = alphabet[out[i] & 63];
	out[n] = '\0';
}

/* RFC 8839 section 5.4: ice-char = ALPHA / DIGIT / "+" / "/". */
void sl_rng_ice_chars(const struct sl_rng *r, char *out, size_t n)
{
	chars(r, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", out, n);
}

/* RFC 4648 section 5. */
void sl_rng_id(const struct sl_rng *r, char *out, size_t n)
{
	chars(r, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", out, n);
}

static int entropy(void *unused, unsigned char *out, size_t n)
{
	(void)unused;
	while (n > 0) {
		ssize_t got = getrandom(out, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
		out += got;
		n -= (size_t)got;
	}
	return 0;
}

/* The library reseeds every 10,000 requests. Should the system refuse then, going on would mean
 * guessable keys. */
static void system_fill(void *state, void *out, size_t n)
{
	uint8_t *p = out;

	while (n > 0) {
		size_t part = SL_MIN(n, (size_t)MBEDTLS_CTR_DRBG_MAX_REQUEST);

		SL_ASSERT(mbedtls_ctr_drbg_random(state, p, part) == 0);
		p += part;
		n -= part;
	}
}

int sl_rng_system_new(struct sl_rng *out)
{
	mbedtls_ctr_drbg_context *drbg = sl_zalloc(sizeof(*drbg));

	if (!drbg)
		return SL_ENOMEM;
	mbedtls_ctr_drbg_init(drbg);
	if (mbedtls_ctr_drbg_seed(drbg, entropy, NULL, NULL, 0) != 0) {
		mbedtls_ctr_drbg_free(drbg);
		sl_free(drbg);
		return SL_EIO;
	}
	*out = (struct sl_rng){.fill = system_fill, .state = drbg};
	return SL_OK;
}

void sl_rng_system_free(struct sl_rng *r)
{
	if (r->state) {
		mbedtls_ctr_drbg_free(r->state);
		sl_free(r->state);
	}
	*r = (struct sl_rng){0};
}
