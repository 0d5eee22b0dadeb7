/* SPDX-License-Identifier: Apache-2.0
 * bench/load_peer.c — one peer: its socket, ICE, DTLS, keys and RTCP. */
#include "bench/load.h"
#include "core/base/mem.h"
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <srtp2/srtp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	REPORT_US = 1000000,
	COMPOUND = 1200,
	BLOCKS = 31,
	CONTROL = 64,
	BUFFER = 4 << 20,
	ICE_TIMEOUT_US = 30000000,
	CHECK_WINDOW = 0x4000
};

/* One batch of datagrams, shared by all peers. */
static struct {
	struct mmsghdr m[LOAD_BATCH];
	struct iovec iov[LOAD_BATCH];
	_Alignas(16) uint8_t control[LOAD_BATCH][CONTROL];
	uint8_t data[LOAD_BATCH][LOAD_BUF];
} rx;

/* ---- making ---- */

static int open_socket(struct load_peer *p)
{
	struct sl_addr any = sl_addr_v4(0, 0, 0, 0, 0);
	struct sockaddr_storage sa;
	socklen_t len;
	int fd;
	int on = 1;
	int size = BUFFER;

	if (strchr(p->load->conf.host, ':'))
		any.family = 6;
	if (p->load->conf.server == LOAD_RTP)
		any.port = load_rtp_port(p->load, p->publisher);
	len = sl_addr_to_sockaddr(&any, &sa);
	fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return SL_EIO;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) < 0 ||
	    sl_addr_from_sockaddr((struct sockaddr *)&sa, &any) < 0 ||
	    load_watch(p->load, &p->watch, LOAD_PEER, fd, EPOLLIN) < 0) {
		close(fd);
		return SL_EIO;
	}
	p->port = any.port;
	return SL_OK;
}

static int start_ice(struct load_peer *p)
{
	struct sl_ice_cand local = {.type = SL_ICE_HOST,
				    .priority = sl_ice_priority(SL_ICE_HOST, 65535),
				    .foundation = "1"};
	struct sl_ice_conf conf = {.remote_lite = p->load->conf.server == LOAD_SLUICE,
				   .controlling = true,
				   .allow_loopback = true,
				   .timeout_us = ICE_TIMEOUT_US,
				   .local = &local,
				   .local_count = 1,
				   .tid_tag = sl_rng_u32(&p->load->rng),
				   .rng = &p->load->rng,
				   .stats = &p->load->stats};

	if (sl_addr_parse_ip(sl_str_z(p->load->conf.host), &local.addr) < 0)
		return SL_EPARSE;
	local.addr.port = p->port;
	p->ice = sl_zalloc(sizeof(*p->ice));
	return p->ice ? sl_ice_init(p->ice, &conf, p->load->now_us) : SL_ENOMEM;
}

struct load_peer *load_peer_new(struct load *l, bool publisher)
{
	struct load_peer *p = sl_zalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->load = l;
	p->publisher = publisher;
	p->watch.fd = -1;
	p->due_us = p->report_us = p->feedback_us = p->leave_us = p->retry_us = SL_NEVER;
	p->rtcp_ssrc = sl_rng_u32(&l->rng) | 1;
	p->asked_us = l->now_us;
	if (open_socket(p) < 0 || (l->conf.server != LOAD_RTP && start_ice(p) < 0)) {
		load_peer_free(p);
		return NULL;
	}
	if (p->ice)
		p->due_us = sl_ice_deadline_us(p->ice);
	return p;
}

static void stop_sources(struct load_peer *p)
{
	for (int k = 0; k < SL_KIND_COUNT; k++)
		if (p->sources[k])
			p->sources[k]->next_us = SL_NEVER;
}

void load_peer_end(struct load_peer *p)
{
	stop_sources(p);
	p->load->gone_drops += load_peer_drops(p);
	if (p->watch.fd >= 0)
		close(p->watch.fd);
	p->watch.fd = -1;
	p->due_us = p->report_us = p->feedback_us = p->leave_us = p->retry_us = SL_NEVER;
	p->state = LOAD_GONE;
}

