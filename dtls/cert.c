/* SPDX-License-Identifier: Apache-2.0 — certificate and key of this process; fingerprints (RFC
 * 8122). */
#include "core/base/mem.h"
#include "core/base/str.h"
#include "dtls/dtls_int.h"
#include <time.h>

#include <mbedtls/asn1.h>
#include <mbedtls/bignum.h>
#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/md.h>
#include <mbedtls/pem.h>
#include <mbedtls/rsa.h>
#include <mbedtls/ssl.h>

enum {
	CERT_DER_MAX = 1024,
	CERT_DAYS = 360,
	CERT_NAME_MAX = 32,
	RSA_BITS_MIN = 2048,
	RSA_EXPONENT = 65537,
	SIG_MAX = 1024
};

bool dtls_lib_nomem(int ret)
{
	static const int high[] = {
		MBEDTLS_ERR_SSL_ALLOC_FAILED,	 MBEDTLS_ERR_ECP_ALLOC_FAILED,
		MBEDTLS_ERR_MD_ALLOC_FAILED,	 MBEDTLS_ERR_PK_ALLOC_FAILED,
		MBEDTLS_ERR_X509_ALLOC_FAILED,	 MBEDTLS_ERR_PEM_ALLOC_FAILED,
		MBEDTLS_ERR_CIPHER_ALLOC_FAILED,
	};
	/* An error is the sum of a module's (multiples of 0x80) and that of one below it. */
	int low = -(-ret & 0x7f);

	if (ret >= 0)
		return false;
	for (size_t i = 0; i < SL_COUNT(high); i++)
		if (ret - low == high[i])
			return true;
	return low == MBEDTLS_ERR_MPI_ALLOC_FAILED || low == MBEDTLS_ERR_ASN1_ALLOC_FAILED;
}

int dtls_lib_rng(void *rng, unsigned char *out, size_t n)
{
	sl_rng_fill(rng, out, n);
	return 0;
}

static int lib_err(int ret)
{
	if (ret == 0)
		return SL_OK;
	return dtls_lib_nomem(ret) ? SL_ENOMEM : SL_EPARSE;
}

static struct sl_cert *cert_alloc(void)
{
	struct sl_cert *c = sl_zalloc(sizeof(*c));

	if (c) {
		mbedtls_x509_crt_init(&c->chain);
		mbedtls_pk_init(&c->key);
		mbedtls_ecp_group_init(&c->p256);
	}
	return c;
}

void sl_cert_free(struct sl_cert *cert)
{
	if (!cert)
		return;
	mbedtls_x509_crt_free(&cert->chain);
	mbedtls_pk_free(&cert->key);
	mbedtls_ecp_group_free(&cert->p256);
	sl_free(cert);
}

const char *sl_cert_fingerprint(const struct sl_cert *cert)
{
	return cert->fingerprint;
}

static int write_fingerprint(struct sl_cert *c)
{
	static const char digits[] = "0123456789ABCDEF";
	uint8_t sum[SL_SHA256_LEN];
	int err = sl_digest(SL_DIGEST_SHA256, c->chain.raw.p, c->chain.raw.len, sum);
	char *p = c->fingerprint;

	if (err)
		return err;
	for (size_t i = 0; i < sizeof(sum); i++) {
		*p++ = digits[sum[i] >> 4];
		*p++ = digits[sum[i] & 15];
		*p++ = i + 1 < sizeof(sum) ? ':' : '\0';
	}
	return SL_OK;
}

/* ---- the table of multiples of the base point ---- */

/* A table has to lie in memory of the library's, which frees it. What that gives to others is
 * numbers, so it lies in the limbs of one. */
static size_t table_limbs(size_t points)
{
	return points * sizeof(mbedtls_ecp_point) / sizeof(mbedtls_mpi_uint);
}

static int new_table(mbedtls_ecp_group *g, size_t points)
{
	mbedtls_mpi room;
	int ret;

	mbedtls_mpi_init(&room);
	ret = mbedtls_mpi_grow(&room, table_limbs(points));
	if (ret)
		return ret;
	g->T = (mbedtls_ecp_point *)(void *)room.p;
	g->T_size = points;
	for (size_t i = 0; i < points; i++)
		mbedtls_ecp_point_init(&g->T[i]);
	return 0;
}

