/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dtls/pair.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static struct sl_cert *certs[PAIR_CERTS];

__attribute__((constructor)) static void make_certs(void)
{
	struct sl_test_rng state;
	struct sl_rng rng = sl_test_rng(&state, 4711);

	for (int i = 0; i < PAIR_CERTS; i++)
		if (sl_cert_new(&rng, INT64_C(1800000000) * SL_SEC, &certs[i]))
			abort();
}

const struct sl_cert *pair_cert(int which)
{
	return certs[which];
}

struct sl_fingerprint pair_fingerprint(enum sl_digest algorithm, const struct sl_cert *cert)
{
	struct sl_fingerprint fp = {.algorithm = algorithm,
				    .len = (uint8_t)sl_digest_len(algorithm)};

	TRY(sl_digest(algorithm, cert->chain.raw.p, cert->chain.raw.len, fp.bytes));
	return fp;
}

struct pair *pair_new(uint64_t seed)
{
	static struct pair p;

	memset(&p, 0, sizeof(p));
	p.delay_us = 20 * SL_MS;
	p.now_us = SL_SEC;
	p.trace = 1;
	for (uint64_t i = 0; i < 3; i++)
		p.rng[i] = sl_test_rng(&p.rng_state[i], seed * 3 + i);
	for (int i = 0; i < 2; i++) {
		p.conf[i].client = i == CLIENT;
		p.conf[i].cert = pair_cert(i);
		p.conf[i].rng = &p.rng[i];
		p.conf[i].peer[0] = pair_fingerprint(SL_DIGEST_SHA256, pair_cert(!i));
		p.conf[i].peer_count = 1;
	}
	return &p;
}

void pair_start(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		TRY(sl_dtls_new(&p->conf[i], &p->end[i]));
		DEFER(sl_dtls_free, p->end[i]);
	}
}

struct step {
	struct sl_dtls *d;
	const uint8_t *data;
	size_t len;
	int64_t now_us;
};

static void *run_step(void *arg)
{
	const struct step *s = arg;

	if (s->data)
		sl_dtls_recv(s->d, s->data, s->len, s->now_us);
	else
		sl_dtls_tick(s->d, s->now_us);
	return NULL;
}

static void do_step(struct pair *p, int to, const uint8_t *data, size_t len)
{
	struct step s = {.d = p->end[to], .data = data, .len = len, .now_us = p->now_us};
	pthread_t t;

	if (!p->threads || pthread_create(&t, NULL, run_step, &s) != 0)
		run_step(&s);
	else
		pthread_join(t, NULL);
}

static unsigned percent(struct pair *p)
{
	return sl_rng_u32(&p->rng[2]) % 100;
}

static void enqueue(struct pair *p, int to, const uint8_t *data, size_t len, int64_t at_us)
{
	struct pair_dgram *q = &p->queue[p->queued];

	CHECK(p->queued < PAIR_QUEUE && len <= PAIR_DGRAM);
	p->queued++;
	q->at_us = at_us;
	q->to = to;
	q->len = len;
	memcpy(q->data, data, len);
}

static void collect(struct pair *p)
{
	const uint8_t *data;
	size_t len;

	for (int from = 0; from < 2; from++)
		while (sl_dtls_pull(p->end[from], &data, &len)) {
			int64_t at_us = p->now_us + p->delay_us;

			CHECK(len <= SL_DTLS_MTU);
			for (size_t i = 0; i < len; i++)
				p->trace = (p->trace ^ data[i]) * UINT64_C(1099511628211);
			if (percent(p) < p->loss)
				continue;
			if (percent(p) < p->reorder)
				at_us += p->delay_us;
			enqueue(p, !from, data, len, at_us);
			if (percent(p) < p->duplicate)
				enqueue(p, !from, data, len, at_us + p->delay_us / 2);
		}
}

/* The first of the earliest; -1 when none is on the way. */
static int earliest(const struct pair *p)
{
	int best = -1;

	for (size_t i = 0; i < p->queued; i++)
		if (best < 0 || p->queue[i].at_us < p->queue[best].at_us)
			best = (int)i;
	return best;
}

