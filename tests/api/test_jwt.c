/* SPDX-License-Identifier: Apache-2.0 */
#include "api/jwt.h"
#include "core/base/digest.h"
#include "core/base/mem.h"
#include "tests/test.h"

static const struct sl_str key = {"a key of the configuration", 26};
#define NOW (INT64_C(1800000000) * SL_SEC)
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define WHO "\"room\":\"r\",\"participant\":\"p\""
#define GOOD WHO ",\"rights\":[\"publish\"],\"exp\":1800000060"

static void add_base64url(struct sl_buf *b, const void *p, size_t n)
{
	int len = sl_base64url(p, n, b->p + b->n, b->cap - b->n);

	CHECK(len >= 0);
	b->n += (size_t)len;
}

/* Signs whatever stands in header and claims. */
static struct sl_str forge(struct sl_buf *b, const char *header, const char *claims)
{
	uint8_t mac[SL_SHA256_LEN];

	b->n = 0;
	add_base64url(b, header, strlen(header));
	sl_buf_char(b, '.');
	add_base64url(b, claims, strlen(claims));
	TRY(sl_hmac_sha256(key.p, key.n, b->p, b->n, mac));
	sl_buf_char(b, '.');
	add_base64url(b, mac, sizeof(mac));
	CHECK(!b->full);
	return sl_str(b->p, b->n);
}

/* Reads what is forged so; out of memory ends the run. */
static int read_forged(const char *header, const char *claims, struct api_jwt *out,
		       struct api_json_why *why)
{
	char text[3 * API_JWT_MAX];
	struct sl_buf b = sl_buf(text, sizeof(text));
	int err = api_jwt_read(key, forge(&b, header, claims), NOW, out, why);

	if (err == SL_ENOMEM)
		TRY(err);
	CHECK_EQ(why->text[0] == '\0', err == SL_OK);
	return err;
}

static struct api_jwt example(void)
{
	return (struct api_jwt){.room = "Zo\xc3\xab's room",
				.participant = "anna",
				.rights = API_JWT_PUBLISH | API_JWT_ADMIN,
				.exp_wall_us = NOW + 3600 * SL_SEC};
}

static struct sl_str made(struct api_jwt claims, char out[API_JWT_MAX + 1])
{
	int n = api_jwt_make(key, &claims, NOW, out, API_JWT_MAX + 1);

	TRY(n);
	CHECK_EQ(n, strlen(out));
	return sl_str(out, (size_t)n);
}

TEST(a_token_that_was_made_reads_back)
{
	char text[API_JWT_MAX + 1];
	struct api_json_why why;
	struct sl_str token;

	for (uint32_t rights = 0; rights < 8; rights++) {
		struct api_jwt in = example(), out = {0};

		in.rights = rights;
		token = made(in, text);
		TRY(api_jwt_read(key, token, NOW, &out, &why));
		CHECK_STR(out.room, in.room);
		CHECK_STR(out.participant, in.participant);
		CHECK_EQ(out.rights, rights);
		CHECK_EQ(out.exp_wall_us, in.exp_wall_us);
	}
}

/* RFC 7515 appendix A.1. Its claims are not ours, so it is refused for them and not for its
 * signature. */
