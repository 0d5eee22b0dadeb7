/* SPDX-License-Identifier: Apache-2.0
 * api/auth.c — who may ask: Host against DNS rebinding, Origin against other pages, the token
 * against everybody else. */
#include "api/api_int.h"
#include "api/jwt.h"
#include "core/base/digest.h"

/* Cuts ":port" (digits only, or nothing behind the colon) off a host; brackets of IPv6 stay. */
static struct sl_str without_port(struct sl_str host)
{
	size_t n = host.n;

	while (n > 0 && host.p[n - 1] >= '0' && host.p[n - 1] <= '9')
		n--;
	return n > 1 && host.p[n - 1] == ':' ? sl_str(host.p, n - 1) : host;
}

/* The address that an IP literal of a URL names. */
static bool literal(struct sl_str name, struct sl_addr *out)
{
	if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']')
		return sl_addr_parse_ip(sl_str(name.p + 1, name.n - 2), out) == SL_OK &&
		       out->family != 0;
	return !memchr(name.p, ':', name.n) && sl_addr_parse_ip(name, out) == SL_OK;
}

static bool is_loopback_name(struct sl_str name)
{
	struct sl_addr a;

	return sl_str_ieq(name, SL_STR("localhost")) ||
	       (literal(name, &a) && sl_addr_is_loopback(&a));
}

static bool in_list(const struct sl_config_list *list, struct sl_str s)
{
	for (size_t i = 0; i < list->n; i++)
		if (sl_str_ieq(sl_str_z(list->at[i]), s))
			return true;
	return false;
}

bool api_origin_listed(const struct sl_config *conf, struct sl_str origin)
{
	return origin.n > 0 && in_list(&conf->http.origins, origin);
}

bool api_bind_is_loopback(const struct sl_config *conf)
{
	struct sl_addr a;

	return sl_addr_parse_ip(sl_str_z(conf->http.bind), &a) == SL_OK && sl_addr_is_loopback(&a);
}

/* A page of another site can make a browser believe that the site's name stands for 127.0.0.1. Its
 * requests then carry that name as Host, so names are looked at where nothing else protects us: on
 * loopback, without a token. */
bool api_host_ok(const struct sl_config *conf, struct sl_str host)
{
	struct sl_str name = without_port(host);
	struct sl_addr a;

	if (api_auth_on(conf) || !api_bind_is_loopback(conf))
		return true;
	return literal(name, &a) || sl_str_ieq(name, SL_STR("localhost")) ||
	       in_list(&conf->http.hosts, name) || in_list(&conf->http.hosts, host);
}

/* "https://example.org:443" is said as "https://example.org". */
static struct sl_str without_default_port(struct sl_str host, bool https)
{
	struct sl_str port = https ? SL_STR(":443") : SL_STR(":80");

	if (host.n > port.n && sl_str_eq(sl_str(host.p + host.n - port.n, port.n), port))
		host.n -= port.n;
	return host;
}

bool api_origin_ok(const struct sl_config *conf, struct sl_str host, struct sl_str origin,
		   bool open)
{
	struct sl_str rest;
	bool https;

	if (origin.n == 0)
		return true;
	/* With a token a request proves itself; no browser adds a token on its own, as it does
	 * cookies. */
	if (open && api_auth_on(conf))
		return true;
	if (sl_str_ieq(origin, SL_STR("null")))
		return false;
	for (size_t i = 0; i + 3 <= origin.n; i++) {
		if (memcmp(origin.p + i, "://", 3) != 0)
			continue;
		rest = sl_str(origin.p + i + 3, origin.n - i - 3);
		https = sl_str_ieq(sl_str(origin.p, i), SL_STR("https"));
		if (sl_str_ieq(without_default_port(rest, https),
			       without_default_port(host, https)))
			return true;
		return in_list(&conf->http.origins, origin) ||
		       (open && is_loopback_name(without_port(rest)));
	}
	return true; /* no browser's */
}

bool api_token_ok(const struct sl_config *conf, struct sl_str authorization)
{
	char want[SL_CONFIG_TEXT_MAX] = {0}, got[SL_CONFIG_TEXT_MAX] = {0};
	struct sl_str scheme = sl_str_word(&authorization);
	struct sl_str token = sl_str_trim(authorization);
	bool ok;

	if (!sl_str_ieq(scheme, SL_STR("Bearer")) || !sl_str_copy(got, sizeof(got), token))
		return false;
	if (!sl_str_copy(want, sizeof(want), sl_str_z(conf->http.token)))
		return false;
	/* The whole of both buffers, so that the time tells nothing, not even the length. */
	ok = sl_const_eq(want, got, sizeof(want)) && want[0];
	sl_wipe(want, sizeof(want));
	sl_wipe(got, sizeof(got));
	return ok;
}

/* ================= tokens ================= */

bool api_auth_on(const struct sl_config *conf)
{
	return conf->http.token[0] || conf->http.jwt_key[0];
}

static bool static_token(const struct sl_config *conf, struct sl_str token)
{
	char header[SL_CONFIG_TEXT_MAX + 16];
	bool ok;

	if (!conf->http.token[0] ||
	    !sl_fmt(header, sizeof(header), "Bearer %.*s", SL_STR_ARG(token)))
		return false;
	ok = api_token_ok(conf, sl_str_z(header));
	sl_wipe(header, sizeof(header));
	return ok;
}

