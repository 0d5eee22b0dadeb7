/* SPDX-License-Identifier: Apache-2.0
 * What a player sees when its source changes: another publisher, another codec, another SSRC. */
#include "tests/core/call.h"

TEST(another_publisher_goes_on_in_the_same_numbers)
{
	struct call c;
	struct peer_source *other[2];
	struct sim_peer *p[2];

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 20}, 0);
	for (unsigned i = 0; i < 2; i++)
		p[i] = call_publisher(c.s, i, &other[i]);
	call_connect(&c);
	for (unsigned i = 0; i < 2; i++)
		sim_wait_connected(p[i], 5 * SL_SEC);
	sim_run(c.s, 2 * SL_SEC);
	for (unsigned i = 0; i < 4; i++) {
		sim_route(c.screen, i % 2 ? c.camera : other[i / 2]);
		sim_run(c.s, 2 * SL_SEC);
		CHECK_EQ(c.screen->last_id, (i % 2 ? c.camera : other[i / 2])->conf.id);
		CHECK(c.screen->log[c.screen->log_count - 1].number > 30);
	}
	call_check_continuous(c.screen, 0);
	CHECK_EQ(c.screen->keys, 5);
	CHECK_EQ(c.screen->asked + c.screen->altered + c.screen->backwards + c.screen->plis, 0);
	/* Timestamps went on with the time that passed. */
	{
		const struct peer_frame *a = &c.screen->log[0];
		const struct peer_frame *b = &c.screen->log[c.screen->log_count - 1];
		int64_t off_us = sl_ticks_to_us(sl_seq32_diff(a->ts, b->ts), 90000) -
				 (b->first_us - a->first_us);

		CHECK(off_us > -100 * SL_MS && off_us < 100 * SL_MS);
	}
	call_end(&c);
}

/* Both a wide and a narrow picture id, and none at all, follow one another. */
TEST(picture_ids_go_on_over_a_switch)
{
	struct call c;
	struct peer_source *narrow;
	struct peer_source *none;
	struct sim_peer *p[2];

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 21}, 0);
	p[0] = call_publisher(c.s, 0, &narrow);
	p[1] = call_publisher(c.s, 1, &none);
	narrow->conf.pic_id_bits = 7;
	none->conf.pic_id_bits = 0;
	c.camera->pic_id = 0x7ff0; /* wraps on the way */
	call_connect(&c);
	sim_wait_connected(p[0], 5 * SL_SEC);
	sim_wait_connected(p[1], 5 * SL_SEC);
	sim_run(c.s, 2 * SL_SEC);
	sim_route(c.screen, narrow);
	sim_run(c.s, 6 * SL_SEC); /* 7 bits wrap too */
	sim_route(c.screen, none);
	sim_run(c.s, SL_SEC);
	sim_route(c.screen, c.camera);
	sim_run(c.s, SL_SEC);
	CHECK_EQ(c.screen->keys, 4);
	CHECK_EQ(c.screen->altered + c.screen->plis, 0);
	for (uint32_t i = 1; i < c.screen->log_count; i++) {
		const struct peer_frame *a = &c.screen->log[i - 1];
		const struct peer_frame *b = &c.screen->log[i];
		uint16_t mask =
			a->id == narrow->conf.id || b->id == narrow->conf.id ? 0x7f : 0x7fff;

		CHECK_EQ(b->first_seq, a->first_seq + a->total);
		if (a->has_pic_id && b->has_pic_id)
			CHECK_EQ((uint16_t)(b->pic_id - a->pic_id) & mask, 1);
	}
	call_end(&c);
}

/* Under loss the numbers still go on: what is asked for again after the switch comes with the old
 * offsets. */
TEST(a_switch_under_loss_repeats_old_packets_under_their_old_numbers)
{
	struct call c;
	struct peer_source *other;
	struct sim_peer *p;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 22}, 0);
	p = call_publisher(c.s, 0, &other);
	call_connect(&c);
	sim_wait_connected(p, 5 * SL_SEC);
	c.b->down.loss = c.b->up.loss = 15;
	for (unsigned i = 0; i < 10; i++) {
		sim_run(c.s, SL_SEC);
		sim_route(c.screen, i % 2 ? c.camera : other);
	}
	sim_run(c.s, 2 * SL_SEC);
	CHECK(c.screen->recovered > 100);
	CHECK_EQ(c.screen->altered + c.screen->backwards + c.b->p->bad_tags, 0);
	CHECK(c.s->now_us - c.screen->moved_us < 500 * SL_MS);
	call_end(&c);
}

