/* SPDX-License-Identifier: Apache-2.0
 * api/json.c — is this text JSON that we want? Only then cJSON sees it. */
#include "api/json.h"
#include "core/base/hash.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include <stdarg.h>
#include <stdio.h>

enum { QUOTE_MAX = 40, CHUNK_LEN = 64 };

/* What may stand where the scanner is. */
enum place { VALUE, FIRST_ITEM, FIRST_KEY, KEY, NEXT, END, PLACE_COUNT };

struct key {
	uint64_t hash;
	uint32_t at; /* of what follows the quote; 0: this slot is empty */
	uint32_t object;
};

struct scan {
	/* owned */
	struct key *keys; /* open addressing, never more than half full; taken for the first key */
	/* borrowed */
	const char *start, *p, *end;
	struct api_json_why *why;
	/* state */
	struct api_json_limits max;
	enum place place;
	uint32_t mask, values, objects, depth;
	uint32_t levels[API_JSON_DEPTH_MAX]; /* the number of the open object, or 0 for an array */
};

static uint64_t secret[2] = {UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xd1b54a32d192ed03)};

void api_json_seed(const struct sl_rng *rng)
{
	secret[0] = sl_rng_u64(rng);
	secret[1] = sl_rng_u64(rng);
}

static SL_PRINTF(4, 5) int fail(struct scan *s, int err, const char *at, const char *fmt, ...)
{
	struct api_json_why *why = s->why;
	struct sl_buf b = sl_buf(why->text, sizeof(why->text));
	char what[200];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	why->at = (size_t)(at - s->start);
	sl_buf_fmt(&b, "JSON, byte %zu: %s.", why->at, what);
	return err;
}

static int fail_here(struct scan *s, const char *what)
{
	if (s->p == s->end)
		return fail(s, SL_EPARSE, s->p, "the text ends too early");
	return fail(s, SL_EPARSE, s->p, "%s", what);
}

static size_t left(const struct scan *s)
{
	return (size_t)(s->end - s->p);
}

static bool at_char(const struct scan *s, char c)
{
	return s->p < s->end && *s->p == c;
}

