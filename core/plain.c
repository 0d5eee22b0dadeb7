/* SPDX-License-Identifier: Apache-2.0
 * core/plain.c — transports without ICE and DTLS: their ports, their keys, and the one source that
 * each hears. What the rules are and why stands in plain.h; here every packet meets them twice:
 * before it is opened (may it be from the source?) and when it is authentic (then the source is
 * settled by it). Plain RTP has nothing to authenticate, so there the first look decides. */
#include "core/core_int.h"
#include "core/base/log.h"
#include "core/base/mem.h"

enum {
	IN_A_ROW = 3,
	CONFIRM = 5,
	TRIES = 256,
	UNKNOWN_PER_SECOND = 50,
	SOFT_LIMIT = 65536,
	PORT_MIN = 1024
};

/* ---- ports ---- */

static int open_port(struct sl_transport *t, enum sl_leg_of which, const struct sl_addr *bind)
{
	struct sl_leg *leg = &t->plain->legs[which];
	int sock = sl_sock_open(t, bind, &leg->local);

	if (sock < 0)
		return sock;
	leg->open = true;
	leg->out.sock = (uint32_t)sock;
	return SL_OK;
}

static void close_port(struct sl_transport *t, enum sl_leg_of which)
{
	struct sl_leg *leg = &t->plain->legs[which];

	if (leg->open)
		sl_sock_close(t, leg->out.sock);
	leg->open = false;
	leg->out.remote.family = 0;
}

/* RFC 3550 section 11: an even port for RTP, the next one for RTCP. */
static int open_pair(struct sl_transport *t, uint16_t port)
{
	const struct sl_plain_conf *c = &t->plain->conf;
	struct sl_addr bind = sl_addr_with_port(c->bind, port);
	int err = open_port(t, SL_LEG_RTP, &bind);

	bind.port++;
	if (!err && !c->mux)
		err = open_port(t, SL_LEG_RTCP, &bind);
	if (err)
		close_port(t, SL_LEG_RTP);
	return err;
}

static int open_ports(struct sl_transport *t)
{
	const struct sl_plain_conf *c = &t->plain->conf;
	uint32_t first = ((c->port_min ? c->port_min : PORT_MIN) + 1u) & ~1u;
	uint32_t last = c->port_max ? c->port_max : UINT16_MAX;
	uint32_t pairs = last > first ? (last - first + 1) / 2 : 0;
	uint32_t start = pairs ? sl_rng_u32(&t->eng->rng) % pairs : 0;
	int err = SL_EFULL;

	for (uint32_t i = 0; i < SL_MIN(pairs, (uint32_t)TRIES); i++) {
		err = open_pair(t, (uint16_t)(first + 2 * ((start + i) % pairs)));
		if (err != SL_EBUSY)
			return err;
	}
	return SL_EFULL;
}

/* ---- keys ---- */

static const enum sl_srtp_profile profiles[SL_SDES_COUNT] = {
	[SL_SDES_AES128_80] = SL_SRTP_AES128_CM_SHA1_80,
	[SL_SDES_AES128_32] = SL_SRTP_AES128_CM_SHA1_32,
	[SL_SDES_AES256_80] = SL_SRTP_AES256_CM_SHA1_80,
	[SL_SDES_AES256_32] = SL_SRTP_AES256_CM_SHA1_32,
};

static int new_key(const struct sl_sdes_key *from, bool outbound, struct sl_srtp_key **out)
{
	struct sl_srtp_master m = {.profile = profiles[from->suite]};
	enum sl_srtp_impl impl = m.profile ? sl_srtp_best(m.profile) : SL_SRTP_CLEAR;
	size_t n = sl_srtp_key_len(m.profile);
	int err;

	memcpy(m.key, from->bytes, n);
	memcpy(m.salt, from->bytes + n, sl_srtp_salt_len(m.profile));
	err = sl_srtp_key_new(impl, &m, outbound, out);
	sl_wipe(&m, sizeof(m));
	return err;
}

