/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/mem.h"
#include "tests/dtls/pair.h"

enum { OOM_RUNS = 200 };
#define VECTORS "tests/vectors/dtls/"

static struct sl_test_rng rng_state;

static int from_files(const char *cert_path, const char *key_path, struct sl_cert **out)
{
	char cert[8192], key[8192];
	size_t cert_len = pair_file(cert_path, cert, sizeof(cert));
	size_t key_len = pair_file(key_path, key, sizeof(key));
	struct sl_rng rng = sl_test_rng(&rng_state, 1);

	return sl_cert_from_pem(sl_str(cert, cert_len), sl_str(key, key_len), &rng, out);
}

TEST(new_certificate_is_valid_from_a_day_before_for_360_days)
{
	struct sl_rng rng = sl_test_rng(&rng_state, 2);
	struct sl_cert *c = NULL;

	/* 2026-03-01 12:00:00 UTC */
	TRY(sl_cert_new(&rng, INT64_C(1772366400) * SL_SEC, &c));
	DEFER(sl_cert_free, c);
	CHECK_EQ(c->chain.valid_from.year, 2026);
	CHECK_EQ(c->chain.valid_from.mon, 2);
	CHECK_EQ(c->chain.valid_from.day, 28);
	CHECK_EQ(c->chain.valid_from.hour, 12);
	CHECK_EQ(c->chain.valid_to.year, 2027);
	CHECK_EQ(c->chain.valid_to.mon, 2);
	CHECK_EQ(c->chain.valid_to.day, 23);
	CHECK_EQ(mbedtls_pk_get_bitlen(&c->chain.pk), 256);
}

/* A key takes more allocations than out-of-memory mode goes through, and too long for each. */
static void no_oom(void)
{
	for (int i = 0; i < OOM_RUNS; i++) {
		void *p = sl_zalloc(1);

		TRY(p ? SL_OK : SL_ENOMEM);
		sl_free(p);
	}
}

TEST(new_rsa_certificate_has_2048_bits_and_signs_for_itself)
{
	struct sl_rng rng = sl_test_rng(&rng_state, 4);
	struct sl_cert *c = NULL;
	bool stop = false;
	uint32_t flags = 0;

	no_oom();
	TRY(sl_cert_new_rsa(&rng, SL_SEC * 1700000000, &stop, &c));
	DEFER(sl_cert_free, c);
	CHECK_EQ(mbedtls_pk_get_bitlen(&c->chain.pk), 2048);
	CHECK_EQ(mbedtls_pk_get_type(&c->chain.pk), MBEDTLS_PK_RSA);
	(void)mbedtls_x509_crt_verify(&c->chain, &c->chain, NULL, NULL, &flags, NULL, NULL);
	CHECK_EQ(flags & ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE),
		 0);
}

TEST(making_an_rsa_certificate_ends_early_when_it_is_told_to)
{
	struct sl_rng rng = sl_test_rng(&rng_state, 5);
	struct sl_cert *c = NULL;
	bool stop = true;
	int err = sl_cert_new_rsa(&rng, SL_SEC * 1700000000, &stop, &c);

	TRY(err == SL_ENOMEM ? err : SL_OK);
	CHECK_EQ(err, SL_ESTATE);
	CHECK(!c);
}

TEST(t12_two_certificates_differ)
{
	struct sl_rng rng = sl_test_rng(&rng_state, 3);
	struct sl_cert *a = NULL, *b = NULL;

	TRY(sl_cert_new(&rng, SL_SEC * 1000000000, &a));
	DEFER(sl_cert_free, a);
	TRY(sl_cert_new(&rng, SL_SEC * 1000000000, &b));
	DEFER(sl_cert_free, b);
	CHECK(strcmp(sl_cert_fingerprint(a), sl_cert_fingerprint(b)) != 0);
	CHECK(mbedtls_pk_check_pair(&a->chain.pk, &b->key) != 0);
}

TEST(a_group_with_a_lent_table_multiplies_as_one_that_made_its_own)
{
	struct sl_rng rng = sl_test_rng(&rng_state, 6);
	mbedtls_ecp_group own, lent;
	mbedtls_ecp_point p[2];
	mbedtls_mpi d;
	int ret = 0;

	mbedtls_ecp_group_init(&own);
	mbedtls_ecp_group_init(&lent);
	mbedtls_mpi_init(&d);
	for (int i = 0; i < 2; i++)
		mbedtls_ecp_point_init(&p[i]);
	DEFER(mbedtls_ecp_group_free, &own);
	DEFER(mbedtls_ecp_group_free, &lent);
	DEFER(mbedtls_mpi_free, &d);
	DEFER(mbedtls_ecp_point_free, &p[0]);
	DEFER(mbedtls_ecp_point_free, &p[1]);
	ret |= mbedtls_ecp_group_load(&own, MBEDTLS_ECP_DP_SECP256R1);
	ret |= mbedtls_ecp_group_load(&lent, MBEDTLS_ECP_DP_SECP256R1);
	dtls_lend_table(pair_cert(0), &lent);
	CHECK(lent.T || sl_test_oom_fired());
	CHECK(!lent.T == !lent.T_size && lent.T != pair_cert(0)->p256.T);
	for (int i = 0; i < 20 && !ret; i++) {
		ret |= mbedtls_ecp_gen_privkey(&own, &d, dtls_lib_rng, &rng);
		ret |= mbedtls_ecp_mul(&own, &p[0], &d, &own.G, dtls_lib_rng, &rng);
		ret |= mbedtls_ecp_mul(&lent, &p[1], &d, &lent.G, dtls_lib_rng, &rng);
		CHECK(ret || mbedtls_ecp_point_cmp(&p[0], &p[1]) == 0);
	}
	TRY(ret && sl_test_oom_fired() ? SL_ENOMEM : ret);
}

