/* SPDX-License-Identifier: Apache-2.0
 * tests/rooms/test_rooms.c — a hundred people join, publish, leave and come back in random order
 * for an hour; and a full room in which all cameras are on. SL_ROOMS_SEED gives another seed,
 * SL_ROOMS_SAY tells what a run did.
 * Every track has its packet a second, the whole hour. So that the hour takes seconds, at most
 * TRACKS_MAX are published at a time, and somebody does something only every GAP_MS on the average:
 * half of the time goes into packets, half into telling everybody what has changed. */
#include "tests/rooms/world.h"
#include "core/base/mem.h"
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
enum { HOUR_S = 180 };
#else
enum { HOUR_S = 3600 };
#endif
enum {
	OOM_RUNS = 200,
	LINGER_S = 60,
	GAP_MS = 8000,
	QUIET_EVERY_S = 60,
	TOURS_EVERY_S = 600,
	TRACKS_MAX = 30,
	OWN_TRACKS_MAX = 2
};

/* These are lives of many allocations; out of memory, tests/api and tests/core see to single
 * steps. */
static void no_oom(void)
{
	for (int i = 0; i < OOM_RUNS; i++) {
		void *p = sl_zalloc(1);

		TRY(p ? SL_OK : SL_ENOMEM);
		sl_free(p);
	}
}

static void join_all(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		person_come(&world.people[i], "");
}

static void all_leave(void)
{
	for (size_t i = 0; i < PEOPLE; i++)
		if (world.people[i].state == IN)
			person_leave(&world.people[i]);
	world_run(LINGER_S * SL_SEC);
}

static void say(void)
{
	if (!getenv("SL_ROOMS_SAY"))
		return;
	fprintf(stderr,
		"seed %llu: %llu steps, %llu datagrams, %llu packets heard, %llu messages, %llu "
		"offers, %llu tracks, %llu quiet moments, trace %016llx\n",
		(unsigned long long)world.seed, (unsigned long long)world.steps,
		(unsigned long long)world.datagrams, (unsigned long long)world.packets,
		(unsigned long long)world.messages, (unsigned long long)world.offers,
		(unsigned long long)world.track_count, (unsigned long long)world.checks,
		(unsigned long long)world.trace);
}

/* ---- what people do ---- */

static unsigned did[32];

static unsigned live_tracks(void)
{
	unsigned n = 0;

	for (uint32_t i = 1; i <= world.track_count; i++)
		n += world.tracks[i].live;
	return n;
}

static bool do_leave(struct person *p)
{
	person_leave(p);
	return true;
}

static bool do_vanish(struct person *p)
{
	person_vanish(p);
	return true;
}

static bool do_lose_socket(struct person *p)
{
	if (p->up_pending)
		return false;
	person_lose_socket(p, roll(10000) * SL_MS);
	return true;
}

static bool do_reload(struct person *p)
{
	person_reload(p);
	return true;
}

static bool do_restart(struct person *p)
{
	person_say(p, "{\"type\":\"restart\"}");
	return true;
}

static bool do_publish(struct person *p)
{
	static const char *const what[] = {"a", "v", "av", "av", "s"};

	if (!p->publishes || person_publishing(p) >= OWN_TRACKS_MAX || live_tracks() >= TRACKS_MAX)
		return false;
	person_publish(p, what[roll(SL_COUNT(what))]);
	return true;
}

static bool do_unpublish(struct person *p)
{
	struct line *l = person_own(p, roll(8));

	if (l)
		person_unpublish(p, l);
	return l != NULL;
}

static bool do_mute(struct person *p)
{
	struct line *l = person_own(p, roll(8));

	if (l)
		person_mute(p, l, !l->track->muted);
	return l != NULL;
}

