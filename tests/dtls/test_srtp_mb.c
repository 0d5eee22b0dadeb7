/* SPDX-License-Identifier: Apache-2.0
 * tests/dtls/test_srtp_mb.c — dtls/srtp_mb.c on random arrays: the bytes are those of libsrtp2
 * called directly and those of srtp_soft.c, nothing is written past a packet (the sanitizers do not
 * see the assembler), nothing forged is deciphered. And dtls/srtp_choice.c on clocks of our own. */
#include "dtls/seam_int.h"
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <srtp2/srtp.h>

enum {
	GUARD = 64,
	HDR_MAX = 256,
	PAYLOAD_MAX = 1400,
	ROOM = HDR_MAX + PAYLOAD_MAX + SL_SRTP_OVERHEAD,
	SLOT = GUARD + ROOM + GUARD + 16,
	PROFILES = SL_SRTP_PROFILE_COUNT - 1,
	MASTERS = 3,
	KEYS = PROFILES * MASTERS,
	POOL = 4096
};

/* ---- keys of one manager, and what stands against them ---- */

#if SL_HAVE_MB

/* In both directions, by srtp_mb.c and by srtp_soft.c. */
struct ring {
	struct sl_srtp_key *mb[2][KEYS], *soft[2][KEYS]; /* [1]: outbound */
};

static struct sl_srtp_choice choice_of(enum sl_srtp_arch small, enum sl_srtp_arch large)
{
	return (struct sl_srtp_choice){.cm = SL_SRTP_MB,
				       .gcm = SL_SRTP_MB,
				       .small = small,
				       .large = large,
				       .aead = large,
				       .large_from = 6};
}

static int manager_of(enum sl_srtp_arch large, struct sl_srtp_mgr **mgr)
{
	struct sl_srtp_choice c = choice_of(SL_ARCH_SSE, large);
	int err = sl_srtp_mgr_new(&c, mgr);

	if (!err)
		DEFER(sl_srtp_mgr_free, *mgr);
	return err;
}

static struct sl_srtp_master master_of(int key)
{
	struct sl_srtp_master m = {.profile = (enum sl_srtp_profile)(1 + key % PROFILES)};

	for (size_t i = 0; i < sizeof(m.key); i++)
		m.key[i] = (uint8_t)(i * 11 + (size_t)key);
	for (size_t i = 0; i < sizeof(m.salt); i++)
		m.salt[i] = (uint8_t)(i * 17 + (size_t)key * 3);
	return m;
}

static int key_of(enum sl_srtp_impl impl, int key, bool outbound, struct sl_srtp_mgr *mgr,
		  struct sl_srtp_key **out)
{
	struct sl_srtp_master m = master_of(key);
	int err = sl_srtp_key_new(impl, &m, outbound, out);

	if (err)
		return err;
	DEFER(sl_srtp_key_free, *out);
	sl_srtp_key_bind(*out, mgr);
	return SL_OK;
}

static int ring_of(struct sl_srtp_mgr *mgr, struct ring *r)
{
	int err = SL_OK;

	for (int k = 0; k < KEYS && !err; k++)
		for (int way = 0; way < 2 && !err; way++) {
			err = key_of(SL_SRTP_MB, k, way, mgr, &r->mb[way][k]);
			if (!err)
				err = key_of(SL_SRTP_SOFT, k, way, NULL, &r->soft[way][k]);
		}
	return err;
}

/* ---- random packets ---- */

struct packet {
	int key;
	bool rtcp;
	uint8_t hdr[HDR_MAX];
	size_t hdr_len, clear, payload_len;
	const uint8_t *payload; /* into the pool, which all share */
	uint64_t index;
};

static uint8_t pool[POOL];
static struct packet packets[SL_SRTP_BATCH_MAX];
static struct sl_srtp_op ops[2][SL_SRTP_BATCH_MAX]; /* by srtp_mb.c, by srtp_soft.c */
static uint8_t sealed[2][SL_SRTP_BATCH_MAX][SLOT], opened[2][SL_SRTP_BATCH_MAX][SLOT];
static size_t shift[SL_SRTP_BATCH_MAX]; /* packets lie at any address */
static struct sl_rng rng;
static struct sl_test_rng rng_state;

