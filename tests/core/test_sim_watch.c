/* SPDX-License-Identifier: Apache-2.0 — what a watched transport tells of itself, and that the
 * others do not. */
#include "tests/core/call.h"

static unsigned told(const struct sim *s, int type, uint64_t transport, int from)
{
	unsigned n = 0;

	for (unsigned i = (unsigned)from; i < s->event_count; i++)
		n += (int)s->events[i].ev.type == type &&
		     (!transport || s->events[i].ev.transport == transport);
	return n;
}

/* The states in the order in which they were told, a digit each. */
static unsigned states(const struct sim *s, int type, uint64_t transport)
{
	unsigned all = 0;

	for (unsigned i = 0; i < s->event_count; i++) {
		const struct sl_core_event *ev = &s->events[i].ev;

		if ((int)ev->type == type && ev->transport == transport)
			all = all * 10 +
			      (type == SL_EV_ICE ? (unsigned)ev->ice : (unsigned)ev->dtls);
	}
	return all;
}

static const struct sl_core_event *last_flow(const struct sim *s, uint64_t track)
{
	const struct sl_core_event *last = NULL;

	for (unsigned i = 0; i < s->event_count; i++)
		if (s->events[i].ev.type == SL_EV_FLOW && s->events[i].ev.track == track)
			last = &s->events[i].ev;
	return last;
}

TEST(a_transport_that_nobody_watches_tells_nothing_of_its_states)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 611}, 0);
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	for (int type = SL_EV_ICE; type <= SL_EV_SERVER; type++)
		CHECK_EQ(told(c.s, type, 0, 0), 0);
	CHECK(!sim_transport(c.a)->watch);
	call_end(&c);
}

TEST(a_watched_transport_tells_its_states_in_order_and_before_its_end)
{
	struct call c;
	uint64_t a;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 612, .watch = true}, 0);
	call_connect(&c);
	a = c.a->transport;
	sim_run(c.s, SL_SEC);
	CHECK_EQ(states(c.s, SL_EV_ICE, a), 12);
	CHECK_EQ(states(c.s, SL_EV_DTLS, a), 12);
	CHECK_EQ(sim_events(c.s, SL_EV_CONNECTED, a), 1);
	call_end(&c);
	CHECK_EQ(states(c.s, SL_EV_DTLS, a), 123);
	CHECK_EQ(c.s->events[c.s->event_count - 1].ev.type, SL_EV_CLOSED);
}

TEST(the_pair_in_use_is_told_with_both_its_candidates_and_again_when_it_changes)
{
	const struct sl_core_event *ev;
	struct sl_addr server = sim_server(0);
	struct sim_peer *sp;
	struct sim *s;

	sim_no_oom();
	s = sim_new(&(struct sim_conf){.seed = 613, .watch = true, .loops = 1});
	sp = sim_peer(s, 0);
	sp->lite = false;
	sim_sends(sp, SL_OPUS, 0);
	sim_open(sp);
	sim_wait_connected(sp, 10 * SL_SEC);
	ev = sim_last_event(s, SL_EV_PAIR, sp->transport);
	CHECK(ev && sl_addr_eq(&ev->local.addr, &server));
	CHECK_STR(ev->local.type, "host");
	CHECK(ev->local.priority > 0 && ev->local.foundation[0]);
	CHECK(sl_addr_eq(&ev->remote.addr, &sp->addr));
	CHECK_STR(ev->remote.type, "host");
	CHECK_STR(ev->remote.foundation, "1");
	CHECK_EQ(ev->remote.priority, 1000);
	sim_rebind(sp);
	sim_run(s, 8 * SL_SEC);
	ev = sim_last_event(s, SL_EV_PAIR, sp->transport);
	CHECK(sl_addr_eq(&ev->remote.addr, &sp->addr));
	CHECK_STR(ev->remote.type, "prflx");
	sim_close(sp);
	sim_run(s, SL_SEC);
	sim_check_empty(s);
}

