/* SPDX-License-Identifier: Apache-2.0
 * bench/load_media.c — what is sent, and whether it arrives.
 * A payload: the codec's own head; then the source's id and the packet's 64-bit number; then bytes
 * that follow from both. So one deciphered packet can be checked in full, and tells which one of
 * which source it is. */
#include "bench/load.h"
#include "core/base/mem.h"
#include <errno.h>
#include <srtp2/srtp.h>
#include <time.h>

enum { VP8_HEAD = 7, OPUS_HEAD = 1, TAG = 16, PATTERN = 8192, FIRST_CHECKED = 3 };
#define MAGIC UINT32_C(0x736c6f61)

static uint8_t pattern[PATTERN];

void load_media_init(void)
{
	uint32_t x = 12345;

	for (size_t i = 0; i < PATTERN; i++) {
		x = x * 1664525 + 1013904223;
		pattern[i] = (uint8_t)(x >> 24);
	}
	srtp_init();
}

static const uint8_t *filler(uint32_t id, uint64_t seq)
{
	return pattern + (id * 257 + seq * 31) % (PATTERN - LOAD_PACKET);
}

static size_t head_len(enum sl_kind kind)
{
	return kind == SL_VIDEO ? VP8_HEAD : OPUS_HEAD;
}

/* Which of the burst it is. */
static unsigned place_of(const struct load_source *s, uint64_t seq)
{
	return (unsigned)((seq - s->first_seq) % s->conf.burst);
}

static size_t payload_len(const struct load_source *s, uint64_t seq)
{
	unsigned at = place_of(s, seq);

	return s->conf.bytes[at >= (s->conf.burst + 1) / 2];
}

/* ================= sources ================= */

struct load_source *load_source_new(struct load *l, struct load_peer *p, enum sl_kind kind)
{
	struct load_source *s = sl_zalloc(sizeof(*s));

	if (!s)
		return NULL;
	s->peer = p;
	s->kind = kind;
	s->conf = l->conf.stream[kind];
	s->ssrc = sl_rng_u32(&l->rng) | 1;
	s->seq = s->first_seq = 1000;
	s->ts = sl_rng_u32(&l->rng);
	s->next_us = SL_NEVER;
	s->key_wanted = true;
	s->id = l->source_count;
	l->sources[l->source_count++] = s;
	p->sources[kind] = s;
	return s;
}

/* Sources begin evenly spread over the first one's interval. */
void load_source_start(struct load_source *s)
{
	struct load *l = s->peer->load;
	double every_us = 1e6 * s->conf.burst / s->conf.pps;

	sl_hdr_writer_init(&s->writer, &s->exts, sl_str_z(s->mid));
	s->next_exact_us = (double)l->now_us + every_us * s->id / SL_MAX(l->source_count, 1u);
	s->next_us = (int64_t)s->next_exact_us;
}

void load_source_rate(struct load_source *s, double pps)
{
	s->conf.pps = pps;
	if (pps <= 0)
		s->next_us = SL_NEVER;
	else if (s->peer->state == LOAD_CONNECTED)
		load_source_start(s);
}

/* RFC 7741: X, S on a frame's first packet; I, L, T; 15 bits of picture id; then the frame header's
 * first byte with the inverse key bit. */
static void write_head(struct sl_wr *w, const struct load_source *s, bool first, bool key)
{
	uint64_t frame = (s->seq - s->first_seq) / s->conf.burst;

	if (s->kind == SL_AUDIO) {
		sl_wr8(w, 0x78);
		return;
	}
	sl_wr8(w, (uint8_t)(0x80 | (first ? 0x10 : 0)));
	sl_wr8(w, 0xe0);
	sl_wr16(w, (uint16_t)(frame | 0x8000));
	sl_wr8(w, (uint8_t)frame);
	sl_wr8(w, 0);
	sl_wr8(w, key ? 0x10 : 0x11);
}

static void write_payload(struct sl_wr *w, const struct load_source *s, bool first, bool key)
{
	size_t len = payload_len(s, s->seq);

	write_head(w, s, first, key);
	sl_wr32(w, MAGIC);
	sl_wr32(w, s->id);
	sl_wr64(w, s->seq);
	sl_wr_bytes(w, filler(s->id, s->seq), len - head_len(s->kind) - TAG);
}

