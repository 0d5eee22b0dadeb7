/* SPDX-License-Identifier: Apache-2.0 — what follows "a=": a function per attribute, and the table
 * that finds it. */
#include "rtp/sdp/read_int.h"

/* ---- session and m-line attributes: the row's `arg` says which ---- */

static int read_flag(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	(void)v;
	*(bool *)((char *)p->m + arg) = true;
	return SL_OK;
}

static int read_dir(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	(void)v;
	p->m->dir = (enum sl_sdp_dir)arg;
	return SL_OK;
}

/* RFC 9143 section 7.1: only the first group matters; there is one transport. */
static int read_group(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	struct sl_sdp *out = p->out;

	(void)arg;
	if (out->bundle || !sl_str_eq(sl_str_word(&v), SL_STR("BUNDLE")))
		return SL_OK;
	out->bundle = p->s->bundle;
	for (struct sl_str mid = sl_str_word(&v); mid.n > 0; mid = sl_str_word(&v)) {
		bool known = false;

		for (size_t i = 0; i < out->bundle_count && !known; i++)
			known = sl_str_eq(out->bundle[i], mid);
		if (!known && out->bundle_count == p->bounds->media)
			return sdp_full(p, "too many mids in a=group:BUNDLE");
		if (!known)
			p->s->bundle[out->bundle_count++] = mid;
	}
	return SL_OK;
}

static int read_ice_lite(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	(void)v;
	(void)arg;
	p->out->ice_lite = p->session.ice_lite = true;
	return SL_OK;
}

static int read_ext_mixed(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	(void)v;
	(void)arg;
	p->m->ext_mixed = true;
	if (p->m == &p->session)
		p->out->ext_mixed = true;
	return SL_OK;
}

static int read_ufrag(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	(void)arg;
	p->m->ufrag = v;
	return sdp_ufrag_ok(v) ? SL_OK : sdp_bad(p, "a=ice-ufrag needs 4 to 256 characters", v);
}

static int read_pwd(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	struct sl_str unsaid = {0}; /* a password never goes into a message */

	(void)arg;
	p->m->pwd = v;
	return sdp_pwd_ok(v) ? SL_OK : sdp_bad(p, "a=ice-pwd needs 22 to 256 characters", unsaid);
}

static int read_ice_options(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	(void)arg;
	for (struct sl_str o = sl_str_word(&v); o.n > 0; o = sl_str_word(&v)) {
		if (sl_str_eq(o, SL_STR("trickle")))
			p->m->trickle = true;
		if (sl_str_eq(o, SL_STR("renomination")))
			p->m->renomination = true;
	}
	return SL_OK;
}

static bool hex_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* RFC 8122 section 5: pairs of hex digits with colons between. */
static bool is_fingerprint(struct sl_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (i % 3 == 2 ? s.p[i] != ':' : !hex_digit(s.p[i]))
			return false;
	return s.n >= 2 && s.n % 3 == 2 && s.n <= 64 * 3 - 1;
}

static int read_fingerprint(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	struct sl_str algorithm = sl_str_word(&v);
	struct sl_str hex = sl_str_word(&v);
	struct sl_sdp_media *m = p->m;

	(void)arg;
	if (!sdp_token(algorithm, SDP_TOKEN_MAX) || !is_fingerprint(hex))
		return sdp_bad(p, "a=fingerprint needs a hash name and pairs of hex digits",
			       algorithm);
	if (!p->s->own_fingerprint && m != &p->session)
		m->fingerprint_count = 0;
	p->s->own_fingerprint = true;
	if (m->fingerprint_count == SL_SDP_FINGERPRINTS_MAX)
		return sdp_full(p, "more than 4 fingerprints");
	m->fingerprints[m->fingerprint_count].algorithm = algorithm;
	m->fingerprints[m->fingerprint_count++].hex = hex;
	return SL_OK;
}

static int read_setup(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	static const struct {
		const char *name;
		enum sl_sdp_setup setup;
	} setups[] = {
		{"actpass", SL_SDP_ACTPASS},
		{"active", SL_SDP_ACTIVE},
		{"passive", SL_SDP_PASSIVE},
		{"holdconn", SL_SDP_HOLDCONN},
	};

	(void)arg;
	for (size_t i = 0; i < SL_COUNT(setups); i++) {
		if (sl_str_eq(v, sl_str_z(setups[i].name))) {
			p->m->setup = setups[i].setup;
			return SL_OK;
		}
	}
	return sdp_bad(p, "a=setup is none of actpass, active, passive, holdconn", v);
}