void load_peer_free(struct load_peer *p)
{
	if (p->watch.fd >= 0)
		close(p->watch.fd);
	load_hand_free(p->hand);
	sl_srtp_key_free(p->tx_key);
	sl_srtp_key_free(p->rx_key);
	if (p->checker)
		srtp_dealloc(p->checker);
	if (p->ice)
		sl_ice_fini(p->ice);
	sl_free(p->ice);
	sl_free(p->twcc);
	sl_free(p->sinks);
	sl_free(p);
}

uint32_t load_peer_drops(const struct load_peer *p)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t n = sizeof(info);

	if (p->watch.fd < 0)
		return 0;
	getsockopt(p->watch.fd, SOL_SOCKET, SO_MEMINFO, info, &n);
	return info[SK_MEMINFO_DROPS];
}

/* ---- sending ---- */

void load_peer_send(struct load_peer *p, const uint8_t *data, size_t len)
{
	if (p->watch.fd >= 0 && send(p->watch.fd, data, len, 0) < 0 && errno != ECONNREFUSED)
		p->load->window.unsent++;
}

void load_peer_send_rtcp(struct load_peer *p, const uint8_t *plain, size_t len)
{
	uint8_t out[COMPOUND + 64];
	struct sl_srtp_op op = {.key = p->tx_key,
				.hdr = plain,
				.hdr_len = 8,
				.payload = plain + 8,
				.payload_len = len - 8,
				.index = p->srtcp_index++,
				.rtcp = true,
				.out = out};

	if (p->tx_key && sl_srtp_seal(&op, 1) == 1)
		load_peer_send(p, out, op.out_len);
}

/* ---- what signalling brought ---- */

static const struct sl_sdp_cand *first_cand(const struct sl_sdp_media *m, bool v6)
{
	for (size_t i = 0; i < m->cand_count; i++)
		if (m->cands[i].component == 1 && !m->cands[i].tcp &&
		    m->cands[i].addr.family == (v6 ? 6 : 4))
			return &m->cands[i];
	return NULL;
}

/* One socket, one path: the server's first candidate of our family. */
static int take_path(struct load_peer *p, const struct sl_sdp_media *t)
{
	const struct sl_sdp_cand *c = first_cand(t, strchr(p->load->conf.host, ':') != NULL);
	struct sl_ice_cand remote = {.type = SL_ICE_HOST, .foundation = "1"};
	struct sockaddr_storage sa;
	socklen_t len;
	int err;

	if (!c)
		return SL_EUNSUPPORTED;
	p->remote = remote.addr = c->addr;
	remote.priority = c->priority;
	len = sl_addr_to_sockaddr(&c->addr, &sa);
	if (connect(p->watch.fd, (struct sockaddr *)&sa, len) < 0)
		return SL_EIO;
	err = sl_ice_set_remote(p->ice, t->ufrag, t->pwd, p->load->now_us);
	if (!err)
		err = sl_ice_add_remote(p->ice, &remote, p->load->now_us);
	sl_ice_end_of_candidates(p->ice, p->load->now_us);
	return err;
}

static void take_formats(struct load_peer *p, const struct sl_sdp_media *m)
{
	for (size_t i = 0; i < m->codec_count; i++)
		if (m->codecs[i].codec == SL_RTX)
			p->rtx_pt[m->codecs[i].pt & 127] = true;
	for (size_t i = 0; i < m->ext_count; i++)
		if (m->exts[i].ext == SL_EXT_TWCC)
			p->twcc_id = m->exts[i].id;
}

