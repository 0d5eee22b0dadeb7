/* SPDX-License-Identifier: Apache-2.0
 * Calls where the only way is TCP, or a relay; and what gathering tells. */
#include "tests/core/call.h"

static void check_goes_on(const struct call *c)
{
	CHECK(c->s->now_us - c->screen->moved_us < 300 * SL_MS);
	CHECK(c->screen->decoded > 100);
	CHECK_EQ(c->screen->altered + c->ear->altered, 0);
	CHECK_EQ(c->a->p->bad_tags + c->b->p->bad_tags, 0);
	call_check_continuous(c->screen, 0);
}

static bool over_tcp(struct sim_peer *sp)
{
	const struct sl_path *path = sl_ice_path(&sim_transport(sp)->ice);

	return path && path->remote.tcp && path->sock & SL_SOCK_STREAM;
}

TEST(a_call_over_tcp_only_delivers_every_frame)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 701, .tcp = true}, 0);
	call_connect(&c);
	CHECK(over_tcp(c.a) && over_tcp(c.b));
	sim_run(c.s, 5 * SL_SEC);
	check_goes_on(&c);
	call_end(&c);
}

TEST(a_full_agent_connects_to_peers_that_wait_for_it)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 702, .tcp = true, .full = true}, 0);
	call_connect(&c);
	CHECK(over_tcp(c.a) && over_tcp(c.b));
	sim_run(c.s, 5 * SL_SEC);
	check_goes_on(&c);
	call_end(&c);
}

/* ---- T07 ---- */

enum { GONE = 50, CHECKS = 10, SECONDS = 5 };

/* All that is sent goes to peers that left before it came. */
TEST(t07_all_sessions_of_a_loop_share_one_budget_of_checks)
{
	struct sim *s;

	sim_no_oom();
	s = sim_new(&(struct sim_conf){
		.seed = 707, .full = true, .loops = 1, .max_checks = CHECKS});
	for (int i = 0; i < GONE; i++) {
		struct sim_peer *sp = sim_peer(s, 0);

		sim_sends(sp, SL_OPUS, 0);
		sp->down.down = sp->up.down = true;
		sim_open(sp);
		sim_leave(sp);
	}
	for (uint64_t i = 1; i <= SECONDS; i++) {
		uint64_t before = s->stray_packets;

		sim_run(s, SL_SEC);
		CHECK(s->stray_packets > before && s->stray_packets - before <= CHECKS);
	}
}

/* ---- gathering ---- */

static void gather(struct sim_peer *sp, enum sl_turn_transport transport, int turns)
{
	static struct sl_gather_conf conf;
	struct sl_cmd cmd = {.type = SL_CMD_GATHER, .object = sp->transport, .gather = &conf};

	conf = (struct sl_gather_conf){.stun = sim_turn_addr(), .turn_count = (size_t)turns};
	for (int i = 0; i < turns; i++)
		conf.turn[i] = (struct sl_turn_server){
			.addr = sim_turn_addr(), .transport = transport, .user = "u"};
	TRY(sim_command(sp->sim, sp->loop, &cmd));
}

static const struct sl_core_cand *told(const struct sim *s, const struct sim_peer *sp,
				       const char *type)
{
	for (unsigned i = 0; i < s->event_count; i++)
		if (s->events[i].ev.type == SL_EV_CANDIDATE &&
		    s->events[i].ev.transport == sp->transport &&
		    strcmp(s->events[i].ev.local.type, type) == 0)
			return &s->events[i].ev.local;
	return NULL;
}

static void tell_relayed(struct sim_peer *sp)
{
	const struct sl_core_cand *relay = told(sp->sim, sp, "relay");
	struct sl_ice_cand cand = {.type = SL_ICE_RELAY, .foundation = "r", .priority = 77};

	CHECK(relay);
	cand.addr = relay->addr;
	TRY(sl_ice_add_remote(&sp->p->ice, &cand, sp->sim->now_us));
	sim_refresh(sp);
}

static void check_stats_of_relay(const struct sim_peer *sp)
{
	const struct sl_core_cand *relay = told(sp->sim, sp, "relay");
	static struct sl_transport_stats st;
	size_t selected = 0;

	memset(&st, 0, sizeof(st));
	sl_transport_stats(sim_transport(sp), &st);
	while (selected < st.pair_count && !st.pairs[selected].selected)
		selected++;
	CHECK(relay && selected < st.pair_count);
	CHECK_STR(st.pairs[selected].local_type, "relay");
	CHECK(sl_addr_eq(&st.pairs[selected].local, &relay->addr));
	CHECK(!st.pairs[selected].tcp);
}

