/* SPDX-License-Identifier: Apache-2.0
 * tests/core/peer.c — the peer's transport: ICE, DTLS, SRTP, and the walk over RTCP. */
#include "tests/core/peer.h"
#include "core/base/mem.h"

enum { REPORT_US = 1000000, COMPOUND = 1200, BLOCKS = 31 };
#define ERA_US (INT64_C(3990000000) * SL_SEC) /* some day since 1900 */

static void start_dtls(struct peer *p);

/* ---- making ---- */

int peer_new(const struct peer_conf *conf, struct peer **out)
{
	struct peer *p = sl_zalloc(sizeof(*p));
	struct sl_ice_cand local = {.addr = conf->local,
				    .type = SL_ICE_HOST,
				    .priority = sl_ice_priority(SL_ICE_HOST, 65535),
				    .foundation = "1"};
	struct sl_ice_conf ice = {.remote_lite = conf->remote_lite,
				  .controlling = !conf->controlled,
				  .allow_loopback = true,
				  .local = &local,
				  .local_count = 1,
				  .timeout_us = conf->ice_timeout_us ? conf->ice_timeout_us
								     : 30 * SL_SEC};
	int err;

	if (!p)
		return SL_ENOMEM;
	p->conf = *conf;
	ice.tid_tag = sl_rng_u32(conf->rng);
	ice.rng = p->conf.rng;
	ice.stats = &p->stats;
	p->rtcp_ssrc = sl_rng_u32(conf->rng) | 1;
	p->report_us = SL_NEVER;
	err = sl_ice_init(&p->ice, &ice, 0);
	if (err) {
		sl_free(p);
		return err;
	}
	*out = p;
	return SL_OK;
}

void peer_free(struct peer *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < p->source_count; i++)
		peer_source_free(p->sources[i]);
	for (unsigned i = 0; i < p->sink_count; i++)
		peer_sink_free(p->sinks[i]);
	sl_dtls_free(p->dtls);
	sl_srtp_key_free(p->tx_key);
	sl_srtp_key_free(p->rx_key);
	sl_ice_fini(&p->ice);
	sl_free(p);
}

uint64_t peer_ntp(const struct peer *p)
{
	return sl_ntp_from_us((uint64_t)(ERA_US + p->now_us + p->conf.clock_us));
}

/* ---- ICE ---- */

static void drain_ice(struct peer *p)
{
	struct sl_ice_event ev;
	struct sl_dgram out;

	while (sl_ice_pull(&p->ice, &out))
		p->conf.send(p->conf.arg, &out.path, out.data, out.len);
	while (sl_ice_event(&p->ice, &ev))
		if (ev.type == SL_ICE_EV_PATH && ev.path.remote.family)
			start_dtls(p);
	p->failed |= sl_ice_state(&p->ice) == SL_ICE_FAILED;
}

int peer_remote(struct peer *p, const char *ufrag, const char *pwd, const char *fingerprint,
		const struct sl_addr *cands, size_t n, int64_t now_us)
{
	int err = sl_fingerprint_parse(SL_STR("sha-256"), sl_str_z(fingerprint), &p->fingerprint);

	p->now_us = now_us;
	if (!err)
		err = sl_ice_set_remote(&p->ice, sl_str_z(ufrag), sl_str_z(pwd), now_us);
	for (size_t i = 0; i < n && !err; i++) {
		struct sl_ice_cand c = {
			.addr = cands[i],
			.type = SL_ICE_HOST,
			.foundation = "1",
			.priority = sl_ice_priority(SL_ICE_HOST, (uint16_t)(65535 - i))};

		err = sl_ice_add_remote(&p->ice, &c, now_us);
	}
	drain_ice(p);
	return err;
}

void peer_restart(struct peer *p, int64_t now_us)
{
	p->now_us = now_us;
	sl_ice_restart(&p->ice, now_us);
}

/* ---- DTLS ---- */

static void connected(struct peer *p)
{
	p->connected = true;
	p->connected_us = p->now_us;
	p->report_us = p->now_us + 100 * SL_MS;
	for (unsigned i = 0; i < p->source_count; i++)
		p->sources[i]->next_us = p->sources[i]->conf.silent ? SL_NEVER : p->now_us;
}

static void take_keys(struct peer *p)
{
	struct sl_dtls_keys keys;
	enum sl_srtp_impl impl;

	if (p->tx_key || sl_dtls_keys(p->dtls, &keys) < 0)
		return;
	p->records = keys.records;
	impl = sl_srtp_best(keys.local.profile);
	if (sl_srtp_key_new(impl, &keys.local, true, &p->tx_key) == SL_OK &&
	    sl_srtp_key_new(impl, &keys.remote, false, &p->rx_key) == SL_OK)
		connected(p);
	else
		p->failed = true;
}

