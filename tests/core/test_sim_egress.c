/* SPDX-License-Identifier: Apache-2.0
 * What leaves together: runs of datagrams, and the padding that makes them equal. The virtual
 * network checks of every run what the system would, and every player that its bytes are what was
 * sent. */
#include "tests/core/call.h"

enum { UNEVEN = 5 };

static struct call uneven_call(const struct sim_conf *conf, unsigned flags)
{
	struct call c = call_new(conf, flags);

	c.camera->conf.uneven = UNEVEN;
	call_connect(&c);
	return c;
}

TEST(frames_leave_as_runs_that_padding_makes_equal_and_no_decoder_sees)
{
	struct call c;

	sim_no_oom();
	c = uneven_call(&(struct sim_conf){.seed = 500}, SIM_TWCC);
	sim_run(c.s, 3 * SL_SEC);
	CHECK(c.s->runs > 50);
	CHECK(c.screen->padded > 50);
	CHECK(c.screen->pad_most == UNEVEN);
	CHECK_EQ(c.screen->altered + c.screen->asked, 0);
	call_check_continuous(c.screen, 0);
	/* RFC 3550 section 6.4.1: the octets of a sender report are payload. */
	CHECK(sim_subscriber(c.screen)->tx.packets > 100);
	sim_run(c.s, 15 * SL_MS);
	c.camera->stopped = true;
	sim_run(c.s, SL_SEC);
	CHECK_EQ(sim_subscriber(c.screen)->tx.bytes, c.screen->payload_bytes);
	call_end(&c);
}

TEST(runs_need_no_padding_where_packets_are_equal)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 501}, SIM_TWCC);
	call_connect(&c);
	sim_run(c.s, 3 * SL_SEC);
	CHECK(c.s->runs > 50);
	CHECK_EQ(c.screen->padded, 0);
	call_check_continuous(c.screen, 0);
	call_end(&c);
}

TEST(padding_is_not_for_peers_whose_congestion_control_would_not_count_it)
{
	struct call c;

	sim_no_oom();
	c = uneven_call(&(struct sim_conf){.seed = 502}, SIM_NO_SEND_TIME);
	sim_run(c.s, 3 * SL_SEC);
	CHECK_EQ(c.screen->padded + c.screen->altered, 0);
	call_check_continuous(c.screen, 0);
	call_end(&c);
}

TEST(padding_is_in_nothing_that_is_sent_again_by_rtx)
{
	struct call c;

	sim_no_oom();
	c = uneven_call(&(struct sim_conf){.seed = 503}, SIM_TWCC);
	c.b->down.loss = 15;
	sim_run(c.s, 5 * SL_SEC);
	CHECK(c.screen->padded > 50 && c.screen->recovered > 50);
	CHECK_EQ(c.screen->padded_rtx + c.screen->altered, 0);
	call_end(&c);
}

/* The virtual network compares what goes out under one index, each time. */
TEST(t11_padding_is_in_nothing_that_may_go_again_under_its_index)
{
	struct call c;

	sim_no_oom();
	c = uneven_call(&(struct sim_conf){.seed = 504}, SIM_TWCC | SIM_NO_RTX);
	c.b->down.loss = 15;
	sim_run(c.s, 5 * SL_SEC);
	CHECK(sim_stat(c.s, SL_STAT_rtp_rtx_out) > 50);
	CHECK_EQ(c.screen->padded + c.screen->altered, 0);
	call_end(&c);
}

TEST(padding_of_the_publisher_ends_here)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 505, .no_gso = true}, SIM_TWCC);
	c.camera->conf.pad = 40;
	call_connect(&c);
	c.b->down.loss = 5;
	sim_run(c.s, 3 * SL_SEC);
	CHECK(c.screen->packets > 100 && c.screen->recovered > 0);
	CHECK_EQ(c.screen->padded + c.screen->padded_rtx + c.screen->altered, 0);
	call_end(&c);
}

TEST(padding_of_the_publisher_gives_way_to_ours)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 506}, SIM_TWCC);
	c.camera->conf.pad = 40;
	c.camera->conf.uneven = 3;
	call_connect(&c);
	sim_run(c.s, 3 * SL_SEC);
	CHECK(c.screen->padded > 50);
	CHECK_EQ(c.screen->pad_most, 3);
	CHECK_EQ(c.screen->altered, 0);
	call_check_continuous(c.screen, 0);
	call_end(&c);
}

TEST(runs_that_are_refused_go_singly_for_a_minute)
{
	struct call c;
	uint64_t runs;

	sim_no_oom();
	c = uneven_call(&(struct sim_conf){.seed = 507}, SIM_TWCC);
	c.s->refuse_runs = true;
	sim_run(c.s, 55 * SL_SEC);
	runs = c.s->runs;
	CHECK(runs > 0 && runs <= 2); /* to the player, and reports to the camera */
	sim_run(c.s, 10 * SL_SEC);
	CHECK(c.s->runs > runs && c.s->runs <= runs + 2); /* tried once more */
	c.s->refuse_runs = false;
	runs = c.s->runs;
	sim_run(c.s, 120 * SL_SEC);
	CHECK(c.s->runs > runs + 500);
	CHECK_EQ(c.screen->altered + c.screen->asked, 0);
	call_check_continuous(c.screen, 0);
	call_end(&c);
}

TEST(runs_are_not_made_where_the_system_takes_none)
{
	struct call c;

	sim_no_oom();
	c = uneven_call(&(struct sim_conf){.seed = 508, .no_gso = true}, SIM_TWCC);
	sim_run(c.s, 3 * SL_SEC);
	CHECK_EQ(c.s->runs + c.screen->padded, 0);
	call_check_continuous(c.screen, 0);
	call_end(&c);
}

