/* SPDX-License-Identifier: Apache-2.0 */
#include "ice/ice_int.h"
#include "tests/test.h"

static struct {
	struct sl_test_rng seed;
	struct sl_rng rng;
	struct sl_path server;
	struct sl_reflex r;
	uint8_t tid[SL_STUN_TID_LEN]; /* of the latest request */
	int requests;
} S;

static void start(void)
{
	memset(&S, 0, sizeof(S));
	S.rng = sl_test_rng(&S.seed, 1);
	S.server = (struct sl_path){.remote = sl_addr_v4(192, 0, 2, 9, 3478), .sock = 2};
	sl_reflex_init(&S.r, &S.server, 0x01020304, &S.rng, 0);
}

static void drain(void)
{
	struct sl_dgram d;
	struct sl_stun m;

	while (sl_reflex_pull(&S.r, &d)) {
		CHECK(sl_path_eq(&d.path, &S.server));
		CHECK_EQ(stun_read(d.data, d.len, &m), SL_OK);
		CHECK_EQ(m.class_, SL_STUN_REQUEST);
		CHECK_EQ(m.method, STUN_BINDING);
		CHECK_BYTES(m.tid, "\x01\x02\x03\x04", 4);
		memcpy(S.tid, m.tid, sizeof(S.tid));
		S.requests++;
	}
}

static int give(const struct sl_path *path, struct sl_stun *m)
{
	uint8_t out[256];
	struct sl_dgram in = {.path = *path, .data = out};
	int n;

	m->method = STUN_BINDING;
	if (!m->tid[4])
		memcpy(m->tid, S.tid, sizeof(m->tid));
	n = stun_write(m, NULL, 0, out, sizeof(out));
	CHECK(n > 0);
	in.len = (size_t)n;
	return sl_reflex_recv(&S.r, &in, 0);
}

static struct sl_stun success(struct sl_addr mapped)
{
	return (struct sl_stun){
		.class_ = SL_STUN_SUCCESS, .has = STUN_XOR_MAPPED, .mapped = mapped};
}

TEST(a_stun_server_tells_the_address_outside)
{
	struct sl_stun m = success(sl_addr_v4(203, 0, 113, 7, 40000));
	struct sl_reflex_event ev;

	start();
	drain();
	CHECK_EQ(S.requests, 1);
	CHECK(!sl_reflex_event(&S.r, &ev));
	CHECK_EQ(give(&S.server, &m), SL_OK);
	CHECK(sl_reflex_event(&S.r, &ev));
	CHECK(sl_addr_eq(&ev.mapped, &m.mapped));
	CHECK(!sl_reflex_event(&S.r, &ev));
	CHECK(sl_reflex_deadline_us(&S.r) == SL_NEVER);
	CHECK_EQ(give(&S.server, &m), SL_ENOTFOUND); /* the second of two answers */
}

TEST(a_stun_question_is_repeated_with_growing_pauses_and_given_up_after_ten_seconds)
{
	static const int64_t at_ms[] = {500, 1500, 3500, 7500, 10000};
	struct sl_reflex_event ev;

	start();
	drain();
	for (size_t i = 0; i < SL_COUNT(at_ms); i++) {
		CHECK(!sl_reflex_event(&S.r, &ev));
		CHECK_EQ(sl_reflex_deadline_us(&S.r), at_ms[i] * SL_MS);
		sl_reflex_tick(&S.r, at_ms[i] * SL_MS);
		drain();
	}
	CHECK_EQ(S.requests, 5);
	CHECK(sl_reflex_event(&S.r, &ev));
	CHECK_EQ(ev.mapped.family, 0);
	CHECK_STR(ev.why, "no answer within 10 s");
	CHECK(sl_reflex_deadline_us(&S.r) == SL_NEVER);
}

TEST(t48_a_stun_answer_from_elsewhere_or_to_another_question_is_not_believed)
{
	struct sl_stun m = success(sl_addr_v4(203, 0, 113, 7, 40000));
	struct sl_path path;
	struct sl_reflex_event ev;

	start();
	drain();
	path = S.server;
	path.sock++;
	CHECK_EQ(give(&path, &m), SL_ENOTFOUND);
	path = S.server;
	path.remote.port++;
	CHECK_EQ(give(&path, &m), SL_ENOTFOUND);
	memcpy(m.tid, S.tid, sizeof(m.tid));
	m.tid[11] ^= 1;
	CHECK_EQ(give(&S.server, &m), SL_ENOTFOUND);
	CHECK(!sl_reflex_event(&S.r, &ev));
}

TEST(t48_an_address_that_nobody_can_have_is_not_believed)
{
	struct sl_addr six;
	struct sl_reflex_event ev;

	CHECK_EQ(sl_addr_parse(SL_STR("[2001:db8::5]:50000"), &six), SL_OK);
	const struct sl_addr bad[] = {sl_addr_v4(0, 0, 0, 0, 5000), sl_addr_v4(224, 0, 0, 1, 5000),
				      sl_addr_v4(203, 0, 113, 7, 0), six};

	for (size_t i = 0; i < SL_COUNT(bad); i++) {
		struct sl_stun m = success(bad[i]);

		start();
		drain();
		CHECK_EQ(give(&S.server, &m), SL_EPARSE);
		CHECK(!sl_reflex_event(&S.r, &ev));
	}
}

TEST(a_stun_server_that_refuses_is_told_of_in_words)
{
	struct sl_stun m = {.class_ = SL_STUN_ERROR, .has = STUN_ERROR_CODE, .error_code = 500};
	struct sl_reflex_event ev;

	start();
	drain();
	CHECK_EQ(give(&S.server, &m), SL_OK);
	CHECK(sl_reflex_event(&S.r, &ev));
	CHECK_EQ(ev.mapped.family, 0);
	CHECK_STR(ev.why, "it has an error of its own (STUN error 500)");
}

TEST(t24_the_words_of_a_server_cannot_forge_a_line_of_the_log)
{
	char why[SL_SERVER_WHY];

	stun_error_words(486, SL_STR("Quota\nERROR \x1b[31m\xff"), why);
	CHECK_STR(why, "this user has too many allocations (STUN error 486: Quota?ERROR ?[31m?)");
	static const char many[700];
	stun_error_words(486, sl_str(many, sizeof(many)), why);
	CHECK(strlen(why) < SL_SERVER_WHY);
	CHECK(strchr(why, ')'));
}
