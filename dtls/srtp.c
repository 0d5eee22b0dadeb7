/* SPDX-License-Identifier: Apache-2.0
 * dtls/srtp.c — SRTP profiles, key derivation, packet index, replay window, and the way to the
 * transforms. */
#include "dtls/seam_int.h"

#define RTP_INDEX_MAX                                                                              \
	((UINT64_C(1) << 48) - 1) /* RFC 3711 section 9.2: then the key is used up                 \
				   */
#define RTCP_INDEX_MAX ((UINT64_C(1) << 31) - 1)

/* RFC 5764 section 4.1.2 and RFC 4568 section 6.2: a 32-bit tag is for SRTP only, SRTCP has 80 bits
 * always. */
/* clang-format off */
static const struct seam_profile profiles[SL_SRTP_PROFILE_COUNT] = {
	[SL_SRTP_AES128_CM_SHA1_80] = {"AES_CM_128_HMAC_SHA1_80", 16, 14, {10, 10}, false},
	[SL_SRTP_AES128_CM_SHA1_32] = {"AES_CM_128_HMAC_SHA1_32", 16, 14, {4, 10},  false},
	[SL_SRTP_AES256_CM_SHA1_80] = {"AES_256_CM_HMAC_SHA1_80", 32, 14, {10, 10}, false},
	[SL_SRTP_AES256_CM_SHA1_32] = {"AES_256_CM_HMAC_SHA1_32", 32, 14, {4, 10},  false},
	[SL_SRTP_AEAD_AES128_GCM]   = {"AEAD_AES_128_GCM",        16, 12, {16, 16}, true},
	[SL_SRTP_AEAD_AES256_GCM]   = {"AEAD_AES_256_GCM",        32, 12, {16, 16}, true},
};
/* clang-format on */

static const struct seam_impl *const impls[] = {
	[SL_SRTP_LIBSRTP] = &seam_libsrtp,
	[SL_SRTP_NULL] = &seam_null,
	[SL_SRTP_SOFT] = &seam_soft,
	[SL_SRTP_CLEAR] = &seam_clear,
	[SL_SRTP_MB] = &seam_mb,
};

const struct seam_profile *seam_profile(enum sl_srtp_profile p)
{
	return p > SL_SRTP_NONE && p < SL_SRTP_PROFILE_COUNT ? &profiles[p] : NULL;
}

const char *sl_srtp_profile_name(enum sl_srtp_profile p)
{
	return seam_profile(p) ? profiles[p].name : "none";
}

size_t sl_srtp_key_len(enum sl_srtp_profile p)
{
	return seam_profile(p) ? profiles[p].key_len : 0;
}

size_t sl_srtp_salt_len(enum sl_srtp_profile p)
{
	return seam_profile(p) ? profiles[p].salt_len : 0;
}

size_t sl_srtp_tag_len(enum sl_srtp_profile p, bool rtcp)
{
	return seam_profile(p) ? profiles[p].tag_len[rtcp ? SEAM_RTCP : SEAM_RTP] : 0;
}

/* ---- keys ---- */

/* RFC 3711 section 4.3.1: x = (label || r) XOR salt, right-aligned in 112 bits, r = 0;
 * section 4.3.3: the key is AES-CM keystream from x * 2^16. RFC 7714 section 11: a 96-bit salt is
 * followed by 16 zero bits. */
void seam_derive(const struct seam_profile *profile, const struct sl_srtp_master *master,
		 uint8_t label, uint8_t *out, size_t n)
{
	uint8_t iv[16] = {0}, block[16];
	mbedtls_aes_context aes;
	size_t offset = 0;

	memcpy(iv, master->salt, profile->salt_len);
	iv[7] ^= label;
	memset(out, 0, n);
	mbedtls_aes_init(&aes);
	mbedtls_aes_setkey_enc(&aes, master->key, profile->key_len * 8u);
	mbedtls_aes_crypt_ctr(&aes, n, &offset, iv, block, out, out);
	mbedtls_aes_free(&aes);
	sl_wipe(block, sizeof(block));
}

/* RFC 3711 section 4.3.2: labels 0 to 2 make the keys of SRTP, 3 to 5 those of SRTCP. */
static void derive_half(struct seam_half *h, const struct seam_profile *profile,
			const struct sl_srtp_master *master, uint8_t label)
{
	seam_derive(profile, master, label, h->cipher_key, profile->key_len);
	if (!profile->aead)
		seam_derive(profile, master, (uint8_t)(label + 1), h->auth_key, SEAM_AUTH_KEY_LEN);
	seam_derive(profile, master, (uint8_t)(label + 2), h->salt, profile->salt_len);
	h->tag_len = profile->tag_len[label ? SEAM_RTCP : SEAM_RTP];
}

static bool is_open(const struct seam_impl *impl)
{
	return impl == &seam_null || impl == &seam_clear;
}

static int key_init(struct sl_srtp_key *key, const struct sl_srtp_master *master)
{
	if (!is_open(key->impl)) {
		derive_half(&key->half[SEAM_RTP], key->profile, master, 0);
		derive_half(&key->half[SEAM_RTCP], key->profile, master, 3);
	}
	return key->impl->init ? key->impl->init(key, master) : SL_OK;
}