static int take_keys(struct sl_transport *t, const struct sl_plain_conf *c)
{
	struct sl_srtp_key *rx = NULL;
	struct sl_srtp_key *tx = NULL;
	int err = SL_EPARSE;

	if (c->in.suite < SL_SDES_COUNT && c->out.suite < SL_SDES_COUNT &&
	    !c->in.suite == !c->out.suite)
		err = new_key(&c->in, false, &rx);
	if (!err)
		err = new_key(&c->out, true, &tx);
	if (err) {
		sl_srtp_key_free(rx);
		return err;
	}
	/* What is in the batch is sealed with the old ones. */
	sl_engine_flush(t->eng);
	sl_srtp_key_free(t->rx_key);
	sl_srtp_key_free(t->tx_key);
	t->plain->clear = !c->in.suite;
	sl_transport_keys(t, rx, tx);
	return SL_OK;
}

/* ---- where the peer says it is ---- */

/* RFC 3264 section 8.4: an address of zeros is none, as a hold was written once; port 9 is
 * "discard", which RFC 4145 section 4.1 gives to who only ever begins. */
static bool is_place(const struct sl_addr *a)
{
	static const uint8_t none[16];
	size_t n = a->family == 6 ? 16 : 4;

	return a->family && a->port && a->port != 9 && memcmp(a->ip, none, n) != 0;
}

static void say(struct sl_transport *t, enum sl_leg_of which, const struct sl_addr *said)
{
	struct sl_leg *leg = &t->plain->legs[which];
	bool known = is_place(said);

	if (leg->said.family && sl_addr_eq(&leg->said, said))
		return;
	/* The same peer moved, or it is another: who is heard is decided anew. */
	leg->said = *said;
	leg->from.family = 0;
	leg->taken = leg->run = 0;
	leg->confirmed = leg->changed = false;
	leg->out.remote = (struct sl_addr){0};
	if (known && t->plain->conf.learn != SL_LEARN_SOURCE)
		leg->out.remote = *said;
}

static int set_remote(struct sl_transport *t, const struct sl_plain_conf *c)
{
	int err = take_keys(t, c);

	if (err)
		return err;
	t->plain->conf.learn = c->learn;
	t->plain->conf.any_address = c->any_address;
	say(t, SL_LEG_RTP, &c->rtp);
	say(t, SL_LEG_RTCP, &c->rtcp);
	/* It counts as connected as soon as there is where to send: at the next tick, when whoever
	 * opened it has heard of it. */
	sl_timer_arm(&t->eng->wheel, &t->ice_timer, t->eng->now_us);
	return SL_OK;
}

int sl_plain_open(struct sl_transport *t, const struct sl_transport_conf *conf,
		  struct sl_reply *reply)
{
	int err;

	t->plain = sl_zalloc(sizeof(*t->plain));
	if (!t->plain)
		return SL_ENOMEM;
	t->plain->conf = conf->plain;
	err = open_ports(t);
	if (!err && !conf->offering)
		err = set_remote(t, &conf->plain);
	if (err)
		return err;
	reply->rtp = t->plain->legs[SL_LEG_RTP].local;
	reply->rtcp = t->plain->legs[conf->plain.mux ? SL_LEG_RTP : SL_LEG_RTCP].local;
	return SL_OK;
}

/* An answer without a=rtcp-mux to an offer with it would need another port: it was not offered. */
int sl_plain_set_remote(struct sl_transport *t, const struct sl_transport_conf *conf)
{
	return set_remote(t, &conf->plain);
}

void sl_plain_close(struct sl_transport *t)
{
	sl_engine_flush(t->eng);
	for (int i = 0; i < SL_LEGS; i++)
		close_port(t, (enum sl_leg_of)i);
}

void sl_plain_free(struct sl_transport *t)
{
	if (!t->plain)
		return;
	sl_wipe(t->plain, sizeof(*t->plain));
	sl_free(t->plain);
	t->plain = NULL;
}

/* ---- who is heard ---- */

static bool same_ip(const struct sl_addr *a, const struct sl_addr *b)
{
	struct sl_addr there = sl_addr_with_port(*a, b->port);

	return a->family && sl_addr_eq(&there, b);
}

static struct sl_leg *leg_of(struct sl_transport *t, bool rtcp)
{
	struct sl_leg *legs = t->plain->legs;

	return rtcp && legs[SL_LEG_RTCP].open ? &legs[SL_LEG_RTCP] : &legs[SL_LEG_RTP];
}

