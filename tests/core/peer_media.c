/* SPDX-License-Identifier: Apache-2.0
 * tests/core/peer_media.c — tracks of the small peer: frames out and in.
 * A packet's payload is the codec's own head, a stamp (magic, id, frame, packet, packets, key,
 * codec, capture time) and bytes that follow from the stamp. */
#include "tests/core/peer.h"
#include "core/base/mem.h"

enum { VP8_HEAD = 7, H264_HEAD = 2, OPUS_HEAD = 1, RED_HEAD = 5, RED_OLD = 20, MAGIC = 0x50454552 };
enum { STUCK_US = 400000, PLI_EVERY_US = 500000 };

static uint8_t filler(uint32_t id, uint32_t frame, uint32_t packet, size_t at)
{
	return (uint8_t)(id * 7 + frame * 31 + packet * 13 + at * 3);
}

/* ================= source ================= */

struct peer_source *peer_add_source(struct peer *p, const struct peer_source_conf *conf)
{
	struct peer_source *s = sl_zalloc(sizeof(*s));

	SL_ASSERT(p->source_count < PEER_TRACKS);
	if (!s)
		return NULL;
	s->kept = sl_zalloc_array(PEER_KEPT, sizeof(*s->kept));
	if (!s->kept) {
		sl_free(s);
		return NULL;
	}
	s->conf = *conf;
	s->peer = p;
	s->seq = conf->first_seq;
	s->rtx_seq = 1000;
	s->next_us = SL_NEVER;
	s->pic_id = (uint16_t)(conf->id * 100);
	s->tl0 = (uint8_t)(conf->id * 10);
	p->sources[p->source_count++] = s;
	return s;
}

void peer_source_free(struct peer_source *s)
{
	sl_free(s->kept);
	sl_free(s);
}

static uint32_t clock_hz(const struct peer_source *s)
{
	return sl_codec_info(s->conf.codec)->clock_hz;
}

static uint32_t ts_at(const struct peer_source *s, int64_t us)
{
	return s->conf.first_ts + (uint32_t)sl_us_to_ticks(us - s->start_us, clock_hz(s));
}

void peer_source_info(const struct peer_source *s, struct sl_sender_info *out)
{
	*out = (struct sl_sender_info){.ssrc = s->conf.ssrc,
				       .ntp = peer_ntp(s->peer),
				       .rtp_ts = ts_at(s, s->peer->now_us),
				       .packets = (uint32_t)s->packets,
				       .octets = (uint32_t)s->bytes};
}

static size_t write_header(struct peer_source *s, uint8_t *out, uint8_t pt, uint32_t ssrc,
			   uint16_t seq, uint32_t ts, bool marker)
{
	struct sl_hdr_writer w;
	struct sl_hdr_out h = {.ssrc = ssrc,
			       .ts = ts,
			       .seq = seq,
			       .pt = pt,
			       .marker = marker,
			       .abs_send_time = sl_abs_send_time(s->peer->now_us)};

	if (s->conf.exts.id[SL_EXT_TWCC])
		h.twcc_seq = s->peer->twcc_seq++;
	sl_hdr_writer_init(&w, &s->conf.exts, sl_str_z(s->conf.mid));
	return sl_hdr_write(&w, NULL, NULL, &h, out);
}

/* RFC 7741: X, S on the first packet; I, L, T; then the frame header's first byte with the inverse
 * key bit. */
static void vp8_head(struct sl_wr *w, const struct peer_source *s, bool first, bool key)
{
	const bool ids = s->conf.pic_id_bits > 0;

	sl_wr8(w, (uint8_t)(0x80 | (first ? 0x10 : 0)));
	sl_wr8(w, ids ? 0xe0 : 0x20);
	if (ids && s->conf.pic_id_bits == 15)
		sl_wr16(w, s->pic_id | 0x8000);
	else if (ids)
		sl_wr8(w, s->pic_id & 0x7f);
	if (ids)
		sl_wr8(w, s->tl0);
	sl_wr8(w, 0);
	sl_wr8(w, key ? 0x10 : 0x11);
}

static void red_head(struct sl_wr *w, const struct peer_source *s)
{
	sl_wr8(w, 0x80 | s->conf.inner_pt);
	sl_wr24(w, 960 << 10 | RED_OLD);
	sl_wr8(w, s->conf.inner_pt);
	sl_wr_zeros(w, RED_OLD);
}

