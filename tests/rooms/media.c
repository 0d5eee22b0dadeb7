/* SPDX-License-Identifier: Apache-2.0
 * tests/rooms/media.c — the way and the packets of a person: a full ICE agent that controls, and
 * RTP under the null transform, which leaves RTP as it is and puts an index behind RTCP.
 * A payload ends in a stamp: a magic number, the track's serial, the packet's number. */
#include "tests/rooms/world.h"

enum { MAGIC = 0x524f4f4d, VP8_HEAD = 11, OPUS_HEAD = 1, INDEX_LEN = 4, KEY_EVERY = 60 };

/* ================= ICE ================= */

static void put_up(const struct person *p, const struct sl_addr *to, const void *data, size_t len)
{
	struct dgram head = {.from = p->addr, .to = *to, .person = p->number};

	for (unsigned i = 0; i < LOOPS; i++) {
		struct sl_addr server = wire_server(i);

		head.loop = i;
		if (sl_addr_eq(to, &server))
			wire_put(UP, p->distance, &head, data, len);
	}
}

static void drain(struct person *p)
{
	struct sl_ice_event ev;
	struct sl_dgram out;

	while (sl_ice_pull(&p->ice, &out))
		put_up(p, &out.path.remote, out.data, out.len);
	while (sl_ice_event(&p->ice, &ev))
		CHECK(ev.type != SL_ICE_EV_STATE || ev.state != SL_ICE_FAILED);
	world.ice_due_us[p->number] = SL_MAX(sl_ice_deadline_us(&p->ice), world.now_us + 100);
}

void media_open(struct person *p)
{
	struct sl_ice_cand local = {.type = SL_ICE_HOST,
				    .priority = sl_ice_priority(SL_ICE_HOST, 65535),
				    .foundation = "1"};
	struct sl_ice_conf conf = {.remote_lite = true,
				   .controlling = true,
				   .local = &local,
				   .local_count = 1,
				   .timeout_us = 30 * SL_SEC,
				   .rng = &world.wire_rng,
				   .stats = &p->stats};

	p->port = (uint16_t)(p->port + 1);
	p->addr = local.addr =
		sl_addr_v4(10, 0, (uint8_t)p->number, 1, (uint16_t)(20000 + p->port));
	conf.tid_tag = sl_rng_u32(&world.wire_rng);
	CHECK_EQ(sl_ice_init(&p->ice, &conf, world.now_us), SL_OK);
	p->ice_open = true;
	p->remote_ufrag[0] = 0;
	p->srtcp_index = 0;
	memset(p->by_ssrc, 0, sizeof(p->by_ssrc));
}

void media_close(struct person *p)
{
	if (p->ice_open)
		sl_ice_fini(&p->ice);
	p->ice_open = false;
	world.ice_due_us[p->number] = SL_NEVER;
}

void media_remote(struct person *p, struct sl_str ufrag, struct sl_str pwd,
		  const struct sl_sdp_cand *cands, size_t n)
{
	if (sl_str_eq(ufrag, sl_str_z(p->remote_ufrag)))
		return;
	if (p->remote_ufrag[0])
		sl_ice_restart(&p->ice, world.now_us);
	CHECK(sl_str_copy(p->remote_ufrag, sizeof(p->remote_ufrag), ufrag));
	CHECK_EQ(sl_ice_set_remote(&p->ice, ufrag, pwd, world.now_us), SL_OK);
	for (size_t i = 0; i < n; i++) {
		struct sl_ice_cand c = {.addr = cands[i].addr,
					.type = SL_ICE_HOST,
					.priority = cands[i].priority,
					.foundation = "1"};

		CHECK_EQ(sl_ice_add_remote(&p->ice, &c, world.now_us), SL_OK);
	}
	drain(p);
}

void media_tick(struct person *p)
{
	sl_ice_tick(&p->ice, world.now_us);
	drain(p);
}

/* ================= in ================= */

static size_t place_of(uint32_t ssrc)
{
	return (ssrc * UINT32_C(2654435761)) >> 22;
}

void media_index(struct person *p, size_t line)
{
	size_t at = place_of(p->lines[line].ssrc);

	while (p->by_ssrc[at % 1024])
		at++;
	p->by_ssrc[at % 1024] = (uint16_t)(line + 1);
}

static struct line *line_of(struct person *p, uint32_t ssrc)
{
	for (size_t at = place_of(ssrc); p->by_ssrc[at % 1024]; at++) {
		struct line *l = &p->lines[p->by_ssrc[at % 1024] - 1];

		if (l->ssrc == ssrc)
			return l;
	}
	return NULL;
}

static void look(struct line *l, const uint8_t *stamp)
{
	uint32_t serial = sl_get32(stamp + 4), counter = sl_get32(stamp + 8);

	CHECK_EQ(sl_get32(stamp), MAGIC);
	CHECK(serial > 0 && serial <= world.track_count);
	CHECK_EQ(world.tracks[serial].kind, l->kind);
	if (!world.window)
		return;
	CHECK(l->track && l->track->serial == serial);
	CHECK(!l->in_window || counter == l->counter + 1);
	l->in_window = true;
	l->counter = counter;
	l->got++;
}

static void recv_rtp(struct person *p, const struct dgram *d)
{
	struct sl_rtp rtp;
	struct line *l;

	CHECK_EQ(sl_rtp_read(d->data, d->len, &rtp), SL_OK);
	l = line_of(p, rtp.ssrc);
	CHECK(l && rtp.payload_len >= STAMP);
	CHECK(!l->started || rtp.seq == (uint16_t)(l->seq + 1));
	l->started = true;
	l->seq = rtp.seq;
	l->packets++;
	world.packets++;
	look(l, d->data + rtp.payload_off + rtp.payload_len - STAMP);
}

