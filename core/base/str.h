/* SPDX-License-Identifier: Apache-2.0
 * core/base/str.h — slices of text, a bounded text builder, and the text codings of the wire. */
#ifndef SL_STR_H
#define SL_STR_H
#include "core/base/base.h"
#include <stdarg.h>

/* Borrowed text, not NUL-terminated. */
struct sl_str {
	const char *p;
	size_t n;
};

#define SL_STR(lit) ((struct sl_str){(lit), sizeof(lit) - 1})
#define SL_STR_ARG(s) (int)(s).n, (s).p         /* for "%.*s" */

static inline struct sl_str sl_str(const char *p, size_t n)
{
	return (struct sl_str){p, n};
}

/* Of a NUL-terminated string; empty for NULL. */
struct sl_str sl_str_z(const char *z);
bool sl_str_eq(struct sl_str a, struct sl_str b);
bool sl_str_ieq(struct sl_str a, struct sl_str b);              /* ASCII case folded */
bool sl_str_starts(struct sl_str s, struct sl_str prefix);
/* Cuts the part before the first `sep` off the front of *s and returns it; all of it when there is
 * no `sep`. */
struct sl_str sl_str_cut(struct sl_str *s, char sep);
/* Next word between blanks (space, tab), skipping leading ones; empty at the end. */
struct sl_str sl_str_word(struct sl_str *s);
struct sl_str sl_str_trim(struct sl_str s);
/* Whole slice as a number: digits only, no sign, no blanks. False when it is not one or exceeds
 * max. */
bool sl_str_u64(struct sl_str s, uint64_t max, uint64_t *out) SL_MUST_USE;
bool sl_str_u32(struct sl_str s, uint32_t max, uint32_t *out) SL_MUST_USE;
/* Copies as a NUL-terminated string; false (and empty) when it does not fit or holds a NUL. */
bool sl_str_copy(char *dst, size_t cap, struct sl_str s) SL_MUST_USE;
bool sl_utf8_valid(const void *p, size_t n);

/* Text builder into a caller's buffer; always NUL-terminated; `full` once something did not fit
 * (nothing partial). */
struct sl_buf {
	char *p;
	size_t n, cap;
	bool full;
};

/* cap counts the NUL and must be above 0. */
struct sl_buf sl_buf(char *p, size_t cap);
void sl_buf_add(struct sl_buf *b, const char *p, size_t n);
void sl_buf_z(struct sl_buf *b, const char *z);
void sl_buf_str(struct sl_buf *b, struct sl_str s);
void sl_buf_char(struct sl_buf *b, char c);
void sl_buf_fmt(struct sl_buf *b, const char *fmt, ...) SL_PRINTF(2, 3);
/* JSON string content, quotes included: control characters, quotes and invalid UTF-8 escaped. */
void sl_buf_json(struct sl_buf *b, struct sl_str s);
/* The same, but cut before it would be longer than max bytes between the quotes, and then ended by
 * "...". */
void sl_buf_json_cut(struct sl_buf *b, struct sl_str s, size_t max);

/* Bounded format into a buffer; returns false when it did not fit (text is then cut, still
 * terminated). */
bool sl_fmt(char *dst, size_t cap, const char *fmt, ...) SL_PRINTF(3, 4);

/* Hex: lower case, 2n characters and NUL. Returns characters written, or SL_EFULL. */
int sl_hex(const void *src, size_t n, char *dst, size_t cap);
/* Bytes written, SL_EPARSE for odd length or another character, SL_EFULL. */
SL_MUST_USE int sl_unhex(struct sl_str s, void *dst, size_t cap);
/* base64 with padding, and base64url without. Characters written (NUL follows), or SL_EFULL. */
int sl_base64(const void *src, size_t n, char *dst, size_t cap);
int sl_base64url(const void *src, size_t n, char *dst, size_t cap);
/* Accepts either alphabet's own characters strictly; padding optional. Bytes written, SL_EPARSE or
 * SL_EFULL. */
SL_MUST_USE int sl_unbase64(struct sl_str s, void *dst, size_t cap);
/* Percent-decoding of one path segment: SL_EPARSE for a bad escape or a NUL. Bytes written (NUL
 * follows), or SL_EFULL. */
SL_MUST_USE int sl_percent_decode(struct sl_str s, char *dst, size_t cap);
#endif
