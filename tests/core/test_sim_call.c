/* SPDX-License-Identifier: Apache-2.0
 * Calls over links of all kinds: what a publisher sends on one loop, a player on another decodes.
 */
#include "tests/core/call.h"

static void set_links(struct call *c, struct sim_link l)
{
	c->a->up = c->a->down = c->b->up = c->b->down = l;
}

/* The picture goes on: at the end the player's decoder is at the publisher's present, and nothing
 * was altered. */
static void check_goes_on(const struct call *c)
{
	CHECK(c->s->now_us - c->screen->moved_us < 300 * SL_MS);
	CHECK(c->camera->frame - c->screen->at_next < 10);
	CHECK_EQ(c->screen->altered + c->ear->altered, 0);
	CHECK_EQ(c->screen->unknown + c->ear->unknown, 0);
	CHECK_EQ(c->screen->backwards + c->ear->backwards, 0);
	CHECK_EQ(c->a->p->bad_tags + c->b->p->bad_tags, 0);
}

TEST(a_call_without_loss_delivers_every_frame)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 1}, 0);
	call_connect(&c);
	sim_run(c.s, 10 * SL_SEC);
	check_goes_on(&c);
	CHECK_EQ(c.screen->keys, 1);
	CHECK_EQ(c.camera->nacked + c.screen->asked, 0);
	CHECK(c.screen->decoded > 290);
	call_check_continuous(c.screen, 0);
	CHECK_EQ(c.screen->rx.top - c.screen->rx.first + 1, c.screen->packets);
	CHECK_EQ(c.ear->rx.top - c.ear->rx.first + 1, c.ear->packets);
	CHECK(c.screen->has_sr && c.ear->has_sr && c.a->p->reports > 0);
	call_end(&c);
}

/* Everything that was lost is asked for and comes; what cannot be recovered in time is followed by
 * a key frame. */
TEST(a_call_survives_ten_percent_loss_in_every_direction)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 2}, 0);
	set_links(&c, (struct sim_link){.delay_us = 20 * SL_MS, .loss = 10});
	call_connect(&c);
	sim_run(c.s, 60 * SL_SEC);
	check_goes_on(&c);
	CHECK(c.camera->nacked > 100 && c.screen->asked > 100);
	CHECK(c.screen->recovered > 100 && sim_stat(c.s, SL_STAT_rtp_rtx_in) > 100);
	/* Of what the publisher sent since the first picture, hardly a frame is missing. */
	CHECK(c.screen->decoded + 20 > c.camera->frame - c.screen->log[0].number);
	CHECK(c.screen->keys <= 6);
	CHECK_EQ(c.screen->nack.missing > 40, 0);
	call_end(&c);
}

TEST(audio_without_rtx_is_asked_for_again_too)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 3}, 0);
	set_links(&c, (struct sim_link){.delay_us = 20 * SL_MS, .loss = 10});
	call_connect(&c);
	sim_run(c.s, 20 * SL_SEC);
	CHECK(c.mic->nacked > 50 && c.ear->asked > 50);
	CHECK(c.ear->packets + 10 > c.ear->rx.top - c.ear->rx.first + 1);
	call_end(&c);
}

TEST(a_call_survives_an_outage_of_two_seconds)
{
	struct call c;
	uint64_t decoded;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 4}, 0);
	call_connect(&c);
	sim_run(c.s, 3 * SL_SEC);
	c.a->up.down = c.a->down.down = true;
	sim_run(c.s, 2 * SL_SEC);
	decoded = c.screen->decoded;
	c.a->up.down = c.a->down.down = false;
	sim_run(c.s, 2 * SL_SEC);
	check_goes_on(&c);
	CHECK(c.screen->decoded > decoded + 30);
	c.b->up.down = c.b->down.down = true;
	sim_run(c.s, 2 * SL_SEC);
	decoded = c.screen->decoded;
	c.b->up.down = c.b->down.down = false;
	sim_run(c.s, 2 * SL_SEC);
	check_goes_on(&c);
	CHECK(c.screen->decoded > decoded + 30);
	CHECK_EQ(sim_events(c.s, SL_EV_CLOSED, 0), 0);
	call_end(&c);
}