TEST(rfc7515_a1_has_a_good_signature_and_no_room)
{
	static const char token[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
				    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leG"
				    "FtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
				    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
	static const char key_text[] = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
				       "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
	struct api_jwt out = {.rights = 99};
	struct api_json_why why;
	char k[64];
	int err;

	CHECK_EQ(sl_unbase64(sl_str_z(key_text), k, sizeof(k)), 64);
	err = api_jwt_read(sl_str(k, 64), sl_str_z(token), 0, &out, &why);
	TRY(err == SL_ENOMEM ? err : SL_OK);
	CHECK_EQ(err, SL_ENOTFOUND);
	CHECK_STR(why.field, "/room");
	k[63] ^= 1;
	err = api_jwt_read(sl_str(k, 64), sl_str_z(token), 0, &out, &why);
	TRY(err == SL_ENOMEM ? err : SL_OK);
	CHECK_EQ(err, SL_EAUTH);
	CHECK_STR(why.text, "The token is not signed with this server's key.");
	CHECK_EQ(out.rights, 99);
}

/* Made elsewhere, with python3's hmac and base64: a header without typ, and rights as an object. */
TEST(a_token_of_another_maker_is_read)
{
	static const char token[] = "eyJhbGciOiJIUzI1NiJ9."
				    "eyJleHAiOiAxODAwMDAwMDYwLCAicGFydGljaXBhbnQiOiAicCIsICJyb29tIj"
				    "ogInIiLCAicmlnaHRzIjogeyJzdWJzY3JpYmUiOiB0cnVlfX0."
				    "4TeNXIxXO-YM2tEOCKe1XhzBBLtFtJpeuHC7NRoZXhQ";
	struct api_jwt out = {0};
	struct api_json_why why;

	TRY(api_jwt_read(key, sl_str_z(token), NOW, &out, &why));
	CHECK_STR(out.room, "r");
	CHECK_STR(out.participant, "p");
	CHECK_EQ(out.rights, API_JWT_SUBSCRIBE);
	CHECK_EQ(out.exp_wall_us, INT64_C(1800000060) * SL_SEC);
}

/* The last character of a signature has two bits that mean nothing: they are no second way to write
 * it. */
TEST(t43_a_token_changed_at_any_byte_is_refused)
{
	static const char chars[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=. \n";
	char text[API_JWT_MAX + 1];
	struct sl_str token = made(example(), text);
	struct api_jwt out;
	struct api_json_why why;

	for (size_t i = 0; i < token.n; i++)
		for (const char *c = chars; *c; c++) {
			char was = text[i];
			int err;

			if (was == *c)
				continue;
			text[i] = *c;
			err = api_jwt_read(key, token, NOW, &out, &why);
			text[i] = was;
			TRY(err == SL_ENOMEM ? err : SL_OK);
			CHECK(err == SL_EAUTH || err == SL_EPARSE);
		}
}

TEST(t43_a_token_cut_or_lengthened_is_refused)
{
	char text[API_JWT_MAX + 8];
	struct sl_str token = made(example(), text);
	struct api_jwt out;
	struct api_json_why why;

	for (size_t n = 0; n < token.n; n++) {
		int err = api_jwt_read(key, sl_str(text, n), NOW, &out, &why);

		TRY(err == SL_ENOMEM ? err : SL_OK);
		CHECK(err == SL_EAUTH || err == SL_EPARSE);
	}
	memcpy(text + token.n, "A", 2);
	CHECK_EQ(api_jwt_read(key, sl_str(text, token.n + 1), NOW, &out, &why), SL_EAUTH);
	memcpy(text + token.n, "=", 2);
	CHECK_EQ(api_jwt_read(key, sl_str(text, token.n + 1), NOW, &out, &why), SL_EPARSE);
	memcpy(text + token.n, ".", 2);
	CHECK_EQ(api_jwt_read(key, sl_str(text, token.n + 1), NOW, &out, &why), SL_EPARSE);
	CHECK_EQ(api_jwt_read(key, sl_str("", 0), NOW, &out, &why), SL_EPARSE);
	CHECK_EQ(api_jwt_read(key, SL_STR(".."), NOW, &out, &why), SL_EPARSE);
}

TEST(t43_only_hs256_is_an_algorithm)
{
	static const struct {
		const char *header;
		int err;
	} rows[] = {
		{"{\"alg\":\"HS256\"}", SL_OK},
		{"{\"alg\":\"HS256\",\"typ\":\"jwt\"}", SL_OK},
		{"{\"alg\":\"HS256\",\"kid\":\"../../dev/null\",\"jku\":\"http://127.0.0.1/\"}",
		 SL_OK},
		{"{\"alg\":\"none\"}", SL_EUNSUPPORTED},
		{"{\"alg\":\"None\"}", SL_EUNSUPPORTED},
		{"{\"alg\":\"NONE\"}", SL_EUNSUPPORTED},
		{"{\"alg\":\"nOnE\"}", SL_EUNSUPPORTED},
		{"{\"alg\":\"\"}", SL_EUNSUPPORTED},
		{"{\"alg\":\"hs256\"}", SL_EUNSUPPORTED},
		{"{\"alg\":\"HS256 \"}", SL_EUNSUPPORTED},
		{"{\"alg\":\"HS256,none\"}", SL_EUNSUPPORTED},
		{"{\"alg\":\"HS384\"}", SL_EUNSUPPORTED},
		{"{\"alg\":\"HS512\"}", SL_EUNSUPPORTED},
		{"{\"alg\":\"HS1\"}", SL_EUNSUPPORTED},
		{"{\"alg\":\"RS256\"}", SL_EUNSUPPORTED},
		{"{\"alg\":\"ES256\"}", SL_EUNSUPPORTED},
		{"{\"alg\":\"PS256\"}", SL_EUNSUPPORTED},
		{"{\"alg\":\"EdDSA\"}", SL_EUNSUPPORTED},
		{"{\"alg\":\"dir\",\"enc\":\"A256GCM\"}", SL_EUNSUPPORTED},
		{"{\"ALG\":\"HS256\"}", SL_ENOTFOUND},
		{"{}", SL_ENOTFOUND},
		{"{\"alg\":null}", SL_ERANGE},
		{"{\"alg\":256}", SL_ERANGE},
		{"{\"alg\":[\"HS256\"]}", SL_ERANGE},
		{"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", SL_EPARSE},
		{"{\"alg\":\"none\",\"alg\":\"HS256\"}", SL_EPARSE},
		{"{\"alg\":\"HS256\\u0000\"}", SL_EPARSE},
		{"{\"alg\":\"HS256\",\"crit\":[]}", SL_EUNSUPPORTED},
		{"{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", SL_EUNSUPPORTED},
		{"{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", SL_EUNSUPPORTED},
		{"{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", SL_EUNSUPPORTED},
		{"{\"alg\":\"HS256\",\"typ\":7}", SL_ERANGE},
		{"[\"HS256\"]", SL_EPARSE},
		{"\"HS256\"", SL_EPARSE},
		{"{\"alg\":\"HS256\"}x", SL_EPARSE},
		{"x", SL_EPARSE},
	};
	struct api_jwt out;
	struct api_json_why why;

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		int err = read_forged(rows[i].header, "{" GOOD "}", &out, &why);

		if (err != rows[i].err)
			sl_test_failed(__FILE__, __LINE__, "%s: error %d, want %d", rows[i].header,
				       err, rows[i].err);
	}
}

TEST(t43_a_token_without_a_signature_is_refused_whatever_its_header_says)
{
	static const char *const headers[] = {"{\"alg\":\"none\"}", "{\"alg\":\"NONE\"}", "{}",
					      HEADER};
	struct api_jwt out;
	struct api_json_why why;
	char text[1024];

	for (size_t i = 0; i < SL_COUNT(headers); i++) {
		struct sl_buf b = sl_buf(text, sizeof(text));
		int err;

		add_base64url(&b, headers[i], strlen(headers[i]));
		sl_buf_char(&b, '.');
		add_base64url(&b, "{" GOOD "}", strlen("{" GOOD "}"));
		CHECK_EQ(api_jwt_read(key, sl_str(text, b.n), NOW, &out, &why), SL_EPARSE);
		sl_buf_char(&b, '.');
		CHECK_EQ(api_jwt_read(key, sl_str(text, b.n), NOW, &out, &why), SL_EPARSE);
		sl_buf_z(&b, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
		err = api_jwt_read(key, sl_str(text, b.n), NOW, &out, &why);
		TRY(err == SL_ENOMEM ? err : SL_OK);
		CHECK_EQ(err, SL_EAUTH);
	}
}

TEST(claims_are_checked_one_by_one)
{
	static const struct {
		const char *claims;
		int err;
		const char *field;
	} rows[] = {
		{"{" GOOD "}", SL_OK, ""},
		{"{" GOOD ",\"iss\":\"x\",\"sub\":\"y\",\"jti\":\"z\",\"iat\":1,\"nbf\":1.5}",
		 SL_OK, ""},
		{"{" WHO ",\"rights\":[],\"exp\":1800000060}", SL_OK, ""},
		{"{" WHO ",\"rights\":{},\"exp\":1800000060.5}", SL_OK, ""},
		{"{" WHO ",\"rights\":{\"publish\":true,\"admin\":false},\"exp\":1.80000006e9}",
		 SL_OK, ""},
		{"{" WHO ",\"rights\":[\"publish\",\"publish\"],\"exp\":1800000060}", SL_OK, ""},
		{"{\"participant\":\"p\",\"rights\":[],\"exp\":1800000060}", SL_ENOTFOUND, "/room"},
		{"{\"Room\":\"r\",\"participant\":\"p\",\"rights\":[],\"exp\":1800000060}",
		 SL_ENOTFOUND, "/room"},
		{"{\"room\":\"r\",\"rights\":[],\"exp\":1800000060}", SL_ENOTFOUND, "/participant"},
		{"{\"room\":7,\"participant\":\"p\",\"rights\":[],\"exp\":1800000060}", SL_ERANGE,
		 "/room"},
		{"{\"room\":\"\",\"participant\":\"p\",\"rights\":[],\"exp\":1800000060}",
		 SL_ERANGE, "/room"},
		{"{\"room\":\"a/b\",\"participant\":\"p\",\"rights\":[],\"exp\":1800000060}",
		 SL_ERANGE, "/room"},
		{"{\"room\":\"..\",\"participant\":\"p\",\"rights\":[],\"exp\":1800000060}",
		 SL_ERANGE, "/room"},
		{"{\"room\":\"r\",\"participant\":\"a\\nb\",\"rights\":[],\"exp\":1800000060}",
		 SL_ERANGE, "/participant"},
		{"{" WHO ",\"exp\":1800000060}", SL_ENOTFOUND, "/rights"},
		{"{" WHO ",\"rights\":\"publish\",\"exp\":1800000060}", SL_ERANGE, "/rights"},
		{"{" WHO ",\"rights\":[\"Publish\"],\"exp\":1800000060}", SL_ERANGE, "/rights/0"},
		{"{" WHO ",\"rights\":[\"publish\",\"root\"],\"exp\":1800000060}", SL_ERANGE,
		 "/rights/1"},
		{"{" WHO ",\"rights\":{\"publish\":1},\"exp\":1800000060}", SL_ERANGE,
		 "/rights/publish"},
		{"{" WHO ",\"rights\":{\"root\":true},\"exp\":1800000060}", SL_ERANGE,
		 "/rights/root"},
		{"{" WHO ",\"rights\":[]}", SL_ENOTFOUND, "/exp"},
		{"{" WHO ",\"rights\":[],\"exp\":\"1800000060\"}", SL_ERANGE, "/exp"},
		{"{" WHO ",\"rights\":[],\"exp\":null}", SL_ERANGE, "/exp"},
		{"{" WHO ",\"rights\":[],\"exp\":-1}", SL_ERANGE, "/exp"},
		{"{" WHO ",\"rights\":[],\"exp\":1e999}", SL_ERANGE, "/exp"},
		{"{" WHO ",\"rights\":[],\"exp\":1e15}", SL_ERANGE, "/exp"},
		{"{" GOOD ",\"nbf\":\"1\"}", SL_ERANGE, "/nbf"},
		{"{" GOOD ",\"iat\":true}", SL_ERANGE, "/iat"},
		{"{" GOOD ",\"aud\":\"someone else\"}", SL_EUNSUPPORTED, "/aud"},
		{"{" GOOD ",\"room\":\"other\"}", SL_EPARSE, ""},
		{"{" GOOD ",\"ro\\u006fm\":\"other\"}", SL_EPARSE, ""},
		{"{" GOOD "} ", SL_OK, ""},
		{"{" GOOD "}{}", SL_EPARSE, ""},
		{"["
		 "1]",
		 SL_EPARSE, ""},
		{"null", SL_EPARSE, ""},
		{"{\"a\":[[[[[[[[1]]]]]]]]," GOOD "}", SL_EFULL, ""},
	};
	struct api_json_why why;

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		struct api_jwt out = {0};
		int err = read_forged(HEADER, rows[i].claims, &out, &why);

		if (err != rows[i].err || strcmp(why.field, rows[i].field) != 0)
			sl_test_failed(__FILE__, __LINE__, "%s: error %d at \"%s\"", rows[i].claims,
				       err, why.field);
		CHECK_EQ(out.room[0] == 'r', err == SL_OK);
	}
}

TEST(t43_a_token_is_good_from_nbf_until_exp)
{
	static const struct {
		const char *times;
		int err;
	} rows[] = {
		{"\"exp\":1800000001", SL_OK},
		{"\"exp\":1800000000.5", SL_OK},
		{"\"exp\":1800000000", SL_EAUTH},
		{"\"exp\":1799999999", SL_EAUTH},
		{"\"exp\":0", SL_EAUTH},
		{"\"exp\":253402300799", SL_OK},
		{"\"exp\":1800000060,\"nbf\":1800000000", SL_OK},
		{"\"exp\":1800000060,\"nbf\":1800000030", SL_OK},
		{"\"exp\":1800000060,\"nbf\":1800000031", SL_EAUTH},
		{"\"exp\":1800000060,\"nbf\":253402300799", SL_EAUTH},
		{"\"exp\":1800000060,\"iat\":1900000000", SL_OK},
	};
	struct api_jwt out;
	struct api_json_why why;

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		char claims[256];
		int err;

		CHECK(sl_fmt(claims, sizeof(claims), "{" WHO ",\"rights\":[],%s}", rows[i].times));
		err = read_forged(HEADER, claims, &out, &why);
		if (err != rows[i].err)
			sl_test_failed(__FILE__, __LINE__, "%s: error %d", rows[i].times, err);
	}
	CHECK_EQ(read_forged(HEADER, "{" WHO ",\"rights\":[],\"exp\":5}", &out, &why), SL_EAUTH);
	CHECK_STR(why.text, "The token has expired.");
	CHECK_EQ(read_forged(HEADER, "{" GOOD ",\"nbf\":1900000000}", &out, &why), SL_EAUTH);
	CHECK_STR(why.text, "The token is not valid yet.");
}