static void drain_dtls(struct peer *p)
{
	const struct sl_path *path = sl_ice_path(&p->ice);
	const uint8_t *data;
	size_t len;

	while (p->dtls && sl_dtls_pull(p->dtls, &data, &len))
		if (path)
			p->conf.send(p->conf.arg, path, data, len);
	if (p->dtls && sl_dtls_state(p->dtls) == SL_DTLS_CONNECTED)
		take_keys(p);
	if (p->dtls && sl_dtls_state(p->dtls) == SL_DTLS_FAILED)
		p->failed = true;
}

static void use_fixed_keys(struct peer *p)
{
	if (sl_srtp_key_new(p->conf.fixed_impl, p->conf.fixed_tx, true, &p->tx_key) == SL_OK &&
	    sl_srtp_key_new(p->conf.fixed_impl, p->conf.fixed_rx, false, &p->rx_key) == SL_OK)
		connected(p);
	else
		p->failed = true;
}

static void start_dtls(struct peer *p)
{
	struct sl_dtls_conf conf = {.client = p->conf.dtls_client,
				    .cert = p->conf.cert,
				    .peer_count = 1,
				    .rng = p->conf.rng};

	if (p->dtls_started)
		return;
	p->dtls_started = true;
	if (p->conf.fixed_tx) {
		use_fixed_keys(p);
		return;
	}
	conf.peer[0] = p->fingerprint;
	if (sl_dtls_new(&conf, &p->dtls) < 0) {
		p->failed = true;
		return;
	}
	if (p->conf.dtls_client)
		sl_dtls_tick(p->dtls, p->now_us);
	drain_dtls(p);
}

static void recv_dtls(struct peer *p, const uint8_t *data, size_t len)
{
	if (p->records.ready && sl_dtls_is_close(&p->records, data, len)) {
		p->far_end_closed = true;
		return;
	}
	/* An answer to our check may have been lost, and the far end be ready before us. */
	if (!p->dtls && sl_ice_path(&p->ice))
		start_dtls(p);
	if (p->dtls)
		sl_dtls_recv(p->dtls, data, len, p->now_us);
	drain_dtls(p);
}

void peer_close(struct peer *p)
{
	const struct sl_path *path = sl_ice_path(&p->ice);
	uint8_t alert[64];
	int n = p->records.ready ? sl_dtls_write_close(&p->records, alert, sizeof(alert)) : 0;

	if (path && n > 0)
		p->conf.send(p->conf.arg, path, alert, (size_t)n);
	p->connected = false;
}

/* ---- SRTP out ---- */

bool peer_can_send(const struct peer *p)
{
	return p->connected && p->tx_key && sl_ice_path(&p->ice);
}

static void seal(struct peer *p, struct sl_srtp_op *op)
{
	const struct sl_path *path = sl_ice_path(&p->ice);
	uint8_t out[PEER_PACKET + 300];

	if (!peer_can_send(p))
		return;
	op->key = p->tx_key;
	op->out = out;
	SL_ASSERT(op->hdr_len + op->payload_len + SL_SRTP_OVERHEAD <= sizeof(out));
	if (sl_srtp_seal(op, 1) == 1)
		p->conf.send(p->conf.arg, path, op->out, op->out_len);
}

void peer_send_rtp(struct peer *p, const uint8_t *plain, size_t len, uint64_t index)
{
	struct sl_srtp_op op = {.hdr = plain, .hdr_len = len, .index = index};

	seal(p, &op);
}

void peer_send_rtcp(struct peer *p, const uint8_t *plain, size_t len)
{
	struct sl_srtp_op op = {.hdr = plain,
				.hdr_len = 8,
				.payload = plain + 8,
				.payload_len = len - 8,
				.index = p->srtcp_index++,
				.rtcp = true};

	seal(p, &op);
}

/* ---- RTCP out ---- */

static void report(struct peer *p)
{
	struct sl_report blocks[PEER_TRACKS];
	uint8_t buf[COMPOUND];
	struct sl_wr w = sl_wr(buf, sizeof(buf));
	int n = 0;

	for (unsigned i = 0; i < p->source_count; i++) {
		struct sl_sender_info si;

		if (!p->sources[i]->packets)
			continue;
		peer_source_info(p->sources[i], &si);
		sl_rtcp_write_sr(&w, &si, NULL, 0);
	}
	for (unsigned i = 0; i < p->sink_count; i++)
		if (p->sinks[i]->rx.started)
			sl_rx_report(&p->sinks[i]->rx, p->sinks[i]->conf.ssrc, p->now_us,
				     &blocks[n++]);
	sl_rtcp_write_rr(&w, p->rtcp_ssrc, blocks, n);
	sl_rtcp_write_sdes(&w, p->rtcp_ssrc, "peer");
	peer_send_rtcp(p, buf, sl_wr_len(&w));
	p->report_us = p->now_us + REPORT_US / 2 + sl_rng_u32(p->conf.rng) % REPORT_US;
}

