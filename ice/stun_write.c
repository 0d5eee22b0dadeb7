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

static void write_text(struct sl_wr *w, uint16_t type, struct sl_str s)
{
	write_type(w, type, s.n);
	sl_wr_bytes(w, s.p, s.n);
	sl_wr_zeros(w, (4 - s.n % 4) % 4);
}

static void write_username(struct sl_wr *w, const struct sl_stun *m)
{
	write_text(w, 0x0006, m->username);
}

static void write_realm(struct sl_wr *w, const struct sl_stun *m)
{
	write_text(w, 0x0014, m->realm);
}

static void write_nonce(struct sl_wr *w, const struct sl_stun *m)
{
	write_text(w, 0x0015, m->nonce);
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

static void write_xored(struct sl_wr *w, uint16_t type, const struct sl_stun *m,
			const struct sl_addr *addr)
{
	size_t n = addr->family == 4 ? 4 : 16;
	uint8_t mask[4 + SL_STUN_TID_LEN];

	sl_put32(mask, STUN_COOKIE);
	memcpy(mask + 4, m->tid, sizeof(m->tid));
	write_type(w, type, n + 4);
	sl_wr8(w, 0);
	sl_wr8(w, n == 4 ? 1 : 2);
	sl_wr16(w, addr->port ^ (uint16_t)(STUN_COOKIE >> 16));
	for (size_t i = 0; i < n; i++)
		sl_wr8(w, addr->ip[i] ^ mask[i]);
}

static void write_mapped(struct sl_wr *w, const struct sl_stun *m)
{
	write_xored(w, 0x0020, m, &m->mapped);
}

static void write_relayed(struct sl_wr *w, const struct sl_stun *m)
{
	write_xored(w, 0x0016, m, &m->relayed);
}

static void write_peers(struct sl_wr *w, const struct sl_stun *m)
{
	for (size_t i = 0; i < m->peer_count; i++)
		write_xored(w, 0x0012, m, &m->peers[i]);
}

static void write_channel(struct sl_wr *w, const struct sl_stun *m)
{
	write_type(w, 0x000c, 4);
	sl_wr16(w, m->channel);
	sl_wr16(w, 0);
}

static void write_lifetime(struct sl_wr *w, const struct sl_stun *m)
{
	write_type(w, 0x000d, 4);
	sl_wr32(w, m->lifetime_s);
}

/* RFC 8656 section 18.7: 17 is UDP. */
static void write_transport(struct sl_wr *w, const struct sl_stun *m)
{
	(void)m;
	write_type(w, 0x0019, 4);
	sl_wr32(w, UINT32_C(17) << 24);
}

static void write_family(struct sl_wr *w, const struct sl_stun *m)
{
	write_type(w, 0x0017, 4);
	sl_wr32(w, UINT32_C(1) << 24 << (m->family == 6));
}

static void write_payload(struct sl_wr *w, const struct sl_stun *m)
{
	write_text(w, 0x0013, m->payload);
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
	{STUN_XOR_MAPPED, write_mapped}, {STUN_REALM, write_realm},
	{STUN_NONCE, write_nonce},	 {STUN_RELAYED, write_relayed},
	{STUN_PEER, write_peers},	 {STUN_CHANNEL, write_channel},
	{STUN_LIFETIME, write_lifetime}, {STUN_TRANSPORT, write_transport},
	{STUN_FAMILY, write_family},	 {STUN_DATA_ATTR, write_payload},
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