static uint32_t upto(uint32_t n)
{
	return sl_rng_u32(&rng) % n;
}

static void write_header(struct packet *p)
{
	struct sl_wr w = sl_wr(p->hdr, sizeof(p->hdr));
	uint8_t csrcs = (uint8_t)(upto(3) ? 0 : upto(16));
	uint32_t ext = upto(2) ? upto(12) : 0;

	if (p->rtcp) {
		sl_wr32(&w, 0x80c80000u);
		sl_wr32(&w, sl_rng_u32(&rng));
	} else {
		sl_wr8(&w, (uint8_t)(0x80 | (ext ? 0x10 : 0) | csrcs));
		sl_wr8(&w, 96);
		sl_wr16(&w, (uint16_t)p->index);
		sl_wr32(&w, sl_rng_u32(&rng));
		sl_wr32(&w, sl_rng_u32(&rng));
		sl_wr_zeros(&w, csrcs * 4u);
	}
	if (!p->rtcp && ext) {
		sl_wr32(&w, 0xbede0000u | ext);
		sl_wr_zeros(&w, ext * 4u);
	}
	p->clear = sl_wr_len(&w);
	/* A quarter has payload bytes of its own: enciphered from hdr on. */
	for (uint32_t own = upto(4) ? 0 : upto(20); own > 0; own--)
		sl_wr8(&w, (uint8_t)own);
	p->hdr_len = sl_wr_len(&w);
}

static size_t some_length(void)
{
	switch (upto(6)) {
	case 0:
		return 0;
	case 1:
		return upto(40);
	default:
		return upto(PAYLOAD_MAX);
	}
}

static void some_packet(struct packet *p, bool mixed)
{
	*p = (struct packet){.key = (int)upto(KEYS), .rtcp = upto(5) == 0};
	if (!mixed)
		p->key -= p->key % PROFILES;
	p->index = upto(3) ? sl_rng_u64(&rng) >> 16 : upto(65536);
	if (p->rtcp)
		p->index &= 0x7fffffff;
	p->payload_len = some_length();
	p->payload = pool + upto(POOL - PAYLOAD_MAX);
	write_header(p);
}

static uint8_t *place(uint8_t slot[SLOT], int i)
{
	memset(slot, 0xa5, SLOT);
	return slot + GUARD + shift[i];
}

static void check_slot(const uint8_t slot[SLOT], int i, size_t used)
{
	for (size_t k = 0; k < GUARD + shift[i]; k++)
		CHECK_EQ(slot[k], 0xa5);
	for (size_t k = GUARD + shift[i] + used; k < SLOT; k++)
		CHECK_EQ(slot[k], 0xa5);
}

/* ---- sealing ---- */

static void seal_both(const struct ring *r, int n)
{
	for (int w = 0; w < 2; w++) {
		for (int i = 0; i < n; i++) {
			const struct packet *p = &packets[i];
			bool wrong_way = p->payload_len % 23 == 1;

			ops[w][i] = (struct sl_srtp_op){
				.key = (w ? r->soft : r->mb)[!wrong_way][p->key],
				.hdr = p->hdr,
				.hdr_len = p->hdr_len,
				.payload = p->payload_len ? p->payload : NULL,
				.payload_len = p->payload_len,
				.index = p->index,
				.rtcp = p->rtcp,
				.out = place(sealed[w][i], i)};
		}
		sl_srtp_seal(ops[w], n);
	}
}

static void compare_sealed(int n)
{
	for (int i = 0; i < n; i++) {
		const struct sl_srtp_op *mb = &ops[0][i], *soft = &ops[1][i];

		CHECK_EQ(mb->err, soft->err);
		CHECK_EQ(mb->out_len, soft->out_len);
		CHECK_BYTES(mb->out, soft->out, mb->out_len);
		check_slot(sealed[0][i], i, mb->out_len);
	}
}

