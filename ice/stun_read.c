/* SPDX-License-Identifier: Apache-2.0 */
#include "ice/ice_int.h"
#include "core/base/bytes.h"
#include "core/base/digest.h"

struct attr {
	uint16_t type;
	uint16_t min_len, max_len;
	uint32_t flag;
	bool (*read)(struct sl_rd *v, struct sl_stun *m); /* NULL: being there is all it says */
};

static struct sl_str rest_of(struct sl_rd *v)
{
	size_t n = sl_rd_left(v);

	return sl_str((const char *)sl_rd_bytes(v, n), n);
}

static bool read_username(struct sl_rd *v, struct sl_stun *m)
{
	m->username = rest_of(v);
	return true;
}

static bool read_realm(struct sl_rd *v, struct sl_stun *m)
{
	m->realm = rest_of(v);
	return true;
}

static bool read_nonce(struct sl_rd *v, struct sl_stun *m)
{
	m->nonce = rest_of(v);
	return true;
}

static bool read_priority(struct sl_rd *v, struct sl_stun *m)
{
	m->priority = sl_rd32(v);
	return true;
}

static bool read_role(struct sl_rd *v, struct sl_stun *m)
{
	m->tie_breaker = sl_rd64(v);
	return (m->has & (STUN_CONTROLLED | STUN_CONTROLLING)) == 0;
}

static bool read_error(struct sl_rd *v, struct sl_stun *m)
{
	sl_rd_skip(v, 2);
	uint8_t hundreds = sl_rd8(v) & 7;
	uint8_t rest = sl_rd8(v);

	m->error_code = (uint16_t)(hundreds * 100 + rest);
	m->reason = rest_of(v);
	return hundreds >= 3 && hundreds <= 6 && rest < 100;
}

/*  0      8      16             31     RFC 8489 section 14.2
 *  | 0    | fam  | port ^ cookie |     fam 1: IPv4, 2: IPv6
 *  | address ^ (cookie, then transaction id)  */
static bool read_xored(struct sl_rd *v, const struct sl_stun *m, struct sl_addr *out)
{
	uint8_t mask[4 + SL_STUN_TID_LEN];
	size_t n;

	sl_put32(mask, STUN_COOKIE);
	memcpy(mask + 4, m->tid, sizeof(m->tid));
	sl_rd_skip(v, 1);
	uint8_t family = sl_rd8(v);
	out->port = sl_rd16(v) ^ (uint16_t)(STUN_COOKIE >> 16);
	n = sl_rd_left(v);
	sl_rd_copy(v, out->ip, n);
	for (size_t i = 0; i < n; i++)
		out->ip[i] ^= mask[i];
	out->family = family == 1 ? 4 : 6;
	return (family == 1 && n == 4) || (family == 2 && n == 16);
}

static bool read_mapped(struct sl_rd *v, struct sl_stun *m)
{
	return read_xored(v, m, &m->mapped);
}

static bool read_relayed(struct sl_rd *v, struct sl_stun *m)
{
	return read_xored(v, m, &m->relayed);
}

static bool read_peer(struct sl_rd *v, struct sl_stun *m)
{
	return read_xored(v, m, &m->peer);
}

static bool read_channel(struct sl_rd *v, struct sl_stun *m)
{
	m->channel = sl_rd16(v);
	return true;
}

static bool read_lifetime(struct sl_rd *v, struct sl_stun *m)
{
	m->lifetime_s = sl_rd32(v);
	return true;
}

static bool read_payload(struct sl_rd *v, struct sl_stun *m)
{
	m->payload = rest_of(v);
	return true;
}

static bool read_family(struct sl_rd *v, struct sl_stun *m)
{
	uint8_t family = sl_rd8(v);

	m->family = family == 1 ? 4 : 6;
	return family == 1 || family == 2;
}

/* RFC 8656 section 18.7: 17 is UDP. */
static bool read_transport(struct sl_rd *v, struct sl_stun *m)
{
	(void)m;
	return sl_rd8(v) == 17;
}

static const struct attr attrs[] = {
	{0x0001, 0, 1500, STUN_OTHER, NULL}, /* MAPPED-ADDRESS */
	{0x0006, 0, STUN_USERNAME_MAX, STUN_USERNAME, read_username},
	{0x0008, 20, 20, STUN_INTEGRITY, NULL},
	{0x0009, 4, 1500, STUN_ERROR_CODE, read_error},
	{0x000a, 0, 1500, STUN_UNKNOWN_ATTRS, NULL},
	{0x0014, 0, SL_TURN_REALM_MAX, STUN_REALM, read_realm},
	{0x0015, 0, SL_TURN_NONCE_MAX, STUN_NONCE, read_nonce},
	{0x001c, 16, 32, STUN_OTHER, NULL}, /* MESSAGE-INTEGRITY-SHA256 */
	{0x0020, 8, 20, STUN_XOR_MAPPED, read_mapped},
	{0x0024, 4, 4, STUN_PRIORITY, read_priority},
	{0x0025, 0, 0, STUN_USE_CANDIDATE, NULL},
	{0x8028, 4, 4, STUN_FINGERPRINT, NULL},
	{0x8029, 8, 8, STUN_CONTROLLED, read_role},
	{0x802a, 8, 8, STUN_CONTROLLING, read_role},
};

/* RFC 8656 section 18. */
static const struct attr turn_attrs[] = {
	{0x000c, 4, 4, STUN_CHANNEL, read_channel},
	{0x000d, 4, 4, STUN_LIFETIME, read_lifetime},
	{0x0012, 8, 20, STUN_PEER, read_peer},
	{0x0013, 0, UINT16_MAX, STUN_DATA_ATTR, read_payload},
	{0x0016, 8, 20, STUN_RELAYED, read_relayed},
	{0x0017, 4, 4, STUN_FAMILY, read_family},
	{0x0019, 4, 4, STUN_TRANSPORT, read_transport},
};

