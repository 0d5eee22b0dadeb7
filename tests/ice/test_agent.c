/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/ice/ice_rig.h"
#include "core/base/bytes.h"
#include "core/base/digest.h"

static struct rig R;

/* ---- T06 ---- */
enum who {
	RIGHT,
	NOBODY,
	LOCAL_WRONG,
	REMOTE_WRONG,
	SWAPPED,
	NO_COLON,
	EMPTY,
	LONGER,
	SHORTER,
	CASE,
	OLD_STYLE
};
enum tid { OURS, TAG_ONLY, RANDOM };
struct forgery {
	const char *what;
	enum sl_stun_class class_;
	enum who who;
	enum tid tid;
	const char *key; /* NULL: the right one */
	uint32_t drop;	 /* enum stun_has left out */
	uint16_t method; /* 0: Binding */
	int cut;	 /* bytes off the end */
	int at;		 /* byte to change, with */
	uint8_t flip;
	bool elsewhere; /* from another address than was asked */
};

static const struct forgery forgeries[] = {
	{.what = "no user name", .drop = STUN_USERNAME},
	{.what = "no integrity", .drop = STUN_INTEGRITY},
	{.what = "neither", .drop = STUN_USERNAME | STUN_INTEGRITY},
	{.what = "another password", .key = "0123456789012345678901"},
	{.what = "the peer's own password", .key = RIG_PWD},
	{.what = "an empty password", .key = ""},
	{.what = "another's local half", .who = LOCAL_WRONG},
	{.what = "another's remote half", .who = REMOTE_WRONG},
	{.what = "halves swapped", .who = SWAPPED},
	{.what = "no colon", .who = NO_COLON},
	{.what = "an empty user name", .who = EMPTY},
	{.what = "remote half with a tail", .who = LONGER},
	{.what = "remote half cut short", .who = SHORTER},
	{.what = "remote half in capitals", .who = CASE},
	{.what = "local half alone and a colon", .who = OLD_STYLE},
	{.what = "a wrong fingerprint", .at = -1, .flip = 1},
	{.what = "a wrong cookie", .at = 4, .flip = 1},
	{.what = "a transaction id changed", .at = 9, .flip = 0x80, .drop = STUN_FINGERPRINT},
	{.what = "a user name changed", .at = 25, .flip = 1, .drop = STUN_FINGERPRINT},
	{.what = "an integrity changed", .at = -1, .flip = 1, .drop = STUN_FINGERPRINT},
	{.what = "RTP's first bits", .at = 0, .flip = 0x80},
	{.what = "a length four too long", .at = 3, .flip = 4},
	{.what = "a length that is no multiple of four", .at = 3, .flip = 2},
	{.what = "cut by one byte", .cut = 1},
	{.what = "cut by an attribute", .cut = 8},
	{.what = "cut to half a header", .cut = 1000},
	{.what = "a signed request of another method", .method = 3},
	{.what = "a signed indication", .class_ = SL_STUN_INDICATION},
	{.what = "a success for nothing", .class_ = SL_STUN_SUCCESS, .tid = RANDOM},
	{.what = "a success with our tag only", .class_ = SL_STUN_SUCCESS, .tid = TAG_ONLY},
	{.what = "a success unsigned", .class_ = SL_STUN_SUCCESS, .drop = STUN_INTEGRITY},
	{.what = "a success under our password", .class_ = SL_STUN_SUCCESS, .key = "ours"},
	{.what = "a success from elsewhere", .class_ = SL_STUN_SUCCESS, .elsewhere = true},
	{.what = "a success without address", .class_ = SL_STUN_SUCCESS, .drop = STUN_XOR_MAPPED},
	{.what = "a role conflict unsigned", .class_ = SL_STUN_ERROR, .drop = STUN_INTEGRITY},
	{.what = "a role conflict under another key",
	 .class_ = SL_STUN_ERROR,
	 .key = "0123456789012345678901"},
	{.what = "a role conflict from elsewhere", .class_ = SL_STUN_ERROR, .elsewhere = true},
	{.what = "an error without a code", .class_ = SL_STUN_ERROR, .drop = STUN_ERROR_CODE},
};