TEST(a_call_survives_jitter_that_keeps_the_order)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 5}, 0);
	set_links(&c, (struct sim_link){.delay_us = 20 * SL_MS, .jitter_us = 80 * SL_MS});
	call_connect(&c);
	sim_run(c.s, 10 * SL_SEC);
	check_goes_on(&c);
	CHECK_EQ(c.camera->nacked + c.screen->asked, 0);
	call_check_continuous(c.screen, 0);
	call_end(&c);
}

/* A quarter of the packets comes after its successors, a tenth comes twice: nothing goes out twice,
 * nothing is asked for. */
TEST(reordering_and_duplication_make_no_duplicates_and_no_spurious_requests)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 6}, 0);
	call_connect(&c);
	c.camera->conf.key_bytes =
		2500; /* three packets at once: fewer newer ones than would mean a loss */
	c.a->up.reorder = 25;
	c.a->up.reorder_us = 5 * SL_MS;
	c.a->up.duplicate = 10;
	sim_run(c.s, 20 * SL_SEC);
	check_goes_on(&c);
	CHECK_EQ(c.camera->nacked + c.mic->nacked, 0);
	CHECK_EQ(c.screen->replayed + c.screen->duplicates, 0);
	CHECK_EQ(c.ear->replayed + c.ear->duplicates, 0);
	CHECK(sim_stat(c.s, SL_STAT_srtp_replayed) > 100);
	CHECK_EQ(c.screen->rx.top - c.screen->rx.first + 1, c.screen->packets);
	call_end(&c);
}

/* NAT gives the publisher, then the player, another address: its next consent check shows it, its
 * media moves the pair. */
static void move_both(struct call *c)
{
	uint64_t decoded;

	call_connect(c);
	sim_run(c->s, 3 * SL_SEC);
	sim_rebind(c->a);
	sim_run(c->s, 8 * SL_SEC);
	check_goes_on(c);
	decoded = c->screen->decoded;
	sim_rebind(c->b);
	sim_run(c->s, 8 * SL_SEC);
	check_goes_on(c);
	CHECK(c->screen->decoded > decoded + 30);
	CHECK(sl_addr_eq(&sl_ice_path(&sim_transport(c->a)->ice)->remote, &c->a->addr));
	CHECK(sl_addr_eq(&sl_ice_path(&sim_transport(c->b)->ice)->remote, &c->b->addr));
	CHECK_EQ(sim_events(c->s, SL_EV_CLOSED, 0), 0);
	/* Long after the verification checks it is still there. */
	sim_run(c->s, 5 * SL_SEC);
	check_goes_on(c);
}

TEST(a_call_survives_a_change_of_address)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 7}, 0);
	move_both(&c);
	call_end(&c);
}

/* Checks, handshake, media and the move: no address of the other family anywhere. */
TEST(a_call_over_ipv6_connects_plays_and_survives_a_change_of_address)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 18, .ipv6 = true}, 0);
	move_both(&c);
	CHECK_EQ(sl_ice_path(&sim_transport(c.a)->ice)->remote.family, 6);
	CHECK_EQ(sl_ice_path(&sim_transport(c.b)->ice)->remote.family, 6);
	CHECK(c.screen->decoded > 500 && c.ear->packets > 900);
	call_end(&c);
}

static struct sim_peer *thief;

/* All that the player says comes from a strange address before it comes from its own. */
static bool steal(struct sim *s, struct sim_peer *sp, bool up, const uint8_t *data, size_t len)
{
	static const struct sl_addr strange = {.ip = {203, 0, 113, 66}, .port = 6666, .family = 4};

	if (up && sp == thief && data[0] >= 128)
		sim_inject(s, sp->loop, &strange, data, len);
	return !(up && sp == thief && data[0] >= 128);
}

