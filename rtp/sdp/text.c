/* SPDX-License-Identifier: Apache-2.0 — what descriptions and trickle fragments have in common:
 * lines, bounds, tokens, credentials, candidates, and saying what is wrong. */
#include "rtp/sdp/sdp_int.h"

int sdp_fail(struct sl_sdp_why *why, size_t line, int err, const char *text, struct sl_str about)
{
	if (!why)
		return err;
	why->line = line;
	if (about.n > 0)
		sl_fmt(why->text, sizeof(why->text), "%s: \"%.*s\"", text,
		       (int)SL_MIN(about.n, (size_t)48), about.p);
	else
		sl_fmt(why->text, sizeof(why->text), "%s", text);
	return err;
}

static struct sl_str next_raw(struct sdp_lines *it)
{
	struct sl_str v = sl_str_cut(&it->rest, '\n');

	it->line++;
	if (v.n > 0 && v.p[v.n - 1] == '\r')
		v.n--;
	return v;
}

bool sdp_line(struct sdp_lines *it, char *type, struct sl_str *value)
{
	while (it->rest.n > 0) {
		struct sl_str v = next_raw(it);

		if (v.n == 0)
			continue;
		*type = v.n >= 2 && v.p[1] == '=' ? v.p[0] : 0;
		*value = *type ? sl_str_trim(sl_str(v.p + 2, v.n - 2)) : v;
		return true;
	}
	return false;
}

static bool has_control(struct sl_str v)
{
	for (size_t i = 0; i < v.n; i++)
		if (((unsigned char)v.p[i] < 0x20 && v.p[i] != '\t') || v.p[i] == 0x7f)
			return true;
	return false;
}

const struct sl_sdp_bounds sdp_bounds = {SL_SDP_BYTES_MAX, SL_SDP_LINES_MAX, SL_SDP_MEDIA_MAX};

struct sl_sdp_bounds sl_sdp_answer_bounds(size_t media)
{
	size_t n = SL_MIN(media, (size_t)SL_SDP_OFFER_MEDIA_MAX);

	return (struct sl_sdp_bounds){
		.bytes = SL_MAX(sdp_bounds.bytes, n * SL_SDP_MEDIA_BYTES),
		.lines = SL_MAX(sdp_bounds.lines, n * SL_SDP_MEDIA_LINES),
		.media = SL_MAX(sdp_bounds.media, n),
	};
}

/* "more than 2,000 lines" */
static int over(struct sl_sdp_why *why, size_t line, size_t bound, const char *of_what)
{
	struct sl_str none = {0};
	char text[64];

	if (bound < 1000)
		sl_fmt(text, sizeof(text), "more than %zu %s", bound, of_what);
	else
		sl_fmt(text, sizeof(text), "more than %zu,%03zu %s", bound / 1000, bound % 1000,
		       of_what);
	return sdp_fail(why, line, SL_EFULL, text, none);
}

static int check_line(const struct sdp_lines *it, struct sl_str v, size_t media,
		      const struct sl_sdp_bounds *bounds, struct sl_sdp_why *why)
{
	struct sl_str none = {0};

	if (it->line > bounds->lines)
		return over(why, it->line, bounds->lines, "lines");
	if (v.n > SL_SDP_LINE_MAX)
		return over(why, it->line, SL_SDP_LINE_MAX, "bytes in a line");
	if (media > bounds->media)
		return over(why, it->line, bounds->media, "m-lines");
	if (has_control(v))
		return sdp_fail(why, it->line, SL_EPARSE, "a control character in a line", none);
	return SL_OK;
}

int sdp_check_text(struct sl_str text, const struct sl_sdp_bounds *bounds, size_t *media_count,
		   struct sl_sdp_why *why)
{
	struct sdp_lines it = {.rest = text};
	struct sl_str none = {0};
	size_t media = 0;

	if (text.n > bounds->bytes)
		return over(why, 0, bounds->bytes, "bytes");
	if (!sl_utf8_valid(text.p, text.n))
		return sdp_fail(why, 0, SL_EPARSE, "not valid UTF-8", none);
	while (it.rest.n > 0) {
		struct sl_str v = next_raw(&it);
		int err;

		media += sl_str_starts(v, SL_STR("m="));
		err = check_line(&it, v, media, bounds, why);
		if (err)
			return err;
	}
	*media_count = media;
	return SL_OK;
}

static bool token_char(unsigned char c)
{
	return c > 0x20 && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]", c);
}

bool sdp_token(struct sl_str s, size_t max)
{
	for (size_t i = 0; i < s.n; i++)
		if (!token_char((unsigned char)s.p[i]))
			return false;
	return s.n > 0 && s.n <= max;
}