static void codec_head(struct sl_wr *w, const struct peer_source *s, bool first, bool key)
{
	switch (s->conf.codec) {
	case SL_VP8:
		vp8_head(w, s, first, key);
		break;
	case SL_H264:
		sl_wr8(w, first && key ? 0x65 : 0x61);
		sl_wr8(w, first ? 0x80 : 0x00);
		break;
	case SL_RED_AUDIO:
		red_head(w, s);
		sl_wr8(w, 0x78);
		break;
	default:
		sl_wr8(w, 0x78);
	}
}

struct shape {
	uint32_t packet, packets;
	size_t len;
	bool key;
};

static void write_payload(struct sl_wr *w, const struct peer_source *s, const struct shape *f)
{
	size_t at = 0;

	codec_head(w, s, f->packet == 0, f->key);
	sl_wr32(w, MAGIC);
	sl_wr32(w, s->conf.id);
	sl_wr32(w, s->frame);
	sl_wr8(w, (uint8_t)f->packet);
	sl_wr8(w, (uint8_t)f->packets);
	sl_wr8(w, f->key);
	sl_wr8(w, (uint8_t)s->conf.codec);
	sl_wr64(w, (uint64_t)(s->peer->now_us + s->peer->conf.clock_us));
	for (; at < f->len; at++)
		sl_wr8(w, filler(s->conf.id, s->frame, f->packet, at));
}

static void send_kept(struct peer_source *s, const struct peer_kept *k)
{
	peer_send_rtp(s->peer, k->data, k->len, k->seq);
}

static void send_packet(struct peer_source *s, const struct shape *f)
{
	struct peer_kept *k = &s->kept[s->seq % PEER_KEPT];
	uint32_t ts = ts_at(s, s->peer->now_us);
	bool marker = f->packet + 1 == f->packets;
	struct sl_wr w;

	k->seq = s->seq;
	k->hdr_len =
		write_header(s, k->data, s->conf.pt, s->conf.ssrc, (uint16_t)s->seq, ts, marker);
	w = sl_wr(k->data + k->hdr_len, sizeof(k->data) - k->hdr_len);
	write_payload(&w, s, f);
	SL_ASSERT(!w.full);
	sl_wr_zeros(&w, s->conf.pad);
	k->len = k->hdr_len + sl_wr_len(&w);
	if (s->conf.pad) {
		k->data[0] |= 0x20;
		k->data[k->len - 1] = s->conf.pad;
	}
	send_kept(s, k);
	s->seq++;
	s->packets++;
	s->bytes += k->len - k->hdr_len;
}

void peer_source_frame(struct peer_source *s)
{
	const struct peer_source_conf *c = &s->conf;
	bool video = sl_codec_info(c->codec)->kind == SL_VIDEO;
	bool key = video && (s->key_wanted || s->frame == 0 ||
			     (c->key_every && s->since_key >= c->key_every));
	size_t bytes = key ? c->key_bytes : c->frame_bytes;
	uint32_t packets =
		(uint32_t)SL_MAX((bytes + c->packet_bytes - 1) / c->packet_bytes, (size_t)1);

	SL_ASSERT(packets <= 64);
	if (s->packets == 0)
		s->start_us = s->peer->now_us;
	for (uint32_t i = 0; i < packets; i++) {
		struct shape f = {.packet = i,
				  .packets = packets,
				  .len = bytes / packets + i % 2 * c->uneven,
				  .key = key};

		send_packet(s, &f);
	}
	s->frame++;
	s->pic_id++;
	s->tl0++;
	s->keys += key;
	s->since_key = key ? 1 : s->since_key + 1;
	s->key_wanted &= !key;
}

void peer_source_tick(struct peer_source *s)
{
	if (s->stopped || s->next_us > s->peer->now_us)
		return;
	s->next_us += s->conf.every_us;
	/* A camera does not wait: frames without a way out are gone. */
	if (peer_can_send(s->peer))
		peer_source_frame(s);
}

void peer_source_probe(struct peer_source *s)
{
	struct peer_kept *k = &s->kept[s->seq % PEER_KEPT];
	enum { PAD = 200 };

	k->seq = s->seq;
	k->hdr_len = write_header(s, k->data, s->conf.pt, s->conf.ssrc, (uint16_t)s->seq,
				  ts_at(s, s->peer->now_us), false);
	k->data[0] |= 0x20;
	memset(k->data + k->hdr_len, 0, PAD);
	k->data[k->hdr_len + PAD - 1] = PAD;
	k->len = k->hdr_len + PAD;
	send_kept(s, k);
	s->seq++;
}