/* The next packet in the clear. Returns its length; *hdr_len of it are header. */
static size_t write_packet(struct load_source *s, uint8_t *out, size_t *hdr_len)
{
	struct load *l = s->peer->load;
	unsigned at = place_of(s, s->seq);
	struct sl_hdr_out h = {.ssrc = s->ssrc,
			       .ts = s->ts,
			       .seq = (uint16_t)s->seq,
			       .pt = s->pt,
			       .marker = s->kind == SL_VIDEO && at + 1 == s->conf.burst,
			       .abs_send_time = sl_abs_send_time(l->now_us)};
	struct sl_wr w;

	if (s->exts.id[SL_EXT_TWCC])
		h.twcc_seq = s->peer->twcc_seq++;
	*hdr_len = sl_hdr_write(&s->writer, NULL, NULL, &h, out);
	w = sl_wr(out + *hdr_len, LOAD_PACKET - *hdr_len);
	write_payload(&w, s, at == 0, s->key_wanted);
	SL_ASSERT(!w.full);
	return *hdr_len + sl_wr_len(&w);
}

/* Seals the next burst into the ring of packets kept. */
static int seal_burst(struct load_source *s, struct iovec *iov)
{
	static uint8_t plain[LOAD_BURST_MAX][LOAD_PACKET];
	struct sl_srtp_op ops[LOAD_BURST_MAX];
	int n = (int)s->conf.burst;

	for (int i = 0; i < n; i++) {
		size_t hdr_len;
		size_t len = write_packet(s, plain[i], &hdr_len);

		ops[i] = (struct sl_srtp_op){.key = s->peer->tx_key,
					     .hdr = plain[i],
					     .hdr_len = hdr_len,
					     .payload = plain[i] + hdr_len,
					     .payload_len = len - hdr_len,
					     .index = s->seq,
					     .out = s->kept[s->seq % LOAD_KEPT]};
		s->octets += len - hdr_len;
		s->seq++;
	}
	if (sl_srtp_seal(ops, n) != n)
		return 0;
	for (int i = 0; i < n; i++) {
		iov[i] = (struct iovec){ops[i].out, ops[i].out_len};
		s->kept_len[ops[i].index % LOAD_KEPT] = (uint16_t)ops[i].out_len;
	}
	return n;
}

