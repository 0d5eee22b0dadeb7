/* SPDX-License-Identifier: Apache-2.0
 * core/base/bytes.h — the bounds-checked reader and writer, big endian. The only way to parse what
 * came from the network, and the only way to build what goes there. */
#ifndef SL_BYTES_H
#define SL_BYTES_H
#include "core/base/base.h"

/* Reader over untrusted bytes. The first short read sets `bad` and every later read yields 0, so a
 * parser reads straight through and tests `bad` once, before it acts on what it read. Never two
 * reads in one expression. */
struct sl_rd {
	const uint8_t *p, *end;
	bool bad;
};

/* Writer into a caller's buffer. The first write that does not fit sets `full` and writes nothing
 * from then on. */
struct sl_wr {
	uint8_t *start, *p, *end;
	bool full;
};

static inline uint16_t sl_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t sl_get24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t sl_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t sl_get64(const uint8_t *p)
{
	return (uint64_t)sl_get32(p) << 32 | sl_get32(p + 4);
}

static inline void sl_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void sl_put24(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 16);
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)v;
}

static inline void sl_put32(uint8_t *p, uint32_t v)
{
	sl_put16(p, (uint16_t)(v >> 16));
	sl_put16(p + 2, (uint16_t)v);
}

static inline void sl_put64(uint8_t *p, uint64_t v)
{
	sl_put32(p, (uint32_t)(v >> 32));
	sl_put32(p + 4, (uint32_t)v);
}

static inline struct sl_rd sl_rd(const void *buf, size_t len)
{
	const uint8_t *p = buf;

	return (struct sl_rd){.p = p, .end = p ? p + len : p};
}

static inline size_t sl_rd_left(const struct sl_rd *r)
{
	return (size_t)(r->end - r->p);
}

static inline bool sl_rd_need(struct sl_rd *r, size_t n)
{
	if (!r->bad && sl_rd_left(r) >= n)
		return true;
	r->bad = true;
	r->p = r->end;
	return false;
}

static inline uint8_t sl_rd8(struct sl_rd *r)
{
	return sl_rd_need(r, 1) ? *r->p++ : 0;
}

static inline uint16_t sl_rd16(struct sl_rd *r)
{
	if (!sl_rd_need(r, 2))
		return 0;
	r->p += 2;
	return sl_get16(r->p - 2);
}

static inline uint32_t sl_rd24(struct sl_rd *r)
{
	if (!sl_rd_need(r, 3))
		return 0;
	r->p += 3;
	return sl_get24(r->p - 3);
}

static inline uint32_t sl_rd32(struct sl_rd *r)
{
	if (!sl_rd_need(r, 4))
		return 0;
	r->p += 4;
	return sl_get32(r->p - 4);
}

static inline uint64_t sl_rd64(struct sl_rd *r)
{
	if (!sl_rd_need(r, 8))
		return 0;
	r->p += 8;
	return sl_get64(r->p - 8);
}

/* The next n bytes where they lie, or NULL (and bad). */
static inline const uint8_t *sl_rd_bytes(struct sl_rd *r, size_t n)
{
	if (!sl_rd_need(r, n))
		return NULL;
	r->p += n;
	return r->p - n;
}

static inline void sl_rd_skip(struct sl_rd *r, size_t n)
{
	(void)sl_rd_bytes(r, n);
}

/* Copies n bytes out; on a short read fills with zeros. */
static inline void sl_rd_copy(struct sl_rd *r, void *out, size_t n)
{
	const uint8_t *p = sl_rd_bytes(r, n);

	if (p)
		memcpy(out, p, n);
	else
		memset(out, 0, n);
}

/* A reader of exactly the next n bytes: a nested length cannot escape its parent. */
static inline struct sl_rd sl_rd_sub(struct sl_rd *r, size_t n)
{
	if (!sl_rd_need(r, n))
		return (struct sl_rd){.p = r->end, .end = r->end, .bad = true};
	r->p += n;
	return sl_rd(r->p - n, n);
}

static inline struct sl_wr sl_wr(void *buf, size_t cap)
{
	uint8_t *p = buf;

	return (struct sl_wr){.start = p, .p = p, .end = p + cap};
}

static inline size_t sl_wr_len(const struct sl_wr *w)
{
	return (size_t)(w->p - w->start);
}

static inline size_t sl_wr_left(const struct sl_wr *w)
{
	return (size_t)(w->end - w->p);
}

/* Room for n bytes, to be filled by the caller, or NULL (and full). */
static inline uint8_t *sl_wr_space(struct sl_wr *w, size_t n)
{
	if (w->full || sl_wr_left(w) < n) {
		w->full = true;
		return NULL;
	}
	w->p += n;
	return w->p - n;
}

static inline void sl_wr8(struct sl_wr *w, uint8_t v)
{
	uint8_t *p = sl_wr_space(w, 1);

	if (p)
		*p = v;
}

static inline void sl_wr16(struct sl_wr *w, uint16_t v)
{
	uint8_t *p = sl_wr_space(w, 2);

	if (p)
		sl_put16(p, v);
}

static inline void sl_wr24(struct sl_wr *w, uint32_t v)
{
	uint8_t *p = sl_wr_space(w, 3);

	if (p)
		sl_put24(p, v);
}

static inline void sl_wr32(struct sl_wr *w, uint32_t v)
{
	uint8_t *p = sl_wr_space(w, 4);

	if (p)
		sl_put32(p, v);
}

static inline void sl_wr64(struct sl_wr *w, uint64_t v)
{
	uint8_t *p = sl_wr_space(w, 8);

	if (p)
		sl_put64(p, v);
}

static inline void sl_wr_bytes(struct sl_wr *w, const void *src, size_t n)
{
	uint8_t *p = sl_wr_space(w, n);

	if (p && n)
		memcpy(p, src, n);
}

static inline void sl_wr_zeros(struct sl_wr *w, size_t n)
{
	uint8_t *p = sl_wr_space(w, n);

	if (p)
		memset(p, 0, n);
}
#endif