static bool do_pause(struct person *p)
{
	for (size_t i = 0, at = roll(LINES); i < p->line_count; i++) {
		struct line *l = &p->lines[(at + i) % p->line_count];

		if (!l->slot || !l->track || l->packets == 0)
			continue;
		person_pause(p, l, !l->paused);
		return true;
	}
	return false;
}

static bool do_kick(struct person *p)
{
	char path[64];

	CHECK(sl_fmt(path, sizeof(path), "/v1/rooms/hall/participants/%s", p->name));
	CHECK_EQ(rest("DELETE", path, "", NULL, 0), 204);
	if (p->state == IN)
		person_kicked(p);
	return true;
}

/* By an operator: nobody but one lets it go on. A track that is not there yet cannot be muted. */
static bool do_mute_by_rest(struct person *p)
{
	struct line *l = person_own(p, roll(8));
	struct track *t = l ? l->track : NULL;
	char path[64];
	int status;

	if (!t || p->up_pending)
		return false;
	CHECK(sl_fmt(path, sizeof(path), "/v1/tracks/%s", t->id));
	status = rest("PATCH", path, t->muted ? "{\"muted\":false}" : "{\"muted\":true}", NULL, 0);
	if (status == 404)
		return false;
	CHECK_EQ(status, 200);
	t->muted = t->held = !t->muted;
	return true;
}

static const struct {
	bool (*fn)(struct person *p);
	unsigned weight;
} deeds[] = {
	{do_leave, 12},	 {do_vanish, 3},   {do_lose_socket, 8},	 {do_reload, 3},
	{do_restart, 4}, {do_publish, 34}, {do_unpublish, 14},	 {do_mute, 8},
	{do_pause, 6},	 {do_kick, 3},	   {do_mute_by_rest, 5},
};

static void something(struct person *p)
{
	unsigned sum = 0, at, i = 0;

	for (size_t k = 0; k < SL_COUNT(deeds); k++)
		sum += deeds[k].weight;
	at = roll(sum);
	while (at >= deeds[i].weight)
		at -= deeds[i++].weight;
	if (deeds[i].fn(p))
		did[i]++;
}

static void somebody(void)
{
	struct person *p = &world.people[roll(PEOPLE)];

	if (p->state == OUT)
		person_come(p, "");
	else if (p->state == IN)
		something(p);
}

/* A guided tour goes, another comes, each at once. */
static void tour(void)
{
	unsigned from = roll(PEOPLE / 2);

	for (unsigned i = from; i < from + PEOPLE / 4; i++)
		if (world.people[i].state == IN)
			person_leave(&world.people[i]);
	world_run(roll(1000) * SL_MS);
	for (unsigned i = from; i < from + PEOPLE / 2; i++)
		if (world.people[i].state == OUT)
			person_come(&world.people[i], "");
}

static void live_for(int64_t seconds)
{
	int64_t begun_us = world.now_us, quiet_us = begun_us, tour_us = begun_us;

	memset(did, 0, sizeof(did));
	join_all(0, PEOPLE / 2);
	while (world.now_us < begun_us + seconds * SL_SEC) {
		world_run((1 + roll(2 * GAP_MS)) * SL_MS);
		somebody();
		if (world.now_us >= tour_us + TOURS_EVERY_S * SL_SEC) {
			tour();
			tour_us = world.now_us;
		}
		if (world.now_us < quiet_us + QUIET_EVERY_S * SL_SEC)
			continue;
		world_quiet();
		check_everybody_has_everything();
		quiet_us = world.now_us;
	}
	world_quiet();
	check_everybody_has_everything();
}

static void hour(uint64_t seed, int64_t seconds)
{
	uint64_t live;

	world_begin(seed, NULL);
	live = check_memory();
	live_for(seconds);
	all_leave();
	check_nothing_is_left(live);
	CHECK(world.checks > 0 && world.packets > 0);
	say();
	world.done = true;
}

/* ---- tests ---- */

