/* SPDX-License-Identifier: Apache-2.0 — limits that are set on tracks of a running call, and key
 * frames that are asked for by command. */
#include "core/base/log.h"
#include "core/base/mem.h"
#include "tests/core/call.h"
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* 1 Gb/s, in the 18 bits of a REMB's mantissa. */
enum { LIFTED_BPS = 999997440 };

static void limit(struct sim *s, unsigned loop, uint64_t track, uint32_t min_bps, uint32_t max_bps)
{
	struct sl_cmd cmd = {.type = SL_CMD_LIMITS,
			     .object = track,
			     .limits = {.min_bps = min_bps, .max_bps = max_bps}};

	TRY(sim_command(s, loop, &cmd));
}

static const struct sl_track_stats *stats_of(struct sim *s, unsigned loop, uint64_t transport,
					     uint64_t track)
{
	static struct sl_transport_stats st;
	struct sl_cmd cmd = {.type = SL_CMD_STATS, .object = transport, .stats = &st};

	memset(&st, 0, sizeof(st));
	TRY(sim_command(s, loop, &cmd));
	for (size_t i = 0; i < st.track_count; i++)
		if (st.tracks[i].id == track)
			return &st.tracks[i];
	return NULL;
}

/* The player says how much it can take. */
static void remb(const struct peer_sink *sink, uint64_t bps)
{
	uint8_t buf[64];
	struct sl_wr w = sl_wr(buf, sizeof(buf));

	sl_rtcp_write_rr(&w, sink->peer->rtcp_ssrc, NULL, 0);
	sl_rtcp_write_sdes(&w, sink->peer->rtcp_ssrc, "player");
	sl_rtcp_write_remb(&w, sink->peer->rtcp_ssrc, bps, &sink->conf.ssrc, 1);
	peer_send_rtcp(sink->peer, buf, sl_wr_len(&w));
}

TEST(limits_of_a_publisher_are_the_floor_and_the_cap_of_what_it_is_told)
{
	const struct sl_track_stats *st;
	struct call c;
	uint64_t camera;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 621}, SIM_REMB | SIM_TWCC);
	call_connect(&c);
	camera = sim_publisher(c.camera)->id;
	sim_run(c.s, 2 * SL_SEC);
	CHECK_EQ(c.camera->remb_bps, 0);
	limit(c.s, 0, camera, 0, 400000);
	sim_run(c.s, 100 * SL_MS);
	CHECK_EQ(c.camera->remb_bps, 400000);
	st = stats_of(c.s, 0, c.a->transport, camera);
	CHECK(st->max_bps == 400000 && st->cap_bps == 400000 && st->cap_by == SL_CAP_SET);
	/* Half of the cap is what a lossy way gets, but for the floor. */
	limit(c.s, 0, camera, 300000, 400000);
	sim_publisher(c.camera)->fraction_lost = 200;
	c.a->up.loss = 30;
	sim_run(c.s, 3 * SL_SEC);
	CHECK_EQ(c.camera->remb_bps, 300000);
	c.a->up.loss = 0;
	limit(c.s, 0, camera, 0, 0);
	sim_run(c.s, 5 * SL_SEC);
	CHECK_EQ(c.camera->remb_bps, LIFTED_BPS); /* it is told, some times, that it is free */
	st = stats_of(c.s, 0, c.a->transport, camera);
	CHECK(st->cap_bps == 0 && st->cap_by == SL_CAP_NONE);
	call_end(&c);
}

TEST(what_a_player_with_limits_can_take_reaches_the_publisher_within_them)
{
	const struct sl_track_stats *st;
	struct call c;
	uint64_t camera, screen;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 622}, SIM_REMB | SIM_TWCC);
	call_connect(&c);
	camera = sim_publisher(c.camera)->id;
	screen = sim_subscriber(c.screen)->id;
	remb(c.screen, 250000);
	sim_run(c.s, 2 * SL_SEC);
	CHECK_EQ(c.camera->remb_bps, 0); /* without limits nobody is told */
	st = stats_of(c.s, 1, c.b->transport, screen);
	CHECK(st->cap_bps == 250000 && st->cap_by == SL_CAP_PLAYER);
	limit(c.s, 1, screen, 100000, 500000);
	sim_run(c.s, 2 * SL_SEC);
	CHECK_EQ(c.camera->remb_bps, 250000);
	CHECK_EQ(stats_of(c.s, 0, c.a->transport, camera)->cap_by, SL_CAP_PLAYER);
	remb(c.screen, 20000);
	sim_run(c.s, 2 * SL_SEC);
	CHECK_EQ(c.camera->remb_bps, 100000);
	remb(c.screen, 3000000);
	sim_run(c.s, 2 * SL_SEC);
	CHECK_EQ(c.camera->remb_bps, 500000);
	st = stats_of(c.s, 1, c.b->transport, screen);
	CHECK(st->cap_bps == 500000 && st->cap_by == SL_CAP_SET && st->min_bps == 100000);
	limit(c.s, 0, camera, 0, 200000); /* the publisher's own is lower */
	sim_run(c.s, 2 * SL_SEC);
	CHECK_EQ(c.camera->remb_bps, 200000);
	CHECK_EQ(stats_of(c.s, 0, c.a->transport, camera)->cap_by, SL_CAP_SET);
	call_end(&c);
}

