/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/ice/turn_rig.h"
#include "core/base/bytes.h"
#include "core/base/digest.h"

#define REALM "example.org"

/* ---- link ---- */
static void put(struct turn_rig *r, bool to_server, const uint8_t *data, size_t len)
{
	struct turn_rig_dgram *d = &r->queue[r->queued];
	int64_t delay_us = 10 * SL_MS;

	if (sl_rng_u32(&r->link_rng) % 100 < r->loss_percent)
		return;
	if (r->spread_ms)
		delay_us += (int64_t)(sl_rng_u32(&r->link_rng) % r->spread_ms) * SL_MS;
	CHECK(r->queued < LINK_MAX && len <= sizeof(d->data));
	d->to_server = to_server;
	d->at_us = r->now_us + delay_us;
	d->len = len;
	memcpy(d->data, data, len);
	r->queued++;
}

/* ---- server ---- */
static void server_key(const struct turn_rig *r, uint8_t key[SL_MD5_LEN])
{
	const struct sl_piece pieces[] = {
		{"alice:" REALM ":", strlen("alice:" REALM ":")},
		{r->server.password, strlen(r->server.password)},
	};

	TRY(sl_md5(pieces, SL_COUNT(pieces), key));
}

static struct sl_str nonce_text(const struct turn_rig *r, char buf[32])
{
	sl_fmt(buf, 32, "nonce-%d", r->server.nonce);
	return sl_str_z(buf);
}

static void answer(struct turn_rig *r, const struct sl_stun *to, struct sl_stun *m, bool sign)
{
	uint8_t key[SL_MD5_LEN], out[LINK_BYTES];
	int n;

	server_key(r, key);
	m->method = to->method;
	memcpy(m->tid, to->tid, sizeof(m->tid));
	if (sign && !r->server.no_auth)
		m->has |= STUN_INTEGRITY;
	n = stun_write(m, key, sizeof(key), out, sizeof(out));
	TRY(n);
	put(r, false, out, (size_t)n);
}

static void fail(struct turn_rig *r, const struct sl_stun *to, uint16_t code, bool sign)
{
	struct sl_stun m = {.class_ = SL_STUN_ERROR, .has = STUN_ERROR_CODE, .error_code = code};

	answer(r, to, &m, sign && !r->server.unsigned_errors);
}

static void challenge(struct turn_rig *r, const struct sl_stun *to, uint16_t code)
{
	struct sl_stun m = {.class_ = SL_STUN_ERROR, .has = STUN_ERROR_CODE, .error_code = code};
	char buf[32];

	if (!r->server.bare_challenge) {
		m.has |= STUN_REALM | STUN_NONCE;
		m.realm = SL_STR(REALM);
		m.nonce = nonce_text(r, buf);
	}
	answer(r, to, &m, false);
}

/* 0, or the code that it is challenged with. */
static uint16_t authorize(struct turn_rig *r, const struct sl_stun *m)
{
	uint8_t key[SL_MD5_LEN];
	char buf[32];
	int err;

	if (r->server.no_auth)
		return 0;
	if (!(m->has & STUN_INTEGRITY))
		return 401;
	if (r->server.stale_forever)
		r->server.nonce++;
	if (!sl_str_eq(m->nonce, nonce_text(r, buf)))
		return 438;
	server_key(r, key);
	err = stun_check(m, key, sizeof(key));
	if (err != SL_EAUTH)
		TRY(err);
	return err || !sl_str_eq(m->username, SL_STR("alice")) ? 401 : 0;
}

static void on_allocate(struct turn_rig *r, const struct sl_stun *m, struct sl_stun *a)
{
	CHECK(m->has & STUN_TRANSPORT);
	CHECK_EQ(m->has & STUN_FAMILY ? m->family : 4, r->path.remote.family);
	r->server.allocated = true;
	r->server.until_us = r->now_us + r->server.lifetime_s * SL_SEC;
	a->has = STUN_RELAYED | STUN_XOR_MAPPED | STUN_LIFETIME;
	a->relayed = r->relayed;
	a->mapped = sl_addr_v4(198, 51, 100, 7, 40000);
	a->lifetime_s = r->server.lifetime_s;
}