static void change_codec(struct peer_source *s, enum sl_codec codec, uint8_t pt, uint8_t rtx_pt)
{
	s->conf.codec = codec;
	s->conf.pt = pt;
	s->conf.rtx_pt = rtx_pt;
	s->key_wanted = true;
}

TEST(a_player_goes_on_when_its_publisher_changes_codec)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 23}, 0);
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	change_codec(c.camera, SL_H264, 104, 105);
	sim_run(c.s, 2 * SL_SEC);
	CHECK_EQ(c.screen->last_codec, SL_H264);
	change_codec(c.camera, SL_VP8, 100, 101);
	sim_run(c.s, 2 * SL_SEC);
	CHECK_EQ(c.screen->last_codec, SL_VP8);
	CHECK_EQ(c.screen->keys, 3);
	CHECK_EQ(c.screen->altered + c.screen->unknown + c.screen->plis, 0);
	call_check_continuous(c.screen, 0);
	CHECK_EQ(sim_events(c.s, SL_EV_MEDIA, c.a->transport), 4);
	CHECK_EQ(sim_events(c.s, SL_EV_CODEC_MISMATCH, 0), 0);
	call_end(&c);
}

/* Packets of the old codec are asked for after the change: they come again as they were, and the
 * new one goes on. */
TEST(what_was_lost_before_a_change_of_codec_comes_again_after_it)
{
	struct call c;
	uint64_t waited;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 24}, 0);
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	waited = sim_stat(c.s, SL_STAT_rtp_waiting_keyframe);
	c.b->down.loss = 50;
	sim_run(c.s, 60 * SL_MS);
	change_codec(c.camera, SL_H264, 104, 105);
	sim_run(c.s, 60 * SL_MS);
	c.b->down.loss = 0;
	sim_run(c.s, 2 * SL_SEC);
	CHECK(c.screen->recovered > 0);
	CHECK_EQ(c.screen->altered + c.screen->unknown, 0);
	CHECK_EQ(sim_stat(c.s, SL_STAT_rtp_waiting_keyframe), waited);
	CHECK_EQ(c.screen->plis, 0);
	call_check_continuous(c.screen, 0);
	call_end(&c);
}

TEST(a_player_without_the_codec_is_told_of_once)
{
	struct call c;
	struct peer_sink *screen;
	struct sim_peer *sp;
	const struct sl_core_event *ev;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 25}, 0);
	sp = call_player(&c, 0, SIM_NO_H264, &screen);
	call_connect(&c);
	sim_wait_connected(sp, 5 * SL_SEC);
	sim_run(c.s, 2 * SL_SEC);
	change_codec(c.camera, SL_H264, 104, 105);
	sim_run(c.s, 3 * SL_SEC);
	ev = sim_last_event(c.s, SL_EV_CODEC_MISMATCH, sp->transport);
	CHECK(ev && ev->codec == SL_H264 && ev->track == sp->sink_ids[0] &&
	      ev->publisher == c.a->source_ids[0]);
	CHECK_EQ(sim_events(c.s, SL_EV_CODEC_MISMATCH, 0), 1);
	CHECK_EQ(screen->unknown, 0);
	change_codec(c.camera, SL_VP8, 100, 101);
	sim_run(c.s, 2 * SL_SEC);
	CHECK_EQ(screen->last_codec, SL_VP8);
	CHECK(c.s->now_us - screen->moved_us < 200 * SL_MS);
	CHECK_EQ(screen->altered + screen->backwards, 0);
	call_end(&c);
}

TEST(a_player_without_red_gets_the_opus_within)
{
	struct call c;
	struct peer_sink *plain;
	struct peer_sink *red;
	struct sim_peer *sp[2];

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 26}, 0);
	c.mic->conf.codec = SL_RED_AUDIO;
	c.mic->conf.pt = 63;
	for (unsigned i = 0; i < 2; i++) {
		struct peer_sink **sink = i ? &red : &plain;

		sp[i] = sim_peer(c.s, i);
		*sink = sim_plays(sp[i], SL_AUDIO, i ? 0 : SIM_NO_RED);
		sim_open(sp[i]);
		sim_route(*sink, c.mic);
	}
	call_connect(&c);
	sim_wait_connected(sp[0], 5 * SL_SEC);
	sim_wait_connected(sp[1], 5 * SL_SEC);
	sp[0]->down.loss = sp[1]->down.loss = 10;
	sim_run(c.s, 3 * SL_SEC);
	CHECK_EQ(plain->last_codec, SL_OPUS);
	CHECK_EQ(red->last_codec, SL_RED_AUDIO);
	CHECK(plain->packets > 140 && red->packets > 140 && plain->asked > 0);
	CHECK_EQ(plain->altered + red->altered + plain->unknown + red->unknown, 0);
	CHECK_EQ(sim_events(c.s, SL_EV_CODEC_MISMATCH, 0), 0);
	call_end(&c);
}