/* RFC 4588: the original number before the original payload. */
static void send_rtx(struct peer_source *s, const struct peer_kept *k)
{
	uint8_t buf[PEER_PACKET + 16];
	size_t body = k->len - k->hdr_len;
	size_t n;

	if (k->data[0] & 0x20)
		return;
	n = write_header(s, buf, s->conf.rtx_pt, s->conf.rtx_ssrc, (uint16_t)s->rtx_seq,
			 sl_get32(k->data + 4), k->data[1] >> 7);
	sl_put16(buf + n, (uint16_t)k->seq);
	memcpy(buf + n + 2, k->data + k->hdr_len, body);
	peer_send_rtp(s->peer, buf, n + 2 + body, s->rtx_seq);
	s->rtx_seq++;
}

static void send_again(struct peer_source *s, uint16_t seq16)
{
	uint64_t seq = sl_seq16_extend(s->seq, seq16);
	const struct peer_kept *k = &s->kept[seq % PEER_KEPT];

	s->nacked++;
	if (k->seq != seq || k->len == 0)
		return;
	s->again++;
	if (s->conf.rtx_pt)
		send_rtx(s, k);
	else
		send_kept(s, k);
}

void peer_source_nack(struct peer_source *s, const struct sl_nack_fci *fci, int n)
{
	for (int i = 0; i < n; i++) {
		send_again(s, fci[i].pid);
		for (unsigned bit = 0; bit < 16; bit++)
			if (fci[i].blp >> bit & 1)
				send_again(s, (uint16_t)(fci[i].pid + bit + 1));
	}
}

/* ================= sink ================= */

struct peer_sink *peer_add_sink(struct peer *p, const struct peer_sink_conf *conf)
{
	struct peer_sink *s = sl_zalloc(sizeof(*s));

	SL_ASSERT(p->sink_count < PEER_TRACKS);
	if (!s)
		return NULL;
	s->frames = sl_zalloc_array(PEER_FRAMES, sizeof(*s->frames));
	s->log = sl_zalloc_array(PEER_LOG, sizeof(*s->log));
	if (!s->frames || !s->log) {
		peer_sink_free(s);
		return NULL;
	}
	s->conf = *conf;
	s->peer = p;
	s->pli_us = INT64_MIN / 2;
	sl_rx_init(&s->rx, conf->clock_hz);
	sl_nack_init(&s->nack);
	sl_nack_set_rtt(&s->nack, 40 * SL_MS);
	p->sinks[p->sink_count++] = s;
	return s;
}

void peer_sink_free(struct peer_sink *s)
{
	sl_free(s->frames);
	sl_free(s->log);
	sl_free(s);
}

/* ---- reading a payload ---- */

struct piece {
	uint32_t id, frame, packet, packets;
	bool key;
	enum sl_codec codec;
	int64_t capture_us;
	struct sl_vp8 vp8;
};

static bool skip_head(struct sl_rd *r, enum sl_codec codec, struct piece *out)
{
	const uint8_t *p = r->p;
	size_t n = sl_rd_left(r);
	uint8_t pt;
	size_t off;
	size_t len;

	switch (codec) {
	case SL_VP8:
		if (sl_vp8_read(p, n, &out->vp8) < 0)
			return false;
		sl_rd_skip(r, out->vp8.desc_len + 1u);
		break;
	case SL_H264:
		sl_rd_skip(r, H264_HEAD);
		break;
	case SL_RED_AUDIO:
		if (sl_red_primary(p, n, &pt, &off, &len) < 0)
			return false;
		sl_rd_skip(r, off + OPUS_HEAD);
		break;
	default:
		sl_rd_skip(r, OPUS_HEAD);
	}
	return !r->bad;
}

static bool read_piece(const uint8_t *p, size_t n, enum sl_codec codec, struct piece *out)
{
	struct sl_rd r = sl_rd(p, n);
	uint32_t magic;
	size_t left;

	memset(out, 0, sizeof(*out));
	if (!skip_head(&r, codec, out))
		return false;
	magic = sl_rd32(&r);
	out->id = sl_rd32(&r);
	out->frame = sl_rd32(&r);
	out->packet = sl_rd8(&r);
	out->packets = sl_rd8(&r);
	out->key = sl_rd8(&r) & 1;
	out->codec = (enum sl_codec)sl_rd8(&r);
	out->capture_us = (int64_t)sl_rd64(&r);
	left = sl_rd_left(&r);
	for (size_t i = 0; i < left; i++)
		if (r.p[i] != filler(out->id, out->frame, out->packet, i))
			return false;
	return !r.bad && magic == MAGIC && out->packets > 0 && out->packets <= 64 &&
	       out->packet < out->packets;
}