static bool at_digit(const struct scan *s)
{
	return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

/* RFC 8259 section 2: these four and no others. */
static void skip_blanks(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

/* ---- strings ---- */

/* The four hex digits at p, or -1. */
static int hex4(const char *p, size_t n)
{
	uint8_t b[2];

	if (n < 4 || sl_unhex(sl_str(p, 4), b, sizeof(b)) < 0)
		return -1;
	return b[0] << 8 | b[1];
}

static bool is_high(int unit)
{
	return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low(int unit)
{
	return unit >= 0xdc00 && unit <= 0xdfff;
}

/* At "\u". RFC 8259 section 7: beyond U+FFFF two of them make one character. */
static int scan_unicode(struct scan *s)
{
	const char *at = s->p;
	int unit = hex4(at + 2, left(s) - 2), low;

	if (unit < 0)
		return fail(s, SL_EPARSE, at, "\\u is not followed by four hex digits");
	if (unit == 0)
		return fail(s, SL_EPARSE, at, "\\u0000 is not accepted");
	s->p += 6;
	if (!is_high(unit) && !is_low(unit))
		return SL_OK;
	low = left(s) >= 6 && s->p[0] == '\\' && s->p[1] == 'u' ? hex4(s->p + 2, 4) : -1;
	if (is_low(unit) || !is_low(low))
		return fail(s, SL_EPARSE, at, "half a surrogate pair stands alone");
	s->p += 6;
	return SL_OK;
}

static int scan_escape(struct scan *s)
{
	if (left(s) < 2)
		return fail(s, SL_EPARSE, s->end, "the text ends too early");
	if (s->p[1] == 'u')
		return scan_unicode(s);
	if (!s->p[1] || !strchr("\"\\/bfnrt", s->p[1]))
		return fail(s, SL_EPARSE, s->p, "there is no such escape");
	s->p += 2;
	return SL_OK;
}

/* At a byte of 0x80 or more: exactly one character of UTF-8, or nothing. */
static int scan_wide(struct scan *s)
{
	uint8_t lead = (uint8_t)*s->p;
	size_t n = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;

	if (n > left(s) || !sl_utf8_valid(s->p, n))
		return fail(s, SL_EPARSE, s->p, "this is not UTF-8");
	s->p += n;
	return SL_OK;
}

static int scan_string(struct scan *s)
{
	int err = SL_OK;

	s->p++;
	while (!err && s->p < s->end && *s->p != '"') {
		uint8_t c = (uint8_t)*s->p;

		if (c == '\\')
			err = scan_escape(s);
		else if (c >= 0x80)
			err = scan_wide(s);
		else if (c < 0x20)
			err = fail(s, SL_EPARSE, s->p, "a control character stands in a string");
		else
			s->p++;
	}
	if (!err && s->p == s->end)
		err = fail(s, SL_EPARSE, s->p, "the text ends inside a string");
	s->p += !err;
	return err;
}

/* ---- keys ---- */

/* Gives the bytes that a string stands for. It was scanned: nothing here can run past its end. */
struct unescape {
	const char *p;
	uint8_t wide[4];
	size_t have, given;
};

static size_t encode_utf8(uint32_t code, uint8_t out[4])
{
	size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n; i-- > 1; code >>= 6)
		out[i] = (uint8_t)(0x80 | (code & 0x3f));
	out[0] = (uint8_t)(marks[n] | code);
	return n;
}

static void unescape_unicode(struct unescape *u)
{
	int unit = hex4(u->p + 2, 4);
	uint32_t code = (uint32_t)unit;

	u->p += 6;
	if (is_high(unit)) {
		code = 0x10000 + ((uint32_t)(unit - 0xd800) << 10) +
		       (uint32_t)(hex4(u->p + 2, 4) - 0xdc00);
		u->p += 6;
	}
	u->have = encode_utf8(code, u->wide);
	u->given = 0;
}

/* -1 at the end of the string. */
static int next_byte(struct unescape *u)
{
	static const char shorts[] = "b\bf\fn\nr\rt\t";

	if (u->given == u->have && u->p[0] == '\\' && u->p[1] == 'u')
		unescape_unicode(u);
	if (u->given < u->have)
		return u->wide[u->given++];
	if (*u->p == '"')
		return -1;
	if (*u->p == '\\') {
		const char *is = strchr(shorts, u->p[1]);

		u->p += 2;
		return is ? is[1] : u->p[-1];
	}
	return (uint8_t)*u->p++;
}

static bool same_key(const char *a, const char *b)
{
	struct unescape x = {.p = a}, y = {.p = b};
	int c, d;

	do {
		c = next_byte(&x);
		d = next_byte(&y);
	} while (c == d && c >= 0);
	return c == d;
}

/* Of the object's number and the key's bytes; in pieces, since a key may be long. */
static uint64_t hash_key(uint32_t object, const char *key)
{
	struct unescape u = {.p = key};
	uint64_t hash = object;
	uint8_t chunk[CHUNK_LEN];
	size_t n = 0;
	int c;

	do {
		c = next_byte(&u);
		if (c >= 0)
			chunk[n++] = (uint8_t)c;
		if (c < 0 || n == sizeof(chunk)) {
			hash = sl_siphash13((uint64_t[2]){secret[0] ^ hash, secret[1]}, chunk, n);
			n = 0;
		}
	} while (c >= 0);
	return hash;
}

/* Every key has a value, and takes five bytes with it: there cannot be more keys than that. */
static int alloc_keys(struct scan *s)
{
	size_t most = SL_MIN(left(s) / 5 + 1, s->max.values);
	size_t slots = 4;

	while (slots < 2 * most)
		slots *= 2;
	s->keys = sl_zalloc_array(slots, sizeof(*s->keys));
	if (!s->keys)
		return fail(s, SL_ENOMEM, s->p, "out of memory");
	s->mask = (uint32_t)(slots - 1);
	return SL_OK;
}

static int fail_twice(struct scan *s, const char *key)
{
	char quoted[QUOTE_MAX + 8];
	struct sl_buf b = sl_buf(quoted, sizeof(quoted));
	const char *end = key;

	while (*end != '"')
		end += *end == '\\' ? 2 : 1;
	sl_buf_json_cut(&b, sl_str(key, (size_t)(end - key)), QUOTE_MAX);
	return fail(s, SL_EPARSE, key - 1, "the key %s stands twice in one object", quoted);
}

/* key: behind the opening quote. */
static int note_key(struct scan *s, const char *key)
{
	uint32_t object = s->levels[s->depth - 1];
	uint64_t hash = hash_key(object, key);
	uint32_t i = (uint32_t)hash & s->mask;

	for (; s->keys[i].at; i = (i + 1) & s->mask) {
		const struct key *k = &s->keys[i];

		if (k->hash == hash && k->object == object && same_key(s->start + k->at, key))
			return fail_twice(s, key);
	}
	s->keys[i] = (struct key){.hash = hash, .at = (uint32_t)(key - s->start), .object = object};
	return SL_OK;
}

static int scan_key(struct scan *s)
{
	const char *key = s->p + 1;
	int err = SL_OK;

	if (!at_char(s, '"'))
		return fail_here(s, "a key in quotes is expected");
	if (!s->keys)
		err = alloc_keys(s);
	if (!err)
		err = scan_string(s);
	if (!err)
		err = note_key(s, key);
	if (err)
		return err;
	skip_blanks(s);
	if (!at_char(s, ':'))
		return fail_here(s, "a colon is expected behind the key");
	s->p++;
	s->place = VALUE;
	return SL_OK;
}

/* ---- numbers and words ---- */

static bool digits(struct scan *s)
{
	const char *from = s->p;

	while (at_digit(s))
		s->p++;
	return s->p > from;
}

/* RFC 8259 section 6. */
static bool number_parts(struct scan *s)
{
	s->p += at_char(s, '-');
	if (at_char(s, '0'))
		s->p++;
	else if (!digits(s))
		return false;
	if (at_char(s, '.')) {
		s->p++;
		if (!digits(s))
			return false;
	}
	if (at_char(s, 'e') || at_char(s, 'E')) {
		s->p++;
		s->p += at_char(s, '+') || at_char(s, '-');
		return digits(s);
	}
	return true;
}

static int scan_number(struct scan *s)
{
	const char *from = s->p;

	if (!number_parts(s) || at_digit(s))
		return fail_here(s, "this is not how a number is written");
	if (s->p - from > API_JSON_NUMBER_MAX)
		return fail(s, SL_EPARSE, from, "a number has more than %d characters",
			    API_JSON_NUMBER_MAX);
	return SL_OK;
}

static int scan_word(struct scan *s)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < SL_COUNT(words); i++)
		if (sl_str_starts(sl_str(s->p, left(s)), sl_str_z(words[i]))) {
			s->p += strlen(words[i]);
			return SL_OK;
		}
	return fail_here(s, "a value is expected");
}

