/* SPDX-License-Identifier: Apache-2.0
 * bench/micro.c — how often per second: timers of the wheel, the way of a packet to another loop,
 * and reading what peers send. Ciphers
 * are micro_srtp.c, the forward path micro_forward.c. Takes the file of an SDP offer; prints a line
 * per figure: the median of several rounds and how far they lie apart. */
#include "core/base/arena.h"
#include "core/base/mem.h"
#include "core/core_int.h"
#include "rtp/sdp/sdp.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 9, TIMERS = 20000, OFFER_MAX = 65536, ARENA = 1 << 20 };

struct bench {
	const char *name;
	unsigned times; /* operations of one call */
	void (*run)(void);
};

static struct {
	struct sl_wheel wheel;
	struct sl_ring ring;
	struct sl_pkt pkt, copy;
	struct sl_timer timers[TIMERS];
	uint64_t fired;
	uint8_t rtp[1200], rtcp[1200], stun[SL_STUN_MTU];
	size_t rtcp_len, stun_len;
	char offer[OFFER_MAX];
	size_t offer_len;
	uint64_t sink; /* so that nothing is left out */
} b;

static double cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- timers ---- */

static void fire(struct sl_timer *t, int64_t now_us)
{
	(void)t;
	(void)now_us;
	b.fired++;
}

/* As retransmission and feedback timers do: armed, put off once, and run out. */
static void timers(void)
{
	uint32_t x = 1;

	sl_wheel_init(&b.wheel, 0);
	for (int i = 0; i < TIMERS; i++)
		sl_timer_init(&b.timers[i], fire);
	for (int twice = 0; twice < 2; twice++)
		for (int i = 0; i < TIMERS; i++) {
			x = x * 1664525 + 1013904223;
			sl_timer_arm(&b.wheel, &b.timers[i], SL_MS + (x >> 8) % (5 * SL_SEC));
		}
	for (int64_t now_us = 0; now_us < 6 * SL_SEC; now_us += SL_MS)
		sl_wheel_advance(&b.wheel, now_us);
	SL_ASSERT(b.fired % TIMERS == 0);
}

/* ---- between loops ---- */

/* As publisher.c and loop.c do: copied into a slot and out of it, a batch at a time. */
static void relay(void)
{
	size_t len = offsetof(struct sl_pkt, data) + 1200;

	for (int i = 0; i < 100000 / SL_BATCH; i++) {
		for (int k = 0; k < SL_BATCH; k++) {
			struct sl_relay_msg *m = sl_ring_slot(&b.ring, SL_RELAY_RESERVE);

			memcpy(&m->pkt, &b.pkt, len);
			sl_ring_push(&b.ring);
		}
		for (int k = 0; k < SL_BATCH; k++) {
			struct sl_relay_msg *m = sl_ring_peek(&b.ring);

			memcpy(&b.copy, &m->pkt, len);
			sl_ring_pop(&b.ring);
			b.sink += b.copy.seq;
		}
	}
}

/* ---- what is read ---- */

static const struct sl_ext_map exts = {
	.id = {[SL_EXT_MID] = 4, [SL_EXT_TWCC] = 3, [SL_EXT_ABS_SEND_TIME] = 2}};

static void make_rtp(void)
{
	struct sl_hdr_writer w;
	struct sl_hdr_out h = {.ssrc = 1234, .ts = 5678, .seq = 9, .pt = 96, .twcc_seq = 10};

	sl_hdr_writer_init(&w, &exts, SL_STR("0"));
	sl_hdr_write(&w, NULL, NULL, &h, b.rtp);
}

static void make_rtcp(void)
{
	struct sl_wr w = sl_wr(b.rtcp, sizeof(b.rtcp));
	struct sl_report block = {.ssrc = 1234, .highest_seq = 70000};
	const uint64_t lost[] = {65540, 65541, 65550, 65580};

	sl_rtcp_write_rr(&w, 1, &block, 1);
	sl_rtcp_write_sdes(&w, 1, "bench");
	sl_rtcp_write_nack(&w, 1, 1234, lost, (int)SL_COUNT(lost));
	sl_rtcp_write_pli(&w, 1, 1234);
	b.rtcp_len = sl_wr_len(&w);
}