TEST(what_is_not_signed_by_us_is_never_decoded)
{
	char text[512], other[512];
	struct sl_buf b = sl_buf(text, sizeof(text)), c = sl_buf(other, sizeof(other));
	struct sl_str token = forge(&b, "{\"alg\":\"none\"", "not JSON");
	struct sl_mem_stat before;
	struct api_jwt out;
	struct api_json_why why;
	int err;

	/* Signed, it is broken JSON; with another key, it is only not signed. */
	CHECK_EQ(read_forged("{\"alg\":\"none\"", "not JSON", &out, &why), SL_EPARSE);
	sl_buf_str(&c, token);
	before = sl_mem_stat();
	err = api_jwt_read(SL_STR("another key of the configuration"), sl_str(c.p, c.n), NOW, &out,
			   &why);
	TRY(err == SL_ENOMEM ? err : SL_OK);
	CHECK_EQ(err, SL_EAUTH);
	CHECK_EQ(sl_mem_stat().total, before.total);
}

TEST(t43_without_a_key_of_16_characters_no_token_is_good_or_made)
{
	char text[API_JWT_MAX + 1];
	struct sl_str token = made(example(), text);
	struct api_jwt claims = example(), out;
	struct api_json_why why;

	CHECK_EQ(api_jwt_read(sl_str("", 0), token, NOW, &out, &why), SL_ESTATE);
	CHECK_EQ(api_jwt_read(SL_STR("fifteen letters"), token, NOW, &out, &why), SL_ESTATE);
	CHECK_EQ(api_jwt_make(SL_STR("fifteen letters"), &claims, NOW, text, sizeof(text)),
		 SL_ESTATE);
	TRY(api_jwt_make(SL_STR("sixteen letters!"), &claims, NOW, text, sizeof(text)));
	TRY(api_jwt_read(SL_STR("sixteen letters!"), sl_str_z(text), NOW, &out, &why));
}

