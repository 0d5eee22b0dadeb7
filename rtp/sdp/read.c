/* SPDX-License-Identifier: Apache-2.0 — text to structs. One pass over spans of the input: each
 * line is looked at once, a table row per attribute reads it. The lists of the m-line at hand grow
 * in one scratch area and are copied, at their exact length, when the next m-line begins. */
#include "rtp/sdp/read_int.h"

int sdp_bad(struct sdp_parser *p, const char *text, struct sl_str about)
{
	return sdp_fail(p->why, p->lines.line, SL_EPARSE, text, about);
}

int sdp_full(struct sdp_parser *p, const char *text)
{
	return sdp_fail(p->why, p->lines.line, SL_EFULL, text, sl_str(NULL, 0));
}

/* ---- the end of an m-line ---- */

/* RFC 3551 section 6: static payload types need no rtpmap. */
static void name_static(struct sl_sdp_codec *c, enum sl_kind kind)
{
	enum sl_codec codec = sl_codec_by_static_pt(c->pt);
	const struct sl_codec_info *info = sl_codec_info(codec);

	if (codec == SL_CODEC_NONE || info->kind != kind)
		return;
	c->codec = codec;
	c->name = sl_str_z(info->name);
	c->clock_hz = info->clock_hz;
	c->channels = info->channels;
}

static void resolve_codecs(struct sdp_parser *p)
{
	struct sdp_scratch *s = p->s;
	enum sl_kind kind = sdp_kind(p->m->kind);

	for (size_t i = 0; i < p->m->codec_count; i++) {
		struct sl_sdp_codec *c = &s->codecs[i];

		c->fb |= s->fb_all;
		if (c->name.n > 0)
			c->codec = sl_codec_by_name(kind, c->name, c->clock_hz, c->channels);
		else
			name_static(c, kind);
	}
}

/* RFC 4588 section 8.6: apt names what an RTX payload type repairs; the first one to name it has
 * it. */
static void resolve_rtx(struct sdp_parser *p)
{
	struct sdp_scratch *s = p->s;

	for (size_t i = 0; i < p->m->codec_count; i++) {
		struct sl_sdp_codec *c = &s->codecs[i];
		struct sl_sdp_codec *repaired;
		uint32_t apt;

		if (c->codec != SL_RTX || c->pt == 0)
			continue;
		if (!sl_str_u32(sl_sdp_fmtp_get(c->fmtp, "apt"), SDP_PT_MAX, &apt) ||
		    !s->codec_at[apt])
			continue;
		repaired = &s->codecs[s->codec_at[apt] - 1];
		if (repaired->codec == SL_RTX || repaired->rtx_pt)
			continue;
		repaired->rtx_pt = c->pt;
		c->apt = (uint8_t)apt;
	}
}

static int check_mid(struct sdp_parser *p)
{
	struct sl_sdp *out = p->out;
	struct sl_sdp_media *m = p->m;

	for (size_t i = 0; m->mid.n > 0 && i < out->bundle_count && !m->in_bundle; i++)
		m->in_bundle = sl_str_eq(out->bundle[i], m->mid);
	for (struct sl_sdp_media *o = out->media; m->mid.n > 0 && o < m; o++)
		if (sl_str_eq(o->mid, m->mid))
			return sdp_bad(p, "two m-lines have the same a=mid", m->mid);
	return SL_OK;
}

#define KEEP(list, count) (list) = sdp_copy(p->arena, (list), (count), sizeof(*(list)))
/* Called when the m-line (or the session part) at hand is over. */
static int finish_media(struct sdp_parser *p)
{
	struct sl_sdp_media *m = p->m;
	int err;

	if (m == &p->session) {
		p->session_fb = p->s->fb_all;
		return SL_OK;
	}
	resolve_codecs(p);
	resolve_rtx(p);
	err = check_mid(p);
	/* RFC 9143 section 6: bundle-only gives port 0 its other meaning, inside a BUNDLE group. */
	m->rejected = m->port == 0 && !(m->bundle_only && m->in_bundle);
	KEEP(m->codecs, m->codec_count);
	KEEP(m->exts, m->ext_count);
	KEEP(m->ssrcs, m->ssrc_count);
	KEEP(m->cands, m->cand_count);
	KEEP(m->cryptos, m->crypto_count);
	return err;
}

