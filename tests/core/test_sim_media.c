/* SPDX-License-Identifier: Apache-2.0
 * What rides beside the media: padding, transport-cc, REMB, reports, lip sync, key-frame requests.
 */
#include "tests/core/call.h"

static uint64_t twcc_count(const struct peer *p, uint16_t from, uint16_t until)
{
	uint64_t n = 0;

	for (uint16_t i = from; i != until; i++)
		n += p->twcc_reported[i / 64] >> i % 64 & 1;
	return n;
}

TEST(padding_ends_here_but_counts_for_transport_cc)
{
	struct call c;
	uint16_t from;
	uint16_t until;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 100}, SIM_TWCC);
	call_connect(&c);
	sim_run(c.s, SL_SEC);
	from = c.a->p->twcc_seq;
	c.a->up.reorder = c.a->up.duplicate = 10;
	c.a->up.reorder_us = 5 * SL_MS;
	c.camera->conf.key_bytes = 2500;
	for (int i = 0; i < 200; i++) {
		peer_source_probe(c.camera);
		sim_run(c.s, 37 * SL_MS);
	}
	until = c.a->p->twcc_seq;
	sim_run(c.s, SL_SEC);
	CHECK_EQ(sim_stat(c.s, SL_STAT_rtp_padding_only), 200);
	CHECK_EQ(twcc_count(c.a->p, from, until), (uint16_t)(until - from));
	CHECK(c.a->p->twcc_feedbacks > 50);
	CHECK_EQ(c.screen->padding + c.screen->altered + c.screen->plis, 0);
	CHECK(c.s->now_us - c.screen->moved_us < 200 * SL_MS);
	call_end(&c);
}

TEST(padding_leaves_no_gap_in_what_players_see)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 101}, 0);
	call_connect(&c);
	for (int i = 0; i < 300; i++) {
		peer_source_probe(c.camera);
		sim_run(c.s, 11 * SL_MS);
	}
	CHECK_EQ(c.screen->asked + c.camera->nacked, 0);
	call_check_continuous(c.screen, 0);
	call_end(&c);
}

TEST(transport_cc_tells_what_was_lost)
{
	struct call c;
	uint64_t sent;
	uint64_t lost;
	uint16_t from;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 102}, SIM_TWCC | SIM_NO_NACK);
	call_connect(&c);
	sim_run(c.s, SL_SEC);
	from = c.a->p->twcc_seq;
	lost = sim_stat(c.s, SL_STAT_rtp_in);
	c.a->up.loss = 20;
	sim_run(c.s, 5 * SL_SEC);
	c.a->up.loss = 0;
	sim_run(c.s, SL_SEC);
	sent = (uint16_t)(c.a->p->twcc_seq - from);
	lost = sent - (sim_stat(c.s, SL_STAT_rtp_in) - lost);
	CHECK(lost > 50 && twcc_count(c.a->p, from, c.a->p->twcc_seq) + lost <= sent + 20);
	CHECK(twcc_count(c.a->p, from, c.a->p->twcc_seq) + lost + 20 >= sent);
	CHECK_EQ(c.camera->nacked, 0);
	CHECK(c.camera->report.lost > 40);
	call_end(&c);
}

TEST(remb_names_the_cap_and_half_of_it_under_loss)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 103, .max_video_bps = 2500000}, SIM_REMB);
	call_connect(&c);
	sim_run(c.s, 3 * SL_SEC);
	CHECK(c.camera->remb_bps > 2490000 && c.camera->remb_bps <= 2500000);
	c.a->up.loss = 30;
	sim_run(c.s, 5 * SL_SEC);
	CHECK(c.camera->remb_bps > 1240000 && c.camera->remb_bps <= 1250000);
	c.a->up.loss = 0;
	sim_run(c.s, 5 * SL_SEC);
	CHECK(c.camera->remb_bps > 2490000);
	CHECK_EQ(c.mic->remb_bps, 0);
	call_end(&c);
}

static void check_lips(const struct call *c)
{
	int64_t apart_us = c->screen->skew_us - c->ear->skew_us;

	CHECK(c->screen->has_sr && c->ear->has_sr);
	CHECK(apart_us > -5 * SL_MS && apart_us < 5 * SL_MS);
}

/* A track's reports at the player name one capture clock for both tracks, whatever the way did to
 * their arrivals. */
