/* SPDX-License-Identifier: Apache-2.0
 * core/demux.c — which protocol a datagram is of, and whose it is. */
#include "core/core_int.h"

struct class_row {
	uint8_t first, last;
	enum sl_class class_;
	uint8_t min_len;
};

/* RFC 7983 section 7, with RFC 9443's ranges left as they are: QUIC is not spoken here. */
static const struct class_row rows[] = {
	{0, 3, SL_CLASS_STUN, 20},  {16, 19, SL_CLASS_ZRTP, 1},	 {20, 63, SL_CLASS_DTLS, 13},
	{64, 79, SL_CLASS_TURN, 4}, {128, 191, SL_CLASS_RTP, 8},
};

enum sl_class sl_classify(const uint8_t *data, size_t len, bool *truncated)
{
	*truncated = len == 0;
	for (size_t i = 0; len > 0 && i < SL_COUNT(rows); i++)
		if (data[0] >= rows[i].first && data[0] <= rows[i].last) {
			bool rtp = rows[i].class_ == SL_CLASS_RTP && !sl_is_rtcp(data, len);

			*truncated = len < (rtp ? SL_RTP_HDR_MIN : rows[i].min_len);
			return rows[i].class_;
		}
	return SL_CLASS_UNKNOWN;
}

/* The transport whose own socket it came by; NULL when that is gone, too. */
static struct sl_transport *sock_owner(struct sl_engine *e, const struct sl_in *in)
{
	struct sl_transport *t = sl_pool_at(&e->transports, in->owner);

	if (t && t->phase != SL_T_DEAD)
		return t;
	sl_stat_inc(&e->stats, SL_STAT_demux_no_transport);
	return NULL;
}

/* Requests go by the user fragment they name, responses by the transaction that asked. */
static struct sl_transport *stun_owner(struct sl_engine *e, const struct sl_in *in)
{
	struct sl_stun_peek peek;
	struct sl_transport *t;

	if (sl_stun_peek(in->data, in->len, &peek) < 0) {
		sl_stat_inc(&e->stats, SL_STAT_stun_malformed);
		return NULL;
	}
	if (peek.class_ == SL_STUN_REQUEST || peek.class_ == SL_STUN_INDICATION) {
		t = peek.local_ufrag.n > 0 && peek.local_ufrag.n <= SL_HASH_KEY_MAX
			    ? sl_hash_get(&e->by_ufrag, peek.local_ufrag.p, peek.local_ufrag.n)
			    : NULL;
		if (!t && peek.class_ == SL_STUN_INDICATION)
			t = sl_hash_get(&e->by_path, &in->path, sizeof(in->path));
		if (!t)
			sl_stat_inc(&e->stats, SL_STAT_stun_unknown_ufrag);
		return t;
	}
	t = sl_hash_get(&e->by_tid, &peek.tid_tag, sizeof(peek.tid_tag));
	if (!t)
		sl_stat_inc(&e->stats, SL_STAT_stun_unknown_transaction);
	return t;
}

/* Everything but STUN counts only from an address that an authenticated check has come from (T03),
 * and by a transport's own socket only for that transport. */
static struct sl_transport *path_owner(struct sl_engine *e, const struct sl_in *in)
{
	struct sl_transport *t = sl_hash_get(&e->by_path, &in->path, sizeof(in->path));

	if (t && in->owner && t->id != in->owner)
		t = NULL;
	if (!t)
		sl_stat_inc(&e->stats, SL_STAT_demux_no_transport);
	return t;
}

/* A connection that nobody has claimed: it may begin with a check, and with nothing else. */
static void stranger(struct sl_engine *e, const struct sl_in *in, enum sl_class class_)
{
	struct sl_transport *t = NULL;

	if (class_ == SL_CLASS_STUN)
		t = stun_owner(e, in);
	else
		sl_stat_inc(&e->stats, SL_STAT_demux_no_transport);
	if (t)
		sl_sock_claim(t, in);
	else
		e->io.sock_close(e->io.arg, in->path.sock);
}

static void dispatch(struct sl_engine *e, const struct sl_in *in);

/* By a socket of a transport that has relays: from a server, perhaps, and with a peer's datagram in
 * it. */
static bool by_relay(struct sl_transport *t, const struct sl_in *in)
{
	struct sl_in inner;

	if (t->phase == SL_T_DEAD || !sl_gather_recv(t, in, &inner))
		return false;
	if (inner.len > 0)
		dispatch(t->eng, &inner);
	return true;
}

static void dispatch(struct sl_engine *e, const struct sl_in *in)
{
	struct sl_transport *t = NULL;
	bool truncated;
	enum sl_class class_ = sl_classify(in->data, in->len, &truncated);

	if (in->path.sock & SL_SOCK_STREAM && !in->owner) {
		stranger(e, in, truncated ? SL_CLASS_UNKNOWN : class_);
		return;
	}
	t = in->owner ? sl_pool_at(&e->transports, in->owner) : NULL;
	if (t && t->gather && by_relay(t, in))
		return;
	if (truncated || in->truncated) {
		sl_stat_inc(&e->stats, SL_STAT_demux_truncated);
		return;
	}
	if (t && t->plain) {
		sl_plain_recv(t, in);
		return;
	}
	switch (class_) {
	case SL_CLASS_STUN:
		t = in->owner ? sock_owner(e, in) : stun_owner(e, in);
		if (t)
			sl_transport_stun(t, in);
		return;
	case SL_CLASS_DTLS:
		t = path_owner(e, in);
		if (t)
			sl_transport_dtls(t, in);
		return;
	case SL_CLASS_RTP:
		t = path_owner(e, in);
		if (t)
			sl_receive_srtp(t, in);
		return;
	default:
		sl_stat_inc(&e->stats, SL_STAT_demux_unknown_class);
	}
}

void sl_engine_recv(struct sl_engine *e, const struct sl_in *in, int n, int64_t now_us)
{
	e->now_us = now_us;
	for (int i = 0; i < n; i++) {
		sl_stat_inc(&e->stats, SL_STAT_rx_packets);
		sl_stat_add(&e->stats, SL_STAT_rx_bytes, in[i].len);
		dispatch(e, &in[i]);
		if (e->open_count == SL_BATCH)
			sl_receive_batch(e);
	}
	sl_receive_batch(e);
}
