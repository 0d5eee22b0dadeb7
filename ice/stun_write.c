/* SPDX-License-Identifier: Apache-2.0 */
#include "ice/ice_int.h"
#include "core/base/bytes.h"
#include "core/base/digest.h"

static void write_type(struct sl_wr *w, uint16_t type, size_t len)
{
	sl_wr16(w, type);
	sl_wr16(w, (uint16_t)len);
}

static void write_header(struct sl_wr *w, const struct sl_stun *m)
{
	unsigned c = (unsigned)m->class_, k = m->method;
	unsigned type =
		(k & 0xf) | (k & 0x70) << 1 | (k & 0xf80) << 2 | (c & 2) << 7 | (c & 1) << 4;

	sl_wr16(w, (uint16_t)type);
	sl_wr16(w, 0);
	sl_wr32(w, STUN_COOKIE);
	sl_wr_bytes(w, m->tid, sizeof(m->tid));
}

static void write_username(struct sl_wr *w, const struct sl_stun *m)
{
	write_type(w, 0x0006, m->username.n);
	sl_wr_bytes(w, m->username.p, m->username.n);
	sl_wr_zeros(w, (4 - m->username.n % 4) % 4);
}

static void write_priority(struct sl_wr *w, const struct sl_stun *m)
{
	write_type(w, 0x0024, 4);
	sl_wr32(w, m->priority);
}

static void write_use_candidate(struct sl_wr *w, const struct sl_stun *m)
{
	(void)m;
	write_type(w, 0x0025, 0);
}

static void write_role(struct sl_wr *w, const struct sl_stun *m)
{
	write_type(w, m->has & STUN_CONTROLLING ? 0x802a : 0x8029, 8);
	sl_wr64(w, m->tie_breaker);
}

static void write_mapped(struct sl_wr *w, const struct sl_stun *m)
{
	size_t n = m->mapped.family == 4 ? 4 : 16;
	uint8_t mask[4 + SL_STUN_TID_LEN];

	sl_put32(mask, STUN_COOKIE);
	memcpy(mask + 4, m->tid, sizeof(m->tid));
	write_type(w, 0x0020, n + 4);
	sl_wr8(w, 0);
	sl_wr8(w, n == 4 ? 1 : 2);
	sl_wr16(w, m->mapped.port ^ (uint16_t)(STUN_COOKIE >> 16));
	for (size_t i = 0; i < n; i++)
		sl_wr8(w, m->mapped.ip[i] ^ mask[i]);
}

/* Without a reason phrase: nobody reads it, and it makes the answer longer. */
static void write_error(struct sl_wr *w, const struct sl_stun *m)
{
	write_type(w, 0x0009, 4);
	sl_wr16(w, 0);
	sl_wr8(w, (uint8_t)(m->error_code / 100));
	sl_wr8(w, (uint8_t)(m->error_code % 100));
}

static void write_unknown(struct sl_wr *w, const struct sl_stun *m)
{
	write_type(w, 0x000a, m->unknown_count * 2U);
	for (size_t i = 0; i < m->unknown_count; i++)
		sl_wr16(w, m->unknown[i]);
	sl_wr_zeros(w, m->unknown_count % 2 * 2U);
}

static const struct {
	uint32_t flags;
	void (*write)(struct sl_wr *w, const struct sl_stun *m);
} writers[] = {
	{STUN_ERROR_CODE, write_error},	 {STUN_UNKNOWN_ATTRS, write_unknown},
	{STUN_USERNAME, write_username}, {STUN_CONTROLLED | STUN_CONTROLLING, write_role},
	{STUN_PRIORITY, write_priority}, {STUN_USE_CANDIDATE, write_use_candidate},
	{STUN_XOR_MAPPED, write_mapped},
};

/* The header's length field, as if `more` bytes of attributes followed. */
static void set_length(struct sl_wr *w, size_t more)
{
	if (!w->full)
		sl_put16(w->start + 2, (uint16_t)(sl_wr_len(w) + more - STUN_HEADER_LEN));
}

static int write_integrity(struct sl_wr *w, const void *key, size_t key_len)
{
	uint8_t mac[SL_SHA1_LEN] = {0};
	struct sl_piece all;
	int err;

	set_length(w, 24);
	all = (struct sl_piece){w->start, sl_wr_len(w)};
	err = sl_hmac_sha1(key, key_len, &all, 1, mac);
	write_type(w, 0x0008, sizeof(mac));
	sl_wr_bytes(w, mac, sizeof(mac));
	return err;
}

static void write_fingerprint(struct sl_wr *w)
{
	set_length(w, 8);
	uint32_t crc = sl_crc32(w->start, sl_wr_len(w));

	write_type(w, 0x8028, 4);
	sl_wr32(w, crc ^ UINT32_C(0x5354554e));
}

int stun_write(const struct sl_stun *m, const void *key, size_t key_len, uint8_t *out, size_t cap)
{
	struct sl_wr w = sl_wr(out, cap);
	int err = SL_OK;

	write_header(&w, m);
	for (size_t i = 0; i < SL_COUNT(writers); i++)
		if (m->has & writers[i].flags)
			writers[i].write(&w, m);
	set_length(&w, 0);
	if (m->has & STUN_INTEGRITY)
		err = write_integrity(&w, key, key_len);
	if (m->has & STUN_FINGERPRINT)
		write_fingerprint(&w);
	if (err)
		return err;
	return w.full ? SL_EFULL : (int)sl_wr_len(&w);
}