static void give_source(struct load_source *s, const struct sl_sdp_media *m)
{
	enum sl_codec wanted = s->kind == SL_VIDEO ? SL_VP8 : SL_OPUS;

	for (size_t i = 0; i < m->codec_count; i++)
		if (m->codecs[i].codec == wanted && !s->pt)
			s->pt = m->codecs[i].pt;
	for (size_t i = 0; i < m->ext_count; i++)
		if (m->exts[i].ext == SL_EXT_TWCC || m->exts[i].ext == SL_EXT_MID ||
		    m->exts[i].ext == SL_EXT_ABS_SEND_TIME)
			s->exts.id[m->exts[i].ext] = m->exts[i].id;
	if (!sl_str_copy(s->mid, sizeof(s->mid), m->mid))
		s->mid[0] = 0;
}

static void agree(struct load_peer *p, const struct sl_sdp *agreed)
{
	for (size_t i = 0; i < agreed->media_count; i++) {
		const struct sl_sdp_media *m = &agreed->media[i];
		enum sl_kind kind = m->kind == SL_SDP_VIDEO ? SL_VIDEO : SL_AUDIO;

		if (m->rejected)
			continue;
		take_formats(p, m);
		if (p->sources[kind])
			give_source(p->sources[kind], m);
	}
}

static void drain_ice(struct load_peer *p);

int load_peer_remote(struct load_peer *p, const struct sl_sdp *remote, const struct sl_sdp *agreed)
{
	const struct sl_sdp_media *t = sl_sdp_transport(remote, agreed);
	const struct sl_sdp_media *a = sl_sdp_transport(agreed, agreed);
	int err;

	if (!t || !a || t->fingerprint_count == 0)
		return SL_EUNSUPPORTED;
	err = sl_fingerprint_parse(t->fingerprints[0].algorithm, t->fingerprints[0].hex,
				   &p->fingerprint);
	/* RFC 5763 section 5: whoever answers `active` begins. */
	p->dtls_client = (remote == agreed) == (a->setup == SL_SDP_PASSIVE);
	agree(p, agreed);
	if (!err && !p->publisher && p->twcc_id && p->load->conf.feedback_us) {
		p->twcc = sl_zalloc(sizeof(*p->twcc));
		err = p->twcc ? SL_OK : SL_ENOMEM;
		if (p->twcc)
			sl_twcc_rx_init(p->twcc);
	}
	if (!err)
		err = take_path(p, t);
	if (err)
		return err;
	p->state = LOAD_CONNECTING;
	p->answered_us = p->load->now_us;
	drain_ice(p);
	return SL_OK;
}

/* ---- ICE and DTLS ---- */

static void start_dtls(struct load_peer *p)
{
	if (p->hand || p->state != LOAD_CONNECTING)
		return;
	p->hand = load_hand_new(p);
	if (!p->hand)
		load_peer_failed(p->load, p, "out of memory");
	else if (p->dtls_client)
		load_hand_step(p, NULL, 0);
}

static void set_due(struct load_peer *p)
{
	int64_t due_us = SL_MIN(p->report_us, p->feedback_us);

	if (p->state == LOAD_GONE)
		return;
	if (p->ice)
		due_us = SL_MIN(due_us, sl_ice_deadline_us(p->ice));
	due_us = SL_MIN(due_us, SL_MIN(p->leave_us, p->retry_us));
	if (p->hand)
		due_us = SL_MIN(due_us, load_hand_deadline_us(p->hand));
	p->due_us = due_us;
}

static void drain_ice(struct load_peer *p)
{
	struct sl_ice_event ev;
	struct sl_dgram out;

	if (!p->ice)
		return;
	while (sl_ice_pull(p->ice, &out))
		load_peer_send(p, out.data, out.len);
	while (sl_ice_event(p->ice, &ev))
		if (ev.type == SL_ICE_EV_PATH && ev.path.remote.family)
			start_dtls(p);
	if (sl_ice_state(p->ice) == SL_ICE_FAILED && p->state != LOAD_GONE)
		load_peer_failed(p->load, p, "no answer to its connectivity checks");
	set_due(p);
}