/* ---- lines ---- */

struct sl_sdp_proto sl_sdp_proto(struct sl_str proto)
{
	struct sl_sdp_proto p = {0};

	while (proto.n > 0) {
		struct sl_str word = sl_str_cut(&proto, '/');

		p.rtp |= sl_str_eq(word, SL_STR("RTP"));
		p.dtls |= sl_str_eq(word, SL_STR("TLS"));
		p.secure |= sl_str_eq(word, SL_STR("SAVP")) || sl_str_eq(word, SL_STR("SAVPF"));
		p.feedback |= sl_str_eq(word, SL_STR("AVPF")) || sl_str_eq(word, SL_STR("SAVPF"));
	}
	return p;
}

static enum sl_sdp_media_kind kind_of(struct sl_str name)
{
	if (sl_str_eq(name, SL_STR("audio")))
		return SL_SDP_AUDIO;
	if (sl_str_eq(name, SL_STR("video")))
		return SL_SDP_VIDEO;
	return sl_str_eq(name, SL_STR("application")) ? SL_SDP_APPLICATION : SL_SDP_OTHER;
}

static int read_formats(struct sdp_parser *p, struct sl_str v)
{
	struct sl_sdp_media *m = p->m;

	for (struct sl_str w = sl_str_word(&v); w.n > 0; w = sl_str_word(&v)) {
		uint32_t pt;

		if (!sl_str_u32(w, SDP_PT_MAX, &pt))
			return sdp_bad(p, "a payload type is a number from 0 to 127", w);
		if (p->s->codec_at[pt])
			continue;
		if (m->codec_count == SL_SDP_CODECS_MAX)
			return sdp_full(p, "more than 64 payload types in one m-line");
		p->s->codecs[m->codec_count] = (struct sl_sdp_codec){.pt = (uint8_t)pt};
		p->s->codec_at[pt] = (uint8_t)++m->codec_count;
	}
	return SL_OK;
}

static void start_media(struct sdp_parser *p)
{
	struct sdp_scratch *s = p->s;
	struct sl_sdp_media *m = &p->out->media[p->out->media_count++];

	*m = p->session;
	m->codecs = s->codecs;
	m->exts = s->exts; /* those of the session stand at its front */
	m->ssrcs = s->ssrcs;
	m->cands = s->cands;
	m->cryptos = s->cryptos;
	memset(s->codec_at, 0, sizeof(s->codec_at));
	s->fb_all = p->session_fb;
	s->own_fingerprint = false;
	p->m = m;
}

/* RFC 8866 section 5.14: "m=kind port[/count] proto formats". */
static int read_m(struct sdp_parser *p, struct sl_str v)
{
	struct sl_str kind = sl_str_word(&v);
	struct sl_str ports = sl_str_word(&v);
	struct sl_str port_text = sl_str_cut(&ports, '/');
	uint32_t port;
	int err = finish_media(p);

	if (err)
		return err;
	start_media(p);
	p->m->proto = sl_str_word(&v);
	if (!sdp_token(kind, SDP_TOKEN_MAX) || !sl_str_u32(port_text, UINT16_MAX, &port) ||
	    p->m->proto.n == 0)
		return sdp_bad(p, "an m-line is kind, port, protocol and formats", kind);
	p->m->kind_text = kind;
	p->m->kind = kind_of(kind);
	p->m->port = (uint16_t)port;
	p->m->formats = sl_str_trim(v);
	if (p->m->kind > SL_SDP_VIDEO || !sl_sdp_proto(p->m->proto).rtp)
		return SL_OK;
	return read_formats(p, v);
}

/* RFC 8866 section 5.2. A name instead of an address is as good as none. */
static int read_o(struct sdp_parser *p, struct sl_str v)
{
	struct sl_sdp *out = p->out;
	struct sl_str user = sl_str_word(&v);
	struct sl_str id = sl_str_word(&v);
	struct sl_str version = sl_str_word(&v);

	sl_str_word(&v);
	sl_str_word(&v);
	p->has_origin = true;
	out->origin_user = user;
	if (!sl_str_u64(id, UINT64_MAX, &out->session_id) ||
	    !sl_str_u64(version, UINT64_MAX, &out->session_version))
		return sdp_bad(p, "o= needs a name, a session id and a version that are numbers",
			       id);
	if (sl_addr_parse_ip(sl_str_word(&v), &out->origin_addr) < 0)
		out->origin_addr = sl_addr_v4(0, 0, 0, 0, 0);
	return SL_OK;
}