TEST(a_token_has_at_most_4096_characters)
{
	static char claims[API_JWT_MAX], text[3 * API_JWT_MAX];
	struct api_jwt out;
	struct api_json_why why;

	for (int pad = 2900; pad < 3100; pad += 199) {
		struct sl_buf b = sl_buf(text, sizeof(text));
		struct sl_str token;
		int err;

		CHECK(sl_fmt(claims, sizeof(claims), "{" GOOD ",\"x\":\"%0*d\"}", pad, 7));
		token = forge(&b, HEADER, claims);
		err = api_jwt_read(key, token, NOW, &out, &why);
		TRY(err == SL_ENOMEM ? err : SL_OK);
		CHECK_EQ(err, token.n > API_JWT_MAX ? SL_EPARSE : SL_OK);
		CHECK_EQ(token.n > API_JWT_MAX, pad > 3000);
	}
}

TEST(what_no_token_may_say_is_not_made)
{
	char text[API_JWT_MAX + 1];
	struct api_jwt c = example();

	c.room[0] = '\0';
	CHECK_EQ(api_jwt_make(key, &c, NOW, text, sizeof(text)), SL_ERANGE);
	c = example();
	memcpy(c.participant, "a/b", 4);
	CHECK_EQ(api_jwt_make(key, &c, NOW, text, sizeof(text)), SL_ERANGE);
	c = example();
	c.rights = 8;
	CHECK_EQ(api_jwt_make(key, &c, NOW, text, sizeof(text)), SL_ERANGE);
	c = example();
	c.exp_wall_us = NOW;
	CHECK_EQ(api_jwt_make(key, &c, NOW, text, sizeof(text)), SL_ERANGE);
	c.exp_wall_us = SL_NEVER;
	CHECK_EQ(api_jwt_make(key, &c, NOW, text, sizeof(text)), SL_ERANGE);
}

