/* SPDX-License-Identifier: Apache-2.0
 * core/base/str.c — slices, the text builder, and hex, base64, percent and JSON codings. */
#include "core/base/str.h"
#include <stdio.h>

struct sl_str sl_str_z(const char *z)
{
	return sl_str(z, z ? strlen(z) : 0);
}

bool sl_str_eq(struct sl_str a, struct sl_str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static char lower(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c + 'a' - 'A');
	return c;
}

bool sl_str_ieq(struct sl_str a, struct sl_str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

bool sl_str_starts(struct sl_str s, struct sl_str prefix)
{
	return s.n >= prefix.n && sl_str_eq(sl_str(s.p, prefix.n), prefix);
}

static void drop_front(struct sl_str *s, size_t n)
{
	if (n) {
		s->p += n;
		s->n -= n;
	}
}

struct sl_str sl_str_cut(struct sl_str *s, char sep)
{
	const char *at = s->n ? memchr(s->p, sep, s->n) : NULL;
	struct sl_str front = sl_str(s->p, at ? (size_t)(at - s->p) : s->n);

	drop_front(s, front.n + (at != NULL));
	return front;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

struct sl_str sl_str_word(struct sl_str *s)
{
	struct sl_str word;
	size_t n = 0;

	while (s->n && blank(*s->p))
		drop_front(s, 1);
	while (n < s->n && !blank(s->p[n]))
		n++;
	word = sl_str(s->p, n);
	drop_front(s, n);
	return word;
}

struct sl_str sl_str_trim(struct sl_str s)
{
	while (s.n && blank(*s.p))
		drop_front(&s, 1);
	while (s.n && blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool sl_str_u64(struct sl_str s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint64_t digit = (uint64_t)(uint8_t)s.p[i] - '0';

		if (digit > 9 || v > max / 10 || digit > max - v * 10)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}

bool sl_str_u32(struct sl_str s, uint32_t max, uint32_t *out)
{
	uint64_t v;

	if (!sl_str_u64(s, max, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

bool sl_str_copy(char *dst, size_t cap, struct sl_str s)
{
	if (cap == 0)
		return false;
	dst[0] = '\0';
	if (s.n >= cap || (s.n && memchr(s.p, '\0', s.n)))
		return false;
	if (s.n)
		memcpy(dst, s.p, s.n);
	dst[s.n] = '\0';
	return true;
}

/* ---- UTF-8 ---- */

/* RFC 3629 section 4: what may start a character, and what its second byte may be. The rest are 80
 * to BF. */
static const struct {
	uint8_t first_lo, first_hi, second_lo, second_hi, len;
} utf8_forms[] = {
	{0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
	{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
	{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* Length of the character at p, and its code point; 0 when the bytes there are not UTF-8. n > 0. */
static size_t utf8_char(const uint8_t *p, size_t n, uint32_t *code)
{
	size_t form = 0, len;

	while (form < SL_COUNT(utf8_forms) &&
	       (p[0] < utf8_forms[form].first_lo || p[0] > utf8_forms[form].first_hi))
		form++;
	if (form == SL_COUNT(utf8_forms) || utf8_forms[form].len > n)
		return 0;
	len = utf8_forms[form].len;
	*code = len == 1 ? p[0] : p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		uint8_t lo = i == 1 ? utf8_forms[form].second_lo : 0x80;
		uint8_t hi = i == 1 ? utf8_forms[form].second_hi : 0xbf;

		if (p[i] < lo || p[i] > hi)
			return 0;
		*code = *code << 6 | (p[i] & 0x3f);
	}
	return len;
}

bool sl_utf8_valid(const void *p, size_t n)
{
	const uint8_t *at = p;
	uint32_t code;

	while (n > 0) {
		size_t len = utf8_char(at, n, &code);

		if (len == 0)
			return false;
		at += len;
		n -= len;
	}
	return true;
}

/* ---- builder ---- */

struct sl_buf sl_buf(char *p, size_t cap)
{
	SL_ASSERT(cap > 0);
	p[0] = '\0';
	return (struct sl_buf){.p = p, .cap = cap};
}

void sl_buf_add(struct sl_buf *b, const char *p, size_t n)
{
	if (b->full || n >= b->cap - b->n) {
		b->full = true;
		return;
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = '\0';
}

void sl_buf_str(struct sl_buf *b, struct sl_str s)
{
	sl_buf_add(b, s.p, s.n);
}

void sl_buf_z(struct sl_buf *b, const char *z)
{
	sl_buf_str(b, sl_str_z(z));
}

void sl_buf_char(struct sl_buf *b, char c)
{
	sl_buf_add(b, &c, 1);
}

void sl_buf_fmt(struct sl_buf *b, const char *fmt, ...)
{
	size_t room = b->cap - b->n;
	va_list ap;
	int n;

	if (b->full)
		return;
	va_start(ap, fmt);
	n = vsnprintf(b->p + b->n, room, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < room) {
		b->n += (size_t)n;
		return;
	}
	b->p[b->n] = '\0';
	b->full = true;
}

bool sl_fmt(char *dst, size_t cap, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(dst, cap, fmt, ap);
	va_end(ap);
	return n >= 0 && (size_t)n < cap;
}

/* ---- JSON ---- */

/* Characters that move a cursor, end a line or turn the direction of text: legal in JSON, not in a
 * terminal. */
static bool unprintable(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code <= 0x9f) ||
	       (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

enum { JSON_UNIT = 8 };

/* One character as JSON writes it; a byte that is not UTF-8 becomes U+FFFD. Returns the bytes
 * taken. n > 0. */
static size_t json_unit(const uint8_t *p, size_t n, char out[JSON_UNIT])
{
	static const char shorts[][3] = {"\"\"", "\\\\", "\nn", "\rr", "\tt"};
	uint32_t code = 0xfffd;
	size_t len = utf8_char(p, n, &code);

	for (size_t i = 0; len == 1 && i < SL_COUNT(shorts); i++)
		if ((uint32_t)shorts[i][0] == code) {
			(void)sl_fmt(out, JSON_UNIT, "\\%c", shorts[i][1]);
			return 1;
		}
	if (len == 0)
		(void)sl_fmt(out, JSON_UNIT, "\\ufffd");
	else if (unprintable(code))
		(void)sl_fmt(out, JSON_UNIT, "\\u%04x", (unsigned)code);
	else
		(void)sl_fmt(out, JSON_UNIT, "%.*s", (int)len, (const char *)p);
	return len ? len : 1;
}

void sl_buf_json_cut(struct sl_buf *b, struct sl_str s, size_t max)
{
	size_t start = b->n, used = 0, i = 0;

	sl_buf_char(b, '"');
	while (i < s.n && !b->full) {
		char unit[JSON_UNIT];
		size_t took = json_unit((const uint8_t *)s.p + i, s.n - i, unit);

		used += strlen(unit);
		if (used > max) {
			sl_buf_z(b, "...");
			break;
		}
		sl_buf_z(b, unit);
		i += took;
	}
	sl_buf_char(b, '"');
	if (b->full) {
		b->n = start;
		b->p[start] = '\0';
	}
}

void sl_buf_json(struct sl_buf *b, struct sl_str s)
{
	sl_buf_json_cut(b, s, SIZE_MAX);
}

/* ---- hex and percent ---- */

int sl_hex(const void *src, size_t n, char *dst, size_t cap)
{
	const uint8_t *p = src;

	if (n > INT32_MAX / 2 || cap <= 2 * n)
		return SL_EFULL;
	for (size_t i = 0; i < n; i++) {
		dst[2 * i] = "0123456789abcdef"[p[i] >> 4];
		dst[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
	}
	dst[2 * n] = '\0';
	return (int)(2 * n);
}

/* -1 when it is none. */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte of two hex digits, or -1. */
static int hex_pair(const char *p)
{
	int hi = hex_digit(p[0]);
	int lo = hex_digit(p[1]);

	return hi < 0 || lo < 0 ? -1 : hi << 4 | lo;
}

int sl_unhex(struct sl_str s, void *dst, size_t cap)
{
	uint8_t *out = dst;

	if (s.n % 2 != 0)
		return SL_EPARSE;
	if (s.n / 2 > cap || s.n > INT32_MAX)
		return SL_EFULL;
	for (size_t i = 0; i < s.n / 2; i++) {
		int byte = hex_pair(s.p + 2 * i);

		if (byte < 0)
			return SL_EPARSE;
		out[i] = (uint8_t)byte;
	}
	return (int)(s.n / 2);
}

int sl_percent_decode(struct sl_str s, char *dst, size_t cap)
{
	size_t n = 0;

	if (s.n > INT32_MAX)
		return SL_EFULL;
	for (size_t i = 0; i < s.n; i++) {
		int byte = (uint8_t)s.p[i];

		if (byte == '%') {
			byte = s.n - i > 2 ? hex_pair(s.p + i + 1) : -1;
			i += 2;
		}
		if (byte <= 0)
			return SL_EPARSE;
		if (n + 1 >= cap)
			return SL_EFULL;
		dst[n++] = (char)byte;
	}
	if (cap == 0)
		return SL_EFULL;
	dst[n] = '\0';
	return (int)n;
}

/* ---- base64, RFC 4648 sections 4 and 5 ---- */

#define BASE64_62 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static int base64(const char alphabet[64], bool pad, const uint8_t *p, size_t n, char *dst,
		  size_t cap)
{
	size_t len = pad ? (n + 2) / 3 * 4 : n / 3 * 4 + (n % 3 ? n % 3 + 1 : 0);
	size_t o = 0;

	if (n > INT32_MAX / 2 || cap <= len)
		return SL_EFULL;
	for (size_t i = 0; i < n; i += 3) {
		size_t have = SL_MIN(n - i, 3);
		uint32_t v = (uint32_t)p[i] << 16;

		v |= have > 1 ? (uint32_t)p[i + 1] << 8 : 0;
		v |= have > 2 ? p[i + 2] : 0;
		for (size_t k = 0; k < 4 && o < len; k++)
			dst[o++] = (char)(k <= have ? alphabet[v >> (18 - 6 * k) & 63] : '=');
	}
	dst[o] = '\0';
	return (int)o;
}

int sl_base64(const void *src, size_t n, char *dst, size_t cap)
{
	return base64(BASE64_62 "+/", true, src, n, dst, cap);
}

int sl_base64url(const void *src, size_t n, char *dst, size_t cap)
{
	return base64(BASE64_62 "-_", false, src, n, dst, cap);
}

/* Six bits of a character, or -1. Bit 0 and 1 of *seen tell which alphabet's own characters there
 * were. */
static int base64_value(char c, unsigned *seen)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c != '+' && c != '/' && c != '-' && c != '_')
		return -1;
	*seen |= c == '+' || c == '/' ? 1 : 2;
	return c == '+' || c == '-' ? 62 : 63;
}

/* Takes the padding off; false when it is not what the length asks for. */
static bool base64_unpad(struct sl_str *s)
{
	size_t pads = 0;

	while (pads < s->n && s->p[s->n - 1 - pads] == '=')
		pads++;
	if (pads > 2 || (pads > 0 && s->n % 4 != 0))
		return false;
	s->n -= pads;
	return s->n % 4 != 1;
}

int sl_unbase64(struct sl_str s, void *dst, size_t cap)
{
	uint8_t *out = dst;
	uint32_t acc = 0;
	unsigned bits = 0, seen = 0;
	size_t n = 0;

	if (!base64_unpad(&s))
		return SL_EPARSE;
	if (s.n / 4 * 3 + (s.n % 4 ? s.n % 4 - 1 : 0) > cap || s.n > INT32_MAX)
		return SL_EFULL;
	for (size_t i = 0; i < s.n; i++) {
		int v = base64_value(s.p[i], &seen);

		if (v < 0 || seen == 3)
			return SL_EPARSE;
		acc = (acc << 6 | (uint32_t)v) & 0xffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (uint8_t)(acc >> bits);
		}
	}
	/* RFC 4648 section 3.5: bits left over are zero, or a value would have several texts. */
	return acc & ((1u << bits) - 1) ? SL_EPARSE : (int)n;
}
