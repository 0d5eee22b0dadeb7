/* SPDX-License-Identifier: Apache-2.0
 * tests/core/test_demux.c — RFC 7983 section 7: what a datagram is, by its first byte, and how long
 * it must be. */
#include "core/core_int.h"
#include "core/base/mem.h"
#include "tests/test.h"

/* The table of the RFC once more, written out another way than the product's. */
static enum sl_class want_class(unsigned b)
{
	if (b <= 3)
		return SL_CLASS_STUN;
	if (b >= 16 && b <= 19)
		return SL_CLASS_ZRTP;
	if (b >= 20 && b <= 63)
		return SL_CLASS_DTLS;
	if (b >= 64 && b <= 79)
		return SL_CLASS_TURN;
	return b >= 128 && b <= 191 ? SL_CLASS_RTP : SL_CLASS_UNKNOWN;
}

/* A STUN header has 20 bytes, a DTLS record header 13, ChannelData's 4; RTP's 12, RTCP's 8. */
static size_t want_len(enum sl_class class_, unsigned second, size_t len)
{
	static const size_t least[] = {
		[SL_CLASS_STUN] = 20, [SL_CLASS_DTLS] = 13, [SL_CLASS_TURN] = 4,
		[SL_CLASS_RTP] = 12,  [SL_CLASS_ZRTP] = 1,  [SL_CLASS_UNKNOWN] = 1};
	bool rtcp = class_ == SL_CLASS_RTP && len >= 2 && second >= 192 && second <= 223;

	return rtcp ? 8 : least[class_];
}

static const uint8_t seconds[] = {0, 96, 191, 192, 200, 223, 224, 255};

TEST(t17_every_first_byte_and_length_has_one_class_and_bound)
{
	uint8_t data[64] = {0};

	for (unsigned b = 0; b < 256; b++)
		for (size_t len = 0; len <= 64; len++)
			for (size_t s = 0; s < SL_COUNT(seconds); s++) {
				enum sl_class want = len > 0 ? want_class(b) : SL_CLASS_UNKNOWN;
				bool truncated;

				data[0] = (uint8_t)b;
				data[1] = seconds[s];
				CHECK_EQ(sl_classify(data, len, &truncated), want);
				CHECK_EQ(truncated, len < want_len(want, seconds[s], len));
			}
}

/* ---- the same datagrams through a whole engine in which nobody is ---- */

static struct rig {
	struct sl_engine e;
	struct sl_test_rng state;
	struct sl_rng rng;
	unsigned sent;
} rig;

static void count_sent(void *arg, struct sl_run *runs, int n)
{
	(void)arg;
	for (int i = 0; i < n; i++)
		rig.sent += (unsigned)runs[i].count;
}

static bool no_event(void *arg, const struct sl_core_event *ev)
{
	(void)arg;
	(void)ev;
	return true;
}

static uint64_t counted(enum sl_stat which)
{
	return sl_stat_get(&rig.e.stats, which);
}

static int rig_start(void)
{
	struct sl_engine_conf conf = {.max_transports = 2,
				      .max_tracks = 2,
				      .max_packets = 16,
				      .max_handshakes = 2,
				      .ice_timeout_us = 15 * SL_SEC};
	struct sl_engine_io io = {.send = count_sent, .event = no_event};

	memset(&rig, 0, sizeof(rig));
	rig.rng = sl_test_rng(&rig.state, 17);
	return sl_engine_init(&rig.e, &conf, &io, &rig.rng, 0);
}

static void feed(uint8_t *data, size_t len, bool truncated)
{
	struct sl_in in = {.path = {.remote = sl_addr_v4(192, 0, 2, 1, 4000)},
			   .data = data,
			   .len = len,
			   .truncated = truncated};

	sl_engine_recv(&rig.e, &in, 1, 0);
	sl_engine_flush(&rig.e);
}

TEST(t17_nothing_is_answered_and_each_datagram_is_counted_once)
{
	static const enum sl_stat causes[] = {
		SL_STAT_demux_truncated,    SL_STAT_demux_unknown_class,
		SL_STAT_demux_no_transport, SL_STAT_stun_malformed,
		SL_STAT_stun_unknown_ufrag, SL_STAT_stun_unknown_transaction};
	uint8_t data[64] = {0};
	uint64_t sum = 0;

	TRY(rig_start());
	DEFER(sl_engine_fini, &rig.e);
	for (unsigned b = 0; b < 256; b++)
		for (size_t len = 0; len <= 64; len++) {
			data[0] = (uint8_t)b;
			feed(data, len, false);
		}
	for (size_t i = 0; i < SL_COUNT(causes); i++)
		sum += counted(causes[i]);
	CHECK_EQ(counted(SL_STAT_rx_packets), 256 * 65);
	CHECK_EQ(sum, 256 * 65);
	CHECK_EQ(counted(SL_STAT_demux_no_transport),
		 44 * (64 - 12) + 64 * (64 - 11)); /* DTLS and RTP long enough */
	CHECK_EQ(rig.sent, 0);
}

TEST(t17_a_datagram_that_the_system_cut_is_not_looked_at)
{
	uint8_t data[64] = {128};

	TRY(rig_start());
	DEFER(sl_engine_fini, &rig.e);
	feed(data, sizeof(data), true);
	CHECK_EQ(counted(SL_STAT_demux_truncated), 1);
	CHECK_EQ(counted(SL_STAT_demux_no_transport), 0);
}
