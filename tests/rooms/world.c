/* SPDX-License-Identifier: Apache-2.0
 * tests/rooms/world.c — the virtual clock, what happens when, and the end. */
#include "tests/rooms/world.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { QUIET_MAX_S = 120, SETTLE_S = 5, TURN_US = 20000, STUCK = 1000 };
#define START_US (INT64_C(1000) * SL_SEC)
#define WALL_S INT64_C(1800000000)

struct world world;

/* The system's clocks, for everything in the program and its libraries. libuv takes the coarse one
 * where it is fine enough, and so says api/ what time it is. libwebsockets takes the other; it
 * waits for its next microsecond as long as it takes, so there every look at the clock is one. */
int clock_getres(clockid_t id, struct timespec *out)
{
	if (id != CLOCK_MONOTONIC_COARSE)
		return (int)syscall(SYS_clock_getres, id, out);
	*out = (struct timespec){.tv_nsec = 1000};
	return 0;
}

int clock_gettime(clockid_t id, struct timespec *out)
{
	int64_t us = world.now_us;

	if (!world.running)
		return (int)syscall(SYS_clock_gettime, id, out);
	if (id == CLOCK_MONOTONIC)
		us += ++world.looks;
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		us += WALL_S * SL_SEC;
	out->tv_sec = us / SL_SEC;
	out->tv_nsec = us % SL_SEC * 1000;
	return 0;
}

uint32_t roll(uint32_t n)
{
	return sl_rng_u32(&world.dice) % n;
}

uint64_t world_seed(uint64_t usual)
{
	const char *s = getenv("SL_ROOMS_SEED");

	return s ? strtoull(s, NULL, 10) : usual;
}

void world_trace(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = world.trace ^ (uint64_t)world.now_us;

	for (; len >= 8; p += 8, len -= 8)
		h = (h ^ sl_get64(p)) * UINT64_C(1099511628211);
	for (; len > 0; p++, len--)
		h = (h ^ *p) * UINT64_C(1099511628211);
	world.trace = h ^ h >> 29;
}

/* ---- the agenda: all but datagrams ---- */

struct entry {
	int64_t at_us;
	uint64_t serial;
	enum item kind;
	void (*fn)(void *arg);
	void *arg;
};

static struct {
	struct entry *at; /* a heap */
	size_t count, cap;
	uint64_t serial;
} agenda;

static bool before(const struct entry *a, const struct entry *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->serial < b->serial;
}

static void swap(struct entry *a, struct entry *b)
{
	struct entry t = *a;

	*a = *b;
	*b = t;
}

