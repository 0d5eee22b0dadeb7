/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/mem.h"
#include "tests/dtls/pair.h"

enum { MSG_MAX = 2048 };

/* A browser's hello, joined by hand. */
struct whole {
	uint32_t len;
	uint8_t msg[MSG_MAX];
};

struct cut {
	uint32_t from, to;
};

static const char *const captures[2][2] = {
	{"tests/vectors/dtls/chromium-ch-0.bin", "tests/vectors/dtls/chromium-ch-1.bin"},
	{"tests/vectors/dtls/firefox-ch-0.bin", "tests/vectors/dtls/firefox-ch-1.bin"},
};

static struct whole load(int browser)
{
	struct whole w = {0};
	uint8_t buf[1500];

	for (int i = 0; i < 2; i++) {
		size_t n = pair_file(captures[browser][i], buf, sizeof(buf));
		struct sl_rd in = sl_rd(buf + DTLS_RECORD_HDR, n - DTLS_RECORD_HDR);
		struct dtls_fragment f;

		TRY(dtls_fragment_read(&in, &f));
		CHECK_EQ(f.type, DTLS_HS_CLIENT_HELLO);
		CHECK_EQ(f.off, w.len);
		memcpy(w.msg + f.off, f.body, f.len);
		w.len += f.len;
		CHECK(i == 0 || w.len == f.msg_len);
	}
	return w;
}

static size_t write_fragment(const struct whole *w, struct cut c, uint64_t seq, uint8_t *out)
{
	struct sl_wr wr = sl_wr(out, MSG_MAX + 32);

	sl_wr8(&wr, DTLS_HANDSHAKE);
	sl_wr16(&wr, 0xfeff);
	sl_wr64(&wr, seq);
	sl_wr16(&wr, (uint16_t)(DTLS_HS_HDR + c.to - c.from));
	sl_wr8(&wr, DTLS_HS_CLIENT_HELLO);
	sl_wr24(&wr, w->len);
	sl_wr16(&wr, 0);
	sl_wr24(&wr, c.from);
	sl_wr24(&wr, c.to - c.from);
	sl_wr_bytes(&wr, w->msg + c.from, c.to - c.from);
	CHECK(!wr.full);
	return sl_wr_len(&wr);
}

static int feed(struct dtls_hello *h, const struct whole *w, struct cut c, uint64_t seq,
		int64_t now_us, struct dtls_record *out)
{
	static uint8_t buf[MSG_MAX + 32];
	struct sl_rd in = sl_rd(buf, write_fragment(w, c, seq, buf));
	struct dtls_record rec;

	TRY(dtls_record_read(&in, &rec));
	return dtls_hello_feed(h, &rec, now_us, out);
}

static void check_whole(const struct dtls_record *rec, const struct whole *w, uint64_t seq)
{
	struct sl_rd in = sl_rd(rec->whole, DTLS_RECORD_HDR + rec->len);
	struct dtls_record again;
	struct dtls_fragment f;

	TRY(dtls_record_read(&in, &again));
	CHECK_EQ(sl_rd_left(&in), 0);
	CHECK_EQ(again.seq, seq);
	CHECK_EQ(again.epoch, 0);
	in = sl_rd(again.body, again.len);
	TRY(dtls_fragment_read(&in, &f));
	CHECK_EQ(sl_rd_left(&in), 0);
	CHECK_EQ(f.off, 0);
	CHECK_EQ(f.len, w->len);
	CHECK_EQ(f.msg_len, w->len);
	CHECK_BYTES(f.body, w->msg, w->len);
}

static uint32_t below(struct sl_rng *rng, uint32_t n)
{
	return sl_rng_u32(rng) % n;
}

/* k pieces at seeded places, in seeded order. */
static void split(struct sl_rng *rng, uint32_t len, int k, struct cut *out)
{
	uint32_t at[9] = {0};

	for (int i = 1; i < k; i++)
		at[i] = len * (uint32_t)i / (uint32_t)k - below(rng, len / (uint32_t)k - 1);
	at[k] = len;
	for (int i = 0; i < k; i++)
		out[i] = (struct cut){at[i], at[i + 1]};
	for (int i = k - 1; i > 0; i--) {
		int j = (int)below(rng, (uint32_t)i + 1);
		struct cut c = out[i];

		out[i] = out[j];
		out[j] = c;
	}
}

