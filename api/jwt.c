/* SPDX-License-Identifier: Apache-2.0
 * api/jwt.c — header.claims.signature, each in base64url. */
#include "api/jwt.h"
#include "api/api_int.h"
#include "core/base/digest.h"
#include "core/base/mem.h"

enum { PART_MAX = API_JWT_MAX / 4 * 3, MAC_CHARS = 43 };
_Static_assert(API_JWT_MAX == 4096, "a sentence below says so");
_Static_assert((int)API_JWT_NAME_MAX == (int)API_NAME_MAX, "a token names what a path can");

/* A NumericDate (RFC 7519 section 2) up to the year 9999. */
static const double SECONDS_MAX = 253402300799.0;
static const char *const rights_words[] = {"publish", "subscribe",
					   "admin"}; /* in the order of their bits */
static const struct api_json_limits part_limits = {.bytes = PART_MAX, .depth = 8, .values = 256};

struct parts {
	struct sl_str header, claims, mac;
	struct sl_str input; /* what is signed */
};

static int refuse(struct api_json_why *why, int err, const char *what)
{
	(void)sl_fmt(why->text, sizeof(why->text), "The token %s.", what);
	return err;
}

/* RFC 7515 section 2: the URL alphabet, no padding. sl_unbase64() is the looser of the two. */
static bool is_base64url(struct sl_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		      c == '-' || c == '_'))
			return false;
	}
	return s.n > 0;
}

static bool split(struct sl_str token, struct parts *out)
{
	struct sl_str rest = token;

	out->header = sl_str_cut(&rest, '.');
	out->claims = sl_str_cut(&rest, '.');
	out->mac = rest;
	out->input = sl_str(token.p, out->header.n + 1 + out->claims.n);
	/* Two dots, and no third: that one would stand in mac. */
	return is_base64url(out->header) && is_base64url(out->claims) && is_base64url(out->mac);
}

static int check_mac(struct sl_str key, const struct parts *parts, struct api_json_why *why)
{
	uint8_t want[SL_SHA256_LEN], got[SL_SHA256_LEN];
	bool same;
	int err;

	/* Its length is no secret, and 43 characters with zero bits behind are the only text of
	 * these 32 bytes. */
	if (parts->mac.n != MAC_CHARS || sl_unbase64(parts->mac, got, sizeof(got)) != SL_SHA256_LEN)
		return refuse(why, SL_EAUTH, "is not signed with this server's key");
	err = sl_hmac_sha256(key.p, key.n, parts->input.p, parts->input.n, want);
	if (err)
		return refuse(why, err, "could not be checked: out of memory");
	same = sl_const_eq(want, got, sizeof(want));
	sl_wipe(want, sizeof(want));
	return same ? SL_OK : refuse(why, SL_EAUTH, "is not signed with this server's key");
}

/* What a part says, if it is an object. */
static int open_part(struct sl_str part, cJSON **tree, struct api_json_at *root,
		     struct api_json_why *why)
{
	char text[PART_MAX];
	int n = sl_unbase64(part, text, sizeof(text));
	int err;

	if (n < 0)
		return refuse(why, SL_EPARSE, "is not base64url");
	err = api_json_parse(sl_str(text, (size_t)n), &part_limits, tree, why);
	if (err)
		return err;
	*root = api_json_root(*tree, why);
	return api_json_object(root) > 0 ? SL_OK : SL_EPARSE;
}

/* An error when a field is there that we must not ignore. */
static int refuse_field(const struct api_json_at *obj, const char *key)
{
	struct api_json_at at;
	int got = api_json_get(obj, key, API_JSON_OPTIONAL, &at);

	return got > 0 ? api_json_wrong(&at, SL_EUNSUPPORTED, "is not supported in a token") : got;
}

