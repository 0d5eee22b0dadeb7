/* SPDX-License-Identifier: Apache-2.0
 * Input: a script for the way between a client and a server. Each byte's low three bits are an
 * action, see below; bit 3 names the end it concerns. Keys come out only in CONNECTED and agree
 * when both have them; a way that only forwards, repeats and reorders ends in CONNECTED; nothing
 * leaks. */
#include "core/base/mem.h"
#include "dtls/dtls_int.h"
#include <stdlib.h>

enum { FORWARD, LOSE, REPEAT, ALTER, FORGE, WAIT, LAST_FIRST, SELF };
enum { QUEUE = 64, DGRAM = 1500 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct dgram {
	size_t len;
	uint8_t data[DGRAM];
};

struct run {
	struct sl_dtls *end[2];
	struct sl_rng rng;
	uint64_t rng_state;
	int64_t now_us;
	bool fair; /* nothing was lost, altered or forged */
	size_t n[2];
	struct dgram queue[2][QUEUE]; /* on the way to each end */
};

static struct sl_cert *certs[2];

static void require(bool ok)
{
	if (!ok)
		__builtin_trap();
}

static void fill(void *state, void *out, size_t n)
{
	uint64_t *s = state;
	uint8_t *p = out;

	for (size_t i = 0; i < n; i++) {
		*s ^= *s << 13;
		*s ^= *s >> 7;
		*s ^= *s << 17;
		p[i] = (uint8_t)(*s >> 24);
	}
}

static void make_certs(void)
{
	uint64_t state = 42;
	struct sl_rng rng = {.fill = fill, .state = &state};

	for (int i = 0; i < 2; i++)
		require(certs[i] ||
			sl_cert_new(&rng, INT64_C(1800000000) * SL_SEC, &certs[i]) == SL_OK);
}

static void start(struct run *r)
{
	for (int i = 0; i < 2; i++) {
		const struct sl_cert *peer = certs[!i];
		struct sl_dtls_conf conf = {
			.client = i == 0, .cert = certs[i], .rng = &r->rng, .peer_count = 1};

		conf.peer[0].algorithm = SL_DIGEST_SHA256;
		conf.peer[0].len = SL_SHA256_LEN;
		require(sl_digest(SL_DIGEST_SHA256, peer->chain.raw.p, peer->chain.raw.len,
				  conf.peer[0].bytes) == SL_OK);
		require(sl_dtls_new(&conf, &r->end[i]) == SL_OK);
	}
}

static void check_state(const struct run *r, int end)
{
	struct sl_dtls_keys k;
	enum sl_dtls_state s = sl_dtls_state(r->end[end]);

	require((sl_dtls_keys(r->end[end], &k) == SL_OK) == (s == SL_DTLS_CONNECTED));
	require((sl_dtls_cause(r->end[end]) != SL_DTLS_OK) == (s == SL_DTLS_FAILED));
	require(s == SL_DTLS_HANDSHAKING || sl_dtls_deadline_us(r->end[end]) == SL_NEVER);
}

static void collect(struct run *r)
{
	const uint8_t *data;
	size_t len;

	for (int from = 0; from < 2; from++) {
		check_state(r, from);
		while (sl_dtls_pull(r->end[from], &data, &len)) {
			struct dgram *q = r->queue[!from];

			require(len > 0 && len <= SL_DTLS_MTU);
			if (r->n[!from] == QUEUE) {
				r->fair = false;
				continue;
			}
			q += r->n[!from];
			q->len = len;
			memcpy(q->data, data, len);
			r->n[!from]++;
		}
	}
}

static void receive(struct run *r, int to, const uint8_t *data, size_t len)
{
	/* Of its own, so that a read beyond the end is seen. */
	uint8_t *copy = malloc(len ? len : 1);

	require(copy != NULL);
	if (len)
		memcpy(copy, data, len);
	sl_dtls_recv(r->end[to], copy, len, r->now_us);
	free(copy);
	collect(r);
}

static void take_out(struct run *r, int to, size_t at, struct dgram *out)
{
	*out = r->queue[to][at];
	r->n[to]--;
	memmove(&r->queue[to][at], &r->queue[to][at + 1], (r->n[to] - at) * sizeof(*out));
}

/* The engines' deadlines on the way are kept, first the earlier. */
static void wait_until(struct run *r, int64_t until_us)
{
	for (int i = 0; i < 1000; i++) {
		int64_t due_us[2] = {sl_dtls_deadline_us(r->end[0]),
				     sl_dtls_deadline_us(r->end[1])};
		int first = due_us[0] <= due_us[1] ? 0 : 1;

		if (due_us[first] > until_us)
			break;
		r->now_us = SL_MAX(r->now_us, due_us[first]);
		sl_dtls_tick(r->end[first], r->now_us);
		collect(r);
		require(sl_dtls_deadline_us(r->end[first]) > r->now_us);
	}
	r->now_us = SL_MAX(r->now_us, until_us);
}

static void alter(struct run *r, int to, struct sl_rd *in)
{
	struct dgram g = r->queue[to][0];
	uint8_t n = sl_rd8(in);

	for (unsigned i = 0; i < n % 8u + 1; i++) {
		uint16_t at = sl_rd16(in);
		uint8_t with = sl_rd8(in);

		g.data[at % g.len] ^= with;
	}
	receive(r, to, g.data, g.len);
}

static void act(struct run *r, uint8_t action, struct sl_rd *in)
{
	int to = action >> 3 & 1;
	struct dgram g = {0};
	size_t n;

	action &= 7;
	if (action == FORGE) {
		r->fair = false;
		n = sl_rd8(in);
		n = SL_MIN(n, sl_rd_left(in));
		receive(r, to, sl_rd_bytes(in, n), n);
	} else if (action == WAIT) {
		wait_until(r, r->now_us + sl_rd8(in) * 20 * SL_MS);
	} else if (r->n[to] > 0) {
		r->fair &= action != LOSE && action != ALTER && action != SELF;
		if (action == ALTER)
			alter(r, to, in);
		else if (action == SELF)
			receive(r, !to, r->queue[to][0].data, r->queue[to][0].len);
		else if (action == REPEAT)
			receive(r, to, r->queue[to][0].data, r->queue[to][0].len);
		else
			take_out(r, to, action == LAST_FIRST ? r->n[to] - 1 : 0, &g);
		if (action == FORWARD || action == LAST_FIRST)
			receive(r, to, g.data, g.len);
	}
}

/* From here on everything arrives. */
static void settle(struct run *r)
{
	struct dgram g;

	for (int i = 0; i < 200; i++) {
		for (int to = 0; to < 2; to++)
			if (r->n[to] > 0) {
				take_out(r, to, 0, &g);
				receive(r, to, g.data, g.len);
			}
		if (r->n[0] + r->n[1] == 0)
			wait_until(r, r->now_us + 20 * SL_MS);
	}
}

static void check_end(struct run *r)
{
	struct sl_dtls_keys k[2];

	if (r->fair) {
		require(sl_dtls_state(r->end[0]) == SL_DTLS_CONNECTED);
		require(sl_dtls_state(r->end[1]) == SL_DTLS_CONNECTED);
	}
	if (sl_dtls_keys(r->end[0], &k[0]) || sl_dtls_keys(r->end[1], &k[1]))
		return;
	require(memcmp(&k[0].local, &k[1].remote, sizeof(k[0].local)) == 0);
	require(memcmp(&k[0].remote, &k[1].local, sizeof(k[0].local)) == 0);
	require(k[0].records.ready && k[1].records.ready);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sl_rd in = sl_rd(data, len);
	struct run *r = calloc(1, sizeof(*r));
	uint64_t live;

	make_certs();
	live = sl_mem_stat().live;
	require(r != NULL);
	r->rng_state = 7;
	r->rng = (struct sl_rng){.fill = fill, .state = &r->rng_state};
	r->now_us = SL_SEC;
	r->fair = len < 200;
	start(r);
	sl_dtls_tick(r->end[0], r->now_us);
	collect(r);
	while (sl_rd_left(&in) > 0)
		act(r, sl_rd8(&in), &in);
	if (r->now_us > 10 * SL_SEC)
		r->fair = false;
	settle(r);
	check_end(r);
	sl_dtls_free(r->end[0]);
	sl_dtls_free(r->end[1]);
	free(r);
	require(sl_mem_stat().live == live);
	return 0;
}