static void on_refresh(struct turn_rig *r, const struct sl_stun *m, struct sl_stun *a)
{
	CHECK(m->has & STUN_LIFETIME);
	if (m->lifetime_s == 0)
		r->server.allocated = false;
	r->server.until_us = r->now_us + r->server.lifetime_s * SL_SEC;
	a->has = STUN_LIFETIME;
	a->lifetime_s = m->lifetime_s ? r->server.lifetime_s : 0;
}

static void permit(struct turn_rig *r, const struct sl_addr *peer)
{
	struct sl_addr ip = sl_addr_with_port(*peer, 0);
	int i = 0;

	while (r->server.permits[i].ip.family && !sl_addr_eq(&r->server.permits[i].ip, &ip))
		CHECK(++i < RIG_PEERS);
	r->server.permits[i].ip = ip;
	r->server.permits[i].until_us = r->now_us + 300 * SL_SEC;
}

static bool permitted(const struct turn_rig *r, const struct sl_addr *peer)
{
	struct sl_addr ip = sl_addr_with_port(*peer, 0);

	for (int i = 0; i < RIG_PEERS; i++)
		if (sl_addr_eq(&r->server.permits[i].ip, &ip))
			return r->now_us < r->server.permits[i].until_us;
	return false;
}

/* All addresses of a request: the reader keeps only the first. */
static size_t peers_of(const struct sl_stun *m, struct sl_addr out[RIG_PEERS])
{
	struct sl_rd rd = sl_rd(m->data + STUN_HEADER_LEN, m->len - STUN_HEADER_LEN);
	size_t n = 0;

	while (sl_rd_left(&rd) > 0) {
		uint16_t type = sl_rd16(&rd);
		uint16_t len = sl_rd16(&rd);
		struct sl_rd v = sl_rd_sub(&rd, len);

		sl_rd_skip(&rd, (size_t)(4 - len % 4) % 4);
		if (type != 0x0012)
			continue;
		out[n] = (struct sl_addr){.family = len == 8 ? 4 : 6};
		sl_rd_skip(&v, 2);
		out[n].port = sl_rd16(&v) ^ 0x2112;
		for (size_t i = 0; i < len - 4U; i++)
			out[n].ip[i] = (uint8_t)(sl_rd8(&v) ^ m->data[4 + i]);
		n++;
	}
	return n;
}

static uint16_t on_permit(struct turn_rig *r, const struct sl_stun *m)
{
	struct sl_addr peers[RIG_PEERS];
	size_t n = peers_of(m, peers);

	CHECK(n > 0);
	for (size_t i = 0; i < n; i++)
		if (r->server.forbidden &&
		    peers[i].ip[peers[i].family == 4 ? 3 : 15] == r->server.forbidden)
			return 403;
	for (size_t i = 0; i < n; i++)
		permit(r, &peers[i]);
	return 0;
}

static uint16_t on_bind(struct turn_rig *r, const struct sl_stun *m)
{
	unsigned i = m->channel - 0x4000U;

	CHECK(i < 16 && (m->has & STUN_PEER));
	if (r->now_us < r->server.channels[i].until_us + 300 * SL_SEC &&
	    r->server.channels[i].peer.family && !sl_addr_eq(&r->server.channels[i].peer, &m->peer))
		return 400;
	r->server.channels[i].peer = m->peer;
	r->server.channels[i].until_us = r->now_us + 600 * SL_SEC;
	permit(r, &m->peer);
	return 0;
}

static void on_request(struct turn_rig *r, const struct sl_stun *m)
{
	struct sl_stun a = {.class_ = SL_STUN_SUCCESS};
	uint16_t code = authorize(r, m);

	if (code) {
		challenge(r, m, code);
		return;
	}
	code = r->server.error[m->method];
	if (!code && m->method != STUN_ALLOCATE && !r->server.allocated)
		code = 437;
	if (!code && m->method == STUN_ALLOCATE)
		on_allocate(r, m, &a);
	else if (!code && m->method == STUN_REFRESH)
		on_refresh(r, m, &a);
	else if (!code)
		code = m->method == STUN_CHANNEL_BIND ? on_bind(r, m) : on_permit(r, m);
	if (code)
		fail(r, m, code, true);
	else
		answer(r, m, &a, !r->server.unsigned_answers);
}

