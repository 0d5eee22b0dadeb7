/* SPDX-License-Identifier: Apache-2.0
 * tests/core/test_timer.c — the timing wheel beside a model that looks at every timer at every
 * step. */
#include "core/core_int.h"
#include "tests/test.h"

enum { TIMERS = 120, FIRED_MAX = 64 };

/* What the wheel promises of one timer: it runs in the tick `want`, no earlier than due_us. */
struct modelled {
	struct sl_timer timer;
	int64_t due_us; /* SL_NEVER: the model says it is not armed */
	uint64_t want;
};

static struct model {
	struct sl_wheel wheel;
	struct modelled at[TIMERS];
	struct sl_rng rng;
	struct sl_test_rng state;
	int64_t now_us;
	uint64_t next_tick; /* first tick that has not run */
	uint64_t last_want; /* of the one that fired last in this advance */
	uint64_t fired;
	bool busy; /* callbacks arm and cancel, too */
} m;

static uint64_t draw(uint64_t below)
{
	return sl_rng_u64(&m.rng) % below;
}

/* From nothing to more than the wheel's four levels hold, each magnitude as likely. */
static int64_t draw_delay_us(void)
{
	return (int64_t)draw(UINT64_C(1) << draw(36));
}

static void model_arm(struct modelled *t, int64_t due_us)
{
	if (t->due_us == due_us)
		return;
	t->due_us = due_us;
	if (due_us != SL_NEVER)
		t->want = SL_MAX((uint64_t)((SL_MAX(due_us, 0) + 999) / 1000), m.next_tick);
}

static void arm(struct modelled *t, int64_t due_us)
{
	model_arm(t, due_us);
	sl_timer_arm(&m.wheel, &t->timer, due_us);
}

static void arm_by(struct modelled *t, int64_t due_us)
{
	if (due_us < t->due_us)
		model_arm(t, due_us);
	sl_timer_arm_by(&m.wheel, &t->timer, due_us);
}

static void one_change(void)
{
	struct modelled *t = &m.at[draw(TIMERS)];

	switch (draw(4)) {
	case 0:
		arm(t, SL_NEVER);
		break;
	case 1:
		arm_by(t, m.now_us + draw_delay_us());
		break;
	default:
		arm(t, m.now_us + draw_delay_us() - (int64_t)draw(5000));
	}
}

static void on_fire(struct sl_timer *timer, int64_t now_us)
{
	struct modelled *t = SL_CONTAINER(timer, struct modelled, timer);

	CHECK(t->due_us != SL_NEVER); /* neither cancelled nor fired before */
	CHECK(now_us >= t->due_us);
	CHECK(t->want >= m.last_want); /* in order of tick */
	CHECK(timer->due_us == SL_NEVER);
	m.last_want = t->want;
	m.next_tick = SL_MAX(m.next_tick, t->want + 1);
	m.fired++;
	t->due_us = SL_NEVER;
	if (m.busy && draw(2))
		one_change();
}

static void advance(int64_t by_us)
{
	uint64_t tick;

	m.now_us += by_us;
	m.last_want = 0;
	tick = (uint64_t)(m.now_us / SL_MS);
	sl_wheel_advance(&m.wheel, m.now_us);
	m.next_tick = tick + 1;
	for (int i = 0; i < TIMERS; i++)
		CHECK(m.at[i].due_us == SL_NEVER ||
		      m.at[i].want > tick); /* at most one tick late */
}

static void check_next(void)
{
	int64_t next_us = sl_wheel_next_us(&m.wheel);
	int64_t earliest = SL_NEVER;
	uint32_t armed = 0;

	for (int i = 0; i < TIMERS; i++) {
		CHECK_EQ(m.at[i].timer.due_us, m.at[i].due_us);
		if (m.at[i].due_us == SL_NEVER)
			continue;
		armed++;
		earliest = SL_MIN(earliest, (int64_t)m.at[i].want * SL_MS);
	}
	CHECK_EQ(m.wheel.armed, armed);
	CHECK(next_us <= earliest);
	CHECK(armed > 0 || next_us == SL_NEVER);
	CHECK(next_us > m.now_us); /* a loop that sleeps until then never spins */
}

