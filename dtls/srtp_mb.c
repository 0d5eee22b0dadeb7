/* SPDX-License-Identifier: Apache-2.0
 * dtls/srtp_mb.c — the transforms over intel-ipsec-mb, whose assembler works at several packets at
 * once. An array goes through in steps: every packet is laid out where it will leave from, with the
 * word that its tag covers standing where the tag will stand; one burst ciphers, one burst for each
 * key length; one burst hashes. Opening hashes first, so what is not authentic is never deciphered.
 * AES-GCM has no burst: its packets go one by one.
 * A manager keeps the state of a burst and belongs to one thread. What the assembler writes no
 * sanitizer sees: lengths are checked in srtp.c, and it is never given a job of no bytes, with
 * which it would leave the whole burst undone. */
#include "dtls/seam_int.h"

#if SL_HAVE_MB
#include <intel-ipsec-mb.h>

enum { SMALL, LARGE, ALIGN = 64, TAG_LEN = 12, ROUND_KEYS_MAX = 15 };

/* What a half of an AES-CM key is for the assembler; of an AEAD key it is a gcm_key_data. */
struct cm {
	uint8_t round_keys[ROUND_KEYS_MAX * 16];
	uint8_t inner[32], outer[32]; /* HMAC with its key already in: 20 bytes of each */
};

struct lane {
	uint8_t iv[16];
	uint8_t tag[32]; /* 12 are written */
};

struct sl_srtp_mgr {
	/* owned */
	void *block[2]; /* by SMALL, LARGE: where mb lies in */
	/* borrowed into block; mb[LARGE] and aead may be the same as mb[SMALL] */
	IMB_MGR *mb[2], *aead;
	/* state */
	int large_from;
	struct gcm_context_data *gcm;
	struct lane lanes[SL_SRTP_BATCH_MAX];
	IMB_JOB jobs[SL_SRTP_BATCH_MAX];
	uint8_t gcm_room[sizeof(struct gcm_context_data) + ALIGN];
};

/* clang-format off */
static const struct arch {
	uint64_t needs;
	void (*init)(IMB_MGR *mb);
} archs[SL_ARCH_COUNT] = {
	[SL_ARCH_SSE]    = {IMB_CPUFLAGS_SSE,    init_mb_mgr_sse},
	[SL_ARCH_AVX]    = {IMB_CPUFLAGS_AVX,    init_mb_mgr_avx},
	[SL_ARCH_AVX2]   = {IMB_CPUFLAGS_AVX2,   init_mb_mgr_avx2},
	[SL_ARCH_AVX512] = {IMB_CPUFLAGS_AVX512, init_mb_mgr_avx512},
};
/* clang-format on */

bool seam_mb_can(enum sl_srtp_arch arch)
{
	uint64_t needs = archs[arch].needs;

	return needs && (imb_get_feature_flags() & needs) == needs;
}