/* ---- RTCP in ---- */

static struct peer_source *source_by_ssrc(struct peer *p, uint32_t ssrc)
{
	for (unsigned i = 0; i < p->source_count; i++)
		if (p->sources[i]->conf.ssrc == ssrc)
			return p->sources[i];
	return NULL;
}

static struct peer_sink *sink_by_ssrc(struct peer *p, uint32_t ssrc, bool *rtx)
{
	for (unsigned i = 0; i < p->sink_count; i++) {
		*rtx = p->sinks[i]->conf.rtx_ssrc == ssrc;
		if (p->sinks[i]->conf.ssrc == ssrc || *rtx)
			return p->sinks[i];
	}
	return NULL;
}

static void key_asked(struct peer *p, uint32_t ssrc)
{
	struct peer_source *s = source_by_ssrc(p, ssrc);

	if (!s)
		return;
	s->key_wanted = true;
	s->pli_us[s->plis++ % PEER_TIMES] = p->now_us;
}

static void on_reports(struct peer *p, const struct sl_report *r, int n)
{
	for (int i = 0; i < n; i++) {
		struct peer_source *s = source_by_ssrc(p, r[i].ssrc);

		if (!s)
			continue;
		s->report = r[i];
		p->reports++;
	}
}

static void on_sr(struct peer *p, const struct sl_rtcp *r)
{
	struct sl_report blocks[BLOCKS];
	struct sl_sender_info si;
	int n = sl_rtcp_read_sr(*r, &si, blocks, BLOCKS);
	struct peer_sink *s;
	bool rtx;

	if (n < 0)
		return;
	on_reports(p, blocks, n);
	s = sink_by_ssrc(p, si.ssrc, &rtx);
	if (!s || rtx)
		return;
	s->sr = si;
	s->has_sr = true;
	sl_rx_sr(&s->rx, &si, p->now_us);
}

static void on_rr(struct peer *p, const struct sl_rtcp *r)
{
	struct sl_report blocks[BLOCKS];
	uint32_t sender;

	on_reports(p, blocks, sl_rtcp_read_rr(*r, &sender, blocks, BLOCKS));
}

static void on_twcc(struct peer *p, const struct sl_rtcp *r)
{
	static _Thread_local struct sl_twcc_packet got[4096];
	struct sl_twcc_head head;
	int n = sl_rtcp_read_twcc(*r, &head, got, (int)SL_COUNT(got));

	p->twcc_feedbacks++;
	for (int i = 0; i < n; i++)
		if (got[i].received)
			p->twcc_reported[got[i].seq / 64] |= UINT64_C(1) << got[i].seq % 64;
}

static void on_rtpfb(struct peer *p, const struct sl_rtcp *r)
{
	struct sl_nack_fci fci[200];
	uint32_t sender;
	uint32_t media;
	struct peer_source *s;
	int n;

	if (r->count == SL_RTPFB_TWCC)
		on_twcc(p, r);
	if (r->count != SL_RTPFB_NACK)
		return;
	n = sl_rtcp_read_nack(*r, &sender, &media, fci, (int)SL_COUNT(fci));
	s = n > 0 ? source_by_ssrc(p, media) : NULL;
	if (s)
		peer_source_nack(s, fci, n);
}

static void on_psfb(struct peer *p, const struct sl_rtcp *r)
{
	struct sl_fir fir[16];
	uint32_t ssrcs[16];
	uint64_t bps;
	uint32_t sender;
	uint32_t media;
	int n;

	if (r->count == SL_PSFB_PLI && sl_rtcp_read_pli(*r, &sender, &media) == SL_OK)
		key_asked(p, media);
	n = r->count == SL_PSFB_FIR ? sl_rtcp_read_fir(*r, &sender, fir, (int)SL_COUNT(fir)) : 0;
	for (int i = 0; i < n; i++)
		key_asked(p, fir[i].ssrc);
	n = r->count == SL_PSFB_AFB ? sl_rtcp_read_remb(*r, &bps, ssrcs, (int)SL_COUNT(ssrcs)) : 0;
	for (int i = 0; i < n; i++) {
		struct peer_source *s = source_by_ssrc(p, ssrcs[i]);

		if (s)
			s->remb_bps = bps;
	}
}