static int check_header_fields(const struct api_json_at *header)
{
	struct sl_str alg = {0}, typ = SL_STR("JWT");
	int err = api_json_get_str(header, "alg", API_JSON_REQUIRED, 0, SIZE_MAX, &alg);

	/* Exactly: "hs256" is another algorithm, and none is none. RFC 8725 section 3.1. */
	if (err > 0 && !sl_str_eq(alg, SL_STR("HS256")))
		return refuse(header->why, SL_EUNSUPPORTED, "is not of the algorithm HS256");
	/* RFC 7515 section 4.1.11: what crit names must be understood, and nothing of it is. */
	if (err > 0)
		err = refuse_field(header, "crit");
	if (err >= 0)
		err = api_json_get_str(header, "typ", API_JSON_OPTIONAL, 0, SIZE_MAX, &typ);
	/* RFC 7519 section 5.1: in capitals by recommendation only. Another type is not for us: RFC
	 * 8725 section 3.11. */
	if (err >= 0 && !sl_str_ieq(typ, SL_STR("JWT")))
		return refuse(header->why, SL_EUNSUPPORTED, "is not of the type JWT");
	return SL_MIN(err, 0);
}

static int check_header(struct sl_str part, struct api_json_why *why)
{
	struct api_json_at header = {.why = why};
	cJSON *tree = NULL;
	int err = open_part(part, &tree, &header, why);

	if (!err)
		err = check_header_fields(&header);
	api_json_free(tree);
	return err;
}

static int get_name(const struct api_json_at *claims, const char *key,
		    char out[API_JWT_NAME_MAX + 1])
{
	struct api_json_at at;
	struct sl_str name = {0};
	const char *wrong;
	int err = api_json_get(claims, key, API_JSON_REQUIRED, &at);

	if (err > 0)
		err = api_json_str(&at, 0, SIZE_MAX, &name);
	if (err < 0)
		return err;
	wrong = api_name_check(name);
	if (wrong || !sl_str_copy(out, API_JWT_NAME_MAX + 1, name))
		return api_json_wrong(&at, SL_ERANGE, "%s", wrong ? wrong : "is too long");
	return SL_OK;
}

static int rights_of_object(const struct api_json_at *obj, uint32_t *out)
{
	uint32_t bits = 0;
	int err = api_json_only(obj, rights_words, SL_COUNT(rights_words));

	for (size_t i = 0; i < SL_COUNT(rights_words) && err >= 0; i++) {
		bool has = false;

		err = api_json_get_bool(obj, rights_words[i], API_JSON_OPTIONAL, &has);
		bits |= has ? UINT32_C(1) << i : 0;
	}
	if (err >= 0)
		*out = bits;
	return SL_MIN(err, 0);
}

static int get_rights(const struct api_json_at *claims, uint32_t *out)
{
	struct api_json_at at;
	int err = api_json_get(claims, "rights", API_JSON_REQUIRED, &at);

	if (err < 0)
		return err;
	if (cJSON_IsObject(at.v))
		return rights_of_object(&at, out);
	if (!cJSON_IsArray(at.v))
		return api_json_wrong(&at, SL_ERANGE, "must be an array or an object of rights");
	return SL_MIN(api_json_words(&at, rights_words, SL_COUNT(rights_words), out), 0);
}

static int64_t us_of(double seconds)
{
	return (int64_t)(seconds * 1e6);
}

/* RFC 7519 sections 4.1.4 to 4.1.6. */
static int check_times(const struct api_json_at *claims, int64_t wall_us, int64_t *exp_wall_us)
{
	double exp = 0, nbf = 0, iat = 0;
	int err = api_json_get_num(claims, "exp", API_JSON_REQUIRED, 0, SECONDS_MAX, &exp);

	if (err >= 0)
		err = api_json_get_num(claims, "nbf", API_JSON_OPTIONAL, 0, SECONDS_MAX, &nbf);
	if (err >= 0)
		err = api_json_get_num(claims, "iat", API_JSON_OPTIONAL, 0, SECONDS_MAX, &iat);
	if (err < 0)
		return err;
	*exp_wall_us = us_of(exp);
	if (wall_us >= *exp_wall_us)
		return refuse(claims->why, SL_EAUTH, "has expired");
	if (wall_us < us_of(nbf) - API_JWT_SKEW_S * SL_SEC)
		return refuse(claims->why, SL_EAUTH, "is not valid yet");
	return SL_OK;
}

