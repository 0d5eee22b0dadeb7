/* SPDX-License-Identifier: Apache-2.0 — structs to text, in the order that browsers write it. */
#include "rtp/sdp/sdp_int.h"

static const char *const dir_names[] = {"sendrecv", "sendonly", "recvonly", "inactive"};
static const char *const setup_names[] = {NULL, "actpass", "active", "passive", "holdconn"};

const char *sl_sdp_dir_name(enum sl_sdp_dir d)
{
	return dir_names[d];
}

enum sl_sdp_dir sl_sdp_dir_reverse(enum sl_sdp_dir d)
{
	static const enum sl_sdp_dir reverse[] = {SL_SDP_SENDRECV, SL_SDP_RECVONLY, SL_SDP_SENDONLY,
						  SL_SDP_INACTIVE};

	return reverse[d];
}

bool sl_sdp_sends(enum sl_sdp_dir d)
{
	return d == SL_SDP_SENDRECV || d == SL_SDP_SENDONLY;
}

bool sl_sdp_receives(enum sl_sdp_dir d)
{
	return d == SL_SDP_SENDRECV || d == SL_SDP_RECVONLY;
}

static void end_line(struct sl_buf *b)
{
	sl_buf_add(b, "\r\n", 2);
}

/* "key" and text, when there is text. */
static void line_str(struct sl_buf *b, const char *key, struct sl_str v)
{
	if (v.n == 0)
		return;
	sl_buf_z(b, key);
	sl_buf_str(b, v);
	end_line(b);
}

static void line_if(struct sl_buf *b, bool on, const char *line)
{
	if (!on)
		return;
	sl_buf_z(b, line);
	end_line(b);
}

static void put_addr(struct sl_buf *b, const struct sl_addr *a)
{
	char text[SL_ADDR_TEXT];

	if (a->family == 0)
		sl_buf_z(b, "IN IP4 0.0.0.0");
	else
		sl_buf_fmt(b, "IN IP%d %s", a->family, sl_addr_ip_text(a, text));
}

static void put_session(struct sl_buf *b, const struct sl_sdp *sdp)
{
	sl_buf_z(b, "v=0\r\no=");
	sl_buf_str(b, sdp->origin_user.n > 0 ? sdp->origin_user : SL_STR("-"));
	sl_buf_fmt(b, " %llu %llu ", (unsigned long long)sdp->session_id,
		   (unsigned long long)sdp->session_version);
	put_addr(b, &sdp->origin_addr);
	sl_buf_z(b, "\r\ns=");
	sl_buf_str(b, sdp->name.n > 0 ? sdp->name : SL_STR("-"));
	sl_buf_z(b, "\r\nt=0 0\r\n");
	if (sdp->bundle_count > 0) {
		sl_buf_z(b, "a=group:BUNDLE");
		for (size_t i = 0; i < sdp->bundle_count; i++) {
			sl_buf_char(b, ' ');
			sl_buf_str(b, sdp->bundle[i]);
		}
		end_line(b);
	}
	line_if(b, sdp->ice_lite, "a=ice-lite");
	line_if(b, sdp->ext_mixed, "a=extmap-allow-mixed");
}

static void put_m_line(struct sl_buf *b, const struct sl_sdp_media *m)
{
	sl_buf_z(b, "m=");
	sl_buf_str(b, m->kind_text);
	sl_buf_fmt(b, " %u ", m->port);
	sl_buf_str(b, m->proto);
	for (size_t i = 0; i < m->codec_count; i++)
		sl_buf_fmt(b, " %u", m->codecs[i].pt);
	if (m->codec_count == 0 && m->formats.n > 0) {
		sl_buf_char(b, ' ');
		sl_buf_str(b, m->formats);
	}
	sl_buf_z(b, "\r\nc=");
	put_addr(b, &m->conn);
	end_line(b);
	if (m->bandwidth_as_kbps > 0)
		sl_buf_fmt(b, "b=AS:%u\r\n", m->bandwidth_as_kbps);
	if (m->bandwidth_tias_bps > 0)
		sl_buf_fmt(b, "b=TIAS:%u\r\n", m->bandwidth_tias_bps);
}

/* RFC 8839 section 5.1: what was reflected or relayed names a related address, which need not be
 * told. */
