/* SPDX-License-Identifier: Apache-2.0
 * api/names.c — names of rooms and participants, as they stand after percent-decoding. */
#include "api/api_int.h"

/* Length of the UTF-8 sequence at p, which is valid; *cp gets the code point where it matters (up
 * to two bytes). */
static size_t next_char(const uint8_t *p, uint32_t *cp)
{
	*cp = p[0];
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xe0) {
		*cp = (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
		return 2;
	}
	return p[0] < 0xf0 ? 3 : 4;
}

static bool is_control(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp <= 0x9f);
}

const char *api_name_check(struct sl_str name)
{
	const uint8_t *p = (const uint8_t *)name.p;
	size_t chars = 0;
	uint32_t cp;

	if (name.n == 0)
		return "is empty";
	if (name.n > API_NAME_MAX)
		return "is longer than 64 characters";
	if (!sl_utf8_valid(name.p, name.n))
		return "is not UTF-8";
	if (sl_str_eq(name, SL_STR(".")) || sl_str_eq(name, SL_STR("..")))
		return "is \".\" or \"..\"";
	for (size_t i = 0; i < name.n; chars++) {
		i += next_char(p + i, &cp);
		if (cp == '/' || cp == '+')
			return "holds \"/\" or \"+\"";
		if (is_control(cp))
			return "holds a control character";
	}
	return chars > API_NAME_CHARS_MAX ? "is longer than 64 characters" : NULL;
}

/* RFC 3986 section 2.3, and '/'. */
static bool passes(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~/", c));
}

void api_percent_encode(struct sl_buf *out, struct sl_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (passes(s.p[i]))
			sl_buf_char(out, s.p[i]);
		else
			sl_buf_fmt(out, "%%%02X", (unsigned)(uint8_t)s.p[i]);
}