static bool is_said(const struct sl_leg *leg, const struct sl_addr *a)
{
	return leg->said.family && sl_addr_eq(&leg->said, a);
}

/* May this source be the one that is heard, as far as its address tells? */
static bool may_settle(const struct sl_leg *leg, const struct sl_addr *a)
{
	if (!leg->from.family)
		return true;
	return !leg->confirmed && !leg->changed && is_said(leg, a);
}

static struct sl_publisher *publisher_of(struct sl_transport *t)
{
	return sl_list_empty(&t->publishers)
		       ? NULL
		       : SL_LIST_AT(t->publishers.next, struct sl_publisher, in_transport);
}

/* The third packet in a row of one source, one SSRC and a negotiated payload type. */
static bool in_a_row(struct sl_transport *t, struct sl_leg *leg, const struct sl_in *in)
{
	const struct sl_publisher *p = publisher_of(t);
	uint16_t seq = sl_get16(in->data + 2);
	uint32_t ssrc = sl_get32(in->data + 8);
	bool next = leg->run > 0 && sl_addr_eq(&leg->tried, &in->path.remote) &&
		    leg->tried_ssrc == ssrc && (uint16_t)(leg->tried_seq + 1) == seq;

	if (!p || !p->codec_at[in->data[1] & 127])
		return false;
	leg->run = next ? (uint8_t)SL_MIN(leg->run + 1, IN_A_ROW) : 1;
	leg->tried = in->path.remote;
	leg->tried_ssrc = ssrc;
	leg->tried_seq = seq;
	return leg->run == IN_A_ROW;
}

/* Plain RTP of the source that is heard, under another SSRC: an encoder that began anew, or one
 * packet that somebody made up. */
static bool known_ssrc(struct sl_transport *t, struct sl_leg *leg, const struct sl_in *in)
{
	const struct sl_publisher *p = publisher_of(t);
	uint32_t ssrc = sl_get32(in->data + 8);

	return !p || !p->ssrc || ssrc == p->ssrc || ssrc == p->rtx_ssrc || in_a_row(t, leg, in);
}

static bool may_be_opened(struct sl_transport *t)
{
	struct sl_plain *pl = t->plain;
	int64_t now_us = t->eng->now_us;

	if (now_us - pl->refill_us >= SL_SEC) {
		pl->refill_us = now_us;
		pl->left = UNKNOWN_PER_SECOND;
	}
	return pl->left-- > 0;
}

static bool clear_rtp(struct sl_transport *t, struct sl_leg *leg, const struct sl_in *in)
{
	const struct sl_addr *a = &in->path.remote;

	if (leg->from.family && sl_addr_eq(&leg->from, a))
		return known_ssrc(t, leg, in);
	if (!may_settle(leg, a))
		return false;
	if (is_said(leg, a))
		return true;
	return (t->plain->conf.any_address || same_ip(&leg->said, a)) && in_a_row(t, leg, in);
}

/* From where it was said to come, or from where RTP comes, whatever the port. */
static bool clear_rtcp(struct sl_transport *t, struct sl_leg *leg, const struct sl_in *in)
{
	const struct sl_leg *rtp = &t->plain->legs[SL_LEG_RTP];
	const struct sl_addr *a = &in->path.remote;

	if (leg->from.family && sl_addr_eq(&leg->from, a))
		return true;
	if (!may_settle(leg, a))
		return false;
	if (is_said(leg, a))
		return true;
	return leg != rtp && same_ip(rtp->from.family ? &rtp->from : &rtp->said, a);
}

static bool sealed(struct sl_transport *t, struct sl_leg *leg, const struct sl_in *in)
{
	const struct sl_addr *a = &in->path.remote;

	if (leg->from.family && sl_addr_eq(&leg->from, a))
		return true;
	return may_settle(leg, a) && (is_said(leg, a) || may_be_opened(t));
}

static void foreign(struct sl_transport *t, const struct sl_in *in)
{
	sl_stat_inc(&t->eng->stats, SL_STAT_plain_foreign);
	if (!t->plain->foreign_told)
		SL_LOG(INFO, SRTP, "packets from elsewhere than was signalled are not heard",
		       SL_KS("session", t->name), SL_KA("from", &in->path.remote),
		       SL_KA("signalled", &t->plain->legs[SL_LEG_RTP].said));
	t->plain->foreign_told = true;
}