static void user_of(enum who who, const char *ours, char *out, size_t cap)
{
	static const char *const formats[] = {
		[RIGHT] = "%s:peer",	    [NOBODY] = "%s",	   [LOCAL_WRONG] = "x%s:peer",
		[REMOTE_WRONG] = "%s:reep", [SWAPPED] = "peer:%s", [NO_COLON] = "%speer",
		[EMPTY] = "%.0s",	    [LONGER] = "%s:peerx", [SHORTER] = "%s:pee",
		[CASE] = "%s:PEER",	    [OLD_STYLE] = "%s:",
	};
	struct sl_buf b = sl_buf(out, cap);
	const char *f = formats[who];
	const char *at = strchr(f, '%');

	sl_buf_add(&b, f, (size_t)(at - f));
	if (who != EMPTY)
		sl_buf_z(&b, ours);
	sl_buf_z(&b, at + (who == EMPTY ? 4 : 2));
}

static size_t forge(struct rig *r, const struct forgery *f, const uint8_t *tid, uint8_t *out,
		    size_t cap)
{
	const char *ours = sl_ice_local_creds(&r->ice)->pwd;
	bool to_us = f->class_ == SL_STUN_REQUEST || f->class_ == SL_STUN_INDICATION;
	const char *key = f->key && strcmp(f->key, "ours") != 0 ? f->key
			  : f->key || to_us			? ours
								: RIG_PWD;
	struct sl_stun m = {
		.class_ = f->class_,
		.method = f->method ? f->method : STUN_BINDING,
		.has = STUN_INTEGRITY | STUN_FINGERPRINT,
		.error_code = 487,
		.mapped = sl_addr_v4(1, 2, 3, 4, 5),
	};
	char user[64];
	size_t n;
	int len;

	user_of(f->who, sl_ice_local_creds(&r->ice)->ufrag, user, sizeof(user));
	m.username = sl_str_z(user);
	m.has |= to_us ? STUN_USERNAME | STUN_PRIORITY | STUN_USE_CANDIDATE |
				 (r->ice.controlling ? STUN_CONTROLLED : STUN_CONTROLLING)
		 : f->class_ == SL_STUN_SUCCESS ? STUN_XOR_MAPPED
						: STUN_ERROR_CODE;
	m.has &= ~f->drop;
	sl_rng_fill(&r->rng, m.tid, sizeof(m.tid));
	memcpy(m.tid, tid, f->tid == OURS ? sizeof(m.tid) : f->tid == TAG_ONLY ? 4 : 0);
	len = stun_write(&m, key, strlen(key), out, cap);
	TRY(len);
	n = (size_t)len;
	if (f->flip)
		out[f->at < 0 ? n - 1 : (size_t)f->at] ^= f->flip;
	return f->cut == 0 ? n : f->cut < (int)n ? n - (size_t)f->cut : STUN_HEADER_LEN / 2;
}

/* Leaves the agent with a check of its own unanswered: full ones check, lite ones verify. */
static void with_check_out(bool lite)
{
	struct sl_path a = rig_path(1, 1000), b = rig_path(2, 2000);

	TRY(rig_init(&R, lite, !lite, false));
	if (lite) {
		CHECK_EQ(rig_check(&R, &a, true, 100), SL_OK);
		CHECK_EQ(rig_check(&R, &b, false, 100), SL_OK);
		rig_wait(&R, SL_SEC);
		rig_media(&R, &b);
	} else {
		TRY(rig_add_remote(&R, b.remote, 100, '1'));
		rig_wait(&R, 10 * SL_MS);
	}
	CHECK(R.last.class_ == SL_STUN_REQUEST);
}