static const struct attr *find(const struct attr *table, size_t n, uint16_t type)
{
	for (size_t i = 0; i < n; i++)
		if (table[i].type == type)
			return &table[i];
	return NULL;
}

static const struct attr *attr_of(uint16_t type, bool turn)
{
	const struct attr *a = find(attrs, SL_COUNT(attrs), type);

	return a || !turn ? a : find(turn_attrs, SL_COUNT(turn_attrs), type);
}

/* RFC 8489 section 14.7: the header's length covers the attribute already, for it is the last one.
 */
static bool fingerprint_is_right(const struct sl_stun *m, size_t at)
{
	return (sl_crc32(m->data, at) ^ UINT32_C(0x5354554e)) == sl_get32(m->data + at + 4);
}

/* RFC 8489 section 14.5: after MESSAGE-INTEGRITY come only its SHA-256 sibling and FINGERPRINT;
 * nothing after that. */
static bool in_order(const struct sl_stun *m, uint16_t type)
{
	if (m->has & STUN_FINGERPRINT)
		return false;
	return !(m->has & STUN_INTEGRITY) || type == 0x001c || type == 0x8028;
}

static void note_unknown(struct sl_stun *m, uint16_t type)
{
	/* RFC 8489 section 14: types under 0x8000 have to be understood. */
	if (type < 0x8000 && m->unknown_count < STUN_UNKNOWN_MAX)
		m->unknown[m->unknown_count++] = type;
}

static int read_attr(struct sl_rd *r, struct sl_stun *m, bool turn)
{
	size_t at = m->len - sl_rd_left(r);
	uint16_t type = sl_rd16(r);
	uint16_t n = sl_rd16(r);
	struct sl_rd v = sl_rd_sub(r, n);
	const struct attr *a = attr_of(type, turn);

	sl_rd_skip(r, (size_t)(4 - n % 4) % 4);
	if (r->bad || !in_order(m, type))
		return SL_EPARSE;
	if (!a) {
		note_unknown(m, type);
		return SL_OK;
	}
	if (n < a->min_len || n > a->max_len)
		return SL_EPARSE;
	if (m->has & a->flag)
		return SL_OK; /* RFC 8489 section 14: of several only the first counts */
	if (a->flag == STUN_INTEGRITY)
		m->integrity_at = at;
	if (a->flag == STUN_FINGERPRINT && !fingerprint_is_right(m, at))
		return SL_EPARSE;
	if (a->read && (!a->read(&v, m) || v.bad))
		return SL_EPARSE;
	m->has |= a->flag;
	return SL_OK;
}

/*  0 0 | type, 14 bits | length, 16 bits | cookie | transaction id, 96 bits      RFC 8489 section 5
 */
static int read_header(struct sl_rd *r, struct sl_stun *m)
{
	uint16_t type = sl_rd16(r);
	uint16_t len = sl_rd16(r);
	uint32_t cookie = sl_rd32(r);

	sl_rd_copy(r, m->tid, sizeof(m->tid));
	if (r->bad || (type & 0xc000) || len % 4 || len != sl_rd_left(r) || cookie != STUN_COOKIE)
		return SL_EPARSE;
	m->class_ = (enum sl_stun_class)((type >> 7 & 2) | (type >> 4 & 1));
	m->method = (uint16_t)((type & 0xf) | (type >> 1 & 0x70) | (type >> 2 & 0xf80));
	return SL_OK;
}

static int read_message(const uint8_t *data, size_t len, struct sl_stun *out, bool turn)
{
	struct sl_rd r = sl_rd(data, len);
	int err, n = 0;

	memset(out, 0, sizeof(*out));
	out->data = data;
	out->len = len;
	err = read_header(&r, out);
	while (!err && sl_rd_left(&r) > 0)
		err = ++n > STUN_ATTRS_MAX ? SL_EPARSE : read_attr(&r, out, turn);
	return err;
}

int stun_read(const uint8_t *data, size_t len, struct sl_stun *out)
{
	return read_message(data, len, out, false);
}

int stun_read_turn(const uint8_t *data, size_t len, struct sl_stun *out)
{
	return read_message(data, len, out, true);
}

int stun_check(const struct sl_stun *m, const void *key, size_t key_len)
{
	uint8_t len[2], mac[SL_SHA1_LEN];
	int err;

	if (!(m->has & STUN_INTEGRITY))
		return SL_EAUTH;
	/* RFC 8489 section 14.5: hashed as if MESSAGE-INTEGRITY were the last attribute. */
	sl_put16(len, (uint16_t)(m->integrity_at + 24 - STUN_HEADER_LEN));
	const struct sl_piece pieces[] = {
		{m->data, 2},
		{len, 2},
		{m->data + 4, m->integrity_at - 4},
	};
	err = sl_hmac_sha1(key, key_len, pieces, SL_COUNT(pieces), mac);
	if (err)
		return err;
	return sl_const_eq(mac, m->data + m->integrity_at + 4, sizeof(mac)) ? SL_OK : SL_EAUTH;
}

int sl_stun_peek(const uint8_t *data, size_t len, struct sl_stun_peek *out)
{
	struct sl_stun m;
	int err = stun_read(data, len, &m);

	if (err)
		return err;
	memset(out, 0, sizeof(*out));
	out->class_ = m.class_;
	out->method = m.method;
	if (m.class_ == SL_STUN_REQUEST && (m.has & STUN_USERNAME))
		out->local_ufrag = sl_str_cut(&m.username, ':');
	out->tid_tag = sl_get32(m.tid);
	return SL_OK;
}