static void put_base(struct sl_buf *b, const struct sl_sdp_cand *c)
{
	char ip[SL_ADDR_TEXT];

	if (c->base.family)
		sl_buf_fmt(b, " raddr %s rport %u", sl_addr_ip_text(&c->base, ip), c->base.port);
	else
		sl_buf_z(b, c->addr.family == 6 ? " raddr :: rport 0" : " raddr 0.0.0.0 rport 0");
}

void sl_sdp_cand_write(const struct sl_sdp_cand *c, struct sl_buf *b)
{
	static const char *const tcp_types[] = {NULL, "active", "passive", "so"};
	char ip[SL_ADDR_TEXT];

	sl_buf_z(b, "candidate:");
	sl_buf_str(b, c->foundation);
	sl_buf_fmt(b, " %u %s %u %s %u typ ", c->component, c->tcp ? "tcp" : "udp", c->priority,
		   sl_addr_ip_text(&c->addr, ip), c->addr.port);
	sl_buf_str(b, c->type);
	if (!sl_str_eq(c->type, SL_STR("host")))
		put_base(b, c);
	if (c->tcp)
		sl_buf_fmt(b, " tcptype %s", tcp_types[c->tcp]);
}

void sdp_cand_write(const struct sl_sdp_cand *c, struct sl_buf *b)
{
	sl_buf_z(b, "a=");
	sl_sdp_cand_write(c, b);
	end_line(b);
}

static void put_transport(struct sl_buf *b, const struct sl_sdp_media *m)
{
	for (size_t i = 0; i < m->cand_count; i++)
		sdp_cand_write(&m->cands[i], b);
	line_if(b, m->end_of_candidates, "a=end-of-candidates");
	line_str(b, "a=ice-ufrag:", m->ufrag);
	line_str(b, "a=ice-pwd:", m->pwd);
	if (m->trickle || m->renomination)
		sl_buf_fmt(b, "a=ice-options:%s%s%s\r\n", m->trickle ? "trickle" : "",
			   m->trickle && m->renomination ? " " : "",
			   m->renomination ? "renomination" : "");
	for (size_t i = 0; i < m->fingerprint_count; i++) {
		sl_buf_z(b, "a=fingerprint:");
		sl_buf_str(b, m->fingerprints[i].algorithm);
		sl_buf_char(b, ' ');
		sl_buf_str(b, m->fingerprints[i].hex);
		end_line(b);
	}
	if (m->setup != SL_SDP_SETUP_NONE)
		sl_buf_fmt(b, "a=setup:%s\r\n", setup_names[m->setup]);
}

static void put_exts(struct sl_buf *b, const struct sl_sdp *sdp, const struct sl_sdp_media *m)
{
	for (size_t i = 0; i < m->ext_count; i++) {
		const struct sl_sdp_ext *e = &m->exts[i];

		sl_buf_fmt(b, "a=extmap:%u", e->id);
		if (e->dir != SL_SDP_SENDRECV)
			sl_buf_fmt(b, "/%s", dir_names[e->dir]);
		sl_buf_char(b, ' ');
		sl_buf_str(b, e->uri);
		end_line(b);
	}
	line_if(b, m->ext_mixed && !sdp->ext_mixed, "a=extmap-allow-mixed");
}

static void put_codec(struct sl_buf *b, const struct sl_sdp_codec *c)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} rows[] = {
		{SL_FB_REMB, "goog-remb"}, {SL_FB_TWCC, "transport-cc"}, {SL_FB_FIR, "ccm fir"},
		{SL_FB_NACK, "nack"},	   {SL_FB_PLI, "nack pli"},
	};

	if (c->name.n > 0) {
		sl_buf_fmt(b, "a=rtpmap:%u ", c->pt);
		sl_buf_str(b, c->name);
		sl_buf_fmt(b, "/%u", c->clock_hz);
		if (c->channels > 0)
			sl_buf_fmt(b, "/%u", c->channels);
		end_line(b);
	}
	for (size_t i = 0; i < SL_COUNT(rows); i++)
		if (c->fb & rows[i].bit)
			sl_buf_fmt(b, "a=rtcp-fb:%u %s\r\n", c->pt, rows[i].name);
	if (c->fmtp.n > 0) {
		sl_buf_fmt(b, "a=fmtp:%u ", c->pt);
		sl_buf_str(b, c->fmtp);
		end_line(b);
	}
}