TEST(t06_malformed_and_forged_messages_change_nothing_and_get_nothing)
{
	static struct sl_ice before;

	for (int lite = 0; lite < 2; lite++) {
		uint8_t tid[SL_STUN_TID_LEN];
		struct sl_path path;

		with_check_out(lite);
		path = R.out_path;
		memcpy(tid, R.last.tid, sizeof(tid));
		before = R.ice;
		for (size_t i = 0; i < SL_COUNT(forgeries); i++) {
			uint8_t buf[512];
			size_t n = forge(&R, &forgeries[i], tid, buf, sizeof(buf));
			struct sl_path from = forgeries[i].elsewhere ? rig_path(9, 9) : path;
			uint64_t counted = 0;

			for (int s = 0; s < SL_STAT_COUNT; s++)
				counted -= R.stats.n[s];
			if (rig_give(&R, &from, buf, n) >= 0)
				sl_test_failed(__FILE__, __LINE__, "accepted: %s",
					       forgeries[i].what);
			if (R.out_bytes || memcmp(&before, &R.ice, sizeof(before)) != 0)
				sl_test_failed(__FILE__, __LINE__, "it mattered: %s",
					       forgeries[i].what);
			for (int s = 0; s < SL_STAT_COUNT; s++)
				counted += R.stats.n[s];
			CHECK_EQ(counted, 1);
		}
		/* And the right answer still counts. */
		R.out_path = path;
		memcpy(R.last.tid, tid, sizeof(tid));
		R.last.class_ = SL_STUN_REQUEST;
		CHECK_EQ(rig_respond(&R), SL_OK);
	}
}

TEST(t06_any_single_bit_changed_in_a_check_makes_it_silent)
{
	struct sl_path path = rig_path(1, 1000);
	struct rig_msg m = {.use = true, .priority = 5};
	uint8_t buf[256];
	size_t n;

	TRY(rig_init(&R, true, false, false));
	n = rig_build(&R, &m, buf, sizeof(buf)) - 8;
	sl_put16(buf + 2,
		 (uint16_t)(n - STUN_HEADER_LEN)); /* without FINGERPRINT, to reach the integrity */
	for (size_t bit = 0; bit < n * 8; bit++) {
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK(rig_give(&R, &path, buf, n) < 0);
		CHECK_EQ(R.out_bytes, 0);
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_CHECKING);
	CHECK_EQ(rig_give(&R, &path, buf, n), SL_OK);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_CONNECTED);
}

/* ---- T08 ---- */
TEST(t08_unauthenticated_probes_get_no_byte)
{
	static const uint16_t unknown[] = {0x7f00, 0x7f01, 0x7f02, 0x7f03, 0x7f04, 0x7f05};

	for (int lite = 0; lite < 2; lite++) {
		struct sl_path path = rig_path(66, 6666);
		uint8_t buf[256];
		struct sl_wr w = sl_wr(buf, sizeof(buf));

		TRY(rig_init(&R, lite, false, false));
		sl_wr16(&w, 1);
		sl_wr16(&w, (uint16_t)(sizeof(unknown) * 2));
		sl_wr32(&w, STUN_COOKIE);
		sl_wr_zeros(&w, SL_STUN_TID_LEN);
		for (size_t i = 0; i < SL_COUNT(unknown); i++) {
			sl_wr16(&w, unknown[i]);
			sl_wr16(&w, 0);
		}
		CHECK(rig_give(&R, &path, buf, sl_wr_len(&w)) < 0);
		sl_put16(buf + 2, 0);
		CHECK(rig_give(&R, &path, buf, STUN_HEADER_LEN) < 0);
		for (int i = 0; i < 5000; i++) {
			sl_rng_fill(&R.rng, buf, 64);
			buf[0] &= 3;
			CHECK(rig_give(&R, &path, buf, 64) < 0);
		}
		CHECK_EQ(R.all_bytes, 0);
	}
}

