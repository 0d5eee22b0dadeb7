/* SPDX-License-Identifier: Apache-2.0
 * From the first allocation to the last event: how sessions begin, end, and what is left of them.
 */
#include "tests/core/call.h"

/* ---- ends ---- */

TEST(a_close_notify_of_the_peer_ends_its_session_at_once)
{
	struct call c;
	const struct sl_core_event *ev;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 60}, 0);
	call_connect(&c);
	sim_run(c.s, SL_SEC);
	peer_close(c.a->p);
	sim_run(c.s, 50 * SL_MS);
	ev = sim_last_event(c.s, SL_EV_CLOSED, c.a->transport);
	CHECK(ev && ev->cause == SL_CLOSE_BY_PEER && ev->tag == c.a->conf->tag);
	CHECK(!c.a->p->far_end_closed);
	CHECK_EQ(sim_stat(c.s, SL_STAT_dtls_closed_by_peer), 1);
	call_end(&c);
}

TEST(a_session_that_the_server_ends_sends_a_close_notify)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 61}, 0);
	call_connect(&c);
	sim_run(c.s, SL_SEC);
	sim_close(c.a);
	sl_engine_close_all(&c.s->engines[1], c.s->now_us);
	sim_run(c.s, 50 * SL_MS);
	CHECK(c.a->p->far_end_closed && c.b->p->far_end_closed);
	CHECK_EQ(sim_last_event(c.s, SL_EV_CLOSED, c.a->transport)->cause, SL_CLOSE_REQUESTED);
	CHECK_EQ(sim_last_event(c.s, SL_EV_CLOSED, c.b->transport)->cause, SL_CLOSE_SHUTDOWN);
	sim_check_empty(c.s);
}

static bool keep_close(struct sim *s, struct sim_peer *sp, bool up, const uint8_t *data, size_t len)
{
	struct sim_peer *other = s->tap_arg;

	/* The goodbye of one is sent by the other, and its own never comes. */
	if (up && data[0] == 21 && sp != other)
		sim_inject(s, other->loop, &other->addr, data, len);
	return !(up && data[0] == 21);
}

TEST(a_close_notify_that_is_not_authentic_ends_nothing)
{
	static const uint8_t plain[] = {21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0};
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 62}, 0);
	call_connect(&c);
	sim_run(c.s, SL_SEC);
	sim_inject(c.s, 0, &c.a->addr, plain, sizeof(plain));
	c.s->tap = keep_close;
	c.s->tap_arg = c.b;
	peer_close(c.a->p);
	c.a->p->connected = true;
	sim_run(c.s, SL_SEC);
	CHECK_EQ(sim_events(c.s, SL_EV_CLOSED, 0), 0);
	c.s->tap = NULL;
	call_end(&c);
}

TEST(a_peer_that_vanishes_is_cleaned_up_after_the_ice_timeout)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 63}, 0);
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	sim_leave(c.a);
	sim_leave(c.b);
	sim_run(c.s, 7 * SL_SEC);
	CHECK_EQ(sim_events(c.s, SL_EV_DISCONNECTED, 0), 2);
	CHECK_EQ(sim_events(c.s, SL_EV_CLOSED, 0), 0);
	sim_run(c.s, 10 * SL_SEC);
	CHECK_EQ(sim_events(c.s, SL_EV_CLOSED, 0), 2);
	CHECK_EQ(sim_last_event(c.s, SL_EV_CLOSED, 0)->cause, SL_CLOSE_TIMEOUT);
	sim_check_empty(c.s);
}

TEST(a_peer_that_comes_back_in_time_is_told_of)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 64}, 0);
	call_connect(&c);
	sim_run(c.s, SL_SEC);
	c.a->up.down = true;
	sim_run(c.s, 9 * SL_SEC);
	c.a->up.down = false;
	sim_run(c.s, 2 * SL_SEC);
	CHECK_EQ(sim_events(c.s, SL_EV_DISCONNECTED, c.a->transport), 1);
	CHECK_EQ(sim_events(c.s, SL_EV_RECONNECTED, c.a->transport), 1);
	CHECK(c.s->now_us - c.screen->moved_us < 300 * SL_MS);
	call_end(&c);
}