static void deliver(struct pair *p, int at)
{
	struct pair_dgram g = p->queue[at];

	p->queued--;
	memmove(&p->queue[at], &p->queue[at + 1], (p->queued - (size_t)at) * sizeof(p->queue[0]));
	if (p->tap && !p->tap(p, g.to, g.data, g.len))
		return;
	do_step(p, g.to, g.data, g.len);
	p->delivered[g.to]++;
}

void pair_send(struct pair *p, int to, const void *data, size_t len)
{
	do_step(p, to, data, len);
	collect(p);
}

/* Once an allocation has failed and cost a handshake, the rest of the test has nothing to say. */
static void stop_without_memory(const struct pair *p)
{
	for (int i = 0; i < 2; i++)
		if (sl_test_oom_fired() && sl_dtls_state(p->end[i]) == SL_DTLS_FAILED) {
			CHECK_EQ(sl_dtls_cause(p->end[i]), SL_DTLS_NOMEM);
			sl_test_oom_stop();
		}
}

static bool at_rest(const struct pair *p)
{
	return p->queued == 0 && sl_dtls_state(p->end[0]) != SL_DTLS_HANDSHAKING &&
	       sl_dtls_state(p->end[1]) != SL_DTLS_HANDSHAKING;
}

static bool step(struct pair *p, int64_t end_us)
{
	int64_t due_us[2] = {sl_dtls_deadline_us(p->end[0]), sl_dtls_deadline_us(p->end[1])};
	int64_t next_us = SL_MIN(due_us[0], due_us[1]);
	int first = earliest(p);

	if (first >= 0 && p->queue[first].at_us <= next_us)
		next_us = p->queue[first].at_us;
	else
		first = -1;
	if (next_us > end_us)
		return false;
	p->now_us = SL_MAX(p->now_us, next_us);
	if (first >= 0)
		deliver(p, first);
	else
		do_step(p, due_us[0] <= due_us[1] ? 0 : 1, NULL, 0);
	collect(p);
	return true;
}

void pair_run(struct pair *p, int64_t for_us)
{
	int64_t end_us = p->now_us + for_us;
	int steps = 0;

	collect(p);
	while (!at_rest(p) && step(p, end_us)) {
		CHECK(++steps < 100000);
		stop_without_memory(p);
	}
	if (!at_rest(p))
		p->now_us = end_us;
	if (sl_test_oom_fired())
		sl_test_oom_stop();
}

bool pair_connected(const struct pair *p)
{
	return sl_dtls_state(p->end[0]) == SL_DTLS_CONNECTED &&
	       sl_dtls_state(p->end[1]) == SL_DTLS_CONNECTED;
}

bool pair_closes(struct sl_dtls_records *r, const uint8_t *data, size_t len)
{
	bool yes = sl_dtls_is_close(r, data, len);

	if (!yes && sl_test_oom_fired())
		sl_test_oom_stop();
	return yes;
}

void pair_check(struct pair *p)
{
	struct sl_dtls_keys k[2];
	uint8_t close[64];
	int n;

	for (int i = 0; i < 2; i++) {
		CHECK_EQ(sl_dtls_state(p->end[i]), SL_DTLS_CONNECTED);
		CHECK_EQ(sl_dtls_cause(p->end[i]), SL_DTLS_OK);
		TRY(sl_dtls_keys(p->end[i], &k[i]));
	}
	CHECK_EQ(k[0].local.profile, k[1].local.profile);
	CHECK(k[0].local.profile != SL_SRTP_NONE);
	CHECK_BYTES(&k[0].local, &k[1].remote, sizeof(k[0].local));
	CHECK_BYTES(&k[0].remote, &k[1].local, sizeof(k[0].local));
	CHECK(memcmp(k[0].local.key, k[0].remote.key, 16) != 0);
	for (int i = 0; i < 2; i++) {
		n = sl_dtls_write_close(&k[i].records, close, sizeof(close));
		TRY(n);
		CHECK(pair_closes(&k[!i].records, close, (size_t)n));
		CHECK(!sl_dtls_is_close(&k[i].records, close, (size_t)n));
	}
}

size_t pair_file(const char *path, void *buf, size_t cap)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	CHECK(f != NULL);
	n = fread(buf, 1, cap, f);
	fclose(f);
	CHECK(n > 0);
	return n;
}
