/* SPDX-License-Identifier: Apache-2.0
 * dtls/record.c — records (RFC 6347 section 4.1) and their protection in epoch 1 (RFC 5288:
 * AES-128-GCM). */
#include "core/base/mem.h"
#include "dtls/dtls_int.h"

#include <mbedtls/gcm.h>

enum {
	VERSION_1_0 = 0xfeff, /* a first ClientHello may still carry it */
	VERSION_1_2 = 0xfefd,
	CLOSE_LEN = 2,
	KEY_BITS = 128,
	AAD_LEN = 13,
	IV_LEN = 12,
};

/*   0                   1                   2
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3
 *  | type          | version                       |
 *  | epoch                         | sequence, 48 bits ...
 *  | length                        |                       */
int dtls_record_read(struct sl_rd *in, struct dtls_record *out)
{
	struct dtls_record r = {.whole = in->p};
	uint64_t high;
	uint32_t low;

	r.type = sl_rd8(in);
	r.version = sl_rd16(in);
	r.epoch = sl_rd16(in);
	high = sl_rd16(in);
	low = sl_rd32(in);
	r.seq = high << 32 | low;
	r.len = sl_rd16(in);
	r.body = sl_rd_bytes(in, r.len);
	if (in->bad || r.len == 0 || (r.version != VERSION_1_0 && r.version != VERSION_1_2))
		return SL_EPARSE;
	*out = r;
	return SL_OK;
}

int dtls_fragment_read(struct sl_rd *in, struct dtls_fragment *out)
{
	struct dtls_fragment f = {0};

	f.type = sl_rd8(in);
	f.msg_len = sl_rd24(in);
	f.msg_seq = sl_rd16(in);
	f.off = sl_rd24(in);
	f.len = sl_rd24(in);
	f.body = sl_rd_bytes(in, f.len);
	if (in->bad || f.off > f.msg_len || f.len > f.msg_len - f.off ||
	    (f.len == 0 && f.msg_len > 0))
		return SL_EPARSE;
	*out = f;
	return SL_OK;
}

/* RFC 5246 section 6.2.3.3, RFC 6347 section 4.1.2.1: epoch and sequence, type, version, length of
 * the plain text. */
static void write_aad(const struct dtls_record *rec, size_t plain_len, uint8_t out[AAD_LEN])
{
	struct sl_wr w = sl_wr(out, AAD_LEN);

	sl_wr16(&w, rec->epoch);
	sl_wr16(&w, (uint16_t)(rec->seq >> 32));
	sl_wr32(&w, (uint32_t)rec->seq);
	sl_wr8(&w, rec->type);
	sl_wr16(&w, rec->version);
	sl_wr16(&w, (uint16_t)plain_len);
}

static void write_nonce(const uint8_t salt[4], const uint8_t explicit_part[DTLS_GCM_NONCE],
			uint8_t out[IV_LEN])
{
	memcpy(out, salt, 4);
	memcpy(out + 4, explicit_part, DTLS_GCM_NONCE);
}

int dtls_record_open(const struct sl_dtls_records *r, const struct dtls_record *rec, uint8_t *out)
{
	uint8_t aad[AAD_LEN], iv[IV_LEN];
	mbedtls_gcm_context gcm;
	size_t n;
	int ret;

	if (rec->len < DTLS_GCM_NONCE + DTLS_GCM_TAG)
		return SL_EAUTH;
	n = rec->len - DTLS_GCM_NONCE - DTLS_GCM_TAG;
	if (n > DTLS_PLAIN_MAX)
		return SL_EFULL;
	write_aad(rec, n, aad);
	write_nonce(r->read_iv, rec->body, iv);
	mbedtls_gcm_init(&gcm);
	ret = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, r->read_key, KEY_BITS);
	if (ret) {
		mbedtls_gcm_free(&gcm);
		return SL_ENOMEM;
	}
	ret = mbedtls_gcm_auth_decrypt(&gcm, n, iv, sizeof(iv), aad, sizeof(aad),
				       rec->body + rec->len - DTLS_GCM_TAG, DTLS_GCM_TAG,
				       rec->body + DTLS_GCM_NONCE, out);
	mbedtls_gcm_free(&gcm);
	return ret ? SL_EAUTH : (int)n;
}

static bool is_close(const struct sl_dtls_records *r, const struct dtls_record *rec)
{
	uint8_t plain[DTLS_PLAIN_MAX];

	if (rec->type != DTLS_ALERT || rec->epoch != 1 ||
	    rec->len != DTLS_GCM_NONCE + CLOSE_LEN + DTLS_GCM_TAG)
		return false;
	return dtls_record_open(r, rec, plain) == CLOSE_LEN && plain[1] == DTLS_CLOSE_NOTIFY;
}

bool sl_dtls_is_close(struct sl_dtls_records *r, const uint8_t *data, size_t len)
{
	struct sl_rd in = sl_rd(data, len);
	struct dtls_record rec;

	if (!r->ready)
		return false;
	while (sl_rd_left(&in) > 0) {
		if (dtls_record_read(&in, &rec))
			return false;
		if (is_close(r, &rec))
			return true;
	}
	return false;
}

static int encrypt(const struct sl_dtls_records *r, const struct dtls_record *rec,
		   const uint8_t aad[AAD_LEN], uint8_t *out)
{
	uint8_t iv[IV_LEN];
	mbedtls_gcm_context gcm;
	int ret;

	write_nonce(r->write_iv, aad, iv);
	mbedtls_gcm_init(&gcm);
	ret = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, r->write_key, KEY_BITS);
	if (!ret)
		ret = mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, rec->len, iv, sizeof(iv),
						aad, AAD_LEN, rec->body, out, DTLS_GCM_TAG,
						out + rec->len);
	mbedtls_gcm_free(&gcm);
	return ret ? SL_ENOMEM : SL_OK;
}

/* Header, explicit nonce, ciphertext, tag. The nonce is the record's epoch and sequence, as the
 * library has it. */
int dtls_record_seal(struct sl_dtls_records *r, uint8_t type, const void *text, size_t len,
		     uint8_t *out, size_t cap)
{
	struct dtls_record rec = {
		.type = type, .version = VERSION_1_2, .epoch = 1, .body = text, .len = len};
	const size_t sealed = DTLS_GCM_NONCE + len + DTLS_GCM_TAG;
	struct sl_wr w = sl_wr(out, cap);
	uint8_t aad[AAD_LEN];
	uint8_t *to;
	int err;

	if (!r->ready)
		return SL_ESTATE;
	if (cap < DTLS_RECORD_HDR + sealed)
		return SL_EFULL;
	/* Counted before it is used: no nonce twice, whatever happens. */
	rec.seq = r->write_seq++;
	write_aad(&rec, len, aad);
	sl_wr8(&w, type);
	sl_wr16(&w, VERSION_1_2);
	sl_wr_bytes(&w, aad, DTLS_GCM_NONCE);
	sl_wr16(&w, (uint16_t)sealed);
	sl_wr_bytes(&w, aad, DTLS_GCM_NONCE);
	to = sl_wr_space(&w, len + DTLS_GCM_TAG);
	err = to ? encrypt(r, &rec, aad, to) : SL_EFULL;
	return err ? err : (int)sl_wr_len(&w);
}

int sl_dtls_write_close(struct sl_dtls_records *r, uint8_t *out, size_t cap)
{
	/* RFC 5246 section 7.2.1: close_notify is a warning. */
	static const uint8_t alert[CLOSE_LEN] = {1, DTLS_CLOSE_NOTIFY};

	return dtls_record_seal(r, DTLS_ALERT, alert, sizeof(alert), out, cap);
}