/* ---- decoding ---- */

static struct peer_frame *frame_of(struct peer_sink *s, const struct piece *x)
{
	uint32_t seen = SL_MIN(s->frame_count, (uint32_t)PEER_FRAMES);

	for (uint32_t i = 1; i <= seen; i++) {
		struct peer_frame *f = &s->frames[(s->frame_count - i) % PEER_FRAMES];

		if (f->id == x->id && f->number == x->frame)
			return f;
	}
	return NULL;
}

static void decode(struct peer_sink *s, struct peer_frame *f)
{
	f->decoded = true;
	s->decoding = true;
	s->at_id = f->id;
	s->at_next = f->number + 1;
	s->moved_us = s->peer->now_us;
	s->decoded++;
	s->keys += f->key;
	if (s->log_count < PEER_LOG)
		s->log[s->log_count++] = *f;
}

static bool newer(const struct peer_sink *s, const struct peer_frame *f)
{
	return !s->decoding || f->id != s->at_id || f->number >= s->at_next;
}

/* Complete, and a key frame or the very next. */
static bool decodable(const struct peer_sink *s, const struct peer_frame *f)
{
	if (f->decoded || f->have < f->total)
		return false;
	return (f->key && newer(s, f)) ||
	       (s->decoding && f->id == s->at_id && f->number == s->at_next);
}

static void decode_all(struct peer_sink *s)
{
	uint32_t seen = SL_MIN(s->frame_count, (uint32_t)PEER_FRAMES);
	bool moved = true;

	while (moved) {
		moved = false;
		for (uint32_t i = seen; i >= 1 && !moved; i--) {
			struct peer_frame *f = &s->frames[(s->frame_count - i) % PEER_FRAMES];

			moved = decodable(s, f);
			if (moved)
				decode(s, f);
		}
	}
}

static void add_piece(struct peer_sink *s, const struct piece *x, uint64_t seq, uint32_t ts)
{
	struct peer_frame *f = frame_of(s, x);

	if (!f) {
		f = &s->frames[s->frame_count++ % PEER_FRAMES];
		*f = (struct peer_frame){.id = x->id,
					 .number = x->frame,
					 .ts = ts,
					 .total = x->packets,
					 .key = x->key,
					 .codec = (uint8_t)x->codec,
					 .pic_id = x->vp8.pic_id,
					 .tl0 = x->vp8.tl0,
					 .has_pic_id = x->vp8.pic_id_len > 0,
					 .capture_us = x->capture_us,
					 .first_us = s->peer->now_us,
					 .first_seq = seq - x->packet};
	}
	/* What belongs together has one timestamp and one picture id, in dense numbers. */
	if (f->ts != ts || f->pic_id != x->vp8.pic_id || f->first_seq + x->packet != seq)
		s->altered++;
	if (f->got >> x->packet & 1)
		return;
	f->got |= UINT64_C(1) << x->packet;
	f->have++;
	if (f->have == f->total)
		decode_all(s);
}

/* ---- packets ---- */

static void follow_clock(struct peer_sink *s, uint32_t ts, int64_t capture_us)
{
	if (!s->has_sr)
		return;
	s->pts_us = (int64_t)sl_ntp_to_us(s->sr.ntp) +
		    sl_ticks_to_us(sl_seq32_diff(s->sr.rtp_ts, ts), s->conf.clock_hz);
	s->skew_us = s->pts_us - capture_us;
}

static void note_order(struct peer_sink *s, uint64_t seq, uint32_t ts)
{
	if (!s->started) {
		s->started = true;
		s->first_seq = s->top_seq = seq;
		s->top_ts = ts;
	}
	if (seq <= s->top_seq)
		return;
	s->backwards += sl_seq32_diff(s->top_ts, ts) < 0;
	s->top_seq = seq;
	s->top_ts = ts;
}