TEST(tables_are_for_groups_of_their_curve_only)
{
	mbedtls_ecp_group g;

	mbedtls_ecp_group_init(&g);
	DEFER(mbedtls_ecp_group_free, &g);
	dtls_lend_table(pair_cert(0), &g);
	CHECK(!g.T);
	TRY(mbedtls_ecp_group_load(&g, MBEDTLS_ECP_DP_SECP384R1) ? SL_ENOMEM : SL_OK);
	dtls_lend_table(pair_cert(0), &g);
	CHECK(!g.T);
}

TEST(own_fingerprint_reads_back_as_the_digest_of_the_certificate)
{
	const struct sl_cert *c = pair_cert(0);
	const char *text = sl_cert_fingerprint(c);
	struct sl_fingerprint fp;
	uint8_t sum[SL_SHA256_LEN];

	CHECK_EQ(strlen(text), 95);
	TRY(sl_fingerprint_parse(SL_STR("sha-256"), sl_str_z(text), &fp));
	TRY(sl_digest(SL_DIGEST_SHA256, c->chain.raw.p, c->chain.raw.len, sum));
	CHECK_EQ(fp.len, 32);
	CHECK_EQ(fp.algorithm, SL_DIGEST_SHA256);
	CHECK_BYTES(fp.bytes, sum, 32);
}

TEST(pem_of_rsa_and_of_elliptic_curve_keys_is_taken)
{
	static const struct {
		const char *cert, *key, *fingerprint;
	} rows[] = {
		{VECTORS "rsa-cert.pem", VECTORS "rsa-key.pem",
		 "76:6F:58:1A:EC:58:58:05:35:28:CB:03:62:77:38:F1:65:A7:92:42:62:9B:E7:84:21:C8:22:"
		 "15:5B:5C:99:9F"},
		{VECTORS "ec-cert.pem", VECTORS "ec-key.pem",
		 "62:52:81:1E:4C:4B:DB:5D:AE:F1:A7:59:AB:EC:41:EA:C9:3E:5A:A6:94:5B:D1:51:9B:7B:49:"
		 "A2:02:A6:7C:FA"},
	};

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		struct sl_cert *c = NULL;

		TRY(from_files(rows[i].cert, rows[i].key, &c));
		DEFER(sl_cert_free, c);
		CHECK_STR(sl_cert_fingerprint(c), rows[i].fingerprint);
	}
}

static void refuses(int err, int want)
{
	if (err == SL_ENOMEM)
		TRY(err);
	CHECK_EQ(err, want);
}

TEST(pem_that_does_not_fit_is_refused)
{
	struct sl_rng rng = sl_test_rng(&rng_state, 4);
	struct sl_cert *c = NULL;

	refuses(from_files(VECTORS "rsa-cert.pem", VECTORS "ec-key.pem", &c), SL_EPARSE);
	refuses(from_files(VECTORS "ec-key.pem", VECTORS "ec-key.pem", &c), SL_EPARSE);
	refuses(from_files(VECTORS "ec-cert.pem", VECTORS "ec-cert.pem", &c), SL_EPARSE);
	refuses(from_files(VECTORS "k1-cert.pem", VECTORS "k1-key.pem", &c), SL_EUNSUPPORTED);
	refuses(sl_cert_from_pem(SL_STR(""), SL_STR(""), &rng, &c), SL_EPARSE);
	CHECK(c == NULL);
}

TEST(fingerprints_are_read_in_any_case_and_only_complete)
{
	static const struct {
		const char *algorithm, *hex;
		int want;
	} rows[] = {
		{"sha-1", "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33", SL_OK},
		{"SHA-1", "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33", SL_OK},
		{"sha-1", "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22", SL_EPARSE},
		{"sha-1", "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44",
		 SL_EPARSE},
		{"sha-1", "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:3", SL_EPARSE},
		{"sha-1", "00-11-22-33-44-55-66-77-88-99-AA-BB-CC-DD-EE-FF-00-11-22-33", SL_EPARSE},
		{"sha-1", "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:3g", SL_EPARSE},
		{"sha-1", "", SL_EPARSE},
		{"md5", "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF", SL_EUNSUPPORTED},
		{"", "00", SL_EUNSUPPORTED},
	};

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		struct sl_fingerprint fp = {.len = 99};
		int err = sl_fingerprint_parse(sl_str_z(rows[i].algorithm), sl_str_z(rows[i].hex),
					       &fp);

		CHECK_EQ(err, rows[i].want);
		CHECK_EQ(fp.len, err ? 99 : 20);
		CHECK_EQ(fp.bytes[10], err ? 0 : 0xaa);
	}
}