static void relay(struct turn_rig *r, const struct sl_addr *peer, const void *data, size_t len,
		  int *count)
{
	if (!r->server.allocated || r->now_us >= r->server.until_us || !permitted(r, peer)) {
		r->server.refused++;
		return;
	}
	++*count;
	r->server.last_peer = *peer;
	r->server.last_len = len;
	memcpy(r->server.last, data, len);
}

static void on_channel_data(struct turn_rig *r, const struct turn_rig_dgram *d)
{
	unsigned i = sl_get16(d->data) - 0x4000U;
	size_t len = sl_get16(d->data + 2), pad = r->turn.stream ? (4 - len % 4) % 4 : 0;

	CHECK_EQ(d->len, 4 + len + pad);
	CHECK(i < 16);
	if (r->now_us >= r->server.channels[i].until_us)
		r->server.refused++;
	else
		relay(r, &r->server.channels[i].peer, d->data + 4, len, &r->server.channel_data);
}

static void serve(struct turn_rig *r, const struct turn_rig_dgram *d)
{
	struct sl_stun m;

	if (r->server.silent)
		return;
	if (d->data[0] >> 6 == 1) {
		on_channel_data(r, d);
		return;
	}
	CHECK_EQ(stun_read_turn(d->data, d->len, &m), SL_OK);
	CHECK_EQ(m.unknown_count, 0);
	CHECK(m.method < 16);
	r->server.requests[m.method]++;
	if (m.class_ == SL_STUN_REQUEST)
		on_request(r, &m);
	else
		relay(r, &m.peer, m.payload.p, m.payload.n, &r->server.sent);
}

void turn_rig_peer_says(struct turn_rig *r, const struct sl_addr *peer, const void *data,
			size_t len)
{
	struct sl_stun m = {.class_ = SL_STUN_INDICATION,
			    .method = STUN_DATA,
			    .has = STUN_PEER | STUN_DATA_ATTR,
			    .peers = peer,
			    .peer_count = 1,
			    .payload = sl_str(data, len)};
	uint8_t out[LINK_BYTES];
	int n;

	if (!permitted(r, peer))
		return;
	for (unsigned i = 0; i < 16; i++)
		if (r->now_us < r->server.channels[i].until_us &&
		    sl_addr_eq(&r->server.channels[i].peer, peer)) {
			sl_put16(out, (uint16_t)(0x4000 + i));
			sl_put16(out + 2, (uint16_t)len);
			memcpy(out + 4, data, len);
			put(r, false, out, 4 + len);
			return;
		}
	n = stun_write(&m, NULL, 0, out, sizeof(out));
	CHECK(n > 0);
	put(r, false, out, (size_t)n);
}

/* ---- client ---- */
int turn_rig_init(struct turn_rig *r, bool stream, uint8_t family)
{
	struct sl_turn_conf conf = {.user = SL_STR("alice"),
				    .password = SL_STR("secret"),
				    .stream = stream,
				    .family = family,
				    .tid_tag = 0xabcd};

	memset(r, 0, sizeof(*r));
	r->rng = sl_test_rng(&r->seed, 1);
	r->link_rng = sl_test_rng(&r->link_seed, 2);
	r->now_us = SL_SEC;
	r->path = (struct sl_path){.remote = sl_addr_v4(192, 0, 2, 9, 3478), .sock = 3};
	r->relayed = sl_addr_v4(203, 0, 113, 5, 50000);
	if (family == 6) {
		CHECK_EQ(sl_addr_parse(SL_STR("[2001:db8::5]:50000"), &r->relayed), SL_OK);
		CHECK_EQ(sl_addr_parse(SL_STR("[2001:db8::9]:3478"), &r->path.remote), SL_OK);
	}
	r->server.lifetime_s = 600;
	r->server.password = "secret";
	conf.server = r->path;
	conf.rng = &r->rng;
	return sl_turn_init(&r->turn, &conf, r->now_us);
}