TEST(candidates_of_the_latest_restart_are_known_by_name_after_many)
{
	struct sl_cmd cmd = {.type = SL_CMD_CANDIDATES, .cand_count = 30};
	const struct sl_core_event *ev;
	struct sim_peer *sp;
	struct sim *s;

	sim_no_oom();
	s = sim_new(&(struct sim_conf){.seed = 617, .watch = true, .loops = 1});
	sp = sim_peer(s, 0);
	sp->lite = false;
	sim_sends(sp, SL_OPUS, 0);
	sim_open(sp);
	sim_wait_connected(sp, 10 * SL_SEC);
	cmd.object = sp->transport;
	for (int round = 0; round < 5; round++) {
		for (uint8_t i = 0; i < 30; i++)
			cmd.cands[i] = (struct sl_core_cand){
				.addr = sl_addr_v4(192, 0, 2, i, (uint16_t)(round + 1)),
				.type = "host",
				.foundation = "old"};
		if (round == 4)
			cmd.cands[7] = (struct sl_core_cand){
				.addr = sp->addr, .type = "srflx", .foundation = "new"};
		TRY(sim_command(s, 0, &cmd));
	}
	sl_watch_pair(sim_transport(sp));
	ev = sim_last_event(s, SL_EV_PAIR, sp->transport);
	CHECK_STR(ev->remote.foundation, "new");
	CHECK_STR(ev->remote.type, "srflx");
	sim_close(sp);
	sim_run(s, SL_SEC);
	sim_check_empty(s);
}

TEST(packets_that_begin_and_cease_to_flow_are_told_of_each_track)
{
	uint64_t camera, screen;
	struct call c;
	int before;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 614, .watch = true}, 0);
	call_connect(&c);
	camera = sim_publisher(c.camera)->id;
	screen = sim_subscriber(c.screen)->id;
	sim_run(c.s, SL_SEC);
	CHECK(last_flow(c.s, camera)->flowing && last_flow(c.s, screen)->flowing);
	before = (int)c.s->event_count;
	sim_run(c.s, 3 * SL_SEC);
	CHECK_EQ(told(c.s, SL_EV_FLOW, 0, before), 0);
	c.camera->stopped = true;
	sim_run(c.s, 3 * SL_SEC);
	CHECK(!last_flow(c.s, camera)->flowing && !last_flow(c.s, screen)->flowing);
	CHECK_EQ(told(c.s, SL_EV_FLOW, 0, before), 2); /* sound goes on */
	c.camera->stopped = false;
	sim_run(c.s, SL_SEC);
	CHECK(last_flow(c.s, camera)->flowing && last_flow(c.s, screen)->flowing);
	call_end(&c);
}

TEST(a_watched_transport_that_nobody_reaches_fails_before_it_closes)
{
	struct sim_peer *sp;
	struct sim *s;

	sim_no_oom();
	s = sim_new(&(struct sim_conf){.seed = 615, .watch = true, .loops = 1});
	sp = sim_peer(s, 0);
	sim_sends(sp, SL_OPUS, 0);
	sp->up.down = sp->down.down = true;
	sim_open(sp);
	sim_run(s, 60 * SL_SEC);
	CHECK_EQ(states(s, SL_EV_ICE, sp->transport), 14);
	CHECK_EQ(states(s, SL_EV_DTLS, sp->transport), 0);
	CHECK_EQ(sim_last_event(s, SL_EV_CLOSED, sp->transport)->cause, SL_CLOSE_NEVER_CONNECTED);
	sim_check_empty(s);
}

TEST(opening_a_watched_transport_without_memory_leaves_nothing)
{
	struct sim *s = sim_new(&(struct sim_conf){.seed = 616, .watch = true, .loops = 1});
	struct sim_peer *sp = sim_peer(s, 0);

	sim_sends(sp, SL_OPUS, 0);
	sim_open(sp);
	sim_close(sp);
	sim_run(s, SL_SEC);
	sim_check_empty(s);
}