TEST(t13_a_browsers_hello_cut_in_two_anywhere_is_joined_in_either_order)
{
	for (int browser = 0; browser < 2; browser++) {
		struct whole w = load(browser);

		for (uint32_t at = 1; at < w.len; at++)
			for (int order = 0; order < 2; order++) {
				struct cut c[2] = {{0, at}, {at, w.len}};
				struct dtls_hello h = {0};
				struct dtls_record rec;

				CHECK_EQ(feed(&h, &w, c[order], 7, 0, &rec), 0);
				CHECK_EQ(feed(&h, &w, c[!order], 8, 0, &rec), 1);
				check_whole(&rec, &w, 8);
			}
	}
}

TEST(t13_a_hello_in_up_to_eight_pieces_is_joined_in_any_order_with_duplicates)
{
	struct sl_test_rng state;
	struct sl_rng rng = sl_test_rng(&state, 5);

	for (int round = 0; round < 400; round++) {
		struct whole w = load(round % 2);
		int k = 2 + round / 2 % 7;
		struct dtls_hello h = {0};
		struct dtls_record rec;
		struct cut c[8];

		split(&rng, w.len, k, c);
		for (int i = 0; i < k; i++) {
			CHECK_EQ(feed(&h, &w, c[i], (uint64_t)i, 0, &rec), i == k - 1);
			if (i < k - 1)
				CHECK_EQ(feed(&h, &w, c[below(&rng, (uint32_t)i + 1)], 90, 0, &rec),
					 0);
		}
		check_whole(&rec, &w, (uint64_t)k - 1);
	}
}

TEST(t13_overlapping_pieces_that_agree_are_joined)
{
	struct whole w = load(0);
	struct dtls_hello h = {0};
	struct dtls_record rec;

	CHECK_EQ(feed(&h, &w, (struct cut){0, 700}, 1, 0, &rec), 0);
	CHECK_EQ(feed(&h, &w, (struct cut){300, 900}, 2, 0, &rec), 0);
	CHECK_EQ(feed(&h, &w, (struct cut){800, w.len}, 3, 0, &rec), 1);
	check_whole(&rec, &w, 3);
}

TEST(t13_a_piece_that_contradicts_begins_anew_and_the_repetition_heals)
{
	struct whole w = load(0), forged = w;
	struct dtls_hello h = {0};
	struct dtls_record rec;

	forged.msg[650] ^= 1;
	CHECK_EQ(feed(&h, &w, (struct cut){0, 700}, 1, 0, &rec), 0);
	CHECK_EQ(feed(&h, &forged, (struct cut){600, w.len}, 2, 0, &rec), 0);
	CHECK_EQ(feed(&h, &w, (struct cut){600, w.len}, 3, 0, &rec), 0);
	CHECK_EQ(feed(&h, &w, (struct cut){0, 700}, 4, 0, &rec), 1);
	check_whole(&rec, &w, 4);
}

TEST(t13_a_hello_of_another_client_takes_the_place_of_an_unfinished_one)
{
	struct whole a = load(0), b = load(1);
	struct dtls_hello h = {0};
	struct dtls_record rec;

	CHECK_EQ(feed(&h, &a, (struct cut){0, 700}, 1, 0, &rec), 0);
	CHECK_EQ(feed(&h, &b, (struct cut){0, 700}, 2, 0, &rec), 0);
	CHECK_EQ(feed(&h, &b, (struct cut){700, b.len}, 3, 0, &rec), 1);
	check_whole(&rec, &b, 3);
}

TEST(an_unfinished_hello_is_forgotten_after_two_seconds)
{
	struct whole w = load(1);
	struct dtls_hello h = {0};
	struct dtls_record rec;

	CHECK_EQ(feed(&h, &w, (struct cut){0, 700}, 1, 0, &rec), 0);
	CHECK_EQ(feed(&h, &w, (struct cut){700, w.len}, 2, DTLS_HELLO_LIFE_US + 1, &rec), 0);
	CHECK_EQ(feed(&h, &w, (struct cut){0, 700}, 3, DTLS_HELLO_LIFE_US + 2, &rec), 1);
}

TEST(t14_pieces_without_bytes_or_beyond_the_bounds_are_dropped)
{
	struct whole w = load(0), huge = w;
	struct dtls_hello h = {0};
	struct dtls_record rec;
	uint64_t total = sl_mem_stat().total;

	CHECK_EQ(feed(&h, &w, (struct cut){5, 5}, 1, 0, &rec), SL_EPARSE);
	huge.len = DTLS_HELLO_MAX + 1;
	CHECK_EQ(feed(&h, &huge, (struct cut){0, 100}, 1, 0, &rec), SL_EFULL);
	huge.len = 0xffffff;
	CHECK_EQ(feed(&h, &huge, (struct cut){0, 100}, 1, 0, &rec), SL_EFULL);
	huge.len = 99;
	CHECK_EQ(feed(&h, &huge, (struct cut){0, 100}, 1, 0, &rec), SL_EPARSE);
	CHECK_EQ(h.have, 0);
	for (uint32_t i = 0; i < 1000; i++)
		CHECK_EQ(feed(&h, &w, (struct cut){i, i + 1}, i, 0, &rec), 0);
	CHECK(h.pieces <= DTLS_HELLO_PIECES);
	CHECK(h.have <= DTLS_HELLO_PIECES);
	CHECK_EQ(sl_mem_stat().total, total);
}