static void some_batch(const struct ring *r, int n)
{
	bool mixed = upto(2);

	for (int i = 0; i < n; i++) {
		some_packet(&packets[i], mixed);
		shift[i] = upto(16);
	}
	seal_both(r, n);
}

/* ---- opening ---- */

/* What is left of a packet that was refused: nothing, zeros, or the bytes that came. */
static void check_undeciphered(const struct sl_srtp_op *op, size_t clear, size_t end)
{
	for (size_t k = clear; k < end; k++)
		CHECK(op->out[k] == op->hdr[k] || op->out[k] == 0 || op->out[k] == 0xa5);
}

static void forge(uint8_t *packet, size_t len)
{
	packet[upto((uint32_t)len)] ^= (uint8_t)(1u << upto(8));
}

/* Gives the sealed packets to the receivers, a fifth of them forged, and some under another ROC. */
static void open_both(const struct ring *r, int n)
{
	static size_t lens[SL_SRTP_BATCH_MAX];

	for (int i = 0; i < n; i++) {
		lens[i] = ops[0][i].out_len;
		if (lens[i] > 0 && upto(5) == 0)
			forge(ops[0][i].out, lens[i]);
	}
	for (int w = 0; w < 2; w++) {
		for (int i = 0; i < n; i++) {
			const struct packet *p = &packets[i];

			ops[w][i] = (struct sl_srtp_op){
				.key = (w ? r->soft : r->mb)[0][p->key],
				.hdr = sealed[0][i] + GUARD + shift[i],
				.hdr_len = lens[i],
				.index = p->index ^ (p->payload_len % 7 || p->rtcp ? 0 : 0x10000),
				.rtcp = p->rtcp,
				.out = place(opened[w][i], i)};
		}
		sl_srtp_open(ops[w], n);
	}
}

static void compare_opened(int n)
{
	for (int i = 0; i < n; i++) {
		const struct sl_srtp_op *mb = &ops[0][i], *soft = &ops[1][i];
		const struct packet *p = &packets[i];

		CHECK_EQ(mb->err, soft->err);
		CHECK_EQ(mb->out_len, soft->out_len);
		check_slot(opened[0][i], i, mb->hdr_len);
		if (mb->err == SL_EAUTH) {
			check_undeciphered(mb, p->clear, p->hdr_len + p->payload_len);
		} else if (mb->err == SL_OK) {
			CHECK_EQ(mb->out_len, p->hdr_len + p->payload_len);
			CHECK_BYTES(mb->out, p->hdr, p->hdr_len);
			CHECK_BYTES(mb->out + p->hdr_len, p->payload, p->payload_len);
		}
	}
}

static void random_batches(enum sl_srtp_arch large, int batches)
{
	static struct ring ring;
	static uint8_t before[POOL], came[SL_SRTP_BATCH_MAX][SLOT];
	struct sl_srtp_mgr *mgr;

	TRY(manager_of(large, &mgr));
	TRY(ring_of(mgr, &ring));
	rng = sl_test_rng(&rng_state, 1000 + large);
	sl_rng_fill(&rng, pool, sizeof(pool));
	memcpy(before, pool, sizeof(pool));
	for (int b = 0; b < batches; b++) {
		int n = b < SL_SRTP_BATCH_MAX ? b + 1 : 1 + (int)upto(SL_SRTP_BATCH_MAX);

		some_batch(&ring, n);
		compare_sealed(n);
		open_both(&ring, n);
		memcpy(came, sealed[0], sizeof(came));
		sl_srtp_open(ops[0], n);
		compare_opened(n);
		CHECK_BYTES(came, sealed[0], sizeof(came));
	}
	CHECK_BYTES(before, pool, sizeof(pool));
}

TEST(arrays_of_any_size_and_mixture_are_sealed_and_opened_as_one_by_one)
{
	for (enum sl_srtp_arch a = SL_ARCH_SSE; a < SL_ARCH_COUNT; a++)
		if (seam_mb_can(a))
			random_batches(a, 160);
}