/* T02: media of a peer that comes from an address without a check counts for nothing and moves
 * nothing. */
TEST(t02_media_from_an_unchecked_address_moves_nothing)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 8}, 0);
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	thief = c.b;
	c.s->tap = steal;
	sim_run(c.s, 5 * SL_SEC);
	c.s->tap = NULL;
	CHECK_EQ(c.s->stray_bytes, 0);
	CHECK(sl_addr_eq(&sl_ice_path(&sim_transport(c.b)->ice)->remote, &c.b->addr));
	check_goes_on(&c);
	call_end(&c);
}

static bool relay_all(struct sim *s, struct sim_peer *sp, bool up, const uint8_t *data, size_t len)
{
	static const struct sl_addr strange = {.ip = {203, 0, 113, 66}, .port = 6666, .family = 4};

	if (up && sp == thief)
		sim_inject(s, sp->loop, &strange, data, len);
	return !(up && sp == thief);
}

/* Somebody on the way hands everything of the player's on from his own address, checks too, but
 * answers none: media moves to him, and after three seconds away from him again. */
TEST(media_that_moved_to_an_address_that_answers_no_check_moves_back)
{
	struct call c;
	uint64_t bytes;
	uint64_t late;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 17}, 0);
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	thief = c.b;
	c.s->tap = relay_all;
	sim_run(c.s, 10 * SL_SEC);
	CHECK(c.s->stray_bytes > 10000);
	bytes = c.s->stray_bytes;
	sim_run(c.s, 5 * SL_SEC);
	late = c.s->stray_bytes - bytes;
	CHECK(late < 1000); /* answers to his checks */
	c.s->tap = NULL;
	sim_run(c.s, 3 * SL_SEC);
	CHECK(sl_addr_eq(&sl_ice_path(&sim_transport(c.b)->ice)->remote, &c.b->addr));
	check_goes_on(&c);
	call_end(&c);
}

TEST(a_call_survives_an_ice_restart)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 9}, 0);
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	sim_restart_ice(c.a);
	sim_restart_ice(c.b);
	sim_run(c.s, 3 * SL_SEC);
	sim_restart_ice(c.b);
	sim_rebind(c.b);
	sim_run(c.s, 3 * SL_SEC);
	check_goes_on(&c);
	CHECK_EQ(sim_events(c.s, SL_EV_CONNECTED, 0), 2);
	CHECK_EQ(sim_events(c.s, SL_EV_CLOSED, 0), 0);
	call_end(&c);
}

TEST(peers_may_be_dtls_client_or_server_and_the_agent_full_or_lite)
{
	sim_no_oom();
	for (unsigned how = 0; how < 5; how++) { /* the last: a full agent with IPv6 */
		struct sim *s = sim_new(&(struct sim_conf){.seed = 10 + how, .ipv6 = how == 4});
		struct sim_peer *sp = sim_peer(s, how & 1);
		struct peer_source *camera = sim_sends(sp, SL_VP8, 0);

		sp->peer_conf.dtls_client = sp->p->conf.dtls_client = how & 1;
		sp->lite = how & 2;
		sp->up.loss = sp->down.loss = 10;
		sim_open(sp);
		sim_wait_connected(sp, 20 * SL_SEC);
		sim_run(s, SL_SEC);
		CHECK(sim_publisher(camera)->rx.packets > 60);
		CHECK_EQ(sim_events(s, SL_EV_MEDIA, sp->transport), 1);
		peer_close(sp->p);
		sp->up.loss = 0;
		peer_close(sp->p);
		sim_run(s, SL_SEC);
		sim_check_empty(s);
	}
}