void sl_plain_recv(struct sl_transport *t, const struct sl_in *in)
{
	bool truncated;
	bool rtp_class = sl_classify(in->data, in->len, &truncated) == SL_CLASS_RTP && !truncated;
	bool rtcp = rtp_class && sl_is_rtcp(in->data, in->len);
	struct sl_leg *leg = leg_of(t, rtcp);
	bool heard = rtp_class && t->rx_key && leg->out.sock == in->path.sock;

	if (t->phase == SL_T_DEAD)
		return;
	if (heard && !t->plain->clear)
		heard = sealed(t, leg, in);
	else if (heard)
		heard = rtcp ? clear_rtcp(t, leg, in) : clear_rtp(t, leg, in);
	if (heard)
		sl_receive_srtp(t, in);
	else
		foreign(t, in);
}

/* Media follows it, and so does RTCP to the next port until that has a source of its own. */
static void follow(struct sl_transport *t, struct sl_leg *leg, const struct sl_addr *a)
{
	struct sl_leg *rtcp = &t->plain->legs[SL_LEG_RTCP];

	leg->out.remote = *a;
	if (leg != rtcp && rtcp->open && !rtcp->from.family)
		rtcp->out.remote = sl_addr_with_port(*a, (uint16_t)(a->port + 1));
}

bool sl_plain_accept(struct sl_transport *t, const struct sl_path *path, bool rtcp)
{
	struct sl_leg *leg = leg_of(t, rtcp);
	const struct sl_addr *a = &path->remote;

	if (!leg->from.family || !sl_addr_eq(&leg->from, a)) {
		if (!may_settle(leg, a)) {
			sl_stat_inc(&t->eng->stats, SL_STAT_plain_foreign);
			return false;
		}
		leg->changed = leg->from.family != 0;
		leg->from = *a;
		leg->taken = 0;
		leg->confirmed = leg->changed || is_said(leg, a);
		if (t->plain->conf.learn != SL_LEARN_NEVER)
			follow(t, leg, a);
	}
	if (!leg->confirmed && ++leg->taken >= CONFIRM)
		leg->confirmed = true;
	if (t->phase == SL_T_CONNECTING)
		sl_transport_connected(t);
	return true;
}

/* ---- once a second ---- */

/* RFC 3711 section 9.2: a key seals 2^48 packets of SRTP and 2^31 of SRTCP; that it nears its end
 * is said while there are 65,536 left. All packets are counted, of whatever SSRC. */
static void look_at_keys(struct sl_transport *t)
{
	struct sl_plain *pl = t->plain;
	uint64_t limit = pl->conf.key_packets ? pl->conf.key_packets : UINT64_C(1) << 48;
	uint64_t used = SL_MAX(t->tx_packets, t->rx_packets);

	if (pl->clear || pl->limit_told || used + SL_MIN(limit / 2, (uint64_t)SOFT_LIMIT) < limit)
		return;
	pl->limit_told = true;
	SL_LOG(WARN, SRTP, "an SRTP key has few packets left", SL_KS("session", t->name),
	       SL_KU("used", used));
	sl_transport_tell(t, SL_EV_KEY_LIMIT);
}

static void look_at_silence(struct sl_transport *t)
{
	int64_t past_us = t->eng->now_us - t->last_in_us;
	bool silent = t->rx_packets > 0 && past_us >= t->eng->conf.ice_timeout_us;

	if (silent != t->disconnected)
		sl_transport_tell(t, silent ? SL_EV_DISCONNECTED : SL_EV_RECONNECTED);
	t->disconnected = silent;
	if (t->plain->conf.timeout_us && past_us >= t->plain->conf.timeout_us)
		sl_transport_close(t, t->rx_packets ? SL_CLOSE_TIMEOUT : SL_CLOSE_NEVER_CONNECTED);
}

void sl_plain_tick(struct sl_transport *t)
{
	if (t->phase == SL_T_DEAD || !t->tx_key)
		return;
	if (t->phase == SL_T_CONNECTING && sl_transport_path(t))
		sl_transport_connected(t);
	look_at_keys(t);
	sl_timer_arm(&t->eng->wheel, &t->ice_timer, t->eng->now_us + SL_SEC);
	look_at_silence(t);
}