/* ---- libsrtp2 called directly ---- */

struct oracle {
	const struct packet *p;
	const struct sl_srtp_op *op;
	int n, failed;
};

static void set_policy(srtp_policy_t *policy, const struct sl_srtp_master *m, uint8_t secret[46])
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
	policy->rtcp.auth_tag_len = (int)sl_srtp_tag_len(m->profile, true);
	memcpy(secret, m->key, sl_srtp_key_len(m->profile));
	memcpy(secret + sl_srtp_key_len(m->profile), m->salt, sl_srtp_salt_len(m->profile));
	policy->key = secret;
	policy->ssrc.type = ssrc_specific;
	policy->window_size = 1024;
}

/* Its SRTCP index counts from 1, and cannot be set. */
static int oracle_seal(srtp_t session, const struct packet *p, uint32_t ssrc, uint8_t *buf)
{
	uint64_t times = p->rtcp ? p->index : 1;
	int len = 0;

	if (!p->rtcp && p->index >> 16)
		srtp_set_stream_roc(session, ssrc, (uint32_t)(p->index >> 16));
	for (uint64_t i = 0; i < times; i++) {
		len = (int)(p->hdr_len + p->payload_len);
		memcpy(buf, p->hdr, p->hdr_len);
		memcpy(buf + p->hdr_len, p->payload, p->payload_len);
		if ((p->rtcp ? srtp_protect_rtcp : srtp_protect)(session, buf, &len))
			return -1;
	}
	return len;
}

static bool oracle_agrees(const struct packet *p, const struct sl_srtp_op *op)
{
	uint8_t secret[46], buf[ROOM + 64] __attribute__((aligned(8)));
	struct sl_srtp_master m = master_of(p->key);
	uint32_t ssrc = sl_get32(p->hdr + (p->rtcp ? 4 : 8));
	srtp_policy_t policy;
	srtp_t session;
	int len;

	set_policy(&policy, &m, secret);
	policy.ssrc.value = ssrc;
	if (srtp_create(&session, &policy))
		return false;
	len = oracle_seal(session, p, ssrc, buf);
	srtp_dealloc(session);
	return len == (int)op->out_len && memcmp(buf, op->out, op->out_len) == 0;
}

static void *oracle_run(void *arg)
{
	struct oracle *o = arg;

	struct sl_srtp_master m = master_of(0);
	struct sl_srtp_key *key;

	/* The library is set up once in a process: as srtp_libsrtp.c does it. */
	o->failed += sl_srtp_key_new(SL_SRTP_LIBSRTP, &m, true, &key) != SL_OK;
	if (o->failed)
		return NULL;
	sl_srtp_key_free(key);
	for (int i = 0; i < o->n; i++)
		o->failed += !oracle_agrees(&o->p[i], &o->op[i]);
	return NULL;
}

/* libsrtp2 2.5.0 does not live through failing allocations, which are a matter of the thread that
 * runs the test. */
static int ask_oracle(struct oracle *o)
{
	pthread_t thread;

	errno = ENOMEM;
	if (pthread_create(&thread, NULL, oracle_run, o) != 0)
		return SL_ENOMEM;
	pthread_join(thread, NULL);
	return SL_OK;
}

static void seal_for_oracle(const struct ring *r, int n)
{
	for (int i = 0; i < n; i++) {
		struct packet *p = &packets[i];

		some_packet(p, true);
		shift[i] = upto(16);
		if (p->rtcp)
			p->index = 1 + upto(5);
		ops[0][i] = (struct sl_srtp_op){.key = r->mb[1][p->key],
						.hdr = p->hdr,
						.hdr_len = p->hdr_len,
						.payload = p->payload,
						.payload_len = p->payload_len,
						.index = p->index,
						.rtcp = p->rtcp,
						.out = place(sealed[0][i], i)};
	}
	CHECK_EQ(sl_srtp_seal(ops[0], n), n);
}

