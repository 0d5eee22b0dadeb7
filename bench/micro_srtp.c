/* SPDX-License-Identifier: Apache-2.0
 * bench/micro_srtp.c — how many packets a second each SRTP transform seals on one core, by how many
 * are handed over at once: 1100 bytes of payload shared by 50 keys, as a fan-out has it.
 *	micro_srtp [ROUNDS]
 * Figures are thousands of packets per second of this thread's own CPU time: the median of the
 * rounds and, behind it, how far the slowest and the fastest are apart. Rounds go over all
 * transforms in turn, so that what slows the machine down meets each of them. */
#include "core/base/bytes.h"
#include "core/base/mem.h"
#include "dtls/dtls.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { KEYS = 50, SOURCES = 8, PAYLOAD = 1100, HDR = 20, SIZES = 7, ROUNDS_MAX = 64 };
enum { ROOM = HDR + PAYLOAD + SL_SRTP_OVERHEAD, BATCH = 64, CELL_NS = 4000000 };
static const int sizes[SIZES] = {1, 2, 4, 8, 16, 32, BATCH};

#define NEED(c) ((c) ? (void)0 : (fprintf(stderr, "micro_srtp: %s\n", #c), exit(1)))

struct transform {
	const char *name;
	enum sl_srtp_impl impl;
	struct sl_srtp_choice choice;
	struct sl_srtp_mgr *mgr;
	struct sl_srtp_key *keys[KEYS];
	uint64_t next[KEYS]; /* index */
	double rate[SIZES][ROUNDS_MAX];
};

static struct transform transforms[3 + SL_ARCH_COUNT];
static size_t count;
static uint8_t sources[SOURCES][PAYLOAD], hdrs[BATCH][HDR], out[BATCH][ROOM];

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int64_t wall_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static int64_t cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* ---- what is compared ---- */

static void add(const char *name, enum sl_srtp_impl impl, const struct sl_srtp_choice *choice)
{
	transforms[count].name = name;
	transforms[count].impl = impl;
	if (choice)
		transforms[count].choice = *choice;
	count++;
}

/* As the server would choose, and each instruction set by itself. */
static void add_mb(void)
{
	struct sl_srtp_choice c;

	if (sl_srtp_choose(SL_STR("mb"), wall_ns, &c) < 0) {
		printf("no ipsec-mb on this machine\n");
		return;
	}
	printf("ipsec-mb: %s for few, %s for many (from %d), %s for GCM\n",
	       sl_srtp_arch_name(c.small), sl_srtp_arch_name(c.large),
	       c.large == c.small ? 0 : c.large_from, sl_srtp_arch_name(c.aead));
	add("mb", SL_SRTP_MB, &c);
	for (enum sl_srtp_arch a = SL_ARCH_SSE; a < SL_ARCH_COUNT; a++) {
		if (!c.cm_ns[a][0])
			continue;
		c.small = c.large = c.aead = a;
		add(sl_srtp_arch_name(a), SL_SRTP_MB, &c);
	}
}

static void make_keys(struct transform *t, enum sl_srtp_profile p)
{
	if (t->impl == SL_SRTP_MB)
		NEED(sl_srtp_mgr_new(&t->choice, &t->mgr) == SL_OK);
	for (int k = 0; k < KEYS; k++) {
		struct sl_srtp_master m = {.profile = p, .key = {(uint8_t)k, 1}, .salt = {2}};

		NEED(sl_srtp_key_new(t->impl, &m, true, &t->keys[k]) == SL_OK);
		sl_srtp_key_bind(t->keys[k], t->mgr);
		t->next[k] = 0;
	}
}

static void free_keys(struct transform *t)
{
	for (int k = 0; k < KEYS; k++)
		sl_srtp_key_free(t->keys[k]);
	sl_srtp_mgr_free(t->mgr);
	t->mgr = NULL;
}

/* ---- measuring ---- */

static void seal(struct transform *t, int n, uint64_t serial)
{
	static struct sl_srtp_op ops[BATCH];

	for (int i = 0; i < n; i++, serial++) {
		size_t k = serial % KEYS;

		sl_put16(hdrs[i] + 2, (uint16_t)t->next[k]);
		sl_put32(hdrs[i] + 8, (uint32_t)k);
		ops[i] = (struct sl_srtp_op){.key = t->keys[k],
					     .hdr = hdrs[i],
					     .hdr_len = HDR,
					     .payload = sources[serial / KEYS % SOURCES],
					     .payload_len = PAYLOAD,
					     .index = t->next[k]++,
					     .out = out[i]};
	}
	NEED(sl_srtp_seal(ops, n) == n);
}

/* Packets a second, in thousands. */
static double measure(struct transform *t, int n)
{
	uint64_t serial = 0;
	int64_t start = cpu_ns(), took;

	do {
		for (int i = 0; i < 64; i += n, serial += (uint64_t)n)
			seal(t, n, serial);
		took = cpu_ns() - start;
	} while (took < CELL_NS);
	return (double)serial * 1e6 / (double)took;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(struct transform *t, int rounds)
{
	printf("  %-8s", t->name);
	for (int s = 0; s < SIZES; s++) {
		double *r = t->rate[s], median;

		qsort(r, (size_t)rounds, sizeof(*r), ascending);
		median = r[rounds / 2];
		printf(" %6.0f ±%-3.0f", median, (r[rounds - 1] - r[0]) / 2 / median * 100);
	}
	printf("\n");
}

static void compare(enum sl_srtp_profile p, int rounds)
{
	for (size_t i = 0; i < count; i++)
		make_keys(&transforms[i], p);
	for (int round = -1; round < rounds; round++) /* the first is to get warm */
		for (size_t i = 0; i < count; i++)
			for (int s = 0; s < SIZES; s++)
				transforms[i].rate[s][SL_MAX(round, 0)] =
					measure(&transforms[i], sizes[s]);
	printf("%s, %d bytes: thousands of packets per second and core, ± half the spread in %%\n"
	       "  at once ",
	       sl_srtp_profile_name(p), PAYLOAD);
	for (int s = 0; s < SIZES; s++)
		printf("%6d      ", sizes[s]);
	printf("\n");
	for (size_t i = 0; i < count; i++) {
		print(&transforms[i], rounds);
		free_keys(&transforms[i]);
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 9;

	NEED(rounds >= 1 && rounds <= ROUNDS_MAX);
	for (int i = 0; i < BATCH; i++) {
		hdrs[i][0] = 0x90;
		sl_put32(hdrs[i] + 12, 0xbede0001);
	}
	for (int i = 0; i < SOURCES; i++)
		memset(sources[i], i, PAYLOAD);
	add("libsrtp", SL_SRTP_LIBSRTP, NULL);
	add("soft", SL_SRTP_SOFT, NULL);
	add_mb();
	compare(SL_SRTP_AES128_CM_SHA1_80, rounds);
	compare(SL_SRTP_AEAD_AES128_GCM, rounds);
	return 0;
}