/* Deciphers samples: libsrtp2 itself, not this project's use of it. */
static void *make_checker(const struct sl_srtp_master *m)
{
	srtp_policy_t policy = {0};
	uint8_t key[SL_SRTP_MASTER_MAX];
	size_t n = sl_srtp_key_len(m->profile);
	srtp_t ctx = NULL;

	memcpy(key, m->key, n);
	memcpy(key + n, m->salt, sl_srtp_salt_len(m->profile));
	if (m->profile == SL_SRTP_AEAD_AES128_GCM)
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
	else if (m->profile == SL_SRTP_AEAD_AES256_GCM)
		srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp);
	else if (m->profile == SL_SRTP_AES128_CM_SHA1_32)
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&policy.rtp);
	else
		srtp_crypto_policy_set_rtp_default(&policy.rtp);
	policy.rtcp = policy.rtp;
	policy.key = key;
	policy.ssrc.type = ssrc_any_inbound;
	policy.window_size = CHECK_WINDOW;
	if (srtp_create(&ctx, &policy) != srtp_err_status_ok)
		ctx = NULL;
	sl_wipe(key, sizeof(key));
	return ctx;
}

static void take_keys(struct load_peer *p)
{
	const struct sl_dtls_keys *keys = load_hand_keys(p->hand);
	enum sl_srtp_impl impl = sl_srtp_best(keys->local.profile);

	if (sl_srtp_key_new(impl, &keys->local, true, &p->tx_key) < 0 ||
	    sl_srtp_key_new(impl, &keys->remote, false, &p->rx_key) < 0 ||
	    (!p->publisher && !(p->checker = make_checker(&keys->remote)))) {
		load_peer_failed(p->load, p, "its keys cannot be used");
		return;
	}
	sl_srtp_key_bind(p->tx_key, p->load->mgr);
	sl_srtp_key_bind(p->rx_key, p->load->mgr);
	p->state = LOAD_CONNECTED;
	p->connected_us = p->load->now_us;
	p->report_us = p->load->now_us + sl_rng_u32(&p->load->rng) % REPORT_US;
	if (p->twcc)
		p->feedback_us =
			p->load->now_us + sl_rng_u32(&p->load->rng) % p->load->conf.feedback_us;
	load_peer_connected(p->load, p);
}

static int direct_keys(struct load_peer *p, const struct sl_srtp_master *key)
{
	static const struct sl_srtp_master none;

	if (!key)
		return sl_srtp_key_new(SL_SRTP_CLEAR, &none, true, &p->tx_key);
	p->checker = make_checker(key);
	return p->checker ? sl_srtp_key_new(sl_srtp_best(key->profile), key, false, &p->rx_key)
			  : SL_ENOMEM;
}

void load_peer_direct(struct load_peer *p, const struct sl_addr *to,
		      const struct sl_srtp_master *key)
{
	struct sockaddr_storage sa;
	socklen_t len = sl_addr_to_sockaddr(to, &sa);

	p->remote = *to;
	if (connect(p->watch.fd, (struct sockaddr *)&sa, len) < 0 || direct_keys(p, key) < 0) {
		load_peer_failed(p->load, p, "it cannot be connected");
		return;
	}
	p->state = LOAD_CONNECTED;
	p->connected_us = p->load->now_us;
	load_peer_connected(p->load, p);
}

void load_peer_hand_done(struct load_peer *p)
{
	const uint8_t *data;
	size_t len;

	if (p->state == LOAD_GONE)
		return;
	while (load_hand_pull(p->hand, &data, &len))
		load_peer_send(p, data, len);
	if (load_hand_state(p->hand) == SL_DTLS_CONNECTED && !p->tx_key)
		take_keys(p);
	else if (load_hand_state(p->hand) == SL_DTLS_FAILED)
		load_peer_failed(p->load, p, "its DTLS handshake failed");
	set_due(p);
}

static void recv_dtls(struct load_peer *p, const uint8_t *data, size_t len)
{
	/* The server may know of the path before us. */
	if (!p->hand)
		start_dtls(p);
	if (p->hand)
		load_hand_step(p, data, len);
}