static void free_table(mbedtls_ecp_group *g)
{
	mbedtls_mpi room = {.s = 1, .n = table_limbs(g->T_size), .p = (void *)g->T};

	for (size_t i = 0; i < g->T_size; i++)
		mbedtls_ecp_point_free(&g->T[i]);
	mbedtls_mpi_free(&room);
	g->T = NULL;
	g->T_size = 0;
}

void dtls_lend_table(const struct sl_cert *cert, mbedtls_ecp_group *to)
{
	const mbedtls_ecp_group *from = &cert->p256;
	int ret = 0;

	if (to->id != from->id || to->T || !from->T || new_table(to, from->T_size))
		return;
	/* Their third coordinate is 1, and not stored. */
	for (size_t i = 0; i < to->T_size && !ret; i++) {
		ret = mbedtls_mpi_copy(&to->T[i].X, &from->T[i].X);
		if (!ret)
			ret = mbedtls_mpi_copy(&to->T[i].Y, &from->T[i].Y);
	}
	if (ret)
		free_table(to);
}

void dtls_speed_up_key(const struct sl_cert *cert, mbedtls_pk_context *key)
{
	if (mbedtls_pk_get_type(key) != MBEDTLS_PK_ECKEY ||
	    mbedtls_pk_ec(*key)->grp.id != MBEDTLS_ECP_DP_SECP256R1)
		return;
	dtls_lend_table(cert, &mbedtls_pk_ec(*key)->grp);
	key->pk_info = mbedtls_pk_info_from_type(MBEDTLS_PK_ECDSA); /* the same in memory */
}

static int make_table(struct sl_cert *c, const struct sl_rng *rng)
{
	mbedtls_ecp_point any;
	mbedtls_mpi two;
	int ret;

	mbedtls_ecp_point_init(&any);
	mbedtls_mpi_init(&two);
	ret = mbedtls_ecp_group_load(&c->p256, MBEDTLS_ECP_DP_SECP256R1);
	if (!ret)
		ret = mbedtls_mpi_lset(&two, 2);
	if (!ret)
		ret = mbedtls_ecp_mul(&c->p256, &any, &two, &c->p256.G, dtls_lib_rng,
				      (void *)(uintptr_t)rng);
	mbedtls_mpi_free(&two);
	mbedtls_ecp_point_free(&any);
	return ret ? SL_ENOMEM : SL_OK;
}

/* What the library fills at the first signature is filled here, once: afterwards the key is only
 * read, and threads may share it. */
static int warm_up(struct sl_cert *c, const struct sl_rng *rng)
{
	const unsigned char sum[SL_SHA256_LEN] = {0};
	unsigned char sig[SIG_MAX];
	size_t len = 0;

	/* Nothing here comes from outside any more: what fails is memory. */
	if (make_table(c, rng))
		return SL_ENOMEM;
	dtls_speed_up_key(c, &c->key);
	return mbedtls_pk_sign(&c->key, MBEDTLS_MD_SHA256, sum, sizeof(sum), sig, &len,
			       dtls_lib_rng, (void *)(uintptr_t)rng)
		       ? SL_ENOMEM
		       : SL_OK;
}

static int finish(struct sl_cert *c, const struct sl_rng *rng, int err, struct sl_cert **out)
{
	if (!err)
		err = warm_up(c, rng);
	if (!err)
		err = write_fingerprint(c);
	if (err)
		sl_cert_free(c);
	else
		*out = c;
	return err;
}

static int make_key(struct sl_cert *c, const struct sl_rng *rng)
{
	int ret = mbedtls_pk_setup(&c->key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));

	if (!ret)
		ret = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(c->key),
					  dtls_lib_rng, (void *)(uintptr_t)rng);
	return ret;
}

static void write_date(int64_t wall_us, char out[16])
{
	time_t t = (time_t)(wall_us / SL_SEC);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 16, "%Y%m%d%H%M%S", &tm);
}

static int set_validity(mbedtls_x509write_cert *w, int64_t wall_us)
{
	const int64_t day_us = 86400 * SL_SEC;
	char from[16], to[16];

	write_date(wall_us - day_us, from);
	write_date(wall_us - day_us + CERT_DAYS * day_us, to);
	return mbedtls_x509write_crt_set_validity(w, from, to);
}

/* A name that says nothing, and not the same twice: two certificates with equal names would make
 * the library try one's key on the other's signature. */