static const struct {
	uint8_t type;
	void (*read)(struct peer *p, const struct sl_rtcp *r);
} readers[] = {{SL_RTCP_SR, on_sr},
	       {SL_RTCP_RR, on_rr},
	       {SL_RTCP_RTPFB, on_rtpfb},
	       {SL_RTCP_PSFB, on_psfb}};

static void on_rtcp(struct peer *p, const uint8_t *data, size_t len)
{
	struct sl_rd it = sl_rd(data, len);
	struct sl_rtcp r;

	while (sl_rtcp_next(&it, &r))
		for (size_t i = 0; i < SL_COUNT(readers); i++)
			if (readers[i].type == r.type)
				readers[i].read(p, &r);
}

/* ---- SRTP in ---- */

static void recv_rtcp(struct peer *p, const uint8_t *data, size_t len)
{
	uint8_t out[PEER_PACKET + 300];
	struct sl_srtp_op op = {
		.key = p->rx_key, .hdr = data, .hdr_len = len, .rtcp = true, .out = out};
	uint32_t index;

	if (sl_srtcp_index(p->rx_key, data, len, &index) < 0 ||
	    sl_srtp_rx_check(&p->rtcp_window, index) < 0)
		return;
	op.index = index;
	if (sl_srtp_open(&op, 1) != 1) {
		p->bad_tags++;
		return;
	}
	/* The server counts its compounds per transport, so one window serves all of its senders.
	 */
	sl_srtp_rx_accept(&p->rtcp_window, index);
	on_rtcp(p, out, op.out_len);
}

static void recv_rtp(struct peer *p, const struct sl_path *path, const uint8_t *data, size_t len)
{
	uint8_t out[PEER_PACKET + 300];
	struct sl_srtp_op op = {.key = p->rx_key, .hdr = data, .hdr_len = len, .out = out};
	bool rtx;
	struct peer_sink *s =
		len >= SL_RTP_HDR_MIN ? sink_by_ssrc(p, sl_get32(data + 8), &rtx) : NULL;
	struct sl_srtp_rx *window;

	if (!s)
		return;
	window = rtx ? &s->rtx_window : &s->rtp_window;
	op.index = sl_srtp_rx_index(window, sl_get16(data + 2));
	if (sl_srtp_open(&op, 1) != 1) {
		p->bad_tags++;
		return;
	}
	sl_ice_on_authentic(&p->ice, path, true, p->now_us);
	if (sl_srtp_rx_check(window, op.index) < 0) {
		s->replayed++;
		return;
	}
	sl_srtp_rx_accept(window, op.index);
	peer_sink_packet(s, out, op.out_len, rtx);
}

void peer_recv(struct peer *p, const struct sl_path *path, const uint8_t *data, size_t len,
	       int64_t now_us)
{
	struct sl_dgram d = {.path = *path, .data = data, .len = len};

	p->now_us = now_us;
	if (len == 0 || len > PEER_PACKET + 200)
		return;
	if (data[0] < 4)
		sl_ice_recv(&p->ice, &d, now_us);
	else if (data[0] >= 20 && data[0] < 64)
		recv_dtls(p, data, len);
	else if (p->rx_key && data[0] >= 128 && data[0] < 192 && sl_is_rtcp(data, len))
		recv_rtcp(p, data, len);
	else if (p->rx_key && data[0] >= 128 && data[0] < 192)
		recv_rtp(p, path, data, len);
	drain_ice(p);
}

/* ---- time ---- */

void peer_tick(struct peer *p, int64_t now_us)
{
	p->now_us = now_us;
	if (sl_ice_deadline_us(&p->ice) <= now_us)
		sl_ice_tick(&p->ice, now_us);
	drain_ice(p);
	if (p->dtls && sl_dtls_deadline_us(p->dtls) <= now_us)
		sl_dtls_tick(p->dtls, now_us);
	drain_dtls(p);
	if (!p->connected)
		return;
	for (unsigned i = 0; i < p->source_count; i++)
		peer_source_tick(p->sources[i]);
	for (unsigned i = 0; i < p->sink_count; i++)
		peer_sink_tick(p->sinks[i]);
	if (p->report_us <= now_us)
		report(p);
}

int64_t peer_deadline_us(const struct peer *p)
{
	int64_t due_us = sl_ice_deadline_us(&p->ice);

	if (p->dtls)
		due_us = SL_MIN(due_us, sl_dtls_deadline_us(p->dtls));
	if (!p->connected)
		return due_us;
	due_us = SL_MIN(due_us, p->report_us);
	for (unsigned i = 0; i < p->source_count; i++)
		if (!p->sources[i]->stopped)
			due_us = SL_MIN(due_us, p->sources[i]->next_us);
	for (unsigned i = 0; i < p->sink_count; i++)
		due_us = SL_MIN(due_us, peer_sink_deadline_us(p->sinks[i]));
	return due_us;
}
