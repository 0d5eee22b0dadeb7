/* SPDX-License-Identifier: Apache-2.0
 * tests/dtls/test_srtp.c — dtls/srtp.c and the transforms behind it: RFC vectors, libsrtp2 called
 * directly as an oracle, and what loss, reordering, replay and forgery may do to a receiver. */
#include "dtls/seam_int.h"
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <srtp2/srtp.h>
#include <stdlib.h>

enum { ROOM = 1600, GUARD = 64, SSRC = 0x1234abcd };

/* MB last, and only where there is one. */
static const enum sl_srtp_impl real[] = {
	SL_SRTP_LIBSRTP,
	SL_SRTP_SOFT,
#if SL_HAVE_MB
	SL_SRTP_MB,
#endif
};

#define EACH_PROFILE(p)                                                                            \
	for (enum sl_srtp_profile p = SL_SRTP_AES128_CM_SHA1_80; p < SL_SRTP_PROFILE_COUNT; p++)

/* An op that must succeed, unless this run's allocation has failed inside a library. */
#define CHECK_OK(call)                                                                             \
	do {                                                                                       \
		int got_ = (call);                                                                 \
		if (got_ != SL_OK && sl_test_oom_fired())                                          \
			sl_test_oom_stop();                                                        \
		if (got_ != SL_OK)                                                                 \
			sl_test_failed(__FILE__, __LINE__, "%s: error %d", #call, got_);           \
	} while (0)

static size_t unhex(const char *hex, uint8_t *out)
{
	size_t n = 0;
	char pair[3] = {0};

	for (; hex[0] && hex[1]; hex += 2) {
		memcpy(pair, hex, 2);
		out[n++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

static void check_hex(const uint8_t *got, const char *want_hex)
{
	uint8_t want[256];
	size_t n = unhex(want_hex, want);

	CHECK_BYTES(got, want, n);
}

static struct sl_srtp_master master_of(enum sl_srtp_profile p)
{
	struct sl_srtp_master m = {.profile = p};

	for (size_t i = 0; i < sl_srtp_key_len(p); i++)
		m.key[i] = (uint8_t)(i * 7 + 1);
	for (size_t i = 0; i < sl_srtp_salt_len(p); i++)
		m.salt[i] = (uint8_t)(i * 13 + 5);
	return m;
}

/* libsrtp2 2.5.0 dereferences NULL when srtp_create() lacks memory, so that call alone is kept from
 * failing: failing allocations are a matter of the thread that runs the test. */
static int spared(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	errno = ENOMEM; /* glibc asserts so much when its own allocation fails */
	if (pthread_create(&thread, NULL, fn, arg) != 0)
		return SL_ENOMEM;
	pthread_join(thread, NULL);
	return SL_OK;
}

struct key_args {
	enum sl_srtp_impl impl;
	struct sl_srtp_master master;
	bool outbound;
	struct sl_srtp_key *key;
	int err;
};

static void *make_key(void *arg)
{
	struct key_args *a = arg;

	a->err = sl_srtp_key_new(a->impl, &a->master, a->outbound, &a->key);
	return NULL;
}

/* Each key has a manager of its own here. */
static int bind(struct sl_srtp_key *key)
{
	const struct sl_srtp_choice sse = {
		.cm = SL_SRTP_MB, .small = SL_ARCH_SSE, .large = SL_ARCH_SSE, .aead = SL_ARCH_SSE};
	struct sl_srtp_mgr *mgr;
	int err = sl_srtp_mgr_new(&sse, &mgr);

	if (err)
		return err;
	DEFER(sl_srtp_mgr_free, mgr);
	sl_srtp_key_bind(key, mgr);
	return SL_OK;
}

static int key_with(enum sl_srtp_impl impl, const struct sl_srtp_master *m, bool outbound,
		    struct sl_srtp_key **out)
{
	struct key_args a = {.impl = impl, .master = *m, .outbound = outbound};
	int err = SL_OK;

	if (impl == SL_SRTP_LIBSRTP)
		err = spared(make_key, &a);
	else
		make_key(&a);
	if (err || a.err)
		return err ? err : a.err;
	DEFER(sl_srtp_key_free, a.key);
	*out = a.key;
	return impl == SL_SRTP_MB ? bind(a.key) : SL_OK;
}

static int key_of(enum sl_srtp_impl impl, enum sl_srtp_profile p, bool outbound,
		  struct sl_srtp_key **out)
{
	struct sl_srtp_master m = master_of(p);

	return key_with(impl, &m, outbound, out);
}

static void rtp_header(uint8_t h[12], uint32_t ssrc, uint64_t index)
{
	h[0] = 0x80;
	h[1] = 96;
	sl_put16(h + 2, (uint16_t)index);
	sl_put32(h + 4, (uint32_t)index * 960);
	sl_put32(h + 8, ssrc);
}

/* Seals a packet with a payload that tells its index; its length, or an error. */
static int seal_at(struct sl_srtp_key *key, uint32_t ssrc, uint64_t index, uint8_t *out)
{
	uint8_t hdr[12], payload[32];
	struct sl_srtp_op op = {.key = key,
				.hdr = hdr,
				.hdr_len = 12,
				.payload = payload,
				.payload_len = sizeof(payload),
				.index = index,
				.out = out};

	rtp_header(hdr, ssrc, index);
	memset(payload, 0x5a, sizeof(payload));
	sl_put64(payload, index);
	return sl_srtp_seal(&op, 1) == 1 ? (int)op.out_len : op.err;
}

static int open_at(struct sl_srtp_key *key, const uint8_t *packet, int len, uint64_t index)
{
	uint8_t out[ROOM];
	struct sl_srtp_op op = {
		.key = key, .hdr = packet, .hdr_len = (size_t)len, .index = index, .out = out};

	if (sl_srtp_open(&op, 1) == 1) {
		CHECK_EQ(op.out_len, 44);
		CHECK_EQ(sl_get64(out + 12), index);
	}
	return op.err;
}

/* What a receiver does with a packet: index, replay, open, one more try, accept. */
static int receive(struct sl_srtp_key *key, struct sl_srtp_rx *rx, const uint8_t *packet, int len)
{
	uint16_t seq = sl_get16(packet + 2);
	uint64_t index = sl_srtp_rx_index(rx, seq);
	uint64_t other = sl_srtp_rx_alternative(rx, seq);
	int err = sl_srtp_rx_check(rx, index);

	if (!err)
		err = open_at(key, packet, len, index);
	if (err == SL_EAUTH && other != SL_SRTP_NO_INDEX) {
		index = other;
		err = open_at(key, packet, len, index);
	}
	if (!err)
		sl_srtp_rx_accept(rx, index);
	return err;
}

/* ---- vectors ---- */

static void check_derived(enum sl_srtp_profile p, const char *key_hex, const char *salt_hex,
			  const char *cipher, const char *auth, const char *salt)
{
	struct sl_srtp_master m = {.profile = p};
	uint8_t got[128];

	unhex(key_hex, m.key);
	unhex(salt_hex, m.salt);
	seam_derive(seam_profile(p), &m, 0, got, sl_srtp_key_len(p));
	check_hex(got, cipher);
	seam_derive(seam_profile(p), &m, 1, got, strlen(auth) / 2);
	check_hex(got, auth);
	seam_derive(seam_profile(p), &m, 2, got, 14);
	check_hex(got, salt);
}

TEST(session_keys_are_those_of_rfc3711_appendix_b3)
{
	check_derived(SL_SRTP_AES128_CM_SHA1_80, "e1f97a0d3e018be0d64fa32c06de4139",
		      "0ec675ad498afeebb6960b3aabe6", "c61e7a93744f39ee10734afe3ff7a087",
		      "cebe321f6ff7716b6fd4ab49af256a156d38baa48f0a0acf3c34e2359e6cdbcee049646c43d9"
		      "327ad175578ef722709"
		      "86371c10c9a369ac2f94a8c5fbcdddc256d6e919a48b610ef17c2041e474035766b68642c59b"
		      "bfc2f34db60dbdfb2",
		      "30cbbc08863d8c85d49db34a9ae1");
}

TEST(session_keys_are_those_of_rfc6188_section_7_2)
{
	check_derived(SL_SRTP_AES256_CM_SHA1_80,
		      "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6",
		      "3b04803de51ee7c96423ab5b78d2",
		      "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
		      "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05", "fa31791685ca444a9e07c6c64e93");
}

/* Gives a key the session keys of a vector. */
static int rekey(struct sl_srtp_key *key, const char *cipher, const char *salt)
{
	int err;

	for (int i = 0; i < 2; i++) {
		unhex(cipher, key->half[i].cipher_key);
		unhex(salt, key->half[i].salt);
	}
	key->impl->fini(key);
	err = key->impl->init(key, NULL);
	if (!err)
		sl_srtp_key_bind(key, key->mgr);
	return err;
}

static void check_keystream(enum sl_srtp_impl impl, enum sl_srtp_profile p, const char *cipher,
			    const char *want)
{
	uint8_t hdr[12] = {0x80}, zeros[48] = {0}, out[12 + 48 + SL_SRTP_OVERHEAD];
	struct sl_srtp_op op = {
		.hdr = hdr, .hdr_len = 12, .payload = zeros, .payload_len = 48, .out = out};

	TRY(key_of(impl, p, true, &op.key));
	TRY(rekey(op.key, cipher, "f0f1f2f3f4f5f6f7f8f9fafbfcfd"));
	CHECK_EQ(sl_srtp_seal(&op, 1), 1);
	check_hex(out + 12, want);
}

TEST(the_keystream_is_that_of_rfc3711_appendix_b2_and_rfc6188_section_7_1)
{
	for (size_t i = 1; i < SL_COUNT(real); i++) {
		check_keystream(real[i], SL_SRTP_AES128_CM_SHA1_80,
				"2b7e151628aed2a6abf7158809cf4f3c",
				"e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab"
				"41e95b3bb0a2e8dd477901e4fca894c0");
		check_keystream(real[i], SL_SRTP_AES256_CM_SHA1_80,
				"57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98",
				"92bdd28a93c3f52511c677d08b5515a49da71b2378a854f67050756ded165bac"
				"63c4868b7096d88421b563b8c94c9a31");
	}
}

struct gcm_vector {
	enum sl_srtp_profile profile;
	bool rtcp;
	uint64_t index;
	const char *key, *plain, *sealed;
};
#define K128 "000102030405060708090a0b0c0d0e0f"
#define K256 K128 "101112131415161718191a1b1c1d1e1f"
#define RTP_PLAIN                                                                                  \
	"8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e697320646976697361"                   \
	"20696e207061727465732074726573"
#define RTCP_PLAIN                                                                                 \
	"81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61"                         \
	"deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"
static const struct gcm_vector gcm_vectors[] = {
	/* RFC 7714 sections 16.1.1, 16.2.1, 17.1, 17.2 */
	{SL_SRTP_AEAD_AES128_GCM, false, 0xf17b, K128, RTP_PLAIN,
	 "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b3"
	 "6de3adf8833"
	 "899d7f27beb16a9152cf765ee4390cce"},
	{SL_SRTP_AEAD_AES256_GCM, false, 0xf17b, K256, RTP_PLAIN,
	 "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1"
	 "ba63799b87b"
	 "7aa3db36dfffd6b0f9bb7878d7a76c13"},
	{SL_SRTP_AEAD_AES128_GCM, true, 0x5d4, K128, RTCP_PLAIN,
	 "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b468"
	 "6303ded0bb9"
	 "275bc84aa45896cf4d2fc5abf87245d9eade800005d4"},
	{SL_SRTP_AEAD_AES256_GCM, true, 0x5d4, K256, RTCP_PLAIN,
	 "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c"
	 "61de0476f1b"
	 "6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4"},
};

static void check_gcm_vectors(enum sl_srtp_impl impl)
{
	for (size_t i = 0; i < SL_COUNT(gcm_vectors); i++) {
		const struct gcm_vector *v = &gcm_vectors[i];
		uint8_t plain[128], sealed[128], out[160];
		size_t n = unhex(v->plain, plain), sealed_len = unhex(v->sealed, sealed);
		struct sl_srtp_op op = {.hdr = plain,
					.hdr_len = v->rtcp ? 8 : 12,
					.payload = plain + (v->rtcp ? 8 : 12),
					.payload_len = n - (v->rtcp ? 8 : 12),
					.index = v->index,
					.rtcp = v->rtcp,
					.out = out};

		TRY(key_of(impl, v->profile, true, &op.key));
		TRY(rekey(op.key, v->key, "517569642070726f2071756f"));
		CHECK_EQ(sl_srtp_seal(&op, 1), 1);
		CHECK_EQ(op.out_len, sealed_len);
		CHECK_BYTES(out, sealed, sealed_len);
		TRY(key_of(impl, v->profile, false, &op.key));
		TRY(rekey(op.key, v->key, "517569642070726f2071756f"));
		op.hdr = sealed;
		op.hdr_len = sealed_len;
		CHECK_EQ(sl_srtp_open(&op, 1), 1);
		CHECK_EQ(op.out_len, n);
		CHECK_BYTES(out, plain, n);
	}
}

TEST(gcm_packets_are_those_of_rfc7714_sections_16_and_17)
{
	for (size_t i = 1; i < SL_COUNT(real); i++)
		check_gcm_vectors(real[i]);
}

TEST(a_32_bit_tag_is_for_srtp_only)
{
	CHECK_EQ(sl_srtp_tag_len(SL_SRTP_AES128_CM_SHA1_32, false), 4);
	CHECK_EQ(sl_srtp_tag_len(SL_SRTP_AES128_CM_SHA1_32, true), 10);
	CHECK_EQ(sl_srtp_tag_len(SL_SRTP_AES256_CM_SHA1_32, false), 4);
	CHECK_EQ(sl_srtp_tag_len(SL_SRTP_AES256_CM_SHA1_32, true), 10);
	CHECK_EQ(sl_srtp_tag_len(SL_SRTP_AES128_CM_SHA1_80, false), 10);
	CHECK_EQ(sl_srtp_tag_len(SL_SRTP_AEAD_AES256_GCM, true), 16);
	CHECK_EQ(sl_srtp_salt_len(SL_SRTP_AEAD_AES128_GCM), 12);
	CHECK_EQ(sl_srtp_key_len(SL_SRTP_AES256_CM_SHA1_80), 32);
	CHECK_EQ(sl_srtp_key_len(SL_SRTP_NONE), 0);
	CHECK_STR(sl_srtp_profile_name(SL_SRTP_AES256_CM_SHA1_32), "AES_256_CM_HMAC_SHA1_32");
	CHECK_STR(sl_srtp_profile_name(SL_SRTP_NONE), "none");
	CHECK_EQ(sl_srtp_best(SL_SRTP_AES128_CM_SHA1_80), SL_SRTP_SOFT);
}

/* ---- round trips ---- */

struct shape {
	bool rtcp;
	size_t csrcs, ext_words, extra; /* ext_words 0: no extension; extra: payload bytes in hdr */
	size_t payload_len;
};
/* clang-format off */
static const struct shape shapes[] = {
	{false, 0, 0, 0, 0},   {false, 0, 0, 0, 1},    {false, 0, 0, 2, 160},  {false, 3, 0, 0, 15},
	{false, 0, 1, 0, 16},  {false, 15, 9, 0, 17},  {false, 0, 9, 0, 1200}, {false, 2, 4, 5, 0},
	{true, 0, 0, 0, 0},    {true, 0, 0, 0, 20},    {true, 0, 0, 4, 52},
	{true, 0, 0, 0, 1300},
};
/* clang-format on */

static size_t build_header(const struct shape *s, uint64_t index, uint8_t *h)
{
	struct sl_wr w = sl_wr(h, 256);

	if (s->rtcp) {
		sl_wr32(&w, 0x81c80000u | (uint32_t)((s->extra + s->payload_len) / 4 + 1));
		sl_wr32(&w, SSRC);
	} else {
		sl_wr8(&w, (uint8_t)(0x80 | (s->ext_words ? 0x10 : 0) | s->csrcs));
		sl_wr8(&w, 111);
		sl_wr16(&w, (uint16_t)index);
		sl_wr32(&w, 4711);
		sl_wr32(&w, SSRC);
		sl_wr_zeros(&w, s->csrcs * 4);
	}
	if (s->ext_words) {
		sl_wr32(&w, 0xbede0000u | (uint32_t)s->ext_words);
		sl_wr_zeros(&w, s->ext_words * 4);
	}
	for (size_t i = 0; i < s->extra; i++)
		sl_wr8(&w, (uint8_t)(0xe0 + i));
	return sl_wr_len(&w);
}

struct bench { /* one packet between guards, plain, sealed, opened */
	uint8_t hdr[256], payload[ROOM];
	uint8_t sealed[GUARD + ROOM + GUARD], opened[GUARD + ROOM + GUARD];
	size_t hdr_len, payload_len, sealed_len;
};

static void guard(uint8_t *buf)
{
	memset(buf, 0xa5, GUARD + ROOM + GUARD);
}

static void check_guard(const uint8_t *buf, size_t used)
{
	for (size_t i = 0; i < GUARD; i++)
		CHECK_EQ(buf[i], 0xa5);
	for (size_t i = GUARD + used; i < GUARD + ROOM + GUARD; i++)
		CHECK_EQ(buf[i], 0xa5);
}

static void seal_shape(struct bench *b, struct sl_srtp_key *key, const struct shape *s,
		       uint64_t index)
{
	struct sl_srtp_op op = {.key = key,
				.hdr = b->hdr,
				.payload = s->payload_len ? b->payload : NULL,
				.payload_len = s->payload_len,
				.index = index,
				.rtcp = s->rtcp,
				.out = b->sealed + GUARD};

	guard(b->sealed);
	for (size_t i = 0; i < s->payload_len; i++)
		b->payload[i] = (uint8_t)(i ^ index);
	b->payload_len = s->payload_len;
	op.hdr_len = b->hdr_len = build_header(s, index, b->hdr);
	CHECK_EQ(sl_srtp_seal(&op, 1), 1);
	b->sealed_len = op.out_len;
	CHECK_EQ(op.out_len, b->hdr_len + b->payload_len +
				     sl_srtp_tag_len(sl_srtp_key_profile(key), s->rtcp) +
				     (s->rtcp ? 4 : 0));
	check_guard(b->sealed, op.out_len);
	for (size_t i = 0; i < s->payload_len; i++)
		CHECK_EQ(b->payload[i], (uint8_t)(i ^ index));
}

static void open_shape(struct bench *b, struct sl_srtp_key *key, const struct shape *s,
		       uint64_t index)
{
	struct sl_srtp_op op = {.key = key,
				.hdr = b->sealed + GUARD,
				.hdr_len = b->sealed_len,
				.index = index,
				.rtcp = s->rtcp,
				.out = b->opened + GUARD};
	static struct bench before;
	uint32_t srtcp;

	before = *b;
	guard(b->opened);
	if (s->rtcp) {
		CHECK_EQ(sl_srtcp_index(key, op.hdr, op.hdr_len, &srtcp), SL_OK);
		CHECK_EQ(srtcp, index);
	}
	sl_srtp_open(&op, 1);
	CHECK_OK(op.err);
	CHECK_EQ(op.out_len, b->hdr_len + b->payload_len);
	CHECK_BYTES(op.out, b->hdr, b->hdr_len);
	CHECK_BYTES(op.out + b->hdr_len, b->payload, b->payload_len);
	check_guard(b->opened, b->sealed_len); /* the tag's room may be used on the way */
	CHECK_BYTES(before.sealed, b->sealed, sizeof(b->sealed));
}

static void round_trips(enum sl_srtp_impl impl, enum sl_srtp_profile p, const uint64_t *indexes,
			size_t n)
{
	static struct bench b;
	struct sl_srtp_key *out, *in;

	TRY(key_of(impl, p, true, &out));
	TRY(key_of(impl, p, false, &in));
	CHECK_EQ(sl_srtp_key_profile(in), p);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < SL_COUNT(shapes); k++) {
			seal_shape(&b, out, &shapes[k], indexes[i]);
			open_shape(&b, in, &shapes[k], indexes[i]);
		}
}

TEST(packets_of_every_shape_go_there_and_back_in_all_profiles)
{
	static const uint64_t indexes[] = {0,	  1,	 40000,	     65535,
					   65536, 70000, 0x3fffffff, 0x7fffffff};

	EACH_PROFILE(p)
	for (size_t i = 1; i < SL_COUNT(real); i++)
		round_trips(real[i], p, indexes, SL_COUNT(indexes));
}

TEST(packets_of_every_shape_go_there_and_back_through_libsrtp_in_all_profiles)
{
	static const uint64_t indexes[] = {65535, 65537};

	EACH_PROFILE(p)
	round_trips(SL_SRTP_LIBSRTP, p, indexes, SL_COUNT(indexes));
}

TEST(without_protection_a_packet_passes_as_it_is_and_srtcp_keeps_its_index)
{
	struct sl_srtp_master none = {.profile = SL_SRTP_NONE};
	struct sl_srtp_key *out = NULL, *in = NULL;
	static struct bench b;

	TRY(key_with(SL_SRTP_NULL, &none, true, &out));
	TRY(key_with(SL_SRTP_NULL, &none, false, &in));
	for (size_t k = 0; k < SL_COUNT(shapes); k++) {
		seal_shape(&b, out, &shapes[k], 77);
		CHECK_BYTES(b.sealed + GUARD, b.hdr, b.hdr_len);
		CHECK_BYTES(b.sealed + GUARD + b.hdr_len, b.payload, b.payload_len);
		open_shape(&b, in, &shapes[k], 77);
	}
	sl_srtp_key_forget(out, SSRC);
}

/* ---- libsrtp2 as the oracle ---- */

static void oracle_policy(srtp_policy_t *policy, const struct sl_srtp_master *m, uint8_t secret[46])
{
	static void (*const set[])(srtp_crypto_policy_t *) = {
		[SL_SRTP_AES128_CM_SHA1_80] = srtp_crypto_policy_set_rtp_default,
		[SL_SRTP_AES128_CM_SHA1_32] = srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
		[SL_SRTP_AES256_CM_SHA1_80] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
		[SL_SRTP_AES256_CM_SHA1_32] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32,
		[SL_SRTP_AEAD_AES128_GCM] = srtp_crypto_policy_set_aes_gcm_128_16_auth,
		[SL_SRTP_AEAD_AES256_GCM] = srtp_crypto_policy_set_aes_gcm_256_16_auth,
	};

	memset(policy, 0, sizeof(*policy));
	set[m->profile](&policy->rtp);
	set[m->profile](&policy->rtcp);
	if (m->profile == SL_SRTP_AES128_CM_SHA1_32 || m->profile == SL_SRTP_AES256_CM_SHA1_32)
		policy->rtcp.auth_tag_len = 10;
	memcpy(secret, m->key, sl_srtp_key_len(m->profile));
	memcpy(secret + sl_srtp_key_len(m->profile), m->salt, sl_srtp_salt_len(m->profile));
	policy->key = secret;
	policy->ssrc.type = ssrc_specific;
	policy->ssrc.value = SSRC;
	policy->window_size = 1024;
}

struct oracle {
	const struct bench *b;
	const struct shape *s;
	struct sl_srtp_master master;
	uint64_t index;
	uint8_t buf[ROOM] __attribute__((aligned(8)));
	int len, status;
};

static void oracle_load(struct oracle *o)
{
	memcpy(o->buf, o->b->hdr, o->b->hdr_len);
	memcpy(o->buf + o->b->hdr_len, o->b->payload, o->b->payload_len);
	o->len = (int)(o->b->hdr_len + o->b->payload_len);
}

/* Its own bytes for that packet at that index; its SRTCP index it counts from 1. */
static void *oracle_run(void *arg)
{
	struct oracle *o = arg;
	uint8_t secret[46];
	srtp_policy_t policy;
	srtp_t session;

	oracle_policy(&policy, &o->master, secret);
	o->status = (int)srtp_create(&session, &policy);
	if (o->status)
		return NULL;
	oracle_load(o);
	if (!o->s->rtcp) {
		if (o->index >> 16)
			srtp_set_stream_roc(session, SSRC, (uint32_t)(o->index >> 16));
		o->status = (int)srtp_protect(session, o->buf, &o->len);
	}
	for (uint64_t i = 1; o->s->rtcp && i <= o->index && !o->status; i++) {
		oracle_load(o);
		o->status = (int)srtp_protect_rtcp(session, o->buf, &o->len);
	}
	srtp_dealloc(session);
	return NULL;
}

static void check_oracle(struct sl_srtp_key *key, const struct shape *s, uint64_t index)
{
	static struct bench b;
	static struct oracle o;

	seal_shape(&b, key, s, index);
	o = (struct oracle){
		.b = &b, .s = s, .master = master_of(sl_srtp_key_profile(key)), .index = index};
	TRY(spared(oracle_run, &o));
	CHECK_EQ(o.status, 0);
	CHECK_EQ(o.len, b.sealed_len);
	CHECK_BYTES(o.buf, b.sealed + GUARD, b.sealed_len);
}

static void compare_with_oracle(enum sl_srtp_impl impl, enum sl_srtp_profile p)
{
	static const uint64_t rtp[] = {0, 7, 65000, 65540, 66000, 0xabcd1234ffff};
	static const uint64_t rtcp[] = {1, 2, 9};
	struct sl_srtp_key *first, *key;

	TRY(key_of(SL_SRTP_LIBSRTP, p, true, &first)); /* the library is set up from now on */
	TRY(key_of(impl, p, true, &key));
	for (size_t k = 0; k < SL_COUNT(shapes); k++) {
		const uint64_t *indexes = shapes[k].rtcp ? rtcp : rtp;
		size_t n = shapes[k].rtcp ? SL_COUNT(rtcp) : SL_COUNT(rtp);

		for (size_t i = 0; i < n; i++)
			check_oracle(key, &shapes[k], indexes[i]);
	}
}

TEST(sealed_bytes_are_those_of_libsrtp_called_directly)
{
	EACH_PROFILE(p)
	for (size_t i = 1; i < SL_COUNT(real); i++)
		compare_with_oracle(real[i], p);
}

/* ---- explicit indexes in any order ---- */

static void any_order(enum sl_srtp_profile p)
{
	/* clang-format off */
	static const uint64_t order[] = {
		/* old after new in ROC 0 */
		60000, 60001, 5, 60002, 100, 61000,
		/* around wraps, forth and back */
		65530, 65531, 65531, 65540, 65533, 65536, 65530, 65541, 5, 0, 40000, 200000,
		199000, 65535, 1, 65537, 131071, 131072, 131073, 131071, 600000, 65536, 300000,
		0xffffffffffff, 0xfffffffffffe, 3, 0xffff0000ffff,
	};
	/* clang-format on */
	struct sl_srtp_key *lib_out, *lib_in, *soft;
	uint8_t a[128], b[128];

	TRY(key_of(SL_SRTP_LIBSRTP, p, true, &lib_out));
	TRY(key_of(SL_SRTP_LIBSRTP, p, false, &lib_in));
	TRY(key_of(SL_SRTP_SOFT, p, true, &soft));
	for (size_t i = 0; i < SL_COUNT(order); i++) {
		int n = seal_at(soft, SSRC, order[i], a);

		CHECK_EQ(seal_at(lib_out, SSRC, order[i], b), n);
		CHECK_BYTES(a, b, (size_t)n);
		CHECK_OK(open_at(lib_in, a, n, order[i]));
		CHECK_OK(open_at(lib_in, a, n, order[i]));
	}
}

TEST(libsrtp_never_refuses_or_mistakes_an_explicit_index)
{
	any_order(SL_SRTP_AES128_CM_SHA1_80);
	any_order(SL_SRTP_AEAD_AES128_GCM);
}

TEST(libsrtp_takes_random_indexes_around_a_wrap_as_the_other_transform_does)
{
	struct sl_srtp_key *lib_out, *lib_in, *soft;
	struct sl_test_rng state;
	struct sl_rng rng = sl_test_rng(&state, 3);
	uint64_t base = 65000;
	uint8_t a[128], b[128];

	TRY(key_of(SL_SRTP_LIBSRTP, SL_SRTP_AES128_CM_SHA1_80, true, &lib_out));
	TRY(key_of(SL_SRTP_LIBSRTP, SL_SRTP_AES128_CM_SHA1_80, false, &lib_in));
	TRY(key_of(SL_SRTP_SOFT, SL_SRTP_AES128_CM_SHA1_80, true, &soft));
	for (int i = 0; i < 400; i++) {
		uint32_t r[2];
		uint64_t index;
		int n;

		sl_rng_fill(&rng, r, sizeof(r));
		base += r[0] % 16 == 0 ? r[1] % 40000 : 1;
		index = base - (r[0] >> 8) % (r[0] % 5 == 0 ? 40000 : 1000);
		n = seal_at(soft, SSRC, index, a);
		CHECK_EQ(seal_at(lib_out, SSRC, index, b), n);
		CHECK_BYTES(a, b, (size_t)n);
		CHECK_OK(open_at(lib_in, a, n, index));
	}
}

TEST(two_copies_in_one_batch_both_open_and_the_second_is_not_accepted)
{
	for (size_t i = 0; i < SL_COUNT(real); i++) {
		struct sl_srtp_key *out, *in;
		struct sl_srtp_rx rx = {0};
		uint8_t packet[128], opened[2][128];
		struct sl_srtp_op ops[2];
		int n;

		TRY(key_of(real[i], SL_SRTP_AES128_CM_SHA1_80, true, &out));
		TRY(key_of(real[i], SL_SRTP_AES128_CM_SHA1_80, false, &in));
		for (int round = 0; round < 2; round++) {
			n = seal_at(out, SSRC, 9 + (uint64_t)round, packet);
			for (int k = 0; k < 2; k++)
				ops[k] = (struct sl_srtp_op){.key = in,
							     .hdr = packet,
							     .hdr_len = (size_t)n,
							     .index = 9 + (uint64_t)round,
							     .out = opened[k]};
			sl_srtp_open(ops, 2);
			CHECK_OK(ops[0].err);
			CHECK_OK(ops[1].err);
			CHECK_EQ(sl_srtp_rx_check(&rx, ops[0].index), SL_OK);
			sl_srtp_rx_accept(&rx, ops[0].index);
			CHECK_EQ(sl_srtp_rx_check(&rx, ops[1].index), SL_EREPLAY);
		}
	}
}

TEST(a_batch_of_128_mixes_keys_transforms_and_bad_packets)
{
	static uint8_t sealed[SL_SRTP_BATCH_MAX][128], opened[SL_SRTP_BATCH_MAX][128];
	static struct sl_srtp_op ops[SL_SRTP_BATCH_MAX];
	struct sl_srtp_key *out[3], *in[3];

	for (size_t i = 0; i < 3; i++) {
		TRY(key_of(real[i % SL_COUNT(real)], (enum sl_srtp_profile)(1 + i * 2), true,
			   &out[i]));
		TRY(key_of(real[(i + 1) % SL_COUNT(real)], (enum sl_srtp_profile)(1 + i * 2), false,
			   &in[i]));
	}
	for (size_t i = 0; i < SL_COUNT(ops); i++) {
		int n = seal_at(out[i % 3], (uint32_t)i, i, sealed[i]);

		ops[i] = (struct sl_srtp_op){.key = in[i % 3],
					     .hdr = sealed[i],
					     .hdr_len = (size_t)n,
					     .index = i,
					     .out = opened[i]};
		if (i % 10 == 9)
			sealed[i][20] ^= 1;
		if (i % 10 == 8)
			ops[i].hdr_len = 13;
	}
	CHECK_EQ(sl_srtp_open(ops, (int)SL_COUNT(ops)), 104);
	for (size_t i = 0; i < SL_COUNT(ops); i++)
		CHECK_EQ(ops[i].err, i % 10 == 9 ? SL_EAUTH : i % 10 == 8 ? SL_EPARSE : SL_OK);
	CHECK_EQ(sl_srtp_open(ops, 0), 0);
}

/* ---- bad input ---- */

static void no_forgery(enum sl_srtp_impl impl, enum sl_srtp_profile p, const struct shape *s)
{
	static struct bench b;
	struct sl_srtp_key *out, *in;
	uint8_t opened[ROOM];
	struct sl_srtp_op op;

	TRY(key_of(SL_SRTP_SOFT, p, true, &out));
	TRY(key_of(impl, p, false, &in));
	seal_shape(&b, out, s, 77);
	op = (struct sl_srtp_op){.key = in,
				 .hdr = b.sealed + GUARD,
				 .hdr_len = b.sealed_len,
				 .index = 77,
				 .rtcp = s->rtcp,
				 .out = opened};
	sl_srtp_open(&op, 1);
	CHECK_OK(op.err);
	for (size_t bit = 0; bit < b.sealed_len * 8; bit += 3) {
		b.sealed[GUARD + bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK_EQ(sl_srtp_open(&op, 1), 0);
		CHECK(op.err == SL_EAUTH || op.err == SL_EPARSE);
		CHECK_EQ(op.out_len, 0);
		b.sealed[GUARD + bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (op.hdr_len = 0; op.hdr_len < b.sealed_len; op.hdr_len++) {
		CHECK_EQ(sl_srtp_open(&op, 1), 0);
		CHECK(op.err == SL_EAUTH || op.err == SL_EPARSE);
	}
	sl_srtp_open(&op, 1);
	CHECK_OK(op.err);
}

TEST(no_flipped_bit_and_no_cut_packet_is_let_in)
{
	static const struct shape rtp = {false, 1, 2, 0, 40}, rtcp = {true, 0, 0, 0, 20};

	EACH_PROFILE(p)
	{
		for (size_t i = 1; i < SL_COUNT(real); i++) {
			no_forgery(real[i], p, &rtp);
			no_forgery(real[i], p, &rtcp);
		}
	}
	no_forgery(SL_SRTP_LIBSRTP, SL_SRTP_AES128_CM_SHA1_80, &rtp);
	no_forgery(SL_SRTP_LIBSRTP, SL_SRTP_AEAD_AES128_GCM, &rtp);
}

TEST(a_packet_under_another_index_or_key_does_not_open)
{
	struct sl_srtp_master wrong = master_of(SL_SRTP_AES128_CM_SHA1_80);
	struct sl_srtp_key *out, *in, *other = NULL;
	uint8_t packet[128];
	int n;

	TRY(key_of(SL_SRTP_SOFT, SL_SRTP_AES128_CM_SHA1_80, true, &out));
	TRY(key_of(SL_SRTP_LIBSRTP, SL_SRTP_AES128_CM_SHA1_80, false, &in));
	wrong.salt[3] ^= 1;
	TRY(key_with(SL_SRTP_LIBSRTP, &wrong, false, &other));
	n = seal_at(out, SSRC, 65536 + 10, packet);
	CHECK_EQ(open_at(in, packet, n, 10), SL_EAUTH);
	CHECK_EQ(open_at(in, packet, n, 131072 + 10), SL_EAUTH);
	CHECK_EQ(open_at(in, packet, n, 65536 + 11), SL_EPARSE);
	CHECK_EQ(open_at(other, packet, n, 65536 + 10), SL_EAUTH);
	CHECK_EQ(open_at(out, packet, n, 65536 + 10), SL_ESTATE);
	CHECK_EQ(seal_at(in, SSRC, 10, packet), SL_ESTATE);
	CHECK_EQ(seal_at(out, SSRC, UINT64_C(1) << 48, packet), SL_ERANGE);
}

TEST(t10_a_key_of_no_profile_is_refused_and_profiles_do_not_open_each_other)
{
	struct sl_srtp_master none = {.profile = SL_SRTP_NONE},
			      many = {.profile = SL_SRTP_PROFILE_COUNT};
	struct sl_srtp_key *key = NULL, *out, *in;
	uint8_t packet[128];

	CHECK_EQ(sl_srtp_key_new(SL_SRTP_LIBSRTP, &none, true, &key), SL_EUNSUPPORTED);
	CHECK_EQ(sl_srtp_key_new(SL_SRTP_SOFT, &many, true, &key), SL_EUNSUPPORTED);
	CHECK(key == NULL);
	EACH_PROFILE(p)
	{
		TRY(key_of(SL_SRTP_SOFT, p, true, &out));
		EACH_PROFILE(q)
		{
			int n = seal_at(out, SSRC, 5, packet);
			int err;

			TRY(key_of(SL_SRTP_SOFT, q, false, &in));
			err = open_at(in, packet, n, 5);
			CHECK(p == q ? err == SL_OK : err == SL_EAUTH || err == SL_EPARSE);
		}
	}
}

TEST(an_srtcp_packet_that_is_short_or_not_encrypted_has_no_index)
{
	static const struct shape rtcp = {true, 0, 0, 0, 0};
	static struct bench b;
	struct sl_srtp_key *key;
	uint32_t index = 1;

	EACH_PROFILE(p)
	{
		size_t e_at;

		TRY(key_of(SL_SRTP_SOFT, p, true, &key));
		seal_shape(&b, key, &rtcp, 0x7fffffff);
		CHECK_EQ(sl_srtcp_index(key, b.sealed + GUARD, b.sealed_len, &index), SL_OK);
		CHECK_EQ(index, 0x7fffffff);
		CHECK_EQ(sl_srtcp_index(key, b.sealed + GUARD, b.sealed_len - 1, &index),
			 SL_EPARSE);
		CHECK_EQ(sl_srtcp_index(key, b.sealed + GUARD, 0, &index), SL_EPARSE);
		e_at = p >= SL_SRTP_AEAD_AES128_GCM ? b.sealed_len - 4 : b.sealed_len - 14;
		b.sealed[GUARD + e_at] &= 0x7f;
		CHECK_EQ(sl_srtcp_index(key, b.sealed + GUARD, b.sealed_len, &index), SL_EPARSE);
	}
}

/* ---- order ---- */

TEST(the_window_takes_each_of_the_last_1024_indexes_once)
{
	struct sl_srtp_rx rx = {0};

	CHECK_EQ(sl_srtp_rx_check(&rx, 0), SL_OK);
	sl_srtp_rx_accept(&rx, 5000);
	CHECK_EQ(sl_srtp_rx_check(&rx, 5000), SL_EREPLAY);
	CHECK_EQ(sl_srtp_rx_check(&rx, 5000 - 1023), SL_OK);
	CHECK_EQ(sl_srtp_rx_check(&rx, 5000 - 1024), SL_EREPLAY);
	sl_srtp_rx_accept(&rx, 4000);
	CHECK_EQ(sl_srtp_rx_check(&rx, 4000), SL_EREPLAY);
	CHECK_EQ(rx.top, 5000);
	sl_srtp_rx_accept(&rx, 5010);
	CHECK_EQ(sl_srtp_rx_check(&rx, 5000), SL_EREPLAY);
	for (uint64_t i = 5001; i < 5010; i++)
		CHECK_EQ(sl_srtp_rx_check(&rx, i), SL_OK);
	sl_srtp_rx_accept(&rx, 5010 + 1023);
	CHECK_EQ(sl_srtp_rx_check(&rx, 5010), SL_EREPLAY);
	CHECK_EQ(sl_srtp_rx_check(&rx, 5011), SL_OK);
	CHECK_EQ(sl_srtp_rx_check(&rx, 5000 + 1024), SL_OK);
	sl_srtp_rx_accept(&rx, 5010 + 1023 + 1024);
	CHECK_EQ(sl_srtp_rx_check(&rx, 5010 + 1023 + 1), SL_OK);
	CHECK_EQ(sl_srtp_rx_check(&rx, 5010 + 1023), SL_EREPLAY);
}

TEST(the_index_of_a_packet_is_the_one_rfc3711_section_3_3_1_guesses)
{
	static const struct {
		uint64_t top;
		uint16_t seq;
		uint64_t want;
	} rows[] = {
		{100, 101, 101},
		{100, 32868, 32868},
		{100, 32869, 32869},
		{65535, 0, 65536},
		{32768, 0, 0},
		{32769, 0, 65536},
		{65536, 65535, 65535},
		{65536, 32769, 32769},
		{65536, 32768, 65536 + 32768},
		{131071, 3, 131072 + 3},
		{131072 + 3, 65535, 131071},
	};

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		struct sl_srtp_rx rx = {.started = true, .top = rows[i].top};

		CHECK_EQ(sl_srtp_rx_index(&rx, rows[i].seq), rows[i].want);
		CHECK(sl_srtp_rx_alternative(&rx, rows[i].seq) == SL_SRTP_NO_INDEX);
	}
}

TEST(t09_the_rollover_counter_is_right_through_three_wraps_with_loss_and_reordering)
{
	for (size_t i = 0; i < SL_COUNT(real); i++) {
		struct sl_srtp_key *out, *in;
		struct sl_srtp_rx rx = {0};
		struct sl_test_rng state;
		struct sl_rng rng = sl_test_rng(&state, 9);
		uint8_t packet[128];
		uint64_t index = 60000;

		TRY(key_of(real[i], SL_SRTP_AES128_CM_SHA1_80, true, &out));
		TRY(key_of(real[i], SL_SRTP_AES128_CM_SHA1_80, false, &in));
		while (index < 4 * 65536) {
			uint32_t r;
			uint64_t late;

			CHECK_OK(receive(in, &rx, packet, seal_at(out, SSRC, index, packet)));
			CHECK_EQ(rx.top, index);
			sl_rng_fill(&rng, &r, sizeof(r));
			late = index - 1 - r % 600;
			if (sl_srtp_rx_check(&rx, late) == SL_OK)
				CHECK_OK(
					receive(in, &rx, packet, seal_at(out, SSRC, late, packet)));
			index += 1 + (r >> 10) % 3000;
		}
	}
}

TEST(m13_a_sender_that_wrapped_before_its_first_packet_came_is_found_by_one_more_try)
{
	for (size_t i = 0; i < SL_COUNT(real); i++) {
		struct sl_srtp_key *out, *in;
		struct sl_srtp_rx rx = {0};
		uint8_t packet[128];

		TRY(key_of(real[i], SL_SRTP_AES128_CM_SHA1_80, true, &out));
		TRY(key_of(real[i], SL_SRTP_AES128_CM_SHA1_80, false, &in));
		for (uint64_t index = 65530; index < 65530 + 300; index++) {
			int n = seal_at(out, SSRC, index, packet);

			if (index >= 65540)
				CHECK_OK(receive(in, &rx, packet, n));
		}
		CHECK_EQ(rx.top, 65829);
	}
}

TEST(t09_a_start_near_the_wrap_survives_one_to_twenty_lost_packets)
{
	struct sl_srtp_key *out, *in;
	uint8_t packet[128];

	EACH_PROFILE(p)
	{
		TRY(key_of(SL_SRTP_SOFT, p, true, &out));
		TRY(key_of(SL_SRTP_SOFT, p, false, &in));
		for (uint64_t start = 65500; start < 65536; start += 5)
			for (uint64_t lost = 1; lost <= 20; lost++) {
				struct sl_srtp_rx rx = {0};

				for (uint64_t i = start + lost; i < start + 50; i++)
					CHECK_OK(receive(in, &rx, packet,
							 seal_at(out, SSRC, i, packet)));
			}
	}
}

TEST(t09_a_replayed_capture_brings_no_duplicate)
{
	enum { PACKETS = 1500 };
	static uint8_t capture[PACKETS][128];
	static int lens[PACKETS];
	struct sl_srtp_key *out, *in;
	struct sl_srtp_rx rx = {0};
	uint8_t packet[128];

	TRY(key_of(SL_SRTP_SOFT, SL_SRTP_AES128_CM_SHA1_80, true, &out));
	TRY(key_of(SL_SRTP_SOFT, SL_SRTP_AES128_CM_SHA1_80, false, &in));
	for (int i = 0; i < PACKETS; i++) {
		lens[i] = seal_at(out, SSRC, 65000 + (uint64_t)i, capture[i]);
		CHECK_OK(receive(in, &rx, capture[i], lens[i]));
	}
	for (int round = 0; round < 10; round++)
		for (int i = 0; i < PACKETS; i++)
			CHECK(receive(in, &rx, capture[i], lens[i]) != SL_OK);
	CHECK_OK(receive(in, &rx, packet, seal_at(out, SSRC, 65000 + PACKETS, packet)));
}

TEST(t09_ten_thousand_bad_tags_change_nothing)
{
	struct sl_srtp_key *out, *in;
	struct sl_srtp_rx rx = {0}, before;
	uint8_t packet[128], forged[128];
	struct sl_test_rng state;
	struct sl_rng rng = sl_test_rng(&state, 1);
	int n;

	TRY(key_of(SL_SRTP_SOFT, SL_SRTP_AES128_CM_SHA1_80, true, &out));
	TRY(key_of(SL_SRTP_SOFT, SL_SRTP_AES128_CM_SHA1_80, false, &in));
	for (uint64_t i = 0; i < 10; i++)
		CHECK_OK(receive(in, &rx, packet, seal_at(out, SSRC, i, packet)));
	before = rx;
	n = seal_at(out, SSRC, 10, packet);
	for (int i = 0; i < 10000; i++) {
		memcpy(forged, packet, sizeof(forged));
		sl_rng_fill(&rng, forged + n - 10, 10);
		sl_rng_fill(&rng, forged + 2, 2);
		CHECK(receive(in, &rx, forged, n) != SL_OK);
	}
	CHECK_BYTES(&rx, &before, sizeof(rx));
	CHECK_OK(receive(in, &rx, packet, n));
}

TEST(t16_forged_ssrcs_leave_nothing_and_authentic_ones_are_bounded)
{
	struct sl_srtp_key *out, *in;
	uint8_t packet[128];

	TRY(key_of(SL_SRTP_SOFT, SL_SRTP_AES128_CM_SHA1_80, true, &out));
	TRY(key_of(SL_SRTP_LIBSRTP, SL_SRTP_AES128_CM_SHA1_80, false, &in));
	for (uint32_t ssrc = 0; ssrc < 100; ssrc++) {
		int n = seal_at(out, ssrc, 10, packet);

		packet[30] ^= 1;
		CHECK_EQ(open_at(in, packet, n, 10), SL_EAUTH);
	}
	CHECK_EQ(seam_lib_streams(in), 0);
	for (uint32_t ssrc = 0; ssrc < 100; ssrc++)
		CHECK_OK(open_at(in, packet, seal_at(out, ssrc, 10, packet), 10));
	CHECK(seam_lib_streams(in) <= 64);
	for (uint32_t ssrc = 0; ssrc < 100; ssrc++)
		sl_srtp_key_forget(in, ssrc);
	CHECK_EQ(seam_lib_streams(in), 0);
	for (uint64_t i = 11; i < 14; i++)
		CHECK_OK(open_at(in, packet, seal_at(out, 7, i, packet), i));
}

TEST(t11_a_sender_never_gives_an_index_out_twice)
{
	struct sl_srtp_tx tx = {0};
	struct sl_test_rng state;
	struct sl_rng rng = sl_test_rng(&state, 11);
	uint64_t last = 0, given = 0, index = 0;

	for (int i = 0; i < 1000000; i++) {
		uint16_t r[2];
		uint16_t seq;

		sl_rng_fill(&rng, r, sizeof(r));
		seq = r[0] % 8 ? (uint16_t)(last + 1 + r[1] % 3) : r[1];
		if (sl_srtp_tx_index(&tx, seq, &index) != SL_OK) {
			CHECK((uint16_t)(seq - (uint16_t)last - 1) >= 32768);
			continue;
		}
		CHECK_EQ((uint16_t)index, seq);
		CHECK(given++ == 0 || (index > last && index - last <= 32768));
		last = index;
	}
	CHECK(given > 500000);
}

TEST(t11_a_used_up_key_gives_no_index)
{
	struct sl_srtp_tx tx = {
		.next = (UINT64_C(1) << 48) - 1, .rtcp_next = 0x7fffffff, .started = true};
	uint64_t index = 0;
	uint32_t rtcp = 0;

	CHECK_EQ(sl_srtp_tx_index(&tx, 65535, &index), SL_OK);
	CHECK(index == (UINT64_C(1) << 48) - 1);
	CHECK_EQ(sl_srtp_tx_index(&tx, 0, &index), SL_ERANGE);
	CHECK_EQ(sl_srtp_tx_rtcp_index(&tx, &rtcp), SL_OK);
	CHECK_EQ(rtcp, 0x7fffffff);
	CHECK_EQ(sl_srtp_tx_rtcp_index(&tx, &rtcp), SL_ERANGE);
}

TEST(the_same_packet_again_under_its_index_is_the_same_bytes)
{
	for (size_t i = 0; i < SL_COUNT(real); i++) {
		struct sl_srtp_key *out;
		uint8_t first[300][128], again[128];

		TRY(key_of(real[i], SL_SRTP_AES128_CM_SHA1_80, true, &out));
		for (uint64_t k = 0; k < 300; k++)
			CHECK_EQ(seal_at(out, SSRC, 65400 + k, first[k]), 54);
		for (uint64_t k = 0; k < 300; k += 7) {
			CHECK_EQ(seal_at(out, SSRC, 65400 + k, again), 54);
			CHECK_BYTES(again, first[k], 54);
		}
		CHECK_EQ(seal_at(out, SSRC, 65400 + 300, again), 54);
	}
}

TEST(keys_made_by_several_threads_at_once_all_work)
{
	struct key_args args[4];
	pthread_t threads[4];
	int started = 0;

	errno = ENOMEM;
	for (; started < 4; started++) {
		args[started] = (struct key_args){.impl = SL_SRTP_LIBSRTP,
						  .master = master_of(SL_SRTP_AES128_CM_SHA1_80)};
		if (pthread_create(&threads[started], NULL, make_key, &args[started]) != 0)
			break;
	}
	for (int i = 0; i < started; i++) {
		pthread_join(threads[i], NULL);
		CHECK_EQ(args[i].err, SL_OK);
		sl_srtp_key_free(args[i].key);
	}
	CHECK_OK(started == 4 ? SL_OK : SL_ENOMEM);
}