static void random_against_oracle(enum sl_srtp_arch large)
{
	static const int sizes[] = {1, 2, 5, 6, 7, 31, 128};
	static struct ring ring;
	struct sl_srtp_mgr *mgr;

	TRY(manager_of(large, &mgr));
	TRY(ring_of(mgr, &ring));
	rng = sl_test_rng(&rng_state, 2000 + large);
	sl_rng_fill(&rng, pool, sizeof(pool));
	for (size_t i = 0; i < SL_COUNT(sizes); i++) {
		struct oracle o = {.p = packets, .op = ops[0], .n = sizes[i]};

		seal_for_oracle(&ring, sizes[i]);
		TRY(ask_oracle(&o));
		CHECK_EQ(o.failed, 0);
	}
}

TEST(random_arrays_are_byte_for_byte_those_of_libsrtp_called_directly)
{
	for (enum sl_srtp_arch a = SL_ARCH_SSE; a < SL_ARCH_COUNT; a++)
		if (seam_mb_can(a))
			random_against_oracle(a);
}

/* ---- corners ---- */

TEST(an_array_of_empty_payloads_is_sealed_like_any_other)
{
	static struct ring ring;
	struct sl_srtp_mgr *mgr;

	TRY(manager_of(SL_ARCH_SSE, &mgr));
	TRY(ring_of(mgr, &ring));
	rng = sl_test_rng(&rng_state, 3);
	for (int n = 1; n <= 12; n++) {
		for (int i = 0; i < n; i++) {
			some_packet(&packets[i], true);
			packets[i].hdr_len = packets[i].clear;
			packets[i].payload_len = 0;
		}
		seal_both(&ring, n);
		compare_sealed(n);
		open_both(&ring, n);
		compare_opened(n);
	}
}

TEST(the_largest_packets_are_sealed_and_opened)
{
	enum { MOST = SEAM_PACKET_MAX - 2 * SL_SRTP_OVERHEAD - SEAM_RTP_HDR_LEN };
	static uint8_t payload[MOST], out[2][SEAM_PACKET_MAX], back[SEAM_PACKET_MAX];
	static const uint8_t hdr[SEAM_RTP_HDR_LEN] = {0x80};
	static struct ring ring;
	struct sl_srtp_mgr *mgr;

	TRY(manager_of(SL_ARCH_SSE, &mgr));
	TRY(ring_of(mgr, &ring));
	memset(payload, 0x33, sizeof(payload));
	for (int k = 0; k < PROFILES; k++) {
		struct sl_srtp_op op = {.hdr = hdr,
					.hdr_len = sizeof(hdr),
					.payload = payload,
					.payload_len = MOST};

		for (int w = 0; w < 2; w++) {
			op.key = (w ? ring.soft : ring.mb)[1][k];
			op.out = out[w];
			CHECK_EQ(sl_srtp_seal(&op, 1), 1);
		}
		CHECK_BYTES(out[0], out[1], op.out_len);
		op = (struct sl_srtp_op){
			.key = ring.mb[0][k], .hdr = out[0], .hdr_len = op.out_len, .out = back};
		CHECK_EQ(sl_srtp_open(&op, 1), 1);
		CHECK_BYTES(back + sizeof(hdr), payload, sizeof(payload));
	}
}

TEST(the_one_forged_packet_in_the_middle_is_the_one_that_fails)
{
	enum { N = 16 };
	static struct ring ring;
	struct sl_srtp_mgr *mgr;

	TRY(manager_of(SL_ARCH_SSE, &mgr));
	TRY(ring_of(mgr, &ring));
	for (int forged = 0; forged < N; forged++) {
		rng = sl_test_rng(&rng_state, 4);
		for (int i = 0; i < N; i++) {
			some_packet(&packets[i], true);
			packets[i].payload_len = 100;
		}
		seal_both(&ring, N);
		for (int i = 0; i < N; i++)
			ops[0][i] = (struct sl_srtp_op){.key = ring.mb[0][packets[i].key],
							.hdr = ops[0][i].out,
							.hdr_len = ops[0][i].out_len,
							.index = packets[i].index,
							.rtcp = packets[i].rtcp,
							.out = place(opened[0][i], i)};
		sealed[0][forged][GUARD + shift[forged] + packets[forged].clear] ^= 1;
		CHECK_EQ(sl_srtp_open(ops[0], N), N - 1);
		for (int i = 0; i < N; i++)
			CHECK_EQ(ops[0][i].err, i == forged ? SL_EAUTH : SL_OK);
	}
}