int sl_srtp_key_new(enum sl_srtp_impl impl, const struct sl_srtp_master *master, bool outbound,
		    struct sl_srtp_key **out)
{
	struct sl_srtp_key *key;
	int err;

	if ((size_t)impl >= SL_COUNT(impls) ||
	    (!is_open(impls[impl]) && !seam_profile(master->profile)))
		return SL_EUNSUPPORTED;
	key = sl_zalloc(sizeof(*key));
	if (!key)
		return SL_ENOMEM;
	key->impl = impls[impl];
	key->id = master->profile;
	key->profile = seam_profile(master->profile);
	key->outbound = outbound;
	err = key_init(key, master);
	if (err)
		sl_srtp_key_free(key);
	else
		*out = key;
	return err;
}

void sl_srtp_key_free(struct sl_srtp_key *key)
{
	if (!key)
		return;
	if (key->impl->fini)
		key->impl->fini(key);
	sl_wipe(key, sizeof(*key));
	sl_free(key);
}

enum sl_srtp_profile sl_srtp_key_profile(const struct sl_srtp_key *key)
{
	return key->id;
}

void sl_srtp_key_forget(struct sl_srtp_key *key, uint32_t ssrc)
{
	if (key->impl->forget)
		key->impl->forget(key, ssrc);
}

void sl_srtp_key_bind(struct sl_srtp_key *key, struct sl_srtp_mgr *mgr)
{
	if (key->impl != &seam_mb || !mgr)
		return;
	key->mgr = mgr;
	seam_mb_expand(key);
}

/* ---- packets ---- */

/* RFC 3711 section 4.1.1: salt * 2^16 XOR ssrc * 2^64 XOR index * 2^16. The low 16 bits count
 * blocks. */
void seam_cm_iv(const uint8_t salt[14], uint32_t ssrc, uint64_t index, uint8_t iv[16])
{
	memcpy(iv, salt, 14);
	sl_put16(iv + 14, 0);
	sl_put32(iv + 4, sl_get32(iv + 4) ^ ssrc);
	sl_put64(iv + 8, sl_get64(iv + 8) ^ index << 16);
}

/* RFC 7714 sections 8.1 and 9.1: 16 zero bits, SSRC, 48 bits of index, XOR salt. */
void seam_gcm_iv(const uint8_t salt[12], uint32_t ssrc, uint64_t index, uint8_t iv[SEAM_GCM_IV_LEN])
{
	memcpy(iv, salt, SEAM_GCM_IV_LEN);
	sl_put32(iv + 2, sl_get32(iv + 2) ^ ssrc);
	sl_put16(iv + 6, sl_get16(iv + 6) ^ (uint16_t)(index >> 32));
	sl_put32(iv + 8, sl_get32(iv + 8) ^ (uint32_t)index);
}

size_t seam_clear_len(const struct sl_srtp_op *op)
{
	struct sl_rd r = sl_rd(op->hdr, op->hdr_len);
	uint8_t first = sl_rd8(&r);

	sl_rd_skip(&r, op->rtcp ? SEAM_RTCP_CLEAR_LEN - 1u
				: SEAM_RTP_HDR_LEN - 1u + 4u * (first & 15u));
	if (!op->rtcp && (first & 0x10)) {
		sl_rd_skip(&r, 2);
		sl_rd_skip(&r, 4u * sl_rd16(&r));
	}
	return r.bad || first >> 6 != 2 ? 0 : op->hdr_len - sl_rd_left(&r);
}

uint32_t seam_ssrc(const struct sl_srtp_op *op)
{
	return sl_get32(op->hdr + (op->rtcp ? 4 : 8));
}

size_t seam_gather(const struct sl_srtp_op *op)
{
	memcpy(op->out, op->hdr, op->hdr_len);
	if (op->key->outbound && op->payload_len > 0)
		memcpy(op->out + op->hdr_len, op->payload, op->payload_len);
	return op->hdr_len + (op->key->outbound ? op->payload_len : 0);
}

static int check_open_rtcp(const struct sl_srtp_op *op)
{
	uint32_t index;

	if (sl_srtcp_index(op->key, op->hdr, op->hdr_len, &index) != SL_OK || index != op->index)
		return SL_EPARSE;
	return SL_OK;
}

static int check(const struct sl_srtp_op *op, bool seal)
{
	size_t clear = seam_clear_len(op);
	size_t total = op->hdr_len + (seal ? op->payload_len : 0);
	size_t tag = seal ? 0u : seam_half(op)->tag_len;

	if (op->key->outbound != seal)
		return SL_ESTATE;
	if (op->index > (op->rtcp ? RTCP_INDEX_MAX : RTP_INDEX_MAX))
		return SL_ERANGE;
	if (clear == 0 || total < clear + tag || total > SEAM_PACKET_MAX - SL_SRTP_OVERHEAD)
		return SL_EPARSE;
	if (op->rtcp)
		return seal ? SL_OK : check_open_rtcp(op);
	return sl_get16(op->hdr + 2) == (uint16_t)op->index ? SL_OK : SL_EPARSE;
}

