/* SPDX-License-Identifier: Apache-2.0
 * rtp/ext.c — header extensions (RFC 8285): where they lie in a packet, and the header that a
 * subscriber gets. */
#include "rtp/rtp.h"

enum { ONE_BYTE = 0xBEDE, TWO_BYTE = 0x1000, TWO_BYTE_MASK = 0xfff0 };
enum { ONE_BYTE_ID_MAX = 14, ONE_BYTE_LEN_MAX = 16 };

static const char *const uris[SL_EXT_COUNT] = {
#define X(name, uri) [SL_EXT_##name] = uri,
	SL_EXTS(X)
#undef X
};

const char *sl_ext_uri(enum sl_ext e)
{
	return (unsigned)e < SL_EXT_COUNT ? uris[e] : "";
}

enum sl_ext sl_ext_by_uri(struct sl_str uri)
{
	unsigned e = 0;

	while (e < SL_EXT_COUNT && !sl_str_eq(uri, sl_str_z(uris[e])))
		e++;
	return (enum sl_ext)e;
}

/* ---- reading ---- */

/* The first of two with one id counts. */
static void note(struct sl_exts *out, const struct sl_ext_map *map, uint8_t id, size_t off,
		 size_t len)
{
	unsigned e = 0;

	while (e < SL_EXT_COUNT && map->id[e] != id)
		e++;
	if (e == SL_EXT_COUNT || sl_ext_has(out, (enum sl_ext)e))
		return;
	out->have |= 1u << e;
	out->off[e] = (uint16_t)off;
	out->len[e] = (uint8_t)len;
}

/* RFC 8285 section 4.2: |ID 4|len - 1 4|value. A zero byte is padding; id 0 with a length, and id
 * 15, end the walk. */
static void read_one_byte(struct sl_rd r, const uint8_t *p, const struct sl_ext_map *map,
			  struct sl_exts *out)
{
	while (sl_rd_left(&r) > 0) {
		uint8_t b = sl_rd8(&r);
		uint8_t id = b >> 4;
		size_t len = (b & 15u) + 1;
		const uint8_t *value;

		if (b == 0)
			continue;
		value = sl_rd_bytes(&r, len);
		if (id == 0 || id > ONE_BYTE_ID_MAX || !value)
			return;
		note(out, map, id, (size_t)(value - p), len);
	}
}

/* RFC 8285 section 4.3: |ID 8|len 8|value. A zero id is a byte of padding, without a length. */
static void read_two_byte(struct sl_rd r, const uint8_t *p, const struct sl_ext_map *map,
			  struct sl_exts *out)
{
	while (sl_rd_left(&r) > 0) {
		uint8_t id = sl_rd8(&r);
		const uint8_t *value;
		size_t len;

		if (id == 0)
			continue;
		len = sl_rd8(&r);
		value = sl_rd_bytes(&r, len);
		if (!value)
			return;
		note(out, map, id, (size_t)(value - p), len);
	}
}

int sl_ext_read(const uint8_t *p, const struct sl_rtp *rtp, const struct sl_ext_map *map,
		struct sl_exts *out)
{
	struct sl_rd r = sl_rd(p + rtp->ext_off, rtp->ext_len);

	out->have = 0;
	if (rtp->ext_profile == ONE_BYTE)
		read_one_byte(r, p, map, out);
	else if ((rtp->ext_profile & TWO_BYTE_MASK) == TWO_BYTE)
		read_two_byte(r, p, map, out);
	return __builtin_popcount(out->have);
}

/* RFC 6464 section 3: |V|level 7|. */
bool sl_ext_audio_level(const uint8_t *p, const struct sl_exts *e, uint8_t *level, bool *voice)
{
	uint8_t v;

	if (!sl_ext_has(e, SL_EXT_AUDIO_LEVEL) || e->len[SL_EXT_AUDIO_LEVEL] == 0)
		return false;
	v = p[e->off[SL_EXT_AUDIO_LEVEL]];
	*level = v & 0x7f;
	*voice = v >> 7;
	return true;
}

/* Seconds in 6.18 fixed point wrap after 64 s; the remainder first, so that the shift cannot
 * overflow. */
uint32_t sl_abs_send_time(int64_t us)
{
	uint64_t in_wrap = (uint64_t)(us % (64 * SL_SEC) + 64 * SL_SEC) % (64 * SL_SEC);

	return (uint32_t)((in_wrap << 18) / SL_SEC) & 0xffffff;
}