TEST(a_packet_under_the_wrong_roc_is_left_enciphered_and_opens_under_the_right_one)
{
	static struct ring ring;
	struct sl_srtp_mgr *mgr;

	TRY(manager_of(SL_ARCH_SSE, &mgr));
	TRY(ring_of(mgr, &ring));
	rng = sl_test_rng(&rng_state, 5);
	for (int k = 0; k < PROFILES; k++) {
		struct sl_srtp_op op;

		do
			some_packet(&packets[0], false);
		while (packets[0].rtcp || packets[0].payload_len < 64 ||
		       packets[0].payload_len % 23 == 1);
		packets[0].key = k;
		seal_both(&ring, 1);
		op = (struct sl_srtp_op){.key = ring.mb[0][k],
					 .hdr = ops[0][0].out,
					 .hdr_len = ops[0][0].out_len,
					 .index = packets[0].index ^ 0x10000,
					 .out = place(opened[0][0], 0)};
		CHECK_EQ(sl_srtp_open(&op, 1), 0);
		CHECK_EQ(op.err, SL_EAUTH);
		check_undeciphered(&op, packets[0].clear,
				   packets[0].hdr_len + packets[0].payload_len);
		op.index ^= 0x10000;
		CHECK_EQ(sl_srtp_open(&op, 1), 1);
		CHECK_BYTES(op.out + packets[0].hdr_len, packets[0].payload,
			    packets[0].payload_len);
	}
}

TEST(a_key_without_a_manager_neither_seals_nor_opens)
{
	static struct ring ring;
	struct sl_srtp_mgr *mgr;

	TRY(ring_of(NULL, &ring));
	rng = sl_test_rng(&rng_state, 6);
	for (int i = 0; i < 40; i++)
		some_packet(&packets[i], true);
	seal_both(&ring, 40);
	for (int i = 0; i < 40; i++) {
		CHECK_EQ(ops[0][i].err, SL_ESTATE);
		CHECK_EQ(ops[0][i].out_len, 0);
		check_slot(sealed[0][i], i, 0);
	}
	TRY(manager_of(SL_ARCH_SSE, &mgr));
	for (int k = 0; k < KEYS; k++)
		sl_srtp_key_bind(ring.mb[1][k], mgr);
	seal_both(&ring, 40);
	compare_sealed(40);
}

TEST(keys_of_two_managers_may_stand_in_one_array_and_a_key_may_change_over)
{
	static struct ring ring;
	struct sl_srtp_mgr *mgr[2];
	enum sl_srtp_arch other = seam_mb_can(SL_ARCH_AVX2) ? SL_ARCH_AVX2 : SL_ARCH_SSE;

	TRY(manager_of(SL_ARCH_SSE, &mgr[0]));
	TRY(manager_of(other, &mgr[1]));
	TRY(ring_of(mgr[0], &ring));
	rng = sl_test_rng(&rng_state, 7);
	for (int round = 0; round < 8; round++) {
		for (int k = 0; k < KEYS; k++)
			sl_srtp_key_bind(ring.mb[1][k], mgr[upto(2)]);
		some_batch(&ring, 64);
		compare_sealed(64);
	}
}