/* ---- RTCP in: only publishers are asked for something ---- */

static struct load_source *source_by_ssrc(struct load_peer *p, uint32_t ssrc)
{
	for (int k = 0; k < SL_KIND_COUNT; k++)
		if (p->sources[k] && p->sources[k]->ssrc == ssrc)
			return p->sources[k];
	return NULL;
}

static void on_nack(struct load_peer *p, const struct sl_rtcp *r)
{
	struct sl_nack_fci fci[200];
	uint32_t sender;
	uint32_t media;
	int n = sl_rtcp_read_nack(*r, &sender, &media, fci, (int)SL_COUNT(fci));
	struct load_source *s = n > 0 ? source_by_ssrc(p, media) : NULL;

	for (int i = 0; i < n && s; i++) {
		load_source_again(s, fci[i].pid);
		for (unsigned bit = 0; bit < 16; bit++)
			if (fci[i].blp >> bit & 1)
				load_source_again(s, (uint16_t)(fci[i].pid + bit + 1));
	}
}

static void key_wanted(struct load_peer *p, uint32_t ssrc)
{
	struct load_source *s = source_by_ssrc(p, ssrc);

	if (s)
		s->key_wanted = true;
	p->load->window.plis++;
}

static void on_psfb(struct load_peer *p, const struct sl_rtcp *r)
{
	struct sl_fir fir[16];
	uint32_t sender;
	uint32_t media;
	int n = 0;

	if (r->count == SL_PSFB_PLI && sl_rtcp_read_pli(*r, &sender, &media) == SL_OK)
		key_wanted(p, media);
	if (r->count == SL_PSFB_FIR)
		n = sl_rtcp_read_fir(*r, &sender, fir, (int)SL_COUNT(fir));
	for (int i = 0; i < n; i++)
		key_wanted(p, fir[i].ssrc);
}

static void recv_rtcp(struct load_peer *p, const uint8_t *data, size_t len)
{
	uint8_t out[LOAD_BUF];
	struct sl_srtp_op op = {
		.key = p->rx_key, .hdr = data, .hdr_len = len, .rtcp = true, .out = out};
	struct sl_rd it;
	struct sl_rtcp r;
	uint32_t index;

	if (!p->publisher || sl_srtcp_index(p->rx_key, data, len, &index) < 0 ||
	    sl_srtp_rx_check(&p->rtcp_window, index) < 0)
		return;
	op.index = index;
	if (sl_srtp_open(&op, 1) != 1) {
		p->load->window.bad++;
		return;
	}
	sl_srtp_rx_accept(&p->rtcp_window, index);
	it = sl_rd(out, op.out_len);
	while (sl_rtcp_next(&it, &r)) {
		if (r.type == SL_RTCP_RTPFB && r.count == SL_RTPFB_NACK)
			on_nack(p, &r);
		if (r.type == SL_RTCP_PSFB)
			on_psfb(p, &r);
	}
}

/* ---- datagrams in ---- */

static void recv_one(struct load_peer *p, uint8_t *data, size_t len, int64_t rx_ns)
{
	struct sl_dgram d = {.path = {.remote = p->remote}, .data = data, .len = len};

	if (len < 2)
		return;
	if (data[0] >= 128 && data[0] < 192 && p->rx_key) {
		if (sl_is_rtcp(data, len))
			recv_rtcp(p, data, len);
		else
			load_sink_packet(p, data, len, rx_ns);
	} else if (data[0] < 4 && p->ice) {
		sl_ice_recv(p->ice, &d, p->load->now_us);
		drain_ice(p);
	} else if (data[0] >= 20 && data[0] < 64 && p->ice) {
		recv_dtls(p, data, len);
	}
}

static void prepare(int n)
{
	for (int i = 0; i < n; i++) {
		rx.iov[i] = (struct iovec){rx.data[i], LOAD_BUF};
		rx.m[i].msg_hdr = (struct msghdr){.msg_iov = &rx.iov[i],
						  .msg_iovlen = 1,
						  .msg_control = rx.control[i],
						  .msg_controllen = CONTROL};
	}
}