void world_later(enum item kind, int64_t at_us, void (*fn)(void *arg), void *arg)
{
	size_t i = agenda.count++;

	if (i == agenda.cap) {
		agenda.cap = agenda.cap ? 2 * agenda.cap : 256;
		agenda.at = realloc(agenda.at, agenda.cap * sizeof(*agenda.at));
		SL_ASSERT(agenda.at);
	}
	agenda.at[i] = (struct entry){.at_us = SL_MAX(at_us, world.now_us),
				      .serial = agenda.serial++,
				      .kind = kind,
				      .fn = fn,
				      .arg = arg};
	world.pending[kind]++;
	for (; i > 0 && before(&agenda.at[i], &agenda.at[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&agenda.at[i], &agenda.at[(i - 1) / 2]);
}

static struct entry take_first(void)
{
	struct entry first = agenda.at[0];
	size_t i = 0;

	agenda.at[0] = agenda.at[--agenda.count];
	for (;;) {
		size_t least = i;

		for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < agenda.count; k++)
			if (before(&agenda.at[k], &agenda.at[least]))
				least = k;
		if (least == i)
			return first;
		swap(&agenda.at[i], &agenda.at[least]);
		i = least;
	}
}

static void run_agenda(void)
{
	while (agenda.count > 0 && agenda.at[0].at_us <= world.now_us) {
		struct entry e = take_first();

		e.fn(e.arg);
		world.pending[e.kind]--;
	}
}

/* ---- what happens next ---- */

static int64_t uv_next_us(void)
{
	int ms = uv_backend_timeout(&world.uv);

	return ms < 0 ? SL_NEVER : (int64_t)(uv_now(&world.uv) + (uint64_t)ms) * SL_MS;
}

static int64_t next_us(void)
{
	int64_t at_us = SL_MIN(wire_next_us(), loops_next_us());

	if (agenda.count > 0)
		at_us = SL_MIN(at_us, agenda.at[0].at_us);
	for (size_t i = 0; i < PEOPLE; i++)
		at_us = SL_MIN(at_us, world.ice_due_us[i]);
	if (!world.media_stopped)
		at_us = SL_MIN(at_us, world.media_us);
	return SL_MAX(SL_MIN(at_us, uv_next_us()), world.now_us);
}

/* A fiftieth of the people every 20 ms: each once a second. */
static void send_media(void)
{
	if (world.media_us > world.now_us)
		return;
	for (size_t i = (size_t)(world.media_us / TURN_US % 50); i < PEOPLE; i += 50)
		media_send(&world.people[i]);
	world.media_us += TURN_US;
}

bool world_step(int64_t end_us)
{
	static int64_t stuck_us;
	static unsigned stuck;
	int64_t at_us = next_us();

	if (at_us > end_us)
		return false;
	stuck = at_us == stuck_us ? stuck + 1 : 0;
	stuck_us = at_us;
	CHECK(stuck < STUCK);
	world.now_us = at_us;
	world.steps++;
	uv_update_time(&world.uv);
	wire_deliver();
	run_agenda();
	loops_turn();
	for (size_t i = 0; i < PEOPLE; i++)
		if (world.ice_due_us[i] <= at_us)
			media_tick(&world.people[i]);
	if (!world.media_stopped)
		send_media();
	if (uv_next_us() <= at_us)
		uv_run(&world.uv, UV_RUN_NOWAIT);
	return true;
}

void world_run(int64_t for_us)
{
	int64_t end_us = world.now_us + for_us;

	while (world_step(end_us))
		;
	world.now_us = end_us;
	uv_update_time(&world.uv);
}

static bool is_settled(const struct api_session *s)
{
	const struct api_join *j = s->join;

	return s->state == SESSION_OPEN && j && j->socket && j->phase == JOIN_READY &&
	       !j->waiting && !j->want_offer && !j->want_restart && !j->want_slots &&
	       j->gone_count == 0 && s->connected;
}

bool world_is_quiet(void)
{
	const struct sl_api *api = world.api;
	uint32_t cursor = 0;
	const struct api_session *s;
	uint64_t tag;

	for (size_t i = 0; i < ITEM_COUNT; i++)
		if (world.pending[i])
			return false;
	for (size_t i = 0; i < PEOPLE; i++)
		if (world.people[i].state == COMING || world.people[i].state == LOST)
			return false;
	while ((s = sl_pool_next(&api->sessions, &cursor, &tag)))
		if (!is_settled(s))
			return false;
	return !api->dirty && api->op_count == 0 && sl_list_empty(&api->joins_stirred) &&
	       sl_list_empty(&api->closing) && loops_outstanding() == 0;
}

void world_quiet(void)
{
	int64_t end_us = world.now_us + QUIET_MAX_S * SL_SEC;

	while (!world_is_quiet()) {
		CHECK(world.now_us < end_us);
		world_run(50 * SL_MS);
	}
	world_run(SETTLE_S * SL_SEC);
	CHECK(world_is_quiet());
}

/* ---- beginning and end ---- */

static void configure(struct sl_config *c)
{
	sl_config_defaults(c);
	c->loops = LOOPS;
	c->http.port = 0;
	(void)sl_fmt(c->http.bind, SL_CONFIG_TEXT_MAX, "127.0.0.1");
}

static void tell(void)
{
	if (world.done)
		return;
	fprintf(stderr, "rooms: seed %llu, %.3f s into it\n", (unsigned long long)world.seed,
		(double)(world.now_us - START_US) / 1e6);
}

void world_end(void *unused)
{
	(void)unused;
	if (!world.running)
		return;
	tell();
	for (size_t i = 0; i < PEOPLE; i++)
		media_close(&world.people[i]);
	sl_api_free(world.api);
	world.api = NULL;
	sockets_fini();
	while (agenda.count > 0) {
		struct entry e = take_first();

		/* Only replies and commands hold something, and it is freed by running them. */
		if (e.kind == ITEM_NOTE || e.kind == ITEM_COMMAND || e.kind == ITEM_JOB)
			e.fn(e.arg);
		else
			free(e.arg);
	}
	loops_free(world.core);
	wire_fini();
	if (world.uv_open) {
		uv_run(&world.uv, UV_RUN_DEFAULT);
		SL_ASSERT(uv_loop_close(&world.uv) == 0);
	}
	sl_hash_fini(&world.by_id);
	free(world.tracks);
	free(agenda.at);
	memset(&agenda, 0, sizeof(agenda));
	memset(&world, 0, sizeof(world));
}

static void make_people(void)
{
	for (unsigned i = 0; i < PEOPLE; i++) {
		struct person *p = &world.people[i];

		p->number = i;
		p->publishes = i % 10 != 9;
		p->subscribes = i % 33 != 7;
		p->distance = roll(DISTANCES);
		world.ice_due_us[p->number] = SL_NEVER;
		(void)sl_fmt(p->name, sizeof(p->name), "p%02u", i);
	}
}

void world_begin(uint64_t seed, void (*conf)(struct sl_config *c))
{
	struct sl_core_why why;

	memset(&world, 0, sizeof(world));
	world.seed = seed;
	world.running = true;
	world.now_us = world.media_us = START_US;
	world.dice = sl_test_rng(&world.seeds[0], seed * 4);
	world.rng = sl_test_rng(&world.seeds[1], seed * 4 + 1);
	world.wire_rng = sl_test_rng(&world.seeds[2], seed * 4 + 2);
	TRY(sl_log_set_levels(SL_STR("warn")));
	DEFER(world_end, NULL);
	configure(&world.conf);
	if (conf)
		conf(&world.conf);
	world.tracks = calloc(TRACKS_EVER, sizeof(*world.tracks));
	SL_ASSERT(world.tracks);
	make_people();
	TRY(sl_hash_init(&world.by_id, TRACKS_EVER, (const uint64_t[2]){seed, 1}));
	CHECK_EQ(uv_loop_init(&world.uv), 0);
	world.uv_open = true;
	TRY(loops_new(&world.conf, &world.core));
	TRY(sl_api_new(&world.conf, world.core, &world.uv, &world.rng, &world.api, &why));
}