bool api_authenticate(const struct sl_config *conf, struct sl_str token, int64_t wall_us,
		      struct api_rights *out)
{
	struct api_json_why why;
	struct api_jwt jwt;

	memset(out, 0, sizeof(*out));
	out->all = static_token(conf, token);
	if (out->all)
		return true;
	if (!conf->http.jwt_key[0] ||
	    api_jwt_read(sl_str_z(conf->http.jwt_key), token, wall_us, &jwt, &why) < 0)
		return false;
	out->bits = jwt.rights;
	api_copy(out->room, sizeof(out->room), sl_str_z(jwt.room));
	api_copy(out->participant, sizeof(out->participant), sl_str_z(jwt.participant));
	return true;
}

/* What a join token must have, and which segment names the room. */
static const struct {
	uint32_t any_of;
	size_t room;
	const char *why;
} scopes[] = {
	[API_ROOM_PUBLISH] = {API_JWT_PUBLISH, 1, "the token has no right to publish"},
	[API_ROOM_SUBSCRIBE] = {API_JWT_SUBSCRIBE, 1, "the token has no right to subscribe"},
	[API_ROOM_JOIN] = {API_JWT_PUBLISH | API_JWT_SUBSCRIBE, 2,
			   "the token has no right to join"},
	[API_ROOM_ADMIN] = {API_JWT_ADMIN, 2, "the token has no right to administer the room"},
};

static const char *not_its_own(struct sl_api *api, const struct api_request *req)
{
	const struct api_session *s = api_session_by_id(api, req->seg[req->seg_count - 1]);

	/* One that does not exist is the handler's to tell; one of somebody else looks the same. */
	if (!s || !s->room)
		return NULL;
	if (strcmp(s->owner, req->rights.participant) == 0 &&
	    strcmp(s->room->name, req->rights.room) == 0)
		return NULL;
	return "the token did not make this session";
}

const char *api_forbidden(struct sl_api *api, struct api_request *req)
{
	const struct api_rights *rights = &req->rights;
	enum api_scope scope = req->route->scope;

	if (scope == API_OPEN || rights->all)
		return NULL;
	if (scope == API_STATIC)
		return "a join token does not open this path";
	if (scope == API_OWN_SESSION)
		return not_its_own(api, req);
	if (!(rights->bits & scopes[scope].any_of))
		return scopes[scope].why;
	if (!sl_str_eq(req->seg[scopes[scope].room], sl_str_z(rights->room)))
		return "the token is for another room";
	if (scope != API_ROOM_PUBLISH && scope != API_ROOM_JOIN)
		return NULL;
	if (req->has_participant && strcmp(req->participant, rights->participant) != 0)
		return "the token is for another participant";
	req->has_participant = true;
	api_copy(req->participant, sizeof(req->participant), sl_str_z(rights->participant));
	return NULL;
}

static int read_rights(struct sl_str text, uint32_t *bits)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} rights[] = {{"publish", API_JWT_PUBLISH},
		      {"subscribe", API_JWT_SUBSCRIBE},
		      {"admin", API_JWT_ADMIN}};

	*bits = 0;
	while (text.n > 0) {
		struct sl_str one = sl_str_trim(sl_str_cut(&text, ','));
		size_t i = 0;

		while (i < SL_COUNT(rights) && !sl_str_eq(one, sl_str_z(rights[i].name)))
			i++;
		if (i == SL_COUNT(rights))
			return SL_EPARSE;
		*bits |= rights[i].bit;
	}
	return SL_OK;
}

int sl_api_make_token(const struct sl_config *conf, const char *room, const char *participant,
		      const char *rights, uint32_t ttl_s, int64_t wall_us, char *out, size_t cap,
		      struct sl_core_why *why)
{
	struct api_jwt jwt = {.exp_wall_us = wall_us + (int64_t)ttl_s * SL_SEC};
	const char *bad = api_name_check(sl_str_z(room));
	int n;

	if (bad || !sl_str_copy(jwt.room, sizeof(jwt.room), sl_str_z(room)))
		return sl_fmt(why->text, sizeof(why->text), "--room %s", bad ? bad : "is too long"),
		       SL_EPARSE;
	bad = api_name_check(sl_str_z(participant));
	if (bad || !sl_str_copy(jwt.participant, sizeof(jwt.participant), sl_str_z(participant)))
		return sl_fmt(why->text, sizeof(why->text), "--participant %s",
			      bad ? bad : "is too long"),
		       SL_EPARSE;
	if (read_rights(sl_str_z(rights), &jwt.rights) < 0)
		return sl_fmt(why->text, sizeof(why->text),
			      "--rights: use publish, subscribe, admin, with commas"),
		       SL_EPARSE;
	n = api_jwt_make(sl_str_z(conf->http.jwt_key), &jwt, wall_us, out, cap);
	if (n < 0)
		sl_fmt(why->text, sizeof(why->text),
		       n == SL_ESTATE ? "set http.jwt_key first: the server checks tokens with it"
				      : "%s",
		       sl_strerror(n));
	return n;
}
