/* SPDX-License-Identifier: Apache-2.0
 * tests/core/test_handshake.c — the pool of handshake workers, with real threads. */
#include "core/core_int.h"
#include "core/base/mem.h"
#include "tests/test.h"
#include <semaphore.h>
#include <time.h>

enum { LOOPS = 3, DEADLINE_S = 60, JOBS_MAX = 12, QUEUE_LEN = 1024 };

static struct rig {
	struct sl_hs_pool *pool;
	sem_t woken[LOOPS];
	struct sl_cert *cert;
	struct sl_fingerprint fp;
	struct sl_test_rng state;
	struct sl_rng rng;
	struct sl_hs jobs[JOBS_MAX];
} rig;

static void on_wake(void *arg, unsigned loop)
{
	struct rig *r = arg;

	sem_post(&r->woken[loop]);
}

static void rig_end(struct rig *r)
{
	sl_hs_pool_free(r->pool);
	r->pool = NULL;
	for (unsigned i = 0; i < JOBS_MAX; i++)
		sl_hs_fini(&r->jobs[i]);
	for (unsigned i = 0; i < LOOPS; i++)
		sem_destroy(&r->woken[i]);
	sl_cert_free(r->cert);
	r->cert = NULL;
}

static void rig_init(void)
{
	memset(&rig, 0, sizeof(rig));
	for (unsigned i = 0; i < LOOPS; i++)
		sem_init(&rig.woken[i], 0, 0);
	rig.rng = sl_test_rng(&rig.state, 5);
}

static int rig_start(unsigned threads)
{
	struct sl_hs_pool_conf conf = {
		.threads = threads, .loops = LOOPS, .wake = on_wake, .arg = &rig};
	int err = sl_cert_new(&rig.rng, INT64_C(1700000000) * SL_SEC, &rig.cert);

	if (!err)
		err = sl_fingerprint_parse(SL_STR("sha-256"),
					   sl_str_z(sl_cert_fingerprint(rig.cert)), &rig.fp);
	if (!err)
		err = sl_hs_pool_new(&conf, &rig.pool);
	return err;
}

static int new_job(struct sl_hs *hs, unsigned loop, bool client)
{
	struct sl_dtls_conf conf = {.client = client,
				    .cert = rig.cert,
				    .peer = {rig.fp},
				    .peer_count = 1,
				    .rng = &rig.rng};

	hs->loop = loop;
	hs->tick = client; /* a client's first step sends the hello */
	hs->now_us = sl_now_us();
	return sl_dtls_new(&conf, &hs->dtls);
}

/* Next finished job of that loop, as its thread gets it: after a wake-up. */
static struct sl_hs *finished(unsigned loop)
{
	struct sl_hs *hs;

	while (!(hs = sl_hs_finished(rig.pool, loop))) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += DEADLINE_S;
		CHECK_EQ(sem_timedwait(&rig.woken[loop], &until), 0);
	}
	return hs;
}

TEST(jobs_come_back_to_the_loop_they_are_of_with_their_datagrams)
{
	rig_init();
	DEFER(rig_end, &rig);
	TRY(rig_start(2));
	for (unsigned i = 0; i < JOBS_MAX; i++)
		TRY(new_job(&rig.jobs[i], i % LOOPS, true));
	for (unsigned i = 0; i < JOBS_MAX; i++)
		CHECK(sl_hs_submit(rig.pool, i % LOOPS, &rig.jobs[i]));
	for (unsigned i = 0; i < JOBS_MAX; i++) {
		struct sl_hs *hs = finished(i % LOOPS);

		CHECK(hs >= rig.jobs && hs < rig.jobs + JOBS_MAX);
		CHECK_EQ(hs->loop, i % LOOPS);
		CHECK_EQ(hs->id, 0);
		hs->id = 1; /* each comes back once */
		TRY(hs->out.count == 0 && sl_test_oom_fired() ? SL_ENOMEM : SL_OK);
		CHECK_EQ(hs->out.count, 1);
		CHECK_EQ(hs->out.first->data[0], 22);
		CHECK_EQ(hs->state, SL_DTLS_HANDSHAKING);
		CHECK(hs->deadline_us > hs->now_us && hs->deadline_us != SL_NEVER);
		CHECK(!hs->tick);
	}
	for (unsigned i = 0; i < LOOPS; i++)
		CHECK(sl_hs_finished(rig.pool, i) == NULL);
	CHECK_EQ(sl_hs_wait_us(rig.pool, 0), 0);
}

/* What one end sent goes to the other, which then has a step. */
static void pass_on(struct sl_hs *from, struct sl_hs *to)
{
	for (const struct sl_hs_dgram *d = from->out.first; d; d = d->next)
		(void)sl_hs_put(&to->in, SL_HS_IN, d->data, d->len);
	sl_hs_clear(&from->out);
	to->now_us = sl_now_us();
}