TEST(audio_and_video_stay_together_although_arrivals_jitter)
{
	struct call c;
	struct sim_peer *p;
	struct peer_source *camera;
	struct peer_source *mic;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 104}, 0);
	p = sim_peer(c.s, 1);
	camera = sim_sends(p, SL_VP8, 0);
	mic = sim_sends(p, SL_OPUS, 0);
	sim_open(p);
	call_connect(&c);
	sim_wait_connected(p, 5 * SL_SEC);
	c.a->up.jitter_us = p->up.jitter_us = 100 * SL_MS;
	sim_run(c.s, 8 * SL_SEC);
	for (int i = 0; i < 20; i++) {
		sim_run(c.s, SL_SEC);
		check_lips(&c);
	}
	/* Another publisher with a clock of its own: its tracks are together too. */
	sim_route(c.screen, camera);
	sim_route(c.ear, mic);
	sim_run(c.s, 3 * SL_SEC);
	for (int i = 0; i < 10; i++) {
		sim_run(c.s, SL_SEC);
		check_lips(&c);
	}
	call_end(&c);
}

/* ---- key frames (T22) ---- */

static void ask_key(struct peer_sink *k)
{
	uint8_t buf[100];
	struct sl_wr w = sl_wr(buf, sizeof(buf));

	sl_rtcp_write_pli(&w, 1, k->conf.ssrc);
	peer_send_rtcp(k->peer, buf, sl_wr_len(&w));
}

static void check_spacing(const struct peer_source *s)
{
	CHECK(s->plis < PEER_TIMES);
	for (unsigned i = 1; i < s->plis; i++)
		CHECK(s->pli_us[i] - s->pli_us[i - 1] >= 499 * SL_MS);
}

TEST(t22_key_frame_requests_of_many_players_are_merged)
{
	struct call c;
	struct peer_sink *screens[10];

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 105, .fixed_keys = true, .impl = SL_SRTP_NULL}, 0);
	call_connect(&c);
	for (unsigned i = 0; i < SL_COUNT(screens); i++)
		sim_wait_connected(call_player(&c, i & 1, 0, &screens[i]), 5 * SL_SEC);
	for (int i = 0; i < 100; i++) {
		for (unsigned k = 0; k < SL_COUNT(screens); k++)
			ask_key(screens[k]);
		sim_run(c.s, 50 * SL_MS);
	}
	CHECK_EQ(sim_stat(c.s, SL_STAT_pli_received), 1000);
	check_spacing(c.camera);
	CHECK(c.camera->plis >= 8 && c.camera->plis <= 14);
	call_end(&c);
}

/* Ten times, at any distance from the last key frame: a request is always followed by a key frame.
 */
TEST(t22_no_key_frame_request_is_lost)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 106, .fixed_keys = true, .impl = SL_SRTP_NULL}, 0);
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	for (int i = 0; i < 30; i++) {
		uint64_t keys = c.screen->keys;
		int64_t asked_us = c.s->now_us;

		ask_key(c.screen);
		sim_run(c.s, 100 * SL_MS + i * 20 * SL_MS);
		while (c.screen->keys == keys && c.s->now_us < asked_us + 800 * SL_MS)
			sim_run(c.s, 10 * SL_MS);
		CHECK(c.screen->keys > keys);
	}
	check_spacing(c.camera);
	/* The way back to the publisher loses most of them: they are repeated. */
	c.a->down.loss = 80;
	for (int i = 0; i < 5; i++) {
		uint64_t keys = c.screen->keys;

		ask_key(c.screen);
		sim_run(c.s, 15 * SL_SEC);
		CHECK(c.screen->keys > keys);
	}
	check_spacing(c.camera);
	call_end(&c);
}

TEST(t22_a_publisher_that_knows_only_fir_is_asked_by_fir)
{
	struct call c;
	struct peer_sink *late;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 107, .fixed_keys = true, .impl = SL_SRTP_NULL},
		     SIM_FIR);
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	sim_wait_connected(call_player(&c, 0, 0, &late), SL_SEC);
	sim_run(c.s, SL_SEC);
	CHECK(late->keys > 0 && c.camera->plis > 0);
	call_end(&c);
}

/* T30: sequence numbers, timestamps, picture ids and rollover counts wrap on the way in and on the
 * way out. */
TEST(t30_every_number_wraps_and_the_call_goes_on)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 108, .fixed_keys = true, .impl = SL_SRTP_SOFT}, 0);
	c.camera->conf.every_us = 1000;
	c.camera->conf.frame_bytes = 40;
	c.camera->conf.key_bytes = 40;
	c.camera->conf.first_ts = 0xfffff000;
	c.camera->pic_id = 0x7ff0;
	call_connect(&c);
	c.a->up.loss = c.b->down.loss = 2;
	sim_run(c.s, 75 * SL_SEC);
	CHECK(c.camera->seq > 65536);
	CHECK(c.screen->rx.top - c.screen->rx.first > 65536);
	CHECK(c.s->now_us - c.screen->moved_us < 200 * SL_MS);
	CHECK_EQ(c.screen->altered + c.screen->backwards + c.b->p->bad_tags + c.screen->replayed,
		 0);
	CHECK(c.screen->decoded + 1000 > c.camera->frame);
	call_end(&c);
}