/* Lines that repeat are limited per second, and other tests have written this one, too. */
static int start_log(void)
{
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	usleep((useconds_t)(1000000 - now.tv_nsec / 1000));
	TRY(sl_log_start(fd, false));
	return fd;
}

/* Whose limits were logged, in that order, each behind a blank. */
static void check_logged(int fd, const char *want)
{
	char text[8192] = "", whose[128] = "";
	const char *at = text;

	sl_log_stop();
	CHECK(pread(fd, text, sizeof(text) - 1, 0) > 0);
	close(fd);
	while ((at = strstr(at, "limit of a publisher's video")) != NULL) {
		const char *by = strstr(at, " by=");

		CHECK(by);
		(void)sl_fmt(whose + strlen(whose), sizeof(whose) - strlen(whose), " %.*s",
			     (int)strcspn(by + 4, " \n"), by + 4);
		at = by;
	}
	CHECK_STR(whose, want);
}

TEST(log_says_whose_limit_holds_whenever_it_is_another_ones)
{
	struct call c;
	uint64_t camera, screen;
	int fd;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 624}, SIM_REMB | SIM_TWCC);
	call_connect(&c);
	camera = sim_publisher(c.camera)->id;
	screen = sim_subscriber(c.screen)->id;
	fd = start_log();
	limit(c.s, 0, camera, 0, 400000);
	sim_run(c.s, SL_SEC);
	limit(c.s, 1, screen, 0, 300000);
	sim_run(c.s, SL_SEC);
	remb(c.screen, 200000);
	sim_run(c.s, SL_SEC);
	limit(c.s, 1, screen, 0, 0);
	sim_run(c.s, SL_SEC);
	limit(c.s, 0, camera, 0, 0);
	sim_run(c.s, SL_SEC);
	check_logged(fd, " client player client none");
	call_end(&c);
}

TEST(a_player_that_turns_away_takes_its_wish_with_it)
{
	struct peer_sink *near = NULL;
	struct sim_peer *sp;
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 623}, SIM_REMB | SIM_TWCC);
	call_connect(&c);
	sp = call_player(&c, 0, SIM_REMB | SIM_TWCC, &near);
	sim_wait_connected(sp, 10 * SL_SEC);
	limit(c.s, 0, sim_subscriber(near)->id, 0, 300032);
	limit(c.s, 1, sim_subscriber(c.screen)->id, 0, 600064);
	sim_run(c.s, 2 * SL_SEC);
	CHECK_EQ(c.camera->remb_bps, 300032);
	sim_route(near, NULL);
	sim_run(c.s, 2 * SL_SEC);
	CHECK_EQ(c.camera->remb_bps, 600064);
	sim_route(near, c.camera);
	sim_run(c.s, 2 * SL_SEC);
	CHECK_EQ(c.camera->remb_bps, 300032);
	sim_leave(sp);
	sim_close(sp);
	limit(c.s, 1, sim_subscriber(c.screen)->id, 0, 0);
	sim_run(c.s, 2 * SL_SEC);
	CHECK_EQ(c.camera->remb_bps, LIFTED_BPS);
	call_end(&c);
}

TEST(limits_are_for_tracks_that_are_there)
{
	struct sl_cmd cmd = {.type = SL_CMD_LIMITS, .object = 4711};
	struct sim *s;

	sim_no_oom();
	s = sim_new(&(struct sim_conf){.seed = 624, .loops = 1});
	CHECK_EQ(sim_command(s, 0, &cmd), SL_ENOTFOUND);
	cmd.type = SL_CMD_KEYFRAME;
	CHECK_EQ(sim_command(s, 0, &cmd), SL_ENOTFOUND);
}

static int keyframe(struct sim *s, unsigned loop, uint64_t track)
{
	struct sl_cmd cmd = {.type = SL_CMD_KEYFRAME, .object = track};

	return sim_command(s, loop, &cmd);
}

TEST(a_key_frame_asked_for_by_command_comes)
{
	struct call c;
	uint64_t keys;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 625}, 0);
	call_connect(&c);
	sim_run(c.s, 5 * SL_SEC);
	keys = c.camera->keys;
	TRY(keyframe(c.s, 1, sim_subscriber(c.screen)->id));
	sim_run(c.s, SL_SEC);
	CHECK_EQ(c.camera->keys, keys + 1);
	/* Of a publisher that nobody plays as well. */
	sim_route(c.screen, NULL);
	sim_run(c.s, 5 * SL_SEC);
	keys = c.camera->keys;
	TRY(keyframe(c.s, 0, sim_publisher(c.camera)->id));
	sim_run(c.s, SL_SEC);
	CHECK_EQ(c.camera->keys, keys + 1);
	CHECK_EQ(keyframe(c.s, 0, sim_publisher(c.mic)->id), SL_EUNSUPPORTED);
	call_end(&c);
}
