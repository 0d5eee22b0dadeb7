/* SPDX-License-Identifier: Apache-2.0
 * ice/turn_data.c — what crosses an allocation: ChannelData, Send and Data indications. Payload
 * is not touched. */
#include "ice/ice_int.h"
#include "core/base/bytes.h"

enum { CHANNEL_HEAD = 4, ATTR_HEAD = 4 };

/*  0                16               32      RFC 8656 section 12.4
 *  | channel number | length         | data, over a stream padded to four bytes  */
int turn_on_channel_data(struct sl_turn *t, const struct sl_dgram *in, struct sl_turn_data *out)
{
	struct sl_rd r = sl_rd(in->data, in->len);
	unsigned i = (unsigned)sl_rd16(&r) - TURN_CHANNEL_FIRST;
	size_t len = sl_rd16(&r);
	const uint8_t *data = sl_rd_bytes(&r, len);

	if (r.bad || sl_rd_left(&r) > SL_TURN_TAIL)
		return SL_EPARSE;
	if (t->state != TURN_UP || i >= SL_TURN_CHANNELS || !t->channels[i].peer.family)
		return SL_ENOTFOUND;
	if (len == 0)
		return SL_OK;
	*out = (struct sl_turn_data){.peer = t->channels[i].peer, .data = data, .len = len};
	return 1;
}

/* RFC 8656 section 11.4: an indication of a method that is not Data, or without its attributes, is
 * silently dropped; so is one of a peer that was never permitted. */
int turn_on_data(struct sl_turn *t, const struct sl_stun *m, struct sl_turn_data *out)
{
	const uint32_t needed = STUN_PEER | STUN_DATA_ATTR;

	if (m->method != STUN_DATA || (m->has & needed) != needed || m->unknown_count)
		return SL_EPARSE;
	if (t->state != TURN_UP || !turn_perm(t, &m->peer))
		return SL_ENOTFOUND;
	if (m->payload.n == 0)
		return SL_OK;
	*out = (struct sl_turn_data){
		.peer = m->peer, .data = (const uint8_t *)m->payload.p, .len = m->payload.n};
	return 1;
}

static const struct sl_turn_channel *bound_to(const struct sl_turn *t, const struct sl_addr *peer)
{
	if (t->current >= 0) {
		const struct sl_turn_channel *c = &t->channels[t->current];

		if (c->bound && sl_addr_eq(&c->peer, peer))
			return c;
	}
	for (size_t i = 0; i < SL_TURN_CHANNELS; i++)
		if (t->channels[i].bound && sl_addr_eq(&t->channels[i].peer, peer))
			return &t->channels[i];
	return NULL;
}

static int wrap_channel(const struct sl_turn *t, const struct sl_turn_channel *c, size_t len,
			uint8_t *head, size_t *tail)
{
	sl_put16(head, (uint16_t)(TURN_CHANNEL_FIRST + (c - t->channels)));
	sl_put16(head + 2, (uint16_t)len);
	*tail = t->stream ? (4 - len % 4) % 4 : 0;
	return CHANNEL_HEAD;
}

/* RFC 8656 section 11.1: a Send indication is not signed. DATA is its last attribute, so that the
 * payload may follow. */
static int wrap_send(const struct sl_turn *t, const struct sl_addr *peer, size_t len, uint8_t *head,
		     size_t *tail)
{
	struct sl_stun m = {
		.class_ = SL_STUN_INDICATION,
		.method = STUN_SEND,
		.has = STUN_PEER,
		.peers = peer,
		.peer_count = 1,
	};
	int n;

	sl_put32(m.tid, t->tid_tag);
	sl_rng_fill(t->rng, m.tid + 4, sizeof(m.tid) - 4);
	n = stun_write(&m, NULL, 0, head, SL_TURN_HEAD - ATTR_HEAD);
	SL_ASSERT(n > 0);
	*tail = (4 - len % 4) % 4;
	sl_put16(head + n, 0x0013); /* DATA */
	sl_put16(head + n + 2, (uint16_t)len);
	n += ATTR_HEAD;
	sl_put16(head + 2, (uint16_t)((size_t)n - STUN_HEADER_LEN + len + *tail));
	return n;
}

int sl_turn_wrap(struct sl_turn *t, const struct sl_addr *peer, size_t len,
		 uint8_t head[SL_TURN_HEAD], size_t *tail)
{
	const struct sl_turn_channel *c;
	struct sl_turn_perm *p;

	if (t->state != TURN_UP)
		return SL_ENOTFOUND;
	if (len > SL_FRAME_MAX - SL_TURN_HEAD - SL_TURN_TAIL)
		return SL_ERANGE;
	c = bound_to(t, peer);
	if (c)
		return wrap_channel(t, c, len, head, tail);
	p = turn_perm(t, peer);
	if (!p || p->refused)
		return SL_ENOTFOUND;
	p->used = true;
	return wrap_send(t, peer, len, head, tail);
}
