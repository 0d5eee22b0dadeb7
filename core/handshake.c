/* SPDX-License-Identifier: Apache-2.0
 * core/handshake.c — the workers that do public-key cryptography, so that no media loop ever waits
 * for it. One queue in per loop and one per loop back, each with a single producer and a single
 * consumer at a time: loops never lock; workers lock among themselves to take a job or to give one
 * back. They run at nice 10. */
#include "core/core_int.h"
#include "core/base/mem.h"
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { QUEUE = 1024, NICE = 10 };
/* A session's handshake is due some 10 to 100 ms after its offer: one that has not come within a
 * second is not counted on, so that those who never connect block nobody for long. */
enum { EXPECT_SLOTS = 10, EXPECT_SLOT_US = 100 * SL_MS };

struct sl_hs_pool {
	struct sl_hs_pool_conf conf;
	struct sl_ring in[SL_CORE_LOOPS_MAX], back[SL_CORE_LOOPS_MAX];
	pthread_mutex_t take, give;
	sem_t jobs;
	struct worker {
		pthread_t thread;
		struct sl_hs_pool *pool;
		struct sl_rng rng;
	} workers[SL_CORE_LOOPS_MAX];
	unsigned started;
	bool stop;
	uint32_t waiting;  /* jobs submitted and not finished */
	uint32_t step_us;  /* smoothed cost of a step */
	uint32_t whole_us; /* and of a whole handshake */
	uint32_t done;	   /* handshakes that came to their end */
	unsigned next;	   /* loop to look at first, in turn */
	uint32_t trims;	   /* of the heap since the last job */
	/* the control thread's: sessions taken in, by tenths of a second */
	struct {
		int64_t since_us;
		uint32_t sessions, done; /* done: before */
	} expected[EXPECT_SLOTS];
};

/* ---- datagrams ---- */

bool sl_hs_put(struct sl_hs_queue *q, unsigned max, const uint8_t *data, size_t len)
{
	struct sl_hs_dgram **at = &q->first;
	struct sl_hs_dgram *d =
		q->count < max && len <= SL_HS_DGRAM ? sl_zalloc(sizeof(*d) + len) : NULL;

	if (!d)
		return false;
	d->len = len;
	memcpy(d->data, data, len);
	while (*at)
		at = &(*at)->next;
	*at = d;
	q->count++;
	return true;
}

void sl_hs_clear(struct sl_hs_queue *q)
{
	struct sl_hs_dgram *next;

	for (struct sl_hs_dgram *d = q->first; d; d = next) {
		next = d->next;
		sl_free(d);
	}
	*q = (struct sl_hs_queue){0};
}

void sl_hs_fini(struct sl_hs *hs)
{
	sl_hs_clear(&hs->wait);
	sl_hs_clear(&hs->in);
	sl_hs_clear(&hs->out);
	sl_dtls_free(hs->dtls);
	sl_srtp_key_free(hs->rx_key);
	sl_srtp_key_free(hs->tx_key);
	sl_wipe(hs, sizeof(*hs));
}

/* ---- one step ---- */

static void take_keys(struct sl_hs *hs)
{
	struct sl_dtls_keys keys;

	if (hs->keys_taken || sl_dtls_keys(hs->dtls, &keys) < 0)
		return;
	hs->records = keys.records;
	hs->profile = keys.local.profile;
	if (sl_srtp_key_new(sl_srtp_best(hs->profile), &keys.remote, false, &hs->rx_key) < 0 ||
	    sl_srtp_key_new(sl_srtp_best(hs->profile), &keys.local, true, &hs->tx_key) < 0) {
		sl_srtp_key_free(hs->rx_key);
		hs->rx_key = NULL;
		hs->state = SL_DTLS_FAILED;
		hs->cause = SL_DTLS_NOMEM;
	} else {
		hs->keys_taken = true;
	}
	sl_wipe(&keys, sizeof(keys));
}

static void collect(struct sl_hs *hs)
{
	const uint8_t *data;
	size_t len;

	/* Without memory it is lost, as on the way; it is sent again. */
	while (hs->out.count < SL_HS_OUT && sl_dtls_pull(hs->dtls, &data, &len))
		(void)sl_hs_put(&hs->out, SL_HS_OUT, data, len);
}