TEST(t08_no_answer_is_longer_than_its_request)
{
	struct sl_path v6 = {.remote = {.ip = {0x20, 1, 0xd, 0xb8}, .port = 9, .family = 6}};
	struct sl_path paths[] = {rig_path(1, 1), v6};
	const char *pwd;
	char user[64];

	TRY(rig_init(&R, true, false, false));
	pwd = sl_ice_local_creds(&R.ice)->pwd;
	CHECK(sl_fmt(user, sizeof(user), "%s:peer", sl_ice_local_creds(&R.ice)->ufrag));
	for (int i = 0; i < 16; i++) {
		struct sl_stun m = {.method = STUN_BINDING, .has = STUN_USERNAME | STUN_INTEGRITY};
		uint8_t buf[256];
		int n;

		m.username = sl_str_z(user);
		m.has |= (i & 1 ? STUN_PRIORITY : 0) | (i & 2 ? STUN_FINGERPRINT : 0) |
			 (i & 4 ? STUN_CONTROLLED : 0);
		n = stun_write(&m, pwd, strlen(pwd), buf, sizeof(buf));
		TRY(n);
		CHECK_EQ(rig_give(&R, &paths[i >> 3], buf, (size_t)n), SL_OK);
		CHECK(R.out_bytes <= (size_t)n);
		CHECK(R.out_count == 1 || (i & 3) == 0);
	}
}

/* ---- what an authentic check gets ---- */
TEST(a_check_with_an_unknown_mandatory_attribute_is_told_so_and_changes_nothing)
{
	struct sl_path path = rig_path(1, 1000);
	struct rig_msg m = {.use = true};
	uint8_t buf[256], sum[SL_SHA1_LEN];
	size_t n;
	const char *pwd;

	TRY(rig_init(&R, true, false, false));
	n = rig_build(&R, &m, buf, sizeof(buf)) - 32; /* without integrity and fingerprint */
	sl_put32(buf + n, 0x7abc0000);
	sl_put16(buf + 2, (uint16_t)(n + 4 + 24 - STUN_HEADER_LEN));
	pwd = sl_ice_local_creds(&R.ice)->pwd;
	TRY(sl_hmac_sha1(pwd, strlen(pwd), &(struct sl_piece){buf, n + 4}, 1, sum));
	sl_put32(buf + n + 4, 0x00080014);
	memcpy(buf + n + 8, sum, sizeof(sum));
	CHECK_EQ(rig_give(&R, &path, buf, n + 28), SL_EUNSUPPORTED);
	CHECK_EQ(R.out_count, 1);
	CHECK_EQ(R.last.error_code, 420);
	CHECK(R.last.has & STUN_UNKNOWN_ATTRS);
	CHECK(R.out_bytes <= n + 28);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_CHECKING);
	CHECK_EQ(sl_ice_pairs(&R.ice, NULL, 0), 0);
	CHECK_EQ(sl_stat_get(&R.stats, SL_STAT_stun_unsupported), 1);
}

TEST(answers_are_signed_with_our_password_and_repeat_the_transaction_id)
{
	static const uint8_t tid[SL_STUN_TID_LEN] = "0123456789a";
	struct sl_path path = rig_path(1, 1000);
	struct rig_msg m = {.tid = tid};
	const char *pwd;

	TRY(rig_init(&R, false, false, false));
	CHECK_EQ(rig_say(&R, &path, &m), SL_OK);
	pwd = sl_ice_local_creds(&R.ice)->pwd;
	CHECK_EQ(R.last.class_, SL_STUN_SUCCESS);
	TRY(stun_check(&R.last, pwd, strlen(pwd)));
	CHECK_BYTES(R.last.tid, tid, sizeof(tid));
}

TEST(a_lite_agent_is_never_controlling)
{
	struct sl_path path = rig_path(1, 1000);
	struct rig_msg m = {.controlled = true, .use = true};

	TRY(rig_init(&R, true, true, false));
	CHECK_EQ(rig_say(&R, &path, &m), SL_OK);
	CHECK_EQ(R.last.error_code, 487);
	m.tie_breaker = UINT64_MAX;
	CHECK_EQ(rig_say(&R, &path, &m), SL_OK);
	CHECK_EQ(R.last.error_code, 487);
	CHECK(!sl_ice_path(&R.ice));
}

TEST(of_two_controlling_agents_the_larger_tie_breaker_stays)
{
	struct sl_path path = rig_path(1, 1000);
	struct rig_msg m = {.controlled = false};

	TRY(rig_init(&R, false, true, false));
	CHECK_EQ(rig_say(&R, &path, &m), SL_OK);
	CHECK_EQ(R.last.error_code, 487);
	CHECK(R.ice.controlling);
	m.tie_breaker = UINT64_MAX;
	CHECK_EQ(rig_say(&R, &path, &m), SL_OK);
	CHECK_EQ(R.last.class_, SL_STUN_SUCCESS);
	CHECK(!R.ice.controlling);
}