struct sl_addr turn_rig_peer(const struct turn_rig *r, uint8_t last, uint16_t port)
{
	struct sl_addr a = sl_addr_v4(198, 51, 100, last, port);

	if (r->relayed.family == 6) {
		CHECK_EQ(sl_addr_parse(SL_STR("[2001:db8::]:1"), &a), SL_OK);
		a.port = port;
		a.ip[15] = last;
	}
	return a;
}

static void drain(struct turn_rig *r)
{
	struct sl_turn_event ev;
	struct sl_dgram d;

	while (sl_turn_pull(&r->turn, &d)) {
		CHECK(sl_path_eq(&d.path, &r->path));
		put(r, true, d.data, d.len);
	}
	while (sl_turn_event(&r->turn, &ev)) {
		r->told[ev.type]++;
		r->event[ev.type] = ev;
		r->told_us[ev.type] = r->now_us;
		CHECK(sl_fmt(r->why[ev.type], SL_SERVER_WHY, "%s", ev.why));
	}
}

int turn_rig_give_path(struct turn_rig *r, const struct sl_path *path, const void *data, size_t len)
{
	struct sl_dgram in = {.path = *path, .data = data, .len = len};
	struct sl_turn_data out;
	int n = sl_turn_recv(&r->turn, &in, r->now_us, &out);

	if (n == SL_ENOMEM)
		TRY(n);
	if (n == 1) {
		r->data_in++;
		r->data_peer = out.peer;
		r->data_len = out.len;
		/* where it lay */
		CHECK(out.data >= in.data && out.data + out.len <= in.data + in.len);
		memcpy(r->data, out.data, out.len);
	}
	drain(r);
	return n;
}

int turn_rig_give(struct turn_rig *r, const void *data, size_t len)
{
	return turn_rig_give_path(r, &r->path, data, len);
}

int turn_rig_send(struct turn_rig *r, const struct sl_addr *peer, const void *data, size_t len)
{
	uint8_t out[LINK_BYTES] = {0};
	size_t tail;
	int n;

	drain(r);
	n = sl_turn_wrap(&r->turn, peer, len, out, &tail);
	if (n < 0)
		return n;
	CHECK((size_t)n + len + tail <= sizeof(out));
	memset(out + n, 0, sizeof(out) - (size_t)n);
	memcpy(out + n, data, len);
	put(r, true, out, (size_t)n + len + tail);
	return n;
}

/* The next datagram to arrive, taken out of the link; false: none by then. */
static bool arrive(struct turn_rig *r, int64_t until_us, struct turn_rig_dgram *out)
{
	int best = -1;

	for (int i = 0; i < r->queued; i++)
		if (r->queue[i].at_us <= until_us &&
		    (best < 0 || r->queue[i].at_us < r->queue[best].at_us))
			best = i;
	if (best < 0)
		return false;
	*out = r->queue[best];
	r->queue[best] = r->queue[--r->queued];
	return true;
}

static void deliver(struct turn_rig *r, const struct turn_rig_dgram *d)
{
	r->now_us = SL_MAX(r->now_us, d->at_us);
	if (d->to_server)
		serve(r, d);
	else
		turn_rig_give(r, d->data, d->len);
}

void turn_rig_run(struct turn_rig *r, int64_t us)
{
	int64_t end_us = r->now_us + us;
	struct turn_rig_dgram d;

	drain(r);
	for (;;) {
		int64_t at_us = sl_turn_deadline_us(&r->turn);

		if (arrive(r, SL_MIN(at_us, end_us), &d)) {
			deliver(r, &d);
			continue;
		}
		if (at_us > end_us)
			break;
		r->now_us = SL_MAX(r->now_us, at_us);
		sl_turn_tick(&r->turn, r->now_us);
		CHECK(sl_turn_deadline_us(&r->turn) > r->now_us);
		drain(r);
	}
	r->now_us = end_us;
}

void turn_rig_up(struct turn_rig *r)
{
	turn_rig_run(r, SL_SEC);
	CHECK_EQ(r->told[SL_TURN_EV_ALLOCATED], 1);
	CHECK(sl_turn_is_up(&r->turn));
}
