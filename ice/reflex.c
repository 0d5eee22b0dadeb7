/* SPDX-License-Identifier: Apache-2.0 */
#include "ice/ice_int.h"

void sl_reflex_init(struct sl_reflex *r, const struct sl_path *server, uint32_t tid_tag,
		    const struct sl_rng *rng, int64_t now_us)
{
	memset(r, 0, sizeof(*r));
	r->rng = rng;
	r->server = *server;
	stun_tx_start(&r->tx, tid_tag, rng, now_us, SL_REFLEX_GIVE_UP_US);
}

static void finish(struct sl_reflex *r)
{
	r->tx.sent = 0;
	r->tx.due = false;
	r->done = true;
}

/* RFC 8489 section 12: nothing but the transaction id, the address and the socket says that an
 * answer is the server's, so an address that cannot be ours is not believed. */
static int on_success(struct sl_reflex *r, const struct sl_stun *m)
{
	if (!(m->has & STUN_XOR_MAPPED) || m->unknown_count)
		return SL_EPARSE;
	if (m->mapped.family != r->server.remote.family || !m->mapped.port ||
	    sl_addr_is_any(&m->mapped) || sl_addr_is_multicast(&m->mapped))
		return SL_EPARSE;
	r->mapped = m->mapped;
	finish(r);
	return SL_OK;
}

static int on_error(struct sl_reflex *r, const struct sl_stun *m)
{
	if (!(m->has & STUN_ERROR_CODE))
		return SL_EPARSE;
	stun_error_words(m->error_code, m->reason, r->why);
	finish(r);
	return SL_OK;
}

int sl_reflex_recv(struct sl_reflex *r, const struct sl_dgram *in, int64_t now_us)
{
	struct sl_stun m;

	(void)now_us;
	if (!r->tx.sent || !sl_path_eq(&in->path, &r->server))
		return SL_ENOTFOUND;
	if (stun_read(in->data, in->len, &m) != SL_OK)
		return SL_EPARSE;
	if (m.method != STUN_BINDING || memcmp(m.tid, r->tx.tid, sizeof(m.tid)) != 0)
		return SL_ENOTFOUND;
	if (m.class_ == SL_STUN_SUCCESS)
		return on_success(r, &m);
	return m.class_ == SL_STUN_ERROR ? on_error(r, &m) : SL_ENOTFOUND;
}

void sl_reflex_tick(struct sl_reflex *r, int64_t now_us)
{
	struct sl_buf b = sl_buf(r->why, sizeof(r->why));

	if (!stun_tx_tick(&r->tx, false, now_us))
		return;
	sl_buf_fmt(&b, "no answer within %d s", (int)(SL_REFLEX_GIVE_UP_US / SL_SEC));
	finish(r);
}

bool sl_reflex_pull(struct sl_reflex *r, struct sl_dgram *out)
{
	struct sl_stun m = {.class_ = SL_STUN_REQUEST, .method = STUN_BINDING};
	int n;

	if (!r->tx.due)
		return false;
	r->tx.due = false;
	memcpy(m.tid, r->tx.tid, sizeof(m.tid));
	/* RFC 8489 section 7: the socket carries other things as well. */
	m.has = STUN_FINGERPRINT;
	n = stun_write(&m, NULL, 0, r->out, sizeof(r->out));
	SL_ASSERT(n > 0);
	*out = (struct sl_dgram){.path = r->server, .data = r->out, .len = (size_t)n};
	return true;
}

bool sl_reflex_event(struct sl_reflex *r, struct sl_reflex_event *ev)
{
	if (!r->done || r->told)
		return false;
	r->told = true;
	*ev = (struct sl_reflex_event){.mapped = r->mapped, .why = r->why};
	return true;
}

int64_t sl_reflex_deadline_us(const struct sl_reflex *r)
{
	return stun_tx_deadline_us(&r->tx, false);
}