static bool dir_by_name(struct sl_str name, enum sl_sdp_dir *dir)
{
	for (enum sl_sdp_dir d = SL_SDP_SENDRECV; d <= SL_SDP_INACTIVE; d++) {
		if (sl_str_eq(name, sl_str_z(sl_sdp_dir_name(d)))) {
			*dir = d;
			return true;
		}
	}
	return false;
}

/* The entry of this id, or NULL. */
static const struct sl_sdp_ext *ext_of_id(const struct sl_sdp_media *m, uint32_t id)
{
	for (size_t i = 0; i < m->ext_count; i++)
		if (m->exts[i].id == id)
			return &m->exts[i];
	return NULL;
}

static int add_ext(struct sdp_parser *p, const struct sl_sdp_ext *ext)
{
	const struct sl_sdp_ext *before = ext_of_id(p->m, ext->id);

	if (before && !sl_str_eq(before->uri, ext->uri))
		return sdp_bad(p, "this a=extmap id already means something else", ext->uri);
	if (before)
		return SL_OK;
	if (p->m->ext_count == SL_SDP_EXTS_MAX)
		return sdp_full(p, "more than 32 a=extmap lines in one m-line");
	p->s->exts[p->m->ext_count++] = *ext;
	return SL_OK;
}

/* RFC 8285 section 5: "extmap:ID[/direction] URI [attributes]". Ids from 4096 on ask us to choose:
 * not done here. */
static int read_extmap(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	struct sl_str dir = sl_str_word(&v);
	struct sl_str id_text = sl_str_cut(&dir, '/');
	struct sl_sdp_ext ext = {.uri = sl_str_word(&v), .dir = SL_SDP_SENDRECV};
	uint32_t id;

	(void)arg;
	if (!sl_str_u32(id_text, 4351, &id) || ext.uri.n == 0)
		return sdp_bad(p, "a=extmap needs a number and a URI", id_text);
	if (dir.n > 0 && !dir_by_name(dir, &ext.dir))
		return sdp_bad(p, "unknown direction in a=extmap", dir);
	if (id == 0 || id > 255)
		return SL_OK;
	ext.id = (uint8_t)id;
	ext.ext = sl_ext_by_uri(ext.uri);
	return add_ext(p, &ext);
}

/* ---- attributes of one m-line ---- */

static int read_mid(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	(void)arg;
	if (!sdp_token(v, SL_MID_MAX))
		return sdp_bad(p, "a=mid needs 1 to 32 characters of a token", v);
	if (p->m->mid.n > 0 && !sl_str_eq(p->m->mid, v))
		return sdp_bad(p, "a second a=mid in one m-line", v);
	p->m->mid = v;
	return SL_OK;
}

static int read_msid(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	(void)arg;
	if (p->m->msid_stream.n > 0)
		return SL_OK;
	p->m->msid_stream = sl_str_word(&v);
	p->m->msid_track = sl_str_word(&v);
	return SL_OK;
}

static int read_candidate(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	struct sl_sdp_media *m = p->m;
	struct sl_sdp_cand c;

	(void)arg;
	if (m->cand_count < SL_SDP_CANDS_MAX && sdp_cand_read(v, &c))
		p->s->cands[m->cand_count++] = c;
	else
		m->cand_ignored++;
	return SL_OK;
}

/* RFC 3605 section 2.1: "port [IN IP4 address]". */
static int read_rtcp(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	struct sl_str port_text = sl_str_word(&v);
	uint32_t port;

	(void)arg;
	if (!sl_str_u32(port_text, UINT16_MAX, &port))
		return sdp_bad(p, "a=rtcp needs a port", port_text);
	p->m->rtcp_port = (uint16_t)port;
	p->m->rtcp_addr = (struct sl_addr){0};
	sl_str_word(&v);
	sl_str_word(&v);
	if (port == 0 || sl_addr_parse_ip(sl_str_word(&v), &p->m->rtcp_addr) < 0)
		p->m->rtcp_addr = (struct sl_addr){0};
	return SL_OK;
}

static const char *const comedia_names[] = {NULL, "active", "passive", "both"};