static bool make_stun(void)
{
	static struct sl_ice ice;
	static struct sl_stats stats;
	struct sl_rng rng;
	struct sl_ice_cand local = {.addr = sl_addr_v4(127, 0, 0, 1, 1000),
				    .type = SL_ICE_HOST,
				    .priority = 1,
				    .foundation = "1"};
	struct sl_ice_cand remote = local;
	struct sl_ice_conf conf = {.remote_lite = true,
				   .controlling = true,
				   .allow_loopback = true,
				   .timeout_us = SL_SEC,
				   .local = &local,
				   .local_count = 1,
				   .rng = &rng,
				   .stats = &stats};
	struct sl_dgram out;

	remote.addr.port = 2000;
	if (sl_rng_system_new(&rng) < 0 || sl_ice_init(&ice, &conf, 0) < 0 ||
	    sl_ice_set_remote(&ice, SL_STR("peer"), SL_STR("a password of twenty-two"), 0) < 0 ||
	    sl_ice_add_remote(&ice, &remote, 0) < 0)
		return false;
	sl_ice_tick(&ice, SL_SEC / 10);
	if (!sl_ice_pull(&ice, &out))
		return false;
	b.stun_len = out.len;
	memcpy(b.stun, out.data, out.len);
	sl_rng_system_free(&rng);
	return true;
}

static void read_rtp(void)
{
	struct sl_rtp rtp;
	struct sl_exts found;

	for (int i = 0; i < 100000; i++) {
		b.rtp[3] = (uint8_t)i;
		SL_ASSERT(sl_rtp_read(b.rtp, sizeof(b.rtp), &rtp) == SL_OK);
		b.sink += (uint64_t)sl_ext_read(b.rtp, &rtp, &exts, &found) + rtp.seq;
	}
}

static void read_rtcp(void)
{
	struct sl_rtcp r;

	for (int i = 0; i < 20000; i++) {
		struct sl_rd it = sl_rd(b.rtcp, b.rtcp_len);

		while (sl_rtcp_next(&it, &r)) {
			struct sl_report blocks[4];
			struct sl_nack_fci fci[8];
			uint32_t sender;
			uint32_t media;
			int n = 0;

			if (r.type == SL_RTCP_RR)
				n = sl_rtcp_read_rr(r, &sender, blocks, 4);
			else if (r.type == SL_RTCP_RTPFB)
				n = sl_rtcp_read_nack(r, &sender, &media, fci, 8);
			else if (r.type == SL_RTCP_PSFB)
				n = sl_rtcp_read_pli(r, &sender, &media);
			SL_ASSERT(n >= 0);
			b.sink += (uint64_t)n;
		}
	}
}

static void read_stun(void)
{
	struct sl_stun_peek peek;

	for (int i = 0; i < 100000; i++) {
		SL_ASSERT(sl_stun_peek(b.stun, b.stun_len, &peek) == SL_OK);
		b.sink += peek.local_ufrag.n;
	}
}

static void read_sdp(void)
{
	for (int i = 0; i < 200; i++) {
		struct sl_sdp_why why = {0};
		struct sl_arena arena;
		struct sl_sdp sdp;

		sl_arena_init(&arena, ARENA);
		SL_ASSERT(sl_sdp_read(sl_str(b.offer, b.offer_len), &arena, &sdp, &why) == SL_OK);
		b.sink += sdp.media_count;
		sl_arena_fini(&arena);
	}
}

static const struct bench benches[] = {
	{"timers armed, put off and run", TIMERS, timers},
	{"packets of 1200 bytes through a ring", 100000 / SL_BATCH *SL_BATCH, relay},
	{"RTP headers with 3 extensions read", 100000, read_rtp},
	{"RTCP compounds (RR, SDES, NACK, PLI) read", 20000, read_rtcp},
	{"STUN requests looked at", 100000, read_stun},
	{"SDP offers of a browser read", 200, read_sdp},
};

/* ---- measuring ---- */

static int by_size(const void *x, const void *y)
{
	const double *p = x;
	const double *q = y;

	return *p < *q ? -1 : *p > *q;
}

static void measure(const struct bench *x)
{
	double per_s[ROUNDS];

	x->run();
	for (int i = 0; i < ROUNDS; i++) {
		double t = cpu_s();

		x->run();
		per_s[i] = x->times / (cpu_s() - t);
	}
	qsort(per_s, ROUNDS, sizeof(per_s[0]), by_size);
	printf("micro: %-44s %10.3f M/s (%.0f ns), spread %.0f %%\n", x->name,
	       per_s[ROUNDS / 2] / 1e6, 1e9 / per_s[ROUNDS / 2],
	       100 * (per_s[ROUNDS - 1] - per_s[0]) / per_s[ROUNDS / 2]);
}

int main(int argc, char **argv)
{
	FILE *f = argc == 2 ? fopen(argv[1], "r") : NULL;

	if (f) {
		b.offer_len = fread(b.offer, 1, sizeof(b.offer), f);
		fclose(f);
	}
	if (b.offer_len == 0 || !make_stun() ||
	    sl_ring_init(&b.ring, sizeof(struct sl_relay_msg), SL_RELAY_SLOTS) < 0) {
		fputs("usage: micro OFFER.sdp\n", stderr);
		return 2;
	}
	make_rtp();
	make_rtcp();
	for (size_t i = 0; i < SL_COUNT(benches); i++)
		measure(&benches[i]);
	return 0;
}
