/* SPDX-License-Identifier: Apache-2.0 — what a program may do to a running call: mute, pause, cap,
 * look. */
#include "core/base/mem.h"
#include "tests/core/call.h"

static int tell(struct sim *s, unsigned loop, enum sl_cmd_type type, uint64_t object, bool paused)
{
	struct sl_cmd cmd = {.type = type, .object = object, .paused = paused};

	return sim_command(s, loop, &cmd);
}

TEST(a_publisher_that_is_muted_reaches_nobody_and_goes_on_at_a_key_frame)
{
	struct call c;
	uint64_t packets;
	unsigned decoded;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 301}, 0);
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	TRY(tell(c.s, 0, SL_CMD_PAUSE, sim_publisher(c.camera)->id, true));
	sim_run(c.s, 200 * SL_MS);
	packets = c.screen->packets;
	decoded = (unsigned)c.screen->decoded;
	sim_run(c.s, 2 * SL_SEC);
	CHECK_EQ(c.screen->packets, packets);
	CHECK(c.ear->packets > 190);
	TRY(tell(c.s, 0, SL_CMD_PAUSE, sim_publisher(c.camera)->id, false));
	sim_run(c.s, 2 * SL_SEC);
	CHECK(c.screen->decoded > decoded + 40);
	CHECK_EQ(c.screen->backwards + c.screen->altered + c.screen->replayed, 0);
	call_end(&c);
}

TEST(a_subscription_that_is_paused_sends_nothing_until_it_is_resumed)
{
	struct call c;
	uint64_t packets;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 302}, 0);
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	TRY(tell(c.s, 1, SL_CMD_PAUSE, sim_subscriber(c.screen)->id, true));
	sim_run(c.s, 200 * SL_MS);
	packets = c.screen->packets;
	sim_run(c.s, 2 * SL_SEC);
	CHECK_EQ(c.screen->packets, packets);
	TRY(tell(c.s, 1, SL_CMD_PAUSE, sim_subscriber(c.screen)->id, false));
	sim_run(c.s, 2 * SL_SEC);
	CHECK(c.screen->packets > packets + 100);
	CHECK_EQ(c.screen->backwards + c.screen->altered + c.screen->replayed, 0);
	call_end(&c);
}

TEST(statistics_of_a_transport_tell_its_path_its_cipher_and_its_tracks)
{
	static struct sl_transport_stats st;
	struct sl_cmd cmd = {.type = SL_CMD_STATS, .stats = &st};
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 303}, 0);
	c.b->down.jitter_us = 10 * SL_MS;
	call_connect(&c);
	sim_run(c.s, 3 * SL_SEC);
	memset(&st, 0, sizeof(st));
	cmd.object = c.a->transport;
	TRY(sim_command(c.s, 0, &cmd));
	CHECK(cmd.reply.stats == &st);
	CHECK_STR(st.ice_state, "connected");
	CHECK_STR(st.dtls_state, "connected");
	CHECK_STR(st.srtp, "AES_CM_128_HMAC_SHA1_80");
	CHECK(st.pair_count >= 1 && st.pairs[0].selected && st.pairs[0].checks_in > 0);
	CHECK_EQ(st.track_count, 2);
	for (size_t i = 0; i < st.track_count; i++) {
		CHECK(st.tracks[i].publish && st.tracks[i].packets > 100 &&
		      st.tracks[i].bps > 10000);
		CHECK(st.tracks[i].silent_us >= 0 && st.tracks[i].silent_us < SL_SEC);
	}
	memset(&st, 0, sizeof(st));
	cmd.object = c.b->transport;
	TRY(sim_command(c.s, 1, &cmd));
	CHECK_EQ(st.track_count, 2);
	for (size_t i = 0; i < st.track_count; i++) {
		CHECK(!st.tracks[i].publish && !st.tracks[i].waiting && !st.tracks[i].mismatch);
		CHECK(st.tracks[i].publisher == sim_publisher(c.camera)->id ||
		      st.tracks[i].publisher == sim_publisher(c.mic)->id);
		CHECK(st.tracks[i].packets > 100 && st.tracks[i].rtt_us >= 0);
		CHECK(st.tracks[i].kind == SL_AUDIO
			      ? st.tracks[i].keyframes == 0
			      : st.tracks[i].keyframes >= 1 && st.tracks[i].keyframes <= 3);
		CHECK(st.tracks[i].jitter_us > 0 && st.tracks[i].jitter_us < 50 * SL_MS);
	}
	call_end(&c);
}

TEST(a_cap_set_on_a_publisher_is_told_to_its_peer_at_once)
{
	struct sl_cmd cmd = {.type = SL_CMD_CAP, .bps = 400000};
	struct call c;
	uint64_t sent;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 304}, SIM_REMB | SIM_TWCC);
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	sent = sim_stat(c.s, SL_STAT_remb_sent);
	CHECK_EQ(sent, 0);
	cmd.object = sim_publisher(c.camera)->id;
	TRY(sim_command(c.s, 0, &cmd));
	CHECK_EQ(sim_stat(c.s, SL_STAT_remb_sent), sent + 1);
	CHECK_EQ(sim_publisher(c.camera)->cap_bps, 400000);
	call_end(&c);
}