static int read_comedia(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	(void)arg;
	for (size_t i = 1; i < SL_COUNT(comedia_names); i++)
		if (sl_str_eq(v, sl_str_z(comedia_names[i])))
			p->m->comedia = (enum sl_sdp_comedia)i;
	return SL_OK;
}

/* The key of "inline:KEY|2^20|1:4;inline:..." ends where base64 does. */
static size_t key_len(struct sl_str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '|' && s.p[n] != ';' && s.p[n] != ' ' && s.p[n] != '\t')
		n++;
	return n;
}

/* RFC 4568 section 9.2. A key never goes into a message. */
static int read_crypto(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	struct sl_sdp_media *m = p->m;
	struct sl_str tag = sl_str_word(&v);
	struct sl_sdp_crypto c = {.suite = sl_str_word(&v)};
	struct sl_str method = sl_str_cut(&v, ':');
	size_t n = key_len(v);

	(void)arg;
	if (!sl_str_u32(tag, 999999999, &c.tag) || !sdp_token(c.suite, SDP_TOKEN_MAX) ||
	    !sl_str_ieq(sl_str_trim(method), SL_STR("inline")) || n == 0)
		return sdp_bad(p, "a=crypto needs a tag, a suite and an inline key", tag);
	for (size_t i = 0; i < m->crypto_count; i++)
		if (p->s->cryptos[i].tag == c.tag)
			return sdp_bad(p, "the same a=crypto tag twice in one m-line", tag);
	c.key = sl_str(v.p, n);
	c.rest = sl_str(v.p + n, v.n - n);
	if (m->crypto_count == SL_SDP_CRYPTOS_MAX)
		return sdp_full(p, "more than 8 a=crypto lines in one m-line");
	p->s->cryptos[m->crypto_count++] = c;
	return SL_OK;
}

/* The codec of the payload type at the front of *v; NULL when the m-line does not list it (such
 * lines say nothing). */
static int read_pt(struct sdp_parser *p, struct sl_str *v, struct sl_sdp_codec **codec)
{
	struct sl_str word = sl_str_word(v);
	uint32_t pt;
	uint8_t at;

	if (!sl_str_u32(word, SDP_PT_MAX, &pt))
		return sdp_bad(p, "a payload type is a number from 0 to 127", word);
	at = p->s->codec_at[pt];
	*codec = at ? &p->s->codecs[at - 1] : NULL;
	return SL_OK;
}

static bool same_rtpmap(const struct sl_sdp_codec *a, const struct sl_sdp_codec *b)
{
	return sl_str_ieq(a->name, b->name) && a->clock_hz == b->clock_hz &&
	       a->channels == b->channels;
}

static int read_rtpmap(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	struct sl_sdp_codec map = {0};
	struct sl_sdp_codec *c = NULL;
	struct sl_str rest, clock;
	int err = read_pt(p, &v, &c);

	(void)arg;
	if (err || !c)
		return err;
	rest = sl_str_word(&v);
	map.name = sl_str_cut(&rest, '/');
	clock = sl_str_cut(&rest, '/');
	if (!sdp_token(map.name, SDP_TOKEN_MAX) || !sl_str_u32(clock, UINT32_MAX, &map.clock_hz))
		return sdp_bad(p, "a=rtpmap needs a name and a clock rate", map.name);
	if (rest.n > 0 && !sl_str_u32(rest, 255, &map.channels))
		return sdp_bad(p, "a=rtpmap has an odd number of channels", rest);
	if (c->name.n > 0 && !same_rtpmap(c, &map))
		return sdp_bad(p, "a second a=rtpmap gives this payload type another meaning",
			       map.name);
	c->name = map.name;
	c->clock_hz = map.clock_hz;
	c->channels = map.channels;
	return SL_OK;
}

static int read_fmtp(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	struct sl_sdp_codec *c = NULL;
	int err = read_pt(p, &v, &c);

	(void)arg;
	if (!err && c && c->fmtp.n == 0)
		c->fmtp = sl_str_trim(v);
	return err;
}

static uint8_t fb_bit(struct sl_str type, struct sl_str param)
{
	static const struct {
		const char *type, *param;
		uint8_t bit;
	} rows[] = {
		{"nack", "", SL_FB_NACK},	  {"nack", "pli", SL_FB_PLI},
		{"ccm", "fir", SL_FB_FIR},	  {"goog-remb", "", SL_FB_REMB},
		{"transport-cc", "", SL_FB_TWCC},
	};

	for (size_t i = 0; i < SL_COUNT(rows); i++)
		if (sl_str_ieq(type, sl_str_z(rows[i].type)) &&
		    sl_str_ieq(param, sl_str_z(rows[i].param)))
			return rows[i].bit;
	return 0;
}