static void take(struct peer_sink *s, const uint8_t *payload, size_t len, enum sl_codec codec,
		 uint64_t seq, uint32_t ts)
{
	struct piece x;

	if (!read_piece(payload, len, codec, &x)) {
		s->altered++;
		return;
	}
	s->packets++;
	s->last_codec = (uint8_t)codec;
	s->last_id = x.id;
	s->last_us = s->peer->now_us;
	note_order(s, seq, ts);
	follow_clock(s, ts, x.capture_us);
	add_piece(s, &x, seq, ts);
}

void peer_sink_packet(struct peer_sink *s, const uint8_t *data, size_t len, bool rtx)
{
	struct sl_rtp rtp;
	uint16_t off;
	uint16_t n;
	uint16_t osn;
	int64_t seq;
	uint8_t pt;

	if (sl_rtp_read(data, len, &rtp) < 0 ||
	    (rtx && sl_rtx_read(data, &rtp, &osn, &off, &n) < 0)) {
		s->altered++;
		return;
	}
	if (!rtx) {
		off = rtp.payload_off;
		n = rtp.payload_len;
		seq = sl_rx_packet(&s->rx, rtp.seq, rtp.ts, n, s->peer->now_us);
	} else {
		seq = s->rx.started ? (int64_t)sl_seq16_extend(s->rx.top, osn) : SL_ERANGE;
	}
	s->padding += n == 0;
	s->padded += n > 0 && rtp.pad_len > 0 && !rtx;
	s->padded_rtx += rtx && rtp.pad_len > 0;
	s->pad_most = SL_MAX(s->pad_most, rtp.pad_len);
	pt = rtx ? s->conf.rtx_of[rtp.pt] : rtp.pt;
	if (!s->conf.codec_at[pt] || s->conf.codec_at[pt] == SL_RTX) {
		s->unknown++;
		return;
	}
	if (seq < 0 || !sl_nack_seen(&s->nack, (uint64_t)seq, s->peer->now_us)) {
		s->duplicates++;
		return;
	}
	s->recovered += rtx;
	s->payload_bytes += n;
	take(s, data + off, n, (enum sl_codec)s->conf.codec_at[pt], (uint64_t)seq, rtp.ts);
}

/* ---- asking ---- */

static struct sl_wr begin(const struct peer *p, uint8_t *buf, size_t cap)
{
	struct sl_wr w = sl_wr(buf, cap);

	if (!p->conf.rsize) {
		sl_rtcp_write_rr(&w, p->rtcp_ssrc, NULL, 0);
		sl_rtcp_write_sdes(&w, p->rtcp_ssrc, "peer");
	}
	return w;
}

static void ask_again(struct peer_sink *s)
{
	struct peer *p = s->peer;
	uint8_t buf[1200];
	uint64_t lost[200];
	struct sl_wr w = begin(p, buf, sizeof(buf));
	int n = sl_nack_poll(&s->nack, p->now_us, lost, (int)SL_COUNT(lost));

	if (n == 0)
		return;
	s->asked += (uint64_t)n;
	sl_rtcp_write_nack(&w, p->rtcp_ssrc, s->conf.ssrc, lost, n);
	peer_send_rtcp(p, buf, sl_wr_len(&w));
}

static int64_t pli_due_us(const struct peer_sink *s)
{
	const struct peer_frame *last =
		s->frame_count ? &s->frames[(s->frame_count - 1) % PEER_FRAMES] : NULL;

	if (!s->conf.pli || !s->conf.video || !last || last->decoded || !newer(s, last))
		return SL_NEVER;
	return SL_MAX(SL_MAX(s->moved_us, last->first_us - STUCK_US) + STUCK_US,
		      s->pli_us + PLI_EVERY_US);
}

static void ask_key(struct peer_sink *s)
{
	struct peer *p = s->peer;
	uint8_t buf[200];
	struct sl_wr w = begin(p, buf, sizeof(buf));

	s->pli_us = p->now_us;
	s->plis++;
	sl_rtcp_write_pli(&w, p->rtcp_ssrc, s->conf.ssrc);
	peer_send_rtcp(p, buf, sl_wr_len(&w));
}

void peer_sink_tick(struct peer_sink *s)
{
	if (s->conf.nack && sl_nack_deadline_us(&s->nack) <= s->peer->now_us)
		ask_again(s);
	if (pli_due_us(s) <= s->peer->now_us)
		ask_key(s);
}

int64_t peer_sink_deadline_us(const struct peer_sink *s)
{
	int64_t due_us = pli_due_us(s);

	return s->conf.nack ? SL_MIN(due_us, sl_nack_deadline_us(&s->nack)) : due_us;
}
