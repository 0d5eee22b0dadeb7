/* SPDX-License-Identifier: Apache-2.0 — application/trickle-ice-sdpfrag, RFC 8840 section 9, as
 * WHIP's PATCH has it (RFC 9725 section 4.3): credentials at either level, pseudo m-lines,
 * candidates. One transport, so the candidates of every m-line count. */
#include "rtp/sdp/sdp_int.h"

struct frag_parser {
	struct sl_sdpfrag out;
	struct sl_sdp_cand cands[SL_SDP_CANDS_MAX];
	size_t media, line;
	struct sl_sdp_why *why;
};

static int frag_fail(struct frag_parser *p, const char *text, struct sl_str about)
{
	return sdp_fail(p->why, p->line, SL_EPARSE, text, about);
}

/* The same credentials may stand at several m-lines; others may not. */
static int set_once(struct frag_parser *p, struct sl_str *at, struct sl_str v, bool ok,
		    const char *text)
{
	struct sl_str unsaid = {0}; /* a password never goes into a message */

	if (!ok || (at->n > 0 && !sl_str_eq(*at, v)))
		return frag_fail(p, text, unsaid);
	*at = v;
	return SL_OK;
}

static void frag_cand(struct frag_parser *p, struct sl_str v)
{
	struct sl_sdpfrag *f = &p->out;
	struct sl_sdp_cand c;

	if (f->cand_count < SL_SDP_CANDS_MAX && sdp_cand_read(v, &c))
		p->cands[f->cand_count++] = c;
	else
		f->cand_ignored++;
}

static int frag_mid(struct frag_parser *p, struct sl_str v)
{
	if (!sdp_token(v, SL_MID_MAX))
		return frag_fail(p, "a=mid needs 1 to 32 characters of a token", v);
	if (p->media <= 1 && p->out.mid.n == 0)
		p->out.mid = v;
	return SL_OK;
}

static int frag_attribute(struct frag_parser *p, struct sl_str v)
{
	struct sl_str name = sl_str_cut(&v, ':');

	v = sl_str_trim(v);
	if (sl_str_eq(name, SL_STR("candidate")))
		frag_cand(p, v);
	else if (sl_str_eq(name, SL_STR("end-of-candidates")))
		p->out.end_of_candidates = true;
	else if (sl_str_eq(name, SL_STR("mid")))
		return frag_mid(p, v);
	else if (sl_str_eq(name, SL_STR("ice-ufrag")))
		return set_once(p, &p->out.ufrag, v, sdp_ufrag_ok(v),
				"a=ice-ufrag needs 4 to 256 characters, the same everywhere");
	else if (sl_str_eq(name, SL_STR("ice-pwd")))
		return set_once(p, &p->out.pwd, v, sdp_pwd_ok(v),
				"a=ice-pwd needs 22 to 256 characters, the same everywhere");
	return SL_OK;
}

static int frag_lines(struct frag_parser *p, struct sl_str text)
{
	struct sdp_lines it = {.rest = text};
	struct sl_str v;
	char type;
	int err = SL_OK;

	while (!err && sdp_line(&it, &type, &v)) {
		p->line = it.line;
		if (type < 'a' || type > 'z')
			err = frag_fail(
				p, "not a line of SDP, which is a letter, \"=\" and a value", v);
		else if (type == 'm')
			p->media++;
		else if (type == 'a')
			err = frag_attribute(p, v);
	}
	return err;
}

int sl_sdpfrag_read(struct sl_str text, struct sl_arena *arena, struct sl_sdpfrag *out,
		    struct sl_sdp_why *why)
{
	struct frag_parser p = {.why = why};
	size_t media;
	int err = sdp_check_text(text, &sdp_bounds, &media, why);

	if (!err)
		err = frag_lines(&p, text);
	if (err)
		return err;
	p.out.cands = sdp_copy(arena, p.cands, p.out.cand_count, sizeof(p.cands[0]));
	if (p.out.cand_count > 0 && !p.out.cands)
		return sdp_fail(why, 0, SL_ENOMEM, "out of memory", sl_str(NULL, 0));
	*out = p.out;
	return SL_OK;
}

/* The shape of RFC 9725 section 4.3.3's answer to an ICE restart. */
void sl_sdpfrag_write(const struct sl_sdp_ours *ours, struct sl_str mid, struct sl_str kind,
		      struct sl_buf *out)
{
	if (ours->ice_lite)
		sl_buf_z(out, "a=ice-lite\r\n");
	sl_buf_z(out, "a=ice-options:trickle\r\nm=");
	sl_buf_str(out, kind);
	sl_buf_z(out, " 9 UDP/TLS/RTP/SAVPF 0\r\n");
	if (mid.n > 0) {
		sl_buf_z(out, "a=mid:");
		sl_buf_str(out, mid);
		sl_buf_z(out, "\r\n");
	}
	sl_buf_z(out, "a=ice-ufrag:");
	sl_buf_str(out, ours->ufrag);
	sl_buf_z(out, "\r\na=ice-pwd:");
	sl_buf_str(out, ours->pwd);
	sl_buf_z(out, "\r\n");
	for (size_t i = 0; i < ours->cand_count; i++)
		sdp_cand_write(&ours->cands[i], out);
	sl_buf_z(out, "a=end-of-candidates\r\n");
}
