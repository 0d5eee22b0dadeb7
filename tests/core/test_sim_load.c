/* SPDX-License-Identifier: Apache-2.0
 * tests/core/test_sim_load.c — a loop that cannot keep up: video goes, audio stays, and all of it
 * comes back by itself. */
#include "tests/core/call.h"

/* Datagrams wait that long before the player's loop reads them. */
static void burden(struct sim *s, int64_t for_us, int64_t wait_us)
{
	for (int64_t until_us = s->now_us + for_us; s->now_us < until_us;) {
		sl_engine_waited(&s->engines[1], wait_us, s->now_us);
		sim_run(s, 10 * SL_MS);
	}
}

TEST(a_loop_that_cannot_keep_up_gives_up_video_and_never_audio)
{
	struct call c;
	uint32_t frames;
	uint64_t heard;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 900}, 0);
	call_connect(&c);
	sim_run(c.s, SL_SEC);
	burden(c.s, 1100 * SL_MS, 300 * SL_MS);
	CHECK(c.s->engines[1].load.busy);
	CHECK_EQ(c.s->engines[1].load.shed, SL_LOAD_PARTS);
	CHECK_EQ(c.s->engines[0].load.shed, 0);
	frames = c.screen->frame_count;
	heard = c.ear->packets;
	burden(c.s, 5 * SL_SEC, 300 * SL_MS);
	CHECK_EQ(c.screen->frame_count, frames);
	CHECK(c.ear->packets >= heard + 240);
	CHECK(sim_stat(c.s, SL_STAT_video_shed) > 100);
	sim_run(c.s, 10 * SL_SEC); /* until nobody looks at the load any more */
	CHECK(!c.s->engines[1].load.busy);
	call_end(&c);
}

TEST(video_that_was_withheld_comes_back_with_a_key_frame_and_no_gap)
{
	struct call c;
	uint32_t frames;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 901}, 0);
	call_connect(&c);
	burden(c.s, 2 * SL_SEC, 300 * SL_MS);
	frames = c.screen->frame_count;
	sim_run(c.s, 12 * SL_SEC);
	CHECK(!c.s->engines[1].load.busy);
	CHECK_EQ(c.s->engines[1].load.shed, 0);
	CHECK(c.screen->frame_count > frames + 50);
	CHECK_EQ(c.screen->asked, 0);
	call_check_continuous(c.screen, 0);
	call_end(&c);
}

TEST(each_step_of_giving_up_and_taking_back_is_told)
{
	struct call c;
	const struct sl_core_event *last;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 902}, 0);
	call_connect(&c);
	burden(c.s, 450 * SL_MS, 300 * SL_MS);
	last = sim_last_event(c.s, SL_EV_LOAD, 0);
	CHECK(last && last->busy);
	CHECK_EQ(last->loop, 1);
	CHECK(last->shed >= 2 && last->shed <= 4);
	sim_run(c.s, 10 * SL_SEC);
	last = sim_last_event(c.s, SL_EV_LOAD, 0);
	CHECK(last && !last->busy);
	CHECK_EQ(last->shed, 0);
	call_end(&c);
}

TEST(a_ring_that_fills_drops_video_before_audio)
{
	struct call c;
	uint64_t missed;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 903}, 0);
	call_connect(&c);
	sim_run(c.s, SL_SEC);
	missed = c.mic->packets - c.ear->packets;
	c.s->relays_stuck = true;
	while (sim_stat(c.s, SL_STAT_relay_dropped) == 0)
		sim_run(c.s, 10 * SL_MS);
	sim_run(c.s, SL_SEC);
	c.s->relays_stuck = false;
	sim_run(c.s, SL_SEC);
	CHECK(sim_stat(c.s, SL_STAT_relay_dropped) > 10);
	CHECK_EQ(c.mic->packets - c.ear->packets, missed);
	call_end(&c);
}