TEST(a_bound_key_is_two_blocks_without_the_contexts_of_another_transform)
{
	struct sl_mem_stat before = sl_mem_stat();
	struct sl_srtp_mgr *mgr;
	struct sl_srtp_key *key;

	TRY(manager_of(SL_ARCH_SSE, &mgr));
	TRY(key_of(SL_SRTP_MB, 0, true, mgr, &key));
	CHECK_EQ(sl_mem_stat().live - before.live, 2 + 2); /* two are the manager's */
	CHECK(!key->soft && !key->lib);
	CHECK(sizeof(*key) <= 256);
}

/* ---- the choice ---- */

static int64_t time_ns, step_ns, step_growth;

static int64_t fake_clock(void)
{
	time_ns += step_ns;
	step_ns += step_growth;
	return time_ns;
}

static int choose(const char *want, int64_t step, int64_t growth, struct sl_srtp_choice *c)
{
	time_ns = 0;
	step_ns = step;
	step_growth = growth;
	return sl_srtp_choose(sl_str_z(want), fake_clock, c);
}

static enum sl_srtp_arch last_arch(void)
{
	enum sl_srtp_arch last = SL_ARCH_NONE;

	for (enum sl_srtp_arch a = SL_ARCH_SSE; a < SL_ARCH_COUNT; a++)
		if (seam_mb_can(a))
			last = a;
	return last;
}

TEST(the_transform_that_the_clock_finds_faster_is_chosen)
{
	struct sl_srtp_choice c = {.cm = SL_SRTP_NULL};

	/* What is measured later is slower: the last is the one without ipsec-mb. */
	TRY(choose("auto", 1000, 1000, &c));
	CHECK_EQ(c.cm, SL_SRTP_MB);
	CHECK_EQ(c.gcm, SL_SRTP_MB);
	CHECK_EQ(c.small, SL_ARCH_SSE);
	CHECK(c.cm_ns[SL_ARCH_NONE][0] > c.cm_ns[SL_ARCH_SSE][0]);
	/* Later is faster. */
	TRY(choose("auto", 100000000, -10000, &c));
	CHECK_EQ(c.cm, SL_SRTP_SOFT);
	CHECK_EQ(c.gcm, SL_SRTP_SOFT);
	TRY(choose("mb", 100000000, -10000, &c));
	CHECK_EQ(c.cm, SL_SRTP_MB);
	CHECK_EQ(c.small, last_arch());
	CHECK_EQ(c.large, c.small);
	/* As fast: then the one that needs no manager. */
	TRY(choose("auto", 100000, 0, &c));
	CHECK_EQ(c.cm, SL_SRTP_SOFT);
}

#else

TEST(where_there_is_no_ipsec_mb_it_is_refused_by_name_and_not_chosen)
{
	struct sl_srtp_choice c = {.cm = SL_SRTP_MB, .gcm = SL_SRTP_MB};
	struct sl_srtp_master m = {.profile = SL_SRTP_AES128_CM_SHA1_80};
	struct sl_srtp_key *key = NULL;
	struct sl_srtp_mgr *mgr = NULL;

	CHECK_EQ(sl_srtp_mgr_new(&c, &mgr), SL_EUNSUPPORTED);
	CHECK_EQ(sl_srtp_choose(SL_STR("mb"), NULL, &c), SL_EUNSUPPORTED);
	CHECK_EQ(sl_srtp_choose(SL_STR("auto"), NULL, &c), SL_OK);
	CHECK_EQ(c.cm, SL_SRTP_SOFT);
	CHECK_EQ(c.gcm, SL_SRTP_SOFT);
	if (sl_srtp_key_new(SL_SRTP_MB, &m, true, &key) != SL_ENOMEM)
		CHECK_EQ(sl_srtp_key_new(SL_SRTP_MB, &m, true, &key), SL_EUNSUPPORTED);
	CHECK(!key && !mgr);
}

#endif