static int set_names(mbedtls_x509write_cert *w, const struct sl_rng *rng)
{
	char id[17];
	char name[CERT_NAME_MAX];
	int ret;

	sl_rng_id(rng, id, 16);
	for (char *p = id; *p; p++)
		if (*p == '-' || *p == '_')
			*p = '0';
	(void)sl_fmt(name, sizeof(name), "CN=%s", id);
	ret = mbedtls_x509write_crt_set_subject_name(w, name);
	return ret ? ret : mbedtls_x509write_crt_set_issuer_name(w, name);
}

static int set_serial(mbedtls_x509write_cert *w, const struct sl_rng *rng)
{
	mbedtls_mpi serial;
	uint8_t b[8];
	int ret;

	sl_rng_fill(rng, b, sizeof(b));
	b[0] = (uint8_t)((b[0] & 0x3f) | 0x40); /* RFC 5280 section 4.1.2.2: positive */
	mbedtls_mpi_init(&serial);
	ret = mbedtls_mpi_read_binary(&serial, b, sizeof(b));
	if (!ret)
		ret = mbedtls_x509write_crt_set_serial(w, &serial);
	mbedtls_mpi_free(&serial);
	return ret;
}

static int self_sign(struct sl_cert *c, const struct sl_rng *rng, int64_t wall_us)
{
	mbedtls_x509write_cert w;
	unsigned char der[CERT_DER_MAX];
	int ret;

	mbedtls_x509write_crt_init(&w);
	mbedtls_x509write_crt_set_version(&w, MBEDTLS_X509_CRT_VERSION_3);
	mbedtls_x509write_crt_set_md_alg(&w, MBEDTLS_MD_SHA256);
	mbedtls_x509write_crt_set_subject_key(&w, &c->key);
	mbedtls_x509write_crt_set_issuer_key(&w, &c->key);
	ret = set_serial(&w, rng);
	if (!ret)
		ret = set_names(&w, rng);
	if (!ret)
		ret = set_validity(&w, wall_us);
	if (!ret)
		ret = mbedtls_x509write_crt_der(&w, der, sizeof(der), dtls_lib_rng,
						(void *)(uintptr_t)rng);
	if (ret > 0) /* it is written at the end of the buffer */
		ret = mbedtls_x509_crt_parse_der(&c->chain, der + sizeof(der) - ret, (size_t)ret);
	mbedtls_x509write_crt_free(&w);
	return ret;
}

int sl_cert_new(const struct sl_rng *rng, int64_t wall_us, struct sl_cert **out)
{
	struct sl_cert *c = cert_alloc();
	int ret;

	if (!c)
		return SL_ENOMEM;
	ret = make_key(c, rng);
	if (!ret)
		ret = self_sign(c, rng, wall_us);
	/* Nothing here comes from outside: what fails is memory. */
	return finish(c, rng, ret ? SL_ENOMEM : SL_OK, out);
}

struct stoppable {
	const struct sl_rng *rng;
	const bool *stop;
};

/* Asked for each number that may be prime: the way out. */
static int stoppable_rng(void *arg, unsigned char *out, size_t n)
{
	const struct stoppable *s = arg;

	if (__atomic_load_n(s->stop, __ATOMIC_RELAXED))
		return MBEDTLS_ERR_RSA_RNG_FAILED;
	sl_rng_fill(s->rng, out, n);
	return 0;
}

static int make_rsa_key(struct sl_cert *c, const struct sl_rng *rng, const bool *stop)
{
	struct stoppable s = {.rng = rng, .stop = stop};
	int ret = mbedtls_pk_setup(&c->key, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA));

	if (!ret)
		ret = mbedtls_rsa_gen_key(mbedtls_pk_rsa(c->key), stoppable_rng, &s, RSA_BITS_MIN,
					  RSA_EXPONENT);
	return ret;
}

int sl_cert_new_rsa(const struct sl_rng *rng, int64_t wall_us, const bool *stop,
		    struct sl_cert **out)
{
	struct sl_cert *c = cert_alloc();
	int ret;

	if (!c)
		return SL_ENOMEM;
	ret = make_rsa_key(c, rng, stop);
	if (ret && __atomic_load_n(stop, __ATOMIC_RELAXED)) {
		sl_cert_free(c);
		return SL_ESTATE;
	}
	if (!ret)
		ret = self_sign(c, rng, wall_us);
	return finish(c, rng, ret ? SL_ENOMEM : SL_OK, out);
}

/* ECDSA over the two curves of NIST that the handshake knows, or RSA of a length that still counts.
 */
