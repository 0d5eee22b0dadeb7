/* SPDX-License-Identifier: Apache-2.0
 * tests/core/test_run.c — which datagrams leave together. */
#include "core/core_int.h"
#include "tests/test.h"

static struct {
	struct sl_run_item items[SL_BATCH];
	bool single[SL_BATCH];
	uint8_t order[SL_BATCH];
	struct sl_span spans[SL_BATCH];
	int n, dests, runs;
} rig;

static void start(void)
{
	memset(&rig, 0, sizeof(rig));
}

static void add(uint8_t dest, uint16_t len, uint8_t pad_max)
{
	rig.items[rig.n++] = (struct sl_run_item){.len = len, .dest = dest, .pad_max = pad_max};
	rig.dests = SL_MAX(rig.dests, dest + 1);
}

static void build(void)
{
	rig.runs = sl_runs_build(rig.items, rig.n, rig.single, rig.dests, rig.order, rig.spans);
}

static size_t len_of(const struct sl_span *s, int i)
{
	const struct sl_run_item *it = &rig.items[rig.order[s->first + i]];

	return (size_t)it->len + it->pad;
}

/* What the system asks of a run, and what we do: at most 16 datagrams and 20 KB, padding
 * within its bound and none where a run is alone. */
static void check_span(const struct sl_span *s)
{
	size_t sum = 0;

	CHECK(s->count >= 1 && s->count <= SL_RUN_PKTS);
	CHECK(s->count == 1 || !rig.single[s->dest]);
	for (int i = 0; i < s->count; i++) {
		const struct sl_run_item *it = &rig.items[rig.order[s->first + i]];

		CHECK_EQ(it->dest, s->dest);
		CHECK(it->pad <= it->pad_max);
		CHECK(it->pad == 0 || s->count > 1);
		CHECK(len_of(s, i) <= len_of(s, 0));
		CHECK(len_of(s, i) == len_of(s, 0) || i == s->count - 1);
		sum += len_of(s, i);
	}
	CHECK(s->count == 1 || sum <= SL_RUN_BYTES);
}

/* Complete, each once, and those of a destination in their order. */
static void check_all(void)
{
	bool seen[SL_BATCH] = {false};
	int last[SL_BATCH];
	int at = 0;

	memset(last, -1, sizeof(last));
	for (int r = 0; r < rig.runs; r++) {
		CHECK_EQ(rig.spans[r].first, at);
		at += rig.spans[r].count;
		check_span(&rig.spans[r]);
	}
	CHECK_EQ(at, rig.n);
	for (int i = 0; i < rig.n; i++) {
		unsigned item = rig.order[i];
		unsigned dest = rig.items[item].dest;

		CHECK(item < (unsigned)rig.n && !seen[item]);
		seen[item] = true;
		CHECK((int)item > last[dest]);
		last[dest] = (int)item;
	}
}

TEST(runs_of_a_frame_are_one_with_its_shorter_last_packet)
{
	start();
	for (int i = 0; i < 7; i++)
		add(0, 1120, 0);
	add(0, 300, 0);
	build();
	check_all();
	CHECK_EQ(rig.runs, 1);
	CHECK_EQ(rig.spans[0].count, 8);
}

TEST(runs_are_padded_where_lengths_differ_by_little)
{
	start();
	for (int i = 0; i < 8; i++)
		add(0, (uint16_t)(1100 + i % 2), SL_PAD_MAX);
	build();
	check_all();
	CHECK_EQ(rig.runs, 1);
	for (int i = 0; i < 8; i++)
		CHECK_EQ(rig.items[i].pad, i % 2 ? 0 : 1);
}

TEST(runs_end_where_padding_does_not_reach)
{
	start();
	add(0, 1000, SL_PAD_MAX);
	add(0, 1000 + SL_PAD_MAX, SL_PAD_MAX);
	add(0, 1000 + SL_PAD_MAX + 1, SL_PAD_MAX); /* the first would need one more */
	build();
	check_all();
	CHECK_EQ(rig.runs, 2);
	CHECK_EQ(rig.items[0].pad, SL_PAD_MAX);
	CHECK_EQ(rig.spans[0].count, 2);
}

TEST(runs_without_leave_to_pad_hold_equal_lengths)
{
	start();
	add(0, 1100, 0);
	add(0, 1101, 0);
	add(0, 1101, 0);
	add(0, 1100, 0);
	add(0, 1101, 0);
	build();
	check_all();
	CHECK_EQ(rig.runs, 3);
	CHECK_EQ(rig.spans[1].count, 3);
}

TEST(runs_take_destinations_in_turn)
{
	start();
	for (int i = 0; i < 40; i++)
		add((uint8_t)(i / 20), 500, 0);
	build();
	check_all();
	CHECK_EQ(rig.runs, 4);
	CHECK_EQ(rig.spans[0].dest, 0);
	CHECK_EQ(rig.spans[1].dest, 1);
	CHECK_EQ(rig.spans[2].dest, 0);
	CHECK_EQ(rig.spans[0].count, SL_RUN_PKTS);
	CHECK_EQ(rig.spans[2].count, 20 - SL_RUN_PKTS);
}

TEST(runs_gather_what_lies_between_others)
{
	start();
	for (int i = 0; i < 64; i++)
		add((uint8_t)(i % 8), 1200, 0);
	build();
	check_all();
	CHECK_EQ(rig.runs, 8);
}

TEST(runs_are_left_alone_for_a_marked_destination)
{
	start();
	for (int i = 0; i < 8; i++)
		add((uint8_t)(i % 2), (uint16_t)(900 + i), SL_PAD_MAX);
	rig.single[1] = true;
	build();
	check_all();
	CHECK_EQ(rig.runs, 1 + 4);
}

static void any_mix(uint64_t seed)
{
	struct sl_test_rng state;
	struct sl_rng rng = sl_test_rng(&state, seed);
	uint32_t dests = 1 + sl_rng_u32(&rng) % 12;
	uint32_t base = 40 + sl_rng_u32(&rng) % 1400;
	uint32_t spread = 1 + sl_rng_u32(&rng) % (seed % 3 ? 20 : 1400);
	uint32_t n = 1 + sl_rng_u32(&rng) % SL_BATCH;

	start();
	for (uint32_t d = 0; d < dests; d++)
		rig.single[d] = sl_rng_u32(&rng) % 5 == 0;
	/* Numbers are given in order of appearance. */
	for (uint32_t i = 0, known = 0; i < n; i++) {
		uint32_t d = sl_rng_u32(&rng) % dests;

		d = SL_MIN(d, known);
		known = SL_MAX(known, d + 1);
		add((uint8_t)d, (uint16_t)(base + sl_rng_u32(&rng) % spread),
		    sl_rng_u32(&rng) % 4 ? SL_PAD_MAX : 0);
	}
	build();
	check_all();
}

TEST(runs_of_any_mix_are_complete_in_order_and_such_as_the_system_takes)
{
	for (uint64_t seed = 0; seed < 5000; seed++)
		any_mix(seed);
}