TEST(a_hello_that_came_before_the_answer_needs_no_other_check_to_be_heard)
{
	struct sim *s;
	struct sim_peer *sp;

	sim_no_oom();
	s = sim_new(&(struct sim_conf){.seed = 76});
	sp = sim_peer(s, 0);
	sp->peer_conf.dtls_client = true;
	sim_sends(sp, SL_VP8, 0);
	sp->conf->offering = true;
	sim_open(sp);
	sim_run(s, 200 * SL_MS); /* its checks are answered, its hellos are not */
	CHECK(!sim_connected(sp));
	sim_answer(sp);
	sim_run(s, SL_SEC);
	CHECK(sim_connected(sp));
	peer_close(sp->p);
	sim_run(s, SL_SEC);
	sim_check_empty(s);
}

TEST(a_peer_that_never_comes_is_given_up)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 65}, 0);
	c.a->up.down = c.b->up.down = true;
	sim_run(c.s, 40 * SL_SEC);
	CHECK_EQ(sim_events(c.s, SL_EV_CLOSED, 0), 2);
	CHECK_EQ(sim_last_event(c.s, SL_EV_CLOSED, 0)->cause, SL_CLOSE_NEVER_CONNECTED);
	sim_check_empty(c.s);
}

TEST(t05_a_peer_with_another_certificate_gets_no_keys)
{
	sim_no_oom();
	for (unsigned client = 0; client < 2; client++) {
		struct sim *s = sim_new(&(struct sim_conf){.seed = 66 + client});
		struct sim_peer *sp = sim_peer(s, 0);
		const struct sl_core_event *ev;

		sp->peer_conf.dtls_client = client;
		sim_sends(sp, SL_VP8, 0);
		sp->p->conf.dtls_client = client;
		sp->other_fingerprint = true;
		sim_open(sp);
		sim_run(s, 10 * SL_SEC);
		ev = sim_last_event(s, SL_EV_CLOSED, sp->transport);
		CHECK(ev && ev->cause == SL_CLOSE_DTLS && ev->detail[0]);
		CHECK_EQ(sim_events(s, SL_EV_CONNECTED, 0) + sim_events(s, SL_EV_MEDIA, 0), 0);
		CHECK(sim_stat(s, SL_STAT_dtls_bad_fingerprint) == 1);
		sim_check_empty(s);
	}
}

/* The control thread is slow: the last event waits for room, and its transport with it. */
TEST(an_end_that_finds_no_room_is_told_later)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 68}, 0);
	call_connect(&c);
	sim_run(c.s, SL_SEC);
	c.s->no_events = true;
	peer_close(c.a->p);
	sim_close(c.b);
	sim_run(c.s, SL_SEC);
	CHECK_EQ(c.s->engines[0].transports.live + c.s->engines[1].transports.live, 2);
	CHECK_EQ(c.s->engines[0].publishers.live + c.s->engines[1].subscribers.live, 0);
	c.s->no_events = false;
	sim_run(c.s, 20 * SL_MS);
	CHECK_EQ(sim_events(c.s, SL_EV_CLOSED, 0), 2);
	sim_check_empty(c.s);
}

TEST(a_full_table_refuses_and_takes_again_when_one_has_left)
{
	struct sim *s;
	struct sim_peer *sp[4];

	sim_no_oom();
	s = sim_new(&(struct sim_conf){.seed = 69, .loops = 1, .max_transports = 3});
	for (unsigned i = 0; i < 4; i++) {
		sp[i] = sim_peer(s, 0);
		sim_sends(sp[i], SL_VP8, 0);
		sim_plays(sp[i], SL_VIDEO, 0);
	}
	for (unsigned i = 0; i < 3; i++)
		sim_open(sp[i]);
	CHECK_EQ(sim_try_open(sp[3]), SL_EFULL);
	CHECK_EQ(s->engines[0].publishers.live, 3);
	sim_close(sp[0]);
	sim_run(s, 10 * SL_MS);
	sim_open(sp[3]);
	sim_wait_connected(sp[3], 5 * SL_SEC);
	sl_engine_close_all(&s->engines[0], s->now_us);
	sim_run(s, 10 * SL_MS);
	sim_check_empty(s);
}

/* ---- memory ---- */