TEST(a_late_player_gets_a_key_frame_at_once)
{
	struct call c;
	struct peer_sink *late[2];
	struct sim_peer *sp[2];
	unsigned plis;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 14}, 0);
	call_connect(&c);
	sim_run(c.s, 5 * SL_SEC);
	plis = c.camera->plis;
	for (unsigned i = 0; i < 2; i++)
		sp[i] = call_player(&c, i, 0, &late[i]);
	for (unsigned i = 0; i < 2; i++)
		sim_wait_connected(sp[i], 2 * SL_SEC);
	sim_run(c.s, SL_SEC);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(late[i]->decoded > 10 && late[i]->log[0].key);
		CHECK(late[i]->log[0].first_us < sp[i]->p->connected_us + 600 * SL_MS);
		CHECK_EQ(late[i]->unknown + late[i]->altered, 0);
		call_check_continuous(late[i], 0);
	}
	CHECK(c.camera->plis - plis <= 2);
	check_goes_on(&c);
	call_end(&c);
}

/* The key frame's first packet is lost and comes again behind the rest of it. */
TEST(a_late_player_sees_the_key_frame_whose_first_packet_came_last)
{
	struct call c;
	struct peer_sink *late;
	struct sim_peer *sp;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 15}, 0);
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	c.camera->stopped = true;
	sp = call_player(&c, 0, 0, &late);
	sim_wait_connected(sp, 2 * SL_SEC);
	sim_run(c.s, SL_SEC);
	/* By hand: the camera's next frame, a key frame, loses its first packet. */
	c.a->p->now_us = c.s->now_us;
	c.camera->key_wanted = true;
	c.a->up.reorder = 0;
	{
		struct sim_link l = c.a->up;

		c.a->up.down = true;
		peer_source_frame(c.camera);
		c.a->up = l;
	}
	for (uint64_t seq = c.camera->seq - 9; seq < c.camera->seq; seq++) {
		const struct peer_kept *k =
			&c.camera->kept[(seq < c.camera->seq - 1 ? seq + 1 : c.camera->seq - 9) %
					PEER_KEPT];

		peer_send_rtp(c.a->p, k->data, k->len, k->seq);
	}
	sim_run(c.s, 200 * SL_MS);
	CHECK_EQ(late->decoded, 1);
	CHECK_EQ(late->keys, 1);
	call_end(&c);
}

/* M13: a sender begins just below 2^16 and its first ten packets are lost; then it wraps again and
 * again. */
TEST(m13_a_source_that_wraps_before_its_first_packet_comes_is_heard)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 16, .fixed_keys = true, .impl = SL_SRTP_SOFT}, 0);
	c.camera->conf.first_seq = 65530;
	c.camera->seq = 65530;
	c.a->up.down = c.a->down.down = true;
	sim_wait_connected(c.b, SL_SEC);
	c.a->up.down = c.a->down.down = false;
	sim_wait_connected(c.a, 5 * SL_SEC);
	c.camera->seq += 10;
	sim_run(c.s, 3 * SL_SEC);
	check_goes_on(&c);
	CHECK(c.screen->decoded > 60);
	call_end(&c);
}

static uint64_t trace_of(uint64_t seed)
{
	struct call c = call_new(&(struct sim_conf){.seed = seed}, SIM_TWCC);
	uint64_t trace;

	set_links(&c, (struct sim_link){.delay_us = 20 * SL_MS,
					.jitter_us = 10 * SL_MS,
					.loss = 5,
					.reorder = 5,
					.reorder_us = 20 * SL_MS,
					.duplicate = 5});
	call_connect(&c);
	sim_run(c.s, 3 * SL_SEC);
	call_end(&c);
	trace = c.s->trace;
	return trace;
}

TEST(the_same_seed_gives_the_same_bytes_on_the_wire)
{
	uint64_t first;

	sim_no_oom();
	first = trace_of(99);
	CHECK(trace_of(99) == first);
	CHECK(trace_of(100) != first);
}