/* ---- writing ---- */

/* 12 + 4 + 236 is the longest header whose length fits a byte. */
enum { EXT_HDR_LEN = 4, EXT_MAX = 236 };

/* In the order in which they get their place. */
/* clang-format off */
static const uint8_t passed_on[SL_HDR_PASSED] = {
	SL_EXT_DEPENDENCY_DESCRIPTOR,
	SL_EXT_AUDIO_LEVEL,
	SL_EXT_VIDEO_ORIENTATION,
	SL_EXT_PLAYOUT_DELAY,
	SL_EXT_COLOR_SPACE,
	SL_EXT_VIDEO_CONTENT_TYPE,
	SL_EXT_ABS_CAPTURE_TIME,
};
/* clang-format on */
_Static_assert(SL_RTP_HDR_MIN + EXT_HDR_LEN + 2 + SL_MID_MAX + 2 + 2 + 2 + 3 <=
		       sizeof(((struct sl_hdr_template *)0)->bytes),
	       "a template holds all values of ours in the two-byte form");

void sl_hdr_writer_init(struct sl_hdr_writer *w, const struct sl_ext_map *map, struct sl_str mid)
{
	w->map = *map;
	w->mid_len = (uint8_t)(mid.n <= SL_MID_MAX ? mid.n : 0);
	if (w->mid_len > 0)
		memcpy(w->mid, mid.p, w->mid_len);
	w->mid[w->mid_len] = '\0';
	w->one_byte_only = false;
	w->count = w->next = 0;
	w->pass = 0;
	for (unsigned i = 0; i < SL_HDR_PASSED; i++)
		if (map->id[passed_on[i]] != 0)
			w->pass |= 1u << passed_on[i];
}

static bool fits_one_byte(const struct sl_hdr_writer *w, enum sl_ext e, size_t len)
{
	return len >= 1 && len <= ONE_BYTE_LEN_MAX && w->map.id[e] <= ONE_BYTE_ID_MAX;
}

static bool want_new(const struct sl_hdr_writer *w, enum sl_ext e, size_t len)
{
	return w->map.id[e] != 0 && len > 0 && (!w->one_byte_only || fits_one_byte(w, e, len));
}

/* One value that is too long, empty, or has a high id makes the whole packet two-byte (RFC 8285
 * section 4.1.2). */
static bool needs_two_byte(const struct sl_hdr_writer *w, const struct sl_hdr_template *t)
{
	bool all = true;

	if (want_new(w, SL_EXT_MID, w->mid_len))
		all = all && fits_one_byte(w, SL_EXT_MID, w->mid_len);
	if (want_new(w, SL_EXT_TWCC, 2))
		all = all && fits_one_byte(w, SL_EXT_TWCC, 2);
	if (want_new(w, SL_EXT_ABS_SEND_TIME, 3))
		all = all && fits_one_byte(w, SL_EXT_ABS_SEND_TIME, 3);
	for (uint32_t m = t->have; m != 0; m &= m - 1) {
		enum sl_ext e = (enum sl_ext)__builtin_ctz(m);

		all = all && fits_one_byte(w, e, t->lens[e]);
	}
	return !all && !w->one_byte_only;
}

static uint8_t *put_element(uint8_t *p, bool two_byte, uint8_t id, uint8_t len)
{
	if (two_byte) {
		*p++ = id;
		*p++ = len;
	} else {
		*p++ = (uint8_t)(id << 4 | (len - 1));
	}
	return p;
}

/* A value of ours: bytes, or zeros to be patched. Returns its offset, or 0 if it is not wanted. */
static uint8_t add_new(const struct sl_hdr_writer *w, struct sl_hdr_template *t, enum sl_ext e,
		       const void *value, uint8_t len)
{
	uint8_t *start = t->bytes + t->start_len;
	uint8_t *p;

	if (!want_new(w, e, len))
		return 0;
	p = put_element(start, t->two_byte, w->map.id[e], len);
	if (value)
		memcpy(p, value, len);
	t->start_len = (uint8_t)(p + len - t->bytes);
	return (uint8_t)(p - t->bytes);
}