static int read_rtcp_fb(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	struct sl_sdp_codec *c = NULL;
	struct sl_str type;
	uint8_t bit;
	bool all = v.n > 0 && v.p[0] == '*';
	int err = SL_OK;

	(void)arg;
	if (all)
		sl_str_word(&v);
	else
		err = read_pt(p, &v, &c);
	type = sl_str_word(&v);
	bit = fb_bit(type, sl_str_word(&v));
	if (all)
		p->s->fb_all |= bit;
	else if (c)
		c->fb |= bit;
	return err;
}

/* RFC 3611 section 5.1: receiver reference times are about the m-line; here every codec gets the
 * bit. */
static int read_rtcp_xr(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	(void)arg;
	for (struct sl_str w = sl_str_word(&v); w.n > 0; w = sl_str_word(&v))
		if (sl_str_eq(sl_str_cut(&w, '='), SL_STR("rcvr-rtt")))
			p->s->fb_all |= SL_FB_RRTR;
	return SL_OK;
}

static struct sl_sdp_ssrc *ssrc_get(struct sdp_parser *p, uint32_t ssrc)
{
	struct sl_sdp_media *m = p->m;
	struct sl_sdp_ssrc *s = p->s->ssrcs;

	for (size_t i = 0; i < m->ssrc_count; i++)
		if (s[i].ssrc == ssrc)
			return &s[i];
	if (m->ssrc_count == SL_SDP_SSRCS_MAX)
		return NULL;
	s[m->ssrc_count] = (struct sl_sdp_ssrc){.ssrc = ssrc};
	return &s[m->ssrc_count++];
}

/* RFC 5576 section 4.1. */
static int read_ssrc(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	struct sl_str word = sl_str_word(&v);
	struct sl_str name = sl_str_trim(sl_str_cut(&v, ':'));
	struct sl_sdp_ssrc *s;
	uint32_t ssrc;

	(void)arg;
	if (!sl_str_u32(word, UINT32_MAX, &ssrc))
		return sdp_bad(p, "a=ssrc needs a number below 2^32", word);
	s = ssrc_get(p, ssrc);
	if (!s)
		return sdp_full(p, "more than 32 SSRCs in one m-line");
	if (sl_str_eq(name, SL_STR("cname")) && s->cname.n == 0)
		s->cname = sl_str_trim(v);
	if (sl_str_eq(name, SL_STR("msid")) && s->msid.n == 0)
		s->msid = sl_str_trim(v);
	return SL_OK;
}

/* A pair counts when neither of them is paired already. */
static int pair_ssrcs(struct sdp_parser *p, uint32_t media, uint32_t repair)
{
	struct sl_sdp_ssrc *a = ssrc_get(p, media);
	struct sl_sdp_ssrc *b = ssrc_get(p, repair);

	if (!a || !b)
		return sdp_full(p, "more than 32 SSRCs in one m-line");
	if (a == b || repair == 0 || a->rtx || a->is_rtx || b->rtx || b->is_rtx)
		return SL_OK;
	a->rtx = repair;
	b->is_rtx = true;
	return SL_OK;
}

/* RFC 5576 section 4.2; FID: RFC 4588 section 8. Other groups (SIM, FEC-FR) say nothing to us. */
static int read_ssrc_group(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	struct sl_str semantics = sl_str_word(&v);
	struct sl_str first = sl_str_word(&v);
	struct sl_str second = sl_str_word(&v);
	uint32_t media, repair;

	(void)arg;
	if (!sl_str_eq(semantics, SL_STR("FID")))
		return SL_OK;
	if (!sl_str_u32(first, UINT32_MAX, &media) || !sl_str_u32(second, UINT32_MAX, &repair))
		return sdp_bad(p, "a=ssrc-group:FID needs two numbers below 2^32", first);
	return pair_ssrcs(p, media, repair);
}