static void *align(void *block)
{
	return (void *)(((uintptr_t)block + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
}

/* ---- managers ---- */

/* An own block instead of alloc_mb_mgr(): so it is counted. The library tests itself when it is
 * initialised. */
static int start_mb(enum sl_srtp_arch arch, void **block, IMB_MGR **out)
{
	uint64_t tested = IMB_FEATURE_SELF_TEST | IMB_FEATURE_SELF_TEST_PASS;

	if (!seam_mb_can(arch))
		return SL_EUNSUPPORTED;
	*block = sl_zalloc(imb_get_mb_mgr_size() + ALIGN);
	if (!*block)
		return SL_ENOMEM;
	*out = imb_set_pointers_mb_mgr(align(*block), 0, 1);
	archs[arch].init(*out);
	if (imb_get_errno(*out) != 0 || ((*out)->features & tested) == IMB_FEATURE_SELF_TEST)
		return SL_EUNSUPPORTED;
	return SL_OK;
}

static void fill_constants(struct sl_srtp_mgr *m)
{
	for (size_t i = 0; i < SL_COUNT(m->jobs); i++) {
		IMB_JOB *j = &m->jobs[i];

		j->cipher_mode = IMB_CIPHER_CNTR;
		j->cipher_direction = IMB_DIR_ENCRYPT;
		j->chain_order = IMB_ORDER_CIPHER_HASH;
		j->hash_alg = IMB_AUTH_HMAC_SHA_1;
		j->iv = m->lanes[i].iv;
		j->iv_len_in_bytes = sizeof(m->lanes[i].iv);
		j->auth_tag_output = m->lanes[i].tag;
		j->auth_tag_output_len_in_bytes = TAG_LEN;
	}
}

static int mgr_init(struct sl_srtp_mgr *m, const struct sl_srtp_choice *c)
{
	int err = start_mb(c->small, &m->block[SMALL], &m->mb[SMALL]);

	m->mb[LARGE] = m->mb[SMALL];
	if (!err && c->large != c->small)
		err = start_mb(c->large, &m->block[LARGE], &m->mb[LARGE]);
	m->aead = c->aead == c->large ? m->mb[LARGE] : m->mb[SMALL];
	m->large_from = c->large_from;
	m->gcm = align(m->gcm_room);
	fill_constants(m);
	return err;
}

int sl_srtp_mgr_new(const struct sl_srtp_choice *c, struct sl_srtp_mgr **out)
{
	struct sl_srtp_mgr *m;
	int err;

	*out = NULL;
	if (!c)
		c = sl_srtp_in_use();
	if (c->cm != SL_SRTP_MB && c->gcm != SL_SRTP_MB)
		return SL_OK;
	m = sl_zalloc(sizeof(*m));
	if (!m)
		return SL_ENOMEM;
	err = mgr_init(m, c);
	if (err)
		sl_srtp_mgr_free(m);
	else
		*out = m;
	return err;
}

void sl_srtp_mgr_free(struct sl_srtp_mgr *m)
{
	if (!m)
		return;
	for (int i = 0; i < 2; i++) {
		if (m->block[i])
			sl_wipe(m->block[i], imb_get_mb_mgr_size() + ALIGN);
		sl_free(m->block[i]);
	}
	sl_wipe(m, sizeof(*m));
	sl_free(m);
}

/* ---- keys ---- */

static size_t half_size(const struct sl_srtp_key *key)
{
	return key->profile->aead ? sizeof(struct gcm_key_data) : sizeof(struct cm);
}

/* Only room: the expansion of a GCM key is another for each instruction set, so it is the
 * manager's. */
static int mb_init(struct sl_srtp_key *key, const struct sl_srtp_master *master)
{
	size_t size = (half_size(key) + ALIGN - 1) & ~(size_t)(ALIGN - 1);

	(void)master;
	key->mb_block = sl_zalloc(2 * size + ALIGN);
	if (!key->mb_block)
		return SL_ENOMEM;
	key->mb[SEAM_RTP] = align(key->mb_block);
	key->mb[SEAM_RTCP] = (uint8_t *)key->mb[SEAM_RTP] + size;
	return SL_OK;
}

static void mb_fini(struct sl_srtp_key *key)
{
	if (!key->mb_block)
		return;
	sl_wipe(key->mb[SEAM_RTP], half_size(key));
	sl_wipe(key->mb[SEAM_RTCP], half_size(key));
	sl_free(key->mb_block);
	key->mb_block = NULL;
}

static void hmac_half(IMB_MGR *mb, const uint8_t key[SEAM_AUTH_KEY_LEN], uint8_t pad, uint8_t *out)
{
	uint8_t block[64];

	memset(block, pad, sizeof(block));
	for (size_t i = 0; i < SEAM_AUTH_KEY_LEN; i++)
		block[i] ^= key[i];
	IMB_SHA1_ONE_BLOCK(mb, block, out);
	sl_wipe(block, sizeof(block));
}

static void expand_cm(IMB_MGR *mb, const struct seam_half *h, size_t key_len, struct cm *cm)
{
	_Alignas(16) uint8_t unused[ROUND_KEYS_MAX * 16]; /* of deciphering */

	if (key_len == 16)
		IMB_AES_KEYEXP_128(mb, h->cipher_key, cm->round_keys, unused);
	else
		IMB_AES_KEYEXP_256(mb, h->cipher_key, cm->round_keys, unused);
	hmac_half(mb, h->auth_key, 0x36, cm->inner);
	hmac_half(mb, h->auth_key, 0x5c, cm->outer);
	sl_wipe(unused, sizeof(unused));
}

void seam_mb_expand(struct sl_srtp_key *key)
{
	const struct seam_profile *p = key->profile;

	for (int i = 0; i < 2; i++) {
		const struct seam_half *h = &key->half[i];

		if (!p->aead)
			expand_cm(key->mgr->mb[SMALL], h, p->key_len, key->mb[i]);
		else if (p->key_len == 16)
			IMB_AES128_GCM_PRE(key->mgr->aead, h->cipher_key, key->mb[i]);
		else
			IMB_AES256_GCM_PRE(key->mgr->aead, h->cipher_key, key->mb[i]);
	}
}

static const void *expanded(const struct sl_srtp_op *op)
{
	return op->key->mb[op->rtcp ? SEAM_RTCP : SEAM_RTP];
}

/* ---- AES-CM and HMAC-SHA1 ---- */

static bool is_cm(const struct sl_srtp_op *op)
{
	return op->err == SL_OK && !op->key->profile->aead;
}

/* A payload that is enciphered from its first byte on is read where it lies; else all that is
 * enciphered has been put together in out. */
static const uint8_t *plain(const struct sl_srtp_op *op, size_t clear)
{
	return op->key->outbound && op->hdr_len == clear ? op->payload : op->out + clear;
}

static void lay_out(struct sl_srtp_op *op)
{
	memcpy(op->out, op->hdr, op->hdr_len);
	if (op->payload_len > 0 && op->hdr_len > seam_clear_len(op))
		memcpy(op->out + op->hdr_len, op->payload, op->payload_len);
	op->out_len = op->hdr_len + op->payload_len;
}

/* Ciphers out_len bytes of each packet but what stays readable. */
static void cipher(struct sl_srtp_mgr *m, IMB_MGR *mb, const struct sl_srtp_op *ops, int n,
		   size_t key_len)
{
	uint32_t jobs = 0;

	for (int i = 0; i < n; i++) {
		const struct sl_srtp_op *op = &ops[i];
		const struct cm *cm = expanded(op);
		IMB_JOB *j = &m->jobs[jobs];
		size_t clear;

		if (!is_cm(op) || op->key->profile->key_len != key_len)
			continue;
		clear = seam_clear_len(op);
		if (op->out_len == clear)
			continue;
		seam_cm_iv(seam_half(op)->salt, seam_ssrc(op), op->index, m->lanes[jobs++].iv);
		j->enc_keys = j->dec_keys = cm->round_keys;
		j->key_len_in_bytes = key_len;
		j->src = plain(op, clear);
		j->dst = op->out + clear;
		j->msg_len_to_cipher_in_bytes = op->out_len - clear;
	}
	if (jobs > 0)
		SL_ASSERT(IMB_SUBMIT_CIPHER_BURST_NOCHECK(mb, m->jobs, jobs, IMB_CIPHER_CNTR,
							  IMB_DIR_ENCRYPT, key_len) == jobs);
}

/* The tag of each packet and of the word behind it, into the lanes in order. */
static void hash(struct sl_srtp_mgr *m, IMB_MGR *mb, const struct sl_srtp_op *ops, int n)
{
	uint32_t jobs = 0;

	for (int i = 0; i < n; i++) {
		const struct sl_srtp_op *op = &ops[i];
		const struct cm *cm = expanded(op);
		IMB_JOB *j = &m->jobs[jobs];

		if (!is_cm(op))
			continue;
		j->src = op->out;
		j->msg_len_to_hash_in_bytes = op->out_len + 4;
		j->u.HMAC._hashed_auth_key_xor_ipad = cm->inner;
		j->u.HMAC._hashed_auth_key_xor_opad = cm->outer;
		jobs++;
	}
	SL_ASSERT(IMB_SUBMIT_HASH_BURST_NOCHECK(mb, m->jobs, jobs, IMB_AUTH_HMAC_SHA_1) == jobs);
}

static int count_cm(const struct sl_srtp_op *ops, int n)
{
	int count = 0;

	for (int i = 0; i < n; i++)
		count += is_cm(&ops[i]);
	return count;
}

static void seal_cm(struct sl_srtp_mgr *m, struct sl_srtp_op *ops, int n, int count)
{
	IMB_MGR *mb = m->mb[count >= m->large_from ? LARGE : SMALL];
	const struct lane *lane = m->lanes;

	for (int i = 0; i < n; i++) {
		if (!is_cm(&ops[i]))
			continue;
		lay_out(&ops[i]);
		seam_tail(&ops[i], ops[i].out + ops[i].out_len);
	}
	cipher(m, mb, ops, n, 16);
	cipher(m, mb, ops, n, 32);
	hash(m, mb, ops, n);
	for (int i = 0; i < n; i++) {
		struct sl_srtp_op *op = &ops[i];

		if (!is_cm(op))
			continue;
		op->out_len += op->rtcp ? SEAM_RTCP_INDEX_LEN : 0u;
		memcpy(op->out + op->out_len, lane->tag, seam_half(op)->tag_len);
		op->out_len += seam_half(op)->tag_len;
		lane++;
	}
}

/* The word that the tag covers goes where the tag begins: for that, and because the packet that
 * came must stay as it is, its ciphertext is copied first. */
static void open_cm(struct sl_srtp_mgr *m, struct sl_srtp_op *ops, int n, int count)
{
	IMB_MGR *mb = m->mb[count >= m->large_from ? LARGE : SMALL];
	const struct lane *lane = m->lanes;

	for (int i = 0; i < n; i++) {
		struct sl_srtp_op *op = &ops[i];

		if (!is_cm(op))
			continue;
		op->out_len = op->hdr_len - seam_half(op)->tag_len -
			      (op->rtcp ? SEAM_RTCP_INDEX_LEN : 0u);
		memcpy(op->out, op->hdr, op->out_len);
		seam_tail(op, op->out + op->out_len);
	}
	hash(m, mb, ops, n);
	for (int i = 0; i < n; i++) {
		struct sl_srtp_op *op = &ops[i];
		size_t tag_len = seam_half(op)->tag_len;

		if (!is_cm(op))
			continue;
		if (!sl_const_eq(lane++->tag, op->hdr + op->hdr_len - tag_len, tag_len)) {
			op->err = SL_EAUTH;
			op->out_len = 0;
		}
	}
	cipher(m, mb, ops, n, 16);
	cipher(m, mb, ops, n, 32);
}

/* ---- AES-GCM ---- */

static void gcm_crypt(struct sl_srtp_mgr *m, const struct sl_srtp_op *op, const uint8_t *in,
		      size_t clear, uint8_t tag[SEAM_GCM_TAG_LEN])
{
	const IMB_MGR *mb = m->aead;
	bool out = op->key->outbound, is_128 = op->key->profile->key_len == 16;
	aes_gcm_enc_dec_t run = is_128 ? (out ? mb->gcm128_enc : mb->gcm128_dec)
				       : (out ? mb->gcm256_enc : mb->gcm256_dec);
	struct seam_aead a;

	seam_aead_init(&a, op, clear);
	run(expanded(op), m->gcm, op->out + clear, in, op->out_len - clear, a.iv, a.aad, a.aad_len,
	    tag, SEAM_GCM_TAG_LEN);
}

static void seal_gcm(struct sl_srtp_mgr *m, struct sl_srtp_op *op)
{
	size_t clear = seam_clear_len(op);

	lay_out(op);
	gcm_crypt(m, op, op->out_len > clear ? plain(op, clear) : op->out, clear,
		  op->out + op->out_len);
	op->out_len += SEAM_GCM_TAG_LEN;
	if (op->rtcp) {
		seam_tail(op, op->out + op->out_len);
		op->out_len += SEAM_RTCP_INDEX_LEN;
	}
}

/* Deciphering and authentication are one pass: what was not authentic is wiped again. */
static void open_gcm(struct sl_srtp_mgr *m, struct sl_srtp_op *op)
{
	size_t clear = seam_clear_len(op);
	uint8_t tag[SEAM_GCM_TAG_LEN];

	op->out_len = op->hdr_len - SEAM_GCM_TAG_LEN - (op->rtcp ? SEAM_RTCP_INDEX_LEN : 0u);
	gcm_crypt(m, op, op->hdr + clear, clear, tag);
	if (!sl_const_eq(tag, op->hdr + op->out_len, SEAM_GCM_TAG_LEN)) {
		sl_wipe(op->out + clear, op->out_len - clear);
		op->err = SL_EAUTH;
		op->out_len = 0;
		return;
	}
	memcpy(op->out, op->hdr, clear);
}

/* ---- the seam ---- */

static void refuse(struct sl_srtp_op *ops, int n)
{
	for (int i = 0; i < n; i++)
		if (ops[i].err == SL_OK)
			ops[i].err = SL_ESTATE;
}

static void run(struct sl_srtp_op *ops, int n,
		void (*cm)(struct sl_srtp_mgr *m, struct sl_srtp_op *ops, int n, int count),
		void (*gcm)(struct sl_srtp_mgr *m, struct sl_srtp_op *op))
{
	struct sl_srtp_mgr *m = ops[0].key->mgr;
	int count = count_cm(ops, n);

	if (!m) {
		refuse(ops, n);
		return;
	}
	if (count > 0)
		cm(m, ops, n, count);
	for (int i = 0; i < n; i++)
		if (ops[i].err == SL_OK && ops[i].key->profile->aead)
			gcm(m, &ops[i]);
}

static void mb_seal(struct sl_srtp_op *ops, int n)
{
	run(ops, n, seal_cm, seal_gcm);
}

static void mb_open(struct sl_srtp_op *ops, int n)
{
	run(ops, n, open_cm, open_gcm);
}

const struct seam_impl seam_mb = {
	.init = mb_init, .fini = mb_fini, .seal = mb_seal, .open = mb_open};

#else /* another architecture: nobody gets a key of it, so nothing else is called */

bool seam_mb_can(enum sl_srtp_arch arch)
{
	(void)arch;
	return false;
}

int sl_srtp_mgr_new(const struct sl_srtp_choice *c, struct sl_srtp_mgr **out)
{
	*out = NULL;
	if (!c)
		c = sl_srtp_in_use();
	return c->cm == SL_SRTP_MB || c->gcm == SL_SRTP_MB ? SL_EUNSUPPORTED : SL_OK;
}

void sl_srtp_mgr_free(struct sl_srtp_mgr *m)
{
	(void)m;
}

void seam_mb_expand(struct sl_srtp_key *key)
{
	(void)key;
}

static int mb_init(struct sl_srtp_key *key, const struct sl_srtp_master *master)
{
	(void)key;
	(void)master;
	return SL_EUNSUPPORTED;
}

static void mb_none(struct sl_srtp_op *ops, int n)
{
	for (int i = 0; i < n; i++)
		ops[i].err = SL_ESTATE;
}

const struct seam_impl seam_mb = {.init = mb_init, .seal = mb_none, .open = mb_none};
#endif
