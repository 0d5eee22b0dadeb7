/* SPDX-License-Identifier: Apache-2.0 — F02: the TURN and STUN clients under a script of time,
 * answers, data and calls; and the framing of streams. Input: one byte; odd: the rest is a stream,
 * which is cut in many ways; even: configuration, then commands (see `commands`). Oracles: what is
 * refused changes nothing; it is up only by an answer with the right signature; data comes from
 * permitted peers and lies in what was given; the first answer, good or bad, comes within ten
 * seconds; after the end nothing is sent; every request and every wrapped datagram reads back; a
 * server that challenges forever is not followed; any way of cutting a stream gives the same
 * datagrams. */
#include "ice/ice_int.h"
#include "core/base/bytes.h"
#include "core/base/digest.h"
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MUST(c) ((c) ? (void)0 : violated(__LINE__, #c))

static void violated(int line, const char *what)
{
	fprintf(stderr, "line %d: %s\n", line, what);
	__builtin_trap();
}

enum { PEERS = 8, KINDS = 16 };

struct world {
	struct sl_turn turn, before;
	struct sl_reflex reflex;
	uint64_t seed;
	struct sl_rng rng;
	struct sl_path server;
	struct sl_addr peers[PEERS];
	bool wanted[PEERS]; /* permitted or used */
	int64_t now_us;
	/* the latest request of each method */
	uint8_t tid[KINDS][SL_STUN_TID_LEN];
	bool asked[KINDS], signed_[KINDS];
	uint8_t reflex_tid[SL_STUN_TID_LEN];
	char realm[64];
	size_t realm_len;
	int told[5];
	int challenged; /* in a row, and followed by a request */
	bool trusted;	/* a good answer to the Allocate was given */
	bool over, reflex_over;
};

static struct world W;

static void fill(void *state, void *out, size_t n)
{
	uint64_t *s = state;
	uint8_t *p = out;

	for (size_t i = 0; i < n; i++) {
		*s = *s * UINT64_C(6364136223846793005) + 1442695040888963407U;
		p[i] = (uint8_t)(*s >> 56);
	}
}

static void saw_request(const struct sl_dgram *d)
{
	struct sl_stun m;

	MUST(sl_path_eq(&d->path, &W.server));
	MUST(d->len <= SL_TURN_OUT && stun_read_turn(d->data, d->len, &m) == SL_OK);
	MUST(m.class_ == SL_STUN_REQUEST && m.method < KINDS && m.unknown_count == 0);
	memcpy(W.tid[m.method], m.tid, sizeof(m.tid));
	W.asked[m.method] = true;
	W.signed_[m.method] = m.has & STUN_INTEGRITY;
	if (!(m.has & STUN_INTEGRITY))
		return;
	MUST(sl_str_eq(m.username, SL_STR("alice")) && m.realm.n <= sizeof(W.realm));
	memcpy(W.realm, m.realm.p, m.realm.n);
	W.realm_len = m.realm.n;
}

static void judge_turn(void)
{
	struct sl_turn_event ev;
	struct sl_dgram d;
	int n = 0;

	while (sl_turn_pull(&W.turn, &d)) {
		MUST(!W.over && ++n <= TURN_JOBS);
		saw_request(&d);
	}
	while (sl_turn_event(&W.turn, &ev)) {
		MUST(strlen(ev.why) < SL_SERVER_WHY);
		MUST(++W.told[ev.type] == 1 || ev.type == SL_TURN_EV_REFUSED ||
		     ev.type == SL_TURN_EV_CLOSED);
		MUST(ev.type != SL_TURN_EV_ALLOCATED || (W.trusted && !W.over));
		W.over |= ev.type == SL_TURN_EV_FAILED || ev.type == SL_TURN_EV_LOST ||
			  ev.type == SL_TURN_EV_CLOSED;
	}
	MUST(!(W.told[SL_TURN_EV_FAILED] && W.told[SL_TURN_EV_ALLOCATED]));
	MUST(!W.told[SL_TURN_EV_LOST] || W.told[SL_TURN_EV_ALLOCATED]);
	MUST(!sl_turn_is_up(&W.turn) || (W.trusted && !W.over));
	MUST(!W.over || sl_turn_deadline_us(&W.turn) == SL_NEVER);
	MUST(W.now_us < SL_TURN_GIVE_UP_US || W.over || W.trusted);
}

static void judge(void)
{
	struct sl_reflex_event ev;
	struct sl_dgram d;
	struct sl_stun m;

	judge_turn();
	while (sl_reflex_pull(&W.reflex, &d)) {
		MUST(!W.reflex_over && stun_read(d.data, d.len, &m) == SL_OK);
		memcpy(W.reflex_tid, m.tid, sizeof(m.tid));
	}
	while (sl_reflex_event(&W.reflex, &ev)) {
		MUST(!W.reflex_over && (ev.mapped.family == 4 || ev.why[0]));
		W.reflex_over = true;
	}
	MUST(W.now_us < SL_REFLEX_GIVE_UP_US || W.reflex_over);
	MUST(!W.reflex_over || sl_reflex_deadline_us(&W.reflex) == SL_NEVER);
}

/* ---- commands; each reads its operands ---- */
static void wait(struct sl_rd *r)
{
	static const int64_t unit_us[] = {SL_MS, 10 * SL_MS, 100 * SL_MS, SL_SEC, 20 * SL_SEC};
	uint8_t n = sl_rd8(r);
	int64_t end = W.now_us + (n >> 3) * unit_us[n % SL_COUNT(unit_us)];

	for (;;) {
		int64_t at = SL_MIN(sl_turn_deadline_us(&W.turn), sl_reflex_deadline_us(&W.reflex));

		if (at > end)
			break;
		W.now_us = SL_MAX(at, W.now_us);
		sl_turn_tick(&W.turn, W.now_us);
		sl_reflex_tick(&W.reflex, W.now_us);
		judge();
		MUST(sl_turn_deadline_us(&W.turn) > W.now_us);
	}
	W.now_us = end;
}

static bool permitted(const struct sl_addr *peer)
{
	for (int i = 0; i < PEERS; i++)
		if (W.wanted[i] && memcmp(peer->ip, W.peers[i].ip, 16) == 0)
			return true;
	return false;
}

static int give_path(const struct sl_path *path, const uint8_t *p, size_t n)
{
	struct sl_dgram d = {.path = *path, .data = p, .len = n};
	struct sl_turn_data out;
	int err;

	W.before = W.turn;
	err = sl_turn_recv(&W.turn, &d, W.now_us, &out);
	if (err < 0) {
		W.before.code_unsigned = W.turn.code_unsigned;
		MUST(memcmp(&W.before, &W.turn, sizeof(W.turn)) == 0);
	}
	if (err > 0) {
		MUST(sl_turn_is_up(&W.turn) && out.len > 0 && permitted(&out.peer));
		MUST(out.data >= p && out.data + out.len <= p + n);
	}
	return err;
}

static int give(const uint8_t *p, size_t n)
{
	return give_path(&W.server, p, n);
}

static void key_of(uint8_t key[SL_MD5_LEN])
{
	const struct sl_piece pieces[] = {{"alice:", 6}, {W.realm, W.realm_len}, {":secret", 7}};

	MUST(sl_md5(pieces, SL_COUNT(pieces), key) == SL_OK);
}

static void trust(const struct sl_stun *m, bool right)
{
	if (m->method == STUN_ALLOCATE && m->class_ == SL_STUN_SUCCESS && right)
		W.trusted = true;
}

static const uint16_t codes[] = {300, 400, 401, 403, 437, 438, 442, 443, 486, 508, 600, 401, 438};
static const uint16_t methods[] = {STUN_ALLOCATE,	   STUN_ALLOCATE,     STUN_REFRESH,
				   STUN_CREATE_PERMISSION, STUN_CHANNEL_BIND, STUN_BINDING};

/* A challenge with a nonce that counts. */
static void add_challenge(struct sl_stun *m, uint8_t flags)
{
	static char nonce[16];
	static unsigned count;

	m->has |= STUN_REALM | (flags & 64 ? 0 : STUN_NONCE);
	(void)sl_fmt(nonce, sizeof(nonce), "%u", flags & 32 ? 0 : ++count);
	m->nonce = sl_str_z(nonce);
	m->realm = flags & 128 ? SL_STR("a") : SL_STR("example.org");
}

static void respond(struct sl_rd *r)
{
	uint8_t flags = sl_rd8(r), kind = sl_rd8(r), life = sl_rd8(r), code = sl_rd8(r);
	struct sl_stun m = {
		.class_ = flags & 1 ? SL_STUN_ERROR : SL_STUN_SUCCESS,
		.method = methods[kind % SL_COUNT(methods)],
		.has = flags & 1 ? STUN_ERROR_CODE : STUN_RELAYED | STUN_LIFETIME | STUN_XOR_MAPPED,
		.error_code = codes[code % SL_COUNT(codes)],
		.relayed = sl_addr_v4(203, 0, 113, life & 1 ? 7 : 0, life),
		.mapped = sl_addr_v4(203, 0, 113, 8, 9),
		.lifetime_s = flags & 8 ? life : life * 60U,
	};
	bool challenge = (flags & 1) && (m.error_code == 401 || m.error_code == 438);
	bool right = W.asked[m.method] && (!W.signed_[m.method] || !(flags & 6));
	uint8_t buf[512], key[SL_MD5_LEN];
	int n, err;

	memcpy(m.tid, m.method == STUN_BINDING ? W.reflex_tid : W.tid[m.method], sizeof(m.tid));
	if (challenge)
		add_challenge(&m, flags);
	if (!(flags & 2))
		m.has |= STUN_INTEGRITY;
	key_of(key);
	if (flags & 4)
		key[0] ^= 1;
	n = stun_write(&m, key, sizeof(key), buf, sizeof(buf));
	MUST(n > 0);
	if (m.method == STUN_BINDING) {
		struct sl_dgram d = {.path = W.server, .data = buf, .len = (size_t)n};

		(void)sl_reflex_recv(&W.reflex, &d, W.now_us);
		return;
	}
	trust(&m, right);
	err = give(buf, (size_t)n);
	MUST(challenge || right || err < 0);
	if (err == SL_OK) {
		W.challenged = challenge && !W.over ? W.challenged + 1 : 0;
		MUST(W.challenged <= 2 + TURN_STALE_MAX);
	}
}

static void data_in(struct sl_rd *r)
{
	uint8_t which = sl_rd8(r), n = sl_rd8(r), flags = sl_rd8(r);
	struct sl_rd body = sl_rd_sub(r, SL_MIN((size_t)n, sl_rd_left(r)));
	struct sl_stun m = {
		.class_ = SL_STUN_INDICATION,
		.method = flags & 1 ? STUN_SEND : STUN_DATA,
		.has = flags & 2 ? STUN_PEER : STUN_PEER | STUN_DATA_ATTR,
		.peers = &W.peers[which % PEERS],
		.peer_count = 1,
		.payload = sl_str((const char *)body.p, sl_rd_left(&body)),
	};
	struct sl_path path = W.server;
	uint8_t buf[512];
	int len = stun_write(&m, NULL, 0, buf, sizeof(buf)), err;

	MUST(len > 0);
	path.sock ^= flags >> 2 & 1;
	err = give_path(&path, buf, (size_t)len);
	MUST(err <= 0 || !(flags & 7));
}

static void channel_in(struct sl_rd *r)
{
	uint8_t number = sl_rd8(r), n = sl_rd8(r), claim = sl_rd8(r), buf[260] = {0x40};

	buf[1] = number;
	sl_put16(buf + 2, (uint16_t)(claim & 1 ? n : claim << 4));
	if (give(buf, 4U + n) > 0)
		MUST(W.turn.channels[number].peer.family == 4);
}

static void raw(struct sl_rd *r)
{
	uint8_t n = sl_rd8(r);
	struct sl_rd body = sl_rd_sub(r, SL_MIN((size_t)n, sl_rd_left(r)));

	(void)give(body.p, sl_rd_left(&body));
}

static void permit(struct sl_rd *r)
{
	unsigned i = sl_rd8(r) % PEERS;

	if (sl_turn_permit(&W.turn, &W.peers[i], W.now_us) == SL_OK)
		W.wanted[i] = true;
}

static void use(struct sl_rd *r)
{
	unsigned i = sl_rd8(r) % PEERS;
	int err = sl_turn_use(&W.turn, &W.peers[i], W.now_us);

	if (err == SL_OK || err == SL_EFULL)
		W.wanted[i] = true;
}

static void wrap(struct sl_rd *r)
{
	uint8_t which = sl_rd8(r) % PEERS, len = sl_rd8(r), buf[SL_TURN_HEAD + 256 + 3] = {0};
	const struct sl_addr *peer = &W.peers[which];
	struct sl_stun m;
	size_t tail;
	int n = sl_turn_wrap(&W.turn, peer, len, buf, &tail);

	MUST(n < 0 || (sl_turn_is_up(&W.turn) && permitted(peer)));
	if (n < 0)
		return;
	MUST(n == 4 || n == 36);
	MUST(tail <= SL_TURN_TAIL);
	memset(buf + n, 0xa5, len);
	memset(buf + n + len, 0, tail);
	if (n == 4) {
		MUST(sl_get16(buf + 2) == len);
		MUST(sl_addr_eq(&W.turn.channels[sl_get16(buf) - 0x4000].peer, peer));
		return;
	}
	MUST(stun_read_turn(buf, (size_t)n + len + tail, &m) == SL_OK);
	MUST(m.method == STUN_SEND && sl_addr_eq(&m.peer, peer) && m.payload.n == len);
	MUST(m.payload.p == (char *)buf + n);
}

static void close_it(struct sl_rd *r)
{
	if (sl_rd8(r) & 1)
		sl_turn_closed(&W.turn, "the stream has ended", W.now_us);
	else
		sl_turn_close(&W.turn, W.now_us);
}

static void (*const commands[])(struct sl_rd *r) = {
	wait, respond, respond, permit, use,  wrap, data_in, channel_in,
	raw,  respond, wait,	use,	wrap, wait, respond, close_it,
};

static void begin(uint8_t conf_bits)
{
	struct sl_turn_conf conf = {.user = SL_STR("alice"),
				    .password = SL_STR("secret"),
				    .stream = conf_bits & 2,
				    .tid_tag = 7};

	memset(&W, 0, sizeof(W));
	W.rng = (struct sl_rng){fill, &W.seed};
	W.server = (struct sl_path){.remote = sl_addr_v4(192, 0, 2, 9, 3478), .sock = 2};
	for (uint8_t i = 0; i < PEERS; i++)
		W.peers[i] = sl_addr_v4(198, 51, 100, i / 2, (uint16_t)(5000 + i));
	conf.server = W.server;
	conf.rng = &W.rng;
	MUST(sl_turn_init(&W.turn, &conf, 0) == SL_OK);
	sl_reflex_init(&W.reflex, &W.server, 8, &W.rng, 0);
	judge();
}

/* ---- streams ---- */

/* CRC of all datagrams and their lengths; *count: how many, or an error. */
static uint32_t cut(enum sl_framing framing, const uint8_t *data, size_t len, size_t step,
		    int *count)
{
	static struct sl_frame f;
	uint32_t sum = 0;
	int n = 0;

	*count = 0;
	sl_frame_init(&f, framing);
	for (size_t at = 0; at < len && n >= 0; at += step) {
		struct sl_rd in = sl_rd(data + at, SL_MIN(step, len - at));
		const uint8_t *p;
		size_t size;

		while ((n = sl_frame_next(&f, &in, &p, &size)) > 0) {
			MUST(size > 0 && size <= SL_FRAME_MAX);
			sum = sum * 31 + sl_crc32(p, size) + (uint32_t)size;
			++*count;
		}
		MUST(n < 0 || sl_rd_left(&in) == 0);
	}
	if (n < 0)
		*count = -1 - *count;
	return sum;
}

static void stream(enum sl_framing framing, const uint8_t *data, size_t len)
{
	static const size_t steps[] = {1, 2, 3, 5, 7, 64, 1000};
	int whole, n;
	uint32_t sum = cut(framing, data, len, len + 1, &whole);

	for (size_t i = 0; i < SL_COUNT(steps); i++) {
		MUST(cut(framing, data, len, steps[i], &n) == sum);
		MUST(n == whole);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sl_rd r = sl_rd(data, len);
	uint8_t conf = sl_rd8(&r);

	if (conf & 1) {
		stream(conf & 2 ? SL_FRAMING_TURN : SL_FRAMING_RFC4571, r.p, sl_rd_left(&r));
		return 0;
	}
	begin(conf);
	for (int n = 0; sl_rd_left(&r) > 0 && n < 400; n++) {
		commands[sl_rd8(&r) % SL_COUNT(commands)](&r);
		judge();
	}
	sl_turn_fini(&W.turn);
	return 0;
}