void sl_hs_run(struct sl_hs *hs, const struct sl_rng *rng)
{
	sl_hs_clear(&hs->out);
	sl_dtls_set_rng(hs->dtls, rng);
	for (const struct sl_hs_dgram *d = hs->in.first; d; d = d->next) {
		sl_dtls_recv(hs->dtls, d->data, d->len, hs->now_us);
		collect(hs);
	}
	if (hs->tick)
		sl_dtls_tick(hs->dtls, hs->now_us);
	collect(hs);
	sl_hs_clear(&hs->in);
	hs->tick = false;
	hs->state = sl_dtls_state(hs->dtls);
	hs->cause = sl_dtls_cause(hs->dtls);
	hs->deadline_us = sl_dtls_deadline_us(hs->dtls);
	hs->dropped = sl_dtls_take_dropped(hs->dtls);
	hs->restarts = sl_dtls_take_restarts(hs->dtls);
	if (hs->state == SL_DTLS_CONNECTED)
		take_keys(hs);
}

/* ---- the pool ---- */

static struct sl_hs *take_job(struct sl_hs_pool *p)
{
	struct sl_hs *hs = NULL;

	pthread_mutex_lock(&p->take);
	for (unsigned i = 0; i < p->conf.loops && !hs; i++) {
		struct sl_ring *r = &p->in[(p->next + i) % p->conf.loops];
		struct sl_hs **slot = sl_ring_peek(r);

		if (!slot)
			continue;
		hs = *slot;
		sl_ring_pop(r);
		p->next = (p->next + i + 1) % p->conf.loops;
	}
	pthread_mutex_unlock(&p->take);
	return hs;
}

static void give_back(struct sl_hs_pool *p, struct sl_hs *hs)
{
	unsigned loop = hs->loop;
	struct sl_hs **slot;

	pthread_mutex_lock(&p->give);
	slot = sl_ring_slot(&p->back[loop], 0);
	SL_ASSERT(slot); /* as large as the queue in, and a session has one job in flight */
	*slot = hs;
	sl_ring_push(&p->back[loop]);
	pthread_mutex_unlock(&p->give);
	__atomic_sub_fetch(&p->waiting, 1, __ATOMIC_RELAXED);
	p->conf.wake(p->conf.arg, loop);
}

static void smooth(uint32_t *at, int64_t value)
{
	SL_STORE(at, (uint32_t)((SL_LOAD(at) * UINT64_C(7) + (uint64_t)value) / 8));
}

static void learn(struct sl_hs_pool *p, struct sl_hs *hs, int64_t took_us)
{
	bool ended = hs->state == SL_DTLS_CONNECTED || hs->state == SL_DTLS_FAILED;

	smooth(&p->step_us, took_us);
	if (hs->spent_us < 0) /* a context that only answers retransmissions */
		return;
	hs->spent_us += took_us;
	if (!ended)
		return;
	smooth(&p->whole_us, hs->spent_us);
	__atomic_add_fetch(&p->done, 1, __ATOMIC_RELAXED);
	hs->spent_us = -1;
}

/* A handshake takes some 40 KB for a while, and what many of them together left to the allocator
 * would stay with the process: it goes back once they have been over for a while, and again when
 * the last of their contexts are gone. */
static void wait_for_job(struct sl_hs_pool *p)
{
	static const int64_t after_s[] = {2, 12};
	uint32_t trims = SL_LOAD(&p->trims);
	struct timespec until;

	if (trims < SL_COUNT(after_s)) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += after_s[trims];
		while (sem_clockwait(&p->jobs, CLOCK_MONOTONIC, &until) < 0) {
			if (errno != ETIMEDOUT)
				continue;
			malloc_trim(0);
			SL_STORE(&p->trims, trims + 1);
			return;
		}
		return;
	}
	while (sem_wait(&p->jobs) < 0)
		;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct sl_hs_pool *p = w->pool;

	/* Linux: the nice value is the thread's own. Loops come first. */
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	for (;;) {
		struct sl_hs *hs;
		int64_t began_us;
		int64_t took_us;

		wait_for_job(p);
		if (__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE))
			break;
		hs = take_job(p);
		if (!hs)
			continue;
		began_us = sl_now_us();
		sl_hs_run(hs, &w->rng);
		took_us = sl_now_us() - began_us;
		learn(p, hs, took_us);
		SL_STORE(&p->trims, 0);
		give_back(p, hs);
	}
	return NULL;
}

static int init_rings(struct sl_hs_pool *p)
{
	int err = SL_OK;

	for (unsigned i = 0; i < p->conf.loops && !err; i++) {
		err = sl_ring_init(&p->in[i], sizeof(struct sl_hs *), QUEUE);
		if (!err)
			err = sl_ring_init(&p->back[i], sizeof(struct sl_hs *), 2 * QUEUE);
	}
	return err;
}