static bool blocks_are_opus(const uint8_t *payload, size_t len, uint8_t pt)
{
	struct sl_rd r = sl_rd(payload, len);
	uint8_t first = sl_rd8(&r);

	while (first & 0x80) {
		if ((first & 0x7f) != pt)
			return false;
		sl_rd_skip(&r, 3);
		first = sl_rd8(&r);
	}
	return !r.bad && first == pt;
}

static unsigned red_seen, red_wrong;

static bool watch_red(struct sim *s, struct sim_peer *sp, bool up, const uint8_t *data, size_t len)
{
	struct sl_rtp rtp;

	(void)s;
	(void)sp;
	if (up || data[0] < 128 || sl_is_rtcp(data, len) || sl_rtp_read(data, len, &rtp) < 0 ||
	    rtp.pt != 121)
		return true;
	red_seen++;
	red_wrong += !blocks_are_opus(data + rtp.payload_off, rtp.payload_len, 120);
	return true;
}

/* RFC 2198: a block's payload type is of the player's numbers, as the packet's own is. */
TEST(red_blocks_carry_the_payload_type_that_the_player_knows)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 27, .fixed_keys = true, .impl = SL_SRTP_NULL}, 0);
	c.mic->conf.codec = SL_RED_AUDIO;
	c.mic->conf.pt = 63;
	red_seen = red_wrong = 0;
	c.s->tap = watch_red;
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	CHECK(red_seen > 50);
	CHECK_EQ(red_wrong, 0);
	call_end(&c);
}

/* A track that SDP named no SSRC of is found by its mid, also when it goes on under another SSRC.
 */
TEST(a_source_without_a_signalled_ssrc_is_found_by_its_mid)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 28}, SIM_BY_MID);
	call_connect(&c);
	c.a->up.loss = 5;
	sim_run(c.s, 3 * SL_SEC);
	CHECK(c.screen->decoded > 60 && c.ear->packets > 140);
	for (unsigned i = 0; i < 5; i++) {
		c.camera->conf.ssrc += 16;
		c.camera->conf.rtx_ssrc += 16;
		c.camera->seq = (c.camera->seq + (i & 1 ? 40000 : 65536 - 500)) & 0xffff;
		c.camera->rtx_seq = i * 9;
		c.camera->key_wanted = true;
		memset(c.camera->kept, 0, PEER_KEPT * sizeof(*c.camera->kept));
		sim_run(c.s, 2 * SL_SEC);
		CHECK(c.s->now_us - c.screen->moved_us < 300 * SL_MS);
	}
	CHECK_EQ(c.screen->altered + c.screen->replayed + c.screen->backwards, 0);
	CHECK(c.screen->rx.top - c.screen->rx.first < 4000);
	call_end(&c);
}

TEST(a_sink_that_plays_nothing_gets_nothing)
{
	struct call c;
	uint64_t packets;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 29}, 0);
	call_connect(&c);
	sim_run(c.s, SL_SEC);
	sim_route(c.screen, NULL);
	sim_run(c.s, 100 * SL_MS);
	packets = c.screen->packets;
	sim_run(c.s, SL_SEC);
	CHECK_EQ(c.screen->packets, packets);
	CHECK_EQ(c.s->engines[1].replicas.live, 1);
	sim_route(c.screen, c.camera);
	sim_run(c.s, SL_SEC);
	CHECK(c.screen->packets > packets + 50);
	call_check_continuous(c.screen, 0);
	call_end(&c);
}

TEST(a_publisher_that_leaves_leaves_its_players_without_a_replica)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 30}, 0);
	call_connect(&c);
	sim_run(c.s, SL_SEC);
	sim_close(c.a);
	sim_run(c.s, SL_SEC);
	CHECK_EQ(c.s->engines[0].replicas.live + c.s->engines[1].replicas.live, 0);
	CHECK(!sim_subscriber(c.screen)->replica);
	/* A route to a publisher that is gone plays nothing either. */
	sim_route(c.screen, c.camera);
	sim_run(c.s, SL_SEC);
	CHECK_EQ(c.s->engines[0].replicas.live + c.s->engines[1].replicas.live, 0);
	call_end(&c);
}