static void relay_only(enum sl_turn_transport transport, uint64_t seed)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = seed, .full = true, .relayed = true, .watch = true},
		     0);
	gather(c.a, transport, 1);
	gather(c.b, transport, 1);
	sim_run(c.s, SL_SEC);
	CHECK_EQ(sim_events(c.s, SL_EV_GATHERED, 0), 2);
	CHECK_EQ(sim_allocs(c.s), 2);
	tell_relayed(c.a);
	tell_relayed(c.b);
	call_connect(&c);
	CHECK(sl_ice_path(&sim_transport(c.a)->ice)->sock & SL_SOCK_RELAY);
	sim_run(c.s, 5 * SL_SEC);
	check_goes_on(&c);
	check_stats_of_relay(c.a);
	CHECK_EQ(c.s->turn.bound, 2);
	CHECK_EQ(sim_events(c.s, SL_EV_SERVER, 0), 0);
	sim_run(c.s, 700 * SL_SEC); /* permissions, channels and allocations are kept */
	check_goes_on(&c);
	CHECK(c.s->turn.refreshed > 0);
	call_end(&c);
}

TEST(a_call_over_a_relay_only_delivers_every_frame)
{
	relay_only(SL_TURN_UDP, 703);
}

TEST(a_call_over_a_relay_that_is_reached_by_tcp_delivers_every_frame)
{
	relay_only(SL_TURN_TCP, 704);
}

TEST(gathering_tells_each_candidate_once_and_then_that_those_were_all)
{
	struct sim *s;
	struct sim_peer *sp;

	sim_no_oom();
	s = sim_new(&(struct sim_conf){.seed = 705, .full = true, .watch = true});
	sp = sim_peer(s, 0);
	sim_sends(sp, SL_VP8, 0);
	sim_open(sp);
	gather(sp, SL_TURN_UDP, 2);
	CHECK_EQ(sim_events(s, SL_EV_GATHERED, 0), 0);
	sim_run(s, SL_SEC);
	CHECK_EQ(sim_events(s, SL_EV_CANDIDATE, sp->transport), 4);
	CHECK_EQ(sim_events(s, SL_EV_GATHERED, sp->transport), 1);
	CHECK_EQ(told(s, sp, "host")->addr.port, sim_server(0).port);
	CHECK_EQ(told(s, sp, "srflx")->addr.port, 7000);
	CHECK_EQ(told(s, sp, "srflx")->base.port, sim_server(0).port);
	CHECK_EQ(told(s, sp, "relay")->addr.port, 50000);
	CHECK(told(s, sp, "relay")->priority < told(s, sp, "srflx")->priority);
	gather(sp, SL_TURN_UDP, 1);
	sim_run(s, SL_SEC);
	CHECK_EQ(sim_allocs(s), 1);
	CHECK_EQ(sim_events(s, SL_EV_GATHERED, sp->transport), 2);
	sim_close(sp);
	sim_run(s, SL_SEC);
	sim_check_empty(s);
}

TEST(servers_that_do_not_answer_are_told_in_words_and_gathering_ends)
{
	struct sim *s;
	struct sim_peer *sp;
	const struct sl_core_event *ev;

	sim_no_oom();
	s = sim_new(&(struct sim_conf){.seed = 706, .full = true, .watch = true});
	s->turn.silent = true;
	sp = sim_peer(s, 0);
	sim_sends(sp, SL_VP8, 0);
	sim_open(sp);
	gather(sp, SL_TURN_TCP, 1);
	sim_run(s, 20 * SL_SEC);
	CHECK_EQ(sim_events(s, SL_EV_SERVER, sp->transport), 2);
	CHECK_EQ(sim_events(s, SL_EV_GATHERED, sp->transport), 1);
	ev = sim_last_event(s, SL_EV_SERVER, sp->transport);
	CHECK(strstr(ev->detail, "203.0.113.9:3478") && strlen(ev->detail) > 30);
	CHECK_EQ(sim_socks(s), 0);
	CHECK_EQ(sim_command(s, 0,
			     &(struct sl_cmd){.type = SL_CMD_GATHER,
					      .object = sp->transport + 1,
					      .gather = &(struct sl_gather_conf){.tcp = true}}),
		 SL_ENOTFOUND);
	sim_close(sp);
	sim_run(s, SL_SEC);
	sim_check_empty(s);
}
