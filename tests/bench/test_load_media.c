/* SPDX-License-Identifier: Apache-2.0
 * A source's sealed packets go straight to a subscriber's sink: what is counted and found out. */
#include "bench/load.h"
#include "core/base/mem.h"
#include "tests/test.h"
#include <arpa/inet.h>
#include <srtp2/srtp.h>

enum { BURST = 8, BURSTS = 4, SENT = BURST * BURSTS };

static struct {
	struct load load;
	struct load_peer camera, player;
	struct load_source *source, *list[1];
	struct sl_test_rng rng;
	struct sl_srtp_mgr *mgr;
} t;

static struct sl_srtp_master master = {.profile = SL_SRTP_AES128_CM_SHA1_80,
				       .key = "a master key..."};
static srtp_t checker;

/* Out of memory, libsrtp2 crashes in srtp_create(); so one serves all tests, each of which has an
 * SSRC of its own. */
__attribute__((constructor)) static void start_once(void)
{
	srtp_policy_t policy = {0};
	uint8_t key[30];

	load_media_init();
	memcpy(key, master.key, 16);
	memcpy(key + 16, master.salt, 14);
	srtp_crypto_policy_set_rtp_default(&policy.rtp);
	srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
	policy.key = key;
	policy.ssrc.type = ssrc_any_inbound;
	policy.window_size = 1024;
	if (srtp_create(&checker, &policy) != srtp_err_status_ok)
		checker = NULL;
}

static void fini(void *unused)
{
	(void)unused;
	sl_srtp_key_free(t.camera.tx_key);
	sl_srtp_key_free(t.player.rx_key);
	if (t.player.sinks)
		srtp_remove_stream(checker, htonl(t.source->ssrc));
	sl_free(t.player.sinks);
	sl_free(t.source);
}

static void init(enum sl_kind kind)
{
	static uint64_t run;

	memset(&t, 0, sizeof(t));
	DEFER(fini, NULL);
	t.load.rng = sl_test_rng(&t.rng, ++run);
	t.load.sources = t.list;
	t.load.conf.stream[kind] = (struct load_stream_conf){400, BURST, {1100, 1101}};
	t.load.check_stride = 1;
	t.load.now_us = SL_SEC;
	t.camera.load = t.player.load = &t.load;
	t.camera.watch.fd = t.player.watch.fd = -1;
	t.camera.publisher = true;
	t.camera.state = t.player.state = LOAD_CONNECTED;
	TRY(sl_srtp_key_new(SL_SRTP_SOFT, &master, true, &t.camera.tx_key));
	TRY(sl_srtp_key_new(SL_SRTP_SOFT, &master, false, &t.player.rx_key));
	t.player.checker = checker;
	t.source = load_source_new(&t.load, &t.camera, kind);
	TRY(t.source ? SL_OK : SL_ENOMEM);
	load_source_start(t.source);
}

/* Nothing takes the packets: they stay in the source's ring. */
static void send_all(void)
{
	for (int i = 0; i < BURSTS; i++)
		load_source_tick(t.source);
	CHECK_EQ(t.source->seq - t.source->first_seq, SENT);
}

static void arrive(unsigned at)
{
	struct load_source *s = t.source;
	uint64_t seq = s->first_seq + at;
	uint8_t copy[LOAD_BUF];

	memcpy(copy, s->kept[seq % LOAD_KEPT], s->kept_len[seq % LOAD_KEPT]);
	load_sink_packet(&t.player, copy, s->kept_len[seq % LOAD_KEPT], 7000000);
	/* Out of memory, a packet may be passed over, or not be deciphered. */
	if (sl_test_oom_fired())
		sl_test_oom_stop();
}

static uint64_t lost(void)
{
	return load_sink_tail(&t.player.sinks[0]);
}

TEST(all_that_arrives_is_what_was_sent)
{
	init(SL_VIDEO);
	send_all();
	for (unsigned i = 0; i < SENT; i++)
		arrive(i);
	CHECK_EQ(t.load.window.received, SENT);
	CHECK_EQ(t.load.window.checked, SENT);
	CHECK_EQ(t.load.window.bad + t.load.window.shifted + lost(), 0);
	CHECK(t.player.sinks[0].source == t.source);
}

TEST(audio_is_told_from_video_by_its_payload)
{
	init(SL_AUDIO);
	send_all();
	for (unsigned i = 0; i < SENT; i++)
		arrive(i);
	CHECK_EQ(t.load.window.bad, 0);
	CHECK_EQ(t.load.window.checked, SENT);
}

TEST(latency_counts_from_the_send_call_to_the_stamp_of_arrival)
{
	init(SL_VIDEO);
	send_all();
	for (unsigned i = 0; i < SENT; i++)
		arrive(i);
	CHECK_EQ(t.load.window.latency.count, SENT);
	CHECK_EQ(t.load.window.latency.max, 2000000);
}

TEST(a_gap_is_lost_and_what_comes_twice_is_counted_once)
{
	init(SL_VIDEO);
	send_all();
	for (unsigned i = 0; i < SENT; i++)
		if (i != 5 && i != 20)
			arrive(i);
	arrive(9);
	CHECK_EQ(lost(), 2);
	CHECK_EQ(t.load.window.duplicates, 1);
	CHECK_EQ(t.load.window.received, SENT - 2);
}

TEST(what_comes_late_is_reordered_and_not_lost)
{
	init(SL_VIDEO);
	send_all();
	for (unsigned i = 0; i < SENT; i++)
		if (i != 5)
			arrive(i);
	arrive(5);
	CHECK_EQ(lost(), 0);
	CHECK_EQ(t.load.window.reordered, 1);
	CHECK_EQ(t.load.window.duplicates, 0);
}

TEST(a_new_window_forgets_what_was_lost_before)
{
	init(SL_VIDEO);
	send_all();
	for (unsigned i = 0; i < SENT; i++)
		if (i != 5 && i != 30) {
			if (i == 16)
				load_sink_mark(&t.player.sinks[0]);
			arrive(i);
		}
	CHECK_EQ(lost(), 1);
}

TEST(a_payload_with_one_wrong_byte_is_found)
{
	init(SL_VIDEO);
	send_all();
	arrive(0);
	t.source->kept[(t.source->first_seq + 1) % LOAD_KEPT][500] ^= 1;
	arrive(1);
	CHECK_EQ(t.load.window.bad, 1);
}

TEST(a_stream_whose_numbers_move_is_found)
{
	init(SL_VIDEO);
	send_all();
	for (unsigned i = 0; i < 10; i++)
		arrive(i);
	t.player.sinks[0].shift++;
	arrive(10);
	CHECK_EQ(t.load.window.shifted, 1);
}

TEST(what_was_asked_for_again_is_the_same_packet)
{
	init(SL_VIDEO);
	send_all();
	load_source_again(t.source, (uint16_t)(t.source->first_seq + 3));
	load_source_again(t.source, (uint16_t)(t.source->seq + 3));
	CHECK_EQ(t.load.window.nacked, 2);
	CHECK_EQ(t.load.window.again, 1);
}

TEST(a_late_source_catches_up_by_a_few_bursts_only)
{
	init(SL_VIDEO);
	load_source_tick(t.source);
	t.load.now_us += 10 * SL_SEC;
	load_source_tick(t.source);
	CHECK(t.source->next_us > t.load.now_us - 4 * (SL_SEC * BURST / 400));
	CHECK(t.source->next_us <= t.load.now_us);
}
