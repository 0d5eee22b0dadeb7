/* SPDX-License-Identifier: Apache-2.0 — join tokens. An input is tried as a token, and as what a
 * holder of the key may sign: header, line feed, claims (without a line feed: claims). What is
 * taken is within its bounds, reads the same when it is made again, and is refused when anything is
 * changed. */
#include "api/jwt.h"
#include "api/api_int.h"
#include "core/base/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { TEXT_MAX = 4 * API_JWT_MAX };
#define NOW (INT64_C(1800000000) * SL_SEC)
static const struct sl_str key = {"a key of the configuration", 26};

static void must(bool c)
{
	if (!c)
		__builtin_trap();
}

static void add(struct sl_buf *b, struct sl_str part)
{
	int n = sl_base64url(part.p, part.n, b->p + b->n, b->cap - b->n);

	must(n >= 0);
	b->n += (size_t)n;
}

static void check(const struct api_jwt *t)
{
	must(!api_name_check(sl_str_z(t->room)) && !api_name_check(sl_str_z(t->participant)));
	must(t->rights < 8 && t->exp_wall_us > NOW);
}

static void again(const struct api_jwt *t)
{
	char text[API_JWT_MAX + 1];
	struct api_jwt copy = {0};
	struct api_json_why why;
	int n = api_jwt_make(key, t, NOW, text, sizeof(text));

	if (t->exp_wall_us / SL_SEC == NOW / SL_SEC) {
		must(n == SL_ERANGE); /* less than a second is cut off */
		return;
	}
	must(n > 0);
	must(api_jwt_read(key, sl_str(text, (size_t)n), NOW, &copy, &why) == SL_OK);
	must(strcmp(copy.room, t->room) == 0 && strcmp(copy.participant, t->participant) == 0);
	must(copy.rights == t->rights && copy.exp_wall_us == t->exp_wall_us / SL_SEC * SL_SEC);
}

static int read_token(struct sl_str token, struct api_jwt *out)
{
	struct api_json_why why;
	int err = api_jwt_read(key, token, NOW, out, &why);

	must(err <= 0 && err != SL_ENOMEM && err != SL_ESTATE);
	must((why.text[0] != '\0') == (err != SL_OK));
	if (!err)
		check(out);
	return err;
}

static void tamper(char *text, size_t n, size_t at, uint8_t flip)
{
	struct api_jwt out;

	text[at] = (char)(text[at] ^ flip);
	must(read_token(sl_str(text, n), &out) != SL_OK);
	text[at] = (char)(text[at] ^ flip);
}

static void sign_and_read(struct sl_str header, struct sl_str claims, uint8_t salt)
{
	static char text[TEXT_MAX];
	struct sl_buf b = sl_buf(text, sizeof(text));
	uint8_t mac[SL_SHA256_LEN];
	struct api_jwt out = {0};

	add(&b, header);
	sl_buf_char(&b, '.');
	add(&b, claims);
	must(sl_hmac_sha256(key.p, key.n, b.p, b.n, mac) == SL_OK);
	sl_buf_char(&b, '.');
	add(&b, sl_str((const char *)mac, sizeof(mac)));
	if (read_token(sl_str(text, b.n), &out) == SL_OK) {
		again(&out);
		for (size_t i = 0; i < b.n; i += 7)
			tamper(text, b.n, i, (uint8_t)(1 + salt % 255));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sl_str text = sl_str((const char *)data, len), rest = text, header;
	struct api_jwt out;

	if (len > API_JWT_MAX)
		return 0;
	/* Signed by nobody here, but for the tokens of the corpus. */
	(void)read_token(text, &out);
	header = sl_str_cut(&rest, '\n');
	if (header.n == len)
		sign_and_read(SL_STR("{\"alg\":\"HS256\"}"), text, (uint8_t)len);
	else
		sign_and_read(header, rest, (uint8_t)len);
	return 0;
}
