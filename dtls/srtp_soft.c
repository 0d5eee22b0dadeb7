/* SPDX-License-Identifier: Apache-2.0
 * dtls/srtp_soft.c — the transforms over mbedTLS's AES, GCM and SHA-1, straight from the RFCs. It
 * keeps nothing about an SSRC, allocates nothing per packet and takes any index in any order. SRTCP
 * always goes this way: libsrtp2 cannot be given an SRTCP index, nor a window of ours. */
#include "dtls/seam_int.h"

/* HMAC keeps the state after its padded key (RFC 2104): a packet then costs two hashes less. */
static void hmac_key(mbedtls_sha1_context *c, const uint8_t key[SEAM_AUTH_KEY_LEN], uint8_t pad)
{
	uint8_t block[64];

	memset(block, pad, sizeof(block));
	for (size_t i = 0; i < SEAM_AUTH_KEY_LEN; i++)
		block[i] ^= key[i];
	mbedtls_sha1_init(c);
	mbedtls_sha1_starts_ret(c);
	mbedtls_sha1_update_ret(c, block, sizeof(block));
	sl_wipe(block, sizeof(block));
}

static int half_init(struct seam_soft_half *s, const struct seam_half *h,
		     const struct seam_profile *profile)
{
	mbedtls_aes_init(&s->aes);
	mbedtls_gcm_init(&s->gcm);
	if (profile->aead) {
		/* With a legal key length memory is all it can lack. */
		if (mbedtls_gcm_setkey(&s->gcm, MBEDTLS_CIPHER_ID_AES, h->cipher_key,
				       profile->key_len * 8u))
			return SL_ENOMEM;
		return SL_OK;
	}
	mbedtls_aes_setkey_enc(&s->aes, h->cipher_key, profile->key_len * 8u);
	hmac_key(&s->inner, h->auth_key, 0x36);
	hmac_key(&s->outer, h->auth_key, 0x5c);
	return SL_OK;
}

static int soft_init(struct sl_srtp_key *key, const struct sl_srtp_master *master)
{
	int err = SL_OK;

	(void)master;
	key->soft = sl_zalloc_array(2, sizeof(*key->soft));
	if (!key->soft)
		return SL_ENOMEM;
	for (int i = 0; i < 2 && !err; i++)
		err = half_init(&key->soft[i], &key->half[i], key->profile);
	return err;
}

static void soft_fini(struct sl_srtp_key *key)
{
	if (!key->soft)
		return;
	for (int i = 0; i < 2; i++) {
		mbedtls_aes_free(&key->soft[i].aes);
		mbedtls_gcm_free(&key->soft[i].gcm);
	}
	sl_wipe(key->soft, 2 * sizeof(*key->soft));
	sl_free(key->soft);
	key->soft = NULL;
}

static struct seam_soft_half *primitives(const struct sl_srtp_op *op)
{
	return &op->key->soft[op->rtcp ? SEAM_RTCP : SEAM_RTP];
}

static void hmac(const struct seam_soft_half *h, const uint8_t *p, size_t n, const uint8_t tail[4],
		 uint8_t mac[20])
{
	mbedtls_sha1_context c = h->inner;

	mbedtls_sha1_update_ret(&c, p, n);
	mbedtls_sha1_update_ret(&c, tail, 4);
	mbedtls_sha1_finish_ret(&c, mac);
	c = h->outer;
	mbedtls_sha1_update_ret(&c, mac, SL_SHA1_LEN);
	mbedtls_sha1_finish_ret(&c, mac);
	mbedtls_sha1_free(&c);
}

static void cm_crypt(const struct sl_srtp_op *op, const uint8_t *in, uint8_t *out, size_t n)
{
	uint8_t iv[16], block[16];
	size_t offset = 0;

	seam_cm_iv(seam_half(op)->salt, seam_ssrc(op), op->index, iv);
	mbedtls_aes_crypt_ctr(&primitives(op)->aes, n, &offset, iv, block, in, out);
}

