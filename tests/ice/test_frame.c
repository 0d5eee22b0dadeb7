/* SPDX-License-Identifier: Apache-2.0 */
#include "ice/frame.h"
#include "tests/test.h"

/* Everything that comes out, one after the other, each with its length before it. */
struct got {
	uint8_t bytes[16384];
	size_t len;
	int count, err;
};

static void feed(struct sl_frame *f, const uint8_t *data, size_t len, struct got *g)
{
	struct sl_rd in = sl_rd(data, len);
	const uint8_t *p;
	size_t n;

	while (!g->err && (g->err = sl_frame_next(f, &in, &p, &n)) > 0) {
		CHECK(g->len + 2 + n <= sizeof(g->bytes));
		sl_put16(g->bytes + g->len, (uint16_t)n);
		memcpy(g->bytes + g->len + 2, p, n);
		g->len += 2 + n;
		g->count++;
		g->err = 0;
	}
}

/* The stream cut into pieces of `step` bytes; 0: whole. */
static void run(enum sl_framing framing, const uint8_t *data, size_t len, size_t step,
		struct got *g)
{
	struct sl_frame f;

	memset(g, 0, sizeof(*g));
	sl_frame_init(&f, framing);
	for (size_t at = 0; at < len; at += step ? step : len)
		feed(&f, data + at, SL_MIN(step ? step : len, len - at), g);
}

static size_t put_4571(uint8_t *out, size_t len, uint8_t fill)
{
	int n = sl_frame_head(SL_FRAMING_RFC4571, len, out);

	CHECK_EQ(n, 2);
	memset(out + 2, fill, len);
	return 2 + len;
}

static size_t put_channel(uint8_t *out, size_t len, uint8_t fill)
{
	size_t pad = sl_frame_pad(SL_FRAMING_TURN, 0x40, 4 + len);

	sl_put16(out, 0x4001);
	sl_put16(out + 2, (uint16_t)len);
	memset(out + 4, fill, len);
	memset(out + 4 + len, 0, pad);
	return 4 + len + pad;
}

static size_t put_stun(uint8_t *out, size_t len, uint8_t fill)
{
	memset(out, fill, 20 + len);
	sl_put16(out, 0x0001);
	sl_put16(out + 2, (uint16_t)len);
	return 20 + len;
}

static void same_for_every_cut(enum sl_framing framing, const uint8_t *data, size_t len, int want)
{
	static struct got whole, cut;

	run(framing, data, len, 0, &whole);
	CHECK_EQ(whole.err, 0);
	CHECK_EQ(whole.count, want);
	for (size_t step = 1; step < 70; step++) {
		run(framing, data, len, step, &cut);
		CHECK_EQ(cut.err, 0);
		CHECK_EQ(cut.count, want);
		CHECK_EQ(cut.len, whole.len);
		CHECK_BYTES(cut.bytes, whole.bytes, whole.len);
	}
}

TEST(any_way_of_cutting_an_rfc4571_stream_gives_the_same_datagrams)
{
	uint8_t s[4096];
	size_t n = 0;

	n += put_4571(s + n, 1, 'a');
	n += put_4571(s + n, 0, 0); /* says nothing */
	n += put_4571(s + n, 1200, 'b');
	n += put_4571(s + n, 255, 'c');
	n += put_4571(s + n, 256, 'd');
	same_for_every_cut(SL_FRAMING_RFC4571, s, n, 4);
}

TEST(any_way_of_cutting_a_turn_stream_gives_the_same_datagrams)
{
	uint8_t s[4096];
	size_t n = 0;

	n += put_stun(s + n, 0, 1);
	n += put_channel(s + n, 0, 0);
	n += put_channel(s + n, 1, 'a');
	n += put_stun(s + n, 64, 2);
	n += put_channel(s + n, 1201, 'b');
	n += put_channel(s + n, 4, 'c');
	same_for_every_cut(SL_FRAMING_TURN, s, n, 6);
}

TEST(padding_of_channel_data_is_not_given_out)
{
	static struct got g;
	uint8_t s[64];
	size_t n = put_channel(s, 5, 'x');

	CHECK_EQ(n, 12);
	run(SL_FRAMING_TURN, s, n, 0, &g);
	CHECK_EQ(g.count, 1);
	CHECK_EQ(sl_get16(g.bytes), 9);
	/* The last byte of padding decides that it is there. */
	run(SL_FRAMING_TURN, s, n - 1, 0, &g);
	CHECK_EQ(g.count, 0);
}

TEST(a_frame_that_lies_in_the_input_whole_is_not_copied)
{
	struct sl_frame f;
	uint8_t s[64];
	struct sl_rd in = sl_rd(s, put_4571(s, 10, 'a'));
	const uint8_t *p;
	size_t n;

	sl_frame_init(&f, SL_FRAMING_RFC4571);
	CHECK_EQ(sl_frame_next(&f, &in, &p, &n), 1);
	CHECK(p == s + 2);
	CHECK_EQ(n, 10);
	CHECK_EQ(sl_frame_next(&f, &in, &p, &n), 0);
}

TEST(t24_a_datagram_of_the_limit_passes_and_one_byte_more_ends_the_stream)
{
	static uint8_t s[SL_FRAME_MAX + 64];
	static struct got g;

	for (size_t step = 0; step < 3; step++) {
		run(SL_FRAMING_RFC4571, s, put_4571(s, SL_FRAME_MAX, 'a'), step, &g);
		CHECK_EQ(g.count, 1);
		run(SL_FRAMING_RFC4571, s, put_4571(s, SL_FRAME_MAX + 1, 'a'), step, &g);
		CHECK_EQ(g.err, SL_EPARSE);
		run(SL_FRAMING_TURN, s, put_channel(s, SL_FRAME_MAX - 4, 'a'), step, &g);
		CHECK_EQ(g.count, 1);
		run(SL_FRAMING_TURN, s, put_channel(s, SL_FRAME_MAX - 3, 'a'), step, &g);
		CHECK_EQ(g.err, SL_EPARSE);
	}
}

TEST(t24_a_turn_stream_of_anything_else_is_refused_at_its_first_four_bytes)
{
	static const uint8_t bad[][4] = {
		{0x80, 0, 0, 4}, {0xff, 0xff, 0, 0}, {0, 1, 0, 3}, {0, 1, 0xff, 0xfc}};
	static struct got g;

	for (size_t i = 0; i < SL_COUNT(bad); i++) {
		run(SL_FRAMING_TURN, bad[i], 3, 1, &g);
		CHECK_EQ(g.err, 0);
		run(SL_FRAMING_TURN, bad[i], 4, 1, &g);
		CHECK_EQ(g.err, SL_EPARSE);
	}
}

TEST(what_rfc4571_cannot_say_the_length_of_is_refused)
{
	uint8_t head[SL_FRAME_HEAD];

	CHECK_EQ(sl_frame_head(SL_FRAMING_RFC4571, 65535, head), 2);
	CHECK_EQ(sl_frame_head(SL_FRAMING_RFC4571, 65536, head), SL_ERANGE);
	CHECK_EQ(sl_frame_head(SL_FRAMING_TURN, 100, head), 0);
	CHECK_EQ(sl_frame_pad(SL_FRAMING_RFC4571, 0x40, 5), 0);
	CHECK_EQ(sl_frame_pad(SL_FRAMING_TURN, 0x00, 5), 0);
}