static int64_t stamp_ns(struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec ts;

			memcpy(&ts, CMSG_DATA(c), sizeof(ts));
			return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
		}
	return 0;
}

/* Until the socket is empty, or it has had its share. */
void load_peer_read(struct load_peer *p)
{
	static int used = LOAD_BATCH;

	for (int round = 0; round < 4 && p->watch.fd >= 0; round++) {
		int n;

		prepare(used);
		n = recvmmsg(p->watch.fd, rx.m, LOAD_BATCH, MSG_DONTWAIT, NULL);
		used = SL_MAX(n, 0);
		for (int i = 0; i < n && p->watch.fd >= 0; i++)
			recv_one(p, rx.data[i], rx.m[i].msg_len, stamp_ns(&rx.m[i].msg_hdr));
		if (n < LOAD_BATCH)
			break;
	}
}

/* ---- RTCP out ---- */

static int write_blocks(struct load_peer *p, struct sl_report *blocks)
{
	int n = 0;

	for (unsigned i = 0; i < p->sink_count && n < BLOCKS; i++) {
		struct load_sink *s = &p->sinks[i];

		if (s->ignored)
			continue;
		blocks[n++] = (struct sl_report){.ssrc = s->ssrc,
						 .lost = (int32_t)SL_MIN(s->lost, 0x7fffffu),
						 .highest_seq = (uint32_t)s->top};
	}
	return n;
}

static void report(struct load_peer *p)
{
	struct sl_report blocks[BLOCKS];
	uint8_t buf[COMPOUND];
	struct sl_wr w = sl_wr(buf, sizeof(buf));

	for (int k = 0; k < SL_KIND_COUNT; k++)
		if (p->sources[k] && p->sources[k]->next_us != SL_NEVER)
			load_source_report(p->sources[k]);
	sl_rtcp_write_rr(&w, p->rtcp_ssrc, blocks, write_blocks(p, blocks));
	sl_rtcp_write_sdes(&w, p->rtcp_ssrc, "load");
	load_peer_send_rtcp(p, buf, sl_wr_len(&w));
	p->report_us += REPORT_US;
	/* By now the far end has our last flight. */
	if (p->hand && load_hand_idle(p->hand)) {
		load_hand_free(p->hand);
		p->hand = NULL;
	}
}

static void feedback(struct load_peer *p)
{
	uint8_t buf[COMPOUND];
	bool more = p->twcc->due_us != SL_NEVER;

	for (int i = 0; i < 4 && more; i++) {
		struct sl_wr w = sl_wr(buf, sizeof(buf));

		more = sl_twcc_rx_write(p->twcc, p->rtcp_ssrc, p->twcc_media, p->load->now_us, &w);
		if (sl_wr_len(&w) > 0)
			load_peer_send_rtcp(p, buf, sl_wr_len(&w));
	}
	p->feedback_us = p->load->now_us + p->load->conf.feedback_us;
}

void load_peer_tick(struct load_peer *p)
{
	const int64_t now_us = p->load->now_us;

	if (p->ice && sl_ice_deadline_us(p->ice) <= now_us)
		sl_ice_tick(p->ice, now_us);
	drain_ice(p);
	if (p->state == LOAD_GONE)
		return;
	if (p->hand && load_hand_deadline_us(p->hand) <= now_us)
		load_hand_step(p, NULL, 0);
	if (p->report_us <= now_us)
		report(p);
	if (p->feedback_us <= now_us)
		feedback(p);
	if (p->retry_us <= now_us) {
		p->retry_us = SL_NEVER;
		p->asked_us = now_us;
		load_signalling(p->load)->join(p);
	}
	if (p->leave_us <= now_us) {
		p->leave_us = SL_NEVER;
		load_signalling(p->load)->leave(p);
	}
	set_due(p);
}