/* RFC 8866 section 5.7: "IN IP4 address[/ttl]". */
static int read_c(struct sdp_parser *p, struct sl_str v)
{
	struct sl_str ip;

	sl_str_word(&v);
	sl_str_word(&v);
	ip = sl_str_word(&v);
	if (sl_addr_parse_ip(sl_str_cut(&ip, '/'), &p->m->conn) < 0)
		p->m->conn = (struct sl_addr){0};
	return SL_OK;
}

static int read_b(struct sdp_parser *p, struct sl_str v)
{
	struct sl_str type = sl_str_cut(&v, ':');
	uint32_t n;

	if (p->m == &p->session || !sl_str_u32(v, UINT32_MAX, &n))
		return SL_OK;
	if (sl_str_eq(type, SL_STR("AS")))
		p->m->bandwidth_as_kbps = n;
	if (sl_str_eq(type, SL_STR("TIAS")))
		p->m->bandwidth_tias_bps = n;
	return SL_OK;
}

static int read_s(struct sdp_parser *p, struct sl_str v)
{
	p->out->name = p->m == &p->session ? v : p->out->name;
	return SL_OK;
}

static int read_v(struct sdp_parser *p, struct sl_str v)
{
	return sl_str_eq(v, SL_STR("0")) ? SL_OK : sdp_bad(p, "only version 0 of SDP is known", v);
}

static int read_line(struct sdp_parser *p, char type, struct sl_str v)
{
	static const struct {
		char type;
		int (*read)(struct sdp_parser *p, struct sl_str v);
	} rows[] = {
		{'a', sdp_read_attribute},
		{'m', read_m},
		{'c', read_c},
		{'b', read_b},
		{'o', read_o},
		{'v', read_v},
		{'s', read_s},
	};

	for (size_t i = 0; i < SL_COUNT(rows); i++)
		if (rows[i].type == type)
			return rows[i].read(p, v);
	if (type < 'a' || type > 'z')
		return sdp_bad(p, "not a line of SDP, which is a letter, \"=\" and a value", v);
	return SL_OK;
}

static int read_lines(struct sdp_parser *p)
{
	struct sl_str v;
	char type;
	int err = SL_OK;

	while (!err && sdp_line(&p->lines, &type, &v)) {
		if (!p->has_origin && type != 'v' && type != 'o')
			return sdp_bad(p, "SDP begins with v=0 and then o=", v);
		err = read_line(p, type, v);
	}
	if (!err && !p->has_origin)
		return sdp_bad(p, "SDP begins with v=0 and then o=", sl_str(NULL, 0));
	return err ? err : finish_media(p);
}

int sl_sdp_read(struct sl_str text, struct sl_arena *arena, struct sl_sdp *out,
		struct sl_sdp_why *why)
{
	return sl_sdp_read_within(text, &sdp_bounds, arena, out, why);
}

int sl_sdp_read_within(struct sl_str text, const struct sl_sdp_bounds *bounds,
		       struct sl_arena *arena, struct sl_sdp *out, struct sl_sdp_why *why)
{
	struct sl_sdp sdp = {0};
	struct sdp_parser p = {
		.arena = arena, .out = &sdp, .why = why, .bounds = bounds, .lines.rest = text};
	size_t media = 0;
	int err = sdp_check_text(text, bounds, &media, why);

	SL_ASSERT(bounds->media <= SL_SDP_OFFER_MEDIA_MAX);

	if (err)
		return err;
	p.m = &p.session;
	p.s = sl_arena_alloc(arena, sizeof(*p.s));
	sdp.media = media > 0 ? sl_arena_alloc(arena, media * sizeof(*sdp.media)) : NULL;
	if (!p.s || (media > 0 && !sdp.media))
		return sdp_fail(why, 0, SL_ENOMEM, "out of memory", sl_str(NULL, 0));
	p.session.exts = p.s->exts;
	err = read_lines(&p);
	if (!err && arena->failed)
		err = sdp_fail(why, 0, SL_ENOMEM, "out of memory", sl_str(NULL, 0));
	if (!err)
		*out = sdp;
	return err;
}