TEST(a_token_is_made_whole_or_not_at_all)
{
	char text[API_JWT_MAX + 1];
	struct api_jwt c = example();
	struct sl_str token = made(c, text);
	size_t len = token.n;

	for (size_t cap = 1; cap <= len + 1; cap++) {
		int n = api_jwt_make(key, &c, NOW, text, cap);

		TRY(n == SL_EFULL ? SL_OK : n);
		CHECK_EQ(n, cap <= len ? SL_EFULL : (int)len);
	}
}

TEST(the_longest_names_fit_a_token)
{
	char text[API_JWT_MAX + 1];
	struct api_jwt c = example(), out = {0};
	struct api_json_why why;

	for (size_t i = 0; i < API_JWT_NAME_MAX; i += 4) {
		memcpy(c.room + i, "\xf0\x9f\x8e\xa5", 5);
		memcpy(c.participant + i, "\xf0\x9f\x8e\xa4", 5);
	}
	TRY(api_jwt_read(key, made(c, text), NOW, &out, &why));
	CHECK_STR(out.room, c.room);
	CHECK_STR(out.participant, c.participant);
}

TEST(t29_no_refusal_repeats_the_token)
{
	char text[API_JWT_MAX + 1];
	struct sl_str token = made(example(), text);
	struct api_jwt out;
	struct api_json_why why;
	int err;

	text[token.n - 5] ^= 1;
	err = api_jwt_read(key, token, NOW, &out, &why);
	TRY(err == SL_ENOMEM ? err : SL_OK);
	CHECK(err < 0);
	CHECK(!strstr(why.text, "eyJ"));
}