TEST(transforms_are_chosen_by_name_and_an_unknown_name_is_refused)
{
	struct sl_srtp_choice c = {.cm = SL_SRTP_NULL};

	CHECK_EQ(sl_srtp_choose(SL_STR("fast"), NULL, &c), SL_EPARSE);
	CHECK_EQ(sl_srtp_choose(SL_STR(""), NULL, &c), SL_EPARSE);
	CHECK_EQ(c.cm, SL_SRTP_NULL);
	CHECK_EQ(sl_srtp_choose(SL_STR("libsrtp"), NULL, &c), SL_OK);
	CHECK_EQ(c.cm, SL_SRTP_LIBSRTP);
	CHECK_EQ(c.gcm, SL_SRTP_LIBSRTP);
	CHECK_EQ(sl_srtp_choose(SL_STR("soft"), NULL, &c), SL_OK);
	CHECK_EQ(c.cm, SL_SRTP_SOFT);
	CHECK_STR(sl_srtp_impl_name(c.cm), "soft");
	CHECK_STR(sl_srtp_impl_name(SL_SRTP_MB), "mb");
	CHECK_STR(sl_srtp_arch_name(SL_ARCH_AVX512), "avx512");
}

static void back_to_soft(void *unused)
{
	(void)unused;
	sl_srtp_use(&(struct sl_srtp_choice){.cm = SL_SRTP_SOFT, .gcm = SL_SRTP_SOFT});
}

TEST(the_choice_in_use_says_which_transform_a_profile_gets)
{
	struct sl_srtp_mgr *mgr;

	DEFER(back_to_soft, NULL);
	CHECK_EQ(sl_srtp_best(SL_SRTP_AEAD_AES256_GCM), SL_SRTP_SOFT);
	TRY(sl_srtp_mgr_new(NULL, &mgr));
	CHECK(mgr == NULL); /* it needs none */
	sl_srtp_use(&(struct sl_srtp_choice){.cm = SL_SRTP_MB, .gcm = SL_SRTP_LIBSRTP});
	CHECK_EQ(sl_srtp_best(SL_SRTP_AES256_CM_SHA1_32), SL_SRTP_MB);
	CHECK_EQ(sl_srtp_best(SL_SRTP_AEAD_AES128_GCM), SL_SRTP_LIBSRTP);
}

/* The figures of two kinds of machine: nanoseconds in batches of 1, 2, 4, 6, 8, 16, 32. */
TEST(a_second_instruction_set_takes_over_from_where_it_wins)
{
	struct sl_srtp_choice wide = {
		.cm_ns = {[SL_ARCH_SSE] = {720, 560, 480, 470, 460, 450, 450},
			  [SL_ARCH_AVX2] = {2000, 1100, 700, 520, 430, 400, 400},
			  [SL_ARCH_AVX512] = {1730, 1000, 560, 440, 360, 220, 200}},
		.gcm_ns = {[SL_ARCH_SSE] = 300, [SL_ARCH_AVX2] = 200, [SL_ARCH_AVX512] = 90}};
	struct sl_srtp_choice narrow = {
		.cm_ns = {[SL_ARCH_SSE] = {910, 600, 570, 560, 560, 560, 560},
			  [SL_ARCH_AVX2] = {3100, 1600, 930, 700, 560, 550, 548}},
		.gcm_ns = {[SL_ARCH_SSE] = 350, [SL_ARCH_AVX2] = 320}};
	struct sl_srtp_choice none = {.cm_ns = {{3300, 3300}}};

	CHECK(seam_choose_archs(&wide));
	CHECK_EQ(wide.small, SL_ARCH_SSE);
	CHECK_EQ(wide.large, SL_ARCH_AVX512);
	CHECK_EQ(wide.large_from, 6);
	CHECK_EQ(wide.aead, SL_ARCH_AVX512);
	/* A fiftieth is not worth a second manager. */
	CHECK(seam_choose_archs(&narrow));
	CHECK_EQ(narrow.small, SL_ARCH_SSE);
	CHECK_EQ(narrow.large, SL_ARCH_SSE);
	CHECK_EQ(narrow.aead, SL_ARCH_SSE);
	CHECK(narrow.large_from > SL_SRTP_BATCH_MAX);
	CHECK(!seam_choose_archs(&none));
}