static int start_worker(struct sl_hs_pool *p)
{
	struct worker *w = &p->workers[p->started];
	int err = sl_rng_system_new(&w->rng);

	w->pool = p;
	if (!err && pthread_create(&w->thread, NULL, work, w)) {
		sl_rng_system_free(&w->rng);
		err = SL_ENOMEM;
	}
	p->started += err == SL_OK;
	return err;
}

int sl_hs_pool_new(const struct sl_hs_pool_conf *conf, struct sl_hs_pool **out)
{
	struct sl_hs_pool *p = sl_zalloc(sizeof(*p));
	int err;

	if (!p)
		return SL_ENOMEM;
	p->conf = *conf;
	p->step_us = 2000;
	p->whole_us = 6000;
	p->trims = UINT32_MAX;
	pthread_mutex_init(&p->take, NULL);
	pthread_mutex_init(&p->give, NULL);
	sem_init(&p->jobs, 0, 0);
	err = init_rings(p);
	while (!err && p->started < conf->threads)
		err = start_worker(p);
	if (err) {
		sl_hs_pool_free(p);
		return err;
	}
	*out = p;
	return SL_OK;
}

void sl_hs_pool_free(struct sl_hs_pool *p)
{
	if (!p)
		return;
	__atomic_store_n(&p->stop, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < p->started; i++)
		sem_post(&p->jobs);
	for (unsigned i = 0; i < p->started; i++) {
		pthread_join(p->workers[i].thread, NULL);
		sl_rng_system_free(&p->workers[i].rng);
	}
	for (unsigned i = 0; i < p->conf.loops; i++) {
		sl_ring_fini(&p->in[i]);
		sl_ring_fini(&p->back[i]);
	}
	pthread_mutex_destroy(&p->take);
	pthread_mutex_destroy(&p->give);
	sem_destroy(&p->jobs);
	sl_free(p);
}

bool sl_hs_submit(struct sl_hs_pool *p, unsigned loop, struct sl_hs *hs)
{
	struct sl_hs **slot = sl_ring_slot(&p->in[loop], 0);

	if (!slot)
		return false;
	*slot = hs;
	sl_ring_push(&p->in[loop]);
	__atomic_add_fetch(&p->waiting, 1, __ATOMIC_RELAXED);
	sem_post(&p->jobs);
	return true;
}

struct sl_hs *sl_hs_finished(struct sl_hs_pool *p, unsigned loop)
{
	struct sl_hs **slot = sl_ring_peek(&p->back[loop]);
	struct sl_hs *hs;

	if (!slot)
		return NULL;
	hs = *slot;
	sl_ring_pop(&p->back[loop]);
	return hs;
}

void sl_hs_expect(struct sl_hs_pool *p, int64_t now_us)
{
	int64_t slot = now_us / EXPECT_SLOT_US;
	size_t i = (size_t)slot % EXPECT_SLOTS;

	if (p->expected[i].since_us != slot * EXPECT_SLOT_US) {
		p->expected[i].since_us = slot * EXPECT_SLOT_US;
		p->expected[i].sessions = 0;
		p->expected[i].done = SL_LOAD(&p->done);
	}
	p->expected[i].sessions++;
}

/* Taken in within the last second, less those that came to their end since. */
static uint32_t still_to_come(const struct sl_hs_pool *p, int64_t now_us)
{
	uint32_t done = SL_LOAD(&p->done);
	uint32_t since = 0;
	uint32_t sessions = 0;

	for (size_t i = 0; i < EXPECT_SLOTS; i++) {
		if (now_us - p->expected[i].since_us >= EXPECT_SLOTS * EXPECT_SLOT_US)
			continue;
		sessions += p->expected[i].sessions;
		since = SL_MAX(since, done - p->expected[i].done);
	}
	return sessions > since ? sessions - since : 0;
}

int64_t sl_hs_wait_us(const struct sl_hs_pool *p, int64_t now_us)
{
	int64_t here_us = (int64_t)SL_LOAD(&p->waiting) * SL_LOAD(&p->step_us);
	int64_t to_come_us = (int64_t)still_to_come(p, now_us) * SL_LOAD(&p->whole_us);

	return SL_MAX(here_us, to_come_us) / SL_MAX(p->conf.threads, 1u);
}