/* RFC 8851 section 10. */
static int read_rid(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	struct sl_str id = sl_str_word(&v);
	struct sl_str dir = sl_str_word(&v);
	struct sl_sdp_media *m = p->m;
	bool send = sl_str_eq(dir, SL_STR("send"));

	(void)arg;
	if (id.n == 0 || (!send && !sl_str_eq(dir, SL_STR("recv"))))
		return sdp_bad(p, "a=rid needs an id and send or recv", id);
	for (size_t i = 0; i < m->rid_count; i++)
		if (sl_str_eq(m->rids[i].id, id))
			return sdp_bad(p, "the same a=rid twice in one m-line", id);
	if (m->rid_count == SL_SDP_RIDS_MAX)
		return sdp_full(p, "more than 8 a=rid lines in one m-line");
	m->rids[m->rid_count++] = (struct sl_sdp_rid){.id = id, .send = send};
	return SL_OK;
}

static int read_simulcast(struct sdp_parser *p, struct sl_str v, size_t arg)
{
	(void)arg;
	p->m->simulcast = v;
	return SL_OK;
}

/* clang-format off */
enum { IN_SESSION = 1, IN_MEDIA = 2, ANYWHERE = 3 };
#define FLAG(member) read_flag, offsetof(struct sl_sdp_media, member)
static const struct attribute {
	const char *name;
	uint8_t where;
	int (*read)(struct sdp_parser *p, struct sl_str v, size_t arg);
	size_t arg;
} attributes[] = {
	{"rtcp-fb", IN_MEDIA, read_rtcp_fb, 0},
	{"rtpmap", IN_MEDIA, read_rtpmap, 0},
	{"fmtp", IN_MEDIA, read_fmtp, 0},
	{"candidate", IN_MEDIA, read_candidate, 0},
	{"extmap", ANYWHERE, read_extmap, 0},
	{"ssrc", IN_MEDIA, read_ssrc, 0},
	{"ssrc-group", IN_MEDIA, read_ssrc_group, 0},
	{"mid", IN_MEDIA, read_mid, 0},
	{"msid", IN_MEDIA, read_msid, 0},
	{"sendrecv", ANYWHERE, read_dir, SL_SDP_SENDRECV},
	{"sendonly", ANYWHERE, read_dir, SL_SDP_SENDONLY},
	{"recvonly", ANYWHERE, read_dir, SL_SDP_RECVONLY},
	{"inactive", ANYWHERE, read_dir, SL_SDP_INACTIVE},
	{"rtcp-mux", IN_MEDIA, FLAG(rtcp_mux)},
	{"rtcp-rsize", IN_MEDIA, FLAG(rtcp_rsize)},
	{"rtcp-xr", ANYWHERE, read_rtcp_xr, 0},
	{"rtcp", IN_MEDIA, read_rtcp, 0},
	{"crypto", IN_MEDIA, read_crypto, 0},
	{"direction", ANYWHERE, read_comedia, 0},
	{"bundle-only", IN_MEDIA, FLAG(bundle_only)},
	{"end-of-candidates", ANYWHERE, FLAG(end_of_candidates)},
	{"ice-ufrag", ANYWHERE, read_ufrag, 0},
	{"ice-pwd", ANYWHERE, read_pwd, 0},
	{"ice-options", ANYWHERE, read_ice_options, 0},
	{"ice-lite", IN_SESSION, read_ice_lite, 0},
	{"fingerprint", ANYWHERE, read_fingerprint, 0},
	{"setup", ANYWHERE, read_setup, 0},
	{"extmap-allow-mixed", ANYWHERE, read_ext_mixed, 0},
	{"group", IN_SESSION, read_group, 0},
	{"rid", IN_MEDIA, read_rid, 0},
	{"simulcast", IN_MEDIA, read_simulcast, 0},
};
/* clang-format on */

/* Unknown attributes, and known ones where they have no meaning, are skipped (RFC 8866
 * section 5.13). */
int sdp_read_attribute(struct sdp_parser *p, struct sl_str v)
{
	struct sl_str name = sl_str_cut(&v, ':');
	uint8_t here = p->m == &p->session ? IN_SESSION : IN_MEDIA;

	for (size_t i = 0; i < SL_COUNT(attributes); i++)
		if (sl_str_eq(name, sl_str_z(attributes[i].name)))
			return attributes[i].where & here
				       ? attributes[i].read(p, sl_str_trim(v), attributes[i].arg)
				       : SL_OK;
	return SL_OK;
}