static void on_feedback(struct person *p, const struct sl_rtcp *r)
{
	uint32_t sender, media, ssrcs[8];
	uint64_t bps;

	if (r->count == SL_PSFB_AFB && sl_rtcp_read_remb(*r, &bps, ssrcs, 8) > 0)
		p->remb_bps = bps;
	if (r->count != SL_PSFB_PLI || sl_rtcp_read_pli(*r, &sender, &media) < 0)
		return;
	for (size_t i = 0; i < p->line_count; i++)
		if (!p->lines[i].slot && p->lines[i].ssrc == media)
			p->lines[i].key_wanted = true;
}

static void recv_rtcp(struct person *p, const struct dgram *d)
{
	struct sl_rd it = sl_rd(d->data, d->len - INDEX_LEN);
	struct sl_rtcp r;

	while (sl_rtcp_next(&it, &r))
		if (r.type == SL_RTCP_PSFB)
			on_feedback(p, &r);
	CHECK(!it.bad);
}

void media_recv(struct person *p, const struct dgram *d)
{
	struct sl_dgram in = {.path = {.remote = d->from}, .data = d->data, .len = d->len};

	if (!p->ice_open || !sl_addr_eq(&d->to, &p->addr))
		return;
	if (d->data[0] < 4) {
		(void)sl_ice_recv(&p->ice, &in, world.now_us);
		drain(p);
		return;
	}
	CHECK(d->data[0] >= 128 && d->data[0] < 192 && d->len > STAMP);
	if (sl_is_rtcp(d->data, d->len))
		recv_rtcp(p, d);
	else
		recv_rtp(p, d);
	sl_ice_on_authentic(&p->ice, &in.path, true, world.now_us);
}

/* ================= out ================= */

/* RFC 3550 section 5.1, and RFC 8285 section 4.2: MID on every packet, the level of a microphone.
 */
static void write_header(const struct person *p, struct line *l, struct sl_wr *w, size_t mid)
{
	char text[8];
	size_t n;

	(void)sl_fmt(text, sizeof(text), "%zu", mid);
	n = strlen(text);
	sl_wr8(w, 0x90);
	sl_wr8(w, 0x80 | l->pt);
	sl_wr16(w, l->out_seq++);
	sl_wr32(w, (uint32_t)(world.now_us / 1000 * (l->kind == SL_VIDEO ? 90 : 48)));
	sl_wr32(w, l->ssrc);
	sl_wr16(w, 0xbede);
	sl_wr16(w, 2);
	sl_wr8(w, (uint8_t)((size_t)l->mid_ext << 4 | (n - 1)));
	sl_wr_bytes(w, text, n);
	for (size_t i = 1 + n; i < 6; i++)
		sl_wr8(w, 0);
	sl_wr8(w, (uint8_t)(l->level_ext << 4));
	sl_wr8(w, l->level_ext == 0 ? 0 : p->loud ? 0x80 | 20 : 127);
}

/* RFC 7741 section 4: a whole frame in a packet; RFC 6386 section 9.1: of 16 by 16. */
static void write_vp8(struct line *l, struct sl_wr *w)
{
	static const uint8_t start[] = {0x9d, 0x01, 0x2a, 16, 0, 16, 0};
	bool key = l->key_wanted || l->out_counter % KEY_EVERY == 0;

	l->key_wanted = false;
	sl_wr8(w, 0x10);
	sl_wr8(w, key ? 0x10 : 0x11);
	sl_wr16(w, 0);
	sl_wr_bytes(w, start, sizeof(start));
}

static void send_one(const struct person *p, struct line *l, const struct sl_path *path)
{
	uint8_t buf[128];
	struct sl_wr w = sl_wr(buf, sizeof(buf));

	write_header(p, l, &w, (size_t)(l - p->lines));
	if (l->kind == SL_VIDEO)
		write_vp8(l, &w);
	else
		sl_wr8(&w, 0x78);
	sl_wr32(&w, MAGIC);
	sl_wr32(&w, l->track->serial);
	sl_wr32(&w, l->out_counter++);
	CHECK(!w.full);
	put_up(p, &path->remote, buf, sl_wr_len(&w));
}

/* RFC 3550 section 6.4.2: a report without blocks, as a sign of life. RFC 3711 section 3.4: the
 * index behind it. */
static void send_report(struct person *p, const struct sl_path *path)
{
	uint8_t buf[64];
	struct sl_wr w = sl_wr(buf, sizeof(buf));

	sl_rtcp_write_rr(&w, p->number + 1, NULL, 0);
	sl_rtcp_write_sdes(&w, p->number + 1, "someone");
	sl_wr32(&w, 0x80000000 | p->srtcp_index++);
	put_up(p, &path->remote, buf, sl_wr_len(&w));
}

void media_send(struct person *p)
{
	const struct sl_path *path = p->ice_open ? sl_ice_path(&p->ice) : NULL;

	if (!path)
		return;
	if (world.now_us / SL_SEC % 2 == 0)
		send_report(p, path);
	for (size_t i = 0; i < p->line_count; i++) {
		struct line *l = &p->lines[i];

		if (!l->slot && l->track && l->pt && l->mid_ext)
			send_one(p, l, path);
	}
}