static bool usable(const mbedtls_pk_context *key)
{
	mbedtls_ecp_group_id id;

	if (mbedtls_pk_get_type(key) == MBEDTLS_PK_RSA)
		return mbedtls_pk_get_bitlen(key) >= RSA_BITS_MIN;
	if (mbedtls_pk_get_type(key) != MBEDTLS_PK_ECKEY)
		return false;
	id = mbedtls_pk_ec(*key)->grp.id;
	return id == MBEDTLS_ECP_DP_SECP256R1 || id == MBEDTLS_ECP_DP_SECP384R1;
}

/* The library wants its PEM with the NUL counted. */
static int parse_pem(struct sl_cert *c, struct sl_str cert_pem, struct sl_str key_pem)
{
	char *cert = sl_strndup(cert_pem.p, cert_pem.n);
	char *key = sl_strndup(key_pem.p, key_pem.n);
	int ret = MBEDTLS_ERR_X509_ALLOC_FAILED;

	if (cert && key)
		ret = mbedtls_x509_crt_parse(&c->chain, (const unsigned char *)cert,
					     cert_pem.n + 1);
	if (!ret)
		ret = mbedtls_pk_parse_key(&c->key, (const unsigned char *)key, key_pem.n + 1, NULL,
					   0);
	if (key)
		sl_wipe(key, key_pem.n);
	sl_free(key);
	sl_free(cert);
	/* Positive: so many certificates of the chain could not be read. */
	return ret > 0 ? SL_EPARSE : lib_err(ret);
}

static int read_pair(struct sl_cert *c, struct sl_str cert_pem, struct sl_str key_pem)
{
	int err = parse_pem(c, cert_pem, key_pem);

	if (!err && !usable(&c->key))
		err = SL_EUNSUPPORTED;
	return err ? err : lib_err(mbedtls_pk_check_pair(&c->chain.pk, &c->key));
}

int sl_cert_from_pem(struct sl_str cert_pem, struct sl_str key_pem, const struct sl_rng *rng,
		     struct sl_cert **out)
{
	struct sl_cert *c = cert_alloc();
	int err;

	if (!c)
		return SL_ENOMEM;
	err = read_pair(c, cert_pem, key_pem);
	if (err == SL_EPARSE) { /* the library says so, too, when it has no memory: again */
		mbedtls_x509_crt_free(&c->chain);
		mbedtls_pk_free(&c->key);
		err = read_pair(c, cert_pem, key_pem);
	}
	return finish(c, rng, err, out);
}

static int hex_digit(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	return ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;
}

/* RFC 8122 section 5: pairs of digits with colons between. SL_EPARSE unless there are exactly n. */
static int read_colons(struct sl_str hex, uint8_t *out, size_t n)
{
	if (hex.n != n * 3 - 1)
		return SL_EPARSE;
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(hex.p[i * 3]);
		int low = hex_digit(hex.p[i * 3 + 1]);

		if (high < 0 || low < 0 || (i + 1 < n && hex.p[i * 3 + 2] != ':'))
			return SL_EPARSE;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return SL_OK;
}

int sl_fingerprint_parse(struct sl_str algorithm, struct sl_str hex, struct sl_fingerprint *out)
{
	struct sl_fingerprint fp = {0};
	int err;

	for (int d = 0; d < SL_DIGEST_COUNT; d++) {
		if (!sl_str_ieq(algorithm, sl_str_z(sl_digest_name((enum sl_digest)d))))
			continue;
		fp.algorithm = (enum sl_digest)d;
		fp.len = (uint8_t)sl_digest_len(fp.algorithm);
		err = read_colons(hex, fp.bytes, fp.len);
		if (!err)
			*out = fp;
		return err;
	}
	return SL_EUNSUPPORTED;
}

int dtls_fingerprint_match(const struct sl_fingerprint *list, size_t n, const void *der, size_t len)
{
	enum sl_digest best = SL_DIGEST_SHA1;
	uint8_t sum[SL_DIGEST_MAX];
	bool match = false;
	int err;

	for (size_t i = 0; i < n; i++)
		if (list[i].algorithm > best)
			best = list[i].algorithm;
	err = sl_digest(best, der, len, sum);
	if (err)
		return err;
	for (size_t i = 0; i < n; i++)
		if (list[i].algorithm == best && list[i].len == sl_digest_len(best))
			match |= sl_const_eq(list[i].bytes, sum, list[i].len);
	return match ? SL_OK : SL_EAUTH;
}