static void send_burst(struct load_source *s, struct iovec *iov, int n)
{
	struct mmsghdr m[LOAD_BURST_MAX] = {0};
	struct load *l = s->peer->load;
	int64_t now_ns = load_wall_ns();
	int at = 0;

	for (int i = 0; i < n; i++) {
		s->sent_ns[(s->seq - (uint64_t)(n - i)) % LOAD_SENT] = now_ns;
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	while (at < n) {
		int did = sendmmsg(s->peer->watch.fd, m + at, (unsigned)(n - at), 0);

		if (did > 0)
			at += did;
		else if (errno != EINTR && errno != ECONNREFUSED)
			break;
	}
	l->window.sent += (uint64_t)at;
	l->window.kind[s->kind].sent += (uint64_t)at;
	l->window.unsent += (uint64_t)(n - at);
}

static void burst(struct load_source *s)
{
	struct iovec iov[LOAD_BURST_MAX];
	int n = seal_burst(s, iov);

	send_burst(s, iov, n);
	s->key_wanted = false;
	s->ts += (uint32_t)((s->kind == SL_VIDEO ? 90000 : 48000) * s->conf.burst / s->conf.pps);
}

/* A sender that is late does not send twice as fast afterwards, but for a few bursts. */
void load_source_tick(struct load_source *s)
{
	struct load *l = s->peer->load;
	double every_us = 1e6 * s->conf.burst / s->conf.pps;

	load_hist_add(&l->window.late, (l->now_us - s->next_us) * 1000);
	burst(s);
	s->next_exact_us = SL_MAX(s->next_exact_us, (double)l->now_us - 4 * every_us) + every_us;
	s->next_us = (int64_t)s->next_exact_us;
}

/* The same bytes under the same number: nothing is sealed anew. */
void load_source_again(struct load_source *s, uint16_t seq16)
{
	uint64_t seq = sl_seq16_extend(s->seq, seq16);
	struct load *l = s->peer->load;

	l->window.nacked++;
	if (seq >= s->seq || seq + LOAD_KEPT < s->seq || seq < s->first_seq)
		return;
	l->window.again++;
	load_peer_send(s->peer, s->kept[seq % LOAD_KEPT], s->kept_len[seq % LOAD_KEPT]);
}

void load_source_report(struct load_source *s)
{
	uint8_t buf[200];
	struct sl_wr w = sl_wr(buf, sizeof(buf));
	int64_t wall_us = load_wall_ns() / 1000;
	/* Between 1900 and 1970 there are 2208988800 seconds. */
	struct sl_sender_info si = {
		.ssrc = s->ssrc,
		.ntp = sl_ntp_from_us((uint64_t)(wall_us + INT64_C(2208988800) * SL_SEC)),
		.rtp_ts = s->ts,
		.packets = (uint32_t)(s->seq - s->first_seq),
		.octets = (uint32_t)s->octets};

	sl_rtcp_write_sr(&w, &si, NULL, 0);
	sl_rtcp_write_sdes(&w, s->ssrc, "load");
	load_peer_send_rtcp(s->peer, buf, sl_wr_len(&w));
}

/* ================= sinks ================= */

static struct load_sink *add_sink(struct load_peer *p, uint32_t ssrc, uint8_t pt)
{
	struct load_sink *s;

	if (p->sink_count == p->sink_cap) {
		unsigned cap = p->sink_cap ? 2 * p->sink_cap : 2;

		s = sl_realloc(p->sinks, cap * sizeof(*s));
		if (!s)
			return NULL;
		p->sinks = s;
		p->sink_cap = cap;
	}
	s = &p->sinks[p->sink_count++];
	memset(s, 0, sizeof(*s));
	s->ssrc = ssrc;
	s->ignored = p->rtx_pt[pt];
	return s;
}

/* The last one, or the one after it, most often. */
static struct load_sink *sink_of(struct load_peer *p, uint32_t ssrc, uint8_t pt)
{
	for (unsigned i = 0; i < p->sink_count; i++) {
		unsigned at = (p->sink_last + i) % p->sink_count;

		if (p->sinks[at].ssrc == ssrc) {
			p->sink_last = at;
			return &p->sinks[at];
		}
	}
	return add_sink(p, ssrc, pt);
}

static bool seen_before(struct load_sink *s, uint64_t seq)
{
	uint64_t *word = &s->seen[seq % LOAD_SEEN / 64];
	uint64_t bit = UINT64_C(1) << seq % 64;
	bool was = *word & bit;

	*word |= bit;
	return was;
}

/* A number that leaves the window unseen is lost. */
static void move_up(struct load_sink *s, uint64_t seq)
{
	uint64_t lost = 0;

	if (seq - s->top > LOAD_SEEN) {
		lost = seq - s->top - LOAD_SEEN;
		s->top = seq - LOAD_SEEN;
	}
	while (s->top < seq) {
		uint64_t *word = &s->seen[++s->top % LOAD_SEEN / 64];
		uint64_t bit = UINT64_C(1) << s->top % 64;

		if (s->top >= s->floor + LOAD_SEEN && !(*word & bit))
			lost++;
		*word &= ~bit;
	}
	s->lost += lost;
}

static void begin_at(struct load_sink *s, uint64_t seq)
{
	s->started = true;
	s->top = seq;
	s->floor = seq;
	seen_before(s, seq);
}

/* Numbers of the window that are still open. */
static uint64_t holes(const struct load_sink *s)
{
	uint64_t from = SL_MAX(s->floor, s->top + 1 - SL_MIN(s->top + 1, (uint64_t)LOAD_SEEN));
	uint64_t n = 0;

	for (uint64_t seq = from; s->started && seq <= s->top; seq++)
		n += !(s->seen[seq % LOAD_SEEN / 64] >> seq % 64 & 1);
	return n;
}

void load_sink_mark(struct load_sink *s)
{
	s->floor = s->top + 1;
	s->lost = s->received = 0;
	memset(s->seen, 0, sizeof(s->seen));
}

uint64_t load_sink_tail(const struct load_sink *s)
{
	return s->lost + holes(s);
}

static bool count(struct load_sink *s, struct load_window *w, uint64_t seq)
{
	if (!s->started) {
		begin_at(s, seq);
	} else if (seq > s->top) {
		move_up(s, seq);
		seen_before(s, seq);
	} else if (seq < s->floor) {
		return false;
	} else {
		w->reordered++;
		if (s->top - seq >= LOAD_SEEN || seen_before(s, seq)) {
			w->duplicates++;
			return false;
		}
	}
	s->received++;
	w->received++;
	return true;
}

/* ---- samples ---- */

struct piece {
	uint32_t id;
	uint64_t seq;
};

static struct load_source *source_of(const struct load *l, uint32_t id, enum sl_kind kind)
{
	return id < l->source_count && l->sources[id]->kind == kind ? l->sources[id] : NULL;
}

/* A payload in full: where it comes from, how long it is, each byte. */
static struct load_source *read_payload(const struct load *l, const uint8_t *p, size_t len,
					enum sl_kind kind, uint64_t *seq)
{
	struct sl_rd r = sl_rd(p, len);
	struct load_source *s;
	struct sl_vp8 vp8;
	uint32_t magic;
	uint32_t id;

	if (kind == SL_VIDEO && sl_vp8_read(p, len, &vp8) < 0)
		return NULL;
	sl_rd_skip(&r, kind == SL_VIDEO ? vp8.desc_len + 1u : OPUS_HEAD);
	magic = sl_rd32(&r);
	id = sl_rd32(&r);
	*seq = sl_rd64(&r);
	s = source_of(l, id, kind);
	if (r.bad || magic != MAGIC || !s || *seq < s->first_seq || *seq >= s->seq ||
	    len != payload_len(s, *seq))
		return NULL;
	return memcmp(r.p, filler(id, *seq), sl_rd_left(&r)) == 0 ? s : NULL;
}

/* 90 kHz formats have payload types of their own, so the head tells: Opus' byte is ours. */
static enum sl_kind kind_of(const uint8_t *p, size_t len)
{
	return len > OPUS_HEAD && p[0] == 0x78 ? SL_AUDIO : SL_VIDEO;
}

static void check(struct load_peer *p, struct load_sink *s, const uint8_t *data, size_t len,
		  uint64_t seq)
{
	struct load *l = p->load;
	uint8_t plain[LOAD_BUF];
	struct load_source *from = NULL;
	struct sl_rtp rtp;
	uint64_t in_seq = 0;
	int n = (int)len;

	memcpy(plain, data, len);
	l->window.checked++;
	s->samples++;
	if (srtp_unprotect(p->checker, plain, &n) == srtp_err_status_ok &&
	    sl_rtp_read(plain, (size_t)n, &rtp) == SL_OK) {
		const uint8_t *body = plain + rtp.payload_off;

		from = read_payload(l, body, rtp.payload_len, kind_of(body, rtp.payload_len),
				    &in_seq);
	}
	if (!from) {
		l->window.bad++;
		return;
	}
	if (s->source && (s->source != from || s->shift != (int64_t)(seq - in_seq)))
		l->window.shifted++;
	s->source = from;
	s->shift = (int64_t)(seq - in_seq);
}

/* ---- one packet ---- */

static void note_twcc(struct load_peer *p, const struct sl_rtp *rtp, const uint8_t *data,
		      int64_t rx_us)
{
	const struct sl_ext_map map = {.id[SL_EXT_TWCC] = p->twcc_id};
	struct sl_exts exts;

	sl_ext_read(data, rtp, &map, &exts);
	if (!sl_ext_has(&exts, SL_EXT_TWCC))
		return;
	p->twcc_media = rtp->ssrc;
	sl_twcc_rx_packet(p->twcc, sl_get16(data + exts.off[SL_EXT_TWCC]), rx_us, p->load->now_us);
}

static void first_of(struct load_peer *p)
{
	struct load *l = p->load;

	p->first_us = l->now_us;
	l->window.joins++;
	load_hist_add(&l->window.join, (p->first_us - p->asked_us) * 1000);
	if (p->passing)
		p->leave_us = p->due_us = l->now_us + l->conf.stay_us;
}

static void note_latency(struct load *l, const struct load_sink *s, uint64_t seq, int64_t rx_ns)
{
	const struct load_source *from = s->source;
	uint64_t in_seq = seq - (uint64_t)s->shift;

	if (from && rx_ns && in_seq < from->seq && in_seq + LOAD_SENT > from->seq)
		load_hist_add(&l->window.latency, rx_ns - from->sent_ns[in_seq % LOAD_SENT]);
}

void load_sink_packet(struct load_peer *p, uint8_t *data, size_t len, int64_t rx_ns)
{
	struct load *l = p->load;
	struct load_sink *s;
	struct sl_rtp rtp;
	uint64_t seq;

	/* The padding is enciphered, so its length cannot be asked for. */
	uint8_t first = data[0];
	data[0] &= (uint8_t)~0x20;
	if (p->publisher || sl_rtp_read(data, len, &rtp) < 0) {
		l->window.strays++;
		return;
	}
	data[0] = first;
	s = sink_of(p, rtp.ssrc, rtp.pt);
	if (!s || s->ignored)
		return;
	if (!p->first_us)
		first_of(p);
	if (p->twcc)
		note_twcc(p, &rtp, data, (rx_ns - l->wall_ns) / 1000);
	seq = s->started ? sl_seq16_extend(s->top, rtp.seq) : rtp.seq;
	l->window.bytes += len;
	if (!count(s, &l->window, seq))
		return;
	if (s->samples < FIRST_CHECKED || ++l->check_count >= l->check_stride) {
		l->check_count = 0;
		check(p, s, data, len, seq);
	}
	note_latency(l, s, seq, rx_ns);
}