/* Whatever allocation of an open fails, nothing is left of it. */
TEST(an_open_that_fails_leaves_nothing_half_created)
{
	struct sim *s = sim_new(&(struct sim_conf){.seed = 70, .loops = 1, .max_transports = 8});
	struct sim_peer *sp = sim_peer(s, 0);
	int err;

	sim_sends(sp, SL_VP8, SIM_TWCC);
	sim_sends(sp, SL_OPUS, 0);
	sim_plays(sp, SL_VIDEO, 0);
	sim_plays(sp, SL_AUDIO, 0);
	err = sim_try_open(sp);
	if (err) {
		CHECK(sl_test_oom_fired() && (err == SL_ENOMEM || err == SL_EFULL));
		sim_check_empty(s);
		sl_test_oom_stop();
	}
	CHECK_EQ(s->engines[0].publishers.live, 2);
	CHECK_EQ(s->engines[0].subscribers.live, 2);
	sim_close(sp);
	sim_run(s, 10 * SL_MS);
	sim_check_empty(s);
}

/* The same of routes and renegotiation, and of a publisher's first packets. */
TEST(a_route_that_fails_leaves_nothing_half_created)
{
	struct sim *s = sim_new(&(struct sim_conf){.seed = 71,
						   .loops = 2,
						   .max_transports = 8,
						   .fixed_keys = true,
						   .impl = SL_SRTP_NULL});
	struct sim_peer *a = sim_peer(s, 0);
	struct sim_peer *b = sim_peer(s, 1);
	struct peer_source *camera = sim_sends(a, SL_VP8, 0);
	struct peer_sink *screen = sim_plays(b, SL_VIDEO, 0);

	sim_open(a);
	sim_open(b);
	sim_route(screen, camera);
	sim_run(s, SL_SEC);
	CHECK(screen->decoded > 10);
	sim_close(a);
	sim_close(b);
	sim_run(s, 10 * SL_MS);
	sim_check_empty(s);
}

TEST(a_handshake_that_finds_no_memory_harms_nobody_else)
{
	struct sim *s = sim_new(&(struct sim_conf){.seed = 72, .loops = 1, .max_transports = 8});
	struct sim_peer *sp = sim_peer(s, 0);

	sim_sends(sp, SL_OPUS, 0);
	sim_open(sp);
	sim_wait_connected(sp, 5 * SL_SEC);
	sim_close(sp);
	sim_run(s, 10 * SL_MS);
	sim_check_empty(s);
}

/* M7: packets are all in rings; they are given up for new ones instead of keeping everybody out. */
TEST(m7_a_loop_without_free_packets_takes_them_from_its_rings)
{
	struct call c;
	struct peer_source *other;
	struct peer_sink *screen;
	struct sim_peer *p[2];

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 73, .loops = 1, .max_packets = 100}, 0);
	p[0] = call_publisher(c.s, 0, &other);
	p[1] = sim_peer(c.s, 0);
	screen = sim_plays(p[1], SL_VIDEO, 0);
	sim_open(p[1]);
	sim_route(screen, other);
	call_connect(&c);
	sim_wait_connected(p[0], SL_SEC);
	sim_wait_connected(p[1], SL_SEC);
	sim_run(c.s, 5 * SL_SEC);
	CHECK(c.s->now_us - c.screen->moved_us < 200 * SL_MS);
	CHECK(c.s->now_us - screen->moved_us < 200 * SL_MS);
	CHECK_EQ(c.screen->asked + screen->asked + c.camera->nacked, 0);
	CHECK_EQ(sim_stat(c.s, SL_STAT_demux_no_memory), 0);
	call_end(&c);
}

/* ---- between loops ---- */

TEST(a_loop_that_falls_behind_costs_packets_and_one_key_frame_request)
{
	struct call c;
	unsigned plis;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 74}, 0);
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	plis = c.camera->plis;
	c.s->relays_stuck = true;
	sim_run(c.s, 6 * SL_SEC);
	CHECK(sim_stat(c.s, SL_STAT_relay_dropped) > 50);
	c.s->relays_stuck = false;
	sim_run(c.s, 3 * SL_SEC);
	CHECK(c.s->now_us - c.screen->moved_us < 200 * SL_MS);
	CHECK_EQ(c.screen->altered, 0);
	CHECK(c.camera->plis > plis && c.camera->plis - plis <= 8);
	call_end(&c);
}