/* ---- small helpers ---- */

void *sdp_copy(struct sl_arena *arena, const void *from, size_t n, size_t elem_bytes)
{
	void *to = n > 0 ? sl_arena_alloc(arena, n * elem_bytes) : NULL;

	if (to)
		memcpy(to, from, n * elem_bytes);
	return to;
}

enum sl_kind sdp_kind(enum sl_sdp_media_kind kind)
{
	return kind == SL_SDP_AUDIO ? SL_AUDIO : SL_VIDEO;
}

/* RFC 8839 section 5.4. */
bool sdp_ufrag_ok(struct sl_str s)
{
	return s.n >= 4 && s.n <= 256 && !memchr(s.p, ' ', s.n);
}

bool sdp_pwd_ok(struct sl_str s)
{
	return s.n >= 22 && s.n <= 256 && !memchr(s.p, ' ', s.n);
}

/* ---- candidates, RFC 8839 section 5.1 ---- */

static bool cand_type_ok(struct sl_str type)
{
	return sl_str_eq(type, SL_STR("host")) || sl_str_eq(type, SL_STR("srflx")) ||
	       sl_str_eq(type, SL_STR("prflx")) || sl_str_eq(type, SL_STR("relay"));
}

static bool cand_addr_ok(struct sl_str ip, struct sl_str port_text, struct sl_addr *addr)
{
	uint32_t port;

	if (sl_addr_parse_ip(ip, addr) < 0 || !sl_str_u32(port_text, UINT16_MAX, &port) ||
	    port == 0)
		return false;
	addr->port = (uint16_t)port;
	return !sl_addr_is_any(addr) && !sl_addr_is_multicast(addr);
}

static bool tcp_type(struct sl_str word, enum sl_sdp_tcp *out)
{
	static const char *const names[] = {"", "active", "passive", "so"};

	for (size_t i = SL_SDP_TCP_ACTIVE; i < SL_COUNT(names); i++) {
		if (sl_str_eq(word, sl_str_z(names[i]))) {
			*out = (enum sl_sdp_tcp)i;
			return true;
		}
	}
	return false;
}

/* What follows the type: names and values in pairs. RFC 6544 section 4.5: a TCP candidate has a
 * tcptype. */
static bool cand_more(struct sl_str v, bool tcp, struct sl_sdp_cand *c)
{
	struct sl_addr base = {0};
	uint32_t port = 0;

	for (struct sl_str name = sl_str_word(&v); name.n > 0; name = sl_str_word(&v)) {
		struct sl_str value = sl_str_word(&v);

		if (sl_str_eq(name, SL_STR("raddr")) && sl_addr_parse_ip(value, &base) < 0)
			base = (struct sl_addr){0};
		if (sl_str_eq(name, SL_STR("rport")) && !sl_str_u32(value, UINT16_MAX, &port))
			port = 0;
		if (tcp && sl_str_eq(name, SL_STR("tcptype")) && !tcp_type(value, &c->tcp))
			return false;
	}
	c->base = sl_addr_with_port(base, (uint16_t)port);
	return tcp == (c->tcp != SL_SDP_UDP);
}

bool sl_sdp_cand_read(struct sl_str text, struct sl_sdp_cand *out)
{
	struct sl_str v = sl_str_trim(text);

	if (sl_str_starts(v, SL_STR("a=")))
		v = sl_str(v.p + 2, v.n - 2);
	return sl_str_eq(sl_str_cut(&v, ':'), SL_STR("candidate")) && sdp_cand_read(v, out);
}

bool sdp_cand_read(struct sl_str v, struct sl_sdp_cand *out)
{
	struct sl_sdp_cand c = {.foundation = sl_str_word(&v)};
	struct sl_str component = sl_str_word(&v);
	struct sl_str transport = sl_str_word(&v);
	struct sl_str priority = sl_str_word(&v);
	struct sl_str ip = sl_str_word(&v);
	struct sl_str port = sl_str_word(&v);
	struct sl_str typ = sl_str_word(&v);
	bool tcp = sl_str_ieq(transport, SL_STR("tcp"));

	c.type = sl_str_word(&v);
	if (c.foundation.n == 0 || c.foundation.n > 32 ||
	    (!tcp && !sl_str_ieq(transport, SL_STR("udp"))))
		return false;
	if (!sl_str_u32(component, 256, &c.component) || c.component == 0)
		return false;
	if (!sl_str_u32(priority, UINT32_MAX, &c.priority) || !sl_str_eq(typ, SL_STR("typ")))
		return false;
	if (!cand_type_ok(c.type) || !cand_addr_ok(ip, port, &c.addr) || !cand_more(v, tcp, &c))
		return false;
	*out = c;
	return true;
}