TEST(of_two_controlled_agents_the_larger_tie_breaker_takes_over)
{
	struct sl_path path = rig_path(1, 1000);
	struct rig_msg m = {.controlled = true, .tie_breaker = UINT64_MAX};

	TRY(rig_init(&R, false, false, false));
	CHECK_EQ(rig_say(&R, &path, &m), SL_OK);
	CHECK_EQ(R.last.error_code, 487);
	m.tie_breaker = 0;
	CHECK_EQ(rig_say(&R, &path, &m), SL_OK);
	CHECK_EQ(R.last.class_, SL_STUN_SUCCESS);
	CHECK(R.ice.controlling);
}

TEST(credentials_have_the_length_that_rfc8445_asks_for)
{
	static const char pwd[] = "0123456789012345678901";
	static char big[300];
	struct sl_str p = SL_STR(pwd);

	memset(big, 'x', sizeof(big));
	TRY(rig_init(&R, true, false, true));
	CHECK_EQ(strlen(sl_ice_local_creds(&R.ice)->ufrag), SL_ICE_OUR_UFRAG);
	CHECK_EQ(strlen(sl_ice_local_creds(&R.ice)->pwd), SL_ICE_OUR_PWD);
	CHECK_EQ(sl_ice_set_remote(&R.ice, SL_STR("abc"), p, R.now_us), SL_ERANGE);
	CHECK_EQ(sl_ice_set_remote(&R.ice, sl_str(big, 257), p, R.now_us), SL_ERANGE);
	CHECK_EQ(sl_ice_set_remote(&R.ice, SL_STR("abcd"), sl_str(pwd, 21), R.now_us), SL_ERANGE);
	CHECK_EQ(sl_ice_set_remote(&R.ice, SL_STR("abcd"), sl_str(big, 257), R.now_us), SL_ERANGE);
	CHECK_EQ(sl_ice_set_remote(&R.ice, SL_STR("ab\0d"), p, R.now_us), SL_ERANGE);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_NEW);
	CHECK_EQ(sl_ice_set_remote(&R.ice, sl_str(big, 256), sl_str(big, 256), R.now_us), SL_OK);
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_CHECKING);
}

TEST(a_check_to_a_peer_with_the_longest_user_name_fits)
{
	static char big[256];
	struct sl_path path = rig_path(1, 1);

	memset(big, 'u', sizeof(big));
	TRY(rig_init(&R, false, true, true));
	TRY(sl_ice_set_remote(&R.ice, sl_str(big, 256), sl_str(big, 256), R.now_us));
	TRY(rig_add_remote(&R, path.remote, 1, '1'));
	rig_wait(&R, 10 * SL_MS);
	CHECK_EQ(R.requests, 1);
	CHECK_EQ(R.last.username.n, 256 + 1 + SL_ICE_OUR_UFRAG);
}

TEST(fini_leaves_no_password_and_takes_a_zeroed_agent)
{
	static struct sl_ice zero;

	TRY(rig_init(&R, true, false, false));
	sl_ice_fini(&R.ice);
	CHECK_BYTES(&R.ice, &zero, sizeof(zero));
	sl_ice_fini(&R.ice);
}

TEST(too_many_local_candidates_are_an_error)
{
	static struct sl_ice_cand many[SL_ICE_LOCAL_MAX + 1];
	struct sl_ice_conf conf = {
		.local = many, .local_count = SL_COUNT(many), .rng = &R.rng, .stats = &R.stats};

	TRY(rig_init(&R, true, false, true));
	CHECK_EQ(sl_ice_init(&R.ice, &conf, 0), SL_ERANGE);
}

TEST(names_of_types_and_states_are_those_of_sdp_and_of_the_browser)
{
	CHECK_STR(sl_ice_type_name(SL_ICE_SRFLX), "srflx");
	CHECK_STR(sl_ice_state_name(SL_ICE_DISCONNECTED), "disconnected");
	CHECK_EQ(sl_ice_priority(SL_ICE_HOST, 65535), 2130706431);
}