/* Routes come and go, and the publisher ends, while the messages about it find no room. */
TEST(routes_that_change_while_the_ring_is_full_leave_nothing_behind)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 75}, 0);
	call_connect(&c);
	sim_run(c.s, SL_SEC);
	c.s->relays_stuck = true;
	sim_run(c.s, 5 * SL_SEC);
	for (int i = 0; i < 400; i++) {
		sim_route(c.screen, i & 1 ? c.camera : NULL);
		sim_run(c.s, 2 * SL_MS);
	}
	sim_route(c.ear, NULL);
	c.s->relays_stuck = false;
	sim_run(c.s, SL_SEC);
	CHECK(c.s->now_us - c.screen->moved_us < 200 * SL_MS);
	c.s->relays_stuck = true;
	sim_run(c.s, 8 * SL_SEC);
	for (int i = 0; i < 300; i++)
		sim_route(c.screen, i & 1 ? c.camera : NULL);
	sim_route(c.screen, NULL);
	sim_close(c.a);
	c.s->relays_stuck = false;
	sim_run(c.s, SL_SEC);
	CHECK_EQ(c.s->engines[0].replicas.live + c.s->engines[1].replicas.live, 0);
	call_end(&c);
}

/* ---- everything at once ---- */

struct churn {
	struct sim *s;
	struct sim_peer *sp[12];
	struct peer_source *source[12];
	struct peer_sink *sink[12];
};

static uint32_t dice(struct churn *c, uint32_t n)
{
	return sl_rng_u32(&c->s->link_rng) % n;
}

static void join(struct churn *c, uint32_t i)
{
	struct sim_peer *sp = sim_peer(c->s, dice(c, 3));

	c->sp[i] = sp;
	sp->peer_conf.dtls_client = dice(c, 2);
	sp->lite = dice(c, 4);
	c->source[i] =
		sim_sends(sp, dice(c, 2) ? SL_VP8 : SL_H264, dice(c, 2) ? SIM_TWCC : SIM_BY_MID);
	c->sink[i] = sim_plays(sp, SL_VIDEO, dice(c, 2) ? 0 : SIM_NO_RTX);
	sp->up.loss = sp->down.loss = dice(c, 3) * 5;
	sp->up.reorder = sp->down.reorder = dice(c, 3) * 5;
	sp->up.duplicate = sp->down.duplicate = dice(c, 3) * 5;
	sim_open(sp);
}

static void leave(struct churn *c, uint32_t i)
{
	struct sim_peer *sp = c->sp[i];

	if (dice(c, 3) == 0)
		peer_close(sp->p);
	if (dice(c, 3) == 0 && sim_transport(sp) && sim_transport(sp)->phase != SL_T_DEAD)
		sim_close(sp);
	sim_leave(sp);
	c->sp[i] = NULL;
}

static void churn_step(struct churn *c)
{
	uint32_t i = dice(c, 12);
	uint32_t k = dice(c, 12);

	if (!c->sp[i])
		join(c, i);
	else if (dice(c, 5) == 0)
		leave(c, i);
	else if (dice(c, 8) == 0)
		sim_rebind(c->sp[i]);
	else if (!sim_transport(c->sp[i]) || sim_transport(c->sp[i])->phase == SL_T_DEAD)
		leave(c, i);
	else if (dice(c, 10) == 0)
		sim_restart_ice(c->sp[i]);
	else
		sim_route(c->sink[i], c->sp[k] && dice(c, 6) ? c->source[k] : NULL);
}

TEST(peers_that_come_and_go_at_random_leave_nothing_behind)
{
	sim_no_oom();
	for (unsigned seed = 0; seed < 4; seed++) {
		struct churn c = {.s = sim_new(&(struct sim_conf){.seed = 80 + seed,
								  .loops = 3,
								  .fixed_keys = seed < 3,
								  .impl = SL_SRTP_SOFT,
								  .ice_timeout_us = 5 * SL_SEC})};

		for (int i = 0; i < 300; i++) {
			churn_step(&c);
			sim_run(c.s, dice(&c, 100) * SL_MS);
		}
		CHECK(sim_stat(c.s, SL_STAT_rtp_forwarded) > 500);
		for (uint32_t i = 0; i < 12; i++)
			if (c.sp[i]) {
				CHECK_EQ(c.sink[i]->altered + c.sp[i]->p->bad_tags, 0);
				leave(&c, i);
			}
		sim_run(c.s, 20 * SL_SEC);
		sim_check_empty(c.s);
	}
}