/* ---- structure ---- */

static int open_level(struct scan *s, bool object)
{
	if (s->depth == s->max.depth)
		return fail(s, SL_EFULL, s->p, "this is nested deeper than %u levels",
			    (unsigned)s->max.depth);
	s->levels[s->depth++] = object ? ++s->objects : 0;
	s->place = object ? FIRST_KEY : FIRST_ITEM;
	s->p++;
	return SL_OK;
}

static int close_level(struct scan *s)
{
	s->p++;
	s->depth--;
	s->place = s->depth ? NEXT : END;
	return SL_OK;
}

static int at_value(struct scan *s)
{
	char c = s->p < s->end ? *s->p : 0;

	if (s->values == s->max.values)
		return fail(s, SL_EFULL, s->p, "there are more than %u values",
			    (unsigned)s->max.values);
	s->values++;
	if (c == '{' || c == '[')
		return open_level(s, c == '{');
	s->place = s->depth ? NEXT : END;
	if (c == '"')
		return scan_string(s);
	return c == '-' || (c >= '0' && c <= '9') ? scan_number(s) : scan_word(s);
}

static int at_first_item(struct scan *s)
{
	return at_char(s, ']') ? close_level(s) : at_value(s);
}

static int at_first_key(struct scan *s)
{
	return at_char(s, '}') ? close_level(s) : scan_key(s);
}