TEST(two_loops_shake_hands_through_the_workers_and_get_matching_keys)
{
	struct sl_hs *end[2] = {&rig.jobs[0], &rig.jobs[1]};
	unsigned turn = 0;

	rig_init();
	DEFER(rig_end, &rig);
	TRY(rig_start(2));
	TRY(new_job(end[0], 0, true));
	TRY(new_job(end[1], 1, false));
	for (; !end[0]->keys_taken || !end[1]->keys_taken; turn++) {
		struct sl_hs *hs = end[turn % 2];

		TRY(turn == 20 && sl_test_oom_fired() ? SL_ENOMEM : SL_OK);
		CHECK(turn < 20);
		CHECK(sl_hs_submit(rig.pool, hs->loop, hs));
		CHECK(finished(hs->loop) == hs);
		CHECK(hs->state != SL_DTLS_FAILED);
		pass_on(hs, end[!(turn % 2)]);
	}
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(end[i]->state, SL_DTLS_CONNECTED);
		CHECK_EQ(end[i]->profile, SL_SRTP_AES128_CM_SHA1_80);
		CHECK(end[i]->rx_key && end[i]->tx_key && end[i]->records.ready);
		CHECK_BYTES(end[i]->records.read_key, end[!i]->records.write_key, 16);
	}
}

TEST(full_queue_refuses_and_each_loop_has_its_own)
{
	rig_init();
	DEFER(rig_end, &rig);
	TRY(rig_start(0)); /* nobody works: the queue only fills */
	for (unsigned i = 0; i < QUEUE_LEN; i++)
		CHECK(sl_hs_submit(rig.pool, 0, &rig.jobs[0]));
	CHECK(!sl_hs_submit(rig.pool, 0, &rig.jobs[0]));
	CHECK(sl_hs_submit(rig.pool, 1, &rig.jobs[1]));
	CHECK(sl_hs_finished(rig.pool, 0) == NULL);
}

TEST(estimated_wait_grows_with_the_jobs_that_wait)
{
	rig_init();
	DEFER(rig_end, &rig);
	TRY(rig_start(0));
	CHECK_EQ(sl_hs_wait_us(rig.pool, 0), 0);
	for (int64_t i = 1, last_us = 0; i <= 100; i++) {
		int64_t wait_us;

		CHECK(sl_hs_submit(rig.pool, 2, &rig.jobs[0]));
		wait_us = sl_hs_wait_us(rig.pool, 0);
		CHECK(wait_us > last_us);
		last_us = wait_us;
	}
}

TEST(stop_with_jobs_in_flight_leaves_them_to_their_owners)
{
	rig_init();
	DEFER(rig_end, &rig);
	for (int round = 0; round < 4; round++) {
		TRY(rig_start(2));
		for (unsigned i = 0; i < JOBS_MAX; i++)
			TRY(new_job(&rig.jobs[i], i % LOOPS, true));
		for (unsigned i = 0; i < JOBS_MAX; i++)
			CHECK(sl_hs_submit(rig.pool, i % LOOPS, &rig.jobs[i]));
		rig_end(&rig);
		rig_init(); /* what is deferred finds an empty one */
	}
}

TEST(sessions_taken_in_count_before_their_handshakes_come)
{
	int64_t one_us;

	rig_init();
	DEFER(rig_end, &rig);
	TRY(rig_start(0));
	sl_hs_expect(rig.pool, 9 * SL_SEC);
	one_us = sl_hs_wait_us(rig.pool, 9 * SL_SEC);
	CHECK(one_us > 0);
	for (int i = 1; i < 50; i++)
		sl_hs_expect(rig.pool, 9 * SL_SEC + i * 10 * SL_MS);
	CHECK_EQ(sl_hs_wait_us(rig.pool, 9 * SL_SEC + 490 * SL_MS), 50 * one_us);
}

TEST(sessions_whose_handshake_never_comes_are_forgotten_within_a_second)
{
	rig_init();
	DEFER(rig_end, &rig);
	TRY(rig_start(0));
	for (int i = 0; i < 1000; i++)
		sl_hs_expect(rig.pool, 9 * SL_SEC + i * SL_MS);
	CHECK(sl_hs_wait_us(rig.pool, 10 * SL_SEC) > 0);
	CHECK_EQ(sl_hs_wait_us(rig.pool, 11 * SL_SEC), 0);
}

TEST(a_handshake_that_is_done_is_waited_for_no_more)
{
	struct sl_hs *end[2] = {&rig.jobs[0], &rig.jobs[1]};

	rig_init();
	DEFER(rig_end, &rig);
	TRY(rig_start(1));
	TRY(new_job(end[0], 0, true));
	TRY(new_job(end[1], 1, false));
	for (int i = 0; i < 3; i++)
		sl_hs_expect(rig.pool, 9 * SL_SEC);
	for (unsigned turn = 0; !end[0]->keys_taken || !end[1]->keys_taken; turn++) {
		struct sl_hs *hs = end[turn % 2];

		TRY(turn == 20 && sl_test_oom_fired() ? SL_ENOMEM : SL_OK);
		CHECK(turn < 20);
		CHECK(sl_hs_wait_us(rig.pool, 9 * SL_SEC) > 0);
		CHECK(sl_hs_submit(rig.pool, hs->loop, hs));
		CHECK(finished(hs->loop) == hs);
		pass_on(hs, end[!(turn % 2)]);
	}
	CHECK(sl_hs_wait_us(rig.pool, 9 * SL_SEC) > 0); /* of three two are done */
	sl_hs_expect(rig.pool, 9 * SL_SEC + 500 * SL_MS);
	CHECK_EQ(sl_hs_wait_us(rig.pool, 10 * SL_SEC + 100 * SL_MS) > 0, 1);
	CHECK_EQ(sl_hs_wait_us(rig.pool, 10 * SL_SEC + 500 * SL_MS), 0);
}