static size_t add_passed(const struct sl_hdr_writer *w, struct sl_hdr_template *t)
{
	size_t used = t->start_len;

	for (unsigned i = 0; i < SL_HDR_PASSED; i++) {
		enum sl_ext e = (enum sl_ext)passed_on[i];
		size_t need = (t->two_byte ? 2u : 1u) + t->lens[e];

		if (!(t->have >> e & 1) || used + need > SL_RTP_HDR_MIN + EXT_HDR_LEN + EXT_MAX)
			continue;
		if (!t->two_byte && !fits_one_byte(w, e, t->lens[e]))
			continue;
		t->passed[t->count++] = (uint8_t)e;
		used += need;
	}
	return used;
}

static void make_template(const struct sl_hdr_writer *w, const struct sl_exts *exts, uint32_t have,
			  struct sl_hdr_template *t)
{
	size_t words;

	memset(t, 0, sizeof(*t));
	t->have = have;
	for (uint32_t m = have; m != 0; m &= m - 1)
		t->lens[__builtin_ctz(m)] = exts->len[__builtin_ctz(m)];
	t->two_byte = needs_two_byte(w, t);
	t->start_len = SL_RTP_HDR_MIN + EXT_HDR_LEN;
	add_new(w, t, SL_EXT_MID, w->mid, w->mid_len);
	t->twcc_off = add_new(w, t, SL_EXT_TWCC, NULL, 2);
	t->abs_send_time_off = add_new(w, t, SL_EXT_ABS_SEND_TIME, NULL, 3);
	words = (add_passed(w, t) - SL_RTP_HDR_MIN - EXT_HDR_LEN + 3) / 4;
	t->bytes[0] = 2 << 6;
	if (words == 0) {
		t->start_len = t->len = SL_RTP_HDR_MIN;
		return;
	}
	t->bytes[0] |= 0x10;
	sl_put16(t->bytes + 12, t->two_byte ? TWO_BYTE : ONE_BYTE);
	sl_put16(t->bytes + 14, (uint16_t)words);
	t->len = (uint8_t)(SL_RTP_HDR_MIN + EXT_HDR_LEN + 4 * words);
}

static bool matches(const struct sl_hdr_template *t, const struct sl_exts *exts, uint32_t have)
{
	if (t->have != have)
		return false;
	for (uint32_t m = have; m != 0; m &= m - 1)
		if (t->lens[__builtin_ctz(m)] != exts->len[__builtin_ctz(m)])
			return false;
	return true;
}

static const struct sl_hdr_template *find_template(struct sl_hdr_writer *w,
						   const struct sl_exts *exts, uint32_t have)
{
	struct sl_hdr_template *t;

	for (unsigned i = 0; i < w->count; i++)
		if (matches(&w->t[i], exts, have))
			return &w->t[i];
	t = &w->t[w->next];
	w->next = (uint8_t)((w->next + 1) % SL_HDR_TEMPLATES);
	if (w->count < SL_HDR_TEMPLATES)
		w->count++;
	make_template(w, exts, have, t);
	return t;
}

size_t sl_hdr_write(struct sl_hdr_writer *w, const uint8_t *src, const struct sl_exts *exts,
		    const struct sl_hdr_out *h, uint8_t *out)
{
	uint32_t have = exts ? exts->have & w->pass : 0;
	const struct sl_hdr_template *t = find_template(w, exts, have);
	uint8_t *p = out + t->start_len;

	memcpy(out, t->bytes, sizeof(t->bytes));
	out[1] = (uint8_t)((h->marker ? 0x80 : 0) | (h->pt & 0x7f));
	sl_put16(out + 2, h->seq);
	sl_put32(out + 4, h->ts);
	sl_put32(out + 8, h->ssrc);
	if (t->twcc_off)
		sl_put16(out + t->twcc_off, h->twcc_seq);
	if (t->abs_send_time_off)
		sl_put24(out + t->abs_send_time_off, h->abs_send_time);
	if (t->count == 0)
		return t->len; /* its padding came with the template */
	for (unsigned i = 0; exts && i < t->count; i++) {
		enum sl_ext e = (enum sl_ext)t->passed[i];
		uint8_t len = exts->len[e];

		p = put_element(p, t->two_byte, w->map.id[e], len);
		memcpy(p, src + exts->off[e], len);
		p += len;
	}
	while (p < out + t->len)
		*p++ = 0;
	return t->len;
}