static int cm_seal(struct sl_srtp_op *op)
{
	const struct seam_half *h = seam_half(op);
	size_t clear = seam_clear_len(op);
	size_t n = seam_gather(op);
	uint8_t mac[SL_SHA1_LEN], behind[4];

	cm_crypt(op, op->out + clear, op->out + clear, n - clear);
	seam_tail(op, behind);
	hmac(primitives(op), op->out, n, behind, mac);
	if (op->rtcp) {
		memcpy(op->out + n, behind, SEAM_RTCP_INDEX_LEN);
		n += SEAM_RTCP_INDEX_LEN;
	}
	memcpy(op->out + n, mac, h->tag_len);
	op->out_len = n + h->tag_len;
	return SL_OK;
}

static int cm_open(struct sl_srtp_op *op)
{
	const struct seam_half *h = seam_half(op);
	size_t clear = seam_clear_len(op);
	size_t n = op->hdr_len - h->tag_len - (op->rtcp ? SEAM_RTCP_INDEX_LEN : 0u);
	uint8_t mac[SL_SHA1_LEN], behind[4];

	seam_tail(op, behind);
	hmac(primitives(op), op->hdr, n, behind, mac);
	if (!sl_const_eq(mac, op->hdr + op->hdr_len - h->tag_len, h->tag_len))
		return SL_EAUTH;
	memcpy(op->out, op->hdr, clear);
	cm_crypt(op, op->hdr + clear, op->out + clear, n - clear);
	op->out_len = n;
	return SL_OK;
}

void seam_aead_init(struct seam_aead *a, const struct sl_srtp_op *op, size_t clear)
{
	seam_gcm_iv(seam_half(op)->salt, seam_ssrc(op), op->index, a->iv);
	a->aad = op->hdr;
	a->aad_len = clear;
	if (!op->rtcp)
		return;
	memcpy(a->rtcp, op->hdr, SEAM_RTCP_CLEAR_LEN);
	seam_tail(op, a->rtcp + SEAM_RTCP_CLEAR_LEN);
	a->aad = a->rtcp;
	a->aad_len = sizeof(a->rtcp);
}

static int gcm_seal(struct sl_srtp_op *op)
{
	size_t clear = seam_clear_len(op);
	size_t n = seam_gather(op);
	struct seam_aead a;

	seam_aead_init(&a, op, clear);
	mbedtls_gcm_crypt_and_tag(&primitives(op)->gcm, MBEDTLS_GCM_ENCRYPT, n - clear, a.iv,
				  sizeof(a.iv), a.aad, a.aad_len, op->out + clear, op->out + clear,
				  SEAM_GCM_TAG_LEN, op->out + n);
	n += SEAM_GCM_TAG_LEN;
	if (op->rtcp) {
		seam_tail(op, op->out + n);
		n += SEAM_RTCP_INDEX_LEN;
	}
	op->out_len = n;
	return SL_OK;
}

static int gcm_open(struct sl_srtp_op *op)
{
	size_t clear = seam_clear_len(op);
	size_t n = op->hdr_len - SEAM_GCM_TAG_LEN - (op->rtcp ? SEAM_RTCP_INDEX_LEN : 0u);
	struct seam_aead a;

	seam_aead_init(&a, op, clear);
	if (mbedtls_gcm_auth_decrypt(&primitives(op)->gcm, n - clear, a.iv, sizeof(a.iv), a.aad,
				     a.aad_len, op->hdr + n, SEAM_GCM_TAG_LEN, op->hdr + clear,
				     op->out + clear))
		return SL_EAUTH;
	memcpy(op->out, op->hdr, clear);
	op->out_len = n;
	return SL_OK;
}

static void soft_seal(struct sl_srtp_op *ops, int n)
{
	for (int i = 0; i < n; i++)
		if (ops[i].err == SL_OK)
			ops[i].err =
				ops[i].key->profile->aead ? gcm_seal(&ops[i]) : cm_seal(&ops[i]);
}

static void soft_open(struct sl_srtp_op *ops, int n)
{
	for (int i = 0; i < n; i++)
		if (ops[i].err == SL_OK)
			ops[i].err =
				ops[i].key->profile->aead ? gcm_open(&ops[i]) : cm_open(&ops[i]);
}

const struct seam_impl seam_soft = {
	.init = soft_init, .fini = soft_fini, .seal = soft_seal, .open = soft_open};
