/* SPDX-License-Identifier: Apache-2.0
 * tests/rooms/check.c — what must hold whenever it is quiet, and when everybody has left. */
#include "tests/rooms/world.h"
#include "api/events.h"
#include "core/base/mem.h"
#include "tests/lib/engine_empty.h"

/* Each sends once a second: in this time at least LEAST come. */
enum { WINDOW_S = 4, LEAST = 3, EVENTS_KEPT = 1000 };

/* ================= everybody has everything ================= */

static bool is_in(const struct person *p)
{
	return p->state == IN;
}

/* As the room shows it: the same people, with the same tracks, muted or not. */
static void check_told(const struct person *p)
{
	for (size_t i = 0; i < PEOPLE; i++)
		if (i != p->number && p->here[i] != is_in(&world.people[i]))
			sl_test_failed(__FILE__, __LINE__, "%s was told wrong of p%02zu", p->name,
				       i);
	for (uint32_t i = 1; i <= world.track_count; i++) {
		const struct track *t = &world.tracks[i];

		if (t->owner == p->number)
			continue;
		CHECK_EQ(t->seen[p->number], !t->live ? UNSEEN : t->muted ? SEEN_MUTED : SEEN);
	}
}

static size_t lines_with(const struct person *p, const struct track *t)
{
	size_t n = 0;

	for (size_t i = 0; i < p->line_count; i++)
		n += p->lines[i].slot && p->lines[i].track == t;
	return n;
}

/* Each track of each other once, and nothing else. */
static void check_map(const struct person *p)
{
	size_t wanted = 0, there = 0;

	for (uint32_t i = 1; i <= world.track_count; i++) {
		const struct track *t = &world.tracks[i];

		if (!t->live || t->owner == p->number || !p->subscribes)
			continue;
		wanted++;
		if (lines_with(p, t) != 1)
			sl_test_failed(__FILE__, __LINE__, "%s has track %u of p%02u %zu times",
				       p->name, t->serial, t->owner, lines_with(p, t));
	}
	for (size_t i = 0; i < p->line_count; i++)
		there += p->lines[i].slot && p->lines[i].track;
	CHECK_EQ(there, wanted);
}

static void begin_window(void)
{
	for (size_t i = 0; i < PEOPLE; i++)
		for (size_t k = 0; k < world.people[i].line_count; k++) {
			world.people[i].lines[k].got = 0;
			world.people[i].lines[k].in_window = false;
		}
	world.window = true;
}

/* What came on each slot, in order and without a gap, is what is said to be on it (media.c has
 * looked); so all that is left to see is that it came. */
static void check_media(const struct person *p)
{
	for (size_t i = 0; i < p->line_count; i++) {
		const struct line *l = &p->lines[i];
		bool flows = l->slot && l->track && !l->track->muted && !l->paused;

		if (l->slot && (flows ? l->got < LEAST : l->got > 0))
			sl_test_failed(__FILE__, __LINE__,
				       "%s got %u packets on mid %zu, which %s (%s, owner p%02u)",
				       p->name, l->got, i, flows ? "flows" : "does not flow",
				       l->track ? l->track->id : "nobody",
				       l->track ? l->track->owner : 0);
	}
}

void check_everybody_has_everything(void)
{
	begin_window();
	world_run(WINDOW_S * SL_SEC);
	world.window = false;
	for (size_t i = 0; i < PEOPLE; i++) {
		const struct person *p = &world.people[i];

		if (!is_in(p))
			continue;
		CHECK(person_session(p));
		check_told(p);
		check_map(p);
		check_media(p);
	}
	world.checks++;
}

/* ================= nothing is left ================= */

static void check_engine(const struct sl_engine *e)
{
	engine_check_empty(e);
	CHECK_EQ(e->late_count, 0);
	CHECK_EQ(e->seal_count, 0);
	CHECK_EQ(e->stats.n[SL_STAT_late_dropped], 0);
}

static uint64_t slabs_of(const struct sl_engine *e)
{
	return e->transports.nslabs + e->publishers.nslabs + e->subscribers.nslabs +
	       e->replicas.nslabs + e->handshakes.nslabs + e->sources.nslabs;
}

/* The history of events is bounded: it counts only once it is full. */
static void fill_history(void)
{
	struct api_room *r = NULL;

	TRY(api_room_new(world.api, "history", &r));
	for (int i = 0; i < EVENTS_KEPT; i++)
		api_event_room(world.api, r, "changed");
	api_room_end(world.api, r, "");
}

uint64_t check_memory(void)
{
	uint64_t n;

	fill_history();
	n = sl_mem_stat().live - world.api->sessions.nslabs;
	for (unsigned i = 0; i < LOOPS; i++)
		n -= slabs_of(loops_engine(i));
	return n;
}

void check_nothing_is_left(uint64_t live_before)
{
	const struct sl_api *api = world.api;

	for (size_t i = 0; i < PEOPLE; i++)
		CHECK_EQ(world.people[i].state, OUT);
	CHECK_EQ(sockets_live(), 0);
	CHECK_EQ(sl_api_sessions(api), 0);
	CHECK_EQ(api->ids.count, 0);
	CHECK_EQ(api->rooms.count, 0);
	CHECK_EQ(api->room_count, 0);
	CHECK_EQ(api->op_count, 0);
	CHECK_EQ(api->conn_count, 0);
	CHECK(!api->dirty && sl_list_empty(&api->ops) && sl_list_empty(&api->closing));
	CHECK(sl_list_empty(&api->empty_rooms) && sl_list_empty(&api->joins_stirred) &&
	      sl_list_empty(&api->joins_lost));
	CHECK(!uv_is_active((const uv_handle_t *)&api->tick));
	CHECK_EQ(loops_outstanding(), 0);
	for (unsigned i = 0; i < LOOPS; i++)
		check_engine(loops_engine(i));
	CHECK_EQ(check_memory(), live_before);
}