static int at_next(struct scan *s)
{
	bool object = s->levels[s->depth - 1] != 0;

	if (at_char(s, object ? '}' : ']'))
		return close_level(s);
	if (!at_char(s, ','))
		return fail_here(s,
				 object ? "a comma or } is expected" : "a comma or ] is expected");
	s->p++;
	s->place = object ? KEY : VALUE;
	return SL_OK;
}

static int scan_all(struct scan *s)
{
	static int (*const at_place[PLACE_COUNT])(struct scan *) = {
		[VALUE] = at_value,	    [FIRST_ITEM] = at_first_item,
		[FIRST_KEY] = at_first_key, [KEY] = scan_key,
		[NEXT] = at_next,
	};
	int err = SL_OK;

	skip_blanks(s);
	if (s->p == s->end)
		return fail(s, SL_EPARSE, s->p, "the text is empty");
	if (sl_str_starts(sl_str(s->p, left(s)), SL_STR("\xef\xbb\xbf")))
		return fail(s, SL_EPARSE, s->p, "the text starts with a byte order mark");
	while (!err && s->place != END) {
		err = at_place[s->place](s);
		skip_blanks(s);
	}
	if (!err && s->p < s->end)
		err = fail(s, SL_EPARSE, s->p, "something follows the value");
	return err;
}

static struct api_json_limits limits_of(const struct api_json_limits *given)
{
	struct api_json_limits max = given ? *given : (struct api_json_limits){0};

	max.bytes = SL_MIN(max.bytes ? max.bytes : API_JSON_BYTES_MAX, INT32_MAX);
	max.depth = max.depth ? SL_MIN(max.depth, API_JSON_DEPTH_MAX) : API_JSON_DEPTH_MAX;
	max.values = max.values ? max.values : API_JSON_VALUES_MAX;
	return max;
}

int api_json_scan(struct sl_str text, const struct api_json_limits *limits,
		  struct api_json_why *why)
{
	struct scan s = {.start = text.n ? text.p : "", .why = why, .max = limits_of(limits)};
	int err;

	*why = (struct api_json_why){0};
	s.p = s.start;
	s.end = s.start + text.n;
	if (text.n > s.max.bytes)
		return fail(&s, SL_EFULL, s.p, "the text has more than %zu bytes", s.max.bytes);
	err = scan_all(&s);
	sl_free(s.keys);
	return err;
}

int api_json_parse(struct sl_str text, const struct api_json_limits *limits, cJSON **out,
		   struct api_json_why *why)
{
	cJSON_Hooks hooks = {.malloc_fn = sl_zalloc, .free_fn = sl_free};
	cJSON *tree = NULL;
	char *copy;
	int err = api_json_scan(text, limits, why);

	if (err)
		return err;
	/* cJSON has read past the end of texts without a NUL before. */
	copy = sl_strndup(text.p, text.n);
	cJSON_InitHooks(&hooks);
	if (copy)
		tree = cJSON_ParseWithLengthOpts(copy, text.n + 1, NULL, true);
	sl_free(copy);
	if (!tree) {
		/* The text is good: nothing else can be wrong. */
		(void)sl_fmt(why->text, sizeof(why->text), "JSON: out of memory.");
		return SL_ENOMEM;
	}
	*out = tree;
	return SL_OK;
}

void api_json_free(cJSON *tree)
{
	cJSON_Delete(tree);
}

int api_json_status(int err)
{
	if (err == SL_ENOMEM)
		return 503;
	if (err == SL_EFULL)
		return 413;
	return err == SL_EPARSE ? 400 : 422;
}
