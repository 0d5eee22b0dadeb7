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

int seam_half_init(struct seam_half *h, const struct seam_profile *profile)
{
	mbedtls_aes_init(&h->aes);
	mbedtls_gcm_init(&h->gcm);
	if (profile->aead) {
		/* With a legal key length memory is all it can lack. */
		if (mbedtls_gcm_setkey(&h->gcm, MBEDTLS_CIPHER_ID_AES, h->cipher_key,
				       profile->key_len * 8u))
			return SL_ENOMEM;
		return SL_OK;
	}
	mbedtls_aes_setkey_enc(&h->aes, h->cipher_key, profile->key_len * 8u);
	hmac_key(&h->inner, h->auth_key, 0x36);
	hmac_key(&h->outer, h->auth_key, 0x5c);
	return SL_OK;
}

void seam_half_fini(struct seam_half *h)
{
	mbedtls_aes_free(&h->aes);
	mbedtls_gcm_free(&h->gcm);
}

static void hmac(const struct seam_half *h, const uint8_t *p, size_t n, const uint8_t tail[4],
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
	struct seam_half *h = seam_half(op);
	uint8_t iv[16], block[16];
	size_t offset = 0;

	seam_cm_iv(h->salt, seam_ssrc(op), op->index, iv);
	mbedtls_aes_crypt_ctr(&h->aes, n, &offset, iv, block, in, out);
}

/* RFC 3711 section 4.2: what the tag covers behind the packet: SRTP its ROC (not sent), SRTCP E and
 * index (sent). */
static void tail(const struct sl_srtp_op *op, uint8_t out[4])
{
	sl_put32(out, op->rtcp ? (uint32_t)op->index | SEAM_RTCP_E : (uint32_t)(op->index >> 16));
}

static int cm_seal(struct sl_srtp_op *op)
{
	const struct seam_half *h = seam_half(op);
	size_t clear = seam_clear_len(op);
	size_t n = seam_gather(op);
	uint8_t mac[SL_SHA1_LEN], behind[4];

	cm_crypt(op, op->out + clear, op->out + clear, n - clear);
	tail(op, behind);
	hmac(h, op->out, n, behind, mac);
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

	tail(op, behind);
	hmac(h, op->hdr, n, behind, mac);
	if (!sl_const_eq(mac, op->hdr + op->hdr_len - h->tag_len, h->tag_len))
		return SL_EAUTH;
	memcpy(op->out, op->hdr, clear);
	cm_crypt(op, op->hdr + clear, op->out + clear, n - clear);
	op->out_len = n;
	return SL_OK;
}

/* RFC 7714 section 8.2: SRTP authenticates its header; section 9.2: SRTCP its first 8 bytes, E and
 * index. */
struct aead {
	uint8_t iv[SEAM_GCM_IV_LEN];
	uint8_t rtcp[SEAM_RTCP_CLEAR_LEN + SEAM_RTCP_INDEX_LEN];
	const uint8_t *aad;
	size_t aad_len;
};

static void aead_init(struct aead *a, const struct sl_srtp_op *op, size_t clear)
{
	seam_gcm_iv(seam_half(op)->salt, seam_ssrc(op), op->index, a->iv);
	a->aad = op->hdr;
	a->aad_len = clear;
	if (!op->rtcp)
		return;
	memcpy(a->rtcp, op->hdr, SEAM_RTCP_CLEAR_LEN);
	tail(op, a->rtcp + SEAM_RTCP_CLEAR_LEN);
	a->aad = a->rtcp;
	a->aad_len = sizeof(a->rtcp);
}

static int gcm_seal(struct sl_srtp_op *op)
{
	size_t clear = seam_clear_len(op);
	size_t n = seam_gather(op);
	struct aead a;

	aead_init(&a, op, clear);
	mbedtls_gcm_crypt_and_tag(&seam_half(op)->gcm, MBEDTLS_GCM_ENCRYPT, n - clear, a.iv,
				  sizeof(a.iv), a.aad, a.aad_len, op->out + clear, op->out + clear,
				  SEAM_GCM_TAG_LEN, op->out + n);
	n += SEAM_GCM_TAG_LEN;
	if (op->rtcp) {
		tail(op, op->out + n);
		n += SEAM_RTCP_INDEX_LEN;
	}
	op->out_len = n;
	return SL_OK;
}

static int gcm_open(struct sl_srtp_op *op)
{
	size_t clear = seam_clear_len(op);
	size_t n = op->hdr_len - SEAM_GCM_TAG_LEN - (op->rtcp ? SEAM_RTCP_INDEX_LEN : 0u);
	struct aead a;

	aead_init(&a, op, clear);
	if (mbedtls_gcm_auth_decrypt(&seam_half(op)->gcm, n - clear, a.iv, sizeof(a.iv), a.aad,
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

const struct seam_impl seam_soft = {.seal = soft_seal, .open = soft_open};