/* Hands each run of neighbours with one implementation, and one manager, over as one array. */
static int dispatch(struct sl_srtp_op *ops, int n, bool seal)
{
	int ok = 0;

	SL_ASSERT(n <= SL_SRTP_BATCH_MAX);
	for (int i = 0; i < n; i++) {
		ops[i].out_len = 0;
		ops[i].err = check(&ops[i], seal);
	}
	for (int i = 0, end = 0; i < n; i = end) {
		const struct seam_impl *impl = ops[i].key->impl;
		const struct sl_srtp_mgr *mgr = ops[i].key->mgr;

		while (end < n && ops[end].key->impl == impl && ops[end].key->mgr == mgr)
			end++;
		(seal ? impl->seal : impl->open)(ops + i, end - i);
	}
	for (int i = 0; i < n; i++)
		ok += ops[i].err == SL_OK;
	return ok;
}

int sl_srtp_seal(struct sl_srtp_op *ops, int n)
{
	return dispatch(ops, n, true);
}

int sl_srtp_open(struct sl_srtp_op *ops, int n)
{
	return dispatch(ops, n, false);
}

/* RFC 3711 section 3.4: E and index stand before the tag. RFC 7714 section 9.3: after everything.
 */
int sl_srtcp_index(const struct sl_srtp_key *key, const uint8_t *packet, size_t len,
		   uint32_t *index)
{
	size_t tag = key->half[SEAM_RTCP].tag_len;
	size_t behind = SEAM_RTCP_INDEX_LEN + (key->profile && key->profile->aead ? 0 : tag);
	uint32_t word;

	*index = 0;
	if (key->impl == &seam_clear)
		return len < SEAM_RTCP_CLEAR_LEN ? SL_EPARSE : SL_OK;
	if (len < SEAM_RTCP_CLEAR_LEN + SEAM_RTCP_INDEX_LEN + tag)
		return SL_EPARSE;
	word = sl_get32(packet + len - behind);
	if (!(word & SEAM_RTCP_E))
		return SL_EPARSE;
	*index = word & ~SEAM_RTCP_E;
	return SL_OK;
}

/* ---- order ---- */

/* RFC 3711 section 3.3.1. There is no ROC before the first: what would be ROC -1 is taken as ROC 0.
 */
uint64_t sl_srtp_rx_index(const struct sl_srtp_rx *rx, uint16_t seq)
{
	uint64_t roc = rx->top >> 16;
	int last = (uint16_t)rx->top;

	if (!rx->started)
		return seq;
	if (last < 32768)
		roc -= seq - last > 32768 && roc > 0;
	else
		roc += last - 32768 > seq;
	return roc << 16 | seq;
}

uint64_t sl_srtp_rx_alternative(const struct sl_srtp_rx *rx, uint16_t seq)
{
	return rx->started ? SL_SRTP_NO_INDEX : UINT64_C(1) << 16 | seq;
}

static uint64_t *window_word(struct sl_srtp_rx *rx, uint64_t index, uint64_t *bit)
{
	*bit = UINT64_C(1) << (index % 64);
	return &rx->seen[index % SL_SRTP_WINDOW / 64];
}

int sl_srtp_rx_check(const struct sl_srtp_rx *rx, uint64_t index)
{
	if (!rx->started || index > rx->top)
		return SL_OK;
	if (rx->top - index >= SL_SRTP_WINDOW)
		return SL_EREPLAY;
	return rx->seen[index % SL_SRTP_WINDOW / 64] >> (index % 64) & 1 ? SL_EREPLAY : SL_OK;
}

void sl_srtp_rx_accept(struct sl_srtp_rx *rx, uint64_t index)
{
	uint64_t bit;
	uint64_t *word;

	if (!rx->started || (index > rx->top && index - rx->top >= SL_SRTP_WINDOW)) {
		memset(rx->seen, 0, sizeof(rx->seen));
		rx->top = index;
	}
	rx->started = true;
	while (rx->top < index) {
		word = window_word(rx, ++rx->top, &bit);
		*word &= ~bit;
	}
	word = window_word(rx, index, &bit);
	*word |= bit;
}

int sl_srtp_tx_index(struct sl_srtp_tx *tx, uint16_t seq, uint64_t *index)
{
	uint64_t ahead = (uint16_t)(seq - (uint16_t)tx->next);

	if (!tx->started)
		ahead = seq;
	else if (ahead >= 32768)
		return SL_EREPLAY;
	if (tx->next + ahead > RTP_INDEX_MAX)
		return SL_ERANGE;
	*index = tx->next + ahead;
	tx->next += ahead + 1;
	tx->started = true;
	return SL_OK;
}

int sl_srtp_tx_rtcp_index(struct sl_srtp_tx *tx, uint32_t *index)
{
	if (tx->rtcp_next > RTCP_INDEX_MAX)
		return SL_ERANGE;
	*index = (uint32_t)tx->rtcp_next++;
	return SL_OK;
}