TEST(t10_profiles_are_read_from_the_hello_of_a_browser)
{
	/* RFC 5764 section 4.1.2 */
	struct whole w = load(0);
	struct dtls_hello h = {0};
	struct dtls_record rec;

	CHECK_EQ(feed(&h, &w, (struct cut){0, w.len}, 0, 0, &rec), 1);
	CHECK_EQ(dtls_hello_srtp(&rec), 1);
	for (size_t cut = 0; cut < rec.len; cut++) {
		struct dtls_record part = rec;

		part.len = cut;
		CHECK_EQ(dtls_hello_srtp(&part), 0);
	}
}

/* The engine as server answers a captured hello, however it comes, with a flight that begins with
 * ServerHello. */
static void check_answer(struct sl_dtls *d)
{
	struct dtls_record rec;
	const uint8_t *data;
	struct sl_rd in;
	size_t len;

	CHECK(sl_dtls_pull(d, &data, &len));
	in = sl_rd(data, len);
	TRY(dtls_record_read(&in, &rec));
	CHECK_EQ(rec.type, DTLS_HANDSHAKE);
	CHECK_EQ(rec.version, 0xfefd);
	CHECK_EQ(rec.body[0], DTLS_HS_SERVER_HELLO);
	while (sl_dtls_pull(d, &data, &len))
		CHECK(len <= SL_DTLS_MTU);
}

TEST(t13_captured_datagrams_of_both_browsers_are_answered_and_again_after_loss)
{
	static uint8_t part[2][1500];

	for (int browser = 0; browser < 2; browser++) {
		struct pair *p = pair_new(6);
		size_t len[2];
		const uint8_t *data;
		size_t n;

		pair_start(p);
		for (int i = 0; i < 2; i++)
			len[i] = pair_file(captures[browser][i], part[i], sizeof(part[i]));
		/* The second is lost, then both come again with new record numbers, the other way
		 * round. */
		sl_dtls_recv(p->end[SERVER], part[0], len[0], 0);
		CHECK(!sl_dtls_pull(p->end[SERVER], &data, &n));
		for (int again = 0; again < 2; again++) {
			part[1][10] = part[0][10] = (uint8_t)(2 + again * 2);
			part[0][10]++;
			sl_dtls_recv(p->end[SERVER], part[1], len[1], (again + 1) * SL_SEC / 4);
			sl_dtls_recv(p->end[SERVER], part[0], len[0], (again + 1) * SL_SEC / 4);
			if (sl_test_oom_fired())
				sl_test_oom_stop();
			check_answer(p->end[SERVER]);
			CHECK(!sl_dtls_pull(p->end[SERVER], &data, &n));
		}
	}
}

/* The client's own hello, cut on its way. */
static bool cutter(struct pair *p, int to, const uint8_t *data, size_t len)
{
	struct whole w = {.len = (uint32_t)(len - DTLS_RECORD_HDR - DTLS_HS_HDR)};
	static uint8_t buf[MSG_MAX + 32];
	struct cut c[8];

	if (to != SERVER || data[0] != DTLS_HANDSHAKE ||
	    data[DTLS_RECORD_HDR] != DTLS_HS_CLIENT_HELLO)
		return true;
	memcpy(w.msg, data + DTLS_RECORD_HDR + DTLS_HS_HDR, w.len);
	split(&p->rng[2], w.len, p->tap_count, c);
	for (int i = 0; i < p->tap_count; i++)
		if (below(&p->rng[2], 10) != 0)
			pair_send(p, SERVER, buf,
				  write_fragment(&w, c[i], sl_get16(data + 9) * 16u + (uint64_t)i,
						 buf));
	return false;
}

TEST(t13_handshakes_with_hellos_in_two_to_eight_pieces_all_complete)
{
	for (int k = 2; k <= 8; k++) {
		struct pair *p = pair_new(100 + (uint64_t)k);

		p->tap = cutter;
		p->tap_count = k;
		pair_start(p);
		pair_run(p, 20 * SL_SEC);
		pair_check(p);
	}
}
