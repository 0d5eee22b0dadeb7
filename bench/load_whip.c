/* SPDX-License-Identifier: Apache-2.0
 * bench/load_whip.c — signalling by WHIP and WHEP: an offer of ours, an answer, and DELETE at the
 * end. */
#include "bench/load.h"
#include "core/base/mem.h"

enum { ARENA = 1 << 20, MLINES = 60, RETRY_US = 500000 };

void load_ours(struct load_peer *p, struct sl_sdp_ours *ours, struct sl_sdp_cand *cand,
	       char port_text[16])
{
	const struct sl_ice_creds *creds = sl_ice_local_creds(p->ice);

	*cand = (struct sl_sdp_cand){
		.foundation = SL_STR("1"),
		.type = SL_STR("host"),
		.component = 1,
		.priority = sl_ice_priority(SL_ICE_HOST, 65535),
	};
	if (sl_addr_parse_ip(sl_str_z(p->load->conf.host), &cand->addr) == SL_OK)
		cand->addr.port = p->port;
	*ours = (struct sl_sdp_ours){
		.ufrag = sl_str_z(creds->ufrag),
		.pwd = sl_str_z(creds->pwd),
		.fingerprint = sl_str_z(sl_cert_fingerprint(p->load->cert)),
		.cands = cand,
		.cand_count = 1,
		.session_id = p->port,
		.session_version = 1,
		.addr = cand->addr,
	};
	ours->codecs[SL_OPUS] = 1;
	ours->codecs[SL_VP8] = 1;
	sl_fmt(port_text, 16, "%u", p->port);
}

static void fill_line(struct sl_sdp_offer_line *line, const struct load_peer *p, enum sl_kind kind,
		      char mid[8], size_t number)
{
	const struct load_source *s = p->sources[kind];

	sl_fmt(mid, 8, "%zu", number);
	*line = (struct sl_sdp_offer_line){.kind = kind,
					   .dir = p->publisher ? SL_SDP_SENDONLY : SL_SDP_RECVONLY,
					   .mid = sl_str_z(mid)};
	if (!s)
		return;
	line->send.ssrc = s->ssrc;
	line->send.rtx_ssrc = kind == SL_VIDEO ? s->ssrc + 2 : 0;
	sl_fmt(line->send.cname, sizeof(line->send.cname), "load%u", p->number);
	sl_fmt(line->send.stream, sizeof(line->send.stream), "load%u", p->number);
	sl_fmt(line->send.track, sizeof(line->send.track), "%s%u",
	       kind == SL_VIDEO ? "video" : "audio", p->number);
}

size_t load_offer_lines(const struct load *l, const struct load_peer *p,
			struct sl_sdp_offer_line *lines, char mids[][8], size_t cap)
{
	unsigned each = p->publisher ? 1 : l->conf.publishers;
	size_t n = 0;

	for (unsigned i = 0; i < each; i++)
		for (int kind = 0; kind < SL_KIND_COUNT; kind++)
			if (l->conf.stream[kind].pps > 0 && n < cap) {
				fill_line(&lines[n], p, (enum sl_kind)kind, mids[n], n);
				n++;
			}
	return n;
}

static int write_offer(struct load_peer *p, struct sl_arena *arena, struct sl_sdp *offer,
		       char *text)
{
	struct sl_sdp_offer_line lines[MLINES];
	char mids[MLINES][8];
	char port[16];
	struct sl_sdp_cand cand;
	struct sl_sdp_ours ours;
	struct sl_buf b = sl_buf(text, LOAD_TEXT);
	size_t n = load_offer_lines(p->load, p, lines, mids, MLINES);
	int err;

	load_ours(p, &ours, &cand, port);
	err = sl_sdp_offer(&ours, lines, n, arena, offer);
	if (err)
		return err;
	sl_sdp_write(offer, &b);
	return b.full ? SL_EFULL : SL_OK;
}

static int take_answer(struct load_peer *p, const char *body, size_t len)
{
	struct sl_arena arena;
	struct sl_sdp answer;
	struct sl_sdp_why why = {0};
	int err;

	sl_arena_init(&arena, ARENA);
	err = sl_sdp_read(sl_str(body, len), &arena, &answer, &why);
	if (!err)
		err = load_peer_remote(p, &answer, &answer);
	sl_arena_fini(&arena);
	return err;
}

static void forget(void *arg, int status, const char *head, const char *body, size_t len)
{
	struct load_peer *p = arg;

	(void)status;
	(void)head;
	(void)body;
	(void)len;
	p->refs--;
}

static void on_answer(void *arg, int status, const char *head, const char *body, size_t len)
{
	struct load_peer *p = arg;
	struct load *l = p->load;
	char why[200];

	p->refs--;
	if (p->state != LOAD_ASKING)
		return;
	if (status == 503) {
		l->window.refused++;
		if (p->passing)
			load_peer_failed(l, p, NULL);
		else
			p->retry_us = p->due_us = l->now_us + RETRY_US;
		return;
	}
	if (status != 201) {
		sl_fmt(why, sizeof(why), "the server answers %d: %.120s", status, body);
		load_peer_failed(l, p, why);
		return;
	}
	if (!sl_str_copy(p->location, sizeof(p->location), load_http_header(head, "Location")) ||
	    take_answer(p, body, len) < 0)
		load_peer_failed(l, p, "the server's answer cannot be used");
}

static void join(struct load_peer *p)
{
	static char text[LOAD_TEXT];
	struct load *l = p->load;
	struct sl_arena arena;
	struct sl_sdp offer;
	char path[200];
	int err;

	sl_arena_init(&arena, ARENA);
	err = write_offer(p, &arena, &offer, text);
	sl_arena_fini(&arena);
	if (p->publisher)
		sl_fmt(path, sizeof(path), "%s/whip/%s?participant=p%u", l->conf.base, l->conf.room,
		       p->number);
	else
		sl_fmt(path, sizeof(path), "%s/whep/%s", l->conf.base, l->conf.room);
	if (!err)
		err = load_http_ask(l, "POST", path, "Content-Type: application/sdp\r\n", text,
				    on_answer, p);
	if (err) {
		load_peer_failed(l, p, sl_strerror(err));
		return;
	}
	p->refs++;
}

static void leave(struct load_peer *p)
{
	struct load *l = p->load;

	l->window.leaves++;
	if (p->location[0] && load_http_ask(l, "DELETE", p->location, "", "", forget, p) == SL_OK)
		p->refs++;
	load_peer_end(p);
}

static void begin(struct load *l)
{
	l->signalling_ready = true;
}

const struct load_signalling load_whip = {begin, join, leave};