static void start(uint64_t seed, int64_t now_us)
{
	memset(&m, 0, sizeof(m));
	m.rng = sl_test_rng(&m.state, seed);
	m.now_us = now_us;
	sl_wheel_init(&m.wheel, now_us);
	m.next_tick = (uint64_t)(now_us / SL_MS);
	for (int i = 0; i < TIMERS; i++) {
		sl_timer_init(&m.at[i].timer, on_fire);
		m.at[i].due_us = SL_NEVER;
	}
	advance(0);
}

TEST(wheel_is_never_early_and_at_most_a_tick_late_whatever_is_armed_and_cancelled)
{
	for (uint64_t seed = 0; seed < 6; seed++) {
		start(seed, (int64_t)(seed * UINT64_C(77777777777)));
		m.busy = seed % 2;
		for (int step = 0; step < 4000; step++) {
			for (uint64_t n = draw(4); n > 0; n--)
				one_change();
			check_next();
			advance((int64_t)draw(UINT64_C(1) << draw(step % 100 == 0 ? 33 : 24)));
			check_next();
		}
		CHECK(m.fired > 1000);
	}
}

/* How a media loop uses it: sleep until next_us, advance, again. Hours pass in a few hops. */
TEST(wheel_wakes_a_sleeper_in_time_over_hours)
{
	int64_t end_us = 20 * 3600 * SL_SEC;
	unsigned wakes = 0;

	start(99, 1);
	for (int i = 0; i < TIMERS; i++)
		arm(&m.at[i], (int64_t)draw((uint64_t)end_us));
	while (m.wheel.armed > 0) {
		int64_t next_us = sl_wheel_next_us(&m.wheel);

		check_next();
		CHECK(next_us <= end_us + SL_MS);
		advance(next_us - m.now_us);
		wakes++;
	}
	CHECK_EQ(m.fired, TIMERS);
	CHECK(wakes <= TIMERS * 5); /* one for itself and one for each level it comes down */
}

TEST(wheel_names_the_nearer_of_two_when_the_farther_is_a_whole_turn_ahead)
{
	start(1, 63 * SL_MS);
	arm(&m.at[0], m.now_us + 4095 * SL_MS);
	arm(&m.at[1], m.now_us + 100 * SL_MS);
	check_next();
	advance(100 * SL_MS);
	CHECK_EQ(m.fired, 1);
	check_next();
}

TEST(timer_armed_for_the_past_runs_in_the_next_tick)
{
	start(2, 5000 * SL_SEC);
	arm(&m.at[0], -5);
	arm(&m.at[1], m.now_us - SL_SEC);
	advance(SL_MS);
	CHECK_EQ(m.fired, 2);
}

static struct modelled *again;

static void fire_again(struct sl_timer *timer, int64_t now_us)
{
	m.fired++;
	CHECK(timer == &again->timer);
	sl_timer_arm(&m.wheel, timer, now_us);
}

TEST(timer_that_arms_itself_at_once_does_not_hold_up_the_loop)
{
	start(3, 0);
	again = &m.at[0];
	sl_timer_init(&again->timer, fire_again);
	sl_timer_arm(&m.wheel, &again->timer, 10 * SL_MS);
	sl_wheel_advance(&m.wheel, 10 * SL_MS);
	CHECK_EQ(m.fired, 1);
	sl_wheel_advance(&m.wheel, 11 * SL_MS);
	CHECK_EQ(m.fired, 2);
}

static void cancel_next(struct sl_timer *timer, int64_t now_us)
{
	struct modelled *t = SL_CONTAINER(timer, struct modelled, timer);

	(void)now_us;
	m.fired++;
	sl_timer_arm(&m.wheel, &t[1].timer, SL_NEVER);
}

TEST(timer_cancelled_by_one_of_the_same_tick_does_not_run)
{
	start(4, 0);
	sl_timer_init(&m.at[0].timer, cancel_next);
	sl_timer_arm(&m.wheel, &m.at[0].timer, 5 * SL_MS);
	sl_timer_arm(&m.wheel, &m.at[1].timer, 5 * SL_MS);
	sl_wheel_advance(&m.wheel, SL_SEC);
	CHECK_EQ(m.fired, 1);
	CHECK_EQ(m.wheel.armed, 0);
	CHECK_EQ(sl_wheel_next_us(&m.wheel), SL_NEVER);
}
