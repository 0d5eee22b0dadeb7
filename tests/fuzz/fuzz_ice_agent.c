/* SPDX-License-Identifier: Apache-2.0 — an ICE agent under a script of time, datagrams and calls.
 * Input: one byte of configuration, then commands (see `commands`). Oracles: checks go only to
 * signalled candidates (few) and to addresses that have shown themselves; answers only to authentic
 * requests and never longer; at least 50 ms between checks of a full agent; a refused message
 * changes nothing; the states follow the table; the pair in use has shown itself; a tick leaves no
 * deadline behind. */
#include "ice/ice_int.h"
#include "core/base/bytes.h"
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MUST(c) ((c) ? (void)0 : violated(__LINE__, #c))

static void violated(int line, const char *what)
{
	fprintf(stderr, "line %d: %s\n", line, what);
	__builtin_trap();
}

enum { PATHS = 16, SOCKS = 4, ASKED = 8 };

struct world {
	struct sl_ice ice, before;
	struct sl_stats stats;
	uint64_t seed;
	struct sl_rng rng;
	bool full;
	int64_t now_us, last_check_us;
	struct sl_path paths[PATHS];
	bool signalled[PATHS], shown[PATHS][SOCKS];
	/* credentials as both sides have told them: present and old */
	struct sl_ice_creds ours[2];
	char theirs[2][8];
	int their_count;
	/* checks that may be answered, the latest ones */
	struct {
		uint8_t tid[SL_STUN_TID_LEN];
		struct sl_path path;
	} asked[ASKED];
	unsigned asked_count;
	unsigned blind, blind_max;
	size_t answer_max; /* bytes of the authentic request that may be answered now */
	struct sl_path answer_to;
	enum sl_ice_state state;
};

static struct world W;
static const char pwd[] = "the-peers-own-password";

static void fill(void *state, void *out, size_t n)
{
	uint64_t *s = state;
	uint8_t *p = out;

	for (size_t i = 0; i < n; i++) {
		*s = *s * UINT64_C(6364136223846793005) + 1442695040888963407U;
		p[i] = (uint8_t)(*s >> 56);
	}
}

/* Has anything authentic been given from there? */
static bool *shown(const struct sl_path *path)
{
	for (int i = 0; i < PATHS; i++)
		if (sl_addr_eq(&W.paths[i].remote, &path->remote))
			return &W.shown[i][path->sock % SOCKS];
	violated(__LINE__, "an address that was never given");
	return NULL;
}

static bool remote_was_signalled(const struct sl_path *path)
{
	for (int i = 0; i < PATHS; i++)
		if (W.signalled[i] && sl_addr_eq(&W.paths[i].remote, &path->remote))
			return true;
	return false;
}

static void saw_check(const struct sl_path *path, const struct sl_stun *m)
{
	if (!*shown(path)) {
		MUST(W.full && remote_was_signalled(path));
		MUST(++W.blind <= W.blind_max);
	}
	if (W.full)
		MUST(W.last_check_us < 0 || W.now_us - W.last_check_us >= ICE_TA_US);
	W.last_check_us = W.now_us;
	memcpy(W.asked[W.asked_count % ASKED].tid, m->tid, sizeof(m->tid));
	W.asked[W.asked_count++ % ASKED].path = *path;
}

static void saw_answer(const struct sl_dgram *d)
{
	MUST(W.answer_max > 0 && d->len <= W.answer_max && sl_path_eq(&d->path, &W.answer_to));
	W.answer_max = 0;
}

/* From each state, the ones that a single call may lead to. */
static const uint8_t legal[] = {
	[SL_ICE_NEW] = 1 << SL_ICE_NEW | 1 << SL_ICE_CHECKING | 1 << SL_ICE_CONNECTED,
	[SL_ICE_CHECKING] = 1 << SL_ICE_CHECKING | 1 << SL_ICE_CONNECTED | 1 << SL_ICE_FAILED,
	[SL_ICE_CONNECTED] = 1 << SL_ICE_CONNECTED | 1 << SL_ICE_DISCONNECTED | 1 << SL_ICE_FAILED,
	[SL_ICE_DISCONNECTED] =
		1 << SL_ICE_DISCONNECTED | 1 << SL_ICE_CONNECTED | 1 << SL_ICE_FAILED,
	/* Other credentials of the peer revive it: a restart and a start in one call. */
	[SL_ICE_FAILED] = 1 << SL_ICE_FAILED | 1 << SL_ICE_NEW | 1 << SL_ICE_CHECKING,
};

static void judge(void)
{
	enum sl_ice_state now = sl_ice_state(&W.ice);
	const struct sl_path *path = sl_ice_path(&W.ice);
	struct sl_ice_event ev;
	struct sl_dgram d;
	int n = 0;

	MUST(legal[W.state] & 1 << now);
	W.state = now;
	MUST(!path || now == SL_ICE_CONNECTED || now == SL_ICE_DISCONNECTED);
	MUST(path || now != SL_ICE_CONNECTED || !W.full);
	MUST(!path || sl_ice_is_valid(&W.ice, path));
	MUST(!path || *shown(path));
	while (sl_ice_pull(&W.ice, &d)) {
		struct sl_stun m;

		MUST(++n <= 2 && d.len <= SL_ICE_OUT_BYTES &&
		     stun_read(d.data, d.len, &m) == SL_OK);
		if (m.class_ == SL_STUN_REQUEST)
			saw_check(&d.path, &m);
		else
			saw_answer(&d);
	}
	for (n = 0; sl_ice_event(&W.ice, &ev);)
		MUST(++n <= 2);
	MUST(sl_ice_pairs(&W.ice, NULL, 0) <= SL_ICE_PAIRS_MAX);
	W.answer_max = 0;
}

/* ---- commands; each reads its operands ---- */
static void wait(struct sl_rd *r)
{
	static const int64_t unit_us[] = {1, SL_MS, 10 * SL_MS, 100 * SL_MS, SL_SEC};
	uint8_t n = sl_rd8(r);
	int64_t end = W.now_us + (n >> 3) * unit_us[n % SL_COUNT(unit_us)];

	for (int64_t at; (at = sl_ice_deadline_us(&W.ice)) <= end;) {
		W.now_us = SL_MAX(at, W.now_us);
		sl_ice_tick(&W.ice, W.now_us);
		judge();
		MUST(sl_ice_deadline_us(&W.ice) > W.now_us);
	}
	W.now_us = end;
}

static void leap(struct sl_rd *r)
{
	W.now_us += sl_rd8(r) * SL_SEC / 4;
	sl_ice_tick(&W.ice, W.now_us);
}

static void give(const struct sl_path *path, const uint8_t *p, size_t n, bool forged)
{
	struct sl_dgram d = {.path = *path, .data = p, .len = n};
	int err;

	W.before = W.ice;
	W.answer_max = n;
	W.answer_to = *path;
	/* What is not forged shows the address, whether or not it is taken. */
	if (!forged)
		*shown(path) = true;
	err = sl_ice_recv(&W.ice, &d, W.now_us);
	MUST(!forged || err < 0);
	if (err < 0 && err != SL_EUNSUPPORTED) {
		MUST(memcmp(&W.before, &W.ice, sizeof(W.ice)) == 0);
		W.answer_max = 0;
	}
}

static void say(struct sl_rd *r)
{
	uint8_t flags = sl_rd8(r), where = sl_rd8(r), broken = sl_rd8(r);
	int old = flags & 1;
	struct sl_stun m = {.class_ = SL_STUN_REQUEST, .method = STUN_BINDING};
	uint8_t buf[512];
	char user[64];
	int n;

	m.has = STUN_USERNAME | STUN_INTEGRITY | (flags & 2 ? STUN_USE_CANDIDATE : 0) |
		(flags & 4 ? STUN_PRIORITY : 0) | (flags & 8 ? STUN_FINGERPRINT : 0) |
		(flags & 16 ? STUN_CONTROLLED : STUN_CONTROLLING);
	m.priority = sl_rd8(r);
	m.tie_breaker = flags & 32 ? UINT64_MAX : 0;
	fill(&W.seed, m.tid, sizeof(m.tid));
	(void)sl_fmt(user, sizeof(user), "%s:%s", W.ours[old].ufrag, W.theirs[flags >> 6 & 1]);
	m.username = sl_str_z(user);
	n = stun_write(&m, W.ours[old].pwd, strlen(W.ours[old].pwd), buf, sizeof(buf));
	MUST(n > 0);
	/* The last four bytes are of the integrity or the fingerprint; a change there is always
	 * one. */
	if (broken & 1)
		buf[(size_t)n - 1 - (broken >> 1 & 3)] ^= 1;
	give(&W.paths[where % PATHS], buf, (size_t)n, broken & 1);
}

static void respond(struct sl_rd *r)
{
	uint8_t flags = sl_rd8(r), which = sl_rd8(r);
	unsigned i = which % ASKED;
	struct sl_stun m = {
		.class_ = flags & 1 ? SL_STUN_ERROR : SL_STUN_SUCCESS,
		.method = STUN_BINDING,
		.has = STUN_INTEGRITY | (flags & 1 ? STUN_ERROR_CODE : STUN_XOR_MAPPED),
		.error_code = flags & 2 ? 400 : 487,
		.mapped = sl_addr_v4(1, 2, 3, 4, 5),
	};
	const char *key = flags & 4 ? "a-key-of-somebody-else" : pwd;
	uint8_t buf[128];
	int n;

	if (i >= W.asked_count)
		return;
	memcpy(m.tid, W.asked[i].tid, sizeof(m.tid));
	n = stun_write(&m, key, strlen(key), buf, sizeof(buf));
	MUST(n > 0);
	give(flags & 8 ? &W.paths[which >> 3 & 15] : &W.asked[i].path, buf, (size_t)n, flags & 4);
	W.answer_max = 0;
}

static void raw(struct sl_rd *r)
{
	uint8_t where = sl_rd8(r), n = sl_rd8(r);
	struct sl_rd body = sl_rd_sub(r, SL_MIN((size_t)n, sl_rd_left(r)));

	give(&W.paths[where % PATHS], body.p, sl_rd_left(&body), true);
}

static void media(struct sl_rd *r)
{
	uint8_t b = sl_rd8(r);

	/* As the core does: only packets of validated pairs are looked at. */
	if (sl_ice_is_valid(&W.ice, &W.paths[b % PATHS]))
		sl_ice_on_authentic(&W.ice, &W.paths[b % PATHS], b >> 4 & 1, W.now_us);
}

static void add_remote(struct sl_rd *r)
{
	uint8_t where = sl_rd8(r) % PATHS, b = sl_rd8(r);
	struct sl_ice_cand c = {
		.addr = W.paths[where].remote,
		.priority = b,
		.type = (enum sl_ice_type)(b & 3),
		.foundation = {(char)('a' + b % 3), 0},
		.tcp = W.paths[where].remote.tcp ? SL_CAND_TCP_PASSIVE : SL_CAND_UDP,
	};

	if (sl_ice_add_remote(&W.ice, &c, W.now_us) == SL_OK)
		W.signalled[where] = true;
}

static void add_local(struct sl_rd *r)
{
	uint8_t b = sl_rd8(r);
	struct sl_ice_cand c = {.addr = sl_addr_v4(192, 0, 2, b, 5000),
				.sock = b & 3,
				.priority = b,
				.foundation = "l",
				.tcp = b & 0x80 ? SL_CAND_TCP_ACTIVE : SL_CAND_UDP};
	int err = sl_ice_add_local(&W.ice, &c, W.now_us);

	MUST(err == SL_OK || (err == SL_EFULL && W.ice.local_count == SL_ICE_LOCAL_MAX));
}

static void learn_ours(void)
{
	const struct sl_ice_creds *c = sl_ice_local_creds(&W.ice);

	if (strcmp(c->ufrag, W.ours[0].ufrag) == 0)
		return;
	W.ours[1] = W.ours[0];
	W.ours[0] = *c;
	W.blind_max += ICE_BUDGET;
}

static void restart(struct sl_rd *r)
{
	(void)r;
	sl_ice_restart(&W.ice, W.now_us);
	learn_ours();
}

static void set_remote(struct sl_rd *r)
{
	uint8_t b = sl_rd8(r);

	if (b & 1) {
		memcpy(W.theirs[1], W.theirs[0], sizeof(W.theirs[0]));
		(void)sl_fmt(W.theirs[0], sizeof(W.theirs[0]), "p%05d", ++W.their_count);
	}
	MUST(sl_ice_set_remote(&W.ice, sl_str_z(W.theirs[0]), SL_STR(pwd), W.now_us) == SL_OK);
	learn_ours();
}

static void end_of_candidates(struct sl_rd *r)
{
	(void)r;
	sl_ice_end_of_candidates(&W.ice, W.now_us);
}

static void sock_lost(struct sl_rd *r)
{
	uint32_t sock = sl_rd8(r) % SOCKS;
	const struct sl_path *path;

	sl_ice_sock_lost(&W.ice, sock, W.now_us);
	path = sl_ice_path(&W.ice);
	MUST(!path || path->sock != sock);
}

static void path_lost(struct sl_rd *r)
{
	const struct sl_path *path = &W.paths[sl_rd8(r) % PATHS];

	sl_ice_path_lost(&W.ice, path, W.now_us);
	MUST(!sl_ice_is_valid(&W.ice, path));
}

/* The stream that is opened for a check. */
static void rebase(struct sl_rd *r)
{
	const struct sl_path *path = &W.paths[sl_rd8(r) % PATHS];
	uint8_t sock = sl_rd8(r) % SOCKS;

	if (path->remote.tcp && !sl_ice_is_valid(&W.ice, path))
		sl_ice_rebase(&W.ice, path, sock);
}

static void (*const rare[])(struct sl_rd *r) = {sock_lost, path_lost, rebase};

static void (*const commands[])(struct sl_rd *r) = {
	wait,	 say,	     respond,	media, add_remote,	  say,	wait,  respond, raw,
	restart, set_remote, add_local, leap,  end_of_candidates, wait, media,
};

static void begin(uint8_t conf_bits)
{
	struct sl_ice_cand c = {
		.addr = sl_addr_v4(192, 0, 2, 1, 5000), .priority = 1000, .foundation = "l"};
	struct sl_ice_conf conf = {
		.lite = conf_bits & 1,
		.remote_lite = conf_bits & 2,
		.controlling = conf_bits & 4,
		.allow_loopback = conf_bits & 8,
		.timeout_us = 15 * SL_SEC,
		.local = &c,
		.local_count = 1,
		.tid_tag = 7,
		.rng = &W.rng,
		.stats = &W.stats,
	};

	memset(&W, 0, sizeof(W));
	W.rng = (struct sl_rng){.fill = fill, .state = &W.seed};
	W.full = !conf.lite || conf.remote_lite;
	W.now_us = conf_bits & 16 ? 0 : 1000 * SL_SEC;
	W.last_check_us = -1;
	for (uint8_t i = 0; i < PATHS; i++) {
		W.paths[i].sock = i & 1;
		W.paths[i].remote = sl_addr_v4(i < 14 ? 203 : 127, 0, 113, i, 700);
	}
	W.paths[12].remote.tcp = W.paths[13].remote.tcp = 1;
	W.paths[15].remote = (struct sl_addr){.ip = {0x20, 1}, .port = 5, .family = 6};
	(void)sl_fmt(W.theirs[0], sizeof(W.theirs[0]), "peer");
	(void)sl_fmt(W.theirs[1], sizeof(W.theirs[1]), "none");
	MUST(sl_ice_init(&W.ice, &conf, W.now_us) == SL_OK);
	learn_ours();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sl_rd r = sl_rd(data, len);

	if (len > 8192)
		return 0;
	begin(sl_rd8(&r));
	while (sl_rd_left(&r) > 0) {
		uint8_t b = sl_rd8(&r);

		if (b >= 240)
			rare[b % SL_COUNT(rare)](&r);
		else
			commands[b % SL_COUNT(commands)](&r);
		judge();
	}
	sl_ice_fini(&W.ice);
	return 0;
}