static int check_claims(struct sl_str part, int64_t wall_us, struct api_jwt *out,
			struct api_json_why *why)
{
	struct api_json_at claims = {.why = why};
	cJSON *tree = NULL;
	int err = open_part(part, &tree, &claims, why);

	if (!err)
		err = refuse_field(&claims, "aud");
	if (!err)
		err = get_name(&claims, "room", out->room);
	if (!err)
		err = get_name(&claims, "participant", out->participant);
	if (!err)
		err = get_rights(&claims, &out->rights);
	if (!err)
		err = check_times(&claims, wall_us, &out->exp_wall_us);
	api_json_free(tree);
	return err;
}

int api_jwt_read(struct sl_str key, struct sl_str token, int64_t wall_us, struct api_jwt *out,
		 struct api_json_why *why)
{
	struct api_jwt read = {0};
	struct parts parts;
	int err;

	*why = (struct api_json_why){0};
	if (key.n < API_JWT_KEY_MIN)
		return refuse(why, SL_ESTATE,
			      "cannot be checked: this server has no key for tokens");
	if (token.n > API_JWT_MAX)
		return refuse(why, SL_EPARSE, "has more than 4096 characters");
	if (!split(token, &parts))
		return refuse(why, SL_EPARSE,
			      "is not three parts of base64url with dots between them");
	err = check_mac(key, &parts, why);
	if (!err)
		err = check_header(parts.header, why);
	if (!err)
		err = check_claims(parts.claims, wall_us, &read, why);
	if (!err)
		*out = read;
	return err;
}

/* ---- making one ---- */

static void write_claims(struct api_json_out *o, const struct api_jwt *claims, int64_t wall_us)
{
	api_json_open_object(o, NULL);
	api_json_put_z(o, "room", claims->room);
	api_json_put_z(o, "participant", claims->participant);
	api_json_open_array(o, "rights");
	for (size_t i = 0; i < SL_COUNT(rights_words); i++)
		if (claims->rights & UINT32_C(1) << i)
			api_json_put_z(o, NULL, rights_words[i]);
	api_json_close_array(o);
	api_json_put_int(o, "iat", wall_us / SL_SEC);
	api_json_put_int(o, "exp", claims->exp_wall_us / SL_SEC);
	api_json_close_object(o);
}

static bool can_make(const struct api_jwt *c, int64_t wall_us)
{
	return !api_name_check(sl_str_z(c->room)) && !api_name_check(sl_str_z(c->participant)) &&
	       c->rights < UINT32_C(1) << SL_COUNT(rights_words) && wall_us >= 0 &&
	       c->exp_wall_us / SL_SEC > wall_us / SL_SEC && c->exp_wall_us <= us_of(SECONDS_MAX);
}

/* "." and the base64url of n bytes, at the end of what stands in b. */
static void add_part(struct sl_buf *b, const void *p, size_t n)
{
	int len;

	if (b->n)
		sl_buf_char(b, '.');
	len = b->full ? SL_EFULL : sl_base64url(p, n, b->p + b->n, b->cap - b->n);
	if (len < 0)
		b->full = true;
	else
		b->n += (size_t)len;
}

int api_jwt_make(struct sl_str key, const struct api_jwt *claims, int64_t wall_us, char *out,
		 size_t cap)
{
	struct sl_str header = SL_STR("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"), text;
	struct sl_buf b = sl_buf(out, cap);
	uint8_t mac[SL_SHA256_LEN];
	struct api_json_out o;
	int err;

	if (key.n < API_JWT_KEY_MIN)
		return SL_ESTATE;
	if (!can_make(claims, wall_us))
		return SL_ERANGE;
	api_json_out_init(&o, PART_MAX);
	write_claims(&o, claims, wall_us);
	err = api_json_out_text(&o, &text);
	if (!err) {
		add_part(&b, header.p, header.n);
		add_part(&b, text.p, text.n);
		err = b.full ? SL_EFULL : sl_hmac_sha256(key.p, key.n, b.p, b.n, mac);
	}
	api_json_out_fini(&o);
	if (!err) {
		add_part(&b, mac, sizeof(mac));
		err = b.full || b.n > API_JWT_MAX ? SL_EFULL : SL_OK;
	}
	return err ? err : (int)b.n;
}