TEST(three_people_meet)
{
	uint64_t live;

	no_oom();
	world_begin(world_seed(1), NULL);
	live = check_memory();
	join_all(0, 3);
	world_quiet();
	check_everybody_has_everything();
	person_publish(&world.people[0], "av");
	person_publish(&world.people[1], "a");
	world_quiet();
	check_everybody_has_everything();
	CHECK_EQ(live_tracks(), 3);
	all_leave();
	check_nothing_is_left(live);
	world.done = true;
}

TEST(a_hundred_people_come_and_go_for_an_hour_and_nothing_is_left)
{
	no_oom();
	hour(world_seed(1), HOUR_S);
	/* Each of the things that can be done was done. */
	for (size_t i = 0; HOUR_S == 3600 && i < SL_COUNT(deeds); i++)
		CHECK(did[i] > 0);
	CHECK(HOUR_S < 3600 || world.closes[JOIN_CLOSE_LEFT] > 0);
	CHECK(HOUR_S < 3600 || world.closes[JOIN_CLOSE_ENDED] > 0);
	/* Nobody was put off: no loop and no queue was ever full. */
	CHECK_EQ(world.closes[JOIN_CLOSE_RETRY], 0);
	CHECK_EQ(world.errors_busy, 0);
}

TEST(the_same_seed_is_the_same_run)
{
	uint64_t trace;

	no_oom();
	hour(world_seed(2), 90);
	trace = world.trace;
	world_end(NULL);
	hour(world_seed(2), 90);
	CHECK_EQ(world.trace, trace);
	world_end(NULL);
	hour(world_seed(3), 90);
	CHECK(world.trace != trace);
}

/* rooms.max_video_bps by a hundred is less than any camera gets. */
enum { LEAST_BPS = 150000, SPEAKERS = 3 };

static void check_crowd(void)
{
	for (size_t i = 0; i < PEOPLE; i++) {
		const struct person *p = &world.people[i];

		CHECK_EQ(p->state, IN);
		CHECK(!p->speaker[0] || strcmp(p->speaker, world.people[SPEAKERS].name) < 0);
		CHECK(p->speaker[0]);
		if (p->publishes)
			CHECK_EQ(p->remb_bps, LEAST_BPS);
	}
	for (unsigned i = 0; i < LOOPS; i++)
		CHECK(sl_core_transports(world.core, i) >= PEOPLE / LOOPS - PEOPLE / 10);
}

TEST(a_hundred_people_with_all_cameras_on_and_three_of_them_speak)
{
	uint64_t live;

	no_oom();
	world_begin(world_seed(4), NULL);
	live = check_memory();
	for (size_t i = 0; i < SPEAKERS; i++)
		world.people[i].loud = true;
	join_all(0, PEOPLE / 2);
	world_quiet();
	join_all(PEOPLE / 2, PEOPLE);
	world_quiet();
	check_everybody_has_everything();
	for (size_t i = 0; i < PEOPLE; i++)
		if (world.people[i].publishes)
			person_publish(&world.people[i], "av");
	world_quiet();
	check_everybody_has_everything();
	CHECK_EQ(live_tracks(), 2 * PEOPLE * 9 / 10);
	check_crowd();
	all_leave();
	check_nothing_is_left(live);
	say();
	world.done = true;
}

TEST(fifty_join_at_once_where_fifty_publish)
{
	uint64_t live;

	no_oom();
	world_begin(world_seed(5), NULL);
	live = check_memory();
	join_all(0, PEOPLE / 2);
	world_quiet();
	for (size_t i = 0; i < PEOPLE / 2; i++)
		if (world.people[i].publishes)
			person_publish(&world.people[i], "av");
	world_quiet();
	join_all(PEOPLE / 2, PEOPLE);
	world_quiet();
	check_everybody_has_everything();
	for (size_t i = 0; i < PEOPLE; i++)
		CHECK_EQ(world.people[i].state, IN);
	all_leave();
	check_nothing_is_left(live);
	say();
	world.done = true;
}