static void put_codecs(struct sl_buf *b, const struct sl_sdp_media *m)
{
	uint8_t fb = 0;

	for (size_t i = 0; i < m->codec_count; i++)
		fb |= m->codecs[i].fb;
	line_if(b, fb & SL_FB_RRTR, "a=rtcp-xr:rcvr-rtt=all");
	for (size_t i = 0; i < m->codec_count; i++)
		put_codec(b, &m->codecs[i]);
}

static void put_ssrc(struct sl_buf *b, const struct sl_sdp_ssrc *s)
{
	if (s->cname.n > 0) {
		sl_buf_fmt(b, "a=ssrc:%u cname:", s->ssrc);
		sl_buf_str(b, s->cname);
		end_line(b);
	}
	if (s->msid.n > 0) {
		sl_buf_fmt(b, "a=ssrc:%u msid:", s->ssrc);
		sl_buf_str(b, s->msid);
		end_line(b);
	}
	if (s->cname.n == 0 && s->msid.n == 0)
		sl_buf_fmt(b, "a=ssrc:%u\r\n", s->ssrc);
}

static void put_streams(struct sl_buf *b, const struct sl_sdp_media *m)
{
	for (size_t i = 0; i < m->rid_count; i++) {
		sl_buf_z(b, "a=rid:");
		sl_buf_str(b, m->rids[i].id);
		sl_buf_z(b, m->rids[i].send ? " send\r\n" : " recv\r\n");
	}
	line_str(b, "a=simulcast:", m->simulcast);
	for (size_t i = 0; i < m->ssrc_count; i++)
		put_ssrc(b, &m->ssrcs[i]);
	for (size_t i = 0; i < m->ssrc_count; i++)
		if (m->ssrcs[i].rtx)
			sl_buf_fmt(b, "a=ssrc-group:FID %u %u\r\n", m->ssrcs[i].ssrc,
				   m->ssrcs[i].rtx);
}

/* What only peers without ICE and DTLS read. */
static void put_plain(struct sl_buf *b, const struct sl_sdp_media *m)
{
	static const char *const comedia_names[] = {NULL, "active", "passive", "both"};

	if (m->rtcp_port > 0) {
		sl_buf_fmt(b, "a=rtcp:%u", m->rtcp_port);
		if (m->rtcp_addr.family) {
			sl_buf_char(b, ' ');
			put_addr(b, &m->rtcp_addr);
		}
		end_line(b);
	}
	if (m->comedia != SL_SDP_COMEDIA_NONE)
		sl_buf_fmt(b, "a=direction:%s\r\n", comedia_names[m->comedia]);
	for (size_t i = 0; i < m->crypto_count; i++) {
		const struct sl_sdp_crypto *c = &m->cryptos[i];

		sl_buf_fmt(b, "a=crypto:%u ", c->tag);
		sl_buf_str(b, c->suite);
		sl_buf_z(b, " inline:");
		sl_buf_str(b, c->key);
		sl_buf_str(b, c->rest);
		end_line(b);
	}
}

static void put_media(struct sl_buf *b, const struct sl_sdp *sdp, const struct sl_sdp_media *m)
{
	put_m_line(b, m);
	line_if(b, m->bundle_only, "a=bundle-only");
	put_transport(b, m);
	put_plain(b, m);
	line_str(b, "a=mid:", m->mid);
	put_exts(b, sdp, m);
	sl_buf_fmt(b, "a=%s\r\n", dir_names[m->dir]);
	if (m->msid_stream.n > 0) {
		sl_buf_z(b, "a=msid:");
		sl_buf_str(b, m->msid_stream);
		if (m->msid_track.n > 0)
			sl_buf_char(b, ' ');
		sl_buf_str(b, m->msid_track);
		end_line(b);
	}
	line_if(b, m->rtcp_mux, "a=rtcp-mux");
	line_if(b, m->rtcp_rsize, "a=rtcp-rsize");
	put_codecs(b, m);
	put_streams(b, m);
}

void sl_sdp_write(const struct sl_sdp *sdp, struct sl_buf *out)
{
	put_session(out, sdp);
	for (size_t i = 0; i < sdp->media_count; i++)
		put_media(out, sdp, &sdp->media[i]);
}