/* A frame of nine packets for forty players is 360 datagrams, three batches of egress: still one
 * run for each player, but for those at the ends of a batch. */
TEST(frames_for_many_players_are_one_run_for_each)
{
	enum { PLAYERS = 40 };
	struct peer_sink *screens[PLAYERS];
	struct call c;
	uint64_t runs;
	uint32_t frames;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 509, .loops = 1}, SIM_TWCC);
	c.camera->conf.frame_bytes = 9000;
	c.camera->conf.uneven = UNEVEN;
	for (int i = 0; i < PLAYERS; i++)
		call_player(&c, 0, SIM_TWCC, &screens[i]);
	call_connect(&c);
	sim_run(c.s, 3 * SL_SEC);
	runs = c.s->runs;
	frames = c.camera->frame;
	sim_run(c.s, 3 * SL_SEC);
	runs = c.s->runs - runs;
	frames = c.camera->frame - frames;
	CHECK(frames > 50);
	CHECK(runs >= (uint64_t)frames * (PLAYERS + 1) &&
	      runs <= (uint64_t)frames * (PLAYERS + 1 + 3));
	for (int i = 0; i < PLAYERS; i++) {
		CHECK(screens[i]->padded > 100);
		CHECK_EQ(screens[i]->altered + screens[i]->asked, 0);
		call_check_continuous(screens[i], 0);
	}
	call_end(&c);
}

/* The links take 20 ms each way, and a loop is woken within half a millisecond. */
static void lone_packets_do_not_wait(unsigned loops)
{
	struct call c = call_new(&(struct sim_conf){.seed = 510, .loops = loops}, SIM_TWCC);
	const struct peer_sink *ear = c.ear;
	uint32_t n;

	call_connect(&c);
	c.camera->stopped = true;
	sim_run(c.s, 3 * SL_SEC);
	n = SL_MIN(ear->frame_count, (uint32_t)PEER_FRAMES);
	CHECK(n > 50);
	for (uint32_t i = 1; i <= n; i++) {
		const struct peer_frame *f = &ear->frames[(ear->frame_count - i) % PEER_FRAMES];
		int64_t took_us = f->first_us - (f->capture_us - c.a->p->conf.clock_us);

		CHECK(took_us >= 40 * SL_MS && took_us <= 41 * SL_MS);
	}
	call_end(&c);
}

TEST(lone_packets_leave_in_the_wake_up_that_brought_them)
{
	sim_no_oom();
	lone_packets_do_not_wait(1);
}

TEST(lone_packets_leave_at_once_by_way_of_another_loop_too)
{
	sim_no_oom();
	lone_packets_do_not_wait(2);
}

TEST(all_that_goes_to_a_peer_is_marked_as_its_session_says)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 531, .dscp = 46}, 0);
	call_connect(&c);
	c.b->down.loss = 10;
	sim_run(c.s, 2 * SL_SEC);
	CHECK(c.screen->packets > 50 && c.screen->recovered > 0);
	CHECK_EQ(c.a->unmarked + c.b->unmarked, 0);
	call_end(&c);
}

/* The longest RTP that was padded: the P bit is in the clear. */
static bool note_padded(struct sim *s, struct sim_peer *sp, bool up, const uint8_t *data,
			size_t len)
{
	size_t *longest = s->tap_arg;

	(void)sp;
	if (!up && len > 12 && data[0] >> 5 == 5 && !sl_is_rtcp(data, len))
		*longest = SL_MAX(*longest, len);
	return true;
}

TEST(where_there_is_an_mtu_nothing_is_padded_beyond_it)
{
	struct call c;
	size_t longest = 0;

	sim_no_oom();
	c = uneven_call(&(struct sim_conf){.seed = 532, .mtu = 1200}, SIM_TWCC);
	sim_run(c.s, 3 * SL_SEC);
	CHECK(c.screen->padded > 50);
	c.s->tap = note_padded;
	c.s->tap_arg = &longest;
	sim_run(c.s, SL_SEC);
	CHECK(longest > 0 && longest <= 1200);
	sim_transport(c.b)->mtu = (uint16_t)(longest - 1);
	longest = 0;
	sim_run(c.s, 3 * SL_SEC);
	CHECK(longest < sim_transport(c.b)->mtu + 1u);
	CHECK_EQ(c.screen->altered, 0);
	call_end(&c);
}

TEST(what_rtx_would_make_longer_than_the_mtu_goes_again_as_it_was)
{
	struct call c;
	size_t longest;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 533, .mtu = 1200}, 0);
	c.camera->conf.frame_bytes = 3000; /* packets of 1000, all of them */
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	longest = c.b->longest;
	CHECK(longest > 1000 && longest < 1100);
	sim_transport(c.b)->mtu = (uint16_t)(longest + 1);
	c.b->down.loss = 10;
	sim_run(c.s, 4 * SL_SEC);
	CHECK(sim_subscriber(c.screen)->again_packets > 20);
	CHECK_EQ(c.screen->recovered, 0);
	CHECK_EQ(c.b->longest, longest);
	CHECK_EQ(c.screen->altered, 0);
	c.b->down.loss = 0;
	sim_run(c.s, SL_SEC);
	/* A publisher's packets that are longer still are nobody's to cut. */
	sim_transport(c.b)->mtu = 900;
	longest = c.screen->packets;
	sim_run(c.s, SL_SEC);
	CHECK(c.screen->packets > longest + 50);
	call_end(&c);
}