/* ---- restart ---- */
TEST(after_a_restart_old_and_new_credentials_are_answered_until_the_new_are_in_use)
{
	struct sl_path path = rig_path(1, 1000);
	struct rig_msg m = {.use = true};
	char user[64], key[SL_ICE_OUR_PWD + 1];

	TRY(rig_init(&R, true, false, false));
	CHECK_EQ(rig_check(&R, &path, true, 1), SL_OK);
	CHECK(sl_fmt(user, sizeof(user), "%s:peer", sl_ice_local_creds(&R.ice)->ufrag));
	CHECK(sl_fmt(key, sizeof(key), "%s", sl_ice_local_creds(&R.ice)->pwd));
	TRY(sl_ice_set_remote(&R.ice, SL_STR("newp"), SL_STR("0123456789012345678901"), R.now_us));
	CHECK(strncmp(sl_ice_old_ufrag(&R.ice), user, SL_ICE_OUR_UFRAG) == 0);
	m.user = user;
	m.key = key;
	for (int i = 0; i < 10; i++) {
		rig_wait(&R, 5 * SL_SEC);
		CHECK_EQ(rig_say(&R, &path, &m), SL_OK);
		CHECK_EQ(R.out_count, 1);
	}
	CHECK_EQ(sl_ice_state(&R.ice), SL_ICE_CONNECTED);
	m.user = NULL;
	m.key = NULL;
	CHECK_EQ(rig_say(&R, &path, &m), SL_EAUTH); /* new local half, old remote half */
	CHECK(sl_fmt(user, sizeof(user), "%s:newp", sl_ice_local_creds(&R.ice)->ufrag));
	m.user = user;
	m.use = false;
	CHECK_EQ(rig_say(&R, &path, &m), SL_OK);
	CHECK(sl_ice_old_ufrag(&R.ice)[0] != 0);
	m.use = true;
	CHECK_EQ(rig_say(&R, &path, &m), SL_OK);
	CHECK_STR(sl_ice_old_ufrag(&R.ice), "");
	CHECK(rig_uses(&R, &path));
	CHECK_EQ(R.path_events, 1);
	m.user = NULL;
	m.key = key;
	CHECK(rig_say(&R, &path, &m) < 0);
}

TEST(packets_of_old_pairs_are_accepted_five_seconds_longer)
{
	struct sl_path a = rig_path(1, 1000), b = rig_path(2, 2000);
	struct rig_msg m = {.use = true};
	char user[64];

	TRY(rig_init(&R, true, false, false));
	CHECK_EQ(rig_check(&R, &a, true, 1), SL_OK);
	TRY(sl_ice_set_remote(&R.ice, SL_STR("newp"), SL_STR("0123456789012345678901"), R.now_us));
	CHECK(sl_fmt(user, sizeof(user), "%s:newp", sl_ice_local_creds(&R.ice)->ufrag));
	m.user = user;
	CHECK_EQ(rig_say(&R, &b, &m), SL_OK);
	CHECK(rig_uses(&R, &b));
	CHECK(sl_ice_is_valid(&R.ice, &a));
	rig_wait(&R, 4 * SL_SEC);
	rig_media(&R, &a);
	CHECK(rig_uses(&R, &b));
	rig_wait(&R, 2 * SL_SEC);
	CHECK(!sl_ice_is_valid(&R.ice, &a));
	CHECK(sl_ice_is_valid(&R.ice, &b));
}

TEST(an_agent_that_was_to_offer_and_answers_leaves_the_choice_to_the_offerer)
{
	TRY(rig_init(&R, false, true, true));
	CHECK(R.ice.controlling);
	sl_ice_answer(&R.ice, false);
	CHECK(!R.ice.controlling);
	sl_ice_answer(&R.ice, true); /* RFC 8445 section 6.1.1: a lite peer never controls */
	CHECK(R.ice.controlling);
	TRY(sl_ice_set_remote(&R.ice, SL_STR("peer"), SL_STR(RIG_PWD), R.now_us));
	sl_ice_answer(&R.ice, false);
	CHECK(R.ice.controlling);
}
